package simulation_test

import (
	"bytes"
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"errors"
	"io"
	"math/big"
	"sync"
	"testing"
)

// A quickKey signs as any RSA key of 2,048 bits does, and whoever verifies cannot tell: but
// its modulus is a product of 64 primes of one machine word, so that a signature takes a
// twentieth of the time. Anybody can factor it, which nobody here tries. (Signatures over
// equal bytes, which one could remember, do not occur: each has a nonce.)
type quickKey struct {
	*rsa.PrivateKey
	primes []quickPrime
}

type quickPrime struct {
	p, d uint64
	one  *big.Int // 1 modulo this prime, 0 modulo the others
}

// quickKeys are as many as there are hands that sign: the merchant's, WeChat Pay's two, and
// a stranger's.
var quickKeys = sync.OnceValue(func() (keys [4]*quickKey) {
	below := uint64(1 << 32)
	for i := range keys {
		keys[i], below = newQuickKey(below)
	}
	return keys
})

// newQuickKey makes the key of the largest primes below a number, and tells where they end.
func newQuickKey(below uint64) (k *quickKey, least uint64) {
	const e, count = 65537, 64
	n, phi := big.NewInt(1), big.NewInt(1)
	var primes []*big.Int
	for p := below - 1; len(primes) < count; p-- {
		if b := new(big.Int).SetUint64(p); (p-1)%e != 0 && b.ProbablyPrime(0) { // exact below 2^64
			primes, least = append(primes, b), p
			n.Mul(n, b)
			phi.Mul(phi, new(big.Int).SetUint64(p-1))
		}
	}
	k = &quickKey{PrivateKey: &rsa.PrivateKey{
		PublicKey: rsa.PublicKey{N: n, E: e}, D: new(big.Int).ModInverse(big.NewInt(e), phi), Primes: primes,
	}}
	k.Precompute()
	for _, p := range primes {
		others := new(big.Int).Div(n, p)
		k.primes = append(k.primes, quickPrime{
			p: p.Uint64(), d: new(big.Int).Mod(k.D, new(big.Int).Sub(p, big.NewInt(1))).Uint64(),
			one: new(big.Int).Mul(others, new(big.Int).ModInverse(others, p)),
		})
	}
	return k, least
}

// sha256Prefix is what PKCS #1 v1.5 puts before a digest (RFC 8017, section 9.2).
var sha256Prefix = []byte{0x30, 0x31, 0x30, 0x0d, 0x06, 0x09, 0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x01, 0x05, 0x00, 0x04, 0x20}

// Sign is PKCS #1 v1.5 over SHA-256: the message to the power of D, modulo each prime by
// itself, and put together by the Chinese remainder theorem.
func (k *quickKey) Sign(_ io.Reader, digest []byte, opts crypto.SignerOpts) ([]byte, error) {
	if opts.HashFunc() != crypto.SHA256 || len(digest) != sha256.Size {
		return nil, errors.New("simulation: not a digest of SHA-256")
	}
	m := bytes.Repeat([]byte{0xff}, k.Size())
	m[0], m[1] = 0, 1
	end := m[len(m)-len(sha256Prefix)-len(digest)-1:]
	end[0] = 0
	copy(end[1+copy(end[1:], sha256Prefix):], digest)
	s, term := new(big.Int), new(big.Int)
	for _, q := range k.primes {
		var rest uint64
		for i := 0; i < len(m); i += 4 {
			rest = (rest<<32 | uint64(m[i])<<24 | uint64(m[i+1])<<16 | uint64(m[i+2])<<8 | uint64(m[i+3])) % q.p
		}
		power := uint64(1)
		for d := q.d; d > 0; d >>= 1 {
			if d&1 == 1 {
				power = power * rest % q.p
			}
			rest = rest * rest % q.p
		}
		s.Add(s, term.Mul(q.one, term.SetUint64(power)))
	}
	return s.Mod(s, k.N).FillBytes(m), nil
}

// A quick key's signatures are those of crypto/rsa, byte for byte.
func TestQuickKeysSignAsRSADoes(t *testing.T) {
	for _, k := range quickKeys() {
		if err := k.Validate(); err != nil || k.N.BitLen() != 2048 {
			t.Fatalf("%d bits: %v", k.N.BitLen(), err)
		}
		for range 20 {
			digest := sha256.Sum256([]byte(rand.Text()))
			got, err := k.Sign(nil, digest[:], crypto.SHA256)
			if err != nil {
				t.Fatal(err)
			}
			want, err := rsa.SignPKCS1v15(nil, k.PrivateKey, crypto.SHA256, digest[:])
			if err != nil || !bytes.Equal(got, want) {
				t.Fatalf("signature %x, want %x (%v)", got, want, err)
			}
		}
	}
	if _, err := quickKeys()[0].Sign(nil, make([]byte, 20), crypto.SHA1); err == nil {
		t.Error("a digest of SHA-1 is signed")
	}
}

func BenchmarkQuickKey(b *testing.B) {
	k, digest := quickKeys()[0], sha256.Sum256(nil)
	for b.Loop() {
		if _, err := k.Sign(nil, digest[:], crypto.SHA256); err != nil {
			b.Fatal(err)
		}
	}
}
