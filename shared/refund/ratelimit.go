package refund

import (
	"context"
	"log/slog"
	"sync/atomic"
	"time"

	"wxrefund/shared/lock"
)

// A tokenBucket is a rate limit as one point in time: when the next token falls due.
// Each that is taken moves it on. It is real time, in Unix microseconds.
type tokenBucket struct {
	Next int64 `json:"next"`
}

// take takes n tokens that fall due one gap after the other, and returns when the
// first one does. After a pause, burst of them are due at once.
func (b *tokenBucket) take(now, gap, burst, n int64) (first int64) {
	first = max(b.Next, now-burst*gap)
	b.Next = first + n*gap
	return first
}

// A submissionRate is what the merchant's instances share through one item of the
// ledger: a bucket whose tokens are submissions that may leave, and until when all
// leave slowly, since wrong ones have used up their share. WeChat Pay allows a merchant
// so many refunds a second, and far fewer wrong ones; beyond that it answers nothing
// useful to anybody. So any second sees at most the allowed number of either.
type submissionRate struct {
	tokenBucket
	BadUntil int64 `json:"bad"` // until when all leave slowly; past: when the last wrong one was let off
}

const (
	// The parts of WeChat's rates that we use. Of 150 a second, 138 and a burst of
	// 5 leave room for submissions that the way there brings closer together.
	rateShare, badShare = 0.92, 0.5
	// burst is how many submissions may leave at once after a pause.
	burst = 5
	// maxQueue is how long a submission waits for its turn before it is refused for now.
	maxQueue = 500 * time.Millisecond
	// maxSlice is how many turns are taken at once for callers of one process.
	maxSlice = 16
	// slowFor is how long two wrong requests slow all down: turns are then as far
	// apart as wrong ones may be.
	slowFor = time.Second
	// maxSlowQueue is how long a submission waits for its turn meanwhile.
	maxSlowQueue = 3 * time.Second
	// apartFor is how long turns are taken before the claims that need them, once a claim
	// that was to take its own has found others at it.
	apartFor = time.Second
)

// dropAhead drops what no rule can have written: a clock that runs ahead must not
// have everybody wait until its time has come. It reports whether there was any.
func (r *submissionRate) dropAhead(now int64, badRate int) (dropped bool) {
	if r.Next > now+maxSlowQueue.Microseconds()+gap(badRate, badShare) {
		r.Next, dropped = 0, true
	}
	if r.BadUntil > now+slowFor.Microseconds() {
		r.BadUntil, dropped = 0, true
	}
	return dropped
}

// gap is how many microseconds lie between two turns at a share of a rate.
func gap(rate int, share float64) int64 {
	return int64(float64(time.Second.Microseconds()) / (float64(max(rate, 1)) * share))
}

// turns hands out turns to submit, within one process.
type turns struct {
	claims  atomic.Int32 // under way
	apart   atomic.Int64 // until when none takes its own turn, Unix microseconds
	waiting atomic.Int32
	mu      lock.Mutex  // of stock; whoever holds it may be waiting for the ledger
	stock   []time.Time // turns taken for those who wait
}

// enter counts a claim, until leave, and reports whether it is the only one of this
// process: several would hinder each other if each took its own turn.
func (t *turns) enter() (alone bool) { return t.claims.Add(1) == 1 }
func (t *turns) leave()              { t.claims.Add(-1) }

// takeApart has the claims of the next moment take their turns before them: all
// instances write the one item, so that whoever writes it with a claim does so in vain
// while many are at it.
func (t *turns) takeApart() { t.apart.Store(time.Now().Add(apartFor).UnixMicro()) }

// mayClaimTurn reports whether a claim may take its turn in its own commit.
func (s *Service) mayClaimTurn() bool {
	return s.Channel.Spec().Rate > 0 && time.Now().UnixMicro() >= s.turns.apart.Load()
}

