package exhaust

import (
	"context"
	"fmt"
	"slices"
	"time"

	"wxrefund/shared/refund"
)

// A move is what happens next.
type move struct {
	kind string
	i    int
	to   refund.Status
}

// moves lists what may happen. Within a call time does not pass.
func (r *run) moves(within bool) (all []move) {
	w, sc := r.w, r.x.scenario
	for i := range w.flying {
		if w.now.Before(w.flying[i].until) {
			all = append(all, move{kind: "arrives", i: i})
		}
	}
	for i, c := range w.clients {
		if !c.done && c.left > 0 && !r.calls(i) {
			all = append(all, move{kind: "taps", i: i})
		}
	}
	for i, l := range w.letters {
		if l.sent == 0 || l.sent == 1 && w.trouble > 0 {
			all = append(all, move{kind: "letter", i: i})
		}
	}
	for i, h := range w.refunds {
		switch h.status() {
		case refund.StatusProcessing:
			all = append(all, move{kind: "becomes", i: i, to: refund.StatusSuccess})
			if within && sc.letters {
				all = append(all, move{kind: "becomes and is told", i: i, to: refund.StatusSuccess})
			}
			if w.trouble > 0 && sc.abnormal {
				all = append(all, move{kind: "becomes", i: i, to: refund.StatusAbnormal}, move{kind: "becomes", i: i, to: refund.StatusClosed})
			}
		case refund.StatusAbnormal:
			all = append(all, move{kind: "becomes", i: i, to: refund.StatusSuccess})
		}
	}
	due, ok := w.due()
	if ok && !due.After(w.now) {
		all = append(all, move{kind: "timer"})
	}
	for i, a := range sc.acts {
		if !w.done[i] && !(within && a.time) && (a.may == nil || a.may(r)) {
			all = append(all, move{kind: "act", i: i})
		}
	}
	if within || w.waits == 0 {
		return all
	}
	if ok && due.After(w.now) {
		all = append(all, move{kind: "wait"})
		for i, d := range sc.leaps {
			if due.Before(w.now.Add(d)) {
				all = append(all, move{kind: "leap", i: i})
			}
		}
	}
	return all
}

// calls reports whether a client waits for an answer.
func (r *run) calls(i int) bool {
	return slices.ContainsFunc(r.stack, func(a *actor) bool { return a.wish == i })
}

// due is when the timer has something to do next.
func (w *world) due() (at time.Time, ok bool) {
	for k, it := range w.items {
		if !silent(k) && !it.Due.IsZero() && (!ok || it.Due.Before(at)) {
			at, ok = it.Due, true
		}
	}
	return at, ok
}

// do begins a move.
func (r *run) do(m move) {
	w := r.w
	r.changes++
	switch m.kind {
	case "arrives":
		f := w.flying[m.i]
		w.flying = slices.Delete(w.flying, m.i, m.i+1)
		r.say("the late request for %s arrives", f.req.OutRefundNo)
		if _, no := r.arrive(f.req, false, f.wish); no != nil {
			r.say("and is refused, %s", no.Upstream)
		}
		r.check()
	case "taps":
		w.clients[m.i].left--
		r.tap(m.i)
	case "letter":
		l := &w.letters[m.i]
		if l.sent++; l.sent > 1 {
			w.trouble--
		}
		r.deliver(m.i)
	case "becomes":
		if m.to != refund.StatusSuccess {
			w.trouble--
		}
		r.say("at WeChat Pay %s becomes %s", w.refunds[m.i].req.OutRefundNo, m.to)
		r.become(m.i, m.to)
	case "becomes and is told":
		r.say("at WeChat Pay %s becomes %s", w.refunds[m.i].req.OutRefundNo, m.to)
		r.become(m.i, m.to)
		w.letters[len(w.letters)-1].sent++
		r.deliver(len(w.letters) - 1)
	case "timer":
		r.begin("the timer", -1, func(s *refund.Service, _ *actor) {
			r.say("the timer runs")
			s.Reconciled = func(_ context.Context, sum refund.Summary, _ error) { w.billed = w.billed || sum.Bills > 0 }
			s.HandleTimer(context.Background(), refund.Caller{}, nil)
		})
	case "wait":
		due, _ := w.due()
		w.waits--
		r.say("%v pass", due.Sub(w.now).Round(time.Second))
		w.now = due
	case "leap":
		d := r.x.scenario.leaps[m.i]
		w.waits--
		r.say("%v pass", d)
		w.now = w.now.Add(d)
	case "act":
		w.done[m.i] = true
		r.x.scenario.acts[m.i].do(r)
	}
}

