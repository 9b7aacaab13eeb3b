package simulation_test

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"wxrefund/shared/refund"
)

// told is what a reply tells: a refund, an application, or a list of either.
type told struct {
	Status        string
	ApplicationID string `json:"application_id"`
	State         string
	OutRefundNo   string `json:"out_refund_no"`
	OutTradeNo    string `json:"out_trade_no"`
	TransactionID string `json:"transaction_id"`
	Amount        struct{ Refund int64 }
	CreatedAt     time.Time `json:"created_at"`
	DecidedAt     time.Time `json:"decided_at"`
	ReceivedBy    string    `json:"received_by"`
	Refund        *told
	Items         []told
	Total         int
}

// is reports whether it is of that order.
func (d told) is(o order) bool {
	return d.OutTradeNo == o.Trade || d.TransactionID == o.Transaction && d.TransactionID != ""
}

// deed does what one of the people does: as often as they are told to repeat it, within reason.
func (w *world) deed(a act, name string) {
	if w.history.Shop == nil || !w.invariants.on {
		return
	}
	for try := range 3 {
		say := w.says(a, fmt.Sprintf("%s.%d", name, try))
		if say != nil && say.Code != 503 && say.Code != 429 && say.Code != 500 {
			return
		}
		pause := span(w.random.of(name, "pause", fmt.Sprint(try)), time.Second, time.Minute)
		if say != nil && say.RetryAfter < 3600 {
			pause = max(pause, time.Duration(say.RetryAfter)*time.Second+time.Second)
		}
		time.Sleep(pause)
	}
}

// says does it once; nil: no answer came.
func (w *world) says(a act, name string) *verdict {
	o := w.history.Orders[a.Order]
	who := w.caller(a.Who, o)
	switch a.Do {
	case "apply":
		return w.appliesFor(who, a, o, name)
	case "refund":
		return w.refundsBySelf(who, a, o, name)
	case "look":
		return w.looks(who, name)
	case "finish":
		return w.finishes(who, name)
	}
	if what, known := strings.CutSuffix(a.Do, " at once"); known { // who has seen it before need not look
		var ids []string
		for _, d := range w.docket.heardOf() {
			if d.is(o) {
				ids = append(ids, d.ApplicationID)
			}
		}
		if slices.Sort(ids); len(ids) == 0 {
			return &verdict{}
		}
		return w.decides(who, what, ids[w.random.of(name, "known").IntN(len(ids))], name)
	}
	list := w.as(who, name+" lists", "wxpay_refund_list", map[string]any{"limit": 50})
	if list == nil || list.Code != 0 && list.Code != 403 {
		return list
	}
	all := list.Data.Items
	if list.Code == 403 || strings.HasSuffix(a.Do, "another's") { // who may not see any has heard of some
		all = w.docket.heardOf()
	}
	id := w.chooses(a, o, all, name)
	if id == "" {
		return list
	}
	return w.decides(who, strings.TrimSuffix(a.Do, " another's"), id, name)
}

// chooses finds an application of the order to decide about: one that waits, else one that
// is approved, and now and then any.
func (w *world) chooses(a act, o order, all []told, name string) string {
	r := w.random.of(name, "chooses")
	states := []string{"PENDING"}
	if a.Do == "approve" {
		states = append(states, "APPROVED")
	}
	if r.IntN(8) == 0 {
		states = append(states, "REJECTED", "WITHDRAWN", "REFUNDED")
	}
	for _, state := range states {
		var ids []string
		for _, d := range all {
			if d.State == state && d.is(o) {
				ids = append(ids, d.ApplicationID)
			}
		}
		if slices.Sort(ids); len(ids) > 0 {
			return ids[r.IntN(len(ids))]
		}
	}
	return ""
}

