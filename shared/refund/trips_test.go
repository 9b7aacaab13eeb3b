package refund_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"wxrefund/shared/refund"
)

// A tripCounter is a ledger that notes what it is asked.
type tripCounter struct {
	refund.Ledger
	mu     sync.Mutex
	calls  []string                   // of the keys' kinds, in order
	before func(items ...refund.Item) // is called before each commit
}

func (c *tripCounter) note(verb string, keys ...refund.Key) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, k := range keys {
		kind, _, _ := strings.Cut(string(k), "/")
		verb += " " + kind
	}
	c.calls = append(c.calls, verb)
}

func (c *tripCounter) Get(ctx context.Context, keys ...refund.Key) ([]refund.Item, error) {
	c.note("get", keys...)
	return c.Ledger.Get(ctx, keys...)
}

func (c *tripCounter) Commit(ctx context.Context, items ...refund.Item) error {
	var keys []refund.Key
	for _, it := range items {
		keys = append(keys, it.Key)
	}
	c.note("commit", keys...)
	if c.before != nil {
		c.before(items...)
	}
	return c.Ledger.Commit(ctx, items...)
}

// count returns how often the ledger is called meanwhile, and for what.
func (c *tripCounter) count(do func()) (n int, calls string) {
	c.mu.Lock()
	c.calls = nil
	c.mu.Unlock()
	do()
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.calls), strings.Join(c.calls, ", ")
}

// countingTrips is a service, warm, whose ledger counts.
func countingTrips(t *testing.T) (*fixture, *tripCounter) {
	f := setUp(t)
	f.up.spec.Rate, f.up.spec.BadRate = 150, 6
	c := &tripCounter{Ledger: f.Ledger}
	f.Ledger = c
	if err := f.Bind(t.Context()); err != nil { // which is once a minute
		t.Fatal(err)
	}
	return f, c
}

