package refund_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"wxrefund/shared/refund"
)

// C10: the same notification again changes nothing and is no error.
func TestC10RepeatedNotificationChangesNothing(t *testing.T) {
	f := setUp(t)
	f.must(t, request("R1", 60))
	st, err := f.Settle(t.Context(), notification("R1", 60, refund.StatusSuccess))
	if err != nil || !st.Changed || st.State != refund.Success {
		t.Fatalf("first: %+v, %v", st, err)
	}
	before, err := f.Ledger.Get(t.Context(), "refund/R1", "order/out_trade_no/O1")
	if err != nil {
		t.Fatal(err)
	}
	for range 16 {
		st, err := f.Settle(t.Context(), notification("R1", 60, refund.StatusSuccess))
		if err != nil || st.Changed || st.State != refund.Success {
			t.Fatalf("repeat: %+v, %v", st, err)
		}
	}
	after, err := f.Ledger.Get(t.Context(), "refund/R1", "order/out_trade_no/O1")
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(before, after); d != "" {
		t.Errorf("the ledger changed (-before +after):\n%s", d)
	}
}

// C13: a refund that we never claimed is recorded and counts in its order.
func TestC13ForeignRefundIsRecorded(t *testing.T) {
	f := setUp(t)
	st, err := f.Settle(t.Context(), notification("BYHAND", 60, refund.StatusSuccess))
	if err != nil || !st.Changed {
		t.Fatalf("%+v, %v", st, err)
	}
	if got := f.status(t, "BYHAND"); got != "SUCCESS" {
		t.Errorf("status %s", got)
	}
	_, err = f.Refund(t.Context(), server, request("R1", 41))
	wantCode(t, err, refund.CodeConflict, refund.Never)
	f.must(t, request("R2", 40))

	// Claiming it later: the same money is the stored answer, other money a conflict.
	if got := f.must(t, request("BYHAND", 60)); got.Status != refund.StatusSuccess {
		t.Errorf("adopted: %s", got.Status)
	}
	_, err = f.Refund(t.Context(), server, request("BYHAND", 50))
	wantCode(t, err, refund.CodeConflict, refund.NewNumber)
}

// A foreign refund counts even above the order's total, loudly.
func TestForeignExcessIsAnAlarmAndNeverALostRow(t *testing.T) {
	f := setUp(t)
	f.must(t, request("R1", 60))
	if _, err := f.Settle(t.Context(), notification("BYHAND", 60, refund.StatusSuccess)); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(f.log.String(), "exceed its total") {
		t.Error("no alarm")
	}
	if got := f.status(t, "BYHAND"); got != "SUCCESS" {
		t.Errorf("status %s", got)
	}
	_, err := f.Refund(t.Context(), server, request("R2", 1))
	wantCode(t, err, refund.CodeConflict, refund.Never)
}

// C14: a notification under a valid signature that is not about the claimed money is
// evidence only; the query decides.
func TestC14MismatchIsNotApplied(t *testing.T) {
	for name, change := range map[string]func(*refund.Outcome){
		"merchant":       func(o *refund.Outcome) { o.Merchant.MchID = "other" },
		"sub merchant":   func(o *refund.Outcome) { o.Merchant.SubMchID = "other" },
		"transaction_id": func(o *refund.Outcome) { o.Refund.TransactionID = "T-O2" },
		"out_trade_no":   func(o *refund.Outcome) { o.Refund.OutTradeNo = "O2" },
		"refund amount":  func(o *refund.Outcome) { o.Refund.Amount.Refund = 61 },
		"order total":    func(o *refund.Outcome) { o.Refund.Amount.Total = 101 },
	} {
		t.Run(name, func(t *testing.T) {
			f := setUp(t)
			f.must(t, request("R1", 60))
			out := notification("R1", 60, refund.StatusSuccess)
			change(&out)

			f.up.queryErr = &refund.Error{Code: refund.CodeUnavailable, Next: refund.SameNumber, Message: "no answer"}
			for range 3 {
				_, err := f.Settle(t.Context(), out)
				wantCode(t, err, refund.CodeUnavailable, refund.SameNumber)
			}
			if got := f.status(t, "R1"); got != "PROCESSING" {
				t.Errorf("status %s, want PROCESSING", got)
			}
			if n := strings.Count(f.log.String(), "msg=alarm"); n != 1 {
				t.Errorf("%d alarms for one notification, want 1", n)
			}
			f.up.queryErr = nil
			if _, err := f.Settle(t.Context(), out); err != nil {
				t.Errorf("after the query has answered: %v", err)
			}
			if got := f.status(t, "R1"); got != "PROCESSING" {
				t.Errorf("status %s, want what the query says: PROCESSING", got)
			}
		})
	}
}

