package apiv3_test

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"wxrefund/shared/sandbox"
	"wxrefund/shared/sandbox/sandboxtest"
	"wxrefund/shared/wxpay"
)

// validRefund uses every field.
const validRefund = `{
	"out_trade_no": "T1", "out_refund_no": "R_1-|*@", "reason": "商品已售完", "notify_url": "https://merchant.example/notify/1",
	"funds_account": "AVAILABLE",
	"amount": {"refund": 1000, "total": 10000, "currency": "CNY", "from": [{"account":"AVAILABLE","amount":400},{"account":"UNAVAILABLE","amount":600}]},
	"goods_detail": [{"merchant_goods_id":"g1","wechatpay_goods_id":"1001","goods_name":"iPhone6s 16G","unit_price":1000,"refund_amount":1000,"refund_quantity":1}]
}`

func TestARefundWithEveryFieldIsAccepted(t *testing.T) {
	w := sandboxtest.New(t)
	order := w.Control("POST", "/_sandbox/orders", `{"out_trade_no":"T1","total":10000}`, 200)
	a := w.Call("POST", sandboxtest.RefundsPath, validRefund)
	if a.Status != 200 {
		t.Fatalf("status %d %s", a.Status, a.Body)
	}
	var got map[string]any
	a.Decode(t, &got)
	for _, name := range []string{"refund_id", "create_time", "user_received_account"} {
		if s, _ := got[name].(string); s == "" {
			t.Errorf("%s is missing", name)
		}
		delete(got, name)
	}
	want := map[string]any{
		"out_refund_no": "R_1-|*@", "out_trade_no": "T1", "transaction_id": order.Field("transaction_id"),
		"channel": "ORIGINAL", "status": "PROCESSING", "funds_account": "AVAILABLE", "promotion_detail": []any{},
		"amount": map[string]any{
			"total": 10000.0, "refund": 1000.0, "payer_total": 10000.0, "payer_refund": 1000.0, "currency": "CNY",
			"settlement_total": 10000.0, "settlement_refund": 1000.0, "discount_refund": 0.0, "refund_fee": 0.0,
			"from": []any{map[string]any{"account": "AVAILABLE", "amount": 400.0}, map[string]any{"account": "UNAVAILABLE", "amount": 600.0}},
		},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("refund (-want +got):\n%s", diff)
	}
}

