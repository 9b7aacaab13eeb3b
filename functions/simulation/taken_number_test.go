package simulation_test

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"time"
)

// extend adds to a history what histories have learned since their seeds were
// first noted. It has a randomness of its own and changes nothing that was drawn
// before, so that a seed keeps its older part.
func (h *history) extend(r *rand.Rand) {
	if h.system().paced || r.IntN(2) == 0 { // the default of both sides
		h.Pace = time.Minute
	}
	f := h.Wishes[r.IntN(len(h.Wishes))]
	switch r.IntN(12) {
	case 0, 1:
		h.takeNumber(r, f, pick(r, "before", "between", "after"), r.IntN(2) == 0, r.IntN(2) == 0)
		if r.IntN(4) == 0 { // and ours may still be on its way
			h.fault(f.At, f.At+span(r, time.Second, 20*time.Second), 1, "wire late")
		}
	case 2:
		h.neverHeals(f, pick(r, stuckBusy, stuckLost, stuckThenRefused), pick(r, amends()...))
	case 3:
		h.handBeside(r, f, pick(r, amends()...))
	}
	if h.Channel == "cloudpay" && r.IntN(5) == 0 {
		h.emptyQueries(r, r.IntN(2) == 0)
	}
}

// takeNumber: somebody refunds by hand, or in another environment, under the number
// of a wish: another order, or another amount of the same. That is before our
// first submission, between two, or after those of the first minutes.
func (h *history) takeNumber(r *rand.Rand, f wish, when string, other, told bool) {
	a := act{Do: "by hand", No: f.No, Order: f.Order, Fen: 1 + r.Int64N(h.Orders[f.Order].Total)}
	if a.Fen == f.Fen || a.Fen == f.Other {
		a.Fen = f.Fen/2 + f.Fen%2 // another amount, unless there is none
	}
	if other || a.Fen == f.Fen || a.Fen == f.Other {
		a.Order, a.Fen = len(h.Orders), f.Fen // of another order the same amount is another refund, too
		h.Orders = append(h.Orders, order{Trade: "ORDER9", Transaction: "4200000000000009", Total: max(100, f.Fen)})
	}
	at := f.At - span(r, time.Millisecond, f.At)
	switch when {
	case "between":
		at = f.At + span(r, time.Second, 2*time.Minute)
		h.fault(f.At, at+span(r, time.Second, time.Minute), 1, pick(r,
			"wire lost", "wire dial", "upstream:500_before", "upstream:timeout_before", "err_code:SYSTEM_ERROR", "err_code:NOT_ENOUGH"))
	case "after":
		at = f.At + span(r, 2*time.Minute, 12*time.Minute)
		h.Stuck = append(h.Stuck, stuck{No: f.No, Until: at, How: pick(r, stuckBusy, stuckLost, stuckThenRefused)})
	}
	h.act(at, a)
	if !told {
		h.fault(0, h.Heal, 1, "notify:lose")
	}
	h.act(h.Heal+span(r, 10*time.Hour, 20*time.Hour), act{Do: "amend", No: f.No, Status: "again"})
}

// A stuck number is one whose submissions do not get through until then, while all
// others do.
type stuck struct {
	No    string
	Until time.Duration
	How   string
}

const (
	stuckBusy        = "is answered with 500"
	stuckLost        = "never arrives"
	stuckThenRefused = "never arrives, and the next is refused"
	stuckRefused     = "is refused"
)

// sticks says what happens to a submission of that number; "": nothing out of the way.
func (w *world) sticks(no string) string {
	for _, s := range w.history.Stuck {
		switch {
		case s.No != no || time.Since(w.start) >= s.Until:
		case s.How == stuckThenRefused:
			w.mu.Lock()
			defer w.mu.Unlock()
			if w.lost[no] {
				return stuckRefused
			}
			w.lost[no] = true
			return stuckLost
		default:
			return s.How
		}
	}
	return ""
}

// amends are how a wish is tried again when its first claim has ended in nothing.
func amends() []string { return []string{"again", "corrected", "renumbered"} }

const (
	// endsWithin is longer than any claim of a number that is stuck can be in doubt:
	// what is submitted for six hours, and given up within a day after its claim.
	endsWithin = 31 * time.Hour
	// afterwards is how long it takes until what comes then has settled.
	afterwards = 4 * time.Hour
)

// neverHeals: a number is stuck for ever, while everything else works. Its claim
// must end by itself, and then the customer must get his money.
func (h *history) neverHeals(f wish, how, amend string) {
	h.Stuck = append(h.Stuck, stuck{No: f.No, Until: h.Heal + endsWithin - time.Minute, How: how})
	h.act(h.Heal+endsWithin, act{Do: "amend", No: f.No, Status: amend})
	h.Rest = endsWithin + afterwards - settleDown
}

// handBeside: while a claim is in doubt, its order is refunded by hand under
// another number.
func (h *history) handBeside(r *rand.Rand, f wish, amend string) {
	h.act(f.At+span(r, 30*time.Second, 10*time.Minute), act{Do: "by hand", No: "HAND5", Order: f.Order, Fen: 1 + r.Int64N(h.Orders[f.Order].Total)})
	if r.IntN(2) == 0 {
		h.neverHeals(f, pick(r, stuckBusy, stuckLost), amend)
		return
	}
	h.Stuck = append(h.Stuck, stuck{No: f.No, Until: f.At + span(r, 10*time.Minute, 2*time.Hour), How: pick(r, stuckBusy, stuckLost)})
}

