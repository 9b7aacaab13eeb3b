package control

import (
	"cmp"
	"slices"
	"time"

	"wxrefund/shared/sandbox/world"
)

// A line is one of a refund's timeline.
type line struct {
	At        string `json:"at"`
	Side      string `json:"side"` // ours, wechat
	What      string `json:"what"`
	Detail    string `json:"detail,omitempty"`
	Delivery  string `json:"delivery,omitempty"` // of an attempt to notify: which notification, and what came of it
	Status    int    `json:"status,omitempty"`
	LatencyMS int64  `json:"latency_ms"`
	Reply     string `json:"reply,omitempty"`
	Error     string `json:"error,omitempty"`
	Cause     string `json:"cause,omitempty"`
	Rightly   bool   `json:"rightly,omitempty"` // of an attempt: it must not be believed, and was not
	at        time.Time
	rank      int // of two at the same time, which comes first
}

// The order of what happens at the same time: the merchant's side asks, WeChat Pay does, and
// notifies, and the merchant's side hears of it.
const (
	rankAsks = iota
	rankAccepts
	rankSettles
	rankNotifies
	rankHears
)

// timeline tells what either side has of a refund; the zero value of one is nothing.
func timeline(wechat world.Refund, merchant MerchantRefund, about []world.Delivery) []line {
	out := []line{}
	if !wechat.Created.IsZero() {
		accepted := "accepted"
		if wechat.ByHand {
			accepted = "by_hand"
		}
		out = append(out, line{Side: "wechat", What: accepted, at: wechat.Created, rank: rankAccepts})
	}
	for _, c := range wechat.Past {
		out = append(out, line{Side: "wechat", What: "settled", Detail: c.Status, at: c.At, rank: rankSettles})
	}
	for _, e := range merchant.History {
		l := line{Side: "ours", What: e.What, Detail: e.Detail, at: e.At, rank: rankHears}
		if e.What == "claimed" || e.What == "sent" {
			l.rank = rankAsks
		}
		out = append(out, l)
	}
	for _, d := range about {
		out = append(out, attempts(d)...)
	}
	slices.SortStableFunc(out, func(a, b line) int {
		return cmp.Or(a.at.Truncate(time.Millisecond).Compare(b.at.Truncate(time.Millisecond)), cmp.Compare(a.rank, b.rank))
	})
	for i := range out {
		out[i].At = world.StampMS(out[i].at)
	}
	return out
}

// attempts are those to deliver a notification.
func attempts(d world.Delivery) []line {
	var out []line
	for _, a := range d.Attempts {
		out = append(out, line{
			Side: "wechat", What: "notified", Detail: d.Event, Delivery: d.ID, Status: a.Status, LatencyMS: a.LatencyMS,
			Reply: a.Reply, Error: a.Error, Cause: a.Cause(), Rightly: a.Rightly(), at: a.Started, rank: rankNotifies,
		})
	}
	if d.State == world.DeliveryLost {
		out = append(out, line{Side: "wechat", What: "lost", Detail: d.Event, Delivery: d.ID, at: d.Made, rank: rankNotifies})
	}
	return out
}
