package refund

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"time"
)

// errUnreadable is why an outcome that does not say enough was not settled.
var errUnreadable = errors.New("refund: an outcome that does not say enough")

// An Outcome is what became known of one refund, from whichever [Source].
type Outcome struct {
	Source      Source
	OutRefundNo string
	Refund      Refund // what the upstream reports, if Err is nil

	// Err says that the upstream refused (a reply) or does not know the refund
	// (a query), or that nothing certain is known.
	Err *Error

	Merchant Merchant // of a notification: whom it is about
	EventID  string   // of a notification

	submission int    // of a reply: which submission it answers
	revision   int    // of a reply or query: the record's when the upstream was asked
	listed     bool   // one of an order's list, which never moves a final state
	refused    *Error // of a query: the refusal that made us ask
	by         actor  // of a query, a relay or a bill: who had us ask, or brought it
	bill       *billRow
	known      snapshot // of a reply: what the claim has left behind
	deliver    bool     // whoever settles delivers at once what it owes
}

// A Settlement is what the ledger says once an outcome has been settled.
type Settlement struct {
	State   State
	Refund  Refund
	Changed bool // whether the state moved
	Owes    bool // events wait for subscribers: [Service.Deliver] has something to do

	ask         bool           // the outcome contradicts the record: the upstream must say what is true
	contradicts bool           // the outcome contradicts the record, and nothing was settled
	revision    int            // of the record now
	fresh       bool           // the upstream's word is from after the record's last move
	refusal     *Error         // of a rejected refund
	numberTaken bool           // an external refund has the number
	waits       *Error         // what is answered about a claim that waits for the merchant's balance
	leased      *deliveryRound // what is to be delivered at once; nil: nobody has looked
}

// Settle applies an outcome to the ledger: the one way in which every
// refund learns its fate. Settling the same outcome again changes nothing and is
// no error. A notification that contradicts the record is kept as evidence and the
// upstream is asked; if that brings no answer the error is [CodeUnavailable].
func (s *Service) Settle(ctx context.Context, out Outcome) (Settlement, error) {
	st, err := s.settle(ctx, out)
	if err != nil || !st.ask {
		return st, err
	}
	asked, err := s.ask(ctx, out.OutRefundNo, st.revision, out.by)
	if err != nil {
		return st, unavailable("this notification contradicts the record, and the upstream has not confirmed it", err)
	}
	return asked, s.learnOrderNumbers(ctx, out, asked)
}

// learnOrderNumbers takes both numbers of an order from a notification that the
// upstream has confirmed when it was asked: its answer may have one of them only.
func (s *Service) learnOrderNumbers(ctx context.Context, notification Outcome, asked Settlement) error {
	r := notification.Refund
	if to, _ := stateOf(r.Status); to != asked.State || r.TransactionID == "" || r.OutTradeNo == "" {
		return nil
	}
	ctx, cancel := settleContext(ctx)
	defer cancel()
	return s.update(ctx, notification.OutRefundNo, orderKeys(r.TransactionID, r.OutTradeNo), func(tx *txn, now time.Time) error {
		expected := tx.rec.expected()
		if tx.rec.State != asked.State || tx.secondAccount() == nil || mismatch(expected, r) != "" && !expected.matches(r) {
			return errUnchanged
		}
		tx.alarm(alarmTwoOrders, tx.assignOrder(r.TransactionID, r.OutTradeNo), now)
		tx.rec.Refund.TransactionID, tx.rec.Refund.OutTradeNo = r.TransactionID, r.OutTradeNo
		return nil
	})
}

func (s *Service) settle(ctx context.Context, out Outcome) (Settlement, error) {
	keys := orderKeys(out.Refund.TransactionID, out.Refund.OutTradeNo)
	if k := refundIDKey(out.Refund.RefundID); out.Refund.RefundID != "" && len(k) <= MaxKey {
		keys = append(keys, k)
	}
	var st Settlement
	var rec *record
	var round *deliveryRound
	left, err := s.updateFrom(ctx, out.known, out.OutRefundNo, keys, func(tx *txn, now time.Time) (err error) {
		if st, err = tx.settle(out, s.Merchant, s.subscriberNames(), now); err != nil {
			return err
		}
		tx.closeCauses()
		if round = nil; out.deliver && st.Changed {
			round = &deliveryRound{}
			round.attempts, _ = s.lease(s.owedByRefund(ctx, tx, now), &slowSubscribers{}, now)
		}
		rec = &tx.rec
		tx.logArgs = []any{"source", out.Source, "state", st.State}
		crash("settle.before")
		return nil
	})
	if err != nil {
		return st, err
	}
	crash("settle.after")
	if st.Changed {
		s.log(ctx, slog.LevelInfo, "settled", out.OutRefundNo, "state", st.State, "source", out.Source)
	} else if out.Err != nil {
		s.log(ctx, slog.LevelWarn, "unsettled", out.OutRefundNo, "state", st.State, "source", out.Source, "error", out.Err)
	}
	st.Refund, st.revision, st.refusal, st.numberTaken = rec.view(), rec.Revision, rec.Refusal, rec.NumberTaken
	st.Owes = len(rec.Outbox) > 0
	if st.leased = round; round != nil {
		round.left = left
	}
	if rec.waits() {
		st.waits = rec.waitingError(s.now())
	}
	return st, nil
}

