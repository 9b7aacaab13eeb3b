package refund

import (
	"context"
	"log/slog"
	"slices"
	"time"
)

// Apply asks for a refund of an order on behalf of the buyer who has paid it. What becomes
// of it, [SelfService] says: it waits for a decision, or is refunded at once. The same wish
// again is the same application: what has the same request_id or, without one, the same
// order and amount within a day. [CodeDenied] of an order that the caller has not paid, or
// of which nobody says who has; [CodeUnavailable] if the upstream does not tell about it.
func (s *Service) Apply(ctx context.Context, caller Caller, req ApplyRequest) (Application, error) {
	if err := s.admitApplicant(ctx, caller); err != nil {
		return Application{}, err
	}
	if err := s.Channel.Spec().checkApply(req); err != nil {
		return Application{}, err
	}
	if err := s.Bind(ctx); err != nil {
		return Application{}, err
	}
	var told *PaidOrder
	var made application
	var isNew bool
	err := s.retry(ctx, func() error {
		for {
			t, err := s.beginApply(ctx, caller, req, told)
			if err != nil {
				return err
			}
			if t.order == nil { // nobody has asked about the order yet
				o, err := s.askAsBuyer(ctx, caller, t, req)
				if err != nil {
					return err
				}
				told = &o
				continue
			}
			made, isNew, err = s.apply(ctx, t)
			return err
		}
	})
	if err != nil {
		return Application{}, err
	}
	if isNew {
		s.log(ctx, slog.LevelInfo, "applied", made.Request.OutRefundNo, "application_id", made.ID, "state", made.State, "caller", caller)
	}
	if isNew && made.Auto {
		crash("apply.after")
		rec, err := s.carryOut(ctx, caller, made)
		if err != nil && AsError(err).Code == CodeInternal {
			return Application{}, err
		}
		return made.view(rec).forBuyer(), nil
	}
	return s.seen(ctx, made, true)
}

// admitApplicant says whether the caller may apply at all.
func (s *Service) admitApplicant(ctx context.Context, caller Caller) error {
	switch {
	case caller.Kind != User || caller.OpenID == "":
		return denied("only a user of the mini-program can apply for a refund: a server or an operator refunds with wxpay_refund")
	case s.Self.Mode == SelfOff:
		s.log(ctx, slog.LevelWarn, "denied", "", "caller", caller)
		return denied("buyers cannot apply for refunds here: REFUND_SELF is off")
	}
	return nil
}

// checkApply reports what the channel could not carry of an application.
func (s Spec) checkApply(req ApplyRequest) error {
	var c complaints
	switch _, ok := s.orderLookup(req.TransactionID, req.OutTradeNo); {
	case req.TransactionID == "" && req.OutTradeNo == "":
		c.add("transaction_id or out_trade_no is required", "transaction_id", "out_trade_no")
	case req.TransactionID != "" && s.TransactionID.Max > 0:
		c.number(s, "transaction_id", req.TransactionID, s.TransactionID)
	case !ok:
		c.add("out_trade_no is required: the channel "+s.Name+" cannot be asked about an order by another number", "out_trade_no")
	}
	if req.OutTradeNo != "" {
		c.number(s, "out_trade_no", req.OutTradeNo, s.OutTradeNo)
	}
	if req.Amount.Refund < 0 || req.Amount.Refund > maxMoney {
		c.add("amount.refund must be at least 1, or absent for all that is left", "amount.refund")
	}
	if req.Reason == "" {
		c.add("reason is required", "reason")
	}
	if len(req.RequestID) > maxNumber || !isNumber(req.RequestID) {
		c.add("request_id must have at most 64 visible ASCII characters", "request_id")
	}
	return c.err()
}

// An applying is one application as it is being made: what was read for it.
type applying struct {
	caller Caller
	req    ApplyRequest
	now    time.Time
	tx     *txn // the order's account

	payer    payerItem
	payerRow Item

	pointers map[Key]Item // that were read
	order    *orderFacts  // nil: nobody has asked
	keys     []Key        // of the order
}

// named reports whether the caller has named the application.
func (t *applying) named() bool { return t.req.RequestID != "" }

// pointer is where an application of that amount is found; 0: for all that is left.
func (t *applying) pointer(minor int64) Key {
	if t.named() {
		return pointerKey("request", t.caller.OpenID, t.req.RequestID)
	}
	number := t.order.TransactionID
	if number == "" {
		number = "/" + t.order.OutTradeNo
	}
	return pointerKey("order", t.caller.OpenID, number, minor)
}

