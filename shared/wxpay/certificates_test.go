package wxpay

import (
	"context"
	"crypto/rsa"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// A listed is one entry of the list of certificates, as WeChat Pay writes it.
type listed struct {
	SerialNo           string   `json:"serial_no"`
	EffectiveTime      string   `json:"effective_time"`
	ExpireTime         string   `json:"expire_time,omitempty"`
	EncryptCertificate Resource `json:"encrypt_certificate"`
}

func list(t testing.TB, serial string, plain string) listed {
	t.Helper()
	r, err := newAPIv3Key(t).Seal("", "certificate", []byte(plain))
	if err != nil {
		t.Fatal(err)
	}
	return listed{serial, "1999-01-01T08:00:00+08:00", "2099-01-01T08:00:00+08:00", r}
}

// newList is the list with certificates 1 and 2.
func newList(t testing.TB) []listed {
	return []listed{
		list(t, serial1, certPEM(issue(t, serial1, platformKey(), date(1999), date(2098)))),
		list(t, serial2, certPEM(issue(t, serial2, nextKey(), date(1999), date(2098)))),
	}
}

func encodeList(t testing.TB, l []listed) string {
	t.Helper()
	body, err := json.Marshal(map[string]any{"data": l})
	if err != nil {
		t.Fatal(err)
	}
	return string(body)
}

func TestCertificates(t *testing.T) {
	body := encodeList(t, newList(t))
	for _, signer := range []*Platform{{serial1, platformKey()}, {serial2, nextKey()}, newPlatform()} {
		s := serve(t, func(w http.ResponseWriter, r *http.Request) {
			if r.Method != "GET" || r.RequestURI != "/v3/certificates?algorithm_type=RSA" {
				t.Errorf("request %s %s", r.Method, r.RequestURI)
			}
			c, err := ParseAuthorization(r.Header.Get("Authorization"))
			if err == nil {
				err = c.Verify(&merchantKey().PublicKey, r.Method, r.RequestURI, nil, time.Now())
			}
			if err != nil {
				t.Error("request's signature:", err)
			}
			answer(w, signer, 200, body)
		})
		certs, err := newClient(s.URL).Certificates(t.Context(), newAPIv3Key(t))
		if err != nil {
			t.Fatal(err)
		}
		want := []Certificate{
			{serial1, &platformKey().PublicKey, date(1999), date(2098)},
			{serial2, &nextKey().PublicKey, date(1999), date(2098)},
		}
		if diff := cmp.Diff(want, certs); diff != "" {
			t.Errorf("certificates (-want +got):\n%s", diff)
		}
	}
}

// The list may say that a certificate ends before its own time, not after it.
func TestCertificatesRetiredEarly(t *testing.T) {
	for announced, want := range map[string]time.Time{
		"2050-01-01T08:00:00+08:00": date(2050),
		"2099-01-01T08:00:00+08:00": date(2098),
		"":                          date(2098),
	} {
		l := newList(t)
		l[0].ExpireTime = announced
		body := encodeList(t, l)
		s := serve(t, func(w http.ResponseWriter, _ *http.Request) { answer(w, newPlatform(), 200, body) })
		certs, err := newClient(s.URL).Certificates(t.Context(), newAPIv3Key(t))
		if err != nil || !certs[0].NotAfter.Equal(want) {
			t.Errorf("announced %q: certificates %v, error %v", announced, certs, err)
		}
	}
}

// One valid list, one thing changed. What else does not open is in TestOpenRefusesAnyOneThingChanged.
func TestCertificatesRefuse(t *testing.T) {
	valid := newList(t)
	first := &Platform{serial1, platformKey()}
	signed := func(l []listed) http.HandlerFunc {
		body := encodeList(t, l)
		return func(w http.ResponseWriter, _ *http.Request) { answer(w, first, 200, body) }
	}
	change := func(f func(*listed)) http.HandlerFunc {
		l := append([]listed{}, valid...)
		f(&l[1]) // the second, so that one bad entry is seen to spoil a good one
		return signed(l)
	}
	text := func(body string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) { answer(w, first, 200, body) }
	}
	other := apiV3Key(t, strings.Repeat("k", 32))
	for _, tt := range []struct {
		name  string
		serve http.HandlerFunc
		want  error // nil: any but the sentinels
	}{
		{"sealed with another key", change(func(l *listed) {
			l.EncryptCertificate, _ = other.Seal("", "certificate", []byte(certPEM(issue(t, serial2, nextKey(), date(1999), date(2098)))))
		}), ErrOpen},
		{"ciphertext changed", change(func(l *listed) { l.EncryptCertificate.Ciphertext = "AAAA" + l.EncryptCertificate.Ciphertext[4:] }), ErrOpen},
		{"no encrypt_certificate", change(func(l *listed) { l.EncryptCertificate = Resource{} }), ErrOpen},
		{"not a certificate", change(func(l *listed) { *l = list(t, serial2, "canary-body") }), ErrFormat},
		{"a public key", change(func(l *listed) { *l = list(t, serial2, pkixPEM(t, &nextKey().PublicKey)) }), ErrFormat},
		{"of a short key", change(func(l *listed) {
			*l = list(t, serial2, certPEM(issue(t, serial2, shortKey(), date(1999), date(2098))))
		}), ErrFormat},
		{"another's serial", change(func(l *listed) { l.SerialNo = serial1 }), ErrFormat},
		{"serials swapped", change(func(l *listed) { l.SerialNo = mchSerial }), ErrFormat},
		{"no serial", change(func(l *listed) { l.SerialNo = "" }), ErrFormat},
		{"serial of a public key", change(func(l *listed) { l.SerialNo = pubID }), ErrFormat},
		{"serial negative", change(func(l *listed) { l.SerialNo = "-" + l.SerialNo }), ErrFormat},
		{"end in words", change(func(l *listed) { l.ExpireTime = "soon" }), ErrFormat},
		{"empty list", signed([]listed{}), ErrFormat},
		{"no list", text(`{}`), ErrFormat},
		{"not JSON", text(`<html>`), ErrFormat},
		{"unsigned", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, encodeList(t, valid)) }, ErrHeader},
		{"signed by a forger", func(w http.ResponseWriter, _ *http.Request) {
			answer(w, &Platform{serial1, forgerKey()}, 200, encodeList(t, valid))
		}, ErrSignature},
		{"signed by a stranger", func(w http.ResponseWriter, _ *http.Request) {
			answer(w, &Platform{mchSerial, forgerKey()}, 200, encodeList(t, valid))
		}, ErrUnknownKey},
		{"an old list played back", func(w http.ResponseWriter, _ *http.Request) {
			body := encodeList(t, valid)
			first.Sign(w.Header(), []byte(body), time.Now().Add(-time.Hour))
			fmt.Fprint(w, body)
		}, ErrStale},
		{"signed by an expired one of its own", func() http.HandlerFunc {
			l := append([]listed{}, valid...)
			l[0].ExpireTime = "2001-01-01T08:00:00+08:00"
			return signed(l)
		}(), ErrUnknownKey},
		{"too large", text(strings.Repeat(" ", maxReply+1)), ErrTooLarge},
		{"HTML with 502", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(502); fmt.Fprint(w, "<html>canary-body") }, nil},
		{"signature refused", func(w http.ResponseWriter, _ *http.Request) { answer(w, first, 401, `{"code":"SIGN_ERROR"}`) }, nil},
		{"no content", func(w http.ResponseWriter, _ *http.Request) { answer(w, first, 204, "") }, nil},
		{"an endless code", func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(400)
			fmt.Fprintf(w, `{"code":"canary-body%s"}`, strings.Repeat("x", 1000))
		}, nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := serve(t, tt.serve)
			certs, err := newClient(s.URL).Certificates(t.Context(), newAPIv3Key(t))
			if certs != nil || tt.want != nil && !errors.Is(err, tt.want) || tt.want == nil && !couldNotTell(err) {
				t.Errorf("%d certificates, error %v; want none and %v", len(certs), err, tt.want)
			}
			checkSecrets(t, "error", fmt.Sprint(err))
		})
	}
}

