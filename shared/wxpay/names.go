package wxpay

import (
	"reflect"
	"strings"
)

// snakeName writes a name as WeChat Pay's own messages spell it: CloudBase's SDK
// turns out_refund_no into outRefundNo, and its relays pass on either.
func snakeName(name string) string {
	var b strings.Builder
	for i, r := range name {
		if r >= 'A' && r <= 'Z' {
			if i > 0 {
				b.WriteByte('_')
			}
			r += 'a' - 'A'
		}
		b.WriteRune(r)
	}
	return b.String()
}

// SnakeNames writes every name in a JSON value, as encoding/json decodes it into
// an any, in snake case. Of two names that become one and say two things neither
// counts, or it would be chance which one is read: true stands in their place,
// which is what no field of WeChat Pay's can be.
func SnakeNames(v any) any {
	switch v := v.(type) {
	case map[string]any:
		m := make(map[string]any, len(v))
		for name, inner := range v {
			name, inner = snakeName(name), SnakeNames(inner)
			if other, twice := m[name]; twice && !reflect.DeepEqual(other, inner) {
				inner = true
			}
			m[name] = inner
		}
		return m
	case []any:
		list := make([]any, len(v))
		for i, inner := range v {
			list[i] = SnakeNames(inner)
		}
		return list
	}
	return v
}
