package main

import (
	"context"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"regexp"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"wxrefund/shared/cloudbase"
	"wxrefund/shared/sandbox"
	"wxrefund/shared/secret"
)

// variables are those of /_sandbox/env.
func (p *program) variables() map[string]string {
	p.t.Helper()
	_, text := p.request("GET", "/_sandbox/env", "")
	v := map[string]string{}
	for _, m := range regexp.MustCompile(`(?m)^(\w+)='(.*)'$`).FindAllStringSubmatch(text, -1) {
		v[m[1]] = strings.ReplaceAll(m[2], `\n`, "\n")
	}
	return v
}

// gateway calls a function through CloudBase's gateway on behalf of a user, or of nobody.
func (p *program) gateway(function, event, openid, source string) (string, error) {
	p.t.Helper()
	v := p.variables()
	g := &cloudbase.Gateway{
		URL: v["TCB_API_URL"], EnvID: v["TCB_ENV"], HTTP: http.DefaultClient,
		Credentials: func(context.Context) (cloudbase.Credentials, error) {
			return cloudbase.Credentials{
				SecretID: v["TENCENTCLOUD_SECRETID"], SecretKey: secret.Text(v["TENCENTCLOUD_SECRETKEY"]),
				APIToken: secret.Text(openid), Source: source,
			}, nil
		},
	}
	out, err := g.Invoke(p.t.Context(), function, []byte(event))
	return string(out), err
}

// What another function of the merchant's would call is called through the gateway, and
// knows on whose behalf: the dispatcher also under the name that the migration gives it.
func TestTheGatewayHostsOurFunctions(t *testing.T) {
	t.Parallel()
	for _, trust := range []string{"", "true"} {
		p := startWith(t, environment(map[string]string{"REFUND_TRUST_FUNCTIONS": trust}), "-speed", "0.001", "-timer=false", "-operators", "oOperator")
		for _, tt := range []struct {
			function, openid, source string
			admitted                 bool
		}{
			{"wxpayRefund", "", "", true},
			{"wxpayFunctions", "", "", true},
			{"wxpayRefund", "oOperator", "wx_client", true},
			{"wxpayRefund", "oStranger", "wx_client", trust == "true"},
			{"wxpayRefund", "", "wx_client", trust == "true"},
		} {
			out, err := p.gateway(tt.function, refundEvent(p.order(), "G-"+tt.openid+tt.source+tt.function, 10), tt.openid, tt.source)
			var r reply
			if err != nil || json.Unmarshal([]byte(out), &r) != nil {
				t.Fatalf("%+v: got %s, %v", tt, out, err)
			}
			if want := map[bool]int{true: 0, false: 403}[tt.admitted]; r.Code != want {
				t.Errorf("trust %q, %+v: got %s, want code %d", trust, tt, out, want)
			}
		}
		if out, err := p.gateway("reconcile", `{}`, "", ""); err != nil || !strings.Contains(out, `"checked":`) {
			t.Errorf("reconcile: got %s, %v", out, err)
		}
		if out, err := p.gateway("notify", `{"event_type":"REFUND.SUCCESS","resource":{"out_refund_no":"none"}}`, "", ""); err != nil || !strings.Contains(out, `"code":`) {
			t.Errorf("notify: got %s, %v", out, err)
		}
		if out, err := p.gateway("nobody", `{}`, "", ""); err == nil || !strings.Contains(err.Error(), "FUNCTION_NOT_FOUND") {
			t.Errorf("nobody: got %s, %v", out, err)
		}
	}
}

// A receiver is a process of the developer's own. It answers with what it is told.
type receiver struct {
	*httptest.Server
	mu     sync.Mutex
	answer string
	heads  []http.Header
	bodies []string
}

func receive(t *testing.T, answer string) *receiver {
	t.Helper()
	r := &receiver{answer: answer}
	r.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		body, _ := io.ReadAll(req.Body)
		r.mu.Lock()
		defer r.mu.Unlock()
		r.heads, r.bodies = append(r.heads, req.Header), append(r.bodies, string(body))
		_, _ = io.WriteString(w, r.answer)
	}))
	t.Cleanup(r.Close)
	return r
}

