package sandbox_test

import (
	"encoding/json"
	"fmt"
	"net/url"
	"testing"

	"wxrefund/shared/sandbox"
	"wxrefund/shared/sandbox/sandboxtest"
)

const (
	tradePath    = "/v3/pay/transactions/out-trade-no/"
	merchantSelf = "?mchid=1900000001"
	forServed    = "?sp_mchid=1900000001&sub_mchid=1900000109"
)

// askOrder asks each system about an order by one of its numbers, and answers what it
// says: in words that all have, the code of a refusal, the state, the payers and the amount.
var askOrder = map[string]func(w *sandboxtest.World, name, number string) []any{
	"apiv3": func(w *sandboxtest.World, name, number string) []any {
		kind := map[string]string{"transaction_id": "id", "out_trade_no": "out-trade-no"}[name]
		return orderV3(w.Call("GET", "/v3/pay/transactions/"+kind+"/"+url.PathEscape(number)+merchantSelf, ""))
	},
	"provider": func(w *sandboxtest.World, name, number string) []any {
		kind := map[string]string{"transaction_id": "id", "out_trade_no": "out-trade-no"}[name]
		return orderV3(w.Call("GET", "/v3/pay/partner/transactions/"+kind+"/"+url.PathEscape(number)+forServed, ""))
	},
	"cloudbase": func(w *sandboxtest.World, name, number string) []any {
		_, out := w.Module("wxpay_query_order_by_"+name, fmt.Sprintf(`{%q:%q}`, name, number))
		return orderV3(out)
	},
	"cloudpay": func(w *sandboxtest.World, name, number string) []any {
		var f map[string]any
		a := w.CloudPay("queryOrder", fmt.Sprintf(`{"sub_mch_id":"1900000109","nonce_str":"n",%q:%q}`, name, number))
		_ = json.Unmarshal(a.Body, &f)
		return orderV2(f)
	},
	"global": func(w *sandboxtest.World, name, number string) []any {
		f := map[string]any{}
		for name, value := range w.CallV2("/pay/orderquery", w.GlobalQuery(map[string]string{name: number})) {
			f[name] = value
		}
		return orderV2(f)
	},
	"wecom": func(w *sandboxtest.World, name, number string) []any {
		a := w.WeCom("/cgi-bin/miniapppay/get_order", fmt.Sprintf(`{"mchid":"1900000001",%q:%q}`, name, number))
		if a.Field("errcode") != 0.0 {
			return []any{a.Field("errcode")}
		}
		return orderV3(a)
	},
}

func orderV3(a sandboxtest.Answer) []any {
	var path []string
	if a.Field("code") == 0.0 { // the module's
		path = []string{"data"}
	}
	if code, ok := a.Field("code").(string); ok {
		return []any{code}
	}
	field := func(names ...string) any { return a.Field(append(path, names...)...) }
	payer, _ := field("payer").(map[string]any)
	return []any{field("trade_state"), cmpOr(payer["openid"], payer["sp_openid"]), field("transaction_id"), fmt.Sprint(field("amount", "total")), field("success_time")}
}

func orderV2(f map[string]any) []any {
	if code, ok := f["err_code"]; ok {
		return []any{code}
	}
	var total any = "<nil>"
	if f["total_fee"] != nil {
		total = fmt.Sprint(f["total_fee"])
	}
	return []any{f["trade_state"], cmpOr(f["sub_openid"], f["openid"]), f["transaction_id"], total, f["time_end"]}
}

func cmpOr(a, b any) any {
	if a != nil {
		return a
	}
	return b
}

// What a test says of an order is what every system answers about it, whichever number it
// is asked by; WeCom knows one number only.
func TestEverySystemTellsWhoHasPaidAnOrder(t *testing.T) {
	for system, ask := range askOrder {
		t.Run(system, func(t *testing.T) {
			w := sandboxtest.New(t, func(c *sandbox.Config) { c.ModuleFailure = "passed" })
			w.Pay(`{"out_trade_no":"T12345","transaction_id":"4200001","total":10000,"openid":"oBuyer","success_time":"2018-06-08T10:34:56+08:00"}`)
			paid := []any{"SUCCESS", "oBuyer", "4200001", "10000", "2018-06-08T10:34:56+08:00"}
			none := []any{"ORDER_NOT_EXIST"}
			switch system {
			case "cloudpay", "global":
				paid[4], none[0] = "20180608103456", "ORDERNOTEXIST"
			case "wecom":
				none[0] = 720501.0
			}
			for name, number := range map[string]string{"transaction_id": "4200001", "out_trade_no": "T12345"} {
				if system == "wecom" && name == "transaction_id" {
					continue
				}
				if got := ask(w, name, number); !equal(got, paid) {
					t.Errorf("by %s: %v, want %v", name, got, paid)
				}
				if got := ask(w, name, number+"0"); !equal(got, none) {
					t.Errorf("by another %s: %v, want %v", name, got, none)
				}
			}
		})
	}
}

