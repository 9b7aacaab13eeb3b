package sandbox_test

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"wxrefund/shared/sandbox"
	"wxrefund/shared/sandbox/sandboxtest"
	"wxrefund/shared/wxpay"
)

// The pages of nginx, to the byte.
const (
	pageMissing = "<html>\r\n<head><title>400 No required SSL certificate was sent</title></head>\r\n<body bgcolor=\"white\">\r\n" +
		"<center><h1>400 Bad Request</h1></center>\r\n<center>No required SSL certificate was sent</center>\r\n<hr><center>nginx</center>\r\n</body>\r\n</html>\r\n"
	pageWrong = "<html>\r\n<head><title>400 The SSL certificate error</title></head>\r\n<body bgcolor=\"white\">\r\n" +
		"<center><h1>400 Bad Request</h1></center>\r\n<center>The SSL certificate error</center>\r\n<hr><center>nginx</center>\r\n</body>\r\n</html>\r\n"
)

// Over real TLS: everything that WeChat's side has is there with and without a
// certificate, but for what demands one.
func TestTheTLSSideMissesACertificateOnlyWhereItIsDemanded(t *testing.T) {
	w := sandboxtest.New(t)
	w.Order("T1")
	at, merchant := sandboxtest.TLSServer(t, w)
	none, wrong := merchant.Clone(), merchant.Clone()
	none.Certificates = nil
	wrong.Certificates = []tls.Certificate{certificateOf(t, sandboxtest.OtherKeys(t).Merchant.Cert, sandboxtest.OtherKeys(t).Merchant.RSA())}
	weCom := sandboxtest.AccessPath + "?corpid=" + w.SettingsOf("wecom")["WECOM_CORPID"] + "&corpsecret=" + w.SettingsOf("wecom")["WECOM_CORPSECRET"]
	requests := map[string]struct {
		demands bool
		get     func() *http.Request
		answer  string
	}{
		"v3": {get: func() *http.Request { return w.Request("GET", "/v3/certificates", "") }, answer: "encrypt_certificate"},
		"v2 query": {get: func() *http.Request {
			return v2Request(w, sandboxtest.QueryV2, w.GlobalQuery(map[string]string{"out_refund_no": "R9"}))
		}, answer: "REFUNDNOTEXIST"},
		"v2 refund":     {demands: true, get: func() *http.Request { return v2Request(w, sandboxtest.RefundV2, w.GlobalRefund(nil)) }, answer: "<refund_id>"},
		"v2 elsewhere":  {demands: true, get: func() *http.Request { return httptest.NewRequest("POST", "/secapi/pay/reverse", nil) }, answer: "请求的接口不存在"},
		"gateway":       {get: func() *http.Request { return httptest.NewRequest("POST", "/admin", strings.NewReader("{}")) }, answer: "INVALID_PARAM"},
		"WeCom":         {get: func() *http.Request { return httptest.NewRequest("GET", weCom, nil) }, answer: "access_token"},
		"nothing there": {get: func() *http.Request { return httptest.NewRequest("GET", "/x", nil) }, answer: "请求的接口不存在"},
	}
	for who, config := range map[string]*tls.Config{"merchant": merchant, "none": none, "another's": wrong} {
		client := &http.Client{Transport: &http.Transport{TLSClientConfig: config}}
		for name, tt := range requests {
			r := tt.get()
			out, err := http.NewRequest(r.Method, at+r.URL.RequestURI(), r.Body)
			if err != nil {
				t.Fatal(err)
			}
			out.Header = r.Header
			response, err := client.Do(out)
			if err != nil {
				t.Errorf("%s, certificate %s: %v", name, who, err)
				continue
			}
			body, _ := io.ReadAll(response.Body)
			response.Body.Close()
			want := ""
			switch {
			case who == "another's":
				want = pageWrong
			case who == "none" && tt.demands:
				want = pageMissing
			}
			switch {
			case want == "" && !strings.Contains(string(body), tt.answer):
				t.Errorf("%s, certificate %s: %d %s, want %s in it", name, who, response.StatusCode, body, tt.answer)
			case want != "" && (string(body) != want || response.StatusCode != 400 || response.Header.Get("Content-Type") != "text/html" || response.Header.Get("Server") != "nginx" || !response.Close):
				t.Errorf("%s, certificate %s: %d %v %q", name, who, response.StatusCode, response.Header, body)
			}
		}
		client.CloseIdleConnections()
	}
	if list := w.Control("GET", "/_sandbox/refunds", "", 200); strings.Count(string(list.Body), "refund_id") != 1 {
		t.Errorf("the merchant's one refund: %s", list.Body)
	}
	// Over plain HTTP nobody can show one.
	for _, path := range []string{sandboxtest.RefundV2, "/secapi/pay/reverse"} {
		r := v2Request(w, path, w.GlobalRefund(nil))
		if a := sandboxtest.Serve(w.Sandbox.WeChat(), r); a.Status != 400 || string(a.Body) != pageMissing {
			t.Errorf("%s over plain HTTP: %d %s", path, a.Status, a.Body)
		}
	}
	if a := sandboxtest.Serve(w.Sandbox.WeChat(), v2Request(w, sandboxtest.QueryV2, w.GlobalQuery(map[string]string{"out_trade_no": "T1"}))); a.Fields(t)["refund_count"] != "1" {
		t.Errorf("a query over plain HTTP: %d %s", a.Status, a.Body)
	}
}

