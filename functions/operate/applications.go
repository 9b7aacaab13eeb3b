package main

import (
	"cmp"
	"context"
	"encoding/csv"
	"flag"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"wxrefund/shared/console"
	"wxrefund/shared/refund"
)

// What buyers have applied for and what waits for a second operator.

func applicationsCommand() command {
	return command{
		name:     "applications",
		synopsis: "List applications for refunds, the newest first",
		more: "Those of buyers (REFUND_SELF), and refunds of operators that need another one's approval\n" +
			"(REFUND_APPROVAL_FEN). Who has applied is masked. -csv prints all that pass, for a spreadsheet, with who did\n" +
			"what in full.\n",
		example: "applications -state pending",
		setup: func(f *flag.FlagSet) action {
			var q refund.ApplicationQuery
			f.StringVar(&q.State, "state", "", "in this `state` alone: "+strings.Join(applicationStates(), ", "))
			q.Limit = 20
			f.Var((*count)(&q.Offset), "offset", "the first that is wanted, counted from `0`")
			f.Var((*count)(&q.Limit), "limit", "how many at most; at most `50`")
			sheet := f.Bool("csv", false, "print all of them as CSV")
			return func(ctx context.Context, p *program, _ []string) error { return p.applications(ctx, q, *sheet) }
		},
	}
}

// applicationStates are the states of applications as people write them.
func applicationStates() (names []string) {
	for _, s := range refund.ApplicationStates() {
		names = append(names, strings.ToLower(string(s)))
	}
	return names
}

// An applicationList is what applications prints.
type applicationList struct {
	Total        int64                `json:"total"` // that are in the state in all
	Offset       int                  `json:"offset"`
	Applications []refund.Application `json:"applications"`
}

func (p *program) applications(ctx context.Context, q refund.ApplicationQuery, sheet bool) error {
	switch {
	case sheet && p.json:
		return usage("-csv and -json are two forms: give one of them")
	case sheet && q.Offset != 0:
		return usage("-csv prints all that pass, and takes no -offset")
	case q.State != "" && !slices.Contains(applicationStates(), strings.ToLower(q.State)):
		return usage("-state: there is no state %q; there are %s", q.State, strings.Join(applicationStates(), ", "))
	case q.Limit < 1 || q.Limit > 50:
		return usage("-limit must be between 1 and 50")
	}
	q.Kind, q.State = "applications", strings.ToUpper(q.State)
	refunds, err := p.refunds(ctx)
	if err != nil {
		return err
	}
	if sheet {
		return p.exportApplications(p.root, refunds, q)
	}
	out, err := listApplications(ctx, refunds, p.caller(), q)
	if err != nil {
		return err
	}
	for i, a := range out.Applications {
		out.Applications[i] = a.Masked()
	}
	at := p.clock()
	p.print(out, func(w io.Writer) {
		if len(out.Applications) > 0 {
			fmt.Fprintln(w, "APPLICATION_ID\tSTATE\tAMOUNT\tORDER\tMADE\tBY\tREASON")
		}
		for _, a := range out.Applications {
			fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s ago\t%s\t%s\n", cell(a.ID), strings.ToLower(string(a.State)), money(a.Amount.Refund, a.Amount.Currency),
				cell(cmp.Or(a.OutTradeNo, a.TransactionID)), age(at.Sub(a.CreatedAt)), cell(a.Applicant), cell(a.Reason))
		}
		fmt.Fprintf(w, "%d of %d\n", len(out.Applications), out.Total)
		if next := int64(out.Offset + len(out.Applications)); next < out.Total && len(out.Applications) > 0 {
			fmt.Fprintf(w, "more: -offset %d\n", next)
		}
	})
	return nil
}

func listApplications(ctx context.Context, refunds *refund.Service, caller refund.Caller, q refund.ApplicationQuery) (applicationList, error) {
	page, err := refunds.ListFor(ctx, caller, q)
	out := applicationList{Total: page.Total, Offset: page.Offset, Applications: []refund.Application{}}
	for _, item := range page.Items {
		if a, ok := item.(refund.Application); ok {
			out.Applications = append(out.Applications, a)
		}
	}
	return out, err
}

// applicationColumns are those of the export. Amounts are in the currency's major unit,
// times in UTC.
func applicationColumns() []struct {
	name string
	of   func(refund.Application) string
} {
	return []struct {
		name string
		of   func(refund.Application) string
	}{
		{"created_at", func(a refund.Application) string { return moment(a.CreatedAt) }},
		{"application_id", func(a refund.Application) string { return sheetText(a.ID) }},
		{"state", func(a refund.Application) string { return sheetText(string(a.State)) }},
		{"out_trade_no", func(a refund.Application) string { return sheetText(a.OutTradeNo) }},
		{"transaction_id", func(a refund.Application) string { return sheetText(a.TransactionID) }},
		{"currency", func(a refund.Application) string { return sheetText(a.Amount.Currency) }},
		{"refund", func(a refund.Application) string { return console.Decimal(a.Amount.Refund, a.Amount.Currency) }},
		{"total", func(a refund.Application) string { return console.Decimal(a.Amount.Total, a.Amount.Currency) }},
		{"reason", func(a refund.Application) string { return sheetText(a.Reason) }},
		{"applicant", func(a refund.Application) string { return sheetText(a.Applicant) }},
		{"decided_at", func(a refund.Application) string { return moment(a.DecidedAt) }},
		{"out_refund_no", func(a refund.Application) string { return sheetText(a.OutRefundNo) }},
		{"who_did_what", func(a refund.Application) string { return sheetText(acted(a.History)) }},
	}
}

