package notify

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"time"

	"wxrefund/shared/refund"
	"wxrefund/shared/wxpay"
)

// A Handler answers the public notification URL and the relays of the platform.
// All fields are required but the secrets of protocols that are not used.
type Handler struct {
	Refunds *refund.Service
	Keys    *wxpay.Keyring // WeChat Pay's keys, which the client of the channel refreshes
	Secret  wxpay.APIv3Key // decrypts the resource of an APIv3 notification
	APIKey  wxpay.APIKey   // decrypts the req_info of a v2 notification
	Log     *slog.Logger

	// Answered is told how each notification was answered: the outcome is one of
	// [Outcomes], and the reason, of what was refused, one of [Reasons]. nil: nobody is told.
	Answered func(outcome, reason string)
}

const (
	// maxNotification bounds a notification, in bytes. A real one has about 900.
	maxNotification = 64 << 10
	// answerWithin bounds the whole work: WeChat Pay waits 5 s.
	answerWithin = 4 * time.Second
)

// ServeHTTP answers one notification. The status tells WeChat Pay whether to
// send it again: 200 with code SUCCESS, and nothing else, ends the repeats.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	ctx, cancel := context.WithTimeout(r.Context(), answerWithin)
	defer cancel()
	// A client that drips its bytes must not keep the function: not every server can set this.
	_ = http.NewResponseController(w).SetReadDeadline(time.Now().Add(answerWithin))

	a := h.answer(ctx, w, r)
	h.answered(a.status == http.StatusOK, a.reason)
	if a.bare {
		w.WriteHeader(a.status)
		return
	}
	kind, body := "application/json", fmt.Sprintf(`{"code":%q,"message":%q}`, a.code(), a.message)
	if a.xml {
		kind, body = "text/xml; charset=utf-8", a.v2()
	}
	w.Header().Set("Content-Type", kind)
	if a.status == http.StatusMethodNotAllowed {
		w.Header().Set("Allow", http.MethodPost)
	}
	w.WriteHeader(a.status)
	_, _ = io.WriteString(w, body) // who has hung up will send it again
}

// An answer is the reply to WeChat Pay.
type answer struct {
	status  int
	message string // short and fixed: nothing of the notification, nothing of the cause
	reason  string // of [Reasons], if it is refused
	xml     bool   // as v2 wants it
	bare    bool   // a wrong configuration: nothing but the status
}

func (a answer) code() string {
	if a.status == http.StatusOK {
		return "SUCCESS"
	}
	return "FAIL"
}

func (h *Handler) answer(ctx context.Context, w http.ResponseWriter, r *http.Request) answer {
	if r.Method != http.MethodPost {
		return answer{status: http.StatusMethodNotAllowed, message: "only POST is answered", reason: reasonMethod}
	}
	if r.ContentLength > maxNotification {
		return answer{status: http.StatusRequestEntityTooLarge, message: "the notification is too large", reason: reasonTooLarge}
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxNotification))
	if err != nil {
		if _, ok := errors.AsType[*http.MaxBytesError](err); ok {
			return answer{status: http.StatusRequestEntityTooLarge, message: "the notification is too large", reason: reasonTooLarge}
		}
		return answer{status: http.StatusBadRequest, message: "the notification broke off", reason: reasonBrokenOff}
	}
	if isXML(body) {
		return h.v2(ctx, body)
	}
	if err := h.Keys.Verify(ctx, r.Header, body); err != nil {
		return h.refuse(ctx, err)
	}
	out, err := h.read(ctx, body)
	if err != nil {
		// Verified and yet unreadable: WeChat Pay sent something that we do not
		// understand, or our APIv3 key is wrong. Either needs a person.
		h.Log.ErrorContext(ctx, "alarm", "alarm", "notification_unreadable", "why", "a verified notification cannot be read", "error", err)
		h.Refunds.KeepAlarm(ctx, "notify", "notification_unreadable", "a verified notification cannot be read: WXPAY_APIV3_KEY may be wrong")
		return answer{status: http.StatusBadRequest, message: "the notification is malformed", reason: reasonUnreadable}
	}
	if ours := h.Refunds.Merchant; out.Merchant.MchID == ours.MchID && out.Merchant.SubMchID != ours.SubMchID {
		// A service provider's address gets the notifications of all its sub-merchants.
		// This one is genuine, and sending it again will not make it ours. (Another
		// provider's number means that something is wrong here: Settle raises an alarm.)
		h.Log.WarnContext(ctx, "refused another merchant", "out_refund_no", out.OutRefundNo, "event_id", out.EventID, "sub_mchid", out.Merchant.SubMchID)
		return answer{status: http.StatusBadRequest, message: anotherMerchant, reason: reasonMerchant}
	}
	if err := h.settle(ctx, out, h.Refunds.SettleAndDeliver); err != nil {
		return unsettled(err)
	}
	return answer{status: http.StatusOK, message: "成功"}
}

