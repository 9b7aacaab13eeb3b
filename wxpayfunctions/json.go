package wxpayfunctions

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"wxrefund/shared/strictjson"
)

// An object is what stands between braces, each name once.
type object = map[string]any

// maxDepth bounds nesting; the deepest field there is stands at six.
const maxDepth = 16

// parse reads an event strictly: objects, lists, texts, truths, null, and numbers
// as their digits.
func parse(event []byte) (any, error) {
	v, err := strictjson.Parse(event, strictjson.Options{MaxDepth: maxDepth, Mend: true})
	if twice, ok := errors.AsType[*strictjson.DuplicateError](err); ok {
		return nil, refuse("%s stands twice", short(twice.Path))
	}
	switch {
	case errors.Is(err, strictjson.ErrDepth):
		return nil, refuse("the event is nested too deeply")
	case errors.Is(err, strictjson.ErrTrailing):
		return nil, refuse("the event must be one JSON object with nothing behind it")
	case err != nil:
		return nil, refuse("the event is not JSON")
	}
	return v, nil
}

func join(path, name string) string {
	if path == "" {
		return name
	}
	return path + "." + name
}

// short bounds what a caller wrote before it is shown back.
func short(s string) string {
	if r := []rune(s); len(r) > 64 {
		return string(r[:64]) + "…"
	}
	return s
}

// kind says what a value is, for whoever has written it where something else belongs.
func kind(v any) string {
	switch v := v.(type) {
	case nil:
		return "null"
	case bool:
		return fmt.Sprint(v)
	case string:
		return "a string"
	case object:
		return "an object"
	case []any:
		return "an array"
	case json.Number:
		switch {
		case whole(v):
			return "a number"
		case strings.ContainsAny(string(v), "eE"):
			return "a number with an exponent"
		}
	}
	return "a decimal"
}

// whole reports whether a number is written as an integer: 1.0 and 1e2 are not,
// since a program that writes them so counts in floats.
func whole(n json.Number) bool {
	return !strings.ContainsAny(string(n), ".eE")
}
