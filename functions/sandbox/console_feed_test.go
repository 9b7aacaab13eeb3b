package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"wxrefund/shared/refund"
	"wxrefund/shared/sandbox"
)

// A refundView is what a test reads of a refund in the console.
type refundView struct {
	OutRefundNo  string `json:"out_refund_no"`
	Ours, WeChat *struct{ State, Refusal string }
	InDoubt      bool            `json:"in_doubt"`
	Held         int             `json:"difference_held"`
	Event        json.RawMessage `json:"event"`
}

// refunds are those that the console lists, the newest first.
func (p *program) refunds(query string) []refundView {
	p.t.Helper()
	var list struct {
		Total   int
		Refunds []refundView
	}
	p.control("GET", "/_sandbox/view/refunds?limit=200&"+query, "", &list)
	return list.Refunds
}

// The console shows the merchant's records: also of a refund that WeChat refused, of one
// that is in doubt, and, after a restart, of those that are still open.
func TestTheConsoleShowsTheMerchantsRecords(t *testing.T) {
	t.Parallel()
	ledger := "sqlite:" + filepath.Join(t.TempDir(), "ledger.db")
	p := start(t, "-ledger", ledger, "-speed", "0.001", "-pace", "0s", "-timer=false")
	o := p.order()
	p.succeed(refundEvent(o, "R0", 1))
	p.control("POST", "/_sandbox/refunds/R0/settle", `{"status":"SUCCESS"}`, nil)
	p.succeed(refundEvent(o, "R1", 60))
	p.control("POST", "/_sandbox/faults", `{"err_code":"NOT_ENOUGH","count":1}`, nil)
	if r := p.dispatch(refundEvent(o, "R2", 10)); r.Code != 422 && r.Code != 503 {
		t.Errorf("R2: got %+v, want a refusal", r)
	}
	p.control("POST", "/_sandbox/faults", `{"upstream":"500_before","count":1}`, nil)
	if r := p.dispatch(refundEvent(o, "R3", 5)); r.Code != 503 {
		t.Errorf("R3: got %+v, want an unknown outcome", r)
	}
	var got []string
	for _, r := range p.refunds("") {
		wechat := "-"
		if r.WeChat != nil {
			wechat = r.WeChat.State
		}
		got = append(got, fmt.Sprintf("%s %s %s %d %v %v", r.OutRefundNo, r.Ours.State, wechat, r.Held, r.InDoubt, strings.HasPrefix(r.Ours.Refusal, "NOT_ENOUGH: ")))
	}
	want := []string{"R3 claimed - 5 true false", "R2 rejected - 0 false true", "R1 processing PROCESSING 0 false false", "R0 success SUCCESS 0 false false"}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("both sides (-want +got):\n%s", d)
	}
	// What the console sends to repeat a refund is taken for the same one.
	var r1 refundView
	p.control("GET", "/_sandbox/view/refunds/R1", "", &r1)
	if again := p.succeed(string(r1.Event)); again.OutRefundNo != "R1" || again.Status != "PROCESSING" {
		t.Errorf("R1 again: got %+v", again)
	}
	p.stop()

	p = start(t, "-ledger", ledger, "-timer=false")
	open := map[string]bool{}
	for _, r := range p.refunds("") {
		open[r.OutRefundNo] = r.Ours != nil && r.WeChat == nil
	}
	// R2 is open too: WeChat is asked whether it really holds nothing under the number.
	if d := cmp.Diff(map[string]bool{"R1": true, "R2": true, "R3": true}, open); d != "" {
		t.Errorf("after a restart, the merchant's alone (-want +got):\n%s", d)
	}
	// R0 has ended, so that it is in no list of the ledger; by its number it is found.
	var r0 refundView
	if p.control("GET", "/_sandbox/view/refunds/R0", "", &r0); r0.Ours == nil || r0.Ours.State != "success" || r0.WeChat != nil {
		t.Errorf("R0: got %+v, want the merchant's record", r0)
	}
	if n := len(p.refunds("")); n != 4 {
		t.Errorf("now %d are listed, want all four", n)
	}
}

