package wxpay

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"wxrefund/shared/strictjson"
)

// A member says where a member of a JSON object goes: a string with its least
// and greatest length in bytes, an integer, an integer that may not be told, or an
// object with members of its own. A loose one decides nothing: where it cannot be
// read, or occurs twice, it counts as absent and its name is put down.
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
// A member that decides and occurs twice is refused. All that is filled in are
// parts of one copy of data, which keeps the cost of a notification at three
// allocations each time.
//
// Errors name the member and never quote its value, which may be somebody's bank
// account.
func decodeObject(data []byte, what string, members []member) (left string, err error) {
	value, err := strictjson.Read(data)
	if err != nil {
		return "", fmt.Errorf("%w %s: not one JSON value", ErrFormat, what)
	}
	err = fill(value, what, "", members, &left)
	return left, err
}

// fill puts what value holds where members say; path goes before the names of those
// that are left out.
func fill(value strictjson.Value, what, path string, members []member, left *string) error {
	if !value.IsObject() {
		return fmt.Errorf("%w %s: not a JSON object", ErrFormat, what)
	}
	var seen, bad uint32 // a bit for each of members
	for name, value := range value.Members() {
		i := slices.IndexFunc(members, func(m member) bool { return m.name == name })
		if i < 0 {
			continue
		}
		m := &members[i]
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
func (m *member) set(value strictjson.Value, what string, left *string) error {
	ok := true
	switch {
	case m.members != nil:
		return fill(value, what, m.name+".", m.members, left)
	case value.IsNull():
	case m.text != nil:
		*m.text, ok = value.Text()
		if len(*m.text) > m.max {
			return fmt.Errorf("%w %s: %s is longer than %d bytes", ErrFormat, what, m.name, m.max)
		}
	case m.optional != nil:
		var n int64
		n, ok = value.Int()
		*m.optional, ok = &n, ok && n >= 0
	default:
		*m.number, ok = value.Int()
	}
	if !ok {
		return fmt.Errorf("%w %s: wrong type of %s", ErrFormat, what, m.name)
	}
	return nil
}

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
