package control

import (
	"cmp"
	"strings"
	"time"

	"wxrefund/shared/sandbox/world"
)

// A row is one refund as either side has it, in a list. Amounts are in the currency's
// minor unit.
type row struct {
	OutRefundNo   string  `json:"out_refund_no"`
	RefundID      string  `json:"refund_id"`
	OutTradeNo    string  `json:"out_trade_no"`
	TransactionID string  `json:"transaction_id"`
	Refund        int64   `json:"refund"`
	Total         int64   `json:"total"`
	Currency      string  `json:"currency"`
	At            string  `json:"at"` // when the first of the two knew of it
	ByHand        bool    `json:"by_hand"`
	Status        string  `json:"status"`      // the merchant's word; where it has none, WeChat Pay's in small letters
	InDoubt       bool    `json:"in_doubt"`    // the merchant does not know what came of it
	Undelivered   bool    `json:"undelivered"` // a notification of WeChat Pay's about it is not acknowledged
	Owed          bool    `json:"owed"`        // a subscriber of the merchant's has not acknowledged what came of it
	WeChat        *record `json:"wechat"`      // null: WeChat Pay has never accepted it
	Merchant      *record `json:"ours"`        // null: the merchant's side does not know it
	Held          int64   `json:"difference_held"`
	Arrived       int64   `json:"difference_arrived"`
}

// A record is what one side has of a refund, in minor units.
type record struct {
	State    string `json:"state"`
	Held     int64  `json:"held"`    // takes up that much of the order
	Arrived  int64  `json:"arrived"` // of which that much has gone back to the user
	Refusal  string `json:"refusal,omitempty"`
	External bool   `json:"foreign,omitempty"`
	Kept     bool   `json:"kept,omitempty"` // the merchant has the money, and the payer nothing
}

func (r *record) held() int64 {
	if r == nil {
		return 0
	}
	return r.Held
}

func (r *record) arrived() int64 {
	if r == nil {
		return 0
	}
	return r.Arrived
}

// equal tells whether two rows say the same.
func (r row) equal(o row) bool {
	same := func(a, b *record) bool { return a == b || a != nil && b != nil && *a == *b }
	if !same(r.WeChat, o.WeChat) || !same(r.Merchant, o.Merchant) {
		return false
	}
	o.WeChat, o.Merchant = r.WeChat, r.Merchant
	return r == o
}

// open tells whether the money is neither with the user nor free again.
func (r row) open() bool {
	switch r.Status {
	case "claimed", "processing", "abnormal":
		return true
	}
	return false
}

// difference is how far the two sides are apart about it.
func (r row) difference() int64 { return max(magnitude(r.Held), magnitude(r.Arrived)) }

func magnitude(n int64) int64 { return max(n, -n) }

// A side is what one of the two has of a refund. It is not changed, but replaced.
type side struct {
	record

	refundID, outTradeNo, transactionID string
	refund, total                       int64
	currency                            string
	at                                  time.Time
	byHand, inDoubt, owed               bool
}

// wechatSide is what WeChat Pay itself has.
func wechatSide(r world.Refund) *side {
	s := &side{
		record:   record{State: r.Status, Held: r.Amount.Refund},
		refundID: r.RefundID, outTradeNo: r.OutTradeNo, transactionID: r.TransactionID,
		refund: r.Amount.Refund, total: r.Amount.Total, currency: r.Amount.Currency, at: r.Created, byHand: r.ByHand,
	}
	switch r.Status {
	case world.StatusClosed:
		s.Held = 0
	case world.StatusSuccess:
		s.Arrived = r.Amount.Refund
	}
	return s
}

// merchantSide is what the merchant has.
func merchantSide(o MerchantRefund) *side {
	return &side{
		record:   record{State: o.State, Held: o.Held, Arrived: o.Arrived, Refusal: o.Refusal, External: o.External, Kept: o.Kept},
		refundID: o.RefundID, outTradeNo: o.OutTradeNo, transactionID: o.TransactionID,
		refund: o.Refund, total: o.Total, currency: o.Currency, at: o.At, inDoubt: o.InDoubt, owed: o.Owed,
	}
}

// join lays what the two sides have beside each other. Of what a refund is WeChat Pay's
// word counts, where it has one.
func join(outRefundNo string, wechat, merchant *side, unacknowledged int) (row, time.Time) {
	var none side
	w, m := cmp.Or(wechat, &none), cmp.Or(merchant, &none)
	r := row{
		OutRefundNo: outRefundNo, RefundID: cmp.Or(w.refundID, m.refundID),
		OutTradeNo: cmp.Or(w.outTradeNo, m.outTradeNo), TransactionID: cmp.Or(w.transactionID, m.transactionID),
		Refund: cmp.Or(w.refund, m.refund), Total: cmp.Or(w.total, m.total), Currency: cmp.Or(w.currency, m.currency),
		ByHand: w.byHand, Status: cmp.Or(m.State, strings.ToLower(w.State)),
		InDoubt: m.inDoubt, Owed: m.owed, Undelivered: unacknowledged > 0,
	}
	if wechat != nil {
		r.WeChat = &wechat.record
	}
	if merchant != nil {
		r.Merchant = &merchant.record
	}
	at := w.at
	if at.IsZero() || merchant != nil && m.at.Before(at) {
		at = m.at
	}
	r.At = world.StampMS(at)
	r.Held, r.Arrived = r.Merchant.held()-r.WeChat.held(), r.Merchant.arrived()-r.WeChat.arrived()
	return r, at
}
