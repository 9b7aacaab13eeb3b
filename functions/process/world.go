package process

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

// A World is a WeChat Pay, and what our functions need to reach it.
type World struct {
	t       testing.TB
	Control string   // URL of the control side
	Env     []string // the variables of our functions, with a ledger of this world's own
	Ledger  string   // that ledger's file; "": it is at CloudBase
	store   string   // by which URL the test itself opens the ledger
	Process *Process // of a sandbox program; nil if it runs in ours

	Inbox *Inbox // nil of a sandbox program
}

// keys are made once.
var keys = sync.OnceValues(sandbox.GenerateKeys)

// NewWorld runs a WeChat Pay in this process until the test ends. Its time stands
// still unless it is moved; its notifications are kept, not sent.
func NewWorld(t testing.TB) *World { t.Helper(); return newWorld(t, false) }

// NewWorldWithSubscribers has the sandbox's example subscribers in it, too.
func NewWorldWithSubscribers(t testing.TB) *World { t.Helper(); return newWorld(t, true) }

func newWorld(t testing.TB, subscribers bool) *World {
	t.Helper()
	k, err := keys()
	if err != nil {
		t.Fatal(err)
	}
	w := &World{t: t, Ledger: filepath.Join(t.TempDir(), "ledger.db"), Inbox: new(Inbox)}
	w.store = "sqlite:" + w.Ledger
	s, err := sandbox.New(sandbox.Config{Seed: 1, Speed: 0.001, Pace: -1, Keys: k, Merchant: "public-key", Transport: w.Inbox, Subscribers: subscribers})
	if err != nil {
		t.Fatal(err)
	}
	control, wechat := httptest.NewServer(s.Control()), httptest.NewServer(s.WeChat())
	t.Cleanup(control.Close)
	t.Cleanup(wechat.Close)
	s.SetURLs(sandbox.URLs{WeChat: wechat.URL, Notify: "http://merchant.example/notify"})
	w.Control = control.URL

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
	settings["LEDGER_URL"], settings["LEDGER_ALLOW_SQLITE"] = "sqlite:"+w.Ledger, "true"
	settings["REFUND_OPERATORS"] = Operator
	settings["RECONCILE_BILL"] = "off" // a new ledger lacks three months of them, and tests count what a run does
	settings["REFUND_PACE"] = "0s"     // tests refund one order many times at once
	for _, name := range slices.Sorted(maps.Keys(settings)) {
		w.Env = append(w.Env, name+"="+settings[name])
	}
	return w
}

// StartSandbox runs the sandbox program until the test ends.
func StartSandbox(t testing.TB, args ...string) *World {
	t.Helper()
	args = append([]string{"-listen", "127.0.0.1:0", "-wechat", "127.0.0.1:0", "-wechat-tls", "127.0.0.1:0"}, args...)
	p := Start(t, Sandbox, nil, args...)
	Await(t, "the sandbox", func() bool { return strings.HasSuffix(p.Stdout.String(), "\n") || !p.Running() })
	var ready struct{ Listen string }
	Decode(t, []byte(p.Stdout.String()), &ready)
	file := filepath.Join(t.TempDir(), "ledger.db")
	return &World{t: t, Control: ready.Listen, Process: p, Ledger: file, store: "sqlite:" + file}
}

// With returns the environment with more variables, of which the last counts.
func (w *World) With(more ...string) []string { return append(slices.Clone(w.Env), more...) }

// Variables returns the environment as a map.
func (w *World) Variables() map[string]string {
	m := map[string]string{}
	for _, v := range w.Env {
		name, value, _ := strings.Cut(v, "=")
		m[name] = value
	}
	return m
}

// client keeps no connection, since idle ones would delay the end of a server.
func (w *World) client() *http.Client {
	return &http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: 30 * time.Second}
}

// Post sends a body to the control side, wants 200 and returns the answer.
func (w *World) Post(path, body string) []byte {
	w.t.Helper()
	return w.request("POST", path, body)
}

// Get reads from the control side.
func (w *World) Get(path string) []byte { w.t.Helper(); return w.request("GET", path, "") }

