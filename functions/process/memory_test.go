//go:build heavy

package process

import (
	"fmt"
	"os"
	"regexp"
	"strconv"
	"testing"
)

// residentMost is the most that a running function may hold, in MiB. The smallest
// that a cloud gives is 64 (SCF) or 128 (Lambda).
const residentMost = 64

// What a function holds in memory after its first call and after forty-eight more,
// each from a process of its own. -v shows it; README's table has it.
func TestMemory(t *testing.T) {
	t.Parallel()
	w := NewWorld(t)
	o := w.Order(1_000_000)
	dispatching, notifying := StartLambda(t, Dispatcher, w.Env), StartPlain(t, Notify, w.Env)
	once := func(i int) {
		no := fmt.Sprintf("R%d", i)
		if got := dispatching.Ask(RefundEvent(o, no, 1)); got.Code != 0 {
			t.Fatalf("%s: %+v", no, got)
		}
		if _, err := notifying.Try(w.SignedNotification("H" + no)); err != nil {
			t.Fatal(err)
		}
	}
	once(0)
	first := map[string]int{Dispatcher: dispatching.Process.resident(), Notify: notifying.Process.resident()}
	for i := 1; i < 49; i++ { // an order takes fifty
		once(i)
	}
	for name, p := range map[string]*Process{Dispatcher: dispatching.Process, Notify: notifying.Process} {
		last := p.resident()
		t.Logf("%s: %d MiB after one call, %d MiB after 49", name, first[name], last)
		if last > residentMost {
			t.Errorf("%s: %d MiB resident, want at most %d", name, last, residentMost)
		}
	}
}

var residentLine = regexp.MustCompile(`VmRSS:\s+([0-9]+) kB`)

// resident is what a process holds in memory now, in MiB.
func (p *Process) resident() int {
	p.t.Helper()
	return resident(p.t, p.Cmd.Process.Pid)
}

func resident(t testing.TB, pid int) int {
	t.Helper()
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		t.Fatal(err)
	}
	m := residentLine.FindSubmatch(status)
	if m == nil {
		t.Fatal("no VmRSS")
	}
	kib, err := strconv.Atoi(string(m[1]))
	if err != nil {
		t.Fatal(err)
	}
	return (kib + 1023) / 1024
}
