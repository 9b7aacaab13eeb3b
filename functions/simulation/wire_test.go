package simulation_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"time"
)

var (
	errCut  = errors.New("simulation: the connection broke")
	errDial = &net.OpError{Op: "dial", Net: "tcp", Err: errors.New("simulation: no route")}
)

// A wire carries a call's requests to WeChat Pay, in this process.
type wire struct {
	w    *world
	call func() *call
}

func (t *wire) RoundTrip(req *http.Request) (*http.Response, error) {
	c, ctx := t.call(), req.Context()
	var body []byte
	if req.Body != nil {
		var err error
		if body, err = io.ReadAll(req.Body); err != nil {
			return nil, err
		}
	}
	q, bill := asksForBill(req, body)
	if asksForOrder(req.URL.Path, body) {
		q = question{verb: "order", no: t.w.asksAbout(req.URL.Path, body)}
	} else if !bill {
		q = t.w.system.asks(req, body)
	}
	verb, no := q.verb, q.no
	if verb == "finish" {
		t.w.docket.finishing(c, no, body)
	}
	if verb == "send" {
		t.w.invariants.leaves(c, no, 1)
		defer t.w.invariants.leaves(c, no, -1)
	}
	if c.cross(no, "before "+verb) {
		return nil, errCrashed
	}
	r := c.luck(no, "wire")
	slow := func() int {
		if t.w.applies(r, "wire slow") {
			return r.IntN(110)
		}
		return r.IntN(4)
	}
	if err := t.w.wait(ctx, c.phase(no), slow()); err != nil {
		return nil, err
	}
	heed := func() (stop func()) { return func() {} }
	if verb == "send" {
		switch how := t.w.sticks(no); how {
		case "":
		case stuckRefused:
			// The sandbox refuses the next application, which is made at that very instant.
			code := pick(t.w.random.of("refuse", no), "USER_ACCOUNT_ABNORMAL", "NOT_ENOUGH")
			heed = func() func() { return t.w.fault(map[string]any{"err_code": code, "count": 1}) }
		default:
			t.w.logf(c.name, "%s %s: %s", verb, no, how)
			if how == stuckLost {
				return nil, errCut
			}
			resp := &wireReply{no: no, status: http.StatusInternalServerError, header: http.Header{"Content-Type": {"application/json"}}, body: []byte(`{"code":"SYSTEM_ERROR"}`)}
			t.hear(c, q, resp)
			return resp.response(req), nil
		}
	}
	switch {
	case bill && t.w.during(r, "bill lost"):
		t.w.logf(c.name, "%s is lost", verb)
		return nil, errCut
	case t.w.applies(r, "wire dial"):
		t.w.logf(c.name, "%s %s: no connection", verb, no)
		if verb == "finish" {
			t.w.docket.landed(no)
		}
		return nil, errDial
	case t.w.applies(r, "wire late"):
		// Nobody waits so long, and the platform may have ended the function: the
		// request is on its way all the same.
		t.w.logf(c.name, "%s %s: is late", verb, no)
		late := span(r, 5*time.Second, pick(r, time.Minute, 4*time.Minute+30*time.Second))
		t.w.spawn(func() {
			time.Sleep(late)
			t.w.serve(context.WithoutCancel(ctx), c.name+" (late)", q, req, body)
		})
		<-ctx.Done()
		return nil, ctx.Err()
	case t.w.applies(r, "wire lost"):
		t.w.logf(c.name, "%s %s: is lost", verb, no)
		if r.IntN(2) == 0 {
			return nil, errCut
		}
		<-ctx.Done()
		return nil, ctx.Err()
	}
	stop := heed()
	resp := t.w.serve(ctx, c.name, q, req, body)
	stop()
	if c.cross(no, "after "+verb) {
		return nil, errCrashed
	}
	if t.w.applies(r, "wire cut") || bill && t.w.during(r, "bill cut") || resp == nil {
		t.w.logf(c.name, "%s %s: no answer", verb, no)
		return nil, errCut
	}
	if err := t.w.wait(ctx, c.phase(no), slow()); err != nil {
		return nil, err
	}
	if other := t.w.swap(q, resp); other != nil && t.w.applies(r, "wire mixed") {
		t.w.logf(c.name, "%s %s: somebody else's answer", verb, no)
		resp = other
	}
	if q.verb == "order" {
		c.mu.Lock()
		c.ordered = true
		c.mu.Unlock()
		return resp.response(req), nil
	}
	if bill {
		c.hearsBill(q, resp)
		return resp.response(req), nil
	}
	t.hear(c, q, resp)
	return resp.response(req), nil
}

