//go:build heavy

package process

import (
	"flag"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"wxrefund/shared/ledger"
	ours "wxrefund/shared/refund"
)

var races = flag.Int("races", 0, "how many races and double deliveries of each kind to run; 0: a few seconds' worth")

// rounds is how many to run where a few are enough for everyday.
func rounds(few int) int {
	if *races > 0 {
		return *races
	}
	return few
}

// A pair is two dispatchers on one ledger, as two instances of the function are.
type pair struct {
	*World
	both   [2]*SCF
	victim *Process // one that is killed meanwhile; nil: neither is
}

func newPair(t *testing.T) *pair {
	t.Helper()
	w := NewWorld(t)
	return &pair{World: w, both: [2]*SCF{StartSCF(t, Dispatcher, w.Env), StartSCF(t, Dispatcher, w.Env)}}
}

// A call is one refund that somebody asks one of the two for.
type call struct {
	order       Order
	outRefundNo string
	fen         int64
	to          int
	reply       Reply
}

// insist makes the call as a client does: as long as it is told to repeat, it
// repeats, within bounds.
func (p *pair) insist(c *call) error {
	for end := time.Now().Add(time.Minute); time.Now().Before(end); {
		b, err := p.both[c.to].Send(Invocation{Event: RefundEvent(c.order, c.outRefundNo, c.fen)})
		if err != nil {
			return err
		}
		c.reply = Parse(p.t, b)
		switch c.reply.Retry {
		case "same_number":
		case "later":
			if c.reply.Code == 409 && p.victim != nil && !p.victim.Running() {
				return nil // the dead have left claims in doubt, which hold money until the timer asks
			}
			time.Sleep(time.Duration(50+rand.IntN(100)) * time.Millisecond)
		default:
			return nil
		}
	}
	return fmt.Errorf("after a minute still %+v", c.reply)
}

// race makes the calls of each race at once, and runs a few races at a time.
func (p *pair) race(all [][]*call) {
	p.t.Helper()
	begin := time.Now()
	next := make(chan []*call)
	var racing sync.WaitGroup
	for range 8 {
		racing.Go(func() {
			for calls := range next {
				if p.t.Failed() {
					continue
				}
				start := make(chan struct{})
				var running sync.WaitGroup
				for _, c := range calls {
					running.Go(func() {
						<-start
						if err := p.insist(c); err != nil {
							p.t.Errorf("%s: %v", c.outRefundNo, err)
						}
					})
				}
				close(start)
				running.Wait()
			}
		})
	}
	for _, calls := range all {
		next <- calls
	}
	close(next)
	racing.Wait()
	if p.t.Failed() {
		p.t.FailNow()
	}
	p.t.Logf("%d races in %v", len(all), time.Since(begin).Round(time.Millisecond))
}

// An account is what the ledger holds of an order.
type account struct {
	SameAs   string `json:"same_as"` // only another name of that one
	Total    int64
	Reserved int64
	Members  []struct{ No string }
}

func readAccount(t *testing.T, item ours.Item) (a account) {
	t.Helper()
	if item.Version > 0 {
		Decode(t, item.Body, &a)
	}
	return a
}

// Holdings are what WeChat and the ledger hold, to be compared.
type holdings struct {
	refunds map[string]Refund // by number, of WeChat
	sums    map[string]int64  // by order, of WeChat
	store   *ledger.Store
}

func (w *World) holdings() holdings {
	w.t.Helper()
	h := holdings{map[string]Refund{}, map[string]int64{}, w.Store()}
	w.t.Cleanup(func() { h.store.Close() })
	for _, r := range w.Refunds() {
		h.refunds[r.OutRefundNo] = r
		h.sums[r.OutTradeNo] += r.Amount.Refund
	}
	return h
}

