package host

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"flag"
	"io"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/aws/aws-lambda-go/events"
	"github.com/google/go-cmp/cmp"

	"wxrefund/shared/refund"
)

var update = flag.Bool("update", false, "rewrite the golden replies")

const notification = `{"id":"EV-1","create_time":"2026-01-02T03:04:05+08:00","resource_type":"encrypt-resource","event_type":"REFUND.SUCCESS","summary":"退款成功","resource":{"algorithm":"AEAD_AES_256_GCM","ciphertext":"q83v","nonce":"n0n0n0n0n0n0","associated_data":"refund","original_type":"refund"}}`

func recorded(t testing.TB, name string) []byte {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("testdata", "events", name+".json"))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// Each gateway's event becomes the request that the client sent, and the answer
// goes back in that gateway's shape.
func TestGatewayEventsBecomeTheRequestsThatWereSent(t *testing.T) {
	signed := http.Header{
		"Wechatpay-Timestamp": {"1767294245"}, "Wechatpay-Nonce": {"nonce0"},
		"Wechatpay-Signature": {"c2ln+/=="}, "Wechatpay-Serial": {"PUB_KEY_ID_0"},
		"Content-Type": {"application/json"},
	}
	with := func(h http.Header, more http.Header) http.Header {
		all := h.Clone()
		maps.Copy(all, more)
		return all
	}
	tests := []struct {
		name, method, uri, host, body string
		header                        http.Header
	}{
		{"cloudbase-http", "POST", "/refund?a=1&b=x+y", "env-id.service.tcloudbase.com", notification, with(signed, http.Header{
			"Connection": {"close"}, "User-Agent": {"Mozilla/4.0"}, "X-Forwarded-For": {"203.0.113.7", "10.0.0.1"}})},
		{"cloudbase-http-xml", "POST", "/", "env-id.service.tcloudbase.com",
			"<xml><return_code>SUCCESS</return_code><req_info><![CDATA[6vGQ==]]></req_info></xml>\r\n", http.Header{"Content-Type": {"text/xml"}}},
		{"cloudbase-http-binary", "PUT", "/", "env-id.service.tcloudbase.com", "\x00\xff\xfe\n", http.Header{}},
		{"scf-url", "POST", "/?a=1&b=2", "", `{"test":"hello world"}`, http.Header{
			"Accept": {"*/*"}, "Accept-Encoding": {"gzip, deflate, br"}, "Content-Length": {"22"}, "X-Scf-Remote-Addr": {"203.0.113.7"}}},
		{"tencent-apigw", "POST", "/test/value?bare=true&bob=alice&bob=carol&foo=bar", "service-3ei3tii4-251000691.ap-guangzhou.apigateway.myqloud.com",
			`{"test":"body"}`, http.Header{"Accept-Language": {"en-US,en,cn"}, "Wechatpay-Nonce": {"nonce0"}}},
		{"lambda-url", "POST", "/my/p%2Fath?parameter1=value1&parameter1=value2&parameter2=value", "urlid.lambda-url.us-west-2.on.aws",
			notification, with(signed, http.Header{"Cookie": {"cookie1=a; cookie2=b"}, "X-Forwarded-For": {"203.0.113.7"}})},
		{"apigw-v2", "GET", "/", "id.execute-api.us-east-1.amazonaws.com", "", http.Header{"Header1": {"value1"}, "Header2": {"value1,value2"}}},
		{"apigw-v1", "POST", "/hello/world?name=me&name=you", "gy4.execute-api.us-east-1.amazonaws.com",
			"{\r\n\t\"a\": 1\r\n}", http.Header{"Headername": {"first", "second"}}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			served := false
			s, _ := testServer(t, Function{HTTP: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				served = true
				body, err := io.ReadAll(r.Body)
				if err != nil {
					t.Error(err)
				}
				if r.Method != tt.method || r.RequestURI != tt.uri || r.URL.RequestURI() != tt.uri || r.Host != tt.host {
					t.Errorf("got %s %s (%s) of %q, want %s %s of %q", r.Method, r.RequestURI, r.URL.RequestURI(), r.Host, tt.method, tt.uri, tt.host)
				}
				if string(body) != tt.body || r.ContentLength != int64(len(tt.body)) {
					t.Errorf("body: got %q, length %d; want %q", body, r.ContentLength, tt.body)
				}
				if diff := cmp.Diff(tt.header, r.Header); diff != "" {
					t.Errorf("header (-want +got):\n%s", diff)
				}
				w.Header()["Set-Cookie"] = []string{"a=1", "b=2"}
				w.Header().Add("x-answer", "1")
				w.Header().Add("X-Answer", "2")
				w.Header().Set("Content-Type", "application/x-test")
				w.WriteHeader(http.StatusCreated)
				w.Header().Set("X-Late", "unseen")
				_, _ = w.Write(body)
			})})
			reply := s.event(t.Context(), nobody, recorded(t, tt.name))
			if !served {
				t.Fatalf("not served; reply %s", reply)
			}
			golden(t, tt.name, reply)

			if status, body := unpacked(t, reply); status != http.StatusCreated || body != tt.body {
				t.Errorf("got %d %q, want the body back", status, body)
			}
		})
	}
}

// unpacked reads a reply by the gateways' own type, which must be able to.
func unpacked(t *testing.T, reply []byte) (status int, body string) {
	t.Helper()
	var v2 events.LambdaFunctionURLResponse
	if err := json.Unmarshal(reply, &v2); err != nil {
		t.Fatalf("reply %q: %v", reply, err)
	}
	if !v2.IsBase64Encoded {
		return v2.StatusCode, v2.Body
	}
	b, err := base64.StdEncoding.DecodeString(v2.Body)
	if err != nil {
		t.Fatal(err)
	}
	return v2.StatusCode, string(b)
}

