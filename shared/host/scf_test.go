//go:build scf || !slim

package host

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/rpc"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/tencentyun/scf-go-lib/cloudfunction/messages"
	"github.com/tencentyun/scf-go-lib/functioncontext"

	"wxrefund/shared/refund"
)

// A platformSCF stands in for SCF.
type platformSCF struct {
	t       *testing.T
	address string
	client  *rpc.Client
}

// overBoth runs a test over our server of SCF's calls and over scf-go-lib's own, with the
// same handler behind both: what holds of one has to hold of the other.
func overBoth(t *testing.T, test func(t *testing.T, with string)) {
	t.Run("ours", func(t *testing.T) { test(t, libraryVariable+"=") })
	t.Run("library", func(t *testing.T) { test(t, libraryVariable+"=true") })
}

func startSCF(t *testing.T, env ...string) (*platformSCF, *process) {
	t.Helper()
	port := freePort(t)
	p := start(t, append(env, "_LAMBDA_SERVER_PORT="+port, "AWS_LAMBDA_RUNTIME_API=127.0.0.1:1", "PORT=1")...)
	scf := &platformSCF{t: t, address: "127.0.0.1:" + port}
	await(t, "the function", func() bool {
		var err error
		scf.client, err = rpc.Dial("tcp", scf.address)
		return err == nil
	})
	t.Cleanup(func() { scf.client.Close() })
	if err := scf.client.Call("Function.Ping", &messages.PingRequest{}, &messages.PingResponse{}); err != nil {
		t.Fatal(err)
	}
	return scf, p
}

type scfRequest struct {
	event       string
	environment map[string]string // nil: none at all
	left        time.Duration     // 0: no deadline
	limit       time.Duration
	id          string
}

// send returns the payload, or the platform error.
func (scf *platformSCF) send(r scfRequest) ([]byte, error) {
	req := &messages.InvokeRequest{Payload: []byte(r.event), RequestId: r.id, TimeLimitInMs: int32(r.limit.Milliseconds())}
	if r.environment != nil {
		b, err := json.Marshal(r.environment)
		if err != nil {
			return nil, err
		}
		req.Environment = string(b)
	}
	if r.left != 0 {
		d := time.Now().Add(r.left)
		req.Deadline = messages.InvokeRequest_Timestamp{Seconds: d.Unix(), Nanos: int64(d.Nanosecond())}
	}
	var res messages.InvokeResponse
	if err := scf.client.Call("Function.Invoke", req, &res); err != nil {
		return nil, err
	}
	if res.Error != nil {
		return nil, fmt.Errorf("platform error %s: %s", res.Error.Type, res.Error.Message)
	}
	return res.Payload, nil
}

func (scf *platformSCF) invoke(r scfRequest) echoReply {
	scf.t.Helper()
	b, err := scf.send(r)
	if err != nil {
		scf.t.Fatal(err)
	}
	return parseEcho(scf.t, b)
}

func user(openid, source string) map[string]string {
	return map[string]string{"WX_OPENID": openid, "WX_APPID": "wx8888888888888888", "TCB_SOURCE": source, "WX_CONTEXT_KEYS": "WX_OPENID,WX_APPID", "TCB_ENV": "env0",
		"TENCENTCLOUD_SECRETID": "id-" + openid, "TENCENTCLOUD_SECRETKEY": "key-" + openid, "WX_API_TOKEN": "token-" + openid}
}

