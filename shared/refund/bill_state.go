package refund

import (
	"context"
	"errors"
	"slices"
	"time"
)

// A billState is how far the reconciler has come with the bills of all days. Whoever holds
// its lease reads them, and writes it with whatever is noted of a day: another one that has
// taken over since makes that commit stale.
type billState struct {
	Lease   time.Time  `json:"lease,omitzero"`       // an instance is at it until then
	Through Day        `json:"through,omitempty"`    // the days up to this one have been scheduled
	Tasks   []billTask `json:"tasks,omitempty"`      // days that are to be looked at, the newest first
	First   time.Time  `json:"first,omitzero"`       // when the first refund was claimed here
	Before  time.Time  `json:"none_before,omitzero"` // none was claimed here before then
}

// A billTask is a day that is to be looked at.
type billTask struct {
	Day     Day       `json:"day" ledger:"key"`
	At      time.Time `json:"at,omitzero"`       // when
	Failed  int       `json:"failed,omitempty"`  // attempts in a row that had no bill
	Taken   int       `json:"taken,omitempty"`   // runs that took it up and did not say how they ended
	Differs bool      `json:"differs,omitempty"` // its bill was read and does not agree: its alarm is to be repeated
}

const (
	billStateKey = Key("bill/state")
	// billHour is when a day's bill is there, on the next day: WeChat Pay makes them from
	// 09:00 on, and asks that they be fetched from 10:00 on.
	billHour = 10 * time.Hour
	// maxBillDays is how many days back a bill is asked for at most, within three months:
	// as long as WeChat Pay hands one out.
	maxBillDays = 92
	// billLease is how long a holder that says nothing is left alone between two batches,
	// and billFetch within which a bill must have come.
	billLease, billFetch = 2 * time.Minute, 9 * time.Minute
	// maxBillLease is longer than any lease that is taken.
	maxBillLease = billFetch + billLease
	// maxBillPause is the longest that a task waits.
	maxBillPause = 25 * time.Hour
	// maxBillTaken is how often a day is taken up at once although the run before did not
	// say how it ended; then it waits, so that what kills a run does not kill each of them.
	maxBillTaken = 3
)

func billKey(d Day) Key { return Key("bill/" + string(d)) }

// issuedAt is when the bill of a day may be asked for.
func issuedAt(d Day) time.Time { return d.Add(1).Start().Add(billHour) }

// LastBill is the newest day whose bill may be asked for.
func LastBill(now time.Time) Day { return DayOf(now.Add(-billHour)).Add(-1) }

// firstBill is the oldest one. The day on which the three months end is left out: it may be
// refused while it is being asked for.
func firstBill(now time.Time) Day {
	months := Day(now.In(china()).AddDate(0, -3, 1).Format(time.DateOnly))
	return max(months, DayOf(now).Add(-maxBillDays))
}

// A billRun is one holding of the lease on bills.
type billRun struct {
	*Service
	end     time.Time // of the run, in real time
	by      actor     // who has it read; the zero value: the reconciler
	why     string    // of a person
	state   billState
	version int64 // of the state's item
	savedAt time.Time
	scanned int // items that this run has listed to find the first claim

	refused, failed int // days of this run whose bill was refused, or had for another reason
}

// bills reads how far all is; held is until when somebody else is at it.
func (s *Service) bills(ctx context.Context) (r *billRun, held time.Time, err error) {
	items, err := s.Ledger.Get(ctx, billStateKey)
	if err != nil {
		return nil, held, ledgerError(err)
	}
	r = &billRun{Service: s, version: items[0].Version}
	_ = decode(items[0], &r.state) // one that cannot be read begins anew: the days' own items stay
	if left := r.state.Lease.Sub(s.now()); left > 0 && left <= maxBillLease+clockSkew {
		held = r.state.Lease
	}
	return r, held, nil
}

// save notes how far all is, with more beside it, and holds the lease for so long. After
// any error somebody else may hold it: the run ends.
func (r *billRun) save(ctx context.Context, hold time.Duration, more ...Item) error {
	r.state.Lease = time.Time{}
	if hold > 0 {
		r.state.Lease = r.now().Add(hold)
	}
	it := item(billStateKey, r.version, r.state, time.Time{})
	if err := r.Ledger.Commit(ctx, append([]Item{it}, more...)...); err != nil {
		return ledgerError(err)
	}
	r.version++
	r.savedAt = time.Now()
	return nil
}

// release ends the lease, if this run still holds it: whoever comes next need not wait for
// its end.
func (r *billRun) release(ctx context.Context) {
	ctx, cancel := settleContext(ctx)
	defer cancel()
	if err := r.save(ctx, 0); err != nil && !errors.Is(err, ErrStale) {
		r.logUnread(ctx, "", err)
	}
}

