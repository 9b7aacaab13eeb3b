package exhaust

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"sync"
	"time"

	"wxrefund/shared/refund"
)

// An actor is one process while it answers one call. Its goroutines wait for their turn
// before whatever can be noticed outside.
type actor struct {
	r    *run
	name string
	wish int // of a client's call; -1
	dead bool
	done bool
	sum  digest // of all that it has been told: what it does next follows from that
	last string // its last read, and what the world was then

	mu     sync.Mutex
	parked []*thread
}

// A thread is a goroutine that waits for its turn.
type thread struct {
	a     *actor
	what  string // sorted by it
	point bool   // others may come first
	turn  chan bool
}

// await waits until it is the goroutine's turn. That of a dead process never comes.
func (a *actor) await(what string, point bool) {
	if a.dead || a.r.ending {
		runtime.Goexit()
	}
	t := &thread{a, what, point, make(chan bool)}
	a.mu.Lock()
	a.parked = append(a.parked, t)
	a.mu.Unlock()
	if !<-t.turn {
		runtime.Goexit()
	}
}

// threads are those that wait, in an order that does not depend on luck.
func (a *actor) threads() []*thread {
	a.mu.Lock()
	defer a.mu.Unlock()
	slices.SortStableFunc(a.parked, func(x, y *thread) int { return strings.Compare(x.what, y.what) })
	return slices.Clone(a.parked)
}

// release lets a goroutine go on, or end.
func (a *actor) release(t *thread, on bool) {
	a.mu.Lock()
	a.parked = slices.DeleteFunc(a.parked, func(u *thread) bool { return u == t })
	a.mu.Unlock()
	t.turn <- on
}

// crash ends the process, and this goroutine with it.
func (a *actor) crash() {
	a.dead = true
	a.r.say("%s dies", a.name)
	runtime.Goexit()
}

// learns notes what the actor has been told.
func (a *actor) learns(s string) { a.sum.text(s) }

// silent reports whether an item has nothing to do with money: nobody's turn depends on it.
func silent(k refund.Key) bool {
	s := string(k)
	return k == refund.OwnershipKey || strings.HasPrefix(s, "reconcile/") || strings.HasPrefix(s, "limit/") || strings.HasPrefix(s, "alarm/") || s == "classes"
}

// memory is the ledger as an actor reaches it.
type memory struct{ *actor }

var errUnknown = errors.New("exhaust: the ledger does not say whether it has written that")

func (l memory) Get(_ context.Context, keys ...refund.Key) ([]refund.Item, error) {
	if !slices.ContainsFunc(keys, func(k refund.Key) bool { return !silent(k) }) {
		return l.r.w.items.get(keys)
	}
	what := fmt.Sprint("reads ", keys)
	now := fmt.Sprint(what, l.r.changes)
	l.await(what, l.last != now) // who looks again at what has not changed is not overtaken anew
	l.last = fmt.Sprint(what, l.r.changes)
	items, err := l.r.w.items.get(keys)
	for _, it := range items {
		l.sum.int(int64(l.r.x.itemDigest(it))) // #nosec G115 -- its bits
		l.sum.int(it.Version)
	}
	return items, err
}

func (l memory) Commit(_ context.Context, items ...refund.Item) error {
	if !slices.ContainsFunc(items, func(it refund.Item) bool { return !silent(it.Key) }) {
		return l.r.w.items.commit(items)
	}
	l.await("writes "+string(items[0].Key), true)
	choices := []string{"written"}
	if l.r.w.trouble > 0 {
		choices = append(choices, "written, and dies", "written, and nobody hears", "lost")
		if l.r.x.scenario.freeze {
			choices = append(choices, "written, and stands still")
		}
	}
	c := choices[l.r.pick(len(choices))]
	if c != "written" {
		l.r.w.trouble--
	}
	if c == "lost" {
		l.r.say("%s: a commit is lost on its way", l.name)
		l.learns(c)
		return errUnknown
	}
	if err := l.r.w.items.commit(items); err != nil {
		l.learns("stale")
		l.r.say("%s: somebody else was faster", l.name)
		return err
	}
	l.r.changes++
	l.r.committed(l.actor, items)
	switch c {
	case "written, and dies":
		l.crash()
	case "written, and nobody hears":
		l.r.say("%s: the ledger has written it, and the answer is lost", l.name)
		l.learns(c)
		return errUnknown
	case "written, and stands still":
		l.r.say("%s: the process stands still for twenty minutes", l.name)
		l.r.w.now = l.r.w.now.Add(20 * time.Minute)
		time.Sleep(20 * time.Minute)
	}
	l.learns(c)
	return nil
}

func (l memory) List(_ context.Context, index refund.Index, cursor string, limit int) ([]refund.Item, string, error) {
	items, next, err := l.r.w.items.list(index, cursor, limit)
	for _, it := range items {
		if !silent(it.Key) {
			l.sum.int(int64(l.r.x.itemDigest(it))) // #nosec G115 -- its bits
		}
	}
	return items, next, err
}

func (l memory) Count(_ context.Context, index refund.Index) (int64, error) {
	places, err := l.r.w.items.listed(index, 0)
	return int64(len(places)), err
}

// begin starts a process.
func (r *run) begin(name string, wish int, serve func(s *refund.Service, a *actor)) {
	a := &actor{r: r, name: name, wish: wish}
	a.sum.h.SetSeed(r.x.seed)
	a.learns(name)
	s := &refund.Service{
		Channel: wire{a}, Ledger: memory{a}, Merchant: merchant, Pace: r.x.scenario.least(), NoBill: !r.x.scenario.bill,
		Now: func() time.Time { return r.w.now }, Policy: r.x.scenario.policy,
		Subscribers: []refund.Subscriber{{Name: "shop", Tell: a.tell}},
	}
	if r.x.scenario.nobody {
		s.Subscribers = nil
	}
	r.stack = append(r.stack, a)
	go func() {
		defer func() { a.done = true }()
		serve(s, a)
	}()
}

var merchant = refund.Merchant{MchID: "1900000109"}
