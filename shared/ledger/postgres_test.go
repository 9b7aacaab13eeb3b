//go:build postgres || !slim

package ledger

import (
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"wxrefund/shared/refund"
)

// TLS is on and proves who the server is, but on this machine; the URL decides
// otherwise if it says so, the environment does not.
func TestPostgresFarFromThisMachineMustProveItself(t *testing.T) {
	t.Setenv("PGSSLMODE", "disable")
	for rest, want := range map[string]struct {
		host   string
		tls    bool
		verify bool
		conns  int
	}{
		"//u:p@db.example.com/d":                               {"db.example.com", true, true, defaultConns},
		"//u:p@db.example.com:6432/d?pool_max_conns=7":         {"db.example.com", true, true, 7},
		"//u:p@db.example.com/d?sslmode=disable":               {"db.example.com", false, false, defaultConns},
		"//u:p@db.example.com/d?sslmode=require":               {"db.example.com", true, false, defaultConns},
		"//u:p@10.0.0.1/d":                                     {"10.0.0.1", true, true, defaultConns},
		"//u:p@localhost/d":                                    {"localhost", false, false, defaultConns},
		"//u:p@127.0.0.1/d":                                    {"127.0.0.1", false, false, defaultConns},
		"//u:p@[::1]/d":                                        {"::1", false, false, defaultConns},
		"//u:p@127.0.0.1/d?sslmode=verify-full":                {"127.0.0.1", true, true, defaultConns},
		"///d?host=/run/postgresql&user=u":                     {"/run/postgresql", false, false, defaultConns},
		"///d?host=localhost,db.example.com&port=1,2&user=u":   {"localhost", true, true, defaultConns},
		"//u:p@db.example.com/d?search_path=refunds&x.y=z%20z": {"db.example.com", true, true, defaultConns},
	} {
		c, conns, err := postgresConfig(rest)
		if err != nil {
			t.Errorf("%s: %v", rest, err)
			continue
		}
		verify := c.TLSConfig != nil && !c.TLSConfig.InsecureSkipVerify && c.TLSConfig.ServerName == c.Host
		if c.Host != want.host || (c.TLSConfig != nil) != want.tls || verify != want.verify || conns != want.conns {
			t.Errorf("%s: got host %s, TLS %t, verified %t, %d connections", rest, c.Host, c.TLSConfig != nil, verify, conns)
		}
		if len(c.RuntimeParams) > strings.Count(rest, "search_path")*2 {
			t.Errorf("%s: sent at the start: %v", rest, c.RuntimeParams) // a pooler refuses them
		}
		if want.tls && slices.ContainsFunc(c.Fallbacks, func(f *pgconn.FallbackConfig) bool { return f.TLSConfig == nil }) {
			t.Errorf("%s: falls back to plain text", rest)
		}
		if c.DefaultQueryExecMode != pgx.QueryExecModeExec || c.ConnectTimeout != maxDial {
			t.Errorf("%s: mode %v, timeout %v", rest, c.DefaultQueryExecMode, c.ConnectTimeout)
		}
	}
}

func TestPostgresRefusesBadURLsWithoutShowingPasswords(t *testing.T) {
	t.Parallel()
	refusesURLs(t, "postgres", map[string]string{
		"":                                "malformed",
		"db":                              "malformed",
		"//u:tig/er@h/d":                  "percent-encoded",
		"//u:tig%er@h/d":                  "percent-encoded",
		"//u:tiger@h/d?a=%zz":             "malformed",
		"//u:tiger@h/d?pool_max_conns=":   "pool_max_conns",
		"//u:tiger@h/d?pool_max_conns=0":  "pool_max_conns",
		"//u:tiger@h/d?sslmode=maybe":     "sslmode",
		"//u:tiger@h/d?sslrootcert=/none": "/none",
		"//u:tiger@h:0/d":                 "not one that PostgreSQL understands",
	})
}

