package refund_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"wxrefund/shared/ledger"
	"wxrefund/shared/refund"
)

const billDay = refund.Day("2026-11-22")

// longAgo is before whatever a test's bills are of.
func longAgo() time.Time { return time.Date(2020, 1, 1, 0, 0, 0, 0, time.UTC) }

// row is what the bill has of a refund of order O1, as [upstream] makes them.
func row(no string, fen int64, status refund.Status) refund.BillRow {
	return refund.BillRow{
		Line: 2, MchID: merchant.MchID, AppID: "wx1", TransactionID: "T-O1", OutTradeNo: "O1", RefundID: "5000" + no, OutRefundNo: no,
		AcceptedAt: time.Date(2026, 11, 22, 2, 0, 0, 0, time.UTC), Amount: fen, Refunded: fen, Currency: "CNY", Status: status,
	}
}

// judged holds rows against the ledger, of a bill that the upstream has issued.
func (f *fixture) judged(t *testing.T, rows ...refund.BillRow) refund.BillReport {
	t.Helper()
	return f.judgedAs(t, longAgo(), false, rows...)
}

func (f *fixture) judgedAs(t *testing.T, firstClaim time.Time, file bool, rows ...refund.BillRow) refund.BillReport {
	t.Helper()
	report := refund.BillReport{Date: billDay}
	if err := f.JudgeRows(t.Context(), billDay, firstClaim, file, &report, rows...); err != nil {
		t.Fatal(err)
	}
	return report
}

// byHand has the upstream accept a refund of order O1 that was not made here, of which
// nobody hears.
func (f *fixture) byHand(no string, fen int64, status refund.Status) {
	f.up.mu.Lock()
	defer f.up.mu.Unlock()
	f.up.refunds[no] = refund.Refund{
		RefundID: "5000" + no, OutRefundNo: no, TransactionID: "T-O1", OutTradeNo: "O1", Status: status,
		Amount: refund.Amount{Total: 100, Refund: fen, Currency: "CNY"},
	}
}

// sound checks that the ledger is.
func (f *fixture) sound(t *testing.T) {
	t.Helper()
	if found, _ := f.verify(t); len(found) > 0 {
		t.Errorf("the ledger is not sound: %v", found)
	}
}

// counts is a report in short: what is not zero.
func counts(r refund.BillReport) string {
	var s []string
	for _, c := range []struct {
		name string
		n    int64
	}{{"equal", r.Equal}, {"differs", r.Differs}, {"theirs", r.TheirsOnly}, {"ask", r.ToAsk}, {"silent", r.Silent}, {"skipped", r.Skipped}} {
		if c.n != 0 {
			s = append(s, fmt.Sprint(c.name, " ", c.n))
		}
	}
	return strings.Join(s, ", ")
}

// states are the ways in which a refund R1 of 60 fen of order O1 can stand in the ledger
// when a bill comes.
func states() map[string]func(t *testing.T, f *fixture) {
	settled := func(status refund.Status) func(t *testing.T, f *fixture) {
		return func(t *testing.T, f *fixture) {
			f.must(t, request("R1", 60))
			f.up.set("R1", status)
			f.query(t, "R1")
		}
	}
	unheard := func(t *testing.T, f *fixture) {
		f.up.before = noAnswer
		f.refused(t, request("R1", 60), refund.CodeUnavailable, refund.SameNumber)
		f.up.before = nil
	}
	return map[string]func(t *testing.T, f *fixture){
		"unknown":    func(*testing.T, *fixture) {},
		"claimed":    unheard,
		"processing": func(t *testing.T, f *fixture) { f.must(t, request("R1", 60)) },
		"abnormal":   settled(refund.StatusAbnormal),
		"success":    settled(refund.StatusSuccess),
		"closed":     settled(refund.StatusClosed),
		"rejected": func(t *testing.T, f *fixture) {
			f.up.before = refusal(refund.CodeRejected, refund.AfterFix, "PARAM_ERROR")
			f.refused(t, request("R1", 60), refund.CodeRejected, refund.AfterFix)
			f.up.before = nil
			f.advance(time.Hour)
			f.reconcile(t) // and the upstream has said that it holds nothing
		},
		"released": func(t *testing.T, f *fixture) {
			unheard(t, f)
			f.up.before = noAnswer
			f.wait(t, 40*time.Hour)
			f.up.before = nil
			f.wantState(t, "R1", refund.Rejected, "after the doubt has ended")
		},
		"external": func(t *testing.T, f *fixture) { f.settle(t, notification("R1", 60, refund.StatusSuccess)) },
		"taken": func(t *testing.T, f *fixture) {
			r := request("R1", 30)
			r.OutTradeNo = "O7"
			f.up.before = noAnswer
			f.refused(t, r, refund.CodeUnavailable, refund.SameNumber)
			f.up.before = nil
			f.byHand("R1", 60, refund.StatusSuccess)
			f.advance(time.Hour)
			f.reconcile(t)
		},
	}
}

