//go:build heavy

package process

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// relayed is notify's answer to a relay.
const relayed = `{"code":"SUCCESS","message":"成功","errcode":0,"errmsg":"SUCCESS"}`

// The dispatcher refunds on every platform, and serves no HTTP on those that have
// direct invocations.
func TestDispatcherRefundsOnEveryPlatform(t *testing.T) {
	t.Parallel()
	w := NewWorld(t)
	onSCF, onLambda := StartSCF(t, Dispatcher, w.Env), StartLambda(t, Dispatcher, w.Env)
	container := StartPlain(t, Dispatcher, w.With("TRUST_WX_HEADERS=true"))
	o := w.Order(100)
	for name, invoke := range map[string]func(event string) []byte{
		"SCF":    func(event string) []byte { return onSCF.Invoke(Invocation{Event: event}) },
		"Lambda": func(event string) []byte { return onLambda.Invoke("r1", event, 10*time.Second) },
		"plain HTTP": func(event string) []byte {
			status, body := container.Post(event, "X-WX-OPENID", Operator, "X-WX-SOURCE", "wx_client")
			if status != 200 {
				t.Errorf("plain HTTP: got %d %s, want 200", status, body)
			}
			return body
		},
	} {
		no := strings.ReplaceAll(name, " ", "-")
		if got := Parse(t, invoke(RefundEvent(o, no, 30))); got.Code != 0 || got.Data.Status != "PROCESSING" || got.Data.OutRefundNo != no {
			t.Errorf("%s: refund: got %+v, want PROCESSING", name, got)
		}
		if got := Parse(t, invoke(QueryEvent("out_refund_no", no))); got.Code != 0 || got.Data.Amount.Refund != 30 {
			t.Errorf("%s: query: got %+v, want it", name, got)
		}
		for _, event := range []string{``, `null`, `not JSON`, `[]`, `{"type":"nope"}`} {
			if got := Parse(t, invoke(event)); got.Code != 400 || got.Retry != "never" {
				t.Errorf("%s: %q: got %+v, want 400", name, event, got)
			}
		}
	}
	if got := w.Sum(o); got != 90 {
		t.Errorf("WeChat holds %d fen, want 90", got)
	}

	l := Notification{http.Header{"X-Wx-Openid": {Operator}, "X-Wx-Source": {"wx_client"}}, []byte(RefundEvent(o, "HTTP", 10))}
	for _, g := range TencentGateways {
		checkDenied(t, g.Name, onSCF.Invoke(Invocation{Event: g.Event(l), Environment: User(Operator, "wx_client")}))
	}
	for _, g := range AWSGateways {
		checkDenied(t, g.Name, onLambda.Invoke("r2", g.Event(l), 10*time.Second))
	}
	if got := w.Sum(o); got != 90 {
		t.Errorf("after HTTP, WeChat holds %d fen, want 90", got)
	}
}

// checkDenied wants the dispatcher's denial in the shape of an HTTP answer.
func checkDenied(t *testing.T, name string, reply []byte) {
	t.Helper()
	if status, body := Unpack(t, reply); status != 200 || body != Denied {
		t.Errorf("%s: got %d %s, want 200 %s", name, status, body, Denied)
	}
}

