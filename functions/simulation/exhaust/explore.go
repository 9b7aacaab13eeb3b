package exhaust

import (
	"context"
	"fmt"
	"hash/maphash"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"wxrefund/shared/refund"
)

// A Result is what has come of living through all histories of a scenario.
type Result struct {
	Paths  int // runs of the code
	States int // different worlds, with and without processes that run
	Broken []string
}

// An explorer lives through all histories of a scenario on one system.
type explorer struct {
	scenario *Scenario
	system   *system
	seed     maphash.Seed
	seen     map[uint64]struct{} // worlds in which nothing runs
	within   map[uint64]struct{} // those in which something does
	drained  map[uint64]struct{} // worlds from which both books come to agree
	rows     map[string]*row
	accounts map[string]*account
	digests  map[string]uint64
	mails    map[string]mail
	drains   bool
	start    time.Time // of the virtual time
	paths    int
}

// A node is a world and how it was reached.
type node struct {
	w      *world
	parent *node
	move   move
	picks  []pick
}

func (x *explorer) orders() []order { return x.scenario.orders }

// Explore lives through all histories of a scenario on a system.
func Explore(t *testing.T, name string, sc Scenario) (res Result) {
	if !sc.runsOn(systemOf(name)) {
		return res
	}
	keys() // before time is virtual
	synctest.Test(t, func(*testing.T) {
		x := &explorer{
			scenario: &sc, system: systemOf(name), seed: maphash.MakeSeed(), start: time.Date(2026, 11, 22, 2, 0, 0, 0, time.UTC), seen: map[uint64]struct{}{}, within: map[uint64]struct{}{}, drained: map[uint64]struct{}{},
			rows: map[string]*row{}, accounts: map[string]*account{}, digests: map[string]uint64{}, mails: map[string]mail{},
		}
		res.Broken = x.explore()
		res.Paths, res.States = x.paths, len(x.seen)+len(x.within)
	})
	return res
}

// explore returns the history that breaks something, the shortest; nil: there is none.
func (x *explorer) explore() []string {
	queue := []*node{{w: x.begin()}}
	for len(queue) > 0 {
		n := queue[0]
		queue = queue[1:]
		moves := (&run{x: x, w: n.w}).moves(false)
		for _, m := range moves {
			c := &chooser{}
			for more := true; more; more = c.advance() {
				r := &run{x: x, w: n.w.clone(), c: c}
				r.through(m)
				x.paths++
				if r.broken != "" {
					return x.history(&node{parent: n, move: m, picks: slices.Clone(c.picks[:c.next])}, false)
				}
				if r.pruned || !x.isNew(r.w) {
					continue
				}
				queue = append(queue, &node{w: r.w, parent: n, move: m, picks: slices.Clone(c.picks[:c.next])})
			}
		}
		if len(moves) == 0 || n.w.waits == 0 {
			if x.drain(n) != "" {
				return x.history(n, true)
			}
		}
		n.w = nil
	}
	return nil
}

func (x *explorer) isNew(w *world) bool {
	sum := x.sum(w)
	_, seen := x.seen[sum]
	x.seen[sum] = struct{}{}
	return !seen
}

func (x *explorer) sum(w *world) uint64 {
	var d digest
	d.h.SetSeed(x.seed)
	d.world(x, w, false)
	return d.h.Sum64()
}

// classesKey is where the ledger keeps that all items are listed under their classes. A
// new ledger has none that is not.
const classesKey = refund.Key("reconcile/classes")

// begin is the world in which nothing has happened yet.
func (x *explorer) begin() *world {
	w := &world{
		now: x.start, items: Items{classesKey: {Key: classesKey, Version: 1, Body: []byte(`{"passes":2}`)}}, trouble: x.scenario.Trouble, preempt: x.scenario.Overtakings, waits: x.scenario.Waits,
		done: make([]bool, len(x.scenario.acts)),
	}
	for _, wish := range x.scenario.wishes {
		w.clients = append(w.clients, client{left: wish.calls})
	}
	r := &run{x: x, w: w, c: &chooser{}}
	r.begin("nobody", -1, func(s *refund.Service, _ *actor) {
		if err := s.Bind(context.Background()); err != nil {
			panic(err)
		}
	})
	synctest.Wait()
	if x.scenario.bill { // those of all days before have been read
		drains := x.drains
		x.drains = true
		r.stack, w.waits, w.trouble, w.preempt = nil, 0, 0, 0
		r.through(move{kind: "timer"})
		for k := range w.items {
			if _, ok := trimmed(k, "bill/2"); ok {
				delete(w.items, k)
			}
		}
		x.drains, w.billed = drains, false
		w.trouble, w.preempt, w.waits = x.scenario.Trouble, x.scenario.Overtakings, x.scenario.Waits
	}
	return w
}