// One thing of a valid body is changed.
func TestEachFieldIsHeldToItsRule(t *testing.T) {
	long := func(n int) string { return strings.Repeat("x", n) }
	tests := []struct {
		field string
		value any // nil: removed
		ok    bool
		words string // in the message
	}{
		{"/sub_mchid", "1900000001", false, "普通商户不允许传sub_mch_id"},
		{"/sub_mchid", "x", false, "正则表达式"},
		{"/sub_mchid", "1900000109", true, ""},
		{"/transaction_id", long(33), false, "字节数 33，大于最大值 32"},
		{"/transaction_id", "", false, "字符数 0，小于最小值 1"},
		{"/transaction_id", 1, false, "string 类型"},
		{"/out_trade_no", long(33), false, "大于最大值 32"},
		{"/out_trade_no", "T 1", false, "正则表达式"},
		{"/out_refund_no", nil, false, "输入源“/body/out_refund_no”映射到字段“商户退款单号”必填性规则校验失败，此字段为必填项"},
		{"/out_refund_no", "", false, "字符数 0，小于最小值 1"},
		{"/out_refund_no", long(64), true, ""},
		{"/out_refund_no", long(65), false, "字节数 65，大于最大值 64"},
		{"/out_refund_no", "退款", false, "正则表达式"},
		{"/out_refund_no", "R#1", false, "正则表达式"},
		{"/reason", strings.Repeat("退", 26) + "xx", true, ""},
		{"/reason", strings.Repeat("退", 27), false, "字节数 81，大于最大值 80"},
		{"/reason", "", false, "小于最小值 1"},
		{"/reason", "\U0001f600", false, "1至3个字节"},
		{"/notify_url", "http://127.0.0.1:8700/notify", true, ""},
		{"/notify_url", "http://localhost:8700/notify", true, ""},
		{"/notify_url", "https://merchant.example/notify?x=1", false, "正则表达式"},
		{"/notify_url", "https://merchant.example/notify#x", false, "正则表达式"},
		{"/notify_url", "ftp://merchant.example/", false, "正则表达式"},
		{"/notify_url", "https://merchant.example/" + long(240), false, "大于最大值 256"},
		{"/funds_account", "UNSETTLED", true, ""},
		{"/funds_account", "BASIC", false, "取值必须是"},
		{"/funds_account", "available", false, "取值必须是"},
		{"/amount", nil, false, "必填"},
		{"/amount", []any{1}, false, "合法的 Json 对象"},
		{"/amount/refund", nil, false, "必填"},
		{"/amount/refund", 0, false, "值低于最小值 1"},
		{"/amount/refund", -1, false, "值低于最小值 1"},
		{"/amount/refund", "1000", false, "64 位有符号整数"},
		{"/amount/refund", 1000.5, false, "64 位有符号整数"},
		{"/amount/refund", json.RawMessage("1e3"), false, "64 位有符号整数"},
		{"/amount/refund", json.RawMessage("1000.0"), false, "64 位有符号整数"},
		{"/amount/refund", json.RawMessage("9223372036854775808"), false, "64 位有符号整数"},
		{"/amount/refund", json.RawMessage("null"), false, "64 位有符号整数"},
		{"/amount/total", nil, false, "必填"},
		{"/amount/total", 0, false, "值低于最小值 1"},
		{"/amount/currency", nil, false, "必填"},
		{"/amount/currency", "USD", false, "取值必须是"},
		{"/amount/currency", "cny", false, "取值必须是"},
		{"/amount/from", map[string]any{}, false, "Json 数组"},
		{"/amount/from", []any{1}, false, "合法的 Json 对象"},
		{"/amount/from", []any{}, true, ""},
		{"/amount/from/0/account", "BASIC", false, "取值必须是"},
		{"/amount/from/0/account", nil, false, "必填"},
		{"/amount/from/0/account", "UNAVAILABLE", false, "不能重复"},
		{"/amount/from/0/amount", 0, false, "值低于最小值 1"},
		{"/amount/from/0/amount", 401, false, "金额之和"},
		{"/amount/from/0/amount", 9223372036854775807, false, "金额之和"},
		{"/goods_detail", "x", false, "Json 数组"},
		{"/goods_detail/0/merchant_goods_id", nil, false, "必填"},
		{"/goods_detail/0/merchant_goods_id", long(33), false, "大于最大值 32"},
		{"/goods_detail/0/goods_name", long(257), false, "大于最大值 256"},
		{"/goods_detail/0/unit_price", nil, false, "必填"},
		{"/goods_detail/0/unit_price", -1, false, "值低于最小值 0"},
		{"/goods_detail/0/refund_quantity", 0, false, "值低于最小值 1"},
		{"/goods_detail/0/wechatpay_goods_id", nil, true, ""},
		{"/appid", "wx1", false, "请求中含有未在API文档中定义的参数"},
		{"/Reason", "x", false, "请求中含有未在API文档中定义的参数"},
		{"/amount/payer_refund", 1, false, "请求中含有未在API文档中定义的参数"},
		{"/goods_detail/0/x", 1, false, "请求中含有未在API文档中定义的参数"},
	}
	for _, tt := range tests {
		t.Run(fmt.Sprintf("%s=%.20v", tt.field, tt.value), func(t *testing.T) {
			w := sandboxtest.New(t)
			w.Order("T1")
			a := w.Call("POST", sandboxtest.RefundsPath, sandboxtest.Set(t, validRefund, tt.field, tt.value))
			if tt.ok {
				if a.Status != 200 {
					t.Errorf("status %d %s, want 200", a.Status, a.Body)
				}
				return
			}
			if a.Status != 400 || a.Field("code") != "PARAM_ERROR" {
				t.Fatalf("status %d %s, want 400 PARAM_ERROR", a.Status, a.Body)
			}
			if m, _ := a.Field("message").(string); !strings.Contains(m, tt.words) {
				t.Errorf("message %q, want %q in it", m, tt.words)
			}
			if tt.words == "普通商户不允许传sub_mch_id" {
				return
			}
			want := tt.field
			if strings.Contains(tt.words, "重复") || strings.Contains(tt.words, "之和") {
				want = "/amount/from"
			} else if tt.field == "/amount/from" && tt.words == "合法的 Json 对象" {
				want = "/amount/from/0"
			}
			if got := a.Field("detail", "field"); got != want {
				t.Errorf("detail.field = %v, want %v", got, want)
			}
			unknown := strings.Contains(tt.words, "未在API文档中定义")
			if got := a.Field("detail", "location"); unknown != (got == nil) || !unknown && got != "body" {
				t.Errorf("detail.location = %v", got)
			}
			if got := w.Call("GET", sandboxtest.RefundsPath+"/R_1-%7C*@", ""); got.Status != 404 {
				t.Errorf("a refused refund exists: %s", got.Body)
			}
		})
	}
}

