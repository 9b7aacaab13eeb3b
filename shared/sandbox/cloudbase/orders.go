package cloudbase

import (
	"encoding/json"

	"wxrefund/shared/sandbox/door"
	"wxrefund/shared/sandbox/schema"
	"wxrefund/shared/sandbox/world"
)

// The data of the two questions about orders, which is flat.
var (
	moduleTransactionForm = schema.Schema{{Path: "/transaction_id", Label: "微信支付订单号", Required: true, Min: 1, Max: 32}}
	moduleTradeForm       = schema.Schema{{Path: "/out_trade_no", Label: "商户订单号", Required: true, Min: 1, Max: 32, Form: schema.FormNumber}}
)

func (d *Door) moduleTransaction(c call, data json.RawMessage) door.Reply {
	return d.moduleOrder(c, data, moduleTransactionForm)
}

func (d *Door) moduleTrade(c call, data json.RawMessage) door.Reply {
	return d.moduleOrder(c, data, moduleTradeForm)
}

func (d *Door) moduleOrder(c call, data json.RawMessage, form schema.Schema) door.Reply {
	if d.world.Exceeded(world.LimitQuery) {
		return door.Reply{No: world.Refuse(world.CodeFrequency)}
	}
	var in struct {
		TransactionID string `json:"transaction_id"`
		OutTradeNo    string `json:"out_trade_no"`
	}
	if v := c.CheckBody(form.Read(data, &in)); v != nil {
		return door.Reply{No: world.RefuseBody(v)}
	}
	o, no := d.world.Ask(in.TransactionID, in.OutTradeNo, "")
	if no != nil {
		return door.Reply{No: no}
	}
	return door.Reply{Object: o.Transaction("")}
}
