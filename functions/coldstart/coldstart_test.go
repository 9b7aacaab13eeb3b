// Package coldstart_test measures what a user waits for when no function runs yet: from
// the start of a packaged function to its first reply.
//
// Beside the time the benchmark counts page faults: where a process touches memory for
// the first time the kernel interrupts it, which is most of what a start takes, and on a
// busy machine the count holds where the time does not.
//
// What a start allocates before main, by package, in KB, is told by Go itself, of a binary
// from dist/scf-mysql or dist/lambda-dynamodb, packages above 3 KB:
//
//	GODEBUG=inittrace=1 dist/scf-mysql/wxpayFunctions/main
//
//	KB     package                              in
//	291.7  go-playground/validator/v10          wxpayFunctions
//	 82.8  dynamodb/internal/endpoints          lambda-dynamodb
//	 27.2  encoding/gob                         SCF
//	 22.8  gabriel-vasile/mimetype              wxpayFunctions, for validator
//	 18.8  encoding/xml                         all: v2 notifications
//	 11.4  unicode                              all
//	  8.2  smithy-go/eventstream                lambda-dynamodb
//	  7.9  aws-sdk-go-v2 awsrulesfn             lambda-dynamodb
//	  7.6  go-sql-driver/mysql                  scf-mysql
//	  6.6  debug/dwarf                          wxpayFunctions
//	  5.3  golang.org/x/sys/cpu                 lambda-dynamodb
//	  4.2  compress/flate                       all
//	  4.1  golang.org/x/text/internal/language  wxpayFunctions, for validator
//	  3.6  aws-sdk-go-v2 internal/timeouts      lambda-dynamodb
//	  3.5  scf-go-lib/functioncontext           SCF
//	  3.3  crypto/internal/fips140/rsa          wxpayFunctions
//
// In all 430 KB for wxpayFunctions on SCF and 101 for notify, 502 and 173 on Lambda. An
// empty function allocates 85 on SCF, whose library brings net/rpc with its HTML, and 30 on
// Lambda. Nothing of ours has 3 KB. validator fills its tables of the world's countries,
// regions and currencies, three quarters of what wxpayFunctions allocates on SCF, and no
// function can put that off: what a package's variables hold is made before main. With
// validator imported the empty function for SCF has 491 page faults instead of 373, and so
// is at 1.3 by itself.
package coldstart_test

import (
	"archive/zip"
	"bytes"
	"context"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"net/rpc"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"wxrefund/functions/process"
)

// maxDispatcher and maxNotify are how much longer one of our functions may take to its
// first reply than one that does nothing, on the same library. The dispatcher has
// validator to start.
const maxDispatcher, maxNotify = 1.5, 1.35

// A coldStart is a packaged function and the event that it is started for.
type coldStart struct {
	name   string
	binary string
	event  string
	source string // of who calls, on SCF
	want   string // in the reply
	most   float64
}

// A cost is what a start took until its first reply.
type cost struct {
	time   time.Duration
	faults int64 // pages touched for the first time, which hardly differs from run to run
}

