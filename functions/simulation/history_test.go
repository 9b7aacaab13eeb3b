package simulation_test

import (
	"cmp"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"slices"
	"time"
)

// A history is what happens to us. It is plain data, so that it can be shown,
// and made smaller when it fails.
type history struct {
	Seed            uint64
	Channel         string
	Failure         string // the shape in which CloudBase's module says no; "": any that tells why
	Orders          []order
	Wishes          []wish
	Acts            []act
	Faults          []faultWindow
	Tick            time.Duration // how often the timer runs while there are faults
	Timers          int           // how many run at once
	Limit           time.Duration // how long the platform lets the dispatcher run
	Pace            time.Duration // least time between two refunds of one order
	Skew            time.Duration // how far an instance's clock may be off
	Leave           bool          // abnormal refunds are never taken up by the merchant
	NoNotifications bool          // no notification ever comes
	Heal            time.Duration // when all faults end
	Subscribers     []string      // who receives events
	Stuck           []stuck       // numbers under which nothing gets through
	Empty           bool          // CloudPay's queries count refunds and list none
	Trust           bool          // what the platform relays is trusted there
	Funds           bool          // what the balance is too low for waits for a top-up
	Bills           string        // whether the timer reads WeChat Pay's bills
	Keyless         bool          // CloudBase's module has no keys beside it, and so no bill
	Rest            time.Duration // how much longer than others all is left alone in the end
	Shop            *shop         // what buyers and operators may do; nil: servers alone ask
}

// An order is paid before anything else happens.
type order struct {
	Trade, Transaction string
	Total              int64
	Currency           string // "": CNY
	Coupon             int64  // what a coupon has paid of it
	CouponType         string
	Payer              string        `json:",omitempty"` // their openid; "": nobody who asks for anything
	PaidBefore         time.Duration `json:",omitempty"` // how long before the history it was paid
}

func (o order) currency() string { return cmp.Or(o.Currency, "CNY") }

// A wish is one refund that a customer is owed, or believes to be.
type wish struct {
	No    string
	Order int
	Fen   int64
	Total int64  // of the order, as the client says
	By    string // how the client names the order
	At    time.Duration
	Twice time.Duration // a second tap so much later; 0: none
	Tries int           // before the customer gives up
	Other int64         // the amount that a confused client sends when it repeats; 0: the same
}

// An act is what somebody else does.
type act struct {
	At     time.Duration
	Do     string
	No     string
	Order  int
	Fen    int64
	Status string
	Untold bool   // no notification about the refund ever comes
	Who    string `json:",omitempty"` // does it, of the people of [shop]
}

// A faultWindow is a kind of fault that may apply for a while, at a rate.
type faultWindow struct {
	From, To time.Duration
	What     string
	Rate     float64
}

func (h *history) String() string {
	b, err := json.MarshalIndent(h, "", "  ")
	if err != nil {
		return err.Error()
	}
	return string(b)
}

// byHand reports whether the merchant makes a refund of that number himself.
func (h *history) byHand(no string) bool {
	return slices.ContainsFunc(h.Acts, func(a act) bool { return a.Do == "by hand" && (no == "" || a.No == no) })
}

const (
	byTrade       = "out_trade_no"
	byTransaction = "transaction_id"
	byBoth        = "both"
)

// draw makes the history of a seed, on APIv3.
func draw(seed uint64) *history { return drawOn(apiv3)(seed) }

// plain is the skeleton of all histories.
func plain(seed uint64) *history {
	r := randomness(seed).of("history")
	h := &history{
		Seed: seed, Channel: apiv3,
		Tick:   pick(r, time.Minute, 2*time.Minute, 2*time.Minute, 5*time.Minute),
		Timers: pick(r, 1, 1, 1, 2),
		Limit:  pick(r, 5*time.Second, 10*time.Second, 20*time.Second),
		Leave:  r.IntN(40) == 0,
		Heal:   25 * time.Minute,
	}
	if r.IntN(12) == 0 {
		h.Pace = time.Minute
	}
	if r.IntN(4) == 0 {
		h.Skew = pick(r, time.Second, 20*time.Second, 2*time.Minute)
	}
	for i := range pick(r, 1, 1, 1, 2) {
		h.Orders = append(h.Orders, order{
			Trade: fmt.Sprintf("ORDER%d", i+1), Transaction: fmt.Sprintf("420000000000000%d", i+1),
			Total: pick(r, 100, 100, 2, 1+r.Int64N(1_000_000)),
		})
	}
	h.drawWishes(r)
	h.drawActs(r)
	h.drawFaults(r)
	for range pick(r, 0, 0, 1, 1, 1, 2) {
		pick(r, scenarios()...)(h, r, h.Wishes[r.IntN(len(h.Wishes))])
	}
	h.drawSubscribers(randomness(seed).of("ears"))
	h.drawFunds(randomness(seed).of("funds"))
	slices.SortStableFunc(h.Acts, func(a, b act) int { return cmp.Compare(a.At, b.At) })
	return h
}

// drawFunds draws whether refunds wait for a balance that is too low for a while.
func (h *history) drawFunds(r *rand.Rand) {
	if h.Funds = r.IntN(3) == 0; h.Funds {
		from := span(r, 0, 3*time.Minute)
		h.fault(from, from+span(r, time.Minute, 20*time.Minute), pick(r, 0.5, 1), "err_code:NOT_ENOUGH")
	}
}

