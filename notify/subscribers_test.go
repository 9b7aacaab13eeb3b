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

// C17: WeChat Pay is answered in time and with success as soon as the state and the
// pending deliveries are durable, whatever subscribers do; the reconciler goes on.
func TestNotificationIsAcknowledgedWhateverSubscribersDo(t *testing.T) {
	for name, subscriber := range map[string]func(context.Context) error{
		"takes":  func(context.Context) error { return nil },
		"fails":  func(context.Context) error { return errors.New("no") },
		"panics": func(context.Context) error { panic("nil map") },
		"hangs":  func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := setUp(t)
				delivered, take := 0, subscriber
				f.Refunds.Subscribers = []refund.Subscriber{{Name: "scf:a", Tell: func(ctx context.Context, n refund.Event) error {
					delivered++
					if n.Merchant.MchID != mchid || n.Refund.OutRefundNo != "R1" || n.Status != refund.StatusSuccess || n.ID == "" {
						t.Errorf("delivered %+v", n)
					}
					return take(ctx)
				}}}
				begun := time.Now()
				if w := f.send(t, func(*message) {}); w.Code != http.StatusOK {
					t.Errorf("got %d %s", w.Code, w.Body)
				}
				if took := time.Since(begun); took > 4*time.Second {
					t.Errorf("answered after %v, want 4s at most", took)
				}
				if delivered != 1 {
					t.Errorf("delivered %d times, want once", delivered)
				}
				take = func(context.Context) error { return nil }
				time.Sleep(time.Minute)
				summary, err := f.Refunds.Reconcile(t.Context())
				if want := map[bool]int{true: 0, false: 1}[name == "takes"]; err != nil || summary.Delivered != want || delivered != 1+want {
					t.Errorf("reconciled %+v and delivered %d times, %v; want %d more", summary, delivered, err, want)
				}
			})
		})
	}
}

// An event that a relay brought is confirmed, settled and delivered, once, as one
// that WeChat Pay signed.
func TestConfirmedRelayIsDeliveredOnce(t *testing.T) {
	f := setUp(t)
	delivered := 0
	f.Refunds.Subscribers = []refund.Subscriber{{Name: "a", Tell: func(context.Context, refund.Event) error { delivered++; return nil }}}
	f.up.err, f.up.reply = nil, refund.Refund{
		OutRefundNo: "R1", OutTradeNo: "O1", RefundID: "5000R1", Status: refund.StatusSuccess, Amount: refund.Amount{Total: 100, Refund: 60},
	}
	event := `{"event_type":"REFUND.SUCCESS","resource":{"out_refund_no":"R1","refund_status":"SUCCESS"}}`
	for range 2 {
		if got := f.Invoke(t.Context(), refund.Caller{Kind: refund.Server}, []byte(event)); string(got) != `{"code":"SUCCESS","message":"成功","errcode":0,"errmsg":"SUCCESS"}` {
			t.Errorf("got %s", got)
		}
	}
	if delivered != 1 {
		t.Errorf("delivered %d times, want once", delivered)
	}
}
