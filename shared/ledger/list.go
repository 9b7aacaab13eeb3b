package ledger

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"time"

	"wxrefund/shared/refund"
)

// maxClasses is how many classes one list merges at most.
const maxClasses = 32

// List returns up to limit items (never more than 1000) of an index, in its order. It
// goes on behind cursor, which is a place in that order and not in a list: items that
// change between two pages are neither repeated nor make others be left out. A cursor of
// another kind of index is refused. The indexes are:
//
// What is due by a time: one shard after the other, in a shard the earliest first, those
// of one millisecond by key. Without a cursor, the time's milliseconds decide with
// which shard it begins, so that callers who list at the same time seldom meet.
//
// What is listed under any of some classes: the newest first, those of one millisecond by
// key, the greatest first. An item that changes while it is listed may stand in the place
// that it had before. A table of DynamoDB's from before there were classes lacks this
// index; the error says so, and AddIndexes adds it.
//
// Everything: by key, but in DynamoDB in an order of its own.
func (s *Store) List(ctx context.Context, index refund.Index, cursor string, limit int) (items []refund.Item, next string, err error) {
	if limit < 1 {
		return nil, "", fmt.Errorf("ledger: list: limit %d, want 1 or more", limit)
	}
	limit = min(limit, maxPage)
	switch index.Kind {
	case refund.IndexDue:
		items, next, err = s.listDue(ctx, index.Until, cursor, limit)
	case refund.IndexClass:
		items, next, err = s.listClasses(ctx, index, cursor, limit)
	case refund.IndexKey:
		items, next, err = s.listKeys(ctx, cursor, limit)
	default:
		err = errIndex
	}
	if err != nil {
		return nil, "", failure(ctx, "list", err)
	}
	return items, next, nil
}

var errIndex = errors.New("an index that is not known")

func (s *Store) listDue(ctx context.Context, due time.Time, cursor string, limit int) (items []refund.Item, next string, err error) {
	after, err := parsePosition(cursor, due)
	if err != nil {
		return nil, "", err
	}
	found, err := s.store.listDue(ctx, due.UnixMilli(), after, limit+1) // one more shows whether anything follows
	if len(found) > limit {
		found = found[:limit]
		next = found[limit-1].place.cursor()
	}
	for _, p := range found {
		items = append(items, p.Item)
	}
	return items, next, err
}

func (s *Store) listKeys(ctx context.Context, cursor string, limit int) (items []refund.Item, next string, err error) {
	after, err := parseKey(cursor)
	if err != nil {
		return nil, "", err
	}
	items, err = s.store.listKeys(ctx, after, limit+1) // one more shows whether anything follows
	if len(items) > limit {
		items = items[:limit]
		next = encodeCursor(keyCursor + string(items[limit-1].Key))
	}
	return items, next, err
}

// An entry says that an item is listed under a class at a time.
type entry struct {
	class string
	spot
}

// A classRange is a part of the list of classes: from since on and before a spot.
type classRange struct {
	classes []string // sorted, each once
	since   int64    // Unix milliseconds
	before  spot
}

// rangeOf reads an index of classes.
func rangeOf(index refund.Index) (r classRange, err error) {
	if len(index.Classes) == 0 {
		return r, errors.New("an index of no classes")
	}
	for _, class := range index.Classes {
		if err := refund.CheckClass(class); err != nil {
			return r, err
		}
	}
	r.classes = slices.Compact(slices.Sorted(slices.Values(index.Classes)))
	if len(r.classes) > maxClasses {
		return r, fmt.Errorf("an index of %d classes, want at most %d", len(r.classes), maxClasses)
	}
	// Without bounds, before what comes after every key, and from the first time on.
	r.since, r.before = math.MinInt64, spot{at: math.MaxInt64, key: "\x7f"}
	if !index.Since.IsZero() {
		r.since = milliFrom(index.Since)
	}
	if !index.Until.IsZero() {
		r.before = spot{at: milliFrom(index.Until)} // every key is behind the empty one
	}
	return r, nil
}

