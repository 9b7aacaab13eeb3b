//go:build heavy

package process

import (
	"database/sql"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"text/tabwriter"
	"time"

	_ "modernc.org/sqlite" // to examine a ledger with
)

var kills = flag.Int("kills", 6, "how often to kill a dispatcher at a random instant")

// A process of ours kills itself at a point that is named in
// the code, or is killed while WeChat is silent; then somebody goes on who knows
// nothing of it. In the end WeChat holds the refund once, and the ledger says
// what WeChat says. Each row has a WeChat, a ledger and processes of its own.

// crashBinaries builds the functions with their crash points, and returns the folder.
var crashBinaries = sync.OnceValues(func() (string, error) { return build("crashpoints", Dispatcher, Notify, Reconcile) })

// Who calls our functions: both those during whose call a process dies and those
// that go on.
const (
	refunding = "refund"       // the mini-program calls for the refund
	querying  = "query"        // the mini-program asks about it
	notifying = "notification" // WeChat notifies of its success, with a new signature each time
	relaying  = "relay"        // the platform relays that
	timing    = "timer"        // the timer runs
)

// callee is the function that each of them calls.
var callee = map[string]string{
	refunding: Dispatcher, querying: Dispatcher, notifying: Notify, relaying: Notify, timing: Reconcile,
}

// inCall stands for the point at which a process waits for WeChat's answer to a
// refund. There it is killed from outside.
const inCall = "in the call"

// What may have happened before the process starts that dies. The
// event of a success is on its way, but has not come yet.
const (
	nothing      = "nothing"
	processing   = "answered"
	succeeded    = "answered, succeeded"
	accepted     = "accepted, unanswered"
	acceptedDone = "accepted, unanswered, succeeded"
	unaccepted   = "not accepted, unanswered"
	byHand       = "made by hand, succeeded"
	otherAmount  = "claimed, then made by hand with another amount, succeeded"
)

// A crash is some rows of the table: a process dies and, each time anew, one of
// several goes on.
type crash struct {
	at     string // the crash point
	during string // in whose call
	before string
	fault  string // at WeChat, of the request during which the process dies
	next   []string
	none   bool // WeChat holds no refund at the end, since nobody who goes on knows of it
}

// The refund of every row, and its order.
const (
	wholeFen  = 100
	partFen   = 60
	otherFen  = 50
	theRefund = "R1"
	notEnough = "NOT_ENOUGH" // for certain, not for ever
)

// How long the platform gives a function.
const (
	ample = 10 * time.Second
	scant = 2 * time.Second // to wait in vain no longer than need be
)

// A crashCase is one row.
type crashCase struct {
	*World
	crash
	next  string
	order Order
	fen   int64

	checker *Lambda // a dispatcher that lives

	found, left string // states in the ledger: when the process died, and once somebody has gone on
	upstream    int    // refunds that WeChat holds then
	ok          bool
}

// runCrashes runs all rows and shows them as a table.
func runCrashes(t *testing.T, crashes ...crash) {
	t.Helper()
	runCrashesAt(t, func(*World) {}, crashes...)
}

// runCrashesAt does so in worlds that move their ledger first.
func runCrashesAt(t *testing.T, move func(*World), crashes ...crash) {
	t.Helper()
	t.Parallel()
	var rows []*crashCase
	for _, d := range crashes {
		if d.before == "" {
			d.before = nothing
		}
		for _, next := range d.next {
			rows = append(rows, &crashCase{crash: d, next: next, fen: partFen})
		}
	}
	// Rows wait more than they work, so a few run at a time.
	next := make(chan *crashCase)
	var running sync.WaitGroup
	for range 3 {
		running.Go(func() {
			for p := range next {
				t.Run(fmt.Sprintf("%s_%s_%s_%s_%s", p.at, p.during, p.before, p.fault, p.next), func(t *testing.T) {
					p.World = NewWorld(t)
					move(p.World)
					p.run()
					p.ok = !t.Failed()
				})
			}
		})
	}
	for _, p := range rows {
		next <- p
	}
	close(next)
	running.Wait()
	var table strings.Builder
	w := tabwriter.NewWriter(&table, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "point\tdied\tduring\tbefore\tfault\tledger\twent on\trefunds at WeChat\tledger\tok")
	passed := 0
	for _, p := range rows {
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\t%s\t%d\t%s\t%t\n", p.at, callee[p.during], p.during, p.before, p.fault, p.found, p.next, p.upstream, p.left, p.ok)
		if p.ok {
			passed++
		}
	}
	w.Flush()
	t.Logf("%d of %d rows passed\n%s", passed, len(rows), &table)
}

