package wxpay

import (
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"strings"
)

// The sizes of RSA keys that we use, in bits. WeChat Pay's are of 2048; the
// upper bound keeps a key from making each signature take seconds.
const minBits, maxBits = 2048, 8192

// ParsePublicKey reads WeChat Pay's public key from PEM text: PKIX as the
// merchant platform gives it out, or PKCS #1. Line feeds may be written as \n. A
// fault is [ErrFormat].
func ParsePublicKey(text string) (*rsa.PublicKey, error) {
	const what = "public key"
	block, err := decodePEM(text, what, "PUBLIC KEY", "RSA PUBLIC KEY")
	if err != nil {
		return nil, err
	}
	var key *rsa.PublicKey
	if block.Type == "RSA PUBLIC KEY" {
		key, err = x509.ParsePKCS1PublicKey(block.Bytes)
	} else {
		var any any
		any, err = x509.ParsePKIXPublicKey(block.Bytes)
		key, _ = any.(*rsa.PublicKey)
	}
	if err != nil || key == nil {
		return nil, fmt.Errorf("%w %s: not a valid RSA key", ErrFormat, what)
	}
	if err := checkBits(key, what); err != nil {
		return nil, err
	}
	return key, nil
}

// ParseCertificate reads one certificate with an RSA key from PEM text, with line
// feeds or \n. A fault is [ErrFormat]. It does not look at who issued it: a
// platform certificate is trusted because it came sealed, the merchant's own
// because it is in the configuration.
func ParseCertificate(text string) (*x509.Certificate, error) {
	const what = "certificate"
	block, err := decodePEM(text, what, "CERTIFICATE")
	if err != nil {
		return nil, err
	}
	cert, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		return nil, fmt.Errorf("%w %s: not a valid X.509 certificate", ErrFormat, what)
	}
	key, ok := cert.PublicKey.(*rsa.PublicKey)
	if !ok {
		return nil, fmt.Errorf("%w %s: not for an RSA key", ErrFormat, what)
	}
	if err := checkBits(key, what); err != nil {
		return nil, err
	}
	return cert, nil
}

// SerialNo returns the serial number as WeChat Pay writes it: hexadecimal, upper
// case, two digits a byte.
func SerialNo(c *x509.Certificate) string {
	return fmt.Sprintf("%X", c.SerialNumber.Bytes())
}

// decodePEM finds the one block in text, which must be of one of the given
// types. More than one block would leave it open which was meant. Text around it
// is allowed, since openssl likes to put some there.
func decodePEM(text, what string, types ...string) (*pem.Block, error) {
	block, rest := pem.Decode([]byte(unescapePEM(text)))
	if block == nil {
		return nil, fmt.Errorf("%w %s: no PEM block", ErrFormat, what)
	}
	if next, _ := pem.Decode(rest); next != nil {
		return nil, fmt.Errorf("%w %s: more than one PEM block", ErrFormat, what)
	}
	for _, t := range types {
		if block.Type == t {
			return block, nil
		}
	}
	return nil, fmt.Errorf("%w %s: the PEM block is not of type %s", ErrFormat, what, strings.Join(types, " or "))
}

// unescapePEM undoes what PEM text suffers in environment variables: line feeds
// written as \n.
func unescapePEM(text string) string {
	return strings.ReplaceAll(strings.ReplaceAll(text, `\r`, ""), `\n`, "\n")
}

// checkBits refuses keys that are too short to be safe or too long to be quick.
func checkBits(key *rsa.PublicKey, what string) error {
	if bits := key.N.BitLen(); bits < minBits || bits > maxBits {
		return fmt.Errorf("%w %s: %d bits instead of %d to %d", ErrFormat, what, bits, minBits, maxBits)
	}
	return nil
}
