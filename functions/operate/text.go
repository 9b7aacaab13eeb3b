package main

import (
	"fmt"
	"io"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Reasons, numbers and messages come from elsewhere: from buyers, from WeChat Pay, from
// files. On a terminal they must be text, and nothing that moves the cursor, recolours or
// hides what stands beside it, or looks like a line of this program's own.

// A textOnly passes on what is text. What a terminal would obey is written as JSON writes
// it, \u001b, so that JSON means the same as before. It is written to in whole characters.
type textOnly struct{ io.Writer }

func (w textOnly) Write(b []byte) (int, error) {
	if _, err := io.WriteString(w.Writer, escaped(string(b), func(r rune) bool { return r != '\n' && r != '\t' && obeyed(r) })); err != nil {
		return 0, err
	}
	return len(b), nil
}

// cell is a text from elsewhere in one cell of a table: without tabs and line ends, too.
func cell(text string) string { return escaped(text, obeyed) }

// obeyed reports whether a terminal does something else with a character than show it: a
// control, or what turns the direction in which the rest is written.
func obeyed(r rune) bool {
	return unicode.IsControl(r) || unicode.Is(unicode.Bidi_Control, r) || r == '\u2028' || r == '\u2029'
}

// escaped writes those characters, and bytes that are none, by their numbers.
func escaped(text string, which func(rune) bool) string {
	if utf8.ValidString(text) && !strings.ContainsFunc(text, which) {
		return text
	}
	var b strings.Builder
	for len(text) > 0 {
		r, n := utf8.DecodeRuneInString(text)
		switch {
		case r == utf8.RuneError && n == 1:
			fmt.Fprintf(&b, `\x%02x`, text[0])
		case which(r):
			fmt.Fprintf(&b, `\u%04x`, r)
		default:
			b.WriteString(text[:n])
		}
		text = text[n:]
	}
	return b.String()
}
