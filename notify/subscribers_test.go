package notify_test

import (
	"context"
	"errors"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"wxrefund/shared/refund"
)

// WeChat Pay is answered in time and with success as soon as the state and what is
// owed are durable, whatever the subscribers do; the reconciler tells the rest.
func TestC17AcknowledgedWhateverSubscribersDo(t *testing.T) {
	for name, tell := range map[string]func(context.Context) error{
		"takes":  func(context.Context) error { return nil },
		"fails":  func(context.Context) error { return errors.New("no") },
		"panics": func(context.Context) error { panic("nil map") },
		"hangs":  func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := setUp(t)
				told, behaves := 0, tell
				f.Refunds.Subscribers = []refund.Subscriber{{Name: "scf:a", Tell: func(ctx context.Context, n refund.Event) error {
					told++
					if n.Merchant.MchID != mchid || n.Refund.OutRefundNo != "R1" || n.Status != refund.StatusSuccess || n.ID == "" {
						t.Errorf("told %+v", n)
					}
					return behaves(ctx)
				}}}
				begun := time.Now()
				if w := f.send(t, func(*message) {}); w.Code != http.StatusOK {
					t.Errorf("got %d %s", w.Code, w.Body)
				}
				if took := time.Since(begun); took > 4*time.Second {
					t.Errorf("answered after %v, want 4s at most", took)
				}
				if told != 1 {
					t.Errorf("told %d times, want once", told)
				}
				behaves = func(context.Context) error { return nil }
				time.Sleep(time.Minute)
				summary, err := f.Refunds.Reconcile(t.Context())
				if want := map[bool]int{true: 0, false: 1}[name == "takes"]; err != nil || summary.Delivered != want || told != 1+want {
					t.Errorf("reconciled %+v and told %d times, %v; want %d more", summary, told, err, want)
				}
			})
		})
	}
}

// A relay's hint is confirmed, settled, and told as a signed notification is.
func TestRelayIsTold(t *testing.T) {
	f := setUp(t)
	told := 0
	f.Refunds.OnSettled = func(context.Context, refund.Event) error { told++; return nil }
	f.up.err, f.up.reply = nil, refund.Refund{
		OutRefundNo: "R1", OutTradeNo: "O1", RefundID: "5000R1", Status: refund.StatusSuccess, Amount: refund.Amount{Total: 100, Refund: 60},
	}
	event := `{"event_type":"REFUND.SUCCESS","resource":{"out_refund_no":"R1","refund_status":"SUCCESS"}}`
	for range 2 {
		if got := f.Invoke(t.Context(), refund.Caller{Kind: refund.Server}, []byte(event)); string(got) != `{"code":"SUCCESS","message":"成功","errcode":0,"errmsg":"SUCCESS"}` {
			t.Errorf("got %s", got)
		}
	}
	if told != 1 {
		t.Errorf("told %d times, want once", told)
	}
}
