package world

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"
)

// transitions are what a refund can become. Success and closed are final;
// abnormal (the user's bank refused the money) is not, since the merchant can
// send the money another way or give up.
var transitions = map[string][]string{
	StatusProcessing: {StatusSuccess, StatusClosed, StatusAbnormal},
	StatusAbnormal:   {StatusSuccess, StatusClosed},
}

// Errors of settling by hand.
var (
	ErrNoRefund = errors.New("sandbox: no refund has this number")
	ErrFinal    = errors.New("sandbox: a final state is final")
)

// summaries are for people.
var summaries = map[string]string{
	StatusSuccess:  "退款成功",
	StatusClosed:   "退款关闭",
	StatusAbnormal: "退款异常",
}

// settle gives a refund its next state and writes the notification about it. w.mu is
// held; transitions allow the step. The delivery is nil if nobody wants notifications.
func (w *World) settle(r *refund, status string, byHand bool) *delivery {
	now := w.clock.now()
	if status == StatusSuccess {
		r.succeeded = now
		if r.status == StatusAbnormal || r.elsewhere != "" { // then the money took another way
			r.channel, r.account = "OTHER_BANKCARD", cmp.Or(r.elsewhere, "建设银行借记卡5678")
		}
	}
	r.status, r.due = status, time.Time{}
	r.past = append(r.past, Change{now, status})
	w.touch(r.order, r)
	w.Log.Info("refund settled", "out_refund_no", r.application.OutRefundNo, "status", status)
	return w.notify(r, now, byHand)
}

// Settle is for whoever controls the sandbox: it gives a refund its next state, and
// returns when the notification about it has been sent once. A refund that is already
// so stays so, and no second notification is written.
func (w *World) Settle(ctx context.Context, outRefundNo, status string) (Refund, error) {
	out, now, err := w.settleByHand(outRefundNo, status)
	if now != nil {
		w.send(ctx, now)
	}
	return out, err
}

// settleByHand returns what is to be sent at once, if anything is.
func (w *World) settleByHand(outRefundNo, status string) (Refund, *sending, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	r := w.refunds[outRefundNo]
	switch {
	case r == nil:
		return Refund{}, nil, ErrNoRefund
	case r.status == status:
		return r.snapshot(), nil, nil
	case !slices.Contains(transitions[r.status], status):
		return Refund{}, nil, fmt.Errorf("%w: %s cannot become %s", ErrFinal, r.status, status)
	}
	d := w.settle(r, status, true)
	if d == nil || d.state != DeliveryPending || d.next.After(w.clock.now()) {
		return r.snapshot(), nil, nil
	}
	return r.snapshot(), w.startSend(d, false), nil
}
