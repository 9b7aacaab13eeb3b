package host

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"wxrefund/shared/refund"
)

// watched is a server over plain HTTP whose function answers "mine" to whatever reaches it.
func watched(change func(*Function), env ...string) *server {
	settings := map[string]string{}
	for _, v := range env {
		name, value, _ := strings.Cut(v, "=")
		settings[name] = value
	}
	fn := Function{Invoke: func(context.Context, refund.Caller, []byte) []byte { return []byte(`"mine"`) }}
	change(&fn)
	return newServer(func(name string) string { return settings[name] }, slog.New(slog.NewTextHandler(io.Discard, nil)),
		func(context.Context, func(string) string) (Function, error) { return fn, nil })
}

func (s *server) ask(method, path string, header ...string) *httptest.ResponseRecorder {
	r, w := httptest.NewRequest(method, path, strings.NewReader("{}")), httptest.NewRecorder()
	for i := 0; i < len(header); i += 2 {
		r.Header.Add(header[i], header[i+1])
	}
	s.plain(w, r)
	return w
}

func TestMetricsAreForWhoBringsTheServerToken(t *testing.T) {
	const old = "old-token-of-32-characters-or-more"
	figures := func(fn *Function) { fn.Metrics = func(context.Context) []byte { return []byte("a 1\n") } }
	token := "REFUND_SERVER_TOKEN=" + newToken + "," + old
	for _, c := range []struct {
		name   string
		fn     func(*Function)
		env    []string
		header []string
		status int
	}{
		{"the token", figures, []string{token}, []string{"Authorization", "Bearer " + newToken}, 200},
		{"the old one", figures, []string{token}, []string{"Authorization", "Bearer " + old}, 200},
		{"another", figures, []string{token}, []string{"Authorization", "Bearer " + newToken + "x"}, 401},
		{"none", figures, []string{token}, nil, 401},
		{"none is set", figures, nil, []string{"Authorization", "Bearer "}, 401},
		{"a user, by trusted headers", figures, []string{token, "TRUST_WX_HEADERS=true"}, []string{"X-Wx-Openid", "oALICE", "X-Wx-Source", "wx_client"}, 401},
		{"a server, by trusted headers", figures, []string{token, "TRUST_WX_HEADERS=true"}, []string{"X-Wx-Openid", "oALICE", "X-Wx-Source", "scf"}, 401},
		{"a function without figures", func(*Function) {}, []string{token}, []string{"Authorization", "Bearer " + newToken}, 405},
		{"figures that panic", func(fn *Function) { fn.Metrics = func(context.Context) []byte { panic("secret") } }, []string{token}, []string{"Authorization", "Bearer " + newToken}, 500},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := watched(c.fn, c.env...).ask("GET", "/metrics", c.header...)
			if w.Code != c.status || (w.Body.String() == "a 1\n") != (c.status == 200) {
				t.Errorf("got %d %s, want %d", w.Code, w.Body, c.status)
			}
			if got := w.Header().Get("Content-Type"); c.status == 200 && got != "text/plain; version=0.0.4; charset=utf-8" {
				t.Errorf("it is %s", got)
			}
			if got := w.Header().Get("WWW-Authenticate"); (got == "Bearer") != (c.status == 401) {
				t.Errorf("WWW-Authenticate is %q", got)
			}
		})
	}
}

// Whoever watches takes nothing away from the function: notify answers any path.
func TestOtherMethodsAndPathsAreTheFunctionsAsBefore(t *testing.T) {
	asked := ""
	serve := func(fn *Function) {
		fn.HTTP = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			asked = r.Method + " " + r.URL.Path
			w.WriteHeader(http.StatusAccepted)
		})
		fn.Metrics = func(context.Context) []byte { return nil }
	}
	for _, c := range []struct{ method, path string }{
		{"POST", "/healthz"}, {"POST", "/metrics"}, {"PUT", "/metrics"}, {"HEAD", "/healthz"}, {"GET", "/"}, {"GET", "/healthz/"}, {"GET", "/x/metrics"}, {"GET", "/Metrics"},
	} {
		asked = ""
		if w := watched(serve).ask(c.method, c.path); w.Code != 202 || asked != c.method+" "+c.path {
			t.Errorf("%s %s: got %d, and the function was asked %q", c.method, c.path, w.Code, asked)
		}
	}
	for _, path := range []string{"/healthz", "/metrics", "/"} {
		if w := watched(func(*Function) {}).ask("POST", path); w.Code != 200 || w.Body.String() != `"mine"` {
			t.Errorf("POST %s: got %d %s", path, w.Code, w.Body)
		}
		if w := watched(func(*Function) {}).ask("DELETE", path); w.Code != 405 {
			t.Errorf("DELETE %s: got %d, want 405", path, w.Code)
		}
	}
}

