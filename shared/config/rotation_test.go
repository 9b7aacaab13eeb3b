package config_test

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"wxrefund/shared/config"
	"wxrefund/shared/wxpay"
)

const (
	newKey = "new-key-0123456789-0123456789-01" // 32
	oldKey = "old-key-0123456789-0123456789-01"
)

// A setting of one key or two opens what either has sealed, and seals with the first.
func TestKeysOverlap(t *testing.T) {
	comma := "new,key,0123456789,0123456789,01"
	for _, c := range []struct {
		value string
		keys  []string // the new one first
	}{
		{newKey, []string{newKey}},
		{newKey + "," + oldKey, []string{newKey, oldKey}},
		{" " + newKey + " , " + oldKey + " ", []string{newKey, oldKey}},
		{newKey + ",", []string{newKey}}, // as a deployment writes it that has no old one
		{comma, []string{comma}},
		{comma + "," + oldKey, []string{comma, oldKey}},
		{oldKey + "," + comma, []string{oldKey, comma}},
	} {
		s := complete()
		s["WXPAY_APIV3_KEY"], s["WXPAY_API_KEY"] = c.value, c.value
		sys, err := load(t, s)
		if err != nil {
			t.Errorf("%s: %v", c.value, err)
			continue
		}
		for i, text := range c.keys {
			v3, v2 := parsedKey(t, wxpay.ParseAPIv3Key, text), parsedKey(t, wxpay.ParseAPIKey, text)
			r, err := v3.Seal("refund", "refund", []byte("{}"))
			if err != nil {
				t.Fatal(err)
			}
			if plain, err := sys.Secret.Open(r); err != nil || string(plain) != "{}" {
				t.Errorf("%s: sealed with key %d: %q, %v", c.value, i, plain, err)
			}
			const text = "<root><a>1</a></root>"
			if plain, err := sys.APIKey.OpenReqInfo(v2.SealReqInfo([]byte(text))); err != nil || string(plain) != text {
				t.Errorf("%s: req_info sealed with key %d: %q, %v", c.value, i, plain, err)
			}
			// Ours are made with the first.
			ours, err := sys.Secret.Seal("", "", nil)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := v3.Open(ours); (err == nil) != (i == 0) {
				t.Errorf("%s: key %d opens what we seal: %v", c.value, i, err)
			}
			sign, err := sys.APIKey.Sign(wxpay.Fields{"a": "1"}, wxpay.SignMD5)
			if err != nil {
				t.Fatal(err)
			}
			if err := v2.Verify(wxpay.Fields{"a": "1", "sign": sign}, wxpay.SignMD5); (err == nil) != (i == 0) {
				t.Errorf("%s: key %d verifies what we sign: %v", c.value, i, err)
			}
		}
	}
}

func parsedKey[K any](t *testing.T, parse func(string) (K, error), text string) K {
	t.Helper()
	k, err := parse(text)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

// Of two keys the malformed one is named, by its place and never by its value.
func TestMalformedOfTwoIsNamed(t *testing.T) {
	for _, name := range []string{"WXPAY_APIV3_KEY", "WXPAY_API_KEY"} {
		for value, says := range map[string]string{
			newKey + ",old":                    "is malformed in the second of two: it has 3 bytes; it must have 32 bytes",
			newKey + "," + oldKey[:31]:         "is malformed in the second of two: it has 31 bytes; it must have 32 bytes",
			"new," + oldKey:                    "is malformed in the first of two: it has 3 bytes; it must have 32 bytes",
			newKey + newKey:                    "is malformed: it has 64 bytes; it must have 32 bytes",
			newKey + " " + oldKey:              "is malformed: it has 65 bytes; it must have 32 bytes",
			",":                                "is malformed: it has 1 bytes; it must have 32 bytes",
			strings.Repeat(newKey+",", 3) + "": "is malformed: it holds more than two, the new one and the old one",
		} {
			s := complete()
			s[name] = value
			_, err := load(t, s)
			if want := name + " " + says; err == nil || err.Error() != want {
				t.Errorf("%s: %v, want %s", name, err, want)
			}
		}
	}
}

const firstID, secondID = "PUB_KEY_ID_0119000001092026112200000001", "PUB_KEY_ID_0119000001092027112200000002"

// Two public keys are trusted at once, each under its own id, and the first is asked for.
func TestPublicKeysOverlap(t *testing.T) {
	first, second := newPublicKey(t), newPublicKey(t)
	file := filepath.Join(t.TempDir(), "keys.pem")
	if err := os.WriteFile(file, []byte("new\n"+first.text+"old\n"+second.text), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, texts := range map[string]string{
		"PEM": first.text + second.text, "literal": strings.ReplaceAll(first.text+second.text, "\n", `\n`), "file": "file:" + file,
		"literal, no line feed between": strings.ReplaceAll(strings.TrimSpace(first.text)+strings.TrimSpace(second.text), "\n", `\n`),
	} {
		for _, ids := range [][2]string{{firstID, secondID}, {secondID, firstID}} { // whichever is the greater
			s := complete()
			s["WXPAY_PUBLIC_KEY_ID"], s["WXPAY_PUBLIC_KEY"] = ids[0]+" , "+ids[1], texts
			sys, err := load(t, s)
			if err != nil {
				t.Errorf("%s: %v", name, err)
				continue
			}
			if got := sys.Keys.Preferred(); got != ids[0] {
				t.Errorf("%s: %s is asked for, want the first, %s", name, got, ids[0])
			}
			for i, k := range []publicKey{first, second} {
				if err := verifies(t, sys, ids[i], k); err != nil {
					t.Errorf("%s: key %d under its id: %v", name, i, err)
				}
				if verifies(t, sys, ids[1-i], k) == nil {
					t.Errorf("%s: key %d verifies under the other's id", name, i)
				}
			}
		}
	}
}

type publicKey struct {
	private *rsa.PrivateKey
	text    string
}

func newPublicKey(t *testing.T) publicKey {
	t.Helper()
	k, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	b, err := x509.MarshalPKIXPublicKey(&k.PublicKey)
	if err != nil {
		t.Fatal(err)
	}
	return publicKey{k, string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: b}))}
}

