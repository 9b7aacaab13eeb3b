package ledger

import (
	"context"
	"hash/fnv"
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

// listShards lists up to limit items behind a position, shard after shard, and returns
// the place of the last one if anything follows it. Shards behind a full page are
// not asked, but for one that shows whether anything follows.
func listShards(ctx context.Context, s store, due time.Time, p position, limit int) (items []refund.Item, last position, more bool, err error) {
	for ; ; p = p.next() {
		found, err := s.listDue(ctx, due.UnixMilli(), p, limit+1-len(items)) // one more shows whether anything follows
		if err != nil {
			return nil, last, false, err
		}
		if keep := limit - len(items); len(found) > keep {
			found, more = found[:keep], true
		}
		for _, item := range found {
			items, last = append(items, item), p.at(item)
		}
		if more || p.left == 0 {
			return items, last, more, nil
		}
	}
}
