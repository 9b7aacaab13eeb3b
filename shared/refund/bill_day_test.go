package refund_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"wxrefund/shared/refund"
)

// A billed fixture has an upstream that issues bills. Its first day that matters is the
// 22nd of November 2026, on which its upstream accepts what it accepts.
type billed struct {
	*fixture
	mu      sync.Mutex
	rows    map[refund.Day][]refund.BillRow // none: an empty bill
	hash    map[refund.Day]string           // "": by the rows
	fails   map[refund.Day]error            // why there is no bill
	fetched map[refund.Day]int
	onRow   func(refund.BillRow)
}

const day22 = refund.Day("2026-11-22")

// bills has the fixture's upstream issue bills.
func bills(f *fixture) *billed {
	b := &billed{fixture: f, rows: map[refund.Day][]refund.BillRow{}, hash: map[refund.Day]string{}, fails: map[refund.Day]error{}, fetched: map[refund.Day]int{}}
	f.up.spec.Bills = []refund.BillKind{refund.TradeBill}
	f.up.bill = b.bill
	return b
}

func (b *billed) bill(q refund.BillQuery) (*refund.Bill, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.fetched[q.Day]++
	if err := b.fails[q.Day]; err != nil {
		return nil, err
	}
	rows := slices.Clone(b.rows[q.Day])
	if len(rows) == 0 {
		return &refund.Bill{Query: q, Empty: true}, nil
	}
	hash := b.hash[q.Day]
	if hash == "" {
		hash = fmt.Sprintf("sha1:%x", len(rows))
	}
	return &refund.Bill{Query: q, Hash: hash, Rows: int64(len(rows)), Refunds: func(yield func(refund.BillRow, error) bool) {
		for _, row := range rows {
			b.mu.Lock()
			onRow := b.onRow
			b.mu.Unlock()
			if onRow != nil {
				onRow(row)
			}
			if !yield(row, nil) {
				return
			}
		}
	}}, nil
}

func (b *billed) fetches(d refund.Day) int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.fetched[d]
}

// billRow is a row of the upstream's refund of order O1.
func billRow(line int64, no string, fen int64) refund.BillRow {
	return refund.BillRow{Line: line, MchID: merchant.MchID, TransactionID: "T-O1", OutTradeNo: "O1", RefundID: "5000" + no, OutRefundNo: no,
		Amount: fen, Refunded: fen, Currency: "CNY", Status: refund.StatusProcessing}
}

func billRows(numbers ...string) (rows []refund.BillRow) {
	for i, no := range numbers {
		rows = append(rows, billRow(int64(i+2), no, 10))
	}
	return rows
}

