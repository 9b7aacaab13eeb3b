package refund

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"runtime/debug"
	"sync"
	"time"
)

// A Summary counts what one run of the reconciler did.
type Summary struct {
	Checked     int `json:"checked"`     // refunds that this run took up
	Settled     int `json:"settled"`     // of them, those whose state moved
	Resubmitted int `json:"resubmitted"` // of them, those that the upstream did not know and that were submitted again
	Released    int `json:"released"`    // of them, those that the upstream never had and that were released
	Delivered   int `json:"delivered"`   // events that subscribers acknowledged
	Remaining   int `json:"remaining"`   // refunds that are due and were not reached; at most maxRemaining are counted
	Bills       int `json:"bills"`       // days whose bill this run has held against the ledger to its end
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
func (s *Service) Reconcile(ctx context.Context) (Summary, error) {
	end := time.Now().Add(runTime)
	if d, ok := ctx.Deadline(); ok {
		end = d
	}
	// Whoever is taken up last should still get an answer.
	end = end.Add(-min(callTimeout, time.Until(end)/2))
	var summary Summary
	if err := s.bind(ctx, true); err != nil {
		return summary, err
	}
	if err := s.sweep(ctx, end); err != nil {
		return summary, err
	}
	cursor, now, slow, short := "", s.now(), &slowSubscribers{}, &shortage{}
	for time.Now().Before(end) && ctx.Err() == nil {
		items, next, err := s.Ledger.List(ctx, DueBy(now), cursor, runPage)
		if err != nil {
			return summary, ledgerError(err)
		}
		summary.add(s.reconcileAll(ctx, items, end, slow, short))
		if cursor = next; next == "" {
			break
		}
	}
	s.backfillClasses(ctx, end)
	summary.Bills = s.readBills(ctx, end)
	left, err := s.remaining(ctx, now)
	summary.Remaining = left
	s.log(ctx, slog.LevelInfo, "reconciled", "", "checked", summary.Checked, "settled", summary.Settled,
		"resubmitted", summary.Resubmitted, "released", summary.Released, "delivered", summary.Delivered,
		"remaining", summary.Remaining, "bills", summary.Bills)
	s.tellAlarms(ctx)
	return summary, err
}

func (t *Summary) add(u Summary) {
	t.Checked += u.Checked
	t.Settled += u.Settled
	t.Resubmitted += u.Resubmitted
	t.Released += u.Released
	t.Delivered += u.Delivered
}

// reconcileAll takes up the listed refunds, a few at a time, until end.
func (s *Service) reconcileAll(ctx context.Context, items []Item, end time.Time, slow *slowSubscribers, short *shortage) Summary {
	var (
		mu      sync.Mutex
		summary Summary
		wg      sync.WaitGroup
		work    = make(chan Item)
	)
	for range runWorkers {
		wg.Go(func() {
			for it := range work {
				t := s.reconcileOne(ctx, it, slow, short)
				mu.Lock()
				summary.add(t)
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
	return summary
}

// reconcileOne looks after one refund, if it is still due: it asks about it and
// delivers its pending events, unless somebody else has taken that up. What goes wrong
// leaves it due later, and keeps to this refund.
func (s *Service) reconcileOne(ctx context.Context, listed Item, slow *slowSubscribers, short *shortage) (t Summary) {
	if isApplication(listed.Key) {
		return s.reconcileApplication(ctx, listed, slow)
	}
	defer s.recoverPanic(ctx, listed.Key)
	var rec record
	if err := decode(listed, &rec); err != nil {
		s.alarmDaily(ctx, listed.Key, alarm{code: alarmUnreadable, why: "an item of the ledger cannot be read"}, "error", err)
		return t
	}
	now := s.now()
	if rec.queryDueNow(now) {
		t = s.queryDue(ctx, rec.Request.OutRefundNo, short)
	}
	if t.Settled == 0 && len(rec.dueSubscribers(now, slow)) == 0 {
		return t
	}
	attempted, delivered := s.deliver(ctx, s.refundOwner(rec.Request.OutRefundNo), nil, slow)
	t.Delivered = delivered
	if attempted > 0 {
		t.Checked = 1
	}
	return t
}

// recoverPanic keeps a panic to the refund or application that it is about: the others go
// on. It is deferred.
func (s *Service) recoverPanic(ctx context.Context, about Key) {
	r := recover()
	if r == nil {
		return
	}
	no, isRefund := Item{Key: about}.RefundNo()
	s.log(ctx, slog.LevelError, "panic", no, "type", fmt.Sprintf("%T", r), "stack", string(debug.Stack()))
	if isRefund {
		s.raise(ctx, no, alarmPanic, "looking after this refund has failed by a defect; the log has the stack")
		return
	}
	s.alarmDaily(ctx, about, alarm{code: alarmPanic, why: "looking after this application has failed by a defect; the log has the stack"})
}

// queryDue asks about one refund, if it is still due and nobody else has taken it up.
func (s *Service) queryDue(ctx context.Context, no string, short *shortage) (t Summary) {
	rec, leased, err := s.leaseQuery(ctx, no)
	if err != nil || !leased {
		if err != nil {
			s.log(ctx, slog.LevelError, "unsettled", no, "error", err)
		}
		return t
	}
	t.Checked = 1
	crash("reconcile.taken")
	if rec.waits() { // the upstream has refused it for certain: there is nothing to ask
		return s.goOnWaiting(ctx, rec, short, t)
	}
	asked := s.now()
	st, err := s.ask(ctx, no, rec.Revision, actor{})
	e := AsError(err)
	switch {
	case err == nil:
		if st.Changed {
			t.Settled = 1
		}
	case e.Code == CodeNotFound && rec.State == Claimed:
		return s.resubmitOrRelease(ctx, rec, asked, t)
	case e.Code == CodeNotFound && rec.State == Rejected && !rec.NumberTaken:
		if err := s.confirmRejection(ctx, no, rec.Revision); err != nil {
			s.log(ctx, slog.LevelWarn, "unsettled", no, "state", rec.State, "error", err)
		}
	case e.Code == CodeNotFound:
		s.raise(ctx, no, alarmVanished, "the upstream does not know a refund that it had accepted")
	case e.CountedOnly && (rec.State == Claimed || rec.overdue(s.now())):
		s.raise(ctx, no, alarmUntold, "the upstream counts this refund and tells nothing of it, so that its outcome must be looked up by a person")
	default:
		s.log(ctx, slog.LevelWarn, "unsettled", no, "state", rec.State, "error", err)
	}
	return t
}

// leaseQuery makes this run the one that asks: it puts the next query off, which only
// one of several can do. leased is false if there is nothing to do any more.
func (s *Service) leaseQuery(ctx context.Context, no string) (rec record, leased bool, err error) {
	tx, err := s.begin(ctx, no)
	if err != nil {
		return record{}, false, err
	}
	now := s.now()
	if !tx.rec.queryDueNow(now) {
		return tx.rec, false, nil
	}
	tx.rec.Queries++
	tx.rec.notAhead(now)
	tx.watch(now)
	s.logAlarms(ctx, tx, map[string]bool{})
	err = s.commit(ctx, tx, now)
	if errors.Is(err, ErrStale) {
		return tx.rec, false, nil
	}
	return tx.rec, err == nil, err
}

// confirmRejection takes a refusal for true: the upstream holds nothing under the
// number. revision is the record's as the asker knows it.
func (s *Service) confirmRejection(ctx context.Context, no string, revision int) error {
	ctx, cancel := settleContext(ctx)
	defer cancel()
	return s.update(ctx, no, nil, func(tx *txn, _ time.Time) error {
		if tx.rec.Revision == revision { // and not claimed again meanwhile
			tx.rec.Absent, tx.rec.Doubted = true, false
		}
		return nil
	})
}

// farFuture is later than anything is ever due.
const farFuture = 10 * 365 * 24 * time.Hour

// eachDue visits what is due by a time, until visit wants no more.
func (s *Service) eachDue(ctx context.Context, until time.Time, visit func(Item) (more bool, err error)) error {
	cursor := ""
	for {
		items, next, err := s.Ledger.List(ctx, DueBy(until), cursor, runPage)
		if err != nil {
			return ledgerError(err)
		}
		for _, it := range items {
			if more, err := visit(it); !more || err != nil {
				return err
			}
		}
		if cursor = next; next == "" {
			return nil
		}
	}
}

// remaining counts what is still due.
func (s *Service) remaining(ctx context.Context, now time.Time) (int, error) {
	items, _, err := s.Ledger.List(ctx, DueBy(now), "", maxRemaining)
	return len(items), ledgerError(err)
}

// HandleTimer runs the reconciler and replies with its summary as JSON. Neither who
// calls nor with what event matters: what is due is done once, whoever asks.
func (s *Service) HandleTimer(ctx context.Context, _ Caller, _ []byte) []byte {
	summary, err := s.Reconcile(ctx)
	if s.Reconciled != nil {
		s.Reconciled(ctx, summary, err)
	}
	var reply any = summary
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
