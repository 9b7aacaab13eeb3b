package refund_test

import (
	"context"
	"encoding/json"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"wxrefund/shared/refund"
)

// A function that stood still between its claim and the call does not send: whoever
// relies on how long a submission can live may have given it up.
func TestFunctionThatStoodStillDoesNotSend(t *testing.T) {
	for stood, sends := range map[time.Duration]int{20 * time.Second: 1, 40 * time.Second: 0} {
		synctest.Test(t, func(t *testing.T) {
			f := setUp(t)
			f.Ledger = &standing{Ledger: f.Ledger, still: stood}
			_, err := f.Refund(t.Context(), server, request("R1", 60))
			f.wantCalls(t, "refund:R1", sends, fmt.Sprint("after ", stood))
			if sends == 0 {
				wantCode(t, err, refund.CodeUnavailable, refund.SameNumber)
				f.must(t, request("R1", 60)) // nothing had left, so that the repeat goes on
			}
		})
	}
}

// standing is a ledger whose process stands still behind its first commit of a refund.
type standing struct {
	refund.Ledger
	still time.Duration
}

func (s *standing) Commit(ctx context.Context, items ...refund.Item) error {
	err := s.Ledger.Commit(ctx, items...)
	for _, it := range items {
		if _, ok := it.RefundNo(); ok {
			time.Sleep(s.still)
			s.still = 0
		}
	}
	return err
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
		f.wantStatus(t, "R1", "PROCESSING", "")
	})
}

