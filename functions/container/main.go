// Container is all three functions in one binary, for a container image: its argument
// says which of them a container is.
package main

import (
	"context"
	"log/slog"
	"os"

	"wxrefund/functions/own"
	"wxrefund/notify"
	"wxrefund/shared/config"
	"wxrefund/shared/host"
	"wxrefund/shared/metrics"
	"wxrefund/shared/refund"
	"wxrefund/wxpayfunctions"
)

func main() {
	log := host.NewLogger(os.Stderr, os.Getenv)
	os.Exit(run(context.Background(), os.Args[1:], os.Getenv, log))
}

// run is the function that args name, until ctx ends or the process is told to stop. It
// returns the exit code: 2 if they name none, and otherwise that of [host.Run].
func run(ctx context.Context, args []string, getenv func(string) string, log *slog.Logger) int {
	if len(args) == 1 {
		for _, f := range functions {
			if f.name == args[0] {
				return host.Run(ctx, getenv, log, func(ctx context.Context, getenv func(string) string) (host.Function, error) {
					return f.build(ctx, getenv, log)
				})
			}
		}
	}
	log.ErrorContext(ctx, "the argument must be one of wxpayFunctions, notify and reconcile", "arguments", args)
	return 2
}

// functions are the three, as their own binaries make them.
var functions = []struct {
	name  string
	build func(ctx context.Context, getenv func(string) string, log *slog.Logger) (host.Function, error)
}{
	{"wxpayFunctions", buildDispatcher},
	{"notify", buildNotify},
	{"reconcile", buildReconcile},
}

func buildDispatcher(ctx context.Context, getenv func(string) string, log *slog.Logger) (host.Function, error) {
	sys, err := config.Load(ctx, getenv, log)
	if err != nil {
		return host.Function{}, err
	}
	// As in the binary of its own: reconcile delivers what is settled here.
	sys.Refunds.Subscribers = append(sys.Refunds.Subscribers, refund.Subscriber{Name: refund.OwnCode})
	meter := metrics.Measure(sys.Refunds)
	h := wxpayfunctions.New(sys.Refunds, log)
	h.Replied = meter.Replies()
	return host.Function{Invoke: h.Invoke, Ready: sys.Refunds.Ready, Metrics: meter.Exposition()}, nil
}

func buildNotify(ctx context.Context, getenv func(string) string, log *slog.Logger) (host.Function, error) {
	sys, err := own.Load(ctx, getenv, log)
	if err != nil {
		return host.Function{}, err
	}
	meter := metrics.Measure(sys.Refunds)
	h := &notify.Handler{Refunds: sys.Refunds, Keys: sys.Keys, Secret: sys.Secret, APIKey: sys.APIKey, Log: log,
		Answered: meter.Notifications(notify.Outcomes(), notify.Reasons())}
	return host.Function{Invoke: h.Invoke, HTTP: h, Ready: sys.Refunds.Ready, Metrics: meter.Exposition()}, nil
}

func buildReconcile(ctx context.Context, getenv func(string) string, log *slog.Logger) (host.Function, error) {
	sys, err := own.Load(ctx, getenv, log)
	if err != nil {
		return host.Function{}, err
	}
	meter := metrics.Measure(sys.Refunds)
	return host.Function{Invoke: sys.Refunds.HandleTimer, NeedsToken: true, Ready: sys.Refunds.Ready, Metrics: meter.Exposition()}, nil
}