// Whatever the ledger holds of a refund, a row proves that it exists, and its amount, and
// overturns nothing that was accepted.
func TestARowProvesExistenceAndAmount(t *testing.T) {
	agrees := func(status refund.Status) func() refund.BillRow {
		return func() refund.BillRow { return row("R1", 60, status) }
	}
	amount := func() refund.BillRow { return row("R1", 70, refund.StatusSuccess) }
	order := func() refund.BillRow {
		r := row("R1", 60, refund.StatusSuccess)
		r.TransactionID, r.OutTradeNo, r.RefundID = "T-O2", "O2", "5000other"
		return r
	}
	for _, c := range []struct {
		state string
		row   func() refund.BillRow
		file  bool
		want  string
		after refund.State
		held  int64
		alarm string // that it raises
		asked bool   // whether the upstream is asked at the next run
	}{
		{state: "unknown", row: agrees("SUCCESS"), want: "theirs 1, ask 1", after: refund.Processing, held: 60, asked: true},
		{state: "unknown", row: agrees("CLOSED"), want: "theirs 1, ask 1", after: refund.Processing, held: 60, asked: true},
		{state: "unknown", row: agrees(""), want: "theirs 1, ask 1", after: refund.Processing, held: 60, asked: true},
		{state: "unknown", row: agrees("SUCCESS"), file: true, want: "theirs 1, ask 1", after: refund.Processing, held: 60, asked: true},

		{state: "claimed", row: agrees("SUCCESS"), want: "equal 1, ask 1", after: refund.Processing, held: 60, asked: true},
		{state: "claimed", row: agrees("PROCESSING"), file: true, want: "equal 1, ask 1", after: refund.Processing, held: 60, asked: true},
		{state: "claimed", row: amount, want: "theirs 1, ask 1", after: refund.Rejected, held: 70, alarm: "number_taken", asked: true},
		{state: "claimed", row: order, want: "theirs 1, ask 1", after: refund.Rejected, held: 60, alarm: "number_taken", asked: true},
		{state: "claimed", row: amount, file: true, want: "differs 1", after: refund.Claimed, held: 60, alarm: "contradiction", asked: true},
		{state: "claimed", row: order, file: true, want: "differs 1", after: refund.Claimed, held: 60, alarm: "contradiction", asked: true},

		{state: "processing", row: agrees("PROCESSING"), want: "equal 1, ask 1", after: refund.Processing, held: 60, asked: true},
		{state: "processing", row: agrees("SUCCESS"), want: "equal 1, ask 1", after: refund.Processing, held: 60, asked: true},
		{state: "processing", row: amount, want: "differs 1", after: refund.Processing, held: 60, alarm: "contradiction", asked: true},
		{state: "processing", row: order, want: "differs 1", after: refund.Processing, held: 60, alarm: "contradiction", asked: true},

		{state: "abnormal", row: agrees("PROCESSING"), want: "equal 1, ask 1", after: refund.Abnormal, held: 60, asked: true},
		{state: "abnormal", row: amount, want: "differs 1", after: refund.Abnormal, held: 60, alarm: "contradiction", asked: true},

		{state: "success", row: agrees("PROCESSING"), want: "equal 1", after: refund.Success, held: 60},
		{state: "success", row: agrees("SUCCESS"), want: "equal 1", after: refund.Success, held: 60},
		{state: "success", row: agrees(""), want: "equal 1", after: refund.Success, held: 60},
		{state: "success", row: agrees("CLOSED"), want: "equal 1, ask 1", after: refund.Success, held: 60, asked: true},
		{state: "success", row: amount, want: "differs 1", after: refund.Success, held: 60, alarm: "contradiction", asked: true},
		{state: "success", row: order, file: true, want: "differs 1", after: refund.Success, held: 60, alarm: "contradiction", asked: true},

		{state: "closed", row: agrees("PROCESSING"), want: "equal 1", after: refund.Closed},
		{state: "closed", row: agrees("CLOSED"), want: "equal 1", after: refund.Closed},
		{state: "closed", row: agrees("SUCCESS"), want: "equal 1, ask 1", after: refund.Closed, asked: true},
		{state: "closed", row: amount, want: "differs 1", after: refund.Closed, alarm: "contradiction", asked: true},

		{state: "rejected", row: agrees("SUCCESS"), want: "equal 1, ask 1", after: refund.Processing, held: 60, alarm: "reversed", asked: true},
		{state: "rejected", row: amount, want: "theirs 1, ask 1", after: refund.Rejected, held: 70, alarm: "number_taken", asked: true},
		{state: "rejected", row: order, want: "theirs 1, ask 1", after: refund.Rejected, held: 60, alarm: "number_taken", asked: true},
		{state: "rejected", row: order, file: true, want: "differs 1", after: refund.Rejected, alarm: "contradiction", asked: true},

		{state: "released", row: agrees("SUCCESS"), want: "equal 1, ask 1", after: refund.Processing, held: 60, alarm: "reversed", asked: true},
		{state: "released", row: order, want: "theirs 1, ask 1", after: refund.Rejected, held: 60, alarm: "number_taken", asked: true},

		{state: "external", row: agrees("SUCCESS"), want: "equal 1", after: refund.Success, held: 60},
		{state: "external", row: amount, want: "differs 1", after: refund.Success, held: 60, alarm: "contradiction", asked: true},

		{state: "taken", row: agrees("SUCCESS"), want: "equal 1", after: refund.Rejected, held: 60},
		{state: "taken", row: amount, want: "differs 1", after: refund.Rejected, held: 60, alarm: "contradiction", asked: true},
	} {
		t.Run(fmt.Sprintf("%s %s %d file %v", c.state, c.row().Status, c.row().Amount, c.file), func(t *testing.T) {
			t.Parallel()
			f := clocked(t)
			states()[c.state](t, f)
			f.reconcile(t)
			contradictions, asked := f.alarms(""), f.up.count("query:R1")
			for range 2 { // the second time changes nothing, and counts the same
				report := f.judgedAs(t, longAgo(), c.file, c.row())
				if got := counts(report); got != c.want {
					t.Errorf("%s, want %s: %+v", got, c.want, report.Findings)
				}
				in := f.inspect(t, "R1")
				if in.State != c.after || in.Held != c.held {
					t.Errorf("%s, %d held, want %s, %d", in.State, in.Held, c.after, c.held)
				}
				if fen := report.Fen; fen.Bill != c.row().Amount || fen.Equal+fen.Differs+fen.TheirsOnly != fen.Bill {
					t.Errorf("fen %+v", fen)
				}
				f.sound(t)
			}
			if got := f.alarms("") - contradictions; got != min(1, len(c.alarm)) || c.alarm != "" && f.alarms(c.alarm) == 0 {
				t.Errorf("%d alarms, want %q:\n%s", got, c.alarm, f.log)
			}
			f.reconcile(t)
			if got := f.up.count("query:R1") > asked; got != c.asked {
				t.Errorf("asked: %v, want %v", got, c.asked)
			}
			f.sound(t)
		})
	}
}

