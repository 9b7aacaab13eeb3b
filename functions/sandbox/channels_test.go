package main

import (
	"fmt"
	"strings"
	"testing"
)

// The same events work on every upstream system, with the same refund object.
func TestTheSameEventsRefundOnEveryChannel(t *testing.T) {
	for channel, c := range map[string]struct {
		notifications bool // whether the system tells us by itself
	}{
		"apiv3": {true}, "cloudbase": {true}, "cloudpay": {true}, "global": {true}, "wecom": {false},
	} {
		t.Run(channel, func(t *testing.T) {
			t.Parallel()
			p := start(t, "-channel", channel, "-speed", "0.001") // nothing settles before time is moved on
			var o order
			p.control("POST", "/_sandbox/orders", `{"out_trade_no":"order-1","total":100}`, &o)
			event := refundEvent(o, "R1", 60)
			got := p.succeed(event)
			if got.Status != "PROCESSING" || got.OutRefundNo != "R1" || got.OutTradeNo != "order-1" || got.Amount.Refund != 60 || got.Amount.Total != 100 || got.Amount.Currency != "CNY" {
				t.Errorf("accepted: %+v", got)
			}
			if again := p.succeed(event); again.OutRefundNo != "R1" {
				t.Errorf("repeated: %+v", again)
			}
			if r := p.dispatch(refundEvent(o, "R1", 50)); r.Code != 409 {
				t.Errorf("same number, other amount: %+v, want 409", r)
			}
			if r := p.dispatch(refundEvent(o, "R2", 41)); r.Code != 409 {
				t.Errorf("more than is left: %+v, want 409", r)
			}
			p.pass("10m")
			if c.notifications {
				await(t, "a notification that is acknowledged", func() bool {
					about := p.deliveries("R1")
					return len(about) > 0 && about[0].State == "delivered"
				})
			}
			var by data
			await(t, "SUCCESS", func() bool {
				by = p.succeed(queryEvent("out_refund_no", "R1"))
				return by.Status == "SUCCESS"
			})
			if by.SuccessTime == "" || !strings.HasSuffix(by.SuccessTime, "+08:00") || by.RefundID == "" || by.Amount.Refund != 60 {
				t.Errorf("settled: %+v", by)
			}
			if page := p.succeed(queryEvent("out_trade_no", "order-1")); page.TotalRefundCount != 1 || page.Refunds[0].Status != "SUCCESS" {
				t.Errorf("by order: %+v", page)
			}
			if byID := p.succeed(queryEvent("refund_id", by.RefundID)); byID.OutRefundNo != "R1" {
				t.Errorf("by refund_id: %+v", byID)
			}
			if r := p.dispatch(strings.Replace(event, `"order-1"`, `"order-0"`, 1)); r.Code != 409 {
				t.Errorf("same number, other order: %+v, want 409", r)
			}
			// A refusal keeps the upstream's own code, and nothing stays reserved.
			r := p.dispatch(`{"type":"wxpay_refund","out_trade_no":"order-none","out_refund_no":"R9","amount":{"refund":1,"total":100,"currency":"CNY"}}`)
			if r.Code < 400 || r.Code == 503 && channel != "cloudbase" || r.ErrCode == "" {
				t.Errorf("unknown order: %+v, want a refusal", r)
			}
		})
	}
}

// A reason is the merchant's to write, whatever it looks like in what is signed.
func TestAnyReasonIsSignedAndRefunded(t *testing.T) {
	for _, channel := range []string{"apiv3", "cloudbase", "cloudpay", "global"} {
		t.Run(channel, func(t *testing.T) {
			t.Parallel()
			p := start(t, "-channel", channel, "-speed", "600")
			reasons := []string{"x&z=1", "a&refund_fee=99&total_fee=1", "&sign=0&key=1", "]]><xml>", "a=b&c", `"><&amp;`}
			for i, reason := range reasons {
				o := p.order()
				no := fmt.Sprintf("R%d", i)
				refund := event("wxpay_refund", map[string]any{
					"out_refund_no": no, "out_trade_no": o.OutTradeNo, "reason": reason,
					"amount": map[string]any{"refund": 60, "total": o.Total, "currency": "CNY"},
				})
				if got := p.succeed(refund); got.OutRefundNo != no || got.Amount.Refund != 60 {
					t.Errorf("reason %q: %+v", reason, got)
				}
			}
			for i, reason := range reasons { // which takes them the same time together
				await(t, "SUCCESS with the reason "+reason, func() bool {
					return p.succeed(queryEvent("out_refund_no", fmt.Sprintf("R%d", i))).Status == "SUCCESS"
				})
			}
		})
	}
}

// A refund by hand may notify in v2, and whatever the channel, notify opens that and takes
// it, for an order that has never been refunded before as for any other.
func TestANotificationInV2OfARefundByHandOpensOnEveryChannel(t *testing.T) {
	for _, channel := range []string{"apiv3", "cloudbase", "cloudpay", "global", "wecom"} {
		t.Run(channel, func(t *testing.T) {
			t.Parallel()
			p := start(t, "-channel", channel, "-speed", "0.001", "-hostile=false", "-timer=false")
			o := p.order()
			for _, no := range []string{"hand-1", "hand-2"} {
				p.control("POST", "/_sandbox/refunds", fmt.Sprintf(`{"out_trade_no":%q,"out_refund_no":%q,"amount":10,"notification":"v2"}`, o.OutTradeNo, no), nil)
				p.control("POST", "/_sandbox/refunds/"+no+"/settle", `{"status":"SUCCESS"}`, nil)
				if d := p.deliveries(no); len(d) != 1 || d[0].State != "delivered" || len(d[0].Attempts) != 1 {
					t.Errorf("%s: %+v, want it delivered at once", no, d)
				}
				if got := p.recorded(o)[no]; got != "SUCCESS" {
					t.Errorf("%s: our ledger says %q, want SUCCESS", no, got)
				}
				p.succeed(refundEvent(o, "own-"+no, 10))
				p.pass("1m")
			}
		})
	}
}
