package wxpay

import (
	"crypto"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"errors"
	"math/big"
	"testing"
)

// In the old way; in the newer one it signs in TestMutualTLS.
func TestPrivateKeySigns(t *testing.T) {
	key, err := ParsePrivateKey(pkcs8PEM(t, merchantKey()))
	if err != nil {
		t.Fatal(err)
	}
	if public, ok := key.Public().(*rsa.PublicKey); !ok || !public.Equal(&merchantKey().PublicKey) {
		t.Error("another public key")
	}
	digest := sha256.Sum256([]byte("message"))
	want, err := rsa.SignPKCS1v15(nil, merchantKey(), crypto.SHA256, digest[:])
	if err != nil {
		t.Fatal(err)
	}
	if got, err := key.Sign(nil, digest[:], crypto.SHA256); err != nil || string(got) != string(want) {
		t.Errorf("another signature, error %v", err)
	}
}

// The form of a key is looked at at once; that its numbers belong together is found out by
// who asks for it, or by the first signature, which then is none.
func TestPrivateKeyThatDoesNotBelongTogetherDoesNotSign(t *testing.T) {
	broken := *merchantKey() // a D that does not belong to the rest
	broken.D = new(big.Int).Add(broken.D, big.NewInt(2))
	broken.Precomputed = rsa.PrecomputedValues{}
	text := pemOf("RSA PRIVATE KEY", x509.MarshalPKCS1PrivateKey(&broken))
	key, err := ParsePrivateKey(text)
	if err != nil {
		t.Fatal(err)
	}
	digest := sha256.Sum256([]byte("message"))
	_, signed := key.Sign(nil, digest[:], crypto.SHA256)
	for _, err := range []error{signed, key.Check()} {
		if !errors.Is(err, ErrFormat) {
			t.Errorf("error %v, want %v", err, ErrFormat)
		}
		checkQuotes(t, "error", err, text)
	}
	if _, err := ParseClientCertificate(certPEM(issue(t, serial1, merchantKey(), date(1999), date(2030))), text); !errors.Is(err, ErrFormat) {
		t.Errorf("in TLS: error %v, want %v", err, ErrFormat)
	}
}

func BenchmarkParsePrivateKey(b *testing.B) {
	text := pkcs8PEM(b, merchantKey())
	for b.Loop() {
		if _, err := ParsePrivateKey(text); err != nil {
			b.Fatal(err)
		}
	}
}
