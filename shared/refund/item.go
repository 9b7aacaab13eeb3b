package refund

import (
	"encoding/json"
	"fmt"
	"reflect"
	"strings"
	"time"
)

// Keys of the ledger. A refund stands under its number; its refund_id is a
// second name that leads there.
func refundKey(outRefundNo string) Key { return Key("refund/" + outRefundNo) }
func refundIDKey(refundID string) Key  { return Key("refund_id/" + refundID) }
func isRefundID(k Key) bool            { return strings.HasPrefix(string(k), "refund_id/") }

// item encodes a value for the ledger. The types of this package always encode.
func item(key Key, version int64, body any, due time.Time) Item {
	b, err := json.Marshal(body)
	if err != nil {
		panic(fmt.Sprintf("refund: cannot encode %T: %v", body, err))
	}
	return Item{Key: key, Version: version, Body: b, Due: due}
}

// decode reads what item wrote. An item that does not exist leaves body as it is.
func decode(it Item, body any) error {
	if it.Version == 0 {
		return nil
	}
	if err := json.Unmarshal(it.Body, body); err != nil {
		return fmt.Errorf("refund: item %s of the ledger cannot be read: %w", it.Key, err)
	}
	return nil
}

// preserve carries over into an item's new body what its old one holds that this
// version does not know: while functions are being upgraded, one of the version
// before must not take away what the next one has written.
func preserve(old, next []byte, body any) []byte {
	var was map[string]json.RawMessage
	if json.Unmarshal(old, &was) != nil {
		return next // it did not exist, or is no object
	}
	for _, f := range reflect.VisibleFields(reflect.Indirect(reflect.ValueOf(body)).Type()) {
		name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		delete(was, name)
	}
	if len(was) == 0 {
		return next
	}
	var is map[string]json.RawMessage
	if json.Unmarshal(next, &is) != nil {
		return next
	}
	for name, value := range was {
		is[name] = value
	}
	kept, err := json.Marshal(is)
	if err != nil {
		return next // it was JSON before
	}
	return kept
}
