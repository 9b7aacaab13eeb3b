package sandbox_test

import (
	"context"
	"fmt"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"wxrefund/shared/sandbox"
)

// TestAdvance does a day's work in no time, in order.
func TestAdvance(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.run()
		var seen []time.Time
		w.receiver.answer = func(int, *http.Request) (*http.Response, error) {
			seen = append(seen, w.sandbox.Now()) // our side's clock when it hears of it
			return respond(503, ""), nil
		}
		w.order("T1")
		w.refund("T1", "R1")
		w.refund("T1", "R2")
		start := w.sandbox.Now()
		a := w.advance("24h10m")
		if got := w.sandbox.Now().Sub(start); got != 24*time.Hour+10*time.Minute {
			t.Errorf("the clock moved by %v", got)
		}
		if time.Since(start) > time.Second {
			t.Errorf("it took %v", time.Since(start))
		}
		if a.field("settled") != 2.0 || a.field("sent") != 32.0 || a.field("complete") != true || a.field("advanced") != "24h10m0s" {
			t.Errorf("answer %s", a.body)
		}
		if len(seen) != 32 {
			t.Fatalf("%d sends, want 32", len(seen))
		}
		for i := range seen {
			if i > 0 && seen[i].Before(seen[i-1]) {
				t.Errorf("send %d happened at %v, after one at %v", i, seen[i], seen[i-1])
			}
		}
		for _, d := range w.deliveries() {
			if d.State != "failed" || len(d.Attempts) != 16 {
				t.Errorf("delivery %+v", d)
			}
			for i := range d.Attempts[1:] {
				if got := d.Attempts[i+1].At.Sub(d.Attempts[i].At); got != repeats[i] {
					t.Errorf("repeat %d after %v, want %v", i+1, got, repeats[i])
				}
			}
		}
		// What the receiver brings about meanwhile belongs to it as well.
		w.receiver.answer = func(n int, r *http.Request) (*http.Response, error) {
			if n < 35 {
				w.refund("T1", fmt.Sprintf("N%d", n))
			}
			return respond(200, ""), nil
		}
		w.refund("T1", "R3")
		w.advance("1h")
		if d := w.deliveries(); len(d) != 6 || d[5].State != "delivered" {
			t.Errorf("deliveries %+v", d)
		}
	})
}

// TestAdvanceHangs moves the clock although nobody answers.
func TestAdvanceHangs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.run()
		w.receiver.answer = func(_ int, r *http.Request) (*http.Response, error) {
			<-r.Context().Done()
			return nil, r.Context().Err()
		}
		w.order("T1")
		w.refund("T1", "R1")
		began := time.Now()
		a := w.advance("25h")
		if took := time.Since(began); took != 80*time.Second || a.field("complete") != true {
			t.Errorf("one notification: %v, %s", took, a.body)
		}
		w.refund("T1", "R2")
		w.refund("T1", "R3")
		began, start := time.Now(), w.sandbox.Now()
		a = w.advance("25h")
		took := time.Since(began)
		if took > 95*time.Second || a.field("complete") != false || w.sandbox.Now().Sub(start) > 25*time.Hour {
			t.Errorf("two notifications: %v, %s", took, a.body)
		}
		a = w.advance("25h")
		if a.field("complete") != true {
			t.Errorf("the rest: %s", a.body)
		}
		for _, d := range w.deliveries() {
			if d.State != "failed" || len(d.Attempts) != 16 {
				t.Errorf("delivery %+v", d)
			}
		}
	})
}

