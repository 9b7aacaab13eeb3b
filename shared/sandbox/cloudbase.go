package sandbox

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"mime"
	"mime/multipart"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"wxrefund/shared/cloudbase"
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
	*exchange
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

// actions are what the gateway can be asked for, here.
var actions = map[string]func(*Sandbox, http.ResponseWriter, call){
	"functions.invokeFunction": (*Sandbox).invokeFunction,
	"wx.wxPayApi":              (*Sandbox).wxPayAPI,
}

// Errors of the gateway. Its codes are in its library; the texts are not
// documented.
var (
	errGatewayBody   = gatewayError{"INVALID_PARAM", "request body is not valid"}
	errGatewayAction = gatewayError{"INVALID_PARAM", "action is not valid"}
	errGatewayData   = gatewayError{"INVALID_PARAM", "request_data is not valid"}
	errGatewayAPI    = gatewayError{"INVALID_PARAM", "apiName is not valid"}
	errGatewayEnv    = gatewayError{"INVALID_ENV", "Env invalid"}
	errGatewaySign   = gatewayError{"SIGN_PARAM_INVALID", "signature verification failed"}
	errGatewayStale  = gatewayError{"SIGN_PARAM_INVALID", "signature expired"}
	errGatewayNone   = gatewayError{"FUNCTION_NOT_FOUND", "function not found"}
	errGatewayFailed = gatewayError{"SYS_ERR", "system error"}
)

type gatewayError struct{ code, message string }

func (e gatewayError) Error() string { return e.code + ": " + e.message }

// serveGateway is POST /admin: whatever is asked of a CloudBase environment from
// a server comes this way.
func (s *Sandbox) serveGateway(w http.ResponseWriter, r *http.Request) {
	c := call{exchange: s.open(r)}
	if c.read(w) != nil || r.Method != http.MethodPost {
		s.refuseGateway(w, c, errGatewayBody)
		return
	}
	var err error
	if c.params, err = readParams(r.Header.Get("Content-Type"), c.body); err != nil {
		s.refuseGateway(w, c, errGatewayBody)
		return
	}
	if err := s.authenticateCall(c); err != nil {
		s.refuseGateway(w, c, *err)
		return
	}
	action, ok := actions[string(c.param("action"))]
	switch {
	case string(c.param("envName")) != s.keys.envID:
		s.refuseGateway(w, c, errGatewayEnv)
	case !ok:
		s.refuseGateway(w, c, errGatewayAction)
	default:
		action(s, w, c)
	}
}

// authenticateCall checks the signature, which covers every parameter. The token
// of a WeChat context is not looked for: who has the secret key needs none.
func (s *Sandbox) authenticateCall(c call) *gatewayError {
	r := c.request
	credential, err := cloudbase.ParseTC3(r.Header.Get("Authorization"))
	seconds, bad := strconv.ParseInt(r.Header.Get("X-Timestamp"), 10, 64)
	if err != nil || bad != nil || credential.SecretID != s.keys.secretID {
		return &errGatewaySign
	}
	u := &url.URL{Scheme: "http", Host: r.Host, Path: r.URL.Path, RawPath: r.URL.RawPath, RawQuery: r.URL.RawQuery}
	err = credential.Verify(s.keys.secretKey.Reveal(), r.Method, u, r.Header, c.params, time.Unix(seconds, 0), time.Now())
	switch {
	case errors.Is(err, wxpay.ErrStale):
		return &errGatewayStale
	case err != nil:
		return &errGatewaySign
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
	if _, err := parse(body); err != nil || json.Unmarshal(body, &members) != nil {
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

// refuseGateway writes the gateway's own "no".
func (s *Sandbox) refuseGateway(w http.ResponseWriter, c call, e gatewayError) {
	s.writeGateway(w, c, http.StatusOK, mediaGateway, map[string]string{
		"code": e.code, "message": e.message, "requestId": c.id,
	}, upstreamFault{})
}

// failed tells whether a fault has made an answer one that the gateway gives by
// itself, since what is behind it has failed.
func failed(out reply, fault upstreamFault) bool {
	return out.no != nil && out.no.code == codeSystem && fault.code == codeSystem
}

func (s *Sandbox) writeGateway(w http.ResponseWriter, c call, status int, media string, v any, fault upstreamFault) {
	if !s.suffer(w, c.request, fault) {
		return
	}
	body, err := json.Marshal(v)
	if err != nil {
		s.log.Error("answer not written", "error", err)
		hangUp(w)
		return
	}
	w.Header().Set("Content-Type", media)
	w.Header().Set("X-Request-Id", c.id)
	s.wrote(c.request, status, fault)
	w.WriteHeader(status)
	_, _ = w.Write(body) // the client may have gone; that is its affair
}

// failGateway answers for what is behind the gateway.
func (s *Sandbox) failGateway(w http.ResponseWriter, c call, fault upstreamFault) {
	s.writeGateway(w, c, http.StatusInternalServerError, mediaGateway, map[string]string{
		"code": errGatewayFailed.code, "message": errGatewayFailed.message, "requestId": c.id,
	}, fault)
}
