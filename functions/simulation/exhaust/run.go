package exhaust

import (
	"fmt"
	"slices"
	"testing/synctest"
	"time"

	"wxrefund/shared/refund"
)

// A run goes from one world in which nothing runs to the next.
type run struct {
	x       *explorer
	w       *world
	c       *chooser
	stack   []*actor // those that live; the last one's turn it is
	changes int      // to whatever is outside
	words   bool     // lines are wanted
	lines   []string
	broken  string
	pruned  bool
	ending  bool
	asleep  time.Duration
	rows    map[string]*row // of refunds, as they were last written
}

func (r *run) pick(n int) int { return r.c.Pick(n) }

func (r *run) say(format string, args ...any) {
	if r.words {
		r.lines = append(r.lines, fmt.Sprintf(format, args...))
	}
}

func (r *run) violates(format string, args ...any) {
	if r.broken == "" {
		r.broken = fmt.Sprintf(format, args...)
		r.say("BROKEN: %s", r.broken)
	}
}

// through lives through a move and all that it begins.
func (r *run) through(m move) {
	r.rows = map[string]*row{}
	for _, it := range r.w.items {
		if no, ok := it.RefundNo(); ok && r.onRecord(no) != "" {
			r.rows[no] = r.x.row(it)
		}
	}
	r.do(m)
	for {
		r.bury()
		if len(r.stack) == 0 {
			break
		}
		if r.broken != "" || r.pruned {
			r.end()
			return
		}
		r.step()
	}
	if r.broken == "" {
		r.check()
	}
}

// bury waits until nobody runs, ends those that have died, and takes those that have ended
// from the stack.
func (r *run) bury() {
	synctest.Wait()
	for _, a := range r.stack {
		if a.dead {
			for _, t := range a.threads() {
				a.release(t, false)
			}
		}
	}
	synctest.Wait()
	r.stack = slices.DeleteFunc(r.stack, func(a *actor) bool { return a.done })
}

// end ends all that still runs.
func (r *run) end() {
	r.ending = true
	for pause := time.Millisecond; len(r.stack) > 0; pause *= 2 {
		for _, a := range r.stack {
			a.dead = true
		}
		r.bury()
		if len(r.stack) > 0 {
			time.Sleep(pause)
		}
	}
}

// step lets one goroutine go on to where it waits next.
func (r *run) step() {
	current := r.stack[len(r.stack)-1]
	threads := current.threads()
	if len(threads) == 0 { // it waits for time, which passes
		r.asleep = max(time.Millisecond, 2*r.asleep)
		time.Sleep(r.asleep)
		return
	}
	r.asleep = 0
	t := threads[0]
	if r.prune(t) {
		return
	}
	if t.point && r.w.preempt > 0 {
		others := r.others(threads)
		if i := r.pick(1 + len(others)); i > 0 {
			r.w.preempt--
			r.say("meanwhile:")
			others[i-1]()
			return
		}
	}
	t.a.release(t, true)
}

// others are what may come first.
func (r *run) others(threads []*thread) (all []func()) {
	for _, t := range threads[1:] {
		all = append(all, func() { t.a.release(t, true) })
	}
	for i, a := range r.stack[:len(r.stack)-1] {
		if len(a.threads()) > 0 {
			all = append(all, func() {
				r.stack = append(slices.Delete(r.stack, i, i+1), a)
				ts := a.threads()
				a.release(ts[0], true)
			})
		}
	}
	for _, m := range r.moves(true) {
		all = append(all, func() { r.do(m) })
	}
	return all
}

// prune ends the run if all of it has been before.
func (r *run) prune(t *thread) bool {
	if !r.c.fresh() || r.x.drains {
		return false
	}
	var d digest
	d.h.SetSeed(r.x.seed)
	d.world(r.x, r.w, true)
	for _, a := range r.stack {
		d.text(a.name)
		d.int(int64(a.sum.h.Sum64())) // #nosec G115 -- its bits
		for _, t := range a.threads() {
			d.text(t.what)
		}
	}
	d.text(t.what)
	d.bool(t.point)
	sum := d.h.Sum64()
	if _, seen := r.x.within[sum]; seen {
		r.pruned = true
		return true
	}
	r.x.within[sum] = struct{}{}
	return false
}

// committed looks at what was written.
func (r *run) committed(a *actor, items []refund.Item) {
	for _, it := range items {
		no, ok := it.RefundNo()
		if !ok {
			continue
		}
		row, before := r.x.row(r.w.items[it.Key]), r.rows[no]
		if row.State == "" {
			continue
		}
		if before == nil || row.Attempt > before.Attempt {
			r.checkClaim(no, row, before)
		}
		r.rows[no] = row
		for i := range r.w.told { // what the outbox has no longer, the subscriber is known to have
			if t := &r.w.told[i]; t.no == no && !slices.ContainsFunc(row.Notices, func(n notice) bool { return n.ID == t.id }) {
				t.heard = true
			}
		}
		if i := slices.IndexFunc(r.w.submitted, func(s sub) bool { return s.no == no }); i < 0 {
			r.w.submitted = append(r.w.submitted, sub{no, row.SentAt})
		} else {
			r.w.submitted[i].at = row.SentAt
		}
		r.say("%s: the ledger has %s as %s", a.name, no, row.words())
	}
	r.check()
}

// recorded is when a number was last submitted, by the ledger.
func (r *run) recorded(no string) time.Time {
	for _, s := range r.w.submitted {
		if s.no == no {
			return s.at
		}
	}
	r.violates("%s is sent and was never claimed", no)
	return r.w.now
}
