package refund

import (
	"cmp"
	"slices"
	"time"
)

// A record is what the ledger holds of one refund.
//
// Where a field's JSON name differs from its own, here and in the other types that are
// stored, that is the name under which ledgers of earlier versions hold it: it stays.
type record struct {
	State           State          `json:"state"`
	External        bool           `json:"foreign,omitempty"`   // never claimed here: made on the merchant platform or by another system
	Request         Request        `json:"request"`             // what was claimed; of an external refund, what the upstream reported
	Refund          Refund         `json:"refund"`              // what the upstream has reported so far
	Contents        []Request      `json:"contents,omitempty"`  // other contents that were ever submitted under the number, oldest first
	Order           Key            `json:"order"`               // the order account that it counts in
	SecondOrder     Key            `json:"also,omitempty"`      // another one, of the caller's second order number, until the upstream says whose it is
	Held            int64          `json:"held,omitempty"`      // minor units that it reserves there now
	Counted         bool           `json:"counted,omitempty"`   // whether it counts against MaxRefunds there
	Submission      int            `json:"attempt,omitempty"`   // number of the last submission
	Open            []int          `json:"open,omitempty"`      // submissions of which nothing certain is known
	Lease           time.Time      `json:"lease,omitzero"`      // the last submission is left alone until then
	SubmittedAt     time.Time      `json:"sent_at,omitzero"`    // when the last submission was recorded
	InterimRefusal  *Error         `json:"denied,omitempty"`    // the upstream refused the last submission for certain, and an earlier one is in doubt
	NotFound        int            `json:"absences,omitempty"`  // how often the upstream has not known it, asked when nothing could be on its way
	NotFoundAt      time.Time      `json:"absent_at,omitzero"`  // when it first did not
	ExternalRefunds int            `json:"hands,omitempty"`     // external refunds that the order had when this one was claimed
	Funds           *fundsWait     `json:"funds,omitempty"`     // claimed, refused for want of funds, and goes on after a top-up
	Cancelled       bool           `json:"cancelled,omitempty"` // never submitted again by itself; "withdrawn" in the history
	Queries         int            `json:"asked,omitempty"`     // queries by the reconciler since the state moved
	QueryAt         time.Time      `json:"ask_at,omitzero"`     // when its next one is due, unless the record is at rest
	Revision        int            `json:"moves"`               // how often the state moved: fresh answers have the present one, overtaken ones another
	Refusal         *Error         `json:"refusal,omitempty"`   // the last certain refusal
	Absent          bool           `json:"absent,omitempty"`    // rejected, and the upstream has said since that it holds nothing under this number
	Released        bool           `json:"released,omitempty"`  // rejected, since the upstream never had it
	Doubted         bool           `json:"doubted,omitempty"`   // at rest, and a bill says otherwise: the upstream is asked
	Silent          bool           `json:"silent,omitempty"`    // external, from a bill of what was before us or is another appid's: no event is enqueued
	NumberTaken     bool           `json:"taken,omitempty"`     // rejected, since an external refund has the number: Refund is that one, Order and Held are its
	ClaimedAt       time.Time      `json:"claimed_at"`
	History         []HistoryEntry `json:"history"`
	outbox
	LastEnqueued Status  `json:"announced,omitempty"`   // of the last event that was put there
	Causes       []Cause `json:"causes,omitempty"`      // open causes of alarm
	ClaimedBy    string  `json:"claimed_by,omitempty"`  // whose refund it counts as: see [claimant]; "" of a server's, or an application's
	Application  string  `json:"application,omitempty"` // by whose decision it was claimed
	Proposed     string  `json:"proposed,omitempty"`    // the application that waits, or has waited, under the number; without a state it is all there is
	Finish       *finish `json:"finish,omitempty"`      // what was last sent to finish an abnormal refund

	begun time.Time // real time at which this process recorded the last submission
	left  snapshot  // what this process's claim has left behind, from which its reply is settled
}

