package cloudbase

import (
	"context"
	"encoding/json"
	"errors"
	"maps"
	"net/http"
	"strings"

	"wxrefund/shared/sandbox/world"
)

// A Function is one of the merchant's own that the environment has. It returns JSON. An
// error means that it has not run to its end: who calls is told so by the gateway, in the
// error's words.
type Function = func(ctx context.Context, call Call) (json.RawMessage, error)

// A Call is an invocation of a function, with what the platform says of who made it.
type Call struct {
	OpenID string          // WX_OPENID: the user of the mini-program on whose behalf it is made; empty: nobody's
	Source string          // TCB_SOURCE: the chain of those who called one another, oldest first
	Event  json.RawMessage // as it was sent
}

// SetFunctions tells which functions of the merchant's the environment has, by name,
// beside the template's module.
func (d *Door) SetFunctions(functions map[string]Function) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.merchant = maps.Clone(functions)
}

// merchantFunction finds a function of the merchant's. The module's name is the platform's.
func (d *Door) merchantFunction(name string) (Function, bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	f, ok := d.merchant[name]
	_, platforms := functions[name]
	return f, ok && !platforms
}

// CallMerchant calls a function of the merchant's past the gateway, as a platform's own program does.
func (d *Door) CallMerchant(ctx context.Context, name string, c Call) (json.RawMessage, error) {
	f, ok := d.merchantFunction(name)
	if !ok {
		return nil, errors.New("there is no function " + name)
	}
	return f(ctx, c)
}

// invokeMerchant calls a function of the merchant's. Whoever hangs up does not cut it in
// two, as on the platform.
func (d *Door) invokeMerchant(w http.ResponseWriter, c call, f Function) {
	event := c.param("request_data")
	if len(event) == 0 { // so CloudBase's library says that there is none
		event = []byte("{}")
	}
	if !json.Valid(event) {
		d.refuse(w, c, errData)
		return
	}
	out, err := f(context.WithoutCancel(c.Request.Context()), Call{
		OpenID: string(c.param("wxCloudApiToken")), Source: throughFunction(c.Request.Header.Get("X-TCB-Source")), Event: event,
	})
	if err != nil {
		d.refuse(w, c, gatewayError{codeFailed, err.Error()})
		return
	}
	d.respond(w, c, string(out), world.UpstreamFault{})
}

// codeFailed is the gateway's word for a function that has not run to its end
// (https://docs.cloudbase.net/error-code/FUNCTIONS_EXECUTE_FAIL).
const codeFailed = "FUNCTIONS_EXECUTE_FAIL"

// throughFunction is the chain of callers that the called function is told: those before
// its caller, and then scf. CloudBase's library names itself behind them by where it
// believes that it runs, which on a developer's machine is "unknown"; here whoever has the
// environment's keys stands for a function of the merchant's.
func throughFunction(source string) string {
	before := source[:max(0, strings.LastIndex(source, ","))]
	if before == "" {
		return "scf"
	}
	return before + ",scf"
}
