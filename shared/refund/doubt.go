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
// way, the claim is given up and its amount is free.
const (
	// submitFor is how long after its claim a refund is submitted again by the
	// reconciler. What an upstream has not taken in six hours of retries, it will
	// not take for being asked again.
	submitFor = 6 * time.Hour
	// submissionLife is the longest time after its record in the ledger that a
	// submission can still be carried out. It leaves within sendWithin of that
	// record or not at all, its connection ends after callTime, WeChat Pay refuses
	// a signature of more than five minutes, and a gateway holds a call for a
	// minute; what is left is for clocks that differ by two minutes, twice.
	submissionLife = 15 * time.Minute
	// sendWithin is how long after its record in the ledger a submission may leave.
	// A function that was frozen in between does not send.
	sendWithin = lease
	// quietFor is how long after the last submission a claim is given up at the
	// earliest; with submitFor it makes a day.
	quietFor = 18 * time.Hour
	// minAbsences is how often the upstream must have said that it holds nothing,
	// each time asked after submissionLife.
	minAbsences = 3
	// stuckAfter is when a refund without an answer becomes an alarm: later than a
	// doubt ends that can end by itself.
	stuckAfter = 25 * time.Hour
)

// sent is when the last submission was recorded. Records of earlier versions say
// so in their history alone.
func (r *record) sent() time.Time {
	at := r.SentAt
	for _, e := range r.History {
		if e.What == "sent" && e.At.After(at) {
			at = e.At
		}
	}
	return at
}

// absent counts that the upstream, asked at some time, held nothing under the
// number. It reports whether the claim is to be given up. The clocks of those who
// submit and of those who ask may differ by any time, so that submissionLife must
// also lie between the first such answer and the last.
func (r *record) absent(asked time.Time) (ended bool) {
	if asked.Before(r.sent().Add(submissionLife)) {
		return false // what was submitted last may still arrive
	}
	if r.Absences == 0 || asked.Before(r.AbsentAt) { // a clock before it ran ahead: count anew
		r.Absences, r.AbsentAt = 0, asked
	}
	r.Absences++
	quiet := quietFor
	if r.Denied != nil { // a certain refusal, newer than what is in doubt, shortens the day
		quiet = submissionLife
	}
	return r.Absences >= minAbsences && asked.Sub(r.AbsentAt) >= submissionLife && !asked.Before(r.sent().Add(quiet))
}

// release gives the claim up: its amount is free, and the number may be claimed
// again, with other content too.
func (b *book) release(why string, now time.Time) {
	rec := &b.rec
	refusal := rec.Denied
	if refusal == nil {
		refusal = &Error{
			Code: CodeRejected, Next: LaterOrFix,
			Message: "the upstream never had this refund, so it was given up; repeat it identically or corrected",
		}
	}
	rec.State, rec.Refusal, rec.Released = Rejected, refusal, true
	rec.Revision++
	rec.Open, rec.Lease, rec.Denied, rec.Cancelled = nil, time.Time{}, nil, false
	rec.Absent = true
	rec.note(HistoryEntry{At: now, What: "released", Note: why})
	b.hold(0, false)
	b.touch(refundKey(b.no))
}

// worthAnother reports whether submitting the same again may succeed: not after a
// refusal for certain, unless that was one that time mends.
func (r *record) worthAnother() bool { return r.Denied == nil || r.Denied.Next == Later }

// suspended says why a claim in doubt is not submitted again, "" if it may be.
func (b *book) suspended() string {
	hands := 0
	for _, home := range b.homes() {
		hands += b.accounts[home].hands()
	}
	switch {
	case b.rec.Cancelled:
		return "this refund was withdrawn while its outcome was unknown; it is only asked about, and ends by itself"
	case hands > b.rec.Hands:
		return "a refund that was not made here has appeared on the order while the outcome of this one is unknown, so that a person should look whether both are meant; it is not sent again, and ends within a day unless the upstream holds it"
	}
	return ""
}

