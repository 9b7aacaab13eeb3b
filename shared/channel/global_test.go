package channel_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"wxrefund/shared/channel"
	"wxrefund/shared/refund"
	"wxrefund/shared/wxpay"
)

var apiKey = sync.OnceValue(func() wxpay.APIKey {
	k, err := wxpay.ParseAPIKey("192006250b4c09247ec02edce69f6a2d")
	if err != nil {
		panic(err)
	}
	return k
})

// clientCertificate is a merchant's, and its own authority.
var clientCertificate = sync.OnceValue(func() tls.Certificate {
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "10000100"}, IsCA: true, BasicConstraintsValid: true,
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &merchantKey().PublicKey, merchantKey())
	if err != nil {
		panic(err)
	}
	key, err := x509.MarshalPKCS8PrivateKey(merchantKey())
	if err != nil {
		panic(err)
	}
	pair, err := wxpay.ParseClientCertificate(
		string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})), string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: key})))
	if err != nil {
		panic(err)
	}
	return pair
})

// startGlobal starts an upstream that demands a client certificate.
func startGlobal(t *testing.T, answer http.HandlerFunc) *httptest.Server {
	t.Helper()
	pool := x509.NewCertPool()
	pool.AddCert(clientCertificate().Leaf)
	srv := httptest.NewUnstartedServer(answer)
	srv.TLS = &tls.Config{ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: pool}
	srv.Config.ErrorLog = discard
	srv.StartTLS()
	t.Cleanup(srv.Close)
	return srv
}

func mutualTLS(srv *httptest.Server, certificates ...tls.Certificate) *tls.Config {
	roots := x509.NewCertPool()
	roots.AddCert(srv.Certificate())
	return &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: roots, Certificates: certificates}
}

// serveGlobal starts an upstream that verifies requests, and the channel to it.
func serveGlobal(t *testing.T, answer func(w http.ResponseWriter, r *http.Request, asked wxpay.Fields)) *channel.Global {
	t.Helper()
	c := &channel.Global{Key: apiKey(), SignType: wxpay.SignMD5, AppID: "wx2421b1c4370ec43b", MchID: "10000100"}
	srv := startGlobal(t, func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		asked, err := wxpay.ParseFields(body, "xml")
		if err != nil {
			t.Errorf("%s: %v", body, err)
		}
		if err := apiKey().Verify(asked, c.SignType); err != nil {
			t.Errorf("%s: %v", body, err)
		}
		answer(w, r, asked)
	})
	c.Hosts, c.HTTP = []string{srv.URL}, wxpay.NewHTTPClient(mutualTLS(srv, clientCertificate()))
	return c
}

// serveGlobalText always gives one answer.
func serveGlobalText(t *testing.T, text string) *channel.Global {
	t.Helper()
	return serveGlobal(t, func(w http.ResponseWriter, _ *http.Request, _ wxpay.Fields) { _, _ = io.WriteString(w, text) })
}

// signedXML is a v2 answer with its signature.
func signedXML(f fields, by wxpay.SignType) string {
	out := wxpay.Fields{}
	for name, value := range f {
		out[name] = fmt.Sprint(value)
	}
	delete(out, "sign")
	sign, err := apiKey().Sign(out, by)
	if err != nil {
		panic(err)
	}
	out["sign"] = sign
	return string(out.XML())
}

func (f fields) signed() string { return signedXML(f, wxpay.SignMD5) }

// toGlobal makes one merchant's answer Global's.
func (f fields) toGlobal() fields {
	return f.with(fields{"appid": "wx2421b1c4370ec43b", "mch_id": "10000100", "sub_mch_id": nil, "sub_appid": nil})
}

