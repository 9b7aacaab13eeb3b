package check_test

import (
	"maps"
	"strings"
	"testing"

	"wxrefund/shared/check"
	"wxrefund/shared/sandbox/world"
)

// On every channel, and for every kind of merchant of APIv3, a deployment that is right has
// no problem and no warning, and each thing has its line.
func TestARightDeploymentHasNoProblem(t *testing.T) {
	everywhere := []string{"settings", "access", "ledger", "ledger schema", "ledger speed", "ledger merchant", "timer", "clock", "refund query"}
	for _, c := range []struct {
		channel, merchant string
		proves            []string
		notes             []string // what cannot be proved
	}{
		{"apiv3", world.MerchantCertificate, []string{"merchant key", "APIv3 key", "platform certificates", "notify URL", "daily bill"}, nil},
		{"apiv3", "switching", []string{"merchant key", "APIv3 key", "platform certificates", "public key", "notify URL"}, nil},
		{"apiv3", world.MerchantPublicKey, []string{"merchant key", "public key", "notify URL"}, []string{"APIv3 key"}},
		{"cloudbase", "", []string{"gateway"}, []string{"daily bill"}},
		{"cloudpay", "", []string{"gateway", "daily bill"}, nil},
		{"global", "", []string{"client certificate", "mutual TLS", "notify URL", "daily bill"}, nil},
		{"wecom", "", []string{"WeCom token", "daily bill"}, nil},
	} {
		t.Run(c.channel+" "+c.merchant, func(t *testing.T) {
			d := deploy(t, c.channel, c.merchant)
			for range 2 { // the second time the ledger is in use
				got := d.check(nil)
				t.Logf("\n%s", show(got))
				for _, name := range append(everywhere, c.proves...) {
					if r := find(got, name); len(r) != 1 || r[0].Status != check.OK {
						t.Errorf("%s: got %+v, want one line that is ok", name, r)
					}
				}
				for _, r := range got {
					if r.Status == check.Problem || r.Status == check.Warning {
						t.Errorf("got %+v", r)
					}
				}
				for _, name := range c.notes {
					if r := find(got, name); len(r) != 1 || r[0].Status != check.Note || r[0].Do == "" {
						t.Errorf("%s: got %+v, want a note that says what to do", name, r)
					}
				}
				if check.Problems(got) != 0 {
					t.Error("Problems() is not 0")
				}
			}
		})
	}
}

// A malformed ledger is told among the settings, alone and together with others, and shows
// no password. Nothing is said to be right then.
func TestAMalformedLedgerIsToldAmongTheSettings(t *testing.T) {
	for _, at := range []string{"mysql://user:canary@127.0.0.1:port/test", "postgres://user:canary@[::1/test", "redis://user:canary@127.0.0.1", "sqlite:"} {
		for _, change := range []map[string]string{
			{"LEDGER_URL": at},
			{"LEDGER_URL": at, "WXPAY_MCHID": "", "REFUND_MAX_FEN": "many"},
		} {
			got := deploy(t, "wecom", "").check(change)
			lines := show(find(got, "settings"))
			for name := range change {
				if !strings.Contains(lines, name) {
					t.Errorf("%s: got %s, want %s named", at, lines, name)
				}
			}
			if n := check.Problems(got); n != len(change) || strings.Contains(show(got), "canary") || strings.Contains(lines, "nothing is missing") {
				t.Errorf("%s: got %d problems, want %d:\n%s", at, n, len(change), show(got))
			}
		}
	}
}

// What could not be asked, since something before it is wrong, says so in its own line.
func TestWhatIsNotAskedHasItsLine(t *testing.T) {
	for _, c := range []struct {
		channel, merchant string
		change            map[string]string
		first             string
		lines             []string
	}{
		{"apiv3", world.MerchantCertificate, map[string]string{"WXPAY_SERIAL_NO": "5157F09EFDC096DE15EBE81A47057A7232F1B8E1"}, "merchant key", []string{"APIv3 key", "platform certificates", "refund query"}},
		{"apiv3", world.MerchantPublicKey, map[string]string{"WXPAY_SERIAL_NO": "5157F09EFDC096DE15EBE81A47057A7232F1B8E1"}, "merchant key", []string{"APIv3 key", "public key", "refund query"}},
		{"apiv3", world.MerchantPublicKey, map[string]string{"WXPAY_BASE_URL": "http://" + closed(t)}, "WeChat Pay", []string{"APIv3 key", "public key", "refund query"}},
		{"apiv3", world.MerchantCertificate, map[string]string{"WXPAY_APIV3_KEY": strings.Repeat("k", 32)}, "APIv3 key", []string{"refund query", "daily bill"}},
		{"cloudbase", "", map[string]string{"TENCENTCLOUD_SECRETKEY": "wrong"}, "gateway", []string{"refund query"}},
		{"cloudpay", "", map[string]string{"TENCENTCLOUD_SECRETID": "", "TENCENTCLOUD_SECRETKEY": ""}, "gateway", []string{"refund query"}},
		{"wecom", "", map[string]string{"WECOM_CORPSECRET": "wrong"}, "WeCom token", []string{"refund query"}},
	} {
		t.Run(c.channel+" "+c.merchant+" "+c.first, func(t *testing.T) {
			got := deploy(t, c.channel, c.merchant).check(c.change)
			for _, name := range c.lines {
				if r := find(got, name); len(r) != 1 || r[0].Status != check.Note || r[0].Text != "not asked: "+c.first+" first" {
					t.Errorf("%s: got %+v, want one note\n%s", name, r, show(got))
				}
			}
			if len(find(got, c.first)) != 1 {
				t.Errorf("there is no line %s", c.first)
			}
		})
	}
}

// A name that is nearly a setting is told beside the right one, too, and then nothing is
// called well spelt; without the right one it is a problem.
func TestMisspeltNamesAreToldBesideTheRightOnes(t *testing.T) {
	d := deploy(t, "apiv3", "")
	d.settings["WXPAY_CHANNEL"], d.settings["LOG_LEVEL"] = "apiv3", "info"
	names := []string{"LEDGER_URI", "LOGLEVEL", "WXPAY_CHANEL", "WXPAY_MCH_ID", "WXPAY_NOTIFYURL"}
	settings := maps.Clone(d.settings)
	for _, name := range names {
		settings[name] = "canary"
	}
	run := func() []check.Result {
		return find(check.Run(t.Context(), check.Input{Getenv: func(name string) string { return settings[name] }, Names: names}), "settings")
	}
	got := run()
	if len(got) != 1+len(names) || got[0].Status != check.OK || strings.Contains(got[0].Text, "misspelt") {
		t.Fatalf("got\n%s", show(got))
	}
	for i, name := range names {
		if r := got[i+1]; r.Status != check.Warning || !strings.HasPrefix(r.Text, name+" is not a setting") || r.Do == "" {
			t.Errorf("got %+v, want a warning about %s", r, name)
		}
	}
	delete(settings, "LOG_LEVEL")
	if got := run(); len(got) != 1 || got[0].Status != check.Problem || !strings.Contains(got[0].Text, "LOGLEVEL is not a setting: did you mean LOG_LEVEL?") || strings.Contains(show(got), "canary") {
		t.Errorf("got\n%s", show(got))
	}
}
