package refund

import (
	"fmt"
	"slices"
	"time"
)

// An orderAccount is what the ledger holds of one order: how much of it is
// reserved, and by which refunds. Every claim reserves here in the same commit, so
// that of two refunds that together exceed the order one loses.
type orderAccount struct {
	// SameAs is set when this item only leads from the order's second number to its account.
	SameAs Key `json:"same_as,omitempty"`
	// Alias is the item that leads here from the order's second number, once the upstream
	// has named both: that it does need not be read then.
	Alias Key `json:"alias,omitempty"`

	TransactionID string       `json:"transaction_id,omitempty"`
	OutTradeNo    string       `json:"out_trade_no,omitempty"`
	Currency      string       `json:"currency,omitempty"`
	Total         int64        `json:"total,omitempty"`     // minor units; counts only if Confirmed
	Confirmed     bool         `json:"confirmed,omitempty"` // whether the upstream has reported the total, or has accepted a refund that named it
	Reserved      int64        `json:"reserved,omitempty"`  // minor units
	Entries       []orderEntry `json:"members,omitempty"`   // refunds that count, oldest first

	// Provisional are refunds that count in another account and name this order by
	// their caller's second order number. They count here too until the upstream says
	// whose they are.
	Provisional []orderEntry `json:"claims,omitempty"`

	Paid *orderFacts `json:"paid,omitempty"` // what the upstream has told when it was asked about the order
	Auto int64       `json:"auto,omitempty"` // minor units that buyers were allowed without a decision

	// The last submission, where submissions for one order are to be apart.
	SubmittedAt time.Time `json:"sent,omitzero"`
	SubmittedNo string    `json:"sent_no,omitempty"`
}

// An orderEntry is one refund of an order.
type orderEntry struct {
	No       string    `json:"no" ledger:"key"`
	At       time.Time `json:"at"`
	Held     int64     `json:"held,omitempty"`    // minor units that it reserves
	External bool      `json:"foreign,omitempty"` // not made here: on the merchant platform, or by another system
	Total    int64     `json:"total,omitempty"`   // that its claim names for the order, while nobody has answered it
	By       string    `json:"by,omitempty"`      // whose refund it is: see [claimant]
}

func transactionKey(id string) Key { return Key("order/transaction_id/" + id) }
func tradeKey(no string) Key       { return Key("order/out_trade_no/" + no) }

// orderKeys are the keys under which an order's account may stand. WeChat's
// own number comes first: it wins where both are given.
func orderKeys(transactionID, outTradeNo string) []Key {
	var keys []Key
	if transactionID != "" {
		keys = append(keys, transactionKey(transactionID))
	}
	if outTradeNo != "" {
		keys = append(keys, tradeKey(outTradeNo))
	}
	return keys
}

// left is what is left of an order of that total.
func (a *orderAccount) left(total int64) int64 {
	left := total - a.Reserved
	for _, m := range a.Provisional {
		left -= m.Held
	}
	return max(0, left)
}

// checkCapacity reports why the order cannot take another refund of that amount;
// nil if it can. This is the rule that keeps refunds within the order's total. A total
// or a currency that only callers have named binds nobody: what their claims
// reserve counts against whatever the next one names.
func (a *orderAccount) checkCapacity(amount RequestAmount, most int) *Error {
	left := a.left(amount.Total)
	switch {
	case a.Confirmed && a.Currency != "" && a.Currency != amount.Currency:
		return conflictf("amount.currency must be %s, the currency of the order", a.Currency)
	case a.Confirmed && a.Total != amount.Total:
		return conflictf("amount.total differs from the order's total, which is %d", a.Total)
	case len(a.Entries)+len(a.Provisional) >= most:
		return conflictf("the order has had %d refunds, and no order may have more", most)
	case amount.Refund > left:
		e := conflictf("amount.refund is more than what is left of the order: %d of %d", left, amount.Total)
		if amount.Refund <= left+a.inDoubt() {
			e.Next, e.Message = Later, e.Message+", while other refunds of it are in doubt"
		}
		return e
	}
	return nil
}

