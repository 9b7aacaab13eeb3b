package wxpay

import (
	"context"
	"crypto/rsa"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
)

const (
	refundsURI = "/v3/refund/domestic/refunds"
	refundBody = `{"out_refund_no":"canary-refund-1","reason":"canary-body"}`
	replyBody  = `{"refund_id":"50000000382019052709732678859","status":"PROCESSING"}`
)

// serve starts a server that stands for WeChat Pay.
func serve(t testing.TB, h http.HandlerFunc) *httptest.Server {
	t.Helper()
	s := httptest.NewUnstartedServer(h)
	s.Config.ErrorLog = log.New(io.Discard, "", 0)
	s.Start()
	t.Cleanup(s.Close)
	return s
}

// answer signs and sends a reply as WeChat Pay does.
func answer(w http.ResponseWriter, p *Platform, status int, body string) {
	if err := p.Sign(w.Header(), []byte(body), time.Now()); err != nil {
		panic(err)
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	io.WriteString(w, body)
}

func newClient(hosts ...string) *Client {
	return &Client{
		Signer: newSigner(),
		Keys:   NewKeyring(map[string]*rsa.PublicKey{pubID: &platformKey().PublicKey}, nil),
		Hosts:  hosts,
	}
}

func post(t testing.TB, c *Client) (Reply, error) {
	return c.Do(t.Context(), "POST", refundsURI, []byte(refundBody))
}

func TestDoSignsTheRequestAndVerifiesTheReply(t *testing.T) {
	const queryURI = refundsURI + "/R-1_2%7C3%2A4%405?sub_mchid=1900000109&a=%20b"
	src := &source{certs: both()}
	for _, tt := range []struct {
		name, method, uri, body string
		agent                   string
		keys                    *Keyring
		platform                *Platform
		headers                 http.Header // besides those that all requests have
	}{
		{"POST", "POST", refundsURI, refundBody, "", newClient().Keys, newPlatform(), http.Header{
			"Content-Type": {"application/json"}, "User-Agent": {"wxrefund"}, headerSerial: {pubID},
		}},
		{"GET", "GET", queryURI, "", "", newClient().Keys, newPlatform(), http.Header{"User-Agent": {"wxrefund"}, headerSerial: {pubID}}},
		{"without a public key, under a name of its own", "GET", queryURI, "", "shop/1.0", NewKeyring(nil, src.download), &Platform{serial1, platformKey()}, http.Header{
			"User-Agent": {"shop/1.0"},
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := serve(t, func(w http.ResponseWriter, r *http.Request) {
				body, _ := io.ReadAll(r.Body)
				if r.Method != tt.method || r.RequestURI != tt.uri || string(body) != tt.body {
					t.Errorf("request %s %s %q, want %s %s %q", r.Method, r.RequestURI, body, tt.method, tt.uri, tt.body)
				}
				c, err := ParseAuthorization(r.Header.Get("Authorization"))
				if err != nil || c.MchID != mchID || c.SerialNo != mchSerial {
					t.Errorf("credential %v, error %v", c, err)
				}
				if err := c.Verify(&merchantKey().PublicKey, r.Method, r.RequestURI, body, time.Now()); err != nil {
					t.Error("request's signature:", err)
				}
				got := r.Header.Clone()
				got.Del("Authorization")
				got.Del("Content-Length")
				tt.headers.Set("Accept", "application/json")
				if diff := cmp.Diff(tt.headers, got); diff != "" {
					t.Errorf("headers (-want +got):\n%s", diff)
				}
				answer(w, tt.platform, 200, replyBody)
			})
			c := newClient(s.URL + "/")
			c.Keys, c.UserAgent = tt.keys, tt.agent
			r, err := c.Do(t.Context(), tt.method, tt.uri, []byte(tt.body))
			if err != nil {
				t.Fatal(err)
			}
			if r.Status != 200 || string(r.Body) != replyBody || !r.Verified || r.Header.Get(headerSerial) != tt.platform.Serial {
				t.Errorf("reply %+v", r)
			}
		})
	}
}

// timeoutFor is short where it is to run out, but enough to connect even on a busy machine.
func timeoutFor(name string) time.Duration {
	if name == "silent" {
		return time.Second
	}
	return time.Minute
}

func reset(w http.ResponseWriter) {
	conn, _, _ := w.(http.Hijacker).Hijack()
	conn.(*net.TCPConn).SetLinger(0)
	conn.Close()
}

// Replies that are neither good nor bad beyond doubt. One valid reply, one thing
// changed: the outcome must be an error that does not say "unsent", and no Reply.
// What may have been sent is not sent again. What else does not verify is in
// TestVerifyRefusesAnyOneThingChanged.
func TestDoubtfulRepliesLeaveTheOutcomeOpen(t *testing.T) {
	forger := &Platform{pubID, forgerKey()}
	signed := func(status int, mutate func(h http.Header)) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			newPlatform().Sign(w.Header(), []byte(replyBody), time.Now())
			mutate(w.Header())
			w.WriteHeader(status)
			if status != 204 {
				io.WriteString(w, replyBody)
			}
		}
	}
	for _, tt := range []struct {
		name  string
		serve http.HandlerFunc
		want  error
	}{
		{"200 unsigned", func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, replyBody) }, ErrHeader},
		{"204 unsigned", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(204) }, ErrHeader},
		{"204 signed over another body", signed(204, func(http.Header) {}), ErrSignature},
		{"200 forged", func(w http.ResponseWriter, _ *http.Request) { answer(w, forger, 200, replyBody) }, ErrSignature},
		{"200 body changed", func(w http.ResponseWriter, _ *http.Request) {
			newPlatform().Sign(w.Header(), []byte(replyBody), time.Now())
			io.WriteString(w, strings.Replace(replyBody, "PROCESSING", "SUCCESS", 1))
		}, ErrSignature},
		{"200 probe", signed(200, func(h http.Header) { h.Set(headerSignature, probe+"x") }), ErrProbe},
		{"200 without signature", signed(200, func(h http.Header) { h.Del(headerSignature) }), ErrHeader},
		{"200 unknown serial", signed(200, func(h http.Header) { h.Set(headerSerial, serial2) }), ErrUnknownKey},
		{"200 stale", func(w http.ResponseWriter, _ *http.Request) {
			newPlatform().Sign(w.Header(), []byte(replyBody), time.Now().Add(-5*time.Minute))
			io.WriteString(w, replyBody)
		}, ErrStale},
		{"400 forged", func(w http.ResponseWriter, _ *http.Request) { answer(w, forger, 400, replyBody) }, ErrSignature},
		{"403 signature empty", signed(403, func(h http.Header) { h.Set(headerSignature, "") }), ErrHeader},
		{"500 signature only", signed(500, func(h http.Header) { h.Del(headerNonce); h.Del(headerSerial) }), ErrHeader},
		{"too large", func(w http.ResponseWriter, _ *http.Request) {
			answer(w, newPlatform(), 200, strings.Repeat("x", maxReply+1))
		}, ErrTooLarge},
		{"too large, unsigned error", func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(500)
			io.WriteString(w, strings.Repeat("x", maxReply+1))
		}, ErrTooLarge},
		{"endless", func(w http.ResponseWriter, r *http.Request) {
			for r.Context().Err() == nil {
				if _, err := w.Write(make([]byte, 1<<16)); err != nil {
					return
				}
			}
		}, ErrTooLarge},
		{"cut off", func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "1000")
			answer(w, newPlatform(), 200, replyBody)
		}, io.ErrUnexpectedEOF},
		{"nothing at all", func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }, io.EOF},
		{"connection reset", func(w http.ResponseWriter, _ *http.Request) { reset(w) }, nil},
		{"silent", func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }, context.DeadlineExceeded},
		{"not HTTP", func(w http.ResponseWriter, _ *http.Request) {
			conn, _, _ := w.(http.Hijacker).Hijack()
			io.WriteString(conn, "220 smtp.example ESMTP\r\n")
			conn.Close()
		}, nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			calls := atomic.Int32{}
			s := serve(t, func(w http.ResponseWriter, r *http.Request) {
				calls.Add(1)
				io.Copy(io.Discard, r.Body)
				tt.serve(w, r)
			})
			ctx, cancel := context.WithTimeout(t.Context(), timeoutFor(tt.name))
			defer cancel()
			r, err := newClient(s.URL, s.URL).Do(ctx, "POST", refundsURI, []byte(refundBody))
			if err == nil || tt.want != nil && !errors.Is(err, tt.want) {
				t.Errorf("error %v, want %v", err, tt.want)
			}
			if errors.Is(err, ErrUnsent) {
				t.Errorf("error %v says that nothing was sent", err)
			}
			if diff := cmp.Diff(Reply{}, r); diff != "" {
				t.Errorf("a reply all the same:\n%s", diff)
			}
			if n := calls.Load(); n != 1 {
				t.Errorf("%d requests were made, want 1", n)
			}
			checkSecrets(t, "error", fmt.Sprint(err))
		})
	}
}

