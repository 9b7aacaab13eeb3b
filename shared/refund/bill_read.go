package refund

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"
)

// BillInput says which day's bill is read at once, whatever the hour. Caller is required.
type BillInput struct {
	Caller Caller
	Day    Day
	File   *Bill  // what a person has downloaded; nil: the upstream is asked. It is not closed
	Why    string // why a day is read anew, for its report
}

// ReadBill holds one day's bill against the ledger now, takes over what the ledger lacks,
// and keeps the report. A report that was there becomes a correction of the new one. A bill
// that cannot be had or used is no error: the report says why, and one that was there stays.
//
// [CodeInvalid] if the day has not ended, the file is of another day, or the channel has no
// bills and there is no file. [CodeConflict] if somebody else is reading a bill now, or the
// ledger has an item of the day that cannot be read.
func (s *Service) ReadBill(ctx context.Context, in BillInput) (BillReport, error) {
	if err := s.Admit(ctx, in.Caller); err != nil {
		return BillReport{}, err
	}
	if err := s.Bind(ctx); err != nil {
		return BillReport{}, err
	}
	day, err := ParseDay(string(in.Day))
	if err != nil {
		return BillReport{}, err
	}
	switch today := DayOf(s.now()); {
	case day > today:
		return BillReport{}, invalidf("%s is in the future: a bill is of a day that has ended", day)
	case day == today:
		return BillReport{}, invalidf("%s has not ended: its bill is issued on the next day", day)
	case in.File == nil && !s.tells(TradeBill):
		return BillReport{}, invalidf("the channel %s has no bill: download it from the merchant platform, and bring the file", s.Channel.Spec().Name)
	}
	if err := in.File.of(day); err != nil {
		return BillReport{}, err
	}
	r, held, err := s.bills(ctx)
	if err != nil {
		return BillReport{}, err
	}
	if !held.IsZero() {
		return BillReport{}, another("somebody else is reading a bill, until " + held.In(china()).Format(time.DateTime) + " at the latest: nothing was done")
	}
	r.by, r.why = in.Caller.actor(), plain(in.Why, maxWhy)
	if in.Caller.Kind == User {
		r.by.by = maskIdentity(r.by.by) // reports are kept for ever, and nobody forgets what is in them
	}
	r.end = time.Now().Add(farFuture)
	if deadline, ok := ctx.Deadline(); ok {
		r.end = deadline.Add(-recordTime)
	}
	found, err := s.days(ctx, day)
	if err != nil {
		return BillReport{}, err
	}
	if err := found[0].err; err != nil {
		return BillReport{}, conflictf("what the ledger holds of %s cannot be read, and is left as it is", day)
	}
	d := &billReading{billRun: r, storedBill: found[0], task: billTask{Day: day}}
	defer r.release(ctx)
	report, err := d.read(ctx, in.File)
	if errors.Is(err, ErrStale) {
		return BillReport{}, another("somebody else has begun to read a bill: have it read again when that is done")
	}
	return report, err
}

// another is the error while somebody else reads a bill.
func another(says string) *Error {
	e := conflictf("%s", says)
	e.Next = Later
	return e
}

// of reports why a bill that a person has brought is not of a day; nil is none.
func (b *Bill) of(day Day) error {
	if b == nil {
		return nil
	}
	if q := b.Query; q.Day != "" && q.Day != day || q.Kind != "" && q.Kind != TradeBill {
		return invalidf("the file is a bill of %s (%s), and not the trade bill of %s", q.Day, q.Kind, day)
	}
	if b.Empty || b.Refunds == nil {
		return nil
	}
	for row, err := range b.Refunds {
		switch {
		case err != nil:
			return invalidf("the file cannot be read: %v", err)
		case !row.AcceptedAt.IsZero() && DayOf(row.AcceptedAt) != day:
			return invalidf("line %d of the file is of %s, and not of %s", row.Line, DayOf(row.AcceptedAt), day)
		}
	}
	return nil
}

// maxBillReports bounds for how many days reports are asked for at once.
const maxBillReports = 1000

// BillReports are the reports of the days from since to until, both included, the newest
// first, one for each day that has ended: those that nobody has read are [BillUnread] or,
// where nobody is going to, [BillUnavailable]. A day that by our time has not ended is
// among them if it has been read, by whoever has a clock that is further on, as the
// sandbox's. It is for whoever runs the service: no caller is admitted or denied.
// [CodeInvalid] if the days are none, or too many.
func (s *Service) BillReports(ctx context.Context, since, until Day) ([]BillReport, error) {
	if err := s.Bind(ctx); err != nil {
		return nil, err
	}
	for _, d := range []*Day{&since, &until} {
		day, err := ParseDay(string(*d))
		if err != nil {
			return nil, err
		}
		*d = day
	}
	today := DayOf(s.now())
	var days []Day
	for d := until; d >= since; d = d.Add(-1) {
		if days = append(days, d); len(days) > maxBillReports {
			return nil, invalidf("at most %d days can be had at once", maxBillReports)
		}
	}
	nobody := ""
	switch {
	case !s.tells(TradeBill):
		nobody = fmt.Sprintf("the channel %s has no bill", s.Channel.Spec().Name)
	case s.NoBill:
		nobody = "the reconciler reads no bills, by the settings"
	}
	reports := []BillReport{}
	for chunk := range slices.Chunk(days, inspectAtOnce) {
		found, err := s.days(ctx, chunk...)
		if err != nil {
			return nil, err
		}
		for _, d := range found {
			report := d.body.report(d.day)
			if d.day >= today && d.err == nil && report.State == BillUnread {
				continue // it has not ended
			}
			switch {
			case d.err != nil:
				report = BillReport{Date: d.day, State: BillUnreadable, Why: "what the ledger holds of the day cannot be read"}
			case nobody != "" && !report.State.result():
				report.State, report.Why = BillUnavailable, nobody
			}
			reports = append(reports, report)
		}
	}
	return reports, nil
}

// checkBill checks what is kept of a day's bill, or of all of them.
func (b *books) checkBill(it Item, name string) {
	about := Finding{Item: it.Key}
	if it.Key == billStateKey {
		if decode(it, new(billState)) != nil {
			b.found(foundUnreadable, about, "how far bills were read cannot be read")
		}
		return
	}
	day, err := ParseDay(name)
	var body billItem
	switch {
	case err != nil || string(day) != name:
		b.found(foundUnknown, about, "a bill is of a day, and this is none")
	case decode(it, &body) != nil:
		b.found(foundUnreadable, about, "the report of a day's bill cannot be read")
	default:
		var reports []BillReport
		if body.Report.State != "" || body.Pass == nil {
			reports = append(reports, body.Report)
		}
		if body.Pass != nil {
			body.Pass.Report.State = BillReading
			reports = append(reports, body.Pass.Report)
		}
		for _, c := range body.Report.Corrections {
			reports = append(reports, c.Before)
		}
		for _, r := range reports {
			if why := r.incoherent(day); why != "" {
				b.found(foundUnreadable, about, "this is no report of the bill of %s: %s", day, why)
			}
		}
	}
}