// inFull is a report as it is kept.
func inFull(t *testing.T, r refund.BillReport) string {
	t.Helper()
	text, err := json.MarshalIndent(r, "", " ")
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// at moves the clock to a time of Beijing's.
func (b *billed) at(t *testing.T, when string) {
	t.Helper()
	at, err := time.ParseInLocation("2006-01-02 15:04", when, time.FixedZone("", 8*60*60))
	if err != nil {
		t.Fatal(err)
	}
	b.advance(at.Sub(b.Now()))
}

func (b *billed) report(t *testing.T, d refund.Day) refund.BillReport {
	t.Helper()
	reports, err := b.BillReports(t.Context(), d, d)
	if err != nil || len(reports) != 1 {
		t.Fatalf("%s: %d reports, %v", d, len(reports), err)
	}
	return reports[0]
}

// wantDay checks what is said of the 22nd: its state, and its counts in short.
func (b *billed) wantDay(t *testing.T, state refund.BillState, counts, when string) {
	t.Helper()
	r := b.report(t, day22)
	got := fmt.Sprintf("equal %d, differs %d, ours %d, theirs %d; fen %d %d", r.Equal, r.Differs, r.OursOnly, r.TheirsOnly, r.Fen.Bill, r.Fen.Ledger)
	if r.State != state || counts != "" && got != counts {
		t.Errorf("%s: the day is %s (%s) with %s; want %s with %s", when, r.State, r.Why, got, state, counts)
	}
}

// wantOpen checks whether an alarm about the 22nd is open.
func (b *billed) wantOpen(t *testing.T, code string, want bool, when string) {
	t.Helper()
	open, _, err := b.Alarms(t.Context(), "", 200)
	if err != nil {
		t.Fatal(err)
	}
	got := slices.ContainsFunc(open, func(a refund.OpenAlarm) bool { return a.Code == code && a.About == "bill/"+string(day22) })
	if got != want {
		t.Errorf("%s: %s is open: %v, want %v", when, code, got, want)
	}
}

// settleEarlierDays has the days before the 22nd done, which say nothing here.
func (b *billed) settleEarlierDays(t *testing.T) {
	t.Helper()
	b.write(t, refund.Item{Key: "bill/state", Body: []byte(`{"through":"2026-11-21"}`)})
	b.at(t, "2026-11-22 18:00")
	b.reconcile(t)
}

func TestADayWhoseBillIsTheLedgersAgrees(t *testing.T) {
	b := bills(clocked(t))
	b.settleEarlierDays(t)
	b.must(t, request("R1", 10))
	b.must(t, request("R2", 10))
	b.rows[day22] = billRows("R1", "R2")
	b.at(t, "2026-11-23 09:59")
	if b.reconcile(t); b.fetches(day22) > 0 {
		t.Error("the bill was asked for before it is issued")
	}
	b.wantDay(t, refund.BillUnread, "", "before ten")
	b.at(t, "2026-11-23 10:00")
	if got := b.reconcile(t); got.Bills != 1 {
		t.Errorf("a run has read %d bills, want 1", got.Bills)
	}
	b.wantDay(t, refund.BillAgrees, "equal 2, differs 0, ours 0, theirs 0; fen 20 20", "after ten")
	r := b.report(t, day22)
	if r.Currency != "CNY" || r.Hash != "sha1:2" || r.Rows != 2 || r.By != "" || !r.ReadAt.Equal(b.Now()) || r.Corrections != nil {
		t.Errorf("the report is %+v", r)
	}
	b.wait(t, 24*time.Hour)
	if got := b.fetches(day22); got != 1 {
		t.Errorf("the bill was fetched %d times", got)
	}
	if strings.Contains(b.log.String(), "bill not read") || b.alarms("") > 0 {
		t.Errorf("the log says\n%s", b.log)
	}
}

// The first run reads three months, the newest day first; what it has no time for, the next
// ones do.
func TestEveryDayThatIsMissingIsReadForThreeMonths(t *testing.T) {
	b := bills(clocked(t))
	b.at(t, "2026-11-23 10:00")
	if got := b.reconcile(t); got.Bills != 91 {
		t.Errorf("%d bills were read, want 91", got.Bills)
	}
	if len(b.fetched) != 91 || b.fetched["2026-08-24"] != 1 || b.fetched[day22] != 1 {
		t.Errorf("%d days were asked for", len(b.fetched))
	}
	reports, err := b.BillReports(t.Context(), "2026-08-22", "2026-12-31")
	if err != nil || len(reports) != 93 || reports[0].Date != day22 || reports[90].State != refund.BillAgrees || reports[91].State != refund.BillUnread {
		t.Errorf("%d reports, %v", len(reports), err)
	}
	b.at(t, "2026-11-22 12:00") // by another clock, the day that was read has not ended
	behind, err := b.BillReports(t.Context(), "2026-08-22", "2026-12-31")
	if err != nil || len(behind) != len(reports) || behind[0].Date != day22 || behind[0].State != refund.BillAgrees {
		t.Errorf("by a clock that is behind: %d reports, %v", len(behind), err)
	}
	b.at(t, "2026-11-26 10:00")
	if got := b.reconcile(t); got.Bills != 3 {
		t.Errorf("%d bills were read after three days without a run, want 3", got.Bills)
	}
}

func TestARefundThatTheBillLacksIsWaitedForUntilTheNextDay(t *testing.T) {
	for _, next := range []bool{true, false} {
		b := bills(clocked(t))
		b.settleEarlierDays(t)
		b.must(t, request("R1", 10))
		b.must(t, request("R2", 10))
		b.rows[day22] = billRows("R1")
		b.at(t, "2026-11-23 10:00")
		b.reconcile(t)
		b.wantDay(t, refund.BillWaiting, "equal 1, differs 0, ours 1, theirs 0; fen 10 20", "on the first day")
		b.wantOpen(t, "bill_differs", false, "on the first day")
		if next {
			b.rows["2026-11-23"] = billRows("R2")
		}
		b.at(t, "2026-11-24 09:59")
		b.reconcile(t)
		b.at(t, "2026-11-24 10:00")
		b.reconcile(t)
		if next {
			b.wantDay(t, refund.BillAgrees, "equal 1, differs 0, ours 0, theirs 0; fen 10 10", "in the next day's bill")
			b.wantOpen(t, "bill_differs", false, "in the next day's bill")
			continue
		}
		b.wantDay(t, refund.BillDiffers, "equal 1, differs 0, ours 1, theirs 0; fen 10 20", "in no bill")
		b.wantOpen(t, "bill_differs", true, "in no bill")
		r := b.report(t, day22)
		if len(r.Corrections) != 1 || r.Corrections[0].Before.State != refund.BillWaiting || r.Corrections[0].Why == "" {
			t.Errorf("corrections are %+v", r.Corrections)
		}
		if len(r.Findings) != 1 || r.Findings[0].OutRefundNo != "R2" || r.Findings[0].What != "ours_only" || r.Findings[0].Order != "O1" {
			t.Errorf("findings are %+v", r.Findings)
		}
		// The alarm is repeated each day, and a person ends it.
		b.wait(t, 72*time.Hour)
		if n := b.alarms("bill_differs"); n < 3 || n > 4 {
			t.Errorf("the alarm was logged %d times in three days", n)
		}
		if err := b.Acknowledge(t.Context(), "bill/"+string(day22), "bill_differs", "operator me", "known"); err != nil {
			t.Fatal(err)
		}
		n := b.alarms("bill_differs")
		b.wait(t, 96*time.Hour)
		b.wantOpen(t, "bill_differs", false, "when it is acknowledged")
		if got := b.alarms("bill_differs"); got != n || b.fetches(day22) != 2 {
			t.Errorf("after it was acknowledged the alarm was logged %d times more, and the bill fetched %d times", got-n, b.fetches(day22))
		}
	}
}

// What the next bill or a person's reading explains is no alarm any more.
func TestADayThatAgreesAfterAllEndsItsAlarm(t *testing.T) {
	b := bills(clocked(t))
	b.settleEarlierDays(t)
	b.must(t, request("R1", 10))
	b.rows[day22] = []refund.BillRow{billRow(2, "R1", 11)}
	b.at(t, "2026-11-23 10:00")
	b.reconcile(t)
	b.wantDay(t, refund.BillDiffers, "equal 0, differs 1, ours 0, theirs 0; fen 11 10", "with another amount")
	b.wantOpen(t, "bill_differs", true, "with another amount")
	b.rows[day22] = billRows("R1")
	if _, err := b.ReadBill(t.Context(), refund.BillInput{Caller: server, Day: day22, Why: "it was issued anew"}); err != nil {
		t.Fatal(err)
	}
	b.wantDay(t, refund.BillAgrees, "equal 1, differs 0, ours 0, theirs 0; fen 10 10", "issued anew")
	b.wantOpen(t, "bill_differs", false, "issued anew")
	c := b.report(t, day22).Corrections
	if len(c) != 1 || c[0].Why != "it was issued anew" || c[0].By != "server" || c[0].Before.State != refund.BillDiffers || c[0].Before.Differs != 1 {
		t.Errorf("corrections are %+v", c)
	}
}

func upstreamError(code refund.Code, name string) error {
	return &refund.Error{Code: code, Next: refund.Later, Upstream: name, Message: "it says " + name}
}

// What is wrong with one day's bill is said of that day, is tried again in time, and keeps
// no other day back.
func TestADayWithoutABillIsTriedAgainAndKeepsToItself(t *testing.T) {
	unreadable := fmt.Errorf("line 7 has 12 columns: %w", refund.ErrBillUnreadable)
	tests := map[string]struct {
		err    error
		state  refund.BillState
		again  time.Duration // not before
		atOnce bool          // it is an alarm
	}{
		"creating":   {upstreamError(refund.CodeUnavailable, "STATEMENT_CREATING"), refund.BillUnavailable, 10 * time.Minute, false},
		"no answer":  {upstreamError(refund.CodeUnavailable, ""), refund.BillUnavailable, 10 * time.Minute, false},
		"refused":    {upstreamError(refund.CodeRejected, "NO_AUTH"), refund.BillUnavailable, 24 * time.Hour, true},
		"denied":     {upstreamError(refund.CodeDenied, "NO_AUTH"), refund.BillUnavailable, 24 * time.Hour, true},
		"unreadable": {unreadable, refund.BillUnreadable, time.Hour, true},
		"no bill":    {refund.ErrNoBill, refund.BillUnavailable, 24 * time.Hour, true},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			b := bills(clocked(t))
			b.at(t, "2026-11-22 09:00")
			b.reconcile(t) // up to the 20th
			b.must(t, request("R1", 10))
			b.rows[day22] = billRows("R1")
			b.fails[day22] = test.err
			b.at(t, "2026-11-23 10:00")
			if got := b.reconcile(t); got.Bills != 1 || b.fetches("2026-11-21") != 1 {
				t.Errorf("%d other days were read, want the 21st", got.Bills)
			}
			b.wantDay(t, test.state, "", "at first")
			if why := b.report(t, day22).Why; why == "" {
				t.Error("it is not said why")
			}
			b.wantOpen(t, "bill_unread", test.atOnce, "at first")
			for waited := time.Minute; waited < test.again; waited += time.Minute {
				b.later(t, time.Minute)
			}
			if n := b.fetches(day22); n != 1 {
				t.Errorf("it was asked for %d times within %v", n, test.again)
			}
			b.later(t, time.Minute)
			if n := b.fetches(day22); n != 2 {
				t.Errorf("it was asked for %d times after %v, want twice", n, test.again)
			}
			b.at(t, "2026-11-24 11:30")
			b.reconcile(t)
			b.wantOpen(t, "bill_unread", true, "on the second day")
			if n := b.fetches(day22); n > 30 {
				t.Errorf("it was asked for %d times", n)
			}
			delete(b.fails, day22)
			b.wait(t, 25*time.Hour)
			b.wantDay(t, refund.BillAgrees, "equal 1, differs 0, ours 0, theirs 0; fen 10 10", "when it is there")
			b.wantOpen(t, "bill_unread", false, "when it is there")
			if c := b.report(t, day22).Corrections; c != nil {
				t.Errorf("what was no result is kept as one: %+v", c)
			}
		})
	}
}

