package wxpay

import (
	"crypto"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"fmt"
	"io"
	"log/slog"
	"math/big"
	"sync"

	"wxrefund/shared/secret"
)

// A PrivateKey is an RSA key of the merchant's, a [crypto.Signer]. It may be used
// by many at the same time. Logging one is harmless.
type PrivateKey struct {
	public *rsa.PublicKey
	whole  func() (*rsa.PrivateKey, error) // made once, by whoever is the first to need it
}

// Public returns an [*rsa.PublicKey].
func (k *PrivateKey) Public() crypto.PublicKey { return k.public }

// Sign is [rsa.PrivateKey.Sign], or the error of [PrivateKey.Check].
func (k *PrivateKey) Sign(random io.Reader, digest []byte, opts crypto.SignerOpts) ([]byte, error) {
	key, err := k.whole()
	if err != nil {
		return nil, err
	}
	return key.Sign(random, digest, opts)
}

// Check says whether the key's numbers belong together, which [ParsePrivateKey] does not
// compute: nil, or an [ErrFormat].
func (k *PrivateKey) Check() error {
	_, err := k.whole()
	return err
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
// It looks at the form alone: a file that is another, cut off, damaged where it
// is read, or of another kind of key is named with all else that is wrong in the
// settings. That the numbers belong together is computed by the first signature, or
// by [PrivateKey.Check]: in a process that has just started that takes some 0.2 ms,
// which a denied call and a forged notification need not wait for.
func ParsePrivateKey(text string) (*PrivateKey, error) {
	const what = "private key"
	block, err := decodePEM(text, what, "PRIVATE KEY", "RSA PRIVATE KEY")
	if err != nil {
		return nil, err
	}
	wrong := fmt.Errorf("%w %s: not a valid RSA key", ErrFormat, what) // why it is none is not said: that depends on the bytes
	pkcs1 := block.Type == "RSA PRIVATE KEY"
	public := publicHalf(block.Bytes, pkcs1)
	if public == nil {
		return nil, wrong
	}
	if err := checkBits(public, what); err != nil {
		return nil, err
	}
	return &PrivateKey{public, sync.OnceValues(func() (*rsa.PrivateKey, error) {
		if key := wholeKey(block.Bytes, pkcs1); key != nil {
			return key, nil
		}
		return nil, wrong
	})}, nil
}

// wholeKey is the key that der holds; nil if it holds none.
func wholeKey(der []byte, pkcs1 bool) *rsa.PrivateKey {
	var key any
	var err error
	if pkcs1 {
		key, err = x509.ParsePKCS1PrivateKey(der)
	} else {
		key, err = x509.ParsePKCS8PrivateKey(der)
	}
	private, ok := key.(*rsa.PrivateKey)
	if err != nil || !ok {
		return nil
	}
	return private
}

// publicHalf reads the public half of the private key that der should hold, and sees that
// the rest is there; nil if der has another form. It refuses nothing that [wholeKey] takes.
func publicHalf(der []byte, pkcs1 bool) *rsa.PublicKey {
	if !pkcs1 {
		var key struct { // RFC 5208
			Version   int
			Algorithm pkix.AlgorithmIdentifier
			Key       []byte
		}
		if _, err := asn1.Unmarshal(der, &key); err != nil || !key.Algorithm.Algorithm.Equal(asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 1, 1}) {
			return nil
		}
		der = key.Key
	}
	var key struct { // RFC 8017, A.1.2; what may follow is not looked at
		Version int
		N       *big.Int
		E       int
		D, P, Q *big.Int
	}
	if rest, err := asn1.Unmarshal(der, &key); err != nil || len(rest) > 0 || key.N.Sign() <= 0 {
		return nil
	}
	return &rsa.PublicKey{N: key.N, E: key.E}
}
