package wxpay

import (
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"errors"
	"fmt"
	"math/big"
	"sync"
	"testing"
)

// An rsaPrivateKey is RFC 8017's, to be written with any numbers.
type rsaPrivateKey struct {
	Version         int
	N               *big.Int
	E               *big.Int
	D, P, Q         *big.Int
	DP, DQ, Inverse *big.Int
}

func numbers(k *rsa.PrivateKey) *rsaPrivateKey {
	clone := func(x *big.Int) *big.Int { return new(big.Int).Set(x) }
	return &rsaPrivateKey{
		0, clone(k.N), big.NewInt(int64(k.E)), clone(k.D), clone(k.Primes[0]), clone(k.Primes[1]),
		clone(k.Precomputed.Dp), clone(k.Precomputed.Dq), clone(k.Precomputed.Qinv),
	}
}

func (k *rsaPrivateKey) der(t testing.TB) []byte {
	t.Helper()
	der, err := asn1.Marshal(*k)
	if err != nil {
		t.Fatal(err)
	}
	return der
}

// closePrimes makes a key whose primes are neighbours.
func closePrimes(t *testing.T) *rsaPrivateKey {
	t.Helper()
	one, two := big.NewInt(1), big.NewInt(2)
	e := big.NewInt(65537)
	next := func(x *big.Int) *big.Int {
		for x = new(big.Int).Add(x, two); ; x.Add(x, two) {
			if x.ProbablyPrime(0) && new(big.Int).GCD(nil, nil, new(big.Int).Sub(x, one), e).Cmp(one) == 0 {
				return x
			}
		}
	}
	p := next(merchantKey().Primes[0])
	q := next(p)
	p1, q1 := new(big.Int).Sub(p, one), new(big.Int).Sub(q, one)
	d := new(big.Int).ModInverse(e, new(big.Int).Mul(p1, q1))
	return &rsaPrivateKey{
		0, new(big.Int).Mul(p, q), e, d, p, q,
		new(big.Int).Mod(d, p1), new(big.Int).Mod(d, q1), new(big.Int).ModInverse(q, p),
	}
}

