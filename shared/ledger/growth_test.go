package ledger

import (
	"context"
	"database/sql"
	"flag"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"wxrefund/shared/refund"
)

// growth is how many items the larger ledger has: 1000000 for a release.
var growth = flag.Int("growth", 10_000, "items of BenchmarkGrowth's larger ledger")

// growthDue is how many items are due: the work that is left does not grow.
const growthDue = 500

func growthClasses() []string { return []string{"pending", "success", "closed"} }

// fill writes n items of a kilobyte in bulk: half refunds, of three classes, of which
// some are due, half accounts.
func fill(t testing.TB, s *Store, url string, n, dues int) {
	t.Helper()
	var tab *table
	if strings.HasPrefix(url, "cloudbase:") {
		counted(t, s, refund.Everything()) // which makes the table
		fillTable(t, database(t, url), "postgres", n, dues, true)
		return
	}
	switch s := s.store.(type) {
	case *server:
		tab = s.table
		if err := s.ready(t.Context()); err != nil {
			t.Fatal(err)
		}
	case *sqliteFile:
		tab = s.writes
	default:
		t.Skipf("%T cannot be filled in bulk", s)
	}
	scheme, _, _ := strings.Cut(url, ":")
	fillTable(t, tab.db, scheme, n, dues, true)
}

// fillTable does it in the tables of this program, or without classes in those of before.
func fillTable(t testing.TB, db *sql.DB, scheme string, n, dues int, classes bool) {
	t.Helper()
	body := "x'" + strings.Repeat("30313233343536373839616263646566", 64) + "'"
	if scheme == "postgres" {
		body = `'\x` + body[2:]
	}
	const chunk = 500
	for from := 0; from < n; from += chunk {
		var text strings.Builder
		text.WriteString("INSERT INTO wxrefund_items (item_key, version, due_shard, due, body" + map[bool]string{true: ", class, class_at"}[classes] + ") VALUES ")
		for i := from; i < min(from+chunk, n); i++ {
			key, due, class, when := fmt.Sprintf("account/%08d", i-n/2), "NULL", "NULL", "NULL"
			if i < n/2 {
				key = fmt.Sprintf("refund/%08d", i)
				class, when = "'"+growthClasses()[i%3]+"'", fmt.Sprint(at(i).UnixMilli())
			}
			if i < min(dues, n/2) {
				due = fmt.Sprint(at(i).UnixMilli())
			}
			if i > from {
				text.WriteByte(',')
			}
			fmt.Fprintf(&text, "('%s',1,%d,%s,%s", key, shardOf(refund.Key(key)), due, body)
			if classes {
				text.WriteString("," + class + "," + when)
			}
			text.WriteByte(')')
		}
		if _, err := db.ExecContext(t.Context(), text.String()); err != nil {
			t.Fatal(err)
		}
	}
	// What the databases do by themselves some time later.
	analyze := map[string]string{
		"sqlite": "PRAGMA wal_checkpoint(TRUNCATE)", "postgres": "VACUUM ANALYZE wxrefund_items", "mysql": "ANALYZE TABLE wxrefund_items",
	}[scheme]
	if _, err := db.ExecContext(t.Context(), analyze); err != nil {
		t.Fatal(err)
	}
}