func TestBodiesThatCanBeReadInTwoWaysAreRefused(t *testing.T) {
	for _, body := range []string{
		"", " ", "{", "[]", "null", `"x"`, "{}x", validRefund + "{}",
		strings.Replace(validRefund, `"reason"`, `"out_refund_no":"R2","reason"`, 1),
		strings.Replace(validRefund, `"refund": 1000`, `"refund":1,"refund": 1000`, 1),
		strings.Replace(validRefund, "商品", "\xff", 1),
		strings.Replace(validRefund, `"商品已售完"`, strings.Repeat("[", 20)+strings.Repeat("]", 20), 1),
		strings.Replace(validRefund, `"商品已售完",`, `"x",,`, 1),
	} {
		w := sandboxtest.New(t)
		w.Order("T1")
		r := w.Request("POST", sandboxtest.RefundsPath, body)
		r.Header.Set("Content-Type", "application/json")
		a := sandboxtest.Serve(w.Sandbox.WeChat(), r)
		if a.Status != 400 || a.Field("code") != "PARAM_ERROR" || a.Field("detail", "location") != nil {
			t.Errorf("body %.60q: %d %s, want 400 PARAM_ERROR without a location", body, a.Status, a.Body)
		}
	}
}

func TestEachBusinessRuleRefusesInItsWords(t *testing.T) {
	const orderT1 = `{"out_trade_no":"T1","transaction_id":"4200000000000000000000000001","total":10000}`
	const orderT2 = `{"out_trade_no":"T2","transaction_id":"4200000000000000000000000002","total":10000}`
	type change map[string]any
	tests := []struct {
		name   string
		orders []string
		before func(*sandboxtest.World)
		change change
		status int
		code   string
		words  string
	}{
		{"unknown order", nil, nil, nil, 404, "RESOURCE_NOT_EXISTS", "订单不存在"},
		{"no order", nil, nil, change{"/out_trade_no": nil}, 400, "PARAM_ERROR", "必填"},
		{"by transaction", nil, nil, change{"/out_trade_no": nil, "/transaction_id": "4200000000000000000000000001"}, 404, "RESOURCE_NOT_EXISTS", ""},
		{"by transaction", []string{orderT1}, nil, change{"/out_trade_no": nil, "/transaction_id": "4200000000000000000000000001"}, 200, "", ""},
		{"by both", []string{orderT1}, nil, change{"/transaction_id": "4200000000000000000000000001"}, 200, "", ""},
		{"by two that differ", []string{orderT1, orderT2}, nil, change{"/transaction_id": "4200000000000000000000000002"}, 400, "INVALID_REQUEST", "不一致"},
		{"total", []string{orderT1}, nil, change{"/amount/total": 10001}, 400, "INVALID_REQUEST", "订单金额或退款金额与之前请求不一致，请核实后再试"},
		{"currency", []string{`{"out_trade_no":"T1","total":10000,"currency":"USD"}`}, nil, nil, 400, "INVALID_REQUEST", "不一致"},
		{"more than the order", []string{orderT1}, nil, change{"/amount/refund": 10001, "/amount/from": []any{}}, 400, "INVALID_REQUEST", "累计退款金额大于支付金额"},
		{"more than is left", []string{orderT1}, func(w *sandboxtest.World) { w.Refund("T1", "R0", 9001) }, nil, 400, "INVALID_REQUEST", "累计退款金额大于支付金额"},
		{"just what is left", []string{orderT1}, func(w *sandboxtest.World) { w.Refund("T1", "R0", 9000) }, nil, 200, "", ""},
		{"nothing is left", []string{orderT1}, func(w *sandboxtest.World) { w.Refund("T1", "R0", 10000) }, nil, 400, "INVALID_REQUEST", "订单已全额退款"},
		{"closed gives back", []string{orderT1}, func(w *sandboxtest.World) {
			w.Refund("T1", "R0", 10000)
			w.Control("POST", "/_sandbox/refunds/R0/settle", `{"status":"CLOSED"}`, 200)
		}, nil, 200, "", ""},
		{"abnormal does not", []string{orderT1}, func(w *sandboxtest.World) {
			w.Refund("T1", "R0", 10000)
			w.Control("POST", "/_sandbox/refunds/R0/settle", `{"status":"ABNORMAL"}`, 200)
		}, nil, 400, "INVALID_REQUEST", "订单已全额退款"},
		{"49 before", []string{orderT1}, func(w *sandboxtest.World) { w.Partials(49) }, nil, 200, "", ""},
		{"50 before", []string{orderT1}, func(w *sandboxtest.World) { w.Partials(50) }, nil, 400, "INVALID_REQUEST", "50"},
		{"a year old", []string{orderT1}, func(w *sandboxtest.World) { w.Advance("8759h59m") }, nil, 200, "", ""},
		{"older than a year", []string{orderT1}, func(w *sandboxtest.World) { w.Advance("8760h1s") }, nil, 400, "INVALID_REQUEST", "一年"},
		{"paid more than a year ago", []string{fmt.Sprintf(`{"out_trade_no":"T1","total":10000,"success_time":%q}`,
			time.Now().AddDate(0, 0, -366).Format(time.RFC3339))}, nil, nil, 400, "INVALID_REQUEST", "一年"},
		{"not our merchant", []string{orderT1}, nil, change{"/sub_mchid": "1900000110"}, 403, "NO_AUTH", ""},
		{"order of the other kind", []string{`{"out_trade_no":"T1","total":10000,"sub_mchid":"1900000109"}`}, nil, nil, 404, "RESOURCE_NOT_EXISTS", ""},
		{"order of the merchant served", []string{`{"out_trade_no":"T1","total":10000,"sub_mchid":"1900000109"}`}, nil, change{"/sub_mchid": "1900000109"}, 200, "", ""},
		{"order that has become the merchant's own", []string{orderT1}, func(w *sandboxtest.World) { w.Refund("T1", "R0", 1) }, change{"/sub_mchid": "1900000109"}, 404, "RESOURCE_NOT_EXISTS", ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			w := sandboxtest.New(t)
			for _, o := range tt.orders {
				w.Control("POST", "/_sandbox/orders", o, 200)
			}
			if tt.before != nil {
				tt.before(w)
			}
			body := validRefund
			for pointer, value := range tt.change {
				body = sandboxtest.Set(t, body, pointer, value)
			}
			a := w.Call("POST", sandboxtest.RefundsPath, body)
			if a.Status != tt.status || tt.code != "" && a.Field("code") != tt.code {
				t.Fatalf("%d %s, want %d %s", a.Status, a.Body, tt.status, tt.code)
			}
			if m, _ := a.Field("message").(string); !strings.Contains(m, tt.words) {
				t.Errorf("message %q, want %q in it", m, tt.words)
			}
		})
	}
}

