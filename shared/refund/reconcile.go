package refund

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"sync"
	"time"
)

// A Tally counts what one run of the reconciler did.
type Tally struct {
	Checked     int `json:"checked"`     // refunds that this run took up
	Settled     int `json:"settled"`     // of them, those whose state moved
	Resubmitted int `json:"resubmitted"` // of them, those that the upstream did not know and that were sent again
	Delivered   int `json:"delivered"`   // news told to the business
	Remaining   int `json:"remaining"`   // refunds that are due and were not reached; at most maxRemaining are counted
}

const (
	// runTime bounds one run in real time where the platform sets no deadline.
	runTime = 50 * time.Second
	// runPage is how many due refunds are listed at once.
	runPage = 100
	// runWorkers is how many upstream calls one run has under way at once.
	runWorkers = 8
	// maxRemaining bounds the count of what is left.
	maxRemaining = 1000
)

// Reconcile closes what no notification closed: it asks about every refund
// that is due, and submits again, with the same number and content, what was
// claimed and never reached the upstream. A run ends when nothing is due or
// its time is up; the next one goes on from there. Any number of runs may work
// at once: each refund is taken up by one of them.
func (s *Service) Reconcile(ctx context.Context) (Tally, error) {
	end := time.Now().Add(runTime)
	if d, ok := ctx.Deadline(); ok {
		end = d
	}
	// Whoever is taken up last should still get an answer.
	end = end.Add(-min(callTime, time.Until(end)/2))
	var tally Tally
	cursor, now, p := "", s.now(), &patience{}
	for time.Now().Before(end) && ctx.Err() == nil {
		items, next, err := s.Ledger.List(ctx, now, cursor, runPage)
		if err != nil {
			return tally, ledgerError(err)
		}
		tally.add(s.pursueAll(ctx, items, end, p))
		if cursor = next; next == "" {
			break
		}
	}
	left, err := s.remaining(ctx, now)
	tally.Remaining = left
	s.log(ctx, slog.LevelInfo, "reconciled", "", "checked", tally.Checked, "settled", tally.Settled,
		"resubmitted", tally.Resubmitted, "delivered", tally.Delivered, "remaining", tally.Remaining)
	return tally, err
}

func (t *Tally) add(u Tally) {
	t.Checked += u.Checked
	t.Settled += u.Settled
	t.Resubmitted += u.Resubmitted
	t.Delivered += u.Delivered
}

// pursueAll takes up the listed refunds, a few at a time, until end.
func (s *Service) pursueAll(ctx context.Context, items []Item, end time.Time, p *patience) Tally {
	var (
		mu    sync.Mutex
		tally Tally
		wg    sync.WaitGroup
		work  = make(chan Item)
	)
	for range runWorkers {
		wg.Go(func() {
			for it := range work {
				t := s.pursue(ctx, it, p)
				mu.Lock()
				tally.add(t)
				mu.Unlock()
			}
		})
	}
	for _, it := range items {
		if !time.Now().Before(end) || ctx.Err() != nil {
			break
		}
		work <- it
	}
	close(work)
	wg.Wait()
	return tally
}

// pursue looks after one refund, if it is still due: it asks about it, and tells
// of it what is owed, unless somebody else has taken that up. What goes wrong
// leaves it due later.
func (s *Service) pursue(ctx context.Context, listed Item, p *patience) (t Tally) {
	var rec record
	if err := decode(listed, &rec); err != nil {
		s.log(ctx, slog.LevelError, "alarm", string(listed.Key), "why", "an item of the ledger cannot be read", "error", err)
		return t
	}
	now := s.now()
	if rec.askDue(now) {
		t = s.inquire(ctx, rec.Request.OutRefundNo)
	}
	if t.Settled == 0 && len(rec.tellNow(now, p)) == 0 {
		return t
	}
	tried, delivered := s.deliver(ctx, rec.Request.OutRefundNo, p)
	t.Delivered = delivered
	if tried > 0 {
		t.Checked = 1
	}
	return t
}

