package refund_test

import (
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"wxrefund/shared/refund"
)

// doubtful is a fixture with a claim of which nothing is known.
func doubtful(t *testing.T, no string, fen int64) *fixture {
	t.Helper()
	f := clocked(t)
	f.up.before = noAnswer
	f.refused(t, request(no, fen), refund.CodeUnavailable, refund.SameNumber)
	return f
}

// E3: a submission that never goes through is tried for six hours, asked about for
// eighteen more, and given up; then the number takes other content, and the money
// is free.
func TestClaimThatNeverGoesThroughEndsWithinADay(t *testing.T) {
	f := doubtful(t, "R1", 60)
	f.wait(t, 6*time.Hour)
	sent := f.up.count("refund:R1")
	if sent < 10 {
		t.Errorf("%d submissions in six hours, want more", sent)
	}
	f.wait(t, 17*time.Hour)
	if n := f.up.count("refund:R1"); n > sent+1 {
		t.Errorf("%d submissions after six hours, want none", n-sent)
	}
	f.wantState(t, "R1", refund.Claimed, "after 23 hours")
	f.wait(t, 2*time.Hour)
	d := f.inspect(t, "R1")
	if d.State != refund.Rejected || d.Held != 0 {
		t.Fatalf("%s, held %d", d.State, d.Held)
	}
	last := d.History[len(d.History)-1]
	if last.What != "released" || !strings.Contains(last.Note, "not found") {
		t.Errorf("the history ends with %+v", last)
	}
	f.up.before = nil
	f.must(t, request("R2", 40))
	f.must(t, request("R1", 50)) // corrected, under the same number
}

// A certain refusal newer than what is in doubt shortens the day, not the life of a request.
func TestCertainRefusalShortensTheDayOnly(t *testing.T) {
	for _, next := range []refund.Next{refund.AfterFix, refund.Never, refund.LaterOrFix} {
		f := doubtful(t, "R1", 60)
		f.up.before = refusal(refund.CodeRejected, next, "SOME_CODE")
		f.refused(t, request("R1", 60), refund.CodeUnavailable, refund.SameNumber)
		sent := f.up.count("refund:R1")
		for range 14 {
			f.later(t, time.Minute)
		}
		f.wantState(t, "R1", refund.Claimed, "while a request may be in flight: "+string(next))
		f.wait(t, 3*time.Hour)
		f.wantState(t, "R1", refund.Rejected, "three hours later: "+string(next))
		f.wantCalls(t, "refund:R1", sent, "since by itself it is not submitted: "+string(next))
		f.up.before = nil
		f.must(t, request("R2", 100))
	}
}

// A refusal that time mends is tried for as long as a claim without one, and ends sooner.
func TestRefusalThatTimeMendsIsTriedForSixHours(t *testing.T) {
	f := doubtful(t, "R1", 60)
	f.up.before = refusal(refund.CodeRejected, refund.Later, "NOT_ENOUGH")
	f.wait(t, 5*time.Hour)
	if n := f.up.count("refund:R1"); n < 10 {
		t.Errorf("%d submissions in five hours", n)
	}
	f.wait(t, 4*time.Hour)
	f.wantState(t, "R1", refund.Rejected, "after nine hours")

	f = doubtful(t, "R1", 60)
	f.up.before = refusal(refund.CodeRejected, refund.Later, "NOT_ENOUGH")
	f.wait(t, time.Hour)
	f.up.before = nil // topped up
	f.wait(t, time.Hour)
	f.wantState(t, "R1", refund.Processing, "after the balance was topped up")
}

// Only a verified "not found" ends a doubt: silence, errors and refusals of the
// query leave the claim, with one alarm a day.
func TestOnlyNotFoundEndsADoubt(t *testing.T) {
	for name, c := range map[string]struct {
		err   error
		alarm string
	}{
		"silence":             {noAnswer(refund.Request{}), "claim_in_doubt"},
		"a refused query":     {&refund.Error{Code: refund.CodeRejected, Next: refund.LaterOrFix, Upstream: "NO_AUTH", Message: "no"}, "claim_in_doubt"},
		"counted and no more": {&refund.Error{Code: refund.CodeUnavailable, Next: refund.SameNumber, Message: "empty", CountedOnly: true}, "refund_untold"},
	} {
		f := doubtful(t, "R1", 60)
		f.up.queryErr = c.err
		f.wait(t, 10*24*time.Hour)
		f.wantState(t, "R1", refund.Claimed, "after "+name)
		f.wantCalls(t, "refund:R1", 1, "after "+name)
		n := f.alarms("")
		if n < 8 || n > 11 || n != f.alarms(c.alarm) {
			t.Errorf("%s: %d alarms in ten days, want one of %s a day", name, n, c.alarm)
		}
		counts := alarmCounts(f.log.String())
		if len(counts) != n || counts[0] != 1 || !slices.IsSorted(counts) || len(slices.Compact(counts)) != n {
			t.Errorf("%s: %d alarms say that their cause was met %v times", name, n, counts)
		}
		f.up.queryErr = nil
		f.up.refunds["R1"] = notification("R1", 60, refund.StatusSuccess).Refund
		f.wait(t, 4*time.Hour)
		f.wantState(t, "R1", refund.Success, "in the end, after "+name)
		if n := strings.Count(f.log.String(), `msg="alarm closed"`); n == 0 || len(f.inspect(t, "R1").Causes) > 0 {
			t.Errorf("%s: %d alarms are closed, %v go on", name, n, f.inspect(t, "R1").Causes)
		}
	}
}

