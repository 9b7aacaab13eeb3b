//go:build heavy

package process

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"wxrefund/shared/cloudbase"
	"wxrefund/shared/sandbox/pgsql"
)

// The functions as they are packaged for CloudBase: those that its clients and timers
// invoke, and the one that listens.
var (
	eventBinaries = sync.OnceValues(func() (string, error) { return build("slim,scf,cloudbase", Dispatcher, Notify, Reconcile) })
	httpBinaries  = sync.OnceValues(func() (string, error) { return build("slim,cloudbase", Notify) })
)

// onSCF starts one that is invoked.
func onSCF(t *testing.T, name string, env []string) *SCF {
	t.Helper()
	dir, err := eventBinaries()
	if err != nil {
		t.Fatal(err)
	}
	port := FreePort(t)
	return DialSCF(t, StartCommand(t, append(env, "_LAMBDA_SERVER_PORT="+port, "TENCENTCLOUD_RUNENV=SCF"), filepath.Join(dir, name)), port)
}

// listening starts the one that listens.
func listening(t *testing.T, env []string) *Plain {
	t.Helper()
	dir, err := httpBinaries()
	if err != nil {
		t.Fatal(err)
	}
	return AwaitPlain(t, StartCommand(t, append(env, "PORT=0"), filepath.Join(dir, Notify)))
}

// essentials are the settings that a merchant gives on channel apiv3, and where WeChat Pay
// is played.
var essentials = []string{
	"LEDGER_URL", "CLOUDBASE_APIKEY", "WXPAY_MCHID", "WXPAY_SERIAL_NO", "WXPAY_PRIVATE_KEY", "WXPAY_APIV3_KEY",
	"WXPAY_NOTIFY_URL", "WXPAY_PUBLIC_KEY_ID", "WXPAY_PUBLIC_KEY",
	"WXPAY_BASE_URL",
}

// essential is the world's environment without all that is not essential.
func (w *World) essential() (env []string) {
	w.t.Helper()
	all := w.Variables()
	for _, name := range essentials {
		if all[name] == "" {
			w.t.Fatalf("%s is not set", name)
		}
		env = append(env, name+"="+all[name])
	}
	return env
}

// Nine settings and an environment at CloudBase are enough for a refund of one fen, from the
// mini-program's call to what the notification has settled, and for the timer to find what
// no notification has told.
func TestAnEnvironmentAtCloudBaseIsEnough(t *testing.T) {
	t.Parallel()
	w, c := NewWorld(t), StartCloudBase(t)
	w.At(c)
	env := w.essential()
	dispatcher, listener, timer := onSCF(t, Dispatcher, env), listening(t, env), onSCF(t, Reconcile, env)

	o := w.Order(1)
	if got := dispatcher.Dispatch(RefundEvent(o, "R1", 1)); got.Code != 0 || got.Data.Status != "PROCESSING" {
		t.Fatalf("refund: got %+v, want PROCESSING", got)
	}
	w.Post("/_sandbox/refunds/R1/settle", `{"status":"SUCCESS"}`)
	l := w.Inbox.Last()
	if status, body := listener.Deliver(l.Forged()); status != 401 {
		t.Errorf("a forged notification: got %d %s, want 401", status, body)
	}
	for range 2 {
		if status, body := listener.Deliver(l); status != 200 || string(body) != Acknowledged {
			t.Errorf("notification: got %d %s, want 200", status, body)
		}
	}
	if got := dispatcher.Dispatch(QueryEvent("out_refund_no", "R1")); got.Code != 0 || got.Data.Status != "SUCCESS" || got.Data.SuccessTime == "" {
		t.Errorf("query: got %+v, want SUCCESS", got)
	}
	if got := dispatcher.Dispatch(RefundEvent(o, "R1", 1)); got.Code != 0 || got.Data.Status != "SUCCESS" {
		t.Errorf("the same refund again: got %+v, want it as it is", got)
	}
	if got := dispatcher.Dispatch(RefundEvent(o, "R2", 1)); got.Code != 409 {
		t.Errorf("more than there is: got %+v, want 409", got)
	}

	unheard := w.Order(1)
	if got := dispatcher.Dispatch(RefundEvent(unheard, "R3", 1)); got.Code != 0 {
		t.Fatalf("refund: got %+v, want code 0", got)
	}
	w.Post("/_sandbox/refunds/R3/settle", `{"status":"SUCCESS"}`)
	w.Later()
	var summary struct{ Checked, Settled, Remaining int }
	Decode(t, timer.Invoke(Invocation{Event: `{}`, Left: 10 * time.Second}), &summary)
	if summary.Checked != 1 || summary.Settled != 1 || summary.Remaining != 0 {
		t.Errorf("reconcile: got %+v, want the one that is open settled", summary)
	}
	if got := w.Refunds(); len(got) != 2 || w.Sum(o) != 1 || w.Sum(unheard) != 1 {
		t.Errorf("WeChat holds %+v, want two refunds of one fen", got)
	}
	for name, p := range map[string]*Process{Dispatcher: dispatcher.Process, Notify: listener.Process, Reconcile: timer.Process} {
		if strings.Contains(p.Stderr.String(), c.Key) {
			t.Errorf("%s logs the key", name)
		}
	}
	if _, refused := c.Calls(); refused > 0 {
		t.Errorf("%d calls came without the key", refused)
	}
}