// Waiting for a bill that is being made takes longer each time, and no longer than an hour.
func TestABillThatIsBeingMadeIsAskedForLessAndLessOften(t *testing.T) {
	b := bills(clocked(t))
	b.settleEarlierDays(t)
	b.fails[day22] = upstreamError(refund.CodeUnavailable, "STATEMENT_CREATING")
	b.at(t, "2026-11-23 10:00")
	var asked []int
	for minute := range 240 {
		before := b.fetches(day22)
		if b.reconcile(t); b.fetches(day22) > before {
			asked = append(asked, minute)
		}
		b.advance(time.Minute)
	}
	wantEqual(t, "minutes", []int{0, 10, 30, 70, 130, 190}, asked)
}

// An upstream that refuses a merchant's bills is not asked for each of three months.
func TestAnUpstreamThatRefusesIsAskedForAFewDaysOnly(t *testing.T) {
	b := bills(clocked(t))
	b.at(t, "2026-11-23 10:00")
	b.up.bill = func(q refund.BillQuery) (*refund.Bill, error) {
		b.fetched[q.Day]++
		return nil, upstreamError(refund.CodeRejected, "NO_AUTH")
	}
	for range 24 * 6 {
		b.later(t, 10*time.Minute)
	}
	if len(b.fetched) > 4 || b.fetched[day22] == 0 {
		t.Errorf("%d days were asked for within a day", len(b.fetched))
	}
	if n := b.alarms("bill_unread"); n > 4 {
		t.Errorf("there were %d alarms", n)
	}
}

// A run each minute reads nothing of the ledger for bills, until it is time.
func TestARunThatHasNoBillToReadCostsNothing(t *testing.T) {
	b := bills(clocked(t))
	b.settleEarlierDays(t)
	reads := &billReads{Ledger: b.Ledger}
	b.Ledger = reads
	runs := 0
	for range 24 * 60 {
		n := reads.n
		if b.later(t, time.Minute); reads.n > n {
			runs++
		}
	}
	if runs != 1 {
		t.Errorf("%d runs of a day have read what there is of bills, want 1", runs)
	}
	b.NoBill = true
	n := reads.n
	b.wait(t, 48*time.Hour)
	if reads.n != n {
		t.Error("bills were read although they are not to be")
	}
}

// billReads counts how often something of bills is read.
type billReads struct {
	refund.Ledger
	n int
}

func (l *billReads) Get(ctx context.Context, keys ...refund.Key) ([]refund.Item, error) {
	if slices.ContainsFunc(keys, func(k refund.Key) bool { return strings.HasPrefix(string(k), "bill/") }) {
		l.n++
	}
	return l.Ledger.Get(ctx, keys...)
}

// many is a day of so many refunds, every seventh of another amount there.
func (b *billed) many(t *testing.T, n int) {
	t.Helper()
	b.settleEarlierDays(t)
	var rows []refund.BillRow
	for i := range n {
		no := fmt.Sprintf("M%04d", i)
		req := refund.Request{OutRefundNo: no, OutTradeNo: "O-" + no, Amount: refund.RequestAmount{Refund: 10, Total: 100, Currency: "CNY"}}
		b.must(t, req)
		fen := int64(10)
		if i%7 == 3 {
			fen = 11
		}
		row := billRow(int64(i+2), no, fen)
		row.OutTradeNo, row.TransactionID = req.OutTradeNo, "T-"+req.OutTradeNo
		rows = append(rows, row)
	}
	b.rows[day22] = rows[:n-1] // and the last one is ours only
	b.at(t, "2026-11-24 10:00")
}

// dying is a ledger that stops at one of its calls, as for a process that was killed.
type dying struct {
	refund.Ledger
	mu   sync.Mutex
	left int
	once func() // when it stops
}

var errKilled = errors.New("killed")

func (l *dying) dead() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.left--; l.left == 0 && l.once != nil {
		l.once()
	}
	return l.left < 0
}

func (l *dying) Get(ctx context.Context, keys ...refund.Key) ([]refund.Item, error) {
	if l.dead() {
		return nil, errKilled
	}
	return l.Ledger.Get(ctx, keys...)
}

func (l *dying) Commit(ctx context.Context, items ...refund.Item) error {
	if l.dead() {
		return errKilled
	}
	return l.Ledger.Commit(ctx, items...)
}

func (l *dying) List(ctx context.Context, index refund.Index, cursor string, limit int) ([]refund.Item, string, error) {
	if l.dead() {
		return nil, "", errKilled
	}
	return l.Ledger.List(ctx, index, cursor, limit)
}

// Wherever a process is killed in reading a bill, the next ones go on, and the report is
// the same; two more at once change nothing.
func TestAReadingThatIsKilledAnywhereEndsAsIfItHadNotBeen(t *testing.T) {
	const refunds = 230
	clean := bills(clocked(t))
	clean.many(t, refunds)
	count := &dying{Ledger: clean.Ledger, left: 1 << 30}
	clean.Ledger = count
	clean.reconcile(t)
	calls := 1<<30 - count.left
	want := clean.report(t, day22)
	if want.State != refund.BillDiffers || want.OursOnly != 1 || want.Equal+want.Differs != refunds-1 || want.Fen.Ledger != 10*refunds {
		t.Fatalf("the report is %+v", want)
	}
	b := bills(clocked(t))
	b.many(t, refunds)
	whole := b.Ledger
	for n := 0; n < calls; n += fewer(7) {
		// Every call dies once in the same ledger: a process each.
		s := &refund.Service{Channel: b.up, Ledger: &dying{Ledger: whole, left: n}, Merchant: merchant, Now: b.Now, Log: b.Log}
		_, _ = s.Reconcile(t.Context())
		if n%5 == 4 {
			b.advance(3 * time.Minute)
		}
		b.advance(time.Second)
	}
	b.at(t, "2026-11-24 16:00")
	others := &refund.Service{Channel: b.up, Ledger: whole, Merchant: merchant, Now: b.Now, Log: b.Log}
	var wg sync.WaitGroup
	for range 2 {
		wg.Go(func() { _, _ = others.Reconcile(t.Context()) })
		wg.Go(func() { _, _ = b.Reconcile(t.Context()) })
	}
	wg.Wait()
	b.advance(time.Hour)
	b.reconcile(t)
	got := b.report(t, day22)
	got.ReadAt, want.ReadAt = time.Time{}, time.Time{}
	wantEqual(t, "report", inFull(t, want), inFull(t, got))
	b.wantOpen(t, "bill_differs", true, "at the end")
}

