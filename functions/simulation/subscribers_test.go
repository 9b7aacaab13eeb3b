package simulation_test

import (
	"cmp"
	"context"
	"errors"
	"math/rand/v2"
	"slices"

	"wxrefund/shared/refund"
)

var errSubscriber = errors.New("simulation: the subscriber fails")

// drawSubscribers draws who receives events, and what befalls them. Its randomness is
// apart from the rest, so that seeds keep their histories.
func (h *history) drawSubscribers(r *rand.Rand) {
	h.Subscribers = pick(r, nil, []string{"scf:shop"}, []string{"scf:shop", "webhook"}, []string{"scf:shop", "webhook"})
	if r.IntN(3) == 0 {
		h.Subscribers = append(slices.Clone(h.Subscribers), refund.OwnCode)
	}
	for range r.IntN(3) {
		from := span(r, 0, h.Heal/2)
		h.fault(from, from+span(r, h.Heal/100, h.Heal/2), pick(r, 0.3, 0.7, 1), pick(r, "subscriber fails", "subscriber slow", "subscriber cut"))
	}
}

// deliverEvent is what a subscriber makes of an event: it may fail, be slow, or take
// it while its answer is lost.
func (c *call) deliverEvent(ctx context.Context, name string, n refund.Event) error {
	no, _ := about(n)
	c.delivers(name)
	if c.cross(no, "before telling") {
		return errCrashed
	}
	r := c.luck(no, "ear")
	beats := r.IntN(3)
	if c.w.applies(r, "subscriber slow") {
		beats += r.IntN(60)
	}
	end := c.w.invariants.delivering(c, name, n)
	defer end()
	if err := c.w.wait(ctx, c.phase(no), beats); err != nil {
		return err
	}
	switch {
	case c.crashed():
		return errCrashed
	case c.w.applies(r, "subscriber fails"):
		c.w.logf(c.name, "delivers %s to %s: it fails", no, name)
		return errSubscriber
	}
	c.w.invariants.taken(c, name, n)
	if c.cross(no, "after telling") {
		return errCrashed
	}
	if c.w.applies(r, "subscriber cut") {
		c.w.logf(c.name, "delivers %s to %s: its answer is lost", no, name)
		return errSubscriber
	}
	return nil
}

// An owedDelivery is one event that the ledger has owed somebody.
type owedDelivery struct {
	no, id, status, to string
	settled            bool // the ledger owes it no more
	taken              int  // how often the subscriber took it
	running            int  // deliveries under way
}

// owedDelivery finds what is owed to a subscriber; nil: nothing ever was. v.mu is held.
func (v *invariants) owedDelivery(id, to string) *owedDelivery {
	for _, b := range v.deliveries {
		if b.id == id && b.to == to {
			return b
		}
	}
	return nil
}

// delivering notes that a delivery is under way until end is called (D3).
func (v *invariants) delivering(c *call, name string, n refund.Event) (end func()) {
	v.mu.Lock()
	defer v.mu.Unlock()
	b := v.owedDelivery(n.ID, name)
	if !v.judge("I6 what is delivered is in the ledger", b != nil, "%s receives %s, which is not", name, n.ID) {
		return func() {}
	}
	if b.running++; v.w.history.Skew == 0 {
		v.judge("D3 an event is delivered by one at a time", b.running == 1, "%s receives %s %d times at once (%s)", name, n.ID, b.running, c.name)
	}
	return func() {
		v.mu.Lock()
		defer v.mu.Unlock()
		b.running--
	}
}

