package ledger

import (
	"encoding/base64"
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"

	"wxrefund/shared/refund"
)

// What a cursor of each index begins with, so that none is taken for another's: that of
// what is due with a number.
const (
	classCursor = "class "
	keyCursor   = "key "
)

var errCursor = errors.New("not a cursor of this index of the ledger")

// A position is a place in the list of what is due: in a shard, behind every item that
// is due earlier, or at the same time with a lesser or equal key. left is how many
// shards follow this one; behind the last comes the first.
type position struct {
	shard, left int
	due         int64 // Unix milliseconds
	key         refund.Key
}

// beginning is before everything that is due by a time.
func beginning(due time.Time) position {
	return position{shard: firstShard(due), left: shards - 1, due: math.MinInt64}
}

// next is before everything in the next shard.
func (p position) next() position {
	return position{shard: (p.shard + 1) % shards, left: p.left - 1, due: math.MinInt64}
}

// at is the place of an item that was listed in p's shard.
func (p position) at(item refund.Item) position {
	p.due, p.key = item.Due.UnixMilli(), item.Key
	return p
}

// cursor encodes p so that callers are not tempted to read it.
func (p position) cursor() string {
	return encodeCursor(fmt.Sprintf("%d %d %d %s", p.shard, p.left, p.due, p.key))
}

func encodeCursor(text string) string { return base64.RawURLEncoding.EncodeToString([]byte(text)) }

// decodeCursor undoes encodeCursor, and takes the prefix away. The decoder overlooks ends of
// lines; what was encoded has none.
func decodeCursor(s, prefix string) (text string, err error) {
	all, err := base64.RawURLEncoding.DecodeString(s)
	text, ok := strings.CutPrefix(string(all), prefix)
	if err != nil || !ok || encodeCursor(string(all)) != s {
		return "", errCursor
	}
	return text, nil
}

// parsePosition undoes position.cursor. The empty string is before everything.
func parsePosition(s string, due time.Time) (p position, err error) {
	if s == "" {
		return beginning(due), nil
	}
	text, err := decodeCursor(s, "")
	if err != nil {
		return position{}, err
	}
	parts := strings.SplitN(text, " ", 4) // a key may hold spaces
	if len(parts) != 4 {
		return position{}, errCursor
	}
	if _, err := fmt.Sscanf(strings.Join(parts[:3], " "), "%d %d %d", &p.shard, &p.left, &p.due); err != nil {
		return position{}, errCursor
	}
	p.key = refund.Key(parts[3])
	if p.shard < 0 || p.shard >= shards || p.left < 0 || p.left >= shards || p.key.Check() != nil || p.cursor() != s {
		return position{}, errCursor
	}
	return p, nil
}

// A spot is a place in the list of classes, the newest first, the greater key first of
// those of one time. It is the same in each class: a list of several is one of all of them.
type spot struct {
	at  int64 // Unix milliseconds
	key refund.Key
}

func (p spot) cursor() string { return encodeCursor(fmt.Sprintf("%s%d %s", classCursor, p.at, p.key)) }

// parseSpot undoes spot.cursor.
func parseSpot(s string) (p spot, err error) {
	text, err := decodeCursor(s, classCursor)
	if err != nil {
		return spot{}, err
	}
	at, key, _ := strings.Cut(text, " ")
	p.at, err = strconv.ParseInt(at, 10, 64)
	p.key = refund.Key(key)
	if err != nil || p.key.Check() != nil || p.cursor() != s {
		return spot{}, errCursor
	}
	return p, nil
}

// parseKey reads the cursor of a list of everything. The empty string is before everything.
func parseKey(s string) (refund.Key, error) {
	if s == "" {
		return "", nil
	}
	text, err := decodeCursor(s, keyCursor)
	if err != nil || refund.Key(text).Check() != nil {
		return "", errCursor
	}
	return refund.Key(text), nil
}
