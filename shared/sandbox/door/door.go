// Package door holds what the doors of the sandbox have in common: how a request is
// read, how a fault takes its course, and what there is to answer.
//
// A door plays one of the systems that WeChat Pay's merchants call. It checks who
// asks, reads what is asked for, puts it to the world, and answers, each in the words
// of its system.
package door

import (
	"io"
	"net"
	"net/http"
	"time"

	"wxrefund/shared/sandbox/world"
)

// maxBody bounds a request's body, in bytes.
const maxBody = 1 << 20

// How long faults last, in real time.
const (
	silence  = 60 * time.Second // how long a request that times out is held
	slowness = 3 * time.Second  // how late a slow answer comes
)

// An Exchange is one request and what has been learned of it.
type Exchange struct {
	Request *http.Request
	Body    []byte
	ID      string        // Request-ID without its end
	Record  *world.Record // for the journal; nil: it is not recorded
}

// Open begins an exchange.
func Open(w *world.World, r *http.Request) *Exchange {
	return &Exchange{Request: r, ID: w.NextRequestID(), Record: world.RecordOf(r.Context())}
}

// Read takes the body in.
func (x *Exchange) Read(w http.ResponseWriter) *world.Refusal {
	body, err := io.ReadAll(http.MaxBytesReader(w, x.Request.Body, maxBody))
	if err != nil {
		return world.Refuse(world.CodeParam).Say("请求报文过大或不完整")
	}
	x.Body = body
	return nil
}

// A Reply is what there is to say: an object, or a refusal.
type Reply struct {
	Object any
	No     *world.Refusal
}

// Limited holds applications, whatever the system, to the merchant's limits.
func Limited(w *world.World, apply func() Reply) Reply {
	if w.Exceeded(world.LimitApply) {
		return Reply{No: world.Refuse(world.CodeFrequency)}
	}
	out := apply()
	// Whoever asks for the impossible is let to it six times a second.
	if out.No != nil && out.No.Code != world.CodeFrequency && w.Exceeded(world.LimitWrong) {
		out.No = world.Refuse(world.CodeFrequency).Under(world.RuleWrong)
	}
	return out
}

// Carry carries a request out that is on one of the things that faults can strike, unless a fault has it otherwise. It returns the fault,
// for [Suffer] and for what only the system knows to do.
func Carry(w *world.World, y world.System, on string, handle func() Reply) (Reply, world.UpstreamFault) {
	fault, code := w.UpstreamFault(y, on)
	var out Reply
	switch {
	case code != "":
		out.No = world.Refuse(code)
	case !fault.Before:
		out = handle()
	}
	// A refusal is not turned into a fault that pretends that there was
	// something to accept.
	if fault.Code != "" && out.No == nil {
		out = Reply{No: world.Refuse(fault.Code)}
	}
	return out, fault
}

// Failed tells whether a fault has made an answer one that a web server gives by
// itself, since what is behind it has failed.
func (r Reply) Failed(fault world.UpstreamFault) bool {
	return r.No != nil && r.No.Code == world.CodeSystem && fault.Code == world.CodeSystem
}

// Suffer lets a fault take its time or the connection. It tells whether there is
// still something to answer.
func Suffer(in *world.World, w http.ResponseWriter, r *http.Request, fault world.UpstreamFault) bool {
	world.RecordOf(r.Context()).Suffer(fault.Name)
	switch {
	case fault.Silent:
		in.Pause(r.Context(), silence)
	case fault.Reset:
	case fault.Slow && !in.Pause(r.Context(), slowness):
	default:
		return true
	}
	HangUp(w)
	return false
}

// Wrote notes an answer in the log, under the Request-ID that the client is told, where
// its system tells one.
func Wrote(w *world.World, r *http.Request, id string, status int, fault world.UpstreamFault) {
	w.Log.Debug("answered", "request_id", id, "method", r.Method, "path", r.URL.Path, "status", status, "fault", fault.Name)
}

// HangUp breaks the connection in the middle of everything: with a reset where
// there is a socket, else as net/http does it.
func HangUp(w http.ResponseWriter) {
	if conn, _, err := http.NewResponseController(w).Hijack(); err == nil {
		if tcp, ok := conn.(*net.TCPConn); ok {
			_ = tcp.SetLinger(0) // else it is closed without a reset
		}
		_ = conn.Close()
		return
	}
	panic(http.ErrAbortHandler)
}
