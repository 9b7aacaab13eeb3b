//go:build heavy

package process

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"wxrefund/shared/config"
)

// checkNamed wants a reply that names these variables to a server.
func checkNamed(t *testing.T, what string, b []byte, names ...string) {
	t.Helper()
	got := Parse(t, b)
	if got.Code != 500 || got.ErrCode != "SYSTEMERROR" || got.Retry != "later" {
		t.Errorf("%s: got %s, want 500 and later", what, b)
	}
	for _, name := range names {
		if !strings.Contains(got.Message, name) {
			t.Errorf("%s: got %s, want %s named", what, got.Message, name)
		}
	}
}

// D7: what is missing is told at once, to whom it concerns: to a server and to the log.
func TestMissingSettingsAreToldToServersAndTheLogAlone(t *testing.T) {
	t.Parallel()
	var required []string
	for _, s := range config.Settings() {
		if _, needed := s.Reads("apiv3"); needed {
			required = append(required, s.Name)
		}
	}
	for _, name := range []string{Dispatcher, Notify, Reconcile} {
		onSCF, onLambda, container := StartSCF(t, name, nil), StartLambda(t, name, nil), StartPlain(t, name, nil)
		checkNamed(t, name+" on SCF", onSCF.Invoke(Invocation{Event: `{}`, ID: "s1"}), required...)
		checkNamed(t, name+" on Lambda", onLambda.Invoke("s2", `{}`, 5*time.Second), required...)

		public := map[string]string{"a user": string(onSCF.Invoke(Invocation{Event: `{}`, Environment: User(Operator, "wx_client")}))}
		bare := func(who string, status int, body string) {
			t.Helper()
			if public[who] = body; status != 503 || body != "" {
				t.Errorf("%s: %s: got %d %s, want a bare 503", name, who, status, body)
			}
		}
		for _, g := range TencentGateways {
			status, body := Unpack(t, onSCF.Invoke(Invocation{Event: g.Event(Notification{})}))
			bare(g.Name, status, body)
		}
		for _, g := range AWSGateways {
			status, body := Unpack(t, onLambda.Invoke("s3", g.Event(Notification{}), 5*time.Second))
			bare(g.Name, status, body)
		}
		status, body := container.Post(`{}`)
		bare("plain HTTP", status, string(body))
		for who, reply := range public {
			for _, variable := range append(required, "WXPAY", "missing") {
				if strings.Contains(reply, variable) {
					t.Errorf("%s: %s is told %s", name, who, reply)
				}
			}
		}
		record := fmt.Sprint(onSCF.Process.Record("not configured", "s1"))
		for _, variable := range required {
			if !strings.Contains(record, variable) {
				t.Errorf("%s: got log %q, want %s named", name, record, variable)
			}
		}
	}

	w := NewWorld(t)
	checkNamed(t, "SQLite on Lambda", StartLambda(t, Dispatcher, w.With("LEDGER_ALLOW_SQLITE=")).Invoke("s4", `{}`, 5*time.Second), "LEDGER_URL", "LEDGER_ALLOW_SQLITE")
	container := StartPlain(t, Dispatcher, w.With("LEDGER_ALLOW_SQLITE=", "TRUST_WX_HEADERS=true"))
	if status, body := container.Post(QueryEvent("out_refund_no", "none"), "X-WX-OPENID", Operator, "X-WX-SOURCE", "wx_client"); status != 200 || Parse(t, body).Code != 404 {
		t.Errorf("SQLite in a container: got %d %s, want 404", status, body)
	}
}