func TestARepeatGetsTheRefundAndOtherContentIsRefused(t *testing.T) {
	tests := []struct {
		field string
		value any
		same  bool
	}{
		{"/reason", "商品已售完", true},
		{"/notify_url", "https://merchant.example/other", true},
		{"/transaction_id", "4200000000000000000000000001", true},
		{"/amount/refund", 1, false},
		{"/amount/total", 10001, false},
		{"/reason", "x", false},
		{"/funds_account", nil, false},
		{"/goods_detail", nil, false},
		{"/out_trade_no", "T2", false},
		{"/sub_mchid", "1900000109", false},
	}
	for _, tt := range tests {
		t.Run(fmt.Sprintf("%s=%v", tt.field, tt.value), func(t *testing.T) {
			w := sandboxtest.New(t)
			w.Control("POST", "/_sandbox/orders", `{"out_trade_no":"T1","transaction_id":"4200000000000000000000000001","total":10000}`, 200)
			w.Order("T2")
			body := sandboxtest.Set(t, validRefund, "/amount/from", []any{})
			first := w.Call("POST", sandboxtest.RefundsPath, body)
			w.Control("POST", "/_sandbox/refunds/R_1-%7C*@/settle", `{"status":"SUCCESS"}`, 200)
			a := w.Call("POST", sandboxtest.RefundsPath, sandboxtest.Set(t, body, tt.field, tt.value))
			switch {
			case tt.same && (a.Status != 200 || a.Field("status") != "SUCCESS" || a.Field("refund_id") != first.Field("refund_id")):
				t.Errorf("%d %s, want the same refund as it stands now", a.Status, a.Body)
			case !tt.same && (a.Field("code") != "INVALID_REQUEST" || a.Field("message") != "订单金额或退款金额与之前请求不一致，请核实后再试"):
				t.Errorf("%d %s, want INVALID_REQUEST", a.Status, a.Body)
			}
		})
	}
}

