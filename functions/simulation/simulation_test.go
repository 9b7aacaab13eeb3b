package simulation_test

import (
	"bytes"
	"cmp"
	"flag"
	"fmt"
	"io"
	"os"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// A regression is a history that has failed once. A seed names a history only as
// long as the drawing of histories stays as it is, so these are drawn by
// [plainOn], to which nothing is added; those that would be missed are written out
// as data instead.
type regression struct {
	channel string
	seed    uint64
	why     string
}

func regressions() []regression {
	return []regression{
		{apiv3, 1510, "the merchant uses a number by hand that is refused to us for that, and every notification is lost"},
		{apiv3, 1705, "the same, with the refusal before"},
		{apiv3, 1712, "the same, between two attempts"},
		{apiv3, 5002052, "the merchant uses a number by hand that is refused to us in words that may mean so: it is looked up before the caller is told"},
		{apiv3, 5002317, "the same"},
		{apiv3, 5002724, "the same"},
		{apiv3, 5007704, "the same"},
		{apiv3, 5007946, "the same"},
		{apiv3, 5008018, "the same"},
		{apiv3, 5037646, "the same"},
		{apiv3, 5038635, "the same"},
		{"cloudpay", 2, "a page of the order's refunds is overtaken by a success"},
		{"cloudpay", 81, "the same by a closure"},
		{"global", 49, "the same by a success, and the next notification finds the refund where it was"},
		{"global", 65, "the same by an abnormal end"},
	}
}

// again runs a channel's regressions.
func again(t *testing.T, name string) {
	t.Helper()
	for _, r := range regressions() {
		if r.channel != name {
			continue
		}
		if res := run(t, plainOn(name)(r.seed), buildOurs, true, nil); len(res.violated) > 0 {
			t.Errorf("%s, seed %d (%s): %s", name, r.seed, r.why, res.violated)
		}
	}
}

// The books agree with WeChat Pay's, whatever happens.
func TestSimulation(t *testing.T) {
	if flags.seed != 0 {
		replay(t, flags.seed)
		return
	}
	if !flags.on(apiv3) {
		t.Skip("-channel asks for others")
	}
	again(t, apiv3)
	us, them, took := trial{
		histories: size(flags.histories, 3000, 100, 300), atMost: patience(45 * time.Second), draw: draw, naive: 8,
	}.run(t)
	t.Logf("ours:  %v", us)
	t.Logf("naive: %v", them)
	t.Logf("%v on %d processors: %.0f simulated hours a second, both sides together",
		took.Round(time.Millisecond), runtime.GOMAXPROCS(0), (us.hours()+them.hours())/took.Seconds())
	for _, name := range slices.Concat(us.prefixed("crash "), us.prefixed("alarm "), us.ofScenarios()) {
		t.Logf("%6d %s", us[name], name)
	}
	if us["phantom fen"] != 0 {
		t.Errorf("%d phantom fen, want none", us["phantom fen"])
	}
	if them["phantom fen"] == 0 {
		t.Error("the naive handler has no phantom fen: these histories prove nothing")
	}
}

// The same on the four other channels. None of them has a naive handler: that
// these figures can be other than zero is shown on APIv3, by the same comparison.
func TestSimulationOfOtherChannels(t *testing.T) {
	if flags.seed != 0 {
		t.Skip("-seed asks for one history")
	}
	for _, name := range others() {
		if !flags.on(name) {
			continue
		}
		t.Run(name, func(t *testing.T) {
			again(t, name)
			us, _, took := trial{
				histories: size(flags.histories, 400, 20, 30), atMost: patience(8 * time.Second), draw: drawOn(name),
			}.run(t)
			t.Logf("%v", us)
			t.Logf("%v on %d processors", took.Round(time.Millisecond), runtime.GOMAXPROCS(0))
			for _, p := range slices.Concat(us.prefixed("alarm "), us.prefixed("refunds"), us.ofScenarios()) {
				t.Logf("%6d %s", us[p], p)
			}
			if us["phantom fen"] != 0 {
				t.Errorf("%d phantom fen, want none", us["phantom fen"])
			}
		})
	}
}

// A trial is many histories, lived through by our side and some by the naive one.
type trial struct {
	histories int
	atMost    time.Duration // after that only the first few begin; 0: however long it takes
	draw      func(seed uint64) *history
	naive     uint64 // the naive handler, which knows APIv3 only, lives through every nth as well; 0: through none
}

// few histories are enough to tell the two sides apart.
const few = 50

// patience bounds a run that nobody has asked for in so many words, so that a
// busy machine tries less and does not hold everybody up.
func patience(d time.Duration) time.Duration {
	switch {
	case flags.histories > 0:
		return 0
	case !heavy:
		return d / 4
	}
	return d
}

// run lives through as many histories at a time as there are processors.
func (tr trial) run(t *testing.T) (us, them figures, took time.Duration) {
	t.Helper()
	us, them = figures{}, figures{}
	keys()
	strangerKey()
	var next atomic.Uint64
	var failed atomic.Bool
	stop := flag.Lookup("test.failfast").Value.String() == "true"
	var mu sync.Mutex
	begun := time.Now()
	t.Run("histories", func(t *testing.T) {
		for range runtime.GOMAXPROCS(0) {
			t.Run("", func(t *testing.T) {
				t.Parallel()
				for {
					i := next.Add(1) - 1
					late := tr.atMost > 0 && time.Since(begun) > tr.atMost && i >= few
					if i >= uint64(tr.histories) || late || stop && failed.Load() {
						return
					}
					h := tr.draw(flags.first + i)
					mine := run(t, h, buildOurs, true, nil)
					var theirs result
					if tr.naive > 0 && i%tr.naive == 0 {
						theirs = run(t, h, buildNaive, false, nil)
					}
					if len(mine.violated) > 0 {
						failed.Store(true)
						t.Errorf("seed %d: %s\n\tto see it: go test ./functions/simulation -run TestSimulation -v -channel %s -seed %d",
							h.Seed, strings.Join(mine.violated, "\n\t"), h.Channel, h.Seed)
					}
					mu.Lock()
					us.add(mine.counts)
					them.add(theirs.counts)
					mu.Unlock()
					if (i+1)%10_000 == 0 {
						t.Logf("%d histories, %v", i+1, time.Since(begun).Round(time.Second))
					}
				}
			})
		}
	})
	return us, them, time.Since(begun)
}

// replay prints one history step by step.
func replay(t *testing.T, seed uint64) {
	h := drawOn(cmp.Or(flags.channel, apiv3))(seed)
	if flags.plain {
		h = plainOn(h.Channel)(seed)
	}
	if flags.shrink {
		h = shrink(t, h)
	}
	fmt.Fprintln(os.Stderr, h)
	res := run(t, h, buildOurs, true, os.Stderr)
	t.Logf("ours: %v", res.counts)
	if h.Channel == apiv3 {
		naive := run(t, h, buildNaive, false, io.Discard)
		t.Logf("naive: %v", naive.counts)
	}
	for _, v := range res.violated {
		t.Error(v)
	}
}

// The same seed is the same history, down to the instant of every step: else a
// failure could not be looked at twice.
func TestSameSeedSameHistory(t *testing.T) {
	for seed := range uint64(size(0, 20, 3, 4)) {
		liveTwice(t, draw(1000+seed))
	}
	for _, name := range others() {
		for seed := range uint64(size(0, 6, 1, 1)) {
			liveTwice(t, drawOn(name)(1000+seed))
		}
	}
}

func liveTwice(t *testing.T, h *history) {
	t.Helper()
	var logs [2]bytes.Buffer
	for i := range logs {
		run(t, h, buildOurs, true, &logs[i])
	}
	a, b := strings.Split(logs[0].String(), "\n"), strings.Split(logs[1].String(), "\n")
	for i := range min(len(a), len(b)) {
		if a[i] != b[i] {
			t.Fatalf("%s, seed %d, line %d:\n%s\n%s", h.Channel, h.Seed, i, a[i], b[i])
		}
	}
	if len(a) != len(b) {
		t.Fatalf("%s, seed %d: %d lines and %d", h.Channel, h.Seed, len(a), len(b))
	}
}
