//go:build !slim

package ledger

import (
	"context"
	"database/sql"
	"fmt"
	"strings"
	"testing"

	"wxrefund/shared/refund"
)

// Later steps are applied to what is there, once, by whoever comes first. A step that
// fails takes those before it back; but in MySQL, which commits each by itself, they
// stay and are not done again.
func TestLaterSchemaStepsAreAppliedOnce(t *testing.T) {
	overSQL(t, func(t *testing.T, b backend, url string, db *sql.DB) {
		s := open(t, url)
		commit(t, s, item("a", 0, "A"))
		steps := knownSteps(t, b)
		known := len(steps)
		migrate, kept := migratePostgres, known
		one, two, fails := "CREATE TABLE wxrefund_one (x int); INSERT INTO wxrefund_one VALUES (1);", "ALTER TABLE wxrefund_items ADD COLUMN two text", "INSERT INTO nowhere VALUES (1)"
		dbs := []*sql.DB{db}
		switch b.scheme {
		case "sqlite":
			migrate, dbs = migrateSQLite, []*sql.DB{s.store.(*sqliteFile).writes.db}
		case "mysql":
			migrate, kept = migrateMySQL, known+1
			one = fmt.Sprintf("ALTER TABLE wxrefund_items ADD COLUMN one TEXT, COMMENT = '%s%d'", schemaComment, known+1)
			two = fmt.Sprintf("ALTER TABLE wxrefund_items ADD COLUMN two TEXT, COMMENT = '%s%d'", schemaComment, known+2)
			fails = "ALTER TABLE nowhere COMMENT 'x'"
		case "cloudbase":
			kept = known + 1
			migrate = func(ctx context.Context, _ *sql.DB, steps []string) error {
				c := open(t, url).store.(*cloud)
				c.steps = steps
				_, err := c.ready(ctx, nil)
				return err
			}
		}
		if b.scheme != "sqlite" {
			dbs = append(dbs, database(t, url), database(t, url))
		}
		version := func(want int) {
			t.Helper()
			if got := schemaOf(t, b, db); got != want {
				t.Errorf("schema %d, want %d", got, want)
			}
		}
		version(known)
		err := migrate(t.Context(), dbs[0], append(steps, one, fails))
		if err == nil || !strings.Contains(err.Error(), fmt.Sprintf("step %d: ", known+2)) {
			t.Errorf("got %v, want the step that failed", err)
		}
		version(kept)

		steps = append(steps, one, two)
		together(2*len(dbs), func(i int) {
			if err := migrate(t.Context(), dbs[i%len(dbs)], steps); err != nil {
				t.Error(err)
			}
		})
		version(known + 2)
		if b.scheme != "mysql" {
			var n int
			if err := db.QueryRowContext(t.Context(), "SELECT count(*) FROM wxrefund_one").Scan(&n); err != nil || n != 1 {
				t.Errorf("%d rows, %v; want 1", n, err)
			}
		}
		same(t, "kept", get(t, s, "a"), []refund.Item{item("a", 1, "A")})
	})
}
