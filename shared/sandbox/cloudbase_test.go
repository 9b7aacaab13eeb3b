package sandbox_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"mime/multipart"
	"net/http"
	"net/http/httptest"
	"net/textproto"
	"net/url"
	"strings"
	"testing"
	"time"

	"wxrefund/shared/cloudbase"
	"wxrefund/shared/sandbox"
	"wxrefund/shared/secret"
)

const adminURL = "http://127.0.0.1:8701/admin?env=x&seqId=1"

// gatewayRequest signs a call as CloudBase's library does.
func (w *world) gatewayRequest(media string, body []byte, params []cloudbase.Param, at time.Time) *http.Request {
	w.t.Helper()
	settings := w.settingsOf("cloudbase")
	u, err := url.Parse(adminURL)
	if err != nil {
		w.t.Fatal(err)
	}
	r := httptest.NewRequest("POST", adminURL, bytes.NewReader(body))
	h := http.Header{"Content-Type": {media}, "User-Agent": {"test"}, "X-Client-Timestamp": {"1700000000123"}}
	maps.Copy(r.Header, h)
	signer := cloudbase.TC3Signer{SecretID: settings["TENCENTCLOUD_SECRETID"], SecretKey: secret.Text(settings["TENCENTCLOUD_SECRETKEY"])}
	r.Header.Set("Authorization", signer.Authorization("POST", u, h, params, at))
	r.Header.Set("X-Timestamp", fmt.Sprint(at.Unix()))
	return r
}

// invoke is a JSON call, changed as is said; nil removes a parameter.
func (w *world) invoke(change map[string]any) *http.Request {
	w.t.Helper()
	body := map[string]any{"action": "functions.invokeFunction", "envName": w.settingsOf("cloudbase")["TCB_ENV"], "wxCloudApiToken": ""}
	maps.Copy(body, change)
	var params []cloudbase.Param
	for name, value := range body {
		text, ok := value.(string)
		if !ok {
			b, err := json.Marshal(value)
			if err != nil {
				w.t.Fatal(err)
			}
			text = string(b)
		}
		params = append(params, cloudbase.Param{Name: name, Value: []byte(text)})
	}
	b, err := json.Marshal(body)
	if err != nil {
		w.t.Fatal(err)
	}
	return w.gatewayRequest("application/json", b, params, time.Now())
}

// module calls the template's module and returns what it returns.
func (w *world) module(name, data string) (answer, answer) {
	w.t.Helper()
	a := serve(w.sandbox.WeChat(), w.invoke(map[string]any{
		"function_name": "cloudbase_module", "request_data": fmt.Sprintf(`{"name":%q,"data":%s}`, name, data),
	}))
	text, _ := a.field("data", "response_data").(string)
	return a, answer{status: a.status, header: a.header, body: []byte(text)}
}

// payRequest is a call of CloudPay.
func (w *world) payRequest(api, data string) *http.Request {
	w.t.Helper()
	params := []cloudbase.Param{
		{Name: "action", Value: []byte("wx.wxPayApi")}, {Name: "apiName", Value: []byte(api)},
		{Name: "apiOptions", Binary: true}, {Name: "requestData", Value: []byte(data), Binary: true},
		{Name: "envName", Value: []byte(w.settingsOf("cloudbase")["TCB_ENV"])},
	}
	var body bytes.Buffer
	form := multipart.NewWriter(&body)
	for _, p := range params {
		h := textproto.MIMEHeader{"Content-Disposition": {fmt.Sprintf(`form-data; name=%q`, p.Name)}}
		if p.Binary {
			h.Set("Content-Type", "application/octet-stream")
		}
		part, err := form.CreatePart(h)
		if err != nil {
			w.t.Fatal(err)
		}
		_, _ = part.Write(p.Value)
	}
	_ = form.Close()
	return w.gatewayRequest(form.FormDataContentType(), body.Bytes(), params, time.Now())
}

func (w *world) cloudPay(api, data string) answer {
	w.t.Helper()
	return serve(w.sandbox.WeChat(), w.payRequest(api, data))
}

const moduleRefund = `{"out_trade_no":"T1","out_refund_no":"R1","reason":"x","amount":{"refund":100,"total":10000,"currency":"CNY"}}`