// ask queries the upstream and settles what it says. revision is the record's as the
// asker knows it: the answer is fresh only if the state does not move meanwhile. by is
// who had us ask.
func (s *Service) ask(ctx context.Context, no string, revision int, by actor) (Settlement, error) {
	callCtx, cancel := callContext(ctx)
	page, err := s.Channel.Query(callCtx, Lookup{OutRefundNo: no})
	cancel()
	if err == nil && len(page.Refunds) != 1 {
		err = unavailable("the upstream's answer is not about one refund", nil)
	}
	if err != nil {
		return Settlement{}, AsError(err)
	}
	ctx, cancel = settleContext(ctx)
	defer cancel()
	return s.settle(ctx, Outcome{Source: Query, OutRefundNo: no, Refund: page.Refunds[0], revision: revision, by: by})
}

// settle is the state machine: it changes the refund by what the outcome says, and
// puts the event of it into the outbox for the subscribers.
func (tx *txn) settle(out Outcome, ours Merchant, subscribers []string, now time.Time) (Settlement, error) {
	before := tx.rec.State
	if out.Err != nil {
		tx.settleRefusal(out, now)
		return Settlement{State: tx.rec.State, Changed: tx.rec.State != before}, nil
	}
	to, ok := stateOf(out.Refund.Status)
	amount := out.Refund.Amount
	if !ok || !out.Refund.numbersFit() || amount.Refund < 0 || amount.Refund == 0 && !tx.amountMayLack(out) || amount.Refund > maxMoney || amount.Total > maxMoney {
		return Settlement{}, unavailable("the upstream's answer has no status or amount that can be understood", errUnreadable)
	}
	out.Refund = bounded(out.Refund)
	if out.Source == Query && !out.listed {
		tx.rec.Doubted = false
	}
	if out.Source == Reply && out.submission == tx.rec.Submission {
		tx.rec.Lease = time.Time{}
	}
	if why := tx.contradiction(out, ours); why != "" {
		return tx.keepEvidence(out, why, now), nil
	}
	if before == unknown && out.Refund.TransactionID == "" && out.Refund.OutTradeNo == "" {
		return Settlement{}, unavailable("the upstream names no order for this refund", nil)
	}
	if st, done := tx.settleNumberTaken(out, to, now); done {
		return st, nil
	}
	fresh := (out.Source == Reply || out.Source == Query) && out.revision == tx.rec.Revision && !(out.listed && before.Final())
	v := transition(before, to, fresh)
	if v == contradict {
		return tx.keepEvidence(out, fmt.Sprintf("%s is told of a refund on record as %s", out.Refund.Status, before), now), nil
	}
	st := Settlement{Changed: before != to && v != keep, fresh: fresh}
	if v == moveAlarm {
		tx.alarm(alarmReversed, fmt.Sprintf("the upstream says %s of a refund on record as %s", out.Refund.Status, before), now)
	}
	tx.apply(out, to, v, now)
	if out.Source == Query {
		tx.closeCauses(upstreamCauses()...)
	}
	if st.Changed {
		tx.alarm(alarmOverflow, tx.rec.enqueue(subscribers, now), now)
	}
	st.State = tx.rec.State
	return st, nil
}

// amountMayLack reports whether an outcome can do without an amount, as some answers
// to us do (the CloudBase template's query, reduced): what is not said is as it is on
// record. A notification and a bill always say it, and of a refund that is not on record
// nobody else could. Nor can the answer lack it where a submission was refused in words that
// may mean that the number is taken: it alone says whose the refund is.
func (tx *txn) amountMayLack(out Outcome) bool {
	refused := out.refused != nil || tx.rec.State == Rejected || tx.rec.InterimRefusal != nil && tx.rec.InterimRefusal.MaybeNumberTaken
	return out.Source != Notification && out.Source != FromBill && tx.rec.State != unknown && !refused
}

// maxMoney bounds what is taken for an amount, so that sums cannot overflow.
const maxMoney = int64(1)<<53 - 1

// contradiction says why an outcome cannot be applied as it is, "" if it can: a
// notification, or the answer to a submission, that differs from what is on record. An
// answer that accepts our submission may name another order by one of the two numbers,
// since the upstream follows the other. Whose refund a query reports,
// [txn.settleNumberTaken] judges.
func (tx *txn) contradiction(out Outcome, ours Merchant) string {
	if out.Source == Query {
		return ""
	}
	if (out.Source == Notification || out.Source == Relay) && out.Merchant != ours {
		return "the notification is about another merchant"
	}
	if tx.rec.State == unknown {
		return ""
	}
	if out.Source == FromBill {
		return tx.rec.contradictedByRow(out.Refund)
	}
	expected := tx.rec.expected()
	field := mismatch(expected, out.Refund)
	if out.Source == Reply && (field == "transaction_id" || field == "out_trade_no") && expected.matches(out.Refund) {
		field = mismatch(Request{Amount: expected.Amount}, out.Refund)
	}
	if field != "" {
		return field + " differs from what is on record"
	}
	return ""
}

