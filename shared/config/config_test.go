package config_test

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"math/big"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"wxrefund/shared/channel"
	"wxrefund/shared/config"
	"wxrefund/shared/refund"
	"wxrefund/shared/sandbox"
)

// key is the merchant's, wechatKey WeChat Pay's.
var key, wechatKey = sync.OnceValue(newKeyPair), sync.OnceValue(newKeyPair)

func newKeyPair() *rsa.PrivateKey {
	k, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		panic(err)
	}
	return k
}

func privatePEM() string {
	return string(pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE KEY", Bytes: x509.MarshalPKCS1PrivateKey(key())}))
}

func certificatePEM() string {
	template := &x509.Certificate{SerialNumber: big.NewInt(1)}
	b, err := x509.CreateCertificate(rand.Reader, template, template, &key().PublicKey, key())
	if err != nil {
		panic(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: b}))
}

func publicPEM(k *rsa.PrivateKey) string {
	b, err := x509.MarshalPKIXPublicKey(&k.PublicKey)
	if err != nil {
		panic(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: b}))
}

// complete is a full set of settings.
func complete() map[string]string {
	return map[string]string{
		"WXPAY_CHANNEL": "apiv3", "WXPAY_MCHID": "1900000109", "WXPAY_SUB_MCHID": "1900000110",
		"WXPAY_SERIAL_NO": "5157F09EFDC096DE15EBE81A47057A72", "WXPAY_PRIVATE_KEY": privatePEM(),
		"WXPAY_APIV3_KEY":     "0123456789abcdef0123456789ABCDEF",
		"WXPAY_PUBLIC_KEY_ID": "PUB_KEY_ID_0119000001092026112200000001", "WXPAY_PUBLIC_KEY": publicPEM(wechatKey()),
		"WXPAY_NOTIFY_URL": "https://shop.example/notify", "WXPAY_BASE_URL": "http://127.0.0.1:8701",
		"LEDGER_URL": "sqlite::memory:", "REFUND_OPERATORS": " oA, oB ,", "REFUND_MAX_FEN": "5000", "REFUND_PACE": "1m", "LOG_LEVEL": "debug",
	}
}

func load(t *testing.T, settings map[string]string) (*config.System, error) {
	t.Helper()
	sys, err := config.Load(t.Context(), func(name string) string { return settings[name] }, slog.New(slog.NewTextHandler(io.Discard, nil)))
	if err == nil {
		t.Cleanup(func() { _ = sys.Close() })
	}
	return sys, err
}

func TestLoad(t *testing.T) {
	sys, err := load(t, complete())
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(refund.Merchant{MchID: "1900000109", SubMchID: "1900000110"}, sys.Refunds.Merchant); d != "" {
		t.Errorf("merchant (-want +got):\n%s", d)
	}
	if d := cmp.Diff(refund.Policy{Operators: []string{"oA", "oB"}, MaxFen: 5000}, sys.Refunds.Policy); d != "" {
		t.Errorf("policy (-want +got):\n%s", d)
	}
	ch := sys.Refunds.Channel.(*channel.APIv3)
	if ch.SubMchID != "1900000110" || ch.NotifyURL != "https://shop.example/notify" || !slices.Equal(ch.Client.Hosts, []string{"http://127.0.0.1:8701"}) {
		t.Errorf("channel %+v", ch)
	}
	if got := sys.Keys.Preferred(); got != "PUB_KEY_ID_0119000001092026112200000001" {
		t.Errorf("public key %q", got)
	}
}

func TestOptionalSettingsMayBeAbsent(t *testing.T) {
	s := complete()
	for _, name := range []string{"WXPAY_CHANNEL", "WXPAY_SUB_MCHID", "WXPAY_PUBLIC_KEY_ID", "WXPAY_PUBLIC_KEY", "WXPAY_NOTIFY_URL", "WXPAY_BASE_URL", "REFUND_OPERATORS", "REFUND_MAX_FEN", "LOG_LEVEL"} {
		delete(s, name)
	}
	if _, err := load(t, s); err != nil {
		t.Error(err)
	}
}

