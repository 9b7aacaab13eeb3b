// Package control is how people and programs on this machine see and drive a sandbox:
// JSON below /_sandbox/, and a stream of what changes for the console.
package control

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"mime"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"sync"

	"wxrefund/shared/sandbox/world"
)

// maxBody bounds the body of a request, in bytes.
const maxBody = 64 << 10

// statuses are those of errors that are not just bad requests.
var statuses = []struct {
	err    error
	status int
}{
	{world.ErrNoRefund, http.StatusNotFound},
	{world.ErrNoDelivery, http.StatusNotFound},
	{world.ErrNoFault, http.StatusNotFound},
	{errNoOrder, http.StatusNotFound},
	{errNoExchange, http.StatusNotFound},
	{world.ErrClash, http.StatusConflict},
	{world.ErrFinal, http.StatusConflict},
	{world.ErrTooManyKeys, http.StatusConflict},
	{world.ErrUnusedKeys, http.StatusConflict},
	{world.ErrNoSwitch, http.StatusConflict},
	{world.ErrTooManyFaults, http.StatusConflict},
}

// An endpoint is one of the control doors. What it returns is written as JSON, or as
// text or a file if it is that. Behind a ? in the pattern are the names that its query may
// have, with & between them, or * if it looks at the query itself.
type endpoint struct {
	pattern string
	handle  func(*Door, *http.Request, []byte) (any, error)
}

var endpoints = []endpoint{
	{"GET /_sandbox/env?channel", (*Door).getEnv},
	{"GET /_sandbox/credentials?only", (*Door).getCredentials},
	{"POST /_sandbox/orders", (*Door).postOrder},
	{"GET /_sandbox/refunds", (*Door).getRefunds},
	{"POST /_sandbox/refunds", (*Door).postRefundByHand},
	{"POST /_sandbox/refunds/{out_refund_no}/settle", (*Door).postSettle},
	{"GET /_sandbox/deliveries", (*Door).getDeliveries},
	{"POST /_sandbox/deliveries/{id}/resend", (*Door).postResend},
	{"GET /_sandbox/subscribers", (*Door).getSubscribers},
	{"GET /_sandbox/faults", (*Door).getFaults},
	{"POST /_sandbox/faults", (*Door).postFault},
	{"DELETE /_sandbox/faults", (*Door).deleteFaults},
	{"DELETE /_sandbox/faults/{id}", (*Door).deleteFault},
	{"POST /_sandbox/clock", (*Door).postClock},
	{"POST /_sandbox/keys/rotate", (*Door).postRotate},
	{"GET /_sandbox/keys/share", (*Door).getShare},
	{"POST /_sandbox/keys/share", (*Door).postShare},
	{"DELETE /_sandbox/keys/share", (*Door).deleteShare},
	{"POST /_sandbox/hostile", (*Door).postHostile},
	{"GET /_sandbox/state", (*Door).getState},
	{"GET /_sandbox/view/refunds?*", (*Door).viewRefunds},
	{"GET /_sandbox/view/refunds.csv?*", (*Door).viewRefundsCSV},
	{"GET /_sandbox/view/refunds/{out_refund_no}", (*Door).viewRefund},
	{"GET /_sandbox/view/orders?*", (*Door).viewOrders},
	{"GET /_sandbox/view/orders/{out_trade_no}", (*Door).viewOrder},
	{"GET /_sandbox/view/notifications?*", (*Door).viewNotifications},
	{"GET /_sandbox/view/exchanges?*", (*Door).viewExchanges},
	{"GET /_sandbox/view/exchanges/{id}", (*Door).viewExchange},
	{"GET /_sandbox/view/day?*", (*Door).viewDay},
}

// A Config is what the control doors show of what is not in the world.
type Config struct {
	Channel         string                               // the upstream system that the merchant's side uses
	MerchantRefunds MerchantRefunds                      // reads the merchant's records; nil: they are not shown
	Env             func(channel string) (string, error) // the environment of one of our functions
	Subscribers     func() any                           // the example functions
	NoTimer         bool                                 // nobody runs the merchant's timer
	WebhookSecret   string                               // with which the merchant's side signs its webhook; empty: it has none
}

// A Door lets people and programs on this machine control a world.
type Door struct {
	cfg   Config
	world *world.World
	index *index

	mu       sync.Mutex
	watchers int // pages that are kept up to date
}

// New opens the control doors of a world.
func New(w *world.World, cfg Config) *Door {
	return &Door{cfg: cfg, world: w, index: newIndex(w, cfg.MerchantRefunds)}
}

