package refund_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"wxrefund/shared/refund"
)

var (
	buyer     = refund.Caller{Kind: refund.User, OpenID: "oBuyer", AppID: "wx1"}
	stranger  = refund.Caller{Kind: refund.User, OpenID: "oStranger", AppID: "wx1"}
	operatorA = refund.Caller{Kind: refund.User, OpenID: "oOperatorA", AppID: "wx1"}
	operatorB = refund.Caller{Kind: refund.User, OpenID: "oOperatorB", AppID: "wx1"}
)

// shop is a fixture where buyers apply and operators decide; order O1 of 100 fen is the buyer's.
func shop(t *testing.T) *fixture {
	t.Helper()
	f := clocked(t)
	f.Policy.Operators = []string{"oOperatorA", "oOperatorB"}
	f.AppIDs = []string{"wx1"}
	f.VerifyOrder, f.Self.Mode, f.Self.Daily = refund.VerifyFirst, refund.SelfPropose, 5
	f.up.paid("O1", 100, "oBuyer", f.Now().Add(-time.Hour))
	return f
}

func applyFor(minor int64) refund.ApplyRequest {
	return refund.ApplyRequest{OutTradeNo: "O1", Amount: refund.ApplyAmount{Refund: minor}, Reason: "broken"}
}

// applies applies as the buyer, which is to succeed.
func (f *fixture) applies(t *testing.T, req refund.ApplyRequest) refund.Application {
	t.Helper()
	a, err := f.Apply(t.Context(), buyer, req)
	if err != nil {
		t.Fatalf("apply: %v", err)
	}
	return a
}

// approves approves as operator A, which is to succeed.
func (f *fixture) approves(t *testing.T, id string) refund.Application {
	t.Helper()
	a, err := f.Approve(t.Context(), operatorA, refund.Decision{ApplicationID: id, Reason: "seen"})
	if err != nil {
		t.Fatalf("approve: %v", err)
	}
	return a
}

// verified holds the whole ledger against its invariants.
func (f *fixture) verified(t *testing.T) {
	t.Helper()
	_, err := f.Verify(t.Context(), refund.VerifyInput{Found: func(got refund.Finding) {
		t.Errorf("the books do not add up: %+v", got)
	}})
	if err != nil {
		t.Fatal(err)
	}
}

func TestAnApplicationIsRefundedOnceByADecision(t *testing.T) {
	f := shop(t)
	told := f.subscribe("shop")
	a := f.applies(t, applyFor(40))
	if a.State != refund.ApplicationPending || a.OutRefundNo != "" || a.Amount != (refund.ApplicationAmount{Refund: 40, Total: 100, Currency: "CNY"}) {
		t.Fatalf("applied: %+v", a)
	}
	if n := f.up.count("refund:" + a.ID + "N1"); n != 0 {
		t.Fatalf("refunded before any decision: %d", n)
	}
	got := f.approves(t, a.ID)
	if got.State != refund.ApplicationApproved || got.OutRefundNo != a.ID+"N1" || got.Refund == nil || got.Refund.Amount.Refund != 40 {
		t.Fatalf("approved: %+v", got)
	}
	f.approves(t, a.ID)
	if _, err := f.Approve(t.Context(), operatorB, refund.Decision{ApplicationID: a.ID}); err != nil {
		t.Fatal(err)
	}
	if n := f.up.count("refund:" + a.ID + "N1"); n != 1 {
		t.Errorf("sent %d times, want once", n)
	}
	f.settle(t, refund.Outcome{Source: refund.Notification, OutRefundNo: got.OutRefundNo, Merchant: merchant, Refund: f.up.set(got.OutRefundNo, refund.StatusSuccess)})
	f.later(t, 2*time.Minute)
	f.later(t, time.Minute)
	end, err := f.Application(t.Context(), a.ID)
	if err != nil || end.State != refund.ApplicationRefunded {
		t.Fatalf("in the end: %+v, %v", end, err)
	}
	var events []string
	for _, e := range told.events() {
		if e.Application != nil {
			events = append(events, string(e.Application.State))
			if e.Application.Applicant != "" || e.ID == "" {
				t.Errorf("event %+v", e)
			}
		}
	}
	if diff := cmp.Diff([]string{"PENDING", "APPROVED", "REFUNDED"}, events); diff != "" {
		t.Error("events (-want +got):\n" + diff)
	}
	f.verified(t)
}

func TestTheSameWishIsTheSameApplication(t *testing.T) {
	f := shop(t)
	first := f.applies(t, applyFor(40))
	if again := f.applies(t, applyFor(40)); again.ID != first.ID {
		t.Errorf("twice: %s and %s", first.ID, again.ID)
	}
	if _, err := f.Reject(t.Context(), operatorA, refund.Decision{ApplicationID: first.ID}); err != nil {
		t.Fatal(err)
	}
	if again := f.applies(t, applyFor(40)); again.ID != first.ID || again.State != refund.ApplicationRejected {
		t.Errorf("after a rejection: %+v", again)
	}
	f.advance(25 * time.Hour)
	if other := f.applies(t, applyFor(40)); other.ID == first.ID {
		t.Error("a day later it is still the same")
	}
	whole := f.applies(t, applyFor(0))
	if same := f.applies(t, applyFor(100)); same.ID != whole.ID {
		t.Error("all that is left and its amount are two applications")
	}
	named := applyFor(10)
	named.RequestID = "r1"
	one := f.applies(t, named)
	f.advance(48 * time.Hour)
	if two := f.applies(t, named); two.ID != one.ID {
		t.Error("the same request_id is two applications")
	}
	named.Amount.Refund = 11
	_, err := f.Apply(t.Context(), buyer, named)
	wantCode(t, err, refund.CodeConflict, refund.Never)
	f.verified(t)
}

