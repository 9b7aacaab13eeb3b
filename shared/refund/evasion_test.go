package refund_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"wxrefund/shared/refund"
)

// This file is about ways around what somebody may do alone, and around what somebody may see.

func TestOneOrderByItsTwoNumbersIsOneOrderForFourEyes(t *testing.T) {
	f := shop(t)
	f.Policy.ApprovalFen = 50
	first := request("R1", 50)
	first.OutTradeNo, first.TransactionID = "", "T-O1"
	f.up.before = noAnswer // so that nothing but the order's own answer joins its numbers
	_, err := f.Refund(t.Context(), operatorA, first)
	wantCode(t, err, refund.CodeUnavailable, refund.SameNumber)
	f.up.before = nil
	_, err = f.Refund(t.Context(), operatorA, request("R2", 50))
	wantCode(t, err, refund.CodeProposed, refund.Later)
	f.later(t, 20*time.Minute)
	f.verified(t)
}

func TestAPersonIsOnePersonWhateverProgramIsNamed(t *testing.T) {
	f := shop(t)
	f.Policy.ApprovalFen = 50
	elsewhere := operatorA
	elsewhere.AppID = ""
	if _, err := f.Refund(t.Context(), operatorA, request("R1", 50)); err != nil {
		t.Fatal(err)
	}
	_, err := f.Refund(t.Context(), elsewhere, request("R2", 10))
	e := wantCode(t, err, refund.CodeProposed, refund.Later)
	elsewhere.AppID = "wx2"
	_, err = f.Refund(t.Context(), elsewhere, request("R3", 10))
	wantCode(t, err, refund.CodeProposed, refund.Later)
	_, err = f.Refund(t.Context(), operatorA, request("R4", 10))
	p := wantCode(t, err, refund.CodeProposed, refund.Later).Proposed
	for _, id := range []string{e.Proposed.ID, p.ID} {
		_, err = f.Approve(t.Context(), elsewhere, refund.Decision{ApplicationID: id})
		wantCode(t, err, refund.CodeDenied, refund.Never)
	}
}

func TestABuyersDayIsOneDayWhateverProgramIsNamed(t *testing.T) {
	f := shop(t)
	f.Self = refund.SelfService{Mode: refund.SelfAuto, MaxFen: 100, Within: 24 * time.Hour, Daily: 1}
	first := f.applies(t, applyFor(10))
	if first.State != refund.ApplicationApproved {
		t.Fatalf("the first: %s", first.State)
	}
	unnamed := buyer
	unnamed.AppID = ""
	same, err := f.Apply(t.Context(), unnamed, applyFor(10))
	if err != nil || same.ID != first.ID {
		t.Errorf("the same wish: %+v, %v", same, err)
	}
	second, err := f.Apply(t.Context(), unnamed, applyFor(11))
	if err != nil || second.State != refund.ApplicationPending {
		t.Errorf("the second of a day: %s, %v", second.State, err)
	}
}

func TestWhoHasProposedDoesNotApproveOnceForgotten(t *testing.T) {
	f := shop(t)
	f.Policy.ApprovalFen = 10
	_, err := f.Refund(t.Context(), operatorA, request("R1", 40))
	id := wantCode(t, err, refund.CodeProposed, refund.Later).Proposed.ID
	if _, err := f.Approve(t.Context(), operatorB, refund.Decision{ApplicationID: id}); err != nil {
		t.Fatal(err)
	}
	f.up.set("R1", refund.StatusClosed)
	f.later(t, 2*time.Minute)
	f.later(t, 2*time.Minute)
	f.advance(time.Hour)
	if _, err := f.Forget(t.Context(), f.Now(), "operator Ann", nil); err != nil {
		t.Fatal(err)
	}
	if a, err := f.Application(t.Context(), id); err != nil || !strings.Contains(a.Applicant, "****") {
		t.Fatalf("not forgotten: %+v, %v", a, err)
	}
	_, err = f.Approve(t.Context(), operatorA, refund.Decision{ApplicationID: id})
	wantCode(t, err, refund.CodeDenied, refund.Never)
}

