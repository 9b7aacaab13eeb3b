//go:build heavy

package process

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
)

// Three functions, each on another platform, share a ledger: the dispatcher on
// SCF refunds, notify in a container hears of it, and where it does not, the timer
// on Lambda asks. WeChat Pay is the sandbox program, whose variables a shell hands
// to each of them.
func TestRefundAcrossThreePlatforms(t *testing.T) {
	t.Parallel()
	w := StartSandbox(t, "-speed", "300", "-seed", "99") // a seed with which WeChat takes its time over R1
	file := filepath.Join(t.TempDir(), "sandbox.env")
	variables := string(w.Get("/_sandbox/env?channel=apiv3"))
	write := func(more ...string) {
		t.Helper()
		if err := os.WriteFile(file, []byte(variables+strings.Join(more, "\n")+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("LEDGER_URL='sqlite:"+w.Ledger+"'", "REFUND_OPERATORS="+Operator, "REFUND_PACE=0s")

	listener := AwaitPlain(t, startSourced(t, file, Notify, "PORT=0"))
	write("LEDGER_URL='sqlite:"+w.Ledger+"'", "REFUND_OPERATORS="+Operator, "REFUND_PACE=0s", "WXPAY_NOTIFY_URL="+listener.URL)
	port := FreePort(t)
	functions := DialSCF(t, startSourced(t, file, Dispatcher, "_LAMBDA_SERVER_PORT="+port), port)
	timer := RunLambda(t, func(api string) *Process { return startSourced(t, file, Reconcile, api) })

	// A refund, from the mini-program to the event of its success.
	o := w.Order(100)
	answer := functions.Invoke(Invocation{Event: RefundEvent(o, "R1", 60), Environment: User(Operator, "wx_client"), Left: 3 * time.Second})
	if got := Parse(t, answer); got.Code != 0 || got.Data.Status != "PROCESSING" || got.Data.Amount.Refund != 60 {
		t.Fatalf("refund: got %s, want it PROCESSING", answer)
	}
	Await(t, "the notification and its duplicate", func() bool {
		d := w.Deliveries("R1")
		return len(d) == 1 && d[0].State == "delivered" && len(d[0].Attempts) == 2
	})
	for _, a := range w.Deliveries("R1")[0].Attempts {
		if a.Status != 200 || a.Reply != `{"code":"SUCCESS","message":"成功"}` {
			t.Errorf("notify's answer: got %+v, want SUCCESS", a)
		}
	}
	Await(t, "both in the log", func() bool { return len(Changes(listener.Process, "R1")) == 2 })
	if got := Changes(listener.Process, "R1"); !slices.Equal(got, []any{true, false}) {
		t.Errorf("what the notifications changed: got %v, want the first to and the second not to", got)
	}
	if got := functions.Dispatch(QueryEvent("out_refund_no", "R1")); got.Code != 0 || got.Data.Status != "SUCCESS" || got.Data.SuccessTime == "" {
		t.Errorf("query: got %+v, want SUCCESS", got)
	}
	if got := functions.Dispatch(RefundEvent(o, "R1", 60)); got.Code != 0 || got.Data.Status != "SUCCESS" {
		t.Errorf("the same refund again: got %+v, want it as it is", got)
	}

	// One whose notification is lost, and one that never reached WeChat.
	w.Post("/_sandbox/faults", `{"notify":"lose","count":1}`)
	if got := functions.Dispatch(RefundEvent(o, "R2", 30)); got.Code != 0 {
		t.Fatalf("refund: got %+v, want code 0", got)
	}
	Await(t, "the loss", func() bool { d := w.Deliveries("R2"); return len(d) == 1 && d[0].State == "lost" })
	w.Post("/_sandbox/faults", `{"upstream":"500_before","count":1}`)
	if got := functions.Dispatch(RefundEvent(o, "R3", 10)); got.Code != 503 || got.Retry != "same_number" {
		t.Fatalf("WeChat stumbles: got %+v, want 503 and same_number", got)
	}
	w.Later()
	event := `{"version":"0","detail-type":"Scheduled Event","source":"aws.events","detail":{}}`
	// Whether the bill of the day before is there depends on the hour.
	bills := regexp.MustCompile(`"bills":[0-9]+`)
	summary := bills.ReplaceAllString(string(timer.Invoke("c0ffee00-reconcile", event, 10*time.Second)), `"bills":0`)
	if got, want := summary, `{"checked":2,"settled":2,"resubmitted":1,"released":0,"delivered":0,"remaining":0,"bills":0}`; got != want {
		t.Errorf("reconcile: got %s, want %s", got, want)
	}
	if got := functions.Dispatch(QueryEvent("out_refund_no", "R2")); got.Data.Status != "SUCCESS" {
		t.Errorf("query: got %+v, want SUCCESS", got)
	}
	Await(t, "the third refund's notification", func() bool { return len(Changes(listener.Process, "R3")) > 0 })
	page := functions.Dispatch(QueryEvent("transaction_id", o.TransactionID))
	if page.Data.TotalRefundCount != 3 || len(page.Data.Refunds) != 3 {
		t.Fatalf("by order: got %+v, want three refunds", page)
	}
	for _, r := range page.Data.Refunds {
		if r.Status != "SUCCESS" {
			t.Errorf("by order: got %+v, want SUCCESS", r)
		}
	}
	if got := w.Sum(o); got != 100 || len(w.Refunds()) != 3 {
		t.Errorf("WeChat holds %d fen in %d refunds, want 100 in 3", got, len(w.Refunds()))
	}
}

// sourced runs a program with the variables in a file.
const sourced = `set -a; . "$1"; exec "$2"`

// startSourced starts a function from a shell that has sourced the file.
func startSourced(t *testing.T, file, name string, env ...string) *Process {
	t.Helper()
	dir, err := binaries()
	if err != nil {
		t.Fatal(err)
	}
	return StartCommand(t, env, "/bin/sh", "-c", sourced, "sh", file, filepath.Join(dir, name))
}