func TestApplyingAtOnceIsOneApplication(t *testing.T) {
	f := shop(t)
	ids := make([]string, 8)
	var wg sync.WaitGroup
	for i := range ids {
		wg.Go(func() {
			a, err := f.Apply(t.Context(), buyer, applyFor(40))
			if err != nil {
				t.Error(err)
			}
			ids[i] = a.ID
		})
	}
	wg.Wait()
	slices.Sort(ids)
	if ids = slices.Compact(ids); len(ids) != 1 {
		t.Errorf("applications %v, want one", ids)
	}
}

func TestWhoMayApplyAndDecide(t *testing.T) {
	f := shop(t)
	a := f.applies(t, applyFor(40))
	decide := func(do func(context.Context, refund.Caller, refund.Decision) (refund.Application, error)) func(refund.Caller) error {
		return func(c refund.Caller) error {
			_, err := do(t.Context(), c, refund.Decision{ApplicationID: a.ID})
			return err
		}
	}
	apply := func(c refund.Caller) error { _, err := f.Apply(t.Context(), c, applyFor(40)); return err }
	query := func(c refund.Caller) error {
		_, err := f.ListFor(t.Context(), c, refund.ApplicationQuery{})
		return err
	}
	nobody := refund.Caller{}
	for _, tt := range []struct {
		name   string
		do     func(refund.Caller) error
		caller refund.Caller
		denied bool
	}{
		{"apply, not the payer", apply, stranger, true},
		{"apply, nobody", apply, nobody, true},
		{"apply, a server", apply, server, true},
		{"apply, the payer in another program", apply, refund.Caller{Kind: refund.User, OpenID: "oBuyer", AppID: "wx2"}, true},
		{"apply, the payer", apply, buyer, false},
		{"approve, the buyer", decide(f.Approve), buyer, true},
		{"reject, the buyer", decide(f.Reject), buyer, true},
		{"withdraw, another", decide(f.Withdraw), stranger, true},
		{"withdraw, an operator", decide(f.Withdraw), operatorA, true},
		{"list, nobody", query, nobody, true},
		{"list, anybody: what is theirs", query, stranger, false},
		{"withdraw, the buyer", decide(f.Withdraw), buyer, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if err := tt.do(tt.caller); refund.IsCode(err, refund.CodeDenied) != tt.denied || !tt.denied && err != nil {
				t.Errorf("error %v, denied is to be %v", err, tt.denied)
			}
		})
	}
	if _, err := f.Approve(t.Context(), operatorA, refund.Decision{ApplicationID: a.ID}); !refund.IsCode(err, refund.CodeConflict) {
		t.Errorf("approved what was withdrawn: %v", err)
	}
	f.Policy.Operators = append(f.Policy.Operators, "oBuyer")
	b := f.applies(t, applyFor(30))
	_, err := f.Approve(t.Context(), buyer, refund.Decision{ApplicationID: b.ID})
	wantCode(t, err, refund.CodeDenied, refund.Never)
}

func TestAnotherPayersOrderIsAskedAboutSoOftenOnly(t *testing.T) {
	f := shop(t)
	for range 20 {
		_, err := f.Apply(t.Context(), stranger, applyFor(40))
		wantCode(t, err, refund.CodeDenied, refund.Never)
	}
	asked := f.up.count("order:O1")
	_, err := f.Apply(t.Context(), stranger, applyFor(40))
	wantCode(t, err, refund.CodeLimited, refund.Later)
	if f.up.count("order:O1") != asked {
		t.Error("WeChat Pay was asked once more")
	}
	f.advance(24 * time.Hour)
	_, err = f.Apply(t.Context(), stranger, applyFor(40))
	wantCode(t, err, refund.CodeDenied, refund.Never)
}

func TestWhatIsNotTheirsTheyCannotTellFromWhatIsNot(t *testing.T) {
	f := shop(t)
	f.must(t, request("R1", 10))
	texts := map[string]bool{}
	for _, l := range []refund.Lookup{{OutRefundNo: "R1"}, {OutRefundNo: "R2"}, {RefundID: "5000R1"}, {RefundID: "none"}, {OutRefundNo: "/"}} {
		_, err := f.QueryRefund(t.Context(), stranger, l)
		texts[wantCode(t, err, refund.CodeDenied, refund.Never).Message] = true
	}
	for _, l := range []refund.Lookup{{OutTradeNo: "O1"}, {OutTradeNo: "O2"}, {TransactionID: "T-O1"}} {
		_, err := f.QueryOrder(t.Context(), stranger, l)
		texts[wantCode(t, err, refund.CodeDenied, refund.Never).Message] = true
	}
	if len(texts) != 1 {
		t.Errorf("they are told %d different things: %v", len(texts), texts)
	}
	a := map[string]bool{}
	for _, no := range []string{"O1", "O2"} {
		req := applyFor(10)
		req.OutTradeNo = no
		_, err := f.Apply(t.Context(), stranger, req)
		a[wantCode(t, err, refund.CodeDenied, refund.Never).Message] = true
	}
	if len(a) != 1 {
		t.Errorf("an order of another and none are told apart: %v", a)
	}
}