// taken checks what a subscriber takes (I6): only what is durable and still owed,
// and of one refund everything in its order.
func (v *invariants) taken(c *call, name string, n refund.Event) {
	no, status := about(n)
	v.w.logf(c.name, "DELIVERS %s to %s: %s", no, name, status)
	v.w.count("deliveries", 1)
	u, held := v.w.upstream(no)
	const says = "%s of %s to %s: %v"
	v.mu.Lock()
	defer v.mu.Unlock()
	row := v.rows[no]
	v.judge("I9 no subscriber is told of another's refund as ours", !row.Taken && (!held || row.Foreign || row.Request.about(u)), says, status, no, name, u)
	b := v.owedDelivery(n.ID, name)
	if b == nil { // see [invariants.delivering]
		return
	}
	v.judge("I6 an event tells what is owed", b.status == status, says, status, no, name, b.status)
	if v.w.history.Skew == 0 {
		v.judge("I6 an event is owed still", !b.settled, says, status, no, name, "no more")
	}
	overtakes := slices.ContainsFunc(v.deliveries[:slices.Index(v.deliveries, b)], func(earlier *owedDelivery) bool {
		return earlier.no == b.no && earlier.to == name && !earlier.settled
	})
	v.judge("I6 events come in order", !overtakes, says, status, no, name, "overtakes another")
	if b.taken++; b.taken > 1 {
		v.w.count("deliveries repeated after a lost answer", 1)
	}
}

// about is what an event is about: a refund, or an application.
func about(n refund.Event) (no, status string) {
	if n.Application != nil {
		return n.Application.ID, string(n.Application.State)
	}
	return n.Refund.OutRefundNo, string(n.Status)
}

// owes compares what a commit of a refund leaves owed with what was owed before:
// whatever settles is owed in the same commit, and nothing is dropped that
// nobody took.
func (v *invariants) owes(c *call, no string, before, next refundRow) {
	settles := next.State != before.State && (next.State == "success" || next.State == "closed" || next.State == "abnormal")
	v.mu.Lock()
	defer v.mu.Unlock()
	fresh := v.notices(no, next.Notices)
	if next.Silent {
		v.judge("I12 nobody is owed what nobody is told of", fresh == 0, "%s is owed to %d (%s)", no, fresh, c.name)
	} else if settles {
		v.judge("I6 an end is owed to every subscriber", fresh >= len(v.w.history.Subscribers), "%s is owed to %d (%s)", no, fresh, c.name)
	}
}

// notices compares the events that an item of the ledger has with those that it had, and
// counts the new ones: nothing is dropped that nobody took. v.mu is held.
func (v *invariants) notices(no string, now notices) (fresh int) {
	for _, n := range now {
		for _, d := range n.Owed {
			if v.owedDelivery(n.ID, d.To) == nil {
				v.deliveries = append(v.deliveries, &owedDelivery{no: no, id: n.ID, status: cmp.Or(n.Application.State, n.Refund.Status), to: d.To})
				fresh++
			}
			v.judge("I6 nobody is given up", !d.Lost, "%s, to whom %s is owed", d.To, no)
		}
	}
	for _, b := range v.deliveries {
		if b.no != no || b.settled || now.owed(b.id, b.to) {
			continue
		}
		b.settled = true
		v.judge("I6 nothing is dropped that nobody took", b.taken > 0 || !slices.Contains(v.w.history.Subscribers, b.to), "%s of %s, for %s", b.status, no, b.to)
	}
	return fresh
}

// owed reports whether an event is still owed to somebody.
func (all notices) owed(id, to string) bool {
	for _, n := range all {
		for _, d := range n.Owed {
			if n.ID == id && d.To == to {
				return true
			}
		}
	}
	return false
}

// allDelivered checks the end: everybody has taken everything.
func (v *invariants) allDelivered() {
	v.mu.Lock()
	defer v.mu.Unlock()
	for _, b := range v.deliveries {
		v.w.count("deliveries owed", 1)
		if !v.judge("I6 all is delivered in the end", b.settled && (b.taken > 0 || !slices.Contains(v.w.history.Subscribers, b.to)), "%s of %s to %s is owed", b.status, b.no, b.to) {
			v.w.count("deliveries lost", 1)
		}
	}
}
