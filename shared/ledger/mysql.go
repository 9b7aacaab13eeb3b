//go:build mysql || !slim

package ledger

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"database/sql"
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"slices"
	"strings"

	"github.com/go-sql-driver/mysql"
)

var mysqlDriver = []driver{{"mysql", "mysql://USER:PASSWORD@HOST:PORT/DATABASE", openMySQL}}

// openMySQL serves MySQL from 5.7, MariaDB from 10.2 and what speaks like them:
// TDSQL-C, TiDB. It sends nothing yet; see [server].
//
// The URL must name the primary, and no proxy that sends reads to replicas: they
// are not up to date there. What a commit outlives is the server's to decide, and
// no session can raise it: innodb_flush_log_at_trx_commit must be 1 to outlive a
// crash of the machine, and if replication is asynchronous a failover may lose
// the last commits. The bodies of a commit must fit into the server's
// max_allowed_packet together, escaped (at most twice their length); more is refused. A
// database that distributes tables by a shard key is not supported.
func openMySQL(_ context.Context, rest string, _ options) (store, error) {
	config, conns, err := mysqlConfig(rest)
	if err != nil {
		return nil, err
	}
	connector, err := mysql.NewConnector(config)
	if err != nil {
		return nil, err
	}
	d := dialect{
		name: "mysql", migrate: migrateMySQL, version: mysqlVersion,
		ranges:   true,
		snapshot: sql.LevelRepeatableRead,
		locked: func(err error) bool {
			// A lock's wait, a deadlock (also what Galera calls a conflict at the
			// commit), and TiDB's conflicts. After each the transaction is rolled back,
			// by the server or by us.
			return slices.Contains([]uint16{1205, 1213, 8022, 9007}, mysqlCode(err))
		},
		attempts: lockAttempts,
	}
	return newServer(mysqlConnector{connector}, conns, d, commitMySQL), nil
}

// mysqlConfig makes the driver's settings of a URL, whose parameters may be:
//
//	tls=true         the server proves by its certificate to be the one that the
//	                 URL names; the default, but on this machine
//	tls=skip-verify  encrypted, but to whom is anyone's guess
//	tls=false        in plain text
//	tls_ca=PATH      the authorities to believe, in PEM, if not the system's
//	pool_max_conns=N connections of a process; default 8
//
// Parameters are written into the text of a statement by the driver, and not
// sent to a prepared one: that is one round trip where preparing makes three,
// and no proxy can lose it. It is safe, for the connection is in UTF-8, and the
// modes that change what a quote means are switched off.
func mysqlConfig(rest string) (config *mysql.Config, conns int, err error) {
	u, conns, err := serverURL("mysql", rest)
	if err != nil {
		return nil, 0, err
	}
	host, port, database := u.Hostname(), u.Port(), strings.TrimPrefix(u.Path, "/")
	if host == "" || u.User.Username() == "" || database == "" || strings.Contains(database, "/") {
		return nil, 0, errors.New("want mysql://USER:PASSWORD@HOST:PORT/DATABASE")
	}
	if port == "" {
		port = "3306"
	}
	config = mysql.NewConfig()
	config.Net, config.Addr, config.DBName = "tcp", net.JoinHostPort(host, port), database
	config.User = u.User.Username()
	config.Passwd, _ = u.User.Password()
	config.Timeout = maxDial
	config.InterpolateParams = true
	config.RejectReadOnly = true // a primary until lately; the connection is given up
	config.Logger = &mysql.NopLogger{}
	config.Params = map[string]string{
		"autocommit":               "1",
		"sql_mode":                 "'STRICT_ALL_TABLES,NO_ENGINE_SUBSTITUTION'",
		"innodb_lock_wait_timeout": fmt.Sprint(lockSeconds),
		// A process that is frozen within a transaction must not keep its rows
		// locked for long. It is longer than maxIdle: we go first.
		"wait_timeout": fmt.Sprint(int(maxIdle.Seconds()) + 10),
	}
	return config, conns, mysqlTLS(config, u.Query(), host)
}

func mysqlTLS(config *mysql.Config, query url.Values, host string) error {
	for name := range query {
		if name != "tls" && name != "tls_ca" {
			return fmt.Errorf("unknown parameter %q; known are tls, tls_ca and pool_max_conns", name)
		}
	}
	mode := query.Get("tls")
	if mode == "" {
		mode = "true"
		if isLoopback(host) && !query.Has("tls_ca") {
			mode = "false"
		}
	}
	switch mode {
	case "false", "skip-verify":
		config.TLSConfig = mode
	case "true":
		config.TLS = &tls.Config{ServerName: host, MinVersion: tls.VersionTLS12}
	default:
		return fmt.Errorf("tls is %q, want true, skip-verify or false", mode)
	}
	if !query.Has("tls_ca") {
		return nil
	}
	if mode != "true" {
		return fmt.Errorf("tls_ca needs tls=true, not %q", mode)
	}
	pem, err := os.ReadFile(query.Get("tls_ca"))
	if err != nil {
		return fmt.Errorf("tls_ca: %w", err)
	}
	config.TLS.RootCAs = x509.NewCertPool()
	if !config.TLS.RootCAs.AppendCertsFromPEM(pem) {
		return errors.New("tls_ca: no certificate in the file")
	}
	return nil
}

// migrateMySQL applies the steps of the schema that the database does not have
// yet. Each is one statement, which also numbers it: the database commits it by
// itself, so that there is no transaction of several, and a crash between two
// leaves the rest to the next process. Whoever comes first does it, under a lock
// of the connection; the others then find it done. A database that has more steps
// than we know is refused.
func migrateMySQL(ctx context.Context, db *sql.DB, steps []string) error {
	// Almost always there is nothing to do, and this is the one round trip.
	done, err := mysqlVersion(ctx, db, len(steps))
	if err != nil || done >= len(steps) {
		return err
	}
	conn, err := db.Conn(ctx)
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close() }() // it goes back to the pool
	// Such locks are the server's, not the database's, and their names are short.
	const name = `CONCAT('wxrefund ', SHA1(DATABASE()))`
	var got sql.NullInt64
	if err := conn.QueryRowContext(ctx, `SELECT GET_LOCK(`+name+`, 30)`).Scan(&got); err != nil {
		return err
	}
	if got.Int64 != 1 {
		return errors.New("another process has been changing the schema for 30 seconds")
	}
	// If the context has ended, so has the connection, and the lock with it.
	defer func() { _, _ = conn.ExecContext(ctx, `DO RELEASE_LOCK(`+name+`)`) }()
	if done, err = mysqlVersion(ctx, conn, len(steps)); err != nil || done >= len(steps) {
		return err
	}
	for i, step := range steps[done:] {
		if _, err := conn.ExecContext(ctx, step); err != nil {
			return fmt.Errorf("step %d: %w", done+i+1, err)
		}
	}
	return nil
}

// mysqlVersion returns how many steps of the schema the database has, which is
// at most known.
func mysqlVersion(ctx context.Context, q querier, known int) (int, error) {
	var comment string
	err := q.QueryRowContext(ctx, `SELECT table_comment FROM information_schema.tables
		WHERE table_schema = DATABASE() AND table_name = 'wxrefund_items'`).Scan(&comment)
	if errors.Is(err, sql.ErrNoRows) {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	return commentVersion(comment, known)
}

// mysqlCode returns the server's error number; 0 if err is no answer of the server's.
func mysqlCode(err error) uint16 {
	if e, ok := errors.AsType[*mysql.MySQLError](err); ok {
		return e.Number
	}
	return 0
}
