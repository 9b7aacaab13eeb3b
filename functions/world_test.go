package functions_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"wxrefund/shared/ledger"
	ours "wxrefund/shared/refund"
	"wxrefund/shared/sandbox"
)

// A world is a WeChat Pay, and what our functions need to reach it.
type world struct {
	t       testing.TB
	control string   // URL of the control side
	env     []string // the variables of our functions, with a ledger of this world's own
	ledger  string   // that ledger's file
	process *process // of a sandbox program; nil if it runs in ours

	notifications *notifications // nil of a sandbox program
}

// keys are made once.
var keys = sync.OnceValues(sandbox.GenerateKeys)

// newWorld runs a WeChat Pay in this process until the test ends. Its time stands
// still unless it is moved; its notifications are kept, not sent.
func newWorld(t testing.TB) *world { return newWorldWith(t, false) }

// newWorldWith has the example subscribers in it, or has not.
func newWorldWith(t testing.TB, subscribers bool) *world {
	t.Helper()
	k, err := keys()
	if err != nil {
		t.Fatal(err)
	}
	w := &world{t: t, ledger: filepath.Join(t.TempDir(), "ledger.db"), notifications: new(notifications)}
	s, err := sandbox.New(sandbox.Config{Seed: 1, Speed: 0.001, Keys: k, Transport: w.notifications, Subscribers: subscribers})
	if err != nil {
		t.Fatal(err)
	}
	control, wechat := httptest.NewServer(s.Control()), httptest.NewServer(s.WeChat())
	t.Cleanup(control.Close)
	t.Cleanup(wechat.Close)
	s.SetURLs(sandbox.URLs{WeChat: wechat.URL, Notify: "http://merchant.example/notify"})
	w.control = control.URL

	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("sandbox: got %v, want nil", err)
		}
	})

	settings, err := s.Settings("apiv3")
	if err != nil {
		t.Fatal(err)
	}
	settings["LEDGER_URL"], settings["LEDGER_ALLOW_SQLITE"] = "sqlite:"+w.ledger, "true"
	settings["REFUND_OPERATORS"] = operator
	settings["REFUND_PACE"] = "0s" // tests refund one order many times at once
	for _, name := range slices.Sorted(maps.Keys(settings)) {
		w.env = append(w.env, name+"="+settings[name])
	}
	return w
}

// startSandbox runs the sandbox program until the test ends.
func startSandbox(t testing.TB, args ...string) *world {
	t.Helper()
	args = append([]string{"-listen", "127.0.0.1:0", "-wechat", "127.0.0.1:0", "-wechat-tls", "127.0.0.1:0"}, args...)
	p := start(t, local, nil, args...)
	await(t, "the sandbox", func() bool { return strings.HasSuffix(p.stdout.String(), "\n") || !p.running() })
	var ready struct{ Listen string }
	decode(t, []byte(p.stdout.String()), &ready)
	return &world{t: t, control: ready.Listen, process: p, ledger: filepath.Join(t.TempDir(), "ledger.db")}
}

// with returns the environment with more variables, of which the last counts.
func (w *world) with(more ...string) []string { return append(slices.Clone(w.env), more...) }

// variables returns the environment as a map.
func (w *world) variables() map[string]string {
	m := map[string]string{}
	for _, v := range w.env {
		name, value, _ := strings.Cut(v, "=")
		m[name] = value
	}
	return m
}

// client keeps no connection, since idle ones would delay the end of a server.
func (w *world) client() *http.Client {
	return &http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: 30 * time.Second}
}

func (w *world) post(path, body string) []byte { w.t.Helper(); return w.request("POST", path, body) }
func (w *world) get(path string) []byte        { w.t.Helper(); return w.request("GET", path, "") }

