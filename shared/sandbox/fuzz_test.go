package sandbox

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
)

// TestKeys are made once, and outside of any bubble.
var TestKeys = sync.OnceValue(func() *Keys {
	k, err := GenerateKeys()
	if err != nil {
		panic(err)
	}
	return k
})

// The fuzz targets stay clear of signatures, whose paths through the code depend
// on chance and would all look new.
func fuzzed(t testing.TB) *Sandbox {
	t.Helper()
	s, err := New(Config{Seed: 1, Keys: TestKeys()})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.pay(orderObject{OutTradeNo: "T1", TransactionID: "4200000000000000000000000001", Total: 10000}); err != nil {
		t.Fatal(err)
	}
	return s
}

// FuzzApply applies with any body. What was accepted is what was asked for, and
// what was refused is refused in one of APIv3's ways.
func FuzzApply(f *testing.F) {
	for _, body := range []string{
		`{"out_trade_no":"T1","out_refund_no":"R_1-|*@","reason":"商品","notify_url":"https://merchant.example/notify","funds_account":"AVAILABLE",
		"amount":{"refund":10,"total":10000,"currency":"CNY","from":[{"account":"AVAILABLE","amount":4},{"account":"UNAVAILABLE","amount":6}]},
		"goods_detail":[{"merchant_goods_id":"g1","unit_price":1,"refund_amount":1,"refund_quantity":1}]}`,
		`{"transaction_id":"4200000000000000000000000001","out_refund_no":"R1","amount":{"refund":10000,"total":10000,"currency":"CNY"},"sub_mchid":"1900000109"}`,
		`{"out_trade_no":"T1","out_refund_no":"R1","amount":{"refund":1e4,"total":10000,"currency":"CNY"}}`,
		`[[[[[[[[[[{}]]]]]]]]]]`, "\xff{}", `{"out_refund_no":"\u0052"}`,
	} {
		f.Add([]byte(body))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		s := fuzzed(t)
		got, no := s.postRefundBody(&exchange{body: body})
		if no != nil {
			if b, err := json.Marshal(no.detail); codes[no.code].status < 400 || no.message == "" || err != nil || strings.Contains(no.message, "%!") {
				t.Errorf("refused with %+v, detail %s, %v", no, b, err)
			}
			if len(s.accepted) > 0 {
				t.Error("refused, but accepted")
			}
			return
		}
		var asked application
		d := json.NewDecoder(strings.NewReader(string(body)))
		d.DisallowUnknownFields()
		if err := d.Decode(&asked); err != nil {
			t.Fatalf("accepted, though %v", err)
		}
		if _, err := d.Token(); err != io.EOF {
			t.Error("accepted, though there is more behind it")
		}
		a := asked.Amount
		if a.Refund < 1 || a.Refund > 10000 || a.Total != 10000 || a.Currency != "CNY" || got.Amount.Refund != a.Refund || got.OutRefundNo != asked.OutRefundNo {
			t.Errorf("asked %+v, accepted %+v", asked, got)
		}
		again, no := s.postRefundBody(&exchange{body: body})
		if no != nil || again.RefundID != got.RefundID || len(s.accepted) != 1 {
			t.Errorf("again: %+v, %v", again, no)
		}
	})
}

// FuzzControl sends any body to any endpoint of the control side.
func FuzzControl(f *testing.F) {
	paths := []string{"orders", "refunds", "refunds/R1/settle", "faults", "clock", "deliveries/x/resend", "x"}
	for i, body := range []string{
		`{"out_trade_no":"T2","total":100,"openid":"o1","success_time":"2020-06-08T10:34:56+08:00","promotion_detail":[{"promotion_id":"1","scope":"GLOBAL","type":"CASH","amount":2}]}`,
		`{"out_trade_no":"T1","out_refund_no":"H1","amount":{"refund":1}}`,
		`{"status":"ABNORMAL"}`,
		`{"upstream":"slow","notify":"reorder","rate":0.5,"count":3}`,
		`{"advance":"1h"}`,
		`{}`, ``,
	} {
		f.Add(i, body)
	}
	f.Add(1, `{"transaction_id":"4200000000000000000000000001","out_refund_no":"H1","amount":100}`)
	f.Fuzz(func(t *testing.T, path int, body string) {
		s := fuzzed(t)
		if _, no := s.apply(application{
			OutTradeNo: "T1", OutRefundNo: "R1", Amount: applicationAmount{Refund: 100, Total: 10000, Currency: "CNY"},
		}, caller{}); no != nil {
			t.Fatal(no)
		}
		r := httptest.NewRequest("POST", "/_sandbox/"+paths[uint(path)%uint(len(paths))], strings.NewReader(body))
		r.RemoteAddr, r.Host = "127.0.0.1:50000", "localhost"
		r.Header.Set("Content-Type", "application/json")
		w := httptest.NewRecorder()
		s.Control().ServeHTTP(w, r)
		var out struct {
			Error string `json:"error"`
		}
		if err := json.Unmarshal(w.Body.Bytes(), &out); err != nil || (out.Error == "") != (w.Code == http.StatusOK) || w.Code >= 500 || strings.Contains(out.Error, "%!") {
			t.Fatalf("%d %s, %v", w.Code, w.Body, err)
		}
		for _, o := range s.byTrade {
			if o.left() < 0 {
				t.Errorf("order %s is refunded above its total", o.outTradeNo)
			}
		}
	})
}
