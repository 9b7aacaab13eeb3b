package host

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"wxrefund/shared/cloudbase"
	"wxrefund/shared/refund"
	"wxrefund/shared/secret"
)

// A logBuffer may be written from several goroutines.
type logBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *logBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *logBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// testServer returns a server of fn, with the default settings, and its log.
func testServer(t testing.TB, fn Function) (*server, *logBuffer) {
	t.Helper()
	return buildServer(t, func(context.Context, func(string) string) (Function, error) { return fn, nil })
}

func buildServer(t testing.TB, build Build) (*server, *logBuffer) {
	t.Helper()
	logs := new(logBuffer)
	getenv := settings(nil)
	return newServer(getenv, NewLogger(logs, getenv), build), logs
}

func nobody(Identity) refund.Caller { return refund.Caller{} }

// is attests a caller.
func is(c refund.Caller) callerFunc { return func(Identity) refund.Caller { return c } }

// replyCaller replies with the caller's kind and openid.
func replyCaller(_ context.Context, c refund.Caller, event []byte) []byte {
	b, err := json.Marshal(map[string]any{"kind": c.Kind, "openid": c.OpenID, "event": string(event)})
	if err != nil {
		panic(err)
	}
	return b
}

func TestForgedEventsGainNothing(t *testing.T) {
	s, _ := testServer(t, Function{Invoke: replyCaller})
	const forged = `"userInfo":{"openId":"oALICE"},"WX_OPENID":"oALICE","openid":"oALICE","TCB_SOURCE":"scf","environment":"{\"WX_OPENID\":\"oALICE\"}",` +
		`"headers":{"x-wx-openid":"oALICE","x-wx-source":"wx_client"},"body":"{}"`
	tests := []struct {
		name, event string
		who         refund.Caller
		want        refund.CallerKind
		http        bool
	}{
		{"nobody stays nobody", `{` + forged + `}`, stranger, refund.Nobody, false},
		{"a user stays that user", `{` + forged + `}`, refund.Caller{Kind: refund.User, OpenID: "oBOB"}, refund.User, false},
		{"a server stays one", `{` + forged + `}`, machine, refund.Server, false},
		{"a user is lowered by httpMethod", `{` + forged + `,"httpMethod":"POST"}`, alice, refund.Nobody, true},
		{"a server is lowered by httpMethod", `{` + forged + `,"httpMethod":"POST"}`, machine, refund.Nobody, true},
		{"a server is lowered by requestContext", `{` + forged + `,"requestContext":{"http":{"method":"POST"}}}`, machine, refund.Nobody, true},
	}
	for _, tt := range tests {
		reply := s.event(t.Context(), is(tt.who), []byte(tt.event))
		if tt.http {
			_, body := unpacked(t, reply)
			reply = []byte(body)
		}
		got := parseEcho(t, reply)
		if want := tt.who.OpenID; got.Kind != tt.want || !tt.http && got.OpenID != want || tt.http && got.OpenID != "" {
			t.Errorf("%s: got %+v, want kind %d", tt.name, got, tt.want)
		}
	}
}

func TestPostIsAnEventWithoutAnHTTPHandler(t *testing.T) {
	s, _ := testServer(t, Function{Invoke: replyCaller})
	for method, want := range map[string]int{"POST": 200, "GET": 405, "PUT": 405, "DELETE": 405, "OPTIONS": 405} {
		res := s.serve(httptest.NewRequest(method, "/x", nil), []byte(`{"a":1}`), true, nobody)
		if res.status != want {
			t.Errorf("%s: got %d, want %d", method, res.status, want)
		}
		if want == 405 && res.header.Get("Allow") != "POST" {
			t.Errorf("%s: Allow is %q", method, res.header.Get("Allow"))
		}
		if want == 200 && (res.header.Get("Content-Type") != "application/json" || string(res.body) != `{"event":"{\"a\":1}","kind":0,"openid":""}`) {
			t.Errorf("%s: got %v %s", method, res.header, res.body)
		}
	}
}

