package sandboxtest

import (
	"fmt"
	"net/http/httptest"
	"net/url"
	"strings"
)

// The paths of WeCom, and bodies that it accepts.
const (
	AccessPath = "/cgi-bin/gettoken"
	WeComPath  = "/cgi-bin/miniapppay/refund"
	DetailPath = "/cgi-bin/miniapppay/get_refund_detail"

	WeComRefund = `{"mchid":"1900000001","appid":"wx5a4db0c0ffee0001","out_trade_no":"T00001","out_refund_no":"R_1-|*@","reason":"商品已售完",
		"funds_account":"AVAILABLE","amount":{"refund":888,"total":10000,"currency":"CNY"}}`
	WeComQuery = `{"mchid":"1900000001","out_refund_no":"R_1-|*@"}`
)

// Token gets WeCom's, with credentials as they are or changed.
func (w *World) Token(change url.Values) Answer {
	w.T.Helper()
	settings := w.SettingsOf("wecom")
	query := url.Values{"corpid": {settings["WECOM_CORPID"]}, "corpsecret": {settings["WECOM_CORPSECRET"]}}
	for name, value := range change {
		query[name] = value
	}
	return Serve(w.Sandbox.WeChat(), httptest.NewRequest("GET", AccessPath+"?"+query.Encode(), nil))
}

// WeCom makes a call with the present token.
func (w *World) WeCom(path, body string) Answer {
	w.T.Helper()
	return w.WeComAs(fmt.Sprint(w.Token(nil).Field("access_token")), path, body)
}

// WeComAs makes a call with any token.
func (w *World) WeComAs(token, path, body string) Answer {
	return Serve(w.Sandbox.WeChat(), httptest.NewRequest("POST", path+"?access_token="+url.QueryEscape(token), strings.NewReader(body)))
}
