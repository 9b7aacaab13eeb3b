package sandbox

import "cmp"

// codesV2 are the error codes of v2 with the usual words, those of WeChat Pay
// Global and of CloudBase together. ORDERNOTEXIST is in neither's table and in
// WeChat Pay's own.
var codesV2 = map[string]string{
	"SYSTEMERROR":           "系统超时",
	"BIZERR_NEED_RETRY":     "并发情况下，业务被拒绝，商户重试即可解决",
	"TRADE_OVERDUE":         "订单已经超过可退款的最大期限(支付后一年内可退款)",
	"ERROR":                 "业务错误",
	"USER_ACCOUNT_ABNORMAL": "用户帐号注销",
	"INVALID_REQ_TOO_MUCH":  "连续错误请求数过多被系统短暂屏蔽",
	"NOTENOUGH":             "交易未结算资金不足，请使用可用余额退款",
	"INVALID_TRANSACTIONID": "无效transaction_id",
	"PARAM_ERROR":           "参数错误",
	"APPID_NOT_EXIST":       "APPID不存在",
	"MCHID_NOT_EXIST":       "MCHID不存在",
	"APPID_MCHID_NOT_MATCH": "appid和mch_id不匹配",
	"REQUIRE_POST_METHOD":   "请使用post方法",
	"SIGNERROR":             "签名错误",
	"XML_FORMAT_ERROR":      "XML格式错误",
	"FREQUENCY_LIMITED":     "频率限制，请降低频率后重试",
	"NOAUTH":                "异常IP请求不予受理",
	"INVALID_REQUEST":       "请求不符合业务规则",
	"ORDERNOTEXIST":         "订单不存在",
	"REFUNDNOTEXIST":        "退款订单查询失败",
}

// answerableV2 are those of them that have another name in APIv3, or none.
var answerableV2 = []string{
	"SYSTEMERROR", "BIZERR_NEED_RETRY", "TRADE_OVERDUE", "ERROR", "INVALID_REQ_TOO_MUCH", "NOTENOUGH",
	"INVALID_TRANSACTIONID", "APPID_NOT_EXIST", "MCHID_NOT_EXIST", "APPID_MCHID_NOT_MATCH", "REQUIRE_POST_METHOD",
	"SIGNERROR", "XML_FORMAT_ERROR", "NOAUTH", "ORDERNOTEXIST", "REFUNDNOTEXIST",
}

// toV2 translates codes of APIv3, and first of all the rules that were broken.
var (
	rulesToV2 = map[string]string{
		ruleTransaction: "INVALID_TRANSACTIONID",
		ruleNoRefund:    "REFUNDNOTEXIST",
		ruleOverdue:     "TRADE_OVERDUE",
		ruleWrong:       "INVALID_REQ_TOO_MUCH",
		ruleAppID:       "APPID_NOT_EXIST",
		ruleMismatch:    "APPID_MCHID_NOT_MATCH",
		rulePost:        "REQUIRE_POST_METHOD",
	}
	toV2 = map[string]string{
		codeSystem:            "SYSTEMERROR",
		"SERVICE_UNAVAILABLE": "SYSTEMERROR",
		"NOT_ENOUGH":          "NOTENOUGH",
		codeSign:              "SIGNERROR",
		codeNoAuth:            "NOAUTH",
		codeNoMerchant:        "MCHID_NOT_EXIST",
		codeNotFound:          "ORDERNOTEXIST",
		"RATELIMIT_EXCEEDED":  codeFrequency,
	}
)

// v2 says in v2's words what APIv3's rules have refused. The words are v2's own
// where its code is, unless the rule has said more than its code.
func (r *refusal) v2() (code, words string) {
	code = cmp.Or(rulesToV2[r.rule], toV2[r.code], r.code)
	if r.message != codes[r.code].message {
		return code, r.message
	}
	return code, codesV2[code]
}

// wordsV2 are v2's for a field that breaks its rule.
var wordsV2 = map[issue]string{
	issueMissing: "缺少参数",
	issueShort:   "参数长度有误",
	issueLong:    "参数长度有误",
}

// refuseV2 is the refusal for a message that breaks its schema.
func refuseV2(v *violation) *refusal {
	return refuse(codeParam).say(cmp.Or(wordsV2[v.issue], "参数格式有误") + ":" + v.pointer[1:])
}
