package refund

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"time"
)

// Event is what the business is told: that a refund has succeeded, was closed,
// or has become abnormal.
type Event struct {
	ID       string    // the same however often it is told, and another for every other event
	At       time.Time // when the ledger learned it
	Status   Status    // success, closed or abnormal
	Merchant Merchant
	Refund   Refund // as it was then, as far as WeChat Pay's notification tells it
}

// A Subscriber is told of every refund that settles, at least once each, the
// event of one refund in the order in which they came.
type Subscriber struct {
	Name string // stable: what is owed is recorded under it

	// Tell delivers the event. An error means that it is told again. It must return
	// when ctx ends.
	Tell func(ctx context.Context, n Event) error
}

// ownCode is the name under which the merchant's own Go code is owed its event.
const ownCode = "go"

// A notice is one event that a record still owes to somebody.
type outboxEntry struct {
	ID         string     `json:"id" ledger:"key"`
	At         time.Time  `json:"at"`
	Refund     Refund     `json:"refund"` // what is sent of it
	Deliveries []delivery `json:"owed"`
}

// A debt is one notice that one subscriber has not acknowledged yet.
type delivery struct {
	To        string    `json:"to" ledger:"key"`
	Attempts  int       `json:"tries,omitempty"` // each try has its own number, so that an overtaken one can be told
	Next      time.Time `json:"next,omitzero"`   // not before
	Lease     time.Time `json:"lease,omitzero"`  // a try is under way until then
	GivenUp   bool      `json:"lost,omitempty"`  // given up; a person was alarmed
	LastError string    `json:"why,omitempty"`   // of the last failure
}

const (
	// deliveryTimeout bounds one delivery in real time: the gateway's relay waits 5 s.
	deliveryTimeout = 4 * time.Second
	// minDeliveryTime is the least time that is worth beginning a delivery in.
	minDeliveryTime = 300 * time.Millisecond
	// giveUpAfter is how long a subscriber is tried before it is given up.
	giveUpAfter = 72 * time.Hour
	// maxOutbox bounds what one refund owes. Only a refund that becomes abnormal
	// again and again can come near it.
	maxOutbox = 16
)

// deliveryBackoff is how long to wait after so many failed tries: seconds at first, in
// the end six hours.
func deliveryBackoff(tries int) time.Duration {
	waits := []time.Duration{
		5 * time.Second, 15 * time.Second, 30 * time.Second,
		time.Minute, 2 * time.Minute, 5 * time.Minute, 10 * time.Minute, 20 * time.Minute, 30 * time.Minute,
		time.Hour, 2 * time.Hour, 3 * time.Hour,
	}
	if tries <= len(waits) {
		return waits[max(tries, 1)-1]
	}
	return 6 * time.Hour
}

// announce owes the subscribers the event of the record's present state, if it is
// one that the business is told of and has not been told last. It returns what a
// person should look at.
func (r *record) enqueue(to []string, now time.Time) (alarm string) {
	if r.State != Success && r.State != Closed && r.State != Abnormal {
		return ""
	}
	// A final state that the upstream has taken back meanwhile is no event the second time.
	if r.State.Final() && r.LastEnqueued == r.Refund.Status {
		return ""
	}
	r.LastEnqueued = r.Refund.Status
	if len(to) == 0 {
		return ""
	}
	n := outboxEntry{ID: eventID(r), At: now, Refund: eventRefund(r.view())}
	for _, name := range to {
		n.Deliveries = append(n.Deliveries, delivery{To: name})
	}
	r.Outbox = append(r.Outbox, n)
	if len(r.Outbox) > maxOutbox {
		alarm = "so much event is owed that the oldest is dropped: " + r.Outbox[0].ID
		r.Outbox = slices.Delete(r.Outbox, 0, 1)
	}
	return alarm
}

