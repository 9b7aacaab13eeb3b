package sandbox

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
	// overlap is how long, in virtual time, keys that were rotated out go on being
	// valid: merchants report seven days of either.
	overlap = 7 * 24 * time.Hour

	// lifetime is that of a platform certificate.
	lifetime = 5 * 365 * 24 * time.Hour

	// publicKeyPrefix begins the ID of every WeChat Pay public key.
	publicKeyPrefix = "PUB_KEY_ID_"

	// maxRotations bounds how many keys are valid at a time.
	maxRotations = 8
)

// A platformKey is one that WeChat Pay signs with.
type platformKey struct {
	serial  string // of the certificate, or the ID of the public key
	key     *rsa.PrivateKey
	cert    string // PEM; empty for a public key, which has none
	from    time.Time
	expires time.Time
}

func (k platformKey) signer() *wxpay.Platform { return &wxpay.Platform{Serial: k.serial, Key: k.key} }

// A ring holds WeChat Pay's keys, of either kind the newest last. WeChat Pay has
// two kinds at the same time: platform certificates for merchants of old, and
// public keys for those who came since 2024 or have switched.
type ring struct {
	certificates, publics []platformKey
}

func newRing(k *Keys, now time.Time) ring {
	return ring{
		certificates: []platformKey{{
			serial: wxpay.SerialNo(k.platform.cert), key: k.platform.rsa(), cert: k.platform.certPEM(),
			from: now.Add(-24 * time.Hour), expires: now.Add(lifetime),
		}},
		publics: []platformKey{{serial: k.publicID, key: k.public, expires: now.Add(20 * lifetime)}},
	}
}

// valid are the keys of a kind that are so at a time. The newest always is: the
// clock can be moved beyond its end, and a sandbox without keys is of no use.
func valid(keys []platformKey, now time.Time) []platformKey {
	for len(keys) > 1 && !keys[0].expires.After(now) {
		keys = keys[1:]
	}
	return keys
}

// named finds the key that a client says it can verify with.
func (r ring) named(serial string, now time.Time) (platformKey, bool) {
	for _, k := range slices.Concat(valid(r.certificates, now), valid(r.publics, now)) {
		if k.serial == serial {
			return k, true
		}
	}
	return platformKey{}, false
}

// pick chooses a key of a kind. While an old one and a new one are both valid,
// chance decides each time, as during WeChat Pay's own switches: a client that
// forgets the old key on the day it learns the new one is found out.
func (r ring) pick(public bool, now time.Time, d dice, about ...any) platformKey {
	keys := valid(r.certificates, now)
	if public {
		keys = valid(r.publics, now)
	}
	return keys[d.throw("key", about...).IntN(len(keys))]
}

func (r ring) newest() (certificate, public platformKey) {
	return r.certificates[len(r.certificates)-1], r.publics[len(r.publics)-1]
}

func isPublic(serial string) bool { return strings.HasPrefix(serial, publicKeyPrefix) }

var errTooManyKeys = errors.New("sandbox: too many keys are valid already; move the clock a week on first")

// rotate puts a new platform certificate and a new public key in force and sets
// the end of the old ones.
func (s *Sandbox) rotate() (certificate, public platformKey, err error) {
	// Making RSA keys takes long, so nobody is kept waiting for it.
	var keys [2]*rsa.PrivateKey
	for i := range keys {
		if keys[i], err = rsa.GenerateKey(rand.Reader, 2048); err != nil {
			return certificate, public, fmt.Errorf("sandbox: generating a key: %w", err)
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.clock.now()
	s.ring.certificates, s.ring.publics = valid(s.ring.certificates, now), valid(s.ring.publics, now)
	if len(s.ring.publics) >= maxRotations {
		return certificate, public, errTooManyKeys
	}

	// Clients find the newest certificate by where its validity begins, so that is
	// a day later each time. It cannot be the virtual now: clients check it
	// against the real one.
	s.rotations++
	p, err := certify(template(platformName, validFrom.AddDate(0, 0, s.rotations)), keys[0], s.keys.ca)
	if err != nil {
		return certificate, public, err
	}
	certificate = platformKey{
		serial: wxpay.SerialNo(p.cert), key: keys[0], cert: p.certPEM(),
		from: now, expires: now.Add(lifetime),
	}
	public = platformKey{
		serial: publicKeyPrefix + "01" + mchID + random(14, decimal), key: keys[1],
		from: now, expires: now.Add(20 * lifetime),
	}
	for _, kind := range []*[]platformKey{&s.ring.certificates, &s.ring.publics} {
		old := &(*kind)[len(*kind)-1]
		if end := now.Add(overlap); end.Before(old.expires) {
			old.expires = end
		}
	}
	s.ring.certificates = append(s.ring.certificates, certificate)
	s.ring.publics = append(s.ring.publics, public)
	s.log.Info("keys rotated", "certificate", certificate.serial, "public_key", public.serial)
	return certificate, public, nil
}
