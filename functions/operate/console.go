package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"time"

	"wxrefund/shared/console/operator"
)

func consoleCommand() command {
	return command{
		name:     "console",
		synopsis: "Show the ledger in a browser on this machine",
		more: "Its first screen answers whether anything is wrong. It only shows, unless -yes is given: then a refund can\n" +
			"be queried, withdrawn, released or told again, an application approved or rejected, an alarm acknowledged and\n" +
			"the timer run, each after its number was typed, in your name. It listens on this machine's loopback alone. The\n" +
			"address that it prints lets in whoever has it, until the program ends: end it with Ctrl-C.\n",
		example: "console",
		limit:   -1,
		setup: func(f *flag.FlagSet) action {
			listen := f.String("listen", "127.0.0.1:8710", "the `address` of this machine's loopback, with its port; port 0: any")
			return func(ctx context.Context, p *program, _ []string) error { return p.console(ctx, *listen) }
		},
	}
}

func (p *program) console(ctx context.Context, listen string) error {
	at, err := netip.ParseAddrPort(listen)
	if err != nil || !at.Addr().Unmap().IsLoopback() {
		return usage("-listen must be a loopback address of this machine with a port, as 127.0.0.1:8710: whoever reaches it can see the ledger")
	}
	refunds, err := p.refunds(ctx)
	if err != nil {
		return err
	}
	if err := refunds.Bind(ctx); err != nil { // so that a ledger that does not answer is said here
		return err
	}
	l, err := new(net.ListenConfig).Listen(ctx, "tcp", at.String())
	if err != nil {
		return finding("cannot listen: %v", err)
	}
	c := operator.New(operator.Config{Refunds: refunds, Operator: p.as, Act: p.yes})
	url := "http://" + l.Addr().String() + c.Path()
	p.print(map[string]any{"url": url, "act": p.yes}, func(w io.Writer) {
		what := "It only shows; with -yes you may act."
		if p.yes {
			what = "You may act from it, as " + p.as + "."
		}
		fmt.Fprintf(w, "Open %s\n%s The address is as good as a password. End with Ctrl-C.\n", url, what)
	})
	return serve(ctx, l, c.Handler())
}

// serve serves until ctx ends; what is under way then gets a moment.
func serve(ctx context.Context, l net.Listener, h http.Handler) error {
	srv := &http.Server{Handler: h, ReadHeaderTimeout: 5 * time.Second, ReadTimeout: 30 * time.Second, IdleTimeout: time.Minute}
	ended := make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		defer close(ended)
		grace, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		if srv.Shutdown(grace) != nil {
			_ = srv.Close()
		}
	})
	err := srv.Serve(l)
	if !stop() {
		<-ended // Serve returns when the end begins
	}
	if errors.Is(err, http.ErrServerClosed) {
		return nil
	}
	return err
}
