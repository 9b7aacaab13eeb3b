//go:build heavy

package main

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	_ "github.com/go-sql-driver/mysql"
	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5"

	"wxrefund/functions/process"
	"wxrefund/shared/ledger"
	"wxrefund/shared/needs"
	"wxrefund/shared/sandbox/pgsql"
)

const (
	acknowledged = `{"code":"SUCCESS","message":"成功"}`
	denied       = `{"code":403,"err_code":"NOAUTH","message":"this caller may not refund or query: it has no identity here: it is a client without an openid, or comes by HTTP, where headers such as x-wx-openid are not believed: REFUND_SERVER_TOKEN gives an identity there or, behind a gateway that strips and sets them, TRUST_WX_HEADERS","retry":"never"}`
)

// A started is a packaged function that runs as its platform runs it.
type started struct {
	invoke  func(event string) []byte                              // as a server or, where nobody is one, as an operator
	deliver func(l process.Notification) (status int, body string) // by HTTP, whatever the platform makes of it
	stop    func()
}

// lent are what ledgers that are called over HTTP are called with.
var lent = []string{"AWS_ACCESS_KEY_ID=local", "AWS_SECRET_ACCESS_KEY=local", "CLOUDBASE_APIKEY=local"}

// platforms start the unzipped package of each target.
var platforms = map[string]func(t *testing.T, dir string, env []string) started{
	"scf":    startedSCF,
	"lambda": startedLambda,
	"web":    startedWeb,
}

func startedSCF(t *testing.T, dir string, env []string) started {
	port := process.FreePort(t)
	p := process.StartCommand(t, append(env, "_LAMBDA_SERVER_PORT="+port, "TENCENTCLOUD_RUNENV=SCF"), filepath.Join(dir, "main"))
	f := process.DialSCF(t, p, port)
	return started{
		func(event string) []byte { return f.Invoke(process.Invocation{Event: event}) },
		func(l process.Notification) (int, string) {
			return process.Unpack(t, f.Invoke(process.Invocation{Event: process.TencentGateways[0].Event(l)}))
		},
		func() {},
	}
}

func startedLambda(t *testing.T, dir string, env []string) started {
	f := process.RunLambda(t, func(api string) *process.Process {
		return process.StartCommand(t, append(env, api), filepath.Join(dir, "bootstrap"))
	})
	return started{
		func(event string) []byte { return f.Invoke("r1", event, 20*time.Second) },
		func(l process.Notification) (int, string) {
			return process.Unpack(t, f.Invoke("r2", process.AWSGateways[0].Event(l), 20*time.Second))
		},
		func() {},
	}
}

// startedWeb starts a web function, which listens where the platform expects it
// and nowhere else: one at a time.
func startedWeb(t *testing.T, dir string, env []string) started {
	const address = "127.0.0.1:9000"
	listens := func() bool {
		c, err := net.Dial("tcp", address)
		if err == nil {
			c.Close()
		}
		return err == nil
	}
	process.Await(t, "port 9000 to be free", func() bool { return !listens() })
	const token = "web-0123456789-0123456789-012345"
	p := process.StartCommand(t, append(env, "REFUND_SERVER_TOKEN="+token), "/bin/sh", "-c", `cd "$1" && exec ./scf_bootstrap`, "sh", dir)
	process.Await(t, "the web function", func() bool { return listens() || !p.Running() })
	f := process.AwaitPlain(t, p)
	return started{
		func(event string) []byte {
			_, body := f.Post(event, "Authorization", "Bearer "+token) // as the merchant's own back end and scheduler do
			return body
		},
		func(l process.Notification) (int, string) {
			status, body := f.Deliver(l)
			return status, string(body)
		},
		func() { p.Signal(syscall.SIGTERM, 0) },
	}
}

