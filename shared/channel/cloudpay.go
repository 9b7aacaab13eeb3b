package channel

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"sync"

	"wxrefund/shared/refund"
	"wxrefund/shared/wxpay"
)

// CloudPay carries refunds through CloudBase's payment API (seeds 000, 001): v2
// without its signatures, which the platform adds.
type CloudPay struct {
	Gateway  *Gateway
	SubMchID string // the merchant's number
	Callback string // function that the platform tells of settled refunds; "": none
}

// Refund submits the request once.
func (c *CloudPay) Refund(ctx context.Context, req refund.Request) (refund.Refund, error) {
	m := v2Request(req)
	if c.Callback != "" {
		m["function_name"], m["env_id"] = c.Callback, c.Gateway.EnvID
	}
	v, err := c.call(ctx, "refund", m, cloudpayRefundErrors)
	if err != nil {
		return refund.Refund{}, err
	}
	got := v.accepted()
	return got, v.about(got.OutRefundNo, req.OutRefundNo)
}

// Query asks by any of the four numbers.
func (c *CloudPay) Query(ctx context.Context, l refund.Lookup) (refund.Page, error) {
	v, err := c.call(ctx, "queryRefund", v2Lookup(l), queryErrors)
	if err != nil {
		return refund.Page{}, err
	}
	return v.answer(l)
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
		Rate:          150,
		BadRate:       6,
	}
}

func (c *CloudPay) call(ctx context.Context, api string, m map[string]any, table map[string]meaning) (*v2, error) {
	m["sub_mch_id"], m["nonce_str"] = c.SubMchID, rand.Text()
	request, err := json.Marshal(m)
	if err != nil {
		return nil, err
	}
	answer, err := c.Gateway.Pay(ctx, api, request)
	if err != nil {
		return nil, err
	}
	fields, err := flatten(answer)
	if err != nil {
		return nil, unknown("CloudPay's answer cannot be read", err)
	}
	if fields["return_code"] != "SUCCESS" {
		// The text says why, but no code says whether anything happened.
		return nil, unknown("CloudPay did not carry the request out: "+printable(fields["return_msg"], 100), nil)
	}
	if !absentOr(fields["sub_mch_id"], c.SubMchID) {
		return nil, unknown("CloudPay's answer is about another merchant", nil)
	}
	if fields["result_code"] != "SUCCESS" {
		return nil, v2Error(fields, table)
	}
	return &v2{fields: fields, currency: "CNY"}, nil // the default of fee_type (seeds 000, 001)
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
// What is neither text, number nor list is nothing that v2 knows, and left out.
func flatten(answer []byte) (map[string]string, error) {
	v, err := decodeJSON(answer)
	if err != nil {
		return nil, err
	}
	object, ok := v.(map[string]any)
	if !ok {
		return nil, errors.New("channel: a flat answer is an object")
	}
	fields := map[string]string{}
	for name, value := range object {
		name = wxpay.SnakeName(name)
		if _, ok := value.([]any); ok {
			name = listName().ReplaceAllString(name, "$1")
		}
		if err := put(fields, name, value, 0); err != nil {
			return nil, err
		}
	}
	return fields, nil
}

// put adds a field. One that the answer tells twice, as a list and numbered, must
// be told the same.
func put(fields map[string]string, name string, value any, depth int) error {
	var text string
	switch v := value.(type) {
	case string:
		text = v
	case json.Number:
		text = v.String()
	case []any:
		if depth == 2 {
			return fmt.Errorf("channel: %s is a list too deep", printable(name, 64))
		}
		for i, inner := range v {
			if err := put(fields, name+"_"+strconv.Itoa(i), inner, depth+1); err != nil {
				return err
			}
		}
	}
	if text == "" {
		return nil
	}
	if told, twice := fields[name]; twice && told != text {
		return fmt.Errorf("channel: %s is told in two ways", printable(name, 64))
	}
	fields[name] = text
	return nil
}
