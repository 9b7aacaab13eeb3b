package needs

import (
	"fmt"
	"runtime"
	"strings"
	"testing"
)

// A recorder stands in for a test that is ended.
type recorder struct {
	testing.TB
	ended string
}

func (r *recorder) Helper()      {}
func (r *recorder) Name() string { return "TestOfAServer" }

func (r *recorder) Skipf(format string, args ...any)  { r.end("skipped", format, args) }
func (r *recorder) Fatalf(format string, args ...any) { r.end("failed", format, args) }

func (r *recorder) end(how, format string, args []any) {
	r.ended = how + ": " + fmt.Sprintf(format, args...)
	runtime.Goexit()
}

// outcome is how a test ended that needs something; "": it ran.
func outcome(need func(t testing.TB)) string {
	r := &recorder{}
	done := make(chan struct{})
	go func() { defer close(done); need(r) }()
	<-done
	return r.ended
}

// What a test lacks skips it on a developer's machine and fails it in CI.
func TestLackingEndsATest(t *testing.T) {
	t.Setenv("NEEDED_SERVER", "")
	server := func(t testing.TB) { Env(t, "NEEDED_SERVER") }
	program := func(t testing.TB) { Program(t, "no-such-program", "nor-this-one") }
	for ci, how := range map[string]string{"": "skipped", "true": "failed"} {
		t.Setenv("CI", ci)
		if got, want := outcome(server), how+": this test lacks NEEDED_SERVER"; got != want {
			t.Errorf("CI=%s: got %q, want %q", ci, got, want)
		}
		if got, want := outcome(program), how+": this test lacks no-such-program or nor-this-one"; got != want {
			t.Errorf("CI=%s: got %q, want %q", ci, got, want)
		}
	}
	skipped.tests = nil // they were not this program's
}

// What is there is used.
func TestWhatIsThereIsReturned(t *testing.T) {
	t.Setenv("NEEDED_SERVER", "postgres://here")
	if got := Env(t, "NEEDED_SERVER"); got != "postgres://here" {
		t.Errorf("got %q", got)
	}
	if got := Program(t, "no-such-program", "go"); !strings.HasSuffix(got, "go") {
		t.Errorf("got %q", got)
	}
}

// The closing line names every test and what it lacks, once each.
func TestClosingLine(t *testing.T) {
	var l list
	var line strings.Builder
	if l.print(&line); line.Len() > 0 {
		t.Errorf("nothing is lacking, and it says %q", line.String())
	}
	l.add("PG", "TestB")
	l.add("PG", "TestA")
	l.add("PG", "TestA")
	l.add("node", "TestC")
	l.print(&line)
	if got, want := line.String(), "not run: TestA, TestB for lack of PG; TestC for lack of node\n"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}
