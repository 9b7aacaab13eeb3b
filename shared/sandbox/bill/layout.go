package bill

import (
	"cmp"
	"time"

	"wxrefund/shared/sandbox/world"
)

const hRefundID = "微信退款单号"

// A layout is a table of columns, and of the sums of some of them.
type layout struct {
	columns []column
	sums    []total
	refund  bool // of type REFUND: the time of a row is the payment's
}

// A column is a heading and what stands under it.
type column struct {
	heading string
	refund  bool // a file about payments alone does not have it
	of      func(row) cell
}

// A total is a heading of the last but one line, and of which column it is the sum. Of no
// column: it is the number of rows.
type total struct {
	heading, column string
	refund          bool
}

// A row is a trade in the clothes of one file.
type row struct {
	world.Trade
	paymentsTimed bool
	goods, attach string
}

// refunded is the row's refund; zero in a row about a payment.
func (r row) refunded() world.Refund {
	if r.Refund == nil {
		return world.Refund{}
	}
	return *r.Refund
}

// paid is a thing of the order that a row about a refund leaves out.
func (r row) paid(fen int64) int64 {
	if r.Refund != nil {
		return 0
	}
	return fen
}

// coupons are what the coupons paid of an order, and take back of a refund.
func (r row) coupons() (paid, back int64) {
	for _, p := range r.Order.PromotionDetail {
		if p.Unfunded() {
			paid += p.Amount
		}
	}
	for _, p := range r.refunded().PromotionDetail {
		if !p.Unfunded() {
			back += p.RefundAmount
		}
	}
	return paid, back
}

// states are a refund's, as bills call them.
var states = map[string]string{
	world.StatusProcessing: "PROCESSING", world.StatusSuccess: "SUCCESS", world.StatusAbnormal: "CHANGE", world.StatusClosed: "FAIL",
}

// stamp writes a time as bills do.
func stamp(t time.Time) cell {
	if t.IsZero() {
		return cell{}
	}
	return word(t.In(world.China).Format(time.DateTime))
}

// time is the row's. In a file about refunds alone it is the payment's, which has columns
// for the times of the refund (a pair of rows of 2018); elsewhere that of what the row is about.
func (r row) time() cell {
	if r.paymentsTimed {
		t, _ := time.Parse(time.RFC3339, r.Order.SuccessTime)
		return stamp(t)
	}
	return stamp(r.At)
}

func payments(heading string, of func(row) cell) column { return column{heading, false, of} }

func refunds(heading string, of func(row) cell) column { return column{heading, true, of} }

// first are the columns that all layouts begin with; sub is what they call a provider's
// merchant.
func first(sub string) []column {
	return []column{
		payments("交易时间", row.time),
		payments("公众账号ID", func(row) cell { return word(world.AppID) }),
		payments("商户号", func(row) cell { return word(world.MchID) }),
		payments(sub, func(r row) cell { return word(cmp.Or(r.SubMchID, "0")) }),
		payments("设备号", func(row) cell { return cell{} }),
		payments("微信订单号", func(r row) cell { return word(r.Order.TransactionID) }),
		payments("商户订单号", func(r row) cell { return word(r.Order.OutTradeNo) }),
		payments("用户标识", func(r row) cell { return word(r.Order.OpenID) }),
		payments("交易类型", func(row) cell { return word("JSAPI") }),
		payments("交易状态", func(r row) cell {
			if r.Refund != nil {
				return word("REFUND")
			}
			return word("SUCCESS")
		}),
		payments("付款银行", func(row) cell { return word("OTHERS") }),
	}
}

// numbers are a refund's; 0 in a row about a payment.
func numbers() []column {
	return []column{
		refunds(hRefundID, func(r row) cell { return word(cmp.Or(r.refunded().RefundID, "0")) }),
		refunds("商户退款单号", func(r row) cell { return word(cmp.Or(r.refunded().OutRefundNo, "0")) }),
	}
}

func kinds() []column {
	return []column{
		refunds("退款类型", func(r row) cell { return word(r.refunded().Channel) }),
		refunds("退款状态", func(r row) cell { return word(states[r.refunded().Status]) }),
	}
}

// free are the columns that hold what people write.
func free() []column {
	return []column{
		payments("商品名称", func(r row) cell { return word(r.goods) }),
		payments("商户数据包", func(r row) cell { return word(r.attach) }),
	}
}

func fees() []column {
	return []column{
		payments("手续费", func(r row) cell {
			if r.Refund != nil {
				return fee(-world.Fee(r.Refund.Amount.SettlementRefund))
			}
			return fee(world.Fee(r.Order.Settlement))
		}),
		payments("费率", func(row) cell { return word("0.60%") }),
	}
}

