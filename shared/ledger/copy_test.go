package ledger

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"wxrefund/shared/refund"
)

// A shelf is a small ledger in memory, which a test can disturb.
type shelf struct {
	mu      sync.Mutex
	items   map[refund.Key]refund.Item
	commit  func(n int, items []refund.Item) (before, after error) // of the nth commit, from 1
	list    func(items []refund.Item)                              // sees what is about to be listed, and may change it
	listing func()                                                 // is called before each page
	n       int
}

func newShelf(items ...refund.Item) *shelf {
	s := &shelf{items: map[refund.Key]refund.Item{}}
	for _, it := range items {
		it.Version = max(it.Version, 1)
		s.items[it.Key] = it
	}
	return s
}

func (s *shelf) Get(_ context.Context, keys ...refund.Key) ([]refund.Item, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var items []refund.Item
	for _, key := range keys {
		it := s.items[key]
		it.Key = key
		items = append(items, it)
	}
	return items, nil
}

func (s *shelf) Commit(ctx context.Context, items ...refund.Item) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.n++
	var after error
	if s.commit != nil {
		before, late := s.commit(s.n, items)
		if after = late; before != nil {
			return before
		}
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	for _, it := range items {
		if s.items[it.Key].Version != it.Version {
			return refund.ErrStale
		}
	}
	for _, it := range items {
		it.Version++
		s.items[it.Key] = it
	}
	return after
}

