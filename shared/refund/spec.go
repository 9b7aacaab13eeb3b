package refund

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// MaxRefunds is how many refunds one order may have, unless the channel says
// otherwise (APIv3's refund document, CloudPay.refund, WeCom document 97333).
const MaxRefunds = 50

// A Spec says what a channel can carry, as data. What it cannot carry is
// refused by name and never dropped in silence.
type Spec struct {
	Name          string
	NumberChars   string     // beside digits and letters, what refund and order numbers may hold
	OutRefundNo   Length     // bytes
	OutTradeNo    Length     // bytes; Max 0: not carried
	TransactionID Length     // bytes; Max 0: not carried
	Reason        Length     // bytes; Max 0: not carried
	Currencies    []string   // nil: any
	FundsAccounts []string   // values of funds_account; none: not carried
	FromAccounts  []string   // values of amount.from[].account; none: not carried
	Goods         bool       // whether goods_detail is carried
	Lookups       []string   // numbers by which the upstream can be asked; out_refund_no always is one
	OrderLookups  []string   // numbers by which [Channel.Order] can ask, the best first; none: it cannot
	Abnormal      bool       // whether [Channel.FinishAbnormal] is carried
	Bills         []BillKind // that the upstream issues of each day; none: it issues none
	BillAccounts  []string   // that have a [FundsBill] each

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

// A Problem is one thing that is wrong with a request.
type Problem struct {
	Fields []string // what it is about; the first is the one that the sentence names
	Says   string   // a sentence
}

// maxNamed bounds how many problems one message names.
const maxNamed = 8

// Invalid makes one error with code [CodeInvalid] of all that is wrong, in this order.
func Invalid(says ...string) *Error {
	if len(says) > maxNamed {
		says = append(slices.Clone(says[:maxNamed]), fmt.Sprintf("and %d more", len(says)-maxNamed))
	}
	return invalidf("%s", strings.Join(says, "; "))
}

// Check reports whatever in the request breaks a rule between fields or cannot
// be carried by the channel: nil, or one error with code [CodeInvalid] that names
// each field.
func (s Spec) Check(req Request) error {
	return complaints(s.Problems(req)).err()
}

// Problems lists what [Spec.Check] reports, in the order of the request's fields.
// Whatever touches money is checked here even where the decoder has checked it
// before; the shape of texts is the decoder's affair.
func (s Spec) Problems(req Request) []Problem {
	var c complaints
	c.number(s, "out_refund_no", req.OutRefundNo, s.OutRefundNo)
	switch {
	case req.TransactionID != "" || req.OutTradeNo != "":
		if req.TransactionID != "" {
			c.number(s, "transaction_id", req.TransactionID, s.TransactionID)
		}
		if req.OutTradeNo != "" {
			c.number(s, "out_trade_no", req.OutTradeNo, s.OutTradeNo)
		}
	case s.TransactionID.Max == 0:
		c.add("out_trade_no is required", "out_trade_no")
	case s.OutTradeNo.Max == 0:
		c.add("transaction_id is required", "transaction_id")
	default:
		c.add("transaction_id or out_trade_no is required", "transaction_id", "out_trade_no")
	}
	switch {
	case req.Reason == "":
	case s.Reason.Max == 0:
		c.add(s.notCarried("reason"), "reason")
	case len(req.Reason) > s.Reason.Max:
		c.add(fmt.Sprintf("reason must have at most %d bytes", s.Reason.Max), "reason")
	}
	c.oneOf(s, "funds_account", req.FundsAccount, s.FundsAccounts)
	c.amount(s, req.Amount)
	if len(req.GoodsDetail) > 0 && !s.Goods {
		c.add(s.notCarried("goods_detail"), "goods_detail")
	}
	return c
}

// LookupProblems lists what is wrong with the number that a query is by.
func (s Spec) LookupProblems(l Lookup) []Problem {
	field, value := l.order()
	switch {
	case l.RefundID != "":
		field, value = "refund_id", l.RefundID
	case l.OutRefundNo != "":
		field, value = "out_refund_no", l.OutRefundNo
	}
	if err := s.Number(field, value); value != "" && err != nil {
		return []Problem{{Fields: []string{field}, Says: AsError(err).Message}}
	}
	return nil
}

// Number checks one number that a query names, by the rules of its field.
func (s Spec) Number(field, value string) error {
	lengths := map[string]Length{
		"out_refund_no": s.OutRefundNo, "out_trade_no": s.OutTradeNo,
		"transaction_id": {1, 32}, "refund_id": {1, 32},
	}
	if says := s.number(field, value, lengths[field]); says != "" {
		return invalidf("%s", says)
	}
	return nil
}

// number says what is wrong with one number; "": nothing.
func (s Spec) number(field, value string, length Length) string {
	if length.Max == 0 {
		return s.notCarried(field)
	}
	if len(value) < length.Min || len(value) > length.Max {
		return fmt.Sprintf("%s must have %d to %d characters", field, length.Min, length.Max)
	}
	for _, c := range []byte(value) {
		if c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || strings.IndexByte(s.NumberChars, c) >= 0 {
			continue
		}
		if s.NumberChars == "" {
			return field + " may hold digits and letters only"
		}
		return fmt.Sprintf("%s may hold digits, letters and %s only", field, s.NumberChars)
	}
	return ""
}

func (s Spec) notCarried(field string) string {
	return fmt.Sprintf("%s cannot be carried by the channel %s", field, s.Name)
}

// complaints gathers problems.
type complaints []Problem

// err is one error of all of them; nil if there are none.
func (c complaints) err() error {
	if len(c) == 0 {
		return nil
	}
	var says []string
	for _, p := range c {
		says = append(says, p.Says)
	}
	return Invalid(says...)
}

// add says what is wrong with the first of the fields, unless one of them is
// wrong already: a rule between fields says nothing of what is wrong by itself.
func (c *complaints) add(says string, fields ...string) {
	if slices.ContainsFunc(*c, func(p Problem) bool { return slices.Contains(fields, p.Fields[0]) }) {
		return
	}
	*c = append(*c, Problem{fields, says})
}

func (c *complaints) number(s Spec, field, value string, length Length) {
	if says := s.number(field, value, length); says != "" {
		c.add(says, field)
	}
}

// oneOf accepts an absent value or one of the listed ones; no list means that the channel has no such field.
func (c *complaints) oneOf(s Spec, field, value string, allowed []string) {
	switch {
	case value == "" || slices.Contains(allowed, value):
	case len(allowed) == 0:
		c.add(s.notCarried(field), field)
	default:
		c.add(fmt.Sprintf("%s must be %s", field, strings.Join(allowed, " or ")), field)
	}
}

func (c *complaints) amount(s Spec, a RequestAmount) {
	const refund, total, currency = "amount.refund", "amount.total", "amount.currency"
	if a.Refund < 1 {
		c.add(refund+" must be at least 1", refund)
	} else if a.Total > 0 && a.Refund > a.Total {
		c.add(refund+" must not exceed "+total, refund, total)
	}
	if a.Total < 1 {
		c.add(total+" must be at least 1", total)
	}
	switch {
	case s.Currencies == nil || slices.Contains(s.Currencies, a.Currency):
	case a.Currency == "":
		c.add(currency+" is required", currency)
	default:
		c.add(fmt.Sprintf("%s must be %s", currency, strings.Join(s.Currencies, " or ")), currency)
	}
	c.from(s, a)
}

func (c *complaints) from(s Spec, a RequestAmount) {
	if len(a.From) == 0 {
		return
	}
	rest, sound := a.Refund, true // what the parts leave, which stops falling below zero: no sum can overflow
	for i, f := range a.From {
		account, amount := fmt.Sprintf("amount.from[%d].account", i), fmt.Sprintf("amount.from[%d].amount", i)
		switch {
		case f.Account == "":
			c.add(account+" is required", account)
		case len(s.FromAccounts) == 0:
			c.add(s.notCarried(account), account)
			return // once is enough
		case slices.ContainsFunc(a.From[:i], func(g From) bool { return g.Account == f.Account }):
			c.add(account+" stands in the list twice", account)
		default:
			c.oneOf(s, account, f.Account, s.FromAccounts)
		}
		switch {
		case f.Amount < 1 || f.Amount > a.Refund:
			c.add(amount+" must be between 1 and amount.refund", amount, "amount.refund")
			sound = false
		case rest >= 0:
			rest -= f.Amount
		}
	}
	if sound && rest != 0 {
		c.add("amount.from must sum to amount.refund", "amount.from", "amount.refund")
	}
}
