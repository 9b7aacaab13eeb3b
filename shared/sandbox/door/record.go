package door

import (
	"bufio"
	"bytes"
	"io"
	"net"
	"net/http"

	"wxrefund/shared/sandbox/schema"
	"wxrefund/shared/sandbox/world"
)

// Recorded puts what next is asked and what it answers into the world's journal, whatever comes of
// it. Once it is over judge may complete the exchange, or say that it is not kept; nil: all are.
func Recorded(w *world.World, kind string, judge func(*http.Request, *world.Exchange) bool, next http.Handler) http.Handler {
	return http.HandlerFunc(func(out http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodConnect { // what is asked through it comes by itself
			next.ServeHTTP(out, r)
			return
		}
		record := w.Record(kind)
		var body []byte
		if r.Body != nil && r.Body != http.NoBody {
			// An error is met again by whoever reads the rest.
			body, _ = io.ReadAll(io.LimitReader(r.Body, world.RecordedBody))
			r.Body = rest{io.MultiReader(bytes.NewReader(body), r.Body), r.Body}
		}
		record.Asked(r, body)
		answer := &recorder{ResponseWriter: out}
		defer func() { // also when the connection is broken by a panic
			record.Answered(answer.status, answer.header, answer.body)
			record.Keep(func(x *world.Exchange) bool { return judge == nil || judge(r, x) })
		}()
		next.ServeHTTP(answer, r.WithContext(record.In(r.Context())))
		if answer.status == 0 && !answer.hijacked {
			answer.WriteHeader(http.StatusOK)
		}
	})
}

// A rest is a body of which a part has been read before.
type rest struct {
	io.Reader
	io.Closer
}

// A recorder keeps what is answered.
type recorder struct {
	http.ResponseWriter
	status   int
	header   http.Header // as it was sent
	body     []byte
	hijacked bool
}

func (a *recorder) WriteHeader(status int) {
	if a.status == 0 {
		a.status, a.header = status, a.Header().Clone()
	}
	a.ResponseWriter.WriteHeader(status)
}

func (a *recorder) Write(b []byte) (int, error) {
	if a.status == 0 {
		a.WriteHeader(http.StatusOK)
	}
	a.body = append(a.body, b[:min(len(b), world.RecordedBody-len(a.body))]...)
	return a.ResponseWriter.Write(b)
}

// Unwrap is for [http.ResponseController].
func (a *recorder) Unwrap() http.ResponseWriter { return a.ResponseWriter }

// Hijack notes that there will be no answer.
func (a *recorder) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	conn, buffered, err := http.NewResponseController(a.ResponseWriter).Hijack()
	a.hijacked = err == nil
	return conn, buffered, err
}

// Check notes in the journal something that was looked at, and returns what was found: ok.
func (x *Exchange) Check(what string, ok bool, detail string) bool {
	return x.Record.Check(what, ok, detail)
}

// CheckBody notes whether a body keeps to its schema, and returns what it breaks.
func (x *Exchange) CheckBody(v *schema.Violation) *schema.Violation {
	detail := ""
	if v != nil {
		detail = v.English()
	}
	x.Record.Check("body", v == nil, detail)
	return v
}