func (p *crashCase) run() {
	p.order = p.World.Order(wholeFen)
	p.prepare()
	p.die()
	p.found = p.asLeft().entry(theRefund).State
	p.goOn()
	p.check()
}

// prepare brings about what has happened before.
func (p *crashCase) prepare() {
	p.t.Helper()
	if p.before == nothing {
		return
	}
	p.checker = p.onLambda(Dispatcher)
	succeed := func() { p.Post("/_sandbox/refunds/"+theRefund+"/settle", `{"status":"SUCCESS"}`) }
	claim := func(fault string, code int) {
		p.t.Helper()
		p.inject(fault)
		if got := p.checker.Ask(p.event(refunding)); got.Code != code {
			p.t.Fatalf("%s: got %+v, want code %d", p.before, got, code)
		}
	}
	byHandOf := func(fen int64) {
		p.fen = fen
		p.Post("/_sandbox/refunds", fmt.Sprintf(`{"out_trade_no":%q,"out_refund_no":%q,"amount":%d}`, p.order.OutTradeNo, theRefund, fen))
	}
	switch p.before {
	case processing:
		claim("", 0)
	case succeeded:
		claim("", 0)
		succeed()
	case accepted:
		claim("500_after", 503)
	case acceptedDone:
		claim("500_after", 503)
		succeed()
	case unaccepted:
		claim("500_before", 503)
	case byHand:
		byHandOf(partFen)
		succeed()
	case otherAmount:
		claim("500_before", 503)
		byHandOf(otherFen)
		succeed()
	default:
		p.t.Fatalf("nothing is called %q", p.before)
	}
}

// inject has WeChat fail the next request so.
func (p *crashCase) inject(fault string) {
	p.t.Helper()
	switch fault {
	case "":
	case notEnough:
		p.Post("/_sandbox/faults", `{"err_code":"NOT_ENOUGH","count":1}`)
	default:
		p.Post("/_sandbox/faults", `{"upstream":"`+fault+`","count":1}`)
	}
}

// die makes the call during which the process dies.
func (p *crashCase) die() {
	p.t.Helper()
	if p.during == timing {
		p.Later()
	}
	p.inject(p.fault)
	left := ample
	if strings.HasPrefix(p.fault, "timeout") && p.at != inCall {
		if left = scant; p.Ledger == "" { // each call of that takes its time, on a busy machine most of all
			left = 3 * scant
		}
	}
	victim, call := p.call(p.during, left, "CRASH_AT="+p.at)
	applied := func() bool { return !strings.Contains(string(p.Get("/_sandbox/faults")), `"struck":0`) }
	var answer string
	var err error
	returned := make(chan struct{})
	go func() {
		defer close(returned)
		answer, err = call()
	}()
	if p.at == inCall {
		Await(p.t, "WeChat to be silent", func() bool { return applied() || !victim.Running() })
		_ = victim.Cmd.Process.Kill() // had it ended by itself, its state would tell
	}
	<-returned
	if err == nil {
		p.t.Fatalf("%s did not die but answered: %s", callee[p.during], answer)
	}
	if !applied() {
		p.t.Fatalf("%s died without a request to WeChat", callee[p.during])
	}
	Await(p.t, "the death of "+callee[p.during], func() bool { return !victim.Running() })
	if s, ok := victim.Cmd.ProcessState.Sys().(syscall.WaitStatus); !ok || !s.Signaled() || s.Signal() != syscall.SIGKILL {
		p.t.Errorf("%s ended with %v, want it killed", callee[p.during], victim.Cmd.ProcessState)
	}
}

