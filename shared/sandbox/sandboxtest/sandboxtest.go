// Package sandboxtest is a merchant for the tests of a sandbox: what it sends is signed,
// what it is sent is looked at. Nothing of it is meant for anything but tests.
package sandboxtest

import (
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
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"wxrefund/shared/sandbox"
	"wxrefund/shared/wxpay"
)

// A World is a sandbox with a merchant that talks to it, all in one process.
type World struct {
	T        testing.TB
	Sandbox  *sandbox.Sandbox
	Receiver *Receiver
	Settings map[string]string
	Signer   *wxpay.Signer
	Serial   string // what the merchant sends as Wechatpay-Serial
}

// NotifyURL is the address that is set on the merchant platform.
const NotifyURL = "https://merchant.example/notify"

// New returns a sandbox that does not run yet, of seed 1, without a pace, whose merchant
// acknowledges every notification.
func New(t testing.TB, mutate ...func(*sandbox.Config)) *World {
	t.Helper()
	r := &Receiver{}
	cfg := sandbox.Config{Seed: 1, Pace: -1, NotifyURL: NotifyURL, Transport: r, Keys: Keys()}
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
	return &World{
		T: t, Sandbox: s, Receiver: r, Settings: settings, Serial: settings["WXPAY_PUBLIC_KEY_ID"],
		Signer: &wxpay.Signer{MchID: settings["WXPAY_MCHID"], SerialNo: settings["WXPAY_SERIAL_NO"], Key: key},
	}
}

// Run starts the sandbox until the test ends.
func (w *World) Run() {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error)
	go func() { done <- w.Sandbox.Run(ctx) }()
	w.T.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			w.T.Errorf("Run() = %v, want nil", err)
		}
	})
}

// An Answer is what came back; zero if the connection broke.
type Answer struct {
	Status int
	Header http.Header
	Body   []byte
}

// Field reads a field of a JSON answer by its path.
func (a Answer) Field(path ...string) any {
	var v any
	if json.Unmarshal(a.Body, &v) != nil {
		return nil
	}
	for _, name := range path {
		m, _ := v.(map[string]any)
		v = m[name]
	}
	return v
}

// RequestID is the identity of the request that is answered, under the name that APIv3
// writes in these letters.
func (a Answer) RequestID() string {
	for name, values := range a.Header {
		if name == "Request-ID" {
			return values[0]
		}
	}
	return ""
}

// Decode reads a JSON answer, or ends the test.
func (a Answer) Decode(t testing.TB, v any) {
	t.Helper()
	if err := json.Unmarshal(a.Body, v); err != nil {
		t.Fatalf("answer %d %s: %v", a.Status, a.Body, err)
	}
}

// Serve lets a handler answer; a broken connection is an empty answer.
func Serve(h http.Handler, r *http.Request) (a Answer) {
	rec := httptest.NewRecorder()
	defer func() {
		if e := recover(); e != nil && e != any(http.ErrAbortHandler) {
			panic(e)
		}
	}()
	h.ServeHTTP(rec, r)
	return Answer{rec.Code, rec.Header(), rec.Body.Bytes()}
}

// Request returns a request that WeChat Pay would accept.
func (w *World) Request(method, path, body string) *http.Request {
	w.T.Helper()
	r := httptest.NewRequest(method, path, strings.NewReader(body))
	authorization, err := w.Signer.Authorization(method, path, []byte(body))
	if err != nil {
		w.T.Fatal(err)
	}
	r.Header.Set("Authorization", authorization)
	r.Header.Set("Accept", "application/json")
	r.Header.Set("User-Agent", "test")
	if body != "" {
		r.Header.Set("Content-Type", "application/json")
	}
	if w.Serial != "" {
		r.Header.Set("Wechatpay-Serial", w.Serial)
	}
	return r
}

// Call makes a request to WeChat's side.
func (w *World) Call(method, path, body string) Answer {
	w.T.Helper()
	return Serve(w.Sandbox.WeChat(), w.Request(method, path, body))
}

