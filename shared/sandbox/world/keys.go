package world

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/pem"
	"fmt"
	"log/slog"
	"math/big"
	"time"

	"wxrefund/shared/secret"
	"wxrefund/shared/wxpay"
)

// Who takes part. The numbers are of the documents' kind and belong to nobody.
const (
	AppID    = "wx5a4db0c0ffee0001"
	MchID    = "1900000001" // the merchant, and the service provider when it acts as one
	SubMchID = "1900000109" // the merchant that the service provider serves
	SubAppID = "wx5a4db0c0ffee0109"
)

// All certificates but the TLS server's are valid for a century, so that they are so in a test that
// lives in the year 2000 as well. Nothing else is to be read out of these times.
var (
	validFrom  = time.Date(1999, 1, 1, 0, 0, 0, 0, time.UTC)
	validUntil = time.Date(2099, 1, 1, 0, 0, 0, 0, time.UTC)
)

// Keys are the secrets of one sandbox and of the merchant in it. They exist in
// memory only. A sandbox does not change them, so tests may share one set.
type Keys struct {
	Merchant Pair // the merchant's API certificate, which is its TLS client certificate too
	APIv3    wxpay.APIv3Key
	API      wxpay.APIKey // of v2

	// What CloudBase and WeCom know the merchant by.
	SecretKey, CorpSecret   secret.Value[string]
	SecretID, EnvID, CorpID string
	CloudBaseKey            secret.Value[string] // the environment's API key, for a server's Authorization: Bearer

	ca        Pair
	server    Pair // of the TLS side
	platform  Pair // WeChat Pay's first platform certificate
	public    *rsa.PrivateKey
	publicID  string
	sign      func(*rsa.PrivateKey) crypto.Signer
	apiV3Text secret.Value[string]
	apiText   secret.Value[string]
}

// LogValue keeps the secrets out of logs.
func (k *Keys) LogValue() slog.Value { return slog.StringValue("[sandbox keys]") }

// Format keeps them out of fmt, whatever the verb.
func (k Keys) Format(f fmt.State, _ rune) { secret.Mask(f, "[sandbox keys]") }

// A Pair is a key and the certificate of it.
type Pair struct {
	Key  crypto.Signer
	Cert *x509.Certificate
}

// Format keeps the key out of fmt, whatever the verb.
func (p Pair) Format(f fmt.State, _ rune) { secret.Mask(f, "[sandbox key]") }

// RSA is the key of a Pair that has one of that kind.
func (p Pair) RSA() *rsa.PrivateKey { return p.Key.(*rsa.PrivateKey) }

func (p Pair) certPEM() string { return toPEM("CERTIFICATE", p.Cert.Raw) }

// GenerateKeys makes a set of keys, which takes a second or so.
func GenerateKeys() (*Keys, error) {
	keys, err := generateRSA(3)
	if err != nil {
		return nil, err
	}
	return KeysOf(keys[0], keys[1], keys[2], func(key *rsa.PrivateKey) crypto.Signer { return key })
}

// KeysOf makes a set around RSA keys that a test has: the merchant's, and WeChat Pay's two.
// sign gives what signs as one of the latter, for whoever can do that quicker than the key.
func KeysOf(merchantKey, platform, public *rsa.PrivateKey, sign func(*rsa.PrivateKey) crypto.Signer) (*Keys, error) {
	k := &Keys{
		public: public, sign: sign,
		apiV3Text:    secret.Text(random(32, alphanumeric)),
		apiText:      secret.Text(random(32, alphanumeric)),
		CorpID:       "ww" + random(16, lowerHex),
		CorpSecret:   secret.Text(random(43, alphanumeric)),
		SecretID:     "AKID" + random(32, alphanumeric),
		SecretKey:    secret.Text(random(32, alphanumeric)),
		EnvID:        "sandbox-" + random(10, lowerHex),
		CloudBaseKey: secret.Text(apiKey()),
		publicID:     publicKeyPrefix + "01" + MchID + random(14, decimal),
	}
	var err error
	if k.APIv3, err = wxpay.ParseAPIv3Key(k.apiV3Text.Reveal()); err != nil {
		return nil, fmt.Errorf("sandbox: %w", err)
	}
	if k.API, err = wxpay.ParseAPIKey(k.apiText.Reveal()); err != nil {
		return nil, fmt.Errorf("sandbox: %w", err)
	}
	caKey, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("sandbox: generating a key: %w", err)
	}
	serverKey, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("sandbox: generating a key: %w", err)
	}
	root := template("Sandbox Root CA, not for production", validFrom)
	root.IsCA, root.BasicConstraintsValid, root.KeyUsage = true, true, x509.KeyUsageCertSign
	merchant := template(MchID, validFrom)
	merchant.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}

	for _, c := range []struct {
		to       *Pair
		template *x509.Certificate
		key      crypto.Signer
	}{
		{&k.ca, root, caKey},
		{&k.server, serverTemplate(time.Now()), serverKey},
		{&k.Merchant, merchant, merchantKey},
		{&k.platform, template(platformName, validFrom), platform},
	} {
		issuer := k.ca
		if issuer.Cert == nil { // the root signs itself
			issuer = Pair{Key: c.key, Cert: c.template}
		}
		if *c.to, err = certify(c.template, c.key, issuer); err != nil {
			return nil, err
		}
	}
	return k, nil
}

