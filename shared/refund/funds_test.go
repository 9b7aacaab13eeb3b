package refund_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"wxrefund/shared/refund"
)

// short is the answer of an upstream that has no money.
func short(refund.Request) error {
	return &refund.Error{Code: refund.CodeRejected, Next: refund.Later, Upstream: "NOT_ENOUGH", Message: "refused: NOT_ENOUGH", NotEnough: true}
}

// waiting is a fixture in which R1 of 60 waits for the merchant's balance.
func waiting(t *testing.T) *fixture {
	t.Helper()
	f := clocked(t)
	f.WaitFunds = true
	f.up.before = short
	e := f.refused(t, request("R1", 60), refund.CodeRejected, refund.Later)
	if e.Upstream != "NOT_ENOUGH" || !strings.Contains(e.Message, "goes on by itself") || e.RetryAfter <= 0 {
		t.Fatalf("the refusal is %+v", e)
	}
	return f
}

func TestRefundThatWaitsGoesOnAfterATopUp(t *testing.T) {
	f := waiting(t)
	i := f.inspect(t, "R1")
	if i.State != refund.Claimed || !i.WaitingFunds || i.InDoubt || i.Held != 60 || i.WaitingSince != f.Now() || i.WaitingUntil != f.Now().Add(7*24*time.Hour) {
		t.Errorf("%+v", i)
	}
	f.wantOpen(t, "", "R1 not_enough")
	if why := i.Causes[0].Why; !strings.Contains(why, "too low for this refund of 0.60 CNY: it goes on by itself") {
		t.Errorf("the alarm says %q", why)
	}
	// Its amount is not there for others.
	f.refused(t, request("R2", 41), refund.CodeConflict, refund.Later)
	f.wait(t, 3*time.Hour)
	if n := f.up.count("refund:R1"); n < 8 || n > 20 {
		t.Errorf("%d submissions in three hours", n)
	}
	if n := f.up.count("query:R1"); n > 0 {
		t.Errorf("%d queries of what was refused for certain", n)
	}
	f.wantAlarms(t, "", 1, "in three hours")
	f.up.before = nil
	f.wait(t, time.Hour)
	f.wantState(t, "R1", refund.Processing, "after the top-up")
	f.wantOpen(t, "after the top-up")
	if i := f.inspect(t, "R1"); i.WaitingFunds || !i.WaitingSince.IsZero() {
		t.Errorf("%+v", i)
	}
}

// Without the setting, the same is rejected at once, and is an alarm until it is repeated.
func TestRefundWithoutFundsIsRejectedWhereNothingWaits(t *testing.T) {
	f := clocked(t)
	f.up.before = short
	f.refused(t, request("R1", 60), refund.CodeRejected, refund.Later)
	f.wantState(t, "R1", refund.Rejected, "")
	f.wantOpen(t, "", "R1 not_enough")
	f.refused(t, request("R1", 60), refund.CodeRejected, refund.Later)
	f.wantOpen(t, "", "R1 not_enough")
	f.wantAlarms(t, "not_enough", 1, "")
	f.up.before = refusal(refund.CodeRejected, refund.LaterOrFix, "INVALID_REQUEST")
	f.refused(t, request("R1", 60), refund.CodeRejected, refund.LaterOrFix)
	f.wantOpen(t, "when it is refused for something else")
	f.up.before = nil
	f.must(t, request("R1", 60))
}

// A repeat is told that it waits and submits nothing; other content is a conflict; a
// query tells the same.
func TestCallerIsToldThatTheRefundWaits(t *testing.T) {
	f := waiting(t)
	for range 3 {
		e := f.refused(t, request("R1", 60), refund.CodeRejected, refund.Later)
		if e.Upstream != "NOT_ENOUGH" || !strings.Contains(e.Message, "2026-11-29T10:00:00Z") {
			t.Errorf("%+v", e)
		}
	}
	f.wantCalls(t, "refund:R1", 1, "by repeats")
	f.refused(t, request("R1", 50), refund.CodeConflict, refund.Later)
	_, err := f.QueryRefund(t.Context(), server, refund.Lookup{OutRefundNo: "R1"})
	wantCode(t, err, refund.CodeRejected, refund.Later)
	f.up.byOrder()
	p, err := f.QueryOrder(t.Context(), server, refund.Lookup{OutTradeNo: "O1"})
	if err != nil || len(p.Refunds) != 1 || p.Refunds[0].Status != "" {
		t.Errorf("%+v, %v", p, err)
	}
}