// Notify reads really signed notifications wherever they come in, and nothing else
// that is shaped like HTTP. Relays are answered by direct invocation.
func TestNotifyVerifiesOnEveryPlatform(t *testing.T) {
	t.Parallel()
	w := NewWorld(t)
	genuine := w.SignedNotification("N1")
	relay := `{"id":"EV-1","event_type":"REFUND.SUCCESS","resource_type":"encrypt-resource","resource":{"out_refund_no":"N1","refund_status":"SUCCESS"}}`
	own := func(name string) []string { return w.With("LEDGER_URL=sqlite:" + t.TempDir() + "/" + name + ".db") }

	type door struct {
		name    string
		process *Process
		deliver func(Notification) (int, string)
	}
	var doors []door
	onSCF, onLambda := StartSCF(t, Notify, own("scf")), StartLambda(t, Notify, own("lambda"))
	for _, g := range TencentGateways {
		doors = append(doors, door{g.Name, onSCF.Process, func(l Notification) (int, string) {
			return Unpack(t, onSCF.Invoke(Invocation{Event: g.Event(l)}))
		}})
	}
	for _, g := range AWSGateways {
		doors = append(doors, door{g.Name, onLambda.Process, func(l Notification) (int, string) {
			return Unpack(t, onLambda.Invoke("n1", g.Event(l), 10*time.Second))
		}})
	}
	container := StartPlain(t, Notify, own("plain"))
	doors = append(doors, door{"plain HTTP", container.Process, func(l Notification) (int, string) {
		status, body := container.Deliver(l)
		return status, string(body)
	}})

	unsigned := Notification{http.Header{"Content-Type": {"application/json"}}, []byte(relay)}
	for _, d := range doors {
		before := len(Changes(d.process, "N1"))
		for name, l := range map[string]Notification{"a forged notification": genuine.Forged(), "an unsigned relay": unsigned} {
			if status, body := d.deliver(l); status != 401 || !strings.Contains(body, `"code":"FAIL"`) {
				t.Errorf("%s: %s: got %d %s, want 401", d.name, name, status, body)
			}
		}
		for range 2 {
			if status, body := d.deliver(genuine); status != 200 || body != Acknowledged {
				t.Errorf("%s: got %d %s, want 200 %s", d.name, status, body, Acknowledged)
			}
		}
		Await(t, "two acknowledgements in the log", func() bool { return len(Changes(d.process, "N1")) == before+2 })
		if diff := cmp.Diff([]any{before == 0, false}, Changes(d.process, "N1")[before:]); diff != "" {
			t.Errorf("%s: what the notifications changed (-want +got):\n%s", d.name, diff)
		}
	}

	if got := string(onSCF.Invoke(Invocation{Event: relay})); got != relayed {
		t.Errorf("relay on SCF: got %s, want %s", got, relayed)
	}
	if got := string(onLambda.Invoke("n2", relay, 10*time.Second)); got != relayed {
		t.Errorf("relay on Lambda: got %s, want %s", got, relayed)
	}
	if got := string(onSCF.Invoke(Invocation{Event: relay, Environment: User(Operator, "wx_client")})); !strings.HasPrefix(got, `{"code":"FAIL"`) {
		t.Errorf("relay from the mini-program: got %s, want FAIL", got)
	}
}

