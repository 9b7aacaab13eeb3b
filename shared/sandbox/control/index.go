package control

import (
	"cmp"
	"container/heap"
	"context"
	"slices"
	"strings"
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

// takeUnread returns some of what is to be read; whoever takes it reads it.
func (x *index) takeUnread() (numbers []string) {
	x.unread.Lock()
	defer x.unread.Unlock()
	for no := range x.unread.numbers {
		if len(numbers) == readAtOnce {
			break
		}
		numbers = append(numbers, no)
		delete(x.unread.numbers, no)
	}
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
	for {
		numbers := x.takeUnread()
		if len(numbers) == 0 {
			return
		}
		if _, err := x.read(ctx, numbers); err != nil {
			return
		}
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

// put works out what has changed of refunds. x.mu is held.
func (x *index) put(changed []*entry) {
	var moved []*entry
	for _, e := range changed {
		r, at := join(e.OutRefundNo, e.wechat, e.merchant, e.unacknowledged)
		x.nameOrder(&r)
		if r.equal(e.row) {
			continue
		}
		if e.known() {
			x.totals.count(e.row, -1)
		}
		x.totals.count(r, 1)
		x.recent.Touch(e)
		if r.OutTradeNo != e.OutTradeNo || r.TransactionID != e.TransactionID {
			x.regroup(e, r)
		}
		e.row, e.at = r, at
		e.search = strings.ToLower(strings.Join([]string{r.OutRefundNo, r.RefundID, r.OutTradeNo, r.TransactionID}, "\n"))
		if !e.listed || !e.placed.Equal(at) {
			moved = append(moved, e)
		}
	}
	x.place(moved)
}

// known tells whether the refund has been counted.
func (e *entry) known() bool { return e.Status != "" }

// nameOrder completes what the merchant alone says of a refund's order. x.mu is held.
func (x *index) nameOrder(r *row) {
	o := x.order(r.OutTradeNo, r.TransactionID)
	if o == nil {
		return
	}
	r.OutTradeNo, r.TransactionID = cmp.Or(r.OutTradeNo, o.OutTradeNo), cmp.Or(r.TransactionID, o.TransactionID)
	r.Total, r.Currency = cmp.Or(r.Total, o.Total), cmp.Or(r.Currency, o.Currency)
}

// order returns the order that has one of the names, nil if there is none. x.mu is held.
func (x *index) order(outTradeNo, transactionID string) *orderEntry {
	return cmp.Or(x.byTrade[outTradeNo], x.byTransaction[transactionID])
}

// regroup puts a refund among those of its order. x.mu is held.
func (x *index) regroup(e *entry, now row) {
	for _, name := range []string{e.OutTradeNo, e.TransactionID} {
		x.ofOrder[name] = slices.DeleteFunc(x.ofOrder[name], func(o *entry) bool { return o == e })
		if len(x.ofOrder[name]) == 0 {
			delete(x.ofOrder, name)
		}
	}
	for _, name := range []string{now.OutTradeNo, now.TransactionID} {
		if name != "" {
			x.ofOrder[name] = append(x.ofOrder[name], e)
		}
	}
}

// fewMoved is how many refunds are put into their places one by one. They mostly belong
// near the end, where that moves little; of more, all are sorted.
const fewMoved = 64

// place gives refunds their places in the order of all. x.mu is held.
func (x *index) place(moved []*entry) {
	few := len(moved) <= fewMoved
	for _, e := range moved {
		if few && e.listed {
			i, _ := slices.BinarySearchFunc(x.sorted, e, older)
			x.sorted = slices.Delete(x.sorted, i, i+1)
		}
		listed := e.listed
		e.placed, e.listed = e.at, true
		switch {
		case few:
			i, _ := slices.BinarySearchFunc(x.sorted, e, older)
			x.sorted = slices.Insert(x.sorted, i, e)
		case !listed:
			x.sorted = append(x.sorted, e)
		}
	}
	if !few {
		slices.SortFunc(x.sorted, older)
	}
}

// older compares where refunds stand in the order of all.
func older(a, b *entry) int {
	return cmp.Or(a.placed.Compare(b.placed), cmp.Compare(a.OutRefundNo, b.OutRefundNo))
}

// putOrder takes an order in. x.mu is held.
func (x *index) putOrder(o world.Order) {
	e := x.byTrade[o.OutTradeNo]
	if e == nil {
		e = &orderEntry{search: strings.ToLower(o.OutTradeNo + "\n" + o.TransactionID)}
		x.byTrade[o.OutTradeNo], x.byTransaction[o.TransactionID] = e, e
		x.orders = slices.Grow(x.orders, max(0, o.Number-len(x.orders)))[:max(o.Number, len(x.orders))]
		x.orders[o.Number-1] = e
		x.totals.Orders++
	}
	e.orderState = stateOfOrder(o)
	x.recent.Touch(e)
}

// putNotice takes a notification in, and returns the refund that it is about if that is
// to be looked at again. x.mu is held.
func (x *index) putNotice(d world.Delivery) *entry {
	e := x.byID[d.ID]
	if e == nil {
		e = &noticeEntry{id: d.ID, outRefundNo: d.OutRefundNo, search: strings.ToLower(d.OutRefundNo + "\n" + d.ID + "\n" + d.Event)}
		x.byID[d.ID] = e
		x.notices = slices.Grow(x.notices, max(0, d.Number-len(x.notices)))[:max(d.Number, len(x.notices))]
		x.notices[d.Number-1] = e
		x.totals.Notifications++
	} else {
		x.totals.NotificationStates[e.state]--
	}
	x.totals.NotificationStates[d.State]++
	x.recent.Touch(e)
	if !d.Next.Equal(e.next) && !d.Next.IsZero() {
		heap.Push(&x.upcoming, upcoming{d.Next, e})
	}
	before, after := e.unacknowledged(), d.State != world.DeliveryDelivered
	e.state, e.next = d.State, d.Next
	if before == after {
		return nil
	}
	about := x.entry(d.OutRefundNo)
	if after {
		about.unacknowledged++
	} else {
		about.unacknowledged--
	}
	return about
}

// unacknowledged tells that WeChat Pay has not had its acknowledgement.
func (e *noticeEntry) unacknowledged() bool {
	return e.state != "" && e.state != world.DeliveryDelivered
}
