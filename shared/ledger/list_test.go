package ledger

import (
	gocmp "cmp"
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"wxrefund/shared/refund"
)

// Indexes of classes and of everything, over every backend.

var never time.Time

// newest is what a list of classes should find: the keys, the newest first.
func newest(items []refund.Item, index refund.Index) []string {
	items = slices.DeleteFunc(slices.Clone(items), func(i refund.Item) bool {
		return !slices.Contains(index.Classes, i.Class) || i.At.Before(index.Since) || !index.Until.IsZero() && !i.At.Before(index.Until)
	})
	slices.SortFunc(items, func(a, b refund.Item) int {
		return gocmp.Or(b.At.Compare(a.At), gocmp.Compare(b.Key, a.Key))
	})
	keys := []string{}
	for _, i := range items {
		keys = append(keys, string(i.Key))
	}
	return keys
}

// counted is how many items an index has.
func counted(t testing.TB, l refund.Ledger, index refund.Index) int {
	t.Helper()
	n, err := l.Count(t.Context(), index)
	if err != nil {
		t.Fatalf("Count: %v", err)
	}
	return int(n)
}

func TestClassIsKeptAndChangedWithItsItem(t *testing.T) {
	overAll(t, func(t *testing.T, _ backend, open func() refund.Ledger) {
		l := open()
		longest := strings.Repeat("z", refund.MaxClass-2) + "_!"
		shanghai := time.FixedZone("CST", 8*60*60)
		for version, test := range []struct {
			class     string
			at, wants time.Time
		}{
			{"open", at(1), at(1)},
			{"open", at(2).In(shanghai), at(2)},
			{"open!", at(3).Add(999_999 * time.Nanosecond), at(3)},
			{"", never, never},
			{longest, time.UnixMilli(-1), time.UnixMilli(-1).UTC()},
			{"a", time.Unix(0, 0), time.Unix(0, 0).UTC()},
			{"_", time.Date(9999, 12, 31, 23, 59, 59, 0, time.UTC), time.Date(9999, 12, 31, 23, 59, 59, 0, time.UTC)},
		} {
			commit(t, l, classItem("a", int64(version), "A", test.class, test.at))
			want := classItem("a", int64(version)+1, "A", test.class, test.wants)
			same(t, test.class, get(t, l, "a"), []refund.Item{want})
			everything, _, err := l.List(t.Context(), refund.Everything(), "", 1)
			if err != nil {
				t.Fatal(err)
			}
			same(t, "everything", everything, []refund.Item{want})
			for _, class := range []string{"open", "open!", longest, "a", "_"} {
				listed, next, err := l.List(t.Context(), refund.Recent(never, never, class), "", 1)
				if err != nil || next != "" {
					t.Fatalf("next %q, error %v", next, err)
				}
				if class == test.class {
					same(t, "listed", listed, []refund.Item{want})
				} else if len(listed) != 0 {
					t.Errorf("class %q, listed under %q", test.class, class)
				}
			}
		}
	})
}

// Any of several classes, from a time on and before another, page by page: complete, the
// newest first, those of one millisecond by key, and counted.
func TestClassesAreListedNewestFirst(t *testing.T) {
	overAll(t, func(t *testing.T, b backend, open func() refund.Ledger) {
		l := open()
		limits := []int{1, 4, 5, 64, 1 << 60}
		if b.slow {
			limits = []int{4, 1 << 60}
		}
		classes := []string{"open", "open!", "opens", "closed"}
		var items []refund.Item
		for i := range 60 { // five of one millisecond, in all classes, keys in another order
			items = append(items, classItem(fmt.Sprintf("%02d", i*37%60), 0, fmt.Sprint(i), classes[i*7%4], at(i/5)))
		}
		items = append(items, item("none", 0, ""), dueItem("due", 0, "", at(3)), classItem("~ ~", 0, "", "closed", at(3)),
			classItem(" ", 0, "", "closed", at(3)), classItem("old", 0, "", "open", time.Unix(0, 0)))
		commit(t, l, items...)
		for _, bounds := range []struct{ since, until time.Time }{
			{never, never}, {at(3), never}, {never, at(3)}, {at(3), at(4)}, {at(2), at(9)}, {at(4), at(4)}, {at(5), at(2)}, {at(100), never},
			{at(3).Add(1), at(4).Add(1)}, // what is listed at a whole millisecond is before neither
		} {
			for _, of := range [][]string{{"open"}, {"open", "open!"}, {"closed", "open", "closed"}, classes, {"nobody"}, {"nobody", "opens"}} {
				index := refund.Recent(bounds.since, bounds.until, of...)
				want := newest(items, index)
				if got := counted(t, l, index); got != len(want) {
					t.Errorf("%v from %v until %v: counted %d, want %d", of, bounds.since, bounds.until, got, len(want))
				}
				for _, limit := range limits {
					if limit == 1 && len(want) > 20 {
						continue
					}
					var wants [][]string
					for page := range slices.Chunk(want, min(limit, maxPage)) {
						wants = append(wants, page)
					}
					if diff := cmp.Diff(wants, pagesOf(t, l, index, limit)); diff != "" {
						t.Errorf("%v from %v until %v, limit %d (-want +got):\n%s", of, bounds.since, bounds.until, limit, diff)
					}
				}
			}
		}
		// An item moves to another class, another time, and out of all.
		whole := refund.Recent(never, never, classes...)
		for _, moved := range []refund.Item{
			classItem("old", 1, "", "closed", time.Unix(0, 0)), classItem("old", 2, "", "closed", at(50)), classItem("old", 3, "", "", never),
		} {
			commit(t, l, moved)
			items[len(items)-1] = moved
			if diff := cmp.Diff(newest(items, whole), slices.Concat(pagesOf(t, l, whole, 100)...)); diff != "" {
				t.Errorf("after a move (-want +got):\n%s", diff)
			}
		}
	})
}