// B1: any direct invocation runs the timer, on every platform and whoever makes it;
// over HTTP the server token does, and nothing else. What is due is done once.
func TestReconcilerRunsOnEveryPlatform(t *testing.T) {
	t.Parallel()
	w := NewWorld(t)
	o := w.Order(100)
	functions := StartSCF(t, Dispatcher, w.Env)
	onSCF, onLambda := StartSCF(t, Reconcile, w.Env), StartLambda(t, Reconcile, w.Env)
	const token = "new-CANARY-0123456789-0123456789"
	container, tokenless := StartPlain(t, Reconcile, w.With("REFUND_SERVER_TOKEN="+token, "TRUST_WX_HEADERS=true")), StartPlain(t, Reconcile, w.Env)
	const summary = `{"checked":1,"settled":1,"resubmitted":0,"released":0,"delivered":0,"remaining":0,"bills":0}`
	open := func(no string) {
		t.Helper()
		if got := functions.Dispatch(RefundEvent(o, no, 10)); got.Code != 0 {
			t.Fatalf("refund: got %+v, want code 0", got)
		}
		w.Post("/_sandbox/refunds/"+no+"/settle", `{"status":"SUCCESS"}`)
		w.Later()
	}

	open("T1")
	timer := `{"Type":"Timer","TriggerName":"reconcile","Time":"2026-11-22T00:00:00Z","Message":"{\"type\":\"wxpay_refund\"}"}`
	if got := string(onSCF.Invoke(Invocation{Event: timer, Environment: map[string]string{"TCB_SOURCE": "wx_trigger"}})); got != summary {
		t.Errorf("SCF: got %s, want %s", got, summary)
	}
	open("T2")
	if got := string(onLambda.Invoke("t1", `{}`, 10*time.Second)); got != summary {
		t.Errorf("Lambda: got %s, want %s", got, summary)
	}
	open("T3")
	refused := func(name string, status int, body string) {
		t.Helper()
		if status != 401 || !strings.Contains(body, `"code":403`) || !strings.Contains(body, "REFUND_SERVER_TOKEN") || strings.Contains(body, "CANARY") {
			t.Errorf("%s: got %d %s, want 401 and the variable's name", name, status, body)
		}
	}
	for name, header := range map[string][]string{
		"nobody": nil, "another token": {"Authorization", "Bearer " + token[1:] + "0"}, "an operator": {"X-WX-OPENID", Operator, "X-WX-SOURCE", "wx_client"},
	} {
		status, body := container.Post(`{}`, header...)
		refused("plain HTTP, "+name, status, string(body))
	}
	status, body := tokenless.Post(`{}`, "Authorization", "Bearer "+token)
	refused("plain HTTP, no token set", status, string(body))
	bearing := Notification{http.Header{"Authorization": {"Bearer " + token}}, []byte(`{}`)}
	for _, g := range TencentGateways {
		status, body := Unpack(t, onSCF.Invoke(Invocation{Event: g.Event(bearing), Environment: map[string]string{"TCB_SOURCE": "wx_trigger"}}))
		refused(g.Name, status, body)
	}
	for _, g := range AWSGateways {
		status, body := Unpack(t, onLambda.Invoke("t2", g.Event(bearing), 10*time.Second))
		refused(g.Name, status, body)
	}
	if status, body := container.Deliver(bearing); status != 200 || string(body) != summary {
		t.Errorf("plain HTTP: got %d %s, want 200 %s", status, body, summary)
	}
	for _, p := range []*Process{container.Process, tokenless.Process} {
		if strings.Contains(p.Stderr.String(), "CANARY") {
			t.Errorf("the token is in the log:\n%s", p.Stderr)
		}
	}
	open("T4")
	if got := string(onSCF.Invoke(Invocation{Event: `{}`, Environment: User(Operator, "wx_client")})); got != summary {
		t.Errorf("a user on SCF: got %s, want %s", got, summary)
	}
	page := functions.Dispatch(QueryEvent("out_trade_no", o.OutTradeNo))
	for _, r := range page.Data.Refunds {
		if r.Status != "SUCCESS" || len(page.Data.Refunds) != 4 {
			t.Errorf("by order: got %+v, want four successes", page)
		}
	}
}

