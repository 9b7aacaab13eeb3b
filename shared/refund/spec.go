package refund

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// MaxRefunds is how many refunds one order may have, unless the channel says
// otherwise (APIv3 refund document; seeds 000, 004).
const MaxRefunds = 50

// A Spec says what a channel can carry, as data. What it cannot carry is
// refused by name and never dropped in silence.
type Spec struct {
	Name          string
	NumberChars   string   // beside digits and letters, what refund and order numbers may hold
	OutRefundNo   Length   // bytes
	OutTradeNo    Length   // bytes; Max 0: not carried
	TransactionID Length   // bytes; Max 0: not carried
	Reason        Length   // bytes; Max 0: not carried
	Currencies    []string // nil: any
	FundsAccounts []string // values of funds_account; none: not carried
	FromAccounts  []string // values of amount.from[].account; none: not carried
	Goods         bool     // whether goods_detail is carried
	Lookups       []string // numbers by which the upstream can be asked; out_refund_no always is one

	// What the upstream allows. Zero: it names no limit.
	Rate       int           // submissions a second
	BadRate    int           // submissions a second that it calls wrong
	Pace       time.Duration // least time between two submissions for one order
	MaxRefunds int           // of one order; 0: [MaxRefunds]

	// Resend says that a number which was refused may be sent again, corrected or
	// not, and that the upstream alone judges it (v2): no refusal is given from memory.
	Resend bool
}

// Length bounds a text in bytes, both ends included.
type Length struct{ Min, Max int }

// Check reports the first field of the request that breaks a rule between
// fields or that the channel cannot carry. The error has code [CodeInvalid] and
// names the field. Whatever touches money is checked here even where the
// decoder has checked it before; the shape of texts is the decoder's affair.
func (s Spec) Check(req Request) error {
	numbers := []struct {
		field, value string
		length       Length
		required     bool
	}{
		{"out_refund_no", req.OutRefundNo, s.OutRefundNo, true},
		{"transaction_id", req.TransactionID, s.TransactionID, false},
		{"out_trade_no", req.OutTradeNo, s.OutTradeNo, false},
	}
	for _, n := range numbers {
		if n.value == "" && !n.required {
			continue
		}
		if err := s.number(n.field, n.value, n.length); err != nil {
			return err
		}
	}
	if req.TransactionID == "" && req.OutTradeNo == "" {
		return invalidf("transaction_id or out_trade_no must name the order")
	}
	if req.Reason != "" {
		if s.Reason.Max == 0 {
			return s.notCarried("reason")
		}
		if len(req.Reason) > s.Reason.Max {
			return invalidf("reason must have at most %d bytes", s.Reason.Max)
		}
	}
	if err := s.oneOf("funds_account", req.FundsAccount, s.FundsAccounts); err != nil {
		return err
	}
	if err := s.amount(req.Amount); err != nil {
		return err
	}
	if len(req.GoodsDetail) > 0 && !s.Goods {
		return s.notCarried("goods_detail")
	}
	return nil
}

// Number checks one number that a query names, by the rules of its field.
func (s Spec) Number(field, value string) error {
	lengths := map[string]Length{
		"out_refund_no": s.OutRefundNo, "out_trade_no": s.OutTradeNo,
		"transaction_id": {1, 32}, "refund_id": {1, 32},
	}
	return s.number(field, value, lengths[field])
}

func (s Spec) number(field, value string, length Length) error {
	if length.Max == 0 {
		return s.notCarried(field)
	}
	if len(value) < length.Min || len(value) > length.Max {
		return invalidf("%s must have %d to %d characters", field, length.Min, length.Max)
	}
	for _, c := range []byte(value) {
		if !(c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || strings.IndexByte(s.NumberChars, c) >= 0) {
			return invalidf("%s may hold digits, letters and %s only", field, s.NumberChars)
		}
	}
	return nil
}

func (s Spec) amount(a RequestAmount) error {
	switch {
	case a.Refund < 1:
		return invalidf("amount.refund must be at least 1")
	case a.Total < 1:
		return invalidf("amount.total must be at least 1")
	case a.Refund > a.Total:
		return invalidf("amount.refund must not exceed amount.total")
	case s.Currencies != nil && !slices.Contains(s.Currencies, a.Currency):
		return invalidf("amount.currency must be %s", strings.Join(s.Currencies, " or "))
	case len(a.From) == 0:
		return nil
	}
	var sum int64
	for i, f := range a.From {
		field := fmt.Sprintf("amount.from[%d]", i)
		if f.Account == "" {
			return invalidf("%s.account is required", field)
		}
		if err := s.oneOf(field+".account", f.Account, s.FromAccounts); err != nil {
			return err
		}
		if f.Amount < 1 || f.Amount > a.Refund {
			return invalidf("%s.amount must be between 1 and amount.refund", field)
		}
		if slices.ContainsFunc(a.From[:i], func(g From) bool { return g.Account == f.Account }) {
			return invalidf("%s.account stands in the list twice", field)
		}
		if sum += f.Amount; sum > a.Refund { // stop here, so that no sum can overflow
			break
		}
	}
	if sum != a.Refund {
		return invalidf("amount.from must sum to amount.refund")
	}
	return nil
}

// oneOf accepts an absent value or one of the listed ones; no list means that the channel has no such field.
func (s Spec) oneOf(field, value string, allowed []string) error {
	switch {
	case value == "" || slices.Contains(allowed, value):
		return nil
	case len(allowed) == 0:
		return s.notCarried(field)
	}
	return invalidf("%s must be %s", field, strings.Join(allowed, " or "))
}

func (s Spec) notCarried(field string) error {
	return invalidf("%s cannot be carried by the channel %s", field, s.Name)
}
