package refund_test

import (
	"strings"
	"testing"
	"time"

	"wxrefund/shared/refund"
)

// other is a refund that another environment has made under a number.
func other(no, order string, fen int64) refund.Refund {
	return refund.Refund{
		RefundID: "5099" + no, OutRefundNo: no, TransactionID: "T-" + order, OutTradeNo: order, Status: refund.StatusSuccess,
		SuccessTime: "2026-01-10T09:27:19+08:00", Amount: refund.Amount{Total: 100, Refund: fen, Currency: "CNY"},
	}
}

// E1, E2: WeChat Pay holds another environment's refund under our number. However
// we learn of it, our claim has ended, its money is free, no subscriber is told that it
// succeeded, and the other refund counts on its own order.
func TestTakenNumberEndsOurClaimAndTellsNoSubscriber(t *testing.T) {
	for _, o := range []struct {
		name, order string
		fen         int64
	}{
		{"another order and amount", "O2", 30},
		{"another order, the same amount", "O2", 60},
		{"the same order, another amount", "O1", 30},
	} {
		for learn, how := range map[string]func(t *testing.T, f *fixture){
			"refused, looked up": func(t *testing.T, f *fixture) {
				f.up.before = maybeTaken
				e := f.refused(t, request("64", 60), refund.CodeConflict, refund.NewNumber)
				if !strings.Contains(e.Message, o.order) || e.Upstream != "INVALID_REQUEST" {
					t.Errorf("got %+v, want whose the number is", e)
				}
			},
			"refused, the look-up fails, then the timer": func(t *testing.T, f *fixture) {
				f.up.before = maybeTaken
				f.up.queryErr = noAnswer(refund.Request{})
				f.refused(t, request("64", 60), refund.CodeRejected, refund.LaterOrFix)
				f.up.queryErr = nil
				f.later(t, 2*time.Minute)
			},
			"no answer, then the timer": func(t *testing.T, f *fixture) {
				f.up.before = noAnswer
				f.refused(t, request("64", 60), refund.CodeUnavailable, refund.SameNumber)
				f.later(t, 2*time.Minute)
			},
			"no answer, then a query": func(t *testing.T, f *fixture) {
				f.up.before = noAnswer
				f.refused(t, request("64", 60), refund.CodeUnavailable, refund.SameNumber)
				got, err := f.QueryRefund(t.Context(), server, refund.Lookup{OutRefundNo: "64"})
				if err != nil || got.OutTradeNo != o.order || got.Amount.Refund != o.fen {
					t.Errorf("query: %+v, %v; want WeChat Pay's refund as it is", got, err)
				}
			},
			"no answer, then a notification": func(t *testing.T, f *fixture) {
				f.up.before = noAnswer
				f.refused(t, request("64", 60), refund.CodeUnavailable, refund.SameNumber)
				out := refund.Outcome{Source: refund.Notification, OutRefundNo: "64", Merchant: merchant, EventID: "E", Refund: other("64", o.order, o.fen)}
				if _, err := f.Settle(t.Context(), out); err != nil {
					t.Errorf("notification: %v", err)
				}
			},
		} {
			t.Run(o.name+", "+learn, func(t *testing.T) {
				f := clocked(t)
				shop := f.subscribe("shop")
				f.up.refunds["64"] = other("64", o.order, o.fen)
				how(t, f)
				for range 3 {
					f.later(t, time.Hour)
				}
				f.up.before = nil
				if d := f.inspect(t, "64"); d.State != refund.Rejected || !d.NumberTaken {
					t.Errorf("our claim is %s, taken %t", d.State, d.NumberTaken)
				}
				if e := f.refused(t, request("64", 60), refund.CodeConflict, refund.NewNumber); !strings.Contains(e.Message, o.order) {
					t.Errorf("a repeat gets %q, want whose the number is", e.Message)
				}
				f.wantAlarms(t, "number_taken", 1, "")
				if len(shop.events()) > 0 {
					t.Errorf("the shop is told %+v", shop.events())
				}
				got, err := f.QueryRefund(t.Context(), server, refund.Lookup{OutRefundNo: "64"})
				if err != nil || got.OutTradeNo != o.order || got.Status != refund.StatusSuccess {
					t.Errorf("query: %+v, %v", got, err)
				}
				// Both accounts are true: the other refund takes its money from its order, ours none.
				left := int64(100)
				if o.order == "O1" {
					left -= o.fen
				} else {
					p, err := f.QueryOrder(t.Context(), server, refund.Lookup{OutTradeNo: "O2"})
					if err != nil || p.TotalRefundCount != 1 || p.Refunds[0].Amount.Refund != o.fen {
						t.Errorf("the other order: %+v, %v", p, err)
					}
				}
				if left < 100 {
					f.refused(t, request("65", left+1), refund.CodeConflict, refund.Never)
				}
				f.up.before = nil
				f.must(t, request("65", left))
			})
		}
	}
}

