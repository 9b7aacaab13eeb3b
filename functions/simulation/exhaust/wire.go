package exhaust

import (
	"context"
	"errors"
	"slices"
	"time"

	"wxrefund/shared/refund"
)

// wire is the channel as an actor reaches it.
type wire struct{ *actor }

func (c wire) Spec() refund.Spec {
	s := c.r.x.system.spec
	if !c.r.x.scenario.bill {
		s.Bills = nil
	}
	return s
}

// life is how long after its record in the ledger a request may still arrive: what a
// release of the claim relies on.
const life = 15 * time.Minute

// leaves is how long after that record a request may leave: see submitWithin.
const leaves = 32 * time.Second

func (c wire) Refund(_ context.Context, req refund.Request) (refund.Refund, error) {
	c.await("sends "+req.OutRefundNo, true)
	r := c.r
	recorded := r.recorded(req.OutRefundNo)
	if r.w.now.Sub(recorded) > leaves {
		r.violates("%s is sent %v after its record, when nobody reckons with it any more", req.OutRefundNo, r.w.now.Sub(recorded).Round(time.Second))
	}
	choices := []string{"answered"}
	if r.w.trouble > 0 {
		choices = append(choices, "arrives and is not answered", "does not arrive", "arrives late", "arrives, and the process dies", "is on its way when the process dies")
		if r.x.scenario.refusals {
			choices = append(choices, "refused: balance", "refused: signature")
		}
	}
	what := choices[r.pick(len(choices))]
	if what != "answered" {
		r.w.trouble--
	}
	r.changes++
	c.learns(what)
	switch what {
	case "does not arrive":
		r.say("%s sends %s: 429, it is not carried out", c.name, req.OutRefundNo)
		return refund.Refund{}, r.x.system.mishap(tooMany)
	case "refused: balance":
		r.say("%s sends %s: refused, the balance is too low", c.name, req.OutRefundNo)
		return refund.Refund{}, r.x.system.mishap(notEnough)
	case "refused: signature":
		r.say("%s sends %s: refused, its signature", c.name, req.OutRefundNo)
		return refund.Refund{}, r.x.system.mishap(signature)
	case "arrives late", "is on its way when the process dies":
		r.say("%s sends %s, which is on its way for long", c.name, req.OutRefundNo)
		r.w.flying = append(r.w.flying, flying{req, recorded.Add(life), c.wish})
		r.check()
		if what == "arrives late" {
			return refund.Refund{}, lost()
		}
		c.crash()
	}
	got, no := r.arrive(req, false, c.wish)
	c.learns(string(got.Status))
	if no != nil {
		r.say("%s sends %s: refused, %s", c.name, req.OutRefundNo, no.Upstream)
	} else {
		r.say("%s sends %s: accepted", c.name, req.OutRefundNo)
	}
	switch what {
	case "arrives and is not answered":
		r.say("%s gets no answer", c.name)
		return refund.Refund{}, lost()
	case "arrives, and the process dies":
		c.crash()
	}
	if no != nil {
		c.learns(no.Upstream)
		return refund.Refund{}, no
	}
	return got, nil
}

func (c wire) Query(_ context.Context, l refund.Lookup) (refund.Page, error) {
	c.await("asks "+l.OutRefundNo, true)
	r := c.r
	if r.w.trouble > 0 && r.pick(2) == 1 {
		r.w.trouble--
		r.say("%s asks about %s: no answer", c.name, l.OutRefundNo)
		c.learns("no answer")
		return refund.Page{}, lost()
	}
	h := r.w.held(l.OutRefundNo)
	if h != nil && r.x.scenario.forgets && r.w.trouble > 0 && r.pick(2) == 1 {
		r.w.trouble--
		r.say("WeChat Pay does not find what it has")
		h = nil
	}
	if h == nil {
		r.say("%s asks about %s: there is none", c.name, l.OutRefundNo)
		c.learns("none")
	} else {
		r.say("%s asks about %s: it is %s", c.name, l.OutRefundNo, h.status())
		c.learns(string(h.status()))
	}
	page, no := r.found(h)
	if no != nil {
		return refund.Page{}, no
	}
	return page, nil
}

