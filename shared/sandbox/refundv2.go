package sandbox

import (
	"encoding/json"
	"fmt"
	"regexp"
)

// literal is an integer as it is written.
type literal = json.Number

var formInteger = regexp.MustCompile(`^-?(0|[1-9][0-9]*)$`)

// applySchemaV2 is the body of POST /secapi/pay/refund at WeChat Pay Global. The
// address for notifications is not in its first version, and in later ones.
var applySchemaV2 = schema{
	{path: "/nonce_str", required: true, min: 1, max: 32},
	{path: "/sub_mch_id", max: 32, form: formDigits},
	{path: "/transaction_id", max: 32},
	{path: "/out_trade_no", max: 32, form: formNumber},
	{path: "/out_refund_no", required: true, min: 1, max: 32, form: formNumber},
	{path: "/total_fee", kind: number, required: true, min: 1},
	{path: "/refund_fee", kind: number, required: true, min: 1},
	{path: "/refund_fee_type", max: 8, form: formCurrency},
	{path: "/refund_desc", max: 80},
	{path: "/notify_url", min: 8, max: 256, form: formURL},
}

// fundsV2 translates v2's words for the accounts that pay. The way back is
// [refund.fundsV2]: to v2 all that is not unsettled is balance.
var fundsV2 = map[string]string{
	"REFUND_SOURCE_UNSETTLED_FUNDS": "UNSETTLED",
	"REFUND_SOURCE_RECHARGE_FUNDS":  "AVAILABLE",
}

func (r *refund) fundsV2() string {
	if r.fundsAccount() == "UNSETTLED" {
		return "REFUND_SOURCE_UNSETTLED_FUNDS"
	}
	return "REFUND_SOURCE_RECHARGE_FUNDS"
}

// statusV2 are the states of a refund in v2's words.
var statusV2 = map[string]string{
	statusProcessing: "PROCESSING",
	statusSuccess:    "SUCCESS",
	statusClosed:     "REFUNDCLOSE",
	statusAbnormal:   "CHANGE",
}

// refundV2 applies for a refund.
func (s *Sandbox) refundV2(d dialect, q asked) (message, *refusal) {
	out := s.limited(func() reply {
		m, no := s.applyV2(d, q)
		return reply{object: m, no: no}
	})
	m, _ := out.object.(message)
	return m, out.no
}

func (s *Sandbox) applyV2(d dialect, q asked) (message, *refusal) {
	if v := d.apply.check("", "", q.node); v != nil {
		return nil, refuseV2(v)
	}
	a := application{
		SubMchID: q.text("sub_mch_id"), TransactionID: q.text("transaction_id"), OutTradeNo: q.text("out_trade_no"),
		OutRefundNo: q.text("out_refund_no"), Reason: q.text("refund_desc"), NotifyURL: q.text("notify_url"),
		FundsAccount: fundsV2[q.text("refund_account")],
		Amount:       applicationAmount{Refund: q.number("refund_fee"), Total: q.number("total_fee"), Currency: q.text("refund_fee_type")},
	}
	switch {
	case a.TransactionID != "":
		a.OutTradeNo = "" // the other one wins
	case a.OutTradeNo == "":
		return nil, refuse(codeParam).say("缺少参数:transaction_id和out_trade_no不能同时为空")
	}
	if no := checkSubMchID(a.SubMchID); no != nil {
		return nil, no
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	by := caller{public: s.public, notification: q.notification}
	if a.Amount.Currency == "" {
		a.Amount.Currency = "CNY"
		if o, _ := s.find(a, by); o != nil && d.foreign {
			a.Amount.Currency = o.currency
		}
	}
	if _, no := s.decide(a, by); no != nil {
		return nil, no
	}
	r := s.refunds[a.OutRefundNo]
	m := message{}
	r.order.put(m, d)
	r.put(m, "", d, d.lists && s.dice.throw("lists", a.OutRefundNo).IntN(2) == 0)
	m["cash_refund_fee"] = r.split.cash
	if d.foreign {
		m["refund_channel"] = "" // as in the document's example: it is not known yet
	}
	return m, nil
}

// put writes what v2 says about an order.
func (o *order) put(m message, d dialect) {
	var worth, unsettled int64
	for _, p := range o.promotions {
		worth += p.Amount
		if unfunded[p.Type] {
			unsettled += p.Amount
		}
	}
	m["transaction_id"], m["out_trade_no"] = o.transactionID, o.outTradeNo
	m["total_fee"], m["fee_type"], m["cash_fee"] = o.total, o.currency, o.cash(o.total-worth)
	if unsettled > 0 {
		m["settlement_total_fee"] = o.total - unsettled
	}
	if d.foreign {
		m["cash_fee_type"] = "CNY"
	}
}

// put writes what v2 says about a refund, wherever it says it. The suffix tells
// which of several refunds it is; coupons have another of their own.
func (r *refund) put(m message, suffix string, d dialect, lists bool) {
	o := r.object()
	m["out_refund_no"+suffix], m["refund_id"+suffix] = o.OutRefundNo, o.RefundID
	m["refund_fee"+suffix] = o.Amount.Refund
	if o.Amount.SettlementTotal != o.Amount.Total {
		m["settlement_refund_fee"+suffix] = o.Amount.SettlementRefund
	}
	if d.foreign {
		m["refund_fee_type"+suffix] = o.Amount.Currency
		m["cash_refund_fee"+suffix], m["cash_refund_fee_type"+suffix] = r.split.cash, "CNY"
	}
	m["coupon_refund_fee"+suffix] = o.Amount.DiscountRefund
	var ids, types []string
	var fees []int64
	for _, c := range o.PromotionDetail {
		if c.RefundAmount == 0 {
			continue
		}
		kind := "CASH"
		if unfunded[c.Type] {
			kind = "NO_CASH"
		}
		ids, types, fees = append(ids, c.PromotionID), append(types, kind), append(fees, c.RefundAmount)
	}
	m["coupon_refund_count"+suffix] = len(ids)
	if lists && len(ids) > 0 {
		m["coupon_refund_id_list"+suffix], m["coupon_type_list"+suffix], m["coupon_refund_fee_list"+suffix] = ids, types, fees
		return
	}
	for i := range ids {
		at := fmt.Sprintf("%s_%d", suffix, i)
		m["coupon_refund_id"+at], m["coupon_type"+at], m["coupon_refund_fee"+at] = ids[i], types[i], fees[i]
	}
}