// globalAccepted has every field of the answer in WeChat Pay Global, Submit Refund.
var globalAccepted = fields{
	"return_code": "SUCCESS", "return_msg": "OK", "result_code": "SUCCESS", "appid": "wx2421b1c4370ec43b", "mch_id": "10000100", "nonce_str": "0ScvLJ2uasseqcoQ",
	"transaction_id": "4200001126202109090793359667", "out_trade_no": "O1", "out_refund_no": "R1", "refund_id": "50201409582021110313317567694",
	"refund_fee": 60, "refund_fee_type": "EUR", "total_fee": 100, "fee_type": "EUR", "cash_fee": 700, "cash_fee_type": "CNY",
	"cash_refund_fee": 420, "cash_refund_fee_type": "CNY", "refund_channel": "ORIGINAL", "coupon_refund_fee": 3, "coupon_refund_count": 1,
	"coupon_type_0": "CASH", "coupon_refund_id_0": "10000", "coupon_refund_fee_0": 3,
}

func wantGlobal() refund.Refund {
	return refund.Refund{
		RefundID: "50201409582021110313317567694", OutRefundNo: "R1", TransactionID: "4200001126202109090793359667", OutTradeNo: "O1",
		Channel: "ORIGINAL", Status: refund.StatusProcessing,
		Amount: refund.Amount{
			Total: 100, Refund: 60, PayerTotal: ptr(700), PayerRefund: ptr(420), DiscountRefund: ptr(3), Currency: "EUR", PayerCurrency: "CNY",
		},
		PromotionDetail: []refund.Promotion{{PromotionID: "10000", Type: "COUPON", RefundAmount: 3}},
	}
}

// globalFound is a query's answer with its currencies.
var globalFound = fields{
	"return_code": "SUCCESS", "return_msg": "OK", "result_code": "SUCCESS", "appid": "wx2421b1c4370ec43b", "mch_id": "10000100", "nonce_str": "0ScvLJ2uasseqcoQ",
	"transaction_id": "4200001126202109090793359667", "out_trade_no": "O1", "total_fee": 100, "fee_type": "EUR", "cash_fee": 700, "cash_fee_type": "CNY",
	"refund_count": 1, "out_refund_no_0": "R1", "refund_id_0": "50201409582021110313317567694", "refund_channel_0": "ORIGINAL",
	"refund_fee_0": 60, "refund_fee_type_0": "EUR", "cash_refund_fee_0": 420, "cash_refund_fee_type_0": "CNY", "coupon_refund_fee_0": 3,
	"coupon_refund_count_0": 1, "coupon_type_0_0": "CASH", "coupon_refund_id_0_0": "10000", "coupon_refund_fee_0_0": 3,
	"refund_status_0": "SUCCESS", "refund_recv_accout_0": "支付用户零钱", "refund_success_time_0": "2016-07-25 15:26:26",
}

// globalRequest is what Global can carry.
func globalRequest() refund.Request {
	req := request()
	req.FundsAccount, req.GoodsDetail, req.Amount.From, req.Amount.Currency = "", nil, nil, "EUR"
	return req
}

func bothGlobal(c refund.Channel) map[string]func(context.Context) error {
	calls := both(c)
	calls["refund"] = func(ctx context.Context) error { _, err := c.Refund(ctx, globalRequest()); return err }
	return calls
}

