package refund

import (
	"context"
	"time"
)

// bills reads the bills of the days since the backup anew, the oldest first, as far back as
// the upstream hands them out. Of what is taken up, subscribers are told as of whatever
// else a rebuild takes up: the ledger does not know whether they were, but for what is
// older than its first claim.
func (r *rebuilding) bills(ctx context.Context) error {
	if !r.ReadsBills() {
		return nil
	}
	day := firstBill(r.now())
	if !r.Since.IsZero() {
		day = max(day, DayOf(r.Since))
	}
	if r.state.Day != "" {
		day = max(day, r.state.Day.Add(1))
	}
	for ; day <= LastBill(r.now()); day = day.Add(1) {
		if err := r.bill(ctx, day); err != nil {
			return err
		}
		r.state.Day = day
		if err := r.save(ctx); err != nil {
			return err
		}
	}
	return nil
}

// bill reads one day's bill, and tells what was taken up from it.
func (r *rebuilding) bill(ctx context.Context, day Day) error {
	var report BillReport
	var err error
	for attempt := 1; ; attempt++ {
		report, err = r.ReadBill(ctx, BillInput{Caller: r.Caller, Day: day, Why: "the ledger was rebuilt"})
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		if err == nil || !IsCode(err, CodeConflict) && !IsCode(err, CodeUnavailable) || attempt == rebuildAttempts {
			break // else the reconciler may be reading one just now
		}
		if err := sleep(ctx, time.Duration(attempt)*time.Second); err != nil {
			return err
		}
	}
	switch {
	case err != nil:
		r.failed(Rebuilt{Day: day}, err)
		return nil
	case !report.State.result():
		r.found(Rebuilt{Day: day, What: RebuiltFailed, Why: report.Why})
		return nil
	}
	r.count(func(sum *RebuildSummary) {
		sum.Days++
		sum.TakenUp += report.taken
	})
	if report.taken == 0 || r.Found == nil {
		return nil
	}
	for _, f := range report.Findings { // the first of them: the counts say how many there are
		if f.What != rowTheirsOnly {
			continue
		}
		after, err := r.Inspect(ctx, f.OutRefundNo)
		if err != nil {
			return err
		}
		if in := after[0]; in.External && !in.ClaimedAt.Before(r.state.Begun) {
			r.Found(Rebuilt{OutRefundNo: f.OutRefundNo, Day: day, What: RebuiltTakenUp, State: in.State})
		}
	}
	return nil
}
