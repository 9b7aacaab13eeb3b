package ledger

import (
	"bytes"
	gocmp "cmp"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"wxrefund/functions/simulation/exhaust"
	"wxrefund/shared/refund"
)

// What every ledger must do, whatever stands behind it. A test body is given an
// empty ledger; it runs over every backend of the table.

var _ refund.Ledger = (*Store)(nil)

// A backend is a kind of ledger that the tests run over.
type backend struct {
	name   string
	scheme string

	// env names the variable that must be set for the backend to be tested, to
	// what url then makes of it; empty: always tested.
	env string

	// url returns the URL of a ledger that is empty.
	url func(t testing.TB, env string) string

	// schema names the files of its schema; "": scheme does.
	schema string

	// private: nobody but the one who opened it sees what is in it.
	private bool

	// maxBody is the longest body it takes; 0: more than any test has.
	maxBody int

	// slow: each of its calls takes a connection of its own.
	slow bool

	// remote: a commit whose context ended may be written a little later.
	remote bool
}

// times is how often a test of n rounds goes round.
func (b backend) times(n int) int {
	if b.slow {
		return n / 4
	}
	return n
}

// backends lists those whose driver was built in.
func backends() []backend {
	all := []backend{
		{name: "memory", scheme: "sqlite", private: true, url: func(testing.TB, string) string { return "sqlite::memory:" }},
		{name: "file", scheme: "sqlite", url: func(t testing.TB, _ string) string {
			return "sqlite:" + filepath.Join(t.TempDir(), "ledger.db")
		}},
		{name: "postgres", scheme: "postgres", env: "LEDGER_TEST_POSTGRES", url: freshPostgres, remote: true},
		{name: "mysql", scheme: "mysql", env: "LEDGER_TEST_MYSQL", url: freshMySQL, remote: true},
		dynamodbBackend,
		cloudbaseBackend,
	}
	return slices.DeleteFunc(all, func(b backend) bool {
		return !slices.Contains(Schemes(), b.scheme)
	})
}

// over runs a test over an empty ledger of each backend that is picked. Those of
// [TestCloudBase] run over that one, which the others leave out.
func over(t *testing.T, picked func(backend) bool, test func(t *testing.T, b backend, url string)) {
	t.Parallel()
	cloud := strings.HasPrefix(t.Name(), "TestCloudBase/")
	for _, b := range backends() {
		if picked(b) && cloud == (b.scheme == "cloudbase") {
			t.Run(b.name, func(t *testing.T) {
				t.Parallel()
				test(t, b, b.fresh(t))
			})
		}
	}
}

// overAll runs a test over every backend, and over the map that stands in for one where
// every history is lived through. Each call of open opens the same ledger, which is empty
// at first; a private one can be opened once.
func overAll(t *testing.T, test func(t *testing.T, b backend, open func() refund.Ledger)) {
	over(t, func(backend) bool { return true }, func(t *testing.T, b backend, url string) {
		test(t, b, func() refund.Ledger { return open(t, url) })
	})
	if !strings.HasPrefix(t.Name(), "TestCloudBase/") {
		t.Run("map", func(t *testing.T) {
			t.Parallel()
			test(t, backend{name: "map", private: true}, func() refund.Ledger { return &exhaust.Ledger{} })
		})
	}
}

// overShared runs a test over the backends that may be opened more than once.
func overShared(t *testing.T, test func(t *testing.T, b backend, url string)) {
	over(t, func(b backend) bool { return !b.private }, test)
}

