package operator_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"wxrefund/shared/config"
	"wxrefund/shared/console/operator"
	"wxrefund/shared/needs"
	"wxrefund/shared/refund"
	"wxrefund/shared/sandbox"
	"wxrefund/shared/sandbox/sandboxtest"
)

// TestMain ends with the line that lists what did not run.
func TestMain(m *testing.M) { os.Exit(needs.Main(m)) }

// A world is a shop: WeChat's side, a ledger, a subscriber, and the console in front of them.
type world struct {
	*sandboxtest.World
	t          *testing.T
	refunds    *refund.Service
	console    *operator.Console
	url        string // of the program, without a path
	client     *http.Client
	root       string      // the console's path, once somebody has come in
	subscriber atomic.Bool // takes what it is told
}

// alice is who sits at the console: her name and the openid of a colleague must not be shown in full.
const (
	alice     = "alice.wang@shop.example"
	colleague = "o6_bmjrPTlm6_2sgVt7hMZOPfL2M"
)

// open starts a shop on a ledger and comes in by the console's entrance.
func open(t *testing.T, ledger string, act bool) *world {
	t.Helper()
	w := &world{World: sandboxtest.New(t), t: t}
	wechat := httptest.NewServer(w.Sandbox.WeChat())
	t.Cleanup(wechat.Close)
	hook := httptest.NewServer(http.HandlerFunc(func(out http.ResponseWriter, _ *http.Request) {
		if !w.subscriber.Load() {
			out.WriteHeader(http.StatusServiceUnavailable)
		}
	}))
	t.Cleanup(hook.Close)
	w.subscriber.Store(true)
	w.Sandbox.SetURLs(sandbox.URLs{WeChat: wechat.URL, Notify: sandboxtest.NotifyURL})
	settings := w.SettingsOf("apiv3")
	settings["LEDGER_URL"], settings["REFUND_PACE"], settings["REFUND_WAIT_FUNDS"] = ledger, "0s", "true"
	settings["REFUND_OPERATORS"], settings["REFUND_SELF"], settings["REFUND_APPROVAL_FEN"] = colleague, "propose", "9000"
	settings["NOTIFY_WEBHOOK_URL"], settings["NOTIFY_WEBHOOK_SECRET"] = hook.URL, "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
	sys, err := config.Load(t.Context(), func(name string) string { return settings[name] }, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = sys.Close() })
	w.refunds = sys.Refunds
	w.refunds.Now = w.Sandbox.Now
	w.Run()
	w.serve(act)
	return w
}

// serve puts a console in front of the shop.
func (w *world) serve(act bool) {
	w.console = operator.New(operator.Config{Refunds: w.refunds, Operator: alice, Act: act})
	server := httptest.NewServer(w.console.Handler())
	w.t.Cleanup(server.Close)
	w.url = server.URL
	jar, err := cookiejar.New(nil)
	if err != nil {
		w.t.Fatal(err)
	}
	w.client = &http.Client{Jar: jar}
	answer, err := w.client.Get(w.url + w.console.Path())
	if err != nil {
		w.t.Fatal(err)
	}
	answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		w.t.Fatalf("the entrance: %s", answer.Status)
	}
	w.root = answer.Request.URL.Path
}

// file is a ledger in a file of its own.
func file(t *testing.T) string { return "sqlite:" + filepath.Join(t.TempDir(), "ledger.db") }

// call asks the console, and wants a status.
func (w *world) call(method, path, body string, status int) []byte {
	w.t.Helper()
	r, err := http.NewRequestWithContext(w.t.Context(), method, w.url+w.root+"api/"+path, strings.NewReader(body))
	if err != nil {
		w.t.Fatal(err)
	}
	answer, err := w.client.Do(r)
	if err != nil {
		w.t.Fatal(err)
	}
	defer answer.Body.Close()
	b, err := io.ReadAll(answer.Body)
	if err != nil {
		w.t.Fatal(err)
	}
	if answer.StatusCode != status {
		w.t.Fatalf("%s %s: %s, want %d: %s", method, path, answer.Status, status, b)
	}
	return b
}

// get reads something of the console's.
func get[T any](w *world, path string) (v T) {
	w.t.Helper()
	if err := json.Unmarshal(w.call("GET", path, "", 200), &v); err != nil {
		w.t.Fatal(err)
	}
	return v
}

// refund refunds a part of an order, as somebody; what comes of it is for the caller to know.
func (w *world) refund(who refund.Caller, order, no string, fen int64) error {
	_, err := w.refunds.Refund(w.t.Context(), who, refund.Request{
		OutRefundNo: no, OutTradeNo: order, Reason: "商品已售完", Amount: refund.RequestAmount{Refund: fen, Total: total(order), Currency: "CNY"},
	})
	return err
}

// buyer is who has paid the order of [world.applied]; the openid must not be shown in full.
const buyer = "oBuyer-HELS4Ew7aJQm5vT2pKcD0"

