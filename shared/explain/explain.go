// Package explain says in plain words, in English and Chinese, what a code means that
// a refund can meet: its cause, what to do, and whether it heals by itself. It has
// every error code of every channel that package channel knows, WeChat Pay's and
// WeCom's general ones, CloudBase's gateway, our own replies and alarms, the states of
// a refund, and what people ask most. Our replies use WeChat Pay's spelling, so that one
// code may have two meanings: ours, and WeChat Pay's. The documents and the operator's program
// show the same table.
package explain

import (
	"embed"
	"encoding/json"
	"fmt"
	"io/fs"
	"slices"
	"strings"
)

// tables holds the entries, a file for each group.
//
//go:embed table/*.json
var tables embed.FS

// Heals says whether what a code reports ends by itself.
type Heals string

const (
	ByItself  Heals = "itself" // nothing is to be done: it is asked about, or sent again under the same number
	ByRepeat  Heals = "repeat" // repeat identically, later
	WhenFixed Heals = "fix"    // something must be put right; the number stays usable
	Never     Heals = "never"  // no repeat can succeed: other means, or a new number
)

// An Entry explains one code, as some part of the system uses it.
type Entry struct {
	Code   string   `json:"code"`
	Of     []string `json:"of"`              // channels; or one of ours, gateway, reply, alarm, state, question
	Words  []string `json:"words,omitempty"` // texts that say it instead of a code, or beside one
	Heals  Heals    `json:"heals"`
	En     Text     `json:"en"`
	Zh     Text     `json:"zh"`
	Source string   `json:"source"` // the document's title, or where people ask
}

// A Text is an explanation in one language.
type Text struct {
	Cause  string `json:"cause"`
	Remedy string `json:"remedy"`
}

// A Group is the entries of one part of the system, in the order of its table.
type Group struct {
	Name    string // of its file
	En, Zh  string // headings
	Entries []Entry
}

// Groups returns all entries.
func Groups() ([]Group, error) {
	groups := []Group{
		{Name: "states", En: "States of a refund", Zh: "退款状态"},
		{Name: "questions", En: "What people ask", Zh: "常见问题"},
		{Name: "reply", En: "`code` of a reply of wxpayFunctions", Zh: "wxpayFunctions 回复中的 `code`"},
		{Name: "ours", En: "`err_code` of a reply where it is our own, not WeChat Pay's", Zh: "回复中属于本服务自己、并非微信支付的 `err_code`"},
		{Name: "apiv3", En: "WeChat Pay APIv3 and the CloudBase template", Zh: "微信支付 APIv3 与云开发模板"},
		{Name: "v2", En: "CloudPay and WeChat Pay Global", Zh: "CloudPay 与境外微信支付"},
		{Name: "wecom", En: "WeCom", Zh: "企业微信"},
		{Name: "gateway", En: "CloudBase's gateway", Zh: "云开发网关"},
		{Name: "alarms", En: "Alarms", Zh: "告警"},
	}
	for i, g := range groups {
		text, err := fs.ReadFile(tables, "table/"+g.Name+".json")
		if err != nil {
			return nil, err
		}
		if err := json.Unmarshal(text, &groups[i].Entries); err != nil {
			return nil, fmt.Errorf("explain: table %s: %w", g.Name, err)
		}
	}
	return groups, nil
}

// Find returns what explains a code, written as it is or else in any case and spacing, or
// else the text that an upstream says with it. Ours stands before WeChat Pay's. Of a channel
// that is named, other channels' entries are left out, unless only they have the code.
func Find(code, channel string) ([]Entry, error) {
	groups, err := Groups()
	if err != nil {
		return nil, err
	}
	code = strings.TrimSpace(code)
	var all []Entry
	for _, match := range []func(Entry) bool{
		func(e Entry) bool { return e.Code == code },
		func(e Entry) bool { return strings.EqualFold(e.Code, code) },
		func(e Entry) bool { return plain(e.Code) == plain(code) },
		func(e Entry) bool {
			return slices.ContainsFunc(e.Words, func(words string) bool { return strings.Contains(plain(code), plain(words)) })
		},
	} {
		if all = matching(groups, match); len(all) > 0 {
			break
		}
	}
	its := slices.DeleteFunc(slices.Clone(all), func(e Entry) bool { return e.ofChannel() && !slices.Contains(e.Of, channel) })
	if channel == "" || !slices.ContainsFunc(its, Entry.ofChannel) { // another's word is better than ours alone: relays pass them on
		return all, nil
	}
	return its, nil
}

func matching(groups []Group, match func(Entry) bool) (found []Entry) {
	for _, g := range groups {
		for _, e := range g.Entries {
			if match(e) {
				found = append(found, e)
			}
		}
	}
	return found
}

// ofChannel reports whether the entry is one of a channel's own codes.
func (e Entry) ofChannel() bool {
	return !slices.ContainsFunc(e.Of, func(of string) bool {
		return slices.Contains([]string{"ours", "gateway", "reply", "alarm", "state", "question"}, of)
	})
}

// Ours reports whether the entry is of a code that this service answers by itself: what a
// refund's record keeps of a refusal is never that.
func (e Entry) Ours() bool { return slices.Contains(e.Of, "ours") }

// plain is a code or a text without what is often written otherwise. A hyphen stays: it
// makes a number negative.
func plain(s string) string {
	return strings.ToLower(strings.NewReplacer("_", "", " ", "").Replace(s))
}

// Near lists codes that resemble one that is unknown, then those whose explanation has it
// as a word, at most a few.
func Near(code string) ([]string, error) {
	groups, err := Groups()
	if err != nil {
		return nil, err
	}
	const most, shortest = 5, 4 // bytes of a word: two of Han, and no "is" or "not"
	bare := func(s string) string { return strings.ReplaceAll(plain(s), "-", "") }
	want := bare(code)
	if want == "" {
		return nil, nil
	}
	found := matching(groups, func(e Entry) bool {
		have := bare(e.Code)
		return strings.Contains(have, want) || strings.Contains(want, have) && len(have) > 3
	})
	if len(want) >= shortest {
		found = append(found, matching(groups, func(e Entry) bool {
			return strings.Contains(bare(e.En.Cause+"\n"+e.En.Remedy+"\n"+e.Zh.Cause+"\n"+e.Zh.Remedy), want)
		})...)
	}
	var near []string
	for _, e := range found {
		if !slices.Contains(near, e.Code) && len(near) < most {
			near = append(near, e.Code)
		}
	}
	return near, nil
}