// Every input and every output of WeChat Pay Global, Submit Refund, in both modes, signed in both ways.
func TestGlobalRefundOnTheWire(t *testing.T) {
	for _, by := range []wxpay.SignType{wxpay.SignMD5, wxpay.SignHMACSHA256} {
		for mode, more := range map[string]fields{"common": {}, "institutional": {"sub_appid": "wx8888888888888888", "sub_mch_id": "1900000109"}} {
			t.Run(string(by)+" "+mode, func(t *testing.T) {
				c := serveGlobal(t, func(w http.ResponseWriter, r *http.Request, asked wxpay.Fields) {
					if r.Method != http.MethodPost || r.URL.RequestURI() != "/secapi/pay/refund" || len(r.TLS.PeerCertificates) != 1 {
						t.Errorf("%s %s", r.Method, r.URL)
					}
					if got := r.Header.Get("Content-Type"); got != "text/xml; charset=utf-8" || r.Header.Get("User-Agent") == "" {
						t.Errorf("%v", r.Header)
					}
					if n := len(asked["nonce_str"]); n < 16 || n > 32 {
						t.Errorf("nonce_str %q", asked["nonce_str"])
					}
					if want := map[wxpay.SignType]int{wxpay.SignMD5: 32, wxpay.SignHMACSHA256: 64}[by]; len(asked["sign"]) != want {
						t.Errorf("sign %q", asked["sign"])
					}
					delete(asked, "nonce_str")
					delete(asked, "sign")
					want := wxpay.Fields{
						"appid": "wx2421b1c4370ec43b", "mch_id": "10000100", "sign_type": string(by),
						"transaction_id": "1217752501201407033233368018", "out_trade_no": "O1", "out_refund_no": "R1",
						"total_fee": "100", "refund_fee": "60", "refund_fee_type": "EUR", "refund_desc": "商品]]>&<已售完", "notify_url": "https://shop.example/notify",
					}
					for name, value := range more {
						want[name] = value.(string)
					}
					isEqual(t, "fields", want, asked)
					_, _ = io.WriteString(w, signedXML(globalAccepted.with(more), by))
				})
				c.SignType, c.NotifyURL = by, "https://shop.example/notify"
				if mode == "institutional" {
					c.SubAppID, c.SubMchID = "wx8888888888888888", "1900000109"
				}
				req := globalRequest()
				req.Reason = "商品]]>&<已售完"
				got, err := c.Refund(t.Context(), req)
				isAnswer(t, "the answer", wantGlobal(), got, err)
			})
		}
	}
}

// What is not given is not sent: an empty field would be signed by no one.
func TestGlobalNeededFields(t *testing.T) {
	c := serveGlobal(t, func(w http.ResponseWriter, _ *http.Request, asked wxpay.Fields) {
		for name, value := range asked {
			if value == "" {
				t.Errorf("%s is empty", name)
			}
		}
		if len(asked) != 10 {
			t.Errorf("%v", asked)
		}
		_, _ = io.WriteString(w, globalAccepted.signed())
	})
	req := refund.Request{OutRefundNo: "R1", OutTradeNo: "O1", Amount: refund.RequestAmount{Refund: 60, Total: 100, Currency: "EUR"}}
	if _, err := c.Refund(t.Context(), req); err != nil {
		t.Error(err)
	}
}

func TestGlobalQueryOnTheWire(t *testing.T) {
	for name, c := range map[string]struct {
		lookup refund.Lookup
		want   map[string]string
	}{
		"refund_id":      {refund.Lookup{RefundID: "50201409582021110313317567694", OutRefundNo: "R1"}, map[string]string{"refund_id": "50201409582021110313317567694"}},
		"out_refund_no":  {refund.Lookup{OutRefundNo: "R1", OutTradeNo: "O1", Offset: 3}, map[string]string{"out_refund_no": "R1"}},
		"transaction_id": {refund.Lookup{TransactionID: "4200001126202109090793359667", OutTradeNo: "O1"}, map[string]string{"transaction_id": "4200001126202109090793359667"}},
		"out_trade_no":   {refund.Lookup{OutTradeNo: "O1", Offset: 3}, map[string]string{"out_trade_no": "O1", "offset": "3"}},
	} {
		t.Run(name, func(t *testing.T) {
			ch := serveGlobal(t, func(w http.ResponseWriter, r *http.Request, asked wxpay.Fields) {
				if r.Method != http.MethodPost || r.URL.RequestURI() != "/pay/refundquery" {
					t.Errorf("%s %s", r.Method, r.URL)
				}
				for _, name := range []string{"nonce_str", "sign", "sign_type", "appid", "mch_id"} {
					if asked[name] == "" {
						t.Errorf("no %s", name)
					}
					delete(asked, name)
				}
				isEqual(t, "fields", c.want, map[string]string(asked))
				_, _ = io.WriteString(w, globalFound.signed())
			})
			want := wantGlobal()
			want.Status, want.UserReceivedAccount, want.SuccessTime = refund.StatusSuccess, "支付用户零钱", "2016-07-25T15:26:26+08:00"
			page, err := ch.Query(t.Context(), c.lookup)
			isAnswer(t, "the answer", []refund.Refund{want}, page.Refunds, err)
		})
	}
}

