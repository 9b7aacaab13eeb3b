package ledger

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"wxrefund/shared/refund"
)

// A model is a map that a ledger must not differ from, and a reader somewhere
// within a list.
type model struct {
	ledger refund.Ledger
	keys   []refund.Key
	items  map[refund.Key]refund.Item // those that exist

	cursor string      // where the reader goes on; "" at the beginning
	last   refund.Item // the last one it has seen, unless at the beginning
	first  int

	classes classReader
}

// A classReader is a reader within a list of classes.
type classReader struct {
	cursor string
	last   refund.Item
}

// Random histories: whatever is committed, over right versions and wrong ones,
// the ledger answers as the map does.
func TestRandomHistoriesMatchAMap(t *testing.T) {
	overAll(t, func(t *testing.T, b backend, open func() refund.Ledger) {
		l := open()
		history := 0
		rapid.Check(t, func(rt *rapid.T) {
			// Each history has keys of its own and takes its dues out at the end:
			// so one ledger does for all.
			if history++; b.slow && history > 6 {
				return
			}
			m := &model{ledger: l, items: map[refund.Key]refund.Item{}}
			for i := range 6 {
				m.keys = append(m.keys, refund.Key(fmt.Sprintf("%d/%d", history, i)))
			}
			defer m.clear(t)
			rt.Repeat(map[string]func(*rapid.T){"commit": m.commit, "get": m.get, "list": m.list, "classes": m.listClasses, "counts": m.counts})
		})
	})
}

func (m *model) commit(t *rapid.T) {
	keys := rapid.SliceOfNDistinct(rapid.SampledFrom(m.keys), 1, 4, rapid.ID).Draw(t, "keys")
	var items []refund.Item
	stale := false
	for _, key := range keys {
		i := refund.Item{Key: key, Version: m.items[key].Version}
		if rapid.IntRange(0, 9).Draw(t, "wrong") == 0 {
			i.Version = rapid.Int64Range(0, 5).Draw(t, "version")
		}
		i.Body = rapid.SliceOfN(rapid.Byte(), 0, 20).Draw(t, "body")
		if i.Body == nil {
			i.Body = []byte{}
		}
		if due := rapid.IntRange(-1, 5).Draw(t, "due"); due >= 0 {
			i.Due = at(due)
		}
		if class := rapid.SampledFrom([]string{"", "open", "open!", "shut"}).Draw(t, "class"); class != "" {
			i.Class, i.At = class, at(rapid.IntRange(0, 3).Draw(t, "at"))
		}
		stale = stale || i.Version != m.items[key].Version
		items = append(items, i)
	}
	err := m.ledger.Commit(t.Context(), items...)
	if stale != errors.Is(err, refund.ErrStale) || !stale && err != nil {
		t.Fatalf("Commit: got %v, want stale: %t", err, stale)
	}
	if stale {
		return
	}
	for _, i := range items {
		i.Version++
		m.items[i.Key] = i
	}
}

func (m *model) get(t *rapid.T) {
	keys := rapid.SliceOfN(rapid.SampledFrom(m.keys), 1, 8).Draw(t, "keys")
	var want []refund.Item
	for _, key := range keys {
		i, ok := m.items[key]
		if !ok {
			i = refund.Item{Key: key}
		}
		want = append(want, i)
	}
	got, err := m.ledger.Get(t.Context(), keys...)
	if diff := gocmp.Diff(want, got); diff != "" || err != nil {
		t.Fatalf("Get: %v (-want +got):\n%s", err, diff)
	}
}

// list reads the next page, of whatever is there by now.
func (m *model) list(t *rapid.T) {
	due := at(rapid.IntRange(-1, 5).Draw(t, "due"))
	limit := rapid.IntRange(1, 4).Draw(t, "limit")
	if m.cursor == "" {
		m.first = firstShard(due)
	}
	turn := func(i refund.Item) int { return (shardOf(i.Key) - m.first + shards) % shards }
	order := func(a, b refund.Item) int {
		return cmp.Or(cmp.Compare(turn(a), turn(b)), a.Due.Compare(b.Due), strings.Compare(string(a.Key), string(b.Key)))
	}
	want := slices.SortedFunc(maps.Values(m.items), order)
	want = slices.DeleteFunc(want, func(i refund.Item) bool {
		return i.Due.IsZero() || i.Due.After(due) || m.cursor != "" && order(i, m.last) <= 0
	})
	more := len(want) > limit
	want = want[:min(len(want), limit)]

	got, next, err := m.ledger.List(t.Context(), refund.DueBy(due), m.cursor, limit)
	if err != nil || (next != "") != more {
		t.Fatalf("List: next %q, error %v; want more: %t", next, err, more)
	}
	if diff := gocmp.Diff(append([]refund.Item{}, want...), append([]refund.Item{}, got...)); diff != "" {
		t.Fatalf("List (-want +got):\n%s", diff)
	}
	if m.cursor = next; more {
		m.last = got[limit-1]
	}
}

// indexOf draws an index of classes, and returns what of the model is in it, newest first.
func (m *model) indexOf(t *rapid.T) (index refund.Index, want []refund.Item) {
	bound := func(name string) (bound time.Time) {
		if n := rapid.IntRange(-1, 4).Draw(t, name); n >= 0 {
			bound = at(n)
		}
		return bound
	}
	classes := rapid.SliceOfN(rapid.SampledFrom([]string{"open", "open!", "shut", "none"}), 1, 4).Draw(t, "classes")
	index = refund.Recent(bound("since"), bound("until"), classes...)
	for _, key := range newest(slices.Collect(maps.Values(m.items)), index) {
		want = append(want, m.items[refund.Key(key)])
	}
	return index, want
}

// listClasses reads the next page of classes, whichever are asked for by now.
func (m *model) listClasses(t *rapid.T) {
	index, want := m.indexOf(t)
	limit := rapid.IntRange(1, 4).Draw(t, "limit")
	reader := &m.classes
	want = slices.DeleteFunc(want, func(i refund.Item) bool {
		return reader.cursor != "" && cmp.Or(reader.last.At.Compare(i.At), cmp.Compare(reader.last.Key, i.Key)) <= 0
	})
	more := len(want) > limit
	want = want[:min(len(want), limit)]
	got, next, err := m.ledger.List(t.Context(), index, reader.cursor, limit)
	if err != nil || (next != "") != more {
		t.Fatalf("List: next %q, error %v; want more: %t", next, err, more)
	}
	if diff := gocmp.Diff(append([]refund.Item{}, want...), append([]refund.Item{}, got...)); diff != "" {
		t.Fatalf("List (-want +got):\n%s", diff)
	}
	if reader.cursor = next; more {
		reader.last = got[limit-1]
	}
}

func (m *model) counts(t *rapid.T) {
	index, want := m.indexOf(t)
	if n, err := m.ledger.Count(t.Context(), index); err != nil || n != int64(len(want)) {
		t.Fatalf("Count: %d, %v; want %d", n, err, len(want))
	}
}

// clear leaves nothing due, and nothing in a class.
func (m *model) clear(t *testing.T) {
	var items []refund.Item
	for _, i := range m.items {
		i.Due, i.Class, i.At = time.Time{}, "", time.Time{}
		items = append(items, i)
	}
	if len(items) > 0 {
		commit(t, m.ledger, items...)
	}
}
