package metrics

import (
	"context"
	"errors"
	"time"

	"wxrefund/shared/refund"
)

// A Meter measures one service. Make it with [Measure].
type Meter struct {
	refunds *refund.Service
	spent   tally
	open    kept[refund.Figures]
	resting kept[map[refund.State]int64]
	books   kept[books]
	text    exposition
}

// Measure begins to measure a service that nobody uses yet: its Channel and Ledger are
// timed from now on, and each run of the reconciler is counted and logs its figures.
func Measure(s *refund.Service) *Meter {
	m := &Meter{
		refunds: s,
		open:    kept[refund.Figures]{least: 10 * time.Second, share: 20, limit: 3 * time.Second},
		resting: kept[map[refund.State]int64]{least: time.Minute, share: 1000, limit: 5 * time.Second},
		books:   kept[books]{least: 10 * time.Minute, share: 1000, limit: 5 * time.Second},
	}
	m.text.channel = s.Channel.Spec().Name
	s.Channel, s.Ledger, s.Reconciled = timedChannel{s.Channel, m}, timedLedger{s.Ledger, m}, m.reconciled
	return m
}

// A call is one of those that are timed.
type call int

const (
	upstreamRefund call = iota
	upstreamQuery
	upstreamBill
	upstreamOrder
	upstreamAbnormal
	ledgerGet
	ledgerCommit
	ledgerList
	ledgerCount

	calls // how many there are
)

// String is the call in the words of the figures.
func (c call) String() string {
	return [calls]string{"refund", "query", "bill", "order", "abnormal", "get", "commit", "list", "count"}[c]
}

// upstream tells the upstream's calls from the ledger's.
func (c call) upstream() bool { return c <= upstreamAbnormal }

// observe takes note of one call.
func (m *Meter) observe(c call, begin time.Time, outcome string, failed bool) {
	took := time.Since(begin)
	m.spent.add(c, took, failed)
	m.text.observe(c, outcome, took)
}

// ok is the outcome of what has worked.
const ok = "ok"

// upstream takes note of a call of the channel. Its outcome is ok, or the error's code:
// that of a refusal is an answer, unavailable and internal are none.
func (m *Meter) upstream(c call, begin time.Time, err error) {
	if err == nil {
		m.observe(c, begin, ok, false)
		return
	}
	code := refund.AsError(err).Code
	m.observe(c, begin, string(code), code == refund.CodeUnavailable || code == refund.CodeInternal)
}

// ledger takes note of a call of the ledger. Its outcome is ok, stale (others were
// faster, which is no failure) or error.
func (m *Meter) ledger(c call, begin time.Time, err error) {
	switch {
	case err == nil:
		m.observe(c, begin, ok, false)
	case errors.Is(err, refund.ErrStale):
		m.observe(c, begin, "stale", false)
	default:
		m.observe(c, begin, "error", true)
	}
}

// A timedChannel is a channel whose calls are measured.
type timedChannel struct {
	refund.Channel
	m *Meter
}

func (t timedChannel) Refund(ctx context.Context, req refund.Request) (refund.Refund, error) {
	begin := time.Now()
	r, err := t.Channel.Refund(ctx, req)
	t.m.upstream(upstreamRefund, begin, err)
	return r, err
}

func (t timedChannel) Query(ctx context.Context, l refund.Lookup) (refund.Page, error) {
	begin := time.Now()
	p, err := t.Channel.Query(ctx, l)
	t.m.upstream(upstreamQuery, begin, err)
	return p, err
}

// Bill is not timed where there is no such bill, since nobody was asked.
func (t timedChannel) Bill(ctx context.Context, q refund.BillQuery) (*refund.Bill, error) {
	begin := time.Now()
	b, err := t.Channel.Bill(ctx, q)
	if !errors.Is(err, refund.ErrNoBill) {
		t.m.upstream(upstreamBill, begin, err)
	}
	return b, err
}

func (t timedChannel) Order(ctx context.Context, l refund.Lookup) (refund.PaidOrder, error) {
	begin := time.Now()
	o, err := t.Channel.Order(ctx, l)
	t.m.upstream(upstreamOrder, begin, err)
	return o, err
}

func (t timedChannel) FinishAbnormal(ctx context.Context, a refund.AbnormalRequest) (refund.Refund, error) {
	begin := time.Now()
	r, err := t.Channel.FinishAbnormal(ctx, a)
	t.m.upstream(upstreamAbnormal, begin, err)
	return r, err
}

// A timedLedger is a ledger whose calls are measured.
type timedLedger struct {
	refund.Ledger
	m *Meter
}

func (t timedLedger) Get(ctx context.Context, keys ...refund.Key) ([]refund.Item, error) {
	begin := time.Now()
	items, err := t.Ledger.Get(ctx, keys...)
	t.m.ledger(ledgerGet, begin, err)
	return items, err
}

func (t timedLedger) Commit(ctx context.Context, items ...refund.Item) error {
	begin := time.Now()
	err := t.Ledger.Commit(ctx, items...)
	t.m.ledger(ledgerCommit, begin, err)
	return err
}

func (t timedLedger) List(ctx context.Context, index refund.Index, cursor string, limit int) ([]refund.Item, string, error) {
	begin := time.Now()
	items, next, err := t.Ledger.List(ctx, index, cursor, limit)
	t.m.ledger(ledgerList, begin, err)
	return items, next, err
}

func (t timedLedger) Count(ctx context.Context, index refund.Index) (int64, error) {
	begin := time.Now()
	n, err := t.Ledger.Count(ctx, index)
	t.m.ledger(ledgerCount, begin, err)
	return n, err
}
