package check_test

import (
	"context"
	"crypto/rand"
	"database/sql"
	"net/url"
	"strings"
	"testing"

	"github.com/go-sql-driver/mysql"
	"github.com/jackc/pgx/v5"

	"wxrefund/shared/check"
	"wxrefund/shared/needs"
)

// A database server is looked at as SQLite is, and what is written there is one item.
func TestTheLedgersOfServersAreLookedAt(t *testing.T) {
	for _, c := range []struct {
		scheme, env string
		run         func(t *testing.T, server *url.URL, statement string)
	}{
		{"postgres", "LEDGER_TEST_POSTGRES", func(t *testing.T, server *url.URL, statement string) {
			conn, err := pgx.Connect(t.Context(), server.String())
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close(context.WithoutCancel(t.Context()))
			if _, err := conn.Exec(t.Context(), statement); err != nil {
				t.Error(err)
			}
		}},
		{"mysql", "LEDGER_TEST_MYSQL", func(t *testing.T, server *url.URL, statement string) {
			dsn := mysql.NewConfig()
			dsn.User, dsn.Net, dsn.Addr = server.User.Username(), "tcp", server.Host
			dsn.Passwd, _ = server.User.Password()
			db, err := sql.Open("mysql", dsn.FormatDSN())
			if err != nil {
				t.Fatal(err)
			}
			defer db.Close()
			if _, err := db.ExecContext(t.Context(), statement); err != nil {
				t.Error(err)
			}
		}},
	} {
		t.Run(c.scheme, func(t *testing.T) {
			server, err := url.Parse(needs.Env(t, c.env))
			if err != nil {
				t.Fatal(err)
			}
			name := "check_" + strings.ToLower(rand.Text())
			c.run(t, server, "CREATE DATABASE "+name)
			defer c.run(t, server, "DROP DATABASE "+name)
			at := *server
			at.Path = "/" + name
			d := deploy(t, "wecom", "")
			d.settings["LEDGER_URL"] = at.String()
			got := d.check(nil)
			t.Logf("\n%s", show(got))
			for _, line := range []string{"ledger", "ledger schema", "ledger speed"} {
				if r := find(got, line); len(r) != 1 || r[0].Status != check.OK {
					t.Errorf("%s: got %+v, want ok", line, r)
				}
			}
			if r := find(got, "ledger merchant"); len(r) != 1 || r[0].Status != check.Note {
				t.Errorf("got %+v, want a ledger that is nobody's", r)
			}
			sys := d.load(d.settings)
			if bound, err := sys.Refunds.Bound(t.Context()); bound || err != nil {
				t.Errorf("the check has made the ledger somebody's: %v, %v", bound, err)
			}
			if items, err := sys.Refunds.Ledger.Get(t.Context(), "check/scratch", "reconcile/sweep"); err != nil || items[0].Version == 0 || items[1].Version != 0 {
				t.Errorf("got %+v, %v; want the check's own item alone", items, err)
			}
			_ = sys.Close() // before its database is dropped
		})
	}
}
