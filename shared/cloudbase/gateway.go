package cloudbase

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"io"
	"mime/multipart"
	"net/http"
	"net/textproto"
	"net/url"
	"strconv"
	"time"

	"wxrefund/shared/wxpay"
)

// A Gateway calls CloudBase's gateway on behalf of one environment.
type Gateway struct {
	URL         string // of the action endpoint, /admin
	EnvID       string
	HTTP        *http.Client
	Credentials func(ctx context.Context) (Credentials, error) // of the request that ctx belongs to
}

// An Error says why a call has no result. Unless it wraps [wxpay.ErrUnsent] the call
// may have been carried out.
type Error struct {
	Message string
	Code    string // the gateway's own, as it wrote it; "": none
	Err     error  // the cause; nil: the gateway's answer
}

func (e *Error) Error() string {
	s := "cloudbase: " + e.Message
	if e.Code != "" {
		s += fmt.Sprintf(" (%.64q)", e.Code)
	}
	if e.Err != nil {
		s += ": " + e.Err.Error()
	}
	return s
}

func (e *Error) Unwrap() error { return e.Err }

// userAgent is what the gateway is known to be called with: CloudBase's own
// SDK, whose requests are the only description of this protocol.
const userAgent = "tcb-node-sdk/3.18.3"

// Invoke calls a function of the environment and returns what it returned. Its error
// is an [*Error] or [wxpay.Exchange]'s; so is that of [Gateway.Pay].
func (g *Gateway) Invoke(ctx context.Context, function string, event []byte) ([]byte, error) {
	reply, err := g.send(ctx, "application/json", []Param{
		{Name: "action", Value: []byte("functions.invokeFunction")},
		{Name: "function_name", Value: []byte(function)},
		{Name: "request_data", Value: event},
	})
	if err != nil {
		return nil, err
	}
	var body struct {
		Data struct {
			ResponseData *string `json:"response_data"`
		} `json:"data"`
	}
	if err := json.Unmarshal(reply.Body, &body); err != nil || reply.Status != http.StatusOK || body.Data.ResponseData == nil {
		return nil, gatewayError(reply)
	}
	return []byte(*body.Data.ResponseData), nil
}

// Pay calls CloudPay, the payment API behind wx.cloud.cloudPay, and returns
// WeChat Pay's answer as it came.
func (g *Gateway) Pay(ctx context.Context, api string, request []byte) ([]byte, error) {
	reply, err := g.send(ctx, mediaForm, payParams(api, request))
	if err != nil {
		return nil, err
	}
	// A result comes as bytes; exactly this content type means the gateway's own error.
	if reply.Status != http.StatusOK || reply.Header.Get("Content-Type") == "application/json; charset=utf-8" {
		return nil, gatewayError(reply)
	}
	return reply.Body, nil
}

// PayFile is [Gateway.Pay] for an answer that may be large: one with status 200 goes into w
// as it comes, whether it is a result or the gateway's own error, as [wxpay.Fetch] has it.
func (g *Gateway) PayFile(ctx context.Context, api string, request []byte, w io.Writer, limit int64) (wxpay.Reply, error) {
	req, err := g.prepare(ctx, mediaForm, payParams(api, request))
	if err != nil {
		return wxpay.Reply{}, err
	}
	return wxpay.Fetch(g.HTTP, req, w, limit)
}

func payParams(api string, request []byte) []Param {
	return []Param{
		{Name: "action", Value: []byte("wx.wxPayApi")},
		{Name: "apiName", Value: []byte(api)},
		{Name: "apiOptions", Binary: true}, // a protobuf message without fields
		{Name: "requestData", Value: request, Binary: true},
	}
}

// gatewayError is an answer of the gateway itself. It does not say whether the
// call went through before.
func gatewayError(reply wxpay.Reply) *Error {
	var body struct {
		Code    any `json:"code"`
		ErrCode any `json:"errcode"`
	}
	_ = json.Unmarshal(reply.Body, &body) // what cannot be read has no code
	e := &Error{Message: "the CloudBase gateway gave no result"}
	for _, code := range []any{body.ErrCode, body.Code} {
		if code != nil {
			e.Code = fmt.Sprint(code)
		}
	}
	return e
}

