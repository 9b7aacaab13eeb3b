//go:build heavy

package process

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"wxrefund/shared/sandbox/pgsql"
)

// C18: whatever befalls the calls of a ledger at CloudBase, once or for a while, each
// refund is made once, each notification has one effect, each subscriber is told, and who
// calls meanwhile gets one answer that says what to do.
func TestFaultsOfCloudBaseCostNoMoneyAndNoEvent(t *testing.T) {
	t.Parallel()
	next := make(chan pgsql.Fault)
	var running sync.WaitGroup
	for range 6 { // they wait more than they work
		running.Go(func() {
			for fault := range next {
				t.Run(string(fault), func(t *testing.T) { newFaultWorld(t, fault).run() })
			}
		})
	}
	for _, fault := range pgsql.Faults() {
		next <- fault
	}
	close(next)
	running.Wait()
}

// A faultWorld has the three functions, and a ledger that suffers one fault.
type faultWorld struct {
	*World
	t          *testing.T
	cloudBase  *CloudBase
	fault      pgsql.Fault
	dispatcher *SCF
	listener   *Plain
	timer      *SCF
	orders     map[string]Order // by the number of their refund
}

func newFaultWorld(t *testing.T, fault pgsql.Fault) *faultWorld {
	t.Helper()
	w := &faultWorld{World: NewWorldWithSubscribers(t), t: t, cloudBase: StartCloudBase(t), fault: fault, orders: map[string]Order{}}
	w.At(w.cloudBase)
	w.dispatcher, w.listener, w.timer = StartSCF(t, Dispatcher, w.Env), StartPlain(t, Notify, w.Env), StartSCF(t, Reconcile, w.Env)
	return w
}

// passes tells whether a single call that suffers the fault is none the worse: it is
// repeated, as every one is whose repeat may succeed.
func (w *faultWorld) passes() bool {
	return w.fault != pgsql.Unauthorized && w.fault != pgsql.Forbidden
}

func (w *faultWorld) run() {
	w.t.Helper()
	// Everybody is awake, and has a ledger.
	w.refund("before", ample)
	w.notify("before", w.notification("before"), true)
	w.reconcile()

	// Each call of a refund suffers the fault once.
	var all []string
	for i := range 6 {
		no := fmt.Sprint("R", i)
		all = append(all, no)
		w.cloudBase.Strike(i+1, 1, w.fault)
		if got := w.refund(no, ample); w.passes() && got.Code != 0 {
			w.t.Errorf("%s: its call %d failed once: got %+v, want code 0", no, i+1, got)
		}
		w.cloudBase.Heal()
	}
	// All of them do, for a while. Nobody hangs, and nobody says what is not so.
	outage := w.notificationOf("before")
	w.cloudBase.Strike(1, 1_000_000, w.fault)
	all = append(all, "outage")
	if got := within(w.t, "a refund", 5*time.Second, func() Reply { return w.refund("outage", 5*time.Second) }); got.Code != 503 {
		w.t.Errorf("no call comes through: got %+v, want code 503", got)
	}
	w.notify("before", outage, false)
	if got := string(w.timer.Invoke(Invocation{Event: `{}`, Left: 5 * time.Second})); !strings.HasPrefix(got, `{"error":"the ledger did not answer`) {
		w.t.Errorf("the timer: got %s, want an error", got)
	}
	w.cloudBase.Heal()
	w.notify("before", outage, true)
	w.Later()                // who lost his claim's answer has left it under way
	for _, no := range all { // whoever was refused repeats
		if got := w.refund(no, ample); got.Code != 0 {
			w.t.Errorf("%s, no longer struck: got %+v, want code 0", no, got)
		}
	}

	// Notifications come all at once, and some of their calls suffer the fault.
	letters := map[string]Notification{}
	for _, no := range all[:4] {
		letters[no] = w.notification(no)
	}
	w.strikeSome()
	w.notifyAll(letters)
	w.cloudBase.Heal()
	for no, l := range letters { // what was refused comes again
		w.notify(no, l, true)
	}
	// The others WeChat only settles. The timer's calls suffer the fault, too.
	for _, no := range all[4:] {
		w.settle(no)
	}
	w.Later()
	w.strikeSome()
	w.timer.Invoke(Invocation{Event: `{}`, Left: 30 * time.Second})
	w.cloudBase.Heal()

	for range 6 {
		w.Later()
		if w.reconcile(); !slices.ContainsFunc(all, func(no string) bool { e := w.entry(no); return e.State != "success" || len(e.Notices) > 0 }) {
			break
		}
	}
	w.check(append(all, "before"))
}

// strikeSome has the fault strike one call in five from now on.
func (w *faultWorld) strikeSome() {
	for i := range 200 {
		w.cloudBase.Strike(1+5*i, 1, w.fault)
	}
}

