package simulation_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"time"
)

// An upstreamRefund is what WeChat Pay says that it holds.
type upstreamRefund struct {
	OutRefundNo   string `json:"out_refund_no"`
	OutTradeNo    string `json:"out_trade_no"`
	TransactionID string `json:"transaction_id"`
	RefundID      string `json:"refund_id"`
	Account       string `json:"user_received_account"` // where the money is
	Status        string
	Created       time.Time `json:"create_time"`
	Amount        upstreamAmount
}

type upstreamAmount struct {
	Refund, Total int64
	Currency      string
}

// control drives WeChat Pay's side as a developer would. It reports whether WeChat Pay
// did as it was told.
func (w *world) control(method, path string, in, out any) bool {
	r := httptest.NewRequest(method, "http://127.0.0.1/_sandbox/"+path, nil)
	r.RemoteAddr = "127.0.0.1:40000"
	if in != nil {
		b, err := json.Marshal(in)
		if err != nil {
			panic(err)
		}
		r.Body, r.ContentLength = io.NopCloser(bytes.NewReader(b)), int64(len(b))
		r.Header.Set("Content-Type", "application/json")
	}
	rec := httptest.NewRecorder()
	w.controlHandler.ServeHTTP(rec, r)
	if rec.Code == http.StatusOK && out != nil {
		if err := json.Unmarshal(rec.Body.Bytes(), out); err != nil {
			panic(err)
		}
	}
	return rec.Code == http.StatusOK
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
	if o.Payer != "" {
		in["openid"] = o.Payer
	}
	if o.PaidBefore > 0 {
		in["success_time"] = w.start.Add(-o.PaidBefore).Format(time.RFC3339)
	}
	if o.Coupon > 0 {
		in["promotion_detail"] = []map[string]any{{"promotion_id": "COUPON-" + o.Trade, "scope": "GLOBAL", "type": o.CouponType, "amount": o.Coupon}}
	}
	if !w.control(http.MethodPost, "orders", in, nil) {
		panic(fmt.Sprintf("the order %+v is refused", o))
	}
}

// fault has the sandbox misbehave, and returns how to stop it.
func (w *world) fault(in map[string]any) (stop func()) {
	var out struct{ ID string }
	if !w.control(http.MethodPost, "faults", in, &out) {
		panic(fmt.Sprintf("the fault %v is refused", in))
	}
	return func() { w.control(http.MethodDelete, "faults/"+out.ID, nil, nil) }
}

// settle has a refund come to an end.
func (w *world) settle(no, status string) {
	w.control(http.MethodPost, "refunds/"+no+"/settle", map[string]any{"status": status}, nil)
}