func TestRepliesThatAreNot2xxAreReplies(t *testing.T) {
	for _, tt := range []struct {
		name   string
		status int
		signed bool
		body   string
	}{
		{"a signed error", 403, true, `{"code":"NOT_ENOUGH"}`},
		{"an unsigned error", 500, false, `{"code":"SYSTEM_ERROR"}`},
		{"a gateway's HTML", 502, false, "<html>"},
		{"done, without a body", 204, true, ""},
		{"as large as may be", 200, true, strings.Repeat("x", maxReply)},
		{"a large error", 500, false, strings.Repeat("x", maxReply)},
		{"a body as it is", 200, true, `{"amount":{"refund":1},"退款":"é"}` + "\n"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			calls := atomic.Int32{}
			s := serve(t, func(w http.ResponseWriter, r *http.Request) {
				calls.Add(1)
				if tt.signed {
					answer(w, newPlatform(), tt.status, tt.body)
					return
				}
				w.WriteHeader(tt.status)
				io.WriteString(w, tt.body)
			})
			r, err := post(t, newClient(s.URL, s.URL))
			if err != nil || r.Status != tt.status || r.Verified != tt.signed || string(r.Body) != tt.body || calls.Load() != 1 {
				t.Errorf("reply %d, verified %t, %d bytes after %d requests; error %v", r.Status, r.Verified, len(r.Body), calls.Load(), err)
			}
		})
	}
}

