package refund_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"wxrefund/shared/refund"
)

// C10: the same notification again changes nothing and is no error.
func TestRepeatedNotificationChangesNothing(t *testing.T) {
	f := setUp(t)
	f.must(t, request("R1", 60))
	st, err := f.Settle(t.Context(), notification("R1", 60, refund.StatusSuccess))
	if err != nil || !st.Changed || st.State != refund.Success {
		t.Fatalf("first: %+v, %v", st, err)
	}
	// Nor does another version's way of writing an item make it a change.
	items := f.items(t, "refund/R1", "order/out_trade_no/O1")
	for i := range items {
		items[i].Body = []byte(strings.TrimSuffix(string(items[i].Body), "}") + `,"later":1}`)
	}
	f.write(t, items...)
	before := f.items(t, "refund/R1", "order/out_trade_no/O1")
	for range 16 {
		st, err := f.Settle(t.Context(), notification("R1", 60, refund.StatusSuccess))
		if err != nil || st.Changed || st.State != refund.Success {
			t.Fatalf("repeat: %+v, %v", st, err)
		}
	}
	after := f.items(t, "refund/R1", "order/out_trade_no/O1")
	if d := cmp.Diff(before, after); d != "" {
		t.Errorf("the ledger changed (-before +after):\n%s", d)
	}
}

// C13: a refund that we never claimed is recorded and counts in its order.
func TestExternalRefundIsRecordedAndCounts(t *testing.T) {
	f := setUp(t)
	st, err := f.Settle(t.Context(), notification("BYHAND", 60, refund.StatusSuccess))
	if err != nil || !st.Changed {
		t.Fatalf("%+v, %v", st, err)
	}
	f.wantStatus(t, "BYHAND", "SUCCESS", "")
	f.refused(t, request("R1", 41), refund.CodeConflict, refund.Never)
	f.must(t, request("R2", 40))

	// Claiming it later: the same money is the stored answer, other money a conflict.
	if got := f.must(t, request("BYHAND", 60)); got.Status != refund.StatusSuccess {
		t.Errorf("adopted: %s", got.Status)
	}
	f.refused(t, request("BYHAND", 50), refund.CodeConflict, refund.NewNumber)
}

// A foreign refund counts even above the order's total, loudly.
func TestExternalExcessIsAnAlarmAndStillRecorded(t *testing.T) {
	f := setUp(t)
	f.must(t, request("R1", 60))
	f.settle(t, notification("BYHAND", 60, refund.StatusSuccess))
	if !strings.Contains(f.log.String(), "exceed its total") {
		t.Error("no alarm")
	}
	f.wantStatus(t, "BYHAND", "SUCCESS", "")
	f.refused(t, request("R2", 1), refund.CodeConflict, refund.Never)
}

// C14: a notification under a valid signature that is not about the claimed money is
// evidence only; the query decides.
func TestMismatchedNotificationIsNotApplied(t *testing.T) {
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
			var versions []int64
			for range 3 {
				_, err := f.Settle(t.Context(), out)
				wantCode(t, err, refund.CodeUnavailable, refund.SameNumber)
				versions = append(versions, f.items(t, "refund/R1")[0].Version)
			}
			if versions[0] != versions[2] {
				t.Errorf("the repeats were written: versions %v", versions)
			}
			f.wantStatus(t, "R1", "PROCESSING", "")
			f.wantAlarms(t, "", 1, "for one notification")
			f.up.queryErr = nil
			if _, err := f.Settle(t.Context(), out); err != nil {
				t.Errorf("after the query has answered: %v", err)
			}
			f.wantStatus(t, "R1", "PROCESSING", "")
		})
	}
}

