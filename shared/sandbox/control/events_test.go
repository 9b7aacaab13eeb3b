package control_test

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"wxrefund/shared/sandbox"
	"wxrefund/shared/sandbox/sandboxtest"
)

// A watcher is a page that reads the stream.
type watcher struct {
	t      *testing.T
	status int
	header http.Header
	lines  *bufio.Reader
	close  func()
}

func watch(t *testing.T, url string) *watcher {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	r, err := http.NewRequestWithContext(ctx, "GET", url+"/_sandbox/events", nil)
	if err != nil {
		t.Fatal(err)
	}
	res, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	w := &watcher{t, res.StatusCode, res.Header, bufio.NewReader(res.Body), func() { cancel(); res.Body.Close() }}
	t.Cleanup(w.close)
	return w
}

// An event is one of the stream.
type event struct {
	name string
	size int
	at   time.Time
	has  map[string]json.RawMessage

	Revision      int
	Totals        totalsView
	Next          *nextView `json:"next_delivery"`
	Refunds       []refundView
	Orders        []orderView
	Notifications []string
	More          bool
	Hostile       bool
	OursError     *string `json:"ours_error"`
}

// next reads one event; it ends the test if there is none. What has to wait for the
// heartbeat, every ten seconds, was not sent when it changed.
func (w *watcher) next() (out event) {
	w.t.Helper()
	defer func(began time.Time) {
		if took := time.Since(began); took > 8*time.Second {
			w.t.Errorf("a change was sent after %v", took)
		}
	}(time.Now())
	for {
		line, err := w.lines.ReadString('\n')
		if err != nil {
			w.t.Fatalf("the stream broke off: %v", err)
		}
		out.size += len(line)
		if name, ok := strings.CutPrefix(line, "event: "); ok {
			out.name = strings.TrimSpace(name)
		}
		if data, ok := strings.CutPrefix(line, "data: "); ok {
			if err := json.Unmarshal([]byte(data), &out); err != nil {
				w.t.Fatal(err)
			}
			if err := json.Unmarshal([]byte(data), &out.has); err != nil {
				w.t.Fatal(err)
			}
		}
		if line == "\n" {
			return out
		}
	}
}

// serve runs a sandbox until the test ends, and returns where its control doors are and
// what ends it before.
func serve(t *testing.T, w *sandboxtest.World) (url string, end func() error) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- w.Sandbox.Run(ctx) }()
	server := httptest.NewServer(w.Sandbox.Control())
	t.Cleanup(server.Close)
	return server.URL, func() error { cancel(); return <-ended }
}

// Whoever watches is sent the state at once, then what changes and nothing else, and is
// let go when the sandbox ends.
func TestWatchersAreSentWhatChanges(t *testing.T) {
	m := merchant{}
	w := sandboxtest.New(t, func(c *sandbox.Config) { c.Speed, c.MerchantRefunds = 100, m.read })
	w.Receiver.Answer = func(int, *http.Request) (*http.Response, error) {
		time.Sleep(400 * time.Millisecond) // so that the sending is one change and the answer another
		return sandboxtest.Respond(200, ""), nil
	}
	w.Order("T0")
	url, end := serve(t, w)

	page := watch(t, url)
	if page.status != 200 || page.header.Get("Content-Type") != "text/event-stream; charset=utf-8" || page.header.Get("Cache-Control") != "no-store" {
		t.Fatalf("got %d %v", page.status, page.header)
	}
	if got := page.next(); got.name != "state" || got.has["known"] == nil || got.Totals.Orders != 1 {
		t.Errorf("at first: got %s with %d orders, want the state with one", got.name, got.Totals.Orders)
	}
	w.Order("T1")
	if got := page.next(); got.name != "change" || len(got.Orders) != 1 || got.Orders[0].OutTradeNo != "T1" || got.Totals.Orders != 2 || got.has["known"] != nil || got.has["keys"] != nil {
		t.Errorf("after an order: got %s %v, want the one that is new and nothing that is as it was", got.name, got.has)
	}
	w.Refund("T1", "R1")
	if got := page.next(); len(got.Refunds) != 1 || got.Refunds[0].WeChat.State != "PROCESSING" || got.Orders[0].Open == 0 || got.Totals.Open != 1 {
		t.Errorf("after a refund: got %+v, want it accepted and not settled yet", got.Refunds)
	}
	seen := map[string]bool{}
	for got := page.next(); got.Totals.NotificationStates["delivered"] == 0; got = page.next() {
		for _, id := range got.Notifications {
			seen[id] = true
		}
	}
	if len(seen) != 1 {
		t.Errorf("notifications that changed: got %v, want one", seen)
	}
	m.writes(w, sandbox.MerchantRefund{OutRefundNo: "R1", State: "success", Refund: 100, Held: 100, Arrived: 100, Currency: "CNY", At: w.Sandbox.Now()})
	if got := page.next(); len(got.Refunds) != 1 || got.Refunds[0].Status != "success" || got.Orders == nil || len(got.Orders) != 0 {
		t.Errorf("after a record of the merchant's: got %+v, %+v, want the refund alone", got.Refunds, got.Orders)
	}
	w.Control("POST", "/_sandbox/hostile", `{"on":true}`, 200)
	if got := page.next(); !got.Hostile || got.has["hostile"] == nil || len(got.Refunds) != 0 {
		t.Errorf("after a switch: got %v, want it alone", got.has)
	}
	w.Sandbox.MerchantChanged("R1") // and is as it was
	w.Control("POST", "/_sandbox/hostile", `{"on":false}`, 200)
	if got := page.next(); got.has["hostile"] == nil || got.Hostile {
		t.Errorf("after nothing and another switch: got %v, want the switch", got.has)
	}

	time.Sleep(300 * time.Millisecond)
	if err := end(); err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	for {
		if _, err := page.lines.ReadString('\n'); err != nil {
			break
		}
	}
	if took := time.Since(began); took > time.Second {
		t.Errorf("the stream ended %v after the sandbox", took)
	}
}

