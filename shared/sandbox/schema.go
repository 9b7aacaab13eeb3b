package sandbox

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

// A schema says what a JSON body may hold. It is data, so that the tables read
// like the documents that they are from; [schema.check] is the only reader.
// Bodies are taken literally: a name is known in its exact case, a number is an
// integer in its plainest spelling, nothing may be there twice or too much.
type schema []rule

// A rule is about one field. A field without a rule may not be there.
type rule struct {
	path     string // JSON pointer; * stands for every element of a list
	label    string // what WeChat Pay's messages call the field
	kind     kind
	required bool
	min, max int64          // text: least characters, most bytes; list: elements; number: its value
	form     *regexp.Regexp // of a text
	enum     []string       // of a text
}

type kind int

const (
	text     kind = iota
	number        // an integer
	fraction      // from 0 to 1
	boolean
	object
	list
)

// A violation is the first thing found wrong with a body.
type violation struct {
	pointer string // JSON pointer to the field; empty for the whole body
	label   string
	issue   issue
	limit   string // the bound, form or list that was not kept
	got     any    // what was there instead
}

// An issue is a kind of violation. Its two texts are for the two sorts of
// reader: WeChat Pay's own, as merchants have reported them, and plain English
// for whoever controls the sandbox. %[1]s is the pointer, %[2]s the label, %[3]v
// what was found, %[4]s the limit.
type issue struct{ chinese, english string }

// Those marked * were never seen in the wild; they follow their neighbours.
var (
	issueSyntax   = issue{"无法解析请求报文，请求报文需要是一个合法的 Json 对象", "the body is not one JSON object without duplicate names"} // *
	issueUnknown  = issue{"请求中含有未在API文档中定义的参数", "%[1]s is not known here"}
	issueMissing  = issue{"输入源“/body%[1]s”映射到字段“%[2]s”必填性规则校验失败，此字段为必填项", "%[1]s is missing"}
	issueText     = issue{"无法将 JSON 输入源“/body%[1]s”映射到目标字段“%[2]s”中，此字段需要一个 string 类型的 Json 值", "%[1]s must be a string"}
	issueNumber   = issue{"无法将 JSON 输入源“/body%[1]s”映射到目标字段“%[2]s”中，此字段需要一个合法的 64 位有符号整数", "%[1]s must be an integer"}
	issueFraction = issue{"", "%[1]s must be a number from 0 to 1"}
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

func (v *violation) render(template string) string {
	if !strings.Contains(template, "%") {
		return template
	}
	return fmt.Sprintf(template, v.pointer, v.label, v.got, v.limit)
}

// read checks a body and decodes it into v. What v is given has passed every
// rule, so encoding/json's lenience about names and duplicates does not matter.
func (s schema) read(body []byte, v any) *violation {
	tree, err := parse(body)
	if err != nil {
		return &violation{issue: issueSyntax}
	}
	root, ok := tree.(map[string]any)
	if !ok {
		return &violation{issue: issueSyntax}
	}
	if unknown := s.unknown("", "", root); len(unknown) > 0 {
		slices.Sort(unknown)
		return &violation{pointer: unknown[0], issue: issueUnknown, got: unknown}
	}
	if v := s.check("", "", root); v != nil {
		return v
	}
	if json.Unmarshal(body, v) != nil {
		return &violation{issue: issueSyntax}
	}
	return nil
}

// members are the rules for the fields of the object at pattern.
func (s schema) members(pattern string) schema {
	var out schema
	for _, r := range s {
		if i := strings.LastIndexByte(r.path, '/'); r.path[:i] == pattern {
			out = append(out, r)
		}
	}
	return out
}

// unknown returns pointers to all that no rule speaks of.
func (s schema) unknown(pattern, pointer string, node any) []string {
	var out []string
	switch node := node.(type) {
	case map[string]any:
		members := s.members(pattern)
		for name, value := range node {
			path := pattern + "/" + name
			if !slices.ContainsFunc(members, func(r rule) bool { return r.path == path }) {
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

// check returns the first violation in the order of the table.
func (s schema) check(pattern, pointer string, node map[string]any) *violation {
	for _, r := range s.members(pattern) {
		name := r.path[len(pattern)+1:]
		at := pointer + "/" + name
		value, ok := node[name]
		if !ok {
			if r.required {
				return &violation{pointer: at, label: r.label, issue: issueMissing, got: ""}
			}
			continue
		}
		if issue, limit, got := r.check(value); issue != issueNone {
			return &violation{pointer: at, label: r.label, issue: issue, limit: limit, got: got}
		}
		switch value := value.(type) {
		case map[string]any:
			if v := s.check(r.path, at, value); v != nil {
				return v
			}
		case []any:
			for i, element := range value {
				at := at + "/" + strconv.Itoa(i)
				member, ok := element.(map[string]any)
				if !ok {
					return &violation{pointer: at, label: r.label, issue: issueObject, got: element}
				}
				if v := s.check(r.path+"/*", at, member); v != nil {
					return v
				}
			}
		}
	}
	return nil
}

var issueNone issue

// check holds one value against its rule.
func (r rule) check(value any) (issue, string, any) {
	switch r.kind {
	case text:
		s, ok := value.(string)
		if !ok {
			return issueText, "", value
		}
		return r.checkText(s)
	case number:
		literal, ok := value.(json.Number)
		n, err := strconv.ParseInt(literal.String(), 10, 64)
		switch {
		case !ok || err != nil:
			return issueNumber, "", value
		case n < r.min:
			return issueSmall, strconv.FormatInt(r.min, 10), n
		case r.max > 0 && n > r.max:
			return issueLarge, strconv.FormatInt(r.max, 10), n
		}
	case fraction:
		literal, ok := value.(json.Number)
		if f, err := literal.Float64(); !ok || err != nil || f < 0 || f > 1 {
			return issueFraction, "", value
		}
	case boolean:
		if _, ok := value.(bool); !ok {
			return issueBoolean, "", value
		}
	case object:
		if _, ok := value.(map[string]any); !ok {
			return issueObject, "", value
		}
	case list:
		elements, ok := value.([]any)
		if !ok {
			return issueList, "", value
		}
		if r.max > 0 && int64(len(elements)) > r.max {
			return issueElements, strconv.FormatInt(r.max, 10), len(elements)
		}
	}
	return issueNone, "", nil
}

func (r rule) checkText(s string) (issue, string, any) {
	switch {
	case int64(utf8.RuneCountInString(s)) < r.min:
		return issueShort, strconv.FormatInt(r.min, 10), utf8.RuneCountInString(s)
	case r.max > 0 && int64(len(s)) > r.max:
		return issueLong, strconv.FormatInt(r.max, 10), len(s)
	case r.form != nil && !r.form.MatchString(s):
		return issueForm, r.form.String(), s
	case r.enum != nil && !slices.Contains(r.enum, s):
		return issueEnum, strings.Join(r.enum, ", "), s
	case strings.ContainsFunc(s, func(c rune) bool { return c > 0xffff }):
		return issueWide, "", s
	}
	return issueNone, "", nil
}

// maxDepth is deeper than any body that is known here.
const maxDepth = 8

// parse reads one JSON value strictly, with numbers as they are written.
func parse(body []byte) (any, error) {
	return strictjson.Parse(body, strictjson.Options{MaxDepth: maxDepth})
}
