package refund

import (
	"context"
	"log/slog"
	"strings"
	"time"
)

// forgetPage is how many items are listed at a time to be forgotten.
const forgetPage = 100

// Forget masks the personal data of orders, applications, and the refunds that were claimed before a time and are
// done: in a final state, or rejected and not asked about any more, with nothing on its
// way to a subscriber. It masks the account that received the money and the openids of
// whoever did something; what was given up for a subscriber is masked, too. Money,
// numbers, times, states, the names of operators and the reason stay: without the last a
// repeated request would not be known for the same. Nothing that was masked can be had
// again. by is who decides, as [Caller.Identity] writes it, for the history. The reports
// of bills stay as they are, since none has ever held an openid.
//
// It may be ended by ctx and called again: what is masked is found masked, and stays. After
// each page it reports how many refunds it has masked so far, if report is not nil.
// [CodeInvalid] if before is in the future.
func (s *Service) Forget(ctx context.Context, before time.Time, by string, report func(masked int)) (masked int, err error) {
	if err := s.Bind(ctx); err != nil {
		return 0, err
	}
	if before.IsZero() || before.Truncate(time.Millisecond).After(s.now()) {
		return 0, invalidf("the date before which to forget must be given, and must not be in the future")
	}
	who := named(by, "")
	index := Recent(time.Time{}, before, classes([]State{Success, Closed, Rejected}, false)...)
	switch incomplete, err := s.incomplete(ctx); {
	case err != nil:
		return 0, err
	case incomplete:
		index = Everything()
	}
	for cursor := ""; ; {
		items, next, err := s.Ledger.List(ctx, index, cursor, forgetPage)
		if err != nil {
			return masked, ledgerError(err)
		}
		for _, it := range items {
			done, err := s.forget(ctx, it, before, who)
			if err != nil {
				return masked, err
			}
			if done {
				masked++
			}
		}
		if report != nil {
			report(masked)
		}
		if cursor = next; next == "" {
			others, err := s.forgetOthers(ctx, before, who)
			if masked += others; err != nil {
				return masked, err
			}
			s.log(ctx, slog.LevelInfo, "forgotten", "", "before", before, "masked", masked, "by", maskIdentity(who.by))
			return masked, nil
		}
	}
}

// forget masks one refund, if there is anything to mask.
func (s *Service) forget(ctx context.Context, listed Item, before time.Time, by actor) (masked bool, err error) {
	no, ok := listed.RefundNo()
	var rec record
	if !ok || decode(listed, &rec) != nil || !rec.forgettable(before) || !rec.mask() {
		return false, nil
	}
	err = s.update(ctx, no, nil, func(tx *txn, now time.Time) error {
		tx.keepQueryAt = true
		if masked = tx.rec.forgettable(before) && tx.rec.mask(); !masked {
			return errUnchanged
		}
		tx.rec.note(by.entry(now, forgotten))
		return nil
	})
	return masked, err
}

// forgotten is the entry of a history that says who has masked personal data.
const forgotten = "forgotten"

// forgettable reports whether the refund was claimed before a time and is done.
func (r *record) forgettable(before time.Time) bool {
	return r.ClaimedAt.Before(before) && (r.settled() || r.State == Rejected) && r.atRest() && len(r.pendingSubscribers()) == 0
}

// mask masks the record's personal data, and reports whether there was any. Who has masked
// it before stays: that is what the entry is for.
func (r *record) mask() (masked bool) {
	texts := []*string{&r.Refund.UserReceivedAccount}
	for i := range r.Outbox {
		texts = append(texts, &r.Outbox[i].Refund.UserReceivedAccount)
	}
	for _, text := range texts {
		if *text != "" && *text != hidden {
			*text, masked = hidden, true
		}
	}
	var users []*string
	for i := range r.History {
		if e := &r.History[i]; e.What != forgotten {
			users = append(users, &e.By)
		}
	}
	for i := range r.Causes {
		users = append(users, &r.Causes[i].AcknowledgedBy)
	}
	for _, by := range users {
		if who := maskIdentity(*by); who != *by && strings.HasPrefix(*by, userIs) {
			*by, masked = who, true
		}
	}
	return masked
}
