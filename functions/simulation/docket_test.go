package simulation_test

import (
	"slices"
	"strings"
	"sync"
	"time"

	"wxrefund/shared/refund"
)

// A docket is the world's own record of who has asked for what and who has decided what, as
// they did it and were answered. By it, and by what WeChat Pay holds, it judges (W1 to W6 of
// README.md) whether a refund may be: nothing of what our side has written down counts.
type docket struct {
	w *world

	mu     sync.Mutex
	pleas  []plea
	asks   []plea // operators' own refunds; request is the refund's number
	cases  map[string]*matter
	judged map[string]bool // refunds that were found lawful
	seen   map[string]time.Duration
	sends  map[string]*sentElsewhere
	joined map[string]bool // refunds that were claimed by who knew both numbers of the order
}

// A sentElsewhere is an abnormal refund whose money somebody has sent elsewhere.
type sentElsewhere struct {
	at       time.Duration // when the last request left
	open     bool          // and nobody has heard what came of it
	accepted bool          // by WeChat Pay, ever
}

// A plea is one attempt to get a refund.
type plea struct {
	who     refund.Caller
	order   string
	fen     int64 // 0: all that is left
	request string
	at      time.Duration
}

// A matter is one application, as it was shown to anybody.
type matter struct {
	id      string
	number  string // under which it was proposed; "": a buyer's
	shown   told
	rulings []*ruling
	ended   string // what somebody was told of its end without a refund
	endedAt time.Duration
}

// A ruling is one attempt to decide.
type ruling struct {
	who  refund.Caller
	what string
	at   time.Duration
	say  *verdict // nil: no answer was heard
}

func newDocket(w *world) *docket {
	return &docket{w: w, cases: map[string]*matter{}, judged: map[string]bool{}, seen: map[string]time.Duration{}, sends: map[string]*sentElsewhere{}, joined: map[string]bool{}}
}

func (d *docket) now() time.Duration { return time.Since(d.w.start) }

// pays reports whether somebody is the payer of an order.
func (d *docket) pays(who refund.Caller, o order) bool {
	return who.Kind == refund.User && who.OpenID != "" && who.OpenID == o.Payer && who.AppID == d.w.app()
}

func (d *docket) applies(who refund.Caller, o order, a act) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.pleas = append(d.pleas, plea{who, o.Trade, a.Fen, a.No, d.now()})
}

func (d *docket) refunds(who refund.Caller, o order, a act) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.asks = append(d.asks, plea{who, o.Trade, a.Fen, a.No, d.now()})
}

func (d *docket) rules(who refund.Caller, what, id string) *ruling {
	d.mu.Lock()
	defer d.mu.Unlock()
	r := &ruling{who: who, what: what, at: d.now()}
	if m := d.cases[id]; m != nil {
		m.rulings = append(m.rulings, r)
	}
	return r
}

// answered notes what a decision was answered with, and what may not be (W3): who may not
// decide, and who has applied, are never told that they have approved; only who has applied
// is told that it was withdrawn.
func (d *docket) answered(r *ruling, say *verdict) {
	d.mu.Lock()
	defer d.mu.Unlock()
	r.say = say
	if say.Code != 0 {
		return
	}
	m := d.cases[say.Data.ApplicationID]
	if !d.w.invariants.judge("reply: a decision is answered with its application", m != nil, "%+v", *say) {
		return
	}
	decides := r.who.Kind == refund.Server || slices.Contains(operators(), r.who.OpenID) && r.who.Kind == refund.User
	surely, perhaps := d.applicant(m, r.who)
	if r.what == "withdraw" {
		d.w.invariants.judge("W3 only who has applied withdraws", perhaps, "%s has withdrawn %s, which is not theirs", r.who.OpenID, m.id)
	} else {
		d.w.invariants.judge("W3 nobody decides about their own", decides && !surely, "%s may not %s %s, and has", r.who.OpenID, r.what, m.id)
	}
}

// applicant reports whether somebody has made an application: surely, or perhaps, where both
// operators have asked for the same refund and either may have been first. d.mu is held.
func (d *docket) applicant(m *matter, who refund.Caller) (surely, perhaps bool) {
	if m.number == "" {
		is := d.pays(who, d.of(m))
		return is, is
	}
	surely = true
	for _, p := range d.asks {
		if p.request == m.number && d.proposes(m, p) {
			perhaps = perhaps || p.who == who
			surely = surely && p.who == who
		}
	}
	return surely && perhaps, perhaps
}

