package main

import "testing"

// A heard is what the example subscribers have got.
type heard struct {
	Subscribers []struct {
		Name  string
		Heard []struct {
			ID          string
			EventType   string `json:"event_type"`
			OutRefundNo string `json:"out_refund_no"`
			Taken       bool
		}
	}
}

func (p *program) heard() (h heard) {
	p.t.Helper()
	p.control("GET", "/_sandbox/subscribers", "", &h)
	return h
}

// Three functions of the merchant's get an event through CloudBase's gateway, whatever
// the channel: each until it has taken it, and then no more.
func TestEachSubscriberGetsARefundUntilItTakesIt(t *testing.T) {
	t.Parallel()
	for _, channel := range []string{"apiv3", "cloudbase"} {
		t.Run(channel, func(t *testing.T) {
			t.Parallel()
			p := start(t, "-channel", channel, "-subscribers", "-speed", "120")
			p.succeed(refundEvent(p.order(), "R1", 60))
			tries := map[string]int{"goodSubscriber": 1, "slowSubscriber": 1, "failingSubscriber": 3}
			await(t, "everybody to take it", func() bool {
				for _, s := range p.heard().Subscribers {
					if n := len(s.Heard); n < tries[s.Name] {
						return false
					}
				}
				return true
			})
			p.pass("25h") // all of WeChat's repeats, and leases, are over
			p.call("reconcile", `{}`)
			ids := map[string]bool{}
			for _, s := range p.heard().Subscribers {
				if len(s.Heard) != tries[s.Name] {
					t.Errorf("%s got it %d times, want %d", s.Name, len(s.Heard), tries[s.Name])
				}
				for i, h := range s.Heard {
					ids[h.ID] = true
					if h.EventType != "REFUND.SUCCESS" || h.OutRefundNo != "R1" || h.Taken != (i+1 == tries[s.Name]) {
						t.Errorf("%s got %+v as its %dth", s.Name, h, i+1)
					}
				}
			}
			if len(ids) != 1 {
				t.Errorf("one event has the ids %v", ids)
			}
		})
	}
}

// Without the flag there is nobody to deliver to.
func TestWithoutTheFlagThereAreNoSubscribers(t *testing.T) {
	t.Parallel()
	p := start(t)
	if n := len(p.heard().Subscribers); n != 0 {
		t.Errorf("%d subscribers", n)
	}
}
