package world

import "container/list"

// A Recent remembers of each thing when it changed last. Whoever wants to keep up asks
// for what has changed since the revision that he has seen: that costs as much as has
// changed, however many things there are, and whoever comes late misses nothing. The
// zero value is ready. It needs a lock around it.
type Recent[T comparable] struct {
	revision int64
	order    list.List // of *change[T], the one that changed last in front
	of       map[T]*list.Element
}

type change[T comparable] struct {
	thing    T
	revision int64
}

// Touch notes that a thing has changed, or has come to be.
func (r *Recent[T]) Touch(thing T) {
	r.revision++
	if e := r.of[thing]; e != nil {
		e.Value.(*change[T]).revision = r.revision
		r.order.MoveToFront(e)
		return
	}
	if r.of == nil {
		r.of = map[T]*list.Element{}
	}
	r.of[thing] = r.order.PushFront(&change[T]{thing, r.revision})
}

// Revision counts the changes so far.
func (r *Recent[T]) Revision() int64 { return r.revision }

// Since returns what has changed after a revision, what changed first first. After 0 that
// is everything.
func (r *Recent[T]) Since(revision int64) []T {
	first := r.order.Front()
	for first != nil && first.Value.(*change[T]).revision > revision {
		first = first.Next()
	}
	var out []T
	e := r.order.Back() // all have changed
	if first != nil {
		e = first.Prev()
	}
	for ; e != nil; e = e.Prev() {
		out = append(out, e.Value.(*change[T]).thing)
	}
	return out
}
