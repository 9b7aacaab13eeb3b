package clients_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"

	"wxrefund/shared/sandbox"
	"wxrefund/shared/sandbox/sandboxtest"
)

// A stage is a sandbox on listeners of its own, for one client and a merchant of one kind.
type stage struct {
	*sandboxtest.World
	t    *testing.T
	kind string

	wechat, wechatTLS, control string // URLs
	tls                        *tls.Config
	credentials                map[string]string
	outcomes                   outcomes
}

// outcomes are what came of the checks, by their names.
type outcomes map[string]string

// newStage starts a sandbox in which somebody has paid two orders, the second of them with
// a coupon, and with two functions in the merchant's environment. Without a transport,
// notifications go over the network.
func newStage(t *testing.T, kind string, transport http.RoundTripper) *stage {
	t.Helper()
	w := sandboxtest.New(t, func(c *sandbox.Config) {
		c.Merchant, c.Pace, c.Transport, c.ModuleFailure = kind, -1, transport, "code"
	})
	s := &stage{World: w, t: t, kind: kind, outcomes: outcomes{}}
	wechat, control := httptest.NewServer(w.Sandbox.WeChat()), httptest.NewServer(w.Sandbox.Control())
	t.Cleanup(wechat.Close)
	t.Cleanup(control.Close)
	s.wechat, s.control = wechat.URL, control.URL
	s.wechatTLS, s.tls = sandboxtest.TLSServer(t, w)
	w.Sandbox.SetURLs(sandbox.URLs{WeChat: s.wechat, WeChatTLS: s.wechatTLS})
	w.Sandbox.SetFunctions(map[string]sandbox.Function{
		"echo": func(_ context.Context, call sandbox.Call) (json.RawMessage, error) {
			return json.Marshal([]any{call.OpenID, call.Source, call.Event})
		},
		"broken": func(context.Context, sandbox.Call) (json.RawMessage, error) { return nil, errors.New("it broke") },
	})
	w.Control("GET", "/_sandbox/credentials", "", 200).Decode(t, &s.credentials)
	w.Order("T1")
	w.Pay(`{"out_trade_no":"T2","total":10000,"promotion_detail":[{"promotion_id":"9","scope":"GLOBAL","type":"CASH","amount":1000}]}`)
	return s
}

// attempt notes what a call comes to, or how it is refused.
func (s *stage) attempt(check string, call func() (string, error), refusal func(error) string) {
	outcome, err := call()
	if err != nil {
		outcome = refusal(err)
	}
	s.outcomes[check] = outcome
}

// file writes what a client wants as a file, and returns its path.
func (s *stage) file(name, text string) string {
	s.t.Helper()
	path := filepath.Join(s.t.TempDir(), name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		s.t.Fatal(err)
	}
	return path
}

// judged is a notification, and what its reader says to it.
type judged struct {
	sandboxtest.Post
	outcome string
}

// request is the notification as it came.
func (n judged) request() *http.Request {
	r := httptest.NewRequest("POST", n.URL, bytes.NewReader(n.Body))
	r.Header = n.Header.Clone()
	return r
}

// settle lets a refund succeed, and has a notification that was tampered with come before
// the genuine one. What the reader does not believe is not acknowledged.
func (s *stage) settle(r *sandboxtest.Receiver, number string, judge func(*http.Request) (string, error), acknowledgement string) (tampered, genuine judged) {
	s.t.Helper()
	var said []string
	before := len(r.Received())
	r.Answer = func(_ int, request *http.Request) (*http.Response, error) {
		outcome, err := judge(request)
		if err != nil {
			said = append(said, "refused")
			return sandboxtest.Respond(http.StatusUnauthorized, ""), nil
		}
		said = append(said, outcome)
		return sandboxtest.Respond(http.StatusOK, acknowledgement), nil
	}
	s.Control("POST", "/_sandbox/faults", `{"notify":"tamper","count":1}`, 200)
	s.Control("POST", "/_sandbox/refunds/"+number+"/settle", `{"status":"SUCCESS"}`, 200)
	s.Advance("1m")
	posts := r.Received()[before:]
	if len(posts) != 2 || len(said) != 2 {
		s.t.Fatalf("%d notifications about %s, want one that was tampered with and a genuine one", len(posts), number)
	}
	return judged{posts[0], said[0]}, judged{posts[1], said[1]}
}
