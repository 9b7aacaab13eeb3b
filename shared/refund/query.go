package refund

import (
	"context"
	"slices"
)

// A Lookup names what a query is about. The first number that is set counts:
// refund_id, out_refund_no, transaction_id, out_trade_no (CloudPay.queryRefund).
type Lookup struct {
	RefundID      string `json:"refund_id" validate:"required_without_all=OutRefundNo TransactionID OutTradeNo,max=32"`
	OutRefundNo   string `json:"out_refund_no" validate:"max=64"`
	TransactionID string `json:"transaction_id" validate:"max=32"`
	OutTradeNo    string `json:"out_trade_no" validate:"max=32"`
	Offset        int    `json:"offset" validate:"min=0,max=9007199254740991"` // of an order's refunds, the first that is wanted
}

// ByOrder reports whether the lookup is for an order's refunds.
func (l Lookup) ByOrder() bool { return l.RefundID == "" && l.OutRefundNo == "" }

// pageSize is how many refunds one query by order returns at most (CloudPay.queryRefund).
const pageSize = 10

// A Page is a part of an order's refunds, oldest first. A refund without a
// status is one of which the upstream has said nothing yet.
type Page struct {
	TotalRefundCount int      `json:"total_refund_count"`
	RefundCount      int      `json:"refund_count"` // in this page
	Offset           int      `json:"offset"`
	Refunds          []Refund `json:"refunds"`
}

// QueryRefund returns one refund: from the ledger if its state is final, else
// as the upstream reports it now, which is settled on the way. [CodeNotFound] if
// neither knows it, [CodeUnavailable] if we claimed it and its outcome is unknown.
func (s *Service) QueryRefund(ctx context.Context, caller Caller, l Lookup) (Refund, error) {
	switch buyer, err := s.admitQuery(ctx, caller); {
	case err != nil:
		return Refund{}, err
	case buyer:
		return s.queryAsBuyer(ctx, caller, l)
	}
	no, err := s.refundNo(ctx, l)
	if err != nil {
		return Refund{}, err
	}
	st, err := s.confirm(ctx, no, caller.actor(), unsettled)
	return st.Refund, err
}

// Confirm returns what is true of a refund: from the ledger if its state is
// final, else as the upstream reports it now, which is settled on the way.
func (s *Service) Confirm(ctx context.Context, outRefundNo string) (Settlement, error) {
	return s.confirm(ctx, outRefundNo, actor{}, unsettled)
}

// settled reports whether the refund that has the number is in a state that the
// upstream will not change any more.
func (r *record) settled() bool { return r.State.Final() || r.NumberTaken && r.atRest() }

func unsettled(r *record) bool { return !r.settled() }

func (s *Service) confirm(ctx context.Context, no string, by actor, ask func(*record) bool) (Settlement, error) {
	if err := s.Channel.Spec().Number("out_refund_no", no); err != nil {
		return Settlement{}, err
	}
	tx, err := s.beginUntil(ctx, func(*record) bool { return true }, no)
	if err != nil {
		return Settlement{}, err
	}
	if !ask(&tx.rec) {
		return Settlement{State: tx.rec.State, Refund: tx.rec.view(), Owes: len(tx.rec.Outbox) > 0}, nil
	}
	st, err := s.ask(ctx, no, tx.rec.Revision, by)
	if IsCode(err, CodeNotFound) && tx.rec.waits() {
		return Settlement{}, tx.rec.waitingError(s.now())
	}
	if IsCode(err, CodeNotFound) && tx.rec.State.reserves() {
		return Settlement{}, unavailable("the upstream does not know this refund yet; query again, or repeat the refund identically", err)
	}
	return st, err
}

// refundNo finds the refund number that a lookup means.
func (s *Service) refundNo(ctx context.Context, l Lookup) (string, error) {
	if l.RefundID == "" {
		return l.OutRefundNo, nil
	}
	spec := s.Channel.Spec()
	if err := spec.Number("refund_id", l.RefundID); err != nil {
		return "", err
	}
	if err := s.Bind(ctx); err != nil {
		return "", err
	}
	items, err := s.Ledger.Get(ctx, refundIDKey(l.RefundID))
	if err != nil {
		return "", ledgerError(err)
	}
	if items[0].Version > 0 {
		var no string
		return no, decode(items[0], &no)
	}
	if !slices.Contains(spec.Lookups, "refund_id") {
		return "", notFound("refund_id is not known here; query by out_refund_no")
	}
	page, err := s.Channel.Query(ctx, Lookup{RefundID: l.RefundID})
	switch {
	case err != nil:
		return "", AsError(err)
	case len(page.Refunds) != 1 || page.Refunds[0].RefundID != l.RefundID:
		return "", unavailable("the upstream's answer is not about that refund", nil)
	}
	return page.Refunds[0].OutRefundNo, nil
}

// QueryOrder returns a page of an order's refunds: as the upstream reports them
// now, where it can be asked about orders, else from the ledger.
// [CodeNotFound] if the order has none.
func (s *Service) QueryOrder(ctx context.Context, caller Caller, l Lookup) (Page, error) {
	buyer, err := s.admitQuery(ctx, caller)
	if err != nil {
		return Page{}, err
	}
	if err := s.Bind(ctx); err != nil {
		return Page{}, err
	}
	if buyer {
		return s.listAsBuyer(ctx, caller, l)
	}
	field, value := l.order()
	spec := s.Channel.Spec()
	if err := spec.Number(field, value); err != nil {
		return Page{}, err
	}
	if slices.Contains(spec.Lookups, field) {
		return s.askOrder(ctx, l, caller.actor())
	}
	return s.listOrder(ctx, l)
}

