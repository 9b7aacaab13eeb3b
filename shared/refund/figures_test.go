package refund_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"wxrefund/shared/refund"
)

// listing is a ledger that lists and counts what it holds, and remembers what it cost.
type listing struct {
	refund.Ledger
	items   []refund.Item
	read    int // items that List has returned
	lists   int
	err     error
	counted [][]string // classes, of each Count
}

func (l *listing) in(index refund.Index) []refund.Item {
	var found []refund.Item
	for _, it := range l.items {
		due := index.Kind == refund.IndexDue && !it.Due.IsZero() && !it.Due.After(index.Until)
		class := index.Kind == refund.IndexClass && slices.Contains(index.Classes, it.Class) && (index.Until.IsZero() || it.At.Before(index.Until))
		if due || class {
			found = append(found, it)
		}
	}
	slices.SortStableFunc(found, func(a, b refund.Item) int {
		if index.Kind == refund.IndexDue {
			return a.Due.Compare(b.Due)
		}
		return b.At.Compare(a.At)
	})
	return found
}

func (l *listing) List(_ context.Context, index refund.Index, cursor string, limit int) ([]refund.Item, string, error) {
	all, from := l.in(index), 0
	_, _ = fmt.Sscan(cursor, &from)
	page := all[from:min(from+limit, len(all))]
	l.read += len(page)
	l.lists++
	next := ""
	if from+limit < len(all) {
		next = fmt.Sprint(from + limit)
	}
	return page, next, l.err
}

func (l *listing) Count(_ context.Context, index refund.Index) (int64, error) {
	l.counted = append(l.counted, index.Classes)
	return int64(len(l.in(index))), l.err
}

func (l *listing) Get(context.Context, ...refund.Key) ([]refund.Item, error) {
	return []refund.Item{{}}, l.err
}

var figured = time.Date(2026, 11, 26, 12, 0, 0, 0, time.UTC)

func (l *listing) hold(no, class string, age time.Duration, body string) {
	l.items = append(l.items, refund.Item{
		Key: refund.Key("refund/" + no), Version: 1, Class: class, At: figured.Add(-age), Body: []byte(body), Due: figured.Add(time.Minute),
	})
}

func (l *listing) service() *refund.Service {
	return &refund.Service{Ledger: l, Channel: newUpstream(), Merchant: merchant, Now: func() time.Time { return figured }}
}

func TestFiguresCountWhatIsOpen(t *testing.T) {
	const owed = `{"notices":[{"id":"e1","owed":[{"to":"go"},{"to":"hook","lost":true}]},{"id":"e2","owed":[{"to":"go"},{"to":"hook"}]}]}`
	l := &listing{}
	l.hold("A", "claimed", time.Minute, claimedFor(time.Minute))
	l.hold("B", "claimed!", 26*time.Hour, claimedFor(26*time.Hour))
	l.hold("C", "processing", time.Hour, `{}`)
	l.hold("D", "success", time.Hour, owed)
	l.hold("E", "success!", time.Hour, `{}`)
	l.hold("F", "rejected", 100*time.Hour, `{`) // nobody can read it
	l.items = append(l.items, refund.Item{Key: "alarm/1", Version: 1, Class: "alarm!", At: figured, Body: []byte(`{"notices":[{"owed":[{"to":"go"}]}]}`), Due: figured})
	s := l.service()
	got, err := s.Figures(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	want := refund.Figures{
		At: figured, Channel: "test", Open: map[refund.State]int64{refund.Claimed: 2, refund.Processing: 1, refund.Abnormal: 0},
		OldestDoubt: 26 * time.Hour, Attention: 2, Alarms: 1, Owed: 3,
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
	for _, classes := range l.counted {
		if slices.Contains(classes, "success") || slices.Contains(classes, "rejected") || slices.Contains(classes, "closed") {
			t.Errorf("what rests was counted, too: %v", classes)
		}
	}
	resting, err := s.CountResting(t.Context())
	if d := cmp.Diff(map[refund.State]int64{refund.Success: 2, refund.Closed: 0, refund.Rejected: 1}, resting); d != "" || err != nil {
		t.Errorf("%v (-want +got):\n%s", err, d)
	}
}

// claimedFor is the body of a claim in doubt.
func claimedFor(age time.Duration) string {
	return fmt.Sprintf(`{"state":"claimed","open":[1],"claimed_at":%q}`, figured.Add(-age).Format(time.RFC3339))
}

// Ten thousand claims in doubt are the day on which figures are wanted most: what is read
// is bounded, and the oldest of that is told. One that waits for the balance is in no doubt.
func TestOldestDoubtIsFoundAmongManyWithinABound(t *testing.T) {
	for _, n := range []int{1, 20, 500, 1900, 10_000} {
		l := &listing{}
		for i := range n {
			l.hold(fmt.Sprint(i), "claimed", time.Duration(i+1)*7*time.Second, claimedFor(time.Duration(i+1)*7*time.Second))
		}
		l.hold("waits", "claimed!", 6*24*time.Hour, fmt.Sprintf(`{"state":"claimed","funds":{"since":%q},"claimed_at":%[1]q}`, figured.Add(-6*24*time.Hour).Format(time.RFC3339)))
		f, err := l.service().Figures(t.Context())
		all := time.Duration(n) * 7 * time.Second
		if exact := n < refund.MaxFigured; err != nil || f.OldestDoubt > all || exact && f.OldestDoubt != all || f.OldestDoubt < refund.MaxFigured/4*7*time.Second && !exact {
			t.Errorf("%d claims: the oldest is %v old, want %v (%v)", n, f.OldestDoubt, all, err)
		}
		// What is due is read up to a bound.
		if most := refund.MaxFigured + 100; l.read > most || l.lists > 80 {
			t.Errorf("%d claims: %d items read in %d lists, want at most %d in 80", n, l.read, l.lists, most)
		}
	}
}

func TestOldestDoubtIsNeverNegative(t *testing.T) {
	l := &listing{}
	l.hold("A", "claimed", -time.Hour, `{}`) // another instance's clock runs ahead
	if f, err := l.service().Figures(t.Context()); err != nil || f.OldestDoubt != 0 {
		t.Errorf("got %v, %v; want 0", f.OldestDoubt, err)
	}
}

func TestFiguresOfALedgerThatIsDownAreAnError(t *testing.T) {
	l := &listing{err: errors.New("connection refused")}
	s := l.service()
	if _, err := s.Figures(t.Context()); !refund.IsCode(err, refund.CodeUnavailable) {
		t.Errorf("Figures: %v, want unavailable", err)
	}
	if _, err := s.CountResting(t.Context()); !refund.IsCode(err, refund.CodeUnavailable) {
		t.Errorf("CountResting: %v, want unavailable", err)
	}
	if err := s.Ready(t.Context()); !refund.IsCode(err, refund.CodeUnavailable) {
		t.Errorf("Ready: %v, want unavailable", err)
	}
	l.err = nil
	if err := s.Ready(t.Context()); err != nil {
		t.Errorf("Ready: %v", err)
	}
}

func TestRunsOfTheTimerAreTold(t *testing.T) {
	l := &listing{err: errors.New("connection refused")}
	s := l.service()
	var told []string
	s.Reconciled = func(ctx context.Context, _ refund.Summary, err error) {
		told = append(told, fmt.Sprint(ctx != nil, err != nil))
	}
	reply := s.HandleTimer(t.Context(), server, nil)
	if !strings.Contains(string(reply), `"error"`) || !slices.Equal(told, []string{"true true"}) {
		t.Errorf("told %v of %s, want one run that failed", told, reply)
	}
}