// balanced wants an order's account to hold what its refunds hold, and no more
// than the order has. It returns the refunds' entries, by number.
func (h holdings) balanced(t *testing.T, o Order, numbers ...string) map[string]entry {
	t.Helper()
	keys := []ours.Key{ours.Key("order/out_trade_no/" + o.OutTradeNo), ours.Key("order/transaction_id/" + o.TransactionID)}
	for _, no := range numbers {
		keys = append(keys, ours.Key("refund/"+no))
	}
	items, err := h.store.Get(t.Context(), keys...)
	if err != nil {
		t.Fatal(err)
	}
	a := readAccount(t, items[0])
	if a.SameAs != "" || items[0].Version == 0 {
		a = readAccount(t, items[1])
	}
	var held int64
	var members []string
	entries := map[string]entry{}
	for i, no := range numbers {
		var e entry
		if e.version = items[i+2].Version; e.version == 0 {
			continue
		}
		Decode(t, items[i+2].Body, &e)
		entries[no] = e
		held += e.Held
		if e.Counted {
			members = append(members, no)
		}
	}
	var counted []string
	for _, m := range a.Members {
		counted = append(counted, m.No)
	}
	slices.Sort(members)
	slices.Sort(counted)
	if a.Reserved != held || !slices.Equal(members, counted) || a.Reserved > o.Total {
		t.Errorf("order %s of %d: its account is %+v, its refunds hold %d: %v", o.OutTradeNo, o.Total, a, held, members)
	}
	return entries
}

// agree wants WeChat and the ledger to hold exactly those refunds of an order
// that were promised, in the same state, for no more than the order has.
func (h holdings) agree(t *testing.T, o Order, promised map[string]int64, numbers ...string) map[string]entry {
	t.Helper()
	entries := h.balanced(t, o, numbers...)
	var sum int64
	for _, no := range numbers {
		fen := promised[no]
		r, held := h.refunds[no]
		e, known := entries[no]
		if held != (fen > 0) || r.Amount.Refund != fen {
			t.Errorf("%s: WeChat holds %+v, want %d fen", no, r, fen)
		}
		if known != held || held && (e.State != "processing" || e.Refund.Status != r.Status || e.Refund.Amount != r.Amount || e.Held != fen) {
			t.Errorf("%s: the ledger holds %+v, WeChat %+v", no, e, r)
		}
		sum += fen
	}
	if h.sums[o.OutTradeNo] != sum || sum > o.Total {
		t.Errorf("order %s of %d: WeChat holds %d fen, promised were %d", o.OutTradeNo, o.Total, h.sums[o.OutTradeNo], sum)
	}
	return entries
}

// outcomes looks at a race of which every call was answered for good: a refund or
// a conflict. It returns what was promised, and which process has won.
func outcomes(t *testing.T, calls []*call) (promised map[string]int64, wins [2]int) {
	t.Helper()
	promised = map[string]int64{}
	for _, c := range calls {
		switch {
		case c.reply.Code == 0:
			if c.reply.Data.OutRefundNo != c.outRefundNo || c.reply.Data.Amount.Refund != c.fen {
				t.Errorf("%s: got %+v, want a refund of %d", c.outRefundNo, c.reply, c.fen)
			}
			promised[c.outRefundNo] = c.fen
			wins[c.to]++
		case c.reply.Code != 409:
			t.Errorf("%s: got %+v, want 0 or 409", c.outRefundNo, c.reply)
		}
	}
	return promised, wins
}

func numbers(calls []*call) (all []string) {
	for _, c := range calls {
		if !slices.Contains(all, c.outRefundNo) {
			all = append(all, c.outRefundNo)
		}
	}
	return all
}