// D7: every variable in turn, missing or malformed, is named, and what has become of
// it on its way is told where that can be seen. Its value is not shown.
func TestEachMissingOrMalformedSettingIsNamed(t *testing.T) {
	for _, c := range []struct{ name, value, says string }{
		{"WXPAY_MCHID", "", "is missing"},
		{"WXPAY_SERIAL_NO", "", "is missing"},
		{"WXPAY_PRIVATE_KEY", "", "is missing"},
		{"WXPAY_APIV3_KEY", "", "is missing"},
		{"LEDGER_URL", "", "is missing"},
		{"WXPAY_PUBLIC_KEY", "", "is missing beside WXPAY_PUBLIC_KEY_ID"},
		{"WXPAY_PUBLIC_KEY_ID", "", "is missing beside WXPAY_PUBLIC_KEY"},
		{"WXPAY_PRIVATE_KEY", "-----BEGIN PRIVATE KEY-----\ncanary-secret\n-----END PRIVATE KEY-----\n", "is malformed: it must be an RSA private key"},
		{"WXPAY_PRIVATE_KEY", "file:/nowhere/canary-secret", "cannot be read"},
		{"WXPAY_PUBLIC_KEY", "canary-secret", "is malformed"},
		{"WXPAY_PRIVATE_KEY", publicPEM(wechatKey()), "is malformed: it is a public key; it must be an RSA private key"},
		{"WXPAY_PRIVATE_KEY", certificatePEM(), "is malformed: it is a certificate; it must be"},
		{"WXPAY_PRIVATE_KEY", "-----BEGIN ENCRYPTED PRIVATE KEY-----\ncanary-secret\n-----END ENCRYPTED PRIVATE KEY-----", "is malformed: it is a private key behind a password; it must be"},
		{"WXPAY_PRIVATE_KEY", privatePEM()[:200], "is malformed: it breaks off before its last line: only a part of it has arrived; it must be"},
		{"WXPAY_PRIVATE_KEY", strings.Split(privatePEM(), "\n")[1], "is malformed: it is no PEM: the lines with dashes, the first and the last, belong to it; it must be"},
		{"WXPAY_PRIVATE_KEY", "canary-secret/apiclient_key.pem", "is malformed: it is the name of a file, which is written file:PATH; it must be"},
		{"WXPAY_PRIVATE_KEY", `"` + strings.ReplaceAll(privatePEM(), "\n", `\n`) + `"`, "has quotes around it: leave them out"},
		{"WXPAY_PUBLIC_KEY", privatePEM(), "is malformed: it is a private key; it must be an RSA public key"},
		{"WXPAY_PUBLIC_KEY", certificatePEM(), "is malformed: it is a certificate; it must be an RSA public key"},
		{"WXPAY_PUBLIC_KEY", publicPEM(key()), "is the merchant's own, of WXPAY_PRIVATE_KEY: it must be WeChat Pay's"},
		{"WXPAY_PUBLIC_KEY_ID", "5157F09EFDC096DE15EBE81A47057A72", "is malformed: the id of a WeChat Pay public key begins with PUB_KEY_ID_"},
		{"WXPAY_MCHID", "abc", "must be the merchant number, digits alone"},
		{"WXPAY_MCHID", "wx8888888888888888", "is an app id: it must be the merchant number"},
		{"WXPAY_MCHID", `"1900000109"`, "has quotes around it"},
		{"WXPAY_MCHID", "undefined", "is the word undefined"},
		{"WXPAY_SUB_MCHID", "undefined", "is the word undefined"},
		{"WXPAY_SUB_MCHID", "1900000110x", "must be the merchant number, digits alone"},
		{"WXPAY_PUBLIC_KEY", "undefined", "is the word undefined"},
		{"REFUND_OPERATORS", "null", "is the word null"},
		{"REFUND_CLIENT_SOURCES", "undefined", "is the word undefined"},
		{"REFUND_SERVER_SOURCES", "undefined", "is the word undefined"},
		{"REFUND_SERVER_TOKEN", "'canary-secret-0123456789-0123456789'", "has quotes around it"},
		{"REFUND_OPERATORS", "oA，oB", "must have commas between its entries"},
		{"REFUND_OPERATORS", "oA; oB", "must have commas between its entries"},
		{"REFUND_OPERATORS", "oA,oB oC", "must have commas between its entries"},
		{"REFUND_OPERATORS", "${env:REFUND_OPERATORS}", "is a placeholder that"},
		{"WXPAY_APIV3_KEY", "{{env.WXPAY_APIV3_KEY}}", "is a placeholder that"},
		{"WXPAY_SERIAL_NO", "PUB_KEY_ID_0119000001092026112200000001", "is the id of WeChat Pay's public key"},
		{"WXPAY_SERIAL_NO", "51:57:F0", "hexadecimal digits alone"},
		{"WXPAY_APIV3_KEY", "canary-secret-of-31-bytes-xxxxx", "it has 31 bytes; it must have 32 bytes"},
		{"WXPAY_CHANNEL", "paypal", "must be one of apiv3, cloudbase, cloudpay, global, wecom"},
		{"WXPAY_NOTIFY_URL", "shop.example", "must be an http or https address"},
		{"WXPAY_NOTIFY_URL", "https://shop.example/?a=b", "without query"},
		{"WXPAY_BASE_URL", "ftp://shop.example", "must be an http or https address"},
		{"LEDGER_URL", "redis://canary-secret@host", "must begin with "},
		{"REFUND_MAX_FEN", "12.50", "must be a whole number of fen"},
		{"REFUND_MAX_FEN", "-1", "must be a whole number of fen"},
		{"REFUND_PACE", "soon", "must be a time"},
		{"REFUND_PACE", "-1ns", "must be a time"},
		{"LOG_LEVEL", "loud", "must be one of"},
		{"WXPAY_MCHID", "1900000109\n1", "holds a control character"},
		{"WXPAY_SERIAL_NO", "canary-secret\x01x", "holds a control character"},
		{"WXPAY_SUB_MCHID", "canary-secret\xff", "not UTF-8"},
		{"WXPAY_APIV3_KEY", "canary-secret\x00xxxxxxxxxxxxxxxxxx", "holds a control character"},
		{"LEDGER_URL", "sqlite:canary-secret\nx", "holds a control character"},
	} {
		s := complete()
		s[c.name] = c.value
		_, err := load(t, s)
		if err == nil || !strings.Contains(err.Error(), c.name+" ") || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s=%s: %v, want %q", c.name, c.value, err, c.says)
			continue
		}
		if strings.Contains(err.Error(), "canary-secret") || strings.Contains(err.Error(), "BEGIN") {
			t.Errorf("%s: the error holds the value: %v", c.name, err)
		}
	}
}

