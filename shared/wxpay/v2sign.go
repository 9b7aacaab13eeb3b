package wxpay

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hmac"
	"crypto/md5" // #nosec G501 -- v2 is made of it; HMAC-SHA256 is there to be chosen
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"

	"wxrefund/shared/secret"
)

// An APIKey is the secret with which merchant and WeChat Pay sign v2 messages, and
// under which req_info is sealed. It is not the [APIv3Key], though a merchant may
// have set both to the same. The zero value signs, verifies and opens nothing.
type APIKey struct {
	secret secret.Value[*apiSecret]
	old    secret.Value[*apiSecret] // verifies and opens as well, if there is one
}

type apiSecret struct {
	text string
	seal cipher.Block // of req_info
}

// ParseAPIKey makes a key of its text: exactly 32 bytes, else [ErrFormat].
func ParseAPIKey(s string) (APIKey, error) {
	if len(s) != keySize {
		return APIKey{}, fmt.Errorf("%w API key: %d bytes instead of %d", ErrFormat, len(s), keySize)
	}
	digest := md5.Sum([]byte(s)) // #nosec G401
	block, err := aes.NewCipher([]byte(hex.EncodeToString(digest[:])))
	if err != nil {
		return APIKey{}, fmt.Errorf("%w API key: %w", ErrFormat, err)
	}
	return APIKey{secret: secret.Hide(&apiSecret{s, block})}, nil
}

// Or returns a key that signs and seals as k, and verifies and opens what was made
// with k or with old: while a merchant changes its key, there is still some of that
// on its way.
func (k APIKey) Or(old APIKey) APIKey {
	if k.secret.Reveal() == nil {
		return old
	}
	return APIKey{secret: k.secret, old: old.secret}
}

// each is the keys that k verifies and opens with, the newest first.
func (k APIKey) each() []APIKey {
	if k.old.Reveal() == nil {
		return []APIKey{k}
	}
	return []APIKey{{secret: k.secret}, {secret: k.old}}
}

// String hides the key.
func (k APIKey) String() string { return "[API key]" }

// Format hides the key, whatever the verb.
func (k APIKey) Format(f fmt.State, _ rune) { secret.Mask(f, k.String()) }

// LogValue hides the key.
func (k APIKey) LogValue() slog.Value { return slog.StringValue(k.String()) }

// A SignType is how v2 messages are signed. A merchant uses one of the two; the
// messages do not reliably say which.
type SignType string

// The sign types, as they are written in sign_type. WeChat Pay takes a request
// that names none for one with MD5.
const (
	SignMD5        SignType = "MD5"
	SignHMACSHA256 SignType = "HMAC-SHA256"
)

const (
	fieldSign     = "sign"
	fieldSignType = "sign_type"
)

// Sign returns the signature of f, to be put into its field sign; what is there
// is not signed, and neither are empty fields (wiki/doc/api, 4_3). If t is not
// [SignMD5], a request must say so in sign_type, before it is signed.
//
// An error is [ErrFormat]: the key is the zero one, t is unknown or not what
// sign_type says, or f holds what [Fields.XML] cannot carry, so that what is sent
// would not be what was signed. Nothing is quoted.
func (k APIKey) Sign(f Fields, t SignType) (string, error) {
	for name, value := range f {
		if !isName(name) || clean(value) != value {
			return "", fmt.Errorf("%w v2 message: not fit for XML", ErrFormat)
		}
	}
	if said := f[fieldSignType]; said != "" && said != string(t) {
		return "", fmt.Errorf("%w v2 message: sign_type is not that of the signature", ErrFormat)
	}
	return k.sign(f, t)
}

