// Package process runs the functions for tests, as their platforms do: as processes,
// against a WeChat Pay on real sockets.
//
// A [World] is a WeChat Pay and a ledger. [StartSCF], [StartLambda] and [StartPlain]
// start one of the functions in it and play its platform: SCF and CloudBase, AWS Lambda,
// and whatever runs containers.
//
// Its own tests have the tag heavy. They kill these processes at each step that is named
// in the code, let several of them race over one ledger, and hold what every platform
// must see: who called, what a notification is answered, how long a hanging WeChat or a
// locked ledger takes.
//
//	go test -tags heavy ./functions/process
//	go test -tags heavy ./functions/process -run Killed -v      the table of kills
//	go test -tags heavy ./functions/process -races 1000 -kills 100
package process

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
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

	"wxrefund/shared/needs"
)

// Main runs a package's tests, removes what was built for them and lists what did not run.
func Main(m *testing.M) {
	dir, err := os.MkdirTemp("", "functions")
	if err == nil {
		err = os.Setenv("TMPDIR", dir)
	}
	if err != nil {
		log.Fatal(err)
	}
	code := needs.Main(m)
	_ = os.RemoveAll(dir)
	os.Exit(code)
}

// folders is where the programs are.
const folders = "wxrefund/functions/"

// The names of the functions, as their folders are called, and of the sandbox program.
const (
	Dispatcher = "wxpayfunctions"
	Notify     = "notify"
	Reconcile  = "reconcile"
	Sandbox    = "sandbox"
)

// binaries builds all of them as they are deployed, and returns the folder.
var binaries = sync.OnceValues(func() (string, error) { return build("", Dispatcher, Notify, Reconcile, Sandbox) })

// build builds programs with tags and returns the folder that they are in.
func build(tags string, names ...string) (dir string, err error) {
	if err := LookAtSources(); err != nil {
		return "", err
	}
	if dir, err = os.MkdirTemp("", "bin"); err != nil {
		return "", err
	}
	cmd := exec.Command("go", "build", "-tags", tags, "-o", dir+string(filepath.Separator))
	for _, name := range names {
		cmd.Args = append(cmd.Args, folders+name)
	}
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if output, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("go build: %w\n%s", err, output)
	}
	return dir, nil
}

// LookAtSources looks at every source file of the module. The go command does not know
// what a test builds, and would answer with an old result although that has changed;
// it does know at which files a test has looked.
func LookAtSources() error {
	root, err := os.Getwd()
	for err == nil {
		if _, err := os.Stat(filepath.Join(root, "go.mod")); err == nil {
			break
		}
		if root == filepath.Dir(root) {
			return errors.New("this is no folder of the module")
		}
		root = filepath.Dir(root)
	}
	if err != nil {
		return err
	}
	return filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && path != root && (strings.HasPrefix(d.Name(), ".") || d.Name() == "node_modules"):
			return filepath.SkipDir
		case strings.HasSuffix(path, ".go") && !strings.HasSuffix(path, "_test.go"):
			_, err = os.Stat(path)
		}
		return err
	})
}

// A Process is a running binary.
type Process struct {
	t              testing.TB
	Cmd            *exec.Cmd
	Stdout, Stderr *buffer
	Ended          chan struct{} // closed when it has
}

// Start runs a binary with nothing but these variables, of which the last counts,
// until the test ends.
func Start(t testing.TB, name string, env []string, args ...string) *Process {
	t.Helper()
	return StartCommand(t, env, append([]string{Binary(t, name)}, args...)...)
}

// Binary returns where a program is, built as it is deployed.
func Binary(t testing.TB, name string) string {
	t.Helper()
	dir, err := binaries()
	if err != nil {
		t.Fatal(err)
	}
	return filepath.Join(dir, name)
}

// StartCommand runs any program so.
func StartCommand(t testing.TB, env []string, command ...string) *Process {
	t.Helper()
	p := &Process{t: t, Cmd: exec.Command(command[0], command[1:]...), Stdout: new(buffer), Stderr: new(buffer), Ended: make(chan struct{})}
	p.Cmd.Env = append([]string{"HOME=/nonexistent"}, env...) // not empty, which would mean our own
	p.Cmd.Stdout, p.Cmd.Stderr = p.Stdout, p.Stderr
	if err := p.Cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		_ = p.Cmd.Wait() // the state tells how it ended
		close(p.Ended)
	}()
	want := 0
	if slices.ContainsFunc(env, func(v string) bool { return strings.Contains(v, "_LAMBDA_") }) {
		want = -1 // the platforms' functions hold nothing that must be put away
	}
	t.Cleanup(func() {
		if p.Running() {
			p.Signal(syscall.SIGTERM, want)
		}
		if t.Failed() {
			t.Logf("%s logged:\n%s", command, p.Stderr)
		}
	})
	return p
}

// Running reports whether the process has not ended yet.
func (p *Process) Running() bool {
	select {
	case <-p.Ended:
		return false
	default:
		return true
	}
}

// Signal ends the process and returns how long that took.
func (p *Process) Signal(s syscall.Signal, want int) time.Duration {
	p.t.Helper()
	begin := time.Now()
	if err := p.Cmd.Process.Signal(s); err != nil {
		p.t.Errorf("signal: %v", err)
	}
	if got := p.Wait(); got != want {
		p.t.Errorf("%s after %v: got exit code %d, want %d", p.Cmd, s, got, want)
	}
	return time.Since(begin)
}

// Wait returns the exit code, after a while by force.
func (p *Process) Wait() int {
	kill := time.AfterFunc(15*time.Second, func() { _ = p.Cmd.Process.Kill() })
	defer kill.Stop()
	<-p.Ended
	return p.Cmd.ProcessState.ExitCode()
}

// Record returns the log record of a request with that message.
func (p *Process) Record(msg, requestID string) (r map[string]any) {
	p.t.Helper()
	Await(p.t, fmt.Sprintf("a record %q of request %s", msg, requestID), func() bool {
		for line := range strings.Lines(p.Stderr.String()) {
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

// Await polls until ok, within bounds.
func Await(t testing.TB, what string, ok func() bool) {
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

// FreePort returns a port that nobody listens on, below those that the system
// gives to outgoing connections, one of which might take it meanwhile.
func FreePort(t testing.TB) string {
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
