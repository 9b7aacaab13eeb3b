package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// A refund obeys every rule that the functions obey, and is refused with the words of the
// dispatcher before anybody is asked.
func TestRefundObeysTheRules(t *testing.T) {
	w := newWorld(t, "apiv3", "order-1")
	w.settings["REFUND_MAX_FEN"] = "5000"
	for _, c := range []struct {
		args []string
		code int
		want string
	}{
		{[]string{"refund"}, codeUsage, "out_refund_no is required"},
		{[]string{"refund", "-out-refund-no", "r", "-amount", "5", "-total", "10"}, codeUsage, "transaction_id or out_trade_no is required"},
		{[]string{"refund", "-out-refund-no", "r r", "-out-trade-no", "o", "-amount", "5", "-total", "10"}, codeUsage, "out_refund_no may hold digits, letters and"},
		{[]string{"refund", "-out-refund-no", "r", "-out-trade-no", "o", "-amount", "50", "-total", "10"}, codeUsage, "amount.refund must not exceed amount.total"},
		{[]string{"refund", "-out-refund-no", "r", "-out-trade-no", "o", "-amount", "-5", "-total", "10"}, codeUsage, "amount.refund must be at least 1"},
		{[]string{"refund", "-out-refund-no", "r", "-out-trade-no", "o", "-amount", "5", "-total", "10", "-currency", "USD"}, codeUsage, "amount.currency must be CNY"},
		{[]string{"refund", "-out-refund-no", "r", "-out-trade-no", "o", "-amount", "5", "-total", "10", "-reason", strings.Repeat("x", 81)}, codeUsage, "reason must have at most 80 bytes"},
		{[]string{"refund", "-out-refund-no", "r", "-out-trade-no", "o", "-amount", "5", "-total", "10", "-funds-account", "BANK"}, codeUsage, "funds_account must be"},
		{[]string{"refund", "-out-refund-no", "r", "-out-trade-no", "order-1", "-amount", "5001", "-total", "10000", "-yes"}, codeFinding, "REFUND_MAX_FEN is 5000"},
		{[]string{"refund", "-out-refund-no", "r", "-out-trade-no", "order-9", "-amount", "5", "-total", "10", "-yes"}, codeFinding, "RESOURCE_NOT_EXISTS"},
	} {
		got := w.operate(c.args...).want(c.code, c.want)
		if strings.Contains(got.stderr, "needs -yes") {
			t.Errorf("%q: asked before it was refused", c.args)
		}
	}
	w.settings["REFUND_MAX_FEN"] = ""
	w.operate("refund", "-out-refund-no", "most", "-out-trade-no", "order-1", "-amount", "9000", "-total", "10000", "-yes").want(codeDone)
	w.operate("refund", "-out-refund-no", "more", "-out-trade-no", "order-1", "-amount", "1001", "-total", "10000", "-yes").want(codeFinding, "409 INVALID_REQUEST")
	w.operate("refund", "-out-refund-no", "most", "-out-trade-no", "order-1", "-amount", "9000", "-total", "10000", "-yes").want(codeDone, "most is PROCESSING") // once
	w.operate("refund", "-out-refund-no", "most", "-out-trade-no", "order-1", "-amount", "1", "-total", "10000", "-yes").want(codeFinding, "amount.refund", "operate show most has what is on record")
	o := w.operate("refund", "-out-refund-no", "rest", "-out-trade-no", "order-1", "-amount", "1000", "-total", "10000", "-yes", "-json").want(codeDone).object()
	if o["code"] != 0.0 || o["data"].(map[string]any)["status"] != "PROCESSING" {
		t.Errorf("got %v, want the dispatcher's reply", o)
	}
}

// A refusal leads to what is on record only where something is: what a rule refuses, or
// another refund of the order leaves no room for, leaves no trace.
func TestARefusalLeadsToTheRecordWhereThereIsOne(t *testing.T) {
	w := newWorld(t, "apiv3", "order-1")
	w.settings["REFUND_MAX_FEN"] = "9950"
	w.operate(refundArgs("order-1", "first", "-yes")...).want(codeDone)
	w.fault("500_before", 1)
	for _, c := range []struct {
		no, order, amount string
		recorded          bool
	}{
		{"doubtful", "order-1", "1", true},
		{"first", "order-1", "2", true},
		{"above-the-rule", "order-1", "9951", false},
		{"above-the-order", "order-1", "9950", false},
		{"no-order", "order-9", "5", true}, // WeChat Pay has refused it, which is kept
	} {
		got := w.operate("refund", "-out-refund-no", c.no, "-out-trade-no", c.order, "-amount", c.amount, "-total", "10000", "-yes").want(codeFinding)
		if leads := strings.Contains(got.stderr, "operate show "+c.no+" has what is on record"); leads != c.recorded {
			t.Errorf("%s leads to a record: %v, want %v: %s", c.no, leads, c.recorded, got.stderr)
		}
		if recorded := w.operate("show", c.no).code == codeDone; recorded != c.recorded {
			t.Errorf("%s is on record: %v, want %v", c.no, recorded, c.recorded)
		}
	}
}

