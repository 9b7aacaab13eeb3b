package refund

import (
	"cmp"
	"context"
	"slices"
	"time"
)

// This file decides on which order a refund counts. An order has two numbers,
// transaction_id and out_trade_no. Callers give one or both, upstreams report one or
// both, and only a report of both proves that they are one order's.

// resolve follows an order number's key to that of the order's account.
func (tx *txn) resolve(k Key) Key {
	for range len(tx.accounts) { // a bound, should items ever point in a circle
		a := tx.accounts[k]
		if a == nil || a.SameAs == "" {
			break
		}
		k = a.SameAs
	}
	return k
}

// account returns the account in which the refund counts; nil if nobody has named its order.
func (tx *txn) account() *orderAccount { return tx.accounts[tx.resolve(tx.rec.Order)] }

// secondAccount returns the account in which the refund counts by its caller's second
// order number; nil if there is none, or if it has turned out to be the same.
func (tx *txn) secondAccount() *orderAccount {
	if k := tx.resolve(tx.rec.SecondOrder); k != "" && k != tx.resolve(tx.rec.Order) {
		return tx.accounts[k]
	}
	return nil
}

// ownAccounts are the accounts in which the refund counts: one, or two while nobody
// but the caller says that both numbers are one order's.
func (tx *txn) ownAccounts() (accounts []*orderAccount) {
	for _, a := range []*orderAccount{tx.account(), tx.secondAccount()} {
		if a != nil {
			accounts = append(accounts, a)
		}
	}
	return accounts
}

// externalRefunds counts the refunds of the order that were not made here.
func (tx *txn) externalRefunds() (n int) {
	for _, a := range tx.ownAccounts() {
		n += a.external()
	}
	return n
}

// exists reports whether an order item stands in the ledger or will by this commit.
func (tx *txn) exists(k Key) bool {
	a := tx.accounts[k]
	return tx.items[k].Version > 0 || a.TransactionID != "" || a.OutTradeNo != "" || a.SameAs != ""
}

// chooseOrder chooses the accounts in which a new refund counts: one for each
// order number that the caller gives, since only the upstream can say that both are one
// order's. WeChat's own number comes first. It returns why they cannot be one order's
// by what the upstream has said before; nil if they can.
func (tx *txn) chooseOrder(transactionID, outTradeNo string) *Error {
	keys := orderKeys(transactionID, outTradeNo)
	for _, k := range keys {
		a := tx.accounts[tx.resolve(k)]
		switch {
		case differ(a.TransactionID, transactionID):
			return twoOrders("out_trade_no", "transaction_id", a.TransactionID)
		case differ(a.OutTradeNo, outTradeNo):
			return twoOrders("transaction_id", "out_trade_no", a.OutTradeNo)
		}
	}
	tx.rec.Order, tx.rec.SecondOrder = tx.resolve(keys[0]), ""
	if second := tx.resolve(keys[len(keys)-1]); second != tx.rec.Order {
		tx.rec.SecondOrder = second
	}
	for _, k := range keys {
		switch {
		case tx.exists(tx.resolve(k)):
		case k == transactionKey(transactionID):
			tx.accounts[k].TransactionID = transactionID
		default:
			tx.accounts[k].OutTradeNo = outTradeNo
		}
	}
	return nil
}

func twoOrders(one, other, known string) *Error {
	return conflictf("transaction_id and out_trade_no name two orders: the %s of this %s is %s", other, one, known)
}

// reserve makes the refund reserve that much of its order, and count there or not.
func (tx *txn) reserve(minor int64, counted bool) {
	m := orderEntry{No: tx.no, At: tx.rec.ClaimedAt, Held: minor, External: tx.rec.external(), By: tx.rec.ClaimedBy}
	if tx.rec.State == Claimed {
		m.Total = tx.rec.Request.Amount.Total
	}
	account, second := tx.account(), tx.secondAccount()
	switch {
	case counted:
		if account != nil {
			account.put(m, minor-tx.rec.Held)
		}
		if second != nil {
			place(&second.Provisional, m)
		}
	case tx.rec.Counted:
		if account != nil {
			account.remove(tx.no, tx.rec.Held)
		}
		if second != nil {
			second.Provisional = without(second.Provisional, tx.no)
		}
	}
	tx.rec.Held, tx.rec.Counted = minor, counted
}

// reassign makes the refund count in other accounts than before.
func (tx *txn) reassign(order, second Key) {
	if tx.rec.Order == order && tx.rec.SecondOrder == second {
		return
	}
	held, counted := tx.rec.Held, tx.rec.Counted
	tx.reserve(0, false)
	tx.rec.Order, tx.rec.SecondOrder = order, second
	if counted {
		tx.reserve(held, true)
	}
}

// assignOrder makes the refund count on the order that the upstream names, and on no
// other. Two numbers are one order's only if one answer has both. It returns what
// contradicts the ledger, "" if nothing.
func (tx *txn) assignOrder(transactionID, outTradeNo string) string {
	named := orderKeys(transactionID, outTradeNo)
	if len(named) == 0 {
		return ""
	}
	home := tx.account()
	if home == nil || home.isAnother(transactionID, outTradeNo) {
		// Not the order that was claimed: it is the one that is reported, under the number that leads to it.
		order := named[0]
		for _, k := range named {
			if r := tx.resolve(k); tx.exists(r) && !tx.accounts[r].isAnother(transactionID, outTradeNo) {
				order = k
				break
			}
		}
		tx.reassign(tx.resolve(order), "")
	}
	if len(named) == 1 {
		tx.assignOrderByOneNumber(named[0], transactionID, outTradeNo)
		return ""
	}
	why := tx.joinOrderNumbers(transactionID, outTradeNo)
	tx.reassign(tx.rec.Order, "") // whatever second number the caller has given
	return why
}

