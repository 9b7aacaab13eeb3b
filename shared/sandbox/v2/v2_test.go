package v2_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"wxrefund/shared/sandbox/sandboxtest"
	"wxrefund/shared/wxpay"
)

func TestAGlobalRefundIsAnsweredAsDocumented(t *testing.T) {
	w := sandboxtest.New(t)
	w.Pay(`{"out_trade_no":"T1","transaction_id":"4200000000000000000000000001","total":10000,"currency":"USD"}`)
	got := w.CallV2(sandboxtest.RefundV2, w.GlobalRefund(map[string]string{"refund_fee_type": "USD"}))
	for _, name := range []string{"sign", "nonce_str", "refund_id"} {
		if got[name] == "" {
			t.Errorf("%s is missing", name)
		}
		delete(got, name)
	}
	want := wxpay.Fields{
		"return_code": "SUCCESS", "return_msg": "OK", "result_code": "SUCCESS", "appid": "wx5a4db0c0ffee0001", "mch_id": "1900000001",
		"transaction_id": "4200000000000000000000000001", "out_trade_no": "T1", "out_refund_no": "R1", "refund_channel": "",
		"total_fee": "10000", "fee_type": "USD", "refund_fee": "100", "refund_fee_type": "USD",
		"cash_fee": "71200", "cash_fee_type": "CNY", "cash_refund_fee": "712", "cash_refund_fee_type": "CNY",
		"coupon_refund_fee": "0", "coupon_refund_count": "0",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("answer (-want +got):\n%s", diff)
	}

	// The same again is the same; on the control side it is as ever.
	again := w.CallV2(sandboxtest.RefundV2, w.GlobalRefund(nil))
	if again["result_code"] != "SUCCESS" {
		t.Errorf("the same again: %v", again)
	}
	list := w.Control("GET", "/_sandbox/refunds", "", 200)
	if !strings.Contains(string(list.Body), `"status":"PROCESSING"`) || strings.Count(string(list.Body), "refund_id") != 1 {
		t.Errorf("refunds: %s", list.Body)
	}

	w.Control("POST", "/_sandbox/refunds/R1/settle", `{"status":"SUCCESS"}`, 200)
	got = w.CallV2(sandboxtest.QueryV2, w.GlobalQuery(map[string]string{"out_refund_no": "R1"}))
	when := got["refund_success_time_0"]
	if _, err := time.Parse(time.DateTime, when); err != nil {
		t.Errorf("refund_success_time_0 %q: %v", when, err)
	}
	for _, name := range []string{"sign", "nonce_str", "refund_id_0", "refund_success_time_0", "refund_recv_accout_0"} {
		if got[name] == "" {
			t.Errorf("%s is missing", name)
		}
		delete(got, name)
	}
	want = wxpay.Fields{
		"return_code": "SUCCESS", "return_msg": "OK", "result_code": "SUCCESS", "appid": "wx5a4db0c0ffee0001", "mch_id": "1900000001",
		"transaction_id": "4200000000000000000000000001", "out_trade_no": "T1", "total_fee": "10000", "fee_type": "USD", "cash_fee": "71200", "cash_fee_type": "CNY",
		"refund_count": "1", "out_refund_no_0": "R1", "refund_channel_0": "ORIGINAL", "refund_fee_0": "100", "refund_fee_type_0": "USD",
		"cash_refund_fee_0": "712", "cash_refund_fee_type_0": "CNY", "coupon_refund_fee_0": "0", "coupon_refund_count_0": "0",
		"refund_status_0": "SUCCESS", "refund_account_0": "REFUND_SOURCE_UNSETTLED_FUNDS",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("query (-want +got):\n%s", diff)
	}
}

