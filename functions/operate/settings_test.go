package main

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// envFile writes a .env file with the world's settings, and takes them out of the
// environment.
func (w *world) envFile(change map[string]string) string {
	w.t.Helper()
	file := filepath.Join(w.t.TempDir(), "prod.env")
	var text strings.Builder
	for name, value := range w.settings {
		if c, ok := change[name]; ok {
			value = c
		}
		text.WriteString(name + "='" + value + "'\n")
	}
	for name, value := range change {
		if _, there := w.settings[name]; !there {
			text.WriteString(name + "='" + value + "'\n")
		}
	}
	if err := os.WriteFile(file, []byte(text.String()), 0o600); err != nil {
		w.t.Fatal(err)
	}
	w.settings = map[string]string{}
	return file
}

// Settings come from a file as well, keys from files beside it; the environment comes
// first, and that is said.
func TestSettingsFromAFile(t *testing.T) {
	w := newWorld(t, "apiv3", "order-1")
	key, ledger := w.settings["WXPAY_PRIVATE_KEY"], w.settings["LEDGER_URL"]
	file := w.envFile(map[string]string{"WXPAY_PRIVATE_KEY": "file:apiclient_key.pem", "LOG_LEVEL": "debug"})
	if err := os.WriteFile(filepath.Join(filepath.Dir(file), "apiclient_key.pem"), []byte(key), 0o600); err != nil {
		t.Fatal(err)
	}
	w.operate("list").want(codeUsage, "WXPAY_PRIVATE_KEY is missing")
	w.operate("-env", file, "list").want(codeDone, "0 of 0")
	got := w.operate(append(refundArgs("order-1", "refund-1", "-yes"), "-env", file)...).want(codeDone, "refund-1 is PROCESSING")
	if got.stderr != "" {
		t.Errorf("with all settings from the file it said %s", got.stderr)
	}

	w.settings["LEDGER_URL"] = newLedger(t)
	w.operate("-env", file, "list").want(codeDone, "0 of 0", "operate: the environment's LEDGER_URL counts, not that in "+file+"\n")
	w.settings["LEDGER_URL"] = ledger
	if got := w.operate("-env", file, "list").want(codeDone, "1 of 1"); strings.Contains(got.stderr, "counts") {
		t.Errorf("the same in both is no matter: %s", got.stderr)
	}
}

// A file that cannot be read, or is misspelt, is wrong use; nothing of it is shown.
func TestWrongSettingsFile(t *testing.T) {
	w := newWorld(t, "apiv3")
	private := w.settings["WXPAY_APIV3_KEY"]
	for name, c := range map[string]struct {
		change map[string]string
		want   string
	}{
		"misspelt":  {map[string]string{"REFUND_MAX": "5"}, "REFUND_MAX is not a setting: did you mean REFUND_MAX_FEN?"},
		"short key": {map[string]string{"WXPAY_APIV3_KEY": "canary"}, "WXPAY_APIV3_KEY is malformed: it has 6 bytes; it must have 32 bytes"},
		"ledger":    {map[string]string{"LEDGER_URL": "oracle://u:canary@h"}, "LEDGER_URL"},
	} {
		w := &world{World: w.World, t: t, settings: map[string]string{}}
		for k, v := range newSettings(t, w) {
			w.settings[k] = v
		}
		got := w.operate("list", "-env", w.envFile(c.change)).want(codeUsage, c.want)
		if all := got.stdout + got.stderr; strings.Contains(all, "canary") || strings.Contains(all, private) {
			t.Errorf("%s: a secret is shown: %s", name, all)
		}
	}
	file := filepath.Join(t.TempDir(), ".env")
	if err := os.WriteFile(file, []byte("A='canary"), 0o600); err != nil {
		t.Fatal(err)
	}
	if got := w.operate("list", "-env", file).want(codeUsage, "line 1: A has a quote that nothing closes"); strings.Contains(got.stderr, "canary") {
		t.Errorf("a value is shown: %s", got.stderr)
	}
}

// newSettings are a world's settings, with a ledger of their own.
func newSettings(t *testing.T, w *world) map[string]string {
	t.Helper()
	s := w.SettingsOf("apiv3")
	s["LEDGER_URL"] = newLedger(t)
	return s
}