// unsent is the error of a call that could not be made.
func unsent(message string, cause error) *Error {
	return &Error{Message: message, Err: fmt.Errorf("%w: %w", wxpay.ErrUnsent, cause)}
}

// send signs and sends one action.
func (g *Gateway) send(ctx context.Context, contentType string, params []Param) (wxpay.Reply, error) {
	req, err := g.prepare(ctx, contentType, params)
	if err != nil {
		return wxpay.Reply{}, err
	}
	return wxpay.Exchange(g.HTTP, req)
}

// prepare signs one action with the parameters that all actions have.
func (g *Gateway) prepare(ctx context.Context, contentType string, params []Param) (*http.Request, error) {
	c, err := g.Credentials(ctx)
	if err == nil {
		err = c.usable()
	}
	if err != nil {
		return nil, unsent("there are no credentials for the CloudBase gateway", err)
	}
	token, access := c.TriggerAPIToken.Reveal(), ""
	if token == "" {
		token = c.APIToken.Reveal()
	}
	if token == "" {
		access = c.AccessToken.Reveal()
	}
	for _, p := range []struct{ name, value string }{
		{"envName", g.EnvID}, {"wxCloudApiToken", token}, {"wxCloudbaseAccesstoken", access},
		{"tcb_sessionToken", c.TCBSessionToken.Reveal()}, {"sessionToken", c.SessionToken.Reveal()}, {"crossAuthorizationToken", ""},
	} {
		params = append(params, Param{Name: p.name, Value: []byte(p.value)})
	}
	req, err := g.request(ctx, c, contentType, params)
	if err != nil {
		return nil, unsent("the request to the CloudBase gateway cannot be made", err)
	}
	return req, nil
}

func (g *Gateway) request(ctx context.Context, c Credentials, contentType string, params []Param) (*http.Request, error) {
	now := time.Now().Add(-time.Second) // as the SDK does, for gateways whose clock is behind
	at, err := url.Parse(g.URL)
	if err != nil {
		return nil, err
	}
	at.RawQuery = url.Values{"env": {g.EnvID}, "seqId": {rand.Text()}}.Encode()
	body, boundary, err := encodeParams(contentType, params)
	if err != nil {
		return nil, err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, at.String(), bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	signed := sdkHeaders(c, now)
	signed.Set("Content-Type", contentType)
	signed.Set("Host", at.Host)
	req.Header = signed.Clone()
	req.Header.Del("Host") // net/http writes it from the URL
	req.Header.Set("Content-Type", contentType+boundary)
	req.Header.Set("X-Signature-Expires", "600")
	req.Header.Set("X-Timestamp", strconv.FormatInt(now.Unix(), 10))
	if key := c.APIKey.Reveal(); key != "" {
		req.Header.Set("Authorization", "Bearer "+key)
		return req, nil
	}
	signer := TC3Signer{SecretID: c.SecretID, SecretKey: c.SecretKey}
	req.Header.Set("Authorization", signer.Authorization("post", at, signed, params, now))
	return req, nil
}

// encodeParams writes the body; boundary is what a multipart's content type has besides.
func encodeParams(contentType string, params []Param) (body []byte, boundary string, err error) {
	if contentType == "application/json" {
		m := map[string]string{}
		for _, p := range params {
			m[p.Name] = string(p.Value)
		}
		body, err = json.Marshal(m)
		return body, "", err
	}
	var b bytes.Buffer
	w := multipart.NewWriter(&b)
	for _, p := range params {
		h := textproto.MIMEHeader{"Content-Disposition": {fmt.Sprintf(`form-data; name=%q`, p.Name)}}
		if p.Binary {
			h.Set("Content-Type", "application/octet-stream")
		}
		var part io.Writer
		if part, err = w.CreatePart(h); err == nil {
			_, err = part.Write(p.Value)
		}
		if err != nil {
			return nil, "", err
		}
	}
	if err := w.Close(); err != nil {
		return nil, "", err
	}
	return b.Bytes(), "; boundary=" + w.Boundary(), nil
}