// With a ledger of its own for each call at which a process is killed, whether what the
// call was to do is done or not, and whatever goes on.
func TestAReadingThatIsKilledAtOneCallIsEndedByTheNext(t *testing.T) {
	const refunds = 8
	prepared := func() *billed {
		b := bills(clocked(t))
		b.many(t, refunds)
		b.fails["2026-11-23"] = upstreamError(refund.CodeRejected, "NO_AUTH") // the next day's: nothing is waited for
		return b
	}
	clean := prepared()
	count := &dying{Ledger: clean.Ledger, left: 1 << 30}
	clean.Ledger = count
	clean.reconcile(t)
	calls, want := 1<<30-count.left, clean.report(t, day22)
	want.ReadAt = time.Time{}
	if calls < 20 || want.OursOnly != 1 {
		t.Fatalf("%d calls, %+v", calls, want)
	}
	for n := 0; n < 2*calls; n += fewer(7) {
		b := prepared()
		whole := b.Ledger
		ctx, cancel := context.WithCancel(t.Context())
		killed := &dying{Ledger: whole, left: n / 2}
		if n%2 == 1 {
			killed.left, killed.once = n/2+1, cancel // it is done, and nobody hears of it
		}
		s := &refund.Service{Channel: b.up, Ledger: killed, Merchant: merchant, Now: b.Now, Log: b.Log}
		_, _ = s.Reconcile(ctx)
		cancel()
		var findings []string
		if _, err := b.Verify(t.Context(), refund.VerifyInput{Found: func(f refund.Finding) { findings = append(findings, f.Says) }}); err != nil || findings != nil {
			t.Errorf("killed at %d: %v, %v", n, findings, err)
		}
		for range 3 {
			b.later(t, 4*time.Minute)
		}
		got := b.report(t, day22)
		got.ReadAt = time.Time{}
		if got.State != want.State || got.Equal != want.Equal || got.Differs != want.Differs || got.Fen != want.Fen || len(got.Findings) != len(want.Findings) || got.Corrections != nil {
			t.Errorf("killed at %d, the day is %+v, want %+v", n, got, want)
		}
		b.wantOpen(t, "bill_differs", true, fmt.Sprint("killed at ", n))
	}
}

// Where no run looks at the day again, what a brought bill lacks is an alarm at once.
func TestWhatABroughtBillLacksIsAnAlarmWhereNobodyLooksAgain(t *testing.T) {
	b := bills(clocked(t))
	b.at(t, "2026-11-22 09:00")
	b.must(t, request("R1", 10))
	b.must(t, request("R2", 10))
	b.rows[day22] = billRows("R1")
	file, err := b.bill(refund.BillQuery{Day: day22, Kind: refund.TradeBill})
	if err != nil {
		t.Fatal(err)
	}
	b.up.spec.Bills = nil
	b.at(t, "2026-11-23 11:00")
	report, err := b.ReadBill(t.Context(), refund.BillInput{Caller: refund.Caller{Kind: refund.Operator, Name: "a"}, Day: day22, File: file})
	if err != nil || report.State != refund.BillDiffers || report.OursOnly != 1 {
		t.Errorf("%s, %d ours only, error %v", report.State, report.OursOnly, err)
	}
	b.wantOpen(t, "bill_differs", true, "when the bill was read")
}

// A bill that ends every run that begins with it is told of: the runs themselves cannot.
func TestABillThatEndsEveryRunIsAnAlarm(t *testing.T) {
	b := bills(clocked(t))
	b.settleEarlierDays(t)
	deadly := true
	b.up.bill = func(q refund.BillQuery) (*refund.Bill, error) {
		if deadly && q.Day == day22 {
			panic("out of memory")
		}
		return b.bill(q)
	}
	b.at(t, "2026-11-23 10:00")
	for range 3 {
		b.wantOpen(t, "bill_unread", false, "at first")
		b.reconcile(t)
		b.advance(15 * time.Minute)
	}
	b.wantOpen(t, "bill_unread", true, "after three runs")
	deadly = false
	b.later(t, time.Hour)
	b.wantDay(t, refund.BillAgrees, "", "when it can be read")
	b.wantOpen(t, "bill_unread", false, "when it was read")
}

// What was judged before a process was killed is not judged again, but for the last of it.
func TestAReadingThatIsKilledOnceGoesOnAtTheLineThatItHasReached(t *testing.T) {
	const refunds = 1800
	b := bills(clocked(t))
	b.many(t, refunds)
	whole := b.Ledger
	ctx, cancel := context.WithCancel(t.Context())
	judged := 0
	b.onRow = func(row refund.BillRow) {
		if judged++; judged == 1700 {
			cancel()
		}
	}
	s := &refund.Service{Channel: b.up, Ledger: whole, Merchant: merchant, Now: b.Now, Log: b.Log}
	_, _ = s.Reconcile(ctx)
	b.onRow = nil
	b.wantDay(t, refund.BillReading, "", "when it was cut off")
	var stored struct{ Pass struct{ Line int64 } }
	if err := json.Unmarshal(b.items(t, "bill/"+refund.Key(day22))[0].Body, &stored); err != nil || stored.Pass.Line < 1000 {
		t.Errorf("it has noted line %d, %v", stored.Pass.Line, err)
	}
	b.advance(3 * time.Minute)
	b.reconcile(t)
	if r := b.report(t, day22); r.Equal+r.Differs != refunds-1 || r.Differs != refunds/7 || b.fetches(day22) != 2 {
		t.Errorf("%d equal, %d differ, fetched %d times", r.Equal, r.Differs, b.fetches(day22))
	}
}

// A bill that is issued anew while it is being read is read from its beginning.
func TestABillThatIsAnotherNextTimeIsReadFromTheBeginning(t *testing.T) {
	b := bills(clocked(t))
	b.many(t, 1500)
	ctx, cancel := context.WithCancel(t.Context())
	n := 0
	b.onRow = func(refund.BillRow) {
		if n++; n == 1300 {
			cancel()
		}
	}
	s := &refund.Service{Channel: b.up, Ledger: b.Ledger, Merchant: merchant, Now: b.Now, Log: b.Log}
	_, _ = s.Reconcile(ctx)
	b.onRow = nil
	for i := range b.rows[day22] {
		b.rows[day22][i].Amount = 10
	}
	b.hash[day22] = "sha1:another"
	b.advance(3 * time.Minute)
	b.reconcile(t)
	if r := b.report(t, day22); r.Equal != 1499 || r.Differs != 0 || r.Hash != "sha1:another" || len(r.Findings) != 1 {
		t.Errorf("%d equal, %d differ, %d findings, %s", r.Equal, r.Differs, len(r.Findings), r.Hash)
	}
}

// A run ends when its time is up, and the next one goes on.
func TestAReadingKeepsToTheTimeOfItsRun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := bills(clocked(t))
		b.many(t, 600)
		b.Ledger = &slowLedger{b.Ledger}
		const most = 5 * time.Second
		for run := 1; ; run++ {
			ctx, cancel := context.WithTimeout(t.Context(), most)
			began := time.Now()
			if _, err := b.Reconcile(ctx); err != nil {
				t.Fatal(err)
			}
			cancel()
			if took := time.Since(began); took >= most {
				t.Errorf("run %d took %v", run, took)
			}
			if slices.Contains([]refund.BillState{refund.BillAgrees, refund.BillDiffers, refund.BillWaiting}, b.report(t, day22).State) {
				if run < 2 {
					t.Error("one run was enough: the test proves nothing")
				}
				break
			}
			if run == 20 {
				t.Fatalf("%d runs were not enough: %+v", run, b.report(t, day22))
			}
			b.advance(time.Minute)
		}
		if r := b.report(t, day22); r.Equal+r.Differs != 599 || r.OursOnly != 1 {
			t.Errorf("the report is %+v", r)
		}
	})
}

type slowLedger struct{ refund.Ledger }

func (l *slowLedger) Get(ctx context.Context, keys ...refund.Key) ([]refund.Item, error) {
	if strings.HasPrefix(string(keys[0]), "refund/M") {
		time.Sleep(20 * time.Millisecond)
	}
	return l.Ledger.Get(ctx, keys...)
}

