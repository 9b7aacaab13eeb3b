//go:build !scf && !lambda

package metrics

import (
	"bytes"
	"context"
	"fmt"
	"strconv"
	"sync"
	"time"

	"github.com/VictoriaMetrics/metrics"

	"wxrefund/shared/refund"
)

// An exposition holds what Prometheus reads.
type exposition struct {
	channel string
	once    sync.Once
	made    *metrics.Set
	mu      sync.Mutex
	times   map[timed]*metrics.PrometheusHistogram
}

// A timed is one series of times.
type timed struct {
	call    call
	outcome string
}

func (e *exposition) set() *metrics.Set {
	e.once.Do(func() {
		metrics.ExposeMetadata(true) // the types, which not every reader can do without
		e.made, e.times = metrics.NewSet(), map[timed]*metrics.PrometheusHistogram{}
	})
	return e.made
}

// observe adds a call to its histogram.
func (e *exposition) observe(c call, outcome string, took time.Duration) {
	set := e.set()
	e.mu.Lock()
	h := e.times[timed{c, outcome}]
	if h == nil {
		name, bounds := fmt.Sprintf("wxrefund_ledger_duration_seconds{verb=%q,outcome=%q}", c, outcome), []float64{.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5}
		if c.upstream() {
			name, bounds = fmt.Sprintf("wxrefund_upstream_duration_seconds{channel=%q,call=%q,outcome=%q}", e.channel, c, outcome), []float64{.025, .05, .1, .25, .5, 1, 2.5, 5, 10}
		}
		h = set.NewPrometheusHistogramExt(name, bounds)
		e.times[timed{c, outcome}] = h
	}
	e.mu.Unlock()
	h.Update(took.Seconds())
}

func (e *exposition) reconciled(done bool, at time.Time) {
	if !done {
		e.set().GetOrCreateCounter(`wxrefund_reconcile_runs_total{outcome="failed"}`).Inc()
		return
	}
	e.set().GetOrCreateCounter(`wxrefund_reconcile_runs_total{outcome="done"}`).Inc()
	e.set().GetOrCreateGauge("wxrefund_reconcile_last_timestamp_seconds", nil).Set(seconds(at))
}

// Replies counts the dispatcher's replies: each call takes the code of one. nil: nobody
// would read it.
func (m *Meter) Replies() func(code int) {
	set := m.text.set()
	count := func(code int) *metrics.Counter {
		return set.GetOrCreateCounter(`wxrefund_replies_total{code="` + strconv.Itoa(code) + `"}`)
	}
	for _, code := range []int{0, 400, 403, 404, 409, 422, 429, 500, 503} { // a rate begins at nought, and not with the first
		count(code)
	}
	return func(code int) { count(code).Inc() }
}

// Notifications counts what notify answers: each call takes an outcome (acknowledged,
// refused or unsettled) and, of what was refused, the reason. nil: nobody would read it.
func (m *Meter) Notifications(outcomes, reasons []string) func(outcome, reason string) {
	set := m.text.set()
	answered := func(outcome string) *metrics.Counter {
		return set.GetOrCreateCounter(fmt.Sprintf("wxrefund_notifications_total{outcome=%q}", outcome))
	}
	refused := func(reason string) *metrics.Counter {
		return set.GetOrCreateCounter(fmt.Sprintf("wxrefund_notifications_refused_total{reason=%q}", reason))
	}
	for _, o := range outcomes {
		answered(o)
	}
	for _, r := range reasons {
		refused(r)
	}
	return func(outcome, reason string) {
		answered(outcome).Inc()
		if reason != "" {
			refused(reason).Inc()
		}
	}
}

// Exposition returns what answers Prometheus: everything that is measured, and what the
// ledger counts, in its text format of version 0.0.4. nil: this binary has none.
func (m *Meter) Exposition() func(context.Context) []byte { return m.write }

func (m *Meter) write(ctx context.Context) []byte {
	set := m.text.set()
	gauge := func(name string, value float64) { set.GetOrCreateGauge(name, nil).Set(value) }
	state := func(s refund.State, n int64) {
		gauge(fmt.Sprintf("wxrefund_refunds{channel=%q,state=%q}", m.text.channel, s), float64(n))
	}
	counted := func(what string, at time.Time, err error) (known bool) {
		failed := 0.0
		if err != nil {
			failed = 1
		}
		gauge(fmt.Sprintf("wxrefund_count_failed{what=%q}", what), failed)
		if !at.IsZero() {
			gauge(fmt.Sprintf("wxrefund_counted_timestamp_seconds{what=%q}", what), seconds(at))
		}
		return !at.IsZero()
	}
	f, at, err := m.figures(ctx)
	if counted("open", at, err) {
		for s, n := range f.Open {
			state(s, n)
		}
		for name, value := range map[string]float64{
			"oldest_doubt_seconds": f.OldestDoubt.Seconds(), "attention": float64(f.Attention),
			"alarms_open": float64(f.Alarms), "deliveries_owed": float64(f.Owed),
		} {
			gauge(fmt.Sprintf("wxrefund_%s{channel=%q}", name, m.text.channel), value)
		}
	}
	resting, at, err := m.countResting(ctx)
	if counted("resting", at, err) {
		for s, n := range resting {
			state(s, n)
		}
	}
	var b bytes.Buffer
	set.WritePrometheus(&b)
	metrics.WriteProcessMetrics(&b)
	return b.Bytes()
}

// seconds is a time as Prometheus has it, since 1970.
func seconds(t time.Time) float64 { return float64(t.UnixMilli()) / 1000 }
