package metrics

import (
	"context"
	"log/slog"
	"time"

	"wxrefund/shared/lock"
	"wxrefund/shared/refund"
)

// A kept value is counted when somebody asks for it, and kept for a while, so that who
// asks often does not make the ledger count often.
type kept[T any] struct {
	least time.Duration // how long it is kept at least
	share time.Duration // how many times as long as counting took it is kept at least
	limit time.Duration // of one count

	mu      lock.Mutex // guards what follows, also while it is counted
	value   T
	at      time.Time // when value was counted; zero: never
	until   time.Time // when it may be counted again, also after a failure
	failure error     // of the last count; nil: it has worked
}

// get returns the value and when it was counted. The error is that of the last count:
// the value is then an older one, the zero value if none was ever counted.
func (k *kept[T]) get(ctx context.Context, count func(context.Context) (T, error)) (value T, at time.Time, err error) {
	ctx, cancel := context.WithTimeout(ctx, k.limit)
	defer cancel()
	if err := k.mu.Lock(ctx); err != nil {
		return value, at, err
	}
	defer k.mu.Unlock()
	begin := time.Now()
	if begin.Before(k.until) {
		return k.value, k.at, k.failure
	}
	counted, err := count(ctx)
	end := time.Now()
	k.until, k.failure = end.Add(max(k.least, k.share*end.Sub(begin))), err
	if err == nil {
		k.value, k.at = counted, end
	}
	return k.value, k.at, err
}

func (m *Meter) figures(ctx context.Context) (refund.Figures, time.Time, error) {
	return m.open.get(ctx, m.refunds.Figures)
}

func (m *Meter) countResting(ctx context.Context) (map[refund.State]int64, time.Time, error) {
	return m.resting.get(ctx, m.refunds.CountResting)
}

// booksDays is how many of the last days' bills are looked at.
const booksDays = 7

// The books are how the last days stand against the upstream's bills.
type books struct {
	days   map[refund.BillState]int64
	apart  int64      // that do not agree, or could not be read
	agrees refund.Day // the newest that agrees; "": none of them
	read   bool       // whether any of them was looked at
}

func (m *Meter) countBooks(ctx context.Context) (books, time.Time, error) {
	return m.books.get(ctx, func(ctx context.Context) (books, error) {
		yesterday := refund.DayOf(m.now()).Add(-1)
		days, err := m.refunds.BillReports(ctx, yesterday.Add(1-booksDays), yesterday)
		if err != nil {
			return books{}, err
		}
		b := books{days: map[refund.BillState]int64{}}
		for _, r := range days { // the newest first
			b.days[r.State]++
			b.read = b.read || m.refunds.Looked(r)
			if m.refunds.Apart(r) {
				b.apart++
			}
			if b.agrees == "" && r.State == refund.BillAgrees {
				b.agrees = r.Date
			}
		}
		return b, nil
	})
}

// now is the service's clock, by which its days are.
func (m *Meter) now() time.Time {
	if m.refunds.Now != nil {
		return m.refunds.Now()
	}
	return time.Now()
}

// reconciled counts a run of the reconciler and logs the figures. A run that has failed
// has said why; what it has spent is in the next line.
func (m *Meter) reconciled(ctx context.Context, sum refund.Summary, err error) {
	m.text.reconciled(err == nil, sum.Bills, time.Now())
	if err != nil || m.refunds.Log == nil {
		return
	}
	spent := m.spent.take() // before the counts add to it
	f, _, err := m.figures(ctx)
	if err != nil {
		m.refunds.Log.WarnContext(ctx, "no figures", "error", err)
		return
	}
	attrs := []slog.Attr{slog.String("channel", f.Channel)}
	for _, state := range []refund.State{refund.Claimed, refund.Processing, refund.Abnormal} {
		attrs = append(attrs, slog.Int64(string(state), f.Open[state]))
	}
	resting, _, err := m.countResting(ctx)
	for _, state := range []refund.State{refund.Success, refund.Closed, refund.Rejected} {
		if n, counted := resting[state]; counted {
			attrs = append(attrs, slog.Int64(string(state), n))
		}
	}
	if err != nil {
		attrs = append(attrs, slog.Any("error", err))
	}
	attrs = append(attrs, slog.Int64("oldest_doubt_s", int64(f.OldestDoubt.Seconds())), slog.Int64("attention", f.Attention),
		slog.Int64("alarms", f.Alarms), slog.Int64("owed", f.Owed))
	if b, _, err := m.countBooks(ctx); err == nil && b.read {
		attrs = append(attrs, slog.String("books_agree", string(b.agrees)), slog.Int64("books_apart", b.apart))
	}
	for c := range calls {
		attrs = append(attrs, spent[c].attrs(c)...)
	}
	m.refunds.Log.LogAttrs(ctx, slog.LevelInfo, "figures", attrs...)
}
