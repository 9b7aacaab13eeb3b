package channel_test

import (
	"crypto/rand"
	"crypto/rsa"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"wxrefund/shared/channel"
	"wxrefund/shared/refund"
	"wxrefund/shared/wxpay"
)

const serial = "PUB_KEY_ID_0119000001092026112200000001"

var (
	merchantKey = sync.OnceValue(newKey)
	platformKey = sync.OnceValue(newKey)
)

func newKey() *rsa.PrivateKey {
	k, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		panic(err)
	}
	return k
}

// serve starts an upstream that signs what it answers, and the channel to it.
func serve(t *testing.T, answer func(w http.ResponseWriter, r *http.Request, body []byte)) *channel.APIv3 {
	t.Helper()
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		answer(w, r, body)
	}))
	t.Cleanup(srv.Close)
	return &channel.APIv3{Client: &wxpay.Client{
		Signer: &wxpay.Signer{MchID: "1900000109", SerialNo: "5157F09E", Key: merchantKey()},
		Keys:   wxpay.NewKeyring(map[string]*rsa.PublicKey{serial: &platformKey().PublicKey}, nil),
		Hosts:  []string{srv.URL},
	}}
}

func signed(t *testing.T, w http.ResponseWriter, status int, body string) {
	sign(t, w, serial, body, time.Now())
	w.WriteHeader(status)
	_, _ = io.WriteString(w, body)
}

const object = `{"refund_id":"50000000382019052709732678859","out_refund_no":"R1","transaction_id":"1217752501201407033233368018","out_trade_no":"O1",
"channel":"ORIGINAL","user_received_account":"招商银行信用卡0403","success_time":"2026-11-22T10:05:00+08:00","create_time":"2026-11-22T10:00:00+08:00",
"status":"SUCCESS","funds_account":"UNSETTLED","amount":{"total":100,"refund":60,"from":[{"account":"AVAILABLE","amount":60}],"payer_total":90,
"payer_refund":54,"settlement_refund":60,"settlement_total":100,"discount_refund":6,"currency":"CNY","refund_fee":1,"new":"ignored"},
"promotion_detail":[{"promotion_id":"109519","scope":"SINGLE","type":"DISCOUNT","amount":10,"refund_amount":6,"goods_detail":[{"merchant_goods_id":"1217",
"wechatpay_goods_id":"1001","goods_name":"iPhone6s 16G","unit_price":528800,"refund_amount":6,"refund_quantity":1}]}],"new":{}}`

func ptr(n int64) *int64 { return &n }

func want() refund.Refund {
	goods := []refund.Goods{{MerchantGoodsID: "1217", WechatpayGoodsID: "1001", GoodsName: "iPhone6s 16G", UnitPrice: 528800, RefundAmount: 6, RefundQuantity: 1}}
	return refund.Refund{
		RefundID: "50000000382019052709732678859", OutRefundNo: "R1", TransactionID: "1217752501201407033233368018", OutTradeNo: "O1",
		Channel: "ORIGINAL", UserReceivedAccount: "招商银行信用卡0403", SuccessTime: "2026-11-22T10:05:00+08:00", CreateTime: "2026-11-22T10:00:00+08:00",
		Status: refund.StatusSuccess, FundsAccount: "UNSETTLED",
		Amount: refund.Amount{
			Total: 100, Refund: 60, From: []refund.From{{Account: "AVAILABLE", Amount: 60}}, PayerTotal: ptr(90), PayerRefund: ptr(54),
			SettlementRefund: ptr(60), SettlementTotal: ptr(100), DiscountRefund: ptr(6), RefundFee: ptr(1), Currency: "CNY",
		},
		PromotionDetail: []refund.Promotion{{PromotionID: "109519", Scope: "SINGLE", Type: "DISCOUNT", Amount: ptr(10), RefundAmount: 6, GoodsDetail: goods}},
	}
}

func request() refund.Request {
	return refund.Request{
		OutRefundNo: "R1", TransactionID: "1217752501201407033233368018", OutTradeNo: "O1", Reason: "商品已售完", FundsAccount: "AVAILABLE",
		Amount:      refund.RequestAmount{Refund: 60, Total: 100, Currency: "CNY", From: []refund.From{{Account: "AVAILABLE", Amount: 60}}},
		GoodsDetail: []refund.Goods{{MerchantGoodsID: "1217", UnitPrice: 528800, RefundAmount: 60, RefundQuantity: 1}},
	}
}