// applied has the buyer pay an order and apply for a part of it.
func (w *world) applied(order string, fen int64) (id string) {
	w.t.Helper()
	w.Control("POST", "/_sandbox/orders", fmt.Sprintf(`{"out_trade_no":%q,"total":%d,"openid":%q}`, order, total(order), buyer), 200)
	a, err := w.refunds.Apply(w.t.Context(), refund.Caller{Kind: refund.User, OpenID: buyer}, refund.ApplyRequest{OutTradeNo: order, Reason: "不想要了", Amount: refund.ApplyAmount{Refund: fen}})
	if err != nil {
		w.t.Fatal(err)
	}
	return a.ID
}

// total is what an order of the shop comes to: 100 yuan, as those of the sandbox's merchant.
func total(string) int64 { return 10000 }

var server = refund.Caller{Kind: refund.Server, Source: "scf"}

// fault has WeChat's side fail the next calls.
func (w *world) fault(fault string) {
	w.t.Helper()
	w.Control("POST", "/_sandbox/faults", fault, 200)
}

// pay makes a paid order.
func (w *world) pay(no string) {
	w.t.Helper()
	w.Control("POST", "/_sandbox/orders", fmt.Sprintf(`{"out_trade_no":%q,"total":%d}`, no, total(no)), 200)
}

// confirm learns what became of a refund.
func (w *world) confirm(no string) {
	w.t.Helper()
	if _, err := w.refunds.Confirm(w.t.Context(), no); err != nil {
		w.t.Fatalf("%s: %v", no, err)
	}
	w.refunds.Deliver(w.t.Context(), no)
}

// settle ends a refund at WeChat's side, and learns it.
func (w *world) settle(no, status string) {
	w.t.Helper()
	w.Control("POST", "/_sandbox/refunds/"+url.PathEscape(no)+"/settle", fmt.Sprintf(`{"status":%q}`, status), 200)
	w.confirm(no)
}

// ends are the refunds of [world.fill] that did not simply succeed, by what became of them.
type ends struct{ doubt, waiting, rejected, abnormal, closed, processing, external, owed []string }

// fill has the shop refund n times over some days: most of it succeeds.
func (w *world) fill(n int) (e ends) {
	w.t.Helper()
	person := refund.Caller{Kind: refund.User, OpenID: colleague}
	must := func(err error) {
		if err != nil {
			w.t.Helper()
			w.t.Fatal(err)
		}
	}
	var open []string
	for i := range n {
		order, no := fmt.Sprintf("S2026%06d", 1000+i/2), fmt.Sprintf("RF2026%06d-%d", 1000+i/2, 1+i%2)
		if i%2 == 0 {
			w.pay(order)
		}
		must(w.refund([]refund.Caller{server, person}[i%2], order, no, int64(100+i*37%4800)))
		open = append(open, no)
		if i%40 == 39 {
			w.Advance("7h")
			for _, no := range open {
				w.confirm(no)
			}
			open = nil
		}
	}
	w.Advance("1h")
	for _, no := range open {
		w.confirm(no)
	}
	_, err := w.refunds.Reconcile(w.t.Context())
	must(err)

	odd := func(kind string, i int) (order, no string) {
		order, no = fmt.Sprintf("S2027%s%02d", strings.ToUpper(kind[:2]), i), fmt.Sprintf("RF2027-%s-%02d", kind, i)
		w.pay(order)
		return order, no
	}
	for i := range 3 {
		order, no := odd("doubt", i)
		w.fault(`{"upstream":"500_before","count":1}`)
		if w.refund(server, order, no, int64(1990+i)) == nil {
			w.t.Fatal("a refund that failed did not")
		}
		e.doubt = append(e.doubt, no)
	}
	w.Advance("40m")
	for i := range 2 {
		order, no := odd("funds", i)
		w.fault(`{"err_code":"NOT_ENOUGH","count":1}`)
		if w.refund(server, order, no, int64(128800*(i+1)/100)) == nil {
			w.t.Fatal("a refund that failed did not")
		}
		e.waiting = append(e.waiting, no)
	}
	for i := range 2 {
		no := fmt.Sprintf("RF2027-rejected-%02d", i)
		if w.refund(server, fmt.Sprintf("S2027UNPAID%02d", i), no, 500) == nil {
			w.t.Fatal("a refund of an order that was not paid was accepted")
		}
		e.rejected = append(e.rejected, no)
	}
	for i := range 2 {
		order, no := odd("abnormal", i)
		must(w.refund(person, order, no, 4200))
		w.settle(no, "ABNORMAL")
		e.abnormal = append(e.abnormal, no)
	}
	order, no := odd("closed", 0)
	must(w.refund(server, order, no, 999))
	w.settle(no, "CLOSED")
	e.closed = append(e.closed, no)
	order, no = odd("hand", 0)
	w.Control("POST", "/_sandbox/refunds", fmt.Sprintf(`{"out_trade_no":%q,"out_refund_no":%q,"amount":350}`, order, no), 200)
	w.settle(no, "SUCCESS")
	e.external = append(e.external, no)
	w.subscriber.Store(false)
	for i := range 2 {
		order, no := odd("owed", i)
		must(w.refund(server, order, no, 1234))
		w.settle(no, "SUCCESS")
		e.owed = append(e.owed, no)
	}
	for i := range 4 {
		order, no := odd("processing", i)
		must(w.refund(refund.Caller{Kind: refund.Operator, Name: alice}, order, no, int64(2500+i*100)))
		e.processing = append(e.processing, no)
	}
	w.Advance("1m")
	return e
}
