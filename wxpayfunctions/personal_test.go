package wxpayfunctions

import (
	"bytes"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"wxrefund/shared/refund"
)

// The openid of whoever refunds and queries is in the ledger in full, with the id of the
// request, and neither in a reply nor in the log, whatever comes of the call.
func TestAnOpenIDIsInTheLedgerAndNowhereElse(t *testing.T) {
	const canary = "oCANARY-0123456789abcdefghij"
	h, up := setUp(t)
	var log bytes.Buffer
	h.log = slog.New(slog.NewJSONHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	h.refunds.Log = h.log
	h.refunds.Policy = refund.Policy{Operators: []string{canary}, MaxFen: 100}
	user := refund.Caller{Kind: refund.User, OpenID: canary, Source: "wx_client", RequestID: "req-1"}
	ask := func(no string, fen int) string {
		return fmt.Sprintf(`{"type":"wxpay_refund","out_refund_no":%q,"out_trade_no":"1217752501201407033233368018","amount":{"refund":%d,"total":100,"currency":"CNY"}}`, no, fen)
	}
	var replies bytes.Buffer
	say := func(event string) { replies.Write(h.Invoke(t.Context(), user, []byte(event))) }
	answers := []error{
		nil,
		&refund.Error{Code: refund.CodeRejected, Next: refund.NewNumber, Upstream: "NOT_ENOUGH", Message: "no"},
		&refund.Error{Code: refund.CodeUnavailable, Next: refund.SameNumber, Message: "no answer"},
	}
	for i, err := range answers {
		no := fmt.Sprint("R", i)
		up.err, up.reply = err, refund.Refund{OutRefundNo: no, OutTradeNo: "1217752501201407033233368018", Status: refund.StatusProcessing, Amount: refund.Amount{Refund: 1}}
		say(ask(no, 1))
		say(ask(no, 1))
		say(ask(no, 2))                                                   // other content
		say(ask("over", 101))                                             // more than a user may
		say(`{"type":"wxpay_refund_query","out_refund_no":"` + no + `"}`) // asked of the upstream
		say(`{"type":"wxpay_refund_query","out_trade_no":"1217752501201407033233368018"}`)
		say(`{"type":"wxpay_refund","out_refund_no":["` + canary + `"]}`) // what it says itself is its own affair
	}
	up.panic = true
	say(ask("R9", 1))
	said := replies.String()
	if strings.Contains(said, canary) || strings.Count(said, `"code":`) != 22 {
		t.Errorf("the replies: %s", said)
	}
	if strings.Contains(log.String(), canary) || !strings.Contains(log.String(), "oC****ij") {
		t.Errorf("the log: %s", log.String())
	}
	items, err := h.refunds.Ledger.Get(t.Context(), "refund/R0", "refund/R1", "refund/R2", "refund/R9")
	if err != nil {
		t.Fatal(err)
	}
	for _, it := range items {
		if body := string(it.Body); !strings.Contains(body, `"by":"user `+canary+`","request_id":"req-1"`) {
			t.Errorf("%s does not say who did it: %s", it.Key, body)
		}
	}
}
