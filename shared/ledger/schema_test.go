package ledger

import (
	gocmp "cmp"
	"context"
	"database/sql"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"wxrefund/shared/refund"
)

// overSQL runs a test over the backends that have a schema of tables, with a
// connection that knows nothing of it.
func overSQL(t *testing.T, test func(t *testing.T, b backend, url string, db *sql.DB)) {
	sqlBackend := func(b backend) bool { return !b.private && b.scheme != "dynamodb" }
	over(t, sqlBackend, func(t *testing.T, b backend, url string) {
		if b.scheme != "sqlite" {
			test(t, b, url, database(t, url))
			return
		}
		db, err := sql.Open("sqlite", strings.TrimPrefix(url, "sqlite:")+"?_pragma=busy_timeout(5000)")
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { db.Close() })
		test(t, b, url, db)
	})
}

// schemaName names the files of a backend's schema.
func (b backend) schemaName() string { return gocmp.Or(b.schema, b.scheme) }

// setSchema has a database say that it has so many steps.
func setSchema(t testing.TB, b backend, url string, db *sql.DB, steps int) {
	t.Helper()
	if b.scheme != "sqlite" {
		setComment(t, url, fmt.Sprint(schemaComment, steps))
		return
	}
	if _, err := db.ExecContext(t.Context(), fmt.Sprint("PRAGMA user_version = ", steps)); err != nil {
		t.Fatal(err)
	}
}

// makeSchema makes a database as an older program left it.
func makeSchema(t testing.TB, b backend, url string, db *sql.DB, steps int) {
	t.Helper()
	all, err := schema(b.schemaName())
	if err != nil || steps > len(all) {
		t.Fatal(len(all), err)
	}
	for _, step := range all[:steps] {
		if _, err := db.ExecContext(t.Context(), step); err != nil {
			t.Fatal(err)
		}
	}
	setSchema(t, b, url, db, steps)
}

// An older program is what one sends that knows fewer steps.
type olderProgram struct {
	steps          int
	insert, update string
	sharded        bool // it knows due_shard, the first parameter that both have
	classed        bool // it knows class and class_at, behind due
}

func olderPrograms() []olderProgram {
	return []olderProgram{
		{
			steps:  1,
			insert: `INSERT INTO wxrefund_items (due, body, item_key, version) VALUES (?, ?, ?, ?)`,
			update: `UPDATE wxrefund_items SET version = version + 1, due = ?, body = ? WHERE item_key = ? AND version = ?`,
		},
		{
			steps: 2, sharded: true,
			insert: `INSERT INTO wxrefund_items (due_shard, due, body, item_key, version) VALUES (?, ?, ?, ?, ?)`,
			update: `UPDATE wxrefund_items SET version = version + 1, due_shard = ?, due = ?, body = ? WHERE item_key = ? AND version = ?`,
		},
		{
			steps: 3, sharded: true, classed: true,
			insert: `INSERT INTO wxrefund_items (due_shard, due, class, class_at, body, item_key, version) VALUES (?, ?, ?, ?, ?, ?, ?)`,
			update: `UPDATE wxrefund_items SET version = version + 1, due_shard = ?, due = ?, class = ?, class_at = ?, body = ? WHERE item_key = ? AND version = ?`,
		},
	}
}

// write is a commit of one item by the old program, over the version that it has.
func (p olderProgram) write(t *testing.T, b backend, db *sql.DB, i refund.Item) {
	t.Helper()
	if err := p.send(t.Context(), b, db, i); err != nil {
		t.Fatal(err)
	}
}

func (p olderProgram) send(ctx context.Context, b backend, db *sql.DB, i refund.Item) error {
	text, version := p.update, i.Version
	if i.Version == 0 {
		text, version = p.insert, 1
	}
	var args []any
	if p.sharded {
		args = append(args, shardOf(i.Key))
	}
	args = append(args, milli(i.Due))
	if p.classed {
		args = append(args, sql.NullString{String: i.Class, Valid: i.Class != ""}, milli(i.At))
	}
	args = append(args, i.Body, string(i.Key), version)
	rebind := dialect{}.rebind
	if b.schemaName() == "postgres" {
		rebind = dialect{placeholder: func(n int) string { return fmt.Sprintf("$%d", n) }}.rebind
	}
	result, err := db.ExecContext(ctx, rebind(text), args...)
	if err != nil {
		return err
	}
	if n, err := result.RowsAffected(); n != 1 || err != nil {
		return fmt.Errorf("%d rows, %w", n, err)
	}
	return nil
}

// D12: an older schema is upgraded once, by the first of several programs that come at
// the same time, with the old program's items in it; where the old program still
// runs, it goes on writing. Nothing is lost.
func TestOlderSchemaIsUpgradedWhileTheOldProgramWrites(t *testing.T) {
	for _, program := range olderPrograms() {
		t.Run(fmt.Sprint("from ", program.steps), func(t *testing.T) { upgradedFrom(t, program) })
	}
}

