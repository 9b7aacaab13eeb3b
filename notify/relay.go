package notify

import (
	"context"
	"encoding/json"
	"fmt"
	"runtime/debug"

	"wxrefund/shared/refund"
)

// Invoke answers a direct invocation: a relay of the platform that hands on a
// notification which it has opened. Nothing in it is signed, so who called is
// all there is to judge it by, and even then it is only a hint: the upstream is
// asked about the refund, and what it answers is settled.
//
// The relays disagree on the field that means success, so the reply has all of them.
func (h *Handler) Invoke(ctx context.Context, caller refund.Caller, event []byte) (reply []byte) {
	ctx, cancel := context.WithTimeout(ctx, answerWithin)
	defer cancel()
	defer func() {
		if p := recover(); p != nil {
			h.Log.ErrorContext(ctx, "panic", "type", fmt.Sprintf("%T", p), "stack", string(debug.Stack()))
			reply = union("the notification cannot be settled now")
		}
	}()
	if caller.Kind != refund.Server {
		h.Log.WarnContext(ctx, "denied", "caller", caller)
		return union("this caller may not notify")
	}
	no, err := hint(event)
	if err != nil {
		h.Log.WarnContext(ctx, "refused relay", "error", err)
		return union("the notification is malformed")
	}
	st, err := h.Refunds.Confirm(ctx, no)
	if err != nil {
		h.Log.ErrorContext(ctx, "unsettled", "out_refund_no", no, "error", err)
		return union("the notification cannot be settled now")
	}
	h.Log.InfoContext(ctx, "acknowledged", "out_refund_no", no, "changed", st.Changed)
	return union("")
}

// union is the reply to a relay: success without a failure, else why not.
func union(failure string) []byte {
	reply := struct {
		Code    string `json:"code"`
		Message string `json:"message"`
		ErrCode int    `json:"errcode"`
		ErrMsg  string `json:"errmsg"`
	}{"SUCCESS", "成功", 0, "SUCCESS"}
	if failure != "" {
		reply.Code, reply.Message, reply.ErrCode, reply.ErrMsg = "FAIL", failure, 1, failure
	}
	b, err := json.Marshal(reply)
	if err != nil {
		panic(err) // a struct of strings
	}
	return b
}

// hint reads which refund a relayed event is about: an envelope as APIv3 sends
// it, with the resource already opened (the CloudBase template).
func hint(event []byte) (string, error) {
	if len(event) > maxLetter {
		return "", fmt.Errorf("notify: the event is too large")
	}
	var e struct {
		EventType string `json:"event_type"`
		Resource  struct {
			Ciphertext  string `json:"ciphertext"`
			OutRefundNo string `json:"out_refund_no"`
		} `json:"resource"`
	}
	if err := json.Unmarshal(event, &e); err != nil {
		return "", fmt.Errorf("notify: the event is no notification: %w", err)
	}
	if _, ok := events()[e.EventType]; !ok {
		return "", fmt.Errorf("notify: event_type is not that of a refund")
	}
	switch {
	case e.Resource.Ciphertext != "":
		return "", fmt.Errorf("notify: the event is sealed; its place is the public URL, where its signature is verified")
	case e.Resource.OutRefundNo == "":
		return "", fmt.Errorf("notify: the event names no out_refund_no")
	}
	return e.Resource.OutRefundNo, nil
}
