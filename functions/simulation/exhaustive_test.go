package simulation_test

import (
	"flag"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"wxrefund/functions/simulation/exhaust"
)

// level is how large the worlds are of which all histories are lived through.
var level = flag.Int("level", 0, "how large the worlds of TestExhaustive are: 0, 1, 2, …")

// Every history of some small worlds is lived through, by the real code, on every system:
// none breaks anything, and from the end of each both books come to agree.
func TestExhaustive(t *testing.T) {
	if race {
		t.Skip("the race detector finds nothing where one runs at a time, and takes ten times as long")
	}
	at := time.Now()
	var paths, states, broken atomic.Int64
	all := exhaust.Scenarios(*level)
	if !heavy { // bills take longer than all else together
		all = slices.DeleteFunc(all, func(sc exhaust.Scenario) bool { return sc.ReadsBills() })
	}
	systems := slices.DeleteFunc(exhaust.Systems(), func(system string) bool { return !flags.on(system) })
	t.Run("worlds", func(t *testing.T) {
		for _, sc := range all {
			for _, system := range systems {
				t.Run(sc.Name+" on "+system, func(t *testing.T) {
					t.Parallel()
					begun := time.Now()
					res := exhaust.Explore(t, system, sc)
					paths.Add(int64(res.Paths))
					states.Add(int64(res.States))
					t.Logf("%v in %v", res, time.Since(begun).Round(time.Millisecond))
					if res.Broken != nil {
						broken.Add(1)
						t.Errorf("broken:\n\t%s", strings.Join(res.Broken, "\n\t"))
					}
				})
			}
		}
	})
	t.Logf("Exhausted: %s paths, %s states within bounds %s on %s, %d broken (in %v)",
		grouped(paths.Load()), grouped(states.Load()), exhaust.Bounds(all), howMany[len(systems)], broken.Load(), time.Since(at).Round(time.Second))
}

// howMany says how many channels there are.
var howMany = []string{"no channel", "one channel", "two channels", "three channels", "four channels", "five channels"}

// grouped is a number with its digits in groups of three.
func grouped(n int64) string {
	if n < 1000 {
		return strconv.FormatInt(n, 10)
	}
	return fmt.Sprintf("%s,%03d", grouped(n/1000), n%1000)
}
