package channel_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"wxrefund/shared/channel"
	"wxrefund/shared/refund"
	"wxrefund/shared/wxpay"
)

const paidOrder = `{"appid":"wx1","mchid":"1900000109","out_trade_no":"O12345","transaction_id":"420000001","trade_type":"JSAPI","trade_state":"SUCCESS",
"trade_state_desc":"支付成功","bank_type":"OTHERS","attach":"","success_time":"2026-11-22T10:00:00+08:00","payer":{"openid":"oBuyer"},
"amount":{"total":100,"payer_total":90,"currency":"CNY","payer_currency":"CNY"},
"promotion_detail":[{"coupon_id":"109519","scope":"SINGLE","type":"CASH","amount":10,"goods_detail":[{"goods_id":"G","quantity":1,"unit_price":100,"discount_amount":10}]}]}`

func wantOrder() refund.PaidOrder {
	return refund.PaidOrder{
		TransactionID: "420000001", OutTradeNo: "O12345", Status: refund.OrderPaid, Payers: []refund.Payer{{AppID: "wx1", OpenID: "oBuyer"}},
		Total: 100, Currency: "CNY", PaidAt: time.Date(2026, 11, 22, 2, 0, 0, 0, time.UTC), SingleItem: true,
	}
}

var byTrade = refund.Lookup{OutTradeNo: "O12345"}

// sameOrder compares orders; a time is the same in any zone.
func sameOrder(t *testing.T, name string, want, got refund.PaidOrder) {
	t.Helper()
	if !want.PaidAt.Equal(got.PaidAt) {
		t.Errorf("%s: paid at %s, want %s", name, got.PaidAt, want.PaidAt)
	}
	want.PaidAt, got.PaidAt = time.Time{}, time.Time{}
	isEqual(t, name, want, got)
}

// Each channel asks in its dialect, by the first number of its own that the lookup has.
func TestOrderOnTheWire(t *testing.T) {
	both := refund.Lookup{TransactionID: "420000001", OutTradeNo: "O12345"}
	for name, c := range map[string]struct {
		sub  string
		by   refund.Lookup
		path string
	}{
		"by both":        {"", both, "/v3/pay/transactions/id/420000001?mchid=1900000109"},
		"by trade":       {"", byTrade, "/v3/pay/transactions/out-trade-no/O12345?mchid=1900000109"},
		"escaped":        {"", refund.Lookup{OutTradeNo: "O|1*@_"}, "/v3/pay/transactions/out-trade-no/O%7C1%2A@_?mchid=1900000109"},
		"provider":       {"1900000110", both, "/v3/pay/partner/transactions/id/420000001?sp_mchid=1900000109&sub_mchid=1900000110"},
		"provider trade": {"1900000110", byTrade, "/v3/pay/partner/transactions/out-trade-no/O12345?sp_mchid=1900000109&sub_mchid=1900000110"},
	} {
		ch := serve(t, func(w http.ResponseWriter, r *http.Request, _ []byte) {
			if got := r.Method + " " + r.URL.RequestURI(); got != "GET "+c.path {
				t.Errorf("%s: %s", name, got)
			}
			signed(t, w, 404, `{"code":"ORDER_NOT_EXIST","message":"订单不存在"}`)
		})
		ch.SubMchID = c.sub
		_, _ = ch.Order(t.Context(), c.by)
	}
	for by, want := range map[refund.Lookup]string{
		both:    `{"name":"wxpay_query_order_by_transaction_id","data":{"transaction_id":"420000001"}}`,
		byTrade: `{"name":"wxpay_query_order_by_out_trade_no","data":{"out_trade_no":"O12345"}}`,
	} {
		_, _ = serveModule(t, func(r *http.Request, c gatewayCall) string {
			isEqual(t, "module", decode(t, want), checkInvoke(t, r, c))
			return "{}"
		}).Order(t.Context(), by)
	}
	for by, want := range map[refund.Lookup][2]string{both: {"transaction_id", "420000001"}, byTrade: {"out_trade_no", "O12345"}} {
		_, _ = serveCloudPay(t, func(_ *http.Request, c gatewayCall) string {
			data := requestData(t, c)
			if !strings.Contains(fmt.Sprint(c.values), "queryOrder") || len(data) != 2 || data["sub_mch_id"] != "1900000109" || data[want[0]] != want[1] {
				t.Errorf("%v: %v", c.values, data)
			}
			return "{}"
		}).Order(t.Context(), by)
		_, _ = serveGlobal(t, func(_ http.ResponseWriter, r *http.Request, asked wxpay.Fields) {
			if r.URL.Path != "/pay/orderquery" || len(asked) != 6 || asked[want[0]] != want[1] {
				t.Errorf("%s: %v", r.URL, asked)
			}
		}).Order(t.Context(), by)
	}
	s := &wecomServer{answer: saysWeCom(`{"errcode":0}`), check: func(r *http.Request, body []byte) {
		isEqual(t, "wecom", decode(t, `{"mchid":"1900000109","out_trade_no":"O12345"}`), decode(t, string(body)))
		if r.URL.Path != "/cgi-bin/miniapppay/get_order" {
			t.Error(r.URL.Path)
		}
	}}
	_, _ = s.start(t).Order(t.Context(), both)
}

