package world

import (
	"container/heap"
	"context"
	"sync"
	"time"
)

// maxInFlight bounds the notifications that are being sent at a time. When receivers
// hang, the rest waits its turn.
const maxInFlight = 64

// A task is something that WeChat Pay is going to do: settle a refund or send a
// notification.
type task struct {
	at       time.Time
	turn     int // of two tasks at the same time, which comes first
	refund   *refund
	delivery *delivery
}

// stale tells that the task was overtaken: what it is about has happened
// already, or is to happen at another time.
func (e task) stale() bool {
	if e.refund != nil {
		return !e.refund.due.Equal(e.at)
	}
	return !e.delivery.next.Equal(e.at)
}

// A taskQueue is a heap of tasks, the earliest first. Tasks are not taken out when
// they are overtaken, but skipped when their time comes.
type taskQueue []task

func (q taskQueue) Len() int { return len(q) }
func (q taskQueue) Less(i, j int) bool {
	if q[i].at.Equal(q[j].at) {
		return q[i].turn < q[j].turn
	}
	return q[i].at.Before(q[j].at)
}
func (q taskQueue) Swap(i, j int) { q[i], q[j] = q[j], q[i] }
func (q *taskQueue) Push(e any)   { *q = append(*q, e.(task)) }
func (q *taskQueue) Pop() any {
	e := (*q)[len(*q)-1]
	(*q)[len(*q)-1] = task{}
	*q = (*q)[:len(*q)-1]
	return e
}

// plan puts a task into the queue. w.mu is held.
func (w *World) plan(e task) {
	w.turns++
	e.turn = w.turns
	heap.Push(&w.tasks, e)
	signal(w.wake)
}

// next returns the earliest task and leaves it there. w.mu is held.
func (w *World) next() (task, bool) {
	for len(w.tasks) > 0 && w.tasks[0].stale() {
		heap.Pop(&w.tasks)
	}
	if len(w.tasks) == 0 {
		return task{}, false
	}
	return w.tasks[0], true
}

// doNext does the earliest task if it is due by t. A notification is not sent yet:
// the caller must give the sending that is returned, if one is, to [World.send].
func (w *World) doNext(t time.Time) (s *sending, done bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	e, ok := w.next()
	if !ok || e.at.After(t) || w.inFlight >= maxInFlight {
		return nil, false
	}
	heap.Pop(&w.tasks)
	if e.refund != nil {
		w.settle(e.refund, StatusSuccess, false)
		return nil, true
	}
	return w.startSend(e.delivery, false), true
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
func (w *World) Run(ctx context.Context) error {
	defer w.end()
	var sends sync.WaitGroup
	defer sends.Wait()
	for {
		wait, ok := w.runDue(ctx, &sends)
		if !ok {
			return nil
		}
		timer := time.NewTimer(wait)
		select {
		case <-ctx.Done():
			timer.Stop()
			return nil
		case <-w.wake:
			timer.Stop()
		case <-timer.C:
		}
	}
}

// runDue does all that is due and returns how long there is nothing to do.
func (w *World) runDue(ctx context.Context, sends *sync.WaitGroup) (time.Duration, bool) {
	if w.stepping.Lock(ctx) != nil {
		return 0, false
	}
	defer w.stepping.Unlock()
	for {
		s, done := w.doNext(w.clock.now())
		if s != nil {
			sends.Go(func() { w.send(ctx, s) })
		}
		if done {
			continue
		}
		w.mu.Lock()
		defer w.mu.Unlock()
		e, ok := w.next()
		if !ok || w.inFlight >= maxInFlight {
			return time.Hour, true // the end of a send or a new task wakes us
		}
		return w.clock.until(e.at), true
	}
}

// advanceBudget bounds how long, in real time, moving the clock may take. A
// receiver that hangs costs five seconds a send; this is enough for one notification's
// whole schedule.
const advanceBudget = 90 * time.Second

// An Advance tells what moving the clock did.
type Advance struct {
	Now      string `json:"now"`
	Advanced string `json:"advanced"`
	Settled  int    `json:"settled"`
	Sent     int    `json:"sent"`
	Complete bool   `json:"complete"` // false: time ran out, and the clock stands where it got
}

// Advance moves the virtual clock on by d. It does not jump: the clock is set to
// each task in turn, and what that brings about (the answer to a notification,
// the repeat of it) has happened before the next is looked at. So a day's
// schedule happens in its order and at its times, in no more real time than the
// answers take.
func (w *World) Advance(ctx context.Context, d time.Duration) Advance {
	ctx, cancel := context.WithTimeout(ctx, advanceBudget)
	defer cancel()
	defer context.AfterFunc(w.ended, cancel)()
	if w.stepping.Lock(ctx) != nil {
		return Advance{Now: Stamp(w.clock.now())}
	}
	defer func() { w.stepping.Unlock(); signal(w.wake) }()

	w.awaitSends(ctx) // before the clock stops: what is being sent began at another time
	start := w.clock.freeze()
	defer w.clock.thaw()
	target := start.Add(d)
	var out Advance
	for ctx.Err() == nil {
		w.mu.Lock()
		e, ok := w.next()
		w.mu.Unlock()
		if !ok || e.at.After(target) {
			if w.awaitSends(ctx) { // somebody sent something by hand meanwhile, and it may have to be repeated
				continue
			}
			w.clock.set(target)
			out.Complete = ctx.Err() == nil
			break
		}
		w.clock.set(e.at)
		s, done := w.doNext(w.clock.now())
		switch {
		case s != nil:
			out.Sent++
			w.send(ctx, s)
		case done:
			out.Settled++
		default:
			w.awaitSends(ctx)
		}
	}
	now := w.clock.now()
	out.Now, out.Advanced = Stamp(now), now.Sub(start).String()
	return out
}

// awaitSends waits until nothing is being sent, and tells whether it had to.
func (w *World) awaitSends(ctx context.Context) bool {
	waited := false
	for {
		w.mu.Lock()
		n := w.inFlight
		w.mu.Unlock()
		if n == 0 {
			return waited
		}
		waited = true
		select {
		case <-w.finished:
		case <-ctx.Done():
			return waited
		}
	}
}
