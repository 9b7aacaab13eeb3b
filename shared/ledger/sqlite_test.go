//go:build sqlite || !slim

package ledger

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"wxrefund/shared/refund"
)

func TestOpenRefusesBadURLsWithoutShowingPasswords(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	noDatabase := filepath.Join(dir, "text")
	if err := os.WriteFile(noDatabase, []byte(strings.Repeat("not a database\n", 100)), 0o600); err != nil {
		t.Fatal(err)
	}
	refusesURLs(t, "", map[string]string{
		"":                               "the URL has no scheme; known are sqlite:PATH and sqlite::memory:",
		"ledger.db":                      "the URL has no scheme",
		"oracle://scott:tiger@host/db":   `unknown or uncompiled scheme "oracle"; known are sqlite:PATH`,
		"SQLITE:x":                       `unknown or uncompiled scheme "SQLITE"`,
		"sqlite:":                        "the path is missing; want sqlite:PATH",
		"sqlite:" + dir + "/none/l.db":   "unable to open database file",
		"sqlite:" + dir:                  "unable to open database file",
		"sqlite:" + noDatabase:           "file is not a database",
		"sqlite:" + noDatabase + "/x.db": "unable to open database file",
	})
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := Open(ctx, "sqlite:"+filepath.Join(dir, "l.db")); !errors.Is(err, context.Canceled) {
		t.Errorf("ended context: got %v", err)
	}
}

// The path is a path: nothing in it is taken for an option or an escape.
func TestPathsAreTakenLiterally(t *testing.T) {
	dir := t.TempDir()
	t.Chdir(dir)
	for _, name := range []string{"plain.db", "a b.db", "q?mode=ro.db", "hash#1.db", "per%20cent.db", "退款.db", "file:x", "&_synchronous=OFF", ":memory:x"} {
		for _, path := range []string{name, filepath.Join(dir, "abs "+name)} {
			s := open(t, "sqlite:"+path)
			commit(t, s, item("a", 0, path))
			if err := s.Close(); err != nil {
				t.Error(err)
			}
			if _, err := os.Stat(path); err != nil {
				t.Error(err)
			}
			same(t, path, get(t, open(t, "sqlite:"+path), "a"), []refund.Item{item("a", 1, path)})
		}
	}
}

func TestSQLiteConnectionsAreDurable(t *testing.T) {
	t.Parallel()
	for url, want := range map[string]struct {
		journal, queryOnly string
		readers            int
	}{
		"sqlite:" + filepath.Join(t.TempDir(), "l.db"): {"wal", "1", sqliteReaders},
		"sqlite::memory:": {"memory", "0", 1}, // which are the writer
	} {
		f := open(t, url).store.(*sqliteFile)
		for name, db := range map[string]*sql.DB{"reader": f.db, "writer": f.writes.db} {
			queryOnly, conns := want.queryOnly, want.readers
			if name == "writer" {
				queryOnly, conns = "0", 1
			}
			for pragma, want := range map[string]string{
				"journal_mode": want.journal,
				"synchronous":  "2", // FULL
				"busy_timeout": "100",
				"user_version": "3",
				"query_only":   queryOnly,
			} {
				var got string
				if err := db.QueryRowContext(t.Context(), "PRAGMA "+pragma).Scan(&got); err != nil || got != want {
					t.Errorf("%s, %s: %s is %q (%v), want %q", url, name, pragma, got, err, want)
				}
			}
			if n := db.Stats().MaxOpenConnections; n != conns {
				t.Errorf("%s, %s: up to %d connections, want %d", url, name, n, conns)
			}
		}
	}
}

func TestMemoryLedgersArePrivate(t *testing.T) {
	t.Parallel()
	a, b := open(t, "sqlite::memory:"), open(t, "sqlite::memory:")
	commit(t, a, item("k", 0, "a"))
	same(t, "b", get(t, b, "k"), []refund.Item{{Key: "k"}})
}

