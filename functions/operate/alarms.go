package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"strings"
	"time"

	"wxrefund/shared/refund"
)

func alarmsCommand() command {
	return command{
		name:     "alarms",
		synopsis: "List what a person should look at, or acknowledge it",
		more: "With -ack: that you deal with it, and how. What has happened once is closed by that; what goes on is not told\n" +
			"again until it has ended and come anew.\n",
		example: "alarms -ack refund-1 -code claim_in_doubt -note asked-the-bank",
		setup: func(f *flag.FlagSet) action {
			var a acknowledgement
			f.StringVar(&a.About, "ack", "", "acknowledge the alarm about this `number`, or whatever the list has under ABOUT")
			f.StringVar(&a.Code, "code", "", "which alarm about it, by its `code`; not needed where there is one alone")
			f.StringVar(&a.Note, "note", "", "a `text` for whoever comes after you")
			return func(ctx context.Context, p *program, _ []string) error {
				if a == (acknowledgement{}) {
					return p.alarms(ctx)
				}
				return p.acknowledge(ctx, a)
			}
		},
	}
}

// An acknowledgement is what -ack, -code and -note say, and what is printed of it.
type acknowledgement struct {
	About string `json:"about"`
	Code  string `json:"code"`
	Note  string `json:"note"`
	By    string `json:"by"`
}

// An alarm is one that is open, as alarms prints it.
type alarm struct {
	About       string    `json:"about"`
	OutRefundNo string    `json:"out_refund_no,omitempty"`
	Code        string    `json:"code"`
	Why         string    `json:"why"`
	Since       time.Time `json:"since"`
	LoggedAt    time.Time `json:"logged_at"`
	Count       int       `json:"count"`
	Amount      *amount   `json:"amount,omitempty"` // of the refund that it is about
}

// A shortage is what alarms prints of the refunds that the balance is too low for, as the
// robots' message has it.
type shortage struct {
	Currency string `json:"currency,omitempty"`
	Refunds  int    `json:"refunds"`
	Amount   int64  `json:"amount"`
}

// openAlarms are all that nobody has acknowledged.
func openAlarms(ctx context.Context, refunds *refund.Service) (all []refund.OpenAlarm, err error) {
	for cursor := ""; ; {
		page, next, err := refunds.Alarms(ctx, cursor, maxPage)
		if err != nil {
			return nil, err
		}
		all = append(all, page...)
		if cursor = next; next == "" {
			return all, nil
		}
	}
}

func (p *program) alarms(ctx context.Context) error {
	refunds, err := p.refunds(ctx)
	if err != nil {
		return err
	}
	open, err := openAlarms(ctx, refunds)
	if err != nil {
		return err
	}
	all, short := []alarm{}, []shortage{}
	for _, a := range open {
		all = append(all, alarmOf(a))
	}
	for _, w := range refund.WaitingOf(open) {
		short = append(short, shortage(w))
	}
	at := p.clock()
	p.print(map[string]any{"alarms": all, "waiting": short}, func(w io.Writer) {
		if len(all) == 0 {
			fmt.Fprintln(w, "No alarm is open.")
			return
		}
		fmt.Fprintln(w, "ABOUT\tCODE\tSINCE\tCOUNT\tWHY")
		for _, a := range all {
			fmt.Fprintf(w, "%s\t%s\t%s ago\t%d\t%s\n", cell(a.About), a.Code, age(at.Sub(a.Since)), a.Count, cell(a.Why))
		}
		for _, s := range short { // what to top up, so that nobody adds it up by hand
			fmt.Fprintf(w, "waiting for funds: %s, %s\n", counted(s.Refunds, "refund", "refunds"), cell(money(s.Amount, s.Currency)))
		}
	})
	return nil
}

func alarmOf(a refund.OpenAlarm) alarm {
	out := alarm{About: a.About, OutRefundNo: a.OutRefundNo, Code: a.Code, Why: a.Why, Since: a.Since, LoggedAt: a.LoggedAt, Count: a.Count}
	if a.Amount != 0 {
		out.Amount = &amount{Refund: a.Amount, Currency: a.Currency}
	}
	return out
}

func (p *program) acknowledge(ctx context.Context, a acknowledgement) error {
	switch {
	case a.About == "":
		return usage("-ack is missing: the number of the refund that the alarm is about")
	case strings.TrimSpace(a.Note) == "":
		return usage("-note is missing: say what you have done about it, for whoever comes after you")
	}
	refunds, err := p.changing(ctx)
	if err != nil {
		return err
	}
	all, err := openAlarms(ctx, refunds)
	if err != nil {
		return err
	}
	var codes []string
	for _, o := range all {
		if o.About == a.About && (a.Code == "" || o.Code == a.Code) {
			codes = append(codes, o.Code)
		}
	}
	switch {
	case len(codes) == 0 && a.Code == "":
		return finding("no alarm is open about %s", a.About)
	case len(codes) == 0:
		return finding("no alarm %s is open about %s", a.Code, a.About)
	case len(codes) > 1:
		return usage("-code is missing: about %s are open %s", a.About, strings.Join(codes, ", "))
	}
	a.Code, a.By = codes[0], p.by()
	ctx, err = p.confirm(fmt.Sprintf("acknowledge the alarm %s about %s, so that it is not told again", a.Code, a.About), a.About)
	if err != nil {
		return err
	}
	if err := refunds.Acknowledge(ctx, a.About, a.Code, a.By, a.Note); err != nil {
		return err
	}
	p.print(a, func(w io.Writer) { fmt.Fprintf(w, "%s about %s is acknowledged.\n", a.Code, a.About) })
	return nil
}