// One thing of a valid request is changed, but not of its body.
func TestOnlyTheMerchantsSignedRequestsAreLetIn(t *testing.T) {
	other := sandboxtest.New(t, func(c *sandbox.Config) { c.Keys = sandboxtest.OtherKeys(t) })
	signed := func(uri, body string, change func(*wxpay.Signer)) func(*sandboxtest.World, *http.Request) {
		return func(w *sandboxtest.World, r *http.Request) {
			signer := *w.Signer
			change(&signer)
			header, err := signer.Authorization(r.Method, uri, []byte(body))
			if err != nil {
				t.Fatal(err)
			}
			r.Header.Set("Authorization", header)
		}
	}
	asIs := func(*wxpay.Signer) {}
	old := func(by time.Duration) func(*sandboxtest.World, *http.Request) {
		return func(w *sandboxtest.World, r *http.Request) {
			r.Header.Set("Authorization", signAt(t, w.Signer, r.Method, sandboxtest.RefundsPath, sandboxtest.Set(t, validRefund, "/reason", "x"), time.Now().Add(by)))
		}
	}
	header := func(name, value string) func(*sandboxtest.World, *http.Request) {
		return func(_ *sandboxtest.World, r *http.Request) { r.Header.Set(name, value) }
	}
	tests := []struct {
		name   string
		change func(*sandboxtest.World, *http.Request)
		status int
		code   string
		words  string
	}{
		{"nothing", func(*sandboxtest.World, *http.Request) {}, 200, "", ""},
		{"no Accept", func(_ *sandboxtest.World, r *http.Request) { r.Header.Del("Accept") }, 400, "INVALID_REQUEST", "Http头缺少Accept或User-Agent"},
		{"no User-Agent", func(_ *sandboxtest.World, r *http.Request) { r.Header.Del("User-Agent") }, 400, "INVALID_REQUEST", "Http头缺少Accept或User-Agent"},
		{"no Authorization", func(_ *sandboxtest.World, r *http.Request) { r.Header.Del("Authorization") }, 401, "SIGN_ERROR", "Http头Authorization值格式错误，请参考《微信支付商户REST API签名规则》"},
		{"no form", header("Authorization", "WECHATPAY2-SHA256-RSA2048 x"), 401, "SIGN_ERROR", "Http头Authorization值格式错误"},
		{"scheme", header("Authorization", "Bearer x"), 401, "SIGN_ERROR", "Http头Authorization认证类型不正确"},
		{"merchant", signed(sandboxtest.RefundsPath, validRefund, func(s *wxpay.Signer) { s.MchID = "1900000002" }), 404, "MCH_NOT_EXISTS", ""},
		{"serial", signed(sandboxtest.RefundsPath, validRefund, func(s *wxpay.Signer) { s.SerialNo = "5157F09EFDC096DE15EBE81A47057A7232F1B8E1" }), 401, "SIGN_ERROR", "商户证书序列号有误"},
		{"serial in lower case", signed(sandboxtest.RefundsPath, validRefund, func(s *wxpay.Signer) { s.SerialNo = strings.ToLower(s.SerialNo) }), 200, "", ""},
		{"serial in both cases", signed(sandboxtest.RefundsPath, validRefund, func(s *wxpay.Signer) { s.SerialNo = strings.ToLower(s.SerialNo[:20]) + s.SerialNo[20:] }), 200, "", ""},
		{"key", signed(sandboxtest.RefundsPath, validRefund, func(s *wxpay.Signer) { s.Key = other.Signer.Key }), 401, "SIGN_ERROR", "错误的签名，验签失败"},
		{"path", signed(sandboxtest.RefundsPath+"/", validRefund, asIs), 401, "SIGN_ERROR", "错误的签名，验签失败"},
		{"body", signed(sandboxtest.RefundsPath, validRefund+" ", asIs), 401, "SIGN_ERROR", "错误的签名，验签失败"},
		{"301 s ago", old(-301 * time.Second), 401, "SIGN_ERROR", "timestamp与发起请求的时间不得超过5分钟"},
		{"301 s ahead", old(301 * time.Second), 401, "SIGN_ERROR", "timestamp与发起请求的时间不得超过5分钟"},
		{"Content-Type", header("Content-Type", "text/plain"), 415, "UNSUPPORTED_MEDIA", ""},
		{"Content-Type with charset", header("Content-Type", "application/json; charset=utf-8"), 200, "", ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			w := sandboxtest.New(t)
			w.Order("T1")
			body := validRefund
			r := w.Request("POST", sandboxtest.RefundsPath, body)
			tt.change(w, r)
			a := sandboxtest.Serve(w.Sandbox.WeChat(), r)
			if a.Status != tt.status || tt.code != "" && a.Field("code") != tt.code {
				t.Fatalf("%d %s, want %d %s", a.Status, a.Body, tt.status, tt.code)
			}
			if m, _ := a.Field("message").(string); !strings.Contains(m, tt.words) {
				t.Errorf("message %q, want %q in it", m, tt.words)
			}
			w.VerifyReply(a, w.Serial)
			id := a.RequestID()
			if ok := strings.HasSuffix(id, "-0"); ok != (a.Status == 200) {
				t.Errorf("Request-ID %q for status %d", id, a.Status)
			}
		})
	}
}

