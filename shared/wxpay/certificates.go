package wxpay

import (
	"context"
	"crypto/rsa"
	"fmt"
	"math/big"
	"net/http"
	"time"
)

// certificatesURI asks for RSA certificates only; there may be SM2 ones too.
const certificatesURI = "/v3/certificates?algorithm_type=RSA"

// A certificateList is the reply to [certificatesURI]. It also says from when each
// certificate is valid, but so does the certificate.
type certificateList struct {
	Data []struct {
		SerialNo           string    `json:"serial_no"`
		ExpireTime         time.Time `json:"expire_time"`
		EncryptCertificate Resource  `json:"encrypt_certificate"`
	} `json:"data"`
}

// Certificates downloads the platform certificates. It does not use c.Keys'
// certificates, so a [Keyring] may call it to get them.
//
// The first reply of all cannot be verified, since the keys to do so are in it.
// Instead each certificate is decrypted with key, which only WeChat Pay and the
// merchant have: nobody else could have encrypted it. Only then is the reply's own signature verified
// with what was inside, which shows that the list is today's and not an old one
// played back. One entry that does not open condemns the whole list.
//
// The errors are those of [Client.Do], [*Refusal], [ErrOpen], [ErrFormat] and
// [ErrNoCertificates]. One of [Keyring.Verify] says that all of the list has been opened.
func (c *Client) Certificates(ctx context.Context, key APIv3Key) ([]Certificate, error) {
	ctx, cancel := withDefaultTimeout(ctx)
	defer cancel()
	r, err := c.send(ctx, http.MethodGet, certificatesURI, nil, "")
	if err != nil {
		return nil, err
	}
	if r.Status != http.StatusOK {
		return nil, noList(r)
	}
	var list certificateList
	if err := decodeJSON(r.Body, &list, "certificate list"); err != nil {
		return nil, err
	}

	var certs []Certificate
	for _, item := range list.Data {
		cert, err := openCertificate(key, item.SerialNo, item.EncryptCertificate)
		if err != nil {
			return nil, err
		}
		// When WeChat Pay retires a certificate early, only the list says so.
		if e := item.ExpireTime; !e.IsZero() && e.Before(cert.NotAfter) {
			cert.NotAfter = e
		}
		certs = append(certs, cert)
	}
	if len(certs) == 0 {
		return nil, fmt.Errorf("%w certificate list: it is empty", ErrFormat)
	}

	// While a merchant moves to a public key, the list may be signed with that.
	var public map[string]*rsa.PublicKey
	if c.Keys != nil {
		public = c.Keys.public.Load().keys
	}
	opened := NewKeyring(public, func(context.Context) ([]Certificate, error) { return certs, nil })
	if err := opened.Verify(ctx, r.Header, r.Body); err != nil {
		return nil, fmt.Errorf("certificate list: %w", err)
	}
	return certs, nil
}

// openCertificate opens one entry of the list. That it opens is the proof of where
// it is from; who signed the certificate itself is not looked at, as in the SDK.
func openCertificate(key APIv3Key, serialNo string, r Resource) (Certificate, error) {
	text, err := key.Open(r)
	if err != nil {
		return Certificate{}, fmt.Errorf("platform certificate: %w", err)
	}
	cert, err := ParseCertificate(string(text))
	if err != nil {
		return Certificate{}, fmt.Errorf("platform certificate: %w", err)
	}
	// The serial beside it is not sealed; a wrong one would put the key under
	// another's name. The right one is kept as it is written there, since messages
	// will write it so too.
	if n, ok := new(big.Int).SetString(serialNo, 16); !ok || n.Cmp(cert.SerialNumber) != 0 {
		return Certificate{}, fmt.Errorf("%w platform certificate: its serial number is not the one announced", ErrFormat)
	}
	return Certificate{
		SerialNo:  serialNo,
		Key:       cert.PublicKey.(*rsa.PublicKey), // ParseCertificate lets no other pass
		NotBefore: cert.NotBefore,
		NotAfter:  cert.NotAfter,
	}, nil
}

// noList is what a reply that is not the list says. It has not been verified, there
// being nothing to do so with, and ends in an error in any case.
func noList(r Reply) error {
	no := newRefusal("certificate list", r)
	if no.Status == http.StatusNotFound && no.Code == "RESOURCE_NOT_EXISTS" {
		return ErrNoCertificates
	}
	return no
}
