package main

import (
	"context"

	"wxrefund/shared/sandbox"
)

// ledgerIn is the ledger: in the environment's database, if there is one and no other was
// asked for.
func (o options) ledgerIn(wechat *sandbox.Sandbox) (string, error) {
	if o.database == "" || o.set("ledger") {
		return o.ledger, nil
	}
	settings, err := wechat.Settings(o.channel)
	return settings["LEDGER_URL"], err
}

// A background is something that runs beside what comes next.
type background struct {
	end  func() // and waits
	done chan struct{}
	err  error
}

func inBackground(ctx context.Context, f func(context.Context) error) *background {
	ctx, cancel := context.WithCancel(ctx)
	b := &background{done: make(chan struct{})}
	b.end = func() { cancel(); <-b.done }
	go func() {
		defer close(b.done)
		b.err = f(ctx)
	}()
	return b
}

// wait waits until it has ended, by itself or with ctx.
func (b *background) wait(ctx context.Context) error {
	select {
	case <-b.done:
	case <-ctx.Done():
		b.end()
	}
	return b.err
}
