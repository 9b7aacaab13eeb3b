package refund_test

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"wxrefund/shared/refund"
)

// oldRefund is a refund as a program of an earlier version has written it: listed nowhere.
func oldRefund(no string) refund.Item {
	return refund.Item{Key: refund.Key("refund/" + no), Body: fmt.Appendf(nil, `{"state":"success","request":{"out_refund_no":%q,"out_trade_no":"O1",`+
		`"amount":{"refund":60,"total":100,"currency":"CNY"}},"refund":{"out_refund_no":%[1]q,"status":"SUCCESS","user_received_account":%q,"amount":{"refund":60}},`+
		`"order":"order/out_trade_no/O1","held":60,"counted":true,"moves":2,"claimed_at":"2026-11-21T10:00:00Z","history":[],"later":1}`, no, canaryAccount)}
}

// classOf is the class that a record's body calls for: its state, marked while a person
// should look at it.
func classOf(body []byte) string {
	var r struct {
		State  string
		Causes []struct {
			AckAt time.Time `json:"ack_at"`
		}
		Notices []struct{ Owed []struct{ Lost bool } }
	}
	if err := json.Unmarshal(body, &r); err != nil {
		return err.Error()
	}
	marked := false
	for _, c := range r.Causes {
		marked = marked || c.AckAt.IsZero()
	}
	for _, n := range r.Notices {
		for _, d := range n.Owed {
			marked = marked || d.Lost
		}
	}
	if marked {
		return r.State + "!"
	}
	return r.State
}

// unlisted lists the refunds of the ledger that do not stand where their body says.
func (f *fixture) unlisted(t *testing.T) (numbers []string) {
	t.Helper()
	cursor := ""
	for {
		items, next, err := f.Ledger.List(t.Context(), refund.Everything(), cursor, 1000)
		if err != nil {
			t.Fatal(err)
		}
		for _, it := range items {
			no, ok := it.RefundNo()
			var r struct {
				ClaimedAt time.Time `json:"claimed_at"`
			}
			if ok && (json.Unmarshal(it.Body, &r) != nil || it.Class != classOf(it.Body) || it.At.UnixMilli() != r.ClaimedAt.UnixMilli()) {
				numbers = append(numbers, no)
			}
		}
		if cursor = next; next == "" {
			return numbers
		}
	}
}

// What an earlier version has written is listed after a run of reconcile, its body byte
// for byte as it was, and until then lists say that they lack something.
func TestReconcileListsWhatAnEarlierVersionHasWritten(t *testing.T) {
	f := clocked(t)
	const many = 450
	for i := 0; i < many; i += 50 {
		var items []refund.Item
		for j := range 50 {
			items = append(items, oldRefund(number(i+j)))
		}
		f.write(t, items...)
	}
	f.write(t, refund.Item{Key: "refund/odd", Body: []byte("no record")}, refund.Item{Key: "order/out_trade_no/O1", Body: []byte("{}")})
	if page, err := f.ListRefunds(t.Context(), refund.Filter{}, "", 10); err != nil || !page.Incomplete || len(page.Refunds) > 0 {
		t.Fatalf("before: %+v, %v; want an incomplete list", page, err)
	}
	f.reconcile(t)
	page, err := f.ListRefunds(t.Context(), refund.Filter{States: []refund.State{refund.Success}}, "", 500)
	if err != nil || page.Incomplete || len(page.Refunds) != many {
		t.Fatalf("after: %d listed, incomplete %v, %v; want %d", len(page.Refunds), page.Incomplete, err, many)
	}
	got, want := f.items(t, "refund/R7")[0], oldRefund("R7")
	if string(got.Body) != string(want.Body) || got.Version != 2 || !got.Due.IsZero() {
		t.Errorf("%s, version %d, due %v", got.Body, got.Version, got.Due)
	}
}

// A second pass, a day later, lists what a program of the version before has written
// meanwhile; after that nothing is looked for any more.
func TestASecondPassFindsWhatAnOldProgramHasWrittenMeanwhile(t *testing.T) {
	f := clocked(t)
	f.must(t, request("R1", 60))
	counted := &everythingLists{Ledger: f.Ledger}
	f.Ledger = counted
	f.reconcile(t)
	stale := f.items(t, "refund/R1")[0]
	stale.Class, stale.At = "claimed", stale.At.Add(-time.Hour) // it changes the body, and leaves the place as it was
	f.write(t, stale, oldRefund("R2"))
	for range 10 {
		f.later(t, time.Hour)
	}
	if got := f.unlisted(t); counted.n != 2 || !slices.Contains(got, "R2") { // the test has listed them once, too
		t.Fatalf("%d passes within a day, %v is not listed", counted.n-1, got)
	}
	for range 10 {
		f.later(t, 3*time.Hour)
	}
	if got := f.unlisted(t); len(got) > 0 {
		t.Errorf("%v is not listed after the second pass", got)
	}
	for range 10 {
		f.later(t, 24*time.Hour)
	}
	if counted.n != 4 {
		t.Errorf("%d passes, want 2", counted.n-2)
	}
	// A process that starts later asks once whether there is anything to do.
	g := clocked(t)
	g.Ledger, g.Now = counted, f.Now
	g.reconcile(t)
	if counted.n != 4 {
		t.Error("another process has begun a third pass")
	}
}

