package sandboxtest

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
	"time"

	"wxrefund/shared/cloudbase"
	"wxrefund/shared/sandbox"
	"wxrefund/shared/secret"
)

// AdminURL is where CloudBase's library finds the gateway.
const AdminURL = "http://127.0.0.1:8701/admin?env=x&seqId=1"

// GatewayRequest signs a call as CloudBase's library does.
func (w *World) GatewayRequest(media string, body []byte, params []cloudbase.Param, at time.Time) *http.Request {
	w.T.Helper()
	settings := w.SettingsOf("cloudbase")
	u, err := url.Parse(AdminURL)
	if err != nil {
		w.T.Fatal(err)
	}
	r := httptest.NewRequest("POST", AdminURL, bytes.NewReader(body))
	h := http.Header{"Content-Type": {media}, "User-Agent": {"test"}, "X-Client-Timestamp": {"1700000000123"}}
	maps.Copy(r.Header, h)
	signer := cloudbase.TC3Signer{SecretID: settings["TENCENTCLOUD_SECRETID"], SecretKey: secret.Text(settings["TENCENTCLOUD_SECRETKEY"])}
	r.Header.Set("Authorization", signer.Authorization("POST", u, h, params, at))
	r.Header.Set("X-Timestamp", fmt.Sprint(at.Unix()))
	return r
}

// Invoke is a JSON call, changed as is said; nil removes a parameter.
func (w *World) Invoke(change map[string]any) *http.Request {
	w.T.Helper()
	body := map[string]any{"action": "functions.invokeFunction", "envName": w.SettingsOf("cloudbase")["TCB_ENV"], "wxCloudApiToken": ""}
	maps.Copy(body, change)
	var params []cloudbase.Param
	for name, value := range body {
		text, ok := value.(string)
		if !ok {
			b, err := json.Marshal(value)
			if err != nil {
				w.T.Fatal(err)
			}
			text = string(b)
		}
		params = append(params, cloudbase.Param{Name: name, Value: []byte(text)})
	}
	b, err := json.Marshal(body)
	if err != nil {
		w.T.Fatal(err)
	}
	return w.GatewayRequest("application/json", b, params, time.Now())
}

// Module calls the template's module and returns what it returns.
func (w *World) Module(name, data string) (Answer, Answer) {
	w.T.Helper()
	a := Serve(w.Sandbox.WeChat(), w.Invoke(map[string]any{
		"function_name": "cloudbase_module", "request_data": fmt.Sprintf(`{"name":%q,"data":%s}`, name, data),
	}))
	text, _ := a.Field("data", "response_data").(string)
	return a, Answer{Status: a.Status, Header: a.Header, Body: []byte(text)}
}

// CloudPay makes a call of CloudPay.
func (w *World) CloudPay(api, data string) Answer {
	w.T.Helper()
	params := []cloudbase.Param{
		{Name: "action", Value: []byte("wx.wxPayApi")}, {Name: "apiName", Value: []byte(api)},
		{Name: "apiOptions", Binary: true}, {Name: "requestData", Value: []byte(data), Binary: true},
		{Name: "envName", Value: []byte(w.SettingsOf("cloudbase")["TCB_ENV"])},
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
			w.T.Fatal(err)
		}
		_, _ = part.Write(p.Value)
	}
	_ = form.Close()
	return Serve(w.Sandbox.WeChat(), w.GatewayRequest(form.FormDataContentType(), body.Bytes(), params, time.Now()))
}

// RelayURL is where the relays call the merchant's function.
const RelayURL = "http://127.0.0.1:8700/functions/notify"

// Relayed gives the relays somewhere to call.
func (w *World) Relayed() {
	w.Sandbox.SetURLs(sandbox.URLs{WeChat: "http://127.0.0.1:8701", WeChatTLS: "https://127.0.0.1:8702", Relay: RelayURL})
}

// ModuleRefund is the data of wxpay_refund.
const ModuleRefund = `{"out_trade_no":"T1","out_refund_no":"R1","reason":"x","amount":{"refund":100,"total":10000,"currency":"CNY"}}`

// PayRefund is the requestData of CloudPay.refund.
const PayRefund = `{"sub_mch_id":"1900000109","nonce_str":"n","out_trade_no":"T1","out_refund_no":"R1","total_fee":10000,"refund_fee":100}`
