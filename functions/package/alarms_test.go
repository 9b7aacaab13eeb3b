package main

import (
	"bytes"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"wxrefund/functions/process"
	"wxrefund/notify"
	"wxrefund/shared/config"
	"wxrefund/shared/host"
	"wxrefund/shared/refund"
)

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

// loggedLines are what the code really logs of each thing that alarms are about, or not.
func loggedLines(t *testing.T) map[string][]string {
	t.Helper()
	w := process.NewWorld(t)
	settings := w.Variables()
	settings["LEDGER_URL"] = "sqlite::memory:"
	settings["RECONCILE_BILL"] = "off" // the clock here is moved on, and WeChat Pay's is not
	getenv := func(name string) string { return settings[name] }
	var log bytes.Buffer
	sys, err := config.Load(t.Context(), getenv, host.NewLogger(&log, getenv))
	if err != nil {
		t.Fatal(err)
	}
	defer sys.Close()
	lines := map[string][]string{}
	logged := func(what string) {
		lines[what] = strings.Split(strings.TrimSpace(log.String()), "\n")
		log.Reset()
	}

	genuine := w.SignedNotification("N1")
	with := func(name, value string) process.Notification {
		header := genuine.Header.Clone()
		header.Set(name, value)
		return process.Notification{Header: header, Body: genuine.Body}
	}
	receiver := &notify.Handler{Refunds: sys.Refunds, Keys: sys.Keys, Secret: sys.Secret, APIKey: sys.APIKey, Log: sys.Refunds.Log}
	for what, n := range map[string]process.Notification{
		"a notification": genuine,
		"forged":         genuine.Forged(),
		"without head":   {Header: http.Header{}, Body: genuine.Body},
		"stale":          with("Wechatpay-Timestamp", "1700000000"),
		"unknown key":    with("Wechatpay-Serial", "PUB_KEY_ID_0000000000000000000000000000000"),
		"a probe":        with("Wechatpay-Signature", "WECHATPAY/SIGNTEST/"+genuine.Header.Get("Wechatpay-Signature")),
	} {
		r := httptest.NewRequestWithContext(t.Context(), "POST", "/", bytes.NewReader(n.Body))
		r.Header = n.Header
		receiver.ServeHTTP(httptest.NewRecorder(), r)
		logged(what)
	}
	reconcile := func(what string) {
		if _, err := sys.Refunds.Reconcile(t.Context()); err != nil {
			t.Errorf("reconcile: %v", err)
		}
		logged(what)
	}
	reconcile("an idle run")
	o := w.Order(100)
	w.Post("/_sandbox/faults", `{"upstream":"500_before"}`)
	_, err = sys.Refunds.Refund(t.Context(), refund.Caller{Kind: refund.Server}, refund.Request{
		OutTradeNo: o.OutTradeNo, OutRefundNo: "S1", Amount: refund.RequestAmount{Refund: 60, Total: 100, Currency: "CNY"},
	})
	if !refund.IsCode(err, refund.CodeUnavailable) {
		t.Fatalf("refund: got %v, want an unknown outcome", err)
	}
	sys.Refunds.Now = func() time.Time { return time.Now().Add(26 * time.Hour) }
	sys.Refunds.NoBill = true // WeChat Pay has no bill of a day that is in its future
	log.Reset()
	reconcile("a stuck refund")
	return lines
}

// The alarms' filters count the lines that the code really writes, and no others.
func TestAlarmFiltersMatchTheLog(t *testing.T) {
	lines := loggedLines(t)
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

// The reconciler lists the ledger, and of the dispatcher the one type that lists by state:
// no other function needs the right to query an index.
func TestWhoListsTheLedger(t *testing.T) {
	// Those of the first two lines are the reconciler's, of the third the dispatcher's; the others the operator's.
	listers := []string{"shared/refund/reconcile.go", "shared/refund/backfill.go", "shared/refund/tell.go",
		"shared/refund/bill_first.go", "shared/refund/bill_day_ours.go",
		"shared/refund/listing.go",
		"shared/refund/list.go", "shared/refund/forget.go", "shared/refund/forget_order.go", "shared/refund/alert.go", "shared/refund/timer.go", "shared/refund/verify.go"}
	for _, folder := range []string{"shared/refund", "notify", "wxpayfunctions", "shared/config"} {
		paths, err := filepath.Glob("../../" + folder + "/*.go")
		if err != nil || len(paths) == 0 {
			t.Fatalf("%s: got %d files, %v", folder, len(paths), err)
		}
		for _, path := range paths {
			if strings.HasSuffix(path, "_test.go") {
				continue
			}
			b, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			lists := bytes.Contains(b, []byte(".List("))
			if want := slices.Contains(listers, strings.TrimPrefix(path, "../../")); lists != want {
				t.Errorf("%s lists the ledger: %v, want %v", path, lists, want)
			}
		}
	}
}
