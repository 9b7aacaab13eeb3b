package refund

import (
	"cmp"
	"fmt"
	"time"
)

// settleNumberTaken settles what is reported of a refund under our number that is not the
// one that was claimed here: our claim was never accepted and never will be, since
// numbers are unique, and the other refund counts on its own order. done is false
// if the outcome is about ours.
func (tx *txn) settleNumberTaken(out Outcome, to State, now time.Time) (st Settlement, done bool) {
	rec := &tx.rec
	if rec.State == unknown || rec.External {
		return st, false
	}
	if rec.NumberTaken && rec.expected().matches(out.Refund) {
		return tx.followNumberTaken(out, to, now), true
	}
	if content := rec.Request; rec.findContent(out.Refund) {
		if rec.NumberTaken || difference(content, rec.Request) != "" {
			if rec.NumberTaken { // the upstream takes back what it has said of the number
				tx.reserve(0, false)
				rec.NumberTaken, rec.Refund = false, Refund{}
			}
			tx.recount(now)
		}
		return st, false
	}
	takes := out.Source == Query || out.bill != nil && !out.bill.file // what a person brings may be anything
	if !takes || rec.identified() {
		why := "the upstream tells another refund than it has accepted"
		if out.bill != nil {
			why = "a bill that a person has brought shows another refund under this number"
		}
		return tx.keepEvidence(out, why, now), true
	}
	before := rec.State
	tx.reserve(0, false)
	upstream := ""
	if out.refused != nil {
		upstream = out.refused.Upstream
	}
	rec.State, rec.NumberTaken, rec.Refusal = Rejected, true, numberTakenError(upstream, out.Refund)
	rec.Revision++
	rec.Queries, rec.Open, rec.Lease, rec.InterimRefusal, rec.Cancelled = 0, nil, time.Time{}, nil, false
	rec.Refund, rec.Order, rec.SecondOrder, rec.Funds = out.Refund, "", "", nil
	taken := out.entry(now, "taken")
	taken.Note = fmt.Sprintf("%s of %s", amountText(out.Refund.Amount), cmp.Or(out.Refund.OutTradeNo, out.Refund.TransactionID))
	rec.note(taken)
	tx.alarm(alarmTaken, rec.Refusal.Message, now)
	tx.updateOrder(out.Refund, now)
	return Settlement{State: Rejected, Changed: before != Rejected}, true
}

// followNumberTaken settles what becomes known further of the external refund that has
// our number. No event is enqueued: subscribers would believe that it is ours.
func (tx *txn) followNumberTaken(out Outcome, to State, now time.Time) Settlement {
	rec := &tx.rec
	st := Settlement{State: rec.State}
	from, _ := stateOf(rec.Refund.Status)
	fresh := out.Source == Query && out.revision == rec.Revision
	switch v := transition(from, to, fresh); v {
	case contradict:
		return tx.keepEvidence(out, fmt.Sprintf("%s is told of another system's refund on record as %s", out.Refund.Status, from), now)
	case keep:
		fill(&rec.Refund, out.Refund)
	default:
		rec.Refund = renew(rec.Refund, out.Refund)
		if from != to {
			rec.Revision++
			rec.note(out.entry(now, "other "+string(to)))
		}
	}
	tx.updateOrder(out.Refund, now)
	if out.Source == Query {
		tx.closeCauses(upstreamCauses()...)
	}
	return st
}

// recount makes the claim count on the order that its present content names.
func (tx *txn) recount(now time.Time) {
	held, counted := tx.rec.Held, tx.rec.Counted
	tx.reserve(0, false)
	if why := tx.chooseOrder(tx.rec.Request.TransactionID, tx.rec.Request.OutTradeNo); why != nil {
		tx.alarm(alarmTwoOrders, why.Message, now)
		tx.rec.Order, tx.rec.SecondOrder = tx.resolve(orderKeys(tx.rec.Request.TransactionID, tx.rec.Request.OutTradeNo)[0]), ""
	}
	tx.reserve(held, counted)
}

// amountText is the amount of a refund for people to read. Only of yuan it is certain here
// that a hundred fen make one.
func amountText(a Amount) string {
	switch a.Currency {
	case "CNY":
		return fmt.Sprintf("%d.%02d CNY", a.Refund/100, a.Refund%100)
	case "":
		return fmt.Sprintf("%d in the minor unit", a.Refund)
	}
	return fmt.Sprintf("%d in the minor unit of %s", a.Refund, a.Currency)
}
