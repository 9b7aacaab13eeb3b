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
	Channel string         `json:"channel"`
	Copy    string         `json:"copy,omitempty"`   // of a ledger that has taken another one's place: the copying by which it did
	Closed  *closedBinding `json:"closed,omitempty"` // nobody may use it
}

// boundFor is how long a process relies on what it has read: another channel may
// have taken over since.
const boundFor = time.Minute

// ErrNotOurs reports that the ledger holds the refunds of another merchant, or of
// another channel: a wrong setting. Beside it, [ErrOtherChannel] is the second.
var (
	ErrNotOurs      = errors.New("refund: the ledger is not this merchant's")
	ErrOtherChannel = errors.New("refund: the ledger's channel is another")
)

// Bind makes the ledger this merchant's at its first use, and refuses one that is
// another's: refund numbers are a merchant's own, and its accounts would be false.
// The error wraps [ErrNotOurs] and names both. A channel that serves the same
// merchant may follow another once no claim is in doubt, since only the channel
// that made a submission can say what became of it: [Service.Reconcile] finds that
// out. Every method that uses the ledger binds it first; whoever wants to know
// before calls this. A ledger that is closed is refused with [ErrClosed] beside the first.
func (s *Service) Bind(ctx context.Context) error { return s.bind(ctx, false) }

// Bound says what [Service.Bind] would, and binds nothing: a ledger that nobody has used
// yet is nobody's, and somebody who only looks should not make it anybody's.
func (s *Service) Bound(ctx context.Context) (bound bool, err error) {
	items, err := s.Ledger.Get(ctx, OwnershipKey)
	if err != nil {
		return false, ledgerError(err)
	}
	var b binding
	if err := decode(items[0], &b); err != nil || b == (binding{}) {
		return false, err
	}
	return true, b.admits(s.ours())
}

func (s *Service) ours() binding {
	return binding{Merchant: s.Merchant, Channel: s.Channel.Spec().Name}
}

// admits says why a ledger so bound is not ours; [ErrOtherChannel] is what [Service.Bind]
// may get over.
func (b binding) admits(ours binding) error {
	switch {
	case b.Closed != nil:
		return b.Closed.refusal()
	case !b.serves(ours.Merchant):
		return misbound(ErrNotOurs, "the ledger of merchant %s, and the other settings name merchant %s", b.name(), ours.name())
	case b.Channel != ours.Channel:
		return misbound(errors.Join(ErrNotOurs, ErrOtherChannel), "a ledger whose refunds were sent on the channel %s, and WXPAY_CHANNEL is %s, which takes over at a run of reconcile once no refund is in doubt", b.Channel, ours.Channel)
	}
	return nil
}

// boundLately reports whether this process has found the ledger to be ours, and relies on it.
func (s *Service) boundLately() bool {
	return time.Since(time.Unix(s.bound.Load(), 0)) < boundFor
}

// bindRead is [Service.Bind] for whoever has read the binding already: what is in order, or
// a ledger's first use, needs no further look.
func (s *Service) bindRead(ctx context.Context, read Item) error {
	var b binding
	err := decode(read, &b)
	switch {
	case err != nil:
	case b == (binding{}):
		err = s.Ledger.Commit(ctx, item(OwnershipKey, read.Version, s.ours(), time.Time{}))
	default:
		err = b.admits(s.ours())
	}
	if err != nil {
		return s.Bind(ctx) // which says it in its words, or finds out who was faster
	}
	s.bound.Store(time.Now().Unix())
	return nil
}

// bind is [Service.Bind]; with follow, this channel takes over from another that
// has nothing in doubt.
func (s *Service) bind(ctx context.Context, follow bool) error {
	if s.boundLately() {
		return nil
	}
	ours := s.ours()
	err := updateItem(ctx, s, OwnershipKey, func(bound *binding) error {
		if (*bound != binding{}) {
			switch err := bound.admits(ours); {
			case err == nil:
				return errUnchanged // the same merchant, of whom one may say more
			case !follow || !errors.Is(err, ErrOtherChannel):
				return err
			default:
				none, failed := s.nothingInDoubt(ctx)
				if failed != nil {
					return failed
				}
				if !none {
					return err
				}
			}
		}
		ours.Copy = bound.Copy
		*bound = ours
		return nil
	})
	if err == nil {
		s.bound.Store(time.Now().Unix())
	}
	return err
}

func misbound(cause error, format string, args ...any) *Error {
	return &Error{Code: CodeInternal, Next: Later, Message: "the configuration is wrong: LEDGER_URL names " + fmt.Sprintf(format, args...), Err: cause}
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

// nothingInDoubt reports whether the ledger holds no claim whose outcome is unknown.
// Such a claim is always due some time.
func (s *Service) nothingInDoubt(ctx context.Context) (bool, error) {
	none := true
	err := s.eachDue(ctx, s.now().Add(farFuture), func(it Item) (bool, error) {
		var rec record
		if _, ok := it.RefundNo(); !ok {
			return true, nil
		}
		if err := decode(it, &rec); err != nil {
			return false, err
		}
		none = rec.State != Claimed || rec.waits()
		return none, nil
	})
	return none, err
}
