package refund

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"log/slog"
	"slices"
	"time"
)

// An OpenAlarm is a cause of alarm that is open and that nobody has acknowledged.
type OpenAlarm struct {
	OutRefundNo string // "": it is about none
	About       string // what [Service.Acknowledge] takes: the number, or what else the alarm is about
	Code, Why   string
	Since       time.Time
	LoggedAt    time.Time // when its alarm was last logged
	Count       int       // how often it has occurred

	// Of the refund that it is about, if that is on record.
	State    State
	Amount   int64 // minor units
	Currency string
}

// An alarmItem is a cause of alarm that no readable record can remember.
type alarmItem struct {
	Cause
	About Key `json:"about,omitempty"`
}

// classAlarm is what alarms about no record are listed under while they are open.
const classAlarm = "alarm" + attention

// attentionClasses are the classes of all that a person should look at.
func attentionClasses() []string {
	return append(classes(nil, true), classAlarm)
}

// alarmKey names the item of an alarm about an item of the ledger, or about what else has a name.
func alarmKey(code string, about Key) Key {
	sum := sha256.Sum256([]byte(code + " " + string(about)))
	return Key("alarm/" + hex.EncodeToString(sum[:12]))
}

func (a alarmItem) item(version int64) Item {
	it := item(alarmKey(a.Code, a.About), version, a, time.Time{})
	if a.Code != "" && a.open() {
		it.Class, it.At = classAlarm, a.Since
	}
	return it
}

// forgottenAfter is how long after its last occurrence an alarm about no record counts
// as ended: one that goes on occurs once a day.
const forgottenAfter = 2 * alarmAgain

// Alarms lists what is open and not acknowledged, about the newest refunds first, from
// cursor on ("": from the beginning): all alarms about each of at most limit refunds or
// other things. next is "" when nothing follows. It is for whoever runs the service: no
// caller is admitted or denied.
func (s *Service) Alarms(ctx context.Context, cursor string, limit int) (alarms []OpenAlarm, next string, err error) {
	listed, next, err := s.Ledger.List(ctx, Recent(time.Time{}, time.Time{}, attentionClasses()...), cursor, limit)
	if err != nil {
		return nil, "", ledgerError(err)
	}
	open, err := s.openCauses(ctx, listed)
	for _, c := range open {
		alarms = append(alarms, c.OpenAlarm)
	}
	return alarms, next, err
}

// An openCause is an open alarm, where it stands in the ledger and whom it has reached.
type openCause struct {
	OpenAlarm
	key   Key
	cause Cause
}

// openCauses reads the open causes of items again, whose listing may be stale.
func (s *Service) openCauses(ctx context.Context, listed []Item) (open []openCause, err error) {
	for chunk := range slices.Chunk(listed, inspectAtOnce) {
		keys := make([]Key, len(chunk))
		for i, it := range chunk {
			keys[i] = it.Key
		}
		items, err := s.Ledger.Get(ctx, keys...)
		if err != nil {
			return nil, ledgerError(err)
		}
		for _, it := range items {
			open = append(open, causesOf(it)...)
		}
	}
	return open, nil
}

// causesOf reads the open causes of an item. What cannot be read has an alarm of its own,
// which the reconciler raises.
func causesOf(it Item) (open []openCause) {
	no, isRefund := it.RefundNo()
	if !isRefund {
		var a alarmItem
		if decode(it, &a) != nil || a.Code == "" || !a.open() {
			return nil
		}
		no, _ = Item{Key: a.About}.RefundNo()
		return []openCause{{key: it.Key, cause: a.Cause, OpenAlarm: OpenAlarm{
			OutRefundNo: no, About: string(a.About), Code: a.Code, Why: a.Why, Since: a.Since, LoggedAt: a.LoggedAt, Count: a.Count,
		}}}
	}
	var rec record
	if decode(it, &rec) != nil {
		return nil
	}
	v := rec.view()
	for _, c := range rec.Causes {
		if c.open() {
			open = append(open, openCause{key: it.Key, cause: c, OpenAlarm: OpenAlarm{
				OutRefundNo: no, About: no, Code: c.Code, Why: c.Why, Since: c.Since, LoggedAt: c.LoggedAt, Count: c.Count,
				State: rec.State, Amount: v.Amount.Refund, Currency: v.Amount.Currency,
			}})
		}
	}
	return open
}

// Acknowledge notes that a person has looked at an alarm and deals with it. about is a
// refund's number, or [OpenAlarm.About]; by is who, as [Caller.Identity] writes it. What
// has happened once is closed by it. What goes on does not alarm again until it has ended
// and come anew. [CodeNotFound] if no such alarm is open.
func (s *Service) Acknowledge(ctx context.Context, about, code, by, note string) error {
	note, by = plain(note, maxWhy), named(by, "").by
	for _, k := range []Key{Key(about), refundKey(about)} { // first: the record itself may be what cannot be read
		err := s.updateAlarm(ctx, code, k, func(a *alarmItem, now time.Time) error {
			if a.Code == "" || !a.open() {
				return errNoAlarm
			}
			a.AcknowledgedAt, a.AcknowledgedBy, a.Note, a.Told = now, by, note, nil
			return nil
		})
		if !errors.Is(err, errNoAlarm) {
			return err
		}
	}
	if err := s.acknowledgeRecord(ctx, about, code, by, note); !errors.Is(err, errNoAlarm) {
		return err
	}
	return notFound("no alarm " + printable(code, 64) + " is open about " + printable(about, 128))
}

