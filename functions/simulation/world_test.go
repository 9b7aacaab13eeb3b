package simulation_test

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"wxrefund/shared/refund"
	"wxrefund/shared/sandbox"
)

// A side is what is tried: a refund back end with its three doors.
type side interface {
	// dispatch answers an event of the mini-program, or a server's.
	dispatch(c *call, event []byte) []byte
	// notification answers a notification.
	notification(c *call, w http.ResponseWriter, r *http.Request)
	// relay answers a direct invocation of the notification function.
	relay(c *call, server bool, event []byte) []byte
	// tick runs the timer.
	tick(c *call)
	// books are what this side believes of each refund once all is quiet.
	books() map[string]entry
	// renumbers says whether whoever meets a failure may try under another number.
	renumbers() bool
	close()
}

// An entry is one refund on a side's books.
type entry struct {
	status string // as WeChat Pay would call it
	fen    int64
}

// A world is one history with one side in it.
type world struct {
	history *history
	system  *system
	random  randomness
	start   time.Time
	ctx     context.Context
	log     io.Writer // nil: nobody reads it

	restless bool // the timer runs through quiet hours too

	wechat         *sandbox.Sandbox
	wechatHandler  http.Handler
	controlHandler http.Handler
	side           side
	invariants     *invariants
	running        sync.WaitGroup

	mu            sync.Mutex
	counts        figures
	numbers       map[string][]string // the refund numbers under which clients have asked, by wish
	notifications map[string]notification
	holdings      map[string]holding
	lastReply     *wireReply
	lost          map[string]bool   // numbers of which a stuck submission has been lost
	listed        map[string]string // what answers to questions have told of refunds
	billed        bool              // the channel has bills
	lastOrder     *wireReply        // the last answer about an order
	docket        *docket           // who has asked for what, and who has decided
	relayed       map[string]bool   // refunds and their ends that a genuine relay has told of: true if that was acknowledged
}

// A result is what came of a history.
type result struct {
	counts   figures
	violated []string
}

// settleDown is how long all is left alone after the last fault: longer than
// WeChat Pay repeats a notification (24 h 4 m) and than a claim is submitted again.
const settleDown = 29 * time.Hour

// run lives through a history with a side.
func run(t *testing.T, h *history, build func(*world) side, held bool, log io.Writer) (res result) {
	defer func() {
		if p := recover(); p != nil {
			panic(fmt.Sprintf("seed %d: %v", h.Seed, p))
		}
	}()
	synctest.Test(t, func(t *testing.T) {
		w := &world{
			history: h, system: h.system(), random: randomness(h.Seed), start: time.Now(), log: log,
			counts: figures{}, lost: map[string]bool{}, listed: map[string]string{}, relayed: map[string]bool{}, numbers: map[string][]string{}, notifications: map[string]notification{}, holdings: map[string]holding{},
		}
		var end context.CancelFunc
		w.docket = newDocket(w)
		w.ctx, end = context.WithCancel(context.Background())
		var err error
		w.wechat, err = sandbox.New(sandbox.Config{
			Seed: int64(h.Seed), Hostile: true, Pace: cmp.Or(h.Pace, -1), NotifyURL: notifyURL, Keys: keys().sandbox, Transport: &notificationTransport{w},
			ModuleFailure: h.Failure, Merchant: "public-key",
		})
		if err != nil {
			t.Fatal(err)
		}
		w.wechat.SetURLs(urls())
		w.wechatHandler, w.controlHandler = w.wechat.WeChat(), w.wechat.Control()
		w.invariants = newInvariants(w, held)
		w.billed = slices.Contains(h.channel(http.DefaultClient).Spec().Bills, refund.TradeBill)
		w.side = build(w)
		for _, o := range h.Orders {
			w.pay(o)
		}
		var sandboxes sync.WaitGroup
		sandboxes.Go(func() { _ = w.wechat.Run(w.ctx) }) // it ends with the context, without an error
		w.live()
		end()
		sandboxes.Wait()
		w.running.Wait()
		w.compareBooks()
		w.side.close()
		w.count("histories", 1)
		if w.readsBills() {
			w.count("histories whose channel has bills", 1)
		}
		w.count("simulated seconds", int64(time.Since(w.start)/time.Second))
		res = result{w.counts, w.invariants.found}
	})
	return res
}

// end is when all is over.
func (h *history) end() time.Duration { return h.Heal + settleDown + h.Rest }

// lasting has the sandbox commit the faults that nothing heals.
func (w *world) lasting() {
	if w.history.NoNotifications {
		w.fault(map[string]any{"notify": "lose", "rate": 1})
	}
	if w.history.Empty {
		w.fault(map[string]any{"upstream": "empty_lists", "rate": 1})
	}
}