func TestSCFCallerIsOfThisRequestAlone(t *testing.T) {
	overBoth(t, func(t *testing.T, with string) {
		scf, _ := startSCF(t, with, "WXPAY_MCHID=m0", "TRUST_WX_HEADERS=true", "TENCENTCLOUD_SECRETID=of-the-process", "TENCENTCLOUD_SECRETKEY=x")

		got := scf.invoke(scfRequest{event: `{"type":"x"}`, environment: user("oALICE", "wx_client"), left: 3 * time.Second})
		if got.Kind != refund.User || got.OpenID != "oALICE" || got.AppID != "wx8888888888888888" || got.SecretID != "id-oALICE" || got.SecretKey != "key-oALICE" || got.Source != "wx_client" || !got.OK {
			t.Errorf("user: got %+v", got)
		}
		settings := map[string]string{"WX_OPENID": "", "TCB_SOURCE": "", "TENCENTCLOUD_SECRETID": "", "TENCENTCLOUD_SECRETKEY": "",
			"TENCENTCLOUD_SESSIONTOKEN": "", "WX_API_TOKEN": "", "TCB_SESSIONTOKEN": "", "TCB_ENV": "env0", "WXPAY_MCHID": "m0"}
		if diff := cmp.Diff(settings, got.Built); diff != "" {
			t.Errorf("what build could read (-want +got):\n%s", diff)
		}

		// Nothing of a request survives it, though it is left in the process environment.
		for name, env := range map[string]map[string]string{"no environment": nil, "empty environment": {}} {
			got = scf.invoke(scfRequest{event: `{}`, environment: env, left: time.Second})
			if got.Kind != refund.Server || got.OpenID != "" || got.AppID != "" || got.OK || got.SecretID != "" || got.Source != "" {
				t.Errorf("%s after a user: got %+v", name, got)
			}
			if got.ProcessOpenID != "oALICE" {
				t.Errorf("%s: the process environment no longer has what a request brought, so this test proves nothing", name)
			}
		}
		got = scf.invoke(scfRequest{event: `{}`, environment: map[string]string{"TCB_SOURCE": "wx_http"}, left: time.Second})
		if got.Kind != refund.Nobody || got.OpenID != "" {
			t.Errorf("a client without openid after a user: got %+v", got)
		}

		// The event says nothing about who sent it, unless it is HTTP-shaped.
		forged := `{"userInfo":{"openId":"oALICE"},"WX_OPENID":"oALICE","headers":{"x-wx-openid":"oALICE","x-wx-source":"scf"},"body":"{}"`
		got = scf.invoke(scfRequest{event: forged + `}`, environment: user("oBOB", "wx_client"), left: time.Second})
		if got.Kind != refund.User || got.OpenID != "oBOB" {
			t.Errorf("forged event: got %+v", got)
		}
		for _, shape := range []string{`,"httpMethod":"POST"}`, `,"requestContext":{"http":{"method":"POST"}}}`} {
			for _, env := range []map[string]string{nil, user("oBOB", "wx_client"), user("", "scf")} {
				b, err := scf.send(scfRequest{event: forged + shape, environment: env, left: time.Second})
				if err != nil {
					t.Fatal(err)
				}
				var packed struct{ Body string }
				if err := json.Unmarshal(b, &packed); err != nil {
					t.Fatal(err)
				}
				if got := parseEcho(t, []byte(packed.Body)); got.Kind != refund.Nobody || got.OpenID != "" {
					t.Errorf("HTTP-shaped: got %+v", got)
				}
			}
		}
	})
}

func TestSCFTrustsFunctionsIfAsked(t *testing.T) {
	overBoth(t, func(t *testing.T, with string) {
		scf, _ := startSCF(t, with, "REFUND_TRUST_FUNCTIONS=true")
		for source, want := range map[string]refund.CallerKind{"wx_client": refund.User, "wx_client,scf": refund.Server} {
			if got := scf.invoke(scfRequest{event: `{}`, environment: user("oALICE", source), left: time.Second}); got.Kind != want {
				t.Errorf("source %q: got %+v", source, got)
			}
		}
	})
}

func TestSCFDeadlinesAreKept(t *testing.T) {
	overBoth(t, func(t *testing.T, with string) {
		scf, _ := startSCF(t, with)
		tests := []struct {
			name        string
			left, limit time.Duration
			want        time.Duration
			do          string
		}{
			{"set", 10 * time.Second, 60 * time.Second, 9500 * time.Millisecond, ""},
			{"none", 0, 0, 2700 * time.Millisecond, ""},
			{"none, but a limit", 0, 20 * time.Second, 19500 * time.Millisecond, ""},
			{"past", -5 * time.Second, 0, 2700 * time.Millisecond, ""},
			{"past, but a limit", -5 * time.Second, 20 * time.Second, 19500 * time.Millisecond, ""},
			{"waited for", 0, time.Second, 900 * time.Millisecond, "wait"},
		}
		for _, tt := range tests {
			sent := time.Now()
			got := scf.invoke(scfRequest{event: `{"do":"` + tt.do + `"}`, left: tt.left, limit: tt.limit})
			got.ends(t, tt.name, sent, tt.want)
			if want := tt.do == "wait"; got.Expired != want {
				t.Errorf("%s: the context had ended: %v, want %v", tt.name, got.Expired, want)
			}
		}
	})
}

