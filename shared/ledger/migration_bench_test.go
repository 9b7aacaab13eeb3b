package ledger

import (
	"database/sql"
	"strings"
	"testing"
	"time"
)

// BenchmarkMigration measures how long the last step of the schema takes in a ledger of
// -growth items, and a program that comes meanwhile waits for its first commit.
func BenchmarkMigration(b *testing.B) {
	for _, backend := range backends() {
		if backend.private || backend.scheme == "dynamodb" {
			continue // its index is made without anybody waiting
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
					if db, err = sql.Open("sqlite", strings.TrimPrefix(url, "sqlite:")+"?_journal_mode=WAL"); err != nil {
						b.Fatal(err)
					}
				} else {
					db = database(b, url)
				}
				makeSchema(b, backend, url, db, len(steps)-1)
				fillTable(b, db, backend.scheme, *growth, growthDue, false)
				if err := db.Close(); err != nil {
					b.Fatal(err)
				}

				began := make(chan struct{})
				waited := make(chan time.Duration)
				go func() {
					<-began
					time.Sleep(20 * time.Millisecond)
					start := time.Now()
					s, err := Open(b.Context(), url)
					for err == nil {
						if err = s.Commit(b.Context(), item("meanwhile", 0, "")); err == nil {
							break
						}
					}
					if err != nil {
						b.Error(err)
					}
					waited <- time.Since(start)
				}()
				start := time.Now()
				close(began)
				s, err := Open(b.Context(), url)
				if err == nil {
					_, _, err = s.Schema(b.Context())
				}
				if err != nil {
					b.Fatal(err)
				}
				b.ReportMetric(float64(time.Since(start).Milliseconds()), "migration-ms")
				b.ReportMetric(float64((<-waited).Milliseconds()), "other-ms")
				b.ReportMetric(0, "ns/op")
				s.Close()
			}
		})
	}
}
