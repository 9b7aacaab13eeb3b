package process

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/rpc"
	"regexp"
	"strings"
	"testing"
	"time"
)

// What SCF sends and gets, as gob sees it: by the names of the fields.
type (
	scfDeadline struct{ Seconds, Nanos int64 }

	// An SCFRequest is one invocation.
	SCFRequest struct {
		Payload       []byte
		RequestId     string
		Deadline      scfDeadline
		Namespace     string
		FunctionName  string
		TimeLimitInMs int32
		Environment   string
	}

	// An SCFResponse is what comes of it.
	SCFResponse struct {
		Payload []byte
		Error   *struct {
			Message, Type string
			ShouldExit    bool
		}
	}
)

// An SCF stands in for SCF: it runs one function and invokes it.
type SCF struct {
	t       testing.TB
	Process *Process
	client  *rpc.Client
	in      string // the environment that the settings name
}

// StartSCF starts a function on SCF.
func StartSCF(t testing.TB, name string, env []string) *SCF {
	t.Helper()
	port := FreePort(t)
	return DialSCF(t, Start(t, name, append(env, "_LAMBDA_SERVER_PORT="+port, "TENCENTCLOUD_RUNENV=SCF")), port)
}

// DialSCF waits for a function that was started on that port.
func DialSCF(t testing.TB, p *Process, port string) *SCF {
	t.Helper()
	f := &SCF{t: t, Process: p}
	for _, v := range p.Cmd.Env {
		if id, ok := strings.CutPrefix(v, "TCB_ENV="); ok {
			f.in = id
		}
	}
	Await(t, "the function", func() bool {
		var err error
		f.client, err = rpc.Dial("tcp", "127.0.0.1:"+port)
		return err == nil || !p.Running()
	})
	if f.client == nil {
		t.Fatalf("%s has ended:\n%s", p.Cmd, p.Stderr)
	}
	t.Cleanup(func() { f.client.Close() })
	if err := f.client.Call("Function.Ping", struct{}{}, &struct{}{}); err != nil {
		t.Fatalf("Function.Ping: %v", err)
	}
	return f
}

// An Invocation is one call of a function on SCF.
type Invocation struct {
	Event       string
	Environment map[string]string // what the platform injects
	Left        time.Duration     // until the deadline; zero: ten seconds
	ID          string
	In          string // the environment; "": that of the function's settings, or any
}

// Request is the invocation as the platform sends it.
func (i Invocation) Request() SCFRequest {
	if i.Left == 0 {
		i.Left = 10 * time.Second
	}
	in := cmp.Or(i.In, "env-test")
	environment := map[string]string{"TCB_ENV": in, "SCF_NAMESPACE": in}
	maps.Copy(environment, i.Environment)
	b, err := json.Marshal(environment)
	if err != nil {
		panic(err) // texts always encode
	}
	end := time.Now().Add(i.Left)
	return SCFRequest{
		Payload: []byte(i.Event), RequestId: i.ID, Deadline: scfDeadline{end.Unix(), int64(end.Nanosecond())},
		Namespace: in, FunctionName: "wxpayFunctions", TimeLimitInMs: int32(i.Left.Milliseconds()), Environment: string(b),
	}
}

// Send invokes the function; a platform error is an error.
func (f *SCF) Send(i Invocation) ([]byte, error) {
	var res SCFResponse
	i.In = cmp.Or(i.In, f.in)
	if err := f.client.Call("Function.Invoke", i.Request(), &res); err != nil {
		return nil, err
	}
	if res.Error != nil {
		return nil, fmt.Errorf("platform error %s: %s", res.Error.Type, res.Error.Message)
	}
	return res.Payload, nil
}

// Invoke does so, and fails the test on an error.
func (f *SCF) Invoke(i Invocation) []byte {
	f.t.Helper()
	b, err := f.Send(i)
	if err != nil {
		f.t.Fatal(err)
	}
	return b
}

// Dispatch invokes the dispatcher as a server.
func (f *SCF) Dispatch(event string) Reply {
	f.t.Helper()
	return Parse(f.t, f.Invoke(Invocation{Event: event}))
}

// Operator is the openid of the one user who may refund.
const Operator = "oOperator"

// User is what the platform injects for a user of the mini-program.
func User(openid, source string) map[string]string {
	return map[string]string{
		"WX_OPENID": openid, "WX_APPID": "wx8888888888888888", "TCB_SOURCE": source,
		"WX_CONTEXT_KEYS": "WX_OPENID,WX_APPID", "TCB_CONTEXT_KEYS": "TCB_ENV,TCB_SOURCE",
	}
}

// A Lambda stands in for AWS Lambda: it runs one function and invokes it.
type Lambda struct {
	t       testing.TB
	Process *Process
	next    chan lambdaEvent
	answers chan lambdaAnswer
}

type lambdaEvent struct {
	id, payload string
	deadline    time.Time
}

type lambdaAnswer struct {
	id, verb string // verb: response or error
	body     []byte
}

// ARN is the function's name on Lambda.
const ARN = "arn:aws:lambda:ap-east-1:123456789012:function:refund"

// StartLambda starts a function on Lambda.
func StartLambda(t testing.TB, name string, env []string) *Lambda {
	t.Helper()
	return RunLambda(t, func(api string) *Process { return Start(t, name, append(env, api)) })
}