// What a channel can be asked by is in its Spec, and nothing is sent without it.
func TestOrderIsAskedByTheNumbersOfTheSpec(t *testing.T) {
	for _, c := range []refund.Channel{&channel.APIv3{}, &channel.CloudBase{}, &channel.CloudPay{}, &channel.Global{}, &channel.WeCom{}} {
		want := []string{"transaction_id", "out_trade_no"}
		if c.Spec().Name == "wecom" {
			want = want[1:]
			if _, err := c.Order(t.Context(), refund.Lookup{TransactionID: "420000001"}); !refund.IsCode(err, refund.CodeInvalid) {
				t.Error(err)
			}
		}
		if got := c.Spec().OrderLookups; !slices.Equal(got, want) {
			t.Errorf("%s: %v", c.Spec().Name, got)
		}
		if _, err := c.Order(t.Context(), refund.Lookup{OutRefundNo: "R1"}); !refund.IsCode(err, refund.CodeInvalid) || !strings.Contains(err.Error(), "out_trade_no") {
			t.Errorf("%s: %v", c.Spec().Name, err)
		}
	}
}

// One valid answer, one thing changed of it: what decides makes it unknown, what does
// not is left out, and a payer whom it does not name in full is none.
func TestOrderOfTheV3Systems(t *testing.T) {
	same := func(*refund.PaidOrder) {}
	for name, c := range map[string]struct {
		old, new string
		want     func(*refund.PaidOrder) // nil: unknown
		left     []string
		not      string // a system where it is otherwise
	}{
		"nothing":               {"", "", same, nil, ""},
		"refunded":              {`"SUCCESS"`, `"REFUND"`, func(o *refund.PaidOrder) { o.Status = refund.OrderRefunded }, nil, ""},
		"a new field":           {`"attach":""`, `"attach":[],"new":{}`, same, nil, ""},
		"accepted":              {`"SUCCESS"`, `"ACCEPT"`, func(o *refund.PaidOrder) { o.Status = refund.OrderAccepted }, nil, ""},
		"another order":         {`"O12345"`, `"O12346"`, nil, nil, ""},
		"no number":             {`"out_trade_no"`, `"x"`, nil, nil, ""},
		"a number of no text":   {`"O12345"`, `7`, nil, nil, ""},
		"another merchant":      {`"1900000109"`, `"1900000110"`, nil, nil, "cloudbase"}, // which does not know its own
		"a merchant of no text": {`"1900000109"`, `1900000109`, nil, nil, ""},
		"no status":             {`"trade_state"`, `"x"`, nil, nil, ""},
		"an empty status":       {`"SUCCESS"`, `""`, nil, nil, ""},
		"an unknown status":     {`"SUCCESS"`, `"success"`, nil, nil, ""},
		"a status of no text":   {`"SUCCESS"`, `{}`, nil, nil, ""},
		"below zero":            {`"total":100`, `"total":-100`, nil, nil, ""},
		"nothing paid":          {`"total":100`, `"total":0`, nil, nil, ""},
		"a decimal":             {`"total":100`, `"total":100.5`, nil, nil, ""},
		"a text":                {`"total":100`, `"total":"100"`, nil, nil, ""},
		"more than can be":      {`"total":100`, `"total":9007199254740992`, nil, nil, ""},
		"beyond all":            {`"total":100`, `"total":9223372036854775808`, nil, nil, ""},
		"the amount a list":     {`"amount":{`, `"amount":[],"x":{`, nil, nil, ""},
		"no total":              {`"total":100,`, ``, func(o *refund.PaidOrder) { o.Total = 0 }, nil, ""},
		"a currency of no text": {`"currency":"CNY"`, `"currency":1`, nil, nil, ""},
		"no payer":              {`"openid":"oBuyer"`, ``, func(o *refund.PaidOrder) { o.Payers = nil }, nil, ""},
		"a payer that is null":  {`{"openid":"oBuyer"}`, `null`, func(o *refund.PaidOrder) { o.Payers = nil }, nil, ""},
		"a payer of no object":  {`{"openid":"oBuyer"}`, `"oBuyer"`, func(o *refund.PaidOrder) { o.Payers = nil }, []string{"payer"}, ""},
		"an openid of no text":  {`"oBuyer"`, `["oBuyer"]`, func(o *refund.PaidOrder) { o.Payers = nil }, []string{"payer.openid"}, ""},
		"an openid too long":    {`"oBuyer"`, `"` + strings.Repeat("o", 129) + `"`, func(o *refund.PaidOrder) { o.Payers = nil }, []string{"payer.openid"}, ""},
		"an appid of no text":   {`"wx1"`, `1`, func(o *refund.PaidOrder) { o.Payers = nil }, []string{"appid"}, ""},
		"no appid":              {`"appid"`, `"x"`, func(o *refund.PaidOrder) { o.Payers[0].AppID = "" }, nil, ""},
		"a time that is none":   {`"2026-11-22T10:00:00+08:00"`, `"soon"`, func(o *refund.PaidOrder) { o.PaidAt = time.Time{} }, []string{"success_time"}, ""},
		"a coupon of all":       {`"SINGLE"`, `"GLOBAL"`, func(o *refund.PaidOrder) { o.SingleItem = false }, nil, ""},
		"no articles":           {`"goods_detail":[{"goods_id":"G","quantity":1,"unit_price":100,"discount_amount":10}]`, `"goods_detail":[]`, func(o *refund.PaidOrder) { o.SingleItem = false }, nil, ""},
		"odd articles":          {`"goods_detail":[`, `"goods_detail":1,"x":[`, func(o *refund.PaidOrder) { o.SingleItem = false }, []string{"promotion_detail[0].goods_detail"}, ""},
		"odd coupons":           {`"promotion_detail":[`, `"promotion_detail":{},"x":[`, func(o *refund.PaidOrder) { o.SingleItem = false }, []string{"promotion_detail"}, ""},
	} {
		for system, build := range v3Systems(t, strings.Replace(paidOrder, c.old, c.new, 1)) {
			var log bytes.Buffer
			got, err := build(slog.New(slog.NewJSONHandler(&log, nil))).Order(t.Context(), byTrade)
			switch {
			case c.want == nil && c.not == system:
				continue
			case c.want == nil:
				isUnknown(t, name+", "+system, err)
				if strings.Contains(err.Error(), "identically") {
					t.Errorf("%s, %s speaks of a refund: %v", name, system, err)
				}
				isEqual(t, name, refund.PaidOrder{}, got)
				continue
			case err != nil:
				t.Errorf("%s, %s: %v", name, system, err)
				continue
			}
			want := wantOrder()
			c.want(&want)
			sameOrder(t, name+", "+system, want, got)
			var line struct{ Fields []string }
			if log.Len() > 0 {
				if err := json.Unmarshal(log.Bytes(), &line); err != nil || !strings.Contains(log.String(), `"out_trade_no":"O12345"`) {
					t.Errorf("%s, %s: %s", name, system, &log)
				}
			}
			isEqual(t, name+", "+system+", left out", c.left, line.Fields)
		}
	}
}

