package functions_test

import (
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// required are the variables without which nothing runs.
var required = []string{"WXPAY_MCHID", "WXPAY_SERIAL_NO", "WXPAY_PRIVATE_KEY", "WXPAY_APIV3_KEY", "LEDGER_URL"}

// checkNamed wants a reply that names these variables to a server.
func checkNamed(t *testing.T, what string, b []byte, names ...string) {
	t.Helper()
	got := parse(t, b)
	if got.Code != 500 || got.ErrCode != "SYSTEMERROR" || got.Retry != "later" {
		t.Errorf("%s: got %s, want 500 and later", what, b)
	}
	for _, name := range names {
		if !strings.Contains(got.Message, name) {
			t.Errorf("%s: got %s, want %s named", what, got.Message, name)
		}
	}
}

// What is missing is told at once, to whom it concerns: to a server and to the log.
func TestMissingSettings(t *testing.T) {
	t.Parallel()
	for _, name := range []string{dispatcher, notify, reconcile} {
		onSCF, onLambda, container := startSCF(t, name, nil), startLambda(t, name, nil), startPlain(t, name, nil)
		checkNamed(t, name+" on SCF", onSCF.invoke(invocation{event: `{}`, id: "s1"}), required...)
		checkNamed(t, name+" on Lambda", onLambda.invoke("s2", `{}`, 5*time.Second), required...)

		told := map[string]string{"a user": string(onSCF.invoke(invocation{event: `{}`, environment: user(operator, "wx_client")}))}
		for _, g := range tencentGateways {
			status, body := unpack(t, onSCF.invoke(invocation{event: g.event(notification{})}))
			if told[g.name] = body; status != 503 || body != "" {
				t.Errorf("%s: %s: got %d %s, want a bare 503", name, g.name, status, body)
			}
		}
		for _, g := range awsGateways {
			status, body := unpack(t, onLambda.invoke("s3", g.event(notification{}), 5*time.Second))
			if told[g.name] = body; status != 503 || body != "" {
				t.Errorf("%s: %s: got %d %s, want a bare 503", name, g.name, status, body)
			}
		}
		status, body := container.post(`{}`)
		if told["plain HTTP"] = string(body); status != 503 || len(body) != 0 {
			t.Errorf("%s: plain HTTP: got %d %s, want a bare 503", name, status, body)
		}
		for who, reply := range told {
			for _, variable := range append(required, "WXPAY", "missing") {
				if strings.Contains(reply, variable) {
					t.Errorf("%s: %s is told %s", name, who, reply)
				}
			}
		}
		text, _ := onSCF.process.record("not configured", "s1")["error"].(string)
		for _, variable := range required {
			if !strings.Contains(text, variable) {
				t.Errorf("%s: got log %q, want %s named", name, text, variable)
			}
		}
	}

	w := newWorld(t)
	checkNamed(t, "SQLite on Lambda", startLambda(t, dispatcher, w.with("LEDGER_ALLOW_SQLITE=")).invoke("s4", `{}`, 5*time.Second), "LEDGER_URL", "LEDGER_ALLOW_SQLITE")
	container := startPlain(t, dispatcher, w.with("LEDGER_ALLOW_SQLITE=", "TRUST_WX_HEADERS=true"))
	if status, body := container.post(queryEvent("out_refund_no", "none"), "X-WX-OPENID", operator, "X-WX-SOURCE", "wx_client"); status != 200 || parse(t, body).Code != 404 {
		t.Errorf("SQLite in a container: got %d %s, want 404", status, body)
	}
}

// What is malformed is named, and shown to nobody; the first invocation that finds
// everything in order works.
func TestMalformedSettings(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	good := w.variables()
	short := good["WXPAY_APIV3_KEY"][:31]
	// On SCF settings may come with the request, which is how one process sees them all.
	f := startSCF(t, dispatcher, nil)
	invoke := func(change map[string]string) []byte {
		t.Helper()
		environment := maps.Clone(good)
		maps.Copy(environment, change)
		return f.invoke(invocation{event: queryEvent("out_refund_no", "none"), environment: environment})
	}
	key := filepath.Join(t.TempDir(), "key.pem")
	for _, tt := range []struct {
		change map[string]string
		names  []string
	}{
		{map[string]string{"WXPAY_PRIVATE_KEY": "-----BEGIN PRIVATE KEY-----\nc2VjcmV0\n-----END PRIVATE KEY-----\n"}, []string{"WXPAY_PRIVATE_KEY"}},
		{map[string]string{"WXPAY_PRIVATE_KEY": good["WXPAY_PUBLIC_KEY"]}, []string{"WXPAY_PRIVATE_KEY"}},
		{map[string]string{"WXPAY_PRIVATE_KEY": "file:/nonexistent/key.pem"}, []string{"WXPAY_PRIVATE_KEY"}},
		{map[string]string{"WXPAY_APIV3_KEY": short}, []string{"WXPAY_APIV3_KEY", "32"}},
		{map[string]string{"WXPAY_PUBLIC_KEY": ""}, []string{"WXPAY_PUBLIC_KEY is missing"}},
		{map[string]string{"WXPAY_PUBLIC_KEY_ID": ""}, []string{"WXPAY_PUBLIC_KEY_ID is missing"}},
		{map[string]string{"WXPAY_PUBLIC_KEY": "PEM"}, []string{"WXPAY_PUBLIC_KEY is malformed"}},
		{map[string]string{"WXPAY_CHANNEL": "alipay"}, []string{"WXPAY_CHANNEL", "apiv3"}},
		{map[string]string{"WXPAY_BASE_URL": "wechat"}, []string{"WXPAY_BASE_URL"}},
		{map[string]string{"WXPAY_NOTIFY_URL": "https://merchant.example/notify?secret=1"}, []string{"WXPAY_NOTIFY_URL"}},
		{map[string]string{"LEDGER_URL": "redis://user:c2VjcmV0@127.0.0.1"}, []string{"LEDGER_URL", "sqlite"}},
		{map[string]string{"LEDGER_URL": "sqlite:/nonexistent/ledger.db"}, []string{"LEDGER_URL"}},
		{map[string]string{"LEDGER_ALLOW_SQLITE": ""}, []string{"LEDGER_URL", "LEDGER_ALLOW_SQLITE"}},
		{map[string]string{"LEDGER_ALLOW_SQLITE": "yes"}, []string{"LEDGER_ALLOW_SQLITE"}},
		{map[string]string{"REFUND_MAX_FEN": "1.5"}, []string{"REFUND_MAX_FEN"}},
		{map[string]string{"REFUND_TRUST_FUNCTIONS": "yes"}, []string{"REFUND_TRUST_FUNCTIONS"}},
		{map[string]string{"TRUST_WX_HEADERS": "1"}, []string{"TRUST_WX_HEADERS"}},
		{map[string]string{"REFUND_SERVER_SOURCES": "scf,wx_http"}, []string{"REFUND_SERVER_SOURCES", "REFUND_CLIENT_SOURCES", "wx_http"}},
		{map[string]string{"REFUND_SERVER_TOKEN": strings.Repeat("c2VjcmV0", 4) + ",c2VjcmV0"}, []string{"REFUND_SERVER_TOKEN", "32", "the second of two"}},
		{map[string]string{"WXPAY_APIV3_KEY": good["WXPAY_APIV3_KEY"] + "," + short}, []string{"WXPAY_APIV3_KEY is malformed in the second of two"}},
		{map[string]string{"LOG_LEVEL": "loud"}, []string{"LOG_LEVEL"}},
		{map[string]string{"WXPAY_MCHID": "", "WXPAY_APIV3_KEY": short, "LEDGER_URL": "redis:", "REFUND_MAX_FEN": "0", "TRUST_WX_HEADERS": "1", "WXPAY_PUBLIC_KEY": ""},
			[]string{"WXPAY_MCHID", "WXPAY_APIV3_KEY", "LEDGER_URL", "REFUND_MAX_FEN", "TRUST_WX_HEADERS", "WXPAY_PUBLIC_KEY"}},
		{map[string]string{"WXPAY_PRIVATE_KEY": "file:" + key, "REFUND_MAX_FEN": "", "REFUND_TRUST_FUNCTIONS": "", "TRUST_WX_HEADERS": ""}, []string{"WXPAY_PRIVATE_KEY"}},
	} {
		// What one request brings stays until another request says otherwise.
		for _, name := range []string{"REFUND_MAX_FEN", "REFUND_TRUST_FUNCTIONS", "TRUST_WX_HEADERS", "REFUND_SERVER_SOURCES", "REFUND_SERVER_TOKEN", "LOG_LEVEL"} {
			if _, ok := tt.change[name]; !ok {
				tt.change[name] = ""
			}
		}
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
	if got := parse(t, invoke(map[string]string{"WXPAY_PRIVATE_KEY": "file:" + key})); got.Code != 404 {
		t.Errorf("once everything is in order: got %+v, want 404", got)
	}
	for _, secret := range []string{"c2VjcmV0", short, "PRIVATE KEY-", "MII"} {
		if strings.Contains(f.process.stderr.String(), secret) {
			t.Errorf("a secret is in the log")
		}
	}
}
