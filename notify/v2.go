package notify

import (
	"bytes"
	"context"
	"errors"
	"net/http"

	"wxrefund/shared/refund"
	"wxrefund/shared/wxpay"
)

// isXML tells a v2 notification from an APIv3 one by its first character. WeChat Pay
// sends v2 notifications to the same URL, for v2 refunds and, as users report, for
// those made by hand on the merchant platform.
func isXML(body []byte) bool { return bytes.HasPrefix(bytes.TrimLeft(body, " \t\r\n"), []byte("<")) }

// v2 answers a v2 notification. It has no signature: that its req_info opens shows that
// it was made with our API key and nothing more, so it is a hint without a caller to
// attest it, and the upstream is asked about the refund.
func (h *Handler) v2(ctx context.Context, body []byte) answer {
	out, a := h.readV2(ctx, body)
	if out.OutRefundNo == "" {
		return a
	}
	if err := h.settle(ctx, out, h.confirm(refund.Caller{})); err != nil {
		a = unsettled(err)
		a.xml = true
		return a
	}
	return answer{status: http.StatusOK, message: "OK", xml: true}
}

// readV2 reads a notification, or gives the answer that refuses it.
func (h *Handler) readV2(ctx context.Context, body []byte) (out refund.Outcome, a answer) {
	refuse := func(status int, message, reason string, err error) (refund.Outcome, answer) {
		h.Log.WarnContext(ctx, "refused v2 notification", "reason", message, "error", err)
		return refund.Outcome{}, answer{status: status, message: message, reason: reason, xml: true}
	}
	const malformed = "the notification is malformed"
	outer, err := wxpay.ParseFields(body, "xml")
	switch {
	case err != nil:
		return refuse(http.StatusBadRequest, malformed, reasonMalformed, err)
	case outer["return_code"] != "SUCCESS" || outer["req_info"] == "":
		return refuse(http.StatusBadRequest, malformed, reasonMalformed, errors.New("no req_info"))
	case outer["mch_id"] != h.Refunds.Merchant.MchID || outer["sub_mch_id"] != h.Refunds.Merchant.SubMchID:
		return refuse(http.StatusBadRequest, anotherMerchant, reasonMerchant, nil)
	}
	plain, err := h.APIKey.OpenReqInfo(outer["req_info"])
	if err != nil {
		return refuse(http.StatusUnauthorized, "the notification does not open with our key", reasonAPIKey, err)
	}
	inner, err := wxpay.ParseFields(plain, "root")
	if err != nil || inner["out_refund_no"] == "" || !v2Statuses[inner["refund_status"]] {
		return refuse(http.StatusBadRequest, malformed, reasonMalformed, err)
	}
	fields := make(map[string]any, len(inner))
	for name, value := range inner {
		if value != "" {
			fields[name] = value
		}
	}
	out = outcome(fields, "")
	out.Merchant = h.Refunds.Merchant // as the envelope names it
	return out, answer{}
}

// v2Statuses are the outcomes that a v2 notification may have.
var v2Statuses = map[string]bool{"SUCCESS": true, "CHANGE": true, "REFUNDCLOSE": true}

// v2 writes an answer on one line: a pretty-printed one is said to cause repeats.
func (a answer) v2() string {
	return "<xml><return_code><![CDATA[" + a.code() + "]]></return_code><return_msg><![CDATA[" + a.message + "]]></return_msg></xml>"
}
