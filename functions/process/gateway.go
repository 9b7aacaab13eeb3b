package process

import (
	"encoding/base64"
	"encoding/json"
	"net/http"
	"strings"
	"testing"
)

// A Gateway packs an HTTP request up as an event.
type Gateway struct {
	Name string
	pack func(l Notification) map[string]any
}

var (
	// TencentGateways are those of CloudBase and SCF.
	TencentGateways = []Gateway{
		{"CloudBase HTTP access", func(l Notification) map[string]any {
			return map[string]any{
				"path": "/refund", "httpMethod": "POST", "headers": lower(l.Header), "queryStringParameters": map[string]string{},
				"requestContext": map[string]any{"requestId": "r0", "envId": "env-test", "appId": 123456789, "uin": 123456789},
				"body":           string(l.Body), "isBase64Encoded": false,
			}
		}},
		{"SCF function URL", func(l Notification) map[string]any {
			return map[string]any{"path": "/", "httpMethod": "POST", "headers": lower(l.Header), "queryString": map[string]string{}, "body": string(l.Body)}
		}},
	}
	// AWSGateways are those of Lambda.
	AWSGateways = []Gateway{
		{"Lambda function URL", func(l Notification) map[string]any {
			return map[string]any{
				"version": "2.0", "routeKey": "$default", "rawPath": "/refund", "rawQueryString": "", "headers": lower(l.Header),
				"requestContext": map[string]any{"accountId": "anonymous", "http": map[string]string{"method": "POST", "path": "/refund"}},
				"body":           base64.StdEncoding.EncodeToString(l.Body), "isBase64Encoded": true,
			}
		}},
		{"API Gateway v1", func(l Notification) map[string]any {
			return map[string]any{
				"version": "1.0", "path": "/refund", "httpMethod": "POST", "headers": lower(l.Header),
				"requestContext": map[string]any{"accountId": "1", "httpMethod": "POST"}, "body": string(l.Body), "isBase64Encoded": false,
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

// Event is the request as the gateway hands it on.
func (g Gateway) Event(l Notification) string {
	b, err := json.Marshal(g.pack(l))
	if err != nil {
		panic(err) // texts always encode
	}
	return string(b)
}

// Unpack reads the answer for a gateway.
func Unpack(t testing.TB, reply []byte) (status int, body string) {
	t.Helper()
	var a struct {
		IsBase64Encoded *bool
		StatusCode      int
		Headers         map[string]string
		Body            string
	}
	Decode(t, reply, &a)
	if a.IsBase64Encoded == nil || *a.IsBase64Encoded || a.Headers == nil {
		t.Fatalf("not the shape of an HTTP answer: %s", reply)
	}
	return a.StatusCode, a.Body
}