// A name that is nearly one of ours is told, since a limit that is not read does not
// hold; what is somebody else's is let alone.
func TestMisspeltSettingsAreNamed(t *testing.T) {
	for name, right := range map[string]string{
		"WXPAY_MCH_ID": "WXPAY_MCHID", "WXPAY_API_V3_KEY": "WXPAY_APIV3_KEY", "wxpay_mchid": "WXPAY_MCHID", "WXPAY_SERIAL": "WXPAY_SERIAL_NO",
		"REFUND_MAXFEN": "REFUND_MAX_FEN", "REFUND_OPERATOR": "REFUND_OPERATORS", "NOTIFY_FUNCTION": "NOTIFY_FUNCTIONS",
		"NOTIFY_WEBHOOK_URI": "NOTIFY_WEBHOOK_URL", "LEDGER_URI": "LEDGER_URL",
		"WXPAY_CHANEL": "WXPAY_CHANNEL", "RECONCILE_BILLS": "RECONCILE_BILL", "RECONCILE": "", "WXPAY_NOTIFYURL": "WXPAY_NOTIFY_URL", "ALERT_URLS": "ALERT_URL", "ALERT_URI": "ALERT_URL", "LOGLEVEL": "LOG_LEVEL", "LOG_LEVELS": "LOG_LEVEL",
		"TCBENV": "TCB_ENV", "TRUST_WX_HEADER": "TRUST_WX_HEADERS", "LEDGER_ALLOW_SQLLITE": "LEDGER_ALLOW_SQLITE", "REFUND_SERVER_TOKENS": "REFUND_SERVER_TOKEN",
		"REFUND_MAX": "REFUND_MAX_FEN", "WXPAY_SUB": "WXPAY_SUB_MCHID", "NOTIFY_FUNCTIONSX": "NOTIFY_FUNCTIONS",
		// This channel reads none of the settings that these are near to.
		"WECOM_CORP_ID": "", "CLOUDPAY_TRUST_RELAYS": "", "WXPAY_APP_ID": "", "WXPAY_CERT": "", "WXPAY_MCH_CERT": "",
		"TCB_ENVID": "", "TCB_API": "", "REFUND_": "", "REFUND": "", "WXPAY_MCHID_OF_OTHERS": "", "WXPAY_": "", "NOTIFY_SOCKET": "", "REFUND_PAGES": "", "REFUND_OPERATING": "", "WXPAY_NOTIFY_URL_PAY": "", "WXPAY_PAY_NOTIFY_URL": "", "WXPAY_KEY": "", "ALERT_EMAIL": "", "ALERT": "", "ALERT_UID": "", "LOG_FILE": "", "LOG": "", "LOG_LEVEL_DB": "", "LOG_FORMAT": "",
		"TENCENTCLOUD_SECRET_ID": "", "TENCENTCLOUD_REGION": "", "AWS_REGION": "", "SCF_RUNTIME": "", "TRUSTED": "", "TCB_ENVIRONMENT": "", "MCHID": "",
	} {
		t.Setenv(name, "canary-secret") // Load asks the process which names there are
		s := complete()
		delete(s, right)
		delete(s, "REFUND_PACE")
		delete(s, "REFUND_OPERATORS")
		if right == "WXPAY_SERIAL_NO" || right == "WXPAY_APIV3_KEY" || right == "WXPAY_MCHID" || right == "LEDGER_URL" {
			s[right] = ""
		}
		s[name] = "canary-secret"
		_, err := load(t, s)
		if right == "" {
			if err != nil {
				t.Errorf("%s: %v, want it let alone", name, err)
			}
			continue
		}
		if want := name + " is not a setting: did you mean " + right + "?"; err == nil || !slices.Contains(strings.Split(err.Error(), "\n"), want) || strings.Contains(err.Error(), "canary") {
			t.Errorf("%s: got %v, want %q", name, err, want)
		}
	}
	// Who has set the right one too has the other for another program, and the next
	// best setting was not meant either.
	for _, name := range []string{"WXPAY_MCH_ID", "WXPAY_API_V3_KEY", "WXPAY_APIV3KEY", "WXPAY_SERIAL", "LEDGER_URI"} {
		t.Setenv(name, "canary-secret")
		s := complete()
		s[name] = "canary-secret"
		if _, err := load(t, s); err != nil {
			t.Errorf("%s beside the right one: %v", name, err)
		}
	}
}

