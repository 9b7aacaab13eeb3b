package ledger

import (
	"encoding/base64"
	"errors"
	"math"
	"strconv"
	"strings"

	"wxrefund/shared/refund"
)

// A position is a place in the order of List: behind every item that is due
// earlier, or at the same time with a lesser or equal key.
type position struct {
	due int64 // Unix milliseconds
	key refund.Key
}

// cursor encodes p so that callers are not tempted to read it.
func (p position) cursor() string {
	text := strconv.FormatInt(p.due, 10) + " " + string(p.key)
	return base64.RawURLEncoding.EncodeToString([]byte(text))
}

// parseCursor undoes cursor. The empty string is before everything.
func parseCursor(s string) (position, error) {
	if s == "" {
		return position{due: math.MinInt64}, nil
	}
	bad := errors.New("not a cursor of this ledger")
	text, err := base64.RawURLEncoding.Strict().DecodeString(s)
	if err != nil {
		return position{}, bad
	}
	number, key, ok := strings.Cut(string(text), " ")
	due, err := strconv.ParseInt(number, 10, 64)
	if !ok || err != nil || checkKey(refund.Key(key)) != nil {
		return position{}, bad
	}
	return position{due: due, key: refund.Key(key)}, nil
}