// The zips themselves, unpacked and started as their platforms do, carry a refund
// from its claim to its end: by a notification, and by the timer.
func TestPackagesRefund(t *testing.T) {
	for _, target := range packages {
		t.Run(target.name, func(t *testing.T) {
			platform, database, _ := strings.Cut(target.name, "-")
			ledgerURL := freshLedger(t, database)
			w := process.NewWorld(t)
			env := w.With("LEDGER_URL=" + ledgerURL)
			env = append(env, lent...)
			run := func(function string) started {
				t.Helper()
				return platforms[platform](t, unzip(t, archive(t, target.name, function)), env)
			}
			o := w.Order(100)

			dispatcher := run("wxpayFunctions")
			for _, no := range []string{"R1", "R2"} {
				if got := process.Parse(t, dispatcher.invoke(process.RefundEvent(o, no, 30))); got.Code != 0 || got.Data.Status != "PROCESSING" {
					t.Fatalf("refund: got %+v, want PROCESSING", got)
				}
			}
			if got := process.Parse(t, dispatcher.invoke(process.RefundEvent(o, "R3", 50))); got.Code != 409 {
				t.Errorf("more than is left: got %+v, want 409", got)
			}
			dispatcher.stop()

			w.Post("/_sandbox/refunds/R1/settle", `{"status":"SUCCESS"}`)
			l := w.Inbox.Last()
			notify := run("notify")
			if status, body := notify.deliver(l.Forged()); status != 401 {
				t.Errorf("a forged notification: got %d %s, want 401", status, body)
			}
			if status, body := notify.deliver(l); status != 200 || body != acknowledged {
				t.Errorf("a notification: got %d %s, want 200 %s", status, body, acknowledged)
			}
			notify.stop()

			w.Post("/_sandbox/refunds/R2/settle", `{"status":"SUCCESS"}`)
			overdue(t, ledgerURL)
			reconcile := run("reconcile")
			var summary struct{ Checked, Settled int }
			if process.Decode(t, reconcile.invoke(`{}`), &summary); summary.Checked != 1 || summary.Settled != 1 {
				t.Errorf("reconcile: got %+v, want the one that is open settled", summary)
			}
			reconcile.stop()

			page := process.Parse(t, run("wxpayFunctions").invoke(process.QueryEvent("out_trade_no", o.OutTradeNo)))
			if len(page.Data.Refunds) != 2 || page.Data.Refunds[0].Status != "SUCCESS" || page.Data.Refunds[1].Status != "SUCCESS" {
				t.Errorf("in the end: got %+v, want two successes", page)
			}
			if got := w.Sum(o); got != 60 {
				t.Errorf("WeChat holds %d fen, want 60", got)
			}
		})
	}
}

// overdue makes what is open in a ledger due for the timer.
func overdue(t *testing.T, ledgerURL string) {
	t.Helper()
	store, err := ledger.Open(t.Context(), ledgerURL)
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	process.MakeDue(t, store)
}

// freshLedger makes an empty ledger for one test, on a server that a variable names.
func freshLedger(t *testing.T, kind string) string {
	t.Helper()
	if kind == "cloudbase" {
		return freshCloudBase(t)
	}
	env := needs.Env(t, "LEDGER_TEST_"+strings.ToUpper(kind))
	u, err := url.Parse(env)
	if err != nil {
		t.Fatal(err)
	}
	name := fmt.Sprintf("wxrefund_test_%x", rand.Uint64())
	query := u.Query()
	switch kind {
	case "mysql":
		password, _ := u.User.Password()
		db, err := sql.Open("mysql", fmt.Sprintf("%s:%s@tcp(%s)/", u.User.Username(), password, u.Host))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { db.Close() })
		administer(t, "CREATE DATABASE "+name, "DROP DATABASE "+name, func(ctx context.Context, statement string) error {
			_, err := db.ExecContext(ctx, statement)
			return err
		})
		u.Path = name
	case "postgres":
		conn, err := pgx.Connect(t.Context(), env)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { conn.Close(context.Background()) })
		administer(t, "CREATE SCHEMA "+name, "DROP SCHEMA "+name+" CASCADE", func(ctx context.Context, statement string) error {
			_, err := conn.Exec(ctx, statement)
			return err
		})
		query.Set("search_path", name)
	case "dynamodb":
		u.Host = name
		query.Del("create")
		makeTable(t, name, query.Get("endpoint"))
	}
	u.RawQuery = query.Encode()
	return u.String()
}

// freshCloudBase makes one in what plays the database of a CloudBase environment.
func freshCloudBase(t *testing.T) string {
	t.Helper()
	door, err := pgsql.New(pgsql.Config{Database: freshLedger(t, "postgres")})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { door.Close() })
	mux := http.NewServeMux()
	mux.Handle(pgsql.Path, door)
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	t.Setenv("CLOUDBASE_APIKEY", "local") // for the ledger that the test itself opens
	return "cloudbase:env-test?endpoint=" + server.URL
}