// BenchmarkColdStart starts packaged functions and waits for their first reply,
// in turns with a function that does nothing, each time in another order, and
// fails if the fast quarter of ours takes more than its limit times as long as
// that one's.
//
//	go test -run '^$' -bench ColdStart -benchtime 300x ./functions/coldstart
func BenchmarkColdStart(b *testing.B) {
	for _, platform := range []struct {
		name   string
		target string
		tags   string
		entry  string
		ledger []string // variables of one that is not there
		first  func(b *testing.B, s coldStart, env []string) (cost, []byte)
	}{
		{"SCF", "scf-mysql", "scf", "main", []string{"LEDGER_URL=mysql://wxrefund:x@127.0.0.1:1/wxrefund"}, firstOnSCF},
		{"CloudBase", "scf-cloudbase", "scf", "main", []string{"LEDGER_URL=cloudbase:env-test?endpoint=http://127.0.0.1:1", "CLOUDBASE_APIKEY=x"}, firstOnSCF},
		{"Lambda", "lambda-dynamodb", "lambda,lambda.norpc", "bootstrap", []string{"LEDGER_URL=dynamodb://wxrefund?region=ap-east-1&endpoint=http://127.0.0.1:1"}, firstOnLambda},
	} {
		b.Run(platform.name, func(b *testing.B) {
			env, notification := coldSettings(b, platform.ledger)
			dir := packages(b, platform.target)
			gateway := process.TencentGateways[0]
			if platform.name == "Lambda" {
				gateway = process.AWSGateways[0]
			}
			starts := []coldStart{
				{"empty", emptyFunction(b, platform.tags), `{}`, "wx_trigger", `{}`, 1},
				{"dispatcher", unzipped(b, filepath.Join(dir, "wxpayFunctions.zip"), platform.entry), coldRefund(gateway, platform.name != "Lambda"), "wx_client", "NOAUTH", maxDispatcher},
				{"notify", unzipped(b, filepath.Join(dir, "notify.zip"), platform.entry), gateway.Event(notification), "wx_http", `"statusCode":401`, maxNotify},
			}
			took := make([][]time.Duration, len(starts))
			faults := make([]int64, len(starts))
			for b.Loop() {
				for _, i := range rand.Perm(len(starts)) {
					s := starts[i]
					c, reply := platform.first(b, s, env)
					if !bytes.Contains(reply, []byte(s.want)) {
						b.Fatalf("%s: got %s, want %s in it", s.name, reply, s.want)
					}
					took[i] = append(took[i], c.time)
					faults[i] += c.faults
				}
			}
			floor := quartile(took[0])
			for i, s := range starts {
				b.ReportMetric(float64(quartile(took[i]).Microseconds())/1000, s.name+"-ms")
				b.ReportMetric(float64(faults[i])/float64(len(took[i])), s.name+"-faults")
				if i == 0 {
					continue
				}
				ratio := float64(quartile(took[i])) / float64(floor)
				b.ReportMetric(ratio, s.name+"-ratio")
				// A handful of starts says nothing on a busy machine.
				if len(took[i]) >= 20 && ratio > s.most {
					b.Errorf("%s takes %v to its first reply, an empty function %v: %.2f times as long, want at most %.2f",
						s.name, quartile(took[i]), floor, ratio, s.most)
				}
			}
			b.ReportMetric(0, "ns/op") // of all three together: it means nothing
		})
	}
}

// quartile returns what a quarter of the starts stayed below: what else runs on
// the machine can only make a start longer.
func quartile(d []time.Duration) time.Duration {
	d = slices.Sorted(slices.Values(d))
	return d[len(d)/4]
}

// coldRefund is a refund that nobody who may asks for: a client's on SCF, one by
// HTTP on Lambda, where whoever invokes directly may.
func coldRefund(g process.Gateway, direct bool) string {
	event := process.RefundEvent(process.Order{OutTradeNo: "order-1", Total: 100}, "refund-1", 60)
	if direct {
		return event
	}
	return g.Event(process.Notification{Header: http.Header{"Content-Type": {"application/json"}}, Body: []byte(event)})
}

// coldSettings are the settings of a merchant, with a WeChat Pay and ledgers
// that are not there: the first event needs neither. The notification is forged.
func coldSettings(b *testing.B, ledger []string) ([]string, process.Notification) {
	b.Helper()
	w := process.NewWorld(b)
	l := w.SignedNotification("N1").Forged()
	return append(w.With("WXPAY_BASE_URL=http://127.0.0.1:1", "REFUND_OPERATORS="), ledger...), l
}

// packages builds a target's packages by the documented command and returns the folder.
func packages(tb testing.TB, target string) string {
	tb.Helper()
	dir := tb.TempDir()
	cmd := exec.Command("go", "run", "wxrefund/functions/package", "-only", target, "-out", dir)
	if out, err := cmd.CombinedOutput(); err != nil {
		tb.Fatalf("%s: %v\n%s", cmd, err, out)
	}
	return filepath.Join(dir, target)
}

// unzipped writes one file of a package as the platform does and returns its path.
func unzipped(tb testing.TB, archive, entry string) string {
	tb.Helper()
	r, err := zip.OpenReader(archive)
	if err != nil {
		tb.Fatal(err)
	}
	defer r.Close()
	data, err := fs.ReadFile(r, entry)
	if err != nil {
		tb.Fatal(err)
	}
	return executable(tb, data, entry)
}

// executable writes a program: how a file was written shows in how fast it starts.
func executable(tb testing.TB, data []byte, name string) string {
	tb.Helper()
	path := filepath.Join(tb.TempDir(), name)
	if err := os.WriteFile(path, data, 0o755); err != nil {
		tb.Fatal(err)
	}
	return path
}

