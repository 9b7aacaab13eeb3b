package refund

import "time"

// A billRow is what an outcome knows of the row of a bill that it comes from.
type billRow struct {
	status Status // as the row shows it: of the moment at which the bill was issued
	file   bool   // a person brought the bill
	silent bool   // subscribers are not told of the refund, if it is new here
}

// outcome is what a row says: that the refund exists, and its amount. Its status is no
// proof of anything, so that the refund is processing until the upstream has been asked.
// Of the order's total a row says nothing.
func (row BillRow) outcome() Outcome {
	r := Refund{
		RefundID: row.RefundID, OutRefundNo: row.OutRefundNo,
		TransactionID: row.TransactionID, OutTradeNo: row.OutTradeNo, Status: StatusProcessing,
		Amount: Amount{Refund: row.Amount, Currency: row.Currency},
	}
	if !row.AcceptedAt.IsZero() {
		r.CreateTime = row.AcceptedAt.In(china()).Format(time.RFC3339)
	}
	return Outcome{Source: FromBill, OutRefundNo: row.OutRefundNo, Refund: r, bill: &billRow{status: row.Status}}
}

// contradictedByRow says why a row cannot be about what the upstream has accepted under
// the number, "" if it can. Whose refund it is that a row shows under a claim in doubt, or
// a refused one, [txn.settleNumberTaken] judges. An order number that only the caller has
// named is not held against the row.
func (r *record) contradictedByRow(row Refund) string {
	if !r.NumberTaken && (r.State == Claimed || r.State == Rejected) {
		return ""
	}
	expected := r.expected()
	field := mismatch(expected, row)
	if (field == "transaction_id" || field == "out_trade_no") && expected.matches(row) {
		field = mismatch(Request{TransactionID: r.Refund.TransactionID, OutTradeNo: r.Refund.OutTradeNo, Amount: expected.Amount}, row)
	}
	if field == "" && differ(r.Refund.RefundID, row.RefundID) {
		field = "refund_id"
	}
	if field == "" {
		return ""
	}
	return "the bill's " + field + " differs from what is on record"
}

// status is what the upstream has said of the refund that counts under the number, "" if
// nothing.
func (r *record) status() Status {
	switch {
	case r.NumberTaken:
		return r.Refund.Status
	case r.State == Success:
		return StatusSuccess
	case r.State == Closed:
		return StatusClosed
	}
	return ""
}

// endsOtherwise reports whether a status ends the refund in another way than it has ended.
func (r *record) endsOtherwise(s Status) bool {
	known := r.status()
	return known == StatusSuccess && s == StatusClosed || known == StatusClosed && s == StatusSuccess
}

// askAboutRow has the upstream asked soon about a refund whose state a row leaves open, or
// contradicts.
func (tx *txn) askAboutRow(out Outcome, st Settlement, now time.Time) {
	if st.contradicts || tx.rec.endsOtherwise(out.bill.status) {
		tx.doubt()
	}
	tx.askSoon(now)
}

// doubt has the upstream asked about a refund that is at rest.
func (tx *txn) doubt() {
	if tx.rec.atRest() {
		tx.rec.Doubted, tx.rec.Queries = true, 0
	}
}

// askSoon makes the next query due now, unless there is none or a submission may be
// running.
func (tx *txn) askSoon(now time.Time) {
	if tx.rec.atRest() || tx.rec.running(now) {
		return
	}
	if tx.rec.QueryAt.IsZero() || tx.rec.QueryAt.After(now) {
		tx.rec.QueryAt = now
	}
	tx.keepQueryAt = true
}

// firstByBill reports whether it was a bill from which it became known here that there is
// an external refund under the number.
func (r *record) firstByBill() bool {
	if r.External {
		return len(r.History) > 0 && r.History[0].Source == FromBill
	}
	taken := false
	for _, e := range r.History {
		if e.What == "taken" {
			taken = e.Source == FromBill
		}
	}
	return r.NumberTaken && taken
}