// beginApply reads what an application depends on: the order's account, and what its payer
// has applied for.
func (s *Service) beginApply(ctx context.Context, caller Caller, req ApplyRequest, told *PaidOrder) (*applying, error) {
	t := &applying{caller: caller, req: req, now: s.now(), pointers: map[Key]Item{}}
	t.keys = orderKeys(req.TransactionID, req.OutTradeNo)
	if told != nil {
		t.keys = orderKeys(told.TransactionID, told.OutTradeNo)
	}
	tx, err := s.begin(ctx, "", t.keys...)
	if err != nil {
		return nil, err
	}
	t.tx = tx
	// Of numbers that are not of one order nothing is known: the upstream is asked, and says so.
	if facts := tx.facts(t.keys...); told == nil && facts.of(req.TransactionID, req.OutTradeNo) && len(facts.Payers) > 0 && s.VerifyOrder != VerifyAlways {
		t.order = facts
		// A refund by one number alone leaves the other one unjoined until an answer names both.
		if all := orderKeys(facts.TransactionID, facts.OutTradeNo); len(all) > len(t.keys) {
			t.keys = all
			if t.tx, err = s.begin(ctx, "", t.keys...); err != nil {
				return nil, err
			}
		}
		t.tx.settleNumbers(facts.TransactionID, facts.OutTradeNo)
	}
	if told != nil {
		tx.settleNumbers(told.TransactionID, told.OutTradeNo)
		tx.learn(*told, t.now, t.keys...)
		t.order = tx.facts(t.keys...)
		if t.order == nil { // the ledger knows the numbers as two orders'
			return nil, unavailable("the order's numbers name two orders in the ledger; a person has to look at it", nil)
		}
	}
	want := []Key{payerKey(caller)}
	if t.order != nil {
		want = append(want, t.pointer(req.Amount.Refund))
	}
	items, err := s.Ledger.Get(ctx, want...)
	if err != nil {
		return nil, ledgerError(err)
	}
	t.payerRow = items[0]
	if err := decode(items[0], &t.payer); err != nil {
		return nil, err
	}
	t.payer.on(t.now)
	for _, it := range items[1:] {
		t.pointers[it.Key] = it
	}
	return t, nil
}

// settleNumbers makes both numbers that the upstream has named lead to one account, whether
// or not a refund of the order has been claimed.
func (tx *txn) settleNumbers(transactionID, outTradeNo string) {
	keys := orderKeys(transactionID, outTradeNo)
	for _, k := range keys {
		a := tx.accounts[tx.resolve(k)]
		switch {
		case tx.exists(tx.resolve(k)):
		case k == transactionKey(transactionID):
			a.TransactionID = transactionID
		default:
			a.OutTradeNo = outTradeNo
		}
	}
	if len(keys) == 2 {
		tx.rec.Order = tx.resolve(keys[0])
		tx.joinOrderNumbers(transactionID, outTradeNo) // what contradicts it, the refund's own reply shows again
		tx.rec.Order = ""
	}
}

// apply makes the application, or finds the one that the same wish has made.
func (s *Service) apply(ctx context.Context, t *applying) (a application, isNew bool, err error) {
	if !t.order.paidBy(t.caller, s.AppIDs) {
		if t.payer.tooOften() { // as of an order that nobody has asked about yet
			return a, false, tooManyApplications(t.now)
		}
		return a, false, s.refuseApplicant(ctx, t.caller)
	}
	found, a, err := s.sameWish(ctx, t, t.req.Amount.Refund)
	if err != nil || found {
		return a, false, err
	}
	account := t.tx.accounts[t.tx.resolve(t.keys[0])]
	amount := RequestAmount{Refund: t.req.Amount.Refund, Total: account.Total, Currency: account.Currency}
	if amount.Currency == "" {
		amount.Currency = "CNY"
	}
	left := account.left(amount.Total)
	if amount.Refund == 0 {
		amount.Refund = left
	}
	rules := s.rules()
	req := s.Channel.Spec().applied(t, amount)
	switch {
	case !account.Confirmed || amount.Total <= 0:
		return a, false, unavailable("WeChat Pay has not told the order's total; apply again in a moment", nil)
	case amount.Refund == 0:
		return a, false, conflictf("nothing is left of the order: all of it is refunded or being refunded")
	}
	if err := account.checkCapacity(amount, rules.most); err != nil {
		return a, false, err
	}
	if err := t.order.refusal(req, s.Channel.Spec().Goods, t.now); err != nil {
		return a, false, err
	}
	if t.payer.Applied >= MaxAppliedADay {
		return a, false, tooManyApplications(t.now)
	}
	if amount.Refund != t.req.Amount.Refund && !t.named() {
		if found, a, err = s.sameWish(ctx, t, amount.Refund); err != nil || found {
			return a, false, err
		}
	}
	a = s.newApplication(t, req)
	if s.mayRefundAtOnce(t, account, amount) {
		account.Auto += amount.Refund
		a.Auto, a.DecidedAt = true, t.now
		a.Request.OutRefundNo = a.nextNumber()
		a.Numbers, a.LookAt = 1, t.now.Add(queryBackoff(0))
		a.move(ApplicationApproved, actor{}, "within what buyers may have at once", s.subscriberNames(), t.now)
	}
	items := append(t.tx.changes(t.now), a.item(Item{}, t.now), t.paid(a))
	for _, k := range t.leading(amount.Refund, left) {
		if err := t.read(ctx, s.Ledger, k); err != nil {
			return a, false, err
		}
		items = append(items, item(k, t.pointers[k].Version, applicationPointer{a.ID, t.now}, time.Time{}))
	}
	crash("apply.before")
	return a, true, ledgerError(s.Ledger.Commit(ctx, items...))
}

