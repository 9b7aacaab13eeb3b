package notify

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"runtime/debug"

	"wxrefund/shared/refund"
	"wxrefund/shared/strictjson"
	"wxrefund/shared/wxpay"
)

// Invoke answers a direct invocation: a relay of the platform that hands on a
// notification which it has opened. Nothing in it is signed, so who called is
// all there is to judge it by, and even then it is only a hint: the upstream is
// asked about the refund, and what it answers is settled.
//
// Under which source the platform's own relays call is not documented, so a source
// that nobody has listed may relay, too. Clients may not, nor may callers without one.
//
// The relays disagree on the field that means success, so the reply has all of them.
func (h *Handler) Invoke(ctx context.Context, caller refund.Caller, event []byte) (reply []byte) {
	ctx, cancel := context.WithTimeout(ctx, answerWithin)
	defer cancel()
	defer func() {
		if p := recover(); p != nil {
			h.Log.ErrorContext(ctx, "panic", "type", fmt.Sprintf("%T", p), "stack", string(debug.Stack()))
			h.answered(false, "")
			reply = union(notSettled)
		}
	}()
	failure, reason := h.relay(ctx, caller, event)
	h.answered(failure == "", reason)
	return union(failure)
}

// relay takes up what a relay brings. The failure is what it is answered, "" if it was
// settled, and the reason, if it is refused, one of [Reasons].
func (h *Handler) relay(ctx context.Context, caller refund.Caller, event []byte) (failure, reason string) {
	if caller.Kind != refund.Server && caller.Kind != refund.Unlisted {
		h.Log.WarnContext(ctx, "denied", "caller", caller, "source", caller.Source)
		return "this caller may not notify", reasonCaller
	}
	out, err := relayed(event)
	if err != nil {
		h.Log.WarnContext(ctx, "refused relay", "error", err)
		return "the notification is malformed", reasonMalformed
	}
	out, ours := h.ours(out)
	if !ours {
		h.Log.WarnContext(ctx, "refused another merchant", "out_refund_no", out.OutRefundNo, "sub_mchid", out.Merchant.SubMchID)
		return anotherMerchant, reasonMerchant
	}
	if h.settle(ctx, out, h.confirm(caller)) != nil {
		return notSettled, ""
	}
	return "", ""
}

// ours completes the merchant of a relay, which names less of it than a signed
// notification does, and reports whether that can be us: a sub-merchant, if named,
// must be ours. Under another provider's number the outcome loses its status, and
// only says which refund to ask about.
func (h *Handler) ours(out refund.Outcome) (refund.Outcome, bool) {
	named, ours := out.Merchant, h.Refunds.Merchant
	if named.SubMchID != "" && named.SubMchID != cmp.Or(ours.SubMchID, ours.MchID) {
		return out, false
	}
	out.Merchant = refund.Merchant{MchID: cmp.Or(named.MchID, ours.MchID), SubMchID: ours.SubMchID}
	if out.Merchant != ours {
		out.Refund.Status = ""
	}
	return out, true
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

// relayed reads a relayed notification. The relays have opened it and pass it on,
// each in its own shape:
//
//	A  {event_type, resource: {…}}                the CloudBase template, in either case of names, or flat
//	B  {resource: {original_type: "refund", json: {…}}}
//	C  {ParsedContent: {…}, ParsedNotify: {event_type}}   the integration centre
//	E  {returnCode, outRefundNo, refundStatus, …}         CloudPay
//
// Only a number and a status must be there; see [outcome] for the rest.
func relayed(event []byte) (refund.Outcome, error) {
	if len(event) > maxNotification {
		return refund.Outcome{}, errors.New("notify: the event is too large")
	}
	notification := object(event)
	if notification == nil {
		return refund.Outcome{}, errors.New("notify: the event is no JSON object")
	}
	notice := child(notification, "parsed_notify")
	kind := cmp.Or(text(notification, "event_type"), text(notice, "event_type"), text(child(notification, "raw_data"), "event_type"))
	status, ok := events()[kind]
	if kind != "" && !ok {
		return refund.Outcome{}, errors.New("notify: event_type is not that of a refund")
	}
	resource := child(notification, "resource")
	if text(resource, "ciphertext") != "" {
		return refund.Outcome{}, errors.New("notify: the event is sealed; its place is the public URL, where its signature is verified")
	}
	for _, place := range []map[string]any{child(resource, "json"), resource, child(notification, "parsed_content"), notification} {
		if text(place, "out_refund_no") != "" && (kind != "" || text(place, "refund_status") != "") {
			return outcome(place, status), nil
		}
	}
	return refund.Outcome{}, errors.New("notify: the event is about no refund")
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

// object reads a JSON object, its names in snake case and its numbers as they are
// written; nil if it is none.
func object(b []byte) map[string]any {
	v, _ := strictjson.Parse(b, strictjson.Options{KeepLast: true, Mend: true})
	m, _ := wxpay.SnakeNames(v).(map[string]any)
	return m
}

func text(parent map[string]any, name string) string {
	s, _ := parent[name].(string)
	return s
}