// Every statement finds its rows by an index and needs no sorting, so that its
// cost does not grow with the ledger.
func TestSQLiteStatementsUseIndexes(t *testing.T) {
	t.Parallel()
	s := open(t, "sqlite::memory:")
	statements := map[string]struct {
		text   string
		params int
		index  string
	}{
		"update": {updateItem, 7, "sqlite_autoindex_wxrefund_items_1 (item_key=?)"},
		"list":   {dialect{}.listDue(), 5, "wxrefund_items_due (due_shard=? AND (due,item_key)>(?,?) AND due<?)"},

		"list everything": {dialect{}.listKeys(), 2, "sqlite_autoindex_wxrefund_items_1 (item_key>?)"},
	}
	for n := 1; n <= maxKeys; n *= 4 {
		statements[fmt.Sprint("get ", n)] = struct {
			text   string
			params int
			index  string
		}{getItems(n), n, "sqlite_autoindex_wxrefund_items_1 (item_key=?)"}
	}
	covering := map[string]string{"count due": "wxrefund_items_due (due_shard=? AND due<?)", "count classes": "wxrefund_items_class (class=? AND class_at>? AND class_at<?)"}
	for name, selected := range selections() {
		text, args := dialect{}.count(selected)
		statements[name] = struct {
			text   string
			params int
			index  string
		}{text, len(args), covering[name]}
	}
	for _, n := range []int{1, 2, 12, maxClasses} {
		statements[fmt.Sprint("list classes ", n)] = struct {
			text   string
			params int
			index  string
		}{dialect{}.listClasses(n), 5 * n, "wxrefund_items_class (class=? AND class_at>? AND (class_at,item_key)<(?,?))"}
	}
	for name, st := range statements {
		rows, err := s.store.(*sqliteFile).db.QueryContext(t.Context(), "EXPLAIN QUERY PLAN "+st.text, slices.Repeat([]any{1}, st.params)...)
		if err != nil {
			t.Fatal(err)
		}
		var plan []string
		for rows.Next() {
			var id, parent, unused int
			var detail string
			if err := rows.Scan(&id, &parent, &unused, &detail); err != nil {
				t.Fatal(err)
			}
			if strings.Contains(detail, "wxrefund_items") || strings.Contains(detail, "TEMP") {
				plan = append(plan, detail)
			} // and not how parts are put together
		}
		if err := errors.Join(rows.Err(), rows.Close()); err != nil {
			t.Fatal(err)
		}
		using := "INDEX "
		if strings.HasPrefix(name, "count") || strings.HasPrefix(name, "list classes") {
			using = "COVERING INDEX " // the items are not read
		}
		want := slices.Repeat([]string{"SEARCH wxrefund_items USING " + using + st.index}, max(1, strings.Count(st.text, "UNION ALL")+1))
		if !slices.Equal(plan, want) {
			t.Errorf("%s: plan is %q, want %q", name, plan, want)
		}
	}
}

// lockFile takes the write lock of a file as another process would.
func lockFile(t *testing.T, path string) (release func()) {
	t.Helper()
	db, err := sql.Open("sqlite", path+"?_txlock=immediate")
	if err != nil {
		t.Fatal(err)
	}
	tx, err := db.BeginTx(context.Background(), nil)
	if err != nil {
		t.Fatal(err)
	}
	release = func() {
		tx.Rollback()
		db.Close()
	}
	t.Cleanup(release)
	return release
}

// While another process writes, reads go on, writes wait for it, a context
// ends the wait, and the last failed attempt is no ErrStale.
func TestCommitWaitsForAnotherProcessUntilItsContextEnds(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "l.db")
	s := open(t, "sqlite:"+path)
	commit(t, s, dueItem("a", 0, "A", at(0)))
	release := lockFile(t, path)
	want := []refund.Item{dueItem("a", 1, "A", at(0))}

	same(t, "Get", get(t, s, "a"), want)
	if got := pages(t, s, at(0), 1); !cmp.Equal(got, [][]string{{"a"}}) {
		t.Errorf("List: got %v", got)
	}
	second := open(t, "sqlite:"+path) // opening needs no lock either

	ctx, cancel := context.WithTimeout(t.Context(), 250*time.Millisecond)
	defer cancel()
	start := time.Now()
	err := s.Commit(ctx, item("a", 1, "x"))
	if !errors.Is(err, context.DeadlineExceeded) || errors.Is(err, refund.ErrStale) {
		t.Errorf("ended: got %v, want DeadlineExceeded", err)
	}
	if took := time.Since(start); took > 2*time.Second {
		t.Errorf("the context ended after 250 ms, the commit after %v", took)
	}

	// Transactions ask for the lock before they do anything.
	if tx, err := second.store.(*sqliteFile).writes.db.BeginTx(t.Context(), nil); err == nil {
		tx.Rollback()
		t.Error("BeginTx did not find the file locked")
	} else if !second.store.(*sqliteFile).dialect.locked(err) {
		t.Errorf("BeginTx: got %v, want it to find the file locked", err)
	}

	second.store.(*sqliteFile).dialect.attempts = 2
	err = second.Commit(t.Context(), item("a", 1, "x"))
	if err == nil || errors.Is(err, refund.ErrStale) || !strings.Contains(err.Error(), "database is locked") {
		t.Errorf("out of attempts: got %v", err)
	}
	same(t, "unchanged", get(t, s, "a"), want)

	time.AfterFunc(300*time.Millisecond, release)
	commit(t, s, item("a", 1, "B"))
	same(t, "after the wait", get(t, second, "a"), []refund.Item{item("a", 2, "B")})
}