// sameWish finds the application that the same wish has made before.
func (s *Service) sameWish(ctx context.Context, t *applying, minor int64) (found bool, a application, err error) {
	k := t.pointer(minor)
	if err := t.read(ctx, s.Ledger, k); err != nil {
		return false, a, err
	}
	var p applicationPointer
	if err := decode(t.pointers[k], &p); err != nil {
		return false, a, err
	}
	if !p.leads(t.named(), t.now) {
		return false, a, nil
	}
	if a, _, err = s.readApplication(ctx, p.ID); err != nil {
		return false, a, err
	}
	if t.named() && (a.AskedFor != t.req.Amount.Refund || a.Reason != t.req.Reason ||
		differ(a.Request.TransactionID, t.order.TransactionID) || differ(a.Request.OutTradeNo, t.order.OutTradeNo)) {
		return false, a, conflictf("this request_id was first used for another application")
	}
	return true, a, nil
}

// read reads a pointer, unless it was.
func (t *applying) read(ctx context.Context, l Ledger, k Key) error {
	if _, ok := t.pointers[k]; ok {
		return nil
	}
	items, err := l.Get(ctx, k)
	if err != nil {
		return ledgerError(err)
	}
	t.pointers[k] = items[0]
	return nil
}

// leading are the pointers that lead to an application of that amount: what is all that is
// left is the same wish with its amount as without.
func (t *applying) leading(minor, left int64) []Key {
	keys := []Key{t.pointer(minor)}
	if minor == left || t.req.Amount.Refund == 0 {
		keys = append(keys, t.pointer(0))
	}
	return slices.Compact(keys)
}

// applied is the refund that an application asks for, with as many of the order's numbers
// and as much of the reason as the channel carries.
func (s Spec) applied(t *applying, amount RequestAmount) Request {
	r := Request{Amount: amount}
	if s.TransactionID.Max > 0 {
		r.TransactionID = t.order.TransactionID
	}
	if s.OutTradeNo.Max > 0 {
		r.OutTradeNo = t.order.OutTradeNo
	}
	r.Reason = shortened(t.req.Reason, s.Reason.Max)
	return r
}

func (s *Service) newApplication(t *applying, req Request) application {
	a := application{
		ID:        applicationID("B", t.caller.AppID, t.caller.OpenID, t.pointer(t.req.Amount.Refund), t.now.UnixMilli(), t.payerRow.Version),
		Applicant: t.caller.Identity(), AppID: t.caller.AppID, AskedFor: t.req.Amount.Refund, Reason: t.req.Reason, Request: req, CreatedAt: t.now,
	}
	e := t.caller.actor()
	a.move(ApplicationPending, e, t.req.Reason, s.subscriberNames(), t.now)
	return a
}

// mayRefundAtOnce reports whether the application is one that nobody has to decide.
func (s *Service) mayRefundAtOnce(t *applying, account *orderAccount, amount RequestAmount) bool {
	since := t.now.Sub(t.order.PaidAt)
	return s.Self.Mode == SelfAuto && amount.Currency == "CNY" &&
		amount.Refund <= s.Self.MaxFen-account.Auto &&
		!t.order.PaidAt.IsZero() && since <= s.Self.Within && since >= -clockSkew &&
		t.payer.Applied < s.Self.Daily &&
		s.Policy.admitAmount(t.caller, amount) == nil
}

// paid is the payer's item with one more application.
func (t *applying) paid(a application) Item {
	p := t.payer
	p.Applied++
	p.Applications = append(slices.Clone(p.Applications), a.ID)
	if more := len(p.Applications) - maxApplications; more > 0 {
		p.Applications = p.Applications[more:]
	}
	it := item(payerKey(t.caller), t.payerRow.Version, p, time.Time{})
	it.Body = preserve(t.payerRow.Body, it.Body, p)
	return it
}