// A provider's order has a payer for each program, and must be of provider and
// sub-merchant alike.
func TestOrderOfAServedMerchant(t *testing.T) {
	const object = `{"sp_appid":"wx1","sp_mchid":"1900000109","sub_appid":"wx2","sub_mchid":"1900000110","out_trade_no":"O12345","transaction_id":"420000001",
		"trade_state":"SUCCESS","success_time":"2026-11-22T10:00:00+08:00","payer":{"sp_openid":"oBuyer","sub_openid":"oSub"},"amount":{"total":100,"currency":"CNY"}}`
	for name, c := range map[string]struct {
		old, new string
		payers   []refund.Payer // nil: unknown
	}{
		"both":                 {"", "", []refund.Payer{{AppID: "wx1", OpenID: "oBuyer"}, {AppID: "wx2", OpenID: "oSub"}}},
		"the provider's alone": {`,"sub_openid":"oSub"`, ``, []refund.Payer{{AppID: "wx1", OpenID: "oBuyer"}}},
		"another provider":     {`"1900000109"`, `"1900000108"`, nil},
		"another merchant":     {`"1900000110"`, `"1900000108"`, nil},
		"no merchant":          {`"sub_mchid"`, `"x"`, nil},
		"a merchant's own":     {`"sp_mchid"`, `"mchid"`, nil},
	} {
		ch := serve(t, func(w http.ResponseWriter, _ *http.Request, _ []byte) {
			signed(t, w, 200, strings.Replace(object, c.old, c.new, 1))
		})
		ch.SubMchID = "1900000110"
		got, err := ch.Order(t.Context(), refund.Lookup{TransactionID: "420000001"})
		if c.payers == nil {
			isUnknown(t, name, err)
			continue
		}
		if err != nil {
			t.Errorf("%s: %v", name, err)
		}
		isEqual(t, name, c.payers, got.Payers)
	}
}

