package main

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"sync"
	"time"

	"wxrefund/shared/refund"
	"wxrefund/shared/sandbox"
)

// maxNumbers bounds how many refund numbers are remembered, the newest.
const maxNumbers = 1000

// A consoleFeed shows the console the merchant's refunds: it sees every commit to the
// ledger to learn which refunds there are, and reads them again when it is asked.
type consoleFeed struct {
	changed func() // called after every commit

	mu      sync.Mutex
	refunds *refund.Service
	numbers []string // in the order of their last change
}

// attach puts the feed between a service and its ledger. What is open in a
// ledger from an earlier run is listed as well.
func (f *consoleFeed) attach(ctx context.Context, refunds *refund.Service) error {
	cursor, end := "", time.Now().AddDate(100, 0, 0)
	for range maxNumbers { // a page may be short, so their number is bounded too
		open, next, err := refunds.Ledger.List(ctx, end, cursor, maxNumbers)
		if err != nil {
			return err
		}
		f.note(open)
		if cursor = next; cursor == "" {
			break
		}
	}
	refunds.Ledger = watchedLedger{refunds.Ledger, f}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.refunds = refunds
	return nil
}

// note remembers the refunds among items as the newest.
func (f *consoleFeed) note(items []refund.Item) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, it := range items {
		if no, ok := it.RefundNo(); ok {
			f.numbers = append(slices.DeleteFunc(f.numbers, func(n string) bool { return n == no }), no)
		}
	}
	f.numbers = slices.Delete(f.numbers, 0, max(0, len(f.numbers)-maxNumbers))
}

// newest returns the refunds that changed last, as the ledger has them now.
func (f *consoleFeed) newest(ctx context.Context, most int) ([]sandbox.MerchantRefund, error) {
	f.mu.Lock()
	refunds, numbers := f.refunds, slices.Clone(f.numbers[max(0, len(f.numbers)-most):])
	f.mu.Unlock()
	if refunds == nil {
		return nil, nil
	}
	inspections, err := refunds.Inspect(ctx, numbers...)
	if err != nil {
		return nil, err
	}
	var out []sandbox.MerchantRefund
	for _, d := range inspections {
		if d.State != "" {
			out = append(out, show(d))
		}
	}
	return out, nil
}

// show puts a refund of the merchant into the console's words.
func show(d refund.Inspection) sandbox.MerchantRefund {
	r := d.Refund
	out := sandbox.MerchantRefund{
		OutRefundNo: d.OutRefundNo, RefundID: r.RefundID, OutTradeNo: r.OutTradeNo, TransactionID: r.TransactionID,
		State: string(d.State), External: d.External, Refund: r.Amount.Refund, Total: r.Amount.Total, Currency: r.Amount.Currency,
		Held: d.Held, At: d.ClaimedAt,
	}
	if d.State == refund.Success {
		out.Arrived = d.Held
	}
	if d.Refusal != nil {
		out.Refusal = d.Refusal.Message
		if d.Refusal.Upstream != "" {
			out.Refusal = d.Refusal.Upstream + ": " + d.Refusal.Message
		}
	}
	if !d.External {
		out.Event = again(d.Request)
	}
	for _, e := range d.History {
		out.History = append(out.History, sandbox.MerchantEvent{At: e.At, What: e.What, Detail: cmp.Or(e.Note, string(e.Source))})
	}
	for _, o := range d.Pending {
		out.History = append(out.History, pending(o))
	}
	return out
}

// pending is the line for what a subscriber has not acknowledged. It stands where the
// event came, and goes when it is delivered: then the history has a line for that.
func pending(o refund.PendingDelivery) sandbox.MerchantEvent {
	switch {
	case o.GivenUp:
		return sandbox.MerchantEvent{At: o.Since, What: "given_up", Detail: fmt.Sprintf("%s (%d): %s", o.To, o.Attempts, o.Why)}
	case o.Attempts > 0 && o.Why != "":
		return sandbox.MerchantEvent{At: o.Since, What: "undelivered", Detail: fmt.Sprintf("%s (%d): %s", o.To, o.Attempts, o.Why)}
	}
	return sandbox.MerchantEvent{At: o.Since, What: "owed", Detail: o.To}
}

// again is the event with which a mini-program asks for the same refund.
func again(r refund.Request) json.RawMessage {
	event := struct {
		Type string `json:"type"`
		refund.Request
	}{"wxpay_refund", r}
	b, err := json.Marshal(event)
	if err != nil {
		panic(err) // texts and numbers always encode
	}
	return b
}

// A watchedLedger shows the feed what is written.
type watchedLedger struct {
	refund.Ledger
	feed *consoleFeed
}

func (w watchedLedger) Commit(ctx context.Context, items ...refund.Item) error {
	err := w.Ledger.Commit(ctx, items...)
	if err == nil {
		w.feed.note(items)
		w.feed.changed()
	}
	return err
}