// Of several instances one reads a day, whoever it is.
func TestOneOfSeveralInstancesReadsADay(t *testing.T) {
	b := bills(clocked(t))
	b.many(t, 300)
	var wg sync.WaitGroup
	read := make([]int, 4)
	for i := range read {
		wg.Go(func() {
			s := &refund.Service{Channel: b.up, Ledger: b.Ledger, Merchant: merchant, Now: b.Now, Log: b.Log}
			summary, _ := s.Reconcile(t.Context())
			read[i] = summary.Bills
		})
	}
	wg.Wait()
	b.advance(3 * time.Minute)
	b.reconcile(t)
	if got := b.fetches(day22); got != 1 || b.report(t, day22).Equal+b.report(t, day22).Differs != 299 {
		t.Errorf("the bill was fetched %d times: %+v", got, b.report(t, day22))
	}
}

// What a clock that ran ahead has written keeps nobody from reading.
func TestTimesInTheFutureKeepNoBillFromBeingRead(t *testing.T) {
	b := bills(clocked(t))
	b.must(t, request("R1", 10))
	b.rows[day22] = billRows("R1")
	b.write(t, refund.Item{Key: "bill/state", Body: []byte(`{"lease":"2027-03-01T00:00:00Z","through":"2027-02-01","first":"2027-02-01T00:00:00Z",` +
		`"none_before":"2027-02-01T00:00:00Z","tasks":[{"day":"2027-01-30"},{"day":"2026-11-22","at":"2027-02-01T00:00:00Z"}]}`)})
	b.at(t, "2026-11-23 10:00")
	b.reconcile(t)
	b.wantDay(t, refund.BillAgrees, "equal 1, differs 0, ours 0, theirs 0; fen 10 10", "with a state of the future")
	b.at(t, "2026-11-24 10:00")
	if b.reconcile(t); b.report(t, "2026-11-23").State != refund.BillAgrees {
		t.Error("the next day was not read")
	}
}

// What earlier claims there were decides whom is told of old refunds, so that it is right:
// the first claim is found among many refunds that were not made here.
func TestTheFirstClaimIsFoundAndKept(t *testing.T) {
	for _, externals := range []int{0, 1, 700} {
		b := bills(clocked(t))
		at := time.Date(2026, 9, 1, 0, 0, 0, 0, time.UTC)
		var items []refund.Item
		put := func(no string, external bool, at time.Time) {
			items = append(items, refund.Item{Key: refund.Key("refund/" + no), Class: "success", At: at, Body: fmt.Appendf(nil,
				`{"state":"success","foreign":%v,"request":{"out_refund_no":%q},"claimed_at":%q,"history":[{"at":%[3]q,"what":"success"}]}`, external, no, at.Format(time.RFC3339))})
		}
		for i := range externals {
			put(fmt.Sprint("E", i), true, at.Add(time.Duration(i/300)*time.Hour))
		}
		first := at.Add(30 * 24 * time.Hour)
		put("OURS2", false, first.Add(time.Hour))
		put("OURS1", false, first)
		put("LATER", true, first.Add(2*time.Hour))
		for chunk := range slices.Chunk(items, 50) {
			b.write(t, chunk...)
		}
		b.at(t, "2026-11-23 10:00")
		b.reconcile(t)
		var state struct{ First time.Time }
		if err := json.Unmarshal(b.items(t, "bill/state")[0].Body, &state); err != nil || !state.First.Equal(first) {
			t.Errorf("%d externals: the first claim was at %v, %v; want %v", externals, state.First, err, first)
		}
	}
}

// Whoever reads a bill at once is admitted, asks for a day that has ended, and is alone.
// Before bills are issued, an upstream that has none has said nothing of the day: whoever
// asks so early keeps nobody from asking again.
func TestADayIsNotEmptyBeforeItsBillIsIssued(t *testing.T) {
	b := bills(clocked(t))
	b.settleEarlierDays(t)
	b.at(t, "2026-11-23 08:00")
	in := refund.BillInput{Caller: refund.Caller{Kind: refund.Operator, Name: "me"}, Day: day22}
	if r, err := b.ReadBill(t.Context(), in); err != nil || r.State != refund.BillUnavailable || r.Why == "" {
		t.Errorf("without a bill at eight: %+v, %v", r, err)
	}
	b.rows[day22] = []refund.BillRow{billRow(2, "H1", 10)}
	b.at(t, "2026-11-23 10:00")
	b.reconcile(t)
	b.wantDay(t, refund.BillAgrees, "equal 0, differs 0, ours 0, theirs 1; fen 10 10", "at ten")
}

func TestReadBillRefusesWhatCannotBe(t *testing.T) {
	b := bills(clocked(t))
	b.at(t, "2026-11-23 10:30")
	file := func(rows ...refund.BillRow) *refund.Bill {
		return &refund.Bill{Hash: "sha1:f", Rows: int64(len(rows)), Refunds: seq(rows)}
	}
	other := billRow(2, "R1", 10)
	other.AcceptedAt = time.Date(2026, 11, 21, 15, 59, 59, 0, time.UTC)
	tests := map[string]struct {
		in   refund.BillInput
		code refund.Code
		says string
	}{
		"nobody":      {refund.BillInput{Day: day22}, refund.CodeDenied, ""},
		"today":       {refund.BillInput{Caller: server, Day: "2026-11-23"}, refund.CodeInvalid, "2026-11-23 has not ended"},
		"tomorrow":    {refund.BillInput{Caller: server, Day: "2026-11-24"}, refund.CodeInvalid, "2026-11-24 is in the future"},
		"no day":      {refund.BillInput{Caller: server, Day: "2026-13-24"}, refund.CodeInvalid, "2026-13-24"},
		"another day": {refund.BillInput{Caller: server, Day: day22, File: file(other)}, refund.CodeInvalid, "line 2 of the file is of 2026-11-21"},
		"another bill": {refund.BillInput{Caller: server, Day: day22, File: &refund.Bill{Query: refund.BillQuery{Day: "2026-11-20", Kind: refund.TradeBill}}},
			refund.CodeInvalid, "2026-11-20"},
	}
	for name, test := range tests {
		_, err := b.ReadBill(t.Context(), test.in)
		if !refund.IsCode(err, test.code) || !strings.Contains(fmt.Sprint(err), test.says) {
			t.Errorf("%s: %v, want %s %q", name, err, test.code, test.says)
		}
	}
	state := func(lease time.Duration) refund.Item {
		it := b.items(t, "bill/state")[0]
		it.Body = fmt.Appendf(nil, `{"lease":%q}`, b.Now().Add(lease).Format(time.RFC3339))
		return it
	}
	in := refund.BillInput{Caller: refund.Caller{Kind: refund.Operator, Name: "me"}, Day: day22}
	b.write(t, state(time.Minute))
	if _, err := b.ReadBill(t.Context(), in); !refund.IsCode(err, refund.CodeConflict) {
		t.Errorf("while another one reads: %v", err)
	}
	b.write(t, state(-time.Minute))
	whole, once := b.Ledger, false
	b.Ledger = &hindered{whole, func() error {
		if once {
			return nil
		}
		once = true
		it := b.items(t, "bill/state")[0]
		return whole.Commit(t.Context(), it)
	}}
	if _, err := b.ReadBill(t.Context(), in); !refund.IsCode(err, refund.CodeConflict) {
		t.Errorf("when another one was faster: %v", err)
	}
	b.Ledger = whole
	r, err := b.ReadBill(t.Context(), in)
	if err != nil || r.State != refund.BillAgrees || r.By != "operator me" {
		t.Errorf("when its lease has ended: %+v, %v", r, err)
	}
	user := refund.Caller{Kind: refund.User, OpenID: "oUpF8uMuAJO_M2pxb1Q9zNjWeS6o"}
	b.Policy.Operators = []string{user.OpenID}
	r, err = b.ReadBill(t.Context(), refund.BillInput{Caller: user, Day: day22})
	if err != nil || r.By != "user oU****6o" || strings.Contains(string(b.items(t, "bill/"+refund.Key(day22))[0].Body), user.OpenID) {
		t.Errorf("a report, which is kept for ever, names a user: %q, %v", r.By, err)
	}
	b.up.spec.Bills = nil
	if _, err := b.ReadBill(t.Context(), in); !refund.IsCode(err, refund.CodeInvalid) {
		t.Errorf("of a channel without bills: %v", err)
	}
	in.File = file(billRow(2, "R9", 10))
	if r, err = b.ReadBill(t.Context(), in); err != nil || r.TheirsOnly != 1 || !r.File {
		t.Errorf("a file where the channel has none: %+v, %v", r, err)
	}
	reports, err := b.BillReports(t.Context(), "2026-11-21", day22)
	if err != nil || len(reports) != 2 || reports[1].State != refund.BillUnavailable || reports[1].Why == "" || reports[0].State == refund.BillUnavailable {
		t.Errorf("reports of a channel without bills: %+v, %v", reports, err)
	}
}