// goOn has somebody go on, later, with a process that is new.
func (p *crashCase) goOn() {
	p.t.Helper()
	if p.next == refunding || p.next == timing {
		p.Later()
	}
	process, call := p.call(p.next, ample)
	answer, err := call()
	if err != nil {
		p.t.Fatalf("%s: %v", p.next, err)
	}
	want := map[string]string{refunding: `{"code":0,`, querying: `{"code":0,`, notifying: "200 " + Acknowledged, relaying: relayed, timing: `{"checked":`}
	if !strings.HasPrefix(answer, want[p.next]) {
		p.t.Errorf("%s: got %s, want %s", p.next, answer, want[p.next])
	}
	switch p.next {
	case timing:
		if !strings.HasSuffix(answer, `"remaining":0,"bills":0}`) {
			p.t.Errorf("timer: got %s, want nothing to remain", answer)
		}
	case notifying, relaying: // what has been acknowledged is there, whatever happens now
		process.Signal(syscall.SIGKILL, -1)
	}
	p.left, p.upstream = p.entry(theRefund).State, len(p.Refunds())
	end := "success"
	if p.before == otherAmount { // somebody else's refund has the number
		end = "rejected"
	}
	if (p.next == notifying || p.next == relaying) && p.left != end {
		p.t.Errorf("%s was acknowledged, and the ledger says %q, want %s", p.next, p.left, end)
	}
}

// call starts a process and returns it and what calls it.
func (p *crashCase) call(who string, left time.Duration, env ...string) (*Process, func() (string, error)) {
	p.t.Helper()
	if who == notifying {
		l := p.notification()
		f := p.inContainer(Notify, env...)
		return f.Process, func() (string, error) { return f.Try(l) }
	}
	f := p.onLambda(callee[who], env...)
	if p.checker == nil && callee[who] == Dispatcher && len(env) == 0 {
		p.checker = f
	}
	return f.Process, func() (string, error) {
		if left < ample { // is not for starting
			if answer, err := f.Try(`{}`, ample); err != nil {
				return answer, err
			}
		}
		return f.Try(p.event(who), left)
	}
}

func (p *crashCase) event(who string) string {
	switch who {
	case refunding:
		return RefundEvent(p.order, theRefund, partFen)
	case querying:
		return QueryEvent("out_refund_no", theRefund)
	case relaying:
		return `{"event_type":"REFUND.SUCCESS","resource":{"out_refund_no":"` + theRefund + `","refund_status":"SUCCESS"}}`
	}
	return `{}`
}

// notification has WeChat write of the refund's success, for the first time or again.
func (p *crashCase) notification() Notification {
	p.t.Helper()
	p.Post("/_sandbox/refunds/"+theRefund+"/settle", `{"status":"SUCCESS"}`)
	p.Post("/_sandbox/deliveries/"+p.Deliveries(theRefund)[0].ID+"/resend", "")
	return p.Inbox.Last()
}

// check wants WeChat to hold the refund once, and the ledger to say what WeChat
// says: of the refund, of its order, and of what is left of that.
func (p *crashCase) check() {
	p.t.Helper()
	if p.checker == nil {
		p.checker = p.onLambda(Dispatcher)
	}
	f := p.checker
	ofOrder, ofRefund := QueryEvent("transaction_id", p.order.TransactionID), p.event(querying)
	if p.left == "" || p.left == "rejected" {
		ofOrder = QueryEvent("out_trade_no", p.order.OutTradeNo) // the one name by which it was called
	}
	if held := p.Refunds(); p.none {
		if len(held) != 0 {
			p.t.Fatalf("WeChat holds %+v, want nothing", held)
		}
		for _, event := range []string{ofOrder, ofRefund} {
			if got := f.Ask(event); got.Code != 404 {
				p.t.Errorf("%s: got %+v, want 404", event, got)
			}
		}
		p.checkRest(wholeFen)
		return
	}
	// A refund that was answered once is not asked about only because it is called
	// for again: the event of its success is still to come.
	if !(p.next == refunding && p.left == "processing") {
		p.compare(f.Ask(ofOrder))
	}
	if got := f.Ask(ofRefund); got.Code != 0 || got.Data.Refund != p.held() {
		p.t.Errorf("query: got %+v, want what WeChat holds: %+v", got, p.held())
	}

	p.Post("/_sandbox/refunds/"+theRefund+"/settle", `{"status":"SUCCESS"}`)
	if p.fen == partFen && p.before != byHand {
		if got := f.Ask(p.event(refunding)); got.Code != 0 || got.Data.RefundID != p.held().RefundID {
			p.t.Errorf("the same refund again: got %+v, want what WeChat holds: %+v", got, p.held())
		}
	}
	if got := f.Ask(ofRefund); got.Code != 0 || got.Data.Refund != p.held() {
		p.t.Errorf("query: got %+v, want what WeChat holds: %+v", got, p.held())
	}
	p.compare(f.Ask(ofOrder))
	end := "success"
	if p.before == otherAmount { // not ours, so that ours is over
		end = "taken"
		if got := f.Ask(p.event(refunding)); got.Code != 409 || got.Retry != "new_number" {
			p.t.Errorf("our refund again: got %+v, want 409 with new_number", got)
		}
	}
	if got := p.entry(theRefund); got.count(end) != 1 {
		p.t.Errorf("the ledger tells %d times that it is %s, want 1: %+v", got.count(end), end, got)
	}
	p.checkRest(wholeFen - p.fen)
}