func upgradedFrom(t *testing.T, program olderProgram) {
	overSQL(t, func(t *testing.T, b backend, url string, db *sql.DB) {
		if program.steps == len(knownSteps(t, b)) {
			t.Skip("it is no older one here")
		}
		makeSchema(t, b, url, db, program.steps)
		old := func(i refund.Item) {
			t.Helper()
			program.write(t, b, db, i)
		}
		var want []refund.Item
		for i := range 40 {
			old(dueItem(fmt.Sprint("old/", i), 0, fmt.Sprint(i), at(i)))
			want = append(want, dueItem(fmt.Sprint("old/", i), 1, fmt.Sprint(i), at(i)))
		}
		old(item("settled", 0, "S"))

		// Eight at once, half of them in processes of their own.
		children := make([]*child, 4)
		for i := range children {
			children[i] = startChild(t, "first", url)
		}
		together(8, func(i int) {
			if i >= 4 {
				children[i-4].start.Close()
				return
			}
			s, err := Open(t.Context(), url)
			if err == nil {
				defer s.Close()
				err = s.Commit(t.Context(), item(fmt.Sprint("new/", i), 0, ""))
			}
			if err != nil {
				t.Error(err)
			}
		})
		for _, c := range children {
			c.finish(t)
		}
		if got, known := schemaOf(t, b, db), len(knownSteps(t, b)); got != known || known < 3 {
			t.Errorf("schema %d, want %d", got, known)
		}

		s := open(t, url)
		list := func(what string, want []refund.Item) {
			t.Helper()
			found := map[string]int{}
			for _, page := range pages(t, s, at(1000), 7) {
				for _, key := range page {
					found[key]++
				}
			}
			expected := map[string]int{}
			for _, i := range want {
				expected[string(i.Key)] = 1
				same(t, what, get(t, s, i.Key), []refund.Item{i})
			}
			if diff := cmp.Diff(expected, found); diff != "" {
				t.Errorf("%s, listed (-want +got):\n%s", what, diff)
			}
		}
		if have, want, err := s.Schema(t.Context()); have != want || want != len(knownSteps(t, b)) || err != nil {
			t.Errorf("schema %d of %d, %v", have, want, err)
		}
		list("after the upgrade", want)
		same(t, "settled", get(t, s, "settled", "new/0"), []refund.Item{item("settled", 1, "S"), item("new/0", 1, "")})

		// The old program and the new one take turns over the same items.
		for i := range want {
			key := string(want[i].Key)
			switch i % 3 {
			case 0:
				old(dueItem(key, 1, "by the old one", at(500+i)))
				want[i] = dueItem(key, 2, "by the old one", at(500+i))
			case 1:
				commit(t, s, dueItem(key, 1, "by the new one", at(500+i)))
				old(dueItem(key, 2, "and by the old one", at(600+i)))
				want[i] = dueItem(key, 3, "and by the old one", at(600+i))
			}
		}
		old(dueItem("late", 0, "L", at(700)))
		want = append(want, dueItem("late", 1, "L", at(700)))
		list("with both at work", want)
		if err := s.Commit(t.Context(), item(string(want[0].Key), 1, "")); err != refund.ErrStale { //nolint:errorlint // it is that very error
			t.Errorf("over what the old program has written: %v, want ErrStale", err)
		}
		// What the new one writes stands in its own shard.
		for _, i := range want {
			commit(t, s, i)
		}
		for i := range want {
			want[i].Version++
		}
		list("after all were written", want)
		if diff := cmp.Diff(listPages(at(1000), 7, want...), pages(t, s, at(1000), 7)); diff != "" {
			t.Errorf("the order (-want +got):\n%s", diff)
		}

		// No item from before has a class, until the new program writes one. An old program
		// that knows of none leaves the one that is there.
		classes := refund.Recent(never, never, "open", "shut")
		listed := func(what string, want ...refund.Item) {
			t.Helper()
			items, next, err := s.List(t.Context(), classes, "", 100)
			if err != nil || next != "" || counted(t, s, classes) != len(want) {
				t.Errorf("%s: next %q, error %v, counted %d", what, next, err, counted(t, s, classes))
			}
			same(t, what, items, want)
		}
		listed("before any")
		commit(t, s, classItem("settled", 1, "S", "open", at(1)))
		listed("classified", classItem("settled", 2, "S", "open", at(1)))
		if program.classed {
			old(classItem("settled", 2, "by the old one", "shut", at(2)))
			listed("changed", classItem("settled", 3, "by the old one", "shut", at(2)))
		} else {
			old(item("settled", 2, "by the old one"))
			listed("left as it is", classItem("settled", 3, "by the old one", "open", at(1)))
		}
		commit(t, s, classItem("settled", 3, "by the new one", "shut", at(1)))
		listed("put right", classItem("settled", 4, "by the new one", "shut", at(1)))
	})
}

func knownSteps(t *testing.T, b backend) []string {
	t.Helper()
	steps, err := schema(b.schemaName())
	if err != nil {
		t.Fatal(err)
	}
	return steps
}

