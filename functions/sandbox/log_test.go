package main

import (
	"context"
	"encoding/json"
	"strings"
	"testing"
	"time"
)

// A call of a function is found in the log by the requestID of its reply, and what
// WeChat and the timer set off has an id as well.
func TestFunctionsLogWithARequestID(t *testing.T) {
	t.Parallel()
	p := start(t, "-speed", "600")
	o := p.order()
	_, answer := p.request("POST", "/functions/wxpayFunctions", refundEvent(o, "R1", 60))
	var wrapper struct{ RequestID string }
	if err := json.Unmarshal([]byte(answer), &wrapper); err != nil {
		t.Fatal(err)
	}
	await(t, "the notification", func() bool { return strings.Contains(p.stderr.String(), `"msg":"acknowledged"`) })
	p.control("POST", "/_sandbox/faults", `{"notify":"lose"}`, nil)
	p.succeed(refundEvent(p.order(), "R2", 60))
	await(t, "the timer", func() bool { return strings.Contains(p.stderr.String(), `"msg":"reconciled"`) })
	ids := map[string]string{}
	for line := range strings.Lines(p.stderr.String()) {
		var r struct {
			Msg       string
			No        string `json:"out_refund_no"`
			RequestID string `json:"request_id"`
		}
		if err := json.Unmarshal([]byte(line), &r); err != nil {
			t.Fatalf("%s: %v", line, err)
		}
		ids[strings.TrimSpace(r.Msg+" "+r.No)] = r.RequestID
	}
	if got := ids["claimed R1"]; got == "" || got != wrapper.RequestID {
		t.Errorf("the claim has the id %q, want that of the reply, %q", got, wrapper.RequestID)
	}
	if a, b := ids["acknowledged R1"], ids["reconciled"]; a == "" || b == "" || a == b || a == wrapper.RequestID {
		t.Errorf("the notification has the id %q and the timer %q, want ids of their own", a, b)
	}
}

// A run of the timer in which nothing was due is of level debug, any other is information.
func TestIdleRunsAreLoggedAtDebug(t *testing.T) {
	for _, tt := range []struct {
		setting          string
		checked, settled int
		want             string
	}{
		{"", 0, 0, ""},
		{"", 1, 0, `"level":"INFO","msg":"reconciled"`},
		{"", 0, 1, `"level":"INFO","msg":"reconciled"`},
		{"debug", 0, 0, `"level":"DEBUG","msg":"reconciled"`},
		{"debug", 1, 0, `"level":"INFO","msg":"reconciled"`},
	} {
		var out buffer
		log := newLogger(&out, func(string) string { return tt.setting })
		log.InfoContext(t.Context(), "reconciled", "out_refund_no", "", "checked", tt.checked, "settled", tt.settled)
		got := out.String()
		if got != "" != (tt.want != "") || !strings.Contains(got, tt.want) {
			t.Errorf("LOG_LEVEL=%s, checked %d, settled %d: got %q, want %s", tt.setting, tt.checked, tt.settled, got, tt.want)
		}
		if log.With("a", 0).WithGroup("g").InfoContext(t.Context(), "other", "n", 0); !strings.Contains(out.String(), `"level":"INFO","msg":"other"`) {
			t.Errorf("another record of zeros: got %q", &out)
		}
	}
}

// What fails in a run of the timer once the program ends is no record, whatever became of
// the context that it fails with; what fails before is.
func TestWhatFailsSinceTheProgramEndsIsNoRecord(t *testing.T) {
	t.Parallel()
	program, end := context.WithCancel(t.Context())
	run, cancel := context.WithTimeout(withProgram(program), time.Minute)
	defer cancel()
	detached := context.WithoutCancel(run)
	var out strings.Builder
	log := newLogger(&out, func(string) string { return "" })
	log.WarnContext(detached, "before")
	end()
	log.WarnContext(run, "in the run")
	log.WarnContext(detached, "after it")
	log.WarnContext(program, "of the program")
	if got := out.String(); strings.Count(got, "\n") != 2 || !strings.Contains(got, "before") || !strings.Contains(got, "of the program") {
		t.Errorf("logged is\n%s", got)
	}
}
