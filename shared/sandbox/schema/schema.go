// Package schema says what a JSON body may hold, as a table.
//
// The tables read like the documents that they are from. What breaks one is put in
// two languages: in WeChat Pay's own words, and in plain English.
package schema

import (
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"wxrefund/shared/strictjson"
)

// A Schema says what a JSON body may hold. It is data, so that the tables read
// like the documents that they are from; it is read in one place only.
// Bodies are taken literally: a name is known in its exact case, a number is an
// integer in its plainest spelling, nothing may be there twice or too much.
type Schema []Rule

// A Rule is about one field. A field without a rule may not be there.
type Rule struct {
	Path     string // JSON pointer; * stands for every element of a list
	Label    string // what WeChat Pay's messages call the field
	Kind     Kind
	Required bool
	Min, Max int64          // text: least characters, most bytes; list: elements; number: its value; fraction: most, instead of 1
	Form     *regexp.Regexp // of a text
	Enum     []string       // of a text
}

// A Kind is what a value is.
type Kind int

// The kinds of values.
const (
	Text     Kind = iota
	Number        // an integer
	Fraction      // from 0 to 1, or to Max
	Boolean
	Object
	List
)

// A Violation is the first thing found wrong with a body.
type Violation struct {
	Pointer string // JSON pointer to the field; empty for the whole body
	Got     any    // what was there instead

	label string
	issue issue
	limit string // the bound, form or list that was not kept
}

// An issue is a kind of violation. Its two texts are for the two sorts of
// reader: WeChat Pay's own, as merchants have reported them, and plain English
// for whoever controls the sandbox. %[1]s is the pointer, %[2]s the label, %[3]v
// what was found, %[4]s the limit.
type issue struct{ chinese, english string }

// UnknownField is what WeChat Pay says of a field that its documents do not have.
const UnknownField = "请求中含有未在API文档中定义的参数"

// Those marked * were never seen in the wild; they follow their neighbours.
var (
	issueSyntax   = issue{"无法解析请求报文，请求报文需要是一个合法的 Json 对象", "the body is not one JSON object without duplicate names"} // *
	issueUnknown  = issue{UnknownField, "%[1]s is not known here"}
	issueMissing  = issue{"输入源“/body%[1]s”映射到字段“%[2]s”必填性规则校验失败，此字段为必填项", "%[1]s is missing"}
	issueText     = issue{"无法将 JSON 输入源“/body%[1]s”映射到目标字段“%[2]s”中，此字段需要一个 string 类型的 Json 值", "%[1]s must be a string"}
	issueNumber   = issue{"无法将 JSON 输入源“/body%[1]s”映射到目标字段“%[2]s”中，此字段需要一个合法的 64 位有符号整数", "%[1]s must be an integer"}
	issueFraction = issue{"", "%[1]s must be a number from 0 to %[4]s"}
	issueBoolean  = issue{"", "%[1]s must be true or false"}
	issueObject   = issue{"无法将 JSON 输入源“/body%[1]s”映射到目标字段“%[2]s”中，此字段需要一个合法的 Json 对象", "%[1]s must be an object"}
	issueList     = issue{"无法将 JSON 输入源“/body%[1]s”映射到目标字段“%[2]s”中，此字段需要一个合法的 Json 数组", "%[1]s must be an array"} // *
	issueShort    = issue{"输入源“/body%[1]s”映射到值字段“%[2]s”字符串规则校验失败，字符数 %[3]v，小于最小值 %[4]s", "%[1]s has %[3]v characters, fewer than %[4]s"}
	issueLong     = issue{"输入源“/body%[1]s”映射到值字段“%[2]s”字符串规则校验失败，字节数 %[3]v，大于最大值 %[4]s", "%[1]s has %[3]v bytes, more than %[4]s"}
	issueForm     = issue{"输入源“/body%[1]s”映射到值字段“%[2]s”字符串规则校验失败，字符串必须匹配正则表达式“%[4]s”", "%[1]s does not match %[4]s"}
	issueWide     = issue{"输入源“/body%[1]s”映射到值字段“%[2]s”字符串规则校验失败，仅支持1至3个字节的UTF-8字符", "%[1]s has a character of four bytes"} // *
	issueEnum     = issue{"输入源“/body%[1]s”映射到枚举字段“%[2]s”规则校验失败，取值必须是 %[4]s 之一", "%[1]s must be one of %[4]s"}               // *
	issueSmall    = issue{"输入源“/body%[1]s”映射到数值字段“%[2]s”规则校验失败，值低于最小值 %[4]s", "%[1]s must be at least %[4]s"}
	issueLarge    = issue{"输入源“/body%[1]s”映射到数值字段“%[2]s”规则校验失败，值高于最大值 %[4]s", "%[1]s must be at most %[4]s"} // *
	issueElements = issue{"输入源“/body%[1]s”映射到数组字段“%[2]s”规则校验失败，元素数 %[3]v，大于最大值 %[4]s", "%[1]s has %[3]v elements, more than %[4]s"}
)