func maybeTaken(refund.Request) error {
	return &refund.Error{Code: refund.CodeRejected, Next: refund.LaterOrFix, Upstream: "INVALID_REQUEST", Message: "refused", MaybeNumberTaken: true}
}

// The words that may mean a taken number mean something else where the upstream
// holds nothing under it: then the refusal stands, and the number is free.
func TestRefusalThatMayMeanTakenIsBelievedWhereNothingIsHeld(t *testing.T) {
	f := setUp(t)
	f.up.before = maybeTaken
	f.refused(t, request("R1", 60), refund.CodeRejected, refund.LaterOrFix)
	f.up.before = nil
	f.must(t, request("R1", 60))
}

// What was refused in those words and is ours after all is answered as what it is.
func TestRefusalThatMayMeanTakenOfOurOwnRefund(t *testing.T) {
	f := setUp(t)
	f.up.refunds["R1"] = notification("R1", 60, refund.StatusSuccess).Refund
	f.up.before = maybeTaken
	if got := f.must(t, request("R1", 60)); got.Status != refund.StatusSuccess {
		t.Errorf("%+v", got)
	}
}

// A14: a reply that accepts our submission is never read as somebody else's refund: a
// difference keeps it in doubt, with an alarm, and the caller is not told to take a new number.
func TestReplyToOurSubmissionIsNeverSomebodyElses(t *testing.T) {
	for name, change := range map[string]func(*refund.Refund){
		"another amount": func(r *refund.Refund) { r.Amount.Refund = 61 },
		"another order":  func(r *refund.Refund) { r.OutTradeNo, r.TransactionID = "O2", "T-O2" },
	} {
		f := setUp(t)
		f.up.named = change
		_, err := f.Refund(t.Context(), server, request("R1", 60))
		if wantCode(t, err, refund.CodeUnavailable, refund.SameNumber); f.inspect(t, "R1").State != refund.Claimed {
			t.Errorf("%s: %s", name, f.inspect(t, "R1").State)
		}
		if f.alarms("contradiction") == 0 {
			t.Errorf("%s: no alarm", name)
		}
	}
}

// The other refund under our number is followed until it has come to its end, so
// that its order's account stays true.
func TestOtherRefundUnderOurNumberIsFollowed(t *testing.T) {
	f := clocked(t)
	o := other("64", "O2", 100)
	o.Status, o.SuccessTime = refund.StatusProcessing, ""
	f.up.refunds["64"] = o
	f.up.before = maybeTaken
	f.refused(t, request("64", 60), refund.CodeConflict, refund.NewNumber)
	f.up.before = nil
	all := request("R2", 100)
	all.OutTradeNo = "O2"
	f.refused(t, all, refund.CodeConflict, refund.Never)
	f.up.set("64", refund.StatusClosed)
	f.later(t, 2*time.Minute)
	f.must(t, all)
}

