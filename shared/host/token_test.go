package host

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"wxrefund/shared/refund"
)

const (
	newToken = "new-CANARY-0123456789-0123456789"  // 32
	oldToken = "old-CANARY.0123456789+0123456789=" // 33
)

// Whoever brings a token, in one header and whole, is a server, whatever else he says.
func TestServerTokenMakesAServer(t *testing.T) {
	trusted := map[string]string{"TRUST_WX_HEADERS": "true", "REFUND_TRUST_FUNCTIONS": "true"}
	for _, tt := range []struct {
		name, tokens  string
		authorization []string
		want          refund.Caller
	}{
		{"the only one", oldToken, []string{"Bearer " + oldToken}, bearer},
		{"the new one", newToken + "," + oldToken, []string{"Bearer " + newToken}, bearer},
		{"the old one", newToken + " , " + oldToken, []string{"Bearer " + oldToken}, bearer},
		{"scheme in another case", oldToken, []string{"bEARER " + oldToken}, bearer},
		{"several spaces", oldToken, []string{"Bearer   " + oldToken + " "}, bearer},

		{"none is set", "", []string{"Bearer " + oldToken}, stranger},
		{"none is set, none is brought", "", []string{"Bearer "}, stranger},
		{"no header", oldToken, nil, stranger},
		{"empty", oldToken, []string{""}, stranger},
		{"scheme alone", oldToken, []string{"Bearer"}, stranger},
		{"token alone", oldToken, []string{oldToken}, stranger},
		{"another scheme", oldToken, []string{"Basic " + oldToken}, stranger},
		{"another token", oldToken, []string{"Bearer " + newToken}, stranger},
		{"in another case", oldToken, []string{"Bearer " + strings.ToLower(oldToken)}, stranger},
		{"too short by one", oldToken, []string{"Bearer " + oldToken[:len(oldToken)-1]}, stranger},
		{"too long by one", oldToken, []string{"Bearer " + oldToken + "0"}, stranger},
		{"both as one", newToken + "," + oldToken, []string{"Bearer " + newToken + "," + oldToken}, stranger},
		{"two headers", oldToken, []string{"Bearer " + oldToken, "Bearer " + oldToken}, stranger},
		{"two headers, one of another kind", oldToken, []string{"Basic eA==", "Bearer " + oldToken}, stranger},
	} {
		pairs := map[string]string{"REFUND_SERVER_TOKEN": tt.tokens}
		id, err := ReadIdentity(settings(pairs))
		if err != nil {
			t.Errorf("%s: %v", tt.name, err)
		}
		h := http.Header{}
		for _, v := range tt.authorization {
			h.Add("Authorization", v)
		}
		if got := id.Headers(h); got != tt.want {
			t.Errorf("%s: got %+v, want %+v", tt.name, got, tt.want)
		}
		// What the headers say of a user counts beside a wrong token, and not beside a right one.
		for name, value := range trusted {
			pairs[name] = value
		}
		id, _ = ReadIdentity(settings(pairs))
		h.Set("X-Wx-Openid", "oALICE")
		h.Set("X-Wx-Source", "wx_client")
		want := tt.want
		if want == stranger {
			want = from("wx_client", alice)
		}
		if got := id.Headers(h); got != want {
			t.Errorf("%s, with trusted headers: got %+v, want %+v", tt.name, got, want)
		}
	}
}

// A token that could be guessed or never be sent is refused by its rule, and shown nowhere.
func TestMalformedServerTokensAreRefusedUnshown(t *testing.T) {
	for text, says := range map[string]string{
		oldToken[:31]:                          "; it is shorter",
		"CANARY":                               "; it is shorter",
		newToken + "," + newToken[:31]:         "; the second of two is shorter",
		newToken[:31] + "," + newToken:         "; the first of two is shorter",
		newToken + "," + newToken + "," + "":   "",
		strings.Repeat(newToken+",", 3):        "; there are more than two",
		",":                                    "; there is none",
		newToken[:16] + " " + newToken[16:]:    "; it has another character",
		newToken + "\n" + newToken:             "; it has another character",
		newToken + ",CANARY密钥" + newToken:      "; the second of two has another character",
		"CANARYCANARYCANARYCANARYCANARY\x7f12": "; it has another character",
	} {
		id, err := ReadIdentity(settings(map[string]string{"REFUND_SERVER_TOKEN": text}))
		if says == "" {
			if err != nil || len(id.ServerTokens) != 2 {
				t.Errorf("got %d tokens, %v; want two", len(id.ServerTokens), err)
			}
			continue
		}
		if err == nil || !strings.HasPrefix(err.Error(), "REFUND_SERVER_TOKEN: want ") || !strings.Contains(err.Error(), "at least 32") || !strings.HasSuffix(err.Error(), says) {
			t.Errorf("got %v, want the variable, its rule and %q", err, says)
			continue
		}
		if strings.Contains(err.Error(), "CANARY") || len(id.ServerTokens) != 0 {
			t.Errorf("the error shows a token, or one counts: %v, %d", err, len(id.ServerTokens))
		}
	}
}

