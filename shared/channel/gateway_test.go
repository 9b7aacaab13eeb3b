package channel_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log"
	"mime"
	"mime/multipart"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"wxrefund/shared/channel"
	"wxrefund/shared/cloudbase"
	"wxrefund/shared/refund"
	"wxrefund/shared/secret"
	"wxrefund/shared/wxpay"
)

const envID = "env-test"

// discard is the log of servers that are broken on purpose.
var discard = log.New(io.Discard, "", 0)

// A gatewayCall is what arrived at the gateway, its signature verified.
type gatewayCall struct {
	secretID string
	names    []string // of the parameters, in the order in which they came
	values   map[string]string
	binary   map[string]bool
}

// serveGateway starts a gateway that verifies what it is sent.
func serveGateway(t *testing.T, answer func(w http.ResponseWriter, r *http.Request, c gatewayCall)) *cloudbase.Gateway {
	t.Helper()
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c, err := readCall(r)
		if err != nil {
			t.Errorf("the gateway refuses the call: %v", err)
		}
		answer(w, r, c)
	}))
	t.Cleanup(srv.Close)
	return &cloudbase.Gateway{
		URL: srv.URL + "/admin", EnvID: envID, HTTP: wxpay.NewHTTPClient(nil),
		Credentials: func(context.Context) (cloudbase.Credentials, error) { return credentials("1"), nil },
	}
}

func credentials(n string) cloudbase.Credentials {
	return cloudbase.Credentials{
		SecretID: "AKID" + n, SecretKey: secret.Text("SECRET" + n), SessionToken: secret.Text("session" + n),
		APIToken: secret.Text("api" + n), TCBSessionToken: secret.Text("tcb" + n), Source: "wx_client",
	}
}

// readCall reads a call as the gateway would, and verifies it with the key of
// whoever says to have signed it.
func readCall(r *http.Request) (c gatewayCall, err error) {
	c = gatewayCall{values: map[string]string{}, binary: map[string]bool{}}
	params, err := readParams(r)
	if err != nil {
		return c, err
	}
	for _, p := range params {
		c.names = append(c.names, p.Name)
		c.values[p.Name], c.binary[p.Name] = string(p.Value), p.Binary
	}
	cred, err := cloudbase.ParseTC3(r.Header.Get("Authorization"))
	if err != nil {
		return c, err
	}
	c.secretID = cred.SecretID
	if got := strings.Join(cred.SignedHeaders, " "); got != "content-type host user-agent x-client-timestamp x-sdk-version x-tcb-source" {
		return c, errors.New("signed headers: " + got)
	}
	at, err := strconv.ParseInt(r.Header.Get("X-Timestamp"), 10, 64)
	if err != nil {
		return c, err
	}
	u := &url.URL{Scheme: "http", Host: r.Host, Path: r.URL.Path, RawQuery: r.URL.RawQuery}
	key := strings.Replace(cred.SecretID, "AKID", "SECRET", 1)
	return c, cred.Verify(key, r.Method, u, r.Header, params, time.Unix(at, 0), time.Now())
}

func readParams(r *http.Request) (params []cloudbase.Param, err error) {
	kind, more, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if err != nil {
		return nil, err
	}
	if kind == "application/json" {
		var m map[string]string
		err := json.NewDecoder(r.Body).Decode(&m)
		for name, value := range m {
			params = append(params, cloudbase.Param{Name: name, Value: []byte(value)})
		}
		return params, err
	}
	parts := multipart.NewReader(r.Body, more["boundary"])
	for {
		p, err := parts.NextRawPart()
		if errors.Is(err, io.EOF) {
			return params, nil
		}
		if err != nil {
			return nil, err
		}
		if p.FileName() != "" {
			return nil, fmt.Errorf("%s has a file name", p.FormName())
		}
		value, err := io.ReadAll(p)
		if err != nil {
			return nil, err
		}
		contentType := p.Header.Get("Content-Type")
		if contentType != "" && contentType != "application/octet-stream" {
			return nil, errors.New("content type " + contentType)
		}
		params = append(params, cloudbase.Param{Name: p.FormName(), Value: value, Binary: contentType != ""})
	}
}

// commonNames are the parameters that every action has besides.
var commonNames = []string{"envName", "wxCloudApiToken", "wxCloudbaseAccesstoken", "tcb_sessionToken", "sessionToken", "crossAuthorizationToken"}

