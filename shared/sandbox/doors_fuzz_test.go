package sandbox

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"wxrefund/shared/cloudbase"
	"wxrefund/shared/wxpay"
)

// A door is a place where foreign bytes come in. body is what comes; head is what
// comes beside it, in a header or in the path. It returns what is wrong, or "".
type door struct {
	name       string
	head, body string // a seed that gets far
	enter      func(s *Sandbox, head string, body []byte) string
}

// doors are all that is not fuzzed by itself. Those of a handler stand behind the
// signature, which would let nothing else pass.
var doors = []door{
	{"v2 over the wire", "", `<xml><mch_id>1900000001</mch_id><sign>0</sign></xml>`, post("/secapi/pay/refund", "text/xml")},
	{"v2 query over the wire", "", `<xml><a><![CDATA[1]]></a></xml>`, post("/pay/refundquery", "text/xml")},
	{"v2 refund", "", `<xml><nonce_str>n</nonce_str><out_trade_no>T1</out_trade_no><out_refund_no>R1</out_refund_no><total_fee>10000</total_fee><refund_fee>1</refund_fee>` +
		`<refund_fee_type>CNY</refund_fee_type><refund_desc>x&amp;z=1</refund_desc><refund_account>REFUND_SOURCE_RECHARGE_FUNDS</refund_account></xml>`, xmlDoor(false)},
	{"v2 query", "", `<xml><nonce_str>n</nonce_str><out_trade_no>T1</out_trade_no><offset>0</offset></xml>`, xmlDoor(true)},
	{"gateway, JSON", "application/json", `{"action":"wx.wxPayApi","envName":"e","apiName":"refund","requestData":"{}","n":[1,{"a":null}]}`, gatewayDoor},
	{"gateway, form", `multipart/form-data; boundary=b`, "--b\r\nContent-Disposition: form-data; name=\"action\"\r\n\r\nwx.wxPayApi\r\n--b\r\n" +
		"Content-Disposition: form-data; name=\"requestData\"\r\nContent-Type: application/octet-stream\r\n\r\n{}\r\n--b--\r\n", gatewayDoor},
	{"gateway over the wire", "TC3-HMAC-SHA256 Credential=a/2024-02-29/tcb/tc3_request, SignedHeaders=host, Signature=0", `{"action":"x"}`, func(s *Sandbox, head string, body []byte) string {
		return post("/admin", "application/json", "Authorization", head, "X-Timestamp", head)(s, "", body)
	}},
	{"the template's module", "cloudbase_module", `{"name":"wxpay_refund","data":{"out_trade_no":"T1","out_refund_no":"R1","amount":{"refund":1,"total":10000,"currency":"CNY"}}}`, func(s *Sandbox, head string, body []byte) string {
		return action(s, "functions.invokeFunction", map[string][]byte{"function_name": []byte(head), "request_data": body})
	}},
	{"the module's query", "cloudbase_module", `{"name":"wxpay_refund_query","data":{"params":{"out_refund_no":"R0"}}}`, func(s *Sandbox, head string, body []byte) string {
		return action(s, "functions.invokeFunction", map[string][]byte{"function_name": []byte(head), "request_data": body})
	}},
	{"CloudPay", "\n\x12wx5a4db0c0ffee0109", `{"sub_mch_id":"1900000109","nonce_str":"n","out_trade_no":"T00001","out_refund_no":"R1","total_fee":10000,"refund_fee":1,"function_name":"f"}`, payDoor("refund")},
	{"CloudPay's query", "", `{"sub_mch_id":"1900000109","nonce_str":"n","out_trade_no":"T1","offset":0}`, payDoor("queryRefund")},
	{"WeCom's token", "corpid=a&corpsecret=%20", ``, func(s *Sandbox, head string, body []byte) string {
		return wire(s, "GET", "/cgi-bin/gettoken", head, body)
	}},
	{"WeCom", "", `{"mchid":"1900000001","appid":"wx5a4db0c0ffee0001","out_trade_no":"T00001","out_refund_no":"R1","reason":"商品","amount":{"refund":1,"total":10000,"currency":"CNY"}}`, wecomDoor(false)},
	{"WeCom's query", "", `{"mchid":"1900000001","out_refund_no":"R0"}`, wecomDoor(true)},
	{"APIv3's query", "R0", `sub_mchid=1900000109`, func(s *Sandbox, head string, body []byte) string {
		r := httptest.NewRequest("GET", "/", nil)
		r.URL.RawQuery = string(body)
		r.SetPathValue("out_refund_no", head)
		return told(s.getRefund(&exchange{request: r}))
	}},
	{"APIv3's certificates", "", `algorithm_type=RSA`, func(s *Sandbox, _ string, body []byte) string {
		r := httptest.NewRequest("GET", "/", nil)
		r.URL.RawQuery = string(body)
		return told(s.getCertificates(&exchange{request: r}))
	}},
	{"APIv3 over the wire", `WECHATPAY2-SHA256-RSA2048 mchid="1900000001",nonce_str="n",signature="AA==",timestamp="1",serial_no="5"`, `{}`, func(s *Sandbox, head string, body []byte) string {
		return post("/v3/refund/domestic/refunds", "application/json", "Authorization", head)(s, "", body)
	}},
	{"an acknowledgement", "", `{"code":"SUCCESS","result":{"code":"SUCCESS","errcode":0}}`, func(_ *Sandbox, _ string, body []byte) string {
		for name, kind := range notificationKinds {
			for _, status := range []int{200, 204, 500} {
				if why := kind.objection(status, body); status == 500 && why == "" {
					return name + " takes a 500 for an acknowledgement"
				}
			}
		}
		return ""
	}},
	{"the control side's guard", "localhost:8700", `http://localhost:8700`, func(s *Sandbox, head string, body []byte) string {
		r := httptest.NewRequest("GET", "/_sandbox/credentials", nil)
		r.RemoteAddr, r.Host = "127.0.0.1:50000", head
		r.Header.Set("Origin", string(body))
		w := httptest.NewRecorder()
		s.Control().ServeHTTP(w, r)
		if w.Code == http.StatusOK && (!loopbackHost(head) || len(body) > 0 && !strings.HasSuffix(string(body), "//"+head)) {
			return "it lets the stranger in"
		}
		return ""
	}},
}

