package refund

import (
	"fmt"
	"slices"
	"time"
)

// An account is what the ledger holds of one order: how much of it is spoken
// for. Every claim reserves here in the same commit, so that of two refunds
// that together exceed the order one loses.
type account struct {
	// SameAs is set when this item is only a second name of another account.
	SameAs Key `json:"same_as,omitempty"`

	TransactionID string   `json:"transaction_id,omitempty"`
	OutTradeNo    string   `json:"out_trade_no,omitempty"`
	Currency      string   `json:"currency,omitempty"`
	Total         int64    `json:"total,omitempty"`     // minor units; 0: not known
	Confirmed     bool     `json:"confirmed,omitempty"` // whether the upstream told the total, or only a caller
	Reserved      int64    `json:"reserved,omitempty"`  // minor units
	Members       []member `json:"members,omitempty"`   // refunds that count, oldest first

	Sent time.Time `json:"sent,omitzero"` // the last submission, where the channel asks for a pace
}

// A member is one refund of an order.
type member struct {
	No string    `json:"no"`
	At time.Time `json:"at"`
}

func transactionKey(id string) Key { return Key("order/transaction_id/" + id) }
func tradeKey(no string) Key       { return Key("order/out_trade_no/" + no) }

// orderKeys are the names under which an order's account may stand. WeChat's
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

// admits reports why the order cannot take another refund of that amount; nil
// if it can. This is the rule that keeps refunds within the order's total.
func (a *account) admits(amount RequestAmount, most int) *Error {
	switch {
	case a.Currency != "" && a.Currency != amount.Currency:
		return conflictf("amount.currency must be %s, the currency of the order's other refunds", a.Currency)
	case a.Total != 0 && a.Total != amount.Total:
		return conflictf("amount.total differs from the order's total that is recorded")
	case len(a.Members) >= most:
		return conflictf("the order has had %d refunds, and no order may have more", most)
	case amount.Refund > amount.Total-a.Reserved:
		return conflictf("amount.refund is more than what is left of the order")
	}
	return nil
}

// paced reports why it is too early for another submission; nil if it is not.
func (a *account) paced(pace time.Duration, now time.Time) *Error {
	if wait := a.Sent.Add(pace).Sub(now); pace > 0 && wait > 0 {
		return limited(fmt.Sprintf("refunds of one order must be %v apart", pace), wait.Microseconds())
	}
	return nil
}

// add makes a refund count and reserves its amount, whether or not the order
// has room: the upstream's word stands above our limits.
func (a *account) add(no string, minor int64, at time.Time) {
	if !slices.ContainsFunc(a.Members, func(m member) bool { return m.No == no }) {
		a.Members = append(a.Members, member{no, at})
		a.sort()
	}
	a.Reserved += minor
}

// remove takes a refund out as if it had never been. A total that only callers
// named goes with the last of them.
func (a *account) remove(no string) {
	a.Members = slices.DeleteFunc(a.Members, func(m member) bool { return m.No == no })
	if len(a.Members) == 0 && !a.Confirmed {
		a.Total, a.Currency = 0, ""
	}
}

func (a *account) sort() {
	slices.SortStableFunc(a.Members, func(x, y member) int { return x.At.Compare(y.At) })
}

// excess reports whether more is reserved than the order's total.
func (a *account) excess() bool { return a.Total != 0 && a.Reserved > a.Total }

// absorb adds another account of the same order to this one.
func (a *account) absorb(b account) {
	a.Reserved += b.Reserved
	for _, m := range b.Members {
		if !slices.ContainsFunc(a.Members, func(n member) bool { return n.No == m.No }) {
			a.Members = append(a.Members, m)
		}
	}
	a.sort()
	if a.Total == 0 || b.Confirmed && !a.Confirmed {
		a.Total, a.Confirmed = b.Total, b.Confirmed
	}
	if a.Currency == "" {
		a.Currency = b.Currency
	}
}
