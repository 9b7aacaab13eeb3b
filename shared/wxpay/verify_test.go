package wxpay

import (
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"
)

func TestVerifyTakesAGenuineNotification(t *testing.T) {
	h, body := newSigned(t)
	ops := 0
	k := newKeyring(&ops)
	if err := verifyNow(k, h, body); err != nil || ops != 1 {
		t.Fatalf("a good notification: error %v after %d RSA operations, want none after 1", err, ops)
	}
	// Signature-Type came later than the rest; older messages lack it.
	h.Del(headerType)
	if err := verifyNow(k, h, body); err != nil {
		t.Error("a notification without Wechatpay-Signature-Type:", err)
	}
	// The thin outer function, in real time.
	h = http.Header{}
	newPlatform().Sign(h, body, time.Now())
	if err := k.Verify(context.Background(), h, body); err != nil {
		t.Error("Verify in real time:", err)
	}
	newPlatform().Sign(h, nil, time.Now())
	if err := k.Verify(context.Background(), h, nil); err != nil {
		t.Error("Verify of an empty body:", err)
	}
}

// One valid notification, one thing changed. Cheap faults must be found without RSA (threats C1, C3).
func TestVerifyRefusesAnyOneThingChanged(t *testing.T) {
	resign := func(p *Platform, at time.Time, nonce string) func(http.Header, *[]byte) {
		return func(h http.Header, body *[]byte) {
			if err := p.sign(h, *body, at, nonce); err != nil {
				t.Fatal(err)
			}
		}
	}
	set := func(name, value string) func(http.Header, *[]byte) {
		return func(h http.Header, _ *[]byte) { h.Set(name, value) }
	}
	edit := func(name string, f func(string) string) func(http.Header, *[]byte) {
		return func(h http.Header, _ *[]byte) { h.Set(name, f(h.Get(name))) }
	}
	type test struct {
		name   string
		mutate func(h http.Header, body *[]byte)
		want   error
		rsa    int
	}
	tests := []test{
		{"body changed", func(_ http.Header, b *[]byte) { (*b)[10] ^= 1 }, ErrSignature, 1},
		{"body longer by a line feed", func(_ http.Header, b *[]byte) { *b = append(*b, '\n') }, ErrSignature, 1},
		{"body empty", func(_ http.Header, b *[]byte) { *b = nil }, ErrSignature, 1},
		{"signed by another key", resign(&Platform{pubID, forgerKey()}, now(), nonce), ErrSignature, 1},
		{"signed under an unknown public key", resign(&Platform{pubID + "2", platformKey()}, now(), nonce), ErrUnknownKey, 0},
		{"signed under a certificate, there being none", resign(&Platform{serial1, platformKey()}, now(), nonce), ErrUnknownKey, 0},
		{"public key ID in lower case", edit(headerSerial, strings.ToLower), ErrUnknownKey, 0},

		{"timestamp of another second", set(headerTimestamp, "1554208461"), ErrSignature, 1},
		{"timestamp with a plus", edit(headerTimestamp, func(s string) string { return "+" + s }), ErrHeader, 0},
		{"timestamp with a leading zero", edit(headerTimestamp, func(s string) string { return "0" + s }), ErrHeader, 0},
		{"timestamp in milliseconds", edit(headerTimestamp, func(s string) string { return s + "000" }), ErrHeader, 0},
		{"timestamp in words", set(headerTimestamp, "soon"), ErrHeader, 0},

		{"nonce changed", edit(headerNonce, strings.ToLower), ErrSignature, 1},
		{"nonce with a line feed", edit(headerNonce, func(s string) string { return s + "\n" }), ErrHeader, 0},
		{"nonce too long", set(headerNonce, strings.Repeat("n", 129)), ErrHeader, 0},
		{"nonce not ASCII", set(headerNonce, "随机"), ErrHeader, 0},
		{"serial with a line feed", edit(headerSerial, func(s string) string { return s + "\n" }), ErrHeader, 0},

		{"signature type of SM2", set(headerType, "WECHATPAY2-SM2-WITH-SM3"), ErrHeader, 0},
		{"signature type of the brand API", set(headerType, "WECHATPAY-BRAND-SHA256-RSA2048"), ErrHeader, 0},
		{"signature type in lower case", set(headerType, strings.ToLower(scheme)), ErrHeader, 0},
		{"signature type empty", set(headerType, ""), ErrHeader, 0},

		{"signature a probe", edit(headerSignature, func(s string) string { return "WECHATPAY/SIGNTEST/" + s[19:] }), ErrProbe, 0},
		{"signature a probe and nothing else", set(headerSignature, "WECHATPAY/SIGNTEST/"), ErrProbe, 0},
		{"signature not base64", set(headerSignature, "not base64"), ErrSignature, 0},
		{"signature without padding", edit(headerSignature, func(s string) string { return strings.TrimRight(s, "=") }), ErrSignature, 0},
		{"signature with a line feed", edit(headerSignature, func(s string) string { return s[:76] + "\n" + s[76:] }), ErrSignature, 0},
		{"signature with another spelling of its end", edit(headerSignature, respell), ErrSignature, 0},
		{"signature of 255 bytes", set(headerSignature, b64.EncodeToString(make([]byte, 255))), ErrSignature, 0},
		{"signature of 257 bytes", set(headerSignature, b64.EncodeToString(make([]byte, 257))), ErrSignature, 1}, // the length of another key
		{"signature of 1025 bytes", set(headerSignature, b64.EncodeToString(make([]byte, 1025))), ErrSignature, 0},
		{"signature of a megabyte", set(headerSignature, strings.Repeat("A", 1<<20)), ErrSignature, 0},
		{"signature of zeros", set(headerSignature, b64.EncodeToString(make([]byte, 256))), ErrSignature, 1},

		// Two faults: the order of the tests is part of the contract.
		{"probe, and stale", func(h http.Header, b *[]byte) {
			resign(newPlatform(), now().Add(-time.Hour), nonce)(h, b)
			h.Set(headerSignature, probe)
		}, ErrProbe, 0},
		{"probe, and no serial", func(h http.Header, _ *[]byte) { h.Set(headerSignature, probe); h.Del(headerSerial) }, ErrHeader, 0},
		{"stale, and no base64", func(h http.Header, _ *[]byte) { h.Set(headerTimestamp, "1554200000"); h.Set(headerSignature, "!") }, ErrStale, 0},
		{"no base64, and unknown serial", func(h http.Header, _ *[]byte) { h.Set(headerSignature, "!"); h.Set(headerSerial, serial1) }, ErrSignature, 0},
	}
	for _, name := range []string{headerTimestamp, headerNonce, headerSignature, headerSerial} {
		tests = append(tests,
			test{name + " missing", func(h http.Header, _ *[]byte) { h.Del(name) }, ErrHeader, 0},
			test{name + " empty", set(name, ""), ErrHeader, 0},
			test{name + " twice", func(h http.Header, _ *[]byte) { h.Add(name, h.Get(name)) }, ErrHeader, 0},
			test{name + " with an empty second", func(h http.Header, _ *[]byte) { h.Add(name, "") }, ErrHeader, 0},
			test{name + " without values", func(h http.Header, _ *[]byte) { h[name] = nil }, ErrHeader, 0},
		)
	}
	tests = append(tests, test{headerType + " twice", func(h http.Header, _ *[]byte) { h.Add(headerType, scheme) }, ErrHeader, 0})

	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			h, body := newSigned(t)
			tt.mutate(h, &body)
			ops := 0
			err := verifyNow(newKeyring(&ops), h, body)
			if !errors.Is(err, tt.want) {
				t.Errorf("error %v, want %v", err, tt.want)
			}
			if ops != tt.rsa {
				t.Errorf("%d RSA operations, want %d", ops, tt.rsa)
			}
			checkSecrets(t, "error", fmt.Sprint(err))
		})
	}
	t.Run("no headers at all", func(t *testing.T) {
		ops := 0
		if err := verifyNow(newKeyring(&ops), nil, nil); !errors.Is(err, ErrHeader) || ops != 0 {
			t.Errorf("error %v after %d RSA operations, want %v after none", err, ops, ErrHeader)
		}
	})
}

