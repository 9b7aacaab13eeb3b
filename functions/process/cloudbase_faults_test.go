//go:build heavy

package process

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"text/tabwriter"
	"time"

	"wxrefund/shared/sandbox/pgsql"
)

// writeEnv writes variables to a file, of which the last of a name counts.
func writeEnv(t *testing.T, file string, env []string) {
	t.Helper()
	var lines []string
	written := map[string]bool{}
	for _, v := range slices.Backward(env) {
		name, value, _ := strings.Cut(v, "=")
		if !written[name] {
			lines = append(lines, name+"='"+value+"'\n")
		}
		written[name] = true
	}
	if err := os.WriteFile(file, []byte(strings.Join(lines, "")), 0o600); err != nil {
		t.Fatal(err)
	}
}

// forever is more calls than any test makes.
const forever = 1_000_000

// A databaseFault is one row: a call of the database fails, in a refund and then in the
// notification of its success, and all that follow until the caller comes again, or it alone.
type databaseFault struct {
	fault pgsql.Fault
	at    int // which of the calls of a function that has just started
	on    bool

	refund, notification string // what came of the first attempt
	ok                   bool
}

// whatever becomes of a call of the database, while a refund is made and
// while its notification is settled, the refund is made once and everybody hears of it,
// whoever has to come again for it. A fault of a single call costs nobody anything.
func TestNothingIsLostOrTwiceWhereCloudBaseFails(t *testing.T) {
	t.Parallel()
	var rows []*databaseFault
	for _, fault := range pgsql.Faults() {
		for at := 1; at <= 4; at++ {
			for _, on := range []bool{false, true} {
				rows = append(rows, &databaseFault{fault: fault, at: at, on: on})
			}
		}
	}
	next := make(chan *databaseFault)
	var running sync.WaitGroup
	for range 4 { // they wait more than they work
		running.Go(func() {
			for row := range next {
				t.Run(fmt.Sprintf("%s_%d_%t", row.fault, row.at, row.on), func(t *testing.T) {
					row.run(t)
					row.ok = !t.Failed()
				})
			}
		})
	}
	for _, row := range rows {
		next <- row
	}
	close(next)
	running.Wait()
	var table strings.Builder
	w := tabwriter.NewWriter(&table, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "fault\tof call\trefund\tnotification\tok")
	for _, row := range rows {
		at := fmt.Sprint(row.at)
		if row.on {
			at += " and on"
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%t\n", row.fault, at, row.refund, row.notification, row.ok)
	}
	w.Flush()
	t.Logf("\n%s", &table)
}

func (f *databaseFault) run(t *testing.T) {
	w, c := NewWorldWithSubscribers(t), StartCloudBase(t)
	w.At(c)
	c.Migrate()
	o := w.Order(wholeFen)
	strike := func() {
		n := 1
		if f.on {
			n = forever
		}
		c.Strike(f.at, n, f.fault)
	}
	// One that answers nothing may use up the time that a caller has, and a key that is
	// refused is not shown again.
	mild := !f.on && !slices.Contains([]pgsql.Fault{pgsql.Hang, pgsql.HangAfter, pgsql.Unauthorized, pgsql.Forbidden}, f.fault)

	dispatcher := StartSCF(t, Dispatcher, w.Env)
	strike()
	got := Parse(t, dispatcher.Invoke(Invocation{Event: RefundEvent(o, theRefund, partFen), Left: 5 * time.Second}))
	f.refund = fmt.Sprint(got.Code)
	if mild && got.Code != 0 {
		t.Errorf("refund: got %+v, want it made", got)
	}
	c.Heal()
	for end := time.Now().Add(20 * time.Second); got.Code != 0; got = dispatcher.Dispatch(RefundEvent(o, theRefund, partFen)) {
		if got.Retry != "same_number" && got.Retry != "later" || time.Now().After(end) {
			t.Fatalf("refund: got %+v, want to be told to come again", got)
		}
		w.Later()
	}

	w.Post("/_sandbox/refunds/"+theRefund+"/settle", `{"status":"SUCCESS"}`)
	l := w.Inbox.Last()
	listener := StartPlain(t, Notify, w.Env)
	strike()
	status, body := listener.Deliver(l)
	f.notification = fmt.Sprint(status)
	if status != 200 && status != 503 || mild && status != 200 {
		t.Errorf("notification: got %d %s", status, body)
	}
	if status == 200 && w.entry(theRefund).State != "success" {
		t.Error("it was acknowledged, and is not in the ledger")
	}
	c.Heal()
	if status, body := listener.Deliver(l); status != 200 || string(body) != Acknowledged {
		t.Errorf("the notification again: got %d %s, want 200", status, body)
	}

	timer := StartSCF(t, Reconcile, w.Env)
	for range 5 {
		w.Later()
		timer.Invoke(Invocation{Event: `{}`, Left: 20 * time.Second})
	}
	if held := w.Refunds(); len(held) != 1 || held[0].Amount.Refund != partFen {
		t.Errorf("WeChat holds %+v, want one refund of %d", held, partFen)
	}
	e := w.holdings().balanced(t, o, theRefund)[theRefund]
	if e.State != "success" || e.count("success") != 1 || e.Request.Amount.Refund != partFen || len(e.Notices) > 0 {
		t.Errorf("the ledger holds %+v, want one success of which everybody has heard", e)
	}
	taken, ids := w.received()
	if len(ids) != 1 {
		t.Errorf("one event has the ids %v", ids)
	}
	for _, name := range subscriberNames {
		if taken[name].taken < 1 || !f.on && taken[name].taken > 2 {
			t.Errorf("%s took it %d times", name, taken[name].taken)
		}
	}
	if got := dispatcher.Dispatch(RefundEvent(o, "rest", wholeFen-partFen)); got.Code != 0 {
		t.Errorf("the rest: got %+v, want code 0", got)
	}
	if got := dispatcher.Dispatch(RefundEvent(o, "more", 1)); got.Code != 409 {
		t.Errorf("more than the rest: got %+v, want 409", got)
	}
}
