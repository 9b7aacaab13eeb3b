package refund

import (
	"context"
	"math"
	"time"
)

// Figures are what a ledger amounts to at one moment. They hold numbers alone: nothing
// of a person, and of no single refund.
type Figures struct {
	At      time.Time // when they were counted, by the clock of due times
	Channel string

	Open        map[State]int64 // refunds that are not settled: claimed, processing and abnormal, also where there are none
	OldestDoubt time.Duration   // how long the oldest claim has been in doubt; 0: none is
	Attention   int64           // refunds that a person should look at
	Alarms      int64           // open causes of alarm that are about no refund
	Owed        int64           // deliveries that subscribers have not acknowledged and that are tried again; at most those of the first [MaxFigured] refunds that are due
}

// MaxFigured is how many refunds are read for the count of deliveries.
const MaxFigured = 2000

// openStates are the states that end by themselves or by a person: few refunds are in
// them at a time, however many the ledger holds.
func openStates() []State { return []State{Claimed, Processing, Abnormal} }

// restingStates are the states in which refunds pile up for ever.
func restingStates() []State { return []State{Success, Closed, Rejected} }

// Figures counts what is open. What it costs grows with that, and not with the ledger.
func (s *Service) Figures(ctx context.Context) (Figures, error) {
	f := Figures{At: s.now(), Channel: s.Channel.Spec().Name}
	var err error
	if f.Open, err = s.countStates(ctx, openStates()); err != nil {
		return Figures{}, err
	}
	if f.Attention, err = s.count(ctx, classes(nil, true)...); err != nil {
		return Figures{}, err
	}
	if f.Alarms, err = s.count(ctx, classAlarm); err != nil {
		return Figures{}, err
	}
	if f.Open[Claimed] > 0 {
		if f.OldestDoubt, err = s.oldest(ctx, f.At, classes([]State{Claimed}, false)); err != nil {
			return Figures{}, err
		}
	}
	f.Owed, err = s.owed(ctx, f.At)
	return f, err
}

// CountResting counts the refunds that nothing is to be done about any more: success,
// closed and rejected, also where there are none. What it costs grows with the ledger.
func (s *Service) CountResting(ctx context.Context) (map[State]int64, error) {
	return s.countStates(ctx, restingStates())
}

func (s *Service) countStates(ctx context.Context, states []State) (map[State]int64, error) {
	counts := make(map[State]int64, len(states))
	for _, state := range states {
		n, err := s.count(ctx, classes([]State{state}, false)...)
		if err != nil {
			return nil, err
		}
		counts[state] = n
	}
	return counts, nil
}

func (s *Service) count(ctx context.Context, classes ...string) (int64, error) {
	n, err := s.Ledger.Count(ctx, Recent(time.Time{}, time.Time{}, classes...))
	return n, ledgerError(err)
}

// fewDoubts is how many claims are read to find the oldest. Of more only times are.
const fewDoubts = 20

// oldest is how long what has been listed under some classes longest has been there, to the
// second. The ledger lists the newest first: where there are many, time is halved until
// nothing is older.
func (s *Service) oldest(ctx context.Context, now time.Time, listed []string) (time.Duration, error) {
	before := func(until time.Time, limit int) ([]Item, string, error) {
		items, next, err := s.Ledger.List(ctx, Recent(time.Time{}, until, listed...), "", limit)
		return items, next, ledgerError(err)
	}
	items, next, err := before(time.Time{}, fewDoubts)
	if err != nil || len(items) == 0 {
		return 0, err
	}
	oldest := items[len(items)-1].At
	for nothing := oldest.Add(-farFuture); next != "" && oldest.Sub(nothing) > time.Second; {
		middle := nothing.Add(oldest.Sub(nothing) / 2)
		items, _, err := before(middle, 1)
		switch {
		case err != nil:
			return 0, err
		case len(items) > 0:
			oldest = items[0].At
		default:
			nothing = middle
		}
	}
	return max(now.Sub(oldest), 0), nil
}

// owed counts the deliveries of what is due by the time at which the last of them would
// be tried again.
func (s *Service) owed(ctx context.Context, now time.Time) (n int64, err error) {
	seen := 0
	err = s.eachDue(ctx, now.Add(deliveryBackoff(math.MaxInt)), func(it Item) (more bool, err error) {
		seen++
		var rec record
		if _, isRefund := it.RefundNo(); isRefund && decode(it, &rec) == nil { // what cannot be read is an alarm of the reconciler's
			for _, e := range rec.Outbox {
				for _, d := range e.Deliveries {
					if !d.GivenUp {
						n++
					}
				}
			}
		}
		return seen < MaxFigured, nil
	})
	return n, err
}

// Ready reports whether the ledger answers: nil, or why it does not. It reads one item.
func (s *Service) Ready(ctx context.Context) error {
	_, err := s.Ledger.Get(ctx, OwnershipKey)
	return ledgerError(err)
}
