package sandbox

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"time"
)

// Two bounds on misbehaviour, in real time.
const (
	silence  = 60 * time.Second // how long a request that times out is held
	slowness = 3 * time.Second  // how late a slow answer comes
)

// An upstreamFault is a way in which the answer to a request goes wrong. Those
// called before and after strike only applications for refunds, where it makes
// all the difference; the others strike whatever is asked about refunds, or only
// queries.
type upstreamFault struct {
	name    string
	before  bool   // the request is not carried out
	every   bool   // strikes queries as well
	code    string // what is answered instead of the truth
	silent  bool   // nothing is answered
	reset   bool   // nor is the connection kept
	slow    bool
	blank   bool   // not signed; where nothing ever is, it does not strike
	forged  bool   // signed over other bytes; the same
	empty   bool   // answers to queries count refunds and list none; only where there are lists
	teaches string // for people: what a client must do
}

var upstreamFaults = []upstreamFault{
	{name: "timeout_before", before: true, silent: true, teaches: "no answer, and nothing was refunded: ask again under the same number"},
	{name: "timeout_after", silent: true, teaches: "no answer, but the refund was accepted: a new number would refund twice"},
	{name: "reset_after", reset: true, teaches: "the connection breaks after the refund was accepted: not a failure, but unknown"},
	{name: "500_before", before: true, code: codeSystem, teaches: "SYSTEM_ERROR, and nothing was refunded: repeat with the same number and content"},
	{name: "500_after", code: codeSystem, teaches: "SYSTEM_ERROR, but the refund was accepted: the status tells nothing about the money"},
	{name: "429_after", code: codeFrequency, teaches: "FREQUENCY_LIMITED, but the refund was accepted: query before believing that it was not"},
	{name: "bad_signature", every: true, forged: true, teaches: "the answer's signature does not verify: whatever it says is worth nothing"},
	{name: "unsigned", every: true, blank: true, teaches: "the answer is not signed: anybody on the way could have written it"},
	{name: "slow", every: true, slow: true, teaches: "the answer is right and comes late: mind the deadline of the function that waits"},
	{name: "empty_lists", empty: true, teaches: "CloudPay's queries count a refund and list nothing of it, as some accounts' always do: it exists, and how it stands only a notification tells"},
}

// A noticeFault is a way in which a notification goes wrong: at birth as a whole,
// or in a single send, after which the schedule goes on with proper ones.
type noticeFault struct {
	name    string
	birth   func(*delivery, time.Time)
	aged    time.Duration // how old the signature is
	sealed  bool          // strikes what is not signed but sealed as well
	cause   string        // why it must be refused, in a word
	forge   func(http.Header, []byte) []byte
	teaches string // for people: what a client must do
}

var noticeFaults = []noticeFault{
	{name: "lose", birth: lose, teaches: "the notification never comes: a refund without event must be asked about"},
	{name: "duplicate", birth: duplicate, teaches: "it comes once more after it was acknowledged: acknowledge again, book once"},
	{name: "reorder", birth: reorder, teaches: "a newer one overtakes it: an older state must not overwrite a newer"},
	{name: "delay", birth: delay, teaches: "it comes ten minutes late: a query may have been faster"},
	{name: "tamper", sealed: true, cause: "body_changed", forge: tamper, teaches: "its body was changed after it was signed: verify the bytes as received"},
	{name: "signtest", cause: "probe", forge: probe, teaches: "its signature is one of WeChat Pay's probes: refuse it, the proper one follows"},
	{name: "wrong_serial", cause: "unknown_serial", forge: wrongSerial, teaches: "it names a key that does not exist: choose the key by its serial"},
	{name: "stale", cause: "stale", aged: 10 * time.Minute, forge: asIs, teaches: "its signature is ten minutes old: refuse what may be a replay"},
}

func lose(d *delivery, _ time.Time)      { d.state, d.next, d.kept = stateLost, time.Time{}, false }
func duplicate(d *delivery, _ time.Time) { d.echoes++ }
func reorder(d *delivery, now time.Time) { d.keep(now, 2*time.Minute) }
func delay(d *delivery, now time.Time)   { d.next = now.Add(10 * time.Minute) }

func asIs(_ http.Header, body []byte) []byte { return body }

// ciphertexts are what stands before the ciphertext of each kind of notification.
var ciphertexts = []string{`"ciphertext":"`, "<req_info><![CDATA[", "<req_info>"}

// tamper changes one character of the ciphertext, so that the body still is JSON,
// or XML.
func tamper(_ http.Header, body []byte) []byte {
	body = slices.Clone(body)
	for _, before := range ciphertexts {
		_, after, ok := bytes.Cut(body, []byte(before))
		if !ok {
			continue
		}
		if at := len(body) - len(after); body[at] == 'A' {
			body[at] = 'B'
		} else {
			body[at] = 'A'
		}
		break
	}
	return body
}

// probe makes the signature one of WeChat Pay's probes, which are not even base64.
func probe(h http.Header, body []byte) []byte {
	h.Set("Wechatpay-Signature", "WECHATPAY/SIGNTEST/"+h.Get("Wechatpay-Signature"))
	return body
}

