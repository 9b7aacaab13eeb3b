//go:build heavy

package process

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"wxrefund/shared/needs"
)

// previous is the version before this one: programs of it may still run, and
// start, while the functions are upgraded. It moves on with each release.
const previous = "62eaf3e46fa6d4cfb471fcaace75ab55279c4a85"

// buildPrevious builds programs of the version before from the repository's history.
func buildPrevious(t *testing.T, names ...string) (dir string) {
	t.Helper()
	dir = t.TempDir()
	run := func(in string, command ...string) {
		t.Helper()
		cmd := exec.Command(command[0], command[1:]...) //nolint:gosec // commands of this test's own
		cmd.Dir = in
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%s: %v\n%s", strings.Join(command, " "), err, out)
		}
	}
	tree := filepath.Join(dir, "tree")
	if err := os.Mkdir(tree, 0o700); err != nil {
		t.Fatal(err)
	}
	archive := filepath.Join(dir, "tree.tar")
	run("../..", "git", "archive", "-o", archive, previous)
	run(tree, "tar", "-xf", archive)
	for _, name := range names {
		run(tree, "go", "build", "-o", filepath.Join(dir, name), "./functions/"+name)
	}
	return dir
}

// D12: the version before goes on over a ledger that this one has written, from a
// cold start too, and takes nothing of it away.
func TestPreviousVersionGoesOnOverThisLedger(t *testing.T) {
	t.Parallel()
	if out, err := exec.Command("git", "rev-parse", "--is-shallow-repository").Output(); err != nil || strings.TrimSpace(string(out)) != "false" {
		needs.Skip(t, "the repository's history, which a git clone without --depth has")
	}
	w := NewWorld(t)
	dir := buildPrevious(t, Dispatcher, Reconcile)
	now := w.onLambda(Dispatcher)
	one, two := w.Order(wholeFen), w.Order(wholeFen)
	if got := now.Ask(RefundEvent(one, "R1", 60)); got.Code != 0 {
		t.Fatalf("R1: %+v", got)
	}
	w.Post("/_sandbox/faults", `{"upstream":"500_before","count":1}`)
	both := strings.Replace(RefundEvent(two, "R2", 60), `"out_trade_no"`, `"transaction_id":"`+two.TransactionID+`","out_trade_no"`, 1)
	if got := now.Ask(both); got.Code != 503 {
		t.Fatalf("R2: %+v", got)
	}
	if body := string(w.Stored("R2").Body); !strings.Contains(body, `"by":"server`) {
		t.Fatalf("this version writes nothing that the one before does not know: %s", body)
	}

	old := RunLambda(t, func(api string) *Process {
		return StartCommand(t, w.With("REFUND_PACE=0s", api), filepath.Join(dir, Dispatcher))
	})
	w.Post("/_sandbox/refunds/R1/settle", `{"status":"SUCCESS"}`)
	if got := old.Ask(QueryEvent("out_refund_no", "R1")); got.Code != 0 || got.Data.Status != "SUCCESS" {
		t.Errorf("the version before, asked about R1: %+v", got)
	}
	if got := old.Ask(RefundEvent(one, "R3", 41)); got.Code != 409 {
		t.Errorf("the version before, 41 of 40 that are left: %+v", got)
	}
	if got := old.Ask(RefundEvent(one, "R4", 40)); got.Code != 0 {
		t.Errorf("the version before, the rest: %+v", got)
	}
	w.Later()
	timer := RunLambda(t, func(api string) *Process {
		return StartCommand(t, w.With(api), filepath.Join(dir, Reconcile))
	})
	timer.Invoke("r1", `{}`, ample)
	if body := string(w.Stored("R2").Body); !strings.Contains(body, `"by":"server`) {
		t.Errorf("the version before has taken fields away: %s", body)
	}

	// And this one goes on over what the one before has written.
	now = w.onLambda(Dispatcher)
	for _, no := range []string{"R1", "R2", "R4"} {
		if got := now.Ask(QueryEvent("out_refund_no", no)); got.Code != 0 || got.Data.OutRefundNo != no {
			t.Errorf("%s: %+v", no, got)
		}
	}
	for _, event := range []string{RefundEvent(one, "R5", 1), RefundEvent(two, "R6", 41)} {
		if got := now.Ask(event); got.Code != 409 {
			t.Errorf("more than is left: %+v", got)
		}
	}
	if got := now.Ask(RefundEvent(two, "R7", 40)); got.Code != 0 {
		t.Errorf("the rest: %+v", got)
	}
}