// The fields may come as JSON, from a file or standard input, and are read as strictly as
// a mini-program's.
func TestRefundFromJSON(t *testing.T) {
	w := newWorld(t, "apiv3", "order-1")
	whole := `{"out_refund_no":"json-1","out_trade_no":"order-1","reason":"破损","amount":{"refund":60,"total":10000,"currency":"CNY"}}`
	for text, want := range map[string]string{
		``:                                      "that is not JSON",
		`{`:                                     "that is not JSON",
		`[]`:                                    "data must be an object, not an array",
		`{} {}`:                                 "that is not JSON",
		`{},"type":"wxpay_refund_query"`:        "that is not JSON",
		strings.Replace(whole, "60", "60.5", 1): "amount.refund must be in fen, an integer",
		strings.Replace(whole, `"reason"`, `"Reason"`, 1):             "Reason must be written reason",
		strings.Replace(whole, `{`, `{"reason":"x",`, 1):              "reason stands twice",
		strings.Replace(whole, `"reason"`, `"reasn"`, 1):              `a refund has no field "reasn"`,
		strings.Replace(whole, `"refund"`, `"refunds":1,"refund"`, 1): `a refund has no field "refunds"`,
		strings.Replace(whole, `"json-1"`, `17`, 1):                   "out_refund_no must be a string",
		`{"data":` + whole + `}`:                                      "out_refund_no is required",
		`"` + strings.Repeat("x", 1<<20) + `"`:                        "the file has more than 1048576 bytes",
	} {
		w.operateWith(t.Context(), strings.NewReader(text), "refund", "-f", "-", "-yes").want(codeUsage, want)
	}
	w.operateWith(t.Context(), strings.NewReader(whole), "refund", "-f", "-").want(codeFinding, "needs -yes")
	w.operateWith(t.Context(), strings.NewReader("\xef\xbb\xbf"+whole), "refund", "-f", "-", "-yes").want(codeDone, "json-1 is PROCESSING: 0.60 CNY")

	file := filepath.Join(t.TempDir(), "refund.json")
	if err := os.WriteFile(file, []byte(strings.Replace(whole, "json-1", "json-2", 1)), 0o600); err != nil {
		t.Fatal(err)
	}
	w.operate("refund", "-f", file, "-yes").want(codeDone, "json-2 is PROCESSING")
	w.operateWith(t.Context(), terminal{strings.NewReader("json-2\n")}, "refund", "-f", file).want(codeDone, "This will refund 0.60 CNY of order order-1 under the number json-2.")
	w.operate("refund", "-f", filepath.Dir(file)).want(codeUsage, "-f: ")
}

// A refund that WeChat Pay has closed is no success.
func TestClosedIsAFinding(t *testing.T) {
	w := newWorld(t, "apiv3", "order-1")
	w.operate(refundArgs("order-1", "refund-1", "-yes")...).want(codeDone)
	w.Control("POST", "/_sandbox/refunds/refund-1/settle", `{"status":"CLOSED"}`, 200)
	w.operate("query", "refund-1").want(codeDone)
	w.operate(refundArgs("order-1", "refund-1", "-yes")...).want(codeFinding, "refund-1 is closed: no money moved, and the number is used up")
}

// Amounts are decimal, however they are written: 0100 is no number in eight.
func TestAmountsAreDecimal(t *testing.T) {
	w := newWorld(t, "apiv3", "order-1")
	w.operateWith(t.Context(), terminal{strings.NewReader("no\n")}, "refund", "-out-refund-no", "r", "-out-trade-no", "order-1", "-amount", "0100", "-total", "010000").
		want(codeFinding, "This will refund 1.00 CNY of order order-1")
	w.operate("refund", "-out-refund-no", "r", "-out-trade-no", "order-1", "-amount", "0100", "-total", "010000", "-yes").want(codeDone, "1.00 CNY of 100.00 CNY")
	for _, text := range []string{"0x64", "1_00", "0b1", "0o7", "1e2", "1.00", ""} {
		w.operate("refund", "-out-refund-no", "q", "-out-trade-no", "order-1", "-amount", text, "-total", "10000", "-yes").want(codeUsage, "must be a whole number of fen")
		w.operate("list", "-amount", text).want(codeUsage, "must be a whole number of fen")
	}
	w.operate("list", "-amount", "0100").want(codeDone, "1 of 1")
	w.operate("list", "-min", "0101").want(codeDone, "0 of 0")
}
