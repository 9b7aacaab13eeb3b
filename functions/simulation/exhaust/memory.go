package exhaust

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"maps"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"wxrefund/shared/refund"
)

// Items is what a ledger holds. No body is changed once it is in, so that a copy of the
// map is a copy of the ledger.
type Items map[refund.Key]refund.Item

// get returns the items of the keys.
func (m Items) get(keys []refund.Key) []refund.Item {
	items := make([]refund.Item, len(keys))
	for i, k := range keys {
		items[i] = refund.Item{Key: k}
		if it, ok := m[k]; ok {
			it.Body = bytes.Clone(it.Body)
			items[i] = it
		}
	}
	return items
}

// commit writes all items, or none and [refund.ErrStale].
func (m Items) commit(items []refund.Item) error {
	for _, it := range items {
		if m[it.Key].Version != it.Version {
			return refund.ErrStale
		}
	}
	for _, it := range items {
		it.Version++
		it.Body = bytes.Clone(it.Body)
		if it.Body == nil {
			it.Body = []byte{}
		}
		it.Due, it.At = milliseconds(it.Due), milliseconds(it.At)
		m[it.Key] = it
	}
	return nil
}

// milliseconds is a time as a ledger keeps it.
func milliseconds(t time.Time) time.Time {
	if t.IsZero() {
		return t
	}
	return time.UnixMilli(t.UnixMilli()).UTC()
}

// A place is where an item stands in an index.
type place struct {
	shard int // of what is due: how far behind the first that is listed
	at    int64
	key   refund.Key
}

func (p place) compare(q place) int {
	return cmp.Or(cmp.Compare(p.shard, q.shard), cmp.Compare(p.at, q.at), cmp.Compare(p.key, q.key))
}

// listed are the items of an index with their places, in its order.
func (m Items) listed(index refund.Index) ([]place, error) {
	var places []place
	for k, it := range m {
		switch index.Kind {
		case refund.IndexDue:
			if !it.Due.IsZero() && it.Due.UnixMilli() <= index.Until.UnixMilli() {
				places = append(places, place{(shardOf(k) - firstShard(index.Until) + shards) % shards, it.Due.UnixMilli(), k})
			}
		case refund.IndexClass:
			in := slices.Contains(index.Classes, it.Class) && (index.Since.IsZero() || !it.At.Before(index.Since)) && (index.Until.IsZero() || it.At.Before(index.Until))
			if it.Class != "" && in {
				places = append(places, place{0, it.At.UnixMilli(), k})
			}
		case refund.IndexKey:
			places = append(places, place{key: k})
		default:
			return nil, errors.New("exhaust: an index that is not known")
		}
	}
	slices.SortFunc(places, place.compare)
	if index.Kind == refund.IndexClass {
		slices.Reverse(places)
	}
	return places, nil
}

// shards and the two rules about them are those of package ledger.
const shards = 8

func shardOf(k refund.Key) int {
	h := fnv.New32a()
	h.Write([]byte(k))
	return int(h.Sum32() % shards)
}

func firstShard(due time.Time) int {
	spread := uint64(due.UnixMilli()) * 0x9E3779B97F4A7C15 // #nosec G115 -- any bits will do
	return int(spread >> 32 % shards)                      // #nosec G115 -- it is less than shards
}

// list is [refund.Ledger.List].
func (m Items) list(index refund.Index, cursor string, limit int) (items []refund.Item, next string, err error) {
	places, err := m.listed(index)
	if err != nil {
		return nil, "", err
	}
	if cursor != "" {
		after, err := parsePlace(cursor, index.Kind)
		if err != nil {
			return nil, "", err
		}
		places = slices.DeleteFunc(places, func(p place) bool {
			if index.Kind == refund.IndexClass {
				return p.compare(after) >= 0
			}
			return p.compare(after) <= 0
		})
	}
	for i, p := range places[:min(limit, len(places))] {
		items = append(items, m.get([]refund.Key{p.key})[0])
		if i == limit-1 && len(places) > limit {
			next = p.cursor(index.Kind)
		}
	}
	return items, next, nil
}

func (p place) cursor(kind refund.IndexKind) string {
	return fmt.Sprintf("%d %d %d %s", kind, p.shard, p.at, p.key)
}

var errCursor = errors.New("exhaust: not a cursor of this index")

func parsePlace(s string, kind refund.IndexKind) (p place, err error) {
	parts := strings.SplitN(s, " ", 4)
	if len(parts) != 4 || parts[0] != strconv.Itoa(int(kind)) {
		return p, errCursor
	}
	p.shard, err = strconv.Atoi(parts[1])
	if err != nil {
		return p, errCursor
	}
	p.at, err = strconv.ParseInt(parts[2], 10, 64)
	p.key = refund.Key(parts[3])
	if err != nil || p.cursor(kind) != s {
		return p, errCursor
	}
	return p, nil
}

// A Ledger is a [refund.Ledger] in memory. The zero value is an empty one.
type Ledger struct {
	mu    sync.Mutex
	items Items
}

// Get is [refund.Ledger.Get].
func (l *Ledger) Get(ctx context.Context, keys ...refund.Key) ([]refund.Item, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.items.get(keys), nil
}

// Commit is [refund.Ledger.Commit].
func (l *Ledger) Commit(ctx context.Context, items ...refund.Item) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.items == nil {
		l.items = Items{}
	}
	return l.items.commit(items)
}

// List is [refund.Ledger.List].
func (l *Ledger) List(ctx context.Context, index refund.Index, cursor string, limit int) ([]refund.Item, string, error) {
	if err := ctx.Err(); err != nil {
		return nil, "", err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.items.list(index, cursor, limit)
}

// Count is [refund.Ledger.Count].
func (l *Ledger) Count(ctx context.Context, index refund.Index) (int64, error) {
	if err := ctx.Err(); err != nil {
		return 0, err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	places, err := l.items.listed(index)
	return int64(len(places)), err
}

// Items is a copy of all that it holds.
func (l *Ledger) Items() Items {
	l.mu.Lock()
	defer l.mu.Unlock()
	return maps.Clone(l.items)
}
