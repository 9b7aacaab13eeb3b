package main

import (
	"context"
	"flag"
	"fmt"
	"io"
)

func forgetCommand() command {
	return command{
		name:     "forget",
		synopsis: "Mask the personal data of old refunds",
		more: "The account that received the money and openids, of refunds that were claimed before the date and are done;\n" +
			"who has paid orders that nothing has happened to since, and who has applied for what was decided before.\n" +
			"Money, numbers, times, states and operators' names stay. What is masked cannot be had again. It may be\n" +
			"interrupted and run again.\n",
		example: "forget -before 2024-01-01",
		limit:   -1,
		setup: func(f *flag.FlagSet) action {
			before := f.String("before", "", "the `date`, or an age such as 730d")
			return func(ctx context.Context, p *program, _ []string) error { return p.forget(ctx, *before) }
		},
	}
}

func (p *program) forget(ctx context.Context, date string) error {
	if date == "" {
		return usage("-before is missing: the date before which refunds were claimed whose personal data is masked")
	}
	before, err := p.moment("-before", date)
	if err != nil {
		return err
	}
	if before.After(p.clock()) {
		return usage("-before is %s, which is still to come: it must be a date that is past", date)
	}
	refunds, err := p.changing(ctx)
	if err != nil {
		return err
	}
	ctx, err = p.confirm("mask for ever the personal data of all refunds that are done and were claimed before "+p.at(before), date)
	if err != nil {
		return err
	}
	said := 0
	n, err := refunds.Forget(ctx, before, p.by(), func(n int) {
		if n-said >= sayEvery {
			fmt.Fprintf(p.stderr, "operate: %d masked so far\n", n)
			said = n
		}
	})
	if err != nil {
		return fmt.Errorf("%d were masked; run it again to go on: %w", n, err)
	}
	p.print(map[string]any{"before": moment(before), "masked": n}, func(w io.Writer) { fmt.Fprintf(w, "%d masked.\n", n) })
	return nil
}

// sayEvery is after how many refunds somebody who waits is told how far it is.
const sayEvery = 10_000
