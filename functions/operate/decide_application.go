package main

import (
	"cmp"
	"context"
	"flag"
	"fmt"
	"io"
	"strings"

	"wxrefund/shared/refund"
)

// What a person decides about an application.

// deciding is the setup of a command that decides about an application, for a reason.
func deciding(decide func(p *program, ctx context.Context, operands []string, reason string) error) func(*flag.FlagSet) action {
	return func(f *flag.FlagSet) action {
		reason := f.String("reason", "", "a `text` for the history")
		return func(ctx context.Context, p *program, operands []string) error {
			return decide(p, ctx, operands, *reason)
		}
	}
}

func approveCommand() command {
	return command{
		name: "approve", operands: "ID",
		synopsis: "Allow an application, and refund",
		more: "The refund number follows from the application, so that the same command again refunds once. Where that\n" +
			"number can certainly not succeed any more, it uses the application's next one. Whoever applied or proposed\n" +
			"cannot approve; the history has your name and the reason.\n",
		example: "approve BWZ5C4XG2Q7TLKJ3MNVRD6HFYA -reason checked",
		setup:   deciding((*program).approve),
	}
}

func (p *program) approve(ctx context.Context, operands []string, reason string) error {
	refunds, a, err := p.waiting(ctx, operands, refund.ApplicationPending, refund.ApplicationApproved)
	if err != nil {
		return err
	}
	ctx, err = p.confirm("refund "+p.wish(a), a.ID)
	if err != nil {
		return err
	}
	a, err = refunds.Approve(ctx, p.caller(), refund.Decision{ApplicationID: a.ID, Reason: reason})
	if err != nil {
		if refund.IsCode(err, refund.CodeDenied) || refund.IsCode(err, refund.CodeInvalid) {
			return err
		}
		return finding("%s; operate application %s has what is on record", says(err), operands[0])
	}
	p.print(a.Masked(), func(w io.Writer) {
		fmt.Fprintf(w, "%s is %s", a.ID, strings.ToLower(string(a.State)))
		if of := refundOf(a); of != "" {
			fmt.Fprintf(w, ": %s", of)
		}
		fmt.Fprintln(w, ".")
	})
	if a.Refund != nil && a.Refund.Status == refund.StatusClosed {
		return finding("%s is closed: no money moved; approving again uses another number", a.OutRefundNo)
	}
	return nil
}

func rejectCommand() command {
	return command{
		name: "reject", operands: "ID",
		synopsis: "Refuse an application that waits, or take an approval back",
		more: "An approval is taken back only while it has certainly led to no refund. Nothing is refunded then. Whoever\n" +
			"applied or proposed cannot reject. The history has your name and the reason.\n",
		example: "reject BWZ5C4XG2Q7TLKJ3MNVRD6HFYA -reason already-replaced",
		setup:   deciding((*program).reject),
	}
}

func (p *program) reject(ctx context.Context, operands []string, reason string) error {
	refunds, a, err := p.waiting(ctx, operands, refund.ApplicationPending, refund.ApplicationApproved)
	if err != nil {
		return err
	}
	what := "refuse the application for "
	if a.State == refund.ApplicationApproved {
		what = "take back the approval of "
	}
	return p.end(a, what, reason, refunds.Reject)
}

func withdrawCommand() command {
	return command{
		name: "withdraw", operands: "ID",
		synopsis: "Take back a refund that you have proposed, while it waits",
		more:     "Nothing is refunded, and its number stays used. Only who proposed it can; anybody else rejects it.\n",
		example:  "withdraw PLZDCM27F7WUFBAIXX6X4XMQ -reason wrong-order",
		setup:    deciding((*program).withdraw),
	}
}

func (p *program) withdraw(ctx context.Context, operands []string, reason string) error {
	refunds, a, err := p.waiting(ctx, operands, refund.ApplicationPending)
	if err != nil {
		return err
	}
	if !a.MadeBy(p.caller()) {
		return finding("%s was not proposed by you, operator %s: who proposed it can withdraw it, anybody else reject it", a.ID, p.as)
	}
	return p.end(a, "take back what you have proposed: ", reason, refunds.Withdraw)
}

// end decides an application without a refund, once the person has seen what that is.
func (p *program) end(a refund.Application, what, reason string, decide func(context.Context, refund.Caller, refund.Decision) (refund.Application, error)) error {
	ctx, err := p.confirm(what+p.wish(a), a.ID)
	if err != nil {
		return err
	}
	if a, err = decide(ctx, p.caller(), refund.Decision{ApplicationID: a.ID, Reason: reason}); err != nil {
		return err
	}
	p.print(a.Masked(), func(w io.Writer) {
		fmt.Fprintf(w, "%s is %s: nothing is refunded.\n", a.ID, strings.ToLower(string(a.State)))
	})
	return nil
}

// waiting returns an application in one of the states in which it can be decided, or why it
// is in none: before a person is asked about it.
func (p *program) waiting(ctx context.Context, operands []string, in ...refund.ApplicationState) (*refund.Service, refund.Application, error) {
	id, err := applicationID(operands)
	if err != nil {
		return nil, refund.Application{}, err
	}
	refunds, err := p.changing(ctx)
	if err != nil {
		return nil, refund.Application{}, err
	}
	a, err := application(ctx, refunds, id)
	if err != nil {
		return nil, a, err
	}
	for _, state := range in {
		if a.State == state {
			return refunds, a, nil
		}
	}
	return nil, a, finding("%s is decided: it is %s", id, strings.ToLower(string(a.State)))
}

// wish is what somebody has applied for, in a sentence.
func (p *program) wish(a refund.Application) string {
	text := fmt.Sprintf("%s of order %s, which cost %s, as %s has applied for", money(a.Amount.Refund, a.Amount.Currency),
		cmp.Or(a.OutTradeNo, a.TransactionID), money(a.Amount.Total, a.Amount.Currency), cmp.Or(a.Masked().Applicant, "somebody"))
	if a.Reason != "" {
		text += " (" + a.Reason + ")"
	}
	return text
}
