package refund

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"time"
)

// The bounds within which a claim's doubt ends. WeChat Pay's best practice
// (4014959631) says: what is not found is sent again, unchanged. So it is, for
// some hours; then it is only asked about, and once the upstream has said often
// enough that it holds nothing, long enough after anything could still be on its
// way, the claim is released: its amount is free.
const (
	// submitFor is how long after its claim a refund is submitted again by the
	// reconciler. What an upstream has not taken in six hours of retries, it will
	// not take for being asked again.
	submitFor = 6 * time.Hour
	// submissionLife is the longest time after its record in the ledger that a
	// submission can still be carried out. It leaves within sendWithin of that
	// record or not at all, its connection ends after callTimeout, WeChat Pay refuses
	// a signature of more than five minutes, and a gateway holds a call for a
	// minute; what is left is for clocks that differ by two minutes, twice.
	submissionLife = 15 * time.Minute
	// submitWithin is how long after its record in the ledger a submission may leave.
	// A function that was frozen in between does not send.
	submitWithin = lease
	// quietPeriod is how long after the last submission a claim is released at the
	// earliest; with submitFor it makes a day.
	quietPeriod = 18 * time.Hour
	// minNotFound is how often the upstream must have said that it holds nothing,
	// each time asked after submissionLife.
	minNotFound = 3
	// stuckAfter is when a claim without an answer becomes an alarm: later than a
	// doubt ends that can end by itself.
	stuckAfter = 25 * time.Hour
)

// lastSubmitted is when the last submission was recorded. Records of earlier versions say
// so in their history alone.
func (r *record) lastSubmitted() time.Time {
	at := r.SubmittedAt
	for _, e := range r.History {
		if e.What == "sent" && e.At.After(at) {
			at = e.At
		}
	}
	return at
}

// countNotFound counts that the upstream, asked at some time, held nothing under the
// number. It reports whether the claim is to be released. The clocks of those who
// submit and of those who ask may differ by any time, so that submissionLife must
// also lie between the first such answer and the last.
func (r *record) countNotFound(asked time.Time) (ended bool) {
	if asked.Before(r.lastSubmitted().Add(submissionLife)) {
		return false // what was submitted last may still arrive
	}
	if r.NotFound == 0 || asked.Before(r.NotFoundAt) { // a clock before it ran ahead: count anew
		r.NotFound, r.NotFoundAt = 0, asked
	}
	r.NotFound++
	quiet := quietPeriod
	if r.InterimRefusal != nil { // a certain refusal, newer than what is in doubt, shortens the day
		quiet = submissionLife
	}
	return r.NotFound >= minNotFound && asked.Sub(r.NotFoundAt) >= submissionLife && !asked.Before(r.lastSubmitted().Add(quiet))
}

// release ends the claim as never carried out: its amount is free, and the number may
// be claimed again, with other content too.
func (tx *txn) release(by actor, why string, now time.Time) {
	rec := &tx.rec
	refusal := rec.InterimRefusal
	if refusal == nil && rec.Funds != nil {
		refusal = rec.Funds.Refusal
	}
	if refusal == nil {
		refusal = &Error{
			Code: CodeRejected, Next: LaterOrFix,
			Message: "the upstream never had this refund, so it was given up; repeat it identically or corrected",
		}
	}
	rec.State, rec.Refusal, rec.Released = Rejected, refusal, true
	rec.Revision++
	rec.Open, rec.Lease, rec.InterimRefusal, rec.Cancelled = nil, time.Time{}, nil, false
	rec.Absent, rec.Funds = true, nil
	released := by.entry(now, "released")
	released.Note = why
	rec.note(released)
	tx.reserve(0, false)
}

// submittedUntil is until when the reconciler submits the claim again.
func (r *record) submittedUntil() time.Time {
	until := r.ClaimedAt.Add(submitFor)
	if r.Funds != nil { // and until then it is submitted now and then in any case
		until = later(until, r.Funds.Since.Add(waitFunds))
	}
	return until
}

