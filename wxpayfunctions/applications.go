package wxpayfunctions

import (
	"context"
	"slices"
	"strings"

	"wxrefund/shared/refund"
)

func (h *Handler) apply(ctx context.Context, caller refund.Caller, d *decoder, event object) (any, error) {
	var req refund.ApplyRequest
	o, err := h.fields(d, event, &req, "data")
	if err != nil {
		return nil, err
	}
	// Without amount a buyer asks for all that is left. A sum that went missing on its way
	// must not mean that: 0, or what JSON makes of undefined and NaN.
	if amount, ok := o["amount"].(object); ok {
		const field, absent = "amount.refund", ": leave amount out for all that is left"
		switch n, given := amount["refund"]; {
		case d.wrong["amount.Refund"]:
		case !given:
			d.report(field, field+" is required"+absent)
		case n == nil:
			d.report(field, field+" must be in fen, an integer, not null"+absent)
		case req.Amount.Refund == 0:
			d.report(field, field+" must be at least 1"+absent)
		}
	}
	spec := h.refunds.Channel.Spec()
	for _, p := range spec.Problems(refund.Request{TransactionID: req.TransactionID, OutTradeNo: req.OutTradeNo}) {
		if p.Fields[0] == "transaction_id" || p.Fields[0] == "out_trade_no" {
			d.reportProblems(p)
		}
	}
	if err := d.err(); err != nil {
		return nil, err
	}
	return h.refunds.Apply(ctx, caller, req)
}

func (h *Handler) approve(ctx context.Context, caller refund.Caller, d *decoder, event object) (any, error) {
	return h.decide(ctx, caller, d, event, h.refunds.Approve)
}

func (h *Handler) reject(ctx context.Context, caller refund.Caller, d *decoder, event object) (any, error) {
	return h.decide(ctx, caller, d, event, h.refunds.Reject)
}

// decide passes a decision on.
func (h *Handler) decide(ctx context.Context, caller refund.Caller, d *decoder, event object, to func(context.Context, refund.Caller, refund.Decision) (refund.Application, error)) (any, error) {
	var decision refund.Decision
	if _, err := h.fields(d, event, &decision, "data"); err != nil {
		return nil, err
	}
	if err := d.err(); err != nil {
		return nil, err
	}
	return to(ctx, caller, decision)
}

func (h *Handler) withdraw(ctx context.Context, caller refund.Caller, d *decoder, event object) (any, error) {
	return h.decide(ctx, caller, d, event, func(ctx context.Context, caller refund.Caller, decision refund.Decision) (refund.Application, error) {
		return h.refunds.Withdraw(ctx, caller, refund.Decision{ApplicationID: decision.ApplicationID})
	})
}

func (h *Handler) list(ctx context.Context, caller refund.Caller, d *decoder, event object) (any, error) {
	var q refund.ApplicationQuery
	if _, err := h.fields(d, event, &q, "data"); err != nil {
		return nil, err
	}
	if allowed := listStates(q.Kind); q.State != "" && !slices.Contains(allowed, q.State) {
		d.reportProblems(refund.Problem{Fields: []string{"state", "kind"}, Says: "state must be " + oneOf(allowed)})
	}
	if err := d.err(); err != nil {
		return nil, err
	}
	return h.refunds.ListFor(ctx, caller, q)
}

// listStates are the states by which a kind is listed.
func listStates(kind string) (states []string) {
	if kind == "refunds" {
		for _, s := range []refund.State{refund.Claimed, refund.Processing, refund.Success, refund.Closed, refund.Abnormal, refund.Rejected} {
			states = append(states, strings.ToUpper(string(s)))
		}
		return states
	}
	for _, s := range refund.ApplicationStates() {
		states = append(states, string(s))
	}
	return states
}

// abnormal passes on what a refund whose bank has refused it is to be finished with.
func (h *Handler) abnormal(ctx context.Context, caller refund.Caller, d *decoder, event object) (any, error) {
	a, err := h.readAbnormal(d, event)
	if err != nil {
		return nil, err
	}
	return h.refunds.FinishAbnormal(ctx, caller, a)
}

const abnormalType = "wxpay_refund_abnormal"

// ReadAbnormal returns what an event of the type wxpay_refund_abnormal asks for, as
// [Handler.ReadRefund] does of wxpay_refund. Nothing happens.
func (h *Handler) ReadAbnormal(event []byte) (a refund.AbnormalRequest, err error) {
	o, err := readObject(event)
	if err != nil {
		return a, err
	}
	d := newDecoder()
	if name := d.eventType(o); name != abnormalType {
		d.report("type", "type must be "+abnormalType)
		return a, d.err()
	}
	return h.readAbnormal(d, o)
}

// readAbnormal reads what is asked for. No message holds a value: they are a person's name
// and card.
func (h *Handler) readAbnormal(d *decoder, event object) (a refund.AbnormalRequest, err error) {
	if d.find(event, "", "data") == nil { // beside the event's own type there is no place for another
		d.report("data", "data is required: all fields stand in it, since one of them is type")
		return a, d.err()
	}
	if _, err := h.fields(d, event, &a, "data"); err != nil {
		return a, err
	}
	card := []struct{ field, value string }{{"bank_type", a.BankType}, {"bank_account", a.BankAccount}, {"real_name", a.RealName}}
	for _, c := range card {
		both := []string{c.field, "type"} // which of them is wrong nobody knows
		switch {
		case a.Type == refund.UserBankCard && c.value == "":
			d.reportProblems(refund.Problem{Fields: both, Says: c.field + " is required with the type USER_BANK_CARD"})
		case a.Type == refund.MerchantBankCard && c.value != "":
			d.reportProblems(refund.Problem{Fields: both, Says: c.field + " must not stand with the type MERCHANT_BANK_CARD, which names no card"})
		}
	}
	if strings.Trim(a.BankAccount, "0123456789") != "" {
		d.report("bank_account", "bank_account must be digits alone")
	}
	if says := h.refunds.Channel.Spec().Number("out_refund_no", a.OutRefundNo); says != nil {
		d.report("out_refund_no", refund.AsError(says).Message)
	}
	return a, d.err()
}

// oneOf lists words for a sentence.
func oneOf(words []string) string {
	last := len(words) - 1
	return strings.Join(words[:last], ", ") + " or " + words[last]
}