func TestABuyerSeesTheirRefundAndNotTheShopsSide(t *testing.T) {
	f := shop(t)
	f.up.named = func(r *refund.Refund) {
		r.FundsAccount = "AVAILABLE"
		r.Amount.From = []refund.From{{Account: "AVAILABLE", Amount: 10}}
	}
	f.must(t, request("R1", 10))
	got, err := f.QueryRefund(t.Context(), buyer, refund.Lookup{OutRefundNo: "R1"})
	if err != nil || got.Amount.Refund != 10 || got.FundsAccount != "" || got.Amount.From != nil || got.Channel != "" {
		t.Errorf("the buyer sees %+v, %v", got, err)
	}
	page, err := f.QueryOrder(t.Context(), buyer, refund.Lookup{OutTradeNo: "O1"})
	if err != nil || len(page.Refunds) != 1 || page.Refunds[0].FundsAccount != "" {
		t.Errorf("the buyer sees %+v, %v", page, err)
	}
}

func TestAnOrderIsAskedForOnceAndItsWordCounts(t *testing.T) {
	f := shop(t)
	_, err := f.Refund(t.Context(), server, refund.Request{OutRefundNo: "R0", OutTradeNo: "O1", Amount: refund.RequestAmount{Refund: 10, Total: 200, Currency: "CNY"}})
	if e := wantCode(t, err, refund.CodeConflict, refund.Never); !strings.Contains(e.Message, "100") {
		t.Errorf("a wrong total is not told the right one: %s", e.Message)
	}
	if n := f.up.count("refund:R0"); n != 0 {
		t.Error("a wrong total was sent")
	}
	f.must(t, request("R1", 10))
	f.must(t, request("R2", 10))
	if n := f.up.count("order:O1"); n != 2 {
		t.Errorf("the order was asked for %d times, want twice: once for each claim until the ledger knew it", n)
	}
	f.VerifyOrder = refund.VerifyAlways
	f.must(t, request("R3", 10))
	if n := f.up.count("order:O1"); n != 3 {
		t.Errorf("asked for %d times", n)
	}
	f.verified(t)
}

func TestAnOrderThatCannotBeRefundedIsNamed(t *testing.T) {
	for _, tt := range []struct {
		name   string
		change func(*refund.PaidOrder)
		says   string
	}{
		{"older than a year", func(o *refund.PaidOrder) { o.PaidAt = o.PaidAt.Add(-366 * 24 * time.Hour) }, "older than a year"},
		{"unpaid", func(o *refund.PaidOrder) { o.Status = refund.OrderUnpaid }, "not paid"},
		{"closed", func(o *refund.PaidOrder) { o.Status = refund.OrderClosed }, "closed"},
		{"refunded in part", func(o *refund.PaidOrder) { o.Status = refund.OrderRefunded }, ""},
		{"a coupon for articles", func(o *refund.PaidOrder) { o.SingleItem = true }, "goods_detail"},
		{"another order by the other number", func(o *refund.PaidOrder) { o.OutTradeNo = "O9" }, "cannot be understood"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			f := shop(t)
			f.VerifyOrder = refund.VerifyAlways
			f.up.change("O1", tt.change)
			_, err := f.Refund(t.Context(), server, request("R1", 10))
			said := ""
			if err != nil {
				said = refund.AsError(err).Message + " " + refund.AsError(err).Error()
			}
			if (err == nil) != (tt.says == "") || !strings.Contains(said, tt.says) {
				t.Errorf("error %v, want one that says %q", err, tt.says)
			}
			if want := 0; tt.says != "" && f.up.count("refund:R1") != want {
				t.Error("it was sent all the same")
			}
		})
	}
}

func TestWithoutAnAnswerAboutTheOrder(t *testing.T) {
	unknown := &refund.Error{Code: refund.CodeUnavailable, Next: refund.SameNumber, Message: "no answer"}
	f := shop(t)
	f.up.orderErr = unknown
	_, err := f.Apply(t.Context(), buyer, applyFor(10))
	wantCode(t, err, refund.CodeUnavailable, refund.Later)
	f.must(t, request("R1", 10)) // a server's goes on
	f.VerifyOrder = refund.VerifyAlways
	_, err = f.Refund(t.Context(), server, request("R2", 10))
	wantCode(t, err, refund.CodeUnavailable, refund.Later)
	if n := f.up.count("refund:R2"); n != 0 {
		t.Error("it was sent all the same")
	}
}

