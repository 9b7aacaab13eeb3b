//go:build heavy

package control

import (
	"encoding/json"
	"testing"
)

// With twenty thousand refunds every figure counts all, each is found, and one change costs
// the reading of one.
func TestTwentyThousandRefundsAreCountedAndFound(t *testing.T) {
	d, asked, _ := busy(t, many)
	list := func(query string) (out struct {
		Total   int
		Refunds []row
	}) {
		if err := json.Unmarshal(get(t, d, "/_sandbox/view/refunds"+query), &out); err != nil {
			t.Fatal(err)
		}
		return out
	}
	var state struct{ Totals totals }
	if err := json.Unmarshal(get(t, d, "/_sandbox/state"), &state); err != nil {
		t.Fatal(err)
	}
	// The world has one refund more, of 100, which the merchant does not know.
	difference, held := int64(100), int64(100)
	for i := range int64(many) {
		difference, held = difference+magnitude(100-(i%10000+1)), held+100
	}
	if got, want := state.Totals.Money[0], (sum{"CNY", many + 1, held, 0, difference}); got != want || state.Totals.Open != many+1 || state.Totals.Orders != many+2 {
		t.Errorf("got %+v, want %+v, all open", state.Totals, want)
	}
	for query, want := range map[string]int{"": many + 1, "?state=success": 0, "?q=" + tradeNo(777): 1, "?order=" + tradeNo(0): 1, "?min=9991&max=10000": 20, "?offset=20000": many + 1} {
		if got := list(query).Total; got != want {
			t.Errorf("refunds%s: got %d, want %d", query, got, want)
		}
	}
	if got := list("?offset=20000&limit=200").Refunds; len(got) != 1 || got[0].OutRefundNo != "R0" {
		t.Errorf("the last page: got %v, want the first refund of all", got)
	}
	get(t, d, "/_sandbox/view/refunds/"+tradeNo(0)+"-r1")
	*asked = 0
	d.MerchantChanged(tradeNo(5) + "-r1")
	if list(""); *asked != 1 {
		t.Errorf("after one change %d refunds were read, want one", *asked)
	}
}
