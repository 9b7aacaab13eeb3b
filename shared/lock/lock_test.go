package lock

import (
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

func TestOneHolderAtATime(t *testing.T) {
	var m Mutex
	var wg sync.WaitGroup
	n := 0 // the race detector sees what the lock does not guard
	for range 50 {
		wg.Go(func() {
			if err := m.Lock(t.Context()); err != nil {
				t.Error(err)
				return
			}
			defer m.Unlock()
			n++
		})
	}
	wg.Wait()
	if n != 50 {
		t.Errorf("%d counted, want 50", n)
	}
}

func TestWaitingEndsWithTheContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var m Mutex
		if !m.TryLock() || m.TryLock() {
			t.Fatal("want the first attempt alone to succeed")
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := m.Lock(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("a lock that is held: %v, want the deadline", err)
		}
		m.Unlock()
		if err := m.Lock(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("a free lock and an ended context: %v, want the deadline", err)
		}
		if !m.TryLock() {
			t.Error("who gave up waiting holds the lock")
		}
	})
}

func TestUnlockOfAnUnlockedMutexPanics(t *testing.T) {
	defer func() {
		if recover() == nil {
			t.Error("no panic")
		}
	}()
	var m Mutex
	m.Unlock()
}