// sign is [APIKey.Sign] without a look at f.
func (k APIKey) sign(f Fields, t SignType) (string, error) {
	if k.secret.Reveal() == nil {
		return "", fmt.Errorf("%w: no key to sign with", ErrFormat)
	}
	m := k.message(f)
	switch t {
	case SignMD5:
		digest := md5.Sum(m) // #nosec G401
		return fmt.Sprintf("%X", digest), nil
	case SignHMACSHA256:
		// The key is in the message and the key of the HMAC as well.
		h := hmac.New(sha256.New, []byte(k.secret.Reveal().text))
		h.Write(m)
		return fmt.Sprintf("%X", h.Sum(nil)), nil
	}
	return "", fmt.Errorf("%w: unknown sign type", ErrFormat)
}

// message returns what is signed: name=value of all fields that are not empty, in
// the order of the names' bytes, and the key.
func (k APIKey) message(f Fields) []byte {
	var m []byte
	for _, name := range slices.Sorted(maps.Keys(f)) {
		if f[name] != "" && name != fieldSign {
			m = append(append(append(append(m, name...), '='), f[name]...), '&')
		}
	}
	return append(append(m, "key="...), k.secret.Reveal().text...)
}

// Verify says whether who signed f knows the key: nil or [ErrSignature]. It is
// for what WeChat Pay answers, and stricter than WeChat Pay itself, which verifies
// requests as [APIKey.VerifyRequest] does. t is what the merchant has configured.
// What a message says of its own sign type is only held against that: a forger
// could else choose MD5.
//
// A message that can be read in two ways is refused (see ambiguous), since a
// forger who sits in the connection profits of that without the key: of a genuine
// answer they make one that hides fields in the value before them, such as the
// total_refund_count that says that more refunds were made, or the fee of one of
// them. No honest answer is lost by it. The values in answers are numbers of
// refunds and orders, amounts, words and times of WeChat Pay's; nothing that
// people write, such as refund_desc, is in them, and the characters of numbers
// (WeChat Pay Global, Submit Refund) have neither & nor =.
//
// Nothing in a v2 message tells when it was signed. Whoever has seen one can play
// it back for ever; an answer is therefore believed for the connection that it
// came over as well.
func (k APIKey) Verify(f Fields, t SignType) error {
	if f.ambiguous() {
		return fmt.Errorf("%w: a value may be taken for several fields", ErrSignature)
	}
	return k.VerifyRequest(f, t)
}

// VerifyRequest is [APIKey.Verify] for requests, as WeChat Pay verifies them: the
// fields that were received are signed again and compared, whatever they hold. So
// a merchant may give "x&z=1" for a reason. Who would send the same signature with
// the fields divided otherwise must break into a connection that the merchant's
// certificate guards, and gains nothing there. The only text that a customer may
// have written is refund_desc, and the next field in order is refund_fee, which
// must be there: what is split off refund_desc sorts before it and is no field, or
// is refund_fee a second time; and refund_fee hidden is refund_fee missing.
func (k APIKey) VerifyRequest(f Fields, t SignType) error {
	if said := f[fieldSignType]; said != "" && said != string(t) {
		return fmt.Errorf("%w: signed otherwise than with the sign type configured", ErrSignature)
	}
	if f[fieldSign] == "" {
		return fmt.Errorf("%w: there is none", ErrSignature)
	}
	for _, key := range k.each() {
		want, err := key.sign(f, t)
		if err != nil {
			return fmt.Errorf("%w: %w", ErrSignature, err)
		}
		if subtle.ConstantTimeCompare([]byte(f[fieldSign]), []byte(want)) == 1 {
			return nil
		}
	}
	return ErrSignature
}

// ambiguous reports whether another message has the same signature as f. Nothing
// is escaped in what is signed, so that a field a with the value "1&b=2" signs
// like a=1 and b=2. The names being sorted, a name behind an & can begin a field
// only if it is greater than the name of the field it stands in; where none is,
// there is one way to read what was signed.
func (f Fields) ambiguous() bool {
	for name, value := range f {
		if !isName(name) {
			return true
		}
		for _, part := range strings.Split(value, "&")[1:] {
			if other, _, ok := strings.Cut(part, "="); ok && isName(other) && other > name {
				return true
			}
		}
	}
	return false
}