// as has somebody call, and holds against the rules what is answered, as far as it can be
// without knowing what was asked.
func (w *world) as(who refund.Caller, name, kind string, data map[string]any) *verdict {
	c := w.begin(name, w.history.Limit)
	c.as = &who
	asked := time.Since(w.start)
	say := w.invoke(c, kind, data)
	if say == nil {
		return nil
	}
	w.count(fmt.Sprintf("answers %s %d", kind, say.Code), 1)
	w.invariants.judge("reply: no decision is answered by an internal error", say.Code != 500, "%s of %s is", kind, name)
	for _, d := range append(say.Data.Items, say.Data) {
		if d.ApplicationID != "" {
			w.docket.shown(who, d, asked)
		}
		r := d
		if d.ApplicationID != "" && d.Refund != nil {
			r = *d.Refund
		}
		if r.Status == "" { // an application, or a claim of which nobody knows more
			continue
		}
		// Whatever is called a refund here is one at WeChat Pay, of that order and amount.
		u, held := w.upstream(r.OutRefundNo)
		w.invariants.judge("reply: what is shown as refunded is", held && u.Amount.Refund == r.Amount.Refund,
			"%s is shown as a refund of %d, and WeChat Pay holds %+v", r.OutRefundNo, r.Amount.Refund, u)
	}
	return say
}

// appliesFor has somebody apply for a refund of an order.
func (w *world) appliesFor(who refund.Caller, a act, o order, name string) *verdict {
	data := map[string]any{"reason": "不想要了"}
	if by := w.random.of(name, "by").IntN(3); by > 0 || w.system.byTrade {
		data["out_trade_no"] = o.Trade
	}
	if _, named := data["out_trade_no"]; !named {
		data["transaction_id"] = o.Transaction
	}
	if a.Fen > 0 {
		data["amount"] = map[string]any{"refund": a.Fen}
	}
	if a.No != "" {
		data["request_id"] = a.No
	}
	w.docket.applies(who, o, a)
	say := w.as(who, name, "wxpay_refund_apply", data)
	if say != nil && say.Code == 0 {
		w.invariants.judge("W2 who applies is the order's payer", w.docket.pays(who, o), "%s has applied for a refund of %s, whose payer is %s", who.OpenID, o.Trade, o.Payer)
	}
	return say
}

// refundsBySelf has somebody refund, as operators may.
func (w *world) refundsBySelf(who refund.Caller, a act, o order, name string) *verdict {
	data := map[string]any{"out_refund_no": a.No, "reason": "协商一致", "amount": map[string]any{"refund": a.Fen, "total": o.Total, "currency": o.currency()}}
	if w.history.Shop.Mixed && hash(a.No)%2 == 0 {
		data["transaction_id"] = o.Transaction
	} else {
		data["out_trade_no"] = o.Trade
	}
	w.docket.refunds(who, o, a)
	say := w.as(who, name, "wxpay_refund", data)
	if say != nil && (say.Code == 0 || say.Code == 202) {
		w.invariants.judge("W1 who refunds is an operator", slices.Contains(operators(), who.OpenID), "%s, who is none, is answered %d to a refund", who.OpenID, say.Code)
	}
	return say
}

// decides has somebody decide about an application.
func (w *world) decides(who refund.Caller, what, id, name string) *verdict {
	ruled := w.docket.rules(who, what, id)
	say := w.as(who, name, "wxpay_refund_"+what, map[string]any{"application_id": id})
	if say == nil {
		return nil
	}
	w.docket.answered(ruled, say)
	if say.Code == 0 {
		w.count("decisions "+what+" "+say.Data.State, 1)
	}
	return say
}

// looks has a buyer look at what is theirs, and at what is not. Operators may see all.
func (w *world) looks(who refund.Caller, name string) *verdict {
	sees := func(o order) bool { return w.docket.pays(who, o) || slices.Contains(operators(), who.OpenID) }
	for _, kind := range []string{"applications", "refunds"} {
		say := w.as(who, name+" "+kind, "wxpay_refund_list", map[string]any{"kind": kind})
		if say == nil {
			return nil
		}
		for _, d := range say.Data.Items {
			w.invariants.judge("W5 lists show nobody another's", slices.ContainsFunc(w.history.Orders, func(o order) bool { return d.is(o) && sees(o) }), "%s is shown %+v", who.OpenID, d)
		}
	}
	for i, u := range w.upstreams() {
		say := w.as(who, fmt.Sprintf("%s at %d", name, i), "wxpay_refund_query", map[string]any{"out_refund_no": u.OutRefundNo})
		of := w.history.ordered(u.OutTradeNo)
		if say != nil && say.Code == 0 {
			w.invariants.judge("W5 queries show nobody another's", sees(of), "%s is shown %s of %s", who.OpenID, u.OutRefundNo, u.OutTradeNo)
		}
	}
	return &verdict{}
}

