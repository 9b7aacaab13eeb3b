package deliver

import (
	"encoding/json"
	"fmt"
	"time"

	"wxrefund/shared/refund"
)

// An event is what CloudBase's template hands on to a function that subscribes to
// refunds: WeChat Pay's notification with its resource opened. resource_type
// keeps its name, as it does there. Functions that were written for the template
// take it unchanged.
type event struct {
	ID           string `json:"id"` // the same at every attempt to deliver this event
	CreateTime   string `json:"create_time"`
	ResourceType string `json:"resource_type"`
	EventType    string `json:"event_type"`
	Summary      string `json:"summary"`
	Resource     any    `json:"resource"`
}

type resource struct {
	MchID               string        `json:"mchid"`
	SubMchID            string        `json:"sub_mchid,omitempty"`
	OutTradeNo          string        `json:"out_trade_no,omitempty"`
	TransactionID       string        `json:"transaction_id,omitempty"`
	OutRefundNo         string        `json:"out_refund_no"`
	RefundID            string        `json:"refund_id,omitempty"`
	RefundStatus        refund.Status `json:"refund_status"`
	SuccessTime         string        `json:"success_time,omitempty"`
	UserReceivedAccount string        `json:"user_received_account,omitempty"`
	ReceivedBy          string        `json:"received_by,omitempty"` // which the template has not: [refund.ReceivedByMerchant], where the customer has nothing yet
	Amount              amount        `json:"amount"`
}

// amount is in minor units.
type amount struct {
	Total       int64  `json:"total,omitempty"`
	Refund      int64  `json:"refund"`
	PayerTotal  *int64 `json:"payer_total,omitempty"`
	PayerRefund *int64 `json:"payer_refund,omitempty"`
	Currency    string `json:"currency,omitempty"`
}

// summaries are WeChat Pay's own words.
func summaries() map[refund.Status]string {
	return map[refund.Status]string{
		refund.StatusSuccess:  "退款成功",
		refund.StatusClosed:   "退款关闭",
		refund.StatusAbnormal: "退款异常",
	}
}

// Encode writes the event as its receivers read it.
func Encode(e refund.Event) ([]byte, error) {
	if e.Application != nil {
		return encodeApplication(e, *e.Application)
	}
	summary, ok := summaries()[e.Status]
	if !ok {
		return nil, fmt.Errorf("deliver: there is no event of a refund that is %s", e.Status)
	}
	r := e.Refund
	return encode(e, "REFUND."+string(e.Status), summary, resource{
		MchID: e.Merchant.MchID, SubMchID: e.Merchant.SubMchID,
		OutTradeNo: r.OutTradeNo, TransactionID: r.TransactionID, OutRefundNo: r.OutRefundNo, RefundID: r.RefundID,
		RefundStatus: e.Status, SuccessTime: r.SuccessTime, UserReceivedAccount: r.UserReceivedAccount, ReceivedBy: r.ReceivedBy,
		Amount: amount{r.Amount.Total, r.Amount.Refund, r.Amount.PayerTotal, r.Amount.PayerRefund, r.Amount.Currency},
	})
}

func encode(e refund.Event, eventType, summary string, resource any) ([]byte, error) {
	return json.Marshal(event{
		ID: e.ID, CreateTime: stamp(e.At), ResourceType: "encrypt-resource",
		EventType: eventType, Summary: summary, Resource: resource,
	})
}

// stamp writes a time as WeChat Pay does.
func stamp(t time.Time) string { return t.In(time.FixedZone("", 8*60*60)).Format(time.RFC3339) }
