package exhaust

import (
	"slices"

	"wxrefund/shared/refund"
)

// An order is one that was paid.
type order struct {
	transaction, trade string
	total              int64
}

// A refused request breaks one of WeChat Pay's rules.
type rule int

const (
	accepted    rule = iota
	content          // another content than before under the number, or than the order has
	noOrder          // the order that the number names is not there
	noTrade          // the transaction that the number names is not there
	invalid          // something else is wrong
	nothingLeft      // all of the order is refunded
	tooMuch          // more than is left of the order
)

// decide is what WeChat Pay does about a request, by the rules of the sandbox.
func (r *run) decide(req refund.Request) (rule, *order) {
	w, orders := r.w, r.x.orders()
	o, no := find(orders, req)
	if h := w.held(req.OutRefundNo); h != nil {
		p, _ := find(orders, h.req)
		if !repeats(h.req, *p, req) || h.byHand && r.x.system.served {
			return content, nil
		}
		return accepted, p
	}
	if no != accepted {
		return no, nil
	}
	left := o.total
	for _, h := range w.refunds {
		if p, _ := find(orders, h.req); p == o && h.status() != refund.StatusClosed {
			left -= h.req.Amount.Refund
		}
	}
	switch {
	case req.Amount.Total != o.total:
		return content, nil
	case left == 0:
		return nothingLeft, nil
	case req.Amount.Refund > left:
		return tooMuch, nil
	}
	return accepted, o
}

func find(orders []order, req refund.Request) (*order, rule) {
	i := slices.IndexFunc(orders, func(o order) bool {
		if req.TransactionID != "" {
			return o.transaction == req.TransactionID
		}
		return o.trade == req.OutTradeNo
	})
	switch {
	case i < 0 && req.TransactionID != "":
		return nil, noTrade
	case i < 0:
		return nil, noOrder
	case req.OutTradeNo != "" && orders[i].trade != req.OutTradeNo:
		return nil, invalid
	}
	return &orders[i], accepted
}

// repeats reports whether a request is the one that was accepted, of order o.
func repeats(first refund.Request, o order, req refund.Request) bool {
	return (req.TransactionID == "" || req.TransactionID == o.transaction) && (req.OutTradeNo == "" || req.OutTradeNo == o.trade) &&
		req.Reason == first.Reason && req.FundsAccount == first.FundsAccount &&
		req.Amount.Refund == first.Amount.Refund && req.Amount.Total == first.Amount.Total && req.Amount.Currency == first.Amount.Currency
}

// arrive lets a request arrive at WeChat Pay.
func (r *run) arrive(req refund.Request, byHand bool, wish int) (refund.Refund, *refund.Error) {
	sent := r.x.system.sent(req)
	no, o := r.decide(sent)
	if no != accepted {
		return refund.Refund{}, r.x.system.refusal(no)
	}
	h := r.w.held(req.OutRefundNo)
	if h == nil {
		r.w.refunds = append(r.w.refunds, held{req: sent, byHand: byHand, past: []refund.Status{refund.StatusProcessing}, at: r.w.now, wish: wish})
		h = &r.w.refunds[len(r.w.refunds)-1]
		r.checkMoney()
	}
	return r.x.system.accepted(*h, *o), nil
}

// become gives a refund at WeChat Pay its next status, and writes the notification.
// The platforms relay none of refunds by hand.
func (r *run) become(i int, status refund.Status) {
	h := &r.w.refunds[i]
	h.past = append(h.past, status)
	if l := r.x.system.letters; r.x.scenario.letters && (l == signed || l == sealed || l == relays && !h.byHand) {
		r.w.letters = append(r.w.letters, letter{no: h.req.OutRefundNo, status: status})
	}
}
