package sandbox

import (
	"cmp"
	"fmt"
	"slices"
	"time"
)

const (
	// refundable is how long after its payment an order can be refunded.
	refundable = 365 * 24 * time.Hour

	// maxPartials is how many refunds an order can have. Closed ones count.
	maxPartials = 50
)

// The states of a refund, as WeChat Pay calls them.
const (
	statusProcessing = "PROCESSING"
	statusSuccess    = "SUCCESS"
	statusClosed     = "CLOSED"
	statusAbnormal   = "ABNORMAL"
)

// A refund is one that was accepted; one that was refused leaves no trace.
type refund struct {
	application  application
	order        *order
	id           string
	status       string
	created      time.Time
	succeeded    time.Time // zero unless it did
	due          time.Time // when it settles by itself; zero if it does not
	channel      string
	account      string
	split        split
	subMchID     string
	public       bool // notifications about it are signed with a public key, not with a platform certificate
	byHand       bool
	notification string   // the kind of notifications about it, see notificationKinds; empty: none is sent
	past         []change // the states that it has had since it was accepted
}

// A caller is what the signed request tells besides its body.
type caller struct {
	byHand       bool // on the merchant platform: no request at all
	public       bool
	notification string        // the kind of notifications that the caller will get
	pace         time.Duration // the least time between two refunds of one order that this system insists on whatever is configured
}

