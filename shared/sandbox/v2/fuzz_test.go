package v2

import (
	"testing"

	"wxrefund/shared/sandbox/door"
	"wxrefund/shared/sandbox/doortest"
	"wxrefund/shared/sandbox/world"
	"wxrefund/shared/wxpay"
)

var entrances = []doortest.Entrance{
	{Name: "refund over the wire", Body: `<xml><mch_id>1900000001</mch_id><sign>0</sign></xml>`, Enter: post("/secapi/pay/refund")},
	{Name: "query over the wire", Body: `<xml><a><![CDATA[1]]></a></xml>`, Enter: post("/pay/refundquery")},
	{Name: "refund", Body: `<xml><nonce_str>n</nonce_str><out_trade_no>T1</out_trade_no><out_refund_no>R1</out_refund_no><total_fee>10000</total_fee><refund_fee>1</refund_fee>` +
		`<refund_fee_type>CNY</refund_fee_type><refund_desc>x&amp;z=1</refund_desc><refund_account>REFUND_SOURCE_RECHARGE_FUNDS</refund_account></xml>`, Accepts: true, Enter: xml(false)},
	{Name: "query", Body: `<xml><nonce_str>n</nonce_str><out_trade_no>T1</out_trade_no><offset>0</offset></xml>`, Enter: xml(true)},
	{Name: "acknowledgement", Body: `{"result":{"errcode":0}}`, Enter: func(_ *world.World, _ string, body []byte) string {
		for _, kind := range Vocabulary.Notifications {
			if fault := doortest.Acknowledges(kind, body); fault != "" {
				return fault
			}
		}
		return ""
	}},
}

func post(path string) func(*world.World, string, []byte) string {
	return func(w *world.World, _ string, body []byte) string {
		return doortest.Send(w, New(w), "POST", path, "", body, "Content-Type", "text/xml")
	}
}

func xml(query bool) func(*world.World, string, []byte) string {
	return func(w *world.World, _ string, body []byte) string {
		f, err := wxpay.ParseFields(body, "xml")
		if err != nil {
			return ""
		}
		handle, form := (*Door).refund, globalForms[world.OnApply]
		if query {
			handle, form = (*Door).refundQuery, globalForms[world.OnQuery]
		}
		m, no := handle(New(w), global, asked{new(door.Exchange), tree(form, f), global.notification})
		if no == nil {
			if _, err := w.Keys.API.Sign(m.fields(), wxpay.SignMD5); err != nil {
				return "an answer that cannot be signed: " + err.Error()
			}
		}
		return doortest.Said(door.Reply{Object: m, No: no})
	}
}

func FuzzEntrances(f *testing.F) { doortest.Fuzz(f, entrances) }