// exportApplications prints every application in the state as CSV.
func (p *program) exportApplications(ctx context.Context, refunds *refund.Service, q refund.ApplicationQuery) error {
	p.printed = true
	if _, err := p.file.Write([]byte(bom)); err != nil {
		return err
	}
	out := csv.NewWriter(p.file)
	out.UseCRLF = true // RFC 4180
	columns := applicationColumns()
	row := make([]string, len(columns))
	for i, c := range columns {
		row[i] = c.name
	}
	err := out.Write(row)
	seen := map[string]bool{} // what is new meanwhile moves the others on
	for q.Limit = 50; err == nil; {
		var page applicationList
		if page, err = listApplications(ctx, refunds, p.caller(), q); err != nil {
			break
		}
		for _, a := range page.Applications {
			if seen[a.ID] {
				continue
			}
			seen[a.ID] = true
			for i, c := range columns {
				row[i] = c.of(a)
			}
			if err = out.Write(row); err != nil {
				break
			}
		}
		if q.Offset += q.Limit; len(page.Applications) == 0 || int64(q.Offset) >= page.Total {
			break
		}
	}
	if out.Flush(); err == nil {
		err = out.Error()
	}
	if err != nil {
		return finding("the list breaks off here: %s", says(err))
	}
	return nil
}

func applicationCommand() command {
	return command{
		name: "application", operands: "ID",
		synopsis: "Show one application, its refund and its history",
		more:     "Nothing changes. Who did what is shown in full, openids too.\n",
		example:  "application BWZ5C4XG2Q7TLKJ3MNVRD6HFYA",
		setup: plain(func(ctx context.Context, p *program, operands []string) error {
			id, err := applicationID(operands)
			if err != nil {
				return err
			}
			refunds, err := p.refunds(ctx)
			if err != nil {
				return err
			}
			a, err := application(ctx, refunds, id)
			if err != nil {
				return err
			}
			p.printApplication(a)
			return nil
		}),
	}
}

// applicationID is the one application that a command is about.
func applicationID(operands []string) (string, error) {
	if len(operands) == 0 || operands[0] == "" {
		return "", usage("the id of an application is missing; operate applications lists them")
	}
	if len(operands[0]) > maxNumber || strings.ContainsFunc(operands[0], func(r rune) bool { return r <= ' ' || r > '~' }) {
		return "", usage("%q is no application_id", operands[0])
	}
	return operands[0], nil
}

// application reads one application. A refund's number leads to the one that decided it.
func application(ctx context.Context, refunds *refund.Service, id string) (refund.Application, error) {
	a, err := refunds.Application(ctx, id)
	if !refund.IsCode(err, refund.CodeNotFound) {
		return a, err
	}
	all, failed := refunds.Inspect(ctx, id)
	if failed != nil {
		return a, failed
	}
	if of := cmp.Or(all[0].Application, all[0].Proposed); of != "" {
		return a, finding("%s is a refund's number; its application is %s", id, of)
	}
	return a, err
}

// printApplication prints an application: what is true of it, then what has happened.
func (p *program) printApplication(a refund.Application) {
	now := p.clock()
	out := struct {
		refund.Application
		Pending []pending `json:"pending,omitempty"`
	}{a, allPending(a.Pending)}
	p.print(out, func(w io.Writer) {
		row := func(name, text string) {
			if text != "" {
				fmt.Fprintf(w, "%s\t%s\n", name, cell(text))
			}
		}
		row("application", a.ID)
		row("state", strings.ToLower(string(a.State)))
		row("amount", money(a.Amount.Refund, a.Amount.Currency)+" of "+money(a.Amount.Total, a.Amount.Currency))
		row("out_trade_no", a.OutTradeNo)
		row("transaction_id", a.TransactionID)
		row("reason", a.Reason)
		row("made by", a.Applicant)
		row("made", p.ago(a.CreatedAt, now))
		if !a.DecidedAt.IsZero() {
			row("decided", p.ago(a.DecidedAt, now))
		}
		row("refund", refundOf(a))
		for _, o := range out.Pending {
			row("not told", p.pendingText(o, now))
		}
		if len(a.History) > 0 {
			fmt.Fprintln(w)
		}
		for _, h := range a.History {
			row(p.at(h.At), event{h.At, h.What, h.By, h.RequestID, source(h.Source), h.Note, h.ID, false}.text())
		}
	})
}

// refundOf says what has become of an application's refund; "" if it has none.
func refundOf(a refund.Application) string {
	switch {
	case a.Refund == nil:
		return a.OutRefundNo
	case a.Refund.ReceivedBy == refund.ReceivedByMerchant:
		return a.OutRefundNo + " is " + string(a.Refund.Status) + ", and the money is at the merchant's own account, not with the customer"
	case a.Refund.Status == "":
		return a.OutRefundNo + " is submitted, and not accepted yet: operate show " + a.OutRefundNo + " has why"
	}
	return a.OutRefundNo + " is " + string(a.Refund.Status)
}

// acted is what somebody has done, in the order of the history.
func acted(history []refund.HistoryEntry) string {
	var all []string
	for _, h := range history {
		if h.By == "" {
			continue
		}
		act := h.At.UTC().Format(time.RFC3339) + " " + h.What + " by " + h.By
		if h.RequestID != "" {
			act += " request " + h.RequestID
		}
		all = append(all, act)
	}
	return strings.Join(all, "; ")
}
