package wecom

import (
	"wxrefund/shared/sandbox/door"
	"wxrefund/shared/sandbox/schema"
	"wxrefund/shared/sandbox/world"
)

var orderForm = schema.Schema{
	{Path: "/mchid", Required: true, Min: 1, Max: 32},
	{Path: "/out_trade_no", Required: true, Min: 6, Max: 32},
}

// getOrder is POST /cgi-bin/miniapppay/get_order: what APIv3 tells of an order, but for the
// mini-program.
func (d *Door) getOrder(x *door.Exchange) door.Reply {
	if d.world.Exceeded(world.LimitQuery) {
		return door.Reply{No: world.Refuse(world.CodeFrequency)}
	}
	var in struct {
		MchID      string `json:"mchid"`
		OutTradeNo string `json:"out_trade_no"`
	}
	if no := read(x, orderForm, &in); no != nil {
		return door.Reply{No: no}
	}
	if in.MchID != world.MchID {
		return door.Reply{No: world.Refuse(world.CodeNoMerchant)}
	}
	o, no := d.world.Ask("", in.OutTradeNo, "")
	if no != nil {
		return door.Reply{No: no}
	}
	t := o.Transaction("")
	t.AppID = ""
	return door.Reply{Object: t}
}
