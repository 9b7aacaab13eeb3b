package refund

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"time"
)

// An Event is what subscribers are told: that a refund has succeeded, was closed, or
// has become abnormal, or what has become of an application.
type Event struct {
	ID       string    // the same however often it is delivered, and another for every other event
	At       time.Time // when the ledger learned it
	Status   Status    // success, closed or abnormal
	Merchant Merchant
	Refund   Refund // as it was then, as far as WeChat Pay's notification tells it

	// Application is what an event about an application tells, as it was then; nil: the event
	// is about a refund, Status and Refund tell it.
	Application *Application
}

// A Subscriber is told of every refund that settles: of each event at least once, and
// of one refund's events in the order in which they came.
type Subscriber struct {
	Name string // stable: pending deliveries are recorded under it

	// Tell delivers the event. An error means that it is delivered again. It must
	// return when ctx ends. nil: events are enqueued here, and delivered by another
	// function that has the subscriber.
	Tell func(ctx context.Context, n Event) error
}

// OwnCode is the name of the subscriber that is the merchant's own Go code. A function
// that cannot know whether others have such code enqueues events for it; one that
// delivers, and has none, drops them.
const OwnCode = "go"

// An outboxEntry is one event that some subscribers have not acknowledged yet.
type outboxEntry struct {
	ID     string    `json:"id" ledger:"key"`
	At     time.Time `json:"at"`
	Refund Refund    `json:"refund"` // what is sent of it
	// Of an event about an application: what is sent of that, and Refund is empty.
	Application *Application `json:"application,omitempty"`
	Deliveries  []delivery   `json:"owed"`
}

// An outbox holds the events of one item that subscribers have not acknowledged yet, oldest first.
type outbox struct {
	Outbox []outboxEntry `json:"notices,omitempty"`
}

// A delivery is one event on its way to one subscriber.
type delivery struct {
	To        string    `json:"to" ledger:"key"`
	Attempts  int       `json:"tries,omitempty"` // each attempt has its own number, so that an overtaken one can be told
	Next      time.Time `json:"next,omitzero"`   // not before
	Lease     time.Time `json:"lease,omitzero"`  // an attempt is under way until then
	GivenUp   bool      `json:"lost,omitempty"`  // a person was alarmed
	LastError string    `json:"why,omitempty"`

	// What a person has put back: since when it is attempted anew, and how often it had been
	// attempted before. Both zero: it never was.
	Again       time.Time `json:"again,omitzero"`
	TriedBefore int       `json:"tried_before,omitempty"`
}

const (
	// deliveryTimeout bounds one attempt in real time: the gateway's relay waits 5 s.
	deliveryTimeout = 4 * time.Second
	// minDeliveryTime is the least time that is worth beginning an attempt in.
	minDeliveryTime = 300 * time.Millisecond
	// giveUpAfter is how long the delivery of an event is attempted before it is given up.
	giveUpAfter = 72 * time.Hour
	// maxOutbox bounds the outbox of one refund or application. Only one that becomes abnormal,
	// or is approved, again and again can come near it.
	maxOutbox = 16
)

// deliveryBackoff is how long to wait after so many failed attempts: seconds at
// first, in the end six hours.
func deliveryBackoff(attempts int) time.Duration {
	waits := []time.Duration{
		5 * time.Second, 15 * time.Second, 30 * time.Second,
		time.Minute, 2 * time.Minute, 5 * time.Minute, 10 * time.Minute, 20 * time.Minute, 30 * time.Minute,
		time.Hour, 2 * time.Hour, 3 * time.Hour,
	}
	if attempts <= len(waits) {
		return waits[max(attempts, 1)-1]
	}
	return 6 * time.Hour
}

// enqueue puts the event of the record's present state into its outbox, if the state
// is one that subscribers are told of and was not the last that they were told of, and
// the refund is no silent one. It returns what a person should look at, "" if nothing.
func (r *record) enqueue(subscribers []string, now time.Time) (alarm string) {
	if !r.State.told() || r.Silent {
		return ""
	}
	// A final state that the upstream has taken back meanwhile is no event the second time.
	if r.State.Final() && r.LastEnqueued == r.Refund.Status {
		return ""
	}
	r.LastEnqueued = r.Refund.Status
	if len(subscribers) == 0 {
		return ""
	}
	return r.put(outboxEntry{ID: eventID(r), At: now, Refund: eventRefund(r.view())}, subscribers)
}

// put puts an event into the outbox for some subscribers. It returns what a person
// should look at, "" if nothing.
func (r *outbox) put(e outboxEntry, subscribers []string) (alarm string) {
	for _, name := range subscribers {
		e.Deliveries = append(e.Deliveries, delivery{To: name})
	}
	r.Outbox = append(r.Outbox, e)
	if len(r.Outbox) > maxOutbox {
		alarm = "so many events wait for subscribers that the oldest is dropped: " + r.Outbox[0].ID
		r.Outbox = slices.Delete(r.Outbox, 0, 1)
	}
	return alarm
}

// pending lists what subscribers have not acknowledged yet, oldest first.
func (r *outbox) pending() (all []PendingDelivery) {
	for _, e := range r.Outbox {
		for _, d := range e.Deliveries {
			all = append(all, PendingDelivery{To: d.To, Since: e.At, Attempts: d.Attempts, Next: d.Next, GivenUp: d.GivenUp, Why: d.LastError})
		}
	}
	return all
}

