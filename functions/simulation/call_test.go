package simulation_test

import (
	"context"
	"errors"
	"math/rand/v2"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"time"

	"wxrefund/shared/refund"
)

// A call is one invocation of one function by the platform. Everything that the
// function does to the world passes through its call, so that killing the call
// is the same as killing the process: from that moment on nothing that it
// attempts has any effect, and nothing that it says is heard.
type call struct {
	w      *world
	name   string // what it is for; the same in every run of a history
	ctx    context.Context
	cancel context.CancelFunc
	given  context.Context // what the function gets: it ends earlier if the caller hangs up

	mu    sync.Mutex
	dead  bool
	draws map[string]int
	lanes map[string]string        // the subscriber that a goroutine delivers to
	heard map[string]event         // what the outside has told it, by refund number
	looks map[string]time.Duration // when it last saw the ledger's word on a refund

	as       *refund.Caller    // who calls; nil: a server
	forged   bool              // the notification that it answers was not written by WeChat Pay
	unlisted bool              // whoever makes it is on nobody's list
	bills    [][]byte          // what it has read of bills that nothing is wrong with
	flawed   bool              // something is wrong with the bill that it asks for
	ordered  bool              // it has been told about the order, which has two numbers
	vouched  map[string]string // what the platform's genuine relays have told, by refund number
}

// An event is what a call has been told of a refund, judged independently of the
// code under test.
type event struct {
	status  string // PROCESSING, SUCCESS, CLOSED, ABNORMAL; "" if none was told
	refused bool   // a definite no
	absent  bool   // asked, WeChat Pay holds nothing under the number
	exists  bool   // asked, it counts the refund and tells nothing of it
	source  string
}

var (
	errCrashed = errors.New("simulation: this instance is no more")
	errStore   = errors.New("simulation: the store does not answer")
)

// begin starts an invocation that the platform kills after limit.
func (w *world) begin(name string, limit time.Duration) *call {
	c := &call{w: w, name: name, draws: map[string]int{}, lanes: map[string]string{}, heard: map[string]event{}, looks: map[string]time.Duration{}, vouched: map[string]string{}}
	c.ctx, c.cancel = context.WithTimeout(w.ctx, limit)
	c.given = c.ctx
	if d := c.luck("", "caller"); w.applies(d, "caller leaves") {
		given, leave := context.WithCancel(c.ctx)
		c.given = given
		time.AfterFunc(span(d, time.Millisecond, 2*time.Second), leave)
	}
	w.count("calls", 1)
	w.logf(name, "begins")
	return c
}

// end tells whether the caller gets to hear what the call has answered.
func (c *call) end() bool {
	defer c.cancel()
	if c.over() && !c.crashed() { // the platform waits for nobody
		c.kill("at the end of its time")
	}
	return !c.cross("", "acknowledge")
}

// luck is a source of randomness for the next thing that the call does about a refund.
func (c *call) luck(no, verb string) *rand.Rand {
	c.mu.Lock()
	if len(c.lanes) > 0 { // most calls deliver nothing
		if to := c.lanes[goroutine()]; to != "" {
			no += " to " + to
		}
	}
	c.draws[no]++
	n := c.draws[no]
	c.mu.Unlock()
	return c.w.random.of(c.name, no, verb, strconv.Itoa(n))
}

// delivers keeps the goroutine that delivers to a subscriber apart from the others of
// the call. Each records what came of its delivery, and repeats that, if another was
// faster, after a pause that the service draws by itself: none may depend on the order.
func (c *call) delivers(to string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.lanes[goroutine()] = to
}

// goroutine names the one that runs.
func goroutine() string {
	var b [64]byte
	name, _, _ := strings.Cut(string(b[:runtime.Stack(b[:], false)]), " [")
	return name
}

// phase is the instant within a beat at which the next thing about a refund happens.
func (c *call) phase(no string) uint64 { return c.luck(no, "phase").Uint64() }

func (c *call) crashed() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.dead
}

func (c *call) kill(where string) {
	c.mu.Lock()
	already := c.dead
	c.dead = true
	c.mu.Unlock()
	if already {
		return
	}
	c.cancel()
	c.w.count("crashes", 1)
	c.w.count("crash "+where, 1)
	if where == "after send" || where == "before settle" {
		c.w.count(rare+"the instance dies between the call and the record of its answer", 1)
	}
	c.w.logf(c.name, "CRASHES %s", where)
}

// over reports whether its time is up, or it is dead already. What ends at the very
// instant at which its time is up ends too late, whichever is noticed first.
func (c *call) over() bool {
	end, _ := c.ctx.Deadline()
	return c.ctx.Err() != nil || !time.Now().Before(end)
}

