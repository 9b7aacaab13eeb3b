package simulation_test

import (
	"cmp"
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	"wxrefund/shared/refund"
)

// A shop is what buyers and operators may do in a history, as its settings say.
type shop struct {
	Mode     string        // what an application leads to: modePropose or modeAuto
	Fen      int64         // of one order without a decision, in all
	Within   time.Duration // since it was paid
	Daily    int           // of one payer a day
	Approval int64         // what one operator may refund of an order alone; 0: anything
	Always   bool          // the order is asked for before each refund
	Mixed    bool          // clients and people name an order by either number
	Appless  bool          // the platform does not say in which program an openid is the caller's
}

const (
	modePropose = "propose"
	modeAuto    = "auto"
)

// The people of a shop. An openid is of one program; whoever comes from another has the
// same text in vain.
const (
	operatorA   = "oOPERATORAOPERATORAOPERATORA"
	operatorB   = "oOPERATORBOPERATORBOPERATORB"
	buyerOne    = "oBUYERONEBUYERONEBUYERONE001"
	buyerTwo    = "oBUYERTWOBUYERTWOBUYERTWO002"
	passerBy    = "oPASSERBYPASSERBYPASSERBY003"
	aServer     = "server"
	nobody      = "nobody"          // comes by HTTP, and says in a header that he is the payer
	elsewhere   = "another program" // the payer's openid, of another program
	elsewhereID = "wx9999999999999999"
)

// people are whose openids must be in no log.
func people() []string { return []string{operatorA, operatorB, buyerOne, buyerTwo, passerBy} }

func operators() []string { return []string{operatorA, operatorB} }

// set has an instance of our side be of such a shop.
func (s *shop) set(r *refund.Service) {
	if s == nil {
		return
	}
	r.VerifyOrder, r.Self = refund.VerifyFirst, refund.SelfService{Mode: refund.SelfPropose, MaxFen: s.Fen, Within: s.Within, Daily: s.Daily}
	if s.Always {
		r.VerifyOrder = refund.VerifyAlways
	}
	if s.Mode == modeAuto {
		r.Self.Mode = refund.SelfAuto
	}
	r.Policy = refund.Policy{Operators: operators(), ApprovalFen: s.Approval}
}

// app is the program of the merchant's in which openids are its users'.
func (w *world) app() string {
	if w.history.Shop.Appless {
		return ""
	}
	settings := keys().of[w.history.Channel].settings
	return cmp.Or(settings["WXPAY_SUB_APPID"], settings["WXPAY_APPID"])
}

// caller is who calls, as the platform attests it.
func (w *world) caller(who string, o order) refund.Caller {
	switch who {
	case aServer:
		return refund.Caller{Kind: refund.Server}
	case nobody:
		return refund.Caller{OpenID: o.Payer, AppID: w.app()}
	case elsewhere:
		return refund.Caller{Kind: refund.User, OpenID: o.Payer, AppID: elsewhereID}
	}
	return refund.Caller{Kind: refund.User, OpenID: who, AppID: w.app()}
}

// withShop makes a history of a channel one in which buyers apply and operators decide,
// beside all that happens in it anyhow.
func withShop(name string) func(seed uint64) *history {
	return func(seed uint64) *history {
		h := drawOn(name)(seed)
		h.drawShop(randomness(seed).of("shop", name))
		return h
	}
}