// TestGateway changes one thing of a call that is let through.
func TestGateway(t *testing.T) {
	good := func(w *world) map[string]any {
		return map[string]any{"function_name": "cloudbase_module", "request_data": `{"name":"wxpay_refund","data":` + moduleRefund + `}`}
	}
	call := func(change map[string]any) func(*world) *http.Request {
		return func(w *world) *http.Request {
			params := good(w)
			maps.Copy(params, change)
			return w.invoke(params)
		}
	}
	header := func(name, value string) func(*world) *http.Request {
		return func(w *world) *http.Request {
			r := w.invoke(good(w))
			r.Header.Set(name, value)
			return r
		}
	}
	aged := func(by time.Duration) func(*world) *http.Request {
		return func(w *world) *http.Request {
			body := `{"action":"functions.invokeFunction"}`
			return w.gatewayRequest("application/json", []byte(body),
				[]cloudbase.Param{{Name: "action", Value: []byte("functions.invokeFunction")}}, time.Now().Add(by))
		}
	}
	tests := []struct {
		name    string
		request func(*world) *http.Request
		code    string // nothing: let through
	}{
		{"nothing", call(nil), ""},
		{"another parameter", call(map[string]any{"qualifier": "$LATEST", "n": 1}), ""},
		{"no function", call(map[string]any{"function_name": "nobody"}), "FUNCTION_NOT_FOUND"},
		{"environment", call(map[string]any{"envName": "other"}), "INVALID_ENV"},
		{"action", call(map[string]any{"action": "functions.deleteFunction"}), "INVALID_PARAM"},
		{"request_data", call(map[string]any{"request_data": "{"}), "INVALID_PARAM"},
		{"no Authorization", header("Authorization", ""), "SIGN_PARAM_INVALID"},
		{"Bearer", header("Authorization", "Bearer x"), "SIGN_PARAM_INVALID"},
		{"signed header changed", header("User-Agent", "other"), "SIGN_PARAM_INVALID"},
		{"time changed", header("X-Timestamp", fmt.Sprint(time.Now().Unix()-7)), "SIGN_PARAM_INVALID"},
		{"no time", header("X-Timestamp", ""), "SIGN_PARAM_INVALID"},
		{"media type", header("Content-Type", "text/plain"), "INVALID_PARAM"},
		{"old", aged(-time.Hour), "SIGN_PARAM_INVALID"},
		{"another's key", func(w *world) *http.Request {
			other := newWorld(w.t, func(c *sandbox.Config) { c.Keys = otherKeys(t) })
			return other.invoke(good(other))
		}, "SIGN_PARAM_INVALID"},
		{"another address", func(w *world) *http.Request {
			r := w.invoke(good(w))
			r.URL.RawQuery = "env=y"
			return r
		}, "SIGN_PARAM_INVALID"},
		{"body changed", func(w *world) *http.Request {
			r := w.invoke(good(w))
			b := new(bytes.Buffer)
			_, _ = b.ReadFrom(r.Body)
			return func() *http.Request {
				c := httptest.NewRequest("POST", adminURL, strings.NewReader(strings.Replace(b.String(), "T1", "T2", 1)))
				c.Header = r.Header
				return c
			}()
		}, "SIGN_PARAM_INVALID"},
		{"not JSON", func(w *world) *http.Request {
			return w.gatewayRequest("application/json", []byte("{"), nil, time.Now())
		}, "INVALID_PARAM"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			w := newWorld(t)
			w.order("T1")
			a := serve(w.sandbox.WeChat(), tt.request(w))
			if got, _ := a.field("code").(string); a.status != 200 || got != tt.code || a.field("requestId") == nil {
				t.Errorf("%d %s, want %s", a.status, a.body, tt.code)
			}
			if got := a.header.Get("Content-Type"); got != "application/json; charset=utf-8" {
				t.Errorf("Content-Type %q", got)
			}
			if made := w.call("GET", refundsPath+"/R1", "").status == 200; made != (tt.code == "") {
				t.Errorf("the refund exists: %v", made)
			}
		})
	}
}

func TestModule(t *testing.T) {
	w := newWorld(t)
	w.order("T1")
	_, out := w.module("wxpay_refund", moduleRefund)
	if out.field("code") != 0.0 || out.field("data", "status") != "PROCESSING" || out.field("data", "amount", "payer_refund") != 100.0 {
		t.Errorf("refund: %s", out.body)
	}
	_, again := w.module("wxpay_refund", moduleRefund)
	if !bytes.Equal(out.body, again.body) {
		t.Errorf("the same again: %s", again.body)
	}
	_, out = w.module("wxpay_refund_query", `{"params":{"out_refund_no":"R1"}}`)
	if out.field("code") != 0.0 || out.field("data", "out_refund_no") != "R1" {
		t.Errorf("query: %s", out.body)
	}
	_, out = w.module("wxpay_transfer", `{}`)
	if out.field("code") != -1.0 {
		t.Errorf("unknown method: %s", out.body)
	}
}