// held is the one refund that WeChat holds.
func (p *crashCase) held() Refund {
	p.t.Helper()
	all := p.Refunds()
	if len(all) != 1 || all[0].OutRefundNo != theRefund || all[0].Amount.Refund != p.fen {
		p.t.Fatalf("WeChat holds %+v, want one refund of %d", all, p.fen)
	}
	return all[0]
}

// compare wants the ledger's page of the order to be what WeChat holds.
func (p *crashCase) compare(page Reply) {
	p.t.Helper()
	if page.Code != 0 || page.Data.TotalRefundCount != 1 || len(page.Data.Refunds) != 1 || page.Data.Refunds[0] != p.held() {
		p.t.Errorf("by order: got %+v, want what WeChat holds: %+v", page, p.held())
	}
}

// checkRest wants exactly so much of the order to be left.
func (p *crashCase) checkRest(fen int64) {
	p.t.Helper()
	if got := p.checker.Ask(RefundEvent(p.order, "rest", fen)); got.Code != 0 {
		p.t.Errorf("the rest of %d: got %+v, want code 0", fen, got)
	}
	if got := p.checker.Ask(RefundEvent(p.order, "more", 1)); got.Code != 409 {
		p.t.Errorf("more than the rest: got %+v, want 409", got)
	}
	if got := p.Sum(p.order); got != wholeFen {
		p.t.Errorf("WeChat holds %d fen, want %d", got, wholeFen)
	}
}

// asLeft copies the ledger as the dead have left it, so that looking into it
// leaves it to those who go on to mend it. Where another process has it open, nobody mends
// it by looking, and a copy would show more than is there: a commit whose last step, the
// index of the log that processes share, the dead did not come to.
func (p *crashCase) asLeft() *World {
	p.t.Helper()
	w := *p.World
	if p.Ledger == "" || p.checker != nil { // a server's needs no mending
		return &w
	}
	w.Ledger = filepath.Join(p.t.TempDir(), "copy.db")
	w.store = "sqlite:" + w.Ledger
	for _, end := range []string{"", "-wal"} {
		b, err := os.ReadFile(p.Ledger + end)
		if err != nil && !(end != "" && os.IsNotExist(err)) {
			p.t.Fatal(err)
		}
		if err := os.WriteFile(w.Ledger+end, b, 0o600); err != nil {
			p.t.Fatal(err)
		}
	}
	return &w
}

// onLambda and inContainer run a function with its crash points.
func (w *World) onLambda(name string, env ...string) *Lambda {
	w.t.Helper()
	return RunLambda(w.t, func(api string) *Process { return w.startCrashable(name, append(env, api)...) })
}

func (w *World) inContainer(name string, env ...string) *Plain {
	w.t.Helper()
	return AwaitPlain(w.t, w.startCrashable(name, append(env, "PORT=0")...))
}

func (w *World) startCrashable(name string, env ...string) *Process {
	w.t.Helper()
	dir, err := crashBinaries()
	if err != nil {
		w.t.Fatal(err)
	}
	return StartCommand(w.t, w.With(env...), filepath.Join(dir, name))
}

