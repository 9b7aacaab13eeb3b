package refund_test

import (
	"testing"
	"time"

	"wxrefund/shared/refund"
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

// A run that a person has done says nothing of the timer: neither on a new ledger nor beside
// what the timer, or a version that noted sweeps alone, has left. It brings late times back
// as the timer's does, once an hour, and takes no word of the timer's away.
func TestARunByHandIsNoRunOfTheTimer(t *testing.T) {
	begin := time.Date(2026, 11, 26, 12, 0, 0, 0, time.UTC)
	for name, c := range map[string]struct {
		stored string // before
		timer  bool   // which runs three hours before, and a minute after
		want   time.Time
	}{
		"a new ledger":                      {},
		"the timer has run":                 {timer: true, want: begin.Add(-3 * time.Hour)},
		"a version that noted sweeps alone": {stored: `{"at":"2026-11-26T09:30:00Z"}`, want: time.Date(2026, 11, 26, 9, 30, 0, 0, time.UTC)},
		"a version that noted both":         {stored: `{"at":"2026-11-26T09:30:00Z","ran":"2026-11-26T10:20:00Z"}`, want: time.Date(2026, 11, 26, 10, 20, 0, 0, time.UTC)},
	} {
		t.Run(name, func(t *testing.T) {
			f := setUp(t)
			now := begin
			f.Now = func() time.Time { return now }
			run := func(byHand bool, at time.Time) {
				t.Helper()
				now, f.ByHand = at, byHand
				if _, err := f.Reconcile(t.Context()); err != nil {
					t.Fatal(err)
				}
			}
			item := func() refund.Item {
				items, err := f.Ledger.Get(t.Context(), "reconcile/sweep")
				if err != nil {
					t.Fatal(err)
				}
				return items[0]
			}
			wants := func(want time.Time) {
				t.Helper()
				if at, err := f.LastRun(t.Context()); err != nil || !at.Equal(want) {
					t.Errorf("at %v the timer's last run is said to be of %v, %v, want %v", now, at, err, want)
				}
			}
			if c.stored != "" {
				if err := f.Ledger.Commit(t.Context(), refund.Item{Key: "reconcile/sweep", Body: []byte(c.stored)}); err != nil {
					t.Fatal(err)
				}
			}
			if c.timer {
				run(false, begin.Add(-3*time.Hour))
			}
			before := item().Version
			for i := range 60 {
				run(true, begin.Add(time.Duration(i)*time.Minute))
				wants(c.want)
			}
			if n := item().Version - before; n != 1 {
				t.Errorf("%d commits in an hour by hand, want 1", n)
			}
			run(true, begin.Add(61*time.Minute))
			wants(c.want)
			run(false, begin.Add(62*time.Minute))
			wants(now)
			run(true, begin.Add(3*time.Hour))
			wants(begin.Add(62 * time.Minute))
		})
	}
}
