package simulation_test

import (
	"bytes"
	"crypto/rsa"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"testing"

	"wxrefund/notify"
	"wxrefund/shared/ledger"
	"wxrefund/shared/refund"
	"wxrefund/shared/wxpay"
)

// doubles delivers notifications twice at once, each copy to an instance of its own, in
// real time (threats C10, C11). It returns how many effects there were beyond one
// a notification.
func doubles(t *testing.T, n int) (ours, theirs int) {
	t.Helper()
	store, err := ledger.Open(t.Context(), "sqlite::memory:")
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	const serial = "PUB_KEY_ID_0119000000012026112200000001"
	var said bytes.Buffer
	log := slog.New(slog.NewTextHandler(&said, nil))
	service := func() *refund.Service {
		up := &payingUpstream{paid: map[string]int64{}}
		return &refund.Service{Channel: up, Ledger: store, Merchant: refund.Merchant{MchID: keys().settings["WXPAY_MCHID"]}, Log: log}
	}
	var both [2]*notify.Handler
	for i := range both {
		both[i] = &notify.Handler{
			Refunds: service(), Secret: keys().secret, Log: log,
			Keys: wxpay.NewKeyring(map[string]*rsa.PublicKey{serial: &strangerKey().PublicKey}, nil),
		}
	}
	rows := newRows(rules()[0])
	for i := range n {
		no := fmt.Sprintf("D%d", i)
		o := order{Trade: "O" + no, Transaction: "42O" + no, Total: 1}
		if _, err := service().Refund(t.Context(), refund.Caller{Kind: refund.Server}, refund.Request{
			OutRefundNo: no, OutTradeNo: o.Trade, Amount: refund.RequestAmount{Refund: 1, Total: o.Total, Currency: "CNY"},
		}); err != nil {
			t.Fatal(err)
		}
		l := compose(o, no, "SUCCESS", serial)
		said.Reset()
		atOnce(len(both), func(i int) {
			rec := httptest.NewRecorder()
			r := httptest.NewRequest(http.MethodPost, notifyURL, bytes.NewReader(l.body))
			r.Header = l.header.Clone()
			both[i].ServeHTTP(rec, r)
			if rec.Code != http.StatusOK {
				t.Errorf("copy %d of the notification about %s is answered with %d %s", i, no, rec.Code, rec.Body)
			}
		})
		settled := bytes.Count(said.Bytes(), []byte("msg=settled "))
		ours += max(0, settled-1)
		if settled == 0 {
			t.Errorf("%s: acknowledged twice and never settled", no)
		}
		atOnce(len(both), func(int) {
			if l, err := read(keys().secret, l.body); err == nil {
				rows.notified(l)
			}
		})
	}
	for _, times := range rows.effects {
		theirs += times - 1
	}
	if ours != 0 || theirs != n {
		t.Errorf("%d double deliveries: %d duplicate effects, want none; theirs: %d, want all", n, ours, theirs)
	}
	return ours, theirs
}

// A notification that comes twice at once is acknowledged twice and has one effect.
func TestDoubleDeliveries(t *testing.T) { doubles(t, size(flags.races, 500, 100, 100)) }
