package wxpay

import (
	"bytes"
	"crypto/rsa"
	"crypto/tls"
	"encoding/base64"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"unicode/utf8"
)

func FuzzParseFields(f *testing.F) {
	files, _ := filepath.Glob("testdata/v2_*.xml")
	for _, file := range files {
		b, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b, "xml")
	}
	f.Add([]byte(reqInfo), "root")
	for name, s := range hostile() {
		if !strings.HasPrefix(name, "cut after") && len(s) < 1000 {
			f.Add([]byte(s), "xml")
		}
	}
	f.Add([]byte("<xml>\u00a0<a> &#13;<![CDATA[ ]]]]><![CDATA[>]]>&amp; </a></xml>"), "xml")
	k := newAPIKey(f)
	f.Fuzz(func(t *testing.T, body []byte, root string) {
		got, err := ParseFields(body, root)
		if err != nil {
			if !errors.Is(err, ErrFormat) && !errors.Is(err, ErrTooLarge) || got != nil {
				t.Fatalf("fields %v, error %v", got, err)
			}
			return
		}
		if !utf8.Valid(body) || len(body) > maxMessage || len(got) > maxElements {
			t.Fatalf("%d bytes with %d elements were let through", len(body), len(got))
		}
		// Outside of CDATA nothing is left that is not text, a child or the root.
		bare := body
		for {
			before, rest, ok := bytes.Cut(bare, []byte("<![CDATA["))
			if !ok {
				break
			}
			_, after, _ := bytes.Cut(rest, []byte("]]>"))
			bare = append(bytes.Clone(before), after...)
		}
		if bytes.Contains(bare, []byte("<!")) || bytes.Count(bare, []byte("<?")) > 1 {
			t.Fatalf("let through: %q", body)
		}
		// The standard library reads the same, white space aside.
		theirs := theirFields(t, body)
		if len(theirs) != len(got) {
			t.Fatalf("ours %q, encoding/xml %q", got, theirs)
		}
		for name, value := range got {
			if strings.Trim(theirs[name], space) != strings.Trim(value, space) || len(value) > len(theirs[name]) {
				t.Fatalf("%s: ours %q, encoding/xml %q", name, value, theirs[name])
			}
		}
		if len(got.XML()) <= maxMessage {
			checkRoundTrip(t, got)
		}
		// What can be read can be signed, and nobody knows the key.
		if _, err := k.sign(got, SignHMACSHA256); err != nil {
			t.Fatal(err)
		}
		delete(got, "sign_type")
		if k.Verify(got, SignHMACSHA256) == nil || k.Verify(got, SignMD5) == nil {
			t.Fatal("it verifies")
		}
		sign, err := k.Sign(got, SignMD5)
		if err != nil {
			t.Fatal(err)
		}
		got["sign"] = sign
		if err := k.Verify(got, SignMD5); (err != nil) != got.ambiguous() {
			t.Fatalf("signed, it does not verify: %v", err)
		}
	})
}

func FuzzOpenReqInfo(f *testing.F) {
	k := newAPIKey(f)
	f.Add(k.SealReqInfo([]byte(reqInfo)))
	f.Add(k.SealReqInfo(nil))
	f.Add(k.SealReqInfo(make([]byte, 16)) + "\n")
	f.Add(base64.StdEncoding.EncodeToString(make([]byte, 32)))
	f.Add("AAAA")
	f.Fuzz(func(t *testing.T, s string) {
		plain, err := k.OpenReqInfo(s)
		if err != nil {
			if !errors.Is(err, ErrOpen) || plain != nil {
				t.Fatalf("%q, error %v", plain, err)
			}
			return
		}
		// One text opens to one plain text, and that seals to the same: line feeds
		// aside, which base64 skips.
		if again := k.SealReqInfo(plain); again != strings.NewReplacer("\r", "", "\n", "").Replace(s) {
			t.Fatalf("%q opened, but is not what sealing gives", s)
		}
		if _, err := ParseFields(plain, "root"); err != nil {
			t.Fatalf("%q opened, and nothing can be read in it: %v", s, err)
		}
	})
}

func FuzzParseClientCertificate(f *testing.F) {
	cert, key := newMerchantPEM(f)
	keys := spellings(key)
	for how, text := range spellings(cert) {
		f.Add(text, keys[how])
	}
	f.Add(cert, pkcs8PEM(f, forgerKey()))
	f.Add(cert+cert, key)
	f.Add(key, cert)
	f.Fuzz(func(t *testing.T, certText, keyText string) {
		got, err := ParseClientCertificate(certText, keyText)
		if (got.Leaf == nil) != (err != nil) || err != nil && !errors.Is(err, ErrFormat) {
			t.Fatalf("certificate %t, error %v", got.Leaf != nil, err)
		}
		pool, poolErr := ParseCertPool(certText)
		if (pool == nil) != (poolErr != nil) || poolErr != nil && !errors.Is(poolErr, ErrFormat) {
			t.Fatalf("pool %t, error %v", pool != nil, poolErr)
		}
		if err != nil {
			return
		}
		public, ok := got.Leaf.PublicKey.(*rsa.PublicKey)
		if !ok || !public.Equal(got.PrivateKey.(*PrivateKey).Public()) || public.N.BitLen() < minBits {
			t.Fatal("the key does not fit")
		}
		if _, err := tls.X509KeyPair([]byte(unescapePEM(certText)), []byte(unescapePEM(keyText))); err != nil {
			t.Fatal("crypto/tls does not read it:", err)
		}
	})
}