// Control makes a request to the control doors and insists on its status.
func (w *World) Control(method, path, body string, status int) Answer {
	w.T.Helper()
	a := Serve(w.Sandbox.Control(), ControlRequest(method, path, body))
	if a.Status != status {
		w.T.Fatalf("%s %s %s: status %d %s, want %d", method, path, body, a.Status, a.Body, status)
	}
	return a
}

// ControlRequest is a request to the control doors, from this machine.
func ControlRequest(method, path, body string) *http.Request {
	r := httptest.NewRequest(method, path, strings.NewReader(body))
	r.RemoteAddr, r.Host = "127.0.0.1:50000", "127.0.0.1:8700"
	if body != "" {
		r.Header.Set("Content-Type", "application/json")
	}
	return r
}

// Order pays an order of 100 yuan.
func (w *World) Order(outTradeNo string) {
	w.T.Helper()
	w.Control("POST", "/_sandbox/orders", fmt.Sprintf(`{"out_trade_no":%q,"total":10000}`, outTradeNo), 200)
}

// Refund applies for a refund of 1 yuan, or of what is said, and insists on 200.
func (w *World) Refund(outTradeNo, outRefundNo string, fen ...int) Answer {
	w.T.Helper()
	amount := 100
	if len(fen) > 0 {
		amount = fen[0]
	}
	a := w.Apply(outTradeNo, outRefundNo, amount)
	if a.Status != 200 {
		w.T.Fatalf("refund %s: status %d %s", outRefundNo, a.Status, a.Body)
	}
	return a
}

// Apply applies for a refund of an order of 100 yuan.
func (w *World) Apply(outTradeNo, outRefundNo string, amount int) Answer {
	w.T.Helper()
	return w.Call("POST", RefundsPath, fmt.Sprintf(
		`{"out_trade_no":%q,"out_refund_no":%q,"amount":{"refund":%d,"total":10000,"currency":"CNY"}}`, outTradeNo, outRefundNo, amount))
}

// RefundsPath is that of refunds in APIv3.
const RefundsPath = "/v3/refund/domestic/refunds"

