package ledger

import (
	"context"
	"database/sql"
	"fmt"
	"math/rand/v2"
	"net/url"
	"strings"
	"testing"
	"time"
)

// freshPostgres makes a schema for one test, in the database that env names.
func freshPostgres(t testing.TB, env string) string {
	t.Helper()
	name := freshName()
	administer(t, env, "CREATE SCHEMA "+name, "DROP SCHEMA "+name+" CASCADE")
	return withQuery(t, env, "search_path", name)
}

// freshMySQL makes a database for one test, on the server that env names.
func freshMySQL(t testing.TB, env string) string {
	t.Helper()
	name := freshName()
	administer(t, env, "CREATE DATABASE "+name, "DROP DATABASE "+name)
	u, err := url.Parse(env)
	if err != nil {
		t.Fatal(err)
	}
	u.Path = name
	return u.String()
}

func freshName() string { return fmt.Sprintf("wxrefund_test_%x", rand.Uint64()) }

func withQuery(t testing.TB, env, name, value string) string {
	t.Helper()
	u, err := url.Parse(env)
	if err != nil {
		t.Fatal(err)
	}
	query := u.Query()
	query.Set(name, value)
	u.RawQuery = query.Encode()
	return u.String()
}

// database opens what a ledger's URL names, without looking into it.
func database(t testing.TB, url string) *sql.DB {
	t.Helper()
	if strings.HasPrefix(url, "cloudbase:") {
		url = overConnection(t, url)
	}
	scheme, rest, _ := strings.Cut(url, ":")
	for _, d := range drivers() {
		if d.scheme == scheme {
			s, err := d.open(t.Context(), rest, options{})
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { s.close() })
			return s.(*server).db
		}
	}
	t.Fatalf("no driver for %s", scheme)
	return nil
}

// administer makes something for a test, and takes it away after it.
func administer(t testing.TB, env, create, drop string) {
	t.Helper()
	t.Cleanup(func() {
		// The test's context has ended by now.
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		if _, err := database(t, env).ExecContext(ctx, drop); err != nil {
			t.Error(err)
		}
	})
	if _, err := database(t, env).ExecContext(t.Context(), create); err != nil {
		t.Fatal(err)
	}
}

// overServers runs a test over the backends that are a [server].
func overServers(t *testing.T, test func(t *testing.T, url string)) {
	over(t, func(b backend) bool { return b.scheme == "postgres" || b.scheme == "mysql" }, func(t *testing.T, _ backend, url string) { test(t, url) })
}

// A connection that lay unused is dropped, though no timer ran meanwhile.
func TestIdleConnectionIsDroppedWithoutATimer(t *testing.T) {
	t.Parallel()
	var i idleness
	now := time.Now()
	for _, test := range []struct {
		later time.Duration
		drop  bool
	}{{0, false}, {maxIdle, false}, {maxIdle + time.Second, true}, {0, false}} {
		now = now.Add(test.later)
		if err := i.reset(now); (err != nil) != test.drop {
			t.Errorf("after %v: got %v, want it dropped: %t", test.later, err, test.drop)
		}
	}
}
