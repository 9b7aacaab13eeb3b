package world

import (
	"slices"
	"time"

	"wxrefund/shared/wxpay"
)

// A Snapshot is how everything stood at one time, for people to look at.
type Snapshot struct {
	Now           time.Time // virtual
	Speed         float64
	Seed          int64
	Hostile       bool
	Pace          time.Duration
	Orders        []Order               // the newest first
	Refunds       []Refund              // the newest first, then those that were asked for besides
	Notifications []Delivery            // the newest first
	About         map[string][]Delivery // all about each of Refunds, by its number, the oldest first
	Older         int                   // how many refunds are left out
	Faults        []Fault
	Keys          []Key
}

// A Key is a key and its age, not the key itself.
type Key struct {
	Kind        string // certificate, public_key, merchant
	Serial      string
	From, Until time.Time
	Newest      bool
}

// Snapshot returns the newest of everything, at most so many of each, and the
// refunds besides that have one of the numbers.
func (w *World) Snapshot(most int, numbers ...string) Snapshot {
	w.mu.Lock()
	defer w.mu.Unlock()
	now := w.clock.now()
	out := Snapshot{
		Now: now, Speed: w.cfg.Speed, Seed: w.cfg.Seed, Hostile: w.hostile, Pace: w.cfg.Pace,
		About: map[string][]Delivery{}, Older: max(0, len(w.accepted)-most), Faults: w.faultsInForce(), Keys: w.keyAges(now),
	}
	for _, o := range newest(w.orders, most) {
		out.Orders = append(out.Orders, o.snapshot())
	}
	for _, d := range newest(w.notifications, most) {
		out.Notifications = append(out.Notifications, d.snapshot())
	}
	shown := map[string]bool{}
	for _, r := range newest(w.accepted, most) {
		out.Refunds = append(out.Refunds, r.snapshot())
		shown[r.application.OutRefundNo] = true
	}
	for _, no := range numbers {
		if r := w.refunds[no]; r != nil && !shown[no] {
			out.Refunds = append(out.Refunds, r.snapshot())
			shown[no] = true
			out.Older--
		}
	}
	for _, d := range w.notifications {
		if shown[d.outRefundNo] {
			out.About[d.outRefundNo] = append(out.About[d.outRefundNo], d.snapshot())
		}
	}
	return out
}

// newest returns the last of a list, the newest first.
func newest[T any](all []T, most int) []T {
	out := slices.Clone(all[max(0, len(all)-most):])
	slices.Reverse(out)
	return out
}

// keyAges is made with w.mu held.
func (w *World) keyAges(now time.Time) []Key {
	merchant := w.Keys.Merchant.Cert
	out := []Key{{"merchant", wxpay.SerialNo(merchant), w.born, merchant.NotAfter, true}}
	certificates, publics := w.platformKeys(now)
	for _, kind := range []struct {
		name string
		keys []PlatformKey
	}{{"certificate", certificates}, {"public_key", publics}} {
		for i, k := range slices.Backward(kind.keys) {
			from := k.From
			if from.Before(w.born) {
				from = w.born
			}
			out = append(out, Key{kind.name, k.Serial, from, k.Expires, i == len(kind.keys)-1})
		}
	}
	return out
}
