package refund

import (
	"context"
	"time"
)

// A TimerState says whether the reconciler runs, as far as the ledger shows it.
type TimerState struct {
	Seen   time.Time // as [Service.LastRun] tells it
	Behind bool      // something has been due for longer than runs are apart
	Stands bool      // no run has been noted for as long as [MissingRun]
}

// How old the last run may be. It runs every minute, and notes it every five.
const (
	LateRun    = 15 * time.Minute
	MissingRun = sweepEvery + timerBehind // programs of the version before note it once an hour
)

// timerBehind is how long something may be due before the reconciler is behind: runs are a
// minute or a few apart, and a run takes up to one.
const timerBehind = 10 * time.Minute

// Timer says whether the reconciler runs. It is for people: where nothing is due and
// nobody refunds, it may notice an hour late that the timer stands.
func (s *Service) Timer(ctx context.Context) (TimerState, error) {
	seen, err := s.LastRun(ctx)
	if err != nil {
		return TimerState{}, err
	}
	now := s.now()
	due, _, err := s.Ledger.List(ctx, DueBy(now.Add(-timerBehind)), "", 1)
	if err != nil {
		return TimerState{}, ledgerError(err)
	}
	age := now.Sub(seen)
	return TimerState{Seen: seen, Behind: len(due) > 0, Stands: age > MissingRun || age < -clockSkew}, nil
}
