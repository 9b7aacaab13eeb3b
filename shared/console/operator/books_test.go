package operator_test

import (
	"strings"
	"testing"

	"wxrefund/shared/refund"
)

// tomorrow is the next day, after its bills are there, and the timer has run.
func (w *world) tomorrow() {
	w.t.Helper()
	w.Advance("1m")
	for _, at := range []string{"00:00", "10:30"} {
		w.Control("POST", "/_sandbox/clock", `{"to":"`+at+`"}`, 200)
	}
	if _, err := w.refunds.Reconcile(w.t.Context()); err != nil {
		w.t.Fatal(err)
	}
}

// refunded has the shop refund a part of a new order.
func (w *world) refunded(order, no string) {
	w.t.Helper()
	w.pay(order)
	if err := w.refund(server, order, no, 350); err != nil {
		w.t.Fatal(err)
	}
}

// books makes a day that agrees, with a refund of ours and one by hand that nobody was told
// of, and returns it.
func (w *world) books() (day string) {
	w.t.Helper()
	w.Control("POST", "/_sandbox/clock", `{"to":"09:00"}`, 200) // what is refunded in the morning is booked on the same day
	w.refunded("order-1", "refund-1")
	w.Advance("1m")
	w.pay("order-2")
	w.Control("POST", "/_sandbox/refunds", `{"out_trade_no":"order-2","out_refund_no":"by-hand-1","amount":9000}`, 200)
	day = string(refund.DayOf(w.Sandbox.Now()))
	w.tomorrow()
	return day
}

// apart makes a day whose bill lacks a refund of ours, also on the day after, and returns it.
func (w *world) apart() (day string) {
	w.t.Helper()
	w.refunded("order-3", "refund-3")
	day = string(refund.DayOf(w.Sandbox.Now()))
	w.fault(`{"bill":"empty_day","rate":1}`)
	for range 4 {
		w.tomorrow()
	}
	return day
}

// The first screen has the last day that somebody has looked at, and the days that do not
// agree; a day has what is not equal on it. Who had a bill read is masked.
func TestTheBooksAreOnTheFirstScreenAndDayByDay(t *testing.T) {
	w := open(t, file(t), false)
	type bookDay struct {
		Date, State, By string
		Equal           int
		Theirs          int `json:"theirs_only"`
		Ours            int `json:"ours_only"`
	}
	type books struct {
		Books struct {
			Reads  bool
			Last   *bookDay
			Agrees string
			Apart  []string
		}
	}
	if got := get[books](w, "overview").Books; !got.Reads || got.Last != nil || len(got.Apart) > 0 {
		t.Errorf("before a bill is read: %+v", got)
	}
	agrees := w.books()
	if got := get[books](w, "overview").Books; got.Last == nil || got.Last.Date != agrees || got.Last.State != "agrees" || got.Last.Equal != 1 || got.Last.Theirs != 1 ||
		got.Agrees != agrees || len(got.Apart) > 0 {
		t.Errorf("a day that agrees: %+v", got)
	}
	apart := w.apart()
	if got := get[books](w, "overview").Books; len(got.Apart) != 1 || got.Apart[0] != apart || got.Agrees == "" {
		t.Errorf("a day that does not agree: %+v", got)
	}
	if _, err := w.refunds.ReadBill(t.Context(), refund.BillInput{Caller: refund.Caller{Kind: refund.Operator, Name: alice}, Day: refund.Day(agrees), Why: "to see it again"}); err != nil {
		t.Fatal(err)
	}
	days := get[struct{ Days []bookDay }](w, "books").Days
	if len(days) != 30 {
		t.Errorf("%d days, want 30", len(days))
	}
	day := get[struct {
		bookDay
		Findings []refund.BillFinding
		Before   []struct{ Why, By string }
	}](w, "books/"+apart)
	if day.State != "differs" || day.Ours != 1 || len(day.Findings) != 1 || day.Findings[0].OutRefundNo != "refund-3" {
		t.Errorf("got %+v", day)
	}
	for _, path := range []string{"overview", "books", "books/" + agrees} {
		if said := string(w.call("GET", path, "", 200)); strings.Contains(said, "operator "+alice) || path != "overview" && !strings.Contains(said, "operator al") {
			t.Errorf("%s does not mask who had a bill read: %s", path, said)
		}
	}
	for _, no := range []string{"2026-02-30", "yesterday", string(refund.DayOf(w.Sandbox.Now()))} {
		w.call("GET", "books/"+no, "", 404)
	}
}