// What is answered from the record alone needs no word about the order: a number that another
// refund has stays taken, whatever the upstream says of the order meanwhile.
func TestWhatIsKnownOfANumberIsToldWithoutTheOrder(t *testing.T) {
	f := shop(t)
	f.VerifyOrder = refund.VerifyAlways
	f.up.refunds["R1"], f.up.before = other("R1", "O2", 30), maybeTaken
	f.refused(t, request("R1", 10), refund.CodeConflict, refund.NewNumber)
	f.up.before = nil
	f.up.orderErr = &refund.Error{Code: refund.CodeNotFound, Next: refund.Later, Upstream: "ORDERNOTEXIST", Message: "no such order"}
	asked := f.up.count("order:O1")
	f.refused(t, request("R1", 10), refund.CodeConflict, refund.NewNumber)
	f.refused(t, request("R1", 20), refund.CodeConflict, refund.NewNumber)
	if n := f.up.count("order:O1"); n != asked {
		t.Errorf("the order was asked for %d times more", n-asked)
	}
	f.verified(t)
}

func TestWithinItsBoundsAnApplicationIsRefundedAtOnce(t *testing.T) {
	f := shop(t)
	f.Self = refund.SelfService{Mode: refund.SelfAuto, MaxFen: 50, Within: 24 * time.Hour, Daily: 3}
	a := f.applies(t, applyFor(30))
	if a.State != refund.ApplicationApproved || a.Refund == nil || f.up.count("refund:"+a.OutRefundNo) != 1 {
		t.Fatalf("within its bounds: %+v", a)
	}
	if b := f.applies(t, applyFor(21)); b.State != refund.ApplicationPending {
		t.Errorf("beyond what one order gets: %s", b.State)
	}
	if c := f.applies(t, applyFor(20)); c.State != refund.ApplicationApproved {
		t.Errorf("up to what one order gets: %s", c.State)
	}
	f.up.paid("O2", 100, "oBuyer", f.Now().Add(-time.Hour))
	second := applyFor(10)
	second.OutTradeNo = "O2"
	if d := f.applies(t, second); d.State != refund.ApplicationPending {
		t.Errorf("the fourth of the day: %s", d.State)
	}
	f.advance(24 * time.Hour)
	f.up.paid("O3", 100, "oBuyer", f.Now().Add(-25*time.Hour))
	late := applyFor(10)
	late.OutTradeNo = "O3"
	if e := f.applies(t, late); e.State != refund.ApplicationPending {
		t.Errorf("paid too long ago: %s", e.State)
	}
	f.verified(t)
}

func TestAutoIsBoundHoweverManyApplyAtOnce(t *testing.T) {
	f := shop(t)
	f.Self = refund.SelfService{Mode: refund.SelfAuto, MaxFen: 50, Within: 24 * time.Hour, Daily: 40}
	var wg sync.WaitGroup
	for i := range 12 {
		wg.Go(func() { _, _ = f.Apply(t.Context(), buyer, applyFor(int64(10+i%3))) })
	}
	wg.Wait()
	var sum int64
	for _, r := range f.up.refunds {
		sum += r.Amount.Refund
	}
	if sum > 50 {
		t.Errorf("%d fen were refunded without a decision, want at most 50", sum)
	}
	f.verified(t)
}

func TestAnOperatorsLargeRefundNeedsAnother(t *testing.T) {
	f := shop(t)
	f.Policy.ApprovalFen = 50
	if _, err := f.Refund(t.Context(), operatorA, request("R1", 30)); err != nil {
		t.Fatal(err)
	}
	_, err := f.Refund(t.Context(), operatorA, request("R2", 21))
	e := wantCode(t, err, refund.CodeProposed, refund.Later)
	if e.Proposed == nil || e.Proposed.State != refund.ApplicationPending || e.Proposed.OutRefundNo != "R2" || f.up.count("refund:R2") != 0 {
		t.Fatalf("proposed: %+v", e.Proposed)
	}
	_, err = f.Refund(t.Context(), operatorA, request("R2", 21))
	if again := wantCode(t, err, refund.CodeProposed, refund.Later); again.Proposed.ID != e.Proposed.ID {
		t.Error("the repeat is another application")
	}
	for _, c := range []refund.Caller{operatorA, operatorB, server} {
		_, err = f.Refund(t.Context(), c, request("R2", 20))
		wantCode(t, err, refund.CodeConflict, refund.Never)
		_, err = f.Refund(t.Context(), c, request("R2", 21))
		wantCode(t, err, refund.CodeProposed, refund.Later)
	}
	_, err = f.Approve(t.Context(), operatorA, refund.Decision{ApplicationID: e.Proposed.ID})
	wantCode(t, err, refund.CodeDenied, refund.Never)
	got, err := f.Approve(t.Context(), operatorB, refund.Decision{ApplicationID: e.Proposed.ID})
	if err != nil || got.OutRefundNo != "R2" || got.Refund == nil || f.up.count("refund:R2") != 1 {
		t.Fatalf("approved: %+v, %v", got, err)
	}
	if r, err := f.Refund(t.Context(), operatorA, request("R2", 21)); err != nil || r.OutRefundNo != "R2" {
		t.Errorf("the repeat after the approval: %+v, %v", r, err)
	}
	if _, err := f.Refund(t.Context(), operatorB, request("R3", 40)); err != nil {
		t.Errorf("what B approved counts as B's: %v", err)
	}
	f.verified(t)
}

