//go:build !scf && !lambda

package metrics

import (
	"context"
	"strconv"
	"sync"
	"time"

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
	all                                    []*family // in the order of the text
	refunds, oldest, look, alarms, owed    *family
	counted, failed                        *family
	upstream, ledger                       *family
	replies, notifications, refusals, runs *family
	lastRun, bills                         *family
	days, agrees                           *family
}

func (e *exposition) families() *families {
	e.once.Do(func() {
		f := &families{}
		add := func(kind, name, help string, bounds []float64, labels ...string) *family {
			made := &family{name: "wxrefund_" + name, help: help, kind: kind, labels: labels, bounds: bounds, series: map[string]*series{}}
			f.all = append(f.all, made)
			return made
		}
		f.refunds = add(gauge, "refunds", "Refunds in the ledger.", nil, "channel", "state")
		f.oldest = add(gauge, "oldest_doubt_seconds", "How long ago the oldest claim in doubt was made; 0: there is none.", nil, "channel")
		f.look = add(gauge, "attention", "Refunds that a person should look at.", nil, "channel")
		f.alarms = add(gauge, "alarms_open", "Open alarms that are about no refund.", nil, "channel")
		f.owed = add(gauge, "deliveries_owed", "Events that a subscriber has not acknowledged.", nil, "channel")
		f.counted = add(gauge, "counted_timestamp_seconds", "When the ledger was last counted.", nil, "what")
		f.failed = add(gauge, "count_failed", "1: the last count failed, and what is shown is older.", nil, "what")
		f.upstream = add(histogram, "upstream_duration_seconds", "Calls of WeChat Pay.", []float64{.025, .05, .1, .25, .5, 1, 2.5, 5, 10}, "call", "channel", "outcome")
		f.ledger = add(histogram, "ledger_duration_seconds", "Calls of the ledger.",
			[]float64{.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5}, "outcome", "verb")
		f.replies = add(counter, "replies_total", "Replies of the dispatcher.", nil, "code")
		f.notifications = add(counter, "notifications_total", "How notifications were answered.", nil, "outcome")
		f.refusals = add(counter, "notifications_refused_total", "Why notifications were refused.", nil, "reason")
		f.runs = add(counter, "reconcile_runs_total", "Runs of the reconciler.", nil, "outcome")
		f.lastRun = add(gauge, "reconcile_last_timestamp_seconds", "When the reconciler last finished a run.", nil)
		f.bills = add(counter, "bills_read_total", "Days whose bill the reconciler has held against the ledger.", nil)
		f.days = add(gauge, "bill_days", "The last seven days, by how the books stand against the upstream's bill.", nil, "channel", "state")
		f.agrees = add(gauge, "bill_agrees_timestamp_seconds", "The end of the newest day whose books agree, of the last seven.", nil, "channel")
		e.made = f
	})
	return e.made
}

// observe adds a call to its histogram.
func (e *exposition) observe(c call, outcome string, took time.Duration) {
	f := e.families()
	if c.upstream() {
		f.upstream.observe(took.Seconds(), c.String(), e.channel, outcome)
		return
	}
	f.ledger.observe(took.Seconds(), outcome, c.String())
}

func (e *exposition) reconciled(done bool, bills int, at time.Time) {
	f := e.families()
	if !done {
		f.runs.add(1, "failed")
		return
	}
	f.runs.add(1, "done")
	f.bills.add(float64(bills))
	f.lastRun.set(seconds(at))
}

// Replies counts the dispatcher's replies: each call takes the code of one. nil: nobody
// would read it.
func (m *Meter) Replies() func(code int) {
	replies := m.text.families().replies
	for _, code := range []int{0, 400, 403, 404, 409, 422, 429, 500, 503} { // a rate begins at nought, and not with the first
		replies.add(0, strconv.Itoa(code))
	}
	return func(code int) { replies.add(1, strconv.Itoa(code)) }
}

// Notifications counts what notify answers: each call takes an outcome (acknowledged,
// refused or unsettled) and, of what was refused, the reason. nil: nobody would read it.
func (m *Meter) Notifications(outcomes, reasons []string) func(outcome, reason string) {
	f := m.text.families()
	for _, o := range outcomes {
		f.notifications.add(0, o)
	}
	for _, r := range reasons {
		f.refusals.add(0, r)
	}
	return func(outcome, reason string) {
		f.notifications.add(1, outcome)
		if reason != "" {
			f.refusals.add(1, reason)
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
		f.failed.set(failed, what)
		if !at.IsZero() {
			f.counted.set(seconds(at), what)
		}
		return !at.IsZero()
	}
	states := func(counts map[refund.State]int64) {
		for state, n := range counts {
			f.refunds.set(float64(n), channel, string(state))
		}
	}
	open, at, err := m.figures(ctx)
	if counted("open", at, err) {
		states(open.Open)
		f.oldest.set(open.OldestDoubt.Seconds(), channel)
		f.look.set(float64(open.Attention), channel)
		f.alarms.set(float64(open.Alarms), channel)
		f.owed.set(float64(open.Owed), channel)
	}
	resting, at, err := m.countResting(ctx)
	if counted("resting", at, err) {
		states(resting)
	}
	books, at, err := m.countBooks(ctx)
	if counted("books", at, err) && books.read {
		for _, state := range []refund.BillState{
			refund.BillUnread, refund.BillReading, refund.BillAgrees, refund.BillWaiting, refund.BillDiffers, refund.BillUnreadable, refund.BillUnavailable,
		} {
			f.days.set(float64(books.days[state]), channel, string(state))
		}
		end := refund.DayOf(m.now()).Add(-booksDays).Start() // no later: none of them agrees
		if books.agrees != "" {
			end = books.agrees.Add(1).Start()
		}
		f.agrees.set(seconds(end), channel)
	}
	var b []byte
	for _, family := range f.all {
		b = family.append(b)
	}
	return b
}

// seconds is a time as Prometheus has it, since 1970.
func seconds(t time.Time) float64 { return float64(t.UnixMilli()) / 1000 }
