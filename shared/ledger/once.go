package ledger

import (
	"context"
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
