package ledger

import (
	"cmp"
	"fmt"
	"hash/fnv"
	"slices"
	"strings"
	"time"

	"wxrefund/shared/refund"
)

// shards is how many parts the list of what is due has. Each item is in one of
// them by its key. The number must never change: items stay where they were put.
const shards = 8

// shardOf returns the shard in which an item is listed.
func shardOf(key refund.Key) int {
	h := fnv.New32a()
	h.Write([]byte(key))
	return int(h.Sum32() % shards)
}

// firstShard is where a list begins. Any rule would do that sends callers of
// different instants to different shards; this one depends on nothing but the
// millisecond that they ask for.
func firstShard(due time.Time) int {
	spread := uint64(due.UnixMilli()) * 0x9E3779B97F4A7C15 // #nosec G115 -- Fibonacci hashing takes any bits
	return int(spread >> 32 % shards)                      // #nosec G115 -- it is less than shards
}

// A placed item is one of those that are due, with its place among them.
type placed struct {
	refund.Item
	place position
}

// shardByShard lists up to limit items behind a position for a store that can be asked for
// n of one shard. Shards behind those that are enough are not asked.
func shardByShard(p position, limit int, ask func(p position, n int) ([]refund.Item, error)) (items []placed, err error) {
	for ; ; p = p.next() {
		found, err := ask(p, limit-len(items))
		if err != nil {
			return nil, err
		}
		for _, item := range found {
			items = append(items, placed{item, p.at(item)})
		}
		if len(items) >= limit || p.left == 0 {
			return items, nil
		}
	}
}

// listShards is the statement that lists what is due behind a position in all shards: each
// is a part, which takes no more than those before it have left, and so reads no more.
// shardArgs are its arguments. It names the part of each row p, from 0, and has them in no
// certain order.
func (d dialect) listShards() string {
	var with, union, taken strings.Builder
	one := `SELECT ` + cmp.Or(d.item, itemColumns) + `, '%d'::text AS p FROM wxrefund_items WHERE due_shard = ? AND due <= ? AND (due, item_key) > (?, ?) ORDER BY due, item_key LIMIT ?`
	for part := range shards {
		fmt.Fprintf(&with, `, part%d AS (`+one+`%s)`, part, part, taken.String())
		fmt.Fprintf(&union, ` UNION ALL SELECT * FROM part%d`, part)
		fmt.Fprintf(&taken, ` - (SELECT count(*) FROM part%d)`, part)
	}
	return `WITH` + strings.TrimPrefix(with.String(), `,`) + strings.TrimPrefix(union.String(), ` UNION ALL`)
}

func (d dialect) shardArgs(due int64, after position, limit int) (args []any) {
	for range shards {
		args = append(args, after.shard, due, after.due, string(after.key), limit)
		if after = after.next(); after.left < 0 {
			after.shard = noShard // there is no such part
		}
	}
	return args
}

// noShard has no items.
const noShard = -1

// inShards places items that [dialect.listShards] has found behind a position, in a part
// each, and brings them into order.
func inShards(after position, items []refund.Item, parts []int) (found []placed, err error) {
	for i, item := range items {
		p, part := after, parts[i]
		if part < 0 || part > after.left || item.Due.IsZero() {
			return nil, fmt.Errorf("an item of part %d is listed as due in %d", part, after.left+1)
		}
		for range part {
			p = p.next()
		}
		found = append(found, placed{item, p.at(item)})
	}
	slices.SortFunc(found, func(a, b placed) int {
		return cmp.Or(cmp.Compare(b.place.left, a.place.left), cmp.Compare(a.place.due, b.place.due), cmp.Compare(a.Key, b.Key))
	})
	return found, nil
}
