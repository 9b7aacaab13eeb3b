package sandbox_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"wxrefund/shared/sandbox"
	"wxrefund/shared/wxpay"
)

const relayURL = "http://127.0.0.1:8700/functions/notify"

// relayed gives the relays somewhere to call.
func (w *world) relayed() {
	w.sandbox.SetURLs(sandbox.URLs{WeChat: "http://127.0.0.1:8701", WeChatTLS: "https://127.0.0.1:8702", Relay: relayURL})
}

const ackV2 = `<xml><return_code><![CDATA[SUCCESS]]></return_code><return_msg><![CDATA[OK]]></return_msg></xml>`

// answering lets the receiver always give the same answer.
func (w *world) answering(status int, body string) {
	w.receiver.mu.Lock()
	defer w.receiver.mu.Unlock()
	w.receiver.answer = func(int, *http.Request) (*http.Response, error) { return respond(status, body), nil }
}

// openV2 reads a notification of v2.
func (w *world) openV2(body []byte) (outer, inner wxpay.Fields) {
	w.t.Helper()
	outer, err := wxpay.ParseFields(body, "xml")
	if err != nil {
		w.t.Fatalf("%s: %v", body, err)
	}
	plain, err := w.apiKey().OpenReqInfo(outer["req_info"])
	if err != nil {
		w.t.Fatal(err)
	}
	if inner, err = wxpay.ParseFields(plain, "root"); err != nil {
		w.t.Fatalf("%s: %v", plain, err)
	}
	return outer, inner
}

// TestScheduleV2 lives through the whole schedule of an XML notification.
func TestScheduleV2(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.answering(200, `{"code":"SUCCESS"}`) // v3's acknowledgement is none
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error)
		go func() { ended <- w.sandbox.Run(ctx) }()
		defer func() {
			cancel()
			if err := <-ended; err != nil {
				t.Errorf("Run() = %v", err)
			}
		}()
		w.order("T1")
		w.callV2(refundV2, w.globalRefund(map[string]string{"notify_url": "https://merchant.example/other"}))
		time.Sleep(26 * time.Hour)
		posts := w.receiver.received()
		if len(posts) != 16 {
			t.Fatalf("%d sends, want 16", len(posts))
		}
		for i, p := range posts {
			if i > 0 {
				if got := p.at.Sub(posts[i-1].at); got != repeats[i-1] {
					t.Errorf("repeat %d came after %v, want %v", i, got, repeats[i-1])
				}
			}
			if p.url != "https://merchant.example/other" || p.header.Get("Content-Type") != "text/xml" || p.header.Get("Wechatpay-Signature") != "" {
				t.Errorf("send %d to %s with %v", i, p.url, p.header)
			}
			if string(p.body) != string(posts[0].body) {
				t.Errorf("send %d has another body", i)
			}
		}
		outer, inner := w.openV2(posts[0].body)
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
		if d := w.deliveries()[0]; d.State != "failed" || d.EventType != "REFUND.SUCCESS" || len(d.Attempts) != 16 || d.Attempts[0].Error == "" {
			t.Errorf("delivery %+v", d)
		}
	})
}

