package simulation_test

import (
	"fmt"
	"testing"
	"time"
)

// A fixedHistory has one fault or one scenario, with nothing beside it.
type fixedHistory struct {
	name string
	add  func(h *history) // adds it
	want figures          // what must have come of it, at least
	none []string         // what must not
}

// calm is a history in which a customer is owed one refund and nothing goes wrong.
func calm(channel string, seed uint64) *history {
	h := &history{
		Seed: seed, Channel: channel, Tick: 2 * time.Minute, Timers: 1, Limit: 10 * time.Second, Pace: time.Minute, Heal: 25 * time.Minute,
		Orders:      []order{{Trade: "ORDER1", Transaction: "4200000000000001", Total: 100}},
		Wishes:      []wish{{No: "R1", Fen: 40, Total: 100, By: byTrade, At: 10 * time.Second, Tries: 3}},
		Subscribers: []string{"scf:shop"},
	}
	if !h.system().byTrade {
		h.Wishes[0].By = pick(randomness(seed).of("by"), byTrade, byTransaction, byBoth)
	}
	return h
}

func fixedHistories(channel string) (all []fixedHistory) {
	for _, when := range []string{"before", "between", "after"} {
		for i := range 4 {
			other, told := i&1 > 0, i&2 > 0
			want := figures{"clients told that their number is taken": 1}
			if when == "before" { // looked up before the caller is told, so whoever asks first hears it as well
				want["clients told that their number is taken"] = 2
			}
			all = append(all, fixedHistory{
				name: fmt.Sprintf("the number is taken %s, other order %t, told of %t", when, other, told), want: want,
				add: func(h *history) {
					h.takeNumber(randomness(h.Seed).of("story"), h.Wishes[0], when, other, told)
				},
			})
		}
	}
	for i, how := range []string{stuckBusy, stuckLost, stuckThenRefused} {
		for j, amend := range amends() {
			if channel != apiv3 && (i+j)%3 > 0 {
				continue
			}
			all = append(all, fixedHistory{
				name: "R1 " + how + ", and is then tried " + amend, want: figures{"claims given up": 1, "amends that were due": 1},
				add: func(h *history) { h.neverHeals(h.Wishes[0], how, amend) },
			})
		}
	}
	if channel == apiv3 || channel == "global" { // the others hear of no refund by hand
		for _, amend := range amends() {
			all = append(all, fixedHistory{
				name: "another refund by hand beside a doubt, then " + amend, want: figures{"alarm refund_by_hand": 1, "claims given up": 1, "amends that were due": 1},
				add: func(h *history) {
					h.act(3*time.Minute, act{Do: "by hand", No: "HAND5", Order: 0, Fen: 30})
					h.neverHeals(h.Wishes[0], stuckBusy, amend)
				},
			})
		}
	}
	if channel == "cloudpay" {
		emptyQueries := func(trust bool, acts ...string) func(*history) {
			return func(h *history) {
				h.Empty, h.Trust = true, trust
				h.fault(0, h.Heal, 1, "notify:lose") // nothing is relayed but what the acts do
				for i, do := range acts {
					h.act(8*time.Minute+time.Duration(i)*time.Minute, act{Do: do, No: "R1"})
				}
			}
		}
		const open = "refunds that queries tell nothing of"
		all = append(all,
			fixedHistory{"queries are empty, and relays trusted", emptyQueries(true, "false relay", "whole relay"), figures{"settled by a relay": 1}, []string{open}},
			fixedHistory{"queries are empty, and relays not trusted", emptyQueries(false, "false relay", "whole relay"), figures{open: 1}, []string{"settled by a relay"}},
			fixedHistory{"queries are empty, and a false relay trusted", emptyQueries(true, "false relay", "false relay", "false relay"), figures{open: 1}, []string{"settled by a relay"}},
			fixedHistory{"queries are empty, and the relay is a stranger's", emptyQueries(true, "stranger's whole relay"), figures{open: 1}, []string{"settled by a relay"}},
			fixedHistory{"queries are empty, and the relay is nobody's", emptyQueries(true, "nobody's whole relay"), figures{open: 1}, []string{"settled by a relay"}},
			fixedHistory{"queries are empty, the relay is trusted, and the claim in doubt", func(h *history) {
				h.fault(h.Wishes[0].At, h.Wishes[0].At+time.Minute, 1, "upstream:reset_after")
				h.Wishes[0].Tries = 1
				emptyQueries(true, "whole relay")(h)
			}, figures{"settled by a relay": 1}, []string{open}},
			fixedHistory{"queries are empty, the relay is not trusted, and the claim in doubt", func(h *history) {
				h.fault(h.Wishes[0].At, h.Wishes[0].At+time.Minute, 1, "upstream:reset_after")
				h.Wishes[0].Tries = 1
				emptyQueries(false, "whole relay")(h)
			}, figures{open: 1, "alarm refund_untold": 1}, []string{"settled by a relay", "claims given up"}},
		)
	}
	return all
}

// Each fixed history comes to its end on each channel.
func TestFixedHistories(t *testing.T) {
	keys()
	for _, name := range append(others(), apiv3) {
		if !flags.on(name) {
			continue
		}
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for i, s := range fixedHistories(name) {
				h := calm(name, hash(name, s.name)%1000+uint64(i)*1000)
				s.add(h)
				res := run(t, h, buildOurs, true, nil)
				for _, v := range res.violated {
					t.Errorf("%s, seed %d: %s", s.name, h.Seed, v)
				}
				for what, least := range s.want {
					if res.counts[what] < least {
						t.Errorf("%s, seed %d: %s: %d, want %d", s.name, h.Seed, what, res.counts[what], least)
					}
				}
				for _, what := range s.none {
					if res.counts[what] > 0 {
						t.Errorf("%s, seed %d: %s: %d, want none", s.name, h.Seed, what, res.counts[what])
					}
				}
			}
		})
	}
}
