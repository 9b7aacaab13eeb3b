package simulation_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"wxrefund/shared/channel"
	"wxrefund/shared/ledger"
	"wxrefund/shared/refund"
)

// A contest is some refunds of one order that set out at the same moment, in
// real time and from goroutines (threats A6, A7). The upstream accepts whatever
// it is sent, so what is measured is our own guard and nothing else.
type contest struct {
	total   int64
	amounts []int64
	same    bool // all under one number
}

// contests draws one: mostly the two that must not both win, and now and then
// one refund more than an order may have.
func drawContest(r *rand.Rand) contest {
	switch r.IntN(40) {
	case 0:
		c := contest{total: 1000}
		for range refund.MaxRefunds + 1 {
			c.amounts = append(c.amounts, 1)
		}
		return c
	case 1, 2, 3, 4:
		c := contest{total: 100, same: true}
		for range 2 + r.IntN(15) {
			c.amounts = append(c.amounts, 30)
		}
		return c
	case 5, 6, 7, 8, 9, 10, 11, 12:
		c := contest{total: 1 + r.Int64N(1000)}
		for range 2 + r.IntN(6) {
			c.amounts = append(c.amounts, 1+r.Int64N(c.total))
		}
		return c
	}
	return contest{total: 100, amounts: []int64{60, 60}}
}

// A payingUpstream is an upstream that pays whatever it is asked to, once per number.
type payingUpstream struct {
	refund.Channel
	mu    sync.Mutex
	paid  map[string]int64
	calls int
}

func (*payingUpstream) Bill(context.Context, refund.BillQuery) (*refund.Bill, error) {
	return nil, refund.ErrNoBill
}

func (u *payingUpstream) Spec() refund.Spec {
	s := (&channel.APIv3{}).Spec()
	s.Rate, s.BadRate, s.Pace = 0, 0, 0 // this is a race, not a queue
	return s
}

func (u *payingUpstream) Refund(_ context.Context, req refund.Request) (refund.Refund, error) {
	time.Sleep(100 * time.Microsecond) // the network
	u.mu.Lock()
	defer u.mu.Unlock()
	u.calls++
	u.paid[req.OutRefundNo] = req.Amount.Refund
	return refund.Refund{
		RefundID: "50" + req.OutRefundNo, OutRefundNo: req.OutRefundNo, OutTradeNo: req.OutTradeNo, TransactionID: "42" + req.OutTradeNo,
		Status: refund.StatusProcessing, Amount: refund.Amount{Total: req.Amount.Total, Refund: req.Amount.Refund, Currency: "CNY"},
	}, nil
}

// A finish is what came of contests.
type finish struct {
	over, twice int      // in how many an order was refunded beyond its total, or one number submitted more than once
	strange     []string // what else was not as it should be
}

// hold lets a contest run. ask submits one refund and reports whether it was
// accepted.
func (c contest) hold(name string, up *payingUpstream, ask func(refund.Request) (bool, error), out *finish) {
	won, errs := make([]bool, len(c.amounts)), make([]error, len(c.amounts))
	atOnce(len(c.amounts), func(i int) {
		no := fmt.Sprintf("%s-%d", name, i)
		if c.same {
			no = name + "-0"
		}
		won[i], errs[i] = ask(refund.Request{
			OutRefundNo: no, OutTradeNo: name, Amount: refund.RequestAmount{Refund: c.amounts[i], Total: c.total, Currency: "CNY"},
		})
	})
	var sum int64
	for _, fen := range up.paid {
		sum += fen
	}
	if sum > c.total || len(up.paid) > refund.MaxRefunds {
		out.over++
	}
	if c.same && up.calls > 1 {
		out.twice++
	}
	strange := func(format string, args ...any) {
		out.strange = append(out.strange, fmt.Sprintf("%s %+v: ", name, c)+fmt.Sprintf(format, args...))
	}
	winners := 0
	for i, fen := range c.amounts {
		if won[i] {
			winners++
		}
		switch fits := fen <= c.total-sum && len(up.paid) < refund.MaxRefunds; {
		case errs[i] != nil:
			strange("%v", errs[i])
		case c.same && !won[i]:
			strange("one of the callers of a number was not told that it is refunded")
		case !won[i] && fits:
			strange("a refund of %d was refused, and %d of %d are left", fen, c.total-sum, c.total)
		}
	}
	if !c.same && winners != len(up.paid) {
		strange("%d were told that they won, and %d were paid", winners, len(up.paid))
	}
}

// atOnce does something n times at once.
func atOnce(n int, f func(i int)) {
	start := make(chan struct{})
	var wg sync.WaitGroup
	for i := range n {
		wg.Go(func() { <-start; f(i) })
	}
	close(start)
	wg.Wait()
}

// holdContests runs n contests, each caller with an instance of its own over one ledger, and
// the same with the check of the first of [rules].
func holdContests(t *testing.T, n int) (us, them finish) {
	t.Helper()
	store, err := ledger.Open(t.Context(), "sqlite::memory:")
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	for i := range n {
		c, name := drawContest(randomness(i).of("contest")), fmt.Sprintf("O%d", i)
		up := &payingUpstream{paid: map[string]int64{}}
		c.hold(name, up, func(req refund.Request) (bool, error) {
			s := &refund.Service{Channel: up, Ledger: store, Merchant: refund.Merchant{MchID: "1900000001"}}
			for {
				_, err := s.Refund(context.Background(), refund.Caller{Kind: refund.Server}, req)
				switch {
				case err == nil:
					return true, nil
				case refund.IsCode(err, refund.CodeConflict):
					return false, nil
				case !refund.IsCode(err, refund.CodeUnavailable): // "repeat identically"
					return false, err
				}
			}
		}, &us)
		theirs, rows := &payingUpstream{paid: map[string]int64{}}, newRows(rules()[0])
		c.hold(name, theirs, func(req refund.Request) (bool, error) {
			_, err := rows.refund(req,
				func() (refund.Refund, error) { return theirs.Refund(context.Background(), req) },
				func(_ string, do func()) error { do(); return nil })
			return err == nil, nil
		}, &them)
	}
	for _, what := range us.strange {
		t.Error(what)
	}
	if us.over > 0 || us.twice > 0 {
		t.Errorf("%d races: %d over-refunds and %d double submissions, want none", n, us.over, us.twice)
	}
	if them.over == 0 {
		t.Error("the first rule's check lets nothing through: these races prove nothing")
	}
	return us, them
}

// Of two refunds that together exceed the order exactly one wins, and so on for
// any number and any amounts.
func TestRaces(t *testing.T) {
	n := size(flags.races, 1000, 200, 200)
	us, them := holdContests(t, n)
	t.Logf("%d races: over-refunds %d, theirs %d; numbers submitted more than once %d, theirs %d", n, us.over, them.over, us.twice, them.twice)
}
