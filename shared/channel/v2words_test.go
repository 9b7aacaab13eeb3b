package channel_test

import (
	"strings"
	"testing"

	"wxrefund/shared/refund"
)

// return_msg of a return_code FAIL is the reason, and reaches whoever asked.
func TestReturnMessageIsTheReason(t *testing.T) {
	ch := serveCloudPay(t, says(accepted.with(fields{"returnCode": "FAIL", "returnMsg": "参数格式校验错误"}).json()))
	for call, do := range both(ch) {
		if err := do(t.Context()); err == nil || !strings.Contains(refund.AsError(err).Message, "参数格式校验错误") {
			t.Errorf("CloudPay, %s: %v, want the reason", call, err)
		}
	}
	global := serveGlobalText(t, "<xml><return_code>FAIL</return_code><return_msg>签名失败</return_msg></xml>")
	if _, err := global.Refund(t.Context(), globalRequest()); err == nil || !strings.Contains(refund.AsError(err).Message, "签名失败") {
		t.Errorf("Global: %v, want the reason", err)
	}
}

// A query's currency is the one that is told, else CNY.
func TestQueryCurrency(t *testing.T) {
	for told, want := range map[any]string{nil: "CNY", "USD": "USD"} {
		page, err := serveCloudPay(t, says(alone().with(fields{"fee_type": told}).json())).Query(t.Context(), refund.Lookup{OutRefundNo: "R1"})
		if err != nil || len(page.Refunds) != 1 || page.Refunds[0].Amount.Currency != want {
			t.Errorf("fee_type %v: %+v, %v, want %s", told, page, err, want)
		}
	}
}
