package sandbox

// A refusal is WeChat Pay's "no": an error body of APIv3.
type refusal struct {
	code    string
	message string
	detail  any
	number  int    // the cause as Request-Id tells it; 0: that of the code
	rule    string // the rule that was broken, if other systems have a name for it that APIv3 has not
}

// Rules for which the older systems have codes of their own.
const (
	ruleTransaction = "transaction" // no order has this transaction_id
	ruleNoRefund    = "no refund"
	ruleRefunded    = "refunded"
	ruleTooMuch     = "too much"
	ruleOverdue     = "overdue"
	ruleContent     = "content" // another one than before, or than the order's
	rulePartials    = "partials"
	ruleWrong       = "wrong" // too many wrong requests
	ruleAppID       = "appid"
	ruleMismatch    = "appid and mch_id"
	rulePost        = "post"
)

// A code is one of APIv3's. Clients branch on it and on the status, never on the
// message; the messages are what merchants have been shown.
type code struct {
	status  int
	number  int
	message string
}

// Codes of the refund documents, and the general ones.
const (
	codeSystem     = "SYSTEM_ERROR"
	codeParam      = "PARAM_ERROR"
	codeInvalid    = "INVALID_REQUEST"
	codeSign       = "SIGN_ERROR"
	codeNoAuth     = "NO_AUTH"
	codeNoMerchant = "MCH_NOT_EXISTS"
	codeNotFound   = "RESOURCE_NOT_EXISTS"
	codeFrequency  = "FREQUENCY_LIMITED"
)

// The numbers at the end of Request-Id that merchants have reported, and one for
// all that they have not.
const (
	numberOther     = 268435456
	numberNoOrder   = 268512771
	numberSignature = 268443699
	numberLimited   = 268447840
	numberReentry   = 268498688
)

var codes = map[string]code{
	codeSystem:              {500, numberOther, "系统繁忙，请稍后重试"},
	"USER_ACCOUNT_ABNORMAL": {403, numberOther, "用户账户已注销，退款失败"},
	"NOT_ENOUGH":            {403, numberOther, "基本账户余额不足，请充值后重新发起"},
	codeParam:               {400, numberOther, "参数错误"},
	codeInvalid:             {400, numberOther, "请求不符合业务规则"},
	codeSign:                {401, numberSignature, "错误的签名，验签失败"},
	codeNoAuth:              {403, numberOther, "没有退款权限"},
	codeNoMerchant:          {404, numberOther, "商户号不存在"},
	codeNotFound:            {404, numberNoOrder, "订单不存在"},
	codeFrequency:           {429, numberLimited, "频率限制，1个月之前的订单请降低申请频率再重试"},
	"RATELIMIT_EXCEEDED":    {429, numberLimited, "请求频率超过限制"},
	"SERVICE_UNAVAILABLE":   {503, numberOther, "服务不可用，请稍后重试"},
	"METHOD_NOT_ALLOWED":    {405, numberOther, "不支持的请求方法"},
	"UNSUPPORTED_MEDIA":     {415, numberOther, "Http头Content-Type应为application/json"},
}

// answerable are the codes that an application for a refund can be told to get.
var answerable = []string{
	codeSystem, "USER_ACCOUNT_ABNORMAL", "NOT_ENOUGH", codeParam, codeInvalid, codeSign, codeNoAuth,
	codeNoMerchant, codeNotFound, codeFrequency, "RATELIMIT_EXCEEDED", "SERVICE_UNAVAILABLE",
}

// refuse returns a refusal in the usual words of its code.
func refuse(name string) *refusal { return &refusal{code: name, message: codes[name].message} }

// say replaces the words.
func (r *refusal) say(message string) *refusal { r.message = message; return r }

// because replaces the cause.
func (r *refusal) because(number int) *refusal { r.number = number; return r }

// under names the rule that was broken.
func (r *refusal) under(rule string) *refusal { r.rule = rule; return r }

// Error is for the control side, which passes WeChat Pay's words on.
func (r *refusal) Error() string { return r.code + ": " + r.message }

func (r *refusal) status() int { return codes[r.code].status }

func (r *refusal) cause() int {
	if r.number != 0 {
		return r.number
	}
	return codes[r.code].number
}

// A paramDetail points at what is wrong with a parameter. The documents promise
// field and issue, real replies have been seen with value and location; a client
// may rely on none of it.
type paramDetail struct {
	Field    string  `json:"field,omitempty"`
	Issue    string  `json:"issue"`
	Location *string `json:"location"`
	Value    any     `json:"value"`
}

// refuseBody is the refusal for a body that breaks its schema. What has no rule
// is reported without a location and with the pointers as value, as seen at the
// real host.
func refuseBody(v *violation) *refusal {
	d := paramDetail{Field: v.pointer, Issue: v.render(v.issue.english), Value: v.got}
	switch pointers, _ := v.got.([]string); v.issue {
	case issueUnknown:
		for i, p := range pointers {
			pointers[i] = "/body" + p
		}
	case issueSyntax:
	default:
		body := "body"
		d.Location = &body
	}
	return &refusal{code: codeParam, message: v.render(v.issue.chinese), detail: d}
}

// refuseField is the refusal for a rule that no schema can say.
func refuseField(location, field string, value any, issue, message string) *refusal {
	return &refusal{code: codeParam, message: message, detail: paramDetail{
		Field: field, Issue: issue, Location: &location, Value: value,
	}}
}
