package wxpay

import (
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"reflect"
	"strings"
	"testing"
	"time"
	"unicode/utf8"
)

func FuzzParseAuthorization(f *testing.F) {
	a := newAttributes(f)
	f.Add(scheme + " " + strings.Join(a, ","))
	f.Add(scheme + " " + strings.Join(a, " , ") + " ")
	f.Add(scheme + ` mchid="",mchid="1"`)
	f.Add(scheme + ` signature="",,`)
	f.Add(`Bearer a.b.c`)
	f.Fuzz(func(t *testing.T, header string) {
		c, err := ParseAuthorization(header)
		if err != nil {
			if !errors.Is(err, ErrHeader) || c != (Credential{}) {
				t.Fatalf("credential %v, error %v", c, err)
			}
			return
		}
		for _, s := range []string{c.MchID, c.SerialNo, c.Nonce} {
			if !isToken(s) || strings.Contains(s, `"`) {
				t.Fatalf("%q was let through", s)
			}
		}
		// Written down again, it is the same.
		again := fmt.Sprintf(`%s signature="%s",serial_no="%s",nonce_str="%s",mchid="%s",timestamp="%d"`, scheme, c.Signature, c.SerialNo, c.Nonce, c.MchID, c.Timestamp)
		if c2, err := ParseAuthorization(again); err != nil || c2 != c {
			t.Fatalf("%v became %v, error %v", c, c2, err)
		}
		// Nobody knows the key, so nothing verifies, and nothing panics.
		if err := c.Verify(&forgerKey().PublicKey, "POST", "/", nil, now()); err == nil {
			t.Fatal("it verifies")
		}
	})
}

func FuzzVerify(f *testing.F) {
	h, body := newSigned(f)
	f.Add(h.Get(headerTimestamp), h.Get(headerNonce), h.Get(headerSignature), h.Get(headerSerial), h.Get(headerType), body)
	f.Add(h.Get(headerTimestamp), h.Get(headerNonce), probe, h.Get(headerSerial), "", []byte(nil))
	ops := 0
	k := newKeyring(&ops)
	f.Fuzz(func(t *testing.T, timestamp, nonce, signature, serial, kind string, b []byte) {
		g := http.Header{headerTimestamp: {timestamp}, headerNonce: {nonce}, headerSignature: {signature}, headerSerial: {serial}, headerType: {kind}}
		if kind == "" {
			g.Del(headerType)
		}
		err := verifyNow(k, g, b)
		same := timestamp == h.Get(headerTimestamp) && nonce == h.Get(headerNonce) && signature == h.Get(headerSignature) && string(b) == string(body)
		if err == nil && !same {
			t.Fatal("a forged notification was accepted")
		}
		if err != nil && couldNotTell(err) {
			t.Fatal("refused without a reason that callers know:", err)
		}
	})
}