// The template's answer is about us as far as we know ourselves, and comes in any of its shapes.
func TestOrderOfTheModule(t *testing.T) {
	camel := strings.NewReplacer("out_trade_no", "outTradeNo", "transaction_id", "transactionId", "trade_state\"", "tradeState\"", "success_time", "successTime").Replace(paidOrder)
	for name, answer := range map[string]string{"bare": paidOrder, "wrapped": `{"result":{"code":0,"data":` + paidOrder + `}}`, "camel case": `{"code":0,"data":` + camel + `}`} {
		got, err := serveModule(t, says(answer)).Order(t.Context(), byTrade)
		if err != nil {
			t.Errorf("%s: %v", name, err)
		}
		sameOrder(t, name, wantOrder(), got)
	}
	ch := serveModule(t, says(paidOrder))
	ch.Bills = &wxpay.Client{Signer: &wxpay.Signer{MchID: "1900000108"}}
	_, err := ch.Order(t.Context(), byTrade)
	isUnknown(t, "another merchant", err)
	for name, answer := range map[string]string{
		"no order": `{"code":0,"data":{}}`, "text": `"x"`, "hidden": `{"code":0,"data":{"code":"SYSTEM_ERROR"}}`, "a sentence": `{"errcode":-1,"errmsg":"http请求失败"}`,
	} {
		_, err := serveModule(t, says(answer)).Order(t.Context(), byTrade)
		isUnknown(t, name, err)
	}
}

func v2Order() fields {
	return fields{
		"return_code": "SUCCESS", "result_code": "SUCCESS", "appid": "wx2421b1c4370ec43b", "mch_id": "10000100", "nonce_str": "n", "openid": "oBuyer",
		"trade_state": "SUCCESS", "transaction_id": "420000001", "out_trade_no": "O12345", "total_fee": 100, "fee_type": "CNY", "cash_fee": 90, "time_end": "20261122100000",
	}
}

