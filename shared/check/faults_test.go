package check_test

import (
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"database/sql"
	"encoding/base64"
	"encoding/pem"
	"fmt"
	"io"
	"math/big"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"strings"
	"testing"
	"time"

	"wxrefund/shared/check"
	"wxrefund/shared/needs"
	"wxrefund/shared/refund"
	"wxrefund/shared/sandbox/sandboxtest"
	"wxrefund/shared/sandbox/world"
	"wxrefund/shared/wxpay"
)

func TestMain(m *testing.M) { os.Exit(needs.Main(m)) }

// A fault is one thing that is wrong with a deployment that is right otherwise.
type fault struct {
	core     bool // found by every run of the tests, the others by heavy ones alone
	name     string
	channel  string
	merchant string
	// change is what is wrong, in the settings that are checked or beside them.
	change func(t *testing.T, d *deployment) map[string]string

	line   string       // whose line finds it
	status check.Status // "": a problem
	says   string
	do     string
}

// set changes one setting.
func set(name, value string) func(*testing.T, *deployment) map[string]string {
	return func(*testing.T, *deployment) map[string]string { return map[string]string{name: value} }
}

// told changes one setting of a deployment that tells a function.
func told(name, value string) func(*testing.T, *deployment) map[string]string {
	return func(*testing.T, *deployment) map[string]string {
		return map[string]string{"NOTIFY_FUNCTIONS": "scf:orders", name: value}
	}
}

