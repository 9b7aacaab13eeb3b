package refund

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"time"
)

// tells reports whether the channel has bills of a kind.
func (s *Service) tells(kind BillKind) bool {
	return slices.Contains(s.Channel.Spec().Bills, kind)
}

// ReadsBills reports whether the reconciler reads bills: where it does not, they are
// [BillUnavailable], and nobody misses them.
func (s *Service) ReadsBills() bool { return !s.NoBill && s.tells(TradeBill) }

// Looked reports whether somebody has looked for the bill of a report's day.
func (s *Service) Looked(r BillReport) bool {
	return r.State != BillUnread && (r.State != BillUnavailable || s.ReadsBills())
}

// Apart reports whether a person should look at a report's day: its books do not agree, or
// its bill was looked for and could not be read.
func (s *Service) Apart(r BillReport) bool {
	return s.Looked(r) && slices.Contains([]BillState{BillDiffers, BillUnreadable, BillUnavailable}, r.State)
}

// settled reports whether the next day's bill is there too, which holds what was accepted
// here before midnight and there after it.
func (d *billReading) settled() bool { return !d.now().Before(issuedAt(d.day.Add(1))) }

// patient reports whether what the next day must show may still be waited for.
func (d *billReading) patient() bool { return d.now().Before(issuedAt(d.day.Add(nextBillDays - 1))) }

// pause is when the day is looked at again, so much later.
func (d *billReading) pause(wait time.Duration) time.Time { return d.now().Add(wait) }

// finish makes the reading the day's report.
func (d *billReading) finish(ctx context.Context) (BillReport, error) {
	report, before := d.body.Pass.Report, d.body.Report
	report.lead()
	report.Date, report.Hash, report.Rows, report.File = d.day, d.bill.Hash, d.bill.Rows, d.body.Pass.File
	report.ReadAt, report.By = d.now(), d.by.by
	// Where the reconciler reads no bills, nobody would come back to say that it is missing.
	wait := d.patient() && !d.body.Pass.Looked && d.tells(TradeBill) && !d.NoBill
	report.State = report.result(wait, d.patient())
	why := d.why
	switch {
	case why != "":
	case d.by.by != "":
		why = "it was read again"
	case before.State == BillWaiting:
		why = "what was missing was looked for again, in the next day's bill too"
	default:
		why = "the bill was read again"
	}
	report.correct(before, why)
	d.body = billItem{Report: report}
	switch {
	case report.State == BillWaiting, report.missing() && wait, report.Funds != nil && report.Funds.State == BillWaiting && d.patient():
		d.put(billTask{Day: d.day, At: d.nextLook()})
	case report.State == BillDiffers:
		d.put(billTask{Day: d.day, At: d.pause(alarmAgain), Differs: true})
	default:
		d.drop(d.day)
	}
	// Alarms come before the commit: a crash behind it would leave nobody to tell.
	switch report.State {
	case BillDiffers:
		d.alarmDaily(ctx, d.item.Key, alarm{code: alarmBillDiffers, why: report.disagrees()})
	case BillAgrees:
		d.endDaily(ctx, d.item.Key, alarmBillDiffers)
	}
	d.endDaily(ctx, d.item.Key, alarmBillUnread)
	crash("bill.before")
	if err := d.save(ctx, billLease, d.next()); err != nil {
		return BillReport{}, err
	}
	crash("bill.after")
	d.log(ctx, slog.LevelInfo, "bill read", "", "day", string(d.day), "state", report.State, "rows", report.Rows,
		"equal", report.Equal, "differs", report.Differs, "ours_only", report.OursOnly, "theirs_only", report.TheirsOnly,
		"to_ask", report.ToAsk, "silent", report.Silent, "skipped", report.Skipped, "currency", report.Currency,
		"fen_bill", report.Fen.Bill, "fen_ledger", report.Fen.Ledger)
	return report, nil
}

// nextLook is when a day that waits for the next one's bill is read again.
func (d *billReading) nextLook() time.Time {
	if at := issuedAt(d.day.Add(1)); at.After(d.now()) {
		return earlier(at, d.pause(alarmAgain))
	}
	return d.pause(3 * time.Hour)
}

func earlier(a, b time.Time) time.Time {
	if a.Before(b) {
		return a
	}
	return b
}

// missing reports whether a refund of ours is in no bill.
func (r *BillReport) missing() bool {
	return r.sum(func(p *BillReport) int64 { return p.OursOnly }) > 0
}

