package refund_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"wxrefund/shared/ledger"
	"wxrefund/shared/refund"
)

var alice = refund.Caller{Kind: refund.Operator, Name: "alice"}

// backup is all that the ledger holds.
func (f *fixture) backup(t *testing.T) (items []refund.Item) {
	t.Helper()
	for cursor := ""; ; {
		page, next, err := f.Ledger.List(t.Context(), refund.Everything(), cursor, 100)
		if err != nil {
			t.Fatal(err)
		}
		items = append(items, page...)
		if cursor = next; next == "" {
			return items
		}
	}
}

// restored has the service go on with a ledger that holds what a backup does.
func (f *fixture) restored(t *testing.T, backup []refund.Item) {
	t.Helper()
	store, err := ledger.Open(t.Context(), "sqlite::memory:")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = store.Close() })
	f.Ledger = store
	for _, it := range backup {
		it.Version = 0
		f.write(t, it)
	}
}

// rebuild rebuilds the ledger, and returns the counts and what was told, sorted.
func (f *fixture) rebuild(t *testing.T, in refund.RebuildInput) (refund.RebuildSummary, []string) {
	t.Helper()
	var told []string
	in.Caller = alice
	in.Found = func(r refund.Rebuilt) {
		told = append(told, strings.TrimSpace(fmt.Sprint(r.What, " ", r.OutRefundNo, " ", r.State)))
	}
	sum, err := f.Rebuild(t.Context(), in)
	if err != nil {
		t.Fatal(err)
	}
	slices.Sort(told)
	return sum, told
}

// submissions counts what was submitted to the upstream.
func (f *fixture) submissions() (n int) {
	f.up.mu.Lock()
	defer f.up.mu.Unlock()
	for _, c := range f.up.calls {
		if strings.HasPrefix(c, "refund:") {
			n++
		}
	}
	return n
}

// forgetful is a ledger restored from a backup, since which refunds have moved, were
// claimed again or were made.
func forgetful(t *testing.T) *fixture {
	t.Helper()
	f := lived(t)
	backup := f.backup(t)
	f.advance(time.Hour)
	f.up.set("R3", refund.StatusSuccess)
	f.settle(t, refund.Outcome{Source: refund.Query, OutRefundNo: "R3", Refund: f.up.refunds["R3"]})
	for no, order := range map[string]string{"R6": "O6", "R8": "O3", "R9": "O9"} { // R6 was refused before
		r := request(no, 20)
		if no == "R6" {
			r.Amount.Refund = 10
		}
		r.OutTradeNo = order
		if _, err := f.Refund(t.Context(), server, r); err != nil && no != "R6" {
			t.Fatal(err)
		}
		f.up.mu.Lock()
		if _, ok := f.up.refunds[no]; !ok { // refused from memory here, accepted from another place
			f.up.refunds[no] = refund.Refund{
				RefundID: "5000" + no, OutRefundNo: no, TransactionID: "T-" + order, OutTradeNo: order,
				Status: refund.StatusProcessing, Amount: refund.Amount{Total: 100, Refund: r.Amount.Refund, Currency: "CNY"},
			}
		}
		f.up.mu.Unlock()
	}
	f.up.mu.Lock() // what was by hand, and what was settled by a notification alone
	f.up.refunds["H1"] = refund.Refund{RefundID: "5000H1", OutRefundNo: "H1", TransactionID: "T-O1", OutTradeNo: "O1", Status: refund.StatusSuccess, Amount: refund.Amount{Total: 100, Refund: 5}}
	f.up.mu.Unlock()
	f.up.set("R1", refund.StatusSuccess)
	f.up.set("R2", refund.StatusClosed)
	f.restored(t, backup)
	return f
}