// Of a good key with something changed, we say what crypto/x509 says, which checks
// in its own way.
func TestOraclePrivateKeyVerdicts(t *testing.T) {
	add := func(x *big.Int, n int64) { x.Add(x, big.NewInt(n)) }
	for name, change := range map[string]func(k *rsaPrivateKey){
		"nothing": func(*rsaPrivateKey) {},
		"primes exchanged": func(k *rsaPrivateKey) {
			k.P, k.Q, k.DP, k.DQ, k.Inverse = k.Q, k.P, k.DQ, k.DP, new(big.Int).ModInverse(k.P, k.Q)
		},
		"version 2":                    func(k *rsaPrivateKey) { k.Version = 2 },
		"n + 1":                        func(k *rsaPrivateKey) { add(k.N, 1) },
		"n + 2":                        func(k *rsaPrivateKey) { add(k.N, 2) },
		"n negative":                   func(k *rsaPrivateKey) { k.N.Neg(k.N) },
		"d + 1":                        func(k *rsaPrivateKey) { add(k.D, 1) },
		"d + 2":                        func(k *rsaPrivateKey) { add(k.D, 2) },
		"d of no sign":                 func(k *rsaPrivateKey) { k.D.SetInt64(0) },
		"d negative":                   func(k *rsaPrivateKey) { k.D.Neg(k.D) },
		"d 1":                          func(k *rsaPrivateKey) { k.D.SetInt64(1) },
		"d too large, but congruent":   func(k *rsaPrivateKey) { k.D.Add(k.D, phi(k)) },
		"p + 2":                        func(k *rsaPrivateKey) { add(k.P, 2) },
		"p and q negative":             func(k *rsaPrivateKey) { k.P.Neg(k.P); k.Q.Neg(k.Q) },
		"p 1":                          func(k *rsaPrivateKey) { k.P.SetInt64(1); k.Q.Set(k.N) },
		"q 1":                          func(k *rsaPrivateKey) { k.Q.SetInt64(1); k.P.Set(k.N) },
		"p 0":                          func(k *rsaPrivateKey) { k.P.SetInt64(0) },
		"p and q the same":             func(k *rsaPrivateKey) { k.Q.Set(k.P); k.N.Mul(k.P, k.P) },
		"p even":                       func(k *rsaPrivateKey) { add(k.P, 1); k.N.Mul(k.P, k.Q) },
		"e 1":                          func(k *rsaPrivateKey) { k.E.SetInt64(1) },
		"e 1, d 1":                     func(k *rsaPrivateKey) { k.E.SetInt64(1); k.D.SetInt64(1) },
		"e 3":                          func(k *rsaPrivateKey) { k.E.SetInt64(3) },
		"e even":                       func(k *rsaPrivateKey) { k.E.SetInt64(65536) },
		"e negative":                   func(k *rsaPrivateKey) { k.E.Neg(k.E) },
		"e too large, but congruent":   func(k *rsaPrivateKey) { k.E.Add(k.E, phi(k)) },
		"e and d exchanged":            func(k *rsaPrivateKey) { k.E, k.D = k.D, k.E },
		"e of 33 bits":                 func(k *rsaPrivateKey) { k.E.SetInt64(1<<32 + 1); k.D.ModInverse(k.E, phi(k)) },
		"e of 31 bits":                 func(k *rsaPrivateKey) { *k = *withE(k, 1<<31-1) },
		"primes that are neighbours":   func(k *rsaPrivateKey) { *k = *closePrimes(t) },
		"a prime of another key":       func(k *rsaPrivateKey) { k.P.Set(platformKey().Primes[0]) },
		"the n and d of another key":   func(k *rsaPrivateKey) { o := numbers(platformKey()); k.N, k.D = o.N, o.D },
		"a bit of n":                   func(k *rsaPrivateKey) { k.N.SetBit(k.N, 77, k.N.Bit(77)^1) },
		"a bit of d":                   func(k *rsaPrivateKey) { k.D.SetBit(k.D, 77, k.D.Bit(77)^1) },
		"a bit of q":                   func(k *rsaPrivateKey) { k.Q.SetBit(k.Q, 77, k.Q.Bit(77)^1) },
		"d modulo lcm instead of φ(n)": func(k *rsaPrivateKey) { k.D.ModInverse(k.E, lcm(k)) },
		"dp + 1":                       func(k *rsaPrivateKey) { add(k.DP, 1) },
		"dp negative":                  func(k *rsaPrivateKey) { k.DP.Sub(k.DP, new(big.Int).Sub(k.P, big.NewInt(1))) },
		"dp too large, but congruent":  func(k *rsaPrivateKey) { k.DP.Add(k.DP, new(big.Int).Sub(k.P, big.NewInt(1))) },
		"dp 0":                         func(k *rsaPrivateKey) { k.DP.SetInt64(0) },
		"dq is dp":                     func(k *rsaPrivateKey) { k.DQ.Set(k.DP) },
		"qinv + 1":                     func(k *rsaPrivateKey) { add(k.Inverse, 1) },
		"qinv negative":                func(k *rsaPrivateKey) { k.Inverse.Sub(k.Inverse, k.P) },
		"qinv large, but congruent":    func(k *rsaPrivateKey) { k.Inverse.Add(k.Inverse, k.P) },
	} {
		k := numbers(merchantKey())
		change(k)
		der := k.der(t)
		theirs, theirErr := x509.ParsePKCS1PrivateKey(der)
		ours, err := ParsePrivateKey(pemOf("RSA PRIVATE KEY", der))
		if (err == nil) != (theirErr == nil) || err != nil && !errors.Is(err, ErrFormat) {
			t.Errorf("%s: error %v, that of crypto/x509 is %v", name, err, theirErr)
			continue
		}
		if err == nil && !ours.key.Equal(theirs) {
			t.Errorf("%s: another key", name)
		}
	}
}

func phi(k *rsaPrivateKey) *big.Int {
	one := big.NewInt(1)
	return new(big.Int).Mul(new(big.Int).Sub(k.P, one), new(big.Int).Sub(k.Q, one))
}

