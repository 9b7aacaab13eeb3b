package refund_test

import (
	"context"
	"fmt"
	"iter"
	"testing"
	"time"

	"wxrefund/shared/refund"
)

// tradeBill is a bill of rows.
func tradeBill(rows ...refund.BillRow) *refund.Bill {
	return &refund.Bill{
		Query: refund.BillQuery{Day: billDay, Kind: refund.TradeBill}, Rows: int64(len(rows)), Hash: "sha1:00",
		Refunds: func(yield func(refund.BillRow, error) bool) {
			for _, r := range rows {
				if !yield(r, nil) {
					return
				}
			}
		},
	}
}

func movementsOf(list []refund.Movement) iter.Seq2[refund.Movement, error] {
	return func(yield func(refund.Movement, error) bool) {
		for _, m := range list {
			if !yield(m, nil) {
				return
			}
		}
	}
}

// moved is money of a refund that has left the merchant.
func moved(no string, fen int64, by string) refund.Movement {
	return refund.Movement{
		Line: 2, At: time.Date(2026, 11, 22, 3, 0, 0, 0, time.UTC), RefundID: "5000" + no, FlowID: "F" + no, Amount: fen, By: by,
	}
}

func back(no string, fen int64) refund.Movement {
	m := moved(no, fen, "system")
	m.Closure = true
	return m
}

// A money is the funds bills of a day and of the next: by day and account, what moved, or
// why it cannot be told. What is in neither is not issued.
type money struct {
	moved  map[string][]refund.Movement
	errs   map[string]error
	open   int
	opened []string
}

const (
	today    = "2026-11-22 BASIC"
	tomorrow = "2026-11-23 BASIC"
)

func (m *money) bill(q refund.BillQuery) (*refund.Bill, error) {
	k := string(q.Day) + " " + q.Account
	m.opened = append(m.opened, k)
	if err := m.errs[k]; err != nil {
		return nil, err
	}
	list, ok := m.moved[k]
	if !ok {
		return nil, &refund.Error{Code: refund.CodeUnavailable, Next: refund.Later, Message: "not issued"}
	}
	m.open++
	return &refund.Bill{Query: q, Empty: len(list) == 0, Movements: movementsOf(list), Close: func() error { m.open--; return nil }}, nil
}

func (f *fixture) proved(t *testing.T, report *refund.BillReport, m *money, rows ...refund.BillRow) refund.FundsReport {
	t.Helper()
	*report = refund.BillReport{Date: billDay}
	if f.up.spec.BillAccounts == nil {
		f.up.spec.BillAccounts = []string{"BASIC"}
	}
	if err := f.JudgeFunds(t.Context(), billDay, report, tradeBill(rows...), m.bill); err != nil {
		t.Fatal(err)
	}
	if m.open != 0 {
		t.Errorf("%d bills are left open", m.open)
	}
	if report.Funds == nil {
		t.Fatal("no report")
	}
	return *report.Funds
}