// What the upstream knows and a restored ledger has forgotten is taken up, counts on its
// order and cannot be refunded again; nothing is submitted.
func TestRebuildTakesUpWhatTheLedgerHasForgotten(t *testing.T) {
	f := forgetful(t)
	submitted := f.submissions()
	sum, told := f.rebuild(t, refund.RebuildInput{Numbers: []string{"R1", "R8", "R9", "R99", "bad number"}})
	wantEqual(t, "told", []string{
		"failed bad number", "moved R3 success", "moved R6 processing", "taken_up R8 processing", "taken_up R9 processing",
		"unknown R5 claimed", "unknown R7 claimed", "unknown R99",
	}, told)
	want := refund.RebuildSummary{Asked: 12, Unchanged: 5, Moved: 2, TakenUp: 2, Unknown: 3, Failed: 1}
	wantEqual(t, "summary", want, sum)
	if n := f.submissions() - submitted; n != 0 {
		t.Errorf("%d refunds were submitted", n)
	}
	if found, _ := f.verify(t); len(found) > 0 {
		t.Errorf("the ledger is not sound: %v", found)
	}
	r := request("R10", 71) // of 100, 30 are refunded by now
	r.OutTradeNo = "O3"
	f.refused(t, r, refund.CodeConflict, refund.Never)
	if h := f.inspect(t, "R8").History; len(h) == 0 || h[0].By != "operator alice" {
		t.Errorf("the history does not say who took it up: %+v", h)
	}
	// Once more: all is as it was.
	if sum, told := f.rebuild(t, refund.RebuildInput{}); sum.Moved+sum.TakenUp+sum.Failed > 0 || sum.Resumed {
		t.Errorf("again: %+v %v", sum, told)
	}
}

// What stands in a file that has no numbers is named by its beginning: it may be of megabytes.
func TestRebuildNamesWhatIsNoNumberByItsBeginning(t *testing.T) {
	f := lived(t)
	sum, told := f.rebuild(t, refund.RebuildInput{Numbers: []string{strings.Repeat("x", 1<<20)}})
	if want := "failed " + strings.Repeat("x", 64); sum.Failed != 1 || !slices.Contains(told, want) {
		t.Errorf("%+v, told %.200q", sum, told)
	}
}

// Refunds that have ended before a time are left alone, whatever is open is asked about.
func TestRebuildAsksAboutWhatMayHaveChanged(t *testing.T) {
	f := forgetful(t)
	f.advance(48 * time.Hour)
	sum, _ := f.rebuild(t, refund.RebuildInput{Since: f.Now().Add(-time.Hour)})
	if want := int64(5); sum.Asked != want { // R3, R4, R5, R6 (refused, and not yet asked about), R7
		t.Errorf("%d were asked about, want %d", sum.Asked, want)
	}
}

// Where the upstream lists an order's refunds, those that nobody has a number of are taken
// up too.
func TestRebuildTakesUpWhatAnOrdersListHas(t *testing.T) {
	f := forgetful(t)
	f.up.byOrder()
	var asked []refund.Lookup
	f.up.onQuery = func(l refund.Lookup) {
		if l.ByOrder() {
			asked = append(asked, l)
		}
	}
	lost := f.up.refunds["R8"]
	f.up.listed = func() refund.Page {
		if l := asked[len(asked)-1]; l.TransactionID == "T-O3" {
			return refund.Page{TotalRefundCount: 2, RefundCount: 1, Offset: l.Offset, Refunds: []refund.Refund{[]refund.Refund{f.up.refunds["R3"], lost}[min(l.Offset, 1)]}}
		}
		return refund.Page{}
	}
	// One at a time, so that the answer is to the last question.
	f.Channel = &single{upstream: f.up}
	sum, told := f.rebuild(t, refund.RebuildInput{})
	if !slices.Contains(told, "taken_up R8 processing") || sum.TakenUp != 1 || sum.Orders < 5 {
		t.Errorf("%+v, told %v", sum, told)
	}
	if found, _ := f.verify(t); len(found) > 0 {
		t.Errorf("the ledger is not sound: %v", found)
	}
}

type single struct {
	*upstream
	one sync.Mutex
}

func (s *single) Query(ctx context.Context, l refund.Lookup) (refund.Page, error) {
	s.one.Lock()
	defer s.one.Unlock()
	return s.upstream.Query(ctx, l)
}

