package simulation_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"path"
	"strings"
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
	body, err := io.ReadAll(req.Body)
	if err != nil {
		return nil, err
	}
	no := numberIn(req, body)
	verb := "ask"
	if req.Method == http.MethodPost {
		verb = "send"
		t.w.witness.leaves(c, no, 1)
		defer t.w.witness.leaves(c, no, -1)
	}
	if c.cross(no, "before "+verb) {
		return nil, errCrashed
	}
	r := c.luck(no, "wire")
	slow := func() int {
		if t.w.blows(r, "wire slow") {
			return r.IntN(110)
		}
		return r.IntN(4)
	}
	if err := t.w.wait(ctx, c.phase(no), slow()); err != nil {
		return nil, err
	}
	switch {
	case t.w.blows(r, "wire dial"):
		t.w.tell(c.name, "%s %s: no connection", verb, no)
		return nil, errDial
	case t.w.blows(r, "wire late"):
		// Nobody waits so long, and the platform may have ended the function: the
		// request is on its way all the same.
		t.w.tell(c.name, "%s %s: is late", verb, no)
		late := span(r, 5*time.Second, pick(r, time.Minute, 4*time.Minute+30*time.Second))
		t.w.fly(func() {
			time.Sleep(late)
			t.w.serve(context.WithoutCancel(ctx), c.name+" (late)", no, req, body)
		})
		<-ctx.Done()
		return nil, ctx.Err()
	case t.w.blows(r, "wire lost"):
		t.w.tell(c.name, "%s %s: is lost", verb, no)
		if r.IntN(2) == 0 {
			return nil, errCut
		}
		<-ctx.Done()
		return nil, ctx.Err()
	}
	resp := t.w.serve(ctx, c.name, no, req, body)
	if c.cross(no, "after "+verb) {
		return nil, errCrashed
	}
	if t.w.blows(r, "wire cut") || resp == nil {
		t.w.tell(c.name, "%s %s: no answer", verb, no)
		return nil, errCut
	}
	if err := t.w.wait(ctx, c.phase(no), slow()); err != nil {
		return nil, err
	}
	if other := t.w.swap(no, resp); other != nil && t.w.blows(r, "wire mixed") {
		t.w.tell(c.name, "%s %s: somebody else's answer", verb, no)
		resp = other
	}
	t.hear(c, verb, no, resp)
	return resp.response(req), nil
}

// hear notes what the call is told, if there is reason to believe it.
func (t *wire) hear(c *call, verb, no string, resp *wireReply) {
	var told struct {
		OutRefundNo string `json:"out_refund_no"`
		Status      string
		Code        string
	}
	_ = json.Unmarshal(resp.body, &told) // what cannot be read tells nothing
	n := news{source: verb}
	signed := resp.header.Get("Wechatpay-Signature") != ""
	genuine := t.w.genuine(resp.header, resp.body)
	switch {
	case resp.status == http.StatusOK && genuine && told.OutRefundNo == no:
		n.status = told.Status
	case resp.status/100 == 4 && resp.status != http.StatusTooManyRequests && told.Code != "" && (genuine || !signed):
		n.refused = true // an error may come unsigned; TLS vouches for it
	}
	t.w.tell(c.name, "%s %s: hears %d %s%s genuine=%t", verb, no, resp.status, told.Status, told.Code, genuine)
	c.hears(no, n)
}

// A wireReply is an answer of WeChat Pay's.
type wireReply struct {
	no     string
	status int
	header http.Header
	body   []byte
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
func (w *world) swap(no string, resp *wireReply) *wireReply {
	w.mu.Lock()
	defer w.mu.Unlock()
	last := w.lastReply
	w.lastReply = resp
	if last == nil || last.no == no || last.status != http.StatusOK {
		return nil
	}
	return last
}

// serve has WeChat Pay answer a request; nil: it broke the connection.
func (w *world) serve(ctx context.Context, who, no string, req *http.Request, body []byte) (reply *wireReply) {
	in := req.Clone(ctx)
	in.Body, in.ContentLength = io.NopCloser(bytes.NewReader(body)), int64(len(body))
	in.RequestURI, in.RemoteAddr = req.URL.RequestURI(), "127.0.0.1:40000"
	rec := httptest.NewRecorder()
	post := req.Method == http.MethodPost
	if post {
		w.witness.arrives(who, no)
		defer w.witness.holds(who)
	}
	defer func() {
		if p := recover(); p != nil && p != http.ErrAbortHandler {
			panic(p)
		} else if p != nil {
			w.tell("wechat", "%s %s of %s: breaks the connection", req.Method, no, who)
		}
	}()
	w.wechatHandler.ServeHTTP(rec, in)
	w.tell("wechat", "%s %s of %s: %d", req.Method, no, who, rec.Code)
	return &wireReply{no: no, status: rec.Code, header: rec.Header().Clone(), body: rec.Body.Bytes()}
}

// numberIn finds the refund number that a request is about.
func numberIn(req *http.Request, body []byte) string {
	if req.Method != http.MethodPost {
		no, err := url.PathUnescape(path.Base(strings.TrimSuffix(req.URL.EscapedPath(), "/")))
		if err != nil {
			return ""
		}
		return no
	}
	var b struct {
		OutRefundNo string `json:"out_refund_no"`
	}
	_ = json.Unmarshal(body, &b)
	return b.OutRefundNo
}
