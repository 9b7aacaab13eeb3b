package refund

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"time"
)

// Approve allows an application and has its refund submitted, under a number that follows
// from the application: whoever approves it again, after a crash or an unknown outcome,
// means the same refund. Where that number can certainly not succeed any more, since it was
// closed or is another refund's, approving again uses the application's next one. Operators
// and servers may, but never who has applied. An error after the decision is about the
// refund: the application stays approved, and the reconciler goes on with it.
func (s *Service) Approve(ctx context.Context, caller Caller, d Decision) (Application, error) {
	if err := s.Admit(ctx, caller); err != nil {
		return Application{}, err
	}
	known, _, err := s.readApplication(ctx, d.ApplicationID)
	if err != nil {
		return Application{}, err
	}
	if err := s.Policy.admitAmount(caller, known.Request.Amount); err != nil {
		return Application{}, err
	}
	usedUp, err := s.numberUsedUp(ctx, known)
	if err != nil {
		return Application{}, err
	}
	var before string // the number that could not succeed
	a, err := s.updateApplication(ctx, d.ApplicationID, func(a *application, now time.Time) error {
		before = ""
		if a.maybeOf(caller) {
			return denied("who has applied for this refund cannot approve it")
		}
		switch {
		case a.State == ApplicationRefunded:
			return errUnchanged
		case a.State == ApplicationApproved && usedUp && a.Numbers == known.Numbers:
			if a.Numbers >= maxApplicationNumbers {
				return conflictf("this application has used up %d refund numbers; refund by hand", a.Numbers)
			}
			before = a.Request.OutRefundNo
			a.Request.OutRefundNo = a.nextNumber()
			a.Numbers++
		case a.State == ApplicationApproved && a.LookAt.IsZero(): // which had come to rest, and may go well now
			a.LookAt, a.Looks = now.Add(queryBackoff(0)), 0
			return nil
		case a.State == ApplicationApproved:
			return errUnchanged
		case a.expired(now):
			return conflictf("nobody has decided this application within seven days: it has expired")
		case a.State != ApplicationPending:
			return conflictf("this application is decided: it is %s", a.State)
		default:
			a.Request.OutRefundNo = a.nextNumber()
			a.Numbers = 1
		}
		a.DecidedAt, a.DecidedBy = now, caller.Identity()
		a.LookAt, a.Looks = now.Add(queryBackoff(0)), 0
		a.move(ApplicationApproved, caller.actor(), withNumber(d.Reason, a.Request.OutRefundNo), s.subscriberNames(), now)
		crash("approve.before")
		return nil
	})
	if err != nil {
		return Application{}, err
	}
	crash("approve.after")
	if before != "" {
		s.dealtWith(ctx, caller, before, a.Request.OutRefundNo)
	}
	s.log(ctx, slog.LevelInfo, "approved", a.Request.OutRefundNo, "application_id", a.ID, "caller", caller)
	rec, err := s.carryOut(ctx, caller, a)
	if err != nil {
		return Application{}, err
	}
	v := a.inFull(a.view(rec))
	return v, nil
}

// dealtWith acknowledges that a refund was closed, since its application goes on under
// another number: nobody should refund it again for that alarm. If that fails, the alarm
// names the application.
func (s *Service) dealtWith(ctx context.Context, caller Caller, closed, next string) {
	err := s.acknowledgeRecord(ctx, closed, alarmClosed, caller.Identity(), "approved again, as "+next)
	if err != nil && !errors.Is(err, errNoAlarm) {
		s.log(ctx, slog.LevelWarn, "not acknowledged", closed, "error", err)
	}
}

// withNumber says why, and under which refund number.
func withNumber(why, no string) string {
	if why == "" {
		return no
	}
	return no + ": " + why
}

// numberUsedUp reports whether the refund number that the application has now can
// certainly not succeed any more, so that only another one can.
func (s *Service) numberUsedUp(ctx context.Context, a application) (bool, error) {
	if a.State != ApplicationApproved {
		return false, nil
	}
	records, err := s.recordsOf(ctx, a.Request.OutRefundNo)
	if err != nil {
		return false, err
	}
	r := &records[0]
	if r.onlyReserved() { // somebody's refund waits under it
		return r.Proposed != a.ID, nil
	}
	switch r.State {
	case Closed:
		return !r.Doubted, nil // by a bill that says otherwise
	case Rejected:
		return r.NumberTaken || r.Refusal != nil && r.Refusal.Next == NewNumber, nil
	}
	// A refund of something else has the number: a caller has used it, or it was made by hand.
	return r.State != unknown && !a.refundedBy(r), nil
}

