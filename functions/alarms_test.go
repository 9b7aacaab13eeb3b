package functions_test

import (
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"
	"time"

	receiver "wxrefund/notify"
	"wxrefund/shared/config"
	"wxrefund/shared/host"
	domain "wxrefund/shared/refund"
)

// A recorder is the code itself, whose log is kept.
type recorder struct {
	t   *testing.T
	log *buffer
	sys *config.System
}

func newRecorder(t *testing.T, w *world) *recorder {
	t.Helper()
	settings := w.variables()
	settings["LEDGER_URL"] = "sqlite::memory:"
	getenv := func(name string) string { return settings[name] }
	r := &recorder{t: t, log: new(buffer)}
	var err error
	if r.sys, err = config.Load(t.Context(), getenv, host.NewLogger(r.log, getenv)); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { r.sys.Close() })
	return r
}

// during returns the lines that are logged meanwhile.
func (r *recorder) during(do func()) []string {
	before := len(r.log.String())
	do()
	return strings.Split(strings.TrimSpace(r.log.String()[before:]), "\n")
}

// notify delivers a notification.
func (r *recorder) notify(l notification) []string {
	h := &receiver.Handler{Refunds: r.sys.Refunds, Keys: r.sys.Keys, Secret: r.sys.Secret, APIKey: r.sys.APIKey, Log: r.sys.Refunds.Log}
	return r.during(func() {
		req := httptest.NewRequestWithContext(r.t.Context(), "POST", "/", strings.NewReader(string(l.body)))
		req.Header = l.header
		h.ServeHTTP(httptest.NewRecorder(), req)
	})
}

// with returns the notification with another header.
func (l notification) with(name, value string) notification {
	h := l.header.Clone()
	h.Set(name, value)
	return notification{h, l.body}
}

// comparison is one comparison of a filter pattern.
var comparison = regexp.MustCompile(`^\$\.([a-z_]+) (=|!=) "([^"*]*)"$`)

// matches evaluates a pattern of CloudWatch Logs on a line: comparisons of
// texts, all of which must hold. Where a line is no JSON, none does.
func matches(t *testing.T, pattern, line string) bool {
	t.Helper()
	inner, opens := strings.CutPrefix(pattern, "{ ")
	inner, closes := strings.CutSuffix(inner, " }")
	if !opens || !closes {
		t.Fatalf("%q is no pattern for JSON", pattern)
	}
	var record map[string]any
	if json.Unmarshal([]byte(line), &record) != nil {
		return false
	}
	for _, part := range strings.Split(inner, " && ") {
		m := comparison.FindStringSubmatch(part)
		if m == nil {
			t.Fatalf("%q is more than this test can evaluate", part)
		}
		value, isText := record[m[1]].(string)
		if !isText || (value == m[3]) != (m[2] == "=") {
			return false
		}
	}
	return true
}

// The alarms' filters count the lines that the code really writes, and no others.
func TestAlarmFiltersMatchTheLog(t *testing.T) {
	w := newWorld(t)
	r := newRecorder(t, w)
	genuine := w.really("N1")
	signature := genuine.header.Get("Wechatpay-Signature")

	lines := map[string][]string{
		"a notification": r.notify(genuine),
		"forged":         r.notify(genuine.forged()),
		"without head":   r.notify(notification{http.Header{}, genuine.body}),
		"stale":          r.notify(genuine.with("Wechatpay-Timestamp", "1700000000")),
		"unknown key":    r.notify(genuine.with("Wechatpay-Serial", "PUB_KEY_ID_0000000000000000000000000000000")),
		"a probe":        r.notify(genuine.with("Wechatpay-Signature", "WECHATPAY/SIGNTEST/"+signature)),
		"an idle run":    r.during(func() { r.reconcile() }),
	}
	o := w.order(100)
	w.post("/_sandbox/faults", `{"upstream":"500_before"}`)
	_, err := r.sys.Refunds.Refund(t.Context(), domain.Caller{Kind: domain.Server}, domain.Request{
		OutTradeNo: o.OutTradeNo, OutRefundNo: "S1", Amount: domain.RequestAmount{Refund: 60, Total: 100, Currency: "CNY"},
	})
	if !domain.IsCode(err, domain.CodeUnavailable) {
		t.Fatalf("refund: got %v, want an unknown outcome", err)
	}
	r.sys.Refunds.Now = func() time.Time { return time.Now().Add(26 * time.Hour) }
	lines["a stuck refund"] = r.during(func() { r.reconcile() })

	want := map[string]map[string]bool{ // filter: what it counts
		"CountRefusedSignatures":  {"forged": true, "without head": true, "stale": true, "unknown key": true},
		"CountStuckRefunds":       {"a stuck refund": true},
		"CountAlarmsOfDispatcher": {"a stuck refund": true},
		"CountAlarmsOfNotify":     {"a stuck refund": true},
		"CountAlarmsOfReconcile":  {"a stuck refund": true},
		"CountReconciliations":    {"an idle run": true, "a stuck refund": true},
	}
	filters := readFiles(t).resources("AWS::Logs::MetricFilter")
	if len(filters) != len(want) {
		t.Errorf("got %d filters, want %d", len(filters), len(want))
	}
	for id, counted := range want {
		pattern := textAt(filters[id], "Properties", "FilterPattern")
		for what, logged := range lines {
			n := 0
			for _, line := range logged {
				if matches(t, pattern, line) {
					n++
				}
			}
			if (n == 1) != counted[what] || n > 1 {
				t.Errorf("%s counts %d lines of %s, want it counted: %v\n%s", id, n, what, counted[what], strings.Join(logged, "\n"))
			}
		}
		// A pattern that says something else counts nothing.
		for what := range counted {
			for _, line := range lines[what] {
				if broken := strings.Replace(pattern, `= "`, `= "x`, 1); matches(t, broken, line) {
					t.Errorf("%s still counts %s when it is broken: %s", id, what, broken)
				}
			}
		}
	}
}

func (r *recorder) reconcile() {
	r.t.Helper()
	if _, err := r.sys.Refunds.Reconcile(context.Background()); err != nil {
		r.t.Errorf("reconcile: %v", err)
	}
}

// Only the reconciler lists the ledger: no other function needs the right to
// query the index.
func TestOnlyTheReconcilerLists(t *testing.T) {
	for _, file := range sources(t, "../shared/refund", "../notify", "../wxpayfunctions", "../shared/config") {
		lists := strings.Contains(file.text, ".List(")
		if want := strings.HasSuffix(file.path, "refund/reconcile.go"); lists != want {
			t.Errorf("%s lists the ledger: %v, want %v", file.path, lists, want)
		}
	}
}