// unheld goes on with a claim of which the upstream has said, asked at some time,
// that it does not know it: it is submitted again, or counts as absent, or ends.
func (s *Service) unheld(ctx context.Context, known record, asked time.Time, t Summary) Summary {
	no := known.Request.OutRefundNo
	var again, ended bool
	var rec record
	seen := map[string]bool{}
	err := s.retry(ctx, func() error {
		again, ended = false, false
		b, err := s.read(ctx, no)
		if err != nil {
			return err
		}
		now := s.now()
		if b.rec.State != Claimed || b.rec.Revision != known.Revision || b.rec.Attempt != known.Attempt || b.running(now) {
			return nil // somebody has gone on with it meanwhile
		}
		why := b.suspended()
		if why != "" && !b.rec.Cancelled {
			b.raise(alarmHand, why, now)
		}
		switch {
		case why == "" && b.rec.worthAnother() && now.Sub(b.rec.ClaimedAt) <= submitFor:
			if err := b.attempt(s.rules(), now); err != nil {
				return nil // too early for its order: the next run
			}
			if err := s.turn(ctx); err != nil {
				return nil
			}
			again = true
		default:
			if ended = b.rec.absent(asked); ended {
				b.release(fmt.Sprintf("not found %d times, last asked %v after the last submission",
					b.rec.Absences, asked.Sub(b.rec.sent()).Round(time.Minute)), now)
			}
			b.touch(refundKey(no))
		}
		b.calm(alarmPanic)
		s.tellAlarms(ctx, b, seen)
		rec = b.rec
		return s.commit(ctx, b, now)
	})
	switch {
	case err != nil:
		s.log(ctx, slog.LevelError, "unsettled", no, "error", err)
	case ended:
		t.Released = 1
		s.log(ctx, slog.LevelWarn, "released", no, "absences", rec.Absences)
	case again:
		t.Resubmitted = 1
		crash("reconcile.resubmit")
		if _, err := s.submit(ctx, rec); err == nil {
			t.Settled = 1
		}
	}
	return t
}

// Cancel withdraws a claim in doubt: it is never submitted again, only asked
// about, and ends as soon as its outcome is known or the upstream has said long
// enough that it holds nothing. by names who decided, for the history.
// [CodeConflict] if the refund is not in doubt.
func (s *Service) Cancel(ctx context.Context, outRefundNo, by string) error {
	return s.retry(ctx, func() error {
		b, err := s.doubtful(ctx, outRefundNo)
		if err != nil {
			return err
		}
		if b.rec.Cancelled {
			return nil
		}
		now := s.now()
		b.rec.Cancelled = true
		b.rec.note(HistoryEntry{At: now, What: "withdrawn", Note: by})
		b.touch(refundKey(outRefundNo))
		return s.commit(ctx, b, now)
	})
}

// A Release is a person's decision to give a claim in doubt up before it ends by itself.
type Release struct {
	OutRefundNo string
	By          string // who decides, for the history

	// Looked says that this person has seen on the merchant platform that there is no
	// such refund. It counts only where the upstream gives no answer that could tell.
	Looked bool
}

// Release gives a claim in doubt up, after asking the upstream. It is refused with
// [CodeConflict] and the time from which on it may be tried again while a
// submission may still be carried out, with [CodeConflict] if the refund is not in
// doubt or the upstream holds it (which is settled on the way), and with
// [CodeUnavailable] if the upstream cannot tell.
func (s *Service) Release(ctx context.Context, r Release) error {
	b, err := s.doubtful(ctx, r.OutRefundNo)
	if err != nil {
		return err
	}
	known, asked := b.rec, s.now()
	if from := known.sent().Add(submissionLife); asked.Before(from) {
		e := conflictf("a submission of this refund may still be in flight until %s; try again after that", from.Format(time.RFC3339))
		e.Next, e.RetryAfter = Later, from.Sub(asked)
		return e
	}
	st, err := s.ask(ctx, r.OutRefundNo, known.Revision)
	note := "by " + r.By
	switch e := AsError(err); {
	case err == nil && st.State == Rejected: // somebody else's refund has the number: our claim has ended by that
		return nil
	case err == nil:
		return conflictf("the upstream holds this refund: it is %s", st.State)
	case e.Code == CodeNotFound:
	case e.Code == CodeUnavailable && !e.Exists && r.Looked:
		note += ", who has seen that there is none"
	default:
		return unavailable("the upstream cannot say whether it holds this refund, so it is not released", err)
	}
	seen := map[string]bool{}
	return s.retry(ctx, func() error {
		b, err := s.doubtful(ctx, r.OutRefundNo)
		if err != nil {
			return err
		}
		if b.rec.Revision != known.Revision || b.rec.Attempt != known.Attempt {
			return conflictf("this refund has been submitted again meanwhile; try again later")
		}
		now := s.now()
		b.release(note, now)
		b.calm()
		s.tellAlarms(ctx, b, seen)
		return s.commit(ctx, b, now)
	})
}

// doubtful opens the book of a refund whose outcome is unknown.
func (s *Service) doubtful(ctx context.Context, no string) (*book, error) {
	b, err := s.read(ctx, no)
	switch {
	case err != nil:
		return nil, err
	case b.rec.State == unknown:
		return nil, notFound("no refund of this number is on record")
	case b.rec.State != Claimed:
		return nil, conflictf("the outcome of this refund is known: it is %s", b.rec.State)
	}
	return b, nil
}

// inDoubt reports whether one of the refunds is a claim whose outcome is unknown.
func inDoubt(records []record) bool {
	return slices.ContainsFunc(records, func(r record) bool { return r.State == Claimed })
}
