package channel

import (
	"cmp"
	"context"
	"encoding/json"
	"log/slog"
	"net/http"
	"strconv"
	"strings"
	"time"

	"wxrefund/shared/cloudbase"
	"wxrefund/shared/refund"
	"wxrefund/shared/wxpay"
)

// CloudBase carries refunds through cloudbase_module, the function behind the
// CloudBase payment template (CloudBase template, wxpay_refund).
type CloudBase struct {
	Gateway *cloudbase.Gateway
	Log     *slog.Logger // is told which fields of an answer could not be read; nil: nobody is

	// Bills is a client of APIv3 with the merchant's own keys: the module knows no bill.
	// Nil: there are no bills.
	Bills    *wxpay.Client
	SubMchID string // of a service provider only
}

// Refund submits the request once. The module takes a refund's fields flat.
func (c *CloudBase) Refund(ctx context.Context, req refund.Request) (refund.Refund, error) {
	return c.call(ctx, "wxpay_refund", req, req.OutRefundNo)
}

// Query asks about one refund. The module takes a query's fields inside params.
func (c *CloudBase) Query(ctx context.Context, l refund.Lookup) (refund.Page, error) {
	params := map[string]any{"params": map[string]string{"out_refund_no": l.OutRefundNo}}
	return single(c.call(ctx, "wxpay_refund_query", params, l.OutRefundNo))
}

// Order asks about an order, by one of two methods. The module says of itself whose orders
// it sees; what its answer tells of the merchant must be ours, as far as we know it.
func (c *CloudBase) Order(ctx context.Context, l refund.Lookup) (refund.PaidOrder, error) {
	by, err := orderBy(l, byNumbers())
	if err != nil {
		return refund.PaidOrder{}, err
	}
	answer, err := c.invoke(ctx, "wxpay_query_order_by_"+by.name, map[string]string{by.name: by.value})
	if err != nil {
		return refund.PaidOrder{}, aboutOrder(err)
	}
	got, left, err := readModuleOrder(answer)
	if err != nil {
		return refund.PaidOrder{}, err
	}
	leftOutOf(ctx, c.Log, by, left)
	var mchID string
	if c.Bills != nil {
		mchID = c.Bills.Signer.MchID
	}
	for _, of := range [][2]string{{got.of.mchID, mchID}, {got.of.spMchID, mchID}, {got.of.subMchID, c.SubMchID}} {
		if of[1] != "" && !absentOr(of[0], of[1]) {
			return refund.PaidOrder{}, orderUnknown("CloudBase's answer is about another merchant", nil)
		}
	}
	return checkedOrder(got.PaidOrder, by)
}

// readModuleOrder reads the module's answer about an order.
func readModuleOrder(answer []byte) (got v3Order, left []string, err error) {
	object, err := moduleObject(answer, holdsOrder, apiv3OrderErrors())
	if err != nil {
		return v3Order{}, nil, aboutOrder(err)
	}
	b, err := json.Marshal(object)
	if err != nil {
		return v3Order{}, nil, err
	}
	if got, left, err = readOrder(b); err != nil {
		return v3Order{}, nil, orderUnknown("CloudBase's answer is no order", err)
	}
	return got, left, nil
}

// holdsOrder tells an order from what it is wrapped in.
func holdsOrder(object map[string]any) bool {
	_, ok := object["trade_state"].(string)
	return ok
}

// Bill fetches a bill over APIv3, if there are keys for it.
func (c *CloudBase) Bill(ctx context.Context, q refund.BillQuery) (*refund.Bill, error) {
	if c.Bills == nil {
		return nil, refund.ErrNoBill
	}
	return apiv3Bill(ctx, c.Bills, c.SubMchID, q)
}

// Spec says what the module carries: what APIv3 carries behind it, with the
// template's shorter list of characters.
func (c *CloudBase) Spec() refund.Spec {
	s := apiv3Spec()
	s.Name, s.NumberChars = "cloudbase", "_-"
	if c.Bills != nil {
		s.Bills, s.BillAccounts = apiv3Bills(c.SubMchID)
	}
	return s
}

func (c *CloudBase) call(ctx context.Context, method string, data any, outRefundNo string) (refund.Refund, error) {
	answer, err := c.invoke(ctx, method, data)
	if err != nil {
		return refund.Refund{}, err
	}
	got, left, err := readModule(answer)
	if err != nil {
		return refund.Refund{}, err
	}
	if got.OutRefundNo != "" && got.OutRefundNo != outRefundNo {
		return refund.Refund{}, unknown("CloudBase's answer is about another refund", nil)
	}
	got.OutRefundNo = outRefundNo
	leftOut(ctx, c.Log, outRefundNo, left)
	return got, nil
}

// invoke calls a method of the module.
func (c *CloudBase) invoke(ctx context.Context, method string, data any) ([]byte, error) {
	event, err := json.Marshal(map[string]any{"name": method, "data": data})
	if err != nil {
		return nil, err
	}
	answer, err := c.Gateway.Invoke(ctx, "cloudbase_module", event)
	if err != nil {
		return nil, unanswered(err)
	}
	return answer, nil
}

