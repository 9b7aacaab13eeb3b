package control

import (
	"context"
	"fmt"
	"strings"
	"time"

	"wxrefund/shared/sandbox/world"
)

// shown is how many orders, refunds and deliveries a state holds at most of each,
// the newest.
const shown = 200

// merchantTime bounds how long the merchant's ledger may take to be read.
const merchantTime = 2 * time.Second

// A stateObject is all that the console shows: WeChat's records, ours beside
// them, and what is going to happen. There are no secrets in it, and of personal data
// only the two ends.
type stateObject struct {
	Now           string          `json:"now"` // virtual
	Speed         float64         `json:"speed"`
	Seed          int64           `json:"seed"`
	Channel       string          `json:"channel"`
	Hostile       bool            `json:"hostile"`
	Pace          float64         `json:"pace"`     // least seconds between two refunds of one order
	Schedule      []int64         `json:"schedule"` // of repeats: seconds after the send before
	Orders        []orderState    `json:"orders"`   // the newest first, as all lists of things that happened
	Refunds       []refundState   `json:"refunds"`
	Notifications []deliveryState `json:"deliveries"`
	Older         int             `json:"older"` // how many refunds are too old to be here
	Faults        []world.Fault   `json:"faults"`
	Known         knownFaults     `json:"known"`
	Keys          []keyState      `json:"keys"`
	OursError     string          `json:"ours_error,omitempty"` // why the merchant's records cannot be shown
}

// An orderState says how much of an order went back. Refunded, Open and Remaining
// sum up to its total.
type orderState struct {
	OutTradeNo    string `json:"out_trade_no"`
	TransactionID string `json:"transaction_id"`
	Total         int64  `json:"total"`
	Currency      string `json:"currency"`
	OpenID        string `json:"openid"` // masked
	At            string `json:"at"`
	Refunded      int64  `json:"refunded"`
	Open          int64  `json:"open"` // accepted, and not with the user yet
	Remaining     int64  `json:"remaining"`
}

// A deliveryState is a delivery with what the schedule makes of it.
type deliveryState struct {
	deliveryObject
	Repeats  int            `json:"repeats"` // how much of the schedule is used up
	Kept     bool           `json:"kept"`    // until another notification has overtaken it
	Attempts []attemptState `json:"attempts"`
}

// An attemptState adds why it failed, as far as that is known.
type attemptState struct {
	world.Attempt
	Cause string `json:"cause,omitempty"`
}

// A keyState is a key and its age, not the key itself.
type keyState struct {
	Kind   string `json:"kind"` // certificate, public_key, merchant
	Serial string `json:"serial"`
	From   string `json:"from"`
	Until  string `json:"until"`
	Newest bool   `json:"newest"`
}

// knownFaults are all there could be, in the order of the tables.
type knownFaults struct {
	Upstream []string `json:"upstream"`
	Notify   []string `json:"notify"`
	ErrCode  []string `json:"err_code"`
}

// state reads everything at one time; the merchant's records are read just before.
func (d *Door) state(ctx context.Context) stateObject {
	var merchant []MerchantRefund
	var err error
	if d.cfg.MerchantRefunds != nil {
		ctx, cancel := context.WithTimeout(ctx, merchantTime)
		merchant, err = d.cfg.MerchantRefunds(ctx, shown)
		cancel()
	}
	numbers := make([]string, len(merchant))
	for i, o := range merchant {
		numbers[i] = o.OutRefundNo
	}
	now := d.world.Snapshot(shown, numbers...)
	upstream, notify, codes := d.world.KnownFaults()
	out := stateObject{
		Now: world.StampMS(now.Now), Speed: now.Speed, Seed: now.Seed, Channel: d.cfg.Channel, Hostile: now.Hostile, Pace: max(0, now.Pace).Seconds(),
		Orders: []orderState{}, Notifications: []deliveryState{}, Faults: now.Faults,
		Known: knownFaults{Upstream: faultNames(upstream), Notify: faultNames(notify), ErrCode: codes},
	}
	if err != nil {
		out.OursError = "our side's ledger cannot be read: " + err.Error()
	}
	for _, pause := range world.Schedule {
		out.Schedule = append(out.Schedule, int64(pause/time.Second))
	}
	for _, o := range now.Orders {
		out.Orders = append(out.Orders, orderState{
			OutTradeNo: o.OutTradeNo, TransactionID: o.TransactionID, Total: o.Total, Currency: o.Currency,
			OpenID: mask(o.OpenID), At: world.StampMS(o.Paid), Refunded: o.Refunded, Open: o.Total - o.Refunded - o.Left, Remaining: o.Left,
		})
	}
	for _, n := range now.Notifications {
		x := deliveryState{deliveryObject: deliver(n), Repeats: n.Repeats, Kept: n.HeldBack, Attempts: []attemptState{}}
		for _, a := range n.Attempts {
			x.Attempts = append(x.Attempts, attemptState{a, a.Cause()})
		}
		out.Notifications = append(out.Notifications, x)
	}
	for _, k := range now.Keys {
		out.Keys = append(out.Keys, keyState{k.Kind, k.Serial, world.StampMS(k.From), world.StampMS(k.Until), k.Newest})
	}
	out.Refunds, out.Older = refundStates(now, merchant), now.Older
	return out
}

// mask leaves the two ends of what tells who somebody is.
func mask(s string) string {
	if len(s) < 8 {
		return strings.Repeat("*", len(s))
	}
	return fmt.Sprintf("%s****%s", s[:2], s[len(s)-2:])
}
