package apiv3

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"

	"wxrefund/shared/sandbox/world"
	"wxrefund/shared/wxpay"
)

// Vocabulary is how APIv3 notifies: in JSON, sealed and signed.
var Vocabulary = world.Vocabulary{Notifications: []world.NotificationKind{{
	Name: world.NotificationV3, Media: "application/json", Signed: true, Sealed: true,
	Write: writeNotification, Open: openNotification, Objection: objection,
}}}

// Plain is what a notification of APIv3 seals.
func Plain(r world.Refund) wxpay.RefundNotification {
	out := wxpay.RefundNotification{
		TransactionID: r.TransactionID, OutTradeNo: r.OutTradeNo, RefundID: r.RefundID, OutRefundNo: r.OutRefundNo,
		RefundStatus: r.Status, SuccessTime: r.SuccessTime, UserReceivedAccount: r.UserReceivedAccount,
		Amount: wxpay.NotificationAmount{
			Total: r.Amount.Total, Refund: r.Amount.Refund,
			PayerTotal: new(r.Amount.PayerTotal), PayerRefund: new(r.Amount.PayerRefund),
		},
	}
	if r.SubMchID == "" {
		out.MchID = world.MchID
	} else {
		out.SpMchID, out.SubMchID = world.MchID, r.SubMchID
	}
	return out
}

func writeNotification(n world.Notice) ([]byte, error) {
	plain, err := json.Marshal(Plain(n.Refund))
	if err != nil {
		return nil, err
	}
	sealed, err := n.Keys.APIv3.Seal("refund", "refund", plain)
	if err != nil {
		return nil, err
	}
	return json.Marshal(wxpay.Notification{
		ID: n.ID, CreateTime: world.Stamp(n.At), EventType: n.Event,
		ResourceType: "encrypt-resource", Summary: n.Summary, Resource: sealed,
	})
}

// openNotification returns the resource of a notification.
func openNotification(k *world.Keys, body []byte) ([]byte, error) {
	n, err := wxpay.ParseNotification(body)
	if err != nil {
		return nil, err
	}
	return k.APIv3.Open(n.Resource)
}

// objection says why an answer does not acknowledge a notification; nothing if it
// does. Success is 200 or 204, with an empty body or with JSON whose code is
// SUCCESS: the newer documents ask for no body, the older ones for that code,
// and a body that says otherwise is not a success to either.
func objection(status int, answer []byte) string {
	if status != http.StatusOK && status != http.StatusNoContent {
		return fmt.Sprintf("status %d instead of 200 or 204", status)
	}
	if len(bytes.TrimSpace(answer)) == 0 {
		return ""
	}
	var ack struct {
		Code string `json:"code"`
	}
	if err := json.Unmarshal(answer, &ack); err != nil || ack.Code != "SUCCESS" {
		return "the answer is not empty, and not JSON whose code is SUCCESS"
	}
	return ""
}