// A wait ends after seven days, or earlier by a person, by a refund by hand, or by the
// setting: rejected with the stored refusal, and the amount is free.
func TestWaitEnds(t *testing.T) {
	for name, c := range map[string]struct {
		end  func(t *testing.T, f *fixture)
		open []string
	}{
		"after seven days": {func(t *testing.T, f *fixture) { f.wait(t, 7*24*time.Hour+4*time.Hour) }, []string{"R1 not_enough"}},
		"withdrawn":        {func(t *testing.T, f *fixture) { cancel(t, f) }, nil},
		"released":         {func(t *testing.T, f *fixture) { release(t, f) }, nil},
		"a refund by hand": {func(t *testing.T, f *fixture) {
			f.settle(t, notification("H1", 10, refund.StatusSuccess))
			f.wait(t, time.Hour)
		}, []string{"R1 not_enough"}},
		"the setting is off": {func(t *testing.T, f *fixture) { f.WaitFunds = false; f.wait(t, time.Hour) }, []string{"R1 not_enough"}},
		"refused otherwise": {func(t *testing.T, f *fixture) {
			f.up.before = refusal(refund.CodeRejected, refund.Later, "USER_ACCOUNT_ABNORMAL")
			f.wait(t, time.Hour)
		}, nil},
		"the number is taken": {func(t *testing.T, f *fixture) {
			f.up.before = func(refund.Request) error {
				f.up.mu.Lock()
				f.up.refunds["R1"] = notification("R1", 7, refund.StatusSuccess).Refund
				f.up.mu.Unlock()
				return &refund.Error{Code: refund.CodeRejected, Next: refund.LaterOrFix, Upstream: "INVALID_REQUEST", Message: "taken", MaybeNumberTaken: true}
			}
			f.wait(t, time.Hour)
		}, []string{"R1 number_taken"}},
	} {
		t.Run(name, func(t *testing.T) {
			f := waiting(t)
			c.end(t, f)
			i := f.inspect(t, "R1")
			if i.State != refund.Rejected || i.WaitingFunds {
				t.Fatalf("%+v", i)
			}
			next := refund.Later
			if name == "a refund by hand" { // a program that repeats by itself would pay twice
				next = refund.Never
			}
			if len(c.open) == 1 && c.open[0] == "R1 not_enough" && (i.Refusal.Upstream != "NOT_ENOUGH" || i.Refusal.Next != next || i.Held != 0) {
				t.Errorf("the refusal is %+v, %d held", i.Refusal, i.Held)
			}
			f.wantOpen(t, "", c.open...)
			for _, cause := range i.Causes { // it does not go on by itself any more
				byHand := name == "a refund by hand"
				if why := cause.Why; cause.Code == "not_enough" && (strings.Contains(why, "by itself") || strings.Contains(why, "look whether both are meant") != byHand) {
					t.Errorf("the alarm says %q", why)
				}
			}
			n := f.up.count("refund:R1")
			f.wait(t, 2*24*time.Hour)
			f.wantCalls(t, "refund:R1", n, "once the wait has ended")
			f.up.before = nil
			f.must(t, request("R2", 30))
		})
	}
}

func cancel(t *testing.T, f *fixture) {
	if err := f.Cancel(t.Context(), "R1", "operator alice"); err != nil {
		t.Fatal(err)
	}
}

func release(t *testing.T, f *fixture) {
	if err := f.Release(t.Context(), refund.Release{OutRefundNo: "R1", By: "operator alice"}); err != nil {
		t.Fatal(err)
	}
}

// A submission without an answer puts a waiting refund in doubt. That ends by the rules of
// any doubt: what the upstream holds is settled, and if it holds nothing the wait goes on.
func TestDoubtOfARefundThatWaits(t *testing.T) {
	for name, accepted := range map[string]bool{"accepted": true, "never carried out": false} {
		t.Run(name, func(t *testing.T) {
			f := waiting(t)
			f.up.before = nil
			if accepted {
				f.up.after = noAnswer
			} else {
				f.up.before = noAnswer
			}
			f.later(t, 2*time.Minute)
			if i := f.inspect(t, "R1"); i.State != refund.Claimed || i.WaitingFunds || i.Held != 60 {
				t.Fatalf("%+v", i)
			}
			f.up.before, f.up.after = short, nil
			f.wait(t, 48*time.Hour)
			if accepted {
				f.wantState(t, "R1", refund.Processing, "")
				return
			}
			if i := f.inspect(t, "R1"); !i.WaitingFunds || i.WaitingSince != time.Date(2026, 11, 22, 10, 0, 0, 0, time.UTC) {
				t.Fatalf("%+v", i)
			}
			f.wantAlarms(t, "claim_in_doubt", 0, "")
			f.up.before = nil
			f.wait(t, 4*time.Hour)
			f.wantState(t, "R1", refund.Processing, "after the top-up")
			f.wantCalls(t, "refund:R2", 0, "")
		})
	}
}

