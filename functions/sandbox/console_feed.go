package main

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"time"

	"wxrefund/shared/refund"
	"wxrefund/shared/sandbox"
)

const (
	// listedAtOnce is how many items of the ledger are listed at a time.
	listedAtOnce = 1000

	// mostLists bounds how often that is done: a page may be short.
	mostLists = 1000

	// lookEvery is how often a ledger is looked at that others may write to.
	lookEvery = 10 * time.Second
)

// A consoleFeed shows the console the merchant's refunds: it sees every commit to the
// ledger to learn which have changed, and reads them when it is asked.
//
// What others write to the ledger it learns by looking for what is due there, which
// is what is still open. A ledger has no list of all there ever was, so that what was
// settled in an earlier run is shown only to whoever asks for it by its number.
type consoleFeed struct {
	changed func(outRefundNos ...string) // called after every commit
	billed  func()                       // called after every commit about a day's bill

	mu      sync.Mutex
	refunds *refund.Service
	listed  map[string]int64 // versions of what was due when it was looked for last
}

// A lister is what the feed looks at of a ledger.
type lister interface {
	List(ctx context.Context, index refund.Index, cursor string, limit int) ([]refund.Item, string, error)
}

// attach puts the feed between a service and its ledger. What is open in a
// ledger from an earlier run is shown as well.
func (f *consoleFeed) attach(ctx context.Context, refunds *refund.Service) error {
	f.mu.Lock()
	f.refunds = refunds
	f.mu.Unlock()
	if err := f.look(ctx, refunds.Ledger); err != nil {
		return err
	}
	refunds.Ledger = watchedLedger{refunds.Ledger, f}
	return nil
}

// look finds out what is due in the ledger and was not, or was otherwise, and what is
// not any more.
func (f *consoleFeed) look(ctx context.Context, ledger lister) error {
	now := map[string]int64{}
	cursor, end := "", time.Now().AddDate(100, 0, 0)
	for range mostLists {
		due, next, err := ledger.List(ctx, refund.DueBy(end), cursor, listedAtOnce)
		if err != nil {
			return err
		}
		for _, it := range due {
			if no, ok := it.RefundNo(); ok {
				now[no] = it.Version
			}
		}
		if cursor = next; cursor == "" {
			break
		}
	}
	f.mu.Lock()
	before := f.listed
	f.listed = now
	f.mu.Unlock()
	var changed []string
	for no, version := range now {
		if before[no] != version {
			changed = append(changed, no)
		}
	}
	for no := range before {
		if _, still := now[no]; !still {
			changed = append(changed, no)
		}
	}
	if len(changed) > 0 {
		f.changed(changed...)
	}
	return nil
}

// follow looks now and then, until ctx ends.
func (f *consoleFeed) follow(ctx context.Context, ledger lister, log *slog.Logger) {
	again := time.NewTicker(lookEvery)
	defer again.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-again.C:
		}
		f.billed()
		if err := f.look(ctx, ledger); err != nil && ctx.Err() == nil {
			log.WarnContext(ctx, "the console does not learn what others write to the ledger", "error", err)
		}
	}
}

// read returns refunds as the ledger has them now; what it does not have is left out.
func (f *consoleFeed) read(ctx context.Context, outRefundNos ...string) ([]sandbox.MerchantRefund, error) {
	f.mu.Lock()
	refunds := f.refunds
	f.mu.Unlock()
	inspections, err := refunds.Inspect(ctx, outRefundNos...)
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

// bills returns what has been found of the days from since to until.
func (f *consoleFeed) bills(ctx context.Context, since, until string) ([]sandbox.MerchantBill, error) {
	f.mu.Lock()
	refunds := f.refunds
	f.mu.Unlock()
	reports, err := refunds.BillReports(ctx, refund.Day(since), refund.Day(until))
	if err != nil {
		return nil, err
	}
	out := []sandbox.MerchantBill{}
	for _, r := range reports {
		out = append(out, sandbox.MerchantBill{
			Date: string(r.Date), State: string(r.State), Why: r.Why, Currency: r.Currency,
			Refunds: r.Equal + r.Differs + r.TheirsOnly, Fen: r.Fen.Bill, Ledger: r.Fen.Ledger,
			Equal: r.Equal, Differs: r.Differs, OursOnly: r.OursOnly, TheirsOnly: r.TheirsOnly, ToAsk: r.ToAsk,
		})
	}
	return out, nil
}

// show puts a refund of the merchant into the console's words.
func show(d refund.Inspection) sandbox.MerchantRefund {
	r := d.Refund
	out := sandbox.MerchantRefund{
		OutRefundNo: d.OutRefundNo, RefundID: r.RefundID, OutTradeNo: r.OutTradeNo, TransactionID: r.TransactionID,
		State: string(d.State), External: d.External, Refund: r.Amount.Refund, Total: r.Amount.Total, Currency: r.Amount.Currency,
		Held: d.Held, InDoubt: d.InDoubt, Owed: len(d.Pending) > 0, At: d.ClaimedAt,
		Kept: r.ReceivedBy == refund.ReceivedByMerchant,
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
	if err != nil {
		return err
	}
	var changed []string
	for _, it := range items {
		if no, ok := it.RefundNo(); ok {
			changed = append(changed, no)
		}
	}
	w.feed.changed(changed...)
	if slices.ContainsFunc(items, func(it refund.Item) bool { return strings.HasPrefix(string(it.Key), "bill/") }) {
		w.feed.billed()
	}
	return nil
}
