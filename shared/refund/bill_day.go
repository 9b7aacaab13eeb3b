package refund

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime/debug"
	"time"
)

// A billItem is what the ledger keeps of one day: the report, for ever, and how far a
// reading of the day's bill has come.
type billItem struct {
	Report BillReport `json:"report"`
	Pass   *billPass  `json:"pass,omitempty"` // nil: nobody is at it
}

// A billPass is a reading of a day's bill as far as it has come. Whoever goes on with it
// fetches the bill again: it must be the same.
type billPass struct {
	Hash   string     `json:"hash,omitempty"`
	File   bool       `json:"file,omitempty"`
	Stage  billStage  `json:"stage,omitempty"`
	Line   int64      `json:"line,omitempty"`   // of the bill, up to which its rows are judged
	Cursor string     `json:"cursor,omitempty"` // up to where the ledger's refunds are looked up
	Failed int        `json:"failed,omitempty"` // runs in a row that could not go on from there
	Looked bool       `json:"looked,omitempty"` // what is missing was looked up in the next day's bill too, or that never comes
	Report BillReport `json:"report"`           // so far
}

// at is the place that the reading has reached.
func (p *billPass) at() string {
	return fmt.Sprint(p.Stage, p.Line, p.Failed, p.Cursor)
}

// A billStage is what a reading is at.
type billStage int

const (
	stageRows  billStage = iota // hold the bill's rows against the ledger
	stageOurs                   // look the ledger's refunds up in the bill
	stageFunds                  // prove the fen
	stageDone
)

const (
	// billBatch is how many rows are judged at once. What has been judged is noted when
	// there is billSave of it, or billPause has passed.
	billBatch, billSave, billPause = 100, 1000, 5 * time.Second
	// maxBillFailed is after how many days in vain a run leaves the rest to the next one.
	maxBillFailed = 3
	// maxBillRefused is how many days an upstream may refuse in one run before it is taken
	// to refuse all of them, as it does a merchant without the permission.
	maxBillRefused = 2
	// maxFundsFailed is how often the fen are tried to be proved.
	maxFundsFailed = 3
	// billShort is less time than a bill may take to come, and maxBillShort how often a run
	// may end within it.
	billShort, maxBillShort = 15 * time.Second, 6
	// nextBillDays is how long the next day's bill is waited for, in days.
	nextBillDays = 4
)

// A storedBill is a day as it was read from the ledger.
type storedBill struct {
	day  Day
	item Item
	body billItem
	err  error // why it cannot be read: then it is never overwritten
}

// days reads what the ledger holds of days, at most [inspectAtOnce] at a time.
func (s *Service) days(ctx context.Context, days ...Day) ([]storedBill, error) {
	keys := make([]Key, len(days))
	for i, d := range days {
		keys[i] = billKey(d)
	}
	items, err := s.Ledger.Get(ctx, keys...)
	if err != nil {
		return nil, ledgerError(err)
	}
	found := make([]storedBill, len(days))
	for i, it := range items {
		found[i] = storedBill{day: days[i], item: it}
		found[i].err = decode(it, &found[i].body)
	}
	return found, nil
}

// next is the day as it is to be stored.
func (d *storedBill) next() Item {
	it := item(d.item.Key, d.item.Version, d.body, time.Time{})
	it.Body = preserve(d.item.Body, it.Body, d.body)
	return it
}

// A billReading is one run's work on one day.
type billReading struct {
	*billRun
	storedBill
	task   billTask
	bill   *Bill
	judged int // rows since that was last noted
}

// task does what is to be done about one day. whole: its bill was read to its end. An error
// ends the run; whatever is wrong with the day itself is noted, and is none.
func (r *billRun) task(ctx context.Context, t billTask) (whole bool, err error) {
	found, err := r.days(ctx, t.Day)
	if err != nil {
		return false, err
	}
	if err := found[0].err; err != nil {
		r.alarmDaily(ctx, billKey(t.Day), alarm{code: alarmUnreadable, why: "an item of the ledger cannot be read"}, "error", err)
		r.put(billTask{Day: t.Day, At: r.now().Add(alarmAgain), Differs: t.Differs})
		r.failed++
		return false, nil
	}
	d := &billReading{billRun: r, storedBill: found[0], task: t}
	if t.Differs {
		return false, d.remind(ctx)
	}
	report, err := d.read(ctx, nil)
	return report.State.result(), err
}