// A HistoryEntry is one line of a refund's history.
type HistoryEntry struct {
	At     time.Time `json:"at"`
	What   string    `json:"what"`             // claimed, sent, processing, refused, notification, ...
	Source Source    `json:"source,omitempty"` // how it became known
	Note   string    `json:"note,omitempty"`   // an upstream's code, or what contradicts the record
	ID     string    `json:"id,omitempty"`     // of a notification

	// Who caused the entry, in full: see [Caller.Identity]. It is personal data: what shows
	// it says so. "": this program by itself, or an earlier version, which did not note it.
	By        string `json:"by,omitempty"`
	RequestID string `json:"request_id,omitempty"` // of the invocation that caused it
}

// maxHistory bounds a record's history. The first entries and the last are kept.
const maxHistory = 40

func (r *record) note(e HistoryEntry) { r.History = noted(r.History, e) }

// noted is a history with one more entry.
func noted(history []HistoryEntry, e HistoryEntry) []HistoryEntry {
	history = append(history, e)
	if len(history) > maxHistory {
		history = slices.Delete(history, maxHistory/2, maxHistory/2+1)
	}
	return history
}

// reserves reports whether the refund that counts under the number takes money from its order.
func (r *record) reserves() bool {
	if r.NumberTaken {
		return r.Refund.Status != StatusClosed
	}
	return r.State.reserves()
}

// expected is the claim, corrected by what the upstream has reported since: what
// further reports must agree with. Of a number that an external refund has, it is
// that one.
func (r *record) expected() Request {
	e := r.Request
	if r.NumberTaken {
		e = Request{OutRefundNo: e.OutRefundNo}
	}
	e.TransactionID = cmp.Or(r.Refund.TransactionID, e.TransactionID)
	e.OutTradeNo = cmp.Or(r.Refund.OutTradeNo, e.OutTradeNo)
	e.Amount.Refund = cmp.Or(r.Refund.Amount.Refund, e.Amount.Refund)
	e.Amount.Total = cmp.Or(r.Refund.Amount.Total, e.Amount.Total)
	e.Amount.Currency = cmp.Or(r.Refund.Amount.Currency, e.Amount.Currency)
	return e
}

// view is the refund object as the caller sees it: what the upstream reported,
// completed by what was claimed.
func (r *record) view() Refund {
	v := r.Refund
	v.OutRefundNo = r.Request.OutRefundNo
	if r.NumberTaken {
		return v
	}
	fill(&v, Refund{
		TransactionID: r.Request.TransactionID,
		OutTradeNo:    r.Request.OutTradeNo,
		Amount: Amount{
			Total: r.Request.Amount.Total, Refund: r.Request.Amount.Refund, Currency: r.Request.Amount.Currency,
		},
	})
	return v
}

// maxOpen bounds the list of submissions in doubt.
const maxOpen = 64

// openSubmission begins a submission. It is listed until something certain is known of
// it; of very many the older ones are no longer kept apart, and number 0, which
// nothing ever closes, stands for them.
func (r *record) openSubmission(now time.Time) {
	r.Submission++
	r.SubmittedAt, r.InterimRefusal, r.NotFound, r.NotFoundAt = now, nil, 0, time.Time{}
	r.begun = time.Now().Round(0) // by the wall clock, which does not stop with the process
	r.Open = append(r.Open, r.Submission)
	if len(r.Open) > maxOpen {
		r.Open = slices.Replace(r.Open, 0, 2, 0)
	}
}

// closeSubmission takes a submission of which something certain is known off the list.
func (r *record) closeSubmission(submission int) {
	r.Open = slices.DeleteFunc(r.Open, func(n int) bool { return n == submission })
}

// maxRejectedQueries is how often the upstream is asked whether it holds what it refused,
// or about what a bill contradicts: for some seven hours, if it does not answer.
const maxRejectedQueries = 20

// atRest reports whether the upstream need not be asked any more.
//
// A rejected refund is asked about until the upstream has said that it holds
// nothing under the number. An external refund may have used the number, as one
// made on the merchant platform, which the words of a refusal do not say and which a lost
// notification never will.
func (r *record) atRest() bool {
	switch {
	case r.Doubted && r.Queries < maxRejectedQueries:
		return false
	case r.NumberTaken:
		return r.Refund.Status == StatusSuccess || r.Refund.Status == StatusClosed
	case r.State == Rejected:
		return r.Absent || r.Queries >= maxRejectedQueries
	}
	return r.State.Final()
}