// assignOrderByOneNumber makes the refund count on the order of the one number that
// the upstream reports. A second number that the caller has given, or that the account
// has, is not confirmed by that.
func (tx *txn) assignOrderByOneNumber(number Key, transactionID, outTradeNo string) {
	named, order := tx.resolve(number), tx.resolve(tx.rec.Order)
	if !tx.exists(named) { // a number that nobody here has used
		a := tx.accounts[named]
		a.TransactionID, a.OutTradeNo = transactionID, outTradeNo
	}
	if named != order {
		tx.reassign(named, order)
	}
}

// joinOrderNumbers learns from the upstream that both numbers are those of the refund's order, and
// merges their accounts. It returns what contradicts that, "" if nothing.
func (tx *txn) joinOrderNumbers(transactionID, outTradeNo string) string {
	home := tx.resolve(tx.rec.Order)
	a := tx.accounts[home]
	for _, n := range []struct {
		field, reported string
		known           *string
	}{
		{"transaction_id", transactionID, &a.TransactionID},
		{"out_trade_no", outTradeNo, &a.OutTradeNo},
	} {
		if *n.known = cmp.Or(*n.known, n.reported); *n.known != n.reported {
			return n.field + " names another order in the ledger"
		}
	}
	alias := a.Alias
	for _, k := range orderKeys(transactionID, outTradeNo) {
		other := tx.resolve(k)
		if k != home {
			alias = k
		}
		if other == home {
			continue
		}
		if tx.exists(other) {
			if tx.accounts[other].isAnother(a.TransactionID, a.OutTradeNo) {
				return "the ledger knows " + string(k) + " as another order"
			}
			a.absorb(*tx.accounts[other])
		}
		tx.accounts[other] = &orderAccount{SameAs: home}
	}
	a.Alias = alias
	return ""
}

// indexRefundID makes the refund findable by its refund_id. It returns what
// contradicts that, "" if nothing.
func (tx *txn) indexRefundID(refundID string) string {
	k := refundIDKey(refundID)
	switch {
	case len(k) > MaxKey:
		return "refund_id is too long to be found by"
	case tx.ids[k] != "" && tx.ids[k] != tx.no:
		return "refund_id belongs to another refund number in the ledger"
	}
	tx.ids[k] = tx.no
	return ""
}

// updateOrder brings the refund's order account in line with what the upstream reported.
func (tx *txn) updateOrder(reported Refund, now time.Time) {
	exceeded := tx.exceeded()
	tx.alarm(alarmTwoOrders, tx.assignOrder(reported.TransactionID, reported.OutTradeNo), now)
	if reported.RefundID != "" {
		tx.alarm(alarmTwoOrders, tx.indexRefundID(reported.RefundID), now)
	}
	if a := tx.account(); a != nil {
		tx.confirm(a, reported, now)
	}
	if tx.rec.reserves() {
		tx.reserve(tx.rec.expected().Amount.Refund, true)
	} else {
		tx.reserve(0, true) // closed: the money is free again, the count is not
	}
	if tx.exceeded() && !exceeded {
		tx.alarm(alarmExcess, "the order's refunds exceed its total", now)
	}
}

// exceeded reports whether more of the order is reserved than it had.
func (tx *txn) exceeded() bool {
	a := tx.account()
	return a != nil && a.exceeded()
}

// confirm takes the order's total and currency over, as the upstream reports them.
// What it has accepted from us it has compared with the order, so that it confirms
// what the claim named.
func (tx *txn) confirm(a *orderAccount, reported Refund, now time.Time) {
	total, currency := reported.Amount.Total, reported.Amount.Currency
	if !tx.rec.external() {
		if !a.Confirmed && total == 0 {
			total = tx.rec.Request.Amount.Total
		}
		if (!a.Confirmed || a.Currency == "") && currency == "" {
			currency = tx.rec.Request.Amount.Currency
		}
	}
	if a.Confirmed && total > 0 && total != a.Total {
		tx.alarm(alarmDiffers, "the upstream tells another total of the order than before", now)
	}
	if a.Confirmed && currency != "" && a.Currency != "" && currency != a.Currency {
		tx.alarm(alarmDiffers, "the upstream tells another currency of the order than before", now)
	}
	a.confirm(total, currency)
}

// dropMisplaced takes out of the order's account what counts there under its caller's
// second order number and belongs to another order, as has turned out since. A program
// of the version before leaves it there. It reports whether there was any.
func (s *Service) dropMisplaced(ctx context.Context, tx *txn) (dropped bool, err error) {
	for _, home := range slices.Compact([]Key{tx.resolve(tx.rec.Order), tx.resolve(tx.rec.SecondOrder)}) {
		if tx.accounts[home] == nil {
			continue
		}
		for _, m := range tx.accounts[home].Provisional {
			err := s.update(ctx, m.No, []Key{home}, func(other *txn, _ time.Time) error {
				if !other.misplaced(home) {
					return errUnchanged
				}
				a := other.accounts[other.resolve(home)]
				a.Provisional = without(a.Provisional, m.No)
				other.rec.SecondOrder = ""
				other.keepQueryAt, dropped = true, true
				return nil
			})
			if err != nil {
				return false, err
			}
		}
	}
	return dropped, nil
}

// misplaced reports whether a provisional entry of the refund in that account is to go:
// the refund is not counted there any more, or the upstream has named both numbers of
// its order, and this account is another one.
func (tx *txn) misplaced(in Key) bool {
	if tx.rec.State == unknown || !tx.rec.Counted || tx.secondAccount() != tx.accounts[tx.resolve(in)] {
		return true
	}
	home := tx.account()
	return tx.rec.State != Claimed && home != nil && home.TransactionID != "" && home.OutTradeNo != ""
}