func seq(rows []refund.BillRow) iter.Seq2[refund.BillRow, error] {
	return func(yield func(refund.BillRow, error) bool) {
		for _, row := range rows {
			if !yield(row, nil) {
				return
			}
		}
	}
}

// A day's corrections stay: the first of all, and the newest thirty.
func TestCorrectionsAreKeptTheFirstAndTheNewest(t *testing.T) {
	b := bills(clocked(t))
	b.at(t, "2026-11-23 10:00")
	for i := range 40 {
		if _, err := b.ReadBill(t.Context(), refund.BillInput{Caller: server, Day: day22, Why: fmt.Sprint("reading ", i)}); err != nil {
			t.Fatal(err)
		}
	}
	c := b.report(t, day22).Corrections
	if len(c) != 31 || c[0].Why != "reading 1" || c[1].Why != "reading 10" || c[30].Why != "reading 39" || len(c[30].Before.Corrections) > 0 {
		t.Errorf("%d corrections, %+v", len(c), c)
	}
	// A reading in vain takes nothing away.
	b.fails[day22] = upstreamError(refund.CodeRejected, "NO_AUTH")
	r, err := b.ReadBill(t.Context(), refund.BillInput{Caller: server, Day: day22})
	if err != nil || r.State != refund.BillUnavailable || b.report(t, day22).State != refund.BillAgrees {
		t.Errorf("%+v, %v; the day is %s", r, err, b.report(t, day22).State)
	}
}

// An item of a day that cannot be read is left as it is, and keeps to its day.
func TestADayThatCannotBeReadFromTheLedgerIsLeftAsItIs(t *testing.T) {
	b := bills(clocked(t))
	b.settleEarlierDays(t)
	b.write(t, refund.Item{Key: "bill/" + refund.Key(day22), Body: []byte(`{"report":7}`)})
	b.at(t, "2026-11-24 10:00")
	if got := b.reconcile(t); got.Bills != 1 {
		t.Errorf("%d other days were read, want the 23rd", got.Bills)
	}
	if it := b.items(t, "bill/"+refund.Key(day22))[0]; string(it.Body) != `{"report":7}` {
		t.Errorf("it is now %s", it.Body)
	}
	b.wantDay(t, refund.BillUnreadable, "", "whose item cannot be read")
	b.wantOpen(t, "item_unreadable", true, "whose item cannot be read")
	var found []string
	if _, err := b.Verify(t.Context(), refund.VerifyInput{Found: func(f refund.Finding) { found = append(found, f.Code+" "+string(f.Item)) }}); err != nil {
		t.Fatal(err)
	}
	wantEqual(t, "findings", []string{"item_unreadable bill/2026-11-22"}, found)
}

// Verify knows the items of bills, and what none can be.
func TestVerifyKnowsReportsOfBills(t *testing.T) {
	b := bills(clocked(t))
	b.many(t, 30)
	b.reconcile(t)
	now := b.Now()
	good := b.items(t, "bill/"+refund.Key(day22), "bill/state")
	all := map[refund.Key]refund.Item{good[0].Key: good[0], good[1].Key: good[1]}
	if found := refund.VerifyItems(now, 50, all); len(found) > 0 {
		t.Errorf("of what was written: %+v", found)
	}
	for _, change := range [][2]string{{`"date":"2026-11-22"`, `"date":"2026-11-21"`}, {`"equal":`, `"equal":-`}, {`"ours_only":1`, `"ours_only":-1`}, {`"state":"differs"`, `"state":"odd"`}} {
		it := good[0]
		if it.Body = []byte(strings.Replace(string(it.Body), change[0], change[1], 1)); string(it.Body) == string(good[0].Body) {
			t.Fatalf("%s is not in %s", change[0], it.Body)
		}
		if found := refund.VerifyItems(now, 50, map[refund.Key]refund.Item{it.Key: it}); len(found) != 1 {
			t.Errorf("%s: %d findings", change[1], len(found))
		}
	}
	odd := refund.Item{Key: "bill/someday", Version: 1, Body: []byte(`{}`)}
	if found := refund.VerifyItems(now, 50, map[refund.Key]refund.Item{odd.Key: odd}); len(found) != 1 {
		t.Errorf("a day that is none: %+v", found)
	}
}

// An instance that froze while it read wakes when another one has done it, and changes
// nothing any more.
func TestAnInstanceThatFrozeLosesItsLease(t *testing.T) {
	b := bills(clocked(t))
	b.many(t, 250)
	frozen, wake, done := make(chan bool), make(chan bool), make(chan bool)
	n := 0
	b.onRow = func(refund.BillRow) {
		if n++; n == 150 {
			close(frozen)
			<-wake
		}
	}
	s := &refund.Service{Channel: b.up, Ledger: b.Ledger, Merchant: merchant, Now: b.Now, Log: b.Log}
	go func() {
		defer close(done)
		if summary, err := s.Reconcile(t.Context()); err != nil || summary.Bills > 1 { // the 23rd, before
			t.Errorf("the one that froze: %+v, %v", summary, err)
		}
	}()
	<-frozen
	b.mu.Lock()
	b.onRow = nil
	b.mu.Unlock()
	if b.reconcile(t); b.report(t, day22).State != refund.BillUnread && b.report(t, day22).State != refund.BillReading {
		t.Error("another instance has read the bill while the lease was held")
	}
	b.later(t, 4*time.Minute)
	want := b.report(t, day22)
	if want.State != refund.BillDiffers || want.Equal+want.Differs != 249 {
		t.Errorf("when the lease had ended: %+v", want)
	}
	close(wake)
	<-done
	wantEqual(t, "report", inFull(t, want), inFull(t, b.report(t, day22)))
}

