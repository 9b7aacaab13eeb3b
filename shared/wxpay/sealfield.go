package wxpay

import (
	"context"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha1" // #nosec G505 -- OAEP with SHA-1 is what WeChat Pay asks for
	"fmt"
	"time"
)

// SealField seals one sensitive field of a request for who has the private key: RSA-OAEP
// with SHA-1, in base64 (doc/v3/merchant/4013053257). SHA-1 is WeChat Pay's choice, and
// good enough in OAEP, which does not rest on collisions.
func SealField(key *rsa.PublicKey, plain string) (string, error) {
	sealed, err := rsa.EncryptOAEP(sha1.New(), rand.Reader, key, []byte(plain), nil) //nolint:gosec // the protocol's
	if err != nil {
		return "", fmt.Errorf("%w: a field cannot be sealed: %w", ErrFormat, err)
	}
	return b64.EncodeToString(sealed), nil
}

// OpenField returns what is sealed in a field, or [ErrOpen].
func OpenField(key *rsa.PrivateKey, sealed string) (string, error) {
	b, err := b64.DecodeString(sealed)
	if err != nil {
		return "", fmt.Errorf("%w: a field is not in base64", ErrOpen)
	}
	plain, err := rsa.DecryptOAEP(sha1.New(), nil, key, b, nil) //nolint:gosec // the protocol's
	if err != nil {
		return "", fmt.Errorf("%w: a field is sealed with another key", ErrOpen)
	}
	return string(plain), nil
}

// SealingKey returns the key to seal fields with, and its ID for Wechatpay-Serial: the
// preferred public key, or else the newest platform certificate that is in force. Its
// errors are those of [Keyring.Key].
func (k *Keyring) SealingKey(ctx context.Context) (serial string, key *rsa.PublicKey, err error) {
	return k.sealingKey(ctx, time.Now())
}

// sealingKey is [Keyring.SealingKey] at a given time.
func (k *Keyring) sealingKey(ctx context.Context, now time.Time) (serial string, key *rsa.PublicKey, err error) {
	if public := k.public.Load(); public.preferred != "" {
		return public.preferred, public.keys[public.preferred], nil
	}
	key, err = k.listed(ctx, now, "", func(l *listing) *rsa.PublicKey {
		newest := l.newest(now)
		serial = newest.SerialNo
		return newest.Key
	})
	return serial, key, err
}

// newest is the certificate in force that began last; zero: there is none.
func (l *listing) newest(now time.Time) (newest Certificate) {
	for serial, c := range l.certs {
		if l.key(serial, now) != nil && (newest.Key == nil || c.NotBefore.After(newest.NotBefore)) {
			newest = c
		}
	}
	return newest
}
