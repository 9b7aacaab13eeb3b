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

// ErrNotOurs reports that the ledger holds the refunds of another merchant, or
// refunds in doubt of another channel: a wrong setting.
var ErrNotOurs = errors.New("refund: the ledger is not this merchant's")

// Bind makes the ledger this merchant's at its first use, and refuses one that is
// another's: refund numbers are a merchant's own, and its accounts would be false.
// A channel that serves the same merchant may follow another once no claim is in
// doubt, since only the channel that made a submission can say what became of it.
// The error wraps [ErrNotOurs] and names both. Every method that uses the ledger
// binds it first; whoever wants to know before calls this.
func (s *Service) Bind(ctx context.Context) error {
	if s.bound.Load() {
		return nil
	}
	ours := binding{s.Merchant, s.Channel.Spec().Name}
	err := s.retry(ctx, func() error {
		items, err := s.Ledger.Get(ctx, bindingKey)
		if err != nil {
			return ledgerError(err)
		}
		var bound binding
		if err := decode(items[0], &bound); err != nil {
			return err
		}
		next, err := s.follow(ctx, bound, ours)
		if err != nil || next == bound {
			return err
		}
		return ledgerError(s.Ledger.Commit(ctx, item(bindingKey, items[0].Version, next, time.Time{})))
	})
	if err == nil {
		s.bound.Store(true)
	}
	return err
}

// follow says whose the ledger is from now on, if it was bound so before.
func (s *Service) follow(ctx context.Context, bound, ours binding) (binding, error) {
	refuse := func(format string, args ...any) (binding, error) {
		return bound, &Error{Code: CodeInternal, Next: Later, Message: "the configuration is wrong: LEDGER_URL names " + fmt.Sprintf(format, args...), Err: ErrNotOurs}
	}
	switch {
	case bound == binding{}:
		return ours, nil
	case !bound.serves(ours.Merchant):
		return refuse("the ledger of merchant %s, and the other settings name merchant %s", bound.name(), ours.name())
	case bound.Channel == ours.Channel:
		return bound, nil // the same merchant, of whom one may say more
	}
	doubtful, err := s.anyInDoubt(ctx)
	if err != nil {
		return bound, err
	}
	if doubtful {
		return refuse("a ledger with refunds in doubt that were sent on the channel %s, and WXPAY_CHANNEL is %s, which may follow once none is in doubt", bound.Channel, ours.Channel)
	}
	return ours, nil
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
			return false, ledgerError(err)
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