// milliFrom is the first whole Unix millisecond that is not before t. Items are listed
// at whole ones.
func milliFrom(t time.Time) int64 {
	ms := t.UnixMilli()
	if time.UnixMilli(ms).Before(t) {
		ms++
	}
	return ms
}

// has reports whether an item as it is now belongs to the range.
func (r classRange) has(item refund.Item) bool {
	at := item.At.UnixMilli()
	_, listed := slices.BinarySearch(r.classes, item.Class)
	return listed && at >= r.since && less(spot{at, item.Key}, r.before)
}

func less(a, b spot) bool { return cmp.Or(cmp.Compare(a.at, b.at), cmp.Compare(a.key, b.key)) < 0 }

// listClasses merges the classes' entries and reads the items that the first of them
// name. The two are read one after the other, and DynamoDB's index lags behind the table:
// an item that has left the range meanwhile is left out.
func (s *Store) listClasses(ctx context.Context, index refund.Index, cursor string, limit int) (items []refund.Item, next string, err error) {
	whole, err := rangeOf(index)
	if err != nil {
		return nil, "", err
	}
	rest := whole
	if cursor != "" {
		after, err := parseSpot(cursor)
		if err != nil {
			return nil, "", err
		}
		if less(after, rest.before) {
			rest.before = after
		}
	}
	var last spot
	listed := map[refund.Key]bool{} // an index that lags may have an item in two places
	for {
		want := limit + 1 - len(items) // one more shows whether anything follows
		entries, err := s.store.listClasses(ctx, rest, want)
		if err != nil {
			return nil, "", err
		}
		slices.SortFunc(entries, func(a, b entry) int {
			return cmp.Or(cmp.Compare(b.at, a.at), cmp.Compare(b.key, a.key))
		})
		end := len(entries) < want
		entries = entries[:min(len(entries), want)]
		found, err := s.store.read(ctx, keysOf(entries))
		if err != nil {
			return nil, "", err
		}
		for _, e := range entries {
			rest.before = e.spot
			item, ok := found[e.key]
			if !ok || listed[e.key] || !whole.has(item) {
				continue
			}
			if len(items) == limit {
				return items, last.cursor(), nil
			}
			listed[e.key], last = true, e.spot
			items = append(items, item)
		}
		if end {
			return items, "", nil
		}
	}
}

// keysOf returns the keys of entries, each once.
func keysOf(entries []entry) []refund.Key {
	keys := make([]refund.Key, 0, len(entries))
	for _, e := range entries {
		keys = append(keys, e.key)
	}
	slices.Sort(keys)
	return slices.Compact(keys)
}

// A selection is what count counts: what is due by a Unix millisecond, a range of
// classes, or everything.
type selection struct {
	kind refund.IndexKind
	due  int64
	classRange
}

// Count returns how many items List would return in all. A database counts them one by
// one: in its index what is due or of some classes, in the table everything. DynamoDB
// charges for reading them.
func (s *Store) Count(ctx context.Context, index refund.Index) (n int64, err error) {
	selected := selection{kind: index.Kind, due: index.Until.UnixMilli()}
	switch index.Kind {
	case refund.IndexDue, refund.IndexKey:
	case refund.IndexClass:
		selected.classRange, err = rangeOf(index)
	default:
		err = errIndex
	}
	if err == nil {
		n, err = s.store.count(ctx, selected)
	}
	return n, failure(ctx, "count", err)
}

// Schema returns which schema the database has and which this program works best with.
// Programs bring a database up to date when they first use it, as this call does: have is
// less than want only for a table of DynamoDB's that lacks the index of classes, which
// AddIndexes adds, or whose index is still being made. It is greater where a newer program
// has been at work already.
func (s *Store) Schema(ctx context.Context) (have, want int, err error) {
	have, want, err = s.store.schema(ctx)
	return have, want, failure(ctx, "schema", err)
}

// AddIndexes adds the indexes that a table of DynamoDB's lacks which is older than they
// are, and waits until they are ready, or ctx ends; they are made all the same then.
// Meanwhile the table works as before. On every other database it does what the first
// call of any kind does: it brings the schema up to date.
func (s *Store) AddIndexes(ctx context.Context) error {
	return failure(ctx, "add indexes", s.store.addIndexes(ctx))
}