// What a merchant of the newer kind is told.
func TestCertificatesOfPublicKeyMerchant(t *testing.T) {
	s := serve(t, func(w http.ResponseWriter, _ *http.Request) {
		answer(w, newPlatform(), 404, `{"code":"RESOURCE_NOT_EXISTS","message":"无可用的平台证书，请在商户平台-API安全申请使用微信支付公钥"}`)
	})
	_, err := newClient(s.URL).Certificates(t.Context(), newAPIv3Key(t))
	if err == nil || !strings.Contains(err.Error(), "public key") {
		t.Errorf("error %v, want one that says to configure the public key", err)
	}
}

// Client and keyring need each other: the client verifies with the keyring, which
// gets its certificates through the client. It must neither loop nor lock.
func TestClientAndKeyringTogether(t *testing.T) {
	downloads, body := atomic.Int32{}, encodeList(t, newList(t))
	s := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/v3/certificates" {
			downloads.Add(1)
			answer(w, &Platform{serial1, platformKey()}, 200, body)
			return
		}
		answer(w, &Platform{serial2, nextKey()}, 200, replyBody)
	})
	c, key := newClient(s.URL), newAPIv3Key(t)
	c.Keys = NewKeyring(map[string]*rsa.PublicKey{}, func(ctx context.Context) ([]Certificate, error) { return c.Certificates(ctx, key) })
	for range 5 {
		if r, err := post(t, c); err != nil || !r.Verified {
			t.Fatalf("reply %+v, error %v", r, err)
		}
	}
	if n := downloads.Load(); n != 1 {
		t.Errorf("%d downloads, want 1", n)
	}
	// A keyring without a client's keys, only to download.
	c2 := newClient(s.URL)
	c2.Keys = nil
	if certs, err := c2.Certificates(t.Context(), key); err != nil || len(certs) != 2 {
		t.Errorf("%d certificates, error %v", len(certs), err)
	}
}