// v2Request is a request of v2 over plain HTTP.
func v2Request(w *sandboxtest.World, path string, f wxpay.Fields) *http.Request {
	return httptest.NewRequest("POST", path, strings.NewReader(string(w.Signed(f))))
}

func certificateOf(t *testing.T, cert *x509.Certificate, key any) tls.Certificate {
	t.Helper()
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	pair, err := tls.X509KeyPair(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: cert.Raw}), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}))
	if err != nil {
		t.Fatal(err)
	}
	return pair
}

// The server's certificate is good for every host that is played, and for as long as the
// strictest system takes.
func TestTheServersCertificateNamesTheRealHosts(t *testing.T) {
	w := sandboxtest.New(t)
	chain := w.Sandbox.TLSConfig().Certificates[0].Certificate
	leaf, err := x509.ParseCertificate(chain[0])
	if err != nil {
		t.Fatal(err)
	}
	roots, err := wxpay.ParseCertPool(w.Control("GET", "/_sandbox/credentials", "", 200).Field("ca_cert").(string))
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{
		"api.mch.weixin.qq.com", "api2.mch.weixin.qq.com", "apihk.mch.weixin.qq.com", "apius.mch.weixin.qq.com",
		"qyapi.weixin.qq.com", "api.weixin.qq.com", "tcb-api.tencentcloudapi.com", "sandbox-0123456789.tcb-api.tencentcloudapi.com",
		"sandbox-0123456789.ap-shanghai.tcb-api.tencentcloudapi.com", "localhost", "127.0.0.1", "::1",
	} {
		if _, err := leaf.Verify(x509.VerifyOptions{DNSName: name, Roots: roots, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}}); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := leaf.Verify(x509.VerifyOptions{DNSName: "pay.weixin.qq.com", Roots: roots}); err == nil {
		t.Error("it is good for a host that is not played")
	}
	if valid := leaf.NotAfter.Sub(leaf.NotBefore); valid > 825*24*time.Hour || leaf.NotBefore.After(time.Now()) {
		t.Errorf("valid for %v from %v", valid, leaf.NotBefore)
	}
	if len(leaf.AuthorityKeyId) == 0 {
		t.Error("it does not say whose key has signed it")
	}
}

// What nobody has is refused by the system that would have it, in its own form.
func TestEachSystemRefusesUnknownPathsAndMethodsInItsOwnForm(t *testing.T) {
	const (
		v3      = `{"code":%q,`
		v2      = "<xml><return_code><![CDATA[FAIL]]></return_code><return_msg><![CDATA[请求的接口不存在]]></return_msg></xml>"
		gateway = `{"code":"INVALID_PARAM","message":"%s is not valid","requestId":"`
		weCom   = `{"errcode":%d,"errmsg":"%s, hint: [`
	)
	for _, tt := range []struct {
		method, path string
		status       int
		body         string // how it begins
	}{
		{"GET", "/", 404, fmt.Sprintf(v3, "RESOURCE_NOT_EXISTS")},
		{"POST", "/v3/pay", 404, fmt.Sprintf(v3, "RESOURCE_NOT_EXISTS")},
		{"GET", "/v3/certificates/", 404, fmt.Sprintf(v3, "RESOURCE_NOT_EXISTS")},
		{"GET", "//v3/certificates", 404, fmt.Sprintf(v3, "RESOURCE_NOT_EXISTS")},
		{"POST", "/v3/../v3/certificates", 404, fmt.Sprintf(v3, "RESOURCE_NOT_EXISTS")},
		{"POST", "/v3/certificates", 405, fmt.Sprintf(v3, "METHOD_NOT_ALLOWED")},
		{"PATCH", "/v3/refund/domestic/refunds/R1", 405, fmt.Sprintf(v3, "METHOD_NOT_ALLOWED")},
		{"POST", "/pay/unifiedorder", 404, v2},
		{"GET", "/pay", 404, v2},
		{"GET", "/pay/", 404, v2},
		{"POST", "//pay/refundquery", 404, v2},
		{"POST", "/secapi/pay/refundv2", 404, v2},
		{"GET", "/secapi", 404, v2},
		{"GET", "/pay/refundquery", 200, "<xml>"}, // with REQUIRE_POST_METHOD in it
		{"GET", "/admin", 405, fmt.Sprintf(gateway, "method")},
		{"POST", "/admin/x", 404, fmt.Sprintf(gateway, "path")},
		{"POST", "/admin//", 404, fmt.Sprintf(gateway, "path")},
		{"GET", "/cgi-bin", 404, fmt.Sprintf(weCom, 404, "no such path")},
		{"POST", "/cgi-bin/message/send", 404, fmt.Sprintf(weCom, 404, "no such path")},
		{"GET", "/cgi-bin/miniapppay/refund", 200, fmt.Sprintf(weCom, 43002, "require POST method")},
		{"POST", "/cgi-bin/gettoken", 200, fmt.Sprintf(weCom, 43001, "require GET method")},
	} {
		w := sandboxtest.New(t)
		r := w.RequestV2("/", nil) // with the merchant's certificate
		r.Method, r.URL.Path = tt.method, tt.path
		a := sandboxtest.Serve(w.Sandbox.WeChat(), r)
		if a.Status != tt.status || !strings.HasPrefix(string(a.Body), tt.body) {
			t.Errorf("%s %s: %d %s, want %d %s", tt.method, tt.path, a.Status, a.Body, tt.status, tt.body)
		}
		if strings.HasPrefix(tt.body, "{") && !json.Valid(a.Body) {
			t.Errorf("%s %s: %s is no JSON", tt.method, tt.path, a.Body)
		}
		if strings.HasPrefix(tt.body, `{"code":"RE`) && (a.RequestID() == "" || a.Header.Get("Wechatpay-Signature") == "") {
			t.Errorf("%s %s: headers %v", tt.method, tt.path, a.Header)
		}
	}
}

// A client whose host is fixed comes through the proxy, to WeChat's hosts and no others.
func TestTheProxyLeadsToTheTLSSideAlone(t *testing.T) {
	w := sandboxtest.New(t)
	at, merchant := sandboxtest.TLSServer(t, w)
	plain := httptest.NewServer(w.Sandbox.WeChat())
	t.Cleanup(plain.Close)
	w.Sandbox.SetURLs(sandbox.URLs{WeChat: plain.URL, WeChatTLS: at})
	proxy, err := url.Parse(plain.URL)
	if err != nil {
		t.Fatal(err)
	}
	client := &http.Client{Transport: &http.Transport{TLSClientConfig: merchant, Proxy: http.ProxyURL(proxy)}}
	t.Cleanup(client.CloseIdleConnections)
	for to, want := range map[string]string{
		"https://api.mch.weixin.qq.com/x":         "404",
		"https://apihk.mch.weixin.qq.com/x":       "404",
		"https://qyapi.weixin.qq.com/x":           "404",
		"https://a.tcb-api.tencentcloudapi.com/x": "404",
		"https://pay.weixin.qq.com/x":             "Forbidden",
		"https://api.mch.weixin.qq.com:444/x":     "Forbidden",
		"https://example.com/x":                   "Forbidden",
	} {
		got := ""
		if response, err := client.Get(to); err != nil {
			got = err.Error()
		} else {
			response.Body.Close()
			got = response.Status
		}
		if !strings.Contains(got, want) {
			t.Errorf("%s: %s, want %s", to, got, want)
		}
	}
	// A refund with the client certificate passes, too.
	w.Order("T1")
	response, err := client.Post("https://apihk.mch.weixin.qq.com"+sandboxtest.RefundV2, "text/xml", strings.NewReader(string(w.Signed(w.GlobalRefund(nil)))))
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	if body, _ := io.ReadAll(response.Body); !strings.Contains(string(body), "<refund_id>") {
		t.Errorf("a refund through the proxy: %d %s", response.StatusCode, body)
	}
	// Where nothing listens the proxy says so.
	w.Sandbox.SetURLs(sandbox.URLs{WeChatTLS: "https://127.0.0.1:1"})
	client.CloseIdleConnections()
	if _, err := client.Get("https://api.mch.weixin.qq.com/x"); err == nil || !strings.Contains(err.Error(), "Bad Gateway") {
		t.Errorf("without a TLS side: %v", err)
	}
}

// FuzzAnyPath asks for anything by any method: it is answered by one of the systems in its
// form or by nginx's page, never by the server's own text, and makes no refund.
func FuzzAnyPath(f *testing.F) {
	for _, path := range []string{"/", "/v3/", "//pay//x", "/pay/../cgi-bin/gettoken", "/secapi/%2e%2e/pay/refundquery", "/admin/?x=1", "/cgi-bin/%00", "/v3/refund/domestic/refunds/a%2Fb", "*", "/pay/;x"} {
		f.Add("POST", path, false)
		f.Add("GET", path, true)
	}
	f.Fuzz(func(t *testing.T, method, path string, certificate bool) {
		u, err := url.Parse(path)
		if err != nil || method == "" || method == http.MethodConnect || method == http.MethodHead {
			return
		}
		w := sandboxtest.New(t)
		w.Order("T1")
		r := w.RequestV2("/", nil)
		if !certificate {
			r.TLS = nil
		}
		r.Method, r.URL, r.RequestURI = method, u, path
		a := sandboxtest.Serve(w.Sandbox.WeChat(), r)
		body := string(a.Body)
		if !json.Valid(a.Body) && !strings.HasPrefix(body, "<xml>") && body != pageMissing || a.Status >= 500 || a.Status >= 300 && a.Status < 400 {
			t.Errorf("%q %q: %d %q", method, path, a.Status, body)
		}
		if list := w.Control("GET", "/_sandbox/refunds", "", 200); strings.Contains(string(list.Body), "refund_id") {
			t.Errorf("%q %q has made a refund", method, path)
		}
	})
}