// A Delivery is what a test reads of one.
type Delivery struct {
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

// Deliveries returns all, the oldest first.
func (w *World) Deliveries() []Delivery {
	w.T.Helper()
	var out struct {
		Deliveries []Delivery `json:"deliveries"`
	}
	w.Control("GET", "/_sandbox/deliveries", "", 200).Decode(w.T, &out)
	return out.Deliveries
}

// Advance moves the virtual clock.
func (w *World) Advance(d string) Answer {
	w.T.Helper()
	return w.Control("POST", "/_sandbox/clock", fmt.Sprintf(`{"advance":%q}`, d), 200)
}

// Status is that of a refund, as APIv3 tells it.
func (w *World) Status(outRefundNo string) any {
	w.T.Helper()
	return w.Call("GET", RefundsPath+"/"+outRefundNo, "").Field("status")
}

// Notification reads a notification of APIv3 as a merchant does, but for the signature.
func (w *World) Notification(body []byte) (wxpay.Notification, wxpay.RefundNotification) {
	w.T.Helper()
	n, err := wxpay.ParseNotification(body)
	if err != nil {
		w.T.Fatal(err)
	}
	key, err := wxpay.ParseAPIv3Key(w.Settings["WXPAY_APIV3_KEY"])
	if err != nil {
		w.T.Fatal(err)
	}
	plain, err := key.Open(n.Resource)
	if err != nil {
		w.T.Fatal(err)
	}
	l, err := wxpay.ParseRefundNotification(plain)
	if err != nil {
		w.T.Fatal(err)
	}
	return n, l
}

// JSONLog is a log that holds everything, an object a line.
func JSONLog(w io.Writer) *slog.Logger {
	return slog.New(slog.NewJSONHandler(w, &slog.HandlerOptions{Level: slog.LevelDebug}))
}

// TextLog is a log that holds everything.
func TextLog(w io.Writer) *slog.Logger {
	return slog.New(slog.NewTextHandler(w, &slog.HandlerOptions{Level: slog.LevelDebug}))
}

var otherKeysOnce = sync.OnceValues(sandbox.GenerateKeys)

// OtherKeys are those of another sandbox.
func OtherKeys(t testing.TB) *sandbox.Keys {
	t.Helper()
	k, err := otherKeysOnce()
	if err != nil {
		t.Fatal(err)
	}
	return k
}

// SignRaw signs a message as it is.
func SignRaw(t testing.TB, key crypto.Signer, message []byte) []byte {
	t.Helper()
	digest := sha256.Sum256(message)
	sig, err := key.Sign(nil, digest[:], crypto.SHA256)
	if err != nil {
		t.Fatal(err)
	}
	return sig
}

// VerifyReply insists that a reply is signed with the key of that serial.
func (w *World) VerifyReply(a Answer, serial string) {
	w.T.Helper()
	if err := w.Verify(a.Header, a.Body, serial); err != nil {
		w.T.Errorf("reply %d %s: %v", a.Status, a.Body, err)
	}
}

// Verify checks the signature of a reply or a notification with the newest keys: it must
// be that of the key of that serial.
func (w *World) Verify(h http.Header, body []byte, serial string) error {
	w.T.Helper()
	c := w.Control("GET", "/_sandbox/credentials", "", 200)
	if got := h.Get("Wechatpay-Serial"); got != serial {
		return fmt.Errorf("signed with %s, want %s", got, serial)
	}
	var key *rsa.PublicKey
	var err error
	switch serial {
	case c.Field("public_key_id"):
		key, err = wxpay.ParsePublicKey(c.Field("public_key").(string))
	case c.Field("platform_serial"):
		var cert *x509.Certificate
		if cert, err = wxpay.ParseCertificate(c.Field("platform_cert").(string)); err == nil {
			key = cert.PublicKey.(*rsa.PublicKey)
		}
	default:
		err = fmt.Errorf("signed with %s, which is none of the newest keys", serial)
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

// Keys are those of every sandbox here, since making them takes long. They are to be
// made before a test enters testing/synctest, whose time stands still meanwhile.
var Keys = sync.OnceValue(func() *sandbox.Keys {
	k, err := sandbox.GenerateKeys()
	if err != nil {
		panic(err)
	}
	return k
})

// Partials refunds the order T1 n times, 1 fen each.
func (w *World) Partials(n int) {
	w.T.Helper()
	for i := range n {
		w.Refund("T1", fmt.Sprintf("P%d", i), 1)
	}
}

// Set changes one field of a JSON body, by its JSON pointer; nil removes it.
func Set(t testing.TB, body, pointer string, value any) string {
	t.Helper()
	var root any
	if err := json.Unmarshal([]byte(body), &root); err != nil {
		t.Fatal(err)
	}
	names := strings.Split(pointer, "/")[1:]
	node := root
	for _, name := range names[:len(names)-1] {
		if list, ok := node.([]any); ok {
			i, err := strconv.Atoi(name)
			if err != nil {
				t.Fatal(err)
			}
			node = list[i]
			continue
		}
		node = node.(map[string]any)[name]
	}
	last := names[len(names)-1]
	if value == nil {
		delete(node.(map[string]any), last)
	} else {
		node.(map[string]any)[last] = value
	}
	b, err := json.Marshal(root)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// Schedule is the documented schedule: 24 hours and 4 minutes.
var Schedule = []time.Duration{
	15 * time.Second, 15 * time.Second, 30 * time.Second, 3 * time.Minute, 10 * time.Minute, 20 * time.Minute,
	30 * time.Minute, 30 * time.Minute, 30 * time.Minute, time.Hour, 3 * time.Hour, 3 * time.Hour, 3 * time.Hour, 6 * time.Hour, 6 * time.Hour,
}