// Without a platform, gateways are called with the credentials that are set, and what is
// missing is said.
func TestCredentialsWithoutAPlatform(t *testing.T) {
	w := newWorld(t, "cloudbase", "order-1")
	w.operate(refundArgs("order-1", "refund-1", "-yes")...).want(codeDone, "refund-1 is PROCESSING")
	w.settings["TENCENTCLOUD_SECRETKEY"] = ""
	w.operate("query", "refund-1").want(codeFinding, "neither CLOUDBASE_APIKEY nor both of TENCENTCLOUD_SECRETID and TENCENTCLOUD_SECRETKEY are set")
}

// A ledger of another merchant is refused, and named, without a word of its password.
func TestLedgerOfAnotherMerchant(t *testing.T) {
	w := newWorld(t, "apiv3", "order-1")
	w.operate(refundArgs("order-1", "refund-1", "-yes")...).want(codeDone)
	w.settings["WXPAY_MCHID"] = "1900000999"
	w.operate("list").want(codeFinding, "LEDGER_URL names the ledger of merchant 1900000001, and the other settings name merchant 1900000999")
}

// Every channel is operated the same way.
func TestEveryChannel(t *testing.T) {
	for _, channel := range []string{"apiv3", "cloudbase", "cloudpay", "wecom"} {
		t.Run(channel, func(t *testing.T) {
			w := newWorld(t, channel, "order-1")
			w.operate(refundArgs("order-1", "refund1", "-yes")...).want(codeDone, "refund1 is PROCESSING")
			w.operate("query", "refund1").want(codeDone, "state", "processing", "WeChat Pay")
			w.operate("show", "refund1", "-upstream").want(codeDone)
			w.operate("list").want(codeDone, "1 of 1")
		})
	}
}

// Whatever a command prints, logs and writes to either side, with every detail logged, it
// shows no secret.
func TestNoSecretIsShown(t *testing.T) {
	w := newWorld(t, "apiv3", "order-1", "order-2")
	w.webhook().answer(false)
	w.settings["LOG_LEVEL"] = "debug"
	var all strings.Builder
	note := func(r result) {
		all.WriteString(r.stdout + r.stderr)
	}
	w.fault("bad_signature", 1)
	note(w.operate(refundArgs("order-1", "refund-1", "-yes")...))
	note(w.operate(refundArgs("order-2", "refund-2", "-yes")...))
	w.Control("POST", "/_sandbox/refunds/refund-2/settle", `{"status":"SUCCESS"}`, 200)
	for _, args := range [][]string{
		{"query", "refund-1"}, {"query", "refund-2"}, {"reconcile"}, {"redeliver", "refund-2", "-yes"}, {"show", "refund-2", "-upstream"},
		{"list"}, {"list", "-json"}, {"list", "-csv"}, {"alarms"}, {"release", "refund-1", "-yes"}, {"cancel", "refund-1", "-yes"},
		{"forget", "-before", "0d", "-yes"},
	} {
		note(w.operate(args...))
	}
	if !strings.Contains(all.String(), `"level":"INFO"`) {
		t.Error("nothing was logged")
	}
	for name, value := range w.settings {
		secret := strings.Contains(name, "KEY") && !strings.HasSuffix(name, "_ID") || strings.Contains(name, "SECRET")
		if value = strings.TrimSpace(value); secret && len(value) > 8 && strings.Contains(all.String(), value) {
			t.Errorf("%s is shown", name)
		}
		for line := range strings.Lines(value) {
			if line = strings.TrimSpace(line); secret && len(line) > 40 && strings.Contains(all.String(), line) {
				t.Errorf("a line of %s is shown", name)
			}
		}
	}
	if url := w.settings["NOTIFY_WEBHOOK_URL"]; strings.Contains(all.String(), url) {
		t.Error("the webhook's address is shown, which may be known to its owner alone")
	}
}