// A refund by hand of which nobody has told counts against its order once the bill was
// read: what would exceed the order with it is refused before the upstream is called.
func TestARefundByHandCountsOnceTheBillWasRead(t *testing.T) {
	f := clocked(t)
	told := f.subscribe("shop")
	f.must(t, request("R1", 10))
	f.byHand("H1", 60, refund.StatusSuccess)
	f.judged(t, row("R1", 10, refund.StatusProcessing), row("H1", 60, refund.StatusSuccess))
	calls := f.up.total()
	f.advance(time.Hour)
	f.refused(t, request("R2", 31), refund.CodeConflict, refund.Never)
	if n := f.up.total(); n != calls {
		t.Errorf("the upstream was called %d times", n-calls)
	}
	f.reconcile(t)
	wantEqual(t, "what subscribers hear", []string{"H1 SUCCESS"}, told.heard())
	if in := f.inspect(t, "H1"); in.State != refund.Success || !in.External || in.Silent || in.Refund.Amount.Total != 100 {
		t.Errorf("%+v", in)
	}
	f.must(t, request("R3", 30))
	f.sound(t)
}

// What the bill shows of before this ledger's first claim, or of another program, enters
// without anybody being told, now and later; a person may have it told all the same.
func TestOldRefundsAndThoseOfOtherProgramsEnterSilently(t *testing.T) {
	first := time.Date(2026, 11, 22, 2, 0, 0, 0, time.UTC)
	late, other, unsaid := row("H2", 5, refund.StatusSuccess), row("H3", 5, refund.StatusSuccess), row("H4", 5, refund.StatusSuccess)
	early := row("H1", 5, refund.StatusSuccess)
	early.AcceptedAt = first.Add(-time.Second)
	other.AppID, unsaid.AppID, unsaid.AcceptedAt = "wx2", "", time.Time{}
	for name, c := range map[string]struct {
		first time.Time
		row   refund.BillRow
		told  []string
	}{
		"before":              {first, early, nil},
		"from then on":        {first, late, []string{"H2 SUCCESS"}},
		"of another program":  {first, other, nil},
		"nothing is said":     {first, unsaid, []string{"H4 SUCCESS"}},
		"on the day before":   {first.Add(24 * time.Hour), unsaid, nil},
		"nobody has refunded": {time.Time{}, late, nil},
	} {
		t.Run(name, func(t *testing.T) {
			f := clocked(t)
			f.AppIDs = []string{"wx1"}
			told := f.subscribe("shop")
			no := c.row.OutRefundNo
			f.byHand(no, 5, refund.StatusSuccess)
			report := f.judgedAs(t, c.first, false, c.row)
			silent := c.told == nil
			if (report.Silent == 1) != silent || f.inspect(t, no).Silent != silent {
				t.Errorf("%+v", report)
			}
			f.reconcile(t)
			f.reconcile(t)
			f.settle(t, refund.Outcome{Source: refund.Notification, OutRefundNo: no, Merchant: merchant, EventID: "E1", Refund: f.up.refunds[no]})
			f.reconcile(t)
			wantEqual(t, "told", c.told, told.heard())
			f.wantState(t, no, refund.Success, "in the end")
			if silent {
				if n, err := f.Redeliver(t.Context(), no, "", "operator me"); n != 1 || err != nil {
					t.Errorf("redelivered: %d, %v", n, err)
				}
				f.reconcile(t)
				wantEqual(t, "told by a person", []string{no + " SUCCESS"}, told.heard())
			}
			f.sound(t)
		})
	}
}

