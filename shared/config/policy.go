package config

import (
	"fmt"
	"strconv"
	"time"

	"wxrefund/shared/refund"
)

func policy(r *reader) refund.Policy {
	return refund.Policy{
		Operators:   r.list("REFUND_OPERATORS"),
		MaxFen:      r.fen("REFUND_MAX_FEN"),
		ApprovalFen: r.fen("REFUND_APPROVAL_FEN"),
	}
}

// What is taken for the bounds of an automatic refund that are not set.
const (
	selfHours = 7 * 24
	selfDaily = 5
)

// maxSelfHours is how long WeChat Pay refunds an order at all: a year.
const maxSelfHours = 365 * 24

// orders reads when the upstream is asked about an order, and what buyers may do by
// themselves, which rests on it. A setting that could not hold is refused: an operator
// would rely on it.
func orders(r *reader, s *refund.Service) {
	verify := r.oneOf("REFUND_VERIFY_ORDER", "first", "first", "always", "off")
	self := r.oneOf("REFUND_SELF", "off", "off", "propose", "auto")
	s.VerifyOrder = map[string]refund.VerifyOrder{"off": refund.VerifyNever, "first": refund.VerifyFirst, "always": refund.VerifyAlways}[verify]
	s.Self = refund.SelfService{
		Mode:   map[string]refund.SelfMode{"propose": refund.SelfPropose, "auto": refund.SelfAuto}[self],
		MaxFen: r.fen("REFUND_SELF_FEN"),
		Within: time.Duration(r.count("REFUND_SELF_HOURS", selfHours, maxSelfHours)) * time.Hour,
		Daily:  r.count("REFUND_SELF_DAILY", selfDaily, refund.MaxAppliedADay),
	}
	if s.Self.Mode == refund.SelfAuto && r.raw("REFUND_SELF_FEN") == "" {
		r.problem("REFUND_SELF_FEN", "is missing beside REFUND_SELF=auto: what one order may get without a decision")
	}
	asks := s.Channel == nil || len(s.Channel.Spec().OrderLookups) > 0 // without a channel that is the mistake
	switch {
	case s.Self.Mode != refund.SelfOff && verify == "off":
		r.problem("REFUND_VERIFY_ORDER", "is off beside REFUND_SELF="+self+": only the order, asked for, says who has paid it")
	case s.Self.Mode != refund.SelfOff && !asks:
		r.problem("REFUND_SELF", fmt.Sprintf("must be off with the channel %s, which cannot tell who has paid an order", s.Channel.Spec().Name))
	}
	if verify == "always" && !asks {
		r.problem("REFUND_VERIFY_ORDER", fmt.Sprintf("must not be always with the channel %s, which cannot be asked about an order", s.Channel.Spec().Name))
	}
}

// count reads how many of something there may be, at least one.
func (r *reader) count(name string, fallback, most int) int {
	v := r.get(name)
	if v == "" {
		return fallback
	}
	n, err := strconv.Atoi(v)
	if err != nil || n < 1 || n > most {
		r.problem(name, fmt.Sprintf("must be a whole number from 1 to %d", most))
	}
	return n
}
