package main

import (
	"cmp"
	"context"
	"flag"
	"fmt"
	"io"
	"time"

	"wxrefund/shared/refund"
)

func showCommand() command {
	return command{
		name: "show", operands: "NO",
		synopsis: "Show all that the ledger holds of a refund",
		more:     "Nothing changes. Who did what is shown in full, openids and the account that received the money too.\n",
		example:  "show refund-1 -upstream",
		setup: func(f *flag.FlagSet) action {
			upstream := f.Bool("upstream", false, "ask WeChat Pay too, and mark what differs (exit code 1)")
			return func(ctx context.Context, p *program, operands []string) error {
				return p.show(ctx, operands, *upstream)
			}
		},
	}
}

// A detail is one refund, as show and query print it.
type detail struct {
	OutRefundNo string          `json:"out_refund_no"`
	State       string          `json:"state"` // "": the ledger does not know it
	InDoubt     bool            `json:"in_doubt"`
	Waits       *waiting        `json:"waits_for_funds,omitempty"`
	Attention   bool            `json:"attention"`        // a person should look at it
	External    bool            `json:"external"`         // not made here
	Silent      bool            `json:"silent,omitempty"` // subscribers are not told of it, unless a person has it redelivered
	NumberTaken bool            `json:"number_taken,omitempty"`
	Application string          `json:"application_id,omitempty"` // that decided it
	ClaimedAt   time.Time       `json:"claimed_at,omitzero"`
	Request     *refund.Request `json:"request,omitempty"` // what was claimed
	Refund      *refund.Refund  `json:"refund,omitempty"`  // what WeChat Pay has reported, completed by what was claimed
	Held        int64           `json:"held"`              // minor units that it reserves on its order
	Refusal     *refusal        `json:"refusal,omitempty"`
	Alarms      []cause         `json:"alarms"`
	Pending     []pending       `json:"pending"` // what subscribers have not acknowledged
	History     []event         `json:"history"` // the oldest first
	Upstream    *upstream       `json:"upstream,omitempty"`

	at refund.Inspection
}

// A waiting is of a refund that goes on by itself once the merchant's balance allows it.
type waiting struct {
	Since time.Time `json:"since"`
	Until time.Time `json:"until"` // at most
}

type refusal struct {
	Code    string `json:"code"`
	ErrCode string `json:"err_code,omitempty"`
	Message string `json:"message"`
}

type cause struct {
	Code           string    `json:"code"`
	Why            string    `json:"why,omitempty"`
	Since          time.Time `json:"since"`
	Count          int       `json:"count"`
	AcknowledgedAt time.Time `json:"acknowledged_at,omitzero"`
	AcknowledgedBy string    `json:"acknowledged_by,omitempty"`
	Note           string    `json:"note,omitempty"`
}

type pending struct {
	To       string    `json:"to"`
	Since    time.Time `json:"since"`
	Attempts int       `json:"attempts"`
	Next     time.Time `json:"next,omitzero"`
	GivenUp  bool      `json:"given_up"`
	Why      string    `json:"why,omitempty"`
}

type event struct {
	At        time.Time `json:"at"`
	What      string    `json:"what"`
	By        string    `json:"by,omitempty"` // who caused it, in full
	RequestID string    `json:"request_id,omitempty"`
	Source    string    `json:"source,omitempty"`
	Note      string    `json:"note,omitempty"`
	ID        string    `json:"id,omitempty"` // of a notification or an event

	said bool // whether the note says no more than who it was
}

// detailOf writes an inspection in the program's words.
func detailOf(in refund.Inspection) detail {
	d := detail{
		OutRefundNo: in.OutRefundNo, State: string(in.State), InDoubt: in.InDoubt, Attention: in.Attention, External: in.External, Silent: in.Silent, NumberTaken: in.NumberTaken, Application: in.Application,
		ClaimedAt: in.ClaimedAt, Held: in.Held, Alarms: []cause{}, Pending: allPending(in.Pending), History: []event{}, at: in,
	}
	if in.State != "" {
		d.Request, d.Refund = &in.Request, &in.Refund
	}
	if in.WaitingFunds {
		d.Waits = &waiting{in.WaitingSince, in.WaitingUntil}
	}
	if e := in.Refusal; e != nil {
		r := refusalOf(e)
		d.Refusal = &r
	}
	for _, c := range in.Causes {
		d.Alarms = append(d.Alarms, cause{c.Code, c.Why, c.Since, c.Count, c.AcknowledgedAt, c.AcknowledgedBy, c.Note})
	}
	masked := in.Masked().History
	for i, h := range in.History {
		who := masked[i].By
		said := who != "" && (h.Note == who || h.Note == "by "+who)
		d.History = append(d.History, event{h.At, h.What, h.By, h.RequestID, source(h.Source), h.Note, h.ID, said})
	}
	return d
}

// source is how something became known, in the log's words.
func source(s refund.Source) string {
	if s == "" {
		return ""
	}
	return s.LogValue().String()
}