// proposes reports whether an operator's wish is what an application was shown as.
func (d *docket) proposes(m *matter, p plea) bool {
	return m.shown.is(d.w.history.ordered(p.order)) && p.fen == m.shown.Amount.Refund && slices.Contains(operators(), p.who.OpenID)
}

// of is the order of an application.
func (d *docket) of(m *matter) order {
	for _, o := range d.w.history.Orders {
		if m.shown.is(o) {
			return o
		}
	}
	return order{}
}

// claimed notes a claim.
func (d *docket) claimed(c *call, no string) {
	c.mu.Lock()
	ordered := c.ordered
	c.mu.Unlock()
	d.mu.Lock()
	defer d.mu.Unlock()
	d.joined[no] = d.joined[no] || ordered
}

// shown notes what somebody is shown of an application, who has asked at that time: it stays
// the same, and an end is an end (W3).
func (d *docket) shown(who refund.Caller, t told, asked time.Duration) {
	d.mu.Lock()
	defer d.mu.Unlock()
	m := d.cases[t.ApplicationID]
	if m == nil {
		m = &matter{id: t.ApplicationID, shown: t}
		if strings.HasPrefix(t.ApplicationID, "P") {
			m.number = t.OutRefundNo
		}
		d.cases[t.ApplicationID] = m
	}
	d.w.invariants.judge("W3 an application stays what it was shown as", m.shown.OutTradeNo == t.OutTradeNo && m.shown.TransactionID == t.TransactionID && m.shown.Amount == t.Amount,
		"%s is shown as %+v and as %+v", m.id, m.shown, t)
	switch t.State {
	case "REJECTED", "WITHDRAWN", "EXPIRED":
		d.w.invariants.judge("W3 an end is one end", m.ended == "" || m.ended == t.State, "application %s is %s and %s", m.id, m.ended, t.State)
		if m.ended == "" {
			m.ended, m.endedAt = t.State, d.now()
		}
	default:
		d.w.invariants.judge("W3 an end is an end", m.ended == "" || asked <= m.endedAt, "application %s is %s, and then %s (%s)", m.id, m.ended, t.State, who.OpenID)
	}
}

// heardOf are all applications that anybody was shown.
func (d *docket) heardOf() (all []told) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, m := range d.cases {
		all = append(all, m.shown)
	}
	return all
}

// matterOf finds the application that a refund is made for: its number says so.
func (d *docket) matterOf(no string) *matter {
	for id, m := range d.cases {
		if no == m.number || strings.HasPrefix(no, id+"N") {
			return m
		}
	}
	return nil
}

// approved reports whether somebody who may has tried to approve an application, and was not
// told that they must not.
func (d *docket) approved(m *matter) bool {
	return slices.ContainsFunc(m.rulings, func(r *ruling) bool {
		may := r.who.Kind == refund.Server || r.who.Kind == refund.User && slices.Contains(operators(), r.who.OpenID)
		denied := r.say != nil && (r.say.Code == 403 || r.say.Code == 400)
		surely, _ := d.applicant(m, r.who)
		return r.what == "approve" && may && !denied && !surely
	})
}

// judge holds every refund that WeChat Pay has against what people have asked for and
// decided. Of one whose application nobody has been shown yet it is known in the end.
func (d *docket) judge(final bool) {
	if d.w.history.Shop == nil || !d.w.invariants.on {
		return
	}
	all := d.w.upstreams()
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, u := range all {
		if _, known := d.seen[u.OutRefundNo]; !known {
			d.seen[u.OutRefundNo] = d.now()
		}
		if d.judged[u.OutRefundNo] && !final {
			continue
		}
		d.judged[u.OutRefundNo] = d.lawful(u, all, final)
	}
	live := map[*matter][]string{}
	for _, u := range all {
		m := d.matterOf(u.OutRefundNo)
		if m == nil || d.w.named(u.OutRefundNo) {
			continue
		}
		// What was approved and is closed at WeChat Pay may be rejected afterwards.
		if final || !d.bySelf(u) {
			d.w.invariants.judge("W4 what has ended otherwise is not refunded", m.ended == "" || u.Status == "CLOSED" && m.ended == "REJECTED", "%s is refunded as %s, and is %s", m.id, u.OutRefundNo, m.ended)
		}
		if u.Status != "CLOSED" {
			live[m] = append(live[m], u.OutRefundNo)
			if !d.w.invariants.judge("W4 an application is refunded once", len(live[m]) == 1, "%s: %v", m.id, live[m]) {
				d.w.count(twice, 1)
			}
		}
	}
}