// A stream is what a page in the same process is sent, in virtual time.
type stream struct {
	header http.Header
	events chan event
	read   func() // is called before each write is taken
	bytes  int
	end    func()
}

func (s *stream) Header() http.Header              { return s.header }
func (s *stream) WriteHeader(int)                  {}
func (s *stream) Flush()                           {}
func (s *stream) SetReadDeadline(time.Time) error  { return nil }
func (s *stream) SetWriteDeadline(time.Time) error { return nil }

func (s *stream) Write(b []byte) (int, error) {
	s.read()
	var e event
	name, data, _ := strings.Cut(string(b), "\ndata: ")
	e.name, e.size, e.at = strings.TrimPrefix(name, "event: "), len(b), time.Now()
	if err := errors.Join(json.Unmarshal([]byte(data), &e), json.Unmarshal([]byte(data), &e.has)); err != nil {
		return 0, err
	}
	s.bytes += len(b)
	s.events <- e
	return len(b), nil
}

// open opens a stream that ends with the test, or before.
func open(t *testing.T, w *sandboxtest.World, read func()) *stream {
	s := &stream{header: http.Header{}, events: make(chan event, 10_000), read: read}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan bool)
	go func() {
		w.Sandbox.Control().ServeHTTP(s, sandboxtest.ControlRequest("GET", "/_sandbox/events", "").WithContext(ctx))
		close(ended)
	}()
	s.end = func() { cancel(); <-ended }
	t.Cleanup(s.end)
	synctest.Wait()
	return s
}

// got returns what has come so far.
func (s *stream) got() (all []event) {
	for {
		select {
		case e := <-s.events:
			all = append(all, e)
		default:
			return all
		}
	}
}

// figures returns the last event that has totals.
func figures(all []event) (last event) {
	for _, e := range all {
		if e.Totals.States != nil {
			last = e
		}
	}
	return last
}

// At most five events come in a second; what changes in between comes together, each
// thing once and as it stands then. Of very much it is only said that it changed.
func TestChangesComeTogether(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := sandboxtest.New(t)
		page := open(t, w, func() {})
		time.Sleep(time.Second)
		page.got()
		orders := func(name string, n int) {
			for i := range n {
				w.Order(fmt.Sprintf("%s-%d", name, i))
				synctest.Wait() // whoever could tell of it at once has done so
			}
		}
		orders("a", 1)
		orders("b", 98)
		w.Refund("a-0", "R1")
		time.Sleep(time.Second)
		all := page.got()
		if len(all) != 2 || len(all[0].Orders) != 1 || len(all[1].Orders) != 99 || len(all[1].Refunds) != 1 || all[1].More {
			t.Fatalf("got %d events, want the first order and then 98 more, that one again, and the refund", len(all))
		}
		if pause := all[1].at.Sub(all[0].at); pause != 200*time.Millisecond {
			t.Errorf("the second event came %v after the first, want 200ms", pause)
		}
		orders("c", 1)
		orders("d", 101)
		time.Sleep(time.Second)
		if all = page.got(); len(all) != 2 || !all[1].More || all[1].has["orders"] != nil || all[1].Totals.Orders != 201 {
			t.Errorf("of 101 changes: got %d events, the last %v; want that there are more, and the figures", len(all), all[len(all)-1].has)
		}
		time.Sleep(20 * time.Second)
		if all = page.got(); len(all) != 2 || len(all[0].has) != 2 || all[0].has["now"] == nil || all[0].has["revision"] == nil {
			t.Errorf("of nothing in twenty seconds: got %d events %v, want two that tell the time", len(all), all)
		}
	})
}