// What was verified is cut as the real host cuts it.
func TestABadSignatureIsShownWhatWasVerified(t *testing.T) {
	w := sandboxtest.New(t)
	const body = `{"out_trade_no":"T1"}`
	r := w.Request("POST", sandboxtest.RefundsPath, body)
	r.Header.Set("Authorization", signAt(t, w.Signer, "POST", sandboxtest.RefundsPath, body+"x", time.Now()))
	a := sandboxtest.Serve(w.Sandbox.WeChat(), r)
	stamp := fmt.Sprint(time.Now().Unix())
	message, _ := a.Field("detail", "sign_information", "truncated_sign_message").(string)
	parts := strings.Split(message, "\n")
	if len(parts) != 6 || parts[0] != "POST" || parts[1] != sandboxtest.RefundsPath || len(parts[2]) != len(stamp) || parts[3] != "n" || parts[4] != `{"out_tr` {
		t.Errorf("truncated_sign_message %q", message)
	}
	want := len("POST\n") + len(sandboxtest.RefundsPath+"\n") + len(stamp+"\n") + len("n\n") + len(body+"\n")
	if got := a.Field("detail", "sign_information", "sign_message_length"); got != float64(want) {
		t.Errorf("sign_message_length %v, want %d", got, want)
	}
	for path, want := range map[string]string{"field": "signature", "location": "authorization"} {
		if got := a.Field("detail", path); got != want {
			t.Errorf("detail.%s = %v, want %s", path, got, want)
		}
	}
	if got := a.Field("detail", "detail", "issue"); got != "sign not match" {
		t.Errorf("issue %v", got)
	}
}

