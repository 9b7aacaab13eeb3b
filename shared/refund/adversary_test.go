package refund_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"wxrefund/shared/refund"
)

// An answer that names the order by out_trade_no alone says nothing of the
// transaction_id that the caller gave beside it: the two must not become one order.
func TestOutTradeNoAloneDoesNotConfirmTheCallersTransactionID(t *testing.T) {
	f := setUp(t)
	f.up.named = func(r *refund.Refund) { r.TransactionID = "" } // it tells of O1 and no more
	slip := request("R1", 60)
	slip.TransactionID = "T-O2" // another order's
	f.must(t, slip)
	f.up.named = nil
	own := request("R2", 100) // all of that other order
	own.OutTradeNo, own.TransactionID = "O2", "T-O2"
	if _, err := f.Refund(t.Context(), server, own); err != nil && strings.Contains(err.Error(), "two orders") {
		t.Errorf("T-O2 and O1 have become one order in the ledger: %v", err)
	}
	rest := request("R3", 40) // the rest of O1 by its true names
	rest.TransactionID = "T-O1"
	if _, err := f.Refund(t.Context(), server, rest); err != nil {
		t.Errorf("the rest of O1: %v", err)
	}
}

// Once the upstream has told the end of a refund, an order that it is not of is free.
func TestSettledRefundBlocksNoOrderItIsNotOf(t *testing.T) {
	f := setUp(t)
	f.up.named = func(r *refund.Refund) { r.OutTradeNo = "" } // tells transaction_id alone
	slip := request("R1", 60)
	slip.TransactionID = "T-O2"
	f.must(t, slip)
	f.up.set("R1", refund.StatusSuccess)
	out := notification("R1", 60, refund.StatusSuccess) // names both, as notifications do
	out.Refund.TransactionID, out.Refund.OutTradeNo = "T-O2", "O2"
	if _, err := f.Settle(t.Context(), out); err != nil {
		t.Fatal(err)
	}
	f.up.named = nil
	if _, err := f.Refund(t.Context(), server, request("R2", 100)); err != nil {
		t.Errorf("O1, of which nothing was refunded: %v", err)
	}
}

// A repeat that agrees in number, order and amount with a refund that the ledger
// learned from a notification (it was restored, or another instance's) is about that refund:
// a slip in the total or in a second name must not lead to a new number.
func TestSlipBesideTheIdentityIsNotTakenByAnother(t *testing.T) {
	for name, slip := range map[string]func(*refund.Request){
		"total":          func(r *refund.Request) { r.Amount.Total = 120 },
		"transaction_id": func(r *refund.Request) { r.TransactionID = "T-O9" },
	} {
		f := setUp(t)
		f.up.refunds["R1"] = notification("R1", 60, refund.StatusSuccess).Refund
		if _, err := f.Settle(t.Context(), notification("R1", 60, refund.StatusSuccess)); err != nil {
			t.Fatal(err)
		}
		r := request("R1", 60)
		slip(&r)
		_, err := f.Refund(t.Context(), server, r)
		if err != nil && refund.AsError(err).Next == refund.NewNumber {
			t.Errorf("%s: %v: the same 60 of the same order go back a second time under a new number", name, err)
		}
	}
}

// A refund by hand that appears after another one by hand was closed is seen as well.
func TestSecondHandRefundSuspendsThoughTheFirstIsClosed(t *testing.T) {
	f := setUp(t)
	advance := f.clocked()
	hand := func(no string, status refund.Status) {
		f.up.refunds[no] = notification(no, 30, status).Refund
		if _, err := f.Settle(t.Context(), notification(no, 30, status)); err != nil {
			t.Fatal(err)
		}
	}
	hand("H1", refund.StatusAbnormal)
	f.up.before = noAnswer
	_, err := f.Refund(t.Context(), server, request("R1", 30))
	wantCode(t, err, refund.CodeUnavailable, refund.SameNumber)
	hand("H1", refund.StatusClosed)
	hand("H2", refund.StatusSuccess) // a person makes good what did not come through
	f.up.before = nil
	advance(time.Minute)
	f.reconcile(t)
	if n := f.up.count("refund:R1"); n > 1 {
		t.Errorf("submitted again by itself beside the refund by hand: 30 go back twice")
	}
}

