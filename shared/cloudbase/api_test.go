package cloudbase

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"wxrefund/shared/secret"
	"wxrefund/shared/wxpay"
)

const apiCanary = "canary-api-key.0123456789_abcdefg"

// An apiServer answers each call with what answer writes, and keeps what came.
type apiServer struct {
	*httptest.Server
	mu       sync.Mutex
	requests []*http.Request
	bodies   []string
	remotes  map[string]bool // connections
}

func newAPIServer(t *testing.T, start func(*httptest.Server), answer http.HandlerFunc) *apiServer {
	t.Helper()
	s := &apiServer{remotes: map[string]bool{}}
	s.Server = httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		s.mu.Lock()
		s.requests, s.bodies, s.remotes[r.RemoteAddr] = append(s.requests, r), append(s.bodies, string(body)), true
		s.mu.Unlock()
		answer(w, r)
	}))
	start(s.Server)
	t.Cleanup(s.Close)
	return s
}

func rows(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, `[{"n":"1"}]`) }

func (s *apiServer) api(c Credentials, err error) *API {
	return &API{URL: s.URL, HTTP: wxpay.NewHTTPClient(nil), Credentials: func(context.Context) (Credentials, error) { return c, err }}
}

var (
	keyed = Credentials{APIKey: secret.Text(apiCanary), Source: "wx_client"}
	lent  = Credentials{SecretID: "AKIDEXAMPLE", SecretKey: secret.Text(tc3Secret), SessionToken: secret.Text("canary-token/+="), Source: "wx_client"}
)

const apiPath, apiBody = "/v1/rdb/exec-pgsql", `{"sql":"SELECT $1::text AS n","parameters":["退款"],"role":"cloudbase_postgres"}`

// What goes over the wire, with each kind of credentials, is what CloudBase's SDK sends.
func TestAPISendsWhatTheSDKSends(t *testing.T) {
	both := lent
	both.APIKey = keyed.APIKey
	for _, tt := range []struct {
		name   string
		c      Credentials
		bearer bool
		token  string
		source string
	}{
		{"API key", keyed, true, "", "wx_client,scf"},
		{"API key of nobody's request", Credentials{APIKey: keyed.APIKey}, true, "", "scf"},
		{"API key beside lent keys", both, true, "", "wx_client,scf"},
		{"lent keys", lent, false, "canary-token/+=", "wx_client,scf"},
		{"an account's keys", Credentials{SecretID: "AKIDEXAMPLE", SecretKey: secret.Text(tc3Secret)}, false, "", "scf"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := newAPIServer(t, (*httptest.Server).Start, rows)
			reply, err := s.api(tt.c, nil).Post(t.Context(), apiPath, []byte(apiBody), 100)
			if err != nil || reply.Status != 200 || string(reply.Body) != `[{"n":"1"}]` {
				t.Fatalf("reply %d %s, error %v", reply.Status, reply.Body, err)
			}
			r := s.requests[0]
			if r.Method != http.MethodPost || r.RequestURI != apiPath || s.bodies[0] != apiBody {
				t.Errorf("got %s %s %s", r.Method, r.RequestURI, s.bodies[0])
			}
			want := map[string]string{
				"User-Agent": "tcb-node-sdk/3.18.3", "X-Sdk-Version": "tcb-node-sdk/3.18.3", "X-Tcb-Source": tt.source, "Content-Type": "application/json",
				"Content-Length": fmt.Sprint(len(apiBody)),
			}
			for name, value := range want {
				if got := r.Header.Values(name); !slices.Equal(got, []string{value}) {
					t.Errorf("%s: %q, want %q", name, got, value)
				}
			}
			for name := range r.Header {
				if _, ok := want[name]; !ok && name != "Authorization" && name != "X-Client-Timestamp" {
					t.Errorf("%s was sent too", name)
				}
			}
			authorization := r.Header.Get("Authorization")
			if tt.bearer {
				if authorization != "Bearer "+apiCanary {
					t.Errorf("Authorization: %s", authorization)
				}
				return
			}
			c, err := ParseAPITC3(authorization)
			if err != nil || c.Token.Reveal() != tt.token {
				t.Fatalf("token %s, error %v", c.Token.Reveal(), err)
			}
			u := &url.URL{Host: r.Host, Path: r.URL.Path}
			if err := c.Verify(tc3Secret, r.Method, u, r.Header, []byte(s.bodies[0]), time.Now()); err != nil {
				t.Error(err)
			}
			if age := time.Since(c.At); age < time.Second/2 || age > 10*time.Second {
				t.Errorf("signed for %v ago, want a second", age)
			}
			if !slices.Equal(c.SignedHeaders, []string{"content-type", "host", "user-agent", "x-client-timestamp", "x-sdk-version", "x-tcb-source"}) {
				t.Errorf("signed headers %v", c.SignedHeaders)
			}
		})
	}
}

