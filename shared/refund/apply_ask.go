package refund

import (
	"context"
	"log/slog"
	"time"
)

// askAsBuyer asks the upstream about the order that a buyer applies for. Whatever tells
// that it is not theirs is one and the same answer, and is counted.
func (s *Service) askAsBuyer(ctx context.Context, caller Caller, t *applying, req ApplyRequest) (PaidOrder, error) {
	if t.payer.tooOften() {
		return PaidOrder{}, tooManyApplications(t.now)
	}
	o, err := s.askPaidOrder(ctx, req.TransactionID, req.OutTradeNo)
	switch e := AsError(err); {
	case err == nil && (&orderFacts{Payers: o.Payers}).paidBy(caller, s.AppIDs):
		return o, nil
	case err == nil || e.Code == CodeNotFound || e.Code == CodeConflict:
		return o, s.refuseApplicant(ctx, caller)
	default:
		u := unavailable("WeChat Pay has not told about this order; apply again in a moment", e)
		u.Next, u.Upstream = Later, e.Upstream
		return o, u
	}
}

// tooOften reports whether the payer has asked so often that no order is looked for.
func (p payerItem) tooOften() bool {
	return p.Refused >= maxRefusedADay || p.Applied >= MaxAppliedADay
}

// refuseApplicant refuses an order that is not the caller's, and counts that. It is no
// evidence for REFUND_OPERATORS: the openid stays out of the log.
func (s *Service) refuseApplicant(ctx context.Context, caller Caller) error {
	s.log(ctx, slog.LevelWarn, "denied", "", "caller", caller)
	if err := s.countToday(ctx, caller, func(p *payerItem) { p.Refused++ }); err != nil {
		return err
	}
	return errNotPayer()
}

// countToday counts that somebody wanted something of an order that is not theirs.
func (s *Service) countToday(ctx context.Context, caller Caller, count func(*payerItem)) error {
	return updateItem(ctx, s, payerKey(caller), func(p *payerItem) error {
		p.on(s.now())
		count(p)
		return nil
	})
}

func tooManyApplications(now time.Time) error {
	e := limited("this caller has applied too often today", 0)
	local := now.In(china())
	e.RetryAfter = time.Date(local.Year(), local.Month(), local.Day()+1, 0, 0, 0, 0, china()).Sub(now)
	return e
}
