package main

import (
	"cmp"
	"encoding/csv"
	"fmt"
	"io"
	"slices"
	"strconv"

	"wxrefund/shared/console"
	"wxrefund/shared/refund"
)

// How reports of bills are printed.

// stateText is a day's state at a glance.
func stateText(r refund.BillReport) string {
	if r.State == refund.BillAgrees && r.Rows == 0 && r.Fen.Ledger == 0 {
		return "agrees, empty"
	}
	return string(r.State)
}

func (p *program) daysTable(w io.Writer, l billList) {
	if len(l.Bills) == 0 {
		fmt.Fprintf(w, "The channel %s has no bill that can be fetched: bring what the merchant platform offers with -date and -file.\n", l.Channel)
	}
	fmt.Fprintln(w, "DATE\tSTATE\tEQUAL\tDIFFERS\tOURS_ONLY\tTHEIRS_ONLY\tTO_ASK\tBILL\tLEDGER\tNOTE")
	for _, r := range l.Days {
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\n", r.Date, stateText(r), dayCells(r), cell(noteOf(r)))
		for _, o := range r.Other {
			fmt.Fprintf(w, "\t\t%s\t\n", dayCells(o))
		}
	}
}

// held tells whether a bill was held against the ledger, so that a report has counts.
func held(r refund.BillReport) bool {
	return !slices.Contains([]refund.BillState{refund.BillUnread, refund.BillUnreadable, refund.BillUnavailable}, r.State)
}

// dayCells are the counts and sums of one day; of one whose bill nobody could read there
// are none.
func dayCells(r refund.BillReport) string {
	if !held(r) {
		return "-\t-\t-\t-\t-\t-\t-"
	}
	return fmt.Sprintf("%d\t%d\t%d\t%d\t%d\t%s\t%s", r.Equal, r.Differs, r.OursOnly, r.TheirsOnly, r.ToAsk,
		cell(money(r.Fen.Bill, r.Currency)), cell(money(r.Fen.Ledger, r.Currency)))
}

// noteOf is what somebody should know of a day beside its counts.
func noteOf(r refund.BillReport) string {
	note := r.Why
	add := func(text string) {
		if note != "" {
			note += "; "
		}
		note += text
	}
	if r.Funds != nil && r.Funds.State != refund.BillAgrees {
		add("funds: " + string(r.Funds.State))
	}
	if r.File {
		add("from a file")
	}
	if n := len(r.Corrections); n > 0 {
		add("read anew " + times(n))
	}
	return note
}

// dayTable prints one day: what is true of it, then all that is not equal, and what was
// reported before.
func (p *program) dayTable(w io.Writer, r refund.BillReport) {
	row := func(name, format string, args ...any) {
		fmt.Fprintf(w, "%s\t%s\n", name, cell(fmt.Sprintf(format, args...)))
	}
	row("day", "%s %s", r.Date, daySays(r))
	if r.Why != "" {
		row("why", "%s", r.Why)
	}
	if held(r) {
		countRows(row, r)
		for _, o := range r.Other {
			fmt.Fprintln(w)
			countRows(row, o)
		}
	}
	if f := r.Funds; f != nil {
		fundsRows(row, *f, r.Currency)
	}
	if !r.ReadAt.IsZero() {
		row("read", "%s by %s%s", p.at(r.ReadAt), cmp.Or(r.By, "the timer"), map[bool]string{true: ", from a file"}[r.File])
	}
	if r.Hash != "" {
		row("file", "%s, %s", r.Hash, counted(r.Rows, "row", "rows"))
	}
	for _, c := range r.Corrections {
		row("before", "%s: %s equal, %d differ, %d ours only, %d theirs only; read anew %s by %s: %s", c.Before.State,
			counted(c.Before.Equal, "refund", "refunds"), c.Before.Differs, c.Before.OursOnly, c.Before.TheirsOnly, p.at(c.At), cmp.Or(c.By, "the timer"), c.Why)
	}
	if len(r.Findings) == 0 {
		return
	}
	fmt.Fprintln(w, "\nWHAT\tOUT_REFUND_NO\tREFUND_ID\tORDER\tLINE\tBILL\tLEDGER\tSAYS")
	for _, f := range r.Findings {
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\n", f.What, cell(f.OutRefundNo), cell(f.RefundID), cell(f.Order), line(f.Line),
			cell(some(f.Bill, r.Currency)), cell(some(f.Ledger, r.Currency)), cell(f.Says))
	}
	if all, found := r.Unequal(); all > found {
		fmt.Fprintf(w, "the first %d of %d: the counts above are of all\n", found, all)
	}
}

