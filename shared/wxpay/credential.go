package wxpay

import (
	"crypto/rsa"
	"fmt"
	"strings"
	"time"
)

// maxAuthorization bounds the header in bytes. A real one has about 550.
const maxAuthorization = 4096

// A Credential is what a merchant's Authorization header says. It is a claim
// until [Credential.Verify] has returned nil.
type Credential struct {
	MchID     string
	SerialNo  string // of the merchant's API certificate: which key to verify with
	Nonce     string
	Signature string // base64
	Timestamp int64  // unix seconds
}

// ParseAuthorization reads an Authorization header. Any fault is [ErrHeader], for
// which WeChat Pay answers 401 or, of a form that it cannot read at all, 400.
// Whether the signature is one is not looked at before [Credential.Verify].
//
// The attributes may come in any order, since the SDKs disagree about it. An
// attribute that occurs twice or that APIv3 does not know is refused: the one
// could be read in two ways, the other is a client's mistake that the real
// server would not let pass either.
func ParseAuthorization(header string) (Credential, error) {
	rest, ok := strings.CutPrefix(header, scheme+" ")
	if !ok || len(header) > maxAuthorization {
		return Credential{}, fmt.Errorf("%w: Authorization is not %s", ErrHeader, scheme)
	}
	var c Credential
	var timestamp string
	for more := true; more; {
		var name, value string
		// Only `name="value"` is read, without escapes: no value of the five can
		// hold a quote.
		name, rest, ok = strings.Cut(rest, `="`)
		name = strings.Trim(name, " \t")
		if ok {
			value, rest, ok = strings.Cut(rest, `"`)
		}
		if !ok {
			return Credential{}, fmt.Errorf(`%w: Authorization is not a list of name="value"`, ErrHeader)
		}
		var field *string
		switch name {
		case "mchid":
			field = &c.MchID
		case "serial_no":
			field = &c.SerialNo
		case "nonce_str":
			field = &c.Nonce
		case "timestamp":
			field = &timestamp
		case "signature":
			field = &c.Signature
		default:
			return Credential{}, fmt.Errorf("%w: Authorization has an unknown attribute", ErrHeader)
		}
		if *field != "" || value == "" {
			return Credential{}, fmt.Errorf("%w: Authorization's %s is empty or there twice", ErrHeader, name)
		}
		*field = value
		rest = strings.TrimLeft(rest, " \t")
		rest, more = strings.CutPrefix(rest, ",")
	}
	if strings.TrimRight(rest, " \t") != "" {
		return Credential{}, fmt.Errorf("%w: Authorization has something behind its last attribute", ErrHeader)
	}
	if c.Timestamp, ok = parseTimestamp(timestamp); !ok {
		return Credential{}, fmt.Errorf("%w: Authorization's timestamp is missing or not in unix seconds", ErrHeader)
	}
	// The nonce is one line of the signed message, so it must not bring a second.
	if !isToken(c.MchID) || !isToken(c.SerialNo) || !isToken(c.Nonce) || c.Signature == "" {
		return Credential{}, fmt.Errorf("%w: Authorization lacks an attribute, or one has odd characters or is too long", ErrHeader)
	}
	return c, nil
}

// Verify says whether the request was signed with the private half of key: nil,
// [ErrStale], [ErrSignature], or [ErrUnknownKey] if key is nil. key is that of
// the certificate that c.SerialNo names, uri the path and query as they stood in
// the request line, body the bytes as received.
func (c Credential) Verify(key *rsa.PublicKey, method, uri string, body []byte, now time.Time) error {
	if err := checkFresh(c.Timestamp, now); err != nil {
		return err
	}
	sig, err := decodeSignature(c.Signature)
	if err != nil {
		return err
	}
	if key == nil {
		return unknown(c.SerialNo)
	}
	return checkRSA(key, RequestMessage(method, uri, c.Timestamp, c.Nonce, body), sig)
}
