package refund_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"wxrefund/shared/ledger"
	"wxrefund/shared/refund"
)

// Wrong requests make the valid ones behind them wait a moment, and turn none away.
func TestWrongRequestsMakeValidOnesWaitAndTurnNoneAway(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := setUp(t)
		up := &counter{spec: f.up.Spec()}
		up.spec.Rate, up.spec.BadRate = 150, 6
		f.Channel = up
		up.err = &refund.Error{Code: refund.CodeInvalid, Next: refund.AfterFix, Upstream: "PARAM_ERROR", Message: "wrong"}
		for i := range 4 {
			f.refused(t, request(number(i), 1), refund.CodeInvalid, refund.AfterFix)
		}
		up.err = nil
		for i := range 5 {
			start := time.Now()
			f.must(t, request(number(10+i), 1))
			if took := time.Since(start); took > time.Second {
				t.Errorf("valid request %d waited %v", i, took)
			}
		}
	})
}

// counter is an upstream that remembers when it was called, and allows so many
// calls in any second.
type counter struct {
	refund.Channel
	mu    sync.Mutex
	calls []time.Time
	takes time.Duration
	err   error
	spec  refund.Spec
}

func (c *counter) Refund(_ context.Context, req refund.Request) (refund.Refund, error) {
	c.mu.Lock()
	c.calls = append(c.calls, time.Now())
	c.mu.Unlock()
	time.Sleep(c.takes)
	r := notification(req.OutRefundNo, req.Amount.Refund, refund.StatusProcessing).Refund
	r.OutTradeNo, r.TransactionID = req.OutTradeNo, ""
	return r, c.err
}

func (*counter) Bill(context.Context, refund.BillQuery) (*refund.Bill, error) {
	return nil, refund.ErrNoBill
}

func (c *counter) Spec() refund.Spec { return c.spec }

// busiest is the greatest number of calls in any second.
func (c *counter) busiest() int {
	slices.SortFunc(c.calls, time.Time.Compare)
	most, from := 0, 0
	for i, at := range c.calls {
		for at.Sub(c.calls[from]) >= time.Second {
			from++
		}
		most = max(most, i-from+1)
	}
	return most
}

// run loads that many instances evenly with that many refunds a second for some
// seconds. It returns what they answered.
func run(t *testing.T, up *counter, instances, perSecond, seconds int) (accepted, limited int) {
	return runAway(t, up, instances, perSecond, seconds, 0)
}

// away is a ledger that is so far away.
type away struct {
	refund.Ledger
	trip time.Duration
}

func (a away) Get(ctx context.Context, keys ...refund.Key) ([]refund.Item, error) {
	time.Sleep(a.trip / 2)
	defer time.Sleep(a.trip / 2)
	return a.Ledger.Get(ctx, keys...)
}

func (a away) Commit(ctx context.Context, items ...refund.Item) error {
	time.Sleep(a.trip / 2)
	defer time.Sleep(a.trip / 2)
	return a.Ledger.Commit(ctx, items...)
}

// runAway is run over a ledger that is so far away.
func runAway(t *testing.T, up *counter, instances, perSecond, seconds int, trip time.Duration) (accepted, limited int) {
	store, err := ledger.Open(t.Context(), "sqlite::memory:")
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	services := make([]*refund.Service, instances)
	for i := range services {
		services[i] = &refund.Service{Channel: up, Ledger: away{store, trip}, Merchant: merchant}
	}
	var mu sync.Mutex
	var wg sync.WaitGroup
	for i := range perSecond * seconds {
		wg.Go(func() {
			req := request(fmt.Sprintf("R%d", i), 1)
			req.OutTradeNo = fmt.Sprintf("O%d", i)
			_, err := services[i%instances].Refund(context.Background(), server, req)
			mu.Lock()
			defer mu.Unlock()
			var e *refund.Error
			switch {
			case errors.As(err, &e) && e.Code == refund.CodeLimited:
				if limited++; e.Next != refund.Later || e.RetryAfter <= 0 {
					t.Errorf("limited without saying when to come back: %+v", e)
				}
			case err == nil || up.err != nil:
				accepted++
			default:
				t.Errorf("%v", err)
			}
		})
		time.Sleep(time.Second / time.Duration(perSecond))
	}
	wg.Wait()
	return accepted, limited
}

