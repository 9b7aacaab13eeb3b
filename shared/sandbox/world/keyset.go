package world

import (
	"crypto/rand"
	"crypto/rsa"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"wxrefund/shared/wxpay"
)

const (
	// Overlap is how long, in virtual time, keys that were rotated out go on being
	// valid: merchants report seven days of either.
	Overlap = 7 * 24 * time.Hour

	// lifetime is that of a platform certificate.
	lifetime = 5 * 365 * 24 * time.Hour

	// publicKeyPrefix begins the ID of every WeChat Pay public key.
	publicKeyPrefix = "PUB_KEY_ID_"

	// maxRotations bounds how many keys are valid at a time.
	maxRotations = 8
)

// A PlatformKey is one that WeChat Pay signs with.
type PlatformKey struct {
	Serial  string // of the certificate, or the ID of the public key
	Key     *rsa.PrivateKey
	Cert    string // PEM; empty for a public key, which has none
	From    time.Time
	Expires time.Time
}

// Signer signs answers and notifications.
func (k PlatformKey) Signer() *wxpay.Platform { return &wxpay.Platform{Serial: k.Serial, Key: k.Key} }

// A keySet holds WeChat Pay's keys, of either kind the newest last. WeChat Pay has
// two kinds at the same time: platform certificates for merchants of old, and
// public keys for those who came since 2024 or have switched.
type keySet struct {
	certificates, publics []PlatformKey
}

func newKeySet(k *Keys, now time.Time) keySet {
	return keySet{
		certificates: []PlatformKey{{
			Serial: wxpay.SerialNo(k.platform.Cert), Key: k.platform.RSA(), Cert: k.platform.certPEM(),
			From: now.Add(-24 * time.Hour), Expires: now.Add(lifetime),
		}},
		publics: []PlatformKey{{Serial: k.publicID, Key: k.public, Expires: now.Add(20 * lifetime)}},
	}
}

// valid are the keys of a kind that are so at a time. The newest always is: the
// clock can be moved beyond its end, and a sandbox without keys is of no use.
func valid(keys []PlatformKey, now time.Time) []PlatformKey {
	for len(keys) > 1 && !keys[0].Expires.After(now) {
		keys = keys[1:]
	}
	return keys
}

// named finds the key that a client says it can verify with.
func (s keySet) named(serial string, now time.Time) (PlatformKey, bool) {
	for _, k := range slices.Concat(valid(s.certificates, now), valid(s.publics, now)) {
		if k.Serial == serial {
			return k, true
		}
	}
	return PlatformKey{}, false
}

// pick chooses a key of a kind. While an old one and a new one are both valid,
// chance decides each time, as during WeChat Pay's own switches: a client that
// forgets the old key on the day it learns the new one is found out.
func (s keySet) pick(public bool, now time.Time, from seededRand, about ...any) PlatformKey {
	keys := valid(s.certificates, now)
	if public {
		keys = valid(s.publics, now)
	}
	return keys[from.draw("key", about...).IntN(len(keys))]
}

func isPublic(serial string) bool { return strings.HasPrefix(serial, publicKeyPrefix) }

// ErrTooManyKeys is for rotating too often.
var ErrTooManyKeys = errors.New("sandbox: too many keys are valid already; move the clock a week on first")

// Rotate puts a new platform certificate and a new public key in force and sets
// the end of the old ones.
func (w *World) Rotate() (certificate, public PlatformKey, err error) {
	// Making RSA keys takes long, so nobody is kept waiting for it.
	var keys [2]*rsa.PrivateKey
	for i := range keys {
		if keys[i], err = rsa.GenerateKey(rand.Reader, 2048); err != nil {
			return certificate, public, fmt.Errorf("sandbox: generating a Key: %w", err)
		}
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	now := w.clock.now()
	w.keys.certificates, w.keys.publics = valid(w.keys.certificates, now), valid(w.keys.publics, now)
	if len(w.keys.publics) >= maxRotations {
		return certificate, public, ErrTooManyKeys
	}

	// Clients find the newest certificate by where its validity begins, so that is
	// a day later each time. It cannot be the virtual now: clients check it
	// against the real one.
	w.rotations++
	p, err := certify(template(platformName, validFrom.AddDate(0, 0, w.rotations)), keys[0], w.Keys.ca)
	if err != nil {
		return certificate, public, err
	}
	certificate = PlatformKey{
		Serial: wxpay.SerialNo(p.Cert), Key: keys[0], Cert: p.certPEM(),
		From: now, Expires: now.Add(lifetime),
	}
	public = PlatformKey{
		Serial: publicKeyPrefix + "01" + MchID + random(14, decimal), Key: keys[1],
		From: now, Expires: now.Add(20 * lifetime),
	}
	for _, kind := range []*[]PlatformKey{&w.keys.certificates, &w.keys.publics} {
		old := &(*kind)[len(*kind)-1]
		if end := now.Add(Overlap); end.Before(old.Expires) {
			old.Expires = end
		}
	}
	w.keys.certificates = append(w.keys.certificates, certificate)
	w.keys.publics = append(w.keys.publics, public)
	w.Log.Info("keys rotated", "certificate", certificate.Serial, "public_key", public.Serial)
	return certificate, public, nil
}

// UseKey notes which key a request says that its sender can verify with.
// Notifications are signed with the kind of key that the merchant works with: that
// of its request, else that of its last request that named any.
func (w *World) UseKey(serial string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.public = w.worksWithPublicKey(serial)
}

// worksWithPublicKey is made with w.mu held.
func (w *World) worksWithPublicKey(serial string) bool {
	if _, ok := w.keys.named(serial, w.clock.now()); ok {
		return isPublic(serial)
	}
	return w.public
}

// ReplyKey is the key that the client has asked for by its serial, else a platform
// certificate's; about tells one answer from the others.
func (w *World) ReplyKey(serial, about string) PlatformKey {
	w.mu.Lock()
	defer w.mu.Unlock()
	now := w.clock.now()
	if k, ok := w.keys.named(serial, now); ok {
		return k
	}
	return w.keys.pick(false, now, w.rand, about)
}

// PlatformKeys returns the keys of either kind that are valid now, the newest last.
func (w *World) PlatformKeys() (certificates, publics []PlatformKey) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.platformKeys(w.clock.now())
}

func (w *World) platformKeys(now time.Time) (certificates, publics []PlatformKey) {
	return slices.Clone(valid(w.keys.certificates, now)), slices.Clone(valid(w.keys.publics, now))
}
