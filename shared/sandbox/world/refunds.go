package world

import (
	"cmp"
	"fmt"
	"slices"
	"time"
)

const (
	// refundable is how long after its payment an order can be refunded.
	refundable = 365 * 24 * time.Hour

	// realPace is how far apart two refunds of one order are: WeChat Pay's documents
	// 4012552567 (note 9) and 4011984092 (note 8), Global's 4012354972, WeCom's 97333.
	realPace = time.Minute

	// minSettle and maxSettle bound how long a refund takes to settle by itself.
	minSettle, maxSettle = time.Minute, 5 * time.Minute

	// maxPartials is how many refunds an order can have. Closed ones count.
	maxPartials = 50
)

// The states of a refund, as WeChat Pay calls them.
const (
	StatusProcessing = "PROCESSING"
	StatusSuccess    = "SUCCESS"
	StatusClosed     = "CLOSED"
	StatusAbnormal   = "ABNORMAL"
)

// A refund is one that was accepted; one that was refused leaves no trace.
type refund struct {
	application  Application
	order        *order
	id           string
	status       string
	created      time.Time
	succeeded    time.Time // zero unless it did
	due          time.Time // when it settles by itself; zero if it does not
	channel      string
	account      string
	elsewhere    string // where the money of an abnormal refund goes
	split        split
	subMchID     string
	byHand       bool
	notices      []*delivery // about it, in order
	notification string      // the kind of notifications about it, see [NotificationKind]; empty: none is sent
	past         []Change    // the states that it has had since it was accepted
}

// A Caller is what a request tells besides its body.
type Caller struct {
	Notification string // the kind of notifications that it will get; empty: none
	Foreign      bool   // orders may be in any currency: who names none means the order's
	byHand       bool   // on the merchant platform: no request at all
}

