package world

import (
	"slices"
	"time"

	"wxrefund/shared/wxpay"
)

// A Snapshot is how everything stood at one time that is not a list of what happened.
type Snapshot struct {
	Now      time.Time // virtual
	Speed    float64
	Seed     int64
	Hostile  bool
	Pace     time.Duration
	Faults   []Fault
	Keys     []Key   // none of a kind that the merchant does not have
	Merchant string  // its kind, by its keys: MerchantCertificate, ...
	Share    float64 // of how many notifications in a hundred the public key signs
}

// A Key is a key and its age, not the key itself.
type Key struct {
	Kind        string // certificate, public_key, merchant
	Serial      string
	From, Until time.Time
	Newest      bool
}

// Snapshot returns how the world stands.
func (w *World) Snapshot() Snapshot {
	w.mu.Lock()
	defer w.mu.Unlock()
	now := w.clock.now()
	return Snapshot{
		Now: now, Speed: w.cfg.Speed, Seed: w.cfg.Seed, Hostile: w.hostile, Pace: w.cfg.Pace,
		Faults: w.faultsInForce(), Keys: w.keyAges(now),
		Merchant: w.keys.change.merchant, Share: w.keys.change.share(now),
	}
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
