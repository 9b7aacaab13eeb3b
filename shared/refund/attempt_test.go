package refund_test

import (
	"context"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"wxrefund/shared/refund"
)

// A4: an unknown outcome, before or after acceptance, keeps the claim and the
// reservation; the repeat goes on with the same number.
func TestA4UnknownOutcomeKeepsTheClaim(t *testing.T) {
	for name, strike := range map[string]func(*upstream){
		"before acceptance": func(u *upstream) { u.before = noAnswer },
		"after acceptance":  func(u *upstream) { u.after = noAnswer },
	} {
		t.Run(name, func(t *testing.T) {
			f := setUp(t)
			strike(f.up)
			_, err := f.Refund(t.Context(), server, request("R1", 60))
			wantCode(t, err, refund.CodeUnavailable, refund.SameNumber)
			if got := f.status(t, "R1"); got != "?" {
				t.Errorf("status %s, want a claim without one", got)
			}
			_, err = f.Refund(t.Context(), server, request("R2", 60))
			wantCode(t, err, refund.CodeConflict, refund.Later) // it fits once the first has turned out to be none

			f.up.before, f.up.after = nil, nil
			if got := f.must(t, request("R1", 60)); got.Status != refund.StatusProcessing {
				t.Errorf("resumed: %s", got.Status)
			}
			if n := len(f.up.refunds); n != 1 {
				t.Errorf("%d refunds upstream, want 1", n)
			}
		})
	}
}

// A query while the outcome is unknown settles what the upstream knows, and
// does not free the money if it knows nothing.
func TestA4QueryOfAnUnknownOutcome(t *testing.T) {
	f := setUp(t)
	f.up.before = noAnswer
	_, err := f.Refund(t.Context(), server, request("R1", 60))
	wantCode(t, err, refund.CodeUnavailable, refund.SameNumber)
	_, err = f.QueryRefund(t.Context(), server, refund.Lookup{OutRefundNo: "R1"})
	wantCode(t, err, refund.CodeUnavailable, refund.SameNumber)
	if got := f.status(t, "R1"); got != "?" {
		t.Errorf("not found moved the claim to %s", got)
	}

	f = setUp(t)
	f.up.after = noAnswer
	_, err = f.Refund(t.Context(), server, request("R1", 60))
	wantCode(t, err, refund.CodeUnavailable, refund.SameNumber)
	got, err := f.QueryRefund(t.Context(), server, refund.Lookup{OutRefundNo: "R1"})
	if err != nil || got.Status != refund.StatusProcessing {
		t.Errorf("query: %v, %v", got.Status, err)
	}
}

// A refusal speaks only for its own attempt.
func TestRefusalAfterALostAcceptanceRejectsNothing(t *testing.T) {
	f := setUp(t)
	f.up.after = noAnswer
	_, err := f.Refund(t.Context(), server, request("R1", 60))
	wantCode(t, err, refund.CodeUnavailable, refund.SameNumber)
	f.up.before = refusal(refund.CodeRejected, refund.Later, "NOT_ENOUGH")
	_, err = f.Refund(t.Context(), server, request("R1", 60))
	if e := wantCode(t, err, refund.CodeUnavailable, refund.SameNumber); e.Upstream != "NOT_ENOUGH" {
		t.Errorf("upstream code %q", e.Upstream)
	}
	if got := f.status(t, "R1"); got != "?" {
		t.Errorf("status %q, want the claim", got)
	}
	f.up.set("R1", refund.StatusSuccess)
	if got, err := f.QueryRefund(t.Context(), server, refund.Lookup{OutRefundNo: "R1"}); err != nil || got.Status != refund.StatusSuccess {
		t.Errorf("query: %v, %v", got.Status, err)
	}
}

// An attempt that certainly never left is not in doubt, so a later refusal counts.
func TestUnsentAttemptIsNotInDoubt(t *testing.T) {
	f := setUp(t)
	f.up.before = func(refund.Request) error {
		return &refund.Error{Code: refund.CodeUnavailable, Next: refund.SameNumber, Message: "no connection", Unsent: true}
	}
	_, err := f.Refund(t.Context(), server, request("R1", 60))
	wantCode(t, err, refund.CodeUnavailable, refund.SameNumber)
	if got := f.status(t, "R1"); got != "?" {
		t.Errorf("status %q, want the claim", got)
	}
	f.up.before = refusal(refund.CodeRejected, refund.Never, "USER_ACCOUNT_ABNORMAL")
	_, err = f.Refund(t.Context(), server, request("R1", 60))
	wantCode(t, err, refund.CodeRejected, refund.Never)
	if got := f.status(t, "R1"); got != "-" {
		t.Errorf("status %q, want rejected", got)
	}
}