// verifies has a message verified that WeChat Pay signs with k and says is of id.
func verifies(t *testing.T, sys *config.System, id string, k publicKey) error {
	t.Helper()
	h, body := http.Header{}, []byte("{}")
	if err := (&wxpay.Platform{Serial: id, Key: k.private}).Sign(h, body, time.Now()); err != nil {
		t.Fatal(err)
	}
	return sys.Keys.Verify(t.Context(), h, body)
}

// Keys and ids that do not fit each other are named.
func TestPublicKeysThatDoNotFit(t *testing.T) {
	first, second := publicPEM(wechatKey()), newPublicKey(t).text
	const fit = "WXPAY_PUBLIC_KEY is malformed: it must hold as many keys as WXPAY_PUBLIC_KEY_ID has ids, which is "
	for _, c := range []struct {
		ids, keys string
		want      []string
	}{
		{firstID + "," + secondID, first, []string{fit + "2, and holds 1"}},
		{firstID, first + second, []string{fit + "1, and holds 2"}},
		{firstID + "," + firstID, first + second, []string{"WXPAY_PUBLIC_KEY_ID is malformed: the two are the same"}},
		{firstID + "," + secondID, first + privatePEM(), []string{"WXPAY_PUBLIC_KEY is malformed in the second of two: it is a private key; it must be an RSA public key in PEM"}},
		{firstID + "," + secondID, privatePEM() + second, []string{"WXPAY_PUBLIC_KEY is malformed in the first of two: it is a private key; it must be an RSA public key in PEM"}},
		{firstID + "," + secondID, "canary", []string{"WXPAY_PUBLIC_KEY is malformed: it is no PEM: the lines with dashes, the first and the last, belong to it; it must be an RSA public key in PEM", fit + "2, and holds 1"}},
		{firstID + "," + secondID + ",c", first + second + first, []string{
			"WXPAY_PUBLIC_KEY is malformed: it holds more than two, the new one and the old one",
			"WXPAY_PUBLIC_KEY_ID is malformed: it holds more than two, the new one and the old one",
		}},
		{"", first + second, []string{"WXPAY_PUBLIC_KEY_ID is missing beside WXPAY_PUBLIC_KEY"}},
		{firstID + "," + secondID, "", []string{"WXPAY_PUBLIC_KEY is missing beside WXPAY_PUBLIC_KEY_ID"}},
	} {
		s := complete()
		s["WXPAY_PUBLIC_KEY_ID"], s["WXPAY_PUBLIC_KEY"] = c.ids, c.keys
		_, err := load(t, s)
		if err == nil {
			t.Errorf("%v: no error", c.want)
			continue
		}
		if got := slices.Sorted(slices.Values(strings.Split(err.Error(), "\n"))); !slices.Equal(got, c.want) {
			t.Errorf("got %q, want %q", got, c.want)
		}
	}
}