// schemaOf reads how many steps a database has.
func schemaOf(t *testing.T, b backend, db *sql.DB) int {
	t.Helper()
	var text string
	err := db.QueryRowContext(t.Context(), map[string]string{
		"sqlite":   "PRAGMA user_version",
		"postgres": "SELECT obj_description('wxrefund_items'::regclass, 'pg_class')",
		"mysql":    "SELECT table_comment FROM information_schema.tables WHERE table_schema = DATABASE() AND table_name = 'wxrefund_items'",
	}[b.schemaName()]).Scan(&text)
	var n int
	if err == nil {
		_, err = fmt.Sscan(strings.TrimPrefix(text, schemaComment), &n)
	}
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// D12: a program works with one schema step more than it knows, from a cold start too,
// and leaves it as it is: the version before goes on while functions are upgraded.
func TestNextSchemaIsUsableFromAColdStart(t *testing.T) {
	overSQL(t, func(t *testing.T, b backend, url string, db *sql.DB) {
		commit(t, open(t, url), item("a", 0, "A"))
		next := len(knownSteps(t, b)) + 1
		setSchema(t, b, url, db, next)
		cold := open(t, url)
		same(t, "read", get(t, cold, "a"), []refund.Item{item("a", 1, "A")})
		commit(t, cold, dueItem("a", 1, "B", at(1)))
		if got := pages(t, cold, at(9), 10); len(got) != 1 || len(got[0]) != 1 {
			t.Errorf("listed %v, want a", got)
		}
		commit(t, cold, classItem("b", 0, "", "open", at(1)))
		if got := pagesOf(t, cold, refund.Recent(never, never, "open"), 10); len(got) != 1 || len(got[0]) != 1 {
			t.Errorf("listed %v, want b", got)
		}
		if got := schemaOf(t, b, db); got != next {
			t.Errorf("schema %d, want it left at %d", got, next)
		}
		if have, want, err := cold.Schema(t.Context()); have != next || want != next-1 || err != nil {
			t.Errorf("schema %d of %d, %v", have, want, err)
		}
	})
}

// D12: a newer schema is a clear error, of every call, and is left as it is; so is a
// server's table that says nothing of a schema. Who has it open goes on.
func TestNewerSchemaIsRefusedAndLeftAlone(t *testing.T) {
	overSQL(t, func(t *testing.T, b backend, url string, db *sql.DB) {
		before := open(t, url)
		commit(t, before, item("a", 0, "A"))
		known := len(knownSteps(t, b))
		setSchema(t, b, url, db, known+2)
		want := fmt.Sprintf("the database has schema %d, this program works with schemas up to %d: it needs a newer program", known+2, known+1)
		for name, call := range everyCall {
			s, err := Open(t.Context(), url)
			if err == nil {
				err = call(t.Context(), s)
				s.Close()
			}
			if err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("%s: got %v, want %q", name, err, want)
			}
		}
		if got := schemaOf(t, b, db); got != known+2 {
			t.Errorf("schema %d, want it left at %d", got, known+2)
		}
		if b.scheme != "sqlite" {
			for _, comment := range []string{"", "wxrefund schema x"} {
				setComment(t, url, comment)
				if _, err := open(t, url).Get(t.Context(), "a"); err == nil || !strings.Contains(err.Error(), "the table is not ours") {
					t.Errorf("%q: got %v", comment, err)
				}
			}
		}
		same(t, "still", get(t, before, "a"), []refund.Item{item("a", 1, "A")})
		setSchema(t, b, url, db, known)
		same(t, "left as it was", get(t, open(t, url), "a", "b"), []refund.Item{item("a", 1, "A"), {Key: "b"}})
	})
}

// everyCall is each call that a ledger answers, with one key and with two.
var everyCall = map[string]func(context.Context, *Store) error{
	"get":        func(ctx context.Context, s *Store) error { return second(s.Get(ctx, "a")) },
	"get two":    func(ctx context.Context, s *Store) error { return second(s.Get(ctx, "a", "b")) },
	"commit":     func(ctx context.Context, s *Store) error { return s.Commit(ctx, item("b", 0, "B")) },
	"commit two": func(ctx context.Context, s *Store) error { return s.Commit(ctx, item("b", 0, "B"), item("c", 0, "C")) },
	"list":       func(ctx context.Context, s *Store) error { return third(s.List(ctx, refund.DueBy(at(0)), "", 1)) },
	"list classes": func(ctx context.Context, s *Store) error {
		return third(s.List(ctx, refund.Recent(time.Time{}, time.Time{}, "open", "closed"), "", 1))
	},
	"list everything": func(ctx context.Context, s *Store) error { return third(s.List(ctx, refund.Everything(), "", 1)) },
	"count":           func(ctx context.Context, s *Store) error { return second(s.Count(ctx, refund.DueBy(at(0)))) },
	"count classes": func(ctx context.Context, s *Store) error {
		return second(s.Count(ctx, refund.Recent(time.Time{}, time.Time{}, "open")))
	},
	"count everything": func(ctx context.Context, s *Store) error { return second(s.Count(ctx, refund.Everything())) },
	"schema":           func(ctx context.Context, s *Store) error { return third(s.Schema(ctx)) },
	"add indexes":      func(ctx context.Context, s *Store) error { return s.AddIndexes(ctx) },
}

func second[T any](_ T, err error) error        { return err }
func third[T, U any](_ T, _ U, err error) error { return err }