// apply decides about an application whose form is right.
func (s *Sandbox) apply(a application, by caller) (refundObject, *refusal) {
	if no := checkApplication(a); no != nil {
		return refundObject{}, no
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.decide(a, by)
}

// applyByHand is apply on the merchant platform, which knows the order and does
// not let a number be used twice.
func (s *Sandbox) applyByHand(a application, notification string) (refundObject, error) {
	no := checkApplication(a)
	if no != nil {
		return refundObject{}, no
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.refunds[a.OutRefundNo] != nil {
		return refundObject{}, fmt.Errorf("%w: /out_refund_no %s", errClash, a.OutRefundNo)
	}
	by := caller{byHand: true, public: s.public, notification: notification}
	if o, _ := s.find(a, by); o != nil {
		a.Amount.Total, a.Amount.Currency = cmp.Or(a.Amount.Total, o.total), cmp.Or(a.Amount.Currency, o.currency)
	}
	out, no := s.decide(a, by)
	if no != nil {
		return refundObject{}, no
	}
	return out, nil
}

// decide holds the rules, in the order in which merchants report to meet them.
// s.mu is held.
func (s *Sandbox) decide(a application, by caller) (refundObject, *refusal) {
	// A known number is answered before anything else is looked at: a repeat gets
	// the refund as it stands now, however long ago it was made.
	if r := s.refunds[a.OutRefundNo]; r != nil {
		if !r.repeats(a) {
			return refundObject{}, refuse(codeInvalid).say(messageOther).because(numberReentry).under(ruleContent)
		}
		return r.object(), nil
	}
	o, no := s.find(a, by)
	if no != nil {
		return refundObject{}, no
	}
	now := s.clock.now()
	if no := s.checkOrder(o, a, by, now); no != nil {
		return refundObject{}, no
	}
	return s.accept(o, a, by, now).object(), nil
}

// messageOther is for content that differs from that of an earlier request, and
// for a total that is not the order's.
const messageOther = "订单金额或退款金额与之前请求不一致，请核实后再试"

// checkApplication holds what a schema cannot say.
func checkApplication(a application) *refusal {
	if a.TransactionID == "" && a.OutTradeNo == "" {
		return refuseField("body", "/transaction_id", "", "/transaction_id or /out_trade_no is needed",
			"输入源“/body/transaction_id”映射到字段“微信支付订单号”必填性规则校验失败，此字段为必填项")
	}
	if len(a.Amount.From) == 0 {
		return nil
	}
	seen := map[string]bool{}
	var sum int64
	for _, f := range a.Amount.From {
		if seen[f.Account] {
			return refuseField("body", "/amount/from", f.Account, "an account is there twice", "退款出资账户类型不能重复")
		}
		seen[f.Account] = true
		sum += f.Amount // at most two accounts, so it can overflow only to less than refund
	}
	if sum != a.Amount.Refund {
		return refuseField("body", "/amount/from", sum, "the parts do not sum up to /amount/refund", "退款出资金额之和与退款金额不一致")
	}
	return nil
}

// find returns the order that an application is about.
func (s *Sandbox) find(a application, by caller) (*order, *refusal) {
	o := s.byTransaction[a.TransactionID]
	if a.TransactionID == "" {
		o = s.byTrade[a.OutTradeNo]
	}
	switch {
	case o == nil && a.TransactionID != "":
		return nil, refuse(codeNotFound).under(ruleTransaction)
	case o == nil:
		return nil, refuse(codeNotFound)
	case a.OutTradeNo != "" && s.byTrade[a.OutTradeNo] != o:
		return nil, refuse(codeInvalid).say("微信支付订单号与商户订单号不一致")
	case !by.byHand && o.owned && o.subMchID != a.SubMchID:
		return nil, refuse(codeNotFound)
	}
	return o, nil
}

// checkOrder holds an application against its order. What WeChat Pay answers to
// a 51st refund and to one that comes too soon is not documented.
func (s *Sandbox) checkOrder(o *order, a application, by caller, now time.Time) *refusal {
	left := o.left()
	switch {
	case a.Amount.Total != o.total || a.Amount.Currency != o.currency:
		return refuse(codeInvalid).say(messageOther).under(ruleContent)
	case now.Sub(o.success) > refundable:
		return refuse(codeInvalid).say("订单已超过退款期限，支付成功一年以上的订单不能退款").under(ruleOverdue)
	case left == 0:
		return refuse(codeInvalid).say("订单已全额退款").under(ruleRefunded)
	case a.Amount.Refund > left:
		return refuse(codeInvalid).say("累计退款金额大于支付金额").under(ruleTooMuch)
	case len(o.refunds) >= maxPartials:
		return refuse(codeInvalid).say(fmt.Sprintf("一笔订单最多退款%d次", maxPartials)).under(rulePartials)
	}
	if now.Sub(o.success) > oldOrder && s.limits.exceeded(limitOld) {
		return refuse(codeFrequency)
	}
	return o.checkPace(cmp.Or(s.cfg.Pace, by.pace), by, now)
}

// checkPace refuses a refund that follows another one of its order too soon. That
// is about requests: who refunds by hand neither waits nor makes others wait.
func (o *order) checkPace(pace time.Duration, by caller, now time.Time) *refusal {
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
		return refuse(codeFrequency).say("单笔订单请求频率过高，请于" + inWords(pace) + "后重试")
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
func (s *Sandbox) accept(o *order, a application, by caller, now time.Time) *refund {
	r := &refund{
		application: a, order: o, status: statusProcessing, created: now,
		due:     now.Add(s.dice.seconds(time.Minute, 5*time.Minute, "settle", a.OutRefundNo)),
		id:      "503" + s.dice.digits(8, "refund_id", a.OutRefundNo) + now.Format("20060102") + fmt.Sprintf("%010d", len(s.accepted)+1),
		channel: "ORIGINAL", account: o.account,
		split:    o.divide(a.Amount.Refund),
		subMchID: a.SubMchID, public: by.public, byHand: by.byHand, notification: by.notification,
	}
	if !o.owned && !by.byHand {
		o.owned, o.subMchID = true, a.SubMchID
	}
	if by.byHand {
		r.subMchID = o.subMchID
	}
	o.refunds = append(o.refunds, r)
	s.refunds[a.OutRefundNo] = r
	s.accepted = append(s.accepted, r)
	s.plan(event{at: r.due, refund: r})
	s.bell.ring()
	s.log.Info("refund accepted", "out_refund_no", a.OutRefundNo, "refund", a.Amount.Refund, "by_hand", by.byHand)
	return r
}

// repeats tells whether an application is the one that r was accepted for. How
// the order is named does not matter as long as it is the same order. Nor does
// the address for notifications, which says nothing about the refund.
func (r *refund) repeats(a application) bool {
	b := r.application
	return (a.TransactionID == "" || a.TransactionID == r.order.transactionID) &&
		(a.OutTradeNo == "" || a.OutTradeNo == r.order.outTradeNo) &&
		a.SubMchID == b.SubMchID && a.Reason == b.Reason && a.FundsAccount == b.FundsAccount &&
		a.Amount.Refund == b.Amount.Refund && a.Amount.Total == b.Amount.Total && a.Amount.Currency == b.Amount.Currency &&
		slices.Equal(a.Amount.From, b.Amount.From) && slices.Equal(a.GoodsDetail, b.GoodsDetail)
}

// A refundObject is the refund of APIv3's answers. Lists and sums are there even
// when they are empty, as in real answers.
type refundObject struct {
	RefundID            string         `json:"refund_id"`
	OutRefundNo         string         `json:"out_refund_no"`
	TransactionID       string         `json:"transaction_id"`
	OutTradeNo          string         `json:"out_trade_no"`
	Channel             string         `json:"channel"`
	UserReceivedAccount string         `json:"user_received_account"`
	SuccessTime         string         `json:"success_time,omitempty"`
	CreateTime          string         `json:"create_time"`
	Status              string         `json:"status"`
	FundsAccount        string         `json:"funds_account"`
	Amount              refundAmount   `json:"amount"`
	PromotionDetail     []couponRefund `json:"promotion_detail"`
}

type refundAmount struct {
	Total            int64  `json:"total"`
	Refund           int64  `json:"refund"`
	From             []from `json:"from"`
	PayerTotal       int64  `json:"payer_total"`
	PayerRefund      int64  `json:"payer_refund"`
	SettlementRefund int64  `json:"settlement_refund"`
	SettlementTotal  int64  `json:"settlement_total"`
	DiscountRefund   int64  `json:"discount_refund"`
	RefundFee        int64  `json:"refund_fee"`
	Currency         string `json:"currency"`
}

type couponRefund struct {
	promotion
	RefundAmount int64   `json:"refund_amount"`
	GoodsDetail  []goods `json:"goods_detail,omitempty"`
}

func (r *refund) object() refundObject {
	a := r.application
	out := refundObject{
		RefundID: r.id, OutRefundNo: a.OutRefundNo,
		TransactionID: r.order.transactionID, OutTradeNo: r.order.outTradeNo,
		Channel: r.channel, UserReceivedAccount: r.account,
		CreateTime: stamp(r.created), Status: r.status, FundsAccount: r.fundsAccount(),
		Amount: refundAmount{
			Total: r.order.total, Refund: a.Amount.Refund, From: append([]from{}, a.Amount.From...),
			PayerTotal: r.order.total, PayerRefund: r.split.payer,
			SettlementRefund: a.Amount.Refund, SettlementTotal: r.order.total,
			DiscountRefund: r.split.discount(), Currency: r.order.currency,
		},
		PromotionDetail: []couponRefund{},
	}
	if !r.succeeded.IsZero() {
		out.SuccessTime = stamp(r.succeeded)
	}
	for i, p := range r.order.promotions {
		out.Amount.PayerTotal -= p.Amount
		if unfunded[p.Type] {
			out.Amount.SettlementTotal -= p.Amount
			out.Amount.SettlementRefund -= r.split.coupons[i]
		}
		c := couponRefund{promotion: p, RefundAmount: r.split.coupons[i]}
		if p.Scope == "SINGLE" {
			c.GoodsDetail = a.GoodsDetail
		}
		out.PromotionDetail = append(out.PromotionDetail, c)
	}
	return out
}

// fundsAccount says whose money pays: the account asked for, the merchant's
// basic account if its parts were asked for, else what is not settled yet.
func (r *refund) fundsAccount() string {
	switch {
	case r.application.FundsAccount != "":
		return r.application.FundsAccount
	case len(r.application.Amount.From) > 0:
		return "BASIC"
	}
	return "UNSETTLED"
}
