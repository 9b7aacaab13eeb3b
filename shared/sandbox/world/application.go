package world

// An Application is a refund as it is asked for, in APIv3's words.
type Application struct {
	SubMchID      string            `json:"sub_mchid,omitempty"`
	TransactionID string            `json:"transaction_id,omitempty"`
	OutTradeNo    string            `json:"out_trade_no,omitempty"`
	OutRefundNo   string            `json:"out_refund_no"`
	Reason        string            `json:"reason,omitempty"`
	NotifyURL     string            `json:"notify_url,omitempty"`
	FundsAccount  string            `json:"funds_account,omitempty"`
	Amount        ApplicationAmount `json:"amount"`
	GoodsDetail   []Goods           `json:"goods_detail,omitempty"`
}

// An ApplicationAmount is in the currency's minor unit.
type ApplicationAmount struct {
	Refund   int64  `json:"refund"`
	Total    int64  `json:"total"`
	Currency string `json:"currency"` // empty: CNY, or see [Caller]
	From     []From `json:"from,omitempty"`
}

// From is an account that pays, and how much of it.
type From struct {
	Account string `json:"account"`
	Amount  int64  `json:"amount"`
}

// Goods are what is given back.
type Goods struct {
	MerchantGoodsID  string `json:"merchant_goods_id"`
	WechatpayGoodsID string `json:"wechatpay_goods_id,omitempty"`
	GoodsName        string `json:"goods_name,omitempty"`
	UnitPrice        int64  `json:"unit_price"`
	RefundAmount     int64  `json:"refund_amount"`
	RefundQuantity   int64  `json:"refund_quantity"`
}

// CheckSubMchID checks on whose behalf a request is made. The merchant may act
// for itself, then it says nothing, or as a service provider for the one
// merchant that it serves.
func CheckSubMchID(id string) *Refusal {
	switch id {
	case "", SubMchID:
		return nil
	case MchID:
		return Refuse(CodeParam).Say("普通商户不允许传sub_mch_id")
	}
	return Refuse(CodeNoAuth).Say("特约子商户商户号未授权服务商的产品权限")
}