// drawWishes draws what the customers want. Most is right and fits the order; some
// exceed it, together or alone, as wrong or racing clients do.
func (h *history) drawWishes(r *rand.Rand) {
	style := pick(r, byTrade, byTrade, byTransaction, byBoth, "")
	for i := range pick(r, 1, 1, 2, 2, 3, 4) {
		o := r.IntN(len(h.Orders))
		total := h.Orders[o].Total
		f := wish{
			No: fmt.Sprintf("R%d", i+1), Order: o, Total: total, By: style, Tries: 1 + r.IntN(4),
			Fen: pick(r, 1, (total+2)/3, (total+2)/3, (total+1)/2, 1+r.Int64N(total), total),
			At:  span(r, time.Second, pick(r, 2*time.Second, 12*time.Minute)),
		}
		if style == "" {
			f.By = pick(r, byTrade, byTransaction, byBoth)
		}
		if r.IntN(4) == 0 {
			f.Twice = span(r, time.Millisecond, pick(r, 300*time.Millisecond, 5*time.Second, 40*time.Second))
		}
		switch r.IntN(24) {
		case 0:
			f.Total = 2 * total // and so the limit that the client's word sets is too high
			f.Fen = pick(r, f.Fen, total+1)
		case 1:
			f.Fen = total + 1 // more than the order, by its own word
		case 2:
			f.Other = max(1, f.Fen-1)
		}
		h.Wishes = append(h.Wishes, f)
	}
}

// drawActs draws what else happens: questions, the merchant's own doings, the bank's,
// and those of strangers.
func (h *history) drawActs(r *rand.Rand) {
	for _, f := range h.Wishes {
		later := func(most time.Duration) time.Duration { return f.At + span(r, time.Second, most) }
		if r.IntN(4) == 0 {
			h.act(later(10*time.Minute), act{Do: pick(r, "query", "query", "query order", "query id"), No: f.No, Order: f.Order})
		}
		if r.IntN(3) == 0 {
			status := pick(r, "ABNORMAL", "ABNORMAL", "CLOSED", "SUCCESS")
			at := later(4 * time.Minute)
			h.act(at, act{Do: "settle", No: f.No, Status: status})
			if status == "ABNORMAL" {
				h.act(at+span(r, time.Second, pick(r, 20*time.Second, 12*time.Minute)),
					act{Do: "settle", No: f.No, Status: pick(r, "SUCCESS", "SUCCESS", "CLOSED")})
			}
		}
		if r.IntN(6) == 0 {
			h.act(later(12*time.Minute), act{Do: pick(r, "relay", "lying relay", "stranger's relay"), No: f.No})
		}
		if r.IntN(5) == 0 {
			h.act(later(12*time.Minute), act{Do: pick(r, "replay", "forge"), No: f.No})
		}
	}
	if r.IntN(8) == 0 {
		o := r.IntN(len(h.Orders))
		no := "HAND1"
		if r.IntN(6) == 0 {
			no = h.Wishes[r.IntN(len(h.Wishes))].No // the operator does what the client is about to ask for, or has
		}
		h.act(span(r, time.Second, 12*time.Minute), act{Do: "by hand", No: no, Order: o, Fen: 1 + r.Int64N(h.Orders[o].Total)})
	}
}

// drawFaults draws the faults. Every kind is a row.
func (h *history) drawFaults(r *rand.Rand) {
	if r.IntN(3) == 0 {
		h.fault(0, h.Heal, pick(r, 0.01, 0.03, 0.08), "crash")
	}
	if r.IntN(8) == 0 {
		h.fault(0, h.Heal, 1, "notify:lose")
	}
	for range r.IntN(4) {
		from := span(r, 0, pick(r, time.Second, 15*time.Minute))
		h.fault(from, from+span(r, 5*time.Second, pick(r, time.Minute, 8*time.Minute)), pick(r, 0.15, 0.4, 0.8, 1), pick(r, faultKinds()...))
	}
	if r.IntN(25) == 0 { // an outage of an hour
		h.fault(0, time.Hour, 1, pick(r, "store down", "store hangs", "wire lost", "upstream:500_before"))
		h.Heal = time.Hour
	}
}

// faultKinds are all kinds but for crashes. What stands behind a colon is a fault
// that the sandbox is asked to inject.
func faultKinds() []string {
	return []string{
		"store down",         // every call fails, and nothing is written
		"store hangs",        // no answer until the caller's patience ends
		"store slow",         // seconds for each call
		"store slow",         //
		"store errs",         // fails before anything is written
		"store forgets",      // writes, and the answer is lost
		"store forgets",      //
		"wire dial",          // no connection: certainly not sent
		"wire lost",          // the request is lost on its way
		"wire late",          // the request arrives when its sender has long given up
		"wire late",          //
		"wire cut",           // the answer is lost
		"wire cut",           //
		"wire slow",          // seconds each way
		"wire mixed",         // the answer to another question comes instead
		"caller leaves",      // whoever called hangs up, and the function's context ends
		"notification lost",  // a notification does not reach us
		"notification twice", // the same bytes come twice at once
		"notification cut",   // our answer to a notification is lost
		"upstream:timeout_before", "upstream:timeout_after", "upstream:reset_after",
		"upstream:500_before", "upstream:500_after", "upstream:429_after",
		"upstream:bad_signature", "upstream:unsigned", "upstream:slow",
		"err_code:NOT_ENOUGH", "err_code:NOT_ENOUGH", "err_code:USER_ACCOUNT_ABNORMAL", "err_code:INVALID_REQUEST",
		"err_code:FREQUENCY_LIMITED", "err_code:SYSTEM_ERROR", "err_code:RESOURCE_NOT_EXISTS",
		"notify:lose", "notify:duplicate", "notify:reorder", "notify:reorder", "notify:delay",
		"notify:tamper", "notify:signtest", "notify:wrong_serial", "notify:stale",
	}
}
