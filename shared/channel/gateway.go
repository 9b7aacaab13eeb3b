package channel

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"mime/multipart"
	"net/http"
	"net/textproto"
	"net/url"
	"strconv"
	"time"

	"wxrefund/shared/refund"
	"wxrefund/shared/secret"
	"wxrefund/shared/wxpay"
)

// Credentials are what CloudBase lends a function to call its gateway with. On
// SCF they are those of one request and never kept.
type Credentials struct {
	SecretID     string
	SecretKey    secret.Value[string]
	SessionToken secret.Value[string]

	APIToken        secret.Value[string]
	TriggerAPIToken secret.Value[string] // of timers; goes before APIToken
	AccessToken     secret.Value[string] // when there is no API token
	TCBSessionToken secret.Value[string]

	Source string // the chain of callers up to us
}

// LogValue hides all.
func (Credentials) LogValue() slog.Value { return slog.StringValue("credentials (hidden)") }

// A Gateway calls CloudBase's gateway on behalf of one environment.
type Gateway struct {
	URL         string // of the action endpoint, /admin
	EnvID       string
	HTTP        *http.Client
	Credentials func(ctx context.Context) (Credentials, error) // of the request that ctx belongs to
}

// Format hides all, whatever the verb.
func (Credentials) Format(f fmt.State, _ rune) { secret.Mask(f, "credentials (hidden)") }

// gatewayAgent is what the gateway is known to be called with: CloudBase's own
// SDK, whose requests are the only description of this protocol.
const gatewayAgent = "tcb-node-sdk/3.18.3"

// Invoke calls a function of the environment and returns what it returned.
func (g *Gateway) Invoke(ctx context.Context, function string, event []byte) ([]byte, error) {
	reply, err := g.send(ctx, "application/json", []wxpay.TC3Param{
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
	reply, err := g.send(ctx, "multipart/form-data", []wxpay.TC3Param{
		{Name: "action", Value: []byte("wx.wxPayApi")},
		{Name: "apiName", Value: []byte(api)},
		{Name: "apiOptions", Binary: true}, // a protobuf message without fields
		{Name: "requestData", Value: request, Binary: true},
	})
	if err != nil {
		return nil, err
	}
	// A result comes as bytes; exactly this content type means the gateway's own error.
	if reply.Status != http.StatusOK || reply.Header.Get("Content-Type") == "application/json; charset=utf-8" {
		return nil, gatewayError(reply)
	}
	return reply.Body, nil
}

// gatewayError is an answer of the gateway itself. It does not say whether the
// call went through before, so the outcome is unknown.
func gatewayError(reply wxpay.Reply) *refund.Error {
	var body struct {
		Code    any `json:"code"`
		ErrCode any `json:"errcode"`
	}
	_ = json.Unmarshal(reply.Body, &body) // what cannot be read has no code
	e := unknown("the CloudBase gateway gave no result", nil)
	for _, code := range []any{body.ErrCode, body.Code} {
		if code != nil {
			e.Upstream = printable(fmt.Sprint(code), 64)
		}
	}
	return e
}

// send signs and sends one action with the parameters that all actions have.
func (g *Gateway) send(ctx context.Context, contentType string, params []wxpay.TC3Param) (wxpay.Reply, error) {
	c, err := g.Credentials(ctx)
	if err != nil {
		e := unknown("there are no credentials for the CloudBase gateway", err)
		e.Unsent = true
		return wxpay.Reply{}, e
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
		params = append(params, wxpay.TC3Param{Name: p.name, Value: []byte(p.value)})
	}
	req, err := g.request(ctx, c, contentType, params)
	if err != nil {
		e := unknown("the request to the CloudBase gateway cannot be made", err)
		e.Unsent = true
		return wxpay.Reply{}, e
	}
	reply, err := wxpay.Exchange(g.HTTP, req)
	if err != nil {
		return wxpay.Reply{}, unanswered(err)
	}
	return reply, nil
}

func (g *Gateway) request(ctx context.Context, c Credentials, contentType string, params []wxpay.TC3Param) (*http.Request, error) {
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
	source := "scf"
	if c.Source != "" {
		source = c.Source + ",scf"
	}
	signed := http.Header{
		"User-Agent":         {gatewayAgent},
		"X-Sdk-Version":      {gatewayAgent},
		"X-Tcb-Source":       {source},
		"X-Client-Timestamp": {strconv.FormatInt(now.UnixMilli(), 10)},
		"Content-Type":       {contentType},
		"Host":               {at.Host},
	}
	req.Header = signed.Clone()
	req.Header.Del("Host") // net/http writes it from the URL
	req.Header.Set("Content-Type", contentType+boundary)
	req.Header.Set("X-Signature-Expires", "600")
	req.Header.Set("X-Timestamp", strconv.FormatInt(now.Unix(), 10))
	signer := wxpay.TC3Signer{SecretID: c.SecretID, SecretKey: c.SecretKey}
	req.Header.Set("Authorization", signer.Authorization("post", at, signed, params, now))
	return req, nil
}

// encodeParams writes the body; boundary is what a multipart's content type has besides.
func encodeParams(contentType string, params []wxpay.TC3Param) (body []byte, boundary string, err error) {
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
