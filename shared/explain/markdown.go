package explain

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// A Language is one of the two in which everything is explained.
type Language string

const (
	English Language = "en"
	Chinese Language = "zh"
)

// In returns the entry's text in a language, and how its healing is called there.
func (e Entry) In(l Language) (text Text, heals string) {
	if l == Chinese {
		return e.Zh, map[Heals]string{ByItself: "会自行了结", ByRepeat: "稍后原样重试", WhenFixed: "改正后可用同一单号", Never: "重试无效"}[e.Heals]
	}
	return e.En, map[Heals]string{ByItself: "heals by itself", ByRepeat: "repeat later", WhenFixed: "fix first", Never: "no repeat helps"}[e.Heals]
}

// Whose says in a language who says the code, so that ours and WeChat Pay's of one name
// are told apart.
func (e Entry) Whose(l Language) string {
	of, pay, wecom, ours := strings.Join(e.Of, ", "), "WeChat Pay's: ", "WeCom's: ", "ours, not WeChat Pay's"
	if l == Chinese {
		of, pay, wecom, ours = strings.Join(e.Of, "、"), "微信支付：", "企业微信：", "本服务自己的，不是微信支付的"
	}
	switch {
	case e.Ours():
		return ours
	case slices.Contains(e.Of, "wecom"):
		return wecom + of
	case e.ofChannel():
		return pay + of
	case l == Chinese && len(e.Of) == 1:
		return cmp.Or(kindsInChinese()[e.Of[0]], of)
	}
	return of
}

// kindsInChinese are the words for what is no channel's.
func kindsInChinese() map[string]string {
	return map[string]string{"alarm": "告警", "state": "状态", "question": "常见问题", "reply": "回复", "gateway": "云开发网关"}
}

// Markdown returns all entries as the documents show them.
func Markdown(l Language) (string, error) {
	groups, err := Groups()
	if err != nil {
		return "", err
	}
	head, name := "| code | cause | what to do | heals? |", func(g Group) string { return g.En }
	if l == Chinese {
		head, name = "| 代码 | 原因 | 怎么办 | 会好吗 |", func(g Group) string { return g.Zh }
	}
	var b strings.Builder
	for _, g := range groups {
		fmt.Fprintf(&b, "## %s\n\n%s\n|---|---|---|---|\n", name(g), head)
		for _, e := range g.Entries {
			text, heals := e.In(l)
			fmt.Fprintf(&b, "| `%s` | %s | %s | %s |\n", cell(e.Code), cell(text.Cause), cell(text.Remedy), cell(cmp.Or(heals, string(e.Heals))))
		}
		b.WriteString("\n")
	}
	return strings.TrimSuffix(b.String(), "\n"), nil
}

// cell keeps a text within its cell of a table.
func cell(s string) string {
	return strings.NewReplacer("|", `\|`, "\n", " ").Replace(s)
}
