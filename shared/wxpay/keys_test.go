package wxpay

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"strings"
	"sync"
	"testing"
)

// Keys that are not to be taken.
var (
	ecKey = sync.OnceValue(func() *ecdsa.PrivateKey {
		key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		if err != nil {
			panic(err)
		}
		return key
	})
	shortKey = sync.OnceValue(func() *rsa.PrivateKey {
		key, err := rsa.GenerateKey(rand.Reader, 2040)
		if err != nil {
			panic(err)
		}
		return key
	})
)

func pemOf(kind string, der []byte) string {
	return string(pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}))
}

// spellings are ways in which one PEM text may reach us.
func spellings(text string) map[string]string {
	return map[string]string{
		"as it is":             text,
		`with \n`:              strings.ReplaceAll(text, "\n", `\n`),
		`with \r\n`:            strings.ReplaceAll(text, "\n", `\r\n`),
		"with CR LF":           strings.ReplaceAll(text, "\n", "\r\n"),
		"without its last LF":  strings.TrimSuffix(text, "\n"),
		"with blank lines":     "\n\n" + text + "\n\n",
		"with remarks around":  "Bag Attributes\n    friendlyName: x\n" + text + "the end",
		`with \n, and quotes"`: `"` + strings.ReplaceAll("\n"+text, "\n", `\n`) + `"`,
	}
}

func TestKeysAreReadInEverySpelling(t *testing.T) {
	private, public := merchantKey(), &platformKey().PublicKey
	cert := issue(t, serial1, platformKey(), date(1999), date(2030))
	isPrivate := func(text string) (bool, error) {
		got, err := ParsePrivateKey(text)
		return err == nil && wholeOf(t, got).Equal(private), err
	}
	isPublic := func(text string) (bool, error) {
		got, err := ParsePublicKey(text)
		return err == nil && got.Equal(public), err
	}
	isCert := func(text string) (bool, error) {
		got, err := ParseCertificate(text)
		return err == nil && got.Equal(cert), err
	}
	for form, tt := range map[string]struct {
		text string
		is   func(text string) (bool, error)
	}{
		"private key, PKCS #8": {pkcs8PEM(t, private), isPrivate},
		"private key, PKCS #1": {pemOf("RSA PRIVATE KEY", x509.MarshalPKCS1PrivateKey(private)), isPrivate},
		"public key, PKIX":     {pkixPEM(t, public), isPublic},
		"public key, PKCS #1":  {pemOf("RSA PUBLIC KEY", x509.MarshalPKCS1PublicKey(public)), isPublic},
		"certificate":          {certPEM(cert), isCert},
	} {
		for how, text := range spellings(tt.text) {
			if ok, err := tt.is(text); !ok {
				t.Errorf("%s %s: another one, or error %v", form, how, err)
			}
		}
	}
}

func TestSerialNo(t *testing.T) {
	for _, want := range []string{
		serial1, serial2, mchSerial,
		"01", "0A", "FF", "0100", "BE6DCDA7A5931FA0",
	} {
		if got := SerialNo(issue(t, want, platformKey(), date(1999), date(2030))); got != want {
			t.Errorf("serial number %s, want %s", got, want)
		}
	}
}

// One valid text, one thing changed; and what else may be mistaken for a key.
func TestParseKeysRefuse(t *testing.T) {
	private, public := pkcs8PEM(t, merchantKey()), pkixPEM(t, &platformKey().PublicKey)
	cert := certPEM(issue(t, serial1, platformKey(), date(1999), date(2030)))
	ecCert := func() string {
		template := &x509.Certificate{SerialNumber: big.NewInt(1), NotBefore: date(1999), NotAfter: date(2030)}
		der, err := x509.CreateCertificate(rand.Reader, template, template, &ecKey().PublicKey, ecKey())
		if err != nil {
			t.Fatal(err)
		}
		return pemOf("CERTIFICATE", der)
	}()

	block, _ := pem.Decode([]byte(private))
	encrypted := *block
	encrypted.Type = "ENCRYPTED PRIVATE KEY"

	garble := func(text string) map[string]string {
		return map[string]string{
			"empty":    "",
			"a word":   "canary-body",
			"no PEM":   strings.ReplaceAll(text, "-----", "----"),
			"no end":   text[:len(text)/2],
			"garbled":  strings.Replace(text, "\nMII", "\nAAA", 1),
			"twice":    text + text,
			"one line": strings.ReplaceAll(text, "\n", ""),
			"a path":   "/run/secrets/apiclient_key.pem",
		}
	}
	for parser, tt := range map[string]struct {
		parse func(string) error
		texts map[string]string
		more  map[string]string
	}{
		"ParsePrivateKey": {
			func(s string) error { _, err := ParsePrivateKey(s); return err },
			garble(private),
			map[string]string{
				"a public key":          public,
				"a certificate":         cert,
				"encrypted":             string(pem.EncodeToMemory(&encrypted)),
				"of an elliptic curve":  pkcs8PEM(t, ecKey()),
				"of 2040 bits":          pkcs8PEM(t, shortKey()),
				"PKCS #1 called PKCS 8": pemOf("PRIVATE KEY", x509.MarshalPKCS1PrivateKey(merchantKey())),
				"PKCS #8 called PKCS 1": pemOf("RSA PRIVATE KEY", block.Bytes),
				"cut off":               pemOf("PRIVATE KEY", block.Bytes[:len(block.Bytes)-1]),
				"cut in the middle":     pemOf("RSA PRIVATE KEY", x509.MarshalPKCS1PrivateKey(merchantKey())[:600]),
				"with its certificate":  private + cert,
			},
		},
		"ParsePublicKey": {
			func(s string) error { _, err := ParsePublicKey(s); return err },
			garble(public),
			map[string]string{
				"a private key":        private,
				"a certificate":        cert,
				"of an elliptic curve": pkixPEM(t, &ecKey().PublicKey),
				"of 2040 bits":         pkixPEM(t, &shortKey().PublicKey),
				"of 8193 bits":         pkixPEM(t, &rsa.PublicKey{N: new(big.Int).Add(new(big.Int).Lsh(big.NewInt(1), 8192), big.NewInt(1)), E: 65537}),
			},
		},
		"ParseCertificate": {
			func(s string) error { _, err := ParseCertificate(s); return err },
			garble(cert),
			map[string]string{
				"a private key":        private,
				"a public key":         public,
				"of an elliptic curve": ecCert,
				"of 2040 bits":         certPEM(issue(t, serial1, shortKey(), date(1999), date(2030))),
			},
		},
	} {
		for _, texts := range []map[string]string{tt.texts, tt.more} {
			for name, text := range texts {
				t.Run(parser+" "+name, func(t *testing.T) {
					err := tt.parse(text)
					if !errors.Is(err, ErrFormat) {
						t.Errorf("error %v, want %v", err, ErrFormat)
					}
					checkQuotes(t, "error", err, text)
				})
			}
		}
	}
}

// wholeOf is the key behind k.
func wholeOf(t testing.TB, k *PrivateKey) *rsa.PrivateKey {
	t.Helper()
	key, err := k.whole()
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// checkQuotes fails the test if an error holds a secret or a part of the texts that it is about.
func checkQuotes(t testing.TB, where string, err error, texts ...string) {
	t.Helper()
	checkSecrets(t, where, fmt.Sprint(err))
	for _, text := range texts {
		for i := 64; i+16 < len(text); i += 16 {
			if strings.Contains(fmt.Sprint(err), text[i:i+16]) {
				t.Errorf("%s: it quotes the text: %v", where, err)
			}
		}
	}
}