// Everything is listed once, in whatever order, with all that belongs to it; and counted,
// as what is due is.
func TestEverythingIsListedOnceAndCounted(t *testing.T) {
	overAll(t, func(t *testing.T, b backend, open func() refund.Ledger) {
		l := open()
		if got := pagesOf(t, l, refund.Everything(), 10); got != nil || counted(t, l, refund.Everything()) != 0 {
			t.Errorf("nothing yet: got %v", got)
		}
		want := map[refund.Key]refund.Item{}
		var items []refund.Item
		for i := range 90 {
			key := fmt.Sprintf("%s%d", []string{"refund/", "~", " "}[i%3], i)
			items = append(items, refund.Item{Key: refund.Key(key), Body: []byte(key), Due: at(i), Class: "open", At: at(-i)})
			if i%2 == 0 {
				items[i] = item(key, 0, key)
			}
		}
		commit(t, l, items...)
		for _, i := range items {
			i.Version = 1
			want[i.Key] = i
		}
		for _, limit := range []int{1, 7, 89, 90, 1 << 60} {
			found, cursor := map[refund.Key]refund.Item{}, ""
			var order []string
			for {
				items, next, err := l.List(t.Context(), refund.Everything(), cursor, limit)
				if err != nil {
					t.Fatal(err)
				}
				for _, i := range items {
					found[i.Key] = i
					order = append(order, string(i.Key))
				}
				if cursor = next; next == "" {
					break
				}
				if len(items) != limit {
					t.Fatalf("a page of %d, want %d", len(items), limit)
				}
			}
			if diff := cmp.Diff(want, found); diff != "" || len(order) != len(items) {
				t.Errorf("limit %d: %d listed (-want +got):\n%s", limit, len(order), diff)
			}
			if b.scheme != "dynamodb" && !slices.IsSorted(order) {
				t.Errorf("limit %d: not by key: %q", limit, order)
			}
		}
		for _, count := range []struct {
			index refund.Index
			want  int
		}{
			{refund.Everything(), 90}, {refund.DueBy(at(100)), 45}, {refund.DueBy(at(1)), 1}, {refund.DueBy(at(0)), 0},
			{refund.DueBy(at(51)), 26}, {refund.DueBy(never), 0}, {refund.Recent(at(-9), never, "open"), 5},
		} {
			if got := counted(t, l, count.index); got != count.want {
				t.Errorf("%v: counted %d, want %d", count.index, got, count.want)
			}
		}
	})
}

// What stays as it is comes exactly once, however much else comes, goes and moves between
// the pages, and whatever becomes of the item that the cursor names.
func TestCursorsOfClassesAndKeysStayWhileItemsChange(t *testing.T) {
	overAll(t, func(t *testing.T, _ backend, open func() refund.Ledger) {
		for _, name := range []string{"classes", "everything"} {
			index := refund.Everything()
			if name == "classes" {
				index = refund.Recent(never, at(1000), "open", "shut")
			}
			l := open()
			version := map[string]int64{}
			prefix := name + "/" // a shared ledger is the same one for both: classes first
			change := func(key, class string, when time.Time) {
				commit(t, l, classItem(prefix+key, version[key], "", class, when))
				version[key]++
			}
			var stay []string
			for i := range 40 {
				stay = append(stay, fmt.Sprintf("%02d", i))
				change(stay[i], []string{"open", "shut"}[i%2], at(i/4))
			}
			change("moved", "open", at(-5)) // the last one, to be the first
			seen := map[string]int{}
			cursor, pages := "", 0
			for ; pages == 0 || cursor != ""; pages++ {
				items, next, err := l.List(t.Context(), index, cursor, 4)
				if err != nil {
					t.Fatal(err)
				}
				for _, i := range items {
					seen[strings.TrimPrefix(string(i.Key), prefix)]++
				}
				if cursor = next; next == "" {
					break
				}
				last, _ := strings.CutPrefix(string(items[len(items)-1].Key), prefix)
				if version[last] > 0 && last != "moved" {
					change(last, "gone", at(0)) // the cursor's own item leaves the list of classes
				}
				change(fmt.Sprint("newer", pages), "open", at(500+pages))
				change(fmt.Sprint("older", pages), "shut", at(-100-pages))
				if pages == 0 {
					change("moved", "shut", at(600))
				}
				if pages > 100 {
					t.Fatal("the list does not end")
				}
			}
			for _, key := range stay {
				if seen[key] != 1 {
					t.Errorf("%s: %s was listed %d times, want once", name, key, seen[key])
				}
			}
			if name == "classes" && (seen["moved"] != 0 || seen["newer0"] != 0 || seen["older0"] != 1) {
				t.Errorf("moved before: %d, newer: %d, older: %d; want 0, 0, 1", seen["moved"], seen["newer0"], seen["older0"])
			}
			if name == "everything" && seen["moved"] != 1 {
				t.Errorf("moved: listed %d times, want once", seen["moved"])
			}
		}
	})
}