// event is what subscribers are told of an entry.
func (e *outboxEntry) event(m Merchant) Event {
	if e.Application != nil {
		return Event{ID: e.ID, At: e.At, Merchant: m, Application: e.Application}
	}
	return Event{ID: e.ID, At: e.At, Status: e.Refund.Status, Merchant: m, Refund: e.Refund}
}

// eventRefund is what an event tells of a refund: WeChat Pay's notification has no more.
func eventRefund(r Refund) Refund {
	return Refund{
		RefundID: r.RefundID, OutRefundNo: r.OutRefundNo, TransactionID: r.TransactionID, OutTradeNo: r.OutTradeNo,
		UserReceivedAccount: r.UserReceivedAccount, SuccessTime: r.SuccessTime, Status: r.Status, ReceivedBy: r.ReceivedBy,
		Amount: Amount{
			Total: r.Amount.Total, Refund: r.Amount.Refund, Currency: r.Amount.Currency,
			PayerTotal: r.Amount.PayerTotal, PayerRefund: r.Amount.PayerRefund,
		},
	}
}

// eventID names the event of a record's present state. It is the same whoever makes
// it: nothing but what the ledger commits goes into it. The revision alone would name
// two events after the ledger was restored from an older copy.
func eventID(r *record) string {
	sum := sha256.Sum256(fmt.Appendf(nil, "%s/%d/%s/%s", r.Request.OutRefundNo, r.Revision, r.Refund.Status, r.Refund.RefundID))
	return "refund-" + hex.EncodeToString(sum[:12])
}

// nextDelivery finds what is to be delivered to a subscriber next; nil: nothing. A
// refund's events come in order, so that what is behind an unacknowledged one waits,
// unless that was given up.
func (r *outbox) nextDelivery(to string) (*outboxEntry, *delivery) {
	for i := range r.Outbox {
		e := &r.Outbox[i]
		for j := range e.Deliveries {
			if d := &e.Deliveries[j]; d.To == to && !d.GivenUp {
				return e, d
			}
		}
	}
	return nil, nil
}

// pendingSubscribers lists those to whom something is to be delivered that is not given up.
func (r *outbox) pendingSubscribers() []string {
	var names []string
	for _, e := range r.Outbox {
		for _, d := range e.Deliveries {
			if !d.GivenUp && !slices.Contains(names, d.To) {
				names = append(names, d.To)
			}
		}
	}
	return names
}

// due says from when on the delivery may be attempted.
func (d *delivery) due(now time.Time) time.Time {
	// A lease that ends later than any can is one of a clock that has stepped back
	// since: it counts for nothing.
	if d.Lease.After(d.Next) && d.Lease.Sub(now) <= lease+clockSkew {
		return d.Lease
	}
	if d.implausiblyLate(now) {
		return time.Time{}
	}
	return d.Next
}

// implausiblyLate reports whether the delivery is due later than any backoff allows: a
// wrong clock has set that.
func (d *delivery) implausiblyLate(now time.Time) bool {
	return d.Next.Sub(now) > d.backoff()+clockSkew
}

// backoff is how long to wait after the delivery's last attempt, if that has failed.
func (d *delivery) backoff() time.Duration { return deliveryBackoff(d.Attempts - d.TriedBefore) }

// fail notes a failed attempt: the delivery is due again later, or given up.
func (d *delivery) fail(e *outboxEntry, cause error, now time.Time) {
	d.Lease, d.LastError = time.Time{}, excerpt(cause)
	d.Next = now.Add(d.backoff())
	if d.Next.After(e.giveUpAt(d)) {
		d.GivenUp, d.Next = true, time.Time{}
	}
}

// giveUpAt is when the delivery of an event is given up.
func (e *outboxEntry) giveUpAt(d *delivery) time.Time {
	begun := e.At
	if d.Again.After(begun) {
		begun = d.Again
	}
	return begun.Add(giveUpAfter)
}

// nextDeliveryAt says when the next delivery is due; false: none is pending.
func (r *outbox) nextDeliveryAt(now time.Time) (at time.Time, ok bool) {
	for _, name := range r.pendingSubscribers() {
		_, d := r.nextDelivery(name)
		if due := d.due(now); !ok || due.Before(at) {
			at, ok = due, true
		}
	}
	return at, ok
}

// dueSubscribers lists those to whom something is to be delivered now, but for whom
// this run has found too slow.
func (r *outbox) dueSubscribers(now time.Time, slow *slowSubscribers) []string {
	return slices.DeleteFunc(r.pendingSubscribers(), func(name string) bool {
		_, d := r.nextDelivery(name)
		return d.due(now).After(now) || slow.skip(name)
	})
}

// markDelivered takes an acknowledged delivery out of the outbox.
func (r *outbox) markDelivered(id, to string) {
	r.removeDeliveries(func(e outboxEntry, d delivery) bool { return e.ID == id && d.To == to })
}

// dropDeliveries takes whatever is pending for a subscriber out of the outbox.
func (r *outbox) dropDeliveries(to string) {
	r.removeDeliveries(func(_ outboxEntry, d delivery) bool { return d.To == to })
}

func (r *outbox) removeDeliveries(which func(outboxEntry, delivery) bool) {
	for i, e := range r.Outbox {
		r.Outbox[i].Deliveries = slices.DeleteFunc(e.Deliveries, func(d delivery) bool { return which(e, d) })
	}
	r.Outbox = slices.DeleteFunc(r.Outbox, func(e outboxEntry) bool { return len(e.Deliveries) == 0 })
}
