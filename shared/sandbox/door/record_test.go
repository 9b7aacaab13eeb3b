package door_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"wxrefund/shared/sandbox/apiv3"
	"wxrefund/shared/sandbox/bill"
	"wxrefund/shared/sandbox/door"
	"wxrefund/shared/sandbox/doortest"
	"wxrefund/shared/sandbox/world"
	"wxrefund/shared/wxpay"
)

// What a refund costs WeChat's side, and what of that is the journal. The sandbox takes 150 refunds
// a second, so that each waits for its turn outside the time that is measured.
func BenchmarkRefund(b *testing.B) {
	for _, journal := range []bool{false, true} {
		b.Run(fmt.Sprintf("journal=%t", journal), func(b *testing.B) {
			w := doortest.World(b)
			mux := http.NewServeMux()
			apiv3.New(w, &bill.Offers{}).Routes(mux)
			var h http.Handler = mux
			if journal {
				h = door.Recorded(w, world.ExchangeCall, nil, mux)
			}
			signer := wxpay.Signer{MchID: world.MchID, SerialNo: wxpay.SerialNo(w.Keys.Merchant.Cert), Key: w.Keys.Merchant.RSA()}
			const path, body = "/v3/refund/domestic/refunds", `{"out_trade_no":"T1","out_refund_no":"R0","amount":{"refund":100,"total":10000,"currency":"CNY"}}`
			for b.Loop() {
				b.StopTimer()
				time.Sleep(8 * time.Millisecond)
				authorization, err := signer.Authorization("POST", path, []byte(body))
				if err != nil {
					b.Fatal(err)
				}
				r := httptest.NewRequest("POST", path, strings.NewReader(body))
				r.Header = http.Header{"Authorization": {authorization}, "Accept": {"*/*"}, "User-Agent": {"x"}, "Content-Type": {"application/json"}}
				answer := httptest.NewRecorder()
				b.StartTimer()
				h.ServeHTTP(answer, r)
				if answer.Code != http.StatusOK {
					b.Fatalf("got %d %s", answer.Code, answer.Body)
				}
			}
		})
	}
}

func last(w *world.World) *world.Exchange {
	all := w.Exchanges("")
	return all[len(all)-1]
}

// A body that a door reads is whole, however much of it is recorded, and a handler that says
// nothing says 200.
func TestRecordingChangesNothing(t *testing.T) {
	w := doortest.World(t)
	long := strings.Repeat("x", 3*world.RecordedBody)
	for _, body := range []string{"", "x", long} {
		var read string
		silent := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			x := door.Exchange{Request: r}
			if no := x.Read(w); no != nil {
				t.Errorf("%d bytes are refused: %v", len(body), no)
			}
			read = string(x.Body)
		})
		answer := httptest.NewRecorder()
		door.Recorded(w, world.ExchangeCall, nil, silent).ServeHTTP(answer, httptest.NewRequest("POST", "/x", strings.NewReader(body)))
		if read != body || answer.Code != 200 {
			t.Errorf("of %d bytes %d were read, and %d answered", len(body), len(read), answer.Code)
		}
		x := last(w)
		if x.Status != 200 || x.Request.Cut != (len(body) >= world.RecordedBody) || !strings.HasPrefix(body, x.Request.Body) {
			t.Errorf("got status %d, %d bytes, cut: %t", x.Status, len(x.Request.Body), x.Request.Cut)
		}
		answered := httptest.NewRecorder()
		door.Recorded(w, world.ExchangeCall, nil, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("X-A", "1")
			w.WriteHeader(http.StatusTeapot)
			_, _ = w.Write([]byte(body))
			_, _ = w.Write([]byte(body))
		})).ServeHTTP(answered, httptest.NewRequest("GET", "/x", nil))
		x = last(w)
		if answered.Body.String() != body+body || answered.Code != http.StatusTeapot || x.Status != http.StatusTeapot || !strings.HasPrefix(body+body, x.Response.Body) ||
			len(x.Response.Body) != min(2*len(body), world.RecordedBody-1) {
			t.Errorf("%d bytes answered with %d, %d recorded", answered.Body.Len(), answered.Code, len(x.Response.Body))
		}
	}
}