// administer runs a statement, and another when the test ends.
func administer(t *testing.T, before, after string, run func(ctx context.Context, statement string) error) {
	t.Helper()
	if err := run(t.Context(), before); err != nil {
		t.Fatalf("%s: %v", before, err)
	}
	t.Cleanup(func() {
		if err := run(context.Background(), after); err != nil {
			t.Errorf("%s: %v", after, err)
		}
	})
}

// makeTable makes the table that template.yaml describes.
func makeTable(t *testing.T, name, endpoint string) {
	t.Helper()
	table := readFiles(t).resources("AWS::DynamoDB::Table")["Ledger"]
	b, err := json.Marshal(at(table, "Properties"))
	if err != nil {
		t.Fatal(err)
	}
	in := &dynamodb.CreateTableInput{TableName: &name}
	process.Decode(t, b, in)
	client := dynamodb.New(dynamodb.Options{
		Region: "local", BaseEndpoint: &endpoint, Credentials: credentials.NewStaticCredentialsProvider("local", "local", ""),
	})
	if _, err := client.CreateTable(t.Context(), in); err != nil {
		t.Fatalf("the table of template.yaml: %v", err)
	}
	t.Cleanup(func() {
		_, err := client.UpdateTable(context.Background(), &dynamodb.UpdateTableInput{TableName: &name, DeletionProtectionEnabled: aws.Bool(false)})
		if err == nil {
			_, err = client.DeleteTable(context.Background(), &dynamodb.DeleteTableInput{TableName: &name})
		}
		if err != nil {
			t.Errorf("delete the table: %v", err)
		}
	})
}

// D8: a notification that finds no process running is answered in time, the start
// included, whether it is forged or has to be settled.
func TestColdStartWithinTheNotificationBudget(t *testing.T) {
	const budget = 4 * time.Second // WeChat Pay waits five
	for _, target := range packages {
		t.Run(target.name, func(t *testing.T) {
			platform, database, _ := strings.Cut(target.name, "-")
			ledgerURL := freshLedger(t, database)
			dir := unzip(t, archive(t, target.name, "notify"))
			w := process.NewWorld(t)
			genuine := w.SignedNotification("N1")
			env := append(w.With("LEDGER_URL="+ledgerURL), lent...)
			for name, first := range map[string]struct {
				notification process.Notification
				status       int
			}{"forged": {genuine.Forged(), 401}, "genuine": {genuine, 200}} {
				begin := time.Now()
				f := platforms[platform](t, dir, env)
				status, body := f.deliver(first.notification)
				if took := time.Since(begin); status != first.status || took > budget {
					t.Errorf("%s: got %d %s after %v, want %d within %v", name, status, body, took, first.status, budget)
				} else {
					t.Logf("%s: %d after %v", name, status, took)
				}
				f.stop()
			}
		})
	}
}

// D8: an event that is refused at the door costs no connection, neither to the
// ledger nor to WeChat Pay, so nobody waits for one when a function starts.
func TestRefusedEventsConnectToNothing(t *testing.T) {
	for _, target := range packages {
		t.Run(target.name, func(t *testing.T) {
			platform, database, _ := strings.Cut(target.name, "-")
			address, connections := countingListener(t)
			w := process.NewWorld(t)
			forged := w.SignedNotification("N1").Forged()
			env := append(w.With("WXPAY_BASE_URL=http://"+address, "REFUND_OPERATORS=", "LEDGER_URL="+map[string]string{
				"cloudbase": "cloudbase:env-test?endpoint=http://" + address,
				"mysql":     "mysql://wxrefund:x@" + address + "/wxrefund",
				"postgres":  "postgres://wxrefund:x@" + address + "/wxrefund",
				"dynamodb":  "dynamodb://wxrefund?region=ap-east-1&endpoint=http://" + address,
			}[database]), lent...)
			event := process.RefundEvent(process.Order{OutTradeNo: "order-1", Total: 100}, "R1", 60)

			notify := platforms[platform](t, unzip(t, archive(t, target.name, "notify")), env)
			if status, body := notify.deliver(forged); status != 401 {
				t.Errorf("a forged notification: got %d %s, want 401", status, body)
			}
			notify.stop()
			dispatcher := platforms[platform](t, unzip(t, archive(t, target.name, "wxpayFunctions")), env)
			if status, body := dispatcher.deliver(process.Notification{Header: http.Header{}, Body: []byte(event)}); status != 200 || body != denied {
				t.Errorf("a refund by HTTP: got %d %s, want 200 %s", status, body, denied)
			}
			if n := connections(); n != 0 {
				t.Errorf("got %d connections, want none", n)
			}
			// And one would be seen.
			dispatcher.invoke(event)
			if n := connections(); n == 0 {
				t.Error("a server's refund: got no connection, so this test proves nothing")
			}
			dispatcher.stop()
		})
	}
}

