package refund

import (
	"context"
	"log/slog"
	"slices"
	"time"
)

// This file is about what a buyer may see: refunds of orders that they have paid, and of
// those what concerns them. What is not theirs they cannot tell from what does not exist.

// forBuyer is a refund without what is between the shop and WeChat Pay: from which account it was
// paid, what was settled, and whose discounts were part of it.
func (r Refund) forBuyer() Refund {
	return Refund{
		RefundID: r.RefundID, OutRefundNo: r.OutRefundNo, TransactionID: r.TransactionID, OutTradeNo: r.OutTradeNo,
		UserReceivedAccount: r.UserReceivedAccount, SuccessTime: r.SuccessTime, CreateTime: r.CreateTime, Status: r.Status,
		ReceivedBy: r.ReceivedBy,
		Amount: Amount{
			Total: r.Amount.Total, Refund: r.Amount.Refund, Currency: r.Amount.Currency,
			PayerTotal: r.Amount.PayerTotal, PayerRefund: r.Amount.PayerRefund, PayerCurrency: r.Amount.PayerCurrency,
		},
	}
}

// forBuyer is an application as who has applied sees it.
func (a Application) forBuyer() Application {
	a.Applicant, a.History = "", nil
	if a.Refund != nil {
		r := a.Refund.forBuyer()
		a.Refund = &r
	}
	return a
}

// inFull adds what whoever runs the service sees of an application: see [Application.Masked].
func (a *application) inFull(v Application) Application {
	v.Applicant, v.History, v.Pending = a.Applicant, slices.Clone(a.History), a.pending()
	return v
}

// Masked is the application without personal data: who applied and who decided can be
// recognised and not read.
func (a Application) Masked() Application {
	a.Applicant = maskIdentity(a.Applicant)
	a.History = slices.Clone(a.History)
	for i := range a.History {
		a.History[i].By = maskIdentity(a.History[i].By)
	}
	if a.Refund != nil {
		r := *a.Refund
		r.UserReceivedAccount = maskOnce(r.UserReceivedAccount)
		a.Refund = &r
	}
	return a
}

// MadeBy reports whether the caller has applied for it or proposed it, and may withdraw it
// while it waits, but not decide it. It needs the application as it is in full.
func (a Application) MadeBy(c Caller) bool { return madeBy(a.Applicant, c) }

// seen is an application with its refund, read for whoever may see it.
func (s *Service) seen(ctx context.Context, a application, buyer bool) (Application, error) {
	var rec *record
	if a.Request.OutRefundNo != "" && a.State != ApplicationPending {
		records, err := s.recordsOf(ctx, a.Request.OutRefundNo)
		if err != nil {
			return Application{}, err
		}
		rec = &records[0]
	}
	if buyer {
		return a.view(rec).forBuyer(), nil
	}
	return a.inFull(a.view(rec)), nil
}

// Application returns one application with its history and its refund, in full: for whoever runs
// the service; no caller is admitted or denied. [CodeNotFound] if there is none.
func (s *Service) Application(ctx context.Context, id string) (Application, error) {
	a, _, err := s.readApplication(ctx, id)
	if err != nil {
		return Application{}, err
	}
	return s.seen(ctx, a, false)
}

// mayBuy reports whether a caller whom the policy does not admit may be a buyer, who sees
// what is theirs.
func mayBuy(c Caller) bool { return c.Kind == User && c.OpenID != "" }

// admitQuery says whether the caller may query. A buyer may, as far as the orders go that
// they have paid: buyer is true then.
func (s *Service) admitQuery(ctx context.Context, caller Caller) (buyer bool, err error) {
	if mayBuy(caller) && s.VerifyOrder != VerifyNever && s.Policy.Admit(caller) != nil {
		return true, nil
	}
	return false, s.Admit(ctx, caller)
}

// denyQuery denies a buyer what is not theirs, as it denies everybody who may not query.
func (s *Service) denyQuery(ctx context.Context, caller Caller) error {
	return s.Admit(ctx, caller)
}