func TestDoFollowsNoRedirect(t *testing.T) {
	for _, own := range []bool{false, true} {
		for _, status := range []int{301, 302, 303, 307, 308} {
			s := serve(t, func(w http.ResponseWriter, r *http.Request) {
				if r.URL.Path != refundsURI {
					t.Errorf("followed to %s with %d", r.URL, status)
				}
				w.Header().Set("Location", "/elsewhere")
				w.WriteHeader(status)
			})
			c := newClient(s.URL)
			if own {
				c.HTTP = &http.Client{}
			}
			if r, err := post(t, c); err != nil || r.Status != status || r.Verified {
				t.Errorf("reply %+v, error %v", r, err)
			}
			if own && c.HTTP.CheckRedirect != nil {
				t.Error("the caller's client was changed")
			}
		}
	}
}

// One connection serves many calls, whatever the replies are.
func TestDoReusesConnections(t *testing.T) {
	conns := atomic.Int32{}
	call := 0
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		io.Copy(io.Discard, r.Body)
		switch call++; call % 4 {
		case 0:
			answer(w, newPlatform(), 200, strings.Repeat("x", 300000))
		case 1:
			w.WriteHeader(500)
			io.WriteString(w, "<html>")
		case 2:
			answer(w, &Platform{pubID, forgerKey()}, 200, replyBody)
		case 3:
			answer(w, newPlatform(), 204, "")
		}
	}))
	s.Config.ConnState = func(_ net.Conn, state http.ConnState) {
		if state == http.StateNew {
			conns.Add(1)
		}
	}
	s.Start()
	defer s.Close()
	c := newClient(s.URL)
	for range 20 {
		post(t, c)
	}
	if n := conns.Load(); n != 1 || call != 20 {
		t.Errorf("%d connections for %d calls, want 1 for 20", n, call)
	}
}

func TestDoFromManyGoroutines(t *testing.T) {
	s := serve(t, func(w http.ResponseWriter, _ *http.Request) { answer(w, newPlatform(), 200, replyBody) })
	c := newClient(s.URL)
	var wg sync.WaitGroup
	for range 16 {
		wg.Go(func() {
			if r, err := post(t, c); err != nil || !r.Verified {
				t.Errorf("reply %+v, error %v", r, err)
			}
		})
	}
	wg.Wait()
}

