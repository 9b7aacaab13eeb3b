package simulation_test

import (
	"slices"
	"strings"
	"time"
)

// The bounds of a doubt (I10), as WeChat Pay's documents and the clocks of a
// history have them, and not as the code under test does.
const (
	// stillFlying is how long a submission can be on its way: a signature holds for
	// five minutes.
	stillFlying = 5 * time.Minute
	// longestDoubt is within what time after the last submission a claim must have
	// ended; the timer that ends it comes every half an hour.
	longestDoubt = 24*time.Hour + 2*time.Hour
	// longestRetry is how long the timer may submit a claim again.
	longestRetry = 6*time.Hour + time.Hour
	// noticed is how long what a commit has made known may still be overlooked by
	// whoever had read the ledger before, when the store is slow.
	noticed = 15 * time.Second
)

// claimed reports whether a refund that WeChat Pay holds is what was ever claimed
// under the number.
func (v *invariants) claimed(no string, u upstreamRefund) bool {
	v.mu.Lock()
	defer v.mu.Unlock()
	return slices.ContainsFunc(v.of(no).contents, func(c content) bool { return c.about(u) })
}

// takes checks that a number is said to be somebody else's (I7, I9). Only a question
// tells whose refund has a number, and only somebody's own doing can have put
// another one there.
func (v *invariants) takes(c *call, no string) {
	v.w.count("numbers taken", 1)
	heard := c.told(no)
	v.judge("I7 a number is taken by word of a query or a bill", (heard.source == "ask" && heard.status != "" || c.inBill(no)) && v.w.history.byHand(no),
		"%s is said to be somebody else's, and its mover has heard %+v", no, heard)
	if u, ok := v.w.upstream(no); ok {
		v.judge("I9 what was claimed is nobody else's", !v.claimed(no, u), "%s is said to be somebody else's, and agrees with what was claimed", no)
	}
}

// doubts reports whether any claim is in doubt.
func (v *invariants) doubts() bool {
	v.mu.Lock()
	defer v.mu.Unlock()
	for _, r := range v.rows {
		if r.State == "claimed" {
			return true
		}
	}
	return false
}

