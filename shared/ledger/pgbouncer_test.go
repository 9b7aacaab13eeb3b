//go:build heavy && unix

package ledger

import (
	"cmp"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"

	"wxrefund/shared/needs"
	"wxrefund/shared/refund"
)

// bouncer is the URL of an empty ledger behind a PgBouncer in transaction mode, whose clients
// share two connections to the server, and a way around it.
func bouncer(t *testing.T) (url, around string) {
	t.Helper()
	if !hasDriver("postgres") {
		t.Skip("this program has no PostgreSQL")
	}
	program := needs.Program(t, "pgbouncer", "/usr/sbin/pgbouncer")
	env := needs.Env(t, "LEDGER_TEST_POSTGRES")
	name := freshName()
	administer(t, env, "CREATE DATABASE "+name, "DROP DATABASE "+name+" WITH (FORCE)")
	around = inDatabase(t, env, "", name)
	u := parsed(t, env)
	password, _ := u.User.Password()
	if password != "" { // PgBouncer takes no empty one
		password = " password='" + password + "'"
	}
	dir, command := serverDir(t, "postgres")
	port, config := freePort(t), filepath.Join(dir, "pgbouncer.ini")
	text := fmt.Sprintf(`[databases]
%s = host=%s port=%s user=%s%s
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = %s
unix_socket_dir =
auth_type = any
pool_mode = transaction
default_pool_size = 2
`, name, u.Hostname(), cmp.Or(u.Port(), "5432"), u.User.Username(), password, port)
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	give(t, dir, config)
	serve(t, command(program, "-q", config), port)
	return inDatabase(t, env, "127.0.0.1:"+port, name), around
}

func parsed(t *testing.T, address string) *url.URL {
	t.Helper()
	u, err := url.Parse(address)
	if err != nil {
		t.Fatal(err)
	}
	return u
}

// inDatabase is a URL with another database, and another host unless it is empty.
func inDatabase(t *testing.T, address, host, name string) string {
	t.Helper()
	u := parsed(t, address)
	u.Host, u.Path = cmp.Or(host, u.Host), "/"+name
	return u.String()
}

// Behind a PgBouncer in transaction mode, where each statement may meet another connection of the
// server's, a ledger keeps its promises, and is not disturbed by the server's connections being
// cut.
func TestPostgresBehindPgBouncerKeepsItsPromises(t *testing.T) {
	t.Parallel()
	url, around := bouncer(t)
	all := make([]*Store, 4)
	for i := range all {
		all[i] = open(t, url)
	}
	var won atomic.Int32
	commit(t, all[0], item("order", 0, `{"total":20,"reserved":0}`))
	together(16, func(i int) {
		s := all[i%len(all)]
		switch err := s.Commit(t.Context(), item("claim", 0, fmt.Sprint(i)), item(fmt.Sprint("of/", i), 0, "")); {
		case err == nil:
			won.Add(1)
		case !errors.Is(err, refund.ErrStale):
			t.Errorf("claimant %d: %v", i, err)
		}
		for range 5 {
			if err := increment(t.Context(), s, "counter"); err != nil {
				t.Error(err)
			}
		}
		if _, err := reserve(t.Context(), s, "order", refund.Key(fmt.Sprint("refund/", i)), 3); err != nil {
			t.Error(err)
		}
	})
	if won.Load() != 1 {
		t.Errorf("%d claimants won, want 1", won.Load())
	}
	same(t, "counter", get(t, all[0], "counter"), []refund.Item{item("counter", 80, "80")})
	same(t, "order", get(t, all[0], "order"), []refund.Item{item("order", 7, `{"total":20,"reserved":18}`)})

	keys := make([]refund.Key, 3*maxKeys) // read in several statements, which see one instant
	for i := range keys {
		keys[i] = refund.Key(fmt.Sprint("of/", i))
	}
	get(t, all[1], keys...)
	admin := database(t, around)
	for version := range int64(10) {
		if _, err := admin.ExecContext(t.Context(), "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"); err != nil {
			t.Fatal(err)
		}
		err := all[version%4].Commit(t.Context(), dueItem("a", version, "A", at(0)), item("b", version, "B"))
		if err != nil {
			t.Errorf("cut: %v", err)
		}
		same(t, "cut", get(t, all[3], "a", "b"), []refund.Item{dueItem("a", version+1, "A", at(0)), item("b", version+1, "B")})
	}
	if got := pages(t, all[2], at(0), 1); len(got) != 1 {
		t.Errorf("due: %v", got)
	}
}