func lcm(k *rsaPrivateKey) *big.Int {
	one := big.NewInt(1)
	p1, q1 := new(big.Int).Sub(k.P, one), new(big.Int).Sub(k.Q, one)
	return new(big.Int).Div(phi(k), new(big.Int).GCD(nil, nil, p1, q1))
}

// withE returns the key of the same primes with another public exponent.
func withE(k *rsaPrivateKey, e int64) *rsaPrivateKey {
	one, other := big.NewInt(1), *k
	other.E = big.NewInt(e)
	other.D = new(big.Int).ModInverse(other.E, phi(k))
	other.DP = new(big.Int).Mod(other.D, new(big.Int).Sub(k.P, one))
	other.DQ = new(big.Int).Mod(other.D, new(big.Int).Sub(k.Q, one))
	return &other
}

// checkSigns fails if what a key signs is not what the merchant's does.
func checkSigns(t *testing.T, key crypto.Signer) {
	t.Helper()
	digest := sha256.Sum256([]byte("message"))
	want, err := rsa.SignPKCS1v15(nil, merchantKey(), crypto.SHA256, digest[:])
	if err != nil {
		t.Fatal(err)
	}
	if got, err := key.Sign(nil, digest[:], crypto.SHA256); err != nil || string(got) != string(want) {
		t.Errorf("another signature, error %v", err)
	}
}

// Many may sign first.
func TestPrivateKeySignsForMany(t *testing.T) {
	key, err := ParsePrivateKey(pkcs8PEM(t, merchantKey()))
	if err != nil {
		t.Fatal(err)
	}
	if public, ok := key.Public().(*rsa.PublicKey); !ok || !public.Equal(&merchantKey().PublicKey) {
		t.Error("another public key")
	}
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() { checkSigns(t, key) })
	}
	wg.Wait()
}

// In TLS it signs in the newer way, too.
func TestPrivateKeyInTLS(t *testing.T) {
	key, err := ParsePrivateKey(pkcs8PEM(t, merchantKey()))
	if err != nil {
		t.Fatal(err)
	}
	digest := sha256.Sum256([]byte("message"))
	pss := &rsa.PSSOptions{SaltLength: rsa.PSSSaltLengthEqualsHash, Hash: crypto.SHA256}
	sig, err := key.Sign(rand.Reader, digest[:], pss)
	if err != nil {
		t.Fatal(err)
	}
	if err := rsa.VerifyPSS(&merchantKey().PublicKey, crypto.SHA256, digest[:], sig, pss); err != nil {
		t.Error(err)
	}
	if _, ok := any(tls.Certificate{PrivateKey: key}.PrivateKey).(crypto.Signer); !ok {
		t.Error("TLS cannot sign with it")
	}
}

// A PKCS #8 that says to hold another kind of key is not looked into.
func TestPrivateKeyOfAnotherAlgorithm(t *testing.T) {
	for name, oid := range map[string]asn1.ObjectIdentifier{"RSASSA-PSS": {1, 2, 840, 113549, 1, 1, 10}, "id-ecPublicKey": {1, 2, 840, 10045, 2, 1}} {
		der, err := asn1.Marshal(struct {
			Version   int
			Algorithm pkix.AlgorithmIdentifier
			Key       []byte
		}{0, pkix.AlgorithmIdentifier{Algorithm: oid}, x509.MarshalPKCS1PrivateKey(merchantKey())})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := ParsePrivateKey(pemOf("PRIVATE KEY", der)); !errors.Is(err, ErrFormat) {
			t.Errorf("%s: error %v, want %v", name, err, ErrFormat)
		}
	}
}

func TestPrivateKeyIsHidden(t *testing.T) {
	key, err := ParsePrivateKey(pkcs8PEM(t, merchantKey()))
	if err != nil {
		t.Fatal(err)
	}
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%d", "%x"} {
		if got := fmt.Sprintf(verb, key); got != hiddenKey {
			t.Errorf("%s shows %s", verb, got)
		}
	}
}