func later(x, y time.Time) time.Time {
	if y.After(x) {
		return y
	}
	return x
}

// worthResubmitting reports whether submitting the same again may succeed: not after a
// refusal for certain, unless that was one that time mends.
func (r *record) worthResubmitting() bool {
	return r.InterimRefusal == nil || r.InterimRefusal.Next == Later && r.Funds == nil
}

// suspended says why a claim in doubt is not submitted again, "" if it may be.
func (tx *txn) suspended() string {
	switch {
	case tx.rec.Cancelled:
		return "this refund was withdrawn while its outcome was unknown; it is only asked about, and ends by itself"
	case tx.externalRefunds() > tx.rec.ExternalRefunds:
		return "a refund that was not made here has appeared on the order while the outcome of this one is unknown, so that a person should look whether both are meant; it is not sent again, and ends within a day unless the upstream holds it"
	}
	return ""
}

// resubmitOrRelease goes on with a claim of which the upstream has said, asked at some
// time, that it does not know it: it is submitted again, or that answer is counted
// until there are enough of them to release the claim.
func (s *Service) resubmitOrRelease(ctx context.Context, known record, asked time.Time, t Summary) Summary {
	no := known.Request.OutRefundNo
	var again, ended bool
	var rec record
	err := s.update(ctx, no, nil, func(tx *txn, now time.Time) error {
		again, ended = false, false
		if tx.rec.State != Claimed || tx.rec.Revision != known.Revision || tx.rec.Submission != known.Submission || tx.rec.running(now) {
			return errUnchanged // somebody has gone on with it meanwhile
		}
		why := tx.suspended()
		if why != "" && !tx.rec.Cancelled {
			tx.raise(alarmExternal, why, now)
		}
		switch {
		case why == "" && tx.rec.worthResubmitting() && now.Before(tx.rec.submittedUntil()):
			if tx.startSubmission(actor{}, s.rules(), now) != nil || s.turn(ctx) != nil {
				return errUnchanged // too early for its order, or for the upstream: the next run
			}
			again = true
		default:
			if ended = tx.rec.countNotFound(asked); ended && tx.resumeWait(now) {
				ended = false
			} else if ended {
				wanted := !tx.rec.Cancelled
				tx.release(actor{}, fmt.Sprintf("not found %d times, last asked %v after the last submission",
					tx.rec.NotFound, asked.Sub(tx.rec.lastSubmitted()).Round(time.Minute)), now)
				tx.fundsOver(wanted)
			}
		}
		tx.closeCauses(alarmPanic)
		rec = tx.rec
		return nil
	})
	switch {
	case err != nil:
		s.log(ctx, slog.LevelError, "unsettled", no, "error", err)
	case ended:
		t.Released = 1
		s.log(ctx, slog.LevelWarn, "released", no, "absences", rec.NotFound)
	case again:
		t.Resubmitted = 1
		crash("reconcile.resubmit")
		if _, err := s.submit(ctx, rec); err == nil {
			t.Settled = 1
		}
	}
	return t
}

// Cancel stops a claim in doubt: it is never submitted again, only asked about, and
// ends as soon as its outcome is known or the upstream has said long enough that it
// holds nothing. One that waits for the merchant's balance is not in doubt and ends at
// once. by is who decides, as [Caller.Identity] writes it, for the history.
// [CodeConflict] if the refund is not in doubt.
func (s *Service) Cancel(ctx context.Context, outRefundNo, by string) error {
	withdrawn := false
	err := s.update(ctx, outRefundNo, nil, func(tx *txn, now time.Time) error {
		if err := tx.cancellable(); err != nil {
			return err
		}
		if withdrawn = !tx.rec.Cancelled; !withdrawn {
			return errUnchanged
		}
		e := named(by, "").entry(now, "withdrawn")
		e.Note = maskIdentity(e.By)
		tx.rec.note(e)
		if tx.rec.waits() {
			tx.endWait("withdrawn", now)
			tx.fundsOver(false)
			return nil
		}
		tx.rec.Cancelled = true
		return nil
	})
	if err == nil && withdrawn {
		s.log(ctx, slog.LevelInfo, "withdrawn", outRefundNo, "by", maskIdentity(by))
	}
	return err
}

