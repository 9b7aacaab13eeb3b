package world

// Changes are what has changed since a revision, as it stands at one time.
type Changes struct {
	Revision   int64 // what to ask with the next time
	Orders     []Order
	Refunds    []Refund
	Deliveries []Delivery
}

// ChangedSince returns what has changed since a revision, each thing once, what changed
// first first. Since 0 that is everything there is.
func (w *World) ChangedSince(revision int64) Changes {
	w.mu.Lock()
	defer w.mu.Unlock()
	out := Changes{Revision: w.recent.Revision()}
	for _, thing := range w.recent.Since(revision) {
		switch x := thing.(type) {
		case *order:
			out.Orders = append(out.Orders, x.snapshot())
		case *refund:
			out.Refunds = append(out.Refunds, x.snapshot())
		case *delivery:
			out.Deliveries = append(out.Deliveries, x.snapshot())
		}
	}
	return out
}

// touch notes what has changed, and tells whoever waits for changes. w.mu is held.
func (w *World) touch(things ...any) {
	for _, x := range things {
		w.recent.Touch(x)
	}
	w.Broadcast()
}

// About returns the notifications about a refund, the oldest first.
func (w *World) About(outRefundNo string) []Delivery {
	w.mu.Lock()
	defer w.mu.Unlock()
	var out []Delivery
	if r := w.refunds[outRefundNo]; r != nil {
		for _, d := range r.notices {
			out = append(out, d.snapshot())
		}
	}
	return out
}

// DeliveriesOf returns the deliveries that have the given IDs, in their order; an ID
// that none has is left out.
func (w *World) DeliveriesOf(ids ...string) []Delivery {
	w.mu.Lock()
	defer w.mu.Unlock()
	var out []Delivery
	for _, id := range ids {
		if d := w.deliveries[id]; d != nil {
			out = append(out, d.snapshot())
		}
	}
	return out
}
