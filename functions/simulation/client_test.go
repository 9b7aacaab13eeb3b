package simulation_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"
)

// A verdict is what a client is told.
type verdict struct {
	Code       int
	Retry      string
	RetryAfter int `json:"retry_after"` // seconds
	Data       told
}

// tap is a client that wants a refund and does as it is told: it repeats under
// the same number as long as nobody knows, and stops at a definite answer.
func (w *world) tap(f wish, at time.Duration, finger string) {
	w.sleepUntil(at)
	no := f.No
	for try := range f.Tries {
		name := fmt.Sprintf("%s %s.%d", finger, f.No, try)
		r := w.random.of(name)
		w.names(f.No, no)
		fen := f.Fen
		if try > 0 && f.Other > 0 {
			fen = f.Other
		}
		told := w.ask(f, no, fen, name)
		switch {
		case told == nil:
		case told.Code == 0, told.Retry == "never":
			return
		}
		pause := span(r, 100*time.Millisecond, 90*time.Second)
		if told != nil {
			pause = max(pause, time.Duration(told.RetryAfter)*time.Second+time.Second)
		}
		time.Sleep(pause)
		if w.side.renumbers() && r.IntN(2) == 0 { // "it has failed, so let us try again"
			no = fmt.Sprintf("%s-%s%d", f.No, finger[:1], try+1)
		}
	}
}

// ask asks once; nil: no answer came.
func (w *world) ask(f wish, no string, fen int64, name string) *verdict {
	o := w.history.Orders[f.Order]
	data := map[string]any{
		"out_refund_no": no, "reason": "商品已售完",
		"amount": map[string]any{"refund": fen, "total": f.Total, "currency": o.currency()},
	}
	if f.By != byTrade {
		data["transaction_id"] = o.Transaction
	}
	if f.By != byTransaction {
		data["out_trade_no"] = o.Trade
	}
	c := w.begin(name, w.history.Limit)
	before, _ := w.invariants.row(no)
	suspended := w.invariants.suspended(no)
	told := w.invoke(c, "wxpay_refund", data)
	if told == nil {
		return nil
	}
	if told.Code == 409 && told.Retry == "new_number" {
		w.count("clients told that their number is taken", 1)
	}
	// What a client is told of the money must be so: what WeChat Pay holds under his
	// number is his refund only if the order and the amount are.
	u, held := w.upstream(no)
	his := held && u.OutTradeNo == o.Trade && u.Amount.Refund == fen
	after, _ := w.invariants.row(no)
	wrong := func(about bool) {
		if about {
			w.count("replies that are wrong", 1)
		}
	}
	taken, v := told.Code == 409 && told.Retry == "new_number", w.invariants
	if told.Code == 0 {
		wrong(!v.judge("reply: what is called refunded is, with order and amount", his, "%s is called refunded, and WeChat Pay holds %d of %s", no, u.Amount.Refund, u.OutTradeNo))
	}
	if taken {
		wrong(!v.judge("reply: what is called taken is somebody else's", held && !(his && f.Total == o.Total && u.Status != "CLOSED"), "%s is called taken, and what WeChat Pay holds under it is %+v", no, u))
	}
	if before.Taken && !his {
		v.judge("reply: of what is taken everybody is told", taken || slices.Contains([]int{400, 429, 503}, told.Code), "%s is known to be taken, and is answered with %+v", no, *told)
	}
	if suspended && after.State == "claimed" {
		v.judge("reply: what waits for a person is not answered for", slices.Contains([]int{400, 409, 429, 503}, told.Code), "%s waits for a person to decide, and is answered with %+v", no, *told)
	}
	// A refund by hand may happen to be the same as his: until our side has heard of it,
	// that his own was refused is the truth.
	if told.Code == 422 || told.Code == 404 || told.Code == -1 {
		lie := his && u.Status != "CLOSED" && c.knew(no) && (!w.history.byHand(no) || !slices.Contains([]string{"", "claimed", "rejected"}, before.State))
		wrong(!v.judge("reply: what is called refused is not held", !lie, "%s is called refused, and WeChat Pay holds it as %s", no, u.Status))
	}
	v.judge("reply: no answer is an internal error", told.Code != 500, "%s is answered so", no)
	return told
}

// invoke calls the dispatcher; nil: nobody lives to answer.
func (w *world) invoke(c *call, kind string, data map[string]any) *verdict {
	data["type"] = kind
	event, err := json.Marshal(data)
	if err != nil {
		panic(err)
	}
	reply := w.side.dispatch(c, event)
	if !c.end() {
		return nil
	}
	var v verdict
	if err := json.Unmarshal(reply, &v); !w.invariants.judge("reply: an answer is JSON", err == nil, "%s: %v", reply, err) {
		return nil
	}
	w.logf(c.name, "answers %s", reply)
	return &v
}

// act does what the history says that somebody does.
func (w *world) act(a act, name string) {
	w.sleepUntil(a.At)
	w.logf(name, "%s %s %s", a.Do, a.No, a.Status)
	switch a.Do {
	case "query", "query order", "query transaction", "query id":
		data := map[string]any{"out_refund_no": a.No}
		switch u, held := w.upstream(a.No); {
		case a.Do == "query order":
			data = map[string]any{"out_trade_no": w.history.Orders[a.Order].Trade}
		case a.Do == "query transaction":
			data = map[string]any{"transaction_id": w.history.Orders[a.Order].Transaction}
		case a.Do == "query id" && held:
			data = map[string]any{"refund_id": u.RefundID}
		}
		w.invoke(w.begin(name, w.history.Limit), "wxpay_refund_query", data)
	case "by hand":
		in := map[string]any{"out_trade_no": w.history.Orders[a.Order].Trade, "out_refund_no": a.No, "amount": a.Fen}
		if w.system.handNotification != "" {
			in["notification"] = w.system.handNotification
		}
		begun := time.Since(w.start)
		w.control(http.MethodPost, "refunds", in, nil)
		w.taken(a.No, name, begun)
	case "settle":
		for _, u := range w.upstreams() {
			if u.OutRefundNo == a.No || strings.HasPrefix(u.OutRefundNo, a.No+"-") {
				w.settle(u.OutRefundNo, a.Status)
			}
		}
	case "apply", "approve", "reject", "withdraw", "refund", "finish", "look", "withdraw another's", "approve at once", "reject at once":
		w.deed(a, name)
	case "settle order":
		for _, u := range w.upstreams() {
			if u.OutTradeNo == w.history.Orders[a.Order].Trade {
				w.settle(u.OutRefundNo, a.Status)
			}
		}
	case "whole relay", "false relay", "stranger's whole relay", "nobody's whole relay":
		w.relays(a, name)
	case "amend":
		w.amend(a, name)
	case "relay", "lying relay", "stranger's relay":
		status := "SUCCESS"
		if u, ok := w.upstream(a.No); ok && a.Do == "relay" && u.Status != "PROCESSING" {
			status = u.Status
		}
		w.relay(a, name, w.system.hint(a.No, status))
	case "replay":
		if l, ok := w.seen(a.No); ok {
			w.deliver(l, "", name)
		}
	case "forge":
		w.forge(a.No, name)
	}
}

// seen returns the last genuine notification about a refund.
func (w *world) seen(no string) (notification, bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	l, ok := w.notifications[no]
	return l, ok
}
