package cloudbase

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"log/slog"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"

	"wxrefund/shared/secret"
)

// The words of the signature. Elsewhere at Tencent Cloud a product stands where tcb
// does, and the payload is the body as it is sent.
const (
	tc3Scheme  = "TC3-HMAC-SHA256"
	tc3Service = "tcb"
	tc3Request = "tc3_request"

	headerContentType = "content-type"
	headerHost        = "host"
	mediaForm         = "multipart/form-data"
)

// A Param is a parameter of a call of CloudBase: a member of a JSON object or a
// part of a multipart form.
type Param struct {
	Name  string // as sent; signed in lower case
	Value []byte // as sent; of a JSON member that is not a string, its JSON

	// Binary: signed byte for byte, even if it is empty. CloudBase's library does
	// so with buffers, which make it send a multipart form. Other values are
	// trimmed, and not signed if nothing is left.
	Binary bool
}

// A TC3Signer signs calls of CloudBase's gateway. The method is Tencent Cloud's TC3
// in a dialect of its own, spoken by the npm package @cloudbase/signature-nodejs,
// which is the only documentation there is.
//
// CloudBase gives out keys for a request, so that a signer need not outlive it.
type TC3Signer struct {
	SecretID  string               `json:"-"`
	SecretKey secret.Value[string] `json:"-"`
}

// Format hides the key, whatever the verb.
func (s TC3Signer) Format(f fmt.State, _ rune) { secret.Mask(f, s.String()) }

// String hides the key.
func (s TC3Signer) String() string { return "[TC3 key " + s.SecretID + "]" }

// LogValue hides the key.
func (s TC3Signer) LogValue() slog.Value { return slog.StringValue(s.String()) }

// Authorization returns the header that signs a call. u is where it goes, in the
// form in which it is sent. Of signed all headers are signed, and the host in any
// case, as it is in u; Content-Type must be among them. at goes into X-Timestamp, in
// unix seconds.
func (s TC3Signer) Authorization(method string, u *url.URL, signed http.Header, params []Param, at time.Time) string {
	headers := lowerHeader(signed)
	headers[headerHost] = []string{u.Host}
	headerNames := slices.Sorted(maps.Keys(headers))
	values, paramNames, _ := payload(params)
	// The library sorts as people do (localeCompare) and we as machines: that
	// differs for digits next to punctuation, of which no name has any. Who verifies
	// goes by the order that is written in the header.
	slices.Sort(paramNames)
	date := tc3Date(at)
	request := canonicalRequest(method, u, headerNames, headers, payloadHash(paramNames, values))
	return tc3Scheme + " Credential=" + s.SecretID + "/" + tc3Scope(date) +
		", SignedParams=" + strings.Join(paramNames, ";") +
		", SignedHeaders=" + strings.Join(headerNames, ";") +
		", Signature=" + signTC3(s.SecretKey.Reveal(), date, stringToSign(at, date, request))
}

// tc3Date is the day in UTC, whatever zone t is in.
func tc3Date(t time.Time) string { return t.UTC().Format(time.DateOnly) }

// tc3Scope is what a derived key is good for.
func tc3Scope(date string) string { return date + "/" + tc3Service + "/" + tc3Request }

// payload returns what of params is signed: the values, the names by which they are
// signed, in the order given, and whether each is there once.
func payload(params []Param) (values map[string][]byte, names []string, once bool) {
	values = make(map[string][]byte, len(params))
	once = true
	for _, p := range params {
		name := signedName(p.Name)
		value := p.Value
		if !p.Binary {
			value = bytes.TrimFunc(value, isSpace)
		}
		if len(value) == 0 && !p.Binary {
			continue
		}
		if _, twice := values[name]; twice {
			once = false
			continue
		}
		values[name] = value
		names = append(names, name)
	}
	return values, names, once
}

// signedName is a parameter's name as it is signed.
func signedName(name string) string { return escape(strings.ToLower(strings.TrimFunc(name, isSpace))) }

// payloadHash hashes the values in the order of names, whatever the media type: a
// call signs alike as JSON and as a form. Nothing in a value is escaped; how it can
// be told from two values is the verifier's concern.
func payloadHash(names []string, values map[string][]byte) string {
	h := sha256.New()
	for _, name := range names {
		h.Write([]byte("&" + name + "="))
		h.Write(values[name])
		h.Write([]byte("\r\n"))
	}
	return hex.EncodeToString(h.Sum(nil))
}

// canonicalRequest returns the call as it is signed. The method is in lower case,
// since the library is given it so; of the address everything before the query
// but the scheme is one line, since a call from inside goes over plain HTTP.
func canonicalRequest(method string, u *url.URL, names []string, headers map[string][]string, payload string) string {
	return canonicalLines(strings.ToLower(method), "//"+u.Host+u.EscapedPath(), u.RawQuery, names, headers, payload)
}

// canonicalLines is what both dialects sign.
func canonicalLines(method, address, query string, names []string, headers map[string][]string, payload string) string {
	var b strings.Builder
	b.WriteString(method + "\n" + address + "\n" + query + "\n")
	for _, name := range names {
		value := strings.Join(headers[name], ",")
		switch {
		case name != headerContentType:
			value = strings.ToLower(strings.TrimFunc(value, isSpace))
		case strings.HasPrefix(value, mediaForm): // whose boundary is not known yet
			value = mediaForm
		}
		b.WriteString(name + ":" + value + "\n")
	}
	b.WriteString("\n" + strings.Join(names, ";") + "\n" + payload)
	return b.String()
}

// stringToSign returns the few lines under which the key is put: the request is in
// them only as its hash.
func stringToSign(at time.Time, date, request string) string {
	digest := sha256.Sum256([]byte(request))
	return tc3Scheme + "\n" + strconv.FormatInt(at.Unix(), 10) + "\n" + tc3Scope(date) + "\n" + hex.EncodeToString(digest[:])
}

// signTC3 signs with a key that is derived for the day and the service.
func signTC3(secretKey, date, text string) string {
	key := []byte("TC3" + secretKey)
	for _, part := range []string{date, tc3Service, tc3Request, text} {
		key = hmacSHA256(key, part)
	}
	return hex.EncodeToString(key)
}

func hmacSHA256(key []byte, text string) []byte {
	h := hmac.New(sha256.New, key)
	h.Write([]byte(text))
	return h.Sum(nil)
}

// lowerHeader returns h by names in lower case.
func lowerHeader(h http.Header) map[string][]string {
	lower := make(map[string][]string, len(h)+1)
	for name, values := range h {
		name = strings.ToLower(name)
		lower[name] = append(lower[name], values...)
	}
	return lower
}

// escape is JavaScript's encodeURIComponent with the five characters that it
// leaves alone and RFC 3986 does not.
func escape(s string) string { return strings.ReplaceAll(url.QueryEscape(s), "+", "%20") }

// isSpace is what JavaScript's trim takes away.
func isSpace(r rune) bool { return r == '\uFEFF' || r != '\u0085' && unicode.IsSpace(r) }