// Which currency amounts are in: the order's, else the refund's, which is the
// same; what was paid is CNY unless something else is said.
func TestGlobalCurrencies(t *testing.T) {
	for name, c := range map[string]struct {
		change          fields
		currency, payer string
	}{
		"all":                  {fields{}, "EUR", "CNY"},
		"no fee_type":          {fields{"fee_type": nil}, "EUR", "CNY"},
		"no refund_fee_type":   {fields{"refund_fee_type": nil, "refund_fee_type_0": nil}, "EUR", "CNY"},
		"no currency":          {fields{"fee_type": nil, "refund_fee_type": nil, "refund_fee_type_0": nil}, "", "CNY"},
		"no cash_fee_type":     {fields{"cash_fee_type": nil}, "EUR", "CNY"},
		"no currency of cash":  {fields{"cash_fee_type": nil, "cash_refund_fee_type": nil, "cash_refund_fee_type_0": nil}, "EUR", "CNY"},
		"cash in HKD":          {fields{"cash_fee_type": "HKD", "cash_refund_fee_type": "HKD", "cash_refund_fee_type_0": "HKD"}, "EUR", "HKD"},
		"only of refunded one": {fields{"cash_fee_type": nil, "cash_refund_fee_type": "HKD", "cash_refund_fee_type_0": "HKD"}, "EUR", "HKD"},
		"no cash": {fields{
			"cash_fee": nil, "cash_fee_type": nil, "cash_refund_fee": nil, "cash_refund_fee_0": nil, "cash_refund_fee_type": nil, "cash_refund_fee_type_0": nil,
		}, "EUR", ""},
		"JPY": {fields{"fee_type": "JPY", "refund_fee_type": "JPY", "refund_fee_type_0": "JPY"}, "JPY", "CNY"},
	} {
		ch := serveGlobal(t, func(w http.ResponseWriter, r *http.Request, _ wxpay.Fields) {
			good := globalAccepted
			if r.URL.Path == "/pay/refundquery" {
				good = globalFound
			}
			_, _ = io.WriteString(w, good.with(c.change).signed())
		})
		got, err := ch.Refund(t.Context(), globalRequest())
		if err != nil || got.Amount.Currency != c.currency || got.Amount.PayerCurrency != c.payer {
			t.Errorf("%s, refund: %+v, %v", name, got.Amount, err)
		}
		page, err := ch.Query(t.Context(), refund.Lookup{OutRefundNo: "R1"})
		if err != nil || page.Refunds[0].Amount.Currency != c.currency || page.Refunds[0].Amount.PayerCurrency != c.payer {
			t.Errorf("%s, query: %+v, %v", name, page, err)
		}
	}
}

// resigned is an example of WeChat Pay Global, Submit Refund, white space and all, signed by our key.
func resigned(t *testing.T, name string, by wxpay.SignType) string {
	t.Helper()
	text, err := os.ReadFile("testdata/global/" + name + ".xml")
	if err != nil {
		t.Fatal(err)
	}
	f, err := wxpay.ParseFields(text, "xml")
	if err != nil {
		t.Fatal(err)
	}
	old := f["sign"]
	delete(f, "sign")
	sign, err := apiKey().Sign(f, by)
	if err != nil {
		t.Fatal(err)
	}
	return strings.Replace(string(text), old, sign, 1)
}

