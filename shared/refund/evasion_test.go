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
