package wecom

import (
	"net/http/httptest"
	"testing"

	"wxrefund/shared/sandbox/bill"
	"wxrefund/shared/sandbox/door"
	"wxrefund/shared/sandbox/doortest"
	"wxrefund/shared/sandbox/world"
)

var entrances = []doortest.Entrance{
	{Name: "token", Head: "corpid=a&corpsecret=%20", Enter: func(w *world.World, head string, body []byte) string {
		return doortest.Send(w, New(w, &bill.Offers{}), "GET", "/cgi-bin/gettoken", head, body)
	}},
	{Name: "refund", Accepts: true, Body: `{"mchid":"1900000001","appid":"wx5a4db0c0ffee0001","out_trade_no":"T00001","out_refund_no":"R1","reason":"商品","amount":{"refund":1,"total":10000,"currency":"CNY"}}`,
		Enter: func(w *world.World, _ string, body []byte) string {
			return doortest.Said(New(w, &bill.Offers{}).refund(exchange(body)))
		}},
	{Name: "query", Body: `{"mchid":"1900000001","out_refund_no":"R0"}`,
		Enter: func(w *world.World, _ string, body []byte) string {
			return doortest.Said(New(w, &bill.Offers{}).refundDetail(exchange(body)))
		}},
	{Name: "bill", Body: `{"mchid":"1900000001","bill_date":"2026-11-26","bill_type":"REFUND","tar_type":"GZIP"}`,
		Enter: func(w *world.World, _ string, body []byte) string {
			return doortest.Said(New(w, &bill.Offers{}).getBill(exchange(body)))
		}},
}

func exchange(body []byte) *door.Exchange {
	return &door.Exchange{Request: httptest.NewRequest("POST", "/", nil), Body: body}
}

func FuzzEntrances(f *testing.F) { doortest.Fuzz(f, entrances) }