// queryDueNow reports whether it is time to ask the upstream. A time that lies further
// ahead than any that is set was set by a wrong clock.
func (r *record) queryDueNow(now time.Time) bool {
	return !r.atRest() && (!r.QueryAt.After(now) || r.QueryAt.Sub(now) > max(queryBackoff(r.Queries), lease)+clockSkew)
}

// notAhead brings times that lie ahead, which a wrong clock has set, down to now:
// what is counted from them must not take longer than it should.
func (r *record) notAhead(now time.Time) {
	for _, at := range []*time.Time{&r.SubmittedAt, &r.ClaimedAt} {
		if at.After(now) {
			*at = now
		}
	}
	for i := range r.History {
		if at := &r.History[i].At; at.After(now) {
			*at = now
		}
	}
}

// nextQueryAt is when to ask next, counted from now.
func (r *record) nextQueryAt(now time.Time) time.Time {
	if r.State == Claimed && r.Lease.After(now) {
		return r.Lease
	}
	return now.Add(queryBackoff(r.Queries))
}

// due says when the reconciler should look at the refund: to ask about it, or to
// deliver an event of it; zero: never.
func (r *record) due(now time.Time) (at time.Time) {
	if !r.atRest() {
		at = r.QueryAt
	}
	if next, ok := r.nextDeliveryAt(now); ok && (at.IsZero() || next.Before(at)) {
		at = next
		if at.IsZero() {
			at = now // never attempted yet: at once
		}
	}
	return at
}

// queryBackoff is how long to wait before query n: every minute at first, after
// five minutes at 5, 10, 20 and 30 minutes (APIv3 refund document); after about
// a day, when only a bank is still at work, every three hours.
func queryBackoff(n int) time.Duration {
	waits := []time.Duration{1, 1, 1, 1, 1, 5, 10, 20}
	switch {
	case n < len(waits):
		return waits[n] * time.Minute
	case n < len(waits)+46:
		return 30 * time.Minute
	}
	return 3 * time.Hour
}

// difference names the first field in which two requests differ, "" if none.
func difference(a, b Request) string {
	pairs := []struct {
		field string
		same  bool
	}{
		{"out_refund_no", a.OutRefundNo == b.OutRefundNo},
		{"transaction_id", a.TransactionID == b.TransactionID},
		{"out_trade_no", a.OutTradeNo == b.OutTradeNo},
		{"amount.refund", a.Amount.Refund == b.Amount.Refund},
		{"amount.total", a.Amount.Total == b.Amount.Total},
		{"amount.currency", a.Amount.Currency == b.Amount.Currency},
		{"amount.from", slices.Equal(a.Amount.From, b.Amount.From)},
		{"reason", a.Reason == b.Reason},
		{"funds_account", a.FundsAccount == b.FundsAccount},
		{"goods_detail", slices.Equal(a.GoodsDetail, b.GoodsDetail)},
	}
	for _, p := range pairs {
		if !p.same {
			return p.field
		}
	}
	return ""
}

// mismatch names the first field in which what an upstream reports differs from
// what was claimed, "" if none. What it leaves out is not compared.
func mismatch(claim Request, reported Refund) string {
	texts := []struct{ field, claimed, reported string }{
		{"transaction_id", claim.TransactionID, reported.TransactionID},
		{"out_trade_no", claim.OutTradeNo, reported.OutTradeNo},
		{"amount.currency", claim.Amount.Currency, reported.Amount.Currency},
	}
	for _, t := range texts {
		if t.claimed != "" && t.reported != "" && t.claimed != t.reported {
			return t.field
		}
	}
	if reported.Amount.Refund != 0 && reported.Amount.Refund != claim.Amount.Refund {
		return "amount.refund"
	}
	if claim.Amount.Total != 0 && reported.Amount.Total != 0 && reported.Amount.Total != claim.Amount.Total {
		return "amount.total"
	}
	return ""
}