// The merchant's kind decides which keys there are, and the name that a client sends
// chooses among those alone.
func TestRepliesAreSignedWithTheKeyThatTheClientNames(t *testing.T) {
	both := sandboxtest.New(t).Control("GET", "/_sandbox/credentials", "", 200) // of the same keys
	platform, public := both.Field("platform_serial").(string), both.Field("public_key_id").(string)
	for merchant, want := range map[string]map[string]string{
		"":            {public: public, platform: platform, "": platform, "PUB_KEY_ID_0": platform, "merchant": platform},
		"switching":   {public: public, platform: platform, "": platform, "PUB_KEY_ID_0": platform, "merchant": platform},
		"certificate": {public: platform, platform: platform, "": platform, "PUB_KEY_ID_0": platform, "merchant": platform},
		"public-key":  {public: public, platform: public, "": public, "PUB_KEY_ID_0": public, "merchant": public},
	} {
		w := sandboxtest.New(t, func(c *sandbox.Config) { c.Merchant = merchant })
		w.Order("T1")
		w.Refund("T1", "R1")
		for serial, want := range want {
			if w.Serial = serial; serial == "merchant" { // its own: a mistake that many make
				w.Serial = w.Signer.SerialNo
			}
			for path, status := range map[string]int{sandboxtest.RefundsPath + "/R1": 200, sandboxtest.RefundsPath + "/R2": 404} {
				a := w.Call("GET", path, "")
				if a.Status != status {
					t.Fatalf("%q, %q: %d %s", merchant, serial, a.Status, a.Body)
				}
				w.VerifyReply(a, want)
			}
		}
	}
}

func TestAMerchantOfThePublicKeyHasNoCertificates(t *testing.T) {
	w := sandboxtest.New(t, func(c *sandbox.Config) { c.Merchant = "public-key" })
	for range 2 {
		a := w.Call("GET", "/v3/certificates", "")
		if words, _ := a.Field("message").(string); a.Status != 404 || a.Field("code") != "RESOURCE_NOT_EXISTS" || !strings.HasPrefix(words, "无可用的平台证书，请在商户平台-API安全申请使用微信支付公钥") {
			t.Errorf("%d %s", a.Status, a.Body)
		}
		w.VerifyReply(a, w.Serial)
		w.Serial = w.Control("POST", "/_sandbox/keys/rotate", "", 200).Field("public_key_id").(string) // which does not bring one
	}
	a := w.Call("GET", "/v3/certificates?algorithm_type=SM2", "")
	if a.Status != 400 {
		t.Errorf("%d %s", a.Status, a.Body)
	}
}

func TestUnknownPathsAndMethodsAreRefusedAsAPIv3Does(t *testing.T) {
	w := sandboxtest.New(t)
	for _, tt := range []struct {
		method, path string
		status       int
		code         string
	}{
		{"GET", "/", 404, "RESOURCE_NOT_EXISTS"},
		{"POST", "/v3/refund/domestic/refund", 404, "RESOURCE_NOT_EXISTS"},
		{"GET", sandboxtest.RefundsPath, 405, "METHOD_NOT_ALLOWED"},
		{"DELETE", sandboxtest.RefundsPath + "/R1", 405, "METHOD_NOT_ALLOWED"},
		{"GET", sandboxtest.RefundsPath + "/R1", 404, "RESOURCE_NOT_EXISTS"},
		{"GET", sandboxtest.RefundsPath + "/R1?sub_mchid=1900000109", 404, "RESOURCE_NOT_EXISTS"},
		{"GET", sandboxtest.RefundsPath + "/R1?sub_mchid=1900000110", 403, "NO_AUTH"},
		{"GET", sandboxtest.RefundsPath + "/R1?x=1", 400, "PARAM_ERROR"},
		{"GET", sandboxtest.RefundsPath + "/R1?sub_mchid=1900000109&sub_mchid=1", 400, "PARAM_ERROR"},
		{"GET", sandboxtest.RefundsPath + "/R%201", 400, "PARAM_ERROR"},
		{"GET", sandboxtest.RefundsPath + "/" + strings.Repeat("x", 65), 400, "PARAM_ERROR"},
		{"GET", "/v3/certificates?algorithm_type=SM2", 400, "PARAM_ERROR"},
		{"GET", "/v3/certificates?algorithm_type=RSA", 200, ""},
	} {
		a := w.Call(tt.method, tt.path, "")
		if a.Status != tt.status || tt.code != "" && a.Field("code") != tt.code {
			t.Errorf("%s %s: %d %s, want %d %s", tt.method, tt.path, a.Status, a.Body, tt.status, tt.code)
		}
	}
}

