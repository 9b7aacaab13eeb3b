package refund

import (
	"cmp"
	"context"
	"log/slog"
	"time"
)

// claim makes the refund ours to submit, durably, before anything is sent. It
// returns the record in state [Claimed] if this caller is to submit it, and
// with what is known of it in any other state.
func (s *Service) claim(ctx context.Context, caller Caller, req Request) (record, error) {
	patience := time.Now().Add(maxWait)
	rules := s.rules()
	var rec record
	var hasTurn bool
	err := s.retry(ctx, func() error {
		for {
			b, err := s.read(ctx, req.OutRefundNo, orderKeys(req.TransactionID, req.OutTradeNo)...)
			if err != nil {
				return err
			}
			now := s.now()
			// Another caller's submission of the same refund may be about to end: its answer is ours too.
			if b.running(now) && difference(b.rec.Request, req) == "" {
				if time.Now().After(patience) {
					e := unavailable("this refund is being submitted right now; repeat identically after a pause", nil)
					e.Next, e.RetryAfter = Later, b.rec.Lease.Sub(now)
					return e
				}
				if err := sleep(ctx, 20*time.Millisecond); err != nil {
					return err
				}
				continue
			}
			if err := b.claim(caller, req, rules, now); err != nil {
				return err
			}
			// Nothing is claimed before there is a turn to submit it.
			if b.dirty(refundKey(b.no)) && !hasTurn {
				if err := s.turn(ctx); err != nil {
					return err
				}
				hasTurn = true
			}
			rec = b.rec
			crash("claim.before")
			return s.commit(ctx, b, now)
		}
	})
	if err == nil && rec.State == Claimed {
		crash("claim.after")
		s.log(ctx, slog.LevelInfo, "claimed", req.OutRefundNo, "attempt", rec.Attempt, "caller", caller)
	}
	return rec, err
}

// running reports whether a submission that may still be answered is under way.
// A lease that ends later than any can is one of a clock that has stepped back
// since: it counts for nothing, or the refund would be stuck behind it.
func (b *book) running(now time.Time) bool {
	left := b.rec.Lease.Sub(now)
	return b.rec.State == Claimed && left > 0 && left <= lease
}

// claim decides what a request means for the book, and changes it if the
// request is to be submitted.
func (b *book) claim(caller Caller, req Request, rules rules, now time.Time) error {
	rec := &b.rec
	field := b.differs(req)
	switch {
	case rec.State == unknown:
		return b.claimNew(caller, req, rules, now)
	case rec.State == Rejected && field != "" && rec.Refusal.Next == AfterFix:
		return b.claimNew(caller, req, rules, now) // the refusal was about the content, and nothing happened upstream
	case field != "":
		return conflictf("%s differs from what this out_refund_no was first used with", field)
	case rec.State == Rejected && (rec.Refusal.Next == Never || rec.Refusal.Next == NewNumber):
		return rec.Refusal
	case rec.State == Rejected:
		return b.claimNew(caller, req, rules, now)
	case rec.State == Claimed:
		return b.attempt(rules, now)
	}
	return nil
}

// differs names the first field in which the request differs from the one on record.
func (b *book) differs(req Request) string {
	if b.rec.State == unknown {
		return ""
	}
	if b.rec.Foreign { // we know only what the upstream told
		return mismatch(req, b.rec.Refund)
	}
	return difference(b.rec.Request, req)
}

// claimNew reserves the amount on the order's account and starts the first
// submission, or the first after a refusal.
func (b *book) claimNew(caller Caller, req Request, rules rules, now time.Time) error {
	rec := &b.rec
	a := b.open(req.TransactionID, req.OutTradeNo)
	if err := a.admits(req.Amount, rules.most); err != nil {
		return err
	}
	if a.Total == 0 {
		a.Total, a.Currency = req.Amount.Total, req.Amount.Currency
	}
	rec.State, rec.Request, rec.Refund, rec.Refusal = Claimed, req, Refund{}, nil
	rec.ClaimedAt, rec.Asked, rec.Absent = now, 0, false
	rec.Moves++
	rec.note(Event{At: now, What: string(Claimed), Note: caller.LogValue().String()})
	b.hold(req.Amount.Refund, true)
	return b.attempt(rules, now)
}

// attempt records that a submission is about to leave. From here on it is in
// doubt until something certain is known of it. [CodeLimited] if it is too early
// for the order's next one.
func (b *book) attempt(rules rules, now time.Time) error {
	rec, a := &b.rec, b.account()
	if err := a.paced(rules.pace, now); err != nil {
		return err
	}
	if rules.pace > 0 {
		a.Sent = now
		b.touch(b.resolve(rec.Order))
	}
	rec.open()
	rec.Lease = now.Add(lease)
	rec.note(Event{At: now, What: "sent"})
	b.touch(refundKey(b.no))
	return nil
}

// submit calls the upstream once and settles what it answers.
func (s *Service) submit(ctx context.Context, rec record) (Refund, error) {
	callCtx, cancel := callContext(ctx)
	got, err := s.Channel.Refund(callCtx, rec.Request)
	cancel()
	crash("call.after")
	out := Outcome{Source: Reply, OutRefundNo: rec.Request.OutRefundNo, Refund: got, attempt: rec.Attempt, moves: rec.Moves}
	if err != nil {
		out.Err = AsError(err)
	}
	ctx, cancel = settleContext(ctx)
	defer cancel()
	st, err := s.Settle(ctx, out)
	if wrong(out.Err) {
		s.strike(ctx)
	}
	if err != nil {
		return Refund{}, err
	}
	return st.answer(out.Err)
}

// answer is what the submitter is told: the refund if the upstream has
// accepted it, by whichever road we know; else why not.
func (st Settlement) answer(refused *Error) (Refund, error) {
	switch {
	case st.State != Claimed && st.State != Rejected:
		return st.Refund, nil
	case refused == nil:
		return Refund{}, unavailable("the upstream's answer contradicts the request; query or repeat identically", nil)
	case st.State == Claimed && refused.Code != CodeUnavailable:
		e := unavailable("an earlier submission of this refund has had no answer, so its outcome is unknown; query or repeat identically", refused)
		e.Upstream = refused.Upstream
		return Refund{}, e
	}
	return Refund{}, refused
}

// rules are what the upstream allows of one order.
type rules struct {
	most int
	pace time.Duration
}

func (s *Service) rules() rules {
	spec := s.Channel.Spec()
	return rules{most: cmp.Or(spec.MaxRefunds, MaxRefunds), pace: cmp.Or(s.Pace, spec.Pace)}
}
