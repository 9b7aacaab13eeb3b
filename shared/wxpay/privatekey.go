package wxpay

import (
	"crypto"
	"crypto/rsa"
	"crypto/x509"
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

// The tags of DER that a private key is made of.
const derInteger, derOctets, derObject, derSequence = 0x02, 0x04, 0x06, 0x30

// rsaEncryption is 1.2.840.113549.1.1.1, which says that a key is one of RSA.
const rsaEncryption = "\x2a\x86\x48\x86\xf7\x0d\x01\x01\x01"

// publicHalf reads the public half of the private key that der should hold, and sees
// that the rest is there; nil if der has another form. It refuses nothing that
// [wholeKey] takes.
func publicHalf(der []byte, pkcs1 bool) *rsa.PublicKey {
	d := derReader{rest: der, ok: true}
	if !pkcs1 {
		key := derReader{rest: d.read(derSequence), ok: d.ok}
		key.read(derInteger) // the version
		algorithm := derReader{rest: key.read(derSequence), ok: key.ok}
		if kind := algorithm.read(derObject); string(kind) != rsaEncryption {
			return nil
		}
		d = derReader{rest: key.read(derOctets), ok: key.ok}
	}
	key := derReader{rest: d.read(derSequence), ok: d.ok}
	key.read(derInteger) // the version
	n, e := key.read(derInteger), key.read(derInteger)
	for range 3 { // the private exponent and two primes
		key.read(derInteger)
	}
	if !key.ok || len(d.rest) > 0 || len(e) > 4 {
		return nil
	}
	exponent := 0
	for _, b := range e {
		exponent = exponent<<8 | int(b)
	}
	return &rsa.PublicKey{N: new(big.Int).SetBytes(n), E: exponent}
}

// A derReader reads one element of DER after the other, until one is not ok.
type derReader struct {
	rest []byte
	ok   bool
}

// read returns what the next element holds, which must have a tag.
func (d *derReader) read(tag byte) []byte {
	if d.ok = d.ok && len(d.rest) > 1 && d.rest[0] == tag; !d.ok {
		return nil
	}
	size, head := int(d.rest[1]), 2
	if size > 0x80 && size <= 0x83 { // so many bytes have the size; no key has four of them
		head += size - 0x80
		size = 0
		for _, b := range d.rest[2:min(head, len(d.rest))] {
			size = size<<8 | int(b)
		}
	}
	if d.ok = size != 0x80 || head > 2; !d.ok || len(d.rest)-head < size {
		d.ok = false
		return nil
	}
	content := d.rest[head : head+size]
	d.rest = d.rest[head+size:]
	return content
}