func TestCouponsTakeTheirShareOfEachRefund(t *testing.T) {
	w := sandboxtest.New(t)
	w.Control("POST", "/_sandbox/orders", `{"out_trade_no":"T1","total":10000,"promotion_detail":[
		{"promotion_id":"109519","scope":"SINGLE","type":"DISCOUNT","amount":500},
		{"promotion_id":"109520","scope":"GLOBAL","type":"COUPON","amount":501}]}`, 200)
	a := w.Call("POST", sandboxtest.RefundsPath, sandboxtest.Set(t, sandboxtest.Set(t, validRefund, "/amount/from", []any{}), "/amount/refund", 3333))
	type amount struct {
		PayerTotal       int64 `json:"payer_total"`
		PayerRefund      int64 `json:"payer_refund"`
		SettlementTotal  int64 `json:"settlement_total"`
		SettlementRefund int64 `json:"settlement_refund"`
		DiscountRefund   int64 `json:"discount_refund"`
	}
	var got struct {
		Amount    amount `json:"amount"`
		Promotion []struct {
			ID     string `json:"promotion_id"`
			Refund int64  `json:"refund_amount"`
			Goods  []any  `json:"goods_detail"`
		} `json:"promotion_detail"`
	}
	a.Decode(t, &got)
	// 3333 * 8999 / 10000 = 2999.4; of the rest, 334, 334*500/1001 = 166.8 is of the first coupon
	want := amount{PayerTotal: 8999, PayerRefund: 2999, SettlementTotal: 9500, SettlementRefund: 3166, DiscountRefund: 334}
	if diff := cmp.Diff(want, got.Amount); diff != "" {
		t.Errorf("amount (-want +got):\n%s", diff)
	}
	if len(got.Promotion) != 2 || got.Promotion[0].Refund != 167 || got.Promotion[1].Refund != 167 || len(got.Promotion[0].Goods) != 1 || len(got.Promotion[1].Goods) != 0 {
		t.Errorf("promotion_detail %+v", got.Promotion)
	}
	w.Refund("T1", "R2", 6667)
	a = w.Call("GET", sandboxtest.RefundsPath+"/R2", "")
	a.Decode(t, &got)
	if got.Amount.PayerRefund != 6000 || got.Promotion[0].Refund != 333 || got.Promotion[1].Refund != 334 {
		t.Errorf("the last refund does not take the rest: %s", a.Body)
	}
}

func TestRequestsAboveTheRateLimitsAreRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := sandboxtest.New(t)
		w.Order("T1")
		for i := range 8 {
			a := w.Apply("T9", "R1", 1)
			if limited := a.Status == 429; limited != (i >= 6) {
				t.Errorf("wrong request %d: %d %s", i+1, a.Status, a.Body)
			}
		}
		time.Sleep(time.Second)
		for i := range 152 {
			a := w.Apply("T1", "R1", 1)
			if limited := a.Status == 429; limited != (i >= 150) {
				t.Errorf("request %d: %d %s", i+1, a.Status, a.Body)
			}
		}
		time.Sleep(time.Second)
		w.Refund("T1", "R1", 1)
	})
}

func signAt(t testing.TB, s *wxpay.Signer, method, uri, body string, at time.Time) string {
	t.Helper()
	sig := sandboxtest.SignRaw(t, s.Key, wxpay.RequestMessage(method, uri, at.Unix(), "n", []byte(body)))
	return fmt.Sprintf(`WECHATPAY2-SHA256-RSA2048 mchid="%s",serial_no="%s",nonce_str="n",timestamp="%d",signature="%s"`,
		s.MchID, s.SerialNo, at.Unix(), base64.StdEncoding.EncodeToString(sig))
}
