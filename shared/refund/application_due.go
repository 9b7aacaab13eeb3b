package refund

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"sync"
	"time"
)

// reconcileApplication looks after one application that is due: one that nobody has decided
// expires, one that was approved is carried out and followed, and events of it are delivered.
func (s *Service) reconcileApplication(ctx context.Context, listed Item, slow *slowSubscribers) (t Summary) {
	var a application
	defer s.recoverPanic(ctx, "")
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
	t.Delivered = s.deliverApplication(ctx, a.ID, slow)
	if t.Delivered > 0 {
		t.Checked = 1
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
	case r.State == unknown:
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

// rest ends the reconciler's looking after an approved application whose refund somebody
// has to look at: it was refused for certain, closed, or is another one.
func (s *Service) rest(ctx context.Context, a application, cause error) {
	if e := AsError(cause); e.Code == CodeUnavailable || e.Code == CodeLimited || e.Next == Later || e.Next == LaterOrFix {
		return // it may still go well: the next look
	}
	// The alarm first: whoever is killed in between leaves it due, and somebody told.
	why := "an approved application has not led to a refund: look at its refund, and approve it again or refund otherwise"
	if !s.keepDaily(ctx, applicationKey(a.ID), alarmApplication, why, func(count int) {
		s.alarm(ctx, string(applicationKey(a.ID)), alarm{alarmApplication, why, count}, "application_id", a.ID, "error", cause)
	}) {
		return // nobody would know: the next look
	}
	_, err := s.updateApplication(ctx, a.ID, func(now *application, at time.Time) error {
		if now.State != ApplicationApproved || now.Numbers != a.Numbers {
			return errUnchanged
		}
		now.LookAt = time.Time{}
		now.note(HistoryEntry{At: at, What: cameToRest, Note: shortened(excerpt(cause), maxWhy)})
		return nil
	})
	if err != nil { // the next look
		s.log(ctx, slog.LevelWarn, "not noted", a.Request.OutRefundNo, "application_id", a.ID, "error", err)
	}
}

// cameToRest is what the history of an approved application says that has come to rest.
const cameToRest = "unrefunded"

// endRest ends the alarm about an application that had come to rest, once that is dealt with.
func (s *Service) endRest(ctx context.Context, a application) {
	if slices.ContainsFunc(a.History, func(e HistoryEntry) bool { return e.What == cameToRest }) {
		s.endDaily(ctx, applicationKey(a.ID), alarmApplication)
	}
}

// deliverApplication delivers an application's pending events, as far as time allows and nobody
// else is at it, and returns how many deliveries were acknowledged.
func (s *Service) deliverApplication(ctx context.Context, id string, slow *slowSubscribers) (delivered int) {
	for range maxOutbox {
		attempts, err := s.leaseApplicationDeliveries(ctx, id, slow)
		if err != nil || len(attempts) == 0 {
			return delivered
		}
		crash("deliver.taken")
		acknowledged := make([]bool, len(attempts))
		var wg sync.WaitGroup
		for i, d := range attempts {
			wg.Go(func() {
				defer s.recoverPanic(ctx, "")
				acknowledged[i] = s.attemptApplicationDelivery(ctx, id, d, slow)
			})
		}
		wg.Wait()
		for _, ok := range acknowledged {
			if ok {
				delivered++
			}
		}
	}
	return delivered
}

func (s *Service) leaseApplicationDeliveries(ctx context.Context, id string, slow *slowSubscribers) (attempts []deliveryAttempt, err error) {
	if timeLeft(ctx) < minDeliveryTime {
		return nil, nil
	}
	_, err = s.updateApplication(ctx, id, func(a *application, now time.Time) error {
		attempts = nil
		changed := false
		for _, name := range a.dueSubscribers(now, slow) {
			e, d := a.nextDelivery(name)
			i := slices.IndexFunc(s.Subscribers, func(sub Subscriber) bool { return sub.Name == name })
			switch {
			case i >= 0 && s.Subscribers[i].Tell == nil: // another function's to deliver
				continue
			case i >= 0 && e.Application != nil:
				d.Attempts++
				d.Lease = now.Add(lease)
				event := Event{ID: e.ID, At: e.At, Merchant: s.Merchant, Application: e.Application}
				attempts = append(attempts, deliveryAttempt{event, s.Subscribers[i], d.Attempts})
			case name == OwnCode: // enqueued by a function that could not know that there is none
				a.dropDeliveries(name)
			default:
				d.Attempts++
				s.rescheduleApplication(ctx, a.ID, e, d, errNoSubscriber, now)
			}
			changed = true
		}
		if !changed {
			return errUnchanged
		}
		return nil
	})
	return attempts, err
}

func (s *Service) attemptApplicationDelivery(ctx context.Context, id string, d deliveryAttempt, slow *slowSubscribers) (acknowledged bool) {
	begun := time.Now()
	cause := s.callSubscriber(ctx, d)
	slow.record(d.to.Name, cause, time.Since(begun))
	crash("deliver.told")
	ctx, cancel := settleContext(ctx)
	defer cancel()
	_, err := s.updateApplication(ctx, id, func(a *application, now time.Time) error {
		acknowledged = false
		e, pending := a.nextDelivery(d.to.Name)
		if e == nil || e.ID != d.event.ID || pending.Attempts != d.number {
			return errUnchanged
		}
		if cause != nil {
			s.rescheduleApplication(ctx, a.ID, e, pending, cause, now)
			return nil
		}
		a.markDelivered(e.ID, pending.To)
		acknowledged = true
		return nil
	})
	switch {
	case cause != nil:
		s.log(ctx, slog.LevelWarn, "undelivered", "", "application_id", id, "to", d.to.Name, "try", d.number, "event_id", d.event.ID, "error", cause)
	case err != nil:
		s.log(ctx, slog.LevelError, "delivered, and not recorded", "", "application_id", id, "to", d.to.Name, "event_id", d.event.ID, "error", err)
	case acknowledged:
		s.log(ctx, slog.LevelInfo, "delivered", "", "application_id", id, "to", d.to.Name, "try", d.number, "event_id", d.event.ID)
	}
	return acknowledged && err == nil
}

// rescheduleApplication records a failed attempt, or gives it up for a person to look at.
func (s *Service) rescheduleApplication(ctx context.Context, id string, e *outboxEntry, d *delivery, cause error, now time.Time) {
	d.fail(e, cause, now)
	if d.GivenUp {
		s.alarmDaily(ctx, applicationKey(id), alarm{code: alarmSubscriber, why: "a subscriber has not acknowledged an event about an application for three days and is given up"},
			"to", d.To, "event_id", e.ID, "tries", d.Attempts, "error", cause)
	}
}
