package ledger

import (
	"encoding/base64"
	"errors"
	"fmt"
	"math"
	"strings"
	"time"

	"wxrefund/shared/refund"
)

// A position is a place in the order of List: in a shard, behind every item that
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
	text := fmt.Sprintf("%d %d %d %s", p.shard, p.left, p.due, p.key)
	return base64.RawURLEncoding.EncodeToString([]byte(text))
}

// parseCursor undoes cursor. The empty string is before everything.
func parseCursor(s string, due time.Time) (p position, err error) {
	if s == "" {
		return beginning(due), nil
	}
	bad := errors.New("not a cursor of this ledger")
	text, err := base64.RawURLEncoding.Strict().DecodeString(s)
	if err != nil {
		return position{}, bad
	}
	parts := strings.SplitN(string(text), " ", 4) // a key may hold spaces
	if len(parts) != 4 {
		return position{}, bad
	}
	if _, err := fmt.Sscanf(strings.Join(parts[:3], " "), "%d %d %d", &p.shard, &p.left, &p.due); err != nil {
		return position{}, bad
	}
	p.key = refund.Key(parts[3])
	if p.shard < 0 || p.shard >= shards || p.left < 0 || p.left >= shards || checkKey(p.key) != nil || p.cursor() != s {
		return position{}, bad
	}
	return p, nil
}
