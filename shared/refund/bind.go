package refund

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// A binding says whose refunds a ledger holds, and which channel made them.
type binding struct {
	Merchant
	Channel string `json:"channel"`
}

const bindingKey = Key("ledger/merchant")

// Bind makes the ledger this merchant's at its first use, and refuses one that is
// another's: refund numbers are a merchant's own, and its accounts would be false.
// A channel that serves the same merchant may follow another once no claim is in
// doubt, since only the channel that made a submission can say what became of it.
// The error names both.
func (s *Service) Bind(ctx context.Context) error {
	ours := binding{s.Merchant, s.Channel.Spec().Name}
	for range maxTries {
		items, err := s.Ledger.Get(ctx, bindingKey)
		if err != nil {
			return err
		}
		var bound binding
		if err := decode(items[0], &bound); err != nil {
			return err
		}
		switch {
		case bound == ours:
			return nil
		case items[0].Version == 0:
		case !bound.serves(ours.Merchant):
			return fmt.Errorf("this ledger holds the refunds of merchant %s, and the settings name merchant %s", bound.name(), ours.name())
		case bound.Channel != ours.Channel:
			doubtful, err := s.anyInDoubt(ctx)
			if err != nil {
				return err
			}
			if doubtful {
				return fmt.Errorf("this ledger has refunds in doubt that were sent on the channel %s, and the settings name %s; it may follow once none is in doubt", bound.Channel, ours.Channel)
			}
		default:
			return nil // the same merchant, of which one says more
		}
		err = s.Ledger.Commit(ctx, item(bindingKey, items[0].Version, ours, time.Time{}))
		if !errors.Is(err, ErrStale) {
			return err
		}
	}
	return ErrStale
}

// serves reports whether the refunds on record are those of that merchant. On
// CloudPay the platform's own number need not be known.
func (b binding) serves(m Merchant) bool {
	return b.SubMchID == m.SubMchID && (b.MchID == m.MchID || b.MchID == "" || m.MchID == "")
}

func (b binding) name() string {
	if b.SubMchID == "" {
		return b.MchID
	}
	return fmt.Sprintf("%s with sub-merchant %s", b.MchID, b.SubMchID)
}

// ages is longer than anything is ever due.
const ages = 10 * 365 * 24 * time.Hour

// anyInDoubt reports whether the ledger holds a claim whose outcome is unknown. Such
// a claim is always due some time.
func (s *Service) anyInDoubt(ctx context.Context) (bool, error) {
	cursor := ""
	for {
		items, next, err := s.Ledger.List(ctx, s.now().Add(ages), cursor, runPage)
		if err != nil {
			return false, err
		}
		for _, it := range items {
			var rec record
			if _, ok := it.RefundNo(); !ok {
				continue
			}
			if err := decode(it, &rec); err != nil {
				return false, err
			}
			if rec.State == Claimed {
				return true, nil
			}
		}
		if cursor = next; next == "" {
			return false, nil
		}
	}
}