func TestWhatIsApprovedAndNotClaimedIsTakenUp(t *testing.T) {
	f := shop(t)
	a := f.applies(t, applyFor(40))
	f.up.before = refusal(refund.CodeUnavailable, refund.SameNumber, "")
	_, err := f.Approve(t.Context(), operatorA, refund.Decision{ApplicationID: a.ID})
	wantCode(t, err, refund.CodeUnavailable, refund.SameNumber)
	f.up.before = nil
	f.wait(t, time.Hour)
	f.up.set(a.ID+"N1", refund.StatusSuccess)
	f.wait(t, 2*time.Hour)
	end, err := f.Application(t.Context(), a.ID)
	if err != nil || end.State != refund.ApplicationRefunded || len(f.up.refunds) != 1 {
		t.Errorf("in the end: %+v, %v, %d refunds", end, err, len(f.up.refunds))
	}
}

func TestApprovingAgainUsesTheNextNumberWhereOnlyThatCanSucceed(t *testing.T) {
	f := shop(t)
	a := f.applies(t, applyFor(40))
	first := f.approves(t, a.ID).OutRefundNo
	f.up.set(first, refund.StatusClosed)
	f.later(t, 2*time.Minute)
	second := f.approves(t, a.ID)
	if second.OutRefundNo != a.ID+"N2" || f.up.count("refund:"+second.OutRefundNo) != 1 {
		t.Fatalf("after a closed refund: %+v", second)
	}
	if third := f.approves(t, a.ID); third.OutRefundNo != second.OutRefundNo {
		t.Errorf("a number was used up by approving alone: %s", third.OutRefundNo)
	}
	var notes []string
	for _, e := range second.History {
		notes = append(notes, e.Note)
	}
	if all := strings.Join(notes, "\n"); !strings.Contains(all, first) || !strings.Contains(all, second.OutRefundNo) {
		t.Errorf("the history does not show both numbers: %q", all)
	}
	f.verified(t)
}

func TestAnApplicationExpires(t *testing.T) {
	f := shop(t)
	a := f.applies(t, applyFor(40))
	f.advance(7*24*time.Hour + time.Second)
	_, err := f.Approve(t.Context(), operatorA, refund.Decision{ApplicationID: a.ID})
	wantCode(t, err, refund.CodeConflict, refund.Never)
	f.reconcile(t)
	if got, _ := f.Application(t.Context(), a.ID); got.State != refund.ApplicationExpired {
		t.Errorf("state %s", got.State)
	}
	f.verified(t)
}

func TestListsAreOfWhoeverAsks(t *testing.T) {
	f := shop(t)
	for i := range 5 {
		f.applies(t, applyFor(int64(10+i)))
		f.advance(time.Minute)
	}
	all, err := f.ListFor(t.Context(), operatorA, refund.ApplicationQuery{State: "PENDING", Offset: 1, Limit: 2})
	if err != nil || all.Total != 5 || len(all.Items) != 2 || all.Items[0].(refund.Application).Amount.Refund != 13 {
		t.Errorf("the operator sees %+v, %v", all, err)
	}
	own, err := f.ListFor(t.Context(), buyer, refund.ApplicationQuery{Limit: 3})
	if err != nil || own.Total != 5 || len(own.Items) != 3 || own.Items[0].(refund.Application).Applicant != "" {
		t.Errorf("the buyer sees %+v, %v", own, err)
	}
	none, err := f.ListFor(t.Context(), stranger, refund.ApplicationQuery{})
	if err != nil || none.Total != 0 {
		t.Errorf("a stranger sees %+v, %v", none, err)
	}
	f.must(t, request("R1", 10))
	refunds, err := f.ListFor(t.Context(), buyer, refund.ApplicationQuery{Kind: "refunds", State: "PROCESSING"})
	if err != nil || refunds.Total != 1 {
		t.Errorf("the buyer's refunds: %+v, %v", refunds, err)
	}
	for _, q := range []refund.ApplicationQuery{{Kind: "orders"}, {State: "DONE"}, {Limit: 51}, {Offset: -1}, {Kind: "refunds", State: "PENDING"}} {
		_, err := f.ListFor(t.Context(), operatorA, q)
		wantCode(t, err, refund.CodeInvalid, refund.AfterFix)
	}
}

// abnormal is a shop with an abnormal refund R1.
func abnormalShop(t *testing.T) *fixture {
	t.Helper()
	f := shop(t)
	f.up.spec.Abnormal = true
	f.must(t, request("R1", 40))
	f.up.set("R1", refund.StatusAbnormal)
	f.later(t, 2*time.Minute)
	return f
}

var toCard = refund.AbnormalRequest{OutRefundNo: "R1", Type: refund.UserBankCard, BankType: "ICBC_DEBIT", BankAccount: "6222021234567890123", RealName: "张三"}

