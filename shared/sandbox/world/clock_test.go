package world_test

import (
	"context"
	"fmt"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"wxrefund/shared/sandbox"
	"wxrefund/shared/sandbox/sandboxtest"
)

func TestAdvanceDoesWhatIsDueInItsOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := sandboxtest.New(t)
		w.Run()
		var seen []time.Time
		w.Receiver.Answer = func(int, *http.Request) (*http.Response, error) {
			seen = append(seen, w.Sandbox.Now()) // the merchant's clock when the notification comes
			return sandboxtest.Respond(503, ""), nil
		}
		w.Order("T1")
		w.Refund("T1", "R1")
		w.Refund("T1", "R2")
		start := w.Sandbox.Now()
		a := w.Advance("24h10m")
		if got := w.Sandbox.Now().Sub(start); got != 24*time.Hour+10*time.Minute {
			t.Errorf("the clock moved by %v", got)
		}
		if time.Since(start) > time.Second {
			t.Errorf("it took %v", time.Since(start))
		}
		if a.Field("settled") != 2.0 || a.Field("sent") != 32.0 || a.Field("complete") != true || a.Field("advanced") != "24h10m0s" {
			t.Errorf("answer %s", a.Body)
		}
		if len(seen) != 32 {
			t.Fatalf("%d sends, want 32", len(seen))
		}
		for i := range seen {
			if i > 0 && seen[i].Before(seen[i-1]) {
				t.Errorf("send %d happened at %v, after one at %v", i, seen[i], seen[i-1])
			}
		}
		for _, d := range w.Deliveries() {
			if d.State != "failed" || len(d.Attempts) != 16 {
				t.Errorf("delivery %+v", d)
			}
			for i := range d.Attempts[1:] {
				if got := d.Attempts[i+1].At.Sub(d.Attempts[i].At); got != sandboxtest.Schedule[i] {
					t.Errorf("repeat %d after %v, want %v", i+1, got, sandboxtest.Schedule[i])
				}
			}
		}
		// What the receiver brings about meanwhile belongs to it as well.
		w.Receiver.Answer = func(n int, r *http.Request) (*http.Response, error) {
			if n < 35 {
				w.Refund("T1", fmt.Sprintf("N%d", n))
			}
			return sandboxtest.Respond(200, ""), nil
		}
		w.Refund("T1", "R3")
		w.Advance("1h")
		if d := w.Deliveries(); len(d) != 6 || d[5].State != "delivered" {
			t.Errorf("deliveries %+v", d)
		}
	})
}

func TestAdvanceGoesOnThoughReceiversHang(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := sandboxtest.New(t)
		w.Run()
		w.Receiver.Answer = func(_ int, r *http.Request) (*http.Response, error) {
			<-r.Context().Done()
			return nil, r.Context().Err()
		}
		w.Order("T1")
		w.Refund("T1", "R1")
		began := time.Now()
		a := w.Advance("25h")
		if took := time.Since(began); took != 80*time.Second || a.Field("complete") != true {
			t.Errorf("one notification: %v, %s", took, a.Body)
		}
		w.Refund("T1", "R2")
		w.Refund("T1", "R3")
		began, start := time.Now(), w.Sandbox.Now()
		a = w.Advance("25h")
		took := time.Since(began)
		if took > 95*time.Second || a.Field("complete") != false || w.Sandbox.Now().Sub(start) > 25*time.Hour {
			t.Errorf("two notifications: %v, %s", took, a.Body)
		}
		a = w.Advance("25h")
		if a.Field("complete") != true {
			t.Errorf("the rest: %s", a.Body)
		}
		for _, d := range w.Deliveries() {
			if d.State != "failed" || len(d.Attempts) != 16 {
				t.Errorf("delivery %+v", d)
			}
		}
	})
}