// Every content that was ever submitted under a number is remembered: what the
// upstream holds of any of them is ours, is settled, reserved and delivered.
func TestEarlierContentThatHappenedAfterAllIsOurs(t *testing.T) {
	f := clocked(t)
	shop := f.subscribe("shop")
	f.up.before = refusal(refund.CodeInvalid, refund.AfterFix, "PARAM_ERROR")
	f.refused(t, request("R1", 60), refund.CodeInvalid, refund.AfterFix)
	f.up.before = noAnswer
	corrected := request("R1", 50)
	corrected.OutTradeNo = "O2"
	f.refused(t, corrected, refund.CodeUnavailable, refund.SameNumber)
	f.up.refunds["R1"] = notification("R1", 60, refund.StatusSuccess).Refund // the first was carried out after all
	f.later(t, 2*time.Minute)
	if d := f.inspect(t, "R1"); d.State != refund.Success || d.Held != 60 || d.Request.Amount.Refund != 60 {
		t.Errorf("%s, held %d of the content %+v", d.State, d.Held, d.Request.Amount)
	}
	if len(shop.events()) != 1 || shop.events()[0].Refund.Amount.Refund != 60 {
		t.Errorf("told %+v", shop.events())
	}
	if _, err := f.QueryOrder(t.Context(), server, refund.Lookup{OutTradeNo: "O2"}); !refund.IsCode(err, refund.CodeNotFound) {
		t.Errorf("O2 still lists it: %v", err)
	}
	f.refused(t, request("R2", 41), refund.CodeConflict, refund.Never)
}

// An external refund's number is taken for everybody who wants something else.
func TestNumberOfAnExternalRefundIsTaken(t *testing.T) {
	f := setUp(t)
	f.up.refunds["64"] = other("64", "O2", 30)
	f.query(t, "64")
	if e := f.refused(t, request("64", 60), refund.CodeConflict, refund.NewNumber); !strings.Contains(e.Message, "of 0.30 CNY of the order O2") {
		t.Errorf("message %q", e.Message)
	}
}

// The currency of an order's account is corrected by what the upstream reports, like its total.
func TestCurrencyAndTotalOfAnOrderFollowTheUpstream(t *testing.T) {
	f := setUp(t)
	f.up.spec.Currencies = nil
	f.up.before = noAnswer
	wrong := request("R1", 60)
	wrong.Amount.Currency, wrong.Amount.Total = "USD", 90
	f.refused(t, wrong, refund.CodeUnavailable, refund.SameNumber)
	truth := notification("R1", 60, refund.StatusProcessing).Refund // 60 of 100
	truth.Amount.Currency = "HKD"
	f.up.refunds["R1"] = truth
	f.query(t, "R1")
	next := request("R2", 10)
	next.Amount.Currency = "USD"
	if e := f.refused(t, next, refund.CodeConflict, refund.Never); !strings.Contains(e.Message, "HKD") {
		t.Errorf("message %q", e.Message)
	}
	next.Amount.Currency, next.Amount.Total = "HKD", 90
	if e := f.refused(t, next, refund.CodeConflict, refund.Never); !strings.Contains(e.Message, "100") {
		t.Errorf("message %q", e.Message)
	}
	f.up.before = nil
	f.up.named = func(r *refund.Refund) { r.Amount.Currency = "HKD" }
	next.Amount.Total = 100
	f.must(t, next)
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
		f.settle(t, notification("R1", 60, refund.StatusSuccess))
		r := request("R1", 60)
		slip(&r)
		_, err := f.Refund(t.Context(), server, r)
		if err != nil && refund.AsError(err).Next == refund.NewNumber {
			t.Errorf("%s: %v: the same 60 of the same order go back a second time under a new number", name, err)
		}
	}
}

// An answer that has neither amount nor order (CloudBase's reduced query) does not
// make ours what the upstream has just refused since the number is taken.
func TestReducedAnswerDoesNotMakeATakenNumberOurs(t *testing.T) {
	for name, lookUp := range map[string]bool{"at once": true, "by the timer": false} {
		t.Run(name, func(t *testing.T) {
			f := clocked(t)
			shop := f.subscribe("shop")
			f.up.before = maybeTaken // another environment's refund has the number
			f.up.refunds["R1"] = refund.Refund{OutRefundNo: "R1", Status: refund.StatusSuccess}
			if !lookUp {
				f.up.queryErr = noAnswer(refund.Request{})
			}
			got, err := f.Refund(t.Context(), server, request("R1", 60))
			if err == nil {
				t.Errorf("refused by the upstream, and the caller gets %s", got.Status)
			}
			f.up.queryErr = nil
			f.wait(t, time.Hour)
			if d := f.inspect(t, "R1"); d.State == refund.Success {
				t.Errorf("on record as %s", d.State)
			}
			if len(shop.events()) > 0 {
				t.Errorf("the shop is told %s", shop.events()[0].Status)
			}
		})
	}
}
