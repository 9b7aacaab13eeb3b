//go:build heavy

package process

import (
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"syscall"
	"testing"
	"text/tabwriter"

	ours "wxrefund/shared/refund"
)

// The people of these rows. The order is the buyer's; each operator may refund twentyFen of
// it alone.
const (
	theBuyer    = "oBuyer"
	theOperator = Operator
	another     = "oOperatorB"
	twentyFen   = 20
	fortyFen    = 40
)

// What people call for.
const (
	applying  = "apply"         // the buyer, for forty
	large     = "apply for all" // the buyer, for more than is given at once
	approving = "approve"       // an operator, the one application that there is
	agreeing  = "approve too"   // the other operator
	proposing = "large refund"  // an operator, what needs another
	finishing = "finish"        // an operator, the refund whose bank has refused it
)

// diesAt stands between what was called for and where the process died of it.
const diesAt = ", dies at "

// An applicationCrash is one row: a process dies at a point, having been called for
// something, and others go on one after the other.
type applicationCrash struct {
	at     string
	before []string // what was called for and answered before
	during string
	next   []string
	sum    int64  // what WeChat has refunded then, in one refund
	state  string // of the application then; "": there is none
}

// Wherever a process dies that applies, decides, proposes, takes up or finishes: there is one
// application, it is refunded once, and only if it was decided.
func TestKilledDecisionsRefundOnce(t *testing.T) {
	t.Parallel()
	rows := applicationCrashes()
	lines := make([]string, len(rows))
	t.Run("rows", func(t *testing.T) {
		for i, row := range rows {
			t.Run(strings.ReplaceAll(row.at+" "+row.during+" "+strings.Join(row.next, ", "), " ", "_"), func(t *testing.T) {
				if i%2 == 1 {
					t.Parallel()
				}
				lines[i] = row.run(t)
			})
		}
	})
	var table strings.Builder
	out := tabwriter.NewWriter(&table, 0, 0, 2, ' ', 0)
	fmt.Fprintln(out, "point\tbefore\tdied during\twent on\tapplication\trefunded\tok")
	for _, l := range lines {
		fmt.Fprintln(out, l)
	}
	out.Flush()
	t.Logf("\n%s", &table)
}

func applicationCrashes() (rows []applicationCrash) {
	pending, approved := "PENDING", "APPROVED"
	// A buyer applies for what is given at once: before the commit nothing has happened.
	for _, at := range []string{"order.asked", "apply.before"} {
		rows = append(rows,
			applicationCrash{at: at, during: applying, next: []string{timing}},
			applicationCrash{at: at, during: applying, next: []string{applying}, sum: fortyFen, state: approved},
			applicationCrash{at: at, during: large, next: []string{large}, state: pending},
		)
	}
	// After it, whoever comes goes on with that one application.
	for _, at := range []string{"apply.after", "claim.before", "claim.after", "call.after", "settle.before", "settle.after"} {
		for _, next := range [][]string{{timing}, {applying, timing}, {approving}} {
			rows = append(rows, applicationCrash{at: at, during: applying, next: next, sum: fortyFen, state: approved})
		}
	}
	// An operator approves: before the commit it waits, and after it is refunded.
	for _, next := range [][]string{{timing}, {approving}, {agreeing, approving}} {
		row := applicationCrash{at: "approve.before", before: []string{large}, during: approving, next: next, sum: wholeFen, state: approved}
		if next[0] == timing {
			row.sum, row.state = 0, pending
		}
		rows = append(rows, row)
		for _, at := range []string{"approve.after", "claim.before", "claim.after", "call.after", "settle.before", "settle.after"} {
			row.at, row.sum, row.state = at, wholeFen, approved
			rows = append(rows, row)
		}
	}
	// The timer takes up what was approved, and dies.
	for _, next := range [][]string{{timing}, {approving}, {large, timing}} {
		rows = append(rows, applicationCrash{at: "application.taken", before: []string{large, approving + diesAt + "approve.after"}, during: timing, next: next, sum: wholeFen, state: approved})
	}
	// An operator refunds more than he may alone.
	for _, at := range []string{"order.asked", "propose.before"} {
		rows = append(rows,
			applicationCrash{at: at, during: proposing, next: []string{timing}},
			applicationCrash{at: at, during: proposing, next: []string{proposing, timing}, state: pending},
			applicationCrash{at: at, during: proposing, next: []string{proposing, agreeing}, sum: wholeFen, state: approved},
		)
	}
	for _, next := range [][]string{{timing}, {proposing, timing}, {agreeing}} {
		rows = append(rows, applicationCrash{at: "approve.after", before: []string{proposing}, during: agreeing, next: next, sum: wholeFen, state: approved})
	}
	return rows
}