// The amount of a refund that the bill shows and that was closed is free again when the
// upstream has said so.
func TestAClosedRefundOfABillGivesItsAmountBack(t *testing.T) {
	f := clocked(t)
	f.byHand("H1", 60, refund.StatusClosed)
	f.judged(t, row("H1", 60, refund.StatusClosed))
	f.refused(t, request("R1", 50), refund.CodeConflict, refund.Never)
	f.reconcile(t)
	f.wantState(t, "H1", refund.Closed, "after the query")
	f.must(t, request("R1", 50))
	f.sound(t)
}

// A final state that the bill contradicts is asked about; what the upstream says then
// stands, and is asked about no more.
func TestAFinalStateThatABillContradictsIsAskedAbout(t *testing.T) {
	for _, c := range []struct {
		ledger, bill, now refund.Status
		after             refund.State
		reversed          int
	}{
		{"SUCCESS", "CLOSED", "CLOSED", refund.Closed, 1},
		{"SUCCESS", "CLOSED", "SUCCESS", refund.Success, 0},
		{"CLOSED", "SUCCESS", "SUCCESS", refund.Success, 1},
		{"CLOSED", "SUCCESS", "CLOSED", refund.Closed, 0},
	} {
		f := clocked(t)
		f.must(t, request("R1", 60))
		f.up.set("R1", c.ledger)
		f.query(t, "R1")
		f.up.set("R1", c.now)
		f.judged(t, row("R1", 60, c.bill))
		before := f.up.count("query:R1")
		f.later(t, time.Second)
		f.later(t, time.Hour)
		f.wantState(t, "R1", c.after, "after the bill")
		f.wantCalls(t, "query:R1", before+1, "after the bill")
		f.wantAlarms(t, "reversed", c.reversed, "after the bill")
		f.sound(t)
	}
}