// ordered finds an order by its merchant's number.
func (h *history) ordered(trade string) order {
	for _, o := range h.Orders {
		if o.Trade == trade {
			return o
		}
	}
	return order{}
}

// finishes has somebody send the money of an abnormal refund elsewhere.
func (w *world) finishes(who refund.Caller, name string) *verdict {
	for _, u := range w.upstreams() {
		if u.Status != "ABNORMAL" {
			continue
		}
		fields := map[string]any{"out_refund_no": u.OutRefundNo, "type": "MERCHANT_BANK_CARD"}
		if w.random.of(name, "card").IntN(2) == 0 {
			fields = map[string]any{"out_refund_no": u.OutRefundNo, "type": "USER_BANK_CARD", "bank_type": "ICBC_DEBIT", "bank_account": cardNumber, "real_name": cardHolder}
		}
		say := w.as(who, name, "wxpay_refund_abnormal", map[string]any{"data": fields})
		if say != nil && say.Code == 0 {
			w.invariants.judge("W1 who finishes an abnormal refund is an operator", slices.Contains(operators(), who.OpenID), "%s, who is none, has finished %s", who.OpenID, u.OutRefundNo)
		}
		return say
	}
	return &verdict{}
}

// What is known of a payer's card, and must be kept nowhere.
const (
	cardNumber = "6222020000001234567"
	cardHolder = "李雷雷"
)

// review has an operator look at all applications once everything is over.
func (w *world) review() {
	if w.history.Shop == nil || !w.invariants.on {
		return
	}
	who := w.caller(operatorB, order{})
	for offset := 0; ; offset += 50 {
		say := w.as(who, fmt.Sprintf("review %d", offset), "wxpay_refund_list", map[string]any{"offset": offset, "limit": 50})
		if !w.invariants.judge("reply: the applications are listed in the end", say != nil && say.Code == 0, "%+v", say) {
			return
		}
		w.docket.reviewed(say.Data.Items)
		if offset+50 >= say.Data.Total {
			break
		}
	}
	// What went back to the merchant is a success, and not with the customer (W7).
	for i, u := range w.upstreams() {
		if row, _ := w.invariants.row(u.OutRefundNo); u.Status != "SUCCESS" || row.State != "success" {
			continue
		}
		say := w.as(who, fmt.Sprintf("review of %d", i), "wxpay_refund_query", map[string]any{"out_refund_no": u.OutRefundNo})
		merchants := strings.HasPrefix(u.Account, "商户")
		w.invariants.judge("W7 what the merchant got is told apart", say != nil && say.Code == 0 && (say.Data.ReceivedBy == "merchant") == merchants,
			"%s has gone to %s, and is shown as %+v", u.OutRefundNo, u.Account, say)
		if merchants {
			w.count("refunds that the merchant got", 1)
		}
	}
}

// asksAbout finds the order that a request is about.
func (w *world) asksAbout(path string, body []byte) string {
	for _, o := range w.history.Orders {
		if all := path + string(body); strings.Contains(all, o.Trade) || strings.Contains(all, o.Transaction) {
			return o.Trade
		}
	}
	return "no order"
}

// asksForOrder reports whether a request asks about an order, as the five systems are asked.
func asksForOrder(path string, body []byte) bool {
	for _, of := range []string{"/pay/transactions/", "/pay/partner/transactions/", "/pay/orderquery", "/miniapppay/get_order"} {
		if strings.Contains(path, of) {
			return true
		}
	}
	var call struct {
		Data string `json:"request_data"`
	}
	_ = json.Unmarshal(body, &call) // a form has another mark
	return strings.Contains(call.Data, "wxpay_query_order_by_") || strings.Contains(string(body), "\r\n\r\nqueryOrder\r\n")
}
