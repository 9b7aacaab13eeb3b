package v2_test

import (
	"fmt"
	"strings"
	"testing"

	"wxrefund/shared/sandbox/sandboxtest"
)

func TestACloudPayRefundIsAnsweredAsDocumented(t *testing.T) {
	w := sandboxtest.New(t)
	w.Order("T1")
	a := w.CloudPay("refund", sandboxtest.Set(t, sandboxtest.PayRefund, "/refund_account", "REFUND_SOURCE_RECHARGE_FUNDS"))
	for name, want := range map[string]any{
		"return_code": "SUCCESS", "result_code": "SUCCESS", "appid": "wx5a4db0c0ffee0001", "mch_id": "1900000001",
		"sub_appid": "wx5a4db0c0ffee0109", "sub_mch_id": "1900000109", "out_trade_no": "T1", "out_refund_no": "R1",
		"refund_fee": 100.0, "total_fee": 10000.0, "cash_fee": 10000.0, "cash_refund_fee": 100.0, "fee_type": "CNY",
		"coupon_refund_fee": 0.0, "coupon_refund_count": 0.0, "err_code": nil, "cash_fee_type": nil,
	} {
		if got := a.Field(name); got != want {
			t.Errorf("%s = %v, want %v", name, got, want)
		}
	}
	if a.Header.Get("Content-Type") == "application/json; charset=utf-8" {
		t.Error("a result that looks like the gateway's own words")
	}
	q := w.CloudPay("queryRefund", `{"sub_mch_id":"1900000109","nonce_str":"n","transaction_id":"","out_trade_no":"T1","offset":0}`)
	for name, want := range map[string]any{
		"refund_status_0": "PROCESSING", "refund_account_0": "REFUND_SOURCE_RECHARGE_FUNDS", "refund_count": 1.0, "total_refund_count": 1.0, "out_refund_no_0": "R1",
	} {
		if got := q.Field(name); got != want {
			t.Errorf("%s = %v, want %v: %s", name, got, want, q.Body)
		}
	}
	if a := w.CloudPay("unifiedOrder", "{}"); a.Field("code") != "INVALID_PARAM" || a.Header.Get("Content-Type") != "application/json; charset=utf-8" {
		t.Errorf("unknown API: %s", a.Body)
	}
}

// One thing of a request that is granted is changed.
func TestEachCloudPayRuleRefusesInItsWords(t *testing.T) {
	long := func(n int) string { return strings.Repeat("x", n) }
	for _, tt := range []struct {
		field string
		value any
		code  string // nothing: granted; TYPE: not even understood
	}{
		{"/refund_desc", "x", ""},
		{"/refund_desc", "", ""},
		{"/function_name", "notify", ""},
		{"/env_id", "sandbox", ""},
		{"/tomorrow", 1, ""},
		{"/out_refund_no", long(64), ""},
		{"/refund_fee_type", "CNY", ""},
		{"/sub_mch_id", nil, "PARAM_ERROR"},
		{"/sub_mch_id", "1900000001", "PARAM_ERROR"},
		{"/sub_mch_id", "1900000110", "NOAUTH"},
		{"/nonce_str", nil, "PARAM_ERROR"},
		{"/nonce_str", long(33), "PARAM_ERROR"},
		{"/out_trade_no", nil, "PARAM_ERROR"},
		{"/out_trade_no", "T9", "ORDERNOTEXIST"},
		{"/transaction_id", "9", "INVALID_TRANSACTIONID"},
		{"/out_trade_no", "T|1", "PARAM_ERROR"},
		{"/out_refund_no", nil, "PARAM_ERROR"},
		{"/out_refund_no", "R|1", "PARAM_ERROR"},
		{"/out_refund_no", long(65), "PARAM_ERROR"},
		{"/refund_account", "AVAILABLE", "PARAM_ERROR"},
		{"/refund_fee_type", "USD", "INVALID_REQUEST"},
		{"/refund_fee", 0, "PARAM_ERROR"},
		{"/refund_fee", 10001, "INVALID_REQUEST"},
		{"/total_fee", 9999, "INVALID_REQUEST"},
		{"/total_fee", "10000", "TYPE"},
		{"/refund_fee", 1.5, "TYPE"},
		{"/out_refund_no", 1, "TYPE"},
		{"/sub_mch_id", 1900000109, "TYPE"},
	} {
		w := sandboxtest.New(t)
		w.Order("T1")
		a := w.CloudPay("refund", sandboxtest.Set(t, sandboxtest.PayRefund, tt.field, tt.value))
		code, _ := a.Field("err_code").(string)
		if a.Field("return_code") == "FAIL" && a.Field("return_msg") == "参数格式校验错误" && a.Field("result_code") == nil {
			code = "TYPE"
		}
		if code != tt.code || a.Field("sub_mch_id") == nil && code != "TYPE" {
			t.Errorf("%s = %.20v: %s, want %s", tt.field, tt.value, a.Body, tt.code)
		}
	}
}

// Both ways in which coupons are listed are met.
func TestCloudPayTellsCouponsInEitherForm(t *testing.T) {
	w := sandboxtest.New(t)
	w.Pay(`{"out_trade_no":"T1","total":10000,"promotion_detail":[{"promotion_id":"10","scope":"GLOBAL","type":"CASH","amount":1000},{"promotion_id":"11","scope":"GLOBAL","type":"NOCASH","amount":1000}]}`)
	lists, plain := 0, 0
	for i := range 20 {
		a := w.CloudPay("refund", sandboxtest.Set(t, sandboxtest.Set(t, sandboxtest.PayRefund, "/refund_fee", 200), "/out_refund_no", fmt.Sprint("R", i)))
		switch {
		case fmt.Sprint(a.Field("coupon_type_list"), a.Field("coupon_refund_id_list"), a.Field("coupon_refund_fee_list")) == "[CASH NO_CASH] [10 11] [20 20]":
			lists++
		case a.Field("coupon_type_0") == "CASH" && a.Field("coupon_type_1") == "NO_CASH" && a.Field("coupon_refund_fee_1") == 20.0 && a.Field("coupon_type_list") == nil:
			plain++
		default:
			t.Errorf("coupons: %s", a.Body)
		}
	}
	if lists == 0 || plain == 0 {
		t.Errorf("%d as lists, %d by number", lists, plain)
	}
}
