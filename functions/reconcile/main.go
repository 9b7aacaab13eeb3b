// Reconcile is the function that a timer calls: it closes what no notification closed.
package main

import (
	"context"
	"os"

	"wxrefund/functions/own"
	"wxrefund/shared/host"
	"wxrefund/shared/metrics"
)

func main() {
	log := host.NewLogger(os.Stderr, os.Getenv)
	os.Exit(host.Run(context.Background(), os.Getenv, log, func(ctx context.Context, getenv func(string) string) (host.Function, error) {
		sys, err := own.Load(ctx, getenv, log)
		if err != nil {
			return host.Function{}, err
		}
		meter := metrics.Measure(sys.Refunds)
		return host.Function{Invoke: sys.Refunds.HandleTimer, NeedsToken: true, Ready: sys.Refunds.Ready, Metrics: meter.Exposition()}, nil
	}))
}