// Beside the right one, a name that is nearly a setting is told who asks for it, and what
// is somebody else's is not.
func TestUnreadNamesAreTold(t *testing.T) {
	set := map[string]string{
		"WXPAY_CHANNEL": "apiv3", "WXPAY_MCHID": "1", "WXPAY_NOTIFY_URL": "https://shop.example", "ALERT_URL": "https://shop.example",
		"LEDGER_URL": "sqlite::memory:", "LOG_LEVEL": "info", "TCB_ENV": "shop", "TENCENTCLOUD_SECRETID": "id",
		"WXPAY_EMPTY": "",
	}
	for name, right := range map[string]string{
		"WXPAY_CHANEL": "WXPAY_CHANNEL", "RECONCILE_BILLS": "RECONCILE_BILL", "RECONCILE": "", "WXPAY_MCH_ID": "WXPAY_MCHID", "WXPAY_NOTIFYURL": "WXPAY_NOTIFY_URL", "ALERT_URLS": "ALERT_URL",
		"LEDGER_URI": "LEDGER_URL", "LOGLEVEL": "LOG_LEVEL", "TCBENV": "TCB_ENV", "TCB_ENV_ID": "TCB_ENV", "TENCENTCLOUD_SECRET_ID": "TENCENTCLOUD_SECRETID",
		"WXPAY_NOTIFY_URL_PAY": "", "LOG_FORMAT": "", "TCB_UUID": "", "AWS_REGION": "", "WXPAY_MCHID": "", "WECOM_CORP_ID": "",
	} {
		s := maps.Clone(set)
		s[name] = "canary"
		got := config.Unread(func(name string) string { return s[name] }, name)
		var want []string
		if right != "" {
			want = []string{name + " is not a setting, and is not read: " + right + " is"}
		}
		if !slices.Equal(got, want) {
			t.Errorf("%s: got %q, want %q", name, got, want)
		}
	}
	for _, name := range []string{"REFUND_MAX_AMOUNT", "REFUND_APPROVAL_YUAN", "ALERT_WEBHOOK_URL"} { // a rule that somebody believes in
		get := func(of string) string { return map[string]string{name: "canary"}[of] }
		if got := config.Unread(get, name); !slices.Equal(got, []string{name + " is not a setting, and is not read"}) {
			t.Errorf("%s: got %q", name, got)
		}
	}
}

// The ledger's problem is told together with the others, and not once they are mended.
func TestLedgerProblemIsNamedWithTheOthers(t *testing.T) {
	for url, says := range map[string]string{
		"sqlite:/nonexistent/canary/ledger.db":         "LEDGER_URL: ",
		"mysql://user:canary@127.0.0.1:port/wxrefund":  "LEDGER_URL: ",
		"mysql://user:can ary@127.0.0.1:3306/wxrefund": "LEDGER_URL: ",
		"postgres://user:canary@[::1/wxrefund":         "LEDGER_URL: ",
		"redis://user:canary@127.0.0.1":                "LEDGER_URL must begin with",
	} {
		s := complete()
		s["LEDGER_URL"], s["WXPAY_MCHID"], s["REFUND_MAX_FEN"] = url, "", "many"
		_, err := load(t, s)
		if err == nil || !strings.Contains(err.Error(), says) || !strings.Contains(err.Error(), "WXPAY_MCHID is missing") || !strings.Contains(err.Error(), "REFUND_MAX_FEN must be") {
			t.Errorf("%s: got %v, want all three named", url, err)
			continue
		}
		if strings.Contains(err.Error(), "user:") || strings.Contains(err.Error(), "can ary") || strings.Contains(err.Error(), ":canary") {
			t.Errorf("%s: the error holds the password: %v", url, err)
		}
	}
}

