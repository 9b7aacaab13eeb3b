package wecom

import (
	"cmp"
	"net/http"
	"slices"
	"strconv"

	"wxrefund/shared/sandbox/world"
)

// Rules that only WeCom has.
const (
	noCorpID  = "corpid missing"
	noSecret  = "corpsecret missing"
	badCorpID = "corpid"
	badSecret = "corpsecret"
	noToken   = "token missing"
	badToken  = "token"
	oldToken  = "token expired"
	badJSON   = "json"
	wrongPost = "require GET"
	noPath    = "path"
)

// methodRules name the rule that was broken by the method that was right.
var methodRules = map[string]string{http.MethodGet: wrongPost, http.MethodPost: world.RulePost}

// words are WeCom's error numbers. Of those about refunds, 7205xx, only the
// first is known; the others are made up, for clients that must not know them.
var words = map[int]string{
	-1:     "system busy",
	40001:  "invalid credential",
	40013:  "invalid corpid",
	40014:  "invalid access_token",
	40058:  "invalid Request Parameter",
	41001:  "access_token missing",
	41002:  "corpid missing",
	41004:  "corpsecret missing",
	42001:  "access_token expired",
	43001:  "require GET method",
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
	720512: "NO_STATEMENT_EXIST", // of WeChat Pay's words, which WeCom passes on
	720513: "STATEMENT_CREATING",
}

// answerable are the same numbers as faults name them.
var answerable = func() []string {
	var numbers []int
	for n := range words {
		numbers = append(numbers, n)
	}
	slices.Sort(numbers)
	out := make([]string, len(numbers))
	for i, n := range numbers {
		out[i] = strconv.Itoa(n)
	}
	return out
}()

// Vocabulary are WeCom's error numbers; it notifies nobody.
var Vocabulary = world.Vocabulary{Codes: answerable}

// system is WeCom as faults see it.
var system = world.System{Codes: slices.Concat(world.Answerable, answerable)}

// codes translate codes of APIv3, and first of all the rules that were broken.
var (
	rules = map[string]int{
		noCorpID: 41002, noSecret: 41004, badCorpID: 40013, badSecret: 40001,
		noToken: 41001, badToken: 40014, oldToken: 42001, badJSON: 47001,
		wrongPost: 43001, noPath: 404, // made up: which number it has at WeCom no document says
		world.RulePost: 43002, world.RuleWrong: 45009,
		world.RuleNoRefund: 720509, world.RuleRefunded: 720503, world.RuleTooMuch: 720504, world.RuleOverdue: 720505, world.RulePartials: 720506,
		world.RuleContent: 720502, world.RuleMismatch: 720511,
	}
	codes = map[string]int{
		world.CodeSystem: -1, "SERVICE_UNAVAILABLE": -1, world.CodeParam: 40058, world.CodeInvalid: 720502, world.CodeSign: 40014, world.CodeNoAuth: 60020,
		world.CodeNoMerchant: 720510, world.CodeNotFound: 720501, world.CodeNoOrder: 720501, world.CodeFrequency: 45009, "RATELIMIT_EXCEEDED": 45009,
		world.CodeNoBill: 720512, world.CodeBillLater: 720513,
		"NOT_ENOUGH": 720507, "USER_ACCOUNT_ABNORMAL": 720508,
	}
)

// translate says in WeCom's numbers what APIv3's rules have refused.
func translate(r *world.Refusal) (int, string) {
	code, ok := rules[r.Rule]
	if !ok {
		code, ok = codes[r.Code]
	}
	if n, err := strconv.Atoi(r.Code); err == nil && !ok { // named by a fault
		code = n
	}
	if !r.Usual() {
		return code, r.Message
	}
	return code, cmp.Or(words[code], "system error")
}