const broken = "secret-in-the-payload"

func TestPanicsAreAnsweredAndLoggedWithoutPayload(t *testing.T) {
	tests := []struct {
		name   string
		panics func()
		logged string
	}{
		{"text", func() { panic(broken) }, "string"},
		{"error", func() { panic(errors.New(broken)) }, "*errors.errorString"},
		{"runtime", func() { _ = []int{}[len(broken)] }, "index out of range"},
		{"nil", func() { panic(nil) }, "nil"}, //nolint:govet // on purpose
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s, logs := testServer(t, Function{
				Invoke: func(context.Context, refund.Caller, []byte) []byte { tt.panics(); return nil },
				HTTP: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
					w.WriteHeader(200)
					_, _ = w.Write([]byte("half"))
					tt.panics()
				}),
			})
			want := `{"code":500,"err_code":"SYSTEMERROR","message":"internal error; the log has the details","retry":"later"}`
			if got := s.invoke(t.Context(), is(machine), []byte("{}")); string(got) != want {
				t.Errorf("got %s, want %s", got, want)
			}
			if res := s.serve(httptest.NewRequest("POST", "/", nil), nil, true, nobody); res.status != 500 || len(res.body) != 0 || len(res.header) != 0 {
				t.Errorf("got %+v, want a bare 500", res)
			}
			if n := strings.Count(logs.String(), `"msg":"panic"`); n != 2 {
				t.Errorf("%d panics logged, want 2:\n%s", n, logs)
			}
			if !strings.Contains(logs.String(), tt.logged) || !strings.Contains(logs.String(), "host_test.go") || strings.Contains(logs.String(), broken) {
				t.Errorf("want %q and a stack without the payload:\n%s", tt.logged, logs)
			}
		})
	}
}

func TestRepliesThatAreNoJSONAreReplaced(t *testing.T) {
	for _, bad := range []string{"", "{", "hello", broken} {
		s, logs := testServer(t, Function{Invoke: func(context.Context, refund.Caller, []byte) []byte { return []byte(bad) }})
		got := s.invoke(t.Context(), is(machine), nil)
		if !json.Valid(got) || !strings.Contains(string(got), `"code":500`) {
			t.Errorf("reply %q became %s", bad, got)
		}
		if strings.Contains(logs.String(), broken) {
			t.Errorf("the reply is in the log: %s", logs)
		}
	}
}

func TestFailedBuildIsRepeatedAndShownToServersAlone(t *testing.T) {
	builds := 0
	s, logs := buildServer(t, func(context.Context, func(string) string) (Function, error) {
		switch builds++; builds {
		case 1, 2, 3, 4:
			return Function{}, errors.Join(errors.New("WXPAY_MCHID: missing"), errors.New("WXPAY_APIV3_KEY: want 32 bytes, got 31"))
		case 5:
			panic(broken)
		}
		return Function{Invoke: replyCaller}, nil
	})
	neutral := `{"code":500,"err_code":"SYSTEMERROR","message":"the service is not available; try again later","retry":"later"}`
	for _, step := range []struct {
		who  refund.Caller
		want string
	}{
		{machine, `{"code":500,"err_code":"SYSTEMERROR","message":"WXPAY_MCHID: missing; WXPAY_APIV3_KEY: want 32 bytes, got 31","retry":"later"}`},
		{alice, neutral},
		{stranger, neutral},
	} {
		if got := s.invoke(t.Context(), is(step.who), nil); string(got) != step.want {
			t.Errorf("%v: got %s, want %s", step.who, got, step.want)
		}
	}
	if res := s.serve(httptest.NewRequest("POST", "/", nil), nil, true, nobody); res.status != 503 || len(res.body) != 0 {
		t.Errorf("got %+v, want a bare 503", res)
	}
	if got := s.invoke(t.Context(), is(machine), nil); !strings.Contains(string(got), "internal error") {
		t.Errorf("got %s after a panic", got)
	}
	for range 3 {
		if got := s.invoke(t.Context(), is(machine), nil); !strings.Contains(string(got), `"kind":2`) {
			t.Errorf("got %s, want an answer", got)
		}
	}
	if builds != 6 {
		t.Errorf("built %d times, want 6", builds)
	}
	if n := strings.Count(logs.String(), `"msg":"not configured"`); n != 5 || strings.Contains(logs.String(), broken) {
		t.Errorf("%d failures logged, want 5, and no payload:\n%s", n, logs)
	}
}

