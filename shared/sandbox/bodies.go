package sandbox

import "regexp"

// The forms of the documents. That of URLs is as WeChat Pay quotes it in its
// errors: no query, no fragment.
var (
	formNumber   = regexp.MustCompile(`^[0-9a-zA-Z_\-\|\*\@]+$`)
	formDigits   = regexp.MustCompile(`^[0-9]+$`)
	formCurrency = regexp.MustCompile(`^[A-Z]{3}$`)
	formURL      = regexp.MustCompile(`^https?://([^\s/?#\[\]\@]+\@)?([^\s/?#\@:]+)(?::\d{2,5})?([^\s?#\[\]]*)$`)
)

var (
	payingAccounts = []string{"AVAILABLE", "UNAVAILABLE"}
	fundsAccounts  = []string{"AVAILABLE", "UNSETTLED"}
	couponScopes   = []string{"GLOBAL", "SINGLE"}
	couponTypes    = []string{"COUPON", "DISCOUNT", "CASH", "NOCASH"}
	outcomes       = []string{statusSuccess, statusClosed, statusAbnormal}
)

// applySchema is the body of POST /v3/refund/domestic/refunds, from the
// documents of direct merchants and of service providers.
var applySchema = schema{
	{path: "/sub_mchid", label: "子商户号", min: 1, max: 32, form: formDigits},
	{path: "/transaction_id", label: "微信支付订单号", min: 1, max: 32},
	{path: "/out_trade_no", label: "商户订单号", min: 1, max: 32, form: formNumber},
	{path: "/out_refund_no", label: "商户退款单号", required: true, min: 1, max: 64, form: formNumber},
	{path: "/reason", label: "退款原因", min: 1, max: 80},
	{path: "/notify_url", label: "退款结果回调url", min: 8, max: 256, form: formURL},
	{path: "/funds_account", label: "退款资金来源", enum: fundsAccounts},
	{path: "/amount", label: "金额信息", kind: object, required: true},
	{path: "/amount/refund", label: "退款金额", kind: number, required: true, min: 1},
	{path: "/amount/total", label: "原订单金额", kind: number, required: true, min: 1},
	{path: "/amount/currency", label: "退款币种", required: true, min: 1, max: 16, enum: []string{"CNY"}},
	{path: "/amount/from", label: "退款出资账户及金额", kind: list},
	{path: "/amount/from/*/account", label: "出资账户类型", required: true, enum: payingAccounts},
	{path: "/amount/from/*/amount", label: "出资金额", kind: number, required: true, min: 1},
	{path: "/goods_detail", label: "退款商品", kind: list},
	{path: "/goods_detail/*/merchant_goods_id", label: "商户侧商品编码", required: true, min: 1, max: 32},
	{path: "/goods_detail/*/wechatpay_goods_id", label: "微信支付商品编码", min: 1, max: 32},
	{path: "/goods_detail/*/goods_name", label: "商品名称", min: 1, max: 256},
	{path: "/goods_detail/*/unit_price", label: "商品单价", kind: number, required: true},
	{path: "/goods_detail/*/refund_amount", label: "商品退款金额", kind: number, required: true},
	{path: "/goods_detail/*/refund_quantity", label: "商品退货数量", kind: number, required: true, min: 1},
}

// An application is a refund as it is asked for.
type application struct {
	SubMchID      string            `json:"sub_mchid,omitempty"`
	TransactionID string            `json:"transaction_id,omitempty"`
	OutTradeNo    string            `json:"out_trade_no,omitempty"`
	OutRefundNo   string            `json:"out_refund_no"`
	Reason        string            `json:"reason,omitempty"`
	NotifyURL     string            `json:"notify_url,omitempty"`
	FundsAccount  string            `json:"funds_account,omitempty"`
	Amount        applicationAmount `json:"amount"`
	GoodsDetail   []goods           `json:"goods_detail,omitempty"`
}

type applicationAmount struct {
	Refund   int64  `json:"refund"`
	Total    int64  `json:"total"`
	Currency string `json:"currency"`
	From     []from `json:"from,omitempty"`
}

type from struct {
	Account string `json:"account"`
	Amount  int64  `json:"amount"`
}

type goods struct {
	MerchantGoodsID  string `json:"merchant_goods_id"`
	WechatpayGoodsID string `json:"wechatpay_goods_id,omitempty"`
	GoodsName        string `json:"goods_name,omitempty"`
	UnitPrice        int64  `json:"unit_price"`
	RefundAmount     int64  `json:"refund_amount"`
	RefundQuantity   int64  `json:"refund_quantity"`
}

// The bodies of the control side. They have no labels, since it speaks English.
var (
	orderSchema = schema{
		{path: "/out_trade_no", min: 1, max: 32, form: formNumber},
		{path: "/transaction_id", min: 1, max: 32, form: formNumber},
		{path: "/sub_mchid", enum: []string{subMchID}},
		{path: "/total", kind: number, required: true, min: 1, max: maxFen},
		{path: "/currency", form: formCurrency},
		{path: "/openid", min: 1, max: 128, form: formNumber},
		{path: "/success_time", min: 1, max: 64},
		{path: "/promotion_detail", kind: list, max: 20},
		{path: "/promotion_detail/*/promotion_id", required: true, min: 1, max: 32},
		{path: "/promotion_detail/*/scope", required: true, enum: couponScopes},
		{path: "/promotion_detail/*/type", required: true, enum: couponTypes},
		{path: "/promotion_detail/*/amount", kind: number, required: true, min: 1, max: maxFen},
	}

	handSchema = schema{
		{path: "/out_trade_no", min: 1, max: 32, form: formNumber},
		{path: "/transaction_id", min: 1, max: 32, form: formNumber},
		{path: "/out_refund_no", required: true, min: 1, max: 64, form: formNumber},
		{path: "/reason", min: 1, max: 80},
		{path: "/notification", enum: []string{notificationV3, notificationV2}},
		{path: "/amount", kind: number, required: true, min: 1, max: maxFen},
	}

	// amounts like those of APIv3 are understood as well.
	handSchemaLong = append(handSchema[:len(handSchema)-1:len(handSchema)-1],
		rule{path: "/amount", kind: object, required: true},
		rule{path: "/amount/refund", kind: number, required: true, min: 1, max: maxFen},
		rule{path: "/amount/total", kind: number, min: 1, max: maxFen},
		rule{path: "/amount/currency", form: formCurrency},
	)

	settleSchema = schema{{path: "/status", required: true, enum: outcomes}}
)
