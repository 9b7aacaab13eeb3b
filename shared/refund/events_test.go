package refund_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"wxrefund/shared/refund"
)

func failing(context.Context, refund.Event) error { return errors.New("it does not answer") }

func inBubble(t *testing.T, do func(t *testing.T)) {
	t.Helper()
	synctest.Test(t, do)
}

// E10: after the ledger is restored from an older copy, no event id is used for
// another event.
func TestEventIDsStayUniqueAfterARestore(t *testing.T) {
	f := setUp(t)
	told := f.listen(t)
	f.must(t, request("R1", 60))
	keys := []refund.Key{"refund/R1", "order/out_trade_no/O1", "order/transaction_id/T-O1"}
	backup, err := f.Ledger.Get(t.Context(), keys...)
	if err != nil {
		t.Fatal(err)
	}
	settle := func(status refund.Status) {
		f.up.set("R1", status)
		if _, err := f.Settle(t.Context(), notification("R1", 60, status)); err != nil {
			t.Fatal(err)
		}
		f.Deliver(t.Context(), "R1")
	}
	settle(refund.StatusAbnormal)
	now, err := f.Ledger.Get(t.Context(), keys...)
	if err != nil {
		t.Fatal(err)
	}
	for i := range now { // the copy of before comes back
		now[i].Body, now[i].Due = backup[i].Body, backup[i].Due
	}
	if err := f.Ledger.Commit(t.Context(), now...); err != nil {
		t.Fatal(err)
	}
	settle(refund.StatusSuccess)
	if len(*told) != 2 || (*told)[0].ID == (*told)[1].ID {
		t.Errorf("told %+v", *told)
	}
	// The same event has the same id.
	if err := func() error {
		now, err := f.Ledger.Get(t.Context(), keys...)
		if err != nil {
			return err
		}
		for i := range now {
			now[i].Body, now[i].Due = backup[i].Body, backup[i].Due
		}
		return f.Ledger.Commit(t.Context(), now...)
	}(); err != nil {
		t.Fatal(err)
	}
	settle(refund.StatusSuccess)
	if len(*told) != 3 || (*told)[1].ID != (*told)[2].ID {
		t.Errorf("the same event again: %s and %s", (*told)[1].ID, (*told)[2].ID)
	}
}

// A final state is never taken back by an order's list; a query of that refund can,
// loudly, and no event is told twice for it.
func TestFinalStateIsTakenBackByItsOwnQueryOnly(t *testing.T) {
	for _, final := range []refund.Status{refund.StatusSuccess, refund.StatusClosed} {
		for _, listed := range []refund.Status{refund.StatusProcessing, refund.StatusAbnormal, refund.StatusSuccess, refund.StatusClosed} {
			if listed == final {
				continue
			}
			f := setUp(t)
			told := f.listen(t)
			f.must(t, request("R1", 60))
			f.up.set("R1", final)
			if _, err := f.Settle(t.Context(), notification("R1", 60, final)); err != nil {
				t.Fatal(err)
			}
			f.Deliver(t.Context(), "R1")
			list := refund.Page{TotalRefundCount: 1, RefundCount: 1, Refunds: []refund.Refund{f.up.set("R1", listed)}}
			f.up.set("R1", final)
			f.Channel = stale{f.up, list}
			page, err := f.QueryOrder(t.Context(), server, refund.Lookup{OutTradeNo: "O1"})
			if err != nil || page.Refunds[0].Status != final {
				t.Errorf("%s, listed as %s: %+v, %v", final, listed, page.Refunds, err)
			}
			if got := f.look(t, "R1").State; string(got) != strings.ToLower(string(final)) {
				t.Errorf("%s, listed as %s: %s", final, listed, got)
			}
			// There and back by the refund's own word: the business hears of it once.
			for _, status := range []refund.Status{refund.StatusProcessing, final} {
				f.up.set("R1", status)
				out := notification("R1", 60, status)
				out.Source, out.Refund.Status = refund.Relay, status
				if _, err := f.Relayed(t.Context(), server, out); err != nil {
					t.Fatal(err)
				}
				f.Deliver(t.Context(), "R1")
			}
			if len(*told) != 1 {
				t.Errorf("%s: told %d times", final, len(*told))
			}
			if !strings.Contains(f.log.String(), "alarm=reversed") {
				t.Errorf("%s: no alarm", final)
			}
		}
	}
}