// A function that is invoked needs no key: it calls with what the platform lends each
// request, which is never that of a request before.
func TestCloudBaseLendsEachRequestItsCredentials(t *testing.T) {
	t.Parallel()
	w, c := NewWorld(t), StartCloudBase(t)
	w.At(c)
	var env []string
	for _, v := range w.essential() {
		if !strings.HasPrefix(v, "CLOUDBASE_APIKEY=") {
			env = append(env, v)
		}
	}
	var mu sync.Mutex
	lent := 0
	pair := func(n int) (id, key, token string) {
		return fmt.Sprintf("AKID%032d", n), fmt.Sprintf("secret-%d", n), fmt.Sprintf("token-%d", n)
	}
	// lend is what the platform injects into the next request; what it lent before has ended.
	lend := func() map[string]string {
		mu.Lock()
		defer mu.Unlock()
		lent++
		id, key, token := pair(lent)
		environment := map[string]string{"TENCENTCLOUD_SECRETID": id, "TENCENTCLOUD_SECRETKEY": key, "TENCENTCLOUD_SESSIONTOKEN": token}
		maps.Copy(environment, map[string]string{"TCB_CONTEXT_KEYS": "TCB_ENV"})
		return environment
	}
	c.Allow(func(r *http.Request, body []byte) bool {
		mu.Lock()
		defer mu.Unlock()
		id, key, _ := pair(lent)
		credential, err := cloudbase.ParseAPITC3(r.Header.Get("Authorization"))
		if err != nil || credential.SecretID != id {
			return false
		}
		return credential.Verify(key, r.Method, &url.URL{Host: r.Host, Path: r.URL.Path, RawPath: r.URL.RawPath, RawQuery: r.URL.RawQuery}, r.Header, body, time.Now()) == nil
	})

	dispatcher, listener, timer := onSCF(t, Dispatcher, env), onSCF(t, Notify, env), onSCF(t, Reconcile, env)
	for _, no := range []string{"R1", "R2"} {
		if got := Parse(t, dispatcher.Invoke(Invocation{Event: RefundEvent(w.Order(1), no, 1), Environment: lend()})); got.Code != 0 {
			t.Fatalf("%s: got %+v, want code 0", no, got)
		}
	}
	w.Post("/_sandbox/refunds/R1/settle", `{"status":"SUCCESS"}`)
	l := w.Inbox.Last()
	if status, body := Unpack(t, listener.Invoke(Invocation{Event: TencentGateways[0].Event(l), Environment: lend()})); status != 200 || body != Acknowledged {
		t.Errorf("notification: got %d %s, want 200", status, body)
	}
	w.Post("/_sandbox/refunds/R2/settle", `{"status":"SUCCESS"}`)
	w.Later()
	var summary struct{ Settled, Remaining int }
	Decode(t, timer.Invoke(Invocation{Event: `{}`, Left: 10 * time.Second, Environment: lend()}), &summary)
	if summary.Settled != 1 || summary.Remaining != 0 {
		t.Errorf("reconcile: got %+v, want one settled", summary)
	}
	for _, no := range []string{"R1", "R2"} {
		if got := Parse(t, dispatcher.Invoke(Invocation{Event: QueryEvent("out_refund_no", no), Environment: lend()})); got.Data.Status != "SUCCESS" {
			t.Errorf("%s: got %+v, want SUCCESS", no, got)
		}
	}
	if all, refused := c.Calls(); all == 0 || refused > 0 {
		t.Errorf("%d of %d calls were not signed with what was lent last", refused, all)
	}
	// With nothing lent, and without a key, it says what is missing.
	bare := onSCF(t, Dispatcher, env)
	if got := bare.Dispatch(QueryEvent("out_refund_no", "R1")); got.Code == 0 {
		t.Errorf("without credentials: got %+v", got)
	} else if !strings.Contains(bare.Process.Stderr.String(), "CLOUDBASE_APIKEY") {
		t.Errorf("the log does not name CLOUDBASE_APIKEY:\n%s", bare.Process.Stderr)
	}
}