// A12: what a repeat after a certain refusal does, by the refusal's next step.
func TestA12RepeatAfterRefusal(t *testing.T) {
	for _, c := range []struct {
		next        refund.Next
		resubmitted bool // the same content
		corrected   bool // other content is accepted under the number
	}{
		{refund.Never, false, false},
		{refund.NewNumber, false, false},
		{refund.SameNumber, true, false},
		{refund.Later, true, false},
		{refund.AfterFix, true, true},
	} {
		t.Run(string(c.next), func(t *testing.T) {
			f := setUp(t)
			f.up.before = refusal(refund.CodeRejected, c.next, "SOME_CODE")
			_, err := f.Refund(t.Context(), server, request("R1", 60))
			first := wantCode(t, err, refund.CodeRejected, c.next)
			f.must2(t, request("R2", 100)) // the reservation and the provisional total are gone

			f = setUp(t)
			f.up.before = refusal(refund.CodeRejected, c.next, "SOME_CODE")
			_, _ = f.Refund(t.Context(), server, request("R1", 60))
			_, err = f.Refund(t.Context(), server, request("R1", 60))
			again := wantCode(t, err, refund.CodeRejected, c.next)
			if again.Message != first.Message || again.Upstream != first.Upstream {
				t.Errorf("repeat says %v, first said %v", again, first)
			}
			if n := f.up.count("refund:R1"); (n == 2) != c.resubmitted {
				t.Errorf("%d submissions, resubmitted should be %v", n, c.resubmitted)
			}

			f.up.before = nil
			_, err = f.Refund(t.Context(), server, request("R1", 70))
			if c.corrected && err != nil {
				t.Errorf("corrected content: %v", err)
			}
			if !c.corrected {
				wantCode(t, err, refund.CodeConflict, refund.Never)
			}
		})
	}
}

// must2 refunds with the upstream accepting again.
func (f *fixture) must2(t *testing.T, req refund.Request) {
	t.Helper()
	f.up.before = nil
	f.must(t, req)
}

// A rejected sole claim clears the total that only its caller named.
func TestRejectedSoleClaimClearsTheProvisionalTotal(t *testing.T) {
	f := setUp(t)
	f.up.before = refusal(refund.CodeRejected, refund.Never, "SOME_CODE")
	wrong := request("R1", 60)
	wrong.Amount.Total = 10_000
	_, err := f.Refund(t.Context(), server, wrong)
	wantCode(t, err, refund.CodeRejected, refund.Never)
	f.must2(t, request("R2", 100))
}

// C12: the notification overtakes the reply; the late reply never goes back.
func TestC12NotificationBeforeTheReply(t *testing.T) {
	for _, status := range []refund.Status{refund.StatusSuccess, refund.StatusClosed, refund.StatusAbnormal} {
		f := setUp(t)
		f.up.after = func(req refund.Request) error {
			_, err := f.Settle(context.Background(), notification(req.OutRefundNo, 60, status))
			return err
		}
		if got := f.must(t, request("R1", 60)); got.Status != status {
			t.Errorf("reply after the notification says %s, want %s", got.Status, status)
		}
		f.up.after = nil
		if got := f.must(t, request("R1", 60)); got.Status != status || got.CreateTime == "" {
			t.Errorf("then %s, created %q; want %s with what the reply told beside", got.Status, got.CreateTime, status)
		}
	}
}

// A late refusal never goes against what a notification has proven.
func TestRefusalAfterTheNotificationChangesNothing(t *testing.T) {
	f := setUp(t)
	f.up.after = func(req refund.Request) error {
		if _, err := f.Settle(context.Background(), notification(req.OutRefundNo, 60, refund.StatusSuccess)); err != nil {
			return err
		}
		return refusal(refund.CodeRejected, refund.Never, "SOME_CODE")(req)
	}
	if got := f.must(t, request("R1", 60)); got.Status != refund.StatusSuccess {
		t.Errorf("%s, want SUCCESS", got.Status)
	}
}

