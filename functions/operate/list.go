package main

import (
	"cmp"
	"context"
	"flag"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"wxrefund/shared/refund"
)

func listCommand() command {
	return command{
		name:     "list",
		synopsis: "List refunds, the newest first",
		more: "What is set must all hold. A time is a date, a date with a time in this machine's zone, RFC 3339, or an age\n" +
			"such as 90m, 24h or 7d. -csv prints all that pass, for a spreadsheet, with who did what in full.\n",
		example: "list -in-doubt -since 7d",
		setup: func(f *flag.FlagSet) action {
			var l listing
			f.StringVar(&l.states, "state", "", "in one of these comma-separated `states`: "+strings.Join(states(), ", "))
			f.StringVar(&l.filter.Order, "order", "", "of the order with this out_trade_no or transaction_id, the whole `number`")
			f.StringVar(&l.since, "since", "", "claimed at this `time` or later")
			f.StringVar(&l.until, "until", "", "claimed before this `time`")
			f.Var((*fen)(&l.amount), flagAmount, "of exactly so many `fen`")
			f.Var((*fen)(&l.filter.MinFen), flagMin, "of at least so many `fen`")
			f.Var((*fen)(&l.filter.MaxFen), flagMax, "of at most so many `fen`")
			f.BoolVar(&l.filter.InDoubt, "in-doubt", false, "submitted, and the outcome is unknown")
			f.BoolVar(&l.filter.Undelivered, "undelivered", false, "a subscriber has not acknowledged it yet")
			f.BoolVar(&l.filter.Attention, "attention", false, "a person should look at it")
			f.StringVar(&l.filter.Query, "find", "", "with this `text` in its number, its refund_id or a number of its order")
			l.limit = 50
			f.Var((*count)(&l.limit), "limit", "at most so `many`; 0: all")
			f.StringVar(&l.cursor, "cursor", "", "go on behind this `place`, which the list before has printed")
			f.BoolVar(&l.csv, "csv", false, "print all as CSV")
			return func(ctx context.Context, p *program, _ []string) error { return p.list(ctx, l, given(f)) }
		},
	}
}

// The flags of list that are amounts.
const (
	flagAmount = "amount"
	flagMin    = "min"
	flagMax    = "max"
)

// A listing is what list was asked for.
type listing struct {
	filter               refund.Filter
	states, since, until string
	amount               int64
	limit                int
	cursor               string
	csv                  bool
}

// A listed is one refund of a list.
type listed struct {
	OutRefundNo   string    `json:"out_refund_no"`
	State         string    `json:"state"`
	RefundID      string    `json:"refund_id,omitempty"`
	OutTradeNo    string    `json:"out_trade_no,omitempty"`
	TransactionID string    `json:"transaction_id,omitempty"`
	Amount        amount    `json:"amount"`
	InDoubt       bool      `json:"in_doubt"`
	Waits         bool      `json:"waits_for_funds"` // goes on by itself once the merchant's balance allows it
	External      bool      `json:"external"`
	Attention     bool      `json:"attention"`
	Alarms        []string  `json:"alarms"`      // codes of those that are open
	Undelivered   int       `json:"undelivered"` // how many deliveries subscribers have not acknowledged
	Since         time.Time `json:"since"`       // when it was claimed
}

type amount struct {
	Refund   int64  `json:"refund"`
	Total    int64  `json:"total,omitempty"`
	Currency string `json:"currency,omitempty"`
}

// A list is what list prints.
type list struct {
	Total      int64    `json:"total"` // that pass in all
	Refunds    []listed `json:"refunds"`
	Next       string   `json:"next,omitempty"`       // -cursor, with which it goes on
	Incomplete bool     `json:"incomplete,omitempty"` // refunds of an earlier version may be missing until reconcile has entered them
}

func (p *program) list(ctx context.Context, l listing, given map[string]bool) error {
	if err := p.readFilter(&l, given); err != nil {
		return err
	}
	refunds, err := p.refunds(ctx)
	if err != nil {
		return err
	}
	if l.csv {
		return p.export(p.root, refunds, l.filter)
	}
	out := list{Refunds: []listed{}}
	out.Next, out.Incomplete, err = eachRefund(ctx, refunds, l.filter, l.cursor, l.limit, func(in refund.Inspection) error {
		out.Refunds = append(out.Refunds, listedOf(in))
		return nil
	})
	if err != nil {
		return err
	}
	if out.Total = int64(len(out.Refunds)); out.Next != "" || l.cursor != "" {
		if out.Total, err = refunds.CountRefunds(ctx, l.filter); err != nil {
			return err
		}
	}
	if out.Next != "" && !p.more(ctx, refunds, l, out) {
		out.Next = ""
	}
	at := p.clock()
	p.print(out, func(w io.Writer) { p.listTable(w, out, at) })
	return nil
}

// more reports whether something passes behind the place where a list has ended: of what is
// not found by an index, that there is a place says nothing. Where that cannot be found out,
// there may be.
func (p *program) more(ctx context.Context, refunds *refund.Service, l listing, out list) bool {
	if l.cursor == "" {
		return out.Total > int64(len(out.Refunds))
	}
	found := false
	_, _, err := eachRefund(ctx, refunds, l.filter, out.Next, 1, func(refund.Inspection) error { found = true; return nil })
	return found || err != nil
}