// countRows are the counts of a report, with their sums.
func countRows(row func(name, format string, args ...any), r refund.BillReport) {
	sum := func(name string, n, minor int64, means string) {
		row(name, "%d, %s%s", n, money(minor, r.Currency), means)
	}
	row("bill", "%s", money(r.Fen.Bill, r.Currency))
	row("ledger", "%s", money(r.Fen.Ledger, r.Currency))
	sum("equal", r.Equal, r.Fen.Equal, "")
	if r.Differs > 0 {
		sum("differ", r.Differs, r.Fen.Differs, ": another amount or order")
	}
	if r.OursOnly > 0 {
		sum("ours only", r.OursOnly, r.Fen.OursOnly, ": accepted on that day, and not in its bill")
	}
	if r.TheirsOnly > 0 {
		told := ": not made here, and taken over"
		if r.Silent > 0 {
			told += fmt.Sprintf(" (subscribers are not told of %d)", r.Silent)
		}
		sum("theirs only", r.TheirsOnly, r.Fen.TheirsOnly, told)
	}
	if r.ToAsk > 0 {
		sum("to ask", r.ToAsk, r.Fen.ToAsk, ": of all of these, WeChat Pay is asked how they ended")
	}
	if r.Skipped > 0 {
		sum("skipped", r.Skipped, r.Fen.Skipped, ": of other sub-merchants")
	}
}

// fundsRows say what the fund-flow bills prove.
func fundsRows(row func(name, format string, args ...any), f refund.FundsReport, currency string) {
	text := string(f.State)
	if f.Why != "" {
		text += ": " + f.Why
	}
	row("funds", "%s", text)
	row("", "%d proved, %d missing, %d of another amount, %d that nobody knows, %d closed, %d by hand", f.Proved, f.Missing, f.Differs, f.Unknown, f.Closed, f.ByHand)
	row("", "%s left, %s came back", money(f.OutFen, currency), money(f.BackFen, currency))
}

// some is an amount that may not be known.
func some(minor int64, currency string) string {
	if minor == 0 {
		return ""
	}
	return money(minor, currency)
}

func line(n int64) string {
	if n == 0 {
		return ""
	}
	return strconv.FormatInt(n, 10)
}

// daysCSV prints a row a day, and of a day with several currencies one each.
func (p *program) daysCSV(days []refund.BillReport) error {
	rows := [][]string{{
		"date", "state", "currency", "equal", "differs", "ours_only", "theirs_only", "to_ask", "silent", "skipped", "bill", "ledger", "funds", "read_at", "by", "file", "hash", "why",
	}}
	n := func(n int64) string { return strconv.FormatInt(n, 10) }
	for _, day := range days {
		for _, r := range append([]refund.BillReport{day}, day.Other...) {
			funds := ""
			if r.Funds != nil {
				funds = string(r.Funds.State)
			}
			rows = append(rows, []string{
				string(day.Date), string(day.State), sheetText(r.Currency), n(r.Equal), n(r.Differs), n(r.OursOnly), n(r.TheirsOnly), n(r.ToAsk), n(r.Silent), n(r.Skipped),
				console.Decimal(r.Fen.Bill, r.Currency), console.Decimal(r.Fen.Ledger, r.Currency), funds, moment(day.ReadAt), sheetText(day.By),
				strconv.FormatBool(day.File), sheetText(day.Hash), sheetText(day.Why),
			})
		}
	}
	return p.writeCSV(rows)
}

// findingsCSV prints what is not equal on a day.
func (p *program) findingsCSV(r refund.BillReport) error {
	rows := [][]string{{"date", "what", "out_refund_no", "refund_id", "order", "line", "currency", "bill", "ledger", "says"}}
	amount := func(minor int64) string {
		if minor == 0 {
			return ""
		}
		return console.Decimal(minor, r.Currency)
	}
	for _, f := range r.Findings {
		rows = append(rows, []string{
			string(r.Date), f.What, sheetText(f.OutRefundNo), sheetText(f.RefundID), sheetText(f.Order), line(f.Line), sheetText(r.Currency),
			amount(f.Bill), amount(f.Ledger), sheetText(f.Says),
		})
	}
	return p.writeCSV(rows)
}

// writeCSV prints rows as spreadsheets take them.
func (p *program) writeCSV(rows [][]string) error {
	p.printed = true
	if _, err := p.file.Write([]byte(bom)); err != nil {
		return err
	}
	out := csv.NewWriter(p.file)
	out.UseCRLF = true // RFC 4180
	if err := out.WriteAll(rows); err != nil {
		return finding("the list breaks off here: %v", err)
	}
	return nil
}
