package refund

import (
	"context"
	"log/slog"
	"time"
)

// sweepEvery is how often the reconciler looks at what is due later, for times
// that a wrong clock has set: such an item is not listed until then.
const sweepEvery = time.Hour

// A sweep is when that was last done.
type sweep struct {
	At time.Time `json:"at"`
}

const sweepKey = Key("reconcile/sweep")

// sweep brings what is due later than its rule can have set back to its time. One
// of several reconcilers does it, once an hour, until end.
func (s *Service) sweep(ctx context.Context, end time.Time) error {
	if err := s.Bind(ctx); err != nil {
		return err
	}
	items, err := s.Ledger.Get(ctx, sweepKey)
	if err != nil {
		return ledgerError(err)
	}
	var last sweep
	if err := decode(items[0], &last); err != nil {
		return err
	}
	now := s.now()
	if since := now.Sub(last.At); since >= 0 && since < sweepEvery {
		return nil
	}
	if err := s.Ledger.Commit(ctx, item(sweepKey, items[0].Version, sweep{now}, time.Time{})); err != nil {
		return nil // somebody else does it, or the next run
	}
	cursor := ""
	for time.Now().Before(end) && ctx.Err() == nil {
		listed, next, err := s.Ledger.List(ctx, now.Add(ages), cursor, runPage)
		if err != nil {
			return ledgerError(err)
		}
		for _, it := range listed {
			no, ok := it.RefundNo()
			if !ok || !it.Due.After(now) {
				continue
			}
			var rec record
			if decode(it, &rec) != nil || !rec.aheadOfRule(now) {
				continue
			}
			s.log(ctx, slog.LevelWarn, "clock", no, "alarm", alarmClock, "due", it.Due, "why", "no rule sets a time so far ahead: some instance's clock runs ahead; ignored")
			s.amend(ctx, no, func(b *book, now time.Time) {
				if b.rec.aheadOfRule(now) {
					b.rec.AskAt = now
					b.rec.notAhead(now)
					b.touch(refundKey(no))
				}
			})
		}
		if cursor = next; next == "" {
			break
		}
	}
	return nil
}

// aheadOfRule reports whether the record is due later than any rule can have set.
func (r *record) aheadOfRule(now time.Time) bool {
	if !r.atRest() && r.AskAt.After(now) && r.askDue(now) {
		return true
	}
	for _, n := range r.Notices {
		for _, d := range n.Owed {
			if !d.Lost && d.Next.Sub(now) > tellAfter(d.Tries)+skew {
				return true
			}
		}
	}
	return false
}