func FuzzParseNotification(f *testing.F) {
	valid := string(newNotification(f, newRefundNotification()))
	f.Add([]byte(valid))
	for _, s := range malformed(valid) {
		f.Add([]byte(s))
	}
	f.Add([]byte(`{"id":"\u0031","event_type":"\\\"","resource":{"algorithm":"a","ciphertext":"b","nonce":"c"},"x":[{"y":"]}"}]}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		n, err := ParseNotification(body)
		if err != nil {
			if !errors.Is(err, ErrFormat) || n != (Notification{}) {
				t.Fatalf("notification %v, error %v", n, err)
			}
			return
		}
		if n.LeftOut == "" { // encoding/json refuses what we leave out
			checkAgainstJSON(t, body, n)
		}
		newAPIv3Key(t).Open(n.Resource) // whatever comes here must not panic
	})
}

func FuzzParseRefundNotification(f *testing.F) {
	valid, _ := json.Marshal(newRefundNotification())
	f.Add(valid)
	for _, s := range malformed(string(valid)) {
		f.Add([]byte(s))
	}
	for _, odd := range []string{`"success_time":20261215094601,`, `"success_time":"20261215094601",`, `"user_received_account":{},`, `"success_time":"","success_time":"",`} {
		f.Add([]byte(strings.Replace(string(valid), "{", "{"+odd, 1)))
	}
	f.Add([]byte(strings.Replace(string(valid), `"payer_total":950`, `"payer_total":"950"`, 1)))
	f.Add([]byte(`{"sp_mchid":"1","transaction_id":"2","out_refund_no":"3","refund_id":"4","refund_status":"5","amount":{"total":9007199254740993,"refund":1,"payer_total":-0}}`))
	f.Fuzz(func(t *testing.T, plain []byte) {
		l, err := ParseRefundNotification(plain)
		if err != nil {
			if !errors.Is(err, ErrFormat) || !reflect.DeepEqual(l, RefundNotification{}) {
				t.Fatalf("notification %v, error %v", l, err)
			}
			return
		}
		if l.Amount.Refund <= 0 || l.Amount.Total <= 0 || l.OutRefundNo == "" || l.RefundStatus == "" {
			t.Fatalf("notification %v was let through", l)
		}
		if l.SuccessTime != "" {
			if _, err := time.Parse(time.RFC3339, l.SuccessTime); err != nil {
				t.Fatalf("success_time %q was let through", l.SuccessTime)
			}
		}
		for _, n := range []*int64{l.Amount.PayerTotal, l.Amount.PayerRefund} {
			if n != nil && *n < 0 {
				t.Fatalf("amount %d was let through", *n)
			}
		}
		var written struct{ Success_Time string }
		_ = json.Unmarshal(plain, &written)
		if l.LeftOut == "" && written.Success_Time == l.SuccessTime { // encoding/json refuses what we leave out, and writes no time anew
			checkAgainstJSON(t, plain, l)
		}
	})
}

// checkAgainstJSON holds what our decoder read against encoding/json: what we
// accept it reads alike, but for names in another case, which only it takes.
func checkAgainstJSON[T any](t *testing.T, data []byte, ours T) {
	t.Helper()
	if !utf8.Valid(data) {
		t.Fatal("it is not UTF-8")
	}
	var any map[string]any
	var theirs T
	if err := json.Unmarshal(data, &any); err != nil {
		t.Fatal("it is not a JSON object:", err)
	}
	if hasCapitals(any) {
		return
	}
	if err := json.Unmarshal(data, &theirs); err != nil || !reflect.DeepEqual(theirs, ours) {
		t.Fatalf("ours %+v, encoding/json %+v, error %v", ours, theirs, err)
	}
	again, err := json.Marshal(ours)
	if err != nil {
		t.Fatal(err)
	}
	var back T
	if err := json.Unmarshal(again, &back); err != nil || !reflect.DeepEqual(back, ours) {
		t.Fatalf("encoded and decoded, %+v became %+v, error %v", ours, back, err)
	}
}

// hasCapitals reports whether a name anywhere in v may be folded to another.
func hasCapitals(v any) bool {
	switch v := v.(type) {
	case map[string]any:
		for name, value := range v {
			if name != strings.ToLower(name) || strings.ContainsFunc(name, func(r rune) bool { return r > '~' }) || hasCapitals(value) {
				return true
			}
		}
	case []any:
		for _, value := range v {
			if hasCapitals(value) {
				return true
			}
		}
	}
	return false
}

func FuzzOpen(f *testing.F) {
	k := newAPIv3Key(f)
	r, err := k.Seal("refund", "refund", []byte(`{"a":1}`))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(r.Algorithm, r.Ciphertext, r.Nonce, r.AssociatedData)
	f.Add(r.Algorithm, "", "", "")
	f.Add(r.Algorithm, "AAAAAAAAAAAAAAAAAAAAAA==", "0123456789ab", "")
	f.Add(r.Algorithm, "\n\nAAAA", "0123456789abcdef", strings.Repeat("x", 1000))
	f.Fuzz(func(t *testing.T, algorithm, ciphertext, nonce, associated string) {
		got := Resource{Algorithm: algorithm, Ciphertext: ciphertext, Nonce: nonce, AssociatedData: associated}
		plain, err := k.Open(got)
		if err != nil {
			if !errors.Is(err, ErrOpen) || plain != nil {
				t.Fatalf("%d bytes, error %v", len(plain), err)
			}
			return
		}
		// Only we can have sealed it: line feeds aside, which base64 skips, it must
		// be what sealing gives.
		again, err := k.seal("", associated, plain, nonce)
		if err != nil || again.Ciphertext != strings.NewReplacer("\r", "", "\n", "").Replace(ciphertext) {
			t.Fatalf("%v opened, but is not what sealing gives", got)
		}
	})
}

// The look at a key's form refuses nothing that is a key, and what gets past it without
// being one does not sign.
func FuzzParsePrivateKey(f *testing.F) {
	for _, text := range spellings(pkcs8PEM(f, merchantKey())) {
		f.Add(text)
	}
	f.Add(pemOf("RSA PRIVATE KEY", x509.MarshalPKCS1PrivateKey(merchantKey())))
	f.Add(pkcs8PEM(f, ecKey()))
	f.Add("-----BEGIN PRIVATE KEY-----\nMAA=\n-----END PRIVATE KEY-----\n")
	f.Fuzz(func(t *testing.T, text string) {
		key, err := ParsePrivateKey(text)
		if (key == nil) != (err != nil) || err != nil && !errors.Is(err, ErrFormat) {
			t.Fatalf("key %t, error %v", key != nil, err)
		}
		if key == nil {
			block, err := decodePEM(text, "", "PRIVATE KEY", "RSA PRIVATE KEY")
			if err != nil {
				return
			}
			whole := wholeKey(block.Bytes, block.Type == "RSA PRIVATE KEY")
			if whole != nil && whole.N.BitLen() >= minBits && whole.N.BitLen() <= maxBits {
				t.Fatal("a valid key is refused")
			}
			return
		}
		_, err = sign(key, nil)
		if bad := key.Check(); (bad != nil) != (err != nil) || bad != nil && !errors.Is(bad, ErrFormat) {
			t.Fatalf("Check: %v; signing: %v", bad, err)
		}
		if whole, bad := key.whole(); bad == nil && (whole.N.BitLen() < minBits || whole.Validate() != nil || !whole.PublicKey.Equal(key.Public())) {
			t.Fatalf("a key of %d bits was let through", whole.N.BitLen())
		}
	})
}

func FuzzParseCertificate(f *testing.F) {
	for _, text := range spellings(certPEM(issue(f, serial1, platformKey(), date(1999), date(2030)))) {
		f.Add(text)
	}
	f.Add(pkixPEM(f, &platformKey().PublicKey))
	f.Add("-----BEGIN CERTIFICATE-----\nMAA=\n-----END CERTIFICATE-----\n")
	f.Fuzz(func(t *testing.T, text string) {
		cert, err := ParseCertificate(text)
		if (cert == nil) != (err != nil) || err != nil && !errors.Is(err, ErrFormat) {
			t.Fatalf("certificate %t, error %v", cert != nil, err)
		}
		if cert != nil {
			SerialNo(cert)
		}
		if key, err := ParsePublicKey(text); (key == nil) != (err != nil) || err != nil && !errors.Is(err, ErrFormat) {
			t.Fatalf("public key %t, error %v", key != nil, err)
		}
	})
}