// The same of the v2 systems, whose times are Beijing's.
func TestOrderOfTheV2Systems(t *testing.T) {
	same := func(*refund.PaidOrder) {}
	for name, c := range map[string]struct {
		change fields // nil values are deleted
		want   func(*refund.PaidOrder)
	}{
		"nothing":            {nil, same},
		"a sub-merchant's":   {fields{"sub_appid": "wx2", "sub_openid": "oSub"}, func(o *refund.PaidOrder) { o.Payers = append(o.Payers, refund.Payer{AppID: "wx2", OpenID: "oSub"}) }},
		"no payer":           {fields{"openid": nil}, func(o *refund.PaidOrder) { o.Payers = nil }},
		"an openid too long": {fields{"openid": strings.Repeat("o", 129)}, func(o *refund.PaidOrder) { o.Payers = nil }},
		"closed":             {fields{"trade_state": "CLOSED"}, func(o *refund.PaidOrder) { o.Status = refund.OrderClosed }},
		"a time with signs":  {fields{"time_end": "2026-11-22 10:00:00"}, same},
		"no time":            {fields{"time_end": nil}, func(o *refund.PaidOrder) { o.PaidAt = time.Time{} }},
		"a time of letters":  {fields{"time_end": "soon"}, func(o *refund.PaidOrder) { o.PaidAt = time.Time{} }},
		"no amount":          {fields{"total_fee": nil}, func(o *refund.PaidOrder) { o.Total = 0 }},
		"another order":      {fields{"out_trade_no": "O12346"}, nil},
		"no number":          {fields{"out_trade_no": nil}, nil},
		"no status":          {fields{"trade_state": nil}, nil},
		"an unknown status":  {fields{"trade_state": "Paid"}, nil},
		"nothing paid":       {fields{"total_fee": 0}, nil},
		"below zero":         {fields{"total_fee": -1}, nil},
		"more than can be":   {fields{"total_fee": json.Number("9007199254740992")}, nil},
		"a decimal":          {fields{"total_fee": json.Number("1.5")}, nil},
	} {
		answer := v2Order()
		for field, value := range c.change {
			if answer[field] = value; value == nil {
				delete(answer, field)
			}
		}
		global := serveGlobalText(t, answer.signed())
		global.SubAppID = "wx2"
		pay := maps.Clone(answer)
		pay["sub_mch_id"] = "1900000109"
		for system, ch := range map[string]refund.Channel{"global": global, "cloudpay": serveCloudPay(t, says(pay.json()))} {
			got, err := ch.Order(t.Context(), byTrade)
			if c.want == nil {
				isUnknown(t, name+", "+system, err)
				continue
			}
			if err != nil {
				t.Errorf("%s, %s: %v", name, system, err)
			}
			want := wantOrder()
			want.SingleItem, want.Payers[0].AppID = false, "wx2421b1c4370ec43b"
			c.want(&want)
			sameOrder(t, name+", "+system, want, got)
		}
	}
	other := v2Order()
	other["sub_mch_id"] = "1900000110"
	_, err := serveCloudPay(t, says(other.json())).Order(t.Context(), byTrade)
	isUnknown(t, "another merchant of CloudPay's", err)
	other["mch_id"] = "10000101"
	_, err = serveGlobalText(t, other.signed()).Order(t.Context(), byTrade)
	isUnknown(t, "another merchant of Global's", err)
	odd := v2Order()
	odd["sub_mch_id"], odd["appid"] = "1900000109", fields{}
	got, err := serveCloudPay(t, says(odd.json())).Order(t.Context(), byTrade)
	if err != nil || got.Payers != nil {
		t.Errorf("%+v, %v", got, err)
	}
}

// Nothing is read before it has been verified, and no failure is a fact about an order.
func TestOrderIsVerified(t *testing.T) {
	for name, answer := range map[string]func(w http.ResponseWriter){
		"unsigned": func(w http.ResponseWriter) { _, _ = io.WriteString(w, paidOrder) },
		"forged": func(w http.ResponseWriter) {
			sign(t, w, serial, paidOrder+" ", time.Now())
			_, _ = io.WriteString(w, paidOrder)
		},
		"stale": func(w http.ResponseWriter) {
			sign(t, w, serial, paidOrder, time.Now().Add(-time.Hour))
			_, _ = io.WriteString(w, paidOrder)
		},
		"500":             func(w http.ResponseWriter) { w.WriteHeader(500) },
		"hung up":         hangUp,
		"accepted":        func(w http.ResponseWriter) { signed(t, w, 202, paidOrder) },
		"a 404 of nobody": func(w http.ResponseWriter) { w.WriteHeader(404) },
	} {
		ch := serve(t, func(w http.ResponseWriter, _ *http.Request, _ []byte) { answer(w) })
		_, err := ch.Order(t.Context(), byTrade)
		isUnknown(t, name, err)
	}
	forged := v2Order()
	forged["sign"] = strings.Repeat("0", 32)
	_, err := serveGlobalText(t, fieldsXML(forged)).Order(t.Context(), byTrade)
	isUnknown(t, "forged, global", err)
}