// No wrong clock may release a claim while a submission may still be carried out.
func TestWrongClockReleasesNothingInFlight(t *testing.T) {
	for _, off := range []time.Duration{8 * time.Hour, time.Hour, -time.Hour, -8 * time.Hour} {
		t.Run(fmt.Sprint(off), func(t *testing.T) {
			f := setUp(t)
			advance := f.clocked()
			wrong := &refund.Service{Channel: f.up, Ledger: f.Ledger, Merchant: merchant, Log: f.Log,
				Now: func() time.Time { return f.Now().Add(off) }}
			f.up.before = noAnswer // on its way: it arrives within fifteen minutes
			_, err := f.Refund(t.Context(), server, request("R1", 60))
			wantCode(t, err, refund.CodeUnavailable, refund.SameNumber)
			f.up.before = refusal(refund.CodeRejected, refund.LaterOrFix, "SIGN_ERROR")
			_, err = f.Refund(t.Context(), server, request("R1", 60))
			wantCode(t, err, refund.CodeUnavailable, refund.SameNumber)
			for m := 1; m <= 13; m++ {
				advance(time.Minute)
				_, _ = wrong.Reconcile(t.Context())
				f.reconcile(t)
				if d := f.look(t, "R1"); d.State != refund.Claimed {
					t.Fatalf("%s %d minutes after a submission: it can still be carried out, and the money is free", d.State, m)
				}
			}
		})
	}
}

// One alarm per cause, however often the upstream repeats what contradicts the record.
func TestOneAlarmPerCause(t *testing.T) {
	for name, tell := range map[string]func(r *refund.Refund){
		"another amount":   func(r *refund.Refund) { r.Amount.Refund = 70 },
		"another order":    func(r *refund.Refund) { r.OutTradeNo, r.TransactionID = "O2", "T-O2" },
		"another total":    func(r *refund.Refund) { r.Amount.Total = 200 },
		"another currency": func(r *refund.Refund) { r.Amount.Currency = "USD" },
	} {
		t.Run(name, func(t *testing.T) {
			f := setUp(t)
			advance := f.clocked()
			f.must(t, request("R1", 60))
			r := f.up.refunds["R1"]
			tell(&r)
			f.up.refunds["R1"] = r
			f.wait(t, advance, 20*time.Hour)
			if n := strings.Count(f.log.String(), "msg=alarm "); n > 2 {
				t.Errorf("%d alarms in 20 hours, want one", n)
			}
		})
	}
}

// The same of an item that cannot be read.
func TestUnreadableItemIsOneAlarm(t *testing.T) {
	f := setUp(t)
	advance := f.clocked()
	if err := f.Ledger.Commit(t.Context(), refund.Item{Key: "refund/BAD", Body: []byte(`{"state":5}`), Due: f.Now()}); err != nil {
		t.Fatal(err)
	}
	f.wait(t, advance, 5*time.Hour)
	if n := strings.Count(f.log.String(), "msg=alarm "); n > 1 {
		t.Errorf("%d alarms in five hours, want one", n)
	}
}

// An alarm is closed by a line when its cause ends: a panic's as well.
func TestPanicAlarmIsClosed(t *testing.T) {
	f := setUp(t)
	advance := f.clocked()
	f.must(t, request("R1", 60))
	broken := true
	f.Channel = panicking{f.up, &broken}
	f.wait(t, advance, time.Hour)
	if !strings.Contains(f.log.String(), "alarm=panic") {
		t.Fatal("no alarm")
	}
	broken = false
	f.up.set("R1", refund.StatusSuccess)
	f.wait(t, advance, 4*time.Hour)
	d := f.look(t, "R1")
	if d.State != refund.Success || len(d.Causes) > 0 {
		t.Errorf("%s, and the alarm goes on: %+v", d.State, d.Causes)
	}
}