// On other platforms a gateway's GET is the function's, whatever its path.
func TestGatewaysDoNotServeFigures(t *testing.T) {
	s := watched(func(fn *Function) { fn.Metrics = func(context.Context) []byte { return []byte("a 1\n") } }, "REFUND_SERVER_TOKEN="+newToken)
	for _, path := range []string{"/healthz", "/metrics"} {
		event := fmt.Sprintf(`{"path":%q,"httpMethod":"GET","headers":{"Authorization":"Bearer %s"},"requestContext":{"appId":"1"},"body":""}`, path, newToken)
		if got := string(s.event(t.Context(), nobody, []byte(event))); !strings.Contains(got, `"statusCode":405`) {
			t.Errorf("%s: got %s, want 405", path, got)
		}
	}
}

func TestHealthSaysWhetherTheFunctionWouldAnswer(t *testing.T) {
	for _, c := range []struct {
		name   string
		ready  func(context.Context) error
		status int
		body   string
	}{
		{"nothing to ask", nil, 200, "ok\n"},
		{"ready", func(context.Context) error { return nil }, 200, "ok\n"},
		{"a ledger that is down", func(context.Context) error { return errors.New("password SECRET is wrong") }, 503, "unhealthy\n"},
		{"a panic", func(context.Context) error { panic("SECRET") }, 503, "unhealthy\n"},
		{"a ledger that hangs", func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() }, 503, "unhealthy\n"},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				begin := time.Now()
				w := watched(func(fn *Function) { fn.Ready = c.ready }).ask("GET", "/healthz")
				if w.Code != c.status || w.Body.String() != c.body || w.Header().Get("Cache-Control") != "no-store" {
					t.Errorf("got %d %q %v, want %d %q", w.Code, w.Body, w.Header(), c.status, c.body)
				}
				if took := time.Since(begin); took > healthTime {
					t.Errorf("it took %v", took)
				}
			})
		})
	}
}

func TestWrongSettingsAreUnhealthyAndSayNothing(t *testing.T) {
	s := newServer(func(string) string { return "" }, slog.New(slog.NewTextHandler(io.Discard, nil)),
		func(context.Context, func(string) string) (Function, error) {
			return Function{}, errors.New("WXPAY_MCHID: missing")
		})
	if w := s.ask("GET", "/healthz"); w.Code != 503 || w.Body.String() != "unhealthy\n" {
		t.Errorf("got %d %s", w.Code, w.Body)
	}
	if w := s.ask("GET", "/metrics"); w.Code != 401 || strings.Contains(w.Body.String(), "WXPAY") {
		t.Errorf("figures, of nobody: got %d %s", w.Code, w.Body)
	}
	s.getenv = func(name string) string { return map[string]string{"REFUND_SERVER_TOKEN": newToken}[name] }
	if w := s.ask("GET", "/metrics", "Authorization", "Bearer "+newToken); w.Code != 503 || !strings.Contains(w.Body.String(), "WXPAY_MCHID") {
		t.Errorf("figures, of a server: got %d %s, want 503 and what is wrong", w.Code, w.Body)
	}
}

// Anybody may ask, as often as they like, and the ledger answers once in five seconds.
func TestHealthDoesNotLoadTheLedger(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var asked atomic.Int64
		s := watched(func(fn *Function) {
			fn.Ready = func(context.Context) error {
				asked.Add(1)
				time.Sleep(time.Second)
				return nil
			}
		})
		var wg sync.WaitGroup
		for range 200 {
			wg.Go(func() {
				if w := s.ask("GET", "/healthz"); w.Code != 200 {
					t.Errorf("got %d", w.Code)
				}
			})
		}
		wg.Wait()
		if asked.Load() != 1 {
			t.Errorf("the ledger was asked %d times by 200 at once, want once", asked.Load())
		}
		time.Sleep(healthKept)
		if s.ask("GET", "/healthz"); asked.Load() != 2 {
			t.Errorf("the ledger was asked %d times five seconds later, want twice", asked.Load())
		}
	})
}
