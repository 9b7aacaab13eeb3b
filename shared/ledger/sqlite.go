//go:build sqlite || !slim

package ledger

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/url"

	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"
)

var sqliteDriver = []driver{{"sqlite", "sqlite:PATH and sqlite::memory:", openSQLite}}

// openSQLite opens the file at path, creating it if need be, or for ":memory:"
// a database that nobody else sees.
//
// One connection serves the Store. SQLite lets only one write at a time
// anyway; callers of one process queue in Go, where their contexts count, and
// not on the file's lock, which is polled in real time and is unfair. A memory
// database lives in its one connection.
func openSQLite(ctx context.Context, path string, _ options) (store, error) {
	if path == "" {
		return nil, errors.New("the path is missing; want sqlite:PATH or sqlite::memory:")
	}
	connector, err := sqlite.NewConnector(sqliteDSN(path))
	if err != nil {
		return nil, err
	}
	d := dialect{
		name: "sqlite", migrate: migrateSQLite, version: sqliteVersion,
		// SQLite looks at a bare parameter when it plans, and so parses the whole
		// statement again at every call.
		limit:     "? + 0",
		duplicate: func(err error) bool { return sqliteCode(err) == sqlite3.SQLITE_CONSTRAINT_PRIMARYKEY },
		locked:    func(err error) bool { return sqliteCode(err)&0xff == sqlite3.SQLITE_BUSY },
		attempts:  50, // of 100 ms and a pause each: 5 seconds
	}
	db := sql.OpenDB(connector)
	db.SetMaxOpenConns(1)
	t := newTable(db, d)
	if err = t.migrate(ctx); err == nil {
		err = t.prepare(ctx)
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, errors.Join(err, db.Close()))
	}
	return t, nil
}

// sqliteDSN says how each connection is set up:
//
//   - WAL, so that readers in other processes do not stop the writer. In memory
//     it has no effect.
//   - synchronous=FULL: a commit that has returned survives a loss of power.
//     NORMAL, which is usual with WAL, may lose the last ones, and with them the
//     knowledge that money was sent.
//   - Transactions begin IMMEDIATE: they take the write lock at once or wait
//     for it. One that began by reading could not be repeated from its middle.
//   - busy_timeout is short because SQLite's wait does not see a context end;
//     dialect.retry waits on.
//   - A double-quoted word is never taken for a string, and an error has the
//     text that belongs to its code.
func sqliteDSN(path string) string {
	return "file:" + url.PathEscape(path) +
		"?_journal_mode=WAL&_synchronous=FULL&_txlock=immediate&_busy_timeout=100&_dqs=0&_error_rc=1"
}

// migrateSQLite applies the steps of the schema that the database does not have
// yet, all or none; its user_version counts those it has. Whoever comes first
// does it, under the write lock; the others then find it done. There is no way
// back: a database that has more steps than we know is refused.
func migrateSQLite(ctx context.Context, db *sql.DB, steps []string) error {
	// Almost always there is nothing to do, and no lock to take.
	done, err := sqliteVersion(ctx, db, len(steps))
	if err != nil || done >= len(steps) {
		return err
	}
	tx, err := db.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer tx.Rollback() // does nothing after a commit
	if done, err = sqliteVersion(ctx, tx, len(steps)); err != nil || done >= len(steps) {
		return err
	}
	for i, step := range steps[done:] {
		if _, err := tx.ExecContext(ctx, step); err != nil {
			return fmt.Errorf("schema step %d: %w", done+i+1, err)
		}
	}
	if _, err := tx.ExecContext(ctx, fmt.Sprintf("PRAGMA user_version = %d", len(steps))); err != nil {
		return err
	}
	return tx.Commit()
}

// sqliteVersion returns how many steps of the schema the database has, which is
// at most known.
func sqliteVersion(ctx context.Context, q querier, known int) (version int, err error) {
	if err := q.QueryRowContext(ctx, "PRAGMA user_version").Scan(&version); err != nil {
		return 0, err
	}
	return version, checkVersion(version, newestUsable(known))
}

// sqliteCode returns SQLite's extended result code; 0 if err is not SQLite's.
func sqliteCode(err error) int {
	if e, ok := errors.AsType[*sqlite.Error](err); ok {
		return e.Code()
	}
	return 0
}
