package ledger

import (
	"context"
	"sync/atomic"
)

// A latch has something done before a store's first call, once. What failed is
// tried again by the next call.
type latch struct {
	done atomic.Bool
	turn chan struct{} // holds the right to do it; unlike a mutex, a context ends the wait
}

func newLatch() *latch {
	l := &latch{turn: make(chan struct{}, 1)}
	l.turn <- struct{}{}
	return l
}

func (l *latch) once(ctx context.Context, do func() error) error {
	if l.done.Load() {
		return nil
	}
	select {
	case <-l.turn:
	case <-ctx.Done():
		return ctx.Err()
	}
	defer func() { l.turn <- struct{}{} }()
	if l.done.Load() {
		return nil
	}
	err := do()
	l.done.Store(err == nil)
	return err
}
