package refund

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"
)

// Books are items of the ledger as far as they were read, to be held against what must
// be true of them. A check that needs an item which was not read goes on as if there were
// none, and that is noted: it counts for nothing then, and is made again with that item.
type books struct {
	now   time.Time
	most  int  // refunds that one order may have
	whole bool // what is not among the items does not exist

	items    map[Key]Item
	records  map[Key]*record       // that were decoded; nil: cannot be
	accounts map[Key]*orderAccount // likewise

	lacks                     map[Key]bool
	findings                  []Finding
	refunds, orders, unlisted int64
}

func (b *books) get(k Key) Item {
	it, ok := b.items[k]
	if !ok && !b.whole {
		if b.lacks == nil {
			b.lacks = map[Key]bool{}
		}
		b.lacks[k] = true
	}
	return it
}

// record returns a refund; nil if there is none, or none that can be read.
func (b *books) record(k Key) *record {
	it := b.get(k)
	if it.Version == 0 {
		return nil
	}
	r, ok := b.records[k]
	if !ok {
		if r = new(record); decode(it, r) != nil {
			r = nil
		}
		b.records[k] = r
	}
	return r
}

// account returns what stands under an order's number; nil as for record.
func (b *books) account(k Key) *orderAccount {
	it := b.get(k)
	if it.Version == 0 {
		return nil
	}
	a, ok := b.accounts[k]
	if !ok {
		if a = new(orderAccount); decode(it, a) != nil {
			a = nil
		}
		b.accounts[k] = a
	}
	return a
}

// home follows an order's number to its account; nil if it leads to none, circle if it
// never ends.
func (b *books) home(k Key) (home Key, a *orderAccount, circle bool) {
	if k == "" {
		return "", nil, false
	}
	for range maxNames {
		if a = b.account(k); a == nil || a.SameAs == "" {
			return k, a, false
		}
		k = a.SameAs
	}
	return k, nil, true
}

// maxNames is how many numbers may lead to each other one after the other. An order has
// two; each merge of two accounts may add a step.
const maxNames = 8

// check holds one item against what must be true of it, whatever kind it is.
func (b *books) check(k Key) {
	it := b.get(k)
	if it.Version == 0 {
		return
	}
	kind, name, _ := strings.Cut(string(k), "/")
	switch kind {
	case "refund":
		b.checkRefund(it, name)
	case "refund_id":
		b.checkRefundID(it, name)
	case "order":
		b.checkOrder(it)
	case "alarm":
		var a alarmItem
		if decode(it, &a) != nil {
			b.found(foundUnreadable, Finding{Item: k}, "an alarm cannot be read")
		} else if want := a.item(it.Version); want.Class != it.Class || want.At.UnixMilli() != it.At.UnixMilli() {
			b.found(foundClass, Finding{Item: k}, "the alarm %s is listed as %q, and is %q", a.Code, it.Class, want.Class)
		}
	case "application":
		b.checkApplication(it, name)
	case "bill":
		b.checkBill(it, name)
	case "ledger", "limit", "alert", "reconcile", "rebuild", "applied", "payer", checkKind:
		var body map[string]json.RawMessage
		if decode(it, &body) != nil {
			b.found(foundUnreadable, Finding{Item: k}, "an item that this program keeps for itself cannot be read")
		}
	default:
		b.found(foundUnknown, Finding{Item: k}, "this version knows no such item: a later one, or another program, has written it")
	}
}

func (b *books) found(code string, about Finding, format string, args ...any) {
	about.Code, about.Says = code, fmt.Sprintf(format, args...)
	b.findings = append(b.findings, about)
}

func (b *books) checkRefund(it Item, no string) {
	r := b.record(it.Key)
	about := Finding{Item: it.Key, OutRefundNo: no}
	wrong := func(code, format string, args ...any) { b.found(code, about, format, args...) }
	if r != nil && r.onlyReserved() {
		b.checkReserved(it, r, no, wrong)
		return
	}
	b.refunds++
	if r == nil {
		wrong(foundUnreadable, "the refund cannot be read")
		return
	}
	if r.Request.OutRefundNo != no {
		wrong(foundNumber, "the refund that stands here is %s", r.Request.OutRefundNo)
	}
	if why := r.incoherent(); why != "" {
		wrong(foundState, "%s", why)
	}
	if want := r.shouldHold(); r.Held != want {
		wrong(foundHeld, "it is %s, and reserves %d instead of %d", r.stands(), r.Held, want)
	}
	b.checkCounted(r, no, wrong)
	if id := r.Refund.RefundID; id != "" && !r.hasCause(alarmTwoOrders) {
		if to, ok := b.refundNo(refundIDKey(id)); !ok || to != no {
			wrong(foundName, "its refund_id %s does not lead to it: %s", id, leads(to))
		}
	}
	b.checkDue(it, r, wrong)
	switch {
	case it.Class == "":
		b.unlisted++
	case it.Class != r.class() || it.At.UnixMilli() != r.ClaimedAt.UnixMilli():
		wrong(foundClass, "it is listed as %s at %s, and is %s of %s", it.Class, it.At.Format(time.RFC3339), r.class(), r.ClaimedAt.Format(time.RFC3339))
	}
	if n := len(r.History); n == 0 || n > maxHistory {
		wrong(foundHistory, "its history has %d entries, and none has fewer than 1 or more than %d", n, maxHistory)
	}
	if n := len(r.Outbox); n > maxOutbox || slices.ContainsFunc(r.Outbox, func(e outboxEntry) bool { return len(e.Deliveries) == 0 }) {
		wrong(foundOutbox, "its outbox has %d events, of %d at most, each for somebody", n, maxOutbox)
	}
}

