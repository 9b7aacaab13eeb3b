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
		name: "redeliver", operands: "NO|ID",
		synopsis: "Tell subscribers of a refund or an application once more",
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
	OutRefundNo   string    `json:"out_refund_no,omitempty"`
	ApplicationID string    `json:"application_id,omitempty"`
	Due           int       `json:"due"`       // deliveries that were put back
	Delivered     int       `json:"delivered"` // of them, those that were acknowledged now
	Pending       []pending `json:"pending"`   // what is still on its way
}

// A redelivery is how one item's events are told again.
type redelivery struct {
	put     func(ctx context.Context, id, to, by string) (int, error)
	deliver func(ctx context.Context, id string) int
	left    func() ([]refund.PendingDelivery, error)
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
	r, work := redelivered{OutRefundNo: no}, redelivery{put: refunds.Redeliver, deliver: refunds.Deliver, left: func() ([]refund.PendingDelivery, error) {
		i, err := known(ctx, refunds, no)
		return i.Pending, err
	}}
	if _, err := known(ctx, refunds, no); err != nil {
		if _, e := refunds.Application(ctx, no); e != nil {
			return err
		}
		r, work = redelivered{ApplicationID: no}, redelivery{put: refunds.RedeliverApplication, deliver: refunds.DeliverApplication, left: func() ([]refund.PendingDelivery, error) {
			a, err := refunds.Application(ctx, no)
			return a.Pending, err
		}}
	}
	whom := to
	if whom == "" {
		whom = "every subscriber"
	}
	ctx, err = p.confirm(fmt.Sprintf("tell %s of %s once more", whom, no), no)
	if err != nil {
		return err
	}
	if r.Due, err = work.put(ctx, no, to, p.by()); err != nil {
		return err
	}
	r.Delivered = work.deliver(ctx, no)
	left, err := work.left()
	if err != nil {
		return err
	}
	waiting := ""
	r.Pending = allPending(left)
	for _, o := range left {
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