// The examples of WeChat Pay Global, Submit Refund.
func TestGlobalExamples(t *testing.T) {
	accepted := refund.Refund{
		RefundID: "50201409582021110313317567694", OutRefundNo: "REF16001202", TransactionID: "4200001126202109090793359667", OutTradeNo: "1678371718207313",
		Status: refund.StatusProcessing,
		Amount: refund.Amount{Total: 1, Refund: 1, PayerTotal: ptr(7), PayerRefund: ptr(7), DiscountRefund: ptr(0), Currency: "EUR", PayerCurrency: "CNY"},
	}
	minimal := refund.Refund{
		RefundID: "2008450740201411110000174436", OutRefundNo: "1415701182", TransactionID: "1008450740201411110005820873", OutTradeNo: "1415757673",
		Status: refund.StatusProcessing, Amount: refund.Amount{Refund: 1, PayerCurrency: "CNY"},
	}
	for _, c := range []struct {
		name, subMchID, outRefundNo string
		by                          wxpay.SignType
		want                        refund.Refund
		row                         errorRow
		text                        string
	}{
		{"accepted", "452532745", "REF16001202", wxpay.SignMD5, accepted, errorRow{}, ""},
		{"accepted-minimal", "", "1415701182", wxpay.SignMD5, minimal, errorRow{}, ""},
		{"accepted-minimal", "452532745", "1415701182", wxpay.SignMD5, minimal, errorRow{}, ""}, // without sub_mch_id all the same
		{"refused-fully-refunded", "452532745", "R1", wxpay.SignMD5, refund.Refund{}, errorRow{"INVALID_REQUEST", refund.CodeRejected, refund.LaterOrFix}, "订单已全额退款"},
		{"refused-not-enough", "440219171", "R1", wxpay.SignHMACSHA256, refund.Refund{}, errorRow{"NOTENOUGH", refund.CodeRejected, refund.Later}, "交易未结算资金不足,请使用可用余额退款"},
	} {
		ch := serveGlobalText(t, resigned(t, c.name, c.by))
		ch.SubMchID, ch.SignType = c.subMchID, c.by
		req := globalRequest()
		req.OutRefundNo = c.outRefundNo
		got, err := ch.Refund(t.Context(), req)
		if c.row.code != "" {
			checkRow(t, "refund", c.name, c.row, err)
			if m := refund.AsError(err).Message; m != "WeChat Pay refused: "+c.text {
				t.Errorf("%s: message %q", c.name, m)
			}
			continue
		}
		if want := c.want; err != nil || !cmp.Equal(want, got) {
			t.Errorf("%s: %v (-want +got):\n%s", c.name, err, cmp.Diff(want, got))
		}
	}
}

// globalRefundErrors is the error table of WeChat Pay Global, Submit Refund: it has
// one code more.
var globalRefundErrors = append(slices.Clone(cloudPayRefundErrors), errorRow{"APPID_MCHID_NOT_MATCH", refund.CodeRejected, refund.LaterOrFix})

func TestGlobalErrors(t *testing.T) {
	for call, table := range map[string][]errorRow{"refund": globalRefundErrors, "query": queryErrors} {
		for _, row := range table {
			if row.code == "" {
				continue
			}
			answer := refusal(row.code).toGlobal()
			ch := serveGlobalText(t, answer.signed())
			checkRow(t, call, row.code, row, bothGlobal(ch)[call](t.Context()))
		}
	}
}