// C16: a notification against a final state is asked about, and the answer stands.
func TestContradictionOfAFinalStateIsAskedAbout(t *testing.T) {
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
			f.settle(t, notification("R1", 60, s))
		}
		f.wantStatus(t, "R1", string(c.want), fmt.Sprintf("after %s then %s, in truth %s", c.first, c.second, c.truth))
		if f.alarms("") == 0 {
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
	f.settle(t, notification("R1", 60, refund.StatusAbnormal))
	f.settle(t, notification("R1", 60, refund.StatusProcessing))
	f.wantStatus(t, "R1", "ABNORMAL", "after a notification")
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
	f.refused(t, request("R1", 60), refund.CodeRejected, refund.Never)
	f.up.before = nil
	f.must(t, request("R2", 60))
	f.settle(t, notification("R1", 60, refund.StatusSuccess))
	f.wantStatus(t, "R1", "SUCCESS", "")
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
		f.settle(t, notification(number(i), 100, refund.StatusClosed))
	}
	if e := f.refused(t, request("R50", 1), refund.CodeConflict, refund.Never); !strings.Contains(e.Message, "50 refunds") {
		t.Errorf("message %q", e.Message)
	}
}

// C15: every order of every legal history, with repeats, ends alike.
func TestAnyPermutationOfNotificationsEndsAlike(t *testing.T) {
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
func TestSettleRefusesOutcomesThatMakeNoSense(t *testing.T) {
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
		f.wantStatus(t, "R1", "-", "of an outcome with "+name)
	}
}

// A final state is never taken back by an order's list; a query of that refund can,
// with an alarm, and no event is delivered twice for it.
func TestFinalStateIsTakenBackByItsOwnQueryOnly(t *testing.T) {
	for _, final := range []refund.Status{refund.StatusSuccess, refund.StatusClosed} {
		for _, listed := range []refund.Status{refund.StatusProcessing, refund.StatusAbnormal, refund.StatusSuccess, refund.StatusClosed} {
			if listed == final {
				continue
			}
			f := setUp(t)
			shop := f.subscribe("shop")
			f.must(t, request("R1", 60))
			f.up.set("R1", final)
			f.settle(t, notification("R1", 60, final))
			f.Deliver(t.Context(), "R1")
			list := refund.Page{TotalRefundCount: 1, RefundCount: 1, Refunds: []refund.Refund{f.up.set("R1", listed)}}
			f.up.set("R1", final)
			f.up.byOrder()
			f.up.listed = func() refund.Page { return list }
			page, err := f.QueryOrder(t.Context(), server, refund.Lookup{OutTradeNo: "O1"})
			if err != nil || page.Refunds[0].Status != final {
				t.Errorf("%s, listed as %s: %+v, %v", final, listed, page.Refunds, err)
			}
			if got := f.inspect(t, "R1").State; string(got) != strings.ToLower(string(final)) {
				t.Errorf("%s, listed as %s: %s", final, listed, got)
			}
			// There and back by the refund's own query: subscribers are told once.
			for _, status := range []refund.Status{refund.StatusProcessing, final} {
				f.up.set("R1", status)
				out := notification("R1", 60, status)
				out.Source, out.Refund.Status = refund.Relay, status
				if _, err := f.Relayed(t.Context(), server, out); err != nil {
					t.Fatal(err)
				}
				f.Deliver(t.Context(), "R1")
			}
			if len(shop.events()) != 1 {
				t.Errorf("%s: told %d times", final, len(shop.events()))
			}
			if f.alarms("reversed") == 0 {
				t.Errorf("%s: no alarm", final)
			}
		}
	}
}

