package simulation_test

import (
	"cmp"
	"slices"
	"testing"
	"time"
)

// calmShop is a history in which a buyer has paid one order of 100, and nothing goes wrong.
func calmShop(channel string, seed uint64) *history {
	h := calm(channel, seed)
	h.Wishes = nil
	h.Orders[0].Payer = buyerOne
	h.Shop = &shop{Mode: modePropose, Fen: 40, Within: 48 * time.Hour, Daily: 5, Approval: 50}
	return h
}

// A fixedShop is something that happens in a shop, with nothing beside it.
type fixedShop struct {
	name  string
	add   func(h *history)
	want  figures // what must have come of it
	none  []string
	seeds uint64 // how many times it is tried; 0: once

	only string   // the one channel where it can happen; "": on all
	dies []string // where somebody must have died in all these tries together
}

func fixedShops() []fixedShop {
	does := func(h *history, at time.Duration, who, do string, fen int64) {
		a := act{Who: who, Do: do, Fen: fen}
		if do == "refund" {
			a.No = "OP1"
		}
		h.act(at, a)
	}
	approved := func(h *history) { // of which two would fit into the order
		does(h, 10*time.Second, buyerOne, "apply", 40)
		does(h, time.Minute, operatorA, "approve", 0)
	}
	return []fixedShop{
		{name: "applied for, and approved", add: approved, want: figures{"applications REFUNDED": 1, "refunds": 1}},
		{name: "applied for twice, and approved by both", add: func(h *history) {
			approved(h)
			does(h, 10*time.Second+time.Millisecond, buyerOne, "apply", 40)
			does(h, time.Minute+time.Millisecond, operatorB, "approve", 0)
		}, want: figures{"applications REFUNDED": 1, "refunds": 1}, seeds: 5},
		{name: "approved, closed, and approved again by both at once", add: func(h *history) {
			approved(h)
			h.act(100*time.Second, act{Do: "settle order", Status: "CLOSED"})
			h.fault(5*time.Minute, 5*time.Minute+8*time.Second, 0.5, "store slow")
			does(h, 5*time.Minute, operatorA, "approve at once", 0)
			does(h, 5*time.Minute+time.Millisecond, operatorB, "approve at once", 0)
		}, want: figures{"applications REFUNDED": 1, "refunds": 2}, seeds: 40},
		{name: "approved, and taken back at once", add: func(h *history) {
			does(h, 10*time.Second, buyerOne, "apply", 60)
			h.fault(time.Minute, time.Minute+8*time.Second, 0.3, "store slow")
			does(h, time.Minute, operatorA, "approve at once", 0)
			does(h, time.Minute+200*time.Millisecond, operatorB, "reject at once", 0)
			does(h, time.Minute+700*time.Millisecond, operatorB, "reject at once", 0)
		}, want: figures{"applications": 1}, seeds: 40},
		{name: "applied for, and rejected", add: func(h *history) {
			does(h, 10*time.Second, buyerOne, "apply", 60)
			does(h, time.Minute, operatorA, "reject", 0)
			does(h, 2*time.Minute, operatorB, "approve at once", 0)
		}, want: figures{"applications REJECTED": 1}, none: []string{"refunds"}},
		{name: "applied for, and withdrawn", add: func(h *history) {
			does(h, 10*time.Second, buyerOne, "apply", 60)
			does(h, time.Minute, buyerOne, "withdraw", 0)
			does(h, 2*time.Minute, operatorB, "approve at once", 0)
		}, want: figures{"applications WITHDRAWN": 1}, none: []string{"refunds"}},
		{name: "applied for, and decided by nobody for a week", add: func(h *history) {
			h.Rest = 8 * 24 * time.Hour
			does(h, 10*time.Second, buyerOne, "apply", 60)
			does(h, 7*24*time.Hour+20*time.Second, operatorA, "approve at once", 0)
		}, want: figures{"applications EXPIRED": 1}, none: []string{"refunds"}},
		{name: "an operator applies, and approves", add: func(h *history) {
			h.Orders[0].Payer = operatorA
			does(h, 10*time.Second, operatorA, "apply", 60)
			does(h, time.Minute, operatorA, "approve", 0)
		}, want: figures{"applications PENDING": 1, "answers wxpay_refund_approve 403": 1}, none: []string{"refunds"}},
		{name: "given at once, up to the bound", add: func(h *history) {
			h.Shop.Mode = modeAuto
			does(h, 10*time.Second, buyerOne, "apply", 30)
			does(h, 2*time.Minute, buyerOne, "apply", 11)
			does(h, 4*time.Minute, buyerOne, "apply", 10)
		}, want: figures{"applications REFUNDED": 2, "applications PENDING": 1, "refunds": 2}},
		{name: "given at once, as often as a day has it", add: func(h *history) {
			h.Shop.Mode, h.Shop.Daily = modeAuto, 1
			does(h, 10*time.Second, buyerOne, "apply", 10)
			does(h, 2*time.Minute, buyerOne, "apply", 11)
		}, want: figures{"applications REFUNDED": 1, "applications PENDING": 1, "refunds": 1}},
		{name: "given at once, but not of what was paid too long ago", add: func(h *history) {
			h.Shop.Mode, h.Orders[0].PaidBefore = modeAuto, 49*time.Hour
			does(h, 10*time.Second, buyerOne, "apply", 10)
		}, want: figures{"applications PENDING": 1}, none: []string{"refunds"}},
		{name: "of another's order nobody gets anything", add: func(h *history) {
			h.Shop.Mode = modeAuto
			for i, who := range []string{passerBy, buyerTwo, nobody} {
				does(h, time.Duration(i+1)*time.Minute, who, "apply", 10)
			}
		}, want: figures{"answers wxpay_refund_apply 403": 3}, none: []string{"refunds", "applications"}},
		{name: "too much for one operator, and approved by the other", add: func(h *history) {
			does(h, 10*time.Second, operatorA, "refund", 60)
			does(h, time.Minute, operatorA, "approve", 0)
			does(h, 2*time.Minute, operatorB, "approve", 0)
			does(h, 3*time.Minute, operatorA, "refund", 60)
		}, want: figures{"answers wxpay_refund 202": 1, "answers wxpay_refund_approve 403": 1, "answers wxpay_refund 0": 1, "applications REFUNDED": 1, "refunds": 1}},
		{name: "proposed under a number that another operator has just refunded with", add: func(h *history) {
			does(h, 10*time.Second, operatorA, "refund", 60)
			does(h, 10*time.Second+400*time.Millisecond, operatorB, "refund", 1)
			does(h, time.Minute, operatorB, "approve", 0)
			h.fault(0, 20*time.Second, 1, "store slow")
		}, want: figures{"refunds": 1}, seeds: 40},
		{name: "dies while the money of an abnormal refund is sent elsewhere", only: apiv3, add: func(h *history) {
			does(h, 10*time.Second, operatorA, "refund", 40)
			h.act(time.Minute, act{Do: "settle order", Status: "ABNORMAL"})
			h.fault(2*time.Minute, 3*time.Minute, 0.15, "crash")
			for at := 2 * time.Minute; at < 3*time.Minute; at += 10 * time.Second {
				does(h, at, pick(randomness(h.Seed).of(at.String()), operatorA, operatorB), "finish", 0)
			}
			does(h, 20*time.Minute, operatorB, "finish", 0)
		}, want: figures{"refunds": 1}, seeds: 40, dies: []string{crashPoints()["finish.after"], crashPoints()["finish.called"]}},
		{name: "approved while the reconciler alone lives on", add: func(h *history) {
			does(h, 10*time.Second, buyerOne, "apply", 60)
			h.fault(time.Minute, time.Minute+2*time.Second, 0.3, "crash")
			does(h, time.Minute, operatorA, "approve at once", 0)
		}, want: figures{"applications": 1}, seeds: 20},
	}
}

