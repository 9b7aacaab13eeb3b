package wxpayfunctions

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
)

// An object is what stands between braces, each name once.
type object = map[string]any

// maxDepth bounds nesting; the deepest field there is stands at six.
const maxDepth = 16

// parse reads an event as it is written: objects, lists, texts, truths, null,
// and numbers as their digits. It refuses what encoding/json would let pass in
// silence: a name that stands twice in one object (the last would win) and
// anything behind the event.
func parse(event []byte) (any, error) {
	dec := json.NewDecoder(bytes.NewReader(event))
	dec.UseNumber()
	v, err := parseValue(dec, "", 0)
	if err != nil {
		return nil, err
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return nil, refuse("the event must be one JSON object with nothing behind it")
	}
	return v, nil
}

func parseValue(dec *json.Decoder, path string, depth int) (any, error) {
	if depth > maxDepth {
		return nil, refuse("the event is nested too deeply")
	}
	tok, err := dec.Token()
	if err != nil {
		return nil, refuse("the event is not JSON")
	}
	var v any = tok
	switch tok {
	case json.Delim('{'):
		v, err = parseObject(dec, path, depth)
	case json.Delim('['):
		v, err = parseList(dec, path, depth)
	default:
		return v, nil
	}
	if err != nil {
		return nil, err
	}
	if _, err := dec.Token(); err != nil { // the closing bracket
		return nil, refuse("the event is not JSON")
	}
	return v, nil
}

func parseObject(dec *json.Decoder, path string, depth int) (object, error) {
	o := object{}
	for dec.More() {
		key, err := dec.Token()
		if err != nil {
			return nil, refuse("the event is not JSON")
		}
		name, _ := key.(string) // the decoder accepts nothing else
		inner := join(path, name)
		if _, twice := o[name]; twice {
			return nil, refuse("%s stands twice", short(inner))
		}
		if o[name], err = parseValue(dec, inner, depth+1); err != nil {
			return nil, err
		}
	}
	return o, nil
}

func parseList(dec *json.Decoder, path string, depth int) ([]any, error) {
	var list []any
	for dec.More() {
		v, err := parseValue(dec, path+"[]", depth+1)
		if err != nil {
			return nil, err
		}
		list = append(list, v)
	}
	return list, nil
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
