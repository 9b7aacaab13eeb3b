package notify

import (
	"context"

	"wxrefund/shared/refund"
)

// notSettled is what an upstream or a relay is answered that should repeat.
const notSettled = "the notification cannot be settled now"

// settle has apply make an outcome durable, together with the deliveries that it
// calls for, and then use the time that is left to deliver. After an error nothing
// may be acknowledged, since what was acknowledged is not repeated. A delivery that
// fails is no error: the reconciler goes on with it.
func (h *Handler) settle(ctx context.Context, out refund.Outcome, apply func(context.Context, refund.Outcome) (refund.Settlement, error)) error {
	log := h.Log.With("out_refund_no", out.OutRefundNo)
	if out.EventID != "" {
		log = log.With("event_id", out.EventID)
	}
	st, err := apply(ctx, out)
	if err != nil {
		log.ErrorContext(ctx, "unsettled", "error", err)
		return err
	}
	log.InfoContext(ctx, "acknowledged", "changed", st.Changed)
	return nil
}

// confirm takes a hint, which nobody has signed: the upstream is asked about the
// refund, and what it answers is settled. The caller is whoever brought the hint.
func (h *Handler) confirm(caller refund.Caller) func(context.Context, refund.Outcome) (refund.Settlement, error) {
	return func(ctx context.Context, out refund.Outcome) (refund.Settlement, error) {
		st, err := h.Refunds.Relayed(ctx, caller, out)
		if err == nil && st.Owes { // else to look would cost a ledger behind a network a call
			h.Refunds.Deliver(ctx, out.OutRefundNo)
		}
		return st, err
	}
}