// apiKey makes an API key that looks like CloudBase's, a JWT. Its parts are nothing but long
// and random: only the environment itself reads one.
func apiKey() string {
	const header = `{"alg":"RS256","kid":"sandbox","typ":"JWT"}`
	return base64.RawURLEncoding.EncodeToString([]byte(header)) + ".eyJ" + random(120, alphanumeric) + "." + random(342, alphanumeric)
}

// generateRSA makes keys of the kind that WeChat Pay and merchants have, which takes long.
func generateRSA(n int) ([]*rsa.PrivateKey, error) {
	keys := make([]*rsa.PrivateKey, n)
	for i := range keys {
		var err error
		if keys[i], err = rsa.GenerateKey(rand.Reader, 2048); err != nil {
			return nil, fmt.Errorf("sandbox: generating a key: %w", err)
		}
	}
	return keys, nil
}

const platformName = "Tenpay.com sandbox sign"

func template(name string, from time.Time) *x509.Certificate {
	var serial [20]byte
	_, _ = rand.Read(serial[:])       // never fails
	serial[0] = serial[0]&0x3f | 0x40 // positive, and of 40 hexadecimal digits as WeChat Pay's are
	return &x509.Certificate{
		SerialNumber: new(big.Int).SetBytes(serial[:]),
		Subject:      pkix.Name{CommonName: name, Organization: []string{"wxrefund sandbox"}},
		NotBefore:    from,
		NotAfter:     validUntil,
		KeyUsage:     x509.KeyUsageDigitalSignature,
	}
}

func certify(template *x509.Certificate, key crypto.Signer, issuer Pair) (Pair, error) {
	der, err := x509.CreateCertificate(rand.Reader, template, issuer.Cert, key.Public(), issuer.Key)
	if err != nil {
		return Pair{}, fmt.Errorf("sandbox: issuing a certificate: %w", err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		return Pair{}, fmt.Errorf("sandbox: issuing a certificate: %w", err)
	}
	return Pair{key, cert}, nil
}

// The alphabets of made-up secrets.
const (
	decimal      = "0123456789"
	lowerHex     = "0123456789abcdef"
	alphanumeric = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
)

// Random draws a secret of letters and digits. Unlike [World.Rand] it cannot be
// foretold; that some characters are a little likelier than others does no harm here.
func Random(n int) string { return random(n, alphanumeric) }

func random(n int, alphabet string) string {
	b := make([]byte, n)
	_, _ = rand.Read(b) // never fails
	for i := range b {
		b[i] = alphabet[int(b[i])%len(alphabet)]
	}
	return string(b)
}

func toPEM(kind string, der []byte) string {
	return string(pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}))
}

// privatePEM writes a key as WeChat Pay's certificate tool does, in PKCS #8.
func privatePEM(key *rsa.PrivateKey) (string, error) {
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return "", fmt.Errorf("sandbox: writing a key: %w", err)
	}
	return toPEM("PRIVATE KEY", der), nil
}

func publicPEM(key *rsa.PublicKey) (string, error) {
	der, err := x509.MarshalPKIXPublicKey(key)
	if err != nil {
		return "", fmt.Errorf("sandbox: writing a key: %w", err)
	}
	return toPEM("PUBLIC KEY", der), nil
}