// checkPace reports why it is too early for a submission under that number; nil if it
// is not. Refunds of one order are to be apart, so that the last one may be repeated
// at once. A last submission that lies ahead was written by a wrong clock and
// counts for nothing.
func (a *orderAccount) checkPace(no string, pace time.Duration, now time.Time) *Error {
	if wait := a.SubmittedAt.Add(pace).Sub(now); a.SubmittedNo != no && wait > 0 && wait <= pace {
		return limited(fmt.Sprintf("refunds of one order must be %v seconds apart", pace.Seconds()), wait.Microseconds())
	}
	return nil
}

// put makes a refund count, reserving that much more, whether or not the order has
// room: the upstream's word stands above our limits.
func (a *orderAccount) put(m orderEntry, more int64) {
	a.Reserved += more
	place(&a.Entries, m)
	a.sort()
}

// place puts a refund into a list in which it stands once.
func place(list *[]orderEntry, m orderEntry) {
	i := slices.IndexFunc(*list, func(n orderEntry) bool { return n.No == m.No })
	if i < 0 {
		*list = append(*list, m)
		return
	}
	(*list)[i] = m
}

// remove takes a refund out as if it had never been, with what it reserves.
func (a *orderAccount) remove(no string, held int64) {
	a.Reserved -= held
	a.Entries = without(a.Entries, no)
}

func without(list []orderEntry, no string) []orderEntry {
	return slices.DeleteFunc(list, func(m orderEntry) bool { return m.No == no })
}

// all lists the refunds that count, provisionally too, oldest first.
func (a *orderAccount) all() []orderEntry {
	all := slices.Concat(a.Entries, a.Provisional)
	slices.SortStableFunc(all, func(x, y orderEntry) int { return x.At.Compare(y.At) })
	return all
}

// external counts the refunds of the order that were not made here, closed ones too:
// what matters is whether there is one more than before.
func (a *orderAccount) external() (n int) {
	for _, m := range a.Entries {
		if m.External {
			n++
		}
	}
	return n
}

func (a *orderAccount) sort() {
	slices.SortStableFunc(a.Entries, func(x, y orderEntry) int { return x.At.Compare(y.At) })
}

// inDoubt is what refunds reserve that nobody has answered yet.
func (a *orderAccount) inDoubt() (sum int64) {
	for _, m := range a.all() {
		if m.Total != 0 {
			sum += m.Held
		}
	}
	return sum
}

// exceeded reports whether more is reserved than the order's total. A claim in doubt
// that names another total does not count: the upstream will refuse it.
func (a *orderAccount) exceeded() bool {
	sum := a.Reserved
	for _, m := range a.Entries {
		if m.Total != 0 && m.Total != a.Total {
			sum -= m.Held
		}
	}
	return a.Confirmed && sum > a.Total
}

// isAnother reports whether one of the numbers is known to be another order's.
func (a *orderAccount) isAnother(transactionID, outTradeNo string) bool {
	return differ(a.TransactionID, transactionID) || differ(a.OutTradeNo, outTradeNo)
}

func differ(x, y string) bool { return x != "" && y != "" && x != y }

// confirm takes over what the upstream reports of the order's total and currency.
func (a *orderAccount) confirm(total int64, currency string) {
	if total > 0 {
		a.Total, a.Confirmed = total, true
	}
	if currency != "" {
		a.Currency = currency
	}
}

// absorb adds another account of the same order to this one. A refund that counted
// provisionally in the one, and by itself in the other, counts once.
func (a *orderAccount) absorb(b orderAccount) {
	a.Reserved += b.Reserved
	for _, m := range b.Entries {
		place(&a.Entries, m)
	}
	a.sort()
	for _, m := range b.Provisional {
		place(&a.Provisional, m)
	}
	a.Provisional = slices.DeleteFunc(a.Provisional, func(m orderEntry) bool {
		return slices.ContainsFunc(a.Entries, func(n orderEntry) bool { return n.No == m.No })
	})
	if b.Confirmed && !a.Confirmed {
		a.Total, a.Confirmed, a.Currency = b.Total, true, b.Currency
	}
	if a.Paid == nil {
		a.Paid = b.Paid
	}
	a.Auto += b.Auto
	if b.SubmittedAt.After(a.SubmittedAt) {
		a.SubmittedAt, a.SubmittedNo = b.SubmittedAt, b.SubmittedNo
	}
}
