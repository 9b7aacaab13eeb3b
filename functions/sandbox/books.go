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

// books lets the console see our side: it looks over the ledger's shoulder to
// learn which refunds there are, and reads them again when it is asked.
type books struct {
	changed func() // told of every commit

	mu      sync.Mutex
	refunds *refund.Service
	numbers []string // in the order of their last change
}

// attach puts the books between a service and its ledger. What is open in a
// ledger from an earlier run is listed as well.
func (b *books) attach(ctx context.Context, refunds *refund.Service) error {
	cursor, end := "", time.Now().AddDate(100, 0, 0)
	for range maxNumbers { // a page may be short, so their number is bounded too
		open, next, err := refunds.Ledger.List(ctx, end, cursor, maxNumbers)
		if err != nil {
			return err
		}
		b.note(open)
		if cursor = next; cursor == "" {
			break
		}
	}
	refunds.Ledger = watched{refunds.Ledger, b}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.refunds = refunds
	return nil
}

// note remembers the refunds among items as the newest.
func (b *books) note(items []refund.Item) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, it := range items {
		if no, ok := it.RefundNo(); ok {
			b.numbers = append(slices.DeleteFunc(b.numbers, func(n string) bool { return n == no }), no)
		}
	}
	b.numbers = slices.Delete(b.numbers, 0, max(0, len(b.numbers)-maxNumbers))
}

// newest returns the refunds that changed last, as the ledger has them now.
func (b *books) newest(ctx context.Context, most int) ([]sandbox.OurRefund, error) {
	b.mu.Lock()
	refunds, numbers := b.refunds, slices.Clone(b.numbers[max(0, len(b.numbers)-most):])
	b.mu.Unlock()
	if refunds == nil {
		return nil, nil
	}
	inspections, err := refunds.Inspect(ctx, numbers...)
	if err != nil {
		return nil, err
	}
	var out []sandbox.OurRefund
	for _, d := range inspections {
		if d.State != "" {
			out = append(out, show(d))
		}
	}
	return out, nil
}

// show puts a refund of ours into the console's words.
func show(d refund.Inspection) sandbox.OurRefund {
	r := d.Refund
	out := sandbox.OurRefund{
		OutRefundNo: d.OutRefundNo, RefundID: r.RefundID, OutTradeNo: r.OutTradeNo, TransactionID: r.TransactionID,
		State: string(d.State), Foreign: d.External, Refund: r.Amount.Refund, Total: r.Amount.Total, Currency: r.Amount.Currency,
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
		out.History = append(out.History, sandbox.OurEvent{At: e.At, What: e.What, Detail: cmp.Or(e.Note, string(e.Source))})
	}
	for _, o := range d.Pending {
		out.History = append(out.History, owes(o))
	}
	return out
}

// owes is the line for what a subscriber has not acknowledged. It stands where the
// event came, and goes when the debt is paid: then the history tells of it.
func owes(o refund.PendingDelivery) sandbox.OurEvent {
	switch {
	case o.GivenUp:
		return sandbox.OurEvent{At: o.Since, What: "given_up", Detail: fmt.Sprintf("%s (%d): %s", o.To, o.Tries, o.Why)}
	case o.Tries > 0 && o.Why != "":
		return sandbox.OurEvent{At: o.Since, What: "undelivered", Detail: fmt.Sprintf("%s (%d): %s", o.To, o.Tries, o.Why)}
	}
	return sandbox.OurEvent{At: o.Since, What: "owed", Detail: o.To}
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

// watched is a ledger that tells the books what was written.
type watched struct {
	refund.Ledger
	books *books
}

func (w watched) Commit(ctx context.Context, items ...refund.Item) error {
	err := w.Ledger.Commit(ctx, items...)
	if err == nil {
		w.books.note(items)
		w.books.changed()
	}
	return err
}