// countingListener listens, hangs up on everybody, and counts.
func countingListener(t *testing.T) (address string, connections func() int) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	var n atomic.Int64
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			n.Add(1)
			c.Close()
		}
	}()
	return l.Addr().String(), func() int { return int(n.Load()) }
}

// The table that the template makes is one that the ledger takes for its own.
func TestTemplateTableIsALedger(t *testing.T) {
	env := freshLedger(t, "dynamodb")
	store, err := ledger.Open(t.Context(), env+"&create=true") // which looks at the table that is there
	if err != nil {
		t.Fatal(err)
	}
	store.Close()
}

// What go run ./functions/package -for cloudbase has made runs as CloudBase runs it, with the
// variables that cloudbaserc.json says and no other: event functions are invoked, notify
// serves HTTP and believes nobody who signs nothing.
func TestCloudBaseFolderRuns(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, ".env")
	env := merchantEnv(t, "apiv3")
	put(t, file, quoted(env))
	table, err := command("-for", "cloudbase", "-out", dir, "-env", file)
	if err != nil {
		t.Fatal(err)
	}
	if got := strings.Count(table, "scf-cloudbase ") + strings.Count(table, "web-cloudbase "); got != 5 {
		t.Errorf("%d packages were built, want five:\n%s", got, table)
	}
	for _, secret := range secrets() {
		if v := env[secret]; len(v) > 5 && secret != "LEDGER_URL" && strings.Contains(table, v) {
			t.Errorf("it shows %s", secret)
		}
	}
	b, err := os.ReadFile(filepath.Join(dir, "cloudbase", "cloudbaserc.json"))
	if err != nil {
		t.Fatal(err)
	}
	var c cloudBaseConfig
	process.Decode(t, b, &c)
	w := process.NewWorld(t)
	for _, f := range c.Functions {
		t.Run(f.Name, func(t *testing.T) {
			zip := filepath.Join(dir, "cloudbase", f.Dir+".zip")
			if d := cmp.Diff(content(t, filepath.Join(dir, "cloudbase", f.Dir)), zipped(t, zip)); d != "" {
				t.Error("the folder and the zip differ")
			}
			var env []string
			for name, value := range f.EnvVariables {
				env = append(env, name+"="+value)
			}
			// The ledger alone is another: nobody answers there.
			env = append(env, "LEDGER_URL=cloudbase:env-1?endpoint=http://127.0.0.1:1")
			if f.Type == "HTTP" {
				notify := startedWeb(t, unzip(t, zip), env)
				defer notify.stop()
				if status, body := notify.deliver(process.Notification{Header: http.Header{}, Body: []byte("{}")}); status != 401 {
					t.Errorf("a bare POST: got %d %s, want 401", status, body)
				}
				if status, body := notify.deliver(w.SignedNotification("N1")); status != 401 { // of another WeChat Pay
					t.Errorf("a notification of somebody else's: got %d %s, want 401", status, body)
				}
				return
			}
			got := process.Parse(t, startedSCF(t, unzip(t, zip), env).invoke(`{"type":"wxpay_refund_query","out_refund_no":"none"}`))
			if f.Name == "wxpayFunctions" && got.Code != 503 {
				t.Errorf("a query, with no ledger to be reached: got %+v, want 503", got)
			}
			if got.Code == 500 {
				t.Errorf("it does not work with what is set: %+v", got)
			}
		})
	}
}
