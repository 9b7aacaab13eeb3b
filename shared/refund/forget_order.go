package refund

import (
	"context"
	"strings"
	"time"
)

// forgetOthers masks what is personal beside refunds: who has paid an order that nothing has
// happened to since a time, and who has applied for what was decided before. An order's payers
// can be asked for anew; whoever has applied is not known again. It returns how many items
// it has masked.
func (s *Service) forgetOthers(ctx context.Context, before time.Time, by actor) (masked int, err error) {
	for cursor := ""; ; {
		items, next, err := s.Ledger.List(ctx, Everything(), cursor, forgetPage)
		if err != nil {
			return masked, ledgerError(err)
		}
		for _, it := range items {
			done, err := s.forgetOther(ctx, it, before, by)
			if err != nil {
				return masked, err
			}
			if done {
				masked++
			}
		}
		if cursor = next; next == "" {
			return masked, nil
		}
	}
}

func (s *Service) forgetOther(ctx context.Context, it Item, before time.Time, by actor) (masked bool, err error) {
	switch {
	case isApplication(it.Key):
		var a application
		if decode(it, &a) != nil || !a.forgettable(before) || !a.mask() {
			return false, nil
		}
		_, err = s.updateApplication(ctx, a.ID, func(a *application, now time.Time) error {
			if masked = a.forgettable(before) && a.mask(); !masked {
				return errUnchanged
			}
			a.note(by.entry(now, forgotten))
			return nil
		})
	case isOrder(it.Key):
		var a orderAccount
		if decode(it, &a) != nil || !a.forgetPayers(before) {
			return false, nil
		}
		err = s.retry(ctx, func() error {
			items, err := s.Ledger.Get(ctx, it.Key)
			if err != nil {
				return ledgerError(err)
			}
			a = orderAccount{}
			if err := decode(items[0], &a); err != nil {
				return err
			}
			if masked = a.forgetPayers(before); !masked {
				return errUnchanged
			}
			next := item(it.Key, items[0].Version, a, time.Time{})
			next.Body = preserve(items[0].Body, next.Body, a)
			return ledgerError(s.Ledger.Commit(ctx, next))
		})
	}
	return masked, err
}

// forgetPayers drops who has paid, unless something has happened to the order since, and
// reports whether there was anybody.
func (a *orderAccount) forgetPayers(before time.Time) bool {
	if a.Paid == nil || len(a.Paid.Payers) == 0 || !a.Paid.ToldAt.Before(before) {
		return false
	}
	for _, e := range a.all() {
		if !e.At.Before(before) {
			return false
		}
	}
	a.Paid.Payers = nil
	return true
}

// forgettable reports whether the application was decided before a time, and nothing is to be done for it.
func (a *application) forgettable(before time.Time) bool {
	return a.State != ApplicationPending && a.LookAt.IsZero() && a.DecidedAt.Before(before) && len(a.pendingSubscribers()) == 0
}

// mask masks who has applied and decided, and reports whether there was anybody.
func (a *application) mask() (masked bool) {
	by := []*string{&a.Applicant, &a.DecidedBy}
	for i := range a.History {
		if a.History[i].What != forgotten {
			by = append(by, &a.History[i].By)
		}
	}
	for _, who := range by {
		if m := maskIdentity(*who); m != *who && strings.HasPrefix(*who, userIs) {
			*who, masked = m, true
		}
	}
	return masked
}