// The body as WeChat Pay's document has it, and every field of the answer.
func TestAPIv3RefundOnTheWire(t *testing.T) {
	for name, c := range map[string]struct {
		set  func(*channel.APIv3)
		more string
	}{
		"direct merchant":  {func(*channel.APIv3) {}, ``},
		"service provider": {func(c *channel.APIv3) { c.SubMchID = "1900000110" }, `"sub_mchid":"1900000110",`},
		"notify_url":       {func(c *channel.APIv3) { c.NotifyURL = "https://shop.example/notify" }, `"notify_url":"https://shop.example/notify",`},
	} {
		t.Run(name, func(t *testing.T) {
			c2 := serve(t, func(w http.ResponseWriter, r *http.Request, body []byte) {
				if r.Method != http.MethodPost || r.URL.RequestURI() != "/v3/refund/domestic/refunds" {
					t.Errorf("%s %s", r.Method, r.URL)
				}
				for _, h := range []string{"Authorization", "Accept", "User-Agent", "Content-Type"} {
					if r.Header.Get(h) == "" {
						t.Errorf("no %s", h)
					}
				}
				if got := r.Header.Get("Wechatpay-Serial"); got != serial {
					t.Errorf("Wechatpay-Serial %q", got)
				}
				wantBody := `{` + c.more + `"out_refund_no":"R1","transaction_id":"1217752501201407033233368018","out_trade_no":"O1","reason":"商品已售完","funds_account":"AVAILABLE",
					"amount":{"refund":60,"total":100,"currency":"CNY","from":[{"account":"AVAILABLE","amount":60}]},
					"goods_detail":[{"merchant_goods_id":"1217","unit_price":528800,"refund_amount":60,"refund_quantity":1}]}`
				isEqual(t, "body", decode(t, wantBody), decode(t, string(body)))
				signed(t, w, 200, object)
			})
			c.set(c2)
			got, err := c2.Refund(t.Context(), request())
			if err != nil {
				t.Fatal(err)
			}
			isEqual(t, "refund", want(), got)
		})
	}
}

func decode(t *testing.T, s string) (v any) {
	t.Helper()
	if err := json.Unmarshal([]byte(s), &v); err != nil {
		t.Fatalf("%s: %v", s, err)
	}
	return v
}

// The number is escaped in the signed path, and the sub-merchant is named.
func TestAPIv3QueryOnTheWire(t *testing.T) {
	for no, uri := range map[string]string{
		"R1":     "/v3/refund/domestic/refunds/R1",
		"R|1*@_": "/v3/refund/domestic/refunds/R%7C1%2A@_",
	} {
		for sub, query := range map[string]string{"": "", "1900000110": "?sub_mchid=1900000110"} {
			c := serve(t, func(w http.ResponseWriter, r *http.Request, _ []byte) {
				if got := r.RequestURI; r.Method != http.MethodGet || got != uri+query {
					t.Errorf("%s %s, want %s", r.Method, got, uri+query)
				}
				cred, err := wxpay.ParseAuthorization(r.Header.Get("Authorization"))
				if err != nil {
					t.Error(err)
				}
				if err := cred.Verify(&merchantKey().PublicKey, r.Method, r.RequestURI, nil, time.Now()); err != nil {
					t.Errorf("signature: %v", err)
				}
				signed(t, w, 200, strings.Replace(object, `"R1"`, `"`+no+`"`, 1))
			})
			c.SubMchID = sub
			if got, err := c.Query(t.Context(), refund.Lookup{OutRefundNo: no}); err != nil || len(got.Refunds) != 1 || got.Refunds[0].OutRefundNo != no {
				t.Errorf("%s: %+v, %v", no, got, err)
			}
		}
	}
}

