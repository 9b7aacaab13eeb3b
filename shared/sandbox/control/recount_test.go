package control_test

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	gocmp "github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"wxrefund/shared/sandbox"
	"wxrefund/shared/sandbox/sandboxtest"
)

// A refundCount is one refund as it is counted by hand.
type refundCount struct {
	at                         time.Time
	no, status, currency       string
	held, arrived              int // by the merchant's word, or WeChat's
	gapHeld, gapArrived        int
	inDoubt, undelivered, owed bool
}

func (c refundCount) open() bool {
	return slices.Contains([]string{"claimed", "processing", "abnormal"}, c.status)
}

func (c refundCount) gap() int { return max(c.gapHeld, -c.gapHeld, c.gapArrived, -c.gapArrived) }

// recount reads anew what WeChat's side lists in full and what the merchant has, and
// returns all refunds, the newest first, the states of all notifications, and when one is
// sent next.
func recount(w *sandboxtest.World, m *merchant) (all []refundCount, notices map[string]int, next time.Time) {
	var listed struct {
		Refunds []struct {
			OutRefundNo string    `json:"out_refund_no"`
			CreateTime  time.Time `json:"create_time"`
			Status      string
			Amount      struct {
				Refund   int
				Currency string
			}
		}
		Deliveries []struct {
			OutRefundNo string `json:"out_refund_no"`
			State       string
			NextAt      *time.Time `json:"next_at"`
		}
	}
	w.Control("GET", "/_sandbox/refunds", "", 200).Decode(w.T, &listed)
	w.Control("GET", "/_sandbox/deliveries", "", 200).Decode(w.T, &listed)
	of := map[string]*refundCount{}
	for _, r := range listed.Refunds {
		c := &refundCount{no: r.OutRefundNo, at: r.CreateTime, status: strings.ToLower(r.Status), currency: r.Amount.Currency}
		if r.Status != "CLOSED" {
			c.held = r.Amount.Refund
		}
		if r.Status == "SUCCESS" {
			c.arrived = r.Amount.Refund
		}
		c.gapHeld, c.gapArrived = -c.held, -c.arrived
		of[c.no] = c
	}
	for no, r := range m.records {
		c := of[no]
		if c == nil {
			c = &refundCount{no: no, at: r.At, currency: r.Currency}
			of[no] = c
		}
		c.gapHeld, c.gapArrived = c.gapHeld+int(r.Held), c.gapArrived+int(r.Arrived)
		c.status, c.held, c.arrived, c.inDoubt, c.owed = r.State, int(r.Held), int(r.Arrived), r.InDoubt, r.Owed
	}
	notices = map[string]int{"pending": 0, "delivered": 0, "failed": 0, "lost": 0}
	for _, d := range listed.Deliveries {
		notices[d.State]++
		if d.NextAt != nil && (next.IsZero() || d.NextAt.Before(next)) {
			next = *d.NextAt
		}
		of[d.OutRefundNo].undelivered = of[d.OutRefundNo].undelivered || d.State != "delivered"
	}
	for _, c := range of {
		all = append(all, *c)
	}
	slices.SortFunc(all, func(a, b refundCount) int { return cmp.Or(b.at.Compare(a.at), cmp.Compare(b.no, a.no)) })
	return all, notices, next
}

// figuresOf sums it up.
func figuresOf(all []refundCount, notices map[string]int, orders int) totalsView {
	out := totalsView{
		States:             map[string]int{"claimed": 0, "processing": 0, "abnormal": 0, "success": 0, "closed": 0, "rejected": 0},
		NotificationStates: notices, Refunds: len(all), Orders: orders,
	}
	for _, n := range notices {
		out.Notifications += n
	}
	money := map[string]moneyView{"CNY": {Currency: "CNY"}}
	for _, c := range all {
		for _, f := range []struct {
			is bool
			n  *int
		}{{c.open(), &out.Open}, {c.inDoubt, &out.InDoubt}, {c.undelivered, &out.Undelivered}, {c.owed, &out.Owed}} {
			if f.is {
				*f.n++
			}
		}
		out.States[c.status]++
		sum := money[c.currency]
		money[c.currency] = moneyView{c.currency, sum.Refunds + 1, sum.Held + c.held, sum.Arrived + c.arrived, sum.Difference + c.gap()}
	}
	for _, currency := range slices.Sorted(maps.Keys(money)) {
		out.Money = append(out.Money, money[currency])
	}
	return out
}

// A bench is a sandbox to which anything is done.
type bench struct {
	w       *sandboxtest.World
	m       *merchant
	orders  []string
	refunds []string
}

// try makes a request that may be refused, and tells whether it was not.
func (b *bench) try(path, body string, values ...any) bool {
	return sandboxtest.Serve(b.w.Sandbox.Control(), sandboxtest.ControlRequest("POST", "/_sandbox/"+path, fmt.Sprintf(body, values...))).Status == 200
}