// stale is an upstream whose list of an order is what it was.
type stale struct {
	*upstream
	list refund.Page
}

func (s stale) Spec() refund.Spec { return asker{s.upstream}.Spec() }

func (s stale) Query(ctx context.Context, l refund.Lookup) (refund.Page, error) {
	if l.ByOrder() {
		return s.list, nil
	}
	return s.upstream.Query(ctx, l)
}

// A hint that contradicts a final state makes the upstream be asked, and changes
// nothing if it does not agree.
func TestHintAgainstAFinalStateIsAskedAbout(t *testing.T) {
	f := setUp(t)
	f.must(t, request("R1", 60))
	f.up.set("R1", refund.StatusSuccess)
	if _, err := f.Settle(t.Context(), notification("R1", 60, refund.StatusSuccess)); err != nil {
		t.Fatal(err)
	}
	hint := notification("R1", 60, refund.StatusClosed)
	asked := f.up.count("query:R1")
	if _, err := f.Relayed(t.Context(), server, hint); err != nil {
		t.Fatal(err)
	}
	if f.up.count("query:R1") != asked+1 || f.look(t, "R1").State != refund.Success {
		t.Errorf("asked %d times, %s", f.up.count("query:R1")-asked, f.look(t, "R1").State)
	}
	if _, err := f.Relayed(t.Context(), server, notification("R1", 60, refund.StatusSuccess)); err != nil || f.up.count("query:R1") != asked+1 {
		t.Errorf("a hint that agrees: %v, asked %d times", err, f.up.count("query:R1")-asked)
	}
	f.up.set("R1", refund.StatusClosed)
	if _, err := f.Relayed(t.Context(), server, hint); err != nil || f.look(t, "R1").State != refund.Closed {
		t.Errorf("%v, %s", err, f.look(t, "R1").State)
	}
	if !strings.Contains(f.log.String(), "alarm=reversed") {
		t.Error("no alarm")
	}
}

// How often one source makes the upstream be asked is bounded, and one source does
// not use up another's.
func TestHintsOfOneSourceAreBounded(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		f := setUp(t)
		f.must(t, request("R1", 60))
		stranger := refund.Caller{Kind: refund.Unlisted, Source: "anonymous"}
		limited := 0
		for range 100 {
			if _, err := f.Relayed(t.Context(), stranger, notification("R1", 60, refund.StatusSuccess)); refund.IsCode(err, refund.CodeLimited) {
				limited++
			}
		}
		if limited < 70 {
			t.Errorf("%d of 100 hints at once are limited", limited)
		}
		if _, err := f.Relayed(t.Context(), server, notification("R1", 60, refund.StatusSuccess)); err != nil {
			t.Errorf("another source: %v", err)
		}
		time.Sleep(5 * time.Second)
		if _, err := f.Relayed(t.Context(), stranger, notification("R1", 60, refund.StatusSuccess)); err != nil {
			t.Errorf("later: %v", err)
		}
	})
}

