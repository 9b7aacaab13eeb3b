package sandbox_test

import (
	"strings"
	"testing"

	"wxrefund/shared/sandbox/sandboxtest"
)

// A refund notifies in the way of the system that has made it, and this tries
// what each takes for an acknowledgement.
func TestEachSystemNotifiesAndIsAcknowledgedInItsWay(t *testing.T) {
	wrap := func(result string) string {
		return `{"errMsg":"cloud.callFunction:ok","requestID":"x","result":` + result + `}`
	}
	union := wrap(`{"code":"SUCCESS","message":"成功","errcode":0,"errmsg":"SUCCESS"}`)
	kinds := map[string]struct {
		order string
		make  func(*sandboxtest.World)
		url   string
		yes   []string
		no    []string
	}{
		"apiv3": {make: func(w *sandboxtest.World) { w.Refund("T00001", "R1") }, url: sandboxtest.NotifyURL, yes: []string{"", `{"code":"SUCCESS"}`}, no: []string{sandboxtest.AckV2, `{"code":"FAIL"}`}},
		"global": {
			make: func(w *sandboxtest.World) {
				w.CallV2(sandboxtest.RefundV2, w.GlobalRefund(map[string]string{"out_trade_no": "T00001"}))
			},
			url: sandboxtest.NotifyURL, yes: []string{sandboxtest.AckV2, "<xml><return_code>SUCCESS</return_code></xml>"},
			no: []string{"", `{"code":"SUCCESS"}`, "SUCCESS", strings.Replace(sandboxtest.AckV2, "SUCCESS", "FAIL", 1)},
		},
		"cloudbase": {
			make: func(w *sandboxtest.World) {
				w.Module("wxpay_refund", strings.Replace(sandboxtest.ModuleRefund, "T1", "T00001", 1))
			},
			url: sandboxtest.RelayURL, yes: []string{union, wrap(`{"code":"SUCCESS"}`)},
			no: []string{"", `{"code":"SUCCESS"}`, wrap(`{"code":0}`), wrap(`{"errcode":0}`), wrap(`"SUCCESS"`), wrap(`null`)},
		},
		"cloudpay": {
			make: func(w *sandboxtest.World) {
				w.CloudPay("refund", strings.Replace(sandboxtest.PayRefund, `"out_trade_no":"T1"`, `"out_trade_no":"T00001","function_name":"notify","env_id":"e"`, 1))
			},
			url: sandboxtest.RelayURL, yes: []string{union, wrap(`{"errcode":0}`)},
			no: []string{"", `{"errcode":0}`, wrap(`{"code":"SUCCESS"}`), wrap(`{"errcode":"0"}`), wrap(`{"errcode":1}`), wrap(`{}`)},
		},
	}
	for name, kind := range kinds {
		try := func(answer string, want string) {
			w := sandboxtest.New(t)
			w.Relayed()
			w.Order("T00001")
			w.Answering(200, answer)
			kind.make(w)
			w.Control("POST", "/_sandbox/refunds/R1/settle", `{"status":"SUCCESS"}`, 200)
			d := w.Deliveries()
			if len(d) != 1 || d[0].State != want {
				t.Errorf("%s answered %q: %+v, want %s", name, answer, d, want)
			}
			if posts := w.Receiver.Received(); len(posts) != 1 || posts[0].URL != kind.url {
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
