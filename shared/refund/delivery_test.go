package refund_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"wxrefund/shared/refund"
)

// notified does what the notification function does with a notification.
func (f *fixture) notified(t *testing.T, out refund.Outcome) int {
	t.Helper()
	f.settle(t, out)
	return f.Deliver(t.Context(), out.OutRefundNo)
}

// pending lists what is in a refund's outbox, as it is stored: for whom, of which
// status, and whether it is given up.
func (f *fixture) pending(t *testing.T, no string) (pending []string) {
	t.Helper()
	items := f.items(t, refund.Key("refund/"+no))
	var rec struct {
		Notices []struct {
			Refund refund.Refund
			Owed   []struct {
				To   string
				Lost bool
			}
		}
	}
	if err := json.Unmarshal(items[0].Body, &rec); err != nil {
		t.Fatal(err)
	}
	for _, n := range rec.Notices {
		for _, d := range n.Owed {
			line := fmt.Sprintf("%s %s", d.To, n.Refund.Status)
			if d.Lost {
				line += " lost"
			}
			pending = append(pending, line)
		}
	}
	return pending
}

// The state and its event stand in one commit; a delivery that is acknowledged leaves
// the outbox.
func TestSettlingEnqueuesTheEventInTheSameCommit(t *testing.T) {
	f := setUp(t)
	a, b := f.subscribe("scf:a"), f.subscribe("scf:b")
	f.must(t, request("R1", 60))
	var commits atomic.Int64 // deliveries commit side by side
	f.Ledger = &hindered{Ledger: f.Ledger, before: func() error { commits.Add(1); return nil }}
	if _, err := f.Settle(t.Context(), notification("R1", 60, refund.StatusSuccess)); err != nil || commits.Load() != 1 {
		t.Fatalf("%v after %d commits, want one", err, commits.Load())
	}
	wantEqual(t, "pending", []string{"scf:a SUCCESS", "scf:b SUCCESS"}, f.pending(t, "R1"))
	if got := f.Deliver(t.Context(), "R1"); got != 2 {
		t.Errorf("%d delivered, want 2", got)
	}
	for _, e := range []*subscriber{a, b} {
		wantEqual(t, "heard", []string{"R1 SUCCESS"}, e.heard())
	}
	if a.events()[0].ID != b.events()[0].ID {
		t.Errorf("one event has two ids: %s and %s", a.events()[0].ID, b.events()[0].ID)
	}
	if pending := f.pending(t, "R1"); pending != nil {
		t.Errorf("still pending: %v", pending)
	}
	if got := f.notified(t, notification("R1", 60, refund.StatusSuccess)); got != 0 {
		t.Errorf("the notification's repeat delivers %d", got)
	}
}

// No subscriber is told that a refund is being processed, or of one that was refused.
func TestOnlySettledRefundsAreDelivered(t *testing.T) {
	f := setUp(t)
	a := f.subscribe("scf:a")
	f.must(t, request("R1", 60))
	f.Deliver(t.Context(), "R1")
	f.up.before = refusal(refund.CodeRejected, refund.Never, "NOT_ENOUGH")
	_, _ = f.Refund(t.Context(), server, request("R2", 10))
	f.Deliver(t.Context(), "R2")
	f.notified(t, notification("FOREIGN", 5, refund.StatusClosed)) // made by hand: delivered like any other
	wantEqual(t, "heard", []string{"FOREIGN CLOSED"}, a.heard())
}

// C21: of several subscribers one fails: the event is delivered again to it alone, under the same id.
func TestOnlyTheSubscriberThatFailedIsRetried(t *testing.T) {
	f := clocked(t)
	good, bad := f.subscribe("scf:good"), f.subscribe("scf:bad")
	bad.answer = failing
	f.must(t, request("R1", 60))
	if got := f.notified(t, notification("R1", 60, refund.StatusSuccess)); got != 1 {
		t.Errorf("%d delivered, want 1", got)
	}
	bad.answer = nil
	f.notified(t, notification("R1", 60, refund.StatusSuccess)) // WeChat Pay's repeat comes before the pause is over
	if n := len(bad.heard()); n != 1 {
		t.Errorf("told %d times, want once until it is due", n)
	}
	f.advance(5 * time.Second)
	wantEqual(t, "summary", refund.Summary{Checked: 1, Delivered: 1}, f.reconcile(t))
	if len(good.heard()) != 1 || len(bad.heard()) != 2 || bad.events()[0].ID != bad.events()[1].ID {
		t.Errorf("good heard %v, bad %v under %v", good.heard(), bad.heard(), bad.events())
	}
}

