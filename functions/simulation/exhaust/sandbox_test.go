package exhaust

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"flag"
	"fmt"
	"hash/maphash"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	gocmp "github.com/google/go-cmp/cmp"

	"wxrefund/shared/channel"
	"wxrefund/shared/cloudbase"
	"wxrefund/shared/config"
	"wxrefund/shared/refund"
	"wxrefund/shared/sandbox"
	"wxrefund/shared/sandbox/sandboxtest"
	"wxrefund/shared/wxpay"
)

// sequences is how long those of TestScriptedUpstreamIsTheSandbox are, from the beginning
// and once a refund was accepted: with 2 there is every one.
var sequences = flag.Int("sequences", 2, "how many steps the sequences of TestScriptedUpstreamIsTheSandbox have")

// A duel has the same happen at the scripted WeChat Pay and, by the real channel, at the
// sandbox.
type duel struct {
	t       *testing.T
	sandbox *sandboxtest.World
	channel refund.Channel
	wechat  http.Handler
	control http.Handler
	cut     bool // the next answer does not come
	idle    bool // the last step has changed nothing
	posts   int  // notifications that the sandbox has sent
	handled int

	r        *run
	sequence int
	rows     map[string]refund.BillRow // that a bill has to have, by number
}

// RoundTrip carries a request of the channel to the sandbox, in this process.
func (d *duel) RoundTrip(req *http.Request) (*http.Response, error) {
	var body []byte
	if req.Body != nil {
		body, _ = io.ReadAll(req.Body)
	}
	in := req.Clone(req.Context())
	in.Body, in.ContentLength = io.NopCloser(bytes.NewReader(body)), int64(len(body))
	in.RequestURI, in.RemoteAddr = req.URL.RequestURI(), "127.0.0.1:40000"
	if req.URL.Scheme == "https" {
		cert, err := wxpay.ParseCertificate(d.sandbox.SettingsOf("global")["WXPAY_CLIENT_CERT"])
		if err != nil {
			return nil, err
		}
		in.TLS = &tls.ConnectionState{PeerCertificates: []*x509.Certificate{cert}}
	}
	rec := httptest.NewRecorder()
	d.wechat.ServeHTTP(rec, in)
	if d.cut && !strings.Contains(req.URL.Path, "gettoken") {
		return nil, errors.New("the connection breaks")
	}
	resp := rec.Result()
	resp.Request = req
	return resp, nil
}

// reached has a channel call the sandbox.
func (d *duel) reached(sys *config.System) refund.Channel {
	client := &http.Client{Transport: d}
	gateway := func(g *cloudbase.Gateway) *cloudbase.Gateway {
		c := *g
		c.HTTP = client
		return &c
	}
	over := func(c *wxpay.Client) *wxpay.Client {
		return &wxpay.Client{Signer: c.Signer, Keys: c.Keys, HTTP: client, Hosts: c.Hosts}
	}
	switch c := sys.Refunds.Channel.(type) {
	case *channel.APIv3:
		c.Client = over(c.Client)
	case *channel.CloudBase:
		c.Gateway, c.Bills = gateway(c.Gateway), over(c.Bills)
	case *channel.CloudPay:
		c.Gateway = gateway(c.Gateway)
	case *channel.Global:
		c.HTTP = client
	case *channel.WeCom:
		return &channel.WeCom{HTTP: client, Host: c.Host, CorpID: c.CorpID, CorpSecret: c.CorpSecret, MchID: c.MchID, AppID: c.AppID}
	}
	return sys.Refunds.Channel
}

// settingsOf are those of a channel; CloudBase's module knows no bill, so that keys of APIv3
// stand beside it.
func settingsOf(w *sandboxtest.World, name string) map[string]string {
	settings := w.SettingsOf(name)
	if name == "cloudbase" {
		for variable, value := range w.SettingsOf("apiv3") {
			if _, has := settings[variable]; !has && strings.HasPrefix(variable, "WXPAY_") {
				settings[variable] = value
			}
		}
	}
	return settings
}

// postman counts notifications.
type postman struct{ d *duel }

func (p postman) RoundTrip(req *http.Request) (*http.Response, error) {
	p.d.posts++
	return sandboxtest.Respond(200, `{"code":"SUCCESS"}`), nil
}

