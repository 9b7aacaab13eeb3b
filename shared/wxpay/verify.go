package wxpay

import (
	"context"
	"crypto"
	"crypto/rsa"
	"crypto/sha256"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"
)

const (
	// window is how far a timestamp may be from now, exclusive, in seconds. The
	// documents say five minutes, some of them only of the past; the SDK refuses
	// exactly 300 as well, and the future like the past, and so do we.
	window = 300

	// probe begins the signatures that WeChat Pay sends to see whether they are
	// refused (doc/v3/merchant/4013053249). What follows the prefix is not even
	// base64. Looking at the prefix can only refuse sooner what RSA would refuse
	// later; nothing is ever accepted by it.
	probe = "WECHATPAY/SIGNTEST/"

	// A signature has as many bytes as its key's modulus. Ours are of 2048 bits;
	// the bounds leave room for keys up to 8192.
	minSignature, maxSignature = 256, 1024

	// maxToken bounds a nonce or a serial. Those that WeChat Pay sends have up to
	// 40 characters.
	maxToken = 128
)

// Verify says whether WeChat Pay signed body, given the headers that came with
// it: nil, or [ErrHeader], [ErrProbe], [ErrStale], [ErrSignature],
// [ErrUnknownKey], or what kept us from fetching the key (see [Keyring.Key]).
// body must be the bytes as received; even a reformatted copy does not verify.
// That a signature holds says who wrote a notification and that it is no older than
// five minutes, not that it is the first of its kind: within the window it may
// be played back, and it is the reader's business to do nothing twice.
//
// The checks run from cheap to expensive, so that a flood of forged notifications costs
// next to nothing: no RSA is done, and no certificate asked for, before all that
// can be checked without it is right.
func (k *Keyring) Verify(ctx context.Context, h http.Header, body []byte) error {
	return k.verify(ctx, h, body, time.Now())
}

// verify is [Keyring.Verify] at a given time. The headers are those of
// wiki/doc/apiv3/wechatpay/wechatpay4_1.shtml.
func (k *Keyring) verify(ctx context.Context, h http.Header, body []byte, now time.Time) error {
	timestamp, err := single(h, headerTimestamp)
	if err != nil {
		return err
	}
	nonce, err := single(h, headerNonce)
	if err != nil {
		return err
	}
	signature, err := single(h, headerSignature)
	if err != nil {
		return err
	}
	serial, err := single(h, headerSerial)
	if err != nil {
		return err
	}
	// Older messages do not say how they are signed. One that names another
	// scheme (SM2, say) is refused: it must not be verified as what it is not.
	if _, named := h[headerType]; named {
		if kind, err := single(h, headerType); err != nil || kind != scheme {
			return fmt.Errorf("%w: %s is not %s", ErrHeader, headerType, scheme)
		}
	}

	// A probe comes with everything else in order, a known serial included. It is
	// recognised before anything is reckoned or fetched on its behalf.
	if strings.HasPrefix(signature, probe) {
		return ErrProbe
	}

	seconds, ok := parseTimestamp(timestamp)
	if !ok {
		return fmt.Errorf("%w: %s is not in unix seconds", ErrHeader, headerTimestamp)
	}
	// A nonce with a line feed would let the end of the nonce pass for the
	// beginning of the body, under the same signature.
	if !isToken(nonce) || !isToken(serial) {
		return fmt.Errorf("%w: %s or %s has odd characters or is too long", ErrHeader, headerNonce, headerSerial)
	}
	if err := checkFresh(seconds, now); err != nil {
		return err
	}

	// The form of the signature comes before the key, because finding a key may
	// mean a download.
	sig, err := decodeSignature(signature)
	if err != nil {
		return err
	}
	key, err := k.key(ctx, serial, now)
	if err != nil {
		return err
	}
	return k.check(key, replyMessage(timestamp, nonce, body), sig)
}

// single returns the value of a header that must be there exactly once. Of two
// values, one reader would take the first and another the last.
func single(h http.Header, name string) (string, error) {
	switch v := h[name]; {
	case len(v) == 0 || len(v) == 1 && v[0] == "":
		return "", fmt.Errorf("%w: %s is missing", ErrHeader, name)
	case len(v) > 1:
		return "", fmt.Errorf("%w: %s is there %d times", ErrHeader, name, len(v))
	default:
		return v[0], nil
	}
}

// parseTimestamp reads unix seconds in their only spelling: digits, no sign, no
// leading zero. Eleven digits reach the year 5138 and cannot overflow.
func parseTimestamp(s string) (int64, bool) {
	if s == "" || len(s) > 11 || s[0] == '0' {
		return 0, false
	}
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' {
			return 0, false
		}
	}
	n, err := strconv.ParseInt(s, 10, 64)
	return n, err == nil
}

// isToken reports whether s is a nonce, a serial or the like: visible ASCII, not
// empty and not long.
func isToken(s string) bool {
	if s == "" || len(s) > maxToken {
		return false
	}
	for i := range len(s) {
		if s[i] <= ' ' || s[i] > '~' {
			return false
		}
	}
	return true
}

// checkFresh refuses with [ErrStale] what is not within the window. It compares
// whole seconds, as WeChat Pay and its SDK do. The error tells how far off the
// timestamp is, positive for the past: if that is alike in all notifications, it is our
// clock that is wrong.
func checkFresh(timestamp int64, now time.Time) error {
	if d := now.Unix() - timestamp; d >= window || d <= -window {
		return fmt.Errorf("%w: %d s", ErrStale, d)
	}
	return nil
}

// decodeSignature refuses with [ErrSignature] what no key could have made. The
// decoder skips line feeds, therefore they are refused first.
func decodeSignature(s string) ([]byte, error) {
	if len(s) > maxSignature*4/3+4 || strings.ContainsAny(s, "\r\n") {
		return nil, fmt.Errorf("%w: not in base64, or too long", ErrSignature)
	}
	sig, err := b64.DecodeString(s)
	if err != nil {
		return nil, fmt.Errorf("%w: not in base64", ErrSignature)
	}
	if len(sig) < minSignature || len(sig) > maxSignature {
		return nil, fmt.Errorf("%w: %d bytes long", ErrSignature, len(sig))
	}
	return sig, nil
}

// checkRSA is the one costly step, some 30 microseconds: nil or [ErrSignature].
// A signature whose length is not the key's is refused before any reckoning.
func checkRSA(key *rsa.PublicKey, message, sig []byte) error {
	digest := sha256.Sum256(message)
	if rsa.VerifyPKCS1v15(key, crypto.SHA256, digest[:], sig) != nil {
		return ErrSignature
	}
	return nil
}
