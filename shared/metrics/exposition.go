//go:build !scf && !lambda

package metrics

import (
	"bytes"
	"context"
	"strconv"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/common/expfmt"

	"wxrefund/shared/refund"
)

// An exposition holds what Prometheus reads.
type exposition struct {
	channel string
	once    sync.Once
	made    *families
}

// families are the metrics that a process has.
type families struct {
	registry                               *prometheus.Registry
	refunds, oldest, look, alarms, owed    *prometheus.GaugeVec
	counted, failed                        *prometheus.GaugeVec
	upstream, ledger                       *prometheus.HistogramVec
	replies, notifications, refusals, runs *prometheus.CounterVec
	lastRun                                *prometheus.GaugeVec
}

func (e *exposition) families() *families {
	e.once.Do(func() {
		r := prometheus.NewRegistry()
		gauge := func(name, help string, labels ...string) *prometheus.GaugeVec {
			v := prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: "wxrefund_" + name, Help: help}, labels)
			r.MustRegister(v)
			return v
		}
		counter := func(name, help string, labels ...string) *prometheus.CounterVec {
			v := prometheus.NewCounterVec(prometheus.CounterOpts{Name: "wxrefund_" + name, Help: help}, labels)
			r.MustRegister(v)
			return v
		}
		histogram := func(name, help string, bounds []float64, labels ...string) *prometheus.HistogramVec {
			v := prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: "wxrefund_" + name, Help: help, Buckets: bounds}, labels)
			r.MustRegister(v)
			return v
		}
		r.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
		e.made = &families{
			registry: r,
			refunds:  gauge("refunds", "Refunds in the ledger.", "channel", "state"),
			oldest:   gauge("oldest_doubt_seconds", "How long ago the oldest claim in doubt was made; 0: there is none.", "channel"),
			look:     gauge("attention", "Refunds that a person should look at.", "channel"),
			alarms:   gauge("alarms_open", "Open alarms that are about no refund.", "channel"),
			owed:     gauge("deliveries_owed", "Events that a subscriber has not acknowledged.", "channel"),
			counted:  gauge("counted_timestamp_seconds", "When the ledger was last counted.", "what"),
			failed:   gauge("count_failed", "1: the last count failed, and what is shown is older.", "what"),
			upstream: histogram("upstream_duration_seconds", "Calls of WeChat Pay.", []float64{.025, .05, .1, .25, .5, 1, 2.5, 5, 10}, "channel", "call", "outcome"),
			ledger: histogram("ledger_duration_seconds", "Calls of the ledger.",
				[]float64{.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5}, "verb", "outcome"),
			replies:       counter("replies_total", "Replies of the dispatcher.", "code"),
			notifications: counter("notifications_total", "How notifications were answered.", "outcome"),
			refusals:      counter("notifications_refused_total", "Why notifications were refused.", "reason"),
			runs:          counter("reconcile_runs_total", "Runs of the reconciler.", "outcome"),
			lastRun:       gauge("reconcile_last_timestamp_seconds", "When the reconciler last finished a run."),
		}
	})
	return e.made
}

// observe adds a call to its histogram.
func (e *exposition) observe(c call, outcome string, took time.Duration) {
	f := e.families()
	if c.upstream() {
		f.upstream.WithLabelValues(e.channel, c.String(), outcome).Observe(took.Seconds())
		return
	}
	f.ledger.WithLabelValues(c.String(), outcome).Observe(took.Seconds())
}

func (e *exposition) reconciled(done bool, at time.Time) {
	f := e.families()
	if !done {
		f.runs.WithLabelValues("failed").Inc()
		return
	}
	f.runs.WithLabelValues("done").Inc()
	f.lastRun.WithLabelValues().Set(seconds(at))
}

// Replies counts the dispatcher's replies: each call takes the code of one. nil: nobody
// would read it.
func (m *Meter) Replies() func(code int) {
	replies := m.text.families().replies
	for _, code := range []int{0, 400, 403, 404, 409, 422, 429, 500, 503} { // a rate begins at nought, and not with the first
		replies.WithLabelValues(strconv.Itoa(code))
	}
	return func(code int) { replies.WithLabelValues(strconv.Itoa(code)).Inc() }
}

// Notifications counts what notify answers: each call takes an outcome (acknowledged,
// refused or unsettled) and, of what was refused, the reason. nil: nobody would read it.
func (m *Meter) Notifications(outcomes, reasons []string) func(outcome, reason string) {
	f := m.text.families()
	for _, o := range outcomes {
		f.notifications.WithLabelValues(o)
	}
	for _, r := range reasons {
		f.refusals.WithLabelValues(r)
	}
	return func(outcome, reason string) {
		f.notifications.WithLabelValues(outcome).Inc()
		if reason != "" {
			f.refusals.WithLabelValues(reason).Inc()
		}
	}
}

// Exposition returns what answers Prometheus: everything that is measured, and what the
// ledger counts, in its text format of version 0.0.4. nil: this binary has none.
func (m *Meter) Exposition() func(context.Context) []byte { return m.write }

func (m *Meter) write(ctx context.Context) []byte {
	f, channel := m.text.families(), m.text.channel
	counted := func(what string, at time.Time, err error) (known bool) {
		failed := 0.0
		if err != nil {
			failed = 1
		}
		f.failed.WithLabelValues(what).Set(failed)
		if !at.IsZero() {
			f.counted.WithLabelValues(what).Set(seconds(at))
		}
		return !at.IsZero()
	}
	states := func(counts map[refund.State]int64) {
		for state, n := range counts {
			f.refunds.WithLabelValues(channel, string(state)).Set(float64(n))
		}
	}
	open, at, err := m.figures(ctx)
	if counted("open", at, err) {
		states(open.Open)
		f.oldest.WithLabelValues(channel).Set(open.OldestDoubt.Seconds())
		f.look.WithLabelValues(channel).Set(float64(open.Attention))
		f.alarms.WithLabelValues(channel).Set(float64(open.Alarms))
		f.owed.WithLabelValues(channel).Set(float64(open.Owed))
	}
	resting, at, err := m.countResting(ctx)
	if counted("resting", at, err) {
		states(resting)
	}
	all, err := f.registry.Gather()
	if err != nil && m.refunds.Log != nil {
		m.refunds.Log.WarnContext(ctx, "figures left out", "error", err) // the others are there
	}
	var b bytes.Buffer
	text := expfmt.NewEncoder(&b, expfmt.NewFormat(expfmt.TypeTextPlain))
	for _, family := range all {
		if text.Encode(family) != nil {
			break // never: the buffer takes everything, and the registry has checked the families
		}
	}
	return b.Bytes()
}

// seconds is a time as Prometheus has it, since 1970.
func seconds(t time.Time) float64 { return float64(t.UnixMilli()) / 1000 }