// moved moves a world's ledger to an environment at CloudBase.
func moved(w *World) { w.At(StartCloudBase(w.t)) }

// With the ledger at CloudBase: killed at each step, the first call of a database without
// a schema among them.
func TestKilledFunctionsRefundIsMadeOnceAtCloudBase(t *testing.T) {
	runCrashesAt(t, moved,
		crash{at: "claim.before", during: refunding, next: []string{refunding}},
		crash{at: "claim.after", during: refunding, next: []string{refunding, timing}},
		crash{at: inCall, during: refunding, fault: "timeout_after", next: []string{notifying}},
		crash{at: "call.after", during: refunding, next: []string{refunding, notifying}},
		crash{at: "settle.before", during: refunding, next: []string{timing}},
		crash{at: "settle.after", during: refunding, next: []string{refunding}},
		crash{at: "call.after", during: refunding, fault: "500_before", next: []string{timing}},

		crash{at: "settle.before", during: querying, before: accepted, next: []string{timing}},
		crash{at: "settle.after", during: querying, before: succeeded, next: []string{querying}},

		crash{at: "reconcile.taken", during: timing, before: accepted, next: []string{timing}},
		crash{at: "reconcile.resubmit", during: timing, before: unaccepted, next: []string{refunding}},
		crash{at: "settle.before", during: timing, before: succeeded, next: []string{notifying}},
		crash{at: "settle.after", during: timing, before: succeeded, next: []string{timing}},

		crash{at: "settle.before", during: notifying, before: succeeded, next: []string{notifying}},
		crash{at: "settle.after", during: notifying, before: acceptedDone, next: []string{notifying, timing}},
		crash{at: "settle.before", during: relaying, before: byHand, next: []string{relaying}},
	)
}

// With the ledger at CloudBase everybody hears, too.
func TestKillDuringDeliveryLosesNoEventAtCloudBase(t *testing.T) {
	t.Parallel()
	runDeliveryCrashes(t, moved, []deliveryCrash{
		{"settle.after", notifying, false},
		{"deliver.taken", notifying, false},
		{"deliver.told", notifying, true},
		{"deliver.recorded", timing, true},
	})
}

// With the ledger at CloudBase it is sound, too.
func TestLedgerAtCloudBaseIsSoundAfterAKillAtAnyInstant(t *testing.T) {
	t.Parallel()
	w := NewWorld(t)
	moved(w)
	killAtAnyInstant(t, w)
}

// 200 ms to the database and back are no reason to miss WeChat's five seconds, not
// even for a function that has just been started, whose connection has to be made, and not
// for the first of all, which makes the schema.
func TestNotifyAnswersInTimeFarFromCloudBase(t *testing.T) {
	t.Parallel()
	const budget = 4 * time.Second
	for name, migrated := range map[string]bool{"a ledger in use": true, "an empty database": false} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := NewWorld(t)
			c, trust := startTLS(t)
			w.At(c)
			if migrated {
				c.Migrate()
			}
			env := append(w.essential(), trust, "LEDGER_URL="+far(t, c, "https", 200*time.Millisecond))
			l := w.SignedNotification("N1")
			began := time.Now()
			f := listening(t, env)
			for i, what := range []string{"cold", "warm", "warm again"} {
				status, body := f.Deliver(l)
				took := time.Since(began)
				if status != 200 || took > budget {
					t.Errorf("%s: got %d %s after %v, want 200 within %v", what, status, body, took, budget)
				}
				t.Logf("%s: %d after %v", what, status, took.Round(time.Millisecond))
				l, began = w.SignedNotification(fmt.Sprintf("N%d", i+2)), time.Now()
			}
		})
	}
}