// readModule reads the module's answer about a refund.
func readModule(answer []byte) (got refund.Refund, left []string, err error) {
	object, err := moduleObject(answer, holdsRefund, apiv3Errors())
	if err != nil {
		return refund.Refund{}, nil, err
	}
	return readObject(object)
}

// moduleObject finds what the module was asked for in its answer, in any of the shapes
// that its users report: {code: 0, data: {…}}, the object bare, snake or camel case; a
// failure as errcode and errmsg, as a number or a text in code, with a text that
// is itself JSON, or hidden inside code 0.
func moduleObject(answer []byte, holds func(object map[string]any) bool, table map[string]meaning) (map[string]any, error) {
	v, err := decodeJSON(answer)
	if err != nil {
		return nil, unknown("CloudBase's answer is not JSON", err)
	}
	var f failure
	for range 5 { // as many wrappings as there can be
		object, ok := v.(map[string]any)
		if !ok {
			break
		}
		f.note(object)
		if !f.failed && holds(object) {
			return object, nil
		}
		v = nil
		for _, name := range []string{"data", "result", "error"} {
			if inner, ok := object[name].(map[string]any); ok {
				v = inner
				break
			}
		}
	}
	if f.failed {
		return nil, f.error(table)
	}
	return nil, unknown("CloudBase's answer holds no result", nil)
}

// holdsRefund tells a refund object from what it is wrapped in. A query's answer
// may be reduced to the refund's number and status.
func holdsRefund(object map[string]any) bool {
	if _, ok := object["amount"].(map[string]any); ok {
		return true
	}
	for _, name := range []string{"refund_id", "out_refund_no"} {
		if _, ok := object[name].(string); ok {
			return object["status"] != nil || object["refund_status"] != nil
		}
	}
	return false
}

// A failure is what an answer says of one, from the outside to the inside: the
// more exact is within.
type failure struct {
	failed     bool
	status     int // WeChat Pay's HTTP status, where it is passed on; 0: it is not
	code, text string
}

// note adds what one object of the answer says.
func (f *failure) note(object map[string]any) {
	var number, code, text string
	for _, name := range []string{"errcode", "err_code", "code"} {
		switch c := object[name].(type) {
		case json.Number:
			if c.String() != "0" {
				number = c.String()
			}
		case string:
			if c != "" && c != "0" && c != "SUCCESS" && c != "PROCESSING" {
				code = c
			}
		case bool:
			f.failed = f.failed || c // a code that is told in two ways, one of which may be a failure
		}
	}
	// The integration centre's function passes WeChat Pay's HTTP status on, and
	// calls it a success.
	if s, ok := object["status"].(json.Number); ok && s.String() != "200" {
		f.failed, f.status = true, -1 // until it is read, none that makes anything certain
		if n, err := strconv.Atoi(s.String()); err == nil {
			f.status = n
		}
	}
	if f.failed = f.failed || number != "" || code != ""; !f.failed {
		return
	}
	for _, name := range []string{"errmsg", "err_msg", "msg", "message", "error"} {
		if s, ok := object[name].(string); ok && text == "" {
			text = s
		}
	}
	var inner struct{ Code, Message string }
	if strings.HasPrefix(text, "{") && json.Unmarshal([]byte(text), &inner) == nil && inner.Code != "" {
		code, text = inner.Code, inner.Message
	}
	if code = cmp.Or(code, number); code != "" {
		f.code, f.text = code, text
	}
}

// error: only a code of the table, APIv3's, is certain, and only where no HTTP status
// contradicts it. A number, or a text such as "http请求失败", does not say whether
// WeChat Pay has heard of the refund.
func (f *failure) error(table map[string]meaning) *refund.Error {
	code := printable(f.code, 64)
	status := f.status
	if status == 0 { // it is the one that APIv3 has with this code
		status = http.StatusBadRequest
		if table[code].code == refund.CodeNotFound {
			status = http.StatusNotFound
		}
	}
	if m, ok := apiv3Refusal(table, status, code); ok {
		return m.refusal(code, "WeChat Pay refused: "+cmp.Or(printable(f.text, 200), code))
	}
	e := unknown("CloudBase gave no result", nil)
	e.Upstream = code
	if f.status == http.StatusTooManyRequests || code == "FREQUENCY_LIMITED" || code == "RATELIMIT_EXCEEDED" {
		e.Next, e.RetryAfter = refund.Later, time.Minute
	}
	return e
}

// readObject reads a refund object whose names are snake case by now.
func readObject(o map[string]any) (refund.Refund, []string, error) {
	status := o["status"]
	if status == nil {
		status = o["refund_status"] // one of the template's texts calls it so
	}
	if s, ok := status.(string); ok && v2Status()[s] != "" {
		status = v2Status()[s] // and may speak v2's words
	}
	o["status"] = status
	b, err := json.Marshal(o)
	if err != nil {
		return refund.Refund{}, nil, err
	}
	got, left, err := readRefund(b)
	if err != nil {
		return refund.Refund{}, nil, unknown("CloudBase's answer is no refund object", err)
	}
	// The amount may be left out, but not be nothing.
	if o["amount"] != nil && got.Amount.Refund < 1 {
		return refund.Refund{}, nil, unknown("CloudBase's answer has no amount that can be understood", nil)
	}
	return got, left, nil
}
