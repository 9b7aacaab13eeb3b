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
	OldestDoubt time.Duration   // how long the oldest claim has been in doubt; 0: none is. One that waits for the balance is not
	Attention   int64           // refunds that a person should look at
	Alarms      int64           // open causes of alarm that are about no refund
	Owed        int64           // deliveries that subscribers have not acknowledged and that are tried again
}

// MaxFigured is how many refunds are read at most, of those that are due, for OldestDoubt and Owed.
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
	return f, s.open(ctx, &f)
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

// open looks at what is due by the time at which the last of it would be tried again, and
// so at every claim in doubt and every delivery that is owed.
func (s *Service) open(ctx context.Context, f *Figures) error {
	seen := 0
	return s.eachDue(ctx, f.At.Add(deliveryBackoff(math.MaxInt)), func(it Item) (more bool, err error) {
		seen++
		var rec record
		if _, isRefund := it.RefundNo(); isRefund && decode(it, &rec) == nil { // what cannot be read is an alarm of the reconciler's
			for _, e := range rec.Outbox {
				for _, d := range e.Deliveries {
					if !d.GivenUp {
						f.Owed++
					}
				}
			}
			if rec.State == Claimed && !rec.waits() {
				f.OldestDoubt = max(f.OldestDoubt, f.At.Sub(rec.ClaimedAt))
			}
		}
		return seen < MaxFigured, nil
	})
}

// Ready reports whether the ledger answers: nil, or why it does not. It reads one item.
func (s *Service) Ready(ctx context.Context) error {
	_, err := s.Ledger.Get(ctx, OwnershipKey)
	return ledgerError(err)
}
