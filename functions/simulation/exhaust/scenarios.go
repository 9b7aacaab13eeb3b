package exhaust

import (
	"context"
	"fmt"
	"slices"
	"time"

	"wxrefund/shared/refund"
)

// A wish is a refund that a client is owed.
type wish struct {
	no            string
	order         int
	fen           int64
	total         int64 // as the client says; 0: the order's
	byTransaction bool  // names the order by WeChat's number
	both          bool  // by both
	calls         int
	operator      string // who asks; "": a server
}

// An act is what somebody does once.
type act struct {
	what string
	may  func(r *run) bool // nil: at any time
	do   func(r *run)
	time bool // time passes by it
}

// A Scenario is a small world and its bounds.
type Scenario struct {
	Name        string
	Trouble     int // what may go wrong, in all
	Overtakings int // how often a call is overtaken by another
	Waits       int // how often time passes

	wishes []wish
	orders []order
	acts   []act
	policy refund.Policy
	leaps  []time.Duration // that time may pass in at once, besides until the timer has something to do

	pace     bool // refunds of one order keep their distance, as is usual
	letters  bool // notifications come
	abnormal bool // refunds become abnormal, and are closed
	refusals bool // the balance may be too low
	forgets  bool // WeChat Pay may not find what it has
	freeze   bool // a process may stand still
	bill     bool // bills are read
	nobody   bool // there is no subscriber
	trade    bool // only where orders have both numbers
}

// runsOn reports whether the scenario can be on a system.
func (s *Scenario) runsOn(x *system) bool {
	return !(s.trade && x.byTrade) && !(s.letters && x.letters == none) && !(s.bill && len(x.spec.Bills) == 0)
}

// ReadsBills reports whether bills are read in the scenario, which takes long.
func (s *Scenario) ReadsBills() bool { return s.bill }

// least is the least time between two submissions for one order.
func (s *Scenario) least() time.Duration {
	if s.pace {
		return time.Minute
	}
	return -1
}

// orders that were paid.
func paid(n int) []order {
	return []order{{"4200000000000001", "ORDER1", 100}, {"4200000000000002", "ORDER2", 100}}[:n]
}

// Scenarios are all worlds: at level 0 small enough for every test run, at higher ones
// with more of everything.
func Scenarios(level int) []Scenario {
	all := []Scenario{
		{
			Name: "two refunds that exceed their order", Trouble: 1, Overtakings: 1, Waits: 1, orders: paid(1), nobody: true,
			wishes: []wish{{no: "R1", fen: 60, calls: 1}, {no: "R2", fen: 60, calls: 1}},
		},
		{
			Name: "an order with two numbers", Trouble: 1, Overtakings: 1, Waits: 0, orders: paid(1), nobody: true, trade: true,
			wishes: []wish{{no: "R1", fen: 60, calls: 1, both: true}, {no: "R2", fen: 60, calls: 1}},
		},
		{
			Name: "a client that is wrong about the total", Trouble: 0, Overtakings: 1, Waits: 0, orders: paid(1), nobody: true,
			wishes: []wish{{no: "R1", fen: 60, calls: 1}, {no: "R2", fen: 60, total: 200, calls: 1}},
		},
		{
			Name: "one refund, asked for twice", Trouble: 2, Overtakings: 1, Waits: 0, orders: paid(1), nobody: true, refusals: true,
			wishes: []wish{{no: "R1", fen: 60, calls: 1}, {no: "R1", fen: 60, calls: 1}},
		},
		{
			Name: "one number, two contents", Trouble: 1, Overtakings: 1, Waits: 1, orders: paid(1), nobody: true, refusals: true,
			wishes: []wish{{no: "R1", fen: 60, calls: 1}, {no: "R1", fen: 50, calls: 1}},
		},
		{
			Name: "how a refund ends", Trouble: 1, Overtakings: 1, Waits: 1, orders: paid(1), letters: true, abnormal: true,
			wishes: []wish{{no: "R1", fen: 60, calls: 1}},
		},
		{
			Name: "a doubt that ends", Trouble: 2, Waits: 1, orders: paid(1), nobody: true, refusals: true, leaps: []time.Duration{16 * time.Minute},
			wishes: []wish{{no: "R1", fen: 60, calls: 2}},
		},
		{
			Name: "a doubt that is withdrawn", Trouble: 2, Waits: 2, orders: paid(1), nobody: true, forgets: true, leaps: []time.Duration{16 * time.Minute},
			wishes: []wish{{no: "R1", fen: 60, calls: 1}},
			acts:   []act{withdraw("R1")},
		},
		{
			Name: "a process that stands still", Trouble: 2, Waits: 1, orders: paid(1), nobody: true, freeze: true,
			wishes: []wish{{no: "R1", fen: 60, calls: 1}},
		},
		{
			Name: "a number that somebody else uses", Trouble: 1, Overtakings: 1, Waits: 2, orders: paid(2), nobody: true,
			wishes: []wish{{no: "R1", fen: 60, calls: 1}},
			acts:   []act{byHand("R1", 1, 60)},
		},
		{
			Name: "a number that somebody else uses for another amount", Trouble: 1, Overtakings: 0, Waits: 2, orders: paid(1), nobody: true,
			wishes: []wish{{no: "R1", fen: 60, calls: 1}},
			acts:   []act{byHand("R1", 0, 30)},
		},
		{
			Name: "a refund by hand beside one in doubt", Trouble: 1, Overtakings: 0, Waits: 1, orders: paid(1), letters: true, nobody: true, pace: true,
			wishes: []wish{{no: "R1", fen: 40, calls: 1}},
			acts:   []act{byHand("H1", 0, 40)},
		},
		{
			Name: "a person who ends a doubt", Trouble: 1, Overtakings: 1, Waits: 1, orders: paid(1), nobody: true, leaps: []time.Duration{16 * time.Minute},
			wishes: []wish{{no: "R1", fen: 60, calls: 1}},
			acts:   []act{release("R1"), withdraw("R1")},
		},
		{
			Name: "a bill", Trouble: 1, Overtakings: 0, Waits: 0, orders: paid(1), nobody: true, bill: true,
			wishes: []wish{{no: "R1", fen: 60, calls: 1}},
			acts:   []act{byHand("H1", 0, 60), tomorrow(), later()},
		},
		{
			Name: "a refund that two have to agree to", Trouble: 0, Overtakings: 1, Waits: 0, orders: paid(1), nobody: true,
			policy: refund.Policy{ApprovalFen: 50},
			wishes: []wish{{no: "R1", fen: 60, calls: 1, operator: "one"}, {no: "R1", fen: 55, calls: 1, operator: "one"}},
			acts:   []act{approve("one", "R1"), approve("two", "R1")},
		},
	}
	for i := range all {
		sc := &all[i]
		switch {
		case level == 1:
			sc.Trouble, sc.Waits = max(sc.Trouble, 2), sc.Waits+1
		case level > 1:
			sc.Trouble, sc.Waits, sc.Overtakings = max(sc.Trouble, 2)+level-2, sc.Waits+level-1, max(1, sc.Overtakings+level-2)
			sc.wishes[0].calls++
		}
	}
	return all
}

