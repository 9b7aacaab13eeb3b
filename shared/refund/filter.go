package refund

import (
	"slices"
	"strings"
	"time"
)

// A Filter says which refunds are listed. The zero value is every refund. What is set must
// all hold.
type Filter struct {
	States      []State   // one of them; none: in any state
	Since       time.Time // claimed then or later; an external one counts from when it was first known. Zero: no bound
	Until       time.Time // claimed before. Zero: no bound
	Order       string    // of the order with this transaction_id or out_trade_no, exactly; those that were rejected only if States names [Rejected]
	MinFen      int64     // of at least so many minor units; 0: no bound
	MaxFen      int64     // of at most so many minor units; 0: no bound
	InDoubt     bool      // claimed and submitted, and nobody waits for the answer any more
	Undelivered bool      // a subscriber has not acknowledged an event of it
	Attention   bool      // a person should look at it
	Query       string    // this is part of its out_refund_no, its refund_id or a number of its order
}

// maxLookedFor bounds what is looked for in numbers, in bytes.
const maxLookedFor = 64

// check refuses a filter that nothing can pass.
func (f Filter) check() error {
	for _, s := range f.States {
		if !slices.Contains(allStates(), s) {
			return invalidf("no refund is in state %s", printable(string(s), 32))
		}
	}
	switch {
	case !isNumber(f.Order) || !isNumber(f.Query):
		return invalidf("a number has at most %d characters, all of them visible ASCII", maxLookedFor)
	case f.MinFen < 0 || f.MaxFen < 0 || f.MaxFen > 0 && f.MinFen > f.MaxFen:
		return invalidf("the least amount must be at least 0 and not above the greatest")
	case !f.Since.IsZero() && !f.Until.IsZero() && !f.Since.Before(f.Until):
		return invalidf("the beginning of the time must be before its end")
	}
	return nil
}

// isNumber reports whether a text may be a number or part of one, or is none at all.
func isNumber(s string) bool {
	return len(s) <= maxLookedFor && !strings.ContainsFunc(s, func(r rune) bool { return r <= ' ' || r > '~' })
}

// indexed reports whether the index of classes alone finds what passes.
func (f Filter) indexed() bool {
	return f.Order == "" && f.MinFen == 0 && f.MaxFen == 0 && !f.InDoubt && !f.Undelivered && f.Query == ""
}

// states are those in which a refund may pass; none: it cannot pass.
func (f Filter) states() []State {
	all := f.States
	if len(all) == 0 {
		all = allStates()
	}
	if f.InDoubt {
		all = slices.DeleteFunc(slices.Clone(all), func(s State) bool { return s != Claimed })
	}
	return all
}

// index is that of the classes in which a refund may pass; with marked, of those that a
// person should look at.
func (f Filter) index(marked bool) Index {
	return Recent(f.Since, f.Until, classes(f.states(), marked)...)
}

// matches reports whether a refund passes.
func (f Filter) matches(r *record, now time.Time) bool {
	numbers := r.numbers()
	amount := r.view().Amount.Refund
	switch {
	case !slices.Contains(f.states(), r.State):
	case !f.Since.IsZero() && r.ClaimedAt.Before(f.Since), !f.Until.IsZero() && !r.ClaimedAt.Before(f.Until):
	case f.Order != "" && !slices.Contains(numbers[2:], f.Order):
	case amount < f.MinFen, f.MaxFen > 0 && amount > f.MaxFen:
	case f.InDoubt && !r.inDoubt(now):
	case f.Undelivered && len(r.Outbox) == 0:
	case f.Attention && !r.needsAttention():
	case f.Query != "" && !slices.ContainsFunc(numbers, func(n string) bool { return strings.Contains(n, f.Query) }):
	default:
		return true
	}
	return false
}

// numbers are those by which people look for a refund: its own two, then its order's.
func (r *record) numbers() []string {
	v := r.view()
	return []string{v.OutRefundNo, v.RefundID, v.TransactionID, v.OutTradeNo, r.Request.TransactionID, r.Request.OutTradeNo}
}