// order is the number by which a lookup names an order. WeChat's own comes first.
func (l Lookup) order() (field, value string) {
	if l.TransactionID != "" {
		return "transaction_id", l.TransactionID
	}
	return "out_trade_no", l.OutTradeNo
}

// askOrder asks the upstream about an order's refunds, and settles what it reports of
// each. A refund whose state moves while the answer is on its way has overtaken it.
func (s *Service) askOrder(ctx context.Context, l Lookup, by actor) (Page, error) {
	known, err := s.orderRecords(ctx, l)
	if err != nil {
		return Page{}, err
	}
	revisions := make(map[string]int, len(known))
	for _, rec := range known {
		revisions[rec.Request.OutRefundNo] = rec.Revision
	}
	callCtx, cancel := callContext(ctx)
	page, err := s.Channel.Query(callCtx, l)
	cancel()
	if IsCode(err, CodeNotFound) && anyInDoubt(known) {
		return Page{}, unavailable("a refund of this order is in doubt, and the upstream does not know it yet; query again", err)
	}
	if IsCode(err, CodeNotFound) && anyWaits(known) { // of which the ledger alone knows
		return s.listOrder(ctx, l)
	}
	if err != nil {
		if AsError(err).CountedOnly && len(known) > 0 { // it counts them and reports nothing: the ledger knows more
			return s.listOrder(ctx, l)
		}
		return Page{}, AsError(err)
	}
	for i, reported := range page.Refunds {
		st, err := s.settle(ctx, Outcome{Source: Query, OutRefundNo: reported.OutRefundNo, Refund: reported, revision: revisions[reported.OutRefundNo], listed: true, by: by})
		if err != nil {
			return Page{}, err
		}
		if st.ask { // the list contradicts a final state: only a query of that refund counts
			if st, err = s.ask(ctx, reported.OutRefundNo, st.revision, by); err != nil {
				return Page{}, err
			}
		}
		page.Refunds[i] = st.Refund
	}
	return page, nil
}

// orderRecords are an order's refunds that count in the ledger now. One that is not
// among them has not moved: whatever the ledger knows of it by the time of an
// answer has come meanwhile, or was refused.
func (s *Service) orderRecords(ctx context.Context, l Lookup) ([]record, error) {
	var all []orderEntry
	for _, number := range []Lookup{{TransactionID: l.TransactionID}, {OutTradeNo: l.OutTradeNo}} {
		if number == (Lookup{}) {
			continue
		}
		a, err := s.order(ctx, number)
		if err != nil {
			return nil, err
		}
		for _, m := range a.all() {
			place(&all, m)
		}
	}
	if len(all) == 0 {
		return nil, nil
	}
	return s.records(ctx, all)
}

// records reads the refunds of an account.
func (s *Service) records(ctx context.Context, members []orderEntry) ([]record, error) {
	keys := make([]Key, 0, len(members))
	for _, m := range members {
		keys = append(keys, refundKey(m.No))
	}
	items, err := s.Ledger.Get(ctx, keys...)
	if err != nil {
		return nil, ledgerError(err)
	}
	records := make([]record, len(items))
	for i, it := range items {
		if err := decode(it, &records[i]); err != nil {
			return nil, err
		}
	}
	return records, nil
}

// listOrder lists an order's refunds from the ledger.
func (s *Service) listOrder(ctx context.Context, l Lookup) (Page, error) {
	a, err := s.order(ctx, l)
	if err != nil {
		return Page{}, err
	}
	all := a.all()
	total := len(all)
	switch {
	case total == 0:
		return Page{}, notFound("no refund of this order is known here")
	case l.Offset < 0 || l.Offset > total:
		return Page{}, invalidf("offset must be between 0 and total_refund_count, which is %d", total)
	}
	members := all[l.Offset:min(l.Offset+pageSize, total)]
	page := Page{TotalRefundCount: total, RefundCount: len(members), Offset: l.Offset, Refunds: []Refund{}}
	if len(members) == 0 {
		return page, nil
	}
	records, err := s.records(ctx, members)
	if err != nil {
		return Page{}, err
	}
	for _, rec := range records {
		page.Refunds = append(page.Refunds, rec.view())
	}
	return page, nil
}

// order reads the account of the order that a lookup means.
func (s *Service) order(ctx context.Context, l Lookup) (orderAccount, error) {
	key := transactionKey(l.TransactionID)
	if l.TransactionID == "" {
		key = tradeKey(l.OutTradeNo)
	}
	var a orderAccount
	for range 3 { // an order has two numbers, so one step suffices; a bound, should items ever point in a circle
		items, err := s.Ledger.Get(ctx, key)
		if err != nil {
			return orderAccount{}, ledgerError(err)
		}
		a = orderAccount{}
		if err := decode(items[0], &a); err != nil {
			return orderAccount{}, err
		}
		if a.SameAs == "" {
			break
		}
		key = a.SameAs
	}
	return a, nil
}

func notFound(message string) *Error {
	return &Error{Code: CodeNotFound, Next: LaterOrFix, Message: message}
}
