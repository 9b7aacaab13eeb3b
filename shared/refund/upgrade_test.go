package refund_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"wxrefund/shared/refund"
)

// D12: a claim that the first version of this program has left in flight, byte
// for byte as that wrote it, is taken up by this one.
func TestClaimOfTheFirstVersionIsTakenUp(t *testing.T) {
	f := setUp(t)
	old := []refund.Item{
		{Key: "refund/R1", Due: time.Date(2026, 11, 21, 10, 1, 0, 0, time.UTC), Body: []byte(`{"state":"claimed","request":{"out_refund_no":"R1","out_trade_no":"O1",` +
			`"amount":{"refund":60,"total":100,"currency":"CNY"}},"refund":{"out_refund_no":"","amount":{"refund":0}},"order":"order/out_trade_no/O1",` +
			`"held":60,"counted":true,"attempt":1,"open":[1],"lease":"2026-11-21T10:00:30Z","moves":1,"claimed_at":"2026-11-21T10:00:00Z",` +
			`"history":[{"at":"2026-11-21T10:00:00Z","what":"claimed"},{"at":"2026-11-21T10:00:00Z","what":"sent"}]}`)},
		{Key: "order/out_trade_no/O1", Body: []byte(`{"out_trade_no":"O1","currency":"CNY","total":100,"reserved":60,"members":[{"no":"R1","at":"2026-11-21T10:00:00Z"}]}`)},
	}
	f.write(t, old...)
	f.Now = func() time.Time { return time.Date(2026, 11, 21, 10, 5, 0, 0, time.UTC) }
	f.up.refunds["R1"] = notification("R1", 60, refund.StatusSuccess).Refund
	wantEqual(t, "summary", refund.Summary{Checked: 1, Settled: 1}, f.reconcile(t))
	f.refused(t, request("R2", 41), refund.CodeConflict, refund.Never)
	f.must(t, request("R3", 40))
}

// D12: what a later version has written into an item outlives this one's changes, however
// deep it stands: in an object, in a list whose elements have keys, in one whose elements
// have none.
func TestFieldsOfALaterVersionAreKept(t *testing.T) {
	f := setUp(t)
	f.Subscribers = []refund.Subscriber{{Name: "a", Tell: failing}, {Name: "b", Tell: func(context.Context, refund.Event) error { return nil }}}
	r := request("R1", 60)
	r.GoodsDetail = []refund.Goods{{MerchantGoodsID: "g", UnitPrice: 1, RefundAmount: 1, RefundQuantity: 1}}
	f.must(t, r)
	f.settle(t, notification("R1", 60, refund.StatusAbnormal))
	newer := strings.NewReplacer(
		`"goods_detail":[{`, `"goods_detail":[{"n1":1,`,
		`"request":{`, `"request":{"n2":{"deep":[1]},`,
		`"owed":[{"to":"a"`, `"owed":[{"n3":[2],"to":"a"`,
		`"notices":[{`, `"notices":[{"n4":12345678901234567890,`,
		`"history":[{`, `"history":[{"n5":true,`,
		`"refund":{"refund_id"`, `"refund":{"n6":"x","refund_id"`,
		`"members":[{`, `"members":[{"n7":7,`,
		`"by":"server"`, `"by":"server","n8":8`,
	)
	keys := []refund.Key{"refund/R1", "order/out_trade_no/O1"}
	items := f.items(t, keys...)
	for i := range items {
		items[i].Body = []byte(strings.TrimSuffix(newer.Replace(string(items[i].Body)), "}") + `,"later":{"a":[1,2]}}`)
	}
	f.write(t, items...)
	f.Deliver(t.Context(), "R1") // b acknowledges, a does not
	f.settle(t, notification("R1", 60, refund.StatusClosed))
	items = f.items(t, keys...)
	both := string(items[0].Body) + string(items[1].Body)
	for _, want := range []string{
		`"n1":1`, `"n2":{"deep":[1]}`, `"n3":[2]`, `"n4":12345678901234567890`, `"n5":true`, `"n6":"x"`, `"n7":7`, `"n8":8`,
	} {
		if !strings.Contains(both, want) {
			t.Errorf("%s is lost in %s", want, both)
		}
	}
	for i, cleared := range [][]string{{`"lease"`, `"open"`}, {`"reserved"`}} {
		body := string(items[i].Body)
		if !strings.Contains(body, `"later":{"a":[1,2]}`) {
			t.Errorf("%s has lost it: %s", keys[i], body)
		}
		for _, name := range cleared { // what this version knows and has cleared stays cleared
			if strings.Contains(body, name) {
				t.Errorf("%s has %s, which was cleared: %s", keys[i], name, body)
			}
		}
	}
}

// A program of the version before knows nothing of who did it. What it adds to a history
// keeps that of the entries before: it is carried over as whatever it does not know.
func TestWhoDidItOutlivesAnOlderProgram(t *testing.T) {
	f := setUp(t)
	if _, err := f.Refund(t.Context(), refund.Caller{Kind: refund.Server, Source: "scf", RequestID: "req-1"}, request("R1", 60)); err != nil {
		t.Fatal(err)
	}
	// To this program a field with another name is what "by" is to an older one.
	it := f.items(t, "refund/R1")[0]
	it.Body = []byte(strings.ReplaceAll(string(it.Body), `"by":`, `"byy":`))
	f.write(t, it)
	f.settle(t, notification("R1", 60, refund.StatusAbnormal))
	f.settle(t, notification("R1", 60, refund.StatusSuccess))
	if body := string(f.items(t, "refund/R1")[0].Body); strings.Count(body, `"byy":"server scf"`) != 2 || strings.Count(body, `"request_id":"req-1"`) != 2 {
		t.Errorf("it is lost in %s", body)
	}
	if h := f.inspect(t, "R1").History; h[0].By != "" || h[0].RequestID != "req-1" || len(h) != 5 {
		t.Errorf("the history reads %+v", h)
	}
}
