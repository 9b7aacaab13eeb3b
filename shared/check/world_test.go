package check_test

import (
	"io"
	"log/slog"
	"maps"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"text/tabwriter"

	"wxrefund/notify"
	"wxrefund/shared/check"
	"wxrefund/shared/config"
	"wxrefund/shared/sandbox"
	"wxrefund/shared/sandbox/sandboxtest"
)

// A deployment is our functions as they are deployed, WeChat's side, and the settings by
// which both are found. Everything listens on this machine.
type deployment struct {
	*sandboxtest.World
	t        *testing.T
	settings map[string]string
}

// deploy deploys for a channel and a kind of merchant. The timer has run once.
func deploy(t *testing.T, channel, merchant string) *deployment {
	t.Helper()
	d := &deployment{World: sandboxtest.New(t, func(c *sandbox.Config) { c.Merchant = merchant }), t: t}
	wechat := httptest.NewServer(d.Sandbox.WeChat())
	t.Cleanup(wechat.Close)
	secure := httptest.NewUnstartedServer(d.Sandbox.WeChat())
	secure.TLS = d.Sandbox.TLSConfig()
	secure.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, 0)
	secure.StartTLS()
	t.Cleanup(secure.Close)
	var listener http.Handler // whose settings name where this stands
	receiver := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { listener.ServeHTTP(w, r) }))
	t.Cleanup(receiver.Close)
	d.Sandbox.SetURLs(sandbox.URLs{WeChat: wechat.URL, WeChatTLS: secure.URL})
	d.settings = d.SettingsOf(channel)
	d.settings["WXPAY_NOTIFY_URL"] = receiver.URL + "/notify"
	d.settings["LEDGER_URL"] = "sqlite:" + filepath.Join(t.TempDir(), "ledger.db")
	d.settings["REFUND_OPERATORS"] = "oOperator"
	listener = d.notify(d.settings)
	d.Run()
	sys := d.load(d.settings)
	sys.Refunds.NoBill = true // three months of them, for a ledger that nobody looks into
	if _, err := sys.Refunds.Reconcile(t.Context()); err != nil {
		t.Fatal(err)
	}
	return d
}

// load makes a system of settings, as a function does.
func (d *deployment) load(settings map[string]string) *config.System {
	d.t.Helper()
	sys, err := config.Load(d.t.Context(), func(name string) string { return settings[name] }, slog.New(slog.DiscardHandler))
	if err != nil {
		d.t.Fatal(err)
	}
	d.t.Cleanup(func() { _ = sys.Close() })
	return sys
}

// notify is the deployed function. It keeps its settings: the faults are in those that are
// checked.
func (d *deployment) notify(settings map[string]string) http.Handler {
	sys := d.load(settings)
	return &notify.Handler{Refunds: sys.Refunds, Keys: sys.Keys, Secret: sys.Secret, APIKey: sys.APIKey, Log: slog.New(slog.DiscardHandler)}
}

// check checks the settings with some of them changed.
func (d *deployment) check(change map[string]string) []check.Result {
	d.t.Helper()
	settings := maps.Clone(d.settings)
	maps.Copy(settings, change)
	return check.Run(d.t.Context(), check.Input{Getenv: func(name string) string { return settings[name] }})
}

// show is what a person sees.
func show(results []check.Result) string {
	var b strings.Builder
	w := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	check.Write(w, results)
	_ = w.Flush()
	return b.String()
}

// find returns the lines of a name.
func find(results []check.Result, name string) []check.Result {
	return slices.DeleteFunc(slices.Clone(results), func(r check.Result) bool { return r.Name != name })
}

// closed is an address at which nobody listens.
func closed(t *testing.T) string {
	t.Helper()
	s := httptest.NewServer(http.NotFoundHandler())
	s.Close()
	return strings.TrimPrefix(s.URL, "http://")
}

// answering is a server that always gives one answer.
func answering(t *testing.T, status int, body string, header ...string) string {
	t.Helper()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		for i := 0; i < len(header); i += 2 {
			w.Header().Set(header[i], header[i+1])
		}
		w.WriteHeader(status)
		_, _ = io.WriteString(w, body)
	}))
	t.Cleanup(s.Close)
	return s.URL
}

// withOtherKeys makes a sandbox whose merchant, and WeChat Pay, have other keys.
func withOtherKeys(t *testing.T) func(*sandbox.Config) {
	keys := sandboxtest.OtherKeys(t)
	return func(c *sandbox.Config) { c.Keys = keys }
}
