package metrics

import (
	"log/slog"
	"sync"
	"time"
)

// A tally is the time that calls have taken since it was last read. The zero value is empty.
type tally struct {
	mu sync.Mutex
	of [calls]timing
}

// A timing sums up one kind of call.
type timing struct {
	calls, failed int
	total, most   time.Duration
}

func (t *tally) add(c call, took time.Duration, failed bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	of := &t.of[c]
	of.calls++
	if failed {
		of.failed++
	}
	of.total += took
	of.most = max(of.most, took)
}

// take reads the tally and empties it.
func (t *tally) take() [calls]timing {
	t.mu.Lock()
	defer t.mu.Unlock()
	of := t.of
	t.of = [calls]timing{}
	return of
}

// attrs are a timing as the log has it, in milliseconds. They are flat: SCF passes on of
// a line of JSON what is a text or a number, and nothing that is inside of something.
func (t timing) attrs(c call) []slog.Attr {
	mean := time.Duration(0)
	if t.calls > 0 {
		mean = t.total / time.Duration(t.calls)
	}
	name := "ledger_" + c.String()
	if c.upstream() {
		name = "upstream_" + c.String()
	}
	return []slog.Attr{
		slog.Int(name+"_calls", t.calls), slog.Int(name+"_failed", t.failed),
		slog.Float64(name+"_mean_ms", milliseconds(mean)), slog.Float64(name+"_max_ms", milliseconds(t.most)),
	}
}

// milliseconds has three digits behind the point, since a ledger beside us answers in less than one.
func milliseconds(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }
