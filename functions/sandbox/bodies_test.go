package main

import (
	"crypto/tls"
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"wxrefund/shared/wxpay"
)

// An event that is too large for a function is refused by it, and so in the wrapper.
func TestAnEventThatIsTooLargeIsRefusedInTheWrapper(t *testing.T) {
	p := start(t, "-speed", "0.001")
	for _, size := range []int{300 << 10, 1 << 20, 3 << 20} {
		event := `{"type":"wxpay_refund_query","out_refund_no":"R1","x":"` + strings.Repeat("x", size) + `"}`
		if got := p.dispatch(event); got.Code != 400 || !strings.Contains(got.Message, "bytes") {
			t.Errorf("%d bytes: got %+v, want code 400", size, got)
		}
		if got := p.call("notify", event); !strings.Contains(got, `"errcode":1`) {
			t.Errorf("%d bytes to notify: %s", size, got)
		}
		if got := p.call("reconcile", event); !strings.Contains(got, `"checked":0`) {
			t.Errorf("%d bytes to reconcile: %s", size, got) // which looks at no event
		}
	}
}

// A program need not say what it sends: JSON is taken as that under any name, and at the
// control doors under none.
func TestWhoSendsJSONNeedNotSaySo(t *testing.T) {
	p := start(t, "-speed", "0.001")
	for _, media := range []string{"", "application/json", "application/x-www-form-urlencoded"} {
		for path, body := range map[string]string{
			"/functions/wxpayFunctions": queryEvent("out_refund_no", "R1"),
			"/_sandbox/orders":          `{"total":100}`,
		} {
			r, err := http.NewRequestWithContext(t.Context(), "POST", p.ready.Listen+path, strings.NewReader(body))
			if err != nil {
				t.Fatal(err)
			}
			if media != "" {
				r.Header.Set("Content-Type", media)
			}
			response, err := http.DefaultClient.Do(r)
			if err != nil {
				t.Fatal(err)
			}
			answer, _ := io.ReadAll(response.Body)
			response.Body.Close()
			want := 200
			if strings.HasPrefix(path, "/_sandbox/") && strings.HasPrefix(media, "application/x") {
				want = 415
			}
			if response.StatusCode != want || !json.Valid(answer) {
				t.Errorf("%s as %q: %d %s, want %d", path, media, response.StatusCode, answer, want)
			}
		}
	}
}

// A client whose host is fixed needs no more than a proxy and the authority of the
// sandbox's certificate.
func TestAClientWithAFixedHostComesThroughTheProxy(t *testing.T) {
	p := start(t, "-speed", "0.001")
	var credentials struct {
		CACert     string `json:"ca_cert"`
		ClientCert string `json:"client_cert"`
		ClientKey  string `json:"client_key"`
	}
	p.control("GET", "/_sandbox/credentials", "", &credentials)
	roots, err := wxpay.ParseCertPool(credentials.CACert)
	if err != nil {
		t.Fatal(err)
	}
	proxy, err := url.Parse(p.ready.WeChat)
	if err != nil {
		t.Fatal(err)
	}
	client := &http.Client{Transport: &http.Transport{Proxy: http.ProxyURL(proxy), TLSClientConfig: &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12}}}
	t.Cleanup(client.CloseIdleConnections)
	for _, host := range []string{"api.mch.weixin.qq.com", "apihk.mch.weixin.qq.com", "qyapi.weixin.qq.com"} {
		response, err := client.Get("https://" + host + "/pay/refundquery")
		if err != nil {
			t.Fatal(err)
		}
		body, _ := io.ReadAll(response.Body)
		response.Body.Close()
		if !strings.Contains(string(body), "REQUIRE_POST_METHOD") {
			t.Errorf("%s: %d %s", host, response.StatusCode, body)
		}
	}
}
