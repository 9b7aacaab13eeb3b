//go:build !slim

package ledger

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"wxrefund/shared/refund"
)

// classless is what dropping the index of classes takes, by scheme.
var classless = map[string]string{
	"sqlite":   "DROP INDEX wxrefund_items_class",
	"postgres": "DROP INDEX wxrefund_items_class",
	"mysql":    "ALTER TABLE wxrefund_items DROP KEY wxrefund_items_class",
}

// BenchmarkClassCost measures what the index of classes costs a refund: claims and
// settlements in two ledgers of -growth items, one without the index, and without classes, the
// other with. Their calls take turns, and the order of these too: whatever else the machine
// is doing disturbs both alike. A third is without once more: the ratio is to the mean of
// those two, and how far theirs, the noise, is from 1 is how little it says.
func BenchmarkClassCost(b *testing.B) {
	for _, backend := range backends() {
		if backend.private || backend.scheme == "cloudbase" { // its table is PostgreSQL's
			continue
		}
		b.Run(backend.name, func(b *testing.B) {
			runs := map[string][]float64{}
			for b.Loop() {
				ledgers := make([]*Store, 3)
				for i := range ledgers {
					ledgers[i] = costLedger(b, backend, i == 1)
				}
				claim, settle := measureCost(b, ledgers)
				for verb, took := range map[string][]float64{"claim": claim, "settle": settle} {
					without := (took[0] + took[2]) / 2
					runs[verb+"-us"] = append(runs[verb+"-us"], without)
					runs[verb+"-ratio"] = append(runs[verb+"-ratio"], took[1]/without)
					runs[verb+"-noise"] = append(runs[verb+"-noise"], took[2]/took[0])
				}
			}
			for name, of := range runs { // the median of several runs
				slices.Sort(of)
				b.ReportMetric(of[len(of)/2], name)
			}
			b.ReportMetric(0, "ns/op")
		})
	}
}

// costLedger makes a ledger of -growth items with the index of classes or without; of a
// thousand in DynamoDB.
func costLedger(b *testing.B, backend backend, with bool) *Store {
	b.Helper()
	url := backend.fresh(b)
	if backend.scheme == "dynamodb" {
		if !with {
			url = classlessTable(b, url)
		}
		s := open(b, url)
		for some := range slices.Chunk(slices.Repeat([]int{0}, 1000), 100) {
			var items []refund.Item
			for range some {
				i := len(items)
				items = append(items, dueItem(fmt.Sprintf("filling/%d/%d", time.Now().UnixNano(), i), 0, "x", at(i)))
			}
			commit(b, s, items...)
		}
		return s
	}
	s := open(b, url)
	fill(b, s, url, *growth, growthDue)
	if !with {
		var t *table
		switch s := s.store.(type) {
		case *server:
			t = s.table
		case *sqliteFile:
			t = s.writes
		}
		for _, text := range []string{classless[backend.scheme], "UPDATE wxrefund_items SET class = NULL, class_at = NULL WHERE class IS NOT NULL"} {
			if _, err := t.db.ExecContext(b.Context(), text); err != nil {
				b.Fatal(err)
			}
		}
	}
	return s
}

// measureCost returns the medians of a claim and of a settlement in each ledger, of which
// the one at 1 is told classes.
func measureCost(b *testing.B, ledgers []*Store) (claim, settle []float64) {
	b.Helper()
	body := strings.Repeat("0123456789abcdef", 64)
	took := [2][][]time.Duration{make([][]time.Duration, len(ledgers)), make([][]time.Duration, len(ledgers))}
	for i := range 3 * growthCalls {
		key, account := fmt.Sprintf("cost/%d", i*7919%(3*growthCalls)), fmt.Sprintf("cost/account/%d", i)
		for verb := range took {
			for turn := range ledgers {
				l := (i + turn) % len(ledgers)
				claimed, settled := dueItem(key, 0, body, at(100_000+i)), item(key, 1, body)
				if l == 1 {
					claimed.Class, claimed.At = "pending", at(i)
					settled.Class, settled.At = "success", at(i)
				}
				items := []refund.Item{[]refund.Item{claimed, settled}[verb], item(account, int64(verb), body)}
				start := time.Now()
				if err := ledgers[l].Commit(b.Context(), items...); err != nil {
					b.Fatal(err)
				}
				took[verb][l] = append(took[verb][l], time.Since(start))
			}
		}
	}
	medians := func(all [][]time.Duration) (us []float64) {
		for _, of := range all {
			slices.Sort(of)
			us = append(us, float64(of[len(of)/2].Nanoseconds())/1000)
		}
		return us
	}
	return medians(took[0]), medians(took[1])
}