// The currency in which there are most refunds is the report's own.
func TestTheCurrencyWithMostRefundsLeads(t *testing.T) {
	b := bills(clocked(t))
	rows := billRows("R1", "R2", "R3", "R4", "R5", "R6")
	rows[0].Currency, rows[2].Currency, rows[5].Currency = "USD", "JPY", "JPY"
	rows[0].Amount = 7
	for i := range rows {
		rows[i].OutTradeNo, rows[i].TransactionID = fmt.Sprint("O", i), fmt.Sprint("T-O", i)
	}
	b.rows[day22] = rows
	b.at(t, "2026-11-23 10:00")
	b.reconcile(t)
	r := b.report(t, day22)
	got := fmt.Sprint(r.Currency, r.TheirsOnly, r.Fen.Bill)
	for _, o := range r.Other {
		got += fmt.Sprint(" ", o.Currency, o.TheirsOnly, o.Fen.Bill)
	}
	wantEqual(t, "currencies", "CNY3 30 JPY2 20 USD1 7", got)
}

// What is held in memory of a large day is a few numbers a row, whatever the ledger holds.
func TestALargeDayIsReadInLittleMemory(t *testing.T) {
	refunds := 50_000 / fewer(5)
	b := bills(clocked(t))
	b.settleEarlierDays(t)
	no := func(i int) string { return fmt.Sprintf("L%06d", i) }
	for i := 0; i < refunds; i += 50 {
		var items []refund.Item
		for j := i; j < i+50; j++ {
			at := b.Now().Add(time.Duration(j) * 100 * time.Millisecond)
			items = append(items, refund.Item{Key: refund.Key("refund/" + no(j)), Class: "success", At: at, Body: fmt.Appendf(nil,
				`{"state":"success","request":{"out_refund_no":%q,"out_trade_no":%q,"amount":{"refund":10,"total":100,"currency":"CNY"}},`+
					`"refund":{"refund_id":"5000%[1]s","out_refund_no":%[1]q,"out_trade_no":%[2]q,"status":"SUCCESS","create_time":"2026-11-22T20:00:00+08:00","amount":{"refund":10,"total":100,"currency":"CNY"}},`+
					`"order":"order/out_trade_no/O%[1]s","held":10,"counted":true,"moves":2,"claimed_at":%[3]q,"history":[{"at":%[3]q,"what":"success"}]}`,
				no(j), "O"+no(j), at.UTC().Format(time.RFC3339Nano))},
				refund.Item{Key: refund.Key("refund_id/5000" + no(j)), Body: fmt.Appendf(nil, "%q", no(j))})
		}
		b.write(t, items...)
	}
	var most, before uint64
	heap := func() uint64 {
		var m runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&m)
		return m.HeapAlloc
	}
	b.up.bill = func(q refund.BillQuery) (*refund.Bill, error) {
		if q.Day != day22 {
			return &refund.Bill{Query: q, Empty: true}, nil
		}
		return &refund.Bill{Query: q, Hash: "sha1:large", Rows: int64(refunds), Refunds: func(yield func(refund.BillRow, error) bool) {
			for i := range refunds - 3 {
				if i%10_000 == 9_999 {
					most = max(most, heap())
				}
				row := billRow(int64(i+2), no(i), 10)
				row.OutTradeNo, row.TransactionID = "O"+no(i), ""
				if !yield(row, nil) {
					return
				}
			}
		}}, nil
	}
	reads := &countedReads{Ledger: b.Ledger}
	b.Ledger = reads
	b.at(t, "2026-11-24 10:00")
	before = heap()
	for range 10 {
		b.later(t, time.Minute)
	}
	r := b.report(t, day22)
	if n := int64(refunds); r.Equal != n-3 || r.OursOnly != 3 || r.Fen.Bill != 10*(n-3) || r.Fen.Ledger != 10*n {
		t.Errorf("the report is %+v", r)
	}
	if grown := int64(most) - int64(before); grown > 16<<20 {
		t.Errorf("%d MB are held beside what there was", grown>>20)
	}
	if reads.gets > refunds/25 {
		t.Errorf("the ledger was read %d times", reads.gets)
	}
}

// countedReads counts reads of the ledger, and what is written.
type countedReads struct {
	refund.Ledger
	gets int
}

func (l *countedReads) Get(ctx context.Context, keys ...refund.Key) ([]refund.Item, error) {
	l.gets++
	return l.Ledger.Get(ctx, keys...)
}

// A refund whose day of acceptance nobody tells, since it lies between a claim before
// midnight and an answer after it, is in order in the bill of either day, and missed in
// neither.
func TestARefundAtMidnightIsInOrderInEitherDaysBill(t *testing.T) {
	tests := map[string]struct {
		claimed string        // by our clock, which may be a little off
		takes   time.Duration // until it is answered
		in      refund.Day    // which bill has it; "": none
		first   refund.BillState
		second  refund.BillState
	}{
		"before, in the first":       {"2026-11-22 23:59", 50 * time.Second, day22, refund.BillAgrees, refund.BillAgrees},
		"before, in the second":      {"2026-11-22 23:59", 50 * time.Second, "2026-11-23", refund.BillWaiting, refund.BillAgrees},
		"before, in none":            {"2026-11-22 23:59", 50 * time.Second, "", refund.BillWaiting, refund.BillDiffers},
		"across, in the first":       {"2026-11-22 23:59", 70 * time.Second, day22, refund.BillAgrees, refund.BillAgrees},
		"across, in the second":      {"2026-11-22 23:59", 70 * time.Second, "2026-11-23", refund.BillWaiting, refund.BillAgrees},
		"across, in none":            {"2026-11-22 23:59", 70 * time.Second, "", refund.BillWaiting, refund.BillDiffers},
		"just after, in the first":   {"2026-11-23 00:00", time.Second, day22, refund.BillAgrees, refund.BillAgrees},
		"just after, in the second":  {"2026-11-23 00:00", time.Second, "2026-11-23", refund.BillWaiting, refund.BillAgrees},
		"after, not the first day's": {"2026-11-23 00:01", time.Second, "2026-11-23", refund.BillAgrees, refund.BillAgrees},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			b := bills(clocked(t))
			b.settleEarlierDays(t)
			b.up.named = func(r *refund.Refund) { r.CreateTime = "" } // as v2 does
			b.up.after = func(refund.Request) error { b.advance(test.takes); return nil }
			b.at(t, test.claimed)
			b.must(t, request("R1", 10))
			if test.in != "" {
				b.rows[test.in] = billRows("R1")
			}
			b.at(t, "2026-11-23 10:00")
			b.reconcile(t)
			b.wantDay(t, test.first, "", "on the 23rd")
			b.at(t, "2026-11-24 10:00")
			b.reconcile(t)
			b.wantDay(t, test.second, "", "on the 24th")
			if got := b.report(t, "2026-11-23"); got.State != refund.BillAgrees {
				t.Errorf("the 23rd is %s: %+v", got.State, got.Findings)
			}
		})
	}
}

