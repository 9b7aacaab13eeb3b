package ledger

import (
	"embed"
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
