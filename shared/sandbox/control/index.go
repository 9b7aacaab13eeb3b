package control

import (
	"context"
	"maps"
	"slices"
	"sync"
	"time"

	"wxrefund/shared/sandbox/world"
)

const (
	// merchantTime bounds how long the merchant's ledger may take to be read once.
	merchantTime = 2 * time.Second

	// readAtOnce is how many of the merchant's refunds are read at a time.
	readAtOnce = 250
)

// An index holds what can be listed: every refund as the two sides have it, every order
// and every notification, and the figures of all. Only what has changed is read again.
// As in the world itself, nothing is ever dropped from it.
type index struct {
	world    *world.World
	merchant MerchantRefunds

	reading chan struct{} // is full while the merchant's records are read

	unread struct {
		sync.Mutex
		numbers map[string]bool // what has changed on the merchant's side since it was read
	}

	mu       sync.Mutex // of all that follows
	revision int64      // of the world, as it was read last
	failure  error      // why the merchant's records could not be read
	failed   time.Time

	refunds       map[string]*entry
	sorted        []*entry // the oldest first
	orders        []*orderEntry
	byTrade       map[string]*orderEntry
	byTransaction map[string]*orderEntry
	ofOrder       map[string][]*entry // by what their order is called; a refund may know both names
	notices       []*noticeEntry
	byID          map[string]*noticeEntry
	upcoming      upcomingQueue
	totals        totals
	recent        world.Recent[any] // of *entry, *orderEntry and *noticeEntry
}

// An entry is one refund.
type entry struct {
	row
	wechat, merchant *side
	unacknowledged   int    // notifications about it
	search           string // its numbers, in small letters
	at               time.Time
	listed           bool      // it stands in the order of all
	placed           time.Time // as of then
}

// An orderEntry is one order.
type orderEntry struct {
	orderState
	search string
}

// A noticeEntry is one notification, without its attempts.
type noticeEntry struct {
	id, outRefundNo, state string
	next                   time.Time
	search                 string
}

func newIndex(w *world.World, merchant MerchantRefunds) *index {
	x := &index{
		world: w, merchant: merchant, reading: make(chan struct{}, 1),
		refunds: map[string]*entry{}, byTrade: map[string]*orderEntry{}, byTransaction: map[string]*orderEntry{},
		ofOrder: map[string][]*entry{}, byID: map[string]*noticeEntry{}, totals: newTotals(),
	}
	x.unread.numbers = map[string]bool{}
	return x
}

// merchantChanged notes refunds that the merchant's side has written. It does not block.
func (x *index) merchantChanged(outRefundNos []string) {
	x.unread.Lock()
	defer x.unread.Unlock()
	for _, no := range outRefundNos {
		x.unread.numbers[no] = true
	}
}

// takeUnread returns what is to be read; whoever takes it reads it.
func (x *index) takeUnread() []string {
	x.unread.Lock()
	defer x.unread.Unlock()
	numbers := slices.Collect(maps.Keys(x.unread.numbers))
	clear(x.unread.numbers)
	return numbers
}

// refresh reads what has changed on either side.
func (x *index) refresh(ctx context.Context) {
	x.readWorld()
	if x.merchant != nil {
		x.readMerchant(ctx)
	}
}

func (x *index) readWorld() {
	x.mu.Lock()
	defer x.mu.Unlock()
	news := x.world.ChangedSince(x.revision)
	x.revision = news.Revision
	for _, o := range news.Orders {
		x.putOrder(o)
	}
	var changed []*entry
	for _, r := range news.Refunds {
		e := x.entry(r.OutRefundNo)
		e.wechat = wechatSide(r)
		changed = append(changed, e)
	}
	for _, d := range news.Deliveries {
		if e := x.putNotice(d); e != nil {
			changed = append(changed, e)
		}
	}
	x.put(changed)
}

// readMerchant reads what has changed on the merchant's side.
func (x *index) readMerchant(ctx context.Context) {
	done := x.mayRead(ctx)
	if done == nil {
		return
	}
	defer done()
	for numbers := x.takeUnread(); len(numbers) > 0; {
		n := min(len(numbers), readAtOnce)
		if _, err := x.read(ctx, numbers[:n]); err != nil {
			x.merchantChanged(numbers[n:])
			return
		}
		numbers = numbers[n:]
	}
}

// look reads what the merchant has of one refund, the zero value if it has nothing.
func (x *index) look(ctx context.Context, outRefundNo string) (out MerchantRefund) {
	if x.merchant == nil {
		return out
	}
	if done := x.mayRead(ctx); done != nil {
		defer done()
		if all, err := x.read(ctx, []string{outRefundNo}); err == nil && len(all) > 0 {
			out = all[0]
		}
	}
	return out
}

// mayRead waits until nobody else reads the merchant's records, so that what was read
// last is what is kept. It returns what is to be called behind the reading; nil if
// there is to be none, since the records could not be read meanwhile: a ledger that
// hangs is waited for once, not by each who comes.
func (x *index) mayRead(ctx context.Context) (done func()) {
	came := time.Now()
	select {
	case x.reading <- struct{}{}:
	case <-ctx.Done():
		return nil
	}
	done = func() { <-x.reading }
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.failed.After(came) {
		done()
		return nil
	}
	return done
}

// read reads some of the merchant's records and takes them in; what could not be read
// is read the next time. Only who may calls it.
func (x *index) read(ctx context.Context, numbers []string) ([]MerchantRefund, error) {
	short, cancel := context.WithTimeout(ctx, merchantTime)
	defer cancel()
	all, err := x.merchant(short, numbers...)
	if err != nil {
		x.merchantChanged(numbers)
	}
	if err != nil && ctx.Err() != nil {
		return nil, err // who asked has gone, which says nothing about the ledger
	}
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.failure = err; err != nil {
		x.failed = time.Now()
		return nil, err
	}
	var changed []*entry
	for _, o := range all {
		e := x.entry(o.OutRefundNo)
		e.merchant = merchantSide(o)
		changed = append(changed, e)
	}
	x.put(changed)
	return all, nil
}

// entry returns that of a refund, a new one if there is none. x.mu is held.
func (x *index) entry(outRefundNo string) *entry {
	e := x.refunds[outRefundNo]
	if e == nil {
		e = &entry{}
		e.OutRefundNo = outRefundNo
		x.refunds[outRefundNo] = e
	}
	return e
}
