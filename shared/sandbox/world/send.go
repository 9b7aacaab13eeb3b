package world

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"time"
)

// Schedule is when a notification that was not acknowledged is sent again: fifteen
// repeats, each so long after the one before, 24 hours and 4 minutes in all.
var Schedule = []time.Duration{
	15 * time.Second, 15 * time.Second, 30 * time.Second, 3 * time.Minute, 10 * time.Minute,
	20 * time.Minute, 30 * time.Minute, 30 * time.Minute, 30 * time.Minute, 60 * time.Minute,
	3 * time.Hour, 3 * time.Hour, 3 * time.Hour, 6 * time.Hour, 6 * time.Hour,
}

const (
	// answerTime is how long, in real time, a receiver may take to answer.
	answerTime = 5 * time.Second

	maxAnswer   = 64 << 10 // bytes of an answer that are read
	shownAnswer = 512      // bytes of it that are shown
	maxAttempts = 64       // attempts that are kept of one delivery, the newest
)

// The states of a delivery. Lost notifications were never sent, and failed ones are
// not sent any more; either can be sent again by hand.
const (
	DeliveryPending   = "pending"
	DeliveryDelivered = "delivered"
	DeliveryFailed    = "failed"
	DeliveryLost      = "lost"
)

// A delivery is one notification and all attempts to deliver it.
type delivery struct {
	number      int // notifications are counted
	id          string
	event       string
	outRefundNo string
	kind        NotificationKind
	url         string
	body        []byte

	state      string
	next       time.Time // when it is sent next; zero: never, or it is on its way
	repeats    int       // how much of the schedule is used up
	duplicates int       // further sends that are due once it is delivered
	heldBack   bool      // until another notification has been sent
	fault      string    // that applied to it as a whole
	made       time.Time // virtual
	sends      int
	attempts   []Attempt
}

// An Attempt is one send of a notification.
type Attempt struct {
	At        string `json:"at"` // virtual time
	Status    int    `json:"status"`
	LatencyMS int64  `json:"latency_ms"` // real time
	Reply     string `json:"reply"`
	Error     string `json:"error"`
	Fault     string `json:"fault,omitempty"`    // that this send was made to suffer
	Exchange  string `json:"exchange,omitempty"` // where it stands in the journal
	Serial    string `json:"serial,omitempty"`   // of the key that it was signed with; empty if it was not

	Started time.Time `json:"-"` // virtual, as At
	why     string    // what the fault should have it refused for
	newKey  bool      // signed with a public key that the merchant's side was not started with
	either  bool      // signed with one kind of key, while the merchant switches to the other
}

// causes say in a word why a receiver did not acknowledge a notification that nothing
// was done to. The console has a sentence for each.
var causes = map[int]string{0: "no_answer", 400: "malformed", 401: "not_verified", 413: "too_large", 503: "unavailable"}

// Cause says in a word why an attempt failed, nothing if it did not: from what the
// sandbox did to the notification, where it did something, else from the answer.
func (a Attempt) Cause() string {
	switch {
	case a.Error == "":
		return ""
	case a.Fault != "" && a.Status == 200:
		return "believed"
	case a.Rightly():
		return a.why
	case a.Status == 401 && a.newKey:
		return "new_key"
	case a.Status == 401 && a.either:
		return "either_key"
	case causes[a.Status] != "":
		return causes[a.Status]
	case a.Status == 200 || a.Status == 204:
		return "not_success"
	}
	return "status"
}

// Rightly tells that the receiver has refused a notification that is not to be believed.
func (a Attempt) Rightly() bool {
	return a.Fault != "" && (a.Status == 400 || a.Status == 401)
}

// holdBack has the notification wait for another one, but no longer than most.
func (d *delivery) holdBack(now time.Time, most time.Duration) {
	d.heldBack, d.next = true, now.Add(most)
}

// A sending is a notification that is being sent.
type sending struct {
	delivery *delivery
	id       string    // Request-ID
	extra    bool      // besides the schedule: by hand
	started  time.Time // virtual
	number   int       // which send of this notification it is
	key      PlatformKey
	fault    *notificationFault
}

