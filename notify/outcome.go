package notify

import (
	"cmp"
	"encoding/json"
	"strconv"

	"wxrefund/shared/refund"
	"wxrefund/shared/wxpay"
)

// statuses are the words for the state of a refund, APIv3's and v2's.
func statuses() map[string]refund.Status {
	return map[string]refund.Status{
		"SUCCESS": refund.StatusSuccess, "PROCESSING": refund.StatusProcessing,
		"CLOSED": refund.StatusClosed, "REFUNDCLOSE": refund.StatusClosed,
		"ABNORMAL": refund.StatusAbnormal, "CHANGE": refund.StatusAbnormal,
	}
}

// A fieldReader reads the fields of an unsigned notification, their names in snake
// case. Fields that decide are the number, the order, the status, the amount and the
// merchant; malformed says that one of them is present and cannot be read. Whatever
// else cannot be read counts as absent.
type fieldReader struct {
	fields    map[string]any
	malformed bool
}

// outcome reads an unsigned notification: in APIv3's names, with an amount object,
// or in v2's, flat. status is that of its event type; empty if it has none. If a
// field that decides is malformed, or the two statuses differ, the outcome has no
// status: it then says which refund to ask about, and nothing more.
func outcome(fields map[string]any, status refund.Status) refund.Outcome {
	f := fieldReader{fields: fields}
	r := refund.Refund{
		RefundID: f.optional("refund_id"), OutRefundNo: f.text("out_refund_no"), TransactionID: f.text("transaction_id"), OutTradeNo: f.text("out_trade_no"),
		UserReceivedAccount: cmp.Or(f.optional("user_received_account"), f.optional("refund_recv_accout")), // so spelt
		FundsAccount: map[string]string{
			"REFUND_SOURCE_RECHARGE_FUNDS": "AVAILABLE", "REFUND_SOURCE_UNSETTLED_FUNDS": "UNSETTLED",
		}[f.optional("refund_account")],
		Amount: f.amount(),
	}
	r.SuccessTime, _ = wxpay.RFC3339(f.optional("success_time"))
	// CloudPay's mch_id is the platform's own, of which we know nothing.
	merchant := refund.Merchant{
		MchID: cmp.Or(f.text("mchid"), f.text("sp_mchid")), SubMchID: cmp.Or(f.text("sub_mchid"), f.text("sub_mch_id")),
	}
	word := f.text("refund_status")
	switch named := statuses()[word]; {
	case f.malformed, word != "" && named == "", word != "" && status != "" && named != status:
		// r.Status stays empty
	default:
		r.Status = cmp.Or(named, status)
	}
	if r.Status != refund.StatusSuccess {
		r.SuccessTime = ""
	}
	return refund.Outcome{Source: refund.Relay, OutRefundNo: r.OutRefundNo, Merchant: merchant, Refund: r}
}

func (f *fieldReader) amount() refund.Amount {
	inner := fieldReader{fields: child(f.fields, "amount")}
	if inner.fields == nil {
		if f.fields["amount"] != nil {
			f.malformed = true
		}
		return refund.Amount{
			Total: f.money("total_fee"), Refund: f.money("refund_fee"), Currency: cmp.Or(f.text("fee_type"), f.text("refund_fee_type")),
			PayerTotal: f.optionalMoney("cash_fee"), PayerRefund: f.optionalMoney("cash_refund_fee"),
			SettlementTotal: f.optionalMoney("settlement_total_fee"), SettlementRefund: f.optionalMoney("settlement_refund_fee"),
			DiscountRefund: f.optionalMoney("coupon_refund_fee"),
		}
	}
	a := refund.Amount{
		Total: inner.number("total"), Refund: inner.number("refund"), Currency: inner.text("currency"),
		PayerTotal: inner.optionalMoney("payer_total"), PayerRefund: inner.optionalMoney("payer_refund"),
		SettlementTotal: inner.optionalMoney("settlement_total"), SettlementRefund: inner.optionalMoney("settlement_refund"),
		DiscountRefund: inner.optionalMoney("discount_refund"),
	}
	f.malformed = f.malformed || inner.malformed
	return a
}

// text reads a text that decides.
func (f *fieldReader) text(name string) string {
	s, ok := f.fields[name].(string)
	f.malformed = f.malformed || !ok && f.fields[name] != nil
	return s
}

// optional reads a text that decides nothing.
func (f *fieldReader) optional(name string) string { return text(f.fields, name) }

// money reads an amount that decides, which v2 writes as a text; number refuses that.
func (f *fieldReader) money(name string) int64 {
	n := f.optionalMoney(name)
	if n == nil || *n == 0 {
		f.malformed = f.malformed || f.fields[name] != nil
		return 0
	}
	return *n
}

func (f *fieldReader) number(name string) int64 {
	if _, ok := f.fields[name].(string); ok {
		f.malformed = true
		return 0
	}
	return f.money(name)
}

// optionalMoney reads an amount that decides nothing, nil if it is absent.
func (f *fieldReader) optionalMoney(name string) *int64 {
	written := f.optional(name)
	if number, ok := f.fields[name].(json.Number); ok {
		written = string(number)
	}
	n, err := strconv.ParseInt(written, 10, 64)
	if err != nil || n < 0 {
		return nil
	}
	return &n
}
