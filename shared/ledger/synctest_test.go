package ledger

import (
	"context"
	"errors"
	"math/rand/v2"
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"

	"wxrefund/shared/refund"
)

// The ledger works under synctest, where other packages test what takes hours: what
// it waits for itself does not follow the virtual clock.
func TestLedgerWorksUnderSynctest(t *testing.T) {
	t.Parallel()
	file := "sqlite:" + filepath.Join(t.TempDir(), "ledger.db")
	for name, urls := range map[string][]string{
		"memory":     {"sqlite::memory:"},
		"file":       {file},
		"file twice": {file + "2", file + "2"}, // two ledgers that lock each other out
	} {
		synctest.Test(t, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), 48*time.Hour)
			defer cancel()
			var ledgers []*Store
			for _, url := range urls {
				s, err := Open(ctx, url)
				if err != nil {
					t.Fatalf("%s: %v", name, err)
				}
				defer s.Close()
				ledgers = append(ledgers, s)
			}
			start := time.Now()
			together(64, func(i int) {
				time.Sleep(time.Duration(rand.IntN(10)) * time.Hour)
				if err := increment(ctx, ledgers[i%len(ledgers)], "counter"); err != nil {
					t.Errorf("%s: %v", name, err)
				}
			})
			same(t, name, get(t, ledgers[0], "counter"), []refund.Item{item("counter", 64, "64")})

			due := start.Add(24 * time.Hour)
			commit(t, ledgers[0], dueItem("later", 0, "", due))
			if got := pages(t, ledgers[0], time.Now(), 1); got != nil {
				t.Errorf("%s: due too early: %v", name, got)
			}
			time.Sleep(time.Until(due))
			if got := pages(t, ledgers[0], time.Now(), 1); len(got) != 1 {
				t.Errorf("%s: not due after a day: %v", name, got)
			}
			<-ctx.Done()
			if _, err := ledgers[0].Get(ctx, "counter"); !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("%s: after two days: %v", name, err)
			}
		})
	}
}
