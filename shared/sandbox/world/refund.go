package world

import (
	"slices"
	"time"
)

// A Refund is how a refund stood at one time. In JSON it is the refund of APIv3's
// answers: lists and sums are there even when they are empty, as in real answers.
type Refund struct {
	RefundID            string         `json:"refund_id"`
	OutRefundNo         string         `json:"out_refund_no"`
	TransactionID       string         `json:"transaction_id"`
	OutTradeNo          string         `json:"out_trade_no"`
	Channel             string         `json:"channel"`
	UserReceivedAccount string         `json:"user_received_account"`
	SuccessTime         string         `json:"success_time,omitempty"`
	CreateTime          string         `json:"create_time"`
	Status              string         `json:"status"`
	FundsAccount        string         `json:"funds_account"`
	Amount              RefundAmount   `json:"amount"`
	PromotionDetail     []CouponRefund `json:"promotion_detail"`

	Order     Order     `json:"-"` // its order, at the same time
	SubMchID  string    `json:"-"` // on whose behalf it was made
	ByHand    bool      `json:"-"` // on the merchant platform
	Cash      int64     `json:"-"` // what the payer gets, in fen
	Created   time.Time `json:"-"`
	Succeeded time.Time `json:"-"` // zero unless it did
	Past      []Change  `json:"-"` // the states that it has had since it was accepted
	Can       []string  `json:"-"` // the states that it can be settled as
}

// A Change is a state that a refund has taken.
type Change struct {
	At     time.Time
	Status string
}

// A RefundAmount is a refund's money, in the currency's minor unit.
type RefundAmount struct {
	Total            int64  `json:"total"`
	Refund           int64  `json:"refund"`
	From             []From `json:"from"`
	PayerTotal       int64  `json:"payer_total"`
	PayerRefund      int64  `json:"payer_refund"`
	SettlementRefund int64  `json:"settlement_refund"`
	SettlementTotal  int64  `json:"settlement_total"`
	DiscountRefund   int64  `json:"discount_refund"`
	RefundFee        int64  `json:"refund_fee"`
	Currency         string `json:"currency"`
}

// A CouponRefund is what a coupon takes back.
type CouponRefund struct {
	Promotion
	RefundAmount int64   `json:"refund_amount"`
	GoodsDetail  []Goods `json:"goods_detail,omitempty"`
}

func (r *refund) snapshot() Refund {
	a := r.application
	out := Refund{
		RefundID: r.id, OutRefundNo: a.OutRefundNo,
		TransactionID: r.order.transactionID, OutTradeNo: r.order.outTradeNo,
		Channel: r.channel, UserReceivedAccount: r.account,
		CreateTime: Stamp(r.created), Status: r.status, FundsAccount: r.fundsAccount(),
		Amount: RefundAmount{
			Total: r.order.total, Refund: a.Amount.Refund, From: append([]From{}, a.Amount.From...),
			PayerTotal: r.order.total, PayerRefund: r.split.payer,
			SettlementRefund: a.Amount.Refund, SettlementTotal: r.order.total,
			DiscountRefund: r.split.discount(), Currency: r.order.currency,
		},
		PromotionDetail: []CouponRefund{},
		Order:           r.order.snapshot(), SubMchID: r.subMchID, ByHand: r.byHand, Cash: r.split.cash,
		Created: r.created, Succeeded: r.succeeded, Past: slices.Clone(r.past), Can: append([]string{}, transitions[r.status]...),
	}
	if !r.succeeded.IsZero() {
		out.SuccessTime = Stamp(r.succeeded)
	}
	for i, p := range r.order.promotions {
		out.Amount.PayerTotal -= p.Amount
		if p.Unfunded() {
			out.Amount.SettlementTotal -= p.Amount
			out.Amount.SettlementRefund -= r.split.coupons[i]
		}
		c := CouponRefund{Promotion: p, RefundAmount: r.split.coupons[i]}
		if p.Scope == "SINGLE" {
			c.GoodsDetail = a.GoodsDetail
		}
		out.PromotionDetail = append(out.PromotionDetail, c)
	}
	return out
}

// fundsAccount says whose money pays: the account asked for, the merchant's
// basic account if its parts were asked for, else what is not settled yet.
func (r *refund) fundsAccount() string {
	switch {
	case r.application.FundsAccount != "":
		return r.application.FundsAccount
	case len(r.application.Amount.From) > 0:
		return "BASIC"
	}
	return "UNSETTLED"
}