// claimTurn takes a turn for the claim in its own transaction, if the shared item was
// read with it and one is due at once. Who has to wait waits before anything is claimed.
func (s *Service) claimTurn(tx *txn) bool {
	if tx.rate == nil {
		return false
	}
	spec, now, r := s.Channel.Spec(), time.Now().UnixMicro(), *tx.rate
	if r.dropAhead(now, spec.BadRate) || r.BadUntil > now || r.take(now, gap(spec.Rate, rateShare), burst, 1) > now {
		s.turns.takeApart()
		return false
	}
	tx.rate = &r
	return true
}

// turn waits for the caller's turn to submit. [CodeLimited] if it is too far off.
func (s *Service) turn(ctx context.Context) error {
	if s.Channel.Spec().Rate == 0 {
		return nil
	}
	t := &s.turns
	t.waiting.Add(1)
	at, err := s.next(ctx, t)
	t.waiting.Add(-1)
	if err != nil {
		return err
	}
	return sleep(ctx, time.Until(at))
}

// next takes a turn from stock, or from the ledger for all who wait now.
func (s *Service) next(ctx context.Context, t *turns) (time.Time, error) {
	if err := t.mu.Lock(ctx); err != nil {
		return time.Time{}, timeIsUp(err)
	}
	defer t.mu.Unlock()
	for len(t.stock) > 0 {
		at := t.stock[0]
		t.stock = t.stock[1:]
		if time.Since(at) < 100*time.Millisecond { // an older one was left behind by somebody who gave up
			return at, nil
		}
	}
	spec := s.Channel.Spec()
	var first time.Time
	var every, n int64
	err := s.updateRate(ctx, func(r *submissionRate, now int64) error {
		n, every = min(max(int64(t.waiting.Load()), 1), maxSlice), gap(spec.Rate, rateShare)
		queue, atOnce := maxQueue, int64(burst)
		if r.BadUntil > now {
			// Of those who wait, any may be wrong: they leave one by one, so slowly that
			// WeChat Pay would bear it if all were.
			n, every, queue, atOnce = 1, gap(spec.BadRate, badShare), maxSlowQueue, 0
		}
		start := r.take(now, every, atOnce, n)
		if start-now > queue.Microseconds() {
			return limited("too many refunds at once", start-now)
		}
		first = time.UnixMicro(start)
		return nil
	})
	if err != nil {
		return time.Time{}, err
	}
	for i := int64(1); i < n; i++ {
		t.stock = append(t.stock, first.Add(time.Duration(i*every)*time.Microsecond))
	}
	return first, nil
}

// penalize counts a submission that WeChat Pay calls wrong. One now and then costs
// nothing; a second one too soon after it has all submissions leave slowly for a moment.
func (s *Service) penalize(ctx context.Context) {
	rate := s.Channel.Spec().BadRate
	if rate == 0 {
		return
	}
	err := s.updateRate(ctx, func(r *submissionRate, now int64) error {
		if r.BadUntil > now-gap(rate, badShare) {
			r.BadUntil = now + slowFor.Microseconds()
		} else {
			r.BadUntil = now
		}
		return nil
	})
	if err != nil {
		s.log(ctx, slog.LevelWarn, "uncounted", "", "error", err)
	}
}

func (s *Service) rateKey() Key { return Key("limit/" + s.Merchant.MchID) }

// updateRate changes what the merchant's instances share. now is in Unix microseconds.
func (s *Service) updateRate(ctx context.Context, change func(r *submissionRate, now int64) error) error {
	key, ahead := s.rateKey(), false
	defer func() {
		// Seldom: whoever submits meanwhile waits for it.
		if last := s.aheadNoted.Load(); ahead && time.Since(time.Unix(last, 0)) > time.Hour && s.aheadNoted.CompareAndSwap(last, time.Now().Unix()) {
			s.KeepAlarm(ctx, string(key), alarmClock, "the shared rate limit lay in the future: some instance's clock runs ahead; ignored")
		}
	}()
	return updateItem(ctx, s, key, func(r *submissionRate) error {
		now := time.Now().UnixMicro()
		if r.dropAhead(now, s.Channel.Spec().BadRate) {
			ahead = true
			s.log(ctx, slog.LevelWarn, "clock", "", "why", "the shared rate limit lies in the future: some instance's clock runs ahead; ignored")
		}
		return change(r, now)
	})
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
