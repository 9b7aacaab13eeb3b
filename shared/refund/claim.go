package refund

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"slices"
	"time"
)

// claim makes the refund ours to submit, durably, before anything is sent. It
// returns the record in state [Claimed] if this caller is to submit it, and
// with what is known of it in any other state.
// application names the one by whose decision the refund is claimed, "" if by the caller's own.
func (s *Service) claim(ctx context.Context, caller Caller, req Request, application string) (record, error) {
	giveUp, pause := time.Now().Add(maxWait), firstPause
	rules := s.rules()
	var told *PaidOrder
	var asked bool
	mayBy := application
	if mayBy == "" {
		mayBy = proposalID(req.OutRefundNo)
	}
	alone := s.turns.enter()
	defer s.turns.leave()
	var rec record
	var hasTurn, looked, reads bool
	var waits *Error // for another's approval
	err := s.retry(ctx, func() error {
		for {
			order := orderKeys(req.TransactionID, req.OutTradeNo)
			keys := append(slices.Clone(order), applicationKey(mayBy))
			together := alone && !hasTurn && s.mayClaimTurn()
			if together {
				keys = append(keys, s.rateKey())
			}
			answered := func(rec *record) bool { return rec.answers(req) }
			tx, err := s.beginUntil(ctx, answered, req.OutRefundNo, keys...)
			if err != nil {
				return err
			}
			if application == "" {
				if application, err = s.decidedBefore(ctx, tx, req); err != nil {
					return err
				}
				if application != "" {
					mayBy = application
					continue
				}
			}
			if err := tx.permits(application, req, s.now()); err != nil {
				return err
			}
			if !asked && s.verifies(tx, req, order, rules.resend) {
				asked = true
				if told, err = s.verifyOrder(ctx, req); err != nil {
					return err
				}
			}
			assumed, err := s.readNamed(ctx, tx, told, order, !reads)
			if err != nil {
				return err
			}
			now := s.now()
			// Another caller's submission of the same refund may be about to end: its answer is ours too.
			if tx.rec.running(now) && difference(tx.rec.Request, req) == "" {
				left := time.Until(giveUp)
				if left <= 0 {
					e := unavailable("this refund is being submitted right now; repeat identically after a pause", nil)
					e.Next, e.RetryAfter = Later, tx.rec.Lease.Sub(now)
					return e
				}
				if err := sleep(ctx, min(pause, left)); err != nil {
					return err
				}
				pause *= 2
				continue
			}
			tx.told = told
			err = tx.claim(caller, req, rules, now)
			if err != nil && !looked {
				looked = true
				freed, lookErr := s.dropMisplaced(ctx, tx)
				if lookErr != nil {
					return lookErr
				}
				if freed {
					continue
				}
			}
			point := "claim.before"
			var items []Item
			switch {
			case errors.Is(err, errNeedsApproval):
				point = "propose.before"
				if items, waits = tx.propose(caller, req, s.subscriberNames(), now); waits.Code != CodeProposed {
					return waits
				}
			case err != nil:
				return err
			default:
				// Nothing is claimed before there is a turn to submit it.
				if tx.rec.State == Claimed && !hasTurn && !s.claimTurn(tx) {
					if err := s.turn(ctx); err != nil {
						return err
					}
					hasTurn = true
				}
				items, waits = tx.changes(now), nil
			}
			rec = tx.rec
			if assumed != "" && !slices.ContainsFunc(items, func(it Item) bool { return it.Key == assumed }) {
				reads = true
				continue
			}
			crash(point)
			err = s.write(ctx, tx, items)
			reads = reads || errors.Is(err, ErrStale)
			if together && errors.Is(err, ErrStale) && assumed == "" && waits == nil { // else it says nothing of turns
				s.turns.takeApart()
			}
			rec.left = tx.left
			return err
		}
	})
	if err == nil && waits != nil {
		s.log(ctx, slog.LevelInfo, "proposed", req.OutRefundNo, "application_id", mayBy, "caller", caller)
		return record{}, waits
	}
	if err == nil && rec.State == Claimed {
		crash("claim.after")
		s.log(ctx, slog.LevelInfo, "claimed", req.OutRefundNo, "attempt", rec.Submission, "caller", caller)
	}
	return rec, err
}

// answers reports whether the record is all that the repeat of a request is answered from.
// What was proposed under the number may have gone on under another once it was closed.
func (r *record) answers(req Request) bool {
	return r.State != unknown && r.State != Claimed && r.State != Rejected && !(r.State == Closed && r.Proposed != "") &&
		!r.external() && difference(r.Request, req) == ""
}

