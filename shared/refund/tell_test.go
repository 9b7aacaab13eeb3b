package refund_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"wxrefund/shared/refund"
)

// A robot remembers what it is told and answers as its script says.
type robot struct {
	mu     sync.Mutex
	told   []refund.Alert
	at     []time.Time
	answer func() error // nil: it takes everything
}

func (r *robot) tell(_ context.Context, a refund.Alert) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.told, r.at = append(r.told, a), append(r.at, time.Now())
	if r.answer != nil {
		return r.answer()
	}
	return nil
}

// heard lists what it was told in short: CODE ABOUT ABOUT ..., and forgets it.
func (r *robot) heard() (lines []string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, a := range r.told {
		line := a.Alarms[0].Code
		for _, o := range a.Alarms {
			line += " " + o.About
		}
		lines = append(lines, line)
	}
	r.told = nil
	slices.Sort(lines)
	return lines
}

func (f *fixture) robot(name string, perMinute int) *robot {
	r := &robot{}
	f.Alerters = append(f.Alerters, refund.Alerter{Name: name, PerMinute: perMinute, Tell: r.tell})
	return r
}

func wantHeard(t *testing.T, r *robot, when string, want ...string) {
	t.Helper()
	if got := r.heard(); !slices.Equal(got, want) {
		t.Errorf("was told %q, want %q %s", got, want, when)
	}
}

// abnormal makes n refunds that are abnormal.
func (f *fixture) abnormal(t *testing.T, n int) {
	t.Helper()
	for i := range n {
		r := request(number(i), 60)
		r.OutTradeNo = fmt.Sprint("O", i)
		f.must(t, r)
		f.up.set(number(i), refund.StatusAbnormal)
	}
	f.advance(time.Minute)
}

// Each alarm is told once to each alerter, by the reconciler and by nobody else, and what
// goes on once a day until somebody has acknowledged it.
func TestEachAlarmIsToldOnceAndThenOnceADay(t *testing.T) {
	f := clocked(t)
	a, b := f.robot("a", 20), f.robot("b", 20)
	f.abnormal(t, 1)
	f.query(t, "R0")
	f.KeepAlarm(t.Context(), "notify", "notification_unreadable", "why")
	if len(a.told) > 0 {
		t.Fatal("told before the reconciler ran")
	}
	f.reconcile(t)
	for _, r := range []*robot{a, b} {
		m := r.told[0]
		if m.Merchant != merchant || m.Open != 2 || m.ID == "" || m.ID == r.told[1].ID {
			t.Errorf("%+v", m)
		}
		wantHeard(t, r, "at first", "notification_unreadable notify", "refund_abnormal R0")
	}
	for range 22 {
		f.wait(t, time.Hour)
		wantHeard(t, a, "within a day")
	}
	f.wait(t, 6*time.Hour)
	wantHeard(t, a, "a day later, of what goes on", "refund_abnormal R0")
	f.acknowledge(t, "R0", "refund_abnormal")
	f.wait(t, 50*time.Hour)
	wantHeard(t, a, "once it is acknowledged")
}

// Many alarms of one code are one message; a few are one each.
func TestManyAlarmsOfOneCodeAreOneMessage(t *testing.T) {
	for n, want := range map[int][]int{3: {1, 1, 1}, 4: {4}, 60: {50, 10}} {
		f := clocked(t)
		r := f.robot("a", 20)
		f.abnormal(t, n)
		f.reconcile(t)
		var sizes, more []int
		for _, a := range r.told {
			sizes, more = append(sizes, len(a.Alarms)), append(more, a.More)
		}
		if !slices.Equal(sizes, want) || n == 60 && (more[0] != 10 || more[1] != 0) {
			t.Errorf("%d alarms are messages of %v, more %v, want %v", n, sizes, more, want)
		}
		f.later(t, time.Minute)
		if len(r.told) != len(want) {
			t.Errorf("%d messages, want none again", len(r.told)-len(want))
		}
	}
}

// Alarms for want of funds are one message with the sum of all, once an hour.
func TestWantOfFundsIsOneMessageWithItsSum(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := setUp(t)
		r := f.robot("a", 20)
		f.up.before = short
		refuse := func(no string, fen int64) {
			req := request(no, fen)
			req.OutTradeNo = "O" + no
			f.refused(t, req, refund.CodeRejected, refund.Later)
		}
		refuse("R1", 60)
		refuse("R2", 30)
		f.reconcile(t)
		refuse("R3", 7)
		time.Sleep(time.Minute)
		f.reconcile(t)
		wantEqual(t, "waiting", []refund.Waiting{{Currency: "CNY", Refunds: 2, Amount: 90}}, r.told[0].Waiting)
		wantHeard(t, r, "within an hour", "not_enough R1 R2")
		time.Sleep(time.Hour)
		f.reconcile(t)
		wantEqual(t, "waiting", []refund.Waiting{{Currency: "CNY", Refunds: 3, Amount: 97}}, r.told[0].Waiting)
		wantHeard(t, r, "an hour later", "not_enough R3")
	})
}

// An alerter is sent no more than it takes within a minute, and the messages are apart:
// the rest waits for the next runs.
func TestLimitsOfAnAlerterAreKept(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := setUp(t)
		r := f.robot("a", 4)
		f.Alerters[0].Apart = time.Second
		for i := range 14 {
			f.KeepAlarm(t.Context(), "x", fmt.Sprint("code", i), "why")
		}
		for range 40 {
			f.reconcile(t)
			time.Sleep(10 * time.Second)
		}
		if len(r.told) != 14 {
			t.Fatalf("%d messages, want 14", len(r.told))
		}
		for i, at := range r.at {
			if i > 0 && at.Sub(r.at[i-1]) < time.Second {
				t.Errorf("messages %d and %d are %v apart", i-1, i, at.Sub(r.at[i-1]))
			}
			if i >= 4 && at.Sub(r.at[i-4]) < time.Minute {
				t.Errorf("five messages within %v", at.Sub(r.at[i-4]))
			}
		}
	})
}

