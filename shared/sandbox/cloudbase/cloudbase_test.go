package cloudbase_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"strings"
	"testing"
	"time"

	"wxrefund/shared/cloudbase"
	"wxrefund/shared/sandbox"
	"wxrefund/shared/sandbox/sandboxtest"
)

// One thing of a call that is let through is changed.
func TestOnlySignedCallsPassTheGateway(t *testing.T) {
	good := func(w *sandboxtest.World) map[string]any {
		return map[string]any{"function_name": "cloudbase_module", "request_data": `{"name":"wxpay_refund","data":` + sandboxtest.ModuleRefund + `}`}
	}
	call := func(change map[string]any) func(*sandboxtest.World) *http.Request {
		return func(w *sandboxtest.World) *http.Request {
			params := good(w)
			maps.Copy(params, change)
			return w.Invoke(params)
		}
	}
	header := func(name, value string) func(*sandboxtest.World) *http.Request {
		return func(w *sandboxtest.World) *http.Request {
			r := w.Invoke(good(w))
			r.Header.Set(name, value)
			return r
		}
	}
	aged := func(by time.Duration) func(*sandboxtest.World) *http.Request {
		return func(w *sandboxtest.World) *http.Request {
			body := `{"action":"functions.invokeFunction"}`
			return w.GatewayRequest("application/json", []byte(body),
				[]cloudbase.Param{{Name: "action", Value: []byte("functions.invokeFunction")}}, time.Now().Add(by))
		}
	}
	tests := []struct {
		name    string
		request func(*sandboxtest.World) *http.Request
		code    string // nothing: let through
	}{
		{"nothing", call(nil), ""},
		{"another parameter", call(map[string]any{"qualifier": "$LATEST", "n": 1}), ""},
		{"no function", call(map[string]any{"function_name": "nobody"}), "FUNCTION_NOT_FOUND"},
		{"environment", call(map[string]any{"envName": "other"}), "INVALID_ENV"},
		{"action", call(map[string]any{"action": "functions.deleteFunction"}), "INVALID_PARAM"},
		{"request_data", call(map[string]any{"request_data": "{"}), "INVALID_PARAM"},
		{"no Authorization", header("Authorization", ""), "SIGN_PARAM_INVALID"},
		{"another key", header("Authorization", "Bearer x"), "INVALID_ACCESS_TOKEN"},
		{"no key behind Bearer", header("Authorization", "Bearer "), "INVALID_ACCESS_TOKEN"},
		{"the environment's key", func(w *sandboxtest.World) *http.Request {
			return header("Authorization", "Bearer "+sandboxtest.Keys().CloudBaseKey.Reveal())(w)
		}, ""},
		{"signed header changed", header("User-Agent", "other"), "SIGN_PARAM_INVALID"},
		{"time changed", header("X-Timestamp", fmt.Sprint(time.Now().Unix()-7)), "SIGN_PARAM_INVALID"},
		{"no time", header("X-Timestamp", ""), "SIGN_PARAM_INVALID"},
		{"media type", header("Content-Type", "text/plain"), "INVALID_PARAM"},
		{"old", aged(-time.Hour), "SIGN_PARAM_INVALID"},
		{"another's key", func(w *sandboxtest.World) *http.Request {
			other := sandboxtest.New(w.T, func(c *sandbox.Config) { c.Keys = sandboxtest.OtherKeys(t) })
			return other.Invoke(good(other))
		}, "SIGN_PARAM_INVALID"},
		{"another address", func(w *sandboxtest.World) *http.Request {
			r := w.Invoke(good(w))
			r.URL.RawQuery = "env=y"
			return r
		}, "SIGN_PARAM_INVALID"},
		{"body changed", func(w *sandboxtest.World) *http.Request {
			r, other := w.Invoke(good(w)), good(w)
			other["request_data"] = "{}"
			r.Body = w.Invoke(other).Body
			return r
		}, "SIGN_PARAM_INVALID"},
		{"not JSON", func(w *sandboxtest.World) *http.Request {
			return w.GatewayRequest("application/json", []byte("{"), nil, time.Now())
		}, "INVALID_PARAM"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			w := sandboxtest.New(t)
			w.Order("T1")
			a := sandboxtest.Serve(w.Sandbox.WeChat(), tt.request(w))
			if got, _ := a.Field("code").(string); a.Status != 200 || got != tt.code || a.Field("requestId") == nil {
				t.Errorf("%d %s, want %s", a.Status, a.Body, tt.code)
			}
			if got := a.Header.Get("Content-Type"); got != "application/json; charset=utf-8" {
				t.Errorf("Content-Type %q", got)
			}
			if made := w.Call("GET", sandboxtest.RefundsPath+"/R1", "").Status == 200; made != (tt.code == "") {
				t.Errorf("the refund exists: %v", made)
			}
		})
	}
}

