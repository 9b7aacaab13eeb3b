package refund

import (
	"slices"
)

// attention stands behind the class of a refund that a person should look at.
const attention = "!"

// class is what the ledger lists a refund under: its state, marked while a person should
// look at it. Like the time beside it, it follows from the record alone, so that no
// passing of time makes it false.
func (r *record) class() string {
	if r.needsAttention() {
		return string(r.State) + attention
	}
	return string(r.State)
}

// needsAttention reports whether a person should look at the refund: at a cause of
// alarm that nobody has acknowledged, or at a delivery that was given up.
func (r *record) needsAttention() bool {
	return slices.ContainsFunc(r.Causes, func(c Cause) bool { return c.open() }) || r.gaveUp()
}

// gaveUp reports whether the delivery of an event was given up.
func (r *outbox) gaveUp() bool {
	return slices.ContainsFunc(r.Outbox, func(e outboxEntry) bool {
		return slices.ContainsFunc(e.Deliveries, func(d delivery) bool { return d.GivenUp })
	})
}

// listed puts an item that holds the record where it is listed.
func (r *record) listed(it Item) Item {
	it.Class, it.At = r.class(), r.ClaimedAt
	return it
}

// classes are what refunds in the given states are listed under, in all states if none is
// given; with marked, only those that a person should look at.
func classes(states []State, marked bool) []string {
	if len(states) == 0 {
		states = allStates()
	}
	var all []string
	for _, s := range states {
		if !marked {
			all = append(all, string(s))
		}
		all = append(all, string(s)+attention)
	}
	return all
}
