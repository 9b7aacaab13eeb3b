package control

import (
	"math"
	"slices"
	"strings"
	"time"

	"wxrefund/shared/console"
)

// A refundFilter chooses refunds.
type refundFilter struct {
	query, currency, order                string
	amount                                console.Amount
	isAmount                              bool
	states                                []string
	since, until                          time.Time
	least, most                           int64
	doubt, undelivered, owed, differences *bool
}

// stateOpen stands for the states of [row.open].
const stateOpen = "open"

// refundFilter reads which refunds are asked for.
func refundFilterOf(p *console.Params) refundFilter {
	f := refundFilter{
		query: strings.ToLower(strings.TrimSpace(p.Text("q"))), currency: p.Currency("currency"), order: p.Text("order"),
		states: p.Among("state", stateOpen, "claimed", "processing", "abnormal", "success", "closed", "rejected"),
		since:  p.Moment("since", false), until: p.Moment("until", true),
		least: p.Number("min", 0, math.MaxInt64, 0), most: p.Number("max", 0, math.MaxInt64, math.MaxInt64),
		doubt: p.Flag("doubt"), undelivered: p.Flag("undelivered"), owed: p.Flag("owed"), differences: p.Flag("difference"),
	}
	f.amount, f.isAmount = console.ParseAmount(p.Text("q"))
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
		f.isAmount && (f.amount.Is(e.Refund, e.Currency) || f.amount.Is(e.Total, e.Currency))
}
