package simulation_test

import (
	"fmt"
	"runtime"
	"slices"
	"strings"
	"time"
)

// figures are what was counted, by name.
type figures map[string]int64

func (f figures) add(g figures) {
	for k, n := range g {
		f[k] += n
	}
}

// prefixed lists what begins so, in order.
func (f figures) prefixed(prefixes ...string) []string {
	var names []string
	for _, prefix := range prefixes {
		for k := range f {
			if strings.HasPrefix(k, prefix) {
				names = append(names, k)
			}
		}
	}
	slices.Sort(names)
	return names
}

// String is the summary for a log.
func (f figures) String() string {
	return fmt.Sprintf("%d histories, %d calls, %d steps, %d commits, %d submissions, %d notifications answered, %.0f simulated hours, %d crashes, %d faults, %d forged notifications, %d alarms, %d stuck claims, %d phantom fen",
		f["histories"], f["calls"], f["steps"], f["commits"], f["submissions"], f["notifications answered"], f.hours(), f["crashes"], f["faults"],
		f["forged notifications"], f["alarms"], f["stuck claims"], f["phantom fen"])
}

// pace is how fast histories were lived through.
func pace(histories int64, took time.Duration) string {
	return fmt.Sprintf("%d histories in %.1f s on %d cores: %.0f an hour", histories, took.Seconds(), runtime.GOMAXPROCS(0), float64(histories)/took.Hours())
}

func (f figures) hours() float64 { return float64(f["simulated seconds"]) / 3600 }

// sum adds up what begins so.
func (f figures) sum(prefix string) (n int64) {
	for _, name := range f.prefixed(prefix) {
		n += f[name]
	}
	return n
}
