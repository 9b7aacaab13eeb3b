package wxpayfunctions

import (
	"encoding/json"
	"fmt"
	"os"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"wxrefund/shared/deliver"
	"wxrefund/shared/refund"
)

// wxrefund.d.ts says to TypeScript what the structs here say to encoding/json. It
// is written by hand, for its comments and for what structs cannot say, and must
// not drift from them.

// Properties are an interface's fields: the type of each, with a question mark
// before it if the field may be absent.
type properties map[string]string

func declaration(t *testing.T) string {
	t.Helper()
	b, err := os.ReadFile("wxrefund.d.ts")
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

var propertyLine = regexp.MustCompile(`(?m)^  (\w+)(\??): (.+)$`)

// declared reads an interface.
func declared(t *testing.T, name string) properties {
	t.Helper()
	block := regexp.MustCompile(`(?s)\nexport interface ` + name + `(?:<[^{]*>)? \{\n(.*?)\n\}\n`).FindStringSubmatch(declaration(t))
	if block == nil {
		t.Fatalf("wxrefund.d.ts declares no interface %s", name)
	}
	out := properties{}
	for _, m := range propertyLine.FindAllStringSubmatch(block[1], -1) {
		out[m[1]] = m[2] + strings.ReplaceAll(m[3], "MinorUnits", "number")
	}
	return out
}

// literals lists the texts or numbers of a union.
func literals(union string) []string {
	found := regexp.MustCompile(`'[^']*'|\d+`).FindAllString(union, -1)
	for i, text := range found {
		found[i] = strings.Trim(text, "'")
	}
	slices.Sort(found)
	return found
}

// inGo writes a struct as an interface. What is asked must be there if the rules
// say so; what is told is there unless it is left out when empty.
func inGo(t reflect.Type, asked bool) properties {
	out := properties{}
	for i := range t.NumField() {
		f := t.Field(i)
		name, options, _ := strings.Cut(f.Tag.Get("json"), ",")
		if name == "-" {
			continue
		}
		optional := options == "omitempty" || options == "omitzero"
		if asked {
			optional = !tagged(f, "validate", "required") && !tagged(f, "wire", "required")
		}
		out[name] = map[bool]string{true: "?"}[optional] + inTypeScript(f.Type)
	}
	return out
}

func inTypeScript(t reflect.Type) string {
	switch t.Kind() {
	case reflect.Pointer:
		return inTypeScript(t.Elem())
	case reflect.Slice:
		return inTypeScript(t.Elem()) + "[]"
	case reflect.Int, reflect.Int64:
		return "number"
	case reflect.String:
		switch t {
		case reflect.TypeFor[refund.Status]():
			return "RefundStatus"
		case reflect.TypeFor[refund.ApplicationState]():
			return "ApplicationState"
		}
		return "string"
	case reflect.Struct:
		if t == reflect.TypeFor[time.Time]() {
			return "string"
		}
	}
	return t.Name()
}

// The declaration has the fields of what is asked and of what is told, each with
// its type and whether it may be absent, and no others.
func TestDeclarationHasTheFieldsOfTheGoStructs(t *testing.T) {
	for _, c := range []struct {
		name  string
		of    reflect.Type
		asked bool
	}{
		{"RefundFields", reflect.TypeFor[refund.Request](), true},
		{"RequestAmount", reflect.TypeFor[refund.RequestAmount](), true},
		{"From", reflect.TypeFor[refund.From](), true},
		{"Goods", reflect.TypeFor[refund.Goods](), true},
		{"Lookup", reflect.TypeFor[refund.Lookup](), true},
		{"Refund", reflect.TypeFor[refund.Refund](), false},
		{"Amount", reflect.TypeFor[refund.Amount](), false},
		{"From", reflect.TypeFor[refund.From](), false},
		{"Goods", reflect.TypeFor[refund.Goods](), false},
		{"Promotion", reflect.TypeFor[refund.Promotion](), false},
		{"RefundPage", reflect.TypeFor[refund.Page](), false},
		{"ApplyFields", reflect.TypeFor[refund.ApplyRequest](), true},
		{"ApplyAmount", reflect.TypeFor[refund.ApplyAmount](), true},
		{"Decision", reflect.TypeFor[refund.Decision](), true},
		{"ListFields", reflect.TypeFor[refund.ApplicationQuery](), true},
		{"AbnormalFields", reflect.TypeFor[refund.AbnormalRequest](), true},
		{"Application", reflect.TypeFor[refund.Application](), false},
		{"ApplicationAmount", reflect.TypeFor[refund.ApplicationAmount](), false},
		{"ListPage", reflect.TypeFor[refund.Listing](), false},
	} {
		want := inGo(c.of, c.asked)
		switch c.name { // what structs cannot say
		case "Refund":
			want["received_by"] = "?'" + refund.ReceivedByMerchant + "'"
		case "ApplyAmount":
			want["refund"] = "number" // an amount that stands there says how much
		case "AbnormalFields":
			want["type"] = "AbnormalTarget"
		case "Application":
			delete(want, "applicant") // which no reply of the dispatcher has
			delete(want, "history")
		case "ListPage":
			want["items"] = "Item[]"
		}
		if d := cmp.Diff(want, declared(t, c.name)); d != "" {
			t.Errorf("%s and %v (-Go +TypeScript):\n%s", c.name, c.of, d)
		}
	}
}

// The declaration's replies have the envelope's fields, its codes and its ways to repeat.
func TestDeclarationHasTheRepliesOfTheDispatcher(t *testing.T) {
	told := map[string]bool{}
	var codesTold []string
	for _, name := range []string{"RefundDone", "RefundWaits", "PageDone", "ApplicationDone", "ListDone", "Refused", "Unknown"} {
		p := declared(t, name)
		for field := range p {
			told[field] = true
		}
		if numbers := literals(p["code"]); (slices.Equal(numbers, []string{"0"}) || slices.Equal(numbers, []string{"202"})) != (p["data"] != "") {
			t.Errorf("%s: code %s, and data %q", name, p["code"], p["data"])
		} else if numbers[0] != "0" {
			codesTold = append(codesTold, numbers...)
		}
	}
	fields := map[string]bool{}
	for name := range inGo(reflect.TypeFor[envelope](), false) {
		fields[name] = true
	}
	if d := cmp.Diff(fields, told); d != "" {
		t.Errorf("fields of replies (-Go +TypeScript):\n%s", d)
	}

	var numbers []string
	for _, e := range codes() {
		numbers = append(numbers, fmt.Sprint(e.Code))
	}
	slices.Sort(numbers)
	slices.Sort(codesTold)
	if d := cmp.Diff(numbers, codesTold); d != "" {
		t.Errorf("codes (-Go +TypeScript):\n%s", d)
	}

	var ways []string
	for _, way := range retries() {
		ways = append(ways, way)
	}
	slices.Sort(ways)
	if d := cmp.Diff(slices.Compact(ways), union(t, "Retry")); d != "" {
		t.Errorf("retry (-Go +TypeScript):\n%s", d)
	}
	if d := cmp.Diff([]string{"ABNORMAL", "CLOSED", "PROCESSING", "SUCCESS"}, union(t, "RefundStatus")); d != "" {
		t.Errorf("status (-want +got):\n%s", d)
	}

	var states []string
	for _, s := range refund.ApplicationStates() {
		states = append(states, string(s))
	}
	slices.Sort(states)
	if d := cmp.Diff(states, union(t, "ApplicationState")); d != "" {
		t.Errorf("states of applications (-Go +TypeScript):\n%s", d)
	}
	field, _ := reflect.TypeFor[refund.AbnormalRequest]().FieldByName("Type")
	_, targets, _ := strings.Cut(field.Tag.Get("validate"), "oneof=")
	if d := cmp.Diff(slices.Sorted(strings.FieldsSeq(targets)), union(t, "AbnormalTarget")); d != "" {
		t.Errorf("where an abnormal refund goes (-Go +TypeScript):\n%s", d)
	}

	var types, routed []string
	for _, m := range regexp.MustCompile(`type: '(\w+)'`).FindAllStringSubmatch(declaration(t), -1) {
		types = append(types, m[1])
	}
	for _, r := range routes() {
		routed = append(routed, r.name)
	}
	slices.Sort(types)
	slices.Sort(routed)
	if d := cmp.Diff(routed, slices.Compact(types)); d != "" {
		t.Errorf("types of events (-Go +TypeScript):\n%s", d)
	}
}

// union lists the literals of a type that is one of several.
func union(t *testing.T, name string) []string {
	t.Helper()
	m := regexp.MustCompile(`(?m)^export type ` + name + ` = ('.*)$`).FindStringSubmatch(declaration(t))
	if m == nil {
		t.Fatalf("wxrefund.d.ts declares no type %s", name)
	}
	return literals(m[1])
}

// What subscribers receive has the declared fields: all of them of a refund of
// which everything is known, those that are always there of one of which nothing is.
func TestDeclarationHasTheFieldsThatSubscribersReceive(t *testing.T) {
	one := int64(1)
	all := refund.Event{
		ID: "e1", At: time.Unix(0, 0), Merchant: refund.Merchant{MchID: "m", SubMchID: "s"},
		Refund: refund.Refund{
			OutTradeNo: "o", TransactionID: "t", OutRefundNo: "r", RefundID: "i", SuccessTime: "now", UserReceivedAccount: "a", ReceivedBy: refund.ReceivedByMerchant,
			Amount: refund.Amount{Total: 1, Refund: 1, PayerTotal: &one, PayerRefund: &one, Currency: "CNY"},
		},
	}
	little := refund.Event{ID: "e1", Merchant: refund.Merchant{MchID: "m"}, Refund: refund.Refund{OutRefundNo: "r", Amount: refund.Amount{Refund: 1}}}
	for _, status := range union(t, "SettledStatus") {
		all.Status, little.Status = refund.Status(status), refund.Status(status)
		most, least := encoded(t, all), encoded(t, little)
		received(t, status, most, least, [][2]string{{"SettledEvent", ""}, {"SettledResource", "resource"}, {"SettledAmount", "resource.amount"}})
		if got, want := at(most, "")["resource_type"], literals(declared(t, "SettledEvent")["resource_type"])[0]; got != want {
			t.Errorf("resource_type %v, declared %s", got, want)
		}
		if got, want := at(most, "")["event_type"], "REFUND."+status; got != want {
			t.Errorf("event_type %v, declared %s", got, want)
		}
	}
	for _, status := range []refund.Status{refund.StatusSuccess, refund.StatusClosed, refund.StatusAbnormal} {
		if !slices.Contains(union(t, "SettledStatus"), string(status)) {
			t.Errorf("SettledStatus lacks %s", status)
		}
	}
}

// received holds an event of which everything is known, and one of which nothing is, against
// interfaces, each with the path at which it stands.
func received(t *testing.T, status string, most, least map[string]any, interfaces [][2]string) {
	t.Helper()
	for _, c := range interfaces {
		want, always := declared(t, c[0]), properties{}
		for name, kind := range want {
			if !strings.HasPrefix(kind, "?") {
				always[name] = kind
			}
		}
		for _, d := range []string{cmp.Diff(names(at(most, c[1])), names(want)), cmp.Diff(names(at(least, c[1])), names(always))} {
			if d != "" {
				t.Errorf("%s of %s (-Go +TypeScript):\n%s", c[0], status, d)
			}
		}
	}
}

// The same of applications, in each of their states.
func TestDeclarationHasTheFieldsOfEventsAboutApplications(t *testing.T) {
	for _, state := range union(t, "ApplicationState") {
		all := refund.Event{
			ID: "e1", At: time.Unix(0, 0), Merchant: refund.Merchant{MchID: "m", SubMchID: "s"},
			Application: &refund.Application{
				ID: "A1", State: refund.ApplicationState(state), OutTradeNo: "o", TransactionID: "t", OutRefundNo: "r", Reason: "r", CreatedAt: time.Unix(0, 0), DecidedAt: time.Unix(0, 0),
				Amount: refund.ApplicationAmount{Refund: 1, Total: 1, Currency: "CNY"}, Applicant: "a", Refund: &refund.Refund{}, History: []refund.HistoryEntry{{}},
			},
		}
		little := refund.Event{ID: "e1", Merchant: refund.Merchant{MchID: "m"}, Application: &refund.Application{ID: "A1", State: refund.ApplicationState(state)}}
		most, least := encoded(t, all), encoded(t, little)
		received(t, state, most, least, [][2]string{{"ApplicationEvent", ""}, {"ApplicationResource", "resource"}, {"ApplicationAmount", "resource.amount"}})
		if got, want := most["event_type"], "REFUND_APPLICATION."+state; got != want || !strings.Contains(declaration(t), "ApplicationEvent<'"+state+"'>") {
			t.Errorf("event_type %v, want %s, and among what subscribers receive", got, want)
		}
	}
}

func encoded(t *testing.T, e refund.Event) (event map[string]any) {
	t.Helper()
	b, err := deliver.Encode(e)
	if err == nil {
		err = json.Unmarshal(b, &event)
	}
	if err != nil {
		t.Fatal(err)
	}
	return event
}

// at finds the object that stands at a path.
func at(o map[string]any, path string) map[string]any {
	for name := range strings.SplitSeq(path, ".") {
		if inner, ok := o[name].(map[string]any); ok {
			o = inner
		}
	}
	return o
}

func names[V any](of map[string]V) []string {
	out := make([]string, 0, len(of))
	for name := range of {
		out = append(out, name)
	}
	slices.Sort(out)
	return out
}