// What was not accepted, or was closed, is missed in no bill.
func TestWhatHasNotLeftTheMerchantIsMissedInNoBill(t *testing.T) {
	b := bills(clocked(t))
	b.settleEarlierDays(t)
	b.must(t, request("R1", 10))
	b.settle(t, notification("R1", 10, refund.StatusClosed))
	b.up.before = noAnswer
	b.refused(t, request("R2", 10), refund.CodeUnavailable, refund.SameNumber)
	b.up.before = refusal(refund.CodeRejected, refund.AfterFix, "PARAM_ERROR")
	req := request("R3", 10)
	req.OutTradeNo = "O3"
	b.refused(t, req, refund.CodeRejected, refund.AfterFix)
	b.at(t, "2026-11-23 10:00")
	b.reconcile(t)
	b.wantDay(t, refund.BillAgrees, "equal 0, differs 0, ours 0, theirs 0; fen 0 0", "without rows")
}

// The next day's bill is waited for as long as it may come, and no longer.
func TestTheNextDaysBillIsNotWaitedForForEver(t *testing.T) {
	for name, fails := range map[string]error{"refused": upstreamError(refund.CodeRejected, "NO_AUTH"), "creating": upstreamError(refund.CodeUnavailable, "STATEMENT_CREATING")} {
		b := bills(clocked(t))
		b.settleEarlierDays(t)
		b.must(t, request("R1", 10))
		b.fails["2026-11-23"] = fails
		b.at(t, "2026-11-23 10:00")
		b.reconcile(t)
		b.at(t, "2026-11-24 10:00")
		b.reconcile(t)
		want := map[string]refund.BillState{"refused": refund.BillDiffers, "creating": refund.BillWaiting}[name]
		b.wantDay(t, want, "", name)
		for range 8 {
			b.later(t, 6*time.Hour)
		}
		b.later(t, time.Minute)
		b.wantDay(t, refund.BillDiffers, "", name+" for days")
		if n := len(b.report(t, day22).Corrections); n != 1 {
			t.Errorf("%s: %d corrections, want the one of waiting", name, n)
		}
	}
}

// Bills are not what a run is for: whatever goes wrong with them, it says nothing of it.
func TestNothingAboutBillsFailsARun(t *testing.T) {
	b := bills(clocked(t))
	b.settleEarlierDays(t)
	b.at(t, "2026-11-23 10:00")
	b.up.bill = func(refund.BillQuery) (*refund.Bill, error) { panic("a defect") }
	b.reconcile(t)
	if b.alarms("panic") != 1 {
		t.Errorf("a panic was no alarm:\n%s", b.log)
	}
	b.up.bill = b.bill
	whole := b.Ledger
	b.Ledger = &noBills{whole}
	b.later(t, 15*time.Minute)
	if !strings.Contains(b.log.String(), "bill not read") {
		t.Error("it was not logged")
	}
	b.Ledger = whole
	b.later(t, 15*time.Minute)
	b.wantDay(t, refund.BillAgrees, "", "in the end")
	// A defect with one day keeps no other from being read.
	b.up.bill = func(q refund.BillQuery) (*refund.Bill, error) {
		if q.Day == "2026-11-24" {
			panic("a defect")
		}
		return b.bill(q)
	}
	b.at(t, "2026-11-25 10:00")
	for range 12 {
		b.later(t, 5*time.Minute)
	}
	if got := b.report(t, "2026-11-23").State; got != refund.BillAgrees {
		t.Errorf("the 23rd is %s while the 24th is a defect", got)
	}
}

type noBills struct{ refund.Ledger }

func (l *noBills) Get(ctx context.Context, keys ...refund.Key) ([]refund.Item, error) {
	if strings.HasPrefix(string(keys[0]), "bill/") {
		return nil, context.DeadlineExceeded
	}
	return l.Ledger.Get(ctx, keys...)
}

// A run that ends while a bill comes says nothing of the bill: the next one asks again at once.
func TestABillThatComesWhenTheRunEndsIsAskedForInTheNext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := bills(clocked(t))
		b.settleEarlierDays(t)
		b.must(t, request("R1", 10))
		b.rows[day22] = billRows("R1")
		b.at(t, "2026-11-23 10:00")
		ctx, cancel := context.WithTimeout(t.Context(), 600*time.Millisecond)
		defer cancel()
		b.up.bill = func(refund.BillQuery) (*refund.Bill, error) {
			time.Sleep(400 * time.Millisecond)
			return nil, upstreamError(refund.CodeUnavailable, "")
		}
		if _, err := b.Reconcile(ctx); err != nil {
			t.Fatal(err)
		}
		b.up.bill = b.bill
		if r := b.report(t, day22); r.State == refund.BillUnavailable {
			t.Errorf("the day is %s: %s", r.State, r.Why)
		}
		b.later(t, time.Minute)
		b.wantDay(t, refund.BillAgrees, "equal 1, differs 0, ours 0, theirs 0; fen 10 10", "a minute later")
	})
}

// A day agrees only if its money has moved as its refunds say; that may be on the next day.
// A bill of money that cannot be had makes no day differ.
func TestADayAgreesWhenItsMoneyHasMoved(t *testing.T) {
	tests := map[string]struct {
		booked        refund.Day // "": on no day
		fen           int64
		fails         error
		first, second refund.BillState
		funds         refund.BillState
	}{
		"on the day":     {day22, 10, nil, refund.BillAgrees, refund.BillAgrees, refund.BillAgrees},
		"on the next":    {"2026-11-23", 10, nil, refund.BillWaiting, refund.BillAgrees, refund.BillAgrees},
		"never":          {"", 10, nil, refund.BillWaiting, refund.BillDiffers, refund.BillDiffers},
		"another amount": {day22, 11, nil, refund.BillDiffers, refund.BillDiffers, refund.BillDiffers},
		"not permitted":  {day22, 10, upstreamError(refund.CodeRejected, "NO_AUTH"), refund.BillAgrees, refund.BillAgrees, refund.BillUnavailable},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			b := bills(clocked(t))
			b.up.spec.Bills, b.up.spec.BillAccounts = []refund.BillKind{refund.TradeBill, refund.FundsBill}, []string{"BASIC"}
			b.up.bill = func(q refund.BillQuery) (*refund.Bill, error) {
				switch {
				case q.Kind == refund.TradeBill:
					return b.bill(q)
				case test.fails != nil:
					return nil, test.fails
				case q.Day != test.booked:
					return &refund.Bill{Query: q, Empty: true}, nil
				}
				return &refund.Bill{Query: q, Hash: "sha1:funds", Rows: 1, Movements: func(yield func(refund.Movement, error) bool) {
					yield(refund.Movement{Line: 2, At: q.Day.Start(), RefundID: "5000R1", FlowID: "F1", Amount: test.fen, By: "system"}, nil)
				}}, nil
			}
			b.settleEarlierDays(t)
			b.must(t, request("R1", 10))
			b.rows[day22] = billRows("R1")
			b.at(t, "2026-11-23 10:00")
			b.reconcile(t)
			b.wantDay(t, test.first, "equal 1, differs 0, ours 0, theirs 0; fen 10 10", "on the 23rd")
			b.at(t, "2026-11-24 10:00")
			b.reconcile(t)
			b.wantDay(t, test.second, "equal 1, differs 0, ours 0, theirs 0; fen 10 10", "on the 24th")
			b.wantOpen(t, "bill_differs", test.second == refund.BillDiffers, "on the 24th")
			if r := b.report(t, day22); r.Funds == nil || r.Funds.State != test.funds {
				t.Errorf("the money is %+v, want %s", r.Funds, test.funds)
			}
			if got := b.report(t, "2026-11-23").State; got != refund.BillAgrees {
				t.Errorf("the 23rd is %s", got)
			}
		})
	}
}
