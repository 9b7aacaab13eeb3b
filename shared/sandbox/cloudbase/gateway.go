// Package cloudbase is the door of Tencent CloudBase: the gateway by which servers
// reach an environment, and what is behind it: the module of the template for WeChat Pay
// ("CloudBase template, wxpay_refund",
// https://developers.weixin.qq.com/miniprogram/dev/wxcloud/template-guide/basic/wxpay/docs/api_wxpay_refund.html),
// CloudPay, the merchant's functions, and examples of such.
package cloudbase

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"mime/multipart"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"wxrefund/shared/cloudbase"
	"wxrefund/shared/sandbox/door"
	"wxrefund/shared/sandbox/schema"
	"wxrefund/shared/sandbox/v2"
	"wxrefund/shared/sandbox/world"
	"wxrefund/shared/wxpay"
)

// The media types of CloudBase's gateway. That of its own words must be exactly
// so: its library tells them from the answers of what is behind it by this.
const (
	mediaGateway = "application/json; charset=utf-8"
	mediaPay     = "application/octet-stream"
)

// A call is a request to CloudBase's gateway and its parameters.
type call struct {
	*door.Exchange
	params []cloudbase.Param
}

// param returns a parameter, in its exact name.
func (c call) param(name string) []byte {
	for _, p := range c.params {
		if p.Name == name {
			return p.Value
		}
	}
	return nil
}

// inner is the call that is wrapped in one of the gateway: what is called, and with what.
func (c call) inner() string {
	var lines []string
	for _, name := range []string{"function_name", "request_data", "apiName", "requestData"} {
		if value := c.param(name); len(value) > 0 {
			lines = append(lines, string(value))
		}
	}
	return strings.Join(lines, "\n")
}

// maxName bounds how much is noted of a name that anybody may have made up, in bytes.
const maxName = 128

// calls names what is called: a function, with the method if it is the platform's module,
// or an API of WeChat's.
func (c call) calls() string {
	name := cmp.Or(string(c.param("function_name")), string(c.param("apiName")))
	if _, module := functions[name]; module {
		var in struct{ Name string }
		_ = json.Unmarshal(c.param("request_data"), &in) // what cannot be read calls no method
		name = strings.TrimSpace(name + " " + in.Name)
	}
	return strings.ToValidUTF8(name[:min(len(name), maxName)], "")
}

// A Config is what can be chosen about an environment.
type Config struct {
	// ModuleFailure is the shape in which cloudbase_module says no, of which users
	// have met several: errcode, http, code, passed or inside. Empty: the seed
	// decides for each request, http excepted, which hides the code.
	ModuleFailure string

	// Subscribers gives the environment example functions that are notified of refunds.
	Subscribers bool
}

// A Door plays the gateway of a CloudBase environment and what is behind it.
type Door struct {
	cfg   Config
	world *world.World
	pay   *v2.Door

	mu          sync.Mutex
	merchant    map[string]Function     // the merchant's functions
	invocations map[string][]Invocation // of each example subscriber
}

// New opens the door to a world; CloudPay is behind it.
func New(w *world.World, pay *v2.Door, cfg Config) (*Door, error) {
	if f := cfg.ModuleFailure; f != "" && !slices.ContainsFunc(moduleFailures, func(m moduleFailure) bool { return m.name == f }) {
		return nil, fmt.Errorf("sandbox: %q is not a shape of module failures", f)
	}
	return &Door{cfg: cfg, world: w, pay: pay, invocations: map[string][]Invocation{}}, nil
}

// Routes adds the gateway's path, and refuses those below it.
func (d *Door) Routes(mux *http.ServeMux) {
	mux.HandleFunc("/admin", d.serve)
	mux.HandleFunc("/admin/", func(w http.ResponseWriter, r *http.Request) {
		d.no(w, call{Exchange: door.Open(d.world, r)}, http.StatusNotFound, errPath, world.UpstreamFault{})
	})
}

// actions are what the gateway can be asked for, here.
var actions = map[string]func(*Door, http.ResponseWriter, call){
	"functions.invokeFunction": (*Door).invokeFunction,
	"wx.wxPayApi":              (*Door).wxPayAPI,
}

