package sandbox

import (
	"cmp"
	"encoding/json"
	"slices"
	"time"
)

// A refundState is one refund in both books.
type refundState struct {
	OutRefundNo   string          `json:"out_refund_no"`
	RefundID      string          `json:"refund_id"`
	OutTradeNo    string          `json:"out_trade_no"`
	TransactionID string          `json:"transaction_id"`
	Refund        int64           `json:"refund"`
	Total         int64           `json:"total"`
	Currency      string          `json:"currency"`
	At            string          `json:"at"`
	ByHand        bool            `json:"by_hand"`
	WeChat        *book           `json:"wechat"` // null: WeChat Pay has never accepted it
	Ours          *book           `json:"ours"`   // null: our side does not know it
	Held          int64           `json:"difference_held"`
	Arrived       int64           `json:"difference_arrived"`
	Can           []string        `json:"can"`             // the states that it can be settled as by hand
	Event         json.RawMessage `json:"event,omitempty"` // to ask our side for the same once more
	Timeline      []moment        `json:"timeline"`
	at            time.Time
}

// A book is what one side has on record of a refund, in minor units.
type book struct {
	State   string `json:"state"`
	Held    int64  `json:"held"`    // takes up that much of the order
	Arrived int64  `json:"arrived"` // of which that much has gone back to the user
	Refusal string `json:"refusal,omitempty"`
	Foreign bool   `json:"foreign,omitempty"`
}

// A moment is a line of a refund's timeline.
type moment struct {
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
	at        time.Time
	rank      int // of two at the same time, which comes first
}

// A change is a state that a refund has had.
type change struct {
	at     time.Time
	status string
}

// refundStates joins both books, the newest refund first, and tells how many are
// left out. s.mu is held.
func (s *Sandbox) refundStates(ours []OurRefund) ([]refundState, int) {
	byNumber := map[string]OurRefund{}
	for _, o := range ours {
		byNumber[o.OutRefundNo] = o
	}
	notifications := map[string][]*delivery{}
	for _, d := range s.notifications {
		notifications[d.outRefundNo] = append(notifications[d.outRefundNo], d)
	}
	out := []refundState{}
	for _, r := range newest(s.accepted) {
		x := r.view()
		if o, ok := byNumber[x.OutRefundNo]; ok {
			x.beside(o)
		}
		delete(byNumber, x.OutRefundNo)
		out = append(out, x)
	}
	older := max(0, len(s.accepted)-shown)
	for _, o := range byNumber { // WeChat Pay has not accepted these, or long ago
		x := refundState{
			OutRefundNo: o.OutRefundNo, RefundID: o.RefundID, OutTradeNo: o.OutTradeNo, TransactionID: o.TransactionID,
			Refund: o.Refund, Total: o.Total, Currency: o.Currency, Can: []string{}, at: o.At,
		}
		if r := s.refunds[o.OutRefundNo]; r != nil {
			x, older = r.view(), older-1
		}
		x.beside(o)
		out = append(out, x)
	}
	slices.SortStableFunc(out, func(a, b refundState) int {
		return cmp.Or(b.at.Compare(a.at), cmp.Compare(b.OutRefundNo, a.OutRefundNo))
	})
	for i := range out {
		x := &out[i]
		x.At = stampMS(x.at)
		for _, d := range notifications[x.OutRefundNo] {
			x.Timeline = append(x.Timeline, d.moments()...)
		}
		slices.SortStableFunc(x.Timeline, func(a, b moment) int {
			return cmp.Or(a.at.Truncate(time.Millisecond).Compare(b.at.Truncate(time.Millisecond)), cmp.Compare(a.rank, b.rank))
		})
		x.Held, x.Arrived = x.Ours.held()-x.WeChat.held(), x.Ours.arrived()-x.WeChat.arrived()
	}
	return out, max(0, older)
}

func (b *book) held() int64 {
	if b == nil {
		return 0
	}
	return b.Held
}

func (b *book) arrived() int64 {
	if b == nil {
		return 0
	}
	return b.Arrived
}

// The order of what happens at the same time: our side asks, WeChat Pay does, and
// tells, and our side hears of it.
const (
	rankAsks = iota
	rankAccepts
	rankSettles
	rankTells
	rankHears
)

// view is what WeChat Pay's own book says.
func (r *refund) view() refundState {
	amount := r.application.Amount.Refund
	x := refundState{
		OutRefundNo: r.application.OutRefundNo, RefundID: r.id, OutTradeNo: r.order.outTradeNo, TransactionID: r.order.transactionID,
		Refund: amount, Total: r.order.total, Currency: r.order.currency, ByHand: r.byHand,
		WeChat: &book{State: r.status, Held: amount}, Can: append([]string{}, transitions[r.status]...), at: r.created,
	}
	switch r.status {
	case statusClosed:
		x.WeChat.Held = 0
	case statusSuccess:
		x.WeChat.Arrived = amount
	}
	accepted := "accepted"
	if r.byHand {
		accepted = "by_hand"
	}
	x.Timeline = []moment{{At: stampMS(r.created), Side: "wechat", What: accepted, at: r.created, rank: rankAccepts}}
	for _, c := range r.past {
		x.Timeline = append(x.Timeline, moment{At: stampMS(c.at), Side: "wechat", What: "settled", Detail: c.status, at: c.at, rank: rankSettles})
	}
	return x
}

// beside puts our side's book beside it.
func (x *refundState) beside(o OurRefund) {
	x.Ours = &book{State: o.State, Held: o.Held, Arrived: o.Arrived, Refusal: o.Refusal, Foreign: o.Foreign}
	x.Event = o.Event
	if o.At.Before(x.at) {
		x.at = o.At
	}
	for _, e := range o.History {
		m := moment{At: stampMS(e.At), Side: "ours", What: e.What, Detail: e.Detail, at: e.At, rank: rankHears}
		if e.What == "claimed" || e.What == "sent" {
			m.rank = rankAsks
		}
		x.Timeline = append(x.Timeline, m)
	}
}

// moments are the attempts to deliver a notification.
func (d *delivery) moments() []moment {
	var out []moment
	for _, a := range d.attempts {
		out = append(out, moment{
			At: a.At, Side: "wechat", What: "notified", Detail: d.event, Delivery: d.id, Status: a.Status, LatencyMS: a.LatencyMS,
			Reply: a.Reply, Error: a.Error, Cause: a.cause(), at: a.started, rank: rankTells,
		})
	}
	if d.state == stateLost {
		out = append(out, moment{At: stampMS(d.made), Side: "wechat", What: "lost", Detail: d.event, Delivery: d.id, at: d.made, rank: rankTells})
	}
	return out
}