// The pauses grow from seconds to hours, and end after three days, loudly; what
// is given up stays to be seen, and later events do not wait for it.
func TestDeliveryBacksOffAndIsGivenUpAfterThreeDays(t *testing.T) {
	f := clocked(t)
	a := f.subscribe("scf:a")
	begun := f.Now()
	var at []time.Duration
	a.answer = func(context.Context, refund.Event) error {
		at = append(at, f.Now().Sub(begun))
		return errFailing
	}
	f.must(t, request("R1", 60))
	f.notified(t, notification("R1", 60, refund.StatusAbnormal))
	for range 80 * 12 { // every five minutes for more than three days
		for range 4 {
			f.later(t, 75*time.Second)
		}
	}
	if len(at) < 20 || len(at) > 30 {
		t.Errorf("told %d times in three days, want some 25", len(at))
	}
	for i, most := range []time.Duration{0, 5 * time.Second, 15 * time.Second, 30 * time.Second, time.Minute, 2 * time.Minute, 5 * time.Minute} {
		if i > 0 && (at[i]-at[i-1] < most || at[i]-at[i-1] > most+75*time.Second) {
			t.Errorf("pause %d is %v, want %v and what the timer adds", i, at[i]-at[i-1], most)
		}
	}
	if last := at[len(at)-1]; last < 60*time.Hour || last > 72*time.Hour {
		t.Errorf("last told after %v", last)
	}
	if n := strings.Count(f.log.String(), "given up"); n != 1 {
		t.Errorf("%d alarms, want 1", n)
	}
	wantEqual(t, "pending", []string{"scf:a ABNORMAL lost"}, f.pending(t, "R1"))
	a.answer = nil
	f.up.set("R1", refund.StatusSuccess)
	f.notified(t, notification("R1", 60, refund.StatusSuccess))
	if heard := a.heard(); heard[len(heard)-1] != "R1 SUCCESS" {
		t.Errorf("heard last %s", heard[len(heard)-1])
	}
}

// D3: the events of one refund come in order, whatever fails on the way.
func TestEventsOfOneRefundArriveInOrder(t *testing.T) {
	f := clocked(t)
	a := f.subscribe("scf:a")
	a.answer = failing
	f.must(t, request("R1", 60))
	f.notified(t, notification("R1", 60, refund.StatusAbnormal))
	f.notified(t, notification("R1", 60, refund.StatusSuccess))
	a.answer = nil
	f.advance(5 * time.Second)
	if got := f.reconcile(t); got.Delivered != 2 {
		t.Errorf("%+v, want both delivered", got)
	}
	wantEqual(t, "heard", []string{"R1 ABNORMAL", "R1 ABNORMAL", "R1 SUCCESS"}, a.heard())
	if a.events()[1].ID == a.events()[2].ID {
		t.Error("two events have one id")
	}
}

// D3: two workers at once never deliver the same event; a dead one's lease ends.
func TestDeliveryLeaseExcludesOthersAndEnds(t *testing.T) {
	f := clocked(t)
	a := f.subscribe("scf:a")
	inside, leave := make(chan bool), make(chan bool)
	a.answer = func(context.Context, refund.Event) error {
		inside <- true
		<-leave
		return nil
	}
	f.must(t, request("R1", 60))
	var wg sync.WaitGroup
	wg.Go(func() { f.notified(t, notification("R1", 60, refund.StatusSuccess)) })
	<-inside
	for range 5 {
		if got := f.Deliver(t.Context(), "R1"); got != 0 {
			t.Error("delivered by another at the same time")
		}
		f.reconcile(t)
	}
	f.advance(time.Hour) // by a clock that runs faster than the call
	if f.Deliver(t.Context(), "R1") != 0 || f.reconcile(t).Delivered != 0 {
		t.Error("delivered by this process at the same time")
	}
	leave <- true
	wg.Wait()
	if n := len(a.heard()); n != 1 {
		t.Errorf("told %d times", n)
	}

	a.answer = func(context.Context, refund.Event) error { panic("killed") }
	f.must(t, request("R2", 40))
	f.settle(t, notification("R2", 40, refund.StatusSuccess))
	store := f.Ledger
	f.Ledger = &hindered{Ledger: store, before: onlyFirst()} // it leases the delivery and dies before it can record anything
	f.Deliver(t.Context(), "R2")
	f.Ledger, a.answer = store, nil
	if f.advance(29 * time.Second); f.reconcile(t).Delivered != 0 {
		t.Error("delivered before the lease ended")
	}
	if f.advance(2 * time.Second); f.reconcile(t).Delivered != 1 {
		t.Error("not delivered after the lease ended")
	}
}

// onlyFirst lets one commit through.
func onlyFirst() func() error {
	n := 0
	return func() error {
		if n++; n > 1 {
			return errors.New("killed")
		}
		return nil
	}
}