// shopWorld is a world in which buyers apply and operators decide.
func shopWorld(t *testing.T) (*crashCase, string) {
	w := NewWorld(t)
	w.Env = append(w.Env, "REFUND_OPERATORS="+theOperator+","+another, "REFUND_SELF=auto", fmt.Sprintf("REFUND_SELF_FEN=%d", fortyFen),
		fmt.Sprintf("REFUND_APPROVAL_FEN=%d", twentyFen))
	p := &crashCase{World: w, fen: partFen}
	Decode(t, w.Post("/_sandbox/orders", fmt.Sprintf(`{"total":%d,"openid":%q}`, wholeFen, theBuyer)), &p.order)
	return p, w.Variables()["WXPAY_APPID"]
}

func (row applicationCrash) run(t *testing.T) string {
	t.Helper()
	p, app := shopWorld(t)
	for _, what := range row.before {
		who, at, _ := strings.Cut(what, diesAt)
		p.asks(app, who, at)
	}
	if row.during == timing {
		p.Later()
	}
	p.asks(app, row.during, row.at)
	for _, next := range row.next {
		p.Later()
		p.asks(app, next, "")
	}
	applications := p.applications()
	var sum int64
	for _, r := range p.Refunds() {
		sum += r.Amount.Refund
	}
	state := ""
	for _, a := range applications {
		state = a.State
	}
	ok := len(applications) == min(len(row.state), 1) && state == row.state && sum == row.sum && len(p.Refunds()) == min(int(row.sum), 1)
	if !ok {
		t.Errorf("%+v and %+v at WeChat, want %q and one refund of %d", applications, p.Refunds(), row.state, row.sum)
	}
	if row.sum > 0 { // and it is followed to its end
		p.Post("/_sandbox/refunds/"+p.Refunds()[0].OutRefundNo+"/settle", `{"status":"SUCCESS"}`)
		for range 3 {
			p.Later()
			p.asks(app, timing, "")
		}
		if got := p.applications(); len(got) != 1 || got[0].State != "REFUNDED" || len(p.Refunds()) != 1 {
			ok = false
			t.Errorf("in the end: %+v and %+v at WeChat, want it refunded once", got, p.Refunds())
		}
	}
	return fmt.Sprintf("%s\t%s\t%s\t%s\t%s\t%d\t%t", row.at, strings.Join(row.before, ", "), row.during, strings.Join(row.next, ", "), state, sum, ok)
}

// asks has a new process do something for somebody. at is where it dies; "": it answers.
func (p *crashCase) asks(app, what, at string) {
	p.t.Helper()
	var env []string
	if at != "" {
		env = append(env, "CRASH_AT="+at)
	}
	if what == timing {
		f := p.onLambda(Reconcile, env...)
		answer, err := f.Try(`{}`, ample)
		p.ends(f.Process, what, at, answer, err)
		return
	}
	who, event := p.wants(what)
	port := FreePort(p.t)
	f := DialSCF(p.t, p.startCrashable(Dispatcher, append(env, "_LAMBDA_SERVER_PORT="+port, "TENCENTCLOUD_RUNENV=SCF")...), port)
	user := User(who, "wx_client")
	user["WX_APPID"] = app
	answer, err := f.Send(Invocation{Event: event, Environment: user})
	p.ends(f.Process, what, at, string(answer), err)
}

// ends checks that a process has died where it should, or has answered.
func (p *crashCase) ends(process *Process, what, at, answer string, err error) {
	p.t.Helper()
	if at == "" {
		var r Reply
		if err != nil {
			p.t.Fatalf("%s: %v", what, err)
		}
		if err := json.Unmarshal([]byte(answer), &r); err != nil || r.Code != 0 && r.Code != 202 {
			p.t.Errorf("%s: got %s, want code 0 or 202", what, answer)
		}
		return
	}
	if err == nil {
		p.t.Fatalf("%s did not die at %s but answered: %s", what, at, answer)
	}
	Await(p.t, "the death of it", func() bool { return !process.Running() })
	if s, ok := process.Cmd.ProcessState.Sys().(syscall.WaitStatus); !ok || s.Signal() != syscall.SIGKILL {
		p.t.Errorf("%s ended with %v, want it killed", what, process.Cmd.ProcessState)
	}
}

