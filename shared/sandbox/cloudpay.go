package sandbox

import (
	"maps"
	"net/http"
	"regexp"
	"slices"

	"wxrefund/shared/wxpay"
)

// formPlain is the form of numbers in CloudBase's documents, which know fewer
// characters than WeChat Pay's.
var formPlain = regexp.MustCompile(`^[0-9a-zA-Z_\-]+$`)

// applySchemaPay is the requestData of CloudPay.refund. The last two, in newer
// documents, name the function that is told how the refund ends.
var applySchemaPay = schema{
	{path: "/sub_mch_id", required: true, min: 1, max: 32, form: formDigits},
	{path: "/nonce_str", required: true, min: 1, max: 32},
	{path: "/transaction_id", max: 32},
	{path: "/out_trade_no", max: 32, form: formPlain},
	{path: "/out_refund_no", required: true, min: 1, max: 64, form: formPlain},
	{path: "/total_fee", kind: number, required: true, min: 1},
	{path: "/refund_fee", kind: number, required: true, min: 1},
	{path: "/refund_fee_type", max: 8, form: formCurrency},
	{path: "/refund_desc", max: 80},
	{path: "/refund_account", max: 30, enum: []string{"REFUND_SOURCE_UNSETTLED_FUNDS", "REFUND_SOURCE_RECHARGE_FUNDS"}},
	{path: "/function_name", max: 64},
	{path: "/env_id", max: 64},
}

// querySchemaPay is that of CloudPay.queryRefund.
var querySchemaPay = schema{
	{path: "/sub_mch_id", required: true, min: 1, max: 32, form: formDigits},
	{path: "/nonce_str", required: true, min: 1, max: 32},
	{path: "/transaction_id", max: 28},
	{path: "/out_trade_no", max: 32, form: formPlain},
	{path: "/out_refund_no", max: 64, form: formPlain},
	{path: "/refund_id", max: 32},
	{path: "/offset", kind: number},
}

var cloudPay = dialect{system: systemPay, apply: applySchemaPay, query: querySchemaPay, lists: true}

// payAPIs are the methods of CloudPay that are played.
var payAPIs = map[string]struct {
	query  bool
	schema schema
	handle func(*Sandbox, dialect, asked) (message, *refusal)
}{
	"refund":      {false, applySchemaPay, (*Sandbox).refundV2},
	"queryRefund": {true, querySchemaPay, (*Sandbox).refundQueryV2},
}

// wxPayAPI is the action wx.wxPayApi: v2 in JSON. CloudBase is the service
// provider and signs on the merchant's behalf.
func (s *Sandbox) wxPayAPI(w http.ResponseWriter, c call) {
	api, ok := payAPIs[string(c.param("apiName"))]
	if !ok {
		s.refuseGateway(w, c, errGatewayAPI)
		return
	}
	node, ok := readPay(c.param("requestData"))
	if v := api.schema.check("", "", node); !ok || v != nil && slices.Contains(issuesOfType, v.issue) {
		// A string where a number should be never gets as far as WeChat Pay.
		s.writeGateway(w, c, http.StatusOK, mediaPay, transportV2("参数格式校验错误"), upstreamFault{})
		return
	}
	q := asked{node: node}
	if q.text("function_name") != "" {
		q.notification = notificationCloudPay
	}
	out, fault := s.befall(cloudPay.system, api.query, func() reply {
		if no := checkOptions(c.param("apiOptions")); no != nil {
			return reply{no: no}
		}
		m, no := api.handle(s, cloudPay, q)
		return reply{object: m, no: no}
	})
	if failed(out, fault) {
		s.failGateway(w, c, fault)
		return
	}
	m, _ := out.object.(message)
	if m == nil || out.no != nil {
		m = message{}
	} else if fault.empty {
		m.forget()
	}
	m.result(out.no)
	m["appid"], m["mch_id"] = appID, mchID
	m["sub_appid"], m["sub_mch_id"] = subAppID, q.text("sub_mch_id")
	s.sign(m, wxpay.SignMD5)
	s.writeGateway(w, c, http.StatusOK, mediaPay, m, fault)
}

// formNumbered is the form of a field of one of several refunds.
var formNumbered = regexp.MustCompile(`_[0-9]+$`)

// emptyLists are what stands where users of some accounts have looked for refunds.
var emptyLists = []string{
	"out_refund_no_list", "refund_id_list", "refund_channel", "refund_fee_list", "settlement_refund_fee_list",
	"coupon_type_array", "coupon_refund_fee_list", "coupon_refund_count_list", "coupon_refund_id_array", "coupon_refund_fee_array",
	"refund_status_list", "refund_account_list", "refund_recv_accout_list", "refund_success_time_list",
}

// forget leaves of an answer to a query how many refunds there are, and of each
// of them nothing.
func (m message) forget() {
	maps.DeleteFunc(m, func(name string, _ any) bool { return formNumbered.MatchString(name) })
	for _, name := range emptyLists {
		m[name] = []string{}
	}
}

// issuesOfType are those that a value of another type has.
var issuesOfType = []issue{issueText, issueNumber}

// readPay reads a requestData. As everywhere in v2, empty texts count for none.
func readPay(body []byte) (map[string]any, bool) {
	tree, err := parse(body)
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
func checkOptions(b []byte) *refusal {
	if len(b) == 0 {
		return nil
	}
	const tag = 1<<3 | 2 // field 1, a string
	if id := string(b[min(2, len(b)):]); b[0] == tag && (id == appID || id == subAppID) {
		return nil
	}
	return refuse(codeNotFound).say("APPID不存在").under(ruleAppID)
}
