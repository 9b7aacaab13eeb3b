package wxpay

import (
	"crypto/rsa"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// The first two messages are the examples of WeChat Pay's guide to signatures.
func TestRequestMessage(t *testing.T) {
	for _, tt := range []struct {
		name, method, uri string
		timestamp         int64
		nonce             string
		body              []byte
		want              string
	}{
		{
			name: "the guide's GET", method: "GET", uri: "/v3/certificates", timestamp: 1554208460, nonce: nonce,
			want: "GET\n/v3/certificates\n1554208460\n593BEC0C930BF1AFEB40B4A08C8FB242\n\n",
		},
		{
			name: "with a query", method: "GET", uri: "/v3/refund/domestic/refunds/1?sub_mchid=1900000109", timestamp: 1, nonce: "n",
			want: "GET\n/v3/refund/domestic/refunds/1?sub_mchid=1900000109\n1\nn\n\n",
		},
		{
			name: "with a body", method: "POST", uri: "/v3/refund/domestic/refunds", timestamp: 1554208460, nonce: "n", body: []byte("{\"a\":\"退款\"}\n"),
			want: "POST\n/v3/refund/domestic/refunds\n1554208460\nn\n{\"a\":\"退款\"}\n\n",
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got := string(RequestMessage(tt.method, tt.uri, tt.timestamp, tt.nonce, tt.body))
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("message (-want +got):\n%s", diff)
			}
		})
	}
}

// The example of the guide to verification.
func TestReplyMessage(t *testing.T) {
	got := string(replyMessage("1554209980", "c5ac7061fccab6bf3e254dcf98995b8c", []byte(`{"data":[]}`)))
	if want := "1554209980\nc5ac7061fccab6bf3e254dcf98995b8c\n{\"data\":[]}\n"; got != want {
		t.Errorf("message %q, want %q", got, want)
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

// A pure function: the same input gives the same header, byte for byte.
func TestAuthorizationForm(t *testing.T) {
	got, err := newSigner().authorize("GET", "/v3/certificates", nil, 1554208460, nonce)
	if err != nil {
		t.Fatal(err)
	}
	prefix := `WECHATPAY2-SHA256-RSA2048 mchid="1900000109",nonce_str="593BEC0C930BF1AFEB40B4A08C8FB242",` +
		`timestamp="1554208460",serial_no="1DDE55AD98ED71D6EDD4A4A16996DE7B47773A8C",signature="`
	if !strings.HasPrefix(got, prefix) || !strings.HasSuffix(got, `=="`) || len(got) != len(prefix)+344+1 {
		t.Errorf("header %s", got)
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
	if diff := cmp.Diff([]string{"1554208460"}, h[headerTimestamp]); diff != "" {
		t.Errorf("timestamp (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]string{pubID}, h[headerSerial]); diff != "" {
		t.Errorf("serial (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]string{scheme}, h[headerType]); diff != "" {
		t.Errorf("signature type (-want +got):\n%s", diff)
	}
	if len(h[headerNonce]) != 1 || len(h) != 5 {
		t.Errorf("headers %v, want five, each once", h)
	}
	k := NewKeyring(map[string]*rsa.PublicKey{pubID: &platformKey().PublicKey}, nil)
	if err := verifyNow(k, h, body); err != nil {
		t.Error("our own signature is refused:", err)
	}
}
