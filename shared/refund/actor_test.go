package refund_test

import (
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"wxrefund/shared/refund"
)

const canaryOpenID = "oCANARY-0123456789abcdefghij" // 28 characters, as WeChat's have

// Who calls is written in full into the history, and masked wherever else it stands.
func TestCallersAreNamedInFullAndMasked(t *testing.T) {
	long := strings.Repeat("x", 1000)
	for _, tt := range []struct {
		caller         refund.Caller
		identity, mask string
	}{
		{refund.Caller{}, "nobody", "nobody"},
		{refund.Caller{Kind: refund.User, OpenID: canaryOpenID}, "user " + canaryOpenID, "user oC****ij"},
		{refund.Caller{Kind: refund.User}, "user ", "user ****"},
		{refund.Caller{Kind: refund.Server}, "server", "server"},
		{refund.Caller{Kind: refund.Server, Source: "wx_client,scf"}, "server wx_client,scf", "server"},
		{refund.Caller{Kind: refund.Server, Source: "lambda"}, "server lambda", "server"},
		{refund.Caller{Kind: refund.Unlisted, Source: "odd"}, "unlisted source odd", "unlisted source"},
		{refund.Caller{Kind: refund.Operator, Name: "alice"}, "operator alice", "operator ****"},
		{refund.Caller{Kind: refund.Operator, Name: "王小明\n"}, "operator 王小明?", "operator ****"},
		{refund.Caller{Kind: refund.Operator, Name: long}, "operator " + long[:151], "operator xx****xx"},
	} {
		if got := tt.caller.Identity(); got != tt.identity {
			t.Errorf("%+v is %q, want %q", tt.caller, got, tt.identity)
		}
		if got := tt.caller.LogValue().String(); got != tt.mask {
			t.Errorf("%+v is logged as %q, want %q", tt.caller, got, tt.mask)
		}
		if got := fmt.Sprint(slog.AnyValue(tt.caller).Resolve()); got != tt.mask {
			t.Errorf("%+v is logged as %q, want %q", tt.caller, got, tt.mask)
		}
	}
}

// who lists a history as WHAT BY REQUEST.
func who(i refund.Inspection) (lines []string) {
	for _, e := range i.History {
		lines = append(lines, strings.TrimSpace(fmt.Sprintf("%s %s %s", e.What, e.By, e.RequestID)))
	}
	return lines
}

// The history names who has caused each entry, and by which request.
func TestHistorySaysWhoDidIt(t *testing.T) {
	f := clocked(t)
	f.Pace = -1
	f.subscribe("shop").answer = failing
	f.Policy.Operators = []string{canaryOpenID}
	user := refund.Caller{Kind: refund.User, OpenID: canaryOpenID, Source: "wx_client", RequestID: "req-1"}
	program := refund.Caller{Kind: refund.Server, Source: "scf", RequestID: "req-2"}
	alice := refund.Caller{Kind: refund.Operator, Name: "alice"}

	f.up.before = noAnswer
	if _, err := f.Refund(t.Context(), user, request("R1", 60)); err == nil {
		t.Fatal("R1 was answered")
	}
	f.advance(time.Minute)
	if _, err := f.Refund(t.Context(), program, request("R1", 60)); err == nil {
		t.Fatal("R1 was answered")
	}
	if err := f.Cancel(t.Context(), "R1", alice.Identity()); err != nil {
		t.Fatal(err)
	}
	f.advance(16 * time.Minute)
	if err := f.Release(t.Context(), refund.Release{OutRefundNo: "R1", By: alice.Identity(), RequestID: "req-3"}); err != nil {
		t.Fatal(err)
	}
	wantEqual(t, "R1", []string{
		"claimed user " + canaryOpenID + " req-1", "sent user " + canaryOpenID + " req-1", "unanswered",
		"sent server scf req-2", "unanswered", "withdrawn operator alice", "released operator alice req-3",
	}, who(f.inspect(t, "R1")))

	f.up.before = nil
	if _, err := f.Refund(t.Context(), alice, request("R2", 60)); err != nil {
		t.Fatal(err)
	}
	f.up.set("R2", refund.StatusSuccess)
	if _, err := f.QueryRefund(t.Context(), user, refund.Lookup{OutRefundNo: "R2"}); err != nil {
		t.Fatal(err)
	}
	if _, err := f.Redeliver(t.Context(), "R2", "", alice.Identity()); err != nil {
		t.Fatal(err)
	}
	wantEqual(t, "R2", []string{
		"claimed operator alice", "sent operator alice", "processing",
		"success user " + canaryOpenID + " req-1", "redelivered operator alice",
	}, who(f.inspect(t, "R2")))

	for _, no := range []string{"R1", "R2"} {
		masked := f.inspect(t, no).Masked()
		if text := fmt.Sprintf("%+v", masked); strings.Contains(text, canaryOpenID) || strings.Contains(text, "alice") || !strings.Contains(text, "oC****ij") {
			t.Errorf("masked: %s", text)
		}
		if who(f.inspect(t, no))[0] == who(masked)[0] {
			t.Error("masking has changed what is on record, or nothing")
		}
	}
	if log := f.log.String(); strings.Contains(log, canaryOpenID) || strings.Contains(log, "alice") || !strings.Contains(log, "oC****ij") || strings.Count(log, "operator ****") < 4 {
		t.Errorf("the log:\n%s", log)
	}
}

