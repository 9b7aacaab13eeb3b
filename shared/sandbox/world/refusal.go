package world

import "wxrefund/shared/sandbox/schema"

// A Refusal is WeChat Pay's "no": an error body of APIv3.
type Refusal struct {
	Code    string
	Message string
	Detail  any    // what APIv3 says beside them, if anything
	Rule    string // the rule that was broken, if other systems have a name for it that APIv3 has not
	number  int    // the cause as Request-ID tells it; 0: that of the code
}

// Rules for which the older systems have codes of their own.
const (
	RuleTransaction = "transaction" // no order has this transaction_id
	RuleNoRefund    = "no refund"
	RuleRefunded    = "refunded"
	RuleTooMuch     = "too much"
	RuleOverdue     = "overdue"
	RuleContent     = "content" // another one than before, or than the order's
	RulePartials    = "partials"
	RuleWrong       = "wrong" // too many wrong requests
	RuleAppID       = "appid"
	RuleMismatch    = "appid and mch_id"
	RulePost        = "post"
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
	CodeSystem     = "SYSTEM_ERROR"
	CodeParam      = "PARAM_ERROR"
	CodeInvalid    = "INVALID_REQUEST"
	CodeSign       = "SIGN_ERROR"
	CodeNoAuth     = "NO_AUTH"
	CodeNoMerchant = "MCH_NOT_EXISTS"
	CodeNotFound   = "RESOURCE_NOT_EXISTS"
	CodeNoOrder    = "ORDER_NOT_EXIST" // in answer to a question about an order
	CodeFrequency  = "FREQUENCY_LIMITED"
	CodeNoBill     = "NO_STATEMENT_EXIST"
	CodeBillLater  = "STATEMENT_CREATING"
)

// The numbers at the end of Request-ID that merchants have reported, and one for
// all that they have not.
const (
	numberOther     = 268435456
	numberNoOrder   = 268512771
	numberSignature = 268443699
	numberLimited   = 268447840
	numberReentry   = 268498688
)

var codes = map[string]code{
	CodeSystem:              {500, numberOther, "系统繁忙，请稍后重试"},
	"USER_ACCOUNT_ABNORMAL": {403, numberOther, "用户账户已注销，退款失败"},
	"NOT_ENOUGH":            {403, numberOther, "基本账户余额不足，请充值后重新发起"},
	CodeParam:               {400, numberOther, "参数错误"},
	CodeInvalid:             {400, numberOther, "请求不符合业务规则"},
	CodeSign:                {401, numberSignature, "错误的签名，验签失败"},
	CodeNoAuth:              {403, numberOther, "没有退款权限"},
	CodeNoMerchant:          {404, numberOther, "商户号不存在"},
	CodeNotFound:            {404, numberNoOrder, "订单不存在"},
	CodeNoOrder:             {404, numberNoOrder, "订单不存在"},
	CodeFrequency:           {429, numberLimited, "频率限制，1个月之前的订单请降低申请频率再重试"},
	CodeNoBill:              {400, numberOther, "账单文件不存在"},
	CodeBillLater:           {400, numberOther, "账单生成中"},
	"RATELIMIT_EXCEEDED":    {429, numberLimited, "请求频率超过限制"},
	"SERVICE_UNAVAILABLE":   {503, numberOther, "服务不可用，请稍后重试"},
	"METHOD_NOT_ALLOWED":    {405, numberOther, "不支持的请求方法"},
	"UNSUPPORTED_MEDIA":     {415, numberOther, "Http头Content-Type应为application/json"},
}

// Answerable are the codes that a fault can refuse an application for a refund with.
var Answerable = []string{
	CodeSystem, "USER_ACCOUNT_ABNORMAL", "NOT_ENOUGH", CodeParam, CodeInvalid, CodeSign, CodeNoAuth,
	CodeNoMerchant, CodeNotFound, CodeFrequency, "RATELIMIT_EXCEEDED", "SERVICE_UNAVAILABLE",
}

// Refuse returns a refusal in the usual words of its code.
func Refuse(code string) *Refusal { return &Refusal{Code: code, Message: codes[code].message} }

// Say replaces the words.
func (r *Refusal) Say(message string) *Refusal { r.Message = message; return r }

// because replaces the cause.
func (r *Refusal) because(number int) *Refusal { r.number = number; return r }

// Under names the rule that was broken.
func (r *Refusal) Under(rule string) *Refusal { r.Rule = rule; return r }

// Error is for the control side, which passes WeChat Pay's words on.
func (r *Refusal) Error() string { return r.Code + ": " + r.Message }

// Usual tells that the words are those of the code and say no more than it.
func (r *Refusal) Usual() bool { return r.Message == codes[r.Code].message }

// Status is APIv3's.
func (r *Refusal) Status() int { return codes[r.Code].status }

// Cause is the number at the end of Request-ID.
func (r *Refusal) Cause() int {
	if r.number != 0 {
		return r.number
	}
	return codes[r.Code].number
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

// RefuseBody is the refusal for a body that breaks its schema. What has no rule
// is reported without a location and with the pointers as value, as seen at the
// real host.
func RefuseBody(v *schema.Violation) *Refusal {
	d := paramDetail{Field: v.Pointer, Issue: v.English(), Value: v.Got}
	switch pointers := v.Unknown(); {
	case pointers != nil:
		for i, p := range pointers {
			pointers[i] = "/body" + p
		}
	case !v.OfBody():
		body := "body"
		d.Location = &body
	}
	return &Refusal{Code: CodeParam, Message: v.Chinese(), Detail: d}
}

// RefuseField is the refusal for a rule that no schema can say.
func RefuseField(location, field string, value any, issue, message string) *Refusal {
	return &Refusal{Code: CodeParam, Message: message, Detail: paramDetail{
		Field: field, Issue: issue, Location: &location, Value: value,
	}}
}

// RefuseNoRefund is the refusal of the systems beside APIv3 for a refund that does not
// exist.
func RefuseNoRefund() *Refusal {
	return Refuse(CodeNotFound).Say("退款订单查询失败").Under(RuleNoRefund)
}
