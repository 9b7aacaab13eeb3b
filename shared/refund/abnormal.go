package refund

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
	"time"
)

// Ways in which an abnormal refund can be finished (APIv3, "Apply for an abnormal refund", 4012791904).
const (
	UserBankCard     = "USER_BANK_CARD"     // to a card of the payer
	MerchantBankCard = "MERCHANT_BANK_CARD" // to the merchant's own account: the payer gets nothing by it
)

// ReceivedByMerchant is said of a refund whose money has gone to the merchant's own account:
// WeChat Pay calls it SUCCESS, and the customer has nothing.
const ReceivedByMerchant = "merchant"

// A finish is what was last sent to finish an abnormal refund. Of the card it keeps nothing
// but its bank and its last four digits.
type finish struct {
	Type     string    `json:"type"`
	BankType string    `json:"bank_type,omitempty"`
	Last4    string    `json:"last4,omitempty"`
	SentAt   time.Time `json:"sent_at"`
	Done     bool      `json:"done,omitempty"` // accepted, or refused for certain: nothing is in flight

	begun time.Time // real time at which this process recorded it
}

// inFlight reports until when what was sent may still be carried out; zero: it is not.
func (f *finish) inFlight(now time.Time) (until time.Time) {
	if f == nil || f.Done {
		return time.Time{}
	}
	if until = f.SentAt.Add(submissionLife); !until.After(now) || f.SentAt.Sub(now) > clockSkew {
		return time.Time{}
	}
	return until
}

// problems lists what is wrong with the request by itself.
func (a AbnormalRequest) problems() []string {
	var says []string
	card := []struct{ name, value string }{{"bank_type", a.BankType}, {"bank_account", a.BankAccount}, {"real_name", a.RealName}}
	switch a.Type {
	case UserBankCard:
		for _, f := range card {
			if f.value == "" {
				says = append(says, f.name+" is required with "+UserBankCard)
			}
		}
		if a.BankAccount != "" && (len(a.BankAccount) < 10 || len(a.BankAccount) > 32 || strings.Trim(a.BankAccount, "0123456789") != "") {
			says = append(says, "bank_account must be 10 to 32 digits")
		}
	case MerchantBankCard:
		for _, f := range card {
			if f.value != "" {
				says = append(says, f.name+" must not be given with "+MerchantBankCard)
			}
		}
	default:
		says = append(says, "type must be "+UserBankCard+" or "+MerchantBankCard)
	}
	return says
}

// FinishAbnormal has the money of an abnormal refund sent to a card of the payer, or to the merchant's own
// account. It is sent only while a fresh answer of the upstream says ABNORMAL, once, and after an unknown outcome only when
// nothing of it can be in flight any more. Operators and servers may. What it holds of the
// card goes to WeChat Pay, sealed, and nowhere else.
func (s *Service) FinishAbnormal(ctx context.Context, caller Caller, a AbnormalRequest) (Refund, error) {
	if err := s.admit(ctx, caller, a.OutRefundNo); err != nil {
		return Refund{}, err
	}
	spec := s.Channel.Spec()
	if !spec.Abnormal {
		return Refund{}, invalidf("the channel %s has no call that finishes an abnormal refund: the merchant platform does it", spec.Name)
	}
	if err := spec.Number("out_refund_no", a.OutRefundNo); err != nil {
		return Refund{}, err
	}
	if says := a.problems(); says != nil {
		return Refund{}, Invalid(says...)
	}
	st, err := s.confirm(ctx, a.OutRefundNo, caller.actor(), func(r *record) bool { return r.State != unknown })
	switch {
	case err != nil:
		return Refund{}, err
	case st.State == unknown:
		return Refund{}, notFound("no refund of this out_refund_no is known here")
	case st.State != Abnormal || st.numberTaken:
		return Refund{}, conflictf("this refund is %s by WeChat Pay's fresh answer: only an abnormal one can be finished so", st.Refund.Status)
	case !st.fresh:
		return Refund{}, movedMeanwhile()
	case st.Refund.RefundID == "":
		return Refund{}, unavailable("WeChat Pay's own number of this refund is not known yet; query it first", nil)
	}
	sent, err := s.markFinish(ctx, caller, a, st.revision)
	if err != nil {
		return Refund{}, err
	}
	a.RefundID = st.Refund.RefundID
	return s.sendFinish(ctx, a, sent)
}

