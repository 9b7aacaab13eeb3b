package refund_test

import (
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"wxrefund/shared/refund"
)

// A query by an order while a claim of it is in doubt is not "none".
func TestQueryByOrderBesideADoubtIsUnknown(t *testing.T) {
	for _, l := range []refund.Lookup{{OutTradeNo: "O1"}, {TransactionID: "T-O1"}, {OutTradeNo: "O1", TransactionID: "T-O9"}} {
		f := setUp(t)
		f.up.byOrder()
		f.up.before = noAnswer
		r := request("R1", 60)
		r.TransactionID = "T-O1"
		f.refused(t, r, refund.CodeUnavailable, refund.SameNumber)
		_, err := f.QueryOrder(t.Context(), server, l)
		wantCode(t, err, refund.CodeUnavailable, refund.SameNumber)
	}
	f := setUp(t)
	f.up.byOrder()
	_, err := f.QueryOrder(t.Context(), server, refund.Lookup{OutTradeNo: "O1"})
	wantCode(t, err, refund.CodeNotFound, refund.AfterFix)
}

// Two names of one order are joined once the upstream says that they are one.
func TestBothNamesOfAnOrderLeadToOneAccount(t *testing.T) {
	f := setUp(t)
	f.must(t, request("R1", 60)) // by out_trade_no; the reply has T-O1
	byID := request("R2", 41)
	byID.OutTradeNo, byID.TransactionID = "", "T-O1"
	f.refused(t, byID, refund.CodeConflict, refund.Never)
	byID.Amount.Refund = 40
	f.must(t, byID)
	for _, l := range []refund.Lookup{{OutTradeNo: "O1"}, {TransactionID: "T-O1"}, {TransactionID: "T-O1", OutTradeNo: "other"}} {
		p, err := f.QueryOrder(t.Context(), server, l)
		if err != nil || p.TotalRefundCount != 2 {
			t.Errorf("%+v: %d refunds, %v; want 2", l, p.TotalRefundCount, err)
		}
	}
}

// Two accounts that turn out to be one order are merged; the excess is an alarm.
func TestLearningASecondNameMergesTheAccounts(t *testing.T) {
	f := setUp(t)
	// Both claims stand before either reply is known.
	f.up.after = noAnswer
	_, _ = f.Refund(t.Context(), server, request("R1", 60))
	byID := request("R2", 60)
	byID.OutTradeNo, byID.TransactionID = "", "T-O1"
	_, _ = f.Refund(t.Context(), server, byID)
	for _, no := range []string{"R1", "R2"} {
		f.query(t, no)
	}
	p, err := f.QueryOrder(t.Context(), server, refund.Lookup{OutTradeNo: "O1"})
	if err != nil {
		t.Fatal(err)
	}
	var numbers []string
	for _, r := range p.Refunds {
		numbers = append(numbers, r.OutRefundNo)
	}
	wantEqual(t, "the order's refunds", []string{"R1", "R2"}, numbers)
	if !strings.Contains(f.log.String(), "exceed its total") {
		t.Error("no alarm about the excess")
	}
	f.up.after = nil
	f.refused(t, request("R3", 1), refund.CodeConflict, refund.Never)
}

// Two names that the upstream has reported as two orders' are refused before anything is sent.
func TestNamesOfTwoOrdersAreRefusedBeforeAnythingIsSent(t *testing.T) {
	f := setUp(t)
	f.must(t, request("R1", 60)) // O1 is T-O1
	for name, wrong := range map[string]refund.Request{
		"known by out_trade_no":   {OutRefundNo: "R2", OutTradeNo: "O1", TransactionID: "T-O2"},
		"known by transaction_id": {OutRefundNo: "R2", OutTradeNo: "O2", TransactionID: "T-O1"},
	} {
		wrong.Amount = refund.RequestAmount{Refund: 10, Total: 100, Currency: "CNY"}
		if e := f.refused(t, wrong, refund.CodeConflict, refund.Never); !strings.Contains(e.Message, "two orders") {
			t.Errorf("%s: message %q", name, e.Message)
		}
	}
	f.wantCalls(t, "refund:R2", 0, "")
	for _, l := range []refund.Lookup{{TransactionID: "T-O2"}, {OutTradeNo: "O2"}} {
		if _, err := f.QueryOrder(t.Context(), server, l); !refund.IsCode(err, refund.CodeNotFound) {
			t.Errorf("%+v: %v, want not found", l, err)
		}
	}
	f.up.before = nil
	f.must(t, request("R3", 40))
}

