package notify_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"wxrefund/shared/ledger"
	"wxrefund/shared/refund"
)

// accepting is an upstream that has accepted every refund.
type accepting struct{ refund.Channel }

func (accepting) Refund(_ context.Context, req refund.Request) (refund.Refund, error) {
	return refund.Refund{
		RefundID: "5000" + req.OutRefundNo, OutRefundNo: req.OutRefundNo, TransactionID: "T-" + req.OutTradeNo, OutTradeNo: req.OutTradeNo,
		Status: refund.StatusProcessing, Amount: refund.Amount{Total: 100, Refund: 60, Currency: "CNY"},
	}, nil
}

func (accepting) Bill(context.Context, refund.BillQuery) (*refund.Bill, error) {
	return nil, refund.ErrNoBill
}

func (accepting) Spec() refund.Spec {
	return refund.Spec{
		Name: "accepting", NumberChars: "-", OutRefundNo: refund.Length{Min: 1, Max: 64}, OutTradeNo: refund.Length{Min: 1, Max: 32}, Currencies: []string{"CNY"},
	}
}

// A whole notification: verified, opened, settled durably and acknowledged, each
// about another refund that was claimed before, on each ledger, one at a time and
// sixteen at once.
func BenchmarkNotification(b *testing.B) {
	dir := b.TempDir()
	ledgers := []struct{ name, url string }{
		{"sqlite", "sqlite:" + filepath.Join(dir, "refunds.db")},
		{"postgres", os.Getenv("LEDGER_TEST_POSTGRES")},
		{"mysql", os.Getenv("LEDGER_TEST_MYSQL")},
	}
	for _, l := range ledgers {
		if l.url == "" {
			b.Logf("%s: its LEDGER_TEST_ variable is not set", l.name)
			continue
		}
		store, err := ledger.Open(b.Context(), l.url)
		if err != nil {
			b.Fatal(err)
		}
		defer store.Close()
		for _, atOnce := range []int{1, 16} {
			b.Run(fmt.Sprintf("%s/%d", l.name, atOnce), func(b *testing.B) {
				f := setUp(b)
				f.Refunds.Ledger, f.Refunds.Channel = store, accepting{}
				notifications := make([]*http.Request, b.N)
				for i := range notifications {
					notifications[i] = f.claimed(b, fmt.Sprintf("B%d-%d-%d-%d", os.Getpid(), atOnce, b.N, i))
				}
				var next atomic.Int64
				b.ResetTimer()
				done := make(chan bool)
				for range atOnce {
					go func() {
						defer func() { done <- true }()
						for i := next.Add(1) - 1; i < int64(b.N); i = next.Add(1) - 1 {
							w := httptest.NewRecorder()
							f.ServeHTTP(w, notifications[i])
							if w.Code != http.StatusOK {
								b.Errorf("got %d %s", w.Code, w.Body)
								return
							}
						}
					}()
				}
				for range atOnce {
					<-done
				}
				b.StopTimer()
				b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "notifications/s")
			})
		}
	}
}

// claimed claims a refund and returns WeChat Pay's notification about its success.
func (f *fixture) claimed(b *testing.B, no string) *http.Request {
	b.Helper()
	_, err := f.Refunds.Refund(b.Context(), refund.Caller{Kind: refund.Server}, refund.Request{
		OutRefundNo: no, OutTradeNo: "O" + no, Amount: refund.RequestAmount{Refund: 60, Total: 100, Currency: "CNY"},
	})
	if err != nil {
		b.Fatal(err)
	}
	return f.written(b, func(m *message) {
		m.refund.OutRefundNo, m.refund.OutTradeNo = no, "O"+no
		m.refund.TransactionID, m.refund.RefundID = "T-O"+no, "5000"+no
		m.notification.ID = "EV-" + strings.ToUpper(no)
	})
}