func newDuel(t *testing.T, name string) *duel {
	d := &duel{t: t, rows: map[string]refund.BillRow{}}
	d.sandbox = sandboxtest.New(t, func(c *sandbox.Config) {
		c.Transport, c.Merchant, c.ModuleFailure = postman{d}, "public-key", "errcode"
	})
	d.sandbox.Relayed()
	d.wechat, d.control = d.sandbox.Sandbox.WeChat(), d.sandbox.Sandbox.Control()
	settings := settingsOf(d.sandbox, name)
	settings["LEDGER_URL"] = "sqlite::memory:"
	sys, err := config.Load(context.Background(), func(variable string) string { return settings[variable] }, nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := sys.Close(); err != nil {
		t.Fatal(err)
	}
	d.channel = d.reached(sys)
	d.r = &run{x: &explorer{system: systemOf(name), seed: maphash.MakeSeed(), scenario: &Scenario{letters: true}}, c: &chooser{}}
	return d
}

// next begins anew, with two orders of 100 that were paid.
func (d *duel) next() {
	d.sequence++
	d.r.w, d.r.x.scenario.orders = &world{now: time.Now()}, nil
	for _, which := range []string{"1", "2"} {
		o := order{fmt.Sprintf("42%025d%s", d.sequence, which), fmt.Sprintf("ORDER%d.%s", d.sequence, which), 100}
		o.trade = strings.ReplaceAll(o.trade, ".", "-")
		d.r.x.scenario.orders = append(d.r.x.scenario.orders, o)
		sub := ""
		if d.r.x.system.name == "cloudpay" {
			sub = fmt.Sprintf(`,"sub_mchid":%q`, d.sandbox.SettingsOf("cloudpay")["WXPAY_SUB_MCHID"])
		}
		if !d.tells("POST", "/_sandbox/orders", fmt.Sprintf(`{"out_trade_no":%q,"transaction_id":%q,"total":100%s}`, o.trade, o.transaction, sub)) {
			d.t.Fatalf("the sandbox does not take the order %s", o.trade)
		}
	}
}

// tells has the sandbox do what a developer wants; false: it does not.
func (d *duel) tells(method, path, body string) bool {
	return sandboxtest.Serve(d.control, sandboxtest.ControlRequest(method, path, body)).Status == http.StatusOK
}

// no is a number of this sequence's.
func (d *duel) no(name string) string { return fmt.Sprintf("%s-%d", name, d.sequence) }

// A word is what one of the two says.
type word struct {
	Refund refund.Refund
	Count  int
	Error  refund.Error
}

// said leaves of an answer what is no matter of taste.
func said(got refund.Refund, n int, err error) word {
	w := word{Count: n}
	if err != nil {
		e := refund.AsError(err)
		w.Error = refund.Error{Code: e.Code, Next: e.Next, Upstream: e.Upstream, RetryAfter: e.RetryAfter, Unsent: e.Unsent, MaybeNumberTaken: e.MaybeNumberTaken, NotEnough: e.NotEnough, CountedOnly: e.CountedOnly}
		return w
	}
	w.Refund = refund.Refund{
		OutRefundNo: got.OutRefundNo, TransactionID: got.TransactionID, OutTradeNo: got.OutTradeNo, Status: got.Status,
		Amount: refund.Amount{Total: got.Amount.Total, Refund: got.Amount.Refund, Currency: got.Amount.Currency},
	}
	if got.RefundID != "" {
		w.Refund.RefundID = "one"
	}
	if got.SuccessTime != "" {
		w.Refund.SuccessTime = "some"
	}
	return w
}

// orNil is an error that is nil if there is none.
func orNil(e *refund.Error) error {
	if e == nil {
		return nil
	}
	return e
}

// A step is what happens next; it returns what both say.
type step struct {
	name string
	does func(d *duel) (scripted, real word)
}

// asks is a request.
func asks(name, no string, which int, fen int64, change func(req *refund.Request, orders []order)) step {
	return step{name, func(d *duel) (scripted, real word) {
		return d.send(d.request(no, which, fen, change))
	}}
}

func (d *duel) request(no string, which int, fen int64, change func(req *refund.Request, orders []order)) refund.Request {
	orders := d.r.x.scenario.orders
	req := refund.Request{OutRefundNo: d.no(no), OutTradeNo: orders[which].trade, Amount: refund.RequestAmount{Refund: fen, Total: 100, Currency: "CNY"}}
	if change != nil {
		change(&req, orders)
	}
	return req
}

func (d *duel) send(req refund.Request) (scripted, real word) {
	a, no := d.r.arrive(req, false, -1)
	b, err := d.channel.Refund(context.Background(), req)
	return said(a, 0, orNil(no)), said(b, 0, err)
}

// unheard is a request whose answer does not come.
func unheard() step {
	return step{"A is not answered", func(d *duel) (scripted, real word) {
		d.cut = true
		defer func() { d.cut = false }()
		req := d.request("A", 0, 60, nil)
		_, _ = d.r.arrive(req, false, -1)
		b, err := d.channel.Refund(context.Background(), req)
		return said(refund.Refund{}, 0, lost()), said(b, 0, err)
	}}
}

// struck is a request, or a question, that meets a mishap.
func struck(name string, m mishap, on string) step {
	return step{name, func(d *duel) (scripted, real word) {
		e := d.r.x.system.mishap(m)
		if on == "query" {
			not := d.r.x.system.notFound
			e = &not
		}
		if !d.tells("POST", "/_sandbox/faults", fmt.Sprintf(`{"err_code":%q,"on":%q,"count":1}`, e.Upstream, on)) {
			d.t.Errorf("the sandbox has no error %s", e.Upstream)
		}
		defer d.tells("DELETE", "/_sandbox/faults", "")
		if on == "query" {
			page, err := d.channel.Query(context.Background(), refund.Lookup{OutRefundNo: d.no("A")})
			return said(refund.Refund{}, 0, e), said(only(page), page.TotalRefundCount, err)
		}
		b, err := d.channel.Refund(context.Background(), d.request("A", 0, 60, nil))
		return said(refund.Refund{}, 0, e), said(b, 0, err)
	}}
}

// only is what a page has, if that is one.
func only(p refund.Page) (r refund.Refund) {
	if len(p.Refunds) == 1 {
		r = p.Refunds[0]
	}
	return r
}

// inquires is a question about a refund.
func inquires(no string) step {
	return step{"ask about " + no, func(d *duel) (scripted, real word) {
		a, not := d.r.found(d.r.w.held(d.no(no)))
		b, err := d.channel.Query(context.Background(), refund.Lookup{OutRefundNo: d.no(no)})
		return said(only(a), a.TotalRefundCount, orNil(not)), said(only(b), b.TotalRefundCount, err)
	}}
}

// settles is what [run.moves] lets become of a refund.
func settles(no string, to refund.Status) step {
	return step{no + " becomes " + string(to), func(d *duel) (scripted, real word) {
		d.r.w.trouble, d.r.x.scenario.abnormal = 1, true // all that can become of it
		moves := slices.DeleteFunc(d.r.moves(false), func(m move) bool {
			return m.kind != "becomes" || m.to != to || d.r.w.refunds[m.i].req.OutRefundNo != d.no(no)
		})
		var before refund.Status
		i := slices.IndexFunc(d.r.w.refunds, func(h held) bool { return h.req.OutRefundNo == d.no(no) })
		if i >= 0 {
			before = d.r.w.refunds[i].status()
		}
		for _, m := range moves {
			d.r.become(m.i, to)
			scripted.Count++
		}
		posts := d.posts
		if d.tells("POST", "/_sandbox/refunds/"+d.no(no)+"/settle", fmt.Sprintf(`{"status":%q}`, to)) && before != to {
			real.Count++
		}
		if real.Count > scripted.Count && before == refund.StatusAbnormal { // the merchant closes it, which no world has
			d.r.become(i, to)
			scripted.Count++
		}
		if l := d.r.x.system.letters; i >= 0 && d.r.w.refunds[i].byHand && l != signed && l != sealed {
			d.posts = posts // what the merchant's own address gets in APIv3's form, which the function cannot open
		}
		return scripted, real
	}}
}

// hands is a refund on the merchant platform.
func hands(no string, fen int64) step {
	return step{fmt.Sprintf("%d by hand as %s", fen, no), func(d *duel) (scripted, real word) {
		o, kind := d.r.x.scenario.orders[0], "v3"
		if d.r.x.system.letters == sealed {
			kind = "v2"
		}
		if d.r.w.held(d.no(no)) == nil { // see [byHand]
			_, not := d.r.arrive(refund.Request{OutRefundNo: d.no(no), OutTradeNo: o.trade, Amount: refund.RequestAmount{Refund: fen, Total: o.total, Currency: "CNY"}}, true, -1)
			if not == nil {
				scripted.Count = 1
			}
		}
		if d.tells("POST", "/_sandbox/refunds", fmt.Sprintf(`{"out_refund_no":%q,"out_trade_no":%q,"amount":%d,"notification":%q}`, d.no(no), o.trade, fen, kind)) {
			real.Count = 1
		}
		return scripted, real
	}}
}

// alphabet is what can happen, as far as a system has it.
func (s *system) alphabet() []step {
	all := []step{
		asks("A", "A", 0, 60, nil),
		asks("A of 50", "A", 0, 50, nil),
		asks("A of another order", "A", 1, 60, nil),
		asks("A of a wrong total", "A", 0, 60, func(r *refund.Request, _ []order) { r.Amount.Total = 200 }),
		asks("A of no order", "A", 0, 60, func(r *refund.Request, _ []order) { r.OutTradeNo += "-none" }),
		asks("B", "B", 0, 60, nil),
		asks("B of what A leaves", "B", 0, 40, nil),
		asks("B of all", "B", 0, 100, nil),
		inquires("A"), inquires("B"),
		settles("A", refund.StatusSuccess), settles("A", refund.StatusAbnormal), settles("A", refund.StatusClosed),
		hands("H", 40), hands("A", 60),
		unheard(),
		struck("A, too many", tooMany, "apply"), struck("A, too little money", notEnough, "apply"), struck("A, its signature", signature, "apply"),
		struck("ask about A, which is not found", 0, "query"),
	}
	if !s.byTrade {
		byID := func(r *refund.Request, o []order) { r.OutTradeNo, r.TransactionID = "", o[0].transaction }
		all = append(all,
			asks("A by WeChat's number", "A", 0, 60, byID),
			asks("B by WeChat's number", "B", 0, 60, byID),
			asks("A by both numbers", "A", 0, 60, func(r *refund.Request, o []order) { r.TransactionID = o[0].transaction }),
			asks("A by numbers of two orders", "A", 1, 60, func(r *refund.Request, o []order) { r.TransactionID = o[0].transaction }),
			asks("A of no transaction", "A", 0, 60, func(r *refund.Request, o []order) { r.OutTradeNo, r.TransactionID = "", o[0].transaction[:27]+"9" }),
		)
	}
	return all
}

// live has a sequence of so many steps happen, and reports the first difference. After one
// that changes nothing there is only one more: what it might have left behind shows then.
func (d *duel) live(begun []step, most int, pick func() step) {
	d.next()
	var done []string
	for last := false; len(done) < len(begun)+most && !last; {
		before := d.r.x.sum(d.r.w)
		last = len(done) > len(begun) && d.idle
		var s step
		if len(done) < len(begun) {
			s = begun[len(done)]
		} else {
			s = pick()
		}
		done = append(done, s.name)
		time.Sleep(200 * time.Millisecond) // the sandbox takes six wrong requests a second
		scripted, real := s.does(d)
		d.r.w.trouble = 0
		d.idle = before == d.r.x.sum(d.r.w)
		if diff := gocmp.Diff(real, scripted); diff != "" {
			d.t.Errorf("%s (-sandbox +script):\n%s", strings.Join(done, ", "), diff)
			return
		}
		if n, want := d.posts-d.handled, len(d.r.w.letters); n != want {
			d.t.Errorf("%s: the sandbox has sent %d notifications, the script %d", strings.Join(done, ", "), n, want)
			return
		}
	}
	d.handled = d.posts
	for _, h := range d.r.w.refunds {
		o, _ := find(d.r.x.orders(), h.req)
		d.rows[h.req.OutRefundNo] = d.r.row(0, h, *o)
	}
}

// bill holds the bill of the day, which has all sequences in it, against the script's.
func (d *duel) bill() (n int) {
	if !slices.Contains(d.channel.Spec().Bills, refund.TradeBill) {
		if len(d.r.x.system.spec.Bills) > 0 {
			d.t.Errorf("the script has bills, and the channel has none")
		}
		return 0
	}
	day := refund.DayOf(time.Now())
	time.Sleep(48 * time.Hour)
	b, err := d.channel.Bill(context.Background(), refund.BillQuery{Day: day, Kind: refund.TradeBill})
	if err != nil {
		d.t.Fatal(err)
	}
	for row, err := range b.Refunds {
		if err != nil {
			d.t.Fatal(err)
		}
		n++
		want := d.rows[row.OutRefundNo]
		delete(d.rows, row.OutRefundNo)
		if diff := gocmp.Diff(billed(row), billed(want)); diff != "" {
			d.t.Fatalf("the bill's row of %s (-sandbox +script):\n%s", row.OutRefundNo, diff)
		}
	}
	for no := range d.rows {
		d.t.Errorf("the sandbox's bill has no %s", no)
	}
	if b.Close != nil {
		_ = b.Close()
	}
	return n
}

// billed leaves of a row what the service may go by.
func billed(row refund.BillRow) refund.BillRow {
	return refund.BillRow{TransactionID: row.TransactionID, OutTradeNo: row.OutTradeNo, OutRefundNo: row.OutRefundNo, Amount: row.Amount, Refunded: row.Refunded, Currency: row.Currency, Status: row.Status}
}

// Whatever happens at WeChat Pay, in any order, the script and the sandbox tell the same of
// it, by each channel's own words.
func TestScriptedUpstreamIsTheSandbox(t *testing.T) {
	sandboxtest.Keys()
	for _, name := range Systems() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				d := newDuel(t, name)
				all := d.r.x.system.alphabet()
				n := 0
				for _, begun := range [][]step{nil, all[:1]} { // from the beginning, and once A was accepted
					c := &chooser{}
					for more := true; more && !t.Failed(); more = c.advance() {
						d.live(begun, *sequences, func() step { return all[c.Pick(len(all))] })
						n++
					}
				}
				if !t.Failed() {
					t.Logf("%d sequences of %d of %d steps, from the beginning and of a refund: no difference, nor in a bill's %d rows", n, *sequences, len(all), d.bill())
				}
			})
		})
	}
}
