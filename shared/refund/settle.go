package refund

import (
	"context"
	"fmt"
	"log/slog"
	"reflect"
	"slices"
	"time"
)

// An Outcome is news of one refund, whichever road it came on.
type Outcome struct {
	Source      Source
	OutRefundNo string
	Refund      Refund // what the upstream tells, if Err is nil

	// Err says that the upstream refused (a reply) or does not know the refund
	// (a query), or that nothing certain is known.
	Err *Error

	Merchant Merchant // of a letter: whom it is about
	EventID  string   // of a letter

	attempt int // of a reply: which submission it answers
	moves   int // of a reply or query: the record's Moves when the question was put
}

// A Settlement is what the ledger says once an outcome has been settled.
type Settlement struct {
	State   State
	Refund  Refund
	Changed bool // whether the state moved

	ask    bool     // the letter contradicts the record: the upstream must say what is true
	moves  int      // of the record now
	alarms []string // what a person should look at
}

// Settle applies an outcome to the ledger: the one door through which every
// refund learns its fate. Settling the same news again changes nothing and is
// no error. A letter that contradicts the record is kept as evidence and the
// upstream is asked; if that brings no answer the error is [CodeUnavailable].
func (s *Service) Settle(ctx context.Context, out Outcome) (Settlement, error) {
	st, err := s.settle(ctx, out)
	if err != nil || !st.ask {
		return st, err
	}
	asked, err := s.ask(ctx, out.OutRefundNo, st.moves)
	if err != nil {
		return st, unavailable("this notification contradicts the record, and the upstream has not confirmed it", err)
	}
	return asked, nil
}

func (s *Service) settle(ctx context.Context, out Outcome) (Settlement, error) {
	var st Settlement
	var rec record
	err := s.retry(ctx, func() error {
		names := orderKeys(out.Refund.TransactionID, out.Refund.OutTradeNo)
		if out.Refund.RefundID != "" {
			names = append(names, refundIDKey(out.Refund.RefundID))
		}
		b, err := s.read(ctx, out.OutRefundNo, names...)
		if err != nil {
			return err
		}
		now := s.now()
		if st, err = b.settle(out, s.Merchant, s.creditors(), now); err != nil {
			return err
		}
		rec = b.rec
		// Before the commit: a crash behind it would leave nobody to tell of it.
		for _, alarm := range st.alarms {
			s.log(ctx, slog.LevelError, "alarm", out.OutRefundNo, "why", alarm, "source", out.Source, "state", st.State)
		}
		crash("settle.before")
		return s.commit(ctx, b, now)
	})
	if err != nil {
		return st, err
	}
	crash("settle.after")
	if st.Changed {
		s.log(ctx, slog.LevelInfo, "settled", out.OutRefundNo, "state", st.State, "source", out.Source)
	} else if out.Err != nil {
		s.log(ctx, slog.LevelWarn, "unsettled", out.OutRefundNo, "state", st.State, "source", out.Source, "error", out.Err)
	}
	st.Refund, st.moves = rec.view(), rec.Moves
	return st, nil
}

// ask queries the upstream and settles what it says. moves is the record's
// Moves as the asker knows it: the answer is fresh only if nothing moves meanwhile.
func (s *Service) ask(ctx context.Context, no string, moves int) (Settlement, error) {
	callCtx, cancel := callContext(ctx)
	page, err := s.Channel.Query(callCtx, Lookup{OutRefundNo: no})
	cancel()
	if err == nil && len(page.Refunds) != 1 {
		err = unavailable("the upstream's answer is not about one refund", nil)
	}
	if err != nil {
		return Settlement{}, AsError(err)
	}
	ctx, cancel = settleContext(ctx)
	defer cancel()
	return s.settle(ctx, Outcome{Source: Query, OutRefundNo: no, Refund: page.Refunds[0], moves: moves})
}

// settle is the state machine: it changes the book by what the outcome says, and
// owes the news to those it is to be told to.
func (b *book) settle(out Outcome, ours Merchant, creditors []string, now time.Time) (Settlement, error) {
	before := b.rec.State
	if out.Err != nil {
		b.refuse(out, now)
		return Settlement{State: b.rec.State, Changed: b.rec.State != before}, nil
	}
	to, ok := stateOf(out.Refund.Status)
	told := out.Refund.Amount
	if !ok || told.Refund < 0 || told.Refund == 0 && !b.amountMayLack(out) || told.Refund > maxMoney || told.Total > maxMoney {
		return Settlement{}, unavailable("the upstream's answer has no status or amount that can be understood", nil)
	}
	if out.Source == Reply && out.attempt == b.rec.Attempt {
		b.rec.Lease = time.Time{}
		b.touch(refundKey(b.no))
	}
	if why := b.doubt(out, ours); why != "" {
		return b.evidence(out, why, now), nil
	}
	if before == unknown && out.Refund.TransactionID == "" && out.Refund.OutTradeNo == "" {
		return Settlement{}, unavailable("the upstream names no order for this refund", nil)
	}
	fresh := out.Source != Letter && out.moves == b.rec.Moves
	v := judge(before, to, fresh)
	if v == contradict {
		return b.evidence(out, fmt.Sprintf("%s is told of a refund on record as %s", out.Refund.Status, before), now), nil
	}
	st := Settlement{Changed: before != to && v != keep}
	if v == moveAlarm {
		st.alarms = append(st.alarms, fmt.Sprintf("the upstream says %s of a refund on record as %s", out.Refund.Status, before))
	}
	st.alarms = append(st.alarms, b.apply(out, to, v, now)...)
	if st.Changed {
		st.alarms = append(st.alarms, b.rec.announce(creditors, now)...)
	}
	st.State = b.rec.State
	return st, nil
}

