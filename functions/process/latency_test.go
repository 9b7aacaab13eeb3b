package process

import (
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

// BenchmarkLatency measures how long a refund and a notification take whose ledger is so
// far away, in the functions as they are deployed, by CloudBase's HTTP API and by
// PostgreSQL's own protocol. WeChat Pay is next door and answers at once.
//
//	go test -run '^$' -bench Latency -benchtime 100x ./functions/process
//
// p50-ms is the median, and calls/op are those of the ledger: what the service asks of it,
// whatever that takes on the wire. https/op are the requests to CloudBase.
func BenchmarkLatency(b *testing.B) {
	for _, way := range []string{"https", "tcp"} {
		for _, roundTrip := range []time.Duration{0, 5 * time.Millisecond, 20 * time.Millisecond} {
			for what, call := range map[string]func(*latencyWorld, int) measured{
				Dispatcher: (*latencyWorld).refund,
				Notify:     (*latencyWorld).notification,
			} {
				b.Run(fmt.Sprintf("ledger=%s/rtt=%v/function=%s", way, roundTrip, what), func(b *testing.B) {
					w := newLatencyWorld(b, way, roundTrip)
					call(w, 0) // opens, connects and tests itself
					var took []time.Duration
					calls, requests := w.calls(what), 0
					for b.Loop() {
						m := call(w, len(took)+1)
						took, requests = append(took, m.took), requests+m.requests
					}
					n := float64(len(took))
					slices.Sort(took)
					b.ReportMetric(float64(took[len(took)/2].Microseconds())/1000, "p50-ms")
					b.ReportMetric(float64(w.calls(what)-calls)/n, "calls/op")
					b.ReportMetric(float64(requests)/n, "https/op")
					b.ReportMetric(0, "ns/op") // which holds what WeChat does between
				})
			}
		}
	}
}

// A measured call of a function: how long it took, and how many requests to CloudBase.
type measured struct {
	took     time.Duration
	requests int
}

// measure makes a call.
func (w *latencyWorld) measure(call func()) measured {
	before := w.cloudBase.Calls()
	began := time.Now()
	call()
	took := time.Since(began)
	after := w.cloudBase.Calls()
	return measured{took, after - before}
}

// A latencyWorld has a ledger that is far away.
type latencyWorld struct {
	*World
	cloudBase *CloudBase
	functions map[string]*Plain
}

const latencyToken = "a-server-token-of-32-characters-and-more"

func newLatencyWorld(b *testing.B, way string, roundTrip time.Duration) *latencyWorld {
	b.Helper()
	w := &latencyWorld{World: NewWorld(b), functions: map[string]*Plain{}}
	c, trust := startTLS(b)
	c.Migrate()
	w.cloudBase = c
	w.At(c)
	w.Env = w.With(trust, "REFUND_SERVER_TOKEN="+latencyToken, "LEDGER_URL="+far(b, c, way, roundTrip))
	for _, name := range []string{Dispatcher, Notify} {
		w.functions[name] = StartPlain(b, name, w.Env)
	}
	return w
}

// far is the URL of a ledger behind a line.
func far(t testing.TB, c *CloudBase, way string, roundTrip time.Duration) string {
	t.Helper()
	if way == "https" {
		_, endpoint, _ := strings.Cut(c.URL, "https://")
		return c.at("https://" + startLine(t, endpoint, roundTrip))
	}
	u, err := url.Parse(c.TCP)
	if err != nil {
		t.Fatal(err)
	}
	u.Host = startLine(t, u.Host, roundTrip)
	return u.String()
}

// refund refunds one fen of an order of its own.
func (w *latencyWorld) refund(i int) measured {
	var status int
	var answer []byte
	o := w.Order(100)
	m := w.measure(func() {
		status, answer = w.functions[Dispatcher].Post(RefundEvent(o, fmt.Sprintf("R%d", i), 1), "Authorization", "Bearer "+latencyToken)
	})
	if got := Parse(w.t, answer); status != http.StatusOK || got.Code != 0 {
		w.t.Fatalf("refund: got %d %s", status, answer)
	}
	return m
}

// notification brings the news of a refund that the dispatcher has made.
func (w *latencyWorld) notification(i int) measured {
	var status int
	var answer []byte
	w.refund(i)
	w.Post(fmt.Sprintf("/_sandbox/refunds/R%d/settle", i), `{"status":"SUCCESS"}`)
	l := w.Inbox.Last()
	m := w.measure(func() { status, answer = w.functions[Notify].Deliver(l) })
	if status != http.StatusOK || string(answer) != Acknowledged {
		w.t.Fatalf("notification: got %d %s", status, answer)
	}
	return m
}

var ledgerCalls = regexp.MustCompile(`(?m)^wxrefund_ledger_duration_seconds_count\{.*\} (\d+)$`)

// calls are those that a function has made of its ledger, as its figures say.
func (w *latencyWorld) calls(function string) (n int) {
	r, err := http.NewRequestWithContext(w.t.Context(), http.MethodGet, w.functions[function].URL+"/metrics", nil)
	if err != nil {
		w.t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+latencyToken)
	_, _, body := Send(w.t, w.client(), r)
	for _, m := range ledgerCalls.FindAllSubmatch(body, -1) {
		k, err := strconv.Atoi(string(m[1]))
		if err != nil {
			w.t.Fatal(err)
		}
		n += k
	}
	return n
}
