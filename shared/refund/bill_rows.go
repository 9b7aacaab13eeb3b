package refund

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"slices"
	"time"
)

const (
	// maxCurrencies bounds the currencies that a day is counted in, and maxCurrency the
	// length of the code of one.
	maxCurrencies, maxCurrency = 32, 8
	// rowsAtOnce is how many rows' refunds are read from the ledger at a time: two items each.
	rowsAtOnce = 50
	// maxByOthers bounds the refunds not made here that a judge remembers for the funds bill.
	maxByOthers = 10_000
)

// What a [BillFinding] is, but for those of a funds bill.
const (
	rowDiffers    = "differs"
	rowOursOnly   = "ours_only"
	rowTheirsOnly = "theirs_only"
	rowToAsk      = "to_ask"
)

// A billJudge holds the rows of one day's bill against the ledger. It is for one
// goroutine.
type billJudge struct {
	s          *Service
	day        Day
	firstClaim time.Time // of the ledger; zero: it has none
	file       bool      // a person brought the bill
	report     *BillReport
	by         actor

	byOthers map[string]struct{} // refund_ids of refunds that were not made here
}

// judge takes up rows, at most 100 of them: it settles what they say of refunds that the
// ledger does not have so, and adds to the report. The same rows again change nothing and
// count the same. A row that cannot be taken up is a finding; the error is that the ledger
// has not answered, or that ctx has ended.
func (j *billJudge) judge(ctx context.Context, rows []BillRow) error {
	for chunk := range slices.Chunk(rows, rowsAtOnce) {
		if err := j.chunk(ctx, chunk); err != nil {
			return err
		}
	}
	return nil
}

func (j *billJudge) chunk(ctx context.Context, rows []BillRow) error {
	var keys []Key
	for _, row := range rows {
		if row.anothers(j.s.Merchant) || !isNumber(row.OutRefundNo) || !isNumber(row.RefundID) {
			continue
		}
		for _, k := range []Key{refundKey(row.OutRefundNo), refundIDKey(row.RefundID)} {
			if !slices.Contains(keys, k) {
				keys = append(keys, k)
			}
		}
	}
	items := map[Key]Item{}
	if len(keys) > 0 {
		read, err := j.s.Ledger.Get(ctx, keys...)
		if err != nil {
			return ledgerError(err)
		}
		for _, it := range read {
			items[it.Key] = it
		}
	}
	for _, row := range rows {
		if err := j.row(ctx, row, items); err != nil {
			return err
		}
	}
	return nil
}

// unfit says why a row cannot be in the ledger, "" if it can.
func (j *billJudge) unfit(row BillRow) string {
	switch {
	case row.Elsewhere(j.s.Merchant):
		return "the row is about another merchant"
	case row.Amount < 1 || row.Amount > maxMoney:
		return "the row's amount is none that a refund can have"
	case row.TransactionID == "" && row.OutTradeNo == "":
		return "the row names no order"
	case row.RefundID == "":
		return "the row has no refund_id"
	case len(row.Currency) > maxCurrency || !isNumber(row.Currency) || !j.report.has(row.Currency) && len(j.report.Other) >= maxCurrencies:
		return "the row's currency is none, or one more than any bill has"
	}
	for _, n := range []string{row.TransactionID, row.OutTradeNo, row.RefundID} {
		if !isNumber(n) {
			return "a number of the row is longer than any of WeChat Pay's, or has other characters"
		}
	}
	if err := j.s.Channel.Spec().Number("out_refund_no", row.OutRefundNo); err != nil {
		return AsError(err).Message
	}
	return ""
}

