package wxpay

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/url"
	"sync/atomic"
	"time"
)

// maxReply bounds a reply's body in bytes. A refund's has about 500.
const maxReply = 1 << 20

// Exchange sends a request and reads the reply, verifying nothing. Its error
// wraps [ErrUnsent] if there never was a connection, so that the request
// certainly did not leave; else it may have been carried out.
func Exchange(client *http.Client, req *http.Request) (Reply, error) {
	return ExchangeWithin(client, req, maxReply)
}

// ExchangeWithin is [Exchange] for replies of up to limit bytes, instead of 1 MiB.
func ExchangeWithin(client *http.Client, req *http.Request, limit int64) (Reply, error) {
	resp, err := answered(client, req)
	if err != nil {
		return Reply{}, err
	}
	defer resp.Body.Close()
	return whole(resp, limit)
}

// whole reads a reply's body, which has up to limit bytes.
func whole(resp *http.Response, limit int64) (Reply, error) {
	// To the end of the body, so that the connection can be used again.
	got, err := io.ReadAll(io.LimitReader(resp.Body, limit+1))
	switch {
	case err != nil:
		return Reply{}, fmt.Errorf("wxpay: reply broke off: %w", err)
	case int64(len(got)) > limit:
		return Reply{}, ErrTooLarge
	}
	return Reply{Status: resp.StatusCode, Header: resp.Header, Body: got}, nil
}

// answered sends a request; the reply's body is still to be read, and closed.
func answered(client *http.Client, req *http.Request) (*http.Response, error) {
	// The trace only watches: a connection that was wanted and never had is proof
	// that nothing was sent, whether it was the name, the route or TLS that failed.
	var wanted, had atomic.Bool
	traced := httptrace.WithClientTrace(req.Context(), &httptrace.ClientTrace{
		GetConn: func(string) { wanted.Store(true) },
		GotConn: func(httptrace.GotConnInfo) { had.Store(true) },
	})
	if err := traced.Err(); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrUnsent, context.Cause(traced))
	}
	resp, err := client.Do(req.WithContext(traced))
	if err != nil {
		// The error of net/http quotes the URL, and with it the request.
		if u, ok := errors.AsType[*url.Error](err); ok {
			err = u.Err
		}
		if !had.Load() && (wanted.Load() || isDial(err)) {
			return nil, fmt.Errorf("%w: %w", ErrUnsent, err)
		}
		return nil, fmt.Errorf("wxpay: no reply: %w", err)
	}
	return resp, nil
}

// Failover sends to one host after another until one has been reached, and returns
// what came of that: what has not left can be sent again as it is. If none is
// reached the error, which wraps [ErrUnsent], is the last one's.
func Failover(hosts []string, send func(host string) (Reply, error)) (reply Reply, err error) {
	err = fmt.Errorf("%w: there is no host", ErrUnsent)
	for _, host := range hosts {
		if reply, err = send(host); !errors.Is(err, ErrUnsent) {
			break
		}
	}
	return reply, err
}

// isDial recognises a failed dial by the error itself, for a transport that does
// not tell the trace what it does. Of such a one no other error is proof: it may
// have sent the request before it failed.
func isDial(err error) bool {
	op, ok := errors.AsType[*net.OpError](err)
	return ok && op.Op == "dial"
}

// NewHTTPClient returns a client with bounded times that keeps connections open
// between calls and follows no redirect. What it keeps of connections lives as
// long as the client, therefore a program should have one and not one a call.
// config is for mutual TLS; it may be nil.
func NewHTTPClient(config *tls.Config) *http.Client {
	return &http.Client{
		CheckRedirect: noRedirect,
		Transport: &http.Transport{
			Proxy:                 http.ProxyFromEnvironment,
			DialContext:           (&net.Dialer{Timeout: 3 * time.Second, KeepAlive: 30 * time.Second}).DialContext,
			TLSClientConfig:       config,
			TLSHandshakeTimeout:   3 * time.Second,
			ResponseHeaderTimeout: defaultTimeout,
			ForceAttemptHTTP2:     true,
			MaxIdleConnsPerHost:   16,
			// Short, because a function that was frozen would else wake up with
			// connections that the other side has long closed, and a refund sent
			// into one of them has an unknown outcome.
			IdleConnTimeout: 30 * time.Second,
			// The signature is over the body as it is, and a small reply cannot
			// unpack into a large one.
			DisableCompression: true,
		},
	}
}

// noRedirect: a redirect would carry the Authorization, and perhaps the refund,
// elsewhere. WeChat Pay sends none; one that comes is a reply like any other, and
// no 2xx.
func noRedirect(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
