package world

import (
	"crypto"
	"crypto/rsa"
	"errors"
	"math"
	"slices"
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

	signer crypto.Signer // the key, or what signs as it
	used   time.Time     // from when on WeChat Pay signs with it; what it shows before, merchants can prepare for
}

// Signer signs answers and notifications.
func (k PlatformKey) Signer() *wxpay.Platform {
	return &wxpay.Platform{Serial: k.Serial, Key: k.signer}
}

// A keySet holds WeChat Pay's keys, of either kind the newest last: platform
// certificates, and public keys, none of the kind that the merchant does not have.
type keySet struct {
	change                keyChange
	certificates, publics []PlatformKey
}

func newKeySet(k *Keys, merchant string, now time.Time) keySet {
	s := keySet{change: keyChange{merchant: merchant, began: now}}
	if merchant != MerchantPublicKey {
		s.certificates = []PlatformKey{{
			Serial: wxpay.SerialNo(k.platform.Cert), Key: k.platform.RSA(), Cert: k.platform.certPEM(),
			From: now.Add(-24 * time.Hour), Expires: now.Add(lifetime), signer: k.sign(k.platform.RSA()),
		}}
	}
	if merchant != MerchantCertificate {
		s.publics = []PlatformKey{{Serial: k.publicID, Key: k.public, Expires: now.Add(20 * lifetime), signer: k.sign(k.public)}}
	}
	return s
}

// valid are the keys of a kind that are so at a time. The newest always is: the
// clock can be moved beyond its end, and a sandbox without keys is of no use.
func valid(keys []PlatformKey, now time.Time) []PlatformKey {
	for len(keys) > 1 && !keys[0].Expires.After(now) {
		keys = keys[1:]
	}
	return keys
}

// usable are the valid keys that WeChat Pay signs with, if it is asked to. Only the newest
// key can be one that it does not use yet.
func usable(keys []PlatformKey, now time.Time) []PlatformKey {
	if n := len(keys); n > 0 && keys[n-1].used.After(now) {
		keys = keys[:n-1]
	}
	return valid(keys, now)
}

// signing are those that it signs with unasked: of the newest two, which are all that a
// merchant's settings hold, those that are usable.
func signing(keys []PlatformKey, now time.Time) []PlatformKey {
	all, most := usable(keys, now), 2
	if n := len(keys); n > 0 && keys[n-1].used.After(now) {
		most = 1
	}
	return all[max(0, len(all)-most):]
}

// reply is the key that an answer is signed with: the one that the client has named,
// if the merchant has it, else one of the certificates, else a public key. So does
// WeChat Pay: who names a public key before its switch has begun, or what is no key at
// all, is answered with a certificate's signature and not refused (developers.weixin.qq.com
// community/develop/doc/0004e8c40b09182972936db6d69400, WxJava#3454).
func (s keySet) reply(serial string, now time.Time, from seededRand, about ...any) PlatformKey {
	for _, k := range slices.Concat(usable(s.certificates, now), usable(s.publics, now)) {
		if k.Serial == serial {
			return k
		}
	}
	keys := s.certificates
	if len(keys) == 0 {
		keys = s.publics
	}
	return pick(signing(keys, now), from, about...)
}

// notification is the key that a send of a notification is signed with.
func (s keySet) notification(id string, send int, now time.Time, from seededRand) PlatformKey {
	keys := s.certificates
	if from.draw("key kind", id).Float64()*100 < s.change.share(now) {
		keys = s.publics
	}
	return pick(signing(keys, now), from, id, send)
}

// pick chooses a key of a kind. While an old one and a new one are both valid,
// chance decides each time, as when WeChat Pay changes certificates: a client that
// forgets the old key on the day it learns the new one is found out.
func pick(keys []PlatformKey, from seededRand, about ...any) PlatformKey {
	return keys[from.draw("key", about...).IntN(len(keys))]
}

// Errors of rotating too often.
var (
	ErrTooManyKeys = errors.New("sandbox: too many keys are valid already; move the clock a week on first")
	ErrUnusedKeys  = errors.New("sandbox: there are new keys that nothing is signed with yet; move the clock on first")
)