// got returns how many requests came, and the last of them.
func (r *receiver) got() (n int, head http.Header, body string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if n = len(r.bodies); n > 0 {
		head, body = r.heads[n-1], r.bodies[n-1]
	}
	return n, head, body
}

func (r *receiver) answers(with string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.answer = with
}

// A function that is given by its address is called there, whichever way the call comes,
// with the event as it was sent and the caller as our functions read him over plain HTTP.
func TestAFunctionOfOnesOwnIsCalledInItsProcess(t *testing.T) {
	t.Parallel()
	own := receive(t, "")
	p := start(t, "-function", "wxpayFunctions="+own.URL+"/any/path", "-function", "mine="+own.URL)
	token := "Bearer " + p.variables()["REFUND_SERVER_TOKEN"]
	if len(token) < len("Bearer ")+32 {
		t.Fatalf("%q is no server's token", token)
	}
	for _, tt := range []struct {
		name           string
		openid, source string
		authorization  string
		seen           string // as source
	}{
		{"a server", "", "", token, ""},
		{"a user", "oSomebody", "wx_client", "", "wx_client"},
		{"a user without a source", "oSomebody", "", "", "wx_client"},
		{"a client without an openid", "", "wx_client", "", "wx_client"},
	} {
		own.answers(`{"code":0,"data":{"mine":true}}`)
		const event = `{"type":"wxpay_refund","n":[1,2]}`
		if got := p.call("wxpayFunctions", event, "X-WX-OPENID", tt.openid, "X-WX-SOURCE", tt.source); got != own.answer {
			t.Errorf("%s: got %s", tt.name, got)
		}
		_, head, body := own.got()
		want := []string{tt.authorization, tt.openid, tt.seen, "application/json", event}
		got := []string{head.Get("Authorization"), head.Get("X-Wx-Openid"), head.Get("X-Wx-Source"), head.Get("Content-Type"), body}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", tt.name, diff)
		}
	}
	if got, err := p.gateway("mine", `{"a":1}`, "oSomebody", "wx_client"); err != nil || got != own.answer {
		t.Errorf("through the gateway: got %s, %v", got, err)
	}
	if _, head, body := own.got(); head.Get("X-Wx-Source") != "wx_client,scf" || body != `{"a":1}` {
		t.Errorf("through the gateway came %q, %s", head, body)
	}
	for answer, want := range map[string]string{"done": `"done"`, "": "null", " 7 ": "7"} {
		own.answers(answer)
		if got := p.call("mine", `{}`); got != want {
			t.Errorf("an answer %q: got %s, want %s", answer, got, want)
		}
	}
	// The dispatcher goes on under its other name: what runs elsewhere may be the template.
	if r := p.dispatchAs("wxpayRefund", queryEvent("out_refund_no", "none")); r.Code != 404 {
		t.Errorf("wxpayRefund: got %+v, want 404 of our own dispatcher", r)
	}
}

// dispatchAs calls the dispatcher under another name.
func (p *program) dispatchAs(name, event string) (r reply) {
	p.t.Helper()
	if err := json.Unmarshal([]byte(p.call(name, event)), &r); err != nil {
		p.t.Fatal(err)
	}
	return r
}