// A client certificate and its key are named by what each is, and if they are not a pair.
func TestClientCertificateAndKeyBelongTogether(t *testing.T) {
	s, err := sandboxSettings(t, "global")
	if err != nil {
		t.Fatal(err)
	}
	s["LEDGER_URL"] = "sqlite::memory:"
	cert, key := s["WXPAY_CLIENT_CERT"], s["WXPAY_CLIENT_KEY"]
	for _, c := range []struct {
		cert, key string
		want      []string
	}{
		{certificatePEM(), key, []string{"WXPAY_CLIENT_CERT and WXPAY_CLIENT_KEY do not belong together"}},
		{key, cert, []string{"WXPAY_CLIENT_CERT is malformed: it is a private key; it must be a certificate in PEM",
			"WXPAY_CLIENT_KEY is malformed: it is a certificate; it must be an RSA private key of at least 2048 bits in PEM"}},
		{cert, "", []string{"WXPAY_CLIENT_KEY is missing"}},
		{"file:/nowhere/cert.pem", key, []string{"WXPAY_CLIENT_CERT names a file that cannot be read"}},
	} {
		s["WXPAY_CLIENT_CERT"], s["WXPAY_CLIENT_KEY"] = c.cert, c.key
		_, err := load(t, s)
		if err == nil || err.Error() != strings.Join(c.want, "\n") {
			t.Errorf("got %v, want %q", err, c.want)
		}
	}
}

// That a private key's numbers do not belong together is told to whoever prepares or
// deploys. A function that starts leaves it to the first signature.
func TestKeyIsComputedWithOnlyWhereNobodyWaits(t *testing.T) {
	broken := *key()
	broken.D = new(big.Int).Add(broken.D, big.NewInt(2))
	broken.Precomputed = rsa.PrecomputedValues{}
	settings := complete()
	settings["WXPAY_PRIVATE_KEY"] = string(pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE KEY", Bytes: x509.MarshalPKCS1PrivateKey(&broken)}))
	getenv := func(name string) string { return settings[name] }

	const want = "WXPAY_PRIVATE_KEY is malformed"
	if _, _, err := config.Prepare(t.Context(), getenv, slog.New(slog.DiscardHandler)); err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("Prepare: got %v, want %q in it", err, want)
	}
	if err := config.Check(t.Context(), settings); err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("Check: got %v, want %q in it", err, want)
	}
	sys, err := config.Load(t.Context(), getenv, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal("Load:", err)
	}
	defer sys.Close()
	if _, err := sys.Refunds.Channel.(*channel.APIv3).Client.Signer.Authorization("GET", "/", nil); err == nil {
		t.Error("the first signature is made with a key that does not belong together")
	}
}

// Check finds what Load would find elsewhere, connects to nothing and reads no file.
func TestCheckOfAnotherMachinesSettings(t *testing.T) {
	good := complete()
	good["LEDGER_URL"] = "mysql://user:canary@nowhere.example:3306/wxrefund"
	for _, name := range []string{"WXPAY_PRIVATE_KEY", "WXPAY_PUBLIC_KEY"} {
		good[name] = "file:/nowhere/of/that/machine.pem"
	}
	if err := config.Check(t.Context(), good); err != nil {
		t.Errorf("good settings: %v", err)
	}
	global := map[string]string{
		"WXPAY_CHANNEL": "global", "WXPAY_MCHID": "1900000109", "WXPAY_APPID": "wx8888888888888888", "WXPAY_API_KEY": newKey,
		"WXPAY_CLIENT_CERT": "file:cert.pem", "WXPAY_CLIENT_KEY": privatePEM(), "LEDGER_URL": good["LEDGER_URL"],
	}
	if err := config.Check(t.Context(), global); err != nil {
		t.Errorf("good settings of Global: %v", err)
	}
	wecom := map[string]string{"WXPAY_CHANNEL": "wecom", "WECOM_CORP_ID": "ww1"}
	if err := config.Check(t.Context(), wecom); err == nil || !strings.Contains(err.Error(), "WECOM_CORP_ID is not a setting: did you mean WECOM_CORPID?") {
		t.Errorf("WECOM_CORP_ID on wecom: %v", err)
	}
	for change, says := range map[[2]string]string{
		{"LEDGER_URL", good["LEDGER_URL"] + "?tls=true&tls_ca=/nowhere/of/that/machine.pem"}: "",
		{"WXPAY_MCH_ID", "1"}:                         "", // beside the right one
		{"REFUND_TRUST_FUNCTIONS", "yes"}:             "REFUND_TRUST_FUNCTIONS must be one of true, false",
		{"TCB_ENVID", "shop"}:                         "TCB_ENVID is not a setting: did you mean TCB_ENV?",
		{"TCB_ENV_ID", "shop"}:                        "TCB_ENV_ID is not a setting: did you mean TCB_ENV?",
		{"TCB_UUID", "1"}:                             "",
		{"TCB_ENVIRONMENT", "1"}:                      "",
		{"TCB_ENV", "https://shop"}:                   "TCB_ENV must be the id of a CloudBase environment",
		{"TCB_ENV", "shop-1_g2H"}:                     "",
		{"TRUST_WX_HEADERS", "1"}:                     "TRUST_WX_HEADERS must be one of true, false",
		{"REFUND_MAXFEN", "1"}:                        "REFUND_MAXFEN is not a setting: did you mean REFUND_MAX_FEN?",
		{"WXPAY_PRIVATE_KEY", publicPEM(wechatKey())}: "WXPAY_PRIVATE_KEY is malformed: it is a public key",
		{"WXPAY_PUBLIC_KEY_ID", ""}:                   "WXPAY_PUBLIC_KEY_ID is missing beside WXPAY_PUBLIC_KEY",
		{"LEDGER_URL", "mysql://h:port/canary"}:       "LEDGER_URL: ",
		{"_LAMBDA_SERVER_PORT", "1"}:                  "",
	} {
		s := maps.Clone(good)
		delete(s, "REFUND_MAX_FEN")
		s[change[0]] = change[1]
		err := config.Check(t.Context(), s)
		if (says == "") != (err == nil) || err != nil && (!strings.Contains(err.Error(), says) || strings.Contains(err.Error(), "canary")) {
			t.Errorf("%s: got %v, want %q", change[0], err, says)
		}
	}
	s := maps.Clone(good)
	s["LEDGER_URL"], s["_LAMBDA_SERVER_PORT"] = "sqlite:refunds.db", "1"
	if err := config.Check(t.Context(), s); err == nil || !strings.Contains(err.Error(), "LEDGER_URL is SQLite") {
		t.Errorf("SQLite on SCF: %v", err)
	}
}

