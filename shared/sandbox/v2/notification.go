package v2

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"

	"wxrefund/shared/sandbox/world"
	"wxrefund/shared/wxpay"
)

// Vocabulary is how v2 notifies, and its error codes.
//
// What is posted is XML that is sealed. It has no signature: that it can be opened is
// all that speaks for it. CloudPay calls the function that the application has named,
// with the same fields in camel case, all in one object.
var Vocabulary = world.Vocabulary{
	Codes: answerable,
	Notifications: []world.NotificationKind{
		{Name: world.NotificationV2, Media: "text/xml", Sealed: true, Write: writeXML, Open: openXML, Objection: objection},
		{Name: world.NotificationCloudPay, Relayed: true, Media: "application/json", Write: writeCloudPay, Objection: objectionCloudPay},
	},
}

// outcome is what v2 says about how a refund ended.
func outcome(r world.Refund) Message {
	m := Message{
		"transaction_id": r.TransactionID, "out_trade_no": r.OutTradeNo, "total_fee": r.Amount.Total,
		"refund_id": r.RefundID, "out_refund_no": r.OutRefundNo, "refund_fee": r.Amount.Refund,
		"refund_status": statuses[r.Status], "refund_account": funds(r), "refund_recv_accout": r.UserReceivedAccount,
		"refund_request_source": "API", "cash_refund_fee": r.Cash,
		"settlement_refund_fee": r.Amount.SettlementRefund, "settlement_total_fee": r.Amount.SettlementTotal,
	}
	if r.ByHand {
		m["refund_request_source"] = "VENDOR_PLATFORM"
	}
	if !r.Succeeded.IsZero() {
		m["success_time"] = stamp(r.Succeeded)
	}
	return m
}

// whose is whose refund a notification is about.
func whose(r world.Refund) Message {
	m := Message{"return_code": "SUCCESS", "appid": world.AppID, "mch_id": world.MchID, "nonce_str": world.Random(32)}
	if r.SubMchID != "" {
		m["sub_appid"], m["sub_mch_id"] = world.SubAppID, r.SubMchID
	}
	return m
}

func writeXML(n world.Notice) ([]byte, error) {
	plain := outcome(n.Refund).fields().XML()
	plain = bytes.Replace(plain, []byte("<xml>"), []byte("<root>"), 1)
	plain = append(bytes.TrimSuffix(plain, []byte("</xml>")), "</root>"...)
	f := whose(n.Refund).fields()
	f["req_info"] = n.Keys.API.SealReqInfo(plain)
	return f.XML(), nil
}

// openXML returns what is sealed in a notification.
func openXML(k *world.Keys, body []byte) ([]byte, error) {
	f, err := wxpay.ParseFields(body, "xml")
	if err != nil {
		return nil, err
	}
	return k.API.OpenReqInfo(f["req_info"])
}

func writeCloudPay(n world.Notice) ([]byte, error) {
	out := map[string]any{}
	for _, m := range []Message{outcome(n.Refund), whose(n.Refund)} {
		for name, value := range m {
			out[camel(name)] = value
		}
	}
	return json.Marshal(out)
}

// camel writes a name of v2 as CloudBase's library does.
func camel(name string) string {
	b := make([]byte, 0, len(name))
	for i := 0; i < len(name); i++ {
		if c := name[i]; c == '_' && i+1 < len(name) && name[i+1] >= 'a' && name[i+1] <= 'z' {
			i++
			b = append(b, name[i]-'a'+'A')
		} else {
			b = append(b, c)
		}
	}
	return string(b)
}

// objection wants v2's own acknowledgement.
func objection(status int, answer []byte) string {
	if status != http.StatusOK {
		return fmt.Sprintf("status %d instead of 200", status)
	}
	if f, err := wxpay.ParseFields(answer, "xml"); err != nil || f["return_code"] != "SUCCESS" {
		return "the answer is not XML whose return_code is SUCCESS"
	}
	return ""
}

// objectionCloudPay wants what CloudPay's document wants.
func objectionCloudPay(status int, answer []byte) string {
	var out struct {
		Result struct {
			ErrCode any `json:"errcode"`
		} `json:"result"`
	}
	if status != http.StatusOK || json.Unmarshal(answer, &out) != nil || out.Result.ErrCode != 0.0 {
		return "the function did not return an object whose errcode is 0"
	}
	return ""
}
