package simulation_test

import (
	"encoding/json"
	"net/http"
)

// opensTemplate: CloudBase's template hands on a notification that it has opened. Who
// calls is all that vouches for it, so it comes by direct invocation or not at all.
func opensTemplate(_ *world, l notification) (no, status string, believed trust) {
	var told struct {
		Resource struct {
			OutRefundNo  string `json:"out_refund_no"`
			RefundStatus string `json:"refund_status"`
		}
	}
	if json.Unmarshal(l.body, &told) != nil || !l.relayed {
		return "", "", forged
	}
	return told.Resource.OutRefundNo, told.Resource.RefundStatus, hinted
}

// opensCloudPay is the same of CloudPay's callback.
func opensCloudPay(_ *world, l notification) (no, status string, believed trust) {
	if !l.relayed {
		return "", "", forged
	}
	return text(l.body, "outRefundNo"), fromV2(text(l.body, "refundStatus")), hinted
}

// forgesRelay are what a relay says, posted to the public URL, and a notification of
// APIv3, which nothing here can verify.
func forgesRelay(w *world, no, status string) []notification {
	return []notification{
		{id: "posted", header: http.Header{"Content-Type": {"application/json"}}, body: w.history.system().hint(no, status)},
		w.invent(no, status),
	}
}

// accepts reports whether a reply to a relay acknowledges: the relays look at
// different fields, so that each must say so.
func accepts(reply []byte) bool {
	var told struct {
		Code    string
		ErrCode *int
	}
	return json.Unmarshal(reply, &told) == nil && told.Code == "SUCCESS" && told.ErrCode != nil && *told.ErrCode == 0
}
