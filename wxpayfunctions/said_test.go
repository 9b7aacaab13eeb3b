package wxpayfunctions_test

import (
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"testing"
	"time"

	"wxrefund/shared/channel"
	"wxrefund/shared/ledger"
	"wxrefund/shared/refund"
	"wxrefund/wxpayfunctions"
)

type specOnly struct {
	refund.Channel
	spec refund.Spec
}

func (s specOnly) Spec() refund.Spec { return s.spec }
func (s specOnly) Refund(_ context.Context, r refund.Request) (refund.Refund, error) {
	return refund.Refund{OutRefundNo: r.OutRefundNo, OutTradeNo: r.OutTradeNo, TransactionID: r.TransactionID, Status: refund.StatusProcessing, Amount: refund.Amount{Refund: r.Amount.Refund, Total: r.Amount.Total, Currency: r.Amount.Currency}}, nil
}

// Whoever waits as long as he is told is not too early.
func TestRetryAfterIsLongEnough(t *testing.T) {
	store, err := ledger.Open(t.Context(), "sqlite::memory:")
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	log := slog.New(slog.NewTextHandler(io.Discard, nil))
	now := time.Date(2026, 11, 21, 10, 0, 0, 0, time.UTC)
	s := &refund.Service{Ledger: store, Channel: specOnly{spec: (*channel.APIv3)(nil).Spec()}, Merchant: refund.Merchant{MchID: "1900000109"}, Log: log,
		Now: func() time.Time { return now }}
	h := wxpayfunctions.New(s, log)
	call := func(no string) (r struct {
		Code       int   `json:"code"`
		RetryAfter int64 `json:"retry_after"`
	}) {
		b := h.Invoke(t.Context(), refund.Caller{Kind: refund.Server}, []byte(`{"type":"wxpay_refund","out_refund_no":"`+no+`","out_trade_no":"O1","amount":{"refund":10,"total":100,"currency":"CNY"}}`))
		if err := json.Unmarshal(b, &r); err != nil {
			t.Fatal(err)
		}
		return r
	}
	call("R1")
	now = now.Add(500 * time.Millisecond)
	r := call("R2")
	if r.Code != 429 {
		t.Fatalf("%+v", r)
	}
	now = now.Add(time.Duration(r.RetryAfter) * time.Second)
	if again := call("R2"); again.Code != 0 {
		t.Errorf("after the %d s that were asked for: %+v", r.RetryAfter, again)
	}
}
