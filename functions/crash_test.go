package functions_test

import (
	"database/sql"
	"flag"
	"fmt"
	"math/rand/v2"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"text/tabwriter"
	"time"

	_ "modernc.org/sqlite" // to examine a ledger with

	"wxrefund/shared/ledger"
	ours "wxrefund/shared/refund"
)

var kills = flag.Int("kills", 6, "how often to kill a dispatcher at a random instant")

// The crash matrix. A process of ours kills itself at a point that is named in
// the code, or is killed while WeChat is silent; then somebody goes on who knows
// nothing of it. In the end WeChat holds the refund once, and the ledger says
// what WeChat says. Each row has a WeChat, a ledger and processes of its own.

// mortals builds the deployables with their crash points, and returns the folder.
var mortals = sync.OnceValues(func() (string, error) {
	dir, err := os.MkdirTemp("", "mortals")
	if err != nil {
		return "", err
	}
	build := exec.Command("go", "build", "-tags", "crashpoints", "-o", dir+string(filepath.Separator), "./"+dispatcher, "./"+notify, "./"+reconcile)
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if output, err := build.CombinedOutput(); err != nil {
		return "", fmt.Errorf("go build: %w\n%s", err, output)
	}
	return dir, nil
})

// What can be done to our functions: by whom the matrix is made up, both of
// those during whose call a process dies and of those that go on.
const (
	refunding = "refund"       // the mini-program calls for the refund
	querying  = "query"        // the mini-program asks about it
	notifying = "notification" // WeChat notifies of its success, with a new signature each time
	relaying  = "relay"        // the platform relays that
	timing    = "timer"        // the timer runs
)

// callee is the function that each of them calls.
var callee = map[string]string{
	refunding: dispatcher, querying: dispatcher, notifying: notify, relaying: notify, timing: reconcile,
}

// inCall stands for the point at which a process waits for WeChat's answer to a
// refund. There it is killed from outside.
const inCall = "in the call"

// Scenes are what may have happened before the process starts that dies. The
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