// remind repeats the alarm about a day that does not agree, until somebody has
// acknowledged it or the day agrees.
func (d *billReading) remind(ctx context.Context) error {
	about := d.item.Key
	items, err := d.Ledger.Get(ctx, alarmKey(alarmBillDiffers, about))
	if err != nil {
		return ledgerError(err)
	}
	var a alarmItem
	_ = decode(items[0], &a)
	if d.body.Report.State != BillDiffers || a.Code != "" && !a.open() {
		d.drop(d.day)
		return nil
	}
	d.alarmDaily(ctx, about, alarm{code: alarmBillDiffers, why: d.body.Report.disagrees()})
	d.put(billTask{Day: d.day, At: d.now().Add(alarmAgain), Differs: true})
	return nil
}

// read reads the day's bill, from the upstream or as a person brought it, and goes on with
// a reading that was cut off. The report's state is a result, or says why there is none.
func (d *billReading) read(ctx context.Context, file *Bill) (BillReport, error) {
	t := d.task
	if t.Taken++; t.Taken >= maxBillTaken {
		t.At = d.now().Add(time.Hour)
		d.alarmDaily(ctx, d.item.Key, alarm{code: alarmBillUnread, why: "the bill of " + string(d.day) + " was not read: the runs that began with it did not come to an end"})
	}
	d.put(t)
	if err := d.save(ctx, d.fetchLease()); err != nil { // before anything, since it may be the end of the process
		return BillReport{}, err
	}
	crash("bill.taken")
	incomplete, err := d.incomplete(ctx)
	if err != nil {
		return BillReport{}, err
	}
	if incomplete { // what an earlier version has written cannot be listed yet
		return d.later(ctx, d.pause(10*time.Minute), BillUnavailable, "refunds of an earlier version are not in the index yet: the reconciler enters them first")
	}
	d.bill = file
	if file == nil {
		began := time.Now()
		bill, err := d.fetch(ctx, BillQuery{Day: d.day, Kind: TradeBill})
		switch {
		case err != nil && !d.inTime(ctx) && time.Since(began) < billShort && t.Failed < maxBillShort:
			t.Failed++ // that the run had so little time left says nothing of the bill
			return d.again(ctx, t)
		case err != nil:
			return d.unread(ctx, err)
		case bill.Empty && d.now().Before(issuedAt(d.day)): // some say so of a bill that they have yet to make, too
			return d.unread(ctx, unavailable("there is no bill of that day yet: it is issued from 10:00 on, on the next day", nil))
		}
		d.bill = bill
		defer bill.close()
	}
	if p := d.body.Pass; p == nil || p.Hash != d.bill.Hash || p.File != (file != nil) {
		d.body.Pass = &billPass{Hash: d.bill.Hash, File: file != nil, Report: BillReport{Date: d.day}}
	}
	before, from := *d.body.Pass, d.state.Before
	if err = d.stages(ctx); err == nil {
		return d.finish(ctx)
	}
	switch {
	case errors.Is(err, ErrBillUnreadable):
		return d.unread(ctx, err)
	case !errors.Is(err, errNotYet):
		return BillReport{}, err
	case d.body.Pass.at() == before.at() && d.state.Before.Equal(from):
		return d.unread(ctx, unavailable("the time of a run is too short to come further with this bill", nil))
	}
	return d.again(ctx, t)
}

// again leaves the day to the next run, since there is no time for more in this one.
func (d *billReading) again(ctx context.Context, t billTask) (BillReport, error) {
	t.Taken, t.At = 0, d.now()
	d.put(t)
	if err := d.save(ctx, billLease, d.next()); err != nil {
		return BillReport{}, err
	}
	report := d.body.report(d.day)
	if d.failed = maxBillFailed; !report.State.result() {
		report.State = BillReading
	}
	return report, nil
}

func (b *Bill) close() {
	if b.Close != nil {
		_ = b.Close() // a temporary file: nothing depends on it any more
	}
}

// fetch has the upstream hand out a bill, until the run ends.
func (r *billRun) fetch(ctx context.Context, q BillQuery) (*Bill, error) {
	end := time.Now().Add(billFetch)
	if r.end.Before(end) {
		end = r.end
	}
	ctx, cancel := context.WithDeadline(ctx, end)
	defer cancel()
	return r.Channel.Bill(ctx, q)
}

