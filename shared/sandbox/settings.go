package sandbox

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"wxrefund/shared/sandbox/world"
	"wxrefund/shared/wxpay"
)

// channels are the upstream systems that are played, and what one of our
// functions must know to use them beside [environment].
var channels = map[string]func(world.Credentials, world.URLs) map[string]string{
	"apiv3": func(c world.Credentials, u world.URLs) map[string]string {
		out := map[string]string{
			"WXPAY_SERIAL_NO": c.SerialNo, "WXPAY_PRIVATE_KEY": c.PrivateKey, "WXPAY_APIV3_KEY": c.APIv3Key,
			"WXPAY_BASE_URL": u.WeChat,
		}
		if len(c.PublicKeyIDs) > 0 {
			out["WXPAY_PUBLIC_KEY_ID"], out["WXPAY_PUBLIC_KEY"] = strings.Join(c.PublicKeyIDs, ","), strings.Join(c.PublicKeys, "")
		}
		return out
	},
	"global": func(c world.Credentials, u world.URLs) map[string]string {
		return map[string]string{
			"WXPAY_SIGN_TYPE":   string(wxpay.SignHMACSHA256),
			"WXPAY_CLIENT_CERT": c.ClientCert, "WXPAY_CLIENT_KEY": c.ClientKey, "WXPAY_CA_CERT": c.CACert,
			"WXPAY_BASE_URL": u.WeChatTLS,
		}
	},
	"cloudbase": func(world.Credentials, world.URLs) map[string]string { return nil },
	"cloudpay": func(c world.Credentials, _ world.URLs) map[string]string {
		return map[string]string{
			"WXPAY_SUB_APPID": world.SubAppID, "WXPAY_SUB_MCHID": c.SubMchID,
			"CLOUDPAY_CALLBACK_FUNCTION": "notify",
		}
	},
	"wecom": func(c world.Credentials, u world.URLs) map[string]string {
		return map[string]string{
			"WECOM_CORPID": c.CorpID, "WECOM_CORPSECRET": c.CorpSecret,
			"WXPAY_BASE_URL": u.WeChat,
		}
	},
}

// environment is who the merchant is, and its environment at CloudBase: that is there
// whatever the channel, since subscribers may be functions in it.
func environment(c world.Credentials, u world.URLs) map[string]string {
	gateway := u.WeChat + "/admin"
	return map[string]string{
		"WXPAY_APPID": c.AppID, "WXPAY_MCHID": c.MchID,
		"TCB_ENV": c.EnvID, "TCB_API_URL": gateway,
		"TENCENTCLOUD_SECRETID": c.SecretID, "TENCENTCLOUD_SECRETKEY": c.SecretKey,
		"TCB_CONTEXT_CNFG": fmt.Sprintf(`{"URL":%q}`, gateway), // by which CloudBase's own library finds it
	}
}

// Settings returns the environment variables with which one of our functions
// talks to this sandbox over a channel. While two public keys of WeChat Pay are
// valid, both are there; of a merchant who has certificates alone, none is.
func (s *Sandbox) Settings(channel string) (map[string]string, error) {
	of, ok := channels[channel]
	if !ok {
		return nil, fmt.Errorf("channel %q is not one of %s", channel, strings.Join(slices.Sorted(maps.Keys(channels)), ", "))
	}
	c, err := s.world.Credentials()
	if err != nil {
		return nil, err
	}
	urls := s.world.URLs()
	out := environment(c, urls)
	maps.Copy(out, of(c, urls))
	if subscribers := s.cloudbase.Subscribers(); len(subscribers) > 0 {
		var names []string
		for _, each := range subscribers {
			names = append(names, "scf:"+each.Name)
		}
		out["NOTIFY_FUNCTIONS"] = strings.Join(names, ",")
	}
	out["WXPAY_CHANNEL"], out["WXPAY_NOTIFY_URL"] = channel, urls.Notify
	out["WXPAY_API_KEY"] = c.APIKey // refunds by hand may notify in v2, whatever the channel
	out["SCF_NAMESPACE"] = c.EnvID  // as on the platform: CloudBase's library takes it for the current environment
	// Here a function for SCF or Lambda runs on the developer's own disk.
	out["LEDGER_ALLOW_SQLITE"] = "true"
	if s.database != nil {
		out["CLOUDBASE_APIKEY"] = c.CloudBaseKey
		out["LEDGER_URL"] = "cloudbase:" + c.EnvID + "?endpoint=" + urls.WeChat
	}
	maps.Copy(out, s.variables)
	return out, nil
}

// Env returns what [Sandbox.Settings] does as text that a shell can source, a
// variable a line. The line feeds of keys are written as \n, which our functions
// understand.
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
