package refund

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"time"
)

// reconcileApplication looks after one application that is due: one that nobody has decided
// expires, one that was approved is carried out and followed, and events of it are delivered.
func (s *Service) reconcileApplication(ctx context.Context, listed Item, slow *slowSubscribers) (t Summary) {
	var a application
	defer s.recoverPanic(ctx, listed.Key)
	if err := decode(listed, &a); err != nil {
		s.alarmDaily(ctx, listed.Key, alarm{code: alarmUnreadable, why: "an item of the ledger cannot be read"}, "error", err)
		return t
	}
	now := s.now()
	switch {
	case a.State == ApplicationPending && a.expired(now):
		t.Checked = 1
		_, err := s.updateApplication(ctx, a.ID, func(a *application, now time.Time) error {
			if a.State != ApplicationPending || !a.expired(now) {
				return errUnchanged
			}
			a.DecidedAt = now
			a.move(ApplicationExpired, actor{}, "nobody has decided within seven days", s.subscriberNames(), now)
			return nil
		})
		if err != nil {
			s.log(ctx, slog.LevelWarn, "not expired", "", "application_id", a.ID, "error", err)
		}
	case a.State == ApplicationApproved && !a.LookAt.IsZero() && (!a.LookAt.After(now) || a.overdue(now)):
		t.Checked = 1
		s.takeUp(ctx, a.ID)
	}
	if attempted, delivered := s.deliver(ctx, s.applicationOwner(a.ID), nil, slow); attempted > 0 {
		t.Checked, t.Delivered = 1, delivered
	}
	return t
}

// takeUp goes on with an approved application, unless another run does.
func (s *Service) takeUp(ctx context.Context, id string) {
	leased := false
	a, err := s.updateApplication(ctx, id, func(a *application, now time.Time) error {
		leased = a.State == ApplicationApproved && !a.LookAt.IsZero() && (!a.LookAt.After(now) || a.overdue(now))
		if !leased {
			return errUnchanged
		}
		a.Looks++
		a.LookAt = now.Add(queryBackoff(a.Looks))
		return nil
	})
	if err != nil || !leased {
		if err != nil {
			s.log(ctx, slog.LevelWarn, "not taken up", "", "application_id", id, "error", err)
		}
		return
	}
	crash("application.taken")
	records, err := s.recordsOf(ctx, a.Request.OutRefundNo)
	if err != nil {
		s.log(ctx, slog.LevelWarn, "not taken up", a.Request.OutRefundNo, "application_id", id, "error", err)
		return
	}
	r := &records[0]
	switch {
	case r.State == unknown, r.State == Rejected && a.Claims == 0: // refused before this application was made
		by := callerOf(a.DecidedBy)
		if a.Auto {
			by = callerOf(a.Applicant)
		}
		if _, err := s.carryOut(ctx, by, a); err != nil {
			s.log(ctx, slog.LevelWarn, "not carried out", a.Request.OutRefundNo, "application_id", id, "error", err)
			s.rest(ctx, a, err)
		}
	case r.State == Success && a.refundedBy(r):
		s.follow(ctx, a, r)
	case !a.refundedBy(r) || r.atRest():
		s.rest(ctx, a, errors.New("the number's refund has ended otherwise"))
	}
}

// rest tells a person about an approved application that has no refund, and why. Where that
// is certain (refused, closed, or another refund has the number) it is not looked at any
// more. What may still go well is told about after a day, and is looked at as before: it may
// be waiting for another refund of the order, which nobody hears of.
func (s *Service) rest(ctx context.Context, a application, cause error) {
	e := AsError(cause)
	open := e.Code == CodeUnavailable || e.Code == CodeLimited || e.Next == Later || e.Next == LaterOrFix
	if open && s.now().Sub(a.DecidedAt) <= stuckAfter {
		return
	}
	// The alarm first: whoever is killed in between leaves it due, and somebody told.
	why := "an approved application has not led to a refund: look at its refund, and approve it again, or reject it before it is refunded otherwise"
	if open {
		why = "an approved application has not led to a refund for a day, and is tried again: look at what it waits for, and reject it before it is refunded otherwise"
	}
	if !s.keepDaily(ctx, applicationKey(a.ID), alarmApplication, why, func(count int) {
		s.alarm(ctx, string(applicationKey(a.ID)), alarm{alarmApplication, why, count}, "application_id", a.ID, "error", cause)
	}) {
		return // nobody would know: the next look
	}
	_, err := s.updateApplication(ctx, a.ID, func(now *application, at time.Time) error {
		if now.State != ApplicationApproved || now.Numbers != a.Numbers || open && now.saidUnrefunded() {
			return errUnchanged
		}
		if !open {
			now.LookAt = time.Time{}
		}
		now.note(HistoryEntry{At: at, What: wentUnrefunded, Note: shortened(excerpt(cause), maxWhy)})
		return nil
	})
	if err != nil { // the next look
		s.log(ctx, slog.LevelWarn, "not noted", a.Request.OutRefundNo, "application_id", a.ID, "error", err)
	}
}

// wentUnrefunded is what the history of an approved application says that a person was told of.
const wentUnrefunded = "unrefunded"

// saidUnrefunded reports whether its history says so.
func (a *application) saidUnrefunded() bool {
	return slices.ContainsFunc(a.History, func(e HistoryEntry) bool { return e.What == wentUnrefunded })
}

// endRest ends the alarm about an application without a refund, once that is dealt with.
func (s *Service) endRest(ctx context.Context, a application) {
	if a.saidUnrefunded() {
		s.endDaily(ctx, applicationKey(a.ID), alarmApplication)
	}
}
