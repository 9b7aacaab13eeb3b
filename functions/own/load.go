package own

import (
	"context"
	"errors"
	"log/slog"

	"wxrefund/shared/config"
)

// Load configures the system of a function that delivers events, with the merchant's
// code among those who are told.
func Load(ctx context.Context, getenv func(string) string, log *slog.Logger) (*config.System, error) {
	sys, err := config.Load(ctx, getenv, log)
	if err != nil {
		return nil, err
	}
	subscribers, err := Subscribers(getenv, log)
	if err != nil {
		return nil, errors.Join(err, sys.Close())
	}
	sys.Refunds.Subscribers = append(sys.Refunds.Subscribers, subscribers...)
	return sys, nil
}
