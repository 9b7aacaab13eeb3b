package functions_test

import (
	"net/http"
	"strings"
	"testing"
)

// E9: a ledger is one merchant's. Another one's functions are refused by it like by
// any wrong setting: the dispatcher names both to a server, and the public learns nothing.
func TestE9AnotherMerchantsLedgerIsRefused(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	o := w.order(wholeFen)
	if got := w.onLambda(dispatcher).ask(refundEvent(o, "R1", 60)); got.Code != 0 {
		t.Fatalf("the first merchant: %+v", got)
	}
	ours := w.variables()["WXPAY_MCHID"]
	for name, other := range map[string]string{"another merchant": "WXPAY_MCHID=1900009999", "a sub-merchant": "WXPAY_SUB_MCHID=1900008888"} {
		_, number, _ := strings.Cut(other, "=")
		got := w.onLambda(dispatcher, other).ask(refundEvent(o, "R2", 1))
		if got.Code != 500 || !strings.Contains(got.Message, ours) || !strings.Contains(got.Message, number) {
			t.Errorf("%s: %+v, want 500 with both numbers", name, got)
		}
		f := w.inContainer(notify, other)
		r, err := http.NewRequestWithContext(t.Context(), "POST", f.url, strings.NewReader("{}"))
		if err != nil {
			t.Fatal(err)
		}
		if status, _, body := send(t, w.client(), r); status != 503 || len(body) > 0 {
			t.Errorf("%s, notify: %d %q, want a bare 503", name, status, body)
		}
	}
	if got := w.onLambda(dispatcher).ask(queryEvent("out_refund_no", "R1")); got.Code != 0 {
		t.Errorf("the first merchant again: %+v", got)
	}
}