// A10: the merchant's instances together stay below WeChat's rate and use at
// least nine tenths of it, however far away the ledger is at which they meet.
func TestAllInstancesTogetherStayBelowTheRate(t *testing.T) {
	const rate, seconds = 150, 4
	for _, c := range []struct {
		instances int
		trip      time.Duration
		least     float64
	}{{1, 0, 0.9}, {8, 0, 0.9}, {32, 0, 0.9}, {1, 5 * time.Millisecond, 0.9}, {8, 5 * time.Millisecond, 0.9}, {32, 5 * time.Millisecond, 0.9}, {32, 20 * time.Millisecond, 0.8}} {
		t.Run(fmt.Sprintf("%d_%v", c.instances, c.trip), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				up := &counter{takes: 30 * time.Millisecond, spec: newUpstream().spec}
				up.spec.Rate, up.spec.BadRate = rate, 6
				accepted, limited := runAway(t, up, c.instances, 300, seconds, c.trip)
				if got := up.busiest(); got > rate {
					t.Errorf("%d calls in one second, at most %d are allowed", got, rate)
				}
				span := up.calls[len(up.calls)-1].Sub(up.calls[0]).Seconds()
				if used := float64(accepted) / (rate * span); used < c.least {
					t.Errorf("%.0f%% of the rate used, want at least %.0f%%", 100*used, 100*c.least)
				}
				if limited == 0 {
					t.Error("twice the rate, and nobody was limited")
				}
				t.Logf("%d instances: %d accepted in %.1f s, %d limited, at most %d in one second", c.instances, accepted, span, limited, up.busiest())
			})
		})
	}
}

// Below the rate nobody waits for long and nobody is turned away, though all take their
// turns at one item with their claims.
func TestInstancesBelowTheRateTurnNobodyAway(t *testing.T) {
	for _, instances := range []int{1, 8, 32} {
		synctest.Test(t, func(t *testing.T) {
			up := &counter{takes: 30 * time.Millisecond, spec: newUpstream().spec}
			up.spec.Rate, up.spec.BadRate = 150, 6
			const perSecond, seconds = 75, 4
			begun := time.Now()
			accepted, limited := runAway(t, up, instances, perSecond, seconds, 5*time.Millisecond)
			if limited > 0 || accepted != perSecond*seconds {
				t.Errorf("%d instances: %d accepted, %d limited", instances, accepted, limited)
			}
			if took := time.Since(begun); took > (seconds+1)*time.Second {
				t.Errorf("%d instances: %v", instances, took)
			}
		})
	}
}

// A10: wrong requests close the door before WeChat Pay does.
func TestWrongRequestsOfAllInstancesStayBelowTheirRate(t *testing.T) {
	for _, instances := range []int{1, 8, 32} {
		synctest.Test(t, func(t *testing.T) {
			up := &counter{takes: 5 * time.Millisecond, spec: newUpstream().spec}
			up.spec.Rate, up.spec.BadRate = 150, 6
			up.err = &refund.Error{Code: refund.CodeInvalid, Next: refund.AfterFix, Upstream: "PARAM_ERROR", Message: "wrong"}
			run(t, up, instances, 100, 5)
			if got := up.busiest(); got > 6 {
				t.Errorf("%d instances: %d wrong requests in one second, at most 6 are allowed", instances, got)
			}
			if len(up.calls) < 10 {
				t.Errorf("%d instances: %d calls in five seconds: the breaker never closes again", instances, len(up.calls))
			}
		})
	}
}

// Nothing is claimed when there is no turn.
func TestLimitedRefundLeavesNothingBehind(t *testing.T) {
	f := setUp(t)
	up := &counter{spec: f.up.Spec()}
	up.spec.Rate = 1
	f.Channel = up
	var limited int
	for i := range 20 {
		_, err := f.Refund(t.Context(), server, request(number(i), 1))
		if refund.IsCode(err, refund.CodeLimited) {
			limited++
			f.wantStatus(t, number(i), "-", "after it was limited")
		}
	}
	if limited == 0 {
		t.Error("nobody was limited")
	}
}