// Without usable credentials nothing is sent, which the error says, and what to set.
func TestAPISendsNothingWithoutCredentials(t *testing.T) {
	with := func(change func(*Credentials)) Credentials {
		c := lent
		change(&c)
		return c
	}
	cause := errors.New("nobody lent any")
	for _, tt := range []struct {
		name string
		c    Credentials
		err  error
		want string
	}{
		{"none", Credentials{}, nil, "set CLOUDBASE_APIKEY, or TENCENTCLOUD_SECRETID and TENCENTCLOUD_SECRETKEY"},
		{"an id alone", Credentials{SecretID: "AKID"}, nil, "set CLOUDBASE_APIKEY"},
		{"a key alone", Credentials{SecretKey: secret.Text("canary")}, nil, "set CLOUDBASE_APIKEY"},
		{"a token alone", Credentials{SessionToken: secret.Text("canary")}, nil, "set CLOUDBASE_APIKEY"},
		{"an error", keyed, cause, "nobody lent any"},
		{"a line break in the key", Credentials{APIKey: secret.Text(apiCanary + "\n" + apiCanary)}, nil, "CLOUDBASE_APIKEY"},
		{"a space in the key", Credentials{APIKey: secret.Text("Bearer " + apiCanary)}, nil, "CLOUDBASE_APIKEY"},
		{"a key that is not ASCII", Credentials{APIKey: secret.Text(apiCanary + "é")}, nil, "CLOUDBASE_APIKEY"},
		{"a line break in the id", with(func(c *Credentials) { c.SecretID += "\r\nX: y" }), nil, "or what is set or lent instead"},
		{"a line break in the token", with(func(c *Credentials) { c.SessionToken = secret.Text("canary\n") }), nil, "or what is set or lent instead"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := newAPIServer(t, (*httptest.Server).Start, rows)
			_, err := s.api(tt.c, tt.err).Post(t.Context(), apiPath, []byte(apiBody), 100)
			if !errors.Is(err, wxpay.ErrUnsent) || !strings.Contains(err.Error(), tt.want) || tt.err != nil && !errors.Is(err, cause) {
				t.Errorf("error %v, want unsent and %q", err, tt.want)
			}
			checkHidden(t, "the error", fmt.Sprint(err))
			if len(s.requests) > 0 {
				t.Errorf("%d calls were sent", len(s.requests))
			}
		})
	}
}

// An address that is none is found before anything is sent, and quoted nowhere.
func TestAPIAddressIsCheckedBeforehand(t *testing.T) {
	a := &API{URL: "https://canary\x7f", HTTP: http.DefaultClient, Credentials: func(context.Context) (Credentials, error) { return keyed, nil }}
	_, err := a.Post(t.Context(), apiPath, nil, 1)
	if !errors.Is(err, wxpay.ErrUnsent) {
		t.Errorf("error %v, want unsent", err)
	}
	checkHidden(t, "the error", fmt.Sprint(err))
}