// Of one valid answer one thing is changed, and then it says nothing any more.
func TestGlobalUnverifiableAnswers(t *testing.T) {
	good := globalAccepted.signed()
	end := strings.TrimSuffix(good, "</xml>")
	refused := globalAccepted.with(fields{"result_code": "FAIL", "err_code": "NOTENOUGH"})
	cases := map[string]string{
		"tampered":              strings.Replace(good, "CDATA[60]", "CDATA[61]", 1),
		"no signature":          strings.Replace(good, "sign>", "sing>", 2),
		"lower case":            strings.Replace(good, good[strings.Index(good, "<sign>"):strings.Index(good, "</sign>")], strings.ToLower(good[strings.Index(good, "<sign>"):strings.Index(good, "</sign>")]), 1),
		"another sign type":     signedXML(globalAccepted, wxpay.SignHMACSHA256),
		"a field added":         end + "<new>1</new></xml>",
		"an element twice":      end + "<refund_fee>60</refund_fee></xml>",
		"a DOCTYPE":             `<!DOCTYPE xml [<!ENTITY x "60">]>` + good,
		"a second root":         good + "<xml></xml>",
		"another root":          strings.Replace(strings.Replace(good, "<xml>", "<root>", 1), "</xml>", "</root>", 1),
		"a comment":             end + "<!-- --></xml>",
		"an attribute":          strings.Replace(good, "<xml>", `<xml a="b">`, 1),
		"JSON":                  accepted.json(),
		"return_code FAIL":      "<xml><return_code>FAIL</return_code><return_msg>签名失败</return_msg></xml>",
		"signed FAIL":           globalAccepted.with(fields{"return_code": "FAIL", "err_code": "NOTENOUGH"}).signed(),
		"an unsigned refusal":   "<xml><return_code>SUCCESS</return_code><result_code>FAIL</result_code><err_code>NOTENOUGH</err_code></xml>",
		"a tampered refusal":    strings.Replace(refused.signed(), "NOTENOUGH", "ERROR", 1),
		"another merchant":      globalAccepted.with(fields{"mch_id": "10000101"}).signed(),
		"another app":           globalAccepted.with(fields{"appid": "wx2421b1c4370ec43c"}).signed(),
		"a sub-merchant":        globalAccepted.with(fields{"sub_mch_id": "1900000109"}).signed(),
		"a sub-app":             globalAccepted.with(fields{"sub_appid": "wx8888888888888888"}).signed(),
		"no merchant":           globalAccepted.with(fields{"mch_id": nil}).signed(),
		"a refusal to another":  refused.with(fields{"mch_id": "10000101"}).signed(),
		"another refund":        globalAccepted.with(fields{"out_refund_no": "R2"}).signed(),
		"no refund":             globalAccepted.with(fields{"out_refund_no": nil}).signed(),
		"no result_code":        globalAccepted.with(fields{"result_code": nil}).signed(),
		"a malformed amount":    globalAccepted.with(fields{"total_fee": "1.00"}).signed(),
		"an amount below zero":  globalAccepted.with(fields{"refund_fee": -60}).signed(),
		"a refusal of no code":  refused.with(fields{"result_code": nil, "err_code": "ORDERNOTEXIST"}).signed(),
		"a field in two fields": globalAccepted.with(fields{"a": "1&b=2"}).signed(),
	}
	for name, answer := range cases {
		ch := serveGlobalText(t, answer)
		_, err := ch.Refund(t.Context(), globalRequest())
		isUnknown(t, name, err)
	}
	ch := serveGlobalText(t, good)
	if _, err := ch.Refund(t.Context(), globalRequest()); err != nil {
		t.Errorf("the valid one: %v", err)
	}
	ch.SubMchID = "1900000109"
	if _, err := ch.Refund(t.Context(), globalRequest()); err != nil {
		t.Errorf("without sub_mch_id: %v", err)
	}
}

// Whoever has configured HMAC-SHA256 takes nothing signed with MD5, whatever the answer says of itself.
func TestGlobalTakesNoWeakerSignature(t *testing.T) {
	for name, answer := range map[string]string{
		"MD5":          globalAccepted.signed(),
		"announced":    globalAccepted.with(fields{"sign_type": "MD5"}).signed(),
		"said to be":   strings.Replace(globalAccepted.signed(), "</xml>", "<sign_type>HMAC-SHA256</sign_type></xml>", 1),
		"no signature": "<xml><return_code>SUCCESS</return_code><result_code>SUCCESS</result_code></xml>",
	} {
		ch := serveGlobalText(t, answer)
		ch.SignType = wxpay.SignHMACSHA256
		_, err := ch.Refund(t.Context(), globalRequest())
		isUnknown(t, name, err)
	}
}

