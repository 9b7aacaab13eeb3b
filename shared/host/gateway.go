package host

import (
	"bytes"
	"cmp"
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
// less than their documents: one struct holds them all, and two shapes of reply
// serve them. Version 2 is what Lambda function URLs and AWS HTTP APIs send; it
// alone has a method in requestContext.http. All others have it in httpMethod.
type gatewayEvent struct {
	method1, method2 string

	path           string
	rawPath        string // version 2, percent-encoded
	rawQueryString string // version 2

	headers           map[string]values
	multiValueHeaders map[string]values // repeats headers, complete
	cookies           []string          // version 2

	queryString                     map[string]values // SCF function URL, Tencent API gateway
	queryStringParameters           map[string]values
	multiValueQueryStringParameters map[string]values

	body            string
	isBase64Encoded looseBool
}

// read takes what it knows from the event, all that it can beside any error. The
// names are as they are: a struct's tags would match them in any case.
func (e *gatewayEvent) read(event object) error {
	var requestContext, overHTTP object
	return errors.Join(
		event.get("requestContext", &requestContext),
		requestContext.get("http", &overHTTP),
		overHTTP.get("method", &e.method2),
		event.get("httpMethod", &e.method1),
		event.get("path", &e.path),
		event.get("rawPath", &e.rawPath),
		event.get("rawQueryString", &e.rawQueryString),
		event.get("headers", &e.headers),
		event.get("multiValueHeaders", &e.multiValueHeaders),
		event.get("cookies", &e.cookies),
		event.get("queryString", &e.queryString),
		event.get("queryStringParameters", &e.queryStringParameters),
		event.get("multiValueQueryStringParameters", &e.multiValueQueryStringParameters),
		event.get("body", &e.body),
		event.get("isBase64Encoded", &e.isBase64Encoded),
	)
}

// An object is one of JSON, by the names in it.
type object map[string]json.RawMessage

// get reads what stands under a name, if anything does.
func (o object) get(name string, into any) error {
	raw, ok := o[name]
	if !ok {
		return nil
	}
	return json.Unmarshal(raw, into)
}

// readGatewayEvent recognises an HTTP request by its shape. Either of two names at
// the top is enough, whatever they hold: what looks like a gateway's is treated as
// a stranger's even if it cannot be read. Both names are the gateways' to write; a
// stranger writes only what stands below them, in the body, say.
//
// The event is usable for a reply beside any error but errNotGateway.
func readGatewayEvent(payload []byte) (e gatewayEvent, err error) {
	var top object
	if json.Unmarshal(payload, &top) != nil {
		return e, errNotGateway
	}
	_, byMethod := top["httpMethod"]
	_, byContext := top["requestContext"]
	if !byMethod && !byContext {
		return e, errNotGateway
	}
	if err := e.read(top); err != nil {
		return e, err
	}
	if e.method() == "" {
		return e, errors.New("an HTTP request without a method")
	}
	return e, nil
}

func (e *gatewayEvent) version2() bool { return e.method2 != "" }

func (e *gatewayEvent) method() string { return cmp.Or(e.method2, e.method1) }

// request unpacks the request and its body, byte for byte as the client sent it:
// signatures are over those bytes. A status other than 0 refuses it.
func (e *gatewayEvent) request(ctx context.Context) (r *http.Request, body []byte, status int) {
	body = []byte(e.body)
	if e.isBase64Encoded {
		var err error
		if body, err = base64.StdEncoding.DecodeString(e.body); err != nil {
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
		u, err := url.ParseRequestURI("/" + strings.TrimPrefix(e.rawPath, "/"))
		if err == nil {
			u.RawQuery = e.rawQueryString
		}
		return u, err
	}
	query := url.Values{}
	for _, params := range []map[string]values{e.queryString, e.queryStringParameters, e.multiValueQueryStringParameters} {
		for name, v := range params {
			query[name] = v // they repeat each other, the last most completely
		}
	}
	return &url.URL{Path: "/" + strings.TrimPrefix(e.path, "/"), RawQuery: query.Encode()}, nil
}

func (e *gatewayEvent) header() http.Header {
	h := canonical(e.headers)
	maps.Copy(h, canonical(e.multiValueHeaders))
	if len(e.cookies) > 0 {
		h.Set("Cookie", strings.Join(e.cookies, "; "))
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
