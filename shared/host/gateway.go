package host

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"unicode/utf8"
)

var errNotGateway = errors.New("not an HTTP request")

// A gatewayEvent is an HTTP request as a gateway packs it up. The gateways differ
// less than their documents: one struct reads them all, and two shapes of reply
// serve them. Version 2 is what Lambda function URLs and AWS HTTP APIs send; it
// alone has requestContext.http. All others have httpMethod.
type gatewayEvent struct {
	HTTPMethod     string `json:"httpMethod"`
	RequestContext struct {
		HTTP struct {
			Method string `json:"method"`
		} `json:"http"`
	} `json:"requestContext"`

	Path           string `json:"path"`
	RawPath        string `json:"rawPath"`        // version 2, percent-encoded
	RawQueryString string `json:"rawQueryString"` // version 2

	Headers           map[string]values `json:"headers"`
	MultiValueHeaders map[string]values `json:"multiValueHeaders"` // repeats Headers, complete
	Cookies           []string          `json:"cookies"`           // version 2

	QueryString                     map[string]values `json:"queryString"` // SCF function URL, Tencent API gateway
	QueryStringParameters           map[string]values `json:"queryStringParameters"`
	MultiValueQueryStringParameters map[string]values `json:"multiValueQueryStringParameters"`

	Body            string    `json:"body"`
	IsBase64Encoded looseBool `json:"isBase64Encoded"`
}

// readGatewayEvent recognises an HTTP request by its shape. Either of two names at
// the top is enough, whatever they hold: what looks like a gateway's is treated as
// a stranger's even if it cannot be read. Both names are the gateways' to write; a
// stranger writes only what stands below them, in the body, say.
//
// The event is usable for a reply beside any error but errNotGateway.
func readGatewayEvent(payload []byte) (e gatewayEvent, err error) {
	var top map[string]json.RawMessage // names as they are: a struct would match them in any case
	if json.Unmarshal(payload, &top) != nil {
		return e, errNotGateway
	}
	_, byMethod := top["httpMethod"]
	_, byContext := top["requestContext"]
	if !byMethod && !byContext {
		return e, errNotGateway
	}
	if err := json.Unmarshal(payload, &e); err != nil {
		return e, err
	}
	if e.method() == "" {
		return e, errors.New("an HTTP request without a method")
	}
	return e, nil
}

func (e *gatewayEvent) version2() bool { return e.RequestContext.HTTP.Method != "" }

func (e *gatewayEvent) method() string {
	if e.version2() {
		return e.RequestContext.HTTP.Method
	}
	return e.HTTPMethod
}

// request unpacks the request and its body, byte for byte as the client sent it:
// signatures are over those bytes. A status other than 0 refuses it.
func (e *gatewayEvent) request(ctx context.Context) (r *http.Request, body []byte, status int) {
	body = []byte(e.Body)
	if e.IsBase64Encoded {
		var err error
		if body, err = base64.StdEncoding.DecodeString(e.Body); err != nil {
			return nil, nil, http.StatusBadRequest
		}
	}
	if len(body) > maxBody {
		return nil, nil, http.StatusRequestEntityTooLarge
	}
	u, err := e.url()
	if err != nil {
		return nil, nil, http.StatusBadRequest
	}
	r, err = http.NewRequestWithContext(ctx, e.method(), "/", bytes.NewReader(body))
	if err != nil {
		return nil, nil, http.StatusBadRequest
	}
	r.URL, r.RequestURI = u, u.RequestURI()
	r.Header = e.header()
	r.Host = r.Header.Get("Host")
	r.Header.Del("Host")
	return r, body, 0
}

func (e *gatewayEvent) url() (*url.URL, error) {
	if e.version2() {
		u, err := url.ParseRequestURI("/" + strings.TrimPrefix(e.RawPath, "/"))
		if err == nil {
			u.RawQuery = e.RawQueryString
		}
		return u, err
	}
	query := url.Values{}
	for _, params := range []map[string]values{e.QueryString, e.QueryStringParameters, e.MultiValueQueryStringParameters} {
		for name, v := range params {
			query[name] = v // they repeat each other, the last most completely
		}
	}
	return &url.URL{Path: "/" + strings.TrimPrefix(e.Path, "/"), RawQuery: query.Encode()}, nil
}

func (e *gatewayEvent) header() http.Header {
	h := canonical(e.Headers)
	maps.Copy(h, canonical(e.MultiValueHeaders))
	if len(e.Cookies) > 0 {
		h.Set("Cookie", strings.Join(e.Cookies, "; "))
	}
	return h
}

// canonical spells the names as net/http does. Sorted, so that two spellings of
// one name always come out in the same order.
func canonical(headers map[string]values) http.Header {
	h := http.Header{}
	for _, name := range slices.Sorted(maps.Keys(headers)) {
		for _, v := range headers[name] {
			h.Add(name, v)
		}
	}
	return h
}

// reply packs the response up for the gateway. Text goes as it is; what is not
// text could not be written in JSON, and goes in base64. Only version 2 has a place
// for more than one cookie.
func (e *gatewayEvent) reply(res response) []byte {
	out := struct {
		IsBase64Encoded bool              `json:"isBase64Encoded"`
		StatusCode      int               `json:"statusCode"`
		Headers         map[string]string `json:"headers"`
		Cookies         []string          `json:"cookies,omitempty"`
		Body            string            `json:"body"`
	}{StatusCode: res.status, Headers: map[string]string{}, Body: string(res.body)}
	for name, v := range res.header {
		if name == "Set-Cookie" && e.version2() {
			out.Cookies = v
			continue
		}
		out.Headers[name] = strings.Join(v, ", ")
	}
	if !utf8.Valid(res.body) {
		out.IsBase64Encoded, out.Body = true, base64.StdEncoding.EncodeToString(res.body)
	}
	b, err := json.Marshal(out)
	if err != nil {
		panic(err) // strings, a number and a bool always marshal
	}
	return b
}

// values are those of one name: a string, a list of them, or, of a parameter
// without a value, a bare true.
type values []string

func (v *values) UnmarshalJSON(b []byte) error {
	*v = nil
	switch b[0] {
	case 'n':
		return nil
	case '[':
		return json.Unmarshal(b, (*[]string)(v))
	case '"', '{':
		*v = values{""}
		return json.Unmarshal(b, &(*v)[0])
	}
	*v = values{string(b)}
	return nil
}

// A looseBool is a bool, also where a gateway writes it as a string.
type looseBool bool

func (l *looseBool) UnmarshalJSON(b []byte) error {
	*l = strings.Trim(string(b), `"`) == "true"
	return nil
}
