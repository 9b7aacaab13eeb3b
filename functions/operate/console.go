package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"net"
	"net/netip"

	"wxrefund/shared/console/operator"
	"wxrefund/shared/host"
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
		return finding("cannot listen on -listen %s: %v", at, err)
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
	return host.Serve(ctx, l, c.Handler(), p.log())
}
