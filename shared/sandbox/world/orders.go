package world

import (
	"cmp"
	"errors"
	"fmt"
	"time"
)

// An order is a payment that a user has made, or has not made yet or will not make.
type order struct {
	number        int // orders are counted
	outTradeNo    string
	transactionID string
	openID        string
	otherOpenID   string // of another program: an openid is of one
	state         string // in which it was made
	currency      string
	total         int64
	success       time.Time
	paid          time.Time // when it was made here, virtual
	promotions    []Promotion
	account       string // where money goes back to

	// Whose order it is: the merchant's own, or one that it holds as a service
	// provider. Until the order is said or seen to be either, it may be both.
	subMchID string
	owned    bool
	seen     time.Time // when it was seen to be whose; zero: it was said when the order was made

	refunds []*refund // in the order in which they were accepted
}

// left is what is still to be refunded. A closed refund gives its amount back.
func (o *order) left() int64 {
	left := o.total
	for _, r := range o.refunds {
		if r.status != StatusClosed {
			left -= r.application.Amount.Refund
		}
	}
	return left
}

// An Order is how an order stood at one time. In JSON it is an order of the control
// doors, in both directions.
type Order struct {
	OutTradeNo      string      `json:"out_trade_no"`
	TransactionID   string      `json:"transaction_id"`
	SubMchID        string      `json:"sub_mchid,omitempty"`
	Total           int64       `json:"total"`
	Currency        string      `json:"currency"`
	OpenID          string      `json:"openid"`
	SuccessTime     string      `json:"success_time"`
	TradeState      string      `json:"trade_state,omitempty"` // REFUND only in answers; absent: SUCCESS
	PromotionDetail []Promotion `json:"promotion_detail,omitempty"`

	OtherOpenID string `json:"-"` // the payer's, of another program of the merchant's or of its provider's

	Number     int       `json:"-"` // orders are counted, from 1
	Paid       time.Time `json:"-"` // when it was made here, virtual
	Success    time.Time `json:"-"` // when the payer paid
	Owned      bool      `json:"-"` // SubMchID says whose it is; else it may be the merchant's own or not
	Cash       int64     `json:"-"` // what the payer paid, in fen
	Settlement int64     `json:"-"` // what was settled to the merchant: the total less unfunded coupons
	Refunded   int64     `json:"-"` // is with the user
	Left       int64     `json:"-"` // can still be refunded
}

// snapshot is made with w.mu held.
func (o *order) snapshot() Order {
	out := Order{
		OutTradeNo: o.outTradeNo, TransactionID: o.transactionID, SubMchID: o.subMchID,
		Total: o.total, Currency: o.currency, OpenID: o.openID, SuccessTime: Stamp(o.success),
		TradeState: o.state, PromotionDetail: o.promotions, OtherOpenID: o.otherOpenID,
		Number: o.number, Paid: o.paid, Success: o.success, Owned: o.owned, Cash: o.cash(o.total - o.worth()), Settlement: o.total, Left: o.left(),
	}
	if !out.IsPaid() {
		out.SuccessTime, out.Left = "", 0
	}
	for _, p := range o.promotions {
		if p.Unfunded() {
			out.Settlement -= p.Amount
		}
	}
	for _, r := range o.refunds {
		out.TradeState = TradeRefund // even after a partial one
		if r.status == StatusSuccess {
			out.Refunded += r.application.Amount.Refund
		}
	}
	return out
}

// Order returns an order and its refunds, the oldest first. Of two names the
// transaction_id counts.
func (w *World) Order(transactionID, outTradeNo string) (Order, []Refund, bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	o := w.byTransaction[transactionID]
	if transactionID == "" {
		o = w.byTrade[outTradeNo]
	}
	if o == nil {
		return Order{}, nil, false
	}
	return o.snapshot(), snapshots(o.refunds), true
}

// ErrClash is for making under a number what there is already.
var ErrClash = errors.New("exists already")

// Pay makes a paid order of what is known of it; what is not is made up.
func (w *World) Pay(in Order) (Order, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	now := w.clock.now()
	o := &order{
		outTradeNo: in.OutTradeNo, transactionID: in.TransactionID, openID: in.OpenID,
		currency: in.Currency, total: in.Total, success: now, paid: now, promotions: in.PromotionDetail,
		subMchID: in.SubMchID, owned: in.SubMchID != "", state: cmp.Or(in.TradeState, TradeSuccess),
	}
	if in.SuccessTime != "" {
		t, err := time.Parse(time.RFC3339, in.SuccessTime)
		if err != nil {
			return Order{}, errors.New("/success_time must be a time like 2018-06-08T10:34:56+08:00")
		}
		if t.After(now) {
			return Order{}, errors.New("/success_time must not be in the future; the virtual clock shows " + Stamp(now))
		}
		o.success = t
	}
	if o.worth() > o.total {
		return Order{}, errors.New("/promotion_detail is worth more than /total")
	}
	if o.currency == "" {
		o.currency = "CNY"
	}

	for o.outTradeNo == "" || in.OutTradeNo == "" && w.byTrade[o.outTradeNo] != nil {
		w.made++
		o.outTradeNo = fmt.Sprintf("T%s%06d", now.Format("20060102150405"), w.made)
	}
	for o.transactionID == "" || in.TransactionID == "" && w.byTransaction[o.transactionID] != nil {
		w.made++
		o.transactionID = "42000" + w.rand.digits(5, "transaction_id", w.made) + o.success.In(China).Format("20060102") + fmt.Sprintf("%010d", w.made)
	}
	switch {
	case w.byTrade[o.outTradeNo] != nil:
		return Order{}, fmt.Errorf("sandbox: /out_trade_no: %s %w", o.outTradeNo, ErrClash)
	case w.byTransaction[o.transactionID] != nil:
		return Order{}, fmt.Errorf("sandbox: /transaction_id: %s %w", o.transactionID, ErrClash)
	}
	if o.openID == "" {
		o.openID = "o" + w.rand.text(27, alphanumeric, "openid", o.outTradeNo)
	}
	o.otherOpenID = "o" + w.rand.text(27, alphanumeric, "other program", o.openID)
	o.account = accounts[w.rand.draw("account", o.outTradeNo).IntN(len(accounts))]
	w.byTrade[o.outTradeNo], w.byTransaction[o.transactionID] = o, o
	w.orders = append(w.orders, o)
	o.number = len(w.orders)
	w.touch(o)
	event := "order paid"
	if o.state != TradeSuccess {
		event = "order made"
	}
	w.Log.Info(event, "out_trade_no", o.outTradeNo, "total", o.total, "trade_state", o.state)
	return o.snapshot(), nil
}

// accounts are where users have their money.
var accounts = []string{"支付用户零钱", "支付用户零钱", "支付用户零钱通", "招商银行信用卡0403", "工商银行借记卡9876"}
