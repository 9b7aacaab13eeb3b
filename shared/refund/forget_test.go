package refund_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"wxrefund/shared/refund"
)

const canaryAccount = "招商银行信用卡0403"

// personal is a ledger with one refund of each kind, each with an openid and an account.
func personal(t *testing.T) *fixture {
	t.Helper()
	f := clocked(t)
	f.Pace = -1
	f.subscribe("shop")
	f.Policy.Operators = []string{canaryOpenID}
	user := refund.Caller{Kind: refund.User, OpenID: canaryOpenID, RequestID: "req-1"}
	f.up.named = func(r *refund.Refund) { r.UserReceivedAccount = canaryAccount }
	for i, no := range []string{"success", "closed", "abnormal", "processing", "owed", "lost"} {
		if _, err := f.Refund(t.Context(), user, of(fmt.Sprint("O", i), no, 10)); err != nil {
			t.Fatal(err)
		}
	}
	out := settled("O5", "lost", 10, refund.StatusSuccess)
	f.Subscribers[0].Tell = failing
	f.settle(t, out)
	f.wait(t, 80*time.Hour)
	f.settle(t, settled("O4", "owed", 10, refund.StatusSuccess))
	f.Subscribers[0].Tell = (&subscriber{}).tell
	for i, status := range []refund.Status{refund.StatusSuccess, refund.StatusClosed, refund.StatusAbnormal} {
		no := strings.ToLower(string(status))
		f.up.set(no, status)
		f.settle(t, settled(fmt.Sprint("O", i), no, 10, status))
		f.Deliver(t.Context(), no)
	}
	for _, no := range []string{"rejected", "at rest"} {
		no = strings.ReplaceAll(no, " ", "_")
		f.up.before = refusal(refund.CodeRejected, refund.NewNumber, "NOT_ENOUGH")
		if _, err := f.Refund(t.Context(), user, of("O9", no, 10)); err == nil {
			t.Fatal("it was not refused")
		}
		if no == "rejected" { // and the upstream is not asked yet whether it holds it
			continue
		}
		rec := f.items(t, "refund/at_rest")[0]
		rec.Body = []byte(strings.TrimSuffix(string(rec.Body), "}") + `,"absent":true,"causes":[{"code":"two_orders",
			"since":"2026-11-22T10:00:00Z","told":"2026-11-22T10:00:00Z","count":1,"ack_at":"2026-11-22T10:00:00Z","ack_by":"user ` + canaryOpenID + `"}]}`)
		f.write(t, rec)
	}
	return f
}

// holds lists what is personal in a refund's record, as it is stored.
func (f *fixture) holds(t *testing.T, no string) string {
	t.Helper()
	body := string(f.items(t, refund.Key("refund/"+no))[0].Body)
	return fmt.Sprintf("%d openids, %d accounts", strings.Count(body, canaryOpenID), strings.Count(body, canaryAccount))
}

// What is personal is masked in every refund that is done, and in no other; money,
// numbers, times and states stay. Again, there is nothing to do.
func TestForgettingMasksWhatIsPersonalInWhatIsDone(t *testing.T) {
	f := personal(t)
	kept := map[string]bool{"abnormal": true, "processing": true, "owed": true, "rejected": true}
	all := []string{"success", "closed", "abnormal", "processing", "owed", "lost", "rejected", "at_rest"}
	before := map[string]refund.Inspection{}
	for _, no := range all {
		before[no] = f.inspect(t, no)
		if got := f.holds(t, no); strings.HasPrefix(got, "0") {
			t.Fatalf("%s holds %s", no, got)
		}
	}
	f.advance(time.Hour)
	var reports []int
	n, err := f.Forget(t.Context(), f.Now(), "operator alice", func(n int) { reports = append(reports, n) })
	if err != nil || n != 4 || len(reports) == 0 || reports[len(reports)-1] != 4 {
		t.Fatalf("masked %d, reported %v, %v; want 4", n, reports, err)
	}
	for _, no := range all {
		got, was := f.inspect(t, no), before[no]
		if kept[no] {
			wantEqual(t, no, was, got)
			continue
		}
		if holds := f.holds(t, no); holds != "0 openids, 0 accounts" {
			t.Errorf("%s still holds %s", no, holds)
		}
		if last := got.History[len(got.History)-1]; last.What != "forgotten" || last.By != "operator alice" {
			t.Errorf("%s: the history ends with %+v", no, last)
		}
		if got.History[0].By != "user oC****ij" || got.History[0].RequestID != "req-1" {
			t.Errorf("%s: the history begins with %+v", no, got.History[0])
		}
		if no != "at_rest" && got.Refund.UserReceivedAccount != "****" {
			t.Errorf("%s: the account is %q", no, got.Refund.UserReceivedAccount)
		}
		for i := range got.Causes {
			if c := &got.Causes[i]; c.AcknowledgedBy == "user oC****ij" {
				c.AcknowledgedBy = was.Causes[i].AcknowledgedBy
			}
		}
		got.Refund.UserReceivedAccount, got.History = was.Refund.UserReceivedAccount, was.History
		wantEqual(t, no, was, got)
	}
	if n, err := f.Forget(t.Context(), f.Now(), "operator alice", nil); n != 0 || err != nil {
		t.Errorf("again: masked %d, %v", n, err)
	}
	if strings.Contains(f.log.String(), "alice") {
		t.Error("the log names the operator")
	}
	// A repeated request is still known for the same.
	f.up.before = nil
	if got := f.must(t, of("O0", "success", 10)); got.Status != refund.StatusSuccess {
		t.Errorf("repeated: %+v", got)
	}
}

