package cloudbase

import (
	"encoding/json"
	"net/http"

	"wxrefund/shared/sandbox/apiv3"
	"wxrefund/shared/sandbox/world"
	"wxrefund/shared/wxpay"
)

// Vocabulary is how the template notifies: it calls the merchant's function with a
// notification of APIv3 that it has opened.
var Vocabulary = world.Vocabulary{Notifications: []world.NotificationKind{{
	Name: world.NotificationTemplate, Relayed: true, Media: "application/json", Write: writeNotification, Objection: objection,
}}}

// writeNotification still calls the resource encrypted, as the template does, though
// it is not.
func writeNotification(n world.Notice) ([]byte, error) {
	return json.Marshal(struct {
		ID           string                   `json:"id"`
		CreateTime   string                   `json:"create_time"`
		ResourceType string                   `json:"resource_type"`
		EventType    string                   `json:"event_type"`
		Summary      string                   `json:"summary"`
		Resource     wxpay.RefundNotification `json:"resource"`
	}{n.ID, world.Stamp(n.At), "encrypt-resource", n.Event, n.Summary, apiv3.Plain(n.Refund)})
}

// objection wants what the template's document wants of each function.
func objection(status int, answer []byte) string {
	var out struct {
		Result struct {
			Code any `json:"code"`
		} `json:"result"`
	}
	if status != http.StatusOK || json.Unmarshal(answer, &out) != nil || out.Result.Code != "SUCCESS" {
		return "the function did not return an object whose code is SUCCESS"
	}
	return ""
}