func TestAnAbnormalRefundIsFinishedOnce(t *testing.T) {
	f := abnormalShop(t)
	got, err := f.FinishAbnormal(t.Context(), operatorA, toCard)
	if err != nil || got.Status != refund.StatusProcessing {
		t.Fatalf("finished: %+v, %v", got, err)
	}
	_, err = f.FinishAbnormal(t.Context(), operatorB, toCard)
	wantCode(t, err, refund.CodeConflict, refund.Never)
	if n := f.up.count("finish:5000R1"); n != 1 {
		t.Errorf("sent %d times", n)
	}
	inspections, err := f.Inspect(t.Context(), "R1")
	if err != nil {
		t.Fatal(err)
	}
	if text := fmt.Sprintf("%+v", inspections) + f.log.String(); strings.Contains(text, toCard.BankAccount) || strings.Contains(text, toCard.RealName) || !strings.Contains(text, "0123") {
		t.Error("the card is kept or logged, or its last four digits are not")
	}
	f.verified(t)
}

func TestAnUnknownOutcomeOfFinishingIsNotSentAgainWhileItCanBeInFlight(t *testing.T) {
	f := abnormalShop(t)
	f.up.finish = func(refund.AbnormalRequest) error {
		return &refund.Error{Code: refund.CodeUnavailable, Next: refund.SameNumber, Message: "no answer"}
	}
	_, err := f.FinishAbnormal(t.Context(), operatorA, toCard)
	wantCode(t, err, refund.CodeUnavailable, refund.Later)
	_, err = f.FinishAbnormal(t.Context(), operatorB, toCard)
	wantCode(t, err, refund.CodeConflict, refund.Later)
	if n := f.up.count("finish:5000R1"); n != 1 {
		t.Fatalf("sent %d times while the first could be in flight", n)
	}
	f.advance(16 * time.Minute)
	f.up.finish = nil
	if _, err := f.FinishAbnormal(t.Context(), operatorB, toCard); err != nil {
		t.Errorf("after the bound, and still abnormal: %v", err)
	}
}

func TestWhatTheMerchantGotTheCustomerHasNot(t *testing.T) {
	f := abnormalShop(t)
	told := f.subscribe("shop")
	if _, err := f.FinishAbnormal(t.Context(), operatorA, refund.AbnormalRequest{OutRefundNo: "R1", Type: refund.MerchantBankCard}); err != nil {
		t.Fatal(err)
	}
	r := f.up.set("R1", refund.StatusSuccess)
	r.UserReceivedAccount = "商户基本账户"
	f.settle(t, refund.Outcome{Source: refund.Notification, OutRefundNo: "R1", Merchant: merchant, Refund: r})
	f.Deliver(t.Context(), "R1")
	if got := f.query(t, "R1"); got.ReceivedBy != refund.ReceivedByMerchant {
		t.Errorf("received by %q", got.ReceivedBy)
	}
	events := told.events()
	if len(events) == 0 || events[len(events)-1].Refund.ReceivedBy != refund.ReceivedByMerchant {
		t.Errorf("subscribers are told %+v", events)
	}
	if _, err := f.Forget(t.Context(), f.Now(), "operator A", nil); err != nil {
		t.Fatal(err)
	}
	if got := f.query(t, "R1"); got.ReceivedBy != refund.ReceivedByMerchant {
		t.Errorf("after personal data is masked: received by %q", got.ReceivedBy)
	}
}

func TestFinishingIsRefusedByName(t *testing.T) {
	f := abnormalShop(t)
	for _, tt := range []struct {
		name string
		req  refund.AbnormalRequest
		code refund.Code
	}{
		{"a card without its bank", refund.AbnormalRequest{OutRefundNo: "R1", Type: refund.UserBankCard, BankAccount: "6222021234567890123", RealName: "x"}, refund.CodeInvalid},
		{"the merchant's account with a card", refund.AbnormalRequest{OutRefundNo: "R1", Type: refund.MerchantBankCard, BankAccount: "6222021234567890123"}, refund.CodeInvalid},
		{"no digits", refund.AbnormalRequest{OutRefundNo: "R1", Type: refund.UserBankCard, BankType: "ICBC_DEBIT", BankAccount: "6222-0212-3456", RealName: "x"}, refund.CodeInvalid},
		{"another type", refund.AbnormalRequest{OutRefundNo: "R1", Type: "CASH"}, refund.CodeInvalid},
		{"an unknown refund", refund.AbnormalRequest{OutRefundNo: "R9", Type: refund.MerchantBankCard}, refund.CodeNotFound},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if _, err := f.FinishAbnormal(t.Context(), operatorA, tt.req); !refund.IsCode(err, tt.code) {
				t.Errorf("error %v, want %s", err, tt.code)
			}
		})
	}
	_, err := f.FinishAbnormal(t.Context(), buyer, toCard)
	wantCode(t, err, refund.CodeDenied, refund.Never)
	f.up.set("R1", refund.StatusProcessing)
	_, err = f.FinishAbnormal(t.Context(), operatorA, toCard)
	wantCode(t, err, refund.CodeConflict, refund.Never)
	if n := f.up.count("finish:5000R1"); n != 0 {
		t.Errorf("sent %d times", n)
	}
}

var errTold = errors.New("no")

