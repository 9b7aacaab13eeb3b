//go:build mysql || !slim

package ledger

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TLS is on and proves who the server is, but on this machine; the URL decides
// otherwise if it says so.
func TestMySQLFarFromThisMachineMustProveItself(t *testing.T) {
	t.Parallel()
	for rest, want := range map[string]struct {
		addr, tls string
		conns     int
	}{
		"//u:p@db.example.com/d":                       {"db.example.com:3306", "db.example.com", defaultConns},
		"//u:p@db.example.com:4000/d?pool_max_conns=7": {"db.example.com:4000", "db.example.com", 7},
		"//u:p@db.example.com/d?tls=false":             {"db.example.com:3306", "false", defaultConns},
		"//u:p@db.example.com/d?tls=skip-verify":       {"db.example.com:3306", "skip-verify", defaultConns},
		"//u:p@10.0.0.1/d":                             {"10.0.0.1:3306", "10.0.0.1", defaultConns},
		"//u:p@localhost/d":                            {"localhost:3306", "false", defaultConns},
		"//u:p@127.0.0.2/d":                            {"127.0.0.2:3306", "false", defaultConns},
		"//u:p@[::1]/d":                                {"[::1]:3306", "false", defaultConns},
		"//u:p@[2001:db8::1]/d":                        {"[2001:db8::1]:3306", "2001:db8::1", defaultConns},
		"//u:p@localhost/d?tls=true":                   {"localhost:3306", "localhost", defaultConns},
	} {
		c, conns, err := mysqlConfig(rest)
		if err != nil {
			t.Errorf("%s: %v", rest, err)
			continue
		}
		mode := c.TLSConfig
		if c.TLS != nil && !c.TLS.InsecureSkipVerify {
			mode = c.TLS.ServerName
		}
		if c.Addr != want.addr || mode != want.tls || conns != want.conns || c.User != "u" || c.Passwd != "p" || c.DBName != "d" {
			t.Errorf("%s: got %s, TLS %q, %d connections, %s:%s to %s", rest, c.Addr, mode, conns, c.User, c.Passwd, c.DBName)
		}
		if c.MultiStatements || c.AllowFallbackToPlaintext || c.AllowCleartextPasswords || !c.InterpolateParams {
			t.Errorf("%s: got %+v", rest, c)
		}
	}
	c, _, err := mysqlConfig("//u%40x:p%2F%3A%25@localhost/d")
	if err != nil || c.User != "u@x" || c.Passwd != "p/:%" {
		t.Errorf("escapes: %v", err)
	}
}

func TestMySQLRefusesBadURLsWithoutShowingPasswords(t *testing.T) {
	t.Parallel()
	noPEM := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(noPEM, []byte("tiger"), 0o600); err != nil {
		t.Fatal(err)
	}
	refusesURLs(t, "mysql", map[string]string{
		"":                                 "malformed",
		"//u:tig/er@h/d":                   "percent-encoded",
		"//u:tig%er@h/d":                   "percent-encoded",
		"//u:tiger@h":                      "want mysql://",
		"//u:tiger@h/":                     "want mysql://",
		"//u:tiger@h/a/b":                  "want mysql://",
		"//:tiger@h/d":                     "want mysql://",
		"//u:tiger@/d":                     "want mysql://",
		"//u:tiger@h/d?pool_max_conns=-1":  "pool_max_conns",
		"//u:tiger@h/d?tls=maybe":          `tls is "maybe"`,
		"//u:tiger@h/d?parseTime=true":     `unknown parameter "parseTime"`,
		"//u:tiger@h/d?tls_ca=/none":       "/none",
		"//u:tiger@h/d?tls_ca=" + noPEM:    "no certificate",
		"//u:tiger@h/d?tls=false&tls_ca=x": "tls_ca needs tls=true",
	})
}

func TestMySQLSessionsAreStrictAndReadCommitted(t *testing.T) {
	s := open(t, freshOf(t, "mysql"))
	commit(t, s, item("a", 0, "A"))
	db := s.store.(*server).db
	tx, err := db.BeginTx(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer tx.Rollback()
	for name, want := range map[string]string{
		"autocommit": "1", "innodb_lock_wait_timeout": "3", "wait_timeout": "60",
		"sql_mode": "STRICT_ALL_TABLES,NO_ENGINE_SUBSTITUTION", "character_set_client": "utf8mb4",
	} {
		var got string
		if err := tx.QueryRowContext(t.Context(), "SELECT @@"+name).Scan(&got); err != nil || got != want {
			t.Errorf("%s is %q (%v), want %q", name, got, err, want)
		}
	}
	var name, got string
	err = tx.QueryRowContext(t.Context(), `SHOW VARIABLES WHERE Variable_name IN ('tx_isolation', 'transaction_isolation')`).Scan(&name, &got)
	if err != nil || got != "READ-COMMITTED" {
		t.Errorf("%s is %q (%v), want READ-COMMITTED", name, got, err)
	}
}

// Each step is one statement that also numbers it: MySQL commits them one by one.
func TestMySQLSchemaStepsNumberThemselves(t *testing.T) {
	t.Parallel()
	steps, err := schema("mysql")
	if err != nil || len(steps) == 0 {
		t.Fatal(len(steps), err)
	}
	for i, step := range steps {
		if !strings.Contains(step, fmt.Sprintf("COMMENT = '%s%d'", schemaComment, i+1)) {
			t.Errorf("step %d does not number itself", i+1)
		}
	}
}
