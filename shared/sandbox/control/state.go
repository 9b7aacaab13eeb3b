package control

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"time"

	"wxrefund/shared/sandbox/world"
)

// A stateObject is how the sandbox stands, and the figures of all that has happened in
// it; what has happened is in lists of its own. There are no secrets in it, nor anywhere in
// those, and of personal data only the two ends, but for whom the console plays.
type stateObject struct {
	Revision  int64          `json:"revision"`
	Now       string         `json:"now"` // virtual
	Speed     float64        `json:"speed"`
	Seed      int64          `json:"seed"`
	Channel   string         `json:"channel"`
	Hostile   bool           `json:"hostile"`
	Pace      float64        `json:"pace"`     // least seconds between two refunds of one order
	Timer     bool           `json:"timer"`    // that of the merchant's side runs
	Schedule  []int64        `json:"schedule"` // of repeats: seconds after the send before
	Faults    []world.Fault  `json:"faults"`
	Known     knownFaults    `json:"known"`
	Keys      []keyState     `json:"keys"`
	Callers   Callers        `json:"callers"`              // whom the console plays
	Writes    int64          `json:"writes"`               // how often the merchant's side has written
	Merchant  string         `json:"merchant"`             // which keys of WeChat Pay's it has: certificate, switching, public-key
	Share     float64        `json:"share"`                // of how many notifications in a hundred the public key signs
	OursError string         `json:"ours_error,omitempty"` // why the merchant's records cannot be shown
	Totals    totals         `json:"totals"`
	Bill      *MerchantBill  `json:"bill"`          // of the day that ended last; null: none has
	Bills     []MerchantBill `json:"bills"`         // of days that have ended, the newest first
	Exchanges int            `json:"exchanges"`     // how many have been recorded, also those that are no longer kept
	Next      *nextDelivery  `json:"next_delivery"` // null: none is to be sent
}

// A nextDelivery is the notification that is sent next, and when.
type nextDelivery struct {
	At string `json:"at"`
	ID string `json:"id"`
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
	Cause   string `json:"cause,omitempty"`
	Rightly bool   `json:"rightly,omitempty"` // it must not be believed, and was not
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
	Timer    []string `json:"timer"`
	Bill     []string `json:"bill"`
}

// state reads how everything stands.
func (d *Door) state(ctx context.Context) stateObject {
	d.index.refresh(ctx)
	now := d.world.Snapshot()
	upstream, notify, codes := d.world.KnownFaults()
	out := stateObject{
		Now: world.StampMS(now.Now), Speed: now.Speed, Seed: now.Seed, Channel: d.cfg.Channel, Hostile: now.Hostile, Pace: max(0, now.Pace).Seconds(),
		Faults: now.Faults, Known: knownFaults{Upstream: faultNames(upstream), Notify: faultNames(notify), ErrCode: codes, Timer: faultNames(world.TimerFaults), Bill: faultNames(world.BillFaults)},
		Exchanges: d.world.ExchangeCount(), Merchant: now.Merchant, Share: now.Share, Timer: !d.cfg.NoTimer && !d.world.TimerStopped(),
		Callers: d.cfg.Callers, Writes: d.writes.Load(),
	}
	for _, pause := range world.Schedule {
		out.Schedule = append(out.Schedule, int64(pause/time.Second))
	}
	for _, k := range now.Keys {
		out.Keys = append(out.Keys, keyState{k.Kind, k.Serial, world.StampMS(k.From), world.StampMS(k.Until), k.Newest})
	}
	d.index.summarize(&out)
	var err error
	if out.Bills, err = d.billReports(ctx); err != nil && out.OursError == "" {
		out.OursError = "our side's reports of bills cannot be read: " + err.Error()
	}
	if out.Bills == nil {
		out.Bills = []MerchantBill{}
	}
	if len(out.Bills) > 0 {
		out.Bill = &out.Bills[0]
	}
	return out
}

// summarize puts into a state what is known of the lists.
func (x *index) summarize(out *stateObject) {
	x.mu.Lock()
	defer x.mu.Unlock()
	out.Revision, out.Totals = x.recent.Revision(), x.totals.clone()
	if n := x.upcoming.first(); n != nil {
		out.Next = &nextDelivery{world.StampMS(n.next), n.id}
	}
	if x.failure != nil {
		out.OursError = "our side's ledger cannot be read: " + x.failure.Error()
	}
}

func stateOfOrder(o world.Order) orderState {
	return orderState{
		OutTradeNo: o.OutTradeNo, TransactionID: o.TransactionID, Total: o.Total, Currency: o.Currency,
		OpenID: mask(o.OpenID), At: world.StampMS(o.Paid), Refunded: o.Refunded, Open: o.Total - o.Refunded - o.Left, Remaining: o.Left,
	}
}

func stateOfDelivery(n world.Delivery) deliveryState {
	out := deliveryState{deliveryObject: deliver(n), Repeats: n.Repeats, Kept: n.HeldBack, Attempts: []attemptState{}}
	for _, a := range n.Attempts {
		out.Attempts = append(out.Attempts, attemptState{a, a.Cause(), a.Rightly()})
	}
	return out
}

func (d *Door) getState(r *http.Request, _ []byte) (any, error) {
	return d.state(r.Context()), nil
}

// mask leaves the two ends of what tells who somebody is.
func mask(s string) string {
	if len(s) < 8 {
		return strings.Repeat("*", len(s))
	}
	return fmt.Sprintf("%s****%s", s[:2], s[len(s)-2:])
}
