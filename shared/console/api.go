package console

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"mime"
	"net/http"
	"strings"
)

// maxBody bounds the body of a request, in bytes.
const maxBody = 64 << 10

// An Endpoint is one of an API. Behind a ? in the pattern are the names that its query may
// have, with & between them, or * if it looks at the query itself. What Handle returns is
// written as JSON; as text if it is a string; and if it is an [http.Handler], that answers.
type Endpoint struct {
	Pattern string
	Handle  func(r *http.Request, body []byte) (any, error)
}

// An API is what a page's data comes from, and what it is worked by: JSON.
type API struct {
	Endpoints []Endpoint

	// Refuse says how an error is told that is no [Refusal] itself.
	Refuse func(error) *Refusal

	// Changed is called behind every request that may have changed something. Nil: nobody is.
	Changed func()
}

// A Refusal is an error with its status: one sentence.
type Refusal struct {
	Status int
	Text   string
}

func (no *Refusal) Error() string { return no.Text }

// Write answers with it.
func (no *Refusal) Write(w http.ResponseWriter) {
	writeJSON(w, no.Status, map[string]string{"error": no.Text})
}

func forbidden(text string) *Refusal { return &Refusal{http.StatusForbidden, text} }

// Handler serves the API to this machine alone, see [Stranger].
func (a API) Handler() http.Handler {
	mux := http.NewServeMux()
	for _, e := range a.Endpoints {
		pattern, names, _ := strings.Cut(e.Pattern, "?")
		mux.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) {
			body, no := readBody(w, r)
			if no == nil {
				no = checkQuery(r, names)
			}
			if no != nil {
				no.Write(w)
				return
			}
			out, err := e.Handle(r, body)
			if r.Method != http.MethodGet && a.Changed != nil {
				a.Changed()
			}
			if err == nil {
				write(w, r, out)
				return
			}
			no, ok := errors.AsType[*Refusal](err)
			if !ok {
				no = a.Refuse(err)
			}
			no.Write(w)
		})
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Cache-Control", "no-store")
		h.Set("X-Content-Type-Options", "nosniff")
		if no := Stranger(r); no != nil {
			no.Write(w)
			return
		}
		handler, pattern := mux.Handler(r)
		if pattern == "" { // the mux's own answers are not JSON
			probe := &statusProbe{header: http.Header{}}
			handler.ServeHTTP(probe, r)
			maps.Copy(h, probe.header)
			text := http.StatusText(probe.status) + ": " + r.Method + " " + r.URL.Path
			if allow := probe.header.Get("Allow"); allow != "" {
				text += "; it takes " + allow
			}
			(&Refusal{probe.status, text}).Write(w)
			return
		}
		mux.ServeHTTP(w, r)
	})
}

// readBody reads a body, which is JSON. What calls it something else is refused, which a
// form on another site cannot but do; that other sites do not get this far is for
// [Stranger] to see to, since a script there can leave the name out.
func readBody(w http.ResponseWriter, r *http.Request) ([]byte, *Refusal) {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	if err != nil {
		return nil, &Refusal{http.StatusRequestEntityTooLarge, "the body is incomplete or longer than 64 KiB"}
	}
	media := r.Header.Get("Content-Type")
	kind, _, _ := mime.ParseMediaType(media)
	if len(body) > 0 && media != "" && kind != "application/json" {
		return nil, &Refusal{http.StatusUnsupportedMediaType, fmt.Sprintf("Content-Type must be application/json or left out, not %.80q", media)}
	}
	return body, nil
}

func write(w http.ResponseWriter, r *http.Request, out any) {
	switch out := out.(type) {
	case string:
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		_, _ = io.WriteString(w, out)
	case http.Handler:
		out.ServeHTTP(w, r)
	default:
		writeJSON(w, http.StatusOK, out)
	}
}

func writeJSON(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	w.WriteHeader(status)
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false)
	_ = e.Encode(v) // the client may have gone; that is its affair
}

// A statusProbe takes the status and the headers of an answer.
type statusProbe struct {
	header http.Header
	status int
}

func (p *statusProbe) Header() http.Header         { return p.header }
func (p *statusProbe) WriteHeader(status int)      { p.status = status }
func (p *statusProbe) Write(b []byte) (int, error) { return len(b), nil }
