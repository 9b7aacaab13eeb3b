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
// it was made with our API key and nothing more, so it is a hint that nobody
// attests, and the upstream is asked about the refund.
func (h *Handler) v2(ctx context.Context, body []byte) answer {
	out, a := h.readV2(ctx, body)
	if out.OutRefundNo == "" {
		return a
	}
	st, err := h.Refunds.Relayed(ctx, refund.Caller{}, out)
	if err != nil {
		h.Log.ErrorContext(ctx, "unsettled", "out_refund_no", out.OutRefundNo, "error", err)
		return answer{
			status: http.StatusServiceUnavailable, message: "the notification cannot be settled now", xml: true,
			bare: errors.Is(err, refund.ErrNotOurs),
		}
	}
	h.Refunds.Deliver(ctx, out.OutRefundNo)
	h.Log.InfoContext(ctx, "acknowledged", "out_refund_no", out.OutRefundNo, "changed", st.Changed)
	return answer{status: http.StatusOK, message: "OK", xml: true}
}

// readV2 reads what a notification tells, or says why it cannot.
func (h *Handler) readV2(ctx context.Context, body []byte) (out refund.Outcome, a answer) {
	refuse := func(status int, message string, err error) (refund.Outcome, answer) {
		h.Log.WarnContext(ctx, "refused v2 notification", "reason", message, "error", err)
		return refund.Outcome{}, answer{status: status, message: message, xml: true}
	}
	const malformed = "the notification is malformed"
	outer, err := wxpay.ParseFields(body, "xml")
	switch {
	case err != nil:
		return refuse(http.StatusBadRequest, malformed, err)
	case outer["return_code"] != "SUCCESS" || outer["req_info"] == "":
		return refuse(http.StatusBadRequest, malformed, errors.New("no req_info"))
	case outer["mch_id"] != h.Refunds.Merchant.MchID || outer["sub_mch_id"] != h.Refunds.Merchant.SubMchID:
		return refuse(http.StatusBadRequest, anotherMerchant, nil)
	}
	plain, err := h.APIKey.OpenReqInfo(outer["req_info"])
	if err != nil {
		return refuse(http.StatusUnauthorized, "the notification does not open with our key", err)
	}
	inner, err := wxpay.ParseFields(plain, "root")
	if err != nil || inner["out_refund_no"] == "" || !v2Statuses[inner["refund_status"]] {
		return refuse(http.StatusBadRequest, malformed, err)
	}
	fields := make(map[string]any, len(inner))
	for name, value := range inner {
		if value != "" {
			fields[name] = value
		}
	}
	out = outcome(fields, "")
	out.Merchant = h.Refunds.Merchant // the envelope's
	return out, answer{}
}

// v2Statuses are the outcomes that a v2 notification tells.
var v2Statuses = map[string]bool{"SUCCESS": true, "CHANGE": true, "REFUNDCLOSE": true}

// v2 writes an answer on one line: a pretty-printed one is said to cause repeats.
func (a answer) v2() string {
	return "<xml><return_code><![CDATA[" + a.code() + "]]></return_code><return_msg><![CDATA[" + a.message + "]]></return_msg></xml>"
}
