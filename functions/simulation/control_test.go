package simulation_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
)

// An upstreamRefund is what WeChat Pay says that it holds.
type upstreamRefund struct {
	OutRefundNo   string `json:"out_refund_no"`
	OutTradeNo    string `json:"out_trade_no"`
	TransactionID string `json:"transaction_id"`
	RefundID      string `json:"refund_id"`
	Status        string
	Amount        struct{ Refund, Total int64 }
}

// control drives WeChat Pay's side as a developer would. It returns the status.
func (w *world) control(method, path string, in, out any) int {
	var body []byte
	if in != nil {
		b, err := json.Marshal(in)
		if err != nil {
			panic(err)
		}
		body = b
	}
	r := httptest.NewRequest(method, "http://127.0.0.1/_sandbox/"+path, bytes.NewReader(body))
	r.RemoteAddr = "127.0.0.1:40000"
	if in != nil {
		r.Header.Set("Content-Type", "application/json")
	}
	rec := httptest.NewRecorder()
	w.controlHandler.ServeHTTP(rec, r)
	if rec.Code == http.StatusOK && out != nil {
		if err := json.Unmarshal(rec.Body.Bytes(), out); err != nil {
			panic(err)
		}
	}
	return rec.Code
}

// upstreams is what WeChat Pay holds, oldest first.
func (w *world) upstreams() []upstreamRefund {
	var out struct{ Refunds []upstreamRefund }
	w.control(http.MethodGet, "refunds", nil, &out)
	return out.Refunds
}

func (w *world) upstream(no string) (upstreamRefund, bool) {
	for _, u := range w.upstreams() {
		if u.OutRefundNo == no {
			return u, true
		}
	}
	return upstreamRefund{}, false
}

// pay makes a paid order.
func (w *world) pay(o order) {
	in := map[string]any{"out_trade_no": o.Trade, "transaction_id": o.Transaction, "total": o.Total, "currency": o.currency()}
	if w.system.served {
		in["sub_mchid"] = keys().of[w.history.Channel].settings["WXPAY_SUB_MCHID"]
	}
	if o.Coupon > 0 {
		in["promotion_detail"] = []map[string]any{{"promotion_id": "COUPON-" + o.Trade, "scope": "GLOBAL", "type": o.CouponType, "amount": o.Coupon}}
	}
	if status := w.control(http.MethodPost, "orders", in, nil); status != http.StatusOK {
		panic(fmt.Sprintf("the order %+v is answered with %d", o, status))
	}
}

// refuseOnce has the sandbox refuse the next application, which is made at this very
// instant, for certain.
func (w *world) refuseOnce(no string) (stop func()) {
	var out struct{ ID string }
	code := pick(w.random.of("refuse", no), "USER_ACCOUNT_ABNORMAL", "NOT_ENOUGH")
	if status := w.control(http.MethodPost, "faults", map[string]any{"err_code": code, "count": 1}, &out); status != http.StatusOK {
		panic(fmt.Sprintf("a refusal of %s is answered with %d", no, status))
	}
	return func() { w.control(http.MethodDelete, "faults/"+out.ID, nil, nil) }
}

// fault has the sandbox misbehave, and returns how to stop it. The part "query"
// is an error code that questions are answered with.
func (w *world) fault(part, name string, rate float64) (stop func()) {
	var out struct{ ID string }
	in := map[string]any{part: name, "rate": rate}
	if part == "query" {
		in = map[string]any{"err_code": name, "on": "query", "rate": rate}
	}
	if status := w.control(http.MethodPost, "faults", in, &out); status != http.StatusOK {
		panic(fmt.Sprintf("the fault %s:%s is answered with %d", part, name, status))
	}
	return func() { w.control(http.MethodDelete, "faults/"+out.ID, nil, nil) }
}