// drawShop draws the shop, who has paid what and when, and what people do.
func (h *history) drawShop(r *rand.Rand) {
	total := h.Orders[0].Total
	h.Shop = &shop{
		Mode: pick(r, modePropose, modeAuto, modeAuto), Within: pick(r, time.Hour, 48*time.Hour, 168*time.Hour), Daily: pick(r, 1, 2, 5),
		Fen: pick(r, 1, (total+2)/3, (total+1)/2, total), Approval: pick(r, 0, (total+3)/4, (total+1)/2, total),
		Always: r.IntN(6) == 0, Appless: r.IntN(6) == 0,
	}
	for i := range h.Orders {
		o := &h.Orders[i]
		o.Payer = pick(r, buyerOne, buyerOne, buyerTwo, operatorA)
		o.PaidBefore = pick(r, 0, 0, 10*time.Hour, 100*time.Hour)
	}
	if r.IntN(12) == 0 {
		h.Orders[0].PaidBefore = 366 * 24 * time.Hour
	}
	h.Wishes = h.Wishes[:r.IntN(len(h.Wishes)+1)]
	if h.Shop.Mixed = r.IntN(3) == 0 && !h.system().byTrade; !h.Shop.Mixed {
		for i := range h.Wishes {
			h.Wishes[i].By = byTrade
		}
	}
	for i := range h.Orders {
		h.drawApplications(r, i)
	}
	for i := range r.IntN(4) {
		h.drawRefund(r, fmt.Sprintf("OP%d", i+1))
	}
	h.drawStrangers(r)
	for range r.IntN(3) { // what is asked about orders goes wrong
		from := span(r, 0, 12*time.Minute)
		h.fault(from, from+span(r, 10*time.Second, 5*time.Minute), pick(r, 0.3, 0.6, 1), pick(r,
			"order:500_before", "order:timeout_before", h.orderFault(), "wire mixed", "wire mixed"))
	}
	if h.Channel == apiv3 && r.IntN(2) == 0 {
		h.fault(0, h.Heal, pick(r, 0.3, 0.6), pick(r, "abnormal:500_after", "abnormal:reset_after", "abnormal:500_before", "abnormal:SYSTEM_ERROR"))
	}
	if r.IntN(25) == 0 { // nobody decides for a week, or nearly
		h.Rest = max(h.Rest, 7*24*time.Hour)
		h.drawDecision(r, 0, h.Heal+7*24*time.Hour+span(r, -30*time.Minute, 30*time.Minute))
	}
	if r.IntN(3) == 0 { // those who decide are killed
		h.fault(0, h.Heal, pick(r, 0.03, 0.08, 0.15), "crash")
	}
	slices.SortStableFunc(h.Acts, func(a, b act) int { return cmp.Compare(a.At, b.At) })
}

// drawApplications draws what is applied for of an order, and what is decided about it.
func (h *history) drawApplications(r *rand.Rand, i int) {
	o := h.Orders[i]
	for range 1 + r.IntN(3) {
		a := act{Do: "apply", Who: o.Payer, Order: i, No: pick(r, "", "", "q1", "q2"),
			Fen: pick(r, 0, 0, 1, (o.Total+2)/3, (o.Total+1)/2, o.Total, o.Total+1)}
		at := span(r, time.Second, 10*time.Minute)
		h.act(at, a)
		if r.IntN(3) == 0 { // a second tap
			h.act(at+span(r, time.Millisecond, pick(r, 300*time.Millisecond, 40*time.Second)), a)
		}
		h.drawDecision(r, i, at+span(r, 2*time.Second, pick(r, 20*time.Second, 10*time.Minute)))
		if r.IntN(3) == 0 {
			h.drawDecision(r, i, at+span(r, time.Minute, 12*time.Minute))
		}
		if r.IntN(5) == 0 {
			h.drawDecision(r, i, h.Heal+span(r, time.Minute, 8*time.Hour))
		}
	}
	if r.IntN(3) == 0 { // an end that is not the end, after which it is approved again
		at := span(r, 2*time.Minute, 14*time.Minute)
		h.act(at, act{Do: "settle order", Order: i, Status: pick(r, "CLOSED", "CLOSED", "SUCCESS", "ABNORMAL")})
		again := at + span(r, time.Second, 3*time.Minute)
		if r.IntN(2) == 0 {
			h.drawDecision(r, i, again)
		} else { // both at the same moment, and one of them slowly
			h.fault(again, again+6*time.Second, 0.4, "store slow")
			for _, who := range operators() {
				h.act(again+span(r, 0, 300*time.Millisecond), act{Do: "approve at once", Who: who, Order: i})
			}
		}
		h.drawDecision(r, i, h.Heal+span(r, time.Minute, 8*time.Hour))
	}
}