// readFilter reads what flags alone cannot. To a filter an amount of 0 is none, so that
// whether one was given is asked of the flags.
func (p *program) readFilter(l *listing, given map[string]bool) (err error) {
	for _, flag := range []struct {
		name string
		fen  int64
	}{{flagAmount, l.amount}, {flagMin, l.filter.MinFen}, {flagMax, l.filter.MaxFen}} {
		if given[flag.name] && flag.fen < 1 {
			return usage("-%s must be at least 1: no refund is of less", flag.name)
		}
	}
	switch {
	case l.csv && p.json:
		return usage("-csv and -json are two forms: give one of them")
	case l.csv && l.cursor != "":
		return usage("-csv prints all that pass, and takes no -cursor")
	case given[flagMin] && given[flagMax] && l.filter.MinFen > l.filter.MaxFen:
		return usage("-min must not be above -max")
	case given[flagAmount] && (given[flagMin] || given[flagMax]):
		return usage("-amount is one amount, -min and -max are bounds: give the one or the others")
	case given[flagAmount]:
		l.filter.MinFen, l.filter.MaxFen = l.amount, l.amount
	}
	for _, s := range strings.FieldsFunc(l.states, func(r rune) bool { return r == ',' || r == ' ' }) {
		state := strings.ToLower(s)
		if !slices.Contains(states(), state) {
			return usage("-state: there is no state %q; there are %s", s, strings.Join(states(), ", "))
		}
		l.filter.States = append(l.filter.States, refund.State(state))
	}
	if l.filter.Since, err = p.moment("-since", l.since); err != nil {
		return err
	}
	if l.filter.Until, err = p.moment("-until", l.until); err != nil {
		return err
	}
	if since, until := l.filter.Since, l.filter.Until; !since.IsZero() && !until.IsZero() && !since.Before(until) {
		return usage("-since must be before -until")
	}
	return nil
}

// states are the names of all states that a refund on record can have.
func states() (names []string) {
	for _, s := range []refund.State{refund.Claimed, refund.Processing, refund.Success, refund.Closed, refund.Abnormal, refund.Rejected} {
		names = append(names, string(s))
	}
	return names
}

// maxPage is how many refunds are asked for at a time.
const maxPage = 500

// eachRefund visits at most limit refunds that pass (0: all), from cursor on.
func eachRefund(ctx context.Context, refunds *refund.Service, f refund.Filter, cursor string, limit int, visit func(refund.Inspection) error) (next string, incomplete bool, err error) {
	for n := 0; ; {
		want := maxPage
		if limit > 0 {
			want = min(want, limit-n)
		}
		page, err := refunds.ListRefunds(ctx, f, cursor, want)
		if err != nil {
			return "", false, err
		}
		incomplete = incomplete || page.Incomplete
		for _, in := range page.Refunds {
			if err := visit(in); err != nil {
				return "", false, err
			}
		}
		n += len(page.Refunds)
		if cursor = page.Next; cursor == "" || limit > 0 && n >= limit {
			return cursor, incomplete, nil
		}
	}
}

func listedOf(in refund.Inspection) listed {
	r := in.Refund
	out := listed{
		OutRefundNo: in.OutRefundNo, State: string(in.State), RefundID: r.RefundID, OutTradeNo: r.OutTradeNo, TransactionID: r.TransactionID,
		Amount:  amount{r.Amount.Refund, r.Amount.Total, r.Amount.Currency},
		InDoubt: in.InDoubt, Waits: in.WaitingFunds, External: in.External, Attention: in.Attention, Alarms: openCodes(in), Undelivered: len(in.Pending), Since: in.ClaimedAt,
	}
	return out
}

// openCodes are the codes of the alarms that nobody has acknowledged.
func openCodes(in refund.Inspection) []string {
	codes := []string{}
	for _, c := range in.Causes {
		if c.AcknowledgedAt.IsZero() {
			codes = append(codes, c.Code)
		}
	}
	return codes
}

func (p *program) listTable(w io.Writer, l list, at time.Time) {
	if len(l.Refunds) > 0 {
		fmt.Fprintln(w, "OUT_REFUND_NO\tSTATE\tAMOUNT\tORDER\tCLAIMED\tNOTE")
	}
	for _, r := range l.Refunds {
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s ago\t%s\n", cell(r.OutRefundNo), r.State, cell(money(r.Amount.Refund, r.Amount.Currency)),
			cell(cmp.Or(r.OutTradeNo, r.TransactionID)), age(at.Sub(r.Since)), r.note())
	}
	fmt.Fprintf(w, "%d of %d\n", len(l.Refunds), l.Total)
	if l.Next != "" {
		fmt.Fprintf(w, "more: -cursor %s\n", l.Next)
	}
	if l.Incomplete {
		fmt.Fprintln(w, "refunds of an earlier version may be missing until reconcile has entered them into the index")
	}
}

// note is what somebody should know of a refund at a glance.
func (r listed) note() string {
	var notes []string
	if r.InDoubt {
		notes = append(notes, "in doubt")
	}
	if r.Waits {
		notes = append(notes, "waits for the balance")
	}
	if r.External {
		notes = append(notes, "not made here")
	}
	if r.Undelivered > 0 {
		notes = append(notes, fmt.Sprintf("%d undelivered", r.Undelivered))
	}
	return strings.Join(append(notes, r.Alarms...), ", ")
}
