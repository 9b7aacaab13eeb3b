package world

// The states of an order. REFUND is an order's after any refund, also of a part.
const (
	TradeSuccess = "SUCCESS"
	TradeRefund  = "REFUND"
	TradeNotPay  = "NOTPAY"
	TradeClosed  = "CLOSED"
	TradeRevoked = "REVOKED"
)

// TradeStates are those that an order can be made in.
var TradeStates = []string{TradeSuccess, TradeNotPay, TradeClosed, TradeRevoked}

// tradeWords say a state to people.
var tradeWords = map[string]string{
	TradeSuccess: "支付成功", TradeRefund: "转入退款", TradeNotPay: "订单未支付", TradeClosed: "订单已关闭", TradeRevoked: "订单已撤销",
}

// IsPaid tells that the payer's money has come, be it that some of it has gone back.
func (o Order) IsPaid() bool { return o.TradeState == TradeSuccess || o.TradeState == TradeRefund }

// StateInWords says to people how the order stands.
func (o Order) StateInWords() string { return tradeWords[o.TradeState] }

// Ask finds the order that the merchant, or a service provider on behalf of subMchID, asks
// about. Of one that is not paid WeChat Pay's number is not known yet.
func (w *World) Ask(transactionID, outTradeNo, subMchID string) (Order, *Refusal) {
	o, _, ok := w.Order(transactionID, outTradeNo)
	if !ok || o.Owned && o.SubMchID != subMchID || transactionID != "" && !o.IsPaid() {
		return Order{}, Refuse(CodeNoOrder)
	}
	return o, nil
}

// A Transaction is an order as APIv3 answers it.
type Transaction struct {
	AppID          string            `json:"appid,omitempty"`
	MchID          string            `json:"mchid,omitempty"`
	SpAppID        string            `json:"sp_appid,omitempty"`
	SpMchID        string            `json:"sp_mchid,omitempty"`
	SubAppID       string            `json:"sub_appid,omitempty"`
	SubMchID       string            `json:"sub_mchid,omitempty"`
	OutTradeNo     string            `json:"out_trade_no"`
	TransactionID  string            `json:"transaction_id,omitempty"`
	TradeType      string            `json:"trade_type,omitempty"`
	TradeState     string            `json:"trade_state"`
	TradeStateDesc string            `json:"trade_state_desc"`
	BankType       string            `json:"bank_type,omitempty"`
	Attach         string            `json:"attach"`
	SuccessTime    string            `json:"success_time,omitempty"`
	Payer          map[string]string `json:"payer"`
	Amount         TransactionAmount `json:"amount"`
	Promotions     []Coupon          `json:"promotion_detail,omitempty"`
}

// A TransactionAmount is an order's money.
type TransactionAmount struct {
	Total         int64  `json:"total"`
	PayerTotal    int64  `json:"payer_total"`
	Currency      string `json:"currency"`
	PayerCurrency string `json:"payer_currency"`
}

// A Coupon is one that an order was paid with.
type Coupon struct {
	CouponID           string        `json:"coupon_id"`
	Name               string        `json:"name"`
	Scope              string        `json:"scope"`
	Type               string        `json:"type"`
	Amount             int64         `json:"amount"`
	StockID            string        `json:"stock_id"`
	WechatpayContrib   int64         `json:"wechatpay_contribute"`
	MerchantContribute int64         `json:"merchant_contribute"`
	OtherContribute    int64         `json:"other_contribute"`
	Currency           string        `json:"currency"`
	GoodsDetail        []CouponGoods `json:"goods_detail,omitempty"`
}

// CouponGoods are what a coupon of single articles was for.
type CouponGoods struct {
	GoodsID        string `json:"goods_id"`
	Quantity       int64  `json:"quantity"`
	UnitPrice      int64  `json:"unit_price"`
	DiscountAmount int64  `json:"discount_amount"`
}

// Transaction writes the order for the merchant itself or, on behalf of subMchID, for its
// service provider: the payer has an openid of each program then.
func (o Order) Transaction(subMchID string) Transaction {
	out := Transaction{
		AppID: AppID, MchID: MchID, OutTradeNo: o.OutTradeNo, TradeState: o.TradeState, TradeStateDesc: o.StateInWords(),
		Payer: map[string]string{}, Promotions: o.coupons(),
		Amount: TransactionAmount{Total: o.Total, PayerTotal: o.PayerTotal(), Currency: o.Currency, PayerCurrency: o.Currency},
	}
	if subMchID != "" {
		out.AppID, out.MchID, out.SpAppID, out.SpMchID, out.SubAppID, out.SubMchID = "", "", AppID, MchID, SubAppID, subMchID
	}
	if !o.IsPaid() {
		out.Promotions, out.Amount.PayerTotal = nil, 0
		return out
	}
	out.TransactionID, out.TradeType, out.BankType, out.SuccessTime = o.TransactionID, "JSAPI", "OTHERS", o.SuccessTime
	if subMchID == "" {
		out.Payer["openid"] = o.OpenID
	} else {
		out.Payer["sp_openid"], out.Payer["sub_openid"] = o.OpenID, o.OtherOpenID
	}
	return out
}

// PayerTotal is what the payer paid, in the order's currency.
func (o Order) PayerTotal() int64 {
	n := o.Total
	for _, p := range o.PromotionDetail {
		n -= p.Amount
	}
	return n
}

// coupons are in the words that orders have for them.
func (o Order) coupons() (out []Coupon) {
	for _, p := range o.PromotionDetail {
		c := Coupon{
			CouponID: p.PromotionID, Name: "代金券", Scope: p.Scope, Type: "CASH", Amount: p.Amount, StockID: "1" + p.PromotionID,
			MerchantContribute: p.Amount, Currency: o.Currency,
		}
		if p.Unfunded() {
			c.Type = "NOCASH"
		}
		if p.Scope == "SINGLE" {
			c.GoodsDetail = []CouponGoods{{GoodsID: "G" + p.PromotionID, Quantity: 1, UnitPrice: o.Total, DiscountAmount: p.Amount}}
		}
		out = append(out, c)
	}
	return out
}