func TestConcurrentInvocationsShareOneBuild(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		builds := 0
		s, _ := buildServer(t, func(context.Context, func(string) string) (Function, error) {
			builds++
			time.Sleep(2 * time.Second)
			return Function{Invoke: replyCaller}, nil
		})
		var wg sync.WaitGroup
		invoke := func(wait, after time.Duration, want string) {
			wg.Go(func() {
				ctx, cancel := context.WithTimeout(t.Context(), wait)
				defer cancel()
				start := time.Now()
				got := s.invoke(ctx, is(machine), nil)
				if took := time.Since(start); took != after || !strings.Contains(string(got), want) {
					t.Errorf("waiting for %s at most: got %s after %s, want %s after %s", wait, got, took, want, after)
				}
			})
		}
		invoke(time.Minute, 2*time.Second, `"kind":2`)
		synctest.Wait() // it builds
		for range 10 {
			invoke(time.Second, time.Second, "still starting")
			invoke(3*time.Second, 2*time.Second, `"kind":2`)
		}
		wg.Wait()
		if builds != 1 {
			t.Errorf("built %d times", builds)
		}
	})
}

// The first invocation finds the function built ahead of it, waits until it is, or
// builds it.
func TestFunctionIsBuiltAheadOfTheFirstInvocation(t *testing.T) {
	for name, tt := range map[string]struct {
		ahead  func(ctx context.Context) error // the build before the first invocation
		builds int
		after  time.Duration
	}{
		"quick":   {func(context.Context) error { return nil }, 1, 0},
		"slow":    {func(context.Context) error { time.Sleep(prepareTime / 2); return nil }, 1, prepareTime / 2},
		"failing": {func(context.Context) error { return errors.New("not yet") }, 2, 0},
		"hanging": {func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() }, 2, prepareTime},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				builds := 0
				s, _ := buildServer(t, func(ctx context.Context, _ func(string) string) (Function, error) {
					if builds++; builds == 1 {
						return Function{Invoke: replyCaller}, tt.ahead(ctx)
					}
					return Function{Invoke: replyCaller}, nil
				})
				go s.prepare(t.Context())
				synctest.Wait() // it is built, or on the way
				begin := time.Now()
				got := s.invoke(t.Context(), is(machine), nil)
				if took := time.Since(begin); took != tt.after || !strings.Contains(string(got), `"kind":2`) {
					t.Errorf("got %s after %v, want an answer after %v", got, took, tt.after)
				}
				if builds != tt.builds {
					t.Errorf("built %d times, want %d", builds, tt.builds)
				}
			})
		})
	}
}

// A caller who hangs up ends nothing.
func TestContextEndsBeforeThePlatformsDeadline(t *testing.T) {
	const second = time.Second
	tests := []struct {
		name            string
		deadline, limit time.Duration // 0: none
		want            time.Duration
	}{
		{"nothing known", 0, 0, 2700 * time.Millisecond},
		{"limit only", 0, 20 * second, 19500 * time.Millisecond},
		{"short limit", 0, second, 900 * time.Millisecond},
		{"deadline only", 2 * second, 0, 1800 * time.Millisecond},
		{"far deadline", 900 * second, 0, 899500 * time.Millisecond},
		{"deadline before limit", 2 * second, 20 * second, 1800 * time.Millisecond},
		{"deadline after limit", 3600 * second, 20 * second, 19500 * time.Millisecond},
		{"past deadline", -second, 0, 2700 * time.Millisecond},
		{"past deadline and a limit", -second, 10 * second, 9500 * time.Millisecond},
		{"the year 1970", -1e9 * second, 10 * second, 9500 * time.Millisecond},
		{"hardly any time left", 10 * time.Millisecond, 10 * second, 9 * time.Millisecond},
		{"negative limit", 0, -5 * second, 2700 * time.Millisecond},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				parent, hangUp := context.WithCancel(t.Context())
				if tt.deadline != 0 {
					var cancel context.CancelFunc
					parent, cancel = context.WithTimeout(parent, tt.deadline)
					defer cancel()
				}
				ctx, cancel := request{limit: tt.limit}.begin(parent)
				defer cancel()
				hangUp()
				deadline, ok := ctx.Deadline()
				if left := time.Until(deadline); !ok || left != tt.want || ctx.Err() != nil {
					t.Errorf("got %s (%v, %v), want %s", left, ok, ctx.Err(), tt.want)
				}
			})
		})
	}
}