// MerchantChanged tells that the merchant has written refunds, so that they are read
// again. It may be called at any time and does not block.
func (d *Door) MerchantChanged(outRefundNos ...string) {
	d.index.merchantChanged(outRefundNos)
	d.world.Broadcast()
}

// Keep keeps what can be listed up to date until ctx or the world ends: whoever comes
// later does not wait for all of it to be read.
func (d *Door) Keep(ctx context.Context) {
	for {
		changed := d.world.Changed() // first, so that nothing is missed between the look and the wait
		d.index.refresh(ctx)
		if !d.world.Pause(ctx, leastPause) {
			return
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return
		case <-d.world.Done():
			return
		}
	}
}

// Handler serves everything below /_sandbox/. It shows secrets, so it is for this
// machine alone.
func (d *Door) Handler() http.Handler {
	mux := http.NewServeMux()
	for _, e := range endpoints {
		pattern, names, _ := strings.Cut(e.pattern, "?")
		mux.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) {
			body, no := readBody(w, r)
			if no == nil {
				no = checkQuery(r, names)
			}
			if no != nil {
				no.write(w)
				return
			}
			out, err := e.handle(d, r, body)
			if r.Method != http.MethodGet {
				d.world.Broadcast()
			}
			write(w, out, err)
		})
	}
	mux.HandleFunc("GET /_sandbox/events", func(w http.ResponseWriter, r *http.Request) {
		if no := checkQuery(r, ""); no != nil {
			no.write(w)
			return
		}
		d.serveEvents(w, r)
	})
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
			text := http.StatusText(probe.status) + ": " + r.Method + " " + r.URL.Path
			if allow := probe.header.Get("Allow"); allow != "" {
				text += "; it takes " + allow
			}
			(&refusal{probe.status, text}).write(w)
			return
		}
		mux.ServeHTTP(w, r)
	})
}

// A refusal is an error of the control doors: a status and one sentence.
type refusal struct {
	status int
	text   string
}

func (c *refusal) write(w http.ResponseWriter) {
	writeJSON(w, c.status, map[string]string{"error": c.text})
}

func forbidden(text string) *refusal { return &refusal{http.StatusForbidden, text} }

// foreign lets in only what comes from this machine and calls it by a name
// of its own.
func foreign(r *http.Request) *refusal {
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
func refuseStranger(guard *http.CrossOriginProtection, r *http.Request) *refusal {
	if no := foreign(r); no != nil {
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

// readBody reads a body, which is JSON. What calls it something else is refused, which a
// form on another site cannot but do; that other sites do not get this far is for
// [refuseStranger] to see to, since a script there can leave the name out.
func readBody(w http.ResponseWriter, r *http.Request) ([]byte, *refusal) {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	if err != nil {
		return nil, &refusal{http.StatusRequestEntityTooLarge, "the body is incomplete or longer than 64 KiB"}
	}
	media := r.Header.Get("Content-Type")
	kind, _, _ := mime.ParseMediaType(media)
	if len(body) > 0 && media != "" && kind != "application/json" {
		return nil, &refusal{http.StatusUnsupportedMediaType, fmt.Sprintf("Content-Type must be application/json or left out, not %.80q", media)}
	}
	return body, nil
}

func write(w http.ResponseWriter, out any, err error) {
	if err == nil {
		switch out := out.(type) {
		case string:
			w.Header().Set("Content-Type", "text/plain; charset=utf-8")
			_, _ = io.WriteString(w, out)
		case file:
			out.write(w)
		default:
			writeJSON(w, http.StatusOK, out)
		}
		return
	}
	no := refusal{http.StatusBadRequest, strings.TrimPrefix(err.Error(), "sandbox: ")}
	if r, ok := errors.AsType[*world.Refusal](err); ok {
		no.status = r.Status()
	}
	for _, c := range statuses {
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

// Refuse answers for whoever serves this machine alone, and tells whether it has: with
// 403 to a request that comes from another machine or under a foreign name.
func Refuse(w http.ResponseWriter, r *http.Request) bool {
	no := foreign(r)
	if no != nil {
		no.write(w)
	}
	return no != nil
}

// Error answers with a status and a sentence, as the control doors do.
func Error(w http.ResponseWriter, status int, text string) { (&refusal{status, text}).write(w) }

// A statusProbe takes the status and the headers of an answer.
type statusProbe struct {
	header http.Header
	status int
}

func (p *statusProbe) Header() http.Header         { return p.header }
func (p *statusProbe) WriteHeader(status int)      { p.status = status }
func (p *statusProbe) Write(b []byte) (int, error) { return len(b), nil }