// Each call of the ledger is a way to a server and back, which is most of the time that a
// call takes: none may ask more of it than this.
func TestEachCallAsksNoMoreOfTheLedgerThanItMust(t *testing.T) {
	both := func(no string, fen int64) refund.Request {
		r := request(no, fen)
		r.TransactionID = "T-O1"
		return r
	}
	for _, c := range []struct {
		name   string
		want   int
		before func(t *testing.T, f *fixture)
		call   func(t *testing.T, f *fixture)
	}{
		{"a refund, the first of its order", 3, nil, func(t *testing.T, f *fixture) { f.must(t, request("R1", 10)) }},
		{"a refund by WeChat's number", 3, nil, func(t *testing.T, f *fixture) { f.must(t, byID("R1", 10)) }},
		{"a refund by both numbers", 3, nil, func(t *testing.T, f *fixture) { f.must(t, both("R1", 10)) }},
		{"a refund, the second of its order", 3, accepted, func(t *testing.T, f *fixture) { f.must(t, request("R2", 10)) }},
		{"a refund, the second, by both numbers", 3, accepted, func(t *testing.T, f *fixture) { f.must(t, both("R2", 10)) }},
		{"a refund, the second, by the other number", 4, accepted, func(t *testing.T, f *fixture) { f.must(t, byID("R2", 10)) }}, // which leads to the account
		{"a refund whose order is asked for, by one number", 3, verifying, func(t *testing.T, f *fixture) { f.must(t, request("R1", 10)) }},
		{"a refund whose order is asked for, by WeChat's number", 3, verifying, func(t *testing.T, f *fixture) { f.must(t, byID("R1", 10)) }},
		{"a refund whose order is asked for, by both numbers", 3, verifying, func(t *testing.T, f *fixture) { f.must(t, both("R1", 10)) }},
		{"a refund whose order is asked for, known by the other number alone", 6, func(t *testing.T, f *fixture) {
			f.up.named = func(r *refund.Refund) { r.TransactionID = "" }
			accepted(t, f)
			f.up.named = nil
			verifying(t, f)
		}, func(t *testing.T, f *fixture) { f.must(t, byID("R2", 10)) }}, // what is assumed of that one is wrong, and it is read
		{"a refund without an answer", 3, func(_ *testing.T, f *fixture) { f.up.after = noAnswer }, func(t *testing.T, f *fixture) {
			f.refused(t, request("R1", 10), refund.CodeUnavailable, refund.SameNumber)
		}},
		{"a refund that is refused", 3, func(_ *testing.T, f *fixture) {
			f.up.before = refusal(refund.CodeRejected, refund.Never, "USER_ACCOUNT_ABNORMAL")
		}, func(t *testing.T, f *fixture) { f.refused(t, request("R1", 10), refund.CodeRejected, refund.Never) }},
		{"a refund that is refused as wrong, which is counted", 5, func(_ *testing.T, f *fixture) {
			f.up.before = refusal(refund.CodeInvalid, refund.AfterFix, "PARAM_ERROR")
		}, func(t *testing.T, f *fixture) { f.refused(t, request("R1", 10), refund.CodeInvalid, refund.AfterFix) }},
		{"a refund again after no answer", 3, func(t *testing.T, f *fixture) {
			f.up.after = noAnswer
			f.refused(t, request("R1", 10), refund.CodeUnavailable, refund.SameNumber)
			f.up.after = nil
		}, func(t *testing.T, f *fixture) { f.must(t, request("R1", 10)) }},
		{"a refund that the order has no room for", 1, accepted, func(t *testing.T, f *fixture) {
			f.refused(t, request("R2", 100), refund.CodeConflict, refund.Never)
		}},
		{"the identical repeat", 1, accepted, func(t *testing.T, f *fixture) { f.must(t, request("R1", 10)) }},
		{"the identical repeat of one that has succeeded", 1, succeeded, func(t *testing.T, f *fixture) { f.must(t, request("R1", 10)) }},
		{"a query of an open refund", 2, accepted, func(t *testing.T, f *fixture) { f.query(t, "R1") }},
		{"a query that brings news", 3, func(t *testing.T, f *fixture) {
			accepted(t, f)
			f.up.set("R1", refund.StatusSuccess)
		}, func(t *testing.T, f *fixture) { f.query(t, "R1") }},
		{"a query of a settled refund", 1, succeeded, func(t *testing.T, f *fixture) { f.query(t, "R1") }},
		{"a query of a settled refund by its refund_id", 2, succeeded, func(t *testing.T, f *fixture) {
			if _, err := f.QueryRefund(t.Context(), server, refund.Lookup{RefundID: "5000R1"}); err != nil {
				t.Error(err)
			}
		}},
		{"a notification of which nobody is told", 2, accepted, notified},
		{"a notification that is repeated", 1, succeeded, notified},
		{"a notification of which one subscriber is told", 3, subscribed("a"), notified},
		{"a notification of which three subscribers are told", 5, subscribed("a", "b", "c"), notified},
		{"a notification whose subscriber does not acknowledge it", 3, func(t *testing.T, f *fixture) {
			accepted(t, f)
			f.subscribe("a").answer = failing
		}, notified},
		{"a notification that another function delivers", 2, func(t *testing.T, f *fixture) {
			accepted(t, f)
			f.Subscribers = append(f.Subscribers, refund.Subscriber{Name: "a"})
		}, notified},
	} {
		f, ledger := countingTrips(t)
		if c.before != nil {
			c.before(t, f)
		}
		if got, calls := ledger.count(func() { c.call(t, f) }); got != c.want {
			t.Errorf("%s: %d calls of the ledger, want %d: %s", c.name, got, c.want, calls)
		}
	}
}

