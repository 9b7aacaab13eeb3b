package refund

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"log/slog"
	"slices"
	"time"
)

// Codes of alarms: what a person should look at. A code stays the same for ever;
// the sentence beside it is for reading.
const (
	alarmStuck         = "claim_in_doubt"      // a claim has had no answer for a day
	alarmExternal      = "refund_by_hand"      // an external refund appeared beside a claim in doubt
	alarmUntold        = "refund_untold"       // the upstream counts the refund and reports nothing of it
	alarmVanished      = "accepted_not_found"  // the upstream does not know what it had accepted
	alarmPanic         = "panic"               // looking after one refund has failed by a defect
	alarmTaken         = "number_taken"        // an external refund has the number
	alarmContradiction = "contradiction"       // a notification or an answer contradicts the record
	alarmReversed      = "reversed"            // the upstream has taken back what it had said
	alarmDiffers       = "differs"             // the upstream reports another order, total or currency than is on record
	alarmExcess        = "order_exceeded"      // the order's refunds exceed its total
	alarmTwoOrders     = "two_orders"          // an order number or a refund_id leads to two orders or refunds
	alarmSubscriber    = "subscriber_given_up" // a subscriber has not acknowledged an event for three days
	alarmOverflow      = "outbox_full"         // so many events wait for subscribers that the oldest was dropped
	alarmUnreadable    = "item_unreadable"     // an item of the ledger cannot be read
	alarmClock         = "clock"               // a time in the ledger that no rule can have produced

	alarmAgain = 24 * time.Hour // how often an alarm whose cause goes on is repeated
)

// An alarm is what a person should look at.
type alarm struct {
	code, why string
	count     int // how often its cause has occurred; 0: it is no lasting one
}

// A Cause is a lasting cause of alarm, as long as it goes on.
type Cause struct {
	Code     string    `json:"code" ledger:"key"`
	Since    time.Time `json:"since"`
	LoggedAt time.Time `json:"told"`  // when its alarm was last logged
	Count    int       `json:"count"` // how often it has occurred
}

// upstreamCauses are the causes that what the upstream reports can have, and can end.
func upstreamCauses() []string {
	return []string{alarmVanished, alarmContradiction, alarmDiffers, alarmTwoOrders, alarmPanic, alarmUntold}
}

// alarm notes what a person should look at; why "" is nothing. A cause that lasts
// is noted in the record.
func (tx *txn) alarm(code, why string, now time.Time) {
	switch {
	case why == "":
	case tx.rec.State != unknown && slices.Contains(upstreamCauses(), code):
		tx.raise(code, why, now)
	default:
		tx.alarms = append(tx.alarms, alarm{code: code, why: why})
	}
}

// raise notes a lasting cause of alarm in the record. Its alarm is logged when it is
// new, and then once a day.
func (tx *txn) raise(code, why string, now time.Time) {
	i := slices.IndexFunc(tx.rec.Causes, func(c Cause) bool { return c.Code == code })
	if i < 0 {
		tx.rec.Causes = append(tx.rec.Causes, Cause{Code: code, Since: now})
		i = len(tx.rec.Causes) - 1
	}
	c := &tx.rec.Causes[i]
	tx.raised = append(tx.raised, code)
	if since := now.Sub(c.LoggedAt); since >= alarmAgain || since < 0 {
		c.LoggedAt = now
		tx.alarms = append(tx.alarms, alarm{code, why, tx.timesMet(*c)})
	}
}

// timesMet is how often a lasting cause has occurred, this time included. The count alone
// is no change that is worth a commit: it is stored with the next one.
func (tx *txn) timesMet(c Cause) int {
	n := c.Count
	for _, code := range tx.raised {
		if code == c.Code {
			n++
		}
	}
	return n
}

// endedCauses lists the codes of lasting causes that the record's present state has ended.
func (r *record) endedCauses() []string {
	switch {
	case r.State == Claimed:
		return nil
	case r.State.Final() || r.State == Rejected:
		return []string{alarmStuck, alarmExternal, alarmUntold}
	}
	return []string{alarmStuck, alarmExternal}
}

// overdue reports whether the claim is older than any doubt that ends by itself.
func (r *record) overdue(now time.Time) bool { return now.Sub(r.ClaimedAt) > stuckAfter }