// One that is withdrawn while its last submission is in doubt is never submitted again and
// ends by the rules of any doubt.
func TestWithdrawnWhileAWaitIsInDoubt(t *testing.T) {
	f := waiting(t)
	f.up.before = noAnswer
	f.later(t, 2*time.Minute)
	cancel(t, f)
	n := f.up.count("refund:R1")
	f.up.before = nil
	f.wait(t, 30*time.Hour)
	f.wantCalls(t, "refund:R1", n, "once it is withdrawn")
	f.wantState(t, "R1", refund.Rejected, "")
	f.wantOpen(t, "of what nobody wants any more")
}

// A silent upstream is not asked to carry it out for ever.
func TestWaitThatGetsNoAnswerEnds(t *testing.T) {
	f := waiting(t)
	f.up.before = noAnswer
	f.wait(t, 9*24*time.Hour)
	n := f.up.count("refund:R1")
	f.wait(t, 2*24*time.Hour)
	f.wantCalls(t, "refund:R1", n, "after nine days")
	f.wantState(t, "R1", refund.Rejected, "since the upstream says that it holds nothing")
}

// In one run, what is no less than has just been refused is not tried; what is less is.
func TestRunDoesNotTryWhatTheBalanceIsKnownToBeTooLowFor(t *testing.T) {
	f := clocked(t)
	f.WaitFunds = true
	f.up.before = short
	for i := range 30 {
		r := request(number(i), 60)
		r.OutTradeNo = fmt.Sprint("O", i)
		f.refused(t, r, refund.CodeRejected, refund.Later)
	}
	small := request("small", 5)
	small.OutTradeNo = "O99"
	f.refused(t, small, refund.CodeRejected, refund.Later)
	f.up.before = func(r refund.Request) error {
		if r.Amount.Refund > 10 {
			return short(r)
		}
		return nil
	}
	before := f.up.total()
	f.later(t, 61*time.Second)
	if n := f.up.total() - before; n > 10 { // as many as are under way at once
		t.Errorf("%d submissions in one run", n)
	}
	f.wantState(t, "small", refund.Processing, "")
}

// Never more than one submission is in flight, however many reconcilers run and callers repeat.
func TestOneSubmissionOfAWaitingRefundAtATime(t *testing.T) {
	f := waiting(t)
	f.advance(2 * time.Minute)
	flying, most := 0, 0
	f.up.before = func(r refund.Request) error {
		f.up.mu.Lock()
		flying++
		most = max(most, flying)
		f.up.mu.Unlock()
		time.Sleep(20 * time.Millisecond)
		f.up.mu.Lock()
		flying--
		f.up.mu.Unlock()
		return short(r)
	}
	done := make(chan struct{})
	for range 6 {
		go func() {
			defer func() { done <- struct{}{} }()
			_, _ = f.Reconcile(context.Background())
			_, _ = f.Refund(context.Background(), server, request("R1", 60))
		}()
	}
	for range 6 {
		<-done
	}
	if most != 1 {
		t.Errorf("%d submissions at once", most)
	}
	f.wantCalls(t, "refund:R1", 2, "")
}

// Refunds of one order keep their pace, waiting ones too.
func TestWaitingRefundsKeepThePaceOfTheirOrder(t *testing.T) {
	f := clocked(t)
	f.WaitFunds, f.Pace = true, time.Hour
	f.up.before = short
	f.refused(t, request("R1", 30), refund.CodeRejected, refund.Later)
	f.advance(time.Hour)
	f.refused(t, request("R2", 30), refund.CodeRejected, refund.Later)
	var last time.Time
	lastNo := ""
	f.up.before = func(r refund.Request) error {
		if since := f.Now().Sub(last); lastNo != "" && lastNo != r.OutRefundNo && since < time.Hour {
			t.Errorf("%s leaves %v after %s", r.OutRefundNo, since, lastNo)
		}
		last, lastNo = f.Now(), r.OutRefundNo
		return short(r)
	}
	f.wait(t, 24*time.Hour)
	f.up.before = nil
	f.wait(t, 24*time.Hour)
	f.wantState(t, "R1", refund.Processing, "")
	f.wantState(t, "R2", refund.Processing, "")
}
