package sandbox_test

import (
	"os/exec"
	"regexp"
	"strings"
	"testing"

	"wxrefund/shared/sandbox"
	"wxrefund/shared/sandbox/sandboxtest"
)

func TestSettingsExistForFiveChannels(t *testing.T) {
	w := sandboxtest.New(t)
	want := map[string][]string{
		"apiv3":     {"WXPAY_APIV3_KEY", "WXPAY_APPID", "WXPAY_MCHID", "WXPAY_PRIVATE_KEY", "WXPAY_PUBLIC_KEY", "WXPAY_PUBLIC_KEY_ID", "WXPAY_SERIAL_NO"},
		"cloudbase": {"TCB_API_URL", "TCB_ENV", "TENCENTCLOUD_SECRETID", "TENCENTCLOUD_SECRETKEY", "WXPAY_MCHID"},
		"cloudpay":  {"CLOUDPAY_CALLBACK_FUNCTION", "TCB_API_URL", "WXPAY_APPID", "WXPAY_SUB_MCHID"},
		"global":    {"WXPAY_API_KEY", "WXPAY_BASE_URL", "WXPAY_CA_CERT", "WXPAY_CLIENT_CERT", "WXPAY_CLIENT_KEY", "WXPAY_SIGN_TYPE"},
		"wecom":     {"WECOM_CORPID", "WECOM_CORPSECRET", "WXPAY_BASE_URL"},
	}
	for channel, names := range want {
		settings := w.SettingsOf(channel)
		for _, name := range names {
			if settings[name] == "" {
				t.Errorf("%s: %s is missing", channel, name)
			}
		}
		if settings["WXPAY_CHANNEL"] != channel {
			t.Errorf("%s: WXPAY_CHANNEL %q", channel, settings["WXPAY_CHANNEL"])
		}
	}
	if got := w.SettingsOf("cloudbase")["TCB_API_URL"]; got != "http://127.0.0.1:8701/admin" {
		t.Errorf("TCB_API_URL %s", got)
	}
	if got := w.SettingsOf("global")["WXPAY_BASE_URL"]; got != "https://127.0.0.1:8702" {
		t.Errorf("WXPAY_BASE_URL %s", got)
	}
}

// The shell is a real one.
func TestAShellCanSourceTheEnvironment(t *testing.T) {
	w := sandboxtest.New(t)
	text := string(w.Control("GET", "/_sandbox/env", "", 200).Body)
	for line := range strings.Lines(text) {
		if !regexp.MustCompile(`^[A-Z][A-Z0-9_]*='[^']*'\n$`).MatchString(line) {
			t.Errorf("line %q is not NAME='value'", line)
		}
	}
	sh := exec.Command("sh", "-c", `set -a; . /dev/stdin; unset PWD OLDPWD _; env`)
	sh.Stdin, sh.Env = strings.NewReader(text), []string{"PATH=/usr/bin:/bin"}
	out, err := sh.Output()
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]string{}
	for line := range strings.Lines(string(out)) {
		name, value, _ := strings.Cut(strings.TrimSuffix(line, "\n"), "=")
		got[name] = value
	}
	for name, want := range w.Settings {
		if strings.ReplaceAll(got[name], `\n`, "\n") != strings.TrimSuffix(want, "\n") {
			t.Errorf("%s = %q, want %q", name, got[name], want)
		}
	}
	for name, want := range map[string]string{
		"WXPAY_CHANNEL": "apiv3", "WXPAY_BASE_URL": "http://127.0.0.1:8701", "WXPAY_NOTIFY_URL": sandboxtest.NotifyURL,
	} {
		if got[name] != want {
			t.Errorf("%s = %q, want %q", name, got[name], want)
		}
	}
}

// Whoever has no public key is told of none, so that our functions download certificates.
func TestSettingsHoldAPublicKeyIfTheMerchantHasOne(t *testing.T) {
	for merchant, want := range map[string]bool{"": true, "switching": true, "public-key": true, "certificate": false} {
		w := sandboxtest.New(t, func(c *sandbox.Config) { c.Merchant = merchant })
		for range 2 {
			env := string(w.Control("GET", "/_sandbox/env?channel=apiv3", "", 200).Body)
			settings := w.SettingsOf("apiv3")
			for _, name := range []string{"WXPAY_PUBLIC_KEY", "WXPAY_PUBLIC_KEY_ID"} {
				if _, got := settings[name]; got != want || strings.Contains(env, "\n"+name+"=") != want {
					t.Errorf("%q: %s in the settings: %t, want %t; the environment:\n%s", merchant, name, got, want, env)
				}
			}
			w.Control("POST", "/_sandbox/keys/rotate", "", 200)
		}
	}
}

