package control

import (
	"cmp"
	"container/heap"
	"slices"
	"strings"

	"wxrefund/shared/sandbox/world"
)

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
