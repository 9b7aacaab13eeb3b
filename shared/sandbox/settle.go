package sandbox

import (
	"fmt"
	"slices"
	"time"
)

// transitions are what a refund can become. Success and closed are final;
// abnormal (the user's bank refused the money) is not, since the merchant can
// send the money another way or give up.
var transitions = map[string][]string{
	statusProcessing: {statusSuccess, statusClosed, statusAbnormal},
	statusAbnormal:   {statusSuccess, statusClosed},
}

// summaries are for people.
var summaries = map[string]string{
	statusSuccess:  "退款成功",
	statusClosed:   "退款关闭",
	statusAbnormal: "退款异常",
}

// settle gives a refund its next state and writes the notification about it. s.mu is
// held; transitions allow the step. The delivery is nil if nobody wants notifications.
func (s *Sandbox) settle(r *refund, status string, byHand bool) *delivery {
	now := s.clock.now()
	if status == statusSuccess {
		r.succeeded = now
		if r.status == statusAbnormal { // then the money took another way
			r.channel, r.account = "OTHER_BANKCARD", "建设银行借记卡5678"
		}
	}
	r.status, r.due = status, time.Time{}
	r.past = append(r.past, change{now, status})
	s.bell.ring()
	s.log.Info("refund settled", "out_refund_no", r.application.OutRefundNo, "status", status)
	return s.announce(r, now, byHand)
}

// settleByHand is settle for whoever controls the sandbox. A refund that is
// already so stays so, and no second notification is written.
func (s *Sandbox) settleByHand(outRefundNo, status string) (refundObject, *flight, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	r := s.refunds[outRefundNo]
	switch {
	case r == nil:
		return refundObject{}, nil, errNoRefund
	case r.status == status:
		return r.object(), nil, nil
	case !slices.Contains(transitions[r.status], status):
		return refundObject{}, nil, fmt.Errorf("%w: %s cannot become %s", errFinal, r.status, status)
	}
	d := s.settle(r, status, true)
	if d == nil || d.state != statePending || d.next.After(s.clock.now()) {
		return r.object(), nil, nil
	}
	return r.object(), s.takeOff(d, false), nil
}

// announce writes the notification about a refund's state and plans its delivery.
// Hostility and faults that decide about a notification as a whole strike here.
func (s *Sandbox) announce(r *refund, now time.Time, byHand bool) *delivery {
	kind, ok := notificationKinds[r.notification]
	if !ok {
		return nil // who has made it must ask
	}
	d := &delivery{
		outRefundNo: r.application.OutRefundNo, notification: r.notification, url: kind.url(s, r), public: r.public,
		event: "REFUND." + r.status, state: statePending, next: now, made: now,
	}
	if d.url == "" {
		s.log.Warn("nobody to notify: neither the refund nor the merchant platform names a URL", "out_refund_no", d.outRefundNo)
		return nil
	}
	d.id = s.dice.uuid("notification", d.outRefundNo, r.status, stamp(now))
	body, err := kind.write(s, r, d, now)
	if err != nil {
		s.log.Error("notification not written", "out_refund_no", d.outRefundNo, "error", err)
		return nil
	}
	d.body = body
	if s.hostile {
		s.annoy(d, now, byHand)
	}
	for _, f := range noticeFaults {
		if f.birth != nil && s.strikes(partNotify, f.name) {
			d.fault = f.name
			f.birth(d, now)
		}
	}
	s.deliveries[d.id] = d
	s.notifications = append(s.notifications, d)
	d.number = len(s.notifications)
	if d.kept {
		s.kept = append(s.kept, d)
	}
	if d.state == statePending {
		s.plan(event{at: d.next, delivery: d})
	}
	return d
}

// annoy is mild hostility, on by default and decided by the seed. A notification that was
// acknowledged comes a second time up to a minute and a half later: it finds
// clients that book a refund once per notification, and those that let the late
// repeat of an older state overwrite a newer one. And one notification in six is kept
// back until another has overtaken it: it finds clients that take the order of
// arrival for the order of events. Both are documented by WeChat Pay as normal.
func (s *Sandbox) annoy(d *delivery, now time.Time, byHand bool) {
	d.echoes++
	// A settlement by hand is announced at once, since somebody is watching.
	if !byHand && s.dice.throw("overtake", d.id).IntN(6) == 0 {
		d.keep(now, s.dice.seconds(5*time.Second, 90*time.Second, "overtaken", d.id))
	}
}
