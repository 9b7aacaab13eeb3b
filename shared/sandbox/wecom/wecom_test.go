package wecom_test

import (
	"encoding/json"
	"fmt"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"wxrefund/shared/sandbox"
	"wxrefund/shared/sandbox/sandboxtest"

	"github.com/google/go-cmp/cmp"
)

func TestARefundIsAcceptedAndFound(t *testing.T) {
	w := sandboxtest.New(t)
	w.Order("T00001")
	a := w.WeCom(sandboxtest.WeComPath, sandboxtest.WeComRefund)
	var got map[string]any
	a.Decode(t, &got)
	want := map[string]any{
		"out_refund_no": "R_1-|*@", "errcode": 0.0, "errmsg": "ok",
		"amount": map[string]any{"refund": 888.0, "payer_refund": 888.0, "discount_refund": 0.0, "currency": "CNY"},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("refund (-want +got):\n%s", diff)
	}
	w.Control("POST", "/_sandbox/refunds/R_1-%7C*@/settle", `{"status":"SUCCESS"}`, 200)
	if n := len(w.Deliveries()); n != 0 {
		t.Errorf("%d notifications about a refund of WeCom's", n)
	}
	a = w.WeCom(sandboxtest.DetailPath, sandboxtest.WeComQuery)
	for name, want := range map[string]any{"errcode": 0.0, "status": "SUCCESS", "out_trade_no": "T00001", "channel": "ORIGINAL"} {
		if got := a.Field(name); got != want {
			t.Errorf("%s = %v, want %v", name, got, want)
		}
	}
	for _, name := range []string{"refund_id", "transaction_id", "success_time", "create_time", "user_received_account"} {
		if s, _ := a.Field(name).(string); s == "" {
			t.Errorf("%s is missing: %s", name, a.Body)
		}
	}
	if a.Field("amount", "payer_total") != 10000.0 || a.Field("amount", "settlement_refund") != 888.0 {
		t.Errorf("amount: %s", a.Body)
	}
}

func TestCouponsAreToldWhenTheyTakeSomethingBack(t *testing.T) {
	w := sandboxtest.New(t)
	w.Pay(`{"out_trade_no":"T00001","total":10000,"promotion_detail":[{"promotion_id":"1","scope":"GLOBAL","type":"COUPON","amount":1000}]}`)
	a := w.WeCom(sandboxtest.WeComPath, sandboxtest.WeComRefund)
	if a.Field("amount", "discount_refund") != 89.0 || a.Field("amount", "payer_refund") != 799.0 || !strings.Contains(string(a.Body), `"refund_amount":89`) {
		t.Errorf("%s", a.Body)
	}
}

// One thing of a request that is granted is changed.
func TestEachRuleRefusesByItsNumber(t *testing.T) {
	for _, tt := range []struct {
		field  string
		value  any
		before func(*sandboxtest.World)
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
		{"/reason", "x", func(w *sandboxtest.World) { w.Advance("8760h1s") }, 720505},
		{"/reason", "x", func(w *sandboxtest.World) { w.Refund("T00001", "R0", 10000) }, 720503},
		{"/reason", "x", func(w *sandboxtest.World) { w.Refund("T00001", "R0", 1) }, 45009},
		{"/reason", "x", func(w *sandboxtest.World) { w.Refund("T00001", "R0", 1); w.Advance("59s") }, 45009},
		{"/reason", "x", func(w *sandboxtest.World) { w.Refund("T00001", "R0", 1); w.Advance("1m") }, 0},
		{"/reason", "x", func(w *sandboxtest.World) { w.WeCom(sandboxtest.WeComPath, sandboxtest.WeComRefund) }, 720502},
		{"/reason", "商品已售完", func(w *sandboxtest.World) { w.WeCom(sandboxtest.WeComPath, sandboxtest.WeComRefund) }, 0},
	} {
		w := sandboxtest.New(t, func(c *sandbox.Config) { c.Pace = time.Minute })
		w.Order("T00001")
		if tt.before != nil {
			tt.before(w)
		}
		a := w.WeCom(sandboxtest.WeComPath, sandboxtest.Set(t, sandboxtest.WeComRefund, tt.field, tt.value))
		if a.Status != 200 || a.Field("errcode") != tt.code {
			t.Errorf("%s = %.20v: %d %s, want %v", tt.field, tt.value, a.Status, a.Body, tt.code)
		}
		if tt.code != 0 && !strings.Contains(string(a.Body), fmt.Sprintf("devtool/query?e=%v", tt.code)) {
			t.Errorf("%s = %.20v: %s", tt.field, tt.value, a.Body)
		}
	}
	w := sandboxtest.New(t)
	for body, code := range map[string]float64{"{": 47001, "[]": 47001, `{"mchid":"1900000001","out_refund_no":"R1"}`: 720509, `{"mchid":"1","out_refund_no":"R1"}`: 720510, "{}": 40058} {
		if a := w.WeCom(sandboxtest.DetailPath, body); a.Field("errcode") != code {
			t.Errorf("query %s: %s, want %v", body, a.Body, code)
		}
	}
	if a := sandboxtest.Serve(w.Sandbox.WeChat(), httptest.NewRequest("GET", sandboxtest.WeComPath, nil)); a.Field("errcode") != 43002.0 {
		t.Errorf("GET: %s", a.Body)
	}
}

