package refund

import (
	"context"
	"time"
)

// An owner is the item of the ledger that owes events to subscribers: a refund or an
// application. How they are delivered is the same for both.
type owner struct {
	key  Key
	no   string // the refund's; "": it is an application, which args name in the log
	args []any

	// change changes what is owed, in one transaction, from what is known of the ledger if
	// there is something, and returns what its commit has left behind.
	change func(ctx context.Context, known snapshot, do func(o owed, now time.Time) error) (left snapshot, err error)
}

// owed is what an owner owes while a transaction changes it.
type owed struct {
	*outbox
	key       Key
	delivered func(e *outboxEntry, to string)  // notes an acknowledged delivery
	givenUp   func(d *delivery, logArgs []any) // has a person look at one that is given up
}

// refundOwner is the owner of a refund's events.
func (s *Service) refundOwner(no string) owner {
	return owner{key: refundKey(no), no: no, change: func(ctx context.Context, known snapshot, do func(owed, time.Time) error) (snapshot, error) {
		return s.updateFrom(ctx, known, no, nil, func(tx *txn, now time.Time) error {
			tx.keepQueryAt = true
			return do(s.owedByRefund(ctx, tx, now), now)
		})
	}}
}

func (s *Service) owedByRefund(ctx context.Context, tx *txn, now time.Time) owed {
	return owed{
		outbox: &tx.rec.outbox, key: refundKey(tx.no),
		delivered: func(e *outboxEntry, to string) {
			tx.rec.note(HistoryEntry{At: now, What: "delivered", Note: to, ID: e.ID})
		},
		givenUp: func(d *delivery, logArgs []any) {
			tx.keepCause(alarmSubscriber, "the subscriber "+d.To+" has not acknowledged an event for three days and is given up", now)
			s.alarm(ctx, tx.no, alarm{code: alarmSubscriber, why: "a subscriber has not acknowledged this event for three days and is given up"}, logArgs...)
		},
	}
}

// applicationOwner is the owner of an application's events.
func (s *Service) applicationOwner(id string) owner {
	return owner{key: applicationKey(id), args: []any{"application_id", id}, change: func(ctx context.Context, _ snapshot, do func(owed, time.Time) error) (snapshot, error) {
		_, err := s.updateApplication(ctx, id, func(a *application, now time.Time) error {
			return do(s.owedByApplication(ctx, a), now)
		})
		return nil, err
	}}
}

func (s *Service) owedByApplication(ctx context.Context, a *application) owed {
	return owed{
		outbox: &a.outbox, key: applicationKey(a.ID),
		delivered: func(*outboxEntry, string) {},
		givenUp: func(_ *delivery, logArgs []any) {
			s.alarmDaily(ctx, applicationKey(a.ID), alarm{code: alarmSubscriber, why: "a subscriber has not acknowledged an event about an application for three days and is given up"}, logArgs...)
		},
	}
}
