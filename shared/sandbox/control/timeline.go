package control

import (
	"cmp"
	"encoding/json"
	"slices"
	"time"

	"wxrefund/shared/sandbox/world"
)

// A refundState is one refund as either side has it.
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
	WeChat        *record         `json:"wechat"` // null: WeChat Pay has never accepted it
	Merchant      *record         `json:"ours"`   // null: the merchant's side does not know it
	Held          int64           `json:"difference_held"`
	Arrived       int64           `json:"difference_arrived"`
	Can           []string        `json:"can"`             // the states that it can be settled as by hand
	Event         json.RawMessage `json:"event,omitempty"` // to ask the merchant's side for the same once more
	Timeline      []line          `json:"timeline"`
	at            time.Time
}

// A record is what one side has of a refund, in minor units.
type record struct {
	State    string `json:"state"`
	Held     int64  `json:"held"`    // takes up that much of the order
	Arrived  int64  `json:"arrived"` // of which that much has gone back to the user
	Refusal  string `json:"refusal,omitempty"`
	External bool   `json:"foreign,omitempty"`
}

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
	at        time.Time
	rank      int // of two at the same time, which comes first
}

// refundStates joins what either side has, the newest refund first.
func refundStates(now world.Snapshot, merchant []MerchantRefund) []refundState {
	byNumber := map[string]MerchantRefund{}
	for _, o := range merchant {
		byNumber[o.OutRefundNo] = o
	}
	out := []refundState{}
	for _, r := range now.Refunds {
		x := view(r)
		if o, ok := byNumber[x.OutRefundNo]; ok {
			x.beside(o)
		}
		delete(byNumber, x.OutRefundNo)
		out = append(out, x)
	}
	for _, o := range byNumber { // WeChat Pay has not accepted these
		x := refundState{
			OutRefundNo: o.OutRefundNo, RefundID: o.RefundID, OutTradeNo: o.OutTradeNo, TransactionID: o.TransactionID,
			Refund: o.Refund, Total: o.Total, Currency: o.Currency, Can: []string{}, at: o.At,
		}
		x.beside(o)
		out = append(out, x)
	}
	slices.SortStableFunc(out, func(a, b refundState) int {
		return cmp.Or(b.at.Compare(a.at), cmp.Compare(b.OutRefundNo, a.OutRefundNo))
	})
	for i := range out {
		x := &out[i]
		x.At = world.StampMS(x.at)
		for _, d := range now.About[x.OutRefundNo] {
			x.Timeline = append(x.Timeline, attempts(d)...)
		}
		slices.SortStableFunc(x.Timeline, func(a, b line) int {
			return cmp.Or(a.at.Truncate(time.Millisecond).Compare(b.at.Truncate(time.Millisecond)), cmp.Compare(a.rank, b.rank))
		})
		x.Held, x.Arrived = x.Merchant.held()-x.WeChat.held(), x.Merchant.arrived()-x.WeChat.arrived()
	}
	return out
}

func (r *record) held() int64 {
	if r == nil {
		return 0
	}
	return r.Held
}

func (r *record) arrived() int64 {
	if r == nil {
		return 0
	}
	return r.Arrived
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

// view is what WeChat Pay itself has.
func view(r world.Refund) refundState {
	x := refundState{
		OutRefundNo: r.OutRefundNo, RefundID: r.RefundID, OutTradeNo: r.OutTradeNo, TransactionID: r.TransactionID,
		Refund: r.Amount.Refund, Total: r.Amount.Total, Currency: r.Amount.Currency, ByHand: r.ByHand,
		WeChat: &record{State: r.Status, Held: r.Amount.Refund}, Can: r.Can, at: r.Created,
	}
	switch r.Status {
	case world.StatusClosed:
		x.WeChat.Held = 0
	case world.StatusSuccess:
		x.WeChat.Arrived = r.Amount.Refund
	}
	accepted := "accepted"
	if r.ByHand {
		accepted = "by_hand"
	}
	x.Timeline = []line{{At: world.StampMS(r.Created), Side: "wechat", What: accepted, at: r.Created, rank: rankAccepts}}
	for _, c := range r.Past {
		x.Timeline = append(x.Timeline, line{At: world.StampMS(c.At), Side: "wechat", What: "settled", Detail: c.Status, at: c.At, rank: rankSettles})
	}
	return x
}

// beside puts beside it what the merchant's side has.
func (x *refundState) beside(o MerchantRefund) {
	x.Merchant = &record{State: o.State, Held: o.Held, Arrived: o.Arrived, Refusal: o.Refusal, External: o.External}
	x.Event = o.Event
	if o.At.Before(x.at) {
		x.at = o.At
	}
	for _, e := range o.History {
		l := line{At: world.StampMS(e.At), Side: "ours", What: e.What, Detail: e.Detail, at: e.At, rank: rankHears}
		if e.What == "claimed" || e.What == "sent" {
			l.rank = rankAsks
		}
		x.Timeline = append(x.Timeline, l)
	}
}

// attempts are those to deliver a notification.
func attempts(d world.Delivery) []line {
	var out []line
	for _, a := range d.Attempts {
		out = append(out, line{
			At: a.At, Side: "wechat", What: "notified", Detail: d.Event, Delivery: d.ID, Status: a.Status, LatencyMS: a.LatencyMS,
			Reply: a.Reply, Error: a.Error, Cause: a.Cause(), at: a.Started, rank: rankNotifies,
		})
	}
	if d.State == world.DeliveryLost {
		out = append(out, line{At: world.StampMS(d.Made), Side: "wechat", What: "lost", Detail: d.Event, Delivery: d.ID, at: d.Made, rank: rankNotifies})
	}
	return out
}