func equal(a, b []any) bool { return fmt.Sprint(a) == fmt.Sprint(b) }

// After any refund, of a part too, an order is REFUND; one that was not paid has neither
// payer nor number of WeChat Pay's, and cannot be refunded.
func TestAnOrderTellsHowItStands(t *testing.T) {
	for system, ask := range askOrder {
		t.Run(system, func(t *testing.T) {
			w := sandboxtest.New(t, func(c *sandbox.Config) { c.ModuleFailure = "passed" })
			w.Pay(`{"out_trade_no":"T12345","total":10000,"openid":"oBuyer"}`)
			w.Control("POST", "/_sandbox/refunds", `{"out_trade_no":"T12345","out_refund_no":"R1","amount":1}`, 200)
			if got := ask(w, "out_trade_no", "T12345"); got[0] != "REFUND" || got[1] != "oBuyer" {
				t.Errorf("after a refund: %v", got)
			}
			for _, state := range []string{"NOTPAY", "CLOSED", "REVOKED"} {
				made := w.Control("POST", "/_sandbox/orders", fmt.Sprintf(`{"out_trade_no":"T-%s","total":10000,"openid":"oBuyer","trade_state":%q}`, state, state), 200)
				if made.Field("trade_state") != state || made.Field("openid") != "oBuyer" || made.Field("success_time") != "" {
					t.Errorf("%s", made.Body)
				}
				if got := ask(w, "out_trade_no", "T-"+state); got[0] != state || got[1] != nil || got[2] != nil || got[4] != nil {
					t.Errorf("%s: %v", state, got)
				}
				if system != "wecom" {
					if got := ask(w, "transaction_id", made.Field("transaction_id").(string)); len(got) != 1 {
						t.Errorf("%s by WeChat Pay's number: %v", state, got)
					}
				}
				if a := w.Apply("T-"+state, "R-"+state, 1); a.Field("code") != "INVALID_REQUEST" {
					t.Errorf("refund of %s: %s", state, a.Body)
				}
			}
			w.Control("POST", "/_sandbox/orders", `{"total":1,"trade_state":"REFUND"}`, 400)
		})
	}
}

// Who does not name a payer gets one, and the same one under the same seed.
func TestAnOrderHasAPayerWhereNoneIsNamed(t *testing.T) {
	var payers []any
	for range 2 {
		w := sandboxtest.New(t)
		payers = append(payers, w.Control("POST", "/_sandbox/orders", `{"out_trade_no":"T12345","total":1}`, 200).Field("openid"))
		if got := w.Call("GET", tradePath+"T12345"+merchantSelf, "").Field("payer", "openid"); got != payers[0] {
			t.Errorf("asked: %v, made: %v", got, payers[0])
		}
	}
	if payers[0] == "" || payers[0] != payers[1] {
		t.Errorf("%v", payers)
	}
}

// Who asks is checked: an order that is known to be a served merchant's is not the
// merchant's own, and the other way round.
func TestAnOrderIsToldToWhoseItIs(t *testing.T) {
	w := sandboxtest.New(t)
	w.Pay(`{"out_trade_no":"OWN","total":10000}`)
	w.Refund("OWN", "R1", 1)
	w.Pay(`{"out_trade_no":"SERVED","total":100,"sub_mchid":"1900000109","openid":"oBuyer"}`)
	for path, want := range map[string]string{
		tradePath + "OWN" + merchantSelf:                                                            "",
		tradePath + "SERVED" + merchantSelf:                                                         "ORDER_NOT_EXIST",
		tradePath + "OWN":                                                                           "PARAM_ERROR",
		tradePath + "OWN?mchid=1900000002":                                                          "NO_AUTH",
		tradePath + "OWN" + merchantSelf + "&sub_mchid=1900000109":                                  "PARAM_ERROR",
		tradePath + "O%20N" + merchantSelf:                                                          "PARAM_ERROR",
		"/v3/pay/partner/transactions/out-trade-no/SERVED" + forServed:                              "",
		"/v3/pay/partner/transactions/out-trade-no/OWN" + forServed:                                 "ORDER_NOT_EXIST",
		"/v3/pay/partner/transactions/out-trade-no/SERVED?sp_mchid=1900000001":                      "PARAM_ERROR",
		"/v3/pay/partner/transactions/out-trade-no/SERVED?sp_mchid=1900000001&sub_mchid=1900000110": "NO_AUTH",
	} {
		a := w.Call("GET", path, "")
		if got, _ := a.Field("code").(string); got != want {
			t.Errorf("%s: %s, want %q", path, a.Body, want)
		}
	}
	a := w.Call("GET", "/v3/pay/partner/transactions/out-trade-no/SERVED"+forServed, "")
	if sp, sub := a.Field("payer", "sp_openid"), a.Field("payer", "sub_openid"); sp != "oBuyer" || sub == nil || sub == sp || a.Field("sub_appid") == nil {
		t.Errorf("an openid is of one program: %s", a.Body)
	}
}

