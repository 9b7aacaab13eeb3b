package refund

import (
	"context"
	"time"
)

// A TimerState says whether the reconciler runs, as far as the ledger shows it.
type TimerState struct {
	Seen   time.Time // as [Service.LastRun] tells it
	Behind bool      // something has been due for longer than runs are apart
	Stands bool      // no run has been noted for as long as [MissingRun], or Ahead
	Ahead  bool      // the last run lies ahead of our time: a clock is wrong, here or there
}

// How old the last run may be. It runs every minute, and notes it every five.
const (
	LateRun    = 15 * time.Minute
	MissingRun = sweepEvery + timerBehind // programs of the version before note it once an hour
)

// maxBehind is how far a person's clock may be behind the ledger's.
const maxBehind = 2 * time.Minute

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
	ahead := age < -clockSkew
	return TimerState{Seen: seen, Behind: len(due) > 0, Stands: age > MissingRun || ahead, Ahead: ahead}, nil
}

// CheckClock is asked before a person changes something from a machine of their own. Times
// that lie ahead are brought down to now as set by a wrong clock, so a machine whose own
// clock is behind would rewrite histories, and take for due what is not.
// [CodeConflict] if the reconciler has run more than two minutes ahead of our time.
func (s *Service) CheckClock(ctx context.Context) error {
	seen, err := s.LastRun(ctx)
	if err != nil {
		return err
	}
	if behind := seen.Sub(s.now()); behind > maxBehind {
		return conflictf("this machine's clock is %v behind the ledger's (the timer ran at %s): nothing was done; set the clock",
			behind.Round(time.Second), seen.UTC().Format(time.RFC3339))
	}
	return nil
}