// That an order is new by the one number that a caller names says nothing of the other, which
// is taken for new only until the commit: two refunds by one number each never exceed it.
func TestAnOrderThatIsTakenForNewIsNotExceeded(t *testing.T) {
	t.Run("one after the other", func(t *testing.T) {
		f, _ := countingTrips(t)
		f.up.named = func(r *refund.Refund) { r.TransactionID = "" }
		f.must(t, request("R1", 70))
		verifying(t, f)
		f.refused(t, byID("R2", 40), refund.CodeConflict, refund.Never)
		f.must(t, byID("R3", 30))
		f.verified(t)
	})
	t.Run("at once", func(t *testing.T) {
		for range 20 {
			f, _ := countingTrips(t)
			verifying(t, f)
			var wg sync.WaitGroup
			errs := make([]error, 2)
			for i, r := range []refund.Request{request("R1", 60), byID("R2", 60)} {
				wg.Go(func() { _, errs[i] = f.Refund(t.Context(), server, r) })
			}
			wg.Wait()
			if (errs[0] == nil) == (errs[1] == nil) {
				t.Fatalf("of two refunds of 60 of an order of 100 one is accepted, got %v and %v", errs[0], errs[1])
			}
			f.verified(t)
		}
	})
}

// A process's first call finds out on its way whose the ledger is, and makes an empty one
// its merchant's; that of another merchant it leaves alone.
func TestFirstCallOfAProcessAsksWhoseTheLedgerIsOnItsWay(t *testing.T) {
	f := setUp(t)
	ledger := &tripCounter{Ledger: f.Ledger}
	process := func(m refund.Merchant) *fixture {
		return &fixture{up: f.up, log: f.log, Service: &refund.Service{Channel: f.up, Ledger: ledger, Merchant: m, Log: f.Log}}
	}
	calls := func(what string, want string, do func()) {
		t.Helper()
		_, got := ledger.count(do)
		wantEqual(t, what, want, got)
	}
	calls("an empty ledger", "get refund order application ledger, commit ledger, commit refund order, commit refund order order refund_id", func() {
		process(merchant).must(t, request("R1", 10))
	})
	calls("the ledger of another", "get refund order application ledger, get ledger", func() {
		other := merchant
		other.MchID += "9"
		if _, err := process(other).Refund(t.Context(), server, request("R2", 10)); !errors.Is(err, refund.ErrNotOurs) {
			t.Errorf("got %v, want %v", err, refund.ErrNotOurs)
		}
	})
	calls("a notification", "get refund order order refund_id ledger, commit refund", func() {
		notified(t, process(merchant))
	})
}

// byID is a request that names the order by WeChat Pay's number alone.
func byID(no string, fen int64) refund.Request {
	r := request(no, fen)
	r.OutTradeNo, r.TransactionID = "", "T-O1"
	return r
}

func verifying(_ *testing.T, f *fixture) {
	f.VerifyOrder = refund.VerifyFirst
	f.up.paid("O1", 100, "oBuyer", time.Now().Add(-time.Hour))
}

func accepted(t *testing.T, f *fixture) { f.must(t, request("R1", 10)) }

func succeeded(t *testing.T, f *fixture) {
	accepted(t, f)
	f.settle(t, notification("R1", 10, refund.StatusSuccess))
}

func subscribed(names ...string) func(t *testing.T, f *fixture) {
	return func(t *testing.T, f *fixture) {
		accepted(t, f)
		for _, name := range names {
			f.subscribe(name)
		}
	}
}

func notified(t *testing.T, f *fixture) {
	st, err := f.SettleAndDeliver(t.Context(), notification("R1", 10, refund.StatusSuccess))
	if err != nil || st.State != refund.Success {
		t.Errorf("settled as %s, %v", st.State, err)
	}
}

// The claim is durable before anything is sent, with the turn that it is sent in.
func TestClaimAndItsTurnAreCommittedBeforeTheUpstreamIsCalled(t *testing.T) {
	f, ledger := countingTrips(t)
	f.up.before = func(refund.Request) error {
		ledger.mu.Lock()
		defer ledger.mu.Unlock()
		wantEqual(t, "before the call", "get refund order application limit, commit refund order limit", strings.Join(ledger.calls, ", "))
		return nil
	}
	ledger.count(func() { f.must(t, request("R1", 10)) })
	if n := f.up.count("refund:R1"); n != 1 {
		t.Errorf("%d submissions", n)
	}
}

