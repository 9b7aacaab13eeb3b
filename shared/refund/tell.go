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

// errNobody is why a debt cannot be paid whose subscriber is not configured.
var errNobody = errors.New("no subscriber of this name is configured")

// subscribers are those whom this function can tell.
func (s *Service) subscribers() []Subscriber {
	if s.OnSettled == nil {
		return s.Subscribers
	}
	return append(slices.Clone(s.Subscribers), Subscriber{Name: ownCode, Tell: s.OnSettled})
}

// creditors are those to whom settling owes event. What a function cannot know,
// whether others have code of the merchant's own, is owed and found out by them.
func (s *Service) creditors() []string {
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
	_, delivered = s.deliver(ctx, outRefundNo, &patience{})
	return delivered
}

func (s *Service) deliver(ctx context.Context, no string, p *patience) (tried, delivered int) {
	for range maxNotices { // event of one refund follow each other
		tries, err := s.takeDebts(ctx, no, p)
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
				defer s.survive(ctx, no)
				paid[i] = s.try(ctx, t, p)
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

// A debtKey names what one subscriber is owed about one refund.
type debtKey struct{ no, to string }

// A try is one debt that this function has taken upon itself to pay.
type try struct {
	event  Event
	to     Subscriber
	number int
}

// takeDebts leases what is due, in one commit, so that nobody else tells it meanwhile.
func (s *Service) takeDebts(ctx context.Context, no string, p *patience) (tries []try, err error) {
	if left := timeLeft(ctx); left < tellAtLeast {
		return nil, nil
	}
	subs := s.subscribers()
	err = s.retry(ctx, func() error {
		tries = nil
		b, err := s.read(ctx, no)
		if err != nil {
			return err
		}
		now := s.now()
		for _, name := range b.rec.tellNow(now, p) {
			if _, busy := s.telling.Load(debtKey{no, name}); busy {
				continue
			}
			n, d := b.rec.owed(name)
			b.told = true
			b.touch(refundKey(no))
			i := slices.IndexFunc(subs, func(sub Subscriber) bool { return sub.Name == name })
			switch {
			case i >= 0:
				d.Tries++
				d.Lease = now.Add(lease)
				event := Event{ID: n.ID, At: n.At, Status: n.Refund.Status, Merchant: s.Merchant, Refund: n.Refund}
				tries = append(tries, try{event, subs[i], d.Tries})
			case name == ownCode: // owed by a function that could not know that there is none
				b.rec.forgive(name)
			default:
				d.Tries++
				s.putOff(ctx, no, n, d, errNobody, now)
			}
		}
		return s.commit(ctx, b, now)
	})
	return tries, err
}

// try tells one subscriber and records what came of it at once: a crash while
// others are still being told must not have it told again.
func (s *Service) try(ctx context.Context, t try, p *patience) (paid bool) {
	no, begun := t.event.Refund.OutRefundNo, time.Now()
	s.telling.Store(debtKey{no, t.to.Name}, t)
	defer s.telling.Delete(debtKey{no, t.to.Name})
	err := s.tell(ctx, t)
	p.note(t.to.Name, err, time.Since(begun))
	crash("deliver.told")
	ctx, cancel := settleContext(ctx)
	defer cancel()
	cause := err
	err = s.retry(ctx, func() error {
		paid = false
		b, err := s.read(ctx, no)
		if err != nil {
			return err
		}
		n, d := b.rec.owed(t.to.Name)
		if n == nil || n.ID != t.event.ID || d.Tries != t.number {
			return nil // overtaken: the lease had ended, and somebody else has tried since
		}
		now := s.now()
		b.told = true
		b.touch(refundKey(no))
		if cause == nil {
			b.rec.pay(n.ID, d.To)
			b.rec.note(HistoryEntry{At: now, What: "delivered", Note: t.to.Name, ID: t.event.ID})
			paid = true
		} else {
			s.putOff(ctx, no, n, d, cause, now)
		}
		return s.commit(ctx, b, now)
	})
	crash("deliver.recorded")
	switch {
	case cause != nil:
		s.log(ctx, slog.LevelWarn, "undelivered", no, "to", t.to.Name, "try", t.number, "event_id", t.event.ID, "error", cause)
	case err != nil:
		s.log(ctx, slog.LevelError, "delivered, and not recorded", no, "to", t.to.Name, "event_id", t.event.ID, "error", err)
	case paid:
		s.log(ctx, slog.LevelInfo, "delivered", no, "to", t.to.Name, "try", t.number, "event_id", t.event.ID)
	}
	return paid && err == nil
}

// tell calls the subscriber, with a bound, and survives it.
func (s *Service) tell(ctx context.Context, t try) (err error) {
	end := time.Now().Add(tellTime)
	if d, ok := ctx.Deadline(); ok && d.Add(-tellAtLeast/2).Before(end) {
		end = d.Add(-tellAtLeast / 2) // what is left is for the record
	}
	ctx, cancel := context.WithDeadline(ctx, end)
	defer cancel()
	defer func() {
		if p := recover(); p != nil {
			s.log(ctx, slog.LevelError, "panic", t.event.Refund.OutRefundNo, "to", t.to.Name, "type", fmt.Sprintf("%T", p), "stack", string(debug.Stack()))
			err = errors.New("the subscriber panicked")
		}
	}()
	return t.to.Tell(ctx, t.event)
}

// putOff records a failure: the debt is due again later, or given up for a
// person to look at.
func (s *Service) putOff(ctx context.Context, no string, n *notice, d *debt, why error, now time.Time) {
	d.Lease, d.Why = time.Time{}, excerpt(why)
	d.Next = now.Add(tellAfter(d.Tries))
	if d.Next.After(n.At.Add(tellFor)) {
		d.Lost, d.Next = true, time.Time{}
		s.alarm(ctx, no, alarm{code: alarmSubscriber, why: "a subscriber has not taken this event for three days and is given up"},
			"to", d.To, "event_id", n.ID, "tries", d.Tries, "error", why)
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
	return tellTime
}

// patience keeps one run from waiting again and again for a subscriber that
// does not answer, so that the others are told in time.
type patience struct {
	mu   sync.Mutex
	slow map[string]int // failures in a row that took long
}

const (
	maxSlow  = 3
	slowTell = time.Second
)

func (p *patience) exhausted(name string) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.slow[name] >= maxSlow
}

func (p *patience) note(name string, err error, took time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case err == nil:
		delete(p.slow, name)
	case took >= slowTell:
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
