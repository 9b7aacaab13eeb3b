//go:build heavy

package process

import (
	"strings"
	"syscall"
	"testing"
	"time"
)

// Without a platform there is nothing to serve, and one line says so.
func TestFunctionWithoutAPlatformSaysSo(t *testing.T) {
	t.Parallel()
	for _, name := range []string{Dispatcher, Notify, Reconcile} {
		p := Start(t, name, []string{"LEDGER_URL=sqlite::memory:"})
		if got := p.Wait(); got != 2 {
			t.Errorf("%s: got exit code %d, want 2", name, got)
		}
		got := p.Stderr.String()
		if strings.Count(got, "\n") != 1 || p.Stdout.String() != "" {
			t.Errorf("%s: got %q and %q, want one line on standard error", name, p.Stdout, got)
		}
		for _, variable := range []string{"_LAMBDA_SERVER_PORT", "AWS_LAMBDA_RUNTIME_API", "PORT"} {
			if !strings.Contains(got, variable) {
				t.Errorf("%s: got %s, want %s named", name, got, variable)
			}
		}
	}
}

// The sandbox program ends at once when it is told to, whatever it is doing.
func TestSandboxProgramEnds(t *testing.T) {
	t.Parallel()
	for _, s := range []syscall.Signal{syscall.SIGTERM, syscall.SIGINT} {
		p := StartSandbox(t)
		o := p.Order(100)
		p.Post("/_sandbox/faults", `{"upstream":"timeout_after"}`)
		hung := make(chan error, 1)
		go func() { // a refund that WeChat keeps waiting
			_, err := p.client().Post(p.Control+"/functions/wxpayFunctions", "application/json", strings.NewReader(RefundEvent(o, "R1", 60)))
			hung <- err
		}()
		Await(t, "WeChat to accept the refund", func() bool { return len(p.Refunds()) == 1 })
		if took := p.Process.Signal(s, 0); took > 2*time.Second {
			t.Errorf("%v: the program took %v to end, want at most 2s", s, took)
		}
		<-hung
		if got := p.Process.Stdout.String(); strings.Count(got, "\n") != 1 || !strings.HasPrefix(got, `{"ready":true,`) {
			t.Errorf("%v: standard output is %q, want the ready line alone", s, got)
		}
	}
}
