package wxpayfunctions

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"math"
	"runtime/debug"
	"slices"
	"strings"
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

// A route is one value of type and what answers it.
type route struct {
	name   string
	answer func(h *Handler, ctx context.Context, caller refund.Caller, d *decoder, event object) (any, error)
}

// routes is the whole dispatch table: a new type is a new row.
func routes() []route {
	return []route{
		{refundType, (*Handler).refund},
		{"wxpay_refund_query", (*Handler).query},
	}
}

const refundType = "wxpay_refund"

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
		if e.Code != refund.CodeDenied { // which is on record with who was denied
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
	if err := h.refunds.Admit(ctx, caller); err != nil {
		return nil, err
	}
	o, err := readObject(event)
	if err != nil {
		return nil, err
	}
	name := d.eventType(o)
	if d.wrong["type"] {
		return nil, d.err()
	}
	var names []string
	for _, row := range routes() {
		if row.name != name {
			names = append(names, row.name)
			continue
		}
		return row.answer(h, ctx, caller, d, o)
	}
	served := strings.Join(names, " or ")
	if slices.Contains(templateTypes(), name) {
		d.report("type", fmt.Sprintf("type must be %s, since this function does refunds only: for %s see %q in its README", served, name, migration))
	} else {
		d.report("type", "type must be "+served)
	}
	return nil, d.err()
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

// migration is the section of README for whoever comes from CloudBase's payment template.
const migration = "Migrating from the JavaScript template"

// templateTypes are what the function of CloudBase's payment template answers and
// ours does not: those of the template itself, then those of its successor, the
// integration centre's pay-common.
func templateTypes() []string {
	return []string{
		"wxpay_order", "wxpay_query_order_by_out_trade_no", "wxpay_query_order_by_transaction_id",
		"wxpay_order_h5", "wxpay_order_native", "wxpay_order_app", "wxpay_close_order",
		"wxpay_transfer", "wxpay_transfer_bill_query", "wxpay_transfer_bill_query_by_no",
		"unifiedOrderTrigger", "refundTrigger", "transferTrigger",
	}
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

// envelope is what the mini-program sees as res.result.
type envelope struct {
	Code       int    `json:"code"`
	Data       any    `json:"data,omitempty"`
	ErrCode    string `json:"err_code,omitempty"`
	Message    string `json:"message,omitempty"`
	Retry      string `json:"retry,omitempty"`
	RetryAfter int64  `json:"retry_after,omitempty"` // seconds
}

// codes gives each domain code its number and its name in WeChat Pay's spelling,
// which an upstream's own code replaces.
func codes() map[refund.Code]envelope {
	return map[refund.Code]envelope{
		refund.CodeInvalid:     {Code: 400, ErrCode: "PARAM_ERROR"},
		refund.CodeDenied:      {Code: 403, ErrCode: "NOAUTH"},
		refund.CodeNotFound:    {Code: 404, ErrCode: "REFUNDNOTEXIST"},
		refund.CodeConflict:    {Code: 409, ErrCode: "INVALID_REQUEST"},
		refund.CodeRejected:    {Code: 422, ErrCode: "INVALID_REQUEST"},
		refund.CodeLimited:     {Code: 429, ErrCode: "FREQUENCY_LIMITED"},
		refund.CodeInternal:    {Code: 500, ErrCode: "SYSTEMERROR"},
		refund.CodeUnavailable: {Code: 503, ErrCode: "SYSTEMERROR"},
	}
}

// retries says what a caller may do next. What must be corrected first is not
// worth repeating as it is.
func retries() map[refund.Next]string {
	return map[refund.Next]string{
		refund.Never:      "never",
		refund.AfterFix:   "never",
		refund.SameNumber: "same_number",
		refund.Later:      "later",
		refund.LaterOrFix: "later",
		refund.NewNumber:  "new_number",
	}
}

func encode(data any, err error) []byte {
	env := envelope{Data: data}
	if got, ok := data.(refund.Refund); ok && got.Status == refund.StatusClosed {
		env.Retry = retries()[refund.NewNumber] // the number is used up, and no money was moved
	}
	if err != nil {
		e := refund.AsError(err)
		env = codes()[e.Code]
		if e.Upstream != "" {
			env.ErrCode = e.Upstream
		}
		env.Message, env.Retry = e.Message, retries()[e.Next]
		if e.RetryAfter > 0 {
			env.RetryAfter = int64(math.Ceil(e.RetryAfter.Seconds()))
		}
	}
	b, err := json.Marshal(env)
	if err != nil { // every reply type encodes; this is a defect, and the caller still needs JSON
		return []byte(`{"code":500,"err_code":"SYSTEMERROR","message":"internal error","retry":"same_number"}`)
	}
	return b
}
