package main

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// An alarm is listed until somebody has acknowledged it, with a note; the refund's history
// keeps who and what.
func TestAlarmsAreAcknowledged(t *testing.T) {
	w := newWorld(t, "apiv3", "order-1")
	w.operate("alarms").want(codeDone, "No alarm is open.")
	w.operate(refundArgs("order-1", "refund-1", "-yes")...).want(codeDone)
	w.Control("POST", "/_sandbox/refunds/refund-1/settle", `{"status":"CLOSED"}`, 200)
	w.operate("query", "refund-1").want(codeDone)

	w.operate("alarms").want(codeDone, "refund-1  refund_closed", "refund again under a new number")
	all := w.operate("alarms", "-json").want(codeDone).object()["alarms"].([]any)
	if a := all[0].(map[string]any); len(all) != 1 || a["about"] != "refund-1" || a["code"] != "refund_closed" || a["why"] == "" || a["since"] == nil {
		t.Errorf("got %v", all)
	}
	w.operate("list", "-attention").want(codeDone, "refund_closed", "1 of 1")

	for args, want := range map[string]string{
		"-ack refund-1": "-note is missing",
		"-note x":       "-ack is missing",
		"-ack refund-1 -code claim_in_doubt -note x": "no alarm claim_in_doubt is open about refund-1",
		"-ack refund-2 -note x":                      "no alarm is open about refund-2",
		"-ack refund-1 -note x":                      "nothing was done: this would acknowledge the alarm refund_closed about refund-1",
	} {
		if got := w.operate(append([]string{"alarms"}, strings.Fields(args)...)...); !strings.Contains(got.stderr, want) || got.code == codeDone {
			t.Errorf("alarms %s: exit code %d, %s, want %q", args, got.code, got.stderr, want)
		}
	}
	o := w.operate("alarms", "-ack", "refund-1", "-note", "refunded again as refund-2", "-yes", "-json").want(codeDone).object()
	if o["code"] != "refund_closed" || o["by"] != "operator alice" || o["note"] != "refunded again as refund-2" {
		t.Errorf("got %v", o)
	}
	w.operate("alarms").want(codeDone, "No alarm is open.")
	w.operate("list", "-attention").want(codeDone, "0 of 0")
	w.operate("show", "refund-1").want(codeDone, "acknowledged by operator alice: refund_closed: refunded again as refund-2")
}

// Where several alarms are open about one thing, somebody says which is meant; what goes
// on is acknowledged and stays, and is not told again.
func TestOneAlarmIsMeant(t *testing.T) {
	w := newWorld(t, "apiv3", "order-1")
	w.webhook().answer(false)
	w.operate(refundArgs("order-1", "refund-1", "-yes")...).want(codeDone)
	w.Control("POST", "/_sandbox/refunds/refund-1/settle", `{"status":"ABNORMAL"}`, 200)
	w.operate("query", "refund-1").want(codeDone)
	for range 16 { // four days
		w.operate("reconcile").want(codeDone)
		w.Advance("6h")
	}
	w.operate("alarms").want(codeDone, "refund_abnormal", "subscriber_given_up", "operate abnormal, or wxpay_refund_abnormal, finishes it on apiv3, the merchant platform elsewhere")
	w.operate("alarms", "-ack", "refund-1", "-note", "asked them", "-yes").want(codeUsage, "-code is missing: about refund-1 are open", "refund_abnormal")
	w.operate("alarms", "-ack", "refund-1", "-code", "refund_abnormal", "-note", "asked them", "-yes").want(codeDone, "refund_abnormal about refund-1 is acknowledged.")
	w.operate("show", "refund-1").want(codeDone, "by operator alice: asked them)", "given up")
	w.operate("alarms").want(codeDone, "subscriber_given_up")
	if got := w.operate("alarms"); strings.Contains(got.stdout, "refund_abnormal") {
		t.Errorf("what was acknowledged is listed: %s", got.stdout)
	}
}

// Who tops up sees how much all refunds together want for, as the robots' message says it.
func TestAlarmsSumUpWhatTheBalanceIsTooLowFor(t *testing.T) {
	w := newWorld(t, "apiv3", "order-1", "order-2", "order-3")
	w.settings["REFUND_WAIT_FUNDS"] = "true"
	none := w.operate("alarms", "-json").want(codeDone).object()
	if diff := cmp.Diff(map[string]any{"alarms": []any{}, "waiting": []any{}}, none); diff != "" {
		t.Error(diff)
	}
	w.Control("POST", "/_sandbox/faults", `{"err_code":"NOT_ENOUGH"}`, 200)
	for _, n := range []string{"1", "2"} {
		w.operate(refundArgs("order-"+n, "refund-"+n, "-yes")...).want(codeFinding, "NOT_ENOUGH")
	}
	w.operate("alarms").want(codeDone, "refund-1  not_enough", "refund-2  not_enough", "waiting for funds: 2 refunds, 2.00 CNY")
	got := w.operate("alarms", "-json").want(codeDone).object()
	if diff := cmp.Diff([]any{map[string]any{"currency": "CNY", "refunds": 2.0, "amount": 200.0}}, got["waiting"]); diff != "" {
		t.Error(diff)
	}
	first := got["alarms"].([]any)[0].(map[string]any)
	if diff := cmp.Diff(map[string]any{"refund": 100.0, "currency": "CNY"}, first["amount"]); diff != "" {
		t.Error(diff)
	}
	w.operate("cancel", "refund-1", "-yes").want(codeDone)
	w.operate("alarms").want(codeDone, "waiting for funds: 1 refund, 1.00 CNY")
}
