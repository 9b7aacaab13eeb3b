package refund_test

import (
	"context"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"wxrefund/shared/refund"
)

// C20: with every notification lost, the reconciler closes the refund.
func TestReconcileClosesWhatNoNotificationClosed(t *testing.T) {
	f := clocked(t)
	f.must(t, request("R1", 60))
	f.up.set("R1", refund.StatusSuccess)
	wantEqual(t, "before anything is due", refund.Summary{}, f.reconcile(t))
	f.advance(time.Minute)
	wantEqual(t, "when due", refund.Summary{Checked: 1, Settled: 1}, f.reconcile(t))
	f.wantStatus(t, "R1", "SUCCESS", "")
	f.advance(100 * time.Hour)
	wantEqual(t, "after the end", refund.Summary{}, f.reconcile(t))
}

// The queries follow APIv3's advice: every minute, then at 5, 10, 20 and 30 minutes. A
// bank card takes days: the refund is asked about every three hours as long as that takes.
func TestReconcileAsksOnTheScheduleOfAPIv3(t *testing.T) {
	f := clocked(t)
	f.must(t, request("R1", 60))
	var asked []int
	for minute := 1; minute <= 24*60+400; minute++ {
		f.advance(time.Minute)
		if f.reconcile(t).Checked > 0 {
			asked = append(asked, minute)
		}
	}
	wantEqual(t, "minutes", []int{1, 2, 3, 4, 5, 10, 20, 40, 70, 100}, asked[:10])
	last := asked[len(asked)-2:]
	if got := last[1] - last[0]; got != 180 {
		t.Errorf("after a day every %d minutes, want 180", got)
	}
	days := 0
	for range 4 * 24 {
		f.advance(time.Hour)
		days += f.reconcile(t).Checked
	}
	if days != 4*24/3 {
		t.Errorf("asked %d times in the four days after, want every three hours", days)
	}
	f.up.set("R1", refund.StatusSuccess)
	for range 3 {
		f.later(t, time.Hour)
	}
	f.wantStatus(t, "R1", "SUCCESS", "within three hours of the bank's")
}

// A2, A3: a claim that never reached the upstream is sent again, with the same number and
// content; what the upstream had accepted is found by asking, and not sent again.
func TestReconcileResumesWhatNobodyAnswered(t *testing.T) {
	for name, c := range map[string]struct {
		fault       func(*upstream)
		want        refund.Summary
		submissions int
	}{
		"it never arrived":    {func(u *upstream) { u.before = noAnswer }, refund.Summary{Checked: 1, Settled: 1, Resubmitted: 1}, 2},
		"the answer was lost": {func(u *upstream) { u.after = noAnswer }, refund.Summary{Checked: 1, Settled: 1}, 1},
	} {
		f := clocked(t)
		c.fault(f.up)
		f.refused(t, request("R1", 60), refund.CodeUnavailable, refund.SameNumber)
		f.up.before, f.up.after = nil, nil
		f.advance(2 * time.Minute)
		wantEqual(t, name, c.want, f.reconcile(t))
		f.wantStatus(t, "R1", "PROCESSING", "though "+name)
		if sent := f.up.count("refund:R1"); sent != c.submissions || len(f.up.refunds) != 1 {
			t.Errorf("%s: %d submissions and %d refunds upstream, want %d and 1", name, sent, len(f.up.refunds), c.submissions)
		}
	}
}

// Many timers at once: each due refund is asked about by one of them.
func TestManyTimersAtOnceShareTheWork(t *testing.T) {
	f := clocked(t)
	for i := range 50 {
		f.must(t, request(number(i), 2))
		f.up.set(number(i), refund.StatusSuccess)
	}
	f.advance(time.Minute)
	var mu sync.Mutex
	var sum refund.Summary
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			got, err := f.Reconcile(context.Background())
			if err != nil {
				t.Error(err)
			}
			mu.Lock()
			defer mu.Unlock()
			sum.Checked += got.Checked
			sum.Settled += got.Settled
		})
	}
	wg.Wait()
	wantEqual(t, "together", refund.Summary{Checked: 50, Settled: 50}, sum)
	for i := range 50 {
		f.wantCalls(t, "query:"+number(i), 1, "by all timers together")
	}
}

// A run ends in time and says how much is left; the next goes on from there.
func TestReconcileIsBoundedAndResumable(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := clocked(t)
		for i := range 50 {
			f.must(t, request(number(i), 2))
			f.up.set(number(i), refund.StatusSuccess)
		}
		f.advance(time.Minute)
		f.up.slow = time.Second
		ctx, cancel := context.WithTimeout(t.Context(), 8*time.Second)
		defer cancel()
		start := time.Now()
		got, err := f.Reconcile(ctx)
		if err != nil {
			t.Fatal(err)
		}
		if took := time.Since(start); took > 7*time.Second {
			t.Errorf("took %v of 8 s", took)
		}
		if got.Checked == 0 || got.Remaining == 0 || got.Checked+got.Remaining != 50 || got.Settled != got.Checked {
			t.Errorf("first run: %+v", got)
		}
		f.up.slow = 0
		if rest := f.reconcile(t); rest.Settled != got.Remaining || rest.Remaining != 0 {
			t.Errorf("second run: %+v after %+v", rest, got)
		}
	})
}

// A refusal is believed once the upstream has said that it holds nothing under
// the number; until then it is asked, for some hours.
func TestRefusalIsAskedAboutUntilTheUpstreamHoldsNothing(t *testing.T) {
	refused := func(t *testing.T) *fixture {
		f := clocked(t)
		f.up.before = refusal(refund.CodeRejected, refund.AfterFix, "INVALID_REQUEST")
		f.refused(t, request("R1", 60), refund.CodeRejected, refund.AfterFix)
		f.up.before = nil
		return f
	}
	day := func(t *testing.T, f *fixture) {
		for range 24 * 60 {
			f.later(t, time.Minute)
		}
	}
	t.Run("nothing is held", func(t *testing.T) {
		f := refused(t)
		day(t, f)
		f.wantCalls(t, "query:R1", 1, "")
		if strings.Contains(f.log.String(), "level=ERROR") {
			t.Errorf("an alarm:\n%s", f.log)
		}
		f.must(t, request("R1", 50)) // the number is free for the corrected content
		f.up.set("R1", refund.StatusSuccess)
		if day(t, f); f.status(t, "R1") != "SUCCESS" {
			t.Error("claimed anew, it is not pursued")
		}
	})
	t.Run("somebody else has used the number", func(t *testing.T) {
		f := refused(t)
		other := notification("R1", 70, refund.StatusSuccess).Refund
		f.up.refunds["R1"] = other
		f.advance(time.Minute)
		wantEqual(t, "summary", refund.Summary{Checked: 1}, f.reconcile(t))
		f.wantStatus(t, "R1", "SUCCESS", "")
		if f.alarms("number_taken") == 0 {
			t.Error("no alarm")
		}
		_, err := f.Refund(t.Context(), server, request("R2", 31)) // 70 of 100 are gone
		wantCode(t, err, refund.CodeConflict, refund.Never)
	})
	t.Run("the upstream does not answer", func(t *testing.T) {
		f := refused(t)
		f.up.queryErr = &refund.Error{Code: refund.CodeUnavailable, Next: refund.SameNumber, Message: "no answer"}
		day(t, f)
		f.wantCalls(t, "query:R1", 20, "")
	})
}