const (
	unlawful = "refunds that no rule allows"
	twice    = "applications refunded twice"
)

// lawful reports whether a refund may be. What may not be is a violation.
func (d *docket) lawful(u upstreamRefund, all []upstreamRefund, final bool) bool {
	if d.w.named(u.OutRefundNo) {
		return true
	}
	judge := func(rule string, ok bool, format string, args ...any) bool {
		if !ok {
			d.w.count(unlawful, 1)
		}
		return d.w.invariants.judge(rule, ok, "%s of %d of %s: "+format, append([]any{u.OutRefundNo, u.Amount.Refund, u.OutTradeNo}, args...)...)
	}
	o, m, self := d.w.history.ordered(u.OutTradeNo), d.matterOf(u.OutRefundNo), d.bySelf(u)
	alone := self && d.alone(u, all)
	switch {
	case m == nil && !final && !self:
		return false
	case alone, self && m == nil:
		judge("W1 an operator refunds alone only what one may", alone, "nobody else has approved it")
	case !judge("W1 somebody has asked for a refund", m != nil, "nobody has"),
		!judge("W1 a refund is what its application was shown as", m.shown.is(o) && m.shown.Amount.Refund == u.Amount.Refund, "%+v", m.shown):
	case m.number != "":
		_ = judge("W1 what was proposed an operator has asked for", slices.ContainsFunc(d.asks, func(p plea) bool { return p.request == m.number && d.proposes(m, p) }), "none has") &&
			judge("W1 what is large another has approved", d.approved(m), "nobody has")
	case !judge("W2 a buyer's refund its payer has applied for", slices.ContainsFunc(d.pleas, func(p plea) bool {
		return p.order == o.Trade && d.pays(p.who, o) && (p.fen == 0 || p.fen == u.Amount.Refund)
	}), "not so"), d.approved(m):
	default:
		d.auto(u, all, o, judge)
	}
	return true // what is wrong is said once
}

// bySelf reports whether an operator has asked for that very refund.
func (d *docket) bySelf(u upstreamRefund) bool {
	return slices.ContainsFunc(d.asks, func(p plea) bool { return d.wanted(p, u) })
}

func (d *docket) wanted(p plea, u upstreamRefund) bool {
	return p.request == u.OutRefundNo && p.order == u.OutTradeNo && p.fen == u.Amount.Refund && slices.Contains(operators(), p.who.OpenID)
}

// alone reports whether one who has asked for a refund may make it alone: with all others of
// the order that only they have asked for, and that nobody has approved. While WeChat Pay has
// not told about it, the two numbers of an order are two orders.
func (d *docket) alone(u upstreamRefund, all []upstreamRefund) bool {
	limit := d.w.history.Shop.Approval
	if limit == 0 {
		return true
	}
	for _, who := range operators() {
		var sum, known int64
		mine := false
		for _, v := range all {
			if v.OutTradeNo != u.OutTradeNo || v.OutRefundNo != u.OutRefundNo && (v.Status == "CLOSED" || d.seen[v.OutRefundNo] > d.seen[u.OutRefundNo]) {
				continue
			}
			by := func(p plea) bool { return d.wanted(p, v) && p.who.OpenID == who }
			others := func(p plea) bool { return d.wanted(p, v) && p.who.OpenID != who }
			m := d.matterOf(v.OutRefundNo)
			switch {
			case !slices.ContainsFunc(d.asks, by), v.OutRefundNo != u.OutRefundNo && slices.ContainsFunc(d.asks, others), m != nil && d.approved(m):
			default:
				mine = mine || v.OutRefundNo == u.OutRefundNo
				sum += v.Amount.Refund
				if v.OutRefundNo == u.OutRefundNo || d.joined[v.OutRefundNo] || d.joined[u.OutRefundNo] {
					known += v.Amount.Refund
				}
			}
		}
		if mine && known <= limit && sum <= 2*limit && u.Amount.Currency == "CNY" {
			return true
		}
	}
	return false
}

