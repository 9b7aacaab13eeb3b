package sandboxtest

import (
	"crypto/tls"
	"crypto/x509"
	"maps"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"wxrefund/shared/wxpay"
)

// The paths of WeChat Pay Global.
const (
	RefundV2 = "/secapi/pay/refund"
	QueryV2  = "/pay/refundquery"
)

// SettingsOf are those of another channel.
func (w *World) SettingsOf(channel string) map[string]string {
	w.T.Helper()
	settings, err := w.Sandbox.Settings(channel)
	if err != nil {
		w.T.Fatal(err)
	}
	return settings
}

// APIKey is the merchant's key of v2.
func (w *World) APIKey() wxpay.APIKey {
	w.T.Helper()
	key, err := wxpay.ParseAPIKey(w.SettingsOf("global")["WXPAY_API_KEY"])
	if err != nil {
		w.T.Fatal(err)
	}
	return key
}

// GlobalRefund is a request that is granted, but for its signature.
func (w *World) GlobalRefund(change map[string]string) wxpay.Fields {
	f := wxpay.Fields{
		"appid": "wx5a4db0c0ffee0001", "mch_id": "1900000001", "nonce_str": "5K8264ILTKCH16CQ2502SI8ZNMTM67VS", "sign_type": "HMAC-SHA256",
		"out_trade_no": "T1", "out_refund_no": "R1", "total_fee": "10000", "refund_fee": "100", "refund_desc": "商品已售完",
	}
	maps.Copy(f, change)
	return f
}

// GlobalQuery is a query, but for what it asks about and its signature.
func (w *World) GlobalQuery(change map[string]string) wxpay.Fields {
	f := wxpay.Fields{"appid": "wx5a4db0c0ffee0001", "mch_id": "1900000001", "nonce_str": "n", "sign_type": "HMAC-SHA256"}
	maps.Copy(f, change)
	return f
}

// Signed completes a request of v2.
func (w *World) Signed(f wxpay.Fields) []byte {
	w.T.Helper()
	t := wxpay.SignMD5
	if f["sign_type"] == "HMAC-SHA256" {
		t = wxpay.SignHMACSHA256
	}
	sign, err := w.APIKey().Sign(f, t)
	if err != nil {
		w.T.Fatal(err)
	}
	f["sign"] = sign
	return f.XML()
}

// RequestV2 is a request over TLS, with the merchant's certificate.
func (w *World) RequestV2(path string, body []byte) *http.Request {
	w.T.Helper()
	r := httptest.NewRequest("POST", path, strings.NewReader(string(body)))
	cert, err := wxpay.ParseCertificate(w.SettingsOf("global")["WXPAY_CLIENT_CERT"])
	if err != nil {
		w.T.Fatal(err)
	}
	r.TLS = &tls.ConnectionState{PeerCertificates: []*x509.Certificate{cert}}
	return r
}

// CallV2 makes a request and insists on a signed answer.
func (w *World) CallV2(path string, f wxpay.Fields) wxpay.Fields {
	w.T.Helper()
	t := wxpay.SignMD5
	if f["sign_type"] == "HMAC-SHA256" {
		t = wxpay.SignHMACSHA256
	}
	a := Serve(w.Sandbox.WeChat(), w.RequestV2(path, w.Signed(f)))
	out := a.Fields(w.T)
	if out["return_code"] == "SUCCESS" {
		if err := w.APIKey().Verify(out, t); err != nil {
			w.T.Errorf("answer %s: %v", a.Body, err)
		}
	}
	return out
}

// Fields reads an answer of v2, or ends the test.
func (a Answer) Fields(t testing.TB) wxpay.Fields {
	t.Helper()
	f, err := wxpay.ParseFields(a.Body, "xml")
	if err != nil {
		t.Fatalf("answer %d %s: %v", a.Status, a.Body, err)
	}
	return f
}

// Pay makes an order out of JSON.
func (w *World) Pay(order string) { w.T.Helper(); w.Control("POST", "/_sandbox/orders", order, 200) }

// TLSServer is WeChat's side over mutual TLS, and what a merchant needs to reach it.
func TLSServer(t *testing.T, w *World) (url string, client *tls.Config) {
	t.Helper()
	server := httptest.NewUnstartedServer(w.Sandbox.WeChat())
	server.TLS = w.Sandbox.TLSConfig()
	server.StartTLS()
	t.Cleanup(server.Close)
	settings := w.SettingsOf("global")
	pair, err := wxpay.ParseClientCertificate(settings["WXPAY_CLIENT_CERT"], settings["WXPAY_CLIENT_KEY"])
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM([]byte(settings["WXPAY_CA_CERT"])) {
		t.Fatal("no certificate authority")
	}
	return server.URL, &tls.Config{RootCAs: roots, Certificates: []tls.Certificate{pair}, MinVersion: tls.VersionTLS12}
}

// OpenV2 reads a notification of v2.
func (w *World) OpenV2(body []byte) (outer, inner wxpay.Fields) {
	w.T.Helper()
	outer, err := wxpay.ParseFields(body, "xml")
	if err != nil {
		w.T.Fatalf("%s: %v", body, err)
	}
	plain, err := w.APIKey().OpenReqInfo(outer["req_info"])
	if err != nil {
		w.T.Fatal(err)
	}
	if inner, err = wxpay.ParseFields(plain, "root"); err != nil {
		w.T.Fatalf("%s: %v", plain, err)
	}
	return outer, inner
}

// AckV2 is v2's acknowledgement.
const AckV2 = `<xml><return_code><![CDATA[SUCCESS]]></return_code><return_msg><![CDATA[OK]]></return_msg></xml>`

// CodesV2 are all codes of the documents of CloudPay and of WeChat Pay Global.
var CodesV2 = map[string][]string{
	"apply": {
		"SYSTEMERROR", "BIZERR_NEED_RETRY", "TRADE_OVERDUE", "ERROR", "USER_ACCOUNT_ABNORMAL", "INVALID_REQ_TOO_MUCH", "NOTENOUGH",
		"INVALID_TRANSACTIONID", "PARAM_ERROR", "APPID_NOT_EXIST", "MCHID_NOT_EXIST", "APPID_MCHID_NOT_MATCH", "REQUIRE_POST_METHOD",
		"SIGNERROR", "XML_FORMAT_ERROR", "FREQUENCY_LIMITED", "NOAUTH", "INVALID_REQUEST",
	},
	"query": {
		"SYSTEMERROR", "REFUNDNOTEXIST", "INVALID_TRANSACTIONID", "PARAM_ERROR", "APPID_NOT_EXIST", "MCHID_NOT_EXIST",
		"REQUIRE_POST_METHOD", "SIGNERROR", "XML_FORMAT_ERROR",
	},
}
