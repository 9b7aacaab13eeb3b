package sandbox

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"wxrefund/shared/wxpay"
)

// shown is how many orders, refunds and deliveries a state holds at most of each,
// the newest.
const shown = 200

// oursTime bounds how long our side's ledger may take to be read.
const oursTime = 2 * time.Second

// A stateObject is all that the console shows: WeChat's books, ours beside them,
// and what is on the agenda. There are no secrets in it, and of personal data
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
	Faults        []faultObject   `json:"faults"`
	Known         knownFaults     `json:"known"`
	Keys          []keyState      `json:"keys"`
	OursError     string          `json:"ours_error,omitempty"` // why our side's records cannot be shown
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
	attempt
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

// state reads everything at one moment; our side's books are read just before.
func (s *Sandbox) state(ctx context.Context) stateObject {
	var ours []OurRefund
	var err error
	if s.cfg.Ours != nil {
		ctx, cancel := context.WithTimeout(ctx, oursTime)
		ours, err = s.cfg.Ours(ctx, shown)
		cancel()
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.clock.now()
	out := stateObject{
		Now: stampMS(now), Speed: s.cfg.Speed, Seed: s.cfg.Seed, Channel: s.cfg.Channel, Hostile: s.hostile, Pace: max(0, s.cfg.Pace).Seconds(),
		Orders: []orderState{}, Notifications: []deliveryState{}, Faults: s.faultList().Faults, Keys: s.keyStates(now),
		Known: knownFaults{
			Upstream: names(upstreamFaults, func(f upstreamFault) string { return f.name }),
			Notify:   names(noticeFaults, func(f noticeFault) string { return f.name }),
			ErrCode:  allCodes,
		},
	}
	if err != nil {
		out.OursError = "our side's ledger cannot be read: " + err.Error()
	}
	for _, d := range schedule {
		out.Schedule = append(out.Schedule, int64(d/time.Second))
	}
	for _, o := range newest(s.orders) {
		out.Orders = append(out.Orders, o.view())
	}
	for _, d := range newest(s.notifications) {
		out.Notifications = append(out.Notifications, d.view())
	}
	out.Refunds, out.Older = s.refundStates(ours)
	return out
}

// newest returns the last of a list, the newest first.
func newest[T any](all []T) []T {
	out := slices.Clone(all[max(0, len(all)-shown):])
	slices.Reverse(out)
	return out
}

func (o *order) view() orderState {
	out := orderState{
		OutTradeNo: o.outTradeNo, TransactionID: o.transactionID, Total: o.total, Currency: o.currency,
		OpenID: mask(o.openID), At: stampMS(o.paid), Remaining: o.left(),
	}
	for _, r := range o.refunds {
		if r.status == statusSuccess {
			out.Refunded += r.application.Amount.Refund
		}
	}
	out.Open = o.total - out.Refunded - out.Remaining
	return out
}

func (d *delivery) view() deliveryState {
	out := deliveryState{deliveryObject: d.object(), Repeats: d.repeats, Kept: d.kept, Attempts: []attemptState{}}
	for _, a := range d.attempts {
		out.Attempts = append(out.Attempts, attemptState{a, a.cause()})
	}
	return out
}

// keyStates is made with s.mu held.
func (s *Sandbox) keyStates(now time.Time) []keyState {
	out := []keyState{{
		Kind: "merchant", Serial: wxpay.SerialNo(s.keys.merchant.cert), From: stampMS(s.born), Until: stampMS(s.keys.merchant.cert.NotAfter), Newest: true,
	}}
	for _, kind := range []struct {
		name string
		keys []platformKey
	}{{"certificate", s.ring.certificates}, {"public_key", s.ring.publics}} {
		keys := valid(kind.keys, now)
		for i, k := range slices.Backward(keys) {
			from := k.from
			if from.Before(s.born) {
				from = s.born
			}
			out = append(out, keyState{kind.name, k.serial, stampMS(from), stampMS(k.expires), i == len(keys)-1})
		}
	}
	return out
}

// causes say in a word why a receiver did not acknowledge a notification that nothing
// was done to. The console has a sentence for each.
var causes = map[int]string{0: "no_answer", 400: "malformed", 401: "not_verified", 413: "too_large", 503: "unavailable"}

// cause says in a word why an attempt failed: from what the sandbox did to the
// notification, where it did something, else from the answer.
func (a attempt) cause() string {
	switch {
	case a.Error == "":
		return ""
	case a.Fault != "" && a.Status == 200:
		return "believed"
	case a.Fault != "" && (a.Status == 400 || a.Status == 401):
		return a.why
	case a.Status == 401 && a.newKey:
		return "new_key"
	case causes[a.Status] != "":
		return causes[a.Status]
	case a.Status == 200 || a.Status == 204:
		return "not_success"
	}
	return "status"
}

// mask leaves the two ends of what tells who somebody is.
func mask(s string) string {
	if len(s) < 8 {
		return strings.Repeat("*", len(s))
	}
	return fmt.Sprintf("%s****%s", s[:2], s[len(s)-2:])
}

// stampMS writes a time to the millisecond.
func stampMS(t time.Time) string { return t.In(china).Format("2006-01-02T15:04:05.000Z07:00") }