// A14: a reply about other money is no answer.
func TestA14ReplyThatContradictsTheClaim(t *testing.T) {
	f := setUp(t)
	f.up.refunds["R1"] = refund.Refund{RefundID: "50001", OutRefundNo: "R1", OutTradeNo: "O1", Status: refund.StatusSuccess, Amount: refund.Amount{Refund: 30, Total: 100}}
	_, err := f.Refund(t.Context(), server, request("R1", 60))
	wantCode(t, err, refund.CodeUnavailable, refund.SameNumber)
	if got := f.status(t, "R1"); got != "?" {
		t.Errorf("status %q, want the claim", got)
	}
	// The query is the last word: the money that really moved is what counts.
	got, err := f.QueryRefund(t.Context(), server, refund.Lookup{OutRefundNo: "R1"})
	if err != nil || got.Amount.Refund != 30 {
		t.Fatalf("query: %+v, %v", got, err)
	}
	if !strings.Contains(f.log.String(), "msg=alarm") {
		t.Error("no alarm")
	}
	f.must(t, request("R2", 70))
}

// A2, A3: a crash after the claim, before or after the upstream accepted, is
// resumed with the same number once the submission's lease is over.
func TestA2A3CrashAfterTheClaim(t *testing.T) {
	for name, accepted := range map[string]bool{"before the call": false, "after acceptance": true} {
		t.Run(name, func(t *testing.T) {
			f := setUp(t)
			now := time.Now()
			f.Now = func() time.Time { return now }
			crash := func(refund.Request) error { panic("killed") }
			if accepted {
				f.up.after = crash
			} else {
				f.up.before = crash
			}
			func() {
				defer func() { _ = recover() }()
				_, _ = f.Refund(t.Context(), server, request("R1", 60))
			}()
			f.up.before, f.up.after = nil, nil

			_, err := f.Refund(t.Context(), server, request("R1", 60)) // the lease still runs
			if e := wantCode(t, err, refund.CodeUnavailable, refund.Later); e.RetryAfter <= 0 {
				t.Error("it does not say when to come back")
			}
			now = now.Add(time.Minute)
			if got := f.must(t, request("R1", 60)); got.Status != refund.StatusProcessing {
				t.Errorf("resumed: %s", got.Status)
			}
			if n := len(f.up.refunds); n != 1 {
				t.Errorf("%d refunds upstream, want 1", n)
			}
		})
	}
}

// The caller's going away does not lose what the upstream said.
func TestAnswerIsRecordedThoughTheCallerHasGone(t *testing.T) {
	f := setUp(t)
	ctx, cancel := context.WithCancel(t.Context())
	f.up.after = func(refund.Request) error { cancel(); return nil }
	if got, err := f.Refund(ctx, server, request("R1", 60)); err != nil || got.Status != refund.StatusProcessing {
		t.Errorf("%v, %v", got.Status, err)
	}
	if got := f.status(t, "R1"); got != "PROCESSING" {
		t.Errorf("status %q", got)
	}
}

// However often nobody answers, the record stays small, and no refusal of one
// attempt speaks for the forgotten ones.
func TestVeryManyAttemptsInDoubt(t *testing.T) {
	f := setUp(t)
	f.up.before = noAnswer
	for range 200 {
		_, err := f.Refund(t.Context(), server, request("R1", 60))
		wantCode(t, err, refund.CodeUnavailable, refund.SameNumber)
	}
	items, err := f.Ledger.Get(t.Context(), "refund/R1")
	if err != nil {
		t.Fatal(err)
	}
	var rec struct{ Attempt, Open any }
	if err := json.Unmarshal(items[0].Body, &rec); err != nil {
		t.Fatal(err)
	}
	open, _ := rec.Open.([]any)
	if rec.Attempt != 200.0 || len(open) != 64 || open[0] != 0.0 || open[1] != 138.0 || open[63] != 200.0 {
		t.Errorf("attempt %v, open %v", rec.Attempt, rec.Open)
	}
	f.up.before = refusal(refund.CodeRejected, refund.Never, "NOT_ENOUGH")
	for range 100 {
		_, err := f.Refund(t.Context(), server, request("R1", 60))
		wantCode(t, err, refund.CodeUnavailable, refund.SameNumber)
	}
	if got := f.status(t, "R1"); got != "?" {
		t.Errorf("status %s, want the claim", got)
	}
}
