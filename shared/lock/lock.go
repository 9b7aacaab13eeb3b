// Package lock has a mutex that a context can stop waiting for.
package lock

import (
	"context"
	"sync"
)

// A Mutex is a mutual exclusion lock, as [sync.Mutex] is, whose waiting ends with
// a context: what waits for an upstream or a database must keep its deadline. The
// zero value is unlocked. A Mutex must not be copied after first use.
type Mutex struct {
	once sync.Once
	held chan struct{} // full while somebody holds the lock
}

// Lock locks m. The error is the context's, and then m is not held.
func (m *Mutex) Lock(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	select {
	case m.slot() <- struct{}{}:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// TryLock locks m if nobody holds it, and says whether it did.
func (m *Mutex) TryLock() bool {
	select {
	case m.slot() <- struct{}{}:
		return true
	default:
		return false
	}
}

// Unlock gives m to the next. It panics if m is not locked.
func (m *Mutex) Unlock() {
	select {
	case <-m.slot():
	default:
		panic("lock: Unlock of an unlocked Mutex")
	}
}

func (m *Mutex) slot() chan struct{} {
	m.once.Do(func() { m.held = make(chan struct{}, 1) })
	return m.held
}
