package main

import (
	"strings"
	"testing"
)

// Personal data of refunds that are done is masked before a date, and of no others; money
// and who the operator was stay.
func TestForget(t *testing.T) {
	w := newWorld(t, "apiv3", "order-1", "order-2")
	w.operate(refundArgs("order-1", "old", "-yes")...).want(codeDone)
	w.operate(refundArgs("order-2", "open", "-yes")...).want(codeDone)
	w.Control("POST", "/_sandbox/refunds/old/settle", `{"status":"SUCCESS"}`, 200)
	w.operate("query", "old").want(codeDone)
	account := w.operate("show", "old", "-json").object()["refund"].(map[string]any)["user_received_account"].(string)
	if account == "" || strings.Contains(account, "*") {
		t.Fatalf("the account is %q before", account)
	}
	w.timer() // which no subscriber waits for any more after
	w.Advance("48h")

	w.operate("forget").want(codeUsage, "-before is missing")
	w.operate("forget", "-before", "soon").want(codeUsage, `-before is "soon"`)
	w.operate("forget", "-before", "2999-01-01", "-yes").want(codeUsage, "which is still to come")
	w.operate("forget", "-before", "1d").want(codeFinding, "nothing was done: this would mask for ever")
	w.operateWith(t.Context(), terminal{strings.NewReader("yes\n")}, "forget", "-before", "1d").want(codeFinding, "Type 1d to go on", "nothing was done")
	w.operate("forget", "-before", "30d", "-yes").want(codeDone, "0 masked.")
	w.operate("show", "old").want(codeDone, account)

	if o := w.operate("forget", "-before", "1d", "-yes", "-json").want(codeDone).object(); o["masked"] != 3.0 {
		t.Errorf("got %v, want the refund masked, and who has paid both orders", o)
	}
	if got := w.operate("show", "old").want(codeDone, "forgotten by operator alice", "amount          1.00 CNY of 100.00 CNY"); strings.Contains(got.stdout, account) {
		t.Errorf("the account is still there:\n%s", got.stdout)
	}
	if got := w.operate("show", "open", "-json").object()["refund"].(map[string]any); got["user_received_account"] == "****" {
		t.Errorf("of a refund that is not done: %v", got)
	}
	w.operate("forget", "-before", "1d", "-yes").want(codeDone, "0 masked.")
}