// What a refund does to the ledger, over an account that is the ith of the test.
var growthVerbs = []struct {
	name string
	call func(ctx context.Context, s *Store, i, n int, body []byte) error
}{
	{"claim", func(ctx context.Context, s *Store, i, n int, body []byte) error {
		key, account := growthKeys(i, n)
		claimed := classItem(key, 0, string(body), "pending", at(100_000+i))
		claimed.Due = at(100_000 + i)
		return s.Commit(ctx, claimed, item(account, 1, string(body)))
	}},
	{"settle", func(ctx context.Context, s *Store, i, n int, body []byte) error {
		key, account := growthKeys(i, n)
		return s.Commit(ctx, classItem(key, 1, string(body), "success", at(100_000+i)), item(account, 2, string(body)))
	}},
	{"get", func(ctx context.Context, s *Store, i, n int, _ []byte) error {
		key, account := growthKeys(i, n)
		_, err := s.Get(ctx, refund.Key(key), refund.Key(account))
		return err
	}},
	{"list", func(ctx context.Context, s *Store, _, _ int, _ []byte) error {
		items, _, err := s.List(ctx, refund.DueBy(at(growthDue)), "", 100)
		if err == nil && len(items) != 100 {
			err = fmt.Errorf("%d items are due", len(items))
		}
		return err
	}},
	{"recent", func(ctx context.Context, s *Store, i, n int, _ []byte) error { // a page of the newest, from some day
		index := refund.Recent(time.Time{}, at(n/2-i), growthClasses()...)
		items, _, err := s.List(ctx, index, "", 50)
		if err == nil && len(items) != 50 {
			err = fmt.Errorf("%d items are listed", len(items))
		}
		return err
	}},
	{"all", func(ctx context.Context, s *Store, i, n int, _ []byte) error { // a page of everything, from somewhere
		_, account := growthKeys(i, n)
		items, _, err := s.List(ctx, refund.Everything(), encodeCursor(keyCursor+account), 50)
		if err == nil && len(items) != 50 {
			err = fmt.Errorf("%d items are listed", len(items))
		}
		return err
	}},
}

// growthCalls is how often each verb is measured.
const growthCalls = 300

// growthKeys spreads the calls over the whole ledger.
func growthKeys(i, n int) (refund, account string) {
	place := i * (n / 2) / growthCalls
	return fmt.Sprintf("refund/%08d-new", place*7919%(n/2)) + fmt.Sprint(i), fmt.Sprintf("account/%08d", place)
}

// BenchmarkGrowth measures the same calls in a ledger of a thousand items and in
// one of -growth items: medians in microseconds, and what the growth costs.
func BenchmarkGrowth(b *testing.B) {
	for _, backend := range backends() {
		if backend.private || backend.name == "dynamodb" {
			continue // one grows in memory only, the other cannot be filled in bulk
		}
		b.Run(backend.name, func(b *testing.B) {
			for b.Loop() {
				small, large := measureGrowth(b, backend, 1000, *growth)
				for i, verb := range growthVerbs {
					b.ReportMetric(small[i], verb.name+"-us@1000")
					b.ReportMetric(large[i], fmt.Sprint(verb.name, "-us@", *growth))
					b.ReportMetric(large[i]/small[i], verb.name+"-ratio")
				}
				b.ReportMetric(0, "ns/op")
			}
		})
	}
}

// measureGrowth returns the medians of the verbs in ledgers of two sizes. Their
// calls take turns: whatever else the machine is doing disturbs both alike.
func measureGrowth(b *testing.B, backend backend, sizes ...int) (small, large []float64) {
	b.Helper()
	var ledgers []*Store
	for _, n := range sizes {
		url := backend.fresh(b)
		ledgers = append(ledgers, open(b, url))
		fill(b, ledgers[len(ledgers)-1], url, n, growthDue)
	}
	body := []byte(strings.Repeat("0123456789abcdef", 64))
	median := func(took []time.Duration) float64 {
		slices.Sort(took)
		return float64(took[len(took)/2].Nanoseconds()) / 1000
	}
	for _, verb := range growthVerbs {
		took := make([][]time.Duration, len(sizes))
		for i := range growthCalls {
			for l, s := range ledgers {
				start := time.Now()
				if err := verb.call(b.Context(), s, i, sizes[l], body); err != nil {
					b.Fatalf("%s: %v", verb.name, err)
				}
				took[l] = append(took[l], time.Since(start))
			}
		}
		small, large = append(small, median(took[0])), append(large, median(took[1]))
	}
	return small, large
}