// A coupon of single articles says which.
func TestAnOrderTellsItsCoupons(t *testing.T) {
	w := sandboxtest.New(t)
	w.Pay(`{"out_trade_no":"T1","total":100,"promotion_detail":[{"promotion_id":"1","scope":"GLOBAL","type":"COUPON","amount":10},{"promotion_id":"2","scope":"SINGLE","type":"DISCOUNT","amount":20}]}`)
	var got struct {
		Amount     struct{ Total, PayerTotal int64 }
		Promotions []struct {
			Scope, Type string
			Goods       []any `json:"goods_detail"`
		} `json:"promotion_detail"`
	}
	a := w.Call("GET", tradePath+"T1"+merchantSelf, "")
	a.Decode(t, &got)
	if p := got.Promotions; len(p) != 2 || p[0].Type != "CASH" || p[0].Goods != nil || p[1].Type != "NOCASH" || len(p[1].Goods) != 1 || a.Field("amount", "payer_total") != 70.0 {
		t.Errorf("%s", a.Body)
	}
}

// Every fault of an answer can be about questions about orders, and is about nothing else
// then. One that does not say so leaves them alone, so that it is still there for the refund.
func TestFaultsStrikeQuestionsAboutOrdersOnDemand(t *testing.T) {
	for system, ask := range askOrder {
		w := sandboxtest.New(t, func(c *sandbox.Config) { c.ModuleFailure = "passed" })
		w.Pay(`{"out_trade_no":"T12345","total":10000,"openid":"oBuyer"}`)
		w.Control("POST", "/_sandbox/faults", `{"upstream":"500_before","count":1}`, 200)
		if got := ask(w, "out_trade_no", "T12345"); got[0] != "SUCCESS" {
			t.Errorf("%s: a fault of refunds strikes: %v", system, got)
		}
		w.Control("DELETE", "/_sandbox/faults", "", 200)
		w.Control("POST", "/_sandbox/faults", `{"err_code":"FREQUENCY_LIMITED","on":"order","count":1}`, 200)
		if got := ask(w, "out_trade_no", "T12345"); len(got) != 1 {
			t.Errorf("%s: too many: %v", system, got)
		}
		if got := ask(w, "out_trade_no", "T12345"); got[0] != "SUCCESS" {
			t.Errorf("%s: the fault is used up: %v", system, got)
		}
	}
	w := sandboxtest.New(t)
	w.Pay(`{"out_trade_no":"T12345","total":10000}`)
	for _, c := range []struct {
		fault  string
		status int
	}{{"500_before", 500}, {"500_after", 500}, {"429_after", 429}} {
		w.Control("POST", "/_sandbox/faults", `{"upstream":"`+c.fault+`","on":"order","count":1}`, 200)
		w.Call("GET", sandboxtest.RefundsPath+"/R1", "")
		if a := w.Call("GET", tradePath+"T12345"+merchantSelf, ""); a.Status != c.status {
			t.Errorf("%s: %d", c.fault, a.Status)
		}
	}
	w.Control("POST", "/_sandbox/faults", `{"upstream":"unsigned","on":"order","count":1}`, 200)
	if a := w.Call("GET", tradePath+"T12345"+merchantSelf, ""); a.Header.Get("Wechatpay-Signature") != "" {
		t.Error("unsigned is signed")
	}
	w.Control("POST", "/_sandbox/faults", `{"upstream":"bad_signature","on":"order","count":1}`, 200)
	a := w.Call("GET", tradePath+"T12345"+merchantSelf, "")
	if err := w.Verify(a.Header, a.Body, a.Header.Get("Wechatpay-Serial")); err == nil {
		t.Error("bad_signature verifies")
	}
}