// What two names given together reserve counts by either of them, until the
// upstream says whose the refund is.
func TestTwoNamesReserveByEitherUntilTheUpstreamTells(t *testing.T) {
	both := func(no string, fen int64) refund.Request {
		r := request(no, fen)
		r.TransactionID = "T-O1"
		return r
	}
	byID := func(no string, fen int64) refund.Request {
		r := both(no, fen)
		r.OutTradeNo = ""
		return r
	}
	f := setUp(t)
	f.up.before = noAnswer
	f.refused(t, both("R1", 60), refund.CodeUnavailable, refund.SameNumber)
	for _, r := range []refund.Request{request("R2", 60), byID("R2", 60), both("R2", 60)} {
		if e := f.refused(t, r, refund.CodeConflict, refund.Later); !strings.Contains(e.Message, "40 of 100") {
			t.Errorf("message %q, want how much is left", e.Message)
		}
	}
	for _, l := range []refund.Lookup{{OutTradeNo: "O1"}, {TransactionID: "T-O1"}} {
		if p, err := f.QueryOrder(t.Context(), server, l); err != nil || p.TotalRefundCount != 1 {
			t.Errorf("%+v: %+v, %v; want the claim", l, p, err)
		}
	}
	f.up.before = nil
	f.must(t, both("R1", 60)) // confirmed: one order, in which it counts once
	f.must(t, byID("R3", 40))
	f.refused(t, request("R4", 1), refund.CodeConflict, refund.Never)

	f = setUp(t)
	f.up.named = func(r *refund.Refund) { r.TransactionID = "" }
	f.must(t, both("R1", 60)) // by one name, which does not confirm the other
	for _, r := range []refund.Request{request("R2", 41), byID("R2", 41)} {
		f.refused(t, r, refund.CodeConflict, refund.Never)
	}
}

// Of two names of two orders the upstream follows one: the refund counts there, and
// the other order is free.
func TestRefundCountsOnTheOrderThatTheUpstreamNames(t *testing.T) {
	for name, learn := range map[string]func(t *testing.T, f *fixture, r refund.Request){
		"from the answer": func(t *testing.T, f *fixture, r refund.Request) { f.must(t, r) },
		"from a query": func(t *testing.T, f *fixture, r refund.Request) {
			f.up.after = noAnswer
			f.refused(t, r, refund.CodeUnavailable, refund.SameNumber)
			f.up.after = nil
			if _, err := f.QueryRefund(t.Context(), server, refund.Lookup{OutRefundNo: r.OutRefundNo}); err != nil {
				t.Fatal(err)
			}
		},
		"from a notification": func(t *testing.T, f *fixture, r refund.Request) {
			f.up.after = noAnswer
			f.refused(t, r, refund.CodeUnavailable, refund.SameNumber)
			f.up.after = nil
			out := notification(r.OutRefundNo, 60, refund.StatusSuccess)
			out.Refund.TransactionID, out.Refund.OutTradeNo = "T-O2", "O2"
			f.up.set(r.OutRefundNo, refund.StatusSuccess)
			f.settle(t, out)
		},
	} {
		t.Run(name, func(t *testing.T) {
			f := setUp(t)
			f.up.named = func(r *refund.Refund) { // transaction_id wins, as in v2
				if r.TransactionID == "T-O2" {
					r.OutTradeNo = "O2"
				}
			}
			slip := request("R1", 60)
			slip.TransactionID = "T-O2" // beside O1, of which nobody knows yet that it is T-O1
			learn(t, f, slip)
			if _, err := f.QueryOrder(t.Context(), server, refund.Lookup{OutTradeNo: "O1"}); !refund.IsCode(err, refund.CodeNotFound) {
				t.Errorf("O1 lists it: %v", err)
			}
			for _, l := range []refund.Lookup{{OutTradeNo: "O2"}, {TransactionID: "T-O2"}} {
				if p, err := f.QueryOrder(t.Context(), server, l); err != nil || p.TotalRefundCount != 1 {
					t.Errorf("%+v: %d, %v", l, p.TotalRefundCount, err)
				}
			}
			f.must(t, request("R2", 100)) // all of O1
			other := request("R3", 41)
			other.OutTradeNo = "O2"
			f.refused(t, other, refund.CodeConflict, refund.Never)
		})
	}
}