// Whatever is wrong with a function of one's own is said in one sentence that names it and
// its address, in the shape in which callFunction fails.
func TestAFunctionOfOnesOwnThatFailsIsNamed(t *testing.T) {
	t.Parallel()
	down := receive(t, "")
	down.Close()
	wrong := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/500":
			http.Error(w, "my stack trace", http.StatusInternalServerError)
		case "/elsewhere":
			http.Redirect(w, r, "/200", http.StatusTemporaryRedirect)
		case "/large":
			_, _ = io.WriteString(w, strings.Repeat(" ", maxResult+1))
		case "/cut":
			w.Header().Set("Content-Length", "100")
			_, _ = io.WriteString(w, "{")
		}
	}))
	defer wrong.Close()
	p := start(t, "-timer=false", "-function", "down="+down.URL, "-function", "fails="+wrong.URL+"/500", "-function", "elsewhere="+wrong.URL+"/elsewhere",
		"-function", "large="+wrong.URL+"/large", "-function", "cut="+wrong.URL+"/cut")
	for name, want := range map[string]string{
		"down":      "the function down at " + down.URL + " does not answer: dial tcp " + strings.TrimPrefix(down.URL, "http://") + ": connect: connection refused",
		"fails":     "the function fails at " + wrong.URL + "/500 answered with status 500: my stack trace",
		"elsewhere": "the function elsewhere at " + wrong.URL + "/elsewhere answered with status 307: ",
		"large":     "the function large at " + wrong.URL + "/large answered with more than 1 MiB",
		"cut":       "the function cut at " + wrong.URL + "/cut does not answer: unexpected EOF",
	} {
		var failure struct {
			ErrMsg    string
			ErrCode   int
			RequestID string
			Result    json.RawMessage
		}
		status, body := p.request("POST", "/functions/"+name, "{}")
		if err := json.Unmarshal([]byte(body), &failure); err != nil || status != 200 || failure.ErrCode != -504002 || failure.RequestID == "" || failure.Result != nil ||
			!strings.HasPrefix(failure.ErrMsg, "cloud.callFunction:fail errCode: -504002 ") || !strings.Contains(failure.ErrMsg, want) {
			t.Errorf("%s: got %d %s, want %s", name, status, body, want)
		}
		if out, err := p.gateway(name, "{}", "", ""); err == nil || !strings.Contains(err.Error(), "FUNCTIONS_EXECUTE_FAIL") {
			t.Errorf("%s, through the gateway: got %s, %v", name, out, err)
		}
		if got := strings.Count(p.stderr.String(), `"msg":"function failed","error":"`+strings.TrimSpace(want)); got != 2 {
			t.Errorf("%s: %d lines of the log say so, want two", name, got)
		}
	}
	if status, body := p.request("POST", "/functions/nobody", "{}"); status != 404 || !strings.Contains(body, `"errMsg":"cloud.callFunction:fail errCode: -501000 `) {
		t.Errorf("a function that is not there: got %d %s", status, body)
	}
}

// A function of one's own that hangs does not hang the sandbox.
func TestAFunctionOfOnesOwnMayNotTakeForEver(t *testing.T) {
	t.Parallel()
	wait := make(chan bool)
	slow := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { <-wait }))
	defer slow.Close()
	defer close(wait)
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	_, err := forward{name: "slow", url: slow.URL}.call(ctx, sandbox.Call{Event: json.RawMessage("{}")})
	if err == nil || !strings.Contains(err.Error(), "the function slow at "+slow.URL+" took longer than 1m0s") {
		t.Errorf("got %v", err)
	}
}

// What is under way when the sandbox is told to end gets a second.
func TestWhatIsUnderWayIsAnsweredBeforeTheEnd(t *testing.T) {
	t.Parallel()
	came, ended := make(chan bool), make(chan bool)
	var answered atomic.Bool
	slow := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		came <- true
		time.Sleep(300 * time.Millisecond)
		answered.Store(true)
		_, _ = io.WriteString(w, `{"late":true}`)
	}))
	defer slow.Close()
	p := start(t, "-function", "slow="+slow.URL)
	go func() {
		defer close(ended)
		if _, got := p.request("POST", "/functions/slow", "{}"); !strings.Contains(got, `"late":true`) {
			t.Errorf("got %s", got)
		}
	}()
	<-came
	if code := p.stop(); code != 0 || !answered.Load() {
		t.Errorf("exit code %d; answered before it: %t", code, answered.Load())
	}
	<-ended
}