// cancellable reports why the refund cannot be withdrawn; nil if it can. Whatever is to go
// on by itself later can be, too.
func (tx *txn) cancellable() error { return tx.inDoubt() }

// A Release is a person's decision to end a claim in doubt as never carried out, before it
// ends so by itself.
type Release struct {
	OutRefundNo string
	By          string // who decides, as [Caller.Identity] writes it, for the history
	RequestID   string // of the invocation, if there is one

	// ConfirmedAbsent says that this person has seen on the merchant platform that there is
	// no such refund. It counts only where the upstream's answers cannot show it.
	ConfirmedAbsent bool
}

// Release releases a claim in doubt, after asking the upstream. It is refused with
// [CodeConflict] and the time from which on it may be tried again while a
// submission may still be carried out, with [CodeConflict] if the refund is not in
// doubt or the upstream holds it (which is settled on the way), and with
// [CodeUnavailable] if the upstream cannot tell.
func (s *Service) Release(ctx context.Context, r Release) error {
	tx, err := s.begin(ctx, r.OutRefundNo)
	if err == nil {
		err = tx.inDoubt()
	}
	if err != nil {
		return err
	}
	known, asked := tx.rec, s.now()
	if from := known.lastSubmitted().Add(submissionLife); asked.Before(from) && !known.waits() {
		e := conflictf("a submission of this refund may still be in flight until %s; try again after that", from.Format(time.RFC3339))
		e.Next, e.RetryAfter = Later, from.Sub(asked)
		return e
	}
	by := named(r.By, r.RequestID)
	st, err := s.ask(ctx, r.OutRefundNo, known.Revision, by)
	note := "by " + maskIdentity(by.by)
	switch e := AsError(err); {
	case err == nil && st.State == Rejected: // an external refund has the number: our claim has ended by that
		return nil
	case err == nil:
		return conflictf("the upstream holds this refund: it is %s", st.State)
	case e.Code == CodeNotFound:
	case e.Code == CodeUnavailable && !e.CountedOnly && r.ConfirmedAbsent:
		note += ", who has seen that there is none"
	default:
		return unavailable("the upstream cannot say whether it holds this refund, so it is not released", err)
	}
	err = s.update(ctx, r.OutRefundNo, nil, func(tx *txn, now time.Time) error {
		if err := tx.inDoubt(); err != nil {
			return err
		}
		if tx.rec.Revision != known.Revision || tx.rec.Submission != known.Submission {
			return conflictf("this refund has been submitted again meanwhile; try again later")
		}
		tx.release(by, note, now)
		tx.fundsOver(false)
		return nil
	})
	if err == nil {
		s.log(ctx, slog.LevelWarn, "released", r.OutRefundNo, "by", maskIdentity(r.By))
	}
	return err
}

// inDoubt reports why the refund is not a claim whose outcome is unknown; nil if it is.
func (tx *txn) inDoubt() error {
	switch {
	case tx.rec.State == unknown:
		return notFound("no refund of this number is on record")
	case tx.rec.State != Claimed:
		return conflictf("the outcome of this refund is known: it is %s", tx.rec.State)
	}
	return nil
}

// anyInDoubt reports whether one of the refunds is a claim whose outcome is unknown.
func anyInDoubt(records []record) bool {
	return slices.ContainsFunc(records, func(r record) bool { return r.State == Claimed && !r.waits() })
}

// anyWaits reports whether one of the refunds waits for the merchant's balance.
func anyWaits(records []record) bool {
	return slices.ContainsFunc(records, func(r record) bool { return r.waits() })
}