// do does something that chance chooses: a number below another one.
func (b *bench) do(chance func(int) int) {
	one := func(of ...string) string { return of[chance(len(of))] }
	switch what := chance(9); {
	case what == 0 || len(b.orders) == 0:
		no := fmt.Sprintf("T%d", len(b.orders))
		b.orders = append(b.orders, no)
		b.try("orders", `{"out_trade_no":%q,"total":10000,"currency":%q}`, no, one("CNY", "CNY", "USD", "JPY"))
	case what <= 2 || len(b.refunds) == 0:
		no := fmt.Sprintf("R%d", len(b.refunds))
		if b.try("refunds", `{"out_trade_no":%q,"out_refund_no":%q,"amount":%d}`, one(b.orders...), no, 1+chance(300)) {
			b.refunds = append(b.refunds, no)
		}
	case what <= 4:
		b.try("refunds/"+one(b.refunds...)+"/settle", `{"status":%q}`, one("SUCCESS", "CLOSED", "ABNORMAL"))
	case what <= 6:
		b.m.writes(b.w, sandbox.MerchantRefund{
			OutRefundNo: one(append([]string{"M0", "M1"}, b.refunds...)...), State: one("claimed", "processing", "success", "closed", "rejected", "abnormal"),
			Refund: 7, Held: int64(chance(3) * 7), Arrived: int64(chance(2) * 7), Currency: "CNY",
			InDoubt: chance(2) == 1, Owed: chance(2) == 1, At: b.w.Sandbox.Now(),
		})
	case what == 7:
		b.try("faults", `{"notify":%q,"count":1}`, one("lose", "stale", "delay", "reorder", "duplicate"))
	default:
		b.try("clock", `{"advance":%q}`, one("1s", "40s", "200s"))
	}
}

// A follower is what a page knows that has only listened to the stream.
type follower struct {
	refunds map[string]refundView
	totals  totalsView
	next    time.Time
}

// follow takes in what a page was sent.
func (f *follower) follow(w *sandboxtest.World, all []event) {
	for _, e := range all {
		if e.has["totals"] != nil {
			f.totals, f.next = e.Totals, time.Time{}
			if e.Next != nil {
				f.next = e.Next.At
			}
		}
		if e.name == "state" || e.More {
			e.Refunds = view(w, "refunds?limit=200").Refunds
		}
		for _, r := range e.Refunds {
			f.refunds[r.OutRefundNo] = r
		}
	}
}

// An undated test has no deadline, which could not be asked for in virtual time.
type undated struct{ testing.TB }

// Whatever happens, the figures, the lists, the filters and what a page knows that has
// listened are as if everything were counted anew.
func TestFiguresAreThoseOfAFullRecount(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		rapid.Check(undated{t}, func(rt *rapid.T) {
			m := merchant{}
			w := sandboxtest.New(t, func(c *sandbox.Config) { c.Hostile, c.MerchantRefunds = true, m.read })
			b := &bench{w: w, m: &m}
			page, known := open(t, w, func() {}), follower{refunds: map[string]refundView{}}
			defer page.end()
			known.follow(w, page.got())
			for range rapid.IntRange(1, 60).Draw(rt, "operations") {
				b.do(func(n int) int { return rapid.IntRange(0, n-1).Draw(rt, "choice") })
				if rapid.IntRange(0, 3).Draw(rt, "pause") == 0 {
					time.Sleep(time.Second)
					known.follow(w, page.got())
				}
			}
			time.Sleep(time.Second)
			known.follow(w, page.got())
			all, notices, next := recount(w, &m)
			if !known.next.Equal(next) {
				rt.Fatalf("the next notification is said to be sent at %v, want %v", known.next, next)
			}
			if d := gocmp.Diff(figuresOf(all, notices, len(b.orders)), known.totals); d != "" {
				rt.Fatalf("figures (-counted +told):\n%s", d)
			}
			checkFilters(rt, w, all)
			for _, r := range view(w, "refunds?limit=200").Refunds {
				if d := gocmp.Diff(r, known.refunds[r.OutRefundNo]); d != "" {
					rt.Fatalf("%s (-listed +told):\n%s", r.OutRefundNo, d)
				}
			}
		})
	})
}

// checkFilters asks for each part of the refunds, in pages of seven.
func checkFilters(rt *rapid.T, w *sandboxtest.World, all []refundCount) {
	for query, passes := range map[string]func(refundCount) bool{
		"":                       func(refundCount) bool { return true },
		"state=open":             refundCount.open,
		"state=success,closed":   func(c refundCount) bool { return c.status == "success" || c.status == "closed" },
		"doubt=true":             func(c refundCount) bool { return c.inDoubt },
		"undelivered=true":       func(c refundCount) bool { return c.undelivered },
		"undelivered=false":      func(c refundCount) bool { return !c.undelivered },
		"owed=true&currency=CNY": func(c refundCount) bool { return c.owed && c.currency == "CNY" },
		"difference=true":        func(c refundCount) bool { return c.gap() != 0 },
	} {
		var want, got []string
		for _, c := range all {
			if passes(c) {
				want = append(want, c.no)
			}
		}
		for total := 1; len(got) < total; {
			list := view(w, fmt.Sprintf("refunds?limit=7&offset=%d&%s", len(got), query))
			if total = list.Total; total > 0 && len(list.Refunds) == 0 {
				break
			}
			got = append(got, list.numbers()...)
		}
		if d := gocmp.Diff(want, got); d != "" {
			rt.Fatalf("refunds?%s (-counted +listed):\n%s", query, d)
		}
	}
}
