package ledger

import (
	"context"
	"crypto/rand"
	"crypto/rsa"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"wxrefund/notify"
	"wxrefund/shared/refund"
	"wxrefund/shared/wxpay"
)

// BenchmarkPriceOfMemory measures our whole notification (verified, opened, settled in the
// ledger, acknowledged) beside a handler that verifies, opens and answers the same, and
// remembers nothing. They take turns, so that what else runs disturbs both alike:
//
//	go test -run '^$' -bench PriceOfMemory -benchtime 2000x ./shared/ledger
//
// price is how many times as long ours takes, at one caller and at sixteen.
func BenchmarkPriceOfMemory(b *testing.B) {
	for _, backend := range backends() {
		for _, callers := range []int{1, 16} {
			b.Run(fmt.Sprintf("ledger=%s/callers=%d", backend.name, callers), func(b *testing.B) {
				p := newPricing(b, open(b, backend.fresh(b)))
				var bare, ours time.Duration
				for from := 0; from < b.N; {
					n := min(10*callers, b.N-from)
					again, once := make([]*http.Request, n), make([]*http.Request, n)
					together(min(n, 16), func(first int) {
						for i := first; i < n; i += 16 {
							no := fmt.Sprintf("R%d", from+i)
							p.claim(b, no)
							once[i], again[i] = p.notification(b, no), p.notification(b, no)
						}
					})
					turn := func(h http.Handler, requests []*http.Request) time.Duration {
						return atOnce(b, callers, n, func(i int) error {
							w := httptest.NewRecorder()
							if h.ServeHTTP(w, requests[i]); w.Code != http.StatusOK {
								return fmt.Errorf("got %d %s", w.Code, w.Body)
							}
							return nil
						})
					}
					if from/(10*callers)%2 == 0 { // whoever comes second finds caches warm
						bare += turn(http.HandlerFunc(p.bare), again)
						ours += turn(p.ours, once)
					} else {
						ours += turn(p.ours, once)
						bare += turn(http.HandlerFunc(p.bare), again)
					}
					from += n
				}
				b.ReportMetric(float64(b.N)/ours.Seconds(), "notifications/s")
				b.ReportMetric(float64(b.N)/bare.Seconds(), "bare/s")
				b.ReportMetric(ours.Seconds()/bare.Seconds(), "price")
				b.ReportMetric(0, "ns/op") // which holds claims and signatures
			})
		}
	}
}

// atOnce makes n calls by so many callers, and returns how long that took.
func atOnce(b *testing.B, callers, n int, call func(i int) error) time.Duration {
	b.Helper()
	var next atomic.Int64
	start := time.Now()
	together(callers, func(int) {
		for i := next.Add(1) - 1; i < int64(n); i = next.Add(1) - 1 {
			if err := call(int(i)); err != nil {
				b.Error(err)
			}
		}
	})
	return time.Since(start)
}

// A pricing is WeChat Pay, our handler, and what both know of each other.
type pricing struct {
	ours     *notify.Handler
	platform *wxpay.Platform
}

const priceSerial = "PUB_KEY_ID_0119000001092026112200000001"

func newPricing(b *testing.B, l refund.Ledger) *pricing {
	b.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		b.Fatal(err)
	}
	secret, err := wxpay.ParseAPIv3Key("0123456789abcdef0123456789ABCDEF")
	if err != nil {
		b.Fatal(err)
	}
	quiet := slog.New(slog.NewJSONHandler(io.Discard, nil))
	return &pricing{
		ours: &notify.Handler{
			Refunds: &refund.Service{Ledger: l, Channel: accepting{}, Merchant: refund.Merchant{MchID: "1900000109"}, Pace: -1, Log: quiet},
			Keys:    wxpay.NewKeyring(map[string]*rsa.PublicKey{priceSerial: &key.PublicKey}, nil),
			Secret:  secret, Log: quiet,
		},
		platform: &wxpay.Platform{Serial: priceSerial, Key: key},
	}
}

// bare verifies, opens and answers a notification, and remembers nothing of it.
func (p *pricing) bare(w http.ResponseWriter, r *http.Request) {
	err := func() error {
		body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, 64<<10))
		if err != nil {
			return err
		}
		if err := p.ours.Keys.Verify(r.Context(), r.Header, body); err != nil {
			return err
		}
		n, err := wxpay.ParseNotification(body)
		if err != nil {
			return err
		}
		plain, err := p.ours.Secret.Open(n.Resource)
		if err != nil {
			return err
		}
		opened, err := wxpay.ParseRefundNotification(plain)
		if err == nil && opened.RefundStatus != "SUCCESS" {
			err = errors.New("not a success")
		}
		return err
	}()
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	_, _ = io.WriteString(w, `{"code":"SUCCESS","message":"成功"}`)
}

// claim claims a refund of an order of its own.
func (p *pricing) claim(b *testing.B, no string) {
	_, err := p.ours.Refunds.Refund(b.Context(), refund.Caller{Kind: refund.Server}, refund.Request{
		OutRefundNo: no, OutTradeNo: "O" + no, Amount: refund.RequestAmount{Refund: 60, Total: 100, Currency: "CNY"},
	})
	if err != nil {
		b.Error(err)
	}
}

// notification is WeChat Pay's about its success.
func (p *pricing) notification(b *testing.B, no string) *http.Request {
	plain, err := json.Marshal(wxpay.RefundNotification{
		MchID: "1900000109", TransactionID: "4200O" + no, OutTradeNo: "O" + no, RefundID: "5030" + no, OutRefundNo: no,
		RefundStatus: "SUCCESS", SuccessTime: "2026-11-22T10:05:00+08:00", UserReceivedAccount: "招商银行信用卡0403",
		Amount: wxpay.NotificationAmount{Total: 100, Refund: 60, PayerTotal: new(int64(100)), PayerRefund: new(int64(60))},
	})
	if err != nil {
		b.Error(err)
	}
	resource, err := p.ours.Secret.Seal("refund", "refund", plain)
	if err != nil {
		b.Error(err)
	}
	body, err := json.Marshal(wxpay.Notification{
		ID: "EV-" + no, CreateTime: "2026-11-22T10:05:01+08:00", EventType: "REFUND.SUCCESS", ResourceType: "encrypt-resource",
		Summary: "退款成功", Resource: resource,
	})
	if err != nil {
		b.Error(err)
	}
	r := httptest.NewRequestWithContext(context.Background(), http.MethodPost, "/", strings.NewReader(string(body)))
	if err := p.platform.Sign(r.Header, body, time.Now()); err != nil {
		b.Error(err)
	}
	return r
}
