package v2

import (
	"encoding/json"
	"fmt"
	"regexp"

	"wxrefund/shared/sandbox/door"
	"wxrefund/shared/sandbox/schema"
	"wxrefund/shared/sandbox/world"
)

// literal is an integer as it is written.
type literal = json.Number

var formInteger = regexp.MustCompile(`^-?(0|[1-9][0-9]*)$`)

// applyForm is the body of POST /secapi/pay/refund at WeChat Pay Global and at home.
// The first version of Global's document has no address for notifications, and refund
// numbers of 32; later ones (4013636606) and the one at home (4011984092) have 64.
var applyForm = schema.Schema{
	{Path: "/nonce_str", Required: true, Min: 1, Max: 32},
	{Path: "/sub_mch_id", Max: 32, Form: schema.FormDigits},
	{Path: "/transaction_id", Max: 32},
	{Path: "/out_trade_no", Max: 32, Form: schema.FormNumber},
	{Path: "/out_refund_no", Required: true, Min: 1, Max: 64, Form: schema.FormNumber},
	{Path: "/total_fee", Kind: schema.Number, Required: true, Min: 1},
	{Path: "/refund_fee", Kind: schema.Number, Required: true, Min: 1},
	{Path: "/refund_fee_type", Max: 8, Form: schema.FormCurrency},
	{Path: "/refund_desc", Max: 80},
	{Path: "/notify_url", Min: 8, Max: 256, Form: schema.FormURL},
}

// fundsAccounts translates v2's words for the accounts that pay. The way back is
// [funds]: to v2 all that is not unsettled is balance.
var fundsAccounts = map[string]string{
	"REFUND_SOURCE_UNSETTLED_FUNDS": "UNSETTLED",
	"REFUND_SOURCE_RECHARGE_FUNDS":  "AVAILABLE",
}

func funds(r world.Refund) string {
	if r.FundsAccount == "UNSETTLED" {
		return "REFUND_SOURCE_UNSETTLED_FUNDS"
	}
	return "REFUND_SOURCE_RECHARGE_FUNDS"
}

// statuses are the states of a refund in v2's words.
var statuses = map[string]string{
	world.StatusProcessing: "PROCESSING",
	world.StatusSuccess:    "SUCCESS",
	world.StatusClosed:     "REFUNDCLOSE",
	world.StatusAbnormal:   "CHANGE",
}

// refund applies for a refund.
func (d *Door) refund(in dialect, q asked) (Message, *world.Refusal) {
	out := door.Limited(d.world, func() door.Reply {
		m, no := d.applyFor(in, q)
		return door.Reply{Object: m, No: no}
	})
	m, _ := out.Object.(Message)
	return m, out.No
}

func (d *Door) applyFor(in dialect, q asked) (Message, *world.Refusal) {
	if v := q.CheckBody(in.forms[world.OnApply].Check(q.node)); v != nil {
		return nil, refuseForm(v)
	}
	a := world.Application{
		SubMchID: q.text("sub_mch_id"), TransactionID: q.text("transaction_id"), OutTradeNo: q.text("out_trade_no"),
		OutRefundNo: q.text("out_refund_no"), Reason: q.text("refund_desc"), NotifyURL: q.text("notify_url"),
		FundsAccount: fundsAccounts[q.text("refund_account")],
		Amount:       world.ApplicationAmount{Refund: q.number("refund_fee"), Total: q.number("total_fee"), Currency: q.text("refund_fee_type")},
	}
	switch {
	case a.TransactionID != "":
		a.OutTradeNo = "" // the other one wins
	case a.OutTradeNo == "":
		return nil, world.Refuse(world.CodeParam).Say("缺少参数:transaction_id和out_trade_no不能同时为空")
	}
	if no := world.CheckSubMchID(a.SubMchID); no != nil {
		return nil, no
	}
	r, no := d.world.Apply(a, world.Caller{Notification: q.notification, Foreign: in.foreign})
	if no != nil {
		return nil, no
	}
	m := Message{}
	m.order(r.Order, in)
	m.refund(r, "", in, in.lists && d.world.Rand("lists", a.OutRefundNo).IntN(2) == 0)
	m["cash_refund_fee"] = r.Cash
	if in.foreign {
		m["refund_channel"] = "" // as in the document's example: it is not known yet
	}
	return m, nil
}

// order writes what v2 says about an order.
func (m Message) order(o world.Order, in dialect) {
	m["transaction_id"], m["out_trade_no"] = o.TransactionID, o.OutTradeNo
	m["total_fee"], m["fee_type"], m["cash_fee"] = o.Total, o.Currency, o.Cash
	if o.Settlement != o.Total {
		m["settlement_total_fee"] = o.Settlement
	}
	if in.foreign {
		m["cash_fee_type"] = "CNY"
	}
}

// refund writes what v2 says about a refund, wherever it says it. The suffix tells
// which of several refunds it is; coupons have another of their own.
func (m Message) refund(r world.Refund, suffix string, in dialect, lists bool) {
	m["out_refund_no"+suffix], m["refund_id"+suffix] = r.OutRefundNo, r.RefundID
	m["refund_fee"+suffix] = r.Amount.Refund
	if r.Amount.SettlementTotal != r.Amount.Total {
		m["settlement_refund_fee"+suffix] = r.Amount.SettlementRefund
	}
	if in.foreign {
		m["refund_fee_type"+suffix] = r.Amount.Currency
		m["cash_refund_fee"+suffix], m["cash_refund_fee_type"+suffix] = r.Cash, "CNY"
	}
	m["coupon_refund_fee"+suffix] = r.Amount.DiscountRefund
	var ids, types []string
	var fees []int64
	for _, c := range r.PromotionDetail {
		if c.RefundAmount == 0 {
			continue
		}
		kind := "CASH"
		if c.Unfunded() {
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