// Errors of the gateway. Its codes are in its library; the texts are not
// documented.
var (
	errBody   = gatewayError{"INVALID_PARAM", "request body is not valid"}
	errPath   = gatewayError{"INVALID_PARAM", "path is not valid"}
	errMethod = gatewayError{"INVALID_PARAM", "method is not valid"}
	errAction = gatewayError{"INVALID_PARAM", "action is not valid"}
	errData   = gatewayError{"INVALID_PARAM", "request_data is not valid"}
	errAPI    = gatewayError{"INVALID_PARAM", "apiName is not valid"}
	errEnv    = gatewayError{"INVALID_ENV", "Env invalid"}
	errSign   = gatewayError{"SIGN_PARAM_INVALID", "signature verification failed"}
	errStale  = gatewayError{"SIGN_PARAM_INVALID", "signature expired"}
	errKey    = gatewayError{"INVALID_ACCESS_TOKEN", "access token is not valid"}
	errNone   = gatewayError{"FUNCTION_NOT_FOUND", "function not found"}
	errFailed = gatewayError{"SYS_ERR", "system error"}
)

type gatewayError struct{ code, message string }

// serve is POST /admin: whatever is asked of a CloudBase environment from
// a server comes this way.
func (d *Door) serve(w http.ResponseWriter, r *http.Request) {
	c := call{Exchange: door.Open(d.world, r)}
	switch {
	case r.Method != http.MethodPost:
		d.no(w, c, http.StatusMethodNotAllowed, errMethod, world.UpstreamFault{})
		return
	case c.Read(w) != nil:
		d.refuse(w, c, errBody)
		return
	}
	var err error
	if c.params, err = readParams(r.Header.Get("Content-Type"), c.Body); err != nil {
		d.refuse(w, c, errBody)
		return
	}
	if err := d.authenticateCall(c); err != nil {
		d.refuse(w, c, *err)
		return
	}
	c.Record.OpenRequest(c.inner())
	c.Record.Calls(c.calls())
	action, ok := actions[string(c.param("action"))]
	switch {
	case !c.Check("environment", string(c.param("envName")) == d.world.Keys.EnvID, string(c.param("envName"))):
		d.refuse(w, c, errEnv)
	case !ok:
		d.refuse(w, c, errAction)
	default:
		action(d, w, c)
	}
}

// authenticateCall checks the key of the environment or the signature, which covers every
// parameter. The token of a WeChat context is not looked for: who has a key needs none.
func (d *Door) authenticateCall(c call) *gatewayError {
	r := c.Request
	if key, ok := strings.CutPrefix(r.Header.Get("Authorization"), bearer); ok {
		if !c.Check("authorization", d.isKey(key), "Bearer, the key of the environment") {
			return &errKey
		}
		return nil
	}
	credential, err := cloudbase.ParseTC3(r.Header.Get("Authorization"))
	seconds, bad := strconv.ParseInt(r.Header.Get("X-Timestamp"), 10, 64)
	if !c.Check("authorization", err == nil && bad == nil && credential.SecretID == d.world.Keys.SecretID, "TC3-HMAC-SHA256, SecretId "+credential.SecretID) {
		return &errSign
	}
	u := &url.URL{Scheme: "http", Host: r.Host, Path: r.URL.Path, RawPath: r.URL.RawPath, RawQuery: r.URL.RawQuery}
	err = credential.Verify(d.world.Keys.SecretKey.Reveal(), r.Method, u, r.Header, c.params, time.Unix(seconds, 0), time.Now())
	switch age := time.Since(time.Unix(seconds, 0)).Truncate(time.Second); {
	case !c.Check("timestamp", !errors.Is(err, wxpay.ErrStale), age.String()+" old"):
		return &errStale
	case !c.Check("signature", err == nil, "TC3-HMAC-SHA256 by the SecretKey"):
		return &errSign
	}
	return nil
}

var errParams = errors.New("sandbox: no parameters")