// request uses the control side.
func (w *world) request(method, path, body string) []byte {
	w.t.Helper()
	r, err := http.NewRequestWithContext(w.t.Context(), method, w.control+path, strings.NewReader(body))
	if err != nil {
		w.t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/json")
	status, _, answer := send(w.t, w.client(), r)
	if status != 200 {
		w.t.Fatalf("%s %s: got %d %s, want 200", method, path, status, answer)
	}
	return answer
}

func send(t testing.TB, c *http.Client, r *http.Request) (int, http.Header, []byte) {
	t.Helper()
	res, err := c.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return res.StatusCode, res.Header, b
}

func decode(t testing.TB, b []byte, v any) {
	t.Helper()
	if err := json.Unmarshal(b, v); err != nil {
		t.Fatalf("%s: %v", b, err)
	}
}

// An order is a payment, as the sandbox made it.
type order struct {
	OutTradeNo    string `json:"out_trade_no"`
	TransactionID string `json:"transaction_id"`
	Total         int64  `json:"total"`
}

// order makes a paid order.
func (w *world) order(fen int64) (o order) {
	w.t.Helper()
	decode(w.t, w.post("/_sandbox/orders", fmt.Sprintf(`{"total":%d}`, fen)), &o)
	return o
}

// A refund is a refund object.
type refund struct {
	RefundID    string `json:"refund_id"`
	OutRefundNo string `json:"out_refund_no"`
	OutTradeNo  string `json:"out_trade_no"`
	Status      string `json:"status"`
	SuccessTime string `json:"success_time"`
	Amount      struct {
		Refund int64 `json:"refund"`
		Total  int64 `json:"total"`
	} `json:"amount"`
}

// refunds are all that WeChat holds.
func (w *world) refunds() []refund {
	w.t.Helper()
	var all struct{ Refunds []refund }
	decode(w.t, w.get("/_sandbox/refunds"), &all)
	return all.Refunds
}

// sum is what WeChat owes for an order, in fen.
func (w *world) sum(o order) (fen int64) {
	w.t.Helper()
	for _, r := range w.refunds() {
		if r.OutTradeNo == o.OutTradeNo && r.Status != "CLOSED" {
			fen += r.Amount.Refund
		}
	}
	return fen
}

// instants are those in a refund's record that keep others waiting. (A refusal has
// a "next" too, which is no instant.)
var instants = regexp.MustCompile(`"(lease|ask_at|next)":"20[^"]*"`)

// later makes it a day later for all that is open in the ledger: leases have
// ended and questions are due. The clock of the functions is the real one.
func (w *world) later() {
	w.t.Helper()
	store := w.store()
	defer store.Close()
	later(w.t, store)
}

func later(t testing.TB, store *ledger.Store) {
	t.Helper()
	for cursor, more := "", true; more; more = cursor != "" {
		var items []ours.Item
		var err error
		items, cursor, err = store.List(t.Context(), time.Now().Add(24*time.Hour), cursor, 1000)
		if err != nil {
			t.Fatal(err)
		}
		for batch := range slices.Chunk(items, 50) {
			for i := range batch {
				batch[i].Due = time.Now().Add(-time.Second)
				batch[i].Body = instants.ReplaceAll(batch[i].Body, []byte(`"$1":"2020-01-01T00:00:00Z"`))
			}
			if err := store.Commit(t.Context(), batch...); err != nil {
				t.Fatal(err)
			}
		}
	}
}

// A reply is that of the dispatcher.
type reply struct {
	Code    int    `json:"code"`
	ErrCode string `json:"err_code"`
	Message string `json:"message"`
	Retry   string `json:"retry"`
	Data    struct {
		refund
		TotalRefundCount int      `json:"total_refund_count"`
		Refunds          []refund `json:"refunds"`
	} `json:"data"`
}

func parse(t testing.TB, b []byte) (r reply) {
	t.Helper()
	decode(t, b, &r)
	return r
}

func refundEvent(o order, outRefundNo string, fen int64) string {
	return fmt.Sprintf(`{"type":"wxpay_refund","out_refund_no":%q,"out_trade_no":%q,"amount":{"refund":%d,"total":%d,"currency":"CNY"}}`,
		outRefundNo, o.OutTradeNo, fen, o.Total)
}

func queryEvent(name, number string) string {
	return fmt.Sprintf(`{"type":"wxpay_refund_query",%q:%q}`, name, number)
}

// Notifications are notifications as they left WeChat, the newest last.
type notifications struct {
	mu   sync.Mutex
	sent []notification
}

// A notification is one notification.
type notification struct {
	header http.Header
	body   []byte
}

// RoundTrip keeps a notification and acknowledges it.
func (l *notifications) RoundTrip(r *http.Request) (*http.Response, error) {
	b, err := io.ReadAll(r.Body)
	if err != nil {
		return nil, err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.sent = append(l.sent, notification{r.Header.Clone(), b})
	return &http.Response{StatusCode: http.StatusNoContent, Header: http.Header{}, Body: http.NoBody, Request: r}, nil
}

func (l *notifications) last() notification {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.sent[len(l.sent)-1]
}

// forged returns the notification with one character of what is sealed changed.
func (l notification) forged() notification {
	before, after, _ := bytes.Cut(l.body, []byte(`"ciphertext":"`))
	flipped := byte('A')
	if after[0] == flipped {
		flipped = 'B'
	}
	return notification{l.header, slices.Concat(before, []byte(`"ciphertext":"`), []byte{flipped}, after[1:])}
}

// really makes a refund by hand and returns the really signed notification that tells of it.
func (w *world) really(outRefundNo string) notification {
	w.t.Helper()
	o := w.order(100)
	w.post("/_sandbox/refunds", fmt.Sprintf(`{"out_trade_no":%q,"out_refund_no":%q,"amount":60}`, o.OutTradeNo, outRefundNo))
	w.post("/_sandbox/refunds/"+outRefundNo+"/settle", `{"status":"SUCCESS"}`)
	return w.notifications.last()
}

func (w *world) store() *ledger.Store {
	w.t.Helper()
	store, err := ledger.Open(w.t.Context(), "sqlite:"+w.ledger)
	if err != nil {
		w.t.Fatal(err)
	}
	return store
}
