package main

import (
	"cmp"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"io/fs"
	"os"
	"slices"
	"strings"
	"time"

	"wxrefund/shared/channel"
	"wxrefund/shared/refund"
)

func billCommand() command {
	return command{
		name:     "bill",
		synopsis: "Say whether the ledger and WeChat Pay's daily bills agree",
		more: "Lists the last days' reports. The function reconcile reads yesterday's bill by itself after 10:00 China's\n" +
			"time. -date shows one day with all that is not equal, and reads its bill at once if nobody has; a day that\n" +
			"has a report is read anew only with -run, which says -why. What the bill has and the ledger lacks is taken\n" +
			"over, so that it counts on its order; nothing is submitted.\n\n" +
			"-file reads a bill that you have downloaded from the merchant platform (交易账单, all or refunds, as it comes,\n" +
			"packed or not): for merchants whose keys may not fetch it, and channels that have none.\n\n" +
			"Exit code 0: the days agree, or wait for the next day's bill; 1: one does not, or could not be read.\n",
		example: "bill -date 2026-11-26",
		setup: func(f *flag.FlagSet) action {
			b := &billing{}
			f.StringVar(&b.date, "date", "", "the `day`, by China's calendar: 2006-01-02, today or yesterday")
			f.BoolVar(&b.run, "run", false, "read the day's bill from WeChat Pay now, whatever is known of it")
			f.StringVar(&b.file, "file", "", "read the day's bill from this `file`, plain or .gz; needs -date")
			f.StringVar(&b.why, "why", "", "a `text`: why a day that has a report is read anew")
			f.StringVar(&b.since, "since", "14d", "list the days since this `time`; at most a year")
			f.BoolVar(&b.csv, "csv", false, "print as CSV: the days, or with -date what is not equal")
			return func(ctx context.Context, p *program, _ []string) error { return p.bill(ctx, f, b) }
		},
		limit: 30 * time.Minute, // a million rows, against a ledger that is far away
	}
}

// A billing is what bill was asked for.
type billing struct {
	date, file, why, since string
	run, csv               bool
}

// mostDays bounds a list of days.
const mostDays = 366

// daysAhead is how many days after today are listed if they have been read: the clock of a
// sandbox may be moved ahead of this machine's.
const daysAhead = 31

// A billList is what bill prints of several days.
type billList struct {
	Channel string              `json:"channel"`
	Bills   []refund.BillKind   `json:"bills"` // that the channel fetches by itself; none: bring them with -file
	Days    []refund.BillReport `json:"days"`  // the newest first
}

func (p *program) bill(ctx context.Context, f *flag.FlagSet, b *billing) error {
	switch {
	case b.csv && p.json:
		return usage("-csv and -json are two forms: give one of them")
	case b.date == "" && (b.run || b.file != "" || b.why != ""):
		return usage("-date is missing: the day whose bill is read")
	case b.date != "" && given(f)["since"]:
		return usage("-date is one day, -since is where a list begins: give one of them")
	case b.run && b.file != "":
		return usage("-run reads from WeChat Pay, -file from a file: give one of them")
	case b.why != "" && !b.run && b.file == "":
		return usage("-why goes with -run or -file: it says why the day is read anew")
	case b.date == "":
		return p.billDays(ctx, b)
	}
	day, err := p.day(b.date)
	if err != nil {
		return err
	}
	return p.billDay(ctx, b, day)
}

// day reads the day of -date, by China's calendar.
func (p *program) day(text string) (refund.Day, error) {
	today := refund.DayOf(p.clock())
	switch text {
	case "today":
		return today, nil
	case "yesterday":
		return today.Add(-1), nil
	}
	day, err := refund.ParseDay(text)
	if err != nil {
		return "", usage("-date is %q: it must be a day of China's calendar such as 2026-11-26, today or yesterday", text)
	}
	return day, nil
}

