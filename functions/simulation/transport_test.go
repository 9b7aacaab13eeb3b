package simulation_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"time"

	"wxrefund/shared/wxpay"
)

// A notificationTransport carries WeChat Pay's notifications to our notification function, in this process.
type notificationTransport struct{ w *world }

// A notification is one send of a notification.
type notification struct {
	id     string // of this send
	no     string // the refund that it is about
	status string
	header http.Header
	body   []byte

	relayed bool // it is handed to the function by the platform, and not posted
}

// end names the refund that a notification is about, and the end that it tells of.
func (l notification) end() string { return l.no + " " + l.status }

func (p *notificationTransport) RoundTrip(req *http.Request) (*http.Response, error) {
	body, err := io.ReadAll(req.Body)
	if err != nil {
		return nil, err
	}
	header := http.Header{} // as a server has it, which spells every name in its own way
	for name, values := range req.Header {
		header.Set(name, values[0])
	}
	l := notification{id: header.Get("Request-Id"), header: header, body: body, relayed: req.URL.String() == relayURL}
	r := p.w.random.of("post", l.id)
	if no, _, _ := p.w.system.opens(p.w, l); p.w.history.untold(no) {
		return nil, errCut
	}
	if err := p.w.wait(req.Context(), hash("post", l.id), r.IntN(4)); err != nil {
		return nil, err
	}
	if p.w.applies(r, "notification lost") {
		p.w.logf("post", "notification %s is lost", l.id)
		return nil, errCut
	}
	if p.w.applies(r, "notification twice") {
		p.w.spawn(func() { p.w.deliver(l, "twin", "notification "+l.id) })
	}
	type answer struct {
		rec *httptest.ResponseRecorder
		ok  bool
	}
	// WeChat Pay hangs up after five seconds; the function does not hear of that.
	done := make(chan answer, 1)
	p.w.spawn(func() {
		rec, ok := p.w.deliver(l, "", "notification "+l.id)
		done <- answer{rec, ok}
	})
	select {
	case a := <-done:
		if !a.ok || p.w.applies(r, "notification cut") {
			return nil, errCut
		}
		return a.rec.Result(), nil
	case <-req.Context().Done():
		return nil, req.Context().Err()
	}
}

// deliver has the notification function answer a notification. ok is false if nobody
// lives to answer.
func (w *world) deliver(l notification, turn, name string) (rec *httptest.ResponseRecorder, ok bool) {
	c := w.begin(name+turn, 10*time.Second)
	no, status, believed := w.system.opens(w, l)
	genuine := believed != forged
	switch believed {
	case proven:
		c.hears(no, event{status: status, source: "notification"})
		fallthrough
	case hinted:
		if l.relayed {
			c.vouches(no, status)
		}
		l.no, l.status = no, status
		w.remember(l)
	default:
		c.forged = true
		w.count("forged notifications", 1)
	}
	w.logf(c.name, "%s %s genuine=%t", l.no, l.status, genuine)
	_ = w.wait(c.ctx, c.phase("start"), 0) // so that twins do not start at the very same instant; the end of ctx shows later
	r := httptest.NewRequest(http.MethodPost, notifyURL, bytes.NewReader(l.body))
	r.Header = l.header.Clone()
	rec = httptest.NewRecorder()
	begun := time.Now()
	acknowledged := false
	if l.relayed {
		reply := w.side.relay(c, true, l.body)
		acknowledged = accepts(reply)
		_, _ = fmt.Fprintf(rec, `{"result":%s}`, reply) // a recorder takes everything
	} else {
		w.side.notification(c, rec, r.WithContext(c.given))
		acknowledged = rec.Code == http.StatusOK
	}
	took := time.Since(begun)
	if !c.end() {
		w.logf(c.name, "is not answered")
		return nil, false
	}
	w.count("notifications answered", 1)
	if !w.invariants.judge("answer: a notification is answered in five seconds", took <= 5*time.Second, "about %s: %v", l.no, took) {
		w.count("notifications answered late", 1)
	}
	w.logf(c.name, "answers %d after %v", rec.Code, took)
	if !genuine && !w.invariants.judge("I7 no forged notification is acknowledged", !acknowledged, "%s is", c.name) {
		w.count("forged notifications believed", 1)
	}
	if acknowledged {
		if l.relayed {
			w.mu.Lock()
			w.relayed[l.end()] = true
			w.mu.Unlock()
		}
		w.invariants.acknowledged(c, l)
	}
	return rec, true
}

// opensV3 reads a notification of APIv3, if WeChat Pay has written it.
func opensV3(w *world, l notification) (no, status string, believed trust) {
	if !w.genuine(l.header, l.body) {
		return "", "", forged
	}
	no, status = open(l.body)
	return no, status, proven
}

// open reads a genuine notification.
func open(body []byte) (no, status string) {
	n, err := wxpay.ParseNotification(body)
	if err != nil {
		panic(err) // what WeChat Pay has signed is well-formed
	}
	plain, err := keys().secret.Open(n.Resource)
	if err != nil {
		panic(err)
	}
	var l struct {
		OutRefundNo  string `json:"out_refund_no"`
		RefundStatus string `json:"refund_status"`
	}
	if err := json.Unmarshal(plain, &l); err != nil {
		panic(err)
	}
	return l.OutRefundNo, l.RefundStatus
}

// remember keeps the last genuine notification about each refund, for whoever would
// replay or alter it, and that it has come at all.
func (w *world) remember(l notification) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.notifications[l.no] = l
	if l.relayed {
		w.relayed[l.end()] = w.relayed[l.end()]
	}
}