// readParams reads a body, which is JSON, or a multipart form if something in it
// is binary.
func readParams(media string, body []byte) ([]cloudbase.Param, error) {
	kind, params, err := mime.ParseMediaType(media)
	switch {
	case err != nil:
		return nil, errParams
	case kind == "application/json":
		return readObject(body)
	case kind == "multipart/form-data":
		return readForm(multipart.NewReader(bytes.NewReader(body), params["boundary"]))
	}
	return nil, errParams
}

func readObject(body []byte) ([]cloudbase.Param, error) {
	var members map[string]json.RawMessage
	if _, err := schema.Parse(body); err != nil || json.Unmarshal(body, &members) != nil {
		return nil, errParams
	}
	var out []cloudbase.Param
	for name, value := range members {
		var text string
		if json.Unmarshal(value, &text) == nil {
			value = []byte(text)
		}
		out = append(out, cloudbase.Param{Name: name, Value: value})
	}
	return out, nil
}

// maxParts is more than any call has.
const maxParts = 32

func readForm(r *multipart.Reader) ([]cloudbase.Param, error) {
	var out []cloudbase.Param
	for len(out) < maxParts {
		part, err := r.NextRawPart()
		if errors.Is(err, io.EOF) {
			return out, nil
		}
		if err != nil {
			return nil, errParams
		}
		value, err := io.ReadAll(part)
		if err != nil {
			return nil, errParams
		}
		out = append(out, cloudbase.Param{
			Name: part.FormName(), Value: value,
			Binary: part.Header.Get("Content-Type") == "application/octet-stream",
		})
	}
	return nil, errParams
}

// refuse writes the gateway's own "no".
func (d *Door) refuse(w http.ResponseWriter, c call, e gatewayError) {
	d.no(w, c, http.StatusOK, e, world.UpstreamFault{})
}

func (d *Door) no(w http.ResponseWriter, c call, status int, e gatewayError, fault world.UpstreamFault) {
	c.Record.Refuse(e.code)
	d.write(w, c, status, mediaGateway, map[string]string{"code": e.code, "message": e.message, "requestId": c.ID}, fault)
}

func (d *Door) write(w http.ResponseWriter, c call, status int, media string, v any, fault world.UpstreamFault) {
	if !door.Suffer(d.world, w, c.Request, fault) {
		return
	}
	body, err := json.Marshal(v)
	if err != nil {
		d.world.Log.Error("answer not written", "error", err)
		door.HangUp(w)
		return
	}
	w.Header().Set("Content-Type", media)
	w.Header().Set("X-Request-Id", c.ID)
	door.Wrote(d.world, c.Request, c.ID, status, fault)
	w.WriteHeader(status)
	_, _ = w.Write(body) // the client may have gone; that is its affair
}

// respond writes what a function has returned.
func (d *Door) respond(w http.ResponseWriter, c call, result string, fault world.UpstreamFault) {
	c.Record.OpenResponse(result)
	d.write(w, c, http.StatusOK, mediaGateway, map[string]any{
		"requestId": c.ID, "data": map[string]string{"response_data": result},
	}, fault)
}

// fail answers for what is behind the gateway.
func (d *Door) fail(w http.ResponseWriter, c call, fault world.UpstreamFault) {
	d.no(w, c, http.StatusInternalServerError, errFailed, fault)
}

// wxPayAPI is the action wx.wxPayApi.
func (d *Door) wxPayAPI(w http.ResponseWriter, c call) {
	m, fault, err := d.pay.CloudPay(c.Exchange, string(c.param("apiName")), c.param("requestData"), c.param("apiOptions"))
	switch {
	case err != nil:
		d.refuse(w, c, errAPI)
	case m == nil:
		d.fail(w, c, fault)
	default:
		if _, wrapped := m["respdata"]; !wrapped && (m["return_code"] != "SUCCESS" || m["result_code"] != "SUCCESS") {
			code, _ := m["err_code"].(string)
			c.Record.Refuse(code)
		}
		d.write(w, c, http.StatusOK, mediaPay, m, fault)
	}
}