func TestTheVirtualClockRunsFaster(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := sandboxtest.New(t, func(c *sandbox.Config) { c.Speed = 60 })
		w.Run()
		start := w.Sandbox.Now()
		w.Order("T1")
		w.Refund("T1", "R1")
		time.Sleep(5 * time.Second)
		synctest.Wait()
		if got := w.Sandbox.Now().Sub(start); got != 5*time.Minute {
			t.Errorf("five seconds were %v", got)
		}
		if w.Status("R1") != "SUCCESS" || len(w.Receiver.Received()) != 1 {
			t.Errorf("after five virtual minutes the refund is %v", w.Status("R1"))
		}
		w.Advance("1h")
		time.Sleep(time.Second)
		if got := w.Sandbox.Now().Sub(start); got != 66*time.Minute {
			t.Errorf("the clock shows %v, want 1h6m", got)
		}
	})
}

func TestRunLeavesNothingBehind(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := sandboxtest.New(t)
		w.Receiver.Answer = func(_ int, r *http.Request) (*http.Response, error) {
			<-r.Context().Done()
			return nil, r.Context().Err()
		}
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan time.Time)
		go func() { w.Sandbox.Run(ctx); ended <- time.Now() }()
		w.Order("T1")
		for i := range 100 {
			w.Refund("T1", fmt.Sprintf("R%d", i%50), 1)
		}
		time.Sleep(4 * time.Minute)
		stopped := time.Now()
		cancel()
		if got := (<-ended).Sub(stopped); got > 0 {
			t.Errorf("Run returned %v after its context", got)
		}
	})
}

func TestOldAndNewKeysBothSignForAWeek(t *testing.T) {
	w := sandboxtest.New(t)
	w.Order("T1")
	old := w.Control("GET", "/_sandbox/credentials", "", 200)
	oldPublic, oldPlatform := old.Field("public_key_id"), old.Field("platform_serial")
	a := w.Control("POST", "/_sandbox/keys/rotate", "", 200)
	now := w.Control("GET", "/_sandbox/credentials", "", 200)
	newPublic, newPlatform := now.Field("public_key_id"), now.Field("platform_serial")
	if a.Field("public_key_id") != newPublic || a.Field("platform_serial") != newPlatform || newPublic == oldPublic || newPlatform == oldPlatform {
		t.Fatalf("rotated to %s, credentials show %v and %v", a.Body, newPublic, newPlatform)
	}
	serials := func() (list []any) {
		data, _ := w.Call("GET", "/v3/certificates", "").Field("data").([]any)
		for _, d := range data {
			list = append(list, d.(map[string]any)["serial_no"])
		}
		return list
	}
	if got, want := fmt.Sprint(serials()), fmt.Sprint([]any{newPlatform, oldPlatform}); got != want {
		t.Errorf("certificates %s, want %s", got, want)
	}

	// A client that names no key gets either; one that names the old gets the old.
	w.Serial = ""
	seen := map[string]int{}
	for range 40 {
		seen[w.Call("GET", sandboxtest.RefundsPath+"/R1", "").Header.Get("Wechatpay-Serial")]++
	}
	if len(seen) != 2 || seen[oldPlatform.(string)] < 5 || seen[newPlatform.(string)] < 5 {
		t.Errorf("replies signed by %v", seen)
	}
	w.Serial = oldPublic.(string)
	if got := w.Call("GET", sandboxtest.RefundsPath+"/R1", "").Header.Get("Wechatpay-Serial"); got != oldPublic {
		t.Errorf("reply signed by %s, want %s", got, oldPublic)
	}
	w.Control("POST", "/_sandbox/keys/share", `{"percent":100}`, 200)
	for i := range 20 {
		w.Refund("T1", fmt.Sprintf("R%d", i), 1)
	}
	w.Advance("10m")
	seen = map[string]int{}
	for _, p := range w.Receiver.Received() {
		seen[p.Header.Get("Wechatpay-Serial")]++
	}
	if len(seen) != 2 || seen[oldPublic.(string)] == 0 || seen[newPublic.(string)] == 0 {
		t.Errorf("notifications signed by %v", seen)
	}

	w.Advance("170h")
	if got, want := fmt.Sprint(serials()), fmt.Sprint([]any{newPlatform}); got != want {
		t.Errorf("a week later the certificates are %s, want %s", got, want)
	}
	if got := w.Call("GET", sandboxtest.RefundsPath+"/R1", "").Header.Get("Wechatpay-Serial"); got != newPlatform {
		t.Errorf("a week later the old key's reply is signed by %s, want %s", got, newPlatform)
	}
}