// The error table row by row, and everything that leaves the outcome unknown.
func TestAPIv3Errors(t *testing.T) {
	const unavailable, same = refund.CodeUnavailable, refund.SameNumber
	for _, c := range []struct {
		status   int
		body     string
		code     refund.Code
		next     refund.Next
		upstream string
	}{
		{403, `{"code":"USER_ACCOUNT_ABNORMAL","message":"用户账户注销"}`, refund.CodeRejected, refund.Never, "USER_ACCOUNT_ABNORMAL"},
		{403, `{"code":"NOT_ENOUGH","message":"基本账户余额不足，请充值后重新发起"}`, refund.CodeRejected, refund.Later, "NOT_ENOUGH"},
		{400, `{"code":"PARAM_ERROR","message":"参数错误","detail":{"field":"/amount/total"}}`, refund.CodeInvalid, refund.AfterFix, "PARAM_ERROR"},
		{400, `{"code":"INVALID_REQUEST","message":"订单已全额退款"}`, refund.CodeRejected, refund.LaterOrFix, "INVALID_REQUEST"},
		{401, `{"code":"SIGN_ERROR","message":"错误的签名，验签失败"}`, refund.CodeRejected, refund.LaterOrFix, "SIGN_ERROR"},
		{403, `{"code":"NO_AUTH","message":"无权限"}`, refund.CodeRejected, refund.LaterOrFix, "NO_AUTH"},
		{404, `{"code":"MCH_NOT_EXISTS","message":"商户号不存在"}`, refund.CodeRejected, refund.LaterOrFix, "MCH_NOT_EXISTS"},
		{404, `{"code":"RESOURCE_NOT_EXISTS","message":"订单不存在"}`, refund.CodeNotFound, refund.LaterOrFix, "RESOURCE_NOT_EXISTS"},

		{500, `{"code":"SYSTEM_ERROR","message":"系统繁忙"}`, unavailable, same, "SYSTEM_ERROR"},
		{502, `<html>bad gateway</html>`, unavailable, same, ""},
		{503, `{"code":"SERVICE_UNAVAILABLE"}`, unavailable, same, "SERVICE_UNAVAILABLE"},
		{429, `{"code":"FREQUENCY_LIMITED","message":"频率限制"}`, unavailable, refund.Later, "FREQUENCY_LIMITED"},
		{429, `{"code":"RATELIMIT_EXCEEDED","message":""}`, unavailable, refund.Later, "RATELIMIT_EXCEEDED"},
		{202, ``, unavailable, same, ""},
		{204, ``, unavailable, same, ""},
		{302, ``, unavailable, same, ""},
		{400, `{"code":"SOMETHING_NEW","message":"?"}`, unavailable, same, "SOMETHING_NEW"},
		{404, `<html>not found</html>`, unavailable, same, ""},
		{500, `{"code":"NOT_ENOUGH","message":"a refusal that a 5xx does not make certain"}`, unavailable, same, "NOT_ENOUGH"},
		{200, `{`, unavailable, same, ""},
		{200, `{"out_refund_no":1}`, unavailable, same, ""},
		{200, `{"out_refund_no":"R1","status":"SUCCESS"}`, unavailable, same, ""},
		{200, `{"out_refund_no":"R1","status":"SUCCESS","amount":{"refund":0,"total":100}}`, unavailable, same, ""},
		{200, strings.Replace(object, `"R1"`, `"R2"`, 1), unavailable, same, ""}, // A14
	} {
		ch := serve(t, func(w http.ResponseWriter, _ *http.Request, _ []byte) { signed(t, w, c.status, c.body) })
		for call, do := range both(ch) {
			checkRow(t, call, fmt.Sprint(c.status, c.body), errorRow{c.upstream, c.code, c.next}, do(t.Context()))
		}
	}
}

// An answer that cannot be verified says nothing; a refusal may come unsigned (threats A13).
func TestUnverifiableAnswersLeaveTheOutcomeOpen(t *testing.T) {
	const refused = `{"code":"NOT_ENOUGH"}`
	for name, c := range map[string]struct {
		serial, over string // who has signed what; "": nobody
		age          time.Duration
		status       int
		body         string
		code         refund.Code
	}{
		"unsigned":              {"", "", 0, 200, object, refund.CodeUnavailable},
		"other body":            {serial, "x", 0, 200, object, refund.CodeUnavailable},
		"other serial":          {"PUB_KEY_ID_X", object, 0, 200, object, refund.CodeUnavailable},
		"stale":                 {serial, object, 301 * time.Second, 200, object, refund.CodeUnavailable},
		"forged signed refusal": {serial, "x", 0, 403, refused, refund.CodeUnavailable},
		"unsigned refusal":      {"", "", 0, 403, refused, refund.CodeRejected},
	} {
		ch := serve(t, func(w http.ResponseWriter, _ *http.Request, _ []byte) {
			if c.serial != "" {
				sign(t, w, c.serial, c.over, time.Now().Add(-c.age))
			}
			w.WriteHeader(c.status)
			_, _ = io.WriteString(w, c.body)
		})
		if _, err := ch.Refund(t.Context(), request()); !refund.IsCode(err, c.code) {
			t.Errorf("%s: %v, want %s", name, err, c.code)
		}
	}
	probe := serve(t, func(w http.ResponseWriter, _ *http.Request, _ []byte) {
		w.Header().Set("Wechatpay-Signature", "WECHATPAY/SIGNTEST/x")
		_, _ = io.WriteString(w, object)
	})
	_, err := probe.Refund(t.Context(), request())
	isUnknown(t, "probe", err)
}

func sign(t *testing.T, w http.ResponseWriter, serial, body string, at time.Time) {
	if err := (&wxpay.Platform{Serial: serial, Key: platformKey()}).Sign(w.Header(), []byte(body), at); err != nil {
		t.Error(err)
	}
}

// No connection is certain not to have sent anything.
func TestOnlyAMissingConnectionIsUnsent(t *testing.T) {
	ch := serve(t, nil)
	ch.Client.Hosts = []string{"http://127.0.0.1:1"}
	_, err := ch.Refund(t.Context(), request())
	isUnsent(t, "no connection", err)
}

// An upstream's text reaches a caller bounded and on one line.
func TestUpstreamTextIsBounded(t *testing.T) {
	long := `{"code":"PARAM_ERROR","message":"a\nb` + strings.Repeat("长", 500) + `"}`
	ch := serve(t, func(w http.ResponseWriter, _ *http.Request, _ []byte) { signed(t, w, 400, long) })
	_, err := ch.Refund(t.Context(), request())
	m := refund.AsError(err).Message
	if strings.ContainsAny(m, "\n\r") || len([]rune(m)) > 250 {
		t.Errorf("message %q", m)
	}
}
