package metrics_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"wxrefund/shared/metrics"
	"wxrefund/shared/refund"
)

// upstream answers with an error, or without one.
type upstream struct {
	refund.Channel // what is not answered here is not asked for
	err            error
}

func (u *upstream) Refund(context.Context, refund.Request) (refund.Refund, error) {
	return refund.Refund{}, u.err
}
func (u *upstream) Query(context.Context, refund.Lookup) (refund.Page, error) {
	return refund.Page{}, u.err
}
func (u *upstream) Bill(_ context.Context, q refund.BillQuery) (*refund.Bill, error) {
	if q.Kind != refund.TradeBill {
		return nil, refund.ErrNoBill
	}
	return nil, u.err
}

func (u *upstream) Spec() refund.Spec {
	return refund.Spec{Name: "apiv3", Bills: []refund.BillKind{refund.TradeBill}}
}

// book is a ledger of a few figures.
type book struct {
	counts map[string]int64 // of the first class that is asked for
	asked  int              // counts
	took   time.Duration    // by each count
	err    error
	claims []refund.Item
	days   map[refund.Key]string // bodies of days' bills
}

func (b *book) Get(_ context.Context, keys ...refund.Key) ([]refund.Item, error) {
	items := make([]refund.Item, len(keys))
	for i, key := range keys {
		if body, ok := b.days[key]; ok {
			items[i] = refund.Item{Key: key, Version: 1, Body: []byte(body)}
		}
	}
	return items, b.err
}
func (b *book) Commit(context.Context, ...refund.Item) error { return b.err }
func (b *book) List(_ context.Context, index refund.Index, _ string, _ int) ([]refund.Item, string, error) {
	if index.Kind == refund.IndexDue {
		return b.claims, "", b.err
	}
	return nil, "", b.err
}

func (b *book) Count(ctx context.Context, index refund.Index) (int64, error) {
	b.asked++
	if b.took > 0 {
		select {
		case <-time.After(b.took):
		case <-ctx.Done():
			return 0, ctx.Err()
		}
	}
	return b.counts[index.Classes[0]], b.err
}

// claim is one that has been in doubt for some time.
func claim(no string, age time.Duration) refund.Item {
	return refund.Item{Key: refund.Key("refund/" + no), Version: 1,
		Body: fmt.Appendf(nil, `{"state":"claimed","open":[1],"claimed_at":%q}`, time.Now().Add(-age).Format(time.RFC3339Nano))}
}

// measured is a service with a meter. Its fakes stand beside it, since the service has
// them inside of what measures.
type measured struct {
	*metrics.Meter
	*refund.Service
	up   *upstream
	book *book
	log  *bytes.Buffer
}

func measure() *measured {
	m := &measured{up: &upstream{}, book: &book{counts: map[string]int64{}}, log: new(bytes.Buffer)}
	m.Service = &refund.Service{
		Channel: m.up, Ledger: m.book, Merchant: refund.Merchant{MchID: "1900000109"}, Log: slog.New(slog.NewJSONHandler(m.log, nil)),
	}
	m.Meter = metrics.Measure(m.Service)
	return m
}

// lines are the records with a message.
func (m *measured) lines(t *testing.T, msg string) (all []map[string]any) {
	t.Helper()
	for line := range strings.Lines(m.log.String()) {
		var r map[string]any
		if err := json.Unmarshal([]byte(line), &r); err != nil {
			t.Fatal(err)
		}
		if r["msg"] == msg {
			all = append(all, r)
		}
	}
	return all
}