// An upstream that does not answer about what a bill contradicts is not asked for ever.
func TestADoubtedRefundIsNotAskedAboutForEver(t *testing.T) {
	f := clocked(t)
	f.must(t, request("R1", 60))
	f.up.set("R1", refund.StatusSuccess)
	f.query(t, "R1")
	f.up.queryErr = noAnswer(refund.Request{})
	f.judged(t, row("R1", 60, refund.StatusClosed))
	before := f.up.count("query:R1")
	f.wait(t, 24*time.Hour)
	f.wantCalls(t, "query:R1", before+20, "within a day")
	f.wait(t, 24*time.Hour)
	f.wantCalls(t, "query:R1", before+20, "on the next one")
	f.sound(t)
}

// A row names its order by both numbers, so that accounts of either are one from then on,
// and never tells the order's total.
func TestARowLearnsThatTwoNumbersAreOneOrders(t *testing.T) {
	f := clocked(t)
	f.up.named = func(r *refund.Refund) { r.OutTradeNo = "" }
	byTransaction := request("R1", 30)
	byTransaction.OutTradeNo, byTransaction.TransactionID = "", "T-O1"
	f.must(t, byTransaction)
	f.up.named = func(r *refund.Refund) { r.TransactionID = "" }
	f.advance(time.Hour)
	f.must(t, request("R2", 30))
	f.judged(t, row("R1", 30, refund.StatusSuccess), row("H1", 30, refund.StatusSuccess))
	f.advance(time.Hour)
	f.refused(t, request("R3", 11), refund.CodeConflict, refund.Never)
	f.must(t, request("R4", 10))
	f.sound(t)
}

// The bill's word stands above our limits: what it has beyond an order's total counts, and
// a person is told.
func TestABillThatExceedsAnOrderAlarms(t *testing.T) {
	f := clocked(t)
	f.must(t, request("R1", 60))
	f.judged(t, row("H1", 50, refund.StatusSuccess))
	f.wantAlarms(t, "order_exceeded", 1, "with 110 of 100")
	var rows []refund.BillRow
	for i := range 60 {
		rows = append(rows, row(fmt.Sprint("H", 100+i), 1, refund.StatusSuccess))
	}
	report := f.judged(t, rows...)
	if report.TheirsOnly != 60 || len(report.Findings) != 50 {
		t.Errorf("%s, %d findings", counts(report), len(report.Findings))
	}
	f.advance(time.Hour)
	f.refused(t, request("R2", 1), refund.CodeConflict, refund.Never)
}

// A refund_id belongs to one number.
func TestARefundIDUnderAnotherNumberDiffers(t *testing.T) {
	f := clocked(t)
	f.must(t, request("R1", 60))
	r := row("R2", 60, refund.StatusSuccess)
	r.RefundID = "5000R1"
	report := f.judged(t, r)
	wantEqual(t, "counts", "differs 1", counts(report))
	f.wantAlarms(t, "two_orders", 1, "about R1")
	f.wantState(t, "R2", "", "since it is the same refund")
	same := row("R1", 60, refund.StatusSuccess)
	same.RefundID = "5000other"
	wantEqual(t, "another refund_id", "differs 1", counts(f.judged(t, same)))
	f.sound(t)
}

// A row that no refund of the ledger can be made of is named, and keeps to itself.
func TestARowThatCannotBeTakenUpIsNamed(t *testing.T) {
	for name, mutate := range map[string]func(r *refund.BillRow){
		"no refund number":    func(r *refund.BillRow) { r.OutRefundNo = "" },
		"a long one":          func(r *refund.BillRow) { r.OutRefundNo = strings.Repeat("x", 65) },
		"odd characters":      func(r *refund.BillRow) { r.OutRefundNo = "退款 1" },
		"a line break":        func(r *refund.BillRow) { r.OutRefundNo = "R1\n" },
		"no refund_id":        func(r *refund.BillRow) { r.RefundID = "" },
		"a long refund_id":    func(r *refund.BillRow) { r.RefundID = strings.Repeat("5", 4096) },
		"no order":            func(r *refund.BillRow) { r.TransactionID, r.OutTradeNo = "", "" },
		"a long order number": func(r *refund.BillRow) { r.OutTradeNo = strings.Repeat("x", 65) },
		"an odd order number": func(r *refund.BillRow) { r.OutTradeNo = "O\x001" },
		"nothing":             func(r *refund.BillRow) { r.Amount = 0 },
		"less than nothing":   func(r *refund.BillRow) { r.Amount = -1 },
		"more than money":     func(r *refund.BillRow) { r.Amount = 1<<63 - 1 },
		"an odd currency":     func(r *refund.BillRow) { r.Currency = "人民币" },
		"another merchant":    func(r *refund.BillRow) { r.MchID = "1" },
	} {
		f := clocked(t)
		bad := row("R1", 60, refund.StatusSuccess)
		mutate(&bad)
		bad.Line = 7
		report := f.judged(t, bad, row("H1", 10, refund.StatusSuccess))
		if counts(report) != "differs 1, theirs 1, ask 1" || report.Findings[0].What != "differs" || report.Findings[0].Line != 7 || report.Findings[0].Says == "" {
			t.Errorf("%s: %s %+v", name, counts(report), report.Findings)
		}
		f.sound(t)
	}
}

