package simulation_test

import (
	"bytes"
	"encoding/json"
	"net/http"
	"net/http/httptest"
)

// An upstreamRefund is what WeChat Pay says that it holds.
type upstreamRefund struct {
	OutRefundNo string `json:"out_refund_no"`
	OutTradeNo  string `json:"out_trade_no"`
	RefundID    string `json:"refund_id"`
	Status      string
	Amount      struct{ Refund int64 }
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

// fault has the sandbox misbehave, and returns how to stop it.
func (w *world) fault(part, name string, rate float64) (stop func()) {
	var out struct{ ID string }
	w.control(http.MethodPost, "faults", map[string]any{part: name, "rate": rate}, &out)
	return func() { w.control(http.MethodDelete, "faults/"+out.ID, nil, nil) }
}