// told looks at what an endpoint says: a refusal has a sentence, and all of it can be written.
func told(out reply) string {
	if out.no != nil {
		if code := codes[out.no.code]; code.status < 400 || out.no.message == "" || strings.Contains(out.no.message, "%!") {
			return "an odd refusal: " + out.no.message
		}
		return ""
	}
	if b, err := json.Marshal(out.object); err != nil {
		return "an answer that is no JSON: " + string(b)
	}
	return ""
}

// wire sends a request to WeChat's side, from the merchant.
func wire(s *Sandbox, method, path, query string, body []byte, header ...string) string {
	r := httptest.NewRequest(method, path, strings.NewReader(string(body)))
	r.URL.RawQuery = query
	r.TLS = &tls.ConnectionState{PeerCertificates: []*x509.Certificate{s.keys.merchant.cert}}
	for i := 0; i < len(header); i += 2 {
		r.Header[header[i]] = []string{header[i+1]}
	}
	w := httptest.NewRecorder()
	s.WeChat().ServeHTTP(w, r)
	if w.Code >= 500 || strings.Contains(w.Body.String(), "%!") {
		return "status " + http.StatusText(w.Code) + ": " + w.Body.String()
	}
	if len(s.accepted) > 1 {
		return "a refund without a signature"
	}
	return ""
}

func post(path, media string, header ...string) func(*Sandbox, string, []byte) string {
	return func(s *Sandbox, _ string, body []byte) string {
		return wire(s, "POST", path, "", body, append(header, "Content-Type", media)...)
	}
}

