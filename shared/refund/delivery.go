package refund

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime/debug"
	"slices"
	"sync"
	"time"

	"wxrefund/shared/lock"
)

// errNoSubscriber is why nothing can be delivered to a name.
var errNoSubscriber = errors.New("no subscriber of this name is configured")

// subscriberNames are those for whom settling enqueues the event.
func (s *Service) subscriberNames() []string {
	var names []string
	for _, sub := range s.Subscribers {
		names = append(names, sub.Name)
	}
	return names
}

// Deliver delivers a refund's pending events to their subscribers, as far as time
// allows and nobody else is at it, and returns how many deliveries were acknowledged.
// What fails is due again later: [Service.Reconcile] goes on with it.
func (s *Service) Deliver(ctx context.Context, outRefundNo string) (delivered int) {
	_, delivered = s.deliver(ctx, outRefundNo, &slowSubscribers{})
	return delivered
}

// SettleAndDeliver is [Service.Settle] and then [Service.Deliver], if the settlement owes
// anything. What it owes anew is leased by the commit that settles it.
func (s *Service) SettleAndDeliver(ctx context.Context, out Outcome) (Settlement, error) {
	out.deliver = timeLeft(ctx) >= 2*minDeliveryTime
	st, err := s.Settle(ctx, out)
	if err == nil && st.Owes {
		s.deliverLeased(ctx, out.OutRefundNo, st.leased, &slowSubscribers{})
	}
	return st, err
}

func (s *Service) deliver(ctx context.Context, no string, slow *slowSubscribers) (attempted, delivered int) {
	return s.deliverLeased(ctx, no, nil, slow)
}

// deliverLeased makes the deliveries that are leased already, if any, and then what else
// is due.
func (s *Service) deliverLeased(ctx context.Context, no string, round *deliveryRound, slow *slowSubscribers) (attempted, delivered int) {
	for range maxOutbox { // events of one refund follow each other
		if round == nil {
			var err error
			if round, err = s.leaseDeliveries(ctx, no, slow); err != nil {
				s.log(ctx, slog.LevelError, "undelivered", no, "error", err)
				return attempted, delivered
			}
		}
		if len(round.attempts) == 0 {
			break
		}
		attempted += len(round.attempts)
		crash("deliver.taken")
		acknowledged := make([]bool, len(round.attempts))
		var wg sync.WaitGroup
		for i, a := range round.attempts {
			wg.Go(func() {
				defer s.recoverPanic(ctx, no)
				acknowledged[i] = s.attemptDelivery(ctx, round, a, slow)
			})
		}
		wg.Wait()
		for _, ok := range acknowledged {
			if ok {
				delivered++
			}
		}
		if round.last {
			break
		}
		round = nil
	}
	return attempted, delivered
}

// A deliveryRound is what was leased of one refund at once.
type deliveryRound struct {
	attempts []deliveryAttempt

	mu   lock.Mutex // of what follows; whoever holds it may be waiting for the ledger
	left snapshot   // what the last commit of the round has left behind
	last bool       // whether nothing was due after that
}

// A deliveryKey names what is on its way to one subscriber about one refund.
type deliveryKey struct{ no, to string }

// A deliveryAttempt is a delivery that this function has leased.
type deliveryAttempt struct {
	event  Event
	to     Subscriber
	number int
}

// leaseDeliveries leases what is due, in one commit, so that nobody else delivers it
// meanwhile.
func (s *Service) leaseDeliveries(ctx context.Context, no string, slow *slowSubscribers) (*deliveryRound, error) {
	round := &deliveryRound{}
	if timeLeft(ctx) < minDeliveryTime {
		return round, nil
	}
	left, err := s.updateFrom(ctx, nil, no, nil, func(tx *txn, now time.Time) error {
		tx.keepQueryAt = true
		round.attempts = s.lease(ctx, tx, slow, now)
		return nil
	})
	round.left = left
	return round, err
}

// lease leases what is due of a refund, by the commit of a transaction.
func (s *Service) lease(ctx context.Context, tx *txn, slow *slowSubscribers, now time.Time) (attempts []deliveryAttempt) {
	for _, name := range tx.rec.dueSubscribers(now, slow) {
		if _, busy := s.delivering.Load(deliveryKey{tx.no, name}); busy {
			continue
		}
		e, d := tx.rec.nextDelivery(name)
		i := slices.IndexFunc(s.Subscribers, func(sub Subscriber) bool { return sub.Name == name })
		switch {
		case i >= 0 && s.Subscribers[i].Tell == nil: // another function's to deliver
		case i >= 0:
			d.Attempts++
			d.Lease = now.Add(lease)
			event := Event{ID: e.ID, At: e.At, Status: e.Refund.Status, Merchant: s.Merchant, Refund: e.Refund}
			attempts = append(attempts, deliveryAttempt{event, s.Subscribers[i], d.Attempts})
		case name == OwnCode: // enqueued by a function that could not know that there is none
			tx.rec.dropDeliveries(name)
		default:
			d.Attempts++
			s.reschedule(ctx, tx, e, d, errNoSubscriber, now)
		}
	}
	return attempts
}

