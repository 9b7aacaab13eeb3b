package cloudbase

import (
	"context"
	"encoding/json"
	"slices"
	"strings"
	"time"

	"wxrefund/shared/sandbox/world"
)

// A subscriber is an example of a merchant's function that is notified of
// refunds, and what it answers to an event that comes for the nth time.
type subscriber struct {
	name    string
	teaches string
	takes   func(nth int) bool
	slow    time.Duration // real time before it answers
}

// subscribers are the examples that the environment has if [Config].Subscribers is set.
var subscribers = []subscriber{
	{name: "goodSubscriber", teaches: "takes everything at once", takes: func(int) bool { return true }},
	{name: "slowSubscriber", teaches: "takes three seconds", takes: func(int) bool { return true }, slow: 3 * time.Second},
	{name: "failingSubscriber", teaches: "fails twice, then takes it", takes: func(nth int) bool { return nth > 2 }},
}

// An Invocation is one call of an example subscriber.
type Invocation struct {
	At          string          `json:"at"` // virtual time
	ID          string          `json:"id"`
	EventType   string          `json:"event_type"`
	OutRefundNo string          `json:"out_refund_no"`
	Taken       bool            `json:"taken"`
	Event       json.RawMessage `json:"event"`
}

// maxInvocations bounds what is remembered of each subscriber.
const maxInvocations = 500

// call makes an example subscriber a function of the environment.
func (e subscriber) call(d *Door, _ call, event json.RawMessage) (any, world.UpstreamFault, bool) {
	var in struct {
		ID        string `json:"id"`
		EventType string `json:"event_type"`
		Resource  struct {
			OutRefundNo string `json:"out_refund_no"`
		} `json:"resource"`
	}
	if err := json.Unmarshal(event, &in); err != nil || in.ID == "" || !strings.HasPrefix(in.EventType, "REFUND.") && !strings.HasPrefix(in.EventType, "REFUND_APPLICATION.") {
		return map[string]string{"code": "FAIL", "message": "this is no refund notification"}, world.UpstreamFault{}, true
	}
	d.world.Pause(context.Background(), e.slow) // who calls has a deadline, the function has none
	d.mu.Lock()
	defer d.mu.Unlock()
	nth := 1
	for _, h := range d.invocations[e.name] {
		if h.ID == in.ID {
			nth++
		}
	}
	c := Invocation{
		At: world.Stamp(d.world.Now()), ID: in.ID, EventType: in.EventType, OutRefundNo: in.Resource.OutRefundNo,
		Taken: e.takes(nth), Event: slices.Clone(event),
	}
	all := append(d.invocations[e.name], c)
	d.invocations[e.name] = all[max(0, len(all)-maxInvocations):]
	if !c.Taken {
		return map[string]string{"code": "FAIL", "message": "not now"}, world.UpstreamFault{}, true
	}
	return map[string]string{"code": "SUCCESS", "message": "成功"}, world.UpstreamFault{}, true
}

// function finds a function of the environment.
func (d *Door) function(name string) (hosted, bool) {
	if f, ok := functions[name]; ok {
		return f, true
	}
	i := slices.IndexFunc(subscribers, func(e subscriber) bool { return e.name == name })
	if i < 0 || !d.cfg.Subscribers {
		return nil, false
	}
	return subscribers[i].call, true
}

// A Subscriber is an example function, and the calls of it.
type Subscriber struct {
	Name    string       `json:"name"`
	Teaches string       `json:"teaches"`
	Heard   []Invocation `json:"heard"`
}

// Subscribers returns the example functions, if the environment has them.
func (d *Door) Subscribers() []Subscriber {
	out := []Subscriber{}
	if !d.cfg.Subscribers {
		return out
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, e := range subscribers {
		out = append(out, Subscriber{e.name, e.teaches, append([]Invocation{}, d.invocations[e.name]...)})
	}
	return out
}