// running reports whether a submission that may still be answered is under way.
// A lease that ends later than any can is one of a clock that has stepped back
// since: it counts for nothing, or the refund would be stuck behind it.
func (r *record) running(now time.Time) bool {
	left := r.Lease.Sub(now)
	return r.State == Claimed && left > 0 && left <= lease+clockSkew
}

// claim decides what a request means for what is on record. The refund is in state
// [Claimed] afterwards if the request is to be submitted.
func (tx *txn) claim(caller Caller, req Request, rules rules, now time.Time) error {
	rec := &tx.rec
	if rec.State == unknown {
		return tx.claimNew(caller, req, rules, now)
	}
	if rec.external() { // of a refund that was not made here we know what the upstream reported
		switch field := mismatch(req, rec.Refund); {
		case !req.matches(rec.Refund):
			return numberTakenError("", rec.view())
		case field != "":
			return conflictf("%s differs from the refund that has this out_refund_no", field)
		}
		return nil
	}
	field := difference(rec.Request, req)
	if rec.State == Rejected && rec.reopens(field, rules.resend) {
		return tx.claimNew(caller, req, rules, now)
	}
	switch {
	case field != "" && rec.waits():
		e := conflictf("%s differs from what this out_refund_no was first used with, which waits for the merchant's balance; withdraw that first", field)
		e.Next = Later
		return e
	case field != "" && rec.State == Claimed: // which ends, and then other content may be claimed
		e := conflictf("%s differs from what this out_refund_no was first used with, whose outcome is not known yet", field)
		e.Next = Later
		return e
	case field != "":
		return conflictf("%s differs from what this out_refund_no was first used with", field)
	case rec.State == Rejected:
		return rec.Refusal
	case rec.waits() && tx.mayWait(now) == "":
		return rec.waitingError(now)
	case rec.State == Claimed:
		if why := tx.suspended(); why != "" {
			e := unavailable(why, nil)
			e.Next = Later
			return e
		}
		return tx.startSubmission(caller.actor(), rules, now)
	}
	return nil
}

// reopens reports whether a rejected refund may be claimed again. field is the
// first in which the new content differs from the refused one, "" if none.
func (r *record) reopens(field string, resend bool) bool {
	switch next := r.Refusal.Next; {
	case next == NewNumber:
		return false
	case r.Released || resend: // nothing happened upstream, or the upstream alone judges
		return true
	case field == "":
		return next != Never
	default:
		return next == AfterFix || next == LaterOrFix
	}
}

// claimNew reserves the amount on the order's account and starts the first
// submission, or the first after a refusal.
func (tx *txn) claimNew(caller Caller, req Request, rules rules, now time.Time) error {
	rec := &tx.rec
	if rec.State == Rejected && difference(rec.Request, req) != "" {
		if rec.keepContent(); len(rec.Contents) > maxContents {
			e := conflictf("this out_refund_no has been submitted with %d different contents; use a new refund number", maxContents)
			e.Next = NewNumber
			return e
		}
	}
	if err := tx.chooseOrder(req.TransactionID, req.OutTradeNo); err != nil {
		return err
	}
	if tx.told != nil {
		tx.learn(*tx.told, now, orderKeys(req.TransactionID, req.OutTradeNo)...)
	}
	tx.joinNamed()
	for _, a := range tx.ownAccounts() {
		if err := a.checkCapacity(req.Amount, rules.most); err != nil {
			return err
		}
	}
	if facts := tx.facts(rec.Order, rec.SecondOrder); facts != nil && rules.verify {
		if err := facts.refusal(req, rules.goods, now); err != nil {
			return err
		}
	}
	rec.ClaimedBy, rec.Application = claimant(caller), ""
	if tx.decided {
		rec.ClaimedBy, rec.Application = "", tx.application.ID
		tx.application.Claims++
		if tx.application.LookAt.IsZero() { // it had come to rest
			tx.application.LookAt, tx.application.Looks = now.Add(queryBackoff(0)), 0
		}
	} else if tx.needsApproval(rules.policy, caller, req.Amount, now) {
		return errNeedsApproval
	}
	rec.State, rec.Request, rec.Refund, rec.Refusal = Claimed, req, Refund{}, nil
	rec.ClaimedAt, rec.Queries, rec.ExternalRefunds = now, 0, tx.externalRefunds()
	rec.Absent, rec.Released, rec.Cancelled, rec.Funds = false, false, false, nil
	rec.Revision++
	claimed := caller.actor().entry(now, string(Claimed))
	claimed.Note = caller.LogValue().String()
	rec.note(claimed)
	tx.reserve(req.Amount.Refund, true)
	return tx.startSubmission(caller.actor(), rules, now)
}