// What left the merchant is what the day's refunds say, or the difference has a name.
func TestFundsProveTheMoneyOfEachRefund(t *testing.T) {
	coupon := row("R1", 60, refund.StatusSuccess)
	coupon.Refunded = 50
	none := row("R1", 60, refund.StatusSuccess)
	none.Refunded = 0
	for name, c := range map[string]struct {
		row      refund.BillRow
		moved    map[string][]refund.Movement
		want     refund.FundsReport
		findings int // about money
	}{
		"proved": {row("R1", 60, "SUCCESS"), map[string][]refund.Movement{today: {moved("R1", 60, "system")}},
			refund.FundsReport{State: refund.BillAgrees, Proved: 1, OutFen: 60}, 0},
		"without what a coupon bore": {coupon, map[string][]refund.Movement{today: {moved("R1", 50, "system")}},
			refund.FundsReport{State: refund.BillAgrees, Proved: 1, OutFen: 50}, 0},
		"nothing but a coupon": {none, map[string][]refund.Movement{today: {}},
			refund.FundsReport{State: refund.BillAgrees, Proved: 1}, 0},
		"in two parts": {row("R1", 60, "SUCCESS"), map[string][]refund.Movement{today: {moved("R1", 20, "system"), moved("R1", 40, "system")}},
			refund.FundsReport{State: refund.BillAgrees, Proved: 1, OutFen: 60}, 0},
		"booked on the next day": {row("R1", 60, "SUCCESS"), map[string][]refund.Movement{today: {}, tomorrow: {moved("R1", 60, "system"), moved("R8", 1, "system"), back("R9", 7)}},
			refund.FundsReport{State: refund.BillAgrees, Proved: 1, OutFen: 60}, 0},
		"not yet": {row("R1", 60, "SUCCESS"), map[string][]refund.Movement{today: {}},
			refund.FundsReport{State: refund.BillWaiting, Why: "what has not moved may be in the next day's bill"}, 0},
		"never": {row("R1", 60, "SUCCESS"), map[string][]refund.Movement{today: {}, tomorrow: {}},
			refund.FundsReport{State: refund.BillDiffers, Missing: 1}, 1},
		"too little": {row("R1", 60, "SUCCESS"), map[string][]refund.Movement{today: {moved("R1", 59, "system")}, tomorrow: {}},
			refund.FundsReport{State: refund.BillDiffers, Differs: 1, OutFen: 59}, 1},
		"too much": {row("R1", 60, "SUCCESS"), map[string][]refund.Movement{today: {moved("R1", 61, "system")}},
			refund.FundsReport{State: refund.BillDiffers, Differs: 1, OutFen: 61}, 1},
		"by hand": {row("R1", 60, "SUCCESS"), map[string][]refund.Movement{today: {moved("R1", 60, "1900000109@boss")}},
			refund.FundsReport{State: refund.BillAgrees, Proved: 1, ByHand: 1, OutFen: 60}, 0},
		"closed": {row("R1", 60, "SUCCESS"), map[string][]refund.Movement{today: {moved("R1", 60, "system"), back("R1", 60)}},
			refund.FundsReport{State: refund.BillAgrees, Proved: 1, Closed: 1, OutFen: 60, BackFen: 60}, 0},
	} {
		t.Run(name, func(t *testing.T) {
			f := clocked(t)
			f.must(t, request("R1", 60))
			var report refund.BillReport
			for range 2 { // the second time says the same
				got := f.proved(t, &report, &money{moved: c.moved}, c.row)
				wantEqual(t, "report", c.want, got)
				if n := len(report.Findings); n != c.findings {
					t.Errorf("%d findings: %+v", n, report.Findings)
				}
			}
			f.sound(t)
		})
	}
}

// Without the permission for an account's bill nothing is compared, and the report says why.
func TestFundsThatCannotBeReadSayWhy(t *testing.T) {
	for name, c := range map[string]struct {
		err   error
		state refund.BillState
	}{
		"refused":    {&refund.Error{Code: refund.CodeDenied, Next: refund.AfterFix, Upstream: "NO_AUTH", Message: "no permission"}, refund.BillUnavailable},
		"unreadable": {fmt.Errorf("line 3: %w", refund.ErrBillUnreadable), refund.BillUnreadable},
		"not issued": {&refund.Error{Code: refund.CodeUnavailable, Next: refund.Later, Message: "being made"}, refund.BillWaiting},
	} {
		f := clocked(t)
		f.up.spec.BillAccounts = []string{"BASIC", "OPERATION"}
		m := &money{moved: map[string][]refund.Movement{today: {moved("R1", 9, "x")}}, errs: map[string]error{"2026-11-22 OPERATION": c.err}}
		var report refund.BillReport
		got := f.proved(t, &report, m, row("R1", 60, refund.StatusSuccess))
		if got.State != c.state || got.Why == "" || got.OutFen+got.Missing+got.ByHand != 0 {
			t.Errorf("%s: %+v", name, got)
		}
	}
}

// Who has moved a refund's money by hand is in its history, once.
func TestFundsNameWhoHasMovedMoneyByHand(t *testing.T) {
	f := clocked(t)
	f.must(t, request("R1", 20))
	rows := []refund.BillRow{row("R1", 20, refund.StatusSuccess), row("H1", 30, refund.StatusSuccess), row("H2", 30, refund.StatusSuccess)}
	m := &money{moved: map[string][]refund.Movement{today: {moved("R1", 20, "system"), moved("H1", 30, "1900000109@boss"), moved("H2", 30, "system")}}}
	var report refund.BillReport
	for range 3 {
		f.proved(t, &report, m, rows...)
	}
	for no, want := range map[string][]string{
		"R1": nil,
		"H1": {"1900000109@boss: 0.30 CNY left BASIC at 2026-11-22 11:00:00"},
		"H2": {"system: 0.30 CNY left BASIC at 2026-11-22 11:00:00"},
	} {
		var got []string
		for _, e := range f.inspect(t, no).History {
			if e.What == "booked" {
				got = append(got, e.By+": "+e.Note)
			}
		}
		wantEqual(t, no, want, got)
	}
	f.sound(t)
}

