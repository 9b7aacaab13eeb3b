// Notify is the function behind the public notification URL.
package main

import (
	"context"
	"os"

	"wxrefund/functions/own"
	"wxrefund/notify"
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
		h := &notify.Handler{Refunds: sys.Refunds, Keys: sys.Keys, Secret: sys.Secret, APIKey: sys.APIKey, Log: log,
			Answered: meter.Notifications(notify.Outcomes(), notify.Reasons())}
		return host.Function{Invoke: h.Invoke, HTTP: h, Ready: sys.Refunds.Ready, Metrics: meter.Exposition()}, nil
	}))
}
