package refund

import (
	"context"
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
	alarmFunds         = "not_enough"          // the merchant's balance is too low for a refund
	alarmSlow          = "processing_long"     // processing on the fifth day: WeChat Pay closes it after the seventh
	alarmClosed        = "refund_closed"       // a refund made here was closed: the payer has not got the money
	alarmAbnormal      = "refund_abnormal"     // the bank has refused it: somebody finishes it, on apiv3 by [Service.FinishAbnormal]
	alarmAlerter       = "alerter_unreachable" // no alarm has reached a robot or webhook for a day
	alarmApplication   = "approved_unrefunded" // an approved application has not led to a refund
	alarmOrderAge      = "order_expiring"      // the order is a year old within a week, and the refund is not done
	alarmBillDiffers   = "bill_differs"        // a day's bill and the ledger do not agree
	alarmBillUnread    = "bill_unread"         // a day's bill cannot be used, is refused, or is not issued by the second day

	alarmAgain = 24 * time.Hour // how often an alarm whose cause goes on is repeated
)

// An alarm is what a person should look at.
type alarm struct {
	code, why string
	count     int // how often its cause has occurred; 0: it is no lasting one
}

// A Cause is a cause of alarm that is open: a lasting one until it ends by itself, any
// other until somebody has acknowledged it. A record holds at most one of each code.
type Cause struct {
	Code     string    `json:"code" ledger:"key"`
	Why      string    `json:"why,omitempty"` // a sentence; "" of what an earlier version has noted
	Since    time.Time `json:"since"`
	LoggedAt time.Time `json:"told"`  // when its alarm was last logged
	Count    int       `json:"count"` // how often it has occurred

	// Of a lasting cause that somebody has acknowledged: it does not alarm again until it
	// has ended and come anew.
	AcknowledgedAt time.Time `json:"ack_at,omitzero"`
	AcknowledgedBy string    `json:"ack_by,omitempty"` // in full, as [Caller.Identity] writes it
	Note           string    `json:"ack_note,omitempty"`

	Told []Telling `json:"told_to,omitempty"` // whom it has reached
}

// maxWhy bounds the sentence of a cause, in bytes.
const maxWhy = 512

// upstreamCauses are the causes that what the upstream reports can have, and can end.
func upstreamCauses() []string {
	return []string{alarmVanished, alarmContradiction, alarmDiffers, alarmTwoOrders, alarmPanic, alarmUntold}
}

// lasts reports whether a cause goes on until something ends it. Any other has happened,
// and only a person can say that it is dealt with.
func lasts(code string) bool {
	switch code {
	case alarmStuck, alarmExternal, alarmFunds, alarmSlow, alarmAbnormal, alarmOrderAge:
		return true
	}
	return slices.Contains(upstreamCauses(), code)
}

// open reports whether a person should still look at the cause.
func (c *Cause) open() bool { return c.AcknowledgedAt.IsZero() }

// alarm notes what a person should look at; why "" is nothing. It is noted in the record,
// where there is one.
func (tx *txn) alarm(code, why string, now time.Time) {
	switch {
	case why == "":
	case tx.rec.State == unknown:
		tx.alarms = append(tx.alarms, alarm{code: code, why: why})
	case lasts(code):
		tx.raise(code, why, now)
	default:
		tx.keepCause(code, why, now)
		tx.alarms = append(tx.alarms, alarm{code: code, why: why})
	}
}

// cause finds the record's cause of that code, or begins one.
func (tx *txn) cause(code string, now time.Time) *Cause {
	i := slices.IndexFunc(tx.rec.Causes, func(c Cause) bool { return c.Code == code })
	if i < 0 {
		tx.rec.Causes = append(tx.rec.Causes, Cause{Code: code, Since: now})
		i = len(tx.rec.Causes) - 1
	}
	tx.raised = append(tx.raised, code)
	return &tx.rec.Causes[i]
}

// keepCause notes in the record what has happened, and is logged otherwise.
func (tx *txn) keepCause(code, why string, now time.Time) {
	c := tx.cause(code, now)
	c.LoggedAt, c.Why = now, shortened(why, maxWhy)
}

// raise notes a lasting cause of alarm in the record. Its alarm is logged when it is
// new, and then once a day until somebody has acknowledged it.
func (tx *txn) raise(code, why string, now time.Time) {
	c := tx.cause(code, now)
	if since := now.Sub(c.LoggedAt); c.open() && (since >= alarmAgain || since < 0) {
		c.LoggedAt, c.Why = now, shortened(why, maxWhy)
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
	var over []string
	if r.State != Claimed {
		over = append(over, alarmStuck, alarmExternal)
	}
	if r.State != Processing {
		over = append(over, alarmSlow)
	}
	if r.State != Abnormal {
		over = append(over, alarmAbnormal)
	}
	if r.State.Final() || r.State == Rejected {
		over = append(over, alarmUntold, alarmOrderAge)
	}
	if r.State != Claimed && !r.Refusal.notEnough() {
		over = append(over, alarmFunds)
	}
	return over
}

// overdue reports whether the claim is older than any doubt that ends by itself.
func (r *record) overdue(now time.Time) bool {
	since := r.ClaimedAt
	if r.Funds != nil {
		since = r.Funds.Since.Add(waitFunds)
	}
	return now.Sub(since) > stuckAfter
}

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

// whyClosed says what a person should do about a refund that was closed.
func (r *record) whyClosed() string {
	const why = "WeChat Pay has closed this refund, so that the payer does not get the money by it: "
	if r.Application != "" {
		return why + "approve its application " + r.Application + " again, which uses another number"
	}
	return why + "refund again under a new number"
}