// Where queries say that a refund exists and no more, what an attested relay tells
// settles it, if the merchant has said so; nobody else's word does.
func TestTrustedRelaySettlesWhereQueriesTellNothing(t *testing.T) {
	exists := &refund.Error{Code: refund.CodeUnavailable, Next: refund.SameNumber, Message: "empty", Exists: true}
	for _, c := range []struct {
		name   string
		trust  bool
		caller refund.Caller
		err    error
		change func(*refund.Outcome)
		want   refund.State
	}{
		{"trusted", true, server, exists, func(*refund.Outcome) {}, refund.Success},
		{"not trusted", false, server, exists, func(*refund.Outcome) {}, refund.Processing},
		{"of a source that nobody knows", true, refund.Caller{Kind: refund.Unlisted, Source: "x"}, exists, func(*refund.Outcome) {}, refund.Processing},
		{"and no answer", true, server, noAnswer(refund.Request{}), func(*refund.Outcome) {}, refund.Processing},
		{"another amount", true, server, exists, func(o *refund.Outcome) { o.Refund.Amount.Refund = 61 }, refund.Processing},
		{"another order", true, server, exists, func(o *refund.Outcome) { o.Refund.OutTradeNo = "O2" }, refund.Processing},
		{"another merchant", true, server, exists, func(o *refund.Outcome) { o.Merchant.MchID = "1" }, refund.Processing},
		{"no amount", true, server, exists, func(o *refund.Outcome) { o.Refund.Amount.Refund = 0 }, refund.Processing},
		{"no status", true, server, exists, func(o *refund.Outcome) { o.Refund.Status = "" }, refund.Processing},
	} {
		f := setUp(t)
		f.TrustRelay = c.trust
		f.must(t, request("R1", 60))
		f.up.queryErr = c.err
		out := notification("R1", 60, refund.StatusSuccess)
		c.change(&out)
		_, err := f.Relayed(t.Context(), c.caller, out)
		if got := f.look(t, "R1").State; got != c.want {
			t.Errorf("%s: %s, %v; want %s", c.name, got, err, c.want)
		}
		if c.want != refund.Success && !refund.IsCode(err, refund.CodeUnavailable) {
			t.Errorf("%s: %v, want unavailable, so that it comes again", c.name, err)
		}
	}
}

// E12: a record stays far below what DynamoDB takes, whatever its articles, its
// promotions, and subscribers that never answer.
func TestRecordStaysSmall(t *testing.T) {
	f := setUp(t)
	advance := f.clocked()
	f.Subscribers = []refund.Subscriber{{Name: "a", Tell: failing}, {Name: "b", Tell: failing}, {Name: "c", Tell: failing}}
	r := request("R1", 60)
	for i := range 100 {
		r.GoodsDetail = append(r.GoodsDetail, refund.Goods{
			MerchantGoodsID: fmt.Sprintf("%032d", i), WechatpayGoodsID: strings.Repeat("w", 32), GoodsName: strings.Repeat("名", 85),
			UnitPrice: 1 << 52, RefundAmount: 1 << 52, RefundQuantity: 1 << 52,
		})
	}
	f.up.named = func(told *refund.Refund) {
		told.UserReceivedAccount = strings.Repeat("户", 10_000)
		for range 100 {
			told.PromotionDetail = append(told.PromotionDetail, refund.Promotion{PromotionID: strings.Repeat("p", 32), RefundAmount: 1, GoodsDetail: r.GoodsDetail})
		}
	}
	for i := range 25 { // corrected again and again
		f.up.before = refusal(refund.CodeInvalid, refund.AfterFix, "PARAM_ERROR")
		c := r
		c.Reason = fmt.Sprintf("%080d", i)
		_, err := f.Refund(t.Context(), server, c)
		if e := refund.AsError(err); e.Code != refund.CodeInvalid && e.Next != refund.NewNumber {
			t.Fatal(err)
		}
	}
	f.up.before = nil
	no := r
	no.OutRefundNo = "R2"
	f.must(t, no)
	for i := range 40 {
		f.up.set("R2", []refund.Status{refund.StatusAbnormal, refund.StatusProcessing}[i%2])
		advance(2 * time.Hour)
		f.reconcile(t)
	}
	for _, n := range []string{"R1", "R2"} {
		items, err := f.Ledger.Get(t.Context(), refund.Key("refund/"+n))
		if err != nil {
			t.Fatal(err)
		}
		if size := len(items[0].Body); size > 350<<10 {
			t.Errorf("%s has %d bytes", n, size)
		} else {
			t.Logf("%s has %d bytes", n, size)
		}
	}
}