// Over HTTP a function that needs the token is reached with it and by nobody else,
// not even by a server of another kind; direct invocations reach it as any other.
func TestFunctionThatNeedsTheTokenIsReachedWithItAlone(t *testing.T) {
	ran := 0
	s, logs := testServer(t, Function{NeedsToken: true, Invoke: func(context.Context, refund.Caller, []byte) []byte { ran++; return []byte("{}") }})
	s.getenv = settings(map[string]string{"REFUND_SERVER_TOKEN": newToken})
	const refused = `{"code":403,"err_code":"NOAUTH","message":"` + onlyServers + `","retry":"never"}`
	for name, c := range map[string]refund.Caller{
		"nobody": stranger, "a user": alice, "a trusted function": from("wx_client,scf", machine), "an unlisted source": unlisted,
	} {
		res := s.serve(httptest.NewRequest("POST", "/", nil), []byte("{}"), false, is(c))
		if res.status != 401 || string(res.body) != refused || res.header.Get("Www-Authenticate") != "Bearer" || ran != 0 {
			t.Errorf("%s: got %d %v %s, run %d times; want 401", name, res.status, res.header, res.body, ran)
		}
	}
	if n := strings.Count(logs.String(), `"msg":"denied"`); n != 4 {
		t.Errorf("%d denials logged, want 4:\n%s", n, logs)
	}
	if res := s.serve(httptest.NewRequest("GET", "/", nil), nil, false, is(bearer)); res.status != 405 || ran != 0 {
		t.Errorf("GET: got %+v", res)
	}
	if res := s.serve(httptest.NewRequest("POST", "/", nil), []byte("{}"), false, is(bearer)); res.status != 200 || ran != 1 {
		t.Errorf("with the token: got %d %s, run %d times", res.status, res.body, ran)
	}
	for i, c := range []refund.Caller{stranger, alice, machine} {
		if got := s.invoke(t.Context(), is(c), []byte("{}")); string(got) != "{}" || ran != i+2 {
			t.Errorf("direct, by %+v: got %s, run %d times", c, got, ran)
		}
	}
	// Behind a platform's gateway nobody can bring one.
	event := fmt.Sprintf(`{"httpMethod":"POST","path":"/","headers":{"authorization":"Bearer %s"},"body":"{}"}`, newToken)
	if got := string(s.event(t.Context(), is(machine), []byte(event))); !strings.Contains(got, `"statusCode":401`) || ran != 4 {
		t.Errorf("gateway: got %s, run %d times", got, ran)
	}
}

// A server gets to see what is wrong with the settings, over HTTP too; the public does
// not. A switch that is neither on nor off is off.
func TestMisconfigurationIsShownToServersAlone(t *testing.T) {
	getenv := settings(map[string]string{"REFUND_TRUST_FUNCTIONS": "yes", "REFUND_SERVER_TOKEN": newToken})
	s := newServer(getenv, NewLogger(new(logBuffer), getenv), func(context.Context, func(string) string) (Function, error) {
		return Function{Invoke: replyCaller}, nil
	})
	for name, want := range map[string]string{
		newToken: `{"code":500,"err_code":"SYSTEMERROR","message":"REFUND_TRUST_FUNCTIONS: want true or false, got \"yes\"","retry":"later"}`,
		oldToken: "",
	} {
		h := http.Header{"Authorization": {"Bearer " + name}}
		res := s.serve(httptest.NewRequest("POST", "/", nil), nil, false, func(id Identity) refund.Caller { return id.Headers(h) })
		if res.status != 503 || string(res.body) != want {
			t.Errorf("got %d %s, want 503 %s", res.status, res.body, want)
		}
	}
	for openid, want := range map[string]string{"": "REFUND_TRUST_FUNCTIONS", "oALICE": unavailable} {
		got := s.invoke(t.Context(), func(id Identity) refund.Caller { return id.Platform(openid, "wx_trigger,scf") }, nil)
		if !strings.Contains(string(got), want) {
			t.Errorf("direct, openid %q: got %s, want %q", openid, got, want)
		}
	}
}
