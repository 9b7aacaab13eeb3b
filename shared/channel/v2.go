package channel

import (
	"cmp"
	"fmt"
	"strconv"
	"time"

	"wxrefund/shared/refund"
)

// The v2 words of seeds 000, 001 and 002, and ours.
var (
	v2Status = map[string]refund.Status{
		"SUCCESS":     refund.StatusSuccess,
		"REFUNDCLOSE": refund.StatusClosed,
		"PROCESSING":  refund.StatusProcessing,
		"CHANGE":      refund.StatusAbnormal,
	}
	v2FundsAccount = map[string]string{
		"AVAILABLE": "REFUND_SOURCE_RECHARGE_FUNDS",
		"UNSETTLED": "REFUND_SOURCE_UNSETTLED_FUNDS",
	}
	v2PromotionType = map[string]string{"CASH": "COUPON", "NO_CASH": "DISCOUNT"}
)

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
		"refund_desc": req.Reason, "refund_account": v2FundsAccount[req.FundsAccount],
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

// v2 reads an answer's fields, remembering the first that is malformed.
type v2 struct {
	fields map[string]string
	err    error

	currency string // of amounts, where the answer names none
	cash     string // of what was paid, where the answer names none
}

func (v *v2) int(name string) int64 {
	text := v.fields[name]
	if text == "" {
		return 0
	}
	n, err := strconv.ParseInt(text, 10, 64)
	if (err != nil || n < 0) && v.err == nil {
		v.err = fmt.Errorf("channel: %s is no amount", name)
	}
	return n
}

// fee is an amount that every answer has, and that is not nothing.
func (v *v2) fee(name string) int64 {
	n := v.int(name)
	if n < 1 && v.err == nil {
		v.err = fmt.Errorf("channel: %s is missing", name)
	}
	return n
}

// optional tells "zero" from "not said".
func (v *v2) optional(name string) *int64 {
	if v.fields[name] == "" {
		return nil
	}
	n := v.int(name)
	return &n
}

// accepted is the refund object of an accepted application (seeds 000, 002). It
// is accepted only: how the refund ends, the query tells.
func (v *v2) accepted() refund.Refund {
	r := v.told("")
	r.Status = refund.StatusProcessing
	return r
}

// page is the answer to a query (seed 001): the order's fields once, each
// refund's with its index.
func (v *v2) page(l refund.Lookup) refund.Page {
	n := int(v.int("refund_count"))
	if n > maxV2 && v.err == nil {
		v.err = fmt.Errorf("channel: refund_count is %d", n)
	}
	page := refund.Page{Offset: l.Offset, Refunds: []refund.Refund{}}
	for i := 0; i < n && v.err == nil; i++ {
		page.Refunds = append(page.Refunds, v.listed(i))
	}
	page.RefundCount = len(page.Refunds)
	page.TotalRefundCount = l.Offset + page.RefundCount
	if total := v.optional("total_refund_count"); total != nil {
		page.TotalRefundCount = max(page.TotalRefundCount, int(*total))
	}
	return page
}

// listed is the refund with the given index.
func (v *v2) listed(i int) refund.Refund {
	index := "_" + strconv.Itoa(i)
	r := v.told(index)
	r.UserReceivedAccount = v.fields["refund_recv_accout"+index] // so spelt
	r.Status = v2Status[v.fields["refund_status"+index]]
	r.SuccessTime = v.time("refund_success_time" + index)
	for ours, theirs := range v2FundsAccount {
		if v.fields["refund_account"+index] == theirs {
			r.FundsAccount = ours
		}
	}
	return r
}

// told is what an answer tells of the order and of one refund, whose fields bear
// its index in a query's answer, and none in an application's.
func (v *v2) told(index string) refund.Refund {
	a := refund.Amount{
		Total: v.int("total_fee"), PayerTotal: v.optional("cash_fee"), SettlementTotal: v.optional("settlement_total_fee"),
		Refund: v.fee("refund_fee" + index), PayerRefund: v.optional("cash_refund_fee" + index),
		SettlementRefund: v.optional("settlement_refund_fee" + index), DiscountRefund: v.optional("coupon_refund_fee" + index),
		// A refund is in the currency that its order was priced in (seed 002).
		Currency:      cmp.Or(v.fields["fee_type"], v.fields["refund_fee_type"+index], v.currency),
		PayerCurrency: cmp.Or(v.fields["cash_fee_type"], v.fields["cash_refund_fee_type"+index]),
	}
	if a.PayerTotal != nil || a.PayerRefund != nil {
		a.PayerCurrency = cmp.Or(a.PayerCurrency, v.cash)
	}
	return refund.Refund{
		RefundID: v.fields["refund_id"+index], OutRefundNo: v.fields["out_refund_no"+index],
		TransactionID: v.fields["transaction_id"], OutTradeNo: v.fields["out_trade_no"],
		Channel: v.fields["refund_channel"+index], Amount: a, PromotionDetail: v.coupons(index),
	}
}

// coupons reads coupon_…_$m, or coupon_…_$n_$m with the refund's index before it.
func (v *v2) coupons(index string) []refund.Promotion {
	var list []refund.Promotion
	n := int(v.int("coupon_refund_count" + index))
	if n > maxV2 && v.err == nil {
		v.err = fmt.Errorf("channel: coupon_refund_count%s is %d", index, n)
	}
	for m := 0; m < n && v.err == nil; m++ {
		at := func(name string) string { return fmt.Sprintf("%s%s_%d", name, index, m) }
		fee := v.int(at("coupon_refund_fee"))
		list = append(list, refund.Promotion{
			PromotionID: v.fields[at("coupon_refund_id")], Type: v2PromotionType[v.fields[at("coupon_type")]], RefundAmount: fee,
		})
	}
	return list
}

// time gives v2's Beijing time its zone.
func (v *v2) time(name string) string {
	text := v.fields[name]
	if text == "" {
		return ""
	}
	at, err := time.ParseInLocation(time.DateTime, text, time.FixedZone("", 8*60*60))
	if err != nil {
		if v.err == nil {
			v.err = fmt.Errorf("channel: %s is no time", name)
		}
		return ""
	}
	return at.Format(time.RFC3339)
}

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
	page := v.page(l)
	if v.err != nil {
		return refund.Page{}, unknown("WeChat Pay's answer is malformed", v.err)
	}
	if !v.answers(l, page.Refunds) {
		return refund.Page{}, unknown("WeChat Pay's answer is about another refund, or tells no refund number", nil)
	}
	return page, nil
}

// answers reports whether the refunds are those that a lookup asks for. CloudPay
// is known to count refunds of which its lists then tell nothing.
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

// v2Error reads the refusal in an answer whose result_code is not SUCCESS.
func v2Error(fields map[string]string, table map[string]meaning) *refund.Error {
	code := printable(fields["err_code"], 32)
	m, ok := table[code]
	if !ok {
		e := unknown("WeChat Pay answered without a result that is documented", nil)
		e.Upstream = code
		return e
	}
	e := &refund.Error{Code: m.code, Next: m.next, Upstream: code, Message: "WeChat Pay refused: " + cmp.Or(printable(fields["err_code_des"], 200), code)}
	if m.code == refund.CodeUnavailable {
		e.Message = "WeChat Pay could not say; the outcome is unknown, so query or repeat identically"
	}
	if m.next == refund.Later && m.code == refund.CodeUnavailable {
		e.RetryAfter = time.Minute
	}
	return e
}
