package refund

import (
	"context"
	"errors"
	"log/slog"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"
)

// A Service makes and follows refunds. Every rule about them is in it; Channel and
// Ledger hold none. Channel, Ledger and Merchant are required. Its methods may
// be called at once from many goroutines and from many processes on one ledger.
type Service struct {
	Channel  Channel
	Ledger   Ledger
	Merchant Merchant // notifications about anybody else are not ours
	Policy   Policy

	Self SelfService // what a buyer may do

	// VerifyOrder says when the upstream is asked about an order before a refund of it.
	VerifyOrder VerifyOrder

	// AppIDs are those of the programs whose refunds these are: a bill has what others of the
	// merchant have made, too, which enters without any subscriber being told. None: all are.
	AppIDs []string

	// Now is the clock of leases and due times; nil: [time.Now]. It may run
	// faster than real time, as the sandbox's does. Timeouts of calls are real time.
	Now func() time.Time

	Pace time.Duration // least time between two submissions for one order; 0: the channel's; negative: none

	// TrustRelay lets what the platform relays settle a refund, if a server brings it
	// and the upstream, when asked, says that the refund exists and nothing else of it.
	TrustRelay bool

	// WaitFunds lets a refund for which the merchant's balance is too low go on by itself
	// after a top-up, for seven days.
	WaitFunds bool

	// ByHand says that a person has [Service.Reconcile] run, and no timer: a run does the same,
	// and is no sign that the timer runs.
	ByHand bool

	// NoBill keeps the reconciler from reading bills. A person may have one read all the same.
	NoBill bool

	Subscribers []Subscriber // are told of every refund that settles
	Alerters    []Alerter    // are told of alarms

	// Reconciled is told of each run of [Service.HandleTimer]: what it did, or why it ended.
	// ctx is that of the run. nil: nobody is told.
	Reconciled func(ctx context.Context, summary Summary, err error)

	Log *slog.Logger // nil: none

	turns      turns
	bound      atomic.Int64 // when the ledger was last known to be this merchant's, Unix seconds
	classed    atomic.Bool  // whether all items of the ledger are listed under their classes
	billsAt    atomic.Int64 // when a bill is to be read next, as far as this process knows, Unix milliseconds
	aheadNoted atomic.Int64 // when this process last kept the alarm that a clock runs ahead, Unix seconds
	delivering sync.Map     // of deliveryKey: what this process is delivering now, since by the sandbox's clock a lease may end before a call does
}

const (
	// maxCommitAttempts bounds how often a commit that lost a race is read and tried again.
	maxCommitAttempts = 100
	// maxWait is how long a caller waits, in real time, for another caller's
	// submission of the same refund before it is refused for now.
	maxWait = 2 * time.Second
	// firstPause is how long such a caller waits before it looks for the first time;
	// each further wait is twice as long.
	firstPause = 30 * time.Millisecond
	// lease is how long a submission or a delivery that may still run is left alone.
	lease = 30 * time.Second
	// clockSkew is how far clocks that are right may differ: a time that lies this much
	// further ahead than its rule allows is not a wrong clock's.
	clockSkew = 2 * time.Second
	// callTimeout bounds one call of the upstream in real time.
	callTimeout = 10 * time.Second
	// recordTime is kept free, in real time, to record what a call brought.
	recordTime = time.Second
)

func (s *Service) now() time.Time {
	now := s.Now
	if now == nil {
		now = time.Now
	}
	return now().UTC().Truncate(time.Millisecond)
}

// log logs one event; no is the number of the refund that it is about, "" if it is about none.
func (s *Service) log(ctx context.Context, level slog.Level, event string, no string, args ...any) {
	if s.Log == nil {
		return
	}
	if no != "" {
		args = append([]any{"out_refund_no", no}, args...)
	}
	s.Log.Log(ctx, level, event, args...)
}

// Admit says whether the caller may refund and query at all. A denial is logged.
func (s *Service) Admit(ctx context.Context, caller Caller) error {
	return s.admit(ctx, caller, "")
}

