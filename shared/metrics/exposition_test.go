//go:build !scf && !lambda

package metrics_test

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"

	"wxrefund/shared/refund"
)

// scrape reads the text as Prometheus does.
func (m *measured) scrape(t *testing.T) map[string]*dto.MetricFamily {
	t.Helper()
	text := m.Exposition()(t.Context())
	parser := expfmt.NewTextParser(model.LegacyValidation)
	families, err := parser.TextToMetricFamilies(bytes.NewReader(text))
	if err != nil {
		t.Fatalf("%v in\n%s", err, text)
	}
	return families
}

// value is that of one series, as NAME{LABEL="VALUE",…} names it; of a histogram the count.
func value(families map[string]*dto.MetricFamily, series string) float64 {
	name, _, _ := strings.Cut(series, "{")
	for _, m := range families[name].GetMetric() {
		var labels []string
		for _, l := range m.GetLabel() {
			labels = append(labels, fmt.Sprintf("%s=%q", l.GetName(), l.GetValue()))
		}
		got := name
		if len(labels) > 0 {
			got += "{" + strings.Join(labels, ",") + "}"
		}
		switch {
		case got != series:
		case m.Histogram != nil:
			return float64(m.Histogram.GetSampleCount())
		case m.Counter != nil:
			return m.Counter.GetValue()
		default:
			return m.GetGauge().GetValue()
		}
	}
	return -1
}

func TestExpositionIsReadByPrometheussOwnParser(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := measure()
		m.book.counts = map[string]int64{"claimed": 2, "processing": 3, "success": 40, "claimed!": 1, "alarm!": 6}
		m.book.claims = []refund.Item{claim("SECRET-NUMBER", 90*time.Second)}
		replied := m.Replies()
		answered := m.Notifications([]string{"acknowledged", "refused"}, []string{"probe", "unknown key"})
		replied(0)
		replied(0)
		replied(403)
		answered("acknowledged", "")
		answered("refused", "unknown key")
		_, _ = m.Channel.Refund(t.Context(), refund.Request{OutRefundNo: "SECRET-NUMBER"})
		for _, code := range []refund.Code{refund.CodeRejected, refund.CodeUnavailable, refund.CodeUnavailable} {
			m.up.err = &refund.Error{Code: code, Message: "SECRET"}
			_, _ = m.Channel.Query(t.Context(), refund.Lookup{})
		}
		_, _ = m.Channel.Bill(t.Context(), refund.BillQuery{Kind: refund.TradeBill})
		_, _ = m.Channel.Bill(t.Context(), refund.BillQuery{Kind: refund.FundsBill}) // of which there is none
		_ = m.Ledger.Commit(t.Context())
		m.book.err = refund.ErrStale
		_ = m.Ledger.Commit(t.Context())
		m.book.err = errors.New("SECRET")
		_ = m.Ledger.Commit(t.Context())
		m.book.err = nil
		m.Reconciled(t.Context(), refund.Summary{Bills: 2}, nil)
		m.Reconciled(t.Context(), refund.Summary{}, errors.New("SECRET"))

		got := m.scrape(t)
		now := float64(time.Now().Unix())
		for series, want := range map[string]float64{
			`wxrefund_refunds{channel="apiv3",state="claimed"}`:                                      2,
			`wxrefund_refunds{channel="apiv3",state="abnormal"}`:                                     0,
			`wxrefund_refunds{channel="apiv3",state="success"}`:                                      40,
			`wxrefund_oldest_doubt_seconds{channel="apiv3"}`:                                         90,
			`wxrefund_attention{channel="apiv3"}`:                                                    1,
			`wxrefund_alarms_open{channel="apiv3"}`:                                                  6,
			`wxrefund_deliveries_owed{channel="apiv3"}`:                                              0,
			`wxrefund_counted_timestamp_seconds{what="open"}`:                                        now,
			`wxrefund_count_failed{what="resting"}`:                                                  0,
			`wxrefund_upstream_duration_seconds{call="refund",channel="apiv3",outcome="ok"}`:         1,
			`wxrefund_upstream_duration_seconds{call="query",channel="apiv3",outcome="rejected"}`:    1,
			`wxrefund_upstream_duration_seconds{call="query",channel="apiv3",outcome="unavailable"}`: 2,
			`wxrefund_ledger_duration_seconds{outcome="ok",verb="commit"}`:                           2, // one binds the ledger
			`wxrefund_upstream_duration_seconds{call="bill",channel="apiv3",outcome="unavailable"}`:  1,
			`wxrefund_bills_read_total`:                                                              2,
			`wxrefund_ledger_duration_seconds{outcome="stale",verb="commit"}`:                        1,
			`wxrefund_ledger_duration_seconds{outcome="error",verb="commit"}`:                        1,
			`wxrefund_replies_total{code="0"}`:                                                       2,
			`wxrefund_replies_total{code="403"}`:                                                     1,
			`wxrefund_replies_total{code="503"}`:                                                     0,
			`wxrefund_notifications_total{outcome="acknowledged"}`:                                   1,
			`wxrefund_notifications_refused_total{reason="unknown key"}`:                             1,
			`wxrefund_notifications_refused_total{reason="probe"}`:                                   0,
			`wxrefund_reconcile_runs_total{outcome="done"}`:                                          1,
			`wxrefund_reconcile_runs_total{outcome="failed"}`:                                        1,
			`wxrefund_reconcile_last_timestamp_seconds`:                                              now,
		} {
			if v := value(got, series); v != want {
				t.Errorf("%s is %v, want %v", series, v, want)
			}
		}
		for name, want := range map[string]dto.MetricType{
			"wxrefund_refunds": dto.MetricType_GAUGE, "wxrefund_replies_total": dto.MetricType_COUNTER,
			"wxrefund_upstream_duration_seconds": dto.MetricType_HISTOGRAM, "wxrefund_ledger_duration_seconds": dto.MetricType_HISTOGRAM,
		} {
			if got[name].GetType() != want || got[name] == nil {
				t.Errorf("%s is a %v, want a %v", name, got[name].GetType(), want)
			}
		}
		if text := string(m.Exposition()(t.Context())); strings.Contains(text, "SECRET") {
			t.Errorf("a refund is named:\n%s", text)
		}
	})
}

