// Package dotenv reads .env files.
package dotenv

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"regexp"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Read reads the file of that name. An error names the file, and its lines and
// variables, and shows nothing else.
func Read(name string) (map[string]string, error) {
	text, err := os.ReadFile(name)
	if err != nil {
		return nil, err
	}
	if !utf8.Valid(text) || bytes.IndexByte(text, 0) >= 0 {
		return nil, fmt.Errorf("%s is not UTF-8, perhaps UTF-16 as Notepad and PowerShell write it: save it again as UTF-8", name)
	}
	env, err := Parse(string(text))
	if err != nil {
		return nil, fmt.Errorf("%s cannot be read:\n%w", name, err)
	}
	return env, nil
}

// Parse reads a .env file as the tools do that deploy with the same file, and as
// people write it: export before a name, spaces around =, comments, line ends of
// Windows, values in quotes over several lines, a PEM pasted as it is. Where readers
// of such files disagree it refuses, so that no two of them deploy two values.
// Errors name lines and variables and show nothing else, for the rest is secret.
func Parse(text string) (map[string]string, error) {
	text = strings.TrimPrefix(text, "\ufeff") // as Windows begins a file
	lines := strings.Split(strings.NewReplacer("\r\n", "\n", "\r", "\n").Replace(text), "\n")
	isName := regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*$`)
	env, found := map[string]string{}, map[string]int{}
	var errs []error
	for i := 0; i < len(lines); i++ {
		line := strings.TrimLeftFunc(lines[i], unicode.IsSpace) // what is behind may stand in quotes
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		if rest, ok := strings.CutPrefix(line, "export"); ok && strings.TrimLeft(rest, " \t") != rest {
			line = rest
		}
		name, value, ok := strings.Cut(line, "=")
		if name = strings.TrimSpace(name); !ok || !isName.MatchString(name) {
			errs = append(errs, fmt.Errorf("line %d is no NAME=value", i+1))
			continue
		}
		first := i + 1
		value, last, err := parseValue(lines, i, strings.TrimLeftFunc(value, unicode.IsSpace))
		switch i = last; {
		case err != nil:
			errs = append(errs, fmt.Errorf("line %d: %s %w", first, name, err))
		case found[name] != 0:
			errs = append(errs, fmt.Errorf("line %d: %s stands in line %d already", first, name, found[name]))
		default:
			env[name], found[name] = value, first
		}
	}
	if n := len(errs) - maxProblems; n > 0 {
		errs = append(errs[:maxProblems], fmt.Errorf("and %d more", n))
	}
	return env, errors.Join(errs...)
}

// maxProblems is how many lines are named: who reads them has another kind of file.
const maxProblems = 10

// parseValue reads a value that begins in a line with text, and returns its last line.
func parseValue(lines []string, at int, text string) (value string, last int, err error) {
	switch {
	case text != "" && strings.Contains("\"'`", text[:1]):
		return parseQuoted(lines, at, text)
	case strings.HasPrefix(text, "-----BEGIN ") && !strings.Contains(text, "-----END "):
		return parsePEM(lines, at, strings.TrimSpace(text))
	}
	value, _, _ = strings.Cut(strings.ReplaceAll(text, "\t#", " #"), " #")
	if strings.Contains(value, "#") && !strings.HasPrefix(value, "#") {
		if strings.Contains(value, "://") {
			return "", at, errors.New("has a # in it, where some readers end it: in a user or password of a URL write %23")
		}
		return "", at, errors.New("has a # in it, where some readers end it: put the value into single quotes")
	}
	if strings.HasPrefix(value, "#") {
		return "", at, nil // nothing but a comment
	}
	return strings.TrimSpace(value), at, nil
}

// parseQuoted reads up to the closing quote, over as many lines as there are to it.
func parseQuoted(lines []string, at int, text string) (value string, last int, err error) {
	quote, rest := text[:1], text[1:]
	for last = at; ; {
		if end := closing(rest, quote); end >= 0 {
			value = rest[:end]
			if tail := strings.TrimSpace(rest[end+1:]); tail != "" && tail[0] != '#' {
				return "", last, errors.New("has something behind its closing quote")
			}
			if quote == `"` {
				value = strings.NewReplacer(`\n`, "\n", `\r`, "").Replace(value)
			}
			return value, last, nil
		}
		if last++; last == len(lines) {
			return "", at, errors.New("has a quote that nothing closes")
		}
		rest += "\n" + lines[last]
	}
}

// closing returns where a quote stands that no backslash stands before; -1: nowhere.
func closing(text, quote string) int {
	for i := range len(text) {
		if text[i] == quote[0] && (quote != `"` || i == 0 || text[i-1] != '\\') {
			return i
		}
	}
	return -1
}

// parsePEM reads keys or certificates that were pasted without quotes.
func parsePEM(lines []string, at int, text string) (value string, last int, err error) {
	for last = at + 1; last < len(lines); last++ {
		line := strings.TrimSpace(lines[last])
		if !strings.HasPrefix(line, "-----") && strings.Trim(line, base64Letters) != "" || line == "" {
			break
		}
		text += "\n" + line
		if strings.HasPrefix(line, "-----END ") && (last+1 == len(lines) || !strings.HasPrefix(strings.TrimSpace(lines[last+1]), "-----BEGIN ")) {
			return text, last, nil
		}
	}
	return "", last - 1, errors.New("has a PEM that breaks off before its last line")
}

const base64Letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/="