// Reject refuses an application that waits, or takes back the approval of one that has
// certainly not led to a refund. Operators and servers may.
func (s *Service) Reject(ctx context.Context, caller Caller, d Decision) (Application, error) {
	if err := s.Admit(ctx, caller); err != nil {
		return Application{}, err
	}
	known, _, err := s.readApplication(ctx, d.ApplicationID)
	if err != nil {
		return Application{}, err
	}
	unrefunded, err := s.unrefunded(ctx, known)
	if err != nil {
		return Application{}, err
	}
	a, err := s.updateApplication(ctx, d.ApplicationID, func(a *application, now time.Time) error {
		if a.maybeOf(caller) {
			return denied("who has applied for this refund cannot reject it, but withdraw it")
		}
		if a.State == ApplicationApproved && unrefunded && a.Claims == known.Claims && a.Numbers == known.Numbers {
			a.LookAt = time.Time{}
			a.DecidedAt, a.DecidedBy = now, caller.Identity()
			a.move(ApplicationRejected, caller.actor(), d.Reason, s.subscriberNames(), now)
			return nil
		}
		if a.State == ApplicationApproved {
			return conflictf("this application is approved, and its refund %s is made or may be: only what has certainly led to none can be taken back", a.Request.OutRefundNo)
		}
		return s.end(a, ApplicationRejected, caller, d.Reason, now)
	})
	if err != nil {
		return Application{}, err
	}
	s.endRest(ctx, a)
	s.log(ctx, slog.LevelInfo, "rejected", "", "application_id", a.ID, "caller", caller)
	return a.inFull(a.view(nil)), nil
}

// unrefunded reports whether an approved application has certainly not led to a refund: it
// was never claimed, or what was claimed was refused for certain, or closed.
func (s *Service) unrefunded(ctx context.Context, a application) (bool, error) {
	if a.State != ApplicationApproved {
		return false, nil
	}
	records, err := s.recordsOf(ctx, a.Request.OutRefundNo)
	if err != nil {
		return false, err
	}
	r := &records[0]
	return !r.Doubted && (!a.refundedBy(r) || r.State == Closed || r.State == Rejected), nil
}

// Withdraw takes an application that waits back. Only who has applied can; about an
// application of somebody else, or of none, they are all told the same.
func (s *Service) Withdraw(ctx context.Context, caller Caller, d Decision) (Application, error) {
	if caller.Kind != User && caller.Kind != Operator {
		return Application{}, denied("only who has applied can withdraw an application")
	}
	notTheirs := denied("this caller has made no such application")
	a, err := s.updateApplication(ctx, d.ApplicationID, func(a *application, now time.Time) error {
		if !a.ofCaller(caller) {
			return notTheirs
		}
		return s.end(a, ApplicationWithdrawn, caller, d.Reason, now)
	})
	switch {
	case IsCode(err, CodeNotFound):
		return Application{}, notTheirs
	case err != nil:
		return Application{}, err
	}
	s.log(ctx, slog.LevelInfo, "withdrawn", "", "application_id", a.ID, "caller", caller)
	return a.view(nil).forBuyer(), nil
}

// end decides a waiting application without a refund. Deciding it so again is no change.
func (s *Service) end(a *application, to ApplicationState, caller Caller, why string, now time.Time) error {
	switch {
	case a.State == to:
		return errUnchanged
	case a.expired(now):
		return conflictf("nobody has decided this application within seven days: it has expired")
	case a.State != ApplicationPending:
		return conflictf("this application is decided: it is %s", a.State)
	}
	a.DecidedAt, a.DecidedBy = now, caller.Identity()
	a.move(to, caller.actor(), why, s.subscriberNames(), now)
	return nil
}

// expired reports whether the application has waited too long, whether or not that is written down.
func (a *application) expired(now time.Time) bool {
	return a.State == ApplicationExpired || a.State == ApplicationPending && now.Sub(a.CreatedAt) >= applicationLife
}

// carryOut submits the refund of an approved application, unless it has been, and returns
// its record.
func (s *Service) carryOut(ctx context.Context, caller Caller, a application) (*record, error) {
	if a.State == ApplicationApproved {
		if err := s.Channel.Spec().Check(a.Request); err != nil { // the channel may be another than when it was made
			return nil, err
		}
		rec, err := s.claim(ctx, caller, a.Request, a.ID)
		if err != nil {
			return nil, err
		}
		if rec.State == Claimed {
			if _, err := s.submit(ctx, rec); err != nil {
				return nil, err
			}
		}
	}
	records, err := s.recordsOf(ctx, a.Request.OutRefundNo)
	if err != nil {
		return nil, err
	}
	s.follow(ctx, a, &records[0])
	return &records[0], nil
}

// follow writes down that an application's refund has succeeded, as soon as somebody sees it.
func (s *Service) follow(ctx context.Context, a application, r *record) {
	if a.State != ApplicationApproved || r.State != Success || !a.refundedBy(r) {
		return
	}
	a, err := s.updateApplication(ctx, a.ID, func(a *application, now time.Time) error {
		if a.State != ApplicationApproved || a.Request.OutRefundNo != r.Request.OutRefundNo {
			return errUnchanged
		}
		a.LookAt = time.Time{}
		a.move(ApplicationRefunded, actor{}, a.Request.OutRefundNo, s.subscriberNames(), now)
		return nil
	})
	if err != nil { // the reconciler does it
		s.log(ctx, slog.LevelWarn, "not noted", r.Request.OutRefundNo, "application_id", a.ID, "error", err)
		return
	}
	if a.State == ApplicationRefunded {
		s.endRest(ctx, a)
	}
}

// callerOf is the caller that an identity names, as far as a history needs it.
func callerOf(identity string) Caller {
	if id, ok := strings.CutPrefix(identity, userIs); ok {
		return Caller{Kind: User, OpenID: id}
	}
	if name, ok := strings.CutPrefix(identity, operatorIs); ok {
		return Caller{Kind: Operator, Name: name}
	}
	if identity == "" {
		return Caller{}
	}
	return Caller{Kind: Server, Source: strings.TrimPrefix(strings.TrimPrefix(identity, strings.TrimSpace(serverIs)), " ")}
}