// auto holds a refund that nobody has decided against what buyers may have at once (W6).
func (d *docket) auto(u upstreamRefund, all []upstreamRefund, o order, judge func(string, bool, string, ...any) bool) {
	s := d.w.history.Shop
	var sum int64
	days := map[string]int{}
	for _, v := range all {
		m := d.matterOf(v.OutRefundNo)
		if m == nil || m.number != "" || d.approved(m) {
			continue
		}
		if of := d.w.history.ordered(v.OutTradeNo); of.Payer == o.Payer {
			days[v.Created.In(time.FixedZone("", 8*3600)).Format(time.DateOnly)]++
		}
		if v.OutTradeNo == o.Trade && v.Status != "CLOSED" {
			sum += v.Amount.Refund
		}
	}
	day := u.Created.In(time.FixedZone("", 8*3600)).Format(time.DateOnly)
	applied := slices.ContainsFunc(d.pleas, func(p plea) bool {
		return p.order == o.Trade && p.at+o.PaidBefore <= s.Within+5*time.Minute
	})
	_ = judge("W1 nothing is had at once where that is not so", s.Mode == modeAuto, "nobody has approved it") &&
		judge("W6 no other currency is had at once", o.currency() == "CNY", "%s", o.currency()) &&
		judge("W6 an order has a sum that is had at once", sum <= s.Fen, "buyers have had %d of the order at once, and may have %d", sum, s.Fen) &&
		judge("W6 a day has a number of those", days[day] <= s.Daily, "it is the %dth at once on %s, and %d may be", days[day], day, s.Daily) &&
		judge("W6 an order has hours in which it is so", applied, "the order was paid %v before, and it may be %v", o.PaidBefore, s.Within)
}

// reviewed holds what an operator is shown in the end against what WeChat Pay has (W4).
func (d *docket) reviewed(all []told) {
	held := d.w.upstreams()
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, t := range all {
		d.w.count("applications", 1)
		d.w.count("applications "+t.State, 1)
		var status string
		for _, u := range held {
			if m := d.matterOf(u.OutRefundNo); m != nil && m.id == t.ApplicationID && (status == "" || u.Status != "CLOSED") {
				status = u.Status
			}
		}
		d.w.ends(t, status)
	}
	for _, m := range d.cases {
		d.w.invariants.judge("W4 no application vanishes", slices.ContainsFunc(all, func(t told) bool { return t.ApplicationID == m.id }), "%s has been shown, and is no more", m.id)
	}
}

// close judges all once more when everything is known.
func (d *docket) close() { d.judge(true) }

// isOfApplication reports whether no client has named a refund's number.
func (d *docket) isOfApplication(no string) bool { return d.w.history.Shop != nil && !d.w.named(no) }

// finishing notes that a request leaves which sends an abnormal refund's money elsewhere. One
// may be on its way at a time (W7), and it says nothing of a card that anybody could read.
func (d *docket) finishing(c *call, no string, body []byte) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.sends[no] == nil {
		d.sends[no] = &sentElsewhere{}
	}
	s := d.sends[no]
	if since := d.now() - s.at; d.w.history.Skew == 0 {
		d.w.invariants.judge("W7 one request at a time sends money elsewhere", !s.open || since >= stillFlying, "%s is sent elsewhere again %v after a request that nobody has heard of (%s)", no, since, c.name)
	}
	d.w.invariants.judge("I8 no card is sent in the clear", !strings.Contains(string(body), cardNumber) && !strings.Contains(string(body), cardHolder), "%s", c.name)
	s.at, s.open = d.now(), true
	d.w.count("abnormal refunds sent elsewhere", 1)
}

// landed notes that nothing of such a request is on its way: it was answered, or never left.
func (d *docket) landed(no string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.sends[no].open = false
}

func (d *docket) finished(no string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.sends[no].accepted = true
	d.w.count("abnormal refunds accepted elsewhere", 1)
}

// wasFinished reports whether WeChat Pay has sent an abnormal refund's money elsewhere.
func (d *docket) wasFinished(no string) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.sends[no] != nil && d.sends[no].accepted
}
