package wxpay

import (
	"crypto"
	"crypto/rsa"
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
// by many at the same time.
//
// That its numbers belong together is checked when it is parsed. What signing
// needs beside them is computed with the first signature: in constant time, that
// takes longer than all else that a function does before its first event, and not
// every event needs a signature.
//
// Logging one is harmless.
type PrivateKey struct {
	once sync.Once
	key  *rsa.PrivateKey
}

// Public returns an [*rsa.PublicKey].
func (k *PrivateKey) Public() crypto.PublicKey { return k.key.Public() }

// Sign is [rsa.PrivateKey.Sign].
func (k *PrivateKey) Sign(random io.Reader, digest []byte, opts crypto.SignerOpts) ([]byte, error) {
	k.once.Do(k.key.Precompute)
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
func ParsePrivateKey(text string) (*PrivateKey, error) {
	const what = "private key"
	block, err := decodePEM(text, what, "PRIVATE KEY", "RSA PRIVATE KEY")
	if err != nil {
		return nil, err
	}
	der, ok := block.Bytes, true
	if block.Type == "PRIVATE KEY" {
		der, ok = parsePKCS8(der)
	}
	// Why it is none is not said: that depends on the bytes.
	malformed := fmt.Errorf("%w %s: not a valid RSA key", ErrFormat, what)
	if !ok {
		return nil, malformed
	}
	key, ok := parsePKCS1(der)
	if !ok {
		return nil, malformed
	}
	if err := checkBits(&key.PublicKey, what); err != nil {
		return nil, err
	}
	if !consistent(key) {
		return nil, malformed
	}
	return &PrivateKey{key: key}, nil
}

// parsePKCS8 returns the RSA key in a PrivateKeyInfo (RFC 5208, section 5), in
// PKCS #1.
func parsePKCS8(der []byte) ([]byte, bool) {
	var info struct {
		Version    int
		Algorithm  pkix.AlgorithmIdentifier
		PrivateKey []byte
	}
	rest, err := asn1.Unmarshal(der, &info)
	rsaEncryption := asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 1, 1}
	return info.PrivateKey, err == nil && len(rest) == 0 && info.Algorithm.Algorithm.Equal(rsaEncryption)
}

// parsePKCS1 reads an RSAPrivateKey (RFC 8017, appendix A.1.2) of two primes.
func parsePKCS1(der []byte) (*rsa.PrivateKey, bool) {
	var k struct {
		Version          int
		N                *big.Int
		E                int
		D, P, Q          *big.Int
		DP, DQ, QInverse *big.Int
	}
	rest, err := asn1.Unmarshal(der, &k)
	if err != nil || len(rest) > 0 || k.Version != 0 {
		return nil, false
	}
	return &rsa.PrivateKey{
		PublicKey:   rsa.PublicKey{N: k.N, E: k.E},
		D:           k.D,
		Primes:      []*big.Int{k.P, k.Q},
		Precomputed: rsa.PrecomputedValues{Dp: k.DP, Dq: k.DQ, Qinv: k.QInverse},
	}, true
}

// consistent makes the checks of crypto/rsa, which it makes in constant time and
// therefore slowly. Here they are made once a process, on no message of anybody's.
func consistent(k *rsa.PrivateKey) bool {
	n, d, p, q := k.N, k.D, k.Primes[0], k.Primes[1]
	one := big.NewInt(1)
	if p.Cmp(one) <= 0 || q.Cmp(one) <= 0 || new(big.Int).Mul(p, q).Cmp(n) != 0 {
		return false
	}
	if k.E < 3 || k.E > 1<<31-1 || n.Bit(0) == 0 || d.Sign() <= 0 || d.Cmp(n) >= 0 {
		return false
	}
	// d inverts e where it matters, modulo p-1 and q-1; so does what is left of it there.
	for i, rest := range []*big.Int{k.Precomputed.Dp, k.Precomputed.Dq} {
		phi := new(big.Int).Sub(k.Primes[i], one)
		e := big.NewInt(int64(k.E))
		if e.Mul(e, rest).Mod(e, phi).Cmp(one) != 0 || new(big.Int).Mod(d, phi).Cmp(rest) != 0 {
			return false
		}
	}
	inverse := k.Precomputed.Qinv
	if inverse.Sign() <= 0 || inverse.Cmp(p) >= 0 || new(big.Int).Mod(new(big.Int).Mul(inverse, q), p).Cmp(one) != 0 {
		return false
	}
	// Primes too close to each other, or a small d, give the key away.
	half := n.BitLen() / 2
	return d.BitLen() > half && new(big.Int).Sub(p, q).BitLen() > half-100
}