func TestEachRunOfTheReconcilerLogsItsFiguresInOneFlatLine(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := measure()
		m.book.counts = map[string]int64{"claimed": 2, "processing": 3, "success": 40, "rejected": 5, "claimed!": 1, "alarm!": 6}
		m.book.claims = []refund.Item{claim("SECRET-NUMBER", 90*time.Second)}
		_, _ = m.Channel.Query(t.Context(), refund.Lookup{})
		m.up.err = &refund.Error{Code: refund.CodeUnavailable}
		_, _ = m.Channel.Query(t.Context(), refund.Lookup{})
		m.Reconciled(t.Context(), refund.Summary{}, nil)
		got := m.lines(t, "figures")
		if len(got) != 1 {
			t.Fatalf("got %d lines, want one: %s", len(got), m.log)
		}
		for name, want := range map[string]any{
			"channel": "apiv3", "claimed": 2.0, "processing": 3.0, "abnormal": 0.0, "success": 40.0, "closed": 0.0, "rejected": 5.0,
			"oldest_doubt_s": 90.0, "attention": 1.0, "alarms": 6.0, "owed": 0.0,
			"upstream_query_calls": 2.0, "upstream_query_failed": 1.0, "upstream_query_mean_ms": 0.0, "upstream_refund_calls": 0.0, "ledger_get_calls": 0.0,
		} {
			if got[0][name] != want {
				t.Errorf("%s is %v, want %v", name, got[0][name], want)
			}
		}
		// SCF drops whatever else a line of JSON holds.
		for name, value := range got[0] {
			switch value.(type) {
			case string, float64:
			default:
				t.Errorf("%s is %T, which SCF does not pass on", name, value)
			}
		}
		if strings.Contains(m.log.String(), "SECRET") {
			t.Errorf("a refund is named: %s", m.log)
		}

		// The next line is of the calls since, what the figures have cost included.
		time.Sleep(time.Minute)
		m.Reconciled(t.Context(), refund.Summary{}, nil)
		got = m.lines(t, "figures")
		if len(got) != 2 || got[1]["upstream_query_calls"] != 0.0 || got[1]["ledger_count_calls"] == 0.0 {
			t.Errorf("the second line is %v", got[len(got)-1])
		}
	})
}

func TestFiguresThatCannotBeCountedAreOneWarning(t *testing.T) {
	m := measure()
	m.book.err = errors.New("connection refused")
	m.Reconciled(t.Context(), refund.Summary{}, nil)
	if got := m.lines(t, "no figures"); len(got) != 1 || len(m.lines(t, "figures")) > 0 {
		t.Errorf("logged %s", m.log)
	}
	// A run that has failed has said so itself.
	m.log.Reset()
	m.Reconciled(t.Context(), refund.Summary{}, errors.New("connection refused"))
	if m.log.Len() > 0 {
		t.Errorf("logged %s after a run that failed", m.log)
	}
}

// Whoever measures must not change what is measured.
func TestMeasuredCallsAnswerAsBefore(t *testing.T) {
	m := measure()
	cause := errors.New("cause")
	m.up.err, m.book.err = cause, cause
	_, refundErr := m.Channel.Refund(t.Context(), refund.Request{})
	_, queryErr := m.Channel.Query(t.Context(), refund.Lookup{})
	_, getErr := m.Ledger.Get(t.Context(), "a")
	_, _, listErr := m.Ledger.List(t.Context(), refund.Everything(), "", 1)
	_, countErr := m.Ledger.Count(t.Context(), refund.Recent(time.Time{}, time.Time{}, "claimed"))
	for name, err := range map[string]error{"refund": refundErr, "query": queryErr, "get": getErr, "list": listErr, "count": countErr, "commit": m.Ledger.Commit(t.Context())} {
		if err != cause { //nolint:errorlint // the very same
			t.Errorf("%s: %v, want the error as it was", name, err)
		}
	}
	if got := m.Channel.Spec().Name; got != "apiv3" {
		t.Errorf("the channel is %q", got)
	}
}

func BenchmarkLedgerCall(b *testing.B) {
	m := measure()
	for _, c := range []struct {
		name   string
		ledger refund.Ledger
	}{{"bare", m.book}, {"measured", m.Ledger}} {
		b.Run(c.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				_ = c.ledger.Commit(b.Context())
			}
		})
	}
}
