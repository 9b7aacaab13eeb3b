//go:build cloudbase || dynamodb || !slim

package ledger

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"wxrefund/shared/refund"
)

// What databases have in common that are asked by single requests, each of which may get
// lost, or its answer.
const (
	// callAttempts is how often a request is sent: about 3 seconds of pauses at most.
	callAttempts = 12
	// firstPause and lastPause bound the pause between two attempts, which doubles.
	firstPause, lastPause = 10 * time.Millisecond, 500 * time.Millisecond
	// callTimeout is after how long an answer is taken for lost.
	callTimeout = 3 * time.Second
)

// A repeater repeats requests.
type repeater struct {
	timeout time.Duration // of one attempt

	// judge reports whether the same request may succeed a little later, and whether
	// this one may have been carried out all the same.
	judge func(error) (again, unknown bool)

	// explain adds to an error after which nothing is repeated what is known of its
	// cause; nil: nothing.
	explain func(context.Context, error) error
}

// do repeats op, and gives up earlier when the context ends. inDoubt says that an earlier
// attempt may have been carried out, since its answer was lost.
func (r repeater) do(ctx context.Context, op func(ctx context.Context, inDoubt bool) error) error {
	inDoubt := false
	for n := 1; ; n++ {
		if err := ctx.Err(); err != nil {
			return err
		}
		attempt, cancel := context.WithTimeout(ctx, r.timeout)
		err := op(attempt, inDoubt)
		cancel()
		if err == nil || errors.Is(err, refund.ErrStale) || ctx.Err() != nil {
			return err
		}
		again, unknown := r.judge(err)
		inDoubt = inDoubt || unknown
		if !again {
			if r.explain != nil {
				err = r.explain(ctx, err)
			}
			return err
		}
		if n == callAttempts {
			return fmt.Errorf("given up after %d attempts: %w", n, err)
		}
		if err := backOff(ctx, n); err != nil {
			return err
		}
	}
}

// backOff waits after the nth attempt, with jitter, so that processes which collided
// do not do so again.
func backOff(ctx context.Context, n int) error {
	longest := min(firstPause<<min(n-1, 16), lastPause)
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(longest/4 + rand.N(longest*3/4)):
		return nil
	}
}
