package wxpay

import (
	"crypto"
	"crypto/rsa"
	"crypto/sha256"
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

func BenchmarkParsePrivateKey(b *testing.B) {
	text := pkcs8PEM(b, merchantKey())
	for b.Loop() {
		if _, err := ParsePrivateKey(text); err != nil {
			b.Fatal(err)
		}
	}
}
