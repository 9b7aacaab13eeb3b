//go:build cloudbase || !slim

package ledger

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"wxrefund/shared/needs"
	"wxrefund/shared/refund"
	"wxrefund/shared/sandbox/pgsql"
)

// What is peculiar to CloudBase, over the stand-in before a real PostgreSQL.

// atDoor is an empty ledger, and the stand-in that it goes to.
func atDoor(t *testing.T) (url string, door *pgsql.Door) {
	t.Helper()
	t.Parallel()
	return cloudbaseDoor(t, needs.Env(t, "LEDGER_TEST_POSTGRES"))
}

// asOwner runs statements as the role that the HTTP API has.
func asOwner(t *testing.T, url string, statements ...string) {
	t.Helper()
	db := database(t, url)
	for _, text := range statements {
		if _, err := db.ExecContext(t.Context(), text); err != nil {
			t.Fatalf("%s: %v", text, err)
		}
	}
}

// A refund's calls are few: one for any read, one for any commit, and once in a process's
// life one more.
func TestCloudBaseCallsAreCounted(t *testing.T) {
	url, door := atDoor(t)
	s := open(t, url)
	calls := func(what string, want int, call func()) {
		t.Helper()
		before := door.Calls()
		call()
		if got := door.Calls() - before; got != want {
			t.Errorf("%s: %d calls, want %d", what, got, want)
		}
	}
	calls("open", 0, func() { s = open(t, url) })
	calls("the first of all", 2+1+2, func() { get(t, s, "a") }) // look and read, make the schema, look and read
	s = open(t, url)
	calls("the first of a process", 2, func() { get(t, s, "a") }) // at the same time
	calls("get", 1, func() { get(t, s, "a") })
	var keys []refund.Key
	var items []refund.Item
	for i := range 500 {
		keys = append(keys, refund.Key(fmt.Sprint(i)))
	}
	for i := range cloudItems {
		items = append(items, refund.Item{Key: keys[i], Body: []byte("x"), Due: at(i), Class: "open", At: at(i)})
	}
	calls("get 500", 1, func() { get(t, s, keys...) })
	calls("commit", 1, func() { commit(t, s, items[0]) })
	calls("commit 99", 1, func() { commit(t, s, items[1:]...) })
	calls("stale commit", 1, func() {
		if err := s.Commit(t.Context(), items...); !errors.Is(err, refund.ErrStale) {
			t.Errorf("got %v", err)
		}
	})
	calls("list due", 1, func() { pages(t, s, at(1000), 1000) })
	calls("list classes", 2, func() { pagesOf(t, s, refund.Recent(never, never, "open", "shut"), 1000) })
	calls("list everything", 1, func() { pagesOf(t, s, refund.Everything(), 1000) })
	calls("count", 1, func() { counted(t, s, refund.DueBy(at(1000))) })
	calls("schema", 1, func() {
		if have, want, err := s.Schema(t.Context()); have != want || want != 4 || err != nil {
			t.Errorf("schema %d of %d, %v", have, want, err)
		}
	})
}

// Each fault there is strikes a commit and a read. What was carried out is done once, and
// what cannot be put right by a repeat is not repeated.
func TestCloudBaseFaultsAreOvercome(t *testing.T) {
	for _, fault := range pgsql.Faults() {
		t.Run(string(fault), func(t *testing.T) {
			url, door := atDoor(t)
			s := open(t, url)
			commit(t, s, item("a", 0, "1"))
			again := !slices.Contains([]pgsql.Fault{pgsql.Unauthorized, pgsql.Forbidden}, fault)
			for what, call := range map[string]func() error{
				"commit": func() error { return s.Commit(t.Context(), item("a", 1, "2"), dueItem("b", 0, "2", at(0))) },
				"get":    func() error { return second(s.Get(t.Context(), "a", "b")) },
				"list":   func() error { return third(s.List(t.Context(), refund.Everything(), "", 5)) },
			} {
				door.Fail(map[string]string{"commit": "wxrefund_commit", "get": "ANY (ARRAY", "list": "item_key >"}[what], fault)
				before := door.Calls()
				err := call()
				if calls := door.Calls() - before; door.Pending() != 0 || again && (err != nil || calls != 2) || !again && (err == nil || errors.Is(err, refund.ErrStale) || calls != 1) {
					t.Errorf("%s: got %v after %d calls, repeated: %t", what, err, calls, again)
				}
				if !again && !strings.Contains(err.Error(), "CLOUDBASE_APIKEY") {
					t.Errorf("%s: got %v, want the setting named", what, err)
				}
			}
			want := []refund.Item{item("a", 2, "2"), dueItem("b", 1, "2", at(0))}
			if !again {
				want = []refund.Item{item("a", 1, "1"), {Key: "b"}}
			}
			same(t, "the truth", get(t, s, "a", "b"), want)
		})
	}
}