// An entry is what the ledger holds of a refund.
type entry struct {
	version int64
	State   string
	Attempt int
	Moves   int
	Held    int64
	Counted bool
	Order   string
	Request Refund
	Refund  Refund
	History []struct {
		At   time.Time
		What string
	}
	Notices []struct {
		Owed []struct {
			To    string
			Tries int
		}
	}
}

// owes tells whether an event is still to be delivered to a subscriber.
func (e entry) owes(name string) bool {
	for _, n := range e.Notices {
		for _, d := range n.Owed {
			if d.To == name {
				return true
			}
		}
	}
	return false
}

// count tells how often the history has it.
func (e entry) count(what string) (n int) {
	for _, h := range e.History {
		if h.What == what {
			n++
		}
	}
	return n
}

// overlaps tells whether a submission left while another might still be answered.
func (e entry) overlaps() bool {
	var sent time.Time // of the last one that has not been heard of
	for _, h := range e.History {
		switch h.What {
		case "sent":
			if h.At.Sub(sent) < 30*time.Second {
				return true
			}
			sent = h.At
		case "unanswered", "refused":
			sent = time.Time{}
		}
	}
	return false
}

// entry reads a refund's entry, without asking any function of ours.
func (w *World) entry(outRefundNo string) (e entry) {
	w.t.Helper()
	item := w.Stored(outRefundNo)
	if e.version = item.Version; e.version > 0 {
		Decode(w.t, item.Body, &e)
	}
	return e
}

// A1: killed before the refund is claimed, nothing has happened, and nothing of it stays.
func TestKillBeforeTheClaimLeavesNothing(t *testing.T) { runCrashes(t, killsBeforeTheClaim()...) }

func killsBeforeTheClaim() []crash {
	return []crash{
		{at: "claim.before", during: refunding, next: []string{refunding}},
		{at: "claim.before", during: refunding, next: []string{timing}, none: true},
	}
}

// A2, A3: a dispatcher is killed between the claim and the settlement of WeChat's
// answer. Whoever comes goes on with the same number.
func TestKilledDispatchersRefundIsMadeOnce(t *testing.T) { runCrashes(t, killedDispatchers()...) }

func killedDispatchers() []crash {
	all, unknown := []string{refunding, timing, notifying}, []string{refunding, timing}
	return []crash{
		{at: "claim.after", during: refunding, next: unknown},
		{at: inCall, during: refunding, fault: "timeout_before", next: unknown},
		{at: inCall, during: refunding, fault: "timeout_after", next: all},
		{at: "call.after", during: refunding, next: all},
		{at: "settle.before", during: refunding, next: all},
		{at: "settle.after", during: refunding, next: all},

		{at: "settle.before", during: querying, before: accepted, next: append(all, querying)},
		{at: "settle.after", during: querying, before: accepted, next: append(all, querying)},
		{at: "settle.before", during: querying, before: succeeded, next: append(all, querying)},
		{at: "settle.after", during: querying, before: succeeded, next: append(all, querying)},
	}
}

// A4: the same with an answer that says nothing, or no.
func TestKilledDispatchersUnansweredRefundIsMadeOnce(t *testing.T) {
	runCrashes(t, unansweredDispatchers()...)
}

func unansweredDispatchers() (crashes []crash) {
	all, unknown := []string{refunding, timing, notifying}, []string{refunding, timing}
	for _, at := range []string{"call.after", "settle.before", "settle.after"} {
		crashes = append(crashes,
			crash{at: at, during: refunding, fault: "500_before", next: unknown},
			crash{at: at, during: refunding, fault: "500_after", next: all},
			crash{at: at, during: refunding, fault: notEnough, next: []string{refunding}},
			crash{at: at, during: refunding, fault: notEnough, next: []string{timing}, none: at == "settle.after"}, // then the refusal is on record
		)
	}
	crashes = append(crashes,
		crash{at: "call.after", during: refunding, fault: "timeout_before", next: unknown},
		crash{at: "call.after", during: refunding, fault: "timeout_after", next: all},
		crash{at: "settle.after", during: refunding, fault: "timeout_after", next: []string{timing}},
	)
	for _, fault := range []string{"reset_after", "429_after", "bad_signature", "unsigned"} {
		crashes = append(crashes, crash{at: "settle.before", during: refunding, fault: fault, next: unknown})
	}
	return crashes
}