func TestARefundThatIsKnownFromOutsideIsTheApplications(t *testing.T) {
	f := shop(t)
	a := f.applies(t, applyFor(40))
	no := a.ID + "N1"
	// The claim is lost, as by a restored backup, and WeChat Pay tells of its refund.
	f.up.mu.Lock()
	f.up.refunds[no] = notification(no, 40, refund.StatusSuccess).Refund
	f.up.mu.Unlock()
	f.settle(t, notification(no, 40, refund.StatusSuccess))
	f.approves(t, a.ID)
	f.approves(t, a.ID)
	f.later(t, 2*time.Minute)
	end := f.approves(t, a.ID)
	if n := len(f.up.refunds); n != 1 || end.State != refund.ApplicationRefunded {
		t.Errorf("%d refunds of one application, which is %s", n, end.State)
	}
	_, err := f.Reject(t.Context(), operatorB, refund.Decision{ApplicationID: a.ID})
	wantCode(t, err, refund.CodeConflict, refund.Never)
}

func TestAClosedRefundThatIsDoubtedUsesUpNoNumber(t *testing.T) {
	f := shop(t)
	a := f.applies(t, applyFor(40))
	no := f.approves(t, a.ID).OutRefundNo
	f.up.set(no, refund.StatusClosed)
	f.later(t, 2*time.Minute)
	key := refund.Key("refund/" + no)
	it := f.items(t, key)[0]
	it.Body = []byte(strings.Replace(string(it.Body), "{", `{"doubted":true,`, 1)) // as a bill leaves it that says success
	f.write(t, it)
	if again := f.approves(t, a.ID); again.OutRefundNo != no || len(f.up.refunds) != 1 {
		t.Errorf("while a bill says that %s has succeeded, %s is used", no, again.OutRefundNo)
	}
	_, err := f.Reject(t.Context(), operatorB, refund.Decision{ApplicationID: a.ID})
	wantCode(t, err, refund.CodeConflict, refund.Never)
}

func TestWhoAsksTooOftenCannotTellKnownOrdersFromOthers(t *testing.T) {
	f := shop(t)
	f.applies(t, applyFor(10)) // the ledger knows O1 now, and nothing of O2
	told := map[string]map[refund.Code]bool{}
	for i := range 30 {
		for _, no := range []string{"O1", "O2"} {
			req := applyFor(10)
			req.OutTradeNo = no
			_, err := f.Apply(t.Context(), stranger, req)
			key := fmt.Sprint(i)
			if told[key] == nil {
				told[key] = map[refund.Code]bool{}
			}
			told[key][refund.AsError(err).Code] = true
		}
	}
	for key, codes := range told {
		if len(codes) != 1 {
			t.Errorf("try %s: the order that is known and the one that is not are answered %v", key, codes)
		}
	}
}

func TestABuyersMistakeKeepsNoOpenIDInTheLog(t *testing.T) {
	f := shop(t)
	_, err := f.Apply(t.Context(), stranger, applyFor(10))
	wantCode(t, err, refund.CodeDenied, refund.Never)
	f.Self.Mode = refund.SelfOff
	_, err = f.Apply(t.Context(), stranger, applyFor(10))
	wantCode(t, err, refund.CodeDenied, refund.Never)
	if strings.Contains(f.log.String(), stranger.OpenID) {
		t.Error("the log holds the openid of a buyer who has named another's order")
	}
}

func TestAFreshAnswerFromBeforeAFinishSendsNoSecond(t *testing.T) {
	f := abnormalShop(t)
	// B's question is answered ABNORMAL, and before that is settled all of A's request happens.
	slow := &heldQuery{upstream: f.up, then: func() {
		if _, err := f.FinishAbnormal(t.Context(), operatorA, toCard); err != nil {
			t.Errorf("A: %v", err)
		}
	}}
	f.Channel = slow
	_, err := f.FinishAbnormal(t.Context(), operatorB, toCard)
	if n := f.up.count("finish:5000R1"); n != 1 {
		t.Errorf("sent %d times, B is told %v", n, err)
	}
}

// heldQuery answers its first query late: then happens between the answer and its reader.
type heldQuery struct {
	*upstream
	then func()
}

func (u *heldQuery) Query(ctx context.Context, l refund.Lookup) (refund.Page, error) {
	page, err := u.upstream.Query(ctx, l)
	if then := u.then; then != nil {
		u.then = nil
		then()
	}
	return page, err
}

// FinishAbnormal is accepted, and the refund is still abnormal by the answer.
func (u *heldQuery) FinishAbnormal(ctx context.Context, a refund.AbnormalRequest) (refund.Refund, error) {
	if _, err := u.upstream.FinishAbnormal(ctx, a); err != nil {
		return refund.Refund{}, err
	}
	return u.set(a.OutRefundNo, refund.StatusAbnormal), nil
}

