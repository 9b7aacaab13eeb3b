package simulation_test

import (
	"context"
	"hash/fnv"
	"math/rand/v2"
	"time"
)

// A randomness is all that is random in a history. What it gives depends on what
// it is asked for and not on how often it was asked before: so goroutines that
// race each other do not change what the others draw. The words
// it is asked by stay as they are: others would be other histories of the same seeds.
type randomness uint64

func (c randomness) of(about ...string) *rand.Rand {
	return rand.New(rand.NewPCG(uint64(c), hash(about...)))
}

func hash(texts ...string) uint64 {
	h := fnv.New64a()
	for _, t := range texts {
		h.Write([]byte(t))
		h.Write([]byte{0})
	}
	return h.Sum64()
}

// span draws a duration from least to below most, to the nanosecond.
func span(r *rand.Rand, least, most time.Duration) time.Duration {
	return least + time.Duration(r.Int64N(int64(most-least)))
}

func pick[T any](r *rand.Rand, from ...T) T { return from[r.IntN(len(from))] }

// beat is what the world's time is counted in. Things happen in its first half
// only: the pauses that the service draws by itself (20 ms at most)
// end in the second one, and so make no difference to what comes next.
const beat = 64 * time.Millisecond

// wait lets some beats pass. Whoever waits wakes at an instant of the beat that
// is his alone, so that one at a time acts: this is what makes a history the
// same whenever it is run, although its parts are goroutines.
func (w *world) wait(ctx context.Context, who uint64, beats int) error {
	now := time.Since(w.start)
	at := now.Truncate(beat) + time.Duration(1+beats)*beat + time.Duration(who%uint64(beat/2))
	timer := time.NewTimer(at - now)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