// closedPort returns the URL of a port on which nobody listens.
func closedPort(t *testing.T) string {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return "http://" + l.Addr().String()
}

// The standby host is asked only if nothing can have reached the first.
func TestStandbyHostIsAskedOnlyIfNothingWasSent(t *testing.T) {
	authorizations := make(chan string, 10)
	standby := serve(t, func(w http.ResponseWriter, r *http.Request) {
		authorizations <- r.Header.Get("Authorization")
		answer(w, newPlatform(), 200, replyBody)
	})
	strange := httptest.NewUnstartedServer(http.NotFoundHandler()) // whose certificate we do not trust
	strange.Config.ErrorLog = log.New(io.Discard, "", 0)
	strange.StartTLS()
	defer strange.Close()
	plain := serve(t, func(http.ResponseWriter, *http.Request) { t.Error("plain HTTP reached a handler") })
	// Names are not asked of the machine's resolver, which may be slow.
	httpClient := &http.Client{Transport: &http.Transport{DialContext: func(ctx context.Context, network, addr string) (net.Conn, error) {
		if strings.Contains(addr, ".invalid") {
			return nil, &net.OpError{Op: "dial", Net: network, Err: &net.DNSError{Err: "no such host", Name: addr, IsNotFound: true}}
		}
		return (&net.Dialer{}).DialContext(ctx, network, addr)
	}}}

	for name, first := range map[string]string{
		"refuses connections":    closedPort(t),
		"has a bad certificate":  strange.URL,
		"does not speak TLS":     strings.Replace(plain.URL, "http:", "https:", 1),
		"has no address":         "http://host.invalid",
		"has an impossible port": "http://127.0.0.1:0",
		"is spoken to in gibber": "gibber://127.0.0.1",
		"is not a URL":           "http://[::1",
		"has a path of its own":  standby.URL + "/base",
		"is empty":               "",
	} {
		t.Run(name, func(t *testing.T) {
			c := newClient(first, standby.URL)
			c.HTTP = httpClient
			if name == "is spoken to in gibber" {
				// The transport refuses the scheme without asking for a connection:
				// there is no proof, so there is no second try.
				if _, err := post(t, c); err == nil || errors.Is(err, ErrUnsent) || len(authorizations) > 0 {
					t.Errorf("error %v", err)
				}
				return
			}
			r, err := post(t, c)
			if err != nil || !r.Verified {
				t.Fatalf("reply %+v, error %v", r, err)
			}
			if _, err := ParseAuthorization(<-authorizations); err != nil {
				t.Error(err)
			}

			c = newClient(first, closedPort(t))
			c.HTTP = httpClient
			_, err = post(t, c)
			if !errors.Is(err, ErrUnsent) {
				t.Errorf("with no host to be had: error %v, want %v", err, ErrUnsent)
			}
			checkSecrets(t, "error", fmt.Sprint(err))
		})
	}
}

// The same over HTTP/2, whose transport has its own way of telling the trace.
func TestRequestsAreSentOnceOverHTTP2(t *testing.T) {
	for name, handler := range map[string]http.HandlerFunc{
		"silent": func(w http.ResponseWriter, r *http.Request) { <-r.Context().Done() },
		"resets": func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) },
		"good":   func(w http.ResponseWriter, _ *http.Request) { answer(w, newPlatform(), 200, replyBody) },
	} {
		t.Run(name, func(t *testing.T) {
			s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if r.ProtoMajor != 2 {
					t.Errorf("protocol %s, want HTTP/2", r.Proto)
				}
				handler(w, r)
			}))
			s.Config.ErrorLog = log.New(io.Discard, "", 0)
			s.EnableHTTP2 = true
			s.StartTLS()
			defer s.Close()
			c := newClient(s.URL, closedPort(t))
			c.HTTP = s.Client()
			for range 2 { // on a new connection, and on an old one
				ctx, cancel := context.WithTimeout(t.Context(), timeoutFor(name))
				r, err := c.Do(ctx, "POST", refundsURI, []byte(refundBody))
				cancel()
				if (err == nil) != (name == "good") || r.Verified != (name == "good") || errors.Is(err, ErrUnsent) {
					t.Errorf("reply %+v, error %v", r, err)
				}
			}
		})
	}
}

