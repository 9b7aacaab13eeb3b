package cloudbase

import (
	"bytes"
	"context"
	"errors"
	"net/http"
	"strconv"
	"strings"
	"time"

	"wxrefund/shared/wxpay"
)

// An API calls the HTTP API of one CloudBase environment, as its administrator
// (https://docs.cloudbase.net/http-api/pgdb/exec-pgsql). It is another door than
// [Gateway]'s, with a signature of another dialect.
type API struct {
	URL         string // [APIURL] of the environment, or another without a slash at its end
	HTTP        *http.Client
	Credentials func(ctx context.Context) (Credentials, error) // of the request that ctx belongs to
}

// APIURL is where the HTTP API of an environment in mainland China is. Elsewhere "intl."
// stands before tcloudbasegateway.com.
func APIURL(envID string) string { return "https://" + envID + ".api.tcloudbasegateway.com" }

// Post sends a JSON object to a path below URL and returns the answer, whatever its
// status; [wxpay.ErrTooLarge] if it has more than limit bytes. An error that does not
// wrap [wxpay.ErrUnsent] says nothing about whether the call was carried out.
//
// With [Credentials.APIKey] that is what it brings; without, it is signed with the key
// pair ([TC3Signer.APIAuthorization]).
func (a *API) Post(ctx context.Context, path string, body []byte, limit int64) (wxpay.Reply, error) {
	c, err := a.Credentials(ctx)
	if err == nil {
		err = c.usable()
	}
	if err != nil {
		return wxpay.Reply{}, unsent("there are no credentials for the HTTP API of CloudBase", err)
	}
	req, err := a.request(ctx, c, path, body, time.Now())
	if err != nil {
		return wxpay.Reply{}, unsent("the request to the HTTP API of CloudBase cannot be made", err)
	}
	return wxpay.ExchangeWithin(a.HTTP, req, limit)
}

// request has the headers that CloudBase's SDK sends, all of which it signs.
func (a *API) request(ctx context.Context, c Credentials, path string, body []byte, now time.Time) (*http.Request, error) {
	now = now.Add(-time.Second) // as the SDK does, for servers whose clock is behind
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, a.URL+path, bytes.NewReader(body))
	if err != nil {
		return nil, errors.New("its address is malformed")
	}
	req.Header = sdkHeaders(c, now)
	req.Header.Set("Content-Type", "application/json")
	if key := c.APIKey.Reveal(); key != "" {
		req.Header.Set("Authorization", "Bearer "+key)
		return req, nil
	}
	signer := TC3Signer{SecretID: c.SecretID, SecretKey: c.SecretKey}
	req.Header.Set("Authorization", signer.APIAuthorization(req.Method, req.URL, req.Header, body, c.SessionToken, now))
	return req, nil
}

// sdkHeaders are those by which CloudBase's SDK names itself.
func sdkHeaders(c Credentials, at time.Time) http.Header {
	source := "scf"
	if c.Source != "" {
		source = c.Source + ",scf"
	}
	return http.Header{
		"User-Agent":         {userAgent},
		"X-Sdk-Version":      {userAgent},
		"X-Tcb-Source":       {source},
		"X-Client-Timestamp": {strconv.FormatInt(at.UnixMilli(), 10)},
	}
}

// The errors of credentials with which nothing can be called.
var (
	errNoKeys = errors.New("set CLOUDBASE_APIKEY, or TENCENTCLOUD_SECRETID and TENCENTCLOUD_SECRETKEY")
	errOddKey = errors.New("CLOUDBASE_APIKEY, or what is set or lent instead, has a space, a line break or another character that no key has")
)

// usable says why nothing can be called with c; nil: it can. What fits into no header is
// found here, where it is certain that nothing is sent.
func (c Credentials) usable() error {
	switch {
	case c.APIKey.Reveal() == "" && (c.SecretID == "" || c.SecretKey.Reveal() == ""):
		return errNoKeys
	case !visible(c.APIKey.Reveal()) || !visible(c.SecretID) || !visible(c.SessionToken.Reveal()):
		return errOddKey
	}
	return nil
}

// visible tells whether a text is of visible ASCII characters alone.
func visible(s string) bool {
	return !strings.ContainsFunc(s, func(r rune) bool { return r <= ' ' || r > '~' })
}
