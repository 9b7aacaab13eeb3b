package ledger

import (
	"context"
	"database/sql"
	"embed"
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

// checkVersion refuses a database with more steps than this program knows: there
// is no way back.
func checkVersion(version, known int) error {
	if version < 0 || version > known {
		return fmt.Errorf("the database has schema %d, this program knows schemas up to %d: it needs a newer program", version, known)
	}
	return nil
}

// A querier reads a schema's version: a database, one connection or a transaction.
type querier interface {
	QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row
}
