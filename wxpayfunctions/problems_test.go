package wxpayfunctions

import (
	"fmt"
	"os"
	"regexp"
	"strings"
	"testing"

	"wxrefund/shared/refund"
)

// refusal is the message of an event that must be refused as wrong.
func refusal(t *testing.T, event string) string {
	t.Helper()
	h, up := setUp(t)
	got := call(t, h, server, event)
	if got["code"] != 400.0 || got["err_code"] != "PARAM_ERROR" || got["retry"] != "never" || got["data"] != nil || len(up.asked) > 0 {
		t.Errorf("%s: %v, want 400", event, got)
	}
	message, _ := got["message"].(string)
	return message
}

// Whatever stands for money and is no integer is refused by one sentence that names
// the field and what it has to be.
func TestMoneyIsFenAnInteger(t *testing.T) {
	fields := map[string]string{
		`"refund":60`: "amount.refund", `"total":100`: "amount.total", `"amount":60}`: "amount.from[0].amount",
		`"unit_price":528800`: "goods_detail[0].unit_price", `"refund_amount":60`: "goods_detail[0].refund_amount",
	}
	for old, field := range fields {
		name, _, _ := strings.Cut(old, ":")
		end := strings.Repeat("}", strings.Count(old, "}"))
		for value, says := range map[string]string{
			`0.1`:                          " must be in fen, an integer (in other currencies the minor unit), not a decimal",
			`1.0`:                          " must be in fen, an integer (in other currencies the minor unit), not a decimal",
			`1e2`:                          " must be in fen, an integer (in other currencies the minor unit), not a number with an exponent",
			`"100"`:                        " must be in fen, an integer (in other currencies the minor unit), not a string",
			`"1.00"`:                       " must be in fen, an integer (in other currencies the minor unit), not a string",
			`true`:                         " must be in fen, an integer (in other currencies the minor unit), not true",
			`[60]`:                         " must be in fen, an integer (in other currencies the minor unit), not an array",
			`null`:                         " is required: in fen, an integer, not null",
			`9007199254740993`:             " must be at most 9007199254740991",
			`1` + strings.Repeat("0", 400): " must be at most 9007199254740991",
		} {
			if !strings.Contains(event, old) {
				t.Fatalf("the event has no %s", old)
			}
			if got := refusal(t, strings.Replace(event, old, name+":"+value+end, 1)); got != field+says {
				t.Errorf("%s: %s\n got %s\nwant %s", field, value, got, field+says)
			}
		}
	}
}