// Only what was claimed before the time is forgotten, and no time to come is one.
func TestForgettingStopsAtItsTime(t *testing.T) {
	f := clocked(t)
	settle := func(no string) {
		out := settled("O"+no, no, 10, refund.StatusSuccess)
		out.Refund.UserReceivedAccount = canaryAccount
		f.settle(t, out)
	}
	settle("R1")
	f.advance(time.Hour)
	middle := f.Now()
	settle("R2")
	for _, at := range []time.Time{{}, f.Now().Add(time.Second)} {
		_, err := f.Forget(t.Context(), at, "me", nil)
		wantCode(t, err, refund.CodeInvalid, refund.AfterFix)
	}
	if n, err := f.Forget(t.Context(), middle, "me", nil); n != 1 || err != nil {
		t.Fatalf("masked %d, %v; want 1", n, err)
	}
	wantEqual(t, "R1", "0 openids, 0 accounts", f.holds(t, "R1"))
	wantEqual(t, "R2", "0 openids, 1 accounts", f.holds(t, "R2"))
}

// One that was cut off goes on when it is called again, and masks each refund once.
func TestForgettingGoesOnAfterAnInterruption(t *testing.T) {
	f := clocked(t)
	const many = 250
	for i := range many {
		out := settled(fmt.Sprint("O", i), fmt.Sprint("R", i), 10, refund.StatusSuccess)
		out.Refund.UserReceivedAccount = canaryAccount
		f.settle(t, out)
	}
	f.advance(time.Minute)
	commits, failing := 0, errors.New("gone")
	ledger := f.Ledger
	f.Ledger = &hindered{ledger, func() error {
		if commits++; commits > 120 {
			return failing
		}
		return nil
	}}
	first, err := f.Forget(t.Context(), f.Now(), "me", nil)
	if !errors.Is(err, failing) || first != 120 {
		t.Fatalf("masked %d, %v; want to be cut off at 120", first, err)
	}
	f.Ledger = ledger
	if rest, err := f.Forget(t.Context(), f.Now(), "me", nil); err != nil || first+rest != many {
		t.Errorf("masked %d and %d, %v; want %d in all", first, rest, err, many)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := f.Forget(ctx, f.Now(), "me", nil); err == nil {
		t.Error("a call that had ended was answered")
	}
}

// What an earlier version has written is forgotten as well, before the index knows it.
func TestForgettingFindsWhatIsNotIndexed(t *testing.T) {
	f := setUp(t)
	f.write(t, oldRefund("R1"))
	if n, err := f.Forget(t.Context(), time.Now(), "me", nil); n != 1 || err != nil {
		t.Errorf("masked %d, %v; want 1", n, err)
	}
	wantEqual(t, "R1", "0 openids, 0 accounts", f.holds(t, "R1"))
}

// Nothing but the refunds holds what is personal: neither the accounts of the orders nor
// what else stands in the ledger.
func TestOnlyRefundsHoldWhatIsPersonal(t *testing.T) {
	f := personal(t)
	cursor, others := "", 0
	for {
		items, next, err := f.Ledger.List(t.Context(), refund.Everything(), cursor, 100)
		if err != nil {
			t.Fatal(err)
		}
		for _, it := range items {
			if _, isRefund := it.RefundNo(); isRefund {
				continue
			}
			others++
			if text := string(it.Key) + string(it.Body); strings.Contains(text, canaryOpenID) || strings.Contains(text, canaryAccount) {
				t.Errorf("%s holds %s", it.Key, it.Body)
			}
		}
		if cursor = next; next == "" {
			break
		}
	}
	if others < 10 {
		t.Errorf("%d other items, want the accounts of the orders at least", others)
	}
}
