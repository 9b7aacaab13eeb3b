package refund

import (
	"context"
	"log/slog"
	"sync/atomic"
	"time"
)

// WeChat Pay allows a merchant so many refunds a second, and far fewer wrong
// ones; beyond that it answers nothing useful to anybody. The merchant's
// instances share both limits through one item of the ledger, which holds two
// points in time: from when on the next submission may leave, and until when
// wrong ones have used up their share. Each submission moves the first one on,
// so that any second sees at most the allowed number of them.
type budget struct {
	Next int64 `json:"next"` // Unix microseconds, real time
	Bad  int64 `json:"bad"`
}

const (
	// The parts of WeChat's rates that we use. Of 150 a second, 138 and a burst of
	// 5 leave room for submissions that the way there brings closer together.
	rateShare, badShare = 0.92, 0.5
	// burst is how many submissions may leave at once after a pause.
	burst = 5
	// maxQueue is how long a submission waits for its turn before being told to come back.
	maxQueue = 500 * time.Millisecond
	// maxSlice is how many turns are taken at once for callers of one process.
	maxSlice = 16
)

// turns hands out turns to submit, within one process.
type turns struct {
	waiting atomic.Int32
	lock    chan struct{} // holds a token while somebody uses stock
	stock   []time.Time   // turns taken for those who wait
}

// turn waits for the caller's turn to submit. [CodeLimited] if it is too far off.
func (s *Service) turn(ctx context.Context) error {
	rate := s.Channel.Spec().Rate
	if rate == 0 {
		return nil
	}
	s.once.Do(func() { s.turns.lock = make(chan struct{}, 1) })
	t := &s.turns
	t.waiting.Add(1)
	at, err := s.next(ctx, t, rate)
	t.waiting.Add(-1)
	if err != nil {
		return err
	}
	return sleep(ctx, time.Until(at))
}

// next takes a turn from stock, or from the ledger for all who wait now.
func (s *Service) next(ctx context.Context, t *turns, rate int) (time.Time, error) {
	select {
	case t.lock <- struct{}{}:
		defer func() { <-t.lock }()
	case <-ctx.Done():
		return time.Time{}, unavailable("the time for this call has run out; repeat identically", ctx.Err())
	}
	for len(t.stock) > 0 {
		at := t.stock[0]
		t.stock = t.stock[1:]
		if time.Since(at) < 100*time.Millisecond { // an older one was left behind by somebody who gave up
			return at, nil
		}
	}
	n := min(max(int(t.waiting.Load()), 1), maxSlice)
	var first time.Time
	every := time.Duration(float64(time.Second) / (float64(rate) * rateShare))
	err := s.retry(ctx, func() error {
		return s.spend(ctx, func(b *budget, now int64) error {
			if b.Bad > now {
				return limited("too many refunds were refused lately; WeChat Pay would block all", b.Bad-now)
			}
			start := max(b.Next, now-burst*every.Microseconds())
			if start-now > maxQueue.Microseconds() {
				return limited("too many refunds at once", start-now)
			}
			first = time.UnixMicro(start)
			b.Next = start + int64(n)*every.Microseconds()
			return nil
		})
	})
	if err != nil {
		return time.Time{}, err
	}
	for i := 1; i < n; i++ {
		t.stock = append(t.stock, first.Add(time.Duration(i)*every))
	}
	return first, nil
}

// strike counts a submission that WeChat Pay calls wrong. Once they have used
// up their share nothing is submitted for a moment.
func (s *Service) strike(ctx context.Context) {
	rate := s.Channel.Spec().BadRate
	if rate == 0 {
		return
	}
	every := int64(float64(time.Second.Microseconds()) / (float64(rate) * badShare))
	err := s.retry(ctx, func() error {
		return s.spend(ctx, func(b *budget, now int64) error {
			b.Bad = max(b.Bad, now-every) + every // one is forgiven after a pause, the second closes the door
			return nil
		})
	})
	if err != nil {
		s.log(ctx, slog.LevelWarn, "uncounted", "", "error", err)
	}
}

// spend changes the merchant's budget.
func (s *Service) spend(ctx context.Context, change func(b *budget, now int64) error) error {
	key := Key("limit/" + s.Merchant.MchID)
	items, err := s.Ledger.Get(ctx, key)
	if err != nil {
		return ledgerError(err)
	}
	var b budget
	if err := decode(items[0], &b); err != nil {
		return err
	}
	if err := change(&b, time.Now().UnixMicro()); err != nil {
		return err
	}
	return ledgerError(s.Ledger.Commit(ctx, item(key, items[0].Version, b, time.Time{})))
}

// limited is the error of whoever must wait, for the given microseconds.
func limited(why string, micros int64) *Error {
	return &Error{
		Code: CodeLimited, Next: Later, Message: why + "; repeat identically after a pause",
		RetryAfter: time.Duration(micros) * time.Microsecond,
	}
}

// wrong reports whether WeChat Pay counts a refusal against the rate of wrong
// requests: those that must be corrected before they can succeed.
func wrong(err *Error) bool { return err != nil && err.Next == AfterFix }
