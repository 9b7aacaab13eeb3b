package wxpay

import (
	"context"
	"crypto/md5"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"math/big"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"
)

// The cast of these tests. RSA keys take long to find, so each is made once.
var (
	merchantKey = sync.OnceValue(newKey) // the merchant's
	platformKey = sync.OnceValue(newKey) // WeChat Pay's, of pubID and of certificate 1
	nextKey     = sync.OnceValue(newKey) // WeChat Pay's next one, of certificate 2
	forgerKey   = sync.OnceValue(newKey) // nobody's
)

const (
	mchID       = "1900000109"
	mchSerial   = "1DDE55AD98ED71D6EDD4A4A16996DE7B47773A8C"
	pubID       = "PUB_KEY_ID_0119000001092024110100000000000001"
	apiV3Secret = "canary-APIv3-key-0123456789abcde" // 32 bytes
	nonce       = "593BEC0C930BF1AFEB40B4A08C8FB242"
)

func newKey() *rsa.PrivateKey {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		panic(err)
	}
	return key
}

func newSigner() *Signer { return &Signer{MchID: mchID, SerialNo: mchSerial, Key: merchantKey()} }

func newPlatform() *Platform { return &Platform{Serial: pubID, Key: platformKey()} }

func newAPIv3Key(t testing.TB) APIv3Key { return apiV3Key(t, apiV3Secret) }

func apiV3Key(t testing.TB, text string) APIv3Key {
	t.Helper()
	k, err := ParseAPIv3Key(text)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

// newKeyring trusts the public key, and counts RSA operations in *ops.
func newKeyring(ops *int) *Keyring {
	k := NewKeyring(map[string]*rsa.PublicKey{pubID: &platformKey().PublicKey}, nil)
	k.check = func(key *rsa.PublicKey, message, sig []byte) error {
		*ops++
		return checkRSA(key, message, sig)
	}
	return k
}

// issue makes a self-signed certificate. Those that live in a synctest bubble,
// where it is the year 2000, must be valid then.
func issue(t testing.TB, serial string, key *rsa.PrivateKey, notBefore, notAfter time.Time) *x509.Certificate {
	t.Helper()
	n, ok := new(big.Int).SetString(serial, 16)
	if !ok {
		t.Fatalf("serial %q", serial)
	}
	der, err := x509.CreateCertificate(rand.Reader, &x509.Certificate{
		SerialNumber: n,
		Subject:      pkix.Name{CommonName: "Tenpay.com sign"},
		NotBefore:    notBefore,
		NotAfter:     notAfter,
	}, &x509.Certificate{Subject: pkix.Name{CommonName: "Tenpay.com Root CA"}, SerialNumber: big.NewInt(1)}, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return cert
}

const (
	serial1 = "0B1F6A3C5D7E9012B4C6D8EAFC0E1F2031425364" // begins with a zero digit, as one in sixteen does
	serial2 = "5157F09EFDC096DE15EBE81A47057A7232F1B8E1"
)

func date(year int) time.Time { return time.Date(year, 1, 1, 0, 0, 0, 0, time.UTC) }

func certPEM(c *x509.Certificate) string {
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c.Raw}))
}

func pkcs8PEM(t testing.TB, key any) string {
	t.Helper()
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}))
}

func pkixPEM(t testing.TB, key any) string {
	t.Helper()
	der, err := x509.MarshalPKIXPublicKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}))
}

// newRefundNotification is a refund notification of the size that WeChat Pay sends.
func newRefundNotification() RefundNotification {
	return RefundNotification{
		MchID:               mchID,
		TransactionID:       "4200001033202103174906823417",
		OutTradeNo:          "20210317161533000001",
		RefundID:            "50300007582021031706884310217",
		OutRefundNo:         "R20210317161533000001",
		RefundStatus:        "SUCCESS",
		SuccessTime:         "2021-03-17T16:18:02+08:00",
		UserReceivedAccount: "招商银行信用卡0403",
		Amount:              NotificationAmount{Total: 999, Refund: 999, PayerTotal: new(int64(950)), PayerRefund: new(int64(950))},
	}
}

// newNotification seals the notification and returns the body of the request that brings it.
func newNotification(t testing.TB, notification RefundNotification) []byte {
	t.Helper()
	plain, err := json.Marshal(notification)
	if err != nil {
		t.Fatal(err)
	}
	resource, err := newAPIv3Key(t).Seal("refund", "refund", plain)
	if err != nil {
		t.Fatal(err)
	}
	body, err := json.Marshal(Notification{
		ID:           "bc1b0a3e-6d19-5f0b-9f0c-2a5c5d0a8f11",
		CreateTime:   "2021-03-17T16:18:02+08:00",
		EventType:    "REFUND.SUCCESS",
		ResourceType: "encrypt-resource",
		Summary:      "退款成功",
		Resource:     resource,
	})
	if err != nil {
		t.Fatal(err)
	}
	return body
}

// now is the time of the pure tests.
func now() time.Time { return time.Unix(1554208460, 0) }

// newSigned returns a notification with headers that verify at the time now.
func newSigned(t testing.TB) (http.Header, []byte) {
	t.Helper()
	body := newNotification(t, newRefundNotification())
	h := http.Header{}
	if err := newPlatform().sign(h, body, now(), nonce); err != nil {
		t.Fatal(err)
	}
	return h, body
}

func verifyNow(k *Keyring, h http.Header, body []byte) error {
	return k.verify(context.Background(), h, body, now())
}

// checkSecrets fails the test if a text holds a secret, what is a customer's, or
// anything that was given to a test to hide.
func checkSecrets(t testing.TB, where, text string) {
	t.Helper()
	key := merchantKey()
	sealing := fmt.Sprintf("%x", md5.Sum([]byte(apiSecretText))) // the key of req_info
	for name, secret := range map[string]string{
		"the APIv3 key (dec)": strings.Trim(fmt.Sprint([]byte(apiV3Secret[:8])), "[]"),
		"the APIv3 key (hex)": fmt.Sprintf("%x", apiV3Secret[:8]),
		"D in decimal":        key.D.String()[:24],
		"D in hex":            key.D.Text(16)[:24],
		"a prime in decimal":  key.Primes[0].String()[:24],
		"an Authorization":    scheme + " mchid",
		"what it was given":   "canary", // the APIv3 key, the API key, a body or a refund number
		"a card":              "0403",
		"PEM":                 "BEGIN PRIVATE",

		"the API key (dec)":        strings.Trim(fmt.Sprintf("%d", []byte(apiSecretText[:8])), "[]"),
		"the API key (hex)":        fmt.Sprintf("%x", apiSecretText[:8]),
		"the API key (HEX)":        fmt.Sprintf("%X", apiSecretText[:8]),
		"the key of req_info":      sealing,
		"the key of req_info (go)": strings.Trim(fmt.Sprintf("%#v", []byte(sealing[:8])), "[]byte{}"),
	} {
		if strings.Contains(text, secret) {
			t.Errorf("%s holds %s: %s", where, name, text)
		}
	}
}