// Rotate puts a new platform certificate and a new public key in force, as far as
// the merchant has either, and sets the end of the old ones. What the merchant does
// not have is zero. Nothing is signed with the new keys for some virtual time, and in
// any case not before [Config.Rotated] has returned: WeChat Pay, too, shows a certificate
// 24 hours before it uses it.
func (w *World) Rotate(in time.Duration) (certificate, public PlatformKey, err error) {
	w.rotating.Lock()
	defer w.rotating.Unlock()
	keys, err := generateRSA(2) // before the lock, so that nobody is kept waiting for it
	if err != nil {
		return certificate, public, err
	}
	certificate, public, err = w.announce(keys[0], keys[1], in)
	if err != nil {
		return certificate, public, err
	}
	if w.cfg.Rotated != nil {
		w.cfg.Rotated()
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	used := w.clock.now().Add(in)
	for _, kind := range w.keys.kinds() {
		(*kind)[len(*kind)-1].used = used
	}
	w.Log.Info("keys rotated", "certificate", certificate.Serial, "public_key", public.Serial)
	return certificate, public, nil
}

// kinds are the lists of keys of the kinds that the merchant has.
func (s *keySet) kinds() []*[]PlatformKey {
	return slices.DeleteFunc([]*[]PlatformKey{&s.certificates, &s.publics}, func(keys *[]PlatformKey) bool { return len(*keys) == 0 })
}

// announce adds new keys, and sets the end of the old ones.
func (w *World) announce(forCertificate, forPublic *rsa.PrivateKey, in time.Duration) (certificate, public PlatformKey, err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	now := w.clock.now()
	for _, kind := range w.keys.kinds() {
		*kind = valid(*kind, now)
		switch n := len(*kind); {
		case n >= maxRotations:
			return certificate, public, ErrTooManyKeys
		case (*kind)[n-1].used.After(now):
			return certificate, public, ErrUnusedKeys
		}
	}
	if len(w.keys.certificates) > 0 {
		// Clients find the newest certificate by where its validity begins, so that is
		// a day later each time. It cannot be the virtual now: clients check it
		// against the real one.
		w.rotations++
		p, err := certify(template(platformName, validFrom.AddDate(0, 0, w.rotations)), forCertificate, w.Keys.ca)
		if err != nil {
			return certificate, public, err
		}
		certificate = PlatformKey{
			Serial: wxpay.SerialNo(p.Cert), Key: forCertificate, Cert: p.certPEM(),
			From: now, Expires: now.Add(lifetime), used: never(now), signer: w.Keys.sign(forCertificate),
		}
		succeed(&w.keys.certificates, certificate, in)
	}
	if len(w.keys.publics) > 0 {
		public = PlatformKey{
			Serial: publicKeyPrefix + "01" + MchID + random(14, decimal), Key: forPublic,
			From: now, Expires: now.Add(20 * lifetime), used: never(now), signer: w.Keys.sign(forPublic),
		}
		succeed(&w.keys.publics, public, in)
	}
	return certificate, public, nil
}

// never is beyond whatever the clock is moved to.
func never(now time.Time) time.Time { return now.Add(math.MaxInt64) }

// succeed adds the newest of a kind, which is to be used in some time, and sets the end of
// the one before.
func succeed(keys *[]PlatformKey, next PlatformKey, in time.Duration) {
	old := &(*keys)[len(*keys)-1]
	if end := next.From.Add(in + Overlap); end.Before(old.Expires) {
		old.Expires = end
	}
	*keys = append(*keys, next)
}

// ReplyKey is the key that an answer is signed with: serial is that of the key which
// the client has named, and about tells one answer from the others.
func (w *World) ReplyKey(serial, about string) PlatformKey {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.keys.reply(serial, w.clock.now(), w.rand, about)
}

// PlatformKeys returns the keys of either kind that are valid now, the newest last;
// none of a kind that the merchant does not have.
func (w *World) PlatformKeys() (certificates, publics []PlatformKey) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.platformKeys(w.clock.now())
}

func (w *World) platformKeys(now time.Time) (certificates, publics []PlatformKey) {
	return slices.Clone(valid(w.keys.certificates, now)), slices.Clone(valid(w.keys.publics, now))
}