// billDays lists the reports of several days.
func (p *program) billDays(ctx context.Context, b *billing) error {
	from, err := p.moment("-since", b.since)
	if err != nil {
		return err
	}
	yesterday := refund.DayOf(p.clock()).Add(-1)
	first := refund.DayOf(from)
	if first > yesterday {
		return usage("-since: no day has ended since %s in China", first)
	}
	if first < yesterday.Add(1-mostDays) {
		return usage("-since: at most %d days are listed", mostDays)
	}
	refunds, err := p.refunds(ctx)
	if err != nil {
		return err
	}
	days, err := refunds.BillReports(ctx, first, yesterday.Add(daysAhead))
	if err != nil {
		return err
	}
	spec := refunds.Channel.Spec()
	out := billList{Channel: spec.Name, Bills: slices.Clone(spec.Bills), Days: days}
	if out.Bills == nil {
		out.Bills = []refund.BillKind{}
	}
	if b.csv {
		if err := p.daysCSV(days); err != nil {
			return err
		}
	} else {
		p.print(out, func(w io.Writer) { p.daysTable(w, out) })
	}
	var bad []string
	for _, r := range days {
		if refunds.Apart(r) {
			bad = append(bad, string(r.Date))
		}
	}
	if n := len(bad); n > 0 {
		return finding("%s: %s; bill -date %s says what", counted(n, "day does not agree or could not be read", "days do not agree or could not be read"),
			strings.Join(bad[:min(n, 7)], ", ")+dots(n > 7), bad[0])
	}
	return nil
}

func dots(more bool) string {
	if more {
		return ", …"
	}
	return ""
}

// billDay shows one day's report, and reads the bill before if it was asked for or nobody has.
func (p *program) billDay(ctx context.Context, b *billing, day refund.Day) error {
	refunds, err := p.refunds(ctx)
	if err != nil {
		return err
	}
	r, err := dayReport(ctx, refunds, day)
	if err != nil {
		return err
	}
	over := day < refund.DayOf(p.clock()) || r.State != refund.BillUnread
	fetched := slices.Contains(refunds.Channel.Spec().Bills, refund.TradeBill)
	known := !slices.Contains([]refund.BillState{refund.BillUnread, refund.BillUnavailable, refund.BillReading}, r.State) // what a bill said is on record
	read := b.run || b.file != ""
	switch {
	case read && day >= refund.DayOf(p.clock()):
		return finding("%s is not over in China, and its bill is issued on the next day from 10:00 on", day)
	case b.run && !fetched:
		return finding("the channel %s has no bill that can be fetched: download it from the merchant platform, and give it with -file", refunds.Channel.Spec().Name)
	case read && known && strings.TrimSpace(b.why) == "":
		return usage("-why is missing: %s has been read %s, and its report says why it is read anew", day, cmp.Or(p.at(r.ReadAt), "before"))
	case !read && over && refunds.ReadsBills() && (r.State == refund.BillUnread || r.State == refund.BillUnavailable):
		fmt.Fprintf(p.stderr, "operate: nobody has read the bill of %s: it is read now\n", day)
		read = true
	}
	if read && b.file == "" && day < refund.DayOf(p.clock().AddDate(0, -3, 0)) {
		return finding("-date: %s is more than three months ago, and WeChat Pay gives out no bill of it any more: if you have its file, give it with -file", day)
	}
	if read && b.file == "" && fetched && day > refund.LastBill(p.clock()) {
		return finding("the bill of %s is issued today from 10:00 on, China's time: nobody was asked for it", day)
	}
	if read {
		if r, err = p.readBill(ctx, b, day); err != nil {
			return err
		}
	}
	if b.csv {
		if err := p.findingsCSV(r); err != nil {
			return err
		}
	} else {
		p.print(r, func(w io.Writer) { p.dayTable(w, r) })
	}
	return p.billFinding(r, over, fetched)
}