// One thing of a request that is granted is changed.
func TestEachGlobalRuleRefusesInItsWords(t *testing.T) {
	long := func(n int) string { return strings.Repeat("x", n) }
	type change = map[string]string
	tests := []struct {
		name   string
		change change
		before func(*sandboxtest.World)
		code   string // nothing: granted
		words  string
	}{
		{name: "nothing"},
		{name: "MD5", change: change{"sign_type": "MD5"}},
		{name: "no sign_type", change: change{"sign_type": ""}},
		{name: "field of tomorrow", change: change{"tomorrow": "x"}},
		{name: "by transaction", change: change{"out_trade_no": "", "transaction_id": "4200000000000000000000000001"}},
		{name: "transaction wins", change: change{"out_trade_no": "T9", "transaction_id": "4200000000000000000000000001"}},
		{name: "institution", change: change{"sub_mch_id": "1900000109"}},
		{name: "institution and its app", change: change{"sub_mch_id": "1900000109", "sub_appid": "wx5a4db0c0ffee0109"}},
		{name: "64 characters", change: change{"out_refund_no": long(64)}},
		{name: "currency", change: change{"refund_fee_type": "CNY"}},
		{name: "mch_id missing", change: change{"mch_id": ""}, code: "MCHID_NOT_EXIST"},
		{name: "mch_id", change: change{"mch_id": "1900000002"}, code: "MCHID_NOT_EXIST"},
		{name: "appid missing", change: change{"appid": ""}, code: "APPID_NOT_EXIST"},
		{name: "appid", change: change{"appid": "wx1"}, code: "APPID_NOT_EXIST"},
		{name: "sub_appid", change: change{"sub_mch_id": "1900000109", "sub_appid": "wx1"}, code: "APPID_NOT_EXIST"},
		{name: "appid of another merchant", change: change{"appid": "wx5a4db0c0ffee0109"}, code: "APPID_MCHID_NOT_MATCH"},
		{name: "sub_appid alone", change: change{"sub_appid": "wx5a4db0c0ffee0109"}, code: "PARAM_ERROR", words: "sub_mch_id"},
		{name: "another merchant", change: change{"sub_mch_id": "1900000110"}, code: "NOAUTH"},
		{name: "nonce_str missing", change: change{"nonce_str": ""}, code: "PARAM_ERROR", words: "缺少参数:nonce_str"},
		{name: "nonce_str long", change: change{"nonce_str": long(33)}, code: "PARAM_ERROR", words: "长度"},
		{name: "no order", change: change{"out_trade_no": ""}, code: "PARAM_ERROR", words: "transaction_id"},
		{name: "out_trade_no long", change: change{"out_trade_no": long(33)}, code: "PARAM_ERROR"},
		{name: "out_refund_no missing", change: change{"out_refund_no": ""}, code: "PARAM_ERROR", words: "out_refund_no"},
		{name: "out_refund_no long", change: change{"out_refund_no": long(65)}, code: "PARAM_ERROR", words: "out_refund_no"},
		{name: "out_refund_no form", change: change{"out_refund_no": "R#1"}, code: "PARAM_ERROR", words: "格式"},
		{name: "total_fee missing", change: change{"total_fee": ""}, code: "PARAM_ERROR", words: "total_fee"},
		{name: "total_fee fraction", change: change{"total_fee": "100.0"}, code: "PARAM_ERROR", words: "total_fee"},
		{name: "refund_fee zero", change: change{"refund_fee": "0"}, code: "PARAM_ERROR", words: "refund_fee"},
		{name: "refund_fee padded", change: change{"refund_fee": "0100"}, code: "PARAM_ERROR", words: "refund_fee"},
		{name: "refund_fee_type form", change: change{"refund_fee_type": "usd"}, code: "PARAM_ERROR"},
		{name: "refund_desc long", change: change{"refund_desc": long(81)}, code: "PARAM_ERROR"},
		{name: "notify_url", change: change{"notify_url": "https://merchant.example/?x=1"}, code: "PARAM_ERROR"},
		{name: "currency of another order", change: change{"refund_fee_type": "USD"}, code: "INVALID_REQUEST"},
		{name: "total", change: change{"total_fee": "10001"}, code: "INVALID_REQUEST", words: "不一致"},
		{name: "too much", change: change{"refund_fee": "10001"}, code: "INVALID_REQUEST", words: "大于"},
		{name: "unknown order", change: change{"out_trade_no": "T9"}, code: "ORDERNOTEXIST"},
		{name: "unknown transaction", change: change{"transaction_id": "9"}, code: "INVALID_TRANSACTIONID"},
		{name: "old", before: func(w *sandboxtest.World) { w.Advance("8760h1s") }, code: "TRADE_OVERDUE"},
		{name: "refunded", before: func(w *sandboxtest.World) { w.Refund("T1", "R0", 10000) }, code: "INVALID_REQUEST", words: "订单已全额退款"},
		{name: "same number, other content", before: func(w *sandboxtest.World) { w.Refund("T1", "R1", 7) }, code: "INVALID_REQUEST", words: "不一致"},
		{name: "50 before", before: func(w *sandboxtest.World) { w.Partials(50) }, code: "INVALID_REQUEST", words: "50"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			w := sandboxtest.New(t)
			w.Pay(`{"out_trade_no":"T1","transaction_id":"4200000000000000000000000001","total":10000}`)
			if tt.before != nil {
				tt.before(w)
			}
			got := w.CallV2(sandboxtest.RefundV2, w.GlobalRefund(tt.change))
			result := "FAIL"
			if tt.code == "" {
				result = "SUCCESS"
			}
			if got["return_code"] != "SUCCESS" || got["result_code"] != result || got["err_code"] != tt.code || !strings.Contains(got["err_code_des"], tt.words) {
				t.Errorf("%v, want %s %s", got, tt.code, tt.words)
			}
			for _, name := range []string{"appid", "mch_id", "sub_appid", "sub_mch_id"} {
				if want, ok := tt.change[name]; ok && got[name] != want {
					t.Errorf("%s %q is not echoed: %q", name, want, got[name])
				}
			}
		})
	}
}

