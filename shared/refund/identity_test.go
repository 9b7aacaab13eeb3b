package refund_test

import (
	"context"
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

// listen remembers what the business is told.
func (f *fixture) listen(t *testing.T) *[]refund.Event {
	t.Helper()
	var told []refund.Event
	f.Subscribers = []refund.Subscriber{{Name: "shop", Tell: func(_ context.Context, n refund.Event) error {
		told = append(told, n)
		return nil
	}}}
	return &told
}

func (f *fixture) look(t *testing.T, no string) refund.Inspection {
	t.Helper()
	d, err := f.Inspect(t.Context(), no)
	if err != nil || len(d) != 1 {
		t.Fatalf("look at %s: %d, %v", no, len(d), err)
	}
	return d[0]
}

// E1, E2: WeChat Pay holds another environment's refund under our number. However
// we learn of it, our claim has ended, its money is free, nobody is told that it
// succeeded, and the other refund counts on its own order.
func TestNumberThatIsTakenEndsOurClaimAndTellsNobody(t *testing.T) {
	for _, o := range []struct {
		name, order string
		fen         int64
	}{
		{"another order and amount", "O2", 30},
		{"another order, the same amount", "O2", 60},
		{"the same order, another amount", "O1", 30},
	} {
		for learn, how := range map[string]func(t *testing.T, f *fixture, advance func(time.Duration)){
			"refused, looked up": func(t *testing.T, f *fixture, _ func(time.Duration)) {
				f.up.before = maybeTaken
				_, err := f.Refund(t.Context(), server, request("64", 60))
				e := wantCode(t, err, refund.CodeConflict, refund.NewNumber)
				if !strings.Contains(e.Message, o.order) || e.Upstream != "INVALID_REQUEST" {
					t.Errorf("told %+v, want whose the number is", e)
				}
			},
			"refused, the look-up fails, then the timer": func(t *testing.T, f *fixture, advance func(time.Duration)) {
				f.up.before = maybeTaken
				f.up.queryErr = noAnswer(refund.Request{})
				_, err := f.Refund(t.Context(), server, request("64", 60))
				wantCode(t, err, refund.CodeRejected, refund.LaterOrFix)
				f.up.queryErr = nil
				advance(2 * time.Minute)
				f.reconcile(t)
			},
			"no answer, then the timer": func(t *testing.T, f *fixture, advance func(time.Duration)) {
				f.up.before = noAnswer
				_, err := f.Refund(t.Context(), server, request("64", 60))
				wantCode(t, err, refund.CodeUnavailable, refund.SameNumber)
				advance(2 * time.Minute)
				f.reconcile(t)
			},
			"no answer, then a query": func(t *testing.T, f *fixture, _ func(time.Duration)) {
				f.up.before = noAnswer
				_, err := f.Refund(t.Context(), server, request("64", 60))
				wantCode(t, err, refund.CodeUnavailable, refund.SameNumber)
				got, err := f.QueryRefund(t.Context(), server, refund.Lookup{OutRefundNo: "64"})
				if err != nil || got.OutTradeNo != o.order || got.Amount.Refund != o.fen {
					t.Errorf("query: %+v, %v; want WeChat Pay's refund as it is", got, err)
				}
			},
			"no answer, then a notification": func(t *testing.T, f *fixture, _ func(time.Duration)) {
				f.up.before = noAnswer
				_, err := f.Refund(t.Context(), server, request("64", 60))
				wantCode(t, err, refund.CodeUnavailable, refund.SameNumber)
				out := refund.Outcome{Source: refund.Notification, OutRefundNo: "64", Merchant: merchant, EventID: "E", Refund: other("64", o.order, o.fen)}
				if _, err := f.Settle(t.Context(), out); err != nil {
					t.Errorf("notification: %v", err)
				}
			},
		} {
			t.Run(o.name+", "+learn, func(t *testing.T) {
				f := setUp(t)
				advance := f.clocked()
				told := f.listen(t)
				f.up.refunds["64"] = other("64", o.order, o.fen)
				how(t, f, advance)
				for range 3 {
					advance(time.Hour)
					f.reconcile(t)
				}
				f.up.before = nil
				if d := f.look(t, "64"); d.State != refund.Rejected || !d.Taken {
					t.Errorf("our claim is %s, taken %t", d.State, d.Taken)
				}
				_, err := f.Refund(t.Context(), server, request("64", 60))
				if e := wantCode(t, err, refund.CodeConflict, refund.NewNumber); !strings.Contains(e.Message, o.order) {
					t.Errorf("a repeat is told %q, want whose the number is", e.Message)
				}
				if n := strings.Count(f.log.String(), "alarm=number_taken"); n != 1 {
					t.Errorf("%d alarms, want one", n)
				}
				if len(*told) > 0 {
					t.Errorf("the business is told %+v", *told)
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
					_, err = f.Refund(t.Context(), server, request("65", left+1))
					wantCode(t, err, refund.CodeConflict, refund.Never)
				}
				f.must2(t, request("65", left))
			})
		}
	}
}

func maybeTaken(refund.Request) error {
	return &refund.Error{Code: refund.CodeRejected, Next: refund.LaterOrFix, Upstream: "INVALID_REQUEST", Message: "refused", MaybeTaken: true}
}

// The words that may mean a taken number mean something else where the upstream
// holds nothing under it: then the refusal stands, and the number is free.
func TestRefusalThatMayMeanTakenIsBelievedWhereNothingIsHeld(t *testing.T) {
	f := setUp(t)
	f.up.before = maybeTaken
	_, err := f.Refund(t.Context(), server, request("R1", 60))
	wantCode(t, err, refund.CodeRejected, refund.LaterOrFix)
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

// An answer that accepts our submission is never read as somebody else's refund: a
// difference keeps it in doubt, loudly, and the caller is not told to take a new number.
func TestAnswerToOurSubmissionIsNeverSomebodyElses(t *testing.T) {
	for name, change := range map[string]func(*refund.Refund){
		"another amount": func(r *refund.Refund) { r.Amount.Refund = 61 },
		"another order":  func(r *refund.Refund) { r.OutTradeNo, r.TransactionID = "O2", "T-O2" },
	} {
		f := setUp(t)
		f.up.named = change
		_, err := f.Refund(t.Context(), server, request("R1", 60))
		if wantCode(t, err, refund.CodeUnavailable, refund.SameNumber); f.look(t, "R1").State != refund.Claimed {
			t.Errorf("%s: %s", name, f.look(t, "R1").State)
		}
		if !strings.Contains(f.log.String(), "alarm=contradiction") {
			t.Errorf("%s: no alarm", name)
		}
	}
}

// The other refund under our number is followed until it has come to its end, so
// that its order's account stays true.
func TestOtherRefundUnderOurNumberIsFollowed(t *testing.T) {
	f := setUp(t)
	advance := f.clocked()
	o := other("64", "O2", 100)
	o.Status, o.SuccessTime = refund.StatusProcessing, ""
	f.up.refunds["64"] = o
	f.up.before = maybeTaken
	_, err := f.Refund(t.Context(), server, request("64", 60))
	wantCode(t, err, refund.CodeConflict, refund.NewNumber)
	f.up.before = nil
	all := request("R2", 100)
	all.OutTradeNo = "O2"
	_, err = f.Refund(t.Context(), server, all)
	wantCode(t, err, refund.CodeConflict, refund.Never)
	f.up.set("64", refund.StatusClosed)
	advance(2 * time.Minute)
	f.reconcile(t)
	f.must(t, all)
}

// Every content that was ever submitted under a number is remembered: what the
// upstream holds of any of them is ours, is settled, reserved and told.
func TestEarlierContentThatHappenedAfterAllIsOurs(t *testing.T) {
	f := setUp(t)
	advance := f.clocked()
	told := f.listen(t)
	f.up.before = refusal(refund.CodeInvalid, refund.AfterFix, "PARAM_ERROR")
	_, err := f.Refund(t.Context(), server, request("R1", 60))
	wantCode(t, err, refund.CodeInvalid, refund.AfterFix)
	f.up.before = noAnswer
	corrected := request("R1", 50)
	corrected.OutTradeNo = "O2"
	_, err = f.Refund(t.Context(), server, corrected)
	wantCode(t, err, refund.CodeUnavailable, refund.SameNumber)
	f.up.refunds["R1"] = notification("R1", 60, refund.StatusSuccess).Refund // the first was carried out after all
	advance(2 * time.Minute)
	f.reconcile(t)
	if d := f.look(t, "R1"); d.State != refund.Success || d.Held != 60 || d.Request.Amount.Refund != 60 {
		t.Errorf("%s, held %d of the content %+v", d.State, d.Held, d.Request.Amount)
	}
	if len(*told) != 1 || (*told)[0].Refund.Amount.Refund != 60 {
		t.Errorf("told %+v", *told)
	}
	if _, err := f.QueryOrder(t.Context(), server, refund.Lookup{OutTradeNo: "O2"}); !refund.IsCode(err, refund.CodeNotFound) {
		t.Errorf("O2 still lists it: %v", err)
	}
	_, err = f.Refund(t.Context(), server, request("R2", 41))
	wantCode(t, err, refund.CodeConflict, refund.Never)
}

// A foreign refund's number is taken for everybody who wants something else.
func TestForeignNumberIsTaken(t *testing.T) {
	f := setUp(t)
	f.up.refunds["64"] = other("64", "O2", 30)
	if _, err := f.QueryRefund(t.Context(), server, refund.Lookup{OutRefundNo: "64"}); err != nil {
		t.Fatal(err)
	}
	_, err := f.Refund(t.Context(), server, request("64", 60))
	if e := wantCode(t, err, refund.CodeConflict, refund.NewNumber); !strings.Contains(e.Message, "30 CNY of the order O2") {
		t.Errorf("message %q", e.Message)
	}
}

// The currency of an order's account is corrected by the upstream's word, like its total.
func TestCurrencyAndTotalOfAnOrderFollowTheUpstream(t *testing.T) {
	f := setUp(t)
	spec := f.up.Spec()
	spec.Currencies = nil
	f.Channel = respecified{f.up, spec}
	f.up.before = noAnswer
	wrong := request("R1", 60)
	wrong.Amount.Currency, wrong.Amount.Total = "USD", 90
	_, err := f.Refund(t.Context(), server, wrong)
	wantCode(t, err, refund.CodeUnavailable, refund.SameNumber)
	truth := notification("R1", 60, refund.StatusProcessing).Refund // 60 of 100
	truth.Amount.Currency = "HKD"
	f.up.refunds["R1"] = truth
	if _, err := f.QueryRefund(t.Context(), server, refund.Lookup{OutRefundNo: "R1"}); err != nil {
		t.Fatal(err)
	}
	next := request("R2", 10)
	next.Amount.Currency = "USD"
	_, err = f.Refund(t.Context(), server, next)
	if e := wantCode(t, err, refund.CodeConflict, refund.Never); !strings.Contains(e.Message, "HKD") {
		t.Errorf("message %q", e.Message)
	}
	next.Amount.Currency, next.Amount.Total = "HKD", 90
	_, err = f.Refund(t.Context(), server, next)
	if e := wantCode(t, err, refund.CodeConflict, refund.Never); !strings.Contains(e.Message, "100") {
		t.Errorf("message %q", e.Message)
	}
	f.up.before = nil
	f.up.named = func(r *refund.Refund) { r.Amount.Currency = "HKD" }
	next.Amount.Total = 100
	f.must(t, next)
}

// respecified is the small upstream with other rules.
type respecified struct {
	*upstream
	spec refund.Spec
}

func (r respecified) Spec() refund.Spec { return r.spec }