// dayReport is what is on record of a day.
func dayReport(ctx context.Context, refunds *refund.Service, day refund.Day) (refund.BillReport, error) {
	days, err := refunds.BillReports(ctx, day, day)
	if err != nil {
		return refund.BillReport{}, err
	}
	for _, r := range days {
		if r.Date == day {
			return r, nil
		}
	}
	return refund.BillReport{Date: day, State: refund.BillUnread}, nil
}

// readBill holds a day's bill against the ledger: WeChat Pay's, or that of -file.
func (p *program) readBill(ctx context.Context, b *billing, day refund.Day) (refund.BillReport, error) {
	refunds, err := p.changing(ctx)
	if err != nil {
		return refund.BillReport{}, err
	}
	in := refund.BillInput{Caller: p.caller(), Day: day, Why: strings.TrimSpace(b.why)}
	if b.file != "" {
		if in.File, err = p.openBill(refunds, b.file, day); err != nil {
			return refund.BillReport{}, err
		}
		if in.File.Close != nil {
			defer func() { _ = in.File.Close() }() // it was only read
		}
	}
	return refunds.ReadBill(ctx, in)
}

// openBill reads a bill that a person has downloaded.
func (p *program) openBill(refunds *refund.Service, name string, day refund.Day) (*refund.Bill, error) {
	f, err := os.Open(name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, usage("-file: there is no file %s", name)
	} else if err != nil {
		return nil, usage("-file: %v", err)
	}
	defer func() { _ = f.Close() }() // it was only read
	bill, err := channel.BillFile(f, refund.BillQuery{Day: day, Kind: refund.TradeBill}, refunds.Merchant)
	if err != nil {
		why := says(err)
		if e, ok := errors.AsType[*refund.Error](err); ok && errors.Is(err, refund.ErrBillUnreadable) {
			why = e.Message // it has what the cause says
		}
		return nil, finding("%s: %s; nothing of it was applied", name, why)
	}
	return bill, nil
}

// billFinding is what ends the program with 1 about a day; nil: it agrees, as far as can
// be told by now.
func (p *program) billFinding(r refund.BillReport, over, fetched bool) error {
	switch {
	case r.State == refund.BillAgrees, r.State == refund.BillWaiting: // the latter for a day, then it differs
		return nil
	case !over:
		return finding("%s is not over in China, and its bill is issued on the next day from 10:00 on", r.Date)
	case r.State == refund.BillUnavailable && !fetched:
		return finding("nobody has read the bill of %s, and this channel has none that can be fetched: download it from the merchant platform, and give it with -file", r.Date)
	case r.State == refund.BillUnavailable && r.ReadAt.IsZero() && r.Why != "":
		return finding("%s %s: %s", r.Date, daySays(r), r.Why)
	case r.State == refund.BillUnavailable:
		return finding("%s %s: mend what it says, or download the bill from the merchant platform, and give it with -file", r.Date, daySays(r))
	}
	return finding("%s %s", r.Date, daySays(r))
}

// daySays is what a day's report comes to, behind the day.
func daySays(r refund.BillReport) string {
	if r.State == refund.BillUnavailable && r.ReadAt.IsZero() {
		return stateSays(refund.BillUnread) // WeChat Pay was not asked
	}
	return stateSays(r.State)
}

// stateSays is what a day's state means, behind the day.
func stateSays(s refund.BillState) string {
	switch s {
	case refund.BillUnread:
		return "has not been read"
	case refund.BillReading:
		return "is being read: the timer goes on with it"
	case refund.BillAgrees:
		return "agrees"
	case refund.BillWaiting:
		return "waits for the next day's bill: what is missing may be in it"
	case refund.BillDiffers:
		return "does not agree: look at what is not equal"
	case refund.BillUnreadable:
		return "could not be read: nothing of its bill was applied"
	case refund.BillUnavailable:
		return "could not be read: WeChat Pay has not given its bill out"
	}
	return "is " + string(s)
}
