package refund

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime/debug"
	"slices"
	"strings"
	"sync"
	"time"
)

// errNoSubscriber is why a debt cannot be paid whose subscriber is not configured.
var errNoSubscriber = errors.New("no subscriber of this name is configured")

// subscribers are those whom this function can tell.
func (s *Service) subscribers() []Subscriber {
	if s.OnSettled == nil {
		return s.Subscribers
	}
	return append(slices.Clone(s.Subscribers), Subscriber{Name: ownCode, Tell: s.OnSettled})
}

// creditors are those to whom settling owes event. What a function cannot know,
// whether others have code of the merchant's own, is owed and found out by them.
func (s *Service) subscriberNames() []string {
	var names []string
	for _, sub := range s.subscribers() {
		names = append(names, sub.Name)
	}
	if s.ToldElsewhere {
		names = append(names, ownCode)
	}
	return names
}

// Deliver tells the business what the ledger owes it about a refund, as far as
// time allows and nobody else is at it, and returns how many debts it paid. What
// fails is due again later: [Service.Reconcile] goes on with it.
func (s *Service) Deliver(ctx context.Context, outRefundNo string) (delivered int) {
	_, delivered = s.deliver(ctx, outRefundNo, &slowSubscribers{})
	return delivered
}

func (s *Service) deliver(ctx context.Context, no string, p *slowSubscribers) (tried, delivered int) {
	for range maxOutbox { // event of one refund follow each other
		tries, err := s.leaseDeliveries(ctx, no, p)
		if err != nil {
			s.log(ctx, slog.LevelError, "undelivered", no, "error", err)
			return tried, delivered
		}
		if len(tries) == 0 {
			break
		}
		tried += len(tries)
		crash("deliver.taken")
		paid := make([]bool, len(tries))
		var wg sync.WaitGroup
		for i, t := range tries {
			wg.Go(func() {
				defer s.recoverPanic(ctx, no)
				paid[i] = s.attemptDelivery(ctx, t, p)
			})
		}
		wg.Wait()
		for _, ok := range paid {
			if ok {
				delivered++
			}
		}
	}
	return tried, delivered
}

// A deliveryKey names what one subscriber is owed about one refund.
type deliveryKey struct{ no, to string }

// A try is one debt that this function has taken upon itself to pay.
type deliveryAttempt struct {
	event  Event
	to     Subscriber
	number int
}

// leaseDeliveries leases what is due, in one commit, so that nobody else tells it meanwhile.
func (s *Service) leaseDeliveries(ctx context.Context, no string, p *slowSubscribers) (tries []deliveryAttempt, err error) {
	if left := timeLeft(ctx); left < minDeliveryTime {
		return nil, nil
	}
	subs := s.subscribers()
	err = s.retry(ctx, func() error {
		tries = nil
		tx, err := s.begin(ctx, no)
		if err != nil {
			return err
		}
		now := s.now()
		for _, name := range tx.rec.dueSubscribers(now, p) {
			if _, busy := s.delivering.Load(deliveryKey{no, name}); busy {
				continue
			}
			n, d := tx.rec.nextDelivery(name)
			tx.keepQueryAt = true
			tx.touch(refundKey(no))
			i := slices.IndexFunc(subs, func(sub Subscriber) bool { return sub.Name == name })
			switch {
			case i >= 0:
				d.Attempts++
				d.Lease = now.Add(lease)
				event := Event{ID: n.ID, At: n.At, Status: n.Refund.Status, Merchant: s.Merchant, Refund: n.Refund}
				tries = append(tries, deliveryAttempt{event, subs[i], d.Attempts})
			case name == ownCode: // owed by a function that could not know that there is none
				tx.rec.dropDeliveries(name)
			default:
				d.Attempts++
				s.reschedule(ctx, no, n, d, errNoSubscriber, now)
			}
		}
		return s.commit(ctx, tx, now)
	})
	return tries, err
}

// try tells one subscriber and records what came of it at once: a crash while
// others are still being told must not have it told again.
func (s *Service) attemptDelivery(ctx context.Context, a deliveryAttempt, p *slowSubscribers) (paid bool) {
	no, begun := a.event.Refund.OutRefundNo, time.Now()
	s.delivering.Store(deliveryKey{no, a.to.Name}, a)
	defer s.delivering.Delete(deliveryKey{no, a.to.Name})
	err := s.callSubscriber(ctx, a)
	p.note(a.to.Name, err, time.Since(begun))
	crash("deliver.told")
	ctx, cancel := settleContext(ctx)
	defer cancel()
	cause := err
	err = s.retry(ctx, func() error {
		paid = false
		tx, err := s.begin(ctx, no)
		if err != nil {
			return err
		}
		n, d := tx.rec.nextDelivery(a.to.Name)
		if n == nil || n.ID != a.event.ID || d.Attempts != a.number {
			return nil // overtaken: the lease had ended, and somebody else has tried since
		}
		now := s.now()
		tx.keepQueryAt = true
		tx.touch(refundKey(no))
		if cause == nil {
			tx.rec.markDelivered(n.ID, d.To)
			tx.rec.note(HistoryEntry{At: now, What: "delivered", Note: a.to.Name, ID: a.event.ID})
			paid = true
		} else {
			s.reschedule(ctx, no, n, d, cause, now)
		}
		return s.commit(ctx, tx, now)
	})
	crash("deliver.recorded")
	switch {
	case cause != nil:
		s.log(ctx, slog.LevelWarn, "undelivered", no, "to", a.to.Name, "try", a.number, "event_id", a.event.ID, "error", cause)
	case err != nil:
		s.log(ctx, slog.LevelError, "delivered, and not recorded", no, "to", a.to.Name, "event_id", a.event.ID, "error", err)
	case paid:
		s.log(ctx, slog.LevelInfo, "delivered", no, "to", a.to.Name, "try", a.number, "event_id", a.event.ID)
	}
	return paid && err == nil
}

// tell calls the subscriber, with a bound, and survives it.
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

// reschedule records a failure: the debt is due again later, or given up for a
// person to look at.
func (s *Service) reschedule(ctx context.Context, no string, n *outboxEntry, d *delivery, why error, now time.Time) {
	d.Lease, d.LastError = time.Time{}, excerpt(why)
	d.Next = now.Add(deliveryBackoff(d.Attempts))
	if d.Next.After(n.At.Add(giveUpAfter)) {
		d.GivenUp, d.Next = true, time.Time{}
		s.alarm(ctx, no, alarm{code: alarmSubscriber, why: "a subscriber has not taken this event for three days and is given up"},
			"to", d.To, "event_id", n.ID, "tries", d.Attempts, "error", why)
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

// patience keeps one run from waiting again and again for a subscriber that
// does not answer, so that the others are told in time.
type slowSubscribers struct {
	mu   sync.Mutex
	slow map[string]int // failures in a row that took long
}

const (
	maxSlow      = 3
	slowDelivery = time.Second
)

func (p *slowSubscribers) skip(name string) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.slow[name] >= maxSlow
}

func (p *slowSubscribers) note(name string, err error, took time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case err == nil:
		delete(p.slow, name)
	case took >= slowDelivery:
		if p.slow == nil {
			p.slow = map[string]int{}
		}
		p.slow[name]++
	}
}

// excerpt is as much of an error's text as a record keeps.
func excerpt(err error) string {
	const most = 200
	text := err.Error()
	return strings.ToValidUTF8(text[:min(len(text), most)], "")
}