// everythingLists counts how often somebody began to list everything.
type everythingLists struct {
	refund.Ledger
	n int
}

func (e *everythingLists) List(ctx context.Context, index refund.Index, cursor string, limit int) ([]refund.Item, string, error) {
	if index.Kind == refund.IndexKey && cursor == "" {
		e.n++
	}
	return e.Ledger.List(ctx, index, cursor, limit)
}

// A pass that is cut off goes on where it was, whoever goes on, and one instance at a
// time is at it.
func TestAPassGoesOnWhereItWas(t *testing.T) {
	f := clocked(t)
	const many = 900
	for i := 0; i < many; i += 50 {
		var items []refund.Item
		for j := range 50 {
			items = append(items, oldRefund(number(i+j)))
		}
		f.write(t, items...)
	}
	ledger, gone := f.Ledger, false
	f.Ledger = &hindered{ledger, func() error {
		if gone {
			return context.DeadlineExceeded
		}
		return nil
	}}
	listed := &afterLists{Ledger: f.Ledger, after: func(n int) { gone = n >= 3 }}
	f.Ledger = listed
	f.reconcile(t)
	left := len(f.unlisted(t))
	if left == 0 || left == many {
		t.Fatalf("%d of %d are left, want a part", left, many)
	}
	gone, listed.after = false, func(int) {}
	f.Ledger = ledger
	f.reconcile(t)
	if got := len(f.unlisted(t)); got != left {
		t.Errorf("%d are left, want %d: the other may still be at it", got, left)
	}
	counted := &countedLists{Ledger: ledger}
	f.Ledger = counted
	f.later(t, time.Minute)
	if got := f.unlisted(t); len(got) > 0 || counted.listed-len(f.items(t, "refund/R1")) > 2*many {
		t.Errorf("%d are left, %d items were listed", len(got), counted.listed)
	}
}

// afterLists calls after with the number of lists so far of everything.
type afterLists struct {
	refund.Ledger
	n     int
	after func(n int)
}

func (a *afterLists) List(ctx context.Context, index refund.Index, cursor string, limit int) ([]refund.Item, string, error) {
	if index.Kind == refund.IndexKey {
		a.n++
		a.after(a.n)
	}
	return a.Ledger.List(ctx, index, cursor, limit)
}

// A place that is another database's, as in a ledger that was copied, is given up for
// the beginning.
func TestAPassBeginsAgainIfItsPlaceIsNone(t *testing.T) {
	f := clocked(t)
	f.write(t, oldRefund("R1"), refund.Item{Key: "reconcile/classes", Body: []byte(`{"passes":0,"cursor":"of another database"}`)})
	for range 4 {
		f.later(t, time.Minute)
	}
	if got := f.unlisted(t); len(got) > 0 {
		t.Errorf("%v is not listed", got)
	}
}

// Whoever changes an item while it is being listed wins, and the item ends where it belongs.
func TestAPassDoesNotUndoWhatOthersWrite(t *testing.T) {
	f := clocked(t)
	f.write(t, oldRefund("R1"), oldRefund("R2"))
	racing := &hindered{Ledger: f.Ledger}
	raced := false
	racing.before = func() error {
		if it := f.items(t, "refund/R1")[0]; !raced && len(f.items(t, "reconcile/classes")[0].Body) > 0 {
			raced = true
			it.Body = []byte(strings.Replace(string(it.Body), `"later":1`, `"later":2`, 1))
			return racing.Ledger.Commit(t.Context(), it)
		}
		return nil
	}
	f.Ledger = racing
	f.reconcile(t)
	if got := f.unlisted(t); len(got) > 0 || !raced || !strings.Contains(string(f.items(t, "refund/R1")[0].Body), `"later":2`) {
		t.Errorf("%v is not listed, raced %v, R1 is %s", got, raced, f.items(t, "refund/R1")[0].Body)
	}
}

// The run is for what is due: without time left, nothing else is begun.
func TestARunWithoutTimeLeftBeginsNoPass(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := clocked(t)
		f.write(t, oldRefund("R1"))
		ctx, cancel := context.WithTimeout(t.Context(), 400*time.Millisecond)
		defer cancel()
		f.must(t, request("R2", 1))
		f.up.slow = 300 * time.Millisecond
		f.advance(time.Hour)
		if _, err := f.Reconcile(ctx); err != nil {
			t.Fatal(err)
		}
		if got := f.unlisted(t); !slices.Contains(got, "R1") {
			t.Error("a pass was begun when the time was up")
		}
	})
}

// A ledger is whole, whether or not the timer has run, if nothing in it is unlisted; one
// refund of an earlier version is enough that it is not.
func TestListsOfANewLedgerAreComplete(t *testing.T) {
	f := clocked(t)
	incomplete := func() bool {
		t.Helper()
		page, err := f.ListRefunds(t.Context(), refund.Filter{}, "", 10)
		if err != nil {
			t.Fatal(err)
		}
		return page.Incomplete
	}
	if incomplete() {
		t.Error("an empty ledger is said to lack something")
	}
	f.must(t, request("R1", 60))
	if incomplete() {
		t.Error("a ledger in which all is listed is said to lack something")
	}
	f.write(t, oldRefund("R2"))
	if !incomplete() {
		t.Error("a refund that is not listed is not said to be missing")
	}
	f.reconcile(t)
	if incomplete() {
		t.Error("after a pass something is said to be missing")
	}
}
