package main

import (
	"net/http"
	"net/http/httptest"
	"slices"
	"sync"
	"testing"
)

// A receiver is the merchant's webhook.
type receiver struct {
	mu     sync.Mutex
	refuse bool
	ids    []string // of the events that came
}

// webhook has the world's subscribers be a receiver.
func (w *world) webhook() *receiver {
	r := &receiver{}
	at := httptest.NewServer(http.HandlerFunc(func(out http.ResponseWriter, in *http.Request) {
		r.mu.Lock()
		defer r.mu.Unlock()
		r.ids = append(r.ids, in.Header.Get("webhook-id"))
		if r.refuse {
			out.WriteHeader(http.StatusBadGateway)
		}
	}))
	w.t.Cleanup(at.Close)
	w.settings["NOTIFY_WEBHOOK_URL"], w.settings["NOTIFY_WEBHOOK_SECRET"] = at.URL, "whsec_MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE="
	return r
}

func (r *receiver) answer(ok bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.refuse = !ok
}

func (r *receiver) came() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([]string(nil), r.ids...)
}

// A subscriber that has had a refund is told again, under the same event id; one that does
// not answer is tried again by itself.
func TestRedeliver(t *testing.T) {
	w := newWorld(t, "apiv3", "order-1")
	r := w.webhook()
	w.operate(refundArgs("order-1", "refund-1", "-yes")...).want(codeDone)
	w.operate("redeliver", "refund-1", "-yes").want(codeFinding, "this one is processing")
	w.Control("POST", "/_sandbox/refunds/refund-1/settle", `{"status":"SUCCESS"}`, 200)
	w.operate("query", "refund-1").want(codeDone)
	w.operate("reconcile").want(codeDone, "1   events that subscribers acknowledged")
	if got := r.came(); len(got) != 1 {
		t.Fatalf("the webhook had %q, want one event", got)
	}

	o := w.operate("redeliver", "refund-1", "-to", "webhook", "-yes", "-json").want(codeDone).object()
	if o["out_refund_no"] != "refund-1" || o["due"] != 1.0 || o["delivered"] != 1.0 {
		t.Errorf("got %v", o)
	}
	if got := r.came(); len(got) != 2 || got[0] != got[1] {
		t.Errorf("the webhook had %q, want the same event twice", got)
	}
	w.operate("show", "refund-1").want(codeDone, "redelivered by operator alice: to webhook")

	r.answer(false)
	w.operate("redeliver", "refund-1", "-yes").want(codeFinding, "webhook has not acknowledged", "502")
	w.operate("list", "-undelivered").want(codeDone, "refund-1")
	w.operate("show", "refund-1").want(codeDone, "not told        webhook, since", "502")
	w.operate("redeliver", "refund-1", "-to", "nobody", "-yes").want(codeFinding, `no subscriber "nobody" is configured; known are webhook, go`)
	w.operate("redeliver", "refund-9", "-yes").want(codeFinding, "no refund refund-9 is on record here")
	w.operate("redeliver", "refund-1").want(codeFinding, "nothing was done: this would tell every subscriber of refund-1 once more; that needs -yes")
}

// Of an application as of a refund: what was given up is told again, under its id.
func TestRedeliverApplication(t *testing.T) {
	w := newWorld(t, "apiv3")
	r := w.webhook()
	r.answer(false)
	id := w.applied("order-1", 100)
	w.operate("reconcile").want(codeDone)
	w.operate("application", id).want(codeDone, "not told", "webhook, since", "502")
	w.operate("redeliver", id).want(codeFinding, "nothing was done: this would tell every subscriber of "+id+" once more")
	w.operate("redeliver", id, "-to", "webhook", "-yes").want(codeFinding, "webhook has not acknowledged", "502")
	r.answer(true)
	o := w.operate("redeliver", id, "-to", "webhook", "-yes", "-json").want(codeDone).object()
	if o["application_id"] != id || o["due"] != 1.0 || o["delivered"] != 1.0 {
		t.Errorf("got %v", o)
	}
	w.operate("redeliver", id, "-to", "webhook", "-yes").want(codeDone, "1 put back, 1 acknowledged now")
	w.operate("application", id).want(codeDone, "redelivered by operator alice: to webhook").lacks("webhook, since")
	if got := r.came(); len(got) < 4 || len(slices.Compact(got)) != 1 {
		t.Errorf("the webhook had %q, want one event again and again", got)
	}
}

// What is for the merchant's own code waits for the function that has it: a run of
// reconcile here neither tells it nor drops it.
func TestOwnCodeIsLeftToItsFunction(t *testing.T) {
	w := newWorld(t, "apiv3", "order-1")
	w.operate(refundArgs("order-1", "refund-1", "-yes")...).want(codeDone)
	w.Control("POST", "/_sandbox/refunds/refund-1/settle", `{"status":"SUCCESS"}`, 200)
	w.operate("query", "refund-1").want(codeDone)
	w.operate("reconcile").want(codeDone)
	w.operate("show", "refund-1").want(codeDone, "not told        go, since")
}