// C16: a notification against a final state is asked about, and the answer stands.
func TestC16ContradictionIsAsked(t *testing.T) {
	for _, c := range []struct{ first, second, truth, want refund.Status }{
		{refund.StatusSuccess, refund.StatusClosed, refund.StatusSuccess, refund.StatusSuccess},
		{refund.StatusSuccess, refund.StatusClosed, refund.StatusClosed, refund.StatusClosed},
		{refund.StatusClosed, refund.StatusSuccess, refund.StatusSuccess, refund.StatusSuccess},
		{refund.StatusClosed, refund.StatusSuccess, refund.StatusClosed, refund.StatusClosed},
	} {
		f := setUp(t)
		f.must(t, request("R1", 60))
		for _, s := range []refund.Status{c.first, c.second} {
			f.up.set("R1", c.truth)
			if _, err := f.Settle(t.Context(), notification("R1", 60, s)); err != nil {
				t.Fatal(err)
			}
		}
		if got := f.status(t, "R1"); got != string(c.want) {
			t.Errorf("%s then %s, in truth %s: %s, want %s", c.first, c.second, c.truth, got, c.want)
		}
		if !strings.Contains(f.log.String(), "msg=alarm") {
			t.Errorf("%s then %s: no alarm", c.first, c.second)
		}
		if got := f.must(t, request("R1", 60)); (got.SuccessTime != "") != (c.want == refund.StatusSuccess) {
			t.Errorf("%s with success_time %q", c.want, got.SuccessTime)
		}
		// A closed refund frees its money; a success does not.
		_, err := f.Refund(t.Context(), server, request("R2", 100))
		if free := err == nil; free != (c.want == refund.StatusClosed) {
			t.Errorf("%s: the whole order refundable again: %v", c.want, free)
		}
	}
}

// Abnormal refunds are taken up again on the merchant platform: only a fresh
// answer may move one back to processing.
func TestAbnormalMovesBackByAQueryOnly(t *testing.T) {
	f := setUp(t)
	f.must(t, request("R1", 60))
	f.up.set("R1", refund.StatusAbnormal)
	if _, err := f.Settle(t.Context(), notification("R1", 60, refund.StatusAbnormal)); err != nil {
		t.Fatal(err)
	}
	if _, err := f.Settle(t.Context(), notification("R1", 60, refund.StatusProcessing)); err != nil {
		t.Fatal(err)
	}
	if got := f.status(t, "R1"); got != "ABNORMAL" {
		t.Errorf("after a notification: %s, want ABNORMAL", got)
	}
	f.up.set("R1", refund.StatusProcessing)
	got, err := f.QueryRefund(t.Context(), server, refund.Lookup{OutRefundNo: "R1"})
	if err != nil || got.Status != refund.StatusProcessing {
		t.Errorf("after a query: %v, %v; want PROCESSING", got.Status, err)
	}
}

// A refusal that turns out to be wrong: the money is real, so it is reserved
// again, even above the total.
func TestRejectedRefundThatHappenedIsRevived(t *testing.T) {
	f := setUp(t)
	f.up.before = refusal(refund.CodeRejected, refund.Never, "SOME_CODE")
	_, err := f.Refund(t.Context(), server, request("R1", 60))
	wantCode(t, err, refund.CodeRejected, refund.Never)
	f.must2(t, request("R2", 60))
	if _, err := f.Settle(t.Context(), notification("R1", 60, refund.StatusSuccess)); err != nil {
		t.Fatal(err)
	}
	if got := f.status(t, "R1"); got != "SUCCESS" {
		t.Errorf("status %s, want SUCCESS", got)
	}
	for _, why := range []string{"on record as rejected", "exceed its total"} {
		if !strings.Contains(f.log.String(), why) {
			t.Errorf("no alarm %q", why)
		}
	}
}

// The closed refund gives its amount back and keeps its place in the count.
func TestClosedFreesTheAmountAndKeepsTheCount(t *testing.T) {
	f := setUp(t)
	for i := range refund.MaxRefunds {
		f.must(t, request(number(i), 100))
		if _, err := f.Settle(t.Context(), notification(number(i), 100, refund.StatusClosed)); err != nil {
			t.Fatal(err)
		}
	}
	_, err := f.Refund(t.Context(), server, request("R50", 1))
	if e := wantCode(t, err, refund.CodeConflict, refund.Never); !strings.Contains(e.Message, "50 refunds") {
		t.Errorf("message %q", e.Message)
	}
}