type panicking struct {
	*upstream
	broken *bool
}

func (p panicking) Query(ctx context.Context, l refund.Lookup) (refund.Page, error) {
	if *p.broken {
		panic("defect")
	}
	return p.upstream.Query(ctx, l)
}

// The pace of an order is kept when its two names become one account.
func TestPaceSurvivesTheMerge(t *testing.T) {
	f := setUp(t)
	advance := f.clocked()
	f.Pace = time.Minute
	byID := request("R1", 10)
	byID.OutTradeNo, byID.TransactionID = "", "T-O1"
	f.up.after = noAnswer
	_, _ = f.Refund(t.Context(), server, byID)
	advance(61 * time.Second)
	_, _ = f.Refund(t.Context(), server, request("R2", 10)) // the account of the other name
	f.up.after = nil
	if _, err := f.QueryRefund(t.Context(), server, refund.Lookup{OutRefundNo: "R1"}); err != nil { // tells both names
		t.Fatal(err)
	}
	advance(10 * time.Second)
	if _, err := f.Refund(t.Context(), server, request("R3", 10)); err == nil {
		t.Error("two refunds of one order ten seconds apart")
	}
}

// What is reserved by a claim in doubt may be free again in a day: never is wrong.
func TestNeverIsNotSaidOfWhatADoubtHolds(t *testing.T) {
	f := setUp(t)
	f.up.before = noAnswer
	_, _ = f.Refund(t.Context(), server, request("R1", 60))
	_, err := f.Refund(t.Context(), server, request("R2", 60))
	if refund.AsError(err).Next == refund.Never {
		t.Errorf("%v, %s: it succeeds once the doubt has ended", err, refund.AsError(err).Next)
	}
	corrected := request("R1", 50)
	_, err = f.Refund(t.Context(), server, corrected)
	if refund.AsError(err).Next == refund.Never {
		t.Errorf("%v, %s: corrected content may be claimed once the doubt has ended", err, refund.AsError(err).Next)
	}
}

// A query by order is 503 while a claim of it is in doubt, by either name of the query.
func TestOrderQueryByBothNamesWhileInDoubt(t *testing.T) {
	f := setUp(t)
	f.Channel = asker{f.up}
	f.up.before = noAnswer
	_, _ = f.Refund(t.Context(), server, request("R1", 60)) // by O1
	_, err := f.QueryOrder(t.Context(), server, refund.Lookup{OutTradeNo: "O1", TransactionID: "T-O1"})
	if refund.IsCode(err, refund.CodeNotFound) {
		t.Errorf("%v, and a claim of O1 is in doubt", err)
	}
}

// An answer that tells neither amount nor order (CloudBase's reduced query) does not
// make ours what the upstream has just refused since the number is taken.
func TestReducedAnswerIsNoPhantomSuccess(t *testing.T) {
	for name, lookUp := range map[string]bool{"at once": true, "by the timer": false} {
		t.Run(name, func(t *testing.T) {
			f := setUp(t)
			advance := f.clocked()
			event := f.listen(t)
			f.up.before = maybeTaken // another environment's refund has the number
			f.up.refunds["R1"] = refund.Refund{OutRefundNo: "R1", Status: refund.StatusSuccess}
			if !lookUp {
				f.up.queryErr = noAnswer(refund.Request{})
			}
			got, err := f.Refund(t.Context(), server, request("R1", 60))
			if err == nil {
				t.Errorf("refused by the upstream, and the caller is told %s", got.Status)
			}
			f.up.queryErr = nil
			f.wait(t, advance, time.Hour)
			if d := f.look(t, "R1"); d.State == refund.Success {
				t.Errorf("on record as %s", d.State)
			}
			if len(*event) > 0 {
				t.Errorf("the business is told %s", (*event)[0].Status)
			}
		})
	}
}
