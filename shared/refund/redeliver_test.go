package refund_test

import (
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	"wxrefund/shared/refund"
)

// redeliver has somebody told again, and checks how many deliveries are due by that.
func (f *fixture) redeliver(t *testing.T, no, to string, want int) {
	t.Helper()
	if n, err := f.Redeliver(t.Context(), no, to, "operator alice"); err != nil || n != want {
		t.Fatalf("%d deliveries of %s are due again, %v; want %d", n, no, err, want)
	}
}

// ids are those of the events that a subscriber was told, in order.
func (s *subscriber) ids() (all []string) {
	for _, e := range s.events() {
		all = append(all, e.ID)
	}
	return all
}

// What was given up is due at once, is attempted for three days anew from short pauses
// on, and needs nobody's attention any more.
func TestGivenUpEventsAreDeliveredOnceMore(t *testing.T) {
	f := clocked(t)
	shop := f.subscribe("shop")
	shop.answer = failing
	f.settle(t, notification("R1", 60, refund.StatusSuccess))
	f.wait(t, 80*time.Hour)
	if got := f.inspect(t, "R1"); !got.Attention || !got.Pending[0].GivenUp {
		t.Fatalf("%+v was not given up", got.Pending)
	}
	f.redeliver(t, "R1", "shop", 1)
	if got := f.inspect(t, "R1"); got.Attention || got.Pending[0].GivenUp {
		t.Errorf("%+v is still given up", got.Pending)
	}
	before := len(shop.events())
	f.reconcile(t)
	f.later(t, 6*time.Second)
	f.later(t, 16*time.Second)
	if got := len(shop.events()) - before; got != 3 {
		t.Errorf("%d attempts within half a minute, want 3", got)
	}
	f.wait(t, 60*time.Hour)
	if got := f.inspect(t, "R1").Pending; len(got) != 1 || got[0].GivenUp {
		t.Fatalf("after 60 hours: %+v, want it to be attempted still", got)
	}
	f.wait(t, 20*time.Hour)
	if got := f.inspect(t, "R1").Pending; len(got) != 1 || !got[0].GivenUp {
		t.Fatalf("after 80 hours: %+v, want it given up again", got)
	}
	f.redeliver(t, "R1", "", 1)
	shop.answer = nil
	f.reconcile(t)
	if got := f.inspect(t, "R1"); len(got.Pending) > 0 || got.Attention {
		t.Errorf("%+v", got.Pending)
	}
	for _, id := range shop.ids() {
		if id != shop.ids()[0] {
			t.Errorf("the event ids are %v, want one", shop.ids())
		}
	}
}

// Of what was acknowledged the present state is told again, under its id, to the
// subscriber that is named or to all.
func TestASettledRefundIsToldAgainUnderItsID(t *testing.T) {
	f := clocked(t)
	shop, stock := f.subscribe("shop"), f.subscribe("stock")
	f.must(t, request("R1", 60))
	f.up.named = nil
	f.settle(t, notification("R1", 60, refund.StatusAbnormal))
	f.Deliver(t.Context(), "R1")
	f.settle(t, notification("R1", 60, refund.StatusSuccess))
	f.Deliver(t.Context(), "R1")
	told := shop.events()[1]
	f.advance(time.Hour)

	f.redeliver(t, "R1", "stock", 1)
	f.reconcile(t)
	f.redeliver(t, "R1", "", 2)
	f.redeliver(t, "R1", "", 2) // which changes nothing of what is due
	f.reconcile(t)
	wantEqual(t, "shop", []string{"R1 ABNORMAL", "R1 SUCCESS", "R1 SUCCESS"}, shop.heard())
	wantEqual(t, "stock", []string{"R1 ABNORMAL", "R1 SUCCESS", "R1 SUCCESS", "R1 SUCCESS"}, stock.heard())
	for _, again := range append(shop.events()[2:], stock.events()[2:]...) {
		wantEqual(t, "the event", told, again)
	}
}

// The id is the one that was told even if the refund_id has become known since, or the
// upstream has taken a final state back for a while.
func TestAnEventKeepsItsID(t *testing.T) {
	f := clocked(t)
	shop := f.subscribe("shop")
	unnamed := notification("R1", 60, refund.StatusSuccess)
	unnamed.Refund.RefundID = ""
	f.settle(t, unnamed)
	f.Deliver(t.Context(), "R1")
	f.settle(t, notification("R1", 60, refund.StatusSuccess)) // with its refund_id
	f.redeliver(t, "R1", "", 1)
	f.Deliver(t.Context(), "R1")
	if ids := shop.ids(); len(ids) != 2 || ids[0] != ids[1] || f.inspect(t, "R1").Refund.RefundID == "" {
		t.Errorf("told as %v", ids)
	}

	f.must(t, request("R2", 40))
	f.up.set("R2", refund.StatusSuccess)
	f.query(t, "R2")
	f.Deliver(t.Context(), "R2")
	f.up.set("R2", refund.StatusProcessing)
	moved := notification("R2", 40, refund.StatusClosed) // which contradicts, so that the upstream is asked
	f.settle(t, moved)
	f.wantState(t, "R2", refund.Processing, "since the upstream has taken it back")
	f.up.set("R2", refund.StatusSuccess)
	f.query(t, "R2")
	f.redeliver(t, "R2", "", 1)
	f.Deliver(t.Context(), "R2")
	if ids := shop.ids()[2:]; len(ids) != 2 || ids[0] != ids[1] {
		t.Errorf("told as %v", ids)
	}
}