// faults are what goes wrong with deployments.
func faults() []fault {
	const canary = "canary-0123456789-0123456789-xyz" // of 32 bytes
	other := func(t *testing.T, channel, name string) string {
		return sandboxtest.New(t, withOtherKeys(t)).SettingsOf(channel)[name]
	}
	return []fault{
		{name: "a setting is missing", channel: "apiv3", change: set("WXPAY_APIV3_KEY", ""),
			line: "settings", says: "WXPAY_APIV3_KEY is missing", do: "deployed from"},

		{core: true, name: "nothing listens at the ledger's port", channel: "apiv3",
			change: func(t *testing.T, _ *deployment) map[string]string {
				return map[string]string{"LEDGER_URL": "postgres://root:" + canary + "@" + closed(t) + "/test"}
			}, line: "ledger", says: "connection refused", do: "nothing listens there: start the server, or correct host and port in LEDGER_URL"},
		{core: true, name: "the ledger's password is wrong", channel: "apiv3",
			change: func(t *testing.T, _ *deployment) map[string]string {
				u, err := url.Parse(needs.Env(t, "LEDGER_TEST_MYSQL"))
				if err != nil {
					t.Fatal(err)
				}
				u.User = url.UserPassword(u.User.Username(), canary)
				return map[string]string{"LEDGER_URL": u.String()}
			}, line: "ledger", says: "Access denied", do: "correct user and password"},
		{name: "the ledger's database is not there", channel: "apiv3",
			change: func(t *testing.T, _ *deployment) map[string]string {
				u, err := url.Parse(needs.Env(t, "LEDGER_TEST_POSTGRES"))
				if err != nil {
					t.Fatal(err)
				}
				u.Path = "/nowhere"
				return map[string]string{"LEDGER_URL": u.String()}
			}, line: "ledger", says: "does not exist", do: "create the database"},
		{name: "nothing listens where the ledger's table is", channel: "apiv3",
			change: func(t *testing.T, _ *deployment) map[string]string {
				t.Setenv("AWS_ACCESS_KEY_ID", canary)
				t.Setenv("AWS_SECRET_ACCESS_KEY", canary)
				return map[string]string{"LEDGER_URL": "dynamodb://wxrefund?region=ap-east-1&endpoint=http://" + closed(t)}
			}, line: "ledger", says: "connection refused", do: "nothing listens there: start the server, or correct host and port in LEDGER_URL"},
		{name: "the ledger's host has no such name", channel: "apiv3", change: set("LEDGER_URL", "postgres://root@ledger.invalid/test"),
			line: "ledger", says: "no such host", do: "or correct it in LEDGER_URL"},
		{core: true, name: "the ledger's schema is newer", channel: "apiv3",
			change: func(t *testing.T, d *deployment) map[string]string { d.schema(t, 99); return nil },
			line:   "ledger", says: "needs a newer program", do: "a newer version has been at work"},
		{name: "the ledger's schema is a little newer", channel: "apiv3",
			change: func(t *testing.T, d *deployment) map[string]string { d.schema(t, 4); return nil },
			line:   "ledger schema", status: check.Warning, says: "has schema 4", do: "from that version"},
		{core: true, name: "the ledger is another merchant's", channel: "apiv3", change: set("WXPAY_SUB_MCHID", world.SubMchID),
			line: "ledger merchant", says: "names the ledger of merchant " + world.MchID, do: "correct LEDGER_URL"},
		{core: true, name: "the timer has never run", channel: "apiv3",
			change: func(t *testing.T, _ *deployment) map[string]string {
				path := t.TempDir() + "/l.db"
				if err := os.WriteFile(path, nil, 0o600); err != nil {
					t.Fatal(err)
				}
				return map[string]string{"LEDGER_URL": "sqlite:" + path}
			}, line: "timer", says: "has never run", do: "deploy the function reconcile"},
		{name: "the timer has stopped", channel: "apiv3",
			change: func(t *testing.T, d *deployment) map[string]string { d.ran(t, 2*time.Hour); return nil },
			line:   "timer", says: "reconcile last ran 2h0m", do: "deploy the function reconcile"},
		{name: "the timer is late", channel: "apiv3",
			change: func(t *testing.T, d *deployment) map[string]string { d.ran(t, 20*time.Minute); return nil },
			line:   "timer", status: check.Warning, says: "it should run every minute", do: "look again"},

		{core: true, name: "the merchant may not fetch bills", channel: "apiv3",
			change: func(_ *testing.T, d *deployment) map[string]string {
				d.Control("POST", "/_sandbox/faults", `{"bill":"no_auth","count":9}`, 200)
				return nil
			}, line: "daily bill", status: check.Warning, says: "NO_AUTH", do: "let the merchant's API fetch bills"},
		{name: "a bill is not there yet", channel: "wecom",
			change: func(_ *testing.T, d *deployment) map[string]string {
				d.Control("POST", "/_sandbox/faults", `{"bill":"creating","count":9}`, 200)
				return nil
			}, line: "daily bill", status: check.Note, says: "not there yet", do: "in some hours"},
		{name: "nobody can be asked for a bill", channel: "cloudbase",
			change: func(_ *testing.T, d *deployment) map[string]string {
				keys := map[string]string{"WXPAY_BASE_URL": "http://127.0.0.1:1"}
				for _, name := range []string{"WXPAY_SERIAL_NO", "WXPAY_PRIVATE_KEY", "WXPAY_APIV3_KEY"} {
					keys[name] = d.SettingsOf("apiv3")[name]
				}
				return keys
			}, line: "daily bill", status: check.Warning, says: "nobody could be asked for it", do: "reaches WeChat Pay"},
		{name: "bills are off", channel: "global", change: set("RECONCILE_BILL", "off"),
			line: "daily bill", status: check.Note, says: "RECONCILE_BILL is off", do: "operate bill -file"},
		{core: true, name: "the APIv3 key is another of 32 bytes", channel: "apiv3", change: set("WXPAY_APIV3_KEY", canary),
			line: "APIv3 key", says: "does not open", do: "correct WXPAY_APIV3_KEY"},
		{core: true, name: "the private key is another merchant's", channel: "apiv3",
			change: func(t *testing.T, _ *deployment) map[string]string {
				return map[string]string{"WXPAY_PRIVATE_KEY": other(t, "apiv3", "WXPAY_PRIVATE_KEY")}
			}, line: "merchant key", says: "401 SIGN_ERROR", do: "WXPAY_PRIVATE_KEY is not the key of the certificate"},
		{name: "the private key is another merchant's, and there are no certificates", channel: "apiv3", merchant: world.MerchantPublicKey,
			change: func(t *testing.T, _ *deployment) map[string]string {
				return map[string]string{"WXPAY_PRIVATE_KEY": other(t, "apiv3", "WXPAY_PRIVATE_KEY")}
			}, line: "merchant key", says: "401 SIGN_ERROR", do: "WXPAY_PRIVATE_KEY is not the key of the certificate"},
		{core: true, name: "the serial is another's", channel: "apiv3", change: set("WXPAY_SERIAL_NO", "5157F09EFDC096DE15EBE81A47057A7232F1B8E1"),
			line: "merchant key", says: "证书序列号有误", do: "WXPAY_SERIAL_NO is not that of a certificate"},
		{name: "the merchant number is another's", channel: "apiv3",
			change: func(t *testing.T, d *deployment) map[string]string {
				return map[string]string{"WXPAY_MCHID": "1900000002", "LEDGER_URL": "sqlite:" + t.TempDir() + "/l.db"}
			}, line: "merchant key", says: "MCH_NOT_EXISTS", do: "correct WXPAY_MCHID"},
		{core: true, name: "the public key is not that of the ID", channel: "apiv3", merchant: world.MerchantPublicKey,
			change: func(t *testing.T, _ *deployment) map[string]string {
				return map[string]string{"WXPAY_PUBLIC_KEY": other(t, "apiv3", "WXPAY_PUBLIC_KEY")}
			}, line: "public key", says: "does not verify with WXPAY_PUBLIC_KEY", do: "download the public key again"},
		{name: "the public key is not that of the ID, in a switch", channel: "apiv3",
			change: func(t *testing.T, _ *deployment) map[string]string {
				return map[string]string{"WXPAY_PUBLIC_KEY": other(t, "apiv3", "WXPAY_PUBLIC_KEY")}
			}, line: "public key", says: "does not verify with WXPAY_PUBLIC_KEY", do: "download the public key again"},
		{core: true, name: "the ID is another public key's", channel: "apiv3", merchant: world.MerchantPublicKey, change: set("WXPAY_PUBLIC_KEY_ID", "PUB_KEY_ID_0119000000012026010100000001"),
			line: "public key", says: "signs with another", do: "correct WXPAY_PUBLIC_KEY_ID"},
		{name: "the ID is another public key's, in a switch", channel: "apiv3", change: set("WXPAY_PUBLIC_KEY_ID", "PUB_KEY_ID_0119000000012026010100000001"),
			line: "public key", says: "signs with another", do: "the switch to the public key has not begun"},
		{name: "there is neither certificate nor public key", channel: "apiv3", merchant: world.MerchantPublicKey,
			change: func(*testing.T, *deployment) map[string]string {
				return map[string]string{"WXPAY_PUBLIC_KEY": "", "WXPAY_PUBLIC_KEY_ID": ""}
			}, line: "public key", says: "no answer can be verified", do: "set WXPAY_PUBLIC_KEY_ID"},
		{core: true, name: "the clock is ten minutes behind", channel: "apiv3",
			change: func(t *testing.T, d *deployment) map[string]string {
				return map[string]string{"WXPAY_BASE_URL": d.skewed(t, 10*time.Minute)}
			}, line: "clock", says: "10m0s behind", do: "NTP"},
		{name: "the clock is half a minute ahead", channel: "wecom",
			change: func(t *testing.T, d *deployment) map[string]string {
				return map[string]string{"WXPAY_BASE_URL": d.skewed(t, -30*time.Second)}
			}, line: "clock", status: check.Warning, says: "ahead of", do: "NTP"},
		{name: "WeChat Pay cannot be reached", channel: "apiv3",
			change: func(t *testing.T, _ *deployment) map[string]string {
				return map[string]string{"WXPAY_BASE_URL": "http://" + closed(t)}
			}, line: "WeChat Pay", says: "connection refused", do: "nothing listens there: start the server, or correct host and port in WXPAY_BASE_URL"},
		{name: "something else answers for WeChat Pay", channel: "apiv3",
			change: func(t *testing.T, _ *deployment) map[string]string {
				return map[string]string{"WXPAY_BASE_URL": answering(t, 200, "<html>login</html>")}
			}, line: "WeChat Pay", says: "malformed certificate list", do: "what stands between"},

		{core: true, name: "the notify URL takes everything", channel: "apiv3",
			change: func(t *testing.T, _ *deployment) map[string]string {
				return map[string]string{"WXPAY_NOTIFY_URL": answering(t, 200, `{"code":"SUCCESS"}`)}
			}, line: "notify URL", says: "it answers 200 to a bare POST", do: "DANGEROUS"},
		{name: "the notify URL takes what looks signed", channel: "apiv3",
			change: func(t *testing.T, _ *deployment) map[string]string {
				return map[string]string{"WXPAY_NOTIFY_URL": credulous(t, "Wechatpay-Signature", "WECHATPAY/SIGNTEST/")}
			}, line: "notify URL", says: "it answers 200 to a forged signature", do: "DANGEROUS"},
		{name: "the notify URL takes probes", channel: "apiv3",
			change: func(t *testing.T, _ *deployment) map[string]string {
				return map[string]string{"WXPAY_NOTIFY_URL": credulous(t, "Wechatpay-Signature", "\x00")}
			}, line: "notify URL", says: "it answers 200 to a SIGNTEST probe", do: "DANGEROUS"},
		{name: "the notify URL takes any v2 letter", channel: "global",
			change: func(t *testing.T, _ *deployment) map[string]string {
				return map[string]string{"WXPAY_NOTIFY_URL": credulous(t, "Content-Type", "application/json")}
			}, line: "notify URL", says: "it answers 200 to a v2 letter under a made-up key", do: "DANGEROUS"},
		{core: true, name: "nothing listens at the notify URL", channel: "apiv3",
			change: func(t *testing.T, _ *deployment) map[string]string {
				return map[string]string{"WXPAY_NOTIFY_URL": "http://" + closed(t) + "/notify"}
			}, line: "notify URL", says: "connection refused", do: "nothing listens there: start the server, or correct host and port in WXPAY_NOTIFY_URL"},
		{name: "the notify URL is a web page", channel: "apiv3",
			change: func(t *testing.T, _ *deployment) map[string]string {
				return map[string]string{"WXPAY_NOTIFY_URL": answering(t, 404, "<html>", "Content-Type", "text/html; charset=utf-8")}
			}, line: "notify URL", says: "404 with a web page", do: "correct the path"},
		{name: "the notify URL leads elsewhere", channel: "apiv3",
			change: func(t *testing.T, _ *deployment) map[string]string {
				return map[string]string{"WXPAY_NOTIFY_URL": answering(t, 301, "", "Location", "https://shop.example/")}
			}, line: "notify URL", says: "301", do: "follows no redirect"},
		{name: "a gateway before the notify URL wants a login", channel: "apiv3",
			change: func(t *testing.T, _ *deployment) map[string]string {
				return map[string]string{"WXPAY_NOTIFY_URL": answering(t, 401, `{"message":"Unauthorized"}`)}
			}, line: "notify URL", says: "401", do: "the answer is not notify's"},
		{name: "the notify URL takes no POST", channel: "global",
			change: func(t *testing.T, _ *deployment) map[string]string {
				return map[string]string{"WXPAY_NOTIFY_URL": answering(t, 405, ``)}
			}, line: "notify URL", says: "405", do: "notify takes POST"},
		{name: "notify is configured wrongly", channel: "apiv3",
			change: func(t *testing.T, _ *deployment) map[string]string {
				return map[string]string{"WXPAY_NOTIFY_URL": answering(t, 503, ``)}
			}, line: "notify URL", says: "503", do: "the function's settings are wrong"},
		{name: "notify fails", channel: "apiv3",
			change: func(t *testing.T, _ *deployment) map[string]string {
				return map[string]string{"WXPAY_NOTIFY_URL": answering(t, 502, ``)}
			}, line: "notify URL", says: "502", do: "see its log"},
		{name: "notify is another merchant's", channel: "apiv3",
			change: func(t *testing.T, d *deployment) map[string]string {
				settings := map[string]string{}
				for name, value := range d.settings {
					settings[name] = value
				}
				settings["WXPAY_MCHID"], settings["LEDGER_URL"] = "1900000002", "sqlite::memory:"
				s := httptest.NewServer(d.notify(settings))
				t.Cleanup(s.Close)
				return map[string]string{"WXPAY_NOTIFY_URL": s.URL}
			}, line: "notify URL", says: "400 to a v2 letter", do: "settings of another merchant"},
		{name: "the notify URL is not known", channel: "apiv3", change: set("WXPAY_NOTIFY_URL", ""),
			line: "notify URL", status: check.Note, says: "is empty", do: "set it"},

		{core: true, name: "the secret key of the gateway is wrong", channel: "cloudbase", change: set("TENCENTCLOUD_SECRETKEY", canary),
			line: "gateway", says: "SIGN_PARAM_INVALID", do: "correct TENCENTCLOUD_SECRETID"},
		{name: "the secret key of the gateway is wrong", channel: "cloudpay", change: set("TENCENTCLOUD_SECRETKEY", canary),
			line: "gateway", says: "SIGN_PARAM_INVALID", do: "correct TENCENTCLOUD_SECRETID"},
		{name: "the key of the environment is wrong", channel: "cloudbase", change: set("CLOUDBASE_APIKEY", canary),
			line: "gateway", says: "INVALID_ACCESS_TOKEN", do: "correct CLOUDBASE_APIKEY"},
		{name: "the key of the environment is wrong", channel: "cloudpay", change: set("CLOUDBASE_APIKEY", canary),
			line: "gateway", says: "INVALID_ACCESS_TOKEN", do: "correct CLOUDBASE_APIKEY"},
		{name: "the environment is another", channel: "cloudbase", change: set("TCB_ENV", "another-1g2h3j4k5l"),
			line: "gateway", says: "INVALID_ENV", do: "correct TCB_ENV"},
		{name: "the environment is another", channel: "cloudpay", change: set("TCB_ENV", "another-1g2h3j4k5l"),
			line: "gateway", says: "INVALID_ENV", do: "correct TCB_ENV"},
		{name: "nothing listens at the gateway", channel: "cloudpay",
			change: func(t *testing.T, _ *deployment) map[string]string {
				return map[string]string{"TCB_API_URL": "http://" + closed(t) + "/admin"}
			}, line: "gateway", says: "connection refused", do: "nothing listens there: start the server, or correct host and port in TCB_API_URL"},
		{name: "there are no credentials for the gateway here", channel: "cloudbase", change: set("TENCENTCLOUD_SECRETKEY", ""),
			line: "gateway", status: check.Note, says: "not asked", do: "to ask from here"},
		{name: "CloudPay tells nobody", channel: "cloudpay", change: set("CLOUDPAY_CALLBACK_FUNCTION", ""),
			line: "notifications", status: check.Note, says: "reconcile alone finds out", do: "notify"},

		{name: "the APIv2 key is another", channel: "global", change: set("WXPAY_API_KEY", canary),
			line: "refund query", says: "签名错误", do: "correct WXPAY_API_KEY"},
		{name: "the appid is not the merchant's", channel: "global", change: set("WXPAY_APPID", world.SubAppID),
			line: "refund query", says: "APPID_MCHID_NOT_MATCH", do: "correct WXPAY_APPID"},
		{name: "the client certificate is another merchant's", channel: "global",
			change: func(t *testing.T, _ *deployment) map[string]string {
				return map[string]string{"WXPAY_CLIENT_CERT": other(t, "global", "WXPAY_CLIENT_CERT"), "WXPAY_CLIENT_KEY": other(t, "global", "WXPAY_CLIENT_KEY")}
			}, line: "mutual TLS", says: "does not take the client certificate", do: "apiclient_cert.pem"},
		{name: "the client certificate has ended", channel: "global",
			change: func(t *testing.T, _ *deployment) map[string]string { return certificate(t, world.MchID, -time.Hour) },
			line:   "client certificate", says: "it has ended", do: "get a new one"},
		{name: "the client certificate ends soon", channel: "global",
			change: func(t *testing.T, _ *deployment) map[string]string {
				return certificate(t, world.MchID, 10*24*time.Hour)
			},
			line: "client certificate", status: check.Warning, says: "valid until", do: "get a new one"},
		{name: "the client certificate has another's name", channel: "global",
			change: func(t *testing.T, _ *deployment) map[string]string {
				return certificate(t, "1900000002", 1000*24*time.Hour)
			},
			line: "client certificate", status: check.Warning, says: "which is not WXPAY_MCHID", do: "apiclient_cert.pem"},
		{name: "the authority of WeChat Pay's certificate is not trusted", channel: "global", change: set("WXPAY_CA_CERT", ""),
			line: "mutual TLS", says: "certificate", do: "not trusted"},

		{name: "the secret of WeCom is wrong", channel: "wecom", change: set("WECOM_CORPSECRET", canary),
			line: "WeCom token", says: "40001", do: "correct WECOM_CORPSECRET"},
		{name: "the corpid is wrong", channel: "wecom", change: set("WECOM_CORPID", "ww0000000000000000"),
			line: "WeCom token", says: "40013", do: "correct WECOM_CORPID"},

		{core: true, name: "nothing listens at the webhook", channel: "wecom",
			change: func(t *testing.T, _ *deployment) map[string]string {
				return map[string]string{"NOTIFY_WEBHOOK_URL": "http://" + closed(t) + "/" + canary, "NOTIFY_WEBHOOK_SECRET": "whsec_" + base64.StdEncoding.EncodeToString([]byte(canary))}
			}, line: "webhook", says: "cannot be reached", do: "nothing listens there: start the server, or correct host and port in NOTIFY_WEBHOOK_URL"},
		{name: "the webhook's receiver fails", channel: "wecom",
			change: func(t *testing.T, _ *deployment) map[string]string {
				return map[string]string{"NOTIFY_WEBHOOK_URL": answering(t, 502, "") + "/" + canary, "NOTIFY_WEBHOOK_SECRET": "whsec_" + base64.StdEncoding.EncodeToString([]byte(canary))}
			}, line: "webhook", status: check.Warning, says: "502", do: "see why"},
		{name: "nothing listens at the robot", channel: "wecom",
			change: func(t *testing.T, _ *deployment) map[string]string {
				return map[string]string{"ALERT_SECRET": "whsec_" + base64.StdEncoding.EncodeToString([]byte(canary)), "ALERT_URL": "http://" + closed(t) + "/send?key=" + canary}
			}, line: "alerts", says: "cannot be reached", do: "nothing listens there: start the server, or correct host and port in ALERT_URL"},
		{core: true, name: "functions are told with a wrong secret key", channel: "apiv3", change: told("TENCENTCLOUD_SECRETKEY", canary),
			line: "gateway", says: "SIGN_PARAM_INVALID", do: "correct TENCENTCLOUD_SECRETID"},
		{name: "functions are told with a wrong secret key", channel: "global", change: told("TENCENTCLOUD_SECRETKEY", canary),
			line: "gateway", says: "SIGN_PARAM_INVALID", do: "correct TENCENTCLOUD_SECRETID"},
		{name: "functions are told with a wrong secret key", channel: "wecom", change: told("TENCENTCLOUD_SECRETKEY", canary),
			line: "gateway", says: "SIGN_PARAM_INVALID", do: "correct TENCENTCLOUD_SECRETID"},
		{core: true, name: "functions are told with a wrong key of the environment", channel: "apiv3", change: told("CLOUDBASE_APIKEY", canary),
			line: "gateway", says: "INVALID_ACCESS_TOKEN", do: "correct CLOUDBASE_APIKEY"},
		{name: "functions are told in another environment", channel: "wecom", change: told("TCB_ENV", "another-1g2h3j4k5l"),
			line: "gateway", says: "INVALID_ENV", do: "correct TCB_ENV"},
		{name: "functions are told, and there are no credentials here", channel: "apiv3", change: told("TENCENTCLOUD_SECRETKEY", ""),
			line: "gateway", status: check.Note, says: "not asked", do: "to ask from here"},
		{name: "functions are told, and nothing listens at the gateway", channel: "apiv3",
			change: func(t *testing.T, _ *deployment) map[string]string {
				return map[string]string{"NOTIFY_FUNCTIONS": "scf:orders", "TCB_API_URL": "http://" + closed(t) + "/admin"}
			}, line: "gateway", says: "connection refused", do: "nothing listens there: start the server, or correct host and port in TCB_API_URL"},
		{name: "functions are told, and the gateway is another program", channel: "apiv3",
			change: func(t *testing.T, _ *deployment) map[string]string {
				return map[string]string{"NOTIFY_FUNCTIONS": "scf:orders", "TCB_API_URL": answering(t, 200, "<html>login</html>")}
			}, line: "gateway", says: "gave no result", do: "look at TCB_ENV"},
		{name: "functions are told, and the gateway says what nobody knows", channel: "apiv3",
			change: func(t *testing.T, _ *deployment) map[string]string {
				return map[string]string{"NOTIFY_FUNCTIONS": "scf:orders", "TCB_API_URL": answering(t, 200, `{"code":"SYS_ERR"}`)}
			}, line: "gateway", status: check.Note, says: "SYS_ERR", do: "-undelivered"},
		{core: true, name: "functions are told with the right key", channel: "apiv3", change: told("REFUND_OPERATORS", "oOperator"),
			line: "gateway", status: check.OK, says: "takes the credentials for environment"},
		{name: "functions are told", channel: "cloudbase", change: set("NOTIFY_FUNCTIONS", "scf:orderCallback"),
			line: "subscribers", status: check.Note, says: "orderCallback", do: "see that they are"},
		{name: "nobody may refund", channel: "wecom", change: set("REFUND_OPERATORS", ""),
			line: "access", status: check.Note, says: "REFUND_OPERATORS is empty", do: "set one of them"},
		{name: "two must agree", channel: "wecom", change: func(*testing.T, *deployment) map[string]string {
			return map[string]string{"REFUND_OPERATORS": "oA,oB", "REFUND_APPROVAL_FEN": "500"}
		}, line: "access", status: check.OK, says: "above 500 fen of one order a day with another's approval"},
		{name: "headers are believed", channel: "wecom", change: set("TRUST_WX_HEADERS", "true"),
			line: "access", status: check.Warning, says: "whoever sends x-wx-openid", do: "gateway"},
	}
}