// cross takes one step over the boundary between the call and the world. It
// reports true if the call is dead, be it by this step.
func (c *call) cross(no, where string) bool {
	if c.over() {
		return true
	}
	c.w.count("steps", 1)
	r := c.luck(no, where)
	if c.w.applies(r, "crash") || strings.HasPrefix(c.name, "timer ") && c.w.during(r, "reader crashes") {
		c.kill(where)
	}
	return c.crashed()
}

// hears notes what the call is told of a refund.
func (c *call) hears(no string, n event) {
	u, held := c.w.upstream(no)
	others := held && !c.w.invariants.claimed(no, u)
	c.mu.Lock()
	defer c.mu.Unlock()
	// What is not found was still refused before, and so it was if it turns out that
	// somebody else's refund has the number.
	if n.source == "ask" && (n.status == "" || others) {
		n.refused = n.refused || c.heard[no].refused
	}
	c.heard[no] = n
}

// vouches notes what a genuine relay tells: worth something only to who trusts it.
func (c *call) vouches(no, status string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.vouched[no] = status
}

// trusts is what the call may believe a relay: that is so only where relays are
// trusted, and WeChat Pay has said that the refund exists and nothing else of it.
func (c *call) trusts(no string) string {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.w.history.Trust || !c.heard[no].exists {
		return ""
	}
	return c.vouched[no]
}

func (c *call) told(no string) event {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.heard[no]
}

// knew reports whether the call could know that WeChat Pay holds a refund: its own
// submission was accepted, or another's before it last looked at the ledger. A
// refusal is no lie if somebody repeats what was refused and succeeds meanwhile.
func (c *call) knew(no string) bool {
	c.w.mu.Lock()
	since, ok := c.w.holdings[no]
	c.w.mu.Unlock()
	c.mu.Lock()
	defer c.mu.Unlock()
	return ok && (since.by == c.name || since.at <= c.looks[no])
}

// A holding is since when WeChat Pay holds a refund, and by whose request.
type holding struct {
	at time.Duration
	by string
}

// taken notes that a request, which arrived at some time, may have made WeChat Pay
// hold a refund.
func (w *world) taken(no, by string, at time.Duration) {
	_, held := w.upstream(no)
	w.mu.Lock()
	defer w.mu.Unlock()
	if _, known := w.holdings[no]; held && !known {
		w.holdings[no] = holding{at, by}
	}
}

// store carries one access to a store through the faults. do is the access
// itself; kind names it for whoever counts crashes.
func (c *call) store(ctx context.Context, no, kind string, do func(context.Context) error) error {
	if c.over() {
		return errCrashed
	}
	r := c.luck(no, "store")
	beats := r.IntN(2)
	if c.w.applies(r, "store slow") {
		beats += r.IntN(50)
	}
	if err := c.w.wait(ctx, c.phase(no), beats); err != nil {
		return err
	}
	switch { // only now: it may have been a pause of the service's own that has ended before
	case c.cross(no, "before "+kind):
		return errCrashed
	case c.w.applies(r, "store hangs"):
		if _, ends := ctx.Deadline(); ends {
			c.w.invariants.judge("answer: nobody waits for the store for ever", true, "")
			<-ctx.Done()
			return ctx.Err()
		}
		// Only the platform ends this, and nobody hears an answer that may be known. At
		// the very instant at which it does, nothing is lost by it.
		end, _ := c.ctx.Deadline()
		c.w.invariants.judge("answer: nobody waits for the store for ever", time.Until(end) <= 0, "%s would (%s of %s)", c.name, kind, no)
		<-c.ctx.Done()
		return errCrashed
	case c.w.applies(r, "store down"), c.w.applies(r, "store errs"), strings.HasPrefix(no, billPrefix) && c.w.during(r, "ledger errs"):
		c.w.logf(c.name, "%s %s: the store fails", kind, no)
		return errStore
	}
	err := do(ctx)
	if err == nil {
		c.mu.Lock()
		c.looks[no] = time.Since(c.w.start)
		c.mu.Unlock()
	}
	c.w.logf(c.name, "%s %s: %s", kind, no, outcome(err))
	if c.cross(no, "after "+kind) {
		return errCrashed
	}
	writes := kind != "read" && kind != "list"
	if c.w.applies(r, "store forgets") || writes && c.w.applies(r, "commit forgets") || strings.HasPrefix(no, billPrefix) && c.w.during(r, "ledger forgets") {
		c.w.logf(c.name, "%s %s: the answer is lost", kind, no)
		if writes && err == nil {
			c.w.count(rare+"a commit is made, and its answer lost", 1)
		}
		return errStore
	}
	return err
}

func outcome(err error) string {
	if err == nil {
		return "done"
	}
	return strings.TrimPrefix(err.Error(), "refund: ")
}
