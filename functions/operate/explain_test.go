package main

import (
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"wxrefund/shared/explain"
)

func TestExplainNeedsNoSettingsForACode(t *testing.T) {
	w := newWorld(t, "apiv3")
	clear(w.settings)
	tests := []struct {
		args  []string
		code  int
		texts []string
	}{
		{[]string{"explain", "NOT_ENOUGH"}, codeDone, []string{"repeat later", "Top up", "REFUND_WAIT_FUNDS"}},
		{[]string{"explain", "not_enough", "-lang", "zh"}, codeDone, []string{"稍后原样重试", "充值"}},
		{[]string{"explain", "-1", "-channel", "wecom"}, codeUsage, []string{"stands behind --"}},
		{[]string{"explain", "-channel", "wecom", "--", "-1"}, codeDone, []string{"WeCom was busy"}},
		{[]string{"explain", "-json", "FREQUENCY_LIMITED"}, codeDone, []string{`"ours"`, `"heals": "repeat"`, `"heals": "itself"`, `"apiv3"`, `"cloudpay"`}},
		{[]string{"explain", "FREQUENCY_LIMITED"}, codeDone, []string{"(ours, not WeChat Pay's): repeat later", "429", "nothing repeats this call by itself", "(WeChat Pay's: apiv3, cloudbase): heals by itself"}},
		{[]string{"explain", "NOAUTH", "-channel", "apiv3"}, codeDone, []string{"(ours, not WeChat Pay's): fix first", "REFUND_MAX_FEN", "REFUND_OPERATORS"}},
		{[]string{"explain", "INVALID_REQUEST", "-lang", "zh"}, codeDone, []string{"本服务自己的，不是微信支付的", "微信支付："}},
		{[]string{"explain", "SIGN_PARAM_INVALID"}, codeDone, []string{"TENCENTCLOUD_SECRETID"}},
		{[]string{"explain", "INVALID_ENV"}, codeDone, []string{"TCB_ENV"}},
		{[]string{"explain", "INVALID_ACCESS_TOKEN"}, codeDone, []string{"CLOUDBASE_APIKEY"}},
		{[]string{"explain", "20002"}, codeDone, []string{"No Bill Exist"}},
		{[]string{"explain", "RULE_LIMIT"}, codeDone, []string{"profit sharing"}},
		{[]string{"explain", "受理关系不存在"}, codeDone, []string{"cloudpay-relation"}},
		{[]string{"explain", "NO Bill Exist"}, codeDone, []string{"20002"}},
		{[]string{"explain", "冻结待分账"}, codeFinding, []string{`"冻结待分账" is no code and no text that is known here; was it profit-sharing?`}},
		{[]string{"explain", " "}, codeUsage, []string{"explain wants one CODE or NO"}},
		{[]string{"explain", "abnormal"}, codeDone, []string{"`operate abnormal NO -type USER_BANK_CARD`", "On other channels"}},
		{[]string{"explain", "SIGNERR"}, codeFinding, []string{"was it SIGN_ERROR", "LEDGER_URL"}},
		{[]string{"explain"}, codeUsage, []string{"explain wants one CODE or NO"}},
		{[]string{"explain", "NOT_ENOUGH", "-lang", "fr"}, codeUsage, []string{"-lang must be en or zh"}},
		{[]string{"explain", "NOT_ENOUGH", "-channel", "v3"}, codeUsage, []string{"-channel must be one of apiv3"}},
		{[]string{"explain", "-markdown", "NOT_ENOUGH"}, codeUsage, []string{"explain wants one CODE or NO"}},
	}
	for _, test := range tests {
		w.operate(test.args...).want(test.code, test.texts...)
	}
	w.settings["LANG"] = "zh_CN.UTF-8"
	w.operate("explain", "success").want(codeDone, "钱已到买家账户")
}

func TestExplainSaysWhyARefundIsAsItIs(t *testing.T) {
	w := newWorld(t, "apiv3", "order-1", "order-2", "order-3")
	w.stuck("order-1", "refund-1")
	stuck := w.operate("explain", "refund-1").want(codeDone, "SYSTEM_ERROR", "in_doubt", "heals by itself",
		"refund-1: 1.00 CNY of 100.00 CNY, claimed ", "operate release refund-1 may end it from ")
	if strings.Index(stuck.stdout, "SYSTEM_ERROR") > strings.Index(stuck.stdout, "in_doubt") {
		t.Errorf("the refusal is explained behind the state:\n%s", stuck.stdout)
	}
	w.Control("POST", "/_sandbox/faults", `{"err_code":"NOT_ENOUGH","count":1}`, 200)
	w.operate(refundArgs("order-2", "refund-2", "-yes")...).want(codeFinding)
	got := w.operate("explain", "refund-2", "-json").want(codeDone).object()
	var codes []string
	for _, e := range got["explained"].([]any) {
		codes = append(codes, e.(map[string]any)["code"].(string))
	}
	if !slices.Contains(codes, "NOT_ENOUGH") || slices.Contains(codes, "NOTENOUGH") {
		t.Errorf("explained are %v, want the channel's own code", codes)
	}
	w.Control("POST", "/_sandbox/faults", `{"err_code":"USER_ACCOUNT_ABNORMAL","count":1}`, 200)
	w.operate(refundArgs("order-3", "refund-3", "-yes")...).want(codeFinding)
	message := w.operate("show", "refund-3", "-json").want(codeDone).object()["refusal"].(map[string]any)["message"].(string)
	w.operate("explain", "refund-3").want(codeDone, "refused with USER_ACCOUNT_ABNORMAL: "+message, "no repeat helps", "operate show NO")
	w.Advance("16m")
	w.operate("explain", "refund-1").want(codeDone, "operate release refund-1 may end it now")
	w.operate("explain", "refund-9").want(codeFinding, "neither a code that is known here nor a refund in this ledger")
}

