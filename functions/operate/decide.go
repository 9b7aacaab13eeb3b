package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"strings"
	"time"

	"wxrefund/shared/explain"
	"wxrefund/shared/refund"
)

// What a person decides about a claim in doubt.

func releaseCommand() command {
	return command{
		name: "release", operands: "NO",
		synopsis: "End a claim in doubt as never carried out",
		more: "WeChat Pay is asked first. Refused while a submission may still be on its way (it says from when on to\n" +
			"try again), and when WeChat Pay holds the refund, which is then settled. Its amount is free afterwards,\n" +
			"and the same number may be refunded again.\n",
		example: "release refund-1",
		setup: func(f *flag.FlagSet) action {
			seen := f.Bool("confirmed-absent", false, "I have seen on the merchant platform that there is no such refund (counts only where WeChat Pay cannot tell)")
			return func(ctx context.Context, p *program, operands []string) error { return p.release(ctx, operands, *seen) }
		},
	}
}

// A released is what release prints.
type released struct {
	OutRefundNo string `json:"out_refund_no"`
	Released    bool   `json:"released"`
	Why         string `json:"why"`
	State       string `json:"state,omitempty"`     // as it is now
	TryAfter    string `json:"try_after,omitempty"` // when it may be tried again
}

func (p *program) release(ctx context.Context, operands []string, seen bool) error {
	no, err := number(operands)
	if err != nil {
		return err
	}
	refunds, err := p.changing(ctx)
	if err != nil {
		return err
	}
	if _, err := p.inDoubt(ctx, refunds, no); err != nil {
		return p.refuseRelease(ctx, refunds, no, err)
	}
	ctx, err = p.confirm("end the claim "+no+" as never carried out, after asking WeChat Pay", no)
	if err != nil {
		return err
	}
	if err := refunds.Release(ctx, refund.Release{OutRefundNo: no, By: p.by(), ConfirmedAbsent: seen}); err != nil {
		return p.refuseRelease(ctx, refunds, no, err)
	}
	after, err := known(ctx, refunds, no)
	if err != nil {
		return err
	}
	r := released{OutRefundNo: no, Released: true, Why: "WeChat Pay never had it: its amount is free, and the number may be refunded again", State: string(after.State)}
	if after.NumberTaken {
		r.Why = "another refund has this number, not made here: look at that one, and refund under a new number"
	}
	p.print(r, func(w io.Writer) { fmt.Fprintf(w, "%s is released: %s.\n", no, r.Why) })
	return nil
}

// refuseRelease prints why a claim is not released.
func (p *program) refuseRelease(ctx context.Context, refunds *refund.Service, no string, err error) error {
	e := refund.AsError(err)
	r := released{OutRefundNo: no, Why: says(err)}
	if e.RetryAfter > 0 {
		from := p.clock().Add(e.RetryAfter).Truncate(time.Second).Add(time.Second)
		r.TryAfter = from.UTC().Format(time.RFC3339)
		r.Why = fmt.Sprintf("in flight: a submission may still be carried out; try again from %s on", p.at(from))
	}
	if after, err := known(ctx, refunds, no); err == nil {
		r.State = string(after.State)
	}
	if p.json {
		p.print(r, nil)
	}
	return finding("%s is not released: %s", no, r.Why)
}

func cancelCommand() command {
	return command{
		name: "cancel", operands: "NO",
		synopsis: "Never submit a claim again",
		more: "One in doubt is only asked about from now on, and ends by itself: settled if WeChat Pay holds it, released\n" +
			"within a day if it does not. One that waits for the merchant's balance (REFUND_WAIT_FUNDS) ends at once.\n",
		example: "cancel refund-1",
		setup:   plain(cancel),
	}
}

func cancel(ctx context.Context, p *program, operands []string) error {
	no, err := number(operands)
	if err != nil {
		return err
	}
	refunds, err := p.changing(ctx)
	if err != nil {
		return err
	}
	if _, err := p.inDoubt(ctx, refunds, no); err != nil {
		return err
	}
	ctx, err = p.confirm("withdraw "+no+", so that it is never submitted again", no)
	if err != nil {
		return err
	}
	if err := refunds.Cancel(ctx, no, p.by()); err != nil {
		return err
	}
	after, err := known(ctx, refunds, no)
	if err != nil {
		return err
	}
	what := "it is not submitted again, and ends by itself"
	if after.State == refund.Rejected { // it waited for the balance, and nothing was on its way
		what = "its amount is free, and the number may be refunded again"
	}
	p.print(map[string]any{"out_refund_no": no, "cancelled": true, "state": after.State}, func(w io.Writer) {
		fmt.Fprintf(w, "%s is withdrawn: %s.\n", no, what)
	})
	return nil
}

// inDoubt returns a claim whose outcome is unknown, or why it is none: before a person is
// asked about it.
func (p *program) inDoubt(ctx context.Context, refunds *refund.Service, no string) (refund.Inspection, error) {
	in, err := known(ctx, refunds, no)
	if err == nil && in.State != refund.Claimed {
		err = finding("%s is not in doubt: its outcome is known: it is %s", no, in.State)
	}
	return in, err
}

// known returns what the ledger holds of a refund, which it must know.
func known(ctx context.Context, refunds *refund.Service, no string) (refund.Inspection, error) {
	if err := refunds.Bind(ctx); err != nil && !errors.Is(err, refund.ErrOtherChannel) { // to look at it does no harm
		return refund.Inspection{}, err
	}
	all, err := refunds.Inspect(ctx, no)
	if err != nil {
		return refund.Inspection{}, err
	}
	if all[0].State == "" {
		return all[0], unrecorded(ctx, refunds, all[0], phrasesIn(explain.English), "no refund %s is on record here; operate query %s asks WeChat Pay too", no, no)
	}
	return all[0], nil
}

// unrecorded says that a number has no refund on record, in the words of whoever looked for
// one; a number that something waits under, or has waited, leads there instead, and so does
// an application's id.
func unrecorded(ctx context.Context, refunds *refund.Service, in refund.Inspection, w phrases, format string, args ...any) error {
	if in.Proposed != "" {
		return finding(w.proposed, in.OutRefundNo, in.Proposed)
	}
	if _, err := refunds.Application(ctx, in.OutRefundNo); err == nil {
		return finding(w.applied, in.OutRefundNo)
	}
	return finding(format, args...)
}

// number is the one refund number that a command is about.
func number(operands []string) (string, error) {
	if len(operands) == 0 || operands[0] == "" {
		return "", usage("the number of a refund is missing (out_refund_no)")
	}
	if len(operands[0]) > maxNumber || strings.ContainsFunc(operands[0], func(r rune) bool { return r <= ' ' || r > '~' }) {
		return "", usage("%q is no out_refund_no", operands[0])
	}
	return operands[0], nil
}

// maxNumber is more than any channel's numbers have, in bytes.
const maxNumber = 64

// by is who decides, as the history names them.
func (p *program) by() string { return p.caller().Identity() }