// What the ledger cannot read any more is named, and the rest of the bill goes on.
func TestARowAboutAnUnreadableItemIsNamed(t *testing.T) {
	f := clocked(t)
	f.must(t, request("R1", 60))
	f.must(t, refund.Request{OutRefundNo: "R2", OutTradeNo: "O2", Amount: request("R2", 5).Amount})
	for _, k := range []refund.Key{"refund/R1", "refund_id/5000R2"} {
		it := f.items(t, k)[0]
		it.Body = []byte("{")
		f.write(t, it)
	}
	report := f.judged(t, row("R1", 60, refund.StatusSuccess), row("R2", 5, refund.StatusSuccess), row("H1", 10, refund.StatusSuccess))
	wantEqual(t, "counts", "differs 2, theirs 1, ask 1", counts(report))

	account := f.items(t, "order/out_trade_no/O1")[0]
	account.Body = []byte("{")
	f.write(t, account)
	h2, h3 := row("H2", 10, refund.StatusSuccess), row("H3", 10, refund.StatusSuccess)
	h3.TransactionID, h3.OutTradeNo = "T-O3", "O3"
	wantEqual(t, "counts with an account that cannot be read", "differs 1, theirs 1, ask 1", counts(f.judged(t, h2, h3)))
}

// Another sub-merchant's rows are counted and left alone.
func TestRowsOfOtherSubMerchantsAreSkipped(t *testing.T) {
	f := clocked(t)
	f.Merchant = refund.Merchant{MchID: merchant.MchID, SubMchID: "190001"}
	other, ours := row("H1", 10, refund.StatusSuccess), row("H2", 20, refund.StatusSuccess)
	other.SubMchID, ours.SubMchID = "190002", "190001"
	report := f.judged(t, other, ours)
	if counts(report) != "theirs 1, ask 1, skipped 1" || report.Fen.Skipped != 10 || report.Fen.Bill != 20 {
		t.Errorf("%s %+v", counts(report), report.Fen)
	}
	f.wantState(t, "H1", "", "it is not ours")
}

// A sub-merchant's own bill has its own number, and a provider's number need not be known.
func TestARowIsHeldAgainstWhoeverTheMerchantIs(t *testing.T) {
	for name, test := range map[string]struct {
		m               refund.Merchant
		mchID, subMchID string
		want            string
	}{
		"a provider's bill":                    {refund.Merchant{MchID: "100", SubMchID: "1900001"}, "100", "1900001", "theirs 1, ask 1"},
		"a sub-merchant's own bill":            {refund.Merchant{MchID: "100", SubMchID: "1900001"}, "1900001", "1900001", "theirs 1, ask 1"},
		"another provider's":                   {refund.Merchant{MchID: "100", SubMchID: "1900001"}, "101", "1900001", "differs 1"},
		"of a provider whose number is unsaid": {refund.Merchant{SubMchID: "1900001"}, "101", "1900001", "theirs 1, ask 1"},
		"its other sub-merchant's":             {refund.Merchant{SubMchID: "1900001"}, "101", "1900002", "skipped 1"},
		"another merchant's":                   {refund.Merchant{SubMchID: "1900001"}, "101", "", "differs 1"},
	} {
		f := clocked(t)
		f.Merchant = test.m
		r := row("H1", 10, refund.StatusSuccess)
		r.MchID, r.SubMchID = test.mchID, test.subMchID
		wantEqual(t, name, test.want, counts(f.judged(t, r)))
	}
}