// a database that hangs is answered 503 within four seconds, and what was refused so
// is taken when it comes again.
func TestNotifyRefusesInTimeWhereCloudBaseHangs(t *testing.T) {
	t.Parallel()
	for _, fault := range []pgsql.Fault{pgsql.Hang, pgsql.HangAfter} {
		t.Run(string(fault), func(t *testing.T) {
			t.Parallel()
			w, c := NewWorld(t), StartCloudBase(t)
			w.At(c)
			c.Migrate()
			env := w.essential()
			warm := listening(t, env)
			if status, body := warm.Deliver(w.SignedNotification("N1")); status != 200 {
				t.Fatalf("got %d %s, want 200", status, body)
			}
			cold := listening(t, env)
			l := w.SignedNotification("N2")
			c.Strike(1, 1000, fault)
			var wg sync.WaitGroup
			for name, f := range map[string]*Plain{"warm": warm, "cold": cold} {
				wg.Go(func() {
					began := time.Now()
					status, body := f.Deliver(l)
					took := time.Since(began)
					if status != 503 || took > 4500*time.Millisecond {
						t.Errorf("%s: got %d %s after %v, want 503 within 4s", name, status, body, took)
					}
					t.Logf("%s: %d after %v", name, status, took.Round(time.Millisecond))
				})
			}
			wg.Wait()
			c.Heal()
			for name, f := range map[string]*Plain{"warm": warm, "cold": cold} {
				if status, body := f.Deliver(l); status != 200 || string(body) != Acknowledged {
					t.Errorf("%s, again: got %d %s, want 200", name, status, body)
				}
			}
			if e := w.entry("N2"); e.State != "success" || e.count("success") != 1 {
				t.Errorf("the ledger holds %+v, want one success", e)
			}
		})
	}
}

// With the nine settings in a file, the operator's program finds nothing wrong, and with
// the key left out, or one that is not the environment's, what to do.
func TestOperateFindsNothingWrongWithNineSettings(t *testing.T) {
	t.Parallel()
	dir, err := build("", "operate")
	if err != nil {
		t.Fatal(err)
	}
	w, c := NewWorld(t), StartCloudBase(t)
	w.At(c)
	listener := listening(t, w.essential())
	w.Env = w.With("WXPAY_NOTIFY_URL=" + listener.URL)
	env := w.essential()
	onSCF(t, Reconcile, env).Invoke(Invocation{Event: `{}`, Left: 3 * time.Second})

	check := func(change ...string) (code int, out map[string]any, text string) {
		t.Helper()
		file := filepath.Join(t.TempDir(), ".env")
		writeEnv(t, file, append(env, change...))
		p := StartCommand(t, nil, filepath.Join(dir, "operate"), "check", "-env", file, "-json")
		code = p.Wait()
		text = p.Stdout.String()
		if err := json.Unmarshal([]byte(text), &out); err != nil {
			t.Fatalf("%v: %s%s", err, text, p.Stderr)
		}
		if strings.Contains(text+p.Stderr.String(), c.Key) {
			t.Error("the key is shown")
		}
		return code, out, text
	}
	code, out, text := check()
	t.Logf("%s", text)
	if code != 0 || out["ok"] != true || out["problems"] != 0.0 || strings.Contains(text, `"warning"`) {
		t.Errorf("got exit code %d, want 0 and no problem:\n%s", code, text)
	}
	for _, line := range []string{"cloudbase opens, in", "ledger schema", "ledger speed", "reconcile ran", "it refuses a bare POST"} {
		if !strings.Contains(text, line) {
			t.Errorf("%q is missing in\n%s", line, text)
		}
	}
	if code, _, text := check("CLOUDBASE_APIKEY="); code != 1 || !strings.Contains(text, "CLOUDBASE_APIKEY is missing") {
		t.Errorf("without a key: got exit code %d and\n%s", code, text)
	}
	if code, _, text := check("CLOUDBASE_APIKEY=another-key"); code != 1 || !strings.Contains(text, "server key") {
		t.Errorf("with another key: got exit code %d and\n%s", code, text)
	}
}
