package model

import (
	"fmt"
	"math"
)

// A Result is what came of trying all there is.
type Result struct {
	States, Steps int
	Depth         int      // how many steps the farthest state is away
	Broken        string   // which rule, "" if none
	Path          []string // the shortest history that breaks it
	Agree         int      // states in which both books agree and nothing is under way
	CanAgree      int      // states from which such a one can be reached, by itself
}

// Exhaust tries every history within bounds. The first state that breaks a rule ends it; it
// is one of the nearest. live asks of each state, too, whether both books can come to agree
// if from then on no client calls and nothing goes wrong.
func (m *Model) Exhaust(b Bounds, live bool) Result {
	x := &exhaustion{m: m, seen: map[state]int32{}}
	x.reach(state{left: b}, -1)
	for i := 0; i < len(x.list) && x.broken == ""; i++ {
		if i == x.level {
			x.level = len(x.list)
			x.depth++
		}
		x.edges = append(x.edges, index(len(x.ends)))
		m.next(x.list[i], func(e event, t state) {
			if x.broken != "" {
				return
			}
			x.steps++
			k := x.reach(t, index(i))
			if live && e.helps {
				x.ends = append(x.ends, k)
			}
		})
	}
	r := Result{States: len(x.list), Steps: x.steps, Depth: x.depth, Broken: x.broken}
	if r.Broken != "" {
		r.Path = x.path(index(len(x.list) - 1))
	} else if live {
		r.Agree, r.CanAgree = x.live()
	}
	return r
}

type exhaustion struct {
	m      *Model
	seen   map[state]int32
	list   []state
	from   []int32
	edges  []int32 // where those of each state begin in ends
	ends   []int32 // of the steps that help
	steps  int
	level  int
	depth  int
	broken string
}

// index is half as long as an int, of which there are many.
func index(n int) int32 {
	if n < 0 || n > math.MaxInt32 {
		panic("model: more states than can be numbered")
	}
	return int32(n)
}

func (x *exhaustion) reach(s state, from int32) int32 {
	if k, ok := x.seen[s]; ok {
		return k
	}
	k := index(len(x.list))
	x.seen[s] = k
	x.list, x.from = append(x.list, s), append(x.from, from)
	x.broken = s.breaks()
	return k
}

// path tells how a state was reached.
func (x *exhaustion) path(k int32) []string {
	var told []string
	for ; x.from[k] >= 0; k = x.from[k] {
		found := false
		x.m.next(x.list[x.from[k]], func(e event, t state) {
			if t == x.list[k] && !found {
				found = true
				told = append([]string{e.String()}, told...)
			}
		})
	}
	return told
}

// live goes backwards from where the books agree. A sweep from the farthest state to the
// first settles most, since most steps lead away from it.
func (x *exhaustion) live() (agree, can int) {
	ok := make([]bool, len(x.list))
	x.edges = append(x.edges, index(len(x.ends)))
	for i, s := range x.list {
		if ok[i] = s.agrees(); ok[i] {
			agree++
		}
	}
	can = agree
	for more := true; more; {
		more = false
		for i := len(ok) - 1; i >= 0; i-- {
			if ok[i] {
				continue
			}
			for _, k := range x.ends[x.edges[i]:x.edges[i+1]] {
				if ok[k] {
					ok[i], more = true, true
					can++
					break
				}
			}
		}
	}
	return agree, can
}

// agrees reports whether both books say the same, all is over, and nothing is under way.
func (s state) agrees() bool {
	for n, b := range s.books {
		up := s.upstream[n]
		same := b.Status == up && (up == None || up == Success || up == Closed)
		if s.late[n] || !same && (b.Status != Rejected || up != None) {
			return false
		}
	}
	return true
}

// breaks names the rule that a state breaks.
func (s state) breaks() string {
	paid := func(n int) bool { up := s.upstream[n]; return up == Processing || up == Success || up == Abnormal }
	if paid(0) && paid(1) {
		return "the customer's one wish is refunded twice"
	}
	for n, b := range s.books {
		up := s.upstream[n]
		switch {
		case (b.Status == Success || b.Status == Closed) && up != b.Status:
			return fmt.Sprintf("R%d is %s in the ledger and %s at WeChat Pay", n+1, b.Status, up)
		case b.Status == Rejected && up != None:
			return fmt.Sprintf("R%d is rejected in the ledger and %s at WeChat Pay", n+1, up)
		}
	}
	return ""
}
