package refund_test

import (
	"math"
	"strings"
	"testing"

	"wxrefund/shared/refund"
)

// One valid request, one thing changed.
func TestSpecCheckNamesTheOneThingThatIsWrong(t *testing.T) {
	spec := newUpstream().Spec()
	bare := refund.Spec{Name: "bare", OutRefundNo: refund.Length{Min: 1, Max: 32}, OutTradeNo: refund.Length{Min: 6, Max: 32}}
	valid := refund.Request{
		OutRefundNo: "R_-|*@1", TransactionID: "4200001", OutTradeNo: "order-1", Reason: "售完", FundsAccount: "AVAILABLE",
		Amount:      refund.RequestAmount{Refund: 60, Total: 100, Currency: "CNY", From: []refund.From{{Account: "AVAILABLE", Amount: 20}, {Account: "UNAVAILABLE", Amount: 40}}},
		GoodsDetail: []refund.Goods{{MerchantGoodsID: "g", RefundQuantity: 1}},
	}
	if err := spec.Check(valid); err != nil {
		t.Fatalf("valid: %v", err)
	}
	for _, c := range []struct {
		name   string
		spec   refund.Spec
		change func(*refund.Request)
		says   string
	}{
		{"no number", spec, func(r *refund.Request) { r.OutRefundNo = "" }, "out_refund_no must have 1 to 64"},
		{"long number", spec, func(r *refund.Request) { r.OutRefundNo = strings.Repeat("x", 65) }, "out_refund_no must have 1 to 64"},
		{"space in a number", spec, func(r *refund.Request) { r.OutRefundNo = "R 1" }, "out_refund_no may hold"},
		{"slash in a number", spec, func(r *refund.Request) { r.OutRefundNo = "../R1" }, "out_refund_no may hold"},
		{"line feed in a number", spec, func(r *refund.Request) { r.OutRefundNo = "R1\n" }, "out_refund_no may hold"},
		{"other letters", spec, func(r *refund.Request) { r.OutTradeNo = "订单" }, "out_trade_no may hold"},
		{"long transaction_id", spec, func(r *refund.Request) { r.TransactionID = strings.Repeat("1", 33) }, "transaction_id must have"},
		{"no order", spec, func(r *refund.Request) { r.OutTradeNo, r.TransactionID = "", "" }, "transaction_id or out_trade_no"},
		{"long reason", spec, func(r *refund.Request) { r.Reason = strings.Repeat("售", 27) }, "reason must have at most 80 bytes"},
		{"unknown account", spec, func(r *refund.Request) { r.FundsAccount = "BASIC" }, "funds_account must be AVAILABLE"},
		{"zero", spec, func(r *refund.Request) { r.Amount.Refund = 0 }, "amount.refund must be at least 1"},
		{"negative", spec, func(r *refund.Request) { r.Amount.Refund = -1 }, "amount.refund must be at least 1"},
		{"no total", spec, func(r *refund.Request) { r.Amount.Total = 0 }, "amount.total must be at least 1"},
		{"over the total", spec, func(r *refund.Request) { r.Amount.Refund = 101 }, "amount.refund must not exceed"},
		{"other currency", spec, func(r *refund.Request) { r.Amount.Currency = "EUR" }, "amount.currency must be CNY"},
		{"sum too small", spec, func(r *refund.Request) { r.Amount.From = r.Amount.From[:1] }, "amount.from must sum"},
		{"sum overflows", spec, func(r *refund.Request) {
			r.Amount = refund.RequestAmount{Refund: math.MaxInt64, Total: math.MaxInt64, Currency: "CNY",
				From: []refund.From{{Account: "AVAILABLE", Amount: math.MaxInt64}, {Account: "UNAVAILABLE", Amount: math.MaxInt64}}}
		}, "amount.from must sum"},
		{"account twice", spec, func(r *refund.Request) {
			r.Amount.From = []refund.From{{Account: "AVAILABLE", Amount: 30}, {Account: "AVAILABLE", Amount: 30}}
		}, "amount.from[1].account stands in the list twice"},
		{"unknown from account", spec, func(r *refund.Request) { r.Amount.From = []refund.From{{Account: "BASIC", Amount: 60}} }, "amount.from[0].account must be"},
		{"no from account", spec, func(r *refund.Request) { r.Amount.From = []refund.From{{Amount: 60}} }, "amount.from[0].account is required"},
		{"negative part", spec, func(r *refund.Request) {
			r.Amount.From = []refund.From{{Account: "AVAILABLE", Amount: -1}, {Account: "UNAVAILABLE", Amount: 61}}
		}, "amount.from[0].amount must be between"},

		{"number sign not carried", bare, func(r *refund.Request) { r.OutRefundNo = "R-1" }, "out_refund_no may hold"},
		{"short order number", bare, func(r *refund.Request) { r.OutRefundNo, r.OutTradeNo = "R1", "12345" }, "transaction_id cannot be carried"},
	} {
		t.Run(c.name, func(t *testing.T) {
			req := valid
			req.Amount.From = append([]refund.From(nil), valid.Amount.From...)
			c.change(&req)
			err := c.spec.Check(req)
			if e := wantCode(t, err, refund.CodeInvalid, refund.AfterFix); !strings.HasPrefix(e.Message, c.says) {
				t.Errorf("message %q, want %q", e.Message, c.says)
			}
		})
	}
}