// What an alerter does not take is told again after growing pauses, at least as long as it
// asks for; after a day that is an alarm, which the others are told of.
func TestAlerterThatTakesNothingIsTriedAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := setUp(t)
		r, other := f.robot("a", 20), f.robot("b", 20)
		r.answer = func() error {
			return &refund.Error{Code: refund.CodeLimited, Next: refund.Later, RetryAfter: 10 * time.Minute, Message: "too many"}
		}
		f.KeepAlarm(t.Context(), "notify", "notification_unreadable", "why")
		for range 60 {
			f.reconcile(t)
			time.Sleep(time.Minute)
		}
		if n := len(r.told); n < 4 || n > 6 {
			t.Errorf("%d attempts in an hour, want one in ten minutes", n)
		}
		id := r.told[0].ID
		if slices.ContainsFunc(r.told, func(a refund.Alert) bool { return a.ID != id }) {
			t.Error("the same alert has several ids")
		}
		r.answer = func() error { return errors.New("no") }
		for range 26 * 6 {
			f.reconcile(t)
			time.Sleep(10 * time.Minute)
		}
		if n := len(r.told); n > 60 {
			t.Errorf("%d attempts in a day", n)
		}
		wantHeard(t, other, "", "alerter_unreachable alert/a", "notification_unreadable notify")
		f.wantOpen(t, "", "alert/a alerter_unreachable", "notify notification_unreadable")
		r.answer = nil
		time.Sleep(time.Hour)
		f.reconcile(t)
		f.wantOpen(t, "when it has been reached", "notify notification_unreadable")
	})
}

// One that panics, or hangs, keeps neither the others nor the run.
func TestAlerterThatPanicsKeepsToItself(t *testing.T) {
	f := clocked(t)
	r, other := f.robot("a", 20), f.robot("b", 20)
	r.answer = func() error { panic("defect") }
	f.KeepAlarm(t.Context(), "notify", "notification_unreadable", "why")
	f.reconcile(t)
	wantHeard(t, other, "", "notification_unreadable notify")
	if !strings.Contains(f.log.String(), "msg=untold") {
		t.Errorf("not logged:\n%s", f.log)
	}
}

// Of several reconcilers that run at once, one tells.
func TestOneOfManyReconcilersTells(t *testing.T) {
	f := clocked(t)
	r := f.robot("a", 20)
	r.answer = func() error { time.Sleep(5 * time.Millisecond); return nil }
	f.abnormal(t, 3)
	for i := range 3 {
		f.query(t, number(i))
	}
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() { _, _ = f.Reconcile(t.Context()) })
	}
	wg.Wait()
	f.reconcile(t)
	wantHeard(t, r, "", "refund_abnormal R0", "refund_abnormal R1", "refund_abnormal R2")
}

// A run that dies before it has noted what it told tells again: at least once.
func TestWhatWasNotNotedIsToldAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := setUp(t)
		r := f.robot("a", 20)
		f.KeepAlarm(t.Context(), "notify", "notification_unreadable", "why")
		store := f.Ledger
		h := &hindered{Ledger: store, before: func() error { return nil }}
		f.Service.Ledger = h
		r.answer = func() error {
			h.before = func() error { return errors.New("no store") }
			return nil
		}
		f.reconcile(t)
		f.Service.Ledger = store
		f.reconcile(t)
		if n := len(r.told); n != 1 {
			t.Errorf("%d messages while the first run's lease goes on", n)
		}
		time.Sleep(2 * time.Minute)
		f.reconcile(t)
		f.reconcile(t)
		if n := len(r.told); n != 2 || r.told[0].ID != r.told[1].ID {
			t.Errorf("%d messages, want the same twice", n)
		}
	})
}

// An alerter that is better left alone is told by a later run.
func TestBusyAlerterIsToldLater(t *testing.T) {
	f := clocked(t)
	r, busy := f.robot("a", 20), true
	f.Alerters[0].Busy = func(time.Time) bool { return busy }
	f.KeepAlarm(t.Context(), "notify", "notification_unreadable", "why")
	f.reconcile(t)
	wantHeard(t, r, "while it is busy")
	busy = false
	f.reconcile(t)
	wantHeard(t, r, "", "notification_unreadable notify")
}

// Where nothing is open, or nobody is to be told, a run costs no more than one listing.
func TestTellingNothingCostsOneListing(t *testing.T) {
	f := clocked(t)
	f.must(t, request("R1", 60))
	f.up.set("R1", refund.StatusSuccess)
	f.wait(t, 50*time.Hour)
	count := func() (gets, lists int) {
		c := &counted{Ledger: f.Ledger}
		f.Service.Ledger = c
		defer func() { f.Service.Ledger = c.Ledger }()
		f.reconcile(t)
		return c.gets, c.lists
	}
	gets, lists := count()
	f.robot("a", 20)
	if g, l := count(); g != gets || l != lists+1 {
		t.Errorf("%d reads and %d listings more", g-gets, l-lists)
	}
}

type counted struct {
	refund.Ledger
	gets, lists int
}

func (c *counted) Get(ctx context.Context, keys ...refund.Key) ([]refund.Item, error) {
	c.gets++
	return c.Ledger.Get(ctx, keys...)
}

func (c *counted) List(ctx context.Context, index refund.Index, cursor string, limit int) ([]refund.Item, string, error) {
	c.lists++
	return c.Ledger.List(ctx, index, cursor, limit)
}
