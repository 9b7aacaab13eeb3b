package refund_test

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"wxrefund/shared/refund"
)

// A hint that contradicts a final state makes the upstream be asked, and changes
// nothing if it does not agree.
func TestHintAgainstAFinalStateIsAskedAbout(t *testing.T) {
	f := setUp(t)
	f.must(t, request("R1", 60))
	f.up.set("R1", refund.StatusSuccess)
	f.settle(t, notification("R1", 60, refund.StatusSuccess))
	hint := notification("R1", 60, refund.StatusClosed)
	asked := f.up.count("query:R1")
	if _, err := f.Relayed(t.Context(), server, hint); err != nil {
		t.Fatal(err)
	}
	if f.up.count("query:R1") != asked+1 || f.inspect(t, "R1").State != refund.Success {
		t.Errorf("asked %d times, %s", f.up.count("query:R1")-asked, f.inspect(t, "R1").State)
	}
	if _, err := f.Relayed(t.Context(), server, notification("R1", 60, refund.StatusSuccess)); err != nil || f.up.count("query:R1") != asked+1 {
		t.Errorf("a hint that agrees: %v, asked %d times", err, f.up.count("query:R1")-asked)
	}
	f.up.set("R1", refund.StatusClosed)
	if _, err := f.Relayed(t.Context(), server, hint); err != nil || f.inspect(t, "R1").State != refund.Closed {
		t.Errorf("%v, %s", err, f.inspect(t, "R1").State)
	}
	if f.alarms("reversed") == 0 {
		t.Error("no alarm")
	}
}

// How often one source makes the upstream be asked is bounded, and one source does
// not use up another's.
func TestHintsOfOneSourceAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := setUp(t)
		f.must(t, request("R1", 60))
		stranger := refund.Caller{Kind: refund.Unlisted, Source: "anonymous"}
		limited := 0
		for range 100 {
			if _, err := f.Relayed(t.Context(), stranger, notification("R1", 60, refund.StatusSuccess)); refund.IsCode(err, refund.CodeLimited) {
				limited++
			}
		}
		if limited < 70 {
			t.Errorf("%d of 100 hints at once are limited", limited)
		}
		if _, err := f.Relayed(t.Context(), server, notification("R1", 60, refund.StatusSuccess)); err != nil {
			t.Errorf("another source: %v", err)
		}
		time.Sleep(5 * time.Second)
		if _, err := f.Relayed(t.Context(), stranger, notification("R1", 60, refund.StatusSuccess)); err != nil {
			t.Errorf("later: %v", err)
		}
	})
}

// Where queries say that a refund exists and no more, what an attested relay says
// settles it, if the merchant has said so; nobody else's word does.
func TestTrustedRelaySettlesWhereQueriesTellNothing(t *testing.T) {
	exists := &refund.Error{Code: refund.CodeUnavailable, Next: refund.SameNumber, Message: "empty", CountedOnly: true}
	for _, c := range []struct {
		name   string
		trust  bool
		caller refund.Caller
		err    error
		change func(*refund.Outcome)
		want   refund.State
	}{
		{"trusted", true, server, exists, func(*refund.Outcome) {}, refund.Success},
		{"not trusted", false, server, exists, func(*refund.Outcome) {}, refund.Processing},
		{"of a source that nobody knows", true, refund.Caller{Kind: refund.Unlisted, Source: "x"}, exists, func(*refund.Outcome) {}, refund.Processing},
		{"and no answer", true, server, noAnswer(refund.Request{}), func(*refund.Outcome) {}, refund.Processing},
		{"another amount", true, server, exists, func(o *refund.Outcome) { o.Refund.Amount.Refund = 61 }, refund.Processing},
		{"another order", true, server, exists, func(o *refund.Outcome) { o.Refund.OutTradeNo = "O2" }, refund.Processing},
		{"another merchant", true, server, exists, func(o *refund.Outcome) { o.Merchant.MchID = "1" }, refund.Processing},
		{"no amount", true, server, exists, func(o *refund.Outcome) { o.Refund.Amount.Refund = 0 }, refund.Processing},
		{"no status", true, server, exists, func(o *refund.Outcome) { o.Refund.Status = "" }, refund.Processing},
	} {
		f := setUp(t)
		f.TrustRelay = c.trust
		f.must(t, request("R1", 60))
		f.up.queryErr = c.err
		out := notification("R1", 60, refund.StatusSuccess)
		c.change(&out)
		_, err := f.Relayed(t.Context(), c.caller, out)
		f.wantState(t, "R1", c.want, fmt.Sprintf("after %s: %v", c.name, err))
		if c.want != refund.Success && !refund.IsCode(err, refund.CodeUnavailable) {
			t.Errorf("%s: %v, want unavailable, so that it comes again", c.name, err)
		}
	}
}