func TestCredentialsAreOfTheRequest(t *testing.T) {
	pairs := map[string]string{
		"TENCENTCLOUD_SECRETID": "id0", "TENCENTCLOUD_SECRETKEY": "key0", "TENCENTCLOUD_SESSIONTOKEN": "session0",
		"WX_API_TOKEN": "api0", "WX_TRIGGER_API_TOKEN_V0": "trigger0", "WX_CLOUDBASE_ACCESSTOKEN": "access0", "TCB_SESSIONTOKEN": "tcb0",
		"TCB_SOURCE": "wx_client", "WX_OPENID": "oALICE", "TCB_ENV": "env0", "TCB_API_URL": "url0", "WXPAY_APIV3_KEY": "v3", "WECOM_CORPID": "corp",
		"TENCENTCLOUD_RUNENV": "SCF", "REFUND_OPERATORS": "oALICE",
	}
	ctx, cancel := request{credentials: readCredentials(settings(pairs))}.begin(t.Context())
	defer cancel()
	got, ok := CredentialsFrom(ctx)
	want := []string{"id0", "key0", "session0", "api0", "trigger0", "access0", "tcb0", "wx_client"}
	read := []string{
		got.SecretID, got.SecretKey.Reveal(), got.SessionToken.Reveal(), got.APIToken.Reveal(), got.TriggerAPIToken.Reveal(), got.AccessToken.Reveal(),
		got.TCBSessionToken.Reveal(), got.Source,
	}
	if diff := cmp.Diff(want, read); !ok || diff != "" {
		t.Errorf("got %v (-want +got):\n%s", ok, diff)
	}
	if c, ok := CredentialsFrom(t.Context()); ok || c != (cloudbase.Credentials{}) {
		t.Errorf("a context without credentials: got %v, %v", c, ok)
	}
	ctx, cancel = request{credentials: cloudbase.Credentials{SecretID: "id0", APIToken: secret.Text("t")}}.begin(t.Context())
	defer cancel()
	if c, ok := CredentialsFrom(ctx); ok || c.APIToken.Reveal() != "t" {
		t.Errorf("half a key pair: got ok %v", ok)
	}

	// settings leave the request's variables out, and nothing else
	visible := map[string]string{}
	for name := range pairs {
		if v := settingsOnly(settings(pairs))(name); v != "" {
			visible[name] = v
		}
	}
	diff := cmp.Diff(map[string]string{"TCB_ENV": "env0", "TCB_API_URL": "url0", "WXPAY_APIV3_KEY": "v3", "WECOM_CORPID": "corp",
		"TENCENTCLOUD_RUNENV": "SCF", "REFUND_OPERATORS": "oALICE"}, visible)
	if diff != "" {
		t.Errorf("settings (-want +got):\n%s", diff)
	}
}

