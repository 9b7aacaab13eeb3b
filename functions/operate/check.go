package main

import (
	"context"
	"flag"
	"fmt"
	"io"

	"wxrefund/shared/check"
)

func checkCommand() command {
	return command{
		name:     "check",
		synopsis: "Find out whether this deployment works, before its first refund",
		more: "Settings, ledger, clock, keys, gateway, notification URL, subscribers and timer are tried by real calls that\n" +
			"move no money; a line each says that it is right, or what to do. What cannot be proved from here is said,\n" +
			"too. Exit code 1: there is a problem. Run it where the functions run, or with their settings by -env; the\n" +
			"clock and the network that it sees are this machine's.\n",
		example: "check -env .env",
		limit:   -1, // a large ledger's schema takes as long as it takes; each call has a limit of its own
		setup: func(f *flag.FlagSet) action {
			migrate := f.Bool("migrate", false, "add the indexes that an older DynamoDB table lacks; refunds go on meanwhile")
			return func(ctx context.Context, p *program, _ []string) error { return p.check(ctx, *migrate) }
		},
	}
}

// A checked deployment is what check prints as JSON.
type checked struct {
	OK       bool           `json:"ok"`
	Problems int            `json:"problems"`
	Checks   []check.Result `json:"checks"`
}

func (p *program) check(ctx context.Context, migrate bool) error {
	results := check.Run(ctx, check.Input{Getenv: p.getenv, Names: p.names, Migrate: migrate, Now: p.now})
	n := check.Problems(results)
	p.print(checked{n == 0, n, results}, func(w io.Writer) { check.Write(w, results) })
	if ctx.Err() != nil {
		return finding("not all was looked at")
	}
	if n > 0 {
		return finding("%s", problems(n))
	}
	if !p.json {
		fmt.Fprintln(p.stdout, "\nNo problem was found.")
	}
	return nil
}

func problems(n int) string {
	if n == 1 {
		return "there is 1 problem"
	}
	return "there are " + counted(n, "problem", "problems")
}
