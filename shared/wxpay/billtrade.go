package wxpay

import (
	"iter"
	"slices"
	"time"
)

// Headings of a trade bill, in all its layouts.
const (
	hTradeTime   = "交易时间"
	hAppID       = "公众账号ID"
	hMchID       = "商户号"
	hSubMchID    = "特约商户号"
	hOldSubMchID = "子商户号"
	hTransaction = "微信订单号"
	hOutTradeNo  = "商户订单号"
	hTradeState  = "交易状态"
	hCurrency    = "货币种类"
	hFeeType     = "标价币种" // abroad
	hAppliedAt   = "退款申请时间"
	hSucceededAt = "退款成功时间"
	hRefundID    = "微信退款单号"
	hOutRefundNo = "商户退款单号"
	hRefunded    = "退款金额"
	hAsked       = "申请退款金额"
	hStatus      = "退款状态"
)

// tradeHeadings are what every trade bill has.
func tradeHeadings() []string {
	return []string{hTradeTime, hMchID, hTransaction, hOutTradeNo}
}

// tradeFree are the columns of a trade bill that a merchant fills.
func tradeFree() []string { return []string{"商品名称", "商户数据包"} }

// tradeSums are what a trade bill's last line tells. Of the columns that may be meant, a
// layout has one.
func tradeSums() []billSum {
	return []billSum{
		{heading: "总交易单数"},
		{heading: "应结订单总金额", columns: []string{"应结订单金额"}},
		{heading: "总交易额", columns: []string{"总金额", "应结订单金额"}},
		{heading: "订单总金额", columns: []string{"订单金额"}},
		{heading: "退款总金额", columns: []string{hRefunded}},
		{heading: "总退款金额", columns: []string{hRefunded}},
		{heading: "申请退款总金额", columns: []string{hAsked}},
		{heading: "充值券退款总金额", columns: []string{"充值券退款金额"}},
		{heading: "总企业红包退款金额", columns: []string{"企业红包退款金额"}},
		{heading: "总代金券或立减优惠退款金额", columns: []string{"代金券或立减优惠退款金额"}},
		{heading: "手续费总金额", columns: []string{"手续费"}},
	}
}

// A TradeRow is a row of a trade bill that is about a refund.
type TradeRow struct {
	Line          int64     // of the file, from 1
	At            time.Time // 交易时间: of which event, the layouts do not agree about
	AppliedAt     time.Time // zero: the layout does not tell
	SucceededAt   time.Time // zero: not told
	AppID         string
	MchID         string
	SubMchID      string // "": none
	TransactionID string
	OutTradeNo    string
	RefundID      string
	OutRefundNo   string
	Status        string // as it was when the bill was made, in the bill's word
	Currency      string
	Asked         int64 // what was applied for, minor units
	Refunded      int64 // of it, what left the merchant: less coupons that others bear, minor units
}

// Refunds yields the rows that are about refunds; those about payments are counted. An
// error is the last that is yielded.
//
// A trade bill without any column of refunds, of type SUCCESS, yields none.
func (b *Bill) Refunds() iter.Seq2[TradeRow, error] { return rowsOf(b, b.refund) }

func (b *Bill) refund() (row TradeRow, want bool, err error) {
	if b.funds || !b.Has(hRefundID) {
		return row, false, nil
	}
	// Read in this order, so that the first fault in a row is the one told.
	var state string
	for _, f := range []struct {
		dst     *string
		heading string
		max     int
	}{
		{&state, hTradeState, 32}, {&row.RefundID, hRefundID, 64},
	} {
		if *f.dst, err = b.text(f.heading, f.max); err != nil {
			return row, false, err
		}
	}
	if row.RefundID == "0" {
		row.RefundID = ""
	}
	switch {
	case state == "REVOKED", row.RefundID == "" && state != "REFUND":
		return row, false, nil // a payment, or one that was taken back before it was one
	case row.RefundID == "":
		return row, false, b.fault(hRefundID, "is missing in a row about a refund")
	}
	row.Line = b.line
	sub := hSubMchID
	if !b.Has(sub) {
		sub = hOldSubMchID
	}
	for _, f := range []struct {
		dst     *string
		heading string
		max     int
	}{
		{&row.AppID, hAppID, 64}, {&row.MchID, hMchID, 32}, {&row.SubMchID, sub, 32},
		{&row.TransactionID, hTransaction, 64}, {&row.OutTradeNo, hOutTradeNo, 64},
		{&row.OutRefundNo, hOutRefundNo, 64}, {&row.Status, hStatus, 32},
		{&row.Currency, b.first(hFeeType, hCurrency), 3},
	} {
		if *f.dst, err = b.text(f.heading, f.max); err != nil {
			return row, false, err
		}
		if *f.dst == "0" {
			*f.dst = "" // as bills write it where there is none
		}
	}
	switch {
	case row.MchID == "":
		return row, false, b.fault(hMchID, "is missing")
	case row.TransactionID == "" && row.OutTradeNo == "":
		return row, false, b.fault(hTransaction, "is missing, and so is "+hOutTradeNo)
	}
	if row.Currency == "" {
		row.Currency = "CNY"
	} else if !isCurrency(row.Currency) {
		return row, false, b.fault(b.first(hFeeType, hCurrency), "is no currency")
	}
	for _, f := range []struct {
		dst     *time.Time
		heading string
	}{{&row.At, hTradeTime}, {&row.AppliedAt, hAppliedAt}, {&row.SucceededAt, hSucceededAt}} {
		if *f.dst, err = b.time(f.heading); err != nil {
			return row, false, err
		}
	}
	return row, true, b.amounts(&row)
}

// amounts reads what a refund is about. Old layouts have one amount, and so have those
// from abroad; in the others what was applied for counts, of which coupons may have borne
// a part.
func (b *Bill) amounts(row *TradeRow) (err error) {
	asked := b.first(hAsked, hRefunded)
	if !b.Has(asked) {
		return b.fault(hAsked, "is missing in the headings")
	}
	if row.Asked, err = b.money(asked, row.Currency); err != nil {
		return err
	}
	if row.Asked == 0 {
		return b.fault(asked, "is nothing in a row about a refund")
	}
	row.Refunded = row.Asked
	if b.Has(hRefunded) {
		row.Refunded, err = b.money(hRefunded, row.Currency)
	}
	if err == nil && row.Refunded > row.Asked {
		return b.fault(hRefunded, "is more than "+asked)
	}
	return err
}

// first is the first of these headings that the bill has, or else the last.
func (b *Bill) first(headings ...string) string {
	if i := slices.IndexFunc(headings, b.Has); i >= 0 {
		return headings[i]
	}
	return headings[len(headings)-1]
}