// TestModuleFailures gets one refusal in every shape.
func TestModuleFailures(t *testing.T) {
	const inner = `{"code":"RESOURCE_NOT_EXISTS","message":"订单不存在"}`
	quoted, err := json.Marshal(inner)
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]string{
		"errcode": `{"errcode":404,"errmsg":` + string(quoted) + `}`,
		"http":    `{"errcode":-1,"errmsg":` + strings.Replace(string(quoted), `"`, `"http请求失败, 错误信息: `, 1) + `}`,
		"code":    `{"code":404,"msg":` + string(quoted) + `}`,
		"passed":  inner,
		"inside":  `{"code":0,"data":` + inner + `}`,
	}
	for shape, want := range want {
		w := newWorld(t, func(c *sandbox.Config) { c.ModuleFailure = shape })
		if _, out := w.module("wxpay_refund", moduleRefund); string(out.body) != want {
			t.Errorf("%s: %s, want %s", shape, out.body, want)
		}
	}
	if _, err := sandbox.New(sandbox.Config{ModuleFailure: "x", Keys: testKeys()}); err == nil {
		t.Error("New took a shape that is none")
	}
	// By the seed, all of them come but the one that hides the code.
	w := newWorld(t)
	seen := map[string]bool{}
	for i := range 40 {
		data := fmt.Sprintf(`{"params":{"out_refund_no":"R%d"}}`, i)
		_, one := w.module("wxpay_refund_query", data)
		_, two := w.module("wxpay_refund_query", data)
		if !bytes.Equal(one.body, two.body) {
			t.Errorf("%s and then %s", one.body, two.body)
		}
		seen[string(one.body)] = true
	}
	if len(seen) != len(want)-1 {
		t.Errorf("%d shapes, want %d", len(seen), len(want)-1)
	}
}

func TestModuleForm(t *testing.T) {
	w := newWorld(t, func(c *sandbox.Config) { c.ModuleFailure = "passed" })
	w.order("T1")
	for _, data := range []string{
		`null`, `[]`, `{}`, set(t, moduleRefund, "/notify_url", "https://merchant.example/"), set(t, moduleRefund, "/sub_mchid", "1900000109"),
		set(t, moduleRefund, "/amount/refund", "100"), set(t, moduleRefund, "/out_refund_no", nil),
	} {
		if _, out := w.module("wxpay_refund", data); out.field("code") != "PARAM_ERROR" && out.field("code") != "FREQUENCY_LIMITED" {
			t.Errorf("%s: %s", data, out.body)
		}
	}
	for _, data := range []string{`{"out_refund_no":"R1"}`, `{"params":{}}`, `{"params":{"out_refund_no":"R#"}}`} {
		if _, out := w.module("wxpay_refund_query", data); out.field("code") != "PARAM_ERROR" {
			t.Errorf("%s: %s", data, out.body)
		}
	}
}

// TestGatewayFaults looks at faults behind the gateway. Where nothing is signed,
// faults of signatures wait for something that is.
func TestGatewayFaults(t *testing.T) {
	for _, tt := range []struct {
		fault  string
		status int
		code   string // the gateway's
		made   bool
	}{
		{"500_before", 500, "SYS_ERR", false}, {"500_after", 500, "SYS_ERR", true}, {"reset_after", 200, "", true},
		{"429_after", 200, "", true}, {"unsigned", 200, "", true}, {"bad_signature", 200, "", true},
	} {
		for _, system := range []string{"module", "cloudpay"} {
			w := newWorld(t, func(c *sandbox.Config) { c.ModuleFailure = "passed" })
			w.pay(`{"out_trade_no":"T1","total":10000}`)
			w.control("POST", "/_sandbox/faults", fmt.Sprintf(`{"upstream":%q,"count":1}`, tt.fault), 200)
			var a answer
			if system == "module" {
				a, _ = w.module("wxpay_refund", moduleRefund)
			} else {
				a = w.cloudPay("refund", payRefund)
			}
			code, _ := a.field("code").(string)
			if tt.fault == "reset_after" {
				if len(a.body) > 0 {
					t.Errorf("%s, %s: %s", system, tt.fault, a.body)
				}
			} else if a.status != tt.status || code != tt.code {
				t.Errorf("%s, %s: %d %s", system, tt.fault, a.status, a.body)
			}
			if tt.fault == "429_after" && !strings.Contains(string(a.body), "FREQUENCY_LIMITED") {
				t.Errorf("%s, %s: %s", system, tt.fault, a.body)
			}
			list := w.control("GET", "/_sandbox/refunds", "", 200)
			if made := strings.Contains(string(list.body), `"R1"`); made != tt.made {
				t.Errorf("%s, %s: made %v", system, tt.fault, made)
			}
		}
	}
	w := newWorld(t, func(c *sandbox.Config) { c.ModuleFailure = "passed" })
	w.order("T1")
	w.control("POST", "/_sandbox/faults", `{"err_code":"NOT_ENOUGH","count":1}`, 200)
	if _, out := w.module("wxpay_refund", moduleRefund); out.field("code") != "NOT_ENOUGH" {
		t.Errorf("NOT_ENOUGH: %s", out.body)
	}
}

