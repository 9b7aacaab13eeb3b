package refund

import (
	"cmp"
	"strings"
)

// checkOrder checks what stands under one of an order's numbers: an account, or where it is.
func (b *books) checkOrder(it Item) {
	a := b.account(it.Key)
	field, number, _ := strings.Cut(strings.TrimPrefix(string(it.Key), "order/"), "/")
	about := Finding{Item: it.Key, Order: number}
	wrong := func(code, format string, args ...any) { b.found(code, about, format, args...) }
	if a == nil {
		wrong(foundUnreadable, "the order's account cannot be read")
		return
	}
	if field != "transaction_id" && field != "out_trade_no" {
		wrong(foundUnknown, "an order has no %s", field)
		return
	}
	if !it.Due.IsZero() || it.Class != "" {
		wrong(foundClass, "an order is never due, and is listed nowhere")
	}
	if a.SameAs != "" {
		home, to, circle := b.home(it.Key)
		switch {
		case circle:
			wrong(foundCircle, "%s leads to numbers that lead to each other", number)
		case to == nil:
			wrong(foundName, "%s leads to %s, where nothing stands", number, home)
		case cmp.Or(a.Reserved, int64(len(a.Entries)+len(a.Provisional))) != 0:
			wrong(foundSum, "%s leads to %s, and counts refunds by itself", number, home)
		}
		return
	}
	b.orders++
	if named := map[string]string{"transaction_id": a.TransactionID, "out_trade_no": a.OutTradeNo}[field]; named != number {
		wrong(foundName, "the account under this %s has the number %q", field, named)
	}
	b.checkNames(it.Key, a, wrong)
	b.checkEntries(it.Key, a, wrong)
	if a.Confirmed && a.Total <= 0 || a.Total < 0 || a.Reserved < 0 {
		wrong(foundSum, "its total is %d and %d is reserved", a.Total, a.Reserved)
	}
	if a.exceeded() {
		alarmed := " and no alarm about it is open"
		if b.anyCause(a, alarmExcess) {
			alarmed = " an alarm about it is open"
		}
		wrong(foundExceeded, "%d is reserved of an order of %d;%s", a.Reserved, a.Total, alarmed)
	}
	certain := 0
	for _, e := range a.Entries {
		if e.Total == 0 { // the upstream has answered it
			certain++
		}
	}
	if certain > b.most {
		wrong(foundMany, "%d refunds count, and no order may have more than %d", certain, b.most)
	}
}

// checkNames checks that both of the order's numbers lead to its account.
func (b *books) checkNames(k Key, a *orderAccount, wrong func(code, format string, args ...any)) {
	for _, name := range orderKeys(a.TransactionID, a.OutTradeNo) {
		if home, _, _ := b.home(name); home != k && !b.anyCause(a, alarmTwoOrders) {
			wrong(foundName, "its number %s leads to %s", name, home)
		}
	}
}

// checkEntries checks that the account counts what its refunds say, and nothing else.
func (b *books) checkEntries(k Key, a *orderAccount, wrong func(code, format string, args ...any)) {
	var sum int64
	for i, e := range a.Entries {
		sum += e.Held
		r := b.record(refundKey(e.No))
		switch {
		case has(a.Entries[:i], e.No):
			wrong(foundEntry, "refund %s stands there twice", e.No)
			continue
		case r == nil:
			wrong(foundEntry, "refund %s counts, and is not on record", e.No)
			continue
		}
		home, _, _ := b.home(r.Order)
		total := int64(0)
		if r.State == Claimed {
			total = r.Request.Amount.Total
		}
		switch {
		case !r.Counted || home != k:
			wrong(foundEntry, "refund %s counts, and says that it does not count here", e.No)
		case e.Held != r.Held:
			wrong(foundEntry, "refund %s reserves %d by the account, and %d by itself", e.No, e.Held, r.Held)
		case e.External != r.external():
			wrong(foundEntry, "refund %s: whether it was made here is said otherwise by itself", e.No)
		case e.Total != total:
			wrong(foundEntry, "refund %s names the order's total as %d by the account, and as %d by itself", e.No, e.Total, total)
		}
	}
	if sum != a.Reserved {
		wrong(foundSum, "%d is reserved, and its refunds reserve %d", a.Reserved, sum)
	}
	for i, e := range a.Provisional {
		r := b.record(refundKey(e.No))
		var home Key
		if r != nil {
			home, _, _ = b.home(r.SecondOrder)
		}
		switch {
		case has(a.Provisional[:i], e.No) || has(a.Entries, e.No):
			wrong(foundEntry, "refund %s stands there twice, once provisionally", e.No)
		case r == nil:
			wrong(foundEntry, "refund %s counts provisionally, and is not on record", e.No)
		case !r.Counted || home != k:
			wrong(foundEntry, "refund %s counts provisionally, and says that it does not count here", e.No)
		case e.Held != r.Held:
			wrong(foundEntry, "refund %s reserves %d provisionally, and %d by itself", e.No, e.Held, r.Held)
		}
	}
}

// anyCause reports whether one of the account's refunds has an open cause of alarm.
func (b *books) anyCause(a *orderAccount, code string) bool {
	for _, e := range a.all() {
		if r := b.record(refundKey(e.No)); r != nil && r.hasCause(code) {
			return true
		}
	}
	return false
}