// All that is wrong is said in one error, in the order of the fields, and a rule
// between fields says nothing of one that is wrong by itself.
func TestSpecCheckSaysAllAtOnce(t *testing.T) {
	spec := newUpstream().Spec()
	bare := refund.Spec{Name: "bare", OutRefundNo: refund.Length{Min: 1, Max: 32}, OutTradeNo: refund.Length{Min: 6, Max: 32}}
	all := refund.Request{
		OutRefundNo: "R 1", TransactionID: strings.Repeat("1", 33), OutTradeNo: "订单", Reason: strings.Repeat("售", 27), FundsAccount: "BASIC",
		Amount: refund.RequestAmount{Refund: 101, Total: 100, Currency: "EUR", From: []refund.From{{Amount: 0}, {Account: "BASIC", Amount: 60}}},
	}
	for _, c := range []struct {
		name string
		spec refund.Spec
		req  refund.Request
		says string
	}{
		{"every field", spec, all, "out_refund_no may hold digits, letters and _-|*@ only; transaction_id must have 1 to 32 characters; " +
			"out_trade_no may hold digits, letters and _-|*@ only; reason must have at most 80 bytes; funds_account must be AVAILABLE; " +
			"amount.refund must not exceed amount.total; amount.currency must be CNY; amount.from[0].account is required; and 1 more"},
		{"nothing given", spec, refund.Request{}, "out_refund_no must have 1 to 64 characters; transaction_id or out_trade_no is required; " +
			"amount.refund must be at least 1; amount.total must be at least 1; amount.currency is required"},
		{"no sum of a wrong amount", spec, refund.Request{OutRefundNo: "R1", OutTradeNo: "O1", Amount: refund.RequestAmount{Refund: 101, Total: 100, Currency: "CNY",
			From: []refund.From{{Account: "AVAILABLE", Amount: 1}}}}, "amount.refund must not exceed amount.total"},
		{"nothing is carried", bare, refund.Request{OutRefundNo: "R-1", TransactionID: "1", Reason: "x", FundsAccount: "AVAILABLE", GoodsDetail: []refund.Goods{{}},
			Amount: refund.RequestAmount{Refund: 2, Total: 2, From: []refund.From{{Account: "A", Amount: 1}, {Account: "B", Amount: 1}}}},
			"out_refund_no may hold digits and letters only; transaction_id cannot be carried by the channel bare; reason cannot be carried by the channel bare; " +
				"funds_account cannot be carried by the channel bare; amount.from[0].account cannot be carried by the channel bare; goods_detail cannot be carried by the channel bare"},
		{"the one name that is carried", bare, refund.Request{OutRefundNo: "R1", Amount: refund.RequestAmount{Refund: 1, Total: 1}}, "out_trade_no is required"},
	} {
		if e := wantCode(t, c.spec.Check(c.req), refund.CodeInvalid, refund.AfterFix); e.Message != c.says {
			t.Errorf("%s:\n got %s\nwant %s", c.name, e.Message, c.says)
		}
	}
}