func TestBrokenGlobalAnswersLeaveTheOutcomeOpen(t *testing.T) {
	for name, more := range map[string]fields{
		"another refund": {"out_refund_no_0": "R2"}, "no refund": {"refund_count": 0}, "two refunds": {"refund_count": 2, "out_refund_no_1": "R1"},
		"no amount": {"refund_fee_0": nil}, "an amount of nothing": {"refund_fee_0": 0},
		"nothing told": {"out_refund_no_0": nil}, "too many": {"refund_count": 1 << 40},
	} {
		ch := serveGlobalText(t, globalFound.with(more).signed())
		_, err := ch.Query(t.Context(), refund.Lookup{OutRefundNo: "R1"})
		isUnknown(t, name, err)
	}
}

// Without the merchant's certificate nothing is accepted; to an upstream that
// another authority vouches for nothing is sent.
func TestGlobalMutualTLS(t *testing.T) {
	srv := startGlobal(t, func(http.ResponseWriter, *http.Request) { t.Error("a request came through") })
	ch := &channel.Global{Key: apiKey(), SignType: wxpay.SignMD5, AppID: "a", MchID: "m", Hosts: []string{srv.URL}}
	ch.HTTP = wxpay.NewHTTPClient(mutualTLS(srv))
	if _, err := ch.Refund(t.Context(), globalRequest()); !refund.IsCode(err, refund.CodeUnavailable) {
		t.Errorf("no certificate: %v, want unavailable", err)
	}
	ch.HTTP = wxpay.NewHTTPClient(&tls.Config{Certificates: []tls.Certificate{clientCertificate()}})
	_, err := ch.Refund(t.Context(), globalRequest())
	isUnsent(t, "another authority", err)
}

// The standby host is tried only if there was no connection to the first.
func TestGlobalAsksTheOtherHostOnlyIfNothingWasSent(t *testing.T) {
	var standby atomic.Int32
	ok := func(w http.ResponseWriter, _ *http.Request, _ wxpay.Fields) {
		standby.Add(1)
		_, _ = io.WriteString(w, globalAccepted.signed())
	}
	second := serveGlobal(t, ok)
	second.Hosts = append([]string{"https://127.0.0.1:1"}, second.Hosts...)
	if _, err := second.Refund(t.Context(), globalRequest()); err != nil || standby.Load() != 1 {
		t.Errorf("first is down: %v, standby asked %d times", err, standby.Load())
	}
	for _, name := range []string{"reset", "500", "HTML", "truncated", "hangs"} {
		standby.Store(0)
		pool := serveGlobal(t, ok)
		first := serveGlobal(t, func(w http.ResponseWriter, r *http.Request, _ wxpay.Fields) {
			broken[name](w, r, globalAccepted.signed())
		})
		first.Hosts = append(first.Hosts, pool.Hosts...)
		_, err := first.Refund(deadlineFor(t, name), globalRequest())
		isUnknown(t, name, err)
		if standby.Load() != 0 {
			t.Errorf("%s: the standby host was asked", name)
		}
	}
	second.Hosts = []string{"https://127.0.0.1:1", "https://127.0.0.1:1"}
	_, err := second.Refund(t.Context(), globalRequest())
	isUnsent(t, "both are down", err)
	second.Hosts = []string{"https://[::1"}
	_, err = second.Refund(t.Context(), globalRequest())
	isUnsent(t, "no host", err)
}

// Without hosts the one outside mainland China is asked, and the other stands by.
func TestGlobalsHostsAreTheDefault(t *testing.T) {
	srv := startGlobal(t, func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, globalAccepted.signed()) })
	config := mutualTLS(srv, clientCertificate())
	config.ServerName = "example.com" // whom the test server's certificate names
	var dialled []string
	client := &http.Client{Transport: &http.Transport{TLSClientConfig: config, DialContext: func(ctx context.Context, network, addr string) (net.Conn, error) {
		dialled = append(dialled, addr)
		if strings.HasPrefix(addr, "apihk.") {
			return nil, &net.OpError{Op: "dial", Net: network, Err: os.ErrDeadlineExceeded}
		}
		return (&net.Dialer{}).DialContext(ctx, network, srv.Listener.Addr().String())
	}}}
	ch := &channel.Global{HTTP: client, Key: apiKey(), SignType: wxpay.SignMD5, AppID: "wx2421b1c4370ec43b", MchID: "10000100"}
	if _, err := ch.Refund(t.Context(), globalRequest()); err != nil {
		t.Error(err)
	}
	isEqual(t, "dialled", []string{"apihk.mch.weixin.qq.com:443", "api.mch.weixin.qq.com:443"}, dialled)
}

