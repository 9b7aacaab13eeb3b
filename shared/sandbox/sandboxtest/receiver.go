package sandboxtest

import (
	"bytes"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

// A Post is a notification as it was received.
type Post struct {
	At     time.Time
	URL    string
	Header http.Header
	Body   []byte
}

// A Receiver is the merchant's notification URL. By default it acknowledges
// everything.
type Receiver struct {
	mu     sync.Mutex
	posts  []Post
	Answer func(n int, r *http.Request) (*http.Response, error) // n counts from 0
}

// RoundTrip takes a notification.
func (r *Receiver) RoundTrip(request *http.Request) (*http.Response, error) {
	body, err := io.ReadAll(request.Body)
	if err != nil {
		return nil, err
	}
	r.mu.Lock()
	n := len(r.posts)
	r.posts = append(r.posts, Post{time.Now(), request.URL.String(), heard(request.Header), body})
	answer := r.Answer
	r.mu.Unlock()
	if answer == nil {
		return Respond(200, `{"code":"SUCCESS","message":"成功"}`), nil
	}
	request.Body = io.NopCloser(bytes.NewReader(body))
	return answer(n, request)
}

// heard is a header as a server has it, which spells every name in its own way.
func heard(sent http.Header) http.Header {
	h := http.Header{}
	for name, values := range sent {
		for _, v := range values {
			h.Add(name, v)
		}
	}
	return h
}

// Received returns the notifications so far.
func (r *Receiver) Received() []Post {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.posts)
}

// Respond makes an answer.
func Respond(status int, body string) *http.Response {
	return &http.Response{StatusCode: status, Header: http.Header{}, Body: io.NopCloser(strings.NewReader(body))}
}

// Answering lets the receiver always give the same answer.
func (w *World) Answering(status int, body string) {
	w.Receiver.mu.Lock()
	defer w.Receiver.mu.Unlock()
	w.Receiver.Answer = func(int, *http.Request) (*http.Response, error) { return Respond(status, body), nil }
}

// Strictly answers as a receiver of APIv3 must, that of a merchant who has both kinds of
// WeChat Pay's keys.
func (w *World) Strictly(_ int, r *http.Request) (*http.Response, error) {
	body := make([]byte, r.ContentLength)
	if _, err := r.Body.Read(body); err != nil {
		return nil, err
	}
	at, err := strconv.ParseInt(r.Header.Get("Wechatpay-Timestamp"), 10, 64)
	if err != nil {
		return nil, err
	}
	if d := time.Since(time.Unix(at, 0)); d > 5*time.Minute || d < -5*time.Minute {
		return Respond(401, `{"code":"FAIL","message":"stale"}`), nil
	}
	if err := w.Verify(r.Header, body, r.Header.Get("Wechatpay-Serial")); err != nil {
		return Respond(401, `{"code":"FAIL","message":"signature"}`), nil
	}
	return Respond(200, `{"code":"SUCCESS"}`), nil
}