// A rebuild that was ended goes on where it was, and another input begins anew.
func TestRebuildGoesOnWhereItWasEnded(t *testing.T) {
	f := clocked(t)
	f.Pace = -1
	var numbers []string
	for i := range 250 {
		r := request(number(i), 10)
		r.OutTradeNo = fmt.Sprint("O", i)
		f.must(t, r)
		numbers = append(numbers, number(i))
	}
	f.restored(t, nil) // it has forgotten everything
	in := refund.RebuildInput{Caller: alice, Numbers: numbers, Ledger: "here"}
	for end := 100; end <= 200; end += 100 {
		ctx, cancel := context.WithCancel(t.Context())
		in.Progress = func(sum refund.RebuildSummary) {
			if sum.Asked >= int64(end) {
				cancel()
			}
		}
		if sum, err := f.Rebuild(ctx, in); !errors.Is(err, context.Canceled) || sum.Asked < int64(end) || sum.Resumed != (end > 100) {
			t.Fatalf("ended at %d: %+v, %v", end, sum, err)
		}
		cancel()
	}
	in.Progress = nil
	sum, err := f.Rebuild(t.Context(), in)
	if err != nil || !sum.Resumed || sum.TakenUp != 250 || sum.Asked > 250+3*8 {
		t.Errorf("gone on: %+v, %v", sum, err)
	}
	if found, v := f.verify(t); len(found) > 0 || v.Refunds != 250 {
		t.Errorf("found %v in %+v", found, v)
	}
	for what, change := range map[string]func(in *refund.RebuildInput){
		"it was done":      func(*refund.RebuildInput) {},
		"another database": func(in *refund.RebuildInput) { in.Ledger = "there" },
		"other numbers":    func(in *refund.RebuildInput) { in.Numbers = numbers[:9] },
	} {
		again := in
		if change(&again); true {
			if sum, err := f.Rebuild(t.Context(), again); err != nil || sum.Resumed || sum.TakenUp > 0 {
				t.Errorf("%s: %+v, %v", what, sum, err)
			}
		}
	}
}

// Questions keep to the merchant's rate, those that have no answer are asked again and
// then named, and two rebuilds at once are refused.
func TestRebuildIsPatient(t *testing.T) {
	f := setUp(t)
	f.Pace = -1
	for i := range 12 {
		r := request(number(i), 10)
		r.OutTradeNo = fmt.Sprint("O", i)
		f.must(t, r)
	}
	f.up.spec.Rate = 20
	start := time.Now()
	sum, _ := f.rebuild(t, refund.RebuildInput{})
	if took := time.Since(start); sum.Asked != 12 || took < 300*time.Millisecond { // 5 at once, and 7 at 18.4 a second
		t.Errorf("%+v in %v", sum, took)
	}
	f.up.spec.Rate = 0
	first := true
	f.up.onQuery = func(refund.Lookup) {
		f.up.mu.Lock()
		defer f.up.mu.Unlock()
		f.up.queryErr = nil
		if first {
			first, f.up.queryErr = false, noAnswer(refund.Request{})
		}
	}
	if sum, told := f.rebuild(t, refund.RebuildInput{}); sum.Failed > 0 || sum.Unchanged != 12 {
		t.Errorf("one answer is lost: %+v %v", sum, told)
	}
	f.up.onQuery = nil
	f.up.queryErr = &refund.Error{Code: refund.CodeUnavailable, Next: refund.Later, Message: "counted", CountedOnly: true}
	if sum, told := f.rebuild(t, refund.RebuildInput{}); sum.Failed != 12 || sum.Unchanged != 0 {
		t.Errorf("the upstream reports nothing: %+v %v", sum, told)
	}
	f.up.queryErr = nil

	var inner error
	_, err := f.Rebuild(t.Context(), refund.RebuildInput{Caller: alice, Progress: func(refund.RebuildSummary) {
		if inner == nil {
			_, inner = f.Rebuild(t.Context(), refund.RebuildInput{Caller: alice, Restart: true})
			inner = errors.Join(inner, errors.New("once"))
		}
	}})
	if !refund.IsCode(err, refund.CodeConflict) {
		t.Errorf("two at once: %v", err)
	}
	if _, err := f.Rebuild(t.Context(), refund.RebuildInput{Caller: refund.Caller{Kind: refund.User, OpenID: "o"}}); !refund.IsCode(err, refund.CodeDenied) {
		t.Errorf("a user: %v", err)
	}
}