func TestWhatCannotBeReadIsAnsweredWithoutASignature(t *testing.T) {
	w := sandboxtest.New(t)
	w.Order("T1")
	forged := w.GlobalRefund(map[string]string{"sign": "C380BEC2BFD727A4B6845133519F3AD6"})
	unsaid := w.GlobalRefund(nil) // signed with HMAC-SHA256 and not said so
	w.Signed(unsaid)
	delete(unsaid, "sign_type")
	odd := w.GlobalRefund(map[string]string{"sign_type": "SHA1", "sign": "x"})
	for name, body := range map[string]string{
		"XML格式错误":    "{}",
		"XML格式错误 ":   "",
		"XML格式错误  ":  `<!DOCTYPE x><xml><appid>1</appid></xml>`,
		"签名错误":       string(forged.XML()),
		"签名错误 ":      string(unsaid.XML()),
		"签名错误  ":     string(odd.XML()),
		"签名错误   ":    string(w.GlobalRefund(nil).XML()),
		"请求报文过大或不完整": strings.Repeat("x", 2<<20),
	} {
		a := sandboxtest.Serve(w.Sandbox.WeChat(), w.RequestV2(sandboxtest.RefundV2, []byte(body)))
		want := wxpay.Fields{"return_code": "FAIL", "return_msg": strings.TrimRight(name, " ")}
		if diff := cmp.Diff(want, a.Fields(t)); a.Status != 200 || diff != "" {
			t.Errorf("%.60s: %d (-want +got):\n%s", body, a.Status, diff)
		}
	}

	r := w.RequestV2(sandboxtest.QueryV2, nil)
	r.Method = "GET"
	if f := sandboxtest.Serve(w.Sandbox.WeChat(), r).Fields(t); f["err_code"] != "REQUIRE_POST_METHOD" {
		t.Errorf("GET: %v", f)
	}
	r = w.RequestV2(sandboxtest.RefundV2, w.Signed(w.GlobalRefund(nil)))
	r.TLS = nil
	if a := sandboxtest.Serve(w.Sandbox.WeChat(), r); a.Status != 400 || !strings.Contains(string(a.Body), "No required SSL certificate") {
		t.Errorf("without a certificate: %d %s", a.Status, a.Body)
	}
	if f := w.CallV2(sandboxtest.QueryV2, w.GlobalQuery(map[string]string{"out_refund_no": "R1"})); f["err_code"] != "REFUNDNOTEXIST" {
		t.Errorf("a refund was made: %v", f)
	}
}

