package wxpay

import (
	"bytes"
	"crypto/rsa"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/wechatpay-apiv3/wechatpay-go/core"
	"github.com/wechatpay-apiv3/wechatpay-go/core/auth"
	"github.com/wechatpay-apiv3/wechatpay-go/core/auth/signers"
	"github.com/wechatpay-apiv3/wechatpay-go/core/auth/verifiers"
	"github.com/wechatpay-apiv3/wechatpay-go/core/consts"
	"github.com/wechatpay-apiv3/wechatpay-go/core/notify"
)

// In this file WeChat Pay's own SDK judges what we write, and we judge what it
// writes. A mistake that our two halves share cannot pass here. How the SDK refunds,
// asks and downloads certificates is tested at the sandbox.

// requests are what is signed in these tests.
var requests = []struct{ method, uri, body string }{
	{"GET", "/v3/certificates", ""},
	{"GET", "/v3/refund/domestic/refunds/R-1_2%7C3%2A4%405?sub_mchid=1900000109", ""},
	{"POST", "/v3/refund/domestic/refunds", `{"out_refund_no":"1","reason":"商品已售完","amount":{"refund":1,"total":2,"currency":"CNY"}}`},
	{"POST", "/v3/refund/domestic/refunds/50000000382019052709732678859/apply-abnormal-refund", "{}\n"},
	{"PUT", "/", "\x00\xff\n\n"},
}

func sdkSigner() *signers.SHA256WithRSASigner {
	return &signers.SHA256WithRSASigner{MchID: mchID, CertificateSerialNo: mchSerial, PrivateKey: merchantKey()}
}

// sdkVerifiers are the SDK's three ways of knowing a key: all know the platform's.
func sdkVerifiers(t testing.TB) map[string]auth.Verifier {
	certs := core.NewCertificateMapWithList([]*x509.Certificate{issue(t, serial2, nextKey(), date(1999), date(2098))})
	return map[string]auth.Verifier{
		pubID:              verifiers.NewSHA256WithRSAPubkeyVerifier(pubID, platformKey().PublicKey),
		serial2:            verifiers.NewSHA256WithRSAVerifier(certs),
		"a or b: " + pubID: verifiers.NewSHA256WithRSACombinedVerifier(certs, pubID, platformKey().PublicKey),
	}
}

func TestOracleAuthorizationIsTheSDKs(t *testing.T) {
	for _, r := range requests {
		ours, err := newSigner().authorize(r.method, r.uri, []byte(r.body), 1554208460, nonce)
		if err != nil {
			t.Fatal(err)
		}
		sig, err := sdkSigner().Sign(t.Context(), fmt.Sprintf(consts.SignatureMessageFormat, r.method, r.uri, 1554208460, nonce, r.body))
		if err != nil {
			t.Fatal(err)
		}
		theirs := fmt.Sprintf(consts.HeaderAuthorizationFormat, "WECHATPAY2-SHA256-RSA2048", sig.MchID, nonce, 1554208460, sig.CertificateSerialNo, sig.Signature)
		if diff := cmp.Diff(theirs, ours); diff != "" {
			t.Errorf("%s %s (-SDK +ours):\n%s", r.method, r.uri, diff)
		}
		c, err := ParseAuthorization(theirs)
		if err != nil {
			t.Fatal(err)
		}
		if err := c.Verify(&merchantKey().PublicKey, r.method, r.uri, []byte(r.body), now()); err != nil {
			t.Errorf("%s %s: %v", r.method, r.uri, err)
		}
		if err := c.Verify(&merchantKey().PublicKey, r.method, r.uri, []byte(r.body+" "), now()); err == nil {
			t.Errorf("%s %s: another body verifies too", r.method, r.uri)
		}
	}
}

func TestOracleSDKReadsOurNotification(t *testing.T) {
	for name, v := range sdkVerifiers(t) {
		handler, err := notify.NewRSANotifyHandler(apiV3Secret, v)
		if err != nil {
			t.Fatal(err)
		}
		p := newPlatform()
		if name == serial2 {
			p = &Platform{serial2, nextKey()}
		}
		body := newNotification(t, newRefundNotification())
		request := httptest.NewRequest("POST", "/notify", bytes.NewReader(body))
		if err := p.Sign(request.Header, body, time.Now()); err != nil {
			t.Fatal(err)
		}
		var notification RefundNotification
		n, err := handler.ParseNotifyRequest(t.Context(), request, &notification)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if diff := cmp.Diff(newRefundNotification(), notification); diff != "" {
			t.Errorf("%s, notification (-want +SDK):\n%s", name, diff)
		}
		ours, err := ParseNotification(body)
		if err != nil {
			t.Fatal(err)
		}
		theirs := Notification{n.ID, n.CreateTime.Format(time.RFC3339), n.EventType, n.ResourceType, n.Summary, Resource{
			n.Resource.OriginalType, n.Resource.Algorithm, n.Resource.Ciphertext, n.Resource.Nonce, n.Resource.AssociatedData,
		}, ""}
		if diff := cmp.Diff(theirs, ours); diff != "" {
			t.Errorf("%s, envelope (-SDK +ours):\n%s", name, diff)
		}
	}
}