// billsOf has the upstream issue bills of the given days; of all others it has none.
func (f *fixture) billsOf(rows map[refund.Day][]refund.BillRow) {
	f.up.spec.Bills = []refund.BillKind{refund.TradeBill}
	f.up.bill = func(q refund.BillQuery) (*refund.Bill, error) {
		b := tradeBill(rows[q.Day]...)
		b.Query, b.Empty = q, len(rows[q.Day]) == 0
		return b, nil
	}
}

// What nobody has a number of is taken up from the bills of the days since the backup,
// whoever made it, and asked about; once more, nothing is taken up again.
func TestRebuildTakesUpWhatTheBillsSinceTheBackupHave(t *testing.T) {
	f := clocked(t)
	f.must(t, request("R1", 10))
	backup, since := f.backup(t), f.Now()
	f.advance(time.Hour)
	f.must(t, request("R2", 20)) // and is forgotten
	f.byHand("H1", 30, refund.StatusSuccess)
	f.up.set("R2", refund.StatusSuccess)
	f.restored(t, backup)
	f.advance(48 * time.Hour)
	rows := []refund.BillRow{row("R1", 10, "PROCESSING"), row("R2", 20, "PROCESSING"), row("H1", 30, "SUCCESS")}
	for i := range rows {
		rows[i].AcceptedAt = since.Add(time.Hour)
	}
	f.billsOf(map[refund.Day][]refund.BillRow{billDay: rows, "2026-11-21": {row("H0", 1, "SUCCESS")}})
	sum, told := f.rebuild(t, refund.RebuildInput{Since: since})
	if sum.Days != 2 || sum.TakenUp != 2 || sum.Failed != 0 {
		t.Errorf("%+v", sum)
	}
	for _, want := range []string{"taken_up H1 processing", "taken_up R2 processing", "moved H1 success", "moved R2 success"} {
		if !slices.Contains(told, want) {
			t.Errorf("%s was not told: %v", want, told)
		}
	}
	f.wantState(t, "H0", "", "of before the backup")
	f.refused(t, request("R3", 41), refund.CodeConflict, refund.Never)
	if found, _ := f.verify(t); len(found) > 0 {
		t.Errorf("the ledger is not sound: %v", found)
	}
	if sum, _ := f.rebuild(t, refund.RebuildInput{Since: since}); sum.Days != 2 || sum.TakenUp+sum.Moved+sum.Failed != 0 {
		t.Errorf("again: %+v", sum)
	}
}

// A day whose bill cannot be had is named, and the others go on; an ended rebuild goes on
// with the day that it had reached.
func TestRebuildGoesOnWithoutADay(t *testing.T) {
	f := clocked(t)
	f.must(t, request("R1", 10))
	since := f.Now()
	f.advance(72 * time.Hour)
	f.billsOf(map[refund.Day][]refund.BillRow{billDay: {row("R1", 10, "SUCCESS")}})
	issue, fetched := f.up.bill, map[refund.Day]int{}
	f.up.bill = func(q refund.BillQuery) (*refund.Bill, error) {
		fetched[q.Day]++
		if q.Day == "2026-11-23" {
			return nil, &refund.Error{Code: refund.CodeDenied, Next: refund.AfterFix, Upstream: "NO_AUTH", Message: "no permission"}
		}
		return issue(q)
	}
	ctx, cancel := context.WithCancel(t.Context())
	in := refund.RebuildInput{Caller: alice, Since: since, Ledger: "here", Progress: func(sum refund.RebuildSummary) {
		if sum.Failed > 0 {
			cancel()
		}
	}}
	if _, err := f.Rebuild(ctx, in); !errors.Is(err, context.Canceled) {
		t.Fatal(err)
	}
	var failed []refund.Day
	in.Progress, in.Found = nil, func(r refund.Rebuilt) { failed = append(failed, r.Day) }
	sum, err := f.Rebuild(t.Context(), in)
	if err != nil || !sum.Resumed || sum.Days != 2 || sum.Failed != 1 {
		t.Errorf("%+v, %v, not read %v", sum, err, failed)
	}
	wantEqual(t, "fetched", map[refund.Day]int{"2026-11-22": 1, "2026-11-23": 1, "2026-11-24": 1}, fetched)
}
