package control

import (
	"context"
	"fmt"
	"net/http/httptest"
	"runtime"
	"testing"
	"time"

	"wxrefund/shared/sandbox/doortest"
	"wxrefund/shared/sandbox/world"
)

// many is how many refunds a long day has.
const many = 20_000

// busy returns the control doors of a world with that many refunds, each with an order of
// its own and a record of the merchant's; what the merchant is asked for, and how many
// bytes what can be listed takes.
func busy(t testing.TB, n int) (d *Door, asked *int, bytes uint64) {
	t.Helper()
	w := doortest.World(t)
	numbers := make([]string, n)
	for i := range n {
		trade := tradeNo(i)
		numbers[i] = trade + "-r1"
		if _, err := w.Pay(world.Order{OutTradeNo: trade, Total: 10000}); err != nil {
			t.Fatal(err)
		}
		if _, no := w.Apply(world.Application{OutTradeNo: trade, OutRefundNo: numbers[i], Amount: world.ApplicationAmount{Refund: int64(i%10000) + 1, Total: 10000}}, world.Caller{}); no != nil {
			t.Fatal(no)
		}
	}
	asked = new(int)
	d = New(w, Config{MerchantRefunds: func(_ context.Context, numbers ...string) (out []MerchantRefund, _ error) {
		*asked += len(numbers)
		for _, no := range numbers {
			out = append(out, MerchantRefund{OutRefundNo: no, State: "processing", Refund: 100, Total: 10000, Held: 100, Currency: "CNY", At: time.Now()})
		}
		return out, nil
	}})
	before := memory()
	d.MerchantChanged(numbers...)
	d.index.refresh(context.Background())
	return d, asked, memory() - before
}

// tradeNo is an order's number, as long as those that the console makes up.
func tradeNo(i int) string { return fmt.Sprintf("T20261126101112%06d", i) }

// memory is what is in use, in bytes.
func memory() uint64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

// get asks for a door's answer.
func get(t testing.TB, d *Door, path string) []byte {
	t.Helper()
	r := httptest.NewRequest("GET", path, nil)
	r.RemoteAddr, r.Host = "127.0.0.1:50000", "localhost"
	answer := httptest.NewRecorder()
	d.Handler().ServeHTTP(answer, r)
	if answer.Code != 200 {
		t.Fatalf("%s: %d %s", path, answer.Code, answer.Body)
	}
	return answer.Body.Bytes()
}

// What a page asks for, with twenty thousand refunds.
func BenchmarkViews(b *testing.B) {
	d, _, bytes := busy(b, many)
	last := tradeNo(many - 1)
	for _, path := range []string{
		"state", "view/refunds", "view/refunds?offset=19900", "view/refunds?q=0.60", "view/refunds?q=" + last, "view/refunds?state=open&min=9000&owed=false",
		"view/refunds/" + last + "-r1", "view/orders/" + last, "view/orders", "view/notifications", "view/refunds.csv",
	} {
		b.Run(path, func(b *testing.B) {
			for b.Loop() {
				get(b, d, "/_sandbox/"+path)
			}
		})
	}
	b.Run("read all anew", func(b *testing.B) {
		for b.Loop() {
			newIndex(d.world, nil).refresh(b.Context())
		}
		b.ReportMetric(float64(bytes)/many, "bytes/refund")
	})
}