// A2, A3: the reconciler dies, whatever it was about to do.
func TestKilledReconcilersRefundIsMadeOnce(t *testing.T) { runCrashes(t, killedReconcilers()...) }

func killedReconcilers() (crashes []crash) {
	all, unknown := []string{refunding, timing, notifying}, []string{refunding, timing}
	for _, at := range []string{"reconcile.taken", "settle.before", "settle.after"} {
		crashes = append(crashes,
			crash{at: at, during: timing, before: accepted, next: all},
			crash{at: at, during: timing, before: succeeded, next: all},
		)
	}
	for _, at := range []string{"reconcile.taken", "reconcile.resubmit"} {
		crashes = append(crashes, crash{at: at, during: timing, before: unaccepted, next: unknown})
	}
	for _, at := range []string{"reconcile.taken", "settle.before"} {
		crashes = append(crashes, crash{at: at, during: timing, before: processing, next: []string{timing, notifying}})
	}
	for _, at := range []string{"call.after", "settle.before", "settle.after"} {
		crashes = append(crashes,
			crash{at: at, during: timing, before: unaccepted, next: all},
			crash{at: at, during: timing, before: unaccepted, fault: "500_before", next: unknown},
			crash{at: at, during: timing, before: unaccepted, fault: notEnough, next: unknown},
		)
	}
	return crashes
}

// C17: notify dies before or after the event is in the ledger, and in any case before
// it is acknowledged. It has one effect, whoever brings it again.
func TestKilledNotifysNotificationHasOneEffect(t *testing.T) { runCrashes(t, killedNotifys()...) }

func killedNotifys() (crashes []crash) {
	all := []string{notifying, refunding, timing}
	for _, at := range []string{"settle.before", "settle.after"} {
		crashes = append(crashes,
			crash{at: at, during: notifying, before: succeeded, next: all},
			crash{at: at, during: notifying, before: acceptedDone, next: all},
			crash{at: at, during: notifying, before: byHand, next: []string{notifying, relaying, querying}},
			crash{at: at, during: notifying, before: otherAmount, next: []string{notifying, relaying, querying, timing}},
			crash{at: at, during: relaying, before: succeeded, next: append(all, relaying)},
			crash{at: at, during: relaying, before: acceptedDone, next: append(all, relaying)},
		)
	}
	return crashes
}

// A2: whoever comes while a submission may still run is told to come back, and is
// not let at the money that it may move. (A notification is believed at once: see
// [TestKilledDispatchersRefundIsMadeOnce].)
func TestRunningSubmissionKeepsItsMoney(t *testing.T) {
	t.Parallel()
	p := &crashCase{World: NewWorld(t), crash: crash{at: "claim.after", during: refunding}, fen: partFen}
	p.order = p.World.Order(wholeFen)
	p.die()
	p.checker = p.onLambda(Dispatcher)
	if got := string(p.onLambda(Reconcile).Invoke("r1", `{}`, ample)); got != `{"checked":0,"settled":0,"resubmitted":0,"released":0,"delivered":0,"remaining":0,"bills":0}` {
		t.Errorf("timer: got %s, want nothing to be due", got)
	}
	var got struct {
		Code       int
		Retry      string
		RetryAfter int `json:"retry_after"`
	}
	Decode(t, p.checker.Invoke("r1", p.event(refunding), ample), &got)
	if got.Code != 503 || got.RetryAfter < 1 || got.RetryAfter > 30 || len(p.Refunds()) != 0 {
		t.Errorf("the same refund at once: got %+v and %+v at WeChat, want 503 and to come back within 30s", got, p.Refunds())
	}
	for _, event := range []string{RefundEvent(p.order, theRefund, partFen-1), RefundEvent(p.order, "R2", wholeFen-partFen+1)} {
		if got := p.checker.Ask(event); got.Code != 409 {
			t.Errorf("%s: got %+v, want 409", event, got)
		}
	}
	p.next = refunding
	p.goOn()
	p.check()
}

// D2: a dispatcher is killed again and again while it works, now alone, now beside
// another. Each time the ledger is sound, what was answered is in it, and what
// was cut off is there as a whole or not at all. In the end the timer has brought
// the ledger and WeChat together.
func TestLedgerIsSoundAfterAKillAtAnyInstant(t *testing.T) {
	t.Parallel()
	killAtAnyInstant(t, NewWorld(t))
}

