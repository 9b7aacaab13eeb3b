package channel

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"log/slog"
	"regexp"
	"strconv"
	"sync"
	"time"

	"wxrefund/shared/cloudbase"
	"wxrefund/shared/refund"
)

// CloudPay carries refunds through CloudBase's payment API (CloudPay.refund,
// CloudPay.queryRefund): v2 without its signatures, which the platform adds.
type CloudPay struct {
	Gateway  *cloudbase.Gateway
	SubMchID string       // the merchant's number
	Callback string       // function that the platform tells of settled refunds; "": none
	Log      *slog.Logger // is told which fields of an answer could not be read; nil: nobody is
}

// Refund submits the request once.
func (c *CloudPay) Refund(ctx context.Context, req refund.Request) (refund.Refund, error) {
	m := v2Request(req)
	if c.Callback != "" {
		m["function_name"], m["env_id"] = c.Callback, c.Gateway.EnvID
	}
	v, err := c.call(ctx, "refund", m, cloudPayRefund)
	if err != nil {
		return refund.Refund{}, err
	}
	got := v.accepted()
	leftOut(ctx, c.Log, req.OutRefundNo, v.left)
	return got, v.about(got.OutRefundNo, req.OutRefundNo)
}

// Query asks by any of the four numbers.
func (c *CloudPay) Query(ctx context.Context, l refund.Lookup) (refund.Page, error) {
	v, err := c.call(ctx, "queryRefund", v2Lookup(l), v2Query)
	if err != nil {
		return refund.Page{}, err
	}
	page, err := v.answer(l)
	leftOut(ctx, c.Log, l.OutRefundNo, v.left)
	return page, err
}

// Order asks about an order (CloudPay.queryOrder).
func (c *CloudPay) Order(ctx context.Context, l refund.Lookup) (refund.PaidOrder, error) {
	return v2OrderOf(ctx, c.Log, l, func(m map[string]any) (*v2, error) { return c.call(ctx, "queryOrder", m, v2OrderQuery) })
}

// Spec says what CloudPay carries.
func (c *CloudPay) Spec() refund.Spec {
	return refund.Spec{
		Name:          "cloudpay",
		NumberChars:   "_-",
		OutRefundNo:   refund.Length{Min: 1, Max: 64},
		OutTradeNo:    refund.Length{Min: 1, Max: 32},
		TransactionID: refund.Length{Min: 1, Max: 32},
		Reason:        refund.Length{Min: 1, Max: 80},
		FundsAccounts: []string{"AVAILABLE", "UNSETTLED"},
		Lookups:       []string{"refund_id", "out_refund_no", "transaction_id", "out_trade_no"},
		OrderLookups:  byNumbers(),
		Bills:         v2Bills(),
		Rate:          150,
		BadRate:       6,
		Pace:          time.Minute, // document 4011984092 of v2, note 8
		Resend:        true,        // the same document: what was refused is sent again under its number
	}
}

func (c *CloudPay) call(ctx context.Context, api string, m map[string]any, of v2Call) (*v2, error) {
	m["sub_mch_id"], m["nonce_str"] = c.SubMchID, rand.Text()
	request, err := json.Marshal(m)
	if err != nil {
		return nil, err
	}
	answer, err := c.Gateway.Pay(ctx, api, request)
	if err != nil {
		return nil, unanswered(err)
	}
	v, err := flatten(answer)
	if err != nil {
		return nil, unknown("CloudPay's answer cannot be read", err)
	}
	if v.fields["return_code"] != "SUCCESS" {
		// The text says why, but no code says whether anything happened.
		return nil, unknown("CloudPay did not carry the request out: "+printable(v.fields["return_msg"], 100), nil)
	}
	if v.odd["sub_mch_id"] || !absentOr(v.fields["sub_mch_id"], c.SubMchID) {
		return nil, unknown("CloudPay's answer is about another merchant", nil)
	}
	if v.fields["result_code"] != "SUCCESS" {
		return nil, v2Error(v.fields, of)
	}
	v.currency = "CNY" // the default of fee_type in both documents
	return v, nil
}

// listName matches what the gateway calls a list of numbered fields: coupon_type
// may come as coupon_type_list or coupon_type_array, refund_channel as itself. It
// is compiled when it is needed: every function would pay for it at its start.
var listName = sync.OnceValue(func() *regexp.Regexp {
	return regexp.MustCompile(`_(?:list|array)((?:_[0-9]+)*)$`)
})

// flatten reads a JSON answer as v2's flat fields. The gateway turns some
// numbered fields into lists, and returnCode is camel case where the rest is
// not: x_list or x with [a, b] is x_0, x_1; a list in a list numbers twice.
// A field whose value is nothing that v2 knows is odd.
func flatten(answer []byte) (*v2, error) {
	decoded, err := decodeJSON(answer)
	if err != nil {
		return nil, err
	}
	object, ok := decoded.(map[string]any)
	if !ok {
		return nil, errors.New("channel: a flat answer is an object")
	}
	v := &v2{fields: map[string]string{}, odd: map[string]bool{}}
	for name, value := range object {
		if _, ok := value.([]any); ok {
			name = listName().ReplaceAllString(name, "$1")
		}
		v.put(name, value, 0)
	}
	return v, nil
}

// put adds a field. One that the answer tells twice, as a list and numbered, must
// be told the same, else it is odd.
func (v *v2) put(name string, value any, depth int) {
	var text string
	switch value := value.(type) {
	case nil:
	case string:
		text = value
	case json.Number:
		text = value.String()
	case []any:
		if depth == 2 {
			v.odd[name] = true
			break
		}
		for i, inner := range value {
			v.put(name+"_"+strconv.Itoa(i), inner, depth+1)
		}
	default:
		v.odd[name] = true
	}
	if told, twice := v.fields[name]; twice && text != "" && told != text {
		v.odd[name] = true
	}
	if text != "" {
		v.fields[name] = text
	}
	if v.odd[name] {
		delete(v.fields, name)
	}
}