// A4: an unknown outcome, before or after acceptance, keeps the claim and the
// reservation; the repeat goes on with the same number.
func TestUnknownOutcomeKeepsTheClaimAndItsReservation(t *testing.T) {
	for name, strike := range map[string]func(*upstream){
		"before acceptance": func(u *upstream) { u.before = noAnswer },
		"after acceptance":  func(u *upstream) { u.after = noAnswer },
	} {
		t.Run(name, func(t *testing.T) {
			f := setUp(t)
			strike(f.up)
			f.refused(t, request("R1", 60), refund.CodeUnavailable, refund.SameNumber)
			f.wantStatus(t, "R1", "?", "")
			_, err := f.Refund(t.Context(), server, request("R2", 60))
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
func TestQueryOfAnUnknownOutcomeSettlesOnlyWhatTheUpstreamKnows(t *testing.T) {
	f := setUp(t)
	f.up.before = noAnswer
	f.refused(t, request("R1", 60), refund.CodeUnavailable, refund.SameNumber)
	_, err := f.QueryRefund(t.Context(), server, refund.Lookup{OutRefundNo: "R1"})
	wantCode(t, err, refund.CodeUnavailable, refund.SameNumber)
	f.wantStatus(t, "R1", "?", "though the upstream did not find it")

	f = setUp(t)
	f.up.after = noAnswer
	f.refused(t, request("R1", 60), refund.CodeUnavailable, refund.SameNumber)
	if got := f.query(t, "R1"); got.Status != refund.StatusProcessing {
		t.Errorf("query: %s", got.Status)
	}
}

// A refusal speaks only for its own attempt.
func TestRefusalAfterALostAcceptanceRejectsNothing(t *testing.T) {
	f := setUp(t)
	f.up.after = noAnswer
	f.refused(t, request("R1", 60), refund.CodeUnavailable, refund.SameNumber)
	f.up.before = refusal(refund.CodeRejected, refund.Later, "NOT_ENOUGH")
	if e := f.refused(t, request("R1", 60), refund.CodeUnavailable, refund.SameNumber); e.Upstream != "NOT_ENOUGH" {
		t.Errorf("upstream code %q", e.Upstream)
	}
	f.wantStatus(t, "R1", "?", "")
	f.up.set("R1", refund.StatusSuccess)
	if got := f.query(t, "R1"); got.Status != refund.StatusSuccess {
		t.Errorf("query: %s", got.Status)
	}
}

// An attempt that certainly never left is not in doubt, so a later refusal counts.
func TestUnsentSubmissionIsNotInDoubt(t *testing.T) {
	f := setUp(t)
	f.up.before = func(refund.Request) error {
		return &refund.Error{Code: refund.CodeUnavailable, Next: refund.SameNumber, Message: "no connection", Unsent: true}
	}
	f.refused(t, request("R1", 60), refund.CodeUnavailable, refund.SameNumber)
	f.wantStatus(t, "R1", "?", "")
	f.up.before = refusal(refund.CodeRejected, refund.Never, "USER_ACCOUNT_ABNORMAL")
	f.refused(t, request("R1", 60), refund.CodeRejected, refund.Never)
	f.wantStatus(t, "R1", "-", "")
}

// A12: what a repeat after a certain refusal does, by the refusal's next step.
func TestRepeatAfterARefusalDoesWhatTheRefusalAllows(t *testing.T) {
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
			first := f.refused(t, request("R1", 60), refund.CodeRejected, c.next)
			f.up.before = nil
			f.must(t, request("R2", 100)) // the reservation and the provisional total are gone

			f = setUp(t)
			f.up.before = refusal(refund.CodeRejected, c.next, "SOME_CODE")
			_, _ = f.Refund(t.Context(), server, request("R1", 60))
			again := f.refused(t, request("R1", 60), refund.CodeRejected, c.next)
			if again.Message != first.Message || again.Upstream != first.Upstream {
				t.Errorf("repeat says %v, first said %v", again, first)
			}
			if n := f.up.count("refund:R1"); (n == 2) != c.resubmitted {
				t.Errorf("%d submissions, resubmitted should be %v", n, c.resubmitted)
			}

			f.up.before = nil
			_, err := f.Refund(t.Context(), server, request("R1", 70))
			if c.corrected && err != nil {
				t.Errorf("corrected content: %v", err)
			}
			if !c.corrected {
				wantCode(t, err, refund.CodeConflict, refund.Never)
			}
		})
	}
}

// C12: the notification overtakes the reply; the late reply never goes back.
func TestLateReplyNeverGoesBackBehindTheNotification(t *testing.T) {
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
			t.Errorf("then %s, created %q; want %s with what the reply says beside", got.Status, got.CreateTime, status)
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

// A2, A3: a crash after the claim, before or after the upstream accepted, is
// resumed with the same number once the submission's lease is over.
func TestCrashAfterTheClaimIsResumedUnderTheSameNumber(t *testing.T) {
	for name, accepted := range map[string]bool{"before the call": false, "after acceptance": true} {
		t.Run(name, func(t *testing.T) {
			f := setUp(t)
			now := time.Now()
			f.Now = func() time.Time { return now }
			if accepted {
				f.up.after = killed
			} else {
				f.up.before = killed
			}
			f.crashed(t, request("R1", 60))
			f.up.before, f.up.after = nil, nil

			if e := f.refused(t, request("R1", 60), refund.CodeUnavailable, refund.Later); e.RetryAfter <= 0 { // the lease still runs
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
	f.wantStatus(t, "R1", "PROCESSING", "")
}

// However often nobody answers, the record stays small, and no refusal of one
// attempt speaks for the forgotten ones.
func TestRecordOfVeryManySubmissionsInDoubtStaysSmall(t *testing.T) {
	f := setUp(t)
	f.up.before = noAnswer
	for range 200 {
		f.refused(t, request("R1", 60), refund.CodeUnavailable, refund.SameNumber)
	}
	items := f.items(t, "refund/R1")
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
		f.refused(t, request("R1", 60), refund.CodeUnavailable, refund.SameNumber)
	}
	f.wantStatus(t, "R1", "?", "")
}

// counting counts reads.
type counting struct {
	refund.Ledger
	reads int
}

func (c *counting) Get(ctx context.Context, keys ...refund.Key) ([]refund.Item, error) {
	c.reads++
	return c.Ledger.Get(ctx, keys...)
}

// Waiting for another caller's submission costs a handful of reads of the ledger.
func TestWaitingForAnotherSubmissionCostsAHandfulOfReads(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := setUp(t)
		begun, done := make(chan struct{}), make(chan struct{})
		f.up.after = func(refund.Request) error {
			close(begun)
			time.Sleep(1500 * time.Millisecond)
			return nil
		}
		go func() {
			defer close(done)
			f.must(t, request("R1", 60))
		}()
		<-begun
		reads := &counting{Ledger: f.Ledger}
		second := &refund.Service{Channel: f.up, Ledger: reads, Merchant: merchant}
		got, err := second.Refund(t.Context(), server, request("R1", 60))
		if err != nil || got.Status != refund.StatusProcessing {
			t.Errorf("%+v, %v", got, err)
		}
		if reads.reads > 10 {
			t.Errorf("%d reads", reads.reads)
		}
		<-done
	})
}
