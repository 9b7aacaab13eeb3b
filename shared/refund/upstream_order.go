package refund

import "time"

// OrderStatus is what an upstream says of an order, in APIv3's words (trade_state of "Query
// an order by its number", 4012791859).
type OrderStatus string

const (
	OrderPaid        OrderStatus = "SUCCESS"
	OrderRefunded    OrderStatus = "REFUND" // at least one refund, of a part too
	OrderUnpaid      OrderStatus = "NOTPAY"
	OrderClosed      OrderStatus = "CLOSED"
	OrderRevoked     OrderStatus = "REVOKED"
	OrderPaying      OrderStatus = "USERPAYING"
	OrderPayFailed   OrderStatus = "PAYERROR"
	OrderAccepted    OrderStatus = "ACCEPT" // WeCom: accepted, and not paid yet
	OrderStateUnread OrderStatus = ""       // the upstream does not tell
)

// A PaidOrder is what the upstream says of one order that it was asked about. What an
// upstream does not tell is empty.
type PaidOrder struct {
	TransactionID string
	OutTradeNo    string
	Status        OrderStatus
	Payers        []Payer // who paid: one openid for each appid that the upstream names
	Total         int64   // minor units; 0: not told
	Currency      string
	PaidAt        time.Time // zero: not told
	SingleItem    bool      // a coupon of single articles was used: a refund of a part needs goods_detail
}

// A Payer is who has paid, as one program knows them: an openid is of one appid.
type Payer struct {
	AppID  string `json:"appid,omitempty"` // "": the upstream does not say of which program
	OpenID string `json:"openid"`
}
