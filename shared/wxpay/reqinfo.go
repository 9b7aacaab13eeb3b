package wxpay

import (
	"bytes"
	"crypto/aes"
	"fmt"
)

// OpenReqInfo returns what is sealed in the req_info of a v2 notification, an XML
// text that [ParseFields] reads with the root "root"; else [ErrOpen]. The cipher is
// AES-256 in ECB mode with PKCS #7 padding, its key the MD5 of the API key
// (doc/v2/partner/4011989265).
//
// The notification has no signature: that it opens is all that speaks for it.
// It is less than it seems. ECB has no tag, and who has seen some notifications can put
// together another of their blocks of 16 bytes. So what is inside should be
// believed only as far as a query confirms it.
//
// A key that is not the right one opens one text in 256, and finds no XML in it: that is
// [ErrOpen] too. So nobody learns from the answer whether a padding was right, and of two
// keys the one counts whose text can be read.
func (k APIKey) OpenReqInfo(s string) ([]byte, error) {
	plain, err := k.openReqInfo(s)
	if err != nil && k.old.Reveal() != nil {
		return APIKey{secret: k.old}.openReqInfo(s)
	}
	return plain, err
}

// rootReqInfo is the root element of what is sealed in a req_info.
const rootReqInfo = "root"

// altered is the one error for all that is wrong behind the cipher: what exactly it is
// would tell something of the plain text to whom the error reaches.
func altered() error { return fmt.Errorf("%w: altered, or sealed with another key", ErrOpen) }

// openReqInfo opens with the newest key alone.
func (k APIKey) openReqInfo(s string) ([]byte, error) {
	plain, err := k.decryptReqInfo(s)
	if err != nil {
		return nil, err
	}
	if _, err := ParseFields(plain, rootReqInfo); err != nil {
		return nil, altered()
	}
	return plain, nil
}

// decryptReqInfo looks at nothing but the padding.
func (k APIKey) decryptReqInfo(s string) ([]byte, error) {
	if k.secret.Reveal() == nil {
		return nil, fmt.Errorf("%w: no key", ErrOpen)
	}
	b, err := b64.DecodeString(s)
	if err != nil || len(b) == 0 || len(b)%aes.BlockSize != 0 {
		return nil, fmt.Errorf("%w: req_info is not blocks of %d bytes in base64", ErrOpen, aes.BlockSize)
	}
	for i := 0; i < len(b); i += aes.BlockSize {
		k.secret.Reveal().seal.Decrypt(b[i:], b[i:])
	}
	n := int(b[len(b)-1])
	if n < 1 || n > aes.BlockSize || !bytes.HasSuffix(b, padding(n)) {
		return nil, altered()
	}
	return b[:len(b)-n], nil
}

// SealReqInfo seals plain as WeChat Pay does. With the zero key it returns "",
// which does not open.
func (k APIKey) SealReqInfo(plain []byte) string {
	if k.secret.Reveal() == nil {
		return ""
	}
	b := append(bytes.Clone(plain), padding(aes.BlockSize-len(plain)%aes.BlockSize)...)
	for i := 0; i < len(b); i += aes.BlockSize {
		k.secret.Reveal().seal.Encrypt(b[i:], b[i:])
	}
	return b64.EncodeToString(b)
}

// padding is n bytes with the value n, as PKCS #7 has it.
func padding(n int) []byte { return bytes.Repeat([]byte{byte(n)}, n) }