// Each fault is found by its own line, with what to do about it, and by no other; no secret
// is shown on the way.
func TestEachFaultIsFoundByItsOwnLine(t *testing.T) {
	for _, f := range faults() {
		if !f.core && !heavy {
			continue
		}
		t.Run(f.channel+": "+f.name, func(t *testing.T) {
			d := deploy(t, f.channel, f.merchant)
			got := d.check(f.change(t, d))
			t.Logf("\n%s", show(got))
			want := f.status
			if want == "" {
				want = check.Problem
			}
			found, besides := false, false
			for _, r := range got {
				switch {
				case r.Name == f.line && r.Status == want && strings.Contains(r.Text, f.says) && strings.Contains(r.Do, f.do):
					found = true
				case r.Status == check.Problem || r.Status == check.Warning:
					besides = true
					if !follows(f, r) {
						t.Errorf("found besides: %+v", r)
					}
				}
			}
			if !found {
				t.Errorf("got no %s %q that says %q and what to do: %q", want, f.line, f.says, f.do)
			}
			if !besides && (check.Problems(got) > 0) != (want == check.Problem) {
				t.Errorf("%d problems", check.Problems(got))
			}
			if strings.Contains(show(got), "canary") {
				t.Errorf("a secret is shown:\n%s", show(got))
			}
		})
	}
}

