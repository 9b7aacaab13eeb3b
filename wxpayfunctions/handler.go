package wxpayfunctions

import (
	"context"
	"fmt"
	"log/slog"
	"runtime/debug"
	"sync"

	"github.com/go-playground/validator/v10"

	"wxrefund/shared/refund"
)

// A Handler is the dispatcher. Make it with [New].
type Handler struct {
	// Replied is told the code of each reply, 0 of one without an error. nil: nobody is told.
	Replied func(code int)

	refunds  *refund.Service
	log      *slog.Logger
	validate func() *validator.Validate // made when the first event is checked, and kept
}

// New returns a dispatcher over the given refunds.
func New(refunds *refund.Service, log *slog.Logger) *Handler {
	return &Handler{refunds: refunds, log: log, validate: sync.OnceValue(newValidator)}
}

// maxEvent bounds an event, in bytes.
const maxEvent = 256 << 10

// Invoke answers one event. It always returns a JSON object; it never fails.
func (h *Handler) Invoke(ctx context.Context, caller refund.Caller, event []byte) (reply []byte) {
	defer func() {
		if p := recover(); p != nil {
			h.log.ErrorContext(ctx, "panic", "value", fmt.Sprint(p), "stack", string(debug.Stack()))
			err := &refund.Error{Code: refund.CodeInternal, Next: refund.SameNumber, Message: "internal error; the log has the details"}
			h.replied(err)
			reply = encode(nil, err)
		}
	}()
	d := newDecoder()
	data, err := h.dispatch(ctx, caller, d, event)
	h.replied(err)
	if err != nil {
		e := refund.AsError(err)
		level := slog.LevelInfo
		if e.Code == refund.CodeInternal || e.Code == refund.CodeUnavailable {
			level = slog.LevelError
		}
		if e.Code != refund.CodeDenied && e.Code != refund.CodeProposed { // which are on record with who was denied, and who proposed
			log := h.log
			if d.outRefundNo != "" {
				log = log.With("out_refund_no", d.outRefundNo)
			}
			log.Log(ctx, level, "refused", "code", e.Code, "upstream", e.Upstream, "message", e.Message, "cause", e.Err)
		}
	}
	return encode(data, err)
}

// replied tells of one reply.
func (h *Handler) replied(err error) {
	switch {
	case h.Replied == nil:
	case err == nil:
		h.Replied(0)
	default:
		h.Replied(codes()[refund.AsError(err).Code].Code)
	}
}

func (h *Handler) dispatch(ctx context.Context, caller refund.Caller, d *decoder, event []byte) (any, error) {
	// First of all, so that whoever may not learns nothing else, whatever they send.
	if !mayBeABuyer(caller) || h.refunds.Policy.Admit(caller) == nil {
		if err := h.refunds.Admit(ctx, caller); err != nil {
			return nil, err
		}
	} else if !forBuyers(event) {
		return nil, h.refunds.Admit(ctx, caller)
	}
	o, err := readObject(event)
	if err != nil {
		return nil, err
	}
	row, err := d.route(o)
	if err != nil {
		return nil, err
	}
	return row.answer(h, ctx, caller, d, o)
}

// readObject reads an event, which is an object.
func readObject(event []byte) (object, error) {
	if len(event) > maxEvent {
		return nil, refuse("the event must have at most %d bytes", maxEvent)
	}
	v, err := parse(event)
	if err != nil {
		return nil, err
	}
	o, ok := v.(object)
	if !ok && v != nil {
		return nil, refuse("the event must be a JSON object, not %s", kind(v))
	}
	return o, nil
}

// ReadRefund returns the refund that an event of the type wxpay_refund asks for, or why
// [Handler.Invoke] would refuse to read it or the channel to carry it: for whoever shows a
// person what will happen before it does. Nothing happens.
func (h *Handler) ReadRefund(event []byte) (refund.Request, error) {
	o, err := readObject(event)
	if err != nil {
		return refund.Request{}, err
	}
	d := newDecoder()
	if name := d.eventType(o); name != refundType {
		d.report("type", "type must be "+refundType)
		return refund.Request{}, d.err()
	}
	req, err := h.readRefund(d, o)
	if err != nil {
		return refund.Request{}, err
	}
	return req, h.refunds.Channel.Spec().Check(req)
}

func (h *Handler) refund(ctx context.Context, caller refund.Caller, d *decoder, event object) (any, error) {
	req, err := h.readRefund(d, event)
	if err != nil {
		return nil, err
	}
	got, err := h.refunds.Refund(ctx, caller, req)
	if err != nil {
		return nil, err
	}
	return got, nil
}

func (h *Handler) readRefund(d *decoder, event object) (req refund.Request, err error) {
	problems := func(s refund.Spec) []refund.Problem { return s.Problems(req) }
	err = h.read(d, event, &req, problems, "data")
	return req, err
}

func (h *Handler) query(ctx context.Context, caller refund.Caller, d *decoder, event object) (any, error) {
	var l refund.Lookup
	problems := func(s refund.Spec) []refund.Problem { return s.LookupProblems(l) }
	if err := h.read(d, event, &l, problems, "data", "params"); err != nil {
		return nil, err
	}
	if l.ByOrder() {
		return h.refunds.QueryOrder(ctx, caller, l)
	}
	return h.refunds.QueryRefund(ctx, caller, l)
}