// startSubmission records that a submission is about to leave, and who has caused it. From here on it is in
// doubt until something certain is known of it. [CodeLimited] if it is too early
// for the order's next one.
func (tx *txn) startSubmission(by actor, rules rules, now time.Time) error {
	rec := &tx.rec
	for _, a := range tx.ownAccounts() {
		if err := a.checkPace(tx.no, rules.pace, now); err != nil {
			return err
		}
	}
	if rules.pace > 0 {
		for _, a := range tx.ownAccounts() {
			a.SubmittedAt, a.SubmittedNo = now, tx.no
		}
	}
	rec.openSubmission(now)
	rec.Lease = now.Add(lease)
	rec.note(by.entry(now, "sent"))
	return nil
}

// submit calls the upstream once and settles what it answers.
func (s *Service) submit(ctx context.Context, rec record) (Refund, error) {
	out := Outcome{Source: Reply, OutRefundNo: rec.Request.OutRefundNo, submission: rec.Submission, revision: rec.Revision, known: rec.left}
	if time.Now().Round(0).Sub(rec.begun) > submitWithin {
		// The function stood still meanwhile. Whoever relies on how long a submission
		// can live may have released this claim.
		e := unavailable("too much time has passed before this refund could be sent; repeat identically", nil)
		e.Unsent = true
		out.Err = e
	} else {
		callCtx, cancel := callContext(ctx)
		got, err := s.Channel.Refund(callCtx, rec.Request)
		cancel()
		crash("call.after")
		if out.Refund = got; err != nil {
			out.Err = AsError(err)
		}
	}
	if wrong(out.Err) {
		defer func() {
			ctx, cancel := settleContext(ctx)
			defer cancel()
			s.penalize(ctx)
		}()
	}
	if out.Err != nil && out.Err.MaybeNumberTaken {
		switch st, known, err := s.lookUp(ctx, rec, out.Err); {
		case err != nil:
			return Refund{}, err
		case known:
			return st.answer(out.Err)
		}
	}
	ctx, cancel := settleContext(ctx)
	defer cancel()
	st, err := s.Settle(ctx, out)
	if err != nil {
		return Refund{}, err
	}
	return st.answer(out.Err)
}

// lookUp asks the upstream whose refund has the number that it has refused in
// words that may mean so, while time is left. known is false if it holds none or
// its answer says nothing of it: then the refusal stands for itself. An error means
// that there is an answer, and that the ledger has not taken it: the refusal alone
// would be half of the truth.
func (s *Service) lookUp(ctx context.Context, rec record, refused *Error) (st Settlement, known bool, err error) {
	callCtx, cancel := callContext(ctx)
	defer cancel()
	page, err := s.Channel.Query(callCtx, Lookup{OutRefundNo: rec.Request.OutRefundNo})
	if err != nil || len(page.Refunds) != 1 {
		return st, false, nil
	}
	settleCtx, cancel := settleContext(ctx)
	defer cancel()
	st, err = s.settle(settleCtx, Outcome{
		Source: Query, OutRefundNo: rec.Request.OutRefundNo, Refund: page.Refunds[0], revision: rec.Revision, refused: refused,
	})
	if AsError(err).Code == CodeUnavailable && errors.Is(err, errUnreadable) {
		return st, false, nil
	}
	return st, err == nil && st.State != Claimed, err
}

// answer is what the submitter gets: the refund if the upstream has accepted it,
// however we know; else why not.
func (st Settlement) answer(refused *Error) (Refund, error) {
	switch {
	case st.numberTaken:
		return Refund{}, st.refusal
	case st.State != Claimed && st.State != Rejected:
		return st.Refund, nil
	case refused == nil:
		return Refund{}, unavailable("the upstream's answer contradicts the request; query or repeat identically", nil)
	case st.State == Claimed && st.waits != nil:
		return Refund{}, st.waits
	case st.State == Claimed && refused.Code != CodeUnavailable:
		e := unavailable("an earlier submission of this refund has had no answer, so its outcome is unknown; query or repeat identically", refused)
		e.Upstream = refused.Upstream
		return Refund{}, e
	}
	return Refund{}, refused
}

// rules are what the upstream allows of one order, and of one number.
type rules struct {
	most   int
	pace   time.Duration
	resend bool
	goods  bool   // goods_detail can be carried
	verify bool   // what the upstream has told of the order is held against the request
	policy Policy // what one person may do alone
}

func (s *Service) rules() rules {
	spec := s.Channel.Spec()
	return rules{
		most: cmp.Or(spec.MaxRefunds, MaxRefunds), pace: max(0, cmp.Or(s.Pace, spec.Pace)), resend: spec.Resend,
		goods: spec.Goods, verify: s.VerifyOrder != VerifyNever, policy: s.Policy,
	}
}
