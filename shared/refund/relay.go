package refund

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"time"
)

// How many hints one source may give: each makes the upstream be asked once. What
// the platform attests to be the merchant's, or what opens with the merchant's key,
// comes as often as the merchant may refund.
const (
	hintRate, hintBurst         = 150, 300 // a second, and at once
	unlistedRate, unlistedBurst = 5, 20    // of a source that nobody has listed
)

// Relayed takes an unsigned message about a refund. What it says is only a
// hint: the upstream is asked, also about a final state that the hint contradicts.
// Where the upstream says that the refund exists and no more, and
// [Service.TrustRelay] is set, what a server's message says settles it.
// [CodeLimited] if this source has given too many hints.
func (s *Service) Relayed(ctx context.Context, caller Caller, out Outcome) (Settlement, error) {
	if err := s.Bind(ctx); err != nil {
		return Settlement{}, err
	}
	if err := s.admitHint(ctx, caller); err != nil {
		return Settlement{}, err
	}
	to, said := stateOf(out.Refund.Status)
	out.by = caller.actor()
	st, err := s.confirm(ctx, out.OutRefundNo, out.by, func(rec *record) bool {
		return !rec.settled() || said && !rec.NumberTaken && to != rec.State
	})
	if e := AsError(err); err != nil && e.CountedOnly && s.TrustRelay && caller.Kind == Server && said && out.Refund.Amount.Refund > 0 {
		out.Source = Relay
		if st, err = s.settle(ctx, out); err == nil && st.contradicts {
			err = unavailable("this relay contradicts the record, and the upstream cannot say what is true", nil)
		}
	}
	return st, err
}

// admitHint counts a hint of a source.
func (s *Service) admitHint(ctx context.Context, caller Caller) error {
	rate, burst := int64(hintRate), int64(hintBurst)
	if caller.Kind == Unlisted {
		rate, burst = unlistedRate, unlistedBurst
	}
	sum := sha256.Sum256(fmt.Appendf(nil, "%d %s", caller.Kind, caller.Source))
	gap := time.Second.Microseconds() / rate
	return updateItem(ctx, s, Key("limit/hint/"+hex.EncodeToString(sum[:8])), func(b *tokenBucket) error {
		now := time.Now().UnixMicro()
		if b.Next > now+gap { // no rule produces that: a clock runs ahead
			b.Next = 0
		}
		if due := b.take(now, gap, burst, 1); due > now {
			return limited("too many hints from one source", due-now)
		}
		return nil
	})
}
