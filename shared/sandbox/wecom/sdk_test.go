package wecom_test

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"testing"

	"wxrefund/shared/sandbox/sandboxtest"

	"github.com/silenceper/wechat/v2/cache"
	"github.com/silenceper/wechat/v2/credential"
	"github.com/silenceper/wechat/v2/util"
)

// TestAPublicSDKFetchesATokenAndRefunds has a public SDK fetch and keep the token, apply and ask. The SDK
// knows no calls of 对外收款, so that it makes them with what it makes all its calls.
func TestAPublicSDKFetchesATokenAndRefunds(t *testing.T) {
	w := sandboxtest.New(t)
	paths := map[string]int{}
	server := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		paths[r.URL.Path]++ // of one client that makes one call after the other
		w.Sandbox.WeChat().ServeHTTP(rw, r)
	}))
	defer server.Close()
	const real = "https://qyapi.weixin.qq.com"
	util.SetURIModifier(func(uri string) string { return server.URL + uri[len(real):] })
	defer util.SetURIModifier(nil)

	settings := w.SettingsOf("wecom")
	w.Order("T00001")
	tokens := credential.NewWorkAccessToken(settings["WECOM_CORPID"], settings["WECOM_CORPSECRET"], "", credential.CacheKeyWorkPrefix, cache.NewMemory())
	type detail struct {
		util.CommonError
		OutRefundNo string `json:"out_refund_no"`
		Status      string `json:"status"`
		OutTradeNo  string `json:"out_trade_no"`
		SuccessTime string `json:"success_time"`
		Amount      struct {
			Refund   int64  `json:"refund"`
			Currency string `json:"currency"`
		} `json:"amount"`
	}
	call := func(path string, body any) (out detail, err error) {
		t.Helper()
		token, err := tokens.GetAccessTokenContext(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		answer, err := util.PostJSONContext(t.Context(), real+path+"?access_token="+token, body)
		if err != nil {
			t.Fatal(err)
		}
		return out, util.DecodeWithError(answer, &out, path)
	}
	refund := map[string]any{
		"mchid": settings["WXPAY_MCHID"], "appid": settings["WXPAY_APPID"], "out_trade_no": "T00001", "out_refund_no": "R_1-|*@", "reason": "<商品> & 已售完",
		"amount": map[string]any{"refund": 888, "total": 10000, "currency": "CNY"},
	}
	made, err := call(sandboxtest.WeComPath, refund)
	if err != nil || made.OutRefundNo != "R_1-|*@" || made.Amount.Refund != 888 || made.Amount.Currency != "CNY" {
		t.Errorf("refund %+v, error %v", made, err)
	}
	w.Control("POST", "/_sandbox/refunds/R_1-%7C*@/settle", `{"status":"SUCCESS"}`, 200)
	found, err := call(sandboxtest.DetailPath, map[string]any{"mchid": settings["WXPAY_MCHID"], "out_refund_no": "R_1-|*@"})
	if err != nil || found.Status != "SUCCESS" || found.OutTradeNo != "T00001" || found.Amount.Refund != 888 || found.SuccessTime == "" {
		t.Errorf("detail %+v, error %v", found, err)
	}
	// What WeCom refuses reaches the SDK as its own kind of error.
	for name, body := range map[string]map[string]any{
		"an unknown refund":   {"mchid": settings["WXPAY_MCHID"], "out_refund_no": "R2"},
		"another merchant's":  {"mchid": "1900000002", "out_refund_no": "R_1-|*@"},
		"a number left out":   {"mchid": settings["WXPAY_MCHID"]},
		"a number as integer": {"mchid": settings["WXPAY_MCHID"], "out_refund_no": 1},
	} {
		var refused *util.CommonError
		if got, err := call(sandboxtest.DetailPath, body); !errors.As(err, &refused) || refused.ErrCode == 0 || refused.ErrMsg == "" {
			t.Errorf("%s: %+v, error %v, want WeCom's", name, got, err)
		}
	}
	if n := paths[sandboxtest.AccessPath]; n != 1 {
		t.Errorf("%d tokens for %d calls, want one", n, paths[sandboxtest.WeComPath]+paths[sandboxtest.DetailPath])
	}
	// A wrong secret, and a token that nobody gave out.
	other := credential.NewWorkAccessToken(settings["WECOM_CORPID"], "wrong", "", credential.CacheKeyWorkPrefix, cache.NewMemory())
	if token, err := other.GetAccessToken(); err == nil {
		t.Errorf("a wrong secret gets the token %s", token)
	}
	answer, err := util.PostJSONContext(t.Context(), real+sandboxtest.WeComPath+"?access_token=nobodys", refund)
	var refused *util.CommonError
	if err = errors.Join(err, util.DecodeWithCommonError(answer, sandboxtest.WeComPath)); !errors.As(err, &refused) || refused.ErrCode != 40014 {
		t.Errorf("a token that nobody gave out: %v, want 40014", err)
	}
}
