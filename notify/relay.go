package notify

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"runtime/debug"

	"wxrefund/shared/refund"
	"wxrefund/shared/wxpay"
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
	h.Refunds.Deliver(ctx, no)
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

// hint reads which refund a relayed event is about. The relays have opened the
// letter and pass it on, each in its own shape:
//
//	A  {event_type, resource: {…}}                the CloudBase template, in either case of names, or flat
//	B  {resource: {original_type: "refund", json: {…}}}
//	C  {ParsedContent: {…}, ParsedNotify: {event_type}}   the integration centre
//	E  {returnCode, outRefundNo, refundStatus, …}         CloudPay
//
// Since it is only a hint, the number is all that is read of it.
func hint(event []byte) (string, error) {
	if len(event) > maxLetter {
		return "", errors.New("notify: the event is too large")
	}
	letter := object(event)
	if letter == nil {
		return "", errors.New("notify: the event is no JSON object")
	}
	notice := child(letter, "parsed_notify")
	kind := cmp.Or(text(letter, "event_type"), text(notice, "event_type"), text(child(letter, "raw_data"), "event_type"))
	if _, ok := events()[kind]; kind != "" && !ok {
		return "", errors.New("notify: event_type is not that of a refund")
	}
	resource := child(letter, "resource")
	if text(resource, "ciphertext") != "" {
		return "", errors.New("notify: the event is sealed; its place is the public URL, where its signature is verified")
	}
	for _, place := range []map[string]any{child(resource, "json"), resource, child(letter, "parsed_content"), letter} {
		no, status := text(place, "out_refund_no"), text(place, "refund_status")
		if no != "" && (kind != "" || status != "") {
			return no, nil
		}
	}
	return "", errors.New("notify: the event tells of no refund")
}

// child is an object inside an object, or the JSON text of one; nil if there is none.
func child(parent map[string]any, name string) map[string]any {
	switch v := parent[name].(type) {
	case map[string]any:
		return v
	case string:
		return object([]byte(v))
	}
	return nil
}

// object reads a JSON object, its names in snake case; nil if it is none.
func object(b []byte) map[string]any {
	var v any
	if json.Unmarshal(b, &v) != nil {
		return nil
	}
	m, _ := wxpay.SnakeNames(v).(map[string]any)
	return m
}

func text(parent map[string]any, name string) string {
	s, _ := parent[name].(string)
	return s
}
