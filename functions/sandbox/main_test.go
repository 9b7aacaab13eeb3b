package main

import (
	"context"
	"encoding/json"
	"net"
	"net/http"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// The whole story of one refund, from the program's first line to a restart.
func TestARefundFromFirstLineToRestart(t *testing.T) {
	t.Parallel()
	ledger := "sqlite:" + filepath.Join(t.TempDir(), "ledger.db")
	quiet := []string{"-ledger", ledger, "-pace", "0s", "-timer=false"} // what one step has left open the next one finds so
	p := start(t, append(quiet, "-speed", "300", "-seed", "99")...)     // a seed with which WeChat takes its time over R1
	checkReady(t, p)

	o := p.order()
	part := refundEvent(o, "R1", 60)
	first := p.succeed(part)
	if first.Status != "PROCESSING" || first.RefundID == "" || first.Amount.Refund != 60 || first.Amount.Total != 100 || first.SuccessTime != "" {
		t.Errorf("refund: got %+v, want 60 of 100 PROCESSING", first)
	}
	if again := p.succeed(part); again.RefundID != first.RefundID {
		t.Errorf("the same refund again: got %s, want %s", again.RefundID, first.RefundID)
	}

	// The hostile sandbox sends each notification twice.
	await(t, "the notification and its duplicate", func() bool {
		d := p.deliveries("R1")
		return len(d) == 1 && d[0].State == "delivered" && d[0].NextAt == nil && len(d[0].Attempts) == 2
	})
	checkDelivery(t, p.deliveries("R1")[0], 2)
	settled := checkQueries(t, p, o, first)

	// Nothing that comes late changes anything.
	id := p.deliveries("R1")[0].ID
	upstream := p.upstream(o)
	for range 2 {
		p.control("POST", "/_sandbox/deliveries/"+id+"/resend", "", nil)
	}
	checkDelivery(t, p.deliveries("R1")[0], 4)
	if diff := cmp.Diff(settled, p.succeed(queryEvent("out_refund_no", "R1"))); diff != "" {
		t.Errorf("after resending (-before +after):\n%s", diff)
	}
	if diff := cmp.Diff(upstream, p.upstream(o)); diff != "" || len(upstream) != 1 {
		t.Errorf("what WeChat holds (-before +after):\n%s", diff)
	}
	if got := p.succeed(part); got.Status != "SUCCESS" || got.RefundID != first.RefundID {
		t.Errorf("the settled refund again: got %+v, want R1 as it is", got)
	}

	// What is not settled when the program ends...
	p.control("POST", "/_sandbox/faults", `{"notify":"lose"}`, nil)
	if got := p.succeed(refundEvent(o, "R2", 30)); got.Status != "PROCESSING" {
		t.Errorf("second refund: got %+v, want PROCESSING", got)
	}
	if code := p.stop(); code != 0 {
		t.Errorf("exit code: got %d, want 0", code)
	}
	if got := strings.Count(p.stdout.String(), "\n"); got != 1 {
		t.Errorf("standard output has %d lines, want the ready line alone:\n%s", got, p.stdout)
	}
	restarted(t, start(t, quiet...), o, settled)
}

// checkReady holds the ready line against the contract, and what it says against
// what listens there.
func checkReady(t *testing.T, p *program) {
	t.Helper()
	line := regexp.MustCompile(`^\{"ready":true,"listen":"http://127\.0\.0\.1:\d+","wechat":"http://127\.0\.0\.1:\d+","wechat_tls":"https://127\.0\.0\.1:\d+","seed":99\}\n$`)
	if got := p.stdout.String(); !line.MatchString(got) {
		t.Errorf("ready line: got %q, want %s", got, line)
	}
	if status, body := p.request("GET", "/", ""); status != 200 || body == "" {
		t.Errorf("GET /: got %d %q, want the console", status, body)
	}
	for url, want := range map[string]bool{
		p.ready.WeChat + "/v3/certificates":    true,
		p.ready.WeChatTLS + "/v3/certificates": false, // no client certificate, and nobody trusts its own
	} {
		r, err := http.NewRequestWithContext(t.Context(), "GET", url, nil)
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Accept", "application/json")
		res, err := http.DefaultClient.Do(r)
		if (err == nil) != want {
			t.Errorf("GET %s: got %v, want an answer: %v", url, err, want)
		}
		if err != nil {
			continue
		}
		res.Body.Close()
		if res.StatusCode != 401 {
			t.Errorf("GET %s unsigned: got %d, want 401", url, res.StatusCode)
		}
	}
}

// checkDelivery wants a success that was sent so often and always acknowledged.
func checkDelivery(t *testing.T, d delivery, attempts int) {
	t.Helper()
	if d.State != "delivered" || d.EventType != "REFUND.SUCCESS" || len(d.Attempts) != attempts {
		t.Errorf("delivery: got %+v, want a success delivered in %d attempts", d, attempts)
	}
	for i, a := range d.Attempts {
		if a.Status != 200 || a.Reply != `{"code":"SUCCESS","message":"成功"}` || a.Error != "" || a.LatencyMS == nil || a.At == "" {
			t.Errorf("attempt %d: got %+v, want it acknowledged", i, a)
		}
	}
}

// checkQueries asks by each of the four numbers for R1, which is the only refund
// of its order and settled, and returns it.
func checkQueries(t *testing.T, p *program, o order, first data) data {
	t.Helper()
	want := p.succeed(queryEvent("out_refund_no", "R1"))
	if at, err := time.Parse(time.RFC3339, want.SuccessTime); err != nil || !strings.HasSuffix(want.SuccessTime, "+08:00") || at.IsZero() {
		t.Errorf("success_time: got %q, want RFC 3339 in China's time", want.SuccessTime)
	}
	if want.Status != "SUCCESS" || want.RefundID != first.RefundID || want.TransactionID != o.TransactionID || want.OutTradeNo != o.OutTradeNo || want.Amount != first.Amount {
		t.Errorf("query: got %+v, want %+v as a success", want, first)
	}
	if diff := cmp.Diff(want, p.succeed(queryEvent("refund_id", first.RefundID))); diff != "" {
		t.Errorf("by refund_id (-by out_refund_no +got):\n%s", diff)
	}
	page := data{TotalRefundCount: 1, RefundCount: 1, Refunds: []data{want}}
	for name, number := range map[string]string{"transaction_id": o.TransactionID, "out_trade_no": o.OutTradeNo} {
		if diff := cmp.Diff(page, p.succeed(queryEvent(name, number))); diff != "" {
			t.Errorf("by %s (-want +got):\n%s", name, diff)
		}
	}

	var raw struct {
		Code int
		Data map[string]json.RawMessage
	}
	after := event("wxpay_refund_query", map[string]any{"params": map[string]any{"out_trade_no": o.OutTradeNo, "offset": 1}})
	if err := json.Unmarshal([]byte(p.call("wxpayFunctions", after)), &raw); err != nil {
		t.Fatal(err)
	}
	got := map[string]string{}
	for name, v := range raw.Data {
		got[name] = string(v)
	}
	if diff := cmp.Diff(map[string]string{"total_refund_count": "1", "refund_count": "0", "offset": "1", "refunds": "[]"}, got); diff != "" {
		t.Errorf("the page behind the last (-want +got):\n%s", diff)
	}
	return want
}

// restarted holds what the ledger holds against a WeChat that has forgotten everything.
func restarted(t *testing.T, p *program, o order, settled data) {
	t.Helper()
	if got := p.upstream(o); len(got) != 0 {
		t.Fatalf("after a restart WeChat holds %+v, want nothing", got)
	}
	if diff := cmp.Diff(settled, p.succeed(queryEvent("out_refund_no", "R1"))); diff != "" {
		t.Errorf("the settled refund (-before +after):\n%s", diff)
	}
	if got := p.succeed(refundEvent(o, "R1", 60)); got.Status != "SUCCESS" {
		t.Errorf("the settled refund again: got %+v, want it from the ledger", got)
	}
	if diff := cmp.Diff(map[string]string{"R1": "SUCCESS", "R2": "PROCESSING"}, p.recorded(o)); diff != "" {
		t.Errorf("by order (-want +got):\n%s", diff)
	}
	// WeChat does not know R2 any more, which proves nothing about the money.
	if got := p.dispatch(queryEvent("out_refund_no", "R2")); got.Code != 503 || got.Retry != "same_number" {
		t.Errorf("the refund that WeChat forgot: got %+v, want 503 and same_number", got)
	}
	if got := p.dispatch(refundEvent(o, "R3", 11)); got.Code != 409 {
		t.Errorf("more than is left: got %+v, want 409 from the ledger", got)
	}
	if got := p.dispatch(refundEvent(o, "R4", 10)); got.Code != 404 || got.ErrCode != "RESOURCE_NOT_EXISTS" {
		t.Errorf("what is left, of an order that WeChat forgot: got %+v, want 404", got)
	}
}

// Time stands still in this program unless it is moved, and nothing happens by itself.
func TestTheFunctionsAnswerAsThePlatformsCallThem(t *testing.T) {
	t.Parallel()
	p := start(t, "-speed", "0.001", "-pace", "0s", "-timer=false", "-operators", "oOperator,oDeputy")
	for _, s := range []struct {
		name string
		test func(*testing.T, *program)
	}{
		{"callers", testCallers},
		{"lost notifications", testLost},
		{"other sites", testOtherSites},
	} {
		t.Run(s.name, func(t *testing.T) { s.test(t, p.in(t)) })
	}
}

func testCallers(t *testing.T, p *program) {
	o := p.order()
	p.succeed(refundEvent(o, "C0", 1))
	for _, tt := range []struct {
		name, openid, source string
		admitted             bool
	}{
		{"a server", "", "", true},
		{"an operator", "oOperator", "wx_client", true},
		{"the other operator, by way of a function", "oDeputy", "wx_client,scf", true},
		{"a stranger", "oStranger", "wx_client", false},
		{"a stranger, by way of a function", "oStranger", "wx_client,scf", false},
		{"a client without an openid", "", "wx_client", false},
		{"the HTTP interface of WeChat", "", "wx_http", false},
	} {
		header := []string{"X-WX-OPENID", tt.openid, "X-WX-SOURCE", tt.source}
		want := map[bool]int{true: 0, false: 403}[tt.admitted]
		for _, e := range []string{
			refundEvent(o, "C0", 1),
			queryEvent("out_refund_no", "C0"),
			queryEvent("out_trade_no", o.OutTradeNo),
		} {
			if got := p.dispatch(e, header...); got.Code != want {
				t.Errorf("%s, %s: got %+v, want code %d", tt.name, e, got, want)
			}
		}
		if tt.admitted {
			continue
		}
		if got, want := p.call("notify", `{}`, header...), `{"code":"FAIL","message":"this caller may not notify","errcode":1,"errmsg":"this caller may not notify"}`; got != want {
			t.Errorf("%s, notify: got %s, want %s", tt.name, got, want)
		}
		// Running the timer tells and changes nothing that its own hour would not.
		if got := p.call("reconcile", `{}`, header...); !strings.Contains(got, `"checked":`) {
			t.Errorf("%s, reconcile: got %s, want its summary", tt.name, got)
		}
	}
	if got := p.upstream(o); len(got) != 1 {
		t.Errorf("WeChat holds %d refunds, want the one of the server", len(got))
	}
}

// reconcile runs the timer. How many bills it has read depends on the hour at which the
// test runs, and counts for none.
func (p *program) reconcile(event string) string {
	p.t.Helper()
	return regexp.MustCompile(`"bills":\d+`).ReplaceAllString(p.call("reconcile", event), `"bills":0`)
}

// What no notification closed, the timer closes.
func testLost(t *testing.T, p *program) {
	p.pass("10m") // whatever was under way before
	p.call("reconcile", `{}`)
	const nothing = `{"checked":0,"settled":0,"resubmitted":0,"released":0,"delivered":0,"remaining":0,"bills":0}`
	if got := p.reconcile(`{"Type":"Timer","TriggerName":"reconcile","Time":"2026-11-22T00:00:00Z","Message":""}`); got != nothing {
		t.Errorf("reconcile: got %s, want %s", got, nothing)
	}

	o := p.order()
	p.control("POST", "/_sandbox/faults", `{"notify":"lose","count":2}`, nil)
	p.succeed(refundEvent(o, "L1", 10))
	p.succeed(refundEvent(o, "L2", 20))
	p.pass("24h4m")
	p.control("POST", "/_sandbox/faults", `{"upstream":"500_before","count":1}`, nil)
	if got := p.dispatch(refundEvent(o, "L3", 30)); got.Code != 503 || got.Retry != "same_number" || got.ErrCode != "SYSTEM_ERROR" {
		t.Errorf("WeChat stumbles: got %+v, want 503 and same_number", got)
	}
	if diff := cmp.Diff(map[string]string{"L1": "PROCESSING", "L2": "PROCESSING", "L3": ""}, p.recorded(o)); diff != "" {
		t.Errorf("before the timer (-want +got):\n%s", diff)
	}
	lost := append(p.deliveries("L1"), p.deliveries("L2")...)
	for _, d := range lost {
		if d.State != "lost" || len(d.Attempts) != 0 {
			t.Errorf("delivery: got %+v, want it lost", d)
		}
	}
	p.pass("2m")
	if got, want := p.reconcile(`{}`), `{"checked":3,"settled":3,"resubmitted":1,"released":0,"delivered":0,"remaining":0,"bills":0}`; got != want {
		t.Errorf("reconcile: got %s, want %s", got, want)
	}
	if diff := cmp.Diff(map[string]string{"L1": "SUCCESS", "L2": "SUCCESS", "L3": "PROCESSING"}, p.recorded(o)); diff != "" {
		t.Errorf("after the timer (-want +got):\n%s", diff)
	}
	p.pass("10m")
	if got := p.reconcile(`{}`); got != nothing {
		t.Errorf("reconcile again: got %s, want %s", got, nothing)
	}
	if got := p.upstream(o); len(got) != 3 {
		t.Errorf("WeChat holds %+v, want three refunds", got)
	}

	// A notification that turns up late finds everything done.
	before := p.succeed(queryEvent("out_refund_no", "L1"))
	for _, d := range lost {
		p.control("POST", "/_sandbox/deliveries/"+d.ID+"/resend", "", nil)
	}
	p.pass("2m") // and the duplicate of it
	for _, no := range []string{"L1", "L2"} {
		checkDelivery(t, p.deliveries(no)[0], 2)
	}
	if diff := cmp.Diff(before, p.succeed(queryEvent("out_refund_no", "L1"))); diff != "" {
		t.Errorf("after the late notification (-before +after):\n%s", diff)
	}
}

// A page of another site cannot make a developer's browser refund.
func testOtherSites(t *testing.T, p *program) {
	o := p.order()
	requests := []struct{ method, path, body string }{
		{"POST", "/functions/wxpayFunctions", refundEvent(o, "X1", 1)},
		{"POST", "/functions/notify", `{}`},
		{"POST", "/functions/reconcile", `{}`},
		{"POST", "/_sandbox/orders", `{"total":100}`},
		{"GET", "/_sandbox/credentials", ``},
	}
	for _, r := range requests {
		for _, header := range [][]string{
			{"Sec-Fetch-Site", "cross-site", "Content-Type", "text/plain"},
			{"Origin", "http://evil.example"},
			{"Host", "evil.example"}, // which its own server lets lead here
		} {
			if status, body := p.request(r.method, r.path, r.body, header...); status != 403 {
				t.Errorf("%s %s with %q: got %d %s, want 403", r.method, r.path, header, status, body)
			}
		}
	}
	if got := p.upstream(o); len(got) != 0 {
		t.Errorf("WeChat holds %+v, want nothing", got)
	}
	for _, header := range [][]string{nil, {"Sec-Fetch-Site", "same-origin"}, {"Origin", p.ready.Listen}} { // programs, and our own page
		if got := p.succeed(refundEvent(o, "X2", 1), header...); got.Status != "PROCESSING" {
			t.Errorf("with %q: got %+v, want PROCESSING", header, got)
		}
	}
}

// What is wrong with the flags is one clear line, and an exit code.
func TestWrongFlagsAreOneLineAndAnExitCode(t *testing.T) {
	t.Parallel()
	busy, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer busy.Close()
	taken := busy.Addr().String()
	for _, tt := range []struct {
		args []string
		code int
		says string
	}{
		{[]string{"-h"}, 0, "-speed"},
		{[]string{"-nosuch"}, 2, "flag provided but not defined: -nosuch"},
		{[]string{"-speed", "fast"}, 2, `invalid value "fast" for flag -speed`},
		{[]string{"-pace", "1"}, 2, `invalid value "1" for flag -pace`},
		{[]string{"start"}, 2, `"start"`},
		{[]string{"-channel", "nope"}, 2, `"nope"`},
		{[]string{"-merchant", "nope"}, 2, `"nope" is not one of certificate, switching, public-key`},
		{[]string{"-speed", "-1"}, 2, "speed"},
		{[]string{"-speed", "0"}, 2, "speed"},
		{[]string{"-speed", "NaN"}, 2, "speed"},
		{[]string{"-speed", "1e9"}, 2, "speed"},
		{[]string{"-pace", "-1m"}, 2, "pace"},
		{[]string{"-ledger", "redis://127.0.0.1"}, 2, "LEDGER_URL"},
		{[]string{"-ledger", "sqlite:/nonexistent/ledger.db"}, 2, "/nonexistent/ledger.db"},
		{[]string{"-webhook", "http://shop.example/"}, 2, "NOTIFY_WEBHOOK_URL"},
		{[]string{"-notify", "http://shop.example/?a=b"}, 2, "-notify"},
		{[]string{"-notify", "shop"}, 2, "-notify: want an address"},
		{[]string{"-operators", " ,"}, 2, "-operators"},
		{[]string{"-function", "x=http://127.0.0.1:9000"}, 2, `"x" is no function's name`},
		{[]string{"-function", "mine=there"}, 2, `"there" is no address`},
		{[]string{"-listen", "8700"}, 2, "8700"},
		{[]string{"-wechat", "127.0.0.1:70000"}, 2, "70000"},
		{[]string{"-listen", taken}, 1, taken},
		{[]string{"-wechat", taken}, 1, taken},
		{[]string{"-wechat-tls", taken}, 1, taken},
	} {
		var stdout, stderr buffer
		args := append([]string{"-listen", "127.0.0.1:0", "-wechat", "127.0.0.1:0", "-wechat-tls", "127.0.0.1:0"}, tt.args...)
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second) // a program that starts after all must end
		got := run(ctx, args, noVariables, &stdout, &stderr)
		cancel()
		if got != tt.code || stdout.String() != "" || !strings.Contains(stderr.String(), tt.says) {
			t.Errorf("%q: got %d, %q, %q; want %d and %s", tt.args, got, &stdout, &stderr, tt.code, tt.says)
		}
		if lines := strings.Count(stderr.String(), "\n"); tt.code != 0 && lines != 1 {
			t.Errorf("%q: got %d lines, want one:\n%s", tt.args, lines, &stderr)
		}
	}
}