// What an order's page says of a refund is out of date if a notification has overtaken
// it, and counts if nothing has.
func TestOrderPageThatANotificationOvertakesMovesNothingBack(t *testing.T) {
	for _, c := range []struct {
		first, page, notification refund.Status // "": no notification
		want                      string
	}{
		{"", refund.StatusProcessing, refund.StatusSuccess, "SUCCESS"},
		{"", refund.StatusProcessing, refund.StatusClosed, "CLOSED"},
		{"", refund.StatusProcessing, refund.StatusAbnormal, "ABNORMAL"},
		{"", refund.StatusAbnormal, refund.StatusSuccess, "SUCCESS"},
		{"", refund.StatusSuccess, refund.StatusAbnormal, "SUCCESS"}, // and forwards it goes all the same
		{refund.StatusAbnormal, refund.StatusProcessing, "", "PROCESSING"},
		{refund.StatusAbnormal, refund.StatusSuccess, "", "SUCCESS"},
	} {
		f := setUp(t)
		f.up.byOrder()
		f.up.listed = func() refund.Page { // and while the answer is on its way, the notification comes
			page := refund.Page{Refunds: slices.Collect(maps.Values(f.up.refunds))}
			if c.notification != "" {
				f.settle(t, notification("R1", 60, c.notification))
			}
			return page
		}
		f.must(t, request("R1", 60))
		if c.first != "" {
			f.settle(t, notification("R1", 60, c.first))
		}
		f.up.set("R1", c.page)
		f.up.refunds["R2"] = refund.Refund{ // made by hand, and known to nobody here
			OutRefundNo: "R2", OutTradeNo: "O1", TransactionID: "T-O1", Status: refund.StatusSuccess, Amount: refund.Amount{Total: 100, Refund: 10, Currency: "CNY"},
		}
		page, err := f.QueryOrder(t.Context(), server, refund.Lookup{OutTradeNo: "O1"})
		if err != nil {
			t.Fatal(err)
		}
		got := map[string]string{}
		for _, r := range page.Refunds {
			got[r.OutRefundNo] = string(r.Status)
		}
		if d := cmp.Diff(map[string]string{"R1": c.want, "R2": "SUCCESS"}, got); d != "" {
			t.Errorf("%+v (-want +got):\n%s", c, d)
		}
		again, err := f.QueryRefund(t.Context(), server, refund.Lookup{OutRefundNo: "R2"})
		if err != nil || again.Status != refund.StatusSuccess {
			t.Errorf("R2: %v %v", again.Status, err)
		}
	}
}

func TestOrderIsListedInPagesOfTen(t *testing.T) {
	f := setUp(t)
	for i := range 25 {
		f.must(t, request(number(i), 4))
	}
	for _, c := range []struct{ offset, first, count int }{{0, 0, 10}, {10, 10, 10}, {20, 20, 5}, {24, 24, 1}, {25, 0, 0}} {
		p, err := f.QueryOrder(t.Context(), server, refund.Lookup{OutTradeNo: "O1", Offset: c.offset})
		if err != nil {
			t.Fatal(err)
		}
		if p.TotalRefundCount != 25 || p.RefundCount != c.count || p.Offset != c.offset || len(p.Refunds) != c.count {
			t.Errorf("offset %d: %d of %d at %d", c.offset, p.RefundCount, p.TotalRefundCount, p.Offset)
		}
		if c.count > 0 && p.Refunds[0].OutRefundNo != number(c.first) {
			t.Errorf("offset %d begins with %s, want %s", c.offset, p.Refunds[0].OutRefundNo, number(c.first))
		}
		if p.Refunds == nil {
			t.Errorf("offset %d: refunds is null", c.offset)
		}
	}
	_, err := f.QueryOrder(t.Context(), server, refund.Lookup{OutTradeNo: "O1", Offset: 26})
	wantCode(t, err, refund.CodeInvalid, refund.AfterFix)
	_, err = f.QueryOrder(t.Context(), server, refund.Lookup{OutTradeNo: "O9"})
	wantCode(t, err, refund.CodeNotFound, refund.LaterOrFix)
}

