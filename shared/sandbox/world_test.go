package sandbox_test

import (
	"bytes"
	"context"
	"crypto"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"wxrefund/shared/sandbox"
	"wxrefund/shared/wxpay"
)

// A world is a sandbox with a merchant that talks to it, all in one process.
type world struct {
	t        testing.TB
	sandbox  *sandbox.Sandbox
	receiver *receiver
	settings map[string]string
	signer   *wxpay.Signer
	serial   string // what the merchant sends as Wechatpay-Serial
}

const notifyURL = "https://merchant.example/notify"

func newWorld(t testing.TB, mutate ...func(*sandbox.Config)) *world {
	t.Helper()
	r := &receiver{}
	cfg := sandbox.Config{Seed: 1, NotifyURL: notifyURL, Transport: r, Keys: testKeys()}
	for _, m := range mutate {
		m(&cfg)
	}
	s, err := sandbox.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	s.SetURLs(sandbox.URLs{WeChat: "http://127.0.0.1:8701", WeChatTLS: "https://127.0.0.1:8702"})
	settings, err := s.Settings("apiv3")
	if err != nil {
		t.Fatal(err)
	}
	key, err := wxpay.ParsePrivateKey(settings["WXPAY_PRIVATE_KEY"])
	if err != nil {
		t.Fatal(err)
	}
	return &world{
		t: t, sandbox: s, receiver: r, settings: settings, serial: settings["WXPAY_PUBLIC_KEY_ID"],
		signer: &wxpay.Signer{MchID: settings["WXPAY_MCHID"], SerialNo: settings["WXPAY_SERIAL_NO"], Key: key},
	}
}

// run starts the sandbox until the test ends.
func (w *world) run() {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error)
	go func() { done <- w.sandbox.Run(ctx) }()
	w.t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			w.t.Errorf("Run() = %v, want nil", err)
		}
	})
}

// An answer is what came back; zero if the connection broke.
type answer struct {
	status int
	header http.Header
	body   []byte
}

// field reads a field of a JSON answer by its path.
func (a answer) field(path ...string) any {
	var v any
	if json.Unmarshal(a.body, &v) != nil {
		return nil
	}
	for _, name := range path {
		m, _ := v.(map[string]any)
		v = m[name]
	}
	return v
}

func (a answer) decode(t testing.TB, v any) {
	t.Helper()
	if err := json.Unmarshal(a.body, v); err != nil {
		t.Fatalf("answer %d %s: %v", a.status, a.body, err)
	}
}

// serve lets a handler answer; a broken connection is an empty answer.
func serve(h http.Handler, r *http.Request) (a answer) {
	rec := httptest.NewRecorder()
	defer func() {
		if e := recover(); e != nil && e != any(http.ErrAbortHandler) {
			panic(e)
		}
	}()
	h.ServeHTTP(rec, r)
	return answer{rec.Code, rec.Header(), rec.Body.Bytes()}
}

// request returns a request that WeChat Pay would accept.
func (w *world) request(method, path, body string) *http.Request {
	w.t.Helper()
	r := httptest.NewRequest(method, path, strings.NewReader(body))
	authorization, err := w.signer.Authorization(method, path, []byte(body))
	if err != nil {
		w.t.Fatal(err)
	}
	r.Header.Set("Authorization", authorization)
	r.Header.Set("Accept", "application/json")
	r.Header.Set("User-Agent", "test")
	if body != "" {
		r.Header.Set("Content-Type", "application/json")
	}
	if w.serial != "" {
		r.Header.Set("Wechatpay-Serial", w.serial)
	}
	return r
}

// call makes a request to WeChat's side.
func (w *world) call(method, path, body string) answer {
	w.t.Helper()
	return serve(w.sandbox.WeChat(), w.request(method, path, body))
}

// control makes a request to the control side and insists on its status.
func (w *world) control(method, path, body string, status int) answer {
	w.t.Helper()
	a := serve(w.sandbox.Control(), controlRequest(method, path, body))
	if a.status != status {
		w.t.Fatalf("%s %s %s: status %d %s, want %d", method, path, body, a.status, a.body, status)
	}
	return a
}

func controlRequest(method, path, body string) *http.Request {
	r := httptest.NewRequest(method, path, strings.NewReader(body))
	r.RemoteAddr, r.Host = "127.0.0.1:50000", "127.0.0.1:8700"
	if body != "" {
		r.Header.Set("Content-Type", "application/json")
	}
	return r
}

// order pays an order of 100 yuan.
func (w *world) order(outTradeNo string) {
	w.t.Helper()
	w.control("POST", "/_sandbox/orders", fmt.Sprintf(`{"out_trade_no":%q,"total":10000}`, outTradeNo), 200)
}

// refund applies for a refund of 1 yuan, or of what is said, and insists on 200.
func (w *world) refund(outTradeNo, outRefundNo string, fen ...int) answer {
	w.t.Helper()
	amount := 100
	if len(fen) > 0 {
		amount = fen[0]
	}
	a := w.apply(outTradeNo, outRefundNo, amount)
	if a.status != 200 {
		w.t.Fatalf("refund %s: status %d %s", outRefundNo, a.status, a.body)
	}
	return a
}

func (w *world) apply(outTradeNo, outRefundNo string, amount int) answer {
	w.t.Helper()
	return w.call("POST", refundsPath, fmt.Sprintf(
		`{"out_trade_no":%q,"out_refund_no":%q,"amount":{"refund":%d,"total":10000,"currency":"CNY"}}`, outTradeNo, outRefundNo, amount))
}

