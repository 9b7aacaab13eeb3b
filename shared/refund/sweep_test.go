package refund_test

import (
	"testing"
	"time"
)

// When the timer last ran is known to some minutes, and noting it costs a commit each
// five minutes and no more.
func TestTheLastRunIsNoted(t *testing.T) {
	f := setUp(t)
	now := time.Date(2026, 11, 26, 12, 0, 0, 0, time.UTC)
	f.Now = func() time.Time { return now }
	if at, err := f.LastRun(t.Context()); !at.IsZero() || err != nil {
		t.Errorf("never ran: got %v, %v", at, err)
	}
	version := func() int64 {
		items, err := f.Ledger.Get(t.Context(), "reconcile/sweep")
		if err != nil {
			t.Fatal(err)
		}
		return items[0].Version
	}
	begin := now
	for range 120 {
		if _, err := f.Reconcile(t.Context()); err != nil {
			t.Fatal(err)
		}
		at, err := f.LastRun(t.Context())
		if age := now.Sub(at); err != nil || age < 0 || age >= 5*time.Minute {
			t.Errorf("at %v the last run is said to be of %v, %v", now, at, err)
		}
		now = now.Add(time.Minute)
	}
	if n, most := version(), int64(now.Sub(begin)/(5*time.Minute))+1; n > most {
		t.Errorf("%d commits in two hours, want at most %d", n, most)
	}
}