func (w *World) request(method, path, body string) []byte {
	w.t.Helper()
	r, err := http.NewRequestWithContext(w.t.Context(), method, w.Control+path, strings.NewReader(body))
	if err != nil {
		w.t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/json")
	status, _, answer := Send(w.t, w.client(), r)
	if status != 200 {
		w.t.Fatalf("%s %s: got %d %s, want 200", method, path, status, answer)
	}
	return answer
}

// Send sends a request and returns the status, the headers and the body.
func Send(t testing.TB, c *http.Client, r *http.Request) (int, http.Header, []byte) {
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

// Decode reads JSON.
func Decode(t testing.TB, b []byte, v any) {
	t.Helper()
	if err := json.Unmarshal(b, v); err != nil {
		t.Fatalf("%s: %v", b, err)
	}
}

// An Order is a payment, as the sandbox made it.
type Order struct {
	OutTradeNo    string `json:"out_trade_no"`
	TransactionID string `json:"transaction_id"`
	Total         int64  `json:"total"`
}

// Order makes a paid order.
func (w *World) Order(fen int64) (o Order) {
	w.t.Helper()
	Decode(w.t, w.Post("/_sandbox/orders", fmt.Sprintf(`{"total":%d}`, fen)), &o)
	return o
}

// A Refund is what WeChat or the dispatcher says of one.
type Refund struct {
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

// Refunds are all that WeChat holds.
func (w *World) Refunds() []Refund {
	w.t.Helper()
	var all struct{ Refunds []Refund }
	Decode(w.t, w.Get("/_sandbox/refunds"), &all)
	return all.Refunds
}

// Sum is what WeChat owes for an order, in fen.
func (w *World) Sum(o Order) (fen int64) {
	w.t.Helper()
	for _, r := range w.Refunds() {
		if r.OutTradeNo == o.OutTradeNo && r.Status != "CLOSED" {
			fen += r.Amount.Refund
		}
	}
	return fen
}

// instants are those in a refund's record that keep others waiting. (A refusal has
// a "next" too, which is no instant.)
var instants = regexp.MustCompile(`"(lease|ask_at|look_at|next)":"20[^"]*"`)

// finishSent is when an abnormal refund's money was last sent elsewhere.
var finishSent = regexp.MustCompile(`("finish":\{[^}]*"sent_at":)"20[^"]*"`)

// Later makes it a day later for all that is open in the ledger: leases have
// ended and questions are due. The clock of the functions is the real one.
func (w *World) Later() {
	w.t.Helper()
	store := w.Store()
	defer store.Close()
	MakeDue(w.t, store)
}

// MakeDue does that in a ledger of any kind.
func MakeDue(t testing.TB, store *ledger.Store) {
	t.Helper()
	for cursor, more := "", true; more; more = cursor != "" {
		var items []ours.Item
		var err error
		items, cursor, err = store.List(t.Context(), ours.DueBy(time.Now().Add(24*time.Hour)), cursor, 1000)
		if err != nil {
			t.Fatal(err)
		}
		for batch := range slices.Chunk(items, 50) {
			for i := range batch {
				batch[i].Due = time.Now().Add(-time.Second)
				batch[i].Body = instants.ReplaceAll(batch[i].Body, []byte(`"$1":"2020-01-01T00:00:00Z"`))
				batch[i].Body = finishSent.ReplaceAll(batch[i].Body, []byte(`$1"2020-01-01T00:00:00Z"`))
			}
			if err := store.Commit(t.Context(), batch...); err != nil {
				t.Fatal(err)
			}
		}
	}
}

// Stored is the ledger's item of a refund, as it is written.
func (w *World) Stored(outRefundNo string) ours.Item {
	w.t.Helper()
	store := w.Store()
	defer store.Close()
	items, err := store.Get(w.t.Context(), ours.Key("refund/"+outRefundNo))
	if err != nil {
		w.t.Fatal(err)
	}
	return items[0]
}

// Store opens the ledger; one at CloudBase from behind, where nothing fails.
func (w *World) Store() *ledger.Store {
	w.t.Helper()
	store, err := ledger.Open(w.t.Context(), w.store)
	if err != nil {
		w.t.Fatal(err)
	}
	return store
}

// A Reply is that of the dispatcher.
type Reply struct {
	Code    int    `json:"code"`
	ErrCode string `json:"err_code"`
	Message string `json:"message"`
	Retry   string `json:"retry"`
	Data    struct {
		Refund
		TotalRefundCount int      `json:"total_refund_count"`
		Refunds          []Refund `json:"refunds"`
	} `json:"data"`
}

// Parse reads a reply of the dispatcher.
func Parse(t testing.TB, b []byte) (r Reply) {
	t.Helper()
	Decode(t, b, &r)
	return r
}

// RefundEvent asks for a refund.
func RefundEvent(o Order, outRefundNo string, fen int64) string {
	return fmt.Sprintf(`{"type":"wxpay_refund","out_refund_no":%q,"out_trade_no":%q,"amount":{"refund":%d,"total":%d,"currency":"CNY"}}`,
		outRefundNo, o.OutTradeNo, fen, o.Total)
}

// QueryEvent asks about a refund by a name and a number, as "out_refund_no".
func QueryEvent(name, number string) string {
	return fmt.Sprintf(`{"type":"wxpay_refund_query",%q:%q}`, name, number)
}

// An Inbox keeps and acknowledges notifications as they leave WeChat, the newest last.
type Inbox struct {
	mu   sync.Mutex
	sent []Notification
}

// A Notification is one of them; or any HTTP request.
type Notification struct {
	Header http.Header
	Body   []byte
}

// RoundTrip stands in for the network on which WeChat sends them.
func (l *Inbox) RoundTrip(r *http.Request) (*http.Response, error) {
	b, err := io.ReadAll(r.Body)
	if err != nil {
		return nil, err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.sent = append(l.sent, Notification{r.Header.Clone(), b})
	return &http.Response{StatusCode: http.StatusNoContent, Header: http.Header{}, Body: http.NoBody, Request: r}, nil
}

// Last is the newest.
func (l *Inbox) Last() Notification {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.sent[len(l.sent)-1]
}

// Forged returns the notification with one character of what is sealed changed.
func (l Notification) Forged() Notification {
	before, after, _ := bytes.Cut(l.Body, []byte(`"ciphertext":"`))
	flipped := byte('A')
	if after[0] == flipped {
		flipped = 'B'
	}
	return Notification{l.Header, slices.Concat(before, []byte(`"ciphertext":"`), []byte{flipped}, after[1:])}
}

// SignedNotification makes a refund by hand and returns the notification of its
// success, which WeChat has signed.
func (w *World) SignedNotification(outRefundNo string) Notification {
	w.t.Helper()
	o := w.Order(100)
	w.Post("/_sandbox/refunds", fmt.Sprintf(`{"out_trade_no":%q,"out_refund_no":%q,"amount":60}`, o.OutTradeNo, outRefundNo))
	w.Post("/_sandbox/refunds/"+outRefundNo+"/settle", `{"status":"SUCCESS"}`)
	return w.Inbox.Last()
}

// A Delivery is a notification with all attempts.
type Delivery struct {
	ID          string `json:"id"`
	OutRefundNo string `json:"out_refund_no"`
	State       string `json:"state"`
	Attempts    []struct {
		Status int    `json:"status"`
		Reply  string `json:"reply"`
	} `json:"attempts"`
}

// Deliveries are those about one refund.
func (w *World) Deliveries(outRefundNo string) []Delivery {
	w.t.Helper()
	var all struct{ Deliveries []Delivery }
	Decode(w.t, w.Get("/_sandbox/deliveries"), &all)
	return slices.DeleteFunc(all.Deliveries, func(d Delivery) bool { return d.OutRefundNo != outRefundNo })
}

// Changes tells of each notification about a refund that notify has acknowledged whether
// it changed anything.
func Changes(p *Process, outRefundNo string) (all []any) {
	for line := range strings.Lines(p.Stderr.String()) {
		var r map[string]any
		if json.Unmarshal([]byte(line), &r) == nil && r["msg"] == "acknowledged" && r["out_refund_no"] == outRefundNo {
			all = append(all, r["changed"])
		}
	}
	return all
}

const (
	// Acknowledged is notify's answer to what it has taken.
	Acknowledged = `{"code":"SUCCESS","message":"成功"}`
	// Denied is the dispatcher's answer to a caller without an identity.
	Denied = `{"code":403,"err_code":"NOAUTH","message":"this caller may not refund or query: it has no identity here: it is a client without an openid, or comes by HTTP, where headers such as x-wx-openid are not believed: REFUND_SERVER_TOKEN gives an identity there or, behind a gateway that strips and sets them, TRUST_WX_HEADERS","retry":"never"}`
)