func TestAQueryHoldsTenRefundsAPage(t *testing.T) {
	w := sandboxtest.New(t)
	w.Order("T1")
	w.Order("T2")
	w.Partials(36)
	w.Refund("T2", "R2")
	id := w.Call("GET", sandboxtest.RefundsPath+"/P7", "").Field("refund_id").(string)
	transaction := w.Call("GET", sandboxtest.RefundsPath+"/P7", "").Field("transaction_id").(string)
	type ask = map[string]string
	for _, tt := range []struct {
		ask   ask
		first string // out_refund_no_0; empty: none
		count string
		total string
		code  string
	}{
		{ask{"out_trade_no": "T1"}, "P0", "10", "36", ""},
		{ask{"transaction_id": transaction}, "P0", "10", "36", ""},
		{ask{"out_trade_no": "T1", "offset": "24"}, "P24", "10", "36", ""},
		{ask{"out_trade_no": "T1", "offset": "30"}, "P30", "6", "36", ""},
		{ask{"out_trade_no": "T1", "offset": "35"}, "P35", "1", "36", ""},
		{ask{"out_trade_no": "T1", "offset": "36"}, "", "0", "36", ""},
		{ask{"out_trade_no": "T1", "offset": "37"}, "", "", "", "PARAM_ERROR"},
		{ask{"out_trade_no": "T1", "offset": "-1"}, "", "", "", "PARAM_ERROR"},
		{ask{"out_trade_no": "T1", "offset": "x"}, "", "", "", "PARAM_ERROR"},
		{ask{"out_trade_no": "T2"}, "R2", "1", "", ""},
		{ask{"out_trade_no": "T2", "offset": "0"}, "R2", "1", "1", ""},
		{ask{"out_refund_no": "P7", "offset": "99"}, "P7", "1", "", ""},
		{ask{"refund_id": id}, "P7", "1", "", ""},
		{ask{"refund_id": id, "out_refund_no": "R2", "transaction_id": "9", "out_trade_no": "T2"}, "P7", "1", "", ""},
		{ask{"out_refund_no": "R2", "transaction_id": transaction, "out_trade_no": "T1"}, "R2", "1", "", ""},
		{ask{"transaction_id": transaction, "out_trade_no": "T2"}, "P0", "10", "36", ""},
		{ask{"refund_id": "9", "out_refund_no": "P7"}, "", "", "", "REFUNDNOTEXIST"},
		{ask{"out_refund_no": "R9"}, "", "", "", "REFUNDNOTEXIST"},
		{ask{"out_trade_no": "T9"}, "", "", "", "ORDERNOTEXIST"},
		{ask{"transaction_id": "9"}, "", "", "", "INVALID_TRANSACTIONID"},
		{ask{"out_refund_no": "P7", "sub_mch_id": "1900000109"}, "", "", "", "REFUNDNOTEXIST"},
		{ask{}, "", "", "", "PARAM_ERROR"},
	} {
		got := w.CallV2(sandboxtest.QueryV2, w.GlobalQuery(tt.ask))
		if got["out_refund_no_0"] != tt.first || got["refund_count"] != tt.count || got["total_refund_count"] != tt.total || got["err_code"] != tt.code {
			t.Errorf("%v: %v, want %+v", tt.ask, got, tt)
		}
		if n := strings.Count(fmt.Sprint(got), "refund_status_"); tt.count != "" && fmt.Sprint(n) != tt.count {
			t.Errorf("%v: %d refunds, want %s", tt.ask, n, tt.count)
		}
	}

	w.Order("T3")
	if got := w.CallV2(sandboxtest.QueryV2, w.GlobalQuery(ask{"out_trade_no": "T3"})); got["err_code"] != "REFUNDNOTEXIST" {
		t.Errorf("paid and never refunded: %v", got)
	}
}

