package wxpay

import (
	"crypto"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"time"

	"wxrefund/shared/secret"
)

// scheme names APIv3's signature: RSA PKCS #1 v1.5 over SHA-256, in base64. It
// is the scheme of Authorization and the value of Wechatpay-Signature-Type
// (wiki/doc/apiv3/wechatpay/wechatpay4_0.shtml). WECHATPAY2-SM2-WITH-SM3, for
// merchants who applied for it, is another protocol and not spoken here.
const scheme = "WECHATPAY2-SHA256-RSA2048"

// The headers that sign a reply or a notification, in the spelling under which
// net/http files them.
const (
	headerTimestamp = "Wechatpay-Timestamp"
	headerNonce     = "Wechatpay-Nonce"
	headerSignature = "Wechatpay-Signature"
	headerSerial    = "Wechatpay-Serial" // in a request: the key that the merchant can verify with
	headerType      = "Wechatpay-Signature-Type"
)

// b64 is base64 that has one spelling for each value: the lax decoder ignores
// the last bits, so that a signature could be altered and still verify.
var b64 = base64.StdEncoding.Strict()

// A Signer signs requests as a merchant. It may be used by many at the same time.
//
// Logging one is harmless: its key stays out of JSON and of fmt.
type Signer struct {
	MchID    string        // the merchant number; a service provider's own
	SerialNo string        // of the merchant's API certificate
	Key      crypto.Signer `json:"-"` // of that certificate: a [*PrivateKey], or another RSA key
}

// Format hides the key, whatever the verb.
func (s Signer) Format(f fmt.State, _ rune) { secret.Mask(f, "[signer "+s.MchID+" "+s.SerialNo+"]") }

// Authorization returns the header that signs a request, with the present time
// and a nonce of its own. uri is the path and query exactly as they will be
// sent, body what follows (nil for none). The only error is a Signer that
// cannot sign.
func (s *Signer) Authorization(method, uri string, body []byte) (string, error) {
	return s.authorize(method, uri, body, time.Now().Unix(), rand.Text())
}

// authorize is [Signer.Authorization] without the time and the chance, so that
// its result can be compared byte for byte. The order of the attributes is the
// SDK's; any would do.
func (s *Signer) authorize(method, uri string, body []byte, timestamp int64, nonce string) (string, error) {
	if s == nil || s.MchID == "" || s.SerialNo == "" {
		return "", errors.New("wxpay: signer lacks its merchant number or serial")
	}
	sig, err := sign(s.Key, RequestMessage(method, uri, timestamp, nonce, body))
	if err != nil {
		return "", err
	}
	return scheme + ` mchid="` + s.MchID + `",nonce_str="` + nonce + `",timestamp="` + strconv.FormatInt(timestamp, 10) +
		`",serial_no="` + s.SerialNo + `",signature="` + sig + `"`, nil
}

// RequestMessage returns what a merchant signs: method, path with query, unix
// seconds, nonce and body, each ended by a line feed, the last one too. The host
// is not part of it, so that a request can go to the standby host as it is.
func RequestMessage(method, uri string, timestamp int64, nonce string, body []byte) []byte {
	m := make([]byte, 0, len(method)+len(uri)+len(nonce)+len(body)+24)
	m = append(append(m, method...), '\n')
	m = append(append(m, uri...), '\n')
	m = append(strconv.AppendInt(m, timestamp, 10), '\n')
	m = append(append(m, nonce...), '\n')
	return append(append(m, body...), '\n')
}

// A Platform signs replies and notifications as WeChat Pay does. It is the
// sandbox's half: nothing that is deployed has such a key. Like a [Signer] it may
// be shared and logged.
type Platform struct {
	Serial string        // of the platform certificate, or the PUB_KEY_ID_ of the public key
	Key    crypto.Signer `json:"-"` // an RSA key
}

// Format hides the key, whatever the verb.
func (p Platform) Format(f fmt.State, _ rune) { secret.Mask(f, "[platform "+p.Serial+"]") }

// Sign sets the five Wechatpay-* headers over body, the bytes that will be sent.
// now is what goes into Wechatpay-Timestamp, to the second. A notification that is sent
// again is signed again, with a new time and nonce: the old headers would be
// stale (doc/v3/partner/4013059030). The only error is a Platform that cannot
// sign; it leaves the headers alone.
func (p *Platform) Sign(h http.Header, body []byte, now time.Time) error {
	return p.sign(h, body, now, rand.Text())
}

// sign is [Platform.Sign] without the chance.
func (p *Platform) sign(h http.Header, body []byte, now time.Time, nonce string) error {
	if p == nil || p.Serial == "" {
		return errors.New("wxpay: platform lacks its serial")
	}
	timestamp := strconv.FormatInt(now.Unix(), 10)
	sig, err := sign(p.Key, replyMessage(timestamp, nonce, body))
	if err != nil {
		return err
	}
	h.Set(headerTimestamp, timestamp)
	h.Set(headerNonce, nonce)
	h.Set(headerSignature, sig)
	h.Set(headerSerial, p.Serial)
	h.Set(headerType, scheme)
	return nil
}

// replyMessage returns what WeChat Pay signs: timestamp, nonce and body, each
// ended by a line feed. The timestamp is a string, so that what is verified are
// the header's own bytes and not our reading of them.
func replyMessage(timestamp, nonce string, body []byte) []byte {
	m := make([]byte, 0, len(timestamp)+len(nonce)+len(body)+3)
	m = append(append(m, timestamp...), '\n')
	m = append(append(m, nonce...), '\n')
	return append(append(m, body...), '\n')
}

// sign returns the signature of message in base64. The message is hashed here
// and never shows up in an error.
func sign(key crypto.Signer, message []byte) (string, error) {
	if key == nil {
		return "", errors.New("wxpay: no private key to sign with")
	}
	digest := sha256.Sum256(message)
	sig, err := key.Sign(nil, digest[:], crypto.SHA256) // PKCS #1 v1.5, which needs no random source
	if err != nil {
		return "", fmt.Errorf("wxpay: signing: %w", err)
	}
	return b64.EncodeToString(sig), nil
}
