package refund

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"slices"
	"time"
)

const (
	// orderTimeout bounds the question about an order, so that time is left for the refund.
	orderTimeout = 3 * time.Second
	// refundableFor is how long after its payment an order can be refunded (APIv3 refund
	// document, 4012791862).
	refundableFor = 365 * 24 * time.Hour
)

// orderFacts are what the ledger keeps of what the upstream has told of an order. Who
// has paid is personal data: [Service.Forget] drops it.
type orderFacts struct {
	TransactionID string      `json:"transaction_id,omitempty"`
	OutTradeNo    string      `json:"out_trade_no,omitempty"`
	Status        OrderStatus `json:"status"`
	Payers        []Payer     `json:"payers,omitempty"`
	PaidAt        time.Time   `json:"paid_at,omitzero"`
	SingleItem    bool        `json:"single_item,omitempty"`
	ToldAt        time.Time   `json:"told_at"`
}

// paid reports whether money has come in for an order in this state.
func (s OrderStatus) paid() bool { return s == OrderPaid || s == OrderRefunded }

// refusal says why the order cannot be refunded, by what the upstream tells of it; nil if it can.
func (f *orderFacts) refusal(req Request, goods bool, now time.Time) *Error {
	switch {
	case f.Status == OrderClosed || f.Status == OrderRevoked:
		return conflictf("the order was closed without having been paid (%s): there is nothing to refund", f.Status)
	case !f.Status.paid():
		e := conflictf("the order is not paid (%s): there is nothing to refund", f.Status)
		e.Next = Later
		return e
	case !f.PaidAt.IsZero() && now.Sub(f.PaidAt) > refundableFor:
		return conflictf("the order was paid on %s, and WeChat Pay refunds no order that is older than a year", f.PaidAt.In(china()).Format(time.DateOnly))
	case f.SingleItem && goods && len(req.GoodsDetail) == 0 && req.Amount.Refund < req.Amount.Total:
		return &Error{Code: CodeInvalid, Next: AfterFix, Message: "goods_detail is required: a coupon for single articles was used with this order, and only a part of it is to be refunded"}
	}
	return nil
}

// paidBy reports whether the caller has paid the order. Where the platform does not say of
// which program the openid is, it may be of any of ours; an openid is of one program only.
func (f *orderFacts) paidBy(c Caller, ours []string) bool {
	if c.Kind != User || c.OpenID == "" {
		return false
	}
	return slices.ContainsFunc(f.Payers, func(p Payer) bool {
		switch {
		case p.OpenID != c.OpenID:
			return false
		case p.AppID == "":
			return true
		case c.AppID != "":
			return p.AppID == c.AppID
		}
		return len(ours) == 0 || slices.Contains(ours, p.AppID)
	})
}

// facts are what the ledger knows of the order with one of the numbers; nil if nobody has asked.
func (tx *txn) facts(keys ...Key) *orderFacts {
	for _, k := range keys {
		if a := tx.accounts[tx.resolve(k)]; a != nil && a.Paid != nil {
			return a.Paid
		}
	}
	return nil
}

// of reports whether there are facts, and none of the numbers that are given is another order's.
func (f *orderFacts) of(transactionID, outTradeNo string) bool {
	return f != nil && !differ(f.TransactionID, transactionID) && !differ(f.OutTradeNo, outTradeNo)
}

// learn keeps what the upstream has told of the order in the accounts that its numbers lead to.
func (tx *txn) learn(o PaidOrder, now time.Time, keys ...Key) {
	for _, k := range keys {
		a := tx.accounts[tx.resolve(k)]
		if a == nil || a.isAnother(o.TransactionID, o.OutTradeNo) {
			continue
		}
		a.Paid = &orderFacts{
			TransactionID: o.TransactionID, OutTradeNo: o.OutTradeNo,
			Status: o.Status, Payers: o.Payers, PaidAt: o.PaidAt, SingleItem: o.SingleItem, ToldAt: now,
		}
		a.confirm(o.Total, o.Currency)
	}
}

// orderLookup is the number by which the channel can be asked about an order; ok is false if there is none.
func (s Spec) orderLookup(transactionID, outTradeNo string) (l Lookup, ok bool) {
	for _, field := range s.OrderLookups {
		switch {
		case field == "transaction_id" && transactionID != "":
			return Lookup{TransactionID: transactionID}, true
		case field == "out_trade_no" && outTradeNo != "":
			return Lookup{OutTradeNo: outTradeNo}, true
		}
	}
	return l, false
}

// orderContext bounds the question about an order. Where the platform gives a call little
// time, a hanging upstream has no more than half of what is not kept for the record: what
// depends on the answer must still be able to claim.
func orderContext(ctx context.Context) (context.Context, context.CancelFunc) {
	within := orderTimeout
	if d, ok := ctx.Deadline(); ok {
		within = min(within, (time.Until(d)-recordTime)/2)
	}
	return context.WithTimeout(ctx, within)
}