// TestNotificationKinds tells of a refund as whoever has made it is told, and tries
// what each takes for an acknowledgement.
func TestNotificationKinds(t *testing.T) {
	wrap := func(result string) string {
		return `{"errMsg":"cloud.callFunction:ok","requestID":"x","result":` + result + `}`
	}
	union := wrap(`{"code":"SUCCESS","message":"成功","errcode":0,"errmsg":"SUCCESS"}`)
	kinds := map[string]struct {
		order string
		make  func(*world)
		url   string
		yes   []string
		no    []string
	}{
		"apiv3": {make: func(w *world) { w.refund("T00001", "R1") }, url: notifyURL, yes: []string{"", `{"code":"SUCCESS"}`}, no: []string{ackV2, `{"code":"FAIL"}`}},
		"global": {
			make: func(w *world) {
				w.callV2(refundV2, w.globalRefund(map[string]string{"out_trade_no": "T00001"}))
			},
			url: notifyURL, yes: []string{ackV2, "<xml><return_code>SUCCESS</return_code></xml>"},
			no: []string{"", `{"code":"SUCCESS"}`, "SUCCESS", strings.Replace(ackV2, "SUCCESS", "FAIL", 1)},
		},
		"cloudbase": {
			make: func(w *world) { w.module("wxpay_refund", strings.Replace(moduleRefund, "T1", "T00001", 1)) },
			url:  relayURL, yes: []string{union, wrap(`{"code":"SUCCESS"}`)},
			no: []string{"", `{"code":"SUCCESS"}`, wrap(`{"code":0}`), wrap(`{"errcode":0}`), wrap(`"SUCCESS"`), wrap(`null`)},
		},
		"cloudpay": {
			make: func(w *world) {
				w.cloudPay("refund", strings.Replace(payRefund, `"out_trade_no":"T1"`, `"out_trade_no":"T00001","function_name":"notify","env_id":"e"`, 1))
			},
			url: relayURL, yes: []string{union, wrap(`{"errcode":0}`)},
			no: []string{"", `{"errcode":0}`, wrap(`{"code":"SUCCESS"}`), wrap(`{"errcode":"0"}`), wrap(`{"errcode":1}`), wrap(`{}`)},
		},
	}
	for name, kind := range kinds {
		try := func(answer string, want string) {
			w := newWorld(t)
			w.relayed()
			w.order("T00001")
			w.answering(200, answer)
			kind.make(w)
			w.control("POST", "/_sandbox/refunds/R1/settle", `{"status":"SUCCESS"}`, 200)
			d := w.deliveries()
			if len(d) != 1 || d[0].State != want {
				t.Errorf("%s answered %q: %+v, want %s", name, answer, d, want)
			}
			if posts := w.receiver.received(); len(posts) != 1 || posts[0].url != kind.url {
				t.Errorf("%s: posted %d, want one to %s", name, len(posts), kind.url)
			}
		}
		for _, answer := range kind.yes {
			try(answer, "delivered")
		}
		for _, answer := range kind.no {
			try(answer, "pending")
		}
	}
}

// TestRelayEvents reads what the functions are called with.
func TestRelayEvents(t *testing.T) {
	w := newWorld(t)
	w.relayed()
	w.order("T1")
	w.order("T2")
	w.module("wxpay_refund", moduleRefund)
	w.cloudPay("refund", `{"sub_mch_id":"1900000109","nonce_str":"n","out_trade_no":"T2","out_refund_no":"R2","total_fee":10000,"refund_fee":100,"function_name":"notify"}`)
	w.control("POST", "/_sandbox/refunds/R1/settle", `{"status":"ABNORMAL"}`, 200)
	w.control("POST", "/_sandbox/refunds/R2/settle", `{"status":"CLOSED"}`, 200)
	posts := w.receiver.received()
	if len(posts) != 2 {
		t.Fatalf("%d events, want 2", len(posts))
	}
	a, e := answer{body: posts[0].body}, answer{body: posts[1].body}
	for path, want := range map[string]any{
		"event_type": "REFUND.ABNORMAL", "resource_type": "encrypt-resource", "summary": "退款异常", "resource out_refund_no": "R1", "resource refund_status": "ABNORMAL",
		"resource mchid": "1900000001", "resource amount refund": 100.0, "resource amount payer_total": 10000.0, "id": w.deliveries()[0].ID,
	} {
		if got := a.field(strings.Fields(path)...); got != want {
			t.Errorf("template: %s = %v, want %v", path, got, want)
		}
	}
	for name, want := range map[string]any{
		"returnCode": "SUCCESS", "mchId": "1900000001", "subMchId": "1900000109", "appid": "wx5a4db0c0ffee0001", "subAppid": "wx5a4db0c0ffee0109",
		"outRefundNo": "R2", "outTradeNo": "T2", "refundStatus": "REFUNDCLOSE", "refundFee": 100.0, "totalFee": 10000.0, "successTime": nil,
	} {
		if got := e.field(name); got != want {
			t.Errorf("CloudPay: %s = %v, want %v in %s", name, got, want, e.body)
		}
	}
	if e.field("nonceStr") == nil || e.field("refundRecvAccout") == nil {
		t.Errorf("CloudPay: %s", e.body)
	}

	// Without a function's name nobody is called.
	w.order("T3")
	w.cloudPay("refund", `{"sub_mch_id":"1900000109","nonce_str":"n","out_trade_no":"T3","out_refund_no":"R3","total_fee":10000,"refund_fee":100}`)
	w.control("POST", "/_sandbox/refunds/R3/settle", `{"status":"SUCCESS"}`, 200)
	if n := len(w.receiver.received()); n != 2 {
		t.Errorf("%d events, want 2", n)
	}
}