// startSend takes a notification up for sending. w.mu is held; whoever calls must
// give what is returned to [World.send] when it no longer is.
func (w *World) startSend(d *delivery, extra bool) *sending {
	now := w.clock.now()
	d.sends++
	s := &sending{
		delivery: d, id: w.requestID("notification", d.id, d.sends), extra: extra, started: now, number: d.sends,
		key: w.keys.notification(d.id, d.sends, now, w.rand),
	}
	// A repeat of what was acknowledged uses no fault up: whoever has asked for
	// one is waiting for the next notification.
	if extra || d.state != DeliveryDelivered {
		s.fault = w.sendFault(d.kind)
	}
	if !extra {
		d.next = time.Time{}
	}
	d.heldBack = false
	w.inFlight++
	w.touch(d)
	return s
}

// sendFault returns the fault that applies to a send, if any. w.mu is held.
func (w *World) sendFault(kind NotificationKind) *notificationFault {
	for i, f := range notificationFaults {
		if f.forge != nil && kind.suffers(f) && w.applies(partNotify, f.name) {
			return &notificationFaults[i]
		}
	}
	return nil
}

// send sends a notification and notes what came of it.
func (w *World) send(ctx context.Context, s *sending) {
	ctx, cancel := context.WithTimeout(ctx, answerTime)
	defer cancel()
	defer context.AfterFunc(w.ended, cancel)()
	started := time.Now()
	record := w.Record(ExchangeNotification)
	a, ok := w.post(ctx, s, record)
	a.At, a.Started = StampMS(s.started), s.started
	if s.delivery.kind.Signed {
		a.Serial, a.either = s.key.Serial, w.cfg.Merchant == MerchantSwitching
	}
	a.newKey = s.key.Cert == "" && s.key.Serial != w.Keys.publicID
	a.LatencyMS = time.Since(started).Milliseconds()
	if s.fault != nil {
		a.Fault, a.why = s.fault.name, s.fault.cause
		if ok {
			ok, a.Error = false, "acknowledged, though it must not have been believed: "+s.fault.teaches
		}
	}
	a.Exchange = record.sent(s, a)
	w.finishSend(s, a, ok)
}

// finishSend notes an attempt and decides what comes next.
func (w *World) finishSend(s *sending, a Attempt, acknowledged bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	d := s.delivery
	d.attempts = append(d.attempts, a)
	if n := len(d.attempts) - maxAttempts; n > 0 {
		d.attempts = slices.Delete(d.attempts, 0, n)
	}
	switch {
	case d.state == DeliveryDelivered: // a repeat of it; whatever the answer, WeChat Pay has had its acknowledgement
	case acknowledged:
		d.state, d.next = DeliveryDelivered, time.Time{}
	case s.extra:
	case d.repeats < len(Schedule):
		d.next = s.started.Add(Schedule[d.repeats])
		d.repeats++
		w.plan(task{at: d.next, delivery: d})
	default:
		d.state = DeliveryFailed
	}
	if d.state == DeliveryDelivered && d.duplicates > 0 && d.next.IsZero() {
		d.duplicates--
		d.next = w.clock.now().Add(w.rand.seconds(time.Second, 90*time.Second, "echo", d.id, d.sends))
		w.plan(task{at: d.next, delivery: d})
	}
	w.release(d)
	w.inFlight--
	w.touch(d)
	signal(w.finished)
	signal(w.wake)
	w.Log.Info("notification sent", "request_id", s.id, "out_refund_no", d.outRefundNo, "event_type", d.event,
		"send", s.number, "status", a.Status, "state", d.state, "fault", a.Fault, "error", a.Error)
}

// release lets go what was held back until a newer notification had overtaken it: d has.
func (w *World) release(d *delivery) {
	now := w.clock.now()
	w.heldBack = slices.DeleteFunc(w.heldBack, func(k *delivery) bool {
		if k.heldBack && k.number < d.number {
			k.heldBack, k.next = false, now
			w.plan(task{at: now, delivery: k})
			w.touch(k)
		}
		return !k.heldBack
	})
}

