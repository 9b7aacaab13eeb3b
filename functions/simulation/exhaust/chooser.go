package exhaust

// A chooser takes every combination of choices, one a run. A run replays the prefix that
// it is given and then takes the first of whatever there is to choose from.
type chooser struct {
	picks []pick
	next  int
}

type pick struct{ taken, of int }

// Pick chooses one of n.
func (c *chooser) Pick(n int) int {
	if n < 2 {
		return 0
	}
	if c.next == len(c.picks) {
		c.picks = append(c.picks, pick{0, n})
	}
	p := c.picks[c.next]
	if p.of != n {
		panic("exhaust: a run is not the same when it is repeated")
	}
	c.next++
	return p.taken
}

// fresh reports whether the run is beyond what the one before it has had.
func (c *chooser) fresh() bool { return c.next == len(c.picks) }

// advance makes the next combination the one to run; false: there is none.
func (c *chooser) advance() bool {
	c.picks = c.picks[:c.next] // of a run that was ended early
	for c.next = 0; len(c.picks) > 0; {
		last := &c.picks[len(c.picks)-1]
		if last.taken++; last.taken < last.of {
			return true
		}
		c.picks = c.picks[:len(c.picks)-1]
	}
	return false
}
