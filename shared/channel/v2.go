package channel

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"

	"wxrefund/shared/refund"
	"wxrefund/shared/wxpay"
)

// v2Status is how a refund stands, by v2's words.
func v2Status() map[string]refund.Status {
	return map[string]refund.Status{
		"SUCCESS":     refund.StatusSuccess,
		"REFUNDCLOSE": refund.StatusClosed,
		"PROCESSING":  refund.StatusProcessing,
		"CHANGE":      refund.StatusAbnormal,
	}
}

// v2FundsAccounts are v2's words for where the money comes from, by ours.
func v2FundsAccounts() map[string]string {
	return map[string]string{
		"AVAILABLE": "REFUND_SOURCE_RECHARGE_FUNDS",
		"UNSETTLED": "REFUND_SOURCE_UNSETTLED_FUNDS",
	}
}

// v2CouponTypes are APIv3's types of promotions, by v2's of coupons.
func v2CouponTypes() map[string]string {
	return map[string]string{"CASH": "COUPON", "NO_CASH": "DISCOUNT"}
}

// maxV2 bounds the lists of a v2 answer: no order has more refunds, no refund more coupons.
const maxV2 = 100

// v2Request writes a request in v2's names.
func v2Request(req refund.Request) map[string]any {
	m := map[string]any{
		"out_refund_no": req.OutRefundNo, "total_fee": req.Amount.Total, "refund_fee": req.Amount.Refund,
		"refund_fee_type": req.Amount.Currency,
	}
	for name, value := range map[string]string{
		"transaction_id": req.TransactionID, "out_trade_no": req.OutTradeNo,
		"refund_desc": req.Reason, "refund_account": v2FundsAccounts()[req.FundsAccount],
	} {
		if value != "" {
			m[name] = value
		}
	}
	return m
}

// v2Lookup writes a lookup in v2's names: the number that counts, alone.
func v2Lookup(l refund.Lookup) map[string]any {
	for _, n := range []struct{ name, value string }{
		{"refund_id", l.RefundID}, {"out_refund_no", l.OutRefundNo}, {"transaction_id", l.TransactionID}, {"out_trade_no", l.OutTradeNo},
	} {
		if n.value == "" {
			continue
		}
		m := map[string]any{n.name: n.value}
		if l.ByOrder() && l.Offset > 0 {
			m["offset"] = l.Offset
		}
		return m
	}
	return map[string]any{} // which the upstream refuses: one of the four is required
}

// v2 reads an answer's fields. Number, order, status and amount decide whether it
// can be read, see [readRefund]; so do, of an order's page, how many refunds it has.
type v2 struct {
	fields map[string]string
	odd    map[string]bool // fields whose value is none that v2 has, or that are told in two ways

	err  error    // of the first field that decides and cannot be read
	left []string // the others that cannot be read

	currency string // of amounts, where the answer names none
	cash     string // of what was paid, where the answer names none
}

func (v *v2) fail(name, why string) {
	if v.err == nil {
		v.err = fmt.Errorf("channel: %s %s", name, why)
	}
}

// text is a field that decides.
func (v *v2) text(name string) string {
	if v.odd[name] {
		v.fail(name, "cannot be read")
	}
	return v.fields[name]
}

// int is a number that decides.
func (v *v2) int(name string) int64 {
	text := v.text(name)
	if text == "" {
		return 0
	}
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil || n < 0 {
		v.fail(name, "is no amount")
	}
	return n
}

// fee is an amount that every answer has, and that is not nothing.
func (v *v2) fee(name string) int64 {
	n := v.int(name)
	if n < 1 {
		v.fail(name, "is missing")
	}
	return n
}

// leave notes that a field has been left out. An order's own are read once for
// each of its refunds.
func (v *v2) leave(name string) {
	if !slices.Contains(v.left, name) {
		v.left = append(v.left, name)
	}
}