func TestLogHasRequestIDsTheCurrentLevelAndUTC(t *testing.T) {
	env := map[string]string{}
	var out strings.Builder
	log := NewLogger(&out, settings(env))
	ctx, cancel := request{id: "req-1"}.begin(t.Context())
	defer cancel()

	log.InfoContext(t.Context(), "without")
	log.With("a", 1).InfoContext(ctx, "with")
	log.DebugContext(ctx, "unseen")
	env["LOG_LEVEL"] = "debug"
	log.DebugContext(ctx, "seen")
	env["LOG_LEVEL"] = "error"
	log.WarnContext(ctx, "unseen")
	env["LOG_LEVEL"] = "loud"
	log.WarnContext(ctx, "unknown level")

	var got []string
	for line := range strings.Lines(out.String()) {
		var r map[string]any
		if err := json.Unmarshal([]byte(line), &r); err != nil {
			t.Fatal(err)
		}
		got = append(got, fmt.Sprint(r["msg"], " ", r["request_id"], " ", r["a"]))
	}
	if diff := cmp.Diff([]string{"without <nil> <nil>", "with req-1 1", "seen req-1 <nil>", "unknown level req-1 <nil>"}, got); diff != "" {
		t.Errorf("records (-want +got):\n%s", diff)
	}

	out.Reset()
	at := time.Date(2026, 11, 22, 10, 5, 0, 0, time.FixedZone("UTC+8", 8*60*60))
	if err := log.Handler().Handle(t.Context(), slog.NewRecord(at, slog.LevelError, "x", 0)); err != nil {
		t.Fatal(err)
	}
	if got := out.String(); !strings.Contains(got, `"time":"2026-11-22T02:05:00Z"`) {
		t.Errorf("got %s, want the time in UTC", got)
	}
}

func TestRecorderAnswersAsNetHTTPDoes(t *testing.T) {
	handlers := map[string]http.HandlerFunc{
		"nothing":       func(http.ResponseWriter, *http.Request) {},
		"text":          func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "hello") },
		"no type":       func(w http.ResponseWriter, _ *http.Request) { w.Header()["Content-Type"] = nil; fmt.Fprint(w, "x") },
		"status":        func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(418) },
		"first status":  func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(401); w.WriteHeader(200) },
		"late header":   func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "<p>"); w.Header().Set("X-Late", "1") },
		"error":         func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "no", 400) },
		"informational": func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(103); w.WriteHeader(201) },
	}
	for name, h := range handlers {
		var ours recorder
		h(&ours, nil)
		got := ours.result()

		theirs := httptest.NewUnstartedServer(h)
		theirs.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelError)
		theirs.Start()
		res, err := theirs.Client().Get(theirs.URL)
		if err != nil {
			t.Fatal(err)
		}
		res.Body.Close()
		theirs.Close()
		res.Header.Del("Date")
		res.Header.Del("Content-Length")
		delete(got.header, "Date")
		if v, ok := got.header["Content-Type"]; ok && v == nil {
			delete(got.header, "Content-Type") // net/http sends no such line
		}
		if got.status != res.StatusCode {
			t.Errorf("%s: got status %d, net/http sends %d", name, got.status, res.StatusCode)
		}
		if diff := cmp.Diff(res.Header, got.header); diff != "" {
			t.Errorf("%s: header (-net/http +got):\n%s", name, diff)
		}
	}
	s, _ := testServer(t, Function{HTTP: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(0) })})
	if res := s.serve(httptest.NewRequest("GET", "/", nil), nil, true, nobody); res.status != 500 {
		t.Errorf("impossible status: got %d, want 500", res.status)
	}
}

// Without a platform's variable, one line says what was looked for.
func TestRunWithoutAPlatformSaysWhatItLookedFor(t *testing.T) {
	logs := new(logBuffer)
	getenv := settings(nil)
	code := Run(t.Context(), getenv, NewLogger(logs, getenv), nil)
	if code != 2 || strings.Count(logs.String(), "\n") != 1 {
		t.Errorf("got %d, want 2 and one line:\n%s", code, logs)
	}
	for _, name := range []string{"_LAMBDA_SERVER_PORT (SCF)", "AWS_LAMBDA_RUNTIME_API (AWS Lambda)", "PORT (plain HTTP)"} {
		if !strings.Contains(logs.String(), name) {
			t.Errorf("%s is not named in %s", name, logs)
		}
	}
}