const refundsPath = "/v3/refund/domestic/refunds"

type deliveryView struct {
	ID          string `json:"id"`
	EventType   string `json:"event_type"`
	OutRefundNo string `json:"out_refund_no"`
	State       string `json:"state"`
	NextAt      string `json:"next_at"`
	Attempts    []struct {
		At     time.Time `json:"at"`
		Status int       `json:"status"`
		Reply  string    `json:"reply"`
		Error  string    `json:"error"`
		Fault  string    `json:"fault"`
	} `json:"attempts"`
}

func (w *world) deliveries() []deliveryView {
	w.t.Helper()
	var out struct {
		Deliveries []deliveryView `json:"deliveries"`
	}
	w.control("GET", "/_sandbox/deliveries", "", 200).decode(w.t, &out)
	return out.Deliveries
}

func (w *world) advance(d string) answer {
	w.t.Helper()
	return w.control("POST", "/_sandbox/clock", fmt.Sprintf(`{"advance":%q}`, d), 200)
}

func (w *world) status(outRefundNo string) any {
	w.t.Helper()
	return w.call("GET", refundsPath+"/"+outRefundNo, "").field("status")
}

// A post is a notification as it was received.
type post struct {
	at     time.Time
	url    string
	header http.Header
	body   []byte
}

// A receiver is the merchant's notification URL. By default it acknowledges
// everything.
type receiver struct {
	mu     sync.Mutex
	posts  []post
	answer func(n int, r *http.Request) (*http.Response, error) // n counts from 0
}

func (r *receiver) RoundTrip(request *http.Request) (*http.Response, error) {
	body, err := io.ReadAll(request.Body)
	if err != nil {
		return nil, err
	}
	r.mu.Lock()
	n := len(r.posts)
	r.posts = append(r.posts, post{time.Now(), request.URL.String(), request.Header.Clone(), body})
	answer := r.answer
	r.mu.Unlock()
	if answer == nil {
		return respond(200, `{"code":"SUCCESS","message":"成功"}`), nil
	}
	request.Body = io.NopCloser(bytes.NewReader(body))
	return answer(n, request)
}

func (r *receiver) received() []post {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.posts)
}

func respond(status int, body string) *http.Response {
	return &http.Response{StatusCode: status, Header: http.Header{}, Body: io.NopCloser(strings.NewReader(body))}
}

// notification reads a notification as a merchant does, but for the signature.
func (w *world) notification(body []byte) (wxpay.Notification, wxpay.RefundNotification) {
	w.t.Helper()
	n, err := wxpay.ParseNotification(body)
	if err != nil {
		w.t.Fatal(err)
	}
	key, err := wxpay.ParseAPIv3Key(w.settings["WXPAY_APIV3_KEY"])
	if err != nil {
		w.t.Fatal(err)
	}
	plain, err := key.Open(n.Resource)
	if err != nil {
		w.t.Fatal(err)
	}
	l, err := wxpay.ParseRefundNotification(plain)
	if err != nil {
		w.t.Fatal(err)
	}
	return n, l
}

func textLog(w io.Writer) *slog.Logger {
	return slog.New(slog.NewTextHandler(w, &slog.HandlerOptions{Level: slog.LevelDebug}))
}

var otherKeysOnce = sync.OnceValues(sandbox.GenerateKeys)

// otherKeys are those of another sandbox.
func otherKeys(t testing.TB) *sandbox.Keys {
	t.Helper()
	k, err := otherKeysOnce()
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func signRaw(t testing.TB, key crypto.Signer, message []byte) []byte {
	t.Helper()
	digest := sha256.Sum256(message)
	sig, err := key.Sign(nil, digest[:], crypto.SHA256)
	if err != nil {
		t.Fatal(err)
	}
	return sig
}

// verifyReply insists that a reply is signed with the key of that serial.
func (w *world) verifyReply(a answer, serial string) {
	w.t.Helper()
	if err := w.verify(a.header, a.body, serial); err != nil {
		w.t.Errorf("reply %d %s: %v", a.status, a.body, err)
	}
}

// verify checks the signature of a reply or a notification with the newest keys.
func (w *world) verify(h http.Header, body []byte, serial string) error {
	w.t.Helper()
	c := w.control("GET", "/_sandbox/credentials", "", 200)
	if got := h.Get("Wechatpay-Serial"); got != serial {
		return fmt.Errorf("signed with %s, want %s", got, serial)
	}
	text := c.field("public_key").(string)
	key, err := wxpay.ParsePublicKey(text)
	if serial == c.field("platform_serial") {
		var cert *x509.Certificate
		if cert, err = wxpay.ParseCertificate(c.field("platform_cert").(string)); err == nil {
			key = cert.PublicKey.(*rsa.PublicKey)
		}
	}
	if err != nil {
		return err
	}
	sig, err := base64.StdEncoding.DecodeString(h.Get("Wechatpay-Signature"))
	if err != nil {
		return err
	}
	digest := sha256.Sum256(fmt.Appendf(nil, "%s\n%s\n%s\n", h.Get("Wechatpay-Timestamp"), h.Get("Wechatpay-Nonce"), body))
	return rsa.VerifyPKCS1v15(key, crypto.SHA256, digest[:], sig)
}

// testKeys are made once, and outside of any bubble.
var testKeys = sync.OnceValue(func() *sandbox.Keys {
	k, err := sandbox.GenerateKeys()
	if err != nil {
		panic(err)
	}
	return k
})
