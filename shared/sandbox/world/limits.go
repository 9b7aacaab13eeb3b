package world

import (
	"sync"
	"time"
)

// A Limit is what is limited. Limits are per merchant and in real time, since they
// are about load and not about refunds.
type Limit int

// The limits.
const (
	LimitApply Limit = iota // applications
	LimitWrong              // applications that are refused
	LimitQuery
	limitOld // applications for orders older than a month
)

var limitTable = [...]struct {
	window time.Duration
	most   int
}{
	LimitApply: {time.Second, 150},
	LimitWrong: {time.Second, 6},
	LimitQuery: {time.Second, 300},
	limitOld:   {time.Minute, 5000},
}

// oldOrder is when an order counts as old.
const oldOrder = 30 * 24 * time.Hour

// limits count what happened in the present window of each limit. Windows begin
// on the clock, not with the first request, so nothing has to be remembered.
type limits struct {
	mu     sync.Mutex
	counts [len(limitTable)]struct {
		window int64
		n      int
	}
}

// exceeded counts one more and tells whether that is too much.
func (l *limits) exceeded(which Limit) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	c, limit := &l.counts[which], limitTable[which]
	if now := time.Now().UnixNano() / int64(limit.window); c.window != now {
		c.window, c.n = now, 0
	}
	c.n++
	return c.n > limit.most
}

// Exceeded counts one more of what is limited and tells whether that is too much.
func (w *World) Exceeded(which Limit) bool { return w.limits.exceeded(which) }
