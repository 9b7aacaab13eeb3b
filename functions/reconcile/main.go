// Reconcile is the function that a timer calls: it closes what no notification closed.
package main

import (
	"context"
	"os"

	"wxrefund/functions/own"
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
		sys.Refunds.Subscribers = append(sys.Refunds.Subscribers, own.Subscribers(getenv, log)...)
		return host.Function{Invoke: sys.Refunds.HandleTimer, NeedsToken: true}, nil
	}))
}
