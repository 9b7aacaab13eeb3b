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
	t.Run("worlds", func(t *testing.T) {
		for _, sc := range all {
			for _, system := range exhaust.Systems() {
				if !flags.on(system) {
					continue
				}
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
	t.Logf("Exhausted: %s paths, %s states within bounds %s on five channels, %d broken (in %v)",
		grouped(paths.Load()), grouped(states.Load()), exhaust.Bounds(all), broken.Load(), time.Since(at).Round(time.Second))
}

// grouped is a number with its digits in groups of three.
func grouped(n int64) string {
	if n < 1000 {
		return strconv.FormatInt(n, 10)
	}
	return fmt.Sprintf("%s,%03d", grouped(n/1000), n%1000)
}