// Money that came back is asked about, unless the ledger knows of the closure.
func TestFundsHaveClosuresAskedAbout(t *testing.T) {
	f := clocked(t)
	f.must(t, request("R1", 60))
	f.up.set("R1", refund.StatusSuccess)
	f.query(t, "R1")
	f.up.set("R1", refund.StatusClosed)
	var report refund.BillReport
	m := &money{moved: map[string][]refund.Movement{today: {back("R1", 60)}, tomorrow: {}}}
	got := f.proved(t, &report, m)
	if got.State != refund.BillAgrees || got.Closed != 1 || got.BackFen != 60 {
		t.Errorf("%+v", got)
	}
	f.reconcile(t)
	f.wantState(t, "R1", refund.Closed, "after the closure was asked about")
	asked := f.up.count("query:R1")
	f.proved(t, &report, m)
	f.reconcile(t)
	f.wantCalls(t, "query:R1", asked, "since it is known")
	f.sound(t)
}

// What the ledger cannot read any more keeps nobody from proving the rest.
func TestFundsOfAnUnreadableRefundKeepToThemselves(t *testing.T) {
	f := clocked(t)
	f.must(t, request("R1", 60))
	var report refund.BillReport
	m := &money{moved: map[string][]refund.Movement{today: {moved("H1", 30, "1900000109@boss"), back("R1", 60)}}}
	f.proved(t, &report, m, row("H1", 30, refund.StatusSuccess))
	for _, k := range []refund.Key{"refund/R1", "refund/H1"} {
		it := f.items(t, k)[0]
		it.Body = []byte("{")
		f.write(t, it)
	}
	if got := f.proved(t, &report, m, row("H1", 30, refund.StatusSuccess)); got.State != refund.BillAgrees || got.Proved != 1 || got.Closed != 1 {
		t.Errorf("%+v", got)
	}
}

// Money of a refund that nobody knows is a finding, once the day before was read too.
func TestFundsFindMoneyOfUnknownRefunds(t *testing.T) {
	for _, known := range []bool{false, true} {
		f := clocked(t)
		if known {
			f.write(t, refund.Item{Key: "bill/2026-11-21", Body: []byte(`{"report":{"date":"2026-11-21","state":"agrees"}}`)})
		}
		f.settle(t, notification("R1", 60, refund.StatusSuccess)) // of the day before
		var report refund.BillReport
		got := f.proved(t, &report, &money{moved: map[string][]refund.Movement{today: {moved("R1", 60, "system"), moved("X\n退", 7, "x")}}})
		want := refund.FundsReport{State: refund.BillAgrees}
		if known {
			want = refund.FundsReport{State: refund.BillDiffers, Unknown: 1}
		}
		wantEqual(t, "report", want, got)
	}
}

// million is a trade bill of n refunds, and the bill of their money.
func million(n int) (trade, funds *refund.Bill) {
	id := func(i int) string { return fmt.Sprintf("503027099920240709919%08d", i) }
	return &refund.Bill{Rows: int64(n), Refunds: func(yield func(refund.BillRow, error) bool) {
			for i := range n {
				if !yield(refund.BillRow{RefundID: id(i), Amount: 100, Refunded: 100}, nil) {
					return
				}
			}
		}}, &refund.Bill{Rows: int64(n), Movements: func(yield func(refund.Movement, error) bool) {
			for i := range n {
				if !yield(refund.Movement{RefundID: id(i * 7919 % n), Amount: 100, By: "system"}, nil) {
					return
				}
			}
		}}
}

func BenchmarkFundsOfAMillionRefunds(b *testing.B) {
	const n = 1_000_000
	trade, funds := million(n)
	up := newUpstream()
	up.spec.BillAccounts = []string{"BASIC"}
	s := &refund.Service{Channel: up, Ledger: emptyLedger{}, Merchant: merchant}
	open := func(refund.BillQuery) (*refund.Bill, error) { c := *funds; return &c, nil }
	for b.Loop() {
		report := refund.BillReport{Date: billDay, Equal: n}
		if err := s.ProveFunds(b.Context(), billDay, &report, trade, open); err != nil || report.Funds.Proved != n {
			b.Fatal(err, report.Funds)
		}
	}
}

// emptyLedger holds nothing, and takes no time.
type emptyLedger struct{ refund.Ledger }

func (emptyLedger) Get(_ context.Context, keys ...refund.Key) ([]refund.Item, error) {
	items := make([]refund.Item, len(keys))
	for i, k := range keys {
		items[i].Key = k
	}
	return items, nil
}
