//go:build heavy

package process

import (
	"net/http"
	"strings"
	"testing"
)

// E9: a ledger is one merchant's. Another one's functions are refused by it like by
// any wrong setting: the dispatcher names both to a server, and the public learns nothing.
func TestAnotherMerchantsLedgerIsRefused(t *testing.T) {
	t.Parallel()
	w := NewWorld(t)
	o := w.Order(wholeFen)
	if got := w.onLambda(Dispatcher).Ask(RefundEvent(o, "R1", 60)); got.Code != 0 {
		t.Fatalf("the first merchant: %+v", got)
	}
	ours := w.Variables()["WXPAY_MCHID"]
	for name, other := range map[string]string{"another merchant": "WXPAY_MCHID=1900009999", "a sub-merchant": "WXPAY_SUB_MCHID=1900008888"} {
		_, number, _ := strings.Cut(other, "=")
		got := w.onLambda(Dispatcher, other).Ask(RefundEvent(o, "R2", 1))
		if got.Code != 500 || !strings.Contains(got.Message, ours) || !strings.Contains(got.Message, number) {
			t.Errorf("%s: %+v, want 500 with both numbers", name, got)
		}
		f := w.inContainer(Notify, other)
		r, err := http.NewRequestWithContext(t.Context(), "POST", f.URL, strings.NewReader("{}"))
		if err != nil {
			t.Fatal(err)
		}
		if status, _, body := Send(t, w.client(), r); status != 503 || len(body) > 0 {
			t.Errorf("%s, notify: %d %q, want a bare 503", name, status, body)
		}
	}
	if got := w.onLambda(Dispatcher).Ask(QueryEvent("out_refund_no", "R1")); got.Code != 0 {
		t.Errorf("the first merchant again: %+v", got)
	}
}
