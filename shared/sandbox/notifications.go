package sandbox

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"time"

	"wxrefund/shared/wxpay"
)

// A notificationKind is a way in which merchants are told how refunds end. What the
// kinds share is when notifications go out, and that they do until they are
// acknowledged.
type notificationKind struct {
	write     func(*Sandbox, *refund, *delivery, time.Time) ([]byte, error)
	url       func(*Sandbox, *refund) string
	media     string // Content-Type
	signed    bool
	sealed    bool
	objection func(status int, answer []byte) string // says why an answer does not acknowledge; nothing if it does
}

// The kinds of notifications.
const (
	notificationV3       = "v3"
	notificationV2       = "v2"
	notificationTemplate = "template" // CloudBase's template hands a v3 notification on, opened
	notificationCloudPay = "cloudpay" // and CloudPay a v2 one
)

var notificationKinds = map[string]notificationKind{
	notificationV3:       {write: (*Sandbox).notification, url: (*Sandbox).postal, media: "application/json", signed: true, sealed: true, objection: objection},
	notificationV2:       {write: (*Sandbox).notificationV2, url: (*Sandbox).postal, media: "text/xml", sealed: true, objection: objectionV2},
	notificationTemplate: {write: (*Sandbox).notificationTemplate, url: (*Sandbox).relay, media: "application/json", objection: objectionTemplate},
	notificationCloudPay: {write: (*Sandbox).notificationCloudPay, url: (*Sandbox).relay, media: "application/json", objection: objectionCloudPay},
}

// postal is where notifications are posted: the refund's own address, else the
// merchant's. s.mu is held.
func (s *Sandbox) postal(r *refund) string {
	if r.application.NotifyURL != "" {
		return r.application.NotifyURL
	}
	return s.notifyURL()
}

// relay is where functions are called. s.mu is held.
func (s *Sandbox) relay(*refund) string { return s.urls.Relay }

// suffers tells whether a fault can befall such a notification: most of them are about
// signatures.
func (k notificationKind) suffers(f noticeFault) bool { return k.signed || f.sealed && k.sealed }

// inner is what a notification of APIv3 seals.
func (r *refund) inner() wxpay.RefundNotification {
	o := r.object()
	out := wxpay.RefundNotification{
		TransactionID: o.TransactionID, OutTradeNo: o.OutTradeNo, RefundID: o.RefundID, OutRefundNo: o.OutRefundNo,
		RefundStatus: o.Status, SuccessTime: o.SuccessTime, UserReceivedAccount: o.UserReceivedAccount,
		Amount: wxpay.NotificationAmount{
			Total: o.Amount.Total, Refund: o.Amount.Refund,
			PayerTotal: new(o.Amount.PayerTotal), PayerRefund: new(o.Amount.PayerRefund),
		},
	}
	if r.subMchID == "" {
		out.MchID = mchID
	} else {
		out.SpMchID, out.SubMchID = mchID, r.subMchID
	}
	return out
}

// notification writes the notification about a refund: once, however often it is sent.
func (s *Sandbox) notification(r *refund, d *delivery, now time.Time) ([]byte, error) {
	plain, err := json.Marshal(r.inner())
	if err != nil {
		return nil, err
	}
	sealed, err := s.keys.apiV3.Seal("refund", "refund", plain)
	if err != nil {
		return nil, err
	}
	return json.Marshal(wxpay.Notification{
		ID: d.id, CreateTime: stamp(now), EventType: d.event,
		ResourceType: "encrypt-resource", Summary: summaries[r.status], Resource: sealed,
	})
}

// notificationTemplate is what the template calls the merchant's function with. The
// resource still is called encrypted, though it is not.
func (s *Sandbox) notificationTemplate(r *refund, d *delivery, now time.Time) ([]byte, error) {
	return json.Marshal(struct {
		ID           string                   `json:"id"`
		CreateTime   string                   `json:"create_time"`
		ResourceType string                   `json:"resource_type"`
		EventType    string                   `json:"event_type"`
		Summary      string                   `json:"summary"`
		Resource     wxpay.RefundNotification `json:"resource"`
	}{d.id, stamp(now), "encrypt-resource", d.event, summaries[r.status], r.inner()})
}

// notificationFields are what v2 says about how a refund ended.
func (r *refund) notificationFields() message {
	m := message{
		"transaction_id": r.order.transactionID, "out_trade_no": r.order.outTradeNo, "total_fee": r.order.total,
		"refund_id": r.id, "out_refund_no": r.application.OutRefundNo, "refund_fee": r.application.Amount.Refund,
		"refund_status": statusV2[r.status], "refund_account": r.fundsV2(), "refund_recv_accout": r.account,
		"refund_request_source": "API", "cash_refund_fee": r.split.cash,
	}
	o := r.object()
	m["settlement_refund_fee"], m["settlement_total_fee"] = o.Amount.SettlementRefund, o.Amount.SettlementTotal
	if r.byHand {
		m["refund_request_source"] = "VENDOR_PLATFORM"
	}
	if !r.succeeded.IsZero() {
		m["success_time"] = stampV2(r.succeeded)
	}
	return m
}

// notificationNames are whose refund a notification of v2 is about.
func (r *refund) notificationNames() message {
	m := message{"return_code": "SUCCESS", "appid": appID, "mch_id": mchID, "nonce_str": random(32, alphanumeric)}
	if r.subMchID != "" {
		m["sub_appid"], m["sub_mch_id"] = subAppID, r.subMchID
	}
	return m
}

// notificationV2 has no signature: that it can be opened is all that speaks for it.
func (s *Sandbox) notificationV2(r *refund, _ *delivery, _ time.Time) ([]byte, error) {
	plain := r.notificationFields().fields().XML()
	plain = bytes.Replace(plain, []byte("<xml>"), []byte("<root>"), 1)
	plain = append(bytes.TrimSuffix(plain, []byte("</xml>")), "</root>"...)
	f := r.notificationNames().fields()
	f["req_info"] = s.keys.apiKeyV2.SealReqInfo(plain)
	return f.XML(), nil
}

// notificationCloudPay is what CloudPay calls the function with that the application
// has named: v2's fields in camel case, all in one object.
func (s *Sandbox) notificationCloudPay(r *refund, _ *delivery, _ time.Time) ([]byte, error) {
	out := map[string]any{}
	for _, m := range []message{r.notificationFields(), r.notificationNames()} {
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

// objectionV2 wants v2's own acknowledgement.
func objectionV2(status int, answer []byte) string {
	if status != http.StatusOK {
		return fmt.Sprintf("status %d instead of 200", status)
	}
	if f, err := wxpay.ParseFields(answer, "xml"); err != nil || f["return_code"] != "SUCCESS" {
		return "the answer is not XML whose return_code is SUCCESS"
	}
	return ""
}

// objectionTemplate wants what the template's document wants of each function.
func objectionTemplate(status int, answer []byte) string {
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

// objectionCloudPay wants what CloudPay's document wants, which is another thing.
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
