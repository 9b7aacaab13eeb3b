package wxpay

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"
)

// defaultTimeout bounds a call whose context has no deadline.
const defaultTimeout = 10 * time.Second

// defaultHosts are WeChat Pay's main and standby hosts in mainland China
// (docs/merchant/products/refund/apilist.html).
var defaultHosts = []string{"https://api.mch.weixin.qq.com", "https://api2.mch.weixin.qq.com"}

// BillHosts are those of WeChat Pay that a download_url may lead to.
func BillHosts() []string { return slices.Clone(defaultHosts) }

// A Client sends signed requests to WeChat Pay and verifies the replies. Set its
// fields before the first use and leave them; it may then be used by many at the
// same time. It sends each request once and decides nothing: whether to ask again
// is for those who know what the request was about.
type Client struct {
	Signer *Signer  // required
	Keys   *Keyring // required, but for Certificates

	// HTTP is the client to send with; its timeouts and connections are kept, but
	// it never follows a redirect. Nil: one with bounded times that keeps
	// connections open between calls.
	HTTP *http.Client

	// Hosts are base URLs without a path, the preferred one first. Another is
	// tried only if no connection could be made, so that nothing was sent. Empty:
	// WeChat Pay's main and standby hosts.
	Hosts []string

	UserAgent string // WeChat Pay refuses requests without one. "": wxrefund

	once sync.Once
	http *http.Client // of HTTP, without redirects
}

// A Reply is what WeChat Pay answered.
type Reply struct {
	Status   int // HTTP status
	Header   http.Header
	Body     []byte // whole
	Verified bool   // its signature holds; true of every 2xx
}

// Do signs a request, sends it once and returns the verified reply. uri is path
// and query in the encoded form in which they will be sent; body is JSON or nil.
//
// A reply that is not 2xx is a [Reply] too. WeChat Pay may leave it unsigned
// (Verified is false then: anybody on the way could have written it), but if it
// carries a signature, that must hold.
//
// An error that wraps [ErrUnsent] says that nothing has happened. Every other
// error leaves it open whether the request was carried out: among them a 2xx
// whose signature does not hold (the errors of [Keyring.Verify]), a reply
// that broke off, [ErrTooLarge] and the end of ctx. Without a deadline in ctx a
// call ends after 10 seconds.
func (c *Client) Do(ctx context.Context, method, uri string, body []byte) (Reply, error) {
	return c.DoSealed(ctx, method, uri, body, "")
}

// DoSealed is [Client.Do] with a body that holds fields sealed with the key of that
// serial, see [Keyring.SealingKey]. WeChat Pay signs the reply with the same.
func (c *Client) DoSealed(ctx context.Context, method, uri string, body []byte, serial string) (Reply, error) {
	ctx, cancel := withDefaultTimeout(ctx)
	defer cancel()
	if c.Keys == nil {
		return Reply{}, fmt.Errorf("%w: client has no keys to verify the reply with", ErrUnsent)
	}
	r, err := c.send(ctx, method, uri, body, serial)
	if err != nil {
		return Reply{}, err
	}
	// An error without a signature is let through as such: whoever could take one
	// away could as well have kept the reply from us.
	if _, signed := r.Header[headerSignature]; signed || r.Status/100 == 2 {
		if err := c.Keys.Verify(ctx, r.Header, r.Body); err != nil {
			return Reply{}, fmt.Errorf("reply with status %d: %w", r.Status, err)
		}
		r.Verified = true
	}
	return r, nil
}

// send is [Client.Do] without verifying anything.
func (c *Client) send(ctx context.Context, method, uri string, body []byte, serial string) (Reply, error) {
	c.once.Do(c.prepare)
	authorization, err := c.Signer.Authorization(method, uri, body)
	if err != nil {
		return Reply{}, fmt.Errorf("%w: %w", ErrUnsent, err)
	}
	hosts := c.Hosts
	if len(hosts) == 0 {
		hosts = defaultHosts
	}
	// The signature does not cover the host.
	return Failover(hosts, func(host string) (Reply, error) {
		req, err := c.request(ctx, host, method, uri, authorization, body)
		if err != nil {
			return Reply{}, err
		}
		if serial != "" {
			req.Header.Set(headerSerial, serial)
		}
		return Exchange(c.http, req)
	})
}

// request builds the request. Its errors wrap [ErrUnsent].
func (c *Client) request(ctx context.Context, host, method, uri, authorization string, body []byte) (*http.Request, error) {
	if err := ctx.Err(); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrUnsent, context.Cause(ctx))
	}
	req, err := http.NewRequestWithContext(ctx, method, strings.TrimSuffix(host, "/")+uri, bytes.NewReader(body))
	// What is signed must be what is sent: a space, a fragment or a host with a
	// path of its own would be sent as something else.
	if err != nil || req.URL.Host == "" || req.URL.RequestURI() != uri {
		return nil, fmt.Errorf("%w: host or uri is not in the form in which it is sent", ErrUnsent)
	}
	req.Header.Set("Authorization", authorization)
	req.Header.Set("Accept", "application/json")
	if len(body) > 0 {
		req.Header.Set("Content-Type", "application/json")
	}
	req.Header.Set("User-Agent", "wxrefund")
	if c.UserAgent != "" {
		req.Header.Set("User-Agent", c.UserAgent)
	}
	if c.Keys != nil && c.Keys.Preferred() != "" {
		req.Header.Set(headerSerial, c.Keys.Preferred())
	}
	return req, nil
}

// prepare makes the HTTP client, once: a copy of the caller's, whose own settings
// are not touched, or one of ours, which lives as long as the Client.
func (c *Client) prepare() {
	c.http = NewHTTPClient(nil)
	if c.HTTP != nil {
		*c.http = *c.HTTP
		c.http.CheckRedirect = noRedirect
	}
}

// withDefaultTimeout sees to it that every call ends.
func withDefaultTimeout(ctx context.Context) (context.Context, context.CancelFunc) {
	return withTimeout(ctx, defaultTimeout)
}

// withTimeout sets a deadline where ctx has none.
func withTimeout(ctx context.Context, d time.Duration) (context.Context, context.CancelFunc) {
	if _, ok := ctx.Deadline(); ok {
		return ctx, func() {}
	}
	return context.WithTimeout(ctx, d)
}