// D3: a try that was overtaken records nothing: neither its success nor its failure.
func TestOvertakenDeliveryRecordsNothing(t *testing.T) {
	f := clocked(t)
	a := f.subscribe("scf:a")
	f.must(t, request("R1", 60))
	first := true
	a.answer = func(context.Context, refund.Event) error {
		if first {
			first = false
			f.advance(time.Minute) // it hangs for longer than its lease
			other := &refund.Service{
				Channel: f.Channel, Ledger: f.Ledger, Merchant: f.Merchant, Now: f.Now,
				Subscribers: []refund.Subscriber{{Name: "scf:a", Tell: failing}},
			}
			other.Deliver(t.Context(), "R1")
		}
		return nil
	}
	if got := f.notified(t, notification("R1", 60, refund.StatusSuccess)); got != 0 {
		t.Errorf("%d delivered, want none on record", got)
	}
	wantEqual(t, "the second try failed and was the last to be begun", []string{"scf:a SUCCESS"}, f.pending(t, "R1"))
}

// D3: no time left is none, not all the time in the world.
func TestNothingIsDeliveredWithoutTimeLeft(t *testing.T) {
	f := setUp(t)
	a := f.subscribe("scf:a")
	f.must(t, request("R1", 60))
	f.settle(t, notification("R1", 60, refund.StatusSuccess))
	for _, left := range []time.Duration{-time.Hour, 0, 100 * time.Millisecond} {
		ctx, cancel := context.WithDeadline(t.Context(), time.Now().Add(left))
		if f.Deliver(ctx, "R1") != 0 || len(a.heard()) != 0 {
			t.Errorf("with %v left it is delivered", left)
		}
		cancel()
	}
	if got := f.reconcile(t); got.Delivered != 1 {
		t.Errorf("%+v: the delivery was leased all the same", got)
	}
}

// D3: one that never answers keeps neither other subscribers nor other refunds
// waiting, and costs a run no more than a few calls.
func TestHangingSubscriberDelaysNobodyElse(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := setUp(t)
		good, bad := f.subscribe("scf:good"), f.subscribe("scf:bad")
		bad.answer = func(ctx context.Context, _ refund.Event) error {
			<-ctx.Done()
			return ctx.Err()
		}
		for i := range 60 {
			no := number(i)
			req := request(no, 1)
			req.OutTradeNo = "O" + no
			f.must(t, req)
			out := notification(no, 1, refund.StatusSuccess)
			out.Refund.OutTradeNo, out.Refund.TransactionID = "O"+no, "T-O"+no
			f.settle(t, out)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		begun := time.Now()
		got, err := f.Reconcile(ctx)
		if err != nil || got.Delivered != 60 {
			t.Errorf("%+v, %v; want 60 delivered", got, err)
		}
		if len(good.heard()) != 60 {
			t.Errorf("the good one heard %d of 60", len(good.heard()))
		}
		if n := len(bad.heard()); n > 16 {
			t.Errorf("the bad one was tried %d times in one run", n)
		}
		if took := time.Since(begun); took > 15*time.Second {
			t.Errorf("the run took %v", took)
		}
	})
}

// A subscriber's panic is survived, and is a failed attempt like another.
func TestSubscribersPanicIsSurvivedAndRetried(t *testing.T) {
	f := clocked(t)
	a := f.subscribe("a")
	a.answer = func(context.Context, refund.Event) error { panic("nil map") }
	f.must(t, request("R1", 60))
	if got := f.notified(t, notification("R1", 60, refund.StatusSuccess)); got != 0 {
		t.Errorf("%d delivered", got)
	}
	if !strings.Contains(f.log.String(), "msg=panic") {
		t.Error("the panic is not in the log")
	}
	a.answer = nil
	f.advance(5 * time.Second)
	if got := f.reconcile(t); got.Delivered != 1 {
		t.Errorf("%+v", got)
	}
}

// The dispatcher cannot know who has Go code of the merchant's own: what it enqueues
// for it is left alone there, dropped by a reconciler that has none, and delivered by
// one that has.
func TestOwnCodeElsewhereIsToldOrDropped(t *testing.T) {
	for _, own := range []bool{false, true} {
		f := setUp(t)
		a := f.subscribe("scf:a")
		known := f.Subscribers
		f.Subscribers = append(f.Subscribers, refund.Subscriber{Name: "go"})
		f.must(t, request("R1", 60))
		f.up.set("R1", refund.StatusSuccess)
		f.query(t, "R1")
		if len(a.heard()) != 0 {
			t.Error("the dispatcher delivers while a user waits")
		}
		f.Deliver(t.Context(), "R1")
		wantEqual(t, "where only others can deliver", []string{"go SUCCESS"}, f.pending(t, "R1"))
		f.Subscribers = known
		mine := &subscriber{}
		if own {
			mine = f.subscribe("go")
		}
		f.reconcile(t)
		if n := len(mine.heard()); len(a.heard()) != 1 || own && n != 1 || f.pending(t, "R1") != nil {
			t.Errorf("own code %v: the subscriber heard %v, the code %v, pending %v", own, a.heard(), mine.heard(), f.pending(t, "R1"))
		}
	}
}

