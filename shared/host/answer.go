package host

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"runtime"
	"runtime/debug"
	"strings"

	"wxrefund/shared/refund"
)

// maxBody bounds the body of an HTTP-shaped request. The platforms bound direct
// events themselves.
const maxBody = 1 << 20

const (
	unavailable = "the service is not available; try again later"
	failed      = "internal error; the log has the details"
	onlyServers = "over HTTP only a server may call this: it sends Authorization: Bearer with the token that is set as REFUND_SERVER_TOKEN, on plain HTTP (PORT) alone"
)

// A callerFunc returns who called, by the rules of the settings.
type callerFunc func(Identity) refund.Caller

// event answers what came by a platform's invocation: either somebody's event, or
// an HTTP request that a gateway packed up, which is nobody's.
func (s *server) event(ctx context.Context, who callerFunc, payload []byte) []byte {
	e, err := readGatewayEvent(payload)
	if errors.Is(err, errNotGateway) {
		return s.invoke(ctx, who, payload)
	}
	if err != nil {
		return e.reply(response{status: http.StatusBadRequest})
	}
	r, body, status := e.request(ctx)
	if status != 0 {
		return e.reply(response{status: status})
	}
	return e.reply(s.serve(r, body, true, func(Identity) refund.Caller { return named(r.Header) }))
}

// invoke answers a direct invocation.
func (s *server) invoke(ctx context.Context, who callerFunc, event []byte) []byte {
	fn, id, err := s.load(ctx)
	caller := who(id)
	switch {
	case err == nil:
		return s.call(ctx, fn, caller, event)
	case caller.Kind == refund.Server:
		return misconfigured(err)
	}
	return envelope(unavailable)
}

// serve answers an HTTP request whose body is at hand. packed: a gateway has packed it up.
func (s *server) serve(r *http.Request, body []byte, packed bool, who callerFunc) (res response) {
	ctx := r.Context()
	fn, id, err := s.load(ctx)
	caller := who(id)
	switch {
	case err != nil && caller.Kind == refund.Server:
		return jsonResponse(http.StatusServiceUnavailable, misconfigured(err))
	case err != nil:
		return response{status: http.StatusServiceUnavailable}
	case fn.HTTP == nil:
		if caller.Source == unbelieved {
			s.doubt(ctx, id, packed)
		}
		return s.serveEvent(r, body, fn, caller)
	}
	defer func() {
		if p := recover(); p != nil {
			s.logPanic(ctx, p)
			res = response{status: http.StatusInternalServerError}
		}
	}()
	var w recorder
	fn.HTTP.ServeHTTP(&w, r)
	return w.result()
}

func (s *server) serveEvent(r *http.Request, body []byte, fn Function, caller refund.Caller) response {
	if r.Method != http.MethodPost {
		return response{status: http.StatusMethodNotAllowed, header: http.Header{"Allow": {http.MethodPost}}}
	}
	if fn.NeedsToken && caller != bearer {
		return s.denied(r.Context(), caller, onlyServers)
	}
	return jsonResponse(http.StatusOK, s.call(r.Context(), fn, caller, body))
}

// denied answers who does not bring the server token where nothing else will do.
func (s *server) denied(ctx context.Context, caller refund.Caller, why string) response {
	s.log.WarnContext(ctx, "denied", "caller", caller, "why", "no server token")
	res := jsonResponse(http.StatusUnauthorized, refusal(why))
	res.header.Set("WWW-Authenticate", "Bearer")
	return res
}

func jsonResponse(status int, body []byte) response {
	return response{status: status, header: http.Header{"Content-Type": {"application/json"}}, body: body}
}

// call keeps the promise that an invocation is always answered with JSON, and that
// a platform error never reports anything: on some platforms it would end the
// process, and on all of them it hides from the caller whether to try again.
func (s *server) call(ctx context.Context, fn Function, caller refund.Caller, event []byte) (reply []byte) {
	defer func() {
		if p := recover(); p != nil {
			s.logPanic(ctx, p)
			reply = envelope(failed)
		}
	}()
	caller.RequestID = RequestID(ctx)
	reply = fn.Invoke(ctx, caller, event)
	if !json.Valid(reply) {
		s.log.ErrorContext(ctx, "the reply is not JSON", "bytes", len(reply))
		return envelope(failed)
	}
	return reply
}

// misconfigured is the reply to a server: what is wrong with the settings.
func misconfigured(err error) []byte { return envelope(strings.ReplaceAll(err.Error(), "\n", "; ")) }

// envelope is the reply of a host that could not ask the function.
func envelope(message string) []byte { return reply{500, "SYSTEMERROR", message, "later"}.encode() }

// refusal is the reply of a host that did not ask the function.
func refusal(message string) []byte { return reply{403, "NOAUTH", message, "never"}.encode() }

// A reply is one that the host itself gives, in the dispatcher's form.
type reply struct {
	Code    int    `json:"code"`
	ErrCode string `json:"err_code"`
	Message string `json:"message"`
	Retry   string `json:"retry"`
}

func (r reply) encode() []byte {
	b, err := json.Marshal(r)
	if err != nil {
		panic(err) // strings and a number always marshal
	}
	return b
}

// logPanic logs where, and of the value only what cannot quote the payload.
func (s *server) logPanic(ctx context.Context, p any) {
	value := fmt.Sprintf("%T", p)
	if err, ok := p.(runtime.Error); ok {
		value = err.Error()
	}
	s.log.ErrorContext(ctx, "panic", "value", value, "stack", string(debug.Stack()))
}
