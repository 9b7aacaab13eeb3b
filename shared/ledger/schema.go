package ledger

import (
	"context"
	"database/sql"
	"embed"
	"errors"
	"fmt"
	"io/fs"
)

// schemaFiles holds the schemas, a file a step: schema/DIALECT-NNN.sql. Steps
// are only ever added; one that has been released is not edited again.
//
//go:embed schema/*.sql
var schemaFiles embed.FS

// schema returns the steps of a dialect's schema, in order.
func schema(dialect string) (steps []string, err error) {
	names, err := fs.Glob(schemaFiles, "schema/"+dialect+"-*.sql") // sorted by name
	if err != nil {
		return nil, err
	}
	for _, name := range names {
		text, err := fs.ReadFile(schemaFiles, name)
		if err != nil {
			return nil, err
		}
		steps = append(steps, string(text))
	}
	return steps, nil
}

// schemaLock is the lock of PostgreSQL's under which the schema is changed: "wxrefund".
const schemaLock int64 = 0x7778726566756e64

// newestUsable is the newest schema of tables with which a program can work that
// knows so many steps: one more, so that the version before goes on while functions
// are upgraded, from a cold start too. Each step must keep the program of the step
// before working.
func newestUsable(known int) int { return known + 1 }

// ErrNewer reports that a database has a schema with which this program cannot work.
var ErrNewer = errors.New("it needs a newer program")

// checkVersion refuses a database with more steps than this program can work with:
// there is no way back.
func checkVersion(version, most int) error {
	if version < 0 || version > most {
		return fmt.Errorf("the database has schema %d, this program works with schemas up to %d: %w", version, most, ErrNewer)
	}
	return nil
}

// A querier reads a schema's version: a database, one connection or a transaction.
type querier interface {
	QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row
}
