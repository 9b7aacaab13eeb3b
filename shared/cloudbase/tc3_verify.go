package cloudbase

import (
	"bytes"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"wxrefund/shared/wxpay"
)

const (
	maxTC3      = 4096 // of the header, in bytes; a real one has about 400
	maxSecretID = 128  // in bytes; a real one has 36
	window      = 300  // how far from now X-Timestamp may be, in seconds
)

// A TC3Credential is what the Authorization header of a call of CloudBase says. It
// is a claim until [TC3Credential.Verify] has returned nil.
type TC3Credential struct {
	SecretID      string   // whose key to verify with; not signed itself
	Date          string   // as 2006-01-02
	SignedParams  []string // in lower case
	SignedHeaders []string // in lower case
	Signature     string   // hexadecimal
}

// ParseTC3 reads an Authorization header in the one form in which
// [TC3Signer.Authorization] writes it, and CloudBase's library. Any fault is
// [wxpay.ErrHeader], and nothing of the header is in its text.
//
// What WeChat Pay's own header may have, attributes in any order, would help nobody
// here: there is one library, and it writes one order. That each credential has one
// spelling leaves nothing to be altered in it unseen.
func ParseTC3(authorization string) (TC3Credential, error) {
	malformed := func(what string) (TC3Credential, error) {
		return TC3Credential{}, fmt.Errorf("%w: Authorization %s", wxpay.ErrHeader, what)
	}
	if len(authorization) > maxTC3 {
		return malformed("is too long")
	}
	rest, ok := strings.CutPrefix(authorization, tc3Scheme+" ")
	if !ok {
		return malformed("is not " + tc3Scheme)
	}
	parts := strings.Split(rest, ", ")
	if len(parts) != 4 {
		return malformed("has not four parts")
	}
	for i, name := range []string{"Credential=", "SignedParams=", "SignedHeaders=", "Signature="} {
		if parts[i], ok = strings.CutPrefix(parts[i], name); !ok {
			return malformed("lacks " + strings.TrimSuffix(name, "="))
		}
	}
	c := TC3Credential{Signature: parts[3]}
	if c.SecretID, c.Date, ok = splitCredential(parts[0]); !ok {
		return malformed("has an odd credential")
	}
	// That host and content type are among the headers is for Verify to say: without
	// them this is a signature of too little, but a signature.
	var okParams, okHeaders bool
	c.SignedParams, okParams = splitNames(parts[1])
	c.SignedHeaders, okHeaders = splitNames(parts[2])
	if !okParams || !okHeaders {
		return malformed("has an odd list of names")
	}
	if !isSignature(c.Signature) {
		return malformed("has an odd signature")
	}
	return c, nil
}

// splitCredential reads whose key it is, and the day for which it was derived.
func splitCredential(s string) (id, date string, ok bool) {
	id, scope, _ := strings.Cut(s, "/")
	date, _, _ = strings.Cut(scope, "/")
	_, err := time.Parse(time.DateOnly, date)
	return id, date, err == nil && scope == tc3Scope(date) && isID(id)
}

// isSignature tells whether s is one, in the spelling that both libraries have.
func isSignature(s string) bool {
	sum, err := hex.DecodeString(s)
	return err == nil && len(sum) == sha256.Size && s == strings.ToLower(s)
}

// isID reports whether s may be a secret ID: visible ASCII without a comma, which
// ends it in the header, not empty and not long.
func isID(s string) bool {
	odd := func(r rune) bool { return r <= ' ' || r > '~' || r == ',' }
	return s != "" && len(s) <= maxSecretID && !strings.ContainsFunc(s, odd)
}

// splitNames reads a list of names, which may be empty but names nothing twice.
func splitNames(list string) (names []string, ok bool) {
	if list == "" {
		return nil, true
	}
	names = strings.Split(list, ";")
	seen := make(map[string]bool, len(names))
	for _, name := range names {
		// Only what escape makes of a name in lower case. A header's name is no more
		// than that either.
		plain, err := url.QueryUnescape(name)
		if err != nil || name == "" || seen[name] || escape(strings.ToLower(plain)) != name {
			return nil, false
		}
		seen[name] = true
	}
	return names, true
}

