package config_test

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"io"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
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

var key = sync.OnceValue(func() *rsa.PrivateKey {
	k, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		panic(err)
	}
	return k
})

func privatePEM() string {
	return string(pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE KEY", Bytes: x509.MarshalPKCS1PrivateKey(key())}))
}

func publicPEM() string {
	b, err := x509.MarshalPKIXPublicKey(&key().PublicKey)
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
		"WXPAY_PUBLIC_KEY_ID": "PUB_KEY_ID_0119000001092026112200000001", "WXPAY_PUBLIC_KEY": publicPEM(),
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

// Keys may come as PEM, as PEM with literal \n, or from a file.
func TestKeysInAllForms(t *testing.T) {
	file := filepath.Join(t.TempDir(), "key.pem")
	if err := os.WriteFile(file, []byte(privatePEM()), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, value := range map[string]string{
		"PEM": privatePEM(), "literal": strings.ReplaceAll(privatePEM(), "\n", `\n`), "file": "file:" + file,
	} {
		s := complete()
		s["WXPAY_PRIVATE_KEY"] = value
		if _, err := load(t, s); err != nil {
			t.Errorf("%s: %v", name, err)
		}
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

// D7: every variable in turn, missing or malformed, is named.
func TestD7EachProblemIsNamed(t *testing.T) {
	for _, c := range []struct{ name, value, says string }{
		{"WXPAY_MCHID", "", "is missing"},
		{"WXPAY_SERIAL_NO", "", "is missing"},
		{"WXPAY_PRIVATE_KEY", "", "is missing"},
		{"WXPAY_APIV3_KEY", "", "is missing"},
		{"LEDGER_URL", "", "is missing"},
		{"WXPAY_PUBLIC_KEY", "", "is missing beside WXPAY_PUBLIC_KEY_ID"},
		{"WXPAY_PUBLIC_KEY_ID", "", "is missing beside WXPAY_PUBLIC_KEY"},
		{"WXPAY_PRIVATE_KEY", "canary-secret", "is malformed"},
		{"WXPAY_PRIVATE_KEY", publicPEM(), "is malformed"},
		{"WXPAY_PRIVATE_KEY", "file:/nowhere/canary-secret", "cannot be read"},
		{"WXPAY_PUBLIC_KEY", "canary-secret", "is malformed"},
		{"WXPAY_APIV3_KEY", "canary-secret-of-31-bytes-xxxxx", "must have 32 bytes"},
		{"WXPAY_CHANNEL", "paypal", "must be one of apiv3, cloudbase, cloudpay, global, wecom"},
		{"WXPAY_NOTIFY_URL", "shop.example", "must be an http or https address"},
		{"WXPAY_NOTIFY_URL", "https://shop.example/?a=b", "without query"},
		{"WXPAY_BASE_URL", "ftp://shop.example", "must be an http or https address"},
		{"LEDGER_URL", "redis://canary-secret@host", "must begin with "},
		{"REFUND_MAX_FEN", "12.50", "must be a whole number of fen"},
		{"REFUND_MAX_FEN", "-1", "must be a whole number of fen"},
		{"REFUND_PACE", "soon", "must be a time"},
		{"REFUND_PACE", "-1m", "must be a time"},
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

// Each channel names what it lacks, and loads once it has it.
func TestOtherChannels(t *testing.T) {
	for channel, wants := range map[string][]string{
		"cloudbase": {"TCB_ENV", "WXPAY_MCHID"},
		"cloudpay":  {"TCB_ENV", "WXPAY_SUB_MCHID"},
		"global":    {"WXPAY_API_KEY", "WXPAY_APPID", "WXPAY_CLIENT_CERT", "WXPAY_CLIENT_KEY", "WXPAY_MCHID"},
		"wecom":     {"WECOM_CORPID", "WECOM_CORPSECRET", "WXPAY_APPID", "WXPAY_MCHID"},
	} {
		_, err := load(t, map[string]string{"WXPAY_CHANNEL": channel, "LEDGER_URL": "sqlite::memory:"})
		var want []string
		for _, name := range wants {
			want = append(want, name+" is missing")
		}
		if err == nil {
			t.Errorf("%s: no error", channel)
			continue
		}
		if d := cmp.Diff(want, slices.Sorted(slices.Values(strings.Split(err.Error(), "\n")))); d != "" {
			t.Errorf("%s (-want +got):\n%s", channel, d)
		}

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

// Whatever is read stands in the table, and nothing stands there twice.
func TestVariablesAreAllThatIsRead(t *testing.T) {
	table := map[string]bool{"_LAMBDA_SERVER_PORT": true, "AWS_LAMBDA_RUNTIME_API": true} // set by platforms
	for _, v := range config.Variables() {
		if table[v.Name] {
			t.Errorf("%s stands there twice", v.Name)
		}
		table[v.Name] = true
	}
	s := complete()
	s["_LAMBDA_SERVER_PORT"], s["LEDGER_ALLOW_SQLITE"] = "1", "true"
	read := map[string]bool{}
	for _, channel := range []string{"apiv3", "cloudbase", "cloudpay", "global", "wecom"} {
		s["WXPAY_CHANNEL"] = channel
		// What a channel lacks is named; only what is read counts here.
		sys, err := config.Load(t.Context(), func(name string) string { read[name] = true; return s[name] }, nil)
		if err == nil {
			_ = sys.Close()
		}
	}
	for _, name := range slices.Sorted(maps.Keys(read)) {
		if !table[name] {
			t.Errorf("%s is read and stands in no table", name)
		}
	}
	// The host reads the others: who called is its affair.
	for _, name := range []string{"REFUND_TRUST_FUNCTIONS", "REFUND_CLIENT_SOURCES", "REFUND_SERVER_SOURCES", "REFUND_SERVER_TOKEN", "TRUST_WX_HEADERS"} {
		read[name] = true
	}
	for _, v := range config.Variables() {
		if !read[v.Name] {
			t.Errorf("%s stands in the table and is never read", v.Name)
		}
	}
}