// What may happen in a shop ends as it should on each channel, and on all of them alike.
func TestFixedShops(t *testing.T) {
	keys()
	for _, name := range append(others(), apiv3) {
		if !flags.on(name) {
			continue
		}
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for _, s := range fixedShops() {
				if s.only != "" && s.only != name {
					continue
				}
				died, tries := figures{}, min(cmp.Or(s.seeds, 1), uint64(size(0, 100, 5, 3)))
				for i := range tries {
					h := calmShop(name, hash(name, s.name)%1000+i*1000)
					s.add(h)
					slices.SortStableFunc(h.Acts, func(a, b act) int { return cmp.Compare(a.At, b.At) })
					res := run(t, h, buildOurs, true, nil)
					for _, v := range res.violated {
						t.Errorf("%s, seed %d: %s", s.name, h.Seed, v)
					}
					for what, n := range s.want {
						if res.counts[what] != n {
							t.Errorf("%s, seed %d: %s: %d, want %d", s.name, h.Seed, what, res.counts[what], n)
						}
					}
					for _, what := range s.none {
						if res.counts[what] > 0 {
							t.Errorf("%s, seed %d: %s: %d, want none", s.name, h.Seed, what, res.counts[what])
						}
					}
					died.add(res.counts)
				}
				for _, where := range s.dies {
					if tries == s.seeds && died["crash "+where] == 0 {
						t.Errorf("%s: in %d tries nobody has died %s", s.name, tries, where)
					}
				}
			}
		})
	}
}
