package main

import (
	"context"
	"flag"
	"fmt"
	"io"

	"wxrefund/shared/refund"
)

func redeliverCommand() command {
	return command{
		name: "redeliver", operands: "NO",
		synopsis: "Tell subscribers of a refund once more",
		more: "Under the same event id as before, so that who has had it can tell. What was given up is tried for three days\n" +
			"anew. Code of your own (functions/own), whose name is go, is told by the function reconcile.\n",
		example: "redeliver refund-1 -to webhook",
		setup: func(f *flag.FlagSet) action {
			to := f.String("to", "", "this `subscriber` alone, by the name that show has")
			return func(ctx context.Context, p *program, operands []string) error { return p.redeliver(ctx, operands, *to) }
		},
	}
}

// A redelivered is what redeliver prints.
type redelivered struct {
	OutRefundNo string    `json:"out_refund_no"`
	Due         int       `json:"due"`       // deliveries that were put back
	Delivered   int       `json:"delivered"` // of them, those that were acknowledged now
	Pending     []pending `json:"pending"`   // what is still on its way
}

func (p *program) redeliver(ctx context.Context, operands []string, to string) error {
	no, err := number(operands)
	if err != nil {
		return err
	}
	refunds, err := p.changing(ctx)
	if err != nil {
		return err
	}
	if _, err := known(ctx, refunds, no); err != nil {
		return err
	}
	whom := to
	if whom == "" {
		whom = "every subscriber"
	}
	ctx, err = p.confirm(fmt.Sprintf("tell %s of %s once more", whom, no), no)
	if err != nil {
		return err
	}
	r := redelivered{OutRefundNo: no, Pending: []pending{}}
	if r.Due, err = refunds.Redeliver(ctx, no, to, p.by()); err != nil {
		return err
	}
	r.Delivered = refunds.Deliver(ctx, no)
	after, err := known(ctx, refunds, no)
	if err != nil {
		return err
	}
	waiting := ""
	for _, o := range after.Pending {
		r.Pending = append(r.Pending, pending(o))
		if o.To != refund.OwnCode {
			waiting += fmt.Sprintf("; %s has not acknowledged: %s", o.To, o.Why)
		}
	}
	at := p.clock()
	p.print(r, func(w io.Writer) {
		fmt.Fprintf(w, "%d put back, %d acknowledged now.\n", r.Due, r.Delivered)
		for _, o := range r.Pending {
			fmt.Fprintf(w, "on its way: %s\n", cell(p.pendingText(o, at)))
		}
	})
	if waiting != "" {
		return finding("%s is tried again by itself%s", no, waiting)
	}
	return nil
}
