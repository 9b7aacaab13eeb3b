package wxpay

import (
	"crypto/rsa"
	"net/http"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// The examples of WeChat Pay's guides to signatures and to verification.
func TestMessagesAreThoseOfTheGuides(t *testing.T) {
	for want, got := range map[string][]byte{
		"GET\n/v3/certificates\n1554208460\n593BEC0C930BF1AFEB40B4A08C8FB242\n\n": RequestMessage("GET", "/v3/certificates", 1554208460, nonce, nil),
		"1554209980\nc5ac7061fccab6bf3e254dcf98995b8c\n{\"data\":[]}\n":           replyMessage("1554209980", "c5ac7061fccab6bf3e254dcf98995b8c", []byte(`{"data":[]}`)),
	} {
		if string(got) != want {
			t.Errorf("message %q, want %q", got, want)
		}
	}
}

func TestAuthorization(t *testing.T) {
	s := newSigner()
	body := []byte(`{"out_refund_no":"1"}`)
	const uri = "/v3/refund/domestic/refunds"
	before := time.Now().Unix()
	header, err := s.Authorization("POST", uri, body)
	if err != nil {
		t.Fatal(err)
	}
	c, err := ParseAuthorization(header)
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Verify(s.Key.Public().(*rsa.PublicKey), "POST", uri, body, time.Now()); err != nil {
		t.Error("our own header is refused:", err)
	}
	if c.Timestamp < before || c.Timestamp > time.Now().Unix() {
		t.Errorf("timestamp %d is not the present", c.Timestamp)
	}
	if len(c.Nonce) < 16 || len(c.Nonce) > 32 {
		t.Errorf("nonce %q has %d characters, want 16 to 32", c.Nonce, len(c.Nonce))
	}
	again, _ := s.Authorization("POST", uri, body)
	if again == header {
		t.Error("two requests got the same nonce")
	}
}

func TestSignerUnfit(t *testing.T) {
	for name, s := range map[string]*Signer{
		"nil":         nil,
		"zero":        {},
		"no merchant": {SerialNo: mchSerial, Key: merchantKey()},
		"no serial":   {MchID: mchID, Key: merchantKey()},
		"no key":      {MchID: mchID, SerialNo: mchSerial},
	} {
		if got, err := s.Authorization("GET", "/", nil); err == nil {
			t.Errorf("%s: header %q, want an error", name, got)
		}
	}
	for name, p := range map[string]*Platform{
		"nil":       nil,
		"no serial": {Key: platformKey()},
		"no key":    {Serial: pubID},
	} {
		h := http.Header{}
		if err := p.Sign(h, nil, time.Now()); err == nil || len(h) > 0 {
			t.Errorf("platform %s: error %v, headers %v; want an error and no headers", name, err, h)
		}
	}
}

func TestPlatformSign(t *testing.T) {
	h := http.Header{}
	h.Add(headerNonce, "left from before")
	body := []byte(`{"a":1}`)
	if err := newPlatform().Sign(h, body, now().Add(999*time.Millisecond)); err != nil {
		t.Fatal(err)
	}
	want := http.Header{
		headerTimestamp: {"1554208460"}, headerSerial: {pubID}, headerType: {scheme},
		headerNonce: {h.Get(headerNonce)}, headerSignature: {h.Get(headerSignature)},
	}
	if diff := cmp.Diff(want, h); diff != "" {
		t.Errorf("headers (-want +got):\n%s", diff)
	}
	k := NewKeyring(map[string]*rsa.PublicKey{pubID: &platformKey().PublicKey}, nil)
	if err := verifyNow(k, h, body); err != nil {
		t.Error("our own signature is refused:", err)
	}
}