// Each currency is counted by itself, and no bill makes a report grow without bound.
func TestEachCurrencyIsCountedByItself(t *testing.T) {
	f := clocked(t)
	var rows []refund.BillRow
	for i := range 100 {
		r := row(fmt.Sprint("H", i), 10, refund.StatusSuccess)
		r.TransactionID, r.OutTradeNo = fmt.Sprint("T", i), fmt.Sprint("O", i)
		r.Currency = fmt.Sprintf("C%02d", i)
		rows = append(rows, r)
	}
	report := f.judged(t, rows[:3]...)
	if report.Currency != "C00" || report.TheirsOnly != 1 || len(report.Other) != 2 || report.Other[1].Currency != "C02" || report.Other[1].Fen.TheirsOnly != 10 {
		t.Errorf("%+v", report)
	}
	if report = f.judged(t, rows...); len(report.Other) != 32 || report.Differs != 67 {
		t.Errorf("%d currencies, %d differ", len(report.Other), report.Differs)
	}
}

// A large row that nobody believes cannot turn a sum round.
func TestSumsOfABillCannotOverflow(t *testing.T) {
	f := clocked(t)
	var rows []refund.BillRow
	for i := range 2000 {
		r := row(fmt.Sprint("H", i), 1<<62, refund.StatusSuccess)
		rows = append(rows, r)
	}
	if r := f.judged(t, rows...); r.Fen.Bill < 1<<62 || r.Fen.Differs < 1<<62 {
		t.Errorf("%+v", r.Fen)
	}
}

// Equal rows write nothing: only what is to be asked about does.
func TestEqualRowsWriteNothing(t *testing.T) {
	f := clocked(t)
	var rows []refund.BillRow
	for i := range 120 {
		r := request(number(i), 1)
		r.OutTradeNo = fmt.Sprint("O", i)
		f.must(t, r)
		f.up.set(number(i), refund.StatusSuccess)
		f.query(t, number(i))
		b := row(number(i), 1, refund.StatusSuccess)
		b.TransactionID, b.OutTradeNo = "T-"+r.OutTradeNo, r.OutTradeNo
		rows = append(rows, b)
	}
	reads := &readCounter{Ledger: f.Ledger}
	f.Ledger = &hindered{Ledger: reads, before: func() error { t.Error("something was written"); return nil }}
	if report := f.judged(t, rows[:100]...); report.Equal != 100 || report.Fen.Ledger != 100 {
		t.Errorf("%s %+v", counts(report), report.Fen)
	}
	if reads.gets > 2 {
		t.Errorf("%d reads of 100 rows", reads.gets)
	}
}

type readCounter struct {
	refund.Ledger
	gets int
}

func (c *readCounter) Get(ctx context.Context, keys ...refund.Key) ([]refund.Item, error) {
	c.gets++
	return c.Ledger.Get(ctx, keys...)
}

// In whichever order a bill, a notification and a query come, and however often, the
// ledger ends in the same state.
func TestAnyOrderOfBillNotificationAndQueryEndsTheSame(t *testing.T) {
	type act struct {
		name string
		do   func(t *testing.T, f *fixture)
	}
	acts := []act{
		{"bill", func(t *testing.T, f *fixture) { f.judged(t, row("R1", 60, refund.StatusProcessing)) }},
		{"file", func(t *testing.T, f *fixture) { f.judgedAs(t, longAgo(), true, row("R1", 60, refund.StatusClosed)) }},
		{"notification", func(t *testing.T, f *fixture) { f.settle(t, notification("R1", 60, refund.StatusSuccess)) }},
		{"query", func(t *testing.T, f *fixture) { f.query(t, "R1") }},
		{"timer", func(t *testing.T, f *fixture) { f.advance(time.Second); f.reconcile(t) }},
	}
	for _, from := range []string{"unknown", "claimed", "processing", "abnormal", "rejected", "released"} {
		for i := range 5 * 4 * 3 {
			rest, names := slices.Clone(acts), []string(nil)
			var chosen []act
			for k, n := 0, i; k < 3; k++ {
				at := n % len(rest)
				n /= len(rest)
				chosen, names = append(chosen, rest[at]), append(names, rest[at].name)
				rest = slices.Delete(rest, at, at+1)
			}
			t.Run(from+" "+strings.Join(names, " "), func(t *testing.T) {
				t.Parallel()
				f := clocked(t)
				states()[from](t, f)
				f.byHand("R1", 60, refund.StatusSuccess)
				for _, a := range chosen {
					a.do(t, f)
				}
				acts[0].do(t, f) // it comes every time
				f.wait(t, 20*time.Minute)
				in := f.inspect(t, "R1")
				if in.State != refund.Success || in.Held != 60 || in.Refund.RefundID != "5000R1" || in.External != (from == "unknown") {
					t.Errorf("%+v", in)
				}
				f.advance(time.Hour)
				f.refused(t, request("R2", 41), refund.CodeConflict, refund.Never)
				f.sound(t)
			})
		}
	}
}