// A death is some rows of the matrix: a process dies and, each time anew, one of
// several goes on.
type death struct {
	at    string // the crash point
	whose string // in whose call
	scene string
	fault string // at WeChat, of the request during which the process dies
	next  []string
	none  bool // WeChat holds no refund at the end, since nobody who goes on knows of it
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

// A play is one row.
type play struct {
	*world
	death
	next  string
	order order
	fen   int64

	checker *lambda // a dispatcher that lives

	found, left string // states in the ledger: at the death, and once somebody has gone on
	upstream    int    // refunds that WeChat holds then
	ok          bool
}

// perform plays all rows and shows them as a table.
func perform(t *testing.T, deaths ...death) {
	t.Helper()
	t.Parallel()
	var rows []*play
	for _, d := range deaths {
		if d.scene == "" {
			d.scene = nothing
		}
		for _, next := range d.next {
			rows = append(rows, &play{death: d, next: next, fen: partFen})
		}
	}
	// Rows wait more than they work, so a few are played at a time.
	next := make(chan *play)
	var playing sync.WaitGroup
	for range 3 {
		playing.Go(func() {
			for p := range next {
				t.Run(fmt.Sprintf("%s_%s_%s_%s_%s", p.at, p.whose, p.scene, p.fault, p.next), func(t *testing.T) {
					p.world = newWorld(t)
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
	playing.Wait()
	var table strings.Builder
	w := tabwriter.NewWriter(&table, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "point\tdied\tduring\tbefore\tfault\tledger\twent on\trefunds at WeChat\tledger\tok")
	passed := 0
	for _, p := range rows {
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\t%s\t%d\t%s\t%t\n", p.at, callee[p.whose], p.whose, p.scene, p.fault, p.found, p.next, p.upstream, p.left, p.ok)
		if p.ok {
			passed++
		}
	}
	w.Flush()
	t.Logf("%d of %d rows passed\n%s", passed, len(rows), &table)
}

func (p *play) run() {
	p.order = p.world.order(wholeFen)
	p.set()
	p.die()
	p.found = p.asLeft().entry(theRefund).State
	p.goOn()
	p.check()
}

// set makes the scene.
func (p *play) set() {
	p.t.Helper()
	if p.scene == nothing {
		return
	}
	p.checker = p.onLambda(dispatcher)
	succeed := func() { p.post("/_sandbox/refunds/"+theRefund+"/settle", `{"status":"SUCCESS"}`) }
	claim := func(fault string, code int) {
		p.t.Helper()
		p.strike(fault)
		if got := p.checker.ask(p.event(refunding)); got.Code != code {
			p.t.Fatalf("%s: got %+v, want code %d", p.scene, got, code)
		}
	}
	byHandOf := func(fen int64) {
		p.fen = fen
		p.post("/_sandbox/refunds", fmt.Sprintf(`{"out_trade_no":%q,"out_refund_no":%q,"amount":%d}`, p.order.OutTradeNo, theRefund, fen))
	}
	switch p.scene {
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
		p.t.Fatalf("unknown scene %q", p.scene)
	}
}

// strike has WeChat fail the next request so.
func (p *play) strike(fault string) {
	p.t.Helper()
	switch fault {
	case "":
	case notEnough:
		p.post("/_sandbox/faults", `{"err_code":"NOT_ENOUGH","count":1}`)
	default:
		p.post("/_sandbox/faults", `{"upstream":"`+fault+`","count":1}`)
	}
}

// die makes the call during which the process dies.
func (p *play) die() {
	p.t.Helper()
	if p.whose == timing {
		p.later()
	}
	p.strike(p.fault)
	left := ample
	if strings.HasPrefix(p.fault, "timeout") && p.at != inCall {
		left = scant
	}
	victim, call := p.call(p.whose, left, "CRASH_AT="+p.at)
	struck := func() bool { return !strings.Contains(string(p.get("/_sandbox/faults")), `"struck":0`) }
	var answer string
	var err error
	returned := make(chan struct{})
	go func() {
		defer close(returned)
		answer, err = call()
	}()
	if p.at == inCall {
		await(p.t, "WeChat to be silent", func() bool { return struck() || !victim.running() })
		_ = victim.cmd.Process.Kill() // had it ended by itself, its state would tell
	}
	<-returned
	if err == nil {
		p.t.Fatalf("%s did not die but answered: %s", callee[p.whose], answer)
	}
	if !struck() {
		p.t.Fatalf("%s died without a request to WeChat", callee[p.whose])
	}
	await(p.t, "the death of "+callee[p.whose], func() bool { return !victim.running() })
	if s, ok := victim.cmd.ProcessState.Sys().(syscall.WaitStatus); !ok || !s.Signaled() || s.Signal() != syscall.SIGKILL {
		p.t.Errorf("%s ended with %v, want it killed", callee[p.whose], victim.cmd.ProcessState)
	}
}

// goOn has somebody go on, later, with a process that is new.
func (p *play) goOn() {
	p.t.Helper()
	if p.next == refunding || p.next == timing {
		p.later()
	}
	process, call := p.call(p.next, ample)
	answer, err := call()
	if err != nil {
		p.t.Fatalf("%s: %v", p.next, err)
	}
	want := map[string]string{refunding: `{"code":0,`, querying: `{"code":0,`, notifying: "200 " + acknowledged, relaying: relayed, timing: `{"checked":`}
	if !strings.HasPrefix(answer, want[p.next]) {
		p.t.Errorf("%s: got %s, want %s", p.next, answer, want[p.next])
	}
	switch p.next {
	case timing:
		if !strings.HasSuffix(answer, `"remaining":0}`) {
			p.t.Errorf("timer: got %s, want nothing to remain", answer)
		}
	case notifying, relaying: // what has been acknowledged is there, whatever happens now
		process.signal(syscall.SIGKILL, -1)
	}
	p.left, p.upstream = p.entry(theRefund).State, len(p.refunds())
	end := "success"
	if p.scene == otherAmount { // somebody else's refund has the number
		end = "rejected"
	}
	if (p.next == notifying || p.next == relaying) && p.left != end {
		p.t.Errorf("%s was acknowledged, and the ledger says %q, want %s", p.next, p.left, end)
	}
}

// call starts a process and returns it and what calls it.
func (p *play) call(who string, left time.Duration, env ...string) (*process, func() (string, error)) {
	p.t.Helper()
	if who == notifying {
		l := p.notification()
		f := p.inContainer(notify, env...)
		return f.process, func() (string, error) { return f.try(l) }
	}
	f := p.onLambda(callee[who], env...)
	if p.checker == nil && callee[who] == dispatcher && len(env) == 0 {
		p.checker = f
	}
	return f.process, func() (string, error) {
		if left == scant { // is not for starting
			if answer, err := f.try(`{}`, ample); err != nil {
				return answer, err
			}
		}
		return f.try(p.event(who), left)
	}
}

func (p *play) event(who string) string {
	switch who {
	case refunding:
		return refundEvent(p.order, theRefund, partFen)
	case querying:
		return queryEvent("out_refund_no", theRefund)
	case relaying:
		return `{"event_type":"REFUND.SUCCESS","resource":{"out_refund_no":"` + theRefund + `","refund_status":"SUCCESS"}}`
	}
	return `{}`
}

// notification has WeChat write of the refund's success, for the first time or again.
func (p *play) notification() notification {
	p.t.Helper()
	p.post("/_sandbox/refunds/"+theRefund+"/settle", `{"status":"SUCCESS"}`)
	p.post("/_sandbox/deliveries/"+p.deliveries(theRefund)[0].ID+"/resend", "")
	return p.notifications.last()
}

// check wants WeChat to hold the refund once, and the ledger to say what WeChat
// says: of the refund, of its order, and of what is left of that.
func (p *play) check() {
	p.t.Helper()
	if p.checker == nil {
		p.checker = p.onLambda(dispatcher)
	}
	f := p.checker
	ofOrder, ofRefund := queryEvent("transaction_id", p.order.TransactionID), p.event(querying)
	if p.left == "" || p.left == "rejected" {
		ofOrder = queryEvent("out_trade_no", p.order.OutTradeNo) // the one name by which it was called
	}
	if held := p.refunds(); p.none {
		if len(held) != 0 {
			p.t.Fatalf("WeChat holds %+v, want nothing", held)
		}
		for _, event := range []string{ofOrder, ofRefund} {
			if got := f.ask(event); got.Code != 404 {
				p.t.Errorf("%s: got %+v, want 404", event, got)
			}
		}
		p.checkRest(wholeFen)
		return
	}
	// A refund that was answered once is not asked about only because it is called
	// for again: the event of its success is still to come.
	if !(p.next == refunding && p.left == "processing") {
		p.compare(f.ask(ofOrder))
	}
	if got := f.ask(ofRefund); got.Code != 0 || got.Data.refund != p.held() {
		p.t.Errorf("query: got %+v, want what WeChat holds: %+v", got, p.held())
	}

	p.post("/_sandbox/refunds/"+theRefund+"/settle", `{"status":"SUCCESS"}`)
	if p.fen == partFen && p.scene != byHand {
		if got := f.ask(p.event(refunding)); got.Code != 0 || got.Data.RefundID != p.held().RefundID {
			p.t.Errorf("the same refund again: got %+v, want what WeChat holds: %+v", got, p.held())
		}
	}
	if got := f.ask(ofRefund); got.Code != 0 || got.Data.refund != p.held() {
		p.t.Errorf("query: got %+v, want what WeChat holds: %+v", got, p.held())
	}
	p.compare(f.ask(ofOrder))
	end := "success"
	if p.scene == otherAmount { // not ours, so that ours is over
		end = "taken"
		if got := f.ask(p.event(refunding)); got.Code != 409 || got.Retry != "new_number" {
			p.t.Errorf("our refund again: got %+v, want 409 with new_number", got)
		}
	}
	if got := p.entry(theRefund); got.count(end) != 1 {
		p.t.Errorf("the ledger tells %d times that it is %s, want 1: %+v", got.count(end), end, got)
	}
	p.checkRest(wholeFen - p.fen)
}

// held is the one refund that WeChat holds.
func (p *play) held() refund {
	p.t.Helper()
	all := p.refunds()
	if len(all) != 1 || all[0].OutRefundNo != theRefund || all[0].Amount.Refund != p.fen {
		p.t.Fatalf("WeChat holds %+v, want one refund of %d", all, p.fen)
	}
	return all[0]
}

// compare wants the ledger's page of the order to be what WeChat holds.
func (p *play) compare(page reply) {
	p.t.Helper()
	if page.Code != 0 || page.Data.TotalRefundCount != 1 || len(page.Data.Refunds) != 1 || page.Data.Refunds[0] != p.held() {
		p.t.Errorf("by order: got %+v, want what WeChat holds: %+v", page, p.held())
	}
}

// checkRest wants exactly so much of the order to be left.
func (p *play) checkRest(fen int64) {
	p.t.Helper()
	if got := p.checker.ask(refundEvent(p.order, "rest", fen)); got.Code != 0 {
		p.t.Errorf("the rest of %d: got %+v, want code 0", fen, got)
	}
	if got := p.checker.ask(refundEvent(p.order, "more", 1)); got.Code != 409 {
		p.t.Errorf("more than the rest: got %+v, want 409", got)
	}
	if got := p.sum(p.order); got != wholeFen {
		p.t.Errorf("WeChat holds %d fen, want %d", got, wholeFen)
	}
}

// asLeft copies the ledger as the dead have left it, so that looking into it
// leaves it to those who go on to mend it.
func (p *play) asLeft() *world {
	p.t.Helper()
	w := *p.world
	w.ledger = filepath.Join(p.t.TempDir(), "copy.db")
	for _, end := range []string{"", "-wal"} {
		b, err := os.ReadFile(p.ledger + end)
		if err != nil && !(end != "" && os.IsNotExist(err)) {
			p.t.Fatal(err)
		}
		if err := os.WriteFile(w.ledger+end, b, 0o600); err != nil {
			p.t.Fatal(err)
		}
	}
	return &w
}

// onLambda and inContainer run one of the mortals.
func (w *world) onLambda(name string, env ...string) *lambda {
	w.t.Helper()
	return runLambda(w.t, func(api string) *process { return w.mortal(name, append(env, api)...) })
}

func (w *world) inContainer(name string, env ...string) *plain {
	w.t.Helper()
	return awaitPlain(w.t, w.mortal(name, append(env, "PORT=0")...))
}

func (w *world) mortal(name string, env ...string) *process {
	w.t.Helper()
	dir, err := mortals()
	if err != nil {
		w.t.Fatal(err)
	}
	return startCommand(w.t, w.with(env...), filepath.Join(dir, name))
}

// try invokes a function that may die of it.
func (f *lambda) try(event string, left time.Duration) (string, error) {
	select {
	case f.next <- lambdaEvent{"r1", event, time.Now().Add(left)}:
	case <-f.process.ended:
		return "", fmt.Errorf("%v before it was called", f.process.cmd.ProcessState)
	}
	select {
	case a := <-f.answers:
		return string(a.body), nil
	case <-f.process.ended:
		return "", fmt.Errorf("%v", f.process.cmd.ProcessState)
	}
}

// ask invokes the dispatcher.
func (f *lambda) ask(event string) reply {
	f.t.Helper()
	return parse(f.t, f.invoke("r1", event, ample))
}

// try posts a notification, and returns the status and the answer if there is one.
func (f *plain) try(l notification) (string, error) {
	r, err := http.NewRequestWithContext(f.t.Context(), "POST", f.url, strings.NewReader(string(l.body)))
	if err != nil {
		return "", err
	}
	r.Header = l.header.Clone()
	c := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: 10 * time.Second}
	res, err := c.Do(r)
	if err != nil {
		return "", err
	}
	defer res.Body.Close()
	var body strings.Builder
	if err := res.Write(&body); err != nil {
		return "", err
	}
	_, text, _ := strings.Cut(body.String(), "\r\n\r\n")
	return fmt.Sprint(res.StatusCode, " ", text), nil
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
	Request refund
	Refund  refund
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

// owes tells whether somebody is still to be told of the refund.
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
func (w *world) entry(outRefundNo string) (e entry) {
	w.t.Helper()
	item := w.stored(outRefundNo)
	if e.version = item.Version; e.version > 0 {
		decode(w.t, item.Body, &e)
	}
	return e
}

// stored is the ledger's item of a refund, as it is written.
func (w *world) stored(outRefundNo string) ours.Item {
	w.t.Helper()
	store := w.store()
	defer store.Close()
	items, err := store.Get(w.t.Context(), ours.Key("refund/"+outRefundNo))
	if err != nil {
		w.t.Fatal(err)
	}
	return items[0]
}

func (w *world) store() *ledger.Store {
	w.t.Helper()
	store, err := ledger.Open(w.t.Context(), "sqlite:"+w.ledger)
	if err != nil {
		w.t.Fatal(err)
	}
	return store
}

// Killed before the refund is claimed: nothing has happened, and nothing of it stays.
func TestA1KilledBeforeTheClaim(t *testing.T) {
	perform(t,
		death{at: "claim.before", whose: refunding, next: []string{refunding}},
		death{at: "claim.before", whose: refunding, next: []string{timing}, none: true},
	)
}

// Killed between the claim and what WeChat's answer is settled: whoever comes
// goes on with the same number.
func TestA2A3DispatcherKilled(t *testing.T) {
	all, unknown := []string{refunding, timing, notifying}, []string{refunding, timing}
	perform(t,
		death{at: "claim.after", whose: refunding, next: unknown},
		death{at: inCall, whose: refunding, fault: "timeout_before", next: unknown},
		death{at: inCall, whose: refunding, fault: "timeout_after", next: all},
		death{at: "call.after", whose: refunding, next: all},
		death{at: "settle.before", whose: refunding, next: all},
		death{at: "settle.after", whose: refunding, next: all},

		death{at: "settle.before", whose: querying, scene: accepted, next: append(all, querying)},
		death{at: "settle.after", whose: querying, scene: accepted, next: append(all, querying)},
		death{at: "settle.before", whose: querying, scene: succeeded, next: append(all, querying)},
		death{at: "settle.after", whose: querying, scene: succeeded, next: append(all, querying)},
	)
}

// The same with an answer that says nothing, or no.
func TestA4KilledInDoubt(t *testing.T) {
	all, unknown := []string{refunding, timing, notifying}, []string{refunding, timing}
	var deaths []death
	for _, at := range []string{"call.after", "settle.before", "settle.after"} {
		deaths = append(deaths,
			death{at: at, whose: refunding, fault: "500_before", next: unknown},
			death{at: at, whose: refunding, fault: "500_after", next: all},
			death{at: at, whose: refunding, fault: notEnough, next: []string{refunding}},
			death{at: at, whose: refunding, fault: notEnough, next: []string{timing}, none: at == "settle.after"}, // then the refusal is on record
		)
	}
	deaths = append(deaths,
		death{at: "call.after", whose: refunding, fault: "timeout_before", next: unknown},
		death{at: "call.after", whose: refunding, fault: "timeout_after", next: all},
		death{at: "settle.after", whose: refunding, fault: "timeout_after", next: []string{timing}},
	)
	for _, fault := range []string{"reset_after", "429_after", "bad_signature", "unsigned"} {
		deaths = append(deaths, death{at: "settle.before", whose: refunding, fault: fault, next: unknown})
	}
	perform(t, deaths...)
}

// The timer's process dies, whatever it was about to do.
func TestA2A3ReconcilerKilled(t *testing.T) {
	all, unknown := []string{refunding, timing, notifying}, []string{refunding, timing}
	var deaths []death
	for _, at := range []string{"reconcile.taken", "settle.before", "settle.after"} {
		deaths = append(deaths,
			death{at: at, whose: timing, scene: accepted, next: all},
			death{at: at, whose: timing, scene: succeeded, next: all},
		)
	}
	for _, at := range []string{"reconcile.taken", "reconcile.resubmit"} {
		deaths = append(deaths, death{at: at, whose: timing, scene: unaccepted, next: unknown})
	}
	for _, at := range []string{"reconcile.taken", "settle.before"} {
		deaths = append(deaths, death{at: at, whose: timing, scene: processing, next: []string{timing, notifying}})
	}
	for _, at := range []string{"call.after", "settle.before", "settle.after"} {
		deaths = append(deaths,
			death{at: at, whose: timing, scene: unaccepted, next: all},
			death{at: at, whose: timing, scene: unaccepted, fault: "500_before", next: unknown},
			death{at: at, whose: timing, scene: unaccepted, fault: notEnough, next: unknown},
		)
	}
	perform(t, deaths...)
}

// Notify dies before or after the event is in the ledger, and in any case before
// it is acknowledged: it has one effect, whoever brings it again.
func TestC17NotifyKilled(t *testing.T) {
	all := []string{notifying, refunding, timing}
	var deaths []death
	for _, at := range []string{"settle.before", "settle.after"} {
		deaths = append(deaths,
			death{at: at, whose: notifying, scene: succeeded, next: all},
			death{at: at, whose: notifying, scene: acceptedDone, next: all},
			death{at: at, whose: notifying, scene: byHand, next: []string{notifying, relaying, querying}},
			death{at: at, whose: notifying, scene: otherAmount, next: []string{notifying, relaying, querying, timing}},
			death{at: at, whose: relaying, scene: succeeded, next: append(all, relaying)},
			death{at: at, whose: relaying, scene: acceptedDone, next: append(all, relaying)},
		)
	}
	perform(t, deaths...)
}

// Whoever comes while a submission may still run is told to come back, and is
// not let at the money that it may move. A notification is believed at once.
func TestA2GoneOnAtOnce(t *testing.T) {
	t.Parallel()
	p := &play{world: newWorld(t), death: death{at: "claim.after", whose: refunding}, fen: partFen}
	p.order = p.world.order(wholeFen)
	p.die()
	p.checker = p.onLambda(dispatcher)
	if got := string(p.onLambda(reconcile).invoke("r1", `{}`, ample)); got != `{"checked":0,"settled":0,"resubmitted":0,"released":0,"delivered":0,"remaining":0}` {
		t.Errorf("timer: got %s, want nothing to be due", got)
	}
	var got struct {
		Code       int
		Retry      string
		RetryAfter int `json:"retry_after"`
	}
	decode(t, p.checker.invoke("r1", p.event(refunding), ample), &got)
	if got.Code != 503 || got.RetryAfter < 1 || got.RetryAfter > 30 || len(p.refunds()) != 0 {
		t.Errorf("the same refund at once: got %+v and %+v at WeChat, want 503 and to come back within 30s", got, p.refunds())
	}
	for _, event := range []string{refundEvent(p.order, theRefund, partFen-1), refundEvent(p.order, "R2", wholeFen-partFen+1)} {
		if got := p.checker.ask(event); got.Code != 409 {
			t.Errorf("%s: got %+v, want 409", event, got)
		}
	}
	p.next = refunding
	p.goOn()
	p.check()

	p = &play{world: newWorld(t), death: death{at: "call.after", whose: refunding}, next: notifying, fen: partFen}
	p.order = p.world.order(wholeFen)
	p.die()
	p.goOn()
	p.check()
}

// A dispatcher is killed again and again while it works, now alone, now beside
// another. Each time the ledger is sound, what was answered is in it, and what
// was cut off is there as a whole or not at all. In the end the timer has brought
// the ledger and WeChat together.
func TestD2KilledAtAnyInstant(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	seed := rand.Uint64()
	chance := rand.New(rand.NewPCG(seed, 0))
	var all [][]*call // those of one order each
	answered, cutOff := 0, 0
	for i := range *kills {
		victim := startSCF(t, dispatcher, w.env)
		p := &pair{w, [2]*scf{victim, victim}}
		if i%2 == 1 {
			p.both[1] = startSCF(t, dispatcher, w.env)
		}
		var lived [][]*call
		for j := range 4 {
			o := w.order(wholeFen)
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
					c.reply = reply{} // cut off
					if p.both[c.to] != victim {
						t.Errorf("%s: %v", c.outRefundNo, err)
					}
				}
			})
		}
		time.Sleep(time.Duration(chance.Int64N(int64(250 * time.Millisecond))))
		victim.process.signal(syscall.SIGKILL, -1)
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

	w.later()
	summary := startSCF(t, reconcile, w.env).invoke(invocation{event: `{}`, left: 50 * time.Second})
	f, h := startSCF(t, dispatcher, w.env), w.holdings()
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
			if got := f.dispatch(refundEvent(o, no+"rest", rest)); got.Code != 0 {
				t.Errorf("the rest of %d: got %+v, want code 0", rest, got)
			}
		}
		if got := f.dispatch(refundEvent(o, no+"more", 1)); got.Code != 409 {
			t.Errorf("more than the rest: got %+v, want 409", got)
		}
	}
	t.Logf("seed %d: killed %d times: %d calls answered, %d cut off; then the timer: %s", seed, *kills, answered, cutOff, summary)
}

// checkIntegrity has SQLite examine the whole ledger.
func (w *world) checkIntegrity() {
	w.t.Helper()
	db, err := sql.Open("sqlite", w.ledger)
	if err != nil {
		w.t.Fatal(err)
	}
	defer db.Close()
	var result string
	if err := db.QueryRowContext(w.t.Context(), "PRAGMA integrity_check").Scan(&result); err != nil || result != "ok" {
		w.t.Fatalf("integrity_check: got %q and %v, want ok", result, err)
	}
}
