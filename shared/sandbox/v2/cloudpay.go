package v2

import (
	"errors"
	"maps"
	"regexp"

	"wxrefund/shared/sandbox/door"
	"wxrefund/shared/sandbox/schema"
	"wxrefund/shared/sandbox/world"
	"wxrefund/shared/wxpay"
)

// formPlain is the form of numbers in CloudBase's documents, which know fewer
// characters than WeChat Pay's.
var formPlain = regexp.MustCompile(`^[0-9a-zA-Z_\-]+$`)

// payApplyForm is the requestData of CloudPay.refund. The last two, in newer
// documents, name the function that is called when the refund ends.
var payApplyForm = schema.Schema{
	{Path: "/sub_mch_id", Required: true, Min: 1, Max: 32, Form: schema.FormDigits},
	{Path: "/nonce_str", Required: true, Min: 1, Max: 32},
	{Path: "/transaction_id", Max: 32},
	{Path: "/out_trade_no", Max: 32, Form: formPlain},
	{Path: "/out_refund_no", Required: true, Min: 1, Max: 64, Form: formPlain},
	{Path: "/total_fee", Kind: schema.Number, Required: true, Min: 1},
	{Path: "/refund_fee", Kind: schema.Number, Required: true, Min: 1},
	{Path: "/refund_fee_type", Max: 8, Form: schema.FormCurrency},
	{Path: "/refund_desc", Max: 80},
	{Path: "/refund_account", Max: 30, Enum: []string{"REFUND_SOURCE_UNSETTLED_FUNDS", "REFUND_SOURCE_RECHARGE_FUNDS"}},
	{Path: "/function_name", Max: 64},
	{Path: "/env_id", Max: 64},
}

// payQueryForm is that of CloudPay.queryRefund.
var payQueryForm = schema.Schema{
	{Path: "/sub_mch_id", Required: true, Min: 1, Max: 32, Form: schema.FormDigits},
	{Path: "/nonce_str", Required: true, Min: 1, Max: 32},
	{Path: "/transaction_id", Max: 28},
	{Path: "/out_trade_no", Max: 32, Form: formPlain},
	{Path: "/out_refund_no", Max: 64, Form: formPlain},
	{Path: "/refund_id", Max: 32},
	{Path: "/offset", Kind: schema.Number},
}

// payOrderForm is that of CloudPay.queryOrder.
var payOrderForm = schema.Schema{
	{Path: "/sub_mch_id", Required: true, Min: 1, Max: 32, Form: schema.FormDigits},
	{Path: "/nonce_str", Required: true, Min: 1, Max: 32},
	{Path: "/transaction_id", Max: 32},
	{Path: "/out_trade_no", Max: 32, Form: schema.FormNumber},
}

var payForms = map[string]schema.Schema{world.OnApply: payApplyForm, world.OnQuery: payQueryForm, world.OnOrder: payOrderForm}

var cloudPay = dialect{System: world.System{Codes: system.Codes, Lists: true}, forms: payForms, sub: true, lists: true}

// payMethods are what faults call CloudPay's methods, and what carries them out.
var payMethods = map[string]struct {
	on     string
	handle func(*Door, dialect, asked) (Message, *world.Refusal)
}{
	"refund":      {world.OnApply, (*Door).refund},
	"queryRefund": {world.OnQuery, (*Door).refundQuery},
	"queryOrder":  {world.OnOrder, (*Door).orderQuery},
}

// ErrNoAPI is for a method that CloudPay does not have.
var ErrNoAPI = errors.New("v2: no such method of CloudPay")

// CloudPay carries a method of CloudPay out: v2 in JSON, with CloudBase as the service
// provider that signs on the merchant's behalf. The reply's object is what the gateway
// is to answer, also where a rule was broken; it is nil if nothing behind the gateway
// has answered. The error is ErrNoAPI alone.
func (d *Door) CloudPay(x *door.Exchange, api string, data, options []byte) (Message, world.UpstreamFault, error) {
	if api == "downloadBill" {
		node, ok := readPay(data)
		if !ok {
			return Message{"return_code": "FAIL", "return_msg": "参数格式校验错误"}, world.UpstreamFault{}, nil
		}
		return d.payBill(asked{Exchange: x, node: node}, options), world.UpstreamFault{}, nil
	}
	method, ok := payMethods[api]
	if !ok {
		return nil, world.UpstreamFault{}, ErrNoAPI
	}
	node, ok := readPay(data)
	if v := payForms[method.on].Check(node); !ok || v != nil && v.Type() {
		x.Check("body", false, "requestData is not an object of CloudPay's")
		// A string where a number should be never gets as far as WeChat Pay.
		return Message{"return_code": "FAIL", "return_msg": "参数格式校验错误"}, world.UpstreamFault{}, nil
	}
	q := asked{Exchange: x, node: node}
	if q.text("function_name") != "" {
		q.notification = world.NotificationCloudPay
	}
	out, fault := door.Carry(d.world, cloudPay.System, method.on, func() door.Reply {
		if no := checkOptions(options); no != nil {
			return door.Reply{No: no}
		}
		m, no := method.handle(d, cloudPay, q)
		return door.Reply{Object: m, No: no}
	})
	if out.Failed(fault) {
		return nil, fault, nil
	}
	m, _ := out.Object.(Message)
	if m == nil || out.No != nil {
		m = Message{}
	} else if fault.Empty {
		m.empty()
	}
	m.result(out.No)
	m["appid"], m["mch_id"] = world.AppID, world.MchID
	m["sub_appid"], m["sub_mch_id"] = world.SubAppID, q.text("sub_mch_id")
	d.sign(m, wxpay.SignMD5)
	return m, fault, nil
}

// formNumbered is the form of a field of one of several refunds.
var formNumbered = regexp.MustCompile(`_[0-9]+$`)

// emptyLists are what stands where users of some accounts have looked for refunds.
var emptyLists = []string{
	"out_refund_no_list", "refund_id_list", "refund_channel", "refund_fee_list", "settlement_refund_fee_list",
	"coupon_type_array", "coupon_refund_fee_list", "coupon_refund_count_list", "coupon_refund_id_array", "coupon_refund_fee_array",
	"refund_status_list", "refund_account_list", "refund_recv_accout_list", "refund_success_time_list",
}

// empty leaves of an answer to a query how many refunds there are, and of each
// of them nothing.
func (m Message) empty() {
	maps.DeleteFunc(m, func(name string, _ any) bool { return formNumbered.MatchString(name) })
	for _, name := range emptyLists {
		m[name] = []string{}
	}
}

// readPay reads a requestData. As everywhere in v2, empty texts count for none.
func readPay(body []byte) (map[string]any, bool) {
	tree, err := schema.Parse(body)
	node, ok := tree.(map[string]any)
	if err != nil || !ok {
		return nil, false
	}
	for name, value := range node {
		if value == "" {
			delete(node, name)
		}
	}
	return node, true
}

// checkOptions reads apiOptions, a protobuf message whose first field may name the
// mini-program.
func checkOptions(b []byte) *world.Refusal {
	if len(b) == 0 {
		return nil
	}
	const tag = 1<<3 | 2 // field 1, a string
	if id := string(b[min(2, len(b)):]); b[0] == tag && (id == world.AppID || id == world.SubAppID) {
		return nil
	}
	return world.Refuse(world.CodeNotFound).Say("APPID不存在").Under(world.RuleAppID)
}
