package world

import (
	"iter"
	"slices"
	"time"
)

// The accounts of a merchant. What a merchant earns comes into the basic one.
const (
	AccountBasic     = "BASIC"
	AccountOperation = "OPERATION" // pays refunds for which funds_account is AVAILABLE
	AccountFees      = "FEES"      // of those who pay fees by themselves, which here nobody does
)

// The kinds of movements.
const (
	MovePayment    = "交易"
	MoveFee        = "扣除交易手续费"
	MoveRefund     = "退款"
	MoveFeeBack    = "退还交易手续费"
	MoveRefundBack = "退款关闭"
)

// Who asked for a movement. Of what came through an interface bills have two words: that of
// the documents, and the merchant's number with API behind it, as in files of 2021.
const (
	BySystem = "system"
	byAPI    = MchID + "API"
	byLogin  = MchID + "@" + MchID // on the merchant platform
)

// A Movement is money that came into one of the merchant's accounts or left it.
type Movement struct {
	At       time.Time
	Business string // WeChat Pay's number of the payment or of the refund
	Flow     string // the number of the movement
	Kind     string
	Income   bool
	Amount   int64  // fen
	By       string // who asked for it
	Remark   string // the reason of a refund
	Voucher  string // the merchant's number
}

// feePerMille is what WeChat Pay takes of a payment, and gives back of a refund.
const feePerMille = 6

// Fee is what WeChat Pay takes of an amount, in fen.
func Fee(amount int64) int64 { return ratio(amount, feePerMille, 1000) }

// lateBooking is how long after its acceptance a refund is booked at most. One in eight is
// late, so that some are booked on the day after theirs; the rest within a minute.
const lateBooking = 14 * time.Hour

// booked is when a refund's money left the account: WeChat Pay takes it when it accepts,
// and not when the refund succeeds. One that was closed before has left it at that moment.
func (w *World) booked(r *refund) time.Time {
	draw := w.rand.draw("booked", r.application.OutRefundNo)
	at := r.created.Add(time.Duration(draw.IntN(60)) * time.Second)
	if draw.IntN(8) == 0 {
		at = r.created.Add(time.Duration(2*3600+draw.IntN(int(lateBooking/time.Second)-2*3600)) * time.Second)
	}
	if c := r.closed(); !c.IsZero() && c.Before(at) {
		return c
	}
	return at
}

// closed is when a refund was; zero if it was not.
func (r *refund) closed() time.Time {
	if n := len(r.past); n > 0 && r.past[n-1].Status == StatusClosed {
		return r.past[n-1].At
	}
	return time.Time{}
}

// paidFrom is where a refund's money comes from.
func (r *refund) paidFrom() string {
	if r.fundsAccount() == "AVAILABLE" {
		return AccountOperation
	}
	return AccountBasic
}

// left is the fen that left the merchant for a refund: less the coupons that it got no
// money for.
func (r *refund) left() int64 {
	if r.order.currency != "CNY" {
		return r.split.cash
	}
	out := r.application.Amount.Refund
	for i, p := range r.order.promotions {
		if p.Unfunded() {
			out -= r.split.coupons[i]
		}
	}
	return out
}

// Movements yields what moved in an account on the day, by its time. It is the merchant's
// own account: what it does for others moves in theirs.
func (b *Books) Movements(account string) iter.Seq[Movement] {
	return slices.Values(b.movements(account))
}

func (b *Books) movements(account string) (out []Movement) {
	w := b.world
	w.mu.Lock()
	defer w.mu.Unlock()
	add := func(m Movement) {
		if b.holds(m.At) && m.Amount > 0 {
			m.Flow = MchID + m.At.In(China).Format("20060102") + w.rand.digits(10, "flow", m.Kind, m.Voucher)
			out = append(out, m)
		}
	}
	if account == AccountBasic {
		for _, o := range w.orders {
			if !o.paid.Before(b.issued) {
				break
			}
			if o.state == TradeSuccess && b.holds(o.success) && b.sub(o, nil) == "" {
				cash := o.snapshot().Settlement
				if o.currency != "CNY" {
					cash = o.cash(cash)
				}
				m := Movement{At: o.success, Business: o.transactionID, Voucher: o.outTradeNo, By: BySystem}
				m.Kind, m.Income, m.Amount = MovePayment, true, cash
				add(m)
				m.Kind, m.Income, m.Amount = MoveFee, false, Fee(cash)
				add(m)
			}
		}
	}
	for _, r := range w.accepted {
		if !r.created.Before(b.until) {
			break
		}
		if r.paidFrom() != account || b.sub(r.order, r) != "" {
			continue
		}
		a := r.application
		m := Movement{At: w.booked(r), Business: r.id, Voucher: a.OutRefundNo, By: BySystem, Remark: oneLine(a.Reason)}
		switch {
		case r.byHand:
			m.By = byLogin
		case w.rand.draw("applicant", a.OutRefundNo).IntN(2) == 0:
			m.By = byAPI
		}
		m.Kind, m.Amount = MoveRefund, r.left()
		add(m)
		m.Kind, m.Income, m.Amount = MoveFeeBack, true, Fee(r.left())
		add(m)
		if c := r.closed(); !c.IsZero() {
			m.At, m.Kind, m.By, m.Amount = c, MoveRefundBack, BySystem, r.left()
			add(m)
		}
	}
	slices.SortStableFunc(out, func(x, y Movement) int { return x.At.Compare(y.At) })
	return out
}