func TestATokenServesUntilItExpires(t *testing.T) {
	w := sandboxtest.New(t)
	for code, change := range map[float64]url.Values{
		40013: {"corpid": {"ww0"}}, 40001: {"corpsecret": {"x"}}, 41002: {"corpid": {""}}, 41004: {"corpsecret": {""}},
	} {
		if a := w.Token(change); a.Status != 200 || a.Field("errcode") != code {
			t.Errorf("%v: %d %s, want %v", change, a.Status, a.Body, code)
		}
	}
	first := w.Token(nil)
	if s, _ := first.Field("access_token").(string); len(s) < 32 || first.Field("expires_in") != 7200.0 || first.Field("errcode") != 0.0 {
		t.Errorf("token: %s", first.Body)
	}
	w.Advance("1h59m59s")
	old := fmt.Sprint(first.Field("access_token"))
	if a := w.Token(nil); a.Field("access_token") != old {
		t.Errorf("another token while the first is valid: %s", a.Body)
	}
	for token, code := range map[string]float64{"": 41001, "x": 40014, old: 720509} {
		if a := w.WeComAs(token, sandboxtest.DetailPath, sandboxtest.WeComQuery); a.Field("errcode") != code {
			t.Errorf("token %.6q: %s, want %v", token, a.Body, code)
		}
	}
	w.Advance("2s")
	if a := w.WeComAs(old, sandboxtest.DetailPath, sandboxtest.WeComQuery); a.Field("errcode") != 42001.0 {
		t.Errorf("token two hours old: %s", a.Body)
	}
	if a := w.Token(nil); a.Field("access_token") == old {
		t.Errorf("the old token again: %s", a.Body)
	}
	if a := w.WeComAs(old, sandboxtest.DetailPath, sandboxtest.WeComQuery); a.Field("errcode") != 42001.0 {
		t.Errorf("old token beside a new one: %s", a.Body)
	}
}

func TestEachFaultAsAClientOfWeComMeetsIt(t *testing.T) {
	for fault, want := range map[string]struct {
		status int
		code   float64
	}{
		`{"upstream":"500_after","count":1}`: {500, -1}, `{"upstream":"429_after","count":1}`: {200, 45009},
		`{"upstream":"unsigned","count":1}`: {200, 0}, `{"err_code":"NOT_ENOUGH","count":1}`: {200, 720507},
		`{"err_code":"60020","count":1}`: {200, 60020}, `{"err_code":"-1","count":1}`: {200, -1},
		`{"err_code":"NOTENOUGH","count":1}`: {200, 0}, // another system's
	} {
		w := sandboxtest.New(t)
		w.Order("T00001")
		w.Control("POST", "/_sandbox/faults", fault, 200)
		if a := w.WeCom(sandboxtest.WeComPath, sandboxtest.WeComRefund); a.Status != want.status || a.Field("errcode") != want.code || a.Field("errmsg") == "" {
			t.Errorf("%s: %d %s, want %+v", fault, a.Status, a.Body, want)
		}
	}
	var known struct {
		Known struct {
			ErrCode []string `json:"err_code"`
		} `json:"known"`
	}
	if err := json.Unmarshal(sandboxtest.New(t).Control("GET", "/_sandbox/faults", "", 200).Body, &known); err != nil || len(known.Known.ErrCode) < 40 {
		t.Errorf("known codes: %v, %v", known, err)
	}
}
