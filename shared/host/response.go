package host

import (
	"bytes"
	"fmt"
	"net/http"
)

// A response is an answer to an HTTP request, complete. Answers are small, and a
// complete one can still be replaced if the handler panics half way.
type response struct {
	status int
	header http.Header
	body   []byte
}

// A recorder is the http.ResponseWriter that makes a response, as net/http would
// have sent it. The zero value is ready.
type recorder struct {
	header http.Header
	sent   response
	body   bytes.Buffer
}

func (w *recorder) Header() http.Header {
	if w.header == nil {
		w.header = http.Header{}
	}
	return w.header
}

func (w *recorder) WriteHeader(status int) {
	if status < 100 || status > 999 {
		panic(fmt.Sprintf("not an HTTP status: %d", status)) // like net/http
	}
	if w.sent.status != 0 || status < http.StatusOK { // sent already, or only informational
		return
	}
	w.sent = response{status: status, header: w.Header().Clone()}
}

func (w *recorder) Write(p []byte) (int, error) {
	w.WriteHeader(http.StatusOK)
	return w.body.Write(p)
}

func (w *recorder) result() response {
	w.WriteHeader(http.StatusOK)
	w.sent.body = w.body.Bytes()
	if _, ok := w.sent.header["Content-Type"]; !ok && len(w.sent.body) > 0 {
		w.sent.header.Set("Content-Type", http.DetectContentType(w.sent.body))
	}
	return w.sent
}
