package refund_test

import (
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"wxrefund/shared/refund"
)

// A8: one intent is one number, however often it is sent; two intended partial
// refunds are two numbers and both happen.
func TestA8OneIntentIsOneNumber(t *testing.T) {
	f := setUp(t)
	var wg sync.WaitGroup
	for _, no := range []string{"line-1", "line-1", "line-2", "line-1", "line-2"} {
		wg.Go(func() {
			if _, err := f.Refund(t.Context(), server, request(no, 30)); err != nil {
				t.Errorf("%s: %v", no, err)
			}
		})
	}
	wg.Wait()
	if n := len(f.up.refunds); n != 2 {
		t.Errorf("%d refunds upstream, want 2", n)
	}
	if a, b := f.up.count("refund:line-1"), f.up.count("refund:line-2"); a != 1 || b != 1 {
		t.Errorf("%d and %d submissions, want one each", a, b)
	}
}

// A11: an upstream that limits at random, far below its limits: everything
// finishes under its own number, and nothing is hammered.
func TestA11FrequencyLimitedAtRandom(t *testing.T) {
	f := setUp(t)
	advance := f.clocked()
	r := rand.New(rand.NewPCG(1, 11))
	var mu sync.Mutex
	f.up.before = func(refund.Request) error {
		mu.Lock()
		defer mu.Unlock()
		if r.IntN(20) == 0 {
			return &refund.Error{Code: refund.CodeUnavailable, Next: refund.Later, Upstream: "FREQUENCY_LIMITED", RetryAfter: time.Minute, Message: "limited"}
		}
		return nil
	}
	const n = 50
	limited := 0
	for i := range n {
		if _, err := f.Refund(t.Context(), server, request(number(i), 2)); err != nil {
			limited++
			if e := refund.AsError(err); e.Next != refund.Later || e.RetryAfter != time.Minute {
				t.Errorf("%s: %+v, want later, after a minute", number(i), e)
			}
		}
	}
	if limited == 0 {
		t.Fatal("nobody was limited")
	}
	f.reconcile(t) // at once: too early for any of them
	if got := f.up.total(); got != n {
		t.Errorf("%d calls, want %d: somebody was hammered", got, n)
	}
	for range 10 {
		advance(time.Minute)
		f.reconcile(t)
	}
	for i := range n {
		if got := f.up.refunds[number(i)].Status; got != refund.StatusProcessing {
			t.Errorf("%s is %q upstream", number(i), got)
		}
	}
}

// A15: a lease ends, even if the clock steps back behind it.
func TestA15LeaseOfAClockThatStepsBack(t *testing.T) {
	f := setUp(t)
	advance := f.clocked()
	f.up.before = func(refund.Request) error { panic("killed") }
	func() {
		defer func() { _ = recover() }()
		_, _ = f.Refund(t.Context(), server, request("R1", 60))
	}()
	f.up.before = nil
	advance(-time.Hour)
	if got := f.must(t, request("R1", 60)); got.Status != refund.StatusProcessing {
		t.Errorf("resumed: %s", got.Status)
	}
}

// A16: the ledger never forgets a number; nothing that holds money expires.
func TestA16TheNumberIsNeverForgotten(t *testing.T) {
	f := setUp(t)
	advance := f.clocked()
	f.must(t, request("R1", 60))
	if _, err := f.Settle(t.Context(), notification("R1", 60, refund.StatusSuccess)); err != nil {
		t.Fatal(err)
	}
	for _, later := range []time.Duration{24 * time.Hour, 30 * 24 * time.Hour, 5 * 365 * 24 * time.Hour} {
		advance(later)
		f.reconcile(t)
		if got := f.must(t, request("R1", 60)); got.Status != refund.StatusSuccess {
			t.Errorf("after %v: %s", later, got.Status)
		}
		_, err := f.Refund(t.Context(), server, request("R1", 40))
		wantCode(t, err, refund.CodeConflict, refund.Never)
	}
	if n := f.up.count("refund:R1"); n != 1 {
		t.Errorf("%d submissions, want 1", n)
	}
}
