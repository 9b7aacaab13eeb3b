//go:build heavy

package process

import (
	"context"
	"database/sql"
	"net"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	_ "modernc.org/sqlite" // to lock a ledger with
)

// silence returns the address of something that accepts connections and says
// nothing, until the test ends.
func silence(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	wg.Go(func() {
		var held []net.Conn
		for {
			c, err := l.Accept()
			if err != nil {
				break
			}
			held = append(held, c)
		}
		for _, c := range held {
			c.Close()
		}
	})
	t.Cleanup(func() { l.Close(); wg.Wait() })
	return "http://" + l.Addr().String()
}

// within runs f and wants it to take less than d.
func within[T any](t *testing.T, what string, d time.Duration, f func() T) T {
	t.Helper()
	begin := time.Now()
	got := f()
	if took := time.Since(begin); took >= d {
		t.Errorf("%s: took %v, want less than %v", what, took, d)
	}
	return got
}

// A4: a WeChat that hangs costs an answer in time, and no money.
func TestHangingUpstreamIsAnsweredInTime(t *testing.T) {
	t.Parallel()
	const deadline = 2 * time.Second
	w := NewWorld(t)
	o := w.Order(100)
	into := w.With("WXPAY_BASE_URL=" + silence(t))

	hung := StartSCF(t, Dispatcher, into)
	got := within(t, "the dispatcher on SCF", deadline, func() Reply {
		return Parse(t, hung.Invoke(Invocation{Event: RefundEvent(o, "R1", 60), Left: deadline}))
	})
	if got.Code != 503 || got.Retry != "same_number" || got.ErrCode != "SYSTEMERROR" {
		t.Errorf("refund: got %+v, want 503 and same_number", got)
	}
	hungLambda := StartLambda(t, Dispatcher, into)
	got = within(t, "the dispatcher on Lambda", deadline, func() Reply {
		return Parse(t, hungLambda.Invoke("h1", RefundEvent(o, "R2", 30), deadline))
	})
	if got.Code != 503 || got.Retry != "same_number" {
		t.Errorf("refund: got %+v, want 503 and same_number", got)
	}
	w.Later()
	timer := StartLambda(t, Reconcile, into)
	summary := within(t, "reconcile", deadline, func() string { return string(timer.Invoke("h2", `{}`, deadline)) })
	if want := `{"checked":2,"settled":0,"resubmitted":0,"released":0,"delivered":0,"remaining":0,"bills":0}`; summary != want {
		t.Errorf("reconcile: got %s, want %s", summary, want)
	}
	listener := StartSCF(t, Notify, into)
	relay := within(t, "notify", deadline, func() string {
		return string(listener.Invoke(Invocation{Event: `{"event_type":"REFUND.SUCCESS","resource":{"out_refund_no":"R1"}}`, Left: deadline}))
	})
	if !strings.HasPrefix(relay, `{"code":"FAIL"`) {
		t.Errorf("relay: got %s, want FAIL", relay)
	}

	// The claims stand, and the same calls complete them.
	f := StartSCF(t, Dispatcher, w.Env)
	if got := f.Dispatch(QueryEvent("out_trade_no", o.OutTradeNo)); got.Data.TotalRefundCount != 2 || got.Data.Refunds[0].Status != "" {
		t.Errorf("by order: got %+v, want two refunds of which WeChat has said nothing", got)
	}
	if got := f.Dispatch(RefundEvent(o, "R3", 11)); got.Code != 409 {
		t.Errorf("more than is left: got %+v, want 409", got)
	}
	for range 2 {
		for no, fen := range map[string]int64{"R1": 60, "R2": 30} {
			if got := f.Dispatch(RefundEvent(o, no, fen)); got.Code != 0 || got.Data.Status != "PROCESSING" {
				t.Errorf("%s again: got %+v, want PROCESSING", no, got)
			}
		}
	}
	if got := w.Refunds(); len(got) != 2 || w.Sum(o) != 90 {
		t.Errorf("WeChat holds %+v, want two refunds over 90 fen", got)
	}
}

// lock keeps everybody else from writing to a ledger until the returned function is called.
func lock(t *testing.T, file string) (unlock func()) {
	t.Helper()
	db, err := sql.Open("sqlite", "file:"+url.PathEscape(file))
	if err != nil {
		t.Fatal(err)
	}
	conn, err := db.Conn(t.Context())
	if err == nil {
		_, err = conn.ExecContext(t.Context(), "BEGIN EXCLUSIVE")
	}
	if err != nil {
		t.Fatal(err)
	}
	unlock = sync.OnceFunc(func() {
		if _, err := conn.ExecContext(context.Background(), "ROLLBACK"); err != nil {
			t.Error(err)
		}
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	})
	t.Cleanup(unlock)
	return unlock
}

// C19: WeChat waits five seconds for an answer. A ledger that somebody else holds is no
// reason to miss them, not even for a function that has just been started.
func TestLockedLedgerIsAnsweredInTime(t *testing.T) {
	t.Parallel()
	w := NewWorld(t)
	warm := StartPlain(t, Notify, w.Env)
	if status, body := warm.Deliver(w.SignedNotification("N1")); status != 200 {
		t.Fatalf("got %d %s, want 200", status, body)
	}
	cold := StartPlain(t, Notify, w.Env)
	l := w.SignedNotification("N2")

	unlock := lock(t, w.Ledger)
	var wg sync.WaitGroup
	for name, f := range map[string]*Plain{"warm": warm, "cold": cold} {
		wg.Go(func() {
			begin := time.Now()
			status, body := f.Deliver(l)
			if took := time.Since(begin); status != 503 || took > 4500*time.Millisecond {
				t.Errorf("%s, locked: got %d %s after %v, want 503 within 4s", name, status, body, took)
			}
		})
	}
	wg.Wait()
	unlock()
	for name, f := range map[string]*Plain{"warm": warm, "cold": cold} {
		if status, body := f.Deliver(l); status != 200 || string(body) != Acknowledged {
			t.Errorf("%s, no longer locked: got %d %s, want 200", name, status, body)
		}
	}
}
