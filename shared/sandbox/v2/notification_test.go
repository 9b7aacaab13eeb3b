package v2_test

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"wxrefund/shared/sandbox/sandboxtest"
	"wxrefund/shared/wxpay"
)

// An XML notification that is not acknowledged is sent sixteen times as it is. When, the
// test of package world tells.
func TestXMLNotificationsAreRepeatedAsTheyAre(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := sandboxtest.New(t)
		w.Answering(200, `{"code":"SUCCESS"}`) // v3's acknowledgement is none
		w.Order("T1")
		w.CallV2(sandboxtest.RefundV2, w.GlobalRefund(map[string]string{"notify_url": "https://merchant.example/other"}))
		w.Advance("26h")
		posts := w.Receiver.Received()
		if len(posts) != 16 {
			t.Fatalf("%d sends, want 16", len(posts))
		}
		for i, p := range posts {
			if p.URL != "https://merchant.example/other" || p.Header.Get("Content-Type") != "text/xml" || p.Header.Get("Wechatpay-Signature") != "" {
				t.Errorf("send %d to %s with %v", i, p.URL, p.Header)
			}
			if string(p.Body) != string(posts[0].Body) {
				t.Errorf("send %d has another body", i)
			}
		}
		outer, inner := w.OpenV2(posts[0].Body)
		if outer["return_code"] != "SUCCESS" || outer["mch_id"] != "1900000001" || outer["appid"] == "" || outer["nonce_str"] == "" || outer["sign"] != "" || outer["sub_mch_id"] != "" {
			t.Errorf("notification %v", outer)
		}
		if _, err := time.Parse(time.DateTime, inner["success_time"]); err != nil {
			t.Errorf("success_time: %v", err)
		}
		for _, name := range []string{"success_time", "refund_id", "transaction_id", "refund_recv_accout"} {
			if inner[name] == "" {
				t.Errorf("%s is missing", name)
			}
			delete(inner, name)
		}
		want := wxpay.Fields{
			"out_trade_no": "T1", "out_refund_no": "R1", "total_fee": "10000", "refund_fee": "100", "refund_status": "SUCCESS",
			"settlement_total_fee": "10000", "settlement_refund_fee": "100", "cash_refund_fee": "100",
			"refund_account": "REFUND_SOURCE_UNSETTLED_FUNDS", "refund_request_source": "API",
		}
		if diff := cmp.Diff(want, inner); diff != "" {
			t.Errorf("req_info (-want +got):\n%s", diff)
		}
		if d := w.Deliveries()[0]; d.State != "failed" || d.EventType != "REFUND.SUCCESS" || len(d.Attempts) != 16 || d.Attempts[0].Error == "" {
			t.Errorf("delivery %+v", d)
		}
	})
}

// A refund on the merchant platform notifies in v2 if that is asked for.
func TestARefundByHandCanNotifyInXML(t *testing.T) {
	w := sandboxtest.New(t)
	w.Answering(200, sandboxtest.AckV2)
	w.Pay(`{"out_trade_no":"T1","total":10000,"sub_mchid":"1900000109"}`)
	w.Control("POST", "/_sandbox/refunds", `{"out_trade_no":"T1","out_refund_no":"R1","amount":100,"notification":"v2"}`, 200)
	w.Control("POST", "/_sandbox/refunds", `{"out_trade_no":"T1","out_refund_no":"R2","amount":{"refund":100},"notification":"v2"}`, 200)
	w.Control("POST", "/_sandbox/refunds", `{"out_trade_no":"T1","out_refund_no":"R3","amount":100,"notification":"v1"}`, 400)
	w.Control("POST", "/_sandbox/refunds/R1/settle", `{"status":"SUCCESS"}`, 200)
	posts := w.Receiver.Received()
	if len(posts) != 1 || posts[0].URL != sandboxtest.NotifyURL {
		t.Fatalf("%d notifications", len(posts))
	}
	outer, inner := w.OpenV2(posts[0].Body)
	if inner["refund_request_source"] != "VENDOR_PLATFORM" || outer["sub_mch_id"] != "1900000109" || inner["out_refund_no"] != "R1" {
		t.Errorf("%v %v", outer, inner)
	}
	if d := w.Deliveries()[0]; d.State != "delivered" {
		t.Errorf("delivery %+v", d)
	}
}

// Faults meet notifications that have no signature: only that
// of the seal does, the others wait for notifications that have one.
func TestSignatureFaultsPassUnsignedNotificationsBy(t *testing.T) {
	for _, fault := range []string{"tamper", "signtest", "wrong_serial", "stale", "lose", "duplicate", "delay"} {
		w := sandboxtest.New(t)
		w.Answering(200, sandboxtest.AckV2)
		w.Order("T1")
		w.Control("POST", "/_sandbox/faults", fmt.Sprintf(`{"notify":%q,"count":1}`, fault), 200)
		w.CallV2(sandboxtest.RefundV2, w.GlobalRefund(nil))
		w.Control("POST", "/_sandbox/refunds/R1/settle", `{"status":"SUCCESS"}`, 200)
		d := w.Deliveries()[0]
		want := map[string]string{"tamper": "pending", "lose": "lost", "delay": "pending"}[fault]
		if want == "" {
			want = "delivered"
		}
		if d.State != want {
			t.Errorf("%s: %+v, want %s", fault, d, want)
		}
		if fault == "tamper" {
			f := sandboxtest.Answer{Body: w.Receiver.Received()[0].Body}.Fields(t)
			if _, err := w.APIKey().OpenReqInfo(f["req_info"]); err == nil {
				t.Error("a notification that was tampered with can be read")
			}
		}
		left, _ := w.Control("GET", "/_sandbox/faults", "", 200).Field("faults").([]any)
		if waits := fault == "signtest" || fault == "wrong_serial" || fault == "stale"; waits != (len(left) == 1) {
			t.Errorf("%s: %d faults are left", fault, len(left))
		}
	}
}
