package sandbox

import (
	"encoding/json"
	"errors"
	"io"
	"maps"
	"mime"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
)

// maxControl bounds the body of a control request, in bytes.
const maxControl = 64 << 10

// Errors of the control side; its own status stands in controlStatus.
var (
	errNoRefund   = errors.New("sandbox: no refund has this number")
	errNoDelivery = errors.New("sandbox: no delivery has this id")
	errFinal      = errors.New("sandbox: a final state is final")
)

var controlStatus = []struct {
	err    error
	status int
}{
	{errNoRefund, http.StatusNotFound},
	{errNoDelivery, http.StatusNotFound},
	{errNoFault, http.StatusNotFound},
	{errClash, http.StatusConflict},
	{errFinal, http.StatusConflict},
	{errTooManyKeys, http.StatusConflict},
	{errTooManyFaults, http.StatusConflict},
}

// A control is one endpoint of the control side. What it returns is written as
// JSON, or as text if it is that.
type control struct {
	pattern string
	handle  func(*Sandbox, *http.Request, []byte) (any, error)
}

var controls = []control{
	{"GET /_sandbox/env", (*Sandbox).getEnv},
	{"GET /_sandbox/credentials", (*Sandbox).getCredentials},
	{"POST /_sandbox/orders", (*Sandbox).postOrder},
	{"GET /_sandbox/refunds", (*Sandbox).getRefunds},
	{"POST /_sandbox/refunds", (*Sandbox).postRefundByHand},
	{"POST /_sandbox/refunds/{out_refund_no}/settle", (*Sandbox).postSettle},
	{"GET /_sandbox/deliveries", (*Sandbox).getDeliveries},
	{"POST /_sandbox/deliveries/{id}/resend", (*Sandbox).postResend},
	{"GET /_sandbox/subscribers", (*Sandbox).getSubscribers},
	{"GET /_sandbox/faults", (*Sandbox).getFaults},
	{"POST /_sandbox/faults", (*Sandbox).postFault},
	{"DELETE /_sandbox/faults", (*Sandbox).deleteFaults},
	{"DELETE /_sandbox/faults/{id}", (*Sandbox).deleteFault},
	{"POST /_sandbox/clock", (*Sandbox).postClock},
	{"POST /_sandbox/keys/rotate", (*Sandbox).postRotate},
	{"POST /_sandbox/hostile", (*Sandbox).postHostile},
	{"GET /_sandbox/state", (*Sandbox).getState},
}

// Control returns the side that inspects and drives the sandbox, everything
// below /_sandbox/. It shows secrets, so it is for this machine alone.
func (s *Sandbox) Control() http.Handler {
	mux := http.NewServeMux()
	for _, c := range controls {
		mux.HandleFunc(c.pattern, func(w http.ResponseWriter, r *http.Request) {
			body, no := readControl(w, r)
			if no != nil {
				no.write(w)
				return
			}
			out, err := c.handle(s, r, body)
			if r.Method != http.MethodGet {
				s.bell.ring()
			}
			writeControl(w, out, err)
		})
	}
	mux.HandleFunc("GET /_sandbox/events", s.serveEvents)
	guard := http.NewCrossOriginProtection()
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Cache-Control", "no-store")
		h.Set("X-Content-Type-Options", "nosniff")
		if no := refuseStranger(guard, r); no != nil {
			no.write(w)
			return
		}
		handler, pattern := mux.Handler(r)
		if pattern == "" { // the mux's own answers are not JSON
			probe := &statusProbe{header: http.Header{}}
			handler.ServeHTTP(probe, r)
			maps.Copy(h, probe.header)
			(&controlRefusal{probe.status, http.StatusText(probe.status) + ": " + r.Method + " " + r.URL.Path}).write(w)
			return
		}
		mux.ServeHTTP(w, r)
	})
}

// A controlRefusal is an error of the control side: a status and one sentence.
type controlRefusal struct {
	status int
	text   string
}

func (c *controlRefusal) write(w http.ResponseWriter) {
	writeJSON(w, c.status, map[string]string{"error": c.text})
}

func forbidden(text string) *controlRefusal { return &controlRefusal{http.StatusForbidden, text} }

// refuseForeign lets in only what comes from this machine and calls it by a name
// of its own.
func refuseForeign(r *http.Request) *controlRefusal {
	if from, err := netip.ParseAddrPort(r.RemoteAddr); err != nil || !from.Addr().Unmap().IsLoopback() {
		return forbidden("only clients on this machine may control the sandbox")
	}
	if !loopbackHost(r.Host) {
		return forbidden("the Host header must be localhost or a loopback address")
	}
	return nil
}

// refuseStranger lets in only programs on this machine. A browser on this machine
// may be showing somebody else's page, which must not reach us either: not by a
// request across sites, and not by a host name of its own that it has made to
// point here.
func refuseStranger(guard *http.CrossOriginProtection, r *http.Request) *controlRefusal {
	if no := refuseForeign(r); no != nil {
		return no
	}
	if guard.Check(r) != nil {
		return forbidden("browsers may not control the sandbox from another site")
	}
	// The guard lets reading pass, since a browser does not show the answer to
	// another site. Ours holds private keys, so that is not relied on.
	switch site := r.Header.Get("Sec-Fetch-Site"); site {
	case "same-origin", "none":
	case "":
		if o := r.Header.Get("Origin"); o != "" {
			if u, err := url.Parse(o); err != nil || u.Host != r.Host {
				return forbidden("browsers may not control the sandbox from another site")
			}
		}
	default:
		return forbidden("browsers may not control the sandbox from another site")
	}
	return nil
}

func loopbackHost(hostport string) bool {
	host, _, err := net.SplitHostPort(hostport)
	if err != nil {
		host = hostport
	}
	if host == "localhost" {
		return true
	}
	if n := len(host); n > 1 && host[0] == '[' && host[n-1] == ']' {
		host = host[1 : n-1]
	}
	addr, err := netip.ParseAddr(host)
	return err == nil && addr.Unmap().IsLoopback()
}

// readControl reads a body, which must be called JSON if there is one: a form
// on another site cannot send that.
func readControl(w http.ResponseWriter, r *http.Request) ([]byte, *controlRefusal) {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxControl))
	if err != nil {
		return nil, &controlRefusal{http.StatusRequestEntityTooLarge, "the body is incomplete or longer than 64 KiB"}
	}
	kind, _, _ := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if len(body) > 0 && kind != "application/json" {
		return nil, &controlRefusal{http.StatusUnsupportedMediaType, "Content-Type must be application/json"}
	}
	return body, nil
}

func writeControl(w http.ResponseWriter, out any, err error) {
	if err == nil {
		if text, ok := out.(string); ok {
			w.Header().Set("Content-Type", "text/plain; charset=utf-8")
			_, _ = io.WriteString(w, text)
			return
		}
		writeJSON(w, http.StatusOK, out)
		return
	}
	no := controlRefusal{http.StatusBadRequest, strings.TrimPrefix(err.Error(), "sandbox: ")}
	if r, ok := errors.AsType[*refusal](err); ok {
		no.status = r.status()
	}
	for _, c := range controlStatus {
		if errors.Is(err, c.err) {
			no.status = c.status
		}
	}
	no.write(w)
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