// follows are lines that find what a fault brings with it, as a trust that is missing for all calls.
func follows(f fault, r check.Result) bool {
	switch {
	case strings.HasPrefix(f.name, "the authority"), strings.HasPrefix(f.name, "the client certificate") && r.Name != "client certificate":
		return r.Name == "refund query" || r.Name == "mutual TLS"
	case f.line == "merchant key" && strings.Contains(f.name, "number"), f.name == "the ledger is another merchant's":
		return r.Name == "timer" || r.Name == "notify URL" || r.Name == "refund query"
	}
	return false
}

// schema gives the ledger one of another version.
func (d *deployment) schema(t *testing.T, version int) {
	t.Helper()
	db, err := sql.Open("sqlite", strings.TrimPrefix(d.settings["LEDGER_URL"], "sqlite:"))
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if _, err := db.ExecContext(t.Context(), fmt.Sprintf("PRAGMA user_version = %d", version)); err != nil {
		t.Fatal(err)
	}
}

// ran has the timer's last run be so long ago.
func (d *deployment) ran(t *testing.T, ago time.Duration) {
	t.Helper()
	sys := d.load(d.settings)
	items, err := sys.Refunds.Ledger.Get(t.Context(), "reconcile/sweep")
	if err != nil {
		t.Fatal(err)
	}
	at := time.Now().Add(-ago).UTC().Format(time.RFC3339)
	if err := sys.Refunds.Ledger.Commit(t.Context(), refund.Item{Key: items[0].Key, Version: items[0].Version, Body: fmt.Appendf(nil, `{"at":%q,"ran":%q}`, at, at)}); err != nil {
		t.Fatal(err)
	}
}

