package main

import (
	"bytes"
	"regexp"
	"strings"
	"testing"
	"unicode"

	"wxrefund/shared/refund"
)

// What a buyer, an upstream or a file says is text on a terminal: it moves no cursor, makes
// no line that looks like one of the program's own, and JSON has it unchanged.
func TestWhatCameFromElsewhereIsText(t *testing.T) {
	const (
		reason  = "\u009b2J\u202edamaged"                           // clears the screen, turns around
		hostile = "\x1b[2J\u009b1A\u202e\r\nstate\tsuccess\v\f\x7f" // and pretends
	)
	w := newWorld(t, "apiv3", "order-1")
	w.operate("refund", "-out-refund-no", "refund-1", "-out-trade-no", "order-1", "-amount", "100", "-total", "10000", "-reason", reason, "-yes").want(codeDone)
	w.service(func(s *refund.Service) {
		in, err := s.Inspect(t.Context(), "refund-1")
		if err != nil {
			t.Fatal(err)
		}
		told := in[0].Refund
		told.UserReceivedAccount, told.Status = hostile, refund.StatusAbnormal
		if _, err := s.Settle(t.Context(), refund.Outcome{Source: refund.Notification, OutRefundNo: "refund-1", Refund: told, Merchant: s.Merchant, EventID: "e"}); err != nil {
			t.Fatal(err)
		}
		s.KeepAlarm(t.Context(), hostile, "clock", hostile)
	})

	w.operate("show", "refund-1").want(codeDone, `reason          \u009b2J\u202edamaged`, `received by     \u001b[2J\u009b1A\u202e\u000d\u000astate\u0009success\u000b\u000c\u007f`)
	o := w.operate("show", "refund-1", "-json").want(codeDone).object()
	if got := o["request"].(map[string]any)["reason"]; got != reason {
		t.Errorf("JSON has the reason as %q", got)
	}
	if got := o["refund"].(map[string]any)["user_received_account"]; got != hostile {
		t.Errorf("JSON has the account as %q", got)
	}
	for _, args := range [][]string{
		{"show", "refund-1"}, {"show", "refund-1", "-json"}, {"show", "refund-1", "-upstream"}, {"list"}, {"list", "-csv"}, {"alarms"}, {"query", "refund-1"},
		{"check" + hostile}, {"show", "refund-1", "more" + hostile}, {"list", "-state", hostile}, {"alarms", "-ack", hostile, "-note", "seen"},
	} {
		got := w.operate(args...)
		printed := got.stdout + got.stderr
		if i := strings.IndexFunc(strings.ReplaceAll(printed, "\r\n", "\n"), func(r rune) bool {
			return r != '\n' && r != '\t' && (unicode.IsControl(r) || unicode.Is(unicode.Bidi_Control, r))
		}); i >= 0 {
			t.Errorf("%q: a terminal obeys %q", args, printed)
		}
		if regexp.MustCompile(`(?m)^state\s+success`).MatchString(printed) {
			t.Errorf("%q: a line is not the program's own:\n%s", args, printed)
		}
	}
}

// A file of numbers that is none is named, and not obeyed.
func TestNumbersOfAFileAreText(t *testing.T) {
	w := newWorld(t, "apiv3", "order-1")
	w.operate(refundArgs("order-1", "refund-1", "-yes")...).want(codeDone)
	got := w.operateWith(t.Context(), strings.NewReader("\x1b]0;owned\x07\n"), "rebuild", "-numbers", "-", "-yes").want(codeFinding, `failed  \u001b]0;owned\u0007`)
	if strings.ContainsAny(got.stdout+got.stderr, "\x1b\x07") {
		t.Errorf("a terminal obeys %q", got.stdout)
	}
}

func FuzzTextOnly(f *testing.F) {
	f.Add("a\tb\nc")
	f.Add("\x9b31m\xff")
	f.Add("很\u2028\u2066")
	f.Fuzz(func(t *testing.T, text string) {
		var b bytes.Buffer
		if n, err := (textOnly{&b}).Write([]byte(text)); n != len(text) || err != nil {
			t.Fatalf("wrote %d of %d bytes: %v", n, len(text), err)
		}
		left := strings.NewReplacer("\n", "", "\t", "").Replace(b.String())
		if cell(left) != left || cell(cell(text)) != cell(text) || strings.ContainsAny(cell(text), "\t\n\v\f\r") {
			t.Errorf("of %q a terminal obeys %q", text, b.String())
		}
	})
}
