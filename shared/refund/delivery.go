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
	_, delivered = s.deliver(ctx, s.refundOwner(outRefundNo), nil, &slowSubscribers{})
	return delivered
}

// DeliverApplication is [Service.Deliver] of an application's events.
func (s *Service) DeliverApplication(ctx context.Context, id string) (delivered int) {
	_, delivered = s.deliver(ctx, s.applicationOwner(id), nil, &slowSubscribers{})
	return delivered
}

// SettleAndDeliver is [Service.Settle] and then [Service.Deliver], if the settlement owes
// anything. What it owes anew is leased by the commit that settles it.
func (s *Service) SettleAndDeliver(ctx context.Context, out Outcome) (Settlement, error) {
	out.deliver = timeLeft(ctx) >= 2*minDeliveryTime
	st, err := s.Settle(ctx, out)
	if err == nil && st.Owes {
		s.deliver(ctx, s.refundOwner(out.OutRefundNo), st.leased, &slowSubscribers{})
	}
	return st, err
}

// deliver makes the deliveries that are leased already, if any, and then what else is due.
func (s *Service) deliver(ctx context.Context, of owner, round *deliveryRound, slow *slowSubscribers) (attempted, delivered int) {
	for range maxOutbox { // events of one owner follow each other
		if round == nil {
			var err error
			if round, err = s.leaseDeliveries(ctx, of, slow); err != nil {
				s.logOf(ctx, slog.LevelError, "undelivered", of, "error", err)
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
				defer s.recoverPanic(ctx, of.key)
				acknowledged[i] = s.attemptDelivery(ctx, of, round, a, slow)
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

// A deliveryRound is what was leased of one owner at once.
type deliveryRound struct {
	attempts []deliveryAttempt

	mu   lock.Mutex // of what follows; whoever holds it may be waiting for the ledger
	left snapshot   // what the last commit of the round has left behind
	last bool       // whether nothing was due after that
}

// A deliveryKey names what is on its way to one subscriber from one owner.
type deliveryKey struct {
	of Key
	to string
}

// A deliveryAttempt is a delivery that this function has leased.
type deliveryAttempt struct {
	event  Event
	to     Subscriber
	number int
}

// leaseDeliveries leases what is due, in one commit, so that nobody else delivers it
// meanwhile.
func (s *Service) leaseDeliveries(ctx context.Context, of owner, slow *slowSubscribers) (*deliveryRound, error) {
	round := &deliveryRound{}
	if timeLeft(ctx) < minDeliveryTime {
		return round, nil
	}
	left, err := of.change(ctx, nil, func(o owed, now time.Time) error {
		var changed bool
		if round.attempts, changed = s.lease(o, slow, now); !changed {
			return errUnchanged
		}
		return nil
	})
	round.left = left
	return round, err
}

// lease leases what is due, by the commit of a transaction, and tells whether that has
// changed anything.
func (s *Service) lease(o owed, slow *slowSubscribers, now time.Time) (attempts []deliveryAttempt, changed bool) {
	for _, name := range o.dueSubscribers(now, slow) {
		if _, busy := s.delivering.Load(deliveryKey{o.key, name}); busy {
			continue
		}
		e, d := o.nextDelivery(name)
		i := slices.IndexFunc(s.Subscribers, func(sub Subscriber) bool { return sub.Name == name })
		switch {
		case i >= 0 && s.Subscribers[i].Tell == nil: // another function's to deliver
			continue
		case i >= 0:
			d.Attempts++
			d.Lease = now.Add(lease)
			attempts = append(attempts, deliveryAttempt{e.event(s.Merchant), s.Subscribers[i], d.Attempts})
		case name == OwnCode: // enqueued by a function that could not know that there is none
			o.dropDeliveries(name)
		default:
			d.Attempts++
			o.reschedule(e, d, errNoSubscriber, now)
		}
		changed = true
	}
	return attempts, changed
}

// attemptDelivery calls one subscriber and records what came of it at once: a crash
// while others are still being called must not have it called again.
func (s *Service) attemptDelivery(ctx context.Context, of owner, round *deliveryRound, a deliveryAttempt, slow *slowSubscribers) (acknowledged bool) {
	begun := time.Now()
	s.delivering.Store(deliveryKey{of.key, a.to.Name}, a)
	defer s.delivering.Delete(deliveryKey{of.key, a.to.Name})
	cause := s.callSubscriber(ctx, of, a)
	slow.record(a.to.Name, cause, time.Since(begun))
	crash("deliver.told")
	ctx, cancel := settleContext(ctx)
	defer cancel()
	err := round.record(ctx, of, slow, func(o owed, now time.Time) error {
		acknowledged = false
		e, d := o.nextDelivery(a.to.Name)
		if e == nil || e.ID != a.event.ID || d.Attempts != a.number {
			return errUnchanged // overtaken: the lease had ended, and there was another attempt since
		}
		if cause != nil {
			o.reschedule(e, d, cause, now)
			return nil
		}
		o.delivered(e, d.To)
		o.markDelivered(e.ID, a.to.Name)
		acknowledged = true
		return nil
	})
	crash("deliver.recorded")
	switch {
	case cause != nil:
		s.logOf(ctx, slog.LevelWarn, "undelivered", of, "to", a.to.Name, "try", a.number, "event_id", a.event.ID, "error", cause)
	case err != nil:
		s.logOf(ctx, slog.LevelError, "delivered, and not recorded", of, "to", a.to.Name, "event_id", a.event.ID, "error", err)
	case acknowledged:
		s.logOf(ctx, slog.LevelInfo, "delivered", of, "to", a.to.Name, "try", a.number, "event_id", a.event.ID)
	}
	return acknowledged && err == nil
}

// record records what came of an attempt. Those of one round do it one after the other,
// each from what the one before has left behind.
func (round *deliveryRound) record(ctx context.Context, of owner, slow *slowSubscribers, do func(o owed, now time.Time) error) error {
	if err := round.mu.Lock(ctx); err != nil {
		return timeIsUp(err)
	}
	defer round.mu.Unlock()
	var last bool
	left, err := of.change(ctx, round.left, func(o owed, now time.Time) error {
		err := do(o, now)
		last = err == nil && len(o.dueSubscribers(now, slow)) == 0
		return err
	})
	round.left, round.last = left, err == nil && last
	return err
}

// callSubscriber calls the subscriber, with a bound, and survives it.
func (s *Service) callSubscriber(ctx context.Context, of owner, a deliveryAttempt) (err error) {
	end := time.Now().Add(deliveryTimeout)
	if d, ok := ctx.Deadline(); ok && d.Add(-minDeliveryTime/2).Before(end) {
		end = d.Add(-minDeliveryTime / 2) // what is left is for the record
	}
	ctx, cancel := context.WithDeadline(ctx, end)
	defer cancel()
	defer func() {
		if p := recover(); p != nil {
			s.logOf(ctx, slog.LevelError, "panic", of, "to", a.to.Name, "type", fmt.Sprintf("%T", p), "stack", string(debug.Stack()))
			err = errors.New("the subscriber panicked")
		}
	}()
	return a.to.Tell(ctx, a.event)
}

// reschedule records a failed attempt: the delivery is due again later, or given up
// for a person to look at.
func (o owed) reschedule(e *outboxEntry, d *delivery, cause error, now time.Time) {
	if d.fail(e, cause, now); d.GivenUp {
		o.givenUp(d, []any{"to", d.To, "event_id", e.ID, "tries", d.Attempts, "error", cause})
	}
}

// logOf logs what has become of what an owner owes.
func (s *Service) logOf(ctx context.Context, level slog.Level, event string, of owner, args ...any) {
	s.log(ctx, level, event, of.no, append(slices.Clone(of.args), args...)...)
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
