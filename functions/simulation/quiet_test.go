package simulation_test

import (
	"bytes"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// A timer that is not run in quiet hours would have done nothing in them: what moves, and
// in what order, is the same, and so is what is held in the end.
func TestQuietHoursAreQuiet(t *testing.T) {
	left := int64(0)
	for seed := range uint64(size(0, 40, 4, 8)) {
		h := draw(2000 + seed)
		var logs [2]bytes.Buffer
		var res [2]result
		for i := range logs {
			res[i] = run(t, h, func(w *world) side {
				w.restless = i == 0
				return buildOnMap(w)
			}, true, &logs[i])
		}
		if d := cmp.Diff(moves(logs[0].String()), moves(logs[1].String())); d != "" {
			t.Errorf("seed %d (-all hours +without quiet ones):\n%s", h.Seed, d)
		}
		for _, what := range []string{"refunds", "submissions", "effects", "deliveries", "alarms", "crashes", "steps of the model", "notifications answered"} {
			if a, b := res[0].counts[what], res[1].counts[what]; a != b {
				t.Errorf("seed %d: %d %s, and %d without quiet hours", h.Seed, a, what, b)
			}
		}
		left += res[0].counts["calls"] - res[1].counts["calls"]
	}
	if left == 0 {
		t.Error("no hour was quiet: this has shown nothing")
	}
}

var moving = regexp.MustCompile(`(?:MOVES|VIOLATED|ALARM) .*`)

// moves are the lines of a log that tell of changes, without their times.
func moves(log string) (all []string) {
	for line := range strings.Lines(log) {
		if m := moving.FindString(line); m != "" {
			all = append(all, m)
		}
	}
	return all
}
