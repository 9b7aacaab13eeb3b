package notify

import (
	"cmp"
	"encoding/json"
	"strconv"

	"wxrefund/shared/refund"
	"wxrefund/shared/wxpay"
)

// statuses are the words for how a refund stands, APIv3's and v2's.
func statuses() map[string]refund.Status {
	return map[string]refund.Status{
		"SUCCESS": refund.StatusSuccess, "PROCESSING": refund.StatusProcessing,
		"CLOSED": refund.StatusClosed, "REFUNDCLOSE": refund.StatusClosed,
		"ABNORMAL": refund.StatusAbnormal, "CHANGE": refund.StatusAbnormal,
	}
}

// A told reads what an unsigned message tells of a refund, its names in snake
// case. odd says that something which decides (number, order, status, amount,
// merchant) is there and cannot be read; what is odd of anything else is left out.
type told struct {
	fields map[string]any
	odd    bool
}

// outcome is what a message tells: in APIv3's names with an amount of its own, or
// in v2's, flat. What it does not tell is absent. Unless all that it tells and that
// decides can be read, it has no status: then it says of which refund there is
// event, and no more.
func outcome(fields map[string]any, event refund.Status) refund.Outcome {
	t := told{fields: fields}
	r := refund.Refund{
		RefundID: t.note("refund_id"), OutRefundNo: t.text("out_refund_no"), TransactionID: t.text("transaction_id"), OutTradeNo: t.text("out_trade_no"),
		UserReceivedAccount: cmp.Or(t.note("user_received_account"), t.note("refund_recv_accout")), // so spelt
		FundsAccount: map[string]string{
			"REFUND_SOURCE_RECHARGE_FUNDS": "AVAILABLE", "REFUND_SOURCE_UNSETTLED_FUNDS": "UNSETTLED",
		}[t.note("refund_account")],
		Amount: t.amount(),
	}
	r.SuccessTime, _ = wxpay.RFC3339(t.note("success_time"))
	// CloudPay's mch_id is the platform's own, of which we know nothing.
	merchant := refund.Merchant{
		MchID: cmp.Or(t.text("mchid"), t.text("sp_mchid")), SubMchID: cmp.Or(t.text("sub_mchid"), t.text("sub_mch_id")),
	}
	word := t.text("refund_status")
	switch status := statuses()[word]; {
	case t.odd, word != "" && status == "", word != "" && event != "" && status != event:
		// r.Status stays empty
	default:
		r.Status = cmp.Or(status, event)
	}
	if r.Status != refund.StatusSuccess {
		r.SuccessTime = ""
	}
	return refund.Outcome{Source: refund.Relay, OutRefundNo: r.OutRefundNo, Merchant: merchant, Refund: r}
}

func (t *told) amount() refund.Amount {
	inner := told{fields: child(t.fields, "amount")}
	if inner.fields == nil {
		if t.fields["amount"] != nil {
			t.odd = true
		}
		return refund.Amount{
			Total: t.fee("total_fee"), Refund: t.fee("refund_fee"), Currency: cmp.Or(t.text("fee_type"), t.text("refund_fee_type")),
			PayerTotal: t.optional("cash_fee"), PayerRefund: t.optional("cash_refund_fee"),
			SettlementTotal: t.optional("settlement_total_fee"), SettlementRefund: t.optional("settlement_refund_fee"),
			DiscountRefund: t.optional("coupon_refund_fee"),
		}
	}
	a := refund.Amount{
		Total: inner.sum("total"), Refund: inner.sum("refund"), Currency: inner.text("currency"),
		PayerTotal: inner.optional("payer_total"), PayerRefund: inner.optional("payer_refund"),
		SettlementTotal: inner.optional("settlement_total"), SettlementRefund: inner.optional("settlement_refund"),
		DiscountRefund: inner.optional("discount_refund"),
	}
	t.odd = t.odd || inner.odd
	return a
}

// text is a field that decides.
func (t *told) text(name string) string {
	s, ok := t.fields[name].(string)
	t.odd = t.odd || !ok && t.fields[name] != nil
	return s
}

func (t *told) note(name string) string { return text(t.fields, name) }

// sum is an amount that decides: a number, or, as fee, v2's text of one.
func (t *told) sum(name string) int64 {
	if _, ok := t.fields[name].(string); ok {
		t.odd = true
		return 0
	}
	return t.fee(name)
}

func (t *told) fee(name string) int64 {
	n := t.optional(name)
	if n == nil || *n == 0 {
		t.odd = t.odd || t.fields[name] != nil
		return 0
	}
	return *n
}

// optional is an amount that decides nothing, nil if it is not told.
func (t *told) optional(name string) *int64 {
	written := t.note(name)
	if number, ok := t.fields[name].(json.Number); ok {
		written = string(number)
	}
	n, err := strconv.ParseInt(written, 10, 64)
	if err != nil || n < 0 {
		return nil
	}
	return &n
}