// A7, A9: refunds of one order that together would exceed it, or be more than fifty, are
// asked of two processes at once: two of 60 when 100 are left, be they the order's first
// or not, 51 of 1, and parts at random, while WeChat stumbles and some are asked for
// twice. Never more than the order, and nothing is refused that would have had room.
func TestPartialRefundsNeverExceedTheOrder(t *testing.T) {
	t.Parallel()
	p := newPair(t)
	seed := rand.Uint64()
	chance := rand.New(rand.NewPCG(seed, 0))
	one := func(o Order, no string, fen int64, to int) *call {
		return &call{order: o, outRefundNo: no, fen: fen, to: to}
	}
	var earlier, steady, stumbling [][]*call
	before := map[string]*call{} // the earlier refund of an order
	for i := range rounds(150) {
		o := p.Order(100 + int64(i%2))
		if i%2 == 1 {
			before[o.OutTradeNo] = one(o, fmt.Sprintf("P%d-0", i), 1, i/2%2)
			earlier = append(earlier, []*call{before[o.OutTradeNo]})
		}
		steady = append(steady, []*call{one(o, fmt.Sprintf("P%d-a", i), 60, 0), one(o, fmt.Sprintf("P%d-b", i), 60, 1)})
	}
	for i := range max(2, rounds(0)/100) {
		o := p.Order(100)
		var calls []*call
		for j := range ours.MaxRefunds + 1 {
			calls = append(calls, one(o, fmt.Sprintf("F%d-%d", i, j), 1, j%2))
		}
		steady = append(steady, calls)
	}
	for i := range rounds(50) {
		o := p.Order(100)
		var calls []*call
		for j := range 6 {
			c := one(o, fmt.Sprintf("R%d-%d", i, j), 1+chance.Int64N(60), j%2)
			calls = append(calls, c)
			if chance.IntN(4) == 0 {
				calls = append(calls, one(o, c.outRefundNo, c.fen, 1-c.to))
			}
		}
		stumbling = append(stumbling, calls)
	}
	p.race(earlier)
	p.race(steady)
	for _, fault := range []string{"500_before", "500_after", "reset_after"} {
		p.Post("/_sandbox/faults", `{"upstream":"`+fault+`","rate":0.07}`)
	}
	p.race(stumbling)
	h := p.holdings()
	var won [2]int
	for _, calls := range append(steady, stumbling...) {
		o := calls[0].order
		if c := before[o.OutTradeNo]; c != nil {
			calls = append(calls, c)
		}
		promised, wins := outcomes(t, calls)
		won[0], won[1] = won[0]+wins[0], won[1]+wins[1]
		h.agree(t, o, promised, numbers(calls)...)
		left := o.Total - h.sums[o.OutTradeNo]
		if len(promised) > ours.MaxRefunds {
			t.Errorf("order %s: %d refunds were promised, want at most %d", o.OutTradeNo, len(promised), ours.MaxRefunds)
		}
		for _, c := range calls {
			switch {
			case promised[c.outRefundNo] == 0 && c.fen <= left && len(promised) < ours.MaxRefunds:
				t.Errorf("%s: %d were refused while %d are left", c.outRefundNo, c.fen, left)
			case promised[c.outRefundNo] > 0 && c.reply.Code != 0:
				t.Errorf("%s: got %+v, and a refund of the same", c.outRefundNo, c.reply)
			}
		}
	}
	t.Logf("seed %d: calls won by either process: %v; no order refunded beyond its total", seed, won)
}