const payRefund = `{"sub_mch_id":"1900000109","nonce_str":"n","out_trade_no":"T1","out_refund_no":"R1","total_fee":10000,"refund_fee":100}`

func TestCloudPayRefund(t *testing.T) {
	w := newWorld(t)
	w.order("T1")
	a := w.cloudPay("refund", set(t, payRefund, "/refund_account", "REFUND_SOURCE_RECHARGE_FUNDS"))
	for name, want := range map[string]any{
		"return_code": "SUCCESS", "result_code": "SUCCESS", "appid": "wx5a4db0c0ffee0001", "mch_id": "1900000001",
		"sub_appid": "wx5a4db0c0ffee0109", "sub_mch_id": "1900000109", "out_trade_no": "T1", "out_refund_no": "R1",
		"refund_fee": 100.0, "total_fee": 10000.0, "cash_fee": 10000.0, "cash_refund_fee": 100.0, "fee_type": "CNY",
		"coupon_refund_fee": 0.0, "coupon_refund_count": 0.0, "err_code": nil, "cash_fee_type": nil,
	} {
		if got := a.field(name); got != want {
			t.Errorf("%s = %v, want %v", name, got, want)
		}
	}
	if a.header.Get("Content-Type") == "application/json; charset=utf-8" {
		t.Error("a result that looks like the gateway's own words")
	}
	q := w.cloudPay("queryRefund", `{"sub_mch_id":"1900000109","nonce_str":"n","transaction_id":"","out_trade_no":"T1","offset":0}`)
	for name, want := range map[string]any{
		"refund_status_0": "PROCESSING", "refund_account_0": "REFUND_SOURCE_RECHARGE_FUNDS", "refund_count": 1.0, "total_refund_count": 1.0, "out_refund_no_0": "R1",
	} {
		if got := q.field(name); got != want {
			t.Errorf("%s = %v, want %v: %s", name, got, want, q.body)
		}
	}
	if a := w.cloudPay("unifiedOrder", "{}"); a.field("code") != "INVALID_PARAM" || a.header.Get("Content-Type") != "application/json; charset=utf-8" {
		t.Errorf("unknown API: %s", a.body)
	}
}

// TestCloudPayRules changes one thing of a request that is granted.
func TestCloudPayRules(t *testing.T) {
	long := func(n int) string { return strings.Repeat("x", n) }
	for _, tt := range []struct {
		field string
		value any
		code  string // nothing: granted; TYPE: not even understood
	}{
		{"/refund_desc", "x", ""},
		{"/refund_desc", "", ""},
		{"/function_name", "notify", ""},
		{"/env_id", "sandbox", ""},
		{"/tomorrow", 1, ""},
		{"/out_refund_no", long(64), ""},
		{"/refund_fee_type", "CNY", ""},
		{"/sub_mch_id", nil, "PARAM_ERROR"},
		{"/sub_mch_id", "1900000001", "PARAM_ERROR"},
		{"/sub_mch_id", "1900000110", "NOAUTH"},
		{"/nonce_str", nil, "PARAM_ERROR"},
		{"/nonce_str", long(33), "PARAM_ERROR"},
		{"/out_trade_no", nil, "PARAM_ERROR"},
		{"/out_trade_no", "T9", "ORDERNOTEXIST"},
		{"/transaction_id", "9", "INVALID_TRANSACTIONID"},
		{"/out_trade_no", "T|1", "PARAM_ERROR"},
		{"/out_refund_no", nil, "PARAM_ERROR"},
		{"/out_refund_no", "R|1", "PARAM_ERROR"},
		{"/out_refund_no", long(65), "PARAM_ERROR"},
		{"/refund_account", "AVAILABLE", "PARAM_ERROR"},
		{"/refund_fee_type", "USD", "INVALID_REQUEST"},
		{"/refund_fee", 0, "PARAM_ERROR"},
		{"/refund_fee", 10001, "INVALID_REQUEST"},
		{"/total_fee", 9999, "INVALID_REQUEST"},
		{"/total_fee", "10000", "TYPE"},
		{"/refund_fee", 1.5, "TYPE"},
		{"/out_refund_no", 1, "TYPE"},
		{"/sub_mch_id", 1900000109, "TYPE"},
	} {
		w := newWorld(t)
		w.order("T1")
		a := w.cloudPay("refund", set(t, payRefund, tt.field, tt.value))
		code, _ := a.field("err_code").(string)
		if a.field("return_code") == "FAIL" && a.field("return_msg") == "参数格式校验错误" && a.field("result_code") == nil {
			code = "TYPE"
		}
		if code != tt.code || a.field("sub_mch_id") == nil && code != "TYPE" {
			t.Errorf("%s = %.20v: %s, want %s", tt.field, tt.value, a.body, tt.code)
		}
	}
}

