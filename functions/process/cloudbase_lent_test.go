//go:build heavy

package process

import (
	"strings"
	"sync"
	"testing"
)

// On SCF nobody has to set a key: the ledger is called with what the platform lends each
// request, and with nothing else. Another request's pair is never used, and one that has
// expired costs its own request alone, and no money.
func TestLedgerAtCloudBaseIsCalledWithWhatEachRequestIsLent(t *testing.T) {
	t.Parallel()
	w, c := NewWorld(t), StartCloudBase(t)
	w.At(c)
	w.Env = w.With("CLOUDBASE_APIKEY=")
	dispatcher, listener, timer := StartSCF(t, Dispatcher, w.Env), StartSCF(t, Notify, w.Env), StartSCF(t, Reconcile, w.Env)
	o := w.Order(100)
	refund := func(no string, lent map[string]string) Reply {
		return Parse(t, dispatcher.Invoke(Invocation{Event: RefundEvent(o, no, 10), Environment: lent}))
	}
	refused := func(what string, got Reply) {
		t.Helper()
		if got.Code != 503 || got.ErrCode != "SYSTEMERROR" || got.Retry != "same_number" || len(w.Refunds()) > 1 {
			t.Errorf("%s: got %+v, want 503 and same_number", what, got)
		}
	}

	// The first request of an instance, too, may have lost its pair meanwhile.
	expired := c.Lend()
	c.Expire()
	before := c.Calls()
	refused("cold, with an expired pair", refund("R1", expired))
	if n := c.Calls() - before; n > 2 { // the look, and the read that goes with it
		t.Errorf("%d calls with an expired pair, want none repeated", n)
	}
	before = c.Calls()
	refused("with nothing", refund("R1", nil))
	if n := c.Calls() - before; n != 0 {
		t.Errorf("%d calls with nothing that was lent", n)
	}
	if got := refund("R1", c.Lend()); got.Code != 0 {
		t.Errorf("with a pair: got %+v, want code 0", got)
	}
	c.Expire()
	refused("warm, with an expired pair", refund("R2", expired))
	if got := refund("R2", c.Lend()); got.Code != 0 {
		t.Errorf("with a new pair: got %+v, want code 0", got)
	}

	// Requests at once have each their own.
	good := c.Lend()
	var asking sync.WaitGroup
	for i := range 8 {
		lent, want := good, 0
		if i%2 == 1 {
			lent, want = expired, 503
		}
		asking.Go(func() {
			if got := Parse(t, dispatcher.Invoke(Invocation{Event: QueryEvent("out_trade_no", o.OutTradeNo), Environment: lent})); got.Code != want {
				t.Errorf("one of eight at once: got %+v, want code %d", got, want)
			}
		})
	}
	asking.Wait()

	// Notifications come through a gateway, and the timer by itself: they are lent one, too.
	w.Post("/_sandbox/refunds/R1/settle", `{"status":"SUCCESS"}`)
	letter := TencentGateways[0].Event(w.Inbox.Last())
	for what, lent := range map[string]map[string]string{"expired": expired, "good": good} {
		status, body := Unpack(t, listener.Invoke(Invocation{Event: letter, Environment: lent}))
		if ok := status == 200 && body == Acknowledged; ok != (what == "good") || !ok && status != 503 {
			t.Errorf("notification with a pair that is %s: got %d %s", what, status, body)
		}
		summary := string(timer.Invoke(Invocation{Event: `{}`, Environment: lent}))
		if ok := strings.HasPrefix(summary, `{"checked":`); ok != (what == "good") {
			t.Errorf("the timer with a pair that is %s: got %s", what, summary)
		}
	}
	if got := w.entry("R1"); got.State != "success" || got.count("success") != 1 || w.Sum(o) != 20 {
		t.Errorf("the ledger holds %+v, and WeChat %d fen of the order, want one success and 20", got, w.Sum(o))
	}
}