// The connection that is kept may be closed by the other side at any time. A POST
// into it has an unknown outcome and is not repeated behind our back.
func TestDoOnDeadConnection(t *testing.T) {
	calls := atomic.Int32{}
	s := serve(t, func(w http.ResponseWriter, r *http.Request) {
		io.Copy(io.Discard, r.Body)
		if calls.Add(1) == 1 {
			answer(w, newPlatform(), 200, replyBody)
			return
		}
		reset(w)
	})
	c := newClient(s.URL)
	if _, err := post(t, c); err != nil {
		t.Fatal(err)
	}
	if _, err := post(t, c); err == nil || errors.Is(err, ErrUnsent) {
		t.Errorf("error %v, want one that leaves it open", err)
	}
	if n := calls.Load(); n != 2 {
		t.Errorf("%d requests, want 2", n)
	}
}

type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// A transport that is not net/http's tells the trace nothing.
func TestOnlyADialProvesNothingSentOverAnotherTransport(t *testing.T) {
	for name, tt := range map[string]struct {
		err    error
		unsent bool
	}{
		"any error":   {errors.New("boom"), false},
		"end of file": {io.EOF, false},
		"a read":      {&net.OpError{Op: "read", Err: errors.New("reset")}, false},
		"a write":     {&net.OpError{Op: "write", Err: errors.New("broken pipe")}, false},
		"a dial":      {&net.OpError{Op: "dial", Err: errors.New("refused")}, true},
		"a deep dial": {fmt.Errorf("proxy: %w", &net.OpError{Op: "dial", Err: errors.New("refused")}), true},
		"a deep one":  {fmt.Errorf("x: %w", io.ErrUnexpectedEOF), false},
	} {
		t.Run(name, func(t *testing.T) {
			c := newClient("http://a.example", "http://b.example")
			hosts := []string{}
			c.HTTP = &http.Client{Transport: roundTripper(func(r *http.Request) (*http.Response, error) {
				hosts = append(hosts, r.URL.Host)
				return nil, tt.err
			})}
			_, err := post(t, c)
			if errors.Is(err, ErrUnsent) != tt.unsent || !errors.Is(err, tt.err) {
				t.Errorf("error %v, want unsent: %t", err, tt.unsent)
			}
			if want := map[bool]int{true: 2, false: 1}[tt.unsent]; len(hosts) != want {
				t.Errorf("asked %v", hosts)
			}
			if u := new(url.Error); errors.As(err, &u) {
				t.Error("the error holds the URL:", err)
			}
			checkSecrets(t, "error", fmt.Sprint(err))
		})
	}
}

func TestWeChatPaysHostsAreTheDefault(t *testing.T) {
	hosts := []string{}
	c := newClient()
	c.HTTP = &http.Client{Transport: roundTripper(func(r *http.Request) (*http.Response, error) {
		hosts = append(hosts, r.URL.Scheme+"://"+r.URL.Host)
		return nil, &net.OpError{Op: "dial", Err: errors.New("refused")}
	})}
	post(t, c)
	if diff := cmp.Diff([]string{"https://api.mch.weixin.qq.com", "https://api2.mch.weixin.qq.com"}, hosts); diff != "" {
		t.Errorf("hosts (-want +got):\n%s", diff)
	}
}