func xmlDoor(query bool) func(*Sandbox, string, []byte) string {
	return func(s *Sandbox, _ string, body []byte) string {
		f, err := wxpay.ParseFields(body, "xml")
		if err != nil {
			return ""
		}
		handle, form := (*Sandbox).refundV2, global.apply
		if query {
			handle, form = (*Sandbox).refundQueryV2, global.query
		}
		m, no := handle(s, global, asked{form.tree(f), global.notification})
		if no == nil {
			if _, err := s.keys.apiKeyV2.Sign(m.fields(), wxpay.SignMD5); err != nil {
				return "an answer that cannot be signed: " + err.Error()
			}
		}
		return told(reply{object: m, no: no})
	}
}

func gatewayDoor(s *Sandbox, head string, body []byte) string {
	params, err := readParams(head, body)
	if err != nil {
		return ""
	}
	values := map[string][]byte{}
	for _, p := range params {
		values[p.Name] = p.Value
	}
	if _, ok := actions[string(values["action"])]; !ok {
		return ""
	}
	return action(s, string(values["action"]), values)
}

// action makes a call of the gateway whose signature has been verified.
func action(s *Sandbox, name string, params map[string][]byte) string {
	r := httptest.NewRequest("POST", "/admin", nil)
	c := call{exchange: s.open(r)}
	for name, value := range params {
		c.params = append(c.params, cloudbase.Param{Name: name, Value: value})
	}
	w := httptest.NewRecorder()
	actions[name](s, w, c)
	if !json.Valid(w.Body.Bytes()) || w.Code >= 500 || strings.Contains(w.Body.String(), "%!") {
		return http.StatusText(w.Code) + ": " + w.Body.String()
	}
	return ""
}

func payDoor(api string) func(*Sandbox, string, []byte) string {
	return func(s *Sandbox, head string, body []byte) string {
		return action(s, "wx.wxPayApi", map[string][]byte{"apiName": []byte(api), "apiOptions": []byte(head), "requestData": body})
	}
}

func wecomDoor(query bool) func(*Sandbox, string, []byte) string {
	return func(s *Sandbox, _ string, body []byte) string {
		x := &exchange{request: httptest.NewRequest("POST", "/", nil), body: body}
		if query {
			return told(s.refundDetail(x))
		}
		return told(s.refundWeCom(x))
	}
}

// doorSandbox has two paid orders and one refund.
func doorSandbox(t testing.TB) *Sandbox {
	t.Helper()
	s := fuzzed(t)
	if _, err := s.pay(orderObject{OutTradeNo: "T00001", Total: 10000}); err != nil {
		t.Fatal(err)
	}
	if _, no := s.apply(application{OutTradeNo: "T1", OutRefundNo: "R0", Amount: applicationAmount{Refund: 100, Total: 10000, Currency: "CNY"}}, caller{}); no != nil {
		t.Fatal(no)
	}
	return s
}

// FuzzDoors brings any bytes to every door: nothing panics, what is answered can be
// read, and no order is refunded above its total.
func FuzzDoors(f *testing.F) {
	for i, d := range doors {
		f.Add(uint8(i), d.head, []byte(d.body))
	}
	f.Fuzz(func(t *testing.T, at uint8, head string, body []byte) {
		s := doorSandbox(t)
		d := doors[int(at)%len(doors)]
		if fault := d.enter(s, head, body); fault != "" {
			t.Errorf("%s: %s", d.name, fault)
		}
		for _, o := range s.byTrade {
			if o.left() < 0 {
				t.Errorf("%s: order %s is refunded above its total", d.name, o.outTradeNo)
			}
		}
		if len(s.accepted) > 2 {
			t.Errorf("%s: %d refunds of one request", d.name, len(s.accepted)-1)
		}
	})
}

// The seeds get as far as they are meant to: those that apply are accepted.
func TestDoorSeeds(t *testing.T) {
	accepts := map[string]bool{"v2 refund": true, "the template's module": true, "CloudPay": true, "WeCom": true}
	for _, d := range doors {
		s := doorSandbox(t)
		if fault := d.enter(s, d.head, []byte(d.body)); fault != "" {
			t.Errorf("%s: %s", d.name, fault)
		}
		if got := len(s.accepted) == 2; got != accepts[d.name] {
			t.Errorf("%s: a refund is accepted: %t, want %t", d.name, got, accepts[d.name])
		}
	}
}