// One message names everything that is wrong with an event, in the order of the
// fields, wherever it was found.
func TestOneMessageNamesAllThatIsWrong(t *testing.T) {
	const fen = "must be in fen, an integer (in other currencies the minor unit), not "
	for _, c := range []struct{ name, event, says string }{
		{"nothing but a type", `{"type":"wxpay_refund"}`,
			"out_refund_no is required; transaction_id or out_trade_no is required; amount is required"},
		{"an empty amount", `{"type":"wxpay_refund","out_trade_no":"O1","amount":{}}`,
			"out_refund_no is required; amount.refund is required; amount.total is required; amount.currency is required"},
		{"types of several fields", `{"type":"wxpay_refund","amount":{"currency":156,"total":"100","refund":60.5},"out_trade_no":7,"out_refund_no":1,"goods_detail":{}}`,
			"out_refund_no must be a string, not a number; out_trade_no must be a string, not a number; amount.refund " + fen + "a decimal; " +
				"amount.total " + fen + "a string; amount.currency must be a string, not a number; goods_detail must be an array, not an object"},
		{"zero and missing", `{"type":"wxpay_refund","out_refund_no":"R1","out_trade_no":"O1","amount":{"refund":0}}`,
			"amount.refund must be at least 1; amount.total is required; amount.currency is required"},
		{"casing, and what stands beside it", `{"Type":"wxpay_refund","OUT_REFUND_NO":"R1","out_trade_no":"O1","amount":{"Refund":1.5,"total":100,"currency":"CNY"}}`,
			"Type must be written type; OUT_REFUND_NO must be written out_refund_no; amount.Refund must be written refund; amount.refund " + fen + "a decimal"},
		{"two other spellings", `{"type":"wxpay_refund","Amount":{"refund":1,"total":1,"currency":"CNY"},"AMOUNT":1,"out_refund_no":"R1","out_trade_no":"O1"}`,
			"AMOUNT must be written amount; Amount must be written amount; amount must be an object, not a number"},
		{"what the channel would not carry", `{"type":"wxpay_refund","out_refund_no":"R 1","out_trade_no":"退款","reason":5,"funds_account":"BASIC","amount":{"refund":60,"total":100,"currency":"EUR"}}`,
			"out_refund_no may hold digits, letters and _-|*@ only; out_trade_no may hold digits, letters and _-|*@ only; " +
				"reason must be a string, not a number; funds_account must be AVAILABLE; amount.currency must be CNY"},
		{"the channel alone", `{"type":"wxpay_refund","out_refund_no":"R 1","out_trade_no":"O1","amount":{"refund":60,"total":50,"currency":"EUR","from":[{"account":"AVAILABLE","amount":1}]}}`,
			"out_refund_no may hold digits, letters and _-|*@ only; amount.refund must not exceed amount.total; amount.currency must be CNY"},
		{"rules between fields do not count for wrong ones", `{"type":"wxpay_refund","out_refund_no":"R1","out_trade_no":7,"amount":{"refund":60,"total":"1","currency":"CNY","from":[{"account":"AVAILABLE","amount":6.0}]}}`,
			"out_trade_no must be a string, not a number; amount.total " + fen + "a string; amount.from[0].amount " + fen + "a decimal"},
		{"lists", `{"type":"wxpay_refund","out_refund_no":"R1","out_trade_no":"O1","amount":{"refund":60,"total":100,"currency":"CNY","from":[1,{"account":"AVAILABLE"}]},"goods_detail":[{"merchant_goods_id":"","unit_price":0,"refund_amount":0,"refund_quantity":0}]}`,
			"amount.from[0] must be an object, not a number; amount.from[1].amount is required; " +
				"goods_detail[0].merchant_goods_id is required; goods_detail[0].refund_quantity must be at least 1"},
		{"more than a message holds", `{"type":"wxpay_refund","goods_detail":[{},{},{}]}`,
			"out_refund_no is required; transaction_id or out_trade_no is required; amount is required; " +
				"goods_detail[0].merchant_goods_id is required; goods_detail[0].unit_price is required; goods_detail[0].refund_amount is required; " +
				"goods_detail[0].refund_quantity is required; goods_detail[1].merchant_goods_id is required; and 7 more"},
		{"nested", `{"type":"wxpay_refund","Data":{"out_trade_no":"O1","amount":{"total":1,"currency":"CNY"}}}`,
			"Data must be written data; out_refund_no is required; amount.refund is required"},
		{"fields in both places", `{"type":"wxpay_refund","out_refund_no":"R1","amount":5,"data":{"out_trade_no":"O1"}}`,
			"out_refund_no, amount must not stand beside data: put all fields in one place"},
		{"a query", `{"type":"wxpay_refund_query","out_refund_no":"a/b","out_trade_no":5,"offset":"1"}`,
			"out_refund_no may hold digits, letters and _-|*@ only; out_trade_no must be a string, not a number; offset must be an integer, not a string"},
		{"a query of nothing", `{"type":"wxpay_refund_query","params":{"offset":1.0}}`,
			"refund_id or out_refund_no, transaction_id or out_trade_no is required; offset must be an integer, not a decimal"},
		{"a query of one wrong number", `{"type":"wxpay_refund_query","transaction_id":1,"offset":-1}`,
			"transaction_id must be a string, not a number; offset must be at least 0"},
	} {
		t.Run(c.name, func(t *testing.T) {
			for range 3 { // the order does not come from a map's
				if got := refusal(t, c.event); got != c.says {
					t.Fatalf("\n got %s\nwant %s", got, c.says)
				}
			}
		})
	}
}

