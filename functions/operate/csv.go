package main

import (
	"context"
	"encoding/csv"
	"strconv"
	"strings"
	"time"

	"wxrefund/shared/console"
	"wxrefund/shared/refund"
)

// The export for an audit: every refund that passes, a row each.

// A column is one of the export. What came from elsewhere is written so that a spreadsheet
// takes it for text.
type column struct {
	name string
	of   func(refund.Inspection) string
}

// columns are those of the export. Amounts are in the currency's major unit, times in UTC.
func columns() []column {
	decimal := func(minor int64, in refund.Inspection) string {
		return console.Decimal(minor, in.Refund.Amount.Currency)
	}
	return []column{
		{"claimed_at", func(in refund.Inspection) string { return moment(in.ClaimedAt) }},
		{"out_refund_no", func(in refund.Inspection) string { return sheetText(in.OutRefundNo) }},
		{"refund_id", func(in refund.Inspection) string { return sheetText(in.Refund.RefundID) }},
		{"out_trade_no", func(in refund.Inspection) string { return sheetText(in.Refund.OutTradeNo) }},
		{"transaction_id", func(in refund.Inspection) string { return sheetText(in.Refund.TransactionID) }},
		{"currency", func(in refund.Inspection) string { return sheetText(in.Refund.Amount.Currency) }},
		{"refund", func(in refund.Inspection) string { return decimal(in.Refund.Amount.Refund, in) }},
		{"total", func(in refund.Inspection) string { return decimal(in.Refund.Amount.Total, in) }},
		{"reserved", func(in refund.Inspection) string { return decimal(in.Held, in) }},
		{"state", func(in refund.Inspection) string { return sheetText(string(in.State)) }},
		{"in_doubt", func(in refund.Inspection) string { return strconv.FormatBool(in.InDoubt) }},
		{"not_made_here", func(in refund.Inspection) string { return strconv.FormatBool(in.External) }},
		{"undelivered", func(in refund.Inspection) string { return strconv.Itoa(len(in.Pending)) }},
		{"alarms", func(in refund.Inspection) string { return sheetText(strings.Join(openCodes(in), " ")) }},
		{"reason", func(in refund.Inspection) string { return sheetText(in.Request.Reason) }},
		{"refusal", func(in refund.Inspection) string { return sheetText(refusalText(in)) }},
		{"received_by", func(in refund.Inspection) string { return sheetText(in.Refund.UserReceivedAccount) }},
		{"success_time", func(in refund.Inspection) string { return sheetText(utc(in.Refund.SuccessTime)) }},
		{"claimed_by", func(in refund.Inspection) string { return sheetText(claimedBy(in)) }},
		{"who_did_what", func(in refund.Inspection) string { return sheetText(acts(in)) }},
	}
}

// sheetText is a text from elsewhere in a cell of a file for spreadsheets.
func sheetText(s string) string { return console.Cell(escaped(s, obeyed)) }

func moment(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format(time.RFC3339)
}

// utc is a time that WeChat Pay has written, in UTC; what is no time stays as it is.
func utc(said string) string {
	t, err := time.Parse(time.RFC3339, said)
	if err != nil {
		return said
	}
	return moment(t)
}

func refusalText(in refund.Inspection) string {
	if in.Refusal == nil {
		return ""
	}
	return refusalOf(in.Refusal).text()
}

// claimedBy is who has claimed it last, in full; "" if nobody has noted that.
func claimedBy(in refund.Inspection) (by string) {
	for _, h := range in.History {
		if h.What == "claimed" {
			by = h.By
		}
	}
	return by
}

// acts is what somebody has done, in full, in the order of the history.
func acts(in refund.Inspection) string {
	var all []string
	for _, h := range in.History {
		if h.By == "" {
			continue
		}
		act := moment(h.At) + " " + h.What + " by " + h.By
		if h.RequestID != "" {
			act += " request " + h.RequestID
		}
		all = append(all, act)
	}
	return strings.Join(all, "; ")
}

// bom tells spreadsheets that a file is in UTF-8.
const bom = "\xef\xbb\xbf"

// export prints every refund that passes as CSV. Half a file is worse than none: what
// ends it early is said on standard error, and the exit code is not 0.
func (p *program) export(ctx context.Context, refunds *refund.Service, f refund.Filter) error {
	p.printed = true
	if _, err := p.file.Write([]byte(bom)); err != nil {
		return err
	}
	out := csv.NewWriter(p.file)
	out.UseCRLF = true // RFC 4180
	columns := columns()
	row := make([]string, len(columns))
	for i, c := range columns {
		row[i] = c.name
	}
	if err := out.Write(row); err != nil {
		return err
	}
	_, incomplete, err := eachRefund(ctx, refunds, f, "", 0, func(in refund.Inspection) error {
		for i, c := range columns {
			row[i] = c.of(in)
		}
		return out.Write(row)
	})
	out.Flush()
	switch {
	case err != nil:
		return finding("the list breaks off here: %s", says(err))
	case out.Error() != nil:
		return finding("the list breaks off here: %v", out.Error())
	case incomplete:
		return finding("refunds of an earlier version may be missing: run reconcile until it has entered them into the index")
	}
	return nil
}