// What cannot be sent is known not to have been.
func TestRequestsThatCannotBeMadeAreUnsent(t *testing.T) {
	s := serve(t, func(http.ResponseWriter, *http.Request) { t.Error("a request arrived") })
	for name, mutate := range map[string]func(*Client){
		"no signer":    func(c *Client) { c.Signer = nil },
		"no key":       func(c *Client) { c.Signer.Key = nil },
		"no keyring":   func(c *Client) { c.Keys = nil },
		"host garbled": func(c *Client) { c.Hosts = []string{":"} },
	} {
		c := newClient(s.URL)
		mutate(c)
		if _, err := post(t, c); !errors.Is(err, ErrUnsent) {
			t.Errorf("%s: error %v, want %v", name, err, ErrUnsent)
		}
	}
	// A URI that would be sent as something else than what is signed.
	for _, uri := range []string{"", "a", "@evil.example/", "/a b", "/a#b", "/a|b", "/退款", "/a\n", "/%zz", ".evil.example/x", ":80/x"} {
		if _, err := newClient(s.URL).Do(t.Context(), "GET", uri, nil); !errors.Is(err, ErrUnsent) {
			t.Errorf("uri %q: error %v, want %v", uri, err, ErrUnsent)
		}
	}
	if _, err := newClient(s.URL).Do(t.Context(), "BAD METHOD", "/", nil); !errors.Is(err, ErrUnsent) {
		t.Errorf("bad method: error %v, want %v", err, ErrUnsent)
	}
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(errors.New("too late"))
	if _, err := newClient(s.URL).Do(ctx, "GET", "/", nil); !errors.Is(err, ErrUnsent) || !strings.Contains(err.Error(), "too late") {
		t.Errorf("dead context: error %v, want %v and its cause", err, ErrUnsent)
	}
}

// A reply that cannot be verified because the certificates could not be fetched
// was a reply: the fetch's "unsent" must not become the refund's.
func TestAnUnsentDownloadIsNoUnsentRequest(t *testing.T) {
	s := serve(t, func(w http.ResponseWriter, _ *http.Request) {
		answer(w, &Platform{serial1, platformKey()}, 200, replyBody)
	})
	c := newClient(s.URL)
	c.Keys = NewKeyring(nil, func(context.Context) ([]Certificate, error) { return nil, fmt.Errorf("%w: refused", ErrUnsent) })
	if _, err := post(t, c); err == nil || errors.Is(err, ErrUnsent) {
		t.Errorf("error %v, want one that leaves it open", err)
	}
}

func TestEveryCallEnds(t *testing.T) {
	newClient()
	synctest.Test(t, func(t *testing.T) {
		hang := func(r *http.Request) (*http.Response, error) {
			<-r.Context().Done()
			return nil, r.Context().Err()
		}
		dripping := func(r *http.Request) (*http.Response, error) {
			return &http.Response{StatusCode: 200, Header: http.Header{}, Body: io.NopCloser(drip{r.Context()})}, nil
		}
		for name, tt := range map[string]struct {
			transport      roundTripper
			deadline, want time.Duration
		}{
			"no deadline": {hang, 0, 10 * time.Second}, "a short one": {hang, 3 * time.Second, 3 * time.Second}, "a long one": {hang, time.Minute, time.Minute},
			"no deadline, and a body that drips": {dripping, 0, 10 * time.Second},
		} {
			c := newClient()
			c.HTTP = &http.Client{Transport: tt.transport}
			ctx := context.Background()
			if tt.deadline > 0 {
				var cancel context.CancelFunc
				ctx, cancel = context.WithTimeout(ctx, tt.deadline)
				defer cancel()
			}
			start := time.Now()
			_, err := c.Do(ctx, "GET", "/", nil)
			if d := time.Since(start); d != tt.want || !errors.Is(err, context.DeadlineExceeded) || errors.Is(err, ErrUnsent) {
				t.Errorf("%s: error %v after %v, want %v", name, err, d, tt.want)
			}
		}
	})
}

// drip gives a byte a second until its context ends.
type drip struct{ ctx context.Context }

func (d drip) Read(p []byte) (int, error) {
	select {
	case <-time.After(time.Second):
		p[0] = 'x'
		return 1, nil
	case <-d.ctx.Done():
		return 0, d.ctx.Err()
	}
}

// The client of our own: its times are bounded, and it does not unpack.
func TestOwnHTTPClientIsBoundedAndUnpacksNothing(t *testing.T) {
	c := newClient()
	c.prepare()
	tr := c.http.Transport.(*http.Transport)
	if tr.TLSHandshakeTimeout <= 0 || tr.ResponseHeaderTimeout <= 0 || tr.IdleConnTimeout <= 0 || tr.DialContext == nil || !tr.DisableCompression || tr.MaxIdleConnsPerHost < 2 {
		t.Errorf("transport %+v", tr)
	}
	if tr.TLSClientConfig != nil {
		t.Error("TLS is not left to its defaults")
	}
}
