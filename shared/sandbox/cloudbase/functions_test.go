package cloudbase_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"wxrefund/shared/cloudbase"
	"wxrefund/shared/sandbox"
	"wxrefund/shared/sandbox/sandboxtest"
	"wxrefund/shared/secret"
)

// gateway calls the sandbox as our functions do, over a socket that is none.
func gateway(w *sandboxtest.World, c cloudbase.Credentials) *cloudbase.Gateway {
	settings := w.SettingsOf("cloudbase")
	c.SecretID, c.SecretKey = settings["TENCENTCLOUD_SECRETID"], secret.Text(settings["TENCENTCLOUD_SECRETKEY"])
	return &cloudbase.Gateway{
		URL: settings["TCB_API_URL"], EnvID: settings["TCB_ENV"], HTTP: &http.Client{Transport: served{w}},
		Credentials: func(context.Context) (cloudbase.Credentials, error) { return c, nil },
	}
}

// served answers with the sandbox's WeChat side.
type served struct{ w *sandboxtest.World }

func (s served) RoundTrip(r *http.Request) (*http.Response, error) {
	r.Host = r.URL.Host
	a := sandboxtest.Serve(s.w.Sandbox.WeChat(), r)
	return &http.Response{StatusCode: a.Status, Header: a.Header, Body: io.NopCloser(bytes.NewReader(a.Body)), Request: r}, nil
}

// What a called function is told of its caller is what the platform would say.
func TestTheCalledFunctionIsToldOnWhoseBehalf(t *testing.T) {
	w := sandboxtest.New(t)
	var got sandbox.Call
	w.Sandbox.SetFunctions(map[string]sandbox.Function{"echo": func(_ context.Context, c sandbox.Call) (json.RawMessage, error) {
		got = c
		return json.RawMessage(`{"code":0}`), nil
	}})
	for _, tt := range []struct {
		name           string
		credentials    cloudbase.Credentials
		header         []string // in place of the library's
		openid, source string
	}{
		{"a server", cloudbase.Credentials{}, nil, "", "scf"},
		{"a user by way of a function", cloudbase.Credentials{APIToken: secret.Text("oSomebody"), Source: "wx_client"}, nil, "oSomebody", "wx_client,scf"},
		{"a client without a token", cloudbase.Credentials{Source: "wx_client"}, nil, "", "wx_client,scf"},
		{"a timer's function", cloudbase.Credentials{Source: "wx_trigger"}, nil, "", "wx_trigger,scf"},
		{"a long chain", cloudbase.Credentials{APIToken: secret.Text("oSomebody"), Source: "wx_client,scf"}, nil, "oSomebody", "wx_client,scf,scf"},
		{"a developer's machine", cloudbase.Credentials{}, []string{",unknown"}, "", "scf"},
		{"a library that says nothing", cloudbase.Credentials{}, []string{}, "", "scf"},
	} {
		g := gateway(w, tt.credentials)
		if tt.header != nil {
			params := map[string]any{"function_name": "echo", "request_data": `{"a":1}`}
			r := w.Invoke(params) // which signs no X-TCB-Source
			for _, h := range tt.header {
				r.Header.Set("X-TCB-Source", h)
			}
			if a := sandboxtest.Serve(w.Sandbox.WeChat(), r); a.Field("data", "response_data") != `{"code":0}` {
				t.Errorf("%s: %s", tt.name, a.Body)
			}
		} else if out, err := g.Invoke(t.Context(), "echo", []byte(`{"a":1}`)); err != nil || string(out) != `{"code":0}` {
			t.Errorf("%s: got %s, %v", tt.name, out, err)
		}
		want := sandbox.Call{OpenID: tt.openid, Source: tt.source, Event: json.RawMessage(`{"a":1}`)}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", tt.name, diff)
		}
	}
}

// The platform's own function keeps its name, what a function says goes through as it is,
// and what it fails with has the gateway's code.
func TestFunctionsAnswerAsTheGatewayDoes(t *testing.T) {
	w := sandboxtest.New(t, func(c *sandbox.Config) { c.ModuleFailure = "passed" })
	w.Order("T1")
	w.Sandbox.SetFunctions(map[string]sandbox.Function{
		"cloudbase_module": func(context.Context, sandbox.Call) (json.RawMessage, error) { return nil, errors.New("not asked") },
		"text":             func(context.Context, sandbox.Call) (json.RawMessage, error) { return json.RawMessage(`"done"`), nil },
		"broken":           func(context.Context, sandbox.Call) (json.RawMessage, error) { return nil, errors.New("it broke") },
		"event":            func(_ context.Context, c sandbox.Call) (json.RawMessage, error) { return c.Event, nil },
	})
	if _, out := w.Module("wxpay_refund", sandboxtest.ModuleRefund); out.Field("code") != 0.0 {
		t.Errorf("the module: %s", out.Body)
	}
	for _, tt := range []struct {
		name, data     string
		code, response string
	}{
		{"text", `{}`, "", `"done"`},
		{"event", `{"a":1,"a":2}`, "", `{"a":1,"a":2}`}, // what it holds is the function's affair
		{"event", ``, "", `{}`},
		{"event", `{`, "INVALID_PARAM", ""},
		{"broken", `{}`, "FUNCTIONS_EXECUTE_FAIL", ""},
		{"nobody", `{}`, "FUNCTION_NOT_FOUND", ""},
	} {
		a := sandboxtest.Serve(w.Sandbox.WeChat(), w.Invoke(map[string]any{"function_name": tt.name, "request_data": tt.data}))
		code, _ := a.Field("code").(string)
		response, _ := a.Field("data", "response_data").(string)
		if a.Status != 200 || code != tt.code || response != tt.response || a.Field("requestId") == nil {
			t.Errorf("%s %s: got %d %s, want %s%s", tt.name, tt.data, a.Status, a.Body, tt.code, tt.response)
		}
		if tt.name == "broken" && !strings.Contains(string(a.Body), "it broke") {
			t.Errorf("why it failed is not said: %s", a.Body)
		}
	}
}