// Coupons are told as $n_$m, and states in v2's words.
func TestAQueryTellsCouponsAndSettlement(t *testing.T) {
	w := sandboxtest.New(t)
	w.Pay(`{"out_trade_no":"T1","total":10000,"promotion_detail":[
		{"promotion_id":"10","scope":"GLOBAL","type":"CASH","amount":1000},{"promotion_id":"11","scope":"SINGLE","type":"NOCASH","amount":2000}]}`)
	for i, status := range []string{"SUCCESS", "CLOSED", "ABNORMAL", ""} {
		number := fmt.Sprintf("R%d", i)
		got := w.CallV2(sandboxtest.RefundV2, w.GlobalRefund(map[string]string{"out_refund_no": number, "refund_fee": "1000"}))
		for name, want := range map[string]string{
			"cash_fee": "7000", "cash_refund_fee": "700", "settlement_total_fee": "8000", "settlement_refund_fee": "800", "coupon_refund_fee": "300",
			"coupon_refund_count": "2", "coupon_type_0": "CASH", "coupon_type_1": "NO_CASH", "coupon_refund_id_1": "11", "coupon_refund_fee_0": "100", "coupon_refund_fee_1": "200",
		} {
			if got[name] != want {
				t.Errorf("refund %d: %s = %q, want %q", i, name, got[name], want)
			}
		}
		if status != "" {
			w.Control("POST", "/_sandbox/refunds/"+number+"/settle", fmt.Sprintf(`{"status":%q}`, status), 200)
		}
	}
	got := w.CallV2(sandboxtest.QueryV2, w.GlobalQuery(map[string]string{"out_trade_no": "T1"}))
	for name, want := range map[string]string{
		"refund_count": "4", "refund_status_0": "SUCCESS", "refund_status_1": "REFUNDCLOSE", "refund_status_2": "CHANGE", "refund_status_3": "PROCESSING",
		"refund_success_time_1": "", "refund_success_time_2": "", "settlement_total_fee": "8000", "settlement_refund_fee_0": "800",
		"coupon_refund_count_2": "2", "coupon_type_3_0": "CASH", "coupon_type_3_1": "NO_CASH", "coupon_refund_id_3_1": "11", "coupon_refund_fee_3_1": "200", "coupon_refund_fee_3": "300",
	} {
		if got[name] != want {
			t.Errorf("%s = %q, want %q", name, got[name], want)
		}
	}
}

func TestForeignPartialRefundsReturnAllTheYuan(t *testing.T) {
	w := sandboxtest.New(t)
	w.Pay(`{"out_trade_no":"T1","total":10000,"currency":"EUR"}`)
	sum := 0
	for i := range 11 {
		fee := "909"
		if i == 10 {
			fee = "910"
		}
		got := w.CallV2(sandboxtest.RefundV2, w.GlobalRefund(map[string]string{"out_refund_no": fmt.Sprint("R", i), "refund_fee": fee}))
		var n int
		fmt.Sscan(got["cash_refund_fee"], &n)
		sum += n
	}
	if sum != 77900 {
		t.Errorf("%d fen went back, want 77900", sum)
	}
}

