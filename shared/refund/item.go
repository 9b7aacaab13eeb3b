package refund

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"time"
)

// Keys of the ledger. A refund stands under its number; its refund_id leads there.
func refundKey(outRefundNo string) Key { return Key("refund/" + outRefundNo) }
func refundIDKey(refundID string) Key  { return Key("refund_id/" + refundID) }
func isRefundID(k Key) bool            { return strings.HasPrefix(string(k), "refund_id/") }
func isOrder(k Key) bool               { return strings.HasPrefix(string(k), "order/") }
func isRate(k Key) bool                { return strings.HasPrefix(string(k), "limit/") }

// item encodes a value for the ledger. The types of this package always encode.
func item(key Key, version int64, body any, due time.Time) Item {
	return Item{Key: key, Version: version, Body: encode(body), Due: due}
}

// encode writes JSON as short as it can be: < and & stay as they are.
func encode(body any) []byte {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(body); err != nil {
		panic(fmt.Sprintf("refund: cannot encode %T: %v", body, err))
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n"))
}

// errDamaged is within the error about an item that is there and cannot be read.
var errDamaged = errors.New("of the ledger cannot be read")

// decode reads what item wrote. An item that does not exist leaves body as it is.
func decode(it Item, body any) error {
	if it.Version == 0 {
		return nil
	}
	if err := json.Unmarshal(it.Body, body); err != nil {
		return fmt.Errorf("refund: item %s %w: %w", it.Key, errDamaged, err)
	}
	return nil
}

// preserve carries over into an item's new body what its old one holds that this
// version does not know, however deep: while functions are being upgraded, one of
// the version before must not take away what the next one has written.
func preserve(old, next []byte, body any) []byte {
	stored, ok := object(old)
	if !ok {
		return next // it did not exist, or is no object
	}
	merged, ok := object(next)
	if !ok || !carry(merged, stored, reflect.TypeOf(body)) {
		return next
	}
	return encode(merged)
}

// object reads a JSON object with its numbers as they are written.
func object(b []byte) (m map[string]any, ok bool) {
	dec := json.NewDecoder(bytes.NewReader(b))
	dec.UseNumber()
	return m, dec.Decode(&m) == nil && m != nil
}

// carry adds to next what stored holds beyond the fields of a type, and reports whether
// there was anything.
func carry(next, stored map[string]any, t reflect.Type) (found bool) {
	t = element(t)
	if t.Kind() != reflect.Struct {
		return false
	}
	known := map[string]reflect.StructField{}
	for _, f := range reflect.VisibleFields(t) {
		if name, _, _ := strings.Cut(f.Tag.Get("json"), ","); name != "" && f.IsExported() {
			known[name] = f
		}
	}
	for name, value := range stored {
		f, ok := known[name]
		if !ok {
			next[name], found = value, true
			continue
		}
		switch now := next[name].(type) {
		case map[string]any:
			if before, ok := value.(map[string]any); ok && carry(now, before, f.Type) {
				found = true
			}
		case []any:
			if before, ok := value.([]any); ok && carryList(now, before, f.Type) {
				found = true
			}
		}
	}
	return found
}

// carryList does the same with lists: an element goes on if its key is the same
// (the field with the tag ledger:"key") or, where elements have none, if all that
// this version knows of it is.
func carryList(next, stored []any, t reflect.Type) (found bool) {
	t = element(t)
	if t.Kind() != reflect.Struct {
		return false
	}
	key := ""
	for _, f := range reflect.VisibleFields(t) {
		if f.Tag.Get("ledger") == "key" {
			key, _, _ = strings.Cut(f.Tag.Get("json"), ",")
		}
	}
	for _, v := range next {
		now, ok := v.(map[string]any)
		if !ok {
			continue
		}
		for _, w := range stored {
			before, ok := w.(map[string]any)
			if !ok || key != "" && now[key] != before[key] || key == "" && !covers(before, now) {
				continue
			}
			if carry(now, before, t) {
				found = true
			}
			break
		}
	}
	return found
}

// covers reports whether an object holds all that another one holds.
func covers(object, of map[string]any) bool {
	for name, value := range of {
		if !reflect.DeepEqual(object[name], value) {
			return false
		}
	}
	return true
}

// element is the type behind pointers and lists.
func element(t reflect.Type) reflect.Type {
	for t.Kind() == reflect.Pointer || t.Kind() == reflect.Slice {
		t = t.Elem()
	}
	return t
}
