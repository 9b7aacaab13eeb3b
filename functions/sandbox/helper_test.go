package main

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"
)

// A program is a running sandbox.
type program struct {
	t              *testing.T
	stdout, stderr *buffer
	ready          ready
	stop           func() int // ends the program and returns its exit code
}

// start runs the program on any free ports until the test ends.
func start(t *testing.T, args ...string) *program {
	t.Helper()
	return startWith(t, noVariables, args...)
}

// startWith is start in an environment.
func startWith(t *testing.T, getenv func(string) string, args ...string) *program {
	t.Helper()
	p := &program{t: t, stdout: new(buffer), stderr: new(buffer)}
	args = append([]string{"-listen", "127.0.0.1:0", "-wechat", "127.0.0.1:0", "-wechat-tls", "127.0.0.1:0"}, args...)
	ctx, cancel := context.WithCancel(context.Background())
	code := make(chan int, 1)
	go func() { code <- run(ctx, args, getenv, p.stdout, p.stderr) }()
	p.stop = sync.OnceValue(func() int {
		cancel()
		select {
		case c := <-code:
			return c
		case <-time.After(10 * time.Second):
			t.Error("the program does not end")
			return -1
		}
	})
	t.Cleanup(func() {
		if got := p.stop(); got != 0 {
			t.Errorf("exit code: got %d, want 0", got)
		}
		if t.Failed() {
			t.Logf("standard error:\n%s", p.stderr)
		}
	})
	await(t, "the ready line", func() bool { return strings.HasSuffix(p.stdout.String(), "\n") || len(code) > 0 })
	if err := json.Unmarshal([]byte(p.stdout.String()), &p.ready); err != nil {
		t.Fatalf("standard output %q: %v\n%s", p.stdout, err, p.stderr)
	}
	return p
}

func noVariables(string) string { return "" }

// in returns the program as a subtest sees it.
func (p *program) in(t *testing.T) *program {
	q := *p
	q.t = t
	return &q
}

// A buffer may be written and read at once.
type buffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *buffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}

// await polls until ok, within bounds.
func await(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(30 * time.Second); time.Now().Before(end); time.Sleep(10 * time.Millisecond) {
		if ok() {
			return
		}
	}
	t.Fatal("waited in vain for " + what)
}