// stages does what is left of the reading; [errNotYet] if there is no time for all of it.
func (d *billReading) stages(ctx context.Context) error {
	p := d.body.Pass
	first, err := d.firstClaim(ctx)
	if err != nil {
		return err
	}
	j := &billJudge{s: d.Service, day: d.day, firstClaim: first, file: p.File, report: &p.Report, by: d.by}
	for ; p.Stage < stageDone; p.Stage++ {
		switch p.Stage {
		case stageRows:
			err = d.rows(ctx, j)
		case stageOurs:
			err = d.ours(ctx)
		case stageFunds:
			err = d.funds(ctx, j)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// rows holds the bill's rows against the ledger, from the line on that was reached.
func (d *billReading) rows(ctx context.Context, j *billJudge) error {
	p := d.body.Pass
	p.Report.Rows = d.bill.Rows
	if d.bill.Empty || d.bill.Refunds == nil {
		return nil
	}
	var batch []BillRow
	judge := func() error {
		before := p.Report.clone()
		if err := j.judge(ctx, batch); err != nil {
			p.Report = before
			return err
		}
		crash("bill.judged")
		p.Line, d.judged, batch = batch[len(batch)-1].Line, d.judged+len(batch), batch[:0]
		return d.progress(ctx)
	}
	for row, err := range d.bill.Refunds {
		switch {
		case err != nil: // it was read once already, so that it is the temporary file
			return unavailable("the bill that was fetched cannot be read any more", err)
		case row.Line <= p.Line:
			continue
		case !d.inTime(ctx):
			return errNotYet
		}
		if batch = append(batch, row); len(batch) == billBatch {
			if err := judge(); err != nil {
				return err
			}
		}
	}
	if len(batch) == 0 {
		return nil
	}
	return judge()
}

// progress notes how far the reading is, now and then.
func (d *billReading) progress(ctx context.Context) error {
	if d.judged < billSave && time.Since(d.savedAt) < billPause {
		return nil
	}
	return d.note(ctx, billLease)
}

func (d *billReading) note(ctx context.Context, hold time.Duration) error {
	if err := d.Bind(ctx); err != nil { // again, since a run may be long
		return err
	}
	it, t := d.next(), d.task
	t.Taken, t.At = 0, d.now() // it goes forward
	d.put(t)
	if err := d.save(ctx, hold, it); err != nil {
		return err
	}
	it.Version++
	d.item, d.judged = it, 0
	crash("bill.noted")
	return nil
}

// funds proves the fen, where the upstream tells of money at all.
func (d *billReading) funds(ctx context.Context, j *billJudge) error {
	if !d.tells(FundsBill) || len(d.Channel.Spec().BillAccounts) == 0 {
		return nil
	}
	p := d.body.Pass
	if err := d.note(ctx, d.fetchLease()); err != nil {
		return err
	}
	if !d.inTime(ctx) {
		return errNotYet
	}
	limited, cancel := context.WithDeadline(ctx, d.end)
	defer cancel()
	p.Report.Funds = nil
	err := j.funds(limited, d.bill, func(q BillQuery) (*Bill, error) {
		if d.now().Before(issuedAt(q.Day)) {
			e := unavailable("the bill of "+string(q.Day)+" is not issued yet", nil)
			e.Next = Later
			return nil, e
		}
		return d.fetch(limited, q)
	})
	if err == nil {
		return nil
	}
	p.Report.Funds = nil
	if p.Failed++; p.Failed < maxFundsFailed && d.by == (actor{}) {
		d.logUnread(ctx, d.day, err)
		return errNotYet
	}
	p.Report.Funds = &FundsReport{State: BillUnavailable, Why: shortened(AsError(err).Message, maxWhy)}
	return nil
}

// logUnread logs what went wrong with a bill. It has no part of the bill in it but what the
// channel says in its error, which names a line and no person.
func (s *Service) logUnread(ctx context.Context, d Day, err error) {
	s.log(ctx, slog.LevelWarn, "bill not read", "", "day", string(d), "error", err)
}

// recoverBills keeps a panic from the run. It is deferred.
func (s *Service) recoverBills(ctx context.Context) {
	if v := recover(); v != nil {
		s.log(ctx, slog.LevelError, "panic", "", "type", fmt.Sprintf("%T", v), "stack", string(debug.Stack()))
		s.alarmDaily(ctx, billStateKey, alarm{code: alarmPanic, why: "reading bills has failed by a defect; the log has the stack"})
	}
}
