//go:build heavy

package cloudbase_test

import (
	"bytes"
	"encoding/json"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"wxrefund/shared/needs"
	"wxrefund/shared/sandbox"
	"wxrefund/shared/sandbox/sandboxtest"
)

// TestMain ends with the line that lists what did not run.
func TestMain(m *testing.M) { os.Exit(needs.Main(m)) }

// cloudBase installs CloudBase's own library and returns what calls with it.
func cloudBase(t *testing.T, w *sandboxtest.World) func(calls ...any) []map[string]any {
	t.Helper()
	needs.Program(t, "node")
	needs.Program(t, "npm")
	dir := filepath.Join(os.TempDir(), "wxrefund-sandbox-clients-4.0.2")
	if _, err := os.Stat(filepath.Join(dir, "node_modules", "wx-server-sdk", "index.js")); err != nil {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			t.Fatal(err)
		}
		for _, name := range []string{"package.json", "package-lock.json"} {
			copyFile(t, filepath.Join("testdata", name), filepath.Join(dir, name))
		}
		install := exec.CommandContext(t.Context(), "npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund")
		install.Dir = dir
		if out, err := install.CombinedOutput(); err != nil {
			needs.Skip(t, "wx-server-sdk from npm: "+string(out))
		}
	}
	copyFile(t, filepath.Join("testdata", "call.js"), filepath.Join(dir, "call.js"))

	server := httptest.NewServer(w.Sandbox.WeChat())
	t.Cleanup(server.Close)
	w.Sandbox.SetURLs(sandbox.URLs{WeChat: server.URL})
	settings, err := w.Sandbox.Settings("cloudpay")
	if err != nil {
		t.Fatal(err)
	}
	url, err := json.Marshal(map[string]string{"URL": settings["TCB_API_URL"]})
	if err != nil {
		t.Fatal(err)
	}
	return func(calls ...any) []map[string]any {
		t.Helper()
		argument, err := json.Marshal(calls)
		if err != nil {
			t.Fatal(err)
		}
		node := exec.CommandContext(t.Context(), "node", "call.js", string(argument))
		node.Dir = dir
		node.Env = append(os.Environ(), "TCB_CONTEXT_CNFG="+string(url), "WX_CONTEXT_KEYS=", "NO_PROXY=*")
		for _, name := range []string{"TCB_ENV", "TENCENTCLOUD_SECRETID", "TENCENTCLOUD_SECRETKEY"} {
			node.Env = append(node.Env, name+"="+settings[name])
		}
		out, err := node.Output()
		if err != nil {
			t.Fatalf("node: %v %s", err, out)
		}
		var lines []map[string]any
		for line := range bytes.Lines(out) {
			var v map[string]any
			if err := json.Unmarshal(line, &v); err != nil {
				t.Fatalf("%s: %v", line, err)
			}
			lines = append(lines, v)
		}
		if len(lines) != len(calls) {
			t.Fatalf("%d answers to %d calls: %s", len(lines), len(calls), out)
		}
		return lines
	}
}

func copyFile(t *testing.T, from, to string) {
	t.Helper()
	b, err := os.ReadFile(from)
	if err == nil {
		err = os.WriteFile(to, b, 0o644)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// dig reads what is at a path.
func dig(v any, path ...string) any {
	for _, name := range path {
		m, _ := v.(map[string]any)
		v = m[name]
	}
	return v
}

// TestCloudBasesLibraryRefundsBothWays refunds with CloudBase's own library, by the template's
// module and by CloudPay.
func TestCloudBasesLibraryRefundsBothWays(t *testing.T) {
	w := sandboxtest.New(t, func(c *sandbox.Config) { c.ModuleFailure = "code" })
	call := cloudBase(t, w)
	w.Order("T1")
	w.Control("POST", "/_sandbox/orders", `{"out_trade_no":"T2","total":10000,"promotion_detail":[{"promotion_id":"9","scope":"GLOBAL","type":"CASH","amount":1000}]}`, 200)
	module := func(name string, data any) []any {
		return []any{"callFunction", map[string]any{"name": "cloudbase_module", "data": map[string]any{"name": name, "data": data}}}
	}
	refund := map[string]any{"out_trade_no": "T1", "out_refund_no": "R1", "reason": "商品已售完", "amount": map[string]any{"refund": 100, "total": 10000, "currency": "CNY"}}
	pay := map[string]any{"subMchId": "1900000109", "nonceStr": "n", "outTradeNo": "T2", "outRefundNo": "R2", "totalFee": 10000, "refundFee": 100}
	wrong := map[string]any{"subMchId": "1900000109", "nonceStr": "n", "outTradeNo": "T2", "outRefundNo": "R3", "totalFee": "10000", "refundFee": 100}
	unpaid := map[string]any{"subMchId": "1900000109", "nonceStr": "n", "outTradeNo": "T3", "outRefundNo": "R3", "totalFee": 10000, "refundFee": 100}
	got := call(
		module("wxpay_refund", refund),
		module("wxpay_refund_query", map[string]any{"params": map[string]any{"out_refund_no": "R1"}}),
		module("wxpay_refund_query", map[string]any{"params": map[string]any{"out_refund_no": "R0"}}),
		[]any{"callFunction", map[string]any{"name": "nobody", "data": map[string]any{}}},
		[]any{"refund", pay},
		[]any{"queryRefund", map[string]any{"subMchId": "1900000109", "nonceStr": "n", "outRefundNo": "R2"}},
		[]any{"refund", wrong},
		[]any{"refund", unpaid},
	)
	for _, tt := range []struct {
		call int
		path string
		want any
	}{
		{0, "value result code", 0.0},
		{0, "value result data out_refund_no", "R1"},
		{0, "value result data status", "PROCESSING"},
		{0, "value errMsg", "callFunction:ok"},
		{1, "value result data status", "PROCESSING"},
		{1, "value result data amount refund", 100.0},
		{2, "value result code", 404.0},
		{2, "value result msg", `{"code":"RESOURCE_NOT_EXISTS","message":"退款单不存在"}`},
		{4, "value returnCode", "SUCCESS"},
		{4, "value resultCode", "SUCCESS"},
		{4, "value refundFee", 100.0},
		{4, "value couponRefundFee", 10.0},
		{5, "value refundStatus_0", "PROCESSING"},
		{5, "value outRefundNo_0", "R2"},
		{5, "value couponRefundId_0_0", "9"},
		{6, "value returnCode", "FAIL"},
		{6, "value returnMsg", "参数格式校验错误"},
		{7, "value resultCode", "FAIL"},
		{7, "value errCodeDes", "订单不存在"},
	} {
		if diff := cmp.Diff(tt.want, dig(got[tt.call], strings.Fields(tt.path)...)); diff != "" {
			t.Errorf("call %d, %s (-want +got):\n%s\nof %v", tt.call, tt.path, diff, got[tt.call])
		}
	}
	if text, _ := got[3]["error"].(string); !strings.Contains(text, "FUNCTION_NOT_FOUND") && !strings.Contains(text, "function not found") {
		t.Errorf("a function that is not there: %v", got[3])
	}
}