func fieldsXML(f fields) string {
	out := wxpay.Fields{}
	for name, value := range f {
		out[name] = fmt.Sprint(value)
	}
	return string(out.XML())
}

// The tables of refunds hold for orders, and each system's own word for "no such order".
// A code that speaks of a refund says nothing.
func TestOrderErrors(t *testing.T) {
	for _, c := range []errorRow{
		{"ORDER_NOT_EXIST", refund.CodeNotFound, refund.LaterOrFix},
		{"RESOURCE_NOT_EXISTS", refund.CodeNotFound, refund.LaterOrFix},
		{"ORDERNOTEXIST", refund.CodeNotFound, refund.LaterOrFix},
		{"PARAM_ERROR", refund.CodeInvalid, refund.AfterFix},
		{"NO_AUTH", refund.CodeRejected, refund.LaterOrFix},
		{"INVALID_REQUEST", refund.CodeRejected, refund.LaterOrFix},
		{"SYSTEM_ERROR", refund.CodeUnavailable, refund.SameNumber},
		{"NOT_KNOWN", refund.CodeUnavailable, refund.SameNumber},
	} {
		status := 400
		if c.want == refund.CodeNotFound {
			status = 404
		}
		body := fmt.Sprintf(`{"code":%q,"message":"m"}`, c.code)
		for system, ch := range map[string]refund.Channel{
			"apiv3":     serve(t, func(w http.ResponseWriter, _ *http.Request, _ []byte) { signed(t, w, status, body) }),
			"cloudbase": serveModule(t, says(body)),
		} {
			_, err := ch.Order(t.Context(), byTrade)
			checkOrderError(t, system, c, err)
		}
	}
	for _, c := range []errorRow{
		{"ORDERNOTEXIST", refund.CodeNotFound, refund.LaterOrFix},
		{"SYSTEMERROR", refund.CodeUnavailable, refund.SameNumber},
		{"NOAUTH", refund.CodeRejected, refund.LaterOrFix},
		{"REFUNDNOTEXIST", refund.CodeUnavailable, refund.SameNumber},
		{"INVALID_REQUEST", refund.CodeUnavailable, refund.SameNumber},
	} {
		f := v2Order()
		f["result_code"], f["err_code"], f["sub_mch_id"] = "FAIL", c.code, "1900000109"
		_, err := serveCloudPay(t, says(f.json())).Order(t.Context(), byTrade)
		checkOrderError(t, "cloudpay", c, err)
		delete(f, "sub_mch_id")
		_, err = serveGlobalText(t, f.signed()).Order(t.Context(), byTrade)
		checkOrderError(t, "global", c, err)
	}
	for _, c := range []errorRow{
		{"720501", refund.CodeNotFound, refund.LaterOrFix},
		{"720509", refund.CodeUnavailable, refund.SameNumber},
		{"60020", refund.CodeRejected, refund.LaterOrFix},
	} {
		_, err := (&wecomServer{answer: saysWeCom(`{"errcode":` + c.code + `}`)}).start(t).Order(t.Context(), byTrade)
		checkOrderError(t, "wecom", c, err)
	}
}

func checkOrderError(t *testing.T, system string, c errorRow, err error) {
	t.Helper()
	e := refund.AsError(err)
	if err == nil || e.Code != c.want || e.Next != c.next || e.Upstream != c.code || e.MaybeNumberTaken || strings.Contains(e.Message, "identically") {
		t.Errorf("%s, %s: %+v", system, c.code, e)
	}
}
