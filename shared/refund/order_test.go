package refund_test

import (
	"context"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"wxrefund/shared/refund"
)

// Two names of one order are joined once the upstream says that they are one.
func TestBothNamesOfAnOrderLeadToOneAccount(t *testing.T) {
	f := setUp(t)
	f.must(t, request("R1", 60)) // by out_trade_no; the reply tells T-O1
	byID := request("R2", 41)
	byID.OutTradeNo, byID.TransactionID = "", "T-O1"
	_, err := f.Refund(t.Context(), server, byID)
	wantCode(t, err, refund.CodeConflict, refund.Never)
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
func TestLearningAnAliasMergesTheAccounts(t *testing.T) {
	f := setUp(t)
	// Both claims stand before either reply is known.
	f.up.after = noAnswer
	_, _ = f.Refund(t.Context(), server, request("R1", 60))
	byID := request("R2", 60)
	byID.OutTradeNo, byID.TransactionID = "", "T-O1"
	_, _ = f.Refund(t.Context(), server, byID)
	for _, no := range []string{"R1", "R2"} {
		if _, err := f.QueryRefund(t.Context(), server, refund.Lookup{OutRefundNo: no}); err != nil {
			t.Fatal(err)
		}
	}
	p, err := f.QueryOrder(t.Context(), server, refund.Lookup{OutTradeNo: "O1"})
	if err != nil {
		t.Fatal(err)
	}
	var numbers []string
	for _, r := range p.Refunds {
		numbers = append(numbers, r.OutRefundNo)
	}
	if d := cmp.Diff([]string{"R1", "R2"}, numbers); d != "" {
		t.Errorf("the order's refunds (-want +got):\n%s", d)
	}
	if !strings.Contains(f.log.String(), "exceed its total") {
		t.Error("no alarm about the excess")
	}
	f.up.after = nil
	_, err = f.Refund(t.Context(), server, request("R3", 1))
	wantCode(t, err, refund.CodeConflict, refund.Never)
}

// Two names that the upstream has told to be two orders' are refused before anything is sent.
func TestNamesOfTwoOrdersAreRefusedBeforeAnythingIsSent(t *testing.T) {
	f := setUp(t)
	f.must(t, request("R1", 60)) // O1 is T-O1
	for name, wrong := range map[string]refund.Request{
		"known by out_trade_no":   {OutRefundNo: "R2", OutTradeNo: "O1", TransactionID: "T-O2"},
		"known by transaction_id": {OutRefundNo: "R2", OutTradeNo: "O2", TransactionID: "T-O1"},
	} {
		wrong.Amount = refund.RequestAmount{Refund: 10, Total: 100, Currency: "CNY"}
		_, err := f.Refund(t.Context(), server, wrong)
		if e := wantCode(t, err, refund.CodeConflict, refund.Never); !strings.Contains(e.Message, "two orders") {
			t.Errorf("%s: message %q", name, e.Message)
		}
	}
	if n := f.up.count("refund:R2"); n != 0 {
		t.Errorf("%d submissions, want none", n)
	}
	for _, l := range []refund.Lookup{{TransactionID: "T-O2"}, {OutTradeNo: "O2"}} {
		if _, err := f.QueryOrder(t.Context(), server, l); !refund.IsCode(err, refund.CodeNotFound) {
			t.Errorf("%+v: %v, want not found", l, err)
		}
	}
	f.must2(t, request("R3", 40))
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
	_, err := f.Refund(t.Context(), server, both("R1", 60))
	wantCode(t, err, refund.CodeUnavailable, refund.SameNumber)
	for _, r := range []refund.Request{request("R2", 60), byID("R2", 60), both("R2", 60)} {
		_, err := f.Refund(t.Context(), server, r)
		if e := wantCode(t, err, refund.CodeConflict, refund.Later); !strings.Contains(e.Message, "40 of 100") {
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
	f.must2(t, byID("R3", 40))
	_, err = f.Refund(t.Context(), server, request("R4", 1))
	wantCode(t, err, refund.CodeConflict, refund.Never)
}

// Of two names of two orders the upstream follows one: the refund counts there, and
// the other order is free.
func TestRefundIsBookedOnTheOrderThatTheUpstreamNames(t *testing.T) {
	for name, learn := range map[string]func(t *testing.T, f *fixture, r refund.Request){
		"from the answer": func(t *testing.T, f *fixture, r refund.Request) { f.must(t, r) },
		"from a query": func(t *testing.T, f *fixture, r refund.Request) {
			f.up.after = noAnswer
			_, err := f.Refund(t.Context(), server, r)
			wantCode(t, err, refund.CodeUnavailable, refund.SameNumber)
			f.up.after = nil
			if _, err := f.QueryRefund(t.Context(), server, refund.Lookup{OutRefundNo: r.OutRefundNo}); err != nil {
				t.Fatal(err)
			}
		},
		"from a notification": func(t *testing.T, f *fixture, r refund.Request) {
			f.up.after = noAnswer
			_, err := f.Refund(t.Context(), server, r)
			wantCode(t, err, refund.CodeUnavailable, refund.SameNumber)
			f.up.after = nil
			out := notification(r.OutRefundNo, 60, refund.StatusSuccess)
			out.Refund.TransactionID, out.Refund.OutTradeNo = "T-O2", "O2"
			f.up.set(r.OutRefundNo, refund.StatusSuccess)
			if _, err := f.Settle(t.Context(), out); err != nil {
				t.Fatal(err)
			}
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
			_, err := f.Refund(t.Context(), server, other)
			wantCode(t, err, refund.CodeConflict, refund.Never)
		})
	}
}

// A lister is an upstream that is asked about orders. Its answer is on its way
// while meanwhile happens.
type lister struct {
	*upstream
	meanwhile func()
}

func (u lister) Spec() refund.Spec {
	s := u.upstream.Spec()
	s.Lookups = []string{"out_refund_no", "out_trade_no"}
	return s
}

func (u lister) Query(ctx context.Context, l refund.Lookup) (refund.Page, error) {
	if !l.ByOrder() {
		return u.upstream.Query(ctx, l)
	}
	u.mu.Lock()
	page := refund.Page{Refunds: slices.Collect(maps.Values(u.refunds))}
	u.mu.Unlock()
	if u.meanwhile != nil {
		u.meanwhile()
	}
	return page, nil
}

// What an order's page says of a refund is old event if a notification has overtaken it,
// and the last word if nothing has.
func TestOrderPageThatWasOvertaken(t *testing.T) {
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
		up := lister{upstream: f.up}
		up.meanwhile = func() {
			if c.notification == "" {
				return
			}
			if _, err := f.Settle(t.Context(), notification("R1", 60, c.notification)); err != nil {
				t.Error(err)
			}
		}
		f.Channel = up
		f.must(t, request("R1", 60))
		if c.first != "" {
			if _, err := f.Settle(t.Context(), notification("R1", 60, c.first)); err != nil {
				t.Fatal(err)
			}
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

func TestQueryOrderPages(t *testing.T) {
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

func TestQueryOfWhatNobodyKnows(t *testing.T) {
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
func TestQueryAdoptsAForeignRefund(t *testing.T) {
	f := setUp(t)
	f.up.refunds["BYHAND"] = notification("BYHAND", 60, refund.StatusProcessing).Refund
	got, err := f.QueryRefund(t.Context(), server, refund.Lookup{OutRefundNo: "BYHAND"})
	if err != nil || got.Status != refund.StatusProcessing {
		t.Fatalf("%+v, %v", got, err)
	}
	_, err = f.Refund(t.Context(), server, request("R1", 41))
	wantCode(t, err, refund.CodeConflict, refund.Never)
}
