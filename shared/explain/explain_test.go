package explain_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"unicode"

	"github.com/google/go-cmp/cmp"

	"wxrefund/shared/channel"
	"wxrefund/shared/explain"
	"wxrefund/shared/refund"
)

var channels = []string{"apiv3", "cloudbase", "cloudpay", "global", "wecom"}

func groups(t *testing.T) map[string][]explain.Entry {
	t.Helper()
	all, err := explain.Groups()
	if err != nil {
		t.Fatal(err)
	}
	byName := map[string][]explain.Entry{}
	for _, g := range all {
		byName[g.Name] = g.Entries
	}
	return byName
}

// healing is what the error tables' own words mean for whoever waits.
func healing(k channel.KnownCode) explain.Heals {
	switch {
	case k.Is == refund.CodeUnavailable:
		return explain.ByItself
	case k.Next == refund.Later:
		return explain.ByRepeat
	case k.Next == refund.AfterFix || k.Next == refund.LaterOrFix:
		return explain.WhenFixed
	}
	return explain.Never
}

func TestEveryCodeOfEveryChannelIsExplainedAsItsTableTreatsIt(t *testing.T) {
	for _, name := range channels {
		known := channel.KnownCodes(name)
		if len(known) == 0 {
			t.Errorf("channel %s has no codes", name)
		}
		for _, k := range known {
			found, err := explain.Find(k.Code, name)
			if err != nil {
				t.Fatal(err)
			}
			found = slices.DeleteFunc(found, explain.Entry.Ours)
			if len(found) != 1 || !slices.Contains(found[0].Of, name) {
				t.Errorf("%s: %s has %d explanations", name, k.Code, len(found))
				continue
			}
			if want := healing(k); found[0].Heals != want {
				t.Errorf("%s: %s heals by %q, its table says %q", name, k.Code, found[0].Heals, want)
			}
		}
	}
}

// What is in no table leaves the outcome unknown, and such a doubt ends by itself.
func TestACodeThatNoTableHasIsExplainedAsADoubt(t *testing.T) {
	for group, entries := range groups(t) {
		for _, e := range entries {
			if !slices.Contains([]string{"apiv3", "v2", "wecom"}, group) {
				continue
			}
			for _, name := range e.Of {
				known := slices.ContainsFunc(channel.KnownCodes(name), func(k channel.KnownCode) bool { return k.Code == e.Code })
				if !known && e.Heals != explain.ByItself {
					t.Errorf("%s: %s is in no table and is said to heal by %q", name, e.Code, e.Heals)
				}
			}
		}
	}
}

// constants lists the values of the text constants of package refund whose names begin so.
func constants(t *testing.T, prefix, typ string) (values []string) {
	t.Helper()
	files, err := os.ReadDir("../refund")
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		if !strings.HasSuffix(f.Name(), ".go") || strings.HasSuffix(f.Name(), "_test.go") {
			continue
		}
		parsed, err := parser.ParseFile(token.NewFileSet(), "../refund/"+f.Name(), nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(parsed, func(n ast.Node) bool {
			spec, ok := n.(*ast.ValueSpec)
			if !ok || len(spec.Names) != 1 || len(spec.Values) != 1 || !strings.HasPrefix(spec.Names[0].Name, prefix) {
				return true
			}
			if named, ok := spec.Type.(*ast.Ident); typ != "" && (!ok || named.Name != typ) {
				return true
			}
			if lit, ok := spec.Values[0].(*ast.BasicLit); ok && lit.Kind == token.STRING {
				value, err := strconv.Unquote(lit.Value)
				if err != nil {
					t.Fatal(err)
				}
				values = append(values, value)
			}
			return true
		})
	}
	if len(values) == 0 {
		t.Fatalf("package refund has no constants %s…", prefix)
	}
	return values
}

func TestEveryAlarmAndEveryStateIsExplained(t *testing.T) {
	of := groups(t)
	for name, want := range map[string][]string{"alarms": constants(t, "alarm", ""), "states": constants(t, "", "State")} {
		var have []string
		for _, e := range of[name] {
			have = append(have, e.Code)
		}
		for _, code := range want {
			if code != "" && !slices.Contains(have, code) {
				t.Errorf("%s: %s is not explained", name, code)
			}
		}
		for _, code := range have {
			if !slices.Contains(want, code) && code != "in_doubt" && code != "withdrawn_in_doubt" {
				t.Errorf("%s: %s is explained, and the code does not have it", name, code)
			}
		}
	}
}