// respell changes the bits of the last base64 digit that carry nothing: the lax
// decoder gives the same bytes.
func respell(s string) string {
	const digits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
	i := len(s) - 3
	return s[:i] + digits[strings.IndexByte(digits, s[i])|1:][:1] + s[i+1:]
}

func TestRespellIsTheSameToTheLaxDecoder(t *testing.T) {
	h, _ := newSigned(t)
	s := h.Get(headerSignature)
	a, _ := base64.StdEncoding.DecodeString(s)
	b, err := base64.StdEncoding.DecodeString(respell(s))
	if err != nil || s == respell(s) || !bytes.Equal(a, b) {
		t.Error("the table's case of another spelling tests nothing:", err)
	}
}

// The same signed bytes with the line between nonce and body moved.
func TestVerifyKeepsNonceAndBodyApart(t *testing.T) {
	h := http.Header{}
	if err := newPlatform().sign(h, []byte("first\nsecond"), now(), nonce); err != nil {
		t.Fatal(err)
	}
	ops := 0
	k := newKeyring(&ops)
	h.Set(headerNonce, nonce+"\nfirst")
	if err := verifyNow(k, h, []byte("second")); !errors.Is(err, ErrHeader) {
		t.Errorf("error %v, want %v", err, ErrHeader)
	}
}

