package apiv3

import (
	"encoding/json"
	"io"
	"net/http/httptest"
	"strings"
	"testing"

	"wxrefund/shared/sandbox/bill"
	"wxrefund/shared/sandbox/door"
	"wxrefund/shared/sandbox/doortest"
	"wxrefund/shared/sandbox/world"
)

// What comes in is fuzzed behind the signature, whose path through the code depends
// on chance and would always look new.
var entrances = []doortest.Entrance{
	{Name: "query", Head: "R0", Body: `sub_mchid=1900000109`, Enter: func(w *world.World, head string, body []byte) string {
		r := httptest.NewRequest("GET", "/", nil)
		r.URL.RawQuery = string(body)
		r.SetPathValue("out_refund_no", head)
		return doortest.Said(New(w, &bill.Offers{}).getRefund(&door.Exchange{Request: r}))
	}},
	{Name: "bill of trade", Body: `bill_date=2026-11-26&bill_type=REFUND&tar_type=GZIP&sub_mchid=1900000109`, Enter: func(w *world.World, _ string, body []byte) string {
		r := httptest.NewRequest("GET", "/", nil)
		r.URL.RawQuery = string(body)
		return doortest.Said(New(w, &bill.Offers{}).tradeBill(&door.Exchange{Request: r}))
	}},
	{Name: "bill of an account", Body: `bill_date=2026-11-26&account_type=BASIC`, Enter: func(w *world.World, _ string, body []byte) string {
		r := httptest.NewRequest("GET", "/", nil)
		r.URL.RawQuery = string(body)
		return doortest.Said(New(w, &bill.Offers{}).fundFlowBill(&door.Exchange{Request: r}))
	}},
	{Name: "certificates", Body: `algorithm_type=RSA`, Enter: func(w *world.World, _ string, body []byte) string {
		r := httptest.NewRequest("GET", "/", nil)
		r.URL.RawQuery = string(body)
		return doortest.Said(New(w, &bill.Offers{}).getCertificates(&door.Exchange{Request: r}))
	}},
	{Name: "echo", Head: "PUB_KEY_ID_01", Body: `{"echo_message":"m","encrypted_echo_message":"AAAA"}`, Enter: func(w *world.World, head string, body []byte) string {
		r := httptest.NewRequest("POST", "/", nil)
		r.Header.Set("Wechatpay-Serial", head)
		return doortest.Said(New(w, &bill.Offers{}).postEcho(&door.Exchange{Request: r, Body: body}))
	}},
	{Name: "over the wire", Head: `WECHATPAY2-SHA256-RSA2048 mchid="1900000001",nonce_str="n",signature="AA==",timestamp="1",serial_no="5"`, Body: `{}`,
		Enter: func(w *world.World, head string, body []byte) string {
			return doortest.Send(w, New(w, &bill.Offers{}), "POST", "/v3/refund/domestic/refunds", "", body, "Authorization", head, "Content-Type", "application/json")
		}},
	{Name: "acknowledgement", Body: `{"code":"SUCCESS"}`, Enter: func(_ *world.World, _ string, body []byte) string {
		return doortest.Acknowledges(Vocabulary.Notifications[0], body)
	}},
}

func FuzzEntrances(f *testing.F) { doortest.Fuzz(f, entrances) }

// FuzzApply applies with any body. What was accepted is what was asked for, and
// what was refused is refused in one of APIv3's ways.
func FuzzApply(f *testing.F) {
	for _, body := range []string{
		`{"out_trade_no":"T1","out_refund_no":"R_1-|*@","reason":"商品","notify_url":"https://merchant.example/notify","funds_account":"AVAILABLE",
		"amount":{"refund":10,"total":10000,"currency":"CNY","from":[{"account":"AVAILABLE","amount":4},{"account":"UNAVAILABLE","amount":6}]},
		"goods_detail":[{"merchant_goods_id":"g1","unit_price":1,"refund_amount":1,"refund_quantity":1}]}`,
		`{"transaction_id":"4200000000000000000000000001","out_refund_no":"R1","amount":{"refund":9900,"total":10000,"currency":"CNY"},"sub_mchid":"1900000109"}`,
		`{"out_trade_no":"T1","out_refund_no":"R1","amount":{"refund":1e4,"total":10000,"currency":"CNY"}}`,
		`[[[[[[[[[[{}]]]]]]]]]]`, "\xff{}", `{"out_refund_no":"\u0052"}`,
	} {
		f.Add([]byte(body))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		w := doortest.World(t)
		d, x := New(w, &bill.Offers{}), &door.Exchange{Body: body, Request: httptest.NewRequest("POST", "/", nil)}
		got, no := d.postRefundBody(x)
		if no != nil {
			if b, err := json.Marshal(no.Detail); no.Status() < 400 || no.Message == "" || err != nil || strings.Contains(no.Message, "%!") {
				t.Errorf("refused with %+v, detail %s, %v", no, b, err)
			}
			if len(w.Refunds()) > 1 {
				t.Error("refused, but accepted")
			}
			return
		}
		var asked world.Application
		decoder := json.NewDecoder(strings.NewReader(string(body)))
		decoder.DisallowUnknownFields()
		if err := decoder.Decode(&asked); err != nil {
			t.Fatalf("accepted, though %v", err)
		}
		if _, err := decoder.Token(); err != io.EOF {
			t.Error("accepted, though there is more behind it")
		}
		a := asked.Amount
		if a.Refund < 1 || a.Refund > 10000 || a.Total != 10000 || a.Currency != "CNY" || got.Amount.Refund != a.Refund || got.OutRefundNo != asked.OutRefundNo {
			t.Errorf("asked %+v, accepted %+v", asked, got)
		}
		n := len(w.Refunds()) // one more than before, unless the body repeats R0
		again, no := d.postRefundBody(x)
		if no != nil || again.RefundID != got.RefundID || len(w.Refunds()) != n || n > 2 {
			t.Errorf("again: %+v, %v", again, no)
		}
	})
}
