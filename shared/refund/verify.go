package refund

import (
	"context"
	"maps"
	"slices"
	"sync"
	"time"
)

// A Finding is something in the ledger that no rule of this program leaves there, or that
// a person must judge.
type Finding struct {
	Code        string `json:"code"`                    // stays the same for ever; [findings] says which there are
	OutRefundNo string `json:"out_refund_no,omitempty"` // the refund, where it is about one
	Order       string `json:"order,omitempty"`         // a number of the order, where it is about one
	Item        Key    `json:"item"`                    // of the ledger
	Says        string `json:"says"`                    // a sentence
}

// Codes of findings.
const (
	foundUnreadable = "item_unreadable"  // a body that cannot be read, or not by this version
	foundUnknown    = "item_unknown"     // a kind of item that this version does not know
	foundNumber     = "wrong_number"     // a refund stands under another number than its own
	foundState      = "wrong_state"      // state and what else the record says contradict each other
	foundHeld       = "wrong_held"       // a refund reserves another amount than it is of
	foundCount      = "not_counted"      // a refund that counts does not stand in its order's account
	foundEntry      = "wrong_entry"      // an account counts what its refund does not say
	foundSum        = "wrong_sum"        // an account reserves another amount than its refunds do
	foundExceeded   = "order_exceeded"   // more is reserved than the order had
	foundMany       = "too_many_refunds" // an order with more refunds than any may have
	foundName       = "name_astray"      // a number leads elsewhere than to what has it
	foundCircle     = "names_in_circle"  // numbers that lead to each other
	foundDue        = "no_due"           // nobody would ever look at it again
	foundLate       = "due_far"          // due later than any rule sets
	foundClass      = "wrong_class"      // listed under another class or time than its own
	foundHistory    = "wrong_history"    // none, or longer than any is kept
	foundOutbox     = "wrong_outbox"     // more events than are kept, or one for nobody
)

// VerifyInput says how a ledger is verified; the zero value will do.
type VerifyInput struct {
	Found    func(Finding)    // is told of each finding as it is made; nil: they are counted alone
	Progress func(done int64) // is told how many items were looked at, now and then
	Workers  int              // pages under way at once; 0: 4
}

// A Verification counts what was looked at.
type Verification struct {
	Items      int64 `json:"items"`
	Refunds    int64 `json:"refunds"`
	Orders     int64 `json:"orders"` // accounts, the numbers aside that only lead to one
	Findings   int64 `json:"findings"`
	Suspicions int64 `json:"suspicions"` // looked at again, since the ledger may have changed meanwhile
	Unlisted   int64 `json:"unlisted"`   // refunds of an earlier version that no class lists yet: the reconciler enters them
}

const (
	// verifyPage is how many items one worker holds, beside those that they refer to.
	verifyPage = 250
	// verifyRead is how many items are read at once.
	verifyRead = 100
	// verifyDepth bounds how often what is read refers to more: a number, an account, its
	// refunds, their numbers.
	verifyDepth = 12
)

