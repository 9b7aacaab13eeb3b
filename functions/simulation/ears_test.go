package simulation_test

import (
	"context"
	"errors"
	"math/rand/v2"
	"slices"

	"wxrefund/shared/refund"
)

// ownEar is the part of the business that is the merchant's own Go code.
const ownEar = "go"

var errEar = errors.New("simulation: the subscriber fails")

// listeners draws who is told of refunds, and what befalls them. Its chance is
// apart from the rest, so that seeds keep their histories.
func (h *history) listeners(r *rand.Rand) {
	h.Ears = pick(r, nil, []string{"scf:shop"}, []string{"scf:shop", "webhook"}, []string{"scf:shop", "webhook"})
	if r.IntN(3) == 0 {
		h.Ears = append(slices.Clone(h.Ears), ownEar)
	}
	for range r.IntN(3) {
		from := span(r, 0, h.Heal/2)
		h.wind(from, from+span(r, h.Heal/100, h.Heal/2), pick(r, 0.3, 0.7, 1), pick(r, "ear deaf", "ear slow", "ear mute"))
	}
}

// hears is what a subscriber does when it is told: it may be deaf, slow, or take
// the event and not be heard to.
func (c *call) hear(ctx context.Context, ear string, n refund.Event) error {
	key := n.Refund.OutRefundNo + " to " + ear
	if c.cross(key, "before telling") {
		return errCrashed
	}
	r := c.luck(key, "ear")
	beats := r.IntN(3)
	if c.w.blows(r, "ear slow") {
		beats += r.IntN(60)
	}
	end := c.w.witness.telling(c, ear, n)
	defer end()
	if err := c.w.wait(ctx, c.phase(key), beats); err != nil {
		return err
	}
	switch {
	case c.crashed():
		return errCrashed
	case c.w.blows(r, "ear deaf"):
		c.w.tell(c.name, "tells %s: it is deaf", key)
		return errEar
	}
	c.w.witness.taken(c, ear, n)
	if c.cross(key, "after telling") {
		return errCrashed
	}
	if c.w.blows(r, "ear mute") {
		c.w.tell(c.name, "tells %s: its answer is lost", key)
		return errEar
	}
	return nil
}

// A bill is one event that the ledger has owed somebody.
type bill struct {
	no, id, status, to string
	paid               bool // the ledger owes it no more
	taken              int  // how often the subscriber took it
	under              int  // deliveries under way
}

// bill finds what is owed to an ear; nil: nothing ever was. v.mu is held.
func (v *witness) bill(id, to string) *bill {
	for _, b := range v.bills {
		if b.id == id && b.to == to {
			return b
		}
	}
	return nil
}

// telling notes that a delivery is under way until end is called (D3).
func (v *witness) telling(c *call, ear string, n refund.Event) (end func()) {
	v.mu.Lock()
	b := v.bill(n.ID, ear)
	if b == nil {
		v.mu.Unlock()
		v.violates("I6", "%s is told %s, which is not in the ledger", ear, n.ID)
		return func() {}
	}
	b.under++
	under := b.under
	v.mu.Unlock()
	if under > 1 && v.w.history.Skew == 0 {
		v.violates("D3", "%s is told %s %d times at once (%s)", ear, n.ID, under, c.name)
	}
	return func() {
		v.mu.Lock()
		defer v.mu.Unlock()
		b.under--
	}
}

// taken judges what a subscriber takes (I6): only what is durable and still owed,
// and of one refund everything in its order.
func (v *witness) taken(c *call, ear string, n refund.Event) {
	v.w.tell(c.name, "TELLS %s to %s: %s", n.Refund.OutRefundNo, ear, n.Status)
	v.w.count("event told", 1)
	v.mu.Lock()
	b := v.bill(n.ID, ear)
	var wrong []string
	switch {
	case b == nil:
	case b.status != string(n.Status):
		wrong = append(wrong, "is not what the ledger owes: "+b.status)
	case b.paid && v.w.history.Skew == 0:
		wrong = append(wrong, "is told although it was paid")
	}
	for _, earlier := range v.bills {
		if earlier == b {
			break
		}
		if b != nil && earlier.no == b.no && earlier.to == ear && !earlier.paid {
			wrong = append(wrong, "overtakes "+earlier.status)
		}
	}
	row := v.rows[n.Refund.OutRefundNo]
	again := b != nil && b.taken > 0
	if b != nil {
		b.taken++
	}
	v.mu.Unlock()
	if again {
		v.w.count("event told again after its answer was lost", 1)
	}
	if u, ok := v.w.upstream(n.Refund.OutRefundNo); row.Taken || ok && !row.Foreign && !row.Request.about(u) {
		wrong = append(wrong, "is of somebody else's refund")
	}
	for _, text := range wrong {
		v.violates("I6", "%s of %s to %s %s", n.Status, n.Refund.OutRefundNo, ear, text)
	}
}

// owes compares what a commit of a refund leaves owed with what was owed before:
// whatever settles is owed in the same commit, and nothing is struck off that
// nobody took.
func (v *witness) owes(c *call, no string, before, next refundRow) {
	settles := next.State != before.State && (next.State == "success" || next.State == "closed" || next.State == "abnormal")
	var wrong []string
	v.mu.Lock()
	fresh := 0
	for _, n := range next.Notices {
		for _, d := range n.Owed {
			if v.bill(n.ID, d.To) == nil {
				v.bills = append(v.bills, &bill{no: no, id: n.ID, status: n.Refund.Status, to: d.To})
				fresh++
			}
			if d.Lost {
				wrong = append(wrong, d.To+" is given up")
			}
		}
	}
	if want := len(v.w.history.Ears); settles && fresh < want {
		wrong = append(wrong, "it settles and is owed to too few")
	}
	for _, b := range v.bills {
		if b.no != no || b.paid || next.owed(b.id, b.to) {
			continue
		}
		b.paid = true
		if b.taken == 0 && slices.Contains(v.w.history.Ears, b.to) {
			wrong = append(wrong, "struck off for "+b.to+", who never took it")
		}
	}
	v.mu.Unlock()
	for _, text := range wrong {
		v.violates("I6", "%s: %s (%s)", no, text, c.name)
	}
}

// owed reports whether a row still owes an event to somebody.
func (r refundRow) owed(id, to string) bool {
	for _, n := range r.Notices {
		for _, d := range n.Owed {
			if n.ID == id && d.To == to {
				return true
			}
		}
	}
	return false
}

// allTold judges the end: everybody has taken everything.
func (v *witness) allTold() {
	var wrong []string
	v.mu.Lock()
	for _, b := range v.bills {
		v.w.counts["event owed"]++
		if !b.paid || b.taken == 0 && slices.Contains(v.w.history.Ears, b.to) {
			wrong = append(wrong, b.status+" of "+b.no+" to "+b.to)
		}
	}
	v.mu.Unlock()
	for _, text := range wrong {
		v.w.count("event lost", 1)
		v.violates("I6", "still owed at the end: %s", text)
	}
}