// All problems are named at once, each on a line of its own.
func TestAllProblemsAtOnce(t *testing.T) {
	_, err := load(t, map[string]string{"LOG_LEVEL": "loud"})
	if err == nil {
		t.Fatal("no error")
	}
	want := []string{"LEDGER_URL is missing", "LOG_LEVEL must be one of debug, info, warn, error", "WXPAY_APIV3_KEY is missing", "WXPAY_MCHID is missing", "WXPAY_PRIVATE_KEY is missing", "WXPAY_SERIAL_NO is missing"}
	if d := cmp.Diff(want, slices.Sorted(slices.Values(strings.Split(err.Error(), "\n")))); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
}

// Each channel loads once it has what it needs.
func TestOtherChannels(t *testing.T) {
	for _, channel := range config.Channels() {
		settings, err := sandboxSettings(t, channel)
		if err != nil {
			t.Fatal(err)
		}
		settings["LEDGER_URL"] = "sqlite::memory:"
		sys, err := load(t, settings)
		if err != nil {
			t.Errorf("%s: %v", channel, err)
			continue
		}
		if got := sys.Refunds.Channel.Spec().Name; got != channel {
			t.Errorf("channel %s, want %s", got, channel)
		}
	}
}

var playing = sync.OnceValues(func() (*sandbox.Sandbox, error) { return sandbox.New(sandbox.Config{}) })

// sandboxSettings are the settings with which a function talks to the sandbox.
func sandboxSettings(t *testing.T, channel string) (map[string]string, error) {
	t.Helper()
	s, err := playing()
	if err != nil {
		return nil, err
	}
	s.SetURLs(sandbox.URLs{WeChat: "http://127.0.0.1:8701", WeChatTLS: "https://127.0.0.1:8702", Notify: "http://127.0.0.1:8700/notify"})
	return s.Settings(channel)
}

// Without REFUND_PACE the channel's own pace counts, for which the service takes
// zero; an explicit zero, however it is written, means none at all.
func TestPaceTellsZeroFromUnset(t *testing.T) {
	for text, want := range map[string]time.Duration{
		"": 0, " ": 0, "0s": -1, "0": -1, "0m": -1, "-0s": -1, " 0h0m0s ": -1, "1m": time.Minute, "90s": 90 * time.Second, "1ns": 1,
	} {
		s := complete()
		s["REFUND_PACE"] = text
		sys, err := load(t, s)
		if err != nil {
			t.Errorf("%q: %v", text, err)
			continue
		}
		if got := sys.Refunds.Pace; got != want {
			t.Errorf("REFUND_PACE=%q: pace %d, want %d", text, got, want)
		}
	}
}