// A function whose address is the sandbox's own would call itself, and is refused.
func TestAFunctionCannotLeadBack(t *testing.T) {
	t.Parallel()
	port := freePort(t)
	for to, code := range map[string]int{
		"http://127.0.0.1:" + port:                               2,
		"HTTP://127.0.0.1:" + port + "/functions/wxpayFunctions": 2,
		"http://somebody@localhost:" + port:                      2,
		"http://[::ffff:127.0.0.1]:" + port:                      2,
		"http://0.0.0.0:" + port:                                 2,
		"http://127.0.0.1:" + port + "0/elsewhere":               0,
		"http://another.example:" + port:                         0,
	} {
		var stdout, stderr buffer
		got := run(t.Context(), []string{"-listen", "127.0.0.1:" + port, "-function", "wxpayFunctions=" + to, "--", "true"}, noVariables, &stdout, &stderr)
		if got != code || strings.Contains(stderr.String(), "leads back to this sandbox") != (code == 2) {
			t.Errorf("%q: got %d, %s; want %d", to, got, &stderr, code)
		}
	}
}

// One that leads back by ways which the address does not tell goes round once.
func TestAFunctionThatLeadsBackByAProxyGoesRoundOnce(t *testing.T) {
	t.Parallel()
	var calls atomic.Int32
	var to atomic.Pointer[url.URL]
	proxy := httptest.NewServer(&httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) {
		if calls.Add(1) < 9 {
			r.Out.URL, r.Out.Host = to.Load(), ""
		}
	}})
	t.Cleanup(proxy.Close)
	p := start(t, "-function", "round="+proxy.URL)
	at, err := url.Parse(p.ready.Listen + "/functions/round")
	if err != nil {
		t.Fatal(err)
	}
	to.Store(at)
	_, body := p.request("POST", "/functions/round", "{}")
	if n := calls.Load(); n != 1 || !strings.Contains(body, "status 508") || !strings.Contains(body, "leads back to the sandbox") {
		t.Errorf("%d calls, and %s", n, body)
	}
}

// The timer calls reconcile where it runs, as a trigger does and as a server. While it does
// not answer that is logged once.
func TestTheTimerCallsReconcileInItsProcess(t *testing.T) {
	t.Parallel()
	own := receive(t, "{}")
	p := start(t, "-speed", "600", "-function", "reconcile="+own.URL)
	await(t, "a run of the timer", func() bool { n, _, _ := own.got(); return n > 0 })
	if _, head, body := own.got(); !strings.Contains(body, `"Type":"Timer"`) || head.Get("Authorization") != "Bearer "+p.variables()["REFUND_SERVER_TOKEN"] {
		t.Errorf("it came with %q and %s", head, body)
	}
	own.Close()
	const failed = `"msg":"timer failed"`
	await(t, "the failure", func() bool { return strings.Contains(p.stderr.String(), failed) })
	time.Sleep(500 * time.Millisecond) // in which the timer runs several times
	if n := strings.Count(p.stderr.String(), failed); n != 1 {
		t.Errorf("%d lines of the log say so, want one", n)
	}
}

// Where notifications are calls of a function, -function notify=URL brings them to a
// process of one's own, on either channel.
func TestRelayedNotificationsGoToAFunctionOfOnesOwn(t *testing.T) {
	t.Parallel()
	for _, channel := range []string{"cloudbase", "cloudpay"} {
		own := receive(t, `{"code":"SUCCESS","errcode":0}`)
		p := start(t, "-channel", channel, "-speed", "600", "-timer=false", "-function", "notify="+own.URL)
		p.succeed(refundEvent(p.order(), "R1", 60))
		await(t, "the notification", func() bool {
			d := p.deliveries("R1")
			return len(d) == 1 && d[0].State == "delivered"
		})
		if _, _, body := own.got(); !strings.Contains(body, "R1") {
			t.Errorf("%s: the function got %s", channel, body)
		}
	}
}

// freePort returns a port that nobody listens on.
func freePort(t *testing.T) string {
	t.Helper()
	l, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	_, port, _ := net.SplitHostPort(l.Addr().String())
	return port
}
