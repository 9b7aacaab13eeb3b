package wxpay

import (
	"bytes"
	"crypto/aes"
	"crypto/md5"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// reqInfo is what WeChat Pay seals in a notification of v2 (doc/v2/partner/4011989265).
const reqInfo = `<root>
<out_refund_no><![CDATA[131811191610442717309]]></out_refund_no>
<out_trade_no><![CDATA[71106718111915575302817]]></out_trade_no>
<refund_account><![CDATA[REFUND_SOURCE_RECHARGE_FUNDS]]></refund_account>
<refund_fee><![CDATA[3960]]></refund_fee>
<refund_id><![CDATA[50000408942018111907145868882]]></refund_id>
<refund_recv_accout><![CDATA[支付用户零钱]]></refund_recv_accout>
<refund_request_source><![CDATA[API]]></refund_request_source>
<refund_status><![CDATA[SUCCESS]]></refund_status>
<settlement_refund_fee><![CDATA[3960]]></settlement_refund_fee>
<settlement_total_fee><![CDATA[3960]]></settlement_total_fee>
<success_time><![CDATA[2018-11-19 16:24:13]]></success_time>
<total_fee><![CDATA[3960]]></total_fee>
<transaction_id><![CDATA[4200000215201811190261405420]]></transaction_id>
</root>`

// ecb encrypts with nothing but the standard library: no padding is added.
func ecb(t testing.TB, secret string, blocks []byte) []byte {
	t.Helper()
	digest := md5.Sum([]byte(secret))
	key := hex.EncodeToString(digest[:])
	if len(key) != 32 || key != strings.ToLower(key) {
		t.Fatalf("the key is %q", key)
	}
	c, err := aes.NewCipher([]byte(key))
	if err != nil {
		t.Fatal(err)
	}
	var out []byte
	for ; len(blocks) > 0; blocks = blocks[16:] {
		var b [16]byte
		c.Encrypt(b[:], blocks[:16])
		out = append(out, b[:]...)
	}
	return out
}

// A vector made by hand, and its key, by the steps that WeChat Pay's page lists.
func TestOpenReqInfoVector(t *testing.T) {
	const secret = "192006250b4c09247ec02edce69f6a2d"
	k := apiKey(t, secret)
	n := 16 - len(reqInfo)%16
	sealed := base64.StdEncoding.EncodeToString(ecb(t, secret, append([]byte(reqInfo), bytes.Repeat([]byte{byte(n)}, n)...)))
	plain, err := k.OpenReqInfo(sealed)
	if err != nil || string(plain) != reqInfo {
		t.Fatalf("opened %q, error %v", plain, err)
	}
	if got := k.SealReqInfo([]byte(reqInfo)); got != sealed {
		t.Errorf("sealed %s, want %s", got, sealed)
	}
	got, err := ParseFields(plain, "root")
	if err != nil {
		t.Fatal(err)
	}
	want := Fields{
		"out_refund_no": "131811191610442717309", "out_trade_no": "71106718111915575302817", "refund_account": "REFUND_SOURCE_RECHARGE_FUNDS",
		"refund_fee": "3960", "refund_id": "50000408942018111907145868882", "refund_recv_accout": "支付用户零钱", "refund_request_source": "API",
		"refund_status": "SUCCESS", "settlement_refund_fee": "3960", "settlement_total_fee": "3960", "success_time": "2018-11-19 16:24:13",
		"total_fee": "3960", "transaction_id": "4200000215201811190261405420",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("fields (-want +got):\n%s", diff)
	}
}

// Every length up to some blocks.
func TestSealOpenReqInfo(t *testing.T) {
	k := newAPIKey(t)
	for x := range 100 {
		plain := []byte("<root><a>" + strings.Repeat("x", x) + "</a></root>")
		n := len(plain)
		before := bytes.Clone(plain)
		sealed := k.SealReqInfo(plain)
		if got, err := k.OpenReqInfo(sealed); err != nil || !bytes.Equal(got, before) || !bytes.Equal(plain, before) {
			t.Errorf("%d bytes: got %d bytes, error %v", n, len(got), err)
		}
		if raw, err := base64.StdEncoding.DecodeString(sealed); err != nil || len(raw) != (n/16+1)*16 {
			t.Errorf("%d bytes: sealed to %d, error %v", n, len(raw), err)
		}
	}
	// Line feeds, which some encoders of base64 put in.
	sealed := k.SealReqInfo([]byte(reqInfo))
	if got, err := k.OpenReqInfo(sealed[:76] + "\n" + sealed[76:152] + "\r\n" + sealed[152:]); err != nil || string(got) != reqInfo {
		t.Errorf("with line feeds: %d bytes, error %v", len(got), err)
	}
}

// One valid text, one thing changed: every padding that is none, every length that
// is none.
func TestOpenReqInfoRefuses(t *testing.T) {
	k := newAPIKey(t)
	seal := func(blocks []byte) string { return base64.StdEncoding.EncodeToString(ecb(t, apiSecretText, blocks)) }
	valid := k.SealReqInfo([]byte(reqInfo))
	raw, err := base64.StdEncoding.DecodeString(valid)
	if err != nil {
		t.Fatal(err)
	}
	tests := map[string]string{
		"empty":                    "",
		"blank":                    " ",
		"only line feeds":          "\r\n\r\n",
		"not base64":               "not base64!",
		"base64 for URLs":          base64.URLEncoding.EncodeToString(ecb(t, apiSecretText, bytes.Repeat([]byte{16}, 64))),
		"base64 without padding":   strings.TrimRight(k.SealReqInfo(nil), "="),
		"base64 spelled otherwise": respell(k.SealReqInfo(nil)),
		"base64 with a space":      " " + valid,
		"base64, something behind": valid + "=",
		"without padding":          seal([]byte("<root>canary</root>")[:16]),
		"nothing in it":            k.SealReqInfo(nil),
		"no XML in it":             k.SealReqInfo([]byte("canary")),
		"another root":             k.SealReqInfo([]byte("<xml><a>canary</a></xml>")),
		"padding of 17":            seal(bytes.Repeat([]byte{17}, 32)),
		"sealed with another key":  base64.StdEncoding.EncodeToString(ecb(t, strings.Repeat("k", 32), bytes.Repeat([]byte{16}, 16))),
	}
	// A block that ends with n for the number of bytes of padding, one of which is
	// another; and n of which there are not enough.
	for n := 1; n <= 16; n++ {
		for i := range n - 1 {
			for _, x := range []byte{0, byte(n - 1), byte(n + 1), 255} {
				block := append(bytes.Repeat([]byte("x"), 16-n), bytes.Repeat([]byte{byte(n)}, n)...)
				block[16-n+i] = x
				tests[fmt.Sprintf("padding of %d, byte %d is %d", n, i, x)] = seal(block)
			}
		}
	}
	for x := range 256 {
		if x < 1 || x > 16 {
			tests[fmt.Sprintf("the last byte is %d", x)] = seal(append(bytes.Repeat([]byte{byte(x)}, 15), byte(x)))
		}
	}
	for n := range len(raw) {
		tests[fmt.Sprintf("cut after %d bytes", n)] = base64.StdEncoding.EncodeToString(raw[:n])
	}
	for name, s := range tests {
		plain, err := k.OpenReqInfo(s)
		if !errors.Is(err, ErrOpen) || plain != nil {
			t.Errorf("%s: %q, error %v, want none and %v", name, plain, err, ErrOpen)
		}
		checkSecrets(t, name, fmt.Sprint(err))
	}
	if _, err := (APIKey{}).OpenReqInfo(valid); !errors.Is(err, ErrOpen) {
		t.Errorf("the zero key: error %v, want %v", err, ErrOpen)
	}
	if got := (APIKey{}).SealReqInfo([]byte("canary")); got != "" {
		t.Errorf("the zero key seals: %q", got)
	}
}

// Whatever is wrong behind the cipher, the padding or what is before it, the error is the
// same: who sends block after block does not learn which of them ends as a padding does.
func TestOpenReqInfoIsNoOracle(t *testing.T) {
	k := newAPIKey(t)
	texts := map[string]bool{}
	for x := range 256 {
		block := make([]byte, 16)
		block[15] = byte(x)
		_, err := k.OpenReqInfo(base64.StdEncoding.EncodeToString(ecb(t, apiSecretText, block)))
		texts[fmt.Sprint(err)] = true
	}
	if len(texts) != 1 || texts["<nil>"] {
		t.Errorf("%d errors: %v", len(texts), texts)
	}
}

// The cipher has no tag: what is altered keeps its padding, if it is not the end of it.
// But a block that is not what it was is not text, and does not open.
func TestReqInfoFlippedBits(t *testing.T) {
	k := newAPIKey(t)
	sealed := []byte(k.SealReqInfo([]byte(reqInfo)))
	padded := 0
	for bit := range len(sealed) * 8 {
		sealed[bit/8] ^= 1 << (bit % 8)
		if _, err := k.decryptReqInfo(string(sealed)); err == nil {
			padded++
		}
		if plain, err := k.OpenReqInfo(string(sealed)); !errors.Is(err, ErrOpen) {
			t.Errorf("bit %d: %q, error %v, want %v", bit, plain, err, ErrOpen)
		}
		sealed[bit/8] ^= 1 << (bit % 8)
	}
	if padded == 0 {
		t.Error("no flip kept the padding: this test proves nothing")
	}
	t.Logf("%d flips, %d of them with a padding, none opened", len(sealed)*8, padded)
}
