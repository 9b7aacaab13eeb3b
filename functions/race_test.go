package functions_test

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// Two processes that share a ledger never refund more than an order has, whoever
// comes first, and WeChat agrees to the fen.
func TestTwoDispatchers(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	both := []*scf{startSCF(t, dispatcher, w.env), startSCF(t, dispatcher, w.env)}
	// all sends every event at once, to either process in turn, and returns the replies.
	all := func(events ...string) []reply {
		t.Helper()
		replies := make([]reply, len(events))
		var wg sync.WaitGroup
		for i, event := range events {
			wg.Go(func() {
				b, err := both[i%2].send(invocation{event: event, left: 20 * time.Second})
				if err != nil {
					t.Error(err)
					return
				}
				replies[i] = parse(t, b)
			})
		}
		wg.Wait()
		return replies
	}
	codes := func(replies []reply) (codes []int) {
		for _, r := range replies {
			codes = append(codes, r.Code)
		}
		slices.Sort(codes)
		return codes
	}
	byTransaction := func(o order, event string) string {
		return strings.Replace(event, `"out_trade_no":"`+o.OutTradeNo, `"transaction_id":"`+o.TransactionID, 1)
	}

	for i := range 5 {
		o := w.order(100)
		replies := all(refundEvent(o, fmt.Sprintf("P%d-a", i), 60), refundEvent(o, fmt.Sprintf("P%d-b", i), 60))
		if diff := cmp.Diff([]int{0, 409}, codes(replies)); diff != "" || w.sum(o) != 60 {
			t.Errorf("60 and 60 of 100: WeChat holds %d fen, want 60; codes (-want +got):\n%s\n%+v", w.sum(o), diff, replies)
		}
	}

	// By two names of the order, which the ledger cannot know to be one yet: then
	// WeChat refuses the second.
	o := w.order(100)
	replies := all(refundEvent(o, "T-a", 60), byTransaction(o, refundEvent(o, "T-b", 60)))
	if got := codes(replies); got[0] != 0 || got[1] != 409 && got[1] != 422 || w.sum(o) != 60 {
		t.Errorf("60 and 60 of 100, by two names: WeChat holds %d fen, want 60: %+v", w.sum(o), replies)
	}

	// The same refund, ten times at once, is one.
	o = w.order(100)
	replies = all(slices.Repeat([]string{refundEvent(o, "S", 60)}, 10)...)
	if diff := cmp.Diff(make([]int, 10), codes(replies)); diff != "" || w.sum(o) != 60 {
		t.Errorf("the same refund: WeChat holds %d fen, want 60; codes (-want +got):\n%s", w.sum(o), diff)
	}

	// Thirty parts of 7, of which fourteen fit.
	o = w.order(100)
	var parts []string
	for i := range 30 {
		parts = append(parts, refundEvent(o, fmt.Sprintf("M-%02d", i), 7))
	}
	replies = all(parts...)
	want := slices.Concat(make([]int, 14), slices.Repeat([]int{409}, 16))
	if diff := cmp.Diff(want, codes(replies)); diff != "" {
		t.Errorf("30 parts of 7: codes (-want +got):\n%s", diff)
	}
	var recorded, held []string
	for offset := range 2 {
		page := both[offset].dispatch(fmt.Sprintf(`{"type":"wxpay_refund_query","out_trade_no":%q,"offset":%d}`, o.OutTradeNo, 10*offset))
		for _, r := range page.Data.Refunds {
			recorded = append(recorded, r.OutRefundNo)
		}
	}
	for _, r := range w.refunds() {
		if r.OutTradeNo == o.OutTradeNo {
			held = append(held, r.OutRefundNo)
		}
	}
	slices.Sort(recorded)
	slices.Sort(held)
	if diff := cmp.Diff(held, recorded); diff != "" || w.sum(o) != 98 {
		t.Errorf("30 parts of 7: WeChat holds %d fen, want 98; the refunds (-upstream +ledger):\n%s", w.sum(o), diff)
	}
}