// An answer that leaves the amount out says nothing of it: the refund is settled
// as it was claimed. The reduced query of the CloudBase template is such a one.
func TestAmountThatAnAnswerLeavesOutIsAsClaimed(t *testing.T) {
	for _, status := range []refund.Status{refund.StatusProcessing, refund.StatusSuccess, refund.StatusClosed, refund.StatusAbnormal} {
		t.Run(string(status), func(t *testing.T) {
			f := setUp(t)
			f.up.after = noAnswer
			if _, err := f.Refund(t.Context(), server, request("R1", 60)); !refund.IsCode(err, refund.CodeUnavailable) {
				t.Fatalf("error %v, want the outcome to be unknown", err)
			}
			f.up.after = nil
			f.up.refunds["R1"] = refund.Refund{OutRefundNo: "R1", Status: status}
			got, err := f.QueryRefund(t.Context(), server, refund.Lookup{OutRefundNo: "R1"})
			if err != nil || got.Status != status || got.Amount.Refund != 60 || got.Amount.Total != 100 || got.Amount.Currency != "CNY" || got.OutTradeNo != "O1" {
				t.Errorf("%+v, error %v", got, err)
			}
			if f.alarms("differs")+f.alarms("contradiction") > 0 {
				t.Errorf("what was not said is held against the record:\n%s", f.log)
			}
			// The 60 fen are not there a second time, unless the refund is closed.
			_, err = f.Refund(t.Context(), server, request("R2", 41))
			if free := status == refund.StatusClosed; free != (err == nil) || !free && !refund.IsCode(err, refund.CodeConflict) {
				t.Errorf("41 fen more: error %v, want them to be left: %t", err, free)
			}
		})
	}
}

// What a reply says of the amount is compared; what it leaves out is not.
func TestAmountIsComparedWhereAReplyHasIt(t *testing.T) {
	for name, c := range map[string]struct {
		amount refund.Amount
		status string // that the ledger says afterwards
		alarm  string
	}{
		"nothing":                {refund.Amount{}, "SUCCESS", ""},
		"the same":               {refund.Amount{Refund: 60, Total: 100, Currency: "CNY"}, "SUCCESS", ""},
		"the total alone":        {refund.Amount{Total: 100}, "SUCCESS", ""},
		"another total alone":    {refund.Amount{Total: 90}, "PROCESSING", "amount.total differs"},
		"another currency alone": {refund.Amount{Currency: "USD"}, "PROCESSING", "amount.currency differs"},
		"another amount":         {refund.Amount{Refund: 59}, "PROCESSING", "amount.refund differs"},
	} {
		t.Run(name, func(t *testing.T) {
			f := setUp(t)
			f.must(t, request("R1", 60))
			f.up.refunds["R1"] = refund.Refund{OutRefundNo: "R1", Status: refund.StatusSuccess, Amount: c.amount}
			out := refund.Outcome{Source: refund.Reply, OutRefundNo: "R1", Refund: f.up.refunds["R1"]}
			_, err := f.Settle(t.Context(), out)
			f.wantStatus(t, "R1", c.status, fmt.Sprint("after ", err))
			if c.alarm != "" && !strings.Contains(f.log.String(), c.alarm) {
				t.Errorf("no alarm %q:\n%s", c.alarm, f.log)
			}
			if _, err := f.Refund(t.Context(), server, request("R2", 41)); !refund.IsCode(err, refund.CodeConflict) {
				t.Errorf("another 41 fen of an order of 100: error %v", err)
			}
		})
	}
}

// A notification always says the amount, and of a refund that is not on record nobody
// else could.
func TestAmountMustBeSaidByNotificationsAndOfUnknownRefunds(t *testing.T) {
	f := setUp(t)
	f.up.refunds["BYHAND"] = refund.Refund{OutRefundNo: "BYHAND", OutTradeNo: "O1", Status: refund.StatusSuccess}
	_, err := f.QueryRefund(t.Context(), server, refund.Lookup{OutRefundNo: "BYHAND"})
	wantCode(t, err, refund.CodeUnavailable, refund.SameNumber)
	f.wantStatus(t, "BYHAND", "-", "")
	f.must(t, request("R1", 60))
	_, err = f.Settle(t.Context(), notification("R1", 0, refund.StatusSuccess))
	wantCode(t, err, refund.CodeUnavailable, refund.SameNumber)
	f.wantStatus(t, "R1", "PROCESSING", "")
}