// note is a text that decides nothing.
func (v *v2) note(name string) string {
	if v.odd[name] {
		v.leave(name)
	}
	return v.fields[name]
}

// optional is a number that decides nothing. It tells "zero" from "not said".
func (v *v2) optional(name string) *int64 {
	text := v.note(name)
	if text == "" {
		return nil
	}
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil || n < 0 {
		v.leave(name)
		return nil
	}
	return &n
}

// time gives v2's Beijing time its zone.
func (v *v2) time(name string) string {
	text := v.note(name)
	at, ok := wxpay.RFC3339(text)
	if !ok && text != "" {
		v.leave(name)
	}
	return at
}

// accepted is the refund object of an accepted application (CloudPay.refund; WeChat Pay Global, Submit Refund). It
// is accepted only: how the refund ends, the query tells.
func (v *v2) accepted() refund.Refund {
	r := v.refund("")
	r.Status = refund.StatusProcessing
	return r
}

// page is the answer to a query (CloudPay.queryRefund): the order's fields once, each
// refund's with its index.
func (v *v2) page(l refund.Lookup) refund.Page {
	n := v.int("refund_count")
	if n > maxV2 {
		v.fail("refund_count", "is "+strconv.FormatInt(n, 10))
	}
	page := refund.Page{Offset: l.Offset, Refunds: []refund.Refund{}}
	for i := 0; i < int(n) && v.err == nil; i++ {
		page.Refunds = append(page.Refunds, v.listed(i))
	}
	page.RefundCount = len(page.Refunds)
	page.TotalRefundCount = l.Offset + page.RefundCount
	if l.ByOrder() { // of a refund it says nothing
		page.TotalRefundCount = max(page.TotalRefundCount, int(v.int("total_refund_count")))
	}
	return page
}

// listed is the refund with the given index.
func (v *v2) listed(i int) refund.Refund {
	index := "_" + strconv.Itoa(i)
	r := v.refund(index)
	r.UserReceivedAccount = v.note("refund_recv_accout" + index) // so spelt
	r.Status = v2Status()[v.text("refund_status"+index)]
	r.SuccessTime = v.time("refund_success_time" + index)
	account := v.note("refund_account" + index)
	for ours, theirs := range v2FundsAccounts() {
		if account == theirs {
			r.FundsAccount = ours
		}
	}
	return r
}

// refund is what an answer says of the order and of one refund, whose fields bear
// its index in a query's answer, and none in an application's.
func (v *v2) refund(index string) refund.Refund {
	a := refund.Amount{
		Total: v.int("total_fee"), PayerTotal: v.optional("cash_fee"), SettlementTotal: v.optional("settlement_total_fee"),
		Refund: v.fee("refund_fee" + index), PayerRefund: v.optional("cash_refund_fee" + index),
		SettlementRefund: v.optional("settlement_refund_fee" + index), DiscountRefund: v.optional("coupon_refund_fee" + index),
		// A refund is in the currency that its order was priced in (WeChat Pay
		// Global, Submit Refund).
		Currency:      cmp.Or(v.text("fee_type"), v.text("refund_fee_type"+index), v.currency),
		PayerCurrency: cmp.Or(v.note("cash_fee_type"), v.note("cash_refund_fee_type"+index)),
	}
	if a.PayerTotal != nil || a.PayerRefund != nil {
		a.PayerCurrency = cmp.Or(a.PayerCurrency, v.cash)
	}
	return refund.Refund{
		RefundID: v.note("refund_id" + index), OutRefundNo: v.text("out_refund_no" + index),
		TransactionID: v.text("transaction_id"), OutTradeNo: v.text("out_trade_no"),
		Channel: v.note("refund_channel" + index), Amount: a, PromotionDetail: v.coupons(index),
	}
}