// askPaidOrder asks the upstream about an order. What it answers is about that order, and
// sound; everything else is [CodeUnavailable], or [CodeNotFound].
func (s *Service) askPaidOrder(ctx context.Context, transactionID, outTradeNo string) (PaidOrder, error) {
	l, ok := s.Channel.Spec().orderLookup(transactionID, outTradeNo)
	if !ok {
		return PaidOrder{}, Invalid(fmt.Sprintf("the channel %s cannot be asked about an order by this number", s.Channel.Spec().Name))
	}
	ctx, cancel := orderContext(ctx)
	defer cancel()
	o, err := s.Channel.Order(ctx, l)
	crash("order.asked")
	switch {
	case err != nil:
		return PaidOrder{}, AsError(err)
	case differ(l.TransactionID, o.TransactionID), differ(l.OutTradeNo, o.OutTradeNo),
		max(len(o.TransactionID), len(o.OutTradeNo), len(o.Currency)) > maxNumber, o.Total < 0, o.Total > maxMoney, o.Status == OrderStateUnread:
		return PaidOrder{}, unavailable("what the upstream tells of the order cannot be understood", errUnreadable)
	}
	// A caller's other number may be another order's: the upstream has named this one's.
	if differ(transactionID, o.TransactionID) {
		return PaidOrder{}, twoOrders("out_trade_no", "transaction_id", o.TransactionID)
	}
	if differ(outTradeNo, o.OutTradeNo) {
		return PaidOrder{}, twoOrders("transaction_id", "out_trade_no", o.OutTradeNo)
	}
	o.TransactionID, o.OutTradeNo = cmp.Or(o.TransactionID, transactionID), cmp.Or(o.OutTradeNo, outTradeNo)
	return o, nil
}

// verifies reports whether the upstream is to be asked about the order before this claim:
// not where the record is all that the request is answered from.
func (s *Service) verifies(tx *txn, req Request, keys []Key, resend bool) bool {
	rec := &tx.rec
	fresh := rec.State == unknown || rec.State == Rejected && rec.reopens(difference(rec.Request, req), resend)
	if s.VerifyOrder == VerifyNever || !fresh {
		return false
	}
	return s.VerifyOrder == VerifyAlways || tx.facts(keys...) == nil
}

// readNamed reads the account of the order's other number, which the caller has left out and the
// upstream has named: what counts there counts for this refund.
//
// Of an order that the ledger has not met by the number that the caller names, the other is
// taken for absent, too, where assume allows that: joining them writes it, so that the commit
// finds out if it is not. assumed is that number; "": nothing is assumed.
func (s *Service) readNamed(ctx context.Context, tx *txn, told *PaidOrder, order []Key, assume bool) (assumed Key, err error) {
	if tx.rec.State != unknown && tx.rec.State != Rejected {
		return "", nil
	}
	var want []Key
	if facts := tx.facts(order...); told != nil {
		want = orderKeys(told.TransactionID, told.OutTradeNo)
	} else if facts != nil {
		want = orderKeys(facts.TransactionID, facts.OutTradeNo)
	}
	want = slices.DeleteFunc(want, func(k Key) bool {
		_, read := tx.items[k]
		return read || slices.ContainsFunc(order, func(known Key) bool { return tx.accounts[tx.resolve(known)].Alias == k })
	})
	if assume && told != nil && tx.rec.State == unknown && len(want) == 1 && len(order) == 1 && tx.items[order[0]].Version == 0 {
		return want[0], tx.load(Item{Key: want[0]})
	}
	for len(want) > 0 {
		items, err := s.Ledger.Get(ctx, want...)
		if err != nil {
			return "", ledgerError(err)
		}
		for _, it := range items {
			if err := tx.load(it); err != nil {
				return "", err
			}
		}
		want = tx.missing()
	}
	return "", nil
}

// joinNamed makes the accounts of both numbers one before a refund counts there, if the upstream
// has named both when it was asked. Else what one person refunds of an order would be
// summed up by each number, until a refund's own reply names them.
func (tx *txn) joinNamed() {
	facts := tx.facts(tx.rec.Order)
	if facts == nil || facts.TransactionID == "" || facts.OutTradeNo == "" {
		return
	}
	for _, k := range orderKeys(facts.TransactionID, facts.OutTradeNo) {
		a := tx.accounts[tx.resolve(k)]
		if a == nil || a.isAnother(facts.TransactionID, facts.OutTradeNo) {
			return // it is joined, or what contradicts it is for the refund's own reply to show
		}
	}
	tx.joinOrderNumbers(facts.TransactionID, facts.OutTradeNo)
	if tx.resolve(tx.rec.SecondOrder) == tx.resolve(tx.rec.Order) {
		tx.rec.SecondOrder = ""
	}
}

// verifyOrder asks the upstream about the order of a refund that is to be claimed. told is
// nil where nothing is known and the refund may go on all the same: only with [VerifyAlways] does it
// need an answer.
func (s *Service) verifyOrder(ctx context.Context, req Request) (told *PaidOrder, err error) {
	o, err := s.askPaidOrder(ctx, req.TransactionID, req.OutTradeNo)
	switch e := AsError(err); {
	case err == nil:
		return &o, nil
	case e.Code == CodeConflict: // the two numbers are two orders'
		return nil, e
	case s.VerifyOrder != VerifyAlways:
		if e.Code != CodeInvalid { // which is no question that could have been asked
			s.log(ctx, slog.LevelWarn, "order not told", req.OutRefundNo, "upstream", e.Upstream, "error", e)
		}
		return nil, nil
	case e.Code == CodeNotFound || e.Code == CodeInvalid:
		return nil, e
	default:
		u := unavailable("the upstream has not told about the order, and REFUND_VERIFY_ORDER=always wants its answer before each refund; repeat identically", e)
		u.Next, u.Upstream = Later, e.Upstream
		return nil, u
	}
}
