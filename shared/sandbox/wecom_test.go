package sandbox_test

import (
	"encoding/json"
	"fmt"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const (
	tokenPath  = "/cgi-bin/gettoken"
	wecomPath  = "/cgi-bin/miniapppay/refund"
	detailPath = "/cgi-bin/miniapppay/get_refund_detail"

	wecomRefund = `{"mchid":"1900000001","appid":"wx5a4db0c0ffee0001","out_trade_no":"T00001","out_refund_no":"R_1-|*@","reason":"商品已售完",
		"funds_account":"AVAILABLE","amount":{"refund":888,"total":10000,"currency":"CNY"}}`
	wecomQuery = `{"mchid":"1900000001","out_refund_no":"R_1-|*@"}`
)

// token gets WeCom's, with credentials as they are or changed.
func (w *world) token(change url.Values) answer {
	w.t.Helper()
	settings := w.settingsOf("wecom")
	query := url.Values{"corpid": {settings["WECOM_CORPID"]}, "corpsecret": {settings["WECOM_CORPSECRET"]}}
	for name, value := range change {
		query[name] = value
	}
	return serve(w.sandbox.WeChat(), httptest.NewRequest("GET", tokenPath+"?"+query.Encode(), nil))
}

// wecom makes a call with the present token.
func (w *world) wecom(path, body string) answer {
	w.t.Helper()
	return w.wecomAs(fmt.Sprint(w.token(nil).field("access_token")), path, body)
}

func (w *world) wecomAs(token, path, body string) answer {
	return serve(w.sandbox.WeChat(), httptest.NewRequest("POST", path+"?access_token="+url.QueryEscape(token), strings.NewReader(body)))
}

func TestWeComRefund(t *testing.T) {
	w := newWorld(t)
	w.order("T00001")
	a := w.wecom(wecomPath, wecomRefund)
	var got map[string]any
	a.decode(t, &got)
	want := map[string]any{
		"out_refund_no": "R_1-|*@", "errcode": 0.0, "errmsg": "ok",
		"amount": map[string]any{"refund": 888.0, "payer_refund": 888.0, "discount_refund": 0.0, "currency": "CNY"},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("refund (-want +got):\n%s", diff)
	}
	w.control("POST", "/_sandbox/refunds/R_1-%7C*@/settle", `{"status":"SUCCESS"}`, 200)
	if n := len(w.deliveries()); n != 0 {
		t.Errorf("%d notifications about a refund of WeCom's", n)
	}
	a = w.wecom(detailPath, wecomQuery)
	for name, want := range map[string]any{"errcode": 0.0, "status": "SUCCESS", "out_trade_no": "T00001", "channel": "ORIGINAL"} {
		if got := a.field(name); got != want {
			t.Errorf("%s = %v, want %v", name, got, want)
		}
	}
	for _, name := range []string{"refund_id", "transaction_id", "success_time", "create_time", "user_received_account"} {
		if s, _ := a.field(name).(string); s == "" {
			t.Errorf("%s is missing: %s", name, a.body)
		}
	}
	if a.field("amount", "payer_total") != 10000.0 || a.field("amount", "settlement_refund") != 888.0 {
		t.Errorf("amount: %s", a.body)
	}
}

// TestWeComCoupons tells of coupons only when they take something back.
func TestWeComCoupons(t *testing.T) {
	w := newWorld(t)
	w.pay(`{"out_trade_no":"T00001","total":10000,"promotion_detail":[{"promotion_id":"1","scope":"GLOBAL","type":"COUPON","amount":1000}]}`)
	a := w.wecom(wecomPath, wecomRefund)
	if a.field("amount", "discount_refund") != 89.0 || a.field("amount", "payer_refund") != 799.0 || !strings.Contains(string(a.body), `"refund_amount":89`) {
		t.Errorf("%s", a.body)
	}
}

// TestWeComRules changes one thing of a request that is granted.
func TestWeComRules(t *testing.T) {
	for _, tt := range []struct {
		field  string
		value  any
		before func(*world)
		code   float64
	}{
		{"/reason", "x", nil, 0},
		{"/reason", nil, nil, 0},
		{"/funds_account", nil, nil, 0},
		{"/tomorrow", 1, nil, 0},
		{"/out_refund_no", strings.Repeat("x", 64), nil, 0},
		{"/mchid", nil, nil, 40058},
		{"/mchid", "1900000002", nil, 720510},
		{"/appid", nil, nil, 40058},
		{"/appid", "wx1", nil, 720511},
		{"/out_trade_no", "T0001", nil, 40058},
		{"/out_trade_no", strings.Repeat("x", 33), nil, 40058},
		{"/out_trade_no", "T99999", nil, 720501},
		{"/out_refund_no", nil, nil, 40058},
		{"/out_refund_no", strings.Repeat("x", 65), nil, 40058},
		{"/out_refund_no", "R#1", nil, 40058},
		{"/reason", strings.Repeat("x", 81), nil, 40058},
		{"/funds_account", "BASIC", nil, 40058},
		{"/amount", nil, nil, 40058},
		{"/amount/refund", "888", nil, 40058},
		{"/amount/refund", 0, nil, 40058},
		{"/amount/refund", 10001, nil, 720504},
		{"/amount/total", 9999, nil, 720502},
		{"/amount/currency", "USD", nil, 40058},
		{"/reason", "x", func(w *world) { w.advance("8760h1s") }, 720505},
		{"/reason", "x", func(w *world) { w.refund("T00001", "R0", 10000) }, 720503},
		{"/reason", "x", func(w *world) { w.refund("T00001", "R0", 1) }, 45009},
		{"/reason", "x", func(w *world) { w.refund("T00001", "R0", 1); w.advance("59s") }, 45009},
		{"/reason", "x", func(w *world) { w.refund("T00001", "R0", 1); w.advance("1m") }, 0},
		{"/reason", "x", func(w *world) { w.wecom(wecomPath, wecomRefund) }, 720502},
		{"/reason", "商品已售完", func(w *world) { w.wecom(wecomPath, wecomRefund) }, 0},
	} {
		w := newWorld(t)
		w.order("T00001")
		if tt.before != nil {
			tt.before(w)
		}
		a := w.wecom(wecomPath, set(t, wecomRefund, tt.field, tt.value))
		if a.status != 200 || a.field("errcode") != tt.code {
			t.Errorf("%s = %.20v: %d %s, want %v", tt.field, tt.value, a.status, a.body, tt.code)
		}
		if tt.code != 0 && !strings.Contains(string(a.body), fmt.Sprintf("devtool/query?e=%v", tt.code)) {
			t.Errorf("%s = %.20v: %s", tt.field, tt.value, a.body)
		}
	}
	w := newWorld(t)
	for body, code := range map[string]float64{"{": 47001, "[]": 47001, `{"mchid":"1900000001","out_refund_no":"R1"}`: 720509, `{"mchid":"1","out_refund_no":"R1"}`: 720510, "{}": 40058} {
		if a := w.wecom(detailPath, body); a.field("errcode") != code {
			t.Errorf("query %s: %s, want %v", body, a.body, code)
		}
	}
	if a := serve(w.sandbox.WeChat(), httptest.NewRequest("GET", wecomPath, nil)); a.field("errcode") != 43002.0 {
		t.Errorf("GET: %s", a.body)
	}
}

func TestWeComToken(t *testing.T) {
	w := newWorld(t)
	for code, change := range map[float64]url.Values{
		40013: {"corpid": {"ww0"}}, 40001: {"corpsecret": {"x"}}, 41002: {"corpid": {""}}, 41004: {"corpsecret": {""}},
	} {
		if a := w.token(change); a.status != 200 || a.field("errcode") != code {
			t.Errorf("%v: %d %s, want %v", change, a.status, a.body, code)
		}
	}
	first := w.token(nil)
	if s, _ := first.field("access_token").(string); len(s) < 32 || first.field("expires_in") != 7200.0 || first.field("errcode") != 0.0 {
		t.Errorf("token: %s", first.body)
	}
	w.advance("1h59m59s")
	old := fmt.Sprint(first.field("access_token"))
	if a := w.token(nil); a.field("access_token") != old {
		t.Errorf("another token while the first is valid: %s", a.body)
	}
	for token, code := range map[string]float64{"": 41001, "x": 40014, old: 720509} {
		if a := w.wecomAs(token, detailPath, wecomQuery); a.field("errcode") != code {
			t.Errorf("token %.6q: %s, want %v", token, a.body, code)
		}
	}
	w.advance("2s")
	if a := w.wecomAs(old, detailPath, wecomQuery); a.field("errcode") != 42001.0 {
		t.Errorf("token two hours old: %s", a.body)
	}
	if a := w.token(nil); a.field("access_token") == old {
		t.Errorf("the old token again: %s", a.body)
	}
	if a := w.wecomAs(old, detailPath, wecomQuery); a.field("errcode") != 42001.0 {
		t.Errorf("old token beside a new one: %s", a.body)
	}
}

func TestWeComFaults(t *testing.T) {
	for fault, want := range map[string]struct {
		status int
		code   float64
	}{
		`{"upstream":"500_after","count":1}`: {500, -1}, `{"upstream":"429_after","count":1}`: {200, 45009},
		`{"upstream":"unsigned","count":1}`: {200, 0}, `{"err_code":"NOT_ENOUGH","count":1}`: {200, 720507},
		`{"err_code":"60020","count":1}`: {200, 60020}, `{"err_code":"-1","count":1}`: {200, -1},
		`{"err_code":"NOTENOUGH","count":1}`: {200, 0}, // another system's
	} {
		w := newWorld(t)
		w.order("T00001")
		w.control("POST", "/_sandbox/faults", fault, 200)
		if a := w.wecom(wecomPath, wecomRefund); a.status != want.status || a.field("errcode") != want.code || a.field("errmsg") == "" {
			t.Errorf("%s: %d %s, want %+v", fault, a.status, a.body, want)
		}
	}
	var known struct {
		Known struct {
			ErrCode []string `json:"err_code"`
		} `json:"known"`
	}
	if err := json.Unmarshal(newWorld(t).control("GET", "/_sandbox/faults", "", 200).body, &known); err != nil || len(known.Known.ErrCode) < 40 {
		t.Errorf("known codes: %v, %v", known, err)
	}
}
