package world

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"time"
)

// An UpstreamFault is a way in which the answer to a request goes wrong. Those
// called before and after apply only to applications for refunds, where it makes
// all the difference; the others apply to whatever is asked about refunds, or only
// to queries. One that is on orders applies to questions about orders and to nothing
// else, and so one that is on abnormal refunds. The zero value is none.
type UpstreamFault struct {
	Name   string
	Before bool   // the request is not carried out
	Code   string // what is answered instead of the truth
	Silent bool   // nothing is answered
	Reset  bool   // nor is the connection kept
	Slow   bool
	Blank  bool // not signed; where nothing ever is, it does not apply
	Forged bool // signed over other bytes; the same
	Empty  bool // answers to queries count refunds and list none; only where there are lists

	every   bool   // applies to queries as well
	teaches string // for people: what a client must do
}

var upstreamFaults = []UpstreamFault{
	{Name: "timeout_before", Before: true, Silent: true, teaches: "no answer, and nothing was refunded: ask again under the same number"},
	{Name: "timeout_after", Silent: true, teaches: "no answer, but the refund was accepted: a new number would refund twice"},
	{Name: "reset_after", Reset: true, teaches: "the connection breaks after the refund was accepted: not a failure, but unknown"},
	{Name: "500_before", Before: true, Code: CodeSystem, teaches: "SYSTEM_ERROR, and nothing was refunded: repeat with the same number and content"},
	{Name: "500_after", Code: CodeSystem, teaches: "SYSTEM_ERROR, but the refund was accepted: the status tells nothing about the money"},
	{Name: "429_after", Code: CodeFrequency, teaches: "FREQUENCY_LIMITED, but the refund was accepted: query before believing that it was not"},
	{Name: "bad_signature", every: true, Forged: true, teaches: "the answer's signature does not verify: whatever it says is worth nothing"},
	{Name: "unsigned", every: true, Blank: true, teaches: "the answer is not signed: anybody on the way could have written it"},
	{Name: "slow", every: true, Slow: true, teaches: "the answer is right and comes late: mind the deadline of the function that waits"},
	{Name: "empty_lists", Empty: true, teaches: "CloudPay's queries count a refund and list nothing of it, as some accounts' always do: it exists, and how it stands only a notification tells"},
}

// A notificationFault is a way in which a notification goes wrong: at once as a whole,
// or in a single send, after which the schedule goes on with proper ones.
type notificationFault struct {
	name    string
	create  func(*delivery, time.Time)
	aged    time.Duration // how old the signature is
	sealed  bool          // applies to what is not signed but sealed as well
	cause   string        // why it must be refused, in a word
	forge   func(http.Header, []byte) []byte
	teaches string // for people: what a client must do
}

var notificationFaults = []notificationFault{
	{name: "lose", create: lose, teaches: "the notification never comes: a refund of which nothing is heard must be asked about"},
	{name: "duplicate", create: duplicate, teaches: "it comes once more after it was acknowledged: acknowledge again, book once"},
	{name: "reorder", create: reorder, teaches: "a newer one overtakes it: an older state must not overwrite a newer"},
	{name: "delay", create: delay, teaches: "it comes ten minutes late: a query may have been faster"},
	{name: "tamper", sealed: true, cause: "body_changed", forge: tamper, teaches: "its body was changed after it was signed: verify the bytes as received"},
	{name: "signtest", cause: "probe", forge: probe, teaches: "its signature is one of WeChat Pay's probes: refuse it, the proper one follows"},
	{name: "wrong_serial", cause: "unknown_serial", forge: wrongSerial, teaches: "it names a key that does not exist: choose the key by its serial"},
	{name: "stale", cause: "stale", aged: 10 * time.Minute, forge: asIs, teaches: "its signature is ten minutes old: refuse what may be a replay"},
}

func lose(d *delivery, _ time.Time)      { d.state, d.next, d.heldBack = DeliveryLost, time.Time{}, false }
func duplicate(d *delivery, _ time.Time) { d.duplicates++ }
func reorder(d *delivery, now time.Time) { d.holdBack(now, 2*time.Minute) }
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

// The parts of a fault, each of which applies and is used up by itself.
const (
	partUpstream = iota
	partCode
	partNotify
	partTimer
	partBill
	partDatabase
	parts
)

// What an error code applies to.
const (
	OnApply = "apply"
	OnQuery = "query"
	OnBill  = "bill"

	// What nothing strikes that does not say so: questions about orders, and applications
	// that an abnormal refund's money goes elsewhere.
	OnOrder    = "order"
	OnAbnormal = "abnormal"
)

// A Fault is one that the control doors ask for and show.
type Fault struct {
	ID       string   `json:"id"`
	Upstream string   `json:"upstream,omitempty"`
	ErrCode  string   `json:"err_code,omitempty"`
	On       string   `json:"on,omitempty"` // what err_code applies to; absent: applications. With order and abnormal, upstream as well
	Notify   string   `json:"notify,omitempty"`
	Timer    string   `json:"timer,omitempty"` // stop: the merchant's timer stands still
	Bill     string   `json:"bill,omitempty"`  // what is wrong with a bill
	Database string   `json:"database,omitempty"`
	Rate     *float64 `json:"rate,omitempty"`  // how probable it is; absent: certain
	Count    *int     `json:"count,omitempty"` // how often it applies; absent: until it is deleted
	Applied  int      `json:"struck"`          // how often it has
}