// Whoever asks in Chinese is answered in Chinese, about what is on record and what is known
// to nobody too.
func TestExplainSpeaksTheLanguageThatIsAskedFor(t *testing.T) {
	w := newWorld(t, "apiv3", "order-1", "order-2", "order-3")
	zh := func(word string) result { return w.operate("explain", "-lang", "zh", word) }
	w.stuck("order-1", "refund-1")
	zh("refund-1").want(codeDone, "refund-1：退 1.00 CNY，订单共 100.00 CNY，受理于 ", " 前）", "起可以用 operate release refund-1 结束它").lacks(" ago").lacks("may end it")
	w.Advance("16m")
	zh("refund-1").want(codeDone, "现在可以用 operate release refund-1 结束它")
	w.settings["REFUND_WAIT_FUNDS"] = "true"
	w.Control("POST", "/_sandbox/faults", `{"err_code":"NOT_ENOUGH","count":1}`, 200)
	w.operate(refundArgs("order-2", "refund-2", "-yes")...).want(codeFinding)
	zh("refund-2").want(codeDone, "refund-2 被明确拒绝；正在等待余额，最迟在 ", "operate cancel refund-2").lacks("refused for certain")
	w.Control("POST", "/_sandbox/faults", `{"err_code":"USER_ACCOUNT_ABNORMAL","count":1}`, 200)
	w.operate(refundArgs("order-3", "refund-3", "-yes")...).want(codeFinding)
	zh("refund-3").want(codeDone, "被拒绝：USER_ACCOUNT_ABNORMAL: ").lacks("refused with")
	zh("refund-9").want(codeFinding, "refund-9 不是已知的代码，本账本里也没有这个单号的退款")
	zh("NOT_ENOUGHH").want(codeFinding, "；是不是 NOT_ENOUGH").lacks("was it")
	zh("没有 的话").want(codeFinding, `"没有 的话" 不是已知的代码，也不是已知的报错文字`)
	w.settings["REFUND_APPROVAL_FEN"] = "5000"
	w.operate("refund", "-out-refund-no", "big", "-out-trade-no", "order-3", "-amount", "5001", "-total", "10000", "-yes").want(codeDone)
	zh("big").want(codeFinding, "本账本里没有退款 big：它曾被提出，等待复核；结果见 operate application P")
	w.settings["LEDGER_URL"] = ""
	zh("refund-9").want(codeFinding, "查询需要设置 LEDGER_URL")
}

// Each language has each phrase.
func TestEveryPhraseIsInEveryLanguage(t *testing.T) {
	for _, l := range []explain.Language{explain.English, explain.Chinese} {
		all := reflect.ValueOf(phrasesIn(l))
		for i := range all.NumField() {
			if all.Field(i).String() == "" {
				t.Errorf("%s lacks %s", l, all.Type().Field(i).Name)
			}
		}
	}
}

// What waits for the balance was refused for certain: nothing of it is said to be unknown,
// and whoever has to top up sees until when.
func TestARefundThatWaitsForTheBalanceIsNotExplainedAsADoubt(t *testing.T) {
	w := newWorld(t, "apiv3", "order-1")
	w.settings["REFUND_WAIT_FUNDS"] = "true"
	w.Control("POST", "/_sandbox/faults", `{"err_code":"NOT_ENOUGH"}`, 200)
	w.operate(refundArgs("order-1", "refund-1", "-yes")...).want(codeFinding, "NOT_ENOUGH")
	until := w.operate("show", "refund-1", "-json").want(codeDone).object()["waits_for_funds"].(map[string]any)
	w.operate("explain", "refund-1").want(codeDone, "not_enough", "NOT_ENOUGH", "Top up",
		"refused for certain; waits for the balance and goes on by itself until ", "operate cancel refund-1 ends it").lacks("may or may not")
	got := w.operate("explain", "refund-1", "-json").want(codeDone).object()
	if diff := cmp.Diff(until, got["waits_for_funds"]); diff != "" {
		t.Error(diff)
	}
	var codes []string
	for _, e := range got["explained"].([]any) {
		codes = append(codes, e.(map[string]any)["code"].(string))
	}
	if diff := cmp.Diff([]string{"not_enough", "NOT_ENOUGH"}, codes); diff != "" {
		t.Error(diff)
	}
	w.operate("cancel", "refund-1", "-yes").want(codeDone)
	w.operate("explain", "refund-1").want(codeDone, "rejected").lacks("goes on by itself until")
}

// A record keeps WeChat Pay's codes: of a refusal of theirs nobody is told what we mean by
// the same word.
func TestARefundsRefusalIsExplainedAsWeChatPays(t *testing.T) {
	w := newWorld(t, "apiv3", "order-1")
	w.Control("POST", "/_sandbox/faults", `{"err_code":"PARAM_ERROR","count":1}`, 200)
	w.operate(refundArgs("order-1", "refund-1", "-yes")...).want(codeFinding, "PARAM_ERROR")
	w.operate("explain", "refund-1").want(codeDone, "PARAM_ERROR (WeChat Pay's: apiv3, cloudbase)").lacks("ours, not")
}

// The documents show the table that the program has.
func TestTheDocumentsHaveEveryExplanation(t *testing.T) {
	for file, l := range map[string]explain.Language{"ERRORS.md": explain.English, "ERRORS.zh.md": explain.Chinese} {
		want, err := explain.Markdown(l)
		if err != nil {
			t.Fatal(err)
		}
		have, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if _, tables, ok := strings.Cut(string(have), "\n## "); !ok || "## "+tables != want {
			t.Errorf("%s differs from go run ./functions/operate explain -lang %s -markdown", file, l)
		}
	}
}
