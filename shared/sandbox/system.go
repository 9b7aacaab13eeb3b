package sandbox

import (
	"net/http"
	"slices"
)

// A system is one of the upstream systems, as far as faults are concerned: all
// can be made to go wrong, each in its own way.
type system struct {
	codes  []string // the error codes that it can be told to answer with
	signed bool     // its answers are
	lists  bool     // its answers hold lists, which can be empty
}

var (
	systemV3      = system{codes: answerable, signed: true}
	systemV2      = system{codes: append(slices.Clone(answerable), answerableV2...), signed: true}
	systemGateway = system{codes: answerable} // the module speaks of errors as APIv3 does
	systemPay     = system{codes: systemV2.codes, lists: true}
	systemWeCom   = system{codes: append(slices.Clone(answerable), answerableWeCom...)}
)

// allCodes are those of all systems. A fault whose code a system does not have
// does not strike it; those of APIv3 are translated.
var allCodes = slices.Concat(answerable, answerableV2, answerableWeCom)

// misses tells that a fault does not strike such a request: it is about other
// requests, about signatures where there are none, or about lists.
func (y system) misses(f upstreamFault, query bool) bool {
	switch {
	case f.empty:
		return !query || !y.lists
	case f.forged || f.blank:
		return !y.signed
	}
	return query && !f.every
}

// strikeUpstream returns the fault that befalls a request, and the error code
// that it is to be refused with, if any. s.mu is not held.
func (s *Sandbox) strikeUpstream(y system, query bool) (upstreamFault, string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var hit upstreamFault
	for _, f := range upstreamFaults {
		if !y.misses(f, query) && s.strikes(partUpstream, f.name) {
			hit = f
			break
		}
	}
	if hit.before {
		return hit, ""
	}
	on := onApply
	if query {
		on = onQuery
	}
	for _, name := range y.codes {
		if s.strikesOn(partCode, name, on) {
			return hit, name
		}
	}
	return hit, ""
}

// befall carries a request out, unless a fault has it otherwise.
func (s *Sandbox) befall(y system, query bool, handle func() reply) (reply, upstreamFault) {
	fault, code := s.strikeUpstream(y, query)
	var out reply
	switch {
	case code != "":
		out.no = refuse(code)
	case !fault.before:
		out = handle()
	}
	// A refusal is not turned into a fault that pretends that there was
	// something to accept.
	if fault.code != "" && out.no == nil {
		out = reply{no: refuse(fault.code)}
	}
	return out, fault
}

// suffer lets a fault take its time or the connection. It tells whether there is
// still something to answer.
func (s *Sandbox) suffer(w http.ResponseWriter, r *http.Request, fault upstreamFault) bool {
	switch {
	case fault.silent:
		s.pause(r, silence)
	case fault.reset:
	case fault.slow && !s.pause(r, slowness):
	default:
		return true
	}
	hangUp(w)
	return false
}

// wrote notes an answer in the log.
func (s *Sandbox) wrote(r *http.Request, status int, fault upstreamFault) {
	s.log.Debug("answered", "method", r.Method, "path", r.URL.Path, "status", status, "fault", fault.name)
}
