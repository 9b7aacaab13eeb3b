package sandbox

import (
	"container/heap"
	"context"
	"sync"
	"time"
)

// maxFlying bounds the notifications on their way at a time. When receivers
// hang, the rest waits its turn.
const maxFlying = 64

// An event is something that WeChat Pay is going to do: settle a refund or send
// a notification.
type event struct {
	at       time.Time
	turn     int // of two events at the same time, which comes first
	refund   *refund
	delivery *delivery
}

// stale tells that the event was overtaken: what it is about has happened
// already, or is to happen at another time.
func (e event) stale() bool {
	if e.refund != nil {
		return !e.refund.due.Equal(e.at)
	}
	return !e.delivery.next.Equal(e.at)
}

// An agenda is a heap of events, the earliest first. Events are not taken out
// when they are overtaken, but skipped when their time comes.
type agenda []event

func (a agenda) Len() int { return len(a) }
func (a agenda) Less(i, j int) bool {
	if a[i].at.Equal(a[j].at) {
		return a[i].turn < a[j].turn
	}
	return a[i].at.Before(a[j].at)
}
func (a agenda) Swap(i, j int) { a[i], a[j] = a[j], a[i] }
func (a *agenda) Push(e any)   { *a = append(*a, e.(event)) }
func (a *agenda) Pop() any {
	e := (*a)[len(*a)-1]
	(*a)[len(*a)-1] = event{}
	*a = (*a)[:len(*a)-1]
	return e
}

// plan puts an event on the agenda. s.mu is held.
func (s *Sandbox) plan(e event) {
	s.turns++
	e.turn = s.turns
	heap.Push(&s.agenda, e)
	signal(s.wake)
}

// next returns the earliest event and leaves it there. s.mu is held.
func (s *Sandbox) next() (event, bool) {
	for len(s.agenda) > 0 && s.agenda[0].stale() {
		heap.Pop(&s.agenda)
	}
	if len(s.agenda) == 0 {
		return event{}, false
	}
	return s.agenda[0], true
}

// take does the earliest event if it is due by t, but for the sending, which is
// left to the caller: the flight returned, if any, must be flown.
func (s *Sandbox) take(t time.Time) (f *flight, done bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	e, ok := s.next()
	if !ok || e.at.After(t) || s.flying >= maxFlying {
		return nil, false
	}
	heap.Pop(&s.agenda)
	if e.refund != nil {
		s.settle(e.refund, statusSuccess, false)
		return nil, true
	}
	return s.takeOff(e.delivery, false), true
}

// signal wakes whoever waits on c, or will.
func signal(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// Run settles refunds and sends notifications as the virtual clock reaches
// them, until ctx ends. It starts all the goroutines there are and returns when
// they have ended. It may be called once.
func (s *Sandbox) Run(ctx context.Context) error {
	defer s.end()
	var flights sync.WaitGroup
	defer flights.Wait()
	for {
		wait, ok := s.runDue(ctx, &flights)
		if !ok {
			return nil
		}
		timer := time.NewTimer(wait)
		select {
		case <-ctx.Done():
			timer.Stop()
			return nil
		case <-s.wake:
			timer.Stop()
		case <-timer.C:
		}
	}
}

// runDue does all that is due and returns how long there is nothing to do.
func (s *Sandbox) runDue(ctx context.Context, flights *sync.WaitGroup) (time.Duration, bool) {
	select {
	case s.stepping <- struct{}{}:
	case <-ctx.Done():
		return 0, false
	}
	defer func() { <-s.stepping }()
	for {
		f, done := s.take(s.clock.now())
		if f != nil {
			flights.Go(func() { s.fly(ctx, f) })
		}
		if done {
			continue
		}
		s.mu.Lock()
		defer s.mu.Unlock()
		e, ok := s.next()
		if !ok || s.flying >= maxFlying {
			return time.Hour, true // a landing or a new plan wakes us
		}
		return s.clock.until(e.at), true
	}
}

// advanceBudget bounds how long, in real time, moving the clock may take. A
// receiver that hangs costs five seconds a send; this is enough for one notification's
// whole schedule.
const advanceBudget = 90 * time.Second

// A journey tells what moving the clock did.
type journey struct {
	Now      string `json:"now"`
	Advanced string `json:"advanced"`
	Settled  int    `json:"settled"`
	Sent     int    `json:"sent"`
	Complete bool   `json:"complete"` // false: time ran out, and the clock stands where it got
}

// advance moves the virtual clock on by d. It does not jump: the clock is set to
// each event in turn, and what that brings about (the answer to a notification,
// the repeat of it) has happened before the next is looked at. So a day's
// schedule happens in its order and at its times, in no more real time than the
// answers take.
func (s *Sandbox) advance(ctx context.Context, d time.Duration) journey {
	ctx, cancel := context.WithTimeout(ctx, advanceBudget)
	defer cancel()
	defer context.AfterFunc(s.ended, cancel)()
	select {
	case s.stepping <- struct{}{}:
	case <-ctx.Done():
		return journey{Now: stamp(s.clock.now())}
	}
	defer func() { <-s.stepping; signal(s.wake) }()

	s.settleDown(ctx) // before the clock stops: what is on its way left at another time
	start := s.clock.freeze()
	defer s.clock.thaw()
	target := start.Add(d)
	var out journey
	for ctx.Err() == nil {
		s.mu.Lock()
		e, ok := s.next()
		s.mu.Unlock()
		if !ok || e.at.After(target) {
			if s.settleDown(ctx) { // somebody sent something by hand meanwhile, and it may have to be repeated
				continue
			}
			s.clock.set(target)
			out.Complete = ctx.Err() == nil
			break
		}
		s.clock.set(e.at)
		f, done := s.take(s.clock.now())
		switch {
		case f != nil:
			out.Sent++
			s.fly(ctx, f)
		case done:
			out.Settled++
		default:
			s.settleDown(ctx)
		}
	}
	now := s.clock.now()
	out.Now, out.Advanced = stamp(now), now.Sub(start).String()
	return out
}

// settleDown waits until nothing is on its way, and tells whether it had to.
func (s *Sandbox) settleDown(ctx context.Context) bool {
	waited := false
	for {
		s.mu.Lock()
		flying := s.flying
		s.mu.Unlock()
		if flying == 0 {
			return waited
		}
		waited = true
		select {
		case <-s.landed:
		case <-ctx.Done():
			return waited
		}
	}
}