func wrongSerial(h http.Header, body []byte) []byte {
	serial := []byte(h.Get("Wechatpay-Serial"))
	for i := len(serial) - 8; i < len(serial); i++ {
		serial[i] = '0' + (serial[i]+1)%10
	}
	h.Set("Wechatpay-Serial", string(serial))
	return body
}

// The parts of a fault, each of which strikes and is used up by itself.
const (
	partUpstream = iota
	partCode
	partNotify
	parts
)

// What an error code strikes.
const (
	onApply = "apply"
	onQuery = "query"
)

// faultSchema is the body of POST /_sandbox/faults.
var faultSchema = schema{
	{path: "/upstream", enum: names(upstreamFaults, func(f upstreamFault) string { return f.name })},
	{path: "/err_code", enum: allCodes},
	{path: "/on", enum: []string{onApply, onQuery}},
	{path: "/notify", enum: names(noticeFaults, func(f noticeFault) string { return f.name })},
	{path: "/rate", kind: fraction},
	{path: "/count", kind: number, min: 1, max: 1e6},
}

func names[T any](table []T, name func(T) string) []string {
	out := make([]string, len(table))
	for i, t := range table {
		out[i] = name(t)
	}
	return out
}

// A faultObject is a fault as the control side asks for it and shows it.
type faultObject struct {
	ID       string   `json:"id"`
	Upstream string   `json:"upstream,omitempty"`
	ErrCode  string   `json:"err_code,omitempty"`
	On       string   `json:"on,omitempty"` // what err_code strikes; absent: applications
	Notify   string   `json:"notify,omitempty"`
	Rate     *float64 `json:"rate,omitempty"`  // how probable it is; absent: certain
	Count    *int     `json:"count,omitempty"` // how often it strikes; absent: until it is deleted
	Struck   int      `json:"struck"`          // how often it has
}

// A fault is one that is in force.
type fault struct {
	object faultObject
	number int
	names  [parts]string
	struck [parts]int
	chance [parts]int // how often it could have struck
}

// maxFaults bounds how many can be in force.
const maxFaults = 100

var (
	errTooManyFaults = errors.New("sandbox: too many faults are in force; delete some")
	errNoFault       = errors.New("sandbox: no fault has this id")
)

// addFault puts a fault in force.
func (s *Sandbox) addFault(o faultObject) (faultObject, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.faults) >= maxFaults {
		return o, errTooManyFaults
	}
	s.faultNumber++
	o.ID = fmt.Sprintf("f%d", s.faultNumber)
	s.faults = append(s.faults, &fault{object: o, number: s.faultNumber, names: [parts]string{o.Upstream, o.ErrCode, o.Notify}})
	s.log.Info("fault added", "id", o.ID, "upstream", o.Upstream, "err_code", o.ErrCode, "notify", o.Notify)
	return o, nil
}

// A faultList is what the control side shows: the faults in force, and all there
// could be.
type faultList struct {
	Faults []faultObject `json:"faults"`
	Known  struct {
		Upstream map[string]string `json:"upstream"` // what a client learns from it
		ErrCode  []string          `json:"err_code"`
		Notify   map[string]string `json:"notify"`
	} `json:"known"`
}

// faultList is made with s.mu held.
func (s *Sandbox) faultList() faultList {
	out := faultList{Faults: []faultObject{}}
	for _, f := range s.faults {
		out.Faults = append(out.Faults, f.object)
	}
	out.Known.ErrCode = allCodes
	out.Known.Upstream, out.Known.Notify = map[string]string{}, map[string]string{}
	for _, f := range upstreamFaults {
		out.Known.Upstream[f.name] = f.teaches
	}
	for _, f := range noticeFaults {
		out.Known.Notify[f.name] = f.teaches
	}
	return out
}

// strikes tells whether the named fault strikes this time. s.mu is held.
func (s *Sandbox) strikes(part int, name string) bool { return s.strikesOn(part, name, "") }

// strikesOn is the same for faults that strike only some requests.
func (s *Sandbox) strikesOn(part int, name, on string) bool {
	for _, f := range s.faults {
		if f.names[part] != name || f.usedUp(part) || on != "" && cmp.Or(f.object.On, onApply) != on {
			continue
		}
		f.chance[part]++
		if r := f.object.Rate; r != nil && s.dice.throw("fault", f.number, part, f.chance[part]).Float64() >= *r {
			continue
		}
		f.struck[part]++
		f.object.Struck++
		s.bell.ring()
		s.faults = slices.DeleteFunc(s.faults, (*fault).spent)
		return true
	}
	return false
}

func (f *fault) usedUp(part int) bool {
	return f.names[part] == "" || f.object.Count != nil && f.struck[part] >= *f.object.Count
}

// spent faults are not in force any more.
func (f *fault) spent() bool {
	return f.usedUp(partUpstream) && f.usedUp(partCode) && f.usedUp(partNotify)
}