// doubtExplained reports whether another cause of alarm says why a claim has no answer.
func (r *record) doubtExplained() bool {
	return slices.ContainsFunc(r.Causes, func(c Cause) bool { return c.Code == alarmUntold || c.Code == alarmExternal })
}

// closeCauses closes the causes of alarm that have ended: those named, unless they were
// raised by the same change, and those that cannot go on in the record's present state.
func (tx *txn) closeCauses(codes ...string) {
	codes = slices.DeleteFunc(codes, func(code string) bool { return slices.Contains(tx.raised, code) })
	codes = append(codes, tx.rec.endedCauses()...)
	tx.rec.Causes = slices.DeleteFunc(tx.rec.Causes, func(c Cause) bool {
		over := slices.Contains(codes, c.Code)
		if over {
			c.Count = tx.timesMet(c)
			tx.closed = append(tx.closed, c)
		}
		return over
	})
}

// logAlarms logs what the transaction has raised and ended. It comes before the
// commit: a crash behind it would leave nobody to tell. logged keeps a transaction
// that is begun again from logging twice.
func (s *Service) logAlarms(ctx context.Context, tx *txn, logged map[string]bool) {
	once := func(what string) bool {
		before := logged[what]
		logged[what] = true
		return !before
	}
	for _, a := range tx.alarms {
		switch {
		case !once(a.code + a.why):
		case tx.rec.State == unknown: // and no record remembers
			s.alarmDaily(ctx, refundKey(tx.no), a, tx.logArgs...)
		default:
			s.alarm(ctx, tx.no, a, tx.logArgs...)
		}
	}
	for _, c := range tx.closed {
		if once("closed " + c.Code) {
			s.log(ctx, slog.LevelInfo, "alarm closed", tx.no, "alarm", c.Code, "since", c.Since, "count", c.Count)
		}
	}
}

// alarm logs one alarm.
func (s *Service) alarm(ctx context.Context, no string, a alarm, args ...any) {
	args = append([]any{"alarm", a.code, "why", a.why}, args...)
	if a.count > 0 {
		args = append(args, "count", a.count)
	}
	s.log(ctx, slog.LevelError, "alarm", no, args...)
}

// raise notes a lasting cause of alarm about a refund, in a commit of its own.
func (s *Service) raise(ctx context.Context, no, code, why string) {
	s.amend(ctx, no, func(tx *txn, now time.Time) { tx.raise(code, why, now) })
}

// amend makes a small change to a record that touches neither state nor money.
func (s *Service) amend(ctx context.Context, no string, change func(tx *txn, now time.Time)) {
	err := s.update(ctx, no, nil, func(tx *txn, now time.Time) error {
		if tx.rec.State == unknown {
			return errUnchanged
		}
		tx.keepQueryAt = true
		change(tx, now)
		return nil
	})
	if err != nil {
		s.log(ctx, slog.LevelWarn, "not noted", no, "error", err)
	}
}

// An oncePerDay is when an alarm was last logged that no record can remember.
type oncePerDay struct {
	LoggedAt time.Time `json:"told"`
	Count    int       `json:"count"`
}

// alarmDaily logs an alarm about an item that is no readable record, once a day.
func (s *Service) alarmDaily(ctx context.Context, about Key, a alarm, args ...any) {
	sum := sha256.Sum256([]byte(a.code + " " + string(about)))
	key := Key("alarm/" + hex.EncodeToString(sum[:12]))
	err := s.retry(ctx, func() error {
		items, err := s.Ledger.Get(ctx, key)
		if err != nil {
			return ledgerError(err)
		}
		var last oncePerDay
		_ = decode(items[0], &last) // one that cannot be read is as none
		now := s.now()
		if since := now.Sub(last.LoggedAt); since >= 0 && since < alarmAgain {
			return nil
		}
		last.LoggedAt, last.Count = now, last.Count+1
		a.count = last.Count
		no, isRefund := Item{Key: about}.RefundNo()
		if !isRefund {
			no = string(about)
		}
		s.alarm(ctx, no, a, args...)
		return ledgerError(s.Ledger.Commit(ctx, item(key, items[0].Version, last, time.Time{})))
	})
	if err != nil {
		s.log(ctx, slog.LevelWarn, "not noted", string(about), "error", err)
	}
}