// emptyQueries: the queries of this account count refunds and tell nothing of them, for
// ever, so that only what the platform relays can say how a refund ends.
func (h *history) emptyQueries(r *rand.Rand, trust bool) {
	h.Empty, h.Trust = true, trust
	for _, f := range h.Wishes {
		for range r.IntN(3) {
			h.act(f.At+span(r, time.Second, 20*time.Minute), act{Do: pick(r, "whole relay", "false relay", "stranger's whole relay", "nobody's whole relay"), No: f.No})
		}
	}
}

// wholeRelay is what CloudPay relays of a refund that WeChat Pay holds; nil while
// it has not ended.
func (w *world) wholeRelay(u upstreamRefund) []byte {
	if u.Status == "PROCESSING" {
		return nil
	}
	return fmt.Appendf(nil, `{"returnCode":"SUCCESS","subMchId":%q,"outRefundNo":%q,"refundId":%q,"outTradeNo":%q,"transactionId":%q,"refundFee":%d,"totalFee":%d,"refundStatus":%q,"successTime":"2000-01-01 08:00:00"}`,
		keys().of["cloudpay"].settings["WXPAY_SUB_MCHID"], u.OutRefundNo, u.RefundID, u.OutTradeNo, u.TransactionID, u.Amount.Refund, u.Amount.Total, toV2(u.Status))
}

// falsify has a relay tell of another amount, or another order, or both.
func falsify(r *rand.Rand, u upstreamRefund) upstreamRefund {
	u.Status = pick(r, "SUCCESS", "CLOSED", "ABNORMAL")
	what := r.IntN(3)
	if what != 1 {
		u.Amount.Refund++
	}
	if what != 0 {
		u.OutTradeNo, u.TransactionID = "ORDER8", "4200000000000008"
	}
	return u
}

// relays brings what is, or could be, a relay of CloudPay with all that it says.
func (w *world) relays(a act, name string) {
	u, held := w.upstream(a.No)
	if !held || w.history.byHand(a.No) { // of what is made by hand no function is told
		return
	}
	if a.Do == "false relay" {
		u = falsify(w.random.of(name), u)
	}
	body := w.wholeRelay(u)
	if body == nil {
		return
	}
	if a.Do == "whole relay" {
		w.deliver(notification{id: "whole", relayed: true, body: body}, "", name)
		return
	}
	w.relay(a, name, body)
}

// relay hands the notification function what a platform would: one that may, or a
// stranger, or somebody who is on no list.
func (w *world) relay(a act, name string, body []byte) {
	c := w.begin(name, 10*time.Second)
	c.forged = strings.HasPrefix(a.Do, "stranger's ")
	c.unlisted = strings.HasPrefix(a.Do, "nobody's ")
	w.side.relay(c, !c.forged, body)
	c.end()
}

// amend asks for a wish again when all has been quiet for long: identically, with
// another amount, or under a new number. If its first claim was given up, and the
// order has room, it must succeed.
func (w *world) amend(a act, name string) {
	f, ok := w.history.wish(a.No)
	if !ok || !w.invariants.on {
		return
	}
	o := w.history.Orders[f.Order]
	left := o.Total
	for _, u := range w.upstreams() {
		if u.OutTradeNo == o.Trade && u.Status != "CLOSED" {
			left -= u.Amount.Refund
		}
	}
	row, _ := w.invariants.row(f.No)
	no, fen := f.No, f.Fen
	if !row.Released { // or the customer would get his money twice
		a.Status = "again"
	}
	switch {
	case a.Status == "renumbered", a.Status == "corrected" && min(f.Fen-1, left) < 1:
		no, fen = f.No+"N", min(f.Fen, left)
	case a.Status == "corrected":
		fen = min(f.Fen-1, left)
	}
	if a.Status != "again" {
		f.Total = o.Total
	}
	if fen < 1 {
		return
	}
	due := row.State == "rejected" && row.Released && fen <= left && f.Total == o.Total && o.PaidBefore < 365*24*time.Hour && !w.invariants.doubts()
	var told *verdict
	for try := range 5 {
		call := fmt.Sprintf("%s.%d", name, try)
		w.names(f.No, no)
		if told = w.ask(f, no, fen, call); told != nil && told.Code != 429 {
			break
		}
		time.Sleep(90 * time.Second)
	}
	w.count("amends", 1)
	switch taken := row.Taken && !row.Request.about(row.other()); {
	case due:
		if w.invariants.judge("amend: what was given up can be claimed again", told != nil && told.Code == 0,
			"%s has ended and there are %d left, but %s, %s for %d, is answered with %+v", f.No, left, no, a.Status, fen, told) {
			w.count("amends that were due", 1)
		}
	case taken && no == f.No:
		w.invariants.judge("amend: what is taken is called so", told != nil && told.Code == 409 && told.Retry == "new_number", "%s is taken, and whoever repeats it is told %+v", no, told)
	}
}

// wish finds the one of that number.
func (h *history) wish(no string) (f wish, ok bool) {
	for _, f := range h.Wishes {
		if f.No == no {
			return f, true
		}
	}
	return wish{}, false
}
