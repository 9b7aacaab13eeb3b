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
// points in time: from when on the next submission may leave, and until when all
// leave slowly, since wrong ones have used up their share. Each submission moves the first one on,
// so that any second sees at most the allowed number of them.
type budget struct {
	Next int64 `json:"next"` // Unix microseconds, real time
	Bad  int64 `json:"bad"`  // until when all leave slowly; past: when the last wrong one was forgiven
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
	// slowFor is how long two wrong requests slow all down: turns are then as far
	// apart as wrong ones may be.
	slowFor = time.Second
	// maxSlowQueue is how long a submission waits for its turn meanwhile.
	maxSlowQueue = 3 * time.Second
)

// sane takes out what no rule can have written: a clock that runs ahead must not
// have everybody wait until its time has come. It reports whether there was any.
func (b *budget) sane(now int64, badRate int) bool {
	next := now + maxSlowQueue.Microseconds() + gap(badRate, badShare)
	ok := b.Next <= next && b.Bad <= now+slowFor.Microseconds()
	if b.Next > next {
		b.Next = 0
	}
	if b.Bad > now+slowFor.Microseconds() {
		b.Bad = 0
	}
	return ok
}

// gap is how many microseconds lie between two turns at a share of a rate.
func gap(rate int, share float64) int64 {
	return int64(float64(time.Second.Microseconds()) / (float64(max(rate, 1)) * share))
}

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
	spec := s.Channel.Spec()
	var first time.Time
	var every int64
	var n int
	err := s.retry(ctx, func() error {
		return s.spend(ctx, func(b *budget, now int64) error {
			n, every = min(max(int(t.waiting.Load()), 1), maxSlice), gap(rate, rateShare)
			queue, start := maxQueue, max(b.Next, now-burst*every)
			if b.Bad > now {
				// Of those who wait, any may be wrong: they leave one by one, so slowly that
				// WeChat Pay would bear it if all were.
				n, every, queue, start = 1, gap(spec.BadRate, badShare), maxSlowQueue, max(b.Next, now)
			}
			if start-now > queue.Microseconds() {
				return limited("too many refunds at once", start-now)
			}
			first = time.UnixMicro(start)
			b.Next = start + int64(n)*every
			return nil
		})
	})
	if err != nil {
		return time.Time{}, err
	}
	for i := 1; i < n; i++ {
		t.stock = append(t.stock, first.Add(time.Duration(int64(i)*every)*time.Microsecond))
	}
	return first, nil
}

// strike counts a submission that WeChat Pay calls wrong. Once they have used up
// their share, all submissions leave slowly for a moment.
func (s *Service) penalize(ctx context.Context) {
	rate := s.Channel.Spec().BadRate
	if rate == 0 {
		return
	}
	every := gap(rate, badShare)
	err := s.retry(ctx, func() error {
		return s.spend(ctx, func(b *budget, now int64) error {
			if b.Bad > now-every {
				b.Bad = now + slowFor.Microseconds()
			} else {
				b.Bad = now // one is forgiven
			}
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
	now := time.Now().UnixMicro()
	if !b.sane(now, s.Channel.Spec().BadRate) {
		s.log(ctx, slog.LevelWarn, "clock", "", "why", "the shared rate limit lies in the future: some instance's clock runs ahead; ignored")
	}
	if err := change(&b, now); err != nil {
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
func wrong(err *Error) bool { return err != nil && (err.Next == AfterFix || err.Next == LaterOrFix) }