// Every command prints JSON with -json, whatever comes of it, and nothing beside it.
func TestEveryCommandPrintsJSON(t *testing.T) {
	w := shop(t)
	for _, args := range [][]string{
		{"list"}, {"show", "open"}, {"show", "nothing"}, {"query", "arrived-1"}, {"query", "nothing"}, {"query", "-out-trade-no", "order-1"},
		refundArgs("order-3", "more"), refundArgs("order-3", "more", "-yes"), refundArgs("order-9", "none", "-yes"), {"refund"},
		{"reconcile"}, {"release", "open", "-yes"}, {"release", "nothing", "-yes"}, {"release", "shut"}, {"cancel", "shut", "-yes"}, {"cancel"},
		{"redeliver", "shut", "-yes"}, {"redeliver", "shut"}, {"alarms"}, {"alarms", "-ack", "shut", "-note", "seen", "-yes"}, {"forget", "-before", "1d", "-yes"},
		{"applications"}, {"application", "nothing"}, {"approve", "nothing", "-yes"}, {"reject"}, {"withdraw", "nothing", "-yes"}, {"abnormal", "open", "-type", "MERCHANT_BANK_CARD"}, {"abnormal"},
	} {
		w.operate(append([]string{"-json"}, args...)...).object()
	}
}

// A misspelt path would be an empty ledger, in which all is well: no command makes one, nor
// takes what nobody else can see.
func TestLedgerThatIsNotThereIsRefused(t *testing.T) {
	w := newWorld(t, "apiv3")
	folder := t.TempDir()
	t.Chdir(folder)
	for url, says := range map[string]string{
		"sqlite:nope.db": "LEDGER_URL: there is no " + filepath.Join(folder, "nope.db") + " yet",
		"sqlite:" + filepath.Join(folder, "a", "no.db"): "LEDGER_URL: there is no folder " + filepath.Join(folder, "a"),
		"sqlite:" + folder: folder + " is no file",
		"sqlite::memory:":  "empty and nobody else's",
	} {
		w.settings["LEDGER_URL"] = url
		for _, c := range commands() {
			args := map[string][]string{
				"show": {"NO"}, "query": {"NO"}, "release": {"NO"}, "cancel": {"NO"}, "redeliver": {"NO"}, "explain": {"NO"},
				"application": {"ID"}, "approve": {"ID"}, "reject": {"ID"}, "withdraw": {"ID"}, "abnormal": {"NO", "-type", "MERCHANT_BANK_CARD"},
				"forget": {"-before", "2024-01-01"}, "refund": refundArgs("order-1", "NO")[1:], "console": {"-listen", "127.0.0.1:0"},
			}[c.name]
			if c.name == "copy" || c.name == "check" { // whose flags name the ledgers; which has a line for it
				continue
			}
			w.operate(append([]string{c.name, "-yes"}, args...)...).want(codeUsage, says)
		}
	}
	if made, err := os.ReadDir(folder); err != nil || len(made) > 0 {
		t.Errorf("there is now %v, %v", made, err)
	}
	w.settings["LEDGER_URL"] = newLedger(t)
	w.operate("alarms").want(codeDone, "No alarm is open.")
}

// A ledger that cannot be reached, or does not let us in, leads to the setting or the flag
// that names it, from every command.
func TestALedgerThatCannotBeReachedLeadsToItsSetting(t *testing.T) {
	w := newWorld(t, "apiv3", "order-1")
	here := w.settings["LEDGER_URL"]
	for _, flag := range []string{"-from", "-to"} {
		args := []string{"copy", "-from", here, "-to", here + ".copy"}
		args[slices.Index(args, flag)+1] = "postgres://root@127.0.0.1:1/test"
		w.operate(args...).want(codeFinding, flag+": the ledger did not answer: ", "or correct host and port in "+flag)
	}
	w.settings["LEDGER_URL"] = "postgres://root@127.0.0.1:1/test"
	for _, args := range [][]string{{"list"}, {"alarms"}, {"show", "r"}, {"verify"}, {"applications"}, {"query", "r"}, {"reconcile"}, {"bill"}, refundArgs("order-1", "r", "-yes")} {
		got := w.operate(args...).want(codeFinding, "the ledger did not answer: ", "nothing listens there: start the server, or correct host and port in LEDGER_URL")
		if strings.Contains(got.stderr, "repeat identically") {
			t.Errorf("%q: nothing comes of repeating it: %s", args, got.stderr)
		}
	}
}

// An empty name is none, and not the login's.
func TestAnEmptyNameIsRefused(t *testing.T) {
	w := newWorld(t, "apiv3")
	for _, args := range [][]string{{"-as", "", "list"}, {"list", "-as", ""}, {"list", "-as="}} {
		w.operate(args...).want(codeUsage, "-as", "must be your name")
	}
}
