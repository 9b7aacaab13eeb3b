package refund

// A Request asks for one refund. Its fields are the inputs of the document "CloudBase
// template, wxpay_refund". The validate tags give each field's shape as APIv3's refund
// document (4012791862) has it, for whoever decodes requests; what a channel allows
// beyond or below that, and the rules between fields, are [Spec.Check]'s. A number that
// must be given, zero or not, is tagged wire:"required"; one that is money wire:"fen".
type Request struct {
	OutRefundNo   string        `json:"out_refund_no" validate:"required,max=64"`
	TransactionID string        `json:"transaction_id,omitempty" validate:"max=32"`
	OutTradeNo    string        `json:"out_trade_no,omitempty" validate:"max=32"`
	Reason        string        `json:"reason,omitempty" validate:"maxbytes=80,wxtext"`
	FundsAccount  string        `json:"funds_account,omitempty" validate:"max=32"`
	Amount        RequestAmount `json:"amount" validate:"required"`
	GoodsDetail   []Goods       `json:"goods_detail,omitempty" validate:"max=100,dive"`
}

// RequestAmount is money in the currency's minor unit (fen for CNY). The upper
// bound is the greatest integer that JavaScript, the caller's language, holds exactly.
type RequestAmount struct {
	Refund   int64  `json:"refund" validate:"min=1,max=9007199254740991" wire:"required,fen"`
	Total    int64  `json:"total" validate:"min=1,max=9007199254740991" wire:"required,fen"`
	Currency string `json:"currency" validate:"required,iso4217"`
	From     []From `json:"from,omitempty" validate:"max=10,dive"`
}

// From is the part of a refund that one of the merchant's accounts pays, in minor units.
type From struct {
	Account string `json:"account" validate:"required,max=32"`
	Amount  int64  `json:"amount" validate:"min=1,max=9007199254740991" wire:"required,fen"`
}

// Goods is one article of an order; prices are in minor units.
type Goods struct {
	MerchantGoodsID  string `json:"merchant_goods_id" validate:"required,max=32"`
	WechatpayGoodsID string `json:"wechatpay_goods_id,omitempty" validate:"max=32"`
	GoodsName        string `json:"goods_name,omitempty" validate:"maxbytes=256,wxtext"`
	UnitPrice        int64  `json:"unit_price" validate:"min=0,max=9007199254740991" wire:"required,fen"`
	RefundAmount     int64  `json:"refund_amount" validate:"min=0,max=9007199254740991" wire:"required,fen"`
	RefundQuantity   int64  `json:"refund_quantity" validate:"min=1,max=9007199254740991" wire:"required"`
}

// Status is what an upstream says of a refund, in APIv3's words.
type Status string

const (
	StatusProcessing Status = "PROCESSING"
	StatusSuccess    Status = "SUCCESS"
	StatusClosed     Status = "CLOSED"
	StatusAbnormal   Status = "ABNORMAL"
)

// A Refund is the refund object of APIv3 and of the CloudBase template, wxpay_refund,
// on every channel. A field that a channel does not know is absent.
type Refund struct {
	RefundID            string      `json:"refund_id,omitempty"`
	OutRefundNo         string      `json:"out_refund_no"`
	TransactionID       string      `json:"transaction_id,omitempty"`
	OutTradeNo          string      `json:"out_trade_no,omitempty"`
	Channel             string      `json:"channel,omitempty"`
	UserReceivedAccount string      `json:"user_received_account,omitempty"`
	SuccessTime         string      `json:"success_time,omitempty"` // RFC 3339; only with SUCCESS
	CreateTime          string      `json:"create_time,omitempty"`  // RFC 3339
	Status              Status      `json:"status,omitempty"`
	FundsAccount        string      `json:"funds_account,omitempty"`
	ReceivedBy          string      `json:"received_by,omitempty"` // [ReceivedByMerchant]; "" where the payer has the money, or nobody yet
	Amount              Amount      `json:"amount"`
	PromotionDetail     []Promotion `json:"promotion_detail,omitempty"`
}

// Amount is what a refund object says of money, in minor units. A nil pointer is "not
// said", unlike zero; Total and Refund are never zero, so there 0 is "not said".
type Amount struct {
	Total            int64  `json:"total,omitempty"`
	Refund           int64  `json:"refund"`
	From             []From `json:"from,omitempty"`
	PayerTotal       *int64 `json:"payer_total,omitempty"`
	PayerRefund      *int64 `json:"payer_refund,omitempty"`
	SettlementRefund *int64 `json:"settlement_refund,omitempty"`
	SettlementTotal  *int64 `json:"settlement_total,omitempty"`
	DiscountRefund   *int64 `json:"discount_refund,omitempty"`
	RefundFee        *int64 `json:"refund_fee,omitempty"` // handling fee given back (CloudBase template, wxpay_refund)
	Currency         string `json:"currency,omitempty"`
	PayerCurrency    string `json:"payer_currency,omitempty"` // of payer_total and payer_refund, where it is another (WeChat Pay Global)
}

// Promotion is a discount of which a part was refunded, in minor units.
type Promotion struct {
	PromotionID  string  `json:"promotion_id"`
	Scope        string  `json:"scope,omitempty"`
	Type         string  `json:"type,omitempty"`
	Amount       *int64  `json:"amount,omitempty"` // face value; v2 does not have it
	RefundAmount int64   `json:"refund_amount"`
	GoodsDetail  []Goods `json:"goods_detail,omitempty"`
}

// Merchant says on whose behalf a refund runs. SubMchID is set for a service provider only.
type Merchant struct {
	MchID    string `json:"mchid"`
	SubMchID string `json:"sub_mchid,omitempty"`
}
