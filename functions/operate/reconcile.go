package main

import (
	"context"
	"fmt"
	"io"
)

func reconcileCommand() command {
	return command{
		name:     "reconcile",
		synopsis: "Do what the timer does, once, now",
		more: "What is due is asked about, and told to subscribers. It is what the function reconcile does every\n" +
			"minute by itself, so nothing is asked before. The Go code of your own (functions/own) is left to that\n" +
			"function. Its settings must be the functions': subscribers that are not set here are not told.\n",
		example: "reconcile -env .env",
		setup:   plain(reconcile),
	}
}

func reconcile(ctx context.Context, p *program, _ []string) error {
	refunds, err := p.changing(ctx)
	if err != nil {
		return err
	}
	t, err := refunds.Reconcile(ctx)
	if err != nil {
		return err
	}
	p.print(t, func(w io.Writer) {
		for _, row := range []struct {
			n    int
			what string
		}{
			{t.Checked, "taken up"}, {t.Settled, "whose state moved"}, {t.Resubmitted, "submitted again"},
			{t.Released, "released: WeChat Pay never had them"}, {t.Delivered, "events that subscribers acknowledged"}, {t.Bills, "days whose bill was held against the ledger"}, {t.Remaining, "still due"},
		} {
			fmt.Fprintf(w, "%d\t%s\n", row.n, row.what)
		}
	})
	return nil
}