// What is scraped a hundred times in ten seconds is counted once.
func TestScrapesDoNotLoadTheLedger(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := measure()
		for range 100 {
			m.scrape(t)
			time.Sleep(90 * time.Millisecond)
		}
		once := m.book.asked
		if once == 0 || once > 10 {
			t.Errorf("%d counts in nine seconds, want those of one time", once)
		}
		time.Sleep(2 * time.Second)
		m.scrape(t)
		if again := m.book.asked - once; again == 0 || again >= once {
			t.Errorf("%d counts eleven seconds later, of %d at first: want what is open counted again, and what rests not", again, once)
		}
	})
}

// The longer it takes, the more seldom it is done.
func TestSlowCountsAreSeldom(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := measure()
		m.book.took = 300 * time.Millisecond // three counts of what rests take 900 ms
		m.scrape(t)
		begin, counting := time.Now(), m.book.asked
		for time.Since(begin) < 14*time.Minute {
			time.Sleep(15 * time.Second)
			m.scrape(t)
		}
		if share := time.Duration(m.book.asked-counting) * m.book.took; share*15 > time.Since(begin) {
			t.Errorf("%v of %v were spent with counting", share, time.Since(begin))
		}
		for range 10 { // what rests is not counted again before a quarter of an hour
			if at := value(m.scrape(t), `wxrefund_counted_timestamp_seconds{what="resting"}`); at > float64(begin.Unix())+1 {
				t.Fatalf("what rests was counted again after %v s", at-float64(begin.Unix()))
			}
		}
		time.Sleep(3 * time.Minute)
		if at := value(m.scrape(t), `wxrefund_counted_timestamp_seconds{what="resting"}`); at < float64(begin.Unix())+60 {
			t.Errorf("what rests was never counted again")
		}
	})
}

func TestFailedCountsLeaveTheOldFiguresAndSaySo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := measure()
		m.book.counts["claimed"] = 7
		m.book.claims = []refund.Item{{Key: "refund/A", At: time.Now()}}
		m.scrape(t)
		before := float64(time.Now().Unix())
		m.book.counts["claimed"], m.book.took = 9, time.Hour // it hangs
		time.Sleep(time.Minute + time.Second)
		begin := time.Now()
		got := m.scrape(t)
		if took := time.Since(begin); took > 9*time.Second {
			t.Errorf("a scrape took %v, and Prometheus waits ten seconds", took)
		}
		for series, want := range map[string]float64{
			`wxrefund_refunds{channel="apiv3",state="claimed"}`: 7, `wxrefund_count_failed{what="open"}`: 1,
			`wxrefund_count_failed{what="resting"}`: 1, `wxrefund_counted_timestamp_seconds{what="open"}`: before,
		} {
			if v := value(got, series); v != want {
				t.Errorf("%s is %v, want %v", series, v, want)
			}
		}
		m.book.took = 0
		time.Sleep(2 * time.Hour)
		if v := value(m.scrape(t), `wxrefund_refunds{channel="apiv3",state="claimed"}`); v != 9 {
			t.Errorf("%v claims after the ledger is back, want 9", v)
		}
	})
}

func TestFiguresThatWereNeverCountedAreAbsent(t *testing.T) {
	m := measure()
	m.book.err = errors.New("connection refused")
	got := m.scrape(t)
	if got["wxrefund_refunds"] != nil || value(got, `wxrefund_count_failed{what="open"}`) != 1 {
		t.Errorf("got %v", got["wxrefund_refunds"])
	}
}