// A fault gives every code, and only to what it is meant for.
func TestEveryDocumentedCodeCanBeHad(t *testing.T) {
	for on, codes := range sandboxtest.CodesV2 {
		for _, code := range codes {
			w := sandboxtest.New(t)
			w.Order("T1")
			fault := fmt.Sprintf(`{"err_code":%q,"on":%q,"count":1}`, code, on)
			w.Control("POST", "/_sandbox/faults", fault, 200)
			first := w.CallV2(sandboxtest.RefundV2, w.GlobalRefund(nil))
			second := w.CallV2(sandboxtest.QueryV2, w.GlobalQuery(map[string]string{"out_trade_no": "T1"}))
			hit, spared := first, ""
			if on == "query" {
				hit, spared = second, first["err_code"]
			}
			if hit["err_code"] != code || hit["err_code_des"] == "" || spared != "" {
				t.Errorf("%s of %s: %v, %v", code, on, first, second)
			}

			w.Control("POST", "/_sandbox/faults", fault, 200)
			a := w.CloudPay("refund", sandboxtest.Set(t, sandboxtest.PayRefund, "/out_refund_no", "R2"))
			if on == "query" {
				a = w.CloudPay("queryRefund", `{"sub_mch_id":"1900000109","nonce_str":"n","out_refund_no":"R2"}`)
			}
			if a.Field("return_code") != "SUCCESS" || a.Field("result_code") != "FAIL" || a.Field("err_code") != code {
				t.Errorf("CloudPay's %s of %s: %s", code, on, a.Body)
			}
		}
	}
	// The names of APIv3 are translated.
	w := sandboxtest.New(t)
	w.Order("T1")
	for name, want := range map[string]string{"NOT_ENOUGH": "NOTENOUGH", "SYSTEM_ERROR": "SYSTEMERROR", "NO_AUTH": "NOAUTH", "SERVICE_UNAVAILABLE": "SYSTEMERROR"} {
		w.Control("POST", "/_sandbox/faults", fmt.Sprintf(`{"err_code":%q,"count":1}`, name), 200)
		if got := w.CallV2(sandboxtest.RefundV2, w.GlobalRefund(nil)); got["err_code"] != want {
			t.Errorf("%s: %v, want %s", name, got, want)
		}
	}
}

func TestEachFaultAsAClientOfGlobalMeetsIt(t *testing.T) {
	tests := []struct {
		fault  string
		status int
		code   string
		signed bool
		made   bool
	}{
		{"reset_after", 0, "", false, true},
		{"500_before", 500, "SYSTEMERROR", false, false},
		{"500_after", 500, "SYSTEMERROR", false, true},
		{"429_after", 200, "FREQUENCY_LIMITED", true, true},
		{"bad_signature", 200, "", false, true},
		{"unsigned", 200, "", false, true},
	}
	for _, tt := range tests {
		t.Run(tt.fault, func(t *testing.T) {
			w := sandboxtest.New(t)
			w.Order("T1")
			w.Control("POST", "/_sandbox/faults", fmt.Sprintf(`{"upstream":%q,"count":1}`, tt.fault), 200)
			a := sandboxtest.Serve(w.Sandbox.WeChat(), w.RequestV2(sandboxtest.RefundV2, w.Signed(w.GlobalRefund(nil))))
			if tt.status == 0 {
				if len(a.Body) != 0 {
					t.Errorf("the connection held: %s", a.Body)
				}
			} else {
				f := a.Fields(t)
				verified := w.APIKey().Verify(f, wxpay.SignHMACSHA256) == nil
				if a.Status != tt.status || f["err_code"] != tt.code || verified != tt.signed {
					t.Errorf("%d %s, want %+v", a.Status, a.Body, tt)
				}
			}
			got := w.CallV2(sandboxtest.QueryV2, w.GlobalQuery(map[string]string{"out_refund_no": "R1"}))
			if made := got["result_code"] == "SUCCESS"; made != tt.made {
				t.Errorf("the refund: %v", got)
			}
		})
	}
}

func TestTooManyWrongRequestsAreBlocked(t *testing.T) {
	w := sandboxtest.New(t)
	seen := map[string]bool{}
	for range 20 {
		seen[w.CallV2(sandboxtest.RefundV2, w.GlobalRefund(nil))["err_code"]] = true
	}
	if !seen["ORDERNOTEXIST"] || !seen["INVALID_REQ_TOO_MUCH"] || len(seen) != 2 {
		t.Errorf("codes %v", seen)
	}
}