// Whatever stands in the ledger, callers are answered.
func TestDamagedItemsOfApplicationsPanicNowhere(t *testing.T) {
	bodies := []string{`null`, `[]`, `{}`, `""`, `{"id":null}`, `{"id":"OTHER","state":"APPROVED","numbers":-3}`, `{"id":"","state":"PENDING"}`,
		`{"state":"APPROVED","request":{"out_refund_no":"R1"},"history":null,"outbox":[{}]}`, `{"applications":[null,"","/","x"],"applied":-9,"refused":-9}`,
		`{"same_as":"order/out_trade_no/O1"}`, `{"same_as":"order/transaction_id/T-O1"}`, `{"paid":{"payers":[{"openid":"oBuyer"}]}}`, `{"state":"rejected"}`, `{"id":7}`, "\xff"}
	for i, body := range bodies {
		for _, which := range []string{"application/", "payer/", "applied/", "order/", "refund/"} {
			t.Run(fmt.Sprint(i, which), func(t *testing.T) {
				f := shop(t)
				f.subscribe("shop")
				a := f.applies(t, applyFor(40))
				f.approves(t, a.ID)
				items, _, err := f.Ledger.List(t.Context(), refund.Everything(), "", 100)
				if err != nil {
					t.Fatal(err)
				}
				for _, it := range items {
					if strings.HasPrefix(string(it.Key), which) {
						it.Body, it.Due = []byte(body), f.Now()
						f.write(t, it)
					}
				}
				ctx := t.Context()
				d := refund.Decision{ApplicationID: a.ID}
				_, _ = f.Approve(ctx, operatorB, d)
				_, _ = f.Reject(ctx, operatorB, d)
				_, _ = f.Withdraw(ctx, buyer, d)
				_, _ = f.Apply(ctx, buyer, applyFor(40))
				_, _ = f.Apply(ctx, buyer, applyFor(0))
				_, _ = f.Refund(ctx, operatorA, request("R7", 10))
				_, _ = f.QueryRefund(ctx, buyer, refund.Lookup{OutRefundNo: a.ID + "N1"})
				_, _ = f.QueryOrder(ctx, buyer, refund.Lookup{OutTradeNo: "O1"})
				for _, c := range []refund.Caller{buyer, operatorA} {
					for _, kind := range []string{"applications", "refunds"} {
						_, _ = f.ListFor(ctx, c, refund.ApplicationQuery{Kind: kind})
					}
				}
				_, _ = f.Application(ctx, a.ID)
				_, _ = f.Verify(ctx, refund.VerifyInput{})
				_, _ = f.Reconcile(ctx)
				if strings.Contains(f.log.String(), `"panic"`) || strings.Contains(f.log.String(), "msg=panic") {
					t.Error(f.log.String())
				}
			})
		}
	}
}

// Two numbers that are not of one order are nobody's order, whatever the ledger knows of
// either: whoever asks, the answer is the one about an order of somebody else.
func TestNumbersOfTwoOrdersAreNobodysOrder(t *testing.T) {
	for name, first := range map[string]refund.ApplyRequest{
		"known by its own number":  applyFor(10),
		"known by WeChat's number": {TransactionID: "T-O1", Amount: refund.ApplyAmount{Refund: 10}, Reason: "broken"},
	} {
		f := shop(t)
		f.up.paid("O2", 100, "oStranger", f.Now().Add(-time.Hour))
		f.applies(t, first)
		for _, numbers := range [][2]string{{"O2", "T-O1"}, {"O1", "T-O2"}, {"O9", "T-O1"}, {"O1", "T-O9"}, {"O9", "T-O9"}} {
			for _, who := range []refund.Caller{buyer, stranger} {
				_, err := f.Apply(t.Context(), who, refund.ApplyRequest{OutTradeNo: numbers[0], TransactionID: numbers[1], Amount: refund.ApplyAmount{Refund: 11}, Reason: "broken"})
				if e := refund.AsError(err); e == nil || e.Code != refund.CodeDenied || e.Message != "this order is none that this caller has paid" {
					t.Errorf("%s, %s: %v: got %v", name, who.OpenID, numbers, err)
				}
			}
		}
		f.verified(t)
	}
}

