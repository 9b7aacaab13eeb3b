package sandbox

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net"
	"net/http"
	"strings"
	"time"

	"wxrefund/shared/wxpay"
)

// maxBody bounds a request's body, in bytes.
const maxBody = 1 << 20

// An endpoint of APIv3.
type endpoint struct {
	pattern string
	refunds bool // its answers can be made to go wrong
	handle  func(*Sandbox, *exchange) reply
}

var endpoints = []endpoint{
	{"POST /v3/refund/domestic/refunds", true, (*Sandbox).postRefund},
	{"GET /v3/refund/domestic/refunds/{out_refund_no}", true, (*Sandbox).getRefund},
	{"GET /v3/certificates", false, (*Sandbox).getCertificates},
}

// An exchange is one request and what has been learned of it.
type exchange struct {
	request *http.Request
	body    []byte
	id      string // Request-Id without its end
	serial  string // the key that the client can verify with, if it says so
	caller  caller
}

// read takes the body in.
func (x *exchange) read(w http.ResponseWriter) *refusal {
	body, err := io.ReadAll(http.MaxBytesReader(w, x.request.Body, maxBody))
	if err != nil {
		return refuse(codeParam).say("请求报文过大或不完整")
	}
	x.body = body
	return nil
}

// A reply is what the sandbox has to say: an object, or a refusal.
type reply struct {
	object any
	no     *refusal
}

// WeChat returns the side that plays WeChat Pay and its siblings. It serves the
// paths of the real hosts at its root, over TLS as well: what demands a client
// certificate looks for it in the connection.
func (s *Sandbox) WeChat() http.Handler {
	mux := http.NewServeMux()
	for _, e := range endpointsV2 {
		mux.HandleFunc(e.path, func(w http.ResponseWriter, r *http.Request) { s.serveV2(w, r, e) })
	}
	for _, e := range endpointsWeCom {
		mux.HandleFunc(e.path, func(w http.ResponseWriter, r *http.Request) { s.serveWeCom(w, r, e) })
	}
	mux.HandleFunc("/admin", s.serveGateway)
	for _, e := range endpoints {
		mux.HandleFunc(e.pattern, func(w http.ResponseWriter, r *http.Request) { s.serve(w, r, e) })
		_, path, _ := strings.Cut(e.pattern, " ")
		mux.HandleFunc(path, func(w http.ResponseWriter, r *http.Request) {
			s.answer(w, s.open(r), reply{no: refuse("METHOD_NOT_ALLOWED")}, upstreamFault{})
		})
	}
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		s.answer(w, s.open(r), reply{no: refuse(codeNotFound).say("请求的接口不存在")}, upstreamFault{})
	})
	return mux
}

func (s *Sandbox) open(r *http.Request) *exchange {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.requests++
	return &exchange{request: r, id: s.requestID("request", s.requests), serial: r.Header.Get("Wechatpay-Serial")}
}

// serve lets a request through the gate, carries it out and answers, and lets
// faults have their say in it.
func (s *Sandbox) serve(w http.ResponseWriter, r *http.Request, e endpoint) {
	x := s.open(r)
	if no := s.admit(w, x); no != nil {
		s.answer(w, x, reply{no: no}, upstreamFault{})
		return
	}
	if !e.refunds {
		s.answer(w, x, e.handle(s, x), upstreamFault{})
		return
	}
	out, fault := s.befall(systemV3, r.Method != http.MethodPost, func() reply { return e.handle(s, x) })
	s.answer(w, x, out, fault)
}