func TestIndexesRefuseWhatIsNotTheirs(t *testing.T) {
	overAll(t, func(t *testing.T, _ backend, open func() refund.Ledger) {
		l := open()
		commit(t, l, refund.Item{Key: "a", Body: []byte{}, Due: at(0), Class: "open", At: at(0)},
			refund.Item{Key: "b", Body: []byte{}, Due: at(0), Class: "open", At: at(0)})
		indexes := map[string]refund.Index{"due": refund.DueBy(at(0)), "classes": refund.Recent(never, never, "open"), "everything": refund.Everything()}
		for of, index := range indexes {
			_, cursor, err := l.List(t.Context(), index, "", 1)
			if err != nil || cursor == "" {
				t.Fatalf("%s: cursor %q, error %v", of, cursor, err)
			}
			for name, index := range indexes {
				_, _, err := l.List(t.Context(), index, cursor, 1)
				if refused := err != nil && strings.Contains(err.Error(), "not a cursor of this index"); refused != (name != of) {
					t.Errorf("%s with a cursor of %s: %v", name, of, err)
				}
			}
			for _, limit := range []int{0, -1} {
				if _, _, err := l.List(t.Context(), index, "", limit); err == nil {
					t.Errorf("%s, limit %d: no error", of, limit)
				}
			}
		}
		var many []string
		for i := range maxClasses + 1 {
			many = append(many, strings.Repeat("c", i/26+1)+string(rune('a'+i%26)))
		}
		for want, index := range map[string]refund.Index{
			"an index that is not known":              {},
			"an index of no classes":                  refund.Recent(never, never),
			"empty class":                             refund.Recent(never, never, "open", ""),
			"byte 0 is none of":                       refund.Recent(never, never, "OPEN"),
			"an index of 33 classes, want at most 32": refund.Recent(never, never, many...),
		} {
			_, _, listed := l.List(t.Context(), index, "", 1)
			_, counted := l.Count(t.Context(), index)
			for _, err := range []error{listed, counted} {
				if err == nil || !strings.Contains(err.Error(), want) {
					t.Errorf("got %v, want %q", err, want)
				}
			}
		}
		// As many as there may be, are.
		most := refund.Recent(never, never, append(many[:maxClasses-1], "open")...)
		if got := pagesOf(t, l, most, 10); !cmp.Equal(got, [][]string{{"b", "a"}}) || counted(t, l, most) != 2 {
			t.Errorf("got %v", got)
		}
	})
}

// A cursor leads to the place that it was made of, and to no other; all else is refused.
func FuzzCursor(f *testing.F) {
	for _, p := range []position{{}, {shard: 7, left: 3, due: -5, key: "refund/R 1"}, {due: math.MaxInt64, key: "~"}} {
		f.Add(p.cursor())
		f.Add(spot{p.due, p.key}.cursor())
		f.Add(encodeCursor(keyCursor + string(p.key)))
	}
	f.Add("")
	f.Add("x")
	f.Add(encodeCursor("class 007 a"))
	f.Add(encodeCursor("class 7"))
	f.Add(encodeCursor("1 2 3 "))
	f.Add("a2V\r\r5IH4") // "key ~", and ends of lines
	f.Fuzz(func(t *testing.T, s string) {
		read := 0
		if p, err := parsePosition(s, at(0)); err == nil && s != "" {
			read++
			if p.cursor() != s || p.key.Check() != nil || p.shard < 0 || p.shard >= shards || p.left < 0 || p.left >= shards {
				t.Errorf("%q: position %+v", s, p)
			}
		}
		if p, err := parseSpot(s); err == nil {
			read++
			if p.cursor() != s || p.key.Check() != nil {
				t.Errorf("%q: spot %+v", s, p)
			}
		}
		if key, err := parseKey(s); err == nil && s != "" {
			read++
			if encodeCursor(keyCursor+string(key)) != s || key.Check() != nil {
				t.Errorf("%q: key %q", s, key)
			}
		}
		if read > 1 {
			t.Errorf("%q is a cursor of %d indexes", s, read)
		}
	})
}
