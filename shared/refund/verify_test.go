package refund_test

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"wxrefund/shared/refund"
)

// verify returns what is found in the ledger, as "CODE about": the refund, or the order.
func (f *fixture) verify(t *testing.T) (found []string, v refund.Verification) {
	t.Helper()
	v, err := f.Verify(t.Context(), refund.VerifyInput{Found: func(got refund.Finding) {
		about := got.OutRefundNo
		if about == "" {
			about = got.Order
		}
		if got.Says == "" || got.Item == "" || int64(len(found)) > v.Items+1000 {
			t.Errorf("%+v says too little", got)
		}
		found = append(found, strings.TrimSpace(got.Code+" "+about))
	}})
	if err != nil {
		t.Fatal(err)
	}
	slices.Sort(found)
	return found, v
}

// lived is a ledger with a refund in each state, on orders of their own and on one.
func lived(t *testing.T) *fixture {
	t.Helper()
	f := clocked(t)
	f.Pace = -1
	of := func(no, order string, fen int64) refund.Request {
		r := request(no, fen)
		r.OutTradeNo = order
		return r
	}
	f.must(t, of("R1", "O1", 60))
	f.settle(t, notification("R1", 60, refund.StatusSuccess))
	f.must(t, of("R2", "O1", 10))
	f.settle(t, notification("R2", 10, refund.StatusClosed))
	f.settle(t, notification("H1", 5, refund.StatusSuccess)) // by hand
	f.must(t, of("R3", "O3", 10))
	f.must(t, of("R4", "O4", 10))
	f.up.set("R4", refund.StatusAbnormal)
	f.query(t, "R4")
	both := of("R7", "O7", 10)
	both.TransactionID = "T-O7-said"
	f.up.before = noAnswer
	for _, req := range []refund.Request{of("R5", "O1", 7), both} { // in doubt, one on two accounts
		if _, err := f.Refund(t.Context(), server, req); err == nil {
			t.Fatal("it was answered")
		}
	}
	f.up.before = refusal(refund.CodeRejected, refund.NewNumber, "NO")
	if _, err := f.Refund(t.Context(), server, of("R6", "O6", 10)); err == nil {
		t.Fatal("it was not refused")
	}
	f.up.before = nil
	return f
}

// Nothing is found in a ledger that has lived, whatever its refunds have come to.
func TestVerifyFindsNothingInASoundLedger(t *testing.T) {
	f := lived(t)
	found, v := f.verify(t)
	wantEqual(t, "found", []string(nil), found)
	if v.Refunds != 8 || v.Orders != 6 || v.Items < 20 || v.Findings != 0 {
		t.Errorf("it has looked at %+v", v)
	}
}

