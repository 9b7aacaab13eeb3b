package functions_test

import (
	"encoding/base64"
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

	scfRequest struct {
		Payload       []byte
		RequestId     string
		Deadline      scfDeadline
		Namespace     string
		FunctionName  string
		TimeLimitInMs int32
		Environment   string
	}

	scfResponse struct {
		Payload []byte
		Error   *struct {
			Message, Type string
			ShouldExit    bool
		}
	}
)

// An scf stands in for SCF: it runs one function and invokes it.
type scf struct {
	t       testing.TB
	process *process
	client  *rpc.Client
}

func startSCF(t testing.TB, name string, env []string) *scf {
	t.Helper()
	port := freePort(t)
	return dialSCF(t, start(t, name, append(env, "_LAMBDA_SERVER_PORT="+port, "TENCENTCLOUD_RUNENV=SCF")), port)
}

// dialSCF waits for a function that was started on that port.
func dialSCF(t testing.TB, p *process, port string) *scf {
	t.Helper()
	f := &scf{t: t, process: p}
	await(t, "the function", func() bool {
		var err error
		f.client, err = rpc.Dial("tcp", "127.0.0.1:"+port)
		return err == nil || !p.running()
	})
	if f.client == nil {
		t.Fatalf("%s has ended:\n%s", p.cmd, p.stderr)
	}
	t.Cleanup(func() { f.client.Close() })
	if err := f.client.Call("Function.Ping", struct{}{}, &struct{}{}); err != nil {
		t.Fatalf("Function.Ping: %v", err)
	}
	return f
}

// An invocation is one call of a function on SCF.
type invocation struct {
	event       string
	environment map[string]string // what the platform injects
	left        time.Duration     // until the deadline; zero: ten seconds
	id          string
}

// request is the invocation as the platform sends it.
func (i invocation) request() scfRequest {
	if i.left == 0 {
		i.left = 10 * time.Second
	}
	environment := map[string]string{"TCB_ENV": "env-test", "SCF_NAMESPACE": "env-test"}
	maps.Copy(environment, i.environment)
	b, err := json.Marshal(environment)
	if err != nil {
		panic(err) // texts always encode
	}
	end := time.Now().Add(i.left)
	return scfRequest{
		Payload: []byte(i.event), RequestId: i.id, Deadline: scfDeadline{end.Unix(), int64(end.Nanosecond())},
		Namespace: "env-test", FunctionName: "wxpayFunctions", TimeLimitInMs: int32(i.left.Milliseconds()), Environment: string(b),
	}
}

// send invokes the function; a platform error is an error.
func (f *scf) send(i invocation) ([]byte, error) {
	var res scfResponse
	if err := f.client.Call("Function.Invoke", i.request(), &res); err != nil {
		return nil, err
	}
	if res.Error != nil {
		return nil, fmt.Errorf("platform error %s: %s", res.Error.Type, res.Error.Message)
	}
	return res.Payload, nil
}

func (f *scf) invoke(i invocation) []byte {
	f.t.Helper()
	b, err := f.send(i)
	if err != nil {
		f.t.Fatal(err)
	}
	return b
}

// dispatch invokes the dispatcher as a server.
func (f *scf) dispatch(event string) reply {
	f.t.Helper()
	return parse(f.t, f.invoke(invocation{event: event}))
}

// transcript shows one invocation and its reply.
func (i invocation) transcript(reply []byte) string {
	r := i.request()
	shown := map[string]any{
		"Payload": json.RawMessage(r.Payload), "RequestId": r.RequestId, "Deadline": r.Deadline,
		"Namespace": r.Namespace, "FunctionName": r.FunctionName, "TimeLimitInMs": r.TimeLimitInMs, "Environment": r.Environment,
	}
	b, err := json.Marshal(shown)
	if err != nil {
		panic(err) // the payload was accepted, so it is JSON
	}
	return fmt.Sprintf("Function.Invoke\n> %s\n< %s", b, reply)
}

const operator = "oOperator"

// user is what the platform injects for a user of the mini-program.
func user(openid, source string) map[string]string {
	return map[string]string{
		"WX_OPENID": openid, "WX_APPID": "wx8888888888888888", "TCB_SOURCE": source,
		"WX_CONTEXT_KEYS": "WX_OPENID,WX_APPID", "TCB_CONTEXT_KEYS": "TCB_ENV,TCB_SOURCE",
	}
}