// post sends a notification as WeChat Pay does, with a signature of its own each time.
func (w *World) post(ctx context.Context, s *sending, record *Record) (Attempt, bool) {
	d := s.delivery
	h := http.Header{
		"Content-Type": {d.kind.Media},
		"User-Agent":   {"Mozilla/4.0"},
		"Accept":       {"*/*"},
		"Pragma":       {"no-cache"},
		"Request-ID":   {s.id}, // in the letters of an answer's
	}
	body, now := d.body, time.Now()
	if s.fault != nil {
		now = now.Add(-s.fault.aged)
	}
	if d.kind.Signed {
		if err := s.key.Signer().Sign(h, body, now); err != nil {
			return Attempt{Error: err.Error()}, false
		}
	}
	if s.fault != nil {
		body = s.fault.forge(h, body)
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, d.url, bytes.NewReader(body))
	if err != nil {
		return Attempt{Error: "the notification URL is not one"}, false
	}
	request.Header, request.Close = h, true
	record.Asked(request, body)

	w.journal.setSending(s.id, true)
	defer w.journal.setSending(s.id, false)
	response, err := w.client.Do(request)
	if err != nil {
		return Attempt{Error: reason(ctx, err)}, false
	}
	defer response.Body.Close()
	answer, err := io.ReadAll(io.LimitReader(response.Body, maxAnswer+1))
	record.Answered(response.StatusCode, response.Header, answer)
	a := Attempt{Status: response.StatusCode, Reply: strings.ToValidUTF8(string(answer[:min(len(answer), shownAnswer)]), "")}
	switch {
	case err != nil:
		a.Error = reason(ctx, err)
	case len(answer) > maxAnswer:
		a.Error = "the answer is longer than 64 KiB"
	default:
		a.Error = d.kind.Objection(response.StatusCode, answer)
	}
	return a, a.Error == ""
}

// reason says why there was no answer.
func reason(ctx context.Context, err error) string {
	if errors.Is(ctx.Err(), context.DeadlineExceeded) {
		return fmt.Sprintf("no answer within %v", answerTime)
	}
	if op, ok := errors.AsType[*net.OpError](err); ok {
		return op.Error()
	}
	return err.Error()
}

// A Delivery is a notification and all attempts to deliver it, at one time.
type Delivery struct {
	Number       int // notifications are counted, from 1
	ID           string
	Event        string // REFUND.SUCCESS, ...
	OutRefundNo  string
	Notification string // its kind
	URL          string
	State        string
	Fault        string    // that applied to it as a whole
	Made         time.Time // virtual
	Next         time.Time // zero: it is not sent again, or it is being sent
	Repeats      int       // how much of the schedule is used up
	HeldBack     bool      // until another notification has overtaken it
	Attempts     []Attempt
}

func (d *delivery) snapshot() Delivery {
	return Delivery{
		Number: d.number, ID: d.id, Event: d.event, OutRefundNo: d.outRefundNo, Notification: d.kind.Name, URL: d.url, State: d.state,
		Fault: d.fault, Made: d.made, Next: d.next, Repeats: d.repeats, HeldBack: d.heldBack, Attempts: append([]Attempt{}, d.attempts...),
	}
}

// Deliveries returns all, the oldest first.
func (w *World) Deliveries() []Delivery {
	w.mu.Lock()
	defer w.mu.Unlock()
	out := make([]Delivery, len(w.notifications))
	for i, d := range w.notifications {
		out[i] = d.snapshot()
	}
	return out
}

// ErrNoDelivery is for an ID that no delivery has.
var ErrNoDelivery = errors.New("sandbox: no delivery has this id")

// Resend sends a notification once more, now, and returns what has come of it.
func (w *World) Resend(ctx context.Context, id string) (Delivery, error) {
	w.mu.Lock()
	d := w.deliveries[id]
	if d == nil {
		w.mu.Unlock()
		return Delivery{}, ErrNoDelivery
	}
	s := w.startSend(d, true)
	w.mu.Unlock()
	w.send(ctx, s)
	w.mu.Lock()
	defer w.mu.Unlock()
	return d.snapshot(), nil
}
