package apiv3

import (
	"strings"

	"wxrefund/shared/sandbox/door"
	"wxrefund/shared/sandbox/schema"
	"wxrefund/shared/sandbox/world"
)

// partnerOrders is below what service providers ask.
const partnerOrders = "/v3/pay/partner/"

// byTransaction is GET /v3/pay/transactions/id/{transaction_id}, and the provider's.
func (d *Door) byTransaction(x *door.Exchange) door.Reply {
	return d.order(x, "transaction_id", "微信支付订单号", d.world.Ask)
}

// byTrade is GET /v3/pay/transactions/out-trade-no/{out_trade_no}, and the provider's.
func (d *Door) byTrade(x *door.Exchange) door.Reply {
	return d.order(x, "out_trade_no", "商户订单号", func(number, _, sub string) (world.Order, *world.Refusal) {
		return d.world.Ask("", number, sub)
	})
}

// order answers a question about an order. Who asks is told in the query: the merchant by
// itself, or a service provider for one that it serves.
func (d *Door) order(x *door.Exchange, name, label string, ask func(number, none, sub string) (world.Order, *world.Refusal)) door.Reply {
	if d.world.Exceeded(world.LimitQuery) {
		return door.Reply{No: world.Refuse(world.CodeFrequency)}
	}
	known := []string{"mchid"}
	if strings.HasPrefix(x.Request.URL.Path, partnerOrders) {
		known = []string{"sp_mchid", "sub_mchid"}
	}
	query, no := parseQuery(x.Request.URL.RawQuery, known...)
	if no != nil {
		return door.Reply{No: no}
	}
	for _, each := range known {
		if query.Get(each) == "" {
			return door.Reply{No: world.RefuseField("query", each, "", "a parameter that is needed", "输入源“/query/"+each+"”映射到字段“商户号”必填性规则校验失败，此字段为必填项")}
		}
	}
	if query.Get(known[0]) != world.MchID {
		return door.Reply{No: world.Refuse(world.CodeNoAuth).Say("商户号与发起请求的商户号不一致")}
	}
	sub := query.Get("sub_mchid")
	if no := world.CheckSubMchID(sub); no != nil {
		return door.Reply{No: no}
	}
	number := x.Request.PathValue("number")
	if len(number) > 32 || !schema.FormNumber.MatchString(number) {
		return door.Reply{No: world.RefuseField("url", name, number, "not a number of an order",
			"输入源“/path/"+name+"”映射到值字段“"+label+"”字符串规则校验失败，字符串必须匹配正则表达式“"+schema.FormNumber.String()+"”")}
	}
	o, no := ask(number, "", sub)
	if no != nil {
		return door.Reply{No: no}
	}
	return door.Reply{Object: o.Transaction(sub)}
}