// TestCloudPayCodes gets every code of the two documents by a fault.
func TestCloudPayCodes(t *testing.T) {
	for on, codes := range codesV2 {
		for _, code := range codes {
			w := newWorld(t)
			w.order("T1")
			w.control("POST", "/_sandbox/faults", fmt.Sprintf(`{"err_code":%q,"on":%q,"count":1}`, code, on), 200)
			a := w.cloudPay("refund", payRefund)
			if on == "query" {
				a = w.cloudPay("queryRefund", `{"sub_mch_id":"1900000109","nonce_str":"n","out_refund_no":"R1"}`)
			}
			if a.field("return_code") != "SUCCESS" || a.field("result_code") != "FAIL" || a.field("err_code") != code {
				t.Errorf("%s of %s: %s", code, on, a.body)
			}
		}
	}
}

// TestCloudPayCoupons finds both ways in which coupons are told.
func TestCloudPayCoupons(t *testing.T) {
	w := newWorld(t)
	w.pay(`{"out_trade_no":"T1","total":10000,"promotion_detail":[{"promotion_id":"10","scope":"GLOBAL","type":"CASH","amount":1000},{"promotion_id":"11","scope":"GLOBAL","type":"NOCASH","amount":1000}]}`)
	lists, plain := 0, 0
	for i := range 20 {
		a := w.cloudPay("refund", set(t, set(t, payRefund, "/refund_fee", 200), "/out_refund_no", fmt.Sprint("R", i)))
		switch {
		case fmt.Sprint(a.field("coupon_type_list"), a.field("coupon_refund_id_list"), a.field("coupon_refund_fee_list")) == "[CASH NO_CASH] [10 11] [20 20]":
			lists++
		case a.field("coupon_type_0") == "CASH" && a.field("coupon_type_1") == "NO_CASH" && a.field("coupon_refund_fee_1") == 20.0 && a.field("coupon_type_list") == nil:
			plain++
		default:
			t.Errorf("coupons: %s", a.body)
		}
	}
	if lists == 0 || plain == 0 {
		t.Errorf("%d as lists, %d by number", lists, plain)
	}
}

// TestChannels wants settings of all five channels, and no other.
func TestChannels(t *testing.T) {
	w := newWorld(t)
	want := map[string][]string{
		"apiv3":     {"WXPAY_APIV3_KEY", "WXPAY_SERIAL_NO"},
		"cloudbase": {"TCB_API_URL", "TCB_ENV", "TENCENTCLOUD_SECRETID", "TENCENTCLOUD_SECRETKEY", "WXPAY_MCHID"},
		"cloudpay":  {"CLOUDPAY_CALLBACK_FUNCTION", "TCB_API_URL", "WXPAY_APPID", "WXPAY_SUB_MCHID"},
		"global":    {"WXPAY_API_KEY", "WXPAY_BASE_URL", "WXPAY_CA_CERT", "WXPAY_CLIENT_CERT", "WXPAY_CLIENT_KEY", "WXPAY_SIGN_TYPE"},
		"wecom":     {"WECOM_CORPID", "WECOM_CORPSECRET", "WXPAY_BASE_URL"},
	}
	for channel, names := range want {
		settings := w.settingsOf(channel)
		for _, name := range names {
			if settings[name] == "" {
				t.Errorf("%s: %s is missing", channel, name)
			}
		}
		if settings["WXPAY_CHANNEL"] != channel {
			t.Errorf("%s: WXPAY_CHANNEL %q", channel, settings["WXPAY_CHANNEL"])
		}
	}
	if got := w.settingsOf("cloudbase")["TCB_API_URL"]; got != "http://127.0.0.1:8701/admin" {
		t.Errorf("TCB_API_URL %s", got)
	}
	if got := w.settingsOf("global")["WXPAY_BASE_URL"]; got != "https://127.0.0.1:8702" {
		t.Errorf("WXPAY_BASE_URL %s", got)
	}
}
