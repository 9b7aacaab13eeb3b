package world

import (
	"context"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"time"
)

// A Record is an exchange that is under way. It belongs to one goroutine. All its methods
// may be called on nil, which records nothing.
type Record struct {
	world   *World
	started time.Time // real
	hidden  []string  // what must not be written down
	x       Exchange
	forget  bool
}

// Record begins to record an exchange. It is in the journal once [Record.Keep] is called.
func (w *World) Record(kind string) *Record {
	return &Record{world: w, started: time.Now(), x: Exchange{At: w.Now(), Kind: kind, number: w.journal.number()}}
}

type recordKey struct{}

// In returns a context that carries the record.
func (r *Record) In(ctx context.Context) context.Context {
	return context.WithValue(ctx, recordKey{}, r)
}

// RecordOf returns the record of a request; nil if it is not recorded.
func RecordOf(ctx context.Context) *Record {
	r, _ := ctx.Value(recordKey{}).(*Record)
	return r
}

// Check notes something that was looked at, and returns what was found: ok.
func (r *Record) Check(what string, ok bool, detail string) bool {
	if r != nil {
		r.x.Checks = append(r.x.Checks, Check{what, ok, detail})
	}
	return ok
}

// Refuse notes that the answer says no, and its error code.
func (r *Record) Refuse(code string) {
	if r != nil {
		r.x.Refused, r.x.Code = true, code
	}
}

// Calls notes what a call of CloudBase's gateway carries: a function or an API, by its name.
func (r *Record) Calls(name string) {
	if r != nil {
		r.x.Name = name
	}
}

// Suffer notes the fault that the exchange was made to suffer, if there is one.
func (r *Record) Suffer(fault string) {
	if r != nil && fault != "" {
		r.x.Fault = fault
	}
}

// Hide notes a secret that is in the exchange: it is masked wherever it stands.
func (r *Record) Hide(secret string) {
	if r != nil && secret != "" {
		r.hidden = append(r.hidden, secret)
	}
}

// Forget has the exchange not kept: there is nothing to learn from it.
func (r *Record) Forget() {
	if r != nil {
		r.forget = true
	}
}

// OpenRequest notes what was sealed or wrapped in the request.
func (r *Record) OpenRequest(plain string) {
	if r != nil {
		r.x.Request.Opened = plain
	}
}

// OpenResponse is [Record.OpenRequest] for the answer.
func (r *Record) OpenResponse(plain string) {
	if r != nil {
		r.x.Response.Opened = plain
	}
}

// Asked notes the request, of whose body a bounded part is given.
func (r *Record) Asked(request *http.Request, body []byte) {
	uri := request.RequestURI
	if !strings.HasPrefix(uri, "/") { // not from a server
		uri = request.URL.RequestURI()
	}
	r.x.Method = request.Method
	r.x.Path = r.hideQuery(uri)
	r.x.Request = r.message(request.Header, body)
	host := request.Host
	if host == "" && request.URL != nil {
		host = request.URL.Host
	}
	if host != "" {
		r.x.Request.Headers = append([][2]string{{"Host", host}}, r.x.Request.Headers...)
	}
}

// Answered notes the answer; a status of 0 says that there was none.
func (r *Record) Answered(status int, header http.Header, body []byte) {
	opened := r.x.Response.Opened
	r.x.Status = status
	if status != 0 {
		r.x.Response = r.message(header, body)
		r.x.Response.Opened = opened
	}
}

func (r *Record) message(header http.Header, body []byte) Message {
	out := Message{Cut: len(body) > maxRecorded}
	for name, values := range header {
		for _, value := range values {
			out.Headers = append(out.Headers, [2]string{name, hideHeader(name, value)})
		}
	}
	slices.SortStableFunc(out.Headers, func(a, b [2]string) int { return strings.Compare(a[0], b[0]) })
	out.Body = strings.ToValidUTF8(string(body[:min(len(body), maxRecorded)]), "\uFFFD")
	return out
}

// RecordedBody is how much of a body whoever records it should give: a byte more than
// is kept, which tells that it was cut.
const RecordedBody = maxRecorded + 1

// Keep puts the exchange into the journal and returns it; nil if it is to be
// forgotten, or judge, which may complete it from what was asked and answered, says that it
// is not worth it.
func (r *Record) Keep(judge func(*Exchange) bool) *Exchange {
	x := &r.x
	x.Latency = time.Since(r.started)
	if r.forget || !judge(x) {
		return nil
	}
	x.ID = exchangeID(x.number)
	if x.Status == 0 {
		r.Check("answer", false, strings.TrimSuffix("no answer: "+x.Fault, ": "))
	}
	if len(x.About) == 0 {
		x.About = x.numbers()
	}
	r.hide()
	r.world.journal.keep(x)
	r.world.Broadcast()
	return x
}

// formNamed is the merchant's number of a refund under its name, in JSON (also such that is a text in
// other JSON) and in XML.
var formNamed = regexp.MustCompile(`out(?:_refund_no|RefundNo)(?:_\d+)?(?:\\*"\s*:\s*\\*"|>(?:<!\[CDATA\[)?)([0-9A-Za-z_\-|*@]{1,64})`)

// numbers are the refunds that an exchange names: in the request, else in the answer. It is
// read from the texts, so that what was refused before anybody understood it is found as well.
func (x *Exchange) numbers() []string {
	out := append(x.Request.numbers(), x.numberInPath()...)
	if len(out) == 0 {
		out = x.Response.numbers()
	}
	return out
}

func (m Message) numbers() (out []string) {
	for _, text := range []string{m.Body, m.Opened} {
		for _, found := range formNamed.FindAllStringSubmatch(text, maxAbout) {
			if !slices.Contains(out, found[1]) {
				out = append(out, found[1])
			}
		}
	}
	return out
}

// numberInPath is what APIv3 has there: the merchant's number of a refund, or WeChat Pay's.
func (x *Exchange) numberInPath() []string {
	_, rest, ok := strings.Cut(x.Path, "/refunds/")
	if number, err := url.PathUnescape(rest[:strings.IndexAny(rest+"?", "/?")]); ok && err == nil && number != "" {
		return []string{number}
	}
	return nil
}