// Verify says whether the call was signed with secretKey: nil, [wxpay.ErrStale],
// [wxpay.ErrSignature], or [wxpay.ErrUnknownKey] if secretKey is "". secretKey is that of
// c.SecretID, u the address with the host, h the headers, params all of the body,
// at the time in X-Timestamp.
//
// The signature must cover the host, the content type and every parameter, else
// something could be slipped in. By the protocol's own design it does not tell the
// case of parameters' names and of headers' values.
func (c TC3Credential) Verify(secretKey, method string, u *url.URL, h http.Header, params []Param, at time.Time, now time.Time) error {
	headers, err := signedHeaders(secretKey, c.Date, c.SignedHeaders, u, h, at, now)
	if err != nil {
		return err
	}
	names, values, err := c.payload(params)
	if err != nil {
		return err
	}
	// In the order in which the header lists them: the library sorts otherwise than we.
	request := canonicalRequest(method, u, c.SignedHeaders, headers, payloadHash(names, values))
	return checkSignature(secretKey, c.Date, c.Signature, request, len(c.SignedHeaders), at)
}

// checkSignature compares what a call says with what it must be.
func checkSignature(secretKey, date, signature, request string, headers int, at time.Time) error {
	// A line feed in the address or a header would let one line pass for two.
	if strings.Count(request, "\n") != headers+5 {
		return fmt.Errorf("%w: a line feed where none can be", wxpay.ErrSignature)
	}
	want := signTC3(secretKey, date, stringToSign(at, date, request))
	if subtle.ConstantTimeCompare([]byte(signature), []byte(want)) != 1 {
		return wxpay.ErrSignature
	}
	return nil
}

// signedHeaders returns those that are signed, each of which must be there once, the host
// and the content type among them. What need not be computed has been checked by then.
func signedHeaders(secretKey, date string, names []string, u *url.URL, h http.Header, at, now time.Time) (map[string][]string, error) {
	if d := now.Unix() - at.Unix(); d >= window || d <= -window {
		return nil, fmt.Errorf("%w: %d s", wxpay.ErrStale, d)
	}
	if secretKey == "" {
		return nil, fmt.Errorf("%w: no secret key", wxpay.ErrUnknownKey)
	}
	// The key is derived for a day. Of another day's it would be good for longer than
	// the window says.
	if date != tc3Date(at) {
		return nil, fmt.Errorf("%w: signed for another day than the call's time", wxpay.ErrSignature)
	}
	headers := lowerHeader(h)
	// net/http takes the host out of the headers; where it is still there, it must
	// be the same.
	if len(headers[headerHost]) == 0 {
		headers[headerHost] = []string{u.Host}
	}
	if !strings.EqualFold(headers[headerHost][0], u.Host) {
		return nil, fmt.Errorf("%w: Host is not that of the address", wxpay.ErrSignature)
	}
	for _, name := range []string{headerHost, headerContentType} {
		if !slices.Contains(names, name) {
			return nil, fmt.Errorf("%w: %s is not signed", wxpay.ErrSignature, name)
		}
	}
	for _, name := range names {
		if len(headers[name]) != 1 {
			return nil, fmt.Errorf("%w: a signed header is missing or there twice", wxpay.ErrSignature)
		}
	}
	return headers, nil
}

// payload returns the parameters that are hashed, in the order in which they are listed,
// and their values; they must be exactly those signed. SignedParams is not itself signed,
// so it is only ever compared: what it leaves out is refused, not passed over.
//
// What is empty is never hashed. The library has listed it nevertheless before its
// version 2.2, so that its name is passed over where it is listed.
func (c TC3Credential) payload(params []Param) (names []string, values map[string][]byte, err error) {
	refuse := func(why string) ([]string, map[string][]byte, error) {
		return nil, nil, fmt.Errorf("%w: %s", wxpay.ErrSignature, why)
	}
	values, all, once := payload(params)
	if !once {
		return refuse("a parameter is there twice")
	}
	empty := emptyNames(params)
	for _, name := range c.SignedParams {
		value, ok := values[name]
		switch {
		case ok:
			names = append(names, name)
		case !empty[name]:
			return refuse("other parameters than those signed")
		}
		// It could be the end of one parameter and the beginning of the next.
		if bytes.Contains(value, []byte("\r\n&")) {
			return refuse("a value may be taken for several parameters")
		}
	}
	if len(names) != len(all) {
		return refuse("other parameters than those signed")
	}
	return names, values, nil
}

// emptyNames returns the names of parameters in which there is nothing to sign.
func emptyNames(params []Param) map[string]bool {
	empty := map[string]bool{}
	for _, p := range params {
		if !p.Binary && len(bytes.TrimFunc(p.Value, isSpace)) == 0 {
			empty[signedName(p.Name)] = true
		}
	}
	return empty
}