// A6: the same refund, asked of two processes at once, is submitted once; of two
// that differ under one number, one is.
func TestOneNumberIsSubmittedOnce(t *testing.T) {
	t.Parallel()
	p := newPair(t)
	var all [][]*call
	for i := range rounds(100) {
		o := p.Order(100)
		calls := []*call{
			{order: o, outRefundNo: fmt.Sprint("R", i), fen: 60, to: 0},
			{order: o, outRefundNo: fmt.Sprint("R", i), fen: 60, to: 1},
		}
		if i%3 == 0 {
			calls[i/3%2].fen = 50
		}
		all = append(all, calls)
	}
	for i, many := range []int{2, 4, 8, 16, 32, 64} { // at once
		o := p.Order(100)
		var calls []*call
		for j := range many {
			calls = append(calls, &call{order: o, outRefundNo: fmt.Sprint("M", i), fen: 60, to: j % 2})
		}
		all = append(all, calls)
	}
	p.race(all)
	h := p.holdings()
	again := 0
	for _, calls := range all {
		no, same := calls[0].outRefundNo, calls[0].fen == calls[1].fen
		promised, wins := outcomes(t, calls)
		if got := wins[0] + wins[1]; same && got != len(calls) || !same && got != 1 {
			t.Errorf("%s: %d of %d were promised: %+v and %+v", no, got, len(calls), calls[0].reply, calls[1].reply)
		}
		for _, c := range calls {
			if c.reply.Code == 409 && !strings.Contains(c.reply.Message, "amount.refund") {
				t.Errorf("%s: got %+v, want amount.refund named", no, c.reply)
			}
			if c.reply.Code == 0 && c.reply.Data.RefundID != h.refunds[no].RefundID {
				t.Errorf("%s: got refund %s, want %s", no, c.reply.Data.RefundID, h.refunds[no].RefundID)
			}
		}
		e := h.agree(t, calls[0].order, promised, no)[no]
		if e.Attempt > 1 {
			again++
		}
		if e.overlaps() {
			t.Errorf("%s: a submission left while another was under way: %+v", no, e.History)
		}
	}
	t.Logf("%d races; %d refunds were submitted again, after an answer was lost", len(all), again)
}

// C11: two processes get the same notification at once, twice each. It has one effect, all
// acknowledge it, and none before that effect is in the ledger.
func TestNotificationAtTwoProcessesHasOneEffect(t *testing.T) {
	t.Parallel()
	w := NewWorld(t)
	both := []*Plain{StartPlain(t, Notify, w.Env), StartPlain(t, Notify, w.Env)}
	functions := StartSCF(t, Dispatcher, w.Env)
	ledger := w.holdings()
	n := rounds(100)
	for i := range n {
		no, o := fmt.Sprint("R", i), w.Order(100)
		versions := int64(1)
		if i%2 == 0 {
			w.Post("/_sandbox/refunds", fmt.Sprintf(`{"out_trade_no":%q,"out_refund_no":%q,"amount":60}`, o.OutTradeNo, no))
		} else {
			for functions.Dispatch(RefundEvent(o, no, 60)).Retry == "later" { // too many at once
				time.Sleep(50 * time.Millisecond)
			}
			versions = 3 // claimed, answered, and this
		}
		w.Post("/_sandbox/refunds/"+no+"/settle", `{"status":"SUCCESS"}`)
		l := w.Inbox.Last()

		key := ours.Key("refund/" + no)
		start := make(chan struct{})
		var racing sync.WaitGroup
		var early atomic.Int32
		for j := range 4 {
			racing.Go(func() {
				<-start
				answer, err := both[j%2].Try(l)
				if err != nil || answer != "200 "+Acknowledged {
					t.Errorf("%s: got %s and %v, want %s", no, answer, err, Acknowledged)
				}
				items, err := ledger.store.Get(t.Context(), key)
				if err != nil || !strings.Contains(string(items[0].Body), `"state":"success"`) {
					early.Add(1)
				}
			})
		}
		close(start)
		racing.Wait()
		if early.Load() > 0 {
			t.Errorf("%s: acknowledged before it was in the ledger", no)
		}
		if e := ledger.balanced(t, o, no)[no]; e.version != versions || e.count("success") != 1 || e.State != "success" {
			t.Errorf("%s: the ledger holds %+v, want version %d and one success", no, e, versions)
		}
	}
	effects, acknowledgements := [2]int{}, 0
	Await(t, "the log of all notifications", func() bool {
		effects, acknowledgements = [2]int{}, 0
		for i, f := range both {
			log := f.Process.Stderr.String()
			effects[i] = strings.Count(log, `"changed":true`)
			acknowledgements += strings.Count(log, `"changed":`)
		}
		return acknowledgements == 4*n
	})
	if effects[0]+effects[1] != n {
		t.Errorf("%d notifications had %v effects in the two processes, want one each", n, effects)
	}
	t.Logf("%d notifications, %d acknowledgements, effects in either process: %v", n, acknowledgements, effects)
}