// What was closed, and goes on under the next number of its application, asks nobody to
// refund it again: neither its alarm nor the answer to the same request.
func TestARefundThatGoesOnUnderAnotherNumberIsNotAskedForAgain(t *testing.T) {
	f := shop(t)
	f.Policy.ApprovalFen = 5
	_, err := f.Refund(t.Context(), operatorA, request("R1", 40))
	id := wantCode(t, err, refund.CodeProposed, refund.Later).Proposed.ID
	approve := func() refund.Application {
		t.Helper()
		a, err := f.Approve(t.Context(), operatorB, refund.Decision{ApplicationID: id})
		if err != nil {
			t.Fatal(err)
		}
		return a
	}
	approve()
	f.up.set("R1", refund.StatusClosed)
	f.later(t, 2*time.Minute)
	in, err := f.Inspect(t.Context(), "R1")
	if err != nil || len(in[0].Causes) != 1 || !strings.Contains(in[0].Causes[0].Why, "approve its application "+id+" again") {
		t.Errorf("the alarm is %+v, %v", in[0].Causes, err)
	}
	next := approve().OutRefundNo
	if in, err = f.Inspect(t.Context(), "R1"); err != nil || in[0].Attention {
		t.Errorf("the alarm of the closed number is open: %+v, %v", in[0].Causes, err)
	}
	for _, becomes := range []string{"goes on as ", "has succeeded as "} {
		for _, who := range []refund.Caller{operatorA, server} {
			_, err = f.Refund(t.Context(), who, request("R1", 40))
			e := wantCode(t, err, refund.CodeProposed, refund.Later)
			if e.Message != "this refund "+becomes+next+", another number of its application" || e.Proposed.ID != id {
				t.Errorf("the same request is told %q about %s", e.Message, e.Proposed.ID)
			}
		}
		_, err = f.Refund(t.Context(), operatorA, request("R1", 41))
		wantCode(t, err, refund.CodeConflict, refund.Never)
		f.up.set(next, refund.StatusSuccess)
		f.wait(t, time.Hour)
	}
	if n := len(f.up.refunds); n != 2 {
		t.Errorf("WeChat Pay has %d refunds, want the closed one and its successor", n)
	}
	f.verified(t)
}

// A refund names the application whose decision it is, and none that only stood under its
// number before.
func TestARefundNamesTheApplicationThatDecidedIt(t *testing.T) {
	f := shop(t)
	f.Policy.ApprovalFen = 50
	f.up.before = refusal(refund.CodeInvalid, refund.AfterFix, "PARAM_ERROR")
	f.refused(t, request("R1", 10), refund.CodeInvalid, refund.AfterFix)
	f.up.before = nil
	_, err := f.Refund(t.Context(), operatorA, request("R1", 60))
	id := wantCode(t, err, refund.CodeProposed, refund.Later).Proposed.ID
	if _, err := f.Withdraw(t.Context(), operatorA, refund.Decision{ApplicationID: id}); err != nil {
		t.Fatal(err)
	}
	if _, err := f.Refund(t.Context(), operatorB, request("R1", 10)); err != nil {
		t.Fatal(err)
	}
	if in, err := f.Inspect(t.Context(), "R1"); err != nil || in[0].Application != "" || in[0].Proposed != id {
		t.Errorf("got %q, %q, %v; want no application, and that %s stood there", in[0].Application, in[0].Proposed, err, id)
	}
	other := f.approves(t, f.applies(t, applyFor(20)).ID)
	if in, err := f.Inspect(t.Context(), other.OutRefundNo); err != nil || in[0].Application != other.ID || in[0].Proposed != "" {
		t.Errorf("got %q, %q, %v; want %s", in[0].Application, in[0].Proposed, err, other.ID)
	}
}

// Two people whose masks are alike are two, after both were forgotten.
func TestMasksThatAreAlikeMakeNobodyWrong(t *testing.T) {
	f := shop(t)
	applicant := refund.Caller{Kind: refund.User, OpenID: "oXabcdefghijklmnopqrstuvwxQQ", AppID: "wx1"}
	operator := refund.Caller{Kind: refund.User, OpenID: "oXzzzzzzzzzzzzzzzzzzzzzzzzQQ", AppID: "wx1"}
	f.Policy.Operators = append(f.Policy.Operators, operator.OpenID)
	f.up.paid("O1", 100, applicant.OpenID, f.Now().Add(-time.Hour))
	a, err := f.Apply(t.Context(), applicant, applyFor(40))
	if err != nil {
		t.Fatal(err)
	}
	if a, err = f.Approve(t.Context(), operator, refund.Decision{ApplicationID: a.ID}); err != nil {
		t.Fatal(err)
	}
	f.up.set(a.OutRefundNo, refund.StatusSuccess)
	f.wait(t, 2*time.Hour)
	if _, err := f.Forget(t.Context(), f.Now(), "operator Ann", nil); err != nil {
		t.Fatal(err)
	}
	f.verified(t)
}