// queryAsBuyer returns a refund of an order that the caller has paid. Of anything else it
// says the same as to whoever may not query at all, without asking the upstream.
func (s *Service) queryAsBuyer(ctx context.Context, caller Caller, l Lookup) (Refund, error) {
	no := l.OutRefundNo
	if l.RefundID != "" {
		if s.Channel.Spec().Number("refund_id", l.RefundID) != nil || s.Bind(ctx) != nil {
			return Refund{}, s.denyQuery(ctx, caller)
		}
		items, err := s.Ledger.Get(ctx, refundIDKey(l.RefundID))
		if err != nil {
			return Refund{}, ledgerError(err)
		}
		if err := decode(items[0], &no); err != nil {
			return Refund{}, err
		}
	}
	if s.Channel.Spec().Number("out_refund_no", no) != nil {
		return Refund{}, s.denyQuery(ctx, caller)
	}
	tx, err := s.begin(ctx, no)
	if err != nil {
		return Refund{}, err
	}
	a := tx.account()
	if tx.rec.State == unknown || tx.rec.NumberTaken || a == nil {
		return Refund{}, s.denyQuery(ctx, caller)
	}
	if mine, err := s.hasPaid(ctx, caller, a); err != nil || !mine {
		if err == nil {
			err = s.denyQuery(ctx, caller)
		}
		return Refund{}, err
	}
	st, err := s.confirm(ctx, no, caller.actor(), unsettled)
	if err == nil && (st.numberTaken || a.isAnother(st.Refund.TransactionID, st.Refund.OutTradeNo)) {
		return Refund{}, s.denyQuery(ctx, caller) // what has the number is somebody else's, as has turned out now
	}
	return st.Refund.forBuyer(), err
}

// listAsBuyer lists the refunds of an order that the caller has paid, from the ledger.
func (s *Service) listAsBuyer(ctx context.Context, caller Caller, l Lookup) (Page, error) {
	field, value := l.order()
	if s.Channel.Spec().Number(field, value) != nil {
		return Page{}, s.denyQuery(ctx, caller)
	}
	a, err := s.order(ctx, l)
	if err != nil {
		return Page{}, err
	}
	if mine, err := s.hasPaid(ctx, caller, &a); err != nil || !mine {
		if err == nil {
			err = s.denyQuery(ctx, caller)
		}
		return Page{}, err
	}
	page, err := s.listOrder(ctx, l)
	for i := range page.Refunds {
		page.Refunds[i] = page.Refunds[i].forBuyer()
	}
	return page, err
}

// hasPaid reports whether the caller has paid the order of an account. Where the ledger
// does not know who has, and it has refunds, the upstream is asked.
func (s *Service) hasPaid(ctx context.Context, caller Caller, a *orderAccount) (bool, error) {
	if a.Paid != nil && len(a.Paid.Payers) > 0 {
		return a.Paid.paidBy(caller, s.AppIDs), nil
	}
	if len(a.Entries) == 0 || s.VerifyOrder == VerifyNever {
		return false, nil
	}
	var p payerItem
	items, err := s.Ledger.Get(ctx, payerKey(caller))
	if err != nil {
		return false, ledgerError(err)
	}
	if err := decode(items[0], &p); err != nil {
		return false, err
	}
	if p.on(s.now()); p.Asked >= maxRefusedADay {
		return false, nil
	}
	o, err := s.askPaidOrder(ctx, a.TransactionID, a.OutTradeNo)
	if e := AsError(err); err != nil && e.Code == CodeUnavailable {
		return false, nil // who has paid is not known now
	}
	if mine := err == nil && (&orderFacts{Payers: o.Payers}).paidBy(caller, s.AppIDs); mine {
		s.keepFacts(ctx, o)
		return true, nil
	}
	// By itself: whether there was a refund to ask about, no other answer may tell.
	return false, s.countToday(ctx, caller, func(p *payerItem) { p.Asked++ })
}

// keepFacts keeps what the upstream has told of an order. If that fails, it is asked again.
func (s *Service) keepFacts(ctx context.Context, o PaidOrder) {
	keys := orderKeys(o.TransactionID, o.OutTradeNo)
	err := s.update(ctx, "", keys, func(tx *txn, now time.Time) error {
		for _, k := range keys {
			if tx.exists(tx.resolve(k)) {
				tx.learn(o, now, k)
			}
		}
		return nil
	})
	if err != nil {
		s.log(ctx, slog.LevelWarn, "not noted", "", "error", err)
	}
}
