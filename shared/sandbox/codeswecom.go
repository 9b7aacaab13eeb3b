package sandbox

import (
	"slices"
	"strconv"
)

// Rules that only WeCom has.
const (
	wecomNoCorpID  = "corpid missing"
	wecomNoSecret  = "corpsecret missing"
	wecomBadCorpID = "corpid"
	wecomBadSecret = "corpsecret"
	wecomNoToken   = "token missing"
	wecomBadToken  = "token"
	wecomOldToken  = "token expired"
	wecomBadJSON   = "json"
)

// codesWeCom are WeCom's error numbers. Of those about refunds, 7205xx, only the
// first is known; the others are made up, for clients that must not know them.
var codesWeCom = map[int]string{
	-1:     "system busy",
	40001:  "invalid credential",
	40013:  "invalid corpid",
	40014:  "invalid access_token",
	40058:  "invalid Request Parameter",
	41001:  "access_token missing",
	41002:  "corpid missing",
	41004:  "corpsecret missing",
	42001:  "access_token expired",
	43002:  "require POST method",
	45009:  "api freq out of limit",
	47001:  "data format error",
	60020:  "not allow to access from your ip",
	720501: "out_trade_no not exists under mchid",
	720502: "refund request invalid",
	720503: "order already fully refunded",
	720504: "refund amount exceeds what is left",
	720505: "order beyond refund period",
	720506: "too many partial refunds",
	720507: "balance not enough",
	720508: "user account abnormal",
	720509: "out_refund_no not exists under mchid",
	720510: "mchid not exists",
	720511: "appid and mchid not match",
}

// answerableWeCom are the same numbers as faults name them.
var answerableWeCom = func() []string {
	var numbers []int
	for n := range codesWeCom {
		numbers = append(numbers, n)
	}
	slices.Sort(numbers)
	out := make([]string, len(numbers))
	for i, n := range numbers {
		out[i] = strconv.Itoa(n)
	}
	return out
}()

var (
	rulesToWeCom = map[string]int{
		wecomNoCorpID: 41002, wecomNoSecret: 41004, wecomBadCorpID: 40013, wecomBadSecret: 40001,
		wecomNoToken: 41001, wecomBadToken: 40014, wecomOldToken: 42001, wecomBadJSON: 47001,
		rulePost: 43002, ruleWrong: 45009,
		ruleNoRefund: 720509, ruleRefunded: 720503, ruleTooMuch: 720504, ruleOverdue: 720505, rulePartials: 720506,
		ruleContent: 720502, ruleMismatch: 720511,
	}
	toWeCom = map[string]int{
		codeSystem: -1, "SERVICE_UNAVAILABLE": -1, codeParam: 40058, codeInvalid: 720502, codeSign: 40014, codeNoAuth: 60020,
		codeNoMerchant: 720510, codeNotFound: 720501, codeFrequency: 45009, "RATELIMIT_EXCEEDED": 45009,
		"NOT_ENOUGH": 720507, "USER_ACCOUNT_ABNORMAL": 720508,
	}
)