// errNoAlarm is why nothing can be acknowledged.
var errNoAlarm = errors.New("refund: no such alarm is open")

func (s *Service) acknowledgeRecord(ctx context.Context, no, code, by, note string) error {
	if len(refundKey(no)) > MaxKey {
		return errNoAlarm
	}
	return s.update(ctx, no, nil, func(tx *txn, now time.Time) error {
		i := slices.IndexFunc(tx.rec.Causes, func(c Cause) bool { return c.Code == code && c.open() })
		dropped := code == alarmSubscriber && tx.rec.gaveUp() // a version before has alarmed of it, and kept no cause
		if i < 0 && !dropped {
			return errNoAlarm
		}
		if dropped { // whoever has dealt with it does not want it any more; Redeliver tells the present state
			tx.rec.removeDeliveries(func(_ outboxEntry, d delivery) bool { return d.GivenUp })
		}
		tx.keepQueryAt = true
		e := named(by, "").entry(now, "acknowledged")
		if e.Note = code; note != "" {
			e.Note += ": " + note
		}
		tx.rec.note(e)
		switch {
		case i < 0:
			return nil
		case !lasts(code):
			tx.rec.Causes = slices.Delete(tx.rec.Causes, i, i+1)
			return nil
		}
		c := &tx.rec.Causes[i]
		c.AcknowledgedAt, c.AcknowledgedBy, c.Note, c.Told = now, by, note, nil
		return nil
	})
}

// updateAlarm changes an alarm about no record; one that does not exist is empty. What
// change returns is as for [Service.update].
func (s *Service) updateAlarm(ctx context.Context, code string, about Key, change func(a *alarmItem, now time.Time) error) error {
	return s.retry(ctx, func() error {
		if err := s.Bind(ctx); err != nil {
			return err
		}
		items, err := s.Ledger.Get(ctx, alarmKey(code, about))
		if err != nil {
			return ledgerError(err)
		}
		var a alarmItem
		_ = decode(items[0], &a) // one that cannot be read is as none
		if err := change(&a, s.now()); err != nil {
			return err
		}
		a.Code, a.About = code, about
		return ledgerError(s.Ledger.Commit(ctx, a.item(items[0].Version)))
	})
}

// alarmDaily logs an alarm about an item that is no readable record, or about something
// else that has a name, once a day until somebody has acknowledged it.
func (s *Service) alarmDaily(ctx context.Context, about Key, a alarm, args ...any) {
	no, isRefund := Item{Key: about}.RefundNo()
	if !isRefund {
		no = string(about)
	}
	s.keepDaily(ctx, about, a.code, a.why, func(count int) {
		s.alarm(ctx, no, alarm{a.code, a.why, count}, args...)
	})
}

// KeepAlarm keeps an alarm that its caller has logged and that is about no refund, so that
// people are told of it. about names what it is about.
func (s *Service) KeepAlarm(ctx context.Context, about, code, why string) {
	s.keepDaily(ctx, Key(about), code, why, func(int) {})
}

// keepDaily keeps an alarm that no record can remember. It is logged by log when it is
// new, and then once a day. It reports whether the ledger has it.
func (s *Service) keepDaily(ctx context.Context, about Key, code, why string, log func(count int)) bool {
	err := s.updateAlarm(ctx, code, about, func(a *alarmItem, now time.Time) error {
		since := now.Sub(a.LoggedAt)
		if since >= 0 && since < alarmAgain {
			return errUnchanged
		}
		if a.Code == "" || !a.open() && since >= forgottenAfter {
			a.Cause = Cause{Since: now, Count: a.Count} // an earlier version has kept the count alone
		}
		a.LoggedAt, a.Count, a.Why = now, a.Count+1, shortened(why, maxWhy)
		if a.open() {
			log(a.Count)
		}
		return nil
	})
	if err != nil {
		s.log(ctx, slog.LevelWarn, "not noted", string(about), "error", err)
	}
	return err == nil
}

// endDaily ends an alarm that no record remembers.
func (s *Service) endDaily(ctx context.Context, about Key, code string) {
	err := s.updateAlarm(ctx, code, about, func(a *alarmItem, now time.Time) error {
		if a.Code == "" || !a.AcknowledgedAt.IsZero() && a.LoggedAt.Before(now.Add(-forgottenAfter)) {
			return errUnchanged
		}
		s.log(ctx, slog.LevelInfo, "alarm closed", string(about), "alarm", code, "since", a.Since, "count", a.Count)
		a.AcknowledgedAt, a.LoggedAt, a.Told = now, now.Add(-forgottenAfter), nil
		return nil
	})
	if err != nil {
		s.log(ctx, slog.LevelWarn, "not noted", string(about), "error", err)
	}
}