// result is the state of a day that was read to its end. What was taken over makes no day
// differ, and neither does a bill of money that cannot be had. Refunds that are missing may
// still be in the next day's bill, if wait, and money that has not moved, if patient.
func (r *BillReport) result(wait, patient bool) BillState {
	funds := BillAgrees
	if r.Funds != nil {
		funds = r.Funds.State
	}
	switch {
	case r.sum(func(p *BillReport) int64 { return p.Differs }) > 0, funds == BillDiffers:
		return BillDiffers
	case r.missing() && !wait:
		return BillDiffers
	case r.missing(), funds == BillWaiting && patient:
		return BillWaiting
	}
	return BillAgrees
}

// disagrees is the sentence about a day that does not agree, for its alarm.
func (r *BillReport) disagrees() string {
	text := fmt.Sprintf("the bill of %s and the ledger do not agree: of other amount or order %d, in the ledger alone %d",
		r.Date, r.sum(func(p *BillReport) int64 { return p.Differs }), r.sum(func(p *BillReport) int64 { return p.OursOnly }))
	if f := r.Funds; f != nil && f.State == BillDiffers {
		text += fmt.Sprintf("; money missing %d, of other amount %d, of nobody's refund %d", f.Missing, f.Differs, f.Unknown)
	}
	return text
}

// report is what there is to say of a day.
func (b billItem) report(d Day) BillReport {
	r := b.Report
	if r.Date = d; r.State == "" {
		r.State = BillUnread
		if b.Pass != nil {
			r.State = BillReading
		}
	}
	return r
}

// unread notes that the day's bill could not be had, or not used, and when it is tried
// again. What was reported before stays.
func (d *billReading) unread(ctx context.Context, err error) (BillReport, error) {
	if ctx.Err() != nil { // it says nothing of the bill
		return BillReport{}, timeIsUp(ctx.Err())
	}
	d.logUnread(ctx, d.day, err)
	e := AsError(err)
	state, why := BillUnavailable, e.Message
	if e.Upstream != "" && !strings.Contains(why, e.Upstream) {
		why += " (" + e.Upstream + ")" // by which a person finds what to do
	}
	why = shortened(why, maxWhy)
	late := !d.now().Before(issuedAt(d.day.Add(1)))
	var at time.Time
	switch {
	case errors.Is(err, ErrBillUnreadable):
		state, late, at = BillUnreadable, true, d.backoff(time.Hour)
		if e.Code == CodeInternal {
			why = shortened(err.Error(), maxWhy)
		}
	case errors.Is(err, ErrNoBill):
		why, late, at = "the channel has no such bill", true, d.pause(alarmAgain)
		d.refused++
	case e.Code == CodeUnavailable || e.Code == CodeLimited || e.Code == CodeInternal: // not made yet, no answer, no room here
		at = d.backoff(10 * time.Minute)
		late = late && !(d.body.Report.State.result() && d.patient())
	default:
		late, at = true, d.pause(alarmAgain)
		d.refused++
	}
	if late {
		d.alarmDaily(ctx, d.item.Key, alarm{code: alarmBillUnread, why: "the bill of " + string(d.day) + " was not read: " + why})
	}
	report, err := d.later(ctx, at, state, why)
	if err == nil && d.refused >= maxBillRefused {
		d.putOff(at)
	}
	return report, err
}

// backoff is when to try again after one more attempt in vain: from so much later on, twice
// as long each time, an hour at most; after six, once a day.
func (d *billReading) backoff(wait time.Duration) time.Time {
	if d.task.Failed >= 6 && d.settled() {
		return d.pause(alarmAgain)
	}
	return d.pause(min(time.Hour, wait<<min(d.task.Failed, 6)))
}

// putOff leaves the days whose bill nobody has had for later: the upstream refuses all.
func (d *billReading) putOff(at time.Time) {
	for i := range d.state.Tasks {
		if t := &d.state.Tasks[i]; !t.Differs && t.At.Before(at) {
			t.At = at
		}
	}
}

// later notes why the day has no result, unless it has one, and when it is tried again.
func (d *billReading) later(ctx context.Context, at time.Time, state BillState, why string) (BillReport, error) {
	d.failed++
	report := BillReport{Date: d.day, State: state, Why: why, ReadAt: d.now(), By: d.by.by}
	if !d.body.Report.State.result() {
		report.Corrections = d.body.Report.Corrections
		d.body.Report = report
	}
	d.put(billTask{Day: d.day, At: at, Failed: d.task.Failed + 1})
	if d.by != (actor{}) && d.body.Report.State.result() && d.body.Report.State != BillWaiting {
		d.drop(d.day) // a person wanted it read again: the reconciler does not
	}
	return report, d.save(ctx, billLease, d.next())
}