// wants is who calls for something, and with which event.
func (p *crashCase) wants(what string) (who, event string) {
	p.t.Helper()
	id := ""
	for _, a := range p.applications() {
		id = a.ID
	}
	switch what {
	case applying:
		return theBuyer, fmt.Sprintf(`{"type":"wxpay_refund_apply","out_trade_no":%q,"reason":"broken","amount":{"refund":%d}}`, p.order.OutTradeNo, fortyFen)
	case large:
		return theBuyer, fmt.Sprintf(`{"type":"wxpay_refund_apply","out_trade_no":%q,"reason":"broken"}`, p.order.OutTradeNo)
	case approving:
		return theOperator, fmt.Sprintf(`{"type":"wxpay_refund_approve","application_id":%q}`, id)
	case agreeing:
		return another, fmt.Sprintf(`{"type":"wxpay_refund_approve","application_id":%q}`, id)
	case finishing:
		return theOperator, fmt.Sprintf(`{"type":"wxpay_refund_abnormal","data":{"out_refund_no":%q,"type":"USER_BANK_CARD","bank_type":"ICBC_DEBIT","bank_account":"6222020000001234567","real_name":"Li"}}`, theRefund)
	case proposing:
		return theOperator, RefundEvent(p.order, theRefund, wholeFen)
	}
	p.t.Fatalf("nothing is called %q", what)
	return "", ""
}

// An applied is what the ledger holds of an application.
type applied struct{ ID, State string }

// applications are all that the ledger holds, as it is: nobody who looks mends anything.
func (p *crashCase) applications() (all []applied) {
	p.t.Helper()
	if _, err := os.Stat(p.Ledger); os.IsNotExist(err) { // nobody has opened it yet
		return nil
	}
	store := p.asLeft().Store()
	defer store.Close()
	items, _, err := store.List(p.t.Context(), ours.Everything(), "", 1000)
	if err != nil {
		p.t.Fatal(err)
	}
	for _, it := range items {
		if strings.HasPrefix(string(it.Key), "application/") {
			var a applied
			Decode(p.t, it.Body, &a)
			all = append(all, a)
		}
	}
	return all
}

// Wherever a process dies that sends an abnormal refund's money elsewhere: it is sent once.
// Whoever comes after one of whom nobody knows whether he has sent it waits, or is told that
// it is on its way already.
func TestKilledFinishersSendElsewhereOnce(t *testing.T) {
	t.Parallel()
	for _, row := range []struct {
		at          string
		soon, later int // what the next is answered, at once and when nothing can be on its way
	}{
		{"finish.before", 0, 409},
		{"finish.after", 409, 0},
		{"finish.called", 409, 409},
	} {
		t.Run(row.at, func(t *testing.T) {
			p, app := shopWorld(t)
			p.onLambda(Dispatcher).Ask(RefundEvent(p.order, theRefund, partFen))
			p.Post("/_sandbox/refunds/"+theRefund+"/settle", `{"status":"ABNORMAL"}`)
			p.asks(app, finishing, row.at)
			finish := func(want int) {
				t.Helper()
				f := StartSCF(t, Dispatcher, p.Env)
				user := User(another, "wx_client")
				user["WX_APPID"] = app
				_, event := p.wants(finishing)
				if got := Parse(t, f.Invoke(Invocation{Event: event, Environment: user})); got.Code != want {
					t.Errorf("finishing again: got %+v, want code %d", got, want)
				}
			}
			finish(row.soon)
			p.Later()
			finish(row.later)
			if r := p.Refunds(); len(r) != 1 || r[0].Status != "PROCESSING" {
				t.Errorf("WeChat holds %+v, want one that goes on", r)
			}
			p.Post("/_sandbox/refunds/"+theRefund+"/settle", `{"status":"SUCCESS"}`)
			p.Later()
			p.asks(app, timing, "")
			if got := p.entry(theRefund); got.State != "success" || strings.Contains(string(p.Stored(theRefund).Body), "6222020000001234567") {
				t.Errorf("the ledger holds %+v, want success, and no card", got)
			}
		})
	}
}
