package wxpay

import (
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/tls"
	"testing"
)

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

func TestPrivateKeySigns(t *testing.T) {
	key, err := ParsePrivateKey(pkcs8PEM(t, merchantKey()))
	if err != nil {
		t.Fatal(err)
	}
	if public, ok := key.Public().(*rsa.PublicKey); !ok || !public.Equal(&merchantKey().PublicKey) {
		t.Error("another public key")
	}
	checkSigns(t, key)
}

// In TLS it signs in the newer way, too.
func TestPrivateKeySignsInTLS(t *testing.T) {
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

func BenchmarkParsePrivateKey(b *testing.B) {
	text := pkcs8PEM(b, merchantKey())
	for b.Loop() {
		if _, err := ParsePrivateKey(text); err != nil {
			b.Fatal(err)
		}
	}
}
