package functions_test

import (
	"fmt"
	"strings"
	"testing"
	"text/tabwriter"
)

// A telling is one row of the subscribers' crash table: a process dies at a point,
// and what each subscriber has been told then, and in the end.
type telling struct {
	at, whose string
	// again says whether somebody may take it twice: he had been told, and the
	// process died before it could write his answer down.
	again bool
}

// subscriberNames are those of the sandbox: how often the last has to be told is
// its business.
var subscriberNames = []string{"goodSubscriber", "slowSubscriber", "failingSubscriber"}

// told is how often each subscriber was told of the refund, and how often it took it.
type told map[string]struct{ heard, taken int }

func (w *world) told() (told, map[string]bool) {
	w.t.Helper()
	var answer struct {
		Subscribers []struct {
			Name  string
			Heard []struct {
				ID    string
				Taken bool
			}
		}
	}
	decode(w.t, w.get("/_sandbox/subscribers"), &answer)
	out, ids := told{}, map[string]bool{}
	for _, s := range answer.Subscribers {
		n := out[s.Name]
		for _, h := range s.Heard {
			ids[h.ID] = true
			n.heard++
			if h.Taken {
				n.taken++
			}
		}
		out[s.Name] = n
	}
	return out, ids
}

func (n told) String() string {
	var parts []string
	for _, name := range subscriberNames {
		parts = append(parts, fmt.Sprintf("%d/%d", n[name].taken, n[name].heard))
	}
	return strings.Join(parts, " ")
}

// A process that tells the business is killed at each step, and others go on.
// Everybody has taken the event in the end: once, or twice where his answer died
// with the process that had heard it. Whoever's answer was on record is left alone.
func TestC17D3TellerKilled(t *testing.T) {
	t.Parallel()
	rows := []telling{
		{"settle.before", notifying, false},
		{"settle.after", notifying, false},
		{"deliver.taken", notifying, false},
		{"deliver.told", notifying, true},
		{"deliver.recorded", notifying, true},
		{"settle.before", timing, false},
		{"settle.after", timing, false},
		{"deliver.taken", timing, false},
		{"deliver.told", timing, true},
		{"deliver.recorded", timing, true},
	}
	lines := make([]string, len(rows))
	t.Run("rows", func(t *testing.T) {
		for i, row := range rows {
			t.Run(row.at+"_"+row.whose, func(t *testing.T) {
				t.Parallel()
				lines[i] = row.play(t)
			})
		}
	})
	var table strings.Builder
	out := tabwriter.NewWriter(&table, 0, 0, 2, ' ', 0)
	fmt.Fprintln(out, "point\tdied\tledger\tat the death\tat the end")
	fmt.Fprintln(out, "\t\t\ttaken/told: good slow failing\ttaken/told: good slow failing")
	for _, l := range lines {
		fmt.Fprintln(out, l)
	}
	out.Flush()
	t.Logf("\n%s", &table)
}

func (row telling) play(t *testing.T) string {
	p := &play{world: newWorldWith(t, true), death: death{at: row.at, whose: row.whose, scene: succeeded}, fen: partFen}
	p.order = p.world.order(wholeFen)
	p.set()
	p.die()
	left := p.asLeft().entry(theRefund)
	p.found = left.State
	atDeath, _ := p.told()
	goOn := []string{notifying, timing, timing, timing, timing}
	for _, next := range goOn {
		p.later()
		_, call := p.call(next, ample)
		if answer, err := call(); err != nil {
			t.Fatalf("%s: %s, %v", next, answer, err)
		}
	}
	atEnd, ids := p.told()
	if len(ids) != 1 {
		t.Errorf("one event has the ids %v", ids)
	}
	for _, name := range subscriberNames {
		most := 1
		if row.again && left.owes("scf:"+name) { // its answer was under way when the process died
			most = 2
		}
		if n := atEnd[name]; n.taken < 1 || n.taken > most {
			t.Errorf("%s took it %d times, want once or %d times", name, n.taken, most)
		}
	}
	paid := 0
	for _, name := range subscriberNames {
		if p.found == "success" && !left.owes("scf:"+name) {
			paid++
			if atEnd[name] != atDeath[name] {
				t.Errorf("%s had taken it, which was on record, and was told again", name)
			}
		}
	}
	if row.at == "deliver.recorded" && paid == 0 && atDeath["failingSubscriber"].heard == 0 {
		t.Error("nobody's answer was on record")
	}
	if owed := p.entry(theRefund).Notices; len(owed) > 0 {
		t.Errorf("still owed: %v", owed)
	}
	return fmt.Sprintf("%s\t%s\t%s\t%s\t%s", row.at, callee[row.whose], p.found, atDeath, atEnd)
}
