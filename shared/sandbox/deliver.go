package sandbox

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"time"
)

// schedule is when a notification that was not acknowledged is sent again: fifteen
// repeats, each so long after the one before, 24 hours and 4 minutes in all.
var schedule = []time.Duration{
	15 * time.Second, 15 * time.Second, 30 * time.Second, 3 * time.Minute, 10 * time.Minute,
	20 * time.Minute, 30 * time.Minute, 30 * time.Minute, 30 * time.Minute, 60 * time.Minute,
	3 * time.Hour, 3 * time.Hour, 3 * time.Hour, 6 * time.Hour, 6 * time.Hour,
}

const (
	// patience is how long, in real time, a receiver may take to answer.
	patience = 5 * time.Second

	maxAnswer   = 64 << 10 // bytes of an answer that are read
	keptAnswer  = 512      // bytes of it that are kept
	maxAttempts = 64       // attempts that are kept of one delivery, the newest
)

// The states of a delivery. Lost notifications were never sent, and failed ones are
// not sent any more; either can be sent again by hand.
const (
	statePending   = "pending"
	stateDelivered = "delivered"
	stateFailed    = "failed"
	stateLost      = "lost"
)

// A delivery is one notification and all attempts to deliver it.
type delivery struct {
	number       int // notifications are counted
	id           string
	event        string
	outRefundNo  string
	notification string // its kind
	url          string
	body         []byte
	public       bool // signed with a public key, not with a platform certificate

	state    string
	next     time.Time // when it is sent next; zero: never, or it is on its way
	repeats  int       // how much of the schedule is used up
	echoes   int       // further sends that are owed once it is delivered
	kept     bool      // kept back until another notification has been sent
	fault    string    // that struck it as a whole
	made     time.Time // virtual
	sends    int
	attempts []attempt
}

// An attempt is one send of a notification.
type attempt struct {
	At        string `json:"at"` // virtual time
	Status    int    `json:"status"`
	LatencyMS int64  `json:"latency_ms"` // real time
	Reply     string `json:"reply"`
	Error     string `json:"error"`
	Fault     string `json:"fault,omitempty"` // that this send was made to suffer

	started time.Time // virtual, as At
	why     string    // what the fault should have it refused for
	newKey  bool      // signed with a public key that our side was not started with
}

// keep holds the notification back for at most d.
func (d *delivery) keep(now time.Time, most time.Duration) {
	d.kept, d.next = true, now.Add(most)
}

// A flight is a notification on its way.
type flight struct {
	delivery *delivery
	extra    bool      // besides the schedule: by hand
	started  time.Time // virtual
	send     int       // which send of this notification it is
	key      platformKey
	forgery  *noticeFault
}

// takeOff starts a send. s.mu is held; whoever calls must let the flight fly.
func (s *Sandbox) takeOff(d *delivery, extra bool) *flight {
	now := s.clock.now()
	d.sends++
	f := &flight{
		delivery: d, extra: extra, started: now, send: d.sends,
		key: s.ring.pick(d.public, now, s.dice, d.id, d.sends),
	}
	// A repeat of what was acknowledged uses no fault up: whoever has asked for
	// one is waiting for the next notification.
	if extra || d.state != stateDelivered {
		f.forgery = s.forgery(notificationKinds[d.notification])
	}
	if !extra {
		d.next = time.Time{}
	}
	d.kept = false
	s.flying++
	s.bell.ring()
	return f
}

// forgery returns the fault that befalls a send, if any. s.mu is held.
func (s *Sandbox) forgery(kind notificationKind) *noticeFault {
	for i, f := range noticeFaults {
		if f.forge != nil && kind.suffers(f) && s.strikes(partNotify, f.name) {
			return &noticeFaults[i]
		}
	}
	return nil
}

// fly sends a notification and notes what came of it.
func (s *Sandbox) fly(ctx context.Context, f *flight) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	defer context.AfterFunc(s.ended, cancel)()
	started := time.Now()
	a, ok := s.post(ctx, f)
	a.At, a.started = stampMS(f.started), f.started
	a.newKey = f.key.cert == "" && f.key.serial != s.keys.publicID
	a.LatencyMS = time.Since(started).Milliseconds()
	if f.forgery != nil {
		a.Fault, a.why = f.forgery.name, f.forgery.cause
		if ok {
			ok, a.Error = false, "acknowledged, though it must not have been believed: "+f.forgery.teaches
		}
	}
	s.land(f, a, ok)
}