// inquire asks about one refund, if it is still due and nobody else has taken it up.
func (s *Service) inquire(ctx context.Context, no string) (t Tally) {
	rec, taken, err := s.takeUp(ctx, no)
	if err != nil || !taken {
		if err != nil {
			s.log(ctx, slog.LevelError, "unsettled", no, "error", err)
		}
		return t
	}
	t.Checked = 1
	crash("reconcile.taken")
	stuck := rec.State == Claimed && s.now().Sub(rec.ClaimedAt) > stuckAfter
	if stuck {
		s.log(ctx, slog.LevelError, "alarm", no, "why", "a claim has had no answer for a day: stuck")
	}
	st, err := s.ask(ctx, no, rec.Moves)
	switch {
	case err == nil:
		if st.Changed {
			t.Settled = 1
		}
	case IsCode(err, CodeNotFound) && rec.State == Claimed && !stuck:
		return s.resubmit(ctx, rec, t)
	case IsCode(err, CodeNotFound) && rec.State == Rejected:
		if err := s.believe(ctx, no, rec.Moves); err != nil {
			s.log(ctx, slog.LevelWarn, "unsettled", no, "state", rec.State, "error", err)
		}
	case IsCode(err, CodeNotFound) && rec.State != Claimed:
		s.log(ctx, slog.LevelError, "alarm", no, "why", "the upstream does not know a refund that it had accepted", "state", rec.State)
	default:
		s.log(ctx, slog.LevelWarn, "unsettled", no, "state", rec.State, "error", err)
	}
	return t
}

// takeUp makes this run the one that asks: it puts the next question off, which
// only one of several can do. taken is false if there is nothing to do any more.
func (s *Service) takeUp(ctx context.Context, no string) (rec record, taken bool, err error) {
	b, err := s.read(ctx, no)
	if err != nil {
		return record{}, false, err
	}
	now := s.now()
	if !b.rec.askDue(now) {
		return b.rec, false, nil
	}
	b.rec.Asked++
	b.touch(refundKey(no))
	err = s.commit(ctx, b, now)
	if errors.Is(err, ErrStale) {
		return b.rec, false, nil
	}
	return b.rec, err == nil, err
}

// believe takes a refusal for true: the upstream holds nothing under the number.
// moves is the record's Moves as the asker knows it.
func (s *Service) believe(ctx context.Context, no string, moves int) error {
	ctx, cancel := settleContext(ctx)
	defer cancel()
	return s.retry(ctx, func() error {
		b, err := s.read(ctx, no)
		if err != nil || b.rec.Moves != moves {
			return err // or claimed again meanwhile
		}
		b.rec.Absent = true
		b.touch(refundKey(no))
		return s.commit(ctx, b, s.now())
	})
}

// resubmit sends a claim again that the upstream says it does not know.
func (s *Service) resubmit(ctx context.Context, known record, t Tally) Tally {
	no := known.Request.OutRefundNo
	b, err := s.read(ctx, no)
	if err != nil {
		s.log(ctx, slog.LevelError, "unsettled", no, "error", err)
		return t
	}
	now := s.now()
	if b.rec.State != Claimed || b.rec.Moves != known.Moves || b.running(now) {
		return t // somebody has gone on with it meanwhile
	}
	if err := b.attempt(s.rules(), now); err != nil {
		return t // too early: the next run
	}
	if err := s.turn(ctx); err != nil {
		return t
	}
	if err := s.commit(ctx, b, now); err != nil {
		if !errors.Is(err, ErrStale) {
			s.log(ctx, slog.LevelError, "unsettled", no, "error", err)
		}
		return t
	}
	t.Resubmitted = 1
	crash("reconcile.resubmit")
	if _, err := s.submit(ctx, b.rec); err == nil {
		t.Settled = 1
	}
	return t
}

// remaining counts what is still due.
func (s *Service) remaining(ctx context.Context, now time.Time) (int, error) {
	items, _, err := s.Ledger.List(ctx, now, "", maxRemaining)
	return len(items), ledgerError(err)
}

// Timer runs the reconciler and replies with its tally as JSON. Neither who
// calls nor what the event says matters: what is due is done once, whoever asks.
func (s *Service) Timer(ctx context.Context, _ Caller, _ []byte) []byte {
	tally, err := s.Reconcile(ctx)
	var reply any = tally
	if err != nil {
		s.log(ctx, slog.LevelError, "unreconciled", "", "error", err)
		reply = map[string]string{"error": AsError(err).Message}
	}
	b, err := json.Marshal(reply)
	if err != nil {
		panic(err) // a struct of integers, or a map of texts
	}
	return b
}