// A relay is believed only where CloudPay carries the refunds, and only in so many words.
func TestTrustRelay(t *testing.T) {
	for _, c := range []struct {
		channel, value string
		want, problem  bool
	}{
		{"cloudpay", "", false, false}, {"cloudpay", "false", false, false}, {"cloudpay", "true", true, false}, {"cloudpay", "1", false, true},
		{"cloudbase", "true", false, false}, {"apiv3", "true", false, false},
	} {
		s, err := sandboxSettings(t, c.channel)
		if err != nil {
			t.Fatal(err)
		}
		s["LEDGER_URL"], s["CLOUDPAY_TRUST_RELAY"] = "sqlite::memory:", c.value
		sys, err := load(t, s)
		if c.problem {
			if err == nil || err.Error() != "CLOUDPAY_TRUST_RELAY must be one of true, false" {
				t.Errorf("%+v: %v, want the variable named", c, err)
			}
			continue
		}
		if err != nil || sys.Refunds.TrustRelay != c.want {
			t.Errorf("%+v: %v", c, err)
		}
	}
}

// On a cloud function SQLite is refused unless it is allowed in writing.
func TestSQLiteOnACloudFunction(t *testing.T) {
	for _, platform := range []string{"_LAMBDA_SERVER_PORT", "AWS_LAMBDA_RUNTIME_API"} {
		s := complete()
		s[platform] = "1"
		if _, err := load(t, s); err == nil || !strings.Contains(err.Error(), "LEDGER_ALLOW_SQLITE") {
			t.Errorf("%s: %v", platform, err)
		}
		s["LEDGER_ALLOW_SQLITE"] = "true"
		if _, err := load(t, s); err != nil {
			t.Errorf("%s, allowed: %v", platform, err)
		}
		s["LEDGER_ALLOW_SQLITE"] = "yes"
		if _, err := load(t, s); err == nil || !strings.Contains(err.Error(), "LEDGER_ALLOW_SQLITE must be one of") {
			t.Errorf("%s, yes: %v", platform, err)
		}
	}
}

// The list of settings is what each channel reads, and what each cannot do without.
func TestSettingsAreWhatEachChannelReads(t *testing.T) {
	// The host alone reads these: who called is its affair, on every channel.
	host := []string{"REFUND_TRUST_FUNCTIONS", "TRUST_WX_HEADERS"}
	platform := []string{"_LAMBDA_SERVER_PORT", "AWS_LAMBDA_RUNTIME_API"}
	for _, channel := range config.Channels() {
		listed, needed := map[string]bool{}, []string{}
		for _, s := range config.Settings() {
			reads, required := s.Reads(channel)
			if reads && !slices.Contains(host, s.Name) {
				listed[s.Name] = true
			}
			if required {
				needed = append(needed, s.Name+" is missing")
			}
		}
		s, err := sandboxSettings(t, channel)
		if err != nil {
			t.Fatal(err)
		}
		hook := base64.StdEncoding.EncodeToString(make([]byte, 32))
		maps.Copy(s, map[string]string{
			"LEDGER_URL": "sqlite::memory:", "LEDGER_ALLOW_SQLITE": "true", "_LAMBDA_SERVER_PORT": "1", "TCB_ENV": "env-1",
			"NOTIFY_FUNCTIONS": "scf:a1", "NOTIFY_WEBHOOK_URL": "https://shop.example", "NOTIFY_WEBHOOK_SECRET": hook,
		})
		if channel == "cloudbase" {
			s["WXPAY_SERIAL_NO"] = "5157F09E" // keys for the bill are read if there is one
		}
		read := config.Read(s)
		for _, name := range platform {
			delete(read, name)
		}
		if d := cmp.Diff(listed, read); d != "" {
			t.Errorf("%s: what it reads (-list +code):\n%s", channel, d)
		}

		_, err = load(t, map[string]string{"WXPAY_CHANNEL": channel})
		if err == nil {
			t.Errorf("%s: no error without settings", channel)
			continue
		}
		if d := cmp.Diff(slices.Sorted(slices.Values(needed)), slices.Sorted(slices.Values(strings.Split(err.Error(), "\n")))); d != "" {
			t.Errorf("%s: what it needs (-list +code):\n%s", channel, d)
		}
	}
}

// Each setting is there once, with its meaning in both languages and an example; what
// holds a secret is marked.
func TestSettingsAreDescribed(t *testing.T) {
	names := map[string]bool{}
	for _, s := range config.Settings() {
		if names[s.Name] || s.English == "" || s.Chinese == "" || s.Example == "" && !s.Secret || s.In == 0 || s.Required+s.Optional == "" || s.Injected && s.In&config.SCF != 0 {
			t.Errorf("%s stands there twice, or by halves, or is set where the platform injects it", s.Name)
		}
		names[s.Name] = true
		for _, channel := range strings.Fields(s.Required + " " + s.Optional) {
			if !slices.Contains(config.Channels(), channel) {
				t.Errorf("%s is for %q, which is no channel", s.Name, channel)
			}
		}
		if looks := regexp.MustCompile(`(PRIVATE|CLIENT|API|APIV3|SECRET)_?KEY$|SECRET|TOKEN$|^(LEDGER|ALERT)_URL$`).MatchString(s.Name); looks != s.Secret {
			t.Errorf("%s is secret: %v, want %v", s.Name, s.Secret, looks)
		}
	}
}