// entry begins a line of the history about what the outcome has brought.
func (out Outcome) entry(at time.Time, what string) HistoryEntry {
	e := out.by.entry(at, what)
	e.Source, e.ID = out.Source, out.EventID
	return e
}

// keepEvidence keeps a contradiction in the record, where there is one, and has the
// upstream asked.
func (tx *txn) keepEvidence(out Outcome, why string, now time.Time) Settlement {
	st := Settlement{State: tx.rec.State, ask: out.Source == Notification || out.listed, contradicts: true}
	known := slices.ContainsFunc(tx.rec.History, func(e HistoryEntry) bool {
		return e.What == "contradiction" && e.ID == out.EventID && e.Note == why
	})
	if tx.rec.State != unknown && !known {
		e := out.entry(now, "contradiction")
		e.Note = why
		tx.rec.note(e)
	}
	tx.alarm(alarmContradiction, why, now)
	return st
}

// apply changes the record and its order account to what the outcome says.
func (tx *txn) apply(out Outcome, to State, v verdict, now time.Time) {
	rec := &tx.rec
	known := rec.Refund
	if out.Source != Notification && rec.State != unknown {
		if field := mismatch(rec.expected(), out.Refund); field != "" {
			tx.alarm(alarmDiffers, "the upstream's "+field+" differs from what is on record, and stands", now)
		}
	}
	if rec.State == unknown {
		rec.External, rec.ClaimedAt, rec.Silent = true, now, out.bill != nil && out.bill.silent
		rec.Request = Request{
			OutRefundNo: tx.no, TransactionID: out.Refund.TransactionID, OutTradeNo: out.Refund.OutTradeNo,
			Amount: RequestAmount{Refund: out.Refund.Amount.Refund, Total: out.Refund.Amount.Total, Currency: out.Refund.Amount.Currency},
		}
	}
	if v == keep {
		fill(&rec.Refund, out.Refund)
	} else {
		rec.Refund = renew(known, out.Refund)
	}
	if rec.Refund.UserReceivedAccount != hidden {
		rec.Refund.ReceivedBy = ""
		if receivedByMerchant(rec.Refund) {
			rec.Refund.ReceivedBy = ReceivedByMerchant
		}
	}
	if v != keep && rec.State != to {
		rec.State, rec.Refusal, rec.Queries = to, nil, 0
		rec.Revision++
		rec.Open, rec.Lease = nil, time.Time{}
		rec.InterimRefusal, rec.NotFound, rec.NotFoundAt, rec.Absent, rec.Released, rec.Cancelled = nil, 0, time.Time{}, false, false, false
		rec.Funds = nil
		rec.note(out.entry(now, string(to)))
		switch {
		case to == Closed && !rec.External:
			tx.alarm(alarmClosed, rec.whyClosed(), now)
		case to == Abnormal:
			tx.alarm(alarmAbnormal, whyAbnormal, now)
		}
	}
	tx.updateOrder(out.Refund, now)
}

// settleRefusal settles a reply that refused or said nothing certain. A refusal
// speaks only for its own submission: the refund is rejected only if no other one is
// in doubt.
func (tx *txn) settleRefusal(out Outcome, now time.Time) {
	rec := &tx.rec
	if out.Source != Reply || !slices.Contains(rec.Open, out.submission) {
		return // overtaken: something else has brought certainty meanwhile
	}
	if out.submission == rec.Submission {
		rec.Lease = time.Time{}
	}
	certain := out.Err.Code != CodeUnavailable || out.Err.Unsent
	if certain {
		rec.closeSubmission(out.submission)
	}
	if out.Err.Code == CodeUnavailable {
		rec.note(HistoryEntry{At: now, What: "unanswered", Source: out.Source, Note: out.Err.Upstream})
		return
	}
	rec.note(HistoryEntry{At: now, What: "refused", Source: out.Source, Note: out.Err.Upstream})
	refusal := *out.Err
	refusal.Err = nil
	if rec.State != Claimed || len(rec.Open) > 0 {
		if out.submission == rec.Submission {
			rec.InterimRefusal = &refusal
			if rec.State == Claimed && refusal.notEnough() {
				tx.noteNotEnough(&refusal, now)
				tx.alarm(alarmFunds, tx.whyFunds(), now)
			}
		}
		return
	}
	if waits := tx.noteNotEnough(&refusal, now); waits {
		rec.InterimRefusal = &refusal
		tx.alarm(alarmFunds, tx.whyFunds(), now)
		return
	}
	if rec.Funds != nil {
		rec.Funds, rec.Queries = nil, 0
	}
	wanted := !rec.Cancelled
	rec.State, rec.Refusal, rec.InterimRefusal = Rejected, &refusal, nil
	rec.Revision++
	tx.reserve(0, false)
	if refusal.notEnough() && wanted {
		tx.alarm(alarmFunds, tx.whyFunds(), now)
	}
	tx.fundsOver(wanted)
}
