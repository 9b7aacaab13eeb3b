// Package doortest brings any bytes to the doors of a sandbox, for their tests.
package doortest

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"wxrefund/shared/sandbox/door"
	"wxrefund/shared/sandbox/world"
)

// An Entrance is a place where foreign bytes come in.
type Entrance struct {
	Name    string
	Head    string // what comes beside the body, in a header or in the path
	Body    string // with Head, a seed that gets far
	Accepts bool   // the seed makes a refund

	// Enter returns what is wrong, or nothing. What it enters stands behind the
	// signature, which would let nothing else pass.
	Enter func(w *world.World, head string, body []byte) string
}

var keys = sync.OnceValues(world.GenerateKeys)

// World returns one with two paid orders, T1 and T00001, of 100 yuan each, and one
// refund, R0.
func World(t testing.TB) *world.World {
	t.Helper()
	k, err := keys()
	if err != nil {
		t.Fatal(err)
	}
	w, err := world.New(world.Config{Seed: 1, Pace: -1, Keys: k})
	if err != nil {
		t.Fatal(err)
	}
	for _, o := range []world.Order{
		{OutTradeNo: "T1", TransactionID: "4200000000000000000000000001", Total: 10000},
		{OutTradeNo: "T00001", Total: 10000},
	} {
		if _, err := w.Pay(o); err != nil {
			t.Fatal(err)
		}
	}
	if _, no := w.Apply(world.Application{OutTradeNo: "T1", OutRefundNo: "R0", Amount: world.ApplicationAmount{Refund: 100, Total: 10000}}, world.Caller{}); no != nil {
		t.Fatal(no)
	}
	return w
}

// Fuzz brings any bytes to every entrance: nothing panics, what is answered can be
// read, one request makes at most one refund, and no order is refunded above its total.
// The seeds get as far as they are meant to: those that apply are accepted.
func Fuzz(f *testing.F, entrances []Entrance) {
	var i uint8
	for _, e := range entrances {
		f.Add(i, e.Head, []byte(e.Body))
		i++
		w := World(f)
		e.Enter(w, e.Head, []byte(e.Body)) // what is wrong is told below
		if got := len(w.Refunds()) == 2; got != e.Accepts {
			f.Errorf("%s: a refund is accepted: %t, want %t", e.Name, got, e.Accepts)
		}
	}
	f.Fuzz(func(t *testing.T, at uint8, head string, body []byte) {
		w, e := World(t), entrances[int(at)%len(entrances)]
		if fault := e.Enter(w, head, body); fault != "" {
			t.Errorf("%s: %s", e.Name, fault)
		}
		Check(t, w)
		if n := len(w.Refunds()); n > 2 {
			t.Errorf("%s: %d refunds of one request", e.Name, n-1)
		}
	})
}

// Check finds no order of w that is refunded above its total.
func Check(t testing.TB, w *world.World) {
	t.Helper()
	for _, o := range w.ChangedSince(0).Orders {
		if o.Left < 0 {
			t.Errorf("order %s is refunded above its total", o.OutTradeNo)
		}
	}
}

// Said looks at what an endpoint says: a refusal has a sentence, and all of it can be
// written.
func Said(out door.Reply) string {
	if out.No != nil {
		if out.No.Status() < 400 || out.No.Message == "" || strings.Contains(out.No.Message, "%!") {
			return "an odd refusal: " + out.No.Message
		}
		return ""
	}
	if b, err := json.Marshal(out.Object); err != nil {
		return "an answer that is no JSON: " + string(b)
	}
	return ""
}

// Routes are those of a door.
type Routes interface{ Routes(*http.ServeMux) }

// Send sends a request to a door, from the merchant but without its signature.
func Send(w *world.World, to Routes, method, path, query string, body []byte, header ...string) string {
	r := httptest.NewRequest(method, path, strings.NewReader(string(body)))
	r.URL.RawQuery = query
	r.TLS = &tls.ConnectionState{PeerCertificates: []*x509.Certificate{w.Keys.Merchant.Cert}}
	for i := 0; i < len(header); i += 2 {
		r.Header[header[i]] = []string{header[i+1]}
	}
	mux, answer := http.NewServeMux(), httptest.NewRecorder()
	to.Routes(mux)
	mux.ServeHTTP(answer, r)
	if answer.Code >= 500 || strings.Contains(answer.Body.String(), "%!") {
		return "status " + http.StatusText(answer.Code) + ": " + answer.Body.String()
	}
	if len(w.Refunds()) > 1 {
		return "a refund without a signature"
	}
	return ""
}

// Acknowledges looks at what a kind of notification takes for an acknowledgement.
func Acknowledges(kind world.NotificationKind, answer []byte) string {
	for _, status := range []int{200, 204, 500} {
		if why := kind.Objection(status, answer); status == 500 && why == "" {
			return kind.Name + " takes a 500 for an acknowledgement"
		}
	}
	return ""
}