// row judges one row. items are those of the batch, as they were read.
func (j *billJudge) row(ctx context.Context, row BillRow, items map[Key]Item) error {
	day, why := j.report, j.unfit(row)
	if why == "" {
		day = j.report.in(row.Currency)
	}
	money := max(0, min(row.Amount, maxMoney))
	if row.anothers(j.s.Merchant) {
		day.Skipped++
		addFen(&day.Fen.Skipped, money)
		return nil
	}
	addFen(&day.Fen.Bill, money)
	if why != "" {
		j.differs(day, row, 0, why)
		return nil
	}
	var owner string
	if decode(items[refundIDKey(row.RefundID)], &owner) != nil {
		j.differs(day, row, 0, "the ledger's item of this refund_id cannot be read")
		return nil
	}
	if owner != "" && owner != row.OutRefundNo {
		why := "refund_id belongs to another refund number in the ledger: " + printable(owner, maxNumber)
		j.differs(day, row, 0, why)
		j.s.raise(ctx, owner, alarmTwoOrders, "a bill has the refund_id of this refund under another refund number: "+row.OutRefundNo)
		return ctx.Err()
	}
	var rec record
	if err := decode(items[refundKey(row.OutRefundNo)], &rec); err != nil {
		j.differs(day, row, 0, "the ledger's item of this refund cannot be read")
		return nil
	}
	if !rec.holds(row, owner) || j.asks(&rec, row) && !rec.queryDueNow(j.s.now()) {
		before := rec
		st, now, err := j.settle(ctx, row)
		switch {
		case err == nil:
		case ctx.Err() != nil:
			return timeIsUp(ctx.Err())
		case errors.Is(err, errUnreadable):
			j.differs(day, row, 0, AsError(err).Message)
			return nil
		case errors.Is(err, errDamaged):
			j.differs(day, row, 0, "the ledger's item of this refund's order cannot be read")
			return nil
		default:
			return err
		}
		if rec = *now; st.contradicts {
			j.differs(day, row, rec.expected().Amount.Refund, rec.whyContradicted())
			return nil
		}
		if before.State == unknown || rec.NumberTaken && !before.NumberTaken {
			j.report.taken++
		}
		// A later row of the batch meets what this one has brought, as it would in the next batch.
		for _, it := range []Item{item(refundKey(row.OutRefundNo), 1, rec, time.Time{}), item(refundIDKey(row.RefundID), 1, row.OutRefundNo, time.Time{})} {
			items[it.Key] = it
		}
	}
	j.count(day, row, &rec)
	return nil
}

// count adds a row to the report whose refund the ledger has now.
func (j *billJudge) count(day *BillReport, row BillRow, rec *record) {
	addFen(&day.Fen.Ledger, rec.expected().Amount.Refund)
	switch {
	case rec.external() && rec.firstByBill():
		day.TheirsOnly++
		addFen(&day.Fen.TheirsOnly, row.Amount)
		says := "made on the merchant platform or by another system, and taken over from the bill"
		if rec.NumberTaken {
			says = "another refund has this number, and counts on its own order"
		}
		if rec.Silent {
			day.Silent++
			says += "; subscribers are not told"
		}
		j.report.find(finding(rowTheirsOnly, row, row.Amount, says))
	default:
		day.Equal++
		addFen(&day.Fen.Equal, row.Amount)
	}
	if rec.external() && len(j.byOthers) < maxByOthers {
		if j.byOthers == nil {
			j.byOthers = map[string]struct{}{}
		}
		j.byOthers[row.RefundID] = struct{}{}
	}
	if !j.asks(rec, row) {
		return
	}
	day.ToAsk++
	addFen(&day.Fen.ToAsk, row.Amount)
	if rec.endsOtherwise(row.Status) {
		j.report.find(finding(rowToAsk, row, row.Amount, fmt.Sprintf("%s in the bill and %s on record: the upstream is asked", row.Status, rec.status())))
	}
}

// asks reports whether the upstream is asked about the state of a refund that a row shows.
func (j *billJudge) asks(rec *record, row BillRow) bool {
	return !rec.atRest() || rec.endsOtherwise(row.Status)
}