func TestEveryEntryIsWholeInBothLanguages(t *testing.T) {
	han := func(s string) bool {
		return strings.ContainsFunc(s, func(r rune) bool { return unicode.Is(unicode.Han, r) })
	}
	for name, entries := range groups(t) {
		seen := map[string]bool{}
		for _, e := range entries {
			for _, of := range e.Of {
				if key := of + " " + e.Code; seen[key] {
					t.Errorf("%s: %s is explained twice for %s", name, e.Code, of)
				} else {
					seen[key] = true
				}
			}
			if len(e.Of) == 0 || e.Source == "" {
				t.Errorf("%s: %s has no owner or no source", name, e.Code)
			}
			if _, heals := e.In(explain.English); heals == "" {
				t.Errorf("%s: %s heals by %q", name, e.Code, e.Heals)
			}
			for _, text := range []string{e.En.Cause, e.En.Remedy, e.Zh.Cause, e.Zh.Remedy} {
				if text == "" || !strings.HasSuffix(text, ".") && !strings.HasSuffix(text, "。") && !strings.HasSuffix(text, "？") {
					t.Errorf("%s: %s: %q is no sentence", name, e.Code, text)
				}
			}
			cause := e.En.Cause
			for _, words := range e.Words { // an upstream's own are quoted as they are
				cause = strings.ReplaceAll(cause, words, "")
				if !strings.Contains(e.En.Cause, words) || !strings.Contains(e.Zh.Cause, words) || len(words) < 12 {
					t.Errorf("%s: %s does not quote %q, or it is so short that much else has it", name, e.Code, words)
				}
			}
			if han(cause+e.En.Remedy) || !han(e.Zh.Cause) || !han(e.Zh.Remedy) {
				t.Errorf("%s: %s mixes the languages", name, e.Code)
			}
		}
	}
}

// Setting names and commands in the texts must exist, or the advice cannot be followed.
func TestTheAdviceNamesSettingsThatExist(t *testing.T) {
	settings, err := os.ReadFile("../config/settings.go")
	if err != nil {
		t.Fatal(err)
	}
	named := regexp.MustCompile(`\b(WXPAY|REFUND|LEDGER|TCB|TENCENTCLOUD|WECOM|NOTIFY|ALERT|CLOUDPAY|TRUST|RECONCILE)_[A-Z0-9_]+\b`)
	var checked int
	for name, entries := range groups(t) {
		for _, e := range entries {
			for _, text := range []string{e.En.Cause, e.En.Remedy, e.Zh.Cause, e.Zh.Remedy} {
				for _, setting := range named.FindAllString(text, -1) {
					checked++
					if !strings.Contains(string(settings), `"`+setting+`"`) {
						t.Errorf("%s: %s names the setting %s, which there is not", name, e.Code, setting)
					}
				}
			}
		}
	}
	if checked == 0 {
		t.Error("no text names a setting")
	}
}

func TestFindPrefersTheChannelAtHand(t *testing.T) {
	tests := []struct {
		code, channel string
		want          []string // what the entries found are of
	}{
		{"PARAM_ERROR", "apiv3", []string{"ours", "apiv3"}}, // ours first
		{"param_error ", "global", []string{"ours", "cloudpay"}},
		{"FREQUENCY_LIMITED", "", []string{"ours", "apiv3", "cloudpay"}},
		{"NOAUTH", "apiv3", []string{"ours", "cloudpay"}},
		{"SIGN ERROR", "", []string{"apiv3", "cloudpay"}},
		{"NOTENOUGH", "apiv3", []string{"cloudpay"}}, // another channel's is better than nothing
		{"claim_in_doubt", "wecom", []string{"alarm"}},
		{"NOSUCH", "apiv3", nil},
		{"", "apiv3", nil},
	}
	for _, test := range tests {
		found, err := explain.Find(test.code, test.channel)
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, e := range found {
			got = append(got, e.Of[0])
		}
		if !slices.Equal(got, test.want) {
			t.Errorf("Find(%q, %q) is of %v, want %v", test.code, test.channel, got, test.want)
		}
	}
}

// A person has the text that WeChat Pay showed, and often no code.
func TestATextThatAnUpstreamSaysIsFound(t *testing.T) {
	for text, want := range map[string]string{
		"受理关系不存在":                "cloudpay-relation",
		"NO Bill Exist":          "20002",
		"No Bill Exist, hint: x": "20002",
		"BILL_CREATING":          "20002",
		"No Statement Exist":     "NO_STATEMENT_EXIST",
		"单笔订单请求频率过高,请于1分钟后重试":             "FREQUENCY_LIMITED",
		"申请退款金额大于剩余未分账金额":                 "RULE_LIMIT",
		"订单金额或退款金额与之前请求不一致，请核实后再试":        "REFUND_FEE_MISMATCH",
		"WeChat Pay refused: 签名错误，请检查后再试": "SIGN_ERROR",
	} {
		found, err := explain.Find(text, "")
		if err != nil || len(found) == 0 || found[0].Code != want {
			t.Errorf("Find(%q) is %v, %v, want %s", text, found, err, want)
		}
	}
	for _, no := range []string{"1", "501001", "refund-20002", "not", "错误"} { // numbers of refunds, and what says nothing
		if found, err := explain.Find(no, ""); err != nil || len(found) != 0 {
			t.Errorf("Find(%q) is %v, %v, want nothing", no, found, err)
		}
	}
}

// codeText is how upstreams write codes.
var codeText = regexp.MustCompile(`^(-?[1-9]\d{4,6}|[A-Z][A-Z0-9]*(_[A-Z0-9]+)+)$`)