func TestEventsOfAnApplicationAreDeliveredUntilAcknowledged(t *testing.T) {
	f := shop(t)
	told := f.subscribe("shop")
	told.answer = func(context.Context, refund.Event) error { return errTold }
	f.applies(t, applyFor(40))
	f.reconcile(t)
	f.advance(time.Minute)
	told.answer = nil
	f.reconcile(t)
	f.reconcile(t)
	if n := len(told.events()); n != 2 {
		t.Errorf("told %d times, want twice", n)
	}
}

func TestForgettingMasksPayersAndApplicants(t *testing.T) {
	f := shop(t)
	a := f.applies(t, applyFor(40))
	if _, err := f.Reject(t.Context(), operatorA, refund.Decision{ApplicationID: a.ID}); err != nil {
		t.Fatal(err)
	}
	f.advance(time.Hour)
	if _, err := f.Forget(t.Context(), f.Now(), "operator A", nil); err != nil {
		t.Fatal(err)
	}
	for cursor := ""; ; {
		items, next, err := f.Ledger.List(t.Context(), refund.Everything(), cursor, 100)
		if err != nil {
			t.Fatal(err)
		}
		for _, it := range items {
			if strings.Contains(string(it.Body)+string(it.Key), "oBuyer") {
				t.Errorf("%s still names the buyer: %s", it.Key, it.Body)
			}
		}
		if cursor = next; next == "" {
			break
		}
	}
	f.verified(t)
}

func TestAnApprovalThatCannotBeCarriedOutCanBeTakenBack(t *testing.T) {
	f := shop(t)
	a := f.applies(t, applyFor(40))
	f.must(t, request("R1", 70)) // meanwhile, by a server
	_, err := f.Approve(t.Context(), operatorA, refund.Decision{ApplicationID: a.ID})
	wantCode(t, err, refund.CodeConflict, refund.Never)
	got, err := f.Reject(t.Context(), operatorB, refund.Decision{ApplicationID: a.ID, Reason: "refunded otherwise"})
	if err != nil || got.State != refund.ApplicationRejected {
		t.Fatalf("rejected: %+v, %v", got, err)
	}
	f.up.set("R1", refund.StatusClosed)
	f.wait(t, time.Hour)
	if n := f.up.count("refund:" + a.ID + "N1"); n != 0 {
		t.Error("it was refunded after all")
	}
	b := f.applies(t, applyFor(30))
	f.approves(t, b.ID)
	_, err = f.Reject(t.Context(), operatorB, refund.Decision{ApplicationID: b.ID})
	wantCode(t, err, refund.CodeConflict, refund.Never)
	f.verified(t)
}

// The claim counts in the application, so that of an approval that is being carried out and
// a rejection that takes it back one loses.
func TestOfAClaimAndTheTakingBackOfItsApprovalOneWins(t *testing.T) {
	for range 20 {
		f := shop(t)
		a := f.applies(t, applyFor(40))
		f.up.before = refusal(refund.CodeUnavailable, refund.SameNumber, "")
		var wg sync.WaitGroup
		var rejected error
		wg.Go(func() { _, _ = f.Approve(t.Context(), operatorA, refund.Decision{ApplicationID: a.ID}) })
		wg.Go(func() {
			for range 3 {
				_, rejected = f.Reject(t.Context(), operatorB, refund.Decision{ApplicationID: a.ID})
			}
		})
		wg.Wait()
		if sent := f.up.count("refund:" + a.ID + "N1"); rejected == nil && sent > 0 {
			t.Fatalf("rejected, and sent %d times", sent)
		}
	}
}

// A refund by one number alone, whose reply names no other, leaves the order's other number
// unjoined, and what the upstream has told of the order has both.
func TestAnOrderThatIsKnownByOneNumberCanBeAppliedFor(t *testing.T) {
	f := shop(t)
	f.up.named = func(r *refund.Refund) { r.TransactionID = "" }
	f.must(t, request("R1", 10))
	a := f.applies(t, applyFor(0))
	if a.Amount.Refund != 90 {
		t.Errorf("%d is left, want 90", a.Amount.Refund)
	}
	f.verified(t)
}

func TestAnApplicationThatCameToRestIsFollowedAgainOnceItIsApprovedAgain(t *testing.T) {
	f := shop(t)
	a := f.applies(t, applyFor(40))
	f.up.before = refusal(refund.CodeRejected, refund.SameNumber, "USER_ACCOUNT_ABNORMAL")
	_, err := f.Approve(t.Context(), operatorA, refund.Decision{ApplicationID: a.ID})
	wantCode(t, err, refund.CodeRejected, refund.SameNumber)
	f.wait(t, 3*time.Hour)
	f.wantAlarms(t, "approved_unrefunded", 1, "when it came to rest")
	f.up.before = nil
	f.approves(t, a.ID)
	f.up.set(a.ID+"N1", refund.StatusSuccess)
	f.wait(t, 3*time.Hour)
	if end, err := f.Application(t.Context(), a.ID); err != nil || end.State != refund.ApplicationRefunded || end.History[len(end.History)-1].What != "refunded" {
		t.Errorf("in the end: %+v, %v", end, err)
	}
	alarms, _, err := f.Alarms(t.Context(), "", 10)
	if err != nil || len(alarms) != 0 {
		t.Errorf("open in the end: %+v, %v", alarms, err)
	}
	f.verified(t)
}

