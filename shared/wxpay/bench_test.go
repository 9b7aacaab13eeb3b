package wxpay

import (
	"bytes"
	"context"
	"crypto/rsa"
	"net/http"
	"net/http/httptest"
	"reflect"
	"testing"
	"time"

	"github.com/wechatpay-apiv3/wechatpay-go/core/auth/verifiers"
	"github.com/wechatpay-apiv3/wechatpay-go/core/notify"
)

// readNotification is what the back end does with each notification.
func readNotification(k *Keyring, key APIv3Key, h http.Header, body []byte) (RefundNotification, error) {
	if err := k.Verify(context.Background(), h, body); err != nil {
		return RefundNotification{}, err
	}
	n, err := ParseNotification(body)
	if err != nil {
		return RefundNotification{}, err
	}
	plain, err := key.Open(n.Resource)
	if err != nil {
		return RefundNotification{}, err
	}
	return ParseRefundNotification(plain)
}

// fresh returns a notification that is signed in real time.
func fresh(t testing.TB) (http.Header, []byte) {
	h, body := http.Header{}, newNotification(t, newRefundNotification())
	if err := newPlatform().Sign(h, body, time.Now()); err != nil {
		t.Fatal(err)
	}
	return h, body
}

// The budget: 40 allocations for a notification, from headers to amounts.
func TestReadNotificationAllocations(t *testing.T) {
	h, body := fresh(t)
	k := NewKeyring(map[string]*rsa.PublicKey{pubID: &platformKey().PublicKey}, nil)
	key := newAPIv3Key(t)
	if l, err := readNotification(k, key, h, body); err != nil || !reflect.DeepEqual(l, newRefundNotification()) {
		t.Fatalf("notification %v, error %v", l, err)
	}
	n := testing.AllocsPerRun(200, func() { readNotification(k, key, h, body) })
	if n > 40 {
		t.Errorf("%.0f allocations to read a notification, want at most 40", n)
	}
	t.Logf("%.0f allocations to read a notification of %d bytes", n, len(body))
}

func BenchmarkReadNotification(b *testing.B) {
	h, body := fresh(b)
	key := newAPIv3Key(b)
	k := NewKeyring(map[string]*rsa.PublicKey{pubID: &platformKey().PublicKey}, nil)
	sdk, err := notify.NewRSANotifyHandler(apiV3Secret, verifiers.NewSHA256WithRSAPubkeyVerifier(pubID, platformKey().PublicKey))
	if err != nil {
		b.Fatal(err)
	}
	for _, bb := range []struct {
		name string
		read func() error
	}{
		{"ours", func() error { _, err := readNotification(k, key, h, body); return err }},
		{"sdk", func() error {
			r := httptest.NewRequest("POST", "/", bytes.NewReader(body))
			r.Header = h
			var l RefundNotification
			_, err := sdk.ParseNotifyRequest(context.Background(), r, &l)
			return err
		}},
	} {
		b.Run(bb.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if err := bb.read(); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
