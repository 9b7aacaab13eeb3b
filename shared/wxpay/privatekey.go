package wxpay

import (
	"crypto"
	"crypto/rsa"
	"crypto/x509"
	"fmt"
	"io"
	"log/slog"

	"wxrefund/shared/secret"
)

// A PrivateKey is an RSA key of the merchant's, a [crypto.Signer]. It may be used
// by many at the same time. Logging one is harmless.
type PrivateKey struct{ key *rsa.PrivateKey }

// Public returns an [*rsa.PublicKey].
func (k *PrivateKey) Public() crypto.PublicKey { return k.key.Public() }

// Sign is [rsa.PrivateKey.Sign].
func (k *PrivateKey) Sign(random io.Reader, digest []byte, opts crypto.SignerOpts) ([]byte, error) {
	return k.key.Sign(random, digest, opts)
}

const hiddenKey = "[private key]"

// Format hides the key, whatever the verb.
func (k *PrivateKey) Format(f fmt.State, _ rune) { secret.Mask(f, hiddenKey) }

// LogValue hides the key, from slog.
func (k *PrivateKey) LogValue() slog.Value { return slog.StringValue(hiddenKey) }

// ParsePrivateKey reads the merchant's private key from PEM text: PKCS #8 as
// WeChat Pay's tool writes it, or PKCS #1. Line feeds may be written as \n, for
// the sake of environment variables. A fault is [ErrFormat]; its text never
// holds anything of the key.
//
// crypto/x509 checks that the key's numbers belong together. In a process that has
// just started that takes some 0.2 ms, which every start pays: a key that is wrong
// must be named with all else that is wrong in the settings, and not by the first
// refund.
func ParsePrivateKey(text string) (*PrivateKey, error) {
	const what = "private key"
	block, err := decodePEM(text, what, "PRIVATE KEY", "RSA PRIVATE KEY")
	if err != nil {
		return nil, err
	}
	var key *rsa.PrivateKey
	if block.Type == "RSA PRIVATE KEY" {
		key, err = x509.ParsePKCS1PrivateKey(block.Bytes)
	} else {
		var any any
		any, err = x509.ParsePKCS8PrivateKey(block.Bytes)
		key, _ = any.(*rsa.PrivateKey)
	}
	if err != nil || key == nil { // why it is none is not said: that depends on the bytes
		return nil, fmt.Errorf("%w %s: not a valid RSA key", ErrFormat, what)
	}
	if err := checkBits(&key.PublicKey, what); err != nil {
		return nil, err
	}
	return &PrivateKey{key}, nil
}