// What comes from outside is bounded before it is kept, and so is the whole history.
func TestWhoDidItIsBounded(t *testing.T) {
	f := clocked(t)
	f.Pace = -1
	f.up.before = noAnswer
	long := refund.Caller{Kind: refund.Server, Source: strings.Repeat("s", 9999), RequestID: strings.Repeat("r", 9998) + "\n\x00"}
	for range 50 {
		f.advance(time.Minute)
		if _, err := f.Refund(t.Context(), long, request("R1", 60)); err == nil {
			t.Fatal("R1 was answered")
		}
	}
	for _, e := range f.inspect(t, "R1").History {
		if len(e.By) > 160 || len(e.RequestID) > 64 || strings.ContainsAny(e.By+e.RequestID, "\n\x00") {
			t.Fatalf("%+v", e)
		}
	}
	if n := len(f.items(t, "refund/R1")[0].Body); n > 20<<10 {
		t.Errorf("the record has %d bytes", n)
	}
}

// An operator may do what a server may, within the amount that is set for people.
func TestOperatorsAreAdmittedAndObeyPolicy(t *testing.T) {
	f := setUp(t)
	f.Pace = -1
	f.Policy.MaxFen = 50
	alice := refund.Caller{Kind: refund.Operator, Name: "alice"}
	_, err := f.Refund(t.Context(), alice, request("R1", 51))
	if e := wantCode(t, err, refund.CodeDenied, refund.Never); !strings.Contains(e.Message, "REFUND_MAX_FEN") {
		t.Errorf("%v does not name the rule", e)
	}
	if _, err := f.Refund(t.Context(), alice, request("R1", 50)); err != nil {
		t.Fatal(err)
	}
	if _, err := f.QueryRefund(t.Context(), alice, refund.Lookup{OutRefundNo: "R1"}); err != nil {
		t.Fatal(err)
	}
	_, err = f.Refund(t.Context(), alice, request("R1", 49))
	wantCode(t, err, refund.CodeConflict, refund.Never)
	f.must(t, request("R2", 50)) // a server, though the amount were above it
	_, err = f.Refund(t.Context(), alice, request("R3", 1))
	wantCode(t, err, refund.CodeConflict, refund.Never) // nothing is left of the order
	_, err = f.Refund(t.Context(), alice, refund.Request{OutRefundNo: "R4", Amount: refund.RequestAmount{Currency: "CNY"}})
	wantCode(t, err, refund.CodeInvalid, refund.AfterFix)
	_, err = f.Refund(t.Context(), refund.Caller{Kind: refund.Operator}, request("R5", 1))
	wantCode(t, err, refund.CodeDenied, refund.Never)
	f.Pace = time.Minute
	_, err = f.Refund(t.Context(), alice, of("O2", "R6", 1))
	if err != nil {
		t.Fatal(err)
	}
	_, err = f.Refund(t.Context(), alice, of("O2", "R7", 1))
	wantCode(t, err, refund.CodeLimited, refund.Later)
}