// drawDecision draws that one or two people decide about an order's application, be it at the
// same time, and that its applicant may think better of it just then.
func (h *history) drawDecision(r *rand.Rand, i int, at time.Duration) {
	soon := func() time.Duration { return at + span(r, 0, pick(r, 200*time.Millisecond, 5*time.Second)) }
	what := func() string { return pick(r, "approve", "approve", "approve", "reject") }
	switch first := pick(r, operatorA, operatorA, operatorB, aServer); r.IntN(8) {
	case 6, 7: // one approves, and the other takes it back before it has led to anything
		h.act(at, act{Do: "approve", Who: operatorA, Order: i})
		for range 2 {
			h.act(at+span(r, 300*time.Millisecond, 4*time.Second), act{Do: "reject at once", Who: operatorB, Order: i})
		}
		h.fault(at, at+5*time.Second, pick(r, 0.1, 0.5), pick(r, "store slow", "crash", "order:500_before"))
		h.act(at+span(r, 10*time.Second, 4*time.Minute), act{Do: pick(r, "reject at once", "approve at once"), Who: pick(r, operators()...), Order: i})
	case 0, 1:
		h.act(at, act{Do: what(), Who: first, Order: i})
	case 2, 3:
		h.act(at, act{Do: "approve", Who: operatorA, Order: i})
		h.act(soon(), act{Do: what(), Who: operatorB, Order: i})
	case 4:
		h.act(at, act{Do: what(), Who: first, Order: i})
		h.act(soon(), act{Do: "withdraw", Who: h.Orders[i].Payer, Order: i})
	case 5:
		h.act(at, act{Do: "withdraw", Who: pick(r, h.Orders[i].Payer, operatorA, operatorB), Order: i})
	}
}

// drawRefund draws a refund that an operator makes, and whether somebody approves it if it is
// too large for one.
func (h *history) drawRefund(r *rand.Rand, no string) {
	i := r.IntN(len(h.Orders))
	total := h.Orders[i].Total
	a := act{Do: "refund", Who: pick(r, operators()...), Order: i, No: no, Fen: pick(r, 1, (total+2)/3, (total+1)/2, total)}
	at := span(r, time.Second, 10*time.Minute)
	h.act(at, a)
	switch r.IntN(4) {
	case 0: // the same again, or the colleague does the same, or something else under that number
		a.Who, a.Fen = pick(r, operators()...), pick(r, a.Fen, a.Fen, 1)
		h.act(at+span(r, time.Millisecond, time.Minute), a)
	case 1: // another part of the same order, so that the two together are too much
		a.No += "b"
		h.act(at+span(r, time.Millisecond, time.Minute), a)
	}
	h.drawDecision(r, i, at+span(r, time.Second, 5*time.Minute))
	if r.IntN(3) == 0 {
		a.Who = pick(r, operators()...)
		h.act(at+span(r, time.Minute, 10*time.Minute), a)
	}
}

// drawStrangers draws what is none of anybody's business.
func (h *history) drawStrangers(r *rand.Rand) {
	for range r.IntN(4) {
		i := r.IntN(len(h.Orders))
		strangers := []string{passerBy, buyerTwo, nobody}
		if !h.system().byTrade && !h.Shop.Appless { // WeCom does not say of which program an openid is
			strangers = append(strangers, elsewhere)
		}
		a := act{Who: pick(r, strangers...), Order: i}
		a.Do = pick(r, "apply", "apply", "approve", "reject", "withdraw another's", "refund", "finish", "look")
		if a.No, a.Fen = "", 1; a.Do == "refund" {
			a.No = "STRANGER"
		}
		h.act(span(r, time.Minute, 20*time.Minute), a)
	}
	for range r.IntN(3) {
		h.act(span(r, time.Minute, 20*time.Minute), act{Do: "look", Who: pick(r, buyerOne, buyerTwo, passerBy), Order: r.IntN(len(h.Orders))})
	}
	for range r.IntN(3) { // two at once, of whatever is abnormal then
		at := span(r, 3*time.Minute, 24*time.Minute)
		for _, who := range operators() {
			h.act(at+span(r, 0, 2*time.Second), act{Do: "finish", Who: who})
		}
	}
	if r.IntN(3) == 0 { // an abnormal end, which they find
		at := span(r, 2*time.Minute, 12*time.Minute)
		h.act(at, act{Do: "settle order", Status: "ABNORMAL"})
		for _, who := range operators() {
			h.act(at+span(r, 2*time.Second, time.Minute), act{Do: "finish", Who: who})
		}
	}
}

// orderFault is how a system says that there is no such order, or that it is busy.
func (h *history) orderFault() string {
	switch h.Channel {
	case "cloudpay", "global":
		return "order:ORDERNOTEXIST"
	case "wecom":
		return "order:-1"
	}
	return "order:RESOURCE_NOT_EXISTS"
}
