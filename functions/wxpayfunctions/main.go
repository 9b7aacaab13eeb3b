// Wxpayfunctions is the dispatcher that the mini-program calls, deployed under
// the name wxpayFunctions.
package main

import (
	"context"
	"os"

	"wxrefund/shared/config"
	"wxrefund/shared/host"
	"wxrefund/shared/metrics"
	"wxrefund/shared/refund"
	"wxrefund/wxpayfunctions"
)

func main() {
	log := host.NewLogger(os.Stderr, os.Getenv)
	os.Exit(host.Run(context.Background(), os.Getenv, log, func(ctx context.Context, getenv func(string) string) (host.Function, error) {
		sys, err := config.Load(ctx, getenv, log)
		if err != nil {
			return host.Function{}, err
		}
		// A user waits, so reconcile delivers what is settled here, to the merchant's own
		// code, too, if there is any.
		sys.Refunds.Subscribers = append(sys.Refunds.Subscribers, refund.Subscriber{Name: refund.OwnCode})
		meter := metrics.Measure(sys.Refunds)
		h := wxpayfunctions.New(sys.Refunds, log)
		h.Replied = meter.Replies()
		return host.Function{Invoke: h.Invoke, Ready: sys.Refunds.Ready, Metrics: meter.Exposition()}, nil
	}))
}