// What others write between the claim and the answer is found out by the commit: the
// answer is settled over it, and nothing of theirs is lost.
func TestAnswerIsSettledOverWhatOthersHaveWrittenMeanwhile(t *testing.T) {
	for name, meanwhile := range map[string]func(t *testing.T, f *fixture){
		"another refund of the order": func(t *testing.T, f *fixture) { f.must(t, request("R2", 30)) },
		"an external refund of the order by its other number": func(t *testing.T, f *fixture) {
			out := notification("X1", 20, refund.StatusSuccess)
			out.Refund.OutTradeNo = ""
			f.settle(t, out)
		},
		"the refund's own notification": func(t *testing.T, f *fixture) { f.settle(t, notification("R1", 60, refund.StatusSuccess)) },
		"a cancellation":                func(t *testing.T, f *fixture) { _ = f.Cancel(t.Context(), "R1", "operator alice") },
	} {
		t.Run(name, func(t *testing.T) {
			f, _ := countingTrips(t)
			other := &fixture{up: f.up, Service: &refund.Service{Channel: f.up, Ledger: f.Ledger, Merchant: merchant, Log: f.Log}}
			f.up.after = func(refund.Request) error {
				f.up.after = nil
				meanwhile(t, other)
				return nil
			}
			want := refund.StatusProcessing
			got := f.must(t, request("R1", 60))
			if name == "the refund's own notification" {
				want = refund.StatusSuccess
			}
			if got.Status != want || f.inspect(t, "R1").Refund.Status != want {
				t.Errorf("it is %s, and %s on record; want %s", got.Status, f.inspect(t, "R1").Refund.Status, want)
			}
			left := int64(40)
			switch name {
			case "another refund of the order":
				left = 10
			case "an external refund of the order by its other number":
				left = 20
			}
			f.refused(t, request("R3", left+1), refund.CodeConflict, refund.Never)
			f.must(t, request("R3", left))
			if found, _ := f.verify(t); len(found) > 0 {
				t.Errorf("the books: %q", found)
			}
			if n := f.alarms(""); n > 0 {
				t.Errorf("%d alarms: %s", n, f.log)
			}
		})
	}
}

// An account that says where its second number leads is not asked again, and one of the
// version before, which says nothing of it, is read once more and then says it.
func TestAccountOfTheVersionBeforeLearnsWhereItsSecondNumberLeads(t *testing.T) {
	f, ledger := countingTrips(t)
	accepted(t, f)
	account := f.items(t, "order/out_trade_no/O1")[0]
	body := strings.Replace(string(account.Body), `"alias":"order/transaction_id/T-O1",`, "", 1)
	if body == string(account.Body) {
		t.Fatalf("the account does not say it: %s", body)
	}
	account.Body = []byte(body)
	f.write(t, account)
	for i, want := range []int{4, 3} {
		if got, calls := ledger.count(func() { f.must(t, request(fmt.Sprintf("R%d", i+2), 10)) }); got != want {
			t.Errorf("refund %d: %d calls of the ledger, want %d: %s", i, got, want, calls)
		}
	}
}

// While others take turns too, a claim does not fail again and again at the one item that
// all write: turns are taken before it for a moment, and then with it again.
func TestTurnsAreTakenApartWhileOthersTakeThemToo(t *testing.T) {
	f, ledger := countingTrips(t)
	hinder := true
	ledger.before = func(items ...refund.Item) {
		for _, it := range items {
			if hinder && len(items) > 1 && strings.HasPrefix(string(it.Key), "limit/") { // somebody was faster
				hinder = false
				if err := ledger.Ledger.Commit(t.Context(), refund.Item{Key: it.Key, Version: it.Version, Body: []byte(`{"next":1}`)}); err != nil {
					t.Error(err)
				}
			}
		}
	}
	_, calls := ledger.count(func() { f.must(t, request("R1", 10)) })
	wantEqual(t, "the first", "get refund order application limit, commit refund order limit, get refund order application, get limit, commit limit, commit refund order, commit refund order order refund_id", calls)
	_, calls = ledger.count(func() { f.must(t, request("R2", 10)) })
	wantEqual(t, "the next", "get refund order application, get limit, commit limit, commit refund order, commit refund order refund_id", calls)
}