// TestNotificationByHand lets a refund on the merchant platform be told of in v2.
func TestNotificationByHand(t *testing.T) {
	w := newWorld(t)
	w.answering(200, ackV2)
	w.pay(`{"out_trade_no":"T1","total":10000,"sub_mchid":"1900000109"}`)
	w.control("POST", "/_sandbox/refunds", `{"out_trade_no":"T1","out_refund_no":"R1","amount":100,"notification":"v2"}`, 200)
	w.control("POST", "/_sandbox/refunds", `{"out_trade_no":"T1","out_refund_no":"R2","amount":{"refund":100},"notification":"v2"}`, 200)
	w.control("POST", "/_sandbox/refunds", `{"out_trade_no":"T1","out_refund_no":"R3","amount":100,"notification":"v1"}`, 400)
	w.control("POST", "/_sandbox/refunds/R1/settle", `{"status":"SUCCESS"}`, 200)
	posts := w.receiver.received()
	if len(posts) != 1 || posts[0].url != notifyURL {
		t.Fatalf("%d notifications", len(posts))
	}
	outer, inner := w.openV2(posts[0].body)
	if inner["refund_request_source"] != "VENDOR_PLATFORM" || outer["sub_mch_id"] != "1900000109" || inner["out_refund_no"] != "R1" {
		t.Errorf("%v %v", outer, inner)
	}
	if d := w.deliveries()[0]; d.State != "delivered" {
		t.Errorf("delivery %+v", d)
	}
}

// TestNotificationFaultsV2 lets faults strike notifications that have no signature: only that
// of the seal does, the others wait for notifications that have one.
func TestNotificationFaultsV2(t *testing.T) {
	for _, fault := range []string{"tamper", "signtest", "wrong_serial", "stale", "lose", "duplicate", "delay"} {
		w := newWorld(t)
		w.answering(200, ackV2)
		w.order("T1")
		w.control("POST", "/_sandbox/faults", fmt.Sprintf(`{"notify":%q,"count":1}`, fault), 200)
		w.callV2(refundV2, w.globalRefund(nil))
		w.control("POST", "/_sandbox/refunds/R1/settle", `{"status":"SUCCESS"}`, 200)
		d := w.deliveries()[0]
		want := map[string]string{"tamper": "pending", "lose": "lost", "delay": "pending"}[fault]
		if want == "" {
			want = "delivered"
		}
		if d.State != want {
			t.Errorf("%s: %+v, want %s", fault, d, want)
		}
		if fault == "tamper" {
			f, err := wxpay.ParseFields(w.receiver.received()[0].body, "xml")
			if err != nil {
				t.Fatal(err)
			}
			plain, err := w.apiKey().OpenReqInfo(f["req_info"])
			if err == nil {
				if _, err = wxpay.ParseFields(plain, "root"); err == nil {
					t.Error("a notification that was tampered with can be read")
				}
			}
		}
		var left struct {
			Faults []any `json:"faults"`
		}
		if err := json.Unmarshal(w.control("GET", "/_sandbox/faults", "", 200).body, &left); err != nil {
			t.Fatal(err)
		}
		if waits := fault == "signtest" || fault == "wrong_serial" || fault == "stale"; waits != (len(left.Faults) == 1) {
			t.Errorf("%s: %d faults are left", fault, len(left.Faults))
		}
	}
}