// An application may wait for another refund of its order, which WeChat Pay says nothing of:
// after a day a person is told, and it is still carried out once that doubt has ended.
func TestAnApplicationThatWaitsForADayIsTold(t *testing.T) {
	f := shop(t)
	a := f.applies(t, applyFor(40))
	f.up.before, f.up.queryErr = noAnswer, noAnswer(refund.Request{})
	_, err := f.Refund(t.Context(), operatorA, request("R1", 70))
	wantCode(t, err, refund.CodeUnavailable, refund.SameNumber)
	_, err = f.Approve(t.Context(), operatorA, refund.Decision{ApplicationID: a.ID})
	wantCode(t, err, refund.CodeConflict, refund.Later)
	f.wait(t, 20*time.Hour)
	f.wantAlarms(t, "approved_unrefunded", 0, "within a day")
	f.wait(t, 20*time.Hour)
	f.wantAlarms(t, "approved_unrefunded", 1, "after a day")
	f.up.before, f.up.queryErr = refusal(refund.CodeRejected, refund.SameNumber, "USER_ACCOUNT_ABNORMAL"), nil
	f.wait(t, time.Hour) // R1 is sent again, and refused
	f.up.before = nil
	f.wait(t, 3*time.Hour)
	f.up.set(a.ID+"N1", refund.StatusSuccess)
	f.wait(t, 30*time.Hour)
	end, err := f.Application(t.Context(), a.ID)
	if err != nil || end.State != refund.ApplicationRefunded {
		t.Fatalf("in the end: %+v, %v", end, err)
	}
	if said := slices.DeleteFunc(end.History, func(e refund.HistoryEntry) bool { return e.What != "unrefunded" }); len(said) != 1 {
		t.Errorf("its history says so %d times", len(said))
	}
	f.verified(t)
}

// Whoever is killed just after an application has come to rest must not have been the only
// one who knows of it.
func TestNoApplicationRestsOfWhichNobodyIsTold(t *testing.T) {
	f := shop(t)
	a := f.applies(t, applyFor(40))
	f.up.before = refusal(refund.CodeRejected, refund.SameNumber, "USER_ACCOUNT_ABNORMAL")
	_, err := f.Approve(t.Context(), operatorA, refund.Decision{ApplicationID: a.ID})
	wantCode(t, err, refund.CodeRejected, refund.SameNumber)
	store := f.Ledger
	f.Ledger = &unalarmed{store}
	f.wait(t, 3*time.Hour)
	f.Ledger = store
	f.wait(t, 6*time.Hour)
	if alarms, _, err := f.Alarms(t.Context(), "", 10); err != nil || len(alarms) != 1 || alarms[0].Code != "approved_unrefunded" {
		t.Errorf("open once the ledger takes it: %+v, %v", alarms, err)
	}
}

// unalarmed is a ledger that fails whenever an alarm is to be kept.
type unalarmed struct{ refund.Ledger }

func (l *unalarmed) Commit(ctx context.Context, items ...refund.Item) error {
	for _, it := range items {
		if strings.HasPrefix(string(it.Key), "alarm/") {
			return errors.New("the ledger is down")
		}
	}
	return l.Ledger.Commit(ctx, items...)
}

// Four eyes see an order by whichever of its numbers it is named, also while nobody has
// answered the first refund.
func TestTheOrdersTwoNumbersAreOneOrderToFourEyes(t *testing.T) {
	f := shop(t)
	f.Policy.ApprovalFen = 50
	f.up.before = refusal(refund.CodeUnavailable, refund.SameNumber, "")
	_, err := f.Refund(t.Context(), operatorA, request("R1", 50))
	wantCode(t, err, refund.CodeUnavailable, refund.SameNumber)
	f.up.before = nil
	second := request("R2", 50)
	second.OutTradeNo, second.TransactionID = "", "T-O1"
	_, err = f.Refund(t.Context(), operatorA, second)
	wantCode(t, err, refund.CodeProposed, refund.Later)
	f.verified(t)
}

// A number that the ledger has for a buyer's order may turn out to be another refund's when
// the upstream is asked: that one is not shown.
func TestABuyersQueryThatFindsAnothersRefundShowsNothing(t *testing.T) {
	f := shop(t)
	f.up.paid("O2", 100, "oStranger", f.Now())
	f.up.before = noAnswer
	_, err := f.Refund(t.Context(), server, request("R1", 30))
	wantCode(t, err, refund.CodeUnavailable, refund.SameNumber)
	f.up.before = nil
	f.up.refunds["R1"] = refund.Refund{
		RefundID: "5000R1", OutRefundNo: "R1", TransactionID: "T-O2", OutTradeNo: "O2", Status: refund.StatusProcessing,
		Amount: refund.Amount{Total: 100, Refund: 30, Currency: "CNY"},
	}
	for range 2 {
		got, err := f.QueryRefund(t.Context(), buyer, refund.Lookup{OutRefundNo: "R1"})
		wantCode(t, err, refund.CodeDenied, refund.Never)
		if got.OutTradeNo != "" {
			t.Errorf("shown: %+v", got)
		}
	}
	f.verified(t)
}