// holds reports whether the ledger has all that a row says, so that nothing is to be
// settled. owner is the refund that the row's refund_id leads to.
func (r *record) holds(row BillRow, owner string) bool {
	if r.State == unknown || !r.NumberTaken && (r.State == Claimed || r.State == Rejected) || owner == "" {
		return false
	}
	has := r.Refund.RefundID == row.RefundID &&
		(row.TransactionID == "" || r.Refund.TransactionID == row.TransactionID) &&
		(row.OutTradeNo == "" || r.Refund.OutTradeNo == row.OutTradeNo)
	return has && mismatch(r.expected(), row.outcome().Refund) == ""
}

// settle applies a row to the ledger. rec is the record then.
func (j *billJudge) settle(ctx context.Context, row BillRow) (st Settlement, rec *record, err error) {
	out := row.outcome()
	out.by, out.bill.file, out.bill.silent = j.by, j.file, j.silent(row)
	keys := append(orderKeys(row.TransactionID, row.OutTradeNo), refundIDKey(row.RefundID))
	err = j.s.update(ctx, row.OutRefundNo, keys, func(tx *txn, now time.Time) (err error) {
		if st, err = tx.settle(out, j.s.Merchant, j.s.subscriberNames(), now); err != nil {
			return err
		}
		tx.closeCauses()
		tx.askAboutRow(out, st, now)
		rec = &tx.rec
		tx.logArgs = []any{"source", out.Source, "state", st.State, "bill", j.day, "line", row.Line}
		crash("settle.before")
		return nil
	})
	if err != nil {
		return st, nil, err
	}
	crash("settle.after")
	if st.Changed {
		j.s.log(ctx, slog.LevelInfo, "settled", row.OutRefundNo, "state", st.State, "source", out.Source)
	}
	return st, rec, nil
}

// silent reports whether subscribers are not told of a refund that the ledger does not
// know: it is another program's, or was accepted before this one has refunded at all. When
// a row does not say when that was, the whole day counts.
func (j *billJudge) silent(row BillRow) bool {
	if row.AppID != "" && len(j.s.AppIDs) > 0 && !slices.Contains(j.s.AppIDs, row.AppID) {
		return true
	}
	if j.firstClaim.IsZero() {
		return true
	}
	if row.AcceptedAt.IsZero() {
		return !j.day.Add(1).Start().After(j.firstClaim)
	}
	return row.AcceptedAt.Before(j.firstClaim.Truncate(time.Second)) // a bill has whole seconds
}

// whyContradicted is what the record has kept of the last contradiction.
func (r *record) whyContradicted() string {
	for _, e := range slices.Backward(r.History) {
		if e.What == "contradiction" {
			return e.Note
		}
	}
	return ""
}

// differs counts a row that the ledger has otherwise, or cannot have.
func (j *billJudge) differs(day *BillReport, row BillRow, inLedger int64, says string) {
	day.Differs++
	addFen(&day.Fen.Differs, max(0, min(row.Amount, maxMoney)))
	addFen(&day.Fen.Ledger, inLedger)
	j.report.find(finding(rowDiffers, row, inLedger, says))
}

func finding(what string, row BillRow, inLedger int64, says string) BillFinding {
	return BillFinding{
		What: what, OutRefundNo: plain(row.OutRefundNo, maxNumber), RefundID: plain(row.RefundID, maxNumber), Order: plain(cmp.Or(row.OutTradeNo, row.TransactionID), maxNumber),
		Line: row.Line, Bill: row.Amount, Ledger: inLedger, Says: shortened(says, maxWhy),
	}
}

// has reports whether the report counts refunds in a currency.
func (r *BillReport) has(currency string) bool {
	return currency == "" || r.Currency == currency || slices.ContainsFunc(r.Other, func(o BillReport) bool { return o.Currency == currency })
}

// addFen adds money to a sum that cannot overflow.
func addFen(sum *int64, more int64) {
	if more > math.MaxInt64-*sum {
		*sum = math.MaxInt64
		return
	}
	*sum += more
}