// markFinish records that the request is about to leave, so that nobody else sends one meanwhile.
func (s *Service) markFinish(ctx context.Context, caller Caller, a AbnormalRequest, revision int) (sent record, err error) {
	err = s.update(ctx, a.OutRefundNo, nil, func(tx *txn, now time.Time) error {
		rec := &tx.rec
		if rec.State != Abnormal || rec.Revision != revision {
			return movedMeanwhile()
		}
		if until := rec.Finish.inFlight(now); !until.IsZero() {
			e := conflictf("this refund is being finished already, and the outcome is not known: it may be sent again after %s, if it is still abnormal then", until.Format(time.RFC3339))
			e.Next, e.RetryAfter = Later, until.Sub(now)
			return e
		}
		rec.Finish = &finish{Type: a.Type, BankType: a.BankType, SentAt: now, begun: time.Now().Round(0)}
		if n := len(a.BankAccount); n >= 4 {
			rec.Finish.Last4 = a.BankAccount[n-4:]
		}
		e := caller.actor().entry(now, "finishing")
		e.Note = rec.Finish.String()
		rec.note(e)
		rec.Revision++ // what the upstream was asked before says nothing of this
		tx.keepQueryAt = true
		sent = *rec
		crash("finish.before")
		return nil
	})
	crash("finish.after")
	return sent, err
}

func movedMeanwhile() *Error { return conflictf("this refund has moved meanwhile: query it") }

// String says where the money is to go, without the card's number.
func (f *finish) String() string {
	if f.Type == MerchantBankCard {
		return f.Type
	}
	return fmt.Sprintf("%s %s …%s", f.Type, f.BankType, f.Last4)
}

// sendFinish sends the request once and settles what is answered.
func (s *Service) sendFinish(ctx context.Context, a AbnormalRequest, sent record) (Refund, error) {
	var got Refund
	var err error
	if time.Now().Round(0).Sub(sent.Finish.begun) > submitWithin {
		e := unavailable("too much time has passed before this could be sent; repeat it", nil)
		e.Unsent = true
		err = e
	} else {
		callCtx, cancel := callContext(ctx)
		got, err = s.Channel.FinishAbnormal(callCtx, a)
		cancel()
		crash("finish.called")
	}
	ctx, cancel := settleContext(ctx)
	defer cancel()
	if err != nil {
		e := AsError(err)
		if e.Code == CodeUnavailable && !e.Unsent {
			s.log(ctx, slog.LevelWarn, "unfinished", a.OutRefundNo, "error", e)
			u := unavailable("whether WeChat Pay has taken this is not known; it is asked about, and may be sent again later if the refund is still abnormal", e)
			u.Next, u.RetryAfter, u.Upstream = Later, submissionLife, e.Upstream
			return Refund{}, u
		}
		if err := s.closeFinish(ctx, a.OutRefundNo, sent.Finish.SentAt, "refused", e.Upstream); err != nil {
			return Refund{}, err
		}
		return Refund{}, e
	}
	st, err := s.settle(ctx, Outcome{Source: Query, OutRefundNo: a.OutRefundNo, Refund: got, revision: sent.Revision})
	if err != nil {
		return Refund{}, err
	}
	if st.State != Abnormal { // else it has been taken, and nothing shows that it is through
		if err := s.closeFinish(ctx, a.OutRefundNo, sent.Finish.SentAt, "", ""); err != nil {
			return Refund{}, err
		}
	}
	s.log(ctx, slog.LevelInfo, "finishing", a.OutRefundNo, "type", a.Type, "state", st.State)
	return st.Refund, nil
}

// closeFinish notes that nothing of what was sent is in flight any more.
func (s *Service) closeFinish(ctx context.Context, no string, sentAt time.Time, what, note string) error {
	return s.update(ctx, no, nil, func(tx *txn, now time.Time) error {
		f := tx.rec.Finish
		if f == nil || f.Done || !f.SentAt.Equal(sentAt) {
			return errUnchanged
		}
		f.Done = true
		if what != "" {
			tx.rec.note(HistoryEntry{At: now, What: what, Source: Reply, Note: note})
		}
		tx.keepQueryAt = true
		return nil
	})
}

// receivedByMerchant reports whether a refund's money has gone to the merchant's own
// account. Nothing but the name of the account tells it (APIv3, refund notification).
func receivedByMerchant(r Refund) bool {
	if r.Status != StatusSuccess {
		return false
	}
	switch r.UserReceivedAccount {
	case "商户基本账户", "商户结算银行账户":
		return true
	}
	return false
}