// attemptDelivery calls one subscriber and records what came of it at once: a crash
// while others are still being called must not have it called again.
func (s *Service) attemptDelivery(ctx context.Context, round *deliveryRound, a deliveryAttempt, slow *slowSubscribers) (acknowledged bool) {
	no, begun := a.event.Refund.OutRefundNo, time.Now()
	s.delivering.Store(deliveryKey{no, a.to.Name}, a)
	defer s.delivering.Delete(deliveryKey{no, a.to.Name})
	cause := s.callSubscriber(ctx, a)
	slow.record(a.to.Name, cause, time.Since(begun))
	crash("deliver.told")
	ctx, cancel := settleContext(ctx)
	defer cancel()
	err := s.record(ctx, round, no, slow, func(tx *txn, now time.Time) error {
		acknowledged = false
		e, d := tx.rec.nextDelivery(a.to.Name)
		if e == nil || e.ID != a.event.ID || d.Attempts != a.number {
			return errUnchanged // overtaken: the lease had ended, and there was another attempt since
		}
		tx.keepQueryAt = true
		if cause != nil {
			s.reschedule(ctx, tx, e, d, cause, now)
			return nil
		}
		tx.rec.markDelivered(e.ID, d.To)
		tx.rec.note(HistoryEntry{At: now, What: "delivered", Note: a.to.Name, ID: a.event.ID})
		acknowledged = true
		return nil
	})
	crash("deliver.recorded")
	switch {
	case cause != nil:
		s.log(ctx, slog.LevelWarn, "undelivered", no, "to", a.to.Name, "try", a.number, "event_id", a.event.ID, "error", cause)
	case err != nil:
		s.log(ctx, slog.LevelError, "delivered, and not recorded", no, "to", a.to.Name, "event_id", a.event.ID, "error", err)
	case acknowledged:
		s.log(ctx, slog.LevelInfo, "delivered", no, "to", a.to.Name, "try", a.number, "event_id", a.event.ID)
	}
	return acknowledged && err == nil
}

// record records what came of an attempt. Those of one round do it one after the other,
// each from what the one before has left behind.
func (s *Service) record(ctx context.Context, round *deliveryRound, no string, slow *slowSubscribers, change func(tx *txn, now time.Time) error) error {
	if err := round.mu.Lock(ctx); err != nil {
		return timeIsUp(err)
	}
	defer round.mu.Unlock()
	var last bool
	left, err := s.updateFrom(ctx, round.left, no, nil, func(tx *txn, now time.Time) error {
		err := change(tx, now)
		last = err == nil && len(tx.rec.dueSubscribers(now, slow)) == 0
		return err
	})
	round.left, round.last = left, err == nil && left != nil && last
	return err
}

// callSubscriber calls the subscriber, with a bound, and survives it.
func (s *Service) callSubscriber(ctx context.Context, a deliveryAttempt) (err error) {
	end := time.Now().Add(deliveryTimeout)
	if d, ok := ctx.Deadline(); ok && d.Add(-minDeliveryTime/2).Before(end) {
		end = d.Add(-minDeliveryTime / 2) // what is left is for the record
	}
	ctx, cancel := context.WithDeadline(ctx, end)
	defer cancel()
	defer func() {
		if p := recover(); p != nil {
			s.log(ctx, slog.LevelError, "panic", a.event.Refund.OutRefundNo, "to", a.to.Name, "type", fmt.Sprintf("%T", p), "stack", string(debug.Stack()))
			err = errors.New("the subscriber panicked")
		}
	}()
	return a.to.Tell(ctx, a.event)
}

// reschedule records a failed attempt: the delivery is due again later, or given up
// for a person to look at.
func (s *Service) reschedule(ctx context.Context, tx *txn, e *outboxEntry, d *delivery, cause error, now time.Time) {
	d.fail(e, cause, now)
	if d.GivenUp {
		tx.keepCause(alarmSubscriber, "the subscriber "+d.To+" has not acknowledged an event for three days and is given up", now)
		s.alarm(ctx, tx.no, alarm{code: alarmSubscriber, why: "a subscriber has not acknowledged this event for three days and is given up"},
			"to", d.To, "event_id", e.ID, "tries", d.Attempts, "error", cause)
	}
}

// timeLeft is how much of the caller's time is left.
func timeLeft(ctx context.Context) time.Duration {
	if ctx.Err() != nil {
		return 0
	}
	if d, ok := ctx.Deadline(); ok {
		return time.Until(d)
	}
	return deliveryTimeout
}

// slowSubscribers keeps one run from waiting again and again for a subscriber that
// does not answer, so that the others get their events in time.
type slowSubscribers struct {
	mu       sync.Mutex
	failures map[string]int // that took long, in a row, by subscriber
}

const (
	maxSlowFailures = 3
	slowDelivery    = time.Second
)

// skip reports whether a subscriber is not called any more in this run.
func (s *slowSubscribers) skip(name string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.failures[name] >= maxSlowFailures
}

// record counts what came of a call.
func (s *slowSubscribers) record(name string, err error, took time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case err == nil:
		delete(s.failures, name)
	case took >= slowDelivery:
		if s.failures == nil {
			s.failures = map[string]int{}
		}
		s.failures[name]++
	}
}

// excerpt is as much of an error's text as a record keeps.
func excerpt(err error) string {
	const most = 200
	return shortened(err.Error(), most)
}
