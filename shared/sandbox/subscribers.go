package sandbox

import (
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"time"
)

// A subscriber is an example of a merchant's function that is told of refunds,
// and what it answers when it hears an event for the nth time.
type subscriber struct {
	name    string
	teaches string
	takes   func(nth int) bool
	slow    time.Duration // real time before it answers
}

// subscribers are the examples that the environment has when Config.Subscribers
// is set.
var subscribers = []subscriber{
	{name: "goodSubscriber", teaches: "takes everything at once", takes: func(int) bool { return true }},
	{name: "slowSubscriber", teaches: "takes three seconds", takes: func(int) bool { return true }, slow: 3 * time.Second},
	{name: "failingSubscriber", teaches: "fails twice, then takes it", takes: func(nth int) bool { return nth > 2 }},
}

// subscriberNames lists the example functions that are told of refunds.
func subscriberNames() []string {
	return names(subscribers, func(e subscriber) string { return e.name })
}

// A hearing is one call of an example subscriber.
type hearing struct {
	At          string          `json:"at"` // virtual time
	ID          string          `json:"id"`
	EventType   string          `json:"event_type"`
	OutRefundNo string          `json:"out_refund_no"`
	Taken       bool            `json:"taken"`
	Event       json.RawMessage `json:"event"`
}

// maxHearings bounds what is remembered of each subscriber.
const maxHearings = 500

// hears makes an example subscriber a function of the environment.
func (e subscriber) hears(s *Sandbox, event json.RawMessage) (any, upstreamFault, bool) {
	var in struct {
		ID        string `json:"id"`
		EventType string `json:"event_type"`
		Resource  struct {
			OutRefundNo string `json:"out_refund_no"`
		} `json:"resource"`
	}
	if err := json.Unmarshal(event, &in); err != nil || in.ID == "" || !strings.HasPrefix(in.EventType, "REFUND.") {
		return map[string]string{"code": "FAIL", "message": "this is no refund notification"}, upstreamFault{}, true
	}
	wait := time.NewTimer(e.slow)
	defer wait.Stop()
	select {
	case <-wait.C:
	case <-s.ended.Done():
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	nth := 1
	for _, h := range s.hearings[e.name] {
		if h.ID == in.ID {
			nth++
		}
	}
	h := hearing{
		At: stamp(s.clock.now()), ID: in.ID, EventType: in.EventType, OutRefundNo: in.Resource.OutRefundNo,
		Taken: e.takes(nth), Event: slices.Clone(event),
	}
	all := append(s.hearings[e.name], h)
	s.hearings[e.name] = all[max(0, len(all)-maxHearings):]
	if !h.Taken {
		return map[string]string{"code": "FAIL", "message": "not now"}, upstreamFault{}, true
	}
	return map[string]string{"code": "SUCCESS", "message": "成功"}, upstreamFault{}, true
}

// function finds a function of the environment.
func (s *Sandbox) function(name string) (hosted, bool) {
	if f, ok := functions[name]; ok {
		return f, true
	}
	i := slices.IndexFunc(subscribers, func(e subscriber) bool { return e.name == name })
	if i < 0 || !s.cfg.Subscribers {
		return nil, false
	}
	return subscribers[i].hears, true
}

// notifySettings have our functions tell the example subscribers.
func (s *Sandbox) notifySettings(c credentials, u URLs) map[string]string {
	if !s.cfg.Subscribers {
		return nil
	}
	out := gatewaySettings(c, u)
	out["NOTIFY_FUNCTIONS"] = "scf:" + strings.Join(subscriberNames(), ",scf:")
	return out
}

func (s *Sandbox) getSubscribers(*http.Request, []byte) (any, error) {
	type heard struct {
		Name    string    `json:"name"`
		Teaches string    `json:"teaches"`
		Heard   []hearing `json:"heard"`
	}
	out := struct {
		Subscribers []heard `json:"subscribers"`
	}{[]heard{}}
	if !s.cfg.Subscribers {
		return out, nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, e := range subscribers {
		out.Subscribers = append(out.Subscribers, heard{e.name, e.teaches, append([]hearing{}, s.hearings[e.name]...)})
	}
	return out, nil
}