// live lets everything happen.
func (w *world) live() {
	w.lasting()
	for _, f := range w.history.Wishes {
		w.spawn(func() { w.tap(f, f.At, "tap") })
		if f.Twice > 0 {
			w.spawn(func() { w.tap(f, f.At+f.Twice, "second tap") })
		}
	}
	for i, a := range w.history.Acts {
		w.spawn(func() { w.act(a, fmt.Sprintf("act %d", i)) })
	}
	for i, v := range w.history.Faults {
		w.spawn(func() { w.runFault(v, time.Duration(i+1)*time.Microsecond) })
	}
	for i := range w.history.Timers {
		w.spawn(func() { w.timer(fmt.Sprintf("timer %d", i)) })
	}
	w.spawn(w.awaitDays)
	w.sleepUntil(w.history.Heal)
	w.control(http.MethodDelete, "faults", nil, nil)
	w.lasting()
	w.logf("world", "HEALS")
	if !w.history.Leave { // the merchant takes up what is abnormal
		for i, u := range w.upstreams() {
			if u.Status == "ABNORMAL" {
				w.spawn(func() {
					w.sleepUntil(w.history.Heal + time.Duration(i+1)*time.Minute + time.Millisecond)
					w.settle(u.OutRefundNo, "SUCCESS")
				})
			}
		}
	}
	w.sleepUntil(w.history.end())
	w.review()
}

// quietTick is how often the timer runs when all faults have ended.
const quietTick = 30 * time.Minute

// timer runs the reconciler: often while there are faults, later just often enough, and not
// at all when it would find nothing to do.
func (w *world) timer(name string) {
	for i := 0; ; i++ {
		every := w.history.Tick
		if time.Since(w.start) > w.history.Heal+10*time.Minute {
			every = quietTick
		}
		// Each timer has an instant of its own, and reaches it before the world ends.
		next := time.Since(w.start).Truncate(every) + every
		if next += time.Duration(hash(name) % uint64(time.Second)); next >= w.history.end()-time.Minute {
			return
		}
		w.sleepUntil(next)
		if every == quietTick && !w.restless && w.invariants.quiet() {
			continue
		}
		c := w.begin(fmt.Sprintf("%s.%d", name, i), time.Minute)
		w.side.tick(c)
		c.end()
	}
}

// runFault has the sandbox inject a fault for as long as its window lasts. It begins a
// little earlier, at an instant of its own, lest it race what it is to meet.
func (w *world) runFault(v faultWindow, own time.Duration) {
	part, name, ok := strings.Cut(v.What, ":")
	if !ok || part == "bill" && !w.billed {
		return
	}
	w.sleepUntil(max(0, v.From-time.Millisecond) + own)
	in := map[string]any{part: name, "rate": v.Rate}
	if part == "query" { // an error code that questions are answered with
		in = map[string]any{"err_code": name, "on": "query", "rate": v.Rate}
	}
	if part == "order" || part == "abnormal" { // what questions about orders, or what finishes abnormal refunds, meets
		in = map[string]any{"upstream": name, "on": part, "rate": v.Rate}
		if strings.ToUpper(name) == name { // an error code
			in = map[string]any{"err_code": name, "on": part, "rate": v.Rate}
		}
	}
	stop := w.fault(in)
	w.count("faults", 1)
	w.logf("wechat", "from now on %s at %v", v.What, v.Rate)
	w.sleepUntil(v.To + own)
	stop()
}

// applies reports whether a kind of fault applies here and now.
func (w *world) applies(r *rand.Rand, what string) bool {
	now := time.Since(w.start)
	for _, v := range w.history.Faults {
		if v.What == what && now >= v.From && now < v.To && now < w.history.Heal && r.Float64() < v.Rate {
			if what != "crash" {
				w.count("faults", 1)
			}
			return true
		}
	}
	return false
}

func (w *world) sleepUntil(at time.Duration) { time.Sleep(at - time.Since(w.start)) }

// spawn starts something that ends before the world does.
func (w *world) spawn(f func()) { w.running.Go(f) }

func (w *world) count(what string, n int64) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.counts[what] += n
}

// logf writes a line of the log.
func (w *world) logf(who, format string, args ...any) {
	if w.log == nil {
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	_, _ = fmt.Fprintf(w.log, "%-18v %-28s %s\n", time.Since(w.start), who, fmt.Sprintf(format, args...))
}

// names notes a number under which a client asks.
func (w *world) names(wish, no string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if !slices.Contains(w.numbers[wish], no) {
		w.numbers[wish] = append(w.numbers[wish], no)
	}
}

// named reports whether anybody has asked for a refund of that number.
func (w *world) named(no string) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, numbers := range w.numbers {
		if slices.Contains(numbers, no) {
			return true
		}
	}
	return w.history.byHand(no)
}