func (s *shelf) List(_ context.Context, _ refund.Index, cursor string, limit int) (items []refund.Item, next string, err error) {
	if s.listing != nil {
		s.listing()
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	keys := slices.Sorted(maps.Keys(s.items))
	for _, key := range keys {
		if string(key) > cursor && len(items) < limit {
			items = append(items, s.items[key])
		}
	}
	if len(items) == limit {
		next = string(items[limit-1].Key)
	}
	if s.list != nil {
		s.list(items)
	}
	return items, next, nil
}

func (s *shelf) Count(context.Context, refund.Index) (int64, error) {
	return int64(len(s.items)), nil
}

// put changes an item as a function would.
func (s *shelf) put(key refund.Key, body string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.items[key] = refund.Item{Key: key, Version: s.items[key].Version + 1, Body: []byte(body)}
}

// content is what a ledger holds, versions and whose it is aside.
func content(t *testing.T, l refund.Ledger) (lines []string) {
	t.Helper()
	err := eachBatch(t.Context(), l, func(items []refund.Item) error {
		for _, it := range items {
			lines = append(lines, fmt.Sprintf("%s %s %d %d %q", it.Key, it.Class, millis(it.Due), millis(it.At), it.Body))
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	slices.Sort(lines)
	return lines
}

var ofMerchant = refund.Merchant{MchID: "1900000109"}

// owned writes whose a ledger is.
func owned(t *testing.T, l refund.Ledger, change func(o *refund.Ownership)) {
	t.Helper()
	o, err := refund.ReadOwnership(t.Context(), l)
	if err != nil {
		t.Fatal(err)
	}
	o.Merchant, o.Channel = ofMerchant, "apiv3"
	change(&o)
	if err := o.Write(t.Context(), l); err != nil {
		t.Fatal(err)
	}
}

func open4Use(*refund.Ownership) {}

// some are n items as a ledger has them.
func some(n int) (items []refund.Item) {
	for i := range n {
		it := item(fmt.Sprintf("refund/%04d", i), int64(1+i%3), fmt.Sprintf(`{"n":%d}`, i))
		if i%2 == 0 {
			it.Due = at(i)
		}
		if i%3 == 0 {
			it.Class, it.At = "success", at(-i)
		}
		items = append(items, it)
	}
	return items
}

// fastCopy waits for nobody.
func fastCopy(t *testing.T, from, to refund.Ledger, more ...func(*CopyOptions)) (CopyResult, error) {
	t.Helper()
	o := CopyOptions{Source: "S", By: "alice", Quiet: time.Millisecond}
	for _, change := range more {
		change(&o)
	}
	return Copy(t.Context(), from, to, o)
}

func closing(o *CopyOptions) { o.Close = true }

func wantOwnership(t *testing.T, what string, l refund.Ledger, want refund.ClosedAs) refund.Ownership {
	t.Helper()
	o, err := refund.ReadOwnership(t.Context(), l)
	if err != nil {
		t.Fatal(err)
	}
	got := refund.ClosedAs("")
	if o.Closed != nil {
		got = o.Closed.Why
	}
	if got != want || o.Merchant != ofMerchant || o.Channel != "apiv3" {
		t.Errorf("the %s is closed as %q, of %+v on %s, want %q", what, got, o.Merchant, o.Channel, want)
	}
	return o
}

// A copy holds all that its source does, and stays closed; with Close it takes the
// source's place.
func TestCopyHoldsWhatItsSourceDoes(t *testing.T) {
	source, target := newShelf(some(1234)...), newShelf()
	owned(t, source, open4Use)
	result, err := fastCopy(t, source, target)
	if err != nil || !result.Equal() || result.Source.Items != 1234 || result.Written != 1234 || result.Passes != 2 || result.Moved {
		t.Fatalf("got %+v, %v", result, err)
	}
	if got, want := content(t, target), content(t, source); !slices.Equal(got, want) {
		t.Errorf("the target holds %d lines, want %d like the source's", len(got), len(want))
	}
	wantOwnership(t, "source", source, "")
	if o := wantOwnership(t, "target", target, refund.ClosedAsCopy); o.Closed.Whole.IsZero() || o.Closed.By != "alice" {
		t.Errorf("the target says %+v", o.Closed)
	}

	// The source moves on, and the copy follows.
	source.put("refund/0007", "new")
	source.put("refund/9999", "another")
	result, err = fastCopy(t, source, target)
	if err != nil || !result.Equal() || result.Written != 2 {
		t.Fatalf("got %+v, %v", result, err)
	}

	result, err = fastCopy(t, source, target, closing)
	if err != nil || !result.Equal() || result.Written != 0 || !result.Moved || result.Earlier {
		t.Fatalf("got %+v, %v", result, err)
	}
	moved, open := wantOwnership(t, "source", source, refund.ClosedAsMoved), wantOwnership(t, "target", target, "")
	if open.Copy == "" || open.Copy != moved.Closed.Copy {
		t.Errorf("the source has moved to %q, the target is %q", moved.Closed.Copy, open.Copy)
	}

	// Again: nothing is touched, whatever the target has become.
	target.put("refund/0001", "life goes on")
	result, err = fastCopy(t, source, target, closing)
	if err != nil || !result.Moved || !result.Earlier || result.Written != 0 {
		t.Errorf("got %+v, %v", result, err)
	}
}

// A copy that was ended after any of its commits, or whose answer was lost there, goes
// on from there, and never are both sides open.
func TestCopyGoesOnAfterAnyEnd(t *testing.T) {
	died := errors.New("died")
	for _, lost := range []bool{false, true} {
		for dies := 1; ; dies++ {
			source, target := newShelf(some(450)...), newShelf()
			owned(t, source, open4Use)
			end := func(n int) (before, after error) {
				switch {
				case n < dies:
					return nil, nil
				case n == dies && lost: // it was carried out
					return nil, died
				}
				return died, died
			}
			target.commit = func(n int, _ []refund.Item) (error, error) { return end(n) }
			ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
			_, err := Copy(ctx, source, target, CopyOptions{Source: "S", Close: true, Workers: 1, Quiet: time.Millisecond})
			cancel()
			if err == nil {
				if dies < 7 {
					t.Fatalf("only %d commits", dies)
				}
				break // it needs no more commits than that
			}
			src, _ := refund.ReadOwnership(t.Context(), source)
			dst, _ := refund.ReadOwnership(t.Context(), target)
			if src.Closed == nil && dst.Closed == nil && dst.Merchant == ofMerchant {
				t.Fatalf("both are open after the end at commit %d", dies)
			}
			target.commit = nil
			result, err := fastCopy(t, source, target, closing)
			if err != nil || !result.Moved || !result.Earlier && !result.Equal() {
				t.Fatalf("ended at commit %d: %+v, %v", dies, result, err)
			}
			if got, want := content(t, target), content(t, source); !slices.Equal(got, want) {
				t.Fatalf("ended at commit %d: the target differs", dies)
			}
		}
	}
}

// What would mix two ledgers, or leave two open, is refused, and nothing is written.
func TestCopyRefusesToMixLedgers(t *testing.T) {
	closed := func(c refund.Closing) func(o *refund.Ownership) {
		return func(o *refund.Ownership) { o.Closed = &c }
	}
	copyOf := func(source string) func(o *refund.Ownership) {
		return closed(refund.Closing{Why: refund.ClosedAsCopy, Copy: "C", Source: source})
	}
	moved := closed(refund.Closing{Why: refund.ClosedAsMoved, Copy: "C"})
	whole := closed(refund.Closing{Why: refund.ClosedAsCopy, Copy: "C", Source: "older", Whole: at(1)})
	for _, c := range []struct {
		name   string
		source func(o *refund.Ownership) // nil: nobody's
		target func(o *refund.Ownership)
		items  []refund.Item // of the target
		close  bool
		want   string // "": it is done
	}{
		{"an unused target", open4Use, nil, nil, false, ""},
		{"an unused source", nil, nil, nil, false, "no merchant has ever used the source"},
		{"a target in use", open4Use, open4Use, nil, false, "the target is in use"},
		{"a target in use, to close", open4Use, open4Use, nil, true, "the target is in use"},
		{"another merchant's", open4Use, func(o *refund.Ownership) { copyOf("S")(o); o.Merchant.MchID = "2" }, nil, false, "merchant 2, the source that of merchant 1900000109"},
		{"a copy of the same", open4Use, copyOf("S"), some(3)[:2], false, ""},
		{"a copy of another", open4Use, copyOf("T"), nil, false, "a copy of another ledger"},
		{"a copy with what the source lacks", open4Use, copyOf("S"), []refund.Item{item("refund/x", 1, "x")}, false, "had another life: refund/x"},
		{"a copy that has seen more", open4Use, copyOf("S"), []refund.Item{item("refund/0000", 7, "x")}, false, "had another life: refund/0000"},
		{"a copy written to by others", open4Use, copyOf("S"), []refund.Item{item("refund/0000", 1, "x")}, false, "refund/0000 differs in the target"},
		{"a target that has moved itself", open4Use, moved, nil, false, "has moved to another database itself"},
		{"nobody's, and not empty", open4Use, nil, some(1), false, "is not empty: it holds refund/0000"},
		{"a backup", whole, nil, nil, true, ""},
		{"half a copy as the source", copyOf("older"), nil, nil, false, "not a whole one"},
		{"a source that has moved, to keep", moved, nil, nil, false, ""},
		{"a source that has moved, to move", moved, nil, nil, true, "has moved to another database already"},
		{"a source that was moving there", moved, copyOf("S"), nil, true, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			source, target := newShelf(some(3)...), newShelf(c.items...)
			if c.source != nil {
				owned(t, source, c.source)
			}
			if c.target != nil {
				owned(t, target, c.target)
			}
			before := content(t, target)
			result, err := fastCopy(t, source, target, func(o *CopyOptions) { o.Close = c.close })
			switch {
			case c.want == "" && (err != nil || !result.Equal() || result.Moved != c.close):
				t.Errorf("got %+v, %v", result, err)
			case c.want != "" && (!errors.Is(err, ErrRefused) || !strings.Contains(err.Error(), c.want)):
				t.Errorf("got %v, want %q", err, c.want)
			case c.want != "" && !slices.Equal(content(t, target), before):
				t.Error("the target was written to")
			}
		})
	}
}

// A source that is written to all the time is followed for a while, and no target is
// called whole that is not.
func TestCopyOfALedgerInUseSaysSo(t *testing.T) {
	source, target := newShelf(some(10)...), newShelf()
	owned(t, source, open4Use)
	n := 0
	source.listing = func() { n++; source.put("refund/0001", fmt.Sprint(n)) }
	result, err := fastCopy(t, source, target)
	if err != nil || !result.Changing || result.Equal() || result.Passes != copyPasses {
		t.Errorf("got %+v, %v", result, err)
	}
	if o := wantOwnership(t, "target", target, refund.ClosedAsCopy); !o.Closed.Whole.IsZero() {
		t.Errorf("it is called whole: %+v", o.Closed)
	}

	// Nor is one opened if somebody writes to a closed source.
	if result, err = fastCopy(t, source, target, closing); err == nil || !strings.Contains(err.Error(), "still writes to the source") || result.Moved {
		t.Errorf("got %+v, %v", result, err)
	}
	wantOwnership(t, "source", source, refund.ClosedAsMoved)
	wantOwnership(t, "target", target, refund.ClosedAsCopy)
	source.listing = nil
	if result, err = fastCopy(t, source, target, closing); err != nil || !result.Moved || !result.Equal() {
		t.Errorf("got %+v, %v", result, err)
	}
}

// Whatever is written to the source before whoever writes has seen that it is closed
// stands in the target, and both are never open at once.
func TestNothingIsLostBetweenClosingAndOpening(t *testing.T) {
	const relies, quiet = 20 * time.Millisecond, 60 * time.Millisecond // as functions do for a minute
	source, target := newShelf(some(300)...), newShelf()
	owned(t, source, open4Use)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var wg sync.WaitGroup
	for w := range 4 {
		wg.Go(func() {
			var looked time.Time
			for i := 0; ctx.Err() == nil; i++ {
				if time.Since(looked) > relies {
					if o, _ := refund.ReadOwnership(ctx, source); o.Closed != nil {
						return
					}
					looked = time.Now()
				}
				source.put(refund.Key(fmt.Sprintf("refund/w%d-%d", w, i)), "x")
				time.Sleep(time.Millisecond)
			}
		})
	}
	result, err := fastCopy(t, source, target, closing, func(o *CopyOptions) { o.Quiet = quiet })
	cancel()
	wg.Wait()
	if err != nil || !result.Moved || !result.Equal() || result.Source.Items <= 300 {
		t.Fatalf("got %+v, %v", result, err)
	}
	if got, want := content(t, target), content(t, source); !slices.Equal(got, want) {
		t.Errorf("the target holds %d items, the source %d", len(got), len(want))
	}
}

// A list that shows an item as it was earlier does not put the copy back to that.
func TestStaleListPutsNothingBack(t *testing.T) {
	source, target := newShelf(some(5)...), newShelf()
	owned(t, source, open4Use)
	old := source.items["refund/0003"]
	source.put("refund/0003", "new")
	if _, err := fastCopy(t, source, target); err != nil {
		t.Fatal(err)
	}
	source.list = func(items []refund.Item) {
		for i := range items {
			if items[i].Key == old.Key {
				items[i] = old
			}
		}
	}
	result, err := fastCopy(t, source, target)
	if err != nil || result.Written != 0 || string(target.items["refund/0003"].Body) != "new" {
		t.Errorf("got %+v, %v: %s", result, err, target.items["refund/0003"].Body)
	}
	if result.Equal() {
		t.Error("a sum of what is stale is called equal")
	}
}

// Batches are what one commit of DynamoDB takes.
func TestBatchesFitOneCommit(t *testing.T) {
	var items []refund.Item
	for i := range 150 {
		items = append(items, item(fmt.Sprintf("a/%03d", i), 1, "small"))
	}
	for i := range 30 {
		items = append(items, item(fmt.Sprintf("b/%03d", i), 1, strings.Repeat("x", 350<<10)))
	}
	seen := 0
	err := eachBatch(t.Context(), newShelf(items...), func(batch []refund.Item) error {
		size := 0
		for _, it := range batch {
			size += len(it.Body)
		}
		if seen += len(batch); len(batch) > 100 || size > 4_000_000 {
			t.Errorf("a batch of %d items and %d bytes", len(batch), size)
		}
		return nil
	})
	if err != nil || seen != len(items) {
		t.Errorf("%d items were seen, %v", seen, err)
	}
}

// The checksum sees each part of each item, an item that stands there twice, and no order.
func TestSumSeesEverythingButOrderAndVersions(t *testing.T) {
	items := some(50)
	sum := func(items ...refund.Item) (s Sum) {
		for _, it := range items {
			s.Add(it)
		}
		return s
	}
	want := sum(items...)
	other := slices.Clone(items)
	slices.Reverse(other)
	for i := range other {
		other[i].Version += 5
	}
	if got := sum(other...); got != want || len(got.String()) != 64 {
		t.Errorf("in another order, under other versions: %v, want %v", got, want)
	}
	for name, change := range map[string]func(it *refund.Item){
		"key":        func(it *refund.Item) { it.Key += "x" },
		"body":       func(it *refund.Item) { it.Body = append(slices.Clone(it.Body), 'x') },
		"due":        func(it *refund.Item) { it.Due = it.Due.Add(time.Millisecond) },
		"no due":     func(it *refund.Item) { it.Due = time.Time{} },
		"due epoch":  func(it *refund.Item) { it.Due = time.UnixMilli(0) },
		"class":      func(it *refund.Item) { it.Class = "closed" },
		"at":         func(it *refund.Item) { it.At = it.At.Add(time.Millisecond) },
		"due and at": func(it *refund.Item) { it.Due, it.At = it.At, it.Due },
		"class into key": func(it *refund.Item) {
			it.Key, it.Class = it.Key+refund.Key(it.Class), ""
		},
	} {
		changed := slices.Clone(items)
		change(&changed[6]) // which has all parts
		if got := sum(changed...); got == want {
			t.Errorf("%s: the sum is the same", name)
		}
	}
	if sum(append(items, items[0], items[0])...).Check == want.Check {
		t.Error("an item that stands there thrice is not seen")
	}
}

// A ledger's name is the same for the same database, another for another, and says
// nothing of passwords.
func TestNameIsOfTheDatabaseAlone(t *testing.T) {
	name := func(url string) string {
		got, err := Name(url)
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(got, "secret") || strings.Contains(got, "db") {
			t.Errorf("%s is named %s", url, got)
		}
		return got
	}
	seen := map[string]string{}
	for _, urls := range [][]string{
		{"postgres://u:secret@h:5432/db", "postgres://v:other@h:5432/db?sslmode=disable"},
		{"postgres://u:secret@h:5432/db2"},
		{"postgres://u:secret@g:5432/db"},
		{"mysql://u:secret@h:5432/db"},
		{"sqlite:a.db", "sqlite:./a.db"},
		{"sqlite:b.db"},
		{"dynamodb://T?region=a", "dynamodb://T?region=a&create=true"},
		{"dynamodb://T?region=b"},
		{"dynamodb://T?endpoint=http://h:1"},
		{"cloudbase:shop-1", "cloudbase:shop-1?endpoint=https://shop-1.api.tcloudbasegateway.com"},
		{"cloudbase:shop-2"},
		{"cloudbase:shop-1?endpoint=http://127.0.0.1:1"},
	} {
		for _, url := range urls {
			if got := name(url); got != name(urls[0]) {
				t.Errorf("%s and %s are two", url, urls[0])
			} else if of, ok := seen[got]; ok && of != urls[0] {
				t.Errorf("%s and %s are one", url, of)
			}
			seen[name(urls[0])] = urls[0]
		}
	}
	if _, err := Name("postgres://u:sec ret%zz@h"); err == nil || strings.Contains(err.Error(), "ret") {
		t.Errorf("got %v", err)
	}
}

// What a check of the deployment has left is its database's alone: it makes no target
// another ledger's, is not copied from the source, and does not count.
func TestCopyLeavesWhatACheckHasLeft(t *testing.T) {
	for name, when := range map[string]func(source, target *shelf){
		"before the copy, in the target": func(_, target *shelf) { target.put(refund.CheckKey, `{}`) },
		"before the copy, in the source": func(source, _ *shelf) { source.put(refund.CheckKey, `{}`) },
		"in both, more often in the target's": func(source, target *shelf) {
			source.put(refund.CheckKey, `{}`)
			target.put(refund.CheckKey, `{}`)
			target.put(refund.CheckKey, `{"n":2}`)
		},
		"of a later version, with another item": func(_, target *shelf) { target.put("check/other", `{}`) },
	} {
		for _, copied := range []bool{false, true} { // the target is a copy already
			source, target := newShelf(some(10)...), newShelf()
			owned(t, source, open4Use)
			if copied {
				if _, err := fastCopy(t, source, target); err != nil {
					t.Fatal(err)
				}
			}
			when(source, target)
			before := target.items[refund.CheckKey]
			result, err := fastCopy(t, source, target)
			if err != nil || !result.Equal() || result.Target.Items != 10 {
				t.Errorf("%s, copied %v: got %+v, %v", name, copied, result, err)
			}
			if got := target.items[refund.CheckKey]; got.Version != before.Version {
				t.Errorf("%s, copied %v: the check's item was copied", name, copied)
			}
			if result, err = fastCopy(t, source, target, closing); err != nil || !result.Moved || !result.Equal() {
				t.Errorf("%s, copied %v: closing got %+v, %v", name, copied, result, err)
			}
		}
	}
	// What else is there still counts.
	source, target := newShelf(some(3)...), newShelf(item("checks/1", 1, `{}`))
	owned(t, source, open4Use)
	if _, err := fastCopy(t, source, target); !errors.Is(err, ErrRefused) {
		t.Errorf("got %v, want a target refused that holds another item", err)
	}
}
