package simulation_test

import (
	"crypto"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"net/http"
	"strconv"
	"sync"
	"time"

	"wxrefund/shared/sandbox"
	"wxrefund/shared/wxpay"
)

// keys are what takes long to make; they are made once and outside of any bubble.
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
	settings map[string]string

	merchant *rsa.PrivateKey
	public   *rsa.PublicKey
	secret   wxpay.APIv3Key
}

const (
	wechatURL = "http://wechat.example"
	notifyURL = "https://merchant.example/notify"
)

func newKeySet() (*keySet, error) {
	var k keySet
	var err error
	if k.sandbox, err = sandbox.GenerateKeys(); err != nil {
		return nil, err
	}
	s, err := sandbox.New(sandbox.Config{Keys: k.sandbox, NotifyURL: notifyURL})
	if err != nil {
		return nil, err
	}
	s.SetURLs(sandbox.URLs{WeChat: wechatURL, Notify: notifyURL})
	if k.settings, err = s.Settings("apiv3"); err != nil {
		return nil, err
	}
	if k.merchant, err = wxpay.ParsePrivateKey(k.settings["WXPAY_PRIVATE_KEY"]); err != nil {
		return nil, err
	}
	if k.public, err = wxpay.ParsePublicKey(k.settings["WXPAY_PUBLIC_KEY"]); err != nil {
		return nil, err
	}
	k.secret, err = wxpay.ParseAPIv3Key(k.settings["WXPAY_APIV3_KEY"])
	return &k, err
}

// secrets are texts that must not stand in any log.
func (k *keySet) secrets() []string {
	return []string{k.settings["WXPAY_APIV3_KEY"], k.settings["WXPAY_PRIVATE_KEY"][40:80], "信用卡", "借记卡", "零钱"}
}

// genuine says whether WeChat Pay has signed these bytes, in the last five
// minutes. It shares no code with what it judges.
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