// No row, whatever it holds, breaks the ledger or the report.
func FuzzRows(f *testing.F) {
	f.Add("R1", "5000R1", "T-O1", "O1", int64(60), "CNY", "SUCCESS", false)
	f.Add("R1", "5000R1", "T-O2", "O2", int64(60), "CNY", "CLOSED", true)
	f.Add("R2", "5000R1", "", "O1", int64(-5), "", "", false)
	f.Add("退款", "\x00", "T-O1\n", "", int64(1)<<62, "元", "REFUND", true)
	f.Fuzz(func(t *testing.T, no, id, transaction, order string, fen int64, currency, status string, file bool) {
		fx := clocked(t)
		fx.must(t, request("R1", 60))
		r := refund.BillRow{Line: 2, RefundID: id, OutRefundNo: no, TransactionID: transaction, OutTradeNo: order, Amount: fen, Currency: currency, Status: refund.Status(status)}
		first := fx.judgedAs(t, longAgo(), file, r)
		second := fx.judgedAs(t, longAgo(), file, r)
		wantEqual(t, "counts of the second time", counts(first), counts(second))
		wantEqual(t, "fen of the second time", first.Fen, second.Fen)
		if first.Equal+first.Differs+first.TheirsOnly != 1 || fx.inspect(t, "R1").State != refund.Processing {
			t.Errorf("%s", counts(first))
		}
		if found, _ := fx.verify(t); slices.ContainsFunc(found, func(s string) bool { return !strings.HasPrefix(s, "order_exceeded") }) {
			t.Errorf("the ledger is not sound: %v", found)
		}
	})
}

// One operation is a batch of 100 rows that are equal to what the ledger has.
func BenchmarkEqualRows(b *testing.B) {
	store, err := ledger.Open(b.Context(), "sqlite::memory:")
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = store.Close() })
	up := newUpstream()
	s := &refund.Service{Channel: up, Ledger: store, Merchant: merchant, Pace: -1}
	var rows []refund.BillRow
	for i := range 100 {
		r := request(number(i), 1)
		r.OutTradeNo = fmt.Sprint("O", i)
		if _, err := s.Refund(b.Context(), server, r); err != nil {
			b.Fatal(err)
		}
		up.set(number(i), refund.StatusSuccess)
		if _, err := s.QueryRefund(b.Context(), server, refund.Lookup{OutRefundNo: number(i)}); err != nil {
			b.Fatal(err)
		}
		bill := row(number(i), 1, refund.StatusSuccess)
		bill.TransactionID, bill.OutTradeNo = "T-"+r.OutTradeNo, r.OutTradeNo
		rows = append(rows, bill)
	}
	b.ReportAllocs()
	for b.Loop() {
		report := refund.BillReport{Date: billDay}
		if err := s.JudgeRows(b.Context(), billDay, longAgo(), false, &report, rows...); err != nil || report.Equal != 100 {
			b.Fatal(err, counts(report))
		}
	}
}

// One refund_id under two numbers counts once, wherever in the bill the rows stand.
func TestOneRefundUnderTwoNumbersOfABillCountsOnce(t *testing.T) {
	f := clocked(t)
	second := row("H2", 60, refund.StatusSuccess)
	second.RefundID, second.Line = "5000H1", 3
	report := f.judged(t, row("H1", 60, refund.StatusSuccess), second)
	wantEqual(t, "counts", "differs 1, theirs 1, ask 1", counts(report))
	f.wantState(t, "H2", "", "since it is the same refund")
	wantEqual(t, "counts of the same rows again", "differs 1, theirs 1, ask 1", counts(f.judged(t, row("H1", 60, refund.StatusSuccess), second)))
	f.sound(t)
}