func (s *Service) admit(ctx context.Context, caller Caller, no string) error {
	err := s.Policy.Admit(caller)
	if err != nil {
		s.log(ctx, slog.LevelWarn, "denied", no, append([]any{"caller", caller}, caller.evidence()...)...)
	}
	return err
}

// Refund claims the refund, submits it once and settles what the upstream
// answers. The same request under the same number may be repeated at will: it
// refunds once. Errors are [*Error]; with [CodeUnavailable] the refund may or
// may not have been accepted, and only a repeat or a query finds out.
func (s *Service) Refund(ctx context.Context, caller Caller, req Request) (Refund, error) {
	if err := s.admit(ctx, caller, req.OutRefundNo); err != nil {
		return Refund{}, err
	}
	if err := s.Policy.admitAmount(caller, req.Amount); err != nil {
		s.log(ctx, slog.LevelWarn, "denied", req.OutRefundNo, "caller", caller)
		return Refund{}, err
	}
	if err := s.Channel.Spec().Check(req); err != nil {
		return Refund{}, err
	}
	rec, err := s.claim(ctx, caller, req, "")
	if err != nil {
		return Refund{}, err
	}
	if rec.State != Claimed {
		s.log(ctx, slog.LevelInfo, "repeated", req.OutRefundNo, "state", rec.State)
		return rec.view(), nil
	}
	return s.submit(ctx, rec)
}

// errUnchanged ends a step of [Service.retry] that is to change nothing after all. It
// is no error.
var errUnchanged = errors.New("refund: nothing is to be changed")

// retry runs one read-change-commit step until it does not lose a race.
func (s *Service) retry(ctx context.Context, step func() error) error {
	for attempt := range maxCommitAttempts {
		switch err := step(); {
		case errors.Is(err, errUnchanged):
			return nil
		case !errors.Is(err, ErrStale):
			return err
		}
		// Losers spread out, so that each round has a winner and the rest do not collide again.
		if err := sleep(ctx, time.Duration(rand.Int64N(int64(min(attempt+1, 20)*int(time.Millisecond))))); err != nil {
			return err
		}
	}
	return unavailable("too many others are changing this order; repeat identically", ErrStale)
}

// sleep waits in real time, or until ctx ends.
func sleep(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return timeIsUp(ctx.Err())
	case <-t.C:
		return nil
	}
}

// timeIsUp is the error of a call whose context ended while it waited.
func timeIsUp(err error) *Error {
	return unavailable("the time for this call has run out; repeat identically", err)
}

// ErrLedger is beside the cause where the ledger did not answer, or not as it should.
var ErrLedger = errors.New("refund: the ledger did not answer")

// A ledgerFailure is what the ledger said, and [ErrLedger].
type ledgerFailure struct{ error }

func (f ledgerFailure) Is(target error) bool { return target == ErrLedger }
func (f ledgerFailure) Unwrap() error        { return f.error }

// ledgerError keeps [ErrStale] and turns every other failure into an unknown outcome.
func ledgerError(err error) error {
	if err == nil || errors.Is(err, ErrStale) {
		return err
	}
	return unavailable("the ledger did not answer; repeat identically", ledgerFailure{err})
}

// callContext bounds an upstream call so that time is left to record its answer.
func callContext(ctx context.Context) (context.Context, context.CancelFunc) {
	end := time.Now().Add(callTimeout)
	if d, ok := ctx.Deadline(); ok && d.Add(-recordTime).Before(end) {
		end = d.Add(-recordTime)
	}
	return context.WithDeadline(ctx, end)
}

// settleContext lets what an upstream said be recorded even if the caller has
// gone away meanwhile: until the deadline that the platform set, since an answer
// that is given up has to be asked for again.
func settleContext(ctx context.Context) (context.Context, context.CancelFunc) {
	end, ok := ctx.Deadline()
	if !ok {
		end = time.Now().Add(2 * recordTime)
	}
	return context.WithDeadline(context.WithoutCancel(ctx), end)
}
