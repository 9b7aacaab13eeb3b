package refund

import "cmp"

// fill copies from add whatever dst does not know.
func fill(dst *Refund, add Refund) {
	texts := []struct {
		dst *string
		add string
	}{
		{&dst.RefundID, add.RefundID},
		{&dst.OutRefundNo, add.OutRefundNo},
		{&dst.TransactionID, add.TransactionID},
		{&dst.OutTradeNo, add.OutTradeNo},
		{&dst.Channel, add.Channel},
		{&dst.UserReceivedAccount, add.UserReceivedAccount},
		{&dst.SuccessTime, add.SuccessTime},
		{&dst.CreateTime, add.CreateTime},
		{&dst.FundsAccount, add.FundsAccount},
		{&dst.ReceivedBy, add.ReceivedBy},
		{&dst.Amount.Currency, add.Amount.Currency},
		{&dst.Amount.PayerCurrency, add.Amount.PayerCurrency},
	}
	for _, t := range texts {
		*t.dst = cmp.Or(*t.dst, t.add)
	}
	dst.Status = cmp.Or(dst.Status, add.Status)
	dst.Amount.Total = cmp.Or(dst.Amount.Total, add.Amount.Total)
	dst.Amount.Refund = cmp.Or(dst.Amount.Refund, add.Amount.Refund)
	numbers := []struct {
		dst **int64
		add *int64
	}{
		{&dst.Amount.PayerTotal, add.Amount.PayerTotal},
		{&dst.Amount.PayerRefund, add.Amount.PayerRefund},
		{&dst.Amount.SettlementRefund, add.Amount.SettlementRefund},
		{&dst.Amount.SettlementTotal, add.Amount.SettlementTotal},
		{&dst.Amount.DiscountRefund, add.Amount.DiscountRefund},
		{&dst.Amount.RefundFee, add.Amount.RefundFee},
	}
	for _, n := range numbers {
		*n.dst = cmp.Or(*n.dst, n.add)
	}
	if dst.Amount.From == nil {
		dst.Amount.From = add.Amount.From
	}
	if dst.PromotionDetail == nil {
		dst.PromotionDetail = add.PromotionDetail
	}
}

// renew replaces what was known by what is reported now: what that leaves out stays. A
// success time is dropped once the refund is no success.
func renew(known, reported Refund) Refund {
	fill(&reported, known)
	if reported.Status != StatusSuccess {
		reported.SuccessTime = ""
	}
	return reported
}