// fetchLease is how long the lease is held while a bill comes: a run does not outlive its
// end by much.
func (r *billRun) fetchLease() time.Duration {
	return min(maxBillLease, max(0, time.Until(r.end))+billLease)
}

// inTime reports whether the run may go on.
func (r *billRun) inTime(ctx context.Context) bool {
	return time.Now().Before(r.end) && ctx.Err() == nil
}

// schedule takes up days whose bill is there by now, and drops those whose bill the
// upstream does not hand out any more. changed: there is something to save.
func (r *billRun) schedule(ctx context.Context) (changed bool, err error) {
	now, st := r.now(), &r.state
	first, last := firstBill(now), LastBill(now)
	n := len(st.Tasks)
	st.Tasks = slices.DeleteFunc(st.Tasks, func(t billTask) bool { return t.Day < first || t.Day > last }) // beyond last: a wrong clock has been here
	if changed = len(st.Tasks) != n; st.Through >= last {
		if changed = changed || st.Through > last; changed {
			st.Through = last
		}
		return changed, nil
	}
	next := first
	if st.Through != "" {
		next = max(first, st.Through.Add(1))
	}
	var days []Day
	for ; next <= last; next = next.Add(1) {
		days = append(days, next)
	}
	for chunk := range slices.Chunk(days, inspectAtOnce) {
		found, err := r.days(ctx, chunk...)
		if err != nil {
			return false, err
		}
		for _, d := range found { // a person may have had it read already
			if report := &d.body.Report; d.err != nil || report.State != BillAgrees {
				r.put(billTask{Day: d.day, Differs: report.State == BillDiffers})
			}
		}
	}
	st.Through = last
	return true, nil
}

// put makes a task one of those that are to be done.
func (r *billRun) put(t billTask) {
	r.drop(t.Day)
	r.state.Tasks = append(r.state.Tasks, t)
	// The newest first: its orders are those that most likely have something left, so that
	// a refund by hand which nobody knows of does most harm there. The guard does not mind
	// the order, since a row says that a refund exists, whatever came before it.
	slices.SortFunc(r.state.Tasks, func(a, b billTask) int {
		switch {
		case a.Day > b.Day:
			return -1
		case a.Day < b.Day:
			return 1
		}
		return 0
	})
}

func (r *billRun) drop(d Day) {
	r.state.Tasks = slices.DeleteFunc(r.state.Tasks, func(t billTask) bool { return t.Day == d })
}

// due is the first task whose time has come; false if there is none. A time that lies
// further ahead than any that is set was set by a wrong clock.
func (r *billRun) due(now time.Time) (billTask, bool) {
	for _, t := range r.state.Tasks {
		if wait := t.At.Sub(now); wait <= 0 || wait > maxBillPause {
			return t, true
		}
	}
	return billTask{}, false
}

// nextAt is when there is something to do again.
func (r *billRun) nextAt() time.Time {
	at := issuedAt(r.state.Through.Add(1))
	for _, t := range r.state.Tasks {
		if t.At.Before(at) {
			at = t.At
		}
	}
	return at
}

// readBills has the bills read that are there and were not, until end, and returns of how
// many days. One of several reconcilers does it. It is not what a run is for: refunds that
// are due come first, what goes wrong is logged, and the next run goes on.
func (s *Service) readBills(ctx context.Context, end time.Time) (read int) {
	if !s.ReadsBills() || !time.Now().Before(end) {
		return 0
	}
	// Of nearly all runs this is the end: nothing is read before the time that is known.
	if wait := time.UnixMilli(s.billsAt.Load()).Sub(s.now()); wait > 0 && wait <= maxBillPause {
		return 0
	}
	defer s.recoverBills(ctx)
	read, err := s.readDays(ctx, end)
	if err != nil && !errors.Is(err, ErrStale) {
		s.logUnread(ctx, "", err)
	}
	return read
}

func (s *Service) readDays(ctx context.Context, end time.Time) (read int, err error) {
	r, held, err := s.bills(ctx)
	if err != nil {
		return 0, err
	}
	if !held.IsZero() {
		s.billsAt.Store(held.UnixMilli())
		return 0, nil
	}
	r.end = end
	changed, err := r.schedule(ctx)
	if err != nil {
		return 0, err
	}
	defer func() {
		if changed {
			r.release(ctx)
		}
	}()
	for r.inTime(ctx) && r.failed < maxBillFailed {
		t, ok := r.due(r.now())
		if !ok {
			break
		}
		changed = true
		whole, err := r.task(ctx, t)
		if err != nil {
			return read, err
		}
		if whole {
			read++
		}
	}
	s.billsAt.Store(r.nextAt().UnixMilli())
	return read, nil
}