// land notes an attempt and decides what comes next.
func (s *Sandbox) land(f *flight, a attempt, acknowledged bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	d := f.delivery
	d.attempts = append(d.attempts, a)
	if n := len(d.attempts) - maxAttempts; n > 0 {
		d.attempts = slices.Delete(d.attempts, 0, n)
	}
	switch {
	case d.state == stateDelivered: // a repeat of it; whatever the answer, WeChat Pay has had its acknowledgement
	case acknowledged:
		d.state, d.next = stateDelivered, time.Time{}
	case f.extra:
	case d.repeats < len(schedule):
		d.next = f.started.Add(schedule[d.repeats])
		d.repeats++
		s.plan(event{at: d.next, delivery: d})
	default:
		d.state = stateFailed
	}
	if d.state == stateDelivered && d.echoes > 0 && d.next.IsZero() {
		d.echoes--
		d.next = s.clock.now().Add(s.dice.seconds(time.Second, 90*time.Second, "echo", d.id, d.sends))
		s.plan(event{at: d.next, delivery: d})
	}
	s.release(d)
	s.flying--
	s.bell.ring()
	signal(s.landed)
	signal(s.wake)
	s.log.Info("notification sent", "out_refund_no", d.outRefundNo, "event_type", d.event,
		"send", f.send, "status", a.Status, "state", d.state, "fault", a.Fault, "error", a.Error)
}

// release lets go what was kept back until a newer notification had overtaken it: d has.
func (s *Sandbox) release(d *delivery) {
	now := s.clock.now()
	s.kept = slices.DeleteFunc(s.kept, func(k *delivery) bool {
		if k.kept && k.number < d.number {
			k.kept, k.next = false, now
			s.plan(event{at: now, delivery: k})
		}
		return !k.kept
	})
}

// post sends a notification as WeChat Pay does, with a signature of its own each time.
func (s *Sandbox) post(ctx context.Context, f *flight) (attempt, bool) {
	d := f.delivery
	kind := notificationKinds[d.notification]
	h := http.Header{
		"Content-Type": {kind.media},
		"User-Agent":   {"Mozilla/4.0"},
		"Accept":       {"*/*"},
		"Pragma":       {"no-cache"},
		"Request-Id":   {s.requestID("notification", d.id, f.send)},
	}
	body, now := d.body, time.Now()
	if f.forgery != nil {
		now = now.Add(-f.forgery.aged)
	}
	if kind.signed {
		if err := f.key.signer().Sign(h, body, now); err != nil {
			return attempt{Error: err.Error()}, false
		}
	}
	if f.forgery != nil {
		body = f.forgery.forge(h, body)
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, d.url, bytes.NewReader(body))
	if err != nil {
		return attempt{Error: "the notification URL is not one"}, false
	}
	request.Header, request.Close = h, true

	response, err := s.client.Do(request)
	if err != nil {
		return attempt{Error: reason(ctx, err)}, false
	}
	defer response.Body.Close()
	answer, err := io.ReadAll(io.LimitReader(response.Body, maxAnswer+1))
	a := attempt{Status: response.StatusCode, Reply: strings.ToValidUTF8(string(answer[:min(len(answer), keptAnswer)]), "")}
	switch {
	case err != nil:
		a.Error = reason(ctx, err)
	case len(answer) > maxAnswer:
		a.Error = "the answer is longer than 64 KiB"
	default:
		a.Error = kind.objection(response.StatusCode, answer)
	}
	return a, a.Error == ""
}

// reason says why there was no answer.
func reason(ctx context.Context, err error) string {
	if errors.Is(ctx.Err(), context.DeadlineExceeded) {
		return fmt.Sprintf("no answer within %v", patience)
	}
	if op, ok := errors.AsType[*net.OpError](err); ok {
		return op.Error()
	}
	return err.Error()
}

// objection says why an answer does not acknowledge a notification; nothing if it
// does. Success is 200 or 204, with an empty body or with JSON whose code is
// SUCCESS: the newer documents ask for no body, the older ones for that code,
// and a body that says otherwise is not a success to either.
func objection(status int, answer []byte) string {
	if status != http.StatusOK && status != http.StatusNoContent {
		return fmt.Sprintf("status %d instead of 200 or 204", status)
	}
	if len(bytes.TrimSpace(answer)) == 0 {
		return ""
	}
	var ack struct {
		Code string `json:"code"`
	}
	if err := json.Unmarshal(answer, &ack); err != nil || ack.Code != "SUCCESS" {
		return "the answer is not empty, and not JSON whose code is SUCCESS"
	}
	return ""
}

// A deliveryObject is a delivery on the control side.
type deliveryObject struct {
	ID           string    `json:"id"`
	EventType    string    `json:"event_type"`
	OutRefundNo  string    `json:"out_refund_no"`
	Notification string    `json:"notification"`
	URL          string    `json:"url"`
	State        string    `json:"state"`
	NextAt       *string   `json:"next_at"` // null: it is not sent again, or it is on its way
	Fault        string    `json:"fault,omitempty"`
	Attempts     []attempt `json:"attempts"`
}

func (d *delivery) object() deliveryObject {
	out := deliveryObject{
		ID: d.id, EventType: d.event, OutRefundNo: d.outRefundNo, Notification: d.notification, URL: d.url,
		State: d.state, Fault: d.fault, Attempts: append([]attempt{}, d.attempts...),
	}
	if !d.next.IsZero() {
		next := stampMS(d.next)
		out.NextAt = &next
	}
	return out
}
