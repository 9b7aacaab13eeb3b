package sandbox

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"wxrefund/shared/wxpay"
)

// A credentials is everything that the merchant and its functions know.
type credentials struct {
	AppID          string `json:"appid"`
	MchID          string `json:"mchid"`
	SubMchID       string `json:"sub_mchid"`
	SerialNo       string `json:"serial_no"`
	PrivateKey     string `json:"private_key"`
	APIv3Key       string `json:"apiv3_key"`
	PublicKeyID    string `json:"public_key_id"`
	PublicKey      string `json:"public_key"`
	APIKey         string `json:"api_key"`
	ClientCert     string `json:"client_cert"`
	ClientKey      string `json:"client_key"`
	CACert         string `json:"ca_cert"`
	PlatformSerial string `json:"platform_serial"`
	PlatformCert   string `json:"platform_cert"`
	CorpID         string `json:"corpid"`
	CorpSecret     string `json:"corpsecret"`
	SecretID       string `json:"secret_id"`
	SecretKey      string `json:"secret_key"`
	EnvID          string `json:"env_id"`
}

// credentials shows the newest keys.
func (s *Sandbox) credentials() (credentials, error) {
	s.mu.Lock()
	platform, public := s.ring.newest()
	s.mu.Unlock()
	k := s.keys
	private, err := privatePEM(k.merchant.rsa())
	if err != nil {
		return credentials{}, err
	}
	publicKey, err := publicPEM(&public.key.PublicKey)
	if err != nil {
		return credentials{}, err
	}
	return credentials{
		AppID: appID, MchID: mchID, SubMchID: subMchID,
		SerialNo: wxpay.SerialNo(k.merchant.cert), PrivateKey: private, APIv3Key: k.apiV3Text.Reveal(),
		PublicKeyID: public.serial, PublicKey: publicKey, APIKey: k.apiKey.Reveal(),
		// The API certificate is the client certificate too.
		ClientCert: k.merchant.certPEM(), ClientKey: private, CACert: k.ca.certPEM(),
		PlatformSerial: platform.serial, PlatformCert: platform.cert,
		CorpID: k.corpID, CorpSecret: k.corpSecret.Reveal(), SecretID: k.secretID, SecretKey: k.secretKey.Reveal(), EnvID: k.envID,
	}, nil
}

// channels are the upstream systems that are played, and what one of our
// functions must be told to use them.
var channels = map[string]func(credentials, URLs) map[string]string{
	"apiv3": func(c credentials, u URLs) map[string]string {
		return map[string]string{
			"WXPAY_APPID": c.AppID, "WXPAY_MCHID": c.MchID,
			"WXPAY_SERIAL_NO": c.SerialNo, "WXPAY_PRIVATE_KEY": c.PrivateKey, "WXPAY_APIV3_KEY": c.APIv3Key,
			"WXPAY_PUBLIC_KEY_ID": c.PublicKeyID, "WXPAY_PUBLIC_KEY": c.PublicKey,
			"WXPAY_BASE_URL": u.WeChat,
		}
	},
	"global": func(c credentials, u URLs) map[string]string {
		return map[string]string{
			"WXPAY_APPID": c.AppID, "WXPAY_MCHID": c.MchID,
			"WXPAY_API_KEY": c.APIKey, "WXPAY_SIGN_TYPE": string(wxpay.SignHMACSHA256),
			"WXPAY_CLIENT_CERT": c.ClientCert, "WXPAY_CLIENT_KEY": c.ClientKey, "WXPAY_CA_CERT": c.CACert,
			"WXPAY_BASE_URL": u.WeChatTLS,
		}
	},
	"cloudbase": func(c credentials, u URLs) map[string]string {
		return gatewaySettings(c, u)
	},
	"cloudpay": func(c credentials, u URLs) map[string]string {
		out := gatewaySettings(c, u)
		out["WXPAY_SUB_APPID"], out["WXPAY_SUB_MCHID"] = subAppID, c.SubMchID
		out["CLOUDPAY_CALLBACK_FUNCTION"] = "notify"
		return out
	},
	"wecom": func(c credentials, u URLs) map[string]string {
		return map[string]string{
			"WXPAY_APPID": c.AppID, "WXPAY_MCHID": c.MchID,
			"WECOM_CORPID": c.CorpID, "WECOM_CORPSECRET": c.CorpSecret,
			"WXPAY_BASE_URL": u.WeChat,
		}
	},
}

// gatewaySettings are for what goes through CloudBase's gateway.
func gatewaySettings(c credentials, u URLs) map[string]string {
	return map[string]string{
		"WXPAY_APPID": c.AppID, "WXPAY_MCHID": c.MchID,
		"TCB_ENV": c.EnvID, "TCB_API_URL": u.WeChat + "/admin",
		"TENCENTCLOUD_SECRETID": c.SecretID, "TENCENTCLOUD_SECRETKEY": c.SecretKey,
	}
}

// Settings returns the environment variables with which one of our functions
// talks to this sandbox over a channel.
func (s *Sandbox) Settings(channel string) (map[string]string, error) {
	of, ok := channels[channel]
	if !ok {
		return nil, fmt.Errorf("channel %q is not one of %s", channel, strings.Join(slices.Sorted(maps.Keys(channels)), ", "))
	}
	c, err := s.credentials()
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	urls, notify := s.urls, s.notifyURL()
	s.mu.Unlock()
	out := of(c, urls)
	maps.Copy(out, s.notifySettings(c, urls))
	out["WXPAY_CHANNEL"], out["WXPAY_NOTIFY_URL"] = channel, notify
	// Here a function for SCF or Lambda runs on the developer's own disk.
	out["LEDGER_ALLOW_SQLITE"] = "true"
	return out, nil
}

// Env returns the same as text that a shell can source, a variable a line. The
// line feeds of keys are written as \n, which our functions understand.
func (s *Sandbox) Env(channel string) (string, error) {
	settings, err := s.Settings(channel)
	if err != nil {
		return "", err
	}
	var b strings.Builder
	for _, name := range slices.Sorted(maps.Keys(settings)) {
		fmt.Fprintf(&b, "%s=%s\n", name, quote(settings[name]))
	}
	return b.String(), nil
}

// quote writes a value so that a shell reads it back on one line.
func quote(value string) string {
	value = strings.ReplaceAll(strings.TrimSuffix(value, "\n"), "\n", `\n`)
	return "'" + strings.ReplaceAll(value, "'", `'\''`) + "'"
}
