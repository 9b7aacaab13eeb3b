package refund

import (
	"fmt"
	"time"
)

const (
	// slowAfter is when a refund in processing is an alarm: on its fifth day. WeChat Pay
	// closes one that has been processing for more than seven days while the account that
	// pays lacked money (guide 4013071031).
	slowAfter = 4 * 24 * time.Hour
	// refundable is how long after its payment an order can be refunded (APIv3 refund
	// document), and orderWarning how long before its end a refund that is not done is an alarm.
	refundable, orderWarning = 365 * 24 * time.Hour, 7 * 24 * time.Hour
)

// watch raises what goes on for too long, whenever the reconciler looks at the refund.
func (tx *txn) watch(now time.Time) {
	rec := &tx.rec
	switch {
	case rec.State == Claimed && rec.overdue(now) && !rec.doubtExplained() && !rec.waits():
		tx.raise(alarmStuck, "a claim has had no answer for a day: stuck, until the upstream says whether it holds it or a person decides", now)
	case rec.State == Processing && now.Sub(rec.processingSince()) >= slowAfter:
		tx.raise(alarmSlow, "WeChat Pay has been processing this refund for four days; if the merchant's account lacks money it closes it after seven: top it up", now)
	case rec.State == Abnormal:
		tx.raise(alarmAbnormal, whyAbnormal, now)
	}
	if rec.waits() {
		tx.raise(alarmFunds, tx.whyFunds(), now)
	}
	if rec.State != Claimed && rec.State != Processing && rec.State != Abnormal {
		return
	}
	if paid, how := tx.paidBy(); now.Sub(paid) >= refundable-orderWarning {
		tx.raise(alarmOrderAge, fmt.Sprintf("the order was paid on %s or before (%s), and WeChat Pay refunds none that is older than a year: this refund is not done yet",
			paid.In(china()).Format(time.DateOnly), how), now)
	}
}

const whyAbnormal = "the bank has refused this refund, so that the payer has no money yet: operate abnormal, or wxpay_refund_abnormal, finishes it on apiv3, the merchant platform elsewhere"

// processingSince is when the refund was accepted, as far as the history still says so.
func (r *record) processingSince() time.Time {
	since := r.ClaimedAt
	for _, e := range r.History {
		if e.What == string(Processing) {
			since = e.At
		}
	}
	return since
}

// paidBy is a time at which the order had been paid, and how that is known. The ledger is
// not told when an order was paid. WeChat Pay's order numbers of 28 digits have the date
// in the middle, as every example of its documents shows and none says; where a number has
// none, the order is at least as old as its first refund.
func (tx *txn) paidBy() (at time.Time, how string) {
	at, how = tx.rec.ClaimedAt, "by its first refund"
	a := tx.account()
	if a == nil {
		return at, how
	}
	for _, e := range a.Entries {
		if e.At.Before(at) {
			at = e.At
		}
	}
	const digits, from, to = 28, 10, 18
	if len(a.TransactionID) != digits {
		return at, how
	}
	day, err := time.ParseInLocation("20060102", a.TransactionID[from:to], china())
	if err != nil || day.After(at) || day.Year() < 2013 { // WeChat Pay began in 2013
		return at, how
	}
	return day.Add(24 * time.Hour), "by its transaction_id"
}

func china() *time.Location { return time.FixedZone("+08:00", 8*60*60) }
