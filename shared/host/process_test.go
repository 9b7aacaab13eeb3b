package host

import (
	"encoding/json"
	"fmt"
	"net"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"wxrefund/shared/refund"
)

// A process is a running echo.
type process struct {
	t    *testing.T
	cmd  *exec.Cmd
	logs *logBuffer
	once sync.Once
	want int // the exit code after SIGTERM
	code int
}

// start runs echo with nothing but these variables.
func start(t *testing.T, env ...string) *process {
	t.Helper()
	p := &process{t: t, cmd: exec.Command(os.Args[0]), logs: new(logBuffer)}
	if slices.ContainsFunc(env, func(v string) bool { return strings.Contains(v, "_LAMBDA_") }) {
		p.want = -1 // the platforms' functions hold nothing that must be put away
	}
	p.cmd.Env = append([]string{echoVariable + "=true", "GORACE=halt_on_error=1 exitcode=66 atexit_sleep_ms=0"}, env...)
	p.cmd.Stderr = p.logs
	p.cmd.Stdout = p.logs
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.stop() })
	return p
}

// stop sends SIGTERM and returns the exit code.
func (p *process) stop() int {
	p.once.Do(func() {
		_ = p.cmd.Process.Signal(syscall.SIGTERM)
		p.code = p.wait()
		if p.code != p.want {
			p.t.Errorf("exit code %d after SIGTERM, want %d; log:\n%s", p.code, p.want, p.logs)
		}
	})
	return p.code
}

// wait returns the exit code, after a while by force.
func (p *process) wait() int {
	kill := time.AfterFunc(10*time.Second, func() { _ = p.cmd.Process.Kill() })
	defer kill.Stop()
	_ = p.cmd.Wait()
	return p.cmd.ProcessState.ExitCode()
}

func freePort(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	_, port, err := net.SplitHostPort(l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	return port
}

// await polls until ok.
func await(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for range 500 {
		if ok() {
			return
		}
		time.Sleep(20 * time.Millisecond)
	}
	t.Fatal("waited in vain for " + what)
}

// An echoReply is what echo replies.
type echoReply struct {
	Kind          refund.CallerKind
	OpenID        string
	AppID         string
	RequestID     string `json:"request_id"`
	Event         string
	Began         time.Time
	Deadline      time.Time // of the context
	Expired       bool      // so the context ended before the reply
	SecretID      string    `json:"secret_id"`
	SecretKey     string    `json:"secret_key"`
	Source        string
	OK            bool
	Builds        int
	Built         map[string]string
	ProcessOpenID string `json:"process_openid"`

	Code    int // of a host's own reply
	Message string
}

// ends checks that the context has so much time from the request's arrival at the
// host. That was after the request was sent and before the function began, and both
// may be long apart on a busy machine.
func (r echoReply) ends(t *testing.T, name string, sent time.Time, after time.Duration) {
	t.Helper()
	// A platform that tells whole milliseconds cuts off what is less.
	if r.Deadline.Before(sent.Add(after-time.Millisecond)) || r.Deadline.After(r.Began.Add(after)) {
		t.Errorf("%s: the context ends %v after the request was sent and %v after the function began; want at least and at most %v",
			name, r.Deadline.Sub(sent), r.Deadline.Sub(r.Began), after)
	}
}

func parseEcho(t *testing.T, reply []byte) echoReply {
	t.Helper()
	var got echoReply
	if err := json.Unmarshal(reply, &got); err != nil {
		t.Fatalf("reply %q: %v", reply, err)
	}
	return got
}

// records returns the log's JSON lines with that message, once there are n; the libraries' own lines are not JSON.
func (p *process) records(msg string, n int) []map[string]any {
	p.t.Helper()
	var all []map[string]any
	await(p.t, fmt.Sprintf("%d records of %q", n, msg), func() bool {
		all = nil
		for line := range strings.Lines(p.logs.String()) {
			var r map[string]any
			if json.Unmarshal([]byte(line), &r) == nil && r["msg"] == msg {
				all = append(all, r)
			}
		}
		return len(all) >= n
	})
	return all
}

// A package for one platform does not carry the other's runtime, and none has net/rpc's
// server, which costs a package for SCF a fifth of its size, but with the Lambda library's.
func TestTagsChooseThePlatforms(t *testing.T) {
	const scf, lambda, rpc = "github.com/tencentyun/scf-go-lib/cloudfunction/messages", "github.com/aws/aws-lambda-go/lambda", "net/rpc"
	for tags, want := range map[string]map[string]bool{
		"":                         {scf: true, lambda: true, rpc: true},
		"scf":                      {scf: true, lambda: true, rpc: true},
		"slim":                     {scf: false, lambda: false, rpc: false},
		"slim,scf":                 {scf: true, lambda: false, rpc: false},
		"slim,lambda":              {scf: false, lambda: true, rpc: true},
		"slim,lambda,lambda.norpc": {scf: false, lambda: true, rpc: false},
		"slim,scf,lambda":          {scf: true, lambda: true, rpc: true},
	} {
		out, err := exec.Command("go", "list", "-deps", "-tags", tags, ".").Output()
		if err != nil {
			t.Fatal(err)
		}
		for path, want := range want {
			if got := slices.Contains(strings.Split(string(out), "\n"), path); got != want {
				t.Errorf("tags %q: imports %s: %v, want %v", tags, path, got, want)
			}
		}
	}
}