// The module needs no key, and knows no bill; keys beside it are for the bill, and then
// none may be missing.
func TestCloudBaseHasBillsWithKeysBesideIt(t *testing.T) {
	bare := func() map[string]string {
		return map[string]string{
			"WXPAY_CHANNEL": "cloudbase", "WXPAY_MCHID": "1900000109", "TCB_ENV": "env-1", "LEDGER_URL": "sqlite::memory:",
		}
	}
	keys := complete()
	for name, tt := range map[string]struct {
		set   []string
		bills string
		says  string // "": it loads
	}{
		"none":                {nil, "[]", ""},
		"the APIv3 key alone": {[]string{"WXPAY_APIV3_KEY"}, "[]", ""}, // is left over from another channel
		"all":                 {[]string{"WXPAY_SERIAL_NO", "WXPAY_PRIVATE_KEY", "WXPAY_APIV3_KEY", "WXPAY_BASE_URL"}, "[trade funds]", ""},
		"a provider's":        {[]string{"WXPAY_SUB_MCHID", "WXPAY_SERIAL_NO", "WXPAY_PRIVATE_KEY", "WXPAY_APIV3_KEY", "WXPAY_PUBLIC_KEY", "WXPAY_PUBLIC_KEY_ID"}, "[trade]", ""},
		"no private key":      {[]string{"WXPAY_SERIAL_NO", "WXPAY_APIV3_KEY"}, "", "WXPAY_PRIVATE_KEY is missing"},
		"no serial number":    {[]string{"WXPAY_PRIVATE_KEY", "WXPAY_APIV3_KEY"}, "", "WXPAY_SERIAL_NO is missing"},
		"no APIv3 key":        {[]string{"WXPAY_PRIVATE_KEY", "WXPAY_SERIAL_NO"}, "", "WXPAY_APIV3_KEY is missing"},
	} {
		s := bare()
		for _, name := range tt.set {
			s[name] = keys[name]
		}
		sys, err := load(t, s)
		if tt.says != "" {
			if err == nil || err.Error() != tt.says {
				t.Errorf("%s: %v, want %q", name, err, tt.says)
			}
			continue
		}
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		c := sys.Refunds.Channel.(*channel.CloudBase)
		if got := c.Spec().Bills; fmt.Sprint(got) != tt.bills || sys.Keys.Preferred() != "" {
			t.Errorf("%s: bills %v, want %s", name, got, tt.bills)
		}
		if c.Bills != nil && (c.Bills.Signer.MchID != "1900000109" || c.SubMchID != s["WXPAY_SUB_MCHID"] || c.Bills.Keys == nil || s["WXPAY_BASE_URL"] != strings.Join(c.Bills.Hosts, "")) {
			t.Errorf("%s: %+v", name, c.Bills)
		}
	}
}

func TestBillsAreReadUnlessSwitchedOff(t *testing.T) {
	for value, off := range map[string]bool{"": false, "on": false, "off": true} {
		s := complete()
		s["RECONCILE_BILL"] = value
		sys, err := load(t, s)
		if err != nil || sys.Refunds.NoBill != off {
			t.Errorf("RECONCILE_BILL=%s: %v", value, err)
		}
	}
	s := complete()
	s["RECONCILE_BILL"] = "false"
	if _, err := load(t, s); err == nil || !strings.Contains(err.Error(), "RECONCILE_BILL must be one of on, off") {
		t.Error(err)
	}
}

// What others of the merchant have refunded stands in its bill, too.
func TestRefundsOfABillAreOursByTheirAppID(t *testing.T) {
	s := complete()
	for _, tt := range []struct {
		app, sub string
		want     []string
	}{{"", "", nil}, {"wx8888888888888888", "", []string{"wx8888888888888888"}}, {"wx1", "wx2", []string{"wx1", "wx2"}}} {
		s["WXPAY_APPID"], s["WXPAY_SUB_APPID"] = tt.app, tt.sub
		sys, err := load(t, s)
		if err != nil || !slices.Equal(sys.Refunds.AppIDs, tt.want) {
			t.Errorf("%v, error %v, want %v", sys.Refunds.AppIDs, err, tt.want)
		}
	}
}
