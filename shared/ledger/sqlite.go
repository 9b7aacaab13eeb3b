//go:build sqlite || !slim

package ledger

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"sync"

	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"
)

var sqliteDriver = []driver{{"sqlite", "sqlite:PATH and sqlite::memory:", openSQLite}}

// sqliteReaders is how many connections read a file: as many as a small machine has use
// for, each of which may keep 2 MB of it.
const sqliteReaders = 4

// A sqliteFile is the ledger in an SQLite database. Its table reads, over connections that
// only read: they see what is committed and wait for no writer. One more writes.
//
// A commit mostly waits for the disk, and SQLite writes one transaction at a time. So
// commits that come while one is written wait, in Go, where their contexts count, and not
// for the file's lock, which is polled in real time and is unfair. They are then written
// together, in one transaction, by the first of them: it leads, in its caller's goroutine.
// There is no other, and in a function between two calls nothing runs.
type sqliteFile struct {
	*table
	writes *table

	// mark begins a commit that is one of several in a transaction, undo takes it back,
	// release ends it.
	mark, undo, release statement

	mu      sync.Mutex
	led     bool // somebody leads
	waiting []*waiter
}

// openSQLite opens the file at path, creating it if need be, or for ":memory:"
// a database that nobody else sees and that lives in its one connection.
func openSQLite(ctx context.Context, path string, _ options) (store, error) {
	if path == "" {
		return nil, errors.New("the path is missing; want sqlite:PATH or sqlite::memory:")
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
	f := &sqliteFile{mark: statement{text: "SAVEPOINT one"}, undo: statement{text: "ROLLBACK TO one"}, release: statement{text: "RELEASE one"}}
	var err error
	if f.writes, err = sqliteTable(d, path, "&_txlock=immediate", 1); err != nil {
		return nil, err
	}
	if f.table = f.writes; path != ":memory:" {
		if f.table, err = sqliteTable(d, path, "&_query_only=1", sqliteReaders); err != nil {
			return nil, errors.Join(err, f.writes.close())
		}
	}
	// The writer comes first: it makes the file.
	if err = f.writes.migrate(ctx); err == nil {
		err = f.writes.prepare(ctx, &f.writes.insert, &f.writes.update, &f.mark, &f.undo, &f.release)
	}
	if err == nil {
		err = f.table.prepare(ctx, f.table.reads()...)
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, errors.Join(err, f.close()))
	}
	return f, nil
}

// sqliteTable is a table over so many connections.
func sqliteTable(d dialect, path, options string, conns int) (*table, error) {
	connector, err := sqlite.NewConnector(sqliteDSN(path) + options)
	if err != nil {
		return nil, err
	}
	db := sql.OpenDB(connector)
	db.SetMaxOpenConns(conns)
	db.SetMaxIdleConns(conns)
	return newTable(db, d), nil
}

// close closes the readers first: whoever closes the file last moves what is in its WAL.
func (f *sqliteFile) close() error { return errors.Join(f.table.close(), f.writes.close()) }

// sqliteDSN says how each connection is set up:
//
//   - WAL, so that readers do not wait for the writer, nor it for them. In memory it has
//     no effect.
//   - synchronous=FULL: a commit that has returned survives a loss of power.
//     NORMAL, which is usual with WAL, may lose the last ones, and with them the
//     knowledge that money was sent.
//   - busy_timeout is short because SQLite's wait does not see a context end; whoever
//     finds the file locked waits on in Go.
//   - A double-quoted word is never taken for a string, and an error has the
//     text that belongs to its code.
//
// The writer's transactions begin IMMEDIATE: they take the write lock at once or wait for
// it. One that began by reading could not be repeated from its middle.
func sqliteDSN(path string) string {
	return "file:" + url.PathEscape(path) + "?_journal_mode=WAL&_synchronous=FULL&_busy_timeout=100&_dqs=0&_error_rc=1"
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