// Every single bit of a notification of real size and of its headers (threats C2).
func TestVerifyRefusesEveryFlippedBit(t *testing.T) {
	h, body := newSigned(t)
	ops, flips := 0, 0
	k := newKeyring(&ops)
	refuse := func(where string, bit int) {
		t.Helper()
		flips++
		if err := verifyNow(k, h, body); err == nil {
			t.Errorf("accepted with bit %d of %s flipped", bit, where)
		}
	}
	for bit := range len(body) * 8 {
		body[bit/8] ^= 1 << (bit % 8)
		refuse("body", bit)
		body[bit/8] ^= 1 << (bit % 8)
	}
	for _, name := range []string{headerTimestamp, headerNonce, headerSignature, headerSerial, headerType} {
		value := h.Get(name)
		for bit := range len(value) * 8 {
			b := []byte(value)
			b[bit/8] ^= 1 << (bit % 8)
			h.Set(name, string(b))
			refuse(name, bit)
		}
		h.Set(name, value)
	}
	if err := verifyNow(k, h, body); err != nil {
		t.Fatal("the notification itself is refused, so this showed nothing:", err)
	}
	t.Logf("%d flips over %d bytes of body and 5 headers, %d RSA operations, none accepted", flips, len(body), ops)
}

// The window is open to five minutes on either side (threats C4).
func TestVerifyRefusesWhatIsFiveMinutesOff(t *testing.T) {
	for _, tt := range []struct {
		age  int // seconds that the notification is old
		want error
	}{
		{-301, ErrStale}, {-300, ErrStale}, {-299, nil}, {-1, nil}, {0, nil},
		{1, nil}, {299, nil}, {300, ErrStale}, {301, ErrStale}, {600, ErrStale}, {-600, ErrStale}, {86400, ErrStale},
	} {
		// Fractions do not count: 299.999 s apart may be 300 whole seconds.
		for _, fraction := range []time.Duration{0, 1, 999999999} {
			h, body := http.Header{}, []byte("{}")
			if err := newPlatform().sign(h, body, now(), nonce); err != nil {
				t.Fatal(err)
			}
			ops := 0
			at := now().Add(time.Duration(tt.age)*time.Second + fraction)
			err := newKeyring(&ops).verify(context.Background(), h, body, at)
			if !errors.Is(err, tt.want) || (err != nil) != (tt.want != nil) {
				t.Errorf("age %d s + %d ns: error %v, want %v", tt.age, fraction, err, tt.want)
			}
			if err != nil && ops != 0 {
				t.Errorf("age %d s: RSA was done for a stale notification", tt.age)
			}
		}
	}
}

// The greatest timestamp that is read must not overflow the difference.
func TestVerifyWindowExtremes(t *testing.T) {
	for _, ts := range []int64{1, 99999999999} {
		if _, ok := parseTimestamp(strconv.FormatInt(ts, 10)); !ok {
			t.Errorf("timestamp %d is not read", ts)
		}
		if err := checkFresh(ts, now()); !errors.Is(err, ErrStale) {
			t.Errorf("timestamp %d: error %v, want %v", ts, err, ErrStale)
		}
	}
}