// A lambda stands in for AWS Lambda: it runs one function and invokes it.
type lambda struct {
	t       testing.TB
	process *process
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

// arn is the function's name on Lambda.
const arn = "arn:aws:lambda:ap-east-1:123456789012:function:refund"

func startLambda(t testing.TB, name string, env []string) *lambda {
	t.Helper()
	return runLambda(t, func(api string) *process { return start(t, name, append(env, api)) })
}

// runLambda gives whoever starts a function the variable that names the runtime's API.
func runLambda(t testing.TB, start func(api string) *process) *lambda {
	t.Helper()
	f := &lambda{t: t, next: make(chan lambdaEvent), answers: make(chan lambdaAnswer, 1)}
	const root = "/2018-06-01/runtime/invocation/"
	mux := http.NewServeMux()
	mux.HandleFunc("GET "+root+"next", func(w http.ResponseWriter, r *http.Request) {
		select {
		case e := <-f.next:
			w.Header().Set("Lambda-Runtime-Aws-Request-Id", e.id)
			w.Header().Set("Lambda-Runtime-Deadline-Ms", fmt.Sprint(e.deadline.UnixMilli()))
			w.Header().Set("Lambda-Runtime-Invoked-Function-Arn", arn)
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
	f.process = start("AWS_LAMBDA_RUNTIME_API=" + strings.TrimPrefix(api.URL, "http://"))
	return f
}

// invoke invokes the function; an error of the runtime is fatal.
func (f *lambda) invoke(id, event string, left time.Duration) []byte {
	f.t.Helper()
	select {
	case f.next <- lambdaEvent{id, event, time.Now().Add(left)}:
	case <-f.process.ended:
		f.t.Fatalf("%s has ended:\n%s", f.process.cmd, f.process.stderr)
	case <-time.After(20 * time.Second):
		f.t.Fatal("nobody asks for the next invocation")
	}
	select {
	case a := <-f.answers:
		if a.id != id || a.verb != "response" {
			f.t.Fatalf("got %s of %s: %s; want a response to %s", a.verb, a.id, a.body, id)
		}
		return a.body
	case <-time.After(left + 10*time.Second):
		f.t.Fatal("no answer")
	}
	return nil
}

// A plain stands in for whatever runs containers: it runs one function.
type plain struct {
	t       testing.TB
	process *process
	url     string
}

func startPlain(t testing.TB, name string, env []string) *plain {
	t.Helper()
	return awaitPlain(t, start(t, name, append(env, "PORT=0")))
}

// awaitPlain waits for a function that was started with PORT=0.
func awaitPlain(t testing.TB, p *process) *plain {
	t.Helper()
	address := regexp.MustCompile(`"address":"[^"]*:(\d+)"`)
	f := &plain{t: t, process: p}
	await(t, "the address", func() bool {
		if m := address.FindStringSubmatch(p.stderr.String()); m != nil {
			f.url = "http://127.0.0.1:" + m[1]
		}
		return f.url != "" || !p.running()
	})
	return f
}

// post sends a request with pairs of headers.
func (f *plain) post(body string, header ...string) (int, []byte) {
	f.t.Helper()
	h := http.Header{}
	for i := 0; i < len(header); i += 2 {
		h.Add(header[i], header[i+1])
	}
	return f.deliver(notification{h, []byte(body)})
}

// deliver posts a notification.
func (f *plain) deliver(l notification) (int, []byte) {
	f.t.Helper()
	r, err := http.NewRequestWithContext(f.t.Context(), "POST", f.url+"/any/path", strings.NewReader(string(l.body)))
	if err != nil {
		f.t.Fatal(err)
	}
	r.Header = l.header.Clone()
	status, _, body := send(f.t, &http.Client{Timeout: 40 * time.Second}, r)
	return status, body
}

// A gateway packs an HTTP request up as an event.
type gateway struct {
	name string
	pack func(l notification) map[string]any
}

// gateways are those of CloudBase and SCF, and those of AWS.
var (
	tencentGateways = []gateway{
		{"CloudBase HTTP access", func(l notification) map[string]any {
			return map[string]any{
				"path": "/refund", "httpMethod": "POST", "headers": lower(l.header), "queryStringParameters": map[string]string{},
				"requestContext": map[string]any{"requestId": "r0", "envId": "env-test", "appId": 123456789, "uin": 123456789},
				"body":           string(l.body), "isBase64Encoded": false,
			}
		}},
		{"SCF function URL", func(l notification) map[string]any {
			return map[string]any{"path": "/", "httpMethod": "POST", "headers": lower(l.header), "queryString": map[string]string{}, "body": string(l.body)}
		}},
	}
	awsGateways = []gateway{
		{"Lambda function URL", func(l notification) map[string]any {
			return map[string]any{
				"version": "2.0", "routeKey": "$default", "rawPath": "/refund", "rawQueryString": "", "headers": lower(l.header),
				"requestContext": map[string]any{"accountId": "anonymous", "http": map[string]string{"method": "POST", "path": "/refund"}},
				"body":           base64.StdEncoding.EncodeToString(l.body), "isBase64Encoded": true,
			}
		}},
		{"API Gateway v1", func(l notification) map[string]any {
			return map[string]any{
				"version": "1.0", "path": "/refund", "httpMethod": "POST", "headers": lower(l.header),
				"requestContext": map[string]any{"accountId": "1", "httpMethod": "POST"}, "body": string(l.body), "isBase64Encoded": false,
			}
		}},
	}
)

// lower spells the names of headers as gateways do.
func lower(h http.Header) map[string]string {
	out := map[string]string{}
	for name := range h {
		out[strings.ToLower(name)] = h.Get(name)
	}
	return out
}

func (g gateway) event(l notification) string {
	b, err := json.Marshal(g.pack(l))
	if err != nil {
		panic(err) // texts always encode
	}
	return string(b)
}

// unpack reads the answer for a gateway.
func unpack(t testing.TB, reply []byte) (status int, body string) {
	t.Helper()
	var a struct {
		IsBase64Encoded *bool
		StatusCode      int
		Headers         map[string]string
		Body            string
	}
	decode(t, reply, &a)
	if a.IsBase64Encoded == nil || *a.IsBase64Encoded || a.Headers == nil {
		t.Fatal(errors.New("not the shape of an HTTP answer: " + string(reply)))
	}
	return a.StatusCode, a.Body
}
