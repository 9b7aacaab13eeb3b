package v2

import (
	"cmp"

	"wxrefund/shared/sandbox/schema"
	"wxrefund/shared/sandbox/world"
)

// errorCodes are those of v2 with the usual words, those of WeChat Pay Global and of
// CloudBase ("CloudPay.refund", "CloudPay.queryRefund") together. ORDERNOTEXIST is in
// neither's table and in WeChat Pay's own.
var errorCodes = []struct {
	code, words string
	v3          bool // APIv3 has the same name for it
}{
	{"SYSTEMERROR", "系统超时", false},
	{"BIZERR_NEED_RETRY", "并发情况下，业务被拒绝，商户重试即可解决", false},
	{"TRADE_OVERDUE", "订单已经超过可退款的最大期限(支付后一年内可退款)", false},
	{"ERROR", "业务错误", false},
	{"USER_ACCOUNT_ABNORMAL", "用户帐号注销", true},
	{"INVALID_REQ_TOO_MUCH", "连续错误请求数过多被系统短暂屏蔽", false},
	{"NOTENOUGH", "交易未结算资金不足，请使用可用余额退款", false},
	{"INVALID_TRANSACTIONID", "无效transaction_id", false},
	{"PARAM_ERROR", "参数错误", true},
	{"APPID_NOT_EXIST", "APPID不存在", false},
	{"MCHID_NOT_EXIST", "MCHID不存在", false},
	{"APPID_MCHID_NOT_MATCH", "appid和mch_id不匹配", false},
	{"REQUIRE_POST_METHOD", "请使用post方法", false},
	{"SIGNERROR", "签名错误", false},
	{"XML_FORMAT_ERROR", "XML格式错误", false},
	{"FREQUENCY_LIMITED", "频率限制，请降低频率后重试", true},
	{"NOAUTH", "异常IP请求不予受理", false},
	{"INVALID_REQUEST", "请求不符合业务规则", true},
	{"ORDERNOTEXIST", "订单不存在", false},
	{"REFUNDNOTEXIST", "退款订单查询失败", false},
}

// answerable are those of them that have another name in APIv3, or none.
var answerable = func() (out []string) {
	for _, e := range errorCodes {
		if !e.v3 {
			out = append(out, e.code)
		}
	}
	return out
}()

// codes translate codes of APIv3, and first of all the rules that were broken.
var (
	rules = map[string]string{
		world.RuleTransaction: "INVALID_TRANSACTIONID",
		world.RuleNoRefund:    "REFUNDNOTEXIST",
		world.RuleOverdue:     "TRADE_OVERDUE",
		world.RuleWrong:       "INVALID_REQ_TOO_MUCH",
		world.RuleAppID:       "APPID_NOT_EXIST",
		world.RuleMismatch:    "APPID_MCHID_NOT_MATCH",
		world.RulePost:        "REQUIRE_POST_METHOD",
	}
	codes = map[string]string{
		world.CodeSystem:      "SYSTEMERROR",
		"SERVICE_UNAVAILABLE": "SYSTEMERROR",
		"NOT_ENOUGH":          "NOTENOUGH",
		world.CodeSign:        "SIGNERROR",
		world.CodeNoAuth:      "NOAUTH",
		world.CodeNoMerchant:  "MCHID_NOT_EXIST",
		world.CodeNotFound:    "ORDERNOTEXIST",
		world.CodeNoOrder:     "ORDERNOTEXIST",
		"RATELIMIT_EXCEEDED":  world.CodeFrequency,
		world.CodeNoBill:      "NO_BILL_EXIST",
		world.CodeBillLater:   "BILL_CREATING",
	}
)

// translate says in v2's words what APIv3's rules have refused. The words are v2's own
// where its code is, unless the rule has said more than its code.
func translate(r *world.Refusal) (code, says string) {
	code = cmp.Or(rules[r.Rule], codes[r.Code], r.Code)
	if !r.Usual() {
		return code, r.Message
	}
	for _, e := range errorCodes {
		if e.code == code {
			return code, e.words
		}
	}
	return code, ""
}

// refuseForm is the refusal for a message that breaks its form.
func refuseForm(v *schema.Violation) *world.Refusal {
	says := "参数格式有误"
	switch {
	case v.Missing():
		says = "缺少参数"
	case v.Length():
		says = "参数长度有误"
	}
	return world.Refuse(world.CodeParam).Say(says + ":" + v.Pointer[1:])
}
