package wxpay

import (
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"
)

// A member says where a member of a JSON object goes: a string with its least
// and greatest length in bytes, an integer, an integer that may not be told, or an
// object with members of its own. A loose one decides nothing: where it cannot be
// read, or is there twice, it counts as absent and its name is put down.
type member struct {
	name     string
	text     *string
	min, max int
	number   *int64
	optional **int64 // not negative; always loose
	members  []member
	loose    bool
}

// clear makes a loose member absent again.
func (m *member) clear() {
	if m.text != nil {
		*m.text = ""
	} else {
		*m.optional = nil
	}
}

// decodeObject reads data, which must be one JSON object in UTF-8 and nothing
// more, else [ErrFormat]. Members that are not listed are passed over; null
// counts as absent. left names the loose ones that could not be read, a comma
// between two.
//
// It differs from encoding/json where that is too obliging for notifications about
// money: names are compared as they are, not regardless of case, and a member
// that is there twice is refused instead of decided by whichever comes last. It
// also reads a notification in three allocations each time, where encoding/json makes
// some sixteen: what it fills in are parts of one copy. Whether data is JSON at all is left to
// encoding/json, so that what follows need not doubt it.
//
// Errors name the member and never quote its value, which may be somebody's bank
// account.
func decodeObject(data []byte, what string, members []member) (left string, err error) {
	if !json.Valid(data) || !utf8.Valid(data) {
		return "", fmt.Errorf("%w %s: not one JSON value", ErrFormat, what)
	}
	value, _ := cutValue(skipSpace(string(data)))
	err = fill(value, what, "", members, &left)
	return left, err
}

// fill puts what value, a valid JSON value, holds where members say; path goes
// before the names of those that are left out. It indexes without looking at
// lengths: in valid JSON something always follows, at the least the brace that
// closes the object.
func fill(value, what, path string, members []member, left *string) error {
	if value[0] != '{' {
		return fmt.Errorf("%w %s: not a JSON object", ErrFormat, what)
	}
	var seen, bad uint32 // a bit for each of members
	for rest := skipSpace(value[1:]); rest[0] != '}'; {
		var name, value string
		name, rest = cutValue(rest)
		name, _ = unquote(name)
		value, rest = cutValue(skipSpace(skipSpace(rest)[1:])) // behind the colon
		rest = skipSpace(rest)
		if rest[0] == ',' {
			rest = skipSpace(rest[1:])
		}
		for i := range members {
			if m := &members[i]; m.name == name {
				err := error(nil)
				if seen&(1<<i) != 0 {
					err = fmt.Errorf("%w %s: %s is there twice", ErrFormat, what, m.name)
				} else {
					err = m.set(value, what, left)
				}
				seen |= 1 << i
				if err != nil && !m.loose {
					return err
				} else if err != nil {
					bad |= 1 << i
				}
			}
		}
	}
	for i := range members {
		if m := &members[i]; bad&(1<<i) != 0 {
			m.clear()
			if *left != "" {
				*left += ", "
			}
			*left += path + m.name
		}
		if m := &members[i]; m.text != nil && len(*m.text) < m.min || m.members != nil && seen&(1<<i) == 0 {
			return fmt.Errorf("%w %s: %s is missing", ErrFormat, what, m.name)
		}
	}
	return nil
}

// set puts a value where m says.
func (m *member) set(value, what string, left *string) error {
	ok := true
	switch {
	case m.members != nil:
		return fill(value, what, m.name+".", m.members, left)
	case value == "null":
	case m.text != nil:
		*m.text, ok = unquote(value)
		if len(*m.text) > m.max {
			return fmt.Errorf("%w %s: %s is longer than %d bytes", ErrFormat, what, m.name, m.max)
		}
	case m.optional != nil:
		n, err := strconv.ParseInt(value, 10, 64)
		*m.optional, ok = &n, err == nil && n >= 0
	default:
		var err error
		*m.number, err = strconv.ParseInt(value, 10, 64) // no fraction, no exponent, no overflow
		ok = err == nil
	}
	if !ok {
		return fmt.Errorf("%w %s: wrong type of %s", ErrFormat, what, m.name)
	}
	return nil
}

// cutValue splits valid JSON behind its first value. It counts brackets instead
// of descending into them, so that depth costs no stack.
func cutValue(s string) (value, rest string) {
	depth := 0
	for i := 0; i < len(s); i++ {
		switch s[i] {
		case '"':
			// The quote that ends it has an even number of backslashes before it.
			for slashes := 1; slashes%2 != 0; {
				i += 1 + strings.IndexByte(s[i+1:], '"')
				for slashes = 0; s[i-1-slashes] == '\\'; {
					slashes++
				}
			}
			if depth == 0 {
				return s[:i+1], s[i+1:]
			}
		case '{', '[':
			depth++
		case '}', ']':
			depth--
			if depth < 0 { // the end of what the value is in
				return s[:i], s[i:]
			}
			if depth == 0 {
				return s[:i+1], s[i+1:]
			}
		case ',', ' ', '\t', '\r', '\n':
			if depth == 0 {
				return s[:i], s[i:]
			}
		}
	}
	return s, ""
}

// unquote returns the string that a valid JSON value is, if it is one. Only with
// escapes in it does it need a copy.
func unquote(value string) (string, bool) {
	if value[0] != '"' {
		return "", false
	}
	if strings.IndexByte(value, '\\') < 0 {
		return value[1 : len(value)-1], true
	}
	var s string
	err := json.Unmarshal([]byte(value), &s)
	return s, err == nil
}

func skipSpace(s string) string { return strings.TrimLeft(s, " \t\r\n") }

// decodeJSON fills v from data with encoding/json, for what is read seldom and
// has lists in it. It does not repeat the error's text, which quotes what could
// not be read.
func decodeJSON(data []byte, v any, what string) error {
	err := json.Unmarshal(data, v)
	if err == nil {
		return nil
	}
	if t, ok := errors.AsType[*json.UnmarshalTypeError](err); ok && t.Field != "" {
		return fmt.Errorf("%w %s: wrong type of %s", ErrFormat, what, t.Field)
	}
	return fmt.Errorf("%w %s: not the JSON value expected", ErrFormat, what)
}