func golden(t *testing.T, name string, got []byte) {
	t.Helper()
	file := filepath.Join("testdata", "replies", name+".json")
	var pretty bytes.Buffer
	if err := json.Indent(&pretty, got, "", "  "); err != nil {
		t.Fatalf("reply %q: %v", got, err)
	}
	pretty.WriteByte('\n')
	if *update {
		if err := os.WriteFile(file, pretty.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), pretty.String()); diff != "" {
		t.Errorf("%s (-want +got):\n%s", file, diff)
	}
}

// What looks like a gateway's event but cannot be read is refused, and never
// treated as an event.
func TestBrokenGatewayEventsAreRefused(t *testing.T) {
	big := base64.StdEncoding.EncodeToString(make([]byte, maxBody+1))
	tests := []struct {
		name, event string
		status      int
	}{
		{"websocket", string(recorded(t, "websocket")), 400},
		{"no method", `{"httpMethod":""}`, 400},
		{"null", `{"httpMethod":null}`, 400},
		{"method is a number", `{"httpMethod":5}`, 400},
		{"method with a space", `{"httpMethod":"PO ST","body":""}`, 400},
		{"context is a string", `{"requestContext":"x"}`, 400},
		{"context is empty", `{"requestContext":{},"type":"wxpay_refund"}`, 400},
		{"body is an object", `{"httpMethod":"POST","body":{"type":"wxpay_refund"}}`, 400},
		{"headers are a string", `{"httpMethod":"POST","headers":"x"}`, 400},
		{"header is an object", `{"httpMethod":"POST","headers":{"a":{}}}`, 400},
		{"body is not base64", `{"httpMethod":"POST","body":"*","isBase64Encoded":true}`, 400},
		{"bad path", `{"requestContext":{"http":{"method":"POST"}},"rawPath":"/%zz"}`, 400},
		{"body too large", `{"httpMethod":"POST","isBase64Encoded":true,"body":"` + big + `"}`, 413},
		{"second version, broken", `{"requestContext":{"http":{"method":"POST"}},"body":5}`, 400},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s, _ := testServer(t, Function{}) // calling anything would panic, which is a 500
			reply := s.event(t.Context(), nobody, []byte(tt.event))
			if status, _ := unpacked(t, reply); status != tt.status {
				t.Errorf("got %s, want status %d", reply, tt.status)
			}
		})
	}
}

// These are somebody's events, whatever words they contain.
func TestOtherEventsAreNotTakenForAGateways(t *testing.T) {
	for _, event := range []string{
		``, `null`, `true`, `5`, `"httpMethod"`, `["httpMethod"]`, `{`, `{"httpMethod":"POST"`, `{"httpMethod":"POST"} x`, `{}`,
		`{"type":"wxpay_refund","data":{"httpMethod":"POST","requestContext":{}}}`,
		`{"HttpMethod":"POST"}`, `{"httpmethod":"POST"}`, `{"headers":{},"path":"/","body":"","isBase64Encoded":false}`,
		`{"ParsedContent":{},"ParsedNotify":{"event_type":"REFUND.SUCCESS"},"rawData":{}}`,
		`{"userInfo":{"appId":"wx0"},"Type":"Timer","TriggerName":"t","Time":"now","Message":""}`,
	} {
		if e, err := readGatewayEvent([]byte(event)); !errors.Is(err, errNotGateway) {
			t.Errorf("%s: got %+v, %v", event, e, err)
		}
	}
}

func FuzzGatewayEvent(f *testing.F) {
	files, err := filepath.Glob("testdata/events/*.json")
	if err != nil || len(files) == 0 {
		f.Fatal(files, err)
	}
	for _, file := range files {
		b, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	f.Add([]byte(`{"httpMethod":"POST","headers":{"a":["b",1]},"queryString":{"c":null,"d":false},"isBase64Encoded":"true","body":"AA=="}`))
	f.Add([]byte(`{"type":"wxpay_refund"}`))
	f.Add([]byte(`{"httpMethod":"PUT","requestContext":{"uin":1e999},"body":""}`))
	f.Fuzz(func(t *testing.T, event []byte) {
		var top map[string]any
		shaped := false
		d := json.NewDecoder(bytes.NewReader(event))
		d.UseNumber() // 1e999 is JSON, too
		if json.Valid(event) && d.Decode(&top) == nil {
			_, a := top["httpMethod"]
			_, b := top["requestContext"]
			shaped = a || b
		}
		invoked, body := false, ""
		s, logs := testServer(t, Function{
			Invoke: func(context.Context, refund.Caller, []byte) []byte { invoked = true; return []byte("{}") },
			HTTP: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				b, _ := io.ReadAll(r.Body)
				body = string(b)
				w.Header().Set("Content-Type", "x/y")
				_, _ = w.Write(b)
			}),
		})
		reply := s.event(t.Context(), is(machine), event)
		if invoked == shaped {
			t.Fatalf("HTTP-shaped: %v, but invoked: %v", shaped, invoked)
		}
		if strings.Contains(logs.String(), "panic") {
			t.Fatal(logs.String())
		}
		if !shaped {
			return
		}
		if status, back := unpacked(t, reply); status == http.StatusOK && back != body {
			t.Fatalf("body %q came back as %q", body, back)
		}
	})
}