// REFUND_PACE: submissions of one order keep their distance, those of others do not wait.
func TestRefundsOfOneOrderKeepTheirPace(t *testing.T) {
	f := clocked(t)
	f.Pace = time.Minute
	f.must(t, request("R1", 10))
	if e := f.refused(t, request("R2", 10), refund.CodeLimited, refund.Later); e.RetryAfter != time.Minute {
		t.Errorf("come back after %v, want 1m", e.RetryAfter)
	}
	f.wantStatus(t, "R2", "-", "after it was limited")
	other := request("R3", 10)
	other.OutTradeNo = "O2"
	f.must(t, other)
	if got := f.must(t, request("R1", 10)); got.Status != refund.StatusProcessing {
		t.Errorf("a repeat waits: %s", got.Status)
	}
	f.advance(time.Minute)
	f.must(t, request("R2", 10))
}

// A channel's own pace and number of refunds count where nothing else is set.
func TestChannelsOwnPaceAndCountApply(t *testing.T) {
	f := clocked(t)
	up := &counter{spec: f.up.Spec()}
	up.spec.Pace, up.spec.MaxRefunds = time.Minute, 3
	f.Channel = up
	for i := range 3 {
		f.must(t, request(number(i), 1))
		if i < 2 {
			f.refused(t, request("early", 1), refund.CodeLimited, refund.Later)
		}
		f.advance(time.Minute)
	}
	f.refused(t, request("R3", 1), refund.CodeConflict, refund.Never)
	if got := len(up.calls); got != 3 {
		t.Errorf("%d submissions, want 3", got)
	}
}

// The pace of an order is kept when its two names become one account.
func TestPaceSurvivesTheMerge(t *testing.T) {
	f := clocked(t)
	f.Pace = time.Minute
	byID := request("R1", 10)
	byID.OutTradeNo, byID.TransactionID = "", "T-O1"
	f.up.after = noAnswer
	_, _ = f.Refund(t.Context(), server, byID)
	f.advance(61 * time.Second)
	_, _ = f.Refund(t.Context(), server, request("R2", 10)) // the account of the other name
	f.up.after = nil
	if _, err := f.QueryRefund(t.Context(), server, refund.Lookup{OutRefundNo: "R1"}); err != nil { // reports both names
		t.Fatal(err)
	}
	f.advance(10 * time.Second)
	if _, err := f.Refund(t.Context(), server, request("R3", 10)); err == nil {
		t.Error("two refunds of one order ten seconds apart")
	}
}

// A11: an upstream that limits at random, far below its limits: everything
// finishes under its own number, and nothing is hammered.
func TestRefundsLimitedAtRandomAllFinishAndNothingIsHammered(t *testing.T) {
	f := clocked(t)
	r := rand.New(rand.NewPCG(1, 11))
	var mu sync.Mutex
	f.up.before = func(refund.Request) error {
		mu.Lock()
		defer mu.Unlock()
		if r.IntN(20) == 0 {
			return &refund.Error{Code: refund.CodeUnavailable, Next: refund.Later, Upstream: "FREQUENCY_LIMITED", RetryAfter: time.Minute, Message: "limited"}
		}
		return nil
	}
	const n = 50
	limited := 0
	for i := range n {
		if _, err := f.Refund(t.Context(), server, request(number(i), 2)); err != nil {
			limited++
			if e := refund.AsError(err); e.Next != refund.Later || e.RetryAfter != time.Minute {
				t.Errorf("%s: %+v, want later, after a minute", number(i), e)
			}
		}
	}
	if limited == 0 {
		t.Fatal("nobody was limited")
	}
	f.reconcile(t) // at once: too early for any of them
	if got := f.up.total(); got != n {
		t.Errorf("%d calls, want %d: somebody was hammered", got, n)
	}
	for range 10 {
		f.later(t, time.Minute)
	}
	for i := range n {
		if got := f.up.refunds[number(i)].Status; got != refund.StatusProcessing {
			t.Errorf("%s is %q upstream", number(i), got)
		}
	}
}