// amountMayLack reports whether an outcome can do without an amount, which some
// answers to us do (the CloudBase template's query, reduced): what is not said is
// as it is on record. Who writes letters always says it, and of a refund that is
// not on record nobody else could.
func (b *book) amountMayLack(out Outcome) bool {
	return out.Source != Letter && b.rec.State != unknown
}

// maxMoney bounds what is taken for an amount, so that sums cannot overflow.
const maxMoney = int64(1)<<53 - 1

// doubt says why an outcome cannot be about this refund, "" if it can. A query's
// answer is the upstream's last word and is never doubted.
func (b *book) doubt(out Outcome, ours Merchant) string {
	if out.Source == Query {
		return ""
	}
	if out.Source == Letter && out.Merchant != ours {
		return "the letter is about another merchant"
	}
	if b.rec.State == unknown {
		return ""
	}
	if field := mismatch(b.rec.expected(), out.Refund); field != "" {
		return field + " differs from what is on record"
	}
	return ""
}

// evidence keeps a contradiction in the record, where there is one, and has
// the upstream asked.
func (b *book) evidence(out Outcome, why string, now time.Time) Settlement {
	st := Settlement{State: b.rec.State, ask: out.Source == Letter}
	if b.rec.State == unknown || !b.rec.noted("contradiction", out.EventID) {
		st.alarms = []string{why}
	}
	if b.rec.State != unknown && len(st.alarms) > 0 {
		b.rec.note(Event{At: now, What: "contradiction", Source: out.Source, Note: why, ID: out.EventID})
		b.touch(refundKey(b.no))
	}
	return st
}

// apply moves the record and its account to where the outcome leads. It
// returns what a person should look at.
func (b *book) apply(out Outcome, to State, v verdict, now time.Time) (alarms []string) {
	rec := &b.rec
	known := rec.Refund
	if out.Source == Query && rec.State != unknown {
		if field := mismatch(rec.expected(), out.Refund); field != "" {
			alarms = append(alarms, "the upstream's "+field+" differs from what is on record, and stands")
		}
	}
	if rec.State == unknown {
		rec.Foreign, rec.ClaimedAt = true, now
		rec.Request = Request{
			OutRefundNo: b.no, TransactionID: out.Refund.TransactionID, OutTradeNo: out.Refund.OutTradeNo,
			Amount: RequestAmount{Refund: out.Refund.Amount.Refund, Total: out.Refund.Amount.Total, Currency: out.Refund.Amount.Currency},
		}
		b.open(out.Refund.TransactionID, out.Refund.OutTradeNo)
	}
	if v == keep {
		fill(&rec.Refund, out.Refund)
	} else {
		rec.Refund = renew(known, out.Refund)
	}
	if v != keep && rec.State != to {
		rec.State, rec.Refusal, rec.Asked = to, nil, 0
		rec.Moves++
		rec.Open, rec.Lease = nil, time.Time{}
		rec.note(Event{At: now, What: string(to), Source: out.Source, ID: out.EventID})
		b.touch(refundKey(b.no))
	}
	if !reflect.DeepEqual(known, rec.Refund) {
		b.touch(refundKey(b.no))
	}
	return append(alarms, b.balance(out.Refund)...)
}

// balance brings the refund's account in line with what the upstream told.
func (b *book) balance(told Refund) (alarms []string) {
	alarm := func(why string) {
		if why != "" {
			alarms = append(alarms, why)
		}
	}
	before := b.account().excess()
	alarm(b.join(told.TransactionID, told.OutTradeNo))
	if told.RefundID != "" {
		alarm(b.nameID(told.RefundID))
	}
	a, home := b.account(), b.resolve(b.rec.Order)
	if told.Amount.Total > 0 && (!a.Confirmed || a.Total != told.Amount.Total) {
		if a.Confirmed {
			alarm("the upstream tells another total of the order than before")
		}
		a.Total, a.Confirmed = told.Amount.Total, true
		b.touch(home)
	}
	if a.Currency == "" && told.Amount.Currency != "" {
		a.Currency = told.Amount.Currency
		b.touch(home)
	}
	if b.rec.State.holds() {
		b.hold(b.rec.amount(), true)
	} else {
		b.hold(0, true) // closed: the money is free again, the count is not
	}
	if b.account().excess() && !before {
		alarm("the order's refunds exceed its total")
	}
	return alarms
}

// refuse settles a reply that refused or said nothing certain. A refusal
// speaks only for its own submission: the refund is rejected only if no other
// one is in doubt.
func (b *book) refuse(out Outcome, now time.Time) {
	rec := &b.rec
	if out.Source != Reply || !slices.Contains(rec.Open, out.attempt) {
		return // overtaken: another road has brought certainty meanwhile
	}
	b.touch(refundKey(b.no))
	if out.attempt == rec.Attempt {
		rec.Lease = time.Time{}
	}
	certain := out.Err.Code != CodeUnavailable || out.Err.Unsent
	if certain {
		rec.close(out.attempt)
	}
	if out.Err.Code == CodeUnavailable {
		rec.note(Event{At: now, What: "unanswered", Source: out.Source, Note: out.Err.Upstream})
		return
	}
	rec.note(Event{At: now, What: "refused", Source: out.Source, Note: out.Err.Upstream})
	if rec.State != Claimed || len(rec.Open) > 0 {
		return
	}
	refusal := *out.Err
	refusal.Err = nil
	rec.State, rec.Refusal = Rejected, &refusal
	rec.Moves++
	b.hold(0, false)
}
