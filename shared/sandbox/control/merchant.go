package control

import (
	"context"
	"encoding/json"
	"time"
)

// A MerchantRefund is what the merchant's side, the one that is being developed, has on record of
// a refund. The console shows it beside WeChat's; the sandbox draws no
// conclusions from it. Amounts are in the currency's minor unit.
type MerchantRefund struct {
	OutRefundNo   string
	RefundID      string
	OutTradeNo    string
	TransactionID string

	State    string // in the merchant's own words
	External bool   // the merchant's side has never asked for it
	Refusal  string // why it was refused; empty unless it was
	InDoubt  bool   // it was sent, and the merchant's side does not know what came of it
	Kept     bool   // it is with the merchant, so that the payer has nothing
	Owed     bool   // somebody whom the merchant's side tells of its refunds has not acknowledged what came of it
	Refund   int64
	Total    int64 // of its order; 0: not known
	Currency string
	Held     int64 // how much of the order it takes up: what has gone back or may yet
	Arrived  int64 // how much of that has gone back, as far as the merchant's side knows

	At      time.Time       // when the merchant's side first knew of it
	Event   json.RawMessage // what the merchant's side is called with to ask for the same once more; nil if nobody has asked
	History []MerchantEvent
}

// A MerchantEvent is a line of the history that the merchant's side keeps. The console knows how
// to say some of What and Detail in two languages, and shows the others as they are.
type MerchantEvent struct {
	At     time.Time
	What   string // claimed, sent, processing, success, ...
	Detail string // where the event came from, an error code, a subscriber's name
}

// MerchantRefunds returns what the merchant has on record of refunds, by its numbers. What
// it does not know is left out.
type MerchantRefunds func(ctx context.Context, outRefundNos ...string) ([]MerchantRefund, error)
