package cloudbase_test

import (
	"strings"
	"testing"

	"wxrefund/shared/sandbox/sandboxtest"
)

func TestFunctionsAreCalledWithTheRefund(t *testing.T) {
	w := sandboxtest.New(t)
	w.Relayed()
	w.Order("T1")
	w.Order("T2")
	w.Module("wxpay_refund", sandboxtest.ModuleRefund)
	w.CloudPay("refund", `{"sub_mch_id":"1900000109","nonce_str":"n","out_trade_no":"T2","out_refund_no":"R2","total_fee":10000,"refund_fee":100,"function_name":"notify"}`)
	w.Control("POST", "/_sandbox/refunds/R1/settle", `{"status":"ABNORMAL"}`, 200)
	w.Control("POST", "/_sandbox/refunds/R2/settle", `{"status":"CLOSED"}`, 200)
	posts := w.Receiver.Received()
	if len(posts) != 2 {
		t.Fatalf("%d events, want 2", len(posts))
	}
	a, e := sandboxtest.Answer{Body: posts[0].Body}, sandboxtest.Answer{Body: posts[1].Body}
	for path, want := range map[string]any{
		"event_type": "REFUND.ABNORMAL", "resource_type": "encrypt-resource", "summary": "退款异常", "resource out_refund_no": "R1", "resource refund_status": "ABNORMAL",
		"resource mchid": "1900000001", "resource amount refund": 100.0, "resource amount payer_total": 10000.0, "id": w.Deliveries()[0].ID,
	} {
		if got := a.Field(strings.Fields(path)...); got != want {
			t.Errorf("template: %s = %v, want %v", path, got, want)
		}
	}
	for name, want := range map[string]any{
		"returnCode": "SUCCESS", "mchId": "1900000001", "subMchId": "1900000109", "appid": "wx5a4db0c0ffee0001", "subAppid": "wx5a4db0c0ffee0109",
		"outRefundNo": "R2", "outTradeNo": "T2", "refundStatus": "REFUNDCLOSE", "refundFee": 100.0, "totalFee": 10000.0, "successTime": nil,
	} {
		if got := e.Field(name); got != want {
			t.Errorf("CloudPay: %s = %v, want %v in %s", name, got, want, e.Body)
		}
	}
	if e.Field("nonceStr") == nil || e.Field("refundRecvAccout") == nil {
		t.Errorf("CloudPay: %s", e.Body)
	}

	// Without a function's name nobody is called.
	w.Order("T3")
	w.CloudPay("refund", `{"sub_mch_id":"1900000109","nonce_str":"n","out_trade_no":"T3","out_refund_no":"R3","total_fee":10000,"refund_fee":100}`)
	w.Control("POST", "/_sandbox/refunds/R3/settle", `{"status":"SUCCESS"}`, 200)
	if n := len(w.Receiver.Received()); n != 2 {
		t.Errorf("%d events, want 2", n)
	}
}