// Bounds says what all scenarios are bounded by.
func Bounds(all []Scenario) string {
	var wishes, calls, trouble, over, waits int
	for _, s := range all {
		n := 0
		for _, w := range s.wishes {
			n += w.calls
		}
		wishes, calls = max(wishes, len(s.wishes)), max(calls, n)
		trouble, over, waits = max(trouble, s.Trouble), max(over, s.Overtakings), max(waits, s.Waits)
	}
	return fmt.Sprintf("(%d worlds of up to %d clients, %d calls, %d troubles, %d overtakings, %d waits)", len(all), wishes, calls, trouble, over, waits)
}

// byHand is a refund on the merchant platform.
func byHand(no string, order int, fen int64) act {
	return act{what: "by hand", may: func(r *run) bool { return r.w.held(no) == nil }, do: func(r *run) {
		o := r.x.scenario.orders[order]
		r.say("somebody refunds %d of order %s by hand, as %s", fen, o.trade, no)
		_, _ = r.arrive(refund.Request{OutRefundNo: no, OutTradeNo: o.trade, Amount: refund.RequestAmount{Refund: fen, Total: o.total, Currency: "CNY"}}, true, -1)
	}}
}

// tomorrow is when the day's bill can be had.
func tomorrow() act {
	return act{what: "tomorrow", time: true, do: func(r *run) {
		r.w.now = r.w.now.Add(24*time.Hour + 10*time.Minute)
		r.say("it is tomorrow, and there is a bill")
		r.do(move{kind: "timer"})
	}}
}

// later is when who has begun to read it is no longer waited for.
func later() act {
	return act{what: "later", time: true, may: func(r *run) bool { return r.w.now.Sub(r.x.start) > 24*time.Hour }, do: func(r *run) {
		r.w.now = r.w.now.Add(time.Hour)
		r.say("an hour later")
		r.do(move{kind: "timer"})
	}}
}

// onRecord is the state of a refund in the ledger; "": it has none.
func (r *run) onRecord(no string) string {
	it := r.w.items[refund.Key("refund/"+no)]
	if it.Version == 0 {
		return ""
	}
	return r.x.row(it).State
}

// person has somebody use the operator's program.
func person(what string, may func(r *run) bool, does func(ctx context.Context, s *refund.Service) error) act {
	return act{what: what, may: may, do: func(r *run) {
		r.begin("the operator", -1, func(s *refund.Service, _ *actor) {
			r.say("the operator %s", what)
			if err := does(context.Background(), s); err != nil {
				r.say("the operator is answered: %s", refund.AsError(err).Code)
			}
		})
	}}
}

func inDoubt(no string) func(r *run) bool {
	return func(r *run) bool { return r.onRecord(no) == "claimed" }
}

func release(no string) act {
	return person("releases "+no, inDoubt(no), func(ctx context.Context, s *refund.Service) error {
		return s.Release(ctx, refund.Release{OutRefundNo: no, By: "operator x"})
	})
}

func withdraw(no string) act {
	return person("withdraws "+no, inDoubt(no), func(ctx context.Context, s *refund.Service) error { return s.Cancel(ctx, no, "operator x") })
}

// approve has an operator approve whatever waits.
func approve(who, no string) act {
	return act{what: who + " approves", may: func(r *run) bool { return r.application() != "" }, do: func(r *run) {
		id := r.application()
		r.begin("operator "+who, -1, func(s *refund.Service, _ *actor) {
			r.say("operator %s approves what %s is to be", who, no)
			got := dispatch(s, refund.Caller{Kind: refund.Operator, Name: who}, "wxpay_refund_approve", map[string]string{"application_id": id})
			if got.name() != "denied" {
				r.w.approvers = append(slices.Clone(r.w.approvers), who)
			}
			r.say("operator %s is answered: %s", who, got.name())
		})
	}}
}

// application is the one that there is.
func (r *run) application() string {
	for k := range r.w.items {
		if id, ok := trimmed(k, "application/"); ok {
			return id
		}
	}
	return ""
}