// What an outbox entry keeps is what is sent, not the whole refund object.
func TestOutboxKeepsWhatIsSent(t *testing.T) {
	f := setUp(t)
	f.Subscribers = []refund.Subscriber{{Name: "a", Tell: failing}}
	f.up.named = func(told *refund.Refund) {
		told.PromotionDetail = []refund.Promotion{{PromotionID: "PROMO", RefundAmount: 1}}
	}
	f.must(t, request("R1", 60))
	if _, err := f.Settle(t.Context(), notification("R1", 60, refund.StatusSuccess)); err != nil {
		t.Fatal(err)
	}
	items, err := f.Ledger.Get(t.Context(), "refund/R1")
	if err != nil {
		t.Fatal(err)
	}
	var rec struct{ Notices json.RawMessage }
	if err := json.Unmarshal(items[0].Body, &rec); err != nil {
		t.Fatal(err)
	}
	if strings.Contains(string(rec.Notices), "PROMO") || !strings.Contains(string(rec.Notices), "SUCCESS") {
		t.Errorf("the outbox holds %s", rec.Notices)
	}
}

// E11: a panic about one refund is that refund's alarm; the others of the run go on.
func TestPanicAboutOneRefundLeavesTheOthersAlone(t *testing.T) {
	f := setUp(t)
	advance := f.clocked()
	for i := range 5 {
		f.must(t, request(number(i), 2))
		f.up.set(number(i), refund.StatusSuccess)
	}
	f.Channel = bursting{f.up, "R2"}
	advance(time.Minute)
	summary := f.reconcile(t)
	if summary.Settled != 4 {
		t.Errorf("%+v, want the four others settled", summary)
	}
	if n := strings.Count(f.log.String(), "alarm=panic"); n != 1 {
		t.Errorf("%d alarms", n)
	}
	f.Channel = f.up
	advance(time.Hour)
	f.reconcile(t)
	if got := f.status(t, "R2"); got != "SUCCESS" {
		t.Errorf("R2 is %s once the defect is mended", got)
	}
}

type bursting struct {
	*upstream
	no string
}

func (b bursting) Query(ctx context.Context, l refund.Lookup) (refund.Page, error) {
	if l.OutRefundNo == b.no {
		panic("index out of range")
	}
	return b.upstream.Query(ctx, l)
}

// counting counts reads.
type counting struct {
	refund.Ledger
	reads int
}

func (c *counting) Get(ctx context.Context, keys ...refund.Key) ([]refund.Item, error) {
	c.reads++
	return c.Ledger.Get(ctx, keys...)
}

// Waiting for another caller's submission costs a handful of reads of the ledger.
func TestWaitingForAnotherSubmissionCostsAHandfulOfReads(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		f := setUp(t)
		begun, done := make(chan struct{}), make(chan struct{})
		f.up.after = func(refund.Request) error {
			close(begun)
			time.Sleep(1500 * time.Millisecond)
			return nil
		}
		go func() {
			defer close(done)
			f.must(t, request("R1", 60))
		}()
		<-begun
		reads := &counting{Ledger: f.Ledger}
		second := &refund.Service{Channel: f.up, Ledger: reads, Merchant: merchant}
		got, err := second.Refund(t.Context(), server, request("R1", 60))
		if err != nil || got.Status != refund.StatusProcessing {
			t.Errorf("%+v, %v", got, err)
		}
		if reads.reads > 10 {
			t.Errorf("%d reads", reads.reads)
		}
		<-done
	})
}

// Where the upstream counts an order's refunds and tells nothing of them, the
// ledger's list is the answer.
func TestOrderThatIsCountedAndNotToldIsListedFromTheLedger(t *testing.T) {
	f := setUp(t)
	f.must(t, request("R1", 60))
	f.Channel = asker{f.up}
	f.up.queryErr = &refund.Error{Code: refund.CodeUnavailable, Next: refund.SameNumber, Message: "empty lists", Exists: true}
	p, err := f.QueryOrder(t.Context(), server, refund.Lookup{OutTradeNo: "O1"})
	if err != nil || p.TotalRefundCount != 1 || p.Refunds[0].OutRefundNo != "R1" {
		t.Errorf("%+v, %v", p, err)
	}
	_, err = f.QueryOrder(t.Context(), server, refund.Lookup{OutTradeNo: "O2"})
	wantCode(t, err, refund.CodeUnavailable, refund.SameNumber)
}