// A database that does not exist yet is made whatever is lost on the way.
func TestCloudBaseFaultsAtTheFirstCallAreOvercome(t *testing.T) {
	url, door := atDoor(t)
	for _, containing := range []string{"to_regclass", "DO $wxrefund$", "schema 2", "COMMENT"} {
		door.Fail(containing, pgsql.LostAfter, pgsql.ExecErrorAfter, pgsql.LostBefore)
	}
	together(4, func(i int) { commit(t, open(t, url), item(fmt.Sprint(i), 0, "")) })
	if n := counted(t, open(t, url), refund.Everything()); n != 4 {
		t.Errorf("%d items, want 4", n)
	}
}

// losing loses the answers to the first n commits, and does something after each.
func losing(s *Store, n int, afterwards func()) *Store {
	return onCloudWire(s, func(r cloudRequest, send func() (*http.Response, error)) (*http.Response, error) {
		resp, err := send()
		if err != nil || n == 0 || !strings.Contains(r.SQL, "wxrefund_commit") {
			return resp, err
		}
		n--
		_, err = io.Copy(io.Discard, resp.Body)
		resp.Body.Close()
		if afterwards != nil {
			afterwards()
		}
		return nil, errors.Join(errors.New("connection reset by peer"), err)
	})
}

// A commit whose answer is lost is repeated, and knows what it wrote itself.
func TestCloudBaseCommitWhoseAnswerIsLostKnowsItself(t *testing.T) {
	url, _ := atDoor(t)
	other := open(t, url)
	get(t, other, "a") // the table is made
	for _, keys := range [][]string{{"one"}, {"two/a", "two/b"}} {
		items := func(version int64, body string) (all []refund.Item) {
			for _, k := range keys {
				all = append(all, item(k, version, body))
			}
			return all
		}
		read := func() []refund.Item {
			var of []refund.Key
			for _, k := range keys {
				of = append(of, refund.Key(k))
			}
			return get(t, other, of...)
		}
		unknown := func(what string, err error) {
			t.Helper()
			if err == nil || errors.Is(err, refund.ErrStale) || !strings.Contains(err.Error(), "the outcome is unknown") {
				t.Errorf("%q, %s: got %v, want the outcome unknown", keys, what, err)
			}
		}
		s := losing(open(t, url), 3, nil)
		commit(t, s, items(0, "1")...)
		same(t, "created", read(), items(1, "1"))
		losing(s, 2, nil)
		commit(t, s, items(1, "2")...)
		same(t, "updated", read(), items(2, "2"))

		// It was stale in the first place.
		for _, version := range []int64{1, 7} {
			losing(s, 2, nil)
			if err := s.Commit(t.Context(), items(version, "x")...); !errors.Is(err, refund.ErrStale) {
				t.Errorf("%q, stale: got %v", keys, err)
			}
		}
		same(t, "stale", read(), items(2, "2"))

		// Another writes one of them before the repeat: the other one still tells.
		losing(s, 1, func() { commit(t, other, item(keys[0], 3, "4")) })
		if err := s.Commit(t.Context(), items(2, "3")...); len(keys) == 1 {
			unknown("overtaken", err)
			continue
		} else if err != nil {
			t.Errorf("half overtaken: %v", err)
		}
		commit(t, other, item(keys[1], 3, "4"))
		// All of them: nobody knows.
		losing(s, 1, func() { commit(t, other, items(5, "6")...) })
		unknown("overtaken", s.Commit(t.Context(), items(4, "5")...))
		losing(s, 1, func() { commit(t, open(t, overConnection(t, url)), items(7, "8")...) })
		unknown("overtaken over a connection", s.Commit(t.Context(), items(6, "7")...))
		// A program of the schema before knows no commit's id, and takes none away.
		losing(s, 1, func() {
			for _, k := range keys {
				asOwner(t, url, "UPDATE wxrefund_items SET version = version + 1, body = '10' WHERE item_key = '"+k+"'")
			}
		})
		commit(t, s, items(8, "9")...)
		same(t, "by the older program", read(), items(10, "10"))
	}

	// The request is lost, not the answer, and another takes the version.
	for _, items := range [][]refund.Item{{item("taken", 0, "x")}, {item("taken/1", 0, "x"), item("taken/2", 0, "x")}} {
		first := true
		s := onCloudWire(open(t, url), func(_ cloudRequest, send func() (*http.Response, error)) (*http.Response, error) {
			if first {
				first = false
				commit(t, other, item(string(items[0].Key), 0, "other"))
				return nil, errors.New("connection reset")
			}
			return send()
		})
		if err := s.Commit(t.Context(), items...); !errors.Is(err, refund.ErrStale) {
			t.Errorf("taken: got %v, want ErrStale", err)
		}
	}

	// All at once: nothing is counted twice, though half of the answers are lost.
	var n atomic.Int32
	s := onCloudWire(open(t, url), func(r cloudRequest, send func() (*http.Response, error)) (*http.Response, error) {
		resp, err := send()
		if err == nil && strings.Contains(r.SQL, "wxrefund_commit") && n.Add(1)%2 == 0 {
			resp.Body.Close()
			return nil, errors.New("connection reset by peer")
		}
		return resp, err
	})
	commit(t, other, item("order", 0, `{"total":12,"reserved":0}`))
	together(12, func(i int) {
		if ok, err := reserve(t.Context(), s, "order", refund.Key(fmt.Sprint("refund/", i)), 1); err != nil || !ok {
			t.Errorf("%d: got %t, %v", i, ok, err)
		}
	})
	same(t, "order", get(t, other, "order"), []refund.Item{item("order", 13, `{"total":12,"reserved":12}`)})
}

