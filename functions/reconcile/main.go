// Reconcile is the function that a timer calls: it closes what no notification closed.
package main

import (
	"context"
	"os"

	"wxrefund/shared/config"
	"wxrefund/shared/host"
)

func main() {
	log := host.NewLogger(os.Stderr, os.Getenv)
	os.Exit(host.Run(context.Background(), os.Getenv, log, func(ctx context.Context, getenv func(string) string) (host.Function, error) {
		sys, err := config.Load(ctx, getenv, log)
		if err != nil {
			return host.Function{}, err
		}
		// Your own Go code goes here: it hears of every refund that has succeeded, was
		// closed or has become abnormal, each at least once and in order. n.ID is the
		// same when an event is told again. What returns an error, or nothing before ctx
		// ends, is told again later. Set the same in functions/notify.
		//
		//	sys.Refunds.Settled = func(ctx context.Context, n refund.Event) error { … }
		sys.Refunds.OnSettled = nil
		return host.Function{Invoke: sys.Refunds.HandleTimer, NeedsToken: true}, nil
	}))
}