// RunLambda gives whoever starts a function the variable that names the runtime's API.
func RunLambda(t testing.TB, start func(api string) *Process) *Lambda {
	t.Helper()
	f := &Lambda{t: t, next: make(chan lambdaEvent), answers: make(chan lambdaAnswer, 1)}
	const root = "/2018-06-01/runtime/invocation/"
	mux := http.NewServeMux()
	mux.HandleFunc("GET "+root+"next", func(w http.ResponseWriter, r *http.Request) {
		select {
		case e := <-f.next:
			w.Header().Set("Lambda-Runtime-Aws-Request-Id", e.id)
			w.Header().Set("Lambda-Runtime-Deadline-Ms", fmt.Sprint(e.deadline.UnixMilli()))
			w.Header().Set("Lambda-Runtime-Invoked-Function-Arn", ARN)
			_, _ = io.WriteString(w, e.payload)
		case <-r.Context().Done():
		}
	})
	mux.HandleFunc("POST "+root+"{id}/{verb}", func(w http.ResponseWriter, r *http.Request) {
		b, _ := io.ReadAll(r.Body)
		w.WriteHeader(http.StatusAccepted)
		f.answers <- lambdaAnswer{r.PathValue("id"), r.PathValue("verb"), b}
	})
	api := httptest.NewServer(mux)
	t.Cleanup(api.Close)
	f.Process = start("AWS_LAMBDA_RUNTIME_API=" + strings.TrimPrefix(api.URL, "http://"))
	return f
}

// Invoke invokes the function; an error of the runtime is fatal.
func (f *Lambda) Invoke(id, event string, left time.Duration) []byte {
	f.t.Helper()
	answer, err := f.send(id, event, left)
	if err != nil {
		f.t.Fatalf("%s: %v\n%s", f.Process.Cmd, err, f.Process.Stderr)
	}
	return answer
}

// Try invokes a function that may die of it.
func (f *Lambda) Try(event string, left time.Duration) (string, error) {
	answer, err := f.send("r1", event, left)
	return string(answer), err
}

func (f *Lambda) send(id, event string, left time.Duration) ([]byte, error) {
	select {
	case f.next <- lambdaEvent{id, event, time.Now().Add(left)}:
	case <-f.Process.Ended:
		return nil, fmt.Errorf("%v before it was called", f.Process.Cmd.ProcessState)
	case <-time.After(20 * time.Second):
		return nil, errors.New("nobody asks for the next invocation")
	}
	select {
	case a := <-f.answers:
		if a.id != id || a.verb != "response" {
			return nil, fmt.Errorf("got %s of %s: %s; want a response to %s", a.verb, a.id, a.body, id)
		}
		return a.body, nil
	case <-f.Process.Ended:
		return nil, fmt.Errorf("%v", f.Process.Cmd.ProcessState)
	case <-time.After(left + 10*time.Second):
		return nil, errors.New("no answer")
	}
}

// Ask invokes the dispatcher.
func (f *Lambda) Ask(event string) Reply {
	f.t.Helper()
	return Parse(f.t, f.Invoke("r1", event, 10*time.Second))
}

// A Plain stands in for whatever runs containers: it runs one function.
type Plain struct {
	t       testing.TB
	Process *Process
	URL     string
}

// StartPlain starts a function in a container.
func StartPlain(t testing.TB, name string, env []string) *Plain {
	t.Helper()
	return AwaitPlain(t, Start(t, name, append(env, "PORT=0")))
}

// AwaitPlain waits for a function that was started with PORT=0.
func AwaitPlain(t testing.TB, p *Process) *Plain {
	t.Helper()
	address := regexp.MustCompile(`"address":"[^"]*:(\d+)"`)
	f := &Plain{t: t, Process: p}
	Await(t, "the address", func() bool {
		if m := address.FindStringSubmatch(p.Stderr.String()); m != nil {
			f.URL = "http://127.0.0.1:" + m[1]
		}
		return f.URL != "" || !p.Running()
	})
	return f
}

// Post sends a request with pairs of headers.
func (f *Plain) Post(body string, header ...string) (int, []byte) {
	f.t.Helper()
	h := http.Header{}
	for i := 0; i < len(header); i += 2 {
		h.Add(header[i], header[i+1])
	}
	return f.Deliver(Notification{h, []byte(body)})
}

// Deliver posts a notification.
func (f *Plain) Deliver(l Notification) (int, []byte) {
	f.t.Helper()
	status, body, err := f.send(l, 40*time.Second)
	if err != nil {
		f.t.Fatal(err)
	}
	return status, body
}

// Try posts a notification, and returns the status and the answer if there is one.
func (f *Plain) Try(l Notification) (string, error) {
	status, body, err := f.send(l, 10*time.Second)
	return fmt.Sprintf("%d %s", status, body), err
}

func (f *Plain) send(l Notification, patience time.Duration) (status int, body []byte, err error) {
	r, err := http.NewRequestWithContext(f.t.Context(), "POST", f.URL+"/any/path", bytes.NewReader(l.Body))
	if err != nil {
		return 0, nil, err
	}
	r.Header = l.Header.Clone()
	c := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: patience}
	res, err := c.Do(r)
	if err != nil {
		return 0, nil, err
	}
	defer res.Body.Close()
	body, err = io.ReadAll(res.Body)
	return res.StatusCode, body, err
}