// checkCounted checks that the refund stands where it counts. What stands there, the
// account's own check compares.
func (b *books) checkCounted(r *record, no string, wrong func(code, format string, args ...any)) {
	if !r.Counted || r.Order == "" { // an upstream may name no order for a number that is taken
		return
	}
	home, a, _ := b.home(r.Order)
	if a == nil || !has(a.Entries, no) {
		wrong(foundCount, "it does not stand in the account of its order, %s", r.Order)
		return
	}
	if second, p, _ := b.home(r.SecondOrder); p != nil && second != home && !has(p.Provisional, no) {
		wrong(foundCount, "it does not stand in the account of its second order number, %s", r.SecondOrder)
	}
	e := r.expected()
	leads := slices.ContainsFunc(orderKeys(e.TransactionID, e.OutTradeNo), func(k Key) bool {
		to, _, _ := b.home(k)
		return to == home
	})
	if !leads && !r.hasCause(alarmTwoOrders) {
		wrong(foundName, "neither of its order's numbers leads to the account in which it counts, %s", home)
	}
}

func (b *books) checkDue(it Item, r *record, wrong func(code, format string, args ...any)) {
	switch {
	case it.Due.IsZero() && !r.atRest():
		wrong(foundDue, "it is %s, and is never due: the reconciler does not look at it", r.stands())
	case it.Due.IsZero() && len(r.pendingSubscribers()) > 0:
		wrong(foundDue, "events wait for subscribers, and it is never due")
	case r.implausiblyLate(b.now) || it.Due.After(b.now.Add(lateDue)):
		wrong(foundLate, "it is due at %s, later than any rule sets: some instance's clock runs ahead", it.Due.Format(time.RFC3339))
	}
}

// lateDue is later than any rule has a refund looked at again: deliveries wait six hours
// at most, queries three.
const lateDue = 24 * time.Hour

// incoherent says in which way the record contradicts itself; "": in none.
func (r *record) incoherent() string {
	switch {
	case !slices.Contains(allStates(), r.State):
		return fmt.Sprintf("there is no state %q", r.State)
	case r.State != Claimed && len(r.Open) > 0:
		return fmt.Sprintf("it is %s, and submissions are in doubt: %v", r.State, r.Open)
	case r.External && r.Submission > 0:
		return "it was not made here, and was submitted here"
	case r.State == Rejected && r.Refusal == nil:
		return "it is rejected, and nobody has said why"
	case r.State != Rejected && (r.NumberTaken || r.Released):
		return fmt.Sprintf("it is %s, and only what is rejected can be released or have lost its number", r.State)
	case r.Counted != r.shouldCount():
		return fmt.Sprintf("it is %s, and whether it counts is said to be %t", r.stands(), r.Counted)
	}
	return ""
}

// stands is the record's state for a sentence.
func (r *record) stands() string {
	if r.NumberTaken {
		return "rejected, and its number another refund's that is " + string(r.Refund.Status)
	}
	return string(r.State)
}

// shouldHold is what the refund under the number reserves.
func (r *record) shouldHold() int64 {
	if r.reserves() {
		return r.expected().Amount.Refund
	}
	return 0
}

// shouldCount reports whether the refund under the number is one of its order's.
func (r *record) shouldCount() bool { return r.NumberTaken || r.State != Rejected }

func (r *record) hasCause(code string) bool {
	return slices.ContainsFunc(r.Causes, func(c Cause) bool { return c.Code == code })
}

func has(list []orderEntry, no string) bool {
	return slices.ContainsFunc(list, func(e orderEntry) bool { return e.No == no })
}

// refundNo is where a refund_id leads; false if nowhere.
func (b *books) refundNo(k Key) (no string, ok bool) {
	it := b.get(k)
	return no, it.Version > 0 && decode(it, &no) == nil
}

func leads(to string) string {
	if to == "" {
		return "it leads nowhere"
	}
	return "it leads to " + to
}

func (b *books) checkRefundID(it Item, id string) {
	no, ok := b.refundNo(it.Key)
	about := Finding{Item: it.Key, OutRefundNo: no}
	if !ok {
		b.found(foundUnreadable, about, "the refund number of refund_id %s cannot be read", id)
		return
	}
	r := b.record(refundKey(no))
	switch {
	case r == nil && b.get(refundKey(no)).Version == 0, r != nil && r.onlyReserved():
		b.found(foundName, about, "refund_id %s leads to %s, which is not on record", id, no)
	case r != nil && r.Refund.RefundID != "" && r.Refund.RefundID != id:
		b.found(foundName, about, "refund_id %s leads to %s, which has another one, %s", id, no, r.Refund.RefundID)
	}
}
