package refund

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"
)

// This file lets a refund for which the merchant's balance is too low go on after a
// top-up, under the same number, if the merchant wants that ([Service.WaitFunds]).
//
// Such a refund is a claim of which nothing is in doubt: the upstream has refused it for
// certain. It keeps its amount reserved and is submitted again now and then, one
// submission at a time, by the same rules as any other.

// waitFunds is how long a refund waits for the balance, counted from its first refusal.
const waitFunds = 7 * 24 * time.Hour

// A fundsWait is that a claim waits for the merchant's balance.
type fundsWait struct {
	Since   time.Time `json:"since"`
	Refusal *Error    `json:"refusal"` // the last
}

// waits reports whether the claim waits for the merchant's balance, and nothing of it is in doubt.
func (r *record) waits() bool { return r.State == Claimed && r.Funds != nil && len(r.Open) == 0 }

// notEnough reports whether the upstream has refused because the merchant's balance is too low.
func (e *Error) notEnough() bool { return e != nil && e.NotEnough }

// mayWait says why a claim does not wait for the balance (any longer); "": it may.
func (tx *txn) mayWait(now time.Time) (why string) {
	rec := &tx.rec
	switch {
	case !tx.waitFunds:
		return "REFUND_WAIT_FUNDS is not set"
	case rec.Cancelled:
		return "withdrawn"
	case tx.suspended() != "":
		return "a refund by hand has appeared on its order"
	case rec.Funds != nil && now.Sub(rec.Funds.Since) >= waitFunds:
		return "no balance for seven days"
	}
	return ""
}

// noteNotEnough notes a refusal for want of funds: it is an alarm, and the claim waits if
// it may. waits is false if it does not.
func (tx *txn) noteNotEnough(refusal *Error, now time.Time) (waits bool) {
	if !refusal.notEnough() {
		return false
	}
	if waits = tx.mayWait(now) == ""; waits {
		since := now
		if tx.rec.Funds != nil {
			since = tx.rec.Funds.Since
		}
		tx.rec.Funds = &fundsWait{Since: since, Refusal: refusal}
	}
	return waits
}

// whyFunds is the sentence of the alarm.
func (tx *txn) whyFunds() string {
	a := tx.rec.Request.Amount
	what := fmt.Sprintf("the merchant's balance is too low for this refund of %s", amountText(Amount{Refund: a.Refund, Currency: a.Currency}))
	if tx.rec.State == Claimed && tx.rec.Funds != nil {
		return what + ": it goes on by itself after a top-up, until " + tx.rec.Funds.Since.Add(waitFunds).Format(time.RFC3339)
	}
	if tx.externalRefunds() > tx.rec.ExternalRefunds {
		return what + ", and a refund that was not made here has appeared on its order: look whether both are meant before it is repeated"
	}
	return what + ": top it up, then repeat it under the same number"
}

// fundsOver brings an open alarm in line with a refund that does not go on by itself any
// more: it says what is to be done now or, if nobody wants the refund, is over.
func (tx *txn) fundsOver(wanted bool) {
	if !wanted {
		tx.closeCauses(alarmFunds)
		return
	}
	for i := range tx.rec.Causes {
		if c := &tx.rec.Causes[i]; c.Code == alarmFunds && c.open() {
			c.Why = shortened(tx.whyFunds(), maxWhy)
		}
	}
}

// waitingError is what is answered about a refund that waits: the upstream's refusal, and
// that it goes on.
func (r *record) waitingError(now time.Time) *Error {
	e := *r.Funds.Refusal
	e.Next = Later
	e.Message += fmt.Sprintf("; this refund waits for the balance and goes on by itself under the same number, until %s unless it is withdrawn",
		r.Funds.Since.Add(waitFunds).Format(time.RFC3339))
	if next := r.QueryAt.Sub(now); next > 0 {
		e.RetryAfter = next
	}
	return &e
}

// endWait rejects a claim that waits, with the upstream's refusal. Where a refund by hand
// has appeared on the order, a program that repeats by itself would pay a second time:
// whoever wants both says so with another number.
func (tx *txn) endWait(why string, now time.Time) {
	rec := &tx.rec
	refusal := *rec.Funds.Refusal
	if tx.externalRefunds() > rec.ExternalRefunds {
		refusal.Next = Never
		refusal.Message += "; a refund that was not made here has appeared on the order since, so this one has ended: if both are meant, refund again under another number"
	}
	rec.State, rec.Refusal = Rejected, &refusal
	rec.Revision++
	rec.Funds, rec.InterimRefusal, rec.Lease, rec.Cancelled, rec.Queries = nil, nil, time.Time{}, false, 0
	rec.note(HistoryEntry{At: now, What: "no longer waiting", Note: why})
	tx.reserve(0, false)
}

// A shortage is what one run has found the balance too low for: as much again, from the
// same account, need not be tried in the same run.
type shortage struct {
	mu     sync.Mutex
	amount map[string]int64 // the least refused, by funds account and currency
}

func (s *shortage) account(r Request) string { return r.FundsAccount + " " + r.Amount.Currency }

func (s *shortage) covers(r Request) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	least, ok := s.amount[s.account(r)]
	return ok && r.Amount.Refund >= least && len(r.Amount.From) == 0
}

func (s *shortage) add(r Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.amount == nil {
		s.amount = map[string]int64{}
	}
	s.amount[s.account(r)] = min(r.Amount.Refund, cmp.Or(s.amount[s.account(r)], r.Amount.Refund))
}

// goOnWaiting submits a refund that waits for the balance again, or ends its wait.
func (s *Service) goOnWaiting(ctx context.Context, known record, short *shortage, t Summary) Summary {
	no := known.Request.OutRefundNo
	var again bool
	var over string
	var rec record
	err := s.update(ctx, no, nil, func(tx *txn, now time.Time) error {
		again, over = false, ""
		if !tx.rec.waits() || tx.rec.Submission != known.Submission || tx.rec.running(now) {
			return errUnchanged // somebody has gone on with it meanwhile
		}
		if over = tx.mayWait(now); over != "" {
			wanted := !tx.rec.Cancelled
			tx.endWait(over, now)
			tx.fundsOver(wanted)
			tx.closeCauses(alarmPanic)
			return nil
		}
		if short.covers(tx.rec.Request) || tx.startSubmission(actor{}, s.rules(), now) != nil || s.turn(ctx) != nil {
			return errUnchanged // in vain, or too early for its order or for the upstream: the next time
		}
		again, rec = true, tx.rec
		tx.closeCauses(alarmPanic)
		return nil
	})
	switch {
	case err != nil:
		s.log(ctx, slog.LevelError, "unsettled", no, "error", err)
	case over != "":
		t.Settled = 1
		s.log(ctx, slog.LevelWarn, "settled", no, "state", Rejected, "why", over)
	case again:
		t.Resubmitted = 1
		crash("reconcile.resubmit")
		switch _, err := s.submit(ctx, rec); {
		case err == nil:
			t.Settled = 1
		case AsError(err).notEnough():
			short.add(rec.Request)
		}
	}
	return t
}

// resumeWait goes on waiting when what was in doubt of a claim that waits has turned out
// never to have been carried out. It reports whether the claim waits.
func (tx *txn) resumeWait(now time.Time) bool {
	rec := &tx.rec
	if rec.Funds == nil || tx.mayWait(now) != "" {
		return false
	}
	rec.Open, rec.Lease, rec.NotFound, rec.NotFoundAt = slices.Clip(rec.Open[:0]), time.Time{}, 0, time.Time{}
	rec.note(HistoryEntry{At: now, What: "waits", Note: "what was in doubt was never carried out"})
	return true
}