// sendable is what is sent of a refund: WeChat Pay's notification has no more.
func eventRefund(r Refund) Refund {
	return Refund{
		RefundID: r.RefundID, OutRefundNo: r.OutRefundNo, TransactionID: r.TransactionID, OutTradeNo: r.OutTradeNo,
		UserReceivedAccount: r.UserReceivedAccount, SuccessTime: r.SuccessTime, Status: r.Status,
		Amount: Amount{
			Total: r.Amount.Total, Refund: r.Amount.Refund, Currency: r.Amount.Currency,
			PayerTotal: r.Amount.PayerTotal, PayerRefund: r.Amount.PayerRefund,
		},
	}
}

// eventID names the event of a record's present state. It is the same whoever makes
// it: nothing but what the ledger commits goes into it. The count of moves alone
// would name two events after the ledger was restored from an older copy.
func eventID(r *record) string {
	sum := sha256.Sum256(fmt.Appendf(nil, "%s/%d/%s/%s", r.Request.OutRefundNo, r.Revision, r.Refund.Status, r.Refund.RefundID))
	return "refund-" + hex.EncodeToString(sum[:12])
}

// owed finds what is to be told to a subscriber next; nil: nothing. Its event come
// in order, so that what is behind an unacknowledged one waits, unless that was given up.
func (r *record) nextDelivery(to string) (*outboxEntry, *delivery) {
	for i := range r.Outbox {
		n := &r.Outbox[i]
		for j := range n.Deliveries {
			if d := &n.Deliveries[j]; d.To == to && !d.GivenUp {
				return n, d
			}
		}
	}
	return nil, nil
}

// creditors lists the names to whom something is owed that is not given up.
func (r *record) pendingSubscribers() []string {
	var names []string
	for _, n := range r.Outbox {
		for _, d := range n.Deliveries {
			if !d.GivenUp && !slices.Contains(names, d.To) {
				names = append(names, d.To)
			}
		}
	}
	return names
}

// due says from when on the debt may be tried.
func (d *delivery) due(now time.Time) time.Time {
	// A lease that ends later than any can is one of a clock that has stepped back
	// since: it counts for nothing.
	if d.Lease.After(d.Next) && d.Lease.Sub(now) <= lease+clockSkew {
		return d.Lease
	}
	if d.Next.Sub(now) > deliveryBackoff(d.Attempts)+clockSkew { // likewise
		return time.Time{}
	}
	return d.Next
}

// tellAt says when the next delivery is due; false: nothing is owed.
func (r *record) nextDeliveryAt(now time.Time) (at time.Time, ok bool) {
	for _, name := range r.pendingSubscribers() {
		_, d := r.nextDelivery(name)
		if due := d.due(now); !ok || due.Before(at) {
			at, ok = due, true
		}
	}
	return at, ok
}

// tellNow lists those to whom something is to be told now and who still have a
// chance in this run.
func (r *record) dueSubscribers(now time.Time, p *slowSubscribers) []string {
	return slices.DeleteFunc(r.pendingSubscribers(), func(name string) bool {
		_, d := r.nextDelivery(name)
		return d.due(now).After(now) || p.skip(name)
	})
}

// pay takes a debt off the record.
func (r *record) markDelivered(id, to string) {
	r.removeDeliveries(func(e outboxEntry, d delivery) bool { return e.ID == id && d.To == to })
}

// forgive takes all that is owed to somebody off the record.
func (r *record) dropDeliveries(to string) {
	r.removeDeliveries(func(_ outboxEntry, d delivery) bool { return d.To == to })
}

func (r *record) removeDeliveries(which func(outboxEntry, delivery) bool) {
	for i, n := range r.Outbox {
		r.Outbox[i].Deliveries = slices.DeleteFunc(n.Deliveries, func(d delivery) bool { return which(n, d) })
	}
	r.Outbox = slices.DeleteFunc(r.Outbox, func(e outboxEntry) bool { return len(e.Deliveries) == 0 })
}