// Whatever is changed in a ledger behind the program's back is found, named and called
// by its code; and nothing else is.
func TestVerifyFindsWhatIsWrong(t *testing.T) {
	type object = map[string]any
	first := func(o object, list string) object { return o[list].([]any)[0].(object) }
	const o1, r1 = "order/transaction_id/T-O1", "refund/R1"
	for _, c := range []struct {
		name  string
		key   string
		alter func(o object)
		item  func(it *refund.Item)
		want  []string
	}{
		{"a body that is none", r1, nil, func(it *refund.Item) { it.Body = []byte("{") }, []string{"item_unreadable R1", "wrong_entry O1"}},
		{"an account that is none", "order/out_trade_no/O4", nil, func(it *refund.Item) { it.Body = []byte("[]") }, []string{"item_unreadable O4", "name_astray T-O4", "not_counted R4"}},
		{"a refund under another's number", r1, func(o object) { o["request"].(object)["out_refund_no"] = "R9" }, nil, []string{"wrong_number R1"}},
		{"a state that is none", "refund/R3", func(o object) { o["state"] = "done" }, func(it *refund.Item) { it.Class = "done" }, []string{"wrong_state R3"}},
		{"a final refund in doubt", r1, func(o object) { o["open"] = []any{1} }, nil, []string{"wrong_state R1"}},
		{"a rejected one that holds", "refund/R6", func(o object) { o["held"] = 10 }, nil, []string{"wrong_held R6"}},
		{"a rejected one without a reason", "refund/R6", func(o object) { delete(o, "refusal") }, nil, []string{"wrong_state R6"}},
		{"one that holds too little", "refund/R3", func(o object) { o["held"] = 9 }, nil, []string{"wrong_entry O3", "wrong_held R3"}},
		{"one that does not count", "refund/R3", func(o object) { delete(o, "counted") }, nil, []string{"wrong_entry O3", "wrong_state R3"}},
		{"one that has no home", "refund/R3", func(o object) { o["order"] = "order/out_trade_no/lost" }, nil, []string{"not_counted R3", "wrong_entry O3"}},
		{"an account that reserves too much", "order/out_trade_no/O3", func(o object) { o["reserved"] = 11 }, nil, []string{"wrong_sum O3"}},
		{"an account that has lost a refund", "order/out_trade_no/O3", func(o object) { o["members"], o["reserved"] = []any{}, 0 }, nil, []string{"not_counted R3"}},
		{"an account that counts twice", "order/out_trade_no/O3", func(o object) {
			o["members"], o["reserved"] = []any{first(o, "members"), first(o, "members")}, 20
		}, nil, []string{"wrong_entry O3"}},
		{"an entry of a refund that is not there", "order/out_trade_no/O3", func(o object) { first(o, "members")["no"] = "R99" }, nil, []string{"not_counted R3", "wrong_entry O3"}},
		{"an entry by hand that is not", "order/out_trade_no/O3", func(o object) { first(o, "members")["foreign"] = true }, nil, []string{"wrong_entry O3"}},
		{"an entry in doubt that is not", "order/out_trade_no/O3", func(o object) { first(o, "members")["total"] = 100 }, nil, []string{"wrong_entry O3"}},
		{"an account above its total", "order/out_trade_no/O1", func(o object) { o["total"] = 64 }, nil, []string{"order_exceeded O1"}},
		{"a second account that has lost a refund", "order/out_trade_no/O7", func(o object) { delete(o, "claims") }, nil, []string{"not_counted R7"}},
		{"an account with another's number", "order/out_trade_no/O3", func(o object) { o["out_trade_no"] = "O99" }, nil, []string{"name_astray O3", "name_astray O3"}},
		{"a number that leads nowhere", "order/transaction_id/T-O3", func(o object) { o["same_as"] = "order/out_trade_no/lost" }, nil, []string{"name_astray O3", "name_astray T-O3"}},
		{"numbers that lead to each other", "order/transaction_id/T-O3", func(o object) { o["same_as"] = "order/transaction_id/T-O3" }, nil, []string{"name_astray O3", "names_in_circle T-O3"}},
		{"a refund_id that leads to another", "refund_id/5000R3", nil, func(it *refund.Item) { it.Body = []byte(`"R4"`) }, []string{"name_astray R3", "name_astray R4"}},
		{"a refund_id that leads nowhere", "refund_id/5000R3", nil, func(it *refund.Item) { it.Body = []byte(`"R99"`) }, []string{"name_astray R3", "name_astray R99"}},
		{"a claim that is never due", "refund/R5", nil, func(it *refund.Item) { it.Due = time.Time{} }, []string{"no_due R5"}},
		{"a refund that is due in a year", "refund/R3", nil, func(it *refund.Item) { it.Due = it.Due.AddDate(1, 0, 0) }, []string{"due_far R3"}},
		{"a class that is another", "refund/R3", nil, func(it *refund.Item) { it.Class = "closed" }, []string{"wrong_class R3"}},
		{"a time of the class that is another", "refund/R3", nil, func(it *refund.Item) { it.At = it.At.Add(time.Hour) }, []string{"wrong_class R3"}},
		{"no history", "refund/R3", func(o object) { o["history"] = []any{} }, nil, []string{"wrong_history R3"}},
		{"a history without end", "refund/R3", func(o object) {
			o["history"] = slices.Repeat([]any{first(o, "history")}, 41)
		}, nil, []string{"wrong_history R3"}},
		{"an event for nobody", r1, func(o object) { o["notices"] = []any{object{"id": "x", "owed": []any{}}} }, nil, []string{"wrong_outbox R1"}},
		{"an event for somebody, never due", r1, func(o object) {
			o["notices"] = []any{object{"id": "x", "owed": []any{object{"to": "shop"}}}}
		}, nil, []string{"no_due R1"}},
		{"what a check has left", string(refund.CheckKey), nil, func(it *refund.Item) { it.Body = []byte("{}") }, nil},
		{"the program's own item", string(refund.OwnershipKey), nil, func(it *refund.Item) { it.Body = []byte("x") }, []string{"item_unreadable"}},
		{"an open alarm that nobody finds", "alarm/x", nil, func(it *refund.Item) { it.Body = []byte(`{"code":"x","since":"2026-11-22T10:00:00Z"}`) }, []string{"wrong_class"}},
		{"an alarm that is none", "alarm/x", nil, func(it *refund.Item) { it.Body = []byte("[]") }, []string{"item_unreadable"}},
		{"another program's item", "strange/x", nil, func(it *refund.Item) { it.Body = []byte("{}") }, []string{"item_unknown"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			f := lived(t)
			key := refund.Key(c.key)
			if strings.HasPrefix(c.key, "order/") { // wherever the account stands
				key = f.accountOf(t, key, strings.HasPrefix(c.name, "a number") || strings.HasPrefix(c.name, "numbers"))
			}
			it := f.items(t, key)[0]
			if c.alter != nil {
				var o object
				if err := json.Unmarshal(it.Body, &o); err != nil {
					t.Fatalf("%s: %v", key, err)
				}
				c.alter(o)
				it.Body, _ = json.Marshal(o)
			}
			if c.item != nil {
				c.item(&it)
			}
			f.write(t, it)
			found, _ := f.verify(t)
			for i := range found { // an order's two numbers are one order
				found[i] = strings.Replace(found[i], " T-", " ", 1)
			}
			var want []string
			for _, w := range c.want {
				want = append(want, strings.Replace(w, " T-", " ", 1))
			}
			slices.Sort(found)
			slices.Sort(want)
			wantEqual(t, "found", want, found)
		})
	}
}