// refundTimes are the columns that files about refunds alone have.
func refundTimes() []column {
	return []column{
		refunds("退款申请时间", func(r row) cell { return stamp(r.refunded().Created) }),
		refunds("退款成功时间", func(r row) cell { return stamp(r.refunded().Succeeded) }),
	}
}

func amount(heading string, refund bool, fen func(row) int64) column {
	return column{heading, refund, func(r row) cell { return money(fen(r), r.Order.Currency) }}
}

func currency(r row) cell { return word(r.Order.Currency) }

func asked(r row) int64 { return r.refunded().Amount.Refund }

func join(groups ...[]column) (out []column) {
	for _, g := range groups {
		out = append(out, g...)
	}
	return out
}

// all is the layout of type ALL
// (docs/merchant/products/bill-download/format-trade.html, of November 2024).
func all() layout {
	return layout{
		columns: join(first("特约商户号"), []column{
			payments("货币种类", currency),
			amount("应结订单金额", false, func(r row) int64 { return r.paid(r.Order.Settlement) }),
			amount("代金券金额", false, func(r row) int64 { paid, _ := r.coupons(); return r.paid(paid) }),
		}, numbers(), []column{
			amount("退款金额", true, func(r row) int64 { return r.refunded().Amount.SettlementRefund }),
			amount("充值券退款金额", true, func(r row) int64 { _, back := r.coupons(); return back }),
		}, kinds(), free(), fees(), []column{
			amount("订单金额", false, func(r row) int64 { return r.paid(r.Order.Total) }),
			amount("申请退款金额", true, asked),
			payments("费率备注", func(row) cell { return cell{} }),
		}),
		sums: []total{
			{"总交易单数", "", false}, {"应结订单总金额", "应结订单金额", false}, {"退款总金额", "退款金额", true},
			{"充值券退款总金额", "充值券退款金额", true}, {"手续费总金额", "手续费", false}, {"订单总金额", "订单金额", false},
			{"申请退款总金额", "申请退款金额", true},
		},
	}
}

// old is the layout of merchants without coupons that nobody pays them for: an order and a
// refund have one amount.
func old() layout {
	return layout{
		columns: join(first("子商户号"), []column{
			payments("货币种类", currency),
			amount("总金额", false, func(r row) int64 { return r.paid(r.Order.Total) }),
			amount("代金券或立减优惠金额", false, func(r row) int64 { paid, _ := r.coupons(); return r.paid(paid) }),
		}, numbers(), []column{
			amount("退款金额", true, asked),
			amount("代金券或立减优惠退款金额", true, func(r row) int64 { return r.refunded().Amount.DiscountRefund }),
		}, kinds(), free(), fees()),
		sums: []total{
			{"总交易单数", "", false}, {"总交易额", "总金额", false}, {"总退款金额", "退款金额", true},
			{"总代金券或立减优惠退款金额", "代金券或立减优惠退款金额", true}, {"手续费总金额", "手续费", false},
		},
	}
}

// abroad is the layout of WeChat Pay Global (document 4012354484), with a currency beside
// each amount: that of the price, that of the payer and that of the settlement. Amounts
// of several currencies are not added up.
func abroad() layout {
	yuan := func(row) cell { return word("CNY") }
	cash := func(heading string, refund bool, fen func(row) int64) column {
		return column{heading, refund, func(r row) cell { return money(fen(r), "CNY") }}
	}
	back := func(r row) string {
		if r.Refund == nil {
			return ""
		}
		return r.Order.Currency
	}
	return layout{
		columns: join(first("特约商户号"), numbers(), kinds(), free(), fees(), []column{
			payments("标价币种", currency),
			amount("订单金额(标价币种)", false, func(r row) int64 { return r.paid(r.Order.Total) }),
			payments("支付币种", yuan),
			cash("支付金额", false, func(r row) int64 { return r.paid(r.Order.Cash) }),
			payments("结算币种", currency),
			amount("应结订单金额", false, func(r row) int64 { return r.paid(r.Order.Settlement) }),
			payments("汇率", func(r row) cell { return word(world.Rate(r.Order.Currency)) }),
			refunds("退款汇率", func(r row) cell { return word(world.Rate(back(r))) }),
			amount("申请退款金额", true, asked),
			refunds("用户退款币种", func(r row) cell {
				if r.Refund == nil {
					return cell{}
				}
				return yuan(r)
			}),
			cash("用户退款金额", true, func(r row) int64 { return r.refunded().Cash }),
			refunds("退款结算币种", func(r row) cell { return word(back(r)) }),
			amount("退款应结订单金额", true, func(r row) int64 { return r.refunded().Amount.SettlementRefund }),
			amount("充值券退款金额", true, func(r row) int64 { _, back := r.coupons(); return back }),
			amount("优惠券退款金额", true, func(r row) int64 { return r.refunded().Amount.DiscountRefund }),
		}),
		sums: []total{{"总交易单数", "", false}, {"手续费总金额", "手续费", false}},
	}
}