// refund asks for a refund of 60 fen of an order of its own; again, if that was asked for
// before. The answer is a refund, or says that the same may be asked for again.
func (w *faultWorld) refund(no string, left time.Duration) Reply {
	w.t.Helper()
	o, ok := w.orders[no]
	if !ok {
		o = w.Order(100)
		w.orders[no] = o
	}
	got := Parse(w.t, w.dispatcher.Invoke(Invocation{Event: RefundEvent(o, no, 60), Left: left}))
	if got.Code == 0 && got.Data.OutRefundNo == no {
		return got
	}
	if got.Code != 503 || got.ErrCode != "SYSTEMERROR" || got.Message == "" || got.Retry != "same_number" && got.Retry != "later" {
		w.t.Errorf("%s: got %+v, want a refund or one clear error", no, got)
	}
	return got
}

// settle has WeChat complete a refund.
func (w *faultWorld) settle(no string) {
	w.t.Helper()
	w.Post("/_sandbox/refunds/"+no+"/settle", `{"status":"SUCCESS"}`)
}

// notification has WeChat complete a refund and returns the letter.
func (w *faultWorld) notification(no string) Notification {
	w.t.Helper()
	w.settle(no)
	return w.Inbox.Last()
}

// notificationOf has WeChat write of it again.
func (w *faultWorld) notificationOf(no string) Notification {
	w.t.Helper()
	w.Post("/_sandbox/deliveries/"+w.Deliveries(no)[0].ID+"/resend", "")
	return w.Inbox.Last()
}

// notify brings a letter, which is acknowledged within the time that WeChat waits, or
// refused so that it comes again.
func (w *faultWorld) notify(no string, l Notification, acknowledged bool) {
	w.t.Helper()
	begin := time.Now()
	status, body := w.listener.Deliver(l)
	if took := time.Since(begin); took > 4500*time.Millisecond {
		w.t.Errorf("notification of %s: took %v, want less than WeChat waits", no, took)
	}
	if ok := status == http.StatusOK && string(body) == Acknowledged; ok != acknowledged || !ok && status != 503 {
		w.t.Errorf("notification of %s: got %d %s, want it acknowledged: %t", no, status, body, acknowledged)
	}
}

// notifyAll brings many at once. What was acknowledged is in the ledger.
func (w *faultWorld) notifyAll(letters map[string]Notification) {
	w.t.Helper()
	var bringing sync.WaitGroup
	for no, l := range letters {
		bringing.Go(func() {
			status, body := w.listener.Deliver(l)
			ok := status == http.StatusOK && string(body) == Acknowledged
			if !ok && status != 503 {
				w.t.Errorf("notification of %s: got %d %s, want 200 or 503", no, status, body)
			}
			if got := w.entry(no).State; ok && got != "success" {
				w.t.Errorf("notification of %s: acknowledged, and the ledger says %q", no, got)
			}
		})
	}
	bringing.Wait()
}

// reconcile runs the timer, which has nothing to complain of.
func (w *faultWorld) reconcile() {
	w.t.Helper()
	if got := string(w.timer.Invoke(Invocation{Event: `{}`, Left: 30 * time.Second})); !strings.HasPrefix(got, `{"checked":`) {
		w.t.Errorf("the timer: got %s, want a summary", got)
	}
}

// check wants every refund made once, on record as WeChat holds it, and told of: what is on
// record as told is not told again.
func (w *faultWorld) check(all []string) {
	w.t.Helper()
	held := map[string][]Refund{}
	for _, r := range w.Refunds() {
		held[r.OutRefundNo] = append(held[r.OutRefundNo], r)
	}
	heard := w.heard()
	for _, no := range all {
		if r := held[no]; len(r) != 1 || w.Sum(w.orders[no]) != 60 {
			w.t.Errorf("%s: WeChat holds %+v, want it once", no, r)
		}
		e := w.entry(no)
		if e.State != "success" || e.count("success") != 1 || e.Held != 60 {
			w.t.Errorf("%s: the ledger holds %+v, want one success", no, e)
		}
		if len(e.Notices) > 0 {
			w.t.Errorf("%s: still owed: %+v", no, e.Notices)
		}
		ids := map[string]bool{}
		for _, name := range subscriberNames {
			taken := 0
			for _, h := range heard[name] {
				if h.OutRefundNo == no {
					ids[h.ID] = true
					if h.Taken {
						taken++
					}
				}
			}
			// Who has taken it is told again where that could not be written down.
			if taken == 0 {
				w.t.Errorf("%s has never taken %s", name, no)
			}
		}
		if len(ids) != 1 {
			w.t.Errorf("%s: its event has the ids %v", no, ids)
		}
	}
	w.Later()
	w.reconcile()
	if diff := cmp.Diff(heard, w.heard()); diff != "" {
		w.t.Errorf("told of what was on record as told (-before +after):\n%s", diff)
	}
}

// heard is what each subscriber has received.
func (w *World) heard() map[string][]hearing {
	w.t.Helper()
	var answer struct {
		Subscribers []struct {
			Name  string
			Heard []hearing
		}
	}
	Decode(w.t, w.Get("/_sandbox/subscribers"), &answer)
	all := map[string][]hearing{}
	for _, s := range answer.Subscribers {
		all[s.Name] = s.Heard
	}
	return all
}

// A hearing is one event as a subscriber received it.
type hearing struct {
	ID          string
	OutRefundNo string `json:"out_refund_no"`
	Taken       bool
}
