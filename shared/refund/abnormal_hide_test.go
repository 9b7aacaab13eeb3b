package refund_test

import (
	"bytes"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"wxrefund/shared/refund"
)

// However such a request is printed or logged, what it holds of a card is not there.
func TestAbnormalRequestShowsNoCard(t *testing.T) {
	var out bytes.Buffer
	options := &slog.HandlerOptions{Level: slog.LevelDebug}
	a := refund.AbnormalRequest{OutRefundNo: "R1", Type: "USER_BANK_CARD", BankType: "ICBC_DEBIT", BankAccount: "6222020200112233", RealName: "张三CANARY"}
	slog.New(slog.NewTextHandler(&out, options)).Debug("text", "a", a, "p", &a)
	slog.New(slog.NewJSONHandler(&out, options)).Debug("json", "a", a, "p", &a)
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x"} {
		fmt.Fprintf(&out, verb, a)
		fmt.Fprintf(&out, verb, &a)
		fmt.Fprintf(&out, verb, struct{ A refund.AbnormalRequest }{a})
		fmt.Fprintf(&out, verb, []refund.AbnormalRequest{a})
	}
	if s := out.String(); strings.Contains(s, "6222") || strings.Contains(s, "CANARY") || strings.Contains(s, "ICBC") || strings.Contains(s, fmt.Sprintf("%x", "6222")) || !strings.Contains(s, "R1") {
		t.Error(s)
	}
}