func killAtAnyInstant(t *testing.T, w *World) {
	t.Helper()
	seed := rand.Uint64()
	chance := rand.New(rand.NewPCG(seed, 0))
	var all [][]*call // those of one order each
	answered, cutOff := 0, 0
	for i := range *kills {
		victim := StartSCF(t, Dispatcher, w.Env)
		p := &pair{World: w, both: [2]*SCF{victim, victim}, victim: victim.Process}
		if i%2 == 1 {
			p.both[1] = StartSCF(t, Dispatcher, w.Env)
		}
		var lived [][]*call
		for j := range 4 {
			o := w.Order(wholeFen)
			var calls []*call
			for k := range 6 {
				calls = append(calls, &call{order: o, outRefundNo: fmt.Sprintf("R%d-%d-%d", i, j, k), fen: 1 + chance.Int64N(40), to: k % 2})
			}
			lived = append(lived, calls)
		}
		var running sync.WaitGroup
		for _, c := range slices.Concat(lived...) {
			running.Go(func() {
				if err := p.insist(c); err != nil {
					c.reply = Reply{} // cut off
					if p.both[c.to] != victim {
						t.Errorf("%s: %v", c.outRefundNo, err)
					}
				}
			})
		}
		time.Sleep(time.Duration(chance.Int64N(int64(250 * time.Millisecond))))
		victim.Process.Signal(syscall.SIGKILL, -1)
		running.Wait()

		w.checkIntegrity()
		h := w.holdings()
		for _, calls := range lived {
			entries := h.balanced(t, calls[0].order, numbers(calls)...)
			for _, c := range calls {
				if c.reply.Data.OutRefundNo == "" && c.reply.Code == 0 {
					cutOff++
					continue
				}
				answered++
				if e := entries[c.outRefundNo]; c.reply.Code == 0 && (e.State != "processing" || e.Request.Amount.Refund != c.fen) {
					t.Errorf("%s: answered %+v, and the ledger holds %+v", c.outRefundNo, c.reply, e)
				}
			}
		}
		all = append(all, lived...)
		if t.Failed() {
			break
		}
	}

	w.Later()
	summary := StartSCF(t, Reconcile, w.Env).Invoke(Invocation{Event: `{}`, Left: 50 * time.Second})
	f, h := StartSCF(t, Dispatcher, w.Env), w.holdings()
	for _, calls := range all {
		o, promised := calls[0].order, map[string]int64{}
		for no, e := range h.balanced(t, o, numbers(calls)...) {
			promised[no] = e.Request.Amount.Refund
		}
		for _, c := range calls {
			if c.reply.Data.OutRefundNo != "" && promised[c.outRefundNo] != c.fen {
				t.Errorf("%s: answered %+v, and the ledger has forgotten it", c.outRefundNo, c.reply)
			}
		}
		h.agree(t, o, promised, numbers(calls)...)
		no := calls[0].outRefundNo + "-"
		if rest := o.Total - h.sums[o.OutTradeNo]; rest > 0 {
			if got := f.Dispatch(RefundEvent(o, no+"rest", rest)); got.Code != 0 {
				t.Errorf("the rest of %d: got %+v, want code 0", rest, got)
			}
		}
		if got := f.Dispatch(RefundEvent(o, no+"more", 1)); got.Code != 409 {
			t.Errorf("more than the rest: got %+v, want 409", got)
		}
	}
	t.Logf("seed %d: killed %d times: %d calls answered, %d cut off; then the timer: %s", seed, *kills, answered, cutOff, summary)
}

// checkIntegrity has SQLite examine the whole ledger; a server's own files are its affair.
func (w *World) checkIntegrity() {
	w.t.Helper()
	if w.Ledger == "" {
		return
	}
	db, err := sql.Open("sqlite", w.Ledger)
	if err != nil {
		w.t.Fatal(err)
	}
	defer db.Close()
	var result string
	if err := db.QueryRowContext(w.t.Context(), "PRAGMA integrity_check").Scan(&result); err != nil || result != "ok" {
		w.t.Fatalf("integrity_check: got %q and %v, want ok", result, err)
	}
}