func TestGlobalPages(t *testing.T) {
	checkPages(t, serveGlobal(t, func(w http.ResponseWriter, _ *http.Request, asked wxpay.Fields) {
		offset, _ := strconv.Atoi(asked["offset"])
		answer := pageOf(36, offset).toGlobal()
		_, _ = io.WriteString(w, answer.signed())
	}))
}

func TestGlobalCarries(t *testing.T) {
	notCarried(t, &channel.Global{}, globalRequest(), map[string]func(*refund.Request){
		"goods_detail":           func(r *refund.Request) { r.GoodsDetail = request().GoodsDetail },
		"amount.from[0].account": func(r *refund.Request) { r.Amount.From = request().Amount.From },
		"funds_account":          func(r *refund.Request) { r.FundsAccount = "AVAILABLE" },
		"out_refund_no must":     func(r *refund.Request) { r.OutRefundNo = strings.Repeat("1", 33) },
		"out_trade_no must":      func(r *refund.Request) { r.OutTradeNo = strings.Repeat("1", 33) },
		"transaction_id must":    func(r *refund.Request) { r.TransactionID = strings.Repeat("1", 33) },
		"transaction_id or":      func(r *refund.Request) { r.TransactionID, r.OutTradeNo = "", "" },
	})
	spec := (*channel.Global)(nil).Spec()
	if spec.Rate != 149 || spec.BadRate != 5 || spec.MaxRefunds != 49 || spec.Pace != time.Minute || !spec.Resend {
		t.Errorf("limits %+v, want fewer than those of WeChat Pay Global, Submit Refund", spec)
	}
}

// Neither the key nor the request is in an error.
func TestGlobalErrorsTellNoSecret(t *testing.T) {
	var b bytes.Buffer
	ch := serveGlobal(t, func(w http.ResponseWriter, _ *http.Request, _ wxpay.Fields) { hangUp(w) })
	for _, hosts := range [][]string{ch.Hosts, {"https://127.0.0.1:1"}, {"https://[::1"}} {
		ch.Hosts = hosts
		_, err := ch.Refund(t.Context(), globalRequest())
		fmt.Fprint(&b, err)
	}
	if strings.Contains(b.String(), "192006250b4c09247ec02edce69f6a2d") || strings.Contains(b.String(), "sign") {
		t.Errorf("%s", b.String())
	}
}

// A request that cannot be signed is the settings' fault: they are named, nothing
// is sent, and the number stays free.
func TestGlobalSettingsThatCannotSign(t *testing.T) {
	for name, change := range map[string]func(*channel.Global){
		"no key":                 func(c *channel.Global) { c.Key = wxpay.APIKey{} },
		"no sign type":           func(c *channel.Global) { c.SignType = "" },
		"an unknown sign type":   func(c *channel.Global) { c.SignType = "RSA" },
		"an appid of two lines":  func(c *channel.Global) { c.AppID += "\x01" },
		"a merchant of no UTF-8": func(c *channel.Global) { c.MchID += "\xff" },
	} {
		ch := serveGlobal(t, func(http.ResponseWriter, *http.Request, wxpay.Fields) { t.Error(name, "was sent") })
		change(ch)
		for call, do := range bothGlobal(ch) {
			e := refund.AsError(do(t.Context()))
			if e.Code != refund.CodeInternal || e.Next != refund.Later || !strings.Contains(e.Message, "WXPAY_API_KEY") || !strings.Contains(e.Message, "WXPAY_SIGN_TYPE") {
				t.Errorf("%s, %s: %s/%s %v", name, call, e.Code, e.Next, e)
			}
		}
	}
}
