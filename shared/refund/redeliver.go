package refund

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"time"
)

// Redeliver has a subscriber told once more of a refund, or with to "" each of them: what
// was given up or is pending for it is due now and attempted for three days anew, and the
// last that it hears is the refund's present state, under the same event id as before, so
// that who has had it can tell. by is who decides, as [Caller.Identity] writes it, for the
// history. n is how many deliveries are due now: [Service.Deliver] or the reconciler
// makes them.
// [CodeNotFound] if there is no such refund, or no such subscriber here, and
// [CodeConflict] if the refund is in a state of which nobody is told.
func (s *Service) Redeliver(ctx context.Context, outRefundNo, to, by string) (n int, err error) {
	names, err := s.recipients(to)
	if err != nil {
		return 0, err
	}
	err = s.update(ctx, outRefundNo, nil, func(tx *txn, now time.Time) error {
		n = 0
		if tx.rec.State == unknown {
			return notFound("no refund of this number is on record")
		}
		tx.keepQueryAt = true
		n = tx.rec.putBack(names, now)
		if tx.rec.State.told() {
			more, alarm := tx.rec.tellPresent(names, now)
			tx.alarm(alarmOverflow, alarm, now)
			n += more
		}
		if n == 0 {
			return conflictf("subscribers are told of a refund that has succeeded, was closed or has become abnormal, and this one is %s", tx.rec.State)
		}
		tx.rec.note(redelivered(by, names, now))
		if !tx.rec.gaveUp() {
			tx.closeCauses(alarmSubscriber)
		}
		return nil
	})
	if err != nil {
		return 0, err
	}
	s.log(ctx, slog.LevelInfo, "redelivered", outRefundNo, "to", names, "deliveries", n, "by", maskIdentity(by))
	return n, nil
}

// RedeliverApplication is [Service.Redeliver] of what becomes of an application, whose last
// event tells its present state. [Service.DeliverApplication] makes the deliveries.
func (s *Service) RedeliverApplication(ctx context.Context, id, to, by string) (n int, err error) {
	names, err := s.recipients(to)
	if err != nil {
		return 0, err
	}
	a, err := s.updateApplication(ctx, id, func(a *application, now time.Time) error {
		n = a.putBack(names, now)
		more, dropped := a.tellAgain(a.presentEvent(), names, now)
		n, a.dropped = n+more, dropped
		a.note(redelivered(by, names, now))
		return nil
	})
	if err != nil {
		return 0, err
	}
	if !a.gaveUp() {
		s.endDaily(ctx, applicationKey(id), alarmSubscriber)
	}
	s.log(ctx, slog.LevelInfo, "redelivered", "", "application_id", id, "to", names, "deliveries", n, "by", maskIdentity(by))
	return n, nil
}

// recipients are the subscribers that are meant: one, or with "" all of them.
func (s *Service) recipients(to string) ([]string, error) {
	names := s.subscriberNames()
	switch {
	case len(names) == 0:
		return nil, notFound("no subscriber is configured, so that there is nobody to tell")
	case to == "":
		return names, nil
	case !slices.Contains(names, to):
		return nil, notFound(fmt.Sprintf("no subscriber %s is configured; known are %s", printable(to, 64), strings.Join(names, ", ")))
	}
	return []string{to}, nil
}

// redelivered is what the history says of it.
func redelivered(by string, to []string, now time.Time) HistoryEntry {
	e := named(by, "").entry(now, "redelivered")
	e.Note = plain("to "+strings.Join(to, ", "), maxNote)
	return e
}

// maxNote bounds a list of names in the history, in bytes.
const maxNote = 200

// putBack makes whatever is in the outbox for some subscribers due now, and counts it. An
// attempt that is under way ends first.
func (r *outbox) putBack(to []string, now time.Time) (n int) {
	for i := range r.Outbox {
		for j := range r.Outbox[i].Deliveries {
			if d := &r.Outbox[i].Deliveries[j]; slices.Contains(to, d.To) {
				d.GivenUp, d.Next, d.Again, d.TriedBefore = false, time.Time{}, now, d.Attempts
				n++
			}
		}
	}
	return n
}

// tellPresent puts the event of the record's present state into the outbox for those of
// the subscribers for whom it is not there: whoever is told again of what was before is
// told what came of it, too. It returns for how many, and what a person should look at.
func (r *record) tellPresent(to []string, now time.Time) (n int, alarm string) {
	return r.tellAgain(outboxEntry{ID: r.presentEventID(), At: r.presentSince(), Refund: eventRefund(r.view())}, to, now)
}

// tellAgain puts an event into the outbox for those of some subscribers for whom it is not
// there. It returns for how many, and what a person should look at.
func (r *outbox) tellAgain(event outboxEntry, to []string, now time.Time) (n int, alarm string) {
	at := slices.IndexFunc(r.Outbox, func(e outboxEntry) bool { return e.ID == event.ID })
	if at >= 0 {
		to = slices.DeleteFunc(slices.Clone(to), func(name string) bool {
			return slices.ContainsFunc(r.Outbox[at].Deliveries, func(d delivery) bool { return d.To == name })
		})
	}
	if len(to) == 0 {
		return 0, ""
	}
	if at < 0 {
		alarm = r.put(event, nil)
		at = len(r.Outbox) - 1
	}
	for _, name := range to {
		r.Outbox[at].Deliveries = append(r.Outbox[at].Deliveries, delivery{To: name, Again: now})
	}
	return len(to), alarm
}

// presentEventID is the id under which subscribers were told of the record's present
// state, or would have been. An event that all have acknowledged has left it in the
// history: its id could not be made again if the refund_id became known afterwards, or the
// upstream took a final state back for a while.
func (r *record) presentEventID() (id string) {
	for i := len(r.Outbox) - 1; i >= 0; i-- {
		if r.Outbox[i].Refund.Status == r.Refund.Status {
			return r.Outbox[i].ID
		}
	}
	present := false
	for _, e := range r.History {
		switch {
		case e.What == string(r.State):
			if present = true; !r.State.Final() { // which is an event each time
				id = ""
			}
		case slices.Contains(allStates(), State(e.What)):
			present = false
		case present && e.What == "delivered":
			id = e.ID
		}
	}
	return cmp.Or(id, eventID(r))
}

// presentSince is when the ledger learned of the record's present state.
func (r *record) presentSince() time.Time { return lastAt(r.History, string(r.State), r.ClaimedAt) }

// lastAt is when a history last says something, and otherwise if it does not.
func lastAt(history []HistoryEntry, what string, otherwise time.Time) time.Time {
	for _, e := range slices.Backward(history) {
		if e.What == what {
			return e.At
		}
	}
	return otherwise
}