// accountOf is the key of an order's account, or of the number that leads there.
func (f *fixture) accountOf(t *testing.T, key refund.Key, name bool) refund.Key {
	t.Helper()
	order := string(key[strings.LastIndex(string(key), "/")+1:])
	order = strings.TrimPrefix(order, "T-")
	for _, k := range []refund.Key{refund.Key("order/out_trade_no/" + order), refund.Key("order/transaction_id/T-" + order)} {
		it := f.items(t, k)[0]
		if it.Version > 0 && strings.Contains(string(it.Body), `"same_as"`) == name {
			return k
		}
	}
	t.Fatalf("nothing stands under %s", key)
	return ""
}

// What changes while the ledger is read is looked at again, and is no finding.
func TestVerifyOfALedgerInUseSuspectsAndFindsNothing(t *testing.T) {
	f := lived(t)
	store := f.Ledger
	f.Ledger = &stale{Ledger: store, old: map[refund.Key]refund.Item{"refund/R3": f.items(t, "refund/R3")[0]}}
	f.settle(t, refund.Outcome{Source: refund.Notification, OutRefundNo: "R3", Merchant: merchant, EventID: "E", Refund: refund.Refund{
		RefundID: "5000R3", OutRefundNo: "R3", TransactionID: "T-O3", OutTradeNo: "O3", Status: refund.StatusClosed, Amount: refund.Amount{Total: 100, Refund: 10},
	}})
	found, v := f.verify(t)
	if len(found) > 0 || v.Suspicions == 0 {
		t.Errorf("found %v, %d suspicions", found, v.Suspicions)
	}
}

// A stale ledger lists some items as they were.
type stale struct {
	refund.Ledger
	old map[refund.Key]refund.Item
}

func (s *stale) List(ctx context.Context, index refund.Index, cursor string, limit int) ([]refund.Item, string, error) {
	items, next, err := s.Ledger.List(ctx, index, cursor, limit)
	for i, it := range items {
		if old, ok := s.old[it.Key]; ok {
			items[i] = old
		}
	}
	return items, next, err
}

// Verify holds a few pages of items, however many there are.
func TestVerifyReadsPageByPage(t *testing.T) {
	f := clocked(t)
	f.Pace = -1
	for i := range 700 {
		r := request(number(i), 10)
		r.OutTradeNo = fmt.Sprint("O", i)
		f.must(t, r)
	}
	pages := &countedPages{Ledger: f.Ledger}
	f.Ledger = pages
	found, v := f.verify(t)
	if len(found) > 0 || v.Refunds != 700 || v.Orders != 700 {
		t.Errorf("found %v in %+v", found, v)
	}
	if pages.most > 250 {
		t.Errorf("%d items were listed at once", pages.most)
	}
}

type countedPages struct {
	refund.Ledger
	most int
}

func (c *countedPages) List(ctx context.Context, index refund.Index, cursor string, limit int) ([]refund.Item, string, error) {
	items, next, err := c.Ledger.List(ctx, index, cursor, limit)
	c.most = max(c.most, len(items))
	return items, next, err
}