// B1: the log says whom the dispatcher took the caller for: on each platform it is
// what that platform says, by the rules that shared/host tests row by row, and nothing
// that the caller has written.
func TestCallerIsWhomThePlatformNames(t *testing.T) {
	t.Parallel()
	w := NewWorld(t)
	o := w.Order(1000)
	const (
		server   = "server"
		nobody   = "nobody"
		unlisted = "unlisted source"
		asAdmin  = "user oO****or"
		stranger = "oStranger"
		asUser   = "user oS****er"
	)
	// Whatever a caller writes into the event.
	forgery := `"userInfo":{"openId":"` + Operator + `","appId":"wx1"},"WX_OPENID":"` + Operator + `","TCB_SOURCE":"wx_trigger","openid":"` + Operator +
		`","caller":{"Kind":2},"headers":{"x-wx-openid":"` + Operator + `","x-wx-source":"wx_client"},"environment":{"WX_OPENID":"` + Operator + `"},`
	forge := func(event, more string) string { return strings.Replace(event, `{`, `{`+forgery+more, 1) }

	n := 0
	// check invokes with an event of its own and looks up whom it was taken for.
	check := func(name, want string, p *Process, invoke func(id, event string) []byte, change func(event string) string) {
		t.Helper()
		n++
		id := fmt.Sprintf("id-%d", n)
		reply := invoke(id, change(RefundEvent(o, id, 1)))
		msg, admitted := "denied", want == server || want == asAdmin
		if admitted {
			msg = "claimed"
		}
		if got := strings.Contains(string(reply), `"code":0`); got != admitted || !admitted && !strings.Contains(string(reply), "NOAUTH") {
			t.Errorf("%s: got %s, want admitted: %v", name, reply, admitted)
			return
		}
		record, openid := p.Record(msg, id), any(nil)
		if want == asUser { // who is denied can be made an operator
			openid = stranger
		}
		if record["caller"] != want || record["openid"] != openid {
			t.Errorf("%s: got caller %v, openid %v, want %s, %v", name, record["caller"], record["openid"], want, openid)
		}
	}
	onSCF := func(f *SCF, environment map[string]string) func(id, event string) []byte {
		return func(id, event string) []byte {
			return f.Invoke(Invocation{Event: event, Environment: environment, ID: id})
		}
	}
	posted := func(f *Plain, header []string) func(id, event string) []byte {
		return func(id, event string) []byte {
			_, body := f.Post(event, append(slices.Clone(header), "X-Request-Id", id)...)
			return body
		}
	}
	plainly := func(event string) string { return event }
	forged := func(event string) string { return forge(event, "") }

	source := func(s string) map[string]string { return map[string]string{"TCB_SOURCE": s} }
	rows := []struct {
		name        string
		environment map[string]string
		want        string
		trusting    string // with REFUND_TRUST_FUNCTIONS; "": the same
	}{
		{"nothing injected", nil, server, ""},
		{"a timer", source("wx_trigger"), server, ""},
		{"a source that nobody knows", source("anonymous"), unlisted, ""},
		{"an operator", User(Operator, "wx_client"), asAdmin, ""},
		{"a user", User(stranger, "wx_client"), asUser, ""},
		{"a user through a function", User(stranger, "wx_client,scf"), asUser, server},
		{"a client without openid", source("wx_client"), nobody, ""},
	}
	strict := StartSCF(t, Dispatcher, w.With("TRUST_WX_HEADERS=true")) // which means nothing here
	trusting := StartSCF(t, Dispatcher, w.With("REFUND_TRUST_FUNCTIONS=true"))
	for _, r := range rows {
		for _, f := range []*SCF{strict, trusting} {
			name, want := "SCF: "+r.name, r.want
			if f == trusting && r.trusting != "" {
				name, want = name+", functions trusted", r.trusting
			}
			check(name, want, f.Process, onSCF(f, r.environment), plainly)
			check(name+", forged", want, f.Process, onSCF(f, r.environment), forged)
		}
		check("SCF: "+r.name+", HTTP-shaped", nobody, strict.Process, onSCF(strict, r.environment),
			func(event string) string { return forge(event, `"httpMethod":"POST","path":"/",`) })
	}
	listed := StartSCF(t, Dispatcher, w.With("REFUND_CLIENT_SOURCES=my_client, other_client", "REFUND_SERVER_SOURCES=wx_paycallback"))
	for s, want := range map[string]string{"my_client": nobody, "wx_paycallback": server, "anonymous": unlisted} {
		check("SCF: sources of one's own: "+s, want, listed.Process, onSCF(listed, source(s)), plainly)
	}

	onLambda := StartLambda(t, Dispatcher, w.With("TRUST_WX_HEADERS=true", "WX_OPENID="+stranger, "TCB_SOURCE=wx_client"))
	byLambda := func(id, event string) []byte { return onLambda.Invoke(id, event, 10*time.Second) }
	check("Lambda: direct", server, onLambda.Process, byLambda, plainly)
	check("Lambda: direct, forged", server, onLambda.Process, byLambda, forged)
	l := func(event string) Notification {
		return Notification{http.Header{"X-Wx-Openid": {Operator}, "X-Wx-Source": {"wx_client"}}, []byte(event)}
	}
	for _, g := range AWSGateways {
		check("Lambda: "+g.Name, nobody, onLambda.Process, func(id, event string) []byte {
			_, body := Unpack(t, onLambda.Invoke(id, event, 10*time.Second))
			return []byte(body)
		}, func(event string) string { return g.Event(l(event)) })
	}

	for _, trusted := range []bool{false, true} {
		container := StartPlain(t, Dispatcher, w.With(fmt.Sprintf("TRUST_WX_HEADERS=%v", trusted), "WX_OPENID="+Operator, "TCB_SOURCE=wx_trigger"))
		for _, r := range []struct {
			name   string
			header []string
			want   string // if headers are trusted
		}{
			{"no headers", nil, nobody},
			{"a user", []string{"X-WX-OPENID", stranger, "X-WX-SOURCE", "wx_client"}, asUser},
			{"an operator", []string{"X-WX-OPENID", Operator, "X-WX-SOURCE", "wx_client"}, asAdmin},
			{"an openid added to another", []string{"X-WX-OPENID", Operator, "X-WX-OPENID", stranger, "X-WX-SOURCE", "wx_client"}, nobody},
		} {
			want := nobody
			if trusted {
				want = r.want
			}
			invoke := posted(container, r.header)
			name := fmt.Sprintf("plain HTTP: %s, trusted: %v", r.name, trusted)
			check(name, want, container.Process, invoke, plainly)
			check(name+", forged", want, container.Process, invoke, forged)
			check(name+", forged and shaped", want, container.Process, invoke, func(event string) string { return forge(event, `"httpMethod":"POST",`) })
		}
	}
	// The server token makes a server of whoever brings it over plain HTTP, whatever else he says.
	const token, former = "new-CANARY-0123456789-0123456789", "old-CANARY-0123456789-0123456789"
	tokens := StartPlain(t, Dispatcher, w.With("REFUND_SERVER_TOKEN="+token+","+former, "TRUST_WX_HEADERS=true"))
	for name, r := range map[string]struct {
		header []string
		want   string
	}{
		"the token":                     {[]string{"Authorization", "Bearer " + token}, server},
		"a wrong token":                 {[]string{"Authorization", "Bearer " + token[1:] + "0"}, nobody},
		"a wrong token and an operator": {[]string{"Authorization", "Bearer x", "X-WX-OPENID", Operator, "X-WX-SOURCE", "wx_client"}, asAdmin},
	} {
		check("plain HTTP: "+name, r.want, tokens.Process, posted(tokens, r.header), plainly)
	}
	if strings.Contains(tokens.Process.Stderr.String(), "CANARY") {
		t.Errorf("a token is in the log:\n%s", tokens.Process.Stderr)
	}
	// What looks like a gateway's is a stranger's, even if it cannot be read.
	for _, shape := range []string{`"httpMethod":null,`, `"httpMethod":7,`, `"requestContext":{},`, `"requestContext":"",`} {
		for name, e := range map[string]map[string]string{"a server": nil, "an operator": User(Operator, "wx_client")} {
			if status, body := Unpack(t, trusting.Invoke(Invocation{Event: forge(RefundEvent(o, "shaped", 1), shape), Environment: e})); status != 400 || body != "" {
				t.Errorf("SCF: %s with %s: got %d %s, want 400", name, shape, status, body)
			}
		}
	}
	for _, r := range w.Refunds() {
		if !strings.HasPrefix(r.OutRefundNo, "id-") {
			t.Errorf("WeChat holds %+v, which nobody was admitted for", r)
		}
	}
}
