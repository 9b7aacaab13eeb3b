//go:build sqlite || !slim

package ledger

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"wxrefund/shared/refund"
)

// BenchmarkTogether measures commits to a file by one caller and by sixteen, and those of
// one caller as they would be without company: a transaction of its own each, and nothing
// around it. They take turns, and so does the disk alone, which writes as much.
//
//	go test -run '^$' -bench Together -benchtime 1000x ./shared/ledger
//
// sixteen-x is how many times as many commits sixteen callers make as one, one-x how many
// times as many one makes as without company, disk how much of one's commit is the disk's.
// They are of the medians of the turns.
func BenchmarkTogether(b *testing.B) {
	dir := b.TempDir()
	f := open(b, "sqlite:"+filepath.Join(dir, "l.db")).store.(*sqliteFile)
	disk, err := os.Create(filepath.Join(dir, "disk"))
	if err != nil {
		b.Fatal(err)
	}
	defer disk.Close()
	body := strings.Repeat("0123456789abcdef", 48)
	// A refund is claimed, and then settled: each commit is of it and its order.
	made := 0
	calls := func(callers, n int, commit func(context.Context, []refund.Item) error) time.Duration {
		from := made
		made += n
		return atOnce(b, callers, n, func(i int) error {
			no := from + i
			for version := range int64(2) {
				if err := commit(b.Context(), []refund.Item{
					item(fmt.Sprintf("account/%08d", no), version, body), classItem(fmt.Sprintf("refund/%08d", no), version, body, "pending", at(no)),
				}); err != nil {
					return err
				}
			}
			return nil
		})
	}
	const turn = 25               // refunds of one caller
	chunk := make([]byte, 5*4096) // the pages of such a commit, about
	turns := []func() time.Duration{
		func() time.Duration { return calls(1, turn, f.alone) },
		func() time.Duration { return calls(1, turn, f.commit) },
		func() time.Duration { return calls(16, 16*turn, f.commit) },
		func() time.Duration {
			start := time.Now()
			for i := range 2 * turn { // over and over the same, as in a WAL
				_, err := disk.WriteAt(chunk, int64(i*len(chunk)))
				if err == nil {
					err = disk.Sync()
				}
				if err != nil {
					b.Fatal(err)
				}
			}
			return time.Since(start)
		},
	}
	took := make([][]float64, len(turns)) // seconds
	for n := 0; n < b.N; n += turn {
		for _, i := range rand.Perm(len(turns)) {
			took[i] = append(took[i], turns[i]().Seconds())
		}
	}
	for _, all := range took {
		slices.Sort(all)
	}
	median := func(i int) float64 { return took[i][len(took[i])/2] }
	alone, one, sixteen, disks := median(0), median(1), median(2), median(3)
	b.ReportMetric(2*turn/one, "one/s")
	b.ReportMetric(2*16*turn/sixteen, "sixteen/s")
	b.ReportMetric(16*one/sixteen, "sixteen-x")
	b.ReportMetric(alone/one, "one-x")
	b.ReportMetric(disks/one, "disk")
	b.ReportMetric(0, "ns/op")
}

// alone writes items in a transaction of their own.
func (f *sqliteFile) alone(ctx context.Context, items []refund.Item) error {
	tx, err := f.writes.db.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer tx.Rollback()
	for _, item := range items {
		if err := f.writes.write(ctx, tx, item); err != nil {
			return err
		}
	}
	return tx.Commit()
}
