package simulation_test

import (
	"slices"
	"testing"
)

// shrink drops whatever a history can do without and still fail.
func shrink(t *testing.T, h *history) *history {
	fails := func(h *history) bool {
		return len(h.Wishes) > 0 && len(run(t, h, buildOurs, true, nil).violated) > 0
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
	for i := range h.Acts {
		s := *h
		s.Acts = slices.Delete(slices.Clone(h.Acts), i, i+1)
		out = append(out, &s)
	}
	for i := range h.Stuck {
		s := *h
		s.Stuck = slices.Delete(slices.Clone(h.Stuck), i, i+1)
		out = append(out, &s)
	}
	for i := range h.Faults {
		s := *h
		s.Faults = slices.Delete(slices.Clone(h.Faults), i, i+1)
		out = append(out, &s)
	}
	for i := range h.Wishes {
		s := *h
		s.Wishes = slices.Delete(slices.Clone(h.Wishes), i, i+1)
		out = append(out, &s)
		if h.Wishes[i].Twice > 0 {
			s := *h
			s.Wishes = slices.Clone(h.Wishes)
			s.Wishes[i].Twice = 0
			out = append(out, &s)
		}
		if h.Wishes[i].Tries > 1 {
			s := *h
			s.Wishes = slices.Clone(h.Wishes)
			s.Wishes[i].Tries--
			out = append(out, &s)
		}
	}
	if h.Skew > 0 {
		s := *h
		s.Skew = 0
		out = append(out, &s)
	}
	if h.Timers > 1 {
		s := *h
		s.Timers = 1
		out = append(out, &s)
	}
	return out
}