// admit checks what WeChat Pay's gateway checks before it looks at the body.
func (s *Sandbox) admit(w http.ResponseWriter, x *exchange) *refusal {
	r := x.request
	if no := x.read(w); no != nil {
		return no
	}
	if r.Header.Get("Accept") == "" || r.Header.Get("User-Agent") == "" {
		return refuse(codeInvalid).say("Http头缺少Accept或User-Agent")
	}
	if no := s.authenticate(x); no != nil {
		return no
	}
	if r.Method == http.MethodPost {
		if kind, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err != nil || kind != "application/json" {
			return refuse("UNSUPPORTED_MEDIA")
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	// Notifications are signed with the kind of key that the merchant works with: that
	// of its request, else that of its last request that named any.
	if _, ok := s.ring.named(x.serial, s.clock.now()); ok {
		s.public = isPublic(x.serial)
	}
	x.caller.public, x.caller.notification = s.public, notificationV3
	return nil
}

// unauthorized are the refusals of the Authorization header.
const (
	unauthorizedForm   = "Http头Authorization值格式错误，请参考《微信支付商户REST API签名规则》"
	unauthorizedScheme = "Http头Authorization认证类型不正确"
	unauthorizedTime   = "Http头Authorization中的timestamp与发起请求的时间不得超过5分钟"
	unauthorizedSerial = "商户证书序列号有误，请使用签名私钥匹配的证书序列号"
)

// authenticate checks who asks, cheap things first.
func (s *Sandbox) authenticate(x *exchange) *refusal {
	r := x.request
	header := r.Header.Get("Authorization")
	if scheme, rest, ok := strings.Cut(header, " "); ok && rest != "" && scheme != "WECHATPAY2-SHA256-RSA2048" {
		return refuse(codeSign).say(unauthorizedScheme)
	}
	c, err := wxpay.ParseAuthorization(header)
	switch {
	case err != nil:
		return refuse(codeSign).say(unauthorizedForm)
	case c.MchID != mchID:
		return refuse(codeNoMerchant)
	case c.SerialNo != wxpay.SerialNo(s.keys.merchant.cert):
		return refuse(codeSign).say(unauthorizedSerial)
	}
	uri := r.RequestURI
	if !strings.HasPrefix(uri, "/") { // not from a server, or not to an origin server
		uri = r.URL.RequestURI()
	}
	err = c.Verify(&s.keys.merchant.rsa().PublicKey, r.Method, uri, x.body, time.Now())
	switch {
	case errors.Is(err, wxpay.ErrStale):
		return refuse(codeSign).say(unauthorizedTime)
	case err != nil:
		return refuseSignature(r.Method, uri, c, x.body)
	}
	return nil
}

// refuseSignature shows the client what was verified, so that it can compare it
// with what it signed. The body is cut as WeChat Pay cuts it.
func refuseSignature(method, uri string, c wxpay.Credential, body []byte) *refusal {
	message := wxpay.RequestMessage(method, uri, c.Timestamp, c.Nonce, body)
	shown := wxpay.RequestMessage(method, uri, c.Timestamp, c.Nonce, body[:min(len(body), 8)])
	no := refuse(codeSign)
	no.detail = map[string]any{
		"detail":   map[string]string{"issue": "sign not match"},
		"field":    "signature",
		"location": "authorization",
		"sign_information": map[string]any{
			"method":                 method,
			"url":                    uri,
			"sign_message_length":    len(message),
			"truncated_sign_message": string(shown),
		},
	}
	return no
}

// requestID makes a Request-Id: an identity, a dash, and the number of the
// cause, 0 for success. The latter is added by answer.
func (s *Sandbox) requestID(about ...any) string {
	return "08" + s.dice.text(48, "0123456789ABCDEF", "Request-Id", about...)
}

// answer writes a reply, signed unless it is of the 5xx or a fault has it
// otherwise.
func (s *Sandbox) answer(w http.ResponseWriter, x *exchange, out reply, fault upstreamFault) {
	if !s.suffer(w, x.request, fault) {
		return
	}
	status, cause, object := http.StatusOK, 0, out.object
	if no := out.no; no != nil {
		status, cause = no.status(), no.cause()
		object = struct {
			Code    string `json:"code"`
			Detail  any    `json:"detail,omitempty"`
			Message string `json:"message"`
		}{no.code, no.detail, no.message}
	}
	var body bytes.Buffer
	e := json.NewEncoder(&body)
	e.SetEscapeHTML(false)
	if err := e.Encode(object); err != nil {
		s.log.Error("answer not written", "error", err)
		hangUp(w)
		return
	}
	b := bytes.TrimSuffix(body.Bytes(), []byte("\n"))

	h := w.Header()
	h.Set("Content-Type", "application/json; charset=utf-8")
	h.Set("Content-Language", "zh-CN")
	h.Set("Cache-Control", "no-cache, must-revalidate")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Request-Id", fmt.Sprintf("%s-%d", x.id, cause))
	if status < 500 && !fault.blank {
		signed := b
		if fault.forged {
			signed = append([]byte(" "), b...)
		}
		if err := s.replyKey(x).signer().Sign(h, signed, time.Now()); err != nil {
			s.log.Error("answer not signed", "error", err)
		}
	}
	s.wrote(x.request, status, fault)
	w.WriteHeader(status)
	_, _ = w.Write(b) // the client may have gone; that is its affair
}

// replyKey is the key that the client has asked for by its serial, else a
// platform certificate's.
func (s *Sandbox) replyKey(x *exchange) platformKey {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.clock.now()
	if k, ok := s.ring.named(x.serial, now); ok {
		return k
	}
	return s.ring.pick(false, now, s.dice, x.id)
}

// pause waits in real time. It tells whether there still is anybody to answer.
func (s *Sandbox) pause(r *http.Request, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-r.Context().Done():
	case <-s.ended.Done():
	}
	return false
}

// hangUp breaks the connection in the middle of everything: with a reset where
// there is a socket, else as net/http does it.
func hangUp(w http.ResponseWriter) {
	if conn, _, err := http.NewResponseController(w).Hijack(); err == nil {
		if tcp, ok := conn.(*net.TCPConn); ok {
			_ = tcp.SetLinger(0) // else it is closed without a reset
		}
		_ = conn.Close()
		return
	}
	panic(http.ErrAbortHandler)
}
