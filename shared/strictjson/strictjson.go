// Package strictjson reads JSON that decides about money.
//
// encoding/json is too obliging for that: of a name that stands twice the last value
// counts, where another reader takes the first; names match regardless of case; a
// large integer loses its last digits on the way through a float; what is behind
// the value may go unread; and bytes that are not UTF-8 are replaced. Here each of
// these is an error, unless [Options] lets it pass, and numbers are kept as they are
// written. Whether the bytes are JSON at all is left to encoding/json, so that what
// follows need not doubt it.
//
// How many bytes there may be is for those to say who read them from a connection.
package strictjson

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"strconv"
	"strings"
	"unicode/utf8"
)

// Why something cannot be read. No text quotes a value, which may be somebody's.
var (
	ErrSyntax   = errors.New("strictjson: not one JSON value in UTF-8")
	ErrTrailing = errors.New("strictjson: something is behind the JSON value")
	ErrDepth    = errors.New("strictjson: nested too deeply")
)

// A DuplicateError says that a name is twice in one object.
type DuplicateError struct {
	Path string // of the name, as in amount.from[].account
}

func (e *DuplicateError) Error() string {
	return fmt.Sprintf("strictjson: %.128q is there twice", e.Path)
}

// Options say what [Parse] lets pass. The zero value is the strictest but for depth.
type Options struct {
	MaxDepth int  // how many objects and lists may be around a value; 0: as many as encoding/json bears, 10,000
	KeepLast bool // of a name that stands twice the last value counts
	Mend     bool // bytes that are not UTF-8 become U+FFFD
}

// Parse reads one JSON value with nothing behind it: map[string]any, []any, string,
// [json.Number], bool or nil. The error is one of this package's.
func Parse(data []byte, o Options) (any, error) {
	v, err := read(data, o.Mend)
	if err != nil {
		return nil, err
	}
	tree, _, err := o.parse(v.written, 0)
	return tree, err
}

// A Value is one JSON value as it is written, known to be valid: for readers that
// choose what to look at, and who decide by themselves what a name that stands
// twice means. The zero Value is none.
type Value struct{ written string }

// Read checks that data is one JSON value in UTF-8 with nothing behind it. All that
// is read out of the value are parts of one copy of data.
func Read(data []byte) (Value, error) { return read(data, false) }

func read(data []byte, mend bool) (Value, error) {
	if !mend && !utf8.Valid(data) {
		return Value{}, ErrSyntax
	}
	if !json.Valid(data) {
		var first json.RawMessage
		if json.NewDecoder(bytes.NewReader(data)).Decode(&first) == nil {
			return Value{}, ErrTrailing
		}
		return Value{}, ErrSyntax
	}
	written, _ := cut(skipSpace(string(data)))
	return Value{written}, nil
}

// IsNull reports whether the value is null.
func (v Value) IsNull() bool { return v.written == "null" }

// Text returns the string that the value is, if it is one.
func (v Value) Text() (string, bool) {
	if v.written == "" || v.written[0] != '"' {
		return "", false
	}
	return unquote(v.written), true
}

// Int returns the integer that the value is, if it is one that fits: without a
// fraction, and without an exponent.
func (v Value) Int() (int64, bool) {
	n, err := strconv.ParseInt(v.written, 10, 64)
	return n, err == nil
}

// IsObject reports whether the value is an object.
func (v Value) IsObject() bool { return v.written != "" && v.written[0] == '{' }

// Members yields the members of an object in the order in which they are written,
// one that is there twice twice. Anything else than an object has none.
func (v Value) Members() iter.Seq2[string, Value] {
	return func(yield func(string, Value) bool) {
		if !v.IsObject() {
			return
		}
		for rest := skipSpace(v.written[1:]); rest[0] != '}'; {
			name, after := cutName(rest)
			var written string
			written, rest = cut(after)
			if !yield(name, Value{written}) {
				return
			}
			rest = next(rest)
		}
	}
}

// parse reads the value with which s, valid JSON, begins. All that indexes below does
// so without looking at lengths: in valid JSON something always follows, at the
// least the bracket that closes what a value is in.
func (o Options) parse(s string, depth int) (v any, rest string, err error) {
	if o.MaxDepth > 0 && depth > o.MaxDepth {
		return nil, "", ErrDepth
	}
	switch s[0] {
	case '{':
		members := map[string]any{}
		for rest = skipSpace(s[1:]); rest[0] != '}'; rest = next(rest) {
			name, after := cutName(rest)
			if _, twice := members[name]; twice && !o.KeepLast {
				return nil, "", &DuplicateError{name}
			}
			if members[name], rest, err = o.parse(after, depth+1); err != nil {
				return nil, "", within(name, err)
			}
		}
		return members, rest[1:], nil
	case '[':
		elements := []any{}
		for rest = skipSpace(s[1:]); rest[0] != ']'; rest = next(rest) {
			var element any
			if element, rest, err = o.parse(rest, depth+1); err != nil {
				return nil, "", within("[]", err)
			}
			elements = append(elements, element)
		}
		return elements, rest[1:], nil
	}
	written, rest := cut(s)
	switch s[0] {
	case '"':
		return unquote(written), rest, nil
	case 't', 'f':
		return written == "true", rest, nil
	case 'n':
		return nil, rest, nil
	}
	return json.Number(written), rest, nil
}

// within says of an error in what place it is.
func within(outer string, err error) error {
	e, ok := err.(*DuplicateError) //nolint:errorlint // it is made above, and nothing wraps it
	if !ok {
		return err
	}
	if !strings.HasPrefix(e.Path, "[]") {
		outer += "."
	}
	return &DuplicateError{outer + e.Path}
}

// cut splits valid JSON behind its first value. It counts brackets instead of
// descending into them, so that depth costs no stack.
func cut(s string) (value, rest string) {
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

// cutName splits what begins with a member's name; after begins with its value.
func cutName(s string) (name, after string) {
	written, rest := cut(s)
	return unquote(written), skipSpace(skipSpace(rest)[1:]) // behind the colon
}

// next goes on to the next member or element, or to the bracket behind the last.
func next(rest string) string {
	if rest = skipSpace(rest); rest[0] == ',' {
		return skipSpace(rest[1:])
	}
	return rest
}

// unquote returns the text of a valid JSON string. Only with escapes in it, or with
// bytes that are not UTF-8, does it need a copy.
func unquote(written string) string {
	if text := written[1 : len(written)-1]; strings.IndexByte(text, '\\') < 0 && utf8.ValidString(text) {
		return text
	}
	var text string
	_ = json.Unmarshal([]byte(written), &text) // it is a string, so that this cannot fail
	return text
}

func skipSpace(s string) string { return strings.TrimLeft(s, " \t\r\n") }