// TestSpeed runs the clock faster.
func TestSpeed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, func(c *sandbox.Config) { c.Speed = 60 })
		w.run()
		start := w.sandbox.Now()
		w.order("T1")
		w.refund("T1", "R1")
		time.Sleep(5 * time.Second)
		synctest.Wait()
		if got := w.sandbox.Now().Sub(start); got != 5*time.Minute {
			t.Errorf("five seconds were %v", got)
		}
		if w.status("R1") != "SUCCESS" || len(w.receiver.received()) != 1 {
			t.Errorf("after five virtual minutes the refund is %v", w.status("R1"))
		}
		w.advance("1h")
		time.Sleep(time.Second)
		if got := w.sandbox.Now().Sub(start); got != 66*time.Minute {
			t.Errorf("the clock shows %v, want 1h6m", got)
		}
	})
}

// TestRunEnds leaves nothing behind, whatever hangs.
func TestRunEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.receiver.answer = func(_ int, r *http.Request) (*http.Response, error) {
			<-r.Context().Done()
			return nil, r.Context().Err()
		}
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan time.Time)
		go func() { w.sandbox.Run(ctx); ended <- time.Now() }()
		w.order("T1")
		for i := range 100 {
			w.refund("T1", fmt.Sprintf("R%d", i%50), 1)
		}
		time.Sleep(4 * time.Minute)
		stopped := time.Now()
		cancel()
		if got := (<-ended).Sub(stopped); got > 0 {
			t.Errorf("Run returned %v after its context", got)
		}
	})
}

// TestRotate has either key sign for a while.
func TestRotate(t *testing.T) {
	w := newWorld(t)
	w.order("T1")
	old := w.control("GET", "/_sandbox/credentials", "", 200)
	oldPublic, oldPlatform := old.field("public_key_id"), old.field("platform_serial")
	a := w.control("POST", "/_sandbox/keys/rotate", "", 200)
	now := w.control("GET", "/_sandbox/credentials", "", 200)
	newPublic, newPlatform := now.field("public_key_id"), now.field("platform_serial")
	if a.field("public_key_id") != newPublic || a.field("platform_serial") != newPlatform || newPublic == oldPublic || newPlatform == oldPlatform {
		t.Fatalf("rotated to %s, credentials show %v and %v", a.body, newPublic, newPlatform)
	}
	serials := func() (list []any) {
		data, _ := w.call("GET", "/v3/certificates", "").field("data").([]any)
		for _, d := range data {
			list = append(list, d.(map[string]any)["serial_no"])
		}
		return list
	}
	if got, want := fmt.Sprint(serials()), fmt.Sprint([]any{newPlatform, oldPlatform}); got != want {
		t.Errorf("certificates %s, want %s", got, want)
	}

	// A client that names no key gets either; one that names the old gets the old.
	w.serial = ""
	seen := map[string]int{}
	for range 40 {
		seen[w.call("GET", refundsPath+"/R1", "").header.Get("Wechatpay-Serial")]++
	}
	if len(seen) != 2 || seen[oldPlatform.(string)] < 5 || seen[newPlatform.(string)] < 5 {
		t.Errorf("replies signed by %v", seen)
	}
	w.serial = oldPublic.(string)
	if got := w.call("GET", refundsPath+"/R1", "").header.Get("Wechatpay-Serial"); got != oldPublic {
		t.Errorf("reply signed by %s, want %s", got, oldPublic)
	}
	for i := range 20 {
		w.refund("T1", fmt.Sprintf("R%d", i), 1)
	}
	w.advance("10m")
	seen = map[string]int{}
	for _, p := range w.receiver.received() {
		seen[p.header.Get("Wechatpay-Serial")]++
	}
	if len(seen) != 2 || seen[oldPublic.(string)] == 0 || seen[newPublic.(string)] == 0 {
		t.Errorf("notifications signed by %v", seen)
	}

	w.advance("170h")
	if got, want := fmt.Sprint(serials()), fmt.Sprint([]any{newPlatform}); got != want {
		t.Errorf("a week later the certificates are %s, want %s", got, want)
	}
	if got := w.call("GET", refundsPath+"/R1", "").header.Get("Wechatpay-Serial"); got != newPlatform {
		t.Errorf("a week later the old key's reply is signed by %s, want %s", got, newPlatform)
	}
}
