package host

import (
	"encoding/json"
	"net/http/httptest"
	"strings"
	"testing"

	"wxrefund/shared/refund"
)

// A header is a forgery until a setting says that a gateway sets it, and to what a gateway
// has packed up no setting says so: over plain HTTP, and for every shape of event of SCF
// and Lambda. The log says once why, and what to set; it says nothing to who sends none.
func TestHeadersAreForgeriesUntilProvedOtherwise(t *testing.T) {
	wx := [][2]string{{"x-wx-openid", "oALICE"}, {"x-wx-source", "wx_client"}}
	packed := func(event string) func([][2]string) string {
		return func(h [][2]string) string {
			headers := map[string]string{}
			for _, p := range h {
				headers[p[0]] = p[1]
			}
			b, _ := json.Marshal(headers)
			return strings.Replace(event, "HEADERS", string(b), 1)
		}
	}
	scfHTTP := packed(`{"httpMethod":"POST","path":"/","headers":HEADERS,"body":"{}"}`)
	functionURL := packed(`{"requestContext":{"http":{"method":"POST"}},"rawPath":"/","headers":HEADERS,"body":"{}"}`)
	unreadable := packed(`{"requestContext":{"http":{"method":"POST"}},"headers":HEADERS,"httpMethod":7,"body":"{}"}`)
	for _, tt := range []struct {
		name    string
		trust   string
		packed  func([][2]string) string // nil: plain HTTP
		headers [][2]string
		openid  string // "": nobody
		warns   string // what the log's one line begins its reason with; "": no line
	}{
		{"plain HTTP", "", nil, wx, "", whyPublic},
		{"plain HTTP, switched off", "false", nil, wx, "", whyPublic},
		{"plain HTTP, an openid alone", "", nil, wx[:1], "", whyPublic},
		{"plain HTTP, a server's source", "", nil, [][2]string{{"X-WX-OPENID", "oALICE"}, {"X-WX-SOURCE", "scf"}}, "", whyPublic},
		{"plain HTTP, a source alone", "", nil, [][2]string{{"x-wx-source", "scf"}}, "", ""},
		{"plain HTTP, another spelling", "", nil, [][2]string{{"X_WX_OPENID", "oALICE"}, {"X_WX_SOURCE", "wx_client"}}, "", ""},
		{"plain HTTP, nothing", "", nil, nil, "", ""},

		{"trusted", "true", nil, wx, "oALICE", ""},
		{"trusted, in capitals", "true", nil, [][2]string{{"X-WX-OPENID", "oALICE"}, {"X-WX-SOURCE", "wx_client"}}, "oALICE", ""},
		{"trusted, nothing", "true", nil, nil, "", ""},
		{"trusted, another spelling", "true", nil, [][2]string{{"X_WX_OPENID", "oALICE"}, {"X_WX_SOURCE", "wx_client"}}, "", ""},
		{"trusted, no source", "true", nil, wx[:1], "", whyAdded},
		{"trusted, two openids", "true", nil, append(wx, [2]string{"x-wx-openid", "oBOB"}), "", whyAdded},
		{"trusted, two in two cases", "true", nil, append(wx, [2]string{"X-Wx-OpenID", "oBOB"}), "", whyAdded},
		{"trusted, twice the same", "true", nil, append(wx, wx[0]), "", whyAdded},
		{"trusted, two sources", "true", nil, append(wx, [2]string{"x-wx-source", "scf"}), "", whyAdded},
		{"trusted, joined", "true", nil, [][2]string{{"x-wx-openid", "oALICE,oBOB"}, wx[1]}, "", whyAdded},
		{"trusted, joined with a space", "true", nil, [][2]string{{"x-wx-openid", "oALICE, oBOB"}, wx[1]}, "", whyAdded},
		{"trusted, two programs", "true", nil, append(wx, [2]string{"x-wx-appid", "wxA"}, [2]string{"X-WX-APPID", "wxB"}), "", whyAdded},
		{"trusted, empty", "true", nil, [][2]string{{"x-wx-openid", ""}, wx[1]}, "", whyAdded},

		{"SCF, HTTP-shaped", "", scfHTTP, wx, "", whyPacked},
		{"SCF, HTTP-shaped, trusted", "true", scfHTTP, wx, "", whyPacked},
		{"SCF, HTTP-shaped, trusted, in capitals", "true", scfHTTP, [][2]string{{"X-WX-OPENID", "oALICE"}, {"X-WX-SOURCE", "scf"}}, "", whyPacked},
		{"SCF, HTTP-shaped, trusted, nothing", "true", scfHTTP, nil, "", ""},
		{"Lambda URL", "", functionURL, wx, "", whyPacked},
		{"Lambda URL, trusted", "true", functionURL, wx, "", whyPacked},
		{"a shape that cannot be read, trusted", "true", unreadable, wx, "", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s, logs := testServer(t, Function{Invoke: replyCaller})
			s.getenv = settings(map[string]string{"TRUST_WX_HEADERS": tt.trust})
			for range 2 {
				body := ""
				if tt.packed == nil {
					r := httptest.NewRequest("POST", "/", strings.NewReader("{}"))
					for _, p := range tt.headers {
						r.Header.Add(p[0], p[1])
					}
					w := httptest.NewRecorder()
					s.plain(w, r)
					body = w.Body.String()
				} else {
					// By a direct caller of any rank: the shape lowers it.
					_, body = unpacked(t, s.event(t.Context(), is(machine), []byte(tt.packed(tt.headers))))
				}
				if body == "" && strings.HasPrefix(tt.name, "a shape") {
					continue // refused unread
				}
				var got struct {
					Kind   refund.CallerKind
					OpenID string
				}
				if err := json.Unmarshal([]byte(body), &got); err != nil {
					t.Fatalf("%s: %v", body, err)
				}
				want := refund.Nobody
				if tt.openid != "" {
					want = refund.User
				}
				if got.Kind != want || got.OpenID != tt.openid {
					t.Errorf("got kind %d, openid %q", got.Kind, got.OpenID)
				}
			}
			lines := strings.Count(logs.String(), `"msg":"identity not believed"`)
			if tt.warns == "" && lines != 0 || tt.warns != "" && (lines != 1 || !strings.Contains(logs.String(), tt.warns)) {
				t.Errorf("want one line, %q:\n%s", tt.warns, logs)
			}
			if tt.openid == "" && strings.Contains(logs.String(), "oALICE") {
				t.Errorf("the log holds what was sent:\n%s", logs)
			}
		})
	}
}