// quiet reports whether a run of the timer would find nothing to do, when nothing is broken
// any more: nothing is due, nor will be while it runs. Bills are due by the clock, and what a
// wrong clock has put off is looked for by the clock too, so that there it always runs.
func (v *invariants) quiet() bool {
	if !v.on || v.w.history.Bills != billsOff || v.w.history.Skew != 0 {
		return false
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	by := time.Now().Add(time.Minute)
	for _, it := range v.items {
		if !it.Due.IsZero() && it.Due.Before(by) {
			return false
		}
	}
	return true
}

// handsBeside counts the refunds by hand that the ledger has known for a while on
// the orders that a row counts in. v.mu is held.
func (v *invariants) handsBeside(r refundRow, known time.Duration) (n int) {
	var seen []string
	for _, home := range []string{v.home(r.Order), v.home(r.Also)} {
		for _, m := range v.accounts[home].Members {
			since, hand := v.hands[m.No]
			if m.Foreign && hand && time.Since(v.w.start)-since >= known && !slices.Contains(seen, m.No) {
				seen = append(seen, m.No)
				n++
			}
		}
	}
	return n
}

// suspended reports whether a claim in doubt waits for a person to decide, since
// a refund by hand has appeared beside it.
func (v *invariants) suspended(no string) bool {
	v.mu.Lock()
	defer v.mu.Unlock()
	r := v.rows[no]
	return r.State == "claimed" && v.handsBeside(r, noticed) > v.of(no).hands
}

// attempted checks that a submission is about to leave (I10).
func (v *invariants) attempted(c *call, no string, before, next refundRow) {
	now, heard := time.Since(v.w.start), c.told(no)
	v.mu.Lock()
	defer v.mu.Unlock()
	of := v.of(no)
	if before.State != "claimed" {
		of.since, of.hands = now, v.handsBeside(next, 0)
		return
	}
	skewed := v.w.history.Skew != 0
	byTimer := strings.HasPrefix(c.name, "timer ")
	v.judge("I10 nothing is submitted beside a refund by hand", v.handsBeside(next, noticed) <= of.hands, "%s is submitted again (%s)", no, c.name)
	if byTimer && before.waits() { // the upstream has refused it for certain: there is nothing to ask, and it may last a week
		v.w.count("submissions of what waited for the balance", 1)
		return
	}
	if byTimer {
		v.judge("I10 the timer submits for some hours only", now-of.since <= longestRetry, "%s is submitted by the timer %v after its claim", no, now-of.since)
	}
	if byTimer && !(skewed && v.w.docket.isOfApplication(no)) { // a lease looks over to whose clock runs ahead
		v.judge("I10 the timer asks before it submits", heard.absent, "%s is submitted by the timer, which has heard %+v", no, heard)
	}
}

// released checks that a claim is given up (I10).
func (v *invariants) released(no string) {
	v.mu.Lock()
	quiet := time.Since(v.w.start) - v.of(no).sent
	v.mu.Unlock()
	v.w.count("claims given up", 1)
	v.judge("I10 a claim is given up when nothing can be on its way, within a day", quiet >= stillFlying && quiet <= longestDoubt, "%s is given up %v after its last submission", no, quiet)
}

// young reports whether a claim may be in doubt still: it was made, or submitted
// again by somebody, less than a day ago. v.mu is held.
func (v *invariants) young(no string) bool {
	now, of := time.Since(v.w.start), v.of(no)
	return now-of.since < longestDoubt+2*time.Hour || now-of.sent < 20*time.Hour
}

// ended checks what has become of the doubts in the end (I10): none is left that is
// older than it may be, but where queries tell nothing that could end one.
func (v *invariants) ended() {
	if v.w.history.Empty || v.w.history.Failure == "http" {
		return
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	for no, r := range v.rows {
		v.judge("I10 every doubt ends", r.State != "claimed" || v.young(no), "%s is still in doubt in the end", no)
	}
}

// untellable reports whether nobody need have learned how a refund stands: queries list
// nothing, and no relay that is trusted has said it and been acknowledged.
func (w *world) untellable(u upstreamRefund) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.history.Empty && !(w.history.Trust && w.relayed[u.OutRefundNo+" "+u.Status])
}

// compareUntold checks the books of such a refund: its money stays reserved and it
// stays open, whatever has become of it.
func (w *world) compareUntold(u upstreamRefund) {
	w.count("refunds that queries tell nothing of", 1)
	no := u.OutRefundNo
	row, known := w.invariants.row(no)
	if !w.invariants.claimed(no, u) { // made by hand: ours under that number is refused, or in doubt
		w.invariants.judge("I9 what nobody tells of under a number of ours is not ours", !known || row.Foreign || row.State == "claimed" || row.State == "rejected",
			"%s is %s, and nobody has told of what WeChat Pay holds under it", no, row.State)
		return
	}
	w.mu.Lock()
	listed := w.listed[no] == u.Status // another fault applied instead, and the answer was whole
	_, relayed := w.relayed[no+" "+u.Status]
	w.mu.Unlock()
	if row.status() == u.Status && (listed || w.history.Trust && relayed) {
		return
	}
	open := []string{"claimed", "processing", "abnormal"}
	w.invariants.judge("I3 what queries tell nothing of stays open, and reserved", slices.Contains(open, row.State) && row.Held == u.Amount.Refund,
		"%s is %s and holds %d, and nobody has told how it stands", no, row.State, row.Held)
	w.invariants.mu.Lock()
	defer w.invariants.mu.Unlock()
	kinds := w.invariants.of(no).kinds
	// What is counted and not told of is a person's to look up, who must be told: at
	// once of a claim in doubt, after a day of what was accepted. The refund by hand
	// beside it is another cause.
	w.invariants.judge("I3 of what stays open a person is told", (slices.Contains(kinds, "refund_untold") || w.invariants.young(no)) && !slices.Contains(kinds, "claim_in_doubt"),
		"%s stays open for ever as %s, and the alarms are %v", no, row.State, kinds)
	w.count("empty queries "+row.State+" alarms "+strings.Join(kinds, " "), 1)
}

// other is the refund that a row holds of somebody else's.
func (r refundRow) other() upstreamRefund {
	return upstreamRefund{OutTradeNo: r.Refund.OutTradeNo, TransactionID: r.Refund.TransactionID, Amount: upstreamAmount{Refund: r.Refund.Amount.Refund}}
}

// owner checks whose a refund is on our books (I9), and whether it counts on the
// order that it is of.
func (w *world) owner(u upstreamRefund, row refundRow) {
	v, no := w.invariants, u.OutRefundNo
	ours := v.claimed(no, u)
	if ours {
		v.judge("I9 what is ours is on our books as ours", !row.Taken, "%s is on our books as somebody else's, and is what was claimed", no)
	} else {
		v.judge("I9 what is not ours is not on our books as ours", row.Taken || row.Foreign, "WeChat Pay holds %d of %s under %s", u.Amount.Refund, u.OutTradeNo, no)
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	home, also := v.accounts[v.home(row.Order)], v.home(row.Also)
	stray := home.Trade != u.OutTradeNo && home.Wechat != u.TransactionID || also != "" && also != v.home(row.Order)
	var listed []string
	for key, a := range v.accounts {
		if slices.ContainsFunc(a.Members, func(m accountMember) bool { return m.No == no }) && a.SameAs == "" {
			listed = append(listed, key)
		}
	}
	v.judge("I9 a refund counts on its own order alone", !stray && len(listed) == 1, "%s of %s counts on %+v (%v)", no, u.OutTradeNo, home, listed)
}