func (p *program) show(ctx context.Context, operands []string, upstream bool) error {
	no, err := number(operands)
	if err != nil {
		return err
	}
	refunds, err := p.refunds(ctx)
	if err != nil {
		return err
	}
	in, err := known(ctx, refunds, no)
	if err != nil {
		return err
	}
	d := detailOf(in)
	if upstream {
		d.Upstream = askUpstream(ctx, refunds, in)
	}
	p.printDetail(d, p.clock())
	return p.differs(d.Upstream, no)
}

// printDetail prints a refund: what is true of it, then what has happened.
func (p *program) printDetail(d detail, now time.Time) {
	p.print(d, func(w io.Writer) {
		r := d.at.Refund
		row := func(name, format string, args ...any) {
			if text := fmt.Sprintf(format, args...); text != "" {
				fmt.Fprintf(w, "%s\t%s\n", name, cell(text))
			}
		}
		row("refund", "%s", d.OutRefundNo)
		row("state", "%s", d.stateText())
		if d.State != "" {
			of := " of " + money(r.Amount.Total, r.Amount.Currency)
			if r.Amount.Total == 0 { // a bill alone tells of it
				of = ""
			}
			row("amount", "%s%s", money(r.Amount.Refund, r.Amount.Currency), of)
			row("out_trade_no", "%s", r.OutTradeNo)
			row("transaction_id", "%s", r.TransactionID)
			row("refund_id", "%s", r.RefundID)
			row("reason", "%s", d.at.Request.Reason)
			if d.Application != "" {
				row("application", "%s; operate application %[1]s has who wanted it and who agreed", d.Application)
			}
			row("received by", "%s", r.UserReceivedAccount)
			if r.ReceivedBy == refund.ReceivedByMerchant {
				row("customer", "has nothing: the money is at the merchant's own account; pay the customer otherwise")
			}
			row("claimed", "%s", p.ago(d.ClaimedAt, now))
			if d.Waits != nil {
				row("waits", "for the balance since %s, until %s at most", p.ago(d.Waits.Since, now), p.at(d.Waits.Until))
			}
			row("reserved", "%s", money(d.Held, r.Amount.Currency))
		}
		if d.Refusal != nil {
			row("refused", "%s", d.Refusal.text())
		}
		for _, c := range d.Alarms {
			row("alarm", "%s", p.causeText(c, now))
		}
		for _, o := range d.Pending {
			row("not told", "%s", p.pendingText(o, now))
		}
		p.upstreamTable(w, d.Upstream)
		if len(d.History) > 0 {
			fmt.Fprintln(w)
		}
		for _, h := range d.History {
			row(p.at(h.At), "%s", h.text())
		}
	})
}

func (d detail) stateText() string {
	switch {
	case d.State == "":
		return "unknown here"
	case d.NumberTaken:
		return d.State + ": another refund has the number, and the rest is about that one"
	case d.at.Withdrawn:
		return d.State + ", in doubt: WeChat Pay may have it or not; withdrawn: it is not submitted again, and ends by itself"
	case d.InDoubt:
		return d.State + ", in doubt: WeChat Pay may have it or not"
	case d.Silent:
		return d.State + ", not made here; subscribers are not told, since a bill alone tells of it: it was before this ledger, or is another AppID's"
	case d.External:
		return d.State + ", not made here"
	}
	return d.State
}

func refusalOf(e *refund.Error) refusal { return refusal{string(e.Code), e.Upstream, e.Message} }

func (r refusal) text() string {
	return cmp.Or(r.ErrCode, r.Code) + ": " + r.Message
}

func (h event) text() string {
	text := h.What
	if h.said {
		h.Note = ""
	}
	parts := []struct{ before, text, behind string }{
		{" (", h.Source, ")"}, {" by ", h.By, ""}, {", request ", h.RequestID, ""}, {": ", h.Note, ""}, {" [", h.ID, "]"},
	}
	for _, part := range parts {
		if part.text != "" {
			text += part.before + part.text + part.behind
		}
	}
	return text
}

func (p *program) causeText(c cause, now time.Time) string {
	text := fmt.Sprintf("%s since %s, %s", c.Code, p.ago(c.Since, now), times(c.Count))
	if c.Why != "" {
		text += ": " + c.Why
	}
	if !c.AcknowledgedAt.IsZero() {
		text += fmt.Sprintf(" (acknowledged %s by %s: %s)", p.at(c.AcknowledgedAt), c.AcknowledgedBy, c.Note)
	}
	return text
}

// allPending is what subscribers have not acknowledged, as it is printed: never null.
func allPending(of []refund.PendingDelivery) []pending {
	all := []pending{}
	for _, o := range of {
		all = append(all, pending(o))
	}
	return all
}

func (p *program) pendingText(o pending, now time.Time) string {
	text := fmt.Sprintf("%s, since %s, tried %s", o.To, p.ago(o.Since, now), times(o.Attempts))
	switch {
	case o.GivenUp:
		text += ", given up"
	case !o.Next.IsZero():
		text += ", next " + p.at(o.Next)
	}
	if o.Why != "" {
		text += ": " + o.Why
	}
	return text
}