// Order would be an answer that nobody has scripted: whoever asks breaks the run.
func (c wire) Order(_ context.Context, l refund.Lookup) (refund.PaidOrder, error) {
	c.r.violates("%s asks about the order %s, and no world has an answer", c.name, l.OutTradeNo)
	return refund.PaidOrder{}, lost()
}

// FinishAbnormal is like Order.
func (c wire) FinishAbnormal(_ context.Context, a refund.AbnormalRequest) (refund.Refund, error) {
	c.r.violates("%s finishes the abnormal refund %s, and no world has an answer", c.name, a.OutRefundNo)
	return refund.Refund{}, lost()
}

// Bill is the bill of a day: what was accepted on it.
func (c wire) Bill(_ context.Context, q refund.BillQuery) (*refund.Bill, error) {
	if q.Kind != refund.TradeBill {
		return &refund.Bill{Query: q, Empty: true, Movements: func(func(refund.Movement, error) bool) {}}, nil
	}
	c.await("bill", true)
	r := c.r
	b := &refund.Bill{Query: q, Hash: "sha1:" + string(q.Day)}
	var rows []refund.BillRow
	for _, h := range r.w.refunds {
		if refund.DayOf(h.at) != q.Day {
			continue
		}
		o, _ := find(r.x.orders(), h.req)
		rows = append(rows, r.row(int64(len(rows)+2), h, *o))
	}
	b.Rows, b.Empty = int64(len(rows)), len(rows) == 0
	b.Refunds = func(yield func(refund.BillRow, error) bool) {
		for _, row := range rows {
			if !yield(row, nil) {
				return
			}
		}
	}
	r.say("%s reads the bill of %s, of %d refunds", c.name, q.Day, len(rows))
	return b, nil
}

// row is what a bill has of a refund. It has no word that is known for one that is closed.
func (r *run) row(line int64, h held, o order) refund.BillRow {
	status := h.status()
	if status == refund.StatusClosed {
		status = ""
	}
	return refund.BillRow{
		Line: line, MchID: merchant.MchID, TransactionID: o.transaction, OutTradeNo: o.trade, RefundID: "50" + h.req.OutRefundNo,
		OutRefundNo: h.req.OutRefundNo, AcceptedAt: h.at, Amount: h.req.Amount.Refund, Refunded: h.req.Amount.Refund, Currency: "CNY", Status: status,
	}
}

var errDeaf = errors.New("exhaust: the subscriber does not answer")

// tell is the subscriber.
func (a *actor) tell(_ context.Context, e refund.Event) error {
	a.await("tells "+e.Refund.OutRefundNo, true)
	r := a.r
	i := slices.IndexFunc(r.w.told, func(t told) bool { return t.id == e.ID })
	if i < 0 {
		r.w.told = append(r.w.told, told{id: e.ID, no: e.Refund.OutRefundNo, status: e.Status})
		i = len(r.w.told) - 1
	}
	r.w.told[i].times++
	t := r.w.told[i]
	r.say("%s tells the subscriber that %s is %s", a.name, t.no, t.status)
	switch {
	case t.busy:
		r.violates("the subscriber is told twice at once that %s is %s", t.no, t.status)
	case t.heard:
		r.violates("the subscriber is told again that %s is %s, and the ledger has had its answer", t.no, t.status)
	}
	if happened := r.x.scenario.Trouble - r.w.trouble; t.times > 1+happened {
		r.violates("the subscriber is told for the %d. time that %s is %s, after %d troubles", t.times, t.no, t.status, happened)
	}
	r.inOrder(i)
	choices := []string{"acknowledges"}
	if r.w.trouble > 0 {
		choices = append(choices, "fails", "dies")
	}
	what := choices[r.pick(len(choices))]
	a.learns(what)
	r.changes++
	switch what {
	case "fails":
		r.w.trouble--
		r.say("the subscriber does not answer")
		return errDeaf
	case "dies":
		r.w.trouble--
		a.crash()
	}
	r.w.told[i].busy = true
	a.await("hears "+e.Refund.OutRefundNo, true) // others may be at it meanwhile
	r.w.told[i].busy = false
	return nil
}
