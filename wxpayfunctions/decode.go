package wxpayfunctions

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"reflect"
	"slices"
	"strings"

	"wxrefund/shared/refund"
)

func badEvent(format string, args ...any) error {
	return &refund.Error{Code: refund.CodeInvalid, Next: refund.AfterFix, Message: fmt.Sprintf(format, args...)}
}

// maxDepth bounds nesting; the deepest field there is stands at six.
const maxDepth = 16

// strict refuses what encoding/json would let pass in silence: a name that
// stands twice in one object (the last would win) and anything behind the event.
func strict(event []byte) error {
	dec := json.NewDecoder(bytes.NewReader(event))
	dec.UseNumber()
	if err := walk(dec, "", 0); err != nil {
		return err
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return badEvent("the event must be one JSON object with nothing behind it")
	}
	return nil
}

// walk reads one value.
func walk(dec *json.Decoder, path string, depth int) error {
	if depth > maxDepth {
		return badEvent("the event is nested too deeply")
	}
	tok, err := dec.Token()
	if err != nil {
		return badEvent("the event is not JSON")
	}
	open, ok := tok.(json.Delim)
	if !ok {
		return nil
	}
	seen := map[string]bool{}
	for dec.More() {
		inner := path + "[]"
		if open == '{' {
			key, err := dec.Token()
			if err != nil {
				return badEvent("the event is not JSON")
			}
			name, _ := key.(string)
			if inner = join(path, name); seen[name] {
				return badEvent("%s stands twice", short(inner))
			}
			seen[name] = true
		}
		if err := walk(dec, inner, depth+1); err != nil {
			return err
		}
	}
	if _, err := dec.Token(); err != nil { // the closing bracket
		return badEvent("the event is not JSON")
	}
	return nil
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

// typeOf reads the event's type.
func typeOf(event []byte) (string, error) {
	var e struct {
		Type *string `json:"type"`
	}
	if err := unmarshal(event, &e); err != nil {
		return "", err
	}
	if e.Type == nil {
		return "", badEvent("type is required")
	}
	return *e.Type, nil
}

// decode reads the business fields into dst and checks their shape. They stand
// beside type or inside the named objects, outermost first, but not in both places.
func (h *Handler) decode(event []byte, dst any, wraps ...string) error {
	fields := event
	for _, wrap := range wraps {
		var level map[string]json.RawMessage
		if err := json.Unmarshal(fields, &level); err != nil {
			return badEvent("%s must be an object", wrap)
		}
		if err := spelling(level, map[string]bool{wrap: true}); err != nil {
			return err
		}
		inner := level[wrap]
		if len(inner) == 0 || string(inner) == "null" {
			continue
		}
		if inner[0] != '{' {
			return badEvent("%s must be an object", wrap)
		}
		for _, name := range slices.Sorted(maps.Keys(names(reflect.TypeOf(dst).Elem()))) {
			if _, both := level[name]; both {
				return badEvent("%s must not stand beside %s; put all fields in one place", name, wrap)
			}
		}
		fields = inner
	}
	if err := unmarshal(fields, dst); err != nil {
		return err
	}
	return h.check(dst)
}

// unmarshal decodes an object whose known names are spelt exactly as known.
func unmarshal(object []byte, dst any) error {
	if err := spellings("", object, reflect.TypeOf(dst)); err != nil {
		return err
	}
	err := json.Unmarshal(object, dst)
	if e, ok := errors.AsType[*json.UnmarshalTypeError](err); ok {
		if e.Field == "" {
			return badEvent("the event must be a JSON object")
		}
		return badEvent("%s must be %s", e.Field, kind(e.Type))
	}
	if err != nil {
		return badEvent("the event is not JSON")
	}
	return nil
}

func kind(t reflect.Type) string {
	switch t.Kind() {
	case reflect.Int, reflect.Int64:
		return "an integer"
	case reflect.String:
		return "a string"
	case reflect.Slice:
		return "an array"
	}
	return "an object"
}

// spellings refuses, at every level of the known shape, a name that differs
// from a known one in case alone: encoding/json would take it for that one. It
// also refuses the absence of a number that must be there although it may be zero.
func spellings(path string, value []byte, t reflect.Type) error {
	for t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	switch t.Kind() {
	case reflect.Slice:
		var list []json.RawMessage
		if json.Unmarshal(value, &list) != nil {
			return nil // not a list: decoding says so
		}
		for i, v := range list {
			if err := spellings(fmt.Sprintf("%s[%d]", path, i), v, t.Elem()); err != nil {
				return err
			}
		}
	case reflect.Struct:
		var object map[string]json.RawMessage
		if json.Unmarshal(value, &object) != nil {
			return nil // not an object: decoding says so
		}
		known := names(t)
		exact := map[string]bool{}
		for name := range known {
			exact[name] = true
		}
		if err := spelling(object, exact); err != nil {
			return err
		}
		for name, field := range known {
			v, ok := object[name]
			if !ok && field.Tag.Get("wire") == "required" {
				return badEvent("%s is required", join(path, name))
			}
			if err := spellings(join(path, name), v, field.Type); err != nil {
				return err
			}
		}
	}
	return nil
}

func spelling(object map[string]json.RawMessage, known map[string]bool) error {
	for name := range object {
		if known[name] {
			continue
		}
		for k := range known {
			if strings.EqualFold(name, k) {
				return badEvent("%s must be written %s", short(name), k)
			}
		}
	}
	return nil
}

// names lists a struct's fields by their JSON names.
func names(t reflect.Type) map[string]reflect.StructField {
	known := map[string]reflect.StructField{}
	for i := range t.NumField() {
		f := t.Field(i)
		name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		known[name] = f
	}
	return known
}
