package exhaust

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"slices"
	"strings"
	"sync"
	"time"

	"wxrefund/shared/refund"
)

// Items is what a ledger holds. No body is changed once it is in, so that a copy of the
// map is a copy of the ledger.
type Items map[refund.Key]refund.Item

// get returns the items of the keys.
func (m Items) get(keys []refund.Key) ([]refund.Item, error) {
	items := make([]refund.Item, len(keys))
	for i, k := range keys {
		if err := k.Check(); err != nil {
			return nil, err
		}
		items[i] = refund.Item{Key: k}
		if it, ok := m[k]; ok {
			it.Body = bytes.Clone(it.Body)
			items[i] = it
		}
	}
	return items, nil
}

// commit writes all items, or none and [refund.ErrStale].
func (m Items) commit(items []refund.Item) error {
	items = slices.SortedFunc(slices.Values(items), func(a, b refund.Item) int { return cmp.Compare(a.Key, b.Key) })
	if err := refund.CheckCommit(items); err != nil {
		return err
	}
	for _, it := range items {
		if m[it.Key].Version != it.Version {
			return refund.ErrStale
		}
	}
	for _, it := range items {
		it.Version++
		it.Body = bytes.Clone(it.Body)
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

// A place is where an item stands in an index: of what is due, how many shards behind the
// one that the list began with.
type place struct {
	first, shard int
	at           int64
	key          refund.Key
}

func (p place) compare(q place) int {
	return cmp.Or(cmp.Compare(p.shard, q.shard), cmp.Compare(p.at, q.at), cmp.Compare(p.key, q.key))
}

// listed are the items of an index with their places, in its order. The list of what is
// due began with a shard.
func (m Items) listed(index refund.Index, first int) ([]place, error) {
	if err := checkIndex(index); err != nil {
		return nil, err
	}
	var places []place
	for k, it := range m {
		switch index.Kind {
		case refund.IndexDue:
			if !it.Due.IsZero() && it.Due.UnixMilli() <= index.Until.UnixMilli() {
				places = append(places, place{first, (shardOf(k) - first + shards) % shards, it.Due.UnixMilli(), k})
			}
		case refund.IndexClass:
			if slices.Contains(index.Classes, it.Class) && (index.Since.IsZero() || !it.At.Before(index.Since)) && (index.Until.IsZero() || it.At.Before(index.Until)) {
				places = append(places, place{at: it.At.UnixMilli(), key: k})
			}
		default:
			places = append(places, place{key: k})
		}
	}
	slices.SortFunc(places, place.compare)
	if index.Kind == refund.IndexClass {
		slices.Reverse(places)
	}
	return places, nil
}

// maxPage and maxClasses are those of package ledger.
const maxPage, maxClasses = 1000, 32

func checkIndex(index refund.Index) error {
	switch index.Kind {
	case refund.IndexDue, refund.IndexKey:
		return nil
	case refund.IndexClass:
	default:
		return errors.New("exhaust: an index that is not known")
	}
	for _, class := range index.Classes {
		if err := refund.CheckClass(class); err != nil {
			return fmt.Errorf("exhaust: %w", err)
		}
	}
	switch n := len(slices.Compact(slices.Sorted(slices.Values(index.Classes)))); {
	case n == 0:
		return errors.New("exhaust: an index of no classes")
	case n > maxClasses:
		return fmt.Errorf("exhaust: an index of %d classes, want at most %d", n, maxClasses)
	}
	return nil
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
	if limit < 1 {
		return nil, "", fmt.Errorf("exhaust: limit %d, want 1 or more", limit)
	}
	limit = min(limit, maxPage)
	after := place{first: firstShard(index.Until)}
	if cursor != "" {
		if after, err = parsePlace(cursor, index.Kind); err != nil {
			return nil, "", err
		}
	}
	places, err := m.listed(index, after.first)
	if err != nil {
		return nil, "", err
	}
	if cursor != "" {
		places = slices.DeleteFunc(places, func(p place) bool {
			if index.Kind == refund.IndexClass {
				return p.compare(after) >= 0
			}
			return p.compare(after) <= 0
		})
	}
	if len(places) > limit {
		places = places[:limit]
		next = places[limit-1].cursor(index.Kind)
	}
	for _, p := range places {
		it := m[p.key]
		it.Body = bytes.Clone(it.Body)
		items = append(items, it)
	}
	return items, next, nil
}

func (p place) cursor(kind refund.IndexKind) string {
	return fmt.Sprintf("%d %d %d %d %s", kind, p.first, p.shard, p.at, p.key)
}

var errCursor = errors.New("exhaust: not a cursor of this index")

// parsePlace undoes cursor.
func parsePlace(s string, kind refund.IndexKind) (p place, err error) {
	parts := strings.SplitN(s, " ", 5) // a key may hold spaces
	if len(parts) != 5 {
		return p, errCursor
	}
	p.key = refund.Key(parts[4])
	_, err = fmt.Sscanf(strings.Join(parts[1:4], " "), "%d %d %d", &p.first, &p.shard, &p.at)
	if err != nil || p.first < 0 || p.first >= shards || p.shard < 0 || p.shard >= shards || p.key.Check() != nil || p.cursor(kind) != s {
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
	return l.items.get(keys)
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
	places, err := l.items.listed(index, 0)
	return int64(len(places)), err
}
