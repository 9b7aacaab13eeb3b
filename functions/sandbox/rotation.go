package main

import (
	"context"
	"log/slog"
	"sync/atomic"

	"wxrefund/shared/config"
	"wxrefund/shared/sandbox"
)

// A keyWatch gives our side the keys that WeChat Pay changes to, as a merchant does who
// reads them off the merchant platform and deploys anew before they are used.
type keyWatch struct {
	adopt atomic.Pointer[func()] // nil until our side runs
}

// attach begins to watch for a system that was loaded with a sandbox's settings.
func (k *keyWatch) attach(ctx context.Context, sys *config.System, wechat *sandbox.Sandbox, channel string, log *slog.Logger) {
	adopt := func() {
		if err := adoptKeys(ctx, sys, wechat, channel); err != nil {
			log.ErrorContext(ctx, "our side does not have the new keys", "error", err)
		}
	}
	k.adopt.Store(&adopt)
}

// rotated is called when there are new keys.
func (k *keyWatch) rotated() {
	if adopt := k.adopt.Load(); adopt != nil {
		(*adopt)()
	}
}

// adoptKeys gives a system the keys that it would be deployed with now. Nothing else of
// the new deployment is used, so any ledger does.
func adoptKeys(ctx context.Context, sys *config.System, wechat *sandbox.Sandbox, channel string) error {
	settings, err := wechat.Settings(channel)
	if err != nil {
		return err
	}
	settings["LEDGER_URL"] = "sqlite::memory:"
	fresh, err := config.Load(ctx, func(name string) string { return settings[name] }, nil)
	if err != nil {
		return err
	}
	sys.Keys.Adopt(fresh.Keys)
	return fresh.Close()
}
