//go:build heavy

package process

import (
	"fmt"
	"strings"
	"testing"
	"text/tabwriter"
)

// A deliveryCrash is one row of the subscribers' crash table: a process dies at a point,
// and what each subscriber has received then, and in the end.
type deliveryCrash struct {
	at, during string
	// again says whether somebody may take it twice: he had received it, and the
	// process died before it could write his answer down.
	again bool
}

// subscriberNames are those of the sandbox: how often the last needs a delivery is
// its own affair.
var subscriberNames = []string{"goodSubscriber", "slowSubscriber", "failingSubscriber"}

// received is how often each subscriber was received of the refund, and how often it took it.
type received map[string]struct{ heard, taken int }

func (w *World) received() (received, map[string]bool) {
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
	Decode(w.t, w.Get("/_sandbox/subscribers"), &answer)
	out, ids := received{}, map[string]bool{}
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

func (n received) String() string {
	var parts []string
	for _, name := range subscriberNames {
		parts = append(parts, fmt.Sprintf("%d/%d", n[name].taken, n[name].heard))
	}
	return strings.Join(parts, " ")
}

// C17, D3: a process that delivers to subscribers is killed at each step, and others go
// on. Everybody has taken the event in the end: once, or twice where his answer died
// with the process that had heard it. Whoever's answer was on record is left alone.
func TestKillDuringDeliveryLosesNoEvent(t *testing.T) {
	t.Parallel()
	runDeliveryCrashes(t, func(*World) {}, killsDuringDelivery())
}

func killsDuringDelivery() (rows []deliveryCrash) {
	for _, during := range []string{notifying, timing} {
		rows = append(rows,
			deliveryCrash{"settle.before", during, false},
			deliveryCrash{"settle.after", during, false},
			deliveryCrash{"deliver.taken", during, false},
			deliveryCrash{"deliver.told", during, true},
			deliveryCrash{"deliver.recorded", during, true},
		)
	}
	return rows
}

// runDeliveryCrashes runs all rows, in worlds that move their ledger first, and shows them
// as a table.
func runDeliveryCrashes(t *testing.T, move func(*World), rows []deliveryCrash) {
	t.Helper()
	lines := make([]string, len(rows))
	t.Run("rows", func(t *testing.T) {
		for i, row := range rows {
			t.Run(row.at+"_"+row.during, func(t *testing.T) {
				t.Parallel()
				lines[i] = row.run(t, move)
			})
		}
	})
	var table strings.Builder
	out := tabwriter.NewWriter(&table, 0, 0, 2, ' ', 0)
	fmt.Fprintln(out, "point\tdied\tledger\twhen it died\tat the end")
	fmt.Fprintln(out, "\t\t\ttaken/received: good slow failing\ttaken/received: good slow failing")
	for _, l := range lines {
		fmt.Fprintln(out, l)
	}
	out.Flush()
	t.Logf("\n%s", &table)
}

func (row deliveryCrash) run(t *testing.T, move func(*World)) string {
	t.Helper()
	p := &crashCase{World: NewWorldWithSubscribers(t), crash: crash{at: row.at, during: row.during, before: succeeded}, fen: partFen}
	move(p.World)
	p.order = p.World.Order(wholeFen)
	p.prepare()
	p.die()
	left := p.asLeft().entry(theRefund)
	p.found = left.State
	atDeath, _ := p.received()
	goOn := []string{notifying, timing, timing, timing, timing}
	for _, next := range goOn {
		p.Later()
		_, call := p.call(next, ample)
		if answer, err := call(); err != nil {
			t.Fatalf("%s: %s, %v", next, answer, err)
		}
	}
	atEnd, ids := p.received()
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
				t.Errorf("%s had taken it, which was on record, and received it again", name)
			}
		}
	}
	if row.at == "deliver.recorded" && paid == 0 && atDeath["failingSubscriber"].heard == 0 {
		t.Error("nobody's answer was on record")
	}
	if owed := p.entry(theRefund).Notices; len(owed) > 0 {
		t.Errorf("still owed: %v", owed)
	}
	return fmt.Sprintf("%s\t%s\t%s\t%s\t%s", row.at, callee[row.during], p.found, atDeath, atEnd)
}