// Who is told again of what was before is told what came of it, too.
func TestThePresentStateIsToldLast(t *testing.T) {
	f := clocked(t)
	shop := f.subscribe("shop")
	shop.answer = failing
	f.must(t, request("R1", 60))
	f.settle(t, notification("R1", 60, refund.StatusAbnormal))
	f.up.set("R1", refund.StatusAbnormal)
	f.wait(t, 80*time.Hour)
	shop.answer = nil
	f.settle(t, notification("R1", 60, refund.StatusSuccess))
	f.Deliver(t.Context(), "R1")
	f.redeliver(t, "R1", "shop", 2)
	before := len(shop.heard())
	f.reconcile(t)
	wantEqual(t, "told", []string{"R1 ABNORMAL", "R1 SUCCESS"}, shop.heard()[before:])
}

// One who joined later is told as well; one whom nobody knows is an error that names
// those who are known.
func TestSubscribersAreToldAgainByName(t *testing.T) {
	f := clocked(t)
	_, err := f.Redeliver(t.Context(), "R1", "", "me")
	wantCode(t, err, refund.CodeNotFound, refund.LaterOrFix)
	f.settle(t, notification("R1", 60, refund.StatusSuccess))
	shop := f.subscribe("shop")
	f.subscribe("stock")
	_, err = f.Redeliver(t.Context(), "R1", "shpo", "me")
	if e := wantCode(t, err, refund.CodeNotFound, refund.LaterOrFix); !strings.Contains(e.Message, "shop, stock") {
		t.Errorf("%v does not name those who are known", e)
	}
	_, err = f.Redeliver(t.Context(), "R9", "shop", "me")
	wantCode(t, err, refund.CodeNotFound, refund.LaterOrFix)
	f.redeliver(t, "R1", "shop", 1)
	f.reconcile(t)
	wantEqual(t, "told", []string{"R1 SUCCESS"}, shop.heard())

	f.must(t, request("R2", 1))
	_, err = f.Redeliver(t.Context(), "R2", "shop", "me")
	wantCode(t, err, refund.CodeConflict, refund.Never)
}

// A delivery that is under way is left to end first.
func TestADeliveryUnderWayIsNotRepeatedBesideItself(t *testing.T) {
	f := clocked(t)
	shop := f.subscribe("shop")
	f.settle(t, notification("R1", 60, refund.StatusSuccess))
	shop.answer = func(context.Context, refund.Event) error {
		shop.mu.Lock()
		shop.answer = nil
		shop.mu.Unlock()
		f.redeliver(t, "R1", "shop", 1)
		f.reconcile(t)
		return nil
	}
	f.Deliver(t.Context(), "R1")
	if got := shop.heard(); len(got) != 1 || len(f.inspect(t, "R1").Pending) != 0 {
		t.Errorf("told %v, pending %+v", got, f.inspect(t, "R1").Pending)
	}
}

// What becomes of an application is told again as a refund is: what was given up, and its
// present state, under their ids; and somebody is told when an event is dropped.
func TestAnApplicationsEventsAreToldAgain(t *testing.T) {
	f := shop(t)
	web := f.subscribe("shop")
	web.answer = failing
	a := f.applies(t, applyFor(40))
	f.wait(t, 80*time.Hour)
	f.wantAlarms(t, "subscriber_given_up", 1, "after three days")
	got, err := f.Application(t.Context(), a.ID)
	if err != nil || len(got.Pending) != 1 || !got.Pending[0].GivenUp {
		t.Fatalf("pending: %+v, %v", got.Pending, err)
	}
	web.answer = nil
	again := func(to string, want int) {
		t.Helper()
		if n, err := f.RedeliverApplication(t.Context(), a.ID, to, "operator alice"); err != nil || n != want {
			t.Fatalf("%d deliveries are due again, %v; want %d", n, err, want)
		}
		if n := f.DeliverApplication(t.Context(), a.ID); n != want {
			t.Errorf("%d deliveries were acknowledged, want %d", n, want)
		}
	}
	again("shop", 1)
	again("", 1) // of what was acknowledged
	if open, _, err := f.Alarms(t.Context(), "", 10); err != nil || len(open) != 0 {
		t.Errorf("open in the end: %+v, %v", open, err)
	}
	f.approves(t, a.ID)
	f.reconcile(t)
	again("shop", 1)
	ids := slices.Compact(web.ids())
	if len(ids) != 2 {
		t.Errorf("the event ids are %v, want two, one after the other", web.ids())
	}
	if last := web.events()[len(web.events())-1]; last.Application.State != refund.ApplicationApproved {
		t.Errorf("the last that is told is %s", last.Application.State)
	}
	if _, err := f.RedeliverApplication(t.Context(), a.ID, "nobody", ""); !refund.IsCode(err, refund.CodeNotFound) {
		t.Errorf("of a subscriber that is not there: %v", err)
	}
	if _, err := f.RedeliverApplication(t.Context(), "BNONE", "", ""); !refund.IsCode(err, refund.CodeNotFound) {
		t.Errorf("of an application that is not there: %v", err)
	}
	f.verified(t)
}

// Events of an application that nobody takes are not dropped without a word.
func TestADroppedEventOfAnApplicationIsToldToAPerson(t *testing.T) {
	f := shop(t)
	web := f.subscribe("shop")
	web.answer = failing
	a := f.applies(t, applyFor(40))
	f.approves(t, a.ID)
	for range 15 { // each approval of a closed refund is an event
		got, err := f.Application(t.Context(), a.ID)
		if err != nil {
			t.Fatal(err)
		}
		f.up.set(got.OutRefundNo, refund.StatusClosed)
		f.wait(t, time.Hour)
		f.approves(t, a.ID)
	}
	f.wantAlarms(t, "outbox_full", 1, "after seventeen events")
}
