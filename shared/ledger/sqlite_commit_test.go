//go:build sqlite || !slim

package ledger

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"modernc.org/sqlite"

	"wxrefund/shared/refund"
)

// A crowd is a ledger whose file another process has locked, and commits that wait for it.
type crowd struct {
	*Store
	file    *sqliteFile
	release func()
	answers map[string]error // by the commit's name
	mu      sync.Mutex
	all     sync.WaitGroup
}

func newCrowd(t *testing.T, items ...refund.Item) *crowd {
	t.Helper()
	path := filepath.Join(t.TempDir(), "l.db")
	s := open(t, "sqlite:"+path)
	if len(items) > 0 {
		commit(t, s, items...)
	}
	return &crowd{Store: s, file: s.store.(*sqliteFile), release: lockFile(t, path), answers: map[string]error{}}
}

// commits has a commit wait behind those before it.
func (c *crowd) commits(ctx context.Context, t *testing.T, name string, items ...refund.Item) {
	t.Helper()
	c.file.mu.Lock()
	was := len(c.file.waiting)
	led := c.file.led
	c.file.mu.Unlock()
	c.all.Go(func() {
		err := c.Commit(ctx, items...)
		c.mu.Lock()
		defer c.mu.Unlock()
		c.answers[name] = err
	})
	for waits := false; !waits; time.Sleep(time.Millisecond) {
		c.file.mu.Lock()
		waits = !led && c.file.led || len(c.file.waiting) > was
		c.file.mu.Unlock()
	}
}

// end waits for all answers.
func (c *crowd) end() map[string]error {
	c.all.Wait()
	return c.answers
}

// hook has SQLite ask before each transaction of the ledger's that is committed.
func (c *crowd) hook(t *testing.T, allowed func() bool) {
	t.Helper()
	c.register(t, func(r sqlite.HookRegisterer) {
		r.RegisterCommitHook(func() int32 {
			if allowed() {
				return 0
			}
			return 1
		})
	})
}

