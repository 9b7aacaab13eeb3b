package wxpay

import (
	"crypto/rsa"
	"errors"
	"strings"
	"testing"

	"github.com/wechatpay-apiv3/wechatpay-go/utils"
)

// What we seal the official SDK opens, and the other way round.
func TestOracleSealedFields(t *testing.T) {
	for _, plain := range []string{"6222020200112233", "张三", "", strings.Repeat("名", 42)} {
		ours, err := SealField(&platformKey().PublicKey, plain)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := utils.DecryptOAEP(ours, platformKey()); err != nil || got != plain {
			t.Errorf("the SDK reads %q, %v of %q", got, err, plain)
		}
		theirs, err := utils.EncryptOAEPWithPublicKey(plain, &platformKey().PublicKey)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := OpenField(platformKey(), theirs); err != nil || got != plain {
			t.Errorf("we read %q, %v of %q", got, err, plain)
		}
	}
}

// Nobody else opens a field, and what is too long for the key is not sealed.
func TestSealedFieldsAreForOneKey(t *testing.T) {
	sealed, err := SealField(&platformKey().PublicKey, "6222020200112233")
	if err != nil {
		t.Fatal(err)
	}
	again, _ := SealField(&platformKey().PublicKey, "6222020200112233")
	if sealed == again {
		t.Error("the same field is sealed alike twice")
	}
	for name, open := range map[string]func() (string, error){
		"another key": func() (string, error) { return OpenField(nextKey(), sealed) },
		"cut":         func() (string, error) { return OpenField(platformKey(), sealed[:len(sealed)-4]) },
		"no base64":   func() (string, error) { return OpenField(platformKey(), "6222 0202") },
		"nothing":     func() (string, error) { return OpenField(platformKey(), "") },
	} {
		if got, err := open(); !errors.Is(err, ErrOpen) || got != "" {
			t.Errorf("%s: %q, %v", name, got, err)
		}
	}
	if _, err := SealField(&platformKey().PublicKey, strings.Repeat("1", 215)); !errors.Is(err, ErrFormat) {
		t.Errorf("too long: %v", err)
	}
}

// Fields are sealed with the preferred public key, or else with the newest certificate in
// force, for which the list is fetched once.
func TestSealingKeyIsThePreferredOrTheNewest(t *testing.T) {
	older, newer, future := newCertificate("OLD", platformKey()), newCertificate("NEW", nextKey()), newCertificate("NEXT", platformKey())
	newer.NotBefore, future.NotBefore = date(2010), date(2029)
	s := &source{certs: []Certificate{older, future, newer}}
	public := map[string]*rsa.PublicKey{pubID: &platformKey().PublicKey}
	for name, c := range map[string]struct {
		keyring   *Keyring
		serial    string
		downloads int64
	}{
		"a public key":      {NewKeyring(public, s.download), pubID, 0},
		"only certificates": {NewKeyring(nil, s.download), "NEW", 1},
	} {
		s.downloads.Store(0)
		for range 2 {
			serial, key, err := c.keyring.sealingKey(t.Context(), date(2020))
			if err != nil || serial != c.serial || key == nil {
				t.Errorf("%s: %s, %v", name, serial, err)
			}
		}
		s.want(t, c.downloads)
	}
	if _, _, err := NewKeyring(nil, nil).SealingKey(t.Context()); !errors.Is(err, ErrUnknownKey) {
		t.Errorf("no key: %v", err)
	}
	if _, _, err := NewKeyring(nil, (&source{err: errors.New("down")}).download).SealingKey(t.Context()); err == nil || errors.Is(err, ErrUnknownKey) {
		t.Errorf("no list: %v", err)
	}
	if _, _, err := NewKeyring(nil, (&source{certs: []Certificate{future}}).download).sealingKey(t.Context(), date(2020)); !errors.Is(err, ErrUnknownKey) {
		t.Errorf("none in force: %v", err)
	}
}

// FuzzOpenField: no field that is sealed by somebody else makes us panic.
func FuzzOpenField(f *testing.F) {
	sealed, err := SealField(&platformKey().PublicKey, "x")
	if err != nil {
		f.Fatal(err)
	}
	for _, s := range []string{sealed, "", "AAAA", "=", "\x00"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if got, err := OpenField(platformKey(), s); err != nil && (got != "" || !errors.Is(err, ErrOpen)) {
			t.Errorf("%q, %v", got, err)
		}
	})
}
