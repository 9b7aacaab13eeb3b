package simulation_test

import (
	"context"
	"crypto"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"wxrefund/shared/config"
	"wxrefund/shared/sandbox"
	"wxrefund/shared/wxpay"
)

// keys are what takes long to make; they are made once and outside of any synctest.
var keys = sync.OnceValue(func() *keySet {
	k, err := newKeySet()
	if err != nil {
		panic(err)
	}
	return k
})

// A keySet is everybody's keys.
type keySet struct {
	sandbox  *sandbox.Keys
	settings map[string]string // of APIv3
	of       map[string]*setup // by channel

	public *rsa.PublicKey
	secret wxpay.APIv3Key
	client *x509.Certificate // of mutual TLS
}

// A setup is what one channel's environment makes of our side.
type setup struct {
	settings map[string]string
	system   *config.System // its ledger is closed; the simulation has another
}

const (
	wechatURL = "http://wechat.example"
	secureURL = "https://wechat.example"
	notifyURL = "https://merchant.example/notify"
	relayURL  = "http://relay.example/notify"
)

func urls() sandbox.URLs {
	return sandbox.URLs{WeChat: wechatURL, WeChatTLS: secureURL, Notify: notifyURL, Relay: relayURL}
}

func newKeySet() (*keySet, error) {
	var k keySet
	var err error
	quick := quickKeys()
	merchant, platform, public := quick[0], quick[1], quick[2]
	signer := func(key *rsa.PrivateKey) crypto.Signer {
		return quick[slices.IndexFunc(quick[:], func(k *quickKey) bool { return k.PrivateKey == key })]
	}
	if k.sandbox, err = sandbox.KeysOf(merchant.PrivateKey, platform.PrivateKey, public.PrivateKey, signer); err != nil {
		return nil, err
	}
	s, err := sandbox.New(sandbox.Config{Merchant: "public-key", Keys: k.sandbox, NotifyURL: notifyURL})
	if err != nil {
		return nil, err
	}
	s.SetURLs(urls())
	k.of = map[string]*setup{}
	for _, name := range append(others(), apiv3) {
		if k.of[name], err = newSetup(s, name); err != nil {
			return nil, err
		}
	}
	k.settings = k.of[apiv3].settings
	if k.client, err = clientCertificate(k.of["global"].settings["WXPAY_CLIENT_CERT"]); err != nil {
		return nil, err
	}
	if k.public, err = wxpay.ParsePublicKey(k.settings["WXPAY_PUBLIC_KEY"]); err != nil {
		return nil, err
	}
	k.secret, err = wxpay.ParseAPIv3Key(k.settings["WXPAY_APIV3_KEY"])
	return &k, err
}

// newSetup has config make a system of what the sandbox tells a function to be.
func newSetup(s *sandbox.Sandbox, name string) (*setup, error) {
	settings, err := s.Settings(name)
	if err != nil {
		return nil, err
	}
	if name == "cloudbase" { // whose module knows no bill: keys of APIv3 beside it have them read
		beside, err := s.Settings(apiv3)
		if err != nil {
			return nil, err
		}
		for name, value := range beside {
			if _, has := settings[name]; !has && strings.HasPrefix(name, "WXPAY_") {
				settings[name] = value
			}
		}
	}
	getenv := func(variable string) string {
		if variable == "LEDGER_URL" {
			return "sqlite::memory:"
		}
		return settings[variable]
	}
	sys, err := config.Load(context.Background(), getenv, nil)
	if err != nil {
		return nil, err
	}
	return &setup{settings, sys}, sys.Close()
}

func clientCertificate(text string) (*x509.Certificate, error) {
	block, _ := pem.Decode([]byte(text))
	if block == nil {
		return nil, errors.New("simulation: the client certificate is no PEM")
	}
	return x509.ParseCertificate(block.Bytes)
}

// ring holds the key that WeChat Pay signs with.
func ring() *wxpay.Keyring {
	k := keys()
	return wxpay.NewKeyring(map[string]*rsa.PublicKey{k.settings["WXPAY_PUBLIC_KEY_ID"]: k.public}, nil)
}

// quickly is who signs our requests, with the quick key that the settings hold as any other.
func quickly(s *wxpay.Signer) *wxpay.Signer {
	return &wxpay.Signer{MchID: s.MchID, SerialNo: s.SerialNo, Key: quickKeys()[0]}
}

// secrets are texts that must not stand in any log.
func (k *keySet) secrets() []string {
	return []string{
		k.settings["WXPAY_APIV3_KEY"], k.settings["WXPAY_PRIVATE_KEY"][40:80], "信用卡", "借记卡", "零钱",
		k.of["global"].settings["WXPAY_API_KEY"], k.of["wecom"].settings["WECOM_CORPSECRET"], k.of["cloudbase"].settings["TENCENTCLOUD_SECRETKEY"],
	}
}

// genuine says whether WeChat Pay has signed these bytes, in the last five
// minutes. It shares no code with what it checks.
func (w *world) genuine(h http.Header, body []byte) bool {
	timestamp := h.Get("Wechatpay-Timestamp")
	seconds, err := strconv.ParseInt(timestamp, 10, 64)
	if err != nil || time.Since(time.Unix(seconds, 0)).Abs() > 5*time.Minute || h.Get("Wechatpay-Serial") != keys().settings["WXPAY_PUBLIC_KEY_ID"] {
		return false
	}
	signature, err := base64.StdEncoding.DecodeString(h.Get("Wechatpay-Signature"))
	if err != nil {
		return false
	}
	message := append([]byte(timestamp+"\n"+h.Get("Wechatpay-Nonce")+"\n"), body...)
	digest := sha256.Sum256(append(message, '\n'))
	return rsa.VerifyPKCS1v15(keys().public, crypto.SHA256, digest[:], signature) == nil
}