// A total that only a doubtful claim has named binds nobody else; what the claim
// reserves counts against whatever total the next one names.
func TestTotalOfADoubtfulClaimBindsNobody(t *testing.T) {
	f := setUp(t)
	f.up.before = noAnswer
	wrong := request("R1", 1)
	wrong.Amount.Total, wrong.Amount.Currency = 1, "CNY"
	f.refused(t, wrong, refund.CodeUnavailable, refund.SameNumber)
	f.up.before = nil
	if e := f.refused(t, request("R2", 100), refund.CodeConflict, refund.Later); !strings.Contains(e.Message, "99 of 100") {
		t.Errorf("message %q", e.Message)
	}
	f.must(t, request("R3", 99))
}

// E5: while a claim is in doubt and somebody refunds the same order by hand, it is
// submitted again neither by the timer nor by a caller's repeat.
func TestExternalRefundBesideADoubtStopsSubmissions(t *testing.T) {
	f := doubtful(t, "R1", 60)
	f.settle(t, notification("HAND", 30, refund.StatusSuccess))
	f.up.before = nil
	f.refused(t, request("R1", 60), refund.CodeUnavailable, refund.Later)
	f.wait(t, 5*time.Hour)
	f.wantCalls(t, "refund:R1", 1, "")
	f.wantAlarms(t, "refund_by_hand", 1, "")
	f.wait(t, 24*time.Hour)
	f.wantState(t, "R1", refund.Rejected, "a day later")
	f.must(t, request("R1", 60)) // a person has decided
}

// A refund by hand that was known when the refund was claimed, or that was closed, stops nothing.
func TestExternalRefundBeforeTheClaimStopsNothing(t *testing.T) {
	f := clocked(t)
	f.settle(t, notification("HAND", 30, refund.StatusSuccess))
	f.up.before = noAnswer
	f.refused(t, request("R1", 60), refund.CodeUnavailable, refund.SameNumber)
	f.up.before = nil
	f.later(t, 2*time.Minute)
	f.wantState(t, "R1", refund.Processing, "")
}

// Release asks the upstream first, and gives nothing up that may be in flight or that it holds.
func TestReleaseIsNeverBlind(t *testing.T) {
	f := doubtful(t, "R1", 60)
	release := refund.Release{OutRefundNo: "R1", By: "ann"}
	err := f.Release(t.Context(), release)
	if e := wantCode(t, err, refund.CodeConflict, refund.Later); !strings.Contains(e.Message, "in flight") || e.RetryAfter != 15*time.Minute {
		t.Errorf("at once: %+v", e)
	}
	f.advance(16 * time.Minute)
	f.up.queryErr = noAnswer(refund.Request{})
	wantCode(t, f.Release(t.Context(), release), refund.CodeUnavailable, refund.SameNumber)
	f.up.queryErr = nil
	f.up.refunds["R1"] = notification("R1", 60, refund.StatusProcessing).Refund
	if e := wantCode(t, f.Release(t.Context(), release), refund.CodeConflict, refund.Never); !strings.Contains(e.Message, "holds") {
		t.Errorf("held: %+v", e)
	}
	f.wantState(t, "R1", refund.Processing, "since the upstream holds it")

	f = doubtful(t, "R1", 60)
	f.advance(16 * time.Minute)
	if err := f.Release(t.Context(), release); err != nil {
		t.Fatal(err)
	}
	d := f.inspect(t, "R1")
	if last := d.History[len(d.History)-1]; d.State != refund.Rejected || d.Held != 0 || last.By != "ann" || last.Note != "by ****" {
		t.Errorf("%s, held %d, %+v", d.State, d.Held, last)
	}
	wantCode(t, f.Release(t.Context(), release), refund.CodeConflict, refund.Never)
	wantCode(t, f.Release(t.Context(), refund.Release{OutRefundNo: "R9", By: "ann"}), refund.CodeNotFound, refund.LaterOrFix)
}