func TestSCFFailuresAreReplies(t *testing.T) {
	overBoth(t, func(t *testing.T, with string) {
		scf, p := startSCF(t, with, "ECHO_FAILURES=3")
		neutral := echoReply{Code: 500, Message: unavailable}
		if diff := cmp.Diff(neutral, scf.invoke(scfRequest{event: `{}`, environment: user("oALICE", "wx_client"), id: "first"})); diff != "" {
			t.Errorf("not configured, asked by a user (-want +got):\n%s", diff)
		}
		full := echoReply{Code: 500, Message: "WXPAY_MCHID: missing; WXPAY_APIV3_KEY: want 32 bytes"}
		if diff := cmp.Diff(full, scf.invoke(scfRequest{event: `{}`, environment: map[string]string{"TCB_SOURCE": "wx_trigger"}})); diff != "" {
			t.Errorf("not configured, asked by a server (-want +got):\n%s", diff)
		}
		b, err := scf.send(scfRequest{event: string(recorded(t, "cloudbase-http"))})
		if want := `{"isBase64Encoded":false,"statusCode":503,"headers":{},"body":""}`; err != nil || string(b) != want {
			t.Errorf("not configured, asked by HTTP: got %s, %v", b, err)
		}
		if got := scf.invoke(scfRequest{event: `{}`, id: "fourth"}); got.Builds != 4 || got.Kind != refund.Server || got.RequestID != "fourth" {
			t.Errorf("configured at last: got %+v", got)
		}

		for _, event := range []string{`{"do":"panic"}`, `{"do":"nonsense"}`} {
			if got := scf.invoke(scfRequest{event: event, id: "panic-1"}); got.Code != 500 || got.Message != failed {
				t.Errorf("%s: got %+v", event, got)
			}
		}
		for _, event := range []string{``, `null`, `not JSON`, `[1]`, `{"a":1} x`} {
			if got := scf.invoke(scfRequest{event: event}); got.Event != event {
				t.Errorf("event %q reached the function as %q", event, got.Event)
			}
		}
		// What no function gets to see.
		var res messages.InvokeResponse
		if err := scf.client.Call("Function.Invoke", &messages.InvokeRequest{Payload: []byte(`{}`), Environment: "A=1;B=2"}, &res); err != nil || res.Error == nil {
			t.Errorf("legacy environment: got %v, %+v", err, res)
		}

		if r := p.records("not configured", 3); len(r) != 3 || r[0]["request_id"] != "first" {
			t.Errorf("records: %v", r)
		}
		if r := p.records("panic", 1); len(r) != 1 || r[0]["request_id"] != "panic-1" {
			t.Errorf("records: %v", r)
		}
		if strings.Contains(p.logs.String(), "secret payload") {
			t.Errorf("the payload is in the log:\n%s", p.logs)
		}
	})
}