func (c *crowd) register(t *testing.T, hooks func(sqlite.HookRegisterer)) {
	t.Helper()
	conn, err := c.file.writes.db.Conn(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	err = conn.Raw(func(driver any) error {
		hooks(driver.(sqlite.HookRegisterer))
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// counts counts the ledger's transactions, which all are committed.
func (c *crowd) counts(t *testing.T) *atomic.Int32 {
	t.Helper()
	var n atomic.Int32
	c.hook(t, func() bool { n.Add(1); return true })
	return &n
}

// Commits that have waited are written in one transaction, each judged by its own
// versions, over what those before it in the transaction have written.
func TestCommitsThatWaitGoTogetherAndAStaleOneFailsAlone(t *testing.T) {
	t.Parallel()
	c := newCrowd(t, item("a", 0, "A"), item("b", 0, "B"))
	transactions := c.counts(t)
	ctx := t.Context()
	c.commits(ctx, t, "first", item("a", 1, "A2"), item("c", 0, "C"))
	c.commits(ctx, t, "over the same version", item("a", 1, "x"))
	c.commits(ctx, t, "over the first's", item("a", 2, "A3"))
	c.commits(ctx, t, "stale behind something new", item("B before it", 0, "x"), item("b", 7, "x"))
	c.commits(ctx, t, "created before", item("c", 0, "x"), item("d", 0, "x"))
	c.commits(ctx, t, "last", item("b", 1, "B2"), item("e", 0, "E"))
	c.release()
	for name, err := range c.end() {
		want := error(nil)
		if name != "first" && name != "over the first's" && name != "last" {
			want = refund.ErrStale
		}
		if !errors.Is(err, want) {
			t.Errorf("%s: got %v, want %v", name, err, want)
		}
	}
	if n := transactions.Load(); n != 1 {
		t.Errorf("%d transactions, want one", n)
	}
	same(t, "the ledger", get(t, c.Store, "a", "b", "c", "d", "e", "B before it"), []refund.Item{
		item("a", 3, "A3"), item("b", 2, "B2"), item("c", 1, "C"), {Key: "d"}, item("e", 1, "E"), {Key: "B before it"},
	})
}

// A transaction that fails as a whole has written nothing of anybody's: each commit is
// tried by itself, so that whoever was at fault fails alone.
func TestCommitsOfATransactionThatFailsAreTriedEachByItself(t *testing.T) {
	t.Parallel()
	c := newCrowd(t)
	c.release()
	for _, how := range []string{"ROLLBACK", "ABORT"} { // of the transaction, and of a statement
		_, err := c.file.writes.db.ExecContext(t.Context(), fmt.Sprintf(
			"CREATE TRIGGER poison_%s BEFORE INSERT ON wxrefund_items WHEN NEW.item_key = 'poison/%[1]s' BEGIN SELECT RAISE(%[1]s, 'poisoned'); END", how))
		if err != nil {
			t.Fatal(err)
		}
		transactions := c.counts(t)
		c.release = lockFile(t, c.path(t))
		for i := range 5 {
			c.commits(t.Context(), t, fmt.Sprint(how, i), item(fmt.Sprint(how, i), 0, ""))
		}
		c.commits(t.Context(), t, how+" poison", item("0"+how, 0, ""), item("poison/"+how, 0, ""))
		c.commits(t.Context(), t, how+" stale by another", item(how+"0", 0, ""))
		c.release()
		for name, err := range c.end() {
			switch {
			case strings.HasSuffix(name, "poison"):
				if err == nil || errors.Is(err, refund.ErrStale) || !strings.Contains(err.Error(), "poisoned") {
					t.Errorf("%s: got %v, want what the database said", name, err)
				}
			case strings.HasSuffix(name, "another"):
				if !errors.Is(err, refund.ErrStale) {
					t.Errorf("%s: got %v, want ErrStale", name, err)
				}
			case err != nil:
				t.Errorf("%s: %v", name, err)
			}
		}
		if n := transactions.Load(); n != 5 {
			t.Errorf("%s: %d transactions were committed, want one for each commit that was right", how, n)
		}
		same(t, how, get(t, c.Store, refund.Key(how+"0"), refund.Key(how+"4"), refund.Key("0"+how)), []refund.Item{
			item(how+"0", 1, ""), item(how+"4", 1, ""), {Key: refund.Key("0" + how)},
		})
	}
}

// path is the file of the ledger.
func (c *crowd) path(t *testing.T) (path string) {
	t.Helper()
	var seq int
	var name string
	if err := c.file.db.QueryRowContext(t.Context(), "PRAGMA database_list").Scan(&seq, &name, &path); err != nil {
		t.Fatal(err)
	}
	return path
}

// If it is not known whether a transaction was committed, then nobody who has a part in
// it is told anything else, not even who would be stale if it was.
func TestUnknownOutcomeOfATransactionIsUnknownToAll(t *testing.T) {
	t.Parallel()
	c := newCrowd(t, item("a", 0, "A"))
	c.hook(t, func() bool { return false })
	ctx := t.Context()
	c.commits(ctx, t, "first", item("a", 1, "A2"))
	c.commits(ctx, t, "stale after the first", item("a", 1, "x"))
	c.commits(ctx, t, "new", item("b", 0, ""))
	c.release()
	for name, err := range c.end() {
		if err == nil || errors.Is(err, refund.ErrStale) {
			t.Errorf("%s: got %v, want an error that does not say whether it was written", name, err)
		}
	}
}

// Whoever stops waiting is answered at once, and nothing of it is written; those
// behind it are, whoever of the others leads.
func TestWhoeverStopsWaitingHasWrittenNothing(t *testing.T) {
	t.Parallel()
	c := newCrowd(t)
	leads, stopLeading := context.WithCancel(t.Context())
	waits, stopWaiting := context.WithCancel(t.Context())
	defer stopLeading()
	defer stopWaiting()
	c.commits(leads, t, "leader", item("leader", 0, ""))
	c.commits(waits, t, "waits", item("waits", 0, ""))
	c.commits(t.Context(), t, "behind", item("behind", 0, ""))
	for _, name := range []string{"waits", "leader"} {
		map[string]func(){"waits": stopWaiting, "leader": stopLeading}[name]()
		start := time.Now()
		for answered := false; !answered; time.Sleep(time.Millisecond) {
			c.mu.Lock()
			_, answered = c.answers[name]
			c.mu.Unlock()
			if time.Since(start) > 2*time.Second {
				t.Fatalf("%s has no answer after 2 s", name)
			}
		}
	}
	c.release()
	for name, err := range c.end() {
		ended := name == "waits" || name == "leader"
		if ended != errors.Is(err, context.Canceled) || !ended && err != nil {
			t.Errorf("%s: got %v", name, err)
		}
	}
	same(t, "the ledger", get(t, c.Store, "leader", "waits", "behind"), []refund.Item{
		{Key: "leader"}, {Key: "waits"}, item("behind", 1, ""),
	})
}

// A context that ends while its commit leads a transaction does not end that: others have
// a part in it, and what has been written is told as written. Of one whose turn to be
// written had not come nothing is.
func TestLeaderWhoseContextEndsFinishesWhatItHasBegun(t *testing.T) {
	t.Parallel()
	c := newCrowd(t)
	ctx, cancel := context.WithCancel(t.Context())
	c.register(t, func(r sqlite.HookRegisterer) {
		r.RegisterPreUpdateHook(func(sqlite.SQLitePreUpdateData) {
			cancel()
			time.Sleep(50 * time.Millisecond) // whoever watches the context has seen it
		})
	})
	c.commits(ctx, t, "leader", item("a", 0, ""), item("b", 0, ""))
	c.commits(t.Context(), t, "other", item("c", 0, ""))
	c.commits(ctx, t, "ended", item("d", 0, ""))
	c.release()
	for name, err := range c.end() {
		if name == "ended" != errors.Is(err, context.Canceled) || name != "ended" && err != nil {
			t.Errorf("%s: got %v", name, err)
		}
	}
	same(t, "the ledger", get(t, c.Store, "a", "b", "c", "d"), []refund.Item{
		item("a", 1, ""), item("b", 1, ""), item("c", 1, ""), {Key: "d"},
	})
}

// A try that finds the file locked is a try of all who wait: the last of them is not
// told after as many times five seconds as there are before it.
func TestAllWhoWaitAreLockedOutTogether(t *testing.T) {
	t.Parallel()
	c := newCrowd(t)
	c.file.dialect.attempts = 5
	start := time.Now()
	for i := range 16 {
		c.commits(t.Context(), t, fmt.Sprint(i), item(fmt.Sprint(i), 0, ""))
	}
	for name, err := range c.end() {
		if err == nil || !strings.Contains(err.Error(), "database is locked") {
			t.Errorf("%s: got %v", name, err)
		}
	}
	if took := time.Since(start); took > 5*time.Second { // of 0.1 s each, 80 one after the other
		t.Errorf("16 commits were locked out for %v", took)
	}
}

// A commit that is being written holds up no reader, who sees what was before.
func TestReadersDoNotWaitForACommit(t *testing.T) {
	t.Parallel()
	c := newCrowd(t, dueItem("a", 0, "A", at(0)))
	c.release()
	tx, err := c.file.writes.db.BeginTx(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer tx.Rollback()
	if err := c.file.writes.write(t.Context(), tx, item("a", 1, "B")); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
	defer cancel()
	together(16, func(int) {
		items, err := c.Get(ctx, "a")
		if err != nil {
			t.Error(err)
			return
		}
		same(t, "Get", items, []refund.Item{dueItem("a", 1, "A", at(0))})
		for name, call := range everyCall {
			if strings.HasPrefix(name, "commit") {
				continue
			}
			if err := call(ctx, c.Store); err != nil {
				t.Errorf("%s: %v", name, err)
			}
		}
	})
}
