package apiv3_test

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha1"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"fmt"
	"strings"
	"testing"

	"wxrefund/shared/sandbox/sandboxtest"
	"wxrefund/shared/wxpay"
)

const echoPath = "/v3/security/echo"

// The echo is signed with the key that the request names, and what is encrypted comes
// back encrypted for the merchant.
func TestAnEchoSaysTheMessageBack(t *testing.T) {
	w := sandboxtest.New(t)
	public, err := wxpay.ParsePublicKey(w.Settings["WXPAY_PUBLIC_KEY"])
	if err != nil {
		t.Fatal(err)
	}
	sealed, err := rsa.EncryptOAEP(sha1.New(), rand.Reader, public, []byte("secret"), nil)
	if err != nil {
		t.Fatal(err)
	}
	a := w.Call("POST", echoPath, fmt.Sprintf(`{"echo_message":"hello","encrypted_echo_message":%q}`, base64.StdEncoding.EncodeToString(sealed)))
	if a.Status != 200 || a.Field("echo_message") != "hello" {
		t.Fatalf("got %d %s", a.Status, a.Body)
	}
	w.VerifyReply(a, w.Serial)
	text, _ := a.Field("encrypted_echo_message").(string)
	back, err := base64.StdEncoding.DecodeString(text)
	if err != nil {
		t.Fatal(err)
	}
	block, _ := pem.Decode([]byte(w.Settings["WXPAY_PRIVATE_KEY"]))
	merchant, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	plain, err := rsa.DecryptOAEP(sha1.New(), nil, merchant.(*rsa.PrivateKey), back, nil)
	if err != nil || string(plain) != "secret" {
		t.Errorf("got %q, %v; want secret", plain, err)
	}
}

func TestAnEchoIsRefused(t *testing.T) {
	for _, c := range []struct {
		name, serial, body, says string
	}{
		{"without a message", "PUB", `{}`, "必填性规则校验失败"},
		{"with an unknown field", "PUB", `{"echo_message":"m","x":1}`, "未在API文档中定义"},
		{"without the serial", "", `{"echo_message":"m"}`, "Wechatpay-Serial"},
		{"with a notification", "PUB", `{"echo_message":"m","notify_url":"https://merchant.example/n"}`, "not played here"},
		{"encrypted in no base64", "PUB", `{"echo_message":"m","encrypted_echo_message":"%"}`, "是否为加密后的密文"},
		{"encrypted for nobody", "PUB", `{"echo_message":"m","encrypted_echo_message":"AAAA"}`, "是否为加密后的密文"},
		{"encrypted for an unknown key", "5157F09EFDC096DE", `{"echo_message":"m","encrypted_echo_message":"AAAA"}`, "是否为加密后的密文"},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := sandboxtest.New(t)
			if c.serial != "PUB" {
				w.Serial = c.serial
			}
			a := w.Call("POST", echoPath, c.body)
			if a.Status != 400 || a.Field("code") != "PARAM_ERROR" || !strings.Contains(string(a.Body), c.says) {
				t.Errorf("got %d %s, want 400 with %q", a.Status, a.Body, c.says)
			}
		})
	}
}