// Apply decides about an application whose form is right.
func (w *World) Apply(a Application, by Caller) (Refund, *Refusal) {
	if no := checkApplication(a); no != nil {
		return Refund{}, no
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if a.Amount.Currency == "" {
		a.Amount.Currency = "CNY"
		if o, _ := w.find(a, by); o != nil && by.Foreign {
			a.Amount.Currency = o.currency
		}
	}
	return w.decide(a, by)
}

// Refund returns the refund that was accepted under a number of the merchant.
func (w *World) Refund(outRefundNo string) (Refund, bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	r := w.refunds[outRefundNo]
	if r == nil {
		return Refund{}, false
	}
	return r.snapshot(), true
}

// RefundByID returns the refund that WeChat Pay has given a number.
func (w *World) RefundByID(id string) (Refund, bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	i := slices.IndexFunc(w.accepted, func(r *refund) bool { return r.id == id })
	if i < 0 {
		return Refund{}, false
	}
	return w.accepted[i].snapshot(), true
}

// Refunds returns all, the oldest first.
func (w *World) Refunds() []Refund {
	w.mu.Lock()
	defer w.mu.Unlock()
	return snapshots(w.accepted)
}

func snapshots(refunds []*refund) []Refund {
	out := make([]Refund, len(refunds))
	for i, r := range refunds {
		out[i] = r.snapshot()
	}
	return out
}

// ApplyByHand is [World.Apply] on the merchant platform, which knows the order and does
// not let a number be used twice.
func (w *World) ApplyByHand(a Application, notification string) (Refund, error) {
	no := checkApplication(a)
	if no != nil {
		return Refund{}, no
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.refunds[a.OutRefundNo] != nil {
		return Refund{}, fmt.Errorf("sandbox: /out_refund_no: %s %w", a.OutRefundNo, ErrClash)
	}
	by := Caller{byHand: true, Notification: notification}
	if o, _ := w.find(a, by); o != nil {
		a.Amount.Total, a.Amount.Currency = cmp.Or(a.Amount.Total, o.total), cmp.Or(a.Amount.Currency, o.currency)
	}
	out, no := w.decide(a, by)
	if no != nil {
		return Refund{}, no
	}
	return out, nil
}

// decide holds the rules, in the order in which merchants report to meet them.
// w.mu is held.
func (w *World) decide(a Application, by Caller) (Refund, *Refusal) {
	// A known number is answered before anything else is looked at: a repeat gets
	// the refund as it stands now, however long ago it was made.
	if r := w.refunds[a.OutRefundNo]; r != nil {
		if !r.repeats(a) {
			return Refund{}, Refuse(CodeInvalid).Say(messageOther).because(numberReentry).Under(RuleContent)
		}
		return r.snapshot(), nil
	}
	o, no := w.find(a, by)
	if no != nil {
		return Refund{}, no
	}
	now := w.clock.now()
	if no := w.checkOrder(o, a, by, now); no != nil {
		return Refund{}, no
	}
	return w.accept(o, a, by, now).snapshot(), nil
}

// messageOther is for content that differs from that of an earlier request, and
// for a total that is not the order'w.
const messageOther = "订单金额或退款金额与之前请求不一致，请核实后再试"

// checkApplication holds what a schema cannot say.
func checkApplication(a Application) *Refusal {
	if a.TransactionID == "" && a.OutTradeNo == "" {
		return RefuseField("body", "/transaction_id", "", "/transaction_id or /out_trade_no is needed",
			"输入源“/body/transaction_id”映射到字段“微信支付订单号”必填性规则校验失败，此字段为必填项")
	}
	if len(a.Amount.From) == 0 {
		return nil
	}
	seen := map[string]bool{}
	var sum int64
	for _, f := range a.Amount.From {
		if seen[f.Account] {
			return RefuseField("body", "/amount/from", f.Account, "an account is there twice", "退款出资账户类型不能重复")
		}
		seen[f.Account] = true
		sum += f.Amount // at most two accounts, so it can overflow only to less than refund
	}
	if sum != a.Amount.Refund {
		return RefuseField("body", "/amount/from", sum, "the parts do not sum up to /amount/refund", "退款出资金额之和与退款金额不一致")
	}
	return nil
}

// find returns the order that an application is about.
func (w *World) find(a Application, by Caller) (*order, *Refusal) {
	o := w.byTransaction[a.TransactionID]
	if a.TransactionID == "" {
		o = w.byTrade[a.OutTradeNo]
	}
	switch {
	case o == nil && a.TransactionID != "":
		return nil, Refuse(CodeNotFound).Under(RuleTransaction)
	case o == nil:
		return nil, Refuse(CodeNotFound)
	case a.OutTradeNo != "" && w.byTrade[a.OutTradeNo] != o:
		return nil, Refuse(CodeInvalid).Say("微信支付订单号与商户订单号不一致")
	case !by.byHand && o.owned && o.subMchID != a.SubMchID:
		return nil, Refuse(CodeNotFound)
	}
	return o, nil
}

// checkOrder holds an application against its order. What WeChat Pay answers to
// a 51st refund and to one that comes too soon is not documented.
func (w *World) checkOrder(o *order, a Application, by Caller, now time.Time) *Refusal {
	left := o.left()
	switch {
	case o.state != TradeSuccess:
		return Refuse(CodeInvalid).Say("订单未支付，不能退款")
	case a.Amount.Total != o.total || a.Amount.Currency != o.currency:
		return Refuse(CodeInvalid).Say(messageOther).Under(RuleContent)
	case now.Sub(o.success) > refundable:
		return Refuse(CodeInvalid).Say("订单已超过退款期限，支付成功一年以上的订单不能退款").Under(RuleOverdue)
	case left == 0:
		return Refuse(CodeInvalid).Say("订单已全额退款").Under(RuleRefunded)
	case a.Amount.Refund > left:
		return Refuse(CodeInvalid).Say("累计退款金额大于支付金额").Under(RuleTooMuch)
	case len(o.refunds) >= maxPartials:
		return Refuse(CodeInvalid).Say(fmt.Sprintf("一笔订单最多退款%d次", maxPartials)).Under(RulePartials)
	}
	if now.Sub(o.success) > oldOrder && w.limits.exceeded(limitOld) {
		return Refuse(CodeFrequency)
	}
	return o.checkPace(w.cfg.Pace, by, now)
}

// checkPace refuses a refund that follows another one of its order too soon. That
// is about requests: who refunds by hand neither waits nor makes others wait.
func (o *order) checkPace(pace time.Duration, by Caller, now time.Time) *Refusal {
	if by.byHand {
		return nil
	}
	for _, r := range slices.Backward(o.refunds) {
		if r.byHand {
			continue
		}
		if now.Sub(r.created) >= pace {
			return nil
		}
		return Refuse(CodeFrequency).Say("单笔订单请求频率过高，请于" + inWords(pace) + "后重试")
	}
	return nil
}

// inWords is a pace as WeChat Pay says it.
func inWords(d time.Duration) string {
	if d%time.Minute == 0 {
		return fmt.Sprintf("%d分钟", d/time.Minute)
	}
	return fmt.Sprintf("%d秒", (d+time.Second-1)/time.Second)
}

// accept writes a refund down. From here on WeChat Pay owes the money.
func (w *World) accept(o *order, a Application, by Caller, now time.Time) *refund {
	r := &refund{
		application: a, order: o, status: StatusProcessing, created: now,
		due:     now.Add(w.rand.seconds(minSettle, maxSettle, "settle", a.OutRefundNo)),
		id:      "503" + w.rand.digits(8, "refund_id", a.OutRefundNo) + now.Format("20060102") + fmt.Sprintf("%010d", len(w.accepted)+1),
		channel: "ORIGINAL", account: o.account,
		split:    o.divide(a.Amount.Refund),
		subMchID: a.SubMchID, byHand: by.byHand, notification: by.Notification,
	}
	if !o.owned && !by.byHand {
		o.owned, o.subMchID, o.seen = true, a.SubMchID, now
	}
	if by.byHand && o.owned {
		r.subMchID = o.subMchID
	}
	o.refunds = append(o.refunds, r)
	w.refunds[a.OutRefundNo] = r
	w.accepted = append(w.accepted, r)
	w.plan(task{at: r.due, refund: r})
	w.touch(o, r)
	w.Log.Info("refund accepted", "out_refund_no", a.OutRefundNo, "refund", a.Amount.Refund, "by_hand", by.byHand)
	return r
}

// repeats tells whether an application is the one that r was accepted for. How
// the order is named does not matter as long as it is the same order. Nor does
// the address for notifications, which says nothing about the refund.
func (r *refund) repeats(a Application) bool {
	b := r.application
	return (a.TransactionID == "" || a.TransactionID == r.order.transactionID) &&
		(a.OutTradeNo == "" || a.OutTradeNo == r.order.outTradeNo) &&
		a.SubMchID == b.SubMchID && a.Reason == b.Reason && a.FundsAccount == b.FundsAccount &&
		a.Amount.Refund == b.Amount.Refund && a.Amount.Total == b.Amount.Total && a.Amount.Currency == b.Amount.Currency &&
		slices.Equal(a.Amount.From, b.Amount.From) && slices.Equal(a.GoodsDetail, b.GoodsDetail)
}
