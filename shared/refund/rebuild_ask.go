package refund

import (
	"context"
	"time"
)

// question asks when it is our turn, and again if there is no answer.
func (r *rebuilding) question(ctx context.Context, ask func(ctx context.Context) error) error {
	for attempt := 1; ; attempt++ {
		if err := r.awaitTurn(ctx); err != nil {
			return err
		}
		err := ask(ctx)
		if e := AsError(err); err == nil || attempt == rebuildAttempts || ctx.Err() != nil ||
			e.CountedOnly || e.Code != CodeUnavailable && e.Code != CodeLimited || IsCode(e.Err, CodeNotFound) {
			return err
		}
		if err := sleep(ctx, time.Duration(attempt)*time.Second); err != nil {
			return err
		}
	}
}

// awaitTurn waits until the merchant's rate has room.
func (r *rebuilding) awaitTurn(ctx context.Context) error {
	for {
		err := r.turn(ctx)
		if err == nil || !IsCode(err, CodeLimited) {
			return err
		}
		if err := sleep(ctx, max(AsError(err).RetryAfter, firstPause)); err != nil {
			return err
		}
	}
}