// A fault is one that is in force.
type fault struct {
	Fault
	number     int
	names      [parts]string
	applied    [parts]int
	considered [parts]int // how often it could have applied
}

// maxFaults bounds how many can be in force.
const maxFaults = 100

// Errors of adding and deleting faults.
var (
	ErrTooManyFaults = errors.New("sandbox: too many faults are in force; delete some")
	ErrNoFault       = errors.New("sandbox: no fault has this id")
)

// AddFault puts a fault in force and gives it an ID.
func (w *World) AddFault(o Fault) (Fault, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.faults) >= maxFaults {
		return o, ErrTooManyFaults
	}
	w.faultNumber++
	o.ID = fmt.Sprintf("f%d", w.faultNumber)
	w.faults = append(w.faults, &fault{Fault: o, number: w.faultNumber, names: [parts]string{o.Upstream, o.ErrCode, o.Notify, o.Timer, o.Bill, o.Database}})
	w.Log.Info("fault added", "id", o.ID, "upstream", o.Upstream, "err_code", o.ErrCode, "notify", o.Notify, "timer", o.Timer, "bill", o.Bill, "database", o.Database)
	return o, nil
}

// Faults returns those that are in force.
func (w *World) Faults() []Fault {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.faultsInForce()
}

func (w *World) faultsInForce() []Fault {
	out := make([]Fault, len(w.faults))
	for i, f := range w.faults {
		out[i] = f.Fault
	}
	return out
}

// DeleteFaults ends all faults.
func (w *World) DeleteFaults() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.faults = nil
}

// DeleteFault ends one.
func (w *World) DeleteFault(id string) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	before := len(w.faults)
	w.faults = slices.DeleteFunc(w.faults, func(f *fault) bool { return f.ID == id })
	if len(w.faults) == before {
		return ErrNoFault
	}
	return nil
}

// A FaultName is a fault that there could be, and what a client learns from it.
type FaultName struct{ Name, Teaches string }

// KnownFaults lists all there could be: of requests and of notifications, in the
// order of the tables, and the error codes of all systems.
func (w *World) KnownFaults() (upstream, notify []FaultName, codes []string) {
	for _, f := range upstreamFaults {
		upstream = append(upstream, FaultName{f.Name, f.teaches})
	}
	for _, f := range notificationFaults {
		notify = append(notify, FaultName{f.name, f.teaches})
	}
	return upstream, notify, w.codes
}

// A System is one of the upstream systems, as far as faults are concerned: all
// can be made to go wrong, each in its own way.
type System struct {
	Codes  []string // the error codes that a fault can have it answer with
	Signed bool     // its answers are
	Lists  bool     // its answers hold lists, which can be empty
}

// misses tells that a fault does not apply to such a request: it is about other
// requests, about signatures where there are none, or about lists.
func (y System) misses(f UpstreamFault, on string) bool {
	switch {
	case f.Empty:
		return on != OnQuery || !y.Lists
	case f.Forged || f.Blank:
		return !y.Signed
	}
	return on == OnQuery && !f.every
}

// UpstreamFault returns the fault that applies to a request, and the error code that
// it is to be refused with, if any. A fault whose code a system does not have does
// not apply to it; the codes of APIv3 are for the system to translate.
func (w *World) UpstreamFault(y System, on string) (UpstreamFault, string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	var hit UpstreamFault
	for _, f := range upstreamFaults {
		if !y.misses(f, on) && w.appliesOn(partUpstream, f.Name, on) {
			hit = f
			break
		}
	}
	if hit.Before {
		return hit, ""
	}
	for _, name := range y.Codes {
		if w.appliesOn(partCode, name, on) {
			return hit, name
		}
	}
	return hit, ""
}

// applies tells whether the named fault applies this time. w.mu is held.
func (w *World) applies(part int, name string) bool { return w.appliesOn(part, name, "") }

// appliesOn is the same for faults that apply only to some requests.
func (w *World) appliesOn(part int, name, on string) bool {
	for _, f := range w.faults {
		if f.names[part] != name || f.usedUp(part) || !f.isOn(part, on) {
			continue
		}
		f.considered[part]++
		if r := f.Rate; r != nil && w.rand.draw("fault", f.number, part, f.considered[part]).Float64() >= *r {
			continue
		}
		f.applied[part]++
		f.Applied++
		w.Broadcast()
		w.faults = slices.DeleteFunc(w.faults, (*fault).spent)
		return true
	}
	return false
}

// apart tells that only a fault that says so applies to such requests.
func apart(on string) bool { return on == OnOrder || on == OnAbnormal }

// isOn tells whether a part of the fault is about such requests; empty: whatever they are.
func (f *fault) isOn(part int, on string) bool {
	switch {
	case on == "":
		return true
	case part == partUpstream && (apart(f.On) || apart(on)):
		return f.On == on
	case part == partUpstream:
		return true
	}
	return cmp.Or(f.On, OnApply) == on
}

func (f *fault) usedUp(part int) bool {
	return f.names[part] == "" || f.Count != nil && f.applied[part] >= *f.Count
}

// spent faults are not in force any more.
func (f *fault) spent() bool {
	for part := range parts {
		if !f.usedUp(part) {
			return false
		}
	}
	return true
}
