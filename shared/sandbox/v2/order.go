package v2

import (
	"wxrefund/shared/sandbox/schema"
	"wxrefund/shared/sandbox/world"
)

// orderForm is the body of POST /pay/orderquery.
var orderForm = schema.Schema{
	{Path: "/nonce_str", Required: true, Min: 1, Max: 32},
	{Path: "/sub_mch_id", Max: 32, Form: schema.FormDigits},
	{Path: "/transaction_id", Max: 32},
	{Path: "/out_trade_no", Max: 32, Form: schema.FormNumber},
}

// orderQuery asks about an order.
func (d *Door) orderQuery(in dialect, q asked) (Message, *world.Refusal) {
	if d.world.Exceeded(world.LimitQuery) {
		return nil, world.Refuse(world.CodeFrequency)
	}
	if v := q.CheckBody(in.forms[world.OnOrder].Check(q.node)); v != nil {
		return nil, refuseForm(v)
	}
	sub := q.text("sub_mch_id")
	if no := world.CheckSubMchID(sub); no != nil {
		return nil, no
	}
	transactionID, outTradeNo := q.text("transaction_id"), q.text("out_trade_no")
	if transactionID == "" && outTradeNo == "" {
		return nil, world.Refuse(world.CodeParam).Say("缺少参数:transaction_id、out_trade_no必填一个")
	}
	o, no := d.world.Ask(transactionID, outTradeNo, sub)
	if no != nil {
		return nil, no
	}
	m := Message{"out_trade_no": o.OutTradeNo, "trade_state": o.TradeState, "trade_state_desc": o.StateInWords()}
	if !o.IsPaid() {
		return m, nil
	}
	m.order(o, in)
	m["trade_type"], m["bank_type"], m["is_subscribe"], m["time_end"] = "JSAPI", "OTHERS", "N", o.Success.In(world.China).Format("20060102150405")
	// Whose program pays: the sub-merchant's, if it speaks as one, as CloudPay always does.
	m["openid"] = o.OpenID
	if q.text("sub_appid") != "" || in.sub {
		m["openid"], m["sub_openid"], m["sub_is_subscribe"] = o.OtherOpenID, o.OpenID, "N"
	}
	return m, nil
}