// coupons reads coupon_…_$m, or coupon_…_$n_$m with the refund's index before it:
// those that are told, whatever number is said of them, one by one.
func (v *v2) coupons(index string) []refund.Promotion {
	count := "coupon_refund_count" + index
	said := v.optional(count)
	if said == nil && !slices.Contains(v.left, count) {
		return nil
	}
	var list []refund.Promotion
	told := 0
	for ; told < maxV2; told++ {
		id, kind, fee := fmt.Sprintf("coupon_refund_id%s_%d", index, told), fmt.Sprintf("coupon_type%s_%d", index, told), fmt.Sprintf("coupon_refund_fee%s_%d", index, told)
		if !v.has(id) && !v.has(kind) && !v.has(fee) {
			break
		}
		n := v.optional(fee)
		if n == nil && v.has(fee) {
			continue // what was refunded of it cannot be read, and it is there to say that
		}
		p := refund.Promotion{PromotionID: v.note(id), Type: v2CouponTypes()[v.note(kind)]}
		if n != nil {
			p.RefundAmount = *n
		}
		list = append(list, p)
	}
	if said != nil && *said != int64(told) {
		v.leave(count)
	}
	return list
}

// has reports whether the answer tells a field, be it oddly.
func (v *v2) has(name string) bool { return v.fields[name] != "" || v.odd[name] }

// about checks that an accepted application is well formed and about the refund
// that was asked for.
func (v *v2) about(told, asked string) error {
	switch {
	case v.err != nil:
		return unknown("WeChat Pay's answer is malformed", v.err)
	case told != asked:
		return unknown("WeChat Pay's answer is about another refund", nil)
	}
	return nil
}

// answer is the page that a query's answer holds.
func (v *v2) answer(l refund.Lookup) (refund.Page, error) {
	if v.counts() {
		e := unknown("WeChat Pay counts the refund and tells nothing of it", nil)
		e.CountedOnly = true
		return refund.Page{}, e
	}
	page := v.page(l)
	switch {
	case v.err != nil:
		return refund.Page{}, unknown("WeChat Pay's answer is malformed", v.err)
	case len(page.Refunds) == 0 && !v.beyond(l):
		// An order or a number without refunds is told with a code of its own, so
		// that this is neither "there are none" nor "it is not there".
		return refund.Page{}, unknown("WeChat Pay's answer tells of no refund", nil)
	case !v.answers(l, page.Refunds):
		return refund.Page{}, unknown("WeChat Pay's answer is about another refund, or tells no refund number", nil)
	}
	return page, nil
}

// counts reports whether an answer counts refunds and names none of them, as
// CloudPay's does for some merchants, whichever number is asked for: all its lists
// are empty.
func (v *v2) counts() bool {
	n, err := strconv.ParseInt(v.fields["refund_count"], 10, 64)
	if err != nil || n < 1 || n > maxV2 {
		return false
	}
	for i := range int(n) {
		if index := "_" + strconv.Itoa(i); v.has("out_refund_no"+index) || v.has("refund_id"+index) {
			return false
		}
	}
	return true
}

// beyond reports whether an empty page is one that begins where the order's
// refunds end, as the answer says itself.
func (v *v2) beyond(l refund.Lookup) bool {
	return l.ByOrder() && l.Offset > 0 && v.has("total_refund_count") && v.int("total_refund_count") == int64(l.Offset)
}

// answers reports whether the refunds are those that a lookup asks for.
func (v *v2) answers(l refund.Lookup, refunds []refund.Refund) bool {
	for _, r := range refunds {
		if r.OutRefundNo == "" {
			return false
		}
	}
	switch {
	case l.RefundID != "":
		return len(refunds) == 1 && refunds[0].RefundID == l.RefundID
	case l.OutRefundNo != "":
		return len(refunds) == 1 && refunds[0].OutRefundNo == l.OutRefundNo
	case l.TransactionID != "":
		return v.fields["transaction_id"] == l.TransactionID
	}
	return v.fields["out_trade_no"] == l.OutTradeNo
}
