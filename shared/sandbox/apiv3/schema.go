package apiv3

import (
	"wxrefund/shared/sandbox/schema"
)

// ApplySchema is the body of POST /v3/refund/domestic/refunds, from the
// documents of direct merchants and of service providers.
var ApplySchema = schema.Schema{
	{Path: "/sub_mchid", Label: "子商户号", Min: 1, Max: 32, Form: schema.FormDigits},
	{Path: "/transaction_id", Label: "微信支付订单号", Min: 1, Max: 32},
	{Path: "/out_trade_no", Label: "商户订单号", Min: 1, Max: 32, Form: schema.FormNumber},
	{Path: "/out_refund_no", Label: "商户退款单号", Required: true, Min: 1, Max: 64, Form: schema.FormNumber},
	{Path: "/reason", Label: "退款原因", Min: 1, Max: 80},
	{Path: "/notify_url", Label: "退款结果回调url", Min: 8, Max: 256, Form: schema.FormURL},
	{Path: "/funds_account", Label: "退款资金来源", Enum: []string{"AVAILABLE", "UNSETTLED"}},
	{Path: "/amount", Label: "金额信息", Kind: schema.Object, Required: true},
	{Path: "/amount/refund", Label: "退款金额", Kind: schema.Number, Required: true, Min: 1},
	{Path: "/amount/total", Label: "原订单金额", Kind: schema.Number, Required: true, Min: 1},
	{Path: "/amount/currency", Label: "退款币种", Required: true, Min: 1, Max: 16, Enum: []string{"CNY"}},
	{Path: "/amount/from", Label: "退款出资账户及金额", Kind: schema.List},
	{Path: "/amount/from/*/account", Label: "出资账户类型", Required: true, Enum: []string{"AVAILABLE", "UNAVAILABLE"}},
	{Path: "/amount/from/*/amount", Label: "出资金额", Kind: schema.Number, Required: true, Min: 1},
	{Path: "/goods_detail", Label: "退款商品", Kind: schema.List},
	{Path: "/goods_detail/*/merchant_goods_id", Label: "商户侧商品编码", Required: true, Min: 1, Max: 32},
	{Path: "/goods_detail/*/wechatpay_goods_id", Label: "微信支付商品编码", Min: 1, Max: 32},
	{Path: "/goods_detail/*/goods_name", Label: "商品名称", Min: 1, Max: 256},
	{Path: "/goods_detail/*/unit_price", Label: "商品单价", Kind: schema.Number, Required: true},
	{Path: "/goods_detail/*/refund_amount", Label: "商品退款金额", Kind: schema.Number, Required: true},
	{Path: "/goods_detail/*/refund_quantity", Label: "商品退货数量", Kind: schema.Number, Required: true, Min: 1},
}