// hear notes what the call is told, if there is reason to believe it. Only an
// application can be refused: that a question finds nothing is no word on what may
// still be on its way.
func (t *wire) hear(c *call, q question, resp *wireReply) {
	a := t.w.system.reads(t.w, q, resp)
	t.w.logf(c.name, "%s %s: hears %d %s", q.verb, q.no, resp.status, a.says)
	if q.verb == "finish" && (a.refused || len(a.statuses) > 0) {
		t.w.docket.landed(q.no)
	}
	if q.verb == "ask" {
		t.w.mu.Lock()
		for no, status := range a.statuses {
			t.w.listed[no] = status
		}
		t.w.mu.Unlock()
	}
	if q.many {
		for no, status := range a.statuses {
			c.hears(no, event{source: q.verb, status: status})
		}
		return
	}
	c.hears(q.no, event{source: q.verb, status: a.statuses[q.no], refused: a.refused && q.verb == "send", absent: a.refused && q.verb == "ask", exists: a.exists && q.verb == "ask"})
}

// A wireReply is an answer of WeChat Pay's.
type wireReply struct {
	no      string
	status  int
	header  http.Header
	body    []byte
	mixable bool
}

func (r *wireReply) response(req *http.Request) *http.Response {
	return &http.Response{
		StatusCode: r.status, Header: r.header, Request: req, ProtoMajor: 1, ProtoMinor: 1,
		ContentLength: int64(len(r.body)), Body: io.NopCloser(bytes.NewReader(r.body)),
	}
}

// swap remembers the last answer and returns the one before it, if that is a
// refund object of another number. (An error names no refund, so that nobody
// could tell that it is somebody else's.)
func (w *world) swap(q question, resp *wireReply) *wireReply {
	if q.verb == "order" { // an answer about another order
		w.mu.Lock()
		defer w.mu.Unlock()
		last := w.lastOrder
		w.lastOrder = resp
		if last == nil || last.no == q.no || last.status != http.StatusOK {
			return nil
		}
		return last
	}
	if q.many || q.verb != "send" && q.verb != "ask" {
		return nil
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	last := w.lastReply
	w.lastReply = resp
	if last == nil || last.no == q.no || !last.mixable {
		return nil
	}
	return last
}

// serve has WeChat Pay answer a request; nil: it broke the connection.
func (w *world) serve(ctx context.Context, who string, q question, req *http.Request, body []byte) (reply *wireReply) {
	in := req.Clone(ctx)
	in.Body, in.ContentLength = io.NopCloser(bytes.NewReader(body)), int64(len(body))
	in.RequestURI, in.RemoteAddr = req.URL.RequestURI(), "127.0.0.1:40000"
	if req.URL.Scheme == "https" { // our client has shown its certificate
		in.TLS = &tls.ConnectionState{PeerCertificates: []*x509.Certificate{keys().client}}
	}
	rec := httptest.NewRecorder()
	no := q.no
	if q.verb == "send" {
		w.invariants.arrives(who, no)
		arrived := time.Since(w.start)
		defer func() { w.taken(no, who, arrived) }()
		defer w.invariants.holds(who)
	}
	if q.verb == "finish" { // whatever it says of it
		defer func() {
			if u, ok := w.upstream(no); ok && u.Status == "PROCESSING" {
				w.docket.finished(no)
			}
		}()
	}
	defer func() {
		if p := recover(); p != nil && p != http.ErrAbortHandler {
			panic(p)
		} else if p != nil {
			w.logf("wechat", "%s %s of %s: breaks the connection", req.Method, no, who)
		}
	}()
	w.wechatHandler.ServeHTTP(rec, in)
	w.logf("wechat", "%s %s of %s: %d", req.Method, no, who, rec.Code)
	reply = &wireReply{no: no, status: rec.Code, header: rec.Header().Clone(), body: rec.Body.Bytes()}
	if q.verb == "send" || q.verb == "ask" {
		reply.mixable = w.system.reads(w, q, reply).mixable
	}
	return reply
}