// A subscriber that this function does not know may be another version's: what
// is pending for it is kept.
func TestDeliveriesToAnUnknownSubscriberAreKept(t *testing.T) {
	f := clocked(t)
	f.subscribe("scf:new")
	f.must(t, request("R1", 60))
	f.settle(t, notification("R1", 60, refund.StatusSuccess))
	known := f.Subscribers
	f.Subscribers = nil
	f.reconcile(t)
	wantEqual(t, "pending", []string{"scf:new SUCCESS"}, f.pending(t, "R1"))
	f.Subscribers = known
	f.advance(time.Minute)
	if got := f.reconcile(t); got.Delivered != 1 {
		t.Errorf("%+v", got)
	}
}

// The outbox of a refund that changes its state for ever is bounded.
func TestOutboxIsBounded(t *testing.T) {
	f := setUp(t)
	a := f.subscribe("scf:a")
	a.answer = failing
	f.must(t, request("R1", 60))
	for range 40 {
		for _, status := range []refund.Status{refund.StatusAbnormal, refund.StatusProcessing} {
			f.up.set("R1", status)
			f.query(t, "R1")
		}
	}
	if n := len(f.pending(t, "R1")); n != 16 {
		t.Errorf("%d pending, want 16", n)
	}
	if !strings.Contains(f.log.String(), "the oldest is dropped") {
		t.Error("no alarm")
	}
}

// Deliveries do not put the queries off, nor they the deliveries.
func TestDeliveriesAndQueriesKeepTheirTimes(t *testing.T) {
	f := clocked(t)
	a := f.subscribe("scf:a")
	a.answer = failing
	f.must(t, request("R1", 60))
	f.up.set("R1", refund.StatusAbnormal)
	f.notified(t, notification("R1", 60, refund.StatusAbnormal)) // abnormal is no end: it is asked about
	asked := f.up.count("query:R1")
	for range 60 {
		f.later(t, 5*time.Second)
	}
	if n := f.up.count("query:R1") - asked; n != 5 {
		t.Errorf("asked %d times in five minutes, want 5", n)
	}
	if n := len(a.heard()); n < 5 || n > 8 {
		t.Errorf("told %d times in five minutes", n)
	}
}

// E10: after the ledger is restored from an older copy, no event id is used for
// another event.
func TestEventIDsStayUniqueAfterARestore(t *testing.T) {
	f := setUp(t)
	shop := f.subscribe("shop")
	f.must(t, request("R1", 60))
	keys := []refund.Key{"refund/R1", "order/out_trade_no/O1", "order/transaction_id/T-O1"}
	backup := f.items(t, keys...)
	settle := func(status refund.Status) {
		f.up.set("R1", status)
		f.settle(t, notification("R1", 60, status))
		f.Deliver(t.Context(), "R1")
	}
	restore := func() { // the copy of before comes back
		now := f.items(t, keys...)
		for i := range now {
			now[i].Body, now[i].Due = backup[i].Body, backup[i].Due
		}
		f.write(t, now...)
	}
	settle(refund.StatusAbnormal)
	restore()
	settle(refund.StatusSuccess)
	restore()
	settle(refund.StatusSuccess)
	events := shop.events()
	if len(events) != 3 || events[0].ID == events[1].ID {
		t.Fatalf("told %+v, want three events, the first two with different ids", events)
	}
	if events[1].ID != events[2].ID {
		t.Errorf("the same event again: %s and %s", events[1].ID, events[2].ID)
	}
}

// What an outbox entry keeps is what is sent, not the whole refund object.
func TestOutboxKeepsWhatIsSent(t *testing.T) {
	f := setUp(t)
	f.Subscribers = []refund.Subscriber{{Name: "a", Tell: failing}}
	f.up.named = func(r *refund.Refund) {
		r.PromotionDetail = []refund.Promotion{{PromotionID: "PROMO", RefundAmount: 1}}
	}
	f.must(t, request("R1", 60))
	f.settle(t, notification("R1", 60, refund.StatusSuccess))
	items := f.items(t, "refund/R1")
	var rec struct{ Notices json.RawMessage }
	if err := json.Unmarshal(items[0].Body, &rec); err != nil {
		t.Fatal(err)
	}
	if strings.Contains(string(rec.Notices), "PROMO") || !strings.Contains(string(rec.Notices), "SUCCESS") {
		t.Errorf("the outbox holds %s", rec.Notices)
	}
}