// Instances whose clocks disagree about midnight start a day's counts once.
func TestClocksThatDisagreeAboutMidnightCountADayOnce(t *testing.T) {
	f := shop(t)
	f.Self = refund.SelfService{Mode: refund.SelfAuto, MaxFen: 1000, Within: 240 * time.Hour, Daily: 1}
	f.advance(6*time.Hour - 500*time.Millisecond) // half a second before midnight in China
	auto := 0
	for i := range 10 {
		if a := f.applies(t, applyFor(int64(1+i))); a.State == refund.ApplicationApproved {
			auto++
		}
		f.advance([]time.Duration{time.Second, -time.Second}[i%2])
	}
	if auto != 2 {
		t.Errorf("%d were refunded at once, want one a day", auto)
	}
	f.advance(25 * time.Hour)
	if a := f.applies(t, applyFor(20)); a.State != refund.ApplicationApproved {
		t.Errorf("on the next day one is %s", a.State)
	}
}

// A clock that was far ahead does not keep a payer from applying once it is right.
func TestACountOfTheFarFutureIsNone(t *testing.T) {
	f := shop(t)
	f.up.paid("O2", 100, "oBuyer", f.Now().Add(1000*time.Hour))
	f.Self = refund.SelfService{Mode: refund.SelfAuto, MaxFen: 1000, Within: 2400 * time.Hour, Daily: 1}
	f.advance(1000 * time.Hour)
	f.applies(t, applyFor(1))
	f.advance(-1000 * time.Hour)
	if a := f.applies(t, applyFor(2)); a.State != refund.ApplicationApproved {
		t.Errorf("it is %s", a.State)
	}
}

// Whether there is a refund of a number, a stranger does not learn from how often he may ask
// something else.
func TestAskingAboutARefundCountsForNothingElse(t *testing.T) {
	for _, exists := range []bool{true, false} {
		f := shop(t)
		f.up.orderErr = &refund.Error{Code: refund.CodeUnavailable, Next: refund.SameNumber, Message: "no answer"}
		if exists {
			f.must(t, request("R1", 10))
		}
		f.up.orderErr = nil
		other := applyFor(10)
		other.OutTradeNo = "O9"
		for range 19 {
			_, err := f.Apply(t.Context(), stranger, other)
			wantCode(t, err, refund.CodeDenied, refund.Never)
		}
		for range 25 {
			_, err := f.QueryRefund(t.Context(), stranger, refund.Lookup{OutRefundNo: "R1"})
			wantCode(t, err, refund.CodeDenied, refund.Never)
		}
		if n := f.up.count("order:O1") + f.up.count("order:T-O1"); n > 22 {
			t.Errorf("WeChat Pay was asked %d times", n)
		}
		_, err := f.Apply(t.Context(), stranger, other)
		wantCode(t, err, refund.CodeDenied, refund.Never)
		_, err = f.Apply(t.Context(), stranger, other)
		wantCode(t, err, refund.CodeLimited, refund.Later)
	}
}

// What was taken, and is said to be abnormal still, is in flight: another person's is not
// sent beside it.
func TestAnAbnormalRefundThatIsTakenAndStillAbnormalIsSentOnce(t *testing.T) {
	f := abnormalShop(t)
	f.up.finish = func(refund.AbnormalRequest) error { return nil }
	f.Channel = &stillAbnormal{f.up}
	if _, err := f.FinishAbnormal(t.Context(), operatorA, toCard); err != nil {
		t.Fatal(err)
	}
	_, err := f.FinishAbnormal(t.Context(), operatorB, toCard)
	wantCode(t, err, refund.CodeConflict, refund.Later)
	if n := f.up.count("finish:5000R1"); n != 1 {
		t.Errorf("sent %d times", n)
	}
	f.advance(time.Hour)
	if _, err := f.FinishAbnormal(t.Context(), operatorB, toCard); err != nil {
		t.Errorf("when nothing can be in flight any more: %v", err)
	}
}

// stillAbnormal takes what is to finish an abnormal refund, and has not done so yet.
type stillAbnormal struct{ *upstream }

func (s *stillAbnormal) FinishAbnormal(ctx context.Context, a refund.AbnormalRequest) (refund.Refund, error) {
	_, err := s.upstream.FinishAbnormal(ctx, a)
	return s.set(a.OutRefundNo, refund.StatusAbnormal), err
}