// Chinese is what WeChat Pay says of a violation.
func (v *Violation) Chinese() string { return v.render(v.issue.chinese) }

// English is the same for whoever controls the sandbox.
func (v *Violation) English() string { return v.render(v.issue.english) }

func (v *Violation) render(template string) string {
	if !strings.Contains(template, "%") {
		return template
	}
	return fmt.Sprintf(template, v.Pointer, v.label, v.Got, v.limit)
}

// OfBody tells that the body as a whole is not one JSON object.
func (v *Violation) OfBody() bool { return v.issue == issueSyntax }

// Missing tells that a required field is not there.
func (v *Violation) Missing() bool { return v.issue == issueMissing }

// Length tells that a text is too short or too long.
func (v *Violation) Length() bool { return v.issue == issueShort || v.issue == issueLong }

// Type tells that a text or an integer is something else.
func (v *Violation) Type() bool { return v.issue == issueText || v.issue == issueNumber }

// Unknown returns pointers to the fields that no rule speaks of, if that is the violation.
func (v *Violation) Unknown() []string {
	pointers, _ := v.Got.([]string)
	return pointers
}

// Read checks a body and decodes it into v. What v is given has passed every
// rule, so encoding/json's lenience about names and duplicates does not matter.
func (s Schema) Read(body []byte, v any) *Violation {
	tree, err := Parse(body)
	if err != nil {
		return &Violation{issue: issueSyntax}
	}
	root, ok := tree.(map[string]any)
	if !ok {
		return &Violation{issue: issueSyntax}
	}
	if unknown := s.unknown("", "", root); len(unknown) > 0 {
		slices.Sort(unknown)
		return &Violation{Pointer: unknown[0], issue: issueUnknown, Got: unknown}
	}
	if v := s.check("", "", root); v != nil {
		return v
	}
	if json.Unmarshal(body, v) != nil {
		return &Violation{issue: issueSyntax}
	}
	return nil
}

// members are the rules for the fields of the object at pattern.
func (s Schema) members(pattern string) Schema {
	var out Schema
	for _, r := range s {
		if i := strings.LastIndexByte(r.Path, '/'); r.Path[:i] == pattern {
			out = append(out, r)
		}
	}
	return out
}

// unknown returns pointers to all that no rule speaks of.
func (s Schema) unknown(pattern, pointer string, node any) []string {
	var out []string
	switch node := node.(type) {
	case map[string]any:
		members := s.members(pattern)
		for name, value := range node {
			path := pattern + "/" + name
			if !slices.ContainsFunc(members, func(r Rule) bool { return r.Path == path }) {
				out = append(out, pointer+"/"+escapePointer.Replace(name))
				continue
			}
			out = append(out, s.unknown(path, pointer+"/"+name, value)...)
		}
	case []any:
		for i, element := range node {
			out = append(out, s.unknown(pattern+"/*", pointer+"/"+strconv.Itoa(i), element)...)
		}
	}
	return out
}

var escapePointer = strings.NewReplacer("~", "~0", "/", "~1")

// Check returns the first violation of an object that [Parse] has read, in the order of
// the table; nil if there is none. Fields without a rule are let pass.
func (s Schema) Check(node map[string]any) *Violation { return s.check("", "", node) }