// request sends a request to the merchant's side.
func (p *program) request(method, path, body string, header ...string) (int, string) {
	p.t.Helper()
	r, err := http.NewRequestWithContext(p.t.Context(), method, p.ready.Listen+path, strings.NewReader(body))
	if err != nil {
		p.t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/json")
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	r.Host = r.Header.Get("Host") // the address itself where none is set
	res, err := http.DefaultClient.Do(r)
	if err != nil {
		p.t.Fatal(err)
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		p.t.Fatal(err)
	}
	return res.StatusCode, string(b)
}

// control uses the control side, and reads its answer into v unless that is nil.
func (p *program) control(method, path, body string, v any) {
	p.t.Helper()
	status, answer := p.request(method, path, body)
	if status != 200 {
		p.t.Fatalf("%s %s: got %d %s, want 200", method, path, status, answer)
	}
	if v != nil {
		if err := json.Unmarshal([]byte(answer), v); err != nil {
			p.t.Fatalf("%s %s: %s: %v", method, path, answer, err)
		}
	}
}

// call calls a function as wx.cloud.callFunction would, and returns its result.
func (p *program) call(function, event string, header ...string) string {
	p.t.Helper()
	status, answer := p.request("POST", "/functions/"+function, event, header...)
	var wrapper struct {
		ErrMsg    string          `json:"errMsg"`
		RequestID string          `json:"requestID"`
		Result    json.RawMessage `json:"result"`
	}
	if err := json.Unmarshal([]byte(answer), &wrapper); err != nil || status != 200 || wrapper.ErrMsg != "cloud.callFunction:ok" || wrapper.RequestID == "" {
		p.t.Fatalf("%s: got %d %s, want 200 with errMsg, requestID and result", function, status, answer)
	}
	return string(wrapper.Result)
}

// A reply is that of the dispatcher.
type reply struct {
	Code    int    `json:"code"`
	ErrCode string `json:"err_code"`
	Message string `json:"message"`
	Retry   string `json:"retry"`
	Data    data   `json:"data"`
}

// data is a refund object or a page of them.
type data struct {
	RefundID      string `json:"refund_id"`
	OutRefundNo   string `json:"out_refund_no"`
	TransactionID string `json:"transaction_id"`
	OutTradeNo    string `json:"out_trade_no"`
	Status        string `json:"status"`
	SuccessTime   string `json:"success_time"`
	Amount        struct {
		Refund   int64  `json:"refund"`
		Total    int64  `json:"total"`
		Currency string `json:"currency"`
	} `json:"amount"`

	TotalRefundCount int    `json:"total_refund_count"`
	RefundCount      int    `json:"refund_count"`
	Offset           int    `json:"offset"`
	Refunds          []data `json:"refunds"`
}

// dispatch calls the dispatcher.
func (p *program) dispatch(event string, header ...string) (r reply) {
	p.t.Helper()
	result := p.call("wxpayFunctions", event, header...)
	if err := json.Unmarshal([]byte(result), &r); err != nil {
		p.t.Fatalf("reply %s: %v", result, err)
	}
	return r
}

// succeed calls the dispatcher and wants success.
func (p *program) succeed(event string, header ...string) data {
	p.t.Helper()
	r := p.dispatch(event, header...)
	if r.Code != 0 {
		p.t.Fatalf("%s: got %d %s %s, want code 0", event, r.Code, r.ErrCode, r.Message)
	}
	return r.Data
}

// An order is a payment, as the sandbox made it.
type order struct {
	OutTradeNo    string `json:"out_trade_no"`
	TransactionID string `json:"transaction_id"`
	Total         int64  `json:"total"`
}

// order makes a paid order over one yuan.
func (p *program) order() (o order) {
	p.t.Helper()
	p.control("POST", "/_sandbox/orders", `{"total":100}`, &o)
	return o
}

// A delivery is a notification with all attempts.
type delivery struct {
	ID          string  `json:"id"`
	EventType   string  `json:"event_type"`
	OutRefundNo string  `json:"out_refund_no"`
	State       string  `json:"state"`
	NextAt      *string `json:"next_at"`
	Attempts    []struct {
		At        string `json:"at"`
		Status    int    `json:"status"`
		LatencyMS *int64 `json:"latency_ms"`
		Reply     string `json:"reply"`
		Error     string `json:"error"`
	} `json:"attempts"`
}

// deliveries are those about one refund.
func (p *program) deliveries(outRefundNo string) (about []delivery) {
	p.t.Helper()
	var all struct {
		Deliveries []delivery `json:"deliveries"`
	}
	p.control("GET", "/_sandbox/deliveries", "", &all)
	for _, d := range all.Deliveries {
		if d.OutRefundNo == outRefundNo {
			about = append(about, d)
		}
	}
	return about
}

// upstream is what WeChat holds of an order.
func (p *program) upstream(o order) (of []data) {
	p.t.Helper()
	var all struct {
		Refunds []data `json:"refunds"`
	}
	p.control("GET", "/_sandbox/refunds", "", &all)
	for _, r := range all.Refunds {
		if r.OutTradeNo == o.OutTradeNo {
			of = append(of, r)
		}
	}
	return of
}

// recorded is what our ledger says of an order's refunds, without asking WeChat:
// each refund's status by its number.
func (p *program) recorded(o order) map[string]string {
	p.t.Helper()
	status := map[string]string{}
	r := p.dispatch(queryEvent("out_trade_no", o.OutTradeNo))
	if r.Code != 0 && r.Code != 404 {
		p.t.Fatalf("query by order: got %+v", r)
	}
	for _, refund := range r.Data.Refunds {
		status[refund.OutRefundNo] = refund.Status
	}
	return status
}

// pass lets virtual time go by.
func (p *program) pass(duration string) {
	p.t.Helper()
	p.control("POST", "/_sandbox/clock", `{"advance":"`+duration+`"}`, nil)
}

// event encodes an event of the dispatcher.
func event(typ string, fields map[string]any) string {
	e := map[string]any{"type": typ}
	for name, v := range fields {
		e[name] = v
	}
	b, err := json.Marshal(e)
	if err != nil {
		panic(err) // texts and numbers always encode
	}
	return string(b)
}

func refundEvent(o order, outRefundNo string, fen int64) string {
	return event("wxpay_refund", map[string]any{
		"out_refund_no": outRefundNo, "out_trade_no": o.OutTradeNo,
		"amount": map[string]any{"refund": fen, "total": o.Total, "currency": "CNY"},
	})
}

func queryEvent(name, number string) string {
	return event("wxpay_refund_query", map[string]any{name: number})
}