// TestSettingsHoldTheNewAndTheOldPublicKey rotates, so that a function which starts
// afterwards must know both, and no third: our settings take two.
func TestSettingsHoldTheNewAndTheOldPublicKey(t *testing.T) {
	w := sandboxtest.New(t)
	want, keys := w.SettingsOf("apiv3")["WXPAY_PUBLIC_KEY_ID"], w.SettingsOf("apiv3")["WXPAY_PUBLIC_KEY"]
	for range 2 {
		newest := w.Control("POST", "/_sandbox/keys/rotate", "", 200).Field("public_key_id").(string)
		old, _, _ := strings.Cut(want, ",")
		oldKey, _, _ := strings.Cut(strings.TrimPrefix(keys, "-----BEGIN "), "-----BEGIN ")
		want = newest + "," + old
		got := w.SettingsOf("apiv3")
		keys = got["WXPAY_PUBLIC_KEY"]
		if got["WXPAY_PUBLIC_KEY_ID"] != want || strings.Count(keys, "-----BEGIN ") != 2 || !strings.HasSuffix(keys, oldKey) {
			t.Errorf("WXPAY_PUBLIC_KEY_ID %s, want %s; WXPAY_PUBLIC_KEY %s", got["WXPAY_PUBLIC_KEY_ID"], want, keys)
		}
	}
	w.Advance("170h")
	if got := w.SettingsOf("apiv3"); got["WXPAY_PUBLIC_KEY_ID"]+"," != want[:strings.Index(want, ",")+1] || strings.Count(got["WXPAY_PUBLIC_KEY"], "-----BEGIN ") != 1 {
		t.Errorf("a week later %s, want the newest of %s", got["WXPAY_PUBLIC_KEY_ID"], want)
	}
}

func TestNothingIsPostedWithoutANotificationURL(t *testing.T) {
	w := sandboxtest.New(t, func(c *sandbox.Config) { c.NotifyURL = "" })
	w.Order("T1")
	w.Refund("T1", "R1")
	w.Advance("10m")
	if d := w.Deliveries(); len(d) != 0 || w.Status("R1") != "SUCCESS" {
		t.Errorf("deliveries %v", d)
	}
	w.Sandbox.SetURLs(sandbox.URLs{Notify: "http://127.0.0.1:8700/notify"})
	w.Refund("T1", "R2")
	w.Advance("10m")
	if p := w.Receiver.Received(); len(p) != 1 || p[0].URL != "http://127.0.0.1:8700/notify" {
		t.Errorf("posts %v", p)
	}
}

func TestUnusableConfigsAreRefused(t *testing.T) {
	for name, cfg := range map[string]sandbox.Config{
		"speed below zero": {Speed: -1}, "speed too great": {Speed: 1e9},
		"URL with a query": {NotifyURL: "http://x.example/?a"}, "certificate, switching, public-key": {Merchant: "both"},
	} {
		cfg.Keys = sandboxtest.Keys()
		s, err := sandbox.New(cfg)
		if err == nil {
			t.Errorf("%s: New() = %v, want an error", name, s)
		} else if cfg.Merchant != "" && !strings.Contains(err.Error(), name) {
			t.Errorf("merchant %s: %v, want the kinds that there are: %s", cfg.Merchant, err, name)
		}
	}
}

func TestTheLogHoldsNoSecrets(t *testing.T) {
	var log strings.Builder
	w := sandboxtest.New(t, func(c *sandbox.Config) { c.Log = sandboxtest.TextLog(&log) })
	w.Order("T1")
	w.Refund("T1", "R1")
	w.Apply("T2", "R2", 1)
	w.Advance("10m")
	w.Control("POST", "/_sandbox/keys/rotate", "", 200)
	w.Control("POST", "/_sandbox/faults", `{"notify":"lose"}`, 200)
	sandboxtest.TextLog(&log).Info("keys", "keys", sandboxtest.Keys())
	var c map[string]string
	w.Control("GET", "/_sandbox/credentials", "", 200).Decode(t, &c)
	for _, name := range []string{"private_key", "apiv3_key", "api_key", "corpsecret", "secret_key", "cloudbase_apikey"} {
		for line := range strings.Lines(c[name]) {
			if strings.Contains(log.String(), strings.TrimSpace(line)) {
				t.Errorf("the log holds the %s", name)
			}
		}
	}
	for _, event := range []string{"order paid", "refund accepted", "refund settled", "notification sent", "keys rotated", "fault added"} {
		if !strings.Contains(log.String(), event) {
			t.Errorf("the log does not tell of: %s", event)
		}
	}
}