// number is a client's present number.
func (r *run) number(i int) string {
	no := r.x.scenario.wishes[i].no
	if n := r.w.clients[i].number; n > 0 {
		no += fmt.Sprintf("-%d", n+1)
	}
	return no
}

// request is what a client asks for.
func (r *run) request(i int) refund.Request {
	wish := r.x.scenario.wishes[i]
	o := r.x.scenario.orders[wish.order]
	req := refund.Request{OutRefundNo: r.number(i), Amount: refund.RequestAmount{Refund: wish.fen, Total: o.total, Currency: "CNY"}}
	if wish.total > 0 {
		req.Amount.Total = wish.total
	}
	if !wish.byTransaction || r.x.system.byTrade {
		req.OutTradeNo = o.trade
	}
	if (wish.byTransaction || wish.both) && !r.x.system.byTrade {
		req.TransactionID = o.transaction
	}
	return req
}

// tap has a client ask.
func (r *run) tap(i int) {
	wish, req := r.x.scenario.wishes[i], r.request(i)
	caller := refund.Caller{Kind: refund.Server}
	if wish.operator != "" {
		caller = refund.Caller{Kind: refund.Operator, Name: wish.operator}
	}
	name := fmt.Sprintf("client %d", i+1)
	r.begin(name, i, func(s *refund.Service, _ *actor) {
		r.say("%s asks for %d of order %s as %s", name, req.Amount.Refund, r.x.scenario.orders[wish.order].trade, req.OutRefundNo)
		r.answered(i, req, dispatch(s, caller, "wxpay_refund", req))
	})
}

// answered is what a client makes of its answer.
func (r *run) answered(i int, req refund.Request, got reply) {
	c := &r.w.clients[i]
	switch name := got.name(); name {
	case "", "invalid", "denied", "internal":
		r.violates("client %d asks properly, and is answered: %s", i+1, name)
	case string(got.Data.Status):
		r.say("client %d is answered: %s", i+1, name)
		c.done = true
		if r.w.held(req.OutRefundNo) == nil {
			r.violates("client %d is told that %s is %s, which WeChat Pay does not have", i+1, req.OutRefundNo, name)
		}
	case "unavailable", "proposed", "limited":
		r.say("client %d is answered: %s", i+1, name)
	default:
		r.say("client %d is answered: %s, %s", i+1, name, got.Retry)
		// Refused for certain: whoever wants the money takes another number, unless the order cannot give it.
		if name == "conflict" && got.Retry != "new_number" || c.number > 0 {
			c.done = got.Retry == "never" || c.number > 0
			break
		}
		c.number++
	}
}

// deliver brings a notification.
func (r *run) deliver(i int) {
	l := r.w.letters[i]
	h := r.w.held(l.no)
	o, _ := find(r.x.orders(), h.req)
	m := r.x.mail(l, r.x.system.told(*h, *o, l.status))
	r.begin("notify", -1, func(s *refund.Service, _ *actor) {
		r.say("the notification comes that %s is %s", l.no, l.status)
		if r.hears(s, m) {
			r.w.letters[i].acked = true
			r.say("the notification is acknowledged")
			r.acknowledged(l)
		}
	})
}
