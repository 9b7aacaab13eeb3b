package simulation_test

import (
	"bytes"
	"context"
	"crypto/rsa"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"wxrefund/notify"
	"wxrefund/shared/ledger"
	"wxrefund/shared/refund"
	"wxrefund/shared/wxpay"
)

const raceSerial = "PUB_KEY_ID_0119000000012026112200000001"

// doubles delivers notifications twice at once, each copy to an instance of its own, in
// real time (threats C10, C11). It returns how many effects there were beyond one
// a notification.
func doubles(t *testing.T, n int) (ours, naively int) {
	t.Helper()
	store, err := ledger.Open(t.Context(), "sqlite::memory:")
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	var settled atomic.Int64
	listen := func(up refund.Channel) (*refund.Service, *notify.Handler) {
		log := slog.New(&settlements{n: &settled})
		s := &refund.Service{Channel: up, Ledger: store, Merchant: refund.Merchant{MchID: "1900000001"}, Log: log}
		return s, &notify.Handler{
			Refunds: s, Secret: keys().secret, Log: log,
			Keys: wxpay.NewKeyring(map[string]*rsa.PublicKey{raceSerial: &strangerKey().PublicKey}, nil),
		}
	}
	up := &payingUpstream{paid: map[string]int64{}}
	service, first := listen(up)
	_, second := listen(up)
	rows := newTable()
	for i := range n {
		no := fmt.Sprintf("D%d", i)
		if _, err := service.Refund(t.Context(), refund.Caller{Kind: refund.Server}, refund.Request{
			OutRefundNo: no, OutTradeNo: "O" + no, Amount: refund.RequestAmount{Refund: 1, Total: 1, Currency: "CNY"},
		}); err != nil {
			t.Fatal(err)
		}
		h, body := signed(t, no)
		settled.Store(0)
		twice(func(copy int) {
			rec := httptest.NewRecorder()
			r := httptest.NewRequest(http.MethodPost, notifyURL, bytes.NewReader(body))
			r.Header = h.Clone()
			[]*notify.Handler{first, second}[copy].ServeHTTP(rec, r)
			if rec.Code != http.StatusOK {
				t.Errorf("copy %d of the notification about %s is answered with %d %s", copy, no, rec.Code, rec.Body)
			}
		})
		ours += max(0, int(settled.Load())-1)
		if settled.Load() == 0 {
			t.Errorf("%s: acknowledged twice and never settled", no)
		}
		twice(func(int) {
			if l, err := read(keys().secret, body); err == nil {
				rows.notified(l)
			}
		})
	}
	for _, times := range rows.effects {
		naively += times - 1
	}
	return ours, naively
}

// twice does something twice at once.
func twice(f func(copy int)) {
	start := make(chan struct{})
	var wg sync.WaitGroup
	for i := range 2 {
		wg.Go(func() { <-start; f(i) })
	}
	close(start)
	wg.Wait()
}

// signed is a notification as WeChat Pay would send it, by a key that stands for its.
func signed(t *testing.T, no string) (http.Header, []byte) {
	t.Helper()
	plain, err := json.Marshal(wxpay.RefundNotification{
		MchID: "1900000001", TransactionID: "42O" + no, OutTradeNo: "O" + no, RefundID: "50" + no, OutRefundNo: no,
		RefundStatus: "SUCCESS", SuccessTime: "2026-11-22T10:05:00+08:00",
		Amount: wxpay.NotificationAmount{Total: 1, Refund: 1, PayerTotal: new(int64(1)), PayerRefund: new(int64(1))},
	})
	if err != nil {
		t.Fatal(err)
	}
	sealed, err := keys().secret.Seal("refund", "refund", plain)
	if err != nil {
		t.Fatal(err)
	}
	body, err := json.Marshal(wxpay.Notification{ID: "E" + no, EventType: "REFUND.SUCCESS", ResourceType: "encrypt-resource", Resource: sealed})
	if err != nil {
		t.Fatal(err)
	}
	h := http.Header{}
	if err := (&wxpay.Platform{Serial: raceSerial, Key: strangerKey()}).Sign(h, body, time.Now()); err != nil {
		t.Fatal(err)
	}
	return h, body
}

// settlements counts how often a refund is said to have come to its end.
type settlements struct{ n *atomic.Int64 }

func (s *settlements) Enabled(context.Context, slog.Level) bool { return true }
func (s *settlements) WithAttrs([]slog.Attr) slog.Handler       { return s }
func (s *settlements) WithGroup(string) slog.Handler            { return s }

func (s *settlements) Handle(_ context.Context, r slog.Record) error {
	if r.Message == "settled" {
		s.n.Add(1)
	}
	return nil
}

// A notification that comes twice at once is acknowledged twice and has one effect.
func TestDoubleDeliveries(t *testing.T) {
	n := size(flags.races, 500, 100, 100)
	ours, naively := doubles(t, n)
	if ours != 0 || naively != n {
		t.Errorf("%d double deliveries: %d duplicate effects, want none; naive: %d, want all", n, ours, naively)
	}
}
