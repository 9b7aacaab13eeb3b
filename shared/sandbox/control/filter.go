package control

import (
	"math"
	"slices"
	"strings"
	"time"
)

// A refundFilter chooses refunds.
type refundFilter struct {
	query, currency, order                string
	amount                                amount
	isAmount                              bool
	states                                []string
	since, until                          time.Time
	least, most                           int64
	doubt, undelivered, owed, differences *bool
}

// stateOpen stands for the states of [row.open].
const stateOpen = "open"

// refundFilter reads which refunds are asked for.
func (p *params) refundFilter() refundFilter {
	f := refundFilter{
		query: strings.ToLower(strings.TrimSpace(p.text("q"))), currency: p.currency("currency"), order: p.text("order"),
		states: p.among("state", stateOpen, "claimed", "processing", "abnormal", "success", "closed", "rejected"),
		since:  p.moment("since", false), until: p.moment("until", true),
		least: p.number("min", 0, math.MaxInt64, 0), most: p.number("max", 0, math.MaxInt64, math.MaxInt64),
		doubt: p.flag("doubt"), undelivered: p.flag("undelivered"), owed: p.flag("owed"), differences: p.flag("difference"),
	}
	f.amount, f.isAmount = parseAmount(p.text("q"))
	return f
}

// passes tells whether a refund is chosen.
func (f *refundFilter) passes(e *entry) bool {
	return f.found(e) &&
		(f.states == nil || slices.Contains(f.states, e.Status) || e.open() && slices.Contains(f.states, stateOpen)) &&
		(f.order == "" || e.OutTradeNo == f.order || e.TransactionID == f.order) &&
		(f.currency == "" || e.Currency == f.currency) &&
		(f.since.IsZero() || !e.at.Before(f.since)) && (f.until.IsZero() || !e.at.After(f.until)) &&
		e.Refund >= f.least && e.Refund <= f.most &&
		is(f.doubt, e.InDoubt) && is(f.undelivered, e.Undelivered) && is(f.owed, e.Owed) && is(f.differences, e.difference() != 0)
}

// is tells whether something is as it is asked for, if that is.
func is(wanted *bool, so bool) bool { return wanted == nil || *wanted == so }

// found tells whether one of the refund's numbers holds what is searched for, or an
// amount is that.
func (f *refundFilter) found(e *entry) bool {
	return f.query == "" || strings.Contains(e.search, f.query) ||
		f.isAmount && (f.amount.is(e.Refund, e.Currency) || f.amount.is(e.Total, e.Currency))
}