// emptyFunction builds a function that does nothing, as ours are built.
func emptyFunction(tb testing.TB, tags string) string {
	tb.Helper()
	built := filepath.Join(tb.TempDir(), "empty")
	cmd := exec.Command("go", "build", "-trimpath", "-ldflags=-s -w -buildid=", "-tags", tags+",nethttpomithttp2", "-o", built, "./testdata/empty")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		tb.Fatalf("go build: %v\n%s", err, out)
	}
	data, err := os.ReadFile(built)
	if err != nil {
		tb.Fatal(err)
	}
	return executable(tb, data, "main")
}

// running starts a binary and returns what ends it and counts its page faults.
func running(b *testing.B, binary string, env []string) (end func() (faults int64)) {
	b.Helper()
	cmd := exec.Command(binary)
	cmd.Env = env
	log, stderr, err := os.Pipe() // which holds all that is logged: nobody is busy with reading it
	if err != nil {
		b.Fatal(err)
	}
	cmd.Stderr = stderr
	if err := cmd.Start(); err != nil {
		b.Fatal(err)
	}
	return func() int64 {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		_ = stderr.Close()
		if b.Failed() {
			text, _ := io.ReadAll(log)
			b.Logf("%s logged:\n%s", binary, text)
		}
		_ = log.Close()
		usage, ok := cmd.ProcessState.SysUsage().(*syscall.Rusage)
		if !ok {
			b.Fatal("what the process used is not known")
		}
		return usage.Minflt
	}
}

// firstOnSCF starts a function as SCF does and returns what its first reply took.
func firstOnSCF(b *testing.B, s coldStart, env []string) (c cost, reply []byte) {
	port := process.FreePort(b)
	begin := time.Now()
	end := running(b, s.binary, append(env, "_LAMBDA_SERVER_PORT="+port))
	defer func() { c.faults = end() }()
	var client *rpc.Client
	for {
		conn, err := net.Dial("tcp", "127.0.0.1:"+port)
		if err == nil {
			client = rpc.NewClient(conn)
			break
		}
		if time.Since(begin) > 20*time.Second {
			b.Fatalf("%s does not listen: %v", s.name, err)
		}
		// A sleep could last a millisecond, a third of the start.
		for pause := time.Now(); time.Since(pause) < 50*time.Microsecond; {
		}
	}
	defer client.Close()
	var res process.SCFResponse
	err := client.Call("Function.Invoke", process.Invocation{Event: s.event, Environment: map[string]string{"TCB_SOURCE": s.source}}.Request(), &res)
	c.time = time.Since(begin)
	if err != nil || res.Error != nil {
		b.Fatalf("%s: got %v, %+v", s.name, err, res.Error)
	}
	return c, res.Payload
}

// firstOnLambda starts a function as Lambda does and returns what its first reply took.
func firstOnLambda(b *testing.B, s coldStart, env []string) (c cost, first []byte) {
	reply := make(chan []byte, 1)
	ctx, cancel := context.WithCancel(b.Context())
	var once sync.Once
	api := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodPost {
			body, _ := io.ReadAll(r.Body)
			w.WriteHeader(http.StatusAccepted)
			reply <- body
			return
		}
		first := false
		once.Do(func() { first = true })
		if !first { // there is no second event
			<-ctx.Done()
			return
		}
		w.Header().Set("Lambda-Runtime-Aws-Request-Id", "r1")
		w.Header().Set("Lambda-Runtime-Deadline-Ms", fmt.Sprint(time.Now().Add(10*time.Second).UnixMilli()))
		w.Header().Set("Lambda-Runtime-Invoked-Function-Arn", process.ARN)
		_, _ = io.WriteString(w, s.event)
	}))
	defer api.Close()
	defer cancel()
	begin := time.Now()
	end := running(b, s.binary, append(env, "AWS_LAMBDA_RUNTIME_API="+strings.TrimPrefix(api.URL, "http://")))
	defer func() { c.faults = end() }()
	select {
	case body := <-reply:
		return cost{time: time.Since(begin)}, body
	case <-time.After(20 * time.Second):
		b.Fatalf("%s: no reply", s.name)
	}
	return cost{}, nil
}
