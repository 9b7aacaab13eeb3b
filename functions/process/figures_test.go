//go:build heavy

package process

import (
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
)

const serverToken = "a-server-token-of-32-characters-and-more"

// get asks for a path, with the server token or without.
func (f *Plain) get(path string, token bool) (int, string) {
	f.t.Helper()
	r, err := http.NewRequestWithContext(f.t.Context(), http.MethodGet, f.URL+path, nil)
	if err != nil {
		f.t.Fatal(err)
	}
	if token {
		r.Header.Set("Authorization", "Bearer "+serverToken)
	}
	res, err := http.DefaultClient.Do(r)
	if err != nil {
		f.t.Fatal(err)
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		f.t.Fatal(err)
	}
	return res.StatusCode, string(b)
}

// figure is the sum of the series of a family that have the labels, pairs of a name and a
// value; of a histogram their count. There must be one.
func (f *Plain) figure(name string, labels ...string) (sum float64) {
	f.t.Helper()
	status, text := f.get("/metrics", true)
	if status != 200 {
		f.t.Fatalf("/metrics: got %d %s", status, text)
	}
	parser := expfmt.NewTextParser(model.LegacyValidation)
	families, err := parser.TextToMetricFamilies(strings.NewReader(text))
	if err != nil {
		f.t.Fatalf("%v in\n%s", err, text)
	}
	found := false
	for _, m := range families[name].GetMetric() {
		if !labelled(m, labels) {
			continue
		}
		found = true
		sum += m.GetCounter().GetValue() + m.GetGauge().GetValue() + float64(m.GetHistogram().GetSampleCount())
	}
	if !found {
		f.t.Errorf("there is no %s with %q in\n%s", name, labels, text)
	}
	return sum
}

func labelled(m *dto.Metric, want []string) bool {
	for i := 0; i < len(want); i += 2 {
		has := false
		for _, l := range m.GetLabel() {
			has = has || l.GetName() == want[i] && l.GetValue() == want[i+1]
		}
		if !has {
			return false
		}
	}
	return true
}

