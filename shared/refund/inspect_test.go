package refund_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"wxrefund/shared/refund"
)

// Whoever runs the service sees each refund as the ledger has it, with its history.
func TestInspectShowsEachRefundWithItsHistory(t *testing.T) {
	f := setUp(t)
	f.must(t, request("R1", 60))
	f.settle(t, notification("R1", 60, refund.StatusSuccess))
	f.up.before = refusal(refund.CodeRejected, refund.NewNumber, "NOT_ENOUGH")
	if _, err := f.Refund(t.Context(), server, request("R2", 10)); err == nil {
		t.Fatal("R2 was not refused")
	}
	f.up.before = noAnswer
	if _, err := f.Refund(t.Context(), server, request("R3", 5)); err == nil {
		t.Fatal("R3 was answered")
	}
	f.settle(t, notification("R4", 1, refund.StatusClosed))
	calls := f.up.total()

	all, err := f.Inspect(t.Context(), "R4", "R3", "none", "R2", "R1")
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, d := range all {
		var what []string
		for _, e := range d.History {
			what = append(what, e.What)
		}
		refusal := "-"
		if d.Refusal != nil {
			refusal = d.Refusal.Upstream
		}
		got = append(got, fmt.Sprint(d.OutRefundNo, " ", d.State, " held ", d.Held, " of ", d.Request.Amount.Refund, " foreign ", d.External, " refusal ", refusal, " ", strings.Join(what, ",")))
		if d.State != "" && d.ClaimedAt.IsZero() || d.Refund.OutRefundNo != d.OutRefundNo {
			t.Errorf("%+v lacks when it was claimed, or its number", d)
		}
	}
	want := []string{
		"R4 closed held 0 of 1 foreign true refusal - closed",
		"R3 claimed held 5 of 5 foreign false refusal - claimed,sent,unanswered",
		"none  held 0 of 0 foreign false refusal - ",
		"R2 rejected held 0 of 10 foreign false refusal NOT_ENOUGH claimed,sent,refused",
		"R1 success held 60 of 60 foreign false refusal - claimed,sent,processing,success",
	}
	wantEqual(t, "looked up", want, got)
	if f.up.total() != calls {
		t.Error("the upstream was asked")
	}
}

// Many are read as well, in their order; an item knows whether it is a refund.
func TestInspectReturnsManyInTheirOrder(t *testing.T) {
	f := setUp(t)
	var numbers []string
	for i := range 40 {
		r := request(number(i), 1)
		f.must(t, r)
		numbers = append(numbers, number(i))
	}
	all, err := f.Inspect(t.Context(), numbers...)
	if err != nil || len(all) != 40 {
		t.Fatalf("got %d, %v; want 40", len(all), err)
	}
	for i, d := range all {
		if d.OutRefundNo != number(i) {
			t.Errorf("at %d: got %s", i, d.OutRefundNo)
		}
	}
	if none, err := f.Inspect(t.Context()); err != nil || len(none) != 0 {
		t.Errorf("nothing: got %v, %v", none, err)
	}
	for key, want := range map[refund.Key]string{"refund/R1": "R1", "refund_id/50": "", "order/out_trade_no/refund/1": ""} {
		if got, ok := (refund.Item{Key: key}).RefundNo(); ok != (want != "") || ok && got != want {
			t.Errorf("%s: got %q, %v, want %q", key, got, ok, want)
		}
	}
}

// What is owed to subscribers is seen until they have acknowledged it; then the
// history has who was told.
func TestInspectShowsPendingDeliveriesUntilAcknowledged(t *testing.T) {
	f := setUp(t)
	f.subscribe("good")
	bad := f.subscribe("bad")
	bad.answer = failing
	f.must(t, request("R1", 60))
	f.settle(t, notification("R1", 60, refund.StatusSuccess))
	if got := f.inspect(t, "R1").Pending; len(got) != 2 || got[0].To != "good" || got[0].Attempts != 0 || got[0].Since.IsZero() {
		t.Errorf("before: %+v, want both", got)
	}
	f.Deliver(t.Context(), "R1")
	if got := f.inspect(t, "R1").Pending; len(got) != 1 || got[0].To != "bad" || got[0].Attempts != 1 || got[0].Why != errFailing.Error() || got[0].Next.IsZero() || got[0].GivenUp {
		t.Errorf("after one try: %+v, want the bad one", got)
	}
	bad.answer = nil
	f.Now = func() time.Time { return time.Now().Add(time.Hour) }
	f.Deliver(t.Context(), "R1")
	d := f.inspect(t, "R1")
	var told []string
	for _, e := range d.History {
		if e.What == "delivered" {
			told = append(told, e.Note)
		}
	}
	if diff := cmp.Diff([]string{"good", "bad"}, told); diff != "" || len(d.Pending) != 0 {
		t.Errorf("after the second: %+v pending, told (-want +got):\n%s", d.Pending, diff)
	}
}

// In doubt is a claim that was sent and that nobody waits for any more: not while the
// upstream may still answer, but from when it has not, until it is known what came of it.
func TestInspectSaysWhatIsInDoubt(t *testing.T) {
	f := setUp(t)
	inDoubt := func() bool {
		all, err := f.Inspect(t.Context(), "R1")
		if err != nil || len(all) != 1 {
			t.Fatalf("got %d inspections and %v", len(all), err)
		}
		return all[0].InDoubt
	}
	f.up.before = func(r refund.Request) error {
		if inDoubt() {
			t.Error("in doubt while it is being sent")
		}
		return noAnswer(r)
	}
	if _, err := f.Refund(t.Context(), server, request("R1", 60)); err == nil {
		t.Fatal("R1 was answered")
	}
	if !inDoubt() {
		t.Error("not in doubt without an answer")
	}
	f.settle(t, notification("R1", 60, refund.StatusProcessing))
	if inDoubt() {
		t.Error("in doubt though the upstream has it")
	}
}