// What is pending and what was delivered comes out as the console's lines.
func TestPendingDeliveriesBecomeLinesOfTheConsole(t *testing.T) {
	at := time.Date(2026, 11, 22, 10, 0, 0, 0, time.UTC)
	d := refund.Inspection{
		OutRefundNo: "R1", State: refund.Success, Held: 60, ClaimedAt: at, Request: refund.Request{OutRefundNo: "R1", Reason: "r"},
		Refund:  refund.Refund{OutRefundNo: "R1", RefundID: "50", Amount: refund.Amount{Refund: 60, Total: 100, Currency: "CNY"}},
		History: []refund.HistoryEntry{{At: at, What: "success", Source: refund.Notification, ID: "E"}, {At: at, What: "refused", Source: refund.Reply, Note: "NOT_ENOUGH"}},
	}
	want := sandbox.MerchantRefund{
		OutRefundNo: "R1", RefundID: "50", State: "success", Refund: 60, Total: 100, Currency: "CNY", Held: 60, Arrived: 60, At: at,
		Event:   json.RawMessage(`{"type":"wxpay_refund","out_refund_no":"R1","reason":"r","amount":{"refund":0,"total":0,"currency":""}}`),
		History: []sandbox.MerchantEvent{{At: at, What: "success", Detail: "letter"}, {At: at, What: "refused", Detail: "NOT_ENOUGH"}},
	}
	if d := cmp.Diff(want, show(d)); d != "" {
		t.Errorf("shown (-want +got):\n%s", d)
	}
	d.History = nil
	d.Pending = []refund.PendingDelivery{{To: "scf:a", Since: at}, {To: "scf:b", Since: at, Attempts: 2, Why: "FAIL"}, {To: "scf:c", Since: at, Attempts: 9, Why: "FAIL", GivenUp: true}}
	lines := []sandbox.MerchantEvent{
		{At: at, What: "owed", Detail: "scf:a"}, {At: at, What: "undelivered", Detail: "scf:b (2): FAIL"}, {At: at, What: "given_up", Detail: "scf:c (9): FAIL"},
	}
	if d := cmp.Diff(lines, show(d).History); d != "" {
		t.Errorf("what is pending (-want +got):\n%s", d)
	}
	if got := show(d); !got.Owed || got.InDoubt {
		t.Errorf("what is pending: got owed %t and in doubt %t, want only the former", got.Owed, got.InDoubt)
	}
	d.Pending, d.InDoubt = nil, true
	if got := show(d); got.Owed || !got.InDoubt {
		t.Errorf("in doubt: got owed %t and in doubt %t, want only the latter", got.Owed, got.InDoubt)
	}
	d.External, d.State, d.Refusal = true, refund.Rejected, &refund.Error{Message: "no", Upstream: "X"}
	if got := show(d); got.Event != nil || got.Arrived != 0 || got.Refusal != "X: no" || !got.External {
		t.Errorf("foreign and rejected: got %+v", got)
	}
}

// events opens the stream that keeps a page up to date, until the test ends.
func (p *program) events() io.Reader {
	p.t.Helper()
	r, err := http.NewRequestWithContext(p.t.Context(), "GET", p.ready.Listen+"/_sandbox/events", nil)
	if err != nil {
		p.t.Fatal(err)
	}
	res, err := http.DefaultClient.Do(r)
	if err != nil {
		p.t.Fatal(err)
	}
	p.t.Cleanup(func() { _ = res.Body.Close() })
	return res.Body
}

// An open stream does not keep the program from ending.
func TestAnOpenStreamDoesNotKeepTheProgramFromEnding(t *testing.T) {
	t.Parallel()
	p := start(t)
	stream := p.events()
	lines := bufio.NewReader(stream)
	if line, err := lines.ReadString('\n'); err != nil || line != "event: state\n" {
		t.Fatalf("got %q, %v; want a state", line, err)
	}
	began := time.Now()
	if code := p.stop(); code != 0 {
		t.Errorf("exit code: got %d, want 0", code)
	}
	if took := time.Since(began); took > 2*time.Second {
		t.Errorf("the program took %v to end, want at most 2s", took)
	}
}

// What another process writes to the ledger is told of when it is looked at again, and also
// when it is not due any more.
func TestTheFeedLearnsWhatOthersWriteToTheLedger(t *testing.T) {
	var ledger due
	var told []string
	feed := consoleFeed{changed: func(numbers ...string) { told = append(told, numbers...) }}
	for _, step := range []struct {
		due  due
		want []string
	}{
		{due{{"R1", 1}, {"R2", 1}}, []string{"R1", "R2"}},
		{due{{"R1", 1}, {"R2", 1}}, nil},
		{due{{"R1", 2}, {"R2", 1}, {"R3", 1}}, []string{"R1", "R3"}},
		{due{{"R3", 1}}, []string{"R1", "R2"}},
		{due{}, []string{"R3"}},
	} {
		ledger, told = step.due, nil
		if err := feed.look(t.Context(), ledger); err != nil {
			t.Fatal(err)
		}
		slices.Sort(told)
		if d := cmp.Diff(step.want, told); d != "" {
			t.Errorf("of %v (-want +got):\n%s", step.due, d)
		}
	}
}

// due is a ledger in which refunds are due, one on each page, and other things.
type due []struct {
	no      string
	version int64
}

func (d due) List(_ context.Context, _ refund.Index, cursor string, _ int) (items []refund.Item, next string, err error) {
	at := len(cursor)
	if at < len(d) {
		items = []refund.Item{{Key: refund.Key("refund/" + d[at].no), Version: d[at].version}, {Key: "order/out_trade_no/T1", Version: int64(at)}}
	}
	if at+1 < len(d) {
		next = cursor + "x"
	}
	return items, next, nil
}