func TestQueryOfAnUnknownNumberIsNotFound(t *testing.T) {
	f := setUp(t)
	_, err := f.QueryRefund(t.Context(), server, refund.Lookup{OutRefundNo: "R1"})
	if e := wantCode(t, err, refund.CodeNotFound, refund.AfterFix); e.Upstream != "RESOURCE_NOT_EXISTS" {
		t.Errorf("upstream code %q", e.Upstream)
	}
	_, err = f.QueryRefund(t.Context(), server, refund.Lookup{RefundID: "5000"})
	wantCode(t, err, refund.CodeNotFound, refund.LaterOrFix)
	_, err = f.QueryRefund(t.Context(), server, refund.Lookup{OutRefundNo: "../certificates"})
	wantCode(t, err, refund.CodeInvalid, refund.AfterFix)
}

// A refund that only the upstream knows is adopted when it is asked about.
func TestQueryRecordsARefundThatOnlyTheUpstreamKnows(t *testing.T) {
	f := setUp(t)
	f.up.refunds["BYHAND"] = notification("BYHAND", 60, refund.StatusProcessing).Refund
	got, err := f.QueryRefund(t.Context(), server, refund.Lookup{OutRefundNo: "BYHAND"})
	if err != nil || got.Status != refund.StatusProcessing {
		t.Fatalf("%+v, %v", got, err)
	}
	f.refused(t, request("R1", 41), refund.CodeConflict, refund.Never)
}

// An answer that names the order by out_trade_no alone says nothing of the
// transaction_id that the caller gave beside it: the two must not become one order.
func TestOutTradeNoAloneDoesNotConfirmTheCallersTransactionID(t *testing.T) {
	f := setUp(t)
	f.up.named = func(r *refund.Refund) { r.TransactionID = "" } // it reports O1 and no more
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

// Once the upstream has reported the end of a refund, an order that it is not of is free.
func TestSettledRefundBlocksNoOrderItIsNotOf(t *testing.T) {
	f := setUp(t)
	f.up.named = func(r *refund.Refund) { r.OutTradeNo = "" } // reports transaction_id alone
	slip := request("R1", 60)
	slip.TransactionID = "T-O2"
	f.must(t, slip)
	f.up.set("R1", refund.StatusSuccess)
	out := notification("R1", 60, refund.StatusSuccess) // names both, as notifications do
	out.Refund.TransactionID, out.Refund.OutTradeNo = "T-O2", "O2"
	f.settle(t, out)
	f.up.named = nil
	if _, err := f.Refund(t.Context(), server, request("R2", 100)); err != nil {
		t.Errorf("O1, of which nothing was refunded: %v", err)
	}
}

// Where the upstream counts an order's refunds and reports nothing of them, the
// ledger's list is the answer.
func TestOrderThatIsOnlyCountedIsListedFromTheLedger(t *testing.T) {
	f := setUp(t)
	f.must(t, request("R1", 60))
	f.up.byOrder()
	f.up.queryErr = &refund.Error{Code: refund.CodeUnavailable, Next: refund.SameNumber, Message: "empty lists", CountedOnly: true}
	p, err := f.QueryOrder(t.Context(), server, refund.Lookup{OutTradeNo: "O1"})
	if err != nil || p.TotalRefundCount != 1 || p.Refunds[0].OutRefundNo != "R1" {
		t.Errorf("%+v, %v", p, err)
	}
	_, err = f.QueryOrder(t.Context(), server, refund.Lookup{OutTradeNo: "O2"})
	wantCode(t, err, refund.CodeUnavailable, refund.SameNumber)
}
