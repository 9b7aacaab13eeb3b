package wxpay

import (
	"bytes"
	"context"
	"crypto/rsa"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

const (
	newText   = "new-canary-0123456789-0123456789" // 32 bytes
	oldText   = "old-canary-0123456789-0123456789"
	otherText = "other-canary-456789-0123456789-1"
)

// A key of a new one or an old one opens what either has sealed, however long, and
// nothing else.
func TestAPIv3KeyOr(t *testing.T) {
	fresh, old := apiV3Key(t, newText), apiV3Key(t, oldText)
	both := fresh.Or(old)
	for size := range 200 {
		plain := bytes.Repeat([]byte("x"), size)
		for name, k := range map[string]APIv3Key{"new": fresh, "old": old, "both": both} {
			r, err := k.Seal("refund", "refund", plain)
			if err != nil {
				t.Fatal(err)
			}
			if got, err := both.Open(r); err != nil || !bytes.Equal(got, plain) {
				t.Errorf("%d bytes, sealed with %s: %q, %v", size, name, got, err)
			}
			if _, err := fresh.Open(r); (err == nil) != (name != "old") {
				t.Errorf("sealed with %s, opened with the new one: %v", name, err)
			}
		}
	}
	r, err := apiV3Key(t, otherText).Seal("", "", []byte("canary"))
	if err != nil {
		t.Fatal(err)
	}
	if plain, err := both.Open(r); !errors.Is(err, ErrOpen) || plain != nil {
		t.Errorf("sealed with another: %q, %v", plain, err)
	}
	r.Ciphertext = "AAAA"
	if _, err := both.Open(r); !errors.Is(err, ErrOpen) {
		t.Errorf("too short: %v", err)
	}
	var zero APIv3Key
	if zero.Or(old) != old || old.Or(zero) != old || zero.Or(zero) != zero {
		t.Error("the zero key changes the other")
	}
}

// What either has signed verifies, and what is signed verifies with the new one.
func TestAPIKeyOrVerifies(t *testing.T) {
	fresh, old := apiKey(t, newText), apiKey(t, oldText)
	both := fresh.Or(old)
	for _, st := range []SignType{SignMD5, SignHMACSHA256} {
		for name, k := range map[string]APIKey{"new": fresh, "old": old, "both": both, "another": apiKey(t, otherText)} {
			f := Fields{"return_code": "SUCCESS", "nonce_str": "n"}
			sign, err := k.Sign(f, st)
			if err != nil {
				t.Fatal(err)
			}
			f["sign"] = sign
			for verify, err := range map[string]error{"Verify": both.Verify(f, st), "VerifyRequest": both.VerifyRequest(f, st)} {
				if (err == nil) != (name != "another") || err != nil && !errors.Is(err, ErrSignature) {
					t.Errorf("%s, %s, signed with %s: %v", verify, st, name, err)
				}
			}
			if err := fresh.Verify(f, st); (err == nil) != (name == "new" || name == "both") {
				t.Errorf("%s, signed with %s, verified with the new one: %v", st, name, err)
			}
		}
	}
	var zero APIKey
	if zero.Or(old) != old || old.Or(zero) != old || zero.Or(zero) != zero {
		t.Error("the zero key changes the other")
	}
}

// The wrong one of two keys finds padding in one text of 256, and nothing that can be
// read: none of many texts is lost to it, whichever key has sealed it.
func TestAPIKeyOrOpensEveryReqInfo(t *testing.T) {
	fresh, old := apiKey(t, newText), apiKey(t, oldText)
	both := fresh.Or(old)
	misled := 0
	for i := range 3000 {
		plain := fmt.Appendf(nil, "<root><a>%011d</a></root>", i) // 31 bytes, so that the last block differs
		for name, k := range map[string]APIKey{"new": fresh, "old": old, "both": both} {
			got, err := both.OpenReqInfo(k.SealReqInfo(plain))
			if err != nil || !bytes.Equal(got, plain) {
				t.Fatalf("text %d, sealed with %s: %q, %v", i, name, got, err)
			}
		}
		if _, err := fresh.decryptReqInfo(old.SealReqInfo(plain)); err == nil {
			misled++
		}
	}
	if misled == 0 {
		t.Error("no text misled the new key: this test proves nothing")
	}
	for range 100 {
		if plain, err := both.OpenReqInfo(apiKey(t, otherText).SealReqInfo([]byte("<root></root>"))); !errors.Is(err, ErrOpen) {
			t.Errorf("sealed with another: %q, error %v, want %v", plain, err, ErrOpen)
		}
	}
}

// The preferred public key is the newest, until another is named; what is none of
// ours is not asked for.
func TestNewestPublicKeyIsPreferred(t *testing.T) {
	key := &platformKey().PublicKey
	k := NewKeyring(map[string]*rsa.PublicKey{pubID + "1": key, pubID + "2": key, "7777": key}, nil)
	for _, c := range []struct{ id, want string }{
		{"", pubID + "2"}, {pubID + "1", pubID + "1"}, {pubID + "9", pubID + "1"}, {"7777", pubID + "1"}, {pubID + "2", pubID + "2"},
	} {
		k.Prefer(c.id)
		if got := k.Preferred(); got != c.want {
			t.Errorf("after Prefer(%q): %q, want %q", c.id, got, c.want)
		}
	}
}

// A keyring in use takes another's public keys over, and asks for certificates at once,
// though it has just done so.
func TestAKeyringInUseAdoptsNewKeys(t *testing.T) {
	public := func(id string) map[string]*rsa.PublicKey {
		return map[string]*rsa.PublicKey{pubID + id: &platformKey().PublicKey}
	}
	synctest.Test(t, func(t *testing.T) {
		src := &source{certs: both()}
		k := NewKeyring(public("1"), src.download)
		mustKey(t, k, serial1)
		mustBeUnknown(t, k, "7777") // which asked, and may not ask again for a minute
		src.want(t, 1)
		other := NewKeyring(public("2"), nil)
		var all sync.WaitGroup
		for range 4 {
			all.Go(func() {
				for range 100 {
					_, _ = k.Key(t.Context(), pubID+"1") // known or not, by when it is asked for
					if got := k.Preferred(); got != pubID+"1" && got != pubID+"2" {
						t.Errorf("preferred %q", got)
					}
				}
			})
		}
		k.Adopt(other)
		all.Wait()
		mustKey(t, k, pubID+"2")
		mustBeUnknown(t, k, pubID+"1")
		if got := k.Preferred(); got != pubID+"2" {
			t.Errorf("preferred %q, want %q", got, pubID+"2")
		}
		mustKey(t, k, serial2)
		src.want(t, 2)
	})
}

// A download that began before new keys were adopted does not stand for them.
func TestADownloadFromBeforeAnAdoptionDoesNotCountForIt(t *testing.T) {
	all := both()
	synctest.Test(t, func(t *testing.T) {
		var now atomic.Int64 // how many certificates are listed
		now.Store(1)
		k := NewKeyring(nil, func(context.Context) ([]Certificate, error) {
			listed := all[:now.Load()]
			time.Sleep(3 * time.Second)
			return listed, nil
		})
		go mustBeUnknown(t, k, serial2)
		time.Sleep(time.Second)
		now.Store(2)
		k.Adopt(NewKeyring(nil, nil))
		time.Sleep(5 * time.Second)
		mustKey(t, k, serial1)
		mustKey(t, k, serial2)
	})
}

// A list of certificates that is still sealed with the old key is read.
func TestCertificatesSealedWithTheOldKey(t *testing.T) {
	body := encodeList(t, newList(t)) // with newAPIv3Key, which is the old one here
	s := serve(t, func(w http.ResponseWriter, _ *http.Request) { answer(w, &Platform{serial1, platformKey()}, 200, body) })
	for name, c := range map[string]struct {
		key  APIv3Key
		want int
	}{
		"both": {apiV3Key(t, newText).Or(newAPIv3Key(t)), 2}, "the new one": {apiV3Key(t, newText), 0},
	} {
		certs, err := newClient(s.URL).Certificates(t.Context(), c.key)
		if len(certs) != c.want || (err == nil) != (c.want > 0) {
			t.Errorf("%s: %d certificates, %v; want %d", name, len(certs), err, c.want)
		}
	}
}