// Verify holds every item of the ledger against what must be true of it: that the order
// accounts equal their refunds, that numbers lead home, that nothing is due too late or
// never. It changes nothing, asks nobody, and may run while the ledger is in use: what
// looks wrong is looked at again, all that it depends on as of one moment. It holds some
// pages of items at a time, however large the ledger is. A closed ledger is verified too.
func (s *Service) Verify(ctx context.Context, in VerifyInput) (Verification, error) {
	v := &verifying{Service: s, VerifyInput: in}
	if v.Workers == 0 {
		v.Workers = 4
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	pages := make(chan []Item)
	var wg sync.WaitGroup
	for range v.Workers {
		wg.Go(func() {
			for page := range pages {
				if err := v.page(ctx, page); err != nil {
					cancel(err)
				}
			}
		})
	}
	err := s.eachPage(ctx, "", verifyPage, func(page []Item, _ string) error {
		select {
		case pages <- page:
			return nil
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	})
	close(pages)
	wg.Wait()
	if ctx.Err() != nil {
		err = context.Cause(ctx)
	}
	return v.counts, err
}

// eachPage visits all items of the ledger, from cursor on; next is where the following
// page begins, "" behind the last.
func (s *Service) eachPage(ctx context.Context, cursor string, size int, visit func(page []Item, next string) error) error {
	for {
		items, next, err := s.Ledger.List(ctx, Everything(), cursor, size)
		if err != nil {
			return ledgerError(err)
		}
		if err := visit(items, next); err != nil {
			return err
		}
		if cursor = next; next == "" {
			return nil
		}
	}
}

// A verifying is one run of [Service.Verify].
type verifying struct {
	*Service
	VerifyInput

	mu     sync.Mutex // of all below, and of the functions that are told
	counts Verification
}

// page checks the items of a page, and looks again at what seems wrong.
func (v *verifying) page(ctx context.Context, page []Item) error {
	b := v.books(page...)
	if err := b.readAll(ctx, v.Ledger, func() {
		for _, it := range page {
			b.check(it.Key)
		}
	}); err != nil {
		return err
	}
	suspects := map[Key]bool{}
	for _, f := range b.findings {
		suspects[f.Item] = true
	}
	var sure []Finding
	for _, k := range slices.Sorted(maps.Keys(suspects)) {
		found, err := v.lookAgain(ctx, k)
		if err != nil {
			return err
		}
		sure = append(sure, found...)
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	v.counts.Items += int64(len(page))
	v.counts.Refunds += b.refunds
	v.counts.Orders += b.orders
	v.counts.Unlisted += b.unlisted
	v.counts.Suspicions += int64(len(suspects))
	v.counts.Findings += int64(len(sure))
	for _, f := range sure {
		if v.Found != nil {
			v.Found(f)
		}
	}
	if v.Progress != nil {
		v.Progress(v.counts.Items)
	}
	return nil
}

// lookAgain checks one item beside all that it depends on, as they were at one moment.
func (v *verifying) lookAgain(ctx context.Context, k Key) ([]Finding, error) {
	keys := []Key{k}
	for range verifyDepth {
		items, err := v.Ledger.Get(ctx, keys...)
		if err != nil {
			return nil, ledgerError(err)
		}
		b := v.books(items...)
		if b.check(k); len(b.lacks) == 0 {
			return b.findings, nil
		}
		keys = append(keys, slices.Sorted(maps.Keys(b.lacks))...)
	}
	return []Finding{{Code: foundCircle, Item: k, Says: "what this item refers to has no end"}}, nil
}

// books begins a view of a few items.
func (v *verifying) books(items ...Item) *books {
	b := &books{now: v.now(), most: v.rules().most, items: map[Key]Item{}, records: map[Key]*record{}, accounts: map[Key]*orderAccount{}}
	for _, it := range items {
		b.items[it.Key] = it
	}
	return b
}

// readAll has check run until it lacks nothing any more, reading what it lacks. Each
// portion is as of a moment of its own.
func (b *books) readAll(ctx context.Context, l Ledger, check func()) error {
	for range verifyDepth {
		b.findings, b.lacks, b.refunds, b.orders, b.unlisted = nil, nil, 0, 0, 0
		if check(); len(b.lacks) == 0 {
			return nil
		}
		for keys := range slices.Chunk(slices.Sorted(maps.Keys(b.lacks)), verifyRead) {
			items, err := l.Get(ctx, keys...)
			if err != nil {
				return ledgerError(err)
			}
			for _, it := range items {
				b.items[it.Key] = it
			}
		}
	}
	return nil // what refers to itself without end is looked at again by itself
}

// VerifyItems checks items as [Service.Verify] does, where they are all that there are: those
// of the given keys beside the accounts in which they count, or all of them if there is no
// key. most is how many refunds one order may have.
func VerifyItems(now time.Time, most int, items map[Key]Item, keys ...Key) []Finding {
	b := &books{now: now, most: most, items: items, whole: true, records: map[Key]*record{}, accounts: map[Key]*orderAccount{}}
	if len(keys) == 0 {
		keys = slices.Collect(maps.Keys(items))
	}
	for _, k := range keys {
		if _, ok := (Item{Key: k}).RefundNo(); !ok {
			continue
		}
		if r := b.record(k); r != nil {
			for _, order := range []Key{r.Order, r.SecondOrder} {
				home, _, _ := b.home(order)
				keys = append(keys, home)
			}
		}
	}
	slices.Sort(keys)
	for _, k := range slices.Compact(keys) {
		b.check(k)
	}
	return b.findings
}
