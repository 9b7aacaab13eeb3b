package simulation_test

import (
	"slices"
	"testing"
)

// shrink drops whatever a history can do without and still fail.
func shrink(t *testing.T, h *history) *history {
	fails := func(h *history) bool {
		return (len(h.Wishes) > 0 || h.Shop != nil) && len(run(t, h, buildOurs, true, nil).violated) > 0
	}
	if !fails(h) {
		return h
	}
	for again := true; again; {
		again = false
		for _, smaller := range smallers(h) {
			if fails(smaller) {
				h, again = smaller, true
				break
			}
		}
	}
	return h
}

// smallers are the histories with one thing less.
func smallers(h *history) (out []*history) {
	with := func(change func(s *history)) {
		s := *h
		s.Wishes = slices.Clone(h.Wishes)
		change(&s)
		out = append(out, &s)
	}
	for i := range h.Acts {
		with(func(s *history) { s.Acts = without(h.Acts, i) })
	}
	for i := range h.Stuck {
		with(func(s *history) { s.Stuck = without(h.Stuck, i) })
	}
	for i := range h.Faults {
		with(func(s *history) { s.Faults = without(h.Faults, i) })
	}
	for i, f := range h.Wishes {
		with(func(s *history) { s.Wishes = without(h.Wishes, i) })
		if f.Twice > 0 {
			with(func(s *history) { s.Wishes[i].Twice = 0 })
		}
		if f.Tries > 1 {
			with(func(s *history) { s.Wishes[i].Tries-- })
		}
	}
	if h.Skew > 0 {
		with(func(s *history) { s.Skew = 0 })
	}
	if h.Timers > 1 {
		with(func(s *history) { s.Timers = 1 })
	}
	return out
}

func without[T any](all []T, i int) []T { return slices.Delete(slices.Clone(all), i, i+1) }