func open(t testing.TB, url string) *Store {
	t.Helper()
	s, err := Open(t.Context(), url)
	if err != nil {
		t.Fatalf("Open: %v", err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

func get(t testing.TB, l refund.Ledger, keys ...refund.Key) []refund.Item {
	t.Helper()
	items, err := l.Get(t.Context(), keys...)
	if err != nil {
		t.Fatalf("Get(%q): %v", keys, err)
	}
	return items
}

func commit(t testing.TB, l refund.Ledger, items ...refund.Item) {
	t.Helper()
	if err := l.Commit(t.Context(), items...); err != nil {
		t.Fatalf("Commit: %v", err)
	}
}

func same(t testing.TB, what string, got, want []refund.Item) {
	t.Helper()
	body := cmp.Comparer(func(a, b []byte) bool { return bytes.Equal(a, b) && (a == nil) == (b == nil) })
	if diff := cmp.Diff(want, got, body); diff != "" {
		t.Errorf("%s (-want +got):\n%s", what, diff)
	}
}

// at is a due time n milliseconds after a fixed instant.
func at(n int) time.Time {
	return time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC).Add(time.Duration(n) * time.Millisecond)
}

func item(key string, version int64, body string) refund.Item {
	return refund.Item{Key: refund.Key(key), Version: version, Body: []byte(body)}
}

func classItem(key string, version int64, body, class string, at time.Time) refund.Item {
	i := item(key, version, body)
	i.Class, i.At = class, at
	return i
}

func dueItem(key string, version int64, body string, due time.Time) refund.Item {
	i := item(key, version, body)
	i.Due = due
	return i
}

// together runs f n times at once and waits.
func together(n int, f func(i int)) {
	var wg sync.WaitGroup
	start := make(chan struct{})
	for i := range n {
		wg.Go(func() {
			<-start
			f(i)
		})
	}
	close(start)
	wg.Wait()
}

func TestItemsAreCreatedReadAndUpdated(t *testing.T) {
	overAll(t, func(t *testing.T, _ backend, open func() refund.Ledger) {
		l := open()
		same(t, "nothing yet", get(t, l, "a"), []refund.Item{{Key: "a"}})

		commit(t, l, item("a", 0, "one"))
		same(t, "created", get(t, l, "a"), []refund.Item{item("a", 1, "one")})

		commit(t, l, dueItem("a", 1, "two", at(7)))
		same(t, "updated", get(t, l, "a"), []refund.Item{dueItem("a", 2, "two", at(7))})

		commit(t, l, item("a", 2, "three"), item("b", 0, "four"))
		same(t, "both", get(t, l, "a", "b"), []refund.Item{item("a", 3, "three"), item("b", 1, "four")})
	})
}

func TestGetAnswersInTheOrderOfTheKeys(t *testing.T) {
	overAll(t, func(t *testing.T, _ backend, open func() refund.Ledger) {
		l := open()
		commit(t, l, item("a", 0, "A"), item("b", 0, "B"))
		got := get(t, l, "b", "none", "a", "b", "none")
		same(t, "order", got, []refund.Item{
			item("b", 1, "B"), {Key: "none"}, item("a", 1, "A"), item("b", 1, "B"), {Key: "none"},
		})
		got[0].Body[0] = 'x'
		if string(got[3].Body) != "B" {
			t.Error("two answers share one body")
		}
		if got := get(t, l); len(got) != 0 {
			t.Errorf("no keys: got %v", got)
		}
	})
}

func TestGetTakesAnyNumberOfKeys(t *testing.T) {
	overAll(t, func(t *testing.T, _ backend, open func() refund.Ledger) {
		l := open()
		for _, n := range []int{2, 3, 4, 5, 63, 64, 65, 200} {
			var keys []refund.Key
			var write, want []refund.Item
			for i := range n {
				name := fmt.Sprintf("%d/%d", n, i)
				keys = append(keys, refund.Key(name))
				if i%3 == 0 {
					want = append(want, refund.Item{Key: refund.Key(name)})
					continue
				}
				write = append(write, item(name, 0, name))
				want = append(want, item(name, 1, name))
			}
			for some := range slices.Chunk(write, 100) { // what every backend takes at once
				commit(t, l, some...)
			}
			rand.Shuffle(n, func(i, j int) {
				keys[i], keys[j] = keys[j], keys[i]
				want[i], want[j] = want[j], want[i]
			})
			same(t, strconv.Itoa(n), get(t, l, keys...), want)
		}
	})
}

// Each attempt over a wrong version is stale, alone and together with right
// ones, and leaves everything as it was.
func TestCommitOverAWrongVersionIsStaleAndWritesNothing(t *testing.T) {
	overAll(t, func(t *testing.T, _ backend, open func() refund.Ledger) {
		l := open()
		commit(t, l, item("a", 0, "a1"))
		commit(t, l, item("a", 1, "a2"), item("b", 0, "b1"))
		want := []refund.Item{item("a", 2, "a2"), item("b", 1, "b1"), {Key: "c"}, {Key: "d"}}

		for _, wrong := range []refund.Item{
			item("a", 0, "x"), // exists
			item("a", 1, "x"), // was
			item("a", 3, "x"), // is not yet
			item("c", 1, "x"), // does not exist
			item("c", 9, "x"),
			item("a", math.MaxInt64, "x"), // there is no next one
			item("a", math.MaxInt64-1, "x"),
			item("c", math.MaxInt64, "x"),
			item("c", math.MaxInt64-1, "x"),
		} {
			commits := map[string][]refund.Item{
				"alone": {wrong},
				"last":  {item("b", 1, "x"), item("d", 0, "x"), wrong},
				"first": {wrong, item("b", 1, "x"), item("d", 0, "x")},
				"twice": {item("b", 7, "x"), wrong},
				"then":  {wrong, item("z", 0, "x")},
			}
			for name, items := range commits {
				if err := l.Commit(t.Context(), items...); !errors.Is(err, refund.ErrStale) {
					t.Errorf("%s at %d, %s: got %v, want ErrStale", wrong.Key, wrong.Version, name, err)
				}
				same(t, name, get(t, l, "a", "b", "c", "d"), want)
			}
		}
		// The ledger still works.
		commit(t, l, item("a", 2, "a3"), item("d", 0, "d1"))
	})
}

// What only a mistake of the caller's can bring is refused before anything is
// written, and is not called stale, for to repeat it would be useless.
func TestMistakenCommitsAreRefused(t *testing.T) {
	overAll(t, func(t *testing.T, _ backend, open func() refund.Ledger) {
		l := open()
		long := strings.Repeat("k", refund.MaxKey)
		tests := map[string]struct {
			items []refund.Item
			want  string
		}{
			"empty":              {nil, "nothing to commit"},
			"twice":              {[]refund.Item{item("a", 0, ""), item("b", 0, ""), item("a", 1, "")}, `key "a" occurs twice`},
			"no body":            {[]refund.Item{item("b", 0, ""), {Key: "a"}}, `key "a": no body`},
			"version":            {[]refund.Item{item("a", -1, "")}, `key "a": version -1`},
			"no key":             {[]refund.Item{item("", 0, "")}, "empty key"},
			"long key":           {[]refund.Item{item(long+"k", 0, "")}, "key of 129 bytes, want at most 128"},
			"control":            {[]refund.Item{item("a\nb", 0, "")}, "byte 1 is not printable ASCII"},
			"nul":                {[]refund.Item{item("\x00", 0, "")}, "byte 0 is not printable ASCII"},
			"delete":             {[]refund.Item{item("ab\x7f", 0, "")}, "byte 2 is not printable ASCII"},
			"not ASCII":          {[]refund.Item{item("退款", 0, "")}, "byte 0 is not printable ASCII"},
			"not even UTF-8":     {[]refund.Item{item("\xff", 0, "")}, "byte 0 is not printable ASCII"},
			"class, no time":     {[]refund.Item{{Key: "a", Body: []byte{}, Class: "open"}}, `key "a": a class and the time under it, want both or neither`},
			"time, no class":     {[]refund.Item{{Key: "a", Body: []byte{}, At: at(0)}}, `key "a": a class and the time under it, want both or neither`},
			"long class":         {[]refund.Item{classItem("a", 0, "", strings.Repeat("c", refund.MaxClass+1), at(0))}, `key "a": class of 25 bytes, want at most 24`},
			"class in capitals":  {[]refund.Item{classItem("a", 0, "", "Open", at(0))}, `key "a": class "Open": byte 0 is none of a-z, _ and !`},
			"class with a space": {[]refund.Item{classItem("a", 0, "", "in doubt", at(0))}, `class "in doubt": byte 2 is none of`},
			"class not ASCII":    {[]refund.Item{classItem("a", 0, "", "a退", at(0))}, "byte 1 is none of"},
			"good and refuse":    {[]refund.Item{item("b", 0, ""), item("\t", 0, "")}, "not printable"},
		}
		for name, test := range tests {
			err := l.Commit(t.Context(), test.items...)
			if err == nil || errors.Is(err, refund.ErrStale) || !strings.Contains(err.Error(), test.want) {
				t.Errorf("%s: got %v, want %q", name, err, test.want)
			}
		}
		same(t, "nothing written", get(t, l, "a", "b"), []refund.Item{{Key: "a"}, {Key: "b"}})

		for _, key := range []refund.Key{"", "a\n", refund.Key(long + "k")} {
			if _, err := l.Get(t.Context(), "a", key); err == nil {
				t.Errorf("Get(%q): no error", key)
			}
		}
		// The longest key, and every printable byte, are fine.
		var all []byte
		for b := byte(' '); b <= '~'; b++ {
			all = append(all, b)
		}
		for _, key := range []string{long, string(all), " ", "a ", "A"} {
			commit(t, l, item(key, 0, "x"))
		}
		same(t, "spaces and letter case make another key", get(t, l, "a", "a ", "A"), []refund.Item{{Key: "a"}, item("a ", 1, "x"), item("A", 1, "x")})
	})
}

func TestCommitDoesNotChangeTheCallersItems(t *testing.T) {
	overAll(t, func(t *testing.T, _ backend, open func() refund.Ledger) {
		l := open()
		items := []refund.Item{item("b", 0, "B"), item("a", 0, "A")}
		commit(t, l, items...)
		same(t, "the caller's items", items, []refund.Item{item("b", 0, "B"), item("a", 0, "A")})
		items[0].Body[0] = 'x'
		same(t, "the ledger's items", get(t, l, "b"), []refund.Item{item("b", 1, "B")})
	})
}

func TestBodiesAreKeptByteForByte(t *testing.T) {
	overAll(t, func(t *testing.T, b backend, open func() refund.Ledger) {
		l := open()
		var bytes256 []byte
		for i := range 256 {
			bytes256 = append(bytes256, byte(i))
		}
		large := make([]byte, 1<<20)
		if b.maxBody != 0 {
			large = large[:b.maxBody]
		}
		rand.NewChaCha8([32]byte{}).Read(large)
		for name, body := range map[string][]byte{
			"empty":         {},
			"every byte":    bytes256,
			"not UTF-8":     []byte("\xff\xfe\x00退款"),
			"large":         large,
			"quotes":        []byte(`'"; DROP TABLE items; --`),
			"looks numeric": []byte("0123"),
		} {
			for version := range int64(2) { // written both ways
				commit(t, l, refund.Item{Key: refund.Key(name), Version: version, Body: body})
				got := get(t, l, refund.Key(name))[0]
				if got.Body == nil || !bytes.Equal(got.Body, body) || got.Version != version+1 {
					t.Errorf("%s: got %d bytes (nil: %t) at version %d, want %d bytes at %d",
						name, len(got.Body), got.Body == nil, got.Version, len(body), version+1)
				}
			}
		}
	})
}

func TestDueIsKeptToTheMillisecond(t *testing.T) {
	overAll(t, func(t *testing.T, _ backend, open func() refund.Ledger) {
		l := open()
		shanghai := time.FixedZone("CST", 8*60*60)
		version := int64(0)
		for _, test := range []struct{ due, want time.Time }{
			{at(0), at(0)},
			{at(1).In(shanghai), at(1)},
			{at(1).Add(999_999 * time.Nanosecond), at(1)},
			{time.Unix(0, 0), time.Unix(0, 0).UTC()},
			{time.UnixMilli(-1), time.UnixMilli(-1).UTC()},
			{time.Date(9999, 12, 31, 23, 59, 59, 0, time.UTC), time.Date(9999, 12, 31, 23, 59, 59, 0, time.UTC)},
			{time.Time{}, time.Time{}},
		} {
			commit(t, l, dueItem("a", version, "", test.due))
			version++
			got := get(t, l, "a")[0].Due
			if !got.Equal(test.want) || got.Location() != time.UTC || got.IsZero() != test.want.IsZero() {
				t.Errorf("%v: got %v, want %v", test.due, got, test.want)
			}
		}
	})
}

// pages lists everything that is due, page by page.
func pages(t testing.TB, l refund.Ledger, due time.Time, limit int) (pages [][]string) {
	t.Helper()
	return pagesOf(t, l, refund.DueBy(due), limit)
}

// pagesOf lists all of an index, page by page.
func pagesOf(t testing.TB, l refund.Ledger, index refund.Index, limit int) (pages [][]string) {
	t.Helper()
	cursor := ""
	for {
		items, next, err := l.List(t.Context(), index, cursor, limit)
		if err != nil {
			t.Fatalf("List: %v", err)
		}
		var keys []string
		for _, i := range items {
			keys = append(keys, string(i.Key))
		}
		if keys != nil {
			pages = append(pages, keys)
		}
		if next == "" {
			return pages
		}
		if len(items) != limit || len(pages) == 100 {
			t.Fatalf("List: page %d has %d items and a next page, want %d items", len(pages), len(items), limit)
		}
		cursor = next
	}
}

// listOrder sorts items as a list of what is due by a time has them: shard by
// shard, beginning with the one that belongs to the time, and then by time and key.
func listOrder(due time.Time, items []refund.Item) {
	first := firstShard(due)
	turn := func(i refund.Item) int { return (shardOf(i.Key) - first + shards) % shards }
	slices.SortFunc(items, func(a, b refund.Item) int {
		return gocmp.Or(gocmp.Compare(turn(a), turn(b)), a.Due.Compare(b.Due), gocmp.Compare(a.Key, b.Key))
	})
}

// listPages is what pages should find.
func listPages(due time.Time, limit int, items ...refund.Item) (pages [][]string) {
	items = slices.DeleteFunc(slices.Clone(items), func(i refund.Item) bool { return i.Due.IsZero() || i.Due.After(due) })
	listOrder(due, items)
	for page := range slices.Chunk(items, min(limit, 1000)) {
		var keys []string
		for _, i := range page {
			keys = append(keys, string(i.Key))
		}
		pages = append(pages, keys)
	}
	return pages
}

func TestListIsCompleteAndInOrder(t *testing.T) {
	overAll(t, func(t *testing.T, b backend, open func() refund.Ledger) {
		l := open()
		limits := []int{1, 3, 4, 6, 10, 25, 26, 27, 1 << 60}
		if b.slow {
			limits = []int{6, 26}
		}
		if got := pages(t, l, at(100), 10); got != nil {
			t.Errorf("nothing yet: got %v", got)
		}
		items := []refund.Item{ // in no order
			dueItem("e", 0, "E", at(20)), dueItem("c", 0, "C", at(10)), item("never", 0, ""),
			dueItem("b", 0, "B", at(20)), dueItem("d", 0, "D", at(5)), dueItem("a", 0, "A", at(20)),
			dueItem("late", 0, "", at(101)), dueItem("B", 0, "", at(20)),
		}
		for i := range 20 { // enough for shards to hold several of one time
			items = append(items, dueItem(fmt.Sprint("m", i), 0, "", at(6+i%2)))
		}
		commit(t, l, items...)
		for _, due := range []time.Time{at(100), at(20), at(20).Add(-time.Nanosecond), at(10), at(6), at(5), at(4), {}, at(101)} {
			for _, limit := range limits {
				if diff := cmp.Diff(listPages(due, limit, items...), pages(t, l, due, limit)); diff != "" {
					t.Errorf("due %v, limit %d (-want +got):\n%s", due, limit, diff)
				}
			}
		}
		if got := pages(t, l, at(20), 100); len(got) != 1 || len(got[0]) != 26 { // "not after" includes it
			t.Errorf("got %v, want the 26 that are due", got)
		}
		if got := pages(t, l, at(20).Add(-time.Nanosecond), 100); len(got) != 1 || len(got[0]) != 22 {
			t.Errorf("got %v, want the 22 that are due", got)
		}
		whole, next, err := l.List(t.Context(), refund.DueBy(at(5)), "", 1)
		if err != nil || next != "" {
			t.Errorf("got next %q, error %v", next, err)
		}
		same(t, "whole items", whole, []refund.Item{dueItem("d", 1, "D", at(5))})

		// An item is moved, and taken out.
		commit(t, l, dueItem("d", 1, "", at(-1)), item("c", 1, ""))
		if diff := cmp.Diff([][]string{{"d"}}, pages(t, l, at(5), 5)); diff != "" {
			t.Errorf("after changes (-want +got):\n%s", diff)
		}
	})
}

func TestListRefusesBadLimitsAndCursors(t *testing.T) {
	overAll(t, func(t *testing.T, _ backend, open func() refund.Ledger) {
		l := open()
		for _, limit := range []int{0, -1} {
			if _, _, err := l.List(t.Context(), refund.DueBy(at(0)), "", limit); err == nil {
				t.Errorf("limit %d: no error", limit)
			}
		}
		for _, cursor := range []string{"x", "!", "MTIz", "IA",
			position{key: "a\n"}.cursor(), position{}.cursor(), position{shard: shards, key: "a"}.cursor(), position{shard: -1, key: "a"}.cursor(),
			position{left: shards, key: "a"}.cursor(), position{left: -1, key: "a"}.cursor(), base64.RawURLEncoding.EncodeToString([]byte("+1 0 0 a")),
			base64.RawURLEncoding.EncodeToString([]byte("0 0 a")),
		} {
			if _, _, err := l.List(t.Context(), refund.DueBy(at(0)), cursor, 1); err == nil || !strings.Contains(err.Error(), "not a cursor") {
				t.Errorf("cursor %q: got %v", cursor, err)
			}
		}
	})
}

// A cursor is a place: what stays as it is comes exactly once, however much
// else comes, goes and moves between the pages.
func TestCursorStaysWhileItemsChange(t *testing.T) {
	overAll(t, func(t *testing.T, _ backend, open func() refund.Ledger) {
		l := open()
		var items []refund.Item
		version := map[string]int64{}
		for i := range 80 {
			items = append(items, dueItem(fmt.Sprintf("%02d", i), 0, "", at(i/4)))
			version[fmt.Sprintf("%02d", i)] = 1
		}
		commit(t, l, items...)
		listOrder(at(100), items)
		first := firstShard(at(100))
		inFirst := slices.IndexFunc(items, func(i refund.Item) bool { return shardOf(i.Key) != first })
		if inFirst < 6 {
			t.Fatalf("only %d items in the first shard", inFirst)
		}
		moved := string(items[inFirst-1].Key) // listed last in the first shard
		change := func(key string, due time.Time) {
			commit(t, l, dueItem(key, version[key], "", due))
			version[key]++
		}
		// in is a key that belongs to a shard.
		in := func(shard int, prefix string) string {
			for i := 0; ; i++ {
				if key := fmt.Sprint(prefix, i); shardOf(refund.Key(key)) == shard {
					return key
				}
			}
		}

		seen := map[string]int{}
		cursor := ""
		for page := 0; page < 100; page++ {
			got, next, err := l.List(t.Context(), refund.DueBy(at(100)), cursor, 4)
			if err != nil {
				t.Fatal(err)
			}
			for _, i := range got {
				seen[string(i.Key)]++
			}
			if cursor = next; cursor == "" {
				break
			}
			last := got[len(got)-1].Key
			change(string(last), time.Time{})                               // the cursor's own item goes
			change(in(first, fmt.Sprintf("before%d.", page)), at(-1-page))  // before the cursor
			change(in(shardOf(last), fmt.Sprintf("z%d.", page)), at(90))    // behind it, in its shard
			change(in((first+7)%shards, fmt.Sprintf("z%d.", page)), at(90)) // and in the last shard
			if page == 0 {
				change(moved, at(-50)) // from behind to before
			}
		}
		for _, i := range items {
			if n := seen[string(i.Key)]; n != 1 && string(i.Key) != moved {
				t.Errorf("%s was listed %d times, want once", i.Key, n)
			}
		}
		behind, far, before := in(first, "z0."), in((first+7)%shards, "z0."), in(first, "before0.")
		if seen[moved] != 0 || seen[behind] != 1 || seen[far] != 1 || seen[before] != 0 {
			t.Errorf("moved before: %d, new behind: %d, %d, new before: %d; want 0, 1, 1, 0", seen[moved], seen[behind], seen[far], seen[before])
		}
	})
}

// D1: of 64 commits that would create the same item, one is written, and nothing of
// the others.
func TestOneOfManyClaimantsWins(t *testing.T) {
	overAll(t, func(t *testing.T, _ backend, open func() refund.Ledger) {
		l := open()
		var won, stale atomic.Int32
		var winner atomic.Int64
		together(64, func(i int) {
			switch err := l.Commit(t.Context(), item("claim", 0, strconv.Itoa(i)), item("own/"+strconv.Itoa(i), 0, "")); {
			case err == nil:
				won.Add(1)
				winner.Store(int64(i))
			case errors.Is(err, refund.ErrStale):
				stale.Add(1)
			default:
				t.Error(err)
			}
		})
		if won.Load() != 1 || stale.Load() != 63 {
			t.Errorf("%d won and %d were stale, want 1 and 63", won.Load(), stale.Load())
		}
		same(t, "the winner's", get(t, l, "claim"), []refund.Item{item("claim", 1, strconv.FormatInt(winner.Load(), 10))})
		for i := range 64 { // no trace of the losers
			key := refund.Key("own/" + strconv.Itoa(i))
			if got := get(t, l, key)[0]; (got.Version == 1) != (int64(i) == winner.Load()) {
				t.Errorf("%s has version %d; the winner is %d", key, got.Version, winner.Load())
			}
		}
	})
}

// increment adds one to a counter by reading, committing and repeating.
func increment(ctx context.Context, l refund.Ledger, key refund.Key) error {
	for {
		items, err := l.Get(ctx, key)
		if err != nil {
			return err
		}
		n, _ := strconv.Atoi(string(items[0].Body))
		items[0].Body = strconv.AppendInt(nil, int64(n)+1, 10)
		if err := l.Commit(ctx, items[0]); !errors.Is(err, refund.ErrStale) {
			return err
		}
	}
}

func TestConcurrentIncrementsLoseNothing(t *testing.T) {
	overAll(t, func(t *testing.T, b backend, open func() refund.Ledger) {
		ledgers := []refund.Ledger{open()}
		if !b.private {
			ledgers = append(ledgers, open())
		}
		together(64, func(i int) {
			if err := increment(t.Context(), ledgers[i%len(ledgers)], "counter"); err != nil {
				t.Error(err)
			}
		})
		same(t, "counter", get(t, ledgers[0], "counter"), []refund.Item{item("counter", 64, "64")})
	})
}

func TestReadsSeeFinishedCommits(t *testing.T) {
	overAll(t, func(t *testing.T, b backend, open func() refund.Ledger) {
		writer := open()
		reader := writer
		if !b.private {
			reader = open()
		}
		for i := range b.times(50) {
			commit(t, writer, dueItem("a", int64(i), strconv.Itoa(i), at(i)))
			want := []refund.Item{dueItem("a", int64(i)+1, strconv.Itoa(i), at(i))}
			same(t, "Get", get(t, reader, "a"), want)
			listed, _, err := reader.List(t.Context(), refund.DueBy(at(i)), "", 1)
			if err != nil {
				t.Fatal(err)
			}
			same(t, "List", listed, want)
		}
	})
}

// account is the shape of an order's account: refunds may reserve up to a total.
type account struct {
	Total    int64 `json:"total"`
	Reserved int64 `json:"reserved"`
}

// reserve claims a refund on an order, as package refund does: the claim and
// the sum in one commit. It reports whether the order had room.
func reserve(ctx context.Context, l refund.Ledger, order, number refund.Key, amount int64) (bool, error) {
	for {
		items, err := l.Get(ctx, order, number)
		if err != nil {
			return false, err
		}
		var a account
		if err := json.Unmarshal(items[0].Body, &a); err != nil {
			return false, err
		}
		if a.Reserved > a.Total {
			return false, fmt.Errorf("reserved %d of %d", a.Reserved, a.Total)
		}
		if a.Reserved+amount > a.Total {
			return false, nil
		}
		a.Reserved += amount
		if items[0].Body, err = json.Marshal(a); err != nil {
			return false, err
		}
		items[1].Body = strconv.AppendInt(nil, amount, 10)
		if err := l.Commit(ctx, items...); !errors.Is(err, refund.ErrStale) {
			return err == nil, err
		}
	}
}

// audit reads an order and its refunds in one Get and checks that the sum is
// right and within the total; it returns how much is reserved. It asks for so
// many keys in between that no single query can answer: what it sees must be
// one instant all the same.
func audit(ctx context.Context, l refund.Ledger, order refund.Key, numbers []refund.Key) (int64, error) {
	keys := []refund.Key{order}
	for i := range maxKeys {
		keys = append(keys, refund.Key(fmt.Sprint("padding/", i)))
	}
	items, err := l.Get(ctx, append(keys, numbers...)...)
	if err != nil {
		return 0, err
	}
	var a account
	if err := json.Unmarshal(items[0].Body, &a); err != nil {
		return 0, err
	}
	var sum int64
	for _, i := range items[1:] {
		if i.Version != 0 {
			n, err := strconv.ParseInt(string(i.Body), 10, 64)
			if err != nil {
				return 0, err
			}
			sum += n
		}
	}
	if sum != a.Reserved || a.Reserved > a.Total {
		return 0, fmt.Errorf("refunds come to %d, reserved are %d of %d", sum, a.Reserved, a.Total)
	}
	return sum, nil
}

// A7, D1: 64 refunds, which together exceed the order by far, race for it. What is reserved
// never exceeds the total, equals the sum of the claims at every instant, and no
// refund is refused that would have fitted.
func TestOrderIsNeverOverdrawn(t *testing.T) {
	overAll(t, func(t *testing.T, b backend, open func() refund.Ledger) {
		ledgers := []refund.Ledger{open()}
		if !b.private {
			ledgers = append(ledgers, open())
		}
		const total = 10000
		commit(t, ledgers[0], item("order", 0, `{"total":10000,"reserved":0}`))
		numbers := make([]refund.Key, 64)
		amounts := make([]int64, 64)
		for i := range numbers {
			numbers[i] = refund.Key(fmt.Sprintf("refund/%02d", i))
			amounts[i] = 1 + rand.Int64N(total/10)
		}

		var done atomic.Bool
		var auditor sync.WaitGroup
		auditor.Go(func() {
			for audits := 0; !done.Load() || audits == 0; audits++ {
				if _, err := audit(t.Context(), ledgers[len(ledgers)-1], "order", numbers); err != nil {
					t.Error("meanwhile: ", err)
					return
				}
			}
		})
		accepted := make([]bool, 64)
		together(64, func(i int) {
			var err error
			if accepted[i], err = reserve(t.Context(), ledgers[i%len(ledgers)], "order", numbers[i], amounts[i]); err != nil {
				t.Error(err)
			}
		})
		done.Store(true)
		auditor.Wait()

		reserved, err := audit(t.Context(), ledgers[0], "order", numbers)
		if err != nil {
			t.Fatal(err)
		}
		var sum int64
		for i, ok := range accepted {
			if ok {
				sum += amounts[i]
			} else if reserved+amounts[i] <= total {
				t.Errorf("a refund of %d was refused with %d of %d reserved", amounts[i], reserved, total)
			}
		}
		if sum != reserved {
			t.Errorf("accepted refunds come to %d, reserved are %d", sum, reserved)
		}
	})
}

func TestEndedContextWritesNothing(t *testing.T) {
	overAll(t, func(t *testing.T, _ backend, open func() refund.Ledger) {
		l := open()
		commit(t, l, dueItem("a", 0, "A", at(0)))
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if err := l.Commit(ctx, item("a", 1, "x"), item("b", 0, "x")); !errors.Is(err, context.Canceled) {
			t.Errorf("Commit: got %v, want Canceled", err)
		}
		if _, err := l.Get(ctx, "a"); !errors.Is(err, context.Canceled) {
			t.Errorf("Get: got %v, want Canceled", err)
		}
		if _, _, err := l.List(ctx, refund.DueBy(at(0)), "", 1); !errors.Is(err, context.Canceled) {
			t.Errorf("List: got %v, want Canceled", err)
		}
		if s, ok := l.(*Store); ok {
			for name, call := range everyCall {
				if err := call(ctx, s); !errors.Is(err, context.Canceled) {
					t.Errorf("%s: got %v, want Canceled", name, err)
				}
			}
		}
		same(t, "as before", get(t, l, "a", "b"), []refund.Item{dueItem("a", 1, "A", at(0)), {Key: "b"}})
	})
}

// Contexts that end anywhere within a call leave all of a commit or nothing,
// and a ledger that works.
func TestContextEndingAnywhereLeavesAllOrNothing(t *testing.T) {
	overAll(t, func(t *testing.T, b backend, open func() refund.Ledger) {
		l := open()
		version := int64(0)
		late := false // the commit before may have been written since
		finished, ended := 0, 0
		usual := time.Hour // what a commit takes
		for i := range b.times(200) {
			ctx, cancel := context.WithCancel(t.Context())
			end := time.Hour
			if i >= 10 {
				end = rand.N(usual + 1)
			}
			start := time.Now()
			timer := time.AfterFunc(end, cancel)
			body := strconv.Itoa(i)
			err := l.Commit(ctx, item("a", version, body), item("b", version, body))
			if i < 10 {
				usual = min(usual, time.Since(start))
			}
			l.Get(ctx, "a", "b") // this may be ended too
			timer.Stop()
			cancel()
			got := get(t, l, "a", "b")
			switch {
			case err == nil:
				finished++
				version++
				same(t, "finished", got, []refund.Item{item("a", version, body), item("b", version, body)})
				late = false
			case errors.Is(err, context.Canceled):
				ended++
				if got[0].Version != got[1].Version || !bytes.Equal(got[0].Body, got[1].Body) || got[0].Version > version+1 {
					t.Fatalf("a commit over version %d was written in half: %v", version, got)
				}
				late = b.remote && got[0].Version == version
				version = got[0].Version
			case late && errors.Is(err, refund.ErrStale):
				if got[0].Version != version+1 || got[1].Version != version+1 || !bytes.Equal(got[0].Body, got[1].Body) {
					t.Fatalf("a commit over version %d was written late and in half: %v", version, got)
				}
				late = false
				version++
			default:
				t.Fatal(err)
			}
		}
		t.Logf("%d commits finished, %d were ended", finished, ended)
	})
}

func TestReopeningKeepsEverything(t *testing.T) {
	overShared(t, func(t *testing.T, _ backend, url string) {
		l := open(t, url)
		commit(t, l, dueItem("a", 0, "A", at(3)), item("b", 0, "\x00\xff"), item("c", 0, ""))
		commit(t, l, dueItem("a", 1, "A2", at(4)))
		if err := l.Close(); err != nil {
			t.Fatal(err)
		}
		if _, err := l.Get(t.Context(), "a"); err == nil {
			t.Error("Get after Close: no error")
		}
		if err := l.Commit(t.Context(), item("d", 0, "")); err == nil || errors.Is(err, refund.ErrStale) {
			t.Errorf("Commit after Close: got %v", err)
		}
		again := open(t, url)
		same(t, "kept", get(t, again, "a", "b", "c", "d"), []refund.Item{
			dueItem("a", 2, "A2", at(4)), item("b", 1, "\x00\xff"), item("c", 1, ""), {Key: "d"},
		})
		if diff := cmp.Diff([][]string{{"a"}}, pages(t, again, at(9), 5)); diff != "" {
			t.Errorf("due (-want +got):\n%s", diff)
		}
	})
}

// Several may open a fresh ledger at once: one of them makes it.
func TestFreshLedgerMayBeOpenedByManyAtOnce(t *testing.T) {
	overShared(t, func(t *testing.T, _ backend, url string) {
		together(8, func(i int) {
			s, err := Open(t.Context(), url)
			if err != nil {
				t.Error(err)
				return
			}
			defer s.Close()
			if err := s.Commit(t.Context(), item(fmt.Sprint(i), 0, "")); err != nil {
				t.Error(err)
			}
		})
	})
}
