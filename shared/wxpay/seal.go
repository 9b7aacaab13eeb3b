package wxpay

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"encoding/base64"
	"fmt"
	"log/slog"

	"wxrefund/shared/secret"
)

// algorithm is the only way of sealing that we open: AES-256 in Galois/counter
// mode, the tag behind the ciphertext, in base64 (doc/v3/merchant/4012082053,
// after RFC 5116).
const algorithm = "AEAD_AES_256_GCM"

const (
	keySize   = 32 // bytes
	nonceSize = 12 // bytes; crypto/cipher panics on any other
	tagSize   = 16 // bytes
)

// An APIv3Key is the secret that a merchant shares with WeChat Pay to seal
// notifications and platform certificates. It keeps only the expanded cipher,
// so that opening many notifications expands the key once, and shows it to nobody. The
// zero value opens nothing.
type APIv3Key struct {
	aead secret.Value[cipher.AEAD]
	old  secret.Value[cipher.AEAD] // opens as well, if there is one
}

// ParseAPIv3Key makes a key of its text: exactly 32 bytes, else [ErrFormat]. A
// key of another length is found out here, at start, and not by the first notification.
func ParseAPIv3Key(s string) (APIv3Key, error) {
	if len(s) != keySize {
		return APIv3Key{}, fmt.Errorf("%w APIv3 key: %d bytes instead of %d", ErrFormat, len(s), keySize)
	}
	block, err := aes.NewCipher([]byte(s))
	if err != nil {
		return APIv3Key{}, fmt.Errorf("%w APIv3 key: %w", ErrFormat, err)
	}
	aead, err := cipher.NewGCM(block)
	if err != nil {
		return APIv3Key{}, fmt.Errorf("%w APIv3 key: %w", ErrFormat, err)
	}
	return APIv3Key{aead: secret.Hide(aead)}, nil
}

// Or returns a key that seals as k and opens what was sealed with k or with old.
// While a merchant changes its key, WeChat Pay repeats notifications that it has sealed
// with the one before.
func (k APIv3Key) Or(old APIv3Key) APIv3Key {
	if k.aead.Reveal() == nil {
		return old
	}
	return APIv3Key{aead: k.aead, old: old.aead}
}

// String hides the key.
func (k APIv3Key) String() string { return "[APIv3 key]" }

// Format hides the key, whatever the verb.
func (k APIv3Key) Format(f fmt.State, _ rune) { secret.Mask(f, k.String()) }

// LogValue hides the key.
func (k APIv3Key) LogValue() slog.Value { return slog.StringValue(k.String()) }

// A Resource is sealed: the confidential part of a notification or a platform certificate.
type Resource struct {
	OriginalType   string `json:"original_type,omitempty"` // what is inside, "refund"; platform certificates do not say
	Algorithm      string `json:"algorithm"`               // AEAD_AES_256_GCM
	Ciphertext     string `json:"ciphertext"`              // base64
	Nonce          string `json:"nonce"`                   // 12 bytes
	AssociatedData string `json:"associated_data"`         // may be empty or absent
}

// Open returns what is sealed in r, or [ErrOpen]. Whoever could seal it knows the
// key, so success proves where r is from, though not when.
//
// Every length is tested here, since crypto/cipher answers a nonce of the wrong
// one with a panic.
func (k APIv3Key) Open(r Resource) ([]byte, error) {
	switch {
	case k.aead.Reveal() == nil:
		return nil, fmt.Errorf("%w: no key", ErrOpen)
	case r.Algorithm != algorithm:
		return nil, fmt.Errorf("%w: algorithm is not %s", ErrOpen, algorithm)
	case len(r.Nonce) != nonceSize:
		return nil, fmt.Errorf("%w: nonce of %d bytes instead of %d", ErrOpen, len(r.Nonce), nonceSize)
	}
	// Nonce, associated data and ciphertext share one allocation, and the plain
	// text takes the place of the ciphertext. If the tag is wrong, Open has wiped
	// it before it returns: nobody gets to see unauthenticated text.
	fixed := nonceSize + len(r.AssociatedData)
	buf := make([]byte, fixed+b64.DecodedLen(len(r.Ciphertext)))
	copy(buf, r.Nonce)
	copy(buf[nonceSize:], r.AssociatedData)
	for _, aead := range []cipher.AEAD{k.aead.Reveal(), k.old.Reveal()} {
		if aead == nil {
			continue
		}
		n, err := b64.Decode(buf[fixed:], []byte(r.Ciphertext)) // again for the second, since the first has wiped it
		if err != nil {
			return nil, fmt.Errorf("%w: ciphertext is not in base64", ErrOpen)
		}
		if n < tagSize {
			return nil, fmt.Errorf("%w: ciphertext of %d bytes is shorter than its tag", ErrOpen, n)
		}
		sealed := buf[fixed : fixed+n]
		if plain, err := aead.Open(sealed[:0], buf[:nonceSize], sealed, buf[nonceSize:fixed]); err == nil {
			return plain, nil
		}
	}
	return nil, fmt.Errorf("%w: altered, or sealed with another key", ErrOpen)
}

// Seal seals plain as WeChat Pay does. originalType and associatedData go along
// in the clear; only the latter is protected from being changed. The only error
// is a zero key.
func (k APIv3Key) Seal(originalType, associatedData string, plain []byte) (Resource, error) {
	// Nine random bytes make twelve printable ones. Those 72 bits are what WeChat
	// Pay's own nonces have; they would begin to collide after 2^36 notifications.
	var random [9]byte
	rand.Read(random[:]) // never fails
	return k.seal(originalType, associatedData, plain, base64.RawURLEncoding.EncodeToString(random[:]))
}

// seal is [APIv3Key.Seal] without the chance. nonce has nonceSize bytes.
func (k APIv3Key) seal(originalType, associatedData string, plain []byte, nonce string) (Resource, error) {
	if k.aead.Reveal() == nil {
		return Resource{}, fmt.Errorf("%w: no key to seal with", ErrFormat)
	}
	sealed := k.aead.Reveal().Seal(nil, []byte(nonce), plain, []byte(associatedData))
	return Resource{
		OriginalType:   originalType,
		Algorithm:      algorithm,
		Ciphertext:     b64.EncodeToString(sealed),
		Nonce:          nonce,
		AssociatedData: associatedData,
	}, nil
}
