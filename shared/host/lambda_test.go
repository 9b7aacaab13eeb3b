//go:build lambda || !slim

package host

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"wxrefund/shared/refund"
)

// A runtimeAPI stands in for Lambda's.
type runtimeAPI struct {
	t       *testing.T
	server  *httptest.Server
	next    chan lambdaEvent
	answers chan lambdaAnswer
	count   int
}

type lambdaEvent struct {
	id, payload string
	deadline    time.Time
}

type lambdaAnswer struct {
	id, verb, body string // verb: response or error
}

func startLambda(t *testing.T, env ...string) (*runtimeAPI, *process) {
	t.Helper()
	api := &runtimeAPI{t: t, next: make(chan lambdaEvent), answers: make(chan lambdaAnswer, 1)}
	const root = "/2018-06-01/runtime/invocation/"
	mux := http.NewServeMux()
	mux.HandleFunc("GET "+root+"next", func(w http.ResponseWriter, r *http.Request) {
		select {
		case e := <-api.next:
			w.Header().Set("Lambda-Runtime-Aws-Request-Id", e.id)
			w.Header().Set("Lambda-Runtime-Deadline-Ms", fmt.Sprint(e.deadline.UnixMilli()))
			w.Header().Set("Lambda-Runtime-Invoked-Function-Arn", "arn:aws:lambda:us-east-1:123456789012:function:echo")
			_, _ = io.WriteString(w, e.payload)
		case <-r.Context().Done():
		}
	})
	mux.HandleFunc("POST "+root+"{id}/{verb}", func(w http.ResponseWriter, r *http.Request) {
		b, _ := io.ReadAll(r.Body)
		w.WriteHeader(http.StatusAccepted)
		api.answers <- lambdaAnswer{r.PathValue("id"), r.PathValue("verb"), string(b)}
	})
	api.server = httptest.NewServer(mux)
	t.Cleanup(api.server.Close)
	p := start(t, append(env, "PORT=1", "AWS_LAMBDA_RUNTIME_API="+strings.TrimPrefix(api.server.URL, "http://"))...)
	t.Cleanup(func() { p.stop() })
	return api, p
}

func (api *runtimeAPI) invoke(payload string, left time.Duration) string {
	api.t.Helper()
	api.count++
	e := lambdaEvent{fmt.Sprintf("lambda-%d", api.count), payload, time.Now().Add(left)}
	select {
	case api.next <- e:
	case <-time.After(10 * time.Second):
		api.t.Fatal("nobody asks for the next invocation")
	}
	select {
	case a := <-api.answers:
		if a.id != e.id || a.verb != "response" {
			api.t.Fatalf("got %+v, want a response to %s", a, e.id)
		}
		return a.body
	case <-time.After(10 * time.Second):
		api.t.Fatal("no answer")
	}
	return ""
}

func TestLambdaInvocations(t *testing.T) {
	api, p := startLambda(t, "ECHO_FAILURES=3", "TENCENTCLOUD_SECRETID=id0", "TENCENTCLOUD_SECRETKEY=key0", "TRUST_WX_HEADERS=true")
	url := string(recorded(t, "lambda-url"))

	p.records("not configured", 1) // before anybody asks
	got := parseEcho(t, []byte(api.invoke(`{}`, time.Second)))
	if got.Code != 500 || got.Message != "WXPAY_MCHID: missing; WXPAY_APIV3_KEY: want 32 bytes" {
		t.Errorf("not configured, asked by a server: got %+v", got)
	}
	if got := api.invoke(url, time.Second); got != `{"isBase64Encoded":false,"statusCode":503,"headers":{},"body":""}` {
		t.Errorf("not configured, asked by a stranger: got %s", got)
	}

	sent := time.Now()
	got = parseEcho(t, []byte(api.invoke(`{"type":"x","userInfo":{"openId":"oALICE"}}`, 10*time.Second)))
	got.ends(t, "direct", sent, 9500*time.Millisecond)
	if got.Kind != refund.Server || got.Builds != 4 || !strings.HasPrefix(got.RequestID, "lambda-") || got.Event != `{"type":"x","userInfo":{"openId":"oALICE"}}` {
		t.Errorf("direct: got %+v", got)
	}
	if !got.OK || got.SecretID != "id0" {
		t.Errorf("direct: got credentials %v of %q", got.OK, got.SecretID)
	}

	for _, name := range []string{"lambda-url", "apigw-v1"} {
		reply := api.invoke(string(recorded(t, name)), time.Second)
		status, body := unpacked(t, []byte(reply))
		if got := parseEcho(t, []byte(body)); status != 200 || !strings.Contains(reply, `"Content-Type":"application/json"`) || got.Kind != refund.Nobody {
			t.Errorf("%s: got %s", name, reply)
		}
	}

	if got := parseEcho(t, []byte(api.invoke(`{"do":"panic"}`, time.Second))); got.Code != 500 {
		t.Errorf("panic: got %+v", got)
	}
	if got := parseEcho(t, []byte(api.invoke(`{"do":"nonsense"}`, time.Second))); got.Code != 500 {
		t.Errorf("no JSON out: got %+v", got)
	}
	if got := parseEcho(t, []byte(api.invoke(`not JSON`, time.Second))); got.Kind != refund.Server || got.Event != "not JSON" {
		t.Errorf("no JSON in: got %+v", got)
	}
	sent = time.Now()
	got = parseEcho(t, []byte(api.invoke(`{"do":"wait"}`, 2*time.Second)))
	got.ends(t, "wait", sent, 1800*time.Millisecond)
	if !got.Expired {
		t.Errorf("wait: got %+v, want the context's end", got)
	}
	if r := p.records("panic", 1); len(r) != 1 || !strings.HasPrefix(fmt.Sprint(r[0]["request_id"]), "lambda-") {
		t.Errorf("records: %v", r)
	}
	if strings.Contains(p.logs.String(), "secret payload") {
		t.Errorf("the payload is in the log:\n%s", p.logs)
	}
	if r := p.records("not configured", 3); len(r) != 3 || r[0]["request_id"] != nil || r[1]["request_id"] != "lambda-1" {
		t.Errorf("records: %v", r)
	}
}