// history tells how a world was reached, in words.
func (x *explorer) history(last *node, drain bool) []string {
	var nodes []*node
	for n := last; n.parent != nil; n = n.parent {
		nodes = append(nodes, n)
	}
	slices.Reverse(nodes)
	w := x.begin()
	var lines []string
	x.within = map[uint64]struct{}{}
	for _, n := range nodes {
		r := &run{x: x, w: w, c: &chooser{picks: n.picks}, words: true}
		x.drains = true // nothing is pruned
		r.through(n.move)
		w = r.w
		lines = append(lines, r.lines...)
	}
	if drain {
		r := &run{x: x, w: w, c: &chooser{}, words: true}
		r.drain()
		lines = append(lines, r.lines...)
	}
	return lines
}

// drain lets all trouble end, and says what both books do not agree about then.
func (x *explorer) drain(n *node) string {
	x.drains = true
	defer func() { x.drains = false }()
	r := &run{x: x, w: n.w.clone(), c: &chooser{}}
	return r.drain()
}

// maxDrain is more than any doubt takes to end.
const maxDrain = 400

func (r *run) drain() string {
	r.say("all trouble ends")
	w := r.w
	w.trouble, w.preempt, w.flying, w.letters = 0, 0, nil, nil
	var sums []uint64
	if r.x.scenario.bill {
		for range 3 {
			w.now = w.now.Add(24 * time.Hour)
			r.c = &chooser{}
			if r.through(move{kind: "timer"}); r.broken != "" {
				return r.broken
			}
		}
	}
	for range maxDrain {
		sum := r.x.sum(w)
		if _, ok := r.x.drained[sum]; ok {
			r.keep(sums)
			return ""
		}
		sums = append(sums, sum)
		for i, h := range w.refunds {
			if s := h.status(); s == refund.StatusProcessing || s == refund.StatusAbnormal {
				r.do(move{kind: "becomes", i: i, to: refund.StatusSuccess})
			}
		}
		w.letters = nil
		due, ok := w.due()
		if !ok {
			break
		}
		if due.After(w.now) {
			r.say("%v pass", due.Sub(w.now).Round(time.Second))
			w.now = due
		}
		r.c = &chooser{}
		r.through(move{kind: "timer"})
		if r.broken != "" {
			return r.broken
		}
	}
	if r.agree(); r.broken == "" {
		r.keep(sums)
	}
	return r.broken
}

func (r *run) keep(sums []uint64) {
	for _, s := range sums {
		r.x.drained[s] = struct{}{}
	}
}

// agree compares both books once all is quiet.
func (r *run) agree() {
	for _, it := range r.w.items {
		no, ok := it.RefundNo()
		if !ok {
			continue
		}
		row, h := r.x.row(it), r.w.held(no)
		switch {
		case row.State == "": // a number that waited for approval
		case row.State == "claimed":
			r.violates("%s stays in doubt", no)
		case h == nil && row.State != "rejected", h != nil && !row.Taken && row.State == "rejected":
			r.violates("in the end %s is %s in the ledger, and WeChat Pay says otherwise", no, row.State)
		case !it.Due.IsZero():
			r.violates("%s is never at rest", no)
		case len(row.Notices) > 0:
			r.violates("the subscriber is never told of %s", no)
		}
	}
	for _, h := range r.w.refunds {
		no := h.req.OutRefundNo
		if _, ok := r.w.items[refund.Key("refund/"+no)]; !ok && (!h.byHand || r.x.scenario.bill) {
			r.violates("in the end the ledger does not know %s", no)
		}
		if it, ok := r.w.items[refund.Key("refund/"+no)]; ok && !r.x.scenario.nobody && !r.x.row(it).Taken && !h.byHand {
			if !slices.ContainsFunc(r.w.told, func(t told) bool { return t.no == no && t.status == h.status() }) {
				r.violates("nobody was told that %s is %s", no, h.status())
			}
		}
	}
}

// String is the result as it is printed.
func (r Result) String() string { return fmt.Sprintf("%d paths, %d states", r.Paths, r.States) }

// A Killed rule is one that was taken out, and what that has led to.
type Killed struct {
	World string   // the scenario in which it was noticed; "": in none
	Paths int      // that were tried before
	Steps []string // the shortest history in which it was
}

// Kill looks for a history that breaks something, in the small worlds on the first system.
func Kill(t *testing.T) (k Killed) {
	for _, sc := range Scenarios(0) {
		res := Explore(t, Systems()[0], sc)
		if k.Paths += res.Paths; res.Broken != nil {
			k.World, k.Steps = sc.Name, res.Broken
			return k
		}
	}
	return k
}