// The answer's bound is the caller's, not that of WeChat Pay's small ones; its status is
// for the caller to read.
func TestAPIAnswerIsBoundedByTheCaller(t *testing.T) {
	for _, tt := range []struct {
		status, size int
		limit        int64
		want         error
	}{
		{200, 10, 10, nil}, {200, 11, 10, wxpay.ErrTooLarge}, {200, 3 << 20, 4 << 20, nil}, {200, 3 << 20, 2 << 20, wxpay.ErrTooLarge},
		{401, 10, 10, nil}, {500, 11, 10, wxpay.ErrTooLarge}, {500, 3 << 20, 4 << 20, nil}, {302, 0, 10, nil},
	} {
		s := newAPIServer(t, (*httptest.Server).Start, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Location", "/elsewhere")
			w.WriteHeader(tt.status)
			_, _ = io.WriteString(w, strings.Repeat("x", tt.size))
		})
		reply, err := s.api(keyed, nil).Post(t.Context(), apiPath, []byte(apiBody), tt.limit)
		if !errors.Is(err, tt.want) || (err == nil) != (tt.want == nil) {
			t.Errorf("%d bytes of %d: error %v, want %v", tt.size, tt.limit, err, tt.want)
		}
		if err == nil && (reply.Status != tt.status || len(reply.Body) != tt.size) {
			t.Errorf("%d bytes with status %d: got %d with %d", tt.size, tt.status, len(reply.Body), reply.Status)
		}
		if len(s.requests) != 1 {
			t.Errorf("status %d: %d requests", tt.status, len(s.requests))
		}
	}
}

// A call that got an answer and lost it may have been carried out, whatever was lost.
func TestAPILostAnswerIsNotUnsent(t *testing.T) {
	s := newAPIServer(t, (*httptest.Server).Start, func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) })
	_, err := s.api(keyed, nil).Post(t.Context(), apiPath, []byte(apiBody), 100)
	if err == nil || errors.Is(err, wxpay.ErrUnsent) {
		t.Errorf("error %v, want one that leaves it open", err)
	}
	checkHidden(t, "the error", fmt.Sprint(err))
	s.Close()
	if _, err := s.api(keyed, nil).Post(t.Context(), apiPath, []byte(apiBody), 100); !errors.Is(err, wxpay.ErrUnsent) {
		t.Errorf("nobody listens: error %v, want unsent", err)
	}
}

// Calls one after another share a connection, over HTTP/2 where the server has it.
func TestAPIKeepsItsConnection(t *testing.T) {
	for _, proto := range []string{"HTTP/1.1", "HTTP/2.0"} {
		s := newAPIServer(t, func(s *httptest.Server) { s.EnableHTTP2 = proto == "HTTP/2.0"; s.StartTLS() }, rows)
		roots := x509.NewCertPool()
		roots.AddCert(s.Certificate())
		a := s.api(keyed, nil)
		a.HTTP = wxpay.NewHTTPClient(&tls.Config{RootCAs: roots})
		for range 5 {
			if _, err := a.Post(t.Context(), apiPath, []byte(apiBody), 100); err != nil {
				t.Fatal(err)
			}
		}
		if len(s.remotes) != 1 || s.requests[4].Proto != proto {
			t.Errorf("%d connections, %s, want one, %s", len(s.remotes), s.requests[4].Proto, proto)
		}
	}
}

// A call ends with its context, whatever the server does.
func TestAPIEndsWithItsContext(t *testing.T) {
	gone := make(chan struct{})
	s := newAPIServer(t, (*httptest.Server).Start, func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done(); close(gone) })
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	_, err := s.api(keyed, nil).Post(ctx, apiPath, []byte(apiBody), 100)
	if !errors.Is(err, context.DeadlineExceeded) || errors.Is(err, wxpay.ErrUnsent) {
		t.Errorf("error %v, want the deadline, and not unsent", err)
	}
	<-gone
	cancel()
	if _, err := s.api(keyed, nil).Post(ctx, apiPath, []byte(apiBody), 100); !errors.Is(err, wxpay.ErrUnsent) {
		t.Errorf("over before it began: error %v, want unsent", err)
	}
}

func TestAPIURL(t *testing.T) {
	if diff := cmp.Diff("https://shop-1g2h3j4k5l.api.tcloudbasegateway.com", APIURL("shop-1g2h3j4k5l")); diff != "" {
		t.Error(diff)
	}
}