// A page that does not read holds up neither another page nor the sandbox, and gets all
// that it has missed at once.
func TestAPageThatReadsSlowlyHoldsNobodyUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := sandboxtest.New(t)
		w.Run()
		var asleep atomic.Bool
		slow := open(t, w, func() {
			for asleep.Load() {
				time.Sleep(time.Second)
			}
		})
		quick := open(t, w, func() {})
		asleep.Store(true)
		began := time.Now()
		for i := range 50 {
			w.Order(fmt.Sprintf("T%d", i))
			time.Sleep(200 * time.Millisecond)
		}
		if took := time.Since(began); took != 10*time.Second {
			t.Errorf("fifty orders took %v, want 10s", took)
		}
		if n := len(quick.got()); n < 50 {
			t.Errorf("the page that reads got %d events, want one of each order", n)
		}
		asleep.Store(false)
		time.Sleep(2 * time.Second)
		all := slow.got()
		if last := figures(all); len(all) > 4 || last.Totals.Orders != 50 {
			t.Errorf("the other got %d events, the last of %d orders; want few, and all of them", len(all), last.Totals.Orders)
		}
	})
}

// Two hundred refunds from the claim to the acknowledgement, one every fifth of a second,
// so that each of their changes is an event.
func TestTwoHundredRefundsCostAPageLessThanAMegabyte(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := merchant{}
		w := sandboxtest.New(t, func(c *sandbox.Config) { c.Hostile, c.Speed, c.MerchantRefunds = true, 60, m.read })
		w.Run()
		page := open(t, w, func() {})
		const pause = 200 * time.Millisecond
		for i := range 200 {
			// The lengths are those of the numbers that the console makes up.
			trade, no := fmt.Sprintf("T20261126101112%06d", i), fmt.Sprintf("T20261126101112%06d-r1", i)
			w.Control("POST", "/_sandbox/orders", fmt.Sprintf(`{"out_trade_no":%q,"total":10000}`, trade), 200)
			r := sandbox.MerchantRefund{OutRefundNo: no, OutTradeNo: trade, State: "claimed", Refund: 100, Total: 10000, Held: 100, Currency: "CNY", At: w.Sandbox.Now()}
			m.writes(w, r)
			time.Sleep(pause / 2)
			w.Refund(trade, no)
			r.State = "processing"
			m.writes(w, r)
			time.Sleep(pause / 2)
			w.Control("POST", "/_sandbox/refunds/"+no+"/settle", `{"status":"SUCCESS"}`, 200)
			r.State, r.Arrived = "success", 100
			m.writes(w, r)
			time.Sleep(pause)
		}
		time.Sleep(5 * time.Second)
		all := page.got()
		last := figures(all)
		if want := (moneyView{"CNY", 200, 20000, 20000, 0}); last.Totals.States["success"] != 200 || last.Totals.Undelivered != 0 || last.Totals.Money[0] != want {
			t.Errorf("at the end: got %+v, want all settled and acknowledged", last.Totals)
		}
		t.Logf("%d events, %d bytes", len(all), page.bytes)
		if page.bytes >= 1e6 {
			t.Errorf("got %d bytes, want less than a megabyte", page.bytes)
		}
	})
}

// Pages are counted, and a place becomes free when one goes.
func TestWatchersAreBounded(t *testing.T) {
	w := sandboxtest.New(t)
	server := httptest.NewServer(w.Sandbox.Control())
	t.Cleanup(server.Close)
	var pages []*watcher
	for range 8 {
		p := watch(t, server.URL)
		p.next()
		pages = append(pages, p)
	}
	if p := watch(t, server.URL); p.status != 503 {
		t.Errorf("the ninth: got %d, want 503", p.status)
	}
	pages[3].close()
	for end := time.Now().Add(5 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		p := watch(t, server.URL)
		if p.status == 200 {
			break
		}
		if time.Now().After(end) {
			t.Fatal("no place becomes free")
		}
	}
}

// Why the merchant's records cannot be read is told when it happens and when it has passed.
// A ledger that hangs is waited for once, by however many.
func TestALedgerThatCannotBeReadIsToldOf(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := merchant{}
		w := sandboxtest.New(t, func(c *sandbox.Config) { c.MerchantRefunds = m.read })
		page := open(t, w, func() {})
		m.hangs = true
		m.writes(w, sandbox.MerchantRefund{OutRefundNo: "R1", State: "claimed", Refund: 1, Held: 1, Currency: "CNY", At: time.Now()})
		began := time.Now()
		var all sync.WaitGroup
		for range 5 {
			all.Go(func() { view(w, "refunds") })
		}
		all.Wait()
		if took := time.Since(began); took != 2*time.Second {
			t.Errorf("five who ask were answered after %v, want 2s", took)
		}
		time.Sleep(time.Second)
		if got := page.got(); len(got) != 2 || got[1].OursError == nil || !strings.Contains(*got[1].OursError, "deadline") {
			t.Errorf("a ledger that hangs: got %+v, want that it does", got)
		}
		m.hangs = false
		w.Sandbox.MerchantChanged()
		time.Sleep(time.Second)
		if got := page.got(); len(got) != 1 || string(got[0].has["ours_error"]) != "null" || len(got[0].Refunds) != 1 {
			t.Errorf("it answers again: got %+v, want that, and the refund", got)
		}
		if listed := view(w, "refunds"); listed.Total != 1 {
			t.Errorf("got %d refunds, want the one that could not be read", listed.Total)
		}
	})
}
