package main

import (
	"flag"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "rewrite the golden texts")

// golden compares what was printed, without what differs from run to run, with a file.
func golden(t *testing.T, name, got string) {
	t.Helper()
	for _, c := range []struct{ pattern, with string }{
		{`\d{4}-\d\d-\d\d \d\d:\d\d:\d\d \+0000`, "TIME"},
		{`\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|\+08:00)`, "TIME"},
		{`\((\d+[dhms])+ ago\)`, "(AGE ago)"},
		{`\b(50|42)\d{20,30}\b`, "${1}NUMBER"},
		{`\b[0-9a-f]{32,64}\b`, "ID"},
	} {
		got = regexp.MustCompile(c.pattern).ReplaceAllString(got, c.with)
	}
	file := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(file, []byte(got), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("%s: got\n%s\nwant\n%s", name, got, want)
	}
}

// What show prints of refunds in each state, as a table and as JSON.
func TestShowIsAsRecorded(t *testing.T) {
	w := shop(t)
	w.operate("cancel", "open", "-yes").want(codeDone)
	for _, no := range []string{"open", "arrived-1", "shut", "refused"} {
		golden(t, "show-"+no+".txt", w.operate("show", no).want(codeDone).stdout)
		golden(t, "show-"+no+".json", w.operate("show", no, "-json").want(codeDone).stdout)
	}
	golden(t, "show-upstream.txt", w.operate("show", "arrived-1", "-upstream").want(codeDone).stdout)
}

// Both sides are shown, and what differs is marked; query then writes what it learns.
func TestDifferencesAreMarked(t *testing.T) {
	w := newWorld(t, "apiv3", "order-1")
	w.operate(refundArgs("order-1", "refund-1", "-yes")...).want(codeDone)
	w.Control("POST", "/_sandbox/refunds/refund-1/settle", `{"status":"ABNORMAL"}`, 200)

	w.operate("show", "refund-1").want(codeDone)
	w.operate("show", "refund-1", "-upstream").want(codeFinding, "! status", "PROCESSING here, ABNORMAL there", "operate: refund-1: status is PROCESSING here and ABNORMAL at WeChat Pay")
	o := w.operate("show", "refund-1", "-upstream", "-json").want(codeFinding).object()["upstream"].(map[string]any)
	if d := o["differs"].([]any)[0].(map[string]any); o["known"] != true || d["field"] != "status" || d["ledger"] != "PROCESSING" || d["upstream"] != "ABNORMAL" {
		t.Errorf("got %v", o)
	}
	w.operate("show", "refund-1").want(codeDone, "processing\n") // which has changed nothing

	w.operate("query", "refund-1").want(codeDone, "state           abnormal", "WeChat Pay  ABNORMAL, 1.00 CNY", "abnormal (query) by operator alice")
	w.operate("show", "refund-1", "-upstream").want(codeDone)
}

// Where WeChat Pay does not answer, that is not taken for agreement.
func TestSilenceIsNoAgreement(t *testing.T) {
	w := newWorld(t, "apiv3", "order-1")
	w.operate(refundArgs("order-1", "refund-1", "-yes")...).want(codeDone)
	w.settings["WXPAY_BASE_URL"] = "http://127.0.0.1:1"
	w.operate("show", "refund-1", "-upstream").want(codeFinding, "processing", "what WeChat Pay has is not known", "connection refused")
	w.operate("query", "refund-1").want(codeFinding, "connection refused")
	w.operate("show", "refund-1").want(codeDone)
}

// A refund that was not made here is not on record until it is asked about.
func TestQueryTakesUpWhatWasMadeElsewhere(t *testing.T) {
	w := newWorld(t, "apiv3", "order-1")
	w.Control("POST", "/_sandbox/refunds", `{"out_trade_no":"order-1","out_refund_no":"by-hand","amount":500}`, 200)
	w.operate("show", "by-hand").want(codeFinding, "no refund by-hand is on record here")
	w.operate("query", "by-hand").want(codeDone, "not made here", "5.00 CNY of 100.00 CNY")
	w.operate("query", "nowhere").want(codeFinding, "RESOURCE_NOT_EXISTS")
}

// An order's refunds are listed by either of its numbers, and a refund is found by
// WeChat Pay's own.
func TestQueryByOtherNumbers(t *testing.T) {
	w := newWorld(t, "apiv3", "order-1")
	w.operate(refundArgs("order-1", "refund-1", "-yes")...).want(codeDone)
	w.operate(refundArgs("order-1", "refund-2", "-yes")...).want(codeDone)
	refund := w.operate("show", "refund-1", "-json").object()["refund"].(map[string]any)

	w.operate("query", "-out-trade-no", "order-1").want(codeDone, "refund-1", "refund-2", "2 of 2, from 0 on")
	w.operate("query", "-transaction-id", refund["transaction_id"].(string), "-offset", "1").want(codeDone, "refund-2", "1 of 2, from 1 on")
	w.operate("query", "-refund-id", refund["refund_id"].(string)).want(codeDone, "refund       ", "refund-1")
	if o := w.operate("query", "-out-trade-no", "order-1", "-json").want(codeDone).object(); o["total_refund_count"] != 2.0 {
		t.Errorf("got %v", o)
	}
	w.operate("query", "-out-trade-no", "order-1", "-offset", "3").want(codeUsage)
	w.operate("query", "-out-trade-no", "order 1").want(codeUsage, "out_trade_no")
}

// What show has of a refund programs read: the names do not change unnoticed.
func TestShowAsJSON(t *testing.T) {
	w := shop(t)
	o := w.operate("show", "shut", "-json").want(codeDone).object()
	var names []string
	for name := range o {
		names = append(names, name)
	}
	slices.Sort(names)
	want := "alarms attention claimed_at external held history in_doubt out_refund_no pending refund request state"
	if got := strings.Join(names, " "); got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	if first := o["history"].([]any)[0].(map[string]any); first["what"] != "claimed" || first["by"] != "operator alice" || first["at"] == nil {
		t.Errorf("the history begins with %v", first)
	}
}