// What nobody has decided in time waits for nobody, also before that is written down.
func TestAProposalThatHasExpiredIsSaidToHave(t *testing.T) {
	f := shop(t)
	f.Policy.ApprovalFen = 5
	for _, written := range []bool{false, true} {
		_, err := f.Refund(t.Context(), operatorA, request("R1", 40))
		e := wantCode(t, err, refund.CodeProposed, refund.Later)
		if !written {
			f.advance(8 * 24 * time.Hour)
			_, err = f.Refund(t.Context(), operatorA, request("R1", 40))
			e = wantCode(t, err, refund.CodeProposed, refund.Later)
		}
		if !strings.Contains(e.Message, "EXPIRED: nothing is refunded by it; use a new refund number") {
			t.Errorf("written down %v: got %q", written, e.Message)
		}
		f.reconcile(t)
	}
}

// A number that somebody's refund waits under is not claimed by another application's
// decision, which uses its next one.
func TestANumberThatWaitsIsNoOtherApplications(t *testing.T) {
	f := shop(t)
	f.Policy.ApprovalFen = 50
	a := f.applies(t, applyFor(40))
	_, err := f.Refund(t.Context(), operatorA, request(a.ID+"N1", 60))
	id := wantCode(t, err, refund.CodeProposed, refund.Later).Proposed.ID
	_, err = f.Approve(t.Context(), operatorB, refund.Decision{ApplicationID: a.ID})
	wantCode(t, err, refund.CodeConflict, refund.Never)
	b, err := f.Approve(t.Context(), operatorB, refund.Decision{ApplicationID: a.ID})
	if err != nil || b.OutRefundNo != a.ID+"N2" || b.Refund == nil {
		t.Errorf("approved again: got %+v, %v", b, err)
	}
	if p, err := f.Approve(t.Context(), operatorB, refund.Decision{ApplicationID: id}); err != nil || p.OutRefundNo != a.ID+"N1" {
		t.Errorf("the proposal: got %+v, %v", p, err)
	}
	f.verified(t)
}

// What was approved and refused, and is repeated by hand under its number, is the approved
// refund: the application is refunded by it, and its alarm ends.
func TestAnApprovedRefundThatIsRepeatedByHandIsItsApplications(t *testing.T) {
	for name, begin := range map[string]func(f *fixture) (id string, req refund.Request){
		"proposed": func(f *fixture) (string, refund.Request) {
			f.Policy.ApprovalFen = 5
			_, err := f.Refund(t.Context(), operatorA, request("R1", 40))
			return wantCode(t, err, refund.CodeProposed, refund.Later).Proposed.ID, request("R1", 40)
		},
		"applied for": func(f *fixture) (string, refund.Request) {
			return f.applies(t, applyFor(40)).ID, refund.Request{}
		},
	} {
		for who, by := range map[string]refund.Caller{"server": server, "who approved": operatorB} {
			f := shop(t)
			id, req := begin(f)
			f.up.before = refusal(refund.CodeRejected, refund.LaterOrFix, "NO_AUTH")
			_, err := f.Approve(t.Context(), operatorB, refund.Decision{ApplicationID: id})
			wantCode(t, err, refund.CodeRejected, refund.LaterOrFix)
			f.wait(t, time.Hour)
			f.wantOpen(t, "after it was refused", "application/"+id+" approved_unrefunded")
			f.up.before = nil
			if req.OutRefundNo == "" {
				a, err := f.Application(t.Context(), id)
				if err != nil {
					t.Fatal(err)
				}
				in, err := f.Inspect(t.Context(), a.OutRefundNo)
				if err != nil {
					t.Fatal(err)
				}
				req = in[0].Request
			}
			if _, err := f.Refund(t.Context(), by, req); err != nil {
				t.Fatalf("%s, %s: %v", name, who, err)
			}
			f.up.set(req.OutRefundNo, refund.StatusSuccess)
			f.wait(t, 2*time.Hour)
			if in, err := f.Inspect(t.Context(), req.OutRefundNo); err != nil || in[0].Application != id {
				t.Errorf("%s, %s: the refund is of application %q, %v", name, who, in[0].Application, err)
			}
			page, err := f.ListFor(t.Context(), server, refund.ApplicationQuery{State: string(refund.ApplicationRefunded)})
			if err != nil || page.Total != 1 {
				t.Errorf("%s, %s: %d applications are refunded, %v", name, who, page.Total, err)
			}
			f.wantOpen(t, "after it was refunded")
			f.verified(t)
		}
	}
}