// skewed is WeChat's side as a machine meets it whose clock is behind by so much: what it
// signs bears an old time, and what it is told a later one.
func (d *deployment) skewed(t *testing.T, behind time.Duration) string {
	t.Helper()
	at, err := url.Parse(d.settings["WXPAY_BASE_URL"])
	if err != nil {
		t.Fatal(err)
	}
	proxy := httputil.NewSingleHostReverseProxy(at)
	proxy.ModifyResponse = func(r *http.Response) error {
		r.Header.Set("Date", time.Now().Add(behind).UTC().Format(http.TimeFormat))
		return nil
	}
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != "" {
			body, err := io.ReadAll(r.Body)
			if err != nil {
				t.Error(err)
			}
			r.Body = io.NopCloser(strings.NewReader(string(body)))
			then := time.Now().Add(-behind).Unix()
			digest := sha256.Sum256(wxpay.RequestMessage(r.Method, r.RequestURI, then, "nonce", body))
			sig, err := d.Signer.Key.Sign(nil, digest[:], crypto.SHA256)
			if err != nil {
				t.Error(err)
			}
			r.Header.Set("Authorization", fmt.Sprintf(`WECHATPAY2-SHA256-RSA2048 mchid="%s",nonce_str="nonce",signature="%s",timestamp="%d",serial_no="%s"`,
				d.Signer.MchID, base64.StdEncoding.EncodeToString(sig), then, d.Signer.SerialNo))
		}
		proxy.ServeHTTP(w, r)
	}))
	t.Cleanup(s.Close)
	return s.URL
}

// credulous is a receiver that takes whatever has a header that does not begin so.
func credulous(t *testing.T, header, but string) string {
	t.Helper()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if v := r.Header.Get(header); v == "" || strings.HasPrefix(v, but) {
			w.WriteHeader(http.StatusUnauthorized)
			_, _ = io.WriteString(w, `{"code":"FAIL","message":"no"}`)
			return
		}
		_, _ = io.WriteString(w, `{"code":"SUCCESS"}`)
	}))
	t.Cleanup(s.Close)
	return s.URL
}

// certificate makes a client certificate of somebody that ends at a time from now.
func certificate(t *testing.T, name string, ends time.Duration) map[string]string {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	c := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name},
		NotBefore: time.Now().Add(-1000 * 24 * time.Hour), NotAfter: time.Now().Add(ends),
	}
	der, err := x509.CreateCertificate(rand.Reader, c, c, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	return map[string]string{
		"WXPAY_CLIENT_CERT": string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})),
		"WXPAY_CLIENT_KEY":  string(pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE KEY", Bytes: x509.MarshalPKCS1PrivateKey(key)})),
	}
}