// Known returns of an object what there are rules for.
func (s Schema) Known(node map[string]any) map[string]any {
	out := map[string]any{}
	for _, r := range s.members("") {
		if value, ok := node[r.Path[1:]]; ok {
			out[r.Path[1:]] = value
		}
	}
	return out
}

// Without returns s without the rules for some paths.
func (s Schema) Without(paths ...string) Schema {
	return slices.DeleteFunc(slices.Clone(s), func(r Rule) bool { return slices.Contains(paths, r.Path) })
}

// check is [Schema.Check] for what is at pointer; its rules are those below pattern.
func (s Schema) check(pattern, pointer string, node map[string]any) *Violation {
	for _, r := range s.members(pattern) {
		name := r.Path[len(pattern)+1:]
		at := pointer + "/" + name
		value, ok := node[name]
		if !ok {
			if r.Required {
				return &Violation{Pointer: at, label: r.Label, issue: issueMissing, Got: ""}
			}
			continue
		}
		if issue, limit, got := r.check(value); issue != issueNone {
			return &Violation{Pointer: at, label: r.Label, issue: issue, limit: limit, Got: got}
		}
		switch value := value.(type) {
		case map[string]any:
			if v := s.check(r.Path, at, value); v != nil {
				return v
			}
		case []any:
			for i, element := range value {
				at := at + "/" + strconv.Itoa(i)
				member, ok := element.(map[string]any)
				if !ok {
					return &Violation{Pointer: at, label: r.Label, issue: issueObject, Got: element}
				}
				if v := s.check(r.Path+"/*", at, member); v != nil {
					return v
				}
			}
		}
	}
	return nil
}

var issueNone issue

// check holds one value against its rule.
func (r Rule) check(value any) (issue, string, any) {
	switch r.Kind {
	case Text:
		s, ok := value.(string)
		if !ok {
			return issueText, "", value
		}
		return r.checkText(s)
	case Number:
		literal, ok := value.(json.Number)
		n, err := strconv.ParseInt(literal.String(), 10, 64)
		switch {
		case !ok || err != nil:
			return issueNumber, "", value
		case n < r.Min:
			return issueSmall, strconv.FormatInt(r.Min, 10), n
		case r.Max > 0 && n > r.Max:
			return issueLarge, strconv.FormatInt(r.Max, 10), n
		}
	case Fraction:
		literal, ok := value.(json.Number)
		most := max(r.Max, 1)
		if f, err := literal.Float64(); !ok || err != nil || f < 0 || f > float64(most) {
			return issueFraction, strconv.FormatInt(most, 10), value
		}
	case Boolean:
		if _, ok := value.(bool); !ok {
			return issueBoolean, "", value
		}
	case Object:
		if _, ok := value.(map[string]any); !ok {
			return issueObject, "", value
		}
	case List:
		elements, ok := value.([]any)
		if !ok {
			return issueList, "", value
		}
		if r.Max > 0 && int64(len(elements)) > r.Max {
			return issueElements, strconv.FormatInt(r.Max, 10), len(elements)
		}
	}
	return issueNone, "", nil
}

func (r Rule) checkText(s string) (issue, string, any) {
	switch {
	case int64(utf8.RuneCountInString(s)) < r.Min:
		return issueShort, strconv.FormatInt(r.Min, 10), utf8.RuneCountInString(s)
	case r.Max > 0 && int64(len(s)) > r.Max:
		return issueLong, strconv.FormatInt(r.Max, 10), len(s)
	case r.Form != nil && !r.Form.MatchString(s):
		return issueForm, r.Form.String(), s
	case r.Enum != nil && !slices.Contains(r.Enum, s):
		return issueEnum, strings.Join(r.Enum, ", "), s
	case strings.ContainsFunc(s, func(c rune) bool { return c > 0xffff }):
		return issueWide, "", s
	}
	return issueNone, "", nil
}

// maxDepth is deeper than any body that is known here.
const maxDepth = 8

// Parse reads one JSON value strictly, with numbers as they are written; see
// [Schema.Read].
func Parse(body []byte) (any, error) {
	return strictjson.Parse(body, strictjson.Options{MaxDepth: maxDepth})
}
