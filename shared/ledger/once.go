package ledger

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"

	"wxrefund/shared/lock"
)

// A once has something done before a store's first call, once. Unlike [sync.Once]
// it is tried again by the next call if it failed, and a context ends the wait for
// another caller's attempt. The zero value is ready.
type once struct {
	done atomic.Bool
	mu   lock.Mutex
}

func (o *once) do(ctx context.Context, f func() error) error {
	if o.done.Load() {
		return nil
	}
	if err := o.mu.Lock(ctx); err != nil {
		return err
	}
	defer o.mu.Unlock()
	if o.done.Load() {
		return nil
	}
	err := f()
	o.done.Store(err == nil)
	return err
}

// A gate is what calls go in by of a store that is more than a connection: they wait for
// what has to be done before the first of them, and none comes in once it is closed. The
// zero value is open.
type gate struct {
	marker once

	mu     sync.RWMutex // held for reading by each call
	closed bool
}

// enter begins a call; the caller ends it by leave if there is no error. Before the first
// one first is done.
func (g *gate) enter(ctx context.Context, first func() error) (leave func(), err error) {
	g.mu.RLock()
	if g.closed {
		err = errors.New("the ledger is closed")
	} else {
		err = g.marker.do(ctx, first)
	}
	if err != nil {
		g.mu.RUnlock()
		return nil, err
	}
	return g.mu.RUnlock, nil
}

// shut waits for running calls, and lets none in any more.
func (g *gate) shut() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.closed = true
}