// D7: what is malformed, misspelt, or wrong for the host is named together, and shown to
// nobody; the first invocation that finds everything in order works.
func TestMalformedSettingsAreNamedAndNotShown(t *testing.T) {
	t.Parallel()
	w := NewWorld(t)
	good := w.Variables()
	short := good["WXPAY_APIV3_KEY"][:31]
	// On SCF settings may come with the request, which is how one process sees them all.
	// What one request brings stays until another says otherwise.
	f := StartSCF(t, Dispatcher, nil)
	invoke := func(change map[string]string) []byte {
		t.Helper()
		environment := maps.Clone(good)
		for _, name := range []string{"REFUND_MAX_FEN", "REFUND_TRUST_FUNCTIONS", "TRUST_WX_HEADERS", "REFUND_SERVER_SOURCES", "REFUND_SERVER_TOKEN", "LOG_LEVEL", "WXPAY_MCH_ID"} {
			environment[name] = ""
		}
		maps.Copy(environment, change)
		return f.Invoke(Invocation{Event: QueryEvent("out_refund_no", "none"), Environment: environment})
	}
	key := filepath.Join(t.TempDir(), "key.pem")
	for _, tt := range []struct {
		change map[string]string
		names  []string
	}{
		{map[string]string{
			"WXPAY_CHANNEL": "apiv3", "WXPAY_MCHID": "", "WXPAY_MCH_ID": "c2VjcmV0", "WXPAY_PRIVATE_KEY": "-----BEGIN PRIVATE KEY-----\nc2VjcmV0\n-----END PRIVATE KEY-----\n",
			"WXPAY_APIV3_KEY": good["WXPAY_APIV3_KEY"] + "," + short, "WXPAY_PUBLIC_KEY": "", "WXPAY_BASE_URL": "wechat", "WXPAY_NOTIFY_URL": "https://merchant.example/notify?secret=1",
			"LEDGER_URL": "redis://user:c2VjcmV0@127.0.0.1", "REFUND_MAX_FEN": "1.5", "LOG_LEVEL": "loud",
			"REFUND_TRUST_FUNCTIONS": "yes", "TRUST_WX_HEADERS": "1", "REFUND_SERVER_SOURCES": "scf,wx_http", "REFUND_SERVER_TOKEN": strings.Repeat("c2VjcmV0", 4) + ",c2VjcmV0",
		}, []string{
			"WXPAY_MCHID is missing", "did you mean WXPAY_MCHID", "WXPAY_PRIVATE_KEY", "WXPAY_APIV3_KEY is malformed in the second of two", "32",
			"WXPAY_PUBLIC_KEY is missing", "WXPAY_BASE_URL", "WXPAY_NOTIFY_URL", "LEDGER_URL", "sqlite", "REFUND_MAX_FEN", "LOG_LEVEL",
			"REFUND_TRUST_FUNCTIONS", "TRUST_WX_HEADERS", "REFUND_SERVER_SOURCES", "REFUND_CLIENT_SOURCES", "wx_http", "REFUND_SERVER_TOKEN", "the second of two",
		}},
		{map[string]string{"WXPAY_PRIVATE_KEY": "file:" + key}, []string{"WXPAY_PRIVATE_KEY"}},
	} {
		b := invoke(tt.change)
		checkNamed(t, strings.Join(tt.names, ", "), b, tt.names...)
		for _, secret := range []string{"c2VjcmV0", short, good["WXPAY_APIV3_KEY"], "PRIVATE KEY-"} {
			if strings.Contains(string(b), secret) {
				t.Errorf("%v: a secret is in the reply %s", tt.names, b)
			}
		}
	}

	// The key's file appears.
	if err := os.WriteFile(key, []byte(good["WXPAY_PRIVATE_KEY"]), 0o600); err != nil {
		t.Fatal(err)
	}
	if got := Parse(t, invoke(map[string]string{"WXPAY_PRIVATE_KEY": "file:" + key})); got.Code != 404 {
		t.Errorf("once everything is in order: got %+v, want 404", got)
	}
	for _, secret := range []string{"c2VjcmV0", short, "PRIVATE KEY-", "MII"} {
		if strings.Contains(f.Process.Stderr.String(), secret) {
			t.Errorf("a secret is in the log")
		}
	}
}