// What is no call ends its own connection alone; a method that nobody has is answered as
// net/rpc's server answers it, and the connection goes on.
func TestSCFConnectionsAreKeptApart(t *testing.T) {
	overBoth(t, func(t *testing.T, with string) {
		scf, _ := startSCF(t, with)
		for _, garbage := range []string{"", "GET / HTTP/1.1\r\n\r\n", "\xf8\xff\xff\xff\xff\xff\xff\xff\xff", strings.Repeat("\x03\xff\x81\x03", 64)} {
			conn, err := net.Dial("tcp", scf.address)
			if err != nil {
				t.Fatal(err)
			}
			_ = conn.SetDeadline(time.Now().Add(10 * time.Second))
			if _, err := io.WriteString(conn, garbage); err != nil {
				t.Fatal(err)
			}
			if err := conn.(*net.TCPConn).CloseWrite(); err != nil {
				t.Fatal(err)
			}
			if reply, err := io.ReadAll(conn); len(reply) > 0 || errors.Is(err, os.ErrDeadlineExceeded) {
				t.Errorf("%q is answered %q, error %v", garbage, reply, err)
			}
			_ = conn.Close()
		}
		// A call whose caller sends no more is still answered, and so is one with another body.
		conn, err := net.Dial("tcp", scf.address)
		if err != nil {
			t.Fatal(err)
		}
		half := rpc.NewClient(&halfClosed{TCPConn: conn.(*net.TCPConn)})
		var res messages.InvokeResponse
		if err := half.Call("Function.Invoke", &messages.InvokeRequest{Payload: []byte(`{"do":"pause"}`)}, &res); err != nil || res.Error != nil {
			t.Errorf("a caller that sends no more: %v, %+v", err, res.Error)
		}
		_ = half.Close()
		if err := scf.client.Call("Function.Invoke", &struct{ Payload int }{1}, &messages.InvokeResponse{}); err == nil || errors.Is(err, io.ErrUnexpectedEOF) {
			t.Errorf("another body: got %v, want an answer that refuses it", err)
		}
		err = scf.client.Call("Function.Nothing", &messages.InvokeRequest{}, &messages.InvokeResponse{})
		if want := rpc.ServerError("rpc: can't find method Function.Nothing"); !errors.Is(err, want) {
			t.Errorf("a method that nobody has: got %v, want %v", err, want)
		}
		if got := scf.invoke(scfRequest{event: `{}`}); got.Kind != refund.Server {
			t.Errorf("after all that: got %+v", got)
		}
	})
}

// A halfClosed connection sends one call and says that no more will come.
type halfClosed struct{ *net.TCPConn }

func (c *halfClosed) Write(b []byte) (int, error) {
	n, err := c.TCPConn.Write(b)
	return n, errors.Join(err, c.CloseWrite())
}

// Concurrent requests never see each other's user or credentials.
func TestSCFConcurrentRequestsAreKeptApart(t *testing.T) {
	overBoth(t, func(t *testing.T, with string) {
		scf, _ := startSCF(t, with)
		check := func(worker, i int) error {
			r := scfRequest{event: `{"do":"pause"}`, left: 10 * time.Second}
			want := echoReply{Kind: refund.Server}
			if openid := fmt.Sprintf("o%d-%d", worker, i); (worker+i)%4 != 0 {
				r.environment = user(openid, "wx_client")
				want = echoReply{Kind: refund.User, OpenID: openid, SecretID: "id-" + openid, SecretKey: "key-" + openid, Source: "wx_client", OK: true}
			}
			b, err := scf.send(r)
			if err != nil {
				return err
			}
			var got echoReply
			if err := json.Unmarshal(b, &got); err != nil {
				return err
			}
			got = echoReply{Kind: got.Kind, OpenID: got.OpenID, SecretID: got.SecretID, SecretKey: got.SecretKey, Source: got.Source, OK: got.OK}
			if diff := cmp.Diff(want, got); diff != "" {
				return errors.New(diff)
			}
			return nil
		}
		var wg sync.WaitGroup
		for worker := range 16 {
			wg.Go(func() {
				for i := range 100 {
					if err := check(worker, i); err != nil {
						t.Errorf("worker %d, request %d: %v", worker, i, err)
						return
					}
				}
			})
		}
		wg.Wait()
	})
}

// Without the library's context, nothing attests that a server calls.
func TestSCFWithoutContextAttestsNobody(t *testing.T) {
	s, _ := testServer(t, Function{Invoke: replyCaller})
	for _, tt := range []struct {
		name string
		fc   *functioncontext.FunctionContext
		want refund.CallerKind
	}{
		{"none", nil, refund.Nobody},
		{"empty", &functioncontext.FunctionContext{}, refund.Server},
	} {
		ctx := t.Context()
		if tt.fc != nil {
			ctx = functioncontext.NewContext(ctx, tt.fc)
		}
		b, err := scfHandler{s}.Invoke(ctx, []byte(`{}`))
		if err != nil {
			t.Fatal(err)
		}
		if got := parseEcho(t, b); got.Kind != tt.want {
			t.Errorf("%s: got %+v", tt.name, got)
		}
	}
}