// What cannot be read any further is the only problem that is named.
func TestUnreadableEventHasOneProblem(t *testing.T) {
	for event, says := range map[string]string{
		`{"type":"wxpay_refund","amount":1,"amount":2}`: "amount stands twice",
		`{"type":"wxpay_refund","out_refund_no":1,}`:    "the event is not JSON",
		`{"type":"wxpay_refund","out_refund_no":1}[]`:   "the event must be one JSON object with nothing behind it",
		`["wxpay_refund"]`:                 "the event must be a JSON object, not an array",
		`{"type":["wxpay_refund"],"a":[]}`: "type must be a string, not an array",
		`{"TYPE":null,"out_refund_no":1}`:  "TYPE must be written type; type is required",
		`{"type":"wxpay_refund","out_refund_no":"` + strings.Repeat("R", maxEvent) + `"}`: fmt.Sprintf("the event must have at most %d bytes", maxEvent),
	} {
		if got := refusal(t, event); got != says {
			t.Errorf("%.60s: got %s, want %s", event, got, says)
		}
	}
}

// Whoever comes from CloudBase's payment template is told where the rest of it
// goes, by a section that the README of the functions has in both languages.
func TestTemplateTypesPointToTheREADME(t *testing.T) {
	for name, heading := range map[string]string{"README.md": migration, "README.zh.md": "从 JavaScript 模板迁移"} {
		b, err := os.ReadFile("../functions/" + name)
		if err != nil {
			t.Fatal(err)
		}
		_, section, ok := strings.Cut(string(b), "# "+heading+"\n")
		section = regexp.MustCompile(`(?m)^#+ `).Split(section, 2)[0]
		if !ok || !strings.Contains(section, "wxpay_order") || !strings.Contains(section, "case 'wxpay_refund_query':") {
			t.Errorf("functions/%s has no section %q that says where wxpay_order goes", name, heading)
		}
	}
	served := routes()
	const types = "wxpay_refund, wxpay_refund_query, wxpay_refund_apply, wxpay_refund_approve, wxpay_refund_reject, wxpay_refund_withdraw, wxpay_refund_list or wxpay_refund_abnormal"
	for _, name := range templateTypes() {
		got := refusal(t, `{"type":"`+name+`","out_trade_no":"O1"}`)
		if want := "type must be " + types + ", since this function does refunds only: for " + name + ` see "` + migration + `" in its README`; got != want {
			t.Errorf("got %s, want %s", got, want)
		}
		for _, r := range served {
			if r.name == name {
				t.Errorf("%s is served", name)
			}
		}
	}
	if got, want := refusal(t, `{"type":"wxpay_orders"}`), "type must be "+types; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

// A closed refund is code 0 and, beside it, that only a new number can refund: its own
// is used up.
func TestClosedRefundAsksForANewNumber(t *testing.T) {
	const query = `{"type":"wxpay_refund_query","out_refund_no":"R1"}`
	for status, want := range map[refund.Status]any{
		refund.StatusClosed: "new_number", refund.StatusProcessing: nil, refund.StatusSuccess: nil, refund.StatusAbnormal: nil,
	} {
		h, up := setUp(t)
		up.reply.Status = status
		for _, e := range []string{event, event, query} { // the second is a repeat
			got := call(t, h, server, e)
			if data, _ := got["data"].(map[string]any); got["code"] != 0.0 || data["status"] != string(status) || got["retry"] != want {
				t.Errorf("%s: %v, want code 0, its status and retry %v", status, got, want)
			}
		}
		if got := call(t, h, server, `{"type":"wxpay_refund_query","out_trade_no":"O1"}`); got["code"] != 0.0 || got["retry"] != nil {
			t.Errorf("%s: %v, want a list, of which nothing is to be repeated", status, got)
		}
	}
}
