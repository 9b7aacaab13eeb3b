// Package functions_test runs the deployables as their platforms do: as
// processes, against a WeChat Pay on real sockets.
package functions_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// TestMain has everything that is built here removed with the rest.
func TestMain(m *testing.M) {
	dir, err := os.MkdirTemp("", "functions")
	if err == nil {
		err = os.Setenv("TMPDIR", dir)
	}
	if err != nil {
		log.Fatal(err)
	}
	code := m.Run()
	_ = os.RemoveAll(dir)
	os.Exit(code)
}

// The names of the deployables, as their folders are called, and of the sandbox program.
const (
	dispatcher = "wxpayfunctions"
	notify     = "notify"
	reconcile  = "reconcile"
	local      = "sandbox"
)

// binaries builds all of them as they are deployed, and returns the folder.
var binaries = sync.OnceValues(func() (string, error) {
	dir, err := os.MkdirTemp("", "bin")
	if err != nil {
		return "", err
	}
	build := exec.Command("go", "build", "-o", dir+string(filepath.Separator), "./"+dispatcher, "./"+notify, "./"+reconcile, "./"+local)
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if output, err := build.CombinedOutput(); err != nil {
		return "", fmt.Errorf("go build: %w\n%s", err, output)
	}
	return dir, nil
})

// A process is a running binary.
type process struct {
	t              testing.TB
	cmd            *exec.Cmd
	stdout, stderr *buffer
	ended          chan struct{} // closed at its end
}

// start runs a binary with nothing but these variables, of which the last counts,
// until the test ends.
func start(t testing.TB, name string, env []string, args ...string) *process {
	t.Helper()
	dir, err := binaries()
	if err != nil {
		t.Fatal(err)
	}
	return startCommand(t, env, append([]string{filepath.Join(dir, name)}, args...)...)
}

func startCommand(t testing.TB, env []string, command ...string) *process {
	t.Helper()
	p := &process{t: t, cmd: exec.Command(command[0], command[1:]...), stdout: new(buffer), stderr: new(buffer), ended: make(chan struct{})}
	p.cmd.Env = append([]string{"HOME=/nonexistent"}, env...) // not empty, which would mean our own
	p.cmd.Stdout, p.cmd.Stderr = p.stdout, p.stderr
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		_ = p.cmd.Wait() // the state tells how it ended
		close(p.ended)
	}()
	want := 0
	if slices.ContainsFunc(env, func(v string) bool { return strings.Contains(v, "_LAMBDA_") }) {
		want = -1 // the platforms' functions hold nothing that must be put away
	}
	t.Cleanup(func() {
		if p.running() {
			p.signal(syscall.SIGTERM, want)
		}
		if t.Failed() {
			t.Logf("%s logged:\n%s", command, p.stderr)
		}
	})
	return p
}

func (p *process) running() bool {
	select {
	case <-p.ended:
		return false
	default:
		return true
	}
}

// signal ends the process and returns how long that took.
func (p *process) signal(s syscall.Signal, want int) time.Duration {
	p.t.Helper()
	begin := time.Now()
	if err := p.cmd.Process.Signal(s); err != nil {
		p.t.Errorf("signal: %v", err)
	}
	if got := p.wait(); got != want {
		p.t.Errorf("%s after %v: got exit code %d, want %d", p.cmd, s, got, want)
	}
	return time.Since(begin)
}

// wait returns the exit code, after a while by force.
func (p *process) wait() int {
	kill := time.AfterFunc(15*time.Second, func() { _ = p.cmd.Process.Kill() })
	defer kill.Stop()
	<-p.ended
	return p.cmd.ProcessState.ExitCode()
}

// record returns the log record of a request with that message.
func (p *process) record(msg, requestID string) (r map[string]any) {
	p.t.Helper()
	await(p.t, fmt.Sprintf("a record %q of request %s", msg, requestID), func() bool {
		for line := range strings.Lines(p.stderr.String()) {
			r = nil
			if json.Unmarshal([]byte(line), &r) == nil && r["msg"] == msg && r["request_id"] == requestID {
				return true
			}
		}
		return false
	})
	return r
}

// A buffer may be written and read at once.
type buffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *buffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}

// await polls until ok, within bounds.
func await(t testing.TB, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(20 * time.Second); time.Now().Before(end); time.Sleep(10 * time.Millisecond) {
		if ok() {
			return
		}
	}
	t.Fatal("waited in vain for " + what)
}

// handed holds the ports that tests of this run have been given: whoever got one
// may not listen on it yet.
var handed sync.Map

// freePort returns a port that nobody listens on, below those that the system
// gives to outgoing connections, one of which might take it meanwhile.
func freePort(t testing.TB) string {
	t.Helper()
	var err error
	for range 100 {
		port := fmt.Sprint(20_000 + rand.IntN(12_000))
		if _, taken := handed.LoadOrStore(port, true); taken {
			continue
		}
		var l net.Listener
		if l, err = net.Listen("tcp", "0.0.0.0:"+port); err == nil {
			l.Close()
			return port
		}
	}
	t.Fatal(err)
	return ""
}

const (
	acknowledged = `{"code":"SUCCESS","message":"成功"}`
	denied       = `{"code":403,"err_code":"NOAUTH","message":"this caller may not refund or query: it has no identity here: it is a client without an openid, or comes by HTTP without what gives one, REFUND_SERVER_TOKEN or (behind a gateway that sets them) TRUST_WX_HEADERS","retry":"never"}`
)