// A container's figures are what was done with it and what is in its ledger.
func TestPrometheusReadsWhatContainersDo(t *testing.T) {
	t.Parallel()
	w := NewWorld(t)
	env := w.With("REFUND_SERVER_TOKEN=" + serverToken)
	dispatcher, listener, reconciler := StartPlain(t, Dispatcher, env), StartPlain(t, Notify, env), StartPlain(t, Reconcile, env)
	bearer := []string{"Authorization", "Bearer " + serverToken}

	for name, f := range map[string]*Plain{Dispatcher: dispatcher, Notify: listener, Reconcile: reconciler} {
		if status, body := f.get("/healthz", false); status != 200 || body != "ok\n" {
			t.Errorf("%s: /healthz: got %d %s", name, status, body)
		}
		if status, body := f.get("/metrics", false); status != 401 || strings.Contains(body, "wxrefund_") {
			t.Errorf("%s: /metrics without the token: got %d %s", name, status, body)
		}
		if status, _ := f.get("/any/path", true); status != 405 {
			t.Errorf("%s: GET of another path: got %d, want 405", name, status)
		}
	}

	refund := func(no string, header ...string) Reply {
		_, b := dispatcher.Post(RefundEvent(w.Order(100), no, 60), header...)
		return Parse(t, b)
	}
	if got := refund("F1", bearer...); got.Code != 0 {
		t.Fatalf("refund: %+v", got)
	}
	if got := refund("F2"); got.Code != 403 {
		t.Fatalf("nobody's refund: %+v", got)
	}
	w.Post("/_sandbox/faults", `{"upstream":"500_before","count":1}`)
	if got := refund("F3", bearer...); got.Code != 503 {
		t.Fatalf("a refund that WeChat does not answer: %+v", got)
	}
	genuine := w.SignedNotification("N1")
	listener.Deliver(genuine.Forged())
	genuine.Header.Set("Wechatpay-Signature", "WECHATPAY/SIGNTEST/x")
	listener.Deliver(genuine)
	if status, body := reconciler.Post(`{}`, bearer...); status != 200 {
		t.Fatalf("reconcile: got %d %s", status, body)
	}

	for _, c := range []struct {
		f      *Plain
		want   float64
		name   string
		labels []string
	}{
		{dispatcher, 1, "wxrefund_replies_total", []string{"code", "0"}},
		{dispatcher, 1, "wxrefund_replies_total", []string{"code", "403"}},
		{dispatcher, 1, "wxrefund_replies_total", []string{"code", "503"}},
		{dispatcher, 1, "wxrefund_upstream_duration_seconds", []string{"call", "refund", "outcome", "ok"}},
		{dispatcher, 1, "wxrefund_upstream_duration_seconds", []string{"call", "refund", "outcome", "unavailable"}},
		{listener, 1, "wxrefund_notifications_refused_total", []string{"reason", "signature"}},
		{listener, 1, "wxrefund_notifications_refused_total", []string{"reason", "probe"}},
		{listener, 0, "wxrefund_notifications_total", []string{"outcome", "acknowledged"}},
		{reconciler, 1, "wxrefund_reconcile_runs_total", []string{"outcome", "done"}},
		{reconciler, 1, "wxrefund_refunds", []string{"channel", "apiv3", "state", "processing"}},
		{reconciler, 1, "wxrefund_refunds", []string{"channel", "apiv3", "state", "claimed"}},
		{listener, 1, "wxrefund_refunds", []string{"channel", "apiv3", "state", "claimed"}}, // the ledger's figures are everybody's
		{dispatcher, 0, "wxrefund_refunds", []string{"channel", "apiv3", "state", "success"}},
		{reconciler, 0, "wxrefund_attention", nil},
		{reconciler, 0, "wxrefund_deliveries_owed", nil},
		{reconciler, 0, "wxrefund_count_failed", nil},
	} {
		if got := c.f.figure(c.name, c.labels...); got != c.want {
			t.Errorf("%s%q is %v, want %v", c.name, c.labels, got, c.want)
		}
	}
	if n := dispatcher.figure("wxrefund_ledger_duration_seconds", "verb", "commit", "outcome", "ok"); n < 4 {
		t.Errorf("%v commits of two refunds", n)
	}
	if age := reconciler.figure("wxrefund_oldest_doubt_seconds"); age < 0 || age > 60 {
		t.Errorf("the oldest doubt is %v s old", age)
	}
	_, text := dispatcher.get("/metrics", true)
	for _, secret := range []string{"F1", "F3", Operator, serverToken, "1900000"} {
		if strings.Contains(text, secret) {
			t.Errorf("the figures hold %s", secret)
		}
	}
}

// An unhealthy function says so, to anybody, and nothing more.
func TestContainerWithoutALedgerIsUnhealthy(t *testing.T) {
	t.Parallel()
	w := NewWorld(t)
	for what, ledger := range map[string]string{"that does not answer": "mysql://u:SECRET@127.0.0.1:1/x?tls=false", "that cannot be": "nonsense:"} {
		f := StartPlain(t, Notify, w.With("LEDGER_URL="+ledger))
		if status, body := f.get("/healthz", false); status != 503 || body != "unhealthy\n" {
			t.Errorf("a ledger %s: got %d %q", what, status, body)
		}
	}
}

// Where a platform runs the functions, a run of the reconciler is one line of figures.
func TestFiguresOnPlatformsAreOneLineARun(t *testing.T) {
	t.Parallel()
	w := NewWorld(t)
	onSCF, onLambda := StartSCF(t, Reconcile, w.Env), StartLambda(t, Reconcile, w.Env)
	onSCF.Invoke(Invocation{Event: `{}`, ID: "run-1"})
	onLambda.Invoke("run-2", `{}`, 20*time.Second)
	for id, p := range map[string]*Process{"run-1": onSCF.Process, "run-2": onLambda.Process} {
		r := p.Record("figures", id)
		if r["channel"] != "apiv3" || r["claimed"] != 0.0 || r["owed"] != 0.0 || r["ledger_get_calls"] == nil {
			t.Errorf("%s: got %v", id, r)
		}
		n := 0
		for line := range strings.Lines(p.Stderr.String()) {
			var got map[string]any
			if json.Unmarshal([]byte(line), &got) == nil && got["msg"] == "figures" {
				n++
			}
		}
		if n != 1 {
			t.Errorf("%s: %d lines of figures, want one", id, n)
		}
	}
}