// What is set for a transaction ends with it, and nothing stays behind in the
// connection: the next one to use it may be a stranger, behind a pooler.
func TestPostgresTransactionsLeaveNothingInTheConnection(t *testing.T) {
	url := freshOf(t, "postgres")
	for name, value := range map[string]string{
		"synchronous_commit": "off", "default_transaction_isolation": "serializable",
		"default_transaction_read_only": "off", "pool_max_conns": "1",
	} {
		url = withQuery(t, url, name, value)
	}
	s := open(t, url)
	commit(t, s, item("a", 0, "A"), dueItem("b", 0, "B", at(0)))
	commit(t, s, item("a", 1, "A"))
	get(t, s, "a", "b", "c")
	pages(t, s, at(0), 1)
	db := s.store.(*server).db
	show := func(q querier, want map[string]string) {
		t.Helper()
		for name, want := range want {
			var got string
			if err := q.QueryRowContext(t.Context(), "SHOW "+name).Scan(&got); err != nil || got != want {
				t.Errorf("%s is %q (%v), want %q", name, got, err, want)
			}
		}
	}
	outside := map[string]string{"synchronous_commit": "off", "lock_timeout": "0", "idle_in_transaction_session_timeout": "0"}
	show(db, outside)
	tx, err := db.BeginTx(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	show(tx, map[string]string{
		"synchronous_commit": "on", "transaction_isolation": "read committed", "transaction_read_only": "off",
		"lock_timeout": "3s", "idle_in_transaction_session_timeout": "10s",
	})
	tx.Rollback()
	tx, err = db.BeginTx(t.Context(), &sql.TxOptions{Isolation: sql.LevelRepeatableRead, ReadOnly: true})
	if err != nil {
		t.Fatal(err)
	}
	show(tx, map[string]string{"transaction_isolation": "repeatable read", "transaction_read_only": "on"})
	tx.Rollback()
	show(db, outside)
	var prepared int
	if err := db.QueryRowContext(t.Context(), "SELECT count(*) FROM pg_prepared_statements").Scan(&prepared); err != nil || prepared != 0 {
		t.Errorf("%d prepared statements (%v), want none", prepared, err)
	}
}

// Whatever isolation is the server's default, which each commit gets: one claimant wins, and nothing
// is lost.
func TestPostgresCommitsUnderAnyIsolation(t *testing.T) {
	t.Parallel()
	for _, level := range []string{"read committed", "repeatable read", "serializable"} {
		t.Run(level, func(t *testing.T) {
			s := open(t, withQuery(t, freshOf(t, "postgres"), "default_transaction_isolation", level))
			commit(t, s, item("order", 0, `{"total":20,"reserved":0}`))
			together(8, func(i int) {
				for range 3 {
					if err := increment(t.Context(), s, "counter"); err != nil {
						t.Error(err)
					}
				}
				if _, err := reserve(t.Context(), s, "order", refund.Key(fmt.Sprint("refund/", i)), 3); err != nil {
					t.Error(err)
				}
			})
			same(t, "all", get(t, s, "counter", "order"), []refund.Item{item("counter", 24, "24"), item("order", 7, `{"total":20,"reserved":18}`)})
			if err := s.Commit(t.Context(), item("counter", 23, "x"), item("new", 0, "x")); !errors.Is(err, refund.ErrStale) {
				t.Errorf("got %v, want ErrStale", err)
			}
		})
	}
}

// A commit that the database does not take for want of something says what that is, and is not
// called stale.
func TestPostgresCommitSaysWhatIsLacking(t *testing.T) {
	url := freshOf(t, "postgres")
	s, db, role := open(t, url), database(t, url), freshName()
	commit(t, s, item("a", 0, "A"))
	administer(t, url, "CREATE ROLE "+role, "DROP OWNED BY "+role+"; DROP ROLE "+role)
	_, own, _ := strings.Cut(url, "search_path=") // which is all that it has
	run := func(statements ...string) {
		t.Helper()
		for _, text := range statements {
			if _, err := db.ExecContext(t.Context(), text); err != nil {
				t.Fatalf("%s: %v", text, err)
			}
		}
	}
	run("GRANT USAGE ON SCHEMA "+own+" TO "+role, "GRANT SELECT, INSERT, UPDATE ON wxrefund_items TO "+role)
	limited := withQuery(t, url, "role", role)
	lacks := func(url, want string) {
		t.Helper()
		err := open(t, url).Commit(t.Context(), item("a", 1, "x"))
		if err == nil || errors.Is(err, refund.ErrStale) || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want it to say %q", err, want)
		}
		same(t, want, get(t, s, "a"), []refund.Item{item("a", 1, "A")})
	}
	lacks(limited, "GRANT EXECUTE ON FUNCTION wxrefund_commit(jsonb, text)")
	lacks(withQuery(t, url, "default_transaction_read_only", "on"), "default_transaction_read_only=off")
	run("GRANT EXECUTE ON FUNCTION wxrefund_commit(jsonb, text) TO " + role)
	commit(t, open(t, limited), item("b", 0, "B"))
	run("DROP FUNCTION wxrefund_commit(jsonb, text)")
	lacks(url, "restore the function from shared/ledger/schema/postgres-004.sql")
}
