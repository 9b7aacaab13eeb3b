package wxpay

import (
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"strings"
)

// ParseClientCertificate reads the merchant's API certificate and its private key,
// apiclient_cert.pem and apiclient_key.pem, by which WeChat Pay knows the client in
// TLS: v2 refunds are not taken without (mutual TLS). PEM is read as
// by [ParseCertificate] and [ParsePrivateKey]. A fault is [ErrFormat], and so is a
// key that is another certificate's; nothing of either is in its text.
//
// The result holds the private key for everybody to read: do not log it.
func ParseClientCertificate(certPEM, keyPEM string) (tls.Certificate, error) {
	cert, err := ParseCertificate(certPEM)
	if err != nil {
		return tls.Certificate{}, fmt.Errorf("client certificate: %w", err)
	}
	key, err := ParsePrivateKey(keyPEM)
	if err == nil {
		err = key.Check() // what fails in the middle of a handshake is harder to understand
	}
	if err != nil {
		return tls.Certificate{}, fmt.Errorf("client certificate: %w", err)
	}
	if public, ok := cert.PublicKey.(*rsa.PublicKey); !ok || !public.Equal(key.Public()) {
		return tls.Certificate{}, fmt.Errorf("%w client certificate: the private key is not that of the certificate", ErrFormat)
	}
	return tls.Certificate{Certificate: [][]byte{cert.Raw}, PrivateKey: key, Leaf: cert}, nil
}

// ParseCertPool reads the certificates of one or more authorities from PEM text,
// with line feeds or \n: whom to trust in TLS instead of whom the machine trusts.
// Their keys may be of any kind. A fault is [ErrFormat]: nothing there, something
// else than certificates there, or one that cannot be read. None is passed over,
// lest the missing one be found out by a refund that fails.
func ParseCertPool(text string) (*x509.CertPool, error) {
	const what = "authorities' certificates"
	rest := []byte(unescapePEM(text))
	// The decoder skips a block that it cannot read, so they are counted first.
	left := strings.Count(string(rest), "-----BEGIN ")
	pool := x509.NewCertPool()
	for n := 0; ; n++ {
		var block *pem.Block
		if block, rest = pem.Decode(rest); block == nil {
			if n == 0 || n != left {
				return nil, fmt.Errorf("%w %s: no PEM block, or one that is damaged", ErrFormat, what)
			}
			return pool, nil
		}
		if block.Type != "CERTIFICATE" {
			return nil, fmt.Errorf("%w %s: a PEM block is not of type CERTIFICATE", ErrFormat, what)
		}
		cert, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return nil, fmt.Errorf("%w %s: not a valid X.509 certificate", ErrFormat, what)
		}
		pool.AddCert(cert)
	}
}
