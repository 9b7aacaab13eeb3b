package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"wxrefund/shared/config"
	"wxrefund/shared/refund"
	"wxrefund/shared/sandbox"
	"wxrefund/shared/sandbox/sandboxtest"
)

// A world is a sandbox, a ledger in a file, and the settings by which the program finds
// both. The program's clock is the sandbox's.
type world struct {
	*sandboxtest.World
	t        *testing.T
	settings map[string]string
}

// newWorld starts a sandbox with a channel, and pays the orders.
func newWorld(t *testing.T, channel string, orders ...string) *world {
	t.Helper()
	w := &world{World: sandboxtest.New(t), t: t}
	at := httptest.NewServer(w.Sandbox.WeChat())
	t.Cleanup(at.Close)
	w.Sandbox.SetURLs(sandbox.URLs{WeChat: at.URL, Notify: sandboxtest.NotifyURL})
	w.settings = w.SettingsOf(channel)
	w.settings["LEDGER_URL"] = newLedger(t)
	w.settings["REFUND_PACE"] = "0s"
	w.Run()
	for _, no := range orders {
		w.Order(no)
	}
	return w
}

// newLedger is the URL of a ledger that is there and has nothing in it.
func newLedger(t testing.TB) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "ledger.db")
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	return "sqlite:" + path
}

func (w *world) getenv(name string) string { return w.settings[name] }

// A result is what came of one run of the program.
type result struct {
	t              *testing.T
	code           int
	stdout, stderr string
}

// operate runs the program as alice, with nobody at a terminal.
func (w *world) operate(args ...string) result {
	w.t.Helper()
	return w.operateWith(w.t.Context(), strings.NewReader(""), args...)
}

func (w *world) operateWith(ctx context.Context, stdin io.Reader, args ...string) result {
	w.t.Helper()
	var stdout, stderr strings.Builder
	p := &program{
		root: ctx, getenv: w.getenv, stdin: stdin, stdout: &stdout, stderr: &stderr,
		zone: time.UTC, now: w.Sandbox.Now, as: "alice",
	}
	return result{w.t, p.main(args), stdout.String(), stderr.String()}
}

// want insists on an exit code, and on texts in what was printed to either side.
func (r result) want(code int, texts ...string) result {
	r.t.Helper()
	if r.code != code {
		r.t.Errorf("exit code %d, want %d\n%s%s", r.code, code, r.stdout, r.stderr)
	}
	for _, text := range texts {
		if !strings.Contains(r.stdout+r.stderr, text) {
			r.t.Errorf("%q is missing in\n%s%s", text, r.stdout, r.stderr)
		}
	}
	return r
}

// lacks insists that a text was printed to neither side.
func (r result) lacks(text string) result {
	r.t.Helper()
	if strings.Contains(r.stdout+r.stderr, text) {
		r.t.Errorf("it says %q:\n%s%s", text, r.stdout, r.stderr)
	}
	return r
}

// object reads what was printed with -json.
func (r result) object() (o map[string]any) {
	r.t.Helper()
	if err := json.Unmarshal([]byte(r.stdout), &o); err != nil {
		r.t.Fatalf("%v: %s%s", err, r.stdout, r.stderr)
	}
	return o
}

// refundArgs refund 1 yuan of an order of 100.
func refundArgs(order, no string, more ...string) []string {
	return append([]string{"refund", "-out-refund-no", no, "-out-trade-no", order, "-amount", "100", "-total", "10000", "-reason", "damaged"}, more...)
}

// fault has WeChat's side fail the next call.
func (w *world) fault(upstream string, n int) {
	w.t.Helper()
	w.Control("POST", "/_sandbox/faults", fmt.Sprintf(`{"upstream":%q,"count":%d}`, upstream, n), 200)
}

// stuck leaves a claim in doubt that WeChat's side has never had.
func (w *world) stuck(order, no string) {
	w.t.Helper()
	w.fault("500_before", 1)
	w.operate(refundArgs(order, no, "-yes")...).want(codeFinding, "repeat the same command")
}

// timer runs the function reconcile as it is deployed, without code of the merchant's own.
func (w *world) timer() {
	w.t.Helper()
	w.service(func(s *refund.Service) {
		if _, err := s.Reconcile(w.t.Context()); err != nil {
			w.t.Fatal(err)
		}
	})
}

// service lends the service that the functions have.
func (w *world) service(do func(*refund.Service)) {
	w.t.Helper()
	sys, err := config.Load(w.t.Context(), w.getenv, slog.New(slog.DiscardHandler))
	if err != nil {
		w.t.Fatal(err)
	}
	defer sys.Close()
	sys.Refunds.Now = w.Sandbox.Now
	do(sys.Refunds)
}

// A terminal is one at which somebody types.
type terminal struct{ io.Reader }

func (terminal) Stat() (fs.FileInfo, error) { return device{}, nil }

type device struct{ fs.FileInfo }

func (device) Mode() fs.FileMode { return fs.ModeDevice | fs.ModeCharDevice }
func (device) Sys() any          { return nil }