// What the SDK takes we take. Where we are the stricter, the table says so.
func TestOracleSameVerdicts(t *testing.T) {
	handler, err := notify.NewRSANotifyHandler(apiV3Secret, verifiers.NewSHA256WithRSAPubkeyVerifier(pubID, platformKey().PublicKey))
	if err != nil {
		t.Fatal(err)
	}
	k, key := NewKeyring(map[string]*rsa.PublicKey{pubID: &platformKey().PublicKey}, nil), newAPIv3Key(t)
	sign := func(h http.Header, body []byte, at time.Time) {
		if err := newPlatform().Sign(h, body, at); err != nil {
			t.Fatal(err)
		}
	}
	resigned := func(f func(n *Notification)) func(http.Header, *[]byte) {
		return func(h http.Header, body *[]byte) {
			n, err := ParseNotification(*body)
			if err != nil {
				t.Fatal(err)
			}
			f(&n)
			*body, _ = json.Marshal(n)
			sign(h, *body, time.Now())
		}
	}
	for _, tt := range []struct {
		name      string
		mutate    func(h http.Header, body *[]byte)
		sdk, ours bool // accepted?
	}{
		{"nothing", func(http.Header, *[]byte) {}, true, true},
		{"body", func(_ http.Header, b *[]byte) { (*b)[20] ^= 1 }, false, false},
		{"type absent", func(h http.Header, _ *[]byte) { h.Del(headerType) }, true, true},
		{"290 s old", func(h http.Header, b *[]byte) { sign(h, *b, time.Now().Add(-290*time.Second)) }, true, true},
		{"290 s ahead", func(h http.Header, b *[]byte) { sign(h, *b, time.Now().Add(290*time.Second)) }, true, true},
		{"300 s old", func(h http.Header, b *[]byte) { sign(h, *b, time.Now().Add(-300*time.Second)) }, false, false},
		{"no associated data", resigned(func(n *Notification) {
			n.Resource, _ = key.Seal("refund", "", []byte(`{"mchid":"1","out_trade_no":"1","out_refund_no":"3","refund_id":"4","refund_status":"CLOSED","amount":{"total":2,"refund":1}}`))
		}), true, true},
		{"plain text not JSON", resigned(func(n *Notification) { n.Resource, _ = key.Seal("refund", "refund", []byte("x")) }), false, false},

		// Stricter than the SDK, and why.
		{"signature twice: which counts?", func(h http.Header, _ *[]byte) { h.Add(headerSignature, "x") }, true, false},
		{"signature in another spelling: not what was sent", func(h http.Header, _ *[]byte) { h.Set(headerSignature, respell(h.Get(headerSignature))) }, true, false},
		{"timestamp +5: not what was signed", func(h http.Header, _ *[]byte) { h.Set(headerTimestamp, "+"+h.Get(headerTimestamp)) }, true, false},
		{"serial with spaces around", func(h http.Header, _ *[]byte) { h.Set(headerSerial, " "+pubID+" ") }, true, false},
		{"an amount twice: which counts?", resigned(func(n *Notification) {
			n.Resource, _ = key.Seal("refund", "refund", []byte(`{"mchid":"1","out_trade_no":"1","out_refund_no":"3","refund_id":"4","refund_status":"CLOSED","amount":{"total":2,"refund":1,"refund":2}}`))
		}), true, false},
		{"a payment's notification: no refund in it", resigned(func(n *Notification) { n.Resource, _ = key.Seal("transaction", "transaction", []byte(`{"mchid":"1"}`)) }), true, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			h, body := fresh(t)
			tt.mutate(h, &body)
			_, err := readNotification(k, key, h, body)
			if (err == nil) != tt.ours {
				t.Errorf("ours: error %v, want accepted: %t", err, tt.ours)
			}
			request := httptest.NewRequest("POST", "/", bytes.NewReader(body))
			request.Header = h
			var content RefundNotification
			_, err = handler.ParseNotifyRequest(t.Context(), request, &content)
			if (err == nil) != tt.sdk {
				t.Errorf("SDK: error %v, want accepted: %t", err, tt.sdk)
			}
		})
	}
}