// checkEnvelope checks what all calls of the gateway have in common.
func checkEnvelope(t *testing.T, r *http.Request, c gatewayCall) {
	t.Helper()
	if r.Method != http.MethodPost || r.URL.Path != "/admin" || r.URL.Query().Get("env") != envID || r.URL.Query().Get("seqId") == "" {
		t.Errorf("%s %s", r.Method, r.URL)
	}
	for name, want := range map[string]string{
		"User-Agent": "tcb-node-sdk/3.18.3", "X-Sdk-Version": "tcb-node-sdk/3.18.3", "X-Tcb-Source": "wx_client,scf", "X-Signature-Expires": "600",
	} {
		if got := r.Header.Get(name); got != want {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
	for name, want := range map[string]string{
		"envName": envID, "wxCloudApiToken": "api1", "wxCloudbaseAccesstoken": "", "tcb_sessionToken": "tcb1", "sessionToken": "session1", "crossAuthorizationToken": "",
	} {
		if got, ok := c.values[name]; !ok || got != want {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
}

// A broken upstream answers with anything but an answer. good is what it would
// have said.
var broken = map[string]func(w http.ResponseWriter, r *http.Request, good string){
	"HTML": func(w http.ResponseWriter, _ *http.Request, _ string) {
		w.Header().Set("Content-Type", "text/html")
		_, _ = io.WriteString(w, "<html>please log in</html>")
	},
	"empty": func(http.ResponseWriter, *http.Request, string) {},
	"null":  func(w http.ResponseWriter, _ *http.Request, _ string) { _, _ = io.WriteString(w, "null") },
	"truncated": func(w http.ResponseWriter, _ *http.Request, good string) {
		_, _ = io.WriteString(w, good[:len(good)/2])
	},
	"twice": func(w http.ResponseWriter, _ *http.Request, good string) { _, _ = io.WriteString(w, good+good) },
	"too large": func(w http.ResponseWriter, _ *http.Request, good string) {
		_, _ = io.WriteString(w, good+strings.Repeat(" ", 1<<20))
	},
	"202": status(http.StatusAccepted), "302": status(http.StatusFound), "403": status(http.StatusForbidden), "404": status(http.StatusNotFound),
	"429": status(http.StatusTooManyRequests), "500": status(http.StatusInternalServerError), "502": status(http.StatusBadGateway),
	"reset": func(w http.ResponseWriter, _ *http.Request, _ string) { hangUp(w) },
	"breaks off": func(w http.ResponseWriter, _ *http.Request, good string) {
		w.Header().Set("Content-Length", strconv.Itoa(len(good)))
		_, _ = io.WriteString(w, good[:len(good)-1])
	},
	"hangs": func(_ http.ResponseWriter, r *http.Request, _ string) {
		select {
		case <-r.Context().Done():
		case <-time.After(10 * time.Second):
		}
	},
}

// status answers with the right body and a status that is not 200.
func status(code int) func(w http.ResponseWriter, _ *http.Request, good string) {
	return func(w http.ResponseWriter, _ *http.Request, good string) {
		w.WriteHeader(code)
		_, _ = io.WriteString(w, good)
	}
}

func hangUp(w http.ResponseWriter) {
	c, _, err := http.NewResponseController(w).Hijack()
	if err != nil {
		panic(err)
	}
	_ = c.Close()
}

// both are the two calls of a channel, for the refund R1.
func both(c refund.Channel) map[string]func(context.Context) error {
	return map[string]func(context.Context) error{
		"refund": func(ctx context.Context) error { _, err := c.Refund(ctx, request()); return err },
		"query":  func(ctx context.Context) error { _, err := c.Query(ctx, refund.Lookup{OutRefundNo: "R1"}); return err },
	}
}

// systems are all upstreams, each with the channel to it. answer answers for all of
// them, and is given what they would have said.
func systems(t *testing.T, answer func(w http.ResponseWriter, r *http.Request, good string)) map[string]refund.Channel {
	t.Helper()
	return map[string]refund.Channel{
		"apiv3": serve(t, func(w http.ResponseWriter, r *http.Request, _ []byte) {
			sign(t, w, serial, object, time.Now())
			answer(w, r, object)
		}),
		"cloudbase": &channel.CloudBase{Gateway: serveGateway(t, func(w http.ResponseWriter, r *http.Request, _ gatewayCall) {
			answer(w, r, invoked(`{"code":0,"data":`+object+`}`))
		})},
		"cloudpay": &channel.CloudPay{SubMchID: "1900000109", Gateway: serveGateway(t, func(w http.ResponseWriter, r *http.Request, c gatewayCall) {
			good := accepted
			if c.values["apiName"] == "queryRefund" {
				good = alone()
			}
			answer(w, r, good.json())
		})},
		"global": serveGlobal(t, func(w http.ResponseWriter, r *http.Request, _ wxpay.Fields) {
			good := globalAccepted
			if r.URL.Path == "/pay/refundquery" {
				good = globalFound
			}
			answer(w, r, good.signed())
		}),
		"wecom": (&wecomServer{answer: func(w http.ResponseWriter, r *http.Request, _ string) {
			good := wecomFound
			if r.URL.Path == "/cgi-bin/miniapppay/refund" {
				good = wecomAccepted
			}
			answer(w, r, good)
		}}).start(t),
	}
}

// Everything that is no answer leaves the outcome open, whatever upstream it is of.
func TestBrokenAnswersLeaveTheOutcomeOpen(t *testing.T) {
	for system, ch := range systems(t, func(w http.ResponseWriter, _ *http.Request, good string) { _, _ = io.WriteString(w, good) }) {
		for call, do := range both(ch) {
			if err := do(t.Context()); err != nil {
				t.Errorf("%s, %s: what is not broken: %v", system, call, err)
			}
		}
	}
	for name, breakIt := range broken {
		for system, ch := range systems(t, breakIt) {
			t.Run(system+", "+name, func(t *testing.T) {
				t.Parallel()
				for call, do := range both(ch) {
					isUnknown(t, call, do(deadlineFor(t, name)))
				}
			})
		}
	}
}

// isEqual checks what was sent, or read.
func isEqual(t *testing.T, what string, want, got any) {
	t.Helper()
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("%s (-want +got):\n%s", what, d)
	}
}

// isAnswer checks what a call has returned.
func isAnswer(t *testing.T, what string, want, got any, err error) {
	t.Helper()
	if err != nil {
		t.Errorf("%s: %v", what, err)
	}
	isEqual(t, what, want, got)
}

// isUnknown checks that an error leaves the outcome open, and that nobody is told
// that nothing has been sent.
func isUnknown(t *testing.T, what string, err error) {
	t.Helper()
	if e := refund.AsError(err); err == nil || e.Code != refund.CodeUnavailable || e.Unsent {
		t.Errorf("%s: %v (unsent: %v), want unavailable", what, err, e.Unsent)
	}
}

func isUnsent(t *testing.T, what string, err error) {
	t.Helper()
	if e := refund.AsError(err); err == nil || e.Code != refund.CodeUnavailable || !e.Unsent {
		t.Errorf("%s: %v (unsent: %v), want unavailable and unsent", what, err, e.Unsent)
	}
}

// deadlineFor is the context of a call to a broken upstream: it ends only where
// nothing else would, and late enough for the call to have been sent.
func deadlineFor(t *testing.T, name string) context.Context {
	if name != "hangs" {
		return t.Context()
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	t.Cleanup(cancel)
	return ctx
}

// An errorRow is a row of a document's error table.
type errorRow struct {
	code string
	want refund.Code
	next refund.Next
}

// checkRow checks what became of an error code in answer to a call, refund or query.
func checkRow(t *testing.T, call, what string, row errorRow, err error) {
	t.Helper()
	what = call + " " + what
	e := refund.AsError(err)
	if err == nil || e.Code != row.want || e.Next != row.next || e.Upstream != row.code || e.Unsent {
		t.Errorf("%s: %v (next %s, upstream %q), want %s/%s", what, err, e.Next, e.Upstream, row.want, row.next)
	}
	// E1: of an application alone, and in few words, a refusal may mean that its number is another refund's.
	taken := call == "refund" && slices.Contains([]string{"ERROR", "INVALID_REQUEST", "REFUND_FEE_MISMATCH", "720599"}, row.code)
	if e.MaybeNumberTaken != taken {
		t.Errorf("%s: maybe taken %v, want %v", what, e.MaybeNumberTaken, taken)
	}
	var pause time.Duration
	if row.want == refund.CodeUnavailable && row.next == refund.Later {
		pause = time.Minute
	}
	if e.RetryAfter != pause {
		t.Errorf("%s: retry after %s, want %s", what, e.RetryAfter, pause)
	}
}

// notCarried checks that a channel refuses by name what it cannot carry: cases of its
// own, and what none can.
func notCarried(t *testing.T, c refund.Channel, base refund.Request, cases map[string]func(*refund.Request)) {
	t.Helper()
	spec := c.Spec()
	if err := spec.Check(base); err != nil {
		t.Errorf("a request that can be carried: %v", err)
	}
	for _, cases := range []map[string]func(*refund.Request){cases, {
		"out_refund_no must": func(r *refund.Request) { r.OutRefundNo = strings.Repeat("1", 65) },
		"out_refund_no may":  func(r *refund.Request) { r.OutRefundNo = "R#1" },
		"reason":             func(r *refund.Request) { r.Reason = strings.Repeat("长", 27) },
		"amount.refund":      func(r *refund.Request) { r.Amount.Refund = 101 },
	}} {
		for field, change := range cases {
			req := base
			change(&req)
			err := spec.Check(req)
			if e := refund.AsError(err); err == nil || e.Code != refund.CodeInvalid || !strings.HasPrefix(e.Message, field) {
				t.Errorf("%s: %v, want a refusal that names it", field, err)
			}
		}
	}
}

func noAnswer(t *testing.T) func(http.ResponseWriter, *http.Request, gatewayCall) {
	return func(http.ResponseWriter, *http.Request, gatewayCall) { t.Error("something was sent") }
}

// gatewayChannels are the two channels that call the gateway.
func gatewayChannels(g *cloudbase.Gateway) map[string]refund.Channel {
	return map[string]refund.Channel{
		"cloudbase": &channel.CloudBase{Gateway: g},
		"cloudpay":  &channel.CloudPay{Gateway: g, SubMchID: "1900000109"},
	}
}

// Without a connection, an address or credentials nothing has been sent.
func TestGatewayCallsThatCannotBeMadeAreUnsent(t *testing.T) {
	for name, change := range map[string]func(*cloudbase.Gateway){
		"no connection": func(g *cloudbase.Gateway) { g.URL = "http://127.0.0.1:1/admin" },
		"no address":    func(g *cloudbase.Gateway) { g.URL = "http://[::1/admin" },
		"no method":     func(g *cloudbase.Gateway) { g.URL = "http://a b/admin" },
		"no credentials": func(g *cloudbase.Gateway) {
			g.Credentials = func(context.Context) (cloudbase.Credentials, error) {
				return cloudbase.Credentials{}, errors.New("none")
			}
		},
	} {
		g := serveGateway(t, noAnswer(t))
		change(g)
		for ch, c := range gatewayChannels(g) {
			for call, do := range both(c) {
				isUnsent(t, name+", "+ch+" "+call, do(t.Context()))
			}
		}
	}
}

// A time that has run out before is no reason to send.
func TestGatewayIsNotCalledWhenTimeHasRunOut(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	for ch, c := range gatewayChannels(serveGateway(t, noAnswer(t))) {
		_, err := c.Refund(ctx, request())
		isUnsent(t, ch, err)
	}
}

// The gateway's own errors leave the outcome open, and keep their code.
func TestGatewayErrorsLeaveTheOutcomeOpen(t *testing.T) {
	for body, upstream := range map[string]string{
		`{"code":"FUNCTION_TIME_LIMIT_EXCEEDED","message":"?","requestId":"1"}`: "FUNCTION_TIME_LIMIT_EXCEEDED",
		`{"errcode":-501003,"errmsg":"exceed request limit"}`:                   "-501003",
		`{"code":"SIGN_PARAM_INVALID"}`:                                         "SIGN_PARAM_INVALID",
		`{"requestId":"1","data":{}}`:                                           "",
		`{"requestId":"1","data":null}`:                                         "",
		`[]`:                                                                    "",
		``:                                                                      "",
	} {
		for _, code := range []int{200, 401, 500} {
			g := serveGateway(t, func(w http.ResponseWriter, _ *http.Request, _ gatewayCall) {
				w.Header().Set("Content-Type", "application/json; charset=utf-8")
				w.WriteHeader(code)
				_, _ = io.WriteString(w, body)
			})
			for ch, c := range gatewayChannels(g) {
				for call, do := range both(c) {
					err := do(t.Context())
					isUnknown(t, ch+" "+call+" "+body, err)
					if got := refund.AsError(err).Upstream; got != upstream {
						t.Errorf("%s %s %d %s: upstream %q, want %q", ch, call, code, body, got, upstream)
					}
				}
			}
		}
	}
}

// Of a timer's token and the API token one goes, the former first; without
// either the access token. The chain of callers is passed on.
func TestGatewayGetsOneTokenAndTheChainOfCallers(t *testing.T) {
	for name, c := range map[string]struct {
		lent                  cloudbase.Credentials
		token, access, source string
	}{
		"timer":  {cloudbase.Credentials{TriggerAPIToken: secret.Text("timer"), APIToken: secret.Text("api"), AccessToken: secret.Text("access")}, "timer", "", "scf"},
		"API":    {cloudbase.Credentials{APIToken: secret.Text("api"), AccessToken: secret.Text("access"), Source: "wx_client,scf"}, "api", "", "wx_client,scf,scf"},
		"access": {cloudbase.Credentials{AccessToken: secret.Text("access"), Source: "wx_trigger"}, "", "access", "wx_trigger,scf"},
	} {
		g := serveGateway(t, func(_ http.ResponseWriter, r *http.Request, got gatewayCall) {
			if got.values["wxCloudApiToken"] != c.token || got.values["wxCloudbaseAccesstoken"] != c.access || r.Header.Get("X-Tcb-Source") != c.source {
				t.Errorf("%s: %v from %s", name, got.values, r.Header.Get("X-Tcb-Source"))
			}
		})
		g.Credentials = func(context.Context) (cloudbase.Credentials, error) {
			c.lent.SecretID, c.lent.SecretKey = "AKID1", secret.Text("SECRET1")
			return c.lent, nil
		}
		for _, ch := range gatewayChannels(g) {
			_, _ = ch.Refund(t.Context(), request())
		}
	}
}
