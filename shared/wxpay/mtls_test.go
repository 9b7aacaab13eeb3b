package wxpay

import (
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"fmt"
	"io"
	"log"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"
)

// newMerchantPEM returns a merchant's certificate and key as WeChat Pay hands them out.
func newMerchantPEM(t testing.TB) (cert, key string) {
	return certPEM(issue(t, mchSerial, merchantKey(), date(1999), date(2099))), pkcs8PEM(t, merchantKey())
}

func TestParseClientCertificate(t *testing.T) {
	cert, key := newMerchantPEM(t)
	got, err := ParseClientCertificate(cert, key)
	if err != nil {
		t.Fatal(err)
	}
	if private, ok := got.PrivateKey.(*PrivateKey); !ok || !wholeOf(t, private).Equal(merchantKey()) {
		t.Error("another key")
	}
	// Else it is what the standard library makes of the two files.
	want, err := tls.X509KeyPair([]byte(cert), []byte(key))
	if err != nil || !want.Leaf.Equal(got.Leaf) || !slices.EqualFunc(want.Certificate, got.Certificate, slices.Equal) {
		t.Errorf("not what crypto/tls reads; error %v", err)
	}
}

// One valid pair, one thing changed. What else is no certificate or key is in TestParseKeysRefuse.
func TestParseClientCertificateRefuses(t *testing.T) {
	cert, key := newMerchantPEM(t)
	for name, tt := range map[string]struct{ cert, key string }{
		"nothing":               {"", ""},
		"no certificate":        {"", key},
		"no key":                {cert, ""},
		"the wrong way round":   {key, cert},
		"another's key":         {cert, pkcs8PEM(t, forgerKey())},
		"another's certificate": {certPEM(issue(t, mchSerial, forgerKey(), date(1999), date(2099))), key},
		"a short key":           {certPEM(issue(t, mchSerial, shortKey(), date(1999), date(2099))), pkcs8PEM(t, shortKey())},
	} {
		got, err := ParseClientCertificate(tt.cert, tt.key)
		if !errors.Is(err, ErrFormat) || got.PrivateKey != nil || got.Certificate != nil || got.Leaf != nil {
			t.Errorf("%s: error %v, want %v and no certificate", name, err, ErrFormat)
		}
		checkQuotes(t, name, err, tt.cert, tt.key)
	}
}

// authority issues a certificate for 127.0.0.1, and returns its own in PEM.
func authority(t testing.TB, name string) (ca string, server tls.Certificate) {
	t.Helper()
	root := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name}, NotBefore: date(1999), NotAfter: date(2099),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, root, root, &ecKey().PublicKey, ecKey())
	if err != nil {
		t.Fatal(err)
	}
	leaf := &x509.Certificate{SerialNumber: big.NewInt(2), NotBefore: date(1999), NotAfter: date(2099), IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}}
	leafDER, err := x509.CreateCertificate(rand.Reader, leaf, root, &platformKey().PublicKey, ecKey())
	if err != nil {
		t.Fatal(err)
	}
	return pemOf("CERTIFICATE", der), tls.Certificate{Certificate: [][]byte{leafDER}, PrivateKey: platformKey()}
}

func TestParseCertPool(t *testing.T) {
	ca, _ := authority(t, "canary-one")
	other, _ := authority(t, "canary-two")
	cert, key := newMerchantPEM(t)
	for how, text := range spellings(ca) {
		if pool, err := ParseCertPool(text); err != nil || !pool.Equal(poolOf(t, ca)) {
			t.Errorf("%s: error %v", how, err)
		}
	}
	for how, text := range spellings(ca + other + cert) {
		if pool, err := ParseCertPool(text); err != nil || !pool.Equal(poolOf(t, ca, other, cert)) {
			t.Errorf("three, %s: error %v", how, err)
		}
	}
	for name, text := range map[string]string{
		"nothing":                "",
		"a path":                 "/etc/ssl/ca.pem",
		"a key":                  key,
		"a key behind":           ca + key,
		"a key before":           key + ca,
		"not a certificate":      pemOf("CERTIFICATE", []byte("canary-body")),
		"the last one cut":       ca + other[:len(other)/2],
		"the first one cut":      ca[:len(ca)/2] + "\n" + other,
		"the first one garbled":  strings.Replace(ca, "\nMII", "\n!!!", 1) + other,
		"the second one garbled": ca + strings.Replace(other, "\nMII", "\n!!!", 1),
	} {
		pool, err := ParseCertPool(text)
		if !errors.Is(err, ErrFormat) || pool != nil {
			t.Errorf("%s: error %v, want %v and no pool", name, err, ErrFormat)
		}
		checkSecrets(t, name, fmt.Sprint(err))
	}
}

func poolOf(t testing.TB, texts ...string) *x509.CertPool {
	t.Helper()
	pool := x509.NewCertPool()
	for _, text := range texts {
		if !pool.AppendCertsFromPEM([]byte(text)) {
			t.Fatal("not a certificate")
		}
	}
	return pool
}

// The whole handshake: the server shows itself to the client, which trusts its
// authority, and the client to the server.
func TestMutualTLS(t *testing.T) {
	ca, serverCert := authority(t, "one")
	otherCA, _ := authority(t, "another")
	pool, err := ParseCertPool(ca)
	if err != nil {
		t.Fatal(err)
	}
	cert, key := newMerchantPEM(t)
	client, err := ParseClientCertificate(cert, key)
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprint(w, SerialNo(r.TLS.PeerCertificates[0]))
	}))
	server.TLS = &tls.Config{Certificates: []tls.Certificate{serverCert}, ClientAuth: tls.RequireAnyClientCert}
	server.Config.ErrorLog = log.New(io.Discard, "", 0) // of handshakes that are to fail
	server.StartTLS()
	defer server.Close()

	get := func(config *tls.Config) (string, error) {
		transport := &http.Transport{TLSClientConfig: config}
		defer transport.CloseIdleConnections()
		resp, err := (&http.Client{Transport: transport, Timeout: 10 * time.Second}).Get(server.URL)
		if err != nil {
			return "", err
		}
		defer resp.Body.Close()
		var serial string
		_, err = fmt.Fscan(resp.Body, &serial)
		return serial, err
	}
	if serial, err := get(&tls.Config{RootCAs: pool, Certificates: []tls.Certificate{client}}); err != nil || serial != mchSerial {
		t.Errorf("the server saw certificate %s, error %v, want %s", serial, err, mchSerial)
	}
	if _, err := get(&tls.Config{RootCAs: pool}); err == nil {
		t.Error("a client without a certificate was let in")
	}
	if _, err := get(&tls.Config{RootCAs: poolOf(t, otherCA), Certificates: []tls.Certificate{client}}); err == nil {
		t.Error("a server of another authority was trusted")
	}
}
