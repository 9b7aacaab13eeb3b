package deliver

import (
	"fmt"
	"time"

	"wxrefund/shared/refund"
)

// An application is what an event about one tells: as the events of refunds are written,
// under a type that WeChat Pay has not, so that nobody takes it for money that has moved.
// Who applied and who decided is not in it.
type application struct {
	MchID         string                  `json:"mchid"`
	SubMchID      string                  `json:"sub_mchid,omitempty"`
	ApplicationID string                  `json:"application_id"`
	State         refund.ApplicationState `json:"state"`
	OutTradeNo    string                  `json:"out_trade_no,omitempty"`
	TransactionID string                  `json:"transaction_id,omitempty"`
	OutRefundNo   string                  `json:"out_refund_no,omitempty"` // once there is one
	Reason        string                  `json:"reason,omitempty"`
	CreatedAt     string                  `json:"created_at"`
	DecidedAt     string                  `json:"decided_at,omitempty"`
	Amount        applied                 `json:"amount"`
}

// applied is in minor units.
type applied struct {
	Total    int64  `json:"total"`
	Refund   int64  `json:"refund"`
	Currency string `json:"currency"`
}

// applicationSummaries say what has become of an application.
func applicationSummaries() map[refund.ApplicationState]string {
	return map[refund.ApplicationState]string{
		refund.ApplicationPending:   "退款申请待处理",
		refund.ApplicationApproved:  "退款申请已批准",
		refund.ApplicationRejected:  "退款申请已拒绝",
		refund.ApplicationWithdrawn: "退款申请已撤回",
		refund.ApplicationExpired:   "退款申请已过期",
		refund.ApplicationRefunded:  "退款申请已退款",
	}
}

func encodeApplication(e refund.Event, a refund.Application) ([]byte, error) {
	summary, ok := applicationSummaries()[a.State]
	if !ok {
		return nil, fmt.Errorf("deliver: there is no event of an application that is %s", a.State)
	}
	return encode(e, "REFUND_APPLICATION."+string(a.State), summary, application{
		MchID: e.Merchant.MchID, SubMchID: e.Merchant.SubMchID,
		ApplicationID: a.ID, State: a.State, OutTradeNo: a.OutTradeNo, TransactionID: a.TransactionID, OutRefundNo: a.OutRefundNo,
		Reason: a.Reason, CreatedAt: stamp(a.CreatedAt), DecidedAt: stampIf(a.DecidedAt),
		Amount: applied{a.Amount.Total, a.Amount.Refund, a.Amount.Currency},
	})
}

// stampIf is "" of a time that has not come.
func stampIf(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return stamp(t)
}
