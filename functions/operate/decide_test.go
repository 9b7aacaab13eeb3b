package main

import (
	"bytes"
	"context"
	"io"
	"strings"
	"testing"
	"time"

	"wxrefund/shared/sandbox/sandboxtest"
)

// A refund that hangs is found, understood, released when nothing can be on its way any
// more, and made again under the same number; the history has who did what.
func TestStuckRefundIsReleasedAndMadeAgain(t *testing.T) {
	w := newWorld(t, "apiv3", "order-1")
	w.stuck("order-1", "refund-1")

	w.operate("show", "refund-1", "-upstream").want(codeFinding, "claimed, in doubt", "RESOURCE_NOT_EXISTS",
		"holds no refund of this number", "what to do", "end it by operate release, from ")
	w.operate("query", "refund-1").want(codeFinding, "operate: WeChat Pay holds no refund of this number: refund-1 is in doubt here alone; operate release refund-1 ends it, from ")

	early := w.operate("release", "refund-1", "-yes", "-json").want(codeFinding).object()
	if early["released"] != false || !strings.HasPrefix(early["why"].(string), "in flight") || early["try_after"] == nil {
		t.Errorf("while it is in flight: got %v", early)
	}
	w.Advance("16m")
	late := w.operate("release", "refund-1", "-yes", "-json").want(codeDone).object()
	if late["out_refund_no"] != "refund-1" || late["released"] != true || late["state"] != "rejected" || late["why"] == "" {
		t.Errorf("when nothing can be on its way: got %v", late)
	}
	w.operate(refundArgs("order-1", "refund-1", "-yes")...).want(codeDone, "refund-1 is PROCESSING: 1.00 CNY of 100.00 CNY.")
	w.operate("show", "refund-1").want(codeDone, "released by operator alice\n", "claimed by operator alice\n")
	w.operate("release", "refund-1", "-yes").want(codeFinding, "its outcome is known: it is processing")
}

// Nothing that moves money or decides about it happens without -yes or the number, typed.
func TestNothingHappensUnconfirmed(t *testing.T) {
	w := newWorld(t, "apiv3", "order-1", "order-2")
	w.stuck("order-1", "stuck")
	w.Advance("16m")
	for _, c := range []struct {
		args         []string
		no, says     string
		undone, done string // what show says of it
	}{
		{args: refundArgs("order-2", "refund-2"), no: "refund-2", undone: "no refund refund-2 is on record", done: "processing", says: "This will refund 1.00 CNY of order order-2 under the number refund-2."},
		{args: []string{"cancel", "stuck"}, no: "stuck", undone: "claimed", done: "withdrawn by operator alice", says: "This will withdraw stuck"},
		{args: []string{"release", "stuck"}, no: "stuck", undone: "claimed", done: "released", says: "This will end the claim stuck"},
	} {
		name := c.args[0]
		w.operate(c.args...).want(codeFinding, "nothing was done: this would ", "that needs -yes where nobody can be asked")
		for _, typed := range []string{"", "\n", "yes\n", "y\n", c.no + "x\n"} {
			got := w.operateWith(t.Context(), terminal{strings.NewReader(typed)}, c.args...).want(codeFinding, c.says, "Type "+c.no+" to go on", "nothing was done")
			if got.stdout != "" {
				t.Errorf("%s, typed %q: printed %s", name, typed, got.stdout)
			}
		}
		if shown := w.operate("show", c.no); !strings.Contains(shown.stdout+shown.stderr, c.undone) || strings.Contains(shown.stdout, c.done) {
			t.Errorf("%s has done something unconfirmed: %s%s", name, shown.stdout, shown.stderr)
		}
		w.operateWith(t.Context(), terminal{io.LimitReader(strings.NewReader(c.no+"\nmore"), 99)}, c.args...).want(codeDone)
		w.operate("show", c.no).want(codeDone, c.done)
	}
}

// What is not in doubt is neither withdrawn nor released, nor is anybody asked.
func TestOnlyWhatIsInDoubtIsDecided(t *testing.T) {
	w := newWorld(t, "apiv3", "order-1")
	w.operate(refundArgs("order-1", "refund-1", "-yes")...).want(codeDone)
	for _, command := range []string{"cancel", "release"} {
		for no, want := range map[string]string{"refund-1": "its outcome is known: it is processing", "refund-9": "no refund refund-9 is on record here"} {
			if got := w.operate(command, no).want(codeFinding, want); strings.Contains(got.stderr, "-yes") {
				t.Errorf("%s %s: asked for -yes: %s", command, no, got.stderr)
			}
		}
	}
}

// A refund that waits for the balance is seen to wait, and is withdrawn at once.
func TestWhatWaitsForTheBalance(t *testing.T) {
	w := newWorld(t, "apiv3", "order-1")
	w.settings["REFUND_WAIT_FUNDS"] = "true"
	w.Control("POST", "/_sandbox/faults", `{"err_code":"NOT_ENOUGH"}`, 200)
	w.operate(refundArgs("order-1", "refund-1", "-yes")...).want(codeFinding, "NOT_ENOUGH")
	w.operate("list").want(codeDone, "waits for the balance, not_enough")
	w.operate("show", "refund-1").want(codeDone, "for the balance since")
	w.operate("cancel", "refund-1", "-yes").want(codeDone, "refund-1 is withdrawn: its amount is free, and the number may be refunded again.")
	w.operate("alarms").want(codeDone, "No alarm is open.")
}

// A command that is interrupted while WeChat Pay is silent ends at once, and what it has
// claimed is on record and goes on.
func TestInterruptedWhileWeChatPayIsSilent(t *testing.T) {
	w := newWorld(t, "apiv3", "order-1")
	w.fault("timeout_after", 1)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	go func() { // until WeChat Pay has it
		for ctx.Err() == nil {
			got := sandboxtest.Serve(w.Sandbox.Control(), sandboxtest.ControlRequest("GET", "/_sandbox/refunds", ""))
			if bytes.Contains(got.Body, []byte("refund-1")) {
				cancel()
			}
			time.Sleep(10 * time.Millisecond)
		}
	}()
	begun := time.Now()
	w.operateWith(ctx, strings.NewReader(""), refundArgs("order-1", "refund-1", "-yes")...).want(codeFinding, "interrupted: ", "repeat the same command")
	if took := time.Since(begun); took > 5*time.Second {
		t.Errorf("it took %v", took)
	}
	w.operate("show", "refund-1").want(codeDone, "claimed")
	w.operate("query", "refund-1").want(codeDone, "processing")
}
