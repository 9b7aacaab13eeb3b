package refund_test

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"wxrefund/shared/refund"
)

// D12: a claim that the first version of this program has left in flight, byte
// for byte as that wrote it, is taken up by this one.
func TestD12OldRowIsTakenUp(t *testing.T) {
	f := setUp(t)
	old := []refund.Item{
		{Key: "refund/R1", Due: time.Date(2026, 11, 21, 10, 1, 0, 0, time.UTC), Body: []byte(`{"state":"claimed","request":{"out_refund_no":"R1","out_trade_no":"O1",` +
			`"amount":{"refund":60,"total":100,"currency":"CNY"}},"refund":{"out_refund_no":"","amount":{"refund":0}},"order":"order/out_trade_no/O1",` +
			`"held":60,"counted":true,"attempt":1,"open":[1],"lease":"2026-11-21T10:00:30Z","moves":1,"claimed_at":"2026-11-21T10:00:00Z",` +
			`"history":[{"at":"2026-11-21T10:00:00Z","what":"claimed"},{"at":"2026-11-21T10:00:00Z","what":"sent"}]}`)},
		{Key: "order/out_trade_no/O1", Body: []byte(`{"out_trade_no":"O1","currency":"CNY","total":100,"reserved":60,"members":[{"no":"R1","at":"2026-11-21T10:00:00Z"}]}`)},
	}
	if err := f.Ledger.Commit(t.Context(), old...); err != nil {
		t.Fatal(err)
	}
	f.Now = func() time.Time { return time.Date(2026, 11, 21, 10, 5, 0, 0, time.UTC) }
	f.up.refunds["R1"] = letter("R1", 60, refund.StatusSuccess).Refund
	if d := cmp.Diff(refund.Tally{Checked: 1, Settled: 1}, f.reconcile(t)); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
	_, err := f.Refund(t.Context(), server, request("R2", 41))
	wantCode(t, err, refund.CodeConflict, refund.Never)
	f.must(t, request("R3", 40))
}

// D12: what a later version has written into an item outlives this one's changes.
func TestD12NewerFieldsAreKept(t *testing.T) {
	f := setUp(t)
	f.must(t, request("R1", 60))
	for _, key := range []refund.Key{"refund/R1", "order/out_trade_no/O1"} {
		items, err := f.Ledger.Get(t.Context(), key)
		if err != nil {
			t.Fatal(err)
		}
		items[0].Body = []byte(strings.TrimSuffix(string(items[0].Body), "}") + `,"later":{"a":[1,2]}}`)
		if err := f.Ledger.Commit(t.Context(), items[0]); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := f.Settle(t.Context(), letter("R1", 60, refund.StatusClosed)); err != nil {
		t.Fatal(err)
	}
	for _, key := range []refund.Key{"refund/R1", "order/out_trade_no/O1"} {
		items, err := f.Ledger.Get(t.Context(), key)
		if err != nil {
			t.Fatal(err)
		}
		body := string(items[0].Body)
		if !strings.Contains(body, `"later":{"a":[1,2]}`) {
			t.Errorf("%s has lost it: %s", key, body)
		}
		// What this version knows and has cleared stays cleared.
		if strings.Contains(body, `"lease"`) || strings.Contains(body, `"open"`) || key != "refund/R1" && strings.Contains(body, `"reserved"`) {
			t.Errorf("%s has what was cleared: %s", key, body)
		}
	}
}