// C15: every order of every legal history, with repeats, ends alike.
func TestC15AnyPermutationOfNotificationsEndsAlike(t *testing.T) {
	histories := [][]refund.Status{
		{refund.StatusSuccess},
		{refund.StatusClosed},
		{refund.StatusAbnormal, refund.StatusSuccess},
		{refund.StatusAbnormal, refund.StatusClosed},
		{refund.StatusProcessing, refund.StatusAbnormal, refund.StatusSuccess},
	}
	f := setUp(t)
	n := 0
	rapid.Check(t, func(rt *rapid.T) {
		history := rapid.SampledFrom(histories).Draw(rt, "history")
		repeats := rapid.SliceOfN(rapid.SampledFrom(history), 0, 6).Draw(rt, "repeats")
		sent := rapid.Permutation(append(slices.Clone(history), repeats...)).Draw(rt, "order")
		claimed := rapid.Bool().Draw(rt, "claimed here")
		n++
		no, order := fmt.Sprintf("R%d", n), fmt.Sprintf("O%d", n)
		if claimed {
			req := request(no, 60)
			req.OutTradeNo = order
			f.must(t, req)
		}
		for _, status := range sent {
			out := notification(no, 60, status)
			out.Refund.OutTradeNo, out.Refund.TransactionID = order, "T-"+order
			if _, err := f.Settle(t.Context(), out); err != nil {
				rt.Fatalf("%s: %v", status, err)
			}
		}
		got, err := f.QueryOrder(t.Context(), server, refund.Lookup{OutTradeNo: order})
		if err != nil {
			rt.Fatal(err)
		}
		want := history[len(history)-1]
		if len(got.Refunds) != 1 || got.Refunds[0].Status != want {
			rt.Fatalf("%v ends as %+v, want one refund in %s", sent, got.Refunds, want)
		}
		if (got.Refunds[0].SuccessTime != "") != (want == refund.StatusSuccess) {
			rt.Fatalf("%v: success_time %q with %s", sent, got.Refunds[0].SuccessTime, want)
		}
	})
}

// An answer that makes no sense is no outcome.
func TestSettleRefusesNonsense(t *testing.T) {
	for name, change := range map[string]func(*refund.Outcome){
		"unknown status":  func(o *refund.Outcome) { o.Refund.Status = "DONE" },
		"no amount":       func(o *refund.Outcome) { o.Refund.Amount.Refund = 0 },
		"negative amount": func(o *refund.Outcome) { o.Refund.Amount.Refund = -60 },
		"absurd amount":   func(o *refund.Outcome) { o.Refund.Amount.Refund = 1 << 60 },
		"absurd total":    func(o *refund.Outcome) { o.Refund.Amount.Total = 1 << 60 },
		"no order":        func(o *refund.Outcome) { o.Refund.OutTradeNo, o.Refund.TransactionID = "", "" },
	} {
		f := setUp(t)
		out := notification("R1", 60, refund.StatusSuccess)
		change(&out)
		_, err := f.Settle(t.Context(), out)
		if !refund.IsCode(err, refund.CodeUnavailable) {
			t.Errorf("%s: %v, want unavailable", name, err)
		}
		if got := f.status(t, "R1"); got != "-" {
			t.Errorf("%s: recorded as %s", name, got)
		}
	}
}

// hindered does something before each commit that it lets through.
type hindered struct {
	refund.Ledger
	before func() error
}

func (h *hindered) Commit(ctx context.Context, items ...refund.Item) error {
	if err := h.before(); err != nil {
		return err
	}
	return h.Ledger.Commit(ctx, items...)
}

// An answer in hand is recorded however slow the ledger is, as long as the
// platform gives time and though the caller has gone: else it would have to be
// asked for again.
func TestAnswerIsRecordedUntilTheDeadline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := setUp(t)
		slow := &hindered{Ledger: f.Ledger, before: func() error { return nil }}
		f.Service.Ledger = slow
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
		defer cancel()
		f.up.after = func(refund.Request) error {
			slow.before = func() error { time.Sleep(8 * time.Second); return nil }
			cancel()
			return nil
		}
		if _, err := f.Refund(ctx, server, request("R1", 60)); err != nil {
			t.Fatal(err)
		}
		if got := f.status(t, "R1"); got != "PROCESSING" {
			t.Errorf("status %s", got)
		}
	})
}

// Whoever falls between the alarm and the commit has told of it before.
func TestAlarmComesBeforeTheCommit(t *testing.T) {
	f := setUp(t)
	f.must(t, request("R1", 60))
	store := f.Ledger
	f.Service.Ledger = &hindered{Ledger: store, before: func() error { return errors.New("no store") }}
	if _, err := f.Settle(t.Context(), notification("R1", 61, refund.StatusSuccess)); err == nil {
		t.Fatal("no error")
	}
	if !strings.Contains(f.log.String(), "amount.refund differs from what is on record") {
		t.Errorf("no alarm:\n%s", f.log)
	}
}
