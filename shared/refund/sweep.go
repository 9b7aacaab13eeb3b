package refund

import (
	"context"
	"log/slog"
	"time"
)

// sweepEvery is how often the reconciler looks at what is due later, for times
// that a wrong clock has set: such an item is not listed until then.
const sweepEvery = time.Hour

// beatEvery is how often the reconciler notes that it runs, for [Service.LastRun].
const beatEvery = 5 * time.Minute

// A sweep is when that was last done, and when a run of the timer was last noted. One that a
// person had done has the same time in Hand, which programs of before neither read nor keep.
type sweep struct {
	At   time.Time `json:"at"`
	Ran  time.Time `json:"ran,omitzero"`
	Hand time.Time `json:"hand,omitzero"`
}

// timer is when the timer last ran, as far as is noted. What has no Ran was written by
// versions that noted sweeps alone.
func (s sweep) timer() time.Time {
	if s.Ran.After(s.At) || !s.Hand.IsZero() && s.Hand.Equal(s.At) {
		return s.Ran
	}
	return s.At
}

const sweepKey = Key("reconcile/sweep")

// LastRun is when the timer last ran [Service.Reconcile], to some five minutes; zero: never.
// A run by hand does not count: it says nothing of the next one. Versions of before wrote it
// down once an hour.
func (s *Service) LastRun(ctx context.Context) (time.Time, error) {
	items, err := s.Ledger.Get(ctx, sweepKey)
	if err != nil {
		return time.Time{}, ledgerError(err)
	}
	var last sweep
	if err := decode(items[0], &last); err != nil {
		return time.Time{}, err
	}
	return last.timer(), nil
}

// sweep brings what is due later than any backoff allows back to its time. One
// of several reconcilers does it, once an hour, until end.
func (s *Service) sweep(ctx context.Context, end time.Time) error {
	items, err := s.Ledger.Get(ctx, sweepKey)
	if err != nil {
		return ledgerError(err)
	}
	var last sweep
	if err := decode(items[0], &last); err != nil {
		return err
	}
	now := s.now()
	within := func(t time.Time, every time.Duration) bool { since := now.Sub(t); return since >= 0 && since < every }
	swept := within(last.At, sweepEvery)
	if swept && (s.ByHand || within(last.Ran, beatEvery)) {
		return nil
	}
	next := sweep{At: now, Ran: now}
	switch {
	case s.ByHand:
		next.Ran, next.Hand = last.timer(), now
	case swept:
		next.At, next.Hand = last.At, last.Hand
	}
	if err := s.Ledger.Commit(ctx, item(sweepKey, items[0].Version, next, time.Time{})); err != nil || swept {
		return nil // after an error somebody else does it, or the next run
	}
	return s.eachDue(ctx, now.Add(farFuture), func(it Item) (bool, error) {
		if isApplication(it.Key) {
			s.sweepApplication(ctx, it, now)
			return time.Now().Before(end), nil
		}
		no, ok := it.RefundNo()
		var rec record
		if !ok || !it.Due.After(now) || decode(it, &rec) != nil || !rec.implausiblyLate(now) {
			return time.Now().Before(end), nil
		}
		s.log(ctx, slog.LevelWarn, "clock", no, "alarm", alarmClock, "due", it.Due, "why", "no rule sets a time so far ahead: some instance's clock runs ahead; ignored")
		s.amend(ctx, no, func(tx *txn, now time.Time) {
			if tx.rec.implausiblyLate(now) {
				tx.rec.QueryAt = now
				tx.rec.notAhead(now)
				tx.keepCause(alarmClock, "this refund was due later than any rule says: some instance's clock ran ahead; ignored", now)
			}
		})
		return time.Now().Before(end), nil
	})
}

// implausiblyLate reports whether the record is due later than any backoff allows: a wrong
// clock has set that.
func (r *record) implausiblyLate(now time.Time) bool {
	if !r.atRest() && r.QueryAt.After(now) && r.queryDueNow(now) {
		return true
	}
	for _, e := range r.Outbox {
		for _, d := range e.Deliveries {
			if !d.GivenUp && d.implausiblyLate(now) {
				return true
			}
		}
	}
	return false
}

// sweepApplication does the same for an application.
func (s *Service) sweepApplication(ctx context.Context, it Item, now time.Time) {
	var a application
	if decode(it, &a) != nil || !a.overdue(now) {
		return
	}
	s.log(ctx, slog.LevelWarn, "clock", "", "application_id", a.ID, "alarm", alarmClock, "due", it.Due, "why", "no rule sets a time so far ahead: some instance's clock runs ahead; ignored")
	_, err := s.updateApplication(ctx, a.ID, func(a *application, now time.Time) error {
		if !a.overdue(now) {
			return errUnchanged
		}
		if a.CreatedAt.After(now) {
			a.CreatedAt = now
		}
		if a.LookAt.After(now) {
			a.LookAt = now
		}
		return nil
	})
	if err != nil {
		s.log(ctx, slog.LevelWarn, "not noted", "", "application_id", a.ID, "error", err)
	}
}
