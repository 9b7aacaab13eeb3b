package operator

import (
	"context"
	"net/http"

	"wxrefund/shared/console"
	"wxrefund/shared/refund"
)

const (
	// mostFindings bounds what of one day is shown.
	mostFindings = 200
	// billDays is how many days' books are listed.
	billDays = 30
	// overviewDays is how many of them the first screen looks at.
	overviewDays = 7
)

// A books says on the first screen whether the days' books agree with WeChat Pay's bills.
type books struct {
	Reads  bool     `json:"reads"`  // whether the timer reads bills: the channel has them, and it may
	Last   *bookDay `json:"last"`   // the newest day whose bill was read, or could not be; none: nobody has read one
	Agrees string   `json:"agrees"` // the newest day whose books agree; "": none of the last days
	Apart  []string `json:"apart"`  // the days that do not agree, or could not be read, the newest first
}

// A bookDay is one day of the list.
type bookDay struct {
	Date     string         `json:"date"`
	State    string         `json:"state"`
	Why      string         `json:"why"`
	Refunds  int64          `json:"refunds"` // of the bill
	Equal    int64          `json:"equal"`
	Differs  int64          `json:"differs"`
	Ours     int64          `json:"ours_only"`
	Theirs   int64          `json:"theirs_only"`
	ToAsk    int64          `json:"to_ask"`
	Silent   int64          `json:"silent"`
	Skipped  int64          `json:"skipped"`
	Fen      refund.BillFen `json:"fen"`
	Currency string         `json:"currency"`
	Funds    string         `json:"funds"` // their state; "": nobody has looked
	File     bool           `json:"file"`
	ReadAt   string         `json:"read_at"`
	By       string         `json:"by"` // masked; "": the timer
	Changed  int            `json:"changed"`
	Other    []bookDay      `json:"other"` // in other currencies
}

// A bookDetail is one day with all that is not equal.
type bookDetail struct {
	bookDay
	Proof    *refund.FundsReport  `json:"proof"`
	Hash     string               `json:"hash"`
	Rows     int64                `json:"rows"`
	Findings []refund.BillFinding `json:"findings"`
	Left     int64                `json:"left"` // findings that are not shown
	Before   []bookBefore         `json:"before"`
}

// A bookBefore is what was reported before somebody read the day anew.
type bookBefore struct {
	At     string  `json:"at"`
	Why    string  `json:"why"`
	By     string  `json:"by"` // masked
	Report bookDay `json:"report"`
}

func bookDayOf(r refund.BillReport) bookDay {
	currency := either(r.Currency, "CNY")
	d := bookDay{
		Date: string(r.Date), State: string(r.State), Why: r.Why, Refunds: r.Equal + r.Differs + r.TheirsOnly, Equal: r.Equal, Differs: r.Differs,
		Ours: r.OursOnly, Theirs: r.TheirsOnly, ToAsk: r.ToAsk, Silent: r.Silent, Skipped: r.Skipped, Fen: r.Fen, Currency: currency,
		File: r.File, ReadAt: stamp(r.ReadAt), By: r.By, Changed: len(r.Corrections), Other: []bookDay{},
	}
	if r.Funds != nil {
		d.Funds = string(r.Funds.State)
	}
	for _, o := range r.Other {
		d.Other = append(d.Other, bookDayOf(o))
	}
	return d
}

// bookDays are the last days, the newest first, without personal data.
func (c *Console) bookDays(ctx context.Context, days int) ([]refund.BillReport, error) {
	yesterday := refund.DayOf(c.now()).Add(-1)
	all, err := c.cfg.Refunds.BillReports(ctx, yesterday.Add(1-days), yesterday)
	for i, r := range all {
		all[i] = r.Masked()
	}
	return all, err
}

func (c *Console) seeBooks(ctx context.Context, o *overview) error {
	o.Books = books{Reads: c.cfg.Refunds.ReadsBills(), Apart: []string{}}
	days, err := c.bookDays(ctx, overviewDays)
	if err != nil {
		return err
	}
	for _, r := range days {
		d := bookDayOf(r)
		if !c.cfg.Refunds.Looked(r) {
			continue
		}
		if o.Books.Last == nil {
			o.Books.Last = &d
		}
		if o.Books.Agrees == "" && r.State == refund.BillAgrees {
			o.Books.Agrees = d.Date
		}
		if c.cfg.Refunds.Apart(r) {
			o.Books.Apart = append(o.Books.Apart, d.Date)
		}
	}
	return nil
}

func (c *Console) getBooks(r *http.Request, _ []byte) (any, error) {
	days, err := c.bookDays(r.Context(), billDays)
	if err != nil {
		return nil, err
	}
	out := struct {
		Reads bool      `json:"reads"`
		Days  []bookDay `json:"days"`
	}{c.cfg.Refunds.ReadsBills(), []bookDay{}}
	for _, r := range days {
		out.Days = append(out.Days, bookDayOf(r))
	}
	return out, nil
}

func (c *Console) getBook(r *http.Request, _ []byte) (any, error) {
	day, err := refund.ParseDay(r.PathValue("day"))
	if err != nil {
		return nil, &console.Refusal{Status: http.StatusNotFound, Text: "there is no such day"}
	}
	all, err := c.cfg.Refunds.BillReports(r.Context(), day, day)
	if err != nil {
		return nil, err
	}
	if len(all) == 0 {
		return nil, &console.Refusal{Status: http.StatusNotFound, Text: "there is no such day"}
	}
	report := all[0].Masked()
	report.Findings = report.Findings[:min(len(report.Findings), mostFindings)]
	d := bookDetail{bookDay: bookDayOf(report), Proof: report.Funds, Hash: report.Hash, Rows: report.Rows, Findings: append([]refund.BillFinding{}, report.Findings...), Before: []bookBefore{}}
	unequal, shown := report.Unequal()
	d.Left = unequal - shown
	for _, b := range report.Corrections {
		d.Before = append(d.Before, bookBefore{stamp(b.At), b.Why, b.By, bookDayOf(b.Before)})
	}
	return d, nil
}