// unsettled answers a notification whose outcome could not be made durable.
func unsettled(err error) answer {
	return answer{status: http.StatusServiceUnavailable, message: notSettled, bare: errors.Is(err, refund.ErrNotOurs)}
}

const anotherMerchant = "the notification is about another merchant"

// refuse answers a notification whose signature does not hold.
func (h *Handler) refuse(ctx context.Context, err error) answer {
	for _, c := range []struct {
		err    error
		reason string
	}{
		{wxpay.ErrProbe, reasonProbe},
		{wxpay.ErrHeader, reasonHeader},
		{wxpay.ErrStale, reasonStale},
		{wxpay.ErrUnknownKey, reasonUnknownKey},
		{wxpay.ErrSignature, reasonSignature},
	} {
		if errors.Is(err, c.err) {
			// The error of a stale one tells how many seconds it is off: if that is
			// alike in all, it is this machine's clock that is wrong.
			h.Log.WarnContext(ctx, "refused signature", "reason", c.reason, "error", err)
			return answer{status: http.StatusUnauthorized, message: "the signature is missing, stale or wrong", reason: c.reason}
		}
	}
	h.Log.ErrorContext(ctx, "unverified", "error", err)
	return answer{status: http.StatusServiceUnavailable, message: "the signature cannot be verified now"}
}

// events gives the status that each event type stands for. Payments and whatever
// else WeChat Pay may send here are not ours to acknowledge: their receiver would
// never get them.
func events() map[string]refund.Status {
	return map[string]refund.Status{
		"REFUND.SUCCESS":  refund.StatusSuccess,
		"REFUND.ABNORMAL": refund.StatusAbnormal,
		"REFUND.CLOSED":   refund.StatusClosed,
	}
}

// read opens a verified notification.
func (h *Handler) read(ctx context.Context, body []byte) (refund.Outcome, error) {
	envelope, err := wxpay.ParseNotification(body)
	if err != nil {
		return refund.Outcome{}, err
	}
	status, ok := events()[envelope.EventType]
	if !ok {
		return refund.Outcome{}, fmt.Errorf("notify: event_type is not that of a refund")
	}
	plain, err := h.Secret.Open(envelope.Resource)
	if err != nil {
		return refund.Outcome{}, err
	}
	opened, err := wxpay.ParseRefundNotification(plain)
	if err != nil {
		return refund.Outcome{}, err
	}
	if refund.Status(opened.RefundStatus) != status {
		return refund.Outcome{}, fmt.Errorf("notify: refund_status and event_type differ")
	}
	if left := strings.Trim(envelope.LeftOut+", "+opened.LeftOut, ", "); left != "" { // by name: a value may be somebody's
		h.Log.WarnContext(ctx, "left out", "out_refund_no", opened.OutRefundNo, "fields", strings.Split(left, ", "))
	}
	return refund.Outcome{
		Source:      refund.Notification,
		EventID:     envelope.ID,
		OutRefundNo: opened.OutRefundNo,
		Merchant:    refund.Merchant{MchID: cmp.Or(opened.MchID, opened.SpMchID), SubMchID: opened.SubMchID},
		Refund: refund.Refund{
			RefundID:            opened.RefundID,
			OutRefundNo:         opened.OutRefundNo,
			TransactionID:       opened.TransactionID,
			OutTradeNo:          opened.OutTradeNo,
			UserReceivedAccount: opened.UserReceivedAccount,
			SuccessTime:         opened.SuccessTime,
			Status:              status,
			Amount: refund.Amount{
				Total:       opened.Amount.Total,
				Refund:      opened.Amount.Refund,
				PayerTotal:  opened.Amount.PayerTotal,
				PayerRefund: opened.Amount.PayerRefund,
			},
		},
	}, nil
}
