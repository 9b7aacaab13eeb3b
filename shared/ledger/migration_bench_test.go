package ledger

import (
	"database/sql"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"
)

// BenchmarkMigration measures how long the last step of the schema takes in a ledger of
// -growth items; how long a program that comes meanwhile waits for its first commit; and
// the longest that a commit takes of the program before, which goes on.
func BenchmarkMigration(b *testing.B) {
	for _, backend := range backends() {
		if backend.private || backend.scheme == "dynamodb" || backend.scheme == "cloudbase" {
			continue // DynamoDB's index is made without anybody waiting, CloudBase's as PostgreSQL's
		}
		b.Run(backend.name, func(b *testing.B) {
			for b.Loop() {
				url := backend.fresh(b)
				steps, err := schema(backend.scheme)
				if err != nil {
					b.Fatal(err)
				}
				var db *sql.DB
				if backend.scheme == "sqlite" {
					if db, err = sql.Open("sqlite", strings.TrimPrefix(url, "sqlite:")+"?_journal_mode=WAL&_busy_timeout=600000"); err != nil {
						b.Fatal(err)
					}
				} else {
					db = database(b, url)
				}
				makeSchema(b, backend, url, db, len(steps)-1)
				fillTable(b, db, backend.scheme, *growth, growthDue, len(steps) > 3)
				done := make(chan struct{})
				longest := make(chan time.Duration, 1)
				go func() {
					program, most := olderPrograms()[len(steps)-2], time.Duration(0)
					for n := 0; ; n++ {
						select {
						case <-done:
							longest <- most
							return
						default:
						}
						start := time.Now()
						if err := program.send(b.Context(), backend, db, item(fmt.Sprint("before/", n), 0, "x")); err != nil {
							b.Error(err)
						}
						most = max(most, time.Since(start))
					}
				}()
				time.Sleep(200 * time.Millisecond)

				// Two come at once: one does it, the other waits, or gives up and comes again.
				took := make([]time.Duration, 2)
				together(2, func(i int) {
					start := time.Now()
					for {
						s, err := Open(b.Context(), url)
						if err == nil {
							err = s.Commit(b.Context(), item(fmt.Sprint("meanwhile/", i), 0, ""))
							s.Close()
						}
						if err == nil {
							break
						}
						b.Logf("after %v: %v", time.Since(start), err)
					}
					took[i] = time.Since(start)
				})
				b.ReportMetric(float64(slices.Min(took).Milliseconds()), "migration-ms")
				b.ReportMetric(float64(slices.Max(took).Milliseconds()), "other-ms")
				close(done)
				b.ReportMetric(float64((<-longest).Milliseconds()), "before-ms")
				if err := db.Close(); err != nil {
					b.Error(err)
				}
				b.ReportMetric(0, "ns/op")
			}
		})
	}
}
