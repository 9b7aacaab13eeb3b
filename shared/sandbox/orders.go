package sandbox

import (
	"errors"
	"fmt"
	"time"
)

// An order is a payment that a user has made.
type order struct {
	outTradeNo    string
	transactionID string
	openID        string
	currency      string
	total         int64
	success       time.Time
	paid          time.Time // when it was made here, virtual
	promotions    []promotion
	account       string // where money goes back to

	// Whose order it is: the merchant's own, or one that it holds as a service
	// provider. Until the order is said or seen to be either, it may be both.
	subMchID string
	owned    bool

	refunds []*refund // in the order in which they were accepted
}

// left is what is still to be refunded. A closed refund gives its amount back.
func (o *order) left() int64 {
	left := o.total
	for _, r := range o.refunds {
		if r.status != statusClosed {
			left -= r.application.Amount.Refund
		}
	}
	return left
}

// An orderObject is an order on the control side, in both directions.
type orderObject struct {
	OutTradeNo      string      `json:"out_trade_no"`
	TransactionID   string      `json:"transaction_id"`
	SubMchID        string      `json:"sub_mchid,omitempty"`
	Total           int64       `json:"total"`
	Currency        string      `json:"currency"`
	OpenID          string      `json:"openid"`
	SuccessTime     string      `json:"success_time"`
	TradeState      string      `json:"trade_state,omitempty"` // only in answers
	PromotionDetail []promotion `json:"promotion_detail,omitempty"`
}

func (o *order) object() orderObject {
	out := orderObject{
		OutTradeNo: o.outTradeNo, TransactionID: o.transactionID, SubMchID: o.subMchID,
		Total: o.total, Currency: o.currency, OpenID: o.openID, SuccessTime: stamp(o.success),
		TradeState: "SUCCESS", PromotionDetail: o.promotions,
	}
	if len(o.refunds) > 0 {
		out.TradeState = "REFUND" // even after a partial one
	}
	return out
}

// errClash is for a number that is taken.
var errClash = errors.New("sandbox: number is taken")

// pay makes a paid order of what is known of it; what is not is made up.
func (s *Sandbox) pay(in orderObject) (orderObject, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.clock.now()
	o := &order{
		outTradeNo: in.OutTradeNo, transactionID: in.TransactionID, openID: in.OpenID,
		currency: in.Currency, total: in.Total, success: now, paid: now, promotions: in.PromotionDetail,
		subMchID: in.SubMchID, owned: in.SubMchID != "",
	}
	if in.SuccessTime != "" {
		t, err := time.Parse(time.RFC3339, in.SuccessTime)
		if err != nil {
			return orderObject{}, errors.New("/success_time must be a time like 2018-06-08T10:34:56+08:00")
		}
		if t.After(now) {
			return orderObject{}, errors.New("/success_time must not be in the future; the virtual clock shows " + stamp(now))
		}
		o.success = t
	}
	var worth int64
	for _, p := range o.promotions {
		worth += p.Amount
	}
	if worth > o.total {
		return orderObject{}, errors.New("/promotion_detail is worth more than /total")
	}
	if o.currency == "" {
		o.currency = "CNY"
	}

	for o.outTradeNo == "" || in.OutTradeNo == "" && s.byTrade[o.outTradeNo] != nil {
		s.made++
		o.outTradeNo = fmt.Sprintf("T%s%06d", now.Format("20060102150405"), s.made)
	}
	for o.transactionID == "" || in.TransactionID == "" && s.byTransaction[o.transactionID] != nil {
		s.made++
		o.transactionID = "42000" + s.dice.digits(5, "transaction_id", s.made) + o.success.In(china).Format("20060102") + fmt.Sprintf("%010d", s.made)
	}
	switch {
	case s.byTrade[o.outTradeNo] != nil:
		return orderObject{}, fmt.Errorf("%w: /out_trade_no %s", errClash, o.outTradeNo)
	case s.byTransaction[o.transactionID] != nil:
		return orderObject{}, fmt.Errorf("%w: /transaction_id %s", errClash, o.transactionID)
	}
	if o.openID == "" {
		o.openID = "o" + s.dice.text(27, alphanumeric, "openid", o.outTradeNo)
	}
	o.account = accounts[s.dice.throw("account", o.outTradeNo).IntN(len(accounts))]
	s.byTrade[o.outTradeNo], s.byTransaction[o.transactionID] = o, o
	s.orders = append(s.orders, o)
	s.log.Info("order paid", "out_trade_no", o.outTradeNo, "total", o.total)
	return o.object(), nil
}

// accounts are where users have their money.
var accounts = []string{"支付用户零钱", "支付用户零钱", "支付用户零钱通", "招商银行信用卡0403", "工商银行借记卡9876"}
