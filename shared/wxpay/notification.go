package wxpay

import (
	"fmt"
	"log/slog"
	"strings"
)

// A Notification is the envelope of an APIv3 notification (doc/v3/merchant/4012791865).
// WeChat Pay repeats a notification until it is acknowledged, 15 times within 24 hours,
// each time with a new signature and the same ID.
type Notification struct {
	ID           string   `json:"id"`            // of this notification; up to 36 characters
	CreateTime   string   `json:"create_time"`   // RFC 3339
	EventType    string   `json:"event_type"`    // REFUND.SUCCESS, REFUND.ABNORMAL, REFUND.CLOSED
	ResourceType string   `json:"resource_type"` // encrypt-resource
	Summary      string   `json:"summary"`       // for people
	Resource     Resource `json:"resource"`

	// LeftOut names what decides nothing and could not be read, a comma between two.
	LeftOut string `json:"-"`
}

// ParseNotification reads an envelope whose signature has been verified. It must
// be one JSON object that has what is needed to go on, else [ErrFormat]: what it
// is about, and how it opens. Of the rest, what cannot be read is left out. Fields
// that we do not know are ignored, since WeChat Pay adds some at any time; the
// lengths are bounded at twice and more what is documented, to leave it room.
//
// Which events there are is not decided here: payments and other products send
// the same envelope, and whoever reads it must look at EventType.
func ParseNotification(body []byte) (Notification, error) {
	var n Notification
	left, err := decodeObject(body, "notification", []member{
		{name: "id", text: &n.ID, min: 1, max: maxToken},
		{name: "create_time", text: &n.CreateTime, max: 64, loose: true},
		{name: "event_type", text: &n.EventType, min: 1, max: 64},
		{name: "resource_type", text: &n.ResourceType, max: 64, loose: true},
		{name: "summary", text: &n.Summary, max: 256, loose: true},
		{name: "resource", members: []member{
			{name: "original_type", text: &n.Resource.OriginalType, max: 64, loose: true},
			{name: "algorithm", text: &n.Resource.Algorithm, min: 1, max: 64},
			{name: "ciphertext", text: &n.Resource.Ciphertext, min: 1, max: 1 << 20},
			{name: "nonce", text: &n.Resource.Nonce, min: 1, max: 64},
			{name: "associated_data", text: &n.Resource.AssociatedData, max: 64},
		}},
	})
	if err != nil {
		return Notification{}, err
	}
	if !isToken(n.ID) { // it becomes a key in stores and logs
		return Notification{}, fmt.Errorf("%w notification: id has odd characters", ErrFormat)
	}
	n.LeftOut = left
	return n, nil
}

// A RefundNotification is what a refund notification says once it is opened. Its names
// are not quite those of a reply: the status is refund_status, the amount has no
// currency.
type RefundNotification struct {
	MchID               string             `json:"mchid,omitempty"`     // of a merchant of its own
	SpMchID             string             `json:"sp_mchid,omitempty"`  // of a service provider, with
	SubMchID            string             `json:"sub_mchid,omitempty"` // the merchant that it serves
	TransactionID       string             `json:"transaction_id"`
	OutTradeNo          string             `json:"out_trade_no"`
	RefundID            string             `json:"refund_id"`
	OutRefundNo         string             `json:"out_refund_no"`
	RefundStatus        string             `json:"refund_status"`          // SUCCESS, CLOSED, ABNORMAL; not "status" as in a reply
	SuccessTime         string             `json:"success_time,omitempty"` // RFC 3339, only with SUCCESS
	UserReceivedAccount string             `json:"user_received_account"`  // personal: bank and last digits of a card
	Amount              NotificationAmount `json:"amount"`

	// LeftOut names what decides nothing and could not be read, a comma between two.
	LeftOut string `json:"-"`
}

// A NotificationAmount is the money in a refund notification, in the currency's minor unit
// (fen). The currency is not said; it is the order's. What the notification need not say
// is nil where it does not, so that nobody takes that for nothing.
type NotificationAmount struct {
	Total       int64  `json:"total"`                  // of the order
	Refund      int64  `json:"refund"`                 // of this refund
	PayerTotal  *int64 `json:"payer_total,omitempty"`  // of the order, without what coupons paid
	PayerRefund *int64 `json:"payer_refund,omitempty"` // of this refund, without what coupons get back
}

// ParseRefundNotification reads an opened refund resource. It must say whose refund it
// is, which one, of which order, how it stands and how much it is, else
// [ErrFormat]. Nothing else decides whether it can be read: what is odd of the rest
// is left out. Whether any of it is true of a refund of ours is not decided here.
func ParseRefundNotification(plain []byte) (RefundNotification, error) {
	var n RefundNotification
	left, err := decodeObject(plain, "refund notification", []member{
		{name: "mchid", text: &n.MchID, max: 64},
		{name: "sp_mchid", text: &n.SpMchID, max: 64},
		{name: "sub_mchid", text: &n.SubMchID, max: 64},
		{name: "transaction_id", text: &n.TransactionID, max: 64},
		{name: "out_trade_no", text: &n.OutTradeNo, max: 64},
		{name: "refund_id", text: &n.RefundID, min: 1, max: 64},
		{name: "out_refund_no", text: &n.OutRefundNo, min: 1, max: 128},
		{name: "refund_status", text: &n.RefundStatus, min: 1, max: 32},
		{name: "success_time", text: &n.SuccessTime, max: 64, loose: true},
		{name: "user_received_account", text: &n.UserReceivedAccount, max: 256, loose: true},
		{name: "amount", members: []member{
			{name: "total", number: &n.Amount.Total},
			{name: "refund", number: &n.Amount.Refund},
			{name: "payer_total", optional: &n.Amount.PayerTotal, loose: true},
			{name: "payer_refund", optional: &n.Amount.PayerRefund, loose: true},
		}},
	})
	if err != nil {
		return RefundNotification{}, err
	}
	if n.MchID == "" && n.SpMchID == "" {
		return RefundNotification{}, fmt.Errorf("%w refund notification: it names no merchant", ErrFormat)
	}
	if n.TransactionID == "" && n.OutTradeNo == "" {
		return RefundNotification{}, fmt.Errorf("%w refund notification: it names no order", ErrFormat)
	}
	if n.Amount.Total <= 0 || n.Amount.Refund <= 0 {
		return RefundNotification{}, fmt.Errorf("%w refund notification: amount is missing or negative", ErrFormat)
	}
	if n.SuccessTime != "" {
		var ok bool
		if n.SuccessTime, ok = RFC3339(n.SuccessTime); !ok {
			left = strings.TrimSuffix("success_time, "+left, ", ")
		}
	}
	n.LeftOut = left
	return n, nil
}

// LogValue leaves out the account that the money went to.
func (n RefundNotification) LogValue() slog.Value {
	return slog.GroupValue(
		slog.String("out_refund_no", n.OutRefundNo),
		slog.String("refund_id", n.RefundID),
		slog.String("refund_status", n.RefundStatus),
		slog.Int64("refund", n.Amount.Refund),
	)
}