// noCodes are texts of that form in the code that are something else.
func noCodes(t *testing.T) []string {
	t.Helper()
	settings, err := os.ReadFile("../config/settings.go")
	if err != nil {
		t.Fatal(err)
	}
	names := []string{
		"USER_BANK_CARD", "MERCHANT_BANK_CARD", "NO_CASH", "REFUND_SOURCE_RECHARGE_FUNDS", "REFUND_SOURCE_UNSETTLED_FUNDS", // values of fields
		"AEAD_AES_256_GCM", "NOT_ACCEPTABLE", "FULLY_APPLIED",
		"28000", "42501", "25006", // of a database's own, which operate check explains
	}
	for _, m := range regexp.MustCompile(`Name: "([A-Z0-9_]+)"`).FindAllStringSubmatch(string(settings), -1) {
		names = append(names, m[1])
	}
	return names
}

// What the channels, the checks, the ledger and the sandbox call by a code, people meet and
// look up: none of it is unknown here.
func TestEveryCodeThatTheProgramNamesIsExplained(t *testing.T) {
	others, checked := noCodes(t), 0
	for _, folder := range []string{"../channel", "../check", "../cloudbase", "../sandbox/cloudbase"} {
		files, err := filepath.Glob(folder + "/*.go")
		if err != nil || len(files) == 0 {
			t.Fatalf("%s: %d files, %v", folder, len(files), err)
		}
		for _, file := range append(files, "../ledger/cloudbase_call.go") {
			if strings.HasSuffix(file, "_test.go") {
				continue
			}
			parsed, err := parser.ParseFile(token.NewFileSet(), file, nil, 0)
			if err != nil {
				t.Fatal(err)
			}
			ast.Inspect(parsed, func(n ast.Node) bool {
				lit, ok := n.(*ast.BasicLit)
				if !ok || lit.Kind != token.STRING {
					return true
				}
				code, err := strconv.Unquote(lit.Value)
				if err != nil || !codeText.MatchString(code) || slices.Contains(others, code) {
					return true
				}
				checked++
				if found, err := explain.Find(code, ""); err != nil || len(slices.DeleteFunc(found, explain.Entry.Ours)) == 0 {
					t.Errorf("%s names %s, which is not explained (%v)", file, code, err)
				}
				return true
			})
		}
	}
	if checked < 50 {
		t.Errorf("only %d codes were found", checked)
	}
}

// Both of a name are told apart in every language.
func TestOursIsToldApartFromWeChatPays(t *testing.T) {
	found, err := explain.Find("FREQUENCY_LIMITED", "apiv3")
	if err != nil || len(found) != 2 {
		t.Fatalf("found %v, %v", found, err)
	}
	var got []string
	for _, l := range []explain.Language{explain.English, explain.Chinese} {
		for _, e := range found {
			_, heals := e.In(l)
			got = append(got, e.Whose(l)+" / "+heals)
		}
	}
	want := []string{
		"ours, not WeChat Pay's / repeat later", "WeChat Pay's: apiv3, cloudbase / heals by itself",
		"本服务自己的，不是微信支付的 / 稍后原样重试", "微信支付：apiv3、cloudbase / 会自行了结",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

// What is no channel's has its kind in Chinese, too.
func TestEveryKindHasAChineseName(t *testing.T) {
	groups, err := explain.Groups()
	if err != nil {
		t.Fatal(err)
	}
	for _, g := range groups {
		for _, e := range g.Entries {
			if whose := e.Whose(explain.Chinese); !strings.ContainsFunc(whose, func(r rune) bool { return unicode.Is(unicode.Han, r) }) {
				t.Errorf("%s is of %q", e.Code, whose)
			}
		}
	}
}

// Not everybody who looks after refunds has an account of the merchant platform.
func TestTheRemedyOfAnAbnormalRefundNamesTheCommandFirst(t *testing.T) {
	for _, code := range []string{"abnormal", "refund_abnormal"} {
		found, err := explain.Find(code, "")
		if err != nil || len(found) != 1 {
			t.Fatalf("%s: found %v, %v", code, found, err)
		}
		for text, platform := range map[string]string{found[0].En.Remedy: "merchant platform", found[0].Zh.Remedy: "商户平台"} {
			if before, _, ok := strings.Cut(text, platform); !ok || !strings.Contains(before, "operate abnormal NO -type") {
				t.Errorf("%s: %q does not name the command before the %s", code, text, platform)
			}
		}
	}
}

func TestNearListsWhatWasPerhapsMeant(t *testing.T) {
	for code, want := range map[string]string{"not enough": "NOT_ENOUGH", "frequency": "FREQUENCY_LIMITED", "signerr": "SIGN_ERROR", "virtual payment": "virtual-payment", "冻结待分账": "profit-sharing", "clear_air_turbulence SYSTEM_ERROR": "SYSTEM_ERROR"} {
		near, err := explain.Near(code)
		if err != nil || !slices.Contains(near, want) {
			t.Errorf("Near(%q) is %v, %v, want %s among them", code, near, err, want)
		}
	}
	for _, code := range []string{"zzz", "", " ", "_"} {
		if near, err := explain.Near(code); err != nil || len(near) != 0 {
			t.Errorf("Near(%q) is %v, %v", code, near, err)
		}
	}
}
