package ledger

import (
	"context"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"testing"
	"time"

	"wxrefund/shared/refund"
)

// refunds is how many refunds BenchmarkCopy moves and BenchmarkVerify verifies: 100000
// for the figures in functions/operate's README.
var refunds = flag.Int("refunds", 500, "refunds of BenchmarkCopy and BenchmarkVerify")

// accepting is an upstream that accepts every refund.
type accepting struct{ refund.Channel }

func (accepting) Refund(_ context.Context, req refund.Request) (refund.Refund, error) {
	return refund.Refund{
		RefundID: "5030" + req.OutRefundNo, OutRefundNo: req.OutRefundNo, TransactionID: "4200" + req.OutTradeNo, OutTradeNo: req.OutTradeNo,
		Channel: "ORIGINAL", UserReceivedAccount: "招商银行信用卡0403", CreateTime: "2026-11-26T10:00:00+08:00", Status: refund.StatusProcessing,
		FundsAccount: "AVAILABLE", Amount: refund.Amount{Total: req.Amount.Total, Refund: req.Amount.Refund, Currency: "CNY"},
	}, nil
}

func (accepting) Query(context.Context, refund.Lookup) (refund.Page, error) {
	return refund.Page{}, &refund.Error{Code: refund.CodeNotFound, Message: "no such refund"}
}

func (accepting) Bill(context.Context, refund.BillQuery) (*refund.Bill, error) {
	return nil, refund.ErrNoBill
}

func (accepting) Spec() refund.Spec {
	return refund.Spec{Name: "apiv3", NumberChars: "_-|*@", OutRefundNo: refund.Length{Min: 1, Max: 64}, OutTradeNo: refund.Length{Min: 1, Max: 32}, Reason: refund.Length{Max: 80}, Currencies: []string{"CNY"}}
}

// lived fills a ledger with what n refunds leave in it: two of three have succeeded, the
// others are processing, and every tenth order has two of them.
func lived(t testing.TB, l refund.Ledger, n int) {
	t.Helper()
	s := &refund.Service{Channel: accepting{}, Ledger: l, Merchant: ofMerchant, Pace: -1}
	for i := range n {
		order := i
		if i%10 == 1 {
			order = i - 1
		}
		req := refund.Request{
			OutRefundNo: fmt.Sprintf("R%027d", i), OutTradeNo: fmt.Sprintf("O%025d", order), Reason: "商品已售完",
			Amount: refund.RequestAmount{Refund: int64(100 + i%900), Total: 10_000, Currency: "CNY"},
		}
		got, err := s.Refund(t.Context(), refund.Caller{Kind: refund.Server}, req)
		if err == nil && i%3 != 0 {
			got.Status, got.SuccessTime = refund.StatusSuccess, "2026-11-26T10:05:00+08:00"
			_, err = s.Settle(t.Context(), refund.Outcome{Source: refund.Notification, OutRefundNo: req.OutRefundNo, Merchant: ofMerchant, EventID: "E" + req.OutRefundNo, Refund: got})
		}
		if err != nil {
			t.Fatal(err)
		}
	}
}

// hop copies a ledger and verifies that the copy is sound.
func hop(t testing.TB, from, to *Store, verify bool) (Sum, time.Duration) {
	t.Helper()
	start := time.Now()
	result, err := Copy(t.Context(), from, to, CopyOptions{Source: "S"})
	took := time.Since(start)
	if err != nil || !result.Equal() {
		t.Fatalf("got %+v, %v", result, err)
	}
	if verify {
		s := &refund.Service{Channel: accepting{}, Ledger: to, Merchant: ofMerchant}
		v, err := s.Verify(t.Context(), refund.VerifyInput{Found: func(f refund.Finding) { t.Errorf("found %+v", f) }})
		if err != nil || v.Items != result.Target.Items+1 {
			t.Errorf("verified %+v, %v", v, err)
		}
	}
	return result.Target, took
}

// BenchmarkCopy moves -refunds refunds from database to database, and back to a fresh one
// of the first: seconds of each copy, its two passes and its comparison included.
func BenchmarkCopy(b *testing.B) {
	for b.Loop() {
		first := open(b, "sqlite::memory:")
		lived(b, first, *refunds)
		from, name, sums := first, "", []Sum{}
		for _, backend := range append(backends()[1:], backends()[1]) {
			if backend.env != "" && os.Getenv(backend.env) == "" {
				continue
			}
			to := open(b, backend.fresh(b))
			sum, took := hop(b, from, to, false)
			if name != "" {
				b.ReportMetric(took.Seconds(), name+"->"+backend.name+"-s")
			}
			b.Logf("%s -> %s: %d items, %d bytes, %v in %v", name, backend.name, sum.Items, sum.Bytes, sum, took.Round(time.Millisecond))
			from, name, sums = to, backend.name, append(sums, sum)
		}
		if len(slices.Compact(sums)) != 1 {
			b.Errorf("the sums differ: %v", sums)
		}
		b.ReportMetric(0, "ns/op")
	}
}

// BenchmarkVerify verifies a ledger in a file that holds -refunds refunds: seconds, and
// the most memory that was taken beyond what was before, garbage included.
func BenchmarkVerify(b *testing.B) {
	for b.Loop() {
		memory := open(b, "sqlite::memory:")
		lived(b, memory, *refunds)
		l := open(b, "sqlite:"+filepath.Join(b.TempDir(), "ledger.db"))
		hop(b, memory, l, false)
		memory.Close()
		var before, now runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&before)
		var most uint64
		start := time.Now()
		s := &refund.Service{Channel: accepting{}, Ledger: l, Merchant: ofMerchant}
		v, err := s.Verify(b.Context(), refund.VerifyInput{Progress: func(int64) {
			runtime.ReadMemStats(&now)
			most = max(most, now.HeapAlloc)
		}})
		if err != nil || v.Findings > 0 || v.Refunds != int64(*refunds) {
			b.Fatalf("got %+v, %v", v, err)
		}
		b.ReportMetric(time.Since(start).Seconds(), "s")
		b.ReportMetric(float64(int64(most)-int64(before.HeapAlloc))/1e6, "MB") // #nosec G115 -- far from any bound
		b.ReportMetric(float64(v.Items), "items")
		b.ReportMetric(0, "ns/op")
	}
}

// childCopy moves a ledger, and says when it has.
func childCopy(ctx context.Context, from *Store, target string) error {
	to, err := Open(ctx, target)
	if err != nil {
		return err
	}
	result, err := Copy(ctx, from, to, CopyOptions{Source: "S", Close: true, Quiet: 50 * time.Millisecond})
	if err == nil && !result.Moved {
		err = fmt.Errorf("got %+v", result)
	}
	if err == nil {
		fmt.Println("moved")
	}
	return err
}
