// Reconcile is the function that a timer calls: it closes what no notification closed.
package main

import (
	"context"
	"os"

	"wxrefund/functions/own"
	"wxrefund/shared/host"
)

func main() {
	log := host.NewLogger(os.Stderr, os.Getenv)
	os.Exit(host.Run(context.Background(), os.Getenv, log, func(ctx context.Context, getenv func(string) string) (host.Function, error) {
		sys, err := own.Load(ctx, getenv, log)
		if err != nil {
			return host.Function{}, err
		}
		return host.Function{Invoke: sys.Refunds.HandleTimer, NeedsToken: true}, nil
	}))
}