// Numbers that JavaScript has not, and times at both ends, arrive as they were sent.
func TestCloudBaseKeeps64Bits(t *testing.T) {
	url, _ := atDoor(t)
	s := open(t, url)
	commit(t, s, item("a", 0, "1"))
	for _, version := range []int64{1<<53 + 1, math.MaxInt64 - 1} {
		asOwner(t, url, fmt.Sprintf("UPDATE wxrefund_items SET version = %d", version))
		same(t, "read", get(t, s, "a"), []refund.Item{item("a", version, "1")})
		if err := s.Commit(t.Context(), item("a", version-1, "x")); !errors.Is(err, refund.ErrStale) {
			t.Errorf("one less than %d: got %v", version, err)
		}
		commit(t, s, item("a", version, "1"))
		same(t, "written", get(t, s, "a"), []refund.Item{item("a", version+1, "1")})
	}
	if err := s.Commit(t.Context(), item("a", 5, "x"), item("b", math.MaxInt64, "x")); !errors.Is(err, refund.ErrStale) {
		t.Errorf("the greatest there is: got %v", err)
	}
}

// Visitors of the app cannot read, write or commit, though the platform lets them into
// whatever is made; nor can those who may only read.
func TestCloudBaseVisitorsAreShutOut(t *testing.T) {
	url, _ := atDoor(t)
	commit(t, open(t, url), item("a", 0, "A"))
	db := database(t, behind(t, url))
	statements := map[string]string{
		"select": "SELECT * FROM wxrefund_items", "select one": "SELECT item_key FROM wxrefund_items",
		"insert": "INSERT INTO wxrefund_items (item_key, version, body) VALUES ('x', 1, '')",
		"update": "UPDATE wxrefund_items SET version = 9", "delete": "DELETE FROM wxrefund_items", "truncate": "TRUNCATE wxrefund_items",
		"commit": `SELECT wxrefund_commit('[{"k":"x","v":"0","s":1,"b":""}]'::jsonb, 'id')`,
	}
	try := func(role, text string) (code string, err error) {
		conn, err := db.Conn(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		if _, err := conn.ExecContext(t.Context(), "SET ROLE "+role); err != nil {
			t.Fatal(err)
		}
		defer conn.ExecContext(t.Context(), "RESET ROLE")
		_, err = conn.ExecContext(t.Context(), text)
		return postgresCode(err), err
	}
	for _, role := range []string{"anon", "authenticated"} {
		for name, text := range statements {
			if code, err := try(role, text); code != "42501" {
				t.Errorf("%s: %s: got %v, want permission denied", role, name, err)
			}
		}
		// But for this, they would be let in: the test can fail.
		asOwner(t, url, "CREATE TABLE another_"+role+" (x int)")
		if _, err := try(role, "SELECT * FROM another_"+role); err != nil {
			t.Errorf("%s is not let into what is made: %v", role, err)
		}
	}
	if code, err := try("cloudbase_read_only_user", statements["insert"]); code != "42501" {
		t.Errorf("got %v", err)
	}
	if code, err := try("cloudbase_read_only_user", statements["commit"]); code != "42501" {
		t.Errorf("got %v", err)
	}
	if _, err := try("cloudbase_postgres", statements["commit"]); err != nil {
		t.Errorf("the owner: %v", err)
	}
	same(t, "only the owner's", get(t, open(t, url), "a", "x"), []refund.Item{item("a", 1, "A"), item("x", 1, "")})
}

// What is not as the ledger needs it is found by the first call, named, and told what to
// do about; each of them at once.
func TestCloudBaseLookFindsWhatIsWrong(t *testing.T) {
	url, door := atDoor(t)
	commit(t, open(t, url), item("a", 0, "A"))
	for name, test := range map[string]struct {
		wrong, right []string
		code, says   string
	}{
		"a visitor reads": {
			[]string{"GRANT SELECT ON wxrefund_items TO anon"}, []string{"REVOKE ALL ON wxrefund_items FROM anon"},
			"EXPOSED", "role anon; run as the owner: REVOKE ALL ON TABLE wxrefund_items FROM PUBLIC, anon and REVOKE",
		},
		"a visitor writes a column": {
			[]string{"GRANT UPDATE (due) ON wxrefund_items TO authenticated"}, []string{"REVOKE ALL (due) ON wxrefund_items FROM authenticated", "REVOKE ALL ON wxrefund_items FROM authenticated"},
			"EXPOSED", "role authenticated",
		},
		"everybody writes": {
			[]string{"GRANT INSERT ON wxrefund_items TO PUBLIC"}, []string{"REVOKE ALL ON wxrefund_items FROM PUBLIC"},
			"EXPOSED", "role anon, authenticated; ",
		},
		"everybody commits": {
			[]string{"GRANT EXECUTE ON FUNCTION wxrefund_commit(jsonb, text) TO PUBLIC"}, []string{"REVOKE ALL ON FUNCTION wxrefund_commit(jsonb, text) FROM PUBLIC"},
			"EXPOSED", "REVOKE ALL ON FUNCTION wxrefund_commit(jsonb, text) FROM PUBLIC, anon, authenticated",
		},
		"we may not write": {
			[]string{"REVOKE INSERT, UPDATE ON wxrefund_items FROM cloudbase_postgres"}, []string{"GRANT ALL ON wxrefund_items TO cloudbase_postgres"},
			"NO_RIGHT", "role cloudbase_postgres lacks INSERT, UPDATE on table wxrefund_items; run as its owner: GRANT",
		},
		"we may not commit": {
			[]string{"REVOKE ALL ON FUNCTION wxrefund_commit(jsonb, text) FROM cloudbase_postgres"}, []string{"GRANT ALL ON FUNCTION wxrefund_commit(jsonb, text) TO cloudbase_postgres"},
			"NO_RIGHT", "may not run function wxrefund_commit; run as its owner: GRANT EXECUTE",
		},
		"no function": {
			[]string{"ALTER FUNCTION wxrefund_commit(jsonb, text) RENAME TO gone"}, []string{"ALTER FUNCTION gone(jsonb, text) RENAME TO wxrefund_commit"},
			"NO_FUNCTION", "restore it from shared/ledger/schema/postgres-004.sql",
		},
	} {
		asOwner(t, url, test.wrong...)
		s := open(t, url)
		before := door.Calls()
		_, err := s.Get(t.Context(), "a")
		e, ok := errors.AsType[interface {
			error
			Code() string
			Do() string
		}](err)
		if !ok || e.Code() != test.code || e.Do() == "" || !strings.Contains(err.Error(), test.says) || door.Calls() > before+2 {
			t.Errorf("%s: got %v after %d calls, want %s: %s", name, err, door.Calls()-before, test.code, test.says)
		}
		asOwner(t, url, test.right...)
		same(t, name+", put right", get(t, s, "a"), []refund.Item{item("a", 1, "A")}) // the same ledger
	}
	asOwner(t, url, "GRANT SELECT ON wxrefund_items TO anon", "REVOKE UPDATE ON wxrefund_items FROM cloudbase_postgres")
	if _, err := open(t, url).Get(t.Context(), "a"); err == nil || !strings.Contains(err.Error(), "lacks UPDATE") || !strings.Contains(err.Error(), "role anon") {
		t.Errorf("got %v, want both named", err)
	}
}

// A database that takes no writes, or changes what it is sent, is not used.
func TestCloudBaseLookRefusesADatabaseThatCannotBeOne(t *testing.T) {
	t.Parallel()
	good := map[string]string{"number": `"9007199254740993"`, "bytes": `"AP8nIlyA"`, "role": `"cloudbase_postgres"`, "readonly": `"false"`,
		"comment": `"wxrefund schema 4"`, "committer": `"true"`, "lacks": `null`, "barred": `"false"`, "visitors": `null`}
	for column, test := range map[string][2]string{
		"number":   {`"9007199254740992"`, "parameters do not come back"},
		"bytes":    {`"AP8nIlyB"`, "parameters do not come back"},
		"readonly": {`"true"`, "takes no writes"},
		"comment":  {`"another's"`, "the table is not ours"},
		"role":     {`"cloudbase_postgres"`, ""},
	} {
		var row []string
		for name, value := range good {
			if name == column {
				value = test[0]
			}
			row = append(row, fmt.Sprintf("%q:%s", name, value))
		}
		s := scriptedCloud(t, func(r cloudRequest, _ func() (*http.Response, error)) (*http.Response, error) {
			if strings.Contains(r.SQL, "to_regclass") {
				return cloudAnswers(200, "[{"+strings.Join(row, ",")+"}]")
			}
			return cloudAnswers(200, "[]")
		})
		s.store.(*cloud).marker.done.Store(false)
		_, err := s.Get(t.Context(), "a")
		if test[1] == "" && err != nil || test[1] != "" && (err == nil || !strings.Contains(err.Error(), test[1])) {
			t.Errorf("%s: got %v, want %q", column, err, test[1])
		}
	}
}

// Where the role may not change tables, the error says what may; the migrations, applied by
// the owner, once or again, make the same ledger.
func TestCloudBaseMigrationsMakeTheLedger(t *testing.T) {
	url, door := atDoor(t)
	admin := behind(t, url)
	var schema string
	db := database(t, admin)
	if err := db.QueryRowContext(t.Context(), "SELECT current_schema()").Scan(&schema); err != nil {
		t.Fatal(err)
	}
	if _, err := db.ExecContext(t.Context(), "REVOKE CREATE ON SCHEMA "+schema+" FROM cloudbase_postgres"); err != nil {
		t.Fatal(err)
	}
	_, err := open(t, url).Get(t.Context(), "a")
	if err == nil || !strings.Contains(err.Error(), "schema: step 1: ") || !strings.Contains(err.Error(), "DATABASE_42501") || !strings.Contains(err.Error(), "tcb db pg migration") {
		t.Errorf("got %v, want the command that may", err)
	}
	if _, err := db.ExecContext(t.Context(), "GRANT CREATE ON SCHEMA "+schema+" TO cloudbase_postgres"); err != nil {
		t.Fatal(err)
	}
	migrations, err := Migrations()
	if err != nil || len(migrations) != 4 {
		t.Fatalf("%d migrations, %v", len(migrations), err)
	}
	apply := func(some []Migration) {
		for i, m := range some {
			number, name, _ := strings.Cut(m.Name, "_")
			if len(number) != 14 || strings.Trim(number, "0123456789") != "" || name != "wxrefund.sql" || i > 0 && m.Name <= some[i-1].Name {
				t.Errorf("a file %s", m.Name)
			}
			asOwner(t, url, m.SQL)
		}
	}
	apply(migrations[:2])
	commit(t, open(t, url), item("a", 0, "A")) // the program does the rest
	apply(migrations)
	before := door.Calls()
	same(t, "kept", get(t, open(t, url), "a"), []refund.Item{item("a", 1, "A")})
	if got := door.Calls() - before; got != 2 {
		t.Errorf("%d calls, want 2: nothing was left to do", got)
	}
}

// A ledger moves from HTTPS to a connection and back by its URL alone, and both may be at
// work at once.
func TestCloudBaseLedgerMovesToAConnectionAndBack(t *testing.T) {
	for _, first := range []string{"https", "connection"} {
		t.Run(first, func(t *testing.T) {
			url, _ := atDoor(t)
			https, connection := open(t, url), open(t, overConnection(t, url))
			one, two := https, connection
			if first == "connection" {
				one, two = connection, https
			}
			items := []refund.Item{
				{Key: "a", Body: []byte("\x00\xff'"), Due: at(5), Class: "open", At: at(6)}, item("b", 0, ""), dueItem("c", 0, "C", at(4)),
			}
			commit(t, one, items...)
			for version := int64(1); version < 4; version++ {
				for i := range items {
					items[i].Version = version
				}
				same(t, "read through one", get(t, one, "a", "b", "c"), items)
				same(t, "read through the other", get(t, two, "a", "b", "c"), items)
				sum1, err1 := SumOf(t.Context(), one)
				sum2, err2 := SumOf(t.Context(), two)
				if sum1 != sum2 || err1 != nil || err2 != nil || counted(t, two, refund.Recent(never, never, "open")) != 1 {
					t.Errorf("sums %v and %v, %v, %v", sum1, sum2, err1, err2)
				}
				commit(t, two, items...)
				one, two = two, one
			}
			if err := one.Commit(t.Context(), item("b", 1, "x")); !errors.Is(err, refund.ErrStale) {
				t.Errorf("got %v", err)
			}
			commit(t, one, item("order", 0, `{"total":1000,"reserved":0}`))
			accepted := make([]bool, 24)
			together(len(accepted), func(i int) {
				var err error
				through := []*Store{https, connection}[i%2]
				if accepted[i], err = reserve(t.Context(), through, "order", refund.Key(fmt.Sprint("refund/", i)), 100); err != nil {
					t.Error(err)
				}
				if err := increment(t.Context(), through, "counter"); err != nil {
					t.Error(err)
				}
			})
			n := len(slices.DeleteFunc(accepted, func(ok bool) bool { return !ok }))
			same(t, "both at once", get(t, https, "order", "counter"), []refund.Item{item("order", 11, `{"total":1000,"reserved":1000}`), item("counter", 24, "24")})
			if n != 10 {
				t.Errorf("%d refunds of 100 were accepted of an order of 1000", n)
			}
		})
	}
}

// No statement reads the whole table, but for those of everything.
func TestCloudBaseStatementsUseIndexes(t *testing.T) {
	url, _ := atDoor(t)
	s := open(t, url)
	fill(t, s, url, 16_000, 8000)
	c := s.store.(*cloud)
	recent := classRange{growthClasses(), at(1900).UnixMilli(), spot{at(2000).UnixMilli(), "refund/00002000"}}
	type statement struct {
		text string
		args []any
	}
	statements := map[string]statement{
		"get":             {c.dialect.selectItem() + byKeys, []any{`["account/00000001","account/00000017"]`}},
		"list":            {c.dialect.listShards(), c.dialect.shardArgs(at(8000).UnixMilli(), position{shard: 3, left: 4, due: at(7500).UnixMilli(), key: "refund/00007500"}, 20)},
		"list classes":    {c.dialect.listClasses(3), c.dialect.classArgs(recent, 20)},
		"list everything": {c.dialect.listKeys(), []any{"refund/00007950", 20}},
	}
	for name, selected := range selections() {
		text, args := c.dialect.count(selected)
		statements[name] = statement{text, args}
	}
	check := func(name string) error {
		st := statements[name]
		plan, err := explained(t.Context(), c, st.text, st.args)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if !strings.Contains(plan, "Index") || strings.Contains(plan, "Seq Scan") || strings.Contains(plan, "Sort") {
			return errors.New(plan)
		}
		return nil
	}
	for name := range statements {
		if err := check(name); err != nil {
			t.Errorf("%s: no index: %v", name, err)
		}
	}
	asOwner(t, url, "DROP INDEX wxrefund_items_due", "DROP INDEX wxrefund_items_class", "ALTER TABLE wxrefund_items DROP CONSTRAINT wxrefund_items_pkey")
	for name := range statements {
		if check(name) == nil {
			t.Errorf("%s: no fault found without an index", name)
		}
	}
}

// explained is the plan of a statement. Its column has a name that exec cannot ask for.
func explained(ctx context.Context, c *cloud, text string, args []any) (plan string, err error) {
	before := c.http.Transport
	defer func() { c.http.Transport = before }()
	c.http.Transport = roundTrip(func(r *http.Request) (*http.Response, error) {
		resp, err := before.RoundTrip(r)
		if err != nil {
			return nil, err
		}
		body, err := io.ReadAll(resp.Body)
		resp.Body.Close()
		if err != nil {
			return nil, err
		}
		plan = string(body)
		return cloudAnswers(200, "[]")
	})
	_, err = c.exec(ctx, "", `EXPLAIN `+text, args...)
	return plan, err
}

// What is too large for one answer is asked for in parts, and is whole all the same.
func TestCloudBaseAsksForLessOfWhatIsTooLarge(t *testing.T) {
	url, door := atDoor(t)
	s := open(t, url)
	var items []refund.Item
	var keys []refund.Key
	for i := range 24 {
		items = append(items, refund.Item{Key: refund.Key(fmt.Sprintf("%02d", i)), Body: []byte(strings.Repeat("x", 3000)), Due: at(i % 3), Class: "open", At: at(i)})
		keys = append(keys, items[i].Key)
	}
	commit(t, s, items...)
	s.store.(*cloud).largest = 20_000 // four of them
	whole := slices.Clone(items)
	for i := range whole {
		whole[i].Version = 1
	}
	same(t, "Get", get(t, s, keys...), whole)
	listed, _, err := s.List(t.Context(), refund.Everything(), "", 100)
	if err != nil {
		t.Fatal(err)
	}
	same(t, "everything", listed, whole)
	if got, want := pages(t, s, at(9), 100), listPages(at(9), 100, items...); !slices.EqualFunc(got, want, slices.Equal) {
		t.Errorf("due: got %v, want %v", got, want)
	}
	recent, _, err := s.List(t.Context(), refund.Recent(never, never, "open"), "", 100)
	slices.Reverse(recent)
	if err != nil {
		t.Fatal(err)
	}
	same(t, "classes", recent, whole)

	// While they are read in parts one changes: they are read again, as of one instant.
	other, changed := open(t, url), 0
	onCloudWire(s, func(r cloudRequest, send func() (*http.Response, error)) (*http.Response, error) {
		resp, err := send()
		if strings.Contains(r.SQL, byKeys[:12]) && changed < 12 {
			if changed++; changed == 12 { // in the middle of the parts
				commit(t, other, item("00", 1, "new"), item("23", 1, "new"))
			}
		}
		return resp, err
	})
	got := get(t, s, keys...)
	if (got[0].Version == 2) != (got[23].Version == 2) {
		t.Errorf("versions %d and %d of one commit", got[0].Version, got[23].Version)
	}
	// One that is larger than all answers is an error, and not waited for without end.
	s.store.(*cloud).largest = 2000
	before := door.Calls()
	if _, err := s.Get(t.Context(), "01"); err == nil || door.Calls()-before > callAttempts {
		t.Errorf("got %v after %d calls", err, door.Calls()-before)
	}
}
