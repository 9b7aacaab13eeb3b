package main

import (
	"testing"
	"time"
)

// As the program starts, two refunds of one order are a minute apart on every
// channel: the merchant's side does not send what would be refused, and after that minute both
// sides take it.
func TestRefundsOfOneOrderAreAMinuteApartByDefault(t *testing.T) {
	for _, channel := range []string{"apiv3", "cloudbase", "cloudpay", "global", "wecom"} {
		t.Run(channel, func(t *testing.T) {
			t.Parallel()
			p := start(t, "-channel", channel, "-speed", "0.001", "-hostile=false", "-timer=false")
			var o, other order
			p.control("POST", "/_sandbox/orders", `{"out_trade_no":"order-1","total":100}`, &o)
			p.control("POST", "/_sandbox/orders", `{"out_trade_no":"order-2","total":100}`, &other)
			p.succeed(refundEvent(o, "R1", 10))
			if r := p.dispatch(refundEvent(o, "R2", 10)); r.Code != 429 || r.ErrCode != "FREQUENCY_LIMITED" || r.Retry != "later" {
				t.Errorf("a second refund at once: got %+v, want 429", r)
			}
			p.succeed(refundEvent(o, "R1", 10)) // a repeat waits for nothing
			p.succeed(refundEvent(other, "R3", 10))
			p.pass("59s")
			if r := p.dispatch(refundEvent(o, "R2", 10)); r.Code != 429 {
				t.Errorf("after 59 s: got %+v, want 429", r)
			}
			if got := p.upstream(o); len(got) != 1 {
				t.Errorf("WeChat holds %+v, want R1 alone", got)
			}
			p.pass("1s")
			p.succeed(refundEvent(o, "R2", 10))
			if got := p.upstream(o); len(got) != 2 {
				t.Errorf("WeChat holds %+v, want both", got)
			}

			// -pace 0s is none, on both sides.
			p = start(t, "-channel", channel, "-speed", "0.001", "-pace", "0s")
			o = p.order()
			for _, no := range []string{"R1", "R2", "R3"} {
				p.succeed(refundEvent(o, no, 10))
			}
		})
	}
}

// The timer runs by itself as virtual time passes, and closes what no notification
// closed; with -timer=false it does not.
func TestTimerRunsByItself(t *testing.T) {
	lose := func(t *testing.T, args ...string) (*program, order) {
		p := start(t, append(args, "-speed", "0.001")...)
		p.control("POST", "/_sandbox/faults", `{"notify":"lose"}`, nil)
		o := p.order()
		p.succeed(refundEvent(o, "R1", 60))
		p.control("POST", "/_sandbox/refunds/R1/settle", `{"status":"SUCCESS"}`, nil)
		p.pass("10m")
		return p, o
	}
	t.Run("by default", func(t *testing.T) {
		t.Parallel()
		p, o := lose(t)
		await(t, "the timer", func() bool { return p.recorded(o)["R1"] == "SUCCESS" })
	})
	t.Run("not with -timer=false", func(t *testing.T) {
		t.Parallel()
		p, o := lose(t, "-timer=false")
		time.Sleep(500 * time.Millisecond)
		if got := p.recorded(o)["R1"]; got != "PROCESSING" {
			t.Errorf("R1: got %s, want it PROCESSING", got)
		}
	})
}