// Where the upstream's answers cannot show it, a person who has looked decides; not
// where it says that the refund exists.
func TestReleaseWhereTheUpstreamCannotTell(t *testing.T) {
	f := doubtful(t, "R1", 60)
	f.advance(16 * time.Minute)
	looked := refund.Release{OutRefundNo: "R1", By: "ann", ConfirmedAbsent: true}
	f.up.queryErr = &refund.Error{Code: refund.CodeUnavailable, Message: "empty lists", CountedOnly: true}
	wantCode(t, f.Release(t.Context(), looked), refund.CodeUnavailable, refund.SameNumber)
	f.up.queryErr = noAnswer(refund.Request{})
	if err := f.Release(t.Context(), looked); err != nil {
		t.Fatal(err)
	}
}

// E4: a request that arrives late, while the release is being asked about, is settled and not lost.
func TestReleaseThatIsOvertakenGivesNothingUp(t *testing.T) {
	f := doubtful(t, "R1", 60)
	f.advance(16 * time.Minute)
	f.up.before = nil
	f.up.onQuery = func(refund.Lookup) {
		f.must(t, request("R1", 60)) // somebody repeats while the query is on its way
		f.up.mu.Lock()
		defer f.up.mu.Unlock()
		delete(f.up.refunds, "R1") // which the query does not see
	}
	err := f.Release(t.Context(), refund.Release{OutRefundNo: "R1", By: "ann"})
	wantCode(t, err, refund.CodeConflict, refund.Never)
	f.wantState(t, "R1", refund.Processing, "")
}

// A withdrawn claim is never submitted again, only asked about, and ends.
func TestCancelledClaimIsOnlyAskedAbout(t *testing.T) {
	f := doubtful(t, "R1", 60)
	if err := f.Cancel(t.Context(), "R1", "ann"); err != nil {
		t.Fatal(err)
	}
	f.up.before = nil
	f.wait(t, 17*time.Hour)
	f.refused(t, request("R1", 60), refund.CodeUnavailable, refund.Later)
	f.wantCalls(t, "refund:R1", 1, "")
	f.wait(t, 3*time.Hour)
	f.wantState(t, "R1", refund.Rejected, "")

	f.up.before = noAnswer // claimed anew, it is no longer withdrawn
	f.refused(t, request("R1", 60), refund.CodeUnavailable, refund.SameNumber)
	f.up.before = nil
	f.later(t, 2*time.Minute)
	f.wantState(t, "R1", refund.Processing, "claimed anew")

	f = doubtful(t, "R1", 60)
	if err := f.Cancel(t.Context(), "R1", "ann"); err != nil {
		t.Fatal(err)
	}
	f.up.refunds["R1"] = notification("R1", 60, refund.StatusSuccess).Refund
	f.wait(t, time.Hour)
	f.wantState(t, "R1", refund.Success, "since it was carried out after all")
	wantCode(t, f.Cancel(t.Context(), "R1", "ann"), refund.CodeConflict, refund.Never)
}

// A refund by hand that appears after another one by hand was closed is seen as well.
func TestSecondExternalRefundSuspendsThoughTheFirstIsClosed(t *testing.T) {
	f := clocked(t)
	hand := func(no string, status refund.Status) {
		f.up.refunds[no] = notification(no, 30, status).Refund
		f.settle(t, notification(no, 30, status))
	}
	hand("H1", refund.StatusAbnormal)
	f.up.before = noAnswer
	f.refused(t, request("R1", 30), refund.CodeUnavailable, refund.SameNumber)
	hand("H1", refund.StatusClosed)
	hand("H2", refund.StatusSuccess) // a person makes good what did not come through
	f.up.before = nil
	f.later(t, time.Minute)
	if n := f.up.count("refund:R1"); n > 1 {
		t.Errorf("submitted again by itself beside the refund by hand: 30 go back twice")
	}
}

// What is reserved by a claim in doubt may be free again in a day: never is wrong.
func TestRefusalBecauseOfADoubtSaysLater(t *testing.T) {
	f := setUp(t)
	f.up.before = noAnswer
	_, _ = f.Refund(t.Context(), server, request("R1", 60))
	_, err := f.Refund(t.Context(), server, request("R2", 60))
	if refund.AsError(err).Next == refund.Never {
		t.Errorf("%v, %s: it succeeds once the doubt has ended", err, refund.AsError(err).Next)
	}
	corrected := request("R1", 50)
	_, err = f.Refund(t.Context(), server, corrected)
	if refund.AsError(err).Next == refund.Never {
		t.Errorf("%v, %s: corrected content may be claimed once the doubt has ended", err, refund.AsError(err).Next)
	}
}

// alarmCounts are how often the causes of the alarms in a log had been met.
func alarmCounts(log string) (counts []int) {
	for _, m := range regexp.MustCompile(`msg=alarm .* count=(\d+)`).FindAllStringSubmatch(log, -1) {
		n, _ := strconv.Atoi(m[1])
		counts = append(counts, n)
	}
	return counts
}
