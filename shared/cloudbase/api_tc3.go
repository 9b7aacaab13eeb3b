package cloudbase

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"wxrefund/shared/secret"
	"wxrefund/shared/wxpay"
)

// maxToken is how long the token of lent keys may be, in bytes (Tencent Cloud, STS,
// "Credentials").
const maxToken = 4096

// APIAuthorization returns the header that signs a call of CloudBase's HTTP API. That is
// TC3 as all of Tencent Cloud has it (https://cloud.tencent.com/document/api/598/38504),
// by which the npm package @cloudbase/signature-nodejs signs with isCloudApi: the payload
// is the body as it is sent, and the time and the token of lent keys stand behind the
// signature, where the SDK writes them.
//
// All of signed is signed, and the host in any case, as it is in u; Content-Type must be
// among them. token may be empty.
func (s TC3Signer) APIAuthorization(method string, u *url.URL, signed http.Header, body []byte, token secret.Value[string], at time.Time) string {
	headers := lowerHeader(signed)
	headers[headerHost] = []string{u.Host}
	names := slices.Sorted(maps.Keys(headers))
	date := tc3Date(at)
	request := apiRequest(method, u, names, headers, body)
	authorization := tc3Scheme + " Credential=" + s.SecretID + "/" + tc3Scope(date) +
		", SignedHeaders=" + strings.Join(names, ";") +
		", Signature=" + signTC3(s.SecretKey.Reveal(), date, stringToSign(at, date, request)) +
		", Timestamp=" + strconv.FormatInt(at.Unix(), 10)
	if token.Reveal() != "" {
		authorization += ", Token=" + token.Reveal()
	}
	return authorization
}

// apiRequest returns the call as it is signed.
func apiRequest(method string, u *url.URL, names []string, headers map[string][]string, body []byte) string {
	path := u.EscapedPath()
	if path == "" {
		path = "/"
	}
	sum := sha256.Sum256(body)
	return canonicalLines(method, path, u.RawQuery, names, headers, hex.EncodeToString(sum[:]))
}

// An APICredential is what the Authorization header of a signed call of the HTTP API says.
// It is a claim until [APICredential.Verify] has returned nil.
type APICredential struct {
	SecretID      string    // whose key to verify with; not signed itself
	Date          string    // as 2006-01-02
	SignedHeaders []string  // in lower case
	Signature     string    // hexadecimal
	At            time.Time // to the second

	// Token is that of the session for which the key pair was lent; empty: the pair is an
	// account's own. It is not signed: who verifies has to know whether it is the pair's.
	Token secret.Value[string] `json:"-"`
}

// ParseAPITC3 reads an Authorization header in the one form in which
// [TC3Signer.APIAuthorization] writes it, and CloudBase's SDK. Any fault is
// [wxpay.ErrHeader], and nothing of the header is in its text.
func ParseAPITC3(authorization string) (APICredential, error) {
	malformed := func(what string) (APICredential, error) {
		return APICredential{}, fmt.Errorf("%w: Authorization %s", wxpay.ErrHeader, what)
	}
	if len(authorization) > maxTC3+maxToken {
		return malformed("is too long")
	}
	rest, ok := strings.CutPrefix(authorization, tc3Scheme+" ")
	if !ok {
		return malformed("is not " + tc3Scheme)
	}
	names := []string{"Credential=", "SignedHeaders=", "Signature=", "Timestamp=", "Token="}
	parts := strings.Split(rest, ", ")
	if len(parts) != len(names) && len(parts) != len(names)-1 {
		return malformed("has not four or five parts")
	}
	for i := range parts {
		if parts[i], ok = strings.CutPrefix(parts[i], names[i]); !ok {
			return malformed("lacks " + strings.TrimSuffix(names[i], "="))
		}
	}
	c := APICredential{Signature: parts[2]}
	if c.SecretID, c.Date, ok = splitCredential(parts[0]); !ok {
		return malformed("has an odd credential")
	}
	if c.SignedHeaders, ok = splitNames(parts[1]); !ok {
		return malformed("has an odd list of names")
	}
	if !isSignature(c.Signature) {
		return malformed("has an odd signature")
	}
	seconds, err := strconv.ParseInt(parts[3], 10, 64)
	if err != nil || strconv.FormatInt(seconds, 10) != parts[3] {
		return malformed("has an odd time")
	}
	c.At = time.Unix(seconds, 0)
	if len(parts) == len(names) {
		if parts[4] == "" || !visible(parts[4]) || strings.Contains(parts[4], ",") {
			return malformed("has an odd token")
		}
		c.Token = secret.Text(parts[4])
	}
	return c, nil
}

// Verify says whether the call was signed with secretKey: nil, [wxpay.ErrStale],
// [wxpay.ErrSignature], or [wxpay.ErrUnknownKey] if secretKey is "". secretKey is that of
// c.SecretID, u the address with the host, h the headers, body as it came.
//
// The signature must cover the host and the content type. By the protocol's own design it
// does not tell the case of headers' values.
func (c APICredential) Verify(secretKey, method string, u *url.URL, h http.Header, body []byte, now time.Time) error {
	headers, err := signedHeaders(secretKey, c.Date, c.SignedHeaders, u, h, c.At, now)
	if err != nil {
		return err
	}
	request := apiRequest(method, u, c.SignedHeaders, headers, body)
	return checkSignature(secretKey, c.Date, c.Signature, request, len(c.SignedHeaders), c.At)
}