func TestTheModuleRefundsRepeatsAndFinds(t *testing.T) {
	w := sandboxtest.New(t)
	w.Order("T1")
	_, out := w.Module("wxpay_refund", sandboxtest.ModuleRefund)
	if out.Field("code") != 0.0 || out.Field("data", "status") != "PROCESSING" || out.Field("data", "amount", "payer_refund") != 100.0 {
		t.Errorf("refund: %s", out.Body)
	}
	_, again := w.Module("wxpay_refund", sandboxtest.ModuleRefund)
	if !bytes.Equal(out.Body, again.Body) {
		t.Errorf("the same again: %s", again.Body)
	}
	_, out = w.Module("wxpay_refund_query", `{"params":{"out_refund_no":"R1"}}`)
	if out.Field("code") != 0.0 || out.Field("data", "out_refund_no") != "R1" {
		t.Errorf("query: %s", out.Body)
	}
	_, out = w.Module("wxpay_transfer", `{}`)
	if out.Field("code") != -1.0 {
		t.Errorf("unknown method: %s", out.Body)
	}
}

func TestOneRefusalInEveryReportedShape(t *testing.T) {
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
		w := sandboxtest.New(t, func(c *sandbox.Config) { c.ModuleFailure = shape })
		if _, out := w.Module("wxpay_refund", sandboxtest.ModuleRefund); string(out.Body) != want {
			t.Errorf("%s: %s, want %s", shape, out.Body, want)
		}
	}
	if _, err := sandbox.New(sandbox.Config{ModuleFailure: "x", Keys: sandboxtest.Keys()}); err == nil {
		t.Error("New took a shape that is none")
	}
	// By the seed, all of them come but the one that hides the code.
	w := sandboxtest.New(t)
	seen := map[string]bool{}
	for i := range 40 {
		data := fmt.Sprintf(`{"params":{"out_refund_no":"R%d"}}`, i)
		_, one := w.Module("wxpay_refund_query", data)
		_, two := w.Module("wxpay_refund_query", data)
		if !bytes.Equal(one.Body, two.Body) {
			t.Errorf("%s and then %s", one.Body, two.Body)
		}
		seen[string(one.Body)] = true
	}
	if len(seen) != len(want)-1 {
		t.Errorf("%d shapes, want %d", len(seen), len(want)-1)
	}
}

func TestTheModuleRefusesWhatItFillsInItself(t *testing.T) {
	w := sandboxtest.New(t, func(c *sandbox.Config) { c.ModuleFailure = "passed" })
	w.Order("T1")
	for _, data := range []string{
		`null`, `[]`, `{}`, sandboxtest.Set(t, sandboxtest.ModuleRefund, "/notify_url", "https://merchant.example/"), sandboxtest.Set(t, sandboxtest.ModuleRefund, "/sub_mchid", "1900000109"),
		sandboxtest.Set(t, sandboxtest.ModuleRefund, "/amount/refund", "100"), sandboxtest.Set(t, sandboxtest.ModuleRefund, "/out_refund_no", nil),
	} {
		if _, out := w.Module("wxpay_refund", data); out.Field("code") != "PARAM_ERROR" && out.Field("code") != "FREQUENCY_LIMITED" {
			t.Errorf("%s: %s", data, out.Body)
		}
	}
	for _, data := range []string{`{"out_refund_no":"R1"}`, `{"params":{}}`, `{"params":{"out_refund_no":"R#"}}`} {
		if _, out := w.Module("wxpay_refund_query", data); out.Field("code") != "PARAM_ERROR" {
			t.Errorf("%s: %s", data, out.Body)
		}
	}
}

// TestEachFaultBehindTheGateway looks at faults behind the gateway. Where nothing is signed,
// faults of signatures wait for something that is.
func TestEachFaultBehindTheGateway(t *testing.T) {
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
			w := sandboxtest.New(t, func(c *sandbox.Config) { c.ModuleFailure = "passed" })
			w.Pay(`{"out_trade_no":"T1","total":10000}`)
			w.Control("POST", "/_sandbox/faults", fmt.Sprintf(`{"upstream":%q,"count":1}`, tt.fault), 200)
			var a sandboxtest.Answer
			if system == "module" {
				a, _ = w.Module("wxpay_refund", sandboxtest.ModuleRefund)
			} else {
				a = w.CloudPay("refund", sandboxtest.PayRefund)
			}
			code, _ := a.Field("code").(string)
			if tt.fault == "reset_after" {
				if len(a.Body) > 0 {
					t.Errorf("%s, %s: %s", system, tt.fault, a.Body)
				}
			} else if a.Status != tt.status || code != tt.code {
				t.Errorf("%s, %s: %d %s", system, tt.fault, a.Status, a.Body)
			}
			if tt.fault == "429_after" && !strings.Contains(string(a.Body), "FREQUENCY_LIMITED") {
				t.Errorf("%s, %s: %s", system, tt.fault, a.Body)
			}
			list := w.Control("GET", "/_sandbox/refunds", "", 200)
			if made := strings.Contains(string(list.Body), `"R1"`); made != tt.made {
				t.Errorf("%s, %s: made %v", system, tt.fault, made)
			}
		}
	}
	w := sandboxtest.New(t, func(c *sandbox.Config) { c.ModuleFailure = "passed" })
	w.Order("T1")
	w.Control("POST", "/_sandbox/faults", `{"err_code":"NOT_ENOUGH","count":1}`, 200)
	if _, out := w.Module("wxpay_refund", sandboxtest.ModuleRefund); out.Field("code") != "NOT_ENOUGH" {
		t.Errorf("NOT_ENOUGH: %s", out.Body)
	}
}
