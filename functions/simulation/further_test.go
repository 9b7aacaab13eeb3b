package simulation_test

import (
	"math/rand/v2"
	"time"
)

// further adds to a history what histories have learned since their seeds were
// first noted. It has a chance of its own and changes nothing that was drawn
// before, so that a seed keeps its older part.
func (h *history) further(r *rand.Rand) {
	if h.system().paced || r.IntN(2) == 0 { // the default of both sides
		h.Pace = time.Minute
	}
}
