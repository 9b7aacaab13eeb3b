package refund

import (
	"context"
	"time"
)

// A TimerState says whether the reconciler runs, as far as the ledger shows it.
type TimerState struct {
	Seen   time.Time // the last trace of a run, which one of them leaves once an hour; zero: none ever
	Behind bool      // something has been due for longer than runs are apart
	Stands bool      // no run has left its trace, or all that is due is left lying
}

const (
	// timerTrace is how old the last trace of a run may be: one that is due and the run after it.
	timerTrace = sweepEvery + timerBehind
	// timerBehind is how long something may be due before the reconciler is behind: runs are
	// a minute or a few apart, and a run takes up to one.
	timerBehind = 10 * time.Minute
)

// Timer says whether the reconciler runs. It is for people: where nothing is due and
// nobody refunds, it may notice an hour late that the timer stands.
func (s *Service) Timer(ctx context.Context) (TimerState, error) {
	items, err := s.Ledger.Get(ctx, sweepKey)
	if err != nil {
		return TimerState{}, ledgerError(err)
	}
	var last sweep
	if err := decode(items[0], &last); err != nil {
		return TimerState{}, err
	}
	now := s.now()
	due, _, err := s.Ledger.List(ctx, DueBy(now.Add(-timerBehind)), "", 1)
	if err != nil {
		return TimerState{}, ledgerError(err)
	}
	age := now.Sub(last.At)
	return TimerState{Seen: last.At, Behind: len(due) > 0, Stands: age > timerTrace || age < -clockSkew}, nil
}
